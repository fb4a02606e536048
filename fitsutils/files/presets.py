"""Detectors whose headers do not say where their overscan lies: a table by instrument, binning and size."""

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fitsutils.errors import Failure, UsageError
from fitsutils.files import header as headers
from fitsutils.files.section import Region, parse_pair

# NAME KEYWORD=PATTERN XxY NAXIS1xNAXIS2 GUARD DATA:BIAS..., the lines of one camera under one name.
#
# kosmos: two amplifiers, both overscans at the right edge, 50 columns each whatever the binning; the guard leaves the
# columns that PypeIt uses. dis: the sizes of the data and of the frame are known, and the overscan is what lies
# between; when it is binned, its 50 columns may be 50 or 25. nickel, kast: measured on frames of these cameras, whose
# first and last columns of overscan lie 8 to 30 counts off the others.
_BUILT_IN = """
kosmos  INSTRUME=kosmos*  1x*  2148x*     7,10  [1:1024,*]:[2049:2098,*]     [1025:2048,*]:[2099:2148,*]
kosmos  INSTRUME=kosmos*  2x*  1124x*     7,10  [1:512,*]:[1025:1074,*]      [513:1024,*]:[1075:1124,*]
dis     INSTRUME=dis*     1x1  2098x1078  2,2   [1:2048,1:1028]:[2049:2098,1:1028]
dis     INSTRUME=dis*     2x2  1074x564   2,2   [1:1024,1:514]:[1025:1074,1:514]
dis     INSTRUME=dis*     2x2  1049x539   2,2   [1:1024,1:514]:[1025:1049,1:514]
nickel  INSTRUME=nickel*  2x2  1056x1024  2,2   [1:1024,*]:[1025:1056,*]
nickel  INSTRUME=nickel*  1x1  2080x2048  2,2   [1:2048,*]:[2049:2080,*]
kast    VERSION=kastb*    1x*  2112x*     2,2   [1:1024,*]:[2049:2080,*]     [1025:2048,*]:[2081:2112,*]
kast    INSTRUME=*kast*   1x*  2112x*     2,2   [1:1024,*]:[2049:2080,*]     [1025:2048,*]:[2081:2112,*]
"""

_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_.-]*\Z')
_CONDITION = re.compile(r'([A-Z0-9_-]{1,8})=(.+)\Z')
_PAIR = re.compile(r'(\*|[1-9]\d*)x(\*|[1-9]\d*)\Z')
_GUARD = re.compile(r'(\d+)(?:,(\d+))?\Z')
_FORM = 'NAME KEYWORD=PATTERN XBINxYBIN NAXIS1xNAXIS2 GUARD DATA:BIAS...'

_LONGEST = 60  # characters of a line that a message repeats

_Pair = tuple[int | None, int | None]


class Preset(NamedTuple):
    """The amplifiers of a detector read out in one way.

    Attributes
    ----------
    name : str
        What ``--preset`` calls it.
    key, pattern : str
        A keyword, and a shell pattern that its value matches in any case.
    binning, size : (int or None, int or None)
        In x and y; None stands for any.
    guard : (int, int)
        Overscan columns left out at the first and last edge.
    amplifiers : tuple of (Region, Region)
        Pixels and overscan of each.
    """

    name: str
    key: str
    pattern: str
    binning: _Pair
    size: _Pair
    guard: tuple[int, int]
    amplifiers: tuple[tuple[Region, Region], ...]

    def __str__(self) -> str:
        return f'preset {self.name} {_words(self.binning)}'

    def is_for(self, keywords: Any) -> bool:
        """Whether a header's keyword matches.

        Parameters
        ----------
        keywords : Keywords or Header
            The header.

        Returns
        -------
        bool
            False where the keyword is missing.
        """
        found = headers.lookup(keywords, self.key)
        return found is not None and fnmatch.fnmatch(str(found).strip().lower(), self.pattern.lower())


def _words(pair: _Pair) -> str:
    return 'x'.join('*' if number is None else str(number) for number in pair)


def built_in() -> list[Preset]:
    """The table that is always there.

    Returns
    -------
    list of Preset
        Cameras of Apache Point (KOSMOS, DIS) and Lick (Nickel, Kast blue).

    Examples
    --------
    >>> sorted({preset.name for preset in built_in()})
    ['dis', 'kast', 'kosmos', 'nickel']
    """
    return _parsed(_BUILT_IN.splitlines(), 'the built-in table')


def table_from(words: Sequence[str]) -> tuple[list[Preset], str | None]:
    """The table and the name that the words of ``--preset`` give.

    Parameters
    ----------
    words : sequence of str
        Each is ``auto``, a file that adds to the table, or the name of a camera in it.

    Returns
    -------
    list of Preset
        The table; lines of files come first, those of the last file before the others.
    str or None
        The name; None where the header says which camera it is.

    Raises
    ------
    Failure
        When a file can't be read as a table.
    UsageError
        When a name is not in the table, or there are two names.
    """
    table, name = built_in(), None
    for word in words:
        if os.path.isfile(word):
            with open(word, 'rb') as file:
                table = _parsed(os.fsdecode(file.read()).splitlines(), word) + table
    for word in words:
        if os.path.isfile(word) or word.lower() == 'auto':
            continue
        known = sorted({preset.name for preset in table})
        if word.lower() not in known:
            raise UsageError(f'--preset {word}: there is no such file, and the table knows {", ".join(known)}')
        if name not in (None, word.lower()):
            raise UsageError(f'--preset {name} and {word}: one camera is wanted')
        name = word.lower()
    return table, name


def _parsed(lines: Iterable[str], path: str) -> list[Preset]:
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split('#')[0].split()
        if not words:
            continue
        try:
            found.append(_preset(words))
        except (ValueError, UsageError) as error:
            raise Failure(f'line {number}: {error}', path) from None
    if not found:
        raise Failure(f'there is no line {_FORM}', path)
    return found


def _preset(words: Sequence[str]) -> Preset:
    if len(words) < 6:
        raise ValueError(f'it is not {_FORM}')
    name, condition, binning, size, guard = words[:5]
    matches = _NAME.match(name), _CONDITION.match(condition), _GUARD.match(guard)
    if name.lower() == 'auto' or not all(matches):
        raise ValueError(f'{" ".join(words[:5])[:_LONGEST]} is not {_FORM.rpartition(" ")[0]}')
    margins = int(matches[2][1]), int(matches[2][2] or matches[2][1])
    amplifiers = tuple(_amplifier(word) for word in words[5:])
    return Preset(
        name.lower(), matches[1][1], matches[1][2], _numbers(binning), _numbers(size), margins, amplifiers
    )  # fmt: skip


def _numbers(word: str) -> _Pair:
    match = _PAIR.match(word)
    if match is None:
        raise ValueError(f'{word[:_LONGEST]} is not two numbers (or *) with an x between')
    return tuple(None if number == '*' else int(number) for number in match.groups())


def _amplifier(word: str) -> tuple[Region, Region]:
    data, bias = parse_pair(word)
    if bias is None:
        raise ValueError(f'{word} has no overscan')
    return data, bias


def choose(table: Sequence[Preset], image: Any, name: str | None = None) -> Preset | None:
    """The preset for an image.

    Parameters
    ----------
    table : sequence of Preset
        The first that fits counts.
    image : Image
        Its keywords and size tell.
    name : str, optional
        The camera; None: that which the header names.

    Returns
    -------
    Preset or None
        None where the table does not know the header's camera.

    Raises
    ------
    Failure
        When the camera is known, and the image has none of its sizes and binnings.
    """
    lines = [preset for preset in table if (preset.name == name if name else preset.is_for(image.keywords))]
    if not lines:
        return None
    size, binning = tuple(reversed(image.full_shape[-2:])), _binning(image.keywords)
    for preset in lines:
        if _agree(preset.size, size) and _agree(preset.binning, binning):
            return preset
    known = ', '.join(dict.fromkeys(f'{_words(each.binning)} ({_words(each.size)} pixels)' for each in lines))
    binned = '' if binning == (None, None) else f'binned {_words(binning)} '
    raise Failure(
        f'the image, {binned}of {_words(size)} pixels, is none that the preset {lines[0].name} knows: {known}',
        image.path,
    )


def _agree(wanted: _Pair, found: _Pair) -> bool:
    return all(None in pair or pair[0] == pair[1] for pair in zip(wanted, found, strict=True))


def _binning(keywords: Any) -> _Pair:
    found = [headers.as_number(headers.lookup(keywords, key)) for key in ('XBINNING', 'YBINNING')]
    if None in found:
        words = str(headers.value(keywords, 'CCDSUM') or '').split()
        found = [headers.as_number(word) for word in words] if len(words) == 2 else [None, None]
    return tuple(None if number is None or number < 1 else int(number) for number in found)
