"""Rename images to ROOT + sequence number + TAIL, in time order.

The time is DATE-OBS, or DATE-BEG, or a date with TIME-OBS or UT, or MJD-OBS, or
JD; -s sorts by other keywords, as dates, numbers or text. Sequence numbers have
4 digits, 5 when there are more than 9999 files. A compression suffix is kept:
x.fits.gz becomes ROOT0001.fit.gz, x.fits.fz ROOT0001.fit.fz.

ROOT may hold header values: {KEY}, {KEY:.1f}, {KEY:.8s}, {KEY|default}, and {n}
or {n:03d} for the sequence number, which else follows. Values become safe
words; folders come from ROOT's own slashes only, and missing ones are made.
Without a slash in ROOT each file stays in its folder. Keywords are also taken
under their other names. The minus of a negative number becomes m.

The whole plan is checked before anything is done, and nothing is ever
overwritten. LOG.log says what was done, `sh LOG_undo.sh` and `img_rename --undo
LOG` take it back; where they exist, LOG.1.log and LOG.1_undo.sh are written.

Examples
--------
  img_rename '*.fit'                                     # 20210227.0001.fit ...
  img_rename *.fits --dry-run                            # old TAB new; nothing is done
  img_rename *.fit -s IMAGETYP,DATE-OBS -o night1. -t .fits
  img_rename *.fit -o '{OBJECT}_{FILTER|none}_{EXPTIME:g}_{n:04d}'
  img_rename /archive/*.fit --link . -o '{IMAGETYP}/{OBJECT}_{n:03d}'
  img_rename --undo FileRename
"""

import argparse
import functools
from collections.abc import Iterator, Sequence
from typing import Any

from fitsutils import cli, files
from fitsutils.errors import Failure, UsageError, warn

_LOG = 'FileRename'


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_rename', __doc__)
    parser.share('images')
    parser.share(
        'output',
        metavar='ROOT',
        help='start or template of the new names (default: date of the first image, YYYYMMDD.)',
    )
    parser.add_argument('-s', '--sort', type=cli.word_list, metavar='KEYS', help='sort keys (default: DATE-OBS)')
    parser.add_argument('-t', '--tail', help='end of the new names (default: .fit)')
    parser.add_argument('-l', '--log', help=f'root of the log and of the undo script (default: {_LOG})')
    parser.add_argument('--undated', choices=('last', 'first', 'skip'),
                        help='what to do with images without a date or sort key (default: refuse all)')  # fmt: skip
    deeds = parser.add_mutually_exclusive_group()
    deeds.add_argument('--copy', metavar='DIR', help='put renamed copies into DIR and leave the originals')
    deeds.add_argument('--link', metavar='DIR', help='put symbolic links with the new names into DIR')
    deeds.add_argument('--undo', metavar='LOG', help='take back what a log says')
    parser.share('dry-run', 'hdu', 'null', 'progress')
    return parser


Images = list[tuple[str, Any]]


def img_rename(args: argparse.Namespace, job: cli.Job) -> None:
    """Rename, copy or link images."""
    if args.undo is not None:
        _undo(args, job)
        return
    deed = 'copy' if args.copy is not None else 'link' if args.link is not None else 'rename'
    folder = args.link if args.copy is None else args.copy
    template = files.naming.parse_template(args.output or '', args.tail)
    if folder is not None and str(template.parts[0]).startswith('/'):
        raise UsageError(f'--{deed} {folder} and -o {args.output} name different folders')
    sorting = [key.upper() for key in args.sort or ['DATE-OBS']]
    images = _in_order(_read(args, [*sorting, *template.keys, 'DATE-OBS'], job), sorting, args, job)
    if args.output is None:
        template = files.naming.parse_template(_date_root(images), args.tail)
    plan = files.renaming.planned(_moves(images, template, folder, job), deed, args.log or _LOG)
    if args.dry_run:
        _show(plan.moves, args)
    else:
        _do(plan.moves, files.renaming.carry_out(plan), job)


def _read(args: argparse.Namespace, keys: Sequence[str], job: cli.Job) -> Images:
    """The files and the header values that sorting and naming need."""
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    wanted = {name for key in keys for name in files.header.keywords_behind(key)}
    images = []
    with job.progress(len(references), 'headers') as progress:
        for reference in references:
            with job.attempt():
                if reference.region is not None:
                    raise Failure('a part of an image has no name of its own', str(reference))
                images.append((reference.path, files.keywords.read(reference, hdu, wanted)))
            progress.step()
    _stop_after_failure(job)
    return images


def _stop_after_failure(job: cli.Job) -> None:
    """A file was refused; all of them have been named, and now nothing is done."""
    if job.status != cli.DONE:
        raise Failure('nothing was done')


def _in_order(images: Images, sorting: Sequence[str], args: argparse.Namespace, job: cli.Job) -> Images:
    """The images sorted; those without a sort key as --undated says."""
    values = [[files.header.sort_value(header, key) for _, header in images] for key in sorting]
    undated = []
    for row, (path, _) in enumerate(images):
        missing = [key for key, column in zip(sorting, values, strict=True) if column[row] is None]
        if not missing:
            continue
        undated.append(row)
        what = 'has no usable date' if missing == ['DATE-OBS'] else f'has no value of {", ".join(missing)}'
        if args.undated is None:
            job.fail(Failure(f'{what}; --undated last, first or skip says what to do with it', path))
        elif args.undated == 'skip':
            warn(f'{what}: it is left alone', path)
    _stop_after_failure(job)
    order = files.header.order(values, missing_first=args.undated == 'first')
    return [images[row] for row in order if args.undated != 'skip' or row not in undated]


def _date_root(images: Images) -> str:
    moments = [moment for _, header in images if (moment := files.header.observation_time(header)) is not None]
    if not moments:
        raise Failure('no image has a usable date to name the files by; -o gives a root')
    return f'{min(moments):%Y%m%d}.'


def _moves(images: Images, template: Any, folder: str | None, job: cli.Job) -> list[Any]:
    """Old and new names."""
    digits = 4 if len(images) < 10_000 else 5
    moves = []
    for number, (path, header) in enumerate(images, 1):
        with job.attempt():
            value = functools.partial(files.header.lookup, header)
            moves.append(files.renaming.Move(path, template.path(path, number, digits, value, folder=folder)))
    _stop_after_failure(job)
    return moves


def _do(moves: Sequence[Any], doing: Iterator[Any], job: cli.Job) -> None:
    """Do it, and print the new names when all is over: a closed pipe must not stop it half-way."""
    done = set()
    try:
        with job.progress(len(moves), 'files') as progress:
            for move in doing:
                done.add(move.new)
                job.detail(f'{move.old} -> {move.new or "removed"}')
                progress.step()
    finally:
        for move in moves:
            if move.new and move.new in done:
                job.wrote(move.new)


def _undo(args: argparse.Namespace, job: cli.Job) -> None:
    """Take back what a log says."""
    others = (args.output, args.sort, args.tail, args.log, args.undated, args.hdu)
    if args.images or any(word is not None for word in others):
        raise UsageError('--undo takes the log only, and --dry-run')
    log = files.renaming.log_name(args.undo)
    entries = files.renaming.way_back(files.renaming.read_log(log))
    if not entries:
        raise Failure('nothing in it is left to undo', log)
    moves = [entry.back for entry in entries]
    if args.dry_run:
        _show(moves, args)
    else:
        _do(moves, files.renaming.take_back(log, entries), job)


def _show(moves: Sequence[Any], args: argparse.Namespace) -> None:
    spelt, end = (str, '\0') if args.null else (files.renaming.escaped, '\n')
    for move in moves:
        cli.show(f'{spelt(move.old)}\t{spelt(move.new)}{end}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_rename, argv)
