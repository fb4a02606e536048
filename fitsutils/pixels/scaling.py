"""The level of an image, and factors that bring images to one level."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import stats

LEVELS = ('mean', 'median', 'mode', 'sum')


def level(pixels: NDArray, statistic: str) -> float:
    """The level of an image, over its good pixels.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type; NaN and infinite pixels are left out.
    statistic : str
        One of `LEVELS`.

    Returns
    -------
    float
        The level; NaN when there are no good pixels.

    Examples
    --------
    >>> level(np.array([1.0, 3.0, np.nan]), 'mean')
    2.0
    """
    if statistic in ('mean', 'sum'):
        good = pixels[np.isfinite(pixels)] if pixels.dtype.kind == 'f' else pixels
        # int64 holds the sum of any image of up to 32 bits, exactly; of wider integers it may not.
        exact = good.dtype.kind in 'iu' and good.dtype.itemsize <= 4
        total = float(good.sum(dtype='i8' if exact else 'f8'))
        return total if statistic == 'sum' else (total / good.size if good.size else np.nan)
    return float(stats.describe(stats.distribution(pixels), [statistic])[statistic])


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
