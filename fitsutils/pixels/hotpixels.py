"""Pixels whose dark current can't be trusted: those that saturate, that no line fits, or whose rate stands out."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels.darkcurrent import PixelLines

_STEEP = 0.1  # of a pixel's value: what it must be expected to rise by before its not rising says anything
_FLAT = 0.25  # of the rise that was expected: a pixel that rises less has stopped
_FALLEN = 0.9  # of the value before: what falls lower was a cosmic ray's, not a full pixel's
_NEAR_TOP = 0.9  # of the highest value of all: full pixels hold about as much as each other
_BOX = 32  # pixels of a side of the squares whose median rates are the background
_LEAST = 0.25  # of a square: fewer good pixels say nothing about it
_NORMAL = 1.4826  # the standard deviation of normal values over their median absolute deviation
_ROUNDING = 1e-6  # of the level: residuals of data without noise

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


def plateaus(band: NDArray, times: Sequence[float]) -> Floats:
    """Values at which pixels of a stack of darks have stopped rising with exposure time.

    Parameters
    ----------
    band : ndarray
        Shape (n, rows, nx), any real type, counts. NaN and infinite values are missing, and their pixels are left out.
    times : sequence of float
        Exposure time of each dark, s, in any order; darks of equal time are averaged first.

    Returns
    -------
    ndarray of float64
        Shape (k,), counts, one for each time that a pixel did not rise: it rose by less than a quarter of what its
        rate up to there foretold, which was a tenth of its value at least, and fell by no more than a tenth. Empty
        with fewer than three different times. Noise gives some too: `ceiling` tells them apart.

    Examples
    --------
    >>> plateaus(np.array([1000, 31000, 62617, 62100, 1500, 1600]).reshape(3, 1, 2), [10, 20, 30]).tolist()
    []
    >>> plateaus(np.array([1000, 31000, 61000, 62617]).reshape(4, 1, 1), [10, 20, 30, 60]).tolist()
    [62617.0]
    """
    moments, group = np.unique(np.asarray(times, 'f8'), return_inverse=True)
    found = [np.empty(0)]
    levels = [_mean(band[group == place]) for place in range(len(moments))] if len(moments) > 2 else []
    for place in range(2, len(levels)):
        first, before, now = levels[0], levels[place - 1], levels[place]
        with np.errstate(invalid='ignore', over='ignore'):
            ratio = (moments[place] - moments[place - 1]) / (moments[place - 1] - moments[0])
            expected = (before - first) * ratio
            stopped = (expected > _STEEP * np.abs(before)) & (now - before < _FLAT * expected)
            found.append(now[stopped & (now > _FALLEN * before)])
    return np.concatenate(found)


def _mean(values: NDArray) -> Floats:
    total = np.zeros(values.shape[1:])
    for each in values:
        total += each
    return np.where(np.isfinite(total), total / len(values), np.nan)


def ceiling(values: NDArray, top: float) -> float:
    """The value from which on pixels are saturated.

    Parameters
    ----------
    values : ndarray
        Shape (k,): what `plateaus` gave, of all bands.
    top : float
        Highest value of the stack.

    Returns
    -------
    float
        The lowest plateau that lies within a tenth of `top`; infinite where there is none.

    Notes
    -----
    A pixel's well need not be as deep as the converter's range, and not all wells are equally deep: no value of the
    type and no single flat top tells where they end. But what is full is near the highest value of all, and does
    not rise.

    Examples
    --------
    >>> ceiling(np.array([1020.0, 61945.0, 62617.0]), 65224.0)
    61945.0
    """
    near = near_top(values, top)
    return float(near.min()) if near.size else float('inf')


def highest(values: NDArray) -> float:
    """The highest value that is one.

    Parameters
    ----------
    values : ndarray
        Any shape and real type; NaN and infinite values are left out.

    Returns
    -------
    float
        Minus infinity where there is none.

    Examples
    --------
    >>> highest(np.array([3.0, np.nan, np.inf, 7.0])), highest(np.array([3, 7]))
    (7.0, 7.0)
    """
    if values.dtype.kind != 'f':
        return float(values.max()) if values.size else -np.inf
    return float(np.max(values, where=np.isfinite(values), initial=-np.inf))


def near_top(values: NDArray, top: float) -> NDArray:
    """Values within a tenth of the highest of all.

    Parameters
    ----------
    values : ndarray
        Shape (k,).
    top : float
        The highest.

    Returns
    -------
    ndarray
        Shape (m,), m <= k; empty where the highest is not above 0.

    Examples
    --------
    >>> near_top(np.array([1020.0, 61945.0]), 65224.0)
    array([61945.])
    """
    return values[values >= _NEAR_TOP * top] if top > 0 else values[:0]


@dataclass(frozen=True)
class BadPixels:
    """Why pixels are bad.

    Attributes
    ----------
    reasons : ndarray of uint8
        Shape (ny, nx): the sum of 1 where a value is saturated, 2 where there is no line, 4 where the values lie too
        far from their line, 8 where the rate stands out. A pixel of 1 or 2 is not looked at for 4, nor one of 4 for 8.
    """

    reasons: NDArray[np.uint8]

    @property
    def mask(self) -> NDArray[np.uint8]:
        """1 where a pixel is bad, for any reason; shape (ny, nx)."""
        return (self.reasons != 0).view(np.uint8)

    def of(self, reason: str) -> Marks:
        """The pixels that are bad for a reason.

        Parameters
        ----------
        reason : {'saturated', 'missing', 'unfit', 'hot'}
            The reason.

        Returns
        -------
        ndarray of bool
            Shape (ny, nx).
        """
        return (self.reasons & _REASONS[reason]) != 0

    def counts(self) -> dict[str, int]:
        """How many pixels are bad for each reason.

        Returns
        -------
        dict of int
            By the name of the reason. A saturated pixel without a line counts twice.
        """
        return {name: int(np.count_nonzero(self.of(name))) for name in _REASONS}


_REASONS = {'saturated': 1, 'missing': 2, 'unfit': 4, 'hot': 8}


def find_bad(lines: PixelLines, hot: float, unfit: float, longest: float) -> BadPixels:
    """Find the pixels that a dark should not be trusted in.

    Parameters
    ----------
    lines : PixelLines
        The lines of all pixels of an image.
    hot : float
        A rate further than so many sigma from the rates around it stands out.
    unfit : float
        Residuals as improbable as a normal value so many sigma off are too large; infinite asks for no such test.
    longest : float
        Longest exposure time of the darks, s.

    Returns
    -------
    BadPixels
        The pixels.

    Notes
    -----
    Of the whole image no more is held than marks: all else is worked out in bands of rows, again where it is needed
    again.

    Examples
    --------
    >>> rate = np.full((8, 9), 0.2) + np.arange(9) / 1000
    >>> rate[3, 4] = 7
    >>> zero, four = np.zeros((8, 9)), np.full((8, 9), 4, 'i2')
    >>> lines = PixelLines(zero, rate, zero, four, zero.astype(bool))
    >>> np.argwhere(find_bad(lines, 5, 5, 300).mask).tolist()
    [[3, 4]]
    """
    bands = _bands(lines.rate.shape[0])
    reasons = lines.saturated * np.uint8(_REASONS['saturated'])
    for rows in bands:
        reasons[slice(*rows)] |= ~np.isfinite(lines.rate[slice(*rows)]) * np.uint8(_REASONS['missing'])

    def levels() -> Iterator[NDArray]:
        for start, stop in bands:
            part, good = lines.band(start, stop), reasons[start:stop] == 0
            yield np.abs(part.offset[good]) + np.abs(part.rate[good]) * longest

    level = np.nan_to_num(median_of(levels))
    limits = _limits(lambda: ((part.chi2, part.used) for part in (lines.band(*rows) for rows in bands)),
                     unfit, _ROUNDING * level)  # fmt: skip
    for rows in bands:
        part, marks = lines.band(*rows), reasons[slice(*rows)]
        marks[(marks == 0) & _beyond(part.chi2, part.used, limits)] = _REASONS['unfit']
    reasons[standing_out(lines.rate, reasons == 0, hot, _ROUNDING * level / longest)] = _REASONS['hot']
    return BadPixels(reasons)


def _bands(rows: int, box: int = _BOX) -> list[tuple[int, int]]:
    cuts = _cuts(rows, box).tolist()
    return list(itertools.pairwise(cuts))


def median_of(pieces: Callable[[], Iterable[NDArray]]) -> float:
    """The median of values that are never all in memory.

    Parameters
    ----------
    pieces : callable
        Gives arrays of any shape, of float32 or float64 and without NaN, and the same each time that it is called.

    Returns
    -------
    float
        Their median; NaN where there is no value.

    Notes
    -----
    Read as an unsigned integer, with its sign bit turned and negative ones turned about, a float keeps its rank. Of
    these numbers 16 bits after the others are counted, from the highest: all pieces are gone through twice, or, of
    float64, four times.

    Examples
    --------
    >>> median_of(lambda: (np.array(values) for values in ([3.0, -1.0], [7.0], [-20.0])))
    1.0
    """
    found, ranks, shift = [0, 0], [0, 0], 64
    while shift:
        counts, first = np.zeros((2, 1 << 16), np.int64), shift == 64
        for piece in pieces():
            keys = _ordered(piece)
            shift = min(shift, 8 * keys.itemsize)
            for row, prefix in enumerate(found):
                digits = keys >> keys.dtype.type(shift - 16)
                digits = digits if first else digits[digits >> keys.dtype.type(16) == keys.dtype.type(prefix)]
                counts[row] += np.bincount(
                    (digits & keys.dtype.type(0xFFFF)).astype(np.intp).ravel(), minlength=1 << 16
                )
        if first:
            total = int(counts[0].sum())
            if not total:
                return float('nan')
            ranks, kind = [(total - 1) // 2, total // 2], keys.dtype
        for row in (0, 1):
            below = np.cumsum(counts[row])
            digit = int(np.searchsorted(below, ranks[row], side='right'))
            ranks[row] -= int(below[digit] - counts[row, digit])
            found[row] = found[row] << 16 | digit
        shift -= 16
    return float(np.mean(_value_of(np.array(found, kind)).astype('f8')))


def _ordered(values: NDArray) -> NDArray:
    """Unsigned integers in the order of floats."""
    bits = np.ascontiguousarray(values).view(f'u{values.itemsize}')
    sign = bits.dtype.type(1 << (8 * values.itemsize - 1))
    return np.where(bits & sign, ~bits, bits | sign)


def _value_of(keys: NDArray) -> NDArray:
    sign = keys.dtype.type(1 << (8 * keys.itemsize - 1))
    return np.where(keys & sign, keys ^ sign, ~keys).view(f'f{keys.itemsize}')


def standing_out(values: NDArray, good: Marks, limit: float, least: float = 0.0) -> Marks:
    """Pixels that are far above or below those around them.

    Parameters
    ----------
    values : ndarray of float64 or float32
        Shape (ny, nx).
    good : ndarray of bool
        Shape (ny, nx): the pixels that tell what is usual; no other stands out.
    limit : float
        How many sigma are far.
    least : float
        Sigma is taken to be this at least.

    Returns
    -------
    ndarray of bool
        Shape (ny, nx); False where a value is NaN.

    Notes
    -----
    The distance from `background`; sigma is 1.4826 times the median absolute distance of all good pixels, or their
    standard deviation where that is 0. Where the good pixels around scatter more than all do, as in the glow of an
    amplifier, their own sigma counts: the background of the distances, times 1.4826.

    Examples
    --------
    >>> standing_out(np.array([[1.0, 2, 1, 2, 1, 40]]), np.ones((1, 6), bool), 5)
    array([[False, False, False, False, False,  True]])
    """
    found = np.zeros(values.shape, bool)
    if not good.any():
        return found
    bands = _bands(len(values))
    near = _squares(lambda start, stop: values[start:stop], good)

    def away(start: int, stop: int) -> NDArray:
        return np.abs(values[start:stop] - near.rows_of(start, stop)).astype(values.dtype)

    with np.errstate(invalid='ignore', over='ignore'):
        usual = median_of(lambda: (away(*rows)[good[slice(*rows)]] for rows in bands))
        around = _squares(away, good, usual=usual)
        squares = sum(float((away(*rows)[good[slice(*rows)]].astype('f8') ** 2).sum()) for rows in bands)
        sigma = _NORMAL * usual or float(np.sqrt(squares / np.count_nonzero(good)))
        for start, stop in bands:
            scatter = np.maximum(_NORMAL * around.rows_of(start, stop), max(sigma, least))
            found[start:stop] = good[start:stop] & (away(start, stop) > limit * scatter)
    return found


@dataclass(frozen=True)
class _Squares:
    """Medians of squares; the edges of these along both axes."""

    grid: Floats
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def rows_of(self, start: int, stop: int) -> Floats:
        """What is usual around the pixels of some rows, shape (stop - start, nx)."""
        along = _stretched(self.grid, self.rows, np.arange(start, stop))
        return _stretched(along.T, self.columns, np.arange(self.columns[-1])).T


def _squares(
    band: Callable[[int, int], NDArray], good: Marks, box: int = _BOX, usual: float | None = None
) -> _Squares:  # fmt: skip
    """Medians of squares of values that are given rows at a time."""
    ny, nx = good.shape
    bands, columns = _bands(ny, box), _cuts(nx, box)
    if usual is None:
        usual = median_of(lambda: (band(*rows)[good[slice(*rows)]] for rows in bands))
    grid = np.full((len(bands), len(columns) - 1), usual)
    for row, (start, stop) in enumerate(bands):
        values, counted = band(start, stop), good[start:stop]
        for column, (left, right) in enumerate(itertools.pairwise(columns)):
            chosen = values[:, left:right][counted[:, left:right]]
            if chosen.size >= _LEAST * (stop - start) * (right - left):
                grid[row, column] = np.median(chosen)
    return _Squares(grid, _cuts(ny, box), columns)


def background(values: NDArray, good: Marks, box: int = _BOX) -> Floats:
    """What is usual around each pixel: a glow of the amplifier is no crowd of hot pixels.

    Parameters
    ----------
    values : ndarray of float64 or float32
        Shape (ny, nx).
    good : ndarray of bool
        Shape (ny, nx): the pixels that count; one at least.
    box : int
        Pixels of a side of a square.

    Returns
    -------
    ndarray of float64
        Shape (ny, nx): the medians of squares, interpolated linearly between their middles, and on to the edges. A
        square with less than a quarter of good pixels has the median of all.

    Examples
    --------
    >>> background(np.array([[1.0, 3, 3, 9]]), np.ones((1, 4), bool), box=4)
    array([[3., 3., 3., 3.]])
    """
    return _squares(lambda start, stop: values[start:stop], good, box).rows_of(0, len(values))


def _stretched(grid: Floats, cuts: NDArray[np.intp], places: NDArray[np.intp]) -> Floats:
    """Values of pieces, (pieces, m), at some places, (k, m): linear between middles, and beyond."""
    middles = (cuts[:-1] + cuts[1:] - 1) / 2
    if len(middles) == 1:
        return np.repeat(grid, len(places), axis=0)
    first = np.clip(np.searchsorted(middles, places, side='right') - 1, 0, len(middles) - 2)
    share = (places - middles[first]) / (middles[first + 1] - middles[first])
    return grid[first] + (grid[first + 1] - grid[first]) * share[:, None]


def _cuts(length: int, box: int) -> NDArray[np.intp]:
    """Edges of pieces of about a length."""
    return np.linspace(0, length, max(round(length / box), 1) + 1).round().astype(np.intp)


def unlikely(chi2: Floats, used: NDArray[np.integer], limit: float, least: float = 0.0) -> Marks:
    """Pixels whose residuals are larger than noise makes them.

    Parameters
    ----------
    chi2 : ndarray of float64
        Shape (ny, nx): sums of squared residuals, on any scale.
    used : ndarray of int
        Shape (ny, nx): values that each line was fitted to.
    limit : float
        As improbable as a normal value so many sigma off; infinite finds none.
    least : float
        The noise of a value is taken to be this at least.

    Returns
    -------
    ndarray of bool
        Shape (ny, nx). False where a line goes through two values only, which always fits.

    Notes
    -----
    Of pixels alike ``chi2 / sigma**2`` follows the chi-square distribution of ``used - 2`` degrees of freedom. The
    sigma is found from the medians: half of all pixels lie above that of the distribution. A pixel is unlikely where
    ``chi2 / sigma**2`` is beyond the value that is exceeded as rarely as a normal one goes beyond `limit` sigma.

    Examples
    --------
    >>> unlikely(np.array([[1.0, 2, 3, 100]]), np.full((1, 4), 5), 3)
    array([[False, False, False,  True]])
    """
    return _beyond(chi2, used, _limits(lambda: [(chi2, used)], limit, least))


def _limits(
    pieces: Callable[[], Iterable[tuple[Floats, NDArray[np.integer]]]], limit: float, least: float
) -> dict[int, float]:
    """For each number of degrees of freedom the largest likely chi2; pieces of chi2 and used, as of `unlikely`."""
    from scipy import special  # here, because it takes 50 ms that other commands need not wait for

    if not np.isfinite(limit):
        return {}
    found = [np.unique(used[(used > 2) & np.isfinite(chi2)]) for chi2, used in pieces()]
    kinds = [int(count) - 2 for count in np.unique(np.concatenate(found))]
    if not kinds:
        return {}
    medians = np.full(max(kinds) + 3, np.nan)
    for kind in kinds:
        medians[kind + 2] = special.chdtri(kind, 0.5)

    def scaled() -> Iterator[Floats]:
        for chi2, used in pieces():
            tested = (used > 2) & np.isfinite(chi2)
            yield chi2[tested] / medians[used[tested]]

    variance = max(median_of(scaled), least**2)
    rare = 2 * float(special.ndtr(-limit))
    return {kind: variance * float(special.chdtri(kind, rare)) for kind in kinds}


def _beyond(chi2: Floats, used: NDArray[np.integer], limits: dict[int, float]) -> Marks:
    found = np.zeros(chi2.shape, bool)
    for kind, largest in limits.items():
        found |= (used == kind + 2) & (chi2 > largest) & np.isfinite(chi2)
    return found
