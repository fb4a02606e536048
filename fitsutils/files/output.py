"""Outputs: complete or not at all, and refused before any work where they must not be.

An output is written to a temporary file in its own folder, flushed to disk
and then renamed, so that its name always holds a complete file. Nothing here
needs numpy: a text is written without waiting for it.
"""

import atexit
import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from fitsutils.errors import Failure, UsageError, show, unfinished
from fitsutils.files.naming import split_suffix

STANDARD_OUTPUT = (None, '-', 'screen', 'stdio')


_unsynced: set[str] = set()


def check_outputs(
    outputs: Sequence[str],
    inputs: Iterable[str],
    *,
    force: bool = False,
    skip_existing: bool = False,
    new_folder: str | None = None,
) -> list[bool]:
    """Refuse what must not be written, before any work.

    Parameters
    ----------
    outputs : sequence of str
        Names of the files to be written.
    inputs : iterable of str
        Names of all inputs, operands and lists too.
    force : bool
        Existing outputs are replaced.
    skip_existing : bool
        Existing outputs are passed over.
    new_folder : str, optional
        The word after ``-o``: where it ends in '/', that folder may be missing, `make_folder` will make it.

    Returns
    -------
    list of bool
        For each output whether it is to be written.

    Raises
    ------
    Failure
        When an output exists or is an input, or its folder is missing or not writable.
    UsageError
        When both policies were asked for.
    """
    if force and skip_existing:
        raise UsageError('--force and --skip-existing exclude each other')
    identities = {identity: path for path in inputs if (identity := _identity(path)) is not None}
    todo = []
    for path in outputs:
        exists = os.path.lexists(path) and not _is_device(path)
        if os.path.isdir(path):
            raise Failure('is a folder', path)
        if exists and os.path.exists(path) and not os.path.isfile(path):
            raise Failure('is neither a file nor a pipe', path)
        if exists and not skip_existing and not force:
            is_input = _identity(path) in identities
            raise Failure('it is an input; --force replaces it' if is_input else 'it exists; --force replaces it', path)
        todo.append(not (exists and skip_existing))
        _check_folder(path, new_folder)
    return todo


def refuse_protected(paths: Iterable[str], advice: str = '') -> None:
    """Refuse to put new files in the place of images that nobody may write to.

    Parameters
    ----------
    paths : iterable of str
        Names of files that are there.
    advice : str
        What the message says in the end.

    Raises
    ------
    Failure
        When one is write-protected: a rename would replace it all the same.
    """
    for path in paths:
        if not os.stat(path).st_mode & 0o222:
            raise Failure(f'it is write-protected{advice}', path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _is_device(path: str) -> bool:
    """Whether a path is a device or a pipe: written to as it is, never replaced."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _check_folder(path: str, new_folder: str | None) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if new_folder and new_folder.endswith('/') and not os.path.lexists(new_folder.rstrip('/')):
        while not os.path.isdir(folder):  # the nearest one that is there must let new ones be made
            folder = os.path.dirname(folder)
    if os.path.dirname(path) and not os.path.isdir(folder):
        raise Failure(f'the folder {os.path.dirname(path)} does not exist', path)
    if not _is_device(path) and not os.access(folder, os.W_OK | os.X_OK):
        raise Failure('its folder is not writable', path)
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Failure(error.strerror, path) from None


def make_folder(path: str | None) -> None:
    """Make the folder that ``-o DIR/`` names, where it is missing.

    Parameters
    ----------
    path : str, optional
        The word after ``-o``; one that does not end in '/' is left alone.

    Raises
    ------
    Failure
        When it can't be made.
    """
    if path and path.endswith('/') and not os.path.isdir(path):
        try:
            os.makedirs(path)
        except OSError as error:
            raise Failure(f'the folder can not be made: {error.strerror}', path) from error


@contextlib.contextmanager
def complete_file(path: str) -> Iterator[BinaryIO]:
    """A file that stands under its name only once the block has ended well.

    Parameters
    ----------
    path : str
        Name of the output. A symbolic link stays one: its target is replaced.
        A device or a pipe is written to directly.

    Yields
    ------
    file object
        Open for writing bytes.

    Raises
    ------
    Failure
        When anything can't be written; the old file stands and nothing is left behind.
    """
    try:
        if _is_device(path):
            with open(path, 'wb') as file:
                yield file
        else:
            yield from _replacing(os.path.realpath(path))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise Failure(f'can not be written: {error.strerror or error}', path) from error


def _replacing(target: str) -> Iterator[BinaryIO]:
    folder, name = os.path.split(target)
    suffixes = ''.join(split_suffix(name)[1:])
    temporary = os.path.join(folder, f'.{os.urandom(6).hex()}{suffixes}')
    mode = stat.S_IMODE(os.stat(target).st_mode) if os.path.exists(target) else None
    unfinished.add(temporary)
    try:
        # Open within the block: a signal that comes right after it must not leave the temporary behind.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, 'O_CLOEXEC', 0), 0o666)
        with os.fdopen(descriptor, 'wb') as file:
            yield file
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        unfinished.discard(temporary)
    _sync_later(folder)


def _sync_later(folder: str) -> None:
    """Have a folder flushed once, when the process ends: a command may write thousands of files into it."""
    if not _unsynced:
        atexit.register(_sync_folders)
    _unsynced.add(os.path.abspath(folder))


def _sync_folders() -> None:
    """Make the new names as durable as the data; file systems that can't are no reason to fail."""
    while _unsynced:
        with contextlib.suppress(OSError):
            descriptor = os.open(_unsynced.pop(), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_text(path: str | None, text: str, *, append: bool = False) -> str | None:
    """Write a text to standard output or to a file, there complete or not at all.

    Parameters
    ----------
    path : str or None
        Its name; None, '-', 'screen' and 'stdio' mean standard output.
    text : str
        All of its text.
    append : bool
        What the file holds already stays in front.

    Returns
    -------
    str or None
        The file's name; None when the text went to standard output.

    Raises
    ------
    Failure
        When it can't be written.
    """
    if path in STANDARD_OUTPUT:
        show(text)
        return None
    before = b''
    if append and os.path.exists(path) and not _is_device(path):
        with open(path, 'rb') as file:
            before = file.read()
    with complete_file(path) as file:
        file.write(before)
        file.write(text.encode('utf-8', 'surrogateescape'))
    return path


def _is_fits(path: str) -> bool:
    with contextlib.suppress(OSError), open(path, 'rb') as file:
        return file.read(10) == b'SIMPLE  = '
    return False


def check_text(
    path: str | None, inputs: Iterable[str], *, append: bool = False, force: bool = False, skip_existing: bool = False
) -> bool:
    """Refuse a text output that must not be written, before any work.

    Parameters
    ----------
    path : str or None
        The word after ``-o``; None, '-', 'screen' and 'stdio' mean standard output.
    inputs : iterable of str
        Names of all inputs.
    append : bool
        Text is added to a file that exists.
    force, skip_existing : bool
        As in `check_outputs`.

    Returns
    -------
    bool
        Whether there is anything to do.

    Raises
    ------
    Failure
        When the file exists, is an input, or can't be made.
    """
    if path in STANDARD_OUTPUT:
        if append:
            raise UsageError('--append needs -o FILE')
        return True
    if append and (force or skip_existing):
        raise UsageError('--append excludes --force and --skip-existing')
    if append and _identity(path) is not None and _identity(path) in map(_identity, inputs):
        raise Failure('it is an input', path)
    if (force or append) and os.path.isfile(path) and _is_fits(path):
        raise Failure('it is a FITS file, and a text neither replaces it nor is added to it', path)
    return check_outputs([path], inputs, force=force or append, skip_existing=skip_existing)[0]
