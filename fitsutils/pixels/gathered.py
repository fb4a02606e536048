"""Combining pixels one by one: those with a value missing, or with one that may be rejected.

The values of a pixel lie beside each other, ``(m, n)``; all is float64.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import rejection
from fitsutils.pixels.planes import halfway
from fitsutils.pixels.rejection import Clip, Noise

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Columns:
    """The values of some pixels, and what is kept of them.

    Attributes
    ----------
    values : ndarray of float64
        Shape (m, n), ascending along the last axis; what stands beyond `present` is 0 and counts for nothing.
    present, low, high : ndarray of int
        Shape (m,): how many values each pixel has, and the window of those kept.
    images : ndarray of int or None
        Shape (m, n): which image each value is of, where that is wanted.
    """

    values: Floats
    present: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    images: NDArray[np.intp] | None

    @property
    def count(self) -> NDArray[np.intp]:
        """How many values are kept of each pixel, shape (m,)."""
        return self.high - self.low

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which values are kept, shape (m, n)."""
        return rejection.inside(self.low, self.high, self.values.shape[1])

    def kept_images(self) -> NDArray[np.bool_]:
        """Which image's values are kept.

        Returns
        -------
        ndarray of bool
            Shape (m, n), in the order of the images.
        """
        assert self.images is not None
        kept = np.zeros(self.values.shape, bool)
        np.put_along_axis(kept, self.images, self.inside, axis=1)
        return kept


def clipped(values: Floats, clip: Clip, noise: Noise | None = None, *, by_image: bool = False) -> Columns:
    """Sort the values of pixels and reject some.

    Parameters
    ----------
    values : ndarray of float64
        Shape (m, n): of each of m pixels one value an image. NaN and infinite values are missing. Overwritten.
    clip : Clip
        What is rejected.
    noise : Noise, optional
        For ``ccd``.
    by_image : bool
        Whether it matters which image a value is of.

    Returns
    -------
    Columns
        Values and windows.
    """
    good = np.isfinite(values)
    present = np.count_nonzero(good, axis=1)
    values[~good] = np.inf
    images = None
    if by_image or (noise is not None and not noise.is_common):
        images = np.argsort(values, axis=1, kind='stable')
        values = np.take_along_axis(values, images, axis=1)
    else:
        values.sort(axis=1)
    values[np.arange(values.shape[1]) >= present[:, None]] = 0
    low, high = rejection.windows(values, present, clip, noise, None if noise is None or noise.is_common else images)
    return Columns(values, present, low, high, images)


def reduce(columns: Columns, method: str, fraction: float = 0.5, weights: Floats | None = None) -> Floats:
    """Combine the values that are kept.

    Parameters
    ----------
    columns : Columns
        The pixels.
    method : str
        One of `combining.METHODS`.
    fraction : float
        For ``quantile``.
    weights : ndarray of float64, optional
        Shape (n,) or (m, n), in the order of the images, for ``mean`` and ``average``.

    Returns
    -------
    ndarray of float64
        Shape (m,). NaN where nothing is kept.
    """
    with np.errstate(invalid='ignore', divide='ignore', over='ignore', under='ignore'):
        if method == 'median':
            found = rejection.window_median(columns.values, columns.low, columns.high)
        elif method in ('quantile', 'min', 'max'):
            found = _quantile(columns, {'min': 0.0, 'max': 1.0}.get(method, fraction))
        elif weights is not None:
            found = _weighted(columns, weights)[0]
        elif method == 'sum':
            found = _sum(columns, columns.values)
        elif method in ('mean', 'average'):
            found = _mean(columns)
        else:
            variance = squares_about_mean(columns) / columns.count
            found = variance if method == 'var' else np.sqrt(variance)
    return np.where(columns.count > 0, found, np.nan)


def _sum(columns: Columns, terms: Floats) -> Floats:
    return np.where(columns.inside, terms, 0.0).sum(axis=1)


def _mean(columns: Columns) -> Floats:
    found = _sum(columns, columns.values) / columns.count
    beyond = np.isinf(found)
    if beyond.any():
        found[beyond] = _sum(columns, columns.values / columns.count[:, None])[beyond]
    return found


def _quantile(columns: Columns, fraction: float) -> Floats:
    place = columns.low + fraction * (columns.count - 1)
    low = np.clip(place.astype(np.intp), 0, None)
    high = np.clip(np.minimum(low + 1, columns.high - 1), 0, None)
    rows = np.arange(len(low))
    first, second = columns.values[rows, low], columns.values[rows, high]
    return np.where(place == low, first, halfway(first, second, place - low))


def squares_about_mean(columns: Columns) -> Floats:
    """Sum of the squared distances of the kept values from their mean.

    Parameters
    ----------
    columns : Columns
        The pixels.

    Returns
    -------
    ndarray of float64
        Shape (m,); 0 where nothing is kept.
    """
    with np.errstate(invalid='ignore', divide='ignore', over='ignore', under='ignore'):
        mean = np.where(columns.count > 0, _mean(columns), 0.0)
        return _sum(columns, (columns.values - mean[:, None]) ** 2)


def _weighted(columns: Columns, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weighted mean, mean square distance from it, and effective number of values."""
    assert columns.images is not None
    beside = np.take_along_axis(np.broadcast_to(weights, columns.values.shape), columns.images, axis=1)
    beside = np.where(columns.inside, beside, 0.0)
    used = beside.sum(axis=1)
    mean = (beside * columns.values).sum(axis=1) / used
    square = (beside * (columns.values - mean[:, None]) ** 2).sum(axis=1) / used
    return mean, square, used**2 / (beside * beside).sum(axis=1)


def spread(columns: Columns, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Standard deviation of the values that are kept, and their effective number.

    Parameters
    ----------
    columns : Columns
        The pixels.
    weights : ndarray of float64, optional
        Shape (n,) or (m, n), in the order of the images.

    Returns
    -------
    sigma : ndarray of float64
        Shape (m,), with n - 1; NaN for fewer than two values.
    number : ndarray of float64
        Shape (m,): how many there are, with weights ``sum(w)**2 / sum(w**2)``.
    """
    with np.errstate(invalid='ignore', divide='ignore', over='ignore', under='ignore'):
        if weights is None:
            number = columns.count.astype('f8')
            square = squares_about_mean(columns) / number
        else:
            _, square, number = _weighted(columns, weights)
        sigma = np.sqrt(square * number / (number - 1))
    return np.where(columns.count > 1, sigma, np.nan), number
