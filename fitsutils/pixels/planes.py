"""Combining pixels that have all their values: whole rows of pixels at a time, in the data's own type.

Sums are float64 (exact integers where the data are), and are taken in the
order of the images, block by block, so that the accumulator stays in the
processor's cache. None of the values is NaN or infinite.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import sorting

_BLOCK = 1 << 15  # pixels whose values are added together

Rows = Sequence[NDArray]
Floats = NDArray[np.float64]


def total(rows: Rows) -> Floats:
    """Sum of the values of each pixel.

    Parameters
    ----------
    rows : sequence of ndarray
        Rows, n of shape (m,), of one real type.

    Returns
    -------
    ndarray of float64
        Shape (m,). Exact for 8- and 16-bit integers.

    Examples
    --------
    >>> total([np.array([60000], 'u2'), np.array([60000], 'u2')])
    array([120000.])
    """
    dtype = rows[0].dtype
    exact = dtype.kind in 'iu' and dtype.itemsize <= 2 and len(rows) < 1 << 15
    kind = np.dtype(np.int32 if exact else np.float64)
    out = np.empty(len(rows[0]))
    for part, (sums, term) in _blocks(len(out), kind, 2):
        sums[...] = rows[0][part]
        for row in rows[1:]:
            np.copyto(term, row[part])
            sums += term
        out[part] = sums
    return out


def mean(rows: Rows) -> Floats:
    """Mean of the values of each pixel.

    Parameters
    ----------
    rows : sequence of ndarray
        Rows, n of shape (m,), of one real type.

    Returns
    -------
    ndarray of float64
        Shape (m,); finite also where the sum is not.

    Examples
    --------
    >>> mean([np.array([1e308]), np.array([1e308])])
    array([1.e+308])
    """
    with np.errstate(over='ignore', invalid='ignore'):
        out = total(rows) / len(rows)
    beyond = np.isinf(out)
    if beyond.any():
        out[beyond] = sum(row[beyond] / len(rows) for row in rows)
    return out


def _blocks(number: int, kind: np.dtype, buffers: int) -> Iterator[tuple[slice, list[NDArray]]]:
    space = [np.empty(min(number, _BLOCK), kind) for _ in range(buffers)]
    for start in range(0, number, _BLOCK):
        stop = min(start + _BLOCK, number)
        yield slice(start, stop), [buffer[: stop - start] for buffer in space]


def squares_about(rows: Rows, centre: Floats) -> Floats:
    """Sum of the squared distances of each pixel's values from a centre.

    Parameters
    ----------
    rows : sequence of ndarray
        Rows, n of shape (m,).
    centre : ndarray of float64
        Shape (m,).

    Returns
    -------
    ndarray of float64
        Shape (m,).

    Examples
    --------
    >>> squares_about([np.array([1]), np.array([4])], np.array([2.0]))
    array([5.])
    """
    out = np.zeros(len(centre))
    with np.errstate(over='ignore', under='ignore'):
        for part, (term,) in _blocks(len(out), np.dtype('f8'), 1):
            for row in rows:
                np.copyto(term, row[part])
                term -= centre[part]
                term *= term
                out[part] += term
    return out


def weighted_mean(rows: Rows, weights: Sequence[float | NDArray]) -> Floats:
    """Mean of the values of each pixel with a weight for each.

    Parameters
    ----------
    rows : sequence of ndarray
        Rows, n of shape (m,).
    weights : sequence of float or ndarray
        Numbers, n of them, or rows of shape (m,).

    Returns
    -------
    ndarray of float64
        Shape (m,): the sum of weight times value, divided by the sum of the weights.

    Examples
    --------
    >>> weighted_mean([np.array([1.0]), np.array([4.0])], [1, 2])
    array([3.])
    """
    sums, used = np.zeros(len(rows[0])), np.zeros(len(rows[0]))
    for part, (term,) in _blocks(len(sums), np.dtype('f8'), 1):
        for row, weight in zip(rows, weights, strict=True):
            beside = weight[part] if isinstance(weight, np.ndarray) else weight
            np.copyto(term, row[part])
            term *= beside
            sums[part] += term
            used[part] += beside
    return sums / used


def halfway(first: NDArray, second: NDArray, place: float | Floats = 0.5) -> Floats:
    """Interpolate between two values; half-way without overflow.

    Parameters
    ----------
    first, second : ndarray
        Any shape.
    place : float or ndarray
        0 gives the first, 1 the second.

    Returns
    -------
    ndarray of float64
        Shape of the two.

    Examples
    --------
    >>> halfway(np.array([60000], 'u2'), np.array([60001], 'u2'))
    array([60000.5])
    """
    low, high = first.astype('f8'), second.astype('f8')
    if isinstance(place, float) and place == 0.5:
        return low * 0.5 + high * 0.5
    return low + (high - low) * place


def reduce(
    stack: NDArray, method: str, dropped: tuple[int, int] = (0, 0), fraction: float = 0.5, *, overwrite: bool = False
) -> Floats:
    """Combine the values of each pixel, but the lowest and highest.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m), all finite.
    method : str
        One of `combining.METHODS`.
    dropped : (int, int)
        How many of the lowest and the highest values are left out; fewer than n together.
    fraction : float
        For ``quantile``.
    overwrite : bool
        Whether `stack` may be used as the place to work in.

    Returns
    -------
    ndarray of float64
        Shape (m,).

    Examples
    --------
    >>> reduce(np.array([[3], [1], [2], [9]]), 'mean', (0, 1))
    array([2.])
    """
    low, high = dropped[0], len(stack) - 1 - dropped[1]
    if method in ('min', 'max'):
        return _extreme(stack, method, low, high, overwrite=overwrite)
    if method in ('median', 'quantile'):
        place = low + (0.5 if method == 'median' else fraction) * (high - low)
        ranks = int(place), min(int(place) + 1, high)
        if place == ranks[0]:
            return sorting.select(stack, ranks[:1], overwrite=overwrite)[0].astype('f8')
        return halfway(*sorting.select(stack, ranks, overwrite=overwrite), place - ranks[0])
    rows = kept_rows(stack, dropped, overwrite=overwrite)
    if method == 'sum':
        return total(rows)
    centre = mean(rows)
    if method in ('mean', 'average'):
        return centre
    variance = squares_about(rows, centre) / len(rows)
    return variance if method == 'var' else np.sqrt(variance)


def _extreme(stack: NDArray, method: str, low: int, high: int, *, overwrite: bool) -> Floats:
    if method == 'min' and low == 0:
        return np.minimum.reduce(stack, axis=0).astype('f8')
    if method == 'max' and high == len(stack) - 1:
        return np.maximum.reduce(stack, axis=0).astype('f8')
    rank = low if method == 'min' else high
    return sorting.select(stack, (rank,), overwrite=overwrite)[0].astype('f8')


def kept_rows(stack: NDArray, dropped: tuple[int, int], *, overwrite: bool = False) -> list[NDArray]:
    """The values of each pixel but the lowest and highest, in rows.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m), all finite.
    dropped : (int, int)
        How many are left out at either end.
    overwrite : bool
        Whether `stack` may be used as the place to work in.

    Returns
    -------
    list of ndarray
        Rows of shape (m,); in the order of the images where nothing is dropped, else in none.

    Examples
    --------
    >>> kept_rows(np.array([[3], [1], [2]]), (1, 1))
    [array([2])]
    """
    if dropped == (0, 0):
        return list(stack)
    return sorting.without_extremes(stack if overwrite else stack.copy(), *dropped)
