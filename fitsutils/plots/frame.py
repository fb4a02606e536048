"""An image ready to be shown, how it is to be shown, and at which scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitsutils.plots import page, painting
from fitsutils.plots.limits import Limits

# Size and dpi in a file, and in a window.
_RESOLUTIONS = {
    'image': ((1000, 150.0), (700, 100.0)), 'film': ((500, 100.0), (500, 100.0)), 'panel': ((300, 150.0), (200, 100.0)),
}  # fmt: skip
_LEAST_DPI = 80.0
_SMALLEST_SIDE = 16  # pixels: an image of one row can still be seen


@dataclass(frozen=True)
class Frame:
    """What is to be shown of one image.

    Attributes
    ----------
    planes : ndarray
        Shape (1, ny, nx), or (3, ny, nx) for red, green and blue; NaN and infinite pixels are bad.
    limits : sequence of (float, float)
        Of each plane, in the unit of the pixels.
    title : str
        Printable text.
    origin : (int, int)
        x and y of the first pixel, counted from 1 in the whole image.
    unit : str
        Of the pixels; empty where it is not known.
    plane : int, optional
        Number of the plane in its cube, from 1.
    """

    planes: NDArray
    limits: Sequence[Limits]
    title: str = ''
    origin: tuple[int, int] = (1, 1)
    unit: str = ''
    plane: int | None = None

    @property
    def label(self) -> str:
        """The title, and which plane of a cube this is."""
        return ', '.join(filter(None, [self.title, self.plane and f'plane {self.plane}']))


@dataclass(frozen=True)
class Style:
    """How images are shown.

    Attributes
    ----------
    colours : str
        ``inv``, ``non`` or a colour map of matplotlib.
    stretch : {'linear', 'sqrt', 'log', 'asinh'}
        From pixel values to colours.
    y_stretch : float
        Height of a pixel in units of its width.
    size : int
        About how many pixels the longer side of the image gets in the picture.
    dpi : float
        Pixels of the picture per inch: the size of its texts.
    marginals : bool
        Whether the sums of columns and rows are drawn.
    note : str
        How the limits were found.
    """

    colours: str = 'inv'
    stretch: str = 'linear'
    y_stretch: float = 1.0
    size: int = 1000
    dpi: float = 150.0
    marginals: bool = True
    note: str = ''


def panels(shape: Sequence[int], *, rgb: bool, moving: bool, stride: int) -> int:
    """How many pictures side by side an image makes.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    rgb : bool
        Its three planes are red, green and blue.
    moving : bool
        Its planes are shown one after the other.
    stride : int
        Only every so-many-th plane is shown.

    Returns
    -------
    int
        1, or the number of planes.

    Raises
    ------
    PictureError
        When an image of this shape can't be shown so.
    """
    axes = _axes(shape)
    size = f'{" x ".join(map(str, reversed(axes)))} pixels'
    if len(axes) > 3:
        raise page.PictureError(f'{size}: more axes than a cube has; a part of it, such as [*,*,*,1], can be shown')
    if rgb and axes[:-2] != (3,):
        raise page.PictureError(f'{size}: a red-green-blue image is a cube of 3 planes')
    if moving and len(axes) == 2:
        raise page.PictureError(f'{size}: there are no planes to animate')
    return 1 if rgb or moving or len(axes) == 2 else -(-axes[0] // stride)


def _axes(shape: Sequence[int]) -> tuple[int, ...]:
    """Without leading axes of length 1, which a part of a cube may have; one axis alone is a row."""
    axes = (1, *shape) if len(shape) == 1 else tuple(shape)
    while len(axes) > 2 and axes[0] == 1:
        axes = axes[1:]
    return axes


def frames(
    pixels: NDArray,
    find_limits: Callable[[NDArray], Limits],
    kind: str,
    *,
    stride: int = 1,
    plane: int = 1,
    **shown: Any,
) -> list[Frame]:
    """What there is to see of an image.

    Parameters
    ----------
    pixels : ndarray
        Shape (nx,), (ny, nx) or (nz, ny, nx), perhaps with axes of length 1 before; for 'all' any.
    find_limits : callable
        Gives the display limits of pixels.
    kind : {'planes', 'rgb', 'all'}
        'planes': a frame for each plane, all with the same limits; 'rgb': one frame with limits for each of the three
        planes; 'all': one frame, which may have any number of planes.
    stride : int
        Only every so-many-th plane is taken.
    plane : int
        Number of the first one.
    **shown : Any
        `Frame.title`, `Frame.origin` and `Frame.unit`.

    Returns
    -------
    list of Frame
        One, or one a plane.
    """
    pixels = pixels.reshape(_axes(pixels.shape))
    if pixels.ndim > 2:
        pixels = pixels[::stride]
    if kind == 'rgb':
        return [Frame(pixels, [find_limits(each) for each in pixels], **shown)]
    limits = [find_limits(pixels)]
    if pixels.ndim == 2 or kind == 'all':
        return [Frame(pixels[None] if pixels.ndim < 3 else pixels, limits, **shown)]
    return [Frame(each[None], limits, plane=plane + stride * place, **shown) for place, each in enumerate(pixels)]


def resolution(kind: str, size: int | None = None, *, screen: bool = False) -> dict[str, float]:
    """Size and dots per inch of a picture.

    Parameters
    ----------
    kind : {'image', 'film', 'panel'}
        A single image, an animation, a small picture on a sheet.
    size : int, optional
        About how many pixels the longer side of the image shall get.
    screen : bool
        The picture is for a window.

    Returns
    -------
    dict
        `Style.size` and `Style.dpi`; texts grow with the image, but stay legible.

    Examples
    --------
    >>> resolution('image'), resolution('image', 4000)
    ({'size': 1000, 'dpi': 150.0}, {'size': 4000, 'dpi': 600.0})
    """
    usual, dpi = _RESOLUTIONS[kind][screen]
    return {'size': size or usual, 'dpi': max(_LEAST_DPI, dpi * (size or usual) / usual)}


@dataclass(frozen=True)
class Geometry:
    """How an image is laid out in pixels of the picture.

    Attributes
    ----------
    rows, columns : int
        Size of the blocks of image pixels that are averaged.
    width, height : int
        Size in the picture.
    """

    rows: int
    columns: int
    width: int
    height: int


def geometry(ny: int, nx: int, size: int, y_stretch: float = 1.0) -> Geometry:
    """The scale at which an image is shown.

    A pixel of the image becomes a whole number of pixels of the picture, or
    the mean of a whole number of them becomes one: nothing is interpolated,
    but for a stretch that is no whole number.

    Parameters
    ----------
    ny, nx : int
        Size of the image.
    size : int
        About how many pixels its longer side shall get; two thirds to one and a half times that many come out.
    y_stretch : float
        Height of a pixel in units of its width.

    Returns
    -------
    Geometry
        Blocks and size in the picture.

    Examples
    --------
    >>> geometry(4096, 4096, 1000)
    Geometry(rows=4, columns=4, width=1024, height=1024)
    >>> geometry(100, 200, 1000)
    Geometry(rows=1, columns=1, width=1000, height=500)
    """
    scale = size / max(nx, ny * y_stretch)
    zoom, block = max(1, round(scale)), max(1, round(1 / scale))
    columns = -(-nx // block)
    width = columns * zoom
    if y_stretch == 1:
        rows = -(-ny // block)
        height = rows * zoom
    else:
        height = max(1, round(ny * y_stretch * zoom / block))
        rows = -(-ny // max(1, ny // height))
    # Blocks as even as can be, or the last of a few large ones would reach far beyond the image.
    return Geometry(-(-ny // rows), -(-nx // columns), max(width, _SMALLEST_SIDE), max(height, _SMALLEST_SIDE))


def reduced(planes: NDArray, shape: Geometry) -> NDArray[np.float64]:
    """An image at the resolution of its picture.

    Parameters
    ----------
    planes : ndarray
        Shape (k, ny, nx).
    shape : Geometry
        From `geometry`.

    Returns
    -------
    ndarray of float64
        Shape (k, rows, columns), means of blocks; NaN where a block has no good pixel.
    """
    return np.stack([painting.block_mean(plane, shape.rows, shape.columns) for plane in planes])


def interpolation(colours: NDArray, shape: Geometry) -> str:
    """How matplotlib shall bring colours to the size of the picture.

    Parameters
    ----------
    colours : ndarray
        Shape (rows, columns, 3).
    shape : Geometry
        Size in the picture.

    Returns
    -------
    str
        'none', each pixel as it is, where the scale is a whole number; else 'antialiased'.
    """
    exact = shape.height % colours.shape[0] == 0 and shape.width % colours.shape[1] == 0
    return 'none' if exact else 'antialiased'
