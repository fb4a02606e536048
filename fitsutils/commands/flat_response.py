"""Take the lamp out of a long-slit flat: what is left is the response of the pixels.

FLAT is a combined flat without bias. The rows that the slit lights are found,
their mean spectrum is averaged over a few pixels and its logarithm fitted, and
the flat is divided by the fit and by its median over the lit part: it is 1 on
the average there and 1 outside. NaN, infinite and masked pixels are left out;
points of the spectrum without light (<= 0), or off their neighbours, too.

The output holds the images FLAT (in the primary HDU, so that the file itself
can be divided by), LIT and BADPIX (0 or 1; a pixel is bad that is missing,
masked, further than --bad from the median of the 7 x 7 around it, or lit with a
response below 0.2, as behind a tilted edge of the slit), and the table RESPONSE
(pixel, from 1; data, the lamp's spectrum; fit; used). An extension UNCERT, VAR
or IVAR of the flat gives one more, UNCERT.

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
from typing import Any

from fitsutils import cli, files, pixels, plots
from fitsutils.errors import UsageError

_METHODS = ('poly', 'spline', 'median')


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


def flat_response(args: argparse.Namespace, job: cli.Job) -> None:
    """Write each flat without its lamp."""
    if args.output is None and args.prefix is None:
        raise UsageError('-o or --prefix must name the output')
    if args.method == 'median' and (args.order or 1) % 2 == 0:
        raise UsageError(f'-k {args.order}: the window of a median is odd')
    from fitsutils.steps import responses  # here, because it loads numpy, for which no usage error waits

    fit = pixels.response.Fit(args.method, args.order or pixels.response.ORDERS[args.method], args.clip, args.box)
    settings = responses.Settings(
        fit, order=args.order, axis=args.dispersion, lit=args.lit, bad=args.bad, dtype=args.dtype or 'float32',
        checksum=args.checksum, max_size=args.max_size)  # fmt: skip
    cards = [files.header.parse_card(text) for text in args.cards]
    tasks = _plan(args, settings)
    if not args.dry_run:
        files.output.make_folder(args.output)
    with job.progress(len(tasks), 'flats') as progress:
        for task, output, plot in tasks:
            with job.attempt():
                if not args.dry_run:
                    found = responses.find(task, settings)
                    _write(task, found, settings, output, plot, cards)
                    _report(output or plot, found, job)
                for path in filter(None, (output, plot)):
                    job.wrote(path)
            progress.step()


def _plan(args: argparse.Namespace, settings: Any) -> list[tuple[Any, str | None, str | None]]:
    """What is to be done, its output and its plot, every refusal made."""
    from fitsutils.steps import responses

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
            tasks.append((responses.prepare(image, mask, settings), *names))
    return tasks


def _plot_names(paths: list[str], plot: str | None) -> list[str]:
    if plot is None:
        return []
    names = files.pictures.output_names(paths, plot, '.png')
    if not names[0].lower().endswith(plots.response.KINDS):
        raise UsageError(f'--plot {plot}: .png or .pdf is wanted')
    return names


def _write(
    task: Any, found: Any, settings: Any, output: str | None, plot: str | None, cards: Sequence[tuple[str, Any]]
) -> None:
    from fitsutils.steps import responses

    picture = b'' if plot is None else plots.response.picture(_curves(task, found, settings), plot[-3:].lower())
    if output is not None:
        files.writer.write_fits(output, responses.parts(task, found, settings, cards))
    if plot is not None:
        with files.output.complete_file(plot) as file:
            file.write(picture)


def _curves(task: Any, found: Any, settings: Any) -> Any:
    from fitsutils.steps import responses

    lamp = found.lamp
    return plots.response.Curves(
        title=files.pictures.title('filename', task.image),
        note=f'{responses.words(settings.fit)}; residual rms {100 * lamp.rms:.3g} %; '
        f'{(~lamp.used).sum()} of {len(lamp.used)} points left out; {found.bad.sum()} bad pixels',
        along=task.axis, across='yx'['xy'.index(task.axis)], data=lamp.spectrum, fit=lamp.curve, used=lamp.used,
        profile=found.profile, lit=found.lit.any(axis=1),
        least=None if isinstance(settings.lit, slice) else settings.lit)  # fmt: skip


def _report(name: str, found: Any, job: cli.Job) -> None:
    lamp = found.lamp
    job.detail(
        f'{name}: {found.lit.any(axis=1).sum()} lit rows, residual rms {lamp.rms:.3g}, {found.bad.sum()} bad pixels'
    )
    if found.nfaint:
        job.say(f'{name}: {found.nfaint} pixels at the edges of the lit part have a response below 0.2: in BADPIX')
    if dark := pixels.stats.distribution(lamp.curve).nbad:
        job.say(f'{name}: {dark} of {len(lamp.used)} points at the ends of the spectrum have no light: FLAT is 1 there')
    if lost := pixels.stats.distribution(found.flat).nbad:
        job.say(f'{name}: {lost} pixels of the lit part have no value: NaN')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, flat_response, argv)
