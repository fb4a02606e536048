"""The level of an image, and numbers that bring images to one level.

An image of any size is measured block by block, in memory that does not grow
with it, and with the same result, bit by bit, however it is cut into blocks of rows.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import stats

LEVELS = ('mean', 'median', 'mode', 'sum')

Blocks = Callable[[], Iterable[NDArray]]
Pieces = Blocks  # the same in the caches' size

_CHUNK = 1 << 17  # pixels worked on at a time: what is made of them stays in the processor's caches
_RUN = 1 << 16  # rows of 16-bit pixels whose sums 32 bits hold
_DIGIT = 16  # bits of a key that one pass over the data settles
_BINS = 1 << _DIGIT
_NOISE = 1.4826  # sigma of a Gaussian over its MAD
_FEW = 1 << 20  # keys that are gathered and sorted instead of another pass


def level(pixels: NDArray, statistic: str) -> float:
    """The level of an image, over its good pixels.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type; NaN and infinite pixels are left out.
    statistic : str
        One of `LEVELS`, or ``noise``.

    Returns
    -------
    float
        The level; NaN when there are no good pixels.

    Raises
    ------
    ValueError
        When there is no such statistic.

    Examples
    --------
    >>> level(np.array([1.0, 3.0, np.nan]), 'mean')
    2.0
    """
    rows = pixels.reshape(-1, pixels.shape[-1] if pixels.ndim and pixels.size else 1)
    return level_of(lambda: (rows,), statistic)


def level_of(blocks: Blocks, statistic: str, low: float | None = None, high: float | None = None) -> float:
    """The level of an image that comes in blocks of rows, over its good pixels.

    Parameters
    ----------
    blocks : callable
        Gives, each time it is called, the image's rows once more in blocks of shape (rows, nx),
        of one real type; NaN and infinite pixels are left out.
    statistic : str
        One of `LEVELS`, or ``noise``: 1.4826 times the median absolute deviation from the median.
    low, high : float, optional
        Pixels below `low` and above `high` are left out too; held against float32 pixels they are of float32.

    Returns
    -------
    float
        The level, the same for any height of the blocks; NaN when there are no good pixels. A sum
        beyond float64 is infinite.

    Raises
    ------
    ValueError
        When there is no such statistic.

    Notes
    -----
    Sums of integers are exact; those of floats are taken in float64, each row
    on its own, and the rows added exactly. Median and noise are exact, and take
    two to five passes over float or 32-bit data. Memory is bounded but for the
    mode of those, for which the pixels must stand in order: it takes three
    times the image.

    Examples
    --------
    >>> image = np.arange(12, dtype='u2').reshape(4, 3)
    >>> level_of(lambda: (image[:3], image[3:]), 'median'), level_of(lambda: (image[:3], image[3:]), 'mean', high=3)
    (5.5, 1.5)
    """
    if statistic not in (*LEVELS, 'noise'):
        raise ValueError(f'there is no level {statistic!r}')
    started = iter(blocks())
    if (first := next(started, None)) is None:
        return math.nan
    dtype = first.dtype
    turns = iter([itertools.chain((first,), started)])  # a block that was read is not read again
    del first

    def pieces() -> Iterator[NDArray]:
        return _pieces(next(turns, None) or blocks(), low, high)

    return _measured(pieces, dtype, statistic)


def _measured(pieces: Pieces, dtype: np.dtype, statistic: str) -> float:
    if statistic in ('mean', 'sum'):
        total, count = (_float_sum if dtype.kind == 'f' else _integer_sum)(pieces())
        return float(total / (count if statistic == 'mean' else 1)) if count else math.nan
    if dtype.kind != 'f' and dtype.itemsize <= 2:
        pixels = _histogram(pieces(), dtype)
        return _NOISE * pixels.mad if statistic == 'noise' else float(getattr(pixels, statistic))
    if statistic == 'mode':
        kept = [piece[np.isfinite(piece)] for piece in pieces()]
        return stats.distribution(np.concatenate(kept)).mode if kept else math.nan
    middle = _median(pieces, dtype)
    if statistic == 'median' or math.isnan(middle):
        return middle
    return _NOISE * _median(lambda: (_distances(piece, middle) for piece in pieces()), np.dtype('f8'))


def _pieces(blocks: Iterable[NDArray], low: float | None, high: float | None) -> Iterator[NDArray]:
    """Whole rows of the blocks, few enough for the caches."""
    for block in blocks:
        height = max(1, _CHUNK // max(1, block.shape[1]))
        for start in range(0, len(block), height):
            yield _within(block[start : start + height], low, high)


def _within(piece: NDArray, low: float | None, high: float | None) -> NDArray:
    """The pixels within the limits: of floats in their places, because a row's sum depends on those."""
    if low is None and high is None:
        return piece
    kept = np.ones(piece.shape, bool)
    with np.errstate(over='ignore'):  # a limit beyond float32 is an infinite one
        if low is not None:
            kept &= piece >= low
        if high is not None:
            kept &= piece <= high
    return np.where(kept, piece, piece.dtype.type(np.nan)) if piece.dtype.kind == 'f' else piece[kept][:, None]


def _integer_sum(pieces: Iterable[NDArray]) -> tuple[int, int]:
    """Exact sum and number of the pixels."""
    total = count = 0
    for piece in pieces:
        count += piece.size
        total += _narrow_sum(piece) if piece.dtype.itemsize <= 2 else _wide_sum(piece)
    return total, count


def _narrow_sum(piece: NDArray) -> int:
    # Down the columns into 32 bits costs two thirds of what along the rows into 64 does.
    kind = np.uint32 if piece.dtype.kind == 'u' else np.int32
    starts = range(0, len(piece), _RUN)
    return sum(int(np.add.reduce(piece[start : start + _RUN], axis=0, dtype=kind).sum(dtype='i8')) for start in starts)


def _wide_sum(piece: NDArray) -> int:
    if piece.dtype.itemsize < 8:
        return int(piece.sum(dtype='i8'))
    # The sum of 64-bit values may take more than 64 bits, that of their halves does not.
    return (int((piece >> 32).sum()) << 32) + int((piece & 0xFFFFFFFF).sum())


def _float_sum(pieces: Iterable[NDArray]) -> tuple[float, int]:
    """Sum and number of the finite pixels."""
    sums: list[float] = []
    count = 0
    for piece in pieces:
        rows, found = _row_sums(piece)
        sums += rows.tolist()
        count += found
    try:
        return math.fsum(sums), count
    except (OverflowError, ValueError):  # beyond float64
        with np.errstate(over='ignore', invalid='ignore'):
            return float(np.sum(sums)), count


def _row_sums(piece: NDArray) -> tuple[NDArray[np.float64], int]:
    """Sum of each row in float64, and how many finite pixels there are."""
    with np.errstate(over='ignore', invalid='ignore'):
        sums = np.asarray(piece, 'f8', order='C').sum(axis=1)
        odd = np.flatnonzero(~np.isfinite(sums))
        good = np.isfinite(piece[odd])
        sums[odd] = np.where(good, piece[odd], 0.0).astype('f8').sum(axis=1)
    return sums, piece.size - int(np.count_nonzero(~good))


def _histogram(pieces: Iterable[NDArray], dtype: np.dtype) -> stats.Distribution:
    """How often each value of a type of 16 bits or fewer occurs."""
    least = int(np.iinfo(dtype).min)
    counts = np.zeros(_BINS, np.int64)
    for piece in pieces:
        # bincount takes its own type several times faster than what it has to convert.
        counts += np.bincount(piece.ravel().astype(np.intp) - least, minlength=_BINS)
    found = np.flatnonzero(counts)
    return stats.Distribution((found + least).astype(np.int32), counts[found], 0)


def _distances(piece: NDArray, middle: float) -> NDArray[np.float64]:
    """Distances from a value in float64; those beyond it are its greatest number, not missing."""
    with np.errstate(over='ignore', invalid='ignore'):
        away = np.abs(piece.astype('f8') - middle)
    return np.minimum(away, np.finfo('f8').max, out=away, where=np.isfinite(piece))


def _median(pieces: Pieces, dtype: np.dtype) -> float:
    """Median of float or wide integer data, by the keys of its two middle values."""
    keys = _middle_keys(lambda: (_keys(piece) for piece in pieces()), dtype)
    if keys is None:
        return math.nan
    low, high = (float(_value(key, dtype)) for key in keys)
    return low if low == high else low / 2 + high / 2


def _keys(piece: NDArray) -> NDArray:
    """Signed integers that stand in the order of the values."""
    bits = np.ascontiguousarray(piece).ravel().view(f'i{piece.itemsize}')
    if piece.dtype.kind == 'f':
        # Of negative floats all bits but the sign run against the order.
        return bits ^ ((bits >> (8 * piece.itemsize - 1)) & np.iinfo(bits.dtype).max)
    return bits if piece.dtype.kind == 'i' else bits ^ np.iinfo(bits.dtype).min


def _value(key: int, dtype: np.dtype) -> np.generic:
    """The value behind a key; what turns values into keys turns keys into values."""
    return _keys(np.array([key], f'i{dtype.itemsize}').view(dtype)).view(dtype)[0]


def _middle_keys(keys: Pieces, dtype: np.dtype) -> tuple[int, int] | None:
    """The keys of the two middle values, by radix selection: one digit of them a pass."""
    shift, base = 8 * dtype.itemsize - _DIGIT, -_BINS // 2
    counts = _digits(keys(), shift, base)
    if dtype.kind == 'f':
        # The first digit is the sign and the exponent: infinite values and NaN have bins of their own.
        first, last = (int(_keys(np.array([end], dtype))[0] >> shift) - base for end in (-np.inf, np.inf))
        counts[: first + 1] = counts[last:] = 0
    if not (total := int(counts.sum())):
        return None
    ranks = [(total - 1) // 2, total // 2]
    while True:
        ends = np.cumsum(counts)
        place, other = np.searchsorted(ends, ranks, side='right').tolist()
        if shift == 0:
            return base + place, base + other
        if place != other:
            return _neighbours(keys, shift, base + place, base + other)
        ranks = [rank - int(ends[place] - counts[place]) for rank in ranks]
        if counts[place] <= _FEW:
            found = np.sort(np.concatenate(list(_under(keys(), shift, base + place))))
            return int(found[ranks[0]]), int(found[ranks[1]])
        parts = _under(keys(), shift, base + place)
        shift, base = shift - _DIGIT, (base + place) * _BINS
        counts = _digits(parts, shift, base)


def _digits(keys: Iterable[NDArray], shift: int, base: int) -> NDArray[np.int64]:
    counts = np.zeros(_BINS, np.int64)
    for part in keys:
        digits = (part >> shift).astype(np.intp, copy=False)
        digits -= base
        counts += np.bincount(digits, minlength=_BINS)
    return counts


def _under(keys: Iterable[NDArray], shift: int, prefix: int) -> Iterator[NDArray]:
    """The keys that begin with these digits."""
    for part in keys:
        yield part[(part >> shift) == prefix]


def _neighbours(keys: Pieces, shift: int, low: int, high: int) -> tuple[int, int]:
    """The last key of one bin and the first of the next that has any: neighbours in rank."""
    last = max(int(part.max()) for part in _under(keys(), shift, low) if part.size)
    return last, min(int(part.min()) for part in _under(keys(), shift, high) if part.size)


def factors(levels: Sequence[float], target: float | None = None) -> NDArray[np.float64]:
    """What each image must be multiplied by to come to one level.

    Parameters
    ----------
    levels : sequence of float
        Levels of the images, all positive.
    target : float, optional
        The level wanted; default: that of the first image.

    Returns
    -------
    ndarray of float64
        Shape (n,).

    Raises
    ------
    ValueError
        When a level is not a positive number.

    Examples
    --------
    >>> factors([100.0, 50.0])
    array([1., 2.])
    """
    found = np.asarray(levels, 'f8')
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise ValueError(f'levels must be positive: {found.tolist()}')
    return (found[0] if target is None else target) / found


def zeros(levels: Sequence[float], target: float | None = None) -> NDArray[np.float64]:
    """What must be added to each image for it to come to one level.

    Parameters
    ----------
    levels : sequence of float
        Levels of the images.
    target : float, optional
        The level wanted; default: that of the first image.

    Returns
    -------
    ndarray of float64
        Shape (n,).

    Raises
    ------
    ValueError
        When a level, or what must be added, is not finite.

    Examples
    --------
    >>> zeros([100.0, 50.0, 112.5])
    array([  0. ,  50. , -12.5])
    """
    found = np.asarray(levels, 'f8')
    with np.errstate(over='ignore', invalid='ignore'):
        added = (found[0] if target is None else target) - found
    if not np.isfinite(added).all():
        raise ValueError(f'levels must be finite: {found.tolist()}')
    return added
