"""Statistics of images, or of a region of them: one row an image.

NaN, infinite and masked pixels are left out and counted as nbad. std, rms and
var are about the mean and divided by n; mad is the median absolute deviation;
rstd is 0.7413 (q75 - q25); kurtosis is 0 for a Gaussian; q2.5 is a percentile.
The table rounds to 10 digits, the other formats keep all.

Examples
--------
  img_stats 'bsub.005[1-9].fit,bsub.006[01].fit' -b 600 1100 400 700 -o raw_dark_stats.log
  img_stats flat*.fits -s median,rstd,q2.5,q97.5 --section '[101:900,101:600]'
  img_stats cube.fits -t                       # a row a plane
  img_stats sky.fits --clip 3 -k FILTER,EXPTIME --format csv
  img_stats bias.fits --hist 980,1020,5        # a histogram instead
  img_arith a*.fit - bias.fit -o b | img_stats @-
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from fitsutils import cli, files, pixels
from fitsutils.errors import Failure, UsageError

_DEFAULT = ['num', 'sum', 'mean', 'median', 'rms']
_STATS_HELP = (
    'num, nbad, sum, mean (average), median, mode, rms (std), var, min, max, mad, rstd, skew, kurtosis, q2.5, q50 ...'
    f' (default: {",".join(_DEFAULT)})'
)


def build_parser() -> cli.Parser:
    """The command's options."""
    parser = cli.Parser('img_stats', __doc__)
    parser.share('images', 'bounds', 'cube-bounds', 'section')
    parser.add_argument('-s', '--stats', type=cli.word_list, default=_DEFAULT, metavar='LIST', help=_STATS_HELP)
    parser.add_argument(
        '-k',
        '--keys',
        type=cli.word_list,
        default=[],
        metavar='KEYS',
        help='header keywords to show beside the numbers',
    )
    parser.add_argument('-t', '--planes', action='store_true', help='a row for each plane of a cube')
    parser.add_argument('-u', '--update', action='store_true', help="also write the values into each image's header")
    parser.add_argument('--mask', metavar='FILE', help='pixels that are not 0 in this image are left out')
    parser.add_argument(
        '--clip', type=float, metavar='K', help='leave out pixels beyond K sigma of the median, repeatedly'
    )
    parser.add_argument(
        '--hist', type=cli.number_list, metavar='LO,HI,STEP', help='print a histogram instead of statistics'
    )
    parser.share(
        'text-output',
        'append',
        'force',
        'skip-existing',
        'format',
        'hdu',
        'long-null',
        'checksum',
        'max-size',
        'progress',
    )
    return parser


def img_stats(args: argparse.Namespace, job: cli.Job) -> None:
    """Print the statistics of images."""
    _check(args)
    region = files.section.chosen(args.bounds, args.cube_bounds, args.section)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    if not files.output.check_text(
        args.output, paths, append=args.append, force=args.force, skip_existing=args.skip_existing
    ):
        return
    mask = files.reader.open_mask(args.mask)
    rows = []
    with job.progress(len(references), 'images') as progress:
        for reference in references:
            with job.attempt():
                image = files.reader.open_image(reference, hdu, region, keywords=args.keys)
                rows += _rows(image, mask, args)
            progress.step()
    if rows:
        lead = ['FileName', *args.keys] + (['Zidx'] if args.planes else [])
        columns = lead + (['Low', 'High', 'Count'] if args.hist else args.stats)
        text = files.table.render(columns, rows, args.format, digits=10)
        job.wrote(files.output.write_text(args.output, text, append=args.append))


def _check(args: argparse.Namespace) -> None:
    unknown = [name for name in args.stats if not pixels.stats.is_statistic(name)]
    if unknown or not args.stats:
        known = ', '.join(pixels.stats.NAMES)
        raise UsageError(f'-s {",".join(unknown)}: the statistics are {known}, and qN, such as q97.5')
    if args.clip is not None and not 0 < args.clip < float('inf'):
        raise UsageError(f'--clip {args.clip:g}: the limit must be positive')
    if args.hist and not _makes_bins(*args.hist):
        raise UsageError('--hist takes LO,HI,STEP with LO < HI and STEP > 0, for at most ten million bins')
    if args.update and (args.planes or args.hist):
        raise UsageError('-u writes the values of a whole image: not with -t or --hist')


def _makes_bins(low: float, high: float = 0, step: float = 0, *more: float) -> bool:
    return not more and low < high and step > 0 and (high - low) / step <= 1e7


def _rows(image: Any, mask: Any, args: argparse.Namespace) -> list[list[Any]]:
    """The rows of one image."""
    if args.planes and len(image.shape) != 3:
        raise Failure(f'-t wants a cube, and it has {len(image.shape)} axes', image.path)
    data = files.reader.read_pixels(image, checksum=args.checksum, max_size=args.max_size)
    bad = files.reader.read_mask(mask, image)
    keys = [files.header.lookup(image.keywords, key) for key in args.keys]
    rows = []
    for place, plane, hidden in _planes(data, bad, args.planes):
        values = pixels.stats.distribution(plane, hidden)
        if args.clip is not None:
            values = values.clipped(args.clip)
        lead = [str(image.part(place)), *keys] + ([] if place is None else [place + 1])
        if args.hist:
            edges, counts = pixels.stats.histogram(values, *args.hist)
            rows += [
                [*lead, *line] for line in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
            ]
            continue
        found = pixels.stats.describe(values, args.stats)
        rows.append(lead + [found[name] for name in args.stats])
        if args.update:
            _update(image, found)
    return rows


def _planes(data: Any, bad: Any, apart: bool) -> Iterator[tuple[int | None, Any, Any]]:
    if not apart:
        yield None, data, bad
        return
    for place, plane in enumerate(data):
        yield place, plane, None if bad is None else bad[place]


def _update(image: Any, found: dict[str, Any]) -> None:
    cards = files.header.statistic_cards(found)
    files.writer.update_header(image.path, image.index, cards, [f'img_stats {image.part(None)}'])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_stats, argv)
