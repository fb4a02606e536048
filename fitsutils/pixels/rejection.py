"""Which values of each pixel of a stack are kept.

Every rule here works on the values of a pixel in ascending order and keeps a
contiguous window of them. `may_reject` tells quickly which pixels have
anything to reject at all; only those need to go through `windows`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import sorting

CLIPS = ('none', 'min', 'max', 'minmax', 'sigma', 'mad', 'winsor', 'percentile', 'ccd')
RANK_CLIPS = ('min', 'max', 'minmax')
LIMITS = {'percentile': (0.2, 0.1), 'min': (1.0, 1.0), 'max': (1.0, 1.0), 'minmax': (1.0, 1.0)}
MAD_TO_SIGMA = 1.4826  # of a normal distribution

_FEWEST = 3  # with fewer values left nothing more is rejected
_MARGIN = 1e-3  # of squared distances; far more than the rounding of a screening in float32
_HUBER = 1.5  # sigmas at which winsorizing holds values fast
_WINSOR_TO_SIGMA = 1.134  # makes up for what winsorizing at 1.5 sigma takes from a normal distribution
_SETTLED = 0.0005  # relative change of sigma at which winsorizing ends
_MOST_ROUNDS = 100


@dataclasses.dataclass(frozen=True)
class Clip:
    """A rule of rejection.

    Attributes
    ----------
    kind : str
        One of `CLIPS`.
    low, high : float
        For the rank clips how many of the lowest and highest values are
        dropped (0 at an end that is not clipped); for ``percentile`` fractions
        of the median; else multiples of sigma.
    keep : int
        At least so many values of each pixel are kept, those nearest to the median.
    snoise : float
        For ``ccd``, the sensitivity noise as a fraction of the signal.
    """

    kind: str = 'none'
    low: float = 0.0
    high: float = 0.0
    keep: int = 0
    snoise: float = 0.0

    @property
    def by_rank(self) -> bool:
        """Whether values are dropped by their rank alone."""
        return self.kind in RANK_CLIPS


@dataclasses.dataclass(frozen=True)
class Noise:
    """What the noise model of ``ccd`` takes for each image.

    Attributes
    ----------
    gain : ndarray
        Shape (n,), electrons per data number.
    read_noise : ndarray
        Shape (n,), electrons.
    scales, zeros : ndarray
        Shape (n,): the values of image i are its stored ones times ``scales[i]`` plus ``zeros[i]``.
    """

    gain: NDArray[np.float64]
    read_noise: NDArray[np.float64]
    scales: NDArray[np.float64]
    zeros: NDArray[np.float64]

    @property
    def is_common(self) -> bool:
        """Whether all images have the same noise at the same value."""
        return all(np.ptp(numbers) == 0 for numbers in (self.gain, self.read_noise, self.scales, self.zeros))

    def sigma(self, centre: NDArray, snoise: float, image: NDArray[np.intp] | int = 0) -> NDArray:
        """Standard deviation of a value of an image at a level.

        Parameters
        ----------
        centre : ndarray
            Level after scaling, in data numbers.
        snoise : float
            Sensitivity noise as a fraction of the signal.
        image : ndarray of int or int
            Which image.

        Returns
        -------
        ndarray
            ``s * sqrt((read_noise/gain)**2 + d/gain + (snoise*d)**2)`` with
            the image's scale s and its level before scaling d, 0 where that
            is negative (Gain and read noise as in IRAF's imcombine, ccdclip).
        """
        scale = np.asarray(self.scales[image], centre.dtype)
        level = np.maximum((centre - np.asarray(self.zeros[image], centre.dtype)) / scale, 0)
        gain, read = (np.asarray(numbers[image], centre.dtype) for numbers in (self.gain, self.read_noise))
        return scale * np.sqrt((read / gain) ** 2 + level / gain + (snoise * level) ** 2)


def clip_for(kind: str, limits: tuple[float, float] | None = None, *, keep: int = 0, snoise: float = 0.0) -> Clip:
    """The rule that a kind and its limits stand for.

    Parameters
    ----------
    kind : str
        One of `CLIPS`.
    limits : (float, float), optional
        For the low and the high end; default: 1 for the rank clips, 0.2 and 0.1 for ``percentile``, else 3.
    keep : int
        At least so many values of each pixel are kept.
    snoise : float
        Sensitivity noise, for ``ccd``.

    Returns
    -------
    Clip
        With 0 at an end of a rank clip that is not clipped.

    Raises
    ------
    ValueError
        When a limit makes no sense for the kind.

    Examples
    --------
    >>> clip_for('max', (2, 2)).low, clip_for('sigma').high, clip_for('percentile').low
    (0, 3.0, 0.2)
    """
    low, high = limits or LIMITS.get(kind, (3.0, 3.0))
    if kind == 'none':
        return Clip()
    if not (low >= 0 and high >= 0):
        raise ValueError(f'the limits of {kind} are not below 0')
    if kind in ('min', 'max') and low != high:
        raise ValueError(f'{kind} drops from one end and takes one number')
    if kind == 'percentile' and low > 1:
        raise ValueError(f'{low:g} is no fraction of the median')
    if kind in RANK_CLIPS:
        if low != int(low) or high != int(high):
            raise ValueError(f'{kind} drops whole numbers of values')
        low, high = int(low) if kind != 'max' else 0, int(high) if kind != 'min' else 0
    return Clip(kind, low, high, keep, snoise)


def cannot_reject(clip: Clip, number: int) -> bool:
    """Whether a clip can't reject anything of so few values.

    Parameters
    ----------
    clip : Clip
        The rule.
    number : int
        Values of a pixel.

    Returns
    -------
    bool
        Fewer than 3 values are all kept, but by ``percentile`` and the rank
        clips. An outlier is at most sqrt(n - 1) plain sigmas away, for it makes sigma large itself.

    Examples
    --------
    >>> cannot_reject(clip_for('sigma'), 10), cannot_reject(clip_for('sigma'), 11)
    (True, False)
    """
    if clip.kind in ('sigma', 'mad', 'winsor', 'ccd') and number < max(_FEWEST, clip.keep + 1):
        return True
    return clip.kind == 'sigma' and min(clip.low, clip.high) ** 2 >= number - 1


def dropped_ranks(clip: Clip, number: int) -> tuple[int, int]:
    """How many of the lowest and of the highest values a rank clip drops.

    Parameters
    ----------
    clip : Clip
        The rule.
    number : int
        Values of a pixel.

    Returns
    -------
    (int, int)
        Fewer than asked for where `Clip.keep` values would not be left, in the same proportion.

    Examples
    --------
    >>> dropped_ranks(Clip('minmax', 1, 2), 9), dropped_ranks(Clip('minmax', 1, 2, keep=7), 9)
    ((1, 2), (0, 2))
    """
    if not clip.by_rank:
        return 0, 0
    low, high = int(clip.low), int(clip.high)
    most = max(number - clip.keep, 0)
    if clip.keep and low + high > most:
        high = -(-most * high // (low + high))
        low = most - high
    return low, high


def may_reject(stack: NDArray, clip: Clip, noise: Noise | None = None) -> NDArray[np.bool_]:
    """Which pixels have something to reject; some more may be named, none is missed.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m), all finite; float32, float64 or an integer type.
    clip : Clip
        A rule that is not by rank.
    noise : Noise, optional
        For ``ccd``.

    Returns
    -------
    ndarray of bool
        Shape (m,).
    """
    number = len(stack)
    if number < max(_FEWEST, clip.keep + 1) and clip.kind != 'percentile':
        return np.zeros(stack.shape[1], bool)
    kind = np.float32 if stack.dtype.itemsize < 4 or stack.dtype == np.float32 else np.float64
    first, low, high, last = sorting.select(stack, (0, (number - 1) // 2, number // 2, number - 1))
    with np.errstate(over='ignore', invalid='ignore', under='ignore'):
        # Distances are taken from a value, exactly, and only then from the middle between two, which is rounded.
        half = np.subtract(high, low, dtype=kind)
        half *= kind(0.5)
        below, above = np.subtract(low, first, dtype=kind), np.subtract(last, low, dtype=kind)
        below += half
        above -= half
        squares = _scale(stack, low, half, clip, noise)
        lowest, highest = (np.asarray(limit * limit * (1 - _MARGIN), kind) for limit in (clip.low, clip.high))
        below *= below
        above *= above
        sure = (below <= squares * lowest) & (above <= squares * highest)
        # Beyond the range of float32, or next to 0, the screening does not count.
        sure &= (squares < np.finfo(kind).max / 4) & (squares > np.finfo(kind).tiny * 1e6)
        sure &= min(clip.low, clip.high) > 0
    return ~(sure | (first == last))


def _scale(stack: NDArray, low: NDArray, half: NDArray, clip: Clip, noise: Noise | None) -> NDArray:
    """Square of the sigma that limits are multiples of, about."""
    kind = half.dtype
    if clip.kind == 'sigma':
        total = _sum_of_squares(_distances(stack, low, half))
        total /= kind.type(len(stack) - 1)
        return total
    if clip.kind == 'winsor':
        return _winsorized_in_rows(_distances(stack, low, half)) ** 2
    if clip.kind == 'mad':
        away = _distances(stack, low, half)
        np.abs(away, out=away)
        mad = sorting.select(away, ((len(away) - 1) // 2,), overwrite=True)[0]
        return (mad * kind.type(MAD_TO_SIGMA)) ** 2
    centre = low.astype(kind) + half
    if clip.kind == 'percentile':
        return centre * centre
    assert noise is not None
    images = range(1 if noise.is_common else len(stack))
    return np.minimum.reduce([noise.sigma(centre, clip.snoise, image) for image in images]) ** 2


def _winsorized_in_rows(away: NDArray) -> NDArray:
    """As `_winsorized`, less a hundredth, of whole rows of pixels; 0 where it does not settle.

    With few digits a pixel may settle a round sooner or later, which moves sigma by some `_SETTLED`.
    """
    sigma = _deviation_in_rows(away)
    out, going, settled = np.zeros_like(sigma), np.arange(len(sigma)), np.zeros(len(sigma), bool)
    for _ in range(_MOST_ROUNDS):
        limit = away.dtype.type(_HUBER) * sigma
        np.clip(away, -limit, limit, out=away)
        new = _deviation_in_rows(away) * away.dtype.type(_WINSOR_TO_SIGMA)
        fresh = ~(settled | (np.abs(new - sigma) > sigma * away.dtype.type(_SETTLED)))
        out[going[fresh]] = new[fresh]
        sigma, settled = new, settled | fresh
        if 3 * np.count_nonzero(settled) > len(settled):  # to go on without them costs as much as a round with them
            left = np.flatnonzero(~settled)
            away, sigma, going, settled = away.take(left, axis=1), sigma[left], going[left], settled[left]
        if not len(going):
            break
    return out * away.dtype.type(0.99)


def _deviation_in_rows(away: NDArray) -> NDArray:
    """Standard deviation with n - 1 of values whose mean is near 0, so that the difference of sums does no harm."""
    number = len(away)
    mean = away[0].copy()
    for row in away[1:]:
        mean += row
    mean /= away.dtype.type(number)
    square = _sum_of_squares(away)
    square -= mean * mean * away.dtype.type(number)
    return np.sqrt(np.maximum(square, 0) / away.dtype.type(number - 1))


def _sum_of_squares(rows: NDArray) -> NDArray:
    """Row by row: einsum rounds a pixel by how many others are beside it, and the answer must not depend on that."""
    total, term = np.zeros_like(rows[0]), np.empty_like(rows[0])
    for row in rows:
        np.multiply(row, row, out=term)
        total += term
    return total


def _distances(stack: NDArray, low: NDArray, half: NDArray) -> NDArray:
    """Distances of values from the middle between two of them."""
    away = stack.astype(half.dtype)  # and then in place: twice as fast as a difference of two types
    if stack.dtype.kind in 'iu' and stack.dtype.itemsize <= 2:  # the middle of such values is exact
        away -= low + half
    else:
        away -= low.astype(half.dtype)
        away -= half
    return away


def windows(
    values: NDArray[np.float64],
    present: NDArray[np.intp],
    clip: Clip,
    noise: Noise | None = None,
    images: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The ranks that are kept of each pixel.

    Parameters
    ----------
    values : ndarray of float64
        Shape (m, n): for each of m pixels its values in ascending order; finite.
        What stands behind `present` does not count.
    present : ndarray of int
        Shape (m,), how many values each pixel has.
    clip : Clip
        The rule.
    noise : Noise, optional
        For ``ccd``.
    images : ndarray of int, optional
        Shape (m, n): which image each value is of, for ``ccd`` where the images' noise differs.

    Returns
    -------
    low : ndarray of int
        Shape (m,): ``values[i, low[i]:high[i]]`` are kept.
    high : ndarray of int
        Shape (m,). Not above `low` where nothing is left.

    Notes
    -----
    All but the rank clips have the median of what is left as centre and reject
    a value that lies more than LOW sigmas below or HIGH sigmas above it, again
    and again until nothing more goes or fewer than 3 are left:

    * ``sigma``: the standard deviation about the centre, with n - 1 (IRAF's
      imcombine, sigclip with mclip=yes);
    * ``mad``: 1.4826 times the median absolute deviation from the centre; where that is 0, the sigma above;
    * ``winsor``: the standard deviation (about the mean, with n - 1) of the
      values held within centre +- 1.5 sigma, times 1.134, repeated until it
      changes by less than 0.05 % (Huber; Siril's default);
    * ``ccd``: `Noise.sigma` at the centre, of each image its own, from the ends inwards (IRAF's ccdclip);
    * ``percentile``: the absolute value of the centre, once (Siril's percentile clipping).
    """
    low = np.zeros(len(values), np.intp)
    high = np.asarray(present, np.intp).copy()
    if clip.kind == 'none':
        return low, high
    if clip.by_rank:
        return _rank_windows(high, clip)
    once = clip.kind == 'percentile'
    going = np.flatnonzero(high >= max(1 if once else _FEWEST, clip.keep + 1))
    while len(going):
        below, above = _rejected(values[going], low[going], high[going], clip, noise, _of(images, going))
        inner_low, inner_high = low[going] + below, high[going] - above
        if clip.keep:
            short = np.flatnonzero(inner_high - inner_low < clip.keep)
            _give_back(values[going[short]], low[going[short]], high[going[short]], inner_low, inner_high, short, clip)
        left = inner_high - inner_low
        changed = left < high[going] - low[going]
        low[going], high[going] = inner_low, inner_high
        if once:
            break
        going = going[changed & (left >= max(_FEWEST, clip.keep + 1))]
    return low, high


def _of(images: NDArray | None, pixels: NDArray[np.intp]) -> NDArray | None:
    return None if images is None else images[pixels]


def _rank_windows(present: NDArray[np.intp], clip: Clip) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    low, high = np.zeros_like(present), present.copy()
    for number in np.unique(present):
        below, above = dropped_ranks(clip, int(number))
        here = present == number
        # Where fewer values are there than are dropped, the low end takes its own first.
        low[here] = min(below, number)
        high[here] = max(number - above, min(below, number))
    return low, high


def window_median(values: NDArray, low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray:
    """Median of a window of ranks.

    Parameters
    ----------
    values : ndarray
        Shape (m, n), ascending along the last axis.
    low, high : ndarray of int
        Shape (m,), the windows.

    Returns
    -------
    ndarray
        Shape (m,), the mean of the two middle values for an even number; NaN for an empty window.

    Examples
    --------
    >>> window_median(np.array([[1.0, 2.0, 3.0, 10.0]]), np.array([0]), np.array([3]))
    array([2.])
    """
    rows, number = np.arange(len(values)), high - low
    last = values.shape[1] - 1
    first = values[rows, np.clip(low + (number - 1) // 2, 0, last)]
    second = values[rows, np.clip(low + number // 2, 0, last)]
    with np.errstate(over='ignore', invalid='ignore'):
        middle = np.where(first == second, first, first / 2 + second / 2)
    return np.where(number > 0, middle, np.nan)


def inside(low: NDArray[np.intp], high: NDArray[np.intp], number: int) -> NDArray[np.bool_]:
    """Which ranks lie in a window.

    Parameters
    ----------
    low, high : ndarray of int
        Shape (m,), the windows.
    number : int
        How many ranks there are.

    Returns
    -------
    ndarray of bool
        Shape (m, number).
    """
    ranks = np.arange(number)
    return (ranks >= low[:, None]) & (ranks < high[:, None])


# Whether values lie beyond a limit: of values, the rows they stand in, their ranks, and the limit.
Test = Callable[[NDArray, NDArray[np.intp], NDArray[np.intp], float], NDArray[np.bool_]]


def _rejected(
    values: NDArray, low: NDArray, high: NDArray, clip: Clip, noise: Noise | None, images: NDArray | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """How many values of each window one round rejects at its low and its high end."""
    centre = window_median(values, low, high)
    with np.errstate(over='ignore', invalid='ignore', under='ignore'):
        beyond = _test(values, low, high, centre, clip, noise, images)
        below = _peeled(values, low, 1, high - low, lambda found, row: found < centre[row], clip.low, beyond)
        above = _peeled(values, high - 1, -1, high - low, lambda found, row: found > centre[row], clip.high, beyond)
    return below, above


def _peeled(
    values: NDArray,
    first: NDArray[np.intp],
    step: int,
    most: NDArray[np.intp],
    is_outward: Callable[[NDArray, NDArray[np.intp]], NDArray[np.bool_]],
    limit: float,
    beyond: Test,
) -> NDArray[np.intp]:
    """How many values lie beyond a limit, from one end of the window inwards."""
    gone = np.zeros(len(values), np.intp)
    rows = np.arange(len(values))
    while len(rows):
        ranks = first[rows] + step * gone[rows]
        found = values[rows, ranks]
        rows = rows[is_outward(found, rows) & beyond(found, rows, ranks, limit)]
        gone[rows] += 1
        rows = rows[gone[rows] < most[rows]]
    return gone


def _test(
    values: NDArray,
    low: NDArray,
    high: NDArray,
    centre: NDArray,
    clip: Clip,
    noise: Noise | None,
    images: NDArray | None,
) -> Test:
    if clip.kind == 'percentile':
        return _by_distance(centre, np.abs(centre))
    if clip.kind == 'ccd':
        assert noise is not None
        if images is None:
            return _by_distance(centre, noise.sigma(centre, clip.snoise))
        return lambda found, row, rank, limit: (
            np.abs(found - centre[row]) > limit * noise.sigma(centre[row], clip.snoise, images[row, rank])
        )
    if clip.kind == 'mad':
        sigma = dataclasses.replace(clip, kind='sigma')
        return _by_mad(values, low, high, centre, lambda: _test(values, low, high, centre, sigma, None, None))
    kept = inside(low, high, values.shape[1])
    away = np.where(kept, values - centre[:, None], 0.0)
    factor = _factor(away)
    away *= factor[:, None]
    if clip.kind == 'winsor':
        return _by_distance(centre, _winsorized(away, kept, high - low), factor)
    return _by_sigma(centre, away, high - low, factor)


def _factor(away: NDArray) -> NDArray:
    """A power of 2 that brings the largest distance near 1: it changes no digit and keeps the squares in range."""
    largest = np.maximum(away.max(axis=1), -away.min(axis=1))
    return np.ldexp(1.0, np.minimum(-np.frexp(largest)[1], 1000))


def _by_distance(centre: NDArray, sigma: NDArray, factor: NDArray | None = None) -> Test:
    """The limit in sigmas; these are of distances times a factor, where there is one."""
    scale = np.ones_like(centre) if factor is None else factor
    return lambda found, row, _rank, limit: np.abs(found - centre[row]) * scale[row] > limit * sigma[row]


def _by_sigma(centre: NDArray, away: NDArray, number: NDArray, factor: NDArray) -> Test:
    """The limit as squares, without a root or a quotient: exact for integers, where values often lie right on it."""
    total = np.einsum('ij,ij->i', away, away)

    def beyond(found: NDArray, row: NDArray, _rank: NDArray, limit: float) -> NDArray[np.bool_]:
        distance = (found - centre[row]) * factor[row]
        return distance * distance * (number[row] - 1) > limit * limit * total[row]

    return beyond


def _by_mad(values: NDArray, low: NDArray, high: NDArray, centre: NDArray, by_sigma: Callable[[], Test]) -> Test:
    """1.4826 MAD; where that is 0, as of quantized data, the standard deviation."""
    mad = window_mad(values, low, high, centre)
    by_mad = _by_distance(centre, MAD_TO_SIGMA * mad)
    if (mad > 0).all():
        return by_mad
    instead = by_sigma()
    return lambda found, row, rank, limit: np.where(
        mad[row] > 0, by_mad(found, row, rank, limit), instead(found, row, rank, limit)
    )


def window_mad(values: NDArray, low: NDArray[np.intp], high: NDArray[np.intp], centre: NDArray) -> NDArray:
    """Median absolute deviation of a window of ranks from its centre.

    Parameters
    ----------
    values : ndarray of float64
        Shape (m, n), ascending along the last axis.
    low, high : ndarray of int
        Shape (m,), the windows; none is empty.
    centre : ndarray of float64
        Shape (m,).

    Returns
    -------
    ndarray of float64
        Shape (m,).

    Notes
    -----
    The h values nearest to a centre stand beside each other, so that the
    h-th distance is the least, over all runs of h values, of the larger distance of their two ends: no sort is needed.

    Examples
    --------
    >>> window_mad(np.array([[0.0, 1.0, 2.0, 4.0, 90.0]]), np.array([0]), np.array([5]), np.array([2.0]))
    array([2.])
    """
    out, number = np.empty(len(values)), high - low
    for count in np.unique(number):
        rows = np.flatnonzero(number == count)
        start = int(low[rows[0]])
        if (low[rows] == start).all():
            held = values[rows, start : start + count]
        else:
            held = np.take_along_axis(values[rows], low[rows][:, None] + np.arange(count), axis=1)
        away = held - centre[rows][:, None]
        first, second = (_nearest(away, place) for place in ((count + 1) // 2, count // 2 + 1))
        out[rows] = np.where(first == second, first, first / 2 + second / 2)
    return out


def _nearest(away: NDArray, place: int) -> NDArray:
    """The distance of the value that is the place-th nearest, from ascending differences."""
    runs = away.shape[1] - place + 1
    return np.maximum(-away[:, :runs], away[:, place - 1 :]).min(axis=1)


def _winsorized(away: NDArray, kept: NDArray, number: NDArray) -> NDArray:
    """Standard deviation of the values held within 1.5 sigma, times 1.134."""
    sigma = _deviation(away, kept, number)
    rows = np.flatnonzero(sigma > 0)
    held, inner, count = away[rows], kept[rows], number[rows]
    for _ in range(_MOST_ROUNDS):
        limit = _HUBER * sigma[rows][:, None]
        np.clip(held, -limit, limit, out=held)
        new = _WINSOR_TO_SIGMA * _deviation(held, inner, count)
        moving = np.abs(new - sigma[rows]) > _SETTLED * sigma[rows]
        sigma[rows] = new
        if not moving.any():
            break
        if not moving.all():
            rows, held, inner, count = rows[moving], held[moving], inner[moving], count[moving]
    return sigma


def _deviation(values: NDArray, kept: NDArray, number: NDArray) -> NDArray:
    away = values - (values.sum(axis=1) / number)[:, None]
    if (number < values.shape[1]).any():
        away[~kept] = 0
    return np.sqrt(np.einsum('ij,ij->i', away, away) / np.maximum(number - 1, 1))


def _give_back(
    values: NDArray,
    low: NDArray,
    high: NDArray,
    inner_low: NDArray[np.intp],
    inner_high: NDArray[np.intp],
    pixels: NDArray[np.intp],
    clip: Clip,
) -> None:
    """Widen windows, in place, to the values nearest to the centre; all of one distance together, as IRAF does."""
    centres = window_median(values, low, high)
    for row, pixel in enumerate(pixels):
        held = values[row, low[row] : high[row]]
        distances = np.abs(held - centres[row])
        limit = np.sort(distances)[min(clip.keep, len(held)) - 1]
        kept = np.flatnonzero(distances <= limit)
        inner_low[pixel], inner_high[pixel] = low[row] + kept[0], low[row] + kept[-1] + 1
