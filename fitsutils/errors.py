"""The error whose message is meant for the user, and text made safe to show."""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence

# Temporary files that are being written: a signal that ends the process removes them, whichever thread they are of.
unfinished: set[str] = set()


class Failure(Exception):
    """Something that the user can put right; the message says what and why.

    Parameters
    ----------
    what : str
        What is wrong and the rule that it breaks.
    path : str, optional
        The file concerned; the message begins with its name.
    """

    def __init__(self, what: str, path: str | None = None) -> None:
        super().__init__(what if path is None else f'{path}: {what}')
        self.path = path


class UsageError(Failure):
    """The command line itself is wrong: nothing was done, status 2.

    Parameters
    ----------
    what : str
        What is wrong and the rule that it breaks.
    path : str, optional
        The file concerned; the message begins with its name.
    excerpt : sequence of str
        Lines that show the place, as `excerpt` gives them; they come behind the message.
    """

    def __init__(self, what: str, path: str | None = None, excerpt: Sequence[str] = ()) -> None:
        super().__init__(what, path)
        self.headline = self.args[0]
        self.excerpt = tuple(excerpt)

    def __str__(self) -> str:
        return '\n'.join((self.headline, *self.excerpt))


class QualityFailure(Failure):
    """The result was written, but a quality check failed: status 3."""


class OutputFailure(Failure):
    """Standard output takes nothing more: there is no use in going on."""


class FileWarning(UserWarning):
    """Something about a file that the user should know; the work goes on."""


def excerpt(text: str, place: int, width: int = 100) -> tuple[str, str]:
    r"""A text and a caret under one place of it.

    Parameters
    ----------
    text : str
        A word of the command line; it is shown as `visible` makes it.
    place : int
        Number of the character, from 0; the length of the text for the place behind it.
    width : int
        Characters to show at most, those around the place.

    Returns
    -------
    (str, str)
        Two lines.

    Examples
    --------
    >>> print(*excerpt('EXPTIME => 5', 8), sep='\n')
      EXPTIME => 5
              ^
    """
    before, behind = visible(text[:place]), visible(text[place:])
    cut = max(0, min(len(before) - width // 2, len(before) + len(behind) - width))
    dots = '...' if cut else ''
    shown = (before + behind)[cut : cut + width]
    end = '...' if cut + width < len(before) + len(behind) else ''
    return f'  {dots}{shown}{end}', ' ' * (2 + len(dots) + len(before) - cut) + '^'


@contextlib.contextmanager
def refusing(what: str, path: str | None = None) -> Iterator[None]:
    """A block in which a ValueError of the numbers' floor is the user's to put right.

    Parameters
    ----------
    what : str
        The option that asked for it.
    path : str, optional
        The file concerned.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    Failure
        In place of a ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise Failure(f'{what}: {error}', path) from None


def warn(what: str, path: str | None = None) -> None:
    """Tell the user something about a file without stopping.

    Parameters
    ----------
    what : str
        What was noticed.
    path : str, optional
        The file concerned.
    """
    warnings.warn(FileWarning(what if path is None else f'{path}: {what}'), stacklevel=2)


def show(text: str) -> None:
    """Write to standard output.

    Parameters
    ----------
    text : str
        Data: rows, or names of files.

    Raises
    ------
    OutputFailure
        When it is full, or was closed before the command started.
    """
    if sys.stdout is None:
        raise OutputFailure('standard output is closed')
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:  # here only where the stream has no buffer; else when that is flushed
        raise OutputFailure(f'standard output: {error.strerror}') from None


def visible(text: str) -> str:
    r"""Text with everything that could drive a terminal or break a line made visible.

    Control characters, escape sequences, line breaks and the bidirectional
    marks of Unicode become escapes; a byte of a file name that is not UTF-8
    becomes ``\xNN``.

    Parameters
    ----------
    text : str
        Any text: a file name, a header value.

    Returns
    -------
    str
        One line of printable characters.

    Examples
    --------
    >>> print(visible('a\x1b[31m\nb'))
    a\x1b[31m\nb
    """
    if text.isprintable():
        return text
    return ''.join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    if '\udc80' <= char <= '\udcff':  # os.fsdecode keeps undecodable bytes here
        return f'\\x{ord(char) - 0xDC00:02x}'
    return char.encode('unicode_escape', 'backslashreplace').decode('ascii')
