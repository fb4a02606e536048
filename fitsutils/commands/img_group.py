"""Groups of frames that belong together: of one signature, and near in time.

The signature is the values of --by: keywords, or NAME=EXPRESSION in the
language of --where (img_log --help tells it), such as
FILT=coalesce(ALFLTID,FBFLTID). Numbers are compared as numbers, texts without
the spaces around them; a value that is missing is one of its own.

Times are starts of exposures, of a combination the mean start of its frames.
--span: a group lasts less than this from its first frame on, as in filabres.
--gap: a pause of this length ends a group, however long it has lasted.
--night keeps nights apart, from noon to noon of the mean solar time at the
telescope: that of --longitude, else of OBSGEO-L, of OBSGEO-X and OBSGEO-Y or
of SITELONG in the header, else noon UTC. All of them may be given.

One row a frame: group, file, mjd, n (frames in the group), mean_mjd, and the
signature. Groups are numbered in the order of their first frames. Where an
image fails, neither lists nor a Makefile are written.

Examples
--------
  img_group 'raw/bias*.fits' --by NAXIS1,NAXIS2,CCDBINX,CCDBINY --span 1h
  img_group 'raw/*.fits' --where 'IMAGETYP ~ /flat/i' --by 'FILT=coalesce(ALFLTID,FBFLTID)' --night --format tsv
  img_group 'raw/bias*.fits' --by NAXIS1,NAXIS2 --span 1h --lists bias; combine_fits @bias.001.list -m median -o b1.fits
  img_group 'raw/bias*.fits' --by NAXIS1,NAXIS2 --span 1h --make --name bias -o bias.mk; make -f bias.mk -j2
"""

import argparse
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files
from fitsutils.errors import Failure, UsageError, warn
from fitsutils.steps import frames, selection

_MJD_DIGITS = 13  # of a table: a thousandth of a second


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_group', __doc__)
    parser.share('images')
    parser.add_argument('--by', metavar='KEYS', help='keywords, or NAME=EXPRESSION, separated by commas')
    parser.add_argument('--span', type=cli.duration, metavar='TIME',
                        help='a group lasts less than this, such as 1h or 90m; 0: each frame is one')  # fmt: skip
    parser.add_argument('--gap', type=cli.duration, metavar='TIME', help='a pause of this length ends a group')
    parser.add_argument('--night', action='store_true', help='frames of different nights are of different groups')
    parser.add_argument('--longitude', type=float, metavar='DEG', help='of the telescope, eastwards positive')
    parser.share('where')
    parser.add_argument('--lists', metavar='ROOT', help='write ROOT.001.list ..., one a group, for combine_fits @LIST')
    parser.add_argument('--make', action='store_true', help='print a Makefile in which each group makes a master')
    parser.add_argument('--name', metavar='NAME', help='what --make calls its target and masters (default: group)')
    parser.share('text-output', 'append', 'force', 'skip-existing', 'format', 'hdu', 'null', 'progress')
    return parser


def img_group(args: argparse.Namespace, job: cli.Job) -> None:
    """Print groups of frames."""
    _refuse_contradictions(args)
    keys = files.where.parse_keys(args.by) if args.by else []
    chosen = selection.Selection(args.where, keys)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    policy = {'force': args.force, 'skip_existing': args.skip_existing}
    paths = [reference.path for reference in references]
    if not files.output.check_text(args.output, paths, append=args.append, **policy):
        return
    rules = frames.Rules(keys, hdu, _timed(args), args.night, args.longitude)
    found: dict[str, Any] = {}  # a file that is named twice is one frame
    with job.progress(len(references), 'headers') as progress:
        for reference in references:
            with job.attempt():
                if (frame := frames.read(reference, rules, chosen)) is not None:
                    found.setdefault(frame.identity, frame)
            progress.step()
    chosen.warn()
    files.nights.warn_of_cuts([*found.values()])
    groups = files.grouping.groups(found.values(), span=args.span, gap=args.gap)
    job.detail(f'{chosen.tested} headers of {len(references)} read, {len(found)} frames in {len(groups)} groups')
    if not found and not chosen.is_empty:
        return
    if job.status != cli.DONE and (args.lists or args.make):
        raise Failure('nothing was written: the groups would lack the images that failed')
    if args.lists:
        _write_lists(groups, args, job, paths, policy)
    if args.output is not None or not args.lists:
        text = (_makefile if args.make else _table)(groups, [key.name for key in keys], args)
        job.wrote(files.output.write_text(args.output, text, append=args.append))


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Options that do not go together, or that would do nothing."""
    divides = args.by or args.night or args.span is not None or args.gap is not None
    rules = [
        (not divides, '--by, --span, --gap or --night must say what makes a group'),
        (args.longitude is not None and not args.night, '--longitude goes with --night'),
        (args.longitude is not None and not abs(args.longitude) <= 360, '--longitude is in degrees, up to 360'),
        (args.name is not None and not args.make, '--name goes with --make'),
        (args.make and args.lists is not None, '--lists and --make exclude each other'),
        (args.make and args.format != 'table', '--format goes with the table, not with --make'),
        (
            args.lists is not None and args.output is None and args.format != 'table',
            '--lists leaves the table out; -o FILE keeps it',
        ),
        (args.lists == '', '--lists wants a root'),
    ]
    for wrong, rule in rules:
        if wrong:
            raise UsageError(rule)
    if args.make:
        files.makefile.check_name(args.name or 'group')


def _timed(args: argparse.Namespace) -> str | None:
    """The option that needs the time of each frame."""
    options = (('--span', args.span is not None), ('--gap', args.gap is not None), ('--night', args.night))
    return next((name for name, given in options if given), None)


Groups = list[list[Any]]


def _table(groups: Groups, keys: Sequence[str], args: argparse.Namespace) -> str:
    rows = []
    for number, group in enumerate(groups, 1):
        mean = files.grouping.mean_mjd(group)
        rows += [[number, frame.name, frame.mjd, len(group), mean, *frame.values] for frame in group]
    columns = ['group', 'file', 'mjd', 'n', 'mean_mjd', *keys]
    return files.table.render(columns, rows, args.format, digits=_MJD_DIGITS)


def _write_lists(
    groups: Groups, args: argparse.Namespace, job: cli.Job, paths: Sequence[str], policy: dict[str, bool]
) -> None:
    """One list a group; all refusals come before the first is written."""
    names = files.lists.list_names(args.lists, len(groups))
    texts = [files.lists.list_text([frame.name for frame in group], null=args.null) for group in groups]
    todo = files.output.check_outputs(names, paths, **policy)
    for name in files.lists.left_over(args.lists, names):
        warn('it is left from before and names no group of now', name)
    for name, text, do in zip(names, texts, todo, strict=True):
        if do:
            job.wrote(files.output.write_text(name, text))


def _makefile(groups: Groups, keys: Sequence[str], args: argparse.Namespace) -> str:
    words = []
    for group in groups:
        values = [f'{key} {files.table.one_word(value)}' for key, value in zip(keys, group[0].values, strict=True)]
        words.append(', '.join([f'{len(group)} frame{"" if len(group) == 1 else "s"}', *values]))
    what = f'{len(groups)} groups of {sum(map(len, groups))} frames'
    names = [[frame.name for frame in group] for group in groups]
    return files.makefile.fragment(names, words, args.name or 'group', what)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_group, argv)
