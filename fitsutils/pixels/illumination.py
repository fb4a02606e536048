"""Which part of a flat the light reaches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 11  # pixels: what is narrower than half of it, a dust speck or a dead column, does not make a part unlit
_BRIGHT = 0.9  # the quantile that the search begins with: the light reaches a tenth of the image at least
_MOST_ROUNDS = 100

Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Lit:
    """The part of a flat that the light reaches.

    Attributes
    ----------
    pixels : ndarray of bool
        Shape (ny, nx): True where it does.
    level : float
        Median of the flat over that part, in its unit.
    """

    pixels: Marks
    level: float


def lit_part(flat: NDArray, fraction: float = 0.5, *, side: int = SIDE, good: Marks | None = None) -> Lit:
    """Find the part of a flat that is brighter than a fraction of that part's own median.

    Parameters
    ----------
    flat : ndarray
        Shape (ny, nx), any real type, without bias. NaN and infinite pixels are left out.
    fraction : float
        Of the level, above 0 and below 1.
    side : int
        Pixels of a side of the square whose median counts for its central pixel, odd; 1 takes each pixel by itself.
    good : ndarray of bool, optional
        Shape (ny, nx): the pixels that count; default: all.

    Returns
    -------
    Lit
        The part, and its median. A pixel around which no other counts is not lit.

    Raises
    ------
    ValueError
        When no pixel counts, or the level of what is lit is not above 0.

    Notes
    -----
    The level is the median of the lit part, and the lit part is where the median of the square is not below
    ``fraction * level``: from the 0.9 quantile of the image on, each is found from the other until nothing changes.
    The image's edges mirror it, so that a flat that is lit everywhere has no dark corners. That a median is not below a
    threshold means that more than half of the square's pixels are not, so they are only counted (where gaps leave an
    even number, the lower of the two middle ones is the median).

    Examples
    --------
    >>> flat = np.tile([1.0, 1, 1, 80, 100, 120, 100], (5, 1))
    >>> found = lit_part(flat, side=3)
    >>> found.pixels[0].astype(int), found.level
    (array([0, 0, 0, 1, 1, 1, 1]), 100.0)
    """
    values = np.asarray(flat)
    counts = np.isfinite(values) if good is None else np.isfinite(values) & good
    if not counts.any():
        raise ValueError('no pixel has a value')
    around = _summed(counts, side)
    level, lit = float(np.quantile(values[counts].astype('f8'), _BRIGHT)), np.zeros(values.shape, bool)
    for _ in range(_MOST_ROUNDS):
        with np.errstate(invalid='ignore'):
            bright = counts & (values >= fraction * level)
        before, lit = lit, 2 * _summed(bright, side) > around
        if not (lit & counts).any() or np.array_equal(lit, before):
            break
        level = float(np.median(values[lit & counts].astype('f8')))
    if not (level > 0 and (lit & counts).any()):
        raise ValueError(f'no part of it is lit: its level is {level:.6g}')
    return Lit(lit, level)


def _summed(marks: Marks, side: int) -> NDArray[np.int32]:
    """How many pixels are marked in the square around each, the image's edges mirroring it."""
    sums = np.pad(marks, side // 2, mode='symmetric').astype(np.int32)
    for axis in (0, 1):
        np.cumsum(sums, axis=axis, out=sums)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
        length = sums.shape[axis]
        sums = sums.take(range(side, length), axis) - sums.take(range(length - side), axis)
    return sums
