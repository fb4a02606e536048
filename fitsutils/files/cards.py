"""Cards of inputs made fit for products: every file written keeps the FITS standard."""

import math
import re
import warnings
from typing import Any

from astropy.io import fits

from fitsutils.errors import warn
from fitsutils.files import header as headers

_LEGAL = re.compile(r'[ -~]*\Z')
_KEYWORD = re.compile(r'[A-Z0-9_-]{1,8}\Z')
_DATE = re.compile(r'(\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d*)?)?|\d\d/\d\d/\d\d)\Z')
# Keywords whose value the standard fixes as text or as a number; fitsverify takes another type for an error.
_TEXT = re.compile(
    r'(DATE([A-Z_-].*)?|ORIGIN|BUNIT|TELESCOP|INSTRUME|OBSERVER|OBJECT|AUTHOR|REFERENC|EXTNAME|RADESYS[A-Z]?|TIMESYS'
    r'|(CTYPE|CUNIT|CNAME)\d+[A-Z]?|WCSNAME[A-Z]?|SPECSYS[A-Z]?|PROGRAM|CREATOR|CONFIGUR|HDUNAME)\Z'
)
_NUMBER = re.compile(
    r'(EXTVER|EXTLEVEL|EQUINOX[A-Z]?|EPOCH|DATAMAX|DATAMIN|WCSAXES[A-Z]?|(CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER)\d+[A-Z]?'
    r'|(CD|PC)\d+_\d+[A-Z]?|LONPOLE[A-Z]?|LATPOLE[A-Z]?|PV\d+_\d+[A-Z]?|MJD-OBS|MJD-AVG|RESTFRQ|RESTWAV|RESTFREQ)\Z'
)
_WHOLE = re.compile(r'(EXTVER|EXTLEVEL|WCSAXES[A-Z]?)\Z')
_COMMENTARY = ('', 'COMMENT', 'HISTORY')


def legal_cards(header: fits.Header, path: str) -> list[fits.Card]:
    """The cards of a header that may stand in a product.

    Parameters
    ----------
    header : Header
        Any header; it is not changed.
    path : str
        Name of the output, for the warning.

    Returns
    -------
    list of Card
        Without DATE and the cards that describe the storage of the data. Of duplicates the first.
        A card that breaks the standard is repaired, or, where that can't be
        done, its text becomes a COMMENT; a warning names both.
    """
    cards, odd, seen = [], [], set()
    for card in header.cards:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # what astropy would say, the warning below says in one line
            key, content = _parsed(card)
            if key is not None and (headers.is_structural(key) or key == 'DATE'):
                continue
            legal = None if key is None else _legal(card, key, content)
            if legal is None:
                odd.append(key or 'an unreadable card')
                legal = _as_comment(card)
            elif legal is not card:
                odd.append(key or 'a comment')
        if key not in _COMMENTARY and legal.keyword not in _COMMENTARY:
            if legal.keyword in seen:
                odd.append(f'a second {legal.keyword}')
                continue
            seen.add(legal.keyword)
        cards.append(legal)
    if odd:
        warn(f'header cards against the FITS standard were repaired or left out: {", ".join(dict.fromkeys(odd))}', path)
    return cards


def _parsed(card: fits.Card) -> tuple[str | None, Any]:
    try:
        return card.keyword.strip(), card.value
    except (fits.VerifyError, ValueError, AttributeError):
        return None, None


def _legal(card: fits.Card, key: str, content: Any) -> fits.Card | None:
    """The card itself, a repaired one, or None when nothing can be done."""
    if key in _COMMENTARY:
        return card if _LEGAL.match(str(card)) else fits.Card(key, headers.ascii_text(str(content)))
    fitted = _fitted(key, content)
    if fitted is None:
        return None
    try:
        text = str(card)
        if fitted is content and _LEGAL.match(text) and (_KEYWORD.match(key) or text.startswith('HIERARCH ')):
            return card
        if isinstance(fitted, str):
            fitted = headers.ascii_text(fitted)
        repaired = fits.Card(key, fitted, headers.ascii_text(card.comment or ''))
        return repaired if _LEGAL.match(str(repaired)) and _keyword_ok(repaired) else None
    except (fits.VerifyError, ValueError):
        return None


def _keyword_ok(card: fits.Card) -> bool:
    return _KEYWORD.match(card.keyword) is not None or str(card).startswith('HIERARCH ')


def _fitted(key: str, content: Any) -> Any:
    """The value in the type that the standard wants; None where it can't be had."""
    if isinstance(content, fits.card.Undefined):
        return None if _NUMBER.match(key) or _TEXT.match(key) else content
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if _NUMBER.match(key):
        number = content if type(content) in (int, float) else headers.as_number(content)
        return int(number) if number is not None and _WHOLE.match(key) else number
    if _TEXT.match(key) and not isinstance(content, str):
        return str(content)
    if key.startswith('DATE') and _KEYWORD.match(key) and not _DATE.match(content.strip()):
        moment = headers.parse_date(content)
        return None if moment is None else headers.date_text(moment)
    return content


def _as_comment(card: fits.Card) -> fits.Card:
    raw = getattr(card, '_image', None)
    if raw is None:
        raw = f'{card.keyword} = {card.value!r}'
    return fits.Card('COMMENT', headers.ascii_text(raw.rstrip())[:72])
