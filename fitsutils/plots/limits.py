"""Display limits: the pixel values shown in the first and in the last colour.

NaN and infinite pixels are left out. Every function gives finite limits with
low < high, also for an image that is constant or has no good pixel at all.
"""

import math
import warnings
from collections.abc import Iterator

import numpy as np
from astropy.visualization import ZScaleInterval
from numpy.typing import NDArray

Limits = tuple[float, float]

_SAMPLES = 1000  # of zscale, as IRAF and astropy have it
_COLUMNS = 50  # half as many, of a narrow image half of its own, are enough for a fair sample
_LARGEST = float(np.finfo(np.float64).max)
_CHUNK = 1 << 22  # pixels that are looked at in one go


def zscale(pixels: NDArray) -> Limits:
    """IRAF's zscale: the limits that show faint structure about the median.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.

    Returns
    -------
    low : float
        The value of the first colour, in the unit of the pixels:
        `astropy.visualization.ZScaleInterval` with its defaults.
    high : float
        That of the last colour.

    Notes
    -----
    zscale looks at each k-th pixel, some 1000 of them. Where k and the row
    length have a large common divisor (k = 1000 in a 1000 x 1000 image) these
    would be pixels of a few columns only; then k is a little smaller.

    Examples
    --------
    >>> zscale(np.arange(100.0).reshape(10, 10))
    (0.0, 99.0)
    """
    flat = pixels.reshape(-1)
    sample = _sample(flat, pixels.shape[-1])
    if not np.isfinite(sample).all():
        flat = flat[np.isfinite(flat)]
        sample = _sample(flat, pixels.shape[-1])
    if not sample.size:
        return 0.0, 1.0
    with np.errstate(all='ignore'), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the fit to a handful of pixels
        low, high = ZScaleInterval(n_samples=len(sample)).get_limits(sample.astype(np.float64))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return minmax(pixels)
    return float(low), float(high)


def _sample(flat: NDArray, width: int) -> NDArray:
    for number in range(_SAMPLES, 2 * _SAMPLES):
        stride = max(1, flat.size // number)
        if width // math.gcd(stride, width) >= min(width, _COLUMNS) / 2:
            break
    return flat[::stride][:number]


def minmax(pixels: NDArray) -> Limits:
    """The lowest and the highest pixel.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.

    Returns
    -------
    low : float
        In the unit of the pixels; of a constant image a little below it.
    high : float
        Of a constant image a little above it.

    Examples
    --------
    >>> minmax(np.array([[1.0, np.nan], [7.0, np.inf]]))
    (1.0, 7.0)
    """
    low, high = math.inf, -math.inf
    for chunk in _chunks(pixels):
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
    return _widened(low, high)


def around_mean(pixels: NDArray, number: float) -> Limits:
    """Average -+ so many rms.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.
    number : float
        How many rms (standard deviations about the mean, divided by n) the limits lie off the average.

    Returns
    -------
    low : float
        In the unit of the pixels.
    high : float
        In the same unit.

    Examples
    --------
    >>> around_mean(np.array([1.0, 3.0, np.nan]), 2)
    (0.0, 4.0)
    """
    count, total, squares = 0, 0.0, 0.0
    with np.errstate(over='ignore', invalid='ignore'):
        for chunk in _chunks(pixels):
            count, total = count + chunk.size, total + float(chunk.sum(dtype=np.float64))
        mean = total / count if count else 0.0
        for chunk in _chunks(pixels):
            away = chunk.astype(np.float64) - mean
            squares += float(np.dot(away, away))
    width = number * math.sqrt(squares / count) if count else 0.0
    if not math.isfinite(mean) or not math.isfinite(width):  # squares beyond the largest float
        return minmax(pixels)
    return _widened(mean - width, mean + width)


def _chunks(pixels: NDArray) -> Iterator[NDArray]:
    """The good pixels, piece by piece."""
    flat = pixels.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        if chunk.dtype.kind == 'f':
            good = np.isfinite(chunk)
            chunk = chunk if good.all() else chunk[good]
        if chunk.size:
            yield chunk


def _widened(low: float, high: float) -> Limits:
    if low > high:  # no good pixel
        return 0.0, 1.0
    if low == high:
        away = max(0.5, abs(low) * 1e-3)
        return max(low - away, -_LARGEST), min(high + away, _LARGEST)
    return low, high
