"""Bad pixels: those of a flat or a dark that are far from the median of the pixels around them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIDE = 7  # pixels: a defect of up to 24 of the 49 does not move their median
FAINT = 0.05  # of the flat's level: what is darker says nothing about sensitivity
_HAIR = 1e-9
_LEVEL = 0.9  # the quantile of the medians that a flat is divided by before it is judged
_CHUNK = 1 << 16  # pixels whose surroundings are sorted at a time


def deviant(flat: NDArray, limit: float, *, side: int = SIDE, faint: float = FAINT) -> NDArray[np.bool_]:
    """Pixels that differ from the median around them by more than a fraction of it.

    Parameters
    ----------
    flat : ndarray
        Shape (ny, nx), any real type, relative to a level of 1. NaN and infinite pixels
        are left out of the medians.
    limit : float
        The fraction, above 0.
    side : int
        Pixels of a side of the square around each pixel, odd.
    faint : float
        Where the median is lower than this nothing is found.

    Returns
    -------
    ndarray of bool
        Shape (ny, nx). A pixel that is NaN or infinite is True, wherever it lies.

    Notes
    -----
    ``|flat / med - 1| > limit`` where ``med >= faint``, med being the median of the square, which the edges of the
    image mirror. An edge of light does not move a median: the pixels along a straight one are not found.
    Only pixels are sorted around whose square holds a value so far from theirs that it could matter.

    References
    ----------
    The rule is that of APERO's bad pixel recipe (Cook et al. 2022, PASP 134, 114509).

    Examples
    --------
    >>> flat = np.ones((9, 9))
    >>> flat[4, 4], flat[:, 7], flat[0, 0] = 1.6, 0.3, 0.7
    >>> np.argwhere(deviant(flat, 0.5))[:3].tolist(), int(deviant(flat, 0.5).sum())
    ([[0, 7], [1, 7], [2, 7]], 10)
    """
    values = np.asarray(flat, 'f8')
    finite = np.isfinite(values)
    bad = ~finite
    places = np.flatnonzero(_candidates(values, finite, limit, side, faint))
    for where, middle in _around(values, places, side):
        with np.errstate(invalid='ignore', over='ignore'):
            bad[where] = (middle >= faint) & (np.abs(values[where] / np.maximum(middle, faint) - 1) > limit)
    return bad


def above(dark: NDArray, limit: float, *, side: int = SIDE) -> NDArray[np.bool_]:
    """Pixels that are above the median around them by more than an amount.

    Parameters
    ----------
    dark : ndarray
        Shape (ny, nx), any real type. NaN and infinite pixels are left out of the medians.
    limit : float
        The amount, above 0, in the unit of the pixels.
    side : int
        Pixels of a side of the square around each pixel, odd.

    Returns
    -------
    ndarray of bool
        Shape (ny, nx). A pixel that is NaN or infinite is True.

    References
    ----------
    The rule is that of APERO's bad pixel recipe (Cook et al. 2022, PASP 134, 114509) for its darks.

    Examples
    --------
    >>> dark = np.tile(np.arange(9.0), (9, 1))
    >>> dark[4, 4] = 30
    >>> np.argwhere(above(dark, 20)).tolist()
    [[4, 4]]
    """
    from scipy import ndimage  # here, because it takes 60 ms that other commands need not wait for

    values = np.asarray(dark, 'f8')
    finite = np.isfinite(values)
    bad = ~finite
    with np.errstate(invalid='ignore', over='ignore'):
        low = ndimage.minimum_filter(np.where(finite, values, np.inf), side, mode='reflect')
        places = np.flatnonzero(finite & (values - low > limit))
        for where, middle in _around(values, places, side):
            bad[where] = values[where] - middle > limit
    return bad


def level(flat: NDArray, *, side: int = SIDE) -> float:
    """What a flat is divided by before its pixels are judged.

    Parameters
    ----------
    flat : ndarray
        Shape (ny, nx), any real type. NaN and infinite pixels are left out.
    side : int
        Pixels of a side of the square around a pixel, odd.

    Returns
    -------
    float
        The 0.9 quantile of the medians around every `side`-th pixel of every `side`-th row; NaN where no pixel has a
        value.

    Examples
    --------
    >>> level(np.full((9, 9), 200))
    200.0
    """
    values = np.asarray(flat, 'f8')
    grid = np.zeros(values.shape, bool)
    grid[side // 2 :: side, side // 2 :: side] = True
    if not grid.any():  # a strip that is thinner than half of a square
        grid[...] = True
    windows = _windows(values, side)
    counted = np.isfinite(windows[grid]).any(axis=(1, 2))
    places = np.flatnonzero(grid)[counted]
    found = [middle for _, middle in _around(values, places, side)]
    return float(np.quantile(np.concatenate(found), _LEVEL)) if found else float('nan')


def _windows(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """The square around each pixel, (ny, nx, side, side), infinite values as NaN; the image's edges mirror it."""
    padded = np.pad(np.where(np.isfinite(values), values, np.nan), side // 2, mode='symmetric')
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side))


def _around(
    values: NDArray[np.float64], places: NDArray[np.intp], side: int
) -> Iterator[tuple[tuple[NDArray[np.intp], ...], NDArray[np.float64]]]:
    """For some pixels at a time, by their places in the flat array, where they are and the medians around them."""
    windows = _windows(values, side)
    for start in range(0, places.size, _CHUNK):
        chosen = places[start : start + _CHUNK]
        where = np.unravel_index(chosen, values.shape)
        yield where, _medians(windows[where].reshape(len(chosen), -1))


def _candidates(
    values: NDArray[np.float64], finite: NDArray[np.bool_], limit: float, side: int, faint: float
) -> NDArray[np.bool_]:
    """Finite pixels beside which some value would make them bad if it were the median."""
    from scipy import ndimage  # here, because it takes 60 ms that other commands need not wait for

    low = ndimage.minimum_filter(np.where(finite, values, np.inf), side, mode='reflect')
    high = ndimage.maximum_filter(np.where(finite, values, -np.inf), side, mode='reflect')
    with np.errstate(invalid='ignore', over='ignore'):
        # A hair wider than the rule, whose division rounds.
        too_high = values > (1 + limit) * np.maximum(low, faint) * (1 - _HAIR)
        too_low = values < (1 - limit) * np.where(limit < 1, high, faint) * (1 + _HAIR) + _HAIR * (limit == 1)
    return finite & (high >= faint) & (too_high | too_low)


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of rows, without the NaN that sorting puts at their ends; each row has a value that is none."""
    ranked = np.sort(values, axis=1)
    count = np.isfinite(ranked).sum(axis=1)
    rows = np.arange(len(ranked))
    return (ranked[rows, (count - 1) // 2] + ranked[rows, count // 2]) / 2
