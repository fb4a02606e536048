"""Numbers that belong to each image of a stack: from a text file, or from the headers."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fitsutils.errors import Failure, UsageError, visible
from fitsutils.files import header as headers

_KEYWORD = re.compile(r'[A-Z0-9_-]+( [A-Z0-9_-]+)*')
_LONGEST = 40  # characters of a line that a message repeats


def numbers(word: str, images: Sequence[Any], what: str) -> list[float]:
    """One number for each image.

    Parameters
    ----------
    word : str
        ``@FILE`` as for `listed`, or a keyword, which has aliases as everywhere.
    images : sequence of Image
        The images.
    what : str
        What the numbers are, for messages: the option.

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
        return [number for (number,) in listed(word[1:], images, ('NUMBER',))]
    key = word.strip().upper()
    if not _KEYWORD.fullmatch(key):
        raise UsageError(f'{what} {word}: this is neither @FILE nor a keyword')
    return [headers.needed_number(image.keywords, key, image.path) for image in images]


def listed(path: str, images: Sequence[Any], columns: Sequence[str]) -> list[tuple[float, ...]]:
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
    named = [line for line in lines if line.name]
    if not named:
        if len(lines) != len(images):
            raise Failure(f'{len(lines)} lines of {" ".join(columns)} for {len(images)} images: one a line', path)
        return [line.values for line in lines]
    if len(named) < len(lines):
        odd = next(line for line in lines if not line.name)
        raise odd.failure('it names no image, others do: NAME stands on all lines or on none')
    return _by_name(lines, images, path)


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


def _by_name(lines: Iterable[_Line], images: Sequence[Any], path: str) -> list[tuple[float, ...]]:
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
    if missing := [image.path for place, image in enumerate(images) if place not in found]:
        more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
        raise Failure(f'no line names {missing[0]}{more}', path)
    return [found[place] for place in range(len(images))]


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
