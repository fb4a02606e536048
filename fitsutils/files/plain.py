"""Headers of plain frames, edited as the text that they are.

A camera's header is a list of cards of 80 printable characters. `PlainHeader`
keeps them as they stand and changes the ones that it is told to, as
astropy's Header does, to the same bytes, but without the quarter of a second
that astropy takes to load. A card beyond the standard's simple rules (a long
string, a quote, a complex number) is left to astropy even so.
"""

import math
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fitsutils.files import keywords
from fitsutils.files.library import fits

CARD = 80
COMMENTARY = ('', 'COMMENT', 'HISTORY')
_KEYWORD = re.compile(r'[A-Z0-9_-]{1,8}\Z')
_PRINTABLE = re.compile(r'[ -~]*\Z')
_WIDE = CARD - 8  # characters behind the keyword of a commentary card
_LONGEST_NUMBER = 20


class PlainCard(NamedTuple):
    """One card.

    Attributes
    ----------
    keyword : str
        In capitals; blank for a card of blanks.
    text : str
        All of it, 80 characters.
    """

    keyword: str
    text: str

    @property
    def value(self) -> Any:
        """The value; None where there is none, the text of a commentary card."""
        return _content(self)

    @property
    def comment(self) -> str:
        """What stands behind the slash."""
        return _comment(self)

    def __str__(self) -> str:
        return self.text


def card_text(keyword: str, value: Any, comment: str = '') -> str:
    """A card as astropy writes it.

    Parameters
    ----------
    keyword : str
        The keyword, in capitals.
    value : bool, int, float, str or None
        The value, also a numpy number; None for no value.
    comment : str
        What goes behind the slash; it is cut where the card ends.

    Returns
    -------
    str
        80 characters, or a multiple of it where a long string goes on in CONTINUE cards.

    Raises
    ------
    ValueError
        When the value is not finite or can't stand in a header.

    Examples
    --------
    >>> card_text('GAIN', 1.5, 'electrons').rstrip()
    'GAIN    =                  1.5 / electrons'
    """
    word = _value_text(value)
    text = f'{keyword:8}= {word}' + (f' / {comment}' if comment.rstrip() else '')
    simple = _KEYWORD.match(keyword) and len(word) <= CARD - 10 and _PRINTABLE.match(text)
    if not simple or keyword in COMMENTARY:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return str(fits.Card(keyword, value, comment))
    return text[:CARD].ljust(CARD)


def _value_text(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, str):
        quoted = "'{:8}'".format(value.replace("'", "''"))
        return f'{quoted:20}' if value else "''"
    if isinstance(value, (bool, np.bool_)):
        return f'{"T" if value else "F":>20}'
    if isinstance(value, (int, np.integer)):
        return f'{int(value):>20d}'
    if isinstance(value, (float, np.floating)) and math.isfinite(value):
        return f'{_short_float(value):>20}'
    raise ValueError(f'{value!r} can not stand in a header')


def _short_float(value: float) -> str:
    """The shortest decimal number that is the value, cut to the 20 characters that it may take."""
    word = str(value).replace('e', 'E')
    if len(word) <= _LONGEST_NUMBER:
        return word
    mantissa, exponent, power = word.partition('E')
    return mantissa[: _LONGEST_NUMBER - len(exponent + power)] + exponent + power


def _card(text: str) -> PlainCard:
    return PlainCard(text[:8].rstrip(), text)


def _content(card: PlainCard) -> Any:
    if card.keyword in COMMENTARY:
        return card.text[8:].rstrip()
    try:
        return keywords.plain_value(_rest(card))
    except keywords.UnusualError:
        found = fits.Card.fromstring(card.text).value
        return None if isinstance(found, fits.card.Undefined) else found


def _rest(card: PlainCard) -> str:
    """What stands behind the keyword, of a card that does not go on in others."""
    if len(card.text) > CARD:
        raise keywords.UnusualError
    return card.text[8:]


def _comment(card: PlainCard) -> str:
    if card.keyword in COMMENTARY:
        return ''
    try:
        return keywords.plain_comment(_rest(card))
    except keywords.UnusualError:
        return fits.Card.fromstring(card.text).comment


class PlainHeader:
    r"""Cards of a header, looked up and changed by keyword as astropy's Header does.

    Parameters
    ----------
    cards : iterable of str or card
        The cards, each of 80 characters; all that ``str`` makes a card of.

    Examples
    --------
    >>> header = PlainHeader([card_text('EXPTIME', 60, 'seconds')])
    >>> header['EXPTIME'] = 2.5
    >>> header['OBJECT'] = 'M 1', 'target'
    >>> print(*(card.text.rstrip() for card in header.cards), sep='\n')
    EXPTIME =                  2.5 / seconds
    OBJECT  = 'M 1     '           / target
    """

    def __init__(self, cards: Iterable[Any] = ()) -> None:
        self._cards = [_card(str(card)) for card in cards]

    @property
    def cards(self) -> tuple[PlainCard, ...]:
        """All cards."""
        return tuple(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def __iter__(self) -> Iterator[str]:
        return (card.keyword for card in self._cards)

    def keys(self) -> list[str]:
        """The keywords of all cards."""
        return list(self)

    def __contains__(self, key: str) -> bool:
        return self._place(key) is not None

    def count(self, key: str) -> int:
        """How many cards have a keyword.

        Parameters
        ----------
        key : str
            The keyword.

        Returns
        -------
        int
            Their number.
        """
        return sum(card.keyword == key.upper() for card in self._cards)

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of a keyword; None where it has none.

        Parameters
        ----------
        key : str
            The keyword.
        default : Any
            What to give where there is no such card.

        Returns
        -------
        bool, int, float, str or None
            The value; of COMMENT and HISTORY all lines, with a space between.
        """
        place = self._place(key)
        if place is None:
            return default
        if key.upper() in COMMENTARY:
            return ' '.join(card.value for card in self._cards if card.keyword == key.upper())
        return self._cards[place].value

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return self.get(key)

    def __setitem__(self, key: str, value: Any) -> None:
        key = key.upper()
        content, comment = value if isinstance(value, tuple) else (value, None)
        place = self._place(key)
        if key in COMMENTARY:
            self._add_commentary(key, content)
        elif place is None:
            self.append(card_text(key, content, comment or ''))
        else:
            self._cards[place] = _changed(self._cards[place], content, comment)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._cards = [card for card in self._cards if card.keyword != key.upper()]

    def remove(self, key: str, *, ignore_missing: bool = False) -> None:
        """Take the first card of a keyword out.

        Parameters
        ----------
        key : str
            The keyword.
        ignore_missing : bool
            Whether there may be no such card.

        Raises
        ------
        KeyError
            When there is none and it is not ignored.
        """
        place = self._place(key)
        if place is not None:
            del self._cards[place]
        elif not ignore_missing:
            raise KeyError(key)

    def add_history(self, text: str) -> None:
        """Add HISTORY cards behind those that are there.

        Parameters
        ----------
        text : str
            The line; one too long for a card goes on in the next.
        """
        self._add_commentary('HISTORY', text)

    def append(self, card: Any, *, end: bool = False) -> None:
        """Add a card: behind the last one that is no commentary.

        Parameters
        ----------
        card : str or card
            All that ``str`` makes a card of.
        end : bool
            Whether it comes last of all.
        """
        new = _card(str(card))
        place = len(self._cards)
        while not end and place and self._is_passed(new, self._cards[place - 1]):
            place -= 1
        self._insert(place, new, use_blank=not end)

    @staticmethod
    def _is_passed(new: PlainCard, other: PlainCard) -> bool:
        """Whether a new card comes before another one at the end."""
        if not new.text.strip():
            return False
        return other.keyword in COMMENTARY if new.keyword not in COMMENTARY else not other.text.strip()

    def _insert(self, place: int, card: PlainCard, *, use_blank: bool = True) -> None:
        self._cards.insert(place, card)
        for _ in range(len(card.text) // CARD if use_blank and card.text.strip() else 0):
            if self._cards[-1].text.strip():
                break
            self._cards.pop()

    def _add_commentary(self, key: str, text: Any) -> None:
        text = str(text)
        last = max((place for place, card in enumerate(self._cards) if card.keyword == key), default=None)
        for start in range(0, max(len(text), 1), _WIDE):
            card = _card(f'{key:8}{text[start : start + _WIDE]:{_WIDE}}')
            if last is None:
                self.append(card)
            else:
                last += 1
                self._insert(last, card)

    def copy(self) -> 'PlainHeader':
        """Another header with the same cards."""
        new = PlainHeader()
        new._cards = list(self._cards)
        return new

    def tostring(self) -> str:
        """All cards in one text, without END and padding."""
        return ''.join(card.text for card in self._cards)

    def _place(self, key: str) -> int | None:
        key = key.upper()
        return next((place for place, card in enumerate(self._cards) if card.keyword == key), None)


def _changed(card: PlainCard, value: Any, comment: str | None) -> PlainCard:
    """A card with another value, and with its own comment where there is no other."""
    before, remark = card.value, card.comment
    if type(before) is type(value) and before == value and comment in (None, remark):
        return card
    return PlainCard(card.keyword, card_text(card.keyword, value, remark if comment is None else comment))


def parsed(text: str) -> PlainHeader | None:
    """The header that some cards make.

    Parameters
    ----------
    text : str
        All cards up to END, printable ASCII.

    Returns
    -------
    PlainHeader or None
        None where a card is not by the standard's simple rules, so that only astropy knows what to make of it.
    """
    if not keywords.is_plain_text(text):
        return None
    return PlainHeader(text[start : start + CARD] for start in range(0, len(text), CARD))
