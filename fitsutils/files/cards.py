"""Cards of inputs made fit for products: every file written keeps the FITS standard."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

from fitsutils.errors import warn
from fitsutils.files import header as headers
from fitsutils.files.library import fits
from fitsutils.files.plain import PlainCard, card_text

_LEGAL = re.compile(r'[ -~]*\Z')
_REAL = r'[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?'
_STRING = r"'(?:''|[ -&(-~])*'"
_COMMENT = r' *(?:/[ -~]*)?\Z'
_VALUE = rf'(?:{_STRING}|[TF]|{_REAL}|\( *{_REAL} *, *{_REAL} *\))?'
_CARD = re.compile(rf'(?=.{{8}}= )[A-Z0-9_-]+ *= +{_VALUE}{_COMMENT}')
_HIERARCH = re.compile(rf'HIERARCH [ -<>-~]+= *{_VALUE}{_COMMENT}')
_CONTINUED = re.compile(rf'CONTINUE  {_STRING}{_COMMENT}')
_DATE = re.compile(r'(\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d*)?)?|\d\d/\d\d/\d\d) *\Z')
# Keywords whose value the standard fixes as text or as a number; fitsverify takes another type for an error.
_TEXT = re.compile(
    r'(DATE.*|ORIGIN|BUNIT|TELESCOP|INSTRUME|OBSERVER|OBJECT|AUTHOR|REFERENC|EXTNAME|TIMESYS|PROGRAM|CREATOR|CONFIGUR'
    r'|HDUNAME|(CTYPE|CUNIT|CNAME)\d.*|PS\d+_.*|(WCSNAME|RADESYS|RADECSYS|SPECSYS|SSYSOBS|SSYSSRC).*)\Z'
)
_NUMBER = re.compile(
    r'(EXTVER|EXTLEVEL|EPOCH|DATAMAX|DATAMIN|MJD-OBS|MJD-AVG|EQUINOX[A-Z]?|(CD|PC|PV)\d+_.*'
    r'|(CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER)\d.*'
    r'|(WCSAXES|OBSGEO-[XYZ]|LONPOLE|LATPOLE|RESTFRE?Q|RESTWAV|VELANGL|VELOSYS|ZSOURCE).*)\Z'
)
_TYPED = re.compile(rf'{_TEXT.pattern}|{_NUMBER.pattern}|TC(TYP|UNI|RVL|DLT|RPX|ROT)\d')
_MAY_OVERFLOW = re.compile(r'[ED][+-]?\d{3}')
_WHOLE = re.compile(r'(EXTVER|EXTLEVEL|WCSAXES.*)\Z')
_NOT_NEGATIVE = re.compile(r'(CRDER|CSYER)\d')
_NOT_ZERO = re.compile(r'CDELT\d')
_OF_TABLES = re.compile(r'TC(TYP|UNI|RVL|DLT|RPX|ROT)\d')
_INDEXED = re.compile(r'(?:CTYPE|CUNIT|CNAME|CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER|PC|CD)(\d+)(?:_(\d+))?|P[SV](\d+)_')
_MATRIX = re.compile(r'(CD|PC)\d+_\d+([A-Z]?)\Z')
_COMMENTARY = ('', 'COMMENT', 'HISTORY')


def legal_cards(header: Any, path: str, told: set[str] | None = None) -> list[str]:
    """The cards of a header that may stand in a product.

    Parameters
    ----------
    header : Header or PlainHeader
        Any header; it is not changed.
    path : str
        Name of the output, for the warning.
    told : set of str, optional
        Keywords that were warned of for this file, which the warning leaves out; new ones are added. The headers of
        extensions are often made from that of the primary HDU.

    Returns
    -------
    list of str
        Their texts, without DATE and the cards that describe the storage of the data. Of duplicates the first.
        A card that breaks the standard is repaired, or, where that can't be
        done, its text becomes a COMMENT; a warning names both.
    """
    cards, odd, seen = [], [], set()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # what astropy would say, the warning below says in one line
        for card in map(as_it_stands, header.cards):
            # A record-valued card (CRPIX1 = 'F: 1.0') is CRPIX1.F to astropy, and CRPIX1 to all others.
            if headers.is_structural(card.keyword.partition('.')[0]) or card.keyword == 'DATE':
                continue
            legal = _legal(card)
            if legal is None:
                odd.append(card.text[:8].strip() or 'a blank keyword')
                legal = _as_comment(card.text)
            elif legal.text != card.text:
                odd.append(card.keyword or 'a comment')
            if legal.keyword not in _COMMENTARY:
                if legal.keyword in seen:
                    odd.append(f'a second {legal.keyword}')
                    continue
                seen.add(legal.keyword)
            cards.append(legal)
        cards = _with_one_rotation(_with_axes_first(cards, odd), odd)
    told = set() if told is None else told
    names = [name for name in dict.fromkeys(odd) if name not in told]
    if names:
        told.update(names)
        warn(f'header cards against the FITS standard were repaired or left out: {", ".join(names)}', path)
    return [card.text for card in cards]


def as_it_stands(card: PlainCard | fits.Card) -> PlainCard:
    """A card with its text as it is in its file.

    Parameters
    ----------
    card : PlainCard or Card
        Any card.

    Returns
    -------
    PlainCard
        Its keyword, and its text, which may break the standard.
    """
    return card if isinstance(card, PlainCard) else PlainCard(_key(card), _text(card))


def _text(card: fits.Card) -> str:
    """The card as it stands in its file; str() would repair it there and then."""
    if card._image is not None and not card._modified:
        return card._image.ljust(80)
    return str(card)


def _key(card: fits.Card) -> str:
    try:
        return card.keyword.strip()
    except (fits.VerifyError, ValueError, AttributeError):
        return _text(card)[:8].strip().upper()


def _with_axes_first(cards: list[PlainCard], odd: list[str]) -> list[PlainCard]:
    """The cards with WCSAXES before all that it governs, or as a comment where it is wrong."""
    axes = [card for card in cards if card.keyword.startswith('WCSAXES')]
    if not axes:
        return cards
    found = [(place, match) for place, card in enumerate(cards) if (match := _INDEXED.match(card.keyword))]
    indices = [int(index) for _, match in found for index in match.groups() if index]
    if indices and not 1 <= min(indices) <= max(indices) <= max(card.value for card in axes):
        odd.append('WCSAXES')
        return [_as_comment(card.text) if card in axes else card for card in cards]
    first = found[0][0] if found else len(cards)
    late = [card for card in cards[first:] if card in axes]
    return [*cards[:first], *late, *(card for card in cards[first:] if card not in axes)] if late else cards


def _with_one_rotation(cards: list[PlainCard], odd: list[str]) -> list[PlainCard]:
    """The cards without a PC matrix beside a CD matrix, which other programs prefer, and without CROTA2 beside PC."""
    matrices = {match.groups() for card in cards if (match := _MATRIX.match(card.keyword))}
    kept = []
    for card in cards:
        match = _MATRIX.match(card.keyword)
        second = match and match[1] == 'PC' and ('CD', match[2]) in matrices
        if second or (card.keyword == 'CROTA2' and ('PC', '') in matrices):
            odd.append(card.keyword)
            card = _as_comment(card.text)
        kept.append(card)
    return kept


def _legal(card: PlainCard) -> PlainCard | None:
    """The card itself, a repaired one, or None when nothing can be done."""
    key, text = card
    try:
        if key in _COMMENTARY:
            return PlainCard(key, _printable(text)) if text[:8].rstrip(' ') in _COMMENTARY else None
        if '.' in key and (_NUMBER.match(key.partition('.')[0]) or _OF_TABLES.match(key)):
            return None
        if not is_well_formed(text):
            found = fits.Card.fromstring(_with_indicator(_printable(text)))
            content = found.value  # before its text is asked for, which would be put right
            undefined = isinstance(content, fits.card.Undefined)
            return _repaired(PlainCard(found.keyword, str(found)), None if undefined else content)
        return _repaired(card, card.value) if _TYPED.match(key) or _MAY_OVERFLOW.search(text) else card
    except (fits.VerifyError, ValueError, AttributeError):
        return None


def _repaired(card: PlainCard, content: Any) -> PlainCard | None:
    key = card.keyword
    made = fitted(key, content)
    if made is None and (_TYPED.match(key) or card.value is not None):
        return None
    if made is content and is_well_formed(card.text):
        return card
    text = card_text(key, made, card.comment)
    return PlainCard(key, text) if is_well_formed(text) else None


def _printable(text: str) -> str:
    if _LEGAL.match(text):
        return text
    return ''.join(char if ' ' <= char <= '~' else '?' for char in text)


def _with_indicator(text: str) -> str:
    """A card with the blank that the standard wants behind the equals sign."""
    if text[8:9] == '=' and text[9:10] != ' ' and len(text.rstrip()) < 80:
        return f'{text[:9]} {text[9:79]}'
    return text


def _is_finite(content: Any) -> bool:
    return not isinstance(content, float) or math.isfinite(content)


def is_well_formed(text: str) -> bool:
    """Whether a card, with those that continue it, is as the standard wants it.

    Parameters
    ----------
    text : str
        The card, of 80 characters or a multiple of it.

    Returns
    -------
    bool
        False for an odd keyword, value or comment; what the value should be is not looked at.
    """
    first, *rest = (text[start : start + 80] for start in range(0, len(text), 80))
    form = _HIERARCH if first.startswith('HIERARCH ') else _CARD
    return form.match(first) is not None and all(_CONTINUED.match(line) for line in rest)


def wanted(key: str) -> str:
    """What the standard wants the value of a keyword to be, in words.

    Parameters
    ----------
    key : str
        The keyword, in capitals.

    Returns
    -------
    str
        Such as 'a date'.

    Examples
    --------
    >>> wanted('DATE-OBS'), wanted('CRVAL1'), wanted('OBJECT')
    ('a date', 'a number', 'text')
    """
    if key.startswith('DATE'):
        return 'a date'
    if _NUMBER.match(key):
        what = 'a number that is not 0' if _NOT_ZERO.match(key) else 'a number'
        return 'a number that is not negative' if _NOT_NEGATIVE.match(key) else what
    return 'text' if _TEXT.match(key) else 'a finite value'


def fitted(key: str, content: Any) -> Any:
    """The value in the type that the standard wants.

    Parameters
    ----------
    key : str
        The keyword, in capitals.
    content : bool, int, float, complex, str or None
        The value.

    Returns
    -------
    bool, int, float, complex, str or None
        The value itself where the standard leaves its type open; None where it can't be had.

    Examples
    --------
    >>> fitted('OBJECT', 47), fitted('CRVAL1', '83.5'), fitted('DATE-OBS', 'yesterday'), fitted('EXPTIME', 60)
    ('47', 83.5, None, 60)
    """
    if _OF_TABLES.match(key):
        return None
    if content is None or not _is_finite(content):
        return None
    if _NUMBER.match(key):
        return _fitted_number(key, content)
    if _TEXT.match(key) and not isinstance(content, str):
        content = str(content)
    return _fitted_date(content) if key.startswith('DATE') else content


def _fitted_number(key: str, content: Any) -> int | float | None:
    number = content if type(content) in (int, float) else headers.as_number(content)
    if number is None or (_NOT_NEGATIVE.match(key) and number < 0) or (_NOT_ZERO.match(key) and number == 0):
        return None
    if not _WHOLE.match(key):
        return number
    if abs(number) >= 2**31:  # other programs keep it in 32 bits
        return None
    return number if type(number) is int else int(number)


def _fitted_date(content: str) -> str | None:
    moment = headers.parse_date(content)
    if moment is None or _DATE.match(content):
        return None if moment is None else content
    return headers.date_text(moment)


def _as_comment(text: str) -> PlainCard:
    return PlainCard('COMMENT', f'COMMENT {headers.ascii_text(text.rstrip())[:72]:72}')
