"""A stack of files -> one image: where `files` and `pixels` meet for `combine_fits`.

`prepare` makes every refusal that needs no pixels; `combine` then goes through
the stack band by band, in threads.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitsutils import cli
from fitsutils.errors import Failure, refusing, warn
from fitsutils.files import header as headers
from fitsutils.files import masks, perframe, placing, provenance, reader, section
from fitsutils.files import stack as files
from fitsutils.pixels import combining, likeness, scaling, stats
from fitsutils.pixels.combining import Combined, Frames, Recipe

_LOOKED_UP = ('IMAGETYP', 'NCOMBINE', 'DATE-BEG', 'DATE-AVG', 'DATE-END')  # of every image, for the result's header
_OPTIONS = {'scale': '-n', 'zero': '-z', 'weight': '-w'}
_POSITIVE = {
    'scale': 'level to scale by: it must be above 0',
    'weight': 'weight: it must be above 0',
    'gain': 'gain: it must be above 0',
    'read_noise': 'read noise: it must not be below 0',
}
_FROM_MEMORY = 1e9  # bytes a second that no disk gives: what is in memory already need not be asked for
_LEVEL_PIXELS = 1 << 22  # pixels that are measured at a time


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a stack is combined.

    Attributes
    ----------
    recipe : Recipe
        Method, rejection, and the maps that come out of the values.
    normalize, zero : str
        'none', a statistic, a keyword or '@FILE': the levels for scaling and for the additive shift.
    norm_to : float or None
        The level to come to; that of the first image where it is None.
    section : str or None
        Where levels are measured.
    norm_mask : str or None
        A mask of pixels that levels leave out.
    weight : str or None
        'ivar', a keyword or '@FILE'.
    own_weight : str or None
        A statistic of each image that is its weight.
    mask, offsets : str or None
        What ``--mask`` and ``--offsets`` say.
    gain, rdnoise : str or None
        A number or a keyword.
    carry : bool
        Whether uncertainties that all images bring along are carried into the result.
    unit : bool
        Whether the result is divided by its mean.
    min_corr : float or None
        Least correlation of an image with the median of all.
    levels : bool
        Whether the level of each image is wanted, whatever they are scaled by.
    jobs, memory, max_size : int
        Threads, bytes for pixels, largest size of an unpacked file.
    checksum : str
        What a wrong checksum means.
    """

    recipe: Recipe
    normalize: str = 'none'
    zero: str = 'none'
    norm_to: float | None = None
    section: str | None = None
    norm_mask: str | None = None
    weight: str | None = None
    own_weight: str | None = None
    mask: str | None = None
    offsets: str | None = None
    gain: str | None = None
    rdnoise: str | None = None
    carry: bool = False
    unit: bool = False
    min_corr: float | None = None
    levels: bool = False
    jobs: int = 1
    memory: int = 1 << 30
    max_size: int = 2 * 10**10
    checksum: str = 'warn'

    @property
    def keywords(self) -> list[str]:
        """Keywords that are needed of every image."""
        words = (self.normalize, self.zero, self.weight, self.gain, self.rdnoise, self.mask)
        return [*_LOOKED_UP, *(word for word in words if word and not word.startswith('@'))]


@dataclasses.dataclass(frozen=True)
class Stack:
    """Images that can be combined, and what goes with them.

    Attributes
    ----------
    images : sequence of Image
        The images.
    masks, norm_masks : sequence of Image or None
        Masks of pixels that are bad, and of those that levels leave out.
    placement : Placement or None
        Where they lie on a common canvas.
    variances : sequence of (Image, str) or None
        Their variances and of which kind these are.
    given : dict of ndarray
        Numbers of each image that need no pixels, by what they are for: 'scale',
        'zero', 'weight', 'gain', 'read_noise', 'exposure'.
    shape : tuple of int
        Shape of the result, before planes of cubes are squashed.
    height, jobs : int
        Rows of a band, and threads.
    """

    images: Sequence[Any]
    masks: Sequence[Any] | None
    norm_masks: Sequence[Any] | None
    placement: Any
    variances: Sequence[tuple[Any, str]] | None
    given: dict[str, NDArray[np.float64]]
    shape: tuple[int, ...]
    height: int
    jobs: int


@dataclasses.dataclass
class Result:
    """A combined image.

    Attributes
    ----------
    pixels : ndarray
        Shape `Stack.shape`, float32, or float64 where that is needed.
    maps : dict of ndarray
        As `Combined.maps`.
    frames : Frames
        What was done with each image.
    rejected, lost : int
        Values rejected; pixels with nothing left.
    unit : float or None
        What the result was divided by.
    levels : ndarray of float64 or None
        Shape (n,): the level of each image before it was scaled, where `Settings.levels` asks for them.
    """

    pixels: NDArray
    maps: dict[str, NDArray]
    frames: Frames
    rejected: int = 0
    lost: int = 0
    unit: float | None = None
    levels: NDArray[np.float64] | None = None

    def take(self, start: int, stop: int, part: Combined) -> None:
        """Fill in a band.

        Parameters
        ----------
        start, stop : int
            Its rows, numbered through all planes.
        part : Combined
            The band.
        """
        for ours, theirs in [(self.pixels, part.pixels), *((self.maps[name], part.maps[name]) for name in part.maps)]:
            ours.reshape(-1, ours.shape[-1])[start:stop] = theirs
        self.rejected += part.rejected
        self.lost += part.lost


class UnlikeError(Exception):
    """Some images do not look like the median of all.

    Parameters
    ----------
    found : dict of int to float
        Numbers of the images, and their correlations with it.
    """

    def __init__(self, found: dict[int, float]) -> None:
        super().__init__(found)
        self.found = found


def prepare(images: Sequence[Any], settings: Settings, roster: Sequence[Any] | None = None) -> Stack:
    """Make all refusals that need no pixels, and find what goes with the images.

    Parameters
    ----------
    images : sequence of Image
        The images.
    settings : Settings
        How they are to be combined.
    roster : sequence of Image or Unread, optional
        All images that were named, where some are left out: lists of numbers and masks speak of all.

    Returns
    -------
    Stack
        Ready to be combined.

    Raises
    ------
    Failure
        When something is missing, does not fit, or is beyond the memory.
    """
    recipe = settings.recipe
    for image in images:
        with refusing(f'-s {recipe.shift}', image.path):
            combining.check_shift(image.dtype, recipe.shift)
        _measured_part(image, settings)
    placement = None if settings.offsets is None else placing.placed(images, settings.offsets, roster)
    found = None if settings.mask is None else masks.for_images(settings.mask, images, roster)
    unmeasured = None if settings.norm_mask is None else masks.for_images(settings.norm_mask, images, roster)
    variances = _companions(images, settings)
    shape = images[0].shape if placement is None else placement.shape
    given = _given(images, settings, roster)
    height, jobs = _band_height(images, shape, settings, kinds=2 if variances else 1)
    return Stack(images, found, unmeasured, placement, variances, given, tuple(shape), height, jobs)


def _companions(images: Sequence[Any], settings: Settings) -> Any:
    """What the images bring along of their uncertainty, as far as it is wanted."""
    if settings.weight == 'ivar':
        return masks.companions(images)
    if not settings.carry:
        return None
    try:
        return masks.companions(images)
    except Failure as error:
        warn(f'uncertainties are not carried on: {error}')
        return None


def _measured_part(image: Any, settings: Settings) -> Any:
    return image if settings.section is None else image.cut(section.parse_section(settings.section))


def _given(images: Sequence[Any], settings: Settings, roster: Sequence[Any] | None) -> dict[str, NDArray[np.float64]]:
    words = {'scale': settings.normalize, 'zero': settings.zero, 'weight': settings.weight}
    measured = {None, 'none', 'ivar', *scaling.LEVELS}
    found = {
        name: perframe.numbers(word, images, _OPTIONS[name], roster)
        for name, word in words.items()
        if word not in measured
    }
    for name, word in (('gain', settings.gain), ('read_noise', settings.rdnoise or (settings.gain and '0'))):
        if word is not None:
            found[name] = _number_or_keyword(word, images, f'--{"rdnoise" if name == "read_noise" else name}')
    if 'exptime' in settings.recipe.maps:
        found['exposure'] = [_exposure(image) for image in images]
    for name, noun in _POSITIVE.items():
        for image, number in zip(images, found.get(name, ()), strict=False):
            if not 0 < number < math.inf and not (name == 'read_noise' and number == 0):
                raise Failure(f'{number:.6g} is no {noun}', image.path)
    return {name: np.asarray(numbers, 'f8') for name, numbers in found.items()}


def _number_or_keyword(word: str, images: Sequence[Any], what: str) -> list[float]:
    try:
        return [float(word)] * len(images)
    except ValueError:
        return perframe.numbers(word, images, what)


def _exposure(image: Any) -> float:
    seconds = headers.exposure(image.keywords)
    if seconds is None:
        raise Failure('it has no exposure time, which --maps exptime needs', image.path)
    return seconds


def _band_height(images: Sequence[Any], shape: Sequence[int], settings: Settings, *, kinds: int) -> tuple[int, int]:
    """Rows of a band, and threads that there is memory for."""
    recipe, number = settings.recipe, kinds * len(images)
    kind = combining.new_result((0,), [image.dtype for image in images], recipe.shift).dtype
    least = combining.band_bytes(number, shape[-1], kind, 1 + 2 * recipe.margin)
    jobs = min(settings.jobs, settings.memory // least)
    if jobs == 0:
        rows = 'one row' if not recipe.margin else f'{1 + 2 * recipe.margin} rows'
        raise Failure(f'--memory does not hold {rows} of {len(images)} images, which take {-(-least // 1000)}k')
    return combining.band_rows(number, shape[-1], kind, settings.memory // jobs, margin=recipe.margin), jobs


def combine(stack: Stack, settings: Settings, progress: Callable[[int, str], Any]) -> Result:
    """Combine a stack.

    Parameters
    ----------
    stack : Stack
        What `prepare` gave.
    settings : Settings
        The same.
    progress : callable
        Of the number of steps and what they are; gives a context with ``step(count)``.

    Returns
    -------
    Result
        The combined image.

    Raises
    ------
    Failure
        When a file can't be read or an image has no level.
    UnlikeError
        When `Settings.min_corr` leaves images out.
    """
    places = None if stack.placement is None else stack.placement.places
    shape = None if stack.placement is None else stack.placement.shape
    options = {'places': places, 'shape': shape, 'max_size': settings.max_size}
    with files.opened(stack.images, masks=stack.masks, checksum=settings.checksum, **options) as rows:
        found = {**stack.given, **_levels(stack, rows, _wanted(stack, settings), settings, progress)}
        frames = _frames(found, settings)
        if settings.min_corr is not None:
            _refuse_unlike(stack, rows, frames, settings, progress)
        recipe = _full_recipe(stack, settings)
        if stack.variances is None:
            result = _through(stack, rows, None, recipe, frames, progress)
        else:
            images = [image for image, _ in stack.variances]
            with files.opened(images, checksum=settings.checksum, **options) as beside:
                result = _through(stack, rows, beside, recipe, frames, progress)
    if settings.unit:
        _divide_by_mean(result, settings)
    result.levels = found.get('level')
    return result


def statistics(stack: Stack, settings: Settings, result: Result, names: Sequence[str]) -> dict[str, int | float]:
    """Statistics of a result, over the pixels that levels are measured on.

    Parameters
    ----------
    stack : Stack
        The stack.
    settings : Settings
        How it was combined.
    result : Result
        What became of it.
    names : sequence of str
        As `pixels.stats.describe` takes them.

    Returns
    -------
    dict
        Values by name; of the whole result or of the section, without what a mask leaves out of the level of any image.
    """
    if not names:
        return {}
    shape = result.pixels.shape
    region = () if settings.section is None else section.parse_section(settings.section).slices(shape)
    if stack.norm_masks is None:
        return stats.describe(stats.distribution(result.pixels[region]), names)
    bad = np.zeros(shape, bool)
    places = [(0, 0)] * len(stack.images) if stack.placement is None else stack.placement.places
    for image, mask, (row, column) in zip(stack.images, stack.norm_masks, places, strict=True):
        *_, rows, columns = image.shape
        bad[..., row : row + rows, column : column + columns] |= reader.read_mask(mask, image)
    return stats.describe(stats.distribution(result.pixels[region], bad[region]), names)


def _full_recipe(stack: Stack, settings: Settings) -> Recipe:
    """The recipe with what the images bring along."""
    recipe = dataclasses.replace(settings.recipe, weigh=settings.weight == 'ivar')
    if stack.variances is None or not settings.carry:
        return recipe
    return dataclasses.replace(recipe, carry=True, maps=recipe.maps | {'uncertainty', 'count'})


class _Reader:
    """Bands of a stack, read one after the other into memory that is used again."""

    def __init__(self, stack: Stack, rows: Any, beside: Any, margin: int) -> None:
        self._stack, self._rows, self._beside, self._margin = stack, rows, beside, margin
        self.per_plane = stack.shape[-2] if len(stack.shape) > 1 else 1
        # By height: new memory costs as much as the copy from the page cache.
        self._spare: dict[int, list[NDArray]] = {}

    def read(self, band: tuple[int, int]) -> tuple[NDArray, NDArray | None, tuple[int, int]]:
        """Values and variances of some rows, with as many above and below them as have a say."""
        start, stop = band
        # What grows does not grow from one plane of a cube into the next.
        first = start - start % self.per_plane
        above, below = min(self._margin, start - first), min(self._margin, first + self.per_plane - stop)
        start, stop = start - above, stop + below
        spare = self._spare.setdefault(stop - start, [])
        began = time.perf_counter()
        values = self._rows.read(start, stop, out=spare.pop() if spare else None)
        if values.nbytes < _FROM_MEMORY * (time.perf_counter() - began):
            self._rows.expect(stop, min(stop + self._stack.height, self._rows.rows))
        spread = None if self._beside is None else _variances(self._stack, self._beside.read(start, stop))
        return values, spread, (above, below)

    def give_back(self, values: NDArray) -> None:
        """Let the memory of a band be used again."""
        self._spare[values.shape[1]].append(values)


def _through(
    stack: Stack,
    rows: Any,
    beside: Any,
    recipe: Recipe,
    frames: Frames,
    progress: Callable[[int, str], Any],
    kind: np.dtype | None = None,
) -> Result:
    """Combine all bands."""
    reader_ahead = _Reader(stack, rows, beside, recipe.margin)

    def work(band: tuple[NDArray, NDArray | None, tuple[int, int]]) -> Combined:
        values, spread, margins = band
        part = combining.combine_band(values, recipe, frames, variances=spread, margins=margins)
        reader_ahead.give_back(values)
        return part

    result = _empty_result(stack, recipe, frames, kind)
    bands = list(_bands(rows.rows, reader_ahead.per_plane, stack.height))
    with progress(rows.rows, 'rows') as line:
        # One thread reads ahead, the others combine; more than one that reads only disturbs.
        ahead = cli.in_threads(reader_ahead.read, bands, 1, apart=stack.jobs > 1)
        parts = cli.in_threads(work, ahead, max(stack.jobs - 1, 1))
        for (start, stop), part in zip(bands, parts, strict=True):
            if not combining.fits(part.pixels, result.pixels.dtype):
                # Rows that are there already were rounded: all is done again, so that no band shows in the result.
                return _through(stack, rows, beside, recipe, frames, progress, np.dtype('f8'))
            result.take(start, stop, part)
            line.step(stop - start)
    return result


def _empty_result(stack: Stack, recipe: Recipe, frames: Frames, kind: np.dtype | None) -> Result:
    types = [image.dtype for image in stack.images]
    empty = combining.new_result(stack.shape, types, recipe.shift) if kind is None else np.empty(stack.shape, kind)
    maps = {name: np.empty(stack.shape, _map_type(name, len(types), empty.dtype)) for name in recipe.maps}
    return Result(empty, maps, frames)


def _bands(number: int, per_plane: int, height: int) -> Iterator[tuple[int, int]]:
    for first in range(0, number, per_plane):
        for start in range(first, first + per_plane, height):
            yield start, min(start + height, first + per_plane)


def _map_type(name: str, images: int, kind: np.dtype) -> Any:
    if name in ('count', 'low', 'high'):
        return np.int16 if images < 1 << 15 else np.int32
    return np.float64 if name == 'exptime' else kind


def _variances(stack: Stack, values: NDArray) -> NDArray:
    assert stack.variances is not None
    values = values.astype('f8')
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        for number, (_, kind) in enumerate(stack.variances):
            if kind == 'std':
                values[number][values[number] < 0] = np.nan  # no standard deviation: its square would be one
                values[number] **= 2
            elif kind == 'ivar':
                values[number] = 1 / values[number]
    return values


def _wanted(stack: Stack, settings: Settings) -> dict[str, str]:
    """What must be measured of each image, by what it is for."""
    wanted = {}
    if settings.normalize in scaling.LEVELS:
        wanted['scale'] = settings.normalize
    if settings.zero in scaling.LEVELS:
        wanted['zero'] = settings.zero
    if settings.own_weight is not None:
        wanted['weight'] = settings.own_weight
    if settings.weight == 'ivar' and stack.variances is None:
        wanted['weight'] = 'noise'
    if settings.levels:
        wanted['level'] = wanted.get('scale') or wanted.get('zero') or 'mean'
    if 'scale' not in wanted and any(headers.is_flat(image.keywords) for image in stack.images):
        wanted['flat'] = 'mean'
    return wanted


def _frames(found: dict[str, NDArray[np.float64]], settings: Settings) -> Frames:
    """Scales, zeros and weights of each image, from levels that were given or measured."""
    scales = zeros = None
    if 'scale' in found:
        scales = scaling.factors(found['scale'], settings.norm_to)
    if 'zero' in found:
        levels = found['zero'] * (1.0 if scales is None else scales)
        zeros = scaling.zeros(levels, settings.norm_to if scales is None else None)
    weights = found.get('weight')
    if weights is not None and settings.weight == 'ivar':
        weights = (weights * (1.0 if scales is None else scales)) ** -2.0
    gains = {name: found.get(name) for name in ('gain', 'read_noise')}
    return Frames(scales, zeros, weights, found.get('exposure'), **gains)


def _levels(
    stack: Stack, rows: Any, wanted: dict[str, str], settings: Settings, progress: Callable[[int, str], Any]
) -> dict[str, NDArray[np.float64]]:
    """The levels of each image, by what they are for."""
    if not wanted:
        return {}
    statistics = list(dict.fromkeys(wanted.values()))
    bad = stack.norm_masks or [None] * len(stack.images)
    recipe = settings.recipe
    limits = {'low': recipe.below, 'high': recipe.above} if recipe.has_thresholds else {}

    def work(number: int) -> list[float]:
        blocks = _blocks(rows, number, stack.images[number], bad[number], settings)
        return [scaling.level_of(blocks, statistic, **limits) for statistic in statistics]

    # The mode of anything but short integers takes an image whole, some three times over.
    whole = 'mode' in statistics and any(image.dtype.kind == 'f' or image.dtype.itemsize > 2 for image in stack.images)
    with progress(len(stack.images), 'levels') as line:
        numbers = range(len(stack.images))
        found = []
        for number, levels in zip(numbers, cli.in_threads(work, numbers, 1 if whole else stack.jobs), strict=True):
            _check_levels(levels, statistics, wanted, stack.images[number])
            found.append(levels)
            line.step()
    table = np.asarray(found, 'f8')
    return {name: table[:, statistics.index(statistic)] for name, statistic in wanted.items()}


def _check_levels(levels: Sequence[float], statistics: Sequence[str], wanted: dict[str, str], image: Any) -> None:
    for name, statistic in wanted.items():
        level = levels[statistics.index(statistic)]
        what = f'its {statistic} is {level:.6g}'
        if name == 'zero' and not math.isfinite(level):
            raise Failure(f'{what}: it has no level to shift', image.path)
        if name in ('scale', 'weight') and not 0 < level < math.inf:
            raise Failure(f'{what}: an image is scaled or weighed by a positive level', image.path)
        if name == 'flat' and headers.is_flat(image.keywords) and not 0 < level < math.inf:
            raise Failure(f'{what}: a flat without light is not stacked', image.path)


def _blocks(rows: Any, number: int, image: Any, bad: Any, settings: Settings) -> Callable[[], Iterator[NDArray]]:
    """The pixels of an image that its level is measured on, a block of rows at a time."""
    part = _measured_part(image, settings)
    runs = _row_runs(image, part)
    columns = slice(part.slices[-1].start - image.slices[-1].start, part.slices[-1].stop - image.slices[-1].start)
    left_out = None if bad is None else np.array(reader.read_mask(bad, image)).reshape(-1, image.shape[-1])
    most = min(_LEVEL_PIXELS, settings.memory // (64 * settings.jobs))
    step = max(1, most // max(1, image.shape[-1]))

    def blocks() -> Iterator[NDArray]:
        for first, last in runs:
            for start in range(first, last, step):
                stop = min(start + step, last)
                data = combining.shifted(rows.read_one(number, start, stop), settings.recipe.shift)[:, columns]
                if left_out is not None:
                    data = np.where(left_out[start:stop, columns], np.nan, data)
                yield data

    return blocks


def _row_runs(image: Any, part: Any) -> list[tuple[int, int]]:
    """Runs of the image's rows, counted through its planes, that a part of it takes up."""
    if len(image.shape) == 1:
        return [(0, 1)]
    lead = [range(inner.start - outer.start, inner.stop - outer.start)
            for inner, outer in zip(part.slices[:-2], image.slices[:-2], strict=True)]  # fmt: skip
    top = part.slices[-2].start - image.slices[-2].start
    height = part.shape[-2]
    planes = np.arange(math.prod(image.shape[:-2])).reshape(image.shape[:-2])[np.ix_(*lead)].ravel()
    return [(int(plane) * image.shape[-2] + top, int(plane) * image.shape[-2] + top + height) for plane in planes]


def _refuse_unlike(
    stack: Stack, rows: Any, frames: Frames, settings: Settings, progress: Callable[[int, str], Any]
) -> None:
    """Raise where images do not correlate with the median of all, scaled as they will be."""
    recipe = Recipe(shift=settings.recipe.shift, below=settings.recipe.below, above=settings.recipe.above)
    plain = dataclasses.replace(frames, weights=None)
    middle = _through(stack, rows, None, recipe, plain, progress).pixels.reshape(-1, stack.shape[-1])
    alike = likeness.Likeness(len(stack.images))
    bands = list(_bands(rows.rows, rows.rows, stack.height))
    read = cli.in_threads(lambda band: combining.shifted(rows.read(*band), recipe.shift), bands, stack.jobs)
    with progress(rows.rows, 'rows compared') as line:
        for (start, stop), band in zip(bands, read, strict=True):
            alike.add(band, middle[start:stop])
            line.step(stop - start)
    found = {number: float(value) for number, value in enumerate(alike.correlations())}
    unlike = {number: value for number, value in found.items() if not value >= settings.min_corr}
    if unlike:
        raise UnlikeError(unlike)


def method(
    stack: Stack, settings: Settings, result: Result, skipped: Sequence[str] = (), unlike: Sequence[str] = ()
) -> provenance.Method:
    """How a stack was combined, in words for the header.

    Parameters
    ----------
    stack : Stack
        The stack.
    settings : Settings
        How it was to be combined.
    result : Result
        What became of it.
    skipped, unlike : sequence of str
        What was left out because it can't be read, or because it does not look like the median.

    Returns
    -------
    Method
        The words.
    """
    recipe, frames = settings.recipe, result.frames
    return provenance.Method(
        recipe.method,
        clip=_clip_words(settings),
        scaling=settings.normalize,
        zeroing=settings.zero,
        weighting=settings.weight or settings.own_weight or 'none',
        scales=frames.scales,
        zeros=frames.zeros,
        weights=frames.weights,
        level=settings.norm_to,
        unit=result.unit,
        rejected=result.rejected,
        empty=result.lost,
        filled=recipe.fill,
        mask=settings.mask,
        place=None if stack.placement is None else stack.placement.places[0],
        offsets=settings.offsets,
        shifts=None if stack.placement is None else stack.placement.shifts,
        uncertainty=_source_of_uncertainty(stack, settings, result),
        skipped=tuple(skipped),
        unlike=tuple(unlike),
    )


def _source_of_uncertainty(stack: Stack, settings: Settings, result: Result) -> str | None:
    if 'uncertainty' not in result.maps:
        return None
    return 'scatter' if stack.variances is None or not settings.carry else 'inputs'


def _clip_words(settings: Settings) -> str:
    recipe, clip = settings.recipe, settings.recipe.clip
    limits = {'min': f'{clip.low:g}', 'max': f'{clip.high:g}'}.get(clip.kind, f'{clip.low:g},{clip.high:g}')
    words = [f'{clip.kind} {limits}'] if clip.kind != 'none' else []
    words += [f'keep {clip.keep}'] if clip.keep else []
    words += [f'grow {recipe.grow:g}'] if recipe.grow else []
    words += [f'below {recipe.below:g}'] if recipe.below > -math.inf else []
    words += [f'above {recipe.above:g}'] if recipe.above < math.inf else []
    noise = (('gain', settings.gain), ('rdnoise', settings.rdnoise), ('snoise', clip.snoise))
    words += [f'{name} {word}' for name, word in noise if word]
    return ' '.join(words) or 'none'


def _divide_by_mean(result: Result, settings: Settings) -> None:
    region = () if settings.section is None else section.parse_section(settings.section).slices(result.pixels.shape)
    unit = scaling.level(result.pixels[region], 'mean')
    if not unit > 0:
        raise Failure(f'-u: the mean of the result is {unit:.6g}, and only a positive one can be divided by')
    result.unit = unit
    result.pixels = (result.pixels / unit).astype(result.pixels.dtype, copy=False)
    for name in ('sigma', 'uncertainty'):
        if name in result.maps:
            result.maps[name] = (result.maps[name] / unit).astype(result.maps[name].dtype)
