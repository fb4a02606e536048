"""Dark current: counts against exposure time as a straight line, of a region or of every pixel.

``counts = offset + rate * time``. The offset is what a dark of no length would have: with the bias
subtracted, what every exposure has whatever its length (the glow of an amplifier, time that the clock does
not count); with the bias in it, that and the bias. The rate is the same either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fitsutils.pixels.arithmetic import as_type, working_type

_LARGEST_BAND = 64 << 20  # bytes with all that fitting takes; a larger band gains nothing and leaves the caches
_MARGIN = 2.0  # by how much a variance must fall short of that of counts before it proves anything
_FAR = 3.0  # scatters of a single pixel within which two levels may be one

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A straight line of counts against exposure time.

    Attributes
    ----------
    offset, slope : float
        Counts at 0 s, and counts a second.
    offset_error, slope_error : float
        Their standard deviations.
    covariance : float
        Of the two.
    npts : int
        Points that it was fitted to.
    chi2 : float
        Sum of the squared distances of the points, each in units of its error.
    """

    offset: float
    slope: float
    offset_error: float
    slope_error: float
    covariance: float
    npts: int
    chi2: float

    def at(self, times: ArrayLike) -> Floats:
        """Counts of the line.

        Parameters
        ----------
        times : array_like
            Any shape, s.

        Returns
        -------
        ndarray of float64
            Shape of `times`, counts.
        """
        return self.offset + self.slope * np.asarray(times, 'f8')


def fit_line(times: ArrayLike, counts: ArrayLike, errors: ArrayLike | None = None) -> Line:
    """Fit counts against exposure time by least squares.

    Parameters
    ----------
    times, counts : array_like
        Shape (n,): s, and counts; finite.
    errors : array_like, optional
        Shape (n,), counts, above 0: standard deviations of the counts. Default: 1 count each.

    Returns
    -------
    Line
        The line. Its errors follow from those of the counts, not from the distances of the points.

    Raises
    ------
    ValueError
        When the times are not of two different lengths at least, or a number is not finite or an error not above 0.

    Notes
    -----
    With weights ``w = 1 / errors**2`` and means weighted by them: ``slope = sum(w (t - <t>) (y - <y>)) / S`` with
    ``S = sum(w (t - <t>)**2)``, ``offset = <y> - slope <t>``; the variance of the slope is ``1 / S``, that of the
    offset ``1 / sum(w) + <t>**2 / S``, their covariance ``-<t> / S`` (Bevington & Robinson 2003, Data Reduction and
    Error Analysis, chapter 6, in centred form).

    Examples
    --------
    >>> line = fit_line([60, 120, 180], [11.8, 17.8, 23.6])
    >>> print(f'{line.offset:.3f} +/- {line.offset_error:.3f}, {line.slope:.3f} +/- {line.slope_error:.3f}')
    5.933 +/- 1.528, 0.098 +/- 0.012
    """
    x, y = np.asarray(times, 'f8'), np.asarray(counts, 'f8')
    sigma = np.ones(x.shape) if errors is None else np.asarray(errors, 'f8')
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(sigma).all() and (sigma > 0).all()):
        raise ValueError('a line takes finite times and counts, and errors above 0')
    if len(np.unique(x)) < 2:
        raise ValueError(f'a line needs darks of two exposure times, and {_all_of(x)}')
    # In units of the smallest error no weight goes beyond 1.
    unit = float(sigma.min())
    weights = (unit / sigma) ** 2
    total = float(weights.sum())
    middle, centre = float(weights @ x) / total, float(weights @ y) / total
    spread = float(weights @ (x - middle) ** 2)
    slope = float(weights @ ((x - middle) * (y - centre))) / spread
    offset = centre - slope * middle
    variance = unit**2 / spread
    # Two points lie on their line, whatever rounding leaves of them.
    chi2 = float((((y - offset - slope * x) / sigma) ** 2).sum()) if len(x) > 2 else 0.0
    errors_of = float(np.sqrt(unit**2 / total + middle**2 * variance)), float(np.sqrt(variance))
    return Line(offset, slope, *errors_of, -middle * variance, len(x), chi2)


def _all_of(times: Floats) -> str:
    return f'all are of {times[0]:g} s' if times.size else 'there are none'


def scale_factors(offset: float, slope: float, times: ArrayLike, reference: float) -> Floats:
    """Factors that take a dark of one exposure time to others.

    Parameters
    ----------
    offset, slope : float
        The line of darks without their bias: counts, and counts a second.
    times : array_like
        Shape (m,), s.
    reference : float
        Exposure time of the dark, s.

    Returns
    -------
    ndarray of float64
        Shape (m,): ``(offset + slope * times) / (offset + slope * reference)``.

    Raises
    ------
    ValueError
        When the line is not above 0 at `reference`, or below 0 at one of the times.

    Examples
    --------
    >>> scale_factors(5.9, 0.098, [1, 2, 5, 10, 60, 120], 180).round(2)
    array([0.25, 0.26, 0.27, 0.29, 0.5 , 0.75])
    """
    wanted = np.asarray(times, 'f8')
    counts, base = offset + slope * wanted, offset + slope * reference
    if not (np.isfinite(base) and base > 0):
        raise ValueError(f'the line has {base:.6g} counts at {reference:g} s: a dark is scaled by a positive level')
    if not (np.isfinite(counts) & (counts >= 0)).all():
        wrong = int(np.argmin(counts))
        raise ValueError(f'the line has {counts[wrong]:.6g} counts at {wanted[wrong]:g} s: no dark is below 0')
    return counts / base


def factor_errors(line: Line, times: ArrayLike, reference: float) -> Floats:
    """Standard deviations of `scale_factors`, from the errors of the line.

    Parameters
    ----------
    line : Line
        The line.
    times : array_like
        Shape (m,), s.
    reference : float
        Exposure time of the dark, s.

    Returns
    -------
    ndarray of float64
        Shape (m,); 0 at `reference`.

    Notes
    -----
    First order: with ``f`` the factor and ``c`` the counts at `reference`, ``df/doffset = (1 - f) / c`` and
    ``df/dslope = (t - f * reference) / c``.

    Examples
    --------
    >>> factor_errors(fit_line([60, 120, 180], [11.8, 17.8, 23.6]), [1, 180], 180).round(3)
    array([0.069, 0.   ])
    """
    wanted = np.asarray(times, 'f8')
    factors = scale_factors(line.offset, line.slope, wanted, reference)
    base = float(line.at(reference))
    by_offset, by_slope = (1 - factors) / base, (wanted - factors * reference) / base
    variance = (
        (by_offset * line.offset_error) ** 2
        + (by_slope * line.slope_error) ** 2
        + 2 * by_offset * by_slope * line.covariance
    )
    return np.sqrt(np.maximum(variance, 0))


def dark_of(offset: NDArray, rate: NDArray, time: float) -> NDArray:
    """The dark of an exposure time, from the line of every pixel.

    Parameters
    ----------
    offset, rate : ndarray
        Shape (ny, nx): counts, and counts a second.
    time : float
        Exposure time, s.

    Returns
    -------
    ndarray
        Shape (ny, nx), counts: worked out in float64, float32 where both images are. NaN where one of them is.

    Examples
    --------
    >>> dark_of(np.array([[5.0]], 'f4'), np.array([[0.1]], 'f4'), 60)
    array([[11.]], dtype=float32)
    """
    kind = np.promote_types(working_type(offset.dtype), working_type(rate.dtype))
    with np.errstate(over='ignore', invalid='ignore'):
        return (rate.astype('f8') * time + offset).astype(kind)


@dataclass(frozen=True)
class PixelLines:
    """A line for every pixel of a band or an image.

    Attributes
    ----------
    offset, rate : ndarray of float64 or float32
        Shape (rows, nx): counts, and counts a second. NaN where fewer than two exposure times are left.
    scatter : ndarray of float64 or float32
        Shape (rows, nx): standard deviation of the values about their line, ``sqrt(chi2 / (used - 2))``, in counts
        for unit weights. NaN where there are no more than two values, or no line.
    used : ndarray of int16
        Shape (rows, nx): values that the line was fitted to.
    saturated : ndarray of bool
        Shape (rows, nx): whether a value was left out because it is saturated.
    """

    offset: NDArray
    rate: NDArray
    scatter: NDArray
    used: NDArray[np.int16]
    saturated: NDArray[np.bool_]

    @classmethod
    def empty(cls, shape: tuple[int, int], dtype: DTypeLike = 'f8') -> 'PixelLines':
        """Room for the lines of an image.

        Parameters
        ----------
        shape : (int, int)
            Rows and columns.
        dtype : dtype
            Type of offsets, rates and scatters: that in which they are written, for they fill the memory.

        Returns
        -------
        PixelLines
            To be filled in by `take`.
        """
        floats = (np.empty(shape, dtype) for _ in range(3))
        return cls(*floats, np.empty(shape, np.int16), np.empty(shape, np.bool_))

    def take(self, start: int, stop: int, band: 'PixelLines') -> None:
        """Fill in the lines of a band.

        Parameters
        ----------
        start, stop : int
            Its rows.
        band : PixelLines
            The band.

        Raises
        ------
        ValueError
            When the type does not hold a value.
        """
        for name in _LINE_PARTS:
            whole = getattr(self, name)
            whole[start:stop] = as_type(getattr(band, name), whole.dtype)

    def band(self, start: int, stop: int) -> 'PixelLines':
        """The lines of some rows.

        Parameters
        ----------
        start, stop : int
            The rows.

        Returns
        -------
        PixelLines
            Views of these.
        """
        return PixelLines(*(getattr(self, name)[start:stop] for name in _LINE_PARTS))

    @property
    def chi2(self) -> Floats:
        """Sum of the squared residuals, each times the weight of its image, shape (rows, nx); NaN like `rate`."""
        freedom = self.used.astype('f8') - 2
        with np.errstate(over='ignore'):
            return np.where(freedom > 0, self.scatter.astype('f8') ** 2 * freedom, 0.0 * self.rate)


_LINE_PARTS = ('offset', 'rate', 'scatter', 'used', 'saturated')


def fit_pixels(
    band: NDArray,
    times: Sequence[float],
    *,
    ceilings: Sequence[float] | None = None,
    bias: NDArray | None = None,
    weights: Sequence[float] | None = None,
) -> PixelLines:
    """Fit a line to the values of each pixel of a stack of darks.

    Parameters
    ----------
    band : ndarray
        Shape (n, rows, nx), any real type, counts; NaN and infinite values are left out.
    times : sequence of float
        Exposure time of each dark, n of them, s.
    ceilings : sequence of float, optional
        For each dark the value from which on a pixel is saturated, before the bias is subtracted: such values are
        left out and marked.
    bias : ndarray, optional
        Shape (rows, nx), subtracted from every dark first; a pixel without a bias has no line.
    weights : sequence of float, optional
        One over the variance of each dark's values; default: 1.

    Returns
    -------
    PixelLines
        The lines. Each follows from the pixel's own values alone, so that they are the same for any band.

    Notes
    -----
    The formulae of `fit_line`, with sums over the values that are left.

    Examples
    --------
    >>> band = np.array([[[10, 500]], [[20, 1500]], [[30, 1600]]], 'u2')
    >>> lines = fit_pixels(band, [1, 2, 3], ceilings=[1600] * 3)
    >>> lines.rate, lines.offset, lines.saturated
    (array([[  10., 1000.]]), array([[   0., -500.]]), array([[False,  True]]))
    """
    shape = band.shape[1:]
    worth = np.ones(len(band)) if weights is None else np.asarray(weights, 'f8')
    kept, saturated = _usable(band, bias, ceilings)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    total, middle, centre = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for number, time in enumerate(times):
        good = kept[number]
        np.minimum(low, time, out=low, where=good)
        np.maximum(high, time, out=high, where=good)
        total += worth[number] * good
        middle += worth[number] * time * good
        centre += worth[number] * _values(band[number], good, bias)
    # A pixel of fewer than two exposure times has no line, whatever rounding makes of its sums.
    total[~(high > low)] = np.nan
    middle, centre = middle / total, centre / total
    spread, product = np.zeros(shape), np.zeros(shape)
    for number, time in enumerate(times):
        apart = np.where(kept[number], time - middle, 0.0) * worth[number]
        spread += apart * (time - middle)
        product += apart * (_values(band[number], kept[number], bias) - centre)
    rate = product / spread
    offset, chi2 = centre - rate * middle, np.where(np.isnan(total), np.nan, 0.0)
    for number, time in enumerate(times):
        distance = _values(band[number], kept[number], bias) - (offset + rate * time)
        chi2 += worth[number] * np.where(kept[number], distance, 0.0) ** 2
    used = kept.sum(axis=0, dtype=np.int16)
    scatter = np.sqrt(np.where(used > 2, chi2, np.nan) / np.maximum(used - 2, 1))
    return PixelLines(offset, rate, scatter, used, saturated)


def _usable(
    band: NDArray, bias: NDArray | None, ceilings: Sequence[float] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which values a line goes through, (n, rows, nx), and which pixels have saturated ones."""
    kept, saturated = np.empty(band.shape, bool), np.zeros(band.shape[1:], bool)
    for number, values in enumerate(band):
        kept[number] = np.isfinite(values)
        if ceilings is not None:
            full = kept[number] & (values >= ceilings[number])
            kept[number] &= ~full
            saturated |= full
    if bias is not None:
        kept &= np.isfinite(bias)
    return kept, saturated


def _values(values: NDArray, kept: NDArray[np.bool_], bias: NDArray | None) -> Floats:
    """Values without their bias, in float64; 0 where they are left out."""
    with np.errstate(invalid='ignore', over='ignore'):
        counts = values.astype('f8') if bias is None else values - bias.astype('f8')
    return np.where(kept, counts, 0.0)


def band_rows(images: int, width: int, dtype: np.dtype, memory: int) -> int:
    """How many rows of a stack of darks are fitted at once.

    Parameters
    ----------
    images : int
        Number of darks, the bias counted.
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
    """
    row = band_bytes(images, width, dtype)
    return max(min(memory, _LARGEST_BAND) // row, min(memory // row, 1))


def band_bytes(images: int, width: int, dtype: np.dtype) -> int:
    """Bytes that fitting one row of a stack of darks takes.

    Parameters
    ----------
    images : int
        Number of darks, the bias counted.
    width : int
        Pixels in a row.
    dtype : dtype
        Type of the pixels as they are read.

    Returns
    -------
    int
        The values with their marks, and some sixteen sums and results in float64.
    """
    return width * (images * (np.dtype(dtype).itemsize + 9) + 16 * 8)


def exceeds_counts(level: float, scatter: float, gain: float, frames: float = 1.0) -> bool:
    """Whether a level is more than counts alone can be, for they would scatter more.

    Parameters
    ----------
    level, scatter : float
        Median and robust standard deviation of a dark's pixels, counts.
    gain : float
        Electrons per count.
    frames : float
        How many frames the dark is the mean of.

    Returns
    -------
    bool
        True when the level can not be dark current: a bias or a pedestal is in it. False proves nothing.

    Notes
    -----
    By Poisson's law a mean of N frames with L counts of dark current has a variance of at least ``L / (gain N)``;
    read noise and the pattern of the pixels add to it. True where the variance found is less than half of that.

    Examples
    --------
    >>> exceeds_counts(1044.0, 8.2, 2.06), exceeds_counts(52.4, 8.2, 2.06)
    (True, False)
    """
    return level > _MARGIN * scatter**2 * gain * frames


def is_level_of(level: float, scatter: float, expected: float) -> bool:
    """Whether a dark's level can be the one that a line has for it.

    Parameters
    ----------
    level, scatter : float
        Median and robust standard deviation of a dark's pixels, counts.
    expected : float
        Counts of the line at its exposure time.

    Returns
    -------
    bool
        True when it lies between half and twice what is expected, or within three scatters of a pixel: the line may be
        one of a region, or of means where this is a median.

    Examples
    --------
    >>> is_level_of(22.0, 3.0, 23.6), is_level_of(1027.0, 4.5, 23.6), is_level_of(23.6, 4.5, 1027.0)
    (True, False, False)
    """
    return expected / 2 <= level <= 2 * expected or abs(level - expected) <= _FAR * scatter
