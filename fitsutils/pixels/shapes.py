"""Shapes drawn by hand, as the pixels within them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.bool_]
Places = NDArray[np.float64]

# How many numbers a shape takes: x and y of its middle (or of its corners) first, angles last.
NUMBERS: dict[str, Callable[[int], bool]] = {
    'point': lambda count: count == 2,
    'circle': lambda count: count == 3,
    'annulus': lambda count: count == 4,
    'ellipse': lambda count: count in (4, 5),
    'box': lambda count: count in (4, 5),
    'line': lambda count: count == 4,
    'polygon': lambda count: count >= 6 and count % 2 == 0,
}
_HALF = 0.5
_HAIR = 1e-9  # of a pixel: what rounding may take from a pixel that lies on an edge


def inside(kind: str, numbers: Sequence[float], shape: tuple[int, int]) -> Marks:
    """Pixels whose centres lie within a shape, or on its edge.

    Parameters
    ----------
    kind : str
        One of `NUMBERS`.
    numbers : sequence of float
        In pixels, which count from 1, x first: ``point(x, y)``, the pixel that holds it; ``circle(x, y, radius)``;
        ``annulus(x, y, inner, outer)``; ``ellipse(x, y, a, b[, angle])``, half axes; ``box(x, y, width,
        height[, angle])``; ``line(x1, y1, x2, y2)``, what lies within half a pixel of it; ``polygon(x1, y1, x2,
        y2, x3, y3, ...)``. Angles are in degrees, from x to y.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    ndarray of bool
        Of that shape; False everywhere where the shape lies outside of the image.

    Raises
    ------
    ValueError
        When there is no such shape, or its numbers are not as many as it takes, or make no sense.

    Examples
    --------
    >>> inside('box', (2, 1, 3, 1), (2, 5)).astype(int)
    array([[1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0]])
    """
    check(kind, numbers)
    y, x = (places.astype('f8') + 1 for places in np.ogrid[: shape[0], : shape[1]])
    return np.broadcast_to(_DRAWN[kind](x, y, *numbers), shape)


def check(kind: str, numbers: Sequence[float]) -> None:
    """Refuse a shape that there is not.

    Parameters
    ----------
    kind : str
        Its name.
    numbers : sequence of float
        Its numbers.

    Raises
    ------
    ValueError
        When there is no such shape, or its numbers are not as many as it takes, or a length is negative.
    """
    if kind not in NUMBERS:
        raise ValueError(f'{kind} is none of {", ".join(NUMBERS)}')
    if not NUMBERS[kind](len(numbers)):
        raise ValueError(f'a {kind} does not take {len(numbers)} numbers')
    if not np.isfinite(numbers).all():
        raise ValueError(f'a {kind} takes finite numbers')
    lengths = numbers[2:4] if kind in ('circle', 'annulus', 'ellipse', 'box') else ()
    if any(length < 0 for length in lengths):
        raise ValueError(f'a {kind} has no negative size')


def _point(x: Places, y: Places, at_x: float, at_y: float) -> Marks:
    return (np.floor(at_x + _HALF) == x) & (np.floor(at_y + _HALF) == y)


def _circle(x: Places, y: Places, at_x: float, at_y: float, radius: float) -> Marks:
    return np.hypot(x - at_x, y - at_y) <= radius + _HAIR


def _annulus(x: Places, y: Places, at_x: float, at_y: float, inner: float, outer: float) -> Marks:
    return _circle(x, y, at_x, at_y, outer) & (np.hypot(x - at_x, y - at_y) >= inner - _HAIR)


def _ellipse(x: Places, y: Places, at_x: float, at_y: float, a: float, b: float, angle: float = 0) -> Marks:
    along, across = _turned(x - at_x, y - at_y, angle)
    # Not divided by the half axes, of which one may be 0.
    a, b = a + _HAIR, b + _HAIR
    return (along * b) ** 2 + (across * a) ** 2 <= (a * b) ** 2


def _box(x: Places, y: Places, at_x: float, at_y: float, width: float, height: float, angle: float = 0) -> Marks:
    along, across = _turned(x - at_x, y - at_y, angle)
    return (np.abs(along) <= width / 2 + _HAIR) & (np.abs(across) <= height / 2 + _HAIR)


def _turned(x: Places, y: Places, angle: float) -> tuple[Places, Places]:
    """Places along and across a direction."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def _line(x: Places, y: Places, x1: float, y1: float, x2: float, y2: float) -> Marks:
    length = np.hypot(x2 - x1, y2 - y1)
    if not length:
        return _point(x, y, x1, y1)
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length
    nearest = np.clip(along, 0, length) / length
    return np.hypot(x - x1 - nearest * (x2 - x1), y - y1 - nearest * (y2 - y1)) <= _HALF + _HAIR


def _polygon(x: Places, y: Places, *corners: float) -> Marks:
    """A place is inside when a ray from it crosses the edges an odd number of times; the edges belong to it."""
    odd, edge = np.zeros((y.size, x.size), bool), np.zeros((y.size, x.size), bool)
    x1, y1 = corners[-2:]
    for x2, y2 in zip(corners[::2], corners[1::2], strict=True):
        cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        between = (y1 > y) != (y2 > y)
        odd ^= between & ((cross > 0) == (y2 > y1))
        within = (x >= min(x1, x2)) & (x <= max(x1, x2)) & (y >= min(y1, y2)) & (y <= max(y1, y2))
        edge |= within & (np.abs(cross) <= _HAIR * max(np.hypot(x2 - x1, y2 - y1), 1))
        x1, y1 = x2, y2
    return odd | edge


_DRAWN: dict[str, Callable[..., Marks]] = {
    'point': _point, 'circle': _circle, 'annulus': _annulus, 'ellipse': _ellipse, 'box': _box, 'line': _line,
    'polygon': _polygon,
}  # fmt: skip
