"""The parts of a ``--where`` expression, and how they are evaluated and written.

A part is called with a *lookup*, a function that gives the value of a keyword
(in capitals) or of a statistic (in small letters) of one frame, or None.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fitsutils.files import comparing
from fitsutils.files.comparing import Value
from fitsutils.files.patterns import Pattern

Lookup = Callable[[str], Any]

WORDS = ('and', 'or', 'not', 'in')

_PLAIN_NAME = re.compile(r'[A-Z_][A-Z0-9_]*|(?=.{1,8}\Z)[A-Z_][A-Z0-9_]*(?:-(?!\d+(?:-|\Z))[A-Z0-9_]+)+', re.ASCII)

# How tightly the parts of an expression hold together; what is looser than its surroundings needs parentheses.
_ANY, _ALL, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _ATOM = range(8)


class Node:
    """A part of an expression: called with a lookup it gives its value, iterated over the parts within it."""

    level = _ATOM
    is_condition = False

    def __iter__(self) -> Iterator[Node]:
        return iter(())

    def __call__(self, lookup: Lookup) -> Value:
        """Give the value for one frame."""
        raise NotImplementedError

    def walk(self) -> Iterator[Node]:
        """Give the part itself and all within it.

        Yields
        ------
        Node
            Each part.
        """
        yield self
        for part in self:
            yield from part.walk()

    @functools.cached_property
    def statistics(self) -> frozenset[str]:
        """The statistics within."""
        return frozenset(node.name for node in self.walk() if isinstance(node, Statistic))

    @functools.cached_property
    def keywords(self) -> frozenset[str]:
        """The keywords within, those that are only asked for included."""
        return frozenset(node.key for node in self.walk() if isinstance(node, (Keyword, Has)))


def _within(node: Node, level: int) -> str:
    return str(node) if node.level >= level else f'({node})'


def _listed(nodes: Iterable[Node]) -> str:
    return ', '.join(_within(node, _SUM) for node in nodes)


@dataclass(frozen=True)
class Literal(Node):
    """A number, a text, a date or a logical value."""

    content: Value

    def __call__(self, lookup: Lookup) -> Value:
        """Give the literal value."""
        return self.content

    def __str__(self) -> str:
        if isinstance(self.content, str):
            return "'" + self.content.replace("'", "''") + "'"
        return comparing.as_text(self.content)


@dataclass(frozen=True)
class Keyword(Node):
    """The value of a keyword."""

    key: str

    def __call__(self, lookup: Lookup) -> Value:
        """Look the keyword up."""
        return comparing.bare(lookup(self.key))

    def __str__(self) -> str:
        is_taken = self.key in ('T', 'F') or self.key.lower() in WORDS
        return self.key if _PLAIN_NAME.fullmatch(self.key) and not is_taken else f'[{self.key}]'


@dataclass(frozen=True)
class Statistic(Node):
    """A number of the pixels."""

    name: str

    def __call__(self, lookup: Lookup) -> Value:
        """Look the statistic up."""
        return comparing.bare(lookup(self.name))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Has(Node):
    """Whether a keyword has a value."""

    key: str
    is_condition = True

    def __call__(self, lookup: Lookup) -> bool:
        """Tell whether it is there and not blank."""
        return comparing.bare(lookup(self.key)) is not None

    def __str__(self) -> str:
        return f'has({Keyword(self.key)})'


@dataclass(frozen=True)
class FirstOf(Node):
    """The first value that is there, of `nonzero` the first that is not 0 either."""

    function: str
    choices: tuple[Node, ...]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.choices)

    def __call__(self, lookup: Lookup) -> Value:
        """Give the first choice that will do, or None."""
        for choice in self.choices:
            found = choice(lookup)
            if found is not None and not (self.function == 'nonzero' and comparing.number(found) == 0):
                return found
        return None

    def __str__(self) -> str:
        return f'{self.function}({_listed(self.choices)})'


@dataclass(frozen=True)
class Negative(Node):
    """A value with the other sign."""

    node: Node
    level = _SIGN

    def __iter__(self) -> Iterator[Node]:
        return iter((self.node,))

    def __call__(self, lookup: Lookup) -> Value:
        """Subtract it from 0."""
        return comparing.computed(0, '-', self.node(lookup))

    def __str__(self) -> str:
        return f'-{_within(self.node, _SIGN)}'


@dataclass(frozen=True)
class Arithmetic(Node):
    """Terms added and subtracted, or factors multiplied and divided, from left to right."""

    first: Node
    rest: tuple[tuple[str, Node], ...]

    @property
    def level(self) -> int:
        """How tightly it holds together."""
        return _SUM if self.rest[0][0] in '+-' else _PRODUCT

    def __iter__(self) -> Iterator[Node]:
        return iter((self.first, *(node for _, node in self.rest)))

    def __call__(self, lookup: Lookup) -> Value:
        """Compute from left to right."""
        result = self.first(lookup)
        for sign, node in self.rest:
            result = comparing.computed(result, sign, node(lookup))
        return result

    def __str__(self) -> str:
        rest = ''.join(f' {sign} {_within(node, self.level + 1)}' for sign, node in self.rest)
        return _within(self.first, self.level + 1) + rest


@dataclass(frozen=True)
class Comparison(Node):
    """Comparisons in a chain: all of them must hold."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    level = _COMPARISON
    is_condition = True

    def __iter__(self) -> Iterator[Node]:
        return iter((self.first, *(node for _, node in self.rest)))

    def __call__(self, lookup: Lookup) -> bool:
        """Compare pair by pair, and stop at the first that fails."""
        before = self.first(lookup)
        for sign, node in self.rest:
            found = node(lookup)
            if not comparing.compared(before, sign, found):
                return False
            before = found
        return True

    def __str__(self) -> str:
        return _within(self.first, _SUM) + ''.join(f' {sign} {_within(node, _SUM)}' for sign, node in self.rest)


@dataclass(frozen=True)
class Matching(Node):
    """Whether a pattern is found in a value, or is not."""

    node: Node
    pattern: Pattern
    negated: bool
    level = _COMPARISON
    is_condition = True

    def __iter__(self) -> Iterator[Node]:
        return iter((self.node,))

    def __call__(self, lookup: Lookup) -> bool:
        """Search the value, as text, for the pattern; a missing one gives False."""
        found = self.node(lookup)
        return found is not None and self.pattern.is_found_in(comparing.as_text(found)) != self.negated

    def __str__(self) -> str:
        return f'{_within(self.node, _SUM)} {"!" * self.negated}~ {self.pattern}'


@dataclass(frozen=True)
class Membership(Node):
    """Whether a value equals one of several, or differs from all of them."""

    node: Node
    choices: tuple[Node, ...]
    negated: bool
    level = _COMPARISON
    is_condition = True

    def __iter__(self) -> Iterator[Node]:
        return iter((self.node, *self.choices))

    def __call__(self, lookup: Lookup) -> bool:
        """Compare with each choice; a missing value gives False."""
        found = self.node(lookup)
        if found is None:
            return False
        return any(comparing.compared(found, '==', choice(lookup)) for choice in self.choices) != self.negated

    def __str__(self) -> str:
        return f'{_within(self.node, _SUM)} {"not " * self.negated}in ({_listed(self.choices)})'


@dataclass(frozen=True)
class Not(Node):
    """The contrary of a condition."""

    node: Node
    level = _NOT
    is_condition = True

    def __iter__(self) -> Iterator[Node]:
        return iter((self.node,))

    def __call__(self, lookup: Lookup) -> bool:
        """Turn the condition round."""
        return not self.node(lookup)

    def __str__(self) -> str:
        return f'not {_within(self.node, _NOT)}'


@dataclass(frozen=True)
class Joined(Node):
    """Conditions of which all must hold, or one."""

    word: str
    conditions: tuple[Node, ...]
    is_condition = True

    @property
    def level(self) -> int:
        """How tightly it holds together."""
        return _ALL if self.word == 'and' else _ANY

    @functools.cached_property
    def _cheapest_first(self) -> list[Node]:
        # The pixels of a frame are read only where its header leaves the matter open.
        return sorted(self.conditions, key=lambda node: bool(node.statistics))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.conditions)

    def __call__(self, lookup: Lookup) -> bool:
        """Ask for conditions until the matter is decided."""
        values = (node(lookup) for node in self._cheapest_first)
        return all(values) if self.word == 'and' else any(values)

    def __str__(self) -> str:
        return f' {self.word} '.join(_within(node, self.level + 1) for node in self.conditions)


@dataclass(frozen=True)
class Expression:
    """What is asked of each frame; `str` writes it in its plainest form.

    Attributes
    ----------
    root : Node
        The parsed expression.
    """

    root: Node

    @property
    def keywords(self) -> frozenset[str]:
        """The keywords that it looks up, in capitals."""
        return self.root.keywords

    @functools.cached_property
    def compared_keywords(self) -> frozenset[str]:
        """The keywords whose values count: those that it only asks ``has()`` of left out."""
        return frozenset(node.key for node in self.root.walk() if isinstance(node, Keyword))

    @functools.cached_property
    def possible_texts(self) -> frozenset[str]:
        """The keywords that stand where a text without its quotes would: behind a comparison sign or in a list."""
        behind = [
            node for each in self.root.walk() if isinstance(each, (Comparison, Membership)) for node in [*each][1:]
        ]
        return frozenset(node.key for node in behind if isinstance(node, Keyword))

    @property
    def statistics(self) -> frozenset[str]:
        """The statistics that it looks up, as `pixels.stats` names them."""
        return self.root.statistics

    def value(self, lookup: Lookup) -> Value:
        """The value for one frame.

        Parameters
        ----------
        lookup : callable
            Gives the value of a keyword (in capitals) or of a statistic (in small letters), or None. It
            is called only for what the value depends on, for statistics last.

        Returns
        -------
        bool, int, float, str, datetime or None
            Text without blanks around it; None where the value is missing, blank or NaN.
        """
        return self.root(lookup)

    def test(self, lookup: Lookup) -> bool:
        """Whether the condition holds for one frame.

        Parameters
        ----------
        lookup : callable
            As `value` takes it.

        Returns
        -------
        bool
            A comparison with a value that is missing or NaN is false.

        Examples
        --------
        >>> from fitsutils.files.where import parse
        >>> parse("FILTER in ('B', 'V') and 5 < EXPTIME <= 60").test({'FILTER': 'V', 'EXPTIME': 60.0}.get)
        True
        """
        return self.root(lookup) is True

    def __str__(self) -> str:
        return str(self.root)


@dataclass(frozen=True)
class Key:
    """What frames are grouped by.

    Attributes
    ----------
    name : str
        In capitals, or a statistic.
    expression : Expression
        Its value.
    """

    name: str
    expression: Expression

    def __str__(self) -> str:
        text = str(self.expression)
        return text if text in (self.name, f'[{self.name}]') else f'{self.name}={text}'
