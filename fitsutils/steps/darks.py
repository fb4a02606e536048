"""Darks, their exposure times and their bias: where `files` and `pixels` meet for `fit_dark` and `sub_dark`."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure, refusing, warn
from fitsutils.files import calibrated, inputs, masks, reader
from fitsutils.files import header as headers
from fitsutils.pixels import arithmetic, darkcurrent, stats
from fitsutils.pixels.darkcurrent import Line

_HIGHEST_GAIN = 5.0  # electrons a count, where a header does not say: few cameras have more
_MOST_FRAMES = 20  # that a master is taken to be the mean of, where its header does not say
_FAR = 3.0  # scatters of a pixel within which a level may be 0
_SAME = 1e-3  # exposure times that differ by less, relatively, are one
_MEDIAN_TO_MEAN = 1.2533  # sqrt(pi/2): the error of a median of normal values against that of their mean

_FEWEST_POINTS = 5  # of fewer none can be told from the others
NO_WEIGHT = 'its pixels do not scatter, and --weights rms has nothing to weigh it by'

Read = Callable[[Any], NDArray]


@dataclasses.dataclass(frozen=True)
class Dark:
    """A dark, the image of its bias where that is to be taken out of it, and its exposure time.

    Attributes
    ----------
    image : Image
        The dark.
    time : float
        Seconds.
    bias : Image or None
        Of the dark's size.
    """

    image: Any
    time: float
    bias: Any = None

    @property
    def name(self) -> str:
        """The dark's name, without folders."""
        return str(self.image.name)

    def read(self, read: Read) -> NDArray:
        """The dark's pixels, without the bias that is to be taken out.

        Parameters
        ----------
        read : callable
            Gives the pixels of an image.

        Returns
        -------
        ndarray
            Shape of the image, counts; its own type where there is no bias.
        """
        pixels = read(self.image)
        return pixels if self.bias is None else arithmetic.operate(pixels, '-', read(self.bias))[0]

    def words(self, factor: float) -> str:
        """What is subtracted of the dark.

        Parameters
        ----------
        factor : float
            What it is multiplied by.

        Returns
        -------
        str
            The words.
        """
        own = f'({self.name}{_without(self)})' if self.bias is not None else self.name
        return own if factor == 1 else f'{factor:.10g} x {own}'

    def fitted_to(self, image: Any) -> 'Dark':
        """The same part of the dark as of an image.

        Parameters
        ----------
        image : Image
            The image.

        Returns
        -------
        Dark
            The part.

        Raises
        ------
        Failure
            When the sizes do not agree.
        """
        part = self.image.fitted_to(image)
        return Dark(part, self.time, self.bias and self.bias.fitted_to(part))

    def scaled(self, read: Read, factor: float) -> NDArray:
        """The dark, without its bias, times a factor.

        Parameters
        ----------
        read : callable
            Gives the pixels of an image.
        factor : float
            The factor.

        Returns
        -------
        ndarray
            Counts, as `arithmetic.operate` gives them.
        """
        pixels = self.read(read)
        return pixels if factor == 1 else arithmetic.operate(pixels, 'x', factor)[0]

    def deviation(self, factor: float) -> NDArray | float:
        """The uncertainty of the dark times a factor, as far as dark and bias bring one along.

        Parameters
        ----------
        factor : float
            The factor.

        Returns
        -------
        ndarray or float
            Standard deviations; 0 where neither brings one along.
        """
        found = [masks.uncertainty(image) for image in (self.image, self.bias) if image is not None]
        sigmas = [masks.read_deviation(companion) for companion in found if companion is not None]
        return abs(factor) * np.sqrt(sum(sigma**2 for sigma in sigmas)) if sigmas else 0.0


def open_darks(
    references: Sequence[Any],
    hdu: Any = None,
    region: Any = None,
    *,
    key: str | None = None,
    bias: Any = None,
    zero: bool = False,
) -> list[Dark]:
    """Read the headers of darks.

    Parameters
    ----------
    references : sequence of Reference
        The darks.
    hdu : int, str or (str, int), optional
        The HDU where a reference names none.
    region : Region, optional
        The part where a reference names none.
    key : str, optional
        The keyword of the exposure time; default: EXPTIME and its aliases.
    bias : Image, optional
        The bias that is to be taken out of each.
    zero : bool
        Whether a dark of 0 s is one.

    Returns
    -------
    list of Dark
        In their order.

    Raises
    ------
    Failure
        When a file can't be read, has no usable exposure time, or the bias does not fit or is out already.
    """
    words = [*calibrated.KEYWORDS, *calibrated.MASTER_KEYWORDS, *([key] if key else [])]
    images = [reader.open_image(reference, hdu, region, keywords=words) for reference in references]
    times = [headers.needed_exposure(image.keywords, image.path, key, zero=zero) for image in images]
    for image in images if bias is not None else ():
        _refuse_twice(image)
    return [
        Dark(image, time, None if bias is None else bias.fitted_to(image))
        for image, time in zip(images, times, strict=True)
    ]


def _refuse_twice(image: Any) -> None:
    """Refuse to take a bias out of what has lost its own; an overscan's level leaves the pattern of the bias."""
    if (said := calibrated.bias_out(image, level=False)) is not None:
        raise Failure(f'its bias was subtracted already ({said}): --bias would take it out twice', image.path)


def open_bias(word: str | None, hdu: Any = None) -> Any:
    """The image that ``--bias`` names.

    Parameters
    ----------
    word : str or None
        The word after the option.
    hdu : int, str or (str, int), optional
        The HDU where the word names none.

    Returns
    -------
    Image or None
        None without the option.

    Raises
    ------
    Failure
        When it is no image, or more than one.
    """
    return None if word is None else reader.open_image(one_reference(word, 'bias'), hdu, keywords=calibrated.KEYWORDS)


def one_reference(word: str, what: str) -> Any:
    """The one file that a word names.

    Parameters
    ----------
    word : str
        The word after an option.
    what : str
        What is wanted, for the message.

    Returns
    -------
    Reference
        The file.

    Raises
    ------
    Failure
        When it names none, or several.
    """
    references = inputs.expand([word])
    if len(references) > 1:
        raise Failure(f'one {what} is wanted, and this names {len(references)} files', word)
    return references[0]


def same_time(first: float, other: float) -> bool:
    """Whether two exposure times are one, but for what a shutter or a clock adds.

    Parameters
    ----------
    first, other : float
        Seconds.

    Returns
    -------
    bool
        True within a thousandth.

    Examples
    --------
    >>> same_time(60, 60.003), same_time(60, 61)
    (True, False)
    """
    return math.isclose(first, other, rel_tol=_SAME)


def level_of(pixels: NDArray) -> tuple[float, float]:
    """The level of an image, and how much its pixels scatter.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type, counts. NaN and infinite pixels are left out.

    Returns
    -------
    (float, float)
        Median and 0.7413 times the distance of the quartiles, counts; NaN where there is no good pixel.
    """
    found = stats.describe(stats.distribution(pixels), ['median', 'rstd'])
    return float(found['median']), float(found['rstd'])


def bias_left(image: Any, level: float, scatter: float) -> str | None:
    """Why a dark is held to have its bias still in it.

    The first that says something counts: a header or a HISTORY that says the
    bias was subtracted (`calibrated.bias_out`); pixels that are integers, as
    a camera writes them, further than three scatters above 0; a level that is
    more than its scatter allows of counts (`darkcurrent.exceeds_counts`).

    Parameters
    ----------
    image : Image
        The dark.
    level, scatter : float
        What `level_of` says of its pixels, counts.

    Returns
    -------
    str or None
        Words for a message; None where the bias is held to be out.
    """
    if calibrated.bias_out(image) is not None or not level > _FAR * scatter:
        return None
    combined, raw = calibrated.frames(image), image.dtype.kind in 'iu'
    if raw and combined is None:
        return f'no header says that it was subtracted, and the median is {level:.6g}'
    gain = headers.as_number(headers.lookup(image.keywords, 'GAIN'))
    # A setting of a CMOS camera, such as 120, may stand under this name.
    gain = min(gain, _HIGHEST_GAIN) if gain is not None and gain > 0 else _HIGHEST_GAIN
    if darkcurrent.exceeds_counts(level, scatter, gain, combined or _MOST_FRAMES):
        what = f'dark counts of {level:.6g}, the median, would scatter by more than {scatter:.3g}'
        return f'no header says that it was subtracted, and {what}'
    return None


def base_dark(darks: Sequence[Dark], word: str | None, hdu: Any, key: str | None) -> Dark:
    """The dark that is scaled.

    Parameters
    ----------
    darks : sequence of Dark
        The darks that the line is fitted to; their bias is this one's too.
    word : str or None
        The word after ``--from``; None: the one of them with the longest exposure time, which has the least noise.
    hdu : int, str or (str, int), optional
        The HDU where the word names none.
    key : str or None
        The keyword of the exposure time.

    Returns
    -------
    Dark
        All of its image, also where the line is that of a region.

    Raises
    ------
    Failure
        When it can't be read or has no usable exposure time.
    """
    longest = max(darks, key=lambda dark: dark.time)
    reference = longest.image.reference if word is None else one_reference(word, 'dark')
    bias = longest.bias and reader.open_image(longest.bias.reference, hdu)
    return open_darks([reference], hdu, key=key, bias=bias)[0]


def refuse_to_scale(dark: Dark, level: tuple[float, float], expected: float | None, left: str | None) -> None:
    """Refuse a dark that must not be scaled as it is.

    Parameters
    ----------
    dark : Dark
        The dark.
    level : (float, float)
        What `level_of` says of its pixels without the bias that is to be taken out, counts.
    expected : float or None
        Counts at its exposure time of the line that it is to be scaled by.
    left : str or None
        What `bias_left` says.

    Raises
    ------
    Failure
        When it holds its bias, or its level is not the line's.
    """
    if not math.isfinite(level[0]):
        raise Failure('none of its pixels has a value', dark.image.path)
    if left is not None:
        what = f'it still holds its bias ({left}), which does not grow with time'
        raise Failure(f'{what}: --bias FILE takes it out, --bias-free says that there is none', dark.image.path)
    if expected is not None and not darkcurrent.is_level_of(*level, expected):
        what = f'its median is {level[0]:.6g}, and the line has {expected:.6g} counts at {dark.time:g} s'
        raise Failure(f'{what}: it is that of other darks, or the bias is in one of the two', dark.image.path)


def check_darks(darks: Sequence[Dark]) -> None:
    """Warn where darks of one line do not belong together.

    Parameters
    ----------
    darks : sequence of Dark
        The darks: of one camera, gain, binning and temperature, all with their bias or all without.
    """
    headers.warn_of_differences(
        [dark.image.keywords for dark in darks], [dark.name for dark in darks], ignore=['EXPTIME', 'FILTER']
    )
    said = [(calibrated.bias_out(dark.image), dark) for dark in darks]
    out = next((dark for words, dark in said if words), None)
    left = next((dark for words, dark in said if not words), None)
    if out is not None and left is not None:
        warn(f'the bias was subtracted from {out.name}; of {left.name} no header says so', left.image.path)


@dataclasses.dataclass(frozen=True)
class Point:
    """The counts of a dark.

    Attributes
    ----------
    dark : Dark
        The dark.
    num : int
        Pixels that were measured.
    counts, rms : float
        Their mean or median, and their standard deviation.
    error : float
        Standard deviation of `counts`, from the scatter of the pixels.
    """

    dark: Dark
    num: int
    counts: float
    rms: float
    error: float

    @property
    def time(self) -> float:
        """Exposure time of the dark, s."""
        return self.dark.time


def measure(dark: Dark, read: Read, statistic: str, mask: Any = None, clip: float | None = None) -> Point:
    """Measure the counts of a dark.

    Parameters
    ----------
    dark : Dark
        The dark, or a part of one.
    read : callable
        Gives the pixels of an image.
    statistic : {'mean', 'median'}
        Which.
    mask : Image, optional
        Pixels that are not 0 in it are left out.
    clip : float, optional
        Pixels further than so many sigma from the median are left out, repeatedly.

    Returns
    -------
    Point
        The error is ``rms / sqrt(num)`` of a mean, and of a median ``1.2533 rstd / sqrt(num)``.

    Raises
    ------
    Failure
        When no pixel is left.
    """
    values = stats.distribution(dark.read(read), reader.read_mask(mask, dark.image))
    values = values if clip is None else values.clipped(clip)
    found = stats.describe(values, ['num', 'rms', 'rstd', statistic])
    if not found['num'] or not math.isfinite(found[statistic]):
        raise Failure('no pixel is left to measure', dark.image.part())
    scatter = _MEDIAN_TO_MEAN * found['rstd'] if statistic == 'median' else found['rms']
    return Point(dark, int(found['num']), float(found[statistic]), float(found['rms']),
                 float(scatter / math.sqrt(found['num'])))  # fmt: skip


def fit(points: Sequence[Point], *, weigh: bool) -> Line:
    """The line through the counts of some darks.

    Parameters
    ----------
    points : sequence of Point
        What was measured.
    weigh : bool
        Whether each counts by its own error; else the errors are 1 count.

    Returns
    -------
    Line
        The line.

    Raises
    ------
    Failure
        When there are no darks of two exposure times, or an error is 0.
    """
    for point in points if weigh else ():
        if not point.error > 0:
            raise Failure(
                'its pixels do not scatter, and --weights rms has nothing to weigh it by', point.dark.image.path
            )
    with refusing('the fit'):
        return darkcurrent.fit_line(
            [point.dark.time for point in points], [point.counts for point in points],
            [point.error for point in points] if weigh else None,
        )  # fmt: skip


def off_the_line(points: Sequence[Point]) -> tuple[Point, float] | None:
    """The dark that does not belong to the others, if there is one.

    Parameters
    ----------
    points : sequence of Point
        What was measured.

    Returns
    -------
    (Point, float) or None
        The point that lies farthest from the line through the others, and how many counts; None for fewer than
        five points, or where that is less than ten times as far as the others lie from it, and 1 count.
    """
    times, counts = (np.array([getattr(point, name) for point in points]) for name in ('time', 'counts'))
    found = []
    for place in range(len(points) if len(points) >= _FEWEST_POINTS else 0):
        left = np.arange(len(points)) != place
        if len(set(times[left])) < 2:
            continue
        line = darkcurrent.fit_line(times[left], counts[left])
        scatter = math.sqrt(line.chi2 / (line.npts - 2))
        found.append((abs(counts[place] - line.at(times[place])) / max(10 * scatter, 1.0), place, line))
    if not found:
        return None
    far, place, line = max(found, key=lambda each: each[0])
    return (points[place], float(counts[place] - line.at(times[place]))) if far > 1 else None


def scaled_dark(
    dark: Dark, pixels: NDArray, line: Line, time: float, factor: float, key: str | None,
    cards: Sequence[tuple[str, Any]], dtype: str | None,
) -> tuple[NDArray, Any]:  # fmt: skip
    """A dark as it would be of another exposure time.

    Parameters
    ----------
    dark : Dark
        The dark.
    pixels : ndarray
        Its pixels, without its bias.
    line : Line
        The line that it is scaled by.
    time, factor : float
        The exposure time wanted, s, and the factor that takes the dark there.
    key : str or None
        The keyword of the exposure time.
    cards : sequence of (str, value)
        What ``--set`` asks for.
    dtype : str or None
        Type of the pixels.

    Returns
    -------
    (ndarray, Header)
        Ready to be written.

    Raises
    ------
    ValueError
        When the type does not hold the values.
    """
    scaled, _ = arithmetic.operate(pixels, 'x', factor)
    bias = [] if dark.bias is None else [('BIASSUB', calibrated.subtracted(dark.bias))]
    own = [*bias, ('DARKFAC', (factor, 'factor that the dark was multiplied by')), *line_cards(line.offset, line.slope)]
    lines = [f'{factor:.10g} x {dark.name}{_without(dark)}, {time:g} s of {dark.time:g} s']
    lines += [line_words(line.offset, line.slope)]
    header = headers.product(dark.image, 'fit_dark', lines, own)
    headers.set_exposure(header, time)
    for name, content in ([(key.upper(), time)] if key else []) + list(cards):
        header[name] = content
    return scaled if dtype is None else arithmetic.as_type(scaled, dtype), header


def _without(dark: Dark) -> str:
    return '' if dark.bias is None else f' without {dark.bias.name}'


def line_words(offset: float, slope: float) -> str:
    """A line, for HISTORY.

    Parameters
    ----------
    offset, slope : float
        Counts, and counts a second.

    Returns
    -------
    str
        The words.
    """
    return f'counts = {offset:.10g} + {slope:.10g} x exposure time'


def line_cards(offset: float, slope: float) -> list[tuple[str, Any]]:
    """A line, as cards.

    Parameters
    ----------
    offset, slope : float
        Counts, and counts a second.

    Returns
    -------
    list of (str, value)
        DARKOFF and DARKSLP.
    """
    return [('DARKOFF', (offset, 'counts of a dark of 0 s')), ('DARKSLP', (slope, 'dark counts a second'))]


@dataclasses.dataclass(frozen=True)
class Share:
    """What is to be subtracted from an image.

    Attributes
    ----------
    source : Dark or RateFile
        Where it comes from.
    factor : float
        What the dark is multiplied by; for rates the seconds.
    how : str
        Where the factor comes from, for HISTORY.
    cards : sequence of (str, value)
        For the header of the result.
    """

    source: Any
    factor: float
    how: str
    cards: Sequence[tuple[str, Any]] = ()

    @property
    def words(self) -> str:
        """What is subtracted, for messages and HISTORY."""
        return str(self.source.words(self.factor))

    def pixels(self, read: Read) -> NDArray:
        """The pixels that are subtracted.

        Parameters
        ----------
        read : callable
            Gives the pixels of an image.

        Returns
        -------
        ndarray
            Shape of the image or of its planes, counts.
        """
        return self.source.scaled(read, self.factor)

    def deviation(self) -> NDArray | float:
        """The uncertainty of what is subtracted.

        Returns
        -------
        ndarray or float
            Standard deviations; 0 where nothing is known of it.
        """
        return self.source.deviation(self.factor)

    def bad(self) -> NDArray | bool:
        """Where the mask that the dark brings along is not 0.

        Returns
        -------
        ndarray of bool or bool
            False where it brings none along.
        """
        return masks.baggage(self.source.image).bad()


@dataclasses.dataclass(frozen=True)
class RateFile:
    """The rate and the offset of every pixel, as ``fit_dark --per-pixel`` writes them.

    Attributes
    ----------
    rate, offset : Image
        Counts a second, and counts.
    bias : Image or None
        What is to be taken out of the offset.
    """

    rate: Any
    offset: Any
    bias: Any = None

    @property
    def image(self) -> Any:
        """The image whose header speaks for the file."""
        return self.rate

    @property
    def holds_bias(self) -> bool:
        """Whether the offset has the bias in it."""
        return self.bias is None and headers.value(self.rate.keywords, 'DARKBIAS') is True

    def words(self, seconds: float) -> str:
        """What is subtracted of an exposure.

        Parameters
        ----------
        seconds : float
            The exposure time.

        Returns
        -------
        str
            The words.
        """
        return f'({self.offset.name}{_without(self)} + {seconds:g} x {self.rate.name})'

    def fitted_to(self, image: Any) -> 'RateFile':
        """The same part of rate and offset as of an image.

        Parameters
        ----------
        image : Image
            The image.

        Returns
        -------
        RateFile
            The part.

        Raises
        ------
        Failure
            When the sizes do not agree.
        """
        bias = self.bias and self.bias.fitted_to(image)
        return RateFile(self.rate.fitted_to(image), self.offset.fitted_to(image), bias)

    def scaled(self, read: Read, seconds: float) -> NDArray:
        """The dark of an exposure time.

        Parameters
        ----------
        read : callable
            Gives the pixels of an image.
        seconds : float
            The exposure time.

        Returns
        -------
        ndarray
            Counts.
        """
        offset = read(self.offset)
        if self.bias is not None:
            offset = arithmetic.operate(offset, '-', read(self.bias))[0]
        return darkcurrent.dark_of(offset, read(self.rate), seconds)

    def deviation(self, _seconds: float) -> float:
        """The uncertainty of the dark: the lines of many darks are taken for free of noise.

        Parameters
        ----------
        _seconds : float
            The exposure time.

        Returns
        -------
        float
            0.
        """
        return 0.0


def open_rates(word: str, bias: Any = None) -> RateFile:
    """The rates that ``--rate`` names.

    Parameters
    ----------
    word : str
        The word after the option.
    bias : Image, optional
        What is to be taken out of the offset.

    Returns
    -------
    RateFile
        Its extensions RATE and OFFSET.

    Raises
    ------
    Failure
        When the file has no such extensions, or the bias does not fit or is out already.
    """
    path = one_reference(word, 'file of rates').path
    rate, offset = (
        reader.open_image(inputs.Reference(path, name), keywords=calibrated.KEYWORDS) for name in ('RATE', 'OFFSET')
    )
    if bias is not None:
        _refuse_twice(rate)
    return RateFile(rate, offset.fitted_to(rate), None if bias is None else bias.fitted_to(rate))


class Shares:
    """Which dark each image gets, and how much of it.

    Parameters
    ----------
    sources : sequence of Dark, or RateFile
        The darks, of different exposure times; or rates.
    line : (float, float) or None
        Offset and slope of the line that darks are scaled by; None: by the ratio of the times.
    read : callable
        Gives the pixels of an image.
    bias_free : bool
        Whether the user says that no dark holds a bias.
    """

    def __init__(
        self, sources: Sequence[Dark] | RateFile, line: tuple[float, float] | None, read: Read, *, bias_free: bool
    ) -> None:
        self._rates = sources if isinstance(sources, RateFile) else None
        self._darks = [] if isinstance(sources, RateFile) else sorted(sources, key=lambda dark: dark.time)
        self._line, self._read, self._bias_free = line, read, bias_free
        # By file, HDU and part: several darks may lie in one file.
        self._levels: dict[Any, tuple[float, float]] = {}
        self._scalable: set[Any] = set()
        for first, other in zip(self._darks, self._darks[1:], strict=False):
            if same_time(first.time, other.time):
                what = f'{first.name} is a dark of {first.time:g} s too'
                raise Failure(f'{what}: combine_fits makes one of them', other.image.path)

    def of(self, frame: Dark) -> Share:
        """What is to be subtracted from an image.

        Parameters
        ----------
        frame : Dark
            The image, with its exposure time.

        Returns
        -------
        Share
            Of the rates; or else of the dark of the same exposure time; or else of the longest, scaled.

        Raises
        ------
        Failure
            When the image is one of the darks, or the dark must not be scaled or holds a bias that the image has lost.
        """
        if self._rates is not None:
            return self._of_rates(self._rates, frame)
        if any(dark.image.identity[:2] == frame.image.identity[:2] for dark in self._darks):
            raise Failure('it is the dark itself: nothing would be left of it', frame.image.path)
        equal = next((dark for dark in self._darks if same_time(dark.time, frame.time)), None)
        dark = equal or self._darks[-1]
        factor, how, cards = (1.0, 'the same time', []) if equal else self._scaling(dark, frame)
        self._refuse_lost_bias(dark, frame) if equal else self._refuse_to_scale(dark)
        bias = [('BIASSUB', calibrated.subtracted(dark.image))] if equal and self._bias_left(dark) else []
        cards = [
            ('DARKSUB', (headers.ascii_text(dark.name), 'dark that was subtracted')),
            ('DARKFAC', (factor, 'factor that the dark was multiplied by')),
            *calibrated.named('DARK', frame.image, dark.image),
            *cards,
            *bias,
        ]
        return Share(dark.fitted_to(frame.image), factor, f'{frame.time:g} s of {dark.time:g} s, {how}', cards)

    def _scaling(self, dark: Dark, frame: Dark) -> tuple[float, str, list[tuple[str, Any]]]:
        if self._line is None:
            return frame.time / dark.time, 'by the ratio of the times', []
        with refusing('--offset and --slope', frame.image.path):
            factor = darkcurrent.scale_factors(*self._line, [frame.time], dark.time)[0]
        return float(factor), line_words(*self._line), line_cards(*self._line)

    def _level(self, dark: Dark) -> tuple[float, float]:
        key = dark.image.identity
        if key not in self._levels:
            self._levels[key] = level_of(dark.read(self._read))
        return self._levels[key]

    def _bias_left(self, dark: Dark) -> str | None:
        if dark.bias is not None or self._bias_free or calibrated.bias_out(dark.image) is not None:
            return None
        return bias_left(dark.image, *self._level(dark))

    def _refuse_to_scale(self, dark: Dark) -> None:
        if dark.image.identity not in self._scalable:
            expected = None if self._line is None else self._line[0] + self._line[1] * dark.time
            refuse_to_scale(dark, self._level(dark), expected, self._bias_left(dark))
            self._scalable.add(dark.image.identity)

    def _refuse_lost_bias(self, dark: Dark, frame: Dark) -> None:
        left = self._bias_left(dark)
        if left is not None and (out := calibrated.bias_out(frame.image)) is not None:
            what = f'its bias was subtracted ({out}), and {dark.name} still holds one ({left})'
            raise Failure(f'{what}: --bias FILE takes it out of the dark', frame.image.path)

    def _of_rates(self, rates: RateFile, frame: Dark) -> Share:
        if rates.holds_bias and (out := calibrated.bias_out(frame.image)) is not None:
            what = f'its bias was subtracted ({out}), and the offset of {rates.rate.name} still holds one'
            raise Failure(f'{what}: --bias FILE takes it out of the offset', frame.image.path)
        bias = [('BIASSUB', calibrated.subtracted(rates.offset))] if rates.holds_bias else []
        cards = [
            ('DARKSUB', (headers.ascii_text(rates.rate.name), 'dark rates that were subtracted')),
            ('DARKFAC', (frame.time, 'seconds of the rates that were subtracted')),
            *bias,
        ]
        return Share(rates.fitted_to(frame.image), frame.time, f'{frame.time:g} s, pixel by pixel', cards)
