"""Header values of many files, fast.

A camera's frame has its image in the primary HDU and cards that the standard's
simple rules read; its values are taken straight from the bytes, some twenty
times faster than from a whole parsed header. Wherever anything is unusual (an
extension, a packed file, a card that breaks the standard) the file goes
through `reader.read_header`, that is, through astropy. Both give the same.
"""

import os
import re
import warnings
from collections.abc import Collection, Iterable
from typing import Any

from fitsutils.errors import warn
from fitsutils.files import header as headers
from fitsutils.files.inputs import Hdu, Reference

_CARD = 80
_FIRST_READ = 2880 * 4
_MOST_BYTES = 10_000 * _CARD
_KEYWORD = re.compile(r'[A-Z0-9_-]+ *\Z')
# Strings with quotes in them or with the colon of record-valued cards, complex and odd numbers are left to astropy.
_VALUE = re.compile(
    r" *(?:'(?P<text>(?:[^':]|:(?! ))*)'"
    r'|(?P<logical>[TF])|(?P<whole>[+-]?\d+)|(?P<float>[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?)|) *(?:/.*)?\Z'
)
_COMMENTARY = ('', 'COMMENT', 'HISTORY')
_BITS = (8, 16, 32, 64, -32, -64)


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

    def __init__(self, values: Iterable[tuple[str, Any]], repeated: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.repeated = sorted(set(repeated))


class _UnusualError(Exception):
    """The short way does not do for this file."""


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
            raise _UnusualError
        found = _quick(reference.path, None if wanted is None else frozenset(wanted))
    except _UnusualError:
        found = _parsed(reference, hdu, wanted)
    if found.repeated:
        warn(f'more than one card {", ".join(found.repeated)}: the first one counts', reference.path)
    return found


def _parsed(reference: Reference, hdu: Hdu | None, wanted: Collection[str] | None) -> Keywords:
    from fitsutils.files import reader  # here, because astropy takes longer to load than a night's plain files to read

    header = reader.read_header(reference, hdu)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # a card that breaks the standard is shown as it is
        if wanted is None:
            wanted = [key for key in dict.fromkeys(header) if key.strip() not in _COMMENTARY]
        here = [key for key in wanted if key in header]
        repeated = (key for key in here if key.strip() not in _COMMENTARY and header.count(key) > 1)
        return Keywords(((key, headers.value(header, key)) for key in here), repeated)


def _quick(path: str, wanted: frozenset[str] | None) -> Keywords:
    """Values of the primary header of a plain image, or _UnusualError."""
    text = _header_text(path)
    values: dict[str, Any] = {}
    layout: dict[str, Any] = {}
    repeated = []
    followed = ''  # the card before, where its value counts
    for start in range(0, len(text), _CARD):
        key = text[start : start + 8].rstrip()
        if key == 'END':
            break
        if key == 'CONTINUE' and followed:
            raise _UnusualError
        followed = ''
        if key in _COMMENTARY or key == 'CONTINUE':
            continue
        structural = key.startswith(('NAXIS', 'BITPIX', 'GROUPS', 'PCOUNT', 'GCOUNT'))
        if wanted is None or key in wanted or structural:
            if key in values or key in layout:
                repeated += [key] if wanted is None or key in wanted else []
                continue
            value = _value(key, text[start + 8 : start + _CARD])
            (values if wanted is None or key in wanted else layout)[key] = value
            followed = key
        elif key == 'HIERARCH' or not _KEYWORD.match(key):
            raise _UnusualError
    if wanted is not None and any(key in _COMMENTARY or not _KEYWORD.match(key) for key in wanted):
        raise _UnusualError
    _check_layout({**layout, **values})
    return Keywords(values.items(), repeated)


def _value(key: str, rest: str) -> Any:
    match = _VALUE.match(rest, 2) if rest.startswith('= ') and _KEYWORD.match(key) else None
    if match is None:
        raise _UnusualError
    if match['text'] is not None:
        return match['text'].rstrip() or None
    if match['whole'] is not None:
        return int(match['whole'])
    if match['float'] is not None:
        return float(match['float'].replace('D', 'E'))
    return None if match['logical'] is None else match['logical'] == 'T'


def _check_layout(values: dict[str, Any]) -> None:
    """Only a primary HDU that holds an image of some pixels is the one that the reader would choose."""
    count = values.get('NAXIS')
    if type(count) is not int or not 0 < count < 1000 or values.get('BITPIX') not in _BITS or values.get('GROUPS'):
        raise _UnusualError
    numbers = [values.get(f'NAXIS{axis}') for axis in range(1, count + 1)]
    numbers += [values.get('PCOUNT', 1) or 1, values.get('GCOUNT', 1) or 1]
    if any(type(number) is not int or number < 1 for number in numbers):
        raise _UnusualError


def _header_text(path: str) -> str:
    """The first header of a plain FITS file, of printable ASCII and with its END."""
    if not os.path.isfile(path):  # a pipe gives its bytes once only
        raise _UnusualError
    try:
        with open(path, 'rb', buffering=0) as file:
            raw = file.read(_FIRST_READ)
            if not raw.startswith(b'SIMPLE  ='):
                raise _UnusualError
            while not (end := _end(raw)):
                more = file.read(len(raw))
                if not more or len(raw) > _MOST_BYTES:
                    raise _UnusualError
                raw += more
    except OSError:
        raise _UnusualError from None  # the reader finds it again, and words for it
    text = raw[:end].decode('latin-1')
    if not (text.isascii() and text.isprintable()):
        raise _UnusualError
    return text


def _end(raw: bytes) -> int:
    """Where the END card ends; 0 where there is none."""
    place = raw.find(b'END' + b' ' * 77)
    while place >= 0 and place % _CARD:
        place = raw.find(b'END' + b' ' * 77, place + 1)
    return place + _CARD if place >= 0 else 0
