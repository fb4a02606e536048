"""The headers that only astropy reads, set card by card as `plain.PlainHeader` does it."""

from typing import Any

from astropy.io import fits

from fitsutils.files.plain import COMMENTARY


class OddHeader(fits.Header):
    """A header whose cards can all be set, also those that astropy can't parse.

    A card that gets another value or comment is written anew, so that a file and its packed twin get the same card.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        place = self._place(key)
        if place is None:
            super().__setitem__(key, value)
            return
        content, comment = value if isinstance(value, tuple) else (value, None)
        before, remark = _parsed(self._cards[place])
        if type(before) is type(content) and before == content and comment in (None, remark):
            return
        self._cards[place] = fits.Card(key.upper(), content, remark if comment is None else comment)
        self._modified = True

    def _place(self, key: Any) -> int | None:
        """Where the first card of a keyword is; None where astropy may do as it likes."""
        if not isinstance(key, str) or key.upper() in COMMENTARY:
            return None
        places = self._keyword_indices.get(fits.Card.normalize_keyword(key))
        return places[0] if places else None


class _Unparsable:
    """Stands for the value of a card that can't be parsed: it equals none."""


def _parsed(card: fits.Card) -> tuple[Any, str]:
    """Value and comment of a card."""
    try:
        return card.value, card.comment
    except (fits.VerifyError, ValueError):
        return _Unparsable(), ''
