"""Regions of images: FITS sections and ``-b`` bounds, as slices."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fitsutils.errors import Failure, UsageError

_AXIS = re.compile(r'\s*(?:(\*)|(\d+)(?:\s*:\s*(\d+))?)\s*\Z')
_PAIR = re.compile(r'\s*(\[[^\[\]]*\])\s*(?::\s*(\[[^\[\]]*\])\s*)?\Z')


@dataclass(frozen=True)
class Region:
    """Part of an image, not yet held against an image's size.

    Attributes
    ----------
    axes : tuple of (int, int) or None
        For each axis in FITS order (x first): start and stop, zero-based with
        the stop excluded, or None for the whole axis.
    """

    axes: tuple[tuple[int, int] | None, ...]

    def slices(self, shape: Sequence[int]) -> tuple[slice, ...]:
        """The region as slices of an array, one an axis.

        Parameters
        ----------
        shape : sequence of int
            Shape of the array in numpy order, ``(..., ny, nx)``. Axes that
            the region does not name are taken whole.

        Returns
        -------
        tuple of slice
            Slices with explicit start and stop, in numpy order.

        Raises
        ------
        Failure
            When the region has more axes than the array or goes beyond it.

        Examples
        --------
        >>> parse_section('[61:2100,21:2032]').slices((4096, 4096))
        (slice(20, 2032, None), slice(60, 2100, None))
        """
        lengths = list(reversed(shape))
        if len(self.axes) > len(lengths):
            raise Failure(f'region {self} has {len(self.axes)} axes, the image has {len(lengths)}')
        named = list(self.axes) + [None] * (len(lengths) - len(self.axes))
        bounds = [(0, length) if axis is None else axis for axis, length in zip(named, lengths, strict=True)]
        if any(stop > length for (_, stop), length in zip(bounds, lengths, strict=True)):
            raise Failure(f'region {self} goes beyond the image ({" x ".join(map(str, lengths))} pixels)')
        return tuple(slice(start, stop) for start, stop in reversed(bounds))

    def __str__(self) -> str:
        return '[' + ','.join('*' if axis is None else f'{axis[0] + 1}:{axis[1]}' for axis in self.axes) + ']'


def parse_section(text: str) -> Region:
    """A FITS section: one-based, both ends included, x first, ``*`` for a whole axis.

    Parameters
    ----------
    text : str
        Such as ``[1:100,201:300]``, ``[*,5]``; the brackets may be missing.

    Returns
    -------
    Region
        The region.

    Raises
    ------
    UsageError
        When the text is no section.

    Examples
    --------
    >>> parse_section('[2:3,*]').axes
    ((1, 3), None)
    """
    inner = text.strip()
    if inner.startswith('[') and inner.endswith(']'):
        inner = inner[1:-1]
    axes = []
    for piece in inner.split(','):
        match = _AXIS.match(piece)
        if match is None:
            raise UsageError(f'{text!r} is not a section such as [1:100,201:300]')
        star, first, last = match.groups()
        axes.append(None if star else _axis(text, int(first), int(last or first)))
    return Region(tuple(axes))


def _axis(text: str, first: int, last: int) -> tuple[int, int]:
    if not 1 <= first <= last:
        raise UsageError(f'section {text}: pixels count from 1 and the end may not lie before the start')
    return first - 1, last


def parse_pair(text: str) -> tuple[Region, Region | None]:
    """The two sections of ``DATA:BIAS``: pixels, and the overscan that goes with them.

    Parameters
    ----------
    text : str
        Two sections in brackets with a colon between, or one alone.

    Returns
    -------
    Region
        The pixels.
    Region or None
        Their overscan.

    Raises
    ------
    UsageError
        When the text is none of that.

    Examples
    --------
    >>> data, bias = parse_pair('[1:1024,*]:[2049:2080,*]')
    >>> str(data), str(bias)
    ('[1:1024,*]', '[2049:2080,*]')
    """
    match = _PAIR.match(text)
    if match is None:
        raise UsageError(f'{text!r} is not DATA:BIAS, two sections such as [1:1024,*]:[2049:2080,*]')
    return parse_section(match[1]), match[2] and parse_section(match[2])


def from_bounds(bounds: Sequence[int]) -> Region:
    """The region of ``-b XMIN XMAX YMIN YMAX`` or of ``-B`` with ``ZMIN ZMAX`` too.

    Parameters
    ----------
    bounds : sequence of int
        Pairs of bounds, x first: zero-based, the upper end excluded; equal ends mean one pixel.

    Returns
    -------
    Region
        The region.

    Raises
    ------
    UsageError
        When a bound is negative or an upper end lies below its lower one.

    Examples
    --------
    >>> str(from_bounds([600, 1100, 400, 700]))
    '[601:1100,401:700]'
    >>> from_bounds([5, 5, 0, 2]).axes
    ((5, 6), (0, 2))
    """
    axes = []
    for low, high in zip(bounds[::2], bounds[1::2], strict=True):
        if low < 0 or high < low:
            raise UsageError(
                f'bounds {low} {high}: they count from 0 and the upper one may not lie below the lower one'
            )
        axes.append((low, max(high, low + 1)))
    return Region(tuple(axes))


def chosen(
    bounds: Sequence[int] | None, cube_bounds: Sequence[int] | None = None, section: str | None = None
) -> Region | None:
    """The region that the options ``-b``, ``-B`` and ``--section`` name.

    Parameters
    ----------
    bounds : sequence of int, optional
        The four numbers of ``-b``.
    cube_bounds : sequence of int, optional
        The six numbers of ``-B``.
    section : str, optional
        The text of ``--section``.

    Returns
    -------
    Region or None
        None when no option was given.

    Raises
    ------
    UsageError
        When more than one option was given, or one is wrong.
    """
    given = [option for option in (bounds, cube_bounds, section) if option is not None]
    if len(given) > 1:
        raise UsageError('only one of -b, -B and --section may be given')
    if not given:
        return None
    return parse_section(section) if section is not None else from_bounds(given[0])
