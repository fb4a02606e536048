"""Headers of images that are turned by right angles or mirrored: world coordinates and sections follow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from fitsutils.errors import warn
from fitsutils.files import header as headers
from fitsutils.files.library import fits

_MOST_AXES = 9
_WCS_AXIS = re.compile(r'(?:C(?:RPIX|RVAL|TYPE|DELT)[12]|(?:CD|PC)[12]_[12])([A-Z]?)\Z')
_SIP = re.compile(r'(A|B|AP|BP)_(\d)_(\d)\Z')
# The plate solution of the Digitized Sky Survey: a polynomial of the plate's own x and y.
_PLATE = re.compile(r'(CNPIX[12]|AMD[XY]\d+|PPO\d|PLTRA[HMS]|PLTDEC(SN|[DMS]))\Z')
_TABLES = re.compile(r'(CPDIS|CQDIS|D2IMDIS)\d\Z')


class Turn(NamedTuple):
    """What becomes of pixel positions: new axis i runs along old axis ``axes[i]``, backwards where ``signs[i]`` is -1.

    Attributes
    ----------
    axes : (int, int)
        Old axes, 0 for x and 1 for y.
    signs : (int, int)
        Of 1 and -1.
    """

    axes: tuple[int, int] = (0, 1)
    signs: tuple[int, int] = (1, 1)

    @property
    def swaps(self) -> bool:
        """Whether x becomes y."""
        return self.axes == (1, 0)

    def then(self, other: Turn) -> Turn:
        """Both, one after the other.

        Parameters
        ----------
        other : Turn
            What is done afterwards.

        Returns
        -------
        Turn
            All that is done.
        """
        axes = tuple(self.axes[axis] for axis in other.axes)
        signs = tuple(sign * self.signs[axis] for axis, sign in zip(other.axes, other.signs, strict=True))
        return Turn(axes, signs)

    def moved(self, place: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
        """Where a pixel goes.

        Parameters
        ----------
        place : (float, float)
            Its x and y, counted from 1.
        size : (int, int)
            NAXIS1 and NAXIS2 before.

        Returns
        -------
        (float, float)
            Its new x and y.
        """
        return tuple(
            place[axis] if sign > 0 else size[axis] + 1 - place[axis]
            for axis, sign in zip(self.axes, self.signs, strict=True)
        )


_FLIPS = {None: Turn(), 'x': Turn(signs=(-1, 1)), 'y': Turn(signs=(1, -1)), 'both': Turn(signs=(-1, -1))}
_ROTATIONS = {
    None: Turn(), 90: Turn((1, 0), (-1, 1)), 180: Turn(signs=(-1, -1)), 270: Turn((1, 0), (1, -1)),
}  # fmt: skip


def turn_of(flip: str | None, rotate: int | None) -> Turn:
    """What flipping, and rotating after it, do.

    Parameters
    ----------
    flip : {'x', 'y', 'both'} or None
        Axes whose direction is turned round.
    rotate : {90, 180, 270} or None
        Degrees counter-clockwise.

    Returns
    -------
    Turn
        Both in one.

    Examples
    --------
    >>> turn_of('x', 90).moved((1, 5), (40, 30))
    (26, 40)
    """
    return _FLIPS[flip].then(_ROTATIONS[rotate])


def turn_header(header: fits.Header, turn: Turn, size: tuple[int, int], path: str | None = None) -> None:
    """Let the cards that speak of pixel positions and directions follow a turn; the header is changed in place.

    All world coordinate systems (CRPIX, CD, PC, CDELT, CROTA2 and SIP), LTV and LTM, sections of the image,
    DISPAXIS and the binning. The plate solution of the Digitized Sky Survey goes, with a
    warning. CCDSEC counts pixels of the detector and stays.

    Parameters
    ----------
    header : Header
        Of the image before.
    turn : Turn
        What is done to the image.
    size : (int, int)
        NAXIS1 and NAXIS2 before.
    path : str, optional
        The file, for a warning where a distortion can not follow.
    """
    if turn == Turn():
        return
    for letter in sorted({match[1] for key in header if (match := _WCS_AXIS.match(key))}):
        _turn_wcs(header, turn, size, letter)
    _turn_sip(header, turn)
    _turn_physical(header, turn, size)
    for key in [key for key in dict.fromkeys(header) if headers.is_section(key)]:
        if (ends := headers.section_ends(header, key)) is not None:
            corners = [turn.moved(corner, size) for corner in zip(*ends, strict=True)]
            header[key] = '[{}:{},{}:{}]'.format(*(end for axis in zip(*corners, strict=True) for end in sorted(axis)))
    if turn.swaps:
        _swap_axes(header)
    if plate := [key for key in dict.fromkeys(header) if _PLATE.match(key)]:
        for key in plate:
            del header[key]
        warn('the plate solution in its header (CNPIX1, AMDX1 ...) does not turn with the image and is left out', path)
    if any(_TABLES.match(key) for key in header):
        warn('the table of a distortion in its header is not turned with the image', path)


def _number(header: fits.Header, key: str, default: float = 0.0) -> float:
    found = headers.as_number(headers.value(header, key))
    return default if found is None else found


def _turn_wcs(header: fits.Header, turn: Turn, size: tuple[int, int], letter: str) -> None:
    """One world coordinate system: intermediate coordinates are M (p - CRPIX), and the columns of M follow the axes."""
    place = tuple(_number(header, f'CRPIX{axis}{letter}') for axis in (1, 2))
    matrix = next((kind for kind in ('CD', 'PC') if any(_cells(header, kind, letter))), None)
    if matrix is None and _number(header, f'CROTA2{letter}'):
        _write_rotation(header, letter)
        matrix = 'CD'
    if matrix is None and not turn.swaps:
        for axis, sign in enumerate(turn.signs, 1):
            if sign < 0:
                header[f'CDELT{axis}{letter}'] = -_number(header, f'CDELT{axis}{letter}', 1.0)
    else:
        _turn_matrix(header, turn, matrix or 'PC', letter)
    for axis, moved in enumerate(turn.moved(place, size), 1):
        header[f'CRPIX{axis}{letter}'] = moved


def _cells(header: fits.Header, kind: str, letter: str) -> Iterator[str]:
    return (
        key
        for row in range(1, _MOST_AXES + 1)
        for column in (1, 2)
        if (key := f'{kind}{row}_{column}{letter}') in header
    )


def _turn_matrix(header: fits.Header, turn: Turn, kind: str, letter: str) -> None:
    rows = sorted({1, 2} | {int(key[2]) for key in _cells(header, kind, letter)})
    for row in rows:
        # What is missing of a PC matrix is that of the identity, of a CD matrix 0.
        old = [_number(header, f'{kind}{row}_{axis}{letter}', float(kind == 'PC' and row == axis)) for axis in (1, 2)]
        for axis, (source, sign) in enumerate(zip(turn.axes, turn.signs, strict=True), 1):
            header[f'{kind}{row}_{axis}{letter}'] = sign * old[source] + 0.0  # no -0.0


def _write_rotation(header: fits.Header, letter: str) -> None:
    """CDELT and CROTA2, the older way, as a CD matrix (Calabretta & Greisen 2002, A&A 395, 1077, eq. 189)."""
    angle = math.radians(_number(header, f'CROTA2{letter}'))
    scales = [_number(header, f'CDELT{axis}{letter}', 1.0) for axis in (1, 2)]
    cells = {'1_1': scales[0] * math.cos(angle), '1_2': -scales[1] * math.sin(angle),
             '2_1': scales[0] * math.sin(angle), '2_2': scales[1] * math.cos(angle)}  # fmt: skip
    for cell, value in cells.items():
        header[f'CD{cell}{letter}'] = value
    for key in ('CROTA1', 'CROTA2', 'CDELT1', 'CDELT2'):
        header.remove(key + letter, ignore_missing=True)


def _turn_sip(header: fits.Header, turn: Turn) -> None:
    """SIP's polynomials: each is of the offsets from CRPIX along both axes, and shifts along one of them.

    With the offsets u, v of old and U, V of new pixels, U is plus or minus u or v, and so are the shifts: the
    coefficient of u^p v^q becomes that of U and V to the same powers, with the signs of all that is turned round.
    """
    old = {key: _number(header, key) for key in header if _SIP.match(key)}
    orders = {name: _number(header, f'{name}_ORDER') for name in ('A', 'B', 'AP', 'BP') if f'{name}_ORDER' in header}
    if not old and not orders:
        return
    for key in old:
        del header[key]
    back = {source: (axis, sign) for axis, (source, sign) in enumerate(zip(turn.axes, turn.signs, strict=True))}
    for key, number in old.items():
        name, *powers = _SIP.match(key).groups()
        (axis, sign), new = back['AB'.index(name[0])], [0, 0]
        for source, power in enumerate(map(int, powers)):
            to, direction = back[source]
            new[to] = power
            sign *= direction**power
        header[f'{"AB"[axis]}{name[1:]}_{new[0]}_{new[1]}'] = sign * number
    for name, order in orders.items() if turn.swaps else ():
        header['AB'[1 - 'AB'.index(name[0])] + name[1:] + '_ORDER'] = int(order)


def _turn_physical(header: fits.Header, turn: Turn, size: tuple[int, int]) -> None:
    """IRAF's physical coordinates, those of the detector: logical = LTM physical + LTV."""
    shift = [_number(header, f'LTV{axis}') for axis in (1, 2)]
    matrix = [[_number(header, f'LTM{row}_{column}', float(row == column)) for column in (1, 2)] for row in (1, 2)]
    for axis, (source, sign) in enumerate(zip(turn.axes, turn.signs, strict=True), 1):
        header[f'LTV{axis}'] = float(shift[source] if sign > 0 else size[source] + 1 - shift[source])
        for column in (1, 2):
            cell = sign * matrix[source][column - 1] + 0.0
            if cell or f'LTM{axis}_{column}' in header or axis == column:
                header[f'LTM{axis}_{column}'] = cell


def _swap_axes(header: fits.Header) -> None:
    """Keywords of one axis each, or that name an axis."""
    if _number(header, 'DISPAXIS') in (1, 2):
        header['DISPAXIS'] = 3 - int(_number(header, 'DISPAXIS'))
    for across, along in zip(headers.ALIASES['XBINNING'], headers.ALIASES['YBINNING'], strict=True):
        if across in header and along in header:
            header[across], header[along] = header[along], header[across]
    words = str(headers.value(header, 'CCDSUM') or '').split()
    if len(words) == 2:
        header['CCDSUM'] = ' '.join(reversed(words))
