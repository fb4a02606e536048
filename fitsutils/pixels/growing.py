"""Marks that take their neighbours along."""

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.bool_]


def grown(marks: Marks, radius: float) -> Marks:
    """Marked pixels, and all whose centres lie within a radius of the centre of one of them.

    Parameters
    ----------
    marks : ndarray of bool
        Shape (ny, nx).
    radius : float
        Pixels; below 1 nothing is added.

    Returns
    -------
    ndarray of bool
        Shape (ny, nx), a new array.

    Examples
    --------
    >>> marks = np.zeros((3, 5), bool)
    >>> marks[1, 1] = True
    >>> grown(marks, 1).astype(int)
    array([[0, 1, 0, 0, 0],
           [1, 1, 1, 0, 0],
           [0, 1, 0, 0, 0]])
    """
    out = marks.copy()
    rows, columns = np.nonzero(_rim(marks))
    reach = int(radius)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if 0 < down * down + right * right <= radius * radius:
                row, column = rows + down, columns + right
                valid = (row >= 0) & (row < marks.shape[0]) & (column >= 0) & (column < marks.shape[1])
                out[row[valid], column[valid]] = True
    return out


def _rim(marks: Marks) -> Marks:
    """Marked pixels beside one that is not: the nearest mark to any pixel is one of these."""
    inner = np.ones_like(marks)
    inner[1:] &= marks[:-1]
    inner[:-1] &= marks[1:]
    inner[:, 1:] &= marks[:, :-1]
    inner[:, :-1] &= marks[:, 1:]
    return marks & ~inner
