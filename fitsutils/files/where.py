"""The small language in which frames are chosen: ``--where`` expressions and the keys of ``--by``.

::

    condition   = and-part { "or" and-part }
    and-part    = not-part { "and" not-part }
    not-part    = "not" not-part | comparison
    comparison  = sum { ("==" | "!=" | "<" | "<=" | ">" | ">=") sum }
                | sum ("~" | "!~") "/" pattern "/" ["i"]
                | sum ["not"] "in" "(" sum { "," sum } ")"
                | "has" "(" KEYWORD ")"
    sum         = product { ("+" | "-") product }
    product     = factor { ("*" | "/") factor }
    factor      = ("-" | "+") factor | number | text | date | "T" | "F" | KEYWORD | statistic
                | ("coalesce" | "nonzero") "(" sum { "," sum } ")" | "(" condition or sum ")"
    keys        = key { "," key }
    key         = KEYWORD | statistic | NAME "=" condition or sum

Keywords may be written in any case; one that is no plain word stands in
brackets: ``[ESO DET NAME]``. A dash without spaces around it belongs to the
keyword. Statistics are written in small letters as `img_stats` has them, so
that ``median`` is one and ``MEDIAN`` is a keyword. Text stands in quotes and
is compared as it is, capitals and small letters apart. A date is
``2021-02-27`` or ``2021-02-27T04:05:06``, with quotes or without.

Nothing is called and nothing is evaluated but these few rules; length,
depth and the cost of a pattern are limited.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fitsutils.errors import UsageError, excerpt
from fitsutils.files import comparing
from fitsutils.files import header as headers
from fitsutils.files.expression import (
    WORDS,
    Arithmetic,
    Comparison,
    Expression,
    FirstOf,
    Has,
    Joined,
    Key,
    Keyword,
    Literal,
    Matching,
    Membership,
    Negative,
    Node,
    Not,
    Statistic,
)
from fitsutils.files.patterns import Pattern, PatternError

# As pixels.stats has them; that module would load numpy.
STATISTICS = (
    'num', 'nbad', 'sum', 'mean', 'average', 'median', 'mode', 'rms', 'std', 'var',
    'min', 'max', 'mad', 'rstd', 'skew', 'kurtosis',
)  # fmt: skip
_LONGEST = 4000
_DEEPEST = 40
_LONGEST_KEYWORD = 8
_FUNCTIONS = ('has', 'coalesce', 'nonzero')

_TOKEN = re.compile(
    r"""
    (?P<date>\d{4}-\d\d-\d\d(?:T[\d:.]*)?Z?(?![\w-]))
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[ed][+-]?\d+)?(?![\w.]))
  | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
  | (?P<bracket>\[[^\[\]]*\])
  | (?P<percentile>q(?:\d+\.?\d*|\.\d+)(?![\w.]))
  | (?P<name>[a-z_]\w*(?:-\w+)*)
  | (?P<sign>==|!=|<=|>=|!~|[<>~+\-*/(),=])
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_PATTERN = re.compile(r'/(?P<source>(?:[^/\\]|\\.)*)/(?P<flags>[A-Za-z]*)', re.DOTALL)


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


def parse(text: str) -> Expression:
    """Read a condition.

    Parameters
    ----------
    text : str
        The expression, as the module's docstring has it.

    Returns
    -------
    Expression
        The expression.

    Raises
    ------
    UsageError
        When it can't be read: what is wrong, with the expression and a mark under the place.

    Examples
    --------
    >>> print(parse("not (OBJECT ~ /flat/i) and exptime>5"))
    not OBJECT ~ /flat/i and EXPTIME > 5
    >>> parse('q97.5 < 60000 and has(FILTER)').statistics
    frozenset({'q97.5'})
    """
    return _Parser(text).condition()


def parse_keys(text: str) -> list[Key]:
    """Read the keys of ``--by``.

    Parameters
    ----------
    text : str
        Keywords, statistics and NAME=VALUE with any value, separated by commas.

    Returns
    -------
    list of Key
        At least one, each of another name.

    Raises
    ------
    UsageError
        When they can't be read: what is wrong, with the text and a mark under the place.

    Examples
    --------
    >>> [key.name for key in parse_keys('NAXIS1, FILT=coalesce(ALFLTID, FBFLTID)')]
    ['NAXIS1', 'FILT']
    """
    return _Parser(text).keys()


def parse_key(text: str) -> Key:
    """Read one key of ``--by``.

    Parameters
    ----------
    text : str
        A keyword, a statistic, or NAME=VALUE with any value.

    Returns
    -------
    Key
        The key.

    Raises
    ------
    UsageError
        When it can't be read, or there is more than one.

    Examples
    --------
    >>> parse_key('FILT=coalesce(ALFLTID, FBFLTID)').expression.value({'FBFLTID': 78}.get)
    78
    """
    parser = _Parser(text)
    return parser.keys(most=1)[0]


class _Parser:
    """Reads an expression from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self.text, self.place, self.depth = text, 0, 0
        if len(text) > _LONGEST:
            raise self.error(f'it is longer than {_LONGEST} characters', _LONGEST)
        self.tokens = list(self._tokens())

    def error(self, what: str, start: int) -> UsageError:
        return UsageError(f'expression: {what}', excerpt=excerpt(self.text, start))

    def _tokens(self) -> Iterator[_Token]:
        place, before = 0, ''
        while True:
            while self.text[place : place + 1].isspace():
                place += 1
            if place == len(self.text):
                yield _Token('end', '', place)
                return
            if before in ('~', '!~'):
                token = _Token('pattern', self._pattern_at(place), place)
            else:
                token = self._token_at(place)
            yield token
            place, before = place + len(token.text), token.text

    def _pattern_at(self, place: int) -> str:
        match = _PATTERN.match(self.text, place)
        if match is None:
            raise self.error('behind ~ stands a pattern between slashes, such as /bias/i', place)
        return match[0]

    def _token_at(self, place: int) -> _Token:
        match = _TOKEN.match(self.text, place)
        if match is not None:
            return _Token(match.lastgroup or '', match[0], place)
        char = self.text[place]
        if char in '\'"':
            raise self.error('the quote is not closed', place)
        if char == '[':
            raise self.error('the bracket is not closed', place)
        if char.isdigit() or char == '.':
            raise self.error('this is neither a number nor a date; text stands in quotes', place)
        if char in '&|!':
            raise self.error("write and, or, not instead of '&', '|', '!'", place)
        raise self.error(f'{char!r} has no meaning here; text stands in quotes', place)

    # What is next.

    @property
    def token(self) -> _Token:
        return self.tokens[self.place]

    def take(self, *texts: str) -> str | None:
        """The next sign or word, if it is one of these."""
        token = self.token
        word = token.text.lower() if token.kind == 'name' else token.text
        if token.kind not in ('sign', 'name') or word not in texts:
            return None
        self.place += 1
        return word

    def expect(self, sign: str, what: str) -> None:
        if self.take(sign) is None:
            raise self.error(what, self.token.start)

    # The rules, the loosest first.

    def condition(self) -> Expression:
        start = self.token.start
        node = self._any()
        self._check_end()
        return Expression(self._needed_condition(node, start))

    def _check_end(self) -> None:
        if self.token.kind == 'end':
            return
        if self.token.text == '=':
            raise self.error('equality is written ==', self.token.start)
        if self.token.text == ')':
            raise self.error('this parenthesis was not opened', self.token.start)
        raise self.error("an operator is missing here; text stands in quotes, conditions are joined by 'and' and 'or'",
                    self.token.start)  # fmt: skip

    def keys(self, most: int | None = None) -> list[Key]:
        keys = [self._key()]
        while self.token.text == ',' and len(keys) != most:
            self.place += 1
            start = self.token.start
            keys.append(self._key())
            if keys[-1].name in [key.name for key in keys[:-1]]:
                raise self.error(f'{keys[-1].name} is named twice', start)
        if self.token.text == ',':
            raise self.error('one key is wanted here', self.token.start)
        self._check_end()
        return keys

    def _key(self) -> Key:
        token = self.token
        if token.kind == 'name' and self.tokens[self.place + 1].text == '=':
            self.place += 2
            return Key(token.text.upper(), Expression(self._any()))
        node = self._any()
        if isinstance(node, Keyword):
            return Key(node.key, Expression(node))
        if isinstance(node, Statistic):
            return Key(node.name, Expression(node))
        raise self.error('a key that is no keyword needs a name: NAME=...', token.start)

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        start = self.token.start
        nodes = [part()]
        while self.take(word):
            self._needed_condition(nodes[0], start)
            behind = self.token.start
            nodes.append(self._needed_condition(part(), behind))
        return nodes[0] if len(nodes) == 1 else Joined(word, tuple(nodes))

    def _any(self) -> Node:
        return self._joined('or', self._all)

    def _all(self) -> Node:
        return self._joined('and', self._not)

    def _not(self) -> Node:
        if not self.take('not'):
            return self._comparison()
        start = self.token.start
        return Not(self._needed_condition(self._deeper(self._not), start))

    def _needed_condition(self, node: Node, start: int) -> Node:
        if node.is_condition:
            return node
        if self.token.text == '=':
            raise self.error('equality is written ==', self.token.start)
        hint = f': compare it with something, or ask has({node})' if isinstance(node, Keyword) else ''
        raise self.error(f'this is a value and no condition{hint}', start)

    def _comparison(self) -> Node:
        start = self.token.start
        node = self._sum()
        if sign := self.take('~', '!~'):
            return Matching(self._needed_value(node, start), self._pattern(), sign == '!~')
        negated = self.token.text.lower() == 'not' and self.tokens[self.place + 1].text.lower() == 'in'
        self.place += negated
        if self.take('in'):
            return Membership(self._needed_value(node, start), self._list('in'), negated)
        rest = []
        while sign := self.take(*comparing.COMPARISONS):
            self._needed_value(node, start)
            behind = self.token.start
            rest.append((sign, self._needed_value(self._sum(), behind)))
        return Comparison(node, tuple(rest)) if rest else node

    def _needed_value(self, node: Node, start: int) -> Node:
        if node.is_condition:
            raise self.error('this is a condition and no value that can be compared or computed with', start)
        return node

    def _pattern(self) -> Pattern:
        token = self.token
        match = _PATTERN.fullmatch(token.text) if token.kind == 'pattern' else None
        if match is None:
            raise self.error('behind ~ stands a pattern between slashes, such as /bias/i', token.start)
        self.place += 1
        if match['flags'] not in ('', 'i'):
            raise self.error('behind a pattern may stand i (capitals and small letters are the same) and nothing else',
                        token.start + match.start('flags'))  # fmt: skip
        try:
            return Pattern(match['source'], ignore_case=match['flags'] == 'i')
        except PatternError as error:
            raise self.error(f'pattern: {error}', token.start + 1 + error.place) from None

    def _list(self, name: str) -> tuple[Node, ...]:
        self.expect('(', f'behind {name} stands a list in parentheses')
        nodes = []
        while not nodes or self.take(','):
            start = self.token.start
            nodes.append(self._needed_value(self._deeper(self._sum), start))
        self.expect(')', 'a comma or the closing parenthesis of the list is missing')
        return tuple(nodes)

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        start = self.token.start
        node = part()
        rest = []
        while sign := self.take(*signs):
            self._needed_value(node, start)
            behind = self.token.start
            rest.append((sign, self._needed_value(part(), behind)))
        return Arithmetic(node, tuple(rest)) if rest else node

    def _sum(self) -> Node:
        return self._chain(('+', '-'), self._product)

    def _product(self) -> Node:
        return self._chain(('*', '/'), self._factor)

    def _factor(self) -> Node:
        sign = self.take('+', '-')
        if sign is None:
            return self._atom()
        start = self.token.start
        node = self._needed_value(self._deeper(self._factor), start)
        return Negative(node) if sign == '-' else node

    def _deeper(self, rule: Callable[[], Node]) -> Node:
        if self.depth == _DEEPEST:
            raise self.error(f'it goes deeper than {_DEEPEST} levels', self.token.start)
        self.depth += 1
        node = rule()
        self.depth -= 1
        return node

    def _atom(self) -> Node:
        token = self.token
        if self.take('('):
            node = self._deeper(self._any)
            self.expect(')', 'a closing parenthesis or an operator is missing')
            return node
        reader = getattr(self, f'_{token.kind}_atom', None)
        if reader is None:
            raise self.error('a number, a text in quotes, a date or a keyword is missing', token.start)
        self.place += 1
        return reader(token)

    def _number_atom(self, token: _Token) -> Node:
        is_whole = token.text.isdigit()
        number = float(token.text.lower().replace('d', 'e'))
        if math.isinf(number):
            raise self.error('this number is too large', token.start)
        return Literal(int(token.text) if is_whole else number)

    def _date_atom(self, token: _Token) -> Node:
        moment = headers.parse_date(token.text.upper())
        if moment is None:
            raise self.error('there is no such date; one is 2021-02-27 or 2021-02-27T04:05:06', token.start)
        return Literal(moment)

    def _text_atom(self, token: _Token) -> Node:
        quote = token.text[0]
        content = token.text[1:-1].replace(2 * quote, quote).strip()
        if not content:
            raise self.error('nothing equals an empty text: not has(KEYWORD) finds blank values', token.start)
        return Literal(_quoted_date(content) or content)

    def _bracket_atom(self, token: _Token) -> Node:
        key = ' '.join(token.text[1:-1].split()).upper().removeprefix('HIERARCH ')
        if not key:
            raise self.error('between the brackets stands a keyword', token.start)
        return Keyword(key)

    def _percentile_atom(self, token: _Token) -> Node:
        if token.text[0] == 'Q' and token.text.isalnum():
            return Keyword(token.text)
        if token.text[0] == 'Q' or float(token.text[1:]) > 100:
            raise self.error('a percentile is written in small letters and goes from q0 to q100', token.start)
        return Statistic(token.text)

    def _name_atom(self, token: _Token) -> Node:
        name = token.text
        if self.take('('):
            self.place -= 1
            return self._call(token)
        if name.lower() in WORDS:
            raise self.error(f'a value is missing before {name!r}', token.start)
        if name in ('T', 'F'):
            return Literal(name == 'T')
        if name in STATISTICS:
            return Statistic(name)
        self._check_dashes(token)
        return Keyword(name.upper())

    def _check_dashes(self, token: _Token) -> None:
        pieces = token.text.split('-')
        is_odd = any(piece.isdigit() or piece in STATISTICS for piece in pieces)
        if len(pieces) > 1 and (is_odd or len(token.text) > _LONGEST_KEYWORD):
            dash = token.start + token.text.index('-')
            raise self.error(f'a minus needs spaces around it; a keyword of this name is [{token.text.upper()}]', dash)

    def _call(self, token: _Token) -> Node:
        name = token.text.lower()
        if name not in _FUNCTIONS:
            raise self.error(f'there is no function {token.text}, only {", ".join(_FUNCTIONS)}', token.start)
        if name != 'has':
            return FirstOf(name, self._list(name))
        start = self.tokens[self.place + 1].start
        asked = self._list(name)
        if len(asked) != 1 or not isinstance(asked[0], Keyword):
            raise self.error('has() asks for one keyword', start)
        return Has(asked[0].key)


def _quoted_date(content: str) -> datetime.datetime | None:
    """The date that a text is, where it is one by the standard."""
    return headers.parse_date(content) if re.match(r'\d{4}-\d\d-\d\d(?:[T ][\d:.]+)?Z?\Z', content) else None
