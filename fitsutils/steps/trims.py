"""Raw images -> trimmed ones: where `files` and `pixels` meet for `img_trim`.

`prepare` makes every refusal that needs no pixels; `trim` then works on one image at a time.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import refusing, warn
from fitsutils.files import amplifiers, detector, masks, provenance, reader, trimming, turning
from fitsutils.pixels import noise, orientation, overscan

KEYWORDS = (*detector.KEYWORDS, *trimming.KEYWORDS)
FROM_OVERSCAN = 'overscan'  # the word for a read noise that is the scatter of the overscan


@dataclasses.dataclass(frozen=True)
class Settings:
    """How images are trimmed.

    Attributes
    ----------
    fit : Fit
        What is subtracted of each amplifier.
    wanted : Wanted or None
        Where options say that the sections are; None where an image is only cut.
    guard : (int, int) or None
        Columns or rows left out at the overscan's edges; None for the layout's own.
    gain, rdnoise : sequence of str or None
        Numbers or keywords, for all amplifiers or for each.
    uncertainty : bool
        Whether the standard deviations of the pixels are wanted.
    flip : str or None
        'x', 'y' or 'both'.
    rotate : int or None
        Degrees, counter-clockwise.
    again : bool
        Whether images may be trimmed, or in electrons, already.
    max_size : int
        Bytes that a compressed file may unpack to.
    checksum : str
        What a wrong checksum means.
    """

    fit: Any
    wanted: Any = None
    guard: tuple[int, int] | None = None
    gain: Sequence[str] | None = None
    rdnoise: Sequence[str] | None = None
    uncertainty: bool = False
    flip: str | None = None
    rotate: int | None = None
    again: bool = False
    max_size: int = 2 * 10**10
    checksum: str = 'warn'


class Task(NamedTuple):
    """One image that can be trimmed.

    Attributes
    ----------
    image : Image
        The image.
    layout : Layout
        Where its amplifiers lie.
    parts : list of Part
        What each amplifier reads.
    noises : list of float
        Read noise of each in electrons, where it is given.
    baggage : Baggage
        The uncertainty and the mask that the image brings along.
    """

    image: Any
    layout: Any
    parts: list[Any]
    noises: list[float]
    baggage: Any


class Result(NamedTuple):
    """A trimmed image.

    Attributes
    ----------
    pixels : ndarray
        Of the joined image, ``(..., ny, nx)``, float32 or float64; counts or electrons.
    uncertainty : ndarray or None
        Its standard deviations, of the same shape.
    bad : ndarray of bool or None
        Pixels that are bad, of the same shape or its last two axes; those without a value are bad too.
    measured : list
        What the overscan of each amplifier gave.
    """

    pixels: NDArray
    uncertainty: NDArray | None
    bad: NDArray | None
    measured: list[Any]


def prepare(image: Any, settings: Settings) -> Task:
    """Make all refusals that need no pixels, and find where the amplifiers of an image lie.

    Parameters
    ----------
    image : Image
        The image, opened with `KEYWORDS`.
    settings : Settings
        How it is to be trimmed.

    Returns
    -------
    Task
        Ready to be trimmed.

    Raises
    ------
    Failure
        When the image is trimmed already, nothing tells its sections, or they make no sense.
    """
    wanted = settings.wanted
    if not settings.again and wanted is not None:
        trimming.refuse_trimmed(image)
    if not settings.again and settings.gain:
        trimming.refuse_electrons(image)
    layout = detector.cut_layout(image) if wanted is None else detector.find_layout(image, wanted)
    names = [amplifier.name for amplifier in layout.amplifiers]
    gains = trimming.numbers_for(settings.gain or ['1'], names, image, '--gain', zero=False)
    noises = []
    if settings.rdnoise not in (None, [FROM_OVERSCAN]):
        noises = trimming.numbers_for(settings.rdnoise, names, image, '--rdnoise')
    with refusing(layout.source, image.path):
        parts = [_part(*pair, layout, settings) for pair in zip(layout.amplifiers, gains, strict=True)]
        if settings.rdnoise == [FROM_OVERSCAN]:
            _refuse_without_scatter([_most_freedom(part.strip, settings.fit) for part in parts], parts)
    if wanted is not None:
        image = image.of_planes(*(slice(0, length) for length in image.full_shape[-2:]))
    return Task(image, layout, parts, noises, _baggage(image, settings))


def _baggage(image: Any, settings: Settings) -> Any:
    found = masks.baggage(image, max_size=settings.max_size)
    if settings.uncertainty and found.uncertainty is not None:
        warn('--uncertainty replaces the uncertainty that it brings along', image.path)
        found = found._replace(uncertainty=None)
    return found


def _part(amplifier: Any, gain: float, layout: Any, settings: Settings) -> Any:
    guard = settings.guard or layout.guard
    strip = amplifier.bias and overscan.strip_beside(amplifier.data, amplifier.bias, settings.fit, guard)
    data = amplifier.data if settings.wanted is not None else amplifier.place  # of the part that is read
    return overscan.Part(data, amplifier.place, strip, gain)


def _most_freedom(strip: Any, fit: Any) -> int:
    """The degrees of freedom of an overscan whose pixels are all good."""
    rows, columns = (part.stop - part.start for part in strip.window)
    return overscan.freedom(rows * columns, columns if strip.axis else rows, fit)


def _refuse_without_scatter(known: Sequence[float], parts: Sequence[Any]) -> None:
    """Refuse to take a read noise from an overscan that tells none: `known` is not above 0."""
    for number, part in zip(known, parts, strict=True):
        if not number > 0:
            raise ValueError(
                f'the overscan {amplifiers.words_of(part.strip.window)} has too few good pixels to scatter, and '
                f'--rdnoise {FROM_OVERSCAN} is its scatter; give the read noise'
            )


def trim(task: Task, settings: Settings) -> Result:
    """Take the overscan off one image.

    Parameters
    ----------
    task : Task
        What `prepare` gave.
    settings : Settings
        The same.

    Returns
    -------
    Result
        The pixels of the image, and what its overscan says.

    Raises
    ------
    Failure
        When the file can't be read, or its overscan says nothing.
    """
    image = task.image
    with (
        refusing(task.layout.source, image.path),
        reader.unpacked([image], max_size=settings.max_size, tiles=len(image.shape) > 2),
    ):
        reader.verify_checksum(image, settings.checksum)
        planes = image.planes()
        raw = (reader.read_pixels(plane).reshape(image.shape[-2:]) for plane in planes)
        found, measured = overscan.trim(raw, len(planes), task.layout.shape, task.parts, settings.fit)
        if settings.rdnoise == [FROM_OVERSCAN]:
            _refuse_without_scatter([each.scatter == each.scatter for each in measured], task.parts)
    found = found.reshape(*image.shape[:-2], *task.layout.shape)
    bad = None if task.baggage.mask is None else _joined(task.baggage.bad(), task)
    if not settings.uncertainty:
        return Result(found, _carried(task), bad, measured)
    noises = task.noises or [each.scatter * part.gain for each, part in zip(measured, task.parts, strict=True)]
    sigma = noise.of_amplifiers(found, [part.place for part in task.parts], noises)
    return Result(found, sigma, np.zeros(found.shape, bool) if bad is None else bad, measured)


def _carried(task: Task) -> NDArray | None:
    """The uncertainty that the image brings along, of the joined pixels: a gain scales it, a level leaves it."""
    if task.baggage.uncertainty is None:
        return None
    found = _joined(task.baggage.deviation(), task)
    for part in task.parts:
        found[..., *part.place] *= part.gain
    return np.broadcast_to(found, (*task.image.shape[:-2], *found.shape[-2:]))


def _joined(values: NDArray, task: Task) -> NDArray:
    """Values of the raw pixels, ``(..., ny, nx)``, where these went."""
    found = np.empty((*values.shape[:-2], *task.layout.shape), values.dtype)
    for part in task.parts:
        found[..., *part.place] = values[..., *part.data]
    return found


def pictures(
    task: Task, result: Result, settings: Settings, cards: Sequence[tuple[str, Any]] = ()
) -> list[tuple[NDArray, Any]]:
    """The images of the output file with their headers.

    Parameters
    ----------
    task : Task
        The image that was trimmed.
    result : Result
        What became of it.
    settings : Settings
        How.
    cards : sequence of (str, value)
        What ``--set`` asks for.

    Returns
    -------
    list of (ndarray, Header)
        The image, flipped and rotated; UNCERT and MASK where they are wanted or the image brings them along.
    """
    header = _header(task, result, settings)
    for key, content in cards:
        header[key] = content
    turned = [
        None if each is None else orientation.turned(each, settings.flip, settings.rotate)
        for each in (result.pixels, result.uncertainty, result.bad)
    ]
    return provenance.with_baggage(turned[0], header, *turned[1:])


def _header(task: Task, result: Result, settings: Settings) -> Any:
    image, layout = task.image, task.layout
    lines = [image.name, *words(task, settings, result.measured)]
    header = trimming.trimmed_header(image, layout.window, lines)
    if settings.wanted is not None:
        trimming.settle_sections(header, layout)
        windows = [part.strip and part.strip.window for part in task.parts]
        guard = settings.guard or layout.guard
        for card in trimming.overscan_cards(settings.fit, guard, layout, windows, result.measured):
            header[card[0]] = card[1:]
    names = [amplifier.name for amplifier in layout.amplifiers]
    if settings.gain:
        trimming.to_electrons(header, [part.gain for part in task.parts], settings.gain, names)
    if settings.gain or result.measured:
        taken = [each.highest for each in result.measured] or [0.0] * len(names)
        steps = [(value, part.gain) for value, part in zip(taken, task.parts, strict=True)]
        trimming.move_limits(header, steps, names, result.pixels.dtype)
    turn = turning.turn_of(settings.flip, settings.rotate)
    turning.turn_header(header, turn, tuple(reversed(layout.shape)), image.path)
    return header


def words(task: Task, settings: Settings, measured: Sequence[Any] = ()) -> list[str]:
    """What is done to an image, in words.

    Parameters
    ----------
    task : Task
        The image.
    settings : Settings
        How it is trimmed.
    measured : sequence
        What its overscans gave, once that is known.

    Returns
    -------
    list of str
        A line for each amplifier, one for the rest.
    """
    lines = [f'sections: {task.layout.source}']
    for number, (amplifier, part) in enumerate(zip(task.layout.amplifiers, task.parts, strict=True)):
        line = amplifiers.words_of(amplifier.data)
        if part.strip is not None:
            line += f' less {amplifiers.words_of(part.strip.window)}'
        if measured:
            scatter = measured[number].scatter
            line += f', level {measured[number].level:.6g}' + (f', scatter {scatter:.4g}' if scatter == scatter else '')
        lines.append(line + (f', times {part.gain:g}' if settings.gain else ''))
    turned = [
        f'{what} {how}' for what, how in (('flip', settings.flip), ('rotate', settings.rotate)) if how is not None
    ]
    return lines + [', '.join(turned)] * bool(turned)


def remarks(result: Result) -> list[str]:
    """What a user should know of a trimmed image.

    Parameters
    ----------
    result : Result
        The image.

    Returns
    -------
    list of str
        A line for overscans without good pixels, one for those that are saturated, one for those that drift.
    """
    lines = sum(map(overscan.lines_without, result.measured))
    found = [f'{lines} rows or columns have no good overscan pixel: NaN'] if lines else []
    stuck = sorted({f'{each.stuck:.6g}' for each in result.measured if each.stuck == each.stuck})
    if stuck:
        found.append(
            f'all pixels of an overscan are {" or ".join(stuck)}, and none of the image lies above: it is saturated, '
            'or no overscan'
        )
    drifts = [f'{each.drift:.3g}' for each in result.measured if each.drift > each.scatter]
    if drifts:
        found.append(f'the overscan drifts by {" and ".join(drifts)} adu: --fit row or a curve follows it')
    return found
