"""A log of header keywords: one row an image, made for grep and awk.

Two lines begin with '#': the names of the columns, and their numbers for awk.
Every value is one word: spaces become _, a missing or blank value is '....'.
Filename is the name of the file, All stands for all keywords, sorted; COMMENT
and HISTORY are shown when they are asked for. Headers only are read, never
pixels. Sorting takes keywords under their other names too (EXPOSURE for
EXPTIME), DATE-OBS as the time of observation wherever it stands, and puts
images without a value last.

Examples
--------
  img_log '*.fit' -o HEADER_LOG -k 'Filename,OBJECT,FILTER,IMAGETYP,DATE-OBS,EXPTIME,NAXIS1,NAXIS2'
  egrep "#|Bias" HEADER_LOG | awk '{print $1,$6,$7,$8}'
  img_log night/*.fits.fz --alias -k Filename,DATE-OBS,EXPTIME,FILTER --sort FILTER,-EXPTIME
  img_log *.fits --format csv -o log.csv               # all keywords
  img_log *.fits --names --sort DATE-OBS --null | xargs -0 img_stats
"""

import argparse
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files
from fitsutils.errors import UsageError, warn

_FILENAME, _ALL = 'Filename', 'All'


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_log', __doc__)
    parser.share('images')
    parser.add_argument('-k', '--keys', type=cli.word_list, metavar='LIST',
                        help='keywords, Filename and All, separated by commas (default: All)')  # fmt: skip
    parser.add_argument('--alias', action='store_true', help='also take a keyword of LIST under its other names')
    parser.add_argument('--sort', type=cli.word_list, default=[], metavar='KEY,-KEY',
                        help='sort the rows by keywords, with a dash the largest first')  # fmt: skip
    parser.add_argument('--names', action='store_true', help='print the paths only, one a line, for pipes')
    parser.share('text-output', 'append', 'force', 'skip-existing', 'format', 'hdu', 'null', 'progress')
    return parser


def img_log(args: argparse.Namespace, job: cli.Job) -> None:
    """Print header values of images."""
    columns = _columns(args)
    sorting = [(_canonical(word.removeprefix('-')), word.startswith('-')) for word in args.sort]
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    if not _may_write(args, [reference.path for reference in references]):
        return
    wanted = _wanted(columns, [key for key, _ in sorting], args.alias)
    log = []
    with job.progress(len(references), 'headers') as progress:
        for reference in references:
            with job.attempt():
                log.append((str(reference), files.keywords.read(reference, hdu, wanted)))
            progress.step()
    job.detail(f'{len(log)} headers of {len(references)} read')
    if log:
        _write(_text(_sorted(log, sorting), columns, args), args, job)


def _may_write(args: argparse.Namespace, paths: Sequence[str]) -> bool:
    if args.output is None and not args.append:
        return True
    policy = {'append': args.append, 'force': args.force, 'skip_existing': args.skip_existing}
    return files.output.check_text(args.output, paths, **policy)


def _write(text: str, args: argparse.Namespace, job: cli.Job) -> None:
    if args.output is None:  # past files.writer, because that loads numpy and astropy, and plain files did without
        cli.show(text)
    else:
        job.wrote(files.output.write_text(args.output, text, append=args.append))


def _columns(args: argparse.Namespace) -> list[str]:
    """The columns that are asked for; All stands for itself."""
    if args.names:
        if args.keys is not None or args.alias or args.format != 'table':
            raise UsageError('--names prints paths only: not with -k, --alias or --format')
        return []
    columns = [_FILENAME, _ALL] if args.keys is None else [_canonical(word) for word in args.keys]
    twice = {name for name in columns if columns.count(name) > 1}
    if twice or not columns:
        raise UsageError(f'-k names {", ".join(sorted(twice))} twice' if twice else '-k names no keyword')
    if args.alias and _ALL in columns:
        raise UsageError('--alias goes with a list of keywords (-k), not with All')
    return columns


def _canonical(word: str) -> str:
    special = next((name for name in (_FILENAME, _ALL) if name.upper() == word.upper()), None)
    return special or word.upper().removeprefix('HIERARCH ')


def _wanted(columns: Sequence[str], sorting: Sequence[str], alias: bool) -> set[str] | None:
    """The keywords to read; None for all."""
    if _ALL in columns:
        return None
    looked_up = [*sorting, *(columns if alias else [])]
    return ({*columns} | {key for name in looked_up for key in files.header.keywords_behind(name)}) - {_FILENAME}


Log = list[tuple[str, Any]]


def _sorted(log: Log, sorting: Sequence[tuple[str, bool]]) -> Log:
    if not sorting:
        return log
    values = [
        [name if key == _FILENAME else files.header.sort_value(header, key) for name, header in log]
        for key, _ in sorting
    ]
    _warn_of_absent([key for key, _ in sorting], values)
    return [log[row] for row in files.header.order(values, [falling for _, falling in sorting])]


def _text(log: Log, columns: Sequence[str], args: argparse.Namespace) -> str:
    if args.names:
        end = '\0' if args.null else '\n'
        return ''.join(name + end for name, _ in log)
    others = sorted({key for _, header in log for key in header if key not in columns}) if _ALL in columns else []
    shown = [key for name in columns for key in (others if name == _ALL else [name])]
    value = files.header.lookup if args.alias else files.header.value
    rows = [[name if key == _FILENAME else value(header, key) for key in shown] for name, header in log]
    asked = [key for key in shown if key not in others]
    _warn_of_absent(asked, [[row[shown.index(key)] for row in rows] for key in asked])
    return files.table.render(shown, rows, args.format, numbered=True)


def _warn_of_absent(keys: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
    for key, column in zip(keys, values, strict=True):
        if all(value is None for value in column):
            warn(f'no image has a value of {key}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_log, argv)
