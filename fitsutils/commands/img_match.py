"""For each image the master of its signature that is nearest in time.

The signature is the values of --by: keywords, or NAME=EXPRESSION, compared as
img_group compares them; but a value that is missing agrees with nothing.
Times are starts of exposures, of a combination the mean start of its frames.
Without --by the nearest of all masters counts. An image is never its own master.

One row an image, in the order given: image, master, delta_days (positive
where the master began later) and status: found; none (no master has the
signature); far (beyond --max-days, or on the other side); undated or
unreadable (the image). Of masters that are as near the earlier one is taken.
The status is 1 when an image has no master, and a line says why.

Examples
--------
  img_match 'sci*.fits' --to 'cal/bias*.fits' --by NAXIS1,NAXIS2,CCDBINX,CCDBINY
  img_match 'sci*.fits' --to 'cal/flat*.fits' --by FILTER --max-days 3 --side before --format csv -o flats.csv
  img_match 'raw/*.fits' --where 'EXPTIME > 0' --to 'red/*.fits' --to-where "IMAGETYP == 'MASTER BIAS'" --by NAXIS1
  img_match 'sci*.fits' --to 'cal/bias*.fits' --by NAXIS1 --format tsv | img_arith --pairs @- - -o b_/
"""

import argparse
import datetime
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files
from fitsutils.errors import Failure, UsageError
from fitsutils.steps import frames, selection

_COLUMNS = ['image', 'master', 'delta_days', 'status']
_DAY_DIGITS = 8  # behind the point, of a table: a thousandth of a second
_MOST_DAYS = 1e6  # that any calendar has between two dates


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_match', __doc__)
    parser.share('images')
    parser.add_argument('--to', nargs='+', action='extend', required=True, metavar='MASTERS', help='the masters')
    parser.add_argument('--by', metavar='KEYS', help='keywords, or NAME=EXPRESSION, separated by commas')
    parser.add_argument('--max-days', type=float, metavar='D', help='how far off a master may be at most')
    parser.add_argument('--side', choices=('any', 'before', 'after'), default='any',
                        help='where a master must lie (default: any)')  # fmt: skip
    parser.share('where')
    parser.add_argument('--to-where', metavar='EXPR', help='the same for the masters')
    parser.add_argument('--names', action='store_true', help='print the masters only, one for each image that has one')
    parser.share('text-output', 'append', 'force', 'skip-existing', 'format', 'hdu', 'null', 'progress')
    return parser


def img_match(args: argparse.Namespace, job: cli.Job) -> None:
    """Print the nearest master of each image."""
    most = _limit(args)
    keys = files.where.parse_keys(args.by) if args.by else []
    chosen, of_masters = (selection.Selection(text, keys) for text in (args.where, args.to_where))
    rules = frames.Rules(keys, args.hdu and files.inputs.parse_hdu(args.hdu))
    references, cal = (files.inputs.expand(words, null=args.null) for words in (args.images, args.to))
    paths = [reference.path for reference in (*references, *cal)]
    policy = {'append': args.append, 'force': args.force, 'skip_existing': args.skip_existing}
    if not files.output.check_text(args.output, paths, **policy):
        return
    masters = frames.read_masters(cal, rules, of_masters)
    rows = []
    with job.progress(len(references), 'headers') as progress:
        for reference in references:
            row = [str(reference), None, None, 'unreadable']
            with job.attempt():
                frame = frames.read(reference, rules, chosen)
                row = frame and _row(frame, masters.nearest(frame, side=args.side, most=most), keys, job)
            rows += [row] if row else []
            progress.step()
    chosen.warn()
    job.detail(f'{sum(status == "found" for *_, status in rows)} of {len(rows)} images have a master')
    if chosen.tested:
        job.wrote(files.output.write_text(args.output, _text(rows, args), append=args.append))


def _limit(args: argparse.Namespace) -> datetime.timedelta | None:
    """What --max-days says, contradictions refused."""
    if args.names and args.format != 'table':
        raise UsageError('--names prints paths only: not with --format')
    if args.max_days is None:
        return None
    if not 0 <= args.max_days <= _MOST_DAYS:
        raise UsageError(f'--max-days {args.max_days:g}: a number of days from 0 is wanted')
    return datetime.timedelta(days=args.max_days)


def _row(frame: Any, match: Any, keys: Sequence[Any], job: cli.Job) -> list[Any]:
    """The row of an image; why it has no master is said."""
    if match.master is None:
        job.fail(Failure(files.grouping.why_not(frame, match, [key.name for key in keys]), frame.name))
        return [frame.name, None, None, match.status]
    return [frame.name, match.master.name, match.days, match.status]


def _text(rows: Sequence[Sequence[Any]], args: argparse.Namespace) -> str:
    if args.names:
        end = '\0' if args.null else '\n'
        return ''.join(master + end for _, master, *_ in rows if master is not None)
    if args.format == 'table':
        rows = [
            [*map(files.table.name_word, names), days and round(days, _DAY_DIGITS), status]
            for *names, days, status in rows
        ]
    return files.table.render(_COLUMNS, rows, args.format)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_match, argv)
