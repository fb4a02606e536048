"""The HDUs of a file: where each begins, what its header says, and whether that makes sense.

Headers are parsed by astropy. A file packed with gzip or bzip2 is unpacked as
it is read, and no further than is needed.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import math
import os
import re
import stat
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from fitsutils.errors import Failure, FileWarning, warn
from fitsutils.files import header as headers
from fitsutils.files.inputs import Hdu, Reference
from fitsutils.files.library import fits

BLOCK = 2880
CHANGED = 'the file has changed since its header was read'
_CARD = 80
_MOST_CARDS = 10_000
_MOST_COLUMNS = 999  # the standard's own limit
_MOST_HDUS = 10_000
_GOES_ON = re.compile(rb"&' *(/.*)?\Z")
_FARTHEST = 2**62  # bytes; seek takes no more than 63 bits
_RAW_TYPES = {
    bits: np.dtype(kind)
    for bits, kind in ((8, 'u1'), (16, '>i2'), (32, '>i4'), (64, '>i8'), (-32, '>f4'), (-64, '>f8'))
}
_PACKERS = {b'\x1f\x8b': ('gzip', gzip.open), b'BZ': ('bzip2', bz2.open)}


@dataclass(frozen=True, slots=True)
class FoundHdu:
    """One HDU as the walk through a file finds it.

    Attributes
    ----------
    index : int
        Its number.
    start, offset : int
        Where the header and the data begin, in bytes.
    header : Header
        The header as it stands.
    size : int
        Bytes of data, without padding.
    tiled : bool
        Whether it is a tile-compressed image.
    axes : tuple of int
        Lengths of the axes in FITS order.
    """

    index: int
    start: int
    header: fits.Header
    offset: int
    size: int
    tiled: bool
    axes: tuple[int, ...]

    @property
    def name(self) -> tuple[str, int]:
        """EXTNAME in capitals, and EXTVER."""
        version = headers.as_number(headers.value(self.header, 'EXTVER'))
        return str(headers.value(self.header, 'EXTNAME') or '').strip().upper(), int(version or 1)

    @property
    def is_image(self) -> bool:
        """Whether it holds an image, perhaps one of no pixels."""
        kind = _kind(self.header) if self.index else 'IMAGE'
        groups = headers.value(self.header, 'GROUPS') is True
        return self.tiled or (kind in ('IMAGE', 'IUEIMAGE') and len(self.axes) > 0 and not groups)


def read_header(reference: Reference, hdu: Hdu | None = None) -> fits.Header:
    """The header that describes a file's image; the pixels are not touched.

    Parameters
    ----------
    reference : Reference
        The file, perhaps an HDU.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.

    Returns
    -------
    Header
        Of the HDU asked for; else of the first with an image; else the primary header.

    Raises
    ------
    Failure
        When the file is missing or is not FITS, or has no such HDU.
    """
    path = reference.path
    with named_errors(path), open_bytes(path) as file:
        found, primary = choose(file, path, reference.hdu if reference.hdu is not None else hdu, header_only=True)
        return merged(image_header(path, found), primary, found.index)


def choose(file: BinaryIO, path: str, wanted: Hdu | None, *, header_only: bool = False) -> tuple[FoundHdu, fits.Header]:
    """The HDU that is wanted, and the primary header.

    Parameters
    ----------
    file : file object
        Open at its start.
    path : str
        Its name, for messages.
    wanted : int, str or (str, int) or None
        Number, EXTNAME or (EXTNAME, EXTVER); None for the first with an image.
    header_only : bool
        An HDU without an image will do, the primary one where there is no image at all.

    Returns
    -------
    FoundHdu
        The HDU.
    Header
        Of the primary HDU.

    Raises
    ------
    Failure
        When there is none.
    """
    primary = None
    empty = None
    for hdu in walk(file, path):
        if primary is None:
            primary = hdu
        if wanted is None and hdu.is_image:
            if 0 not in hdu.axes:
                return hdu, primary.header
            empty = hdu
        if wanted is not None and _matches(hdu, wanted):
            if not header_only and (not hdu.is_image or 0 in hdu.axes):
                raise Failure(f'HDU {_hdu_text(wanted)} holds no image', path)
            return hdu, primary.header
    if wanted is not None:
        raise Failure(f'there is no HDU {_hdu_text(wanted)}', path)
    if header_only:
        return primary, primary.header
    raise Failure('the image has an axis of length 0' if empty else 'no HDU holds an image', path)


def find_hdu(file: BinaryIO, path: str, index: int) -> FoundHdu:
    """One HDU of an open file by its number.

    Parameters
    ----------
    file : file object
        Open at its start.
    path : str
        Its name, for messages.
    index : int
        Number of the HDU.

    Returns
    -------
    FoundHdu
        Its header, and where header and data begin.

    Raises
    ------
    Failure
        When there is none.
    """
    return choose(file, path, index, header_only=True)[0]


def _hdu_text(hdu: Hdu) -> str:
    return ','.join(map(str, hdu)) if isinstance(hdu, tuple) else str(hdu)


def _matches(hdu: FoundHdu, wanted: Hdu) -> bool:
    if isinstance(wanted, int):
        return hdu.index == wanted
    if isinstance(wanted, str):
        return hdu.name[0] == wanted or (wanted == 'PRIMARY' and hdu.index == 0)
    return hdu.name == wanted


def walk(file: BinaryIO, path: str) -> Iterator[FoundHdu]:
    """All HDUs of an open file, in turn.

    Parameters
    ----------
    file : file object
        Open for reading bytes.
    path : str
        Its name, for messages.

    Yields
    ------
    FoundHdu
        Its header, and where header and data begin.

    Raises
    ------
    Failure
        When the file does not begin as FITS does, or a header makes no sense.
    """
    position = 0
    for index in range(_MOST_HDUS):
        if position > _FARTHEST:
            return
        file.seek(position)
        raw = _header_bytes(file, path, index)
        if raw is None:
            return
        header = fits.Header.fromstring(_without_strays(raw))
        axes, size, tiled = _layout(header, path, index)
        offset = position + len(raw)
        yield FoundHdu(index, position, header, offset, size, tiled, axes)
        position = offset + -(-size // BLOCK) * BLOCK


def _header_bytes(file: BinaryIO, path: str, index: int) -> bytes | None:
    """All blocks of the header that begins here; None at the end of the file or where no HDU follows."""
    blocks: list[bytes] = []
    while len(blocks) * BLOCK < _MOST_CARDS * _CARD:
        block = file.read(BLOCK)
        if not blocks and not block.startswith(b'XTENSION' if index else b'SIMPLE  '):
            if index:
                return None
            raise Failure('this is not a FITS file: it does not begin with SIMPLE', path)
        blocks.append(block)
        if _end_in(block):
            return b''.join(blocks) if len(block) == BLOCK else b''.join(blocks).ljust(len(blocks) * BLOCK)
        if len(block) < BLOCK:
            break
    raise Failure(f'the header of HDU {index} has no END card', path)


def _without_strays(raw: bytes) -> bytes:
    """A header in which a CONTINUE card that continues nothing is a comment; astropy adds it to any card before it."""
    if b'CONTINUE' not in raw:
        return raw
    cards = [raw[start : start + _CARD] for start in range(0, len(raw), _CARD)]
    for place, card in enumerate(cards):
        if card.startswith(b'CONTINUE') and not (card[8:10] == b'  ' and _GOES_ON.search(cards[place - 1])):
            cards[place] = b'COMMENT ' + card[8:]
    return b''.join(cards)


def _end_in(block: bytes) -> bool:
    place = block.find(b'END     ')
    while place >= 0 and place % _CARD:
        place = block.find(b'END     ', place + 1)
    return place >= 0 or (block.rstrip(b' \0').endswith(b'END') and (len(block.rstrip(b' \0')) - 3) % _CARD == 0)


def _layout(header: fits.Header, path: str, index: int) -> tuple[tuple[int, ...], int, bool]:
    """Axes in FITS order, bytes of data, and whether the HDU is a tile-compressed image."""
    bytes_each = raw_type(header, path, index).itemsize
    axes = _axes(header, '', path, index)
    groups = axes[:1] == (0,) and headers.value(header, 'GROUPS') is True
    pixels = math.prod(axes[1:] if groups else axes) if axes else 0
    size = bytes_each * _integer(header, 'GCOUNT', path, 1) * (_integer(header, 'PCOUNT', path, 0) + pixels)
    if size < 0:
        raise Failure(f'PCOUNT or GCOUNT of HDU {index} is negative', path)
    if index and _kind(header) == 'BINTABLE' and headers.value(header, 'ZIMAGE') is True:
        if not 0 < _integer(header, 'TFIELDS', path, 0) <= _MOST_COLUMNS:
            raise Failure(f'TFIELDS of HDU {index} is not a number of columns from 1 to {_MOST_COLUMNS}', path)
        return _axes(header, 'Z', path, index), size, True
    return axes, size, False


def _kind(header: fits.Header) -> str:
    """What an extension is: IMAGE, BINTABLE."""
    return str(headers.value(header, 'XTENSION')).strip()


def raw_type(header: fits.Header, path: str, index: int) -> np.dtype:
    """The type that BITPIX stands for.

    Parameters
    ----------
    header : Header
        The HDU's header.
    path : str
        The file's name, for messages.
    index : int
        Number of the HDU, for messages.

    Returns
    -------
    dtype
        Big-endian, as the values are stored.

    Raises
    ------
    Failure
        When BITPIX is none of the standard's.
    """
    bits = _integer(header, 'BITPIX', path, 8)
    if bits not in _RAW_TYPES:
        raise Failure(f'BITPIX = {bits} in HDU {index} is none of 8, 16, 32, 64, -32, -64', path)
    return _RAW_TYPES[bits]


def _axes(header: fits.Header, prefix: str, path: str, index: int) -> tuple[int, ...]:
    """Lengths of the axes in FITS order; the prefix is Z for what a tile-compressed image stands for."""
    count = _integer(header, f'{prefix}NAXIS', path, 0)
    if not 0 <= count <= 999:
        raise Failure(f'{prefix}NAXIS = {count} in HDU {index} is not a number of axes', path)
    axes = tuple(_integer(header, f'{prefix}NAXIS{axis}', path, None) for axis in range(1, count + 1))
    if any(length < 0 for length in axes):
        raise Failure(f'an axis of HDU {index} has a negative length: {axes}', path)
    return axes


def _integer(header: fits.Header, key: str, path: str, default: int | None) -> int:
    found = headers.value(header, key)
    if found is None:
        if default is None:
            raise Failure(f'{key} is missing', path)
        return default
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if not isinstance(found, int) or isinstance(found, bool):
        raise Failure(f'{key} = {found!r} is not an integer', path)
    return found


def image_header(path: str, hdu: FoundHdu) -> fits.Header:
    """The header as an image's: that of a tile-compressed one is turned back by astropy.

    Parameters
    ----------
    path : str
        The file.
    hdu : FoundHdu
        The HDU.

    Returns
    -------
    Header
        The HDU's own where it is not tile-compressed.

    Raises
    ------
    Failure
        When the tile-compressed image is damaged.
    """
    if not hdu.tiled:
        return hdu.header
    # astropy would not close a file of its own where it fails.
    with open_bytes(path) as file, damaged_tiles(path), fits.open(file) as hdus:
        return hdus[hdu.index].header.copy()


@contextlib.contextmanager
def damaged_tiles(path: str) -> Iterator[None]:
    """A block in which astropy reads a tile-compressed image.

    Parameters
    ----------
    path : str
        The file.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    Failure
        In place of what a damaged one makes astropy raise: errors of any kind, a KeyError or a TypeError too.
    """
    try:
        yield
    except (Failure, OSError, MemoryError):
        raise
    except Exception as error:
        raise Failure(f'the tile-compressed image is damaged: {" ".join(str(error).split())}', path) from error


def merged(header: fits.Header, primary: fits.Header, index: int) -> fits.Header:
    """An extension's header with what only the primary header says (the INHERIT convention).

    Parameters
    ----------
    header, primary : Header
        The HDU's own, and the primary one.
    index : int
        Number of the HDU.

    Returns
    -------
    Header
        A new one, or `header` itself where there is nothing to inherit.
    """
    if index == 0 or headers.value(header, 'INHERIT') is False:
        return header
    both = header.copy()
    for card in primary.cards:
        key = card.keyword
        if (
            key in ('', 'COMMENT', 'HISTORY', 'EXTNAME', 'EXTVER', 'NEXTEND')
            or key in both
            or headers.is_structural(key)
        ):
            continue
        both.append(card, end=True)
    return both


@contextlib.contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turn what goes wrong with a file into a failure that names it.

    Parameters
    ----------
    path : str
        The file that is read in the block.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    Failure
        For errors of the operating system, of unpacking and of astropy; warnings become ours, with the name too.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            yield
    except (OSError, EOFError, zlib.error, fits.VerifyError) as error:
        raise Failure(getattr(error, 'strerror', None) or str(error) or 'the file ends too early', path) from error
    finally:
        _tell(path, caught)


def _tell(path: str, caught: Sequence[warnings.WarningMessage]) -> None:
    """Pass warnings on with the file's name; what astropy says of several cards is said once."""
    ours = [str(each.message) for each in caught if issubclass(each.category, FileWarning)]
    rest = [each for each in caught if not issubclass(each.category, FileWarning)]
    odd = [str(each.message) for each in rest if _speaks_of_a_card(each)]
    other = [str(each.message) for each in rest if not _speaks_of_a_card(each)]
    if odd:
        card = odd[0].partition('\n')[2].strip() or odd[0]
        more = f' and {len(odd) - 1} more' if len(odd) > 1 else ''
        warn(f'a card breaks the FITS standard: {card}{more}', path)
    for message in dict.fromkeys(ours + other):
        warn(message, None if message.startswith(path) else path)


def _speaks_of_a_card(caught: warnings.WarningMessage) -> bool:
    return issubclass(caught.category, fits.verify.VerifyWarning) or 'header keyword is invalid' in str(caught.message)


def datasum(header: fits.Header) -> int | None:
    """What a header says of the sum of its data.

    Parameters
    ----------
    header : Header
        Of the HDU.

    Returns
    -------
    int or None
        None where it has no DATASUM that is one.
    """
    number = headers.as_number(headers.value(header, 'DATASUM'))
    return None if number is None or not 0 <= number < 2**32 else int(number)


def judge(path: str, policy: str, wrong: Sequence[str]) -> None:
    """Say that sums of a file do not hold.

    Parameters
    ----------
    path : str
        The file.
    policy : {'warn', 'error'}
        What that means.
    wrong : sequence of str
        Of DATASUM and CHECKSUM; none where they hold.

    Raises
    ------
    Failure
        When one is wrong and the policy is 'error'.
    """
    what = f'{" and ".join(wrong)} is wrong: the file has changed since it was written'
    if wrong and policy == 'error':
        raise Failure(what, path)
    if wrong:
        warn(what, path)


def packing(path: str) -> str | None:
    """What a file is packed with, whatever its name says.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    {'gzip', 'bzip2'} or None
        None for a file that is not packed.
    """
    with open(path, 'rb') as file:
        packer = _PACKERS.get(file.read(2))
    return packer and packer[0]


def open_bytes(path: str) -> BinaryIO:
    """Open a file for reading, unpacked as it goes.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    file object
        Open for reading bytes.

    Raises
    ------
    Failure
        When it is a folder, a pipe or a device, or empty.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise Failure('is a folder, not a FITS file', path)
    if not stat.S_ISREG(mode):
        raise Failure('is a pipe or a device; an image is read from a file, in any order', path)
    with open(path, 'rb') as file:
        start = file.read(2)
    if not start:
        raise Failure('the file is empty', path)
    return _PACKERS.get(start, ('', open))[1](path, 'rb')


def fingerprint(status: os.stat_result) -> tuple[int, ...]:
    """What tells whether a file is still the same.

    Parameters
    ----------
    status : os.stat_result
        Of the file.

    Returns
    -------
    tuple of int
        Device, inode, size and time of the last change.
    """
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
