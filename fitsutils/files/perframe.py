"""Numbers that belong to each image of a stack: from a text file, or from the headers."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from fitsutils.errors import Failure, UsageError, visible
from fitsutils.files import header as headers

_KEYWORD = re.compile(r'[A-Z0-9_-]+( [A-Z0-9_-]+)*')
_LONGEST = 40  # characters of a line that a message repeats

_T = TypeVar('_T')


def numbers(word: str, images: Sequence[Any], what: str, roster: Sequence[Any] | None = None) -> list[float]:
    """One number for each image.

    Parameters
    ----------
    word : str
        ``@FILE`` as for `listed`, or a keyword, which has aliases as everywhere.
    images : sequence of Image
        The images.
    what : str
        What the numbers are, for messages: the option.
    roster : sequence of Image or Unread, optional
        All images that a file speaks of, where some are left out of `images`.

    Returns
    -------
    list of float
        Finite, in the order of the images.

    Raises
    ------
    Failure
        When the file does not give each image its number, or a header has none.
    UsageError
        When the word is neither.
    """
    if word.startswith('@') and len(word) > 1:
        return [number for (number,) in listed(word[1:], images, ('NUMBER',), roster)]
    key = word.strip().upper()
    if not _KEYWORD.fullmatch(key):
        raise UsageError(f'{what} {word}: this is neither @FILE nor a keyword')
    return [headers.needed_number(image.keywords, key, image.path) for image in images]


def listed(
    path: str, images: Sequence[Any], columns: Sequence[str], roster: Sequence[Any] | None = None
) -> list[tuple[float, ...]]:
    """The numbers that a text file has for each image.

    Parameters
    ----------
    path : str
        The file: one line an image, in their order, or with the name of the
        image's file before the numbers, in any order. A name, with or without
        its folders, stands for all images of that file. Blank lines and those that begin with # are
        passed over.
    images : sequence of Image
        The images.
    columns : sequence of str
        What the numbers of a line are, for messages.
    roster : sequence of Image or Unread, optional
        All images that the file speaks of, where some are left out of `images`.

    Returns
    -------
    list of tuple of float
        Finite, in the order of the images.

    Raises
    ------
    Failure
        When the file can't be read as that, or lines and images do not go together.
    """
    lines = [_Line(number, words, columns, path) for number, words in _lines(path, len(columns))]
    everything = images if roster is None else roster
    named = [line for line in lines if line.name]
    if len(named) == len(lines) > 0:
        found = _by_name(lines, everything, path)
        missing = [
            image.path for image, line in zip(images, picked(found, images, roster), strict=True) if line is None
        ]
        if missing:
            more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
            raise Failure(f'no line names {missing[0]}{more}', path)
        return picked(found, images, roster)
    if named:
        odd = next(line for line in lines if not line.name)
        raise odd.failure('it names no image, others do: NAME stands on all lines or on none')
    if len(lines) != len(everything):
        raise Failure(f'{len(lines)} lines of {" ".join(columns)} for {len(everything)} images: one a line', path)
    return picked([line.values for line in lines], images, roster)


class Unread(NamedTuple):
    """An image that was named and could not be opened: it keeps its place in lists.

    Attributes
    ----------
    reference : Reference
        What the user named.
    """

    reference: Any

    @property
    def path(self) -> str:
        """Name of the file."""
        return str(self.reference.path)

    @property
    def name(self) -> str:
        """Name of the file without folders."""
        return os.path.basename(self.path)


def picked(found: Sequence[_T], images: Sequence[Any], roster: Sequence[Any] | None) -> list[_T]:
    """What belongs to some images, of what there is for all.

    Parameters
    ----------
    found : sequence
        One for each of the roster.
    images : sequence of Image
        Some of the roster, in its order.
    roster : sequence of Image or Unread or None
        All of them; None: `images` are all.

    Returns
    -------
    list
        One for each of the images.
    """
    if roster is None:
        return list(found)
    chosen = set(map(id, images))
    return [each for each, image in zip(found, roster, strict=True) if id(image) in chosen]


class _Line:
    """A line of the file: the numbers are the last words, what stands before them is a name."""

    def __init__(self, number: int, words: Sequence[str], columns: Sequence[str], path: str) -> None:
        self._number, self._path = number, path
        name, *texts = words if len(words) > len(columns) else ('', *words)
        if len(texts) < len(columns):
            raise self.failure(f'{_shown(" ".join(words))} is not {" ".join(columns)} or NAME {" ".join(columns)}')
        self.name = name.strip()
        self.values = tuple(map(self._finite, texts))

    def _finite(self, text: str) -> float:
        value = headers.as_number(text)
        if value is None:
            raise self.failure(f'{_shown(text)} is not a number')
        return value

    def failure(self, what: str) -> Failure:
        """An error that names the file and the line."""
        return Failure(f'line {self._number}: {what}', self._path)


def _lines(path: str, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that says something."""
    with open(path, 'rb') as file:
        raw = file.read()
    if b'\0' in raw:
        raise Failure('this is not a text file', path)
    for number, line in enumerate(os.fsdecode(raw).split('\n'), 1):
        if (bare := line.strip()) and not bare.startswith('#'):
            yield number, bare.rsplit(None, columns)


def _shown(text: str) -> str:
    return repr(visible(text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'))


def _by_name(lines: Iterable[_Line], images: Sequence[Any], path: str) -> list[Any]:
    places_of = _names(images)
    found: dict[int, tuple[float, ...]] = {}
    for line in lines:
        places = next((names[name] for names in places_of if (name := os.path.normpath(line.name)) in names), [])
        files = list(dict.fromkeys(images[place].path for place in places))
        if not files:
            raise line.failure(f'no image is named {_shown(line.name)}')
        if len(files) > 1:
            raise line.failure(f'{_shown(line.name)} may be {files[0]} or {files[1]}: give its folder too')
        if not found.keys().isdisjoint(places):
            raise line.failure(f'{_shown(line.name)} has a line already')
        found.update(dict.fromkeys(places, line.values))
    return [found.get(place) for place in range(len(images))]


def _names(images: Sequence[Any]) -> tuple[dict[str, list[int]], ...]:
    """The images' places by what they may be called: as on the command line first, then without folders."""
    full: dict[str, list[int]] = {}
    short: dict[str, list[int]] = {}
    for place, image in enumerate(images):
        for name in {image.path, str(image.reference)}:
            full.setdefault(os.path.normpath(name), []).append(place)
        for name in {os.path.basename(image.path), image.name}:
            short.setdefault(name, []).append(place)
    return full, short
