"""Combine a stack of images into one, pixel by pixel.

NaN, infinite and BLANK pixels are left out; a pixel with nothing left is NaN
and counted. Levels (-n, -a, -u) are measured on all good pixels, or on
--section. The stack is read in bands of rows, so its size does not matter; one
image at a time is read whole where a level is wanted. std, rms and var are
about the mean, divided by n. The header is the first image's.

Examples
--------
  combine_fits '20210227.004[1-9].fit,20210227.0050.fit' -m mean -o mean_bias.fit
  combine_fits -m median -c max -d 1 -n mean -u 'dbsub.000[1-5].fit' -o oiii_flat.fit
  combine_fits -m average -a mean dbsub.00??.fit -o flat.fit    # weighted by each image's mean
  combine_fits -m mean -c minmax -d 1,2 fdb.*.fit -o m1.fit     # drop the lowest and the two highest
  combine_fits -m quantile -a 0.3 sky*.fits -o sky.fits
  combine_fits -r cube.fits -o plane.fits                       # the planes of a cube
"""

import argparse
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files, pixels
from fitsutils.errors import Failure, UsageError, refusing

_METHODS = ('average', 'max', 'mean', 'median', 'min', 'quantile', 'rms', 'std', 'sum', 'var')
_WEIGHTS = ('mean', 'median', 'sum')


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
    parser.add_argument('-c', '--clip', choices=('none', 'min', 'max', 'minmax'), default='none',
        help='drop the lowest, the highest or both values of every pixel')  # fmt: skip
    parser.add_argument('-d', '--drop', type=_drop, metavar='N|NLOW,NHIGH', help='how many -c drops (default: 1)')
    parser.add_argument('-n', '--normalize', choices=('none', 'mean', 'median', 'mode', 'sum'), default='none',
        help="scale each image to the first one's level before all else")  # fmt: skip
    parser.add_argument('-u', '--unit', action='store_true', help='divide the result by its mean')
    parser.add_argument(
        '-s', '--shift', type=int, default=0, metavar='BITS', help='shift integers left (+) or right (-) first'
    )
    parser.add_argument('-r', '--planes', action='store_true', help='combine the planes of cubes into one plane')
    parser.share('section', help='measure levels here: FITS terms, one-based, both ends included')
    parser.add_argument(
        '--skip-bad', action='store_true', help='go on without files that can not be read, and say so in the header'
    )
    parser.share(
        'dry-run', 'dtype', 'compress', 'set', 'hdu', 'long-null', 'memory', 'checksum', 'max-size', 'progress'
    )
    return parser


def _drop(text: str) -> tuple[int, int]:
    numbers = cli.number_list(text)
    if len(numbers) > 2 or any(number < 0 or not number.is_integer() for number in numbers):
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not N or NLOW,NHIGH')
    return int(numbers[0]), int(numbers[-1])


def combine_fits(args: argparse.Namespace, job: cli.Job) -> None:
    """Write the combination of the images."""
    if args.output is None:
        raise UsageError('-o must name the combined image')
    recipe = _recipe(args)
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

    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    images = files.stack.open_stack(references, hdu, planes=args.planes, leave_out=leave_out if args.skip_bad else None)
    _check_stack(images, recipe, args)
    while not args.dry_run:
        try:
            result, method = _combined(images, recipe, args, job)
        except Failure as error:
            # A file may turn out bad only when its pixels are read: the others start again without it.
            left = [image for image in images if image.path != error.path]
            if not args.skip_bad or not left or len(left) == len(images):
                raise
            leave_out(error)
            images = left
            _check_stack(images, recipe, args)
            continue
        _write(output, images, result, method.without(skipped), args.dtype, cards)
        if method.empty:
            job.say(f'{output}: {method.empty} pixels have no value in any image')
        break
    job.wrote(output)


def _recipe(args: argparse.Namespace) -> Any:
    """Method and clipping; options that do not go together are refused."""
    if args.drop is not None and args.clip == 'none':
        raise UsageError('-d goes with -c')
    if args.argument is not None and args.method not in ('average', 'quantile'):
        raise UsageError('-a goes with -m average and -m quantile')
    if args.argument is not None and args.method == 'average' and args.argument not in _WEIGHTS:
        raise UsageError(f'-a {args.argument}: the weights of an average are {", ".join(_WEIGHTS)}')
    low, high = pixels.rejection.rank_counts(args.clip, args.drop or (1, 1))
    return pixels.combining.Recipe(args.method, low, high, _fraction(args), args.shift)


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


def _check_stack(images: Sequence[Any], recipe: Any, args: argparse.Namespace) -> None:
    """Make all refusals that need no pixels."""
    if recipe.low + recipe.high >= len(images):
        dropped = recipe.low + recipe.high
        raise UsageError(f'-c {args.clip} would drop {dropped} of {len(images)} values and leave nothing')
    for image in images:
        with refusing(f'-s {recipe.shift}', image.path):
            pixels.combining.check_shift(image.dtype, recipe.shift)
        _part(image, args)
    _band_height(images, recipe, args)
    scaled = args.normalize != 'none' or args.method in ('sum', 'average')
    headers, names = [image.header for image in images], [image.name for image in images]
    files.header.warn_of_differences(headers, names, ignore=['EXPTIME'] if scaled else [])


def _part(image: Any, args: argparse.Namespace) -> Any:
    """The part of an image on which its level is measured."""
    return image if args.section is None else image.cut(files.section.parse_section(args.section))


def _band_height(images: Sequence[Any], recipe: Any, args: argparse.Namespace) -> int:
    kind = pixels.combining.new_result((0,), [image.dtype for image in images], recipe.shift).dtype
    memory = args.memory or cli.default_memory()
    height = pixels.combining.band_rows(len(images), images[0].shape[-1], kind, memory)
    if height == 0:
        raise Failure(f'--memory does not hold one row of {len(images)} images')
    return height


def _combined(images: Sequence[Any], recipe: Any, args: argparse.Namespace, job: cli.Job) -> tuple[Any, Any]:
    """The combined pixels and how they came about."""
    with files.reader.unpacked(images, max_size=args.max_size):
        for image in images:
            files.reader.verify_checksum(image, args.checksum)
        scales = weights = None
        if args.normalize != 'none':
            scales = pixels.scaling.factors(_levels(images, args.normalize, args, job))
        if args.method == 'average' and args.argument is not None:
            weights = _levels(images, args.argument, args, job)
        result = pixels.combining.new_result(images[0].shape, [image.dtype for image in images], recipe.shift)
        number, height = images[0].rows, _band_height(images, recipe, args)
        with job.progress(number, 'rows') as progress:
            for start in range(0, number, height):
                band = files.stack.read_band(images, start, min(start + height, number))
                values = pixels.combining.combine_band(band, recipe, scales=scales, weights=weights)
                result = pixels.combining.with_rows(result, start, values)
                progress.step(band.shape[1])
    if args.planes:
        result = result.reshape(result.shape[-2:])
    empty, unit = pixels.combining.count_missing(result), None
    if args.unit:
        result, unit = _unit(result, args)
    clip = args.clip + {'none': '', 'min': f' {recipe.low}', 'max': f' {recipe.high}'}.get(
        args.clip, f' {recipe.low},{recipe.high}'
    )
    return result, files.provenance.Method(args.method, clip, args.normalize, scales, weights, unit, empty)


def _levels(images: Sequence[Any], statistic: str, args: argparse.Namespace, job: cli.Job) -> list[float]:
    """The level of each image; one that can't serve as a scale is an error."""
    levels = []
    with job.progress(len(images), 'levels') as progress:
        for image in images:
            part = _part(image, args)
            data = pixels.combining.shifted(files.reader.read_rows(part, 0, part.rows), args.shift)
            levels.append(pixels.scaling.level(data, statistic))
            if not 0 < levels[-1] < float('inf'):
                what = f'its {statistic} is {levels[-1]:.6g}'
                raise Failure(f'{what}: an image is scaled or weighed by a positive level', image.path)
            progress.step()
    return levels


def _unit(result: Any, args: argparse.Namespace) -> tuple[Any, float]:
    region = () if args.section is None else files.section.parse_section(args.section).slices(result.shape)
    unit = pixels.scaling.level(result[region], 'mean')
    if not unit > 0:
        raise Failure(
            f'-u: the mean of the result is {unit:.6g}, and only a positive one can be divided by', args.output
        )
    return pixels.arithmetic.operate(result, '/', unit)[0], unit


def _write(
    output: str, images: Sequence[Any], result: Any, method: Any, dtype: str | None, cards: Sequence[Any]
) -> None:
    if dtype is not None:
        with refusing(f'--dtype {dtype}', output):
            result = pixels.arithmetic.as_type(result, dtype)
    header = files.provenance.combined_header(images, 'combine_fits', method, cards)
    files.writer.write_fits(output, [(result, header), *files.provenance.inputs_table(images, method)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, combine_fits, argv)
