"""Regular expressions whose cost is bounded, for patterns that come with a command line.

Python's ``re`` tries one way after another and may take years for a pattern
such as ``(a|a)*b``. Here all ways are followed at once: the time is at most
the length of the text times the size of the pattern, whatever both are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

_MOST_STATES = 1000
_MOST_REPEATS = 1000
_DEEPEST = 20  # groups within groups
_LONGEST_TEXT = 10_000

_WORD = frozenset('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_')
_SETS = {'d': frozenset('0123456789'), 'w': _WORD, 's': frozenset(' \t\n\r\f\v')}
_CONTROLS = {'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f', 'v': '\v'}


class PatternError(ValueError):
    """A pattern that can't be read.

    Parameters
    ----------
    what : str
        What is wrong.
    place : int
        Where in the pattern.
    """

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what)
        self.place = place


@dataclass(frozen=True)
class Characters:
    """Some characters, or all but these.

    Attributes
    ----------
    single : frozenset of str
        Characters one by one.
    ranges : tuple of (str, str)
        First and last of each range.
    others : bool
        Whether all other characters are meant.
    ignore_case : bool
        Whether capitals and small letters are the same.
    """

    single: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    others: bool = False
    ignore_case: bool = False

    def has(self, char: str) -> bool:
        """Whether a character is one of them.

        Parameters
        ----------
        char : str
            One character.

        Returns
        -------
        bool
            True when it is.
        """
        forms = (char, char.lower(), char.upper()) if self.ignore_case else (char,)
        named = any(form in self.single or any(first <= form <= last for first, last in self.ranges) for form in forms)
        return named != self.others


_ANY = Characters(frozenset('\n'), others=True)


class Sequence(NamedTuple):
    """Parts one behind the other."""

    parts: tuple[Node, ...]


class Choice(NamedTuple):
    """One of several branches."""

    branches: tuple[Node, ...]


class Repeat(NamedTuple):
    """A part from `least` to `most` times, without a limit where `most` is None."""

    part: Node
    least: int
    most: int | None


class Boundary(NamedTuple):
    """A place between characters: ``^``, ``$``, ``b`` (edge of a word) or ``B`` (no edge)."""

    kind: str


Node = Characters | Sequence | Choice | Repeat | Boundary


def _number(digits: str) -> int:
    """A whole number; of a long one enough to see that it is too large."""
    return int(digits.lstrip('0')[:5] or 0)


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, source: str, ignore_case: bool) -> None:
        self.source, self.ignore_case = source, ignore_case
        self.place = self.depth = 0

    def whole(self) -> Node:
        node = self._choice()
        if self.place < len(self.source):
            raise PatternError('a group is closed that was not opened', self.place)
        return node

    def _next(self) -> str:
        return self.source[self.place : self.place + 1]

    def _take(self, text: str) -> bool:
        taken = self.source.startswith(text, self.place)
        self.place += len(text) * taken
        return taken

    def _choice(self) -> Node:
        branches = [self._sequence()]
        while self._take('|'):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Node:
        parts = []
        while self._next() not in ('', '|', ')'):
            is_group = self._next() == '('
            parts.append(self._repeated(self._part(), is_group))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Node, is_group: bool) -> Node:
        start = self.place
        limits = self._limits()
        if limits is None:
            return part
        if isinstance(part, Boundary) and not is_group:
            raise PatternError('there is nothing to repeat', start)
        self._take('?')  # as few as possible: the same, since only whether it is found counts
        start = self.place
        if self._limits() is not None:
            raise PatternError('a repetition is repeated: put a group around it', start)
        return Repeat(part, *limits)

    def _limits(self) -> tuple[int, int | None] | None:
        for sign, limits in (('*', (0, None)), ('+', (1, None)), ('?', (0, 1))):
            if self._take(sign):
                return limits
        inside, close, _ = self.source[self.place + 1 :].partition('}')
        low, comma, high = inside.partition(',')
        numbers = all(not word or (word.isascii() and word.isdigit()) for word in (low, high))
        if self._next() != '{' or not close or not numbers or not (low or (comma and high)):
            return None
        least = _number(low)
        most = _number(high) if high else None if comma else least
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise PatternError(
                f'repetitions go from the smaller to the larger number, up to {_MOST_REPEATS}', self.place
            )
        self.place += len(inside) + 2
        return least, most

    def _part(self) -> Node:
        char, start = self._next(), self.place
        self.place += 1
        if char in '*+?':
            raise PatternError('there is nothing to repeat', start)
        if char in '^$':
            return Boundary(char)
        if char == '.':
            return _ANY
        readers = {'(': self._group, '[': self._set, '\\': self._escape}
        return readers[char](start) if char in readers else self._characters({char})

    def _group(self, start: int) -> Node:
        if self._next() == '?' and not self._take('?:'):
            raise PatternError('of groups only (...) and (?:...) are known', start)
        self.depth += 1
        if self.depth > _DEEPEST:
            raise PatternError(f'groups go deeper than {_DEEPEST}', start)
        node = self._choice()
        if not self._take(')'):
            raise PatternError('the group is not closed', start)
        self.depth -= 1
        return node

    def _escape(self, start: int) -> Node:
        char = self._escaped(start)
        if char in ('b', 'B'):
            return Boundary(char)
        if char.lower() in _SETS:
            return self._characters(_SETS[char.lower()], others=char.isupper())
        return self._characters({self._literal(char, start)})

    def _escaped(self, start: int) -> str:
        char = self._next()
        if not char:
            raise PatternError('the backslash has nothing behind it', start)
        self.place += 1
        return char

    @staticmethod
    def _literal(char: str, start: int) -> str:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isascii() and char.isalnum():
            raise PatternError(rf'\{char} is not known', start)
        return char

    def _set(self, start: int) -> Node:
        others = self._take('^')
        single: set[str] = set()
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self._next() != ']':
            first = False
            here = self.place
            low = self._member(start)
            if self._next() != '-' or self.source[self.place + 1 : self.place + 2] in ('', ']'):
                single |= low
                continue
            self.place += 1
            high = self._member(start)
            if len(low) != 1 or len(high) != 1 or min(high) < min(low):
                raise PatternError('a range goes from the smaller to the larger character', here)
            ranges.append((*low, *high))
        self.place += 1
        return self._characters(single, tuple(ranges), others)

    def _member(self, start: int) -> frozenset[str]:
        char, here = self._next(), self.place
        if not char:
            raise PatternError('the set of characters is not closed', start)
        self.place += 1
        if char != '\\':
            return frozenset(char)
        char = self._escaped(here)
        return _SETS[char] if char in _SETS else frozenset(self._literal(char, here))

    def _characters(
        self, single: set[str] | frozenset[str], ranges: tuple[tuple[str, str], ...] = (), others: bool = False
    ) -> Characters:
        return Characters(frozenset(single), ranges, others, self.ignore_case)


def _size(node: Node) -> int:
    """How many states a part takes, found out before any is made."""
    match node:
        case Sequence(parts):
            return sum(map(_size, parts))
        case Choice(branches):
            return sum(map(_size, branches)) + len(branches) - 1
        case Repeat(part, least, most):
            copies = least + 1 if most is None else max(most, 1)
            return copies * (_size(part) + 1)
    return 1


@dataclass(slots=True)
class _State:
    """A step: take one of some characters, pass a boundary, or go on in several ways at once."""

    takes: Callable[[str], bool] | None = None
    boundary: str = ''
    ways: tuple[int, ...] = ()


class Pattern:
    r"""A regular expression.

    Known are ``. [a-z] [^a-z] \d \w \s \D \W \S ^ $ \b \B ( ) (?: ) |`` and the
    repetitions ``* + ? {3} {2,} {2,5}``, with ``?`` behind them or not.

    Parameters
    ----------
    source : str
        The pattern.
    ignore_case : bool
        Whether capitals and small letters are the same.

    Raises
    ------
    PatternError
        When it can't be read, or is larger than a thousand states.

    Examples
    --------
    >>> Pattern('^(sky )?flat', ignore_case=True).is_found_in('Sky Flat V')
    True
    """

    def __init__(self, source: str, ignore_case: bool = False) -> None:
        self.source, self.ignore_case = source, ignore_case
        node = _Reader(source, ignore_case).whole()
        if _size(node) > _MOST_STATES:
            raise PatternError(f'the pattern is larger than {_MOST_STATES} states', 0)
        self._states = [_State()]  # the first is the end
        self._start = self._add(node, 0)
        self.is_found_in = functools.lru_cache(maxsize=1000)(self._is_found_in)  # a night's frames repeat their values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pattern):
            return NotImplemented
        return (self.source, self.ignore_case) == (other.source, other.ignore_case)

    def __hash__(self) -> int:
        return hash((self.source, self.ignore_case))

    def __str__(self) -> str:
        return f'/{self.source}/{"i" * self.ignore_case}'

    __repr__ = __str__

    def _add(self, node: Node, then: int) -> int:
        """Add the states of a part that goes on at `then`; give the first one's number."""
        match node:
            case Sequence(parts):
                for part in reversed(parts):
                    then = self._add(part, then)
                return then
            case Choice(branches):
                return self._new(_State(ways=tuple([self._add(branch, then) for branch in branches])))
            case Repeat(part, least, most):
                return self._add_repeat(part, least, most, then)
            case Boundary(kind):
                return self._new(_State(boundary=kind, ways=(then,)))
        return self._new(_State(takes=_tester(node), ways=(then,)))

    def _add_repeat(self, part: Node, least: int, most: int | None, then: int) -> int:
        if most is None:
            loop = self._new(_State())
            self._states[loop].ways = (self._add(part, loop), then)
            then = loop
        else:
            behind = then
            for _ in range(most - least):
                then = self._new(_State(ways=(self._add(part, then), behind)))
        for _ in range(least):
            then = self._add(part, then)
        return then

    def _new(self, state: _State) -> int:
        self._states.append(state)
        return len(self._states) - 1

    def _is_found_in(self, text: str) -> bool:
        """Whether it matches somewhere in a text, of which ten thousand characters are searched.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        bool
            True when it does.
        """
        text = text[:_LONGEST_TEXT]
        active: set[int] = set()
        for place in range(len(text) + 1):
            reached = self._reached(active | {self._start}, text, place)
            if 0 in reached:
                return True
            char = text[place : place + 1]
            states = [self._states[number] for number in reached]
            active = {state.ways[0] for state in states if char and state.takes is not None and state.takes(char)}
        return False

    def _reached(self, numbers: set[int], text: str, place: int) -> set[int]:
        """The states that can be reached without taking a character."""
        found, waiting = set(numbers), list(numbers)
        while waiting:
            state = self._states[waiting.pop()]
            if state.takes is not None or (state.boundary and not _holds(state.boundary, text, place)):
                continue
            new = [number for number in state.ways if number not in found]
            found.update(new)
            waiting += new
        return found


def _tester(characters: Characters) -> Callable[[str], bool]:
    ascii_ones = frozenset(filter(characters.has, map(chr, range(128))))
    return lambda char: char in ascii_ones or (char > '\x7f' and characters.has(char))


def _holds(boundary: str, text: str, place: int) -> bool:
    if boundary == '^':
        return place == 0
    if boundary == '$':
        return place == len(text)
    is_edge = (text[place - 1 : place] in _WORD) != (text[place : place + 1] in _WORD)
    return is_edge == (boundary == 'b')
