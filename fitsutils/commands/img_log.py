"""A log of header keywords: one row an image, made for grep and awk.

Two lines begin with '#': the names of the columns, and their numbers for awk.
Every value is one word: spaces become _, a missing or blank value is '....'.
Filename is the name of the file, All stands for all keywords, sorted; COMMENT
and HISTORY are shown when they are asked for. Sorting, choosing and counting
take keywords under their other names too (EXPOSURE for EXPTIME), DATE-OBS as
the time of observation wherever it stands. Images without a value sort last.

--where takes the images for which an expression holds:
  EXPTIME > 600, 5 <= EXPTIME < 60   == != < <= > >=, also in chains
  OBJECT ~ /sky flat/i               a pattern is found in the value (i: in
                                     capitals or small letters); !~ is not
  FILTER in ('B', 'V')               one of these; not in (...)
  has(FILTER)                        there is a value
  ... and (... or not ...)           conditions joined
  coalesce(ALFLTID, FBFLTID)         the first value that is there; nonzero()
                                     the first that is not 0 either, such as of
                                     filter wheels where 0 is empty
  EXPTIME * 2 + 1, -A / B            + - * / with spaces around a minus
  'M 31', 60, 1e3, 2021-02-27T04:00  text in quotes, numbers, dates; T and F
  [ESO DET NAME], Filename           any keyword in brackets; the file's name
  median > 8000 and q97.5 < 60000    statistics, as img_stats has them
Keywords may be in any case, statistics are in small letters; text is compared
as it stands, 'r' is not 'R'. A comparison with a value that is missing or NaN
is false, so that 'not X == 1' takes images without X, and 'X != 1' does not.
Pixels are read only where a statistic is named and the header does not settle
the matter; else headers only are read.

--count and --unique take keywords, statistics, and NAME=VALUE with any value
of that language, such as FILT=coalesce(ALFLTID,FBFLTID).

Examples
--------
  img_log '*.fit' -o HEADER_LOG -k 'Filename,OBJECT,FILTER,IMAGETYP,DATE-OBS,EXPTIME,NAXIS1,NAXIS2'
  egrep "#|Bias" HEADER_LOG | awk '{print $1,$6,$7,$8}'
  img_log night/*.fits.fz --alias -k Filename,DATE-OBS,EXPTIME,FILTER --sort FILTER,-EXPTIME
  img_log *.fits --format csv -o log.csv               # all keywords
  img_log *.fits --names --sort DATE-OBS --null | xargs -0 img_stats
  img_log *.fits --count IMAGETYP,FILTER,EXPTIME       # how many frames of each kind
  img_log *.fits --count OBJECT --sort=-n              # what there is most of
  img_log *.fits --names --where 'IMAGETYP ~ /bias/i' | combine_fits @- -m median -o bias.fits
  img_log *.fits --where 'IMAGETYP ~ /flat/i and 8000 < median < 50000' -k Filename,FILTER,EXPTIME
  img_log *.fits --unique FILTER --where 'IMAGETYP == "Flat Field"' --format tsv | tail -n +2
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files
from fitsutils.errors import UsageError, warn
from fitsutils.steps import selection

_FILENAME, _ALL, _NUMBER = 'Filename', 'All', 'n'


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_log', __doc__)
    parser.share('images')
    parser.add_argument('-k', '--keys', type=cli.word_list, metavar='LIST',
                        help='keywords, Filename and All, separated by commas (default: All)')  # fmt: skip
    parser.add_argument('--alias', action='store_true', help='also take a keyword of LIST under its other names')
    parser.share('where')
    parser.add_argument('--sort', type=cli.word_list, default=[], metavar='KEY,-KEY',
                        help='sort the rows by keywords, with a dash the largest first')  # fmt: skip
    parser.add_argument('--unique', metavar='KEYS',
                        help='a row for each value of KEYS; with -k or --names its first image')  # fmt: skip
    parser.add_argument('--count', metavar='KEYS', help='a row for each value of KEYS, and how many images have it (n)')
    parser.add_argument('--names', action='store_true', help='print the paths only, one a line, for pipes')
    parser.share('text-output', 'append', 'force', 'skip-existing', 'format', 'hdu', 'null', 'progress')
    return parser


class _Frame(NamedTuple):
    name: str
    header: Any
    values: list[Any]  # of the keys of --unique or --count


def img_log(args: argparse.Namespace, job: cli.Job) -> None:
    """Print header values of images."""
    columns = _columns(args)
    grouped = args.unique if args.count is None else args.count
    keys = [] if grouped is None else files.where.parse_keys(grouped)
    sorting = _sorting(args, [*(key.name for key in keys), _NUMBER])
    chosen = selection.Selection(args.where, keys)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    if not _may_write(args, [reference.path for reference in references]):
        return
    wanted = _wanted(columns, [] if args.count is not None else [key for key, _ in sorting], args.alias)
    log = []
    with job.progress(len(references), 'headers') as progress:
        for reference in references:
            with job.attempt():
                header, lookup = selection.read(reference, hdu, wanted, chosen)
                if chosen.takes(lookup):
                    log.append(_Frame(str(reference), header, [key.expression.value(lookup) for key in keys]))
            progress.step()
    job.detail(f'{chosen.tested} headers of {len(references)} read, {len(log)} taken')
    chosen.warn()
    if not chosen.tested:
        return
    if args.count is not None:
        text = _counts(log, [key.name for key in keys], sorting, args.format)
    else:
        told = chosen.absent
        _warn_of_absent(log, [key for key, _ in sorting if key not in told], files.header.sort_value)
        _warn_of_absent(log, [key for key in columns if key not in told], _value(args))
        text = _text(_uniques(_sorted(log, sorting), keys, args), columns, keys, args)
    _write(text, args, job)


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
    """The columns of header values that are asked for; All stands for itself."""
    if args.names and (args.keys is not None or args.alias or args.format != 'table' or args.count is not None):
        raise UsageError('--names prints paths only: not with -k, --alias, --format or --count')
    if args.count is not None and (args.keys is not None or args.alias or args.unique is not None):
        raise UsageError('--count has columns of its own: not with -k, --alias or --unique')
    if args.unique is not None and args.keys is None and args.alias:
        raise UsageError('--alias goes with a list of keywords (-k)')
    if args.names or args.count is not None or (args.unique is not None and args.keys is None):
        return []
    columns = [_FILENAME, _ALL] if args.keys is None else [_canonical(word) for word in args.keys]
    twice = {name for name in columns if columns.count(name) > 1}
    if twice or not columns:
        raise UsageError(f'-k names {", ".join(sorted(twice))} twice' if twice else '-k names no keyword')
    if args.alias and _ALL in columns:
        raise UsageError('--alias goes with a list of keywords (-k), not with All')
    return columns


def _sorting(args: argparse.Namespace, counted: Sequence[str]) -> list[tuple[str, bool]]:
    """What rows are sorted by, each with whether the largest comes first; of --count its own columns."""
    words = [(word.removeprefix('-'), word.startswith('-')) for word in args.sort]
    if args.count is None:
        return [(_canonical(word), falling) for word, falling in words]
    names = {name.upper(): name for name in counted}
    for word, _ in words:
        if word.upper() not in names:
            raise UsageError(f'--sort {word}: --count sorts by its own columns, {", ".join(counted)}')
    return [(names[word.upper()], falling) for word, falling in words]


def _canonical(word: str) -> str:
    special = next((name for name in (_FILENAME, _ALL) if name.upper() == word.upper()), None)
    return special or word.upper().removeprefix('HIERARCH ')


def _wanted(columns: Sequence[str], sorting: Sequence[str], alias: bool) -> set[str] | None:
    """The keywords to read; None for all."""
    if _ALL in columns:
        return None
    looked_up = [*sorting, *(columns if alias else [])]
    return ({*columns} | {key for name in looked_up for key in files.header.keywords_behind(name)}) - {_FILENAME}


def _sorted(log: Sequence[_Frame], sorting: Sequence[tuple[str, bool]]) -> list[_Frame]:
    values = [
        [frame.name if key == _FILENAME else files.header.sort_value(frame.header, key) for frame in log]
        for key, _ in sorting
    ]
    rows = files.header.order(values, [falling for _, falling in sorting]) if sorting else range(len(log))
    return [log[row] for row in rows]


def _uniques(log: Sequence[_Frame], keys: Sequence[Any], args: argparse.Namespace) -> Sequence[_Frame]:
    """The first frame of each kind, in the order of the kinds unless another one is asked for."""
    if not keys:
        return log
    firsts = [rows[0] for rows in selection.kinds([frame.values for frame in log])]
    return [log[row] for row in (sorted(firsts) if args.sort else firsts)]


def _counts(log: Sequence[_Frame], names: Sequence[str], sorting: Sequence[tuple[str, bool]], form: str) -> str:
    kinds = selection.kinds([frame.values for frame in log])
    rows = [[*log[places[0]].values, len(places)] for places in kinds]
    columns = [*names, _NUMBER]
    if sorting:
        cells = [[row[columns.index(name)] for row in rows] for name, _ in sorting]
        rows = [rows[place] for place in files.header.order(cells, [falling for _, falling in sorting])]
    return files.table.render(columns, rows, form, numbered=True)


def _text(log: Sequence[_Frame], columns: Sequence[str], keys: Sequence[Any], args: argparse.Namespace) -> str:
    if args.names:
        end = '\0' if args.null else '\n'
        return ''.join(frame.name + end for frame in log)
    if not columns:
        names = [key.name for key in keys]
        return files.table.render(names, [frame.values for frame in log], args.format, numbered=True)
    others = sorted({key for _, header, _ in log for key in header if key not in columns}) if _ALL in columns else []
    shown = [key for name in columns for key in (others if name == _ALL else [name])]
    value = _value(args)
    rows = [[frame.name if key == _FILENAME else value(frame.header, key) for key in shown] for frame in log]
    return files.table.render(shown, rows, args.format, numbered=True)


def _value(args: argparse.Namespace) -> Callable[[Any, str], Any]:
    return files.header.lookup if args.alias else files.header.value


def _warn_of_absent(log: Sequence[_Frame], keys: Sequence[str], value: Callable[[Any, str], Any]) -> None:
    for key in keys:
        if log and key not in (_FILENAME, _ALL) and all(value(frame.header, key) is None for frame in log):
            warn(f'no image has a value of {key}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_log, argv)
