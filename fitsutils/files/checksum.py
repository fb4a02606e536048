"""CHECKSUM and DATASUM of the FITS standard: ones'-complement sums of 32-bit words.

astropy sums 2880 bytes at a time in Python; here a megabyte goes through one
numpy call, so that every product can carry its sums at little cost.
"""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_WORD = 2**32
_CHUNK = 1 << 20


def add(first: int, second: int) -> int:
    """Ones'-complement sum of two 32-bit sums.

    Parameters
    ----------
    first, second : int
        Sums, 0 to 2**32 - 1.

    Returns
    -------
    int
        The sum, with the carry brought round.

    Examples
    --------
    >>> add(2**32 - 1, 2)
    2
    """
    total = first + second
    while total >= _WORD:
        total = total % _WORD + total // _WORD
    return total


def same(first: int, second: int) -> bool:
    """Whether two ones'-complement sums are equal; all zeros and all ones are the same number.

    Parameters
    ----------
    first, second : int
        Sums.

    Returns
    -------
    bool
        True when they are.
    """
    return first % (_WORD - 1) == second % (_WORD - 1)


def sum_of(data: bytes | bytearray | memoryview | NDArray) -> int:
    """Ones'-complement sum of big-endian 32-bit words.

    Parameters
    ----------
    data : bytes-like
        Padded with zeros to whole words where it is not a multiple of four bytes.

    Returns
    -------
    int
        0 to 2**32 - 1.

    References
    ----------
    FITS standard 4.0, appendix J.
    """
    view = memoryview(data).cast('B') if not isinstance(data, bytes) else memoryview(data)
    total = 0
    for start in range(0, len(view), _CHUNK):
        piece = view[start : start + _CHUNK]
        if len(piece) % 4:
            piece = bytes(piece) + bytes(-len(piece) % 4)
        words = np.frombuffer(piece, '>u4').astype('u4')  # native first: summing swapped words is three times slower
        total += int(words.sum(dtype='u8'))
    return add(total, 0)


def sum_of_file(file: BinaryIO, size: int) -> int:
    """The sum of the next bytes of a file.

    Parameters
    ----------
    file : file object
        Open for reading bytes.
    size : int
        How many bytes, at the most.

    Returns
    -------
    int
        0 to 2**32 - 1.
    """
    total = 0
    while size > 0 and (piece := file.read(min(size, _CHUNK))):
        total = add(total, sum_of(piece))
        size -= len(piece)
    return total


def wrong(found: int, datasum: int | None, header: bytes | None) -> list[str]:
    """Which sums of an HDU do not hold.

    Parameters
    ----------
    found : int
        Sum of its data and their padding.
    datasum : int or None
        What its DATASUM says.
    header : bytes or None
        The header as it stands, where it has a CHECKSUM.

    Returns
    -------
    list of str
        Of DATASUM and CHECKSUM.

    Examples
    --------
    >>> wrong(7, 7, None), wrong(7, 8, bytes(80))
    ([], ['DATASUM', 'CHECKSUM'])
    """
    names = []
    if datasum is not None and not same(found, datasum):
        names.append('DATASUM')
    if header is not None and not same(add(found, sum_of(header)), 0):
        names.append('CHECKSUM')
    return names


def encode(total: int) -> str:
    """The 16 characters that bring an HDU's sum to zero.

    Parameters
    ----------
    total : int
        Sum of the HDU with CHECKSUM set to sixteen zeros ('0').

    Returns
    -------
    str
        Letters and digits for the CHECKSUM card, whose value begins at byte 12 of the card.

    References
    ----------
    FITS standard 4.0, appendix J.
    """
    complement = (_WORD - 1) - total
    columns = [_four_letters(complement >> shift & 0xFF) for shift in (24, 16, 8, 0)]
    text = ''.join(chr(columns[byte][place]) for place in range(4) for byte in range(4))
    return text[-1] + text[:-1]  # the value begins one byte off a word boundary


def _four_letters(byte: int) -> list[int]:
    """Four codes of letters and digits that add up to a byte plus four times '0'."""
    quarter, rest = divmod(byte, 4)
    codes = [quarter + 48 + (rest if place == 0 else 0) for place in range(4)]
    while any(not chr(code).isalnum() for code in codes):
        for low in (0, 2):
            if not (chr(codes[low]).isalnum() and chr(codes[low + 1]).isalnum()):
                codes[low] += 1
                codes[low + 1] -= 1
    return codes
