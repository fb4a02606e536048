"""The bias level that a detector's overscan shows: measured, fitted along the readout, and taken off the pixels.

A *line* is a row where the overscan lies beside the pixels, a column where it
lies above or below them: the pixels that are read one after the other, and
whose overscan follows them.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import stats

CURVES = ('poly', 'chebyshev', 'legendre', 'spline')
KINDS = ('level', 'row', *CURVES, 'none')
STATISTICS = ('median', 'mean')

_DEGREE = 3  # of the pieces of a spline
_GROUPS = 8  # of lines, whose means tell whether the level drifts
_SURE = 6  # times their error
_CHUNK = 1 << 17  # pixels worked on at a time: what is made of them stays in the processor's caches

Window = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class Fit:
    """How the values to be taken off follow from the overscan.

    Attributes
    ----------
    kind : str
        One of `KINDS`: 'level' is one value for all lines, 'row' a value for each line, the others are curves
        along the lines, fitted to the values of the lines.
    order : int
        Degree of a polynomial, number of pieces of a cubic spline.
    stat : {'median', 'mean'}
        What the level, or the value of a line, is of its overscan pixels.
    clip : float or None
        Overscan pixels, and lines off the curve, beyond so many standard deviations are left out, again and again.

    Raises
    ------
    ValueError
        When there is no such fit.
    """

    kind: str = 'level'
    order: int = 0
    stat: str = 'median'
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.stat not in STATISTICS:
            raise ValueError(f'there is no fit {self.kind!r} of a {self.stat!r}')
        if self.kind in CURVES and self.order < (self.kind == 'spline'):
            raise ValueError(f'{self.kind}:{self.order} is no curve')
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise ValueError(f'a limit of {self.clip:g} sigma')

    @property
    def terms(self) -> int:
        """How many numbers describe the curve."""
        return self.order + (_DEGREE if self.kind == 'spline' else 1)

    def __str__(self) -> str:
        return f'{self.kind}:{self.order}' if self.kind in CURVES else self.kind


class Strip(NamedTuple):
    """Where the overscan of some pixels lies.

    Attributes
    ----------
    window : (slice, slice)
        Its rows and columns, without the guard.
    axis : {0, 1}
        Along which the lines follow each other: 0 where a line is a row, 1 where it is a column.
    first, count : int
        The first line of the pixels, counted from the first one of the overscan; how many lines of pixels there are.
    """

    window: Window
    axis: int
    first: int
    count: int


class Part(NamedTuple):
    """What one amplifier reads.

    Attributes
    ----------
    data, place : (slice, slice)
        Rows and columns of its pixels in the raw image, and in the joined one.
    strip : Strip or None
        Its overscan; None: nothing is taken off.
    gain : float
        Electrons per data number; 1 leaves the unit as it is.
    """

    data: Window
    place: Window
    strip: Strip | None = None
    gain: float = 1.0


class Measured(NamedTuple):
    """What an overscan gives.

    Attributes
    ----------
    values : ndarray of float64
        Shape (count,): what is to be taken off each line of the pixels. NaN for a line of a fit by rows
        whose overscan has no good pixel.
    level : float
        Mean of the values.
    scatter : float
        Standard deviation of the overscan pixels used about the value of their line, with the `freedom` that the
        values leave; NaN where that is 0.
    rms : float
        Root mean square of the lines' values about the curve; NaN where there is no curve.
    used, rejected : int
        Overscan pixels used, and good ones that were clipped, by themselves or with their line.
    drift : float
        By how much one level for all lines is wrong: from the least to the largest mean of eight groups of
        lines, without pixels that were clipped; 0 where it is no more than six times the error of such a mean, or
        where the values follow the lines.
    highest : float
        The largest value that is taken off; infinite where there is none.
    stuck : float
        The one value of all good overscan pixels where no pixel of the image lies above it; NaN elsewhere.
    """

    values: NDArray[np.float64]
    level: float
    scatter: float
    rms: float
    used: int
    rejected: int
    drift: float = 0.0
    highest: float = math.inf
    stuck: float = math.nan


def strip_beside(data: Window, bias: Window, fit: Fit, guard: tuple[int, int] = (0, 0)) -> Strip:
    """The overscan that goes with some pixels.

    Parameters
    ----------
    data, bias : (slice, slice)
        Rows and columns of the pixels and of their overscan, with explicit start and stop.
    fit : Fit
        How it is going to be used.
    guard : (int, int)
        Columns (rows, where a line is a column) that are left out at the overscan's first and last edge.

    Returns
    -------
    Strip
        A line is a row where the overscan lies beside the pixels, a column where it lies above or below; where neither
        is so the overscan's longer side tells.

    Raises
    ------
    ValueError
        When the guard leaves nothing, or a fit that follows the lines finds no overscan beside them or too few lines.

    Examples
    --------
    >>> data, bias = (slice(0, 90), slice(0, 64)), (slice(0, 90), slice(64, 72))
    >>> strip_beside(data, bias, Fit('row'), (2, 1))
    Strip(window=(slice(0, 90, None), slice(66, 71, None)), axis=0, first=0, count=90)
    """
    axis = _line_axis(data, bias)
    across = bias[1 - axis]
    low, high = across.start + guard[0], across.stop - guard[1]
    if low >= high:
        raise ValueError(f'a guard of {guard[0]} and {guard[1]} leaves nothing of {across.stop - across.start} pixels')
    lines, along, what = data[axis], bias[axis], ('rows', 'columns')[axis]
    if fit.kind in CURVES and fit.terms > along.stop - along.start:
        raise ValueError(f'a fit {fit} has {fit.terms} terms, and the overscan {along.stop - along.start} {what}')
    covered = along.start <= lines.start and lines.stop <= along.stop
    if (fit.kind == 'row' and not covered) or (fit.kind in CURVES and _apart(lines, along)):
        raise ValueError(
            f'the overscan holds {what} {along.start + 1} to {along.stop}, the pixels {what} '
            f'{lines.start + 1} to {lines.stop}: a fit {fit} needs it beside them'
        )
    window = (along, slice(low, high)) if axis == 0 else (slice(low, high), along)
    return Strip(window, axis, lines.start - along.start, lines.stop - lines.start)


def _line_axis(data: Window, bias: Window) -> int:
    above, beside = _apart(data[0], bias[0]), _apart(data[1], bias[1])
    if above != beside:
        return int(above)
    tall, wide = (part.stop - part.start for part in bias)
    return int(wide > tall)


def _apart(first: slice, other: slice) -> bool:
    return first.stop <= other.start or other.stop <= first.start


def measure(image: NDArray, strip: Strip, fit: Fit) -> Measured:
    """What an overscan says is to be taken off the lines beside it.

    Parameters
    ----------
    image : ndarray
        Shape (ny, nx), raw, any real type; NaN and infinite pixels are left out.
    strip : Strip
        Where the overscan lies.
    fit : Fit
        What is made of it; not 'none'.

    Returns
    -------
    Measured
        Values in the unit of the image, in float64.

    Raises
    ------
    ValueError
        When the overscan has no good pixel, or too few lines for the curve.

    Notes
    -----
    Clipping: as `stats.Distribution.clipped` for a level, within each line for the others, and for a
    curve then along the lines, where the standard deviation of the residuals has as many degrees of
    freedom as there are lines less terms.
    Beyond the overscan's first and last line a curve keeps its value there.

    Examples
    --------
    >>> image = np.array([[5, 5, 1, 1, 2], [7, 7, 3, 4, 3]], 'u2')
    >>> strip = strip_beside((slice(0, 2), slice(0, 2)), (slice(0, 2), slice(2, 5)), Fit('row'))
    >>> measure(image, strip, Fit('row')).values
    array([1., 3.])
    """
    pixels = image[strip.window] if strip.axis == 0 else image[strip.window].T
    found = _one_level(pixels, strip.count, fit) if fit.kind == 'level' else _of_lines(pixels, strip, fit)
    values = found.values[np.isfinite(found.values)]
    return found._replace(highest=float(values.max()) if values.size else math.inf, stuck=_stuck(image, pixels))


def freedom(pixels: int, lines: int, fit: Fit) -> int:
    """How many degrees of freedom overscan pixels have about the values that were fitted to them.

    Parameters
    ----------
    pixels : int
        How many pixels there are.
    lines : int
        In how many lines they lie.
    fit : Fit
        What was made of them.

    Returns
    -------
    int
        Pixels less values: one for a level, one of each line for a fit by rows, the terms of a curve. Where it
        is 0 or less, nothing is known of the scatter.

    Examples
    --------
    >>> freedom(60, 20, Fit()), freedom(60, 20, Fit('row')), freedom(60, 20, Fit('poly', 2))
    (59, 40, 57)
    """
    return pixels - (lines if fit.kind == 'row' else fit.terms)


def _stuck(image: NDArray, pixels: NDArray) -> float:
    good = pixels[np.isfinite(pixels)]
    if good.size < 2 or good.min() != good.max():
        return math.nan
    value = good[0]
    return float(value) if image.max(where=np.isfinite(image), initial=value) == value else math.nan


def _of_lines(pixels: NDArray, strip: Strip, fit: Fit) -> Measured:
    values, good, bad = _line_values(pixels, fit)
    if not good.any():
        raise ValueError('the overscan has no good pixel')
    kept, rms = np.isfinite(values), math.nan
    if fit.kind == 'row':
        taken, fitted = values[strip.first : strip.first + strip.count], values
    else:
        fitted, kept, rms = _curve(values, fit)
        taken = fitted[np.clip(np.arange(strip.first, strip.first + strip.count), 0, len(fitted) - 1)]
    used = good & kept[:, None]
    bad += int(np.count_nonzero(good & ~used))
    scatter = _spread((pixels - fitted[:, None])[used], freedom(int(used.sum()), int(kept.sum()), fit))
    return Measured(taken, _mean(taken), scatter, rms, int(used.sum()), bad)


def _one_level(pixels: NDArray, count: int, fit: Fit) -> Measured:
    whole = stats.distribution(pixels)
    kept = whole if fit.clip is None else whole.clipped(fit.clip)
    if not kept.num:
        raise ValueError('the overscan has no good pixel')
    level = kept.median if fit.stat == 'median' else kept.mean
    free = freedom(kept.num, len(pixels), fit)
    scatter = math.sqrt(kept.moment(2, level) * kept.num / free) if free > 0 else math.nan
    drift = _drift(pixels, (kept.values[0], kept.values[-1]), scatter)
    return Measured(np.full(count, level), level, scatter, math.nan, kept.num, whole.num - kept.num, drift)


def _drift(pixels: NDArray, kept: tuple[float, float], scatter: float) -> float:
    values = pixels.astype(np.float64)
    values[~((values >= kept[0]) & (values <= kept[1]))] = np.nan  # clipping leaves what lies about the median
    groups = [group[np.isfinite(group)] for group in np.array_split(values, _GROUPS)]
    means = [float(group.mean()) for group in groups if group.size]
    drift = max(means) - min(means)
    error = scatter / math.sqrt(max(values.size / _GROUPS, 1))
    return drift if drift > _SURE * error else 0.0


def _mean(values: NDArray) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else math.nan


def _spread(away: NDArray[np.float64], free: int) -> float:
    return math.sqrt(float(np.square(away).sum()) / free) if free > 0 else math.nan


def _line_values(pixels: NDArray, fit: Fit) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """The value of each line (NaN without a good pixel), which pixels it is of, and how many good ones were clipped."""
    values = pixels.astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    there = int(np.count_nonzero(~np.isnan(values)))
    if fit.clip is not None:
        _clip_lines(values, fit.clip)
    good = ~np.isnan(values)
    found = _medians(values) if fit.stat == 'median' else _means(values)
    return found, good, there - int(good.sum())


def _clip_lines(values: NDArray[np.float64], limit: float) -> None:
    """Make pixels NaN, in place, that lie beyond `limit` sigma of their line's median, until none does."""
    todo = np.arange(len(values))
    while todo.size:
        lines = values[todo]
        counts = np.count_nonzero(~np.isnan(lines), axis=1)
        away = lines - _medians(lines)[:, None]
        with np.errstate(invalid='ignore', divide='ignore'):
            sigma = np.sqrt(np.nansum(away**2, axis=1) / (counts - 1))
            out = np.abs(away) > limit * sigma[:, None]
        out[counts < 3] = False
        lines[out] = np.nan
        values[todo] = lines
        todo = todo[out.any(axis=1)]


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each line, without its NaN; numpy's own takes the lines one by one."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    counts = np.count_nonzero(~np.isnan(values), axis=1)
    places = np.maximum(np.stack([(counts - 1) // 2, counts // 2], axis=1), 0)
    pair = np.take_along_axis(ordered, places, axis=1)
    return pair[:, 0] / 2 + pair[:, 1] / 2


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid='ignore'):
        return np.nansum(values, axis=1) / np.count_nonzero(~np.isnan(values), axis=1)


def _curve(values: NDArray[np.float64], fit: Fit) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """The curve at each line, the lines that it was fitted to, and the root mean square of their values about it."""
    terms = _terms(len(values), fit)
    kept = np.isfinite(values)
    while True:
        count = int(kept.sum())
        if count < fit.terms:
            raise ValueError(f'a fit {fit} has {fit.terms} terms, and {count} lines have an overscan to fit')
        found, _, rank, _ = np.linalg.lstsq(terms[kept], values[kept], rcond=None)
        if rank < fit.terms:
            raise ValueError(f'a fit {fit} has {fit.terms} terms, more than the lines with an overscan determine')
        curve = terms @ found
        away = values - curve
        if fit.clip is None or count <= fit.terms:
            break
        limit = fit.clip * math.sqrt(float(np.square(away[kept]).sum()) / (count - fit.terms))
        inside = kept & (np.abs(away) <= limit)
        if inside.sum() < fit.terms or (inside == kept).all():
            break
        kept = inside
    return curve, kept, math.sqrt(float(np.square(away[kept]).mean()))


def _terms(count: int, fit: Fit) -> NDArray[np.float64]:
    """The functions that make up a curve, a column each, at `count` lines that run from -1 to 1."""
    places = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    if fit.kind == 'spline':
        from scipy.interpolate import BSpline  # here, because it takes longer to load than all else takes

        inner = np.linspace(-1, 1, fit.order + 1)
        knots = np.concatenate([[-1.0] * _DEGREE, inner, [1.0] * _DEGREE])
        return BSpline.design_matrix(places, knots, _DEGREE).toarray()
    polynomial = np.polynomial
    vander = {
        'poly': polynomial.polynomial.polyvander,
        'chebyshev': polynomial.chebyshev.chebvander,
        'legendre': polynomial.legendre.legvander,
    }[fit.kind]
    return vander(places, fit.order)


def take_off(
    pixels: NDArray, values: NDArray[np.float64] | None, *, out: NDArray, axis: int = 0, gain: float = 1.0
) -> None:
    """Take the overscan's values off pixels, and turn them to electrons.

    Parameters
    ----------
    pixels : ndarray
        Shape (ny, nx), raw, any real type.
    values : ndarray of float64 or None
        Shape (ny,) where a line is a row (`axis` 0), (nx,) where it is a column; None: nothing is taken off.
    out : ndarray
        Shape (ny, nx), float32 or float64; gets ``gain * (pixels - value)``, worked out in float64 and rounded
        once. Infinite pixels, and results beyond its type, are NaN in it.
    axis : {0, 1}
        What a line is.
    gain : float
        Electrons per data number.

    Examples
    --------
    >>> out = np.empty((1, 2), 'f4')
    >>> take_off(np.array([[100, 103]], 'u2'), np.array([101.5]), out=out, gain=2)
    >>> out
    array([[-3.,  3.]], dtype=float32)
    """
    height = max(_CHUNK // max(pixels.shape[1], 1), 1)
    for start in range(0, len(pixels), height):
        rows = slice(start, start + height)
        part = pixels[rows].astype(np.float64)
        if values is not None:
            part -= values[rows, None] if axis == 0 else values
        if gain != 1:
            part *= gain
        with np.errstate(over='ignore'):
            out[rows] = part
        if pixels.dtype.kind == 'f' or gain != 1:
            out[rows][~np.isfinite(out[rows])] = np.nan


def trim(
    planes: Iterable[NDArray], count: int, shape: tuple[int, int], parts: Sequence[Part], fit: Fit
) -> tuple[NDArray, list[Measured]]:
    """Take the overscan of each amplifier off its pixels, and join these.

    Parameters
    ----------
    planes : iterable of ndarray
        Raw, of shape (ny, nx) and one real type: the planes of a cube, or the one of an image. Each has
        an overscan of its own.
    count : int
        How many planes there are.
    shape : (int, int)
        Rows and columns of the joined image.
    parts : sequence of Part
        The amplifiers.
    fit : Fit
        What is made of the overscan.

    Returns
    -------
    pixels : ndarray
        Shape (count, *shape). It is float32 where that loses nothing of the raw pixels: float32, integers of 16 bits,
        and those of 32 bits up to 2**24; else float64. Missing pixels are NaN.
    measured : list of Measured
        What the overscan of each amplifier with one gave, over all planes.

    Raises
    ------
    ValueError
        When an overscan has no good pixel, or too few lines for the curve.

    Examples
    --------
    >>> raw = np.array([[11, 12, 10, 10], [21, 22, 20, 20]], 'u2')
    >>> data, bias = (slice(0, 2), slice(0, 2)), (slice(0, 2), slice(2, 4))
    >>> fit = Fit('row')
    >>> pixels, measured = trim([raw], 1, (2, 2), [Part(data, data, strip_beside(data, bias, fit))], fit)
    >>> pixels
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    >>> measured[0].level
    15.0
    """
    out, exact = np.empty(0), True
    found: list[list[Measured]] = [[] for part in parts if part.strip is not None]
    for number, raw in enumerate(planes):
        if number == 0:
            out = np.empty((count, *shape), np.promote_types(raw.dtype, np.float32))
        exact = exact and _float32_holds(raw)
        measured = [None if part.strip is None else measure(raw, part.strip, fit) for part in parts]
        for part, each in zip(parts, measured, strict=True):
            values, axis = (None, 0) if each is None else (each.values, part.strip.axis)
            take_off(raw[part.data], values, out=out[number][part.place], axis=axis, gain=part.gain)
        for kept, each in zip(found, filter(None, measured), strict=True):
            kept.append(each)
    return out.astype(np.float32, copy=False) if exact else out, [pooled(each) for each in found]


def _float32_holds(raw: NDArray) -> bool:
    if raw.dtype.kind not in 'iu':
        return raw.dtype.itemsize <= 4
    most = 1 << np.finfo(np.float32).nmant + 1
    return raw.dtype.itemsize <= 2 or (int(raw.min()) >= -most and int(raw.max()) <= most)


def pooled(planes: Sequence[Measured]) -> Measured:
    """What the overscan of several planes gives on the whole.

    Parameters
    ----------
    planes : sequence of Measured
        One for each plane of a cube, at least one.

    Returns
    -------
    Measured
        That of the one plane; else means of values and level, root mean squares of scatter and rms, sums of counts; the
        largest drift and value, and where a plane is stuck, its value.

    Examples
    --------
    >>> both = [Measured(np.ones(2), 1.0, 3.0, np.nan, 8, 0), Measured(np.zeros(2), 0.0, 4.0, np.nan, 8, 1)]
    >>> pooled(both).level, round(pooled(both).scatter**2, 9), pooled(both).rejected
    (0.5, 12.5, 1)
    """
    if len(planes) == 1:
        return planes[0]
    level = float(np.mean([each.level for each in planes]))
    scatter = float(np.sqrt(np.mean([each.scatter**2 for each in planes])))
    rms = float(np.sqrt(np.mean([each.rms**2 for each in planes])))
    values = np.mean([each.values for each in planes], axis=0)
    used, rejected = sum(each.used for each in planes), sum(each.rejected for each in planes)
    highest = max(each.highest for each in planes)
    stuck = next((each.stuck for each in planes if each.stuck == each.stuck), math.nan)
    return Measured(values, level, scatter, rms, used, rejected, max(each.drift for each in planes), highest, stuck)


def lines_without(measured: Measured) -> int:
    """How many lines have no overscan pixel to go by.

    Parameters
    ----------
    measured : Measured
        What an overscan gave.

    Returns
    -------
    int
        Lines whose value is NaN.
    """
    return int(np.count_nonzero(np.isnan(measured.values)))
