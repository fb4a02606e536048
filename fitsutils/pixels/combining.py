"""A band of a stack of images -> a band of one image: ``(n, rows, nx) -> (rows, nx)``."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import sorting
from fitsutils.pixels.arithmetic import working_type

METHODS = ('average', 'max', 'mean', 'median', 'min', 'quantile', 'rms', 'std', 'sum', 'var')
_RANKED = ('median', 'quantile')
_LARGEST_BAND = 64 << 20  # bytes; a larger band gains nothing and leaves the processor's caches

Weights = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the values of each pixel become one.

    Attributes
    ----------
    method : str
        One of `METHODS`. ``std``, ``rms`` and ``var`` are about the mean, divided by the number of values.
    low, high : int
        How many of the lowest and highest values of each pixel are dropped first.
    fraction : float
        For ``quantile``, 0 to 1; interpolated linearly.
    shift : int
        Bits by which integer data are shifted before all else.
    """

    method: str = 'median'
    low: int = 0
    high: int = 0
    fraction: float = 0.5
    shift: int = 0


def combine_band(
    band: NDArray, recipe: Recipe, *, scales: NDArray | None = None, weights: Weights | None = None
) -> NDArray[np.float64]:
    """Combine a band of rows of a stack of images.

    Parameters
    ----------
    band : ndarray
        Shape (n, rows, nx), any real type; NaN and infinite values are missing and left out.
    recipe : Recipe
        Method and clipping.
    scales : ndarray, optional
        Shape (n,): the images are multiplied by these before anything else.
    weights : ndarray, optional
        Shape (n,), for ``average``; the sum is divided by the weights of the values that were used.

    Returns
    -------
    ndarray of float64
        Shape (rows, nx). NaN where nothing is left of a pixel.

    Examples
    --------
    >>> band = np.array([1, 2, 3, 10], 'u2').reshape(4, 1, 1)
    >>> combine_band(band, Recipe()), combine_band(band, Recipe('mean', high=1))
    (array([[2.5]]), array([[2.]]))
    """
    count = len(band)
    stack = _scaled(shifted(band, recipe.shift), scales).reshape(count, -1)
    spread = None if weights is None else np.broadcast_to(np.asarray(weights, 'f8')[:, None], stack.shape)
    reduce = _Reduction(recipe)
    if stack.dtype.kind != 'f':
        return reduce(stack, spread).reshape(band.shape[1:])
    good = np.isfinite(stack)
    complete = good.all(axis=0)
    if complete.all():
        return reduce(stack, spread).reshape(band.shape[1:])
    out = np.empty(stack.shape[1])
    for pixels, values, beside in _without_gaps(stack, good, spread):
        out[pixels] = reduce(values, beside)
    return out.reshape(band.shape[1:])


def _scaled(band: NDArray, scales: NDArray | None) -> NDArray:
    """The band in its own type where nothing scales it: 16-bit integers sort fastest."""
    if scales is None:
        return band
    kind = working_type(band.dtype)
    with np.errstate(over='ignore'):
        scaled = np.multiply(band, np.asarray(scales, kind)[:, None, None], dtype=kind)
    if kind == np.float32 and (np.isinf(scaled) & np.isfinite(band)).any():
        scaled = np.multiply(band, np.asarray(scales, 'f8')[:, None, None], dtype='f8')
    return scaled


def _without_gaps(
    stack: NDArray, good: NDArray[np.bool_], weights: Weights | None
) -> Iterator[tuple[NDArray, NDArray, Weights | None]]:
    """Pixels grouped by how many values they have: their numbers, and those values without the missing ones."""
    present = np.count_nonzero(good, axis=0)
    for number in np.unique(present):
        pixels = np.flatnonzero(present == number)
        beside = None if weights is None else weights[:, pixels]
        if number == len(stack):
            yield pixels, stack[:, pixels], beside
            continue
        values, beside = sorting.ranked(np.where(good[:, pixels], stack[:, pixels], np.nan), beside)
        yield pixels, values[:number], None if beside is None else beside[:number]


class _Reduction:
    """A method with its clipping, for pixels without missing values."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._function = _FUNCTIONS[recipe.method]
        self._sorts = recipe.method in _RANKED or recipe.low or recipe.high

    def __call__(self, stack: NDArray, weights: Weights | None) -> NDArray[np.float64]:
        kept = slice(self._recipe.low, len(stack) - self._recipe.high)
        if kept.stop <= kept.start:
            return np.full(stack.shape[1], np.nan)
        if self._sorts:
            stack, weights = sorting.ranked(stack, weights)
            stack, weights = stack[kept], None if weights is None else weights[kept]
        return self._function(stack, weights, self._recipe.fraction)


def _sum(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    return stack.sum(axis=0, dtype='f8')


def _mean(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    return _sum(stack) / len(stack)


def _average(stack: NDArray, weights: Weights | None, _fraction: object = None) -> NDArray[np.float64]:
    if weights is None:
        return _mean(stack)
    total, used = np.zeros(stack.shape[1]), np.zeros(stack.shape[1])
    for values, beside in zip(stack, weights, strict=True):
        total += values * beside
        used += beside
    return total / used


def _variance(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    mean, total = _mean(stack), np.zeros(stack.shape[1])
    for values in stack:
        total += (values - mean) ** 2
    return total / len(stack)


def _deviation(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    return np.sqrt(_variance(stack))


def _quantile(stack: NDArray, _weights: object, fraction: float) -> NDArray[np.float64]:
    place = fraction * (len(stack) - 1)
    low = int(place)
    first = stack[low].astype('f8')
    if place == low:
        return first
    return first + (stack[low + 1] - first) * (place - low)


def _median(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    return _quantile(stack, None, 0.5)


def _least(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    return stack.min(axis=0).astype('f8')


def _greatest(stack: NDArray, _weights: object = None, _fraction: object = None) -> NDArray[np.float64]:
    return stack.max(axis=0).astype('f8')


_FUNCTIONS: dict[str, Callable[[NDArray, Weights | None, float], NDArray[np.float64]]] = {
    'average': _average,
    'max': _greatest,
    'mean': _mean,
    'median': _median,
    'min': _least,
    'quantile': _quantile,
    'rms': _deviation,
    'std': _deviation,
    'sum': _sum,
    'var': _variance,
}


def shifted(band: NDArray, bits: int) -> NDArray:
    """Integer data shifted left or right by bits, in a type that holds the result.

    Parameters
    ----------
    band : ndarray
        Any shape, an integer type.
    bits : int
        Positive: multiplied by ``2 ** bits``; negative: divided, rounded down.

    Returns
    -------
    ndarray
        Of int64 for a shift to the left, else the type of `band`.

    Examples
    --------
    >>> shifted(np.array([60000], 'u2'), 4), shifted(np.array([-5]), -1)
    (array([960000]), array([-3]))
    """
    if not bits:
        return band
    return band >> -bits if bits < 0 else band.astype(np.int64) << bits


def check_shift(dtype: np.dtype, bits: int) -> None:
    """Refuse a shift that makes no sense for a type, or loses bits to the left.

    Parameters
    ----------
    dtype : dtype
        Type of the data.
    bits : int
        As for `shifted`.

    Raises
    ------
    ValueError
        When the data are not integers, or 64 bits do not hold the result.
    """
    if bits and dtype.kind not in 'iu':
        raise ValueError(f'only integer data can be shifted, and these are {dtype}')
    if bits < -63 or (bits > 0 and 8 * dtype.itemsize + bits > 63):
        raise ValueError(f'{dtype} data can not be shifted by {bits} bits')


def band_rows(images: int, width: int, dtype: np.dtype, memory: int) -> int:
    """How many rows of each image a band may have.

    Parameters
    ----------
    images : int
        Number of images of the stack.
    width : int
        Pixels in a row.
    dtype : dtype
        Type of the pixels as they are read.
    memory : int
        Bytes for pixels.

    Returns
    -------
    int
        0 when not even one row fits.

    Notes
    -----
    A pixel of the band stands in memory as it was read, scaled, sorted, and
    marked as finite; a pixel of the result as float64 up to three times.
    """
    wide = max(working_type(dtype).itemsize, 4)
    row = width * (images * (np.dtype(dtype).itemsize + 3 * wide + 1) + 24)
    fitting = memory // row
    return int(min(fitting, max(1, _LARGEST_BAND // row)))


def new_result(shape: tuple[int, ...], dtypes: Sequence[np.dtype], bits: int = 0) -> NDArray:
    """An empty image for the result of a combination.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtypes : sequence of dtype
        Types of the images that go into it.
    bits : int
        By how many bits integer data are shifted to the left first.

    Returns
    -------
    ndarray
        Of float32, or of float64 where float32 does not hold the values of an image.
    """
    kind = np.result_type(*map(working_type, dtypes))
    if bits > 0 and max(8 * dtype.itemsize for dtype in dtypes) + bits > 24:
        kind = np.dtype('f8')
    return np.empty(shape, kind)


def with_rows(result: NDArray, start: int, values: NDArray[np.float64]) -> NDArray:
    """The result with a band of its rows filled in.

    Parameters
    ----------
    result : ndarray
        Shape (..., nx), float32 or float64; changed in place where its type holds the values.
    start : int
        First row of the band, numbered through all planes.
    values : ndarray of float64
        Shape (rows, nx).

    Returns
    -------
    ndarray
        The result, in float64 as soon as a value is beyond float32.
    """
    if result.dtype == np.float32:
        with np.errstate(over='ignore'):
            narrow = values.astype('f4')
        if (np.isinf(narrow) & np.isfinite(values)).any():
            result = result.astype('f8')
    result.reshape(-1, result.shape[-1])[start : start + len(values)] = values
    return result


def count_missing(pixels: NDArray) -> int:
    """How many pixels have no finite value.

    Parameters
    ----------
    pixels : ndarray
        Any shape, a float type.

    Returns
    -------
    int
        The number of NaN and infinite pixels.
    """
    return int(np.count_nonzero(~np.isfinite(pixels)))
