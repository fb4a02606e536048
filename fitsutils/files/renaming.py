r"""New names for many files: the plan and its checks, doing it with a log and an undo script, and the way back.

LOG.log has one line a file: the old name, the new one and what happened, with
tabs between them; a backslash and what is not printable are written as
``\xNN``. The whole plan is in it, and in the undo script, and on disk before
the first file moves; a line of either is made valid, in place, just before its
file moves. So both are complete for what was done whenever it ends, and a full
disk is found before anything has changed. Names are relative to the folder of
the log where that is the folder in which the command runs, else absolute.
"""

import contextlib
import filecmp
import os
import re
import shlex
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fitsutils import __version__
from fitsutils.errors import Failure, visible
from fitsutils.files import output

_ESCAPE = re.compile(rb'\\x([0-9a-f]{2})')
_WORDS = {'rename': 'renamed', 'copy': 'copied', 'link': 'linked'}
_WIDTH = 7  # of the last field of a log's line, which is overwritten in place
_SPARE = '.renaming-'
_TRY = 1000  # logs that may exist already


@dataclass(frozen=True)
class Move:
    """One file and its new name.

    Attributes
    ----------
    old, new : str
        Paths.
    """

    old: str
    new: str


@dataclass(frozen=True)
class Plan:
    """What will be done, checked.

    Attributes
    ----------
    moves : list of Move
        All files, also those that have their new name already.
    steps : list of Move
        What is to be done, in an order in which each new name is free.
    deed : {'rename', 'copy', 'link'}
        What is to be done with each.
    log, script : str
        Names of the log and of the undo script.
    """

    moves: list[Move]
    steps: list[Move]
    deed: str
    log: str
    script: str


def planned(moves: list[Move], deed: str, log: str) -> Plan:
    """A plan that can be carried out.

    Parameters
    ----------
    moves : list of Move
        Old and new names.
    deed : {'rename', 'copy', 'link'}
        What is to be done. A link is symbolic and holds the absolute path.
    log : str
        Root of the names of the log and of the undo script.

    Returns
    -------
    Plan
        The plan.

    Raises
    ------
    Failure
        As `check` and `free_names` do.
    """
    names = free_names(log)
    todo = check(moves, deed, names)
    return Plan(moves, in_order(todo) if deed == 'rename' else todo, deed, *names)


def check(moves: Sequence[Move], deed: str = 'rename', taken: Sequence[str] = ()) -> list[Move]:
    """Refuse what can't be carried out as it stands.

    Parameters
    ----------
    moves : sequence of Move
        The plan.
    deed : {'rename', 'copy', 'link'}
        What is to be done.
    taken : sequence of str
        Files that will be made besides.

    Returns
    -------
    list of Move
        The plan without files that have their new name already.

    Raises
    ------
    Failure
        When two files would get one name (names that differ by case only are one file on some
        systems), when a file has the new name already, or when a folder does not allow it.
    """
    place = _Places()
    _refuse_repeats([move.old for move in moves], place)
    _refuse_collisions(moves, place)
    todo = [move for move in moves if deed != 'rename' or place(move.old) != place(move.new)]
    leaving = {place(move.old) for move in todo} if deed == 'rename' else set()
    taken_places = set(map(place, taken))
    for move in todo:
        there = os.path.lexists(move.new) and place(move.new) not in leaving and not _is_respelling(move)
        if there or place(move.new) in taken_places:
            raise Failure(f'{move.new} exists and is not overwritten', move.old)
    folders = _Folders()
    for move in todo:
        folders.check(move, deed)
    return todo


class _Places:
    """What a path means, however it is spelt: the real folder and the name in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder or '.')
        return os.path.join(self._folders[folder], name)


def _refuse_repeats(paths: Sequence[str], place: _Places) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        if (where := place(path)) in seen:
            raise Failure('is given twice' + ('' if seen[where] == path else f', also as {seen[where]}'), path)
        seen[where] = path


def _refuse_collisions(moves: Sequence[Move], place: _Places) -> None:
    seen: dict[str, Move] = {}
    for move in moves:
        other = seen.setdefault(unicodedata.normalize('NFC', place(move.new)).casefold(), move)
        if other is not move:
            names = (
                move.new
                if other.new == move.new
                else f'{other.new} and {move.new}, which some systems do not tell apart'
            )
            raise Failure(f'this and {move.old} would both become {names}', other.old)


def _is_respelling(move: Move) -> bool:
    """Whether a file system that ignores case takes the new name for the old one."""
    if move.old.casefold() != move.new.casefold() or not os.path.samefile(move.old, move.new):
        return False
    return os.path.basename(move.new) not in os.listdir(os.path.dirname(move.new) or '.')


class _Folders:
    """Folders allow what is planned; each is looked at once."""

    def __init__(self) -> None:
        self._good: set[tuple[str, str]] = set()

    def check(self, move: Move, deed: str) -> None:
        """Refuse a move from or to a folder that does not allow it; a folder is looked at once."""
        source, target = os.path.dirname(move.old), os.path.dirname(move.new)
        if (source, target) in self._good:
            return
        ground = target or '.'
        while not os.path.lexists(ground):
            ground = os.path.dirname(ground) or '.'
        if not os.path.isdir(ground):
            raise Failure(f'{ground} is not a folder', move.new)
        for folder in (ground, source or '.') if deed == 'rename' else (ground,):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise Failure('its folder is not writable', move.new if folder == ground else move.old)
        if deed == 'rename' and os.stat(source or '.').st_dev != os.stat(ground).st_dev:
            raise Failure(f'{ground} is on another file system; --copy DIR can go there', move.old)
        self._good.add((source, target))


def in_order(moves: Sequence[Move]) -> list[Move]:
    """The renames in an order in which each finds its new name free.

    Parameters
    ----------
    moves : sequence of Move
        A plan that `check` has let pass.

    Returns
    -------
    list of Move
        The same moves. Where names go round in a circle, one of the files first gets a temporary name.

    Examples
    --------
    >>> [(move.old, move.new) for move in in_order([Move('a', 'b'), Move('b', 'c')])]
    [('b', 'c'), ('a', 'b')]
    """
    place = _Places()
    waiting = {place(move.old): move for move in moves}
    steps: list[Move] = []
    for move in moves:
        chain: list[Move] = []
        following: Move | None = waiting.get(place(move.old))
        while following is not None:
            chain.append(waiting.pop(place(following.old)))
            following = waiting.get(place(following.new))
        if chain and place(chain[-1].new) == place(chain[0].old):
            spare = _spare_name(chain[0].old, len(steps))
            steps.append(Move(chain[0].old, spare))
            chain[0] = Move(spare, chain[0].new)
        steps += reversed(chain)
    return steps


def _spare_name(path: str, number: int) -> str:
    while os.path.lexists(name := os.path.join(os.path.dirname(path), f'{_SPARE}{number}')):
        number += 1
    return name


class Logbook:
    """LOG.log and LOG_undo.sh; made at the start of the ``with`` block.

    Parameters
    ----------
    plan : Plan
        What will be done.
    """

    def __init__(self, plan: Plan) -> None:
        self.log, self.script, moves, deed = plan.log, plan.script, plan.steps, plan.deed
        here = os.path.dirname(self.log) == ''
        spelt = [move if here else Move(os.path.abspath(move.old), os.path.abspath(move.new)) for move in moves]
        lines = [_log_line(move) for move in spelt]
        head, calls, tail = _script(self.log, deed, spelt)
        self._texts = b''.join(lines), head + b''.join(reversed(calls)) + tail
        self._word = _WORDS[deed].ljust(_WIDTH).encode()
        self._places = [end - _WIDTH - 1 for end in _ends(lines)]
        self._calls = [len(self._texts[1]) - len(tail) - end for end in _ends(calls)]
        self._files: list[int] = []

    def __enter__(self) -> Self:
        try:
            for path, text, mode in zip((self.log, self.script), self._texts, (0o666, 0o777), strict=True):
                self._files.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
                _write_all(self._files[-1], text)
        except BaseException as error:
            for file, path in zip(self._files, (self.log, self.script), strict=False):
                os.close(file)
                with contextlib.suppress(OSError):
                    os.unlink(path)
            if isinstance(error, OSError):
                raise Failure(f'can not be written, so nothing was done: {error.strerror}', path) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = None
        for file, path in zip(self._files, (self.log, self.script), strict=True):
            try:
                os.fsync(file)
            except OSError as trouble:
                lost = Failure(f'may be incomplete on disk: {trouble.strerror}', path)
            os.close(file)
        if lost is not None and error is None:
            raise lost

    def begin(self, number: int) -> None:
        """Note, before it is done, that a move is done.

        Parameters
        ----------
        number : int
            Its place in the plan.
        """
        os.pwrite(self._files[1], b'back', self._calls[number])
        os.pwrite(self._files[0], self._word, self._places[number])

    def failed(self, number: int) -> None:
        """Note that a move has failed.

        Parameters
        ----------
        number : int
            Its place in the plan.
        """
        with contextlib.suppress(OSError):
            os.pwrite(self._files[1], b'skip', self._calls[number])
            os.pwrite(self._files[0], b'failed'.ljust(_WIDTH), self._places[number])


def _ends(pieces: Sequence[bytes]) -> list[int]:
    ends, total = [], 0
    for piece in pieces:
        total += len(piece)
        ends.append(total)
    return ends


def _write_all(file: int, text: bytes) -> None:
    while text:
        text = text[os.write(file, text) :]
    os.fsync(file)


def free_names(root: str) -> tuple[str, str]:
    """Names for a log and its undo script that no file has yet.

    Parameters
    ----------
    root : str
        LOG, or LOG.log.

    Returns
    -------
    (str, str)
        LOG.log and LOG_undo.sh, or with LOG.1, LOG.2 ... where one of the two exists.

    Raises
    ------
    Failure
        When their folder is missing or not writable.
    """
    folder = os.path.dirname(root) or '.'
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise Failure('the folder for the log does not exist or is not writable', f'{root}.log')
    root = root.removesuffix('.log')
    for number in range(_TRY):
        name = f'{root}.{number}' if number else root
        paths = f'{name}.log', f'{name}_undo.sh'
        if not any(map(os.path.lexists, paths)):
            return paths
    raise Failure(f'there are {_TRY} logs of this name', f'{root}.log')


def escaped(path: str) -> str:
    r"""A name on one line, without tabs, that `unescaped` turns back.

    Parameters
    ----------
    path : str
        Any name.

    Returns
    -------
    str
        Backslashes and what is not printable as the bytes ``\xNN``.

    Examples
    --------
    >>> print(escaped('a\tb\\c'))
    a\x09b\x5cc
    """
    if path.isprintable() and '\\' not in path:
        return path
    return ''.join(
        char if char.isprintable() and char != '\\' else ''.join(f'\\x{byte:02x}' for byte in os.fsencode(char))
        for char in path
    )


def unescaped(text: str) -> str:
    r"""The name that `escaped` wrote.

    Parameters
    ----------
    text : str
        A field of a log.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> unescaped(escaped('a\tb\\c')) == 'a\tb\\c'
    True
    """
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), os.fsencode(text)))


def _log_line(move: Move, state: str = 'planned') -> bytes:
    return os.fsencode(f'{escaped(move.old)}\t{escaped(move.new)}\t{state:<{_WIDTH}}\n')


_SCRIPT = """\
#!/bin/sh
# img_rename {version}: undoes what {log} says was done; nothing is overwritten.
# Where the folder has moved since, change the next line.
cd -- {folder} || exit 1
status=0
trap 'exit $status' EXIT
said() {{
    printf '%s' "$1" | LC_ALL=C tr '\\001-\\037\\177' '?' >&2
    echo >&2
    status=1
}}
skip() {{
    :
}}
back() {{
    if [ ! -e "$1" ] && [ ! -L "$1" ]; then
        said "$1: is not there"
{deed}    fi
}}
"""
_BACK = {
    'rename': """\
    elif [ -e "$2" ] || [ -L "$2" ]; then
        said "$2: exists and is not overwritten"
    else
        mv -- "$1" "$2" || status=1
""",
    'copy': """\
    elif ! cmp -s -- "$1" "$2"; then
        said "$1: differs from $2 and is not removed"
    else
        rm -f -- "$1" || status=1
""",
    'link': """\
    elif [ ! -L "$1" ]; then
        said "$1: is not a symbolic link and is not removed"
    else
        rm -f -- "$1" || status=1
""",
}


def _script(log: str, deed: str, moves: Sequence[Move]) -> tuple[bytes, list[bytes], bytes]:
    """Head, one call a move (in the order of the moves), and end of an undo script."""
    folder, name = os.path.split(os.path.abspath(log))
    head = _SCRIPT.format(version=__version__, log=visible(name), folder=shlex.quote(folder), deed=_BACK[deed])
    calls = [os.fsencode(f'skip {_shell_word(move.new)} {_shell_word(move.old)}\n') for move in moves]
    return os.fsencode(head), calls, b'exit $status\n'


def _shell_word(path: str) -> str:
    return shlex.quote(path if path.startswith('/') else f'./{path}')


def carry_out(plan: Plan) -> Iterator[Move]:
    """Rename, copy or link files, one after the other.

    Parameters
    ----------
    plan : Plan
        What is to be done.

    Yields
    ------
    Move
        What is done now, without temporary names; first what needed nothing.

    Raises
    ------
    Failure
        At the first that fails; the others are not touched.
    """
    waiting = {move.new for move in plan.steps}
    yield from (move for move in plan.moves if move.new not in waiting)
    if not plan.steps:
        return
    with Logbook(plan) as book:
        for number, move in enumerate(plan.steps):
            try:
                _refuse_existing(move.new)
                if folder := os.path.dirname(move.new):
                    os.makedirs(folder, exist_ok=True)
                book.begin(number)
                _DEEDS[plan.deed](move.old, move.new)
            except (OSError, Failure) as error:
                book.failed(number)
                done = f'{number} of {len(plan.steps)} were {_WORDS[plan.deed]}'
                done += f'; sh {plan.script} undoes it' if number else ''
                raise Failure(f'can not become {move.new}: {_reason(error)}; {done}', move.old) from error
            if not os.path.basename(move.new).startswith(_SPARE):
                yield move


def _reason(error: OSError | Failure) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refuse_existing(path: str) -> None:
    # os.rename would replace it without a word.
    if os.path.lexists(path):
        raise Failure('it exists and is not overwritten')


def _copy(old: str, new: str) -> None:
    with open(old, 'rb') as source, output.complete_file(new) as target:
        before = os.fstat(source.fileno())
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        after = os.fstat(source.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Failure('it has changed while it was copied')
        os.fchmod(target.fileno(), before.st_mode & 0o777)
        os.utime(target.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))


def _link(old: str, new: str) -> None:
    os.symlink(os.path.abspath(old), new)


def _rename(old: str, new: str) -> None:
    os.rename(old, new)


_DEEDS: dict[str, Callable[[str, str], None]] = {'rename': _rename, 'copy': _copy, 'link': _link}


@dataclass(frozen=True)
class Entry:
    """A line of a log.

    Attributes
    ----------
    old, new : str
        Paths, from the folder in which the command runs now.
    state : str
        What happened.
    place : int
        Where in the log `state` stands, in bytes.
    """

    old: str
    new: str
    state: str
    place: int

    @property
    def back(self) -> Move:
        """What undoing it does; a copy or a link is removed and gets no name."""
        return Move(self.new, self.old if self.state == 'renamed' else '')


def log_name(word: str) -> str:
    """The log that a word means.

    Parameters
    ----------
    word : str
        LOG or LOG.log.

    Returns
    -------
    str
        Its name.
    """
    return word if os.path.exists(word) else f'{word}.log'


def read_log(path: str) -> list[Entry]:
    """The lines of a log.

    Parameters
    ----------
    path : str
        LOG.log.

    Returns
    -------
    list of Entry
        In their order.

    Raises
    ------
    Failure
        When it is no log of ours.
    """
    with open(path, 'rb') as file:
        lines = file.read().splitlines(keepends=True)
    entries, folder = [], os.path.dirname(path)
    for number, (line, end) in enumerate(zip(lines, _ends(lines), strict=True), 1):
        fields = os.fsdecode(line).removesuffix('\n').split('\t')
        if len(fields) != 3 or len(fields[2]) != _WIDTH or not line.endswith(b'\n'):
            raise Failure(f'line {number} is not a line of an img_rename log', path)
        old, new = (os.path.join(folder, unescaped(field)) for field in fields[:2])
        entries.append(Entry(old, new, fields[2].strip(), end - _WIDTH - 1))
    return entries


def way_back(entries: Sequence[Entry]) -> list[Entry]:
    """What must be undone, checked before anything is.

    Parameters
    ----------
    entries : sequence of Entry
        A log.

    Returns
    -------
    list of Entry
        In the order in which they are undone; without those that are undone, or never happened.

    Raises
    ------
    Failure
        When a file is gone, a name is taken, or a copy has changed.
    """
    place = _Places()
    changed: dict[str, bool] = {}

    def exists(path: str) -> bool:
        return changed.get(place(path), os.path.lexists(path))

    todo = []
    for entry in reversed(entries):
        if entry.state not in _WORDS.values() or (not exists(entry.new) and exists(entry.old)):
            continue
        if not exists(entry.new):
            raise Failure(f'is gone, and so is {entry.old}', entry.new)
        if entry.state == 'renamed':
            if exists(entry.old):
                raise Failure(f'can not get its old name back: {entry.old} exists', entry.new)
            changed.update({place(entry.new): False, place(entry.old): True})
        else:
            _refuse_loss(entry)
        todo.append(entry)
    return todo


def _refuse_loss(entry: Entry) -> None:
    """Only what is there a second time is removed."""
    if entry.state == 'linked':
        if not os.path.islink(entry.new) or os.readlink(entry.new) != os.path.abspath(entry.old):
            raise Failure(f'is not the link to {entry.old} any more', entry.new)
    elif not os.path.exists(entry.old) or not filecmp.cmp(entry.old, entry.new, shallow=False):
        raise Failure(f'differs from {entry.old} and is not removed', entry.new)


def take_back(log: str, entries: Sequence[Entry]) -> Iterator[Move]:
    """Undo what a log says, one file after the other, and note it there.

    Parameters
    ----------
    log : str
        Its name.
    entries : sequence of Entry
        From `way_back`.

    Yields
    ------
    Move
        What has just been undone, without temporary names.

    Raises
    ------
    Failure
        At the first that fails.
    """
    with open(log, 'r+b', buffering=0) as file:
        for number, entry in enumerate(entries):
            try:
                if entry.state == 'renamed':
                    _refuse_existing(entry.old)
                    os.rename(entry.new, entry.old)
                else:
                    os.unlink(entry.new)
                os.pwrite(file.fileno(), b'undone'.ljust(_WIDTH), entry.place)
            except (OSError, Failure) as error:
                raise Failure(f'{_reason(error)}; {number} of {len(entries)} were undone', entry.new) from error
            if not os.path.basename(entry.old).startswith(_SPARE):
                yield entry.back
