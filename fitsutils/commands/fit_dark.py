"""Dark current: the straight line of counts against exposure time.

Prints the line that goes through the mean counts of darks: offset, slope, their
errors, npts, chi2. All darks count alike, with an error of 1 count; --weights
rms takes the measured error of each. The offset is what a dark of 0 s would
have. With the bias subtracted (before, or by --bias) it is what every exposure
has whatever its length, such as the glow of an amplifier. With the bias still
in the darks it is that and the bias: the slope is the same, but no factor
follows from such a line, because a bias does not grow with time.

--scale-to or --like prints the factors (offset + slope t)/(offset + slope t0)
that take the dark of --from to other times; with -o it writes those darks:
ROOT1sec.fit and so on, each with its EXPTIME. A dark that still holds its bias
is not scaled (sub_dark --help says how that is known).

--per-pixel fits a line to every pixel: RATE (counts a second), OFFSET, MASK (1
is bad), RMS and NPTS are the HDUs of the output. Saturated values are left out
of the lines and their pixels are masked. They are found by SATURATE in the
headers, by the largest value of the type, and by the level where pixels stop
rising with time; --saturation takes the place of all three. Also masked is a
pixel without a line, and one whose residuals or rate stand out (--hot).

Examples
--------
  fit_dark 'mean_dark*.fit' -b 600 1100 400 700
  fit_dark raw_dark*.fits --bias mean_bias.fit --stat median --weights rms --format csv --plot dark.png
  fit_dark 'mean_dark*.fit' -b 600 1100 400 700 --scale-to 1,2,5,10 --from mean_dark180.fit
  fit_dark 'mean_dark*.fit' --like 'bsub.00[0-3]?.fit' --from mean_dark180.fit -o dark
  fit_dark dark*.FIT --bias mean_bias.fits --per-pixel -o RATE.fits
  combine_fits sci*.fits --mask 'RATE.fits[MASK]' -o stack.fits
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files, pixels, plots
from fitsutils.errors import QualityFailure, UsageError, refusing

_LINE = ['offset', 'offset_err', 'slope', 'slope_err', 'npts', 'chi2']
_FACTORS = ['EXPTIME', 'factor', 'factor_err']
_DIGITS = 6  # of the table of points


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('fit_dark', __doc__)
    parser.share('images', metavar='DARKS')
    parser.share('bounds', 'section')
    parser.add_argument('--stat', choices=('mean', 'median'), help='counts of a dark (default: mean)')
    parser.add_argument('--clip', type=float, metavar='K',
        help='leave out pixels beyond K sigma of the median, repeatedly')  # fmt: skip
    parser.add_argument('--mask', metavar='FILE', help='leave out pixels that are not 0 in this image')
    parser.add_argument('-k', '--key', metavar='KEY', help='keyword of the exposure time (default: EXPTIME)')
    parser.add_argument('--bias', metavar='FILE', help='subtract this bias from the darks first')
    parser.add_argument('--bias-free', action='store_true', help='the darks hold no bias, whatever it seems')
    parser.add_argument('--weights', choices=('unit', 'rms'), default='unit',
        help='unit: an error of 1 count each (default); rms: the error of each mean or median '
        '(with --per-pixel: the scatter of each dark)')  # fmt: skip
    parser.add_argument('--points', action='store_true', help='print the counts of each dark, not their line')
    parser.add_argument('--plot', metavar='FILE', help='draw counts and line: .png or .pdf')
    parser.add_argument('--scale-to', type=_times, metavar='T,...', help='the factors for these exposure times (s)')
    parser.add_argument(
        '--like', metavar='IMAGES', help='the factors for the exposure times of these images, once each'
    )
    parser.add_argument('--from', dest='reference', metavar='DARK',
        help='the dark that is scaled (default: the one of DARKS with the longest time)')  # fmt: skip
    parser.add_argument('--per-pixel', action='store_true', help='a line for every pixel')
    parser.add_argument('--saturation', metavar='V|KEY', help='pixels are saturated from here on; inf: none is')
    parser.add_argument('--hot', type=cli.number_list, metavar='K[,R]',
        help='mask rates beyond K sigma of those around, and residuals beyond R sigma (default: 5; R: K)')  # fmt: skip
    parser.share('output', help='the text; with --scale-to or --like the root of the scaled darks; RATE.fits')
    parser.share('append', 'force', 'skip-existing', 'dry-run', 'format', 'dtype', 'compress', 'set', 'hdu',
                 'long-null', 'jobs', 'memory', 'checksum', 'max-size', 'progress')  # fmt: skip
    return parser


def _times(text: str) -> tuple[float, ...]:
    numbers = cli.number_list(text)
    if not all(0 <= number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a list of exposure times')
    return tuple(dict.fromkeys(numbers))


def fit_dark(args: argparse.Namespace, job: cli.Job) -> None:
    """Fit counts against exposure time: of a region, or of every pixel."""
    _refuse_contradictions(args)
    from fitsutils.steps import darks as frames  # here, because it loads numpy, for which no usage error waits

    region = files.section.chosen(args.bounds, None, args.section)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    mask, bias = files.reader.open_mask(args.mask), frames.open_bias(args.bias, hdu)
    darks = frames.open_darks(references, hdu, region, key=args.key, bias=bias, zero=True)
    files.stack.refuse_unequal_shapes([dark.image for dark in darks])
    frames.check_darks(darks)
    inputs = [dark.image.path for dark in darks] + [each.path for each in (mask, bias) if each is not None]
    if args.per_pixel:
        _per_pixel(args, job, darks, mask, inputs)
    elif _scales(args):
        _scale(args, job, darks, mask, inputs, hdu)
    else:
        _line(args, job, darks, mask, inputs)


def _scales(args: argparse.Namespace) -> bool:
    return args.scale_to is not None or args.like is not None


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Options that do not go together, or that would do nothing."""
    images = args.per_pixel or (_scales(args) and args.output is not None)
    rules = [
        (args.per_pixel and args.output is None, '--per-pixel writes a file: -o RATE.fits'),
        (args.per_pixel and bool(args.bounds or args.section or args.stat or args.clip),
         '-b, --section, --stat and --clip are about the line of a region: not with --per-pixel'),
        (args.per_pixel and bool(args.points or args.plot or args.reference or _scales(args)),
         '--points, --plot, --scale-to, --like and --from go with the line of a region: not with --per-pixel'),
        (not args.per_pixel and bool(args.saturation or args.hot or args.memory or args.jobs),
         '--saturation, --hot, --memory and -j go with --per-pixel'),
        (args.reference is not None and not _scales(args), '--from goes with --scale-to or --like'),
        (args.bias_free and not (_scales(args) or args.per_pixel),
         '--bias-free goes with --scale-to, --like and --per-pixel'),
        (args.bias_free and args.bias is not None, '--bias takes a bias out, and --bias-free says that there is none'),
        (args.points and _scales(args), '--points prints the counts of darks, --scale-to and --like factors'),
        (args.clip is not None and not 0 < args.clip < math.inf, '--clip: the limit must be positive'),
        (args.hot is not None and not (len(args.hot) < 3 and all(number > 0 for number in args.hot)),
         '--hot takes K or K,R, above 0'),
        (not images and bool(args.dtype or args.compress or args.cards),
         '--dtype, --compress and --set are about images: with --per-pixel, or -o and --scale-to or --like'),
        (images and args.format != 'table', '--format is about text'),
        (args.append and (images or _scales(args)), '--append is about the text of -o FILE'),
        (args.plot is not None and args.plot == args.output, '-o and --plot name one file'),
        (args.dry_run and args.output is None and args.plot is None, '--dry-run goes with -o or --plot'),
        (args.plot is not None and not args.plot.lower().endswith(files.pictures.STILL),
         f'--plot {args.plot}: a name that ends in .png or .pdf is wanted'),
    ]  # fmt: skip
    for wrong, rule in rules:
        if wrong:
            raise UsageError(rule)


def _line(args: argparse.Namespace, job: cli.Job, darks: Sequence[Any], mask: Any, inputs: Sequence[str]) -> None:
    """Print the line of a region, or the points that it goes through."""
    wanted = files.output.check_text(
        args.output, inputs, append=args.append, force=args.force, skip_existing=args.skip_existing
    )
    plot = _plot_path(args, inputs)
    if args.dry_run:
        _list(job, [args.output] * wanted + [plot])
    elif wanted or plot:
        points, line = _fitted(args, job, darks, mask)
        if wanted:
            columns, rows = _point_rows(args, points, line) if args.points else _line_rows(args, line)
            text = files.table.render(columns, rows, args.format, digits=_DIGITS)
            job.wrote(files.output.write_text(args.output, text, append=args.append))
        _draw(args, job, plot, points, line)


def _list(job: cli.Job, outputs: Sequence[str | None]) -> None:
    for output in outputs:
        job.wrote(None if output in files.output.STANDARD_OUTPUT else output)


def _plot_path(args: argparse.Namespace, inputs: Sequence[str]) -> str | None:
    """The plot that is to be written, if any."""
    if args.plot is None:
        return None
    todo = files.output.check_outputs([args.plot], inputs, force=args.force, skip_existing=args.skip_existing)
    return args.plot if todo[0] else None


def _fitted(args: argparse.Namespace, job: cli.Job, darks: Sequence[Any], mask: Any) -> tuple[list[Any], Any]:
    """The counts of each dark, and the line through them."""
    from fitsutils.steps import darks as frames

    read, points = files.reader.Reader(args.checksum, args.max_size), []
    with job.progress(len(darks), 'darks') as progress:
        for dark in darks:
            points.append(frames.measure(dark, read, _stat(args), mask, args.clip))
            progress.step()
    line = frames.fit(points, weigh=args.weights == 'rms')
    off = frames.off_the_line(points)
    if off is not None:
        job.say(f'{off[0].dark.image.path}: it lies {off[1]:+.4g} counts off the line of the other darks')
    offset, slope = _words(line)
    job.detail(f'counts = {" +/- ".join(offset)} + {" +/- ".join(slope)} x exposure time, {line.npts} darks')
    return points, line


def _stat(args: argparse.Namespace) -> str:
    return args.stat or 'mean'


def _words(line: Any) -> tuple[tuple[str, str], tuple[str, str]]:
    """Offset and slope, rounded for people."""
    return files.table.rounded(line.offset, line.offset_error), files.table.rounded(line.slope, line.slope_error)


def _line_rows(args: argparse.Namespace, line: Any) -> tuple[list[str], list[list[Any]]]:
    if args.format == 'table':
        words = [word for pair in _words(line) for word in pair]
        return _LINE, [[*words, line.npts, f'{line.chi2:.3g}']]
    return _LINE, [[line.offset, line.offset_error, line.slope, line.slope_error, line.npts, line.chi2]]


def _point_rows(args: argparse.Namespace, points: Sequence[Any], line: Any) -> tuple[list[str], list[list[Any]]]:
    rows = [
        [point.dark.image.part(), point.dark.time, point.num, point.counts, point.rms, point.error,
         point.counts - float(line.at(point.dark.time))]
        for point in points
    ]  # fmt: skip
    return ['FileName', args.key or 'EXPTIME', 'num', _stat(args), 'rms', 'error', 'residual'], rows


def _draw(args: argparse.Namespace, job: cli.Job, path: str | None, points: Sequence[Any], line: Any) -> None:
    if path is None:
        return
    offset, slope = _words(line)
    errors = [point.error for point in points] if args.weights == 'rms' else None
    notes = {'offset': ' \N{PLUS-MINUS SIGN} '.join(offset), 'slope': ' \N{PLUS-MINUS SIGN} '.join(slope),
             'npts': str(line.npts), 'chi2': f'{line.chi2:.4g}'}  # fmt: skip
    plot = plots.line.line_plot(
        [point.dark.time for point in points], [point.counts for point in points], errors, (line.offset, line.slope),
        notes=notes, title='Dark counts against exposure time', x_label='exposure time (s)',
        y_label=f'{_stat(args)} counts',
    )  # fmt: skip
    with refusing('--plot', path), files.output.complete_file(path) as file:
        file.write(plots.line.picture(plot, path[-3:].lower()))
    # Standard output is the table's, where that goes there.
    if args.output in files.output.STANDARD_OUTPUT:
        job.detail(f'-> {path}')
    else:
        job.wrote(path)


def _scale(
    args: argparse.Namespace, job: cli.Job, darks: Sequence[Any], mask: Any, inputs: list[str], hdu: Any
) -> None:
    """Print the factors that take a dark to other exposure times, or write the scaled darks."""
    from fitsutils.steps import darks as frames

    times = list(args.scale_to or ())
    if args.like is not None:
        images = frames.open_darks(files.inputs.expand([args.like], null=args.null), hdu, key=args.key)
        inputs += [image.image.path for image in images]
        times += sorted({image.time for image in images} - set(times))
    base = frames.base_dark(darks, args.reference, hdu, args.key)
    names = [] if args.output is None else files.naming.timed_names(args.output, base.name, times, args.compress)
    todo = files.output.check_outputs(names, [*inputs, base.image.path], force=args.force,
                                      skip_existing=args.skip_existing, new_folder=args.output)  # fmt: skip
    chosen = [name for name, wanted in zip(names, todo, strict=True) if wanted]
    plot = _plot_path(args, [*inputs, base.image.path])
    if args.dry_run:
        _list(job, [*chosen, plot])
        return
    if names and not chosen and not plot:
        return
    points, line = _fitted(args, job, darks, mask)
    data = base.read(files.reader.Reader(args.checksum, args.max_size))
    level = frames.level_of(data)
    left = None if base.bias is not None or args.bias_free else frames.bias_left(base.image, *level)
    frames.refuse_to_scale(base, level, float(line.at(base.time)), left)
    with refusing('--scale-to' if args.like is None else '--like', base.image.path):
        factors = pixels.darkcurrent.scale_factors(line.offset, line.slope, times, base.time).tolist()
    if not names:
        errors = pixels.darkcurrent.factor_errors(line, times, base.time).tolist()
        rows = list(map(list, zip(times, factors, errors, strict=True)))
        if args.format == 'table':
            rows = [[time, *map(_two_digits, numbers)] for time, *numbers in rows]
        files.output.write_text(None, files.table.render(_FACTORS, rows, args.format))
    tasks = [task for task in zip(times, factors, names, strict=False) if task[-1] in chosen]
    _write_scaled(args, job, base, data, line, tasks)
    _draw(args, job, plot, points, line)


def _two_digits(number: float) -> str:
    return f'{number:.2f}' if number >= 0.1 or number == 0 else f'{number:.2g}'


def _write_scaled(
    args: argparse.Namespace, job: cli.Job, base: Any, data: Any, line: Any,
    tasks: Sequence[tuple[float, float, str]],
) -> None:  # fmt: skip
    from fitsutils.steps import darks as frames

    cards = [files.header.parse_card(text) for text in args.cards]
    if tasks:
        files.output.make_folder(args.output)
    with job.progress(len(tasks), 'darks') as progress:
        for time, factor, name in tasks:
            with job.attempt():
                with refusing(f'--dtype {args.dtype}', name):
                    part = frames.scaled_dark(base, data, line, time, factor, args.key, cards, args.dtype)
                files.writer.write_fits(name, [part])
                job.wrote(name)
            progress.step()


def _per_pixel(args: argparse.Namespace, job: cli.Job, darks: Sequence[Any], mask: Any, inputs: Sequence[str]) -> None:
    """Write RATE.fits: rates, offsets and bad pixels."""
    from fitsutils.steps import darkrates

    cards = [files.header.parse_card(text) for text in args.cards]
    output = files.naming.one_output(args.output, args.compress)
    if not files.output.check_outputs([output], inputs, force=args.force, skip_existing=args.skip_existing)[0]:
        return
    hot = args.hot or (5.0,)
    settings = darkrates.PerPixel(
        args.saturation, hot[0], hot[-1], args.weights == 'rms', args.key, args.mask, args.bias_free,
        args.jobs or cli.default_jobs(), args.memory or cli.default_memory(), args.max_size, args.checksum,
        args.dtype or 'float32',
    )  # fmt: skip
    height = darkrates.check_pixels(darks, settings)
    if not args.dry_run:
        rates = darkrates.fit_pixels(darks, mask, height, settings, job.progress)
        files.writer.write_fits(output, darkrates.rate_parts(darks, rates, settings, cards))
    job.wrote(output)
    if not args.dry_run:
        _report(job, output, rates)


def _report(job: cli.Job, output: str, rates: Any) -> None:
    words = ', '.join(f'{count} {name}' for name, count in rates.bad.counts().items())
    job.detail(f'{output}: of {rates.bad.mask.size} pixels {int(rates.bad.mask.sum())} are masked: {words}')
    if rates.lost == rates.bad.mask.size:
        raise QualityFailure(f'{output}: no pixel has a line')
    if rates.lost:
        job.say(f'{output}: {rates.lost} pixels have no line: NaN')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, fit_dark, argv)
