"""Pixels to colours: reduction to the size of the picture, stretch, colour map."""

import difflib
from collections.abc import Callable, Sequence

import numpy as np
from astropy.visualization import AsinhStretch, BaseStretch, LinearStretch, LogStretch, SqrtStretch
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from fitsutils.plots.limits import Limits

STRETCHES: dict[str, Callable[[], BaseStretch]] = {
    'linear': LinearStretch, 'sqrt': SqrtStretch, 'log': LogStretch, 'asinh': AsinhStretch,
}  # fmt: skip
_SHORT_NAMES = {'inv': 'gray_r', 'non': 'gray'}
# Bad pixels get the first of these that stands out from the whole colour map.
_BAD_COLOURS = ('#2f7fd0', '#e8308a', '#20b050', '#f08000', '#ffffff', '#808080')
_STANDS_OUT = 0.35
_BAND = 1 << 22  # pixels reduced or summed at a time


def block_mean(pixels: NDArray, rows: int, columns: int) -> NDArray[np.float64]:
    """Means of blocks of pixels: what a picture smaller than the image shows.

    Parameters
    ----------
    pixels : ndarray
        Shape (ny, nx), any real type.
    rows, columns : int
        Size of a block; those at the upper and right edges may hold fewer pixels.

    Returns
    -------
    ndarray of float64
        Shape (ceil(ny / rows), ceil(nx / columns)). NaN and infinite pixels are
        left out; NaN where a block has no other.

    Examples
    --------
    >>> block_mean(np.array([[1, 3, 5], [5, 7, 9]]), 2, 2)
    array([[4., 7.]])
    """
    ny, nx = pixels.shape
    out = np.empty((-(-ny // rows), -(-nx // columns)))
    step = max(1, _BAND // (nx * rows))
    for start in range(0, len(out), step):
        out[start : start + step] = _block_means(pixels[start * rows : (start + step) * rows], rows, columns)
    return out


def _block_means(band: NDArray, rows: int, columns: int) -> NDArray[np.float64]:
    ny, nx = band.shape
    tops, lefts = np.arange(0, ny, rows), np.arange(0, nx, columns)
    good = np.isfinite(band) if band.dtype.kind == 'f' else None
    if good is None or good.all():
        heights, widths = np.diff(tops, append=ny), np.diff(lefts, append=nx)
        return _block_sums(band, tops, lefts) / np.multiply.outer(heights, widths)
    counts = _block_sums(good, tops, lefts)
    with np.errstate(invalid='ignore'):
        return _block_sums(np.where(good, band, 0), tops, lefts) / counts


def _block_sums(band: NDArray, tops: NDArray[np.intp], lefts: NDArray[np.intp]) -> NDArray[np.float64]:
    with np.errstate(over='ignore'):
        by_rows = np.add.reduceat(band, tops, axis=0, dtype=np.float64) if len(tops) < len(band) else band
        return np.add.reduceat(by_rows, lefts, axis=1, dtype=np.float64)


def marginal_sums(pixels: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of the columns and of the rows of an image.

    Parameters
    ----------
    pixels : ndarray
        Shape (ny, nx), any real type.

    Returns
    -------
    columns : ndarray of float64
        Shape (nx,): the sum of the pixels of each column. NaN and infinite
        pixels are left out; NaN where a column has no other.
    rows : ndarray of float64
        Shape (ny,): the same of each row.

    Examples
    --------
    >>> marginal_sums(np.array([[1.0, 2.0], [np.nan, 4.0]]))
    (array([1., 6.]), array([3., 4.]))
    """
    ny, nx = pixels.shape
    columns, rows, found = np.zeros(nx), np.empty(ny), np.zeros(nx, bool)
    step = max(1, _BAND // nx)
    for start in range(0, ny, step):
        band = pixels[start : start + step]
        good = np.isfinite(band) if band.dtype.kind == 'f' else np.broadcast_to(True, band.shape)
        band = band if good.all() else np.where(good, band, 0)
        columns += band.sum(axis=0, dtype=np.float64)
        rows[start : start + step] = np.where(good.any(axis=1), band.sum(axis=1, dtype=np.float64), np.nan)
        found |= good.any(axis=0)
    return np.where(found, columns, np.nan), rows


def stretched(pixels: NDArray, limits: Limits, stretch: str) -> NDArray[np.float64]:
    """Pixels as fractions of the way through the colours.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.
    limits : (float, float)
        Pixel values at 0 and at 1; what lies beyond is clipped.
    stretch : {'linear', 'sqrt', 'log', 'asinh'}
        astropy's stretches with their defaults.

    Returns
    -------
    ndarray of float64
        0 to 1; NaN stays NaN.

    Examples
    --------
    >>> stretched(np.array([0.0, 25.0, 400.0]), (0, 100), 'sqrt')
    array([0. , 0.5, 1. ])
    """
    low, high = limits
    half = high / 2 - low / 2  # half of everything: the difference of two large floats may be infinite
    fraction = np.clip((pixels.astype(np.float64) / 2 - low / 2) / half, 0, 1)
    return STRETCHES[stretch]()(fraction, clip=False)


def values_at(fractions: Sequence[float], limits: Limits, stretch: str) -> NDArray[np.float64]:
    """The pixel values that fractions of the way through the colours stand for.

    Parameters
    ----------
    fractions : sequence of float
        0 to 1.
    limits : (float, float)
        As in `stretched`.
    stretch : {'linear', 'sqrt', 'log', 'asinh'}
        As in `stretched`.

    Returns
    -------
    ndarray of float64
        Shape of `fractions`, in the unit of the pixels.

    Examples
    --------
    >>> values_at([0, 0.5, 1], (0, 100), 'sqrt')
    array([  0.,  25., 100.])
    """
    shares = STRETCHES[stretch]().inverse(np.array(fractions, np.float64), clip=False)
    return limits[0] * (1 - shares) + limits[1] * shares


def colour_table(name: str) -> NDArray[np.uint8]:
    """A colour map as a table.

    Parameters
    ----------
    name : str
        ``inv`` (inverted grey), ``non`` (grey), or a name that matplotlib knows.

    Returns
    -------
    ndarray of uint8
        Shape (257, 3), red, green and blue: 256 colours, and behind them that of bad pixels.

    Raises
    ------
    ValueError
        When there is no such colour map; the message names similar ones.
    """
    full = _SHORT_NAMES.get(name, name)
    if full not in colormaps:
        near = difflib.get_close_matches(name, [*_SHORT_NAMES, *colormaps], 3) or ['inv', 'non', 'viridis']
        raise ValueError(f'there is no colour map {name!r}; there are {", ".join(near)} ...')
    colours = colormaps[full](np.linspace(0, 1, 256))[:, :3]
    away = [min(np.linalg.norm(colours - to_rgb(bad), axis=1)) for bad in _BAD_COLOURS]
    place = next((place for place, distance in enumerate(away) if distance > _STANDS_OUT), int(np.argmax(away)))
    return np.rint(255 * np.vstack([colours, to_rgb(_BAD_COLOURS[place])])).astype(np.uint8)


def paint(pixels: NDArray, limits: Sequence[Limits], stretch: str, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours of an image.

    Parameters
    ----------
    pixels : ndarray
        Shape (1, ny, nx), or (3, ny, nx) for red, green and blue.
    limits : sequence of (float, float)
        Of each plane, as in `stretched`.
    stretch : {'linear', 'sqrt', 'log', 'asinh'}
        As in `stretched`.
    table : ndarray of uint8
        From `colour_table`; of three planes only the colour of bad pixels is taken.

    Returns
    -------
    ndarray of uint8
        Shape (ny, nx, 3). A pixel that is not finite in any plane has the colour of bad pixels.
    """
    bad = ~np.isfinite(pixels).all(axis=0)
    levels = [
        np.rint(255 * stretched(np.where(bad, pair[0], plane), pair, stretch)).astype(np.intp)
        for plane, pair in zip(pixels, limits, strict=True)
    ]
    colours = table[levels[0]] if len(levels) == 1 else np.stack(levels, axis=-1).astype(np.uint8)
    colours[bad] = table[-1]
    return colours
