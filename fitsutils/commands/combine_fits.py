"""Combine a stack of images into one, pixel by pixel.

NaN, infinite, BLANK and masked pixels are left out; a pixel with nothing left
is NaN and counted. The images are scaled (-n), shifted in level (-z), then
values are rejected (-c), then what is left is combined (-m). Levels are
measured on all good pixels, or on --section; KEY and @FILE (a number a line,
or NAME NUMBER) give them instead. The first image is the reference. A level to
scale by must be above 0, and a flat (by its IMAGETYP) whose mean is not is
refused whatever -n says; --skip-bad leaves it out. std, rms and var are about
the mean, divided by n. The header is the first image's.

Rejection, -c, and what -d LOW,HIGH means (defaults in brackets):
  min, max, minmax  drop the LOW lowest, HIGH highest, or both (1)
  sigma       beyond so many standard deviations from the median (3); needs
              more than d*d + 1 images to reject a single outlier
  mad         the same with 1.4826 times the median absolute deviation (3)
  winsor      the same with the winsorized standard deviation (3)
  percentile  further from the median than this fraction of it (0.2,0.1)
  ccd         the same with the noise that --gain, --rdnoise and --snoise
              predict (3)
sigma, mad, winsor and ccd go on until nothing more is rejected.

--check holds the result against a condition, in the language of img_log
--where: n is the number of images, level the level of every image before it is
scaled (the statistic of -n, else of -z, else the mean), std, q97.5 and what
else img_stats knows are of the result, and capitals are keywords of its header.
All are measured where the levels are. A result that fails is written, with
CMBCHECK = F, what it fails is said, and the status is 3.

Examples
--------
  combine_fits '20210227.004[1-9].fit,20210227.0050.fit' -m mean -o mean_bias.fit
  combine_fits -m median -c max -d 1 -n mean -u 'dbsub.000[1-5].fit' -o oiii_flat.fit
  combine_fits -m average -a mean dbsub.00??.fit -o flat.fit    # weighted by each image's mean
  combine_fits -m mean -c sigma -d 3 fdb.*.fit -o stack.fit     # IRAF's sigclip
  combine_fits -m mean -c mad -d 4,3 -n EXPTIME -z median fdb.*.fit --maps count,sigma -o deep.fit
  combine_fits -m mean -c ccd --gain EGAIN --rdnoise 8 --mask bad.fits --uncertainty fdb.*.fit -o m1.fit
  combine_fits -n median b_*.fits --check 'n >= 5 and 5000 < level < 60000' --check 'std < 900' -o flat.fits
  combine_fits --offsets wcs -m median fdb.*.fit -o mosaic.fit
  combine_fits -r cube.fits -o plane.fits                       # the planes of a cube
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files, pixels
from fitsutils.errors import Failure, QualityFailure, UsageError, refusing

_METHODS = ('average', 'max', 'mean', 'median', 'min', 'quantile', 'rms', 'std', 'sum', 'var')
_CLIPS = ('none', 'min', 'max', 'minmax', 'sigma', 'mad', 'winsor', 'percentile', 'ccd')
_LEVELS = ('mean', 'median', 'mode', 'sum')
_WEIGHTS = ('mean', 'median', 'sum')
_WEIGHTED = ('average', 'mean')
_UNCERTAIN = ('average', 'mean', 'median', 'sum')
_MAPS = ('count', 'sigma', 'low', 'high', 'exptime', 'mask', 'inputs')


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('combine_fits', __doc__)
    parser.share('images')
    parser.share('output', help='the combined image')
    parser.share('force', 'skip-existing')
    parser.add_argument('-m', '--method', choices=_METHODS, default='median', help='default: median')
    parser.add_argument(
        '-a', '--argument', metavar='ARG',
        help="average: each image's weight is its own mean, median or sum; quantile: 0..1 (default: 0.5)")  # fmt: skip
    parser.add_argument('-c', '--clip', choices=_CLIPS, default='none', help='what is rejected of every pixel')
    parser.add_argument('-d', '--drop', type=_limits, metavar='N|LOW,HIGH', help='how much -c rejects')
    parser.add_argument('--keep', type=cli.positive, metavar='N', help='-c leaves at least so many values')
    parser.add_argument('--gain', metavar='N|KEY', help='-c ccd: electrons per data number')
    parser.add_argument('--rdnoise', metavar='N|KEY', help='-c ccd: read noise in electrons')
    parser.add_argument('--snoise', type=float, metavar='F', help='-c ccd: noise in proportion to the signal')
    parser.add_argument('--grow', type=float, metavar='R', help='-c rejects also what lies within R pixels, per image')
    parser.add_argument(
        '--reject-below', type=float, metavar='V', help='reject values below V: after -s, before -n and -z'
    )
    parser.add_argument('--reject-above', type=float, metavar='V', help='reject values above V')
    parser.add_argument('--all-rejected', choices=('nan', 'median'), default='nan',
        help='a pixel of which all is rejected: NaN, or the median of all its values')  # fmt: skip
    parser.add_argument('-n', '--normalize', default='none', metavar='none|mean|median|mode|sum|KEY|@FILE',
        help="scale each image to the first one's level before all else")  # fmt: skip
    parser.add_argument('-z', '--zero', default='none', metavar='none|mean|median|mode|KEY|@FILE',
        help="add what brings each image, scaled, to the first one's level")  # fmt: skip
    parser.add_argument(
        '--norm-to', type=float, metavar='V', help="-n (without it, -z) brings to V, not to the first image's level"
    )
    parser.share('section', help='measure levels here: FITS terms, one-based, both ends included')
    parser.add_argument('--norm-mask', metavar='FILE', help='leave these pixels out of the levels (not 0: left out)')
    parser.add_argument('-w', '--weight', metavar='KEY|@FILE|ivar',
        help='weigh a mean; ivar: by the inverse variance, from the extensions UNCERT, VAR or IVAR, '
        "else from each image's noise (1.4826 MAD)")  # fmt: skip
    parser.add_argument('-u', '--unit', action='store_true', help='divide the result by its mean')
    parser.add_argument(
        '-s', '--shift', type=int, default=0, metavar='BITS', help='shift integers left (+) or right (-) first'
    )
    parser.add_argument('-r', '--planes', action='store_true', help='combine the planes of cubes into one plane')
    parser.add_argument('--mask', metavar='FILE|KEY',
        help='bad pixels (not 0): one for all, one an image, an extension such as DQ, '
        'or a keyword that names a file')  # fmt: skip
    parser.add_argument('--offsets', metavar='wcs|FILE',
        help='lay the images out in whole pixels, by their WCS or as FILE says: '
        'DX DY or NAME DX DY a line, positive to the right and up')  # fmt: skip
    parser.add_argument('--maps', type=_map_names, default=(), metavar='NAME,...',
        help=f'further HDUs: {", ".join(_MAPS)}, or all')  # fmt: skip
    parser.add_argument('--uncertainty', action='store_true',
        help='write the extensions UNCERT, from the scatter of the values, and MASK; without it '
        'uncertainties that all inputs have in an extension are carried into UNCERT')  # fmt: skip
    parser.add_argument('--min-corr', type=float, metavar='R',
        help='leave out images whose correlation with the median of all is below R')  # fmt: skip
    parser.add_argument('--skip-bad', action='store_true',
        help='go on without files that can not be read or have no level, and say so in the header')  # fmt: skip
    parser.add_argument('--check', action='append', default=[], metavar='CONDITION',
        help="what the result must fulfil, such as 'n >= 5 and 1000 < level < 60000' (repeatable)")  # fmt: skip
    parser.share(
        'dry-run', 'dtype', 'compress', 'set', 'hdu', 'long-null', 'jobs', 'memory', 'checksum', 'max-size', 'progress'
    )
    return parser


def _limits(text: str) -> tuple[float, float]:
    numbers = cli.number_list(text)
    if len(numbers) > 2 or not all(0 <= number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not N or LOW,HIGH')
    return numbers[0], numbers[-1]


def _map_names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(',')))
    names = _MAPS if 'all' in names else names
    if unknown := [name for name in names if name not in _MAPS]:
        raise argparse.ArgumentTypeError(f'{unknown[0]!r} is none of {", ".join(_MAPS)}')
    return names


def combine_fits(args: argparse.Namespace, job: cli.Job) -> None:
    """Write the combination of the images."""
    if args.output is None:
        raise UsageError('-o must name the combined image')
    _refuse_contradictions(args)
    checks = files.checks.Checks(args.check)
    from fitsutils.steps import stacking  # here, because it loads numpy and astropy, for which no usage error waits

    settings = dataclasses.replace(_settings(args), levels=checks.wants_levels)
    cards = [files.header.parse_card(text) for text in args.cards]
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    output = files.naming.one_output(args.output, args.compress)
    if not files.output.check_outputs([output], paths, force=args.force, skip_existing=args.skip_existing)[0]:
        return
    skipped: list[str] = []

    def leave_out(error: BaseException) -> None:
        job.say(f'left out: {cli.reason(error)}')
        skipped.append(cli.reason(error))

    _warn_of_doubles(references, job)
    images = files.stack.open_stack(
        references,
        args.hdu and files.inputs.parse_hdu(args.hdu),
        planes=args.planes,
        leave_out=leave_out if args.skip_bad else None,
        any_size=args.offsets is not None,
        keywords=settings.keywords,
    )
    roster = _roster(references, images)
    stack = _check(images, settings, args, job, roster)
    if not args.dry_run:
        left_out = leave_out if args.skip_bad else None
        stack, result, unlike = _combined(stack, settings, args, job, left_out, roster)
        method = stacking.method(stack, settings, result, skipped, unlike)
        header = _header(stack, result, method, args, cards)
        broken = _broken(checks, header, stack, settings, result)
        _write(output, stack, result, header, method, args)
    job.wrote(output)
    if not args.dry_run:
        _report(output, stack, result, args, job)
        if broken:
            raise QualityFailure(f'{output}: --check: {"; ".join(broken)}')


def _warn_of_doubles(references: Sequence[Any], job: cli.Job) -> None:
    seen: set[str] = set()
    for name in map(str, references):
        if name in seen:
            job.say(f'warning: {name} is named twice, and counts twice')
            return
        seen.add(name)


def _roster(references: Sequence[Any], images: Sequence[Any]) -> list[Any]:
    """All images that were named, in order: lists of numbers and masks count those too that can not be read."""
    opened: dict[int, list[Any]] = {}
    for image in images:
        opened.setdefault(id(image.reference), []).append(image)
    return [
        image for reference in references for image in opened.get(id(reference), [files.perframe.Unread(reference)])
    ]


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Options that do not go together, or that would do nothing."""
    own = args.argument is not None and args.method == 'average'
    rules = [
        (args.drop is not None and args.clip == 'none', '-d goes with -c'),
        (args.argument is not None and args.method not in ('average', 'quantile'),
         '-a goes with -m average and -m quantile'),
        (own and args.argument not in _WEIGHTS,
         f'-a {args.argument}: the weights of an average are {", ".join(_WEIGHTS)}'),
        (own and args.weight is not None, '-a and -w both weigh the images: one of them will do'),
        (args.weight is not None and args.method not in _WEIGHTED, '-w goes with -m mean and -m average'),
        (args.keep is not None and args.clip == 'none', '--keep goes with -c'),
        (args.grow is not None and args.clip == 'none', '--grow goes with -c'),
        (args.grow is not None and not 1 <= args.grow < 1000, '--grow takes a radius in pixels, from 1 and below 1000'),
        (args.clip == 'ccd' and args.gain is None, '-c ccd needs --gain, and takes --rdnoise and --snoise'),
        (args.clip != 'ccd' and bool(args.gain or args.rdnoise or args.snoise),
         '--gain, --rdnoise and --snoise go with -c ccd'),
        (args.norm_to is not None and args.normalize == args.zero == 'none', '--norm-to goes with -n or -z'),
        (args.norm_to is not None and args.normalize != 'none' and not 0 < args.norm_to < math.inf,
         '--norm-to is above 0 with -n'),
        (args.norm_mask and not _measured(args), '--norm-mask goes with a level that is measured, or with --check'),
        (args.section is not None and not _measured(args) and not args.unit,
         '--section goes with a level that is measured, with -u or with --check'),
        (args.min_corr is not None and not -1 <= args.min_corr <= 1, '--min-corr takes a correlation, from -1 to 1'),
        (args.reject_below is not None and args.reject_above is not None and args.reject_below >= args.reject_above,
         '--reject-below is below --reject-above'),
        (any(map(math.isnan, (args.reject_below or 0, args.reject_above or 0))), 'a threshold is a number, not NaN'),
        (args.norm_to is not None and not math.isfinite(args.norm_to), '--norm-to takes a finite number'),
        (args.snoise is not None and not 0 <= args.snoise < math.inf, '--snoise is not below 0'),
        (args.zero == 'sum', '-z sum: a sum is no level to shift by'),
        (args.uncertainty and args.method not in _UNCERTAIN,
         f'--uncertainty is not known for -m {args.method}'),
        (args.all_rejected == 'median' and args.clip == 'none' and args.reject_below is args.reject_above is None,
         '--all-rejected goes with -c, --reject-below or --reject-above'),
    ]  # fmt: skip
    for wrong, rule in rules:
        if wrong:
            raise UsageError(rule)


def _measured(args: argparse.Namespace) -> bool:
    own = args.argument is not None and args.method == 'average'
    return args.normalize in _LEVELS or args.zero in _LEVELS or args.weight == 'ivar' or own or bool(args.check)


def _settings(args: argparse.Namespace) -> Any:
    """What the options say about the stack."""
    from fitsutils.steps import stacking

    maps = {name for name in args.maps if name not in ('mask', 'inputs')}
    maps |= {'count'} if 'mask' in args.maps or args.uncertainty else set()
    maps |= {'uncertainty'} if args.uncertainty else set()
    infinity = math.inf
    try:
        clip = pixels.rejection.clip_for(args.clip, args.drop, keep=args.keep or 0, snoise=args.snoise or 0.0)
    except ValueError as error:
        raise UsageError(f'-d: {error}') from None
    recipe = pixels.combining.Recipe(
        args.method, clip, _fraction(args), args.shift,
        -infinity if args.reject_below is None else args.reject_below,
        infinity if args.reject_above is None else args.reject_above,
        args.grow or 0.0, args.all_rejected == 'median', frozenset(maps))  # fmt: skip
    return stacking.Settings(
        recipe, normalize=args.normalize, zero=args.zero, norm_to=args.norm_to, section=args.section,
        norm_mask=args.norm_mask, weight=args.weight, own_weight=args.argument if args.method == 'average' else None,
        mask=args.mask, offsets=args.offsets, gain=args.gain, rdnoise=args.rdnoise,
        carry=args.method in _UNCERTAIN and not args.uncertainty, unit=args.unit, min_corr=args.min_corr,
        jobs=args.jobs or cli.default_jobs(), memory=args.memory or cli.default_memory(), max_size=args.max_size,
        checksum=args.checksum)  # fmt: skip


def _fraction(args: argparse.Namespace) -> float:
    if args.method != 'quantile' or args.argument is None:
        return 0.5
    try:
        fraction = float(args.argument)
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction <= 1:
        raise UsageError(f'-a {args.argument}: a quantile takes a number from 0 to 1')
    return fraction


def _check(images: Sequence[Any], settings: Any, args: argparse.Namespace, job: cli.Job, roster: Sequence[Any]) -> Any:
    """Make all refusals that need no pixels; the stack, ready to be combined."""
    from fitsutils.steps import stacking

    clip = settings.recipe.clip
    dropped = pixels.rejection.dropped_ranks(clip, len(images))
    if sum(dropped) >= len(images):
        what = f'-c {clip.kind} would drop {sum(dropped)} of {len(images)} values and leave nothing'
        raise UsageError(what) if len(images) == len(roster) else Failure(what)
    stack = stacking.prepare(images, settings, roster)
    if pixels.rejection.cannot_reject(clip, len(images)):
        job.say(_powerless(clip, len(images)))
    scaled = args.normalize != 'none' or args.method in ('sum', 'average') or args.weight is not None
    headers, names = [image.keywords for image in images], [image.name for image in images]
    files.header.warn_of_differences(headers, names, ignore=['EXPTIME'] if scaled else [], also=['IMAGETYP'])
    return stack


def _powerless(clip: Any, number: int) -> str:
    if number < max(3, clip.keep + 1):
        rule = 'fewer than 3' if number < 3 else f'the {clip.keep} of --keep'
        return f'-c {clip.kind} can not reject anything of {number} values: {rule} are all kept'
    farthest = f'none lies more than {math.sqrt(number - 1):.3g} sigma away'
    return f'-c sigma can not reject anything: of {number} values {farthest}; -c mad can'


def _combined(
    stack: Any, settings: Any, args: argparse.Namespace, job: cli.Job, leave_out: Any, roster: Sequence[Any]
) -> tuple[Any, Any, list[str]]:
    """The stack that was combined in the end, its result, and which images were not like the others."""
    from fitsutils.steps import stacking

    unlike: list[str] = []
    while True:
        try:
            return stack, stacking.combine(stack, settings, job.progress), unlike
        except stacking.UnlikeError as error:
            for number, value in error.found.items():
                unlike.append(f'{stack.images[number].name}: correlation {value:.4f} with the median')
                job.say(f'left out: {stack.images[number].path}: its correlation with the median is {value:.4f}')
            left = [image for number, image in enumerate(stack.images) if number not in error.found]
            settings = dataclasses.replace(settings, min_corr=None)
            if not left:
                raise Failure(f'--min-corr {args.min_corr:g} leaves no image to combine') from None
        except Failure as error:
            # A file may turn out bad only when its pixels are read: the others start again without it.
            left = [image for image in stack.images if image.path != error.path]
            if leave_out is None or not left or len(left) == len(stack.images):
                raise
            leave_out(error)
        stack = _check(left, settings, args, job, roster)


def _header(stack: Any, result: Any, method: Any, args: argparse.Namespace, cards: Sequence[Any]) -> Any:
    header = files.provenance.combined_header(stack.images, 'combine_fits', method, cards)
    if args.unit:
        header['BUNIT'] = ('', 'relative to the mean')
    elif 'uncertainty' in result.maps and 'BUNIT' not in header:
        header['BUNIT'] = ('adu', 'unit of the pixels')
    if args.planes:
        files.provenance.drop_axes(header, 2)
    return header


def _broken(checks: Any, header: Any, stack: Any, settings: Any, result: Any) -> list[str]:
    """The conditions of --check that do not hold; the header tells of them."""
    if not checks:
        return []
    from fitsutils.steps import stacking

    found = stacking.statistics(stack, settings, result, checks.statistics)
    levels = [math.nan] * len(stack.images) if result.levels is None else result.levels.tolist()
    broken = checks.broken(header, found, list(zip([image.name for image in stack.images], levels, strict=True)))
    files.checks.note(header, broken)
    return broken


def _write(output: str, stack: Any, result: Any, header: Any, method: Any, args: argparse.Namespace) -> None:
    shape = result.pixels.shape[-2:] if args.planes else result.pixels.shape
    extensions = _extensions(result, args)
    pictures = [result.pixels, *extensions.values()]
    if args.dtype is not None:
        with refusing(f'--dtype {args.dtype}', output):
            pictures[0] = pixels.arithmetic.as_type(pictures[0], args.dtype)
    heads = [header, *(files.provenance.map_header(name, header) for name in extensions)]
    parts = [(picture.reshape(shape), head) for picture, head in zip(pictures, heads, strict=True)]
    table = files.provenance.inputs_table(stack.images, method, wanted='inputs' in args.maps)
    files.writer.write_fits(output, [*parts, *table])


def _extensions(result: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Further images by the names of their extensions."""
    found = {name.upper(): result.maps[name] for name in args.maps if name in result.maps}
    if 'uncertainty' in result.maps:
        found['UNCERT'] = result.maps['uncertainty']
    if 'uncertainty' in result.maps or 'mask' in args.maps:
        found['MASK'] = (result.maps['count'] == 0).astype('u1')
    return found


def _report(output: str, stack: Any, result: Any, args: argparse.Namespace, job: cli.Job) -> None:
    values = math.prod(stack.shape) * len(stack.images)
    job.detail(f'{output}: {result.rejected} values rejected, {100 * result.rejected / values:.3g} %')
    if infinite := pixels.combining.count_infinite(result.pixels):
        job.say(f'{output}: {infinite} pixels are infinite: beyond the range of the numbers')
    if result.lost == math.prod(stack.shape) and args.all_rejected == 'nan':
        raise QualityFailure(f'{output}: nothing is left of any pixel')
    if result.lost:
        filled = ': they have the median of all their values' if args.all_rejected == 'median' else ''
        job.say(f'{output}: {result.lost} pixels have nothing left{filled}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, combine_fits, argv)
