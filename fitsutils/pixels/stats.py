"""Numbers that describe an image.

Everything follows from the values in order and how often each occurs: for
integers of 16 bits or fewer that is one histogram, for all else one sort.
NaN and infinite pixels are missing and left out.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

NAMES = (
    'num', 'nbad', 'sum', 'mean', 'average', 'median', 'mode', 'rms', 'std', 'var',
    'min', 'max', 'mad', 'rstd', 'skew', 'kurtosis',
)  # fmt: skip

# Statistics that are asked for by one word: what filabres keeps of every image.
SETS = {'filabres': ('num', 'min', 'q2.5', 'q15.9', 'q25', 'q50', 'q75', 'q84.1', 'q97.5', 'max', 'rstd')}

_PERCENTILE = re.compile(r'q([0-9]+\.?[0-9]*|\.[0-9]+)\Z')

_CHUNK = 1 << 18  # pixels binned at a time: bincount makes 8 bytes of each
_MOST_BINS = 10_000_000


class Distribution:
    """The good pixels of an image, in order.

    Parameters
    ----------
    values : ndarray
        Shape (k,), ascending, finite.
    counts : ndarray or None
        Shape (k,), how often each value occurs; None when each stands for itself.
    nbad : int
        Number of pixels left out.
    """

    def __init__(self, values: NDArray, counts: NDArray[np.int64] | None, nbad: int) -> None:
        self.values = values
        self.counts = counts
        self.nbad = nbad

    @property
    def num(self) -> int:
        """Number of good pixels."""
        return len(self.values) if self.counts is None else int(self.counts.sum())

    @property
    def total(self) -> int | float:
        """Sum of the pixels: exact for integers, in float64 for floats."""
        if self.values.dtype.kind in 'iu' and self.counts is not None:
            return int(np.dot(self.values.astype(np.int64), self.counts))
        if self.values.dtype.kind in 'iu':
            # int64 holds a sum of 32-bit values: 64-bit ones are summed in two halves.
            if self.values.dtype.itemsize < 8:
                return int(self.values.sum(dtype=np.int64))
            halves = self.values >> 32, self.values & 0xFFFFFFFF
            return (int(halves[0].sum()) << 32) + int(halves[1].sum())
        with np.errstate(over='ignore'):  # beyond float64 it is inf
            return float(self.values.sum(dtype=np.float64))

    @property
    def mean(self) -> float:
        """Mean of the pixels."""
        return self.total / self.num if self.num else np.nan

    def moment(self, order: int, centre: float | None = None) -> float:
        """Central moment: the mean of ``(pixel - centre) ** order``.

        Parameters
        ----------
        order : int
            The order.
        centre : float, optional
            Default: the mean.

        Returns
        -------
        float
            In float64; NaN without pixels.
        """
        if not self.num:
            return np.nan
        total, middle = 0.0, self.mean if centre is None else centre
        with np.errstate(over='ignore', invalid='ignore'):  # beyond float64 it is inf or NaN
            for values, counts in self._chunks():
                powers = (values.astype(np.float64) - middle) ** order
                total += float(powers.sum() if counts is None else np.dot(powers, counts))
        return total / self.num

    def _chunks(self) -> Iterator[tuple[NDArray, NDArray | None]]:
        for start in range(0, len(self.values), _CHUNK):
            part = slice(start, start + _CHUNK)
            yield self.values[part], None if self.counts is None else self.counts[part]

    def quantile(self, fraction: float) -> float:
        """The value below which a fraction of the pixels lies, interpolated linearly.

        Parameters
        ----------
        fraction : float
            0 to 1.

        Returns
        -------
        float
            NaN without pixels.

        Notes
        -----
        The same as ``numpy.quantile(pixels, fraction)``.
        """
        if not self.num:
            return np.nan
        place = fraction * (self.num - 1)
        low = int(place)
        first, second = self._ranked(low), self._ranked(min(low + 1, self.num - 1))
        return first if place == low else first + (second - first) * (place - low)

    def _ranked(self, rank: int) -> float:
        if self.counts is None:
            return float(self.values[rank])
        return float(self.values[np.searchsorted(np.cumsum(self.counts), rank, side='right')])

    @property
    def median(self) -> float:
        """Median: of an even number of pixels the mean of the two middle ones."""
        if not self.num:
            return np.nan
        low, high = self._ranked((self.num - 1) // 2), self._ranked(self.num // 2)
        return low if low == high else low / 2 + high / 2

    @property
    def mad(self) -> float:
        """Median absolute deviation from the median, not scaled."""
        if not self.num:
            return np.nan
        with np.errstate(over='ignore'):
            away = np.abs(self.values.astype(np.float64) - self.median)
        order = np.argsort(away, kind='stable') if self.counts is not None else None
        if order is None:
            return Distribution(np.sort(away), None, 0).median
        return Distribution(away[order], self.counts[order], 0).median

    @property
    def mode(self) -> float:
        """The most frequent value of integers (the smallest of several), the half-sample mode of floats."""
        if not self.num:
            return np.nan
        if self.values.dtype.kind == 'f':
            return half_sample_mode(self.values)
        if self.counts is not None:
            return float(self.values[np.argmax(self.counts)])
        values, counts = np.unique(self.values, return_counts=True)
        return float(values[np.argmax(counts)])

    def clipped(self, limit: float) -> 'Distribution':
        """What is left after sigma clipping.

        Parameters
        ----------
        limit : float
            A pixel stays while it lies within this many sigma of the centre.

        Returns
        -------
        Distribution
            The kept pixels; those clipped count as bad.

        Notes
        -----
        Centre: the median of what is left; sigma about that centre with
        n - 1; repeated until nothing more goes or fewer than 3 are left.
        """
        kept = self
        while kept.num >= 3:
            centre = kept.median
            sigma = np.sqrt(kept.moment(2, centre) * kept.num / (kept.num - 1))
            low = np.searchsorted(kept.values, centre - limit * sigma, side='left')
            high = np.searchsorted(kept.values, centre + limit * sigma, side='right')
            if low == 0 and high == len(kept.values):
                break
            counts = None if kept.counts is None else kept.counts[low:high]
            smaller = Distribution(kept.values[low:high], counts, 0)
            smaller.nbad = kept.nbad + kept.num - smaller.num
            kept = smaller
        return kept


def distribution(pixels: NDArray, mask: NDArray[np.bool_] | None = None) -> Distribution:
    """The good pixels of an image, in order.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.
    mask : ndarray of bool, optional
        Shape of `pixels`; True where a pixel is bad.

    Returns
    -------
    Distribution
        NaN, infinite and masked pixels are left out and counted as bad.

    Examples
    --------
    >>> distribution(np.array([3, 1, 2, 10], dtype='u2')).median
    2.5
    """
    flat = pixels.ravel() if mask is None else pixels[~mask]
    if flat.dtype.kind in 'iu' and flat.dtype.itemsize <= 2:
        return _binned(flat, pixels.size - flat.size)
    if flat.dtype.kind == 'f':
        good = np.isfinite(flat)
        flat = flat if good.all() else flat[good]
    return Distribution(np.sort(flat), None, pixels.size - flat.size)


def _binned(flat: NDArray, nbad: int) -> Distribution:
    limits = np.iinfo(flat.dtype)
    counts = np.zeros(limits.max - limits.min + 1, np.int64)
    for start in range(0, flat.size, _CHUNK):
        piece = flat[start : start + _CHUNK].astype(np.intp)  # bincount's own way there takes three times as long
        if limits.min:
            piece -= limits.min
        counts += np.bincount(piece, minlength=len(counts))
    found = np.flatnonzero(counts)
    return Distribution((found + limits.min).astype(np.int32), counts[found], nbad)


def half_sample_mode(values: NDArray) -> float:
    """Mode of a continuous sample: the densest half, of it the densest half, and so on.

    Parameters
    ----------
    values : ndarray
        Shape (n,), ascending, finite, n >= 1.

    Returns
    -------
    float
        The mode.

    References
    ----------
    Bickel & Fruehwirth 2006, Computational Statistics & Data Analysis 50, 3500.

    Examples
    --------
    >>> half_sample_mode(np.array([1.0, 2.0, 2.1, 2.15, 9.0]))
    2.125
    """
    left = values
    with np.errstate(over='ignore'):  # a half wider than its type can say is not the densest
        while len(left) > 3:
            half = (len(left) + 1) // 2
            widths = left[half - 1 :] - left[: len(left) - half + 1]
            start = int(np.argmin(widths))
            left = left[start : start + half]
        gaps = np.diff(left)
    if len(left) == 3 and gaps[0] != gaps[1]:
        left = left[:2] if gaps[0] < gaps[1] else left[1:]
    if len(left) == 3:
        return float(left[1])
    return float((left.astype(np.float64) / len(left)).sum())


def without_sets(names: Sequence[str]) -> list[str]:
    """Names of statistics, with those of a set in the place of its name.

    Parameters
    ----------
    names : sequence of str
        Names that `describe` takes, and names of `SETS`.

    Returns
    -------
    list of str
        Names that `describe` takes.

    Examples
    --------
    >>> without_sets(['mean', 'filabres'])[:4]
    ['mean', 'num', 'min', 'q2.5']
    """
    return [each for name in names for each in SETS.get(name, (name,))]


def is_statistic(name: str) -> bool:
    """Whether there is a statistic of this name.

    Parameters
    ----------
    name : str
        One of `NAMES`, or ``q`` and a percentile such as ``q2.5``.

    Returns
    -------
    bool
        True when `describe` can give it.

    Examples
    --------
    >>> is_statistic('rms'), is_statistic('q97.5'), is_statistic('q101')
    (True, True, False)
    """
    return name in NAMES or _percentile(name) is not None


def _percentile(name: str) -> float | None:
    if not _PERCENTILE.match(name):
        return None
    percent = float(name[1:])
    return percent if percent <= 100 else None


def describe(pixels: Distribution, names: Sequence[str]) -> dict[str, int | float]:
    """Statistics by name.

    Parameters
    ----------
    pixels : Distribution
        The good pixels.
    names : sequence of str
        ``num`` and ``nbad`` (counts of good and bad pixels), ``sum``,
        ``mean`` = ``average``, ``median``, ``mode``, ``rms`` = ``std`` and
        ``var`` (about the mean, divided by n), ``min``, ``max``, ``mad`` (median
        absolute deviation), ``rstd`` = 0.7413 (q75 - q25), ``skew``,
        ``kurtosis`` (0 for a Gaussian), ``q`` and a percentile.

    Returns
    -------
    dict
        In the order of the names; NaN where there are no good pixels.

    Raises
    ------
    ValueError
        When there is no statistic of a name.

    Examples
    --------
    >>> describe(distribution(np.arange(1, 102)), ['q25', 'median', 'q75', 'rstd'])
    {'q25': 26.0, 'median': 51.0, 'q75': 76.0, 'rstd': 37.065}
    """
    return {name: _statistic(pixels, name) for name in names}


def _statistic(pixels: Distribution, name: str) -> int | float:
    percent = _percentile(name)
    if percent is not None:
        return pixels.quantile(percent / 100)
    if name not in _DEFINITIONS:
        raise ValueError(f'there is no statistic {name!r}')
    return _DEFINITIONS[name](pixels)


def _extreme(pixels: Distribution, place: int) -> int | float:
    return pixels.values[place].item() if pixels.num else np.nan


def _standardised(pixels: Distribution, order: int) -> float:
    scale = pixels.moment(2) ** (order / 2)
    return pixels.moment(order) / scale if scale > 0 else np.nan


_DEFINITIONS: dict[str, Callable[[Distribution], int | float]] = {
    'num': lambda pixels: pixels.num,
    'nbad': lambda pixels: pixels.nbad,
    'sum': lambda pixels: pixels.total,
    'mean': lambda pixels: pixels.mean,
    'average': lambda pixels: pixels.mean,
    'median': lambda pixels: pixels.median,
    'mode': lambda pixels: pixels.mode,
    'rms': lambda pixels: float(np.sqrt(pixels.moment(2))),
    'std': lambda pixels: float(np.sqrt(pixels.moment(2))),
    'var': lambda pixels: pixels.moment(2),
    'min': lambda pixels: _extreme(pixels, 0),
    'max': lambda pixels: _extreme(pixels, -1),
    'mad': lambda pixels: pixels.mad,
    # 0.7413 = 1 / (2 * 0.6745): the quartiles of a Gaussian lie 0.6745 sigma off its centre.
    'rstd': lambda pixels: 0.7413 * (pixels.quantile(0.75) - pixels.quantile(0.25)),
    'skew': lambda pixels: _standardised(pixels, 3),
    'kurtosis': lambda pixels: _standardised(pixels, 4) - 3,
}


def histogram(pixels: Distribution, low: float, high: float, step: float) -> tuple[NDArray, NDArray]:
    """How many pixels fall into bins of equal width.

    Parameters
    ----------
    pixels : Distribution
        The good pixels.
    low, high, step : float
        First edge, end and width of the bins; a bin holds low <= value < low + step, the last one
        ends at `high`, which it holds too.

    Returns
    -------
    edges : ndarray of float64
        Shape (k + 1,).
    counts : ndarray of int64
        Shape (k,). Pixels outside are not counted.

    Raises
    ------
    ValueError
        When the numbers make no bins, or more than ten million.

    Examples
    --------
    >>> edges, counts = histogram(distribution(np.array([0, 1, 1, 5, 9])), 0, 4, 2)
    >>> counts
    array([3, 0])
    """
    if not (low < high and step > 0 and (high - low) / step <= _MOST_BINS):
        raise ValueError(f'{low:g} to {high:g} in steps of {step:g} is no histogram of at most {_MOST_BINS} bins')
    number = max(1, int(np.ceil((high - low) / step - 1e-9)))
    edges = np.append(low + step * np.arange(number), high)
    counts, _ = np.histogram(pixels.values, edges, weights=pixels.counts)
    return edges, counts.astype(np.int64)
