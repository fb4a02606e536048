"""What noise the numbers of a detector have."""

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
