"""Corrections of headers: cards set, deleted, renamed, commented on; all others stay as they are, byte for byte."""

import contextlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fitsutils.errors import Failure, UsageError
from fitsutils.files import cards as legal
from fitsutils.files import header as headers
from fitsutils.files import world
from fitsutils.files.library import fits
from fitsutils.files.plain import CARD, PlainCard, PlainHeader, card_text

_COMMENTARY = ('', 'COMMENT', 'HISTORY')
_SHORT = re.compile(r'[A-Z0-9_-]{1,8}\Z')
_LONG = re.compile(r'[A-Z0-9_-]+( [A-Z0-9_-]+)*\Z')
_ASSIGNMENT = re.compile(r'[A-Za-z0-9_-]+( +[A-Za-z0-9_-]+)* *=')
_GOES_ON = re.compile(r"&' *(/.*)?\Z", re.DOTALL)
_RECORD = re.compile(r".{8}= *'((?:''|[^'])*)'", re.DOTALL)
_KINDS = {str: 'text', bool: 'T or F', int: 'a number', float: 'a number'}


class Setting(NamedTuple):
    """A value that a keyword is to have.

    Attributes
    ----------
    key : str
        The keyword, in capitals, without HIERARCH.
    word : str
        The value as the user wrote it.
    """

    key: str
    word: str


class Change(NamedTuple):
    """What an edit changes.

    Attributes
    ----------
    key : str
        The keyword.
    old, new : str or None
        The value before and after, as a card has it; for a new comment both with their comments. None where there is no
        such card.
    remark : str
        What HISTORY says of it; empty for nothing.
    """

    key: str
    old: str | None
    new: str | None
    remark: str

    def __str__(self) -> str:
        return f'{self.key}: {"none" if self.old is None else self.old} -> {"none" if self.new is None else self.new}'


@dataclass(frozen=True)
class Edits:
    """What is to be changed in a header, in the order in which it is done.

    Attributes
    ----------
    delete : tuple of str
        Keywords whose cards go, all of them.
    rename : dict of str
        New keywords by the old ones.
    settings : tuple of Setting
        Values.
    comments : tuple of (str, str)
        Keywords and their new comments.
    missing_ok : bool
        Whether there may be nothing to delete, to rename or to comment on.
    must_exist : bool
        Whether a value is set only where there is one.
    """

    delete: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    settings: tuple[Setting, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()
    missing_ok: bool = False
    must_exist: bool = False


class WorldOf(NamedTuple):
    """World coordinates that come from elsewhere.

    Attributes
    ----------
    cards : list of PlainCard
        The cards.
    name : str
        The image that they come from.
    """

    cards: list[PlainCard]
    name: str


def is_assignment(word: str) -> bool:
    """Whether a word of the command line has the form KEY=VALUE.

    Parameters
    ----------
    word : str
        The word.

    Returns
    -------
    bool
        True where a keyword, perhaps of several words, stands before the first '='.

    Examples
    --------
    >>> is_assignment('OBJECT=M 1'), is_assignment('HIERARCH ESO DET ID=x'), is_assignment('a.fits')
    (True, True, False)
    """
    return _ASSIGNMENT.match(word) is not None


def keyword(text: str) -> str:
    """A keyword that may be edited.

    Parameters
    ----------
    text : str
        As the user wrote it, perhaps with HIERARCH in front.

    Returns
    -------
    str
        In capitals, without HIERARCH and with single blanks.

    Raises
    ------
    UsageError
        When it is none, or describes the data themselves.

    Examples
    --------
    >>> keyword('object'), keyword('HIERARCH ESO DET  ID')
    ('OBJECT', 'ESO DET ID')
    """
    words = text.upper().split()
    key = ' '.join(words[1:] if words[:1] == ['HIERARCH'] else words)
    if '*' in key or '?' in key:
        raise UsageError(f'{text!r}: keywords are named one by one, without wildcards')
    if not (_LONG if words[:1] == ['HIERARCH'] or ' ' in key else _SHORT).match(key):
        what = 'a keyword has up to 8 letters, digits, - and _; longer ones begin with HIERARCH'
        raise UsageError(f'{text!r}: {what}')
    if headers.is_structural(key):
        raise UsageError(f'{key} describes the data themselves and is not for editing')
    return key


def setting(text: str) -> Setting:
    """Keyword and value of KEY=VALUE.

    Parameters
    ----------
    text : str
        The word.

    Returns
    -------
    Setting
        Both.

    Raises
    ------
    UsageError
        When it is not of that form, or can't stand in a header.

    Examples
    --------
    >>> setting('OBJECT = M 31')
    Setting(key='OBJECT', word='M 31')
    """
    key, word = _pair(text, 'KEY=VALUE')
    return Setting(keyword(key), word)


def comment(text: str) -> tuple[str, str]:
    """Keyword and comment of ``--comment KEY=TEXT``.

    Parameters
    ----------
    text : str
        The word.

    Returns
    -------
    (str, str)
        Both.

    Raises
    ------
    UsageError
        When it is not of that form, or the keyword has no comment of its own.
    """
    key, word = _pair(text, '--comment KEY=TEXT')
    return _not_commentary(keyword(key), '--comment'), word


def renaming(text: str) -> tuple[str, str]:
    """The two keywords of ``--rename OLD=NEW``.

    Parameters
    ----------
    text : str
        The word.

    Returns
    -------
    (str, str)
        Old and new.

    Raises
    ------
    UsageError
        When it is not of that form, or one of them is no keyword that may be edited.
    """
    old, new = (_not_commentary(keyword(key), '--rename') for key in _pair(text, '--rename OLD=NEW'))
    if old == new:
        raise UsageError(f'--rename {text}: both are the same')
    return old, new


def deletion(text: str) -> str:
    """The keyword of ``--delete KEY``.

    Parameters
    ----------
    text : str
        The word.

    Returns
    -------
    str
        The keyword.

    Raises
    ------
    UsageError
        When it is none that may be deleted.
    """
    return _not_commentary(keyword(text), '--delete')


def _pair(text: str, form: str) -> tuple[str, str]:
    first, equals, second = text.partition('=')
    if not equals or not first.strip():
        raise UsageError(f'{text!r} is not {form}')
    if not headers.is_printable(second.strip()):
        raise UsageError(f'{text!r}: a header holds printable ASCII only')
    return first, second.strip()


def _not_commentary(key: str, option: str) -> str:
    if key in _COMMENTARY:
        raise UsageError(f'{option} {key}: what was written down in lines of {key} stays')
    return key


def check(edits: Edits) -> None:
    """Refuse edits that contradict each other.

    Parameters
    ----------
    edits : Edits
        The edits.

    Raises
    ------
    UsageError
        When a keyword is renamed or set twice, or one that will be gone gets a comment.
    """
    olds, news = [old for old, _ in edits.rename], [new for _, new in edits.rename]
    gone = {*edits.delete, *olds} - {*news, *(each.key for each in edits.settings)}
    lists = {
        'is set twice': [each.key for each in edits.settings if each.key not in _COMMENTARY],
        'is renamed twice': olds,
        'would be the new name of two keywords': news,
        'gets two comments': [key for key, _ in edits.comments],
        'is renamed and deleted': [*set(olds), *set(edits.delete)],
    }
    for what, keys in lists.items():
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise UsageError(f'{twice} {what}')
    for key, _ in edits.comments:
        if key in gone:
            raise UsageError(f'{key} is deleted or renamed, and so it gets no comment')


def cards_of(raw: bytes) -> list[PlainCard]:
    """The cards of a header as they stand.

    Parameters
    ----------
    raw : bytes
        All cards, each of 80 bytes, without END.

    Returns
    -------
    list of PlainCard
        Their texts hold every byte as one character; cards that CONTINUE a string belong to its text.
    """
    found: list[str] = []
    text = raw.decode('latin-1')
    for start in range(0, len(text), CARD):
        line = text[start : start + CARD]
        if found and line.startswith('CONTINUE  ') and _GOES_ON.search(found[-1]):
            found[-1] += line
        else:
            found.append(line)
    return [PlainCard(key_of(text), text) for text in found]


def key_of(text: str) -> str:
    """The keyword of a card.

    Parameters
    ----------
    text : str
        The card.

    Returns
    -------
    str
        In capitals; of a HIERARCH card what stands before the '=', with single blanks.
    """
    if text.startswith('HIERARCH ') and '=' in text:
        return ' '.join(text[9 : text.index('=')].upper().split())
    return text[:8].rstrip(' \0').upper()


def edited(
    cards: Sequence[PlainCard],
    edits: Edits,
    path: str,
    *,
    inherited: Callable[[str], Any] = lambda key: None,
    coordinates: WorldOf | None = None,
) -> tuple[list[PlainCard], list[Change]]:
    """A header with its corrections.

    Parameters
    ----------
    cards : sequence of PlainCard
        The header.
    edits : Edits
        The corrections.
    path : str
        The file, for messages.
    inherited : callable
        Gives the value that an extension has from the primary header, None where there is none.
    coordinates : WorldOf, optional
        World coordinates to take the place of its own.

    Returns
    -------
    list of PlainCard
        All cards; those that are not concerned are the same objects.
    list of Change
        What was changed; empty where all was so already.

    Raises
    ------
    Failure
        When a keyword is missing, stands in the way, or a value does not go with its card.
    """
    sheet = _Sheet(list(cards), path, inherited, missing_ok=edits.missing_ok, must_exist=edits.must_exist)
    sheet.delete(edits.delete)
    sheet.rename(dict(edits.rename))
    if coordinates is not None:
        sheet.replace_world(coordinates)
    remarks = dict(edits.comments)
    for each in edits.settings:
        sheet.set(each, remarks.pop(each.key, None))
    for key, remark in remarks.items():
        sheet.comment(key, remark)
    return sheet.cards, sheet.changes


class _Sheet:
    """A header while it is edited."""

    def __init__(
        self, cards: list[PlainCard], path: str, inherited: Callable[[str], Any], *, missing_ok: bool, must_exist: bool
    ) -> None:
        self.cards, self.changes = cards, []
        self._path, self._inherited = path, inherited
        self._missing_ok, self._must_exist = missing_ok, must_exist

    def _places(self, key: str) -> list[int]:
        return [place for place, card in enumerate(self.cards) if card.keyword == key]

    def _found(self, key: str) -> list[int]:
        """Places of a keyword that must be there."""
        places = self._places(key)
        if not places and not self._missing_ok:
            elsewhere = '; the primary header has it: --hdu 0' if self._inherited(key) is not None else ''
            raise Failure(f'it has no keyword {key}{elsewhere}', self._path)
        return places

    def _note(self, key: str, old: str | None, new: str | None, remark: str) -> None:
        self.changes.append(Change(key, old, new, remark))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            for place in reversed(self._found(key)):
                card = self.cards.pop(place)
                self._note(key, raw_value(card), None, f'{key} deleted, was {raw_value(card)}{_remark(card)}')

    def rename(self, names: Mapping[str, str]) -> None:
        found = {old: self._found(old) for old in names}
        for new in names.values():
            if new not in names and self._places(new):
                raise Failure(f'it has a keyword {new} already', self._path)
        for old, places in found.items():
            for place in places:
                card = self.cards[place]
                self.cards[place] = self._renamed(card, names[old])
                self._note(f'{old} = {raw_value(card)}', old, names[old], f'{old} renamed to {names[old]}')

    def _renamed(self, card: PlainCard, new: str) -> PlainCard:
        value = content(card)
        fitted = self._fitted(new, value)
        if _SHORT.match(card.keyword) and card.text[8:10] == '= ' and _SHORT.match(new) and fitted is value:
            return PlainCard(new, f'{new:8}{card.text[8:]}')
        return self._made(new, fitted, comment_of(card))

    def set(self, wanted: Setting, remark: str | None) -> None:
        key, word = wanted
        if key in _COMMENTARY:
            self._add_line(key, word)
            return
        places = self._places(key)
        if not places:
            self._add(wanted, remark or '')
            return
        card = self.cards[places[0]]
        new = self._fitted(key, self._typed(wanted, content(card) if _is_readable(card) else None))
        text = comment_of(card) if remark is None else remark
        made = self._made(key, new, text)
        if _same(content(card), new) and text == comment_of(card):
            return
        self.cards[places[0]] = made
        old, now = raw_value(card), raw_value(made)
        lost = comment_of(card) != comment_of(made)
        if lost and remark is not None and old == now:
            old, now = f'{old}{_remark(card)}', f'{now}{_remark(made)}'
        self._note(key, old, now, f'{key} was {raw_value(card)}{_remark(card) if lost else ""}')

    def _add(self, wanted: Setting, remark: str) -> None:
        key, word = wanted
        before = self._inherited(key)
        if self._must_exist and before is None:
            raise Failure(f'it has no keyword {key}', self._path)
        value = headers.value_of(word) if before is None else self._typed(wanted, before)
        made = self._made(key, self._fitted(key, value), remark)
        self.cards.insert(self._place_for(key), made)
        was = '' if before is None else f', was {before!r} by the primary header'
        self._note(key, None if before is None else repr(before), raw_value(made), f'{key} added{was}')

    def _add_line(self, key: str, word: str) -> None:
        header = PlainHeader()
        header[key] = headers.unquoted(word) or word
        places = self._places(key)
        place = places[-1] + 1 if places else len(self.cards)
        self.cards[place:place] = [PlainCard(card.keyword, card.text) for card in header.cards]
        self._note(key, None, word, '')

    def comment(self, key: str, remark: str) -> None:
        for place in self._found(key)[:1]:
            card = self.cards[place]
            if comment_of(card) == remark:
                continue
            made = self._made(key, content(card), remark)
            self.cards[place] = made
            old, new = (f'{raw_value(each)}{_remark(each)}' for each in (card, made))
            self._note(key, old, new, f'{key} had the comment {comment_of(card)!r}')

    def replace_world(self, coordinates: WorldOf) -> None:
        old = [card for card in self.cards if world.is_world(card.keyword)]
        if [card.text for card in old] == [card.text for card in coordinates.cards]:
            return
        first = next((place for place, card in enumerate(self.cards) if world.is_world(card.keyword)), None)
        place = self._place_for('') if first is None else first
        left = [card for card in self.cards[place:] if not world.is_world(card.keyword)]
        self.cards[place:] = [*coordinates.cards, *left]
        remarks = [f'{card.keyword} was {raw_value(card)}' for card in old]
        before, after = (f'{len(each)} cards' if each else None for each in (old, coordinates.cards))
        self._note('world coordinates', before, after, f'world coordinates of {coordinates.name}')
        for card, remark in zip(old, remarks, strict=True):
            new = next((raw_value(each) for each in coordinates.cards if each.keyword == card.keyword), None)
            if new != raw_value(card):
                self._note(card.keyword, raw_value(card), new, remark)

    def _place_for(self, key: str) -> int:
        """Where a new card goes: behind the last that is no commentary; WCSAXES before all that it governs."""
        if key.startswith('WCSAXES'):
            governed = (place for place, card in enumerate(self.cards) if world.is_world(card.keyword))
            return next(governed, self._place_for(''))
        place = len(self.cards)
        while place and self.cards[place - 1].keyword in _COMMENTARY:
            place -= 1
        return place

    def _typed(self, wanted: Setting, before: Any) -> Any:
        """A word as a value of the type that there was before."""
        key, word = wanted
        if headers.unquoted(word) is not None or before is None:
            return headers.value_of(word)
        if isinstance(before, str):
            return word
        value = None if word == '' else headers.value_of(word)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is None or (isinstance(before, bool) and isinstance(value, bool)):
            return value
        if number and isinstance(before, (int, float)) and not isinstance(before, bool):
            return float(value) if isinstance(before, float) else value
        kind = _KINDS.get(type(before), 'a complex number')
        raise Failure(f'{key} holds {kind}, and {word!r} is not; quotes within the word make it text', self._path)

    def _fitted(self, key: str, value: Any) -> Any:
        fitted = legal.fitted(key, value)
        if fitted is None and value is not None:
            raise Failure(f'{key} = {value!r}: the FITS standard wants {legal.wanted(key)} there', self._path)
        return fitted

    def _made(self, key: str, value: Any, remark: str) -> PlainCard:
        name = key if _SHORT.match(key) else f'HIERARCH {key}'
        remark = headers.ascii_text(remark)
        try:
            made = PlainCard(key, card_text(name, value, remark))
        except ValueError as error:
            raise Failure(f'{key} = {value!r} can not be written: {error}', self._path) from None
        if isinstance(value, float) and content(made) != value:  # in 20 characters, to which fixed format cuts it
            text = f'{name:8}= {value!r}'.replace('e', 'E') + (f' / {remark}' if remark else '')
            return PlainCard(key, text[:CARD].ljust(CARD))
        return made


def _same(old: Any, new: Any) -> bool:
    return type(old) is type(new) and old == new


def content(card: PlainCard) -> Any:
    """The value of a card.

    Parameters
    ----------
    card : PlainCard
        The card.

    Returns
    -------
    bool, int, float, complex, str or None
        None where it has none; the text of one that can't be parsed.
    """
    if not _is_readable(card):
        return card.text[8:].lstrip('= ').strip()
    with _silence():
        value = card.value
    if isinstance(value, float) and (match := _RECORD.match(card.text)):
        return match[1].rstrip()  # astropy takes the number out of the text of a record-valued card
    return value


def _is_readable(card: PlainCard) -> bool:
    try:
        with _silence():
            card.value  # noqa: B018
    except (fits.VerifyError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What astropy says of cards that break the standard; those that stay are not ours to judge."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def comment_of(card: PlainCard) -> str:
    """The comment of a card.

    Parameters
    ----------
    card : PlainCard
        The card.

    Returns
    -------
    str
        Empty where it has none, or can't be parsed.
    """
    try:
        with _silence():
            return card.comment.strip()
    except (fits.VerifyError, ValueError):
        return ''


def raw_value(card: PlainCard) -> str:
    """The value of a card in the words of the card.

    Parameters
    ----------
    card : PlainCard
        The card.

    Returns
    -------
    str
        Numbers with all their digits; text in quotes, a long string in one.

    Examples
    --------
    >>> raw_value(PlainCard('GAIN', 'GAIN    = 1.50D0 / e')), raw_value(PlainCard('ID', "ID      = 'x / y'"))
    ('1.50D0', "'x / y'")
    """
    value = content(card)
    if isinstance(value, str):
        return "'{}'".format(value.replace("'", "''"))
    return card.text[card.text.index('=') + 1 :].partition('/')[0].strip() if '=' in card.text else ''


def _remark(card: PlainCard) -> str:
    return f' / {comment_of(card)}' if comment_of(card) else ''


def values_of(cards: Iterable[PlainCard], keys: Iterable[str]) -> dict[str, Any]:
    """Some values of a header.

    Parameters
    ----------
    cards : iterable of PlainCard
        The header.
    keys : iterable of str
        Keywords, in capitals.

    Returns
    -------
    dict of str
        The first value of each keyword that is there.
    """
    found: dict[str, Any] = {}
    for card in cards:
        if card.keyword in keys and card.keyword not in found:
            found[card.keyword] = content(card)
    return found


def signed(cards: Sequence[PlainCard], command: str, changes: Sequence[Change]) -> bytes:
    """The bytes of cards, with HISTORY that says what was changed.

    Parameters
    ----------
    cards : sequence of PlainCard
        The cards.
    command : str
        Name of the command.
    changes : sequence of Change
        What it changed; nothing is added where none has a remark.

    Returns
    -------
    bytes
        All cards, each of 80 bytes.
    """
    history = PlainHeader()
    if lines := [change.remark for change in changes if change.remark]:
        headers.add_history(history, command, lines)
    return ''.join(card.text for card in (*cards, *history.cards)).encode('latin-1')
