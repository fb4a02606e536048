"""Stored values, and the pixels that they stand for.

Values are big-endian in a file, and BSCALE, BZERO and BLANK say what they
mean. Where a pixel takes as much room as its stored value, bytes are read into
their place and turned into pixels there, a piece at a time that stays in the
processor's cache. Nothing here holds the interpreter while it works on pixels.
"""

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure
from fitsutils.files import header as headers

_CHUNK = 1 << 18  # bytes that stay in the cache between reading them and turning them into pixels

Scale = tuple[float, float, int | None]
Summing = Callable[[int, NDArray], None]


@dataclass(frozen=True, slots=True)
class Format:
    """How pixels are stored.

    Attributes
    ----------
    raw : dtype
        Type of the stored values, big-endian.
    native : dtype
        The same in native byte order.
    dtype : dtype
        Type of the pixels.
    scale : (float, float, int or None)
        BSCALE, BZERO and BLANK; no BLANK for floats, which have NaN.
    plain : bool
        Whether a pixel is its stored value, perhaps with the sign bit flipped.
    flip : int
        The sign bit where it is to be flipped, which adds half of the range; else 0.
    """

    raw: np.dtype
    native: np.dtype
    dtype: np.dtype
    scale: Scale
    plain: bool
    flip: int

    def pixels(self, stored: NDArray) -> NDArray:
        """The pixels that stored values stand for.

        Parameters
        ----------
        stored : ndarray
            Stored values of type `native`; they may be changed.

        Returns
        -------
        ndarray
            Of type `dtype`, BLANK pixels NaN; where the format is plain in the memory of `stored`.
        """
        if self.plain:
            if self.flip:
                stored ^= self.flip
            return stored.view(self.dtype)
        out = np.empty(stored.shape, self.dtype)
        bscale, bzero, blank = self.scale
        with np.errstate(all='ignore'):
            out[...] = stored if (bscale, bzero) == (1.0, 0.0) else stored.astype('f8') * bscale + bzero
        if blank is not None:
            out[stored == blank] = np.nan
        return out


def format_of(header: Any, raw: np.dtype, path: str) -> Format:
    """How an image's pixels are stored.

    Parameters
    ----------
    header : Header or Keywords
        The image's header.
    raw : dtype
        What its BITPIX stands for.
    path : str
        The file's name, for messages.

    Returns
    -------
    Format
        The same object for all images that are stored alike.

    Raises
    ------
    Failure
        When BSCALE or BZERO is no number, or BSCALE is 0.
    """
    numbers = []
    for key, default in (('BSCALE', 1.0), ('BZERO', 0.0)):
        found = headers.value(header, key)
        number = default if found is None else headers.as_number(found)
        if number is None:
            raise Failure(f'{key} = {found!r} is not a number', path)
        numbers.append(number)
    if numbers[0] == 0:
        raise Failure('BSCALE = 0 makes all pixels equal', path)
    blank = headers.as_number(headers.value(header, 'BLANK')) if raw.kind in 'iu' else None
    return _format(raw, (numbers[0], numbers[1], None if blank is None else int(blank)))


@functools.lru_cache(maxsize=256)
def _format(raw: np.dtype, scale: Scale) -> Format:
    kind = _pixel_type(raw, scale)
    plain = scale[2] is None and (_offset_type(raw, scale) is not None or (raw.kind == 'f' and scale[:2] == (1.0, 0.0)))
    native = raw.newbyteorder('=')
    flip = 0
    if plain and kind.kind != native.kind:
        flip = 0x80 if native.kind == 'u' else int(np.iinfo(native).min)
    return Format(raw, native, kind, scale, plain, flip)


def _offset_type(raw: np.dtype, scale: Scale) -> np.dtype | None:
    """The integer type that BZERO alone stands for: int16 with 32768 is uint16."""
    if raw.kind not in 'iu' or scale[0] != 1:
        return None
    if scale[1] == 0:
        return raw.newbyteorder('=')
    half = 2 ** (8 * raw.itemsize - 1)
    if raw.kind == 'i' and scale[1] == half:
        return np.dtype(f'u{raw.itemsize}')
    return np.dtype('i1') if raw.kind == 'u' and scale[1] == -half else None


def _pixel_type(raw: np.dtype, scale: Scale) -> np.dtype:
    integer = _offset_type(raw, scale)
    if integer is not None and scale[2] is None:
        return integer
    if raw == np.dtype('>f4') or (raw.itemsize < 4 and abs(scale[1] / scale[0]) + 2 ** (8 * raw.itemsize) <= 2**24):
        return np.dtype('f4')
    return np.dtype('f8')  # also where BZERO is so large that float32 would not tell neighbouring values apart


def read_runs(
    out: NDArray, form: Format, descriptor: int, offset: int, width: int, columns: slice,
    runs: Iterable[tuple[int, int, int]], summing: Summing | None = None,
) -> bool:  # fmt: skip
    """Read runs of rows of an image into an array; any number of threads may do so.

    Parameters
    ----------
    out : ndarray
        Shape ``(rows, columns)``, of a type that holds the format's pixels; BLANK pixels become NaN.
    form : Format
        How the pixels are stored.
    descriptor : int
        The file, open.
    offset : int
        Where the image's first row begins, in bytes.
    width : int
        Pixels of a whole row.
    columns : slice
        Those that are wanted.
    runs : iterable of (int, int, int)
        For each run its place in `out`, its first row in the image and how many rows it has.
    summing : callable, optional
        Is given the number of a row of the image and the bytes of whole rows from there on, as they are stored,
        in an array that it must not change or keep.

    Returns
    -------
    bool
        False when the file is too short.

    Raises
    ------
    OSError
        When the file can't be read.
    """
    row_size = width * form.native.itemsize
    height = max(_CHUNK // row_size, 1)
    in_place = form.plain and out.dtype == form.dtype and out.shape[1] == width and out.flags.c_contiguous
    for place, first, count in runs:
        for step in range(0, count, height):
            target = out[place + step : place + min(step + height, count)]
            block = target.view(form.native) if in_place else np.empty((len(target), width), form.native)
            if not _fill(memoryview(block).cast('B'), descriptor, offset + (first + step) * row_size):
                return False
            if summing is not None:
                summing(first + step, block)
            flat = block.reshape(-1)
            np.copyto(flat, flat.view(form.raw))  # swaps the bytes where they lie; byteswap would hold the interpreter
            if in_place:
                form.pixels(block)
            else:
                target[...] = form.pixels(block[:, columns])
    return True


def _fill(view: memoryview, descriptor: int, offset: int) -> bool:
    """Read bytes into memory; False where there are not so many."""
    done = _read_at(descriptor, view, offset)
    while 0 < done < len(view):
        got = _read_at(descriptor, view[done:], offset + done)
        done = done + got if got else 0
    return done > 0


def _read_at(descriptor: int, view: memoryview, offset: int) -> int:
    if hasattr(os, 'preadv'):
        return os.preadv(descriptor, (view,), offset)
    piece = os.pread(descriptor, len(view), offset)
    view[: len(piece)] = piece
    return len(piece)
