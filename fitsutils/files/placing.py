"""Where the images of a stack lie on one canvas, in whole pixels."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure, warn
from fitsutils.files import header as headers
from fitsutils.files import perframe
from fitsutils.files.library import fits, load

if TYPE_CHECKING:  # astropy.wcs takes longer to load than most commands take
    from astropy.wcs import WCS

_MOST = 100  # times the largest image that a canvas may be
_FAR = 1 << 62


@dataclass(frozen=True)
class Placement:
    """Where images lie on the smallest canvas that holds all of them.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the canvas.
    places : list of (int, int)
        Row and column of each image's first pixel on the canvas.
    shifts : list of (int, int)
        The offsets that led there, columns first: as the file has them, or from the first image.
    """

    shape: tuple[int, int]
    places: list[tuple[int, int]]
    shifts: list[tuple[int, int]]


def placed(images: Sequence[Any], word: str, roster: Sequence[Any] | None = None) -> Placement:
    """Lay images out by offsets in whole pixels.

    Parameters
    ----------
    images : sequence of Image
        Images of two axes, of any sizes.
    word : str
        ``wcs``: the middle of each image comes to lie on that pixel of the
        first one's grid that shows the same place. Otherwise the name of a file for
        `perframe.listed` with two numbers, DX DY: an image with larger ones lies further to the right
        and further up. They are rounded, halves away from zero.
    roster : sequence of Image or Unread, optional
        All images that the file speaks of, where some are left out of `images`.

    Returns
    -------
    Placement
        The canvas and where the images lie on it.

    Raises
    ------
    Failure
        When an image does not have two axes, or no WCS that serves; when the
        file does not go with the images; or when the canvas would have more
        than a hundred times the pixels of the largest image.
    """
    for image in images:
        if len(image.shape) != 2:
            raise Failure(f'images of two axes are laid out, and it has {len(image.shape)}', image.path)
    if word == 'wcs':
        shifts = _shifts_by_wcs(images)
    else:
        listed = perframe.listed(word.removeprefix('@'), images, ('DX', 'DY'), roster)
        shifts = [(_whole(dx), _whole(dy)) for dx, dy in listed]
    left, bottom = (min(shift[axis] for shift in shifts) for axis in (0, 1))
    places = [(dy - bottom, dx - left) for dx, dy in shifts]
    rows, columns = (
        max(place[axis] + image.shape[axis] for place, image in zip(places, images, strict=True)) for axis in (0, 1)
    )
    if rows * columns > _MOST * max(math.prod(image.shape) for image in images):
        raise _desert(images, places, (rows, columns))
    return Placement((rows, columns), places, shifts)


def shift_header(header: fits.Header, place: tuple[int, int]) -> None:
    """Move the cards that speak of pixel positions to where the image lies on a canvas.

    CRPIXn, LTVn, DATASEC, TRIMSEC and BIASSEC, as `header.cut_to` does for a part. The header is
    changed in place.

    Parameters
    ----------
    header : Header
        The image's header.
    place : (int, int)
        Row and column of its first pixel on the canvas.
    """
    headers.cut_to(header, [slice(-start, _FAR) for start in place])


def _whole(number: float) -> int:
    """The nearest whole number, of two the one farther from zero; also where adding a half would be rounded itself."""
    size = math.floor(abs(number))
    size += abs(number) - size >= 0.5
    return size if number > 0 else -size


def _desert(images: Sequence[Any], places: Sequence[tuple[int, int]], shape: tuple[int, int]) -> Failure:
    """The refusal of a canvas on which the images are lost; it names the image farthest from the middle ones."""
    count, away = len(places), [0] * len(places)
    for starts in zip(*places, strict=True):
        ordered = sorted(starts)
        twice = ordered[(count - 1) // 2] + ordered[count // 2]
        away = [far + abs(2 * start - twice) for far, start in zip(away, starts, strict=True)]
    farthest = max(range(count), key=lambda number: (away[number], number))
    return Failure(
        f'the images would lie on {shape[1]:.6g} x {shape[0]:.6g} pixels, more than {_MOST} times the largest of them, '
        'and this one lies farthest off',
        images[farthest].path,
    )


def _shifts_by_wcs(images: Sequence[Any]) -> list[tuple[int, int]]:
    first = _Grid(images[0])
    shifts = [(0, 0)]
    for image in images[1:]:
        own = _Grid(image)
        ny, nx = image.shape
        middle = own.offsets_to(first, [((nx - 1) / 2, (ny - 1) / 2)])[0]
        if not np.isfinite(middle).all():
            raise Failure(f'its middle has no pixel in the WCS of {images[0].path}', image.path)
        corners = own.offsets_to(first, [(x, y) for x in (0, nx - 1) for y in (0, ny - 1)])
        apart = np.abs(corners - middle).max()
        if not apart <= 0.5:
            warn(
                f'it is turned, of another scale or distorted against {images[0].path}: its corners are '
                f'{apart:.2g} pixels off where its middle fits, which whole pixels do not mend',
                image.path,
            )
        shifts.append((_whole(middle[0]), _whole(middle[1])))
    return shifts


class _Grid:
    """The pixels of an image, or of its part, and their WCS."""

    def __init__(self, image: Any) -> None:
        self._path = image.path
        self._start = np.array([part.start for part in reversed(image.slices)], 'f8')
        self._wcs = _wcs(image)
        terms = self._wcs.wcs
        axes = [(kind.partition('-')[0], str(unit)) for kind, unit in zip(terms.ctype, terms.cunit, strict=True)]
        self._system = axes, terms.radesys, str(terms.equinox)

    def offsets_to(self, other: _Grid, points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
        """What must be added to pixels (x, y), from 0, to come to those of the other grid; NaN where there are none."""
        wcs = load('astropy.wcs')

        own = np.array(points, 'f8')
        whole = own + self._start
        with _quiet(), np.errstate(all='ignore'):
            try:
                if self._system == other._system:
                    found = other._wcs.all_world2pix(self._wcs.all_pix2world(whole, 0), 0)
                else:
                    found = np.stack(wcs.utils.pixel_to_pixel(self._wcs, other._wcs, *whole.T), axis=1)
            except wcs.NoConvergence:
                return np.full(own.shape, np.nan)
            except Exception as error:  # of many kinds: units, frames and projections that do not go together
                what = ' '.join(str(error).split())
                raise Failure(f'its WCS does not go with that of {other._path}: {what}', self._path) from error
        return found - other._start - own


def _wcs(image: Any) -> WCS:
    """The WCS of an image's two axes."""
    wcs = load('astropy.wcs')

    header = image.header
    image.forget_header()

    def there(*keys: str) -> bool:
        return any(headers.as_number(headers.value(header, key)) is not None for key in keys)

    missing = [key for key in ('CRPIX1', 'CRPIX2', 'CRVAL1', 'CRVAL2') if not there(key)]
    missing += [f'CDELT{n}' for n in (1, 2) if not there(f'CDELT{n}', f'CD{n}_1', f'CD{n}_2')]
    if missing:
        raise Failure(f'it has no WCS to be laid out by: there is no {", ".join(missing)}', image.path)
    with _quiet():
        try:
            found = wcs.WCS(fits.Header.fromstring(header.tostring()), naxis=2)
            found.wcs.set()
        except Exception as error:  # of many kinds
            raise Failure(f'its WCS can not be used: {" ".join(str(error).split())}', image.path) from error
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep astropy from telling what it puts right in a WCS; it would do so on standard output."""
    log = load('astropy').log
    level = log.level
    try:
        log.setLevel('CRITICAL')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        log.setLevel(level)
