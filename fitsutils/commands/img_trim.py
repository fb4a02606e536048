"""Take the overscan off raw images, cut it away, and join what several amplifiers read.

What is subtracted of each amplifier is the level of its own overscan: one
number, one of each row (of each column, where the overscan lies above or
below), or a curve through those. All is worked out in float64; NaN, infinite
and BLANK pixels are left out and stay missing. The result is float32, or
float64 where 32-bit values need it.

Sections are FITS sections of the raw image: x first, counted from 1, both ends
included, * for a whole axis: [61:2100,21:2032]. They come from, in this order
  options   --amp once for each amplifier, or --overscan, with --trim
  --preset  the name of a camera in the table below
  header    BIASSEC with TRIMSEC or else DATASEC; for several amplifiers
            BIASSECA, TRIMSECA, DATASECA ... or BSEC11, TSEC11, DSEC11, ASEC11
            ..., placed by CCDSECA ... or CSEC11 ... where those are there;
            COVER and ROVER with DATASEC (Lick)
  table     by INSTRUME, binning and size: kosmos, dis, nickel, kast
--trim keeps no more than this part of the pixels; a part behind the file's
name, file.fits[x1:x2,y1:y2], does the same. When nothing is known, a value is
UNKNOWN, or a section leaves the image, that is an error. --dry-run shows what
would be taken. --preset FILE adds lines to the table, before the others:
  NAME KEYWORD=PATTERN XBINxYBIN NAXIS1xNAXIS2 GUARD DATA:BIAS...
  mycam INSTRUME=my*cam 1x1 2148x* 7,10 [1:1024,*]:[2049:2098,*] ...

--fit KIND, the default first:
  level         one level of each amplifier and image
  row           a value of each row, or of each column
  poly:N        the polynomial of degree N through those; chebyshev:N and
                legendre:N are the same curve, sound for higher degrees
  spline:N      a cubic spline of N pieces
  none          nothing is subtracted: cut and join only
--stat is how the value comes from its pixels. --clip K leaves out pixels
beyond K standard deviations of the median, then lines beyond K of the curve,
again and again. Every plane of a cube has its own values.

In the header: OSFIT, OSSTAT, OSGUARD, OSCLIP; for amplifier n OSDATn and
OSSECn (raw pixels and overscan used), OSLEVn (level), OSSIGn (scatter of the
overscan pixels about it: the read noise), OSRMSn (of the lines about the
curve), OSREJn (pixels clipped). DATASEC, CCDSEC, LTV and all world coordinates
follow cuts, flips and rotations; BIASSEC and TRIMSEC go. An image that is
trimmed already is refused.

--gain makes electrons of the pixels (BUNIT), and the keyword that it names 1.
--uncertainty, with --gain and --rdnoise, adds the extensions UNCERT, the
standard deviation sqrt(max(electrons, 0) + rdnoise^2), and MASK, as CCDData
reads them. --section only cuts, and takes no overscan: '[*,*]' keeps all, for
--flip, --rotate or --gain alone.

Examples
--------
  img_trim 'b*.fits' --prefix t_                        # as the headers say
  img_trim 'b*.fits' --dry-run --prefix t_              # where would the sections be?
  img_trim raw.fits --overscan '[3:52,*]' --trim '[54:2100,*]' --fit chebyshev:3 --clip 3 -o raw_t.fits
  img_trim 'kosmos.*.fits' --preset kosmos --gain 0.6 --rdnoise 5 --uncertainty -o t
  img_trim two.fits --amp '[1:512,*]:[1025:1056,*]' --amp '[513:1024,*]:[1057:1088,*]' --guard 2 -o t.fits
  img_trim 'cam*.fits' --preset mycameras.txt --fit row --stat mean --clip 3 -o trimmed/
  img_trim sky.fits --section '[61:2100,21:2032]' --flip x --rotate 90 -o sky_t.fits
  img_trim 'b*.fits' --prefix t_ -q && img_log 't_b*.fits' -k Filename,OSLEV1,OSSIG1,OSLEV2,OSSIG2
"""

import argparse
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files, pixels
from fitsutils.errors import UsageError, refusing

_FIT = re.compile(r'(level|row|none)\Z|(poly|chebyshev|legendre|spline):(\d{1,3})\Z')
_GUARD = re.compile(r'(\d{1,6})(?:,(\d{1,6}))?\Z')
_FROM_OVERSCAN = 'overscan'
_TEXTS = {'UNCERT': 'standard deviation of the pixels', 'MASK': '1 where a pixel has no value'}


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_trim', __doc__)
    parser.share('images', 'output', 'prefix', 'force', 'skip-existing')
    parser.add_argument('--overscan', metavar='SEC', help='the overscan of a detector with one amplifier')
    parser.add_argument('--trim', metavar='SEC', help='the pixels to keep')
    parser.add_argument('--amp', action='append', default=[], metavar='DATA:BIAS', dest='amplifiers',
        help='pixels and overscan of an amplifier (repeatable); with --fit none DATA will do')  # fmt: skip
    parser.add_argument('--preset', action='append', default=[], metavar='NAME|FILE|auto',
        help='sections of this camera, whatever the header says; a file with more cameras (repeatable)')  # fmt: skip
    parser.share('section', help='cut to this part and take no overscan')
    parser.add_argument('--fit', type=_fit, metavar='KIND',
        help='level, row, poly:N, chebyshev:N, legendre:N, spline:N or none (default: level)')  # fmt: skip
    parser.add_argument('--stat', choices=('median', 'mean'), help='of the overscan pixels (default: median)')
    parser.add_argument('--clip', type=float, metavar='K', help='leave out what lies beyond K sigma, repeatedly')
    parser.add_argument('--guard', type=_guard, metavar='N[,M]',
        help="leave out N columns at the overscan's first edge and M (default: N) at its last one, or rows "
        "(default: the preset's, 2 with COVER, else 0)")  # fmt: skip
    parser.add_argument('--gain', type=cli.word_list, metavar='G[,G...]',
        help='multiply by electrons per data number: a number or keyword, for all amplifiers or for each')  # fmt: skip
    parser.add_argument('--rdnoise', type=cli.word_list, metavar='R[,R...]',
        help="read noise in electrons, for --uncertainty: numbers or keywords; 'overscan': as it scatters")  # fmt: skip
    parser.add_argument('--uncertainty', action='store_true', help='write the extensions UNCERT and MASK')
    parser.add_argument('--flip', choices=('x', 'y', 'both'), help='then turn these axes round')
    parser.add_argument('--rotate', type=int, choices=(90, 180, 270), help='then rotate, counter-clockwise')
    parser.add_argument('--force-again', action='store_true', help='also what is trimmed, or in electrons, already')
    parser.share('dry-run', 'dtype', 'compress', 'set', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


def _fit(text: str) -> tuple[str, int]:
    match = _FIT.match(text.strip().lower())
    if match is None or (match[2] == 'spline' and match[3].strip('0') == ''):
        raise argparse.ArgumentTypeError(
            f'{text.strip()!r} is not level, row, poly:N, chebyshev:N, legendre:N, spline:N or none'
        )
    return match[1] or match[2], int(match[3] or 0)


def _guard(text: str) -> tuple[int, int]:
    match = _GUARD.match(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not N or N,M')
    return int(match[1]), int(match[2] or match[1])


class _Task(NamedTuple):
    """One output: the image, where its amplifiers lie, what each reads, its read noise; and the output's path."""

    image: Any
    layout: Any
    parts: list[Any]
    noises: list[float]
    output: str


class _Result(NamedTuple):
    """Pixels of the joined image, their uncertainty, and what the overscan of each amplifier gave."""

    pixels: Any
    uncertainty: Any
    measured: list[Any]


def img_trim(args: argparse.Namespace, job: cli.Job) -> None:
    """Write each image without its overscan."""
    _refuse_contradictions(args)
    fit = pixels.overscan.Fit(*(args.fit or ('level', 0)), args.stat or 'median', args.clip)
    cards = [files.header.parse_card(text) for text in args.cards]
    tasks = _plan(args, fit)
    if args.dry_run:
        for task in tasks:
            job.say(f'{task.image.name}: {"; ".join(_words(task, args))} -> {task.output}')
            job.wrote(task.output)
        return
    files.output.make_folder(args.output)

    def begin(task: _Task) -> tuple[_Result, Callable[[], None]]:
        with refusing(task.layout.source, task.image.path):
            result = _trimmed(task, fit, args)
        return result, files.writer.begin_fits(task.output, _parts(task, result, fit, args, cards))

    with job.progress(len(tasks), 'images') as progress:
        for task, result, error in cli.flushed_behind(begin, tasks):
            with job.attempt():
                if error is not None:
                    raise error
                _report(task, result, args, job)
                job.wrote(task.output)
            progress.step()


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Options that do not go together, or that would do nothing."""
    kind = args.fit and args.fit[0]
    how = [name for name in ('stat', 'clip', 'guard') if getattr(args, name) is not None]
    where = [f'--{name}' for name, found in (('overscan', args.overscan), ('amp', args.amplifiers),
             ('preset', [word for word in args.preset if word.lower() != 'auto'])) if found]  # fmt: skip
    rules = [
        (args.section is not None and bool(where or how or args.trim or args.fit),
         '--section takes no overscan: not with --overscan, --trim, --amp, --preset, --fit, --stat, --clip or --guard'),
        (len(where) > 1, f'{" and ".join(where)} exclude each other'),
        (kind == 'none' and bool(how), f'--fit none takes no overscan: not with --{how[0] if how else ""}'),
        (kind == 'none' and args.overscan is not None, '--fit none takes no overscan: not with --overscan'),
        (args.clip is not None and not 0 < args.clip < math.inf, '--clip takes a number of sigma above 0'),
        (args.uncertainty and not (args.gain and args.rdnoise), '--uncertainty needs --gain and --rdnoise'),
        (args.rdnoise is not None and not args.uncertainty, '--rdnoise goes with --uncertainty'),
        (args.rdnoise == [_FROM_OVERSCAN] and (kind == 'none' or args.section is not None),
         '--rdnoise overscan needs an overscan'),
        (args.gain == [] or args.rdnoise == [], '--gain and --rdnoise take numbers or keywords'),
    ]  # fmt: skip
    for wrong, rule in rules:
        if wrong:
            raise UsageError(rule)


def _plan(args: argparse.Namespace, fit: Any) -> list[_Task]:
    """What is to be done, every refusal made."""
    region = files.section.chosen(None, None, args.section)
    wanted = _wanted(args, fit)
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    outputs = files.naming.output_names(paths, args.output, prefix=args.prefix, compress=args.compress)
    todo = files.output.check_outputs(
        outputs, paths, force=args.force, skip_existing=args.skip_existing, new_folder=args.output
    )
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    keywords = (*files.detector.KEYWORDS, *files.trimming.KEYWORDS)
    tasks = []
    for reference, output, wanting in zip(references, outputs, todo, strict=True):
        if wanting:
            image = files.reader.open_image(reference, hdu, region, keywords=keywords)
            tasks.append(_task(image, output, wanted, fit, args))
    return tasks


def _wanted(args: argparse.Namespace, fit: Any) -> Any:
    """Where the options say that the sections are; None with --section, where it does not matter."""
    if args.section is not None:
        return None
    table, name = files.presets.table_from(args.preset)
    amplifiers = tuple(files.section.parse_pair(text) for text in args.amplifiers)
    if fit.kind != 'none' and any(bias is None for _, bias in amplifiers):
        raise UsageError('--amp takes DATA:BIAS; DATA alone goes with --fit none')
    overscan, trim = (
        None if text is None else files.section.parse_section(text) for text in (args.overscan, args.trim)
    )
    return files.detector.Wanted(overscan, trim, amplifiers, name, table, fit.kind != 'none')


def _task(image: Any, output: str, wanted: Any, fit: Any, args: argparse.Namespace) -> _Task:
    if not args.force_again and wanted is not None:
        files.trimming.refuse_trimmed(image)
    if not args.force_again and args.gain:
        files.trimming.refuse_electrons(image)
    layout = files.detector.cut_layout(image) if wanted is None else files.detector.find_layout(image, wanted)
    names = [amplifier.name for amplifier in layout.amplifiers]
    gains = files.trimming.numbers_for(args.gain or ['1'], names, image, '--gain', zero=False)
    noises, parts = [], []
    if args.rdnoise not in (None, [_FROM_OVERSCAN]):
        noises = files.trimming.numbers_for(args.rdnoise, names, image, '--rdnoise')
    with refusing(layout.source, image.path):
        for amplifier, gain in zip(layout.amplifiers, gains, strict=True):
            strip = amplifier.bias and pixels.overscan.strip_beside(
                amplifier.data, amplifier.bias, fit, args.guard or layout.guard
            )
            data = amplifier.data if wanted is not None else amplifier.place  # of the part that is read
            parts.append(pixels.overscan.Part(data, amplifier.place, strip, gain))
    if wanted is not None:
        image = image.of_planes(*(slice(0, length) for length in image.full_shape[-2:]))
    return _Task(image, layout, parts, noises, output)


def _trimmed(task: _Task, fit: Any, args: argparse.Namespace) -> _Result:
    """The pixels of one image, and what their overscan says."""
    image = task.image
    with files.reader.unpacked([image], max_size=args.max_size, tiles=len(image.shape) > 2):
        files.reader.verify_checksum(image, args.checksum)
        planes = image.planes()
        raw = (files.reader.read_pixels(plane).reshape(image.shape[-2:]) for plane in planes)
        found, measured = pixels.overscan.trim(raw, len(planes), task.layout.shape, task.parts, fit)
    found = found.reshape(*image.shape[:-2], *task.layout.shape)
    if not args.uncertainty:
        return _Result(found, None, measured)
    noises = task.noises or [each.scatter * part.gain for each, part in zip(measured, task.parts, strict=True)]
    return _Result(found, pixels.noise.of_amplifiers(found, [part.place for part in task.parts], noises), measured)


def _parts(
    task: _Task, result: _Result, fit: Any, args: argparse.Namespace, cards: Sequence[tuple[str, Any]]
) -> list[Any]:
    """The images of the output file with their headers."""
    header = _header(task, result, fit, args)
    for key, content in cards:
        header[key] = content
    pictures = {'': result.pixels}
    if args.uncertainty:
        pictures |= {'UNCERT': result.uncertainty, 'MASK': pixels.noise.missing(result.pixels)}
    pictures = {name: pixels.orientation.turned(each, args.flip, args.rotate) for name, each in pictures.items()}
    if args.dtype is not None:
        with refusing(f'--dtype {args.dtype}', task.output):
            pictures[''] = pixels.arithmetic.as_type(pictures[''], args.dtype)
    heads = [header, *(files.provenance.map_header(name, header, _TEXTS[name]) for name in pictures if name)]
    return list(zip(pictures.values(), heads, strict=True))


def _header(task: _Task, result: _Result, fit: Any, args: argparse.Namespace) -> Any:
    image, layout, only_cut = task.image, task.layout, args.section is not None
    header = files.trimming.trimmed_header(image, layout.window, [image.name, *_words(task, args, result.measured)])
    windows = [part.strip and part.strip.window for part in task.parts]
    if not only_cut:
        files.trimming.settle_sections(header, layout)
        guard = args.guard or layout.guard
        for card in files.trimming.overscan_cards(fit, guard, layout, windows, result.measured):
            header[card[0]] = card[1:]
    if args.gain:
        names = [amplifier.name for amplifier in layout.amplifiers]
        files.trimming.to_electrons(header, [part.gain for part in task.parts], args.gain, names)
    if args.gain or result.measured:
        files.trimming.drop_limits(header)
    turn = files.turning.turn_of(args.flip, args.rotate)
    files.turning.turn_header(header, turn, tuple(reversed(layout.shape)), image.path)
    return header


def _words(task: _Task, args: argparse.Namespace, measured: Sequence[Any] = ()) -> list[str]:
    """What is done to an image, in words: a line for each amplifier, one for the rest."""
    lines = [f'sections: {task.layout.source}']
    for number, (amplifier, part) in enumerate(zip(task.layout.amplifiers, task.parts, strict=True)):
        words = files.amplifiers.words_of(amplifier.data)
        if part.strip is not None:
            words += f' less {files.amplifiers.words_of(part.strip.window)}'
        if measured:
            words += f', level {measured[number].level:.6g}, scatter {measured[number].scatter:.4g}'
        lines.append(words + (f', times {part.gain:g}' if args.gain else ''))
    turned = [f'flip {args.flip}'] * (args.flip is not None) + [f'rotate {args.rotate}'] * (args.rotate is not None)
    return lines + [', '.join(turned)] * bool(turned)


def _report(task: _Task, result: _Result, args: argparse.Namespace, job: cli.Job) -> None:
    for line in _words(task, args, result.measured):
        job.detail(f'{task.output}: {line}')
    lines = sum(map(pixels.overscan.lines_without, result.measured))
    if lines:
        job.say(f'{task.output}: {lines} rows or columns have no good overscan pixel: NaN')
    drifts = [f'{each.drift:.3g}' for each in result.measured if each.drift > each.scatter]
    if drifts:
        job.say(f'{task.output}: the overscan drifts by {" and ".join(drifts)} adu: --fit row or a curve follows it')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_trim, argv)
