"""Which pixels of an image are bad, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitsutils.pixels import badpixels, growing, hotpixels, illumination, shapes

CAUSES = ('missing', 'unlit', 'above', 'below', 'hot', 'deviant', 'nonzero', 'masked', 'region')

Marks = NDArray[np.bool_]
Shape = tuple[str, Sequence[float]] | tuple[slice, slice]


@dataclass(frozen=True)
class Rules:
    """What makes a pixel bad; None asks for no such test.

    Attributes
    ----------
    lit : float or None
        The image is a flat: what lies outside of `illumination.lit_part` of this fraction is unlit.
    side : int
        Pixels of a side of the square whose median tells whether its central pixel is lit, odd.
    above, below : float or None
        A value that is not below, or not above it.
    hot : float or None
        The image is a dark: a pixel further than so many sigma from the dark current around it stands out, by
        `hotpixels.standing_out`.
    excess : float or None
        The image is a dark: a pixel that is more than this above the median of the 7 x 7 around it is hot.
    deviant : float or None
        The image is a flat: a pixel that differs from the median of the 7 x 7 around it by more than this part of it is
        deviant, by `badpixels.deviant`.
    nonzero : bool
        The image is a mask itself.
    """

    lit: float | None = None
    side: int = illumination.SIDE
    above: float | None = None
    below: float | None = None
    hot: float | None = None
    excess: float | None = None
    deviant: float | None = None
    nonzero: bool = False


@dataclass(frozen=True)
class Marked:
    """The bad pixels of an image.

    Attributes
    ----------
    causes : dict of str
        For each cause that was looked for, of `CAUSES`, its pixels: ndarray of bool, shape (ny, nx). A pixel may have
        several causes; one without a value has the cause missing only.
    level : float or None
        Median of the lit part of a flat.
    """

    causes: dict[str, Marks]
    level: float | None = None

    def counts(self) -> dict[str, int]:
        """How many pixels each cause marks.

        Returns
        -------
        dict of int
            By the name of the cause.
        """
        return {name: int(np.count_nonzero(marks)) for name, marks in self.causes.items()}


def mark(image: NDArray, rules: Rules, masked: Marks | None = None) -> Marked:
    """Find the bad pixels of an image.

    Parameters
    ----------
    image : ndarray
        Shape (ny, nx), any real type. NaN and infinite pixels are missing, and left out of all that is measured.
    rules : Rules
        What makes a pixel bad.
    masked : ndarray of bool, optional
        Shape (ny, nx): pixels that are known to be bad, and left out of all that is measured.

    Returns
    -------
    Marked
        The pixels.

    Raises
    ------
    ValueError
        When no pixel has a value, or no part of a flat is lit.

    Examples
    --------
    >>> mark(np.array([[1.0, np.nan, 70000]]), Rules(above=65535)).counts()
    {'missing': 1, 'above': 1}
    """
    values = np.asarray(image)
    finite = np.isfinite(values)
    good = finite if masked is None else finite & ~masked
    causes, level = {'missing': ~finite}, None
    with np.errstate(invalid='ignore'):
        if rules.lit is not None:
            found = illumination.lit_part(values, rules.lit, side=rules.side, good=good)
            causes['unlit'], level = ~found.pixels, found.level
        if rules.above is not None:
            causes['above'] = values >= rules.above
        if rules.below is not None:
            causes['below'] = values <= rules.below
        if rules.nonzero:
            causes['nonzero'] = values != 0
    if rules.hot is not None or rules.excess is not None:
        causes['hot'] = _hot(np.where(good, values, np.nan), good, rules)
    if rules.deviant is not None:
        causes['deviant'] = _deviant(np.where(good, values, np.nan), rules.deviant)
    if masked is not None:
        causes['masked'] = masked
    return Marked({name: marks if name == 'missing' else marks & finite for name, marks in causes.items()}, level)


def _hot(dark: NDArray, good: Marks, rules: Rules) -> Marks:
    found = np.zeros(dark.shape, bool)
    if rules.hot is not None:
        found |= hotpixels.standing_out(dark.astype('f8'), good, rules.hot)
    if rules.excess is not None:
        found |= badpixels.above(dark, rules.excess)
    return found & good


def _deviant(flat: NDArray, limit: float) -> Marks:
    level = badpixels.level(flat)
    if not level > 0:
        raise ValueError(f'it is no flat: its level is {level:.6g}')
    return badpixels.deviant(flat / level, limit) & np.isfinite(flat)


def drawn(parts: Sequence[Shape], shape: tuple[int, int]) -> Marks:
    """Pixels within any of some parts of an image.

    Parameters
    ----------
    parts : sequence
        Slices of rows and columns; or the name of a shape and its numbers, as `shapes.inside` takes them.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    ndarray of bool
        Of that shape.

    Examples
    --------
    >>> drawn([(slice(0, 1), slice(0, 2)), ('point', (3, 2))], (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 0, 1]])
    """
    found = np.zeros(shape, bool)
    for first, second in parts:
        if isinstance(first, str):
            found |= shapes.inside(first, second, shape)
        else:
            found[first, second] = True
    return found


def grow(causes: Mapping[str, Marks], radii: Mapping[str, float]) -> dict[str, Marks]:
    """Causes that take their neighbours along.

    Parameters
    ----------
    causes : mapping of str to ndarray of bool
        Pixels, shape (ny, nx), by cause.
    radii : mapping of str to float
        Pixels, by cause; one that is not there does not grow.

    Returns
    -------
    dict of str to ndarray of bool
        The same causes.

    Examples
    --------
    >>> grow({'above': np.array([[False, True, False, False]])}, {'above': 1})['above'].astype(int)
    array([[1, 1, 1, 0]])
    """
    return {name: growing.grown(marks, radii[name]) if radii.get(name) else marks for name, marks in causes.items()}


def stacked(planes: Sequence[Marks]) -> Marks:
    """Marks of several planes in one array.

    Parameters
    ----------
    planes : sequence of ndarray of bool
        Shape (ny, nx); one at least.

    Returns
    -------
    ndarray of bool
        Shape (planes, ny, nx); of a single plane without a copy.

    Examples
    --------
    >>> stacked([np.ones((2, 3), bool)]).shape
    (1, 2, 3)
    """
    return planes[0][None] if len(planes) == 1 else np.stack(planes)


def joined(causes: Mapping[str, Marks], *, invert: bool = False) -> NDArray[np.uint8]:
    """The mask that several causes make.

    Parameters
    ----------
    causes : mapping of str to ndarray of bool
        Pixels by cause, of one shape; one at least.
    invert : bool
        What no cause marks is bad, and what one marks is good; but a missing pixel is bad all the same.

    Returns
    -------
    ndarray of uint8
        1 where a pixel is bad, 0 where it is good.

    Examples
    --------
    >>> joined({'above': np.array([True, False, False]), 'missing': np.array([False, True, False])})
    array([1, 1, 0], dtype=uint8)
    """
    missing = causes.get('missing')
    others = [marks for name, marks in causes.items() if name != 'missing']
    found = np.logical_or.reduce(others) if others else np.zeros_like(missing)
    found = ~found if invert else found
    return (found if missing is None else found | missing).astype(np.uint8)
