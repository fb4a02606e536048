"""Pixels whose dark current can't be trusted: those that saturate, that no line fits, or whose rate stands out."""

from collections.abc import Sequence
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
    saturated, missing, unfit, hot : ndarray of bool
        Shape (ny, nx): a value is saturated; there is no line; the values lie too far from their line; the
        rate stands out. A pixel counts under the first that holds.
    """

    saturated: Marks
    missing: Marks
    unfit: Marks
    hot: Marks

    @property
    def mask(self) -> NDArray[np.uint8]:
        """1 where a pixel is bad, for any reason; shape (ny, nx)."""
        return (self.saturated | self.missing | self.unfit | self.hot).astype(np.uint8)

    def counts(self) -> dict[str, int]:
        """How many pixels are bad for each reason.

        Returns
        -------
        dict of int
            By the name of the attribute.
        """
        names = ('saturated', 'missing', 'unfit', 'hot')
        return {name: int(np.count_nonzero(getattr(self, name))) for name in names}


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

    Examples
    --------
    >>> rate = np.full((8, 9), 0.2) + np.arange(9) / 1000
    >>> rate[3, 4] = 7
    >>> zero, four = np.zeros((8, 9)), np.full((8, 9), 4, 'i2')
    >>> lines = PixelLines(zero, rate, zero, four, zero.astype(bool))
    >>> np.argwhere(find_bad(lines, 5, 5, 300).mask).tolist()
    [[3, 4]]
    """
    missing = ~np.isfinite(lines.rate) & ~lines.saturated
    good = np.isfinite(lines.rate) & ~lines.saturated
    level = float(np.median(np.abs(lines.offset[good]) + np.abs(lines.rate[good]) * longest)) if good.any() else 0.0
    misfits = good & unlikely(lines.chi2, lines.used, unfit, _ROUNDING * level)
    strange = good & ~misfits & standing_out(lines.rate, good & ~misfits, hot, _ROUNDING * level / longest)
    return BadPixels(lines.saturated, missing, misfits, strange)


def standing_out(values: Floats, good: Marks, limit: float, least: float = 0.0) -> Marks:
    """Pixels that are far above or below those around them.

    Parameters
    ----------
    values : ndarray of float64
        Shape (ny, nx).
    good : ndarray of bool
        Shape (ny, nx): the pixels that tell what is usual.
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
    if not good.any():
        return np.zeros(values.shape, bool)
    with np.errstate(invalid='ignore', over='ignore'):
        away = np.abs(values - background(values, good))
        sigma = _NORMAL * float(np.median(away[good])) or float(np.sqrt(np.mean(away[good] ** 2)))
        return away > limit * np.maximum(_NORMAL * background(away, good), max(sigma, least))


def background(values: Floats, good: Marks, box: int = _BOX) -> Floats:
    """What is usual around each pixel: a glow of the amplifier is no crowd of hot pixels.

    Parameters
    ----------
    values : ndarray of float64
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
    ny, nx = values.shape
    rows, columns = _cuts(ny, box), _cuts(nx, box)
    usual = float(np.median(values[good]))
    grid = np.full((len(rows) - 1, len(columns) - 1), usual)
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            part = slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1])
            if np.count_nonzero(good[part]) >= _LEAST * good[part].size:
                grid[row, column] = np.median(values[part][good[part]])
    return _stretched(_stretched(grid, rows).T, columns).T


def _stretched(grid: Floats, cuts: NDArray[np.intp]) -> Floats:
    """Values of pieces, (pieces, m), for each place in them, (length, m): linear between middles, and beyond."""
    middles = (cuts[:-1] + cuts[1:] - 1) / 2
    if len(middles) == 1:
        return np.repeat(grid, cuts[-1], axis=0)
    places = np.arange(cuts[-1])
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
    from scipy import special  # here, because it takes 50 ms that other commands need not wait for

    freedom = np.maximum(used.astype('f8') - 2, 0)
    tested = (freedom > 0) & np.isfinite(chi2)
    if not tested.any() or not np.isfinite(limit):
        return np.zeros(chi2.shape, bool)
    kinds = np.unique(freedom[tested])
    medians = {kind: float(special.chdtri(kind, 0.5)) for kind in kinds}
    scaled = np.concatenate([chi2[tested & (freedom == kind)] / medians[kind] for kind in kinds])
    variance = max(float(np.median(scaled)), least**2)
    rare = 2 * float(special.ndtr(-limit))
    found = np.zeros(chi2.shape, bool)
    for kind in kinds:
        found |= tested & (freedom == kind) & (chi2 > variance * float(special.chdtri(kind, rare)))
    return found
