"""A line of dark current for every pixel: where `files` and `pixels` meet for `fit_dark --per-pixel`."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitsutils import cli
from fitsutils.errors import Failure, refusing
from fitsutils.files import calibrated, perframe, provenance
from fitsutils.files import header as headers
from fitsutils.files import stack as stacks
from fitsutils.files.reader import Reader
from fitsutils.pixels import darkcurrent, hotpixels
from fitsutils.pixels.darkcurrent import PixelLines
from fitsutils.steps.darks import NO_WEIGHT, Dark, bias_left, level_of


@dataclasses.dataclass(frozen=True)
class PerPixel:
    """How a line is fitted to every pixel.

    Attributes
    ----------
    saturation : str or None
        A number or a keyword; None finds out.
    hot, unfit : float
        What of rates and residuals stands out, in sigma.
    weigh : bool
        Whether each dark counts by the scatter of its own pixels.
    key : str or None
        The keyword of the exposure time.
    mask : str or None
        What ``--mask`` says.
    bias_free : bool
        Whether the user says that no bias is in the darks.
    jobs, memory, max_size : int
        Threads, bytes for pixels, largest size of an unpacked file.
    checksum : str
        What a wrong sum means.
    dtype : str
        Type of rates, offsets and scatters.
    """

    saturation: str | None = None
    hot: float = 5.0
    unfit: float = 5.0
    weigh: bool = False
    key: str | None = None
    mask: str | None = None
    bias_free: bool = False
    jobs: int = 1
    memory: int = 1 << 30
    max_size: int = 2 * 10**10
    checksum: str = 'warn'
    dtype: str = 'float32'


@dataclasses.dataclass(frozen=True)
class Rates:
    """The dark current of every pixel.

    Attributes
    ----------
    lines : PixelLines
        Offsets, rates and residuals, of all pixels.
    bad : BadPixels
        Which of them can't be trusted, and why.
    ceilings : list of float
        For each dark the value from which on it is saturated; infinite where nothing is.
    holds_bias : bool
        Whether the bias is in the offsets.
    """

    lines: PixelLines
    bad: hotpixels.BadPixels
    ceilings: list[float]
    holds_bias: bool = False

    @property
    def lost(self) -> int:
        """How many pixels have no line."""
        return self.bad.counts()['missing']


def check_pixels(frames: Sequence[Dark], settings: PerPixel) -> int:
    """Make the refusals that need no pixels, before a line is fitted to every pixel.

    Parameters
    ----------
    frames : sequence of Dark
        The frames, which `stack.open_stack` or the caller found to be of one size.
    settings : PerPixel
        How.

    Returns
    -------
    int
        Rows of a band.

    Raises
    ------
    Failure
        When the darks are cubes, are not of one size or of two exposure times, or memory does not hold a row.
    """
    images = _stack_of(frames)
    stacks.refuse_unequal_shapes(images)
    if len(images[0].shape) != 2:
        raise Failure(f'it has {len(images[0].shape)} axes: --per-pixel takes images of two', images[0].path)
    times = {dark.time for dark in frames}
    if len(times) < 2:
        raise Failure(f'a line needs darks of two exposure times, and all are of {times.pop():g} s')
    kind = np.result_type(*(image.dtype for image in images), 'f4')
    width, memory = images[0].shape[-1], settings.memory // settings.jobs
    height = darkcurrent.band_rows(len(images), width, kind, memory)
    if height == 0:
        least = settings.jobs * darkcurrent.band_bytes(len(images), width, kind)
        raise Failure(f'--memory does not hold one row of {len(images)} images, which takes {-(-least // 1000)}k')
    return height


def _stack_of(frames: Sequence[Dark]) -> list[Any]:
    """The images that are read together: the frames, and their bias behind them."""
    return [*(dark.image for dark in frames), *([] if frames[0].bias is None else [frames[0].bias])]


def fit_pixels(
    frames: Sequence[Dark], mask: Any, height: int, settings: PerPixel, progress: Callable[[int, str], Any]
) -> Rates:
    """Fit a line to every pixel of a stack of frames, a band of rows at a time.

    Parameters
    ----------
    frames : sequence of Dark
        The darks.
    mask : Image or None
        Pixels that are not 0 in it are left out.
    height : int
        Rows of a band; the result is the same for any.
    settings : PerPixel
        How.
    progress : callable
        Of the number of steps and what they are; gives a context with ``step(count)``.

    Returns
    -------
    Rates
        The lines and the bad pixels.

    Raises
    ------
    Failure
        When a file can't be read, or the type does not hold a value.
    """
    images, times = _stack_of(frames), [dark.time for dark in frames]
    masks = None if mask is None else [mask] * len(frames) + [None] * (len(images) - len(frames))
    options = {'max_size': settings.max_size, 'checksum': settings.checksum}
    weights = [_weight(dark, settings) for dark in frames] if settings.weigh else None
    with stacks.opened(images, masks, **options) as rows:
        bands = [(start, min(start + height, rows.rows)) for start in range(0, rows.rows, height)]
        ceilings = _ceilings(frames, rows, bands, settings, progress)

        def work(band: tuple[int, int]) -> PixelLines:
            values = rows.read(*band)
            bias = values[len(frames)] if len(values) > len(frames) else None
            with np.errstate(all='ignore'):
                return darkcurrent.fit_pixels(
                    values[: len(frames)], times, ceilings=ceilings, bias=bias, weights=weights
                )

        lines = PixelLines.empty((rows.rows, rows.shape[-1]), settings.dtype)
        for (start, stop), part in _worked(work, bands, 'rows', settings, progress):
            with refusing(f'--dtype {settings.dtype}', images[0].path):
                lines.take(start, stop, part)
    bad = hotpixels.find_bad(lines, settings.hot, settings.unfit, max(times))
    longest = frames[int(np.argmax(times))]
    level = level_of(longest.read(Reader(settings.checksum, settings.max_size)))
    holds = longest.bias is None and not settings.bias_free and bias_left(longest.image, *level) is not None
    return Rates(lines, bad, ceilings, holds)


def _worked(
    work: Callable[[tuple[int, int]], Any], bands: Sequence[tuple[int, int]], what: str, settings: PerPixel,
    progress: Callable[[int, str], Any],
) -> Iterator[tuple[tuple[int, int], Any]]:  # fmt: skip
    with progress(bands[-1][1], what) as line:
        for band, part in zip(bands, cli.in_threads(work, bands, settings.jobs), strict=True):
            yield band, part
            line.step(band[1] - band[0])


def _weight(dark: Dark, settings: PerPixel) -> float:
    scatter = level_of(dark.read(Reader(settings.checksum, settings.max_size)))[1]
    if not 0 < scatter < math.inf:
        raise Failure(NO_WEIGHT, dark.image.path)
    return scatter**-2.0


def _ceilings(
    frames: Sequence[Dark], rows: Any, bands: Sequence[tuple[int, int]], settings: PerPixel,
    progress: Callable[[int, str], Any],
) -> list[float]:  # fmt: skip
    """For each dark the value from which on its pixels are saturated."""
    if settings.saturation is not None:
        return saturations(settings.saturation, [dark.image for dark in frames])
    times = [dark.time for dark in frames]

    def work(band: tuple[int, int]) -> tuple[NDArray, float]:
        values = rows.read(*band)[: len(times)]
        highest = hotpixels.highest(values)
        found = hotpixels.plateaus(values, times)
        return hotpixels.near_top(found, highest), highest

    parts = [part for _, part in _worked(work, bands, 'rows looked through', settings, progress)]
    top = hotpixels.ceiling(np.concatenate([found for found, _ in parts]), max(highest for _, highest in parts))
    return [min(top, _own_ceiling(dark.image)) for dark in frames]


def _own_ceiling(image: Any) -> float:
    """What a header or the type of the pixels says."""
    said = calibrated.saturation(image)
    largest = float(np.iinfo(image.dtype).max) if image.dtype.kind in 'iu' else math.inf
    return min(largest, math.inf if said is None else said)


def saturations(word: str, images: Sequence[Any]) -> list[float]:
    """What ``--saturation`` says of each image.

    Parameters
    ----------
    word : str
        A number, which may be ``inf``, or a keyword.
    images : sequence of Image
        The images.

    Returns
    -------
    list of float
        One for each.

    Raises
    ------
    Failure
        When a header has no such number, or it is not above 0.
    """
    try:
        found = [float(word)] * len(images)
    except ValueError:
        found = perframe.numbers(word, images, '--saturation')
    for image, number in zip(images, found, strict=True):
        if not number > 0:
            raise Failure(f'--saturation {number:g}: it must be above 0', image.path)
    return found


def rate_parts(
    frames: Sequence[Dark], rates: Rates, settings: PerPixel, cards: Sequence[tuple[str, Any]]
) -> list[tuple[NDArray, Any]]:
    """The images of RATE.fits, with their headers.

    Parameters
    ----------
    frames : sequence of Dark
        The darks.
    rates : Rates
        What they gave.
    settings : PerPixel
        How.
    cards : sequence of (str, value)
        What ``--set`` asks for.

    Returns
    -------
    list of (ndarray, Header)
        RATE, which is the primary one, OFFSET, MASK, RMS, NPTS.
    """
    lines, bad = rates.lines, rates.bad
    header = _rate_header(frames, rates, settings)
    unit = headers.value(header, 'BUNIT') or 'adu'
    header['BUNIT'] = unit
    if frames[0].bias is not None:
        header['BIASSUB'] = calibrated.subtracted(frames[0].bias)
    elif rates.holds_bias:
        header['DARKBIAS'] = (True, 'the offset holds the bias')
    for key, content in cards:
        header[key] = content
    parts = [('OFFSET', lines.offset), ('MASK', bad.mask), ('RMS', lines.scatter), ('NPTS', lines.used)]
    texts = {'MASK': '1 where a pixel is bad'}
    found = [(image, provenance.map_header(name, header, texts.get(name))) for name, image in parts]
    header['BUNIT'] = f'{unit}/s'
    header['EXTNAME'] = ('RATE', 'dark current: counts a second')
    return [(lines.rate, header), *found]


def _rate_header(frames: Sequence[Dark], rates: Rates, settings: PerPixel) -> Any:
    images = [dark.image for dark in frames]
    method = provenance.Method('line', mask=settings.mask, weighting='rms' if settings.weigh else 'none')
    header = provenance.combined_header(images, 'fit_dark', method)
    # The rate is that of a second: no exposure time is true any more.
    headers.set_exposure(header, None)
    if settings.key is not None and settings.key.upper() in header:
        del header[settings.key.upper()]
    if len(set(rates.ceilings)) == 1 and math.isfinite(rates.ceilings[0]):
        header['DARKSAT'] = (rates.ceilings[0], 'counts from which on pixels are saturated')
    texts = {'saturated': 'saturated', 'missing': 'without a line', 'unfit': 'with too large residuals',
             'hot': 'whose rate stands out'}  # fmt: skip
    header['NMASKED'] = (int(np.count_nonzero(rates.bad.reasons)), 'bad pixels, for one of these reasons or two')
    for name, count in rates.bad.counts().items():
        header[f'N{name.upper()}'[:8]] = (count, f'pixels {texts[name]}')
    header.add_history(
        f'  rates beyond {settings.hot:g} sigma and residuals beyond {settings.unfit:g} sigma are masked'
    )
    return header
