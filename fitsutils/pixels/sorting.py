"""Ranks of a stack: the values of each pixel in ascending order."""

import numpy as np
from numpy.typing import NDArray


def ranked(stack: NDArray, weights: NDArray | None = None) -> tuple[NDArray, NDArray | None]:
    """The values of each pixel in ascending order, missing ones last.

    Parameters
    ----------
    stack : ndarray
        Shape (n, m): n values of each of m pixels. NaN is missing.
    weights : ndarray, optional
        Shape (n, m), weights that go with the values.

    Returns
    -------
    stack : ndarray
        Shape (n, m), sorted along the first axis.
    weights : ndarray or None
        The weights in the same order.

    Examples
    --------
    >>> ranked(np.array([[3.0], [np.nan], [1.0]]))[0].ravel()
    array([ 1.,  3., nan])
    """
    if weights is None:
        return np.sort(stack, axis=0), None
    order = np.argsort(stack, axis=0, kind='stable')
    return np.take_along_axis(stack, order, axis=0), np.take_along_axis(weights, order, axis=0)
