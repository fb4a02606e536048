"""Ranks of a stack: for each pixel the values that stand at given places in ascending order.

A sorting network is a fixed list of compare-exchanges; each is one minimum and
one maximum of whole rows of pixels, which numpy runs in the processor's vector
units. Batcher's network, cut down to the ranks that are wanted, beats sorting
the pixels one by one up to some hundred images; above that the pixels are
sorted in tiles. `NETWORK_LIMITS` holds where the one overtakes the other.
"""

import functools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# Most images for which a network is the faster way, by bytes of a value, as measured with
# AVX2 (where numpy sorts 16-bit values one at a time). The ranks are the same either way.
NETWORK_LIMITS = {1: 400, 2: 400, 4: 150, 8: 50}

_TILE = 4096  # pixels whose values are sorted together: some 1 MB for 64 images of float32

Exchange = tuple[int, int, bool, bool]


@functools.lru_cache(maxsize=64)
def network(number: int, ranks: tuple[int, ...]) -> tuple[Exchange, ...]:
    """Compare-exchanges that bring the values of given ranks to their places.

    Parameters
    ----------
    number : int
        How many values there are.
    ranks : tuple of int
        Places in ascending order, from 0.

    Returns
    -------
    tuple of (int, int, bool, bool)
        Two places, the lower first, and whether the smaller value is wanted
        at the first and the larger at the second.

    Notes
    -----
    Batcher's merge exchange for any number of values (Knuth, The Art of
    Computer Programming 3, algorithm 5.2.2M), followed backwards from the
    ranks that are wanted.

    Examples
    --------
    >>> len(network(5, (2,))), len(network(20, (9, 10)))
    (8, 81)
    """
    wanted = set(ranks)
    kept: list[Exchange] = []
    for low, high in reversed(_merge_exchange(number)):
        if low in wanted or high in wanted:
            kept.append((low, high, low in wanted, high in wanted))
            wanted |= {low, high}
    return tuple(reversed(kept))


def _merge_exchange(number: int) -> list[tuple[int, int]]:
    pairs = []
    top = 1 << max(number - 1, 0).bit_length() >> 1
    step = top
    while step:
        partner, residue, distance = top, 0, step
        while True:
            pairs += [(place, place + distance) for place in range(number - distance) if place & step == residue]
            if partner == step:
                break
            distance, partner, residue = partner - step, partner >> 1, step
        step >>= 1
    return pairs


def select(stack: NDArray, ranks: Iterable[int], *, overwrite: bool = False) -> list[NDArray]:
    """The values of each pixel that stand at given ranks.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m): n values of each of m pixels, without NaN.
    ranks : iterable of int
        Ranks, 0 for the smallest value.
    overwrite : bool
        Whether `stack` may be used as the place to work in.

    Returns
    -------
    list of ndarray
        For each rank the values, shape (m,), type of `stack`. They may share memory with each other and with `stack`.

    Examples
    --------
    >>> select(np.array([[3, 5], [1, 4], [2, 9]]), [1])
    [array([2, 5])]
    """
    ranks = list(ranks)
    if not uses_network(len(stack), stack.dtype):
        tile = ranked(stack)
        return [tile[rank] for rank in ranks]
    places = _exchanged(list(stack), network(len(stack), tuple(sorted(set(ranks)))), overwrite=overwrite)
    return [places[rank] for rank in ranks]


def uses_network(number: int, dtype: np.dtype) -> bool:
    """Whether a network is the faster way to the ranks of a stack.

    Parameters
    ----------
    number : int
        Values of a pixel.
    dtype : dtype
        Their type.

    Returns
    -------
    bool
        False where tiles are sorted instead.
    """
    return number <= NETWORK_LIMITS.get(dtype.itemsize, 0)


def _exchanged(rows: list[NDArray], exchanges: Sequence[Exchange], *, overwrite: bool) -> list[NDArray]:
    """Run a network over rows of pixels. A row that may be written to takes the result of its own exchange."""
    free: list[NDArray] = []
    ours = [overwrite] * len(rows)

    def space(like: NDArray) -> NDArray:
        return free.pop() if free else np.empty_like(like)

    for low, high, needs_low, needs_high in exchanges:
        first, second = rows[low], rows[high]
        if needs_low and needs_high:
            rows[low] = np.minimum(first, second, out=space(first))
            rows[high] = np.maximum(first, second, out=second if ours[high] else space(second))
            if ours[low]:
                free.append(first)
            ours[low] = ours[high] = True
        elif needs_low:
            rows[low] = np.minimum(first, second, out=first if ours[low] else space(first))
            ours[low] = True
        else:
            rows[high] = np.maximum(first, second, out=second if ours[high] else space(second))
            ours[high] = True
    return rows


def ranked(stack: NDArray) -> NDArray:
    """The values of each pixel in ascending order, NaN last.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m).

    Returns
    -------
    ndarray
        Shape (n, m), sorted along the first axis.

    Examples
    --------
    >>> ranked(np.array([[3.0], [np.nan], [1.0]])).ravel()
    array([ 1.,  3., nan])
    """
    out = np.empty_like(stack)
    for start in range(0, stack.shape[1], _TILE):
        tile = pixel_major(stack[:, start : start + _TILE])
        out[:, start : start + _TILE] = tile.T
    return out


def pixel_major(stack: NDArray) -> NDArray:
    """The values of each pixel in ascending order, those of one pixel beside each other.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m).

    Returns
    -------
    ndarray
        Shape (m, n), sorted along the last axis, NaN last; a copy.

    Examples
    --------
    >>> pixel_major(np.array([[3, 5], [1, 9]]))
    array([[1, 3],
           [5, 9]])
    """
    # numpy sorts 16-bit values in vector units on few processors, 32-bit ones on most.
    wide = np.float32 if stack.dtype.itemsize == 2 and stack.dtype.kind in 'iu' else stack.dtype
    values = np.array(stack.T, dtype=wide, order='C')
    values.sort(axis=1)
    return values.astype(stack.dtype, copy=False)


def without_extremes(stack: NDArray, low: int, high: int) -> list[NDArray]:
    """The values of each pixel but the lowest and the highest, in no order.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m), without NaN; overwritten.
    low, high : int
        How many to drop of each pixel; fewer than n together.

    Returns
    -------
    list of ndarray
        Rows of shape (m,), n - low - high of them, that share memory with `stack`.

    Examples
    --------
    >>> without_extremes(np.array([[3, 5], [1, 4], [2, 9]]), 1, 1)
    [array([2, 5])]
    """
    rows = list(stack)
    exchanges = [(place, place + 1) for top in range(high) for place in range(len(rows) - 1 - top)]
    ends = len(rows) - high
    exchanges += [(place - 1, place) for bottom in range(low) for place in range(ends - 1, bottom, -1)]
    full = network(len(rows), tuple(range(low, ends)))
    if len(full) < len(exchanges):
        return _exchanged(rows, full, overwrite=True)[low:ends]
    return _exchanged(rows, [(*pair, True, True) for pair in exchanges], overwrite=True)[low:ends]
