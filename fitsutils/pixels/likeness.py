"""How much the images of a stack look like one image made of them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 15  # pixels worked on at a time: their temporaries stay in the processor's caches
# Two steps of a row's mean away from it, squared: what is less is the rounding of a constant.
_ROUNDING = (16 * np.finfo('f8').eps) ** 2

Moments = NDArray[np.float64]


class Likeness:
    """Pearson's correlation of each image of a stack with one image, a band of rows at a time.

    Each row gives its number of pixels, means and moments about them, and
    these are added one row after another: bands of any height give the same
    bits as long as they come in the order of their rows. No large numbers are
    subtracted from each other, so that the level of an image does not matter.

    Parameters
    ----------
    n : int
        Number of images.

    Examples
    --------
    >>> middle = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> likeness = Likeness(2)
    >>> likeness.add(np.array([10 * middle + 7, -middle]), middle)
    >>> likeness.correlations().round(6)
    array([ 1., -1.])
    """

    def __init__(self, n: int) -> None:
        self._sum = np.zeros((6, n))

    def add(self, band: NDArray, middle: NDArray) -> None:
        """Take in some rows.

        Parameters
        ----------
        band : ndarray
            Shape (n, rows, nx), any real type: the rows of each image.
        middle : ndarray
            Shape (rows, nx), a real type: those of the image they are compared with. Pixels that
            are NaN or infinite in either are left out.
        """
        self.take(row_moments(band, middle))

    def take(self, moments: Moments) -> None:
        """Take in some rows of which `row_moments` were taken elsewhere, in another thread perhaps.

        Parameters
        ----------
        moments : ndarray of float64
            Shape (6, n, rows).
        """
        for each in np.moveaxis(moments, 2, 0):
            self._sum = _together(self._sum, each)

    def correlations(self) -> NDArray[np.float64]:
        """Pearson's r of each image.

        Returns
        -------
        ndarray of float64
            Shape (n,), -1 to 1. NaN where it has no meaning: of a constant image
            (to the rounding of float64) or with a constant one, with fewer than
            two pixels, and where squares are beyond float64.
        """
        count, mean_x, mean_y, xx, yy, xy = self._sum
        with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
            varied = (xx > count * _ROUNDING * mean_x**2) & (yy > count * _ROUNDING * mean_y**2)
            found = xy / (np.sqrt(xx) * np.sqrt(yy))
        return np.where(varied & np.isfinite(found), np.clip(found, -1, 1), np.nan)


def row_moments(band: NDArray, middle: NDArray) -> Moments:
    """What `Likeness` adds up, of each row of each image on its own.

    Parameters
    ----------
    band : ndarray
        Shape (n, rows, nx), any real type.
    middle : ndarray
        Shape (rows, nx), a real type.

    Returns
    -------
    ndarray of float64
        Shape (6, n, rows): number of pixels that are finite in both, mean of the image and of the
        middle, sums of squares of either and of their product about the means.
    """
    out = np.zeros((6, *band.shape[:2]))
    with np.errstate(over='ignore', invalid='ignore'):
        for part in _parts(middle.shape):
            shared = np.asarray(middle[part], 'f8', order='C')
            whole = _centred(shared) if np.isfinite(shared).all() else None
            for image, moments in zip(band, np.moveaxis(out, 1, 0), strict=True):
                moments[:, part] = _moments(np.asarray(image[part], 'f8', order='C'), shared, whole)
    return out


def _parts(shape: tuple[int, ...]) -> Iterator[slice]:
    height = max(1, _CHUNK // max(1, shape[1]))
    return (slice(start, start + height) for start in range(0, shape[0], height))


def _centred(rows: NDArray, good: NDArray[np.bool_] | None = None) -> tuple[NDArray, NDArray]:
    """The mean of each row and the rows less that; 0 in the place of missing pixels."""
    if good is None:
        mean = rows.sum(axis=1) / rows.shape[1]
        return mean, rows - mean[:, None]
    mean = np.where(good, rows, 0.0).sum(axis=1) / np.maximum(good.sum(axis=1), 1)
    return mean, np.where(good, rows - mean[:, None], 0.0)


def _moments(rows: NDArray, shared: NDArray, whole: tuple[NDArray, NDArray] | None) -> Moments:
    """Moments of rows of one image; `whole` are those of the middle where it has no gaps."""
    mean_x, x = _centred(rows)
    count = np.full(len(rows), float(rows.shape[1]))
    if whole is None or not np.isfinite(mean_x).all():
        good = np.isfinite(rows) & np.isfinite(shared)
        count = good.sum(axis=1, dtype='f8')
        (mean_x, x), whole = _centred(rows, good), _centred(shared, good)
    mean_y, y = whole
    squares = (np.einsum('ij,ij->i', *pair) for pair in ((x, x), (y, y), (x, y)))
    return np.stack([count, mean_x, mean_y, *squares])


def _together(first: Moments, second: Moments) -> Moments:
    """Moments of two sets of pixels taken as one (Chan, Golub & LeVeque 1983, The American Statistician 37, 242)."""
    count = first[0] + second[0]
    share = second[0] / np.maximum(count, 1)
    with np.errstate(over='ignore', invalid='ignore'):
        x, y = second[1] - first[1], second[2] - first[2]
        between = first[0] * share
        return np.stack(
            [
                count,
                first[1] + x * share,
                first[2] + y * share,
                first[3] + second[3] + x * x * between,
                first[4] + second[4] + y * y * between,
                first[5] + second[5] + x * y * between,
            ]
        )
