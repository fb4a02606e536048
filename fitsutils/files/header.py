"""Header values: keyword aliases, dates, and the cards that products get."""

import datetime
import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from astropy.io import fits

from fitsutils import __version__
from fitsutils.errors import Failure, UsageError, visible, warn

# What different cameras and observatories call the same thing; the first that is there counts.
ALIASES: dict[str, tuple[str, ...]] = {
    'EXPTIME': ('EXPTIME', 'EXPOSURE', 'EXP_TIME', 'EXPOSED', 'ITIME', 'EXPT', 'TELAPSE', 'XPOSURE'),
    'FILTER': ('FILTER', 'FILTNAM', 'FILTER1', 'FILTERS', 'FILTERID', 'FILTNAME', 'INSFILTE', 'FILT'),
    'OBJECT': ('OBJECT', 'OBJNAME', 'TARGNAME', 'TARGET'),
    'IMAGETYP': ('IMAGETYP', 'OBSTYPE', 'IMTYPE', 'FRAMETYP', 'FRAME', 'EXPTYPE', 'PICTTYPE'),
    'CCD-TEMP': ('CCD-TEMP', 'CCDTEMP', 'CCD_TEMP', 'DETTEMP', 'TEMPERAT', 'TEMP', 'CAMTEMP'),
    'GAIN': ('GAIN', 'EGAIN', 'CCDGAIN', 'GAIN_CCD'),
    'RDNOISE': ('RDNOISE', 'READNOIS', 'RON', 'CCDRDN', 'ENOISE'),
    'XBINNING': ('XBINNING', 'CCDXBIN', 'BINX', 'XBIN'),
    'YBINNING': ('YBINNING', 'CCDYBIN', 'BINY', 'YBIN'),
    'INSTRUME': ('INSTRUME', 'DETECTOR', 'CAMERA'),
    'AIRMASS': ('AIRMASS', 'SECZ', 'AMSTART'),
    'RA': ('RA', 'OBJCTRA', 'TELRA', 'CRVAL1'),
    'DEC': ('DEC', 'OBJCTDEC', 'TELDEC', 'CRVAL2'),
}

_DATE_KEYS = ('DATE-OBS', 'DATE-BEG', 'DATEOBS', 'DATE_OBS', 'UTDATE', 'DATE-UTC')
_TIME_KEYS = ('TIME-OBS', 'UT', 'UTSTART', 'UT-START', 'UTC-OBS', 'UTC', 'TIME-BEG', 'TIMEOBS')
_ISO = re.compile(r'(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d*))?)?)?Z?\Z')
_OLD_DATE = re.compile(r'(\d\d)/(\d\d)/(\d\d)\Z')
_CLOCK = re.compile(r'(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?Z?\Z')
_YEAR = re.compile(r'(?<!\d)\d{4}(?!\d)')
_MJD_ZERO = datetime.datetime(1858, 11, 17)
_JD_OF_MJD = 2400000.5

# Keywords that differ between frames by mistake more often than on purpose, and by how much they may.
_SHOULD_AGREE: tuple[tuple[str, float], ...] = (
    ('FILTER', 0), ('XBINNING', 0), ('YBINNING', 0), ('GAIN', 1e-6), ('CCD-TEMP', 1.0), ('EXPTIME', 1e-6),
)  # fmt: skip


def value(header: fits.Header, key: str) -> Any:
    """The value of a keyword, or None where it is missing or blank.

    Parameters
    ----------
    header : Header
        Any header, also one that breaks the standard.
    key : str
        The keyword.

    Returns
    -------
    bool, int, float, complex, str or None
        The first card's value, with a warning of ours by nobody: `duplicated`
        tells. A card that can't be parsed gives its text.
    """
    try:
        found = header.get(key)
    except (fits.VerifyError, ValueError):
        found = _raw(header, key)
    if found is None or isinstance(found, fits.card.Undefined) or (isinstance(found, str) and not found.strip()):
        return None
    if isinstance(found, fits.header._HeaderCommentaryCards):
        return ' '.join(str(line) for line in found) or None
    return found


def _raw(header: fits.Header, key: str) -> str:
    """The text behind the value indicator of a card that astropy can't parse."""
    for card in header._cards:
        image = card._image or ''
        if image[:8].strip().upper() == key.upper():
            return image[9:].strip().strip("'").strip()
    return ''


def lookup(header: fits.Header, key: str) -> Any:
    """The value of a keyword or of one of its aliases.

    Parameters
    ----------
    header : Header
        Any header.
    key : str
        The keyword.

    Returns
    -------
    bool, int, float, complex, str or None
        The first that is there, None when none is.
    """
    for name in ALIASES.get(key.upper(), (key,)):
        if (found := value(header, name)) is not None:
            return found
    return observation_time(header) if key.upper() == 'DATE-OBS' else None


def as_number(found: Any) -> float | None:
    """A header value as a finite number.

    Parameters
    ----------
    found : Any
        What `value` gave.

    Returns
    -------
    float or None
        None when it is not a finite number; text that reads as one counts.

    Examples
    --------
    >>> as_number(' 60.0'), as_number('dark'), as_number(True)
    (60.0, None, None)
    """
    if found is None or isinstance(found, bool):
        return None
    try:
        number = float(found)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def needed_number(header: fits.Header, key: str, path: str) -> float:
    """The number under a keyword (or an alias of it) that the work can't do without.

    Parameters
    ----------
    header : Header
        The image's header.
    key : str
        The keyword.
    path : str
        The file, for the message.

    Returns
    -------
    float
        A finite number.

    Raises
    ------
    Failure
        When it is missing or not a finite number.
    """
    found = lookup(header, key)
    number = as_number(found)
    if number is None:
        what = 'is missing' if found is None else f'= {found!r} is not a number'
        raise Failure(f'keyword {key.upper()} {what}, and it is needed', path)
    return number


def exposure(header: fits.Header) -> float | None:
    """Exposure time.

    Parameters
    ----------
    header : Header
        Any header.

    Returns
    -------
    float or None
        Seconds; None when there is none or it is negative.
    """
    seconds = as_number(lookup(header, 'EXPTIME'))
    return None if seconds is None or seconds < 0 else seconds


def observation_time(header: fits.Header) -> datetime.datetime | None:
    """Start of the exposure.

    DATE-OBS or DATE-BEG, with TIME-OBS or UT where the date has no time of
    day; else MJD-OBS, MJD-BEG, MJD or JD.

    Parameters
    ----------
    header : Header
        Any header.

    Returns
    -------
    datetime or None
        UTC without a time zone; None when the header has no usable date.
    """
    for key in _DATE_KEYS:
        text = value(header, key)
        if isinstance(text, str) and (moment := parse_date(text)) is not None:
            return moment if _has_clock(text) else moment + _clock(header)
    for key, zero in (('MJD-OBS', 0.0), ('MJD-BEG', 0.0), ('MJD', 0.0), ('JD', _JD_OF_MJD), ('JD-OBS', _JD_OF_MJD)):
        if (days := as_number(value(header, key))) is not None and 0 < days - zero < 2e6:
            return _MJD_ZERO + datetime.timedelta(days=days - zero)
    return None


def parse_date(text: str) -> datetime.datetime | None:
    """A date of a FITS header.

    The standard's ``YYYY-MM-DD[Thh:mm:ss[.s]]`` first, whatever else
    astropy's 'fits' format reads next, then the old ``dd/mm/yy``; for what is
    left python-dateutil, provided that the text names a year.

    Parameters
    ----------
    text : str
        Value of a date keyword.

    Returns
    -------
    datetime or None
        UTC without a time zone; None when the text is no date.

    Examples
    --------
    >>> parse_date('2021-02-27T04:12:33.25')
    datetime.datetime(2021, 2, 27, 4, 12, 33, 250000)
    >>> parse_date('27/02/98'), parse_date('M31')
    (datetime.datetime(1998, 2, 27, 0, 0), None)
    """
    word = text.strip()
    try:
        if match := _ISO.match(word):
            year, month, day, hour, minute, second = (int(piece or 0) for piece in match.groups()[:6])
            return datetime.datetime(year, month, day, hour, minute) + _seconds(second, match[7])
        if match := _OLD_DATE.match(word):
            return datetime.datetime(1900 + int(match[3]), int(match[2]), int(match[1]))
    except ValueError:
        return None
    return _guessed_date(word)


def _seconds(whole: int, fraction: str | None) -> datetime.timedelta:
    # A leap second is second 60: it is added, not refused.
    if whole > 60:
        raise ValueError('seconds')
    return datetime.timedelta(seconds=whole, microseconds=round(float(f'0.{fraction or 0}') * 1e6))


def _guessed_date(word: str) -> datetime.datetime | None:
    if not _YEAR.search(word) or len(word) > 40 or not any(mark in word for mark in '-/:. ,'):
        return None
    from dateutil import parser  # here, because it takes 20 ms that other dates need not wait for

    try:
        moment = parser.parse(word, default=datetime.datetime(1, 1, 1))
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return moment


def _has_clock(text: str) -> bool:
    return ':' in text


def _clock(header: fits.Header) -> datetime.timedelta:
    """Time of day from a keyword of its own; zero where there is none."""
    for key in _TIME_KEYS:
        found = value(header, key)
        if isinstance(found, str) and (match := _CLOCK.match(found.strip().split('T')[-1])):
            hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3])
            if hours < 24 and minutes < 60 and seconds <= 60:
                return datetime.timedelta(hours=hours, minutes=minutes) + _seconds(seconds, match[4])
    return datetime.timedelta()


def mjd(moment: datetime.datetime) -> float:
    """Modified Julian Date.

    Parameters
    ----------
    moment : datetime
        UTC.

    Returns
    -------
    float
        Days.

    Examples
    --------
    >>> mjd(datetime.datetime(2000, 1, 1, 12))
    51544.5
    """
    return (moment - _MJD_ZERO) / datetime.timedelta(days=1)


def date_text(moment: datetime.datetime) -> str:
    """A date as FITS writes it, to the millisecond.

    Parameters
    ----------
    moment : datetime
        UTC.

    Returns
    -------
    str
        ``YYYY-MM-DDThh:mm:ss.sss``.
    """
    rounded = moment + datetime.timedelta(microseconds=500)
    return rounded.isoformat(timespec='milliseconds')


def stamp() -> str:
    """The moment that goes into outputs: now, or SOURCE_DATE_EPOCH where that is set.

    Returns
    -------
    str
        ``YYYY-MM-DDThh:mm:ss``, UTC.

    Raises
    ------
    Failure
        When SOURCE_DATE_EPOCH is not a number of seconds.
    """
    epoch = os.environ.get('SOURCE_DATE_EPOCH')
    try:
        zone = datetime.timezone.utc
        moment = datetime.datetime.fromtimestamp(int(epoch), zone) if epoch else datetime.datetime.now(zone)
    except (ValueError, OverflowError, OSError):
        raise Failure(f'SOURCE_DATE_EPOCH={epoch!r} is not a number of seconds since 1970') from None
    return moment.strftime('%Y-%m-%dT%H:%M:%S')


def parse_card(text: str) -> tuple[str, Any]:
    """Keyword and value of ``--set KEY=VALUE``.

    Parameters
    ----------
    text : str
        The word. T and F are logical values, what reads as a number is a
        number, all else is text, also within quotes.

    Returns
    -------
    tuple
        Keyword and value.

    Raises
    ------
    UsageError
        When there is no '=', or the keyword or value can't stand in a header.

    Examples
    --------
    >>> parse_card('IMAGETYP=MASTER BIAS'), parse_card('GAIN=1.5'), parse_card("ID='12'")
    (('IMAGETYP', 'MASTER BIAS'), ('GAIN', 1.5), ('ID', '12'))
    """
    key, equals, word = text.partition('=')
    key, word = key.strip().upper(), word.strip()
    if not equals or not re.fullmatch(r'[A-Z0-9_-]{1,8}', key):
        raise UsageError(f'{text!r} is not KEY=VALUE with a keyword of up to 8 letters, digits, - and _')
    if is_structural(key):
        raise UsageError(f'{key} describes the data themselves and is not for --set')
    if not all(' ' <= char <= '~' for char in word):
        raise UsageError(f'{text!r}: a header holds printable ASCII only')
    if len(word) > 1 and word[0] == word[-1] and word[0] in '\'"':
        return key, word[1:-1]
    if word in ('T', 'F'):
        return key, word == 'T'
    for kind in (int, float):
        try:
            number = kind(word)
        except ValueError:
            continue
        return (key, number) if math.isfinite(number) else (key, word)
    return key, word


_STRUCTURAL = re.compile(
    r'(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|END|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|INHERIT|TFIELDS|THEAP|BLOCKED'
    r'|(TTYPE|TFORM|TUNIT|TSCAL|TZERO|TNULL|TDIM|TDISP|TBCOL)\d+|PSCAL\d+|PZERO\d+|PTYPE\d+'
    r'|ZIMAGE|ZSIMPLE|ZEXTEND|ZBITPIX|ZNAXIS\d*|ZTILE\d+|ZCMPTYPE|ZNAME\d+|ZVAL\d+|ZQUANTIZ|ZDITHER0|ZTENSION|ZPCOUNT|ZGCOUNT'
    r'|ZBLANK|ZSCALE|ZZERO|ZHECKSUM|ZDATASUM|ZMASKCMP|ZBLOCKED)\Z'
)


def is_structural(key: str) -> bool:
    """Whether a keyword describes how the data are stored, so that a product must not inherit it.

    Parameters
    ----------
    key : str
        The keyword, in capitals.

    Returns
    -------
    bool
        True for BITPIX, NAXIS2, BZERO, CHECKSUM and their like.
    """
    return _STRUCTURAL.match(key) is not None


def cut_to(header: fits.Header, slices: Sequence[slice]) -> None:
    """Move the cards that speak of pixel positions to a part of the image.

    CRPIXn and LTVn shift; DATASEC and TRIMSEC shift and shrink; BIASSEC goes
    when nothing of it is left. The header is changed in place.

    Parameters
    ----------
    header : Header
        Header of the part.
    slices : sequence of slice
        The part, in numpy order.
    """
    starts = [part.start for part in reversed(slices)]
    for axis, start in enumerate(starts, 1):
        for key in [key for key in header if re.fullmatch(rf'CRPIX{axis}[A-Z]?', key)]:
            if (place := as_number(value(header, key))) is not None:
                header[key] = place - start
        # The logical-to-physical shift of IRAF: logical = LTM physical + LTV.
        before = as_number(value(header, f'LTV{axis}'))
        if start or before is not None:
            header[f'LTV{axis}'] = (before or 0.0) - start
    for key in ('DATASEC', 'TRIMSEC', 'BIASSEC'):
        if key in header:
            _cut_section(header, key, slices)


def _cut_section(header: fits.Header, key: str, slices: Sequence[slice]) -> None:
    match = re.fullmatch(r'\s*\[\s*(\d+):(\d+)\s*,\s*(\d+):(\d+)\s*\]\s*', str(value(header, key)))
    if match is None:
        return
    part = list(reversed(slices))[:2]
    ends = [int(piece) for piece in match.groups()]
    moved = []
    for (first, last), axis in zip((ends[:2], ends[2:]), part, strict=False):
        low, high = max(first - axis.start, 1), min(last - axis.start, axis.stop - axis.start)
        if high < low:
            del header[key]
            return
        moved.append(f'{low}:{high}')
    header[key] = f'[{",".join(moved)}]'


def add_history(header: fits.Header, command: str, lines: Iterable[str]) -> None:
    """HISTORY cards that say which command made a product, and how.

    Parameters
    ----------
    header : Header
        Changed in place.
    command : str
        Name of the command.
    lines : iterable of str
        What it did.
    """
    header.add_history(f'{command} {__version__} {stamp()}')
    for line in lines:
        header.add_history('  ' + ascii_text(line))


def ascii_text(text: str) -> str:
    """Text fit for a header: printable ASCII, all else escaped.

    Parameters
    ----------
    text : str
        Such as a file name.

    Returns
    -------
    str
        The text.
    """
    return visible(text).encode('ascii', 'backslashreplace').decode('ascii')


def warn_of_differences(headers: Sequence[fits.Header], names: Sequence[str], *, ignore: Sequence[str] = ()) -> None:
    """Warn where FILTER, binning, gain, temperature or exposure of frames that belong together differ.

    Parameters
    ----------
    headers : sequence of Header
        Headers of the frames; a frame without the keyword says nothing.
    names : sequence of str
        Their names.
    ignore : sequence of str
        Keywords that may differ in this work.
    """
    for key, tolerance in _SHOULD_AGREE:
        if key in ignore:
            continue
        found = [(lookup(header, key), name) for header, name in zip(headers, names, strict=True)]
        found = [(what, name) for what, name in found if what is not None]
        odd = next(((what, name) for what, name in found if _differ(found[0][0], what, tolerance)), None)
        if odd is not None:
            warn(f'{key} differs: {found[0][0]!s} in {found[0][1]}, {odd[0]!s} in {odd[1]}')


# Names that filabres' users know; the others are the statistic's own name.
_STATISTIC_KEYS = {'num': 'NPOINTS', 'min': 'FMINIMUM', 'max': 'FMAXIMUM', 'rstd': 'ROBUSTSTD'}


def statistic_cards(found: dict[str, int | float]) -> list[tuple[str, Any, str]]:
    """The cards that keep statistics in a header.

    Parameters
    ----------
    found : dict
        Values by the statistic's name.

    Returns
    -------
    list of (str, value, str)
        Keyword, value (None where it is not finite) and comment.

    Examples
    --------
    >>> statistic_cards({'q2.5': 26.0})
    [('QUANT025', 26.0, 'q2.5 of the pixels')]
    """
    cards = []
    for name, number in found.items():
        percent = f'QUANT{round(float(name[1:]) * 10):03d}' if re.fullmatch(r'q[\d.]+', name) else None
        key = percent or _STATISTIC_KEYS.get(name, name.upper())
        cards.append((key, number if math.isfinite(number) else None, f'{name} of the pixels'))
    return cards


def _differ(first: Any, other: Any, tolerance: float) -> bool:
    numbers = as_number(first), as_number(other)
    if None in numbers:
        return str(first).strip().upper() != str(other).strip().upper()
    return abs(numbers[0] - numbers[1]) > tolerance
