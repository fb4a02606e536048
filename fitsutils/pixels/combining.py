"""A band of a stack of images -> a band of one image: ``(n, rows, nx) -> (rows, nx)``.

A pixel that has all its values and nothing to reject, as nearly all have, is
combined in whole rows of pixels in the data's own type. The others (a value
missing, or one that may stand out) are gathered, sorted one by one and
combined in float64. Which way a pixel goes depends on its own values alone, so
that the result is the same whatever the bands and chunks.
"""

import dataclasses
import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import gathered, growing, planes, rejection
from fitsutils.pixels.arithmetic import working_type
from fitsutils.pixels.rejection import Clip, Noise

METHODS = ('average', 'max', 'mean', 'median', 'min', 'quantile', 'rms', 'std', 'sum', 'var')
MAPS = ('count', 'sigma', 'low', 'high', 'exptime')
_MEDIAN_TO_MEAN = 1.2533  # sqrt(pi/2): the error of a median of normal values against that of their mean
_LARGEST_BAND = 64 << 20  # bytes with all that combining takes; a larger band gains nothing and leaves the caches
_LONG_READ = 1 << 19  # bytes for each image that a band may have all the same: short reads cost more
_FLOAT32_END = 2.0**128 * (1 - 2.0**-25)  # from here on rounding gives infinity
_NO_CLIP = Clip()
_CHUNK = 1 << 16  # pixels whose values are combined together: what they take stays in the caches and the heap
_GATHERED = 1 << 18  # values that are sorted pixel by pixel together

Weights = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the values of each pixel become one.

    Attributes
    ----------
    method : str
        One of `METHODS`. ``std``, ``rms`` and ``var`` are about the mean, divided by the number of values.
    clip : Clip
        What is rejected first.
    fraction : float
        For ``quantile``, 0 to 1; interpolated linearly.
    shift : int
        Bits by which integer data are shifted before all else.
    below, above : float
        Values beyond these, before any scaling, are rejected.
    grow : float
        What lies within so many pixels of a value that `clip` rejected is rejected in the same image.
    fill : bool
        Whether a pixel whose values were all rejected gets the median of all of them, instead of NaN.
    maps : frozenset of str
        What else is wanted of each pixel: names of `MAPS`, and ``uncertainty``.
    weigh : bool
        Whether variances of the values, where there are any, weigh a mean.
    carry : bool
        Whether the map ``uncertainty`` comes from the variances of the values, not from their scatter.
    """

    method: str = 'median'
    clip: Clip = _NO_CLIP
    fraction: float = 0.5
    shift: int = 0
    below: float = -math.inf
    above: float = math.inf
    grow: float = 0.0
    fill: bool = False
    maps: frozenset[str] = frozenset()
    weigh: bool = True
    carry: bool = False

    @property
    def margin(self) -> int:
        """Rows above and below a band that have a say in it."""
        return int(self.grow)

    def thresholds(self, kind: np.dtype) -> tuple[float, float]:
        """`below` and `above` as values of a type: 0.1 of float32 is not above 0.1.

        Parameters
        ----------
        kind : dtype
            Type of the values.

        Returns
        -------
        (float, float)
            Both, rounded to float32 where `kind` is that; infinite beyond it.
        """
        if kind != np.float32:
            return self.below, self.above
        with np.errstate(over='ignore'):
            return float(np.float32(self.below)), float(np.float32(self.above))

    @property
    def spreads(self) -> bool:
        """Whether the scatter of the values is wanted."""
        return bool(self.maps & ({'sigma'} if self.carry else {'sigma', 'uncertainty'}))

    @property
    def has_thresholds(self) -> bool:
        """Whether values are rejected for what they are."""
        return self.below > -math.inf or self.above < math.inf


@dataclasses.dataclass(frozen=True)
class Frames:
    """One number an image, for what is done with its pixels.

    Attributes
    ----------
    scales, zeros : ndarray or None
        Shape (n,): the values are multiplied by the one, then the other is added, before rejection.
    weights : ndarray or None
        Shape (n,), for ``mean`` and ``average``; the sum is divided by the weights of the values that were used.
    exposures : ndarray or None
        Shape (n,), seconds, for the map ``exptime``.
    gain, read_noise : ndarray or None
        Shape (n,), for the clip ``ccd``.
    """

    scales: NDArray[np.float64] | None = None
    zeros: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    exposures: NDArray[np.float64] | None = None
    gain: NDArray[np.float64] | None = None
    read_noise: NDArray[np.float64] | None = None

    def noise(self, number: int) -> Noise | None:
        """The noise model of the images.

        Parameters
        ----------
        number : int
            How many images there are.

        Returns
        -------
        Noise or None
            None without a gain.
        """
        if self.gain is None or self.read_noise is None:
            return None
        scales = np.ones(number) if self.scales is None else np.asarray(self.scales, 'f8')
        zeros = np.zeros(number) if self.zeros is None else np.asarray(self.zeros, 'f8')
        return Noise(np.asarray(self.gain, 'f8'), np.asarray(self.read_noise, 'f8'), scales, zeros)

    def rescaled(self, values: NDArray, kind: np.dtype) -> NDArray:
        """Values brought to one level.

        Parameters
        ----------
        values : ndarray
            Shape (n, m).
        kind : dtype
            Type to compute in.

        Returns
        -------
        ndarray
            `values` themselves where there is nothing to do.
        """
        if self.scales is None and self.zeros is None:
            return values
        with np.errstate(over='ignore', invalid='ignore'):
            scales = np.ones(len(values)) if self.scales is None else self.scales
            out = np.empty(values.shape, kind)
            for number, (row, scale) in enumerate(zip(values, scales, strict=True)):
                np.copyto(out[number], row, casting='unsafe')
                out[number] *= kind.type(scale)
                if self.zeros is not None:
                    out[number] += kind.type(self.zeros[number])
        return out


@dataclasses.dataclass
class Combined:
    """A combined band.

    Attributes
    ----------
    pixels : ndarray of float64
        Shape (rows, nx). NaN where nothing is left of a pixel.
    maps : dict of ndarray
        Shape (rows, nx): ``count`` (of the values used), ``low`` and ``high``
        (of those rejected below and above), ``sigma`` (standard deviation of
        the values used, with n - 1), ``exptime`` (seconds, of the images
        used), ``uncertainty`` (standard deviation of the result), as asked for.
    rejected : int
        Values rejected, in all.
    lost : int
        Pixels of which nothing was left.
    """

    pixels: NDArray[np.float64]
    maps: dict[str, NDArray]
    rejected: int = 0
    lost: int = 0


def combine_band(
    band: NDArray,
    recipe: Recipe,
    frames: Frames | None = None,
    *,
    variances: NDArray | None = None,
    margins: tuple[int, int] = (0, 0),
) -> Combined:
    """Combine a band of rows of a stack of images.

    Parameters
    ----------
    band : ndarray
        Shape (n, rows, nx), any real type; NaN and infinite values are missing and left out. Overwritten.
    recipe : Recipe
        Method, rejection and maps.
    frames : Frames, optional
        Scales, weights and what else goes with each image.
    variances : ndarray, optional
        Shape of `band`: variances of its values. Where they weigh (`Recipe.weigh`), a mean is weighted by
        their inverse, and a value whose variance is not positive and finite is missing. Where they are carried
        (`Recipe.carry`), the uncertainty of a pixel with a variance that is NaN is NaN.
    margins : (int, int)
        How many rows at the top and the bottom of the band are there for `Recipe.grow` only, and are not in the result.

    Returns
    -------
    Combined
        Of ``rows - sum(margins)`` rows.

    Examples
    --------
    >>> band = np.array([1, 2, 3, 10], 'u2').reshape(4, 1, 1)
    >>> combine_band(band.copy(), Recipe()).pixels, combine_band(band, Recipe('mean', Clip('max', high=1))).pixels
    (array([[2.5]]), array([[2.]]))
    """
    frames = frames or Frames()
    rows, width = band.shape[1:]
    inner = slice(margins[0], rows - margins[1])
    spread = None
    if variances is not None:
        band, spread = (_without_worthless(band, variances) if recipe.weigh else band), _columns(variances[:, inner])
    stack, removed = band, None
    if recipe.grow and recipe.clip.kind != 'none':
        stack, removed = _grown(band, recipe, frames, margins)
    own = recipe if removed is None else dataclasses.replace(recipe, clip=Clip(), shift=0)
    result = _combine_pixels(_columns(stack[:, inner]), own, frames, spread, overwrite=not recipe.fill)
    if removed is not None:
        result.maps.update(removed.maps)
        result.rejected += removed.rejected
    if recipe.fill and result.lost:
        _fill(result, _columns(band[:, inner]), recipe, frames)
    shape = (inner.stop - inner.start, width)
    maps = {name: values.reshape(shape) for name, values in result.maps.items()}
    return Combined(result.pixels.reshape(shape), maps, result.rejected, result.lost)


def _columns(band: NDArray) -> NDArray:
    return np.ascontiguousarray(band).reshape(len(band), -1)


def _combine_pixels(
    stack: NDArray, recipe: Recipe, frames: Frames, variances: NDArray | None, *, overwrite: bool
) -> Combined:
    """Combine (n, m) values, chunk by chunk; the pixels that go one by one wait until there are many of them."""
    result = _empty(stack.shape[1], recipe.maps)
    waiting: list[_Singles] = []
    for start in range(0, stack.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        beside = None if variances is None else variances[:, part]
        chunk = _Chunk(stack[:, part], recipe, frames, beside, overwrite)
        waiting.append(chunk.combine(result, start))
        if part.stop >= stack.shape[1] or sum(singles.columns.size for singles in waiting) >= _GATHERED:
            chunk.combine_singles(result, waiting)
            waiting = []
    return result


class _Singles(NamedTuple):
    """Pixels that go one by one."""

    pixels: NDArray[np.intp]
    columns: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    variances: NDArray[np.float64] | None

    def part(self, some: slice) -> '_Singles':
        """Some of the pixels."""
        weights, variances = (_beside(values, some) for values in (self.weights, self.variances))
        return _Singles(self.pixels[some], self.columns[some], weights, variances)


def _beside(values: NDArray | None, some: slice | NDArray[np.intp]) -> NDArray | None:
    """What some pixels have of the values of all, (n, m); those of the images, (n,), are the same for all pixels."""
    return values if values is None or values.ndim == 1 else values[:, some]


def _joined(waiting: Sequence[_Singles]) -> _Singles:
    pixels, columns = (np.concatenate([getattr(one, name) for one in waiting]) for name in ('pixels', 'columns'))
    weights, variances = (
        values if values is None or values.ndim == 1 else np.concatenate([one[place] for one in waiting], axis=1)
        for place, values in ((2, waiting[0].weights), (3, waiting[0].variances))
    )
    return _Singles(pixels, columns, weights, variances)


def _empty(number: int, maps: Collection[str]) -> Combined:
    return Combined(np.empty(number), {name: np.zeros(number) for name in maps})


class _Chunk:
    """Some pixels of a stack: those that go the short way, and those that go one by one."""

    def __init__(
        self, stack: NDArray, recipe: Recipe, frames: Frames, variances: NDArray | None, overwrite: bool
    ) -> None:
        self._raw = shifted(stack, recipe.shift)
        self._overwrite = overwrite or self._raw is not stack
        self._recipe, self._frames, self._variances = recipe, frames, variances
        self._below, self._above = recipe.thresholds(stack.dtype)
        self._noise = frames.noise(len(stack)) if recipe.clip.kind == 'ccd' else None
        self._weighs = (variances is not None and recipe.weigh) or frames.weights is not None
        self._maps_of_images = recipe.maps & {'exptime'} or recipe.carry  # they must know which images are left

    def combine(self, out: Combined, start: int) -> _Singles:
        """Fill in the result from a pixel on; give the pixels that are still to go one by one."""
        values, single = self._sorted_out()
        columns = self._raw[:, single].T.astype('f8')
        if values is not None:
            # The pixels that go one by one are combined here too, and then overwritten: picking them out costs more.
            self._in_rows(out, slice(start, start + self._raw.shape[1]), values, len(single))
        return _Singles(start + single, columns, self._weights(single), self._carried_variances(single))

    def combine_singles(self, out: Combined, waiting: Sequence[_Singles]) -> None:
        """Fill in pixels one by one; they may be those of other chunks of the same stack too."""
        singles = _joined(waiting)
        for first in range(0, len(singles.pixels), step := max(1, _GATHERED // len(self._raw))):
            self._one_by_one(out, singles.part(slice(first, first + step)))

    def rejections(self) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
        """Which values are kept, (n, m), and how many of each pixel are rejected below and above."""
        kept = np.ones(self._raw.shape, bool)
        low, high = np.zeros(kept.shape[1], np.intp), np.zeros(kept.shape[1], np.intp)
        single = self._sorted_out()[1]
        for first in range(0, len(single), step := max(1, _GATHERED // len(self._raw))):
            some = single[first : first + step]
            columns, below, above = self._clipped(self._raw[:, some].T.astype('f8'), by_image=True)
            kept[:, some] = columns.kept_images().T
            low[some], high[some] = columns.low + below, columns.present - columns.high + above
        return kept, low, high

    def _sorted_out(self) -> tuple[NDArray | None, NDArray[np.intp]]:
        """The values as they are combined in rows (None where no pixel is), and the pixels that go one by one."""
        recipe, number = self._recipe, self._raw.shape[1]
        if recipe.clip.by_rank and (self._weighs or recipe.grow or self._maps_of_images):
            return None, np.arange(number)
        values = self._frames.rescaled(self._raw, working_type(self._raw.dtype))
        single = self._odd(values)
        if recipe.clip.kind != 'none' and not recipe.clip.by_rank:
            single |= rejection.may_reject(values, recipe.clip, self._noise)
        return None if single.all() else values, np.flatnonzero(single)

    def _odd(self, values: NDArray) -> NDArray[np.bool_]:
        """Pixels with a value that is missing, beyond a threshold or beyond the type."""
        odd = np.zeros(values.shape[1], bool)
        if values.dtype.kind == 'f':
            total = values[0].copy()
            with np.errstate(invalid='ignore', over='ignore'):
                for row in values[1:]:
                    total += row
            odd = ~np.isfinite(total)
        if self._recipe.has_thresholds:
            for row in self._raw:
                odd |= (row < self._below) | (row > self._above)
        return odd

    def _weights(self, pixels: NDArray[np.intp] | slice) -> NDArray | None:
        """Weights of pixels, (n, m), or of the images, (n,)."""
        if self._variances is not None and self._recipe.weigh:
            with np.errstate(divide='ignore', over='ignore'):  # where a variance says nothing, its value is missing
                return 1 / self._scaled_variances(pixels)
        return None if self._frames.weights is None else np.asarray(self._frames.weights, 'f8')

    def _scaled_variances(self, pixels: NDArray[np.intp] | slice) -> NDArray:
        assert self._variances is not None
        scales = 1.0 if self._frames.scales is None else np.asarray(self._frames.scales, 'f8')[:, None]
        with np.errstate(over='ignore', invalid='ignore'):
            return scales * scales * self._variances[:, pixels]

    def _carried_variances(self, pixels: NDArray[np.intp] | slice) -> NDArray | None:
        return self._scaled_variances(pixels) if self._recipe.carry else None

    def _in_rows(self, out: Combined, pixels: slice, values: NDArray, others: int) -> None:
        recipe, number = self._recipe, len(values)
        dropped, weights = rejection.dropped_ranks(recipe.clip, number), self._weights(slice(None))
        count = values.shape[1] - others
        out.rejected += min(sum(dropped), number) * count
        if sum(dropped) >= number:
            out.lost += count
            found = {'pixels': np.nan, 'sigma': np.nan, 'uncertainty': np.nan, 'low': number - dropped[1]}
            _store(out, pixels, found | {'high': dropped[1]})
            return
        found = {'count': number - sum(dropped), 'low': dropped[0], 'high': dropped[1]}
        if self._frames.exposures is not None:
            found['exptime'] = np.sum(self._frames.exposures)
        with np.errstate(invalid='ignore', over='ignore'):
            if recipe.spreads:
                found |= self._spread_in_rows(values, dropped, weights)
            if recipe.carry:
                found['uncertainty'] = _carried(self._scaled_variances(slice(None)), None, weights, recipe.method)
            if weights is None:
                ours = self._overwrite or values is not self._raw
                found['pixels'] = planes.reduce(values, recipe.method, dropped, recipe.fraction, overwrite=ours)
            else:
                found['pixels'] = planes.weighted_mean(values, list(weights))
        _store(out, pixels, found)

    def _spread_in_rows(self, values: NDArray, dropped: tuple[int, int], weights: NDArray | None) -> dict[str, NDArray]:
        if weights is not None:
            columns, beside = self._clipped(values.T.astype('f8'), by_image=True, raw=False), weights.T
            sigma, number = gathered.spread(columns[0], beside)
            return {'sigma': gathered.spread(columns[0])[0], 'uncertainty': sigma / np.sqrt(number)}
        rows = planes.kept_rows(values, dropped)
        count = len(rows)
        square = planes.squares_about(rows, planes.mean(rows))
        sigma = np.sqrt(square / (count - 1)) if count > 1 else np.full(len(square), np.nan)
        return {'sigma': sigma, 'uncertainty': sigma * _error_factor(self._recipe.method, count)}

    def _clipped(self, columns: NDArray, *, by_image: bool, raw: bool = True) -> tuple[Any, NDArray, NDArray]:
        """Sorted pixels with their windows; how many values were below and above the thresholds."""
        recipe, frames = self._recipe, self._frames
        with np.errstate(invalid='ignore', over='ignore'):
            low, high = columns < self._below, columns > self._above
            beyond = (low | high) & np.isfinite(columns)
            if raw:
                columns = frames.rescaled(columns.T, np.dtype('f8')).T
        columns = np.where(beyond, np.nan, columns) if raw else np.array(columns)
        found = gathered.clipped(columns, recipe.clip, self._noise, by_image=by_image)
        counts = (np.count_nonzero(side & beyond, axis=1) for side in (low, high))
        return found, *counts

    def _one_by_one(self, out: Combined, singles: _Singles) -> None:
        recipe, weights = self._recipe, singles.weights
        beside = None if weights is None else weights.T
        by_image = weights is not None or bool(self._maps_of_images)
        sample, below, above = self._clipped(singles.columns, by_image=by_image)
        found = {'pixels': gathered.reduce(sample, recipe.method, recipe.fraction, beside), 'count': sample.count}
        found |= {'low': sample.low + below, 'high': sample.present - sample.high + above}
        if recipe.spreads:
            found['sigma'], _ = gathered.spread(sample)
            sigma, number = gathered.spread(sample, beside)
            with np.errstate(invalid='ignore', divide='ignore'):
                found['uncertainty'] = sigma * _error_factor(recipe.method, number)
        if recipe.carry:
            found['uncertainty'] = _carried(singles.variances, sample.kept_images().T, weights, recipe.method)
        if 'exptime' in recipe.maps:
            # Not a matrix product, whose rounding depends on how many pixels there are.
            found['exptime'] = np.where(sample.kept_images(), self._frames.exposures, 0.0).sum(axis=1)
        out.rejected += int((sample.present - sample.count + below + above).sum())
        out.lost += int(np.count_nonzero(sample.count == 0))
        _store(out, singles.pixels, found)


def _carried(
    variances: NDArray, kept: NDArray[np.bool_] | None, weights: NDArray | None, method: str
) -> NDArray[np.float64]:
    """Standard deviation of the results, (m,), from the variances of the values that are kept, (n, m); None: all."""
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        beside = 1.0 if weights is None else weights.reshape(len(variances), -1)
        terms = variances * beside * beside
        share = np.broadcast_to(beside, terms.shape) if kept is None else np.where(kept, beside, 0.0)
        total, count = planes.total(list(np.where(share != 0, terms, 0.0))), planes.total(list(share))
        if method == 'sum':
            return np.where(share.any(axis=0), np.sqrt(total), np.nan)
        return _median_factor(count, method) * np.sqrt(total) / count


def _store(out: Combined, pixels: NDArray[np.intp] | slice, found: dict[str, Any]) -> None:
    for name, values in found.items():
        if name == 'pixels':
            out.pixels[pixels] = values
        elif name in out.maps:
            out.maps[name][pixels] = values


def _error_factor(method: str, number: NDArray | int) -> NDArray | float:
    """What the standard deviation of the values becomes as that of the result."""
    if method == 'sum':
        return np.sqrt(number)
    return _median_factor(number, method) / np.sqrt(number)


def _median_factor(number: NDArray | int, method: str) -> NDArray | float:
    """How much larger the error of a median is than that of a mean; of one or two values it is their mean."""
    return np.where(np.asarray(number) > 2, _MEDIAN_TO_MEAN, 1.0) if method == 'median' else 1.0


def _without_worthless(band: NDArray, variances: NDArray) -> NDArray:
    """The band with values missing whose variance says nothing."""
    worthless = ~((variances > 0) & np.isfinite(variances))
    if not worthless.any():
        return band
    band = band.astype(working_type(band.dtype))
    band[worthless] = np.nan
    return band


def _grown(band: NDArray, recipe: Recipe, frames: Frames, margins: tuple[int, int]) -> tuple[NDArray, Combined]:
    """The band without what the clip rejects and its neighbours, as floats; and what was rejected of the inner rows."""
    shape, inner = band.shape, slice(margins[0], band.shape[1] - margins[1])
    columns = _columns(band)
    chunks = [columns[:, start : start + _CHUNK] for start in range(0, columns.shape[1], _CHUNK)]
    found = zip(*(_Chunk(chunk, recipe, frames, None, False).rejections() for chunk in chunks), strict=True)
    kept, low, high = (np.concatenate(pieces, axis=-1).reshape(*pieces[0].shape[:-1], *shape[1:]) for pieces in found)
    out = shifted(band, recipe.shift).astype(working_type(band.dtype))
    below, above = recipe.thresholds(band.dtype)
    beyond = (out < below) | (out > above)
    missing = ~np.isfinite(out) | beyond
    clipped = ~kept & ~missing
    removed = np.stack([growing.grown(one, recipe.grow) for one in clipped]) & ~missing
    left = len(band) - np.count_nonzero(missing | removed, axis=0)
    removed &= (left >= max(1, recipe.clip.keep)) | clipped  # where growing would leave too few, it does not happen
    out[removed | beyond] = np.nan
    counts = {'low': low[inner].ravel(), 'high': high[inner].ravel()}
    maps = {name: values for name, values in counts.items() if name in recipe.maps}
    return out, Combined(np.empty(0), maps, int(np.count_nonzero((removed | beyond)[:, inner])))


def _fill(result: Combined, stack: NDArray, recipe: Recipe, frames: Frames) -> None:
    """Give pixels whose values were all rejected the median of all of them."""
    lost = np.flatnonzero(np.isnan(result.pixels))
    with np.errstate(invalid='ignore', over='ignore'):
        values = frames.rescaled(shifted(stack[:, lost], recipe.shift).astype('f8'), np.dtype('f8'))
    result.pixels[lost] = gathered.reduce(gathered.clipped(values.T.copy(), Clip()), 'median')


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


def band_rows(images: int, width: int, dtype: np.dtype, memory: int, *, margin: int = 0) -> int:
    """How many rows of each image a band may have.

    Parameters
    ----------
    images : int
        Number of images of the stack.
    width : int
        Pixels in a row.
    dtype : dtype
        Type of the pixels as they are combined.
    memory : int
        Bytes for pixels.
    margin : int
        Rows above and below that have a say in a band.

    Returns
    -------
    int
        0 when not even one row fits.
    """
    row = band_bytes(images, width, dtype, 1)
    most = min(memory, max(_LARGEST_BAND, images * _LONG_READ))
    fitting = most // row - 2 * margin
    return int(fitting if fitting > 0 else memory // row > 2 * margin)


def band_bytes(images: int, width: int, dtype: np.dtype, rows: int) -> int:
    """Bytes that combining a band takes.

    Parameters
    ----------
    images : int
        Number of images of the stack.
    width : int
        Pixels in a row.
    dtype : dtype
        Type of the pixels as they are combined.
    rows : int
        Rows of the band.

    Returns
    -------
    int
        Of a pixel as it was read, scaled, sorted and marked; of the result as float64, a few times.
    """
    wide = max(working_type(np.dtype(dtype)).itemsize, 4)
    return rows * width * (images * (np.dtype(dtype).itemsize + 3 * wide + 1) + 64)


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


def fits(values: NDArray[np.float64], kind: np.dtype) -> bool:
    """Whether a type holds the values of a band.

    Parameters
    ----------
    values : ndarray of float64
        Any shape.
    kind : dtype
        Either float32 or float64.

    Returns
    -------
    bool
        False where a finite value would become infinite.

    Examples
    --------
    >>> fits(np.array([1e39, np.nan]), np.dtype('f4')), fits(np.array([1e38, np.inf]), np.dtype('f4'))
    (False, True)
    """
    if kind != np.float32:
        return True
    with np.errstate(invalid='ignore'):
        beyond = np.abs(values) >= _FLOAT32_END
    return not (beyond & np.isfinite(values)).any()


def count_infinite(pixels: NDArray) -> int:
    """How many pixels are beyond the range of their type.

    Parameters
    ----------
    pixels : ndarray
        Any shape, a float type.

    Returns
    -------
    int
        The number of infinite pixels; NaN is not counted.
    """
    return int(np.count_nonzero(np.isinf(pixels)))
