"""Which night an exposure belongs to: from one local noon to the next."""

import datetime
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

from fitsutils.errors import warn
from fitsutils.files import header as headers
from fitsutils.files.grouping import Frame

# Keywords that are known to count eastwards. LONGITUD is none: some write degrees west in it, some radians.
_EAST = ('OBSGEO-L', 'SITELONG')
_GEOCENTRIC = ('OBSGEO-X', 'OBSGEO-Y')
KEYWORDS = (*_EAST, *_GEOCENTRIC)
_SEXAGESIMAL = re.compile(r'([+-]?)(\d{1,3})[:\s]\s*(\d\d?)(?:[:\s]\s*(\d\d?(?:\.\d*)?))?\Z', re.ASCII)
_DEGREES_A_DAY = 360.0
_BY_DAY = datetime.timedelta(hours=3)  # that a camera pauses at least between the calibrations of two nights


def site_longitude(header: Any) -> float | None:
    """Where an image was taken, as its header has it.

    Parameters
    ----------
    header : Header
        Any header.

    Returns
    -------
    float or None
        Degrees, eastwards positive, above -180 up to 180: of OBSGEO-L, of OBSGEO-X and OBSGEO-Y, or of SITELONG (also
        as degrees, minutes and seconds). None where none of them is there.

    Examples
    --------
    >>> site_longitude({'SITELONG': '-97 30 00'})
    -97.5
    """
    degrees = _degrees(headers.value(header, 'OBSGEO-L'))
    if degrees is not None:
        return degrees
    x, y = (headers.as_number(headers.value(header, key)) for key in _GEOCENTRIC)
    if x is not None and y is not None and (x, y) != (0, 0):
        return math.degrees(math.atan2(y, x))
    return _degrees(headers.value(header, 'SITELONG'))


def _degrees(found: Any) -> float | None:
    degrees = headers.as_number(found)
    if degrees is None:
        match = _SEXAGESIMAL.match(found.strip()) if isinstance(found, str) else None
        if match is None:
            return None
        degrees = float(match[2]) + float(match[3]) / 60 + float(match[4] or 0) / 3600
        degrees = -degrees if match[1] == '-' else degrees
    return None if abs(degrees) > _DEGREES_A_DAY else 180 - (180 - degrees) % _DEGREES_A_DAY


def night_of(moment: datetime.datetime, longitude: float = 0.0) -> datetime.date:
    """The night of an exposure: from noon to noon of the mean solar time at a longitude.

    Parameters
    ----------
    moment : datetime
        Start of the exposure, UTC.
    longitude : float
        Degrees, eastwards positive; 0 is noon UTC.

    Returns
    -------
    date
        The day on which the night begins.

    Examples
    --------
    >>> night_of(datetime.datetime(2021, 2, 27, 4)), night_of(datetime.datetime(2021, 2, 27, 12))
    (datetime.date(2021, 2, 26), datetime.date(2021, 2, 27))
    >>> night_of(datetime.datetime(2021, 2, 27, 13), -155.5)
    datetime.date(2021, 2, 26)
    """
    local = datetime.timedelta(days=longitude / _DEGREES_A_DAY)
    return (moment + local - datetime.timedelta(hours=12)).date()


def warn_of_cuts(frames: Sequence[Frame]) -> None:
    """Warn where the noon that parts two nights seems to fall into one.

    Parameters
    ----------
    frames : sequence of Frame
        The frames; those with a night also have a time.
    """
    row = sorted((frame for frame in frames if frame.night is not None), key=lambda frame: frame.start)
    cuts = [pair for pair in itertools.pairwise(row) if pair[0].night != pair[1].night]
    closest = min(cuts, key=lambda pair: pair[1].start - pair[0].start, default=None)
    if closest is not None and closest[1].start - closest[0].start < _BY_DAY:
        minutes = (closest[1].start - closest[0].start) / datetime.timedelta(minutes=1)
        one, other = (frame.name for frame in closest)
        warn(
            f'noon falls between {one} and {other}, {minutes:.3g} minutes later: they count as two nights; '
            '--longitude says where the telescope is'
        )
