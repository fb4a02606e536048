"""Statistics of images, or of a region of them: one row an image.

NaN, infinite and masked pixels are left out and counted as nbad. std, rms and
var are about the mean and divided by n; mad is the median absolute deviation;
rstd is 0.7413 (q75 - q25); kurtosis is 0 for a Gaussian; q2.5 is a percentile.
The table rounds to 10 digits, the other formats keep all.

filabres stands for num,min,q2.5,q15.9,q25,q50,q75,q84.1,q97.5,max,rstd, which
-u writes as NPOINTS, FMINIMUM, QUANT025, QUANT159, QUANT250, QUANT500,
QUANT750, QUANT841, QUANT975, FMAXIMUM and ROBUSTSD (a keyword has 8 letters,
and filabres' ROBUSTSTD 9).

--plot draws two columns against each other, three or more as a matrix of all
pairs, or, with the word matrix, all of the table's columns of numbers. Columns
are statistics and keywords, whether or not -s and -k show them: numbers, dates
(DATE-OBS is the time of observation) and words. Points that stand out are named.

--where takes images as in img_log, whose help has the language: its statistics
are of the region, without what --mask and --clip leave out, with -t of each
plane. Pixels are read only of the images whose headers do not settle the matter.

Examples
--------
  img_stats 'bsub.005[1-9].fit,bsub.006[01].fit' -b 600 1100 400 700 -o raw_dark_stats.log
  img_stats flat*.fits -s median,rstd,q2.5,q97.5 --section '[101:900,101:600]'
  img_stats cube.fits -t                       # a row a plane
  img_stats *.fits --where 'IMAGETYP ~ /flat/i and 8000 < median < 50000' -k FILTER -s median,rstd
  img_stats sky.fits --clip 3 -k FILTER,EXPTIME --format csv
  img_stats bias.fits --hist 980,1020,5        # a histogram instead
  img_stats flat_*.fits -s filabres --mask unlit.fits -u
  img_stats bias*.fits --plot DATE-OBS,median levels.png
  img_stats flat*.fits -s q50,rstd,min,max -k EXPTIME --plot matrix flats.png -q -o flats.log
  img_arith a*.fit - bias.fit -o b | img_stats @-
"""

import argparse
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fitsutils import cli, files, pixels, plots
from fitsutils.errors import Failure, UsageError, refusing
from fitsutils.steps import selection

_DEFAULT = ['num', 'sum', 'mean', 'median', 'rms']
_STATS_HELP = (
    'num, nbad, sum, mean (average), median, mode, rms (std), var, min, max, mad, rstd, skew, kurtosis, q2.5, q50 ...,'
    f' filabres (its set) (default: {",".join(_DEFAULT)})'
)
_NAME, _PLANE = 'FileName', 'Zidx'


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
    parser.add_argument('--plot', nargs=2, metavar=('X,Y|matrix', 'FILE'),
        help='draw columns against each other: .png or .pdf')  # fmt: skip
    parser.share(
        'where',
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
    columns = _Columns(args)
    chosen = selection.Selection(args.where)
    region = files.section.chosen(args.bounds, args.cube_bounds, args.section)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    wanted, plot = _outputs(args, [reference.path for reference in references])
    if not wanted and plot is None:
        return
    mask = files.reader.open_mask(args.mask)
    rows = []
    with job.progress(len(references), 'images') as progress:
        for reference in references:
            with job.attempt():
                image = files.reader.open_image(reference, hdu, region, keywords=[*columns.keys, *chosen.keywords])
                rows += _rows(image, mask, columns, chosen, args)
            progress.step()
    chosen.warn('planes' if args.planes else 'images')
    if rows and plot is not None:  # first: who has read enough of the table may close the pipe
        with job.attempt():
            _draw(plot, columns, rows, args, job)
    if wanted and (rows or chosen.is_empty):
        text = files.table.render(columns.shown, columns.visible(rows), args.format, digits=10)
        job.wrote(files.output.write_text(args.output, text, append=args.append))


def _check(args: argparse.Namespace) -> None:
    unknown = [name for name in pixels.stats.without_sets(args.stats) if not pixels.stats.is_statistic(name)]
    if unknown or not args.stats:
        known = ', '.join(pixels.stats.NAMES)
        raise UsageError(f'-s {",".join(unknown)}: the statistics are {known}, and qN, such as q97.5')
    if args.clip is not None and not 0 < args.clip < float('inf'):
        raise UsageError(f'--clip {args.clip:g}: the limit must be positive')
    if args.hist and not _makes_bins(*args.hist):
        raise UsageError('--hist takes LO,HI,STEP with LO < HI and STEP > 0, for at most ten million bins')
    if args.update and (args.planes or args.hist):
        raise UsageError('-u writes the values of a whole image: not with -t or --hist')
    if args.plot and args.hist:
        raise UsageError('--plot draws statistics: not with --hist')
    if args.plot and not args.plot[1].lower().endswith(files.pictures.STILL):
        raise UsageError(f'--plot {" ".join(args.plot)}: X,Y or matrix, then a file that ends in .png or .pdf')
    if args.plot and args.plot[0] != 'matrix' and len(cli.word_list(args.plot[0])) < 2:
        raise UsageError(f'--plot {args.plot[0]}: two columns, such as EXPTIME,median, or matrix')
    if args.plot and args.plot[1] == args.output:
        raise UsageError('-o and --plot name one file')


def _outputs(args: argparse.Namespace, inputs: Sequence[str]) -> tuple[bool, str | None]:
    """Whether the table is to be written, and which plot."""
    policy = {'force': args.force, 'skip_existing': args.skip_existing}
    wanted = files.output.check_text(args.output, inputs, append=args.append, **policy)
    if args.plot is None:
        return wanted, None
    return wanted, args.plot[1] if files.output.check_outputs([args.plot[1]], inputs, **policy)[0] else None


def _makes_bins(low: float, high: float = 0, step: float = 0, *more: float) -> bool:
    return not more and low < high and step > 0 and (high - low) / step <= 1e7


class _Columns:
    """The columns of the table, and behind them those that only the plot needs."""

    def __init__(self, args: argparse.Namespace) -> None:
        lead = [_NAME, *args.keys] + ([_PLANE] if args.planes else [])
        stats = ['Low', 'High', 'Count'] if args.hist else pixels.stats.without_sets(args.stats)
        self.shown = [*lead, *stats]
        drawn = [] if args.plot is None or args.plot[0] == 'matrix' else cli.word_list(args.plot[0])
        self._drawn = [next((name for name in self.shown if name.upper() == word.upper()), word) for word in drawn]
        more = [name for name in dict.fromkeys(self._drawn) if name not in self.shown]
        self.more_stats = [name for name in more if pixels.stats.is_statistic(name)]
        self.more_keys = [name for name in more if name not in self.more_stats]
        self.stats, self.keys = [*stats, *self.more_stats], [*args.keys, *self.more_keys]

    def visible(self, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """The rows without what only the plot needs."""
        return [row[: len(self.shown)] for row in rows]

    def drawn(self, rows: Sequence[Sequence[Any]]) -> tuple[list[Any], list[str]]:
        """The columns of the plot, and what is left out of a matrix because it is the same everywhere."""
        names = [*self.shown, *self.more_stats, *self.more_keys]
        cells = {name: [_there(row[place]) for row in rows] for place, name in enumerate(names)}
        wanted = self._drawn or [name for name in dict.fromkeys(self.shown) if name != _NAME]
        found = [plots.scatter.column(name, files.header.of_one_type(cells[name])) for name in wanted]
        if self._drawn:
            return found, []
        numbers = [each for each in found if each.kind == 'number']
        return [each for each in numbers if each.varies], [each.name for each in numbers if not each.varies]


def _there(cell: Any) -> Any:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _rows(
    image: Any, mask: Any, columns: _Columns, chosen: selection.Selection, args: argparse.Namespace
) -> list[list[Any]]:
    """The rows of one image."""
    if args.planes and len(image.shape) != 3:
        raise Failure(f'-t wants a cube, and it has {len(image.shape)} axes', image.path)
    rows = []
    for place, frame in _frames(image, mask, args):
        if not chosen.takes(selection.lookup(image.keywords, str(image.reference), frame.statistic)):
            continue
        keys = [files.header.lookup(image.keywords, key) for key in columns.keys]
        keys, more = keys[: len(args.keys)], keys[len(args.keys) :]
        lead = [str(image.part(place)), *keys] + ([] if place is None else [place + 1])
        if args.hist:
            edges, counts = pixels.stats.histogram(frame.values, *args.hist)
            rows += [
                [*lead, *line] for line in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
            ]
            continue
        found = {name: frame.statistic(name) for name in columns.stats}
        rows.append([*lead, *(found[name] for name in columns.stats), *more])
        if args.update:
            files.output.refuse_protected([image.path])
            _update(image, {name: found[name] for name in columns.shown if name in found}, args)
    return rows


class _Frame:
    """An image or a plane of it: its pixels are read when they are asked for, each statistic is computed once."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self.statistic = functools.cache(lambda name: pixels.stats.describe(self.values, [name])[name])

    @functools.cached_property
    def values(self) -> Any:
        """The good pixels, in order."""
        return self._read()


def _frames(image: Any, mask: Any, args: argparse.Namespace) -> Iterator[tuple[int | None, _Frame]]:
    @functools.cache
    def read() -> tuple[Any, Any]:
        data = files.reader.read_pixels(image, checksum=args.checksum, max_size=args.max_size)
        return data, files.reader.read_mask(mask, image)

    def values(place: int | None) -> Any:
        data, bad = read()
        if place is not None:
            data, bad = data[place], None if bad is None else bad[place]
        found = pixels.stats.distribution(data, bad)
        return found if args.clip is None else found.clipped(args.clip)

    for place in range(image.shape[0]) if args.planes else [None]:
        yield place, _Frame(functools.partial(values, place))


def _update(image: Any, found: dict[str, Any], args: argparse.Namespace) -> None:
    words = [f'img_stats {image.part(None)}']
    words += [f'without the pixels that {args.mask} marks'] if args.mask else []
    words += [f'clipped at {args.clip:g} sigma'] if args.clip is not None else []
    files.writer.update_header(image.path, image.index, files.header.statistic_cards(found), [', '.join(words)])


def _draw(path: str, columns: _Columns, rows: Sequence[Sequence[Any]], args: argparse.Namespace, job: cli.Job) -> None:
    found, same = columns.drawn(rows)
    if len(found) < 2:
        raise Failure('--plot matrix: two columns of numbers that differ from row to row are needed', path)
    names = [row[0].rpartition('/')[2].partition('[')[0] for row in rows]
    title = f'{len(rows)} {"planes" if args.planes else "images"}'
    title += f'; the same in all: {", ".join(same)}' if same else ''
    with refusing('--plot', path), files.output.complete_file(path) as file:
        file.write(plots.scatter.picture(found, path[-3:].lower(), names, title))
    # Standard output is the table's, where that goes there.
    if args.output in files.output.STANDARD_OUTPUT:
        job.detail(f'-> {path}')
    else:
        job.wrote(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_stats, argv)
