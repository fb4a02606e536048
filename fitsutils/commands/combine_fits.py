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
from fitsutils.errors import Failure, UsageError

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
        help="average: the weight of each image, its own mean, median or sum; quantile: 0..1 (default: 0.5)")  # fmt: skip
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
    if len(numbers) > 2 or any(number < 0 or number != int(number) for number in numbers):
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not N or NLOW,NHIGH')
    return int(numbers[0]), int(numbers[-1])


def combine_fits(args: argparse.Namespace, job: cli.Job) -> None:
    """Write the combination of the images."""
    _check(args)
    cards = [files.header.parse_card(text) for text in args.cards]
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    output = files.naming.one_output(args.output, args.compress)
    if not files.writer.check_outputs([output], paths, force=args.force, skip_existing=args.skip_existing)[0]:
        return
    skipped: list[str] = []
    images = _open(references, args, job, skipped)
    if args.dry_run:
        job.wrote(output)
        return
    while True:
        try:
            result, method = _combined(images, args, job)
            break
        except Failure as error:
            # A file may turn out bad only when its pixels are read: the others start again without it.
            left = [image for image in images if image.path != error.path]
            if not args.skip_bad or not left or len(left) == len(images):
                raise
            _skip(error, job, skipped)
            images = left
    _write(output, images, result, files.provenance.Method(**method, skipped=skipped), args.dtype, cards)
    if method['empty']:
        job.say(f'{output}: {method["empty"]} pixels have no value in any image')
    job.wrote(output)


def _check(args: argparse.Namespace) -> None:
    if args.output is None:
        raise UsageError('-o must name the combined image')
    if args.drop is not None and args.clip == 'none':
        raise UsageError('-d goes with -c')
    if args.argument is None:
        return
    if args.method == 'average' and args.argument not in _WEIGHTS:
        raise UsageError(f'-a {args.argument}: the weights of an average are {", ".join(_WEIGHTS)}')
    if args.method == 'quantile':
        _fraction(args)
    elif args.method != 'average':
        raise UsageError('-a goes with -m average and -m quantile')


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


def _open(references: Sequence[Any], args: argparse.Namespace, job: cli.Job, skipped: list[str]) -> list[Any]:
    """The stack, all refusals made that need no pixels."""
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    images = []
    for reference in references:
        try:
            images.append(files.reader.open_image(reference, hdu))
        except (Failure, OSError) as error:
            if not args.skip_bad:
                raise
            _skip(error, job, skipped)
    if not images:
        raise Failure('no image is left to combine')
    if args.planes:
        images = [plane for image in images for plane in image.planes()]
    files.provenance.refuse_unequal_shapes(images)
    _refuse_options(images, args)
    headers, names = [image.header for image in images], [image.name for image in images]
    scaled = args.normalize != 'none' or args.method in ('sum', 'average')
    files.header.warn_of_differences(headers, names, ignore=['EXPTIME'] if scaled else [])
    return images


def _skip(error: BaseException, job: cli.Job, skipped: list[str]) -> None:
    job.say(f'left out: {cli.reason(error)}')
    skipped.append(cli.reason(error))


def _refuse_options(images: Sequence[Any], args: argparse.Namespace) -> None:
    low, high = pixels.rejection.rank_counts(args.clip, args.drop or (1, 1))
    if low + high >= len(images):
        raise UsageError(f'-c {args.clip} would drop {low + high} of {len(images)} values and leave nothing')
    if args.shift:
        real = next((image for image in images if image.dtype.kind not in 'iu'), None)
        if real is not None:
            raise Failure(f'-s shifts integer data, and these are {real.dtype}', real.path)
    _band_height(images, args)
    if args.section is not None:
        for image in images:
            image.cut(files.section.parse_section(args.section))


def _band_height(images: Sequence[Any], args: argparse.Namespace) -> int:
    kind = pixels.combining.new_result((0,), [image.dtype for image in images], args.shift).dtype
    memory = args.memory or cli.default_memory()
    height = pixels.combining.band_rows(len(images), images[0].shape[-1], kind, memory)
    if height == 0:
        raise Failure(f'--memory does not hold one row of {len(images)} images')
    return height


def _combined(images: Sequence[Any], args: argparse.Namespace, job: cli.Job) -> tuple[Any, dict[str, Any]]:
    """The combined pixels and how they came about."""
    clip = pixels.rejection.rank_counts(args.clip, args.drop or (1, 1))
    wanted = args.argument if args.method == 'average' else None
    with files.reader.unpacked(images, max_size=args.max_size):
        for image in images:
            files.reader.verify_checksum(image, args.checksum)
        scales = _scales(images, args, job)
        weights = None if wanted is None else _levels(images, wanted, args, job)
        result = pixels.combining.new_result(images[0].shape, [image.dtype for image in images], args.shift)
        height = _band_height(images, args)
        flat = result.reshape(-1, result.shape[-1])
        with job.progress(images[0].rows, 'rows') as progress:
            for start in range(0, images[0].rows, height):
                stop = min(start + height, images[0].rows)
                band = _shifted(files.reader.read_band(images, start, stop), args.shift)
                flat[start:stop] = pixels.combining.combine_band(
                    band, args.method, clip=clip, scales=scales, weights=weights, fraction=_fraction(args)
                )
                progress.step(stop - start)
    if args.planes:
        result = result.reshape(result.shape[-2:])
    unit, empty = None, pixels.combining.count_missing(result)
    if args.unit:
        result, unit = _unit(result, args)
    drop = (
        ''
        if args.clip == 'none'
        else f' {",".join(map(str, sorted({*clip} - {0}) if args.clip != "minmax" else clip))}'
    )
    return result, {
        'name': args.method, 'clip': args.clip + drop, 'scaling': args.normalize, 'scales': scales,
        'weights': weights, 'unit': unit, 'empty': empty,
    }  # fmt: skip


def _shifted(band: Any, bits: int) -> Any:
    if not bits:
        return band
    try:
        return pixels.combining.shifted(band, bits)
    except ValueError as error:
        raise UsageError(f'-s {bits}: {error}') from None


def _scales(images: Sequence[Any], args: argparse.Namespace, job: cli.Job) -> Any:
    if args.normalize == 'none':
        return None
    return pixels.scaling.factors(_levels(images, args.normalize, args, job))


def _levels(images: Sequence[Any], statistic: str, args: argparse.Namespace, job: cli.Job) -> list[float]:
    """The level of each image; one that can't serve as a scale is an error."""
    levels = []
    with job.progress(len(images), 'levels') as progress:
        for image in images:
            part = image if args.section is None else image.cut(files.section.parse_section(args.section))
            data = _shifted(files.reader.read_rows(part, 0, part.rows), args.shift)
            levels.append(pixels.scaling.level(data, statistic))
            if not levels[-1] > 0 or levels[-1] == float('inf'):
                raise Failure(
                    f'its {statistic} is {levels[-1]:.6g}: an image is scaled or weighed by a positive level',
                    image.path,
                )
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
        try:
            result = pixels.arithmetic.as_type(result, dtype)
        except ValueError as error:
            raise Failure(f'--dtype {dtype}: {error}', output) from None
    header = files.provenance.combined_header(images, 'combine_fits', method, cards)
    files.writer.write_fits(output, [(result, header), *files.provenance.inputs_table(images, method)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, combine_fits, argv)
