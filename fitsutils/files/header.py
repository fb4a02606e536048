"""Header values: keyword aliases, dates, and the cards that products get."""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from fitsutils import __version__
from fitsutils.errors import Failure, UsageError, visible, warn
from fitsutils.files.library import fits

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
    'ROBUSTSTD': ('ROBUSTSD', 'ROBUSTSTD'),
}

_DATE_KEYS = ('DATE-OBS', 'DATE-BEG', 'DATEOBS', 'DATE_OBS', 'UTDATE', 'DATE-UTC')
_TIME_KEYS = ('TIME-OBS', 'UT', 'UTSTART', 'UT-START', 'UTC-OBS', 'UTC', 'TIME-BEG', 'TIMEOBS')
_ISO = re.compile(r'(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d*))?)?)?Z?\Z')
_BARE_DATE = re.compile(r'((?:18|19|20)\d\d)(\d\d)(\d\d)\Z')
_OLD_DATE = re.compile(r'(\d\d)/(\d\d)/(\d\d)\Z')
_CLOCK = re.compile(r'(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?Z?\Z')
_YEAR = re.compile(r'(?<!\d)\d{4}(?!\d)')
_LAST_MOMENT = datetime.datetime(9999, 12, 31, 23, 59, 59)
_MJD_ZERO = datetime.datetime(1858, 11, 17)
_JD_OF_MJD = 2400000.5
_MOST_DAYS = 2e6  # of a Modified Julian Date: the year 7334
_DAY_KEYS = (('MJD-OBS', 0.0), ('MJD-BEG', 0.0), ('MJD', 0.0), ('JD', _JD_OF_MJD), ('JD-OBS', _JD_OF_MJD))
MEAN_START_KEYS = ('NCOMBINE', 'DATE-AVG', 'MJD-AVG', 'CMBMETH')  # what `mean_start` reads beside dates and EXPTIME
_WHOLE = re.compile(r'[+-]?\d+', re.ASCII)
_LONGEST_WHOLE = 300  # digits beyond those of a float are no number that a header means

_FLAT = re.compile(r'FLAT|TWILIGHT', re.IGNORECASE)
_NO_FLAT = re.compile(r'DARK|BIAS', re.IGNORECASE)  # the dark of a flat, and the like

# Keywords that differ between frames by mistake more often than on purpose, and by how much they may.
_SHOULD_AGREE: tuple[tuple[str, float], ...] = (
    ('FILTER', 0), ('XBINNING', 0), ('YBINNING', 0), ('GAIN', 1e-6), ('CCD-TEMP', 1.0), ('EXPTIME', 1e-6),
    ('BUNIT', 0),
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
        The first card's value. A card that can't be parsed gives its text.
    """
    try:
        found = header.get(key)
    except _unparsable():
        found = _raw(header, key)
    if found is None or isinstance(found, (bool, int, float)):
        return found
    if isinstance(found, str):
        return found if found.strip() else None
    if isinstance(found, fits.card.Undefined):
        return None
    if isinstance(found, fits.header._HeaderCommentaryCards):
        return ' '.join(str(line) for line in found) or None
    return found


def _unparsable() -> tuple[type[Exception], ...]:
    """What astropy raises at a card that it can't parse."""
    return fits.VerifyError, ValueError


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
    if key.upper() == 'DATE-OBS':
        return _dated(header)
    names = ALIASES.get(key.upper(), (key,))
    return next((found for name in names if (found := value(header, name)) is not None), None)


def _dated(header: fits.Header) -> Any:
    """The time of observation, in the words of the header where one keyword tells all of it."""
    moment = observation_time(header)
    if moment is None:
        return value(header, 'DATE-OBS')
    texts = (value(header, key) for key in _DATE_KEYS)
    return next((text for text in texts if isinstance(text, str) and parse_date(text) == moment), moment)


def keywords_behind(key: str) -> tuple[str, ...]:
    """The keywords that `lookup` of a keyword may read.

    Parameters
    ----------
    key : str
        The keyword.

    Returns
    -------
    tuple of str
        In capitals.
    """
    key = key.upper()
    if key == 'DATE-OBS':
        return (*_DATE_KEYS, *_TIME_KEYS, *(name for name, _ in _DAY_KEYS))
    return ALIASES.get(key, (key,))


def is_flat(header: fits.Header) -> bool:
    """Whether a frame says of itself that it is a flat.

    Parameters
    ----------
    header : Header
        Any header.

    Returns
    -------
    bool
        True where IMAGETYP or OBJECT (some observatories call flats objects) is such as 'Dome Flat', 'twilight' or
        'MASTER FLAT', not for 'Flat Dark'.
    """
    texts = [str(lookup(header, key) or '') for key in ('IMAGETYP', 'OBJECT')]
    return any(map(_FLAT.search, texts)) and not any(map(_NO_FLAT.search, texts))


def sort_value(header: fits.Header, key: str) -> Any:
    """What an image is sorted by.

    Parameters
    ----------
    header : Header
        Any header.
    key : str
        The keyword; DATE-OBS means the time of observation, wherever it stands.

    Returns
    -------
    bool, int, float, str, datetime or None
        None when there is none.
    """
    return observation_time(header) if key.upper() == 'DATE-OBS' else lookup(header, key)


def order(columns: Sequence[Sequence[Any]], falling: Sequence[bool] = (), *, missing_first: bool = False) -> list[int]:
    """The order that sorts rows by the values of some keywords.

    The values of a keyword are compared as numbers or as dates where all of
    them are, else as text. Ties keep their order.

    Parameters
    ----------
    columns : sequence of sequences
        For each keyword, the first sorts first, its value in each row; None is missing.
    falling : sequence of bool
        For each keyword whether large values come first; default: none.
    missing_first : bool
        Rows without a value come before the others, not behind them.

    Returns
    -------
    list of int
        Numbers of the rows.

    Examples
    --------
    >>> order([['10', 9, None, 2.5]]), order([['b10', 'b9', 'a', 'b9'], [1, 2, 3, 1]], [False, True])
    ([3, 1, 0, 2], [2, 0, 1, 3])
    """
    rows = list(range(len(columns[0]))) if columns else []
    falls = list(falling) or [False] * len(columns)
    for column, fall in reversed(list(zip(columns, falls, strict=True))):
        values = of_one_type(column)
        there = sorted((row for row in rows if values[row] is not None), key=values.__getitem__, reverse=fall)
        gone = [row for row in rows if values[row] is None]
        rows = gone + there if missing_first else there + gone
    return rows


def of_one_type(column: Sequence[Any]) -> list[Any]:
    """Values of one keyword in one type: numbers or dates where all of them are, else text.

    Parameters
    ----------
    column : sequence
        What `lookup` gave of each image; None is missing.

    Returns
    -------
    list of int, float, datetime or str
        None stays None.

    Examples
    --------
    >>> of_one_type([' 60', 2.5, None]), of_one_type(['60', 'B'])
    ([60, 2.5, None], ['60', 'B'])
    """
    for reading in (exact_number, moment_of):
        values = [None if found is None else reading(found) for found in column]
        if all((found is None) == (read is None) for found, read in zip(column, values, strict=True)):
            return values
    return [None if found is None else str(found) for found in column]


def exact_number(found: Any) -> int | float | None:
    """A header value as a number, an integer of many digits not rounded to a float.

    Parameters
    ----------
    found : Any
        What `value` gave.

    Returns
    -------
    int, float or None
        None when it is not a finite number; text that reads as one counts.

    Examples
    --------
    >>> exact_number('9007199254740993'), exact_number(2.5), exact_number('V')
    (9007199254740993, 2.5, None)
    """
    if isinstance(found, int):
        return int(found)
    if isinstance(found, str) and len(found) < _LONGEST_WHOLE and _WHOLE.fullmatch(found.strip()):
        return int(found)
    return as_number(found)


def moment_of(found: Any) -> datetime.datetime | None:
    """A header value as a date.

    Parameters
    ----------
    found : Any
        What `value` or `sort_value` gave.

    Returns
    -------
    datetime or None
        UTC without a time zone; None when it is no date.
    """
    if isinstance(found, datetime.datetime):
        return found
    return parse_date(found) if isinstance(found, str) else None


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


def needed_exposure(header: fits.Header, path: str, key: str | None = None, *, zero: bool = False) -> float:
    """The exposure time of an image that the work can't do without.

    Parameters
    ----------
    header : Header
        The image's header.
    path : str
        The file, for the message.
    key : str, optional
        The keyword (or an alias of it); default: EXPTIME.
    zero : bool
        Whether 0 is one.

    Returns
    -------
    float
        Seconds, finite.

    Raises
    ------
    Failure
        When it is missing, not a finite number, negative, or 0 where that makes no sense.
    """
    key = (key or 'EXPTIME').upper()
    found = lookup(header, key)
    seconds = as_number(found)
    if seconds is None or seconds < 0 or (seconds == 0 and not zero):
        what = 'is missing' if found is None else f'= {found!r}'
        raise Failure(f'it has no usable exposure time: {key} {what}', path)
    return seconds


def set_exposure(header: fits.Header, seconds: float | None) -> None:
    """Change the exposure time, under all names that the header has for it.

    Parameters
    ----------
    header : Header
        Changed in place.
    seconds : float or None
        The exposure time; None takes the cards out.
    """
    for key in ALIASES['EXPTIME']:
        if as_number(value(header, key)) is None:
            continue
        if seconds is None:
            del header[key]
        else:
            header[key] = seconds


def observation_time(header: fits.Header) -> datetime.datetime | None:
    """Start of the exposure.

    DATE-OBS or DATE-BEG, with TIME-OBS or UT where the date has no time of
    day, or else another date or day number of that day which has; without any
    date MJD-OBS, MJD-BEG, MJD or JD.

    Parameters
    ----------
    header : Header
        Any header.

    Returns
    -------
    datetime or None
        UTC without a time zone; None when the header has no usable date.
    """
    moments = [(text, moment) for text, moment in map(_read_date, (value(header, key) for key in _DATE_KEYS)) if moment]
    if not moments:
        return _day_number(header)
    text, first = moments[0]
    if _has_clock(text):
        return first
    if (clock := _clock(header)) is not None:
        return first + clock if first < _LAST_MOMENT - clock else None
    finer = [moment for text, moment in moments if _has_clock(text)] + [_day_number(header) or first]
    return next((moment for moment in finer if abs(moment - first) < datetime.timedelta(days=2)), first)


def mean_start(header: fits.Header) -> datetime.datetime | None:
    """Start of an exposure; of a combination, the mean of the starts of what went into it.

    A combination (NCOMBINE) says with DATE-AVG or MJD-AVG when the middles of its exposures were on
    the average; half the mean exposure time before that they began.

    Parameters
    ----------
    header : Header
        Any header.

    Returns
    -------
    datetime or None
        UTC without a time zone; None when the header has no usable date.
    """
    frames, middle = as_number(value(header, 'NCOMBINE')), _middle(header)
    if frames is None or frames < 1 or middle is None:
        return observation_time(header)
    seconds = exposure(header) or 0.0
    if value(header, 'CMBMETH') == 'sum':  # EXPTIME is that of all together
        seconds /= frames
    try:
        return middle - datetime.timedelta(seconds=seconds / 2)
    except OverflowError:
        return None


def _middle(header: fits.Header) -> datetime.datetime | None:
    _, moment = _read_date(value(header, 'DATE-AVG'))
    if moment is not None:
        return moment
    days = as_number(value(header, 'MJD-AVG'))
    return _MJD_ZERO + datetime.timedelta(days=days) if days is not None and 0 < days < _MOST_DAYS else None


def _read_date(found: Any) -> tuple[str, datetime.datetime | None]:
    return (found, parse_date(found)) if isinstance(found, str) else ('', None)


def _day_number(header: fits.Header) -> datetime.datetime | None:
    for key, zero in _DAY_KEYS:
        if (days := as_number(value(header, key))) is not None and 0 < days - zero < _MOST_DAYS:
            return _MJD_ZERO + datetime.timedelta(days=days - zero)
    return None


def parse_date(text: str) -> datetime.datetime | None:
    """A date of a FITS header.

    The standard's ``YYYY-MM-DD[Thh:mm:ss[.s]]`` first, whatever else
    astropy's 'fits' format reads next, then YYYYMMDD and the old ``dd/mm/yy``; for what is
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
        if match := _BARE_DATE.match(word):
            return datetime.datetime(int(match[1]), int(match[2]), int(match[3]))
        if match := _OLD_DATE.match(word):
            return datetime.datetime(1900 + int(match[3]), int(match[2]), int(match[1]))
    except (ValueError, OverflowError):
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
        moment = parser.parse(word, default=datetime.datetime(1, 1, 1), tzinfos=_zone)
        return moment if moment.tzinfo is None else moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _zone(name: str | None, offset: int | None) -> datetime.timezone:
    """A time zone. The machine's own has no say, and the letters of others mean different hours to different people."""
    if offset is None and name not in (None, 'UTC', 'UT', 'GMT', 'Z'):
        raise ValueError(name)
    return datetime.timezone(datetime.timedelta(seconds=offset or 0))


def _has_clock(text: str) -> bool:
    return ':' in text


def _clock(header: fits.Header) -> datetime.timedelta | None:
    """Time of day from a keyword of its own."""
    for key in _TIME_KEYS:
        found = value(header, key)
        if isinstance(found, str) and (match := _CLOCK.match(found.strip().split('T')[-1])):
            hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3])
            if hours < 24 and minutes < 60 and seconds <= 60:
                return datetime.timedelta(hours=hours, minutes=minutes) + _seconds(seconds, match[4])
    return None


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
    rounded = min(moment, _LAST_MOMENT) + datetime.timedelta(microseconds=500)
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
    if not is_printable(word):
        raise UsageError(f'{text!r}: a header holds printable ASCII only')
    return key, value_of(word)


def is_printable(text: str) -> bool:
    """Whether a text can stand in a header.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    bool
        True for printable ASCII.
    """
    return all(' ' <= char <= '~' for char in text)


def unquoted(word: str) -> str | None:
    """What stands between quotes.

    Parameters
    ----------
    word : str
        A value on the command line.

    Returns
    -------
    str or None
        None where there are no quotes, of one kind, around it.

    Examples
    --------
    >>> unquoted("'12'"), unquoted('"M 1"'), unquoted('12')
    ('12', 'M 1', None)
    """
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in '\'"' else None


def value_of(word: str) -> bool | int | float | str:
    """What a value on the command line means by itself.

    Parameters
    ----------
    word : str
        T and F are logical values, what reads as a finite number is a number, all else is text, also within quotes.

    Returns
    -------
    bool, int, float or str
        The value.

    Examples
    --------
    >>> value_of('T'), value_of('60'), value_of('6e1'), value_of('nan'), value_of("'60'")
    (True, 60, 60.0, 'nan', '60')
    """
    if (text := unquoted(word)) is not None:
        return text
    if word in ('T', 'F'):
        return word == 'T'
    for kind in (int, float) if '_' not in word else ():  # Python would read 2021_02 as a number
        try:
            number = kind(word)
        except ValueError:
            continue
        return number if math.isfinite(number) else word
    return word


_STRUCTURAL = re.compile(
    r'(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|END|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|INHERIT|CONTINUE|TFIELDS|THEAP|BLOCKED'
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


# Sections that count the image's own pixels: of one amplifier, and with the amplifier's name behind them.
_SECTION = re.compile(r'((DATA|TRIM|BIAS)SEC[A-Z1-9]?|[ABDT]SEC(\d\d?|[A-Z]))\Z')
# Sections that count the detector's pixels, and those of the image that they go with.
_ON_DETECTOR = re.compile(r'(?:(CCDSEC|DETSEC)([A-Z1-9]?)|(CSEC)(\d\d?|[A-Z]))\Z')
_ENDS = re.compile(r'\s*\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]\s*')


def is_section(key: str) -> bool:
    """Whether a keyword names a part of the image in terms of the image's own pixels.

    Parameters
    ----------
    key : str
        The keyword, in capitals.

    Returns
    -------
    bool
        True for DATASEC, TRIMSECA, BSEC11 and their like; not for CCDSEC, which counts pixels of the detector.

    Examples
    --------
    >>> [is_section(key) for key in ('BIASSEC', 'DSEC11', 'CCDSEC', 'TSEC')]
    [True, True, False, False]
    """
    return _SECTION.match(key) is not None


def is_on_detector(key: str) -> bool:
    """Whether a keyword names the part of the detector that the image, or an amplifier's part of it, shows.

    Parameters
    ----------
    key : str
        The keyword, in capitals.

    Returns
    -------
    bool
        True for CCDSEC, DETSEC, CCDSECA, CSEC11 and their like.
    """
    return _ON_DETECTOR.match(key) is not None


def section_ends(header: fits.Header, key: str) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """First and last pixel of a section along x and y, where a header holds a plain one.

    Parameters
    ----------
    header : Header
        Any header.
    key : str
        The keyword.

    Returns
    -------
    tuple of (int, int) or None
        One-based, both ends included; None for anything but ``[x1:x2,y1:y2]`` with rising ends.
    """
    match = _ENDS.fullmatch(str(value(header, key)))
    if match is None:
        return None
    x1, x2, y1, y2 = map(int, match.groups())
    return ((x1, x2), (y1, y2)) if 1 <= x1 <= x2 and 1 <= y1 <= y2 else None


def cut_to(header: fits.Header, slices: Sequence[slice]) -> None:
    """Move the cards that speak of pixel positions to a part of the image.

    CRPIXn and LTVn shift, and CNPIXn of the plates of the Digitized Sky Survey, which counts their pixels; where the
    other cards of world coordinates are there, CRPIXn is 0 when it is missing. DATASEC, TRIMSEC, BIASSEC and those
    of several amplifiers shift and shrink, and go when nothing of them is left; CCDSEC and
    DETSEC shrink with the pixels that they go with. The header is changed in place.

    Parameters
    ----------
    header : Header
        Header of the part.
    slices : sequence of slice
        The part, in numpy order.
    """
    starts = [part.start for part in reversed(slices)]
    for axis, start in enumerate(starts, 1):
        _cut_reference(header, axis, start)
        # The logical-to-physical shift of IRAF: logical = LTM physical + LTV.
        before = as_number(value(header, f'LTV{axis}'))
        if start or before is not None:
            header[f'LTV{axis}'] = (before or 0.0) - start
    for key in [key for key in dict.fromkeys(header) if is_on_detector(key)]:
        _cut_on_detector(header, key, slices)
    for key in [key for key in dict.fromkeys(header) if is_section(key)]:
        _cut_section(header, key, slices)


def _cut_reference(header: fits.Header, axis: int, start: int) -> None:
    """Move the reference pixel of an axis in all of its coordinate systems, and the corner on a plate."""
    axis_cards = re.compile(rf'(?:C(?:RPIX|RVAL|TYPE|DELT){axis}|(?:CD|PC)\d_{axis})([A-Z]?)')
    letters = dict.fromkeys(match[1] for key in header if (match := axis_cards.fullmatch(key)))
    for key in [f'CRPIX{axis}{letter}' for letter in letters]:
        found = value(header, key)
        place = 0.0 if found is None else as_number(found)
        if place is not None and (start or found is not None):
            header[key] = place - start
    corner = value(header, f'CNPIX{axis}')
    if start and as_number(corner) is not None:
        header[f'CNPIX{axis}'] = (corner if isinstance(corner, int) else as_number(corner)) + start


def _cut_section(header: fits.Header, key: str, slices: Sequence[slice]) -> None:
    ends = section_ends(header, key)
    if ends is None:
        return
    moved = []
    for (first, last), axis in zip(ends, list(reversed(slices))[:2], strict=False):
        low, high = max(first - axis.start, 1), min(last - axis.start, axis.stop - axis.start)
        if high < low:
            del header[key]
            return
        moved.append(f'{low}:{high}')
    header[key] = f'[{",".join(moved)}]'


def _cut_on_detector(header: fits.Header, key: str, slices: Sequence[slice]) -> None:
    """Shrink a section of the detector with the pixels that it shows; one that does not go with them is left out."""
    match = _ON_DETECTOR.match(key)
    own = section_ends(header, key)
    shown = section_ends(header, f'DATASEC{match[2]}' if match[1] else f'DSEC{match[4]}') or _whole_image(header)
    if own is None or shown is None:
        return
    parts = list(reversed(slices))[:2]
    left = [
        (max(first, part.start + 1), min(last, part.stop)) for (first, last), part in zip(shown, parts, strict=False)
    ]
    if left == list(shown)[: len(left)]:
        return
    moved = []
    for (start, stop), (first, last), (low, high) in zip(own, shown, left, strict=False):
        factor, odd = divmod(stop - start + 1, last - first + 1)
        if odd or high < low:
            del header[key]
            return
        moved.append(f'{start + (low - first) * factor}:{stop - (last - high) * factor}')
    header[key] = f'[{",".join(moved)}]'


def _whole_image(header: fits.Header) -> tuple[tuple[int, int], tuple[int, int]] | None:
    lengths = [as_number(value(header, key)) for key in ('NAXIS1', 'NAXIS2')]
    return None if None in lengths else ((1, int(lengths[0])), (1, int(lengths[1])))


def product(image: Any, command: str, lines: Iterable[str], cards: Iterable[tuple[str, Any]] = ()) -> fits.Header:
    """The header of a product: its first input's, with what was done to it.

    Parameters
    ----------
    image : Image
        The input; a part of an image moves the cards that speak of positions.
    command : str
        Name of the command.
    lines : iterable of str
        What it did, for HISTORY.
    cards : iterable of (str, value)
        What ``--set`` asks for, and others; a value of None takes the card out.

    Returns
    -------
    Header
        A copy.
    """
    header = image.header.copy()
    image.forget_header()
    if not image.is_whole:
        cut_to(header, image.slices)
    for key, content in cards:
        if content is not None:
            header[key] = content
        elif key in header:
            del header[key]
    add_history(header, command, lines)
    return header


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


def warn_of_differences(
    headers: Sequence[fits.Header], names: Sequence[str], *, ignore: Sequence[str] = (), also: Sequence[str] = ()
) -> None:
    """Warn where FILTER, binning, gain, temperature or exposure of frames that belong together differ.

    Parameters
    ----------
    headers : sequence of Header
        Headers of the frames; a frame without the keyword says nothing.
    names : sequence of str
        Their names.
    ignore : sequence of str
        Keywords that may differ in this work.
    also : sequence of str
        Further keywords that may not.
    """
    for key, tolerance in (*((key, 0) for key in also), *_SHOULD_AGREE):
        if key in ignore:
            continue
        found = [(lookup(header, key), name) for header, name in zip(headers, names, strict=True)]
        found = [(what, name) for what, name in found if what is not None]
        odd = next(((what, name) for what, name in found if _differ(found[0][0], what, tolerance)), None)
        if odd is not None:
            warn(f'{key} differs: {found[0][0]!s} in {found[0][1]}, {odd[0]!s} in {odd[1]}')


# Names that filabres' users know; the others are the statistic's own name. filabres' ROBUSTSTD stands in its databases
# only: it is a letter too long for a FITS keyword, and loses one here.
_STATISTIC_KEYS = {'num': 'NPOINTS', 'min': 'FMINIMUM', 'max': 'FMAXIMUM', 'rstd': 'ROBUSTSD'}


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
        key = _percentile_key(name) or _STATISTIC_KEYS.get(name, name.upper())
        cards.append((key, number if math.isfinite(number) else None, f'{name} of the pixels'))
    return cards


def _percentile_key(name: str) -> str | None:
    """q2.5 is QUANT025; a keyword has 8 characters, so that q2.55 is QNT02550 and q100 the maximum."""
    if not re.fullmatch(r'q[\d.]+', name):
        return None
    thousandths = round(float(name[1:]) * 1000)
    if thousandths == 100_000:
        return _STATISTIC_KEYS['max']
    return f'QNT{thousandths:05d}' if thousandths % 100 else f'QUANT{thousandths // 100:03d}'


def _differ(first: Any, other: Any, tolerance: float) -> bool:
    numbers = as_number(first), as_number(other)
    if None in numbers:
        return str(first).strip().upper() != str(other).strip().upper()
    return abs(numbers[0] - numbers[1]) > tolerance
