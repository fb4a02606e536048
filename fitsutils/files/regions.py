"""Parts of images that a person has marked: sections, lists of bad pixels, regions of DS9."""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from fitsutils.errors import Failure, UsageError
from fitsutils.files import header as headers
from fitsutils.files.section import Region, parse_section

_CALL = re.compile(r'([+-]?)\s*([A-Za-z]+)\s*\(([^()]*)\)\s*(?:\|\|\s*)?\Z')
_LOOSE = re.compile(r'([+-]?)\s*([A-Za-z]+)((?:\s+[-+.\dEe,]+)+)\Z')
_FRAME = re.compile(r'[A-Za-z]\w*\Z')
_NUMBER = re.compile(r'[-+]?(?:\d+\.?\d*|\.\d+)(?:[Ee][-+]?\d+)?')
_NAMES = {'rotbox': 'box'}


class Drawn(NamedTuple):
    """A part of an image.

    Attributes
    ----------
    kind : str
        'section', or the name of a shape: 'circle', 'polygon'.
    numbers : tuple of float
        Of a shape: pixels from 1, x first; angles in degrees.
    section : Region or None
        Of a section.
    physical : bool
        Whether the numbers count as before a cut, which LTV and LTM of a header tell.
    """

    kind: str
    numbers: tuple[float, ...] = ()
    section: Region | None = None
    physical: bool = False

    def within(self, image: Any) -> 'Drawn':
        """The same part in terms of an image's own pixels.

        Parameters
        ----------
        image : Image
            The image.

        Returns
        -------
        Drawn
            Itself, unless it counts as before a cut that the image has been through.

        Raises
        ------
        Failure
            When a section goes beyond the image, or the image was binned or turned since.
        """
        if self.section is not None:
            image.cut(self.section)
            return self
        if not self.physical:
            return self
        scales = [headers.as_number(headers.value(image.keywords, f'LTM{axis}_{axis}')) for axis in (1, 2)]
        if any(scale not in (None, 1.0) for scale in scales):
            raise Failure('regions in physical coordinates do not fit an image that was binned or turned', image.path)
        shifts = [headers.as_number(headers.value(image.keywords, f'LTV{axis}')) or 0.0 for axis in (1, 2)]
        places = len(self.numbers) if self.kind == 'polygon' else 4 if self.kind == 'line' else 2
        moved = (number + shifts[place % 2] if place < places else number for place, number in enumerate(self.numbers))
        return self._replace(numbers=tuple(moved), physical=False)


def read(word: str) -> list[Drawn]:
    """The parts that ``--region`` names.

    Parameters
    ----------
    word : str
        ``[x1:x2,y1:y2]``, a shape such as ``circle(x,y,r)``, or ``@FILE`` with one of these a line, or
        ``x1 x2 y1 y2`` or ``x y`` as in IRAF's lists of bad pixels. A file of regions that DS9 wrote in image or
        physical coordinates is one.

    Returns
    -------
    list of Drawn
        At least one.

    Raises
    ------
    Failure
        When the file can't be read as that.
    UsageError
        When the word is none of these.

    Examples
    --------
    >>> read('[3:5,*]')[0].section.axes, read('circle(10, 20.5, 3)')[0].numbers
    (((2, 5), None), (10.0, 20.5, 3.0))
    """
    if not word.startswith('@'):
        try:
            return [_parsed(word.strip(), physical=False)]
        except ValueError as error:
            raise UsageError(f'--region {word}: {error}') from None
    found = list(_of_file(word[1:]))
    if not found:
        raise Failure('there is no region in it', word[1:])
    return found


def _of_file(path: str) -> Iterator[Drawn]:
    with open(path, 'rb') as file:
        raw = file.read()
    if b'\0' in raw:
        raise Failure('this is not a text file', path)
    physical = False
    for number, line in enumerate(os.fsdecode(raw).splitlines(), 1):
        for piece in _statements(line):
            if _FRAME.match(piece):
                physical = _is_physical(piece, number, path)
                continue
            try:
                yield _parsed(piece, physical=physical)
            except (ValueError, UsageError) as error:
                raise Failure(f'line {number}: {error}', path) from None


def _statements(line: str) -> list[str]:
    """What a line says; DS9 puts a frame and a shape into one, and colours behind a #."""
    bare = line.partition('#')[0].strip()
    if bare.startswith('global'):
        return []
    return [piece.strip() for piece in bare.split(';') if piece.strip()]


def _is_physical(frame: str, number: int, path: str) -> bool:
    if frame.lower() not in ('image', 'physical'):
        raise Failure(f'line {number}: {frame} is neither image nor physical: save regions in pixels', path)
    return frame.lower() == 'physical'


def _parsed(text: str, *, physical: bool) -> Drawn:
    """One part; a ValueError where the text is none."""
    if text.startswith('['):
        return Drawn('section', section=parse_section(text))
    if text[:1].isdigit():
        return _from_list(text)
    match = _CALL.match(text) or _LOOSE.match(text)
    if match is None:
        raise ValueError(f'{text!r} is neither [x1:x2,y1:y2] nor a shape such as circle(x,y,r)')
    sign, name, inner = match.groups()
    if sign == '-':
        raise ValueError(f'{text!r}: what is taken out of other regions can not be had')
    words = inner.replace(',', ' ').split()
    if odd := next((word for word in words if not _NUMBER.fullmatch(word)), None):
        raise ValueError(f'{text!r}: {odd!r} is not a number of pixels')
    kind = name.lower()
    return Drawn(_NAMES.get(kind, kind), tuple(map(float, words)), physical=physical)


def _from_list(text: str) -> Drawn:
    """A line of IRAF's lists: x1 x2 y1 y2, or x y."""
    words = text.replace(',', ' ').split()
    if len(words) not in (2, 4) or not all(word.isdigit() for word in words):
        raise ValueError(f'{text!r} is not x1 x2 y1 y2 or x y, whole numbers from 1')
    numbers = list(map(int, words))
    x1, x2, y1, y2 = numbers if len(words) == 4 else (numbers[0], numbers[0], numbers[1], numbers[1])
    return Drawn('section', section=parse_section(f'[{min(x1, x2)}:{max(x1, x2)},{min(y1, y2)}:{max(y1, y2)}]'))
