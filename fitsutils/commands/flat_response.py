"""Take the lamp out of a long-slit flat: what is left is the response of the pixels.

FLAT is a combined flat without bias. The rows that the slit lights are found,
their mean spectrum is averaged over a few pixels and its logarithm fitted, and
the flat is divided by the fit and by its median over the lit part: it is 1 on
the average there and 1 outside. NaN, infinite and masked pixels are left out;
points of the spectrum without light (<= 0), or off their neighbours, too.

The output holds the images FLAT (in the primary HDU, so that the file itself
can be divided by), LIT and BADPIX (0 or 1; a pixel is bad that is missing,
masked, or further than --bad from the median of the 7 x 7 around it), and the
table RESPONSE (pixel, from 1; data, the lamp's spectrum; fit; used). An
extension UNCERT, VAR or IVAR of the flat gives one more, UNCERT.

Fits, -m, and what -k ORDER is (defaults in brackets):
  poly    a polynomial of this degree (7)
  spline  a cubic spline of so many pieces (25)
  median  a running median over so many pixels, odd (101)

Examples
--------
  flat_response flat.fits -d x -o response.fits
  flat_response flat.fits -d y -m spline -k 15 -o response.fits --plot response.png
  flat_response blue.fits red.fits -d x --lit 0.5 --clip 4 --prefix resp_
  flat_response flat.fits -d y --lit 310:1890 --mask bad_columns.fits -o response.fits
  img_arith 'sci*.fits' / response.fits --prefix f_
  img_arith 'sci*.fits' / response.fits --min-denominator 0.2,nan --prefix f_
  img_stats response.fits --mask 'response.fits[BADPIX]' -s median,rstd
"""

import argparse
import contextlib
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files, pixels, plots
from fitsutils.errors import Failure, UsageError, refusing

_METHODS = ('poly', 'spline', 'median')
_TEXTS = {
    'LIT': '1 where the lamp lights the detector',
    'BADPIX': '1 where a pixel is bad',
    'UNCERT': 'standard deviation of FLAT',
}


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('flat_response', __doc__)
    parser.share('images', metavar='FLAT')
    parser.share('output', 'prefix', 'force', 'skip-existing', 'dry-run')
    add = parser.add_argument
    add(
        '-d',
        '--dispersion',
        choices='xy',
        help="the axis along which the spectrum runs (default: the header's DISPAXIS)",
    )
    add('-m', '--method', choices=_METHODS, default='poly', help='how the spectrum is fitted (default: poly)')
    add('-k', '--order', type=cli.positive, metavar='ORDER', help='of the fit: degree, pieces or window')
    add('--box', type=_odd, default=5, metavar='N', help='pixels averaged before the fit, odd (default: 5)')
    add('--clip', type=_not_negative, default=3.0, metavar='K',
        help='leave out narrow features beyond K sigma of the fit, repeatedly; 0: none (default: 3)')  # fmt: skip
    add('--lit', type=_lit, default=0.8, metavar='F|FIRST:LAST',
        help="least light of a lit row, relative to the slit's, or the rows (columns with -d y), "
        'from 1 (default: 0.8)')  # fmt: skip
    add('--bad', type=_part, default=0.5, metavar='F',
        help='a pixel that differs by more than this part from its surroundings is bad (default: 0.5)')  # fmt: skip
    add('--mask', metavar='FILE', help='pixels that are not 0 in this image are bad')
    add('--plot', metavar='FILE', help='draw the fit, its residual and the slit: NAME.png, NAME.pdf')
    parser.share('dtype', choices=('float32', 'float64'), help='type of FLAT and UNCERT (default: float32)')
    parser.share('compress', 'set', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


def _odd(text: str) -> int:
    number = cli.positive(text)
    if number % 2 == 0:
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not an odd number')
    return number


def _not_negative(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a number from 0')


def _part(text: str) -> float:
    if not (number := _not_negative(text)):
        raise argparse.ArgumentTypeError('it must be above 0')
    return number


def _lit(text: str) -> float | slice:
    if match := re.fullmatch(r'\s*(\d+):(\d+)\s*', text):
        first, last = map(int, match.groups())
        if not 1 <= first <= last:
            raise argparse.ArgumentTypeError(f'{text.strip()!r}: rows count from 1, the last is not before the first')
        return slice(first - 1, last)
    return _part(text)


class _Task(NamedTuple):
    """One flat: along which axis its spectrum runs, its mask and uncertainty, and what is written."""

    image: Any
    axis: str
    mask: Any
    uncertainty: tuple[Any, str] | None
    output: str | None
    plot: str | None


def flat_response(args: argparse.Namespace, job: cli.Job) -> None:
    """Write each flat without its lamp."""
    if args.output is None and args.prefix is None:
        raise UsageError('-o or --prefix must name the output')
    if args.method == 'median' and (args.order or 1) % 2 == 0:
        raise UsageError(f'-k {args.order}: the window of a median is odd')
    cards = [files.header.parse_card(text) for text in args.cards]
    tasks = _plan(args)
    if not args.dry_run:
        files.output.make_folder(args.output)
    with job.progress(len(tasks), 'flats') as progress:
        for task in tasks:
            with job.attempt():
                if not args.dry_run:
                    _work(task, args, job, cards)
                for path in filter(None, (task.output, task.plot)):
                    job.wrote(path)
            progress.step()


def _plan(args: argparse.Namespace) -> list[_Task]:
    """What is to be done, every refusal made."""
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    outputs = files.naming.output_names(paths, args.output, prefix=args.prefix, compress=args.compress)
    pictures = _plot_names(paths, args.plot)
    mask = files.reader.open_mask(args.mask)
    todo = files.output.check_outputs(
        [*outputs, *pictures], paths + ([mask.path] if mask else []),
        force=args.force, skip_existing=args.skip_existing, new_folder=args.output)  # fmt: skip
    wanted = [name if is_wanted else None for name, is_wanted in zip([*outputs, *pictures], todo, strict=True)]
    tasks = []
    for place, reference in enumerate(references):
        names = wanted[place], wanted[len(outputs) + place] if pictures else None
        if any(names):
            image = files.reader.open_image(reference, hdu, keywords=('DISPAXIS',))
            tasks.append(_task(image, mask, args, *names))
    return tasks


def _plot_names(paths: list[str], plot: str | None) -> list[str]:
    if plot is None:
        return []
    names = files.pictures.output_names(paths, plot, '.png')
    if not names[0].lower().endswith(plots.response.KINDS):
        raise UsageError(f'--plot {plot}: .png or .pdf is wanted')
    return names


def _task(image: Any, mask: Any, args: argparse.Namespace, output: str | None, plot: str | None) -> _Task:
    if len(image.shape) != 2:
        raise Failure(f'a flat has 2 axes, and it has {len(image.shape)}', image.path)
    axis = args.dispersion or _dispersion_axis(image)
    length, rows = image.shape[::-1] if axis == 'x' else image.shape
    if isinstance(args.lit, slice) and args.lit.stop > rows:
        raise Failure(f'--lit {args.lit.start + 1}:{args.lit.stop}: there are {rows} rows along the slit', image.path)
    if (args.order or 0) >= length:
        raise Failure(f'-k {args.order}: its spectrum has {length} points', image.path)
    companions = files.masks.companions([image])
    return _Task(image, axis, mask and mask.fitted_to(image), companions and companions[0], output, plot)


def _dispersion_axis(image: Any) -> str:
    said = files.header.value(image.keywords, 'DISPAXIS')
    number = files.header.as_number(said)
    if number not in (1, 2):
        what = 'it has no keyword DISPAXIS' if said is None else f'DISPAXIS = {said!r} is neither 1 nor 2'
        raise Failure(f'{what}: -d x or -d y must say along which axis the spectrum runs', image.path)
    return 'xy'[int(number) - 1]


def _work(task: _Task, args: argparse.Namespace, job: cli.Job, cards: list[tuple[str, Any]]) -> None:
    fit = pixels.response.Fit(args.method, args.order or pixels.response.ORDERS[args.method], args.clip, args.box)
    mask = None if task.mask is None else _oriented(_read(task.mask, args) != 0, task.axis)
    flat = _oriented(_read(task.image, args), task.axis)
    with refusing('no response can be found', task.image.path):
        found = pixels.response.flat_response(flat, fit, mask=mask, lit=args.lit, bad=args.bad)
    picture = _picture(task, found, fit, args) if task.plot else b''
    if task.output:
        files.writer.write_fits(task.output, _parts(task, found, fit, args, cards))
    if task.plot:
        with files.output.complete_file(task.plot) as file:
            file.write(picture)
    _report(task, found, job)


def _read(image: Any, args: argparse.Namespace) -> Any:
    return files.reader.read_pixels(image, checksum=args.checksum, max_size=args.max_size)


def _oriented(image: Any, axis: str) -> Any:
    """The image with its spectrum along the last axis, or back again."""
    return image if axis == 'x' else image.T


def _parts(task: _Task, found: Any, fit: Any, args: argparse.Namespace, cards: list[tuple[str, Any]]) -> list[Any]:
    """The HDUs: flat, masks, table, uncertainty."""
    lines = [f'{task.image.name}: {_words(fit)} along {task.axis}, residual rms {found.lamp.rms:.3g}']
    lines += [f'mask {task.mask.name}'] if task.mask else []
    header = files.header.product(task.image, 'flat_response', lines, [*_cards(task, found, fit, args), *cards])
    kind = args.dtype or 'float32'
    images = {'FLAT': found.flat, 'LIT': found.lit.astype('u1'), 'BADPIX': found.bad.astype('u1')}
    if task.uncertainty is not None:
        sigma = files.masks.read_deviation(task.uncertainty, max_size=args.max_size)
        images['UNCERT'] = found.uncertainty(_oriented(sigma, task.axis))
    parts: list[Any] = []
    for name, image in images.items():
        head = header if name == 'FLAT' else files.provenance.map_header(name, header, _TEXTS[name])
        with refusing(f'{name} in {kind}', task.output):
            stored = image if image.dtype == 'u1' else pixels.arithmetic.as_type(image, kind)
        parts.append((_oriented(stored, task.axis), head))
    lamp, number = found.lamp, range(1, len(found.lamp.used) + 1)
    columns = {'pixel': number, 'data': lamp.spectrum, 'fit': lamp.curve, 'used': lamp.used}
    parts.insert(3, files.writer.table('RESPONSE', columns, {'pixel': 'pix'}))
    return parts


def _cards(task: _Task, found: Any, fit: Any, args: argparse.Namespace) -> list[tuple[str, Any]]:
    """What the header says about the response; EXTNAME, so that FLAT names the image wherever it lies in the file."""
    rows = found.lit.any(axis=1)
    cards = [
        ('EXTNAME', ('FLAT', 'response of the pixels, 1 where unlit')),
        ('EXTVER', (1, 'version of the extension')),
        ('BUNIT', ('', 'relative to the lit part')),
        ('DISPAXIS', ('xy'.index(task.axis) + 1, 'axis along which the spectrum runs')),
        ('RSPMETH', (fit.method, 'how the spectrum of the lamp was fitted')),
        ('RSPORDER', (fit.order, 'degree, pieces or window of the fit')),
        ('RSPBOX', (fit.box, '[pix] averaged before the fit')),
        ('RSPCLIP', (fit.clip, 'sigma beyond which points were clipped')),
        ('RSPNUSED', (int(found.lamp.used.sum()), 'points of the spectrum used by the fit')),
        ('RSPRMS', (found.lamp.rms, 'rms of spectrum / fit - 1')),
        ('RSPLEVEL', (found.level, 'median that the result was divided by')),
        ('LITSEC', (_section(found, task.axis), 'smallest section with all that is lit')),
        ('LITROWS', (int(rows.sum()), 'lit rows or columns along the slit')),
        ('NBADPIX', (int(found.bad.sum()), 'bad pixels')),
        ('BADLIMIT', (args.bad, 'deviation from which a pixel is bad')),
    ]  # fmt: skip
    return cards if isinstance(args.lit, slice) else [*cards, ('LITLEAST', (args.lit, 'least light of a lit row'))]


def _section(found: Any, axis: str) -> str:
    along, across = found.lit_bounds
    return str(files.section.from_bounds([*along, *across] if axis == 'x' else [*across, *along]))


def _words(fit: Any) -> str:
    unit = {'poly': 'degree', 'spline': 'pieces', 'median': 'pixels'}[fit.method]
    return f'{fit.method} of {fit.order} {unit}' if unit != 'degree' else f'{fit.method} of degree {fit.order}'


def _picture(task: _Task, found: Any, fit: Any, args: argparse.Namespace) -> bytes:
    lamp = found.lamp
    curves = plots.response.Curves(
        title=files.pictures.title('filename', task.image),
        note=f'{_words(fit)}; residual rms {100 * lamp.rms:.3g} %; '
        f'{(~lamp.used).sum()} of {len(lamp.used)} points left out; {found.bad.sum()} bad pixels',
        along=task.axis, across='yx'['xy'.index(task.axis)], data=lamp.spectrum, fit=lamp.curve, used=lamp.used,
        profile=found.profile, lit=found.lit.any(axis=1),
        least=None if isinstance(args.lit, slice) else args.lit)  # fmt: skip
    return plots.response.picture(curves, task.plot[-3:].lower())


def _report(task: _Task, found: Any, job: cli.Job) -> None:
    name, lamp = task.output or task.plot, found.lamp
    job.detail(
        f'{name}: {found.lit.any(axis=1).sum()} lit rows, residual rms {lamp.rms:.3g}, {found.bad.sum()} bad pixels'
    )
    if dark := pixels.stats.distribution(lamp.curve).nbad:
        job.say(f'{name}: {dark} of {len(lamp.used)} points at the ends of the spectrum have no light: FLAT is 1 there')
    if lost := pixels.stats.distribution(found.flat).nbad:
        job.say(f'{name}: {lost} pixels of the lit part have no value: NaN')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, flat_response, argv)
