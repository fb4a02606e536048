"""Header values of many files, fast.

A camera's frame has its image in the primary HDU and cards that the standard's
simple rules read; its values are taken straight from the bytes, some twenty
times faster than from a whole parsed header. Wherever anything is unusual (an
extension, a packed file, a card that breaks the standard) the file goes
through `hdus.read_header`, that is, through astropy. Both give the same.
"""

import functools
import os
import re
import stat
import warnings
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from fitsutils.errors import warn
from fitsutils.files import header as headers
from fitsutils.files.inputs import Hdu, Reference

_CARD = 80
_BLOCK = 2880
_FIRST_READ = 2880 * 4
_MOST_BYTES = 10_000 * _CARD
_PRINTABLE = bytes(range(32, 127))
_KEYWORD = re.compile(r'[A-Z0-9_-]+ *\Z')
# Strings with quotes in them or with the colon of record-valued cards, complex and odd numbers are left to astropy.
_VALUE = re.compile(
    r" *(?:'(?P<text>[^':]*(?::(?! )[^':]*)*)'"
    r'|(?P<logical>[TF])|(?P<whole>[+-]?\d+)|(?P<float>[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?)|) *(?:/|\Z)'
)
_COMMENTARY = ('', 'COMMENT', 'HISTORY')
_WITHOUT_VALUE = {key.ljust(8) for key in (*_COMMENTARY, 'CONTINUE')}
_BITS = (8, 16, 32, 64, -32, -64)
_MOST_AXES = 9
_LAYOUT = frozenset(
    ('BITPIX', 'NAXIS', *(f'NAXIS{axis}' for axis in range(1, _MOST_AXES + 1)), 'GROUPS', 'PCOUNT', 'GCOUNT')
)
STRUCTURE = frozenset((*_LAYOUT, 'BSCALE', 'BZERO', 'BLANK', 'CHECKSUM', 'DATASUM'))


class Keywords(dict[str, Any]):
    """Values of a header by keyword: None where a keyword stands without a value.

    `header.value` and all that is made of it take it for a header.

    Parameters
    ----------
    values : iterable of (str, Any)
        Keywords and values.
    repeated : iterable of str
        Keywords that stand there more than once; the first one's value counts.
    """

    __slots__ = ('repeated',)

    def __init__(self, values: Iterable[tuple[str, Any]], repeated: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.repeated = tuple(sorted(set(repeated)))


class PlainHeader(NamedTuple):
    """What the short way finds out about a file with an image in its primary HDU.

    Attributes
    ----------
    values : Keywords
        Those of the wanted keywords that are there.
    offset : int
        Where the data begin, in bytes.
    status : os.stat_result
        The file's status while it was open.
    """

    values: Keywords
    offset: int
    status: os.stat_result


class UnusualError(Exception):
    """The short way does not do for this file, or for this card."""


def read(reference: Reference, hdu: Hdu | None = None, wanted: Collection[str] | None = None) -> Keywords:
    """The values of keywords of the header that describes a file's image; the pixels are not touched.

    Parameters
    ----------
    reference : Reference
        The file, perhaps an HDU.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.
    wanted : collection of str, optional
        The keywords, in capitals; all but COMMENT and HISTORY by default.

    Returns
    -------
    Keywords
        Those of `wanted` that are there. A keyword that stands there twice gives a warning.

    Raises
    ------
    Failure
        When the file can't be read, is not FITS, or has no such HDU.
    """
    try:
        if hdu is not None or reference.hdu is not None:
            raise UnusualError
        found = _quick(reference.path, None if wanted is None else frozenset(wanted))
    except UnusualError:
        found = _parsed(reference, hdu, wanted)
    if found.repeated:
        warn(f'more than one card {", ".join(found.repeated)}: the first one counts', reference.path)
    return found


def _parsed(reference: Reference, hdu: Hdu | None, wanted: Collection[str] | None) -> Keywords:
    from fitsutils.files import hdus  # here, because astropy takes longer to load than a night's plain files to read

    header = hdus.read_header(reference, hdu)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # a card that breaks the standard is shown as it is
        if wanted is None:
            wanted = [key for key in dict.fromkeys(header) if key.strip() not in _COMMENTARY]
        here = [key for key in wanted if key in header]
        repeated = (key for key in here if key.strip() not in _COMMENTARY and header.count(key) > 1)
        return Keywords(((key, headers.value(header, key)) for key in here), repeated)


def plain_header(path: str, wanted: frozenset[str]) -> PlainHeader | None:
    """Values of the header of a plain file whose primary HDU holds an image, at the cost of one open and one read.

    Parameters
    ----------
    path : str
        The file.
    wanted : frozenset of str
        The keywords, in capitals, as `is_plain` has them.

    Returns
    -------
    PlainHeader or None
        None where anything is unusual, so that only astropy knows what to make of it: another file than a plain
        one, an image elsewhere, a card that breaks the standard.
    """
    try:
        text, status = header_text(path)
        if any(map(_lacks_indicator, [text[start : start + 10] for start in range(0, len(text), _CARD)])):
            return None
        values = _values(text, wanted, STRUCTURE)
        _check_layout(values)
    except UnusualError:
        return None
    if values.get('PCOUNT') or values.get('GCOUNT', 1) != 1:
        return None
    return PlainHeader(values, -(-(len(text) + _CARD) // _BLOCK) * _BLOCK, status)


@functools.lru_cache(maxsize=10_000)
def _lacks_indicator(start: str) -> bool:
    """Whether the first ten characters of a card are neither commentary nor a keyword with its value indicator."""
    return start[8:] != '= ' and start[:8] not in _WITHOUT_VALUE


def is_plain(key: str) -> bool:
    """Whether the value of a keyword can be read the short way.

    Parameters
    ----------
    key : str
        The keyword.

    Returns
    -------
    bool
        False for HIERARCH keywords, COMMENT, HISTORY and the blank one.

    Examples
    --------
    >>> is_plain('EXPTIME'), is_plain('ESO DET NAME'), is_plain('HISTORY')
    (True, False, False)
    """
    return 0 < len(key) <= 8 and key not in _COMMENTARY and _KEYWORD.match(key) is not None


def _quick(path: str, wanted: frozenset[str] | None) -> Keywords:
    """Values of the primary header of a plain image, or UnusualError."""
    if wanted is not None and any(key in _COMMENTARY or not _KEYWORD.match(key) for key in wanted):
        raise UnusualError
    text, _ = header_text(path)
    found = _values(text, wanted, _LAYOUT)
    _check_layout(found)
    if wanted is None:
        return found
    return Keywords(
        ((key, value) for key, value in found.items() if key in wanted),
        [key for key in found.repeated if key in wanted],
    )


@functools.lru_cache(maxsize=64)
def _padded(wanted: frozenset[str], more: frozenset[str]) -> dict[str, str]:
    """Keywords by the eight characters with which their cards begin."""
    return {key.ljust(8): key for key in wanted | more}


@functools.lru_cache(maxsize=10_000)
def _is_odd(key: str) -> bool:
    """Whether the first eight characters of a card are no keyword of the standard."""
    return key in ('HIERARCH', 'END     ') or not (key in _WITHOUT_VALUE or _KEYWORD.match(key))


def _values(text: str, wanted: frozenset[str] | None, more: frozenset[str]) -> Keywords:
    """The values of the keywords that are wanted, and of some more; all but COMMENT and HISTORY for None."""
    keys = [text[start : start + 8] for start in range(0, len(text), _CARD)]
    different = set(keys)
    if any(map(_is_odd, different)):
        raise UnusualError
    if wanted is None:
        places = [place for place, key in enumerate(keys) if key not in _WITHOUT_VALUE]
    else:
        names = _padded(wanted, more)
        places = [place for place, key in enumerate(keys) if key in names]
    if 'CONTINUE' in different and any(keys[place + 1 : place + 2] == ['CONTINUE'] for place in places):
        raise UnusualError
    values: dict[str, Any] = {}
    repeated = []
    for place in places:
        name = keys[place].rstrip()
        if name in values:
            repeated.append(name)
        else:
            found = plain_value(text[place * _CARD + 8 : (place + 1) * _CARD])
            values[name] = None if found == '' else found
    return Keywords(values, repeated)


def is_plain_text(text: str) -> bool:
    """Whether all cards of a header are by the standard's simple rules.

    Parameters
    ----------
    text : str
        All cards before END, printable ASCII.

    Returns
    -------
    bool
        False where one has a keyword or a value that only astropy reads, or goes on in the next.
    """
    try:
        _values(text, None, frozenset())
    except UnusualError:
        return False
    return all(text[start : start + 8] != 'CONTINUE' for start in range(0, len(text), _CARD))


@functools.lru_cache(maxsize=10_000)  # a night's frames have most of their cards in common
def plain_value(rest: str) -> Any:
    """The value of a card.

    Parameters
    ----------
    rest : str
        What stands behind the keyword's eight characters.

    Returns
    -------
    bool, int, float, str or None
        None where there is none.

    Raises
    ------
    UnusualError
        When it is not by the standard's simple rules.

    Examples
    --------
    >>> plain_value("=                  1.5 / electrons"), plain_value("= 'M 1     '")
    (1.5, 'M 1')
    """
    match = _matched(rest)
    kind = match.lastgroup
    if kind == 'text':
        return match[1].rstrip()
    if kind == 'whole':
        return int(match[3])
    if kind == 'float':
        return float(match[4].replace('D', 'E'))
    return None if kind is None else match[2] == 'T'


def plain_comment(rest: str) -> str:
    """The comment of a card.

    Parameters
    ----------
    rest : str
        What stands behind the keyword's eight characters.

    Returns
    -------
    str
        Without the slash and the blanks around it.

    Raises
    ------
    UnusualError
        When the value is not by the standard's simple rules.

    Examples
    --------
    >>> plain_comment("=                  1.5 / electrons")
    'electrons'
    """
    return rest[_matched(rest).end() :].strip()


def _matched(rest: str) -> re.Match[str]:
    match = _VALUE.match(rest, 2) if rest.startswith('= ') else None
    if match is None:
        raise UnusualError
    return match


def _check_layout(values: dict[str, Any]) -> None:
    """Only a primary HDU that holds an image of some pixels is the one that the reader would choose."""
    count = values.get('NAXIS')
    if type(count) is not int or not 0 < count <= _MOST_AXES:
        raise UnusualError
    if values.get('BITPIX') not in _BITS or values.get('GROUPS'):
        raise UnusualError
    numbers = [values.get(f'NAXIS{axis}') for axis in range(1, count + 1)]
    numbers += [values.get('PCOUNT', 1) or 1, values.get('GCOUNT', 1) or 1]
    if any(type(number) is not int or number < 1 for number in numbers):
        raise UnusualError


def header_text(path: str) -> tuple[str, os.stat_result]:
    """The first header of a plain FITS file.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    str
        All cards before END, printable ASCII.
    os.stat_result
        The file's status while it was open.

    Raises
    ------
    UnusualError
        When it is another file, or can't be read: the reader finds that again, and words for it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not be waited for
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):  # a pipe gives its bytes once only
                raise UnusualError
            raw = os.read(descriptor, _FIRST_READ)
            if not raw.startswith(b'SIMPLE  ='):
                raise UnusualError
            while (end := _end(raw)) < 0:
                more = os.read(descriptor, len(raw))
                if not more or len(raw) > _MOST_BYTES:
                    raise UnusualError
                raw += more
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        raise UnusualError from None  # the reader finds it again, and words for it
    raw = raw[:end]
    if raw.translate(None, _PRINTABLE):
        raise UnusualError
    return raw.decode('ascii'), status


def _end(raw: bytes) -> int:
    """Where the END card begins; -1 where there is none."""
    place = raw.find(b'END' + b' ' * 77)
    while place >= 0 and place % _CARD:
        place = raw.find(b'END' + b' ' * 77, place + 1)
    return place
