"""Flats -> their response: where `files` and `pixels` meet for `flat_response`."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fitsutils.errors import Failure, refusing
from fitsutils.files import header as headers
from fitsutils.files import masks, provenance, reader, section, writer
from fitsutils.pixels import arithmetic, response

_TEXTS = {
    'LIT': '1 where the lamp lights the detector',
    'BADPIX': '1 where a pixel is bad',
    'UNCERT': 'standard deviation of FLAT',
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the lamp is taken out of flats.

    Attributes
    ----------
    fit : Fit
        How its spectrum is fitted.
    order : int or None
        Order of the fit where it was asked for: a default one makes do with a shorter spectrum.
    axis : {'x', 'y'} or None
        The axis along which the spectrum runs; None for what DISPAXIS says.
    lit : float or slice
        Least light of a lit row relative to the slit's, or the lit rows.
    bad : float
        By which part a bad pixel differs from its surroundings.
    dtype : str
        Type of the response.
    checksum : str
        What a wrong checksum means.
    max_size : int
        Bytes that a compressed file may unpack to.
    """

    fit: Any
    order: int | None = None
    axis: str | None = None
    lit: float | slice = 0.8
    bad: float = 0.5
    dtype: str = 'float32'
    checksum: str = 'warn'
    max_size: int = 2 * 10**10


class Task(NamedTuple):
    """One flat.

    Attributes
    ----------
    image : Image
        The flat.
    axis : {'x', 'y'}
        The axis along which its spectrum runs.
    mask : Image or None
        Pixels that are bad.
    uncertainty : (Image, str) or None
        As of `masks.companions`.
    """

    image: Any
    axis: str
    mask: Any
    uncertainty: tuple[Any, str] | None


def prepare(image: Any, mask: Any, settings: Settings) -> Task:
    """Make all refusals that need no pixels.

    Parameters
    ----------
    image : Image
        The flat.
    mask : Image or None
        Pixels that are bad.
    settings : Settings
        How the lamp is taken out.

    Returns
    -------
    Task
        Ready to be worked on.

    Raises
    ------
    Failure
        When it has not 2 axes, says nothing of its dispersion, is too small for the fit, or the mask does not fit.
    """
    if len(image.shape) != 2:
        raise Failure(f'a flat has 2 axes, and it has {len(image.shape)}', image.path)
    axis = settings.axis or _dispersion_axis(image)
    length, rows = image.shape[::-1] if axis == 'x' else image.shape
    lit, order = settings.lit, settings.order or 0
    if isinstance(lit, slice) and lit.stop > rows:
        raise Failure(f'--lit {lit.start + 1}:{lit.stop}: there are {rows} rows along the slit', image.path)
    if order >= length:
        raise Failure(f'-k {order}: its spectrum has {length} points', image.path)
    companions = masks.companions([image])
    return Task(image, axis, mask and mask.fitted_to(image), companions and companions[0])


def _dispersion_axis(image: Any) -> str:
    said = headers.value(image.keywords, 'DISPAXIS')
    number = headers.as_number(said)
    if number not in (1, 2):
        what = 'it has no keyword DISPAXIS' if said is None else f'DISPAXIS = {said!r} is neither 1 nor 2'
        raise Failure(f'{what}: -d x or -d y must say along which axis the spectrum runs', image.path)
    return 'xy'[int(number) - 1]


def find(task: Task, settings: Settings) -> Any:
    """The response of one flat.

    Parameters
    ----------
    task : Task
        The flat.
    settings : Settings
        How its lamp is taken out.

    Returns
    -------
    Response
        As `pixels.response.flat_response` gives it, with the spectrum along the last axis.

    Raises
    ------
    Failure
        When the file can't be read, or there is no response to be found.
    """
    mask = None if task.mask is None else _oriented(_read(task.mask, settings) != 0, task.axis)
    flat = _oriented(_read(task.image, settings), task.axis)
    with refusing('no response can be found', task.image.path):
        return response.flat_response(flat, settings.fit, mask=mask, lit=settings.lit, bad=settings.bad)


def _read(image: Any, settings: Settings) -> NDArray:
    return reader.read_pixels(image, checksum=settings.checksum, max_size=settings.max_size)


def _oriented(image: NDArray, axis: str) -> NDArray:
    """The image with its spectrum along the last axis, or back again."""
    return image if axis == 'x' else image.T


def parts(task: Task, found: Any, settings: Settings, cards: Sequence[tuple[str, Any]] = ()) -> list[Any]:
    """The HDUs of the output: flat, masks, table, uncertainty.

    Parameters
    ----------
    task : Task
        The flat.
    found : Response
        What `find` gave.
    settings : Settings
        How the lamp was taken out.
    cards : sequence of (str, value)
        What ``--set`` asks for.

    Returns
    -------
    list
        As `writer.write_fits` takes them.

    Raises
    ------
    Failure
        When the type does not hold the values.
    """
    lines = [f'{task.image.name}: {words(settings.fit)} along {task.axis}, residual rms {found.lamp.rms:.3g}']
    lines += [f'mask {task.mask.name}'] if task.mask else []
    header = headers.product(task.image, 'flat_response', lines, [*_cards(task, found, settings), *cards])
    images = {'FLAT': found.flat, 'LIT': found.lit.astype('u1'), 'BADPIX': found.bad.astype('u1')}
    if task.uncertainty is not None:
        sigma = masks.read_deviation(task.uncertainty, max_size=settings.max_size)
        images['UNCERT'] = found.uncertainty(_oriented(sigma, task.axis))
    made: list[Any] = []
    for name, image in images.items():
        head = header if name == 'FLAT' else provenance.map_header(name, header, _TEXTS[name])
        with refusing(f'{name} in {settings.dtype}', task.image.path):
            stored = image if image.dtype == 'u1' else arithmetic.as_type(image, settings.dtype)
        made.append((_oriented(stored, task.axis), head))
    lamp, number = found.lamp, range(1, len(found.lamp.used) + 1)
    columns = {'pixel': number, 'data': lamp.spectrum, 'fit': lamp.curve, 'used': lamp.used}
    made.insert(3, writer.table('RESPONSE', columns, {'pixel': 'pix'}))
    return made


def _cards(task: Task, found: Any, settings: Settings) -> list[tuple[str, Any]]:
    """What the header says about the response; EXTNAME, so that FLAT names the image wherever it lies in the file."""
    rows, fit = found.lit.any(axis=1), settings.fit
    cards = [
        ('EXTNAME', ('FLAT', 'response of the pixels, 1 where unlit')),
        ('EXTVER', (1, 'version of the extension')),
        ('BUNIT', ('', 'relative to the lit part')),
        ('DISPAXIS', ('xy'.index(task.axis) + 1, 'axis along which the spectrum runs')),
        ('RSPMETH', (fit.method, 'how the spectrum of the lamp was fitted')),
        ('RSPORDER', (fit.order, 'degree, pieces or window of the fit')),
        ('RSPBOX', (fit.box, '[pix] averaged before the fit')),
        ('RSPCLIP', (fit.clip, 'sigma beyond which points were clipped')),
        ('RSPNUSED', (int(found.lamp.used.sum()), 'points of the spectrum used by the fit')),
        ('RSPRMS', (found.lamp.rms, 'rms of spectrum / fit - 1')),
        ('RSPLEVEL', (found.level, 'median that the result was divided by')),
        ('LITSEC', (_section(found, task.axis), 'smallest section with all that is lit')),
        ('LITROWS', (int(rows.sum()), 'lit rows or columns along the slit')),
        ('NBADPIX', (int(found.bad.sum()), 'bad pixels')),
        ('NFAINT', (found.nfaint, 'of them only for a response below 0.2')),
        ('BADLIMIT', (settings.bad, 'deviation from which a pixel is bad')),
    ]  # fmt: skip
    return (
        cards if isinstance(settings.lit, slice) else [*cards, ('LITLEAST', (settings.lit, 'least light of a lit row'))]
    )


def _section(found: Any, axis: str) -> str:
    along, across = found.lit_bounds
    return str(section.from_bounds([*along, *across] if axis == 'x' else [*across, *along]))


def words(fit: Any) -> str:
    """How a lamp was fitted, in words.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    str
        The words.

    Examples
    --------
    >>> words(response.Fit('poly', 7, 3.0, 5)), words(response.Fit('spline', 25, 3.0, 5))
    ('poly of degree 7', 'spline of 25 pieces')
    """
    unit = {'poly': 'degree', 'spline': 'pieces', 'median': 'pixels'}[fit.method]
    return f'{fit.method} of {fit.order} {unit}' if unit != 'degree' else f'{fit.method} of degree {fit.order}'
