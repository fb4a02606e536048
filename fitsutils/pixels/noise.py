"""What noise the numbers of a detector have."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def photon_and_read(electrons: NDArray, read_noise: float) -> NDArray:
    """The standard deviation that photons and readout give each pixel.

    Parameters
    ----------
    electrons : ndarray
        Shape (..., ny, nx), float: signal above the bias [e-]; NaN where there is none.
    read_noise : float
        Read noise [e-].

    Returns
    -------
    ndarray
        Shape and type of `electrons` [e-]; NaN where `electrons` is.

    Notes
    -----
    ``sigma**2 = max(electrons, 0) + read_noise**2``: photons follow Poisson's statistics; below
    the bias there are none.

    Examples
    --------
    >>> photon_and_read(np.array([16.0, -5.0, np.nan]), 3.0)
    array([ 5.,  3., nan])
    """
    return np.sqrt(np.maximum(electrons, 0) + read_noise**2).astype(electrons.dtype, copy=False)


def of_amplifiers(electrons: NDArray, places: Iterable[tuple[slice, slice]], read_noises: Iterable[float]) -> NDArray:
    """The standard deviation of pixels that several amplifiers read.

    Parameters
    ----------
    electrons : ndarray
        Shape (..., ny, nx), float, as for `photon_and_read`.
    places : iterable of (slice, slice)
        Rows and columns of each amplifier; all of them make up the image.
    read_noises : iterable of float
        Read noise of each [e-].

    Returns
    -------
    ndarray
        Shape and type of `electrons` [e-].

    Examples
    --------
    >>> of_amplifiers(np.zeros((1, 2)), [(slice(0, 1), slice(0, 1)), (slice(0, 1), slice(1, 2))], [3, 4])
    array([[3., 4.]])
    """
    found = np.empty_like(electrons)
    for place, read_noise in zip(places, read_noises, strict=True):
        found[..., *place] = photon_and_read(electrons[..., *place], read_noise)
    return found
