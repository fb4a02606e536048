"""The pixels' response from a lamp's long-slit spectrum: the lamp is fitted and divided out.

A long-slit flat is the lamp's spectrum along one axis, times the light along the slit, times the response of each
pixel. Only the last two belong into a flat: the spectrum is averaged over the rows that the slit lights, fitted by
something smoother than the response, and divided out. Here the spectrum runs along the last axis, and a row is what
lies along it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import badpixels

METHODS = ('poly', 'spline', 'median')
ORDERS = {'poly': 7, 'spline': 25, 'median': 101}  # what `Fit.order` is where nobody says

_HOT, _DEAD = 1.5, 0.1  # times what a lit pixel should be: there is something other than the lamp's light
_FAR = 0.5  # a point of the spectrum this far, as a part of it, from its neighbours is a dead column or a line
# Points among which a residual is judged: what is narrower than half of them may be clipped, what is broader stays.
_AROUND = 51
_ROUNDS = 20  # of clipping; fits settle after two or three
_TURNS = 30  # of rows and columns, where there are gaps: each brings the profile some ten times closer
_ROUNDING = 1e-9  # residuals of noiseless data
_SURE = 5.0  # times its error: a row's light that is no noise
_LITTLE = 0.2  # response of a lit pixel below which dividing by it gives little but noise
_GLIMMER = 0.02  # of the light around it: what an end of the spectrum has at least, where it is lit
_TOO_BRIGHT = 100.0  # times what the broader part has: a row or two are the slit or a defect, and nothing tells which

Values = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Fit:
    """How a lamp's spectrum is fitted.

    Attributes
    ----------
    method : {'poly', 'spline', 'median'}
        A polynomial, a cubic spline by least squares, or a running median.
    order : int
        The polynomial's degree, the number of the spline's pieces, or the median's window in pixels.
    clip : float
        Points further from the fit than so many sigma are left out; 0 leaves all in.
    box : int
        Pixels that are averaged before the fit, odd; 1 averages nothing.
    """

    method: str = 'poly'
    order: int = ORDERS['poly']
    clip: float = 3.0
    box: int = 5

    @property
    def parameters(self) -> int:
        """How many numbers the fit finds: it needs more points than that."""
        return {'poly': self.order + 1, 'spline': self.order + 3, 'median': 0}[self.method]


@dataclass(frozen=True)
class Lamp:
    """The spectrum of a lamp.

    Attributes
    ----------
    spectrum : ndarray of float64
        Shape (n,): the mean over the lit rows, in units of the flat; NaN where there is none.
    curve : ndarray of float64
        Shape (n,): its fit; NaN beyond the first and the last point with light. A point at an end with less light
        than its neighbours, but a fiftieth of it, has some: the curve goes on to it with its slope.
    used : ndarray of bool
        Shape (n,): the points that the fit goes by.
    """

    spectrum: Values
    curve: Values
    used: Marks

    @property
    def residual(self) -> Values:
        """``spectrum / curve - 1``, shape (n,)."""
        return self.spectrum / self.curve - 1

    @property
    def rms(self) -> float:
        """Of the residual's used points, about 0."""
        return float(np.sqrt(np.mean(self.residual[self.used] ** 2)))


@dataclass(frozen=True)
class Response:
    """A flat without its lamp, and what was found on the way.

    Attributes
    ----------
    flat : ndarray of float64
        Shape (rows, n), median 1 over the lit part, 1 outside it. NaN pixels of the lit part stay NaN.
    lit, bad : ndarray of bool
        Shape (rows, n): the part that the lamp lights; pixels that are missing, masked or off.
    profile : ndarray of float64
        Shape (rows,): the light along the slit, relative to the lit rows'.
    lamp : Lamp
        The lamp's spectrum.
    level : float
        What the flat was divided by besides the lamp's curve.
    nfaint : int
        Pixels that are bad for their little response alone, as at a tilted edge of the slit.
    """

    flat: Values
    lit: Marks
    bad: Marks
    profile: Values
    lamp: Lamp
    level: float
    nfaint: int = 0

    @property
    def lit_bounds(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First point and the one behind the last of the lit part, along the spectrum and along the slit."""
        points, rows = np.flatnonzero(self.lit.any(axis=0)), np.flatnonzero(self.lit.any(axis=1))
        return (int(points[0]), int(points[-1]) + 1), (int(rows[0]), int(rows[-1]) + 1)

    def uncertainty(self, sigma: NDArray) -> Values:
        """The uncertainty of the flat.

        Parameters
        ----------
        sigma : ndarray
            Shape (rows, n): that of the input, in its unit.

        Returns
        -------
        ndarray of float64
            Shape (rows, n); 0 where the flat is 1 by definition. The error of the curve is not in it: many
            hundred pixels have a part in each of its points.
        """
        return np.where(self.lit, sigma / (self.lamp.curve * self.level), 0.0)


def flat_response(
    flat: NDArray, fit: Fit, *, mask: Marks | None = None, lit: float | slice = 0.8, bad: float = 0.5
) -> Response:
    """Take the lamp's spectrum out of a long-slit flat.

    Parameters
    ----------
    flat : ndarray
        Shape (rows, n), any real type and unit: a combined flat, without bias. The spectrum runs along
        the last axis. NaN and infinite pixels are left out everywhere.
    fit : Fit
        How the spectrum is fitted.
    mask : ndarray of bool, optional
        Shape (rows, n), True where a pixel is known to be bad: left out too.
    lit : float or slice
        The part of the slit's light from which a row counts as lit, or the lit rows themselves.
    bad : float
        A pixel that differs by more than this part of it from the median of the 7 x 7 around it is bad.

    Returns
    -------
    Response
        The flat and what it was made from.

    Raises
    ------
    ValueError
        When nothing is lit, or the spectrum has too few points for the fit.

    Notes
    -----
    ``flat / curve / level``, where the curve is `fit_lamp`'s fit of `mean_spectrum` and the level is the median of
    ``flat / curve`` over the lit part: the rows that `lit_rows` finds, as far as the lamp's spectrum reaches. Bad
    pixels are found on the result by `badpixels.deviant`, also between lit rows; a pixel of the lit part with less
    than 0.2 is bad too: the median around it does not tell one behind a tilted edge of the slit.

    Examples
    --------
    >>> lamp = np.exp(np.linspace(0, 3, 40))
    >>> slit = np.array([0, 0, 0.9, 1, 1, 1, 1.1, 0])[:, None]
    >>> found = flat_response(900 * slit * lamp, Fit('poly', 2, box=1))
    >>> found.flat[:, 0].round(3), found.lit[:, 0].astype(int)
    (array([1. , 1. , 0.9, 1. , 1. , 1. , 1.1, 1. ]), array([0, 0, 1, 1, 1, 1, 1, 0]))
    """
    values = np.asarray(flat, 'f8')
    good = np.isfinite(values) if mask is None else np.isfinite(values) & ~mask
    profile = slit_profile(values, good, lit if isinstance(lit, slice) else None)
    rows = lit_rows(profile, lit)
    lamp = fit_lamp(*mean_spectrum(values, good, np.where(rows, profile, 0.0)), fit)
    reached = np.isfinite(lamp.curve)
    where = rows[:, None] & reached
    with np.errstate(over='ignore', invalid='ignore'):
        divided = np.where(np.isfinite(values), values, np.nan) / np.where(reached, lamp.curve, np.inf)
        level = _level(divided[where & good])
        divided /= level
    wrong = badpixels.deviant(np.where(good, divided, np.nan), bad)
    if rows.sum() < badpixels.SIDE:  # most of what surrounds a pixel of a narrow slit is dark
        wrong[where] = badpixels.deviant(np.where(good & where, divided, np.nan), bad)[where]
    faint = where & ~wrong & (divided < _LITTLE)
    return Response(
        np.where(where, divided, 1.0), where, wrong | faint, profile, lamp, level, int(np.count_nonzero(faint))
    )


def _level(values: Values) -> float:
    level = float(np.median(values)) if values.size else np.nan
    if not 0 < level < np.inf:
        raise ValueError('the lit part has no light')
    return level


def slit_profile(flat: NDArray, good: Marks | None = None, rows: slice | None = None) -> Values:
    """The light along the slit.

    Parameters
    ----------
    flat : ndarray
        Shape (rows, n), any real type.
    good : ndarray of bool, optional
        Shape (rows, n): pixels that count, by default those that are not NaN or infinite.
    rows : slice, optional
        The lit rows, where they are known: what is 1 follows from them alone.

    Returns
    -------
    ndarray of float64
        Shape (rows,), about 1 for a lit row: the median of the rows with more than half of the light of the
        brightest (of those that are not alone in being bright, if there are such) is 1. NaN for a row without good
        pixels.

    Raises
    ------
    ValueError
        When there is no light, or a row or two are a hundred times as bright as all that is broader.

    Notes
    -----
    The sum of a row's good pixels over the sum, at the same pixels, of the spectrum of all rows, which for its part
    is the sum over the rows' light: gaps do not make a row darker. The median of all rows, which others go by, is the
    dark's where the slit lights less than half of them. A row counts as bright only where its sum is five times the
    root of the sum of squares of what is left without the spectrum: noise has no light.

    Examples
    --------
    >>> slit_profile(np.array([[1, 2, 9], [10, 20, 90], [10, 20, np.nan], [11, 22, 99], [0, 0, 0]])).round(4)
    array([0.1, 1. , 1. , 1.1, 0. ])
    """
    counted = np.isfinite(flat) if good is None else good
    values = np.where(counted, flat, 0.0)
    light = known = np.ones(len(values))
    for _ in range(_TURNS):
        before = known
        with np.errstate(invalid='ignore', divide='ignore'):
            spectrum = np.nan_to_num(values.sum(axis=0) / (known @ counted), nan=0.0, posinf=0.0, neginf=0.0)
            light = values.sum(axis=1) / (counted @ spectrum.clip(0))
        known = np.where(np.isfinite(light), light, 0.0)
        if counted.all() or np.abs(known - before).max() <= 1e-6 * np.abs(known).max():
            break
    with np.errstate(all='ignore'):
        left = np.where(counted, values - known[:, None] * spectrum.clip(0), 0.0)
        sure = values.sum(axis=1) > _SURE * np.sqrt((left**2).sum(axis=1))
    bright = np.where(sure, known, 0.0)
    return np.where(counted.any(axis=1), light / _lit_level(bright, rows), np.nan)


def _lit_level(bright: Values, rows: slice | None) -> float:
    """The light of a lit row, from the light of all rows; 0 where a row has none that is sure."""
    from scipy import ndimage  # here, because it takes 60 ms that other commands need not wait for

    light = bright[rows or slice(None)]
    highest = float(light.max(initial=0))
    if not highest > 0:
        raise ValueError('there is no light' if rows is None else 'no row is lit')
    # A row or two that are bright alone are not the slit, unless all the others are dark.
    broad = float(ndimage.median_filter(light, min(5, len(light)), mode='nearest').max()) or highest
    if rows is None and highest > _TOO_BRIGHT * broad:
        what = f'row {int(light.argmax()) + 1} is {highest / broad:.3g} times as bright as all that is broader'
        raise ValueError(f'{what}: a narrow slit must be given by its rows, a defect by a mask')
    return float(np.median(light[light > broad / 2]))


def lit_rows(profile: Values, lit: float | slice) -> Marks:
    """The rows that the slit lights.

    Parameters
    ----------
    profile : ndarray
        Shape (rows,), from `slit_profile`.
    lit : float or slice
        The least light of a lit row, or the rows themselves.

    Returns
    -------
    ndarray of bool
        Shape (rows,).

    Raises
    ------
    ValueError
        When no row is lit.

    Examples
    --------
    >>> lit_rows(np.array([0.1, 0.85, 1.0, np.nan]), 0.8).tolist()
    [False, True, True, False]
    """
    if isinstance(lit, slice):
        rows = np.zeros(len(profile), bool)
        rows[lit] = True
    else:
        rows = profile >= lit
    if not (rows & (profile > 0)).any():
        raise ValueError('no row is lit')
    return rows


def mean_spectrum(flat: NDArray, good: Marks, profile: Values) -> tuple[Values, Values]:
    """The mean spectrum of the lit rows.

    Parameters
    ----------
    flat : ndarray
        Shape (rows, n), any real type.
    good : ndarray of bool
        Shape (rows, n): pixels that count.
    profile : ndarray
        Shape (rows,): the light of each row; rows with none (0, NaN) have no part in it.

    Returns
    -------
    spectrum : ndarray of float64
        Shape (n,), in units of the flat; NaN where no pixel is left.
    weight : ndarray of float64
        Shape (n,): the part of the light that was used, 0 to 1.

    Notes
    -----
    ``sum(flat) / sum(profile)`` over the good pixels, times the mean of the profile: the mean where there are no gaps,
    and where there are it does not matter in which rows. Pixels above 1.5 or below 0.1 times the column's median of
    ``flat / profile`` are left out: hot and dead ones, but not those at the ends of a slit that is a little tilted.

    Examples
    --------
    >>> rows = np.array([[10, 20, 30], [20, 40, np.nan], [10, 999, 30]])
    >>> mean_spectrum(rows, np.isfinite(rows), np.array([1.0, 2.0, 1.0]))
    (array([13.33333333, 26.66666667, 40.        ]), array([1.  , 0.75, 0.5 ]))
    """
    rows = profile > 0
    light, counted = profile[rows, None], good[rows]
    values = np.where(counted, flat[rows], np.nan)
    middle = _column_medians(values / light) * light
    counted = counted & ~((values > _HOT * middle) | (values < _DEAD * middle))
    total = (light * counted).sum(axis=0)
    with np.errstate(invalid='ignore', divide='ignore'):
        spectrum = np.where(counted, values, 0.0).sum(axis=0) / total * light.mean()
    return np.where(total > 0, spectrum, np.nan), total / light.sum()


def _column_medians(values: Values) -> Values:
    """Medians of columns, NaN left out; NaN where nothing is left."""
    ranked = np.sort(values, axis=0)
    count = np.isfinite(ranked).sum(axis=0)
    columns = np.arange(values.shape[1])
    return (
        ranked[np.maximum(count - 1, 0) // 2, columns] + ranked[np.minimum(count // 2, len(ranked) - 1), columns]
    ) / 2


def smoothed(values: NDArray, box: int) -> Values:
    """Means of neighbours; beyond its ends a curve goes on with the slope that it has there.

    Parameters
    ----------
    values : ndarray
        Shape (n,). Straight lines bridge what is NaN.
    box : int
        How many neighbours, odd.

    Returns
    -------
    ndarray of float64
        Shape (n,). A straight line comes out as it was, to its first and last point; NaN before the first and behind
        the last value that is none.

    Notes
    -----
    The curve is reflected in its first and last point. With zeros beyond the ends, the first points would come out at
    3/5 and 4/5 of their value; with the last value repeated, off by more than half a step of the slope.

    Examples
    --------
    >>> smoothed(np.array([1.0, 2.0, 3.0, np.nan, 5.0, 9.0]), 3)
    array([1., 2., 3., 4., 6., 9.])
    """
    places = np.flatnonzero(np.isfinite(values))
    out = np.full(len(values), np.nan)
    if places.size:
        inner = np.interp(_between(places), places, values[places])
        # One value has no slope to go on with.
        wide = np.pad(inner, box // 2, mode='reflect', reflect_type='odd') if len(inner) > 1 else inner.repeat(box)
        out[places[0] : places[-1] + 1] = np.convolve(wide, np.full(box, 1 / box), 'valid')
    return out


def fit_lamp(spectrum: Values, weight: Values, fit: Fit) -> Lamp:
    """Fit the logarithm of a lamp's spectrum, leaving out what does not belong to it.

    Parameters
    ----------
    spectrum, weight : ndarray
        Shape (n,), from `mean_spectrum`. Points that are NaN, not above 0, or off the median of the seven around
        them by more than half have no part in the fit.
    fit : Fit
        How.

    Returns
    -------
    Lamp
        The spectrum and its fit.

    Raises
    ------
    ValueError
        When too few points are left.

    Notes
    -----
    A point is clipped when it lies further than ``clip`` sigma from the fit, and its residual as far from the median
    of the 51 residuals around it; sigma is the root of the residuals' sum of squares over the number of points less
    that of parameters; again and again until it makes no difference. Where a polynomial can not follow a lamp it is
    wrong over hundreds of pixels: clipping those too would leave it free to go astray there.
    """
    clean = _without_lines(spectrum)
    smooth = smoothed(clean, fit.box)
    points = np.flatnonzero(np.isfinite(clean) & (smooth > 0))
    if len(points) <= max(fit.parameters, 1):
        raise ValueError(f'{len(points)} points of the spectrum have light, too few for {fit.method} {fit.order}')
    data, weight = np.log10(smooth[points]), np.sqrt(weight[points])
    kept = np.ones(len(points), bool)
    for _ in range(_ROUNDS):
        curve = _FITS[fit.method](points[kept], data[kept], weight[kept], points, fit)
        keep = _near(data - curve[points - points[0]], kept, fit)
        if (keep == kept).all() or keep.sum() <= fit.parameters:
            break
        kept = keep
    whole, used = np.full(len(spectrum), np.nan), np.zeros(len(spectrum), bool)
    first, last = _ends(spectrum, points)
    # Not by the fit: what is free beyond its points may go anywhere.
    beyond = points[0] - first, last - points[-1]
    whole[first : last + 1] = 10 ** (
        np.pad(curve, beyond, mode='reflect', reflect_type='odd') if any(beyond) else curve
    )
    used[points[kept]] = True
    return Lamp(spectrum, whole, used)


def _ends(spectrum: Values, points: NDArray) -> tuple[int, int]:
    """The first and the last point with light: those off their neighbours too, where there are no more than three."""
    ends = []
    for end, step in ((int(points[0]), -1), (int(points[-1]), 1)):
        reach = badpixels.SIDE // 2 if len(points) > badpixels.SIDE // 2 else 0
        least = _GLIMMER * spectrum[end]
        for place in range(end + step, end + step * (reach + 1), step):
            if 0 <= place < len(spectrum) and spectrum[place] > least:
                end = place
        ends.append(end)
    return ends[0], ends[1]


def _without_lines(spectrum: Values) -> Values:
    """The spectrum without dead columns, narrow lines and what has no light: averaging would spread them."""
    known = np.flatnonzero(np.isfinite(spectrum))
    clean = np.full(len(spectrum), np.nan)
    if known.size:
        values = spectrum[known]
        around = _running_median(values, badpixels.SIDE, 'reflect')
        clean[known] = np.where((values > 0) & (np.abs(values - around) <= _FAR * around), values, np.nan)
    return clean


def _running_median(values: Values, window: int, mode: str = 'nearest') -> Values:
    from scipy import ndimage  # here, because it takes 60 ms that other commands need not wait for

    return ndimage.median_filter(values, min(window, 2 * len(values) - 1), mode=mode)


def _near(residual: Values, kept: Marks, fit: Fit) -> Marks:
    """Which points lie within so many sigma of the fit, or go with those around them."""
    if not fit.clip:
        return kept
    sigma = np.sqrt((residual[kept] ** 2).sum() / (kept.sum() - fit.parameters))
    limit = fit.clip * max(float(sigma), _ROUNDING)
    return (np.abs(residual) <= limit) | (np.abs(residual - _running_median(residual, _AROUND)) <= limit)


def _polynomial(x: NDArray, y: Values, weight: Values, points: NDArray, fit: Fit) -> Values:
    """A polynomial, in Chebyshev's form, which high degrees need."""
    from numpy.polynomial import Chebyshev

    span = [points[0], points[-1]]
    return Chebyshev.fit(x, y, fit.order, domain=span, w=weight)(_between(points))


def _spline(x: NDArray, y: Values, weight: Values, points: NDArray, fit: Fit) -> Values:
    """A cubic spline by least squares; each of its pieces has equally many points."""
    from scipy.interpolate import make_lsq_spline  # here, because it takes 200 ms

    inner = x[np.arange(1, fit.order) * len(x) // fit.order]
    knots = np.concatenate([[points[0]] * 4, inner, [points[-1]] * 4]).astype('f8')
    return make_lsq_spline(x.astype('f8'), y, knots, w=weight)(_between(points))


def _median(x: NDArray, y: Values, weight: Values, points: NDArray, fit: Fit) -> Values:
    """A running median of the points, its steps averaged, and a straight line through gaps."""
    return smoothed(np.interp(_between(points), x, _running_median(y, fit.order)), fit.box)


def _between(points: NDArray) -> Values:
    return np.arange(points[0], points[-1] + 1, dtype='f8')


_FITS = {'poly': _polynomial, 'spline': _spline, 'median': _median}
