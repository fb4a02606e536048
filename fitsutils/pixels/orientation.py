"""Images turned by right angles and mirrored."""

import numpy as np
from numpy.typing import NDArray

FLIPS = ('x', 'y', 'both')
ANGLES = (90, 180, 270)


def turned(image: NDArray, flip: str | None = None, rotate: int | None = None) -> NDArray:
    """An image mirrored, then rotated.

    Parameters
    ----------
    image : ndarray
        Shape (..., ny, nx).
    flip : {'x', 'y', 'both'}, optional
        The axes whose direction is turned round: 'x' swaps left and right.
    rotate : {90, 180, 270}, optional
        Degrees counter-clockwise, x to the right and y upwards.

    Returns
    -------
    ndarray
        A view, of shape (..., nx, ny) after 90 and 270 degrees.

    Examples
    --------
    >>> turned(np.array([[1, 2, 3]]), flip='x')
    array([[3, 2, 1]])
    >>> turned(np.array([[1, 2, 3]]), rotate=90)
    array([[1],
           [2],
           [3]])
    """
    if flip in ('x', 'both'):
        image = image[..., ::-1]
    if flip in ('y', 'both'):
        image = image[..., ::-1, :]
    if rotate == 180:
        return image[..., ::-1, ::-1]
    if rotate == 90:  # the first row goes to the right: x' = ny + 1 - y, y' = x
        return np.swapaxes(image, -1, -2)[..., ::-1]
    if rotate == 270:
        return np.swapaxes(image, -1, -2)[..., ::-1, :]
    return image
