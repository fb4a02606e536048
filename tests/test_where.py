import datetime
import math
import operator
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fitsutils import pixels
from fitsutils.errors import UsageError
from fitsutils.files import expression as nodes
from fitsutils.files import where
from fitsutils.files.comparing import COMPARISONS
from fitsutils.files.patterns import Pattern

FRAME = {
    'OBJECT': 'Sky flat V', 'FILTER': 'V', 'IMAGETYP': ' Bias Frame ', 'EXPTIME': 60.0, 'NAXIS1': 2198, 'GAIN': '1.5',
    'DATE-OBS': '2021-02-27T04:05:06.5', 'LAMP': True, 'DOME': False, 'BLANK': '   ', 'NOTHING': None, 'BAD': math.nan,
    'ESO DET NAME': 'ccd-50', 'ALFLTID': 0, 'FBFLTID': 78, 'CCD-TEMP': -10.0, 'MEAN': 5, 'T': 1,
    'median': 20000.0, 'q97.5': 61000.0, 'mean': 20100.0, 'kurtosis': math.nan,
}  # fmt: skip

TRUE = [
    'EXPTIME > 50', 'exptime==60', 'EXPTIME == 60 and NAXIS1 == 2198', 'NAXIS1 == 2198.0', '50 < EXPTIME <= 60 < 61',
    "FILTER == 'V'", 'FILTER == "V"', "FILTER != 'v'", "IMAGETYP == 'Bias Frame'", 'IMAGETYP ~ /bias/i',
    'IMAGETYP !~ /flat/', 'OBJECT ~ /^Sky.*V$/', r'DATE-OBS ~ /^2021-02/', 'NAXIS1 ~ /^21/', 'LAMP ~ /T/',
    "FILTER in ('B', 'V')", "FILTER not in ('B', 'R')", 'EXPTIME in (30, 60)', 'NAXIS1 in (FBFLTID + 2120, 0)',
    'has(FILTER)', 'not has(BLANK)', 'not has(NOTHING)', 'not has(BAD)', 'has(BAD) or has(FILTER)',
    'coalesce(NOTHING, BLANK, FBFLTID) == 78', 'coalesce(ALFLTID, FBFLTID) == 0', 'nonzero(ALFLTID, FBFLTID) == 78',
    'coalesce(BAD, 3) == 3', 'nonzero(FILTER, EXPTIME) == "V"',
    'EXPTIME * 2 + 1 == 121', '1 + EXPTIME * 2 == 121', '(1 + EXPTIME) * 2 == 122', 'EXPTIME / 2 / 3 == 10',
    'EXPTIME - 10 - 20 == 30', '-EXPTIME < -59', '+EXPTIME == 60', '- -EXPTIME == 60', 'GAIN * 2 == 3', 'GAIN < 1.6',
    '2 * -EXPTIME == -120', 'EXPTIME - -1 == 61', 'EXPTIME > .5e2', 'EXPTIME > 5.D1', 'EXPTIME == 60.',
    'DATE-OBS > 2021-02-27', 'DATE-OBS > 2021-02-27T04:05', "DATE-OBS < '2021-02-27 04:05:07'",
    '2021-02-27 <= DATE-OBS < 2021-02-28', 'DATE-OBS - 2021-02-27 < 0.5', 'DATE-OBS + 1 > 2021-02-28T04',
    'CCD-TEMP < 0', 'CCD-TEMP == -10', 'LAMP == T', 'DOME == F', 'LAMP != DOME', '[T] == 1',
    "[eso  det  name] == 'ccd-50'", "[HIERARCH ESO DET NAME] ~ /50/", '[CCD-TEMP] < 0', 'MEAN == 5', '[MEAN] == 5',
    'median > 15000', 'q97.5 < 62000 and q97.5 - median > 4e4', 'mean - median < 200', 'Mean == 5',
    'not FILTER == "B" and (FILTER == "R" or EXPTIME > 5)', 'FILTER=="R" and EXPTIME>5 or NAXIS1>1',
    'NOT FILTER == "B" AND EXPTIME > 5 OR F == T', 'not not EXPTIME > 5', "'it''s' != \"it\"\"s\"",
    'BAD == 1 or not BAD == 1', 'not BAD == BAD', 'not BAD != BAD', 'not FILTER < 5', 'FILTER != 5',
    "not (NOTHING != 'x')", "not NOTHING not in ('x')", 'not NOTHING !~ /x/', 'not kurtosis > 0', 'not kurtosis <= 0',
    'not EXPTIME / 0 > 1', 'not LAMP > DOME', 'not NOTHING ~ /.*/', 'OBJECT\n~\t/flat/', '1 < 2',
]  # fmt: skip


@pytest.mark.parametrize('text', TRUE)
def test_what_holds(text):
    condition = where.parse(text)
    assert condition.test(FRAME.get) is True
    again = where.parse(str(condition))
    assert again == condition
    assert str(again) == str(condition)
    assert again.test(FRAME.get) is True
    assert where.parse(f'not ({text})').test(FRAME.get) is False


@pytest.mark.parametrize(
    'text',
    [
        'EXPTIME > 60', 'FILTER == "v"', 'OBJECT ~ /FLAT/', 'NOTHING == 1', 'BAD == BAD', 'BAD != 1', 'BLANK ~ /^ *$/',
        'BLANK not in ("x")', '1 < EXPTIME < 60', 'F == T',
    ],
)  # fmt: skip
def test_what_does_not_hold(text):
    assert where.parse(text).test(FRAME.get) is False


@pytest.mark.parametrize(
    ('text', 'caret', 'message'),
    [
        ('', 0, 'a number, a text in quotes, a date or a keyword is missing'),
        ('EXPTIME >', 9, 'a number, a text'),
        ('EXPTIME > 5 and', 15, 'a number, a text'),
        ('and EXPTIME > 5', 0, "a value is missing before 'and'"),
        ('EXPTIME => 5', 8, 'equality is written =='),
        ("FILTER = 'V'", 7, 'equality is written =='),
        ("EXPTIME > 5 and FILTER = 'V'", 23, 'equality is written =='),
        ('not A = 5 or B == 5', 6, 'equality is written =='),
        ('IMAGETYP == Bias Frame', 17, 'text stands in quotes'),
        ('IMAGETYP == Ü', 12, 'text stands in quotes'),
        ("IMAGETYP == 'Bias", 12, 'the quote is not closed'),
        ("IMAGETYP == ''", 12, 'not has(KEYWORD) finds blank values'),
        ('(EXPTIME > 5', 12, 'a closing parenthesis or an operator is missing'),
        ('EXPTIME > 5)', 11, 'this parenthesis was not opened'),
        ('[ESO DET > 5', 0, 'the bracket is not closed'),
        ('[] > 5', 0, 'between the brackets stands a keyword'),
        ('FILTER', 0, 'this is a value and no condition: compare it with something, or ask has(FILTER)'),
        ('EXPTIME > 5 or FILTER', 15, 'this is a value and no condition'),
        ('FILTER and EXPTIME > 5', 0, 'this is a value and no condition'),
        ('not 5', 4, 'this is a value and no condition'),
        ('5 + 5', 0, 'this is a value and no condition'),
        ('(EXPTIME > 5) == T', 0, 'this is a condition and no value'),
        ('5 + has(FILTER) > 1', 4, 'this is a condition and no value'),
        ('coalesce(EXPTIME > 5, 1) == 1', 17, 'a comma or the closing parenthesis'),
        ('coalesce((EXPTIME > 5), 1) == 1', 9, 'this is a condition and no value'),
        ('FILTER in (', 11, 'a number, a text'),
        ('FILTER in ()', 11, 'a number, a text'),
        ("FILTER in 'V'", 10, 'behind in stands a list in parentheses'),
        ("FILTER ~ 'V'", 9, 'behind ~ stands a pattern between slashes'),
        ('FILTER ~', 8, 'behind ~ stands a pattern between slashes'),
        ('FILTER ~ /V', 9, 'behind ~ stands a pattern between slashes'),
        ('FILTER ~ /V/x', 12, 'behind a pattern may stand i'),
        ('FILTER ~ /(V/', 10, 'pattern: the group is not closed'),
        ('FILTER ~ /V[/', 11, 'pattern: the set of characters is not closed'),
        ('eval(FILTER) > 1', 0, 'there is no function eval, only has, coalesce, nonzero'),
        ('FILTER.lower() > 1', 6, 'neither a number nor a date'),
        ('__import__("os") > 1', 0, 'there is no function'),
        ('has(A, B)', 4, 'has() asks for one keyword'),
        ('has(5)', 4, 'has() asks for one keyword'),
        ('has(mean)', 4, 'has() asks for one keyword'),
        ('OBJECT == 2MASS', 10, 'neither a number nor a date'),
        ('X == 1.2.3', 5, 'neither a number nor a date'),
        ('X == 1e999', 5, 'this number is too large'),
        ('DATE-OBS > 2021-02-30', 11, 'there is no such date'),
        ('EXPTIME-5 > 2', 7, 'a minus needs spaces around it; a keyword of this name is [EXPTIME-5]'),
        ('max-min > 2', 3, 'a minus needs spaces around it'),
        ('EXPTIME-DARKTIME > 2', 7, 'a minus needs spaces around it'),
        ('q101 > 2', 0, 'a percentile is written in small letters'),
        ('Q97.5 > 2', 0, 'a percentile is written in small letters'),
        ('A == 1 && B == 2', 7, 'write and, or, not'),
        ('A == 1 ; B == 2', 7, 'has no meaning here'),
        ('A == 1 B == 2', 7, 'an operator is missing here'),
        ('A ~ /x/ ~ /y/', 8, 'an operator is missing here'),
        ('(' * 41 + 'A', 41, 'it goes deeper than 40 levels'),
        ('not ' * 42 + 'A == 1', 164, 'it goes deeper than 40 levels'),
        ('-' * 42 + 'A > 1', 41, 'it goes deeper than 40 levels'),
        ('A == 1 or ' * 500 + 'B == 1', 4000, 'it is longer than 4000 characters'),
    ],
)
def test_what_can_not_be_read(text, caret, message):
    with pytest.raises(UsageError) as caught:
        where.parse(text)
    first, shown, mark = str(caught.value).split('\n')
    assert first.startswith('expression: ')
    assert message in first
    assert mark.strip() == '^'
    if len(text) < 100:
        assert shown == f'  {text}'
        assert mark.index('^') == 2 + caret
    else:
        assert '...' in shown
        assert len(shown) < 120
        place = mark.index('^')
        assert shown[place : place + 1] == text[caret : caret + 1]


def test_the_deepest_that_is_allowed():
    text = '(' * 40 + 'A == 1' + ')' * 40
    assert where.parse(text).test({'A': 1}.get)
    assert where.parse('A == 1 or ' * 399 + 'B == 1').test({'B': 1}.get)


anything = st.text(max_size=60)
WORDS = r"""
    and or not in has coalesce ( ) [ ] , + - * / < <= == != ~ !~ = /a/ /b/i // "x" 'y' ' " 5 1.5 1e5 2021-02-27
    q50 q500 EXPTIME CCD-TEMP median T F . | \
"""
pieces = st.lists(st.sampled_from([*WORDS.split(), '\n']), max_size=12).map(' '.join)


@given(anything | pieces | st.lists(st.sampled_from('()[]~/\'"<>=-+*.,aqTe1 \\|'), max_size=30).map(''.join))
@example('\ud800')
@example('\x00')
@example('1' * 3999)
@example('²')
@example('A ~ /' + '(' * 50)
def test_any_text_is_an_expression_or_refused(text):
    for parse in (where.parse, where.parse_key, where.parse_keys):
        try:
            parse(text)
        except UsageError as error:
            assert str(error).count('\n') == 2  # noqa: PT017
            assert all(line.isprintable() for line in str(error).split('\n')[1:])  # noqa: PT017


def values():
    """Any part of an expression that is a value, and the conditions around it."""
    keys = st.text('ABCXYZ019_- ', min_size=1, max_size=12).map(lambda text: ' '.join(text.split())).filter(bool)
    keys |= st.sampled_from(
        ['EXPTIME', 'CCD-TEMP', 'T', 'F', 'AND', 'IN', 'HAS', 'MEAN', 'ESO DET NAME', '2MASS', 'Q50']
    )
    texts = st.text('ab\'" /\n', min_size=1, max_size=6).map(str.strip).filter(bool)
    moments = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))
    literals = (
        st.integers(0, 10**30) | st.floats(0, allow_infinity=False, allow_nan=False) | texts | moments | st.booleans()
    )
    atoms = literals.map(nodes.Literal) | keys.map(nodes.Keyword)
    atoms |= st.sampled_from([*where.STATISTICS, 'q50', 'q2.5']).map(nodes.Statistic)

    def larger(inner):
        def chain(signs):
            return st.builds(
                nodes.Arithmetic,
                inner,
                st.lists(st.tuples(st.sampled_from(signs), inner), min_size=1, max_size=3).map(tuple),
            )

        row = st.lists(inner, min_size=1, max_size=3).map(tuple)
        first_of = st.builds(nodes.FirstOf, st.sampled_from(['coalesce', 'nonzero']), row)
        return inner | chain('+-') | chain('*/') | inner.map(nodes.Negative) | first_of

    return st.recursive(atoms, larger, max_leaves=5), keys


def conditions():
    value, keys = values()
    rest = st.lists(st.tuples(st.sampled_from([*COMPARISONS]), value), min_size=1, max_size=2).map(tuple)
    pattern = st.sampled_from(['', 'a', r'a\/b', '^[ab]+$']).flatmap(
        lambda source: st.booleans().map(lambda ignore_case: Pattern(source, ignore_case))
    )
    basic = (
        st.builds(nodes.Comparison, value, rest)
        | st.builds(nodes.Matching, value, pattern, st.booleans())
        | st.builds(nodes.Membership, value, st.lists(value, min_size=1, max_size=3).map(tuple), st.booleans())
        | keys.map(nodes.Has)
    )

    def larger(inner):
        row = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return inner.map(nodes.Not) | st.builds(nodes.Joined, st.sampled_from(['and', 'or']), row)

    return st.recursive(basic, larger, max_leaves=4).map(nodes.Expression)


@given(conditions())
def test_what_is_written_reads_as_it_was(condition):
    assert where.parse(str(condition)) == condition


@given(conditions(), st.dictionaries(st.sampled_from(['EXPTIME', 'T', 'AND', 'mean', 'q50']), st.floats() | st.text()))
def test_every_expression_has_a_value(condition, header):
    assert condition.test(header.get) in (True, False)
    assert condition.test({}.get) in (True, False)


NUMBERS = st.integers(-100, 100) | st.floats(-1e6, 1e6) | st.sampled_from([0, 0.5, -0.0, 1e300])


@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([*COMPARISONS]), st.sampled_from([*COMPARISONS]))
def test_chains_compare_as_in_python(a, b, c, first, second):
    signs = {
        '==': operator.eq,
        '!=': operator.ne,
        '<': operator.lt,
        '<=': operator.le,
        '>': operator.gt,
        '>=': operator.ge,
    }
    expected = signs[first](a, b) and signs[second](b, c)
    header = {'A': a, 'B': b, 'C': c}
    assert where.parse(f'A {first} B {second} C').test(header.get) is expected
    assert where.parse(f'{a!r} {first} {b!r} {second} C').test(header.get) is expected
    assert where.parse(f'not (A {first} B) or B {second} C').test(header.get) is (
        not signs[first](a, b) or signs[second](b, c)
    )


@given(NUMBERS, NUMBERS, NUMBERS, st.lists(st.sampled_from('+-*/'), min_size=2, max_size=2))
def test_arithmetic_is_pythons(a, b, c, signs):
    text = f'A {signs[0]} B {signs[1]} C'
    try:
        expected = eval(text, {'A': a, 'B': b, 'C': c})
    except ArithmeticError:
        expected = None
    key = where.parse_key(f'X = {text}')
    found = key.expression.value({'A': a, 'B': b, 'C': c}.get)
    assert found == (None if expected != expected else expected)


class TestWhatItLooksUp:
    def test_names(self):
        condition = where.parse("has(a) and coalesce(B-C, [d e]) == f or median > q2.5 and g in (h, 'i')")
        assert condition.keywords == {'A', 'B-C', 'D E', 'F', 'G', 'H'}
        assert condition.compared_keywords == {'B-C', 'D E', 'F', 'G', 'H'}
        assert condition.possible_texts == {'F', 'H'}
        assert condition.statistics == {'median', 'q2.5'}

    def test_statistics_only_where_the_header_leaves_it_open(self):
        asked = []

        def lookup(key):
            asked.append(key)
            return {'FILTER': 'V'}.get(key, 5)

        assert not where.parse("median > 3 and FILTER == 'B'").test(lookup)
        assert where.parse("median > 3 or FILTER == 'V'").test(lookup)
        assert asked == ['FILTER', 'FILTER']
        assert where.parse("median > 3 and FILTER == 'V'").test(lookup)
        assert asked[2:] == ['FILTER', 'median']

    def test_the_statistics_are_those_of_pixels(self):
        assert where.STATISTICS == pixels.stats.NAMES
        for name in ('q0', 'q2.5', 'q100', 'q.5'):
            assert where.parse(f'{name} > 1').statistics == {name}
            assert pixels.stats.is_statistic(name)

    @pytest.mark.parametrize('name', where.STATISTICS)
    def test_statistics_are_in_small_letters(self, name):
        assert where.parse(f'{name} > 1').statistics == {name}
        assert where.parse(f'{name.upper()} > 1').keywords == {name.upper()}


class TestKeys:
    def test_names_and_values(self):
        keys = where.parse_keys('filter, FILT=nonzero(ALFLTID, FBFLTID),[eso det name], median, long = EXPTIME > 5')
        assert [key.name for key in keys] == ['FILTER', 'FILT', 'ESO DET NAME', 'median', 'LONG']
        assert [key.expression.value(FRAME.get) for key in keys] == ['V', 78, 'ccd-50', 20000.0, True]
        assert where.parse_keys(', '.join(map(str, keys))) == keys
        assert str(keys[1]) == 'FILT=nonzero(ALFLTID, FBFLTID)'

    def test_values_are_bare(self):
        for text, expected in (
            ('IMAGETYP', 'Bias Frame'),
            ('BLANK', None),
            ('BAD', None),
            ('kurtosis', None),
            ('GAIN', '1.5'),
        ):
            assert where.parse_key(text).expression.value(FRAME.get) == expected

    @pytest.mark.parametrize(
        ('text', 'caret', 'message'),
        [
            ('', 0, 'a number, a text'),
            ('A,', 2, 'a number, a text'),
            ('A,,B', 2, 'a number, a text'),
            ('A B', 2, 'an operator is missing here'),
            ('A, a', 3, 'A is named twice'),
            ('A + B', 0, 'a key that is no keyword needs a name'),
            ('coalesce(A, B)', 0, 'a key that is no keyword needs a name'),
            ("'A'", 0, 'a key that is no keyword needs a name'),
            ('A, X=', 5, 'a number, a text'),
        ],
    )
    def test_refused(self, text, caret, message):
        with pytest.raises(UsageError) as caught:
            where.parse_keys(text)
        assert message in str(caught.value)
        assert str(caught.value).split('\n')[2] == ' ' * (2 + caret) + '^'

    def test_one_is_one(self):
        with pytest.raises(UsageError, match='one key is wanted here'):
            where.parse_key('A, B')


def test_no_expression_takes_long():
    text = 'OBJECT ~ /' + '(a*)*' * 100 + 'b/'
    condition = where.parse(text)
    start = time.process_time()
    assert not condition.test({'OBJECT': 'a' * 68}.get)
    assert time.process_time() - start < 1
    huge = ' * '.join(['9' * 300] * 10)
    assert not where.parse(f'{huge} > 1').test({}.get)


def test_the_recursion_limit_is_far():
    """The deepest expression is read and tested with few frames left."""

    def deep(count):
        return deep(count - 1) if count else where.parse('(' * 40 + 'A == 1' + ')' * 40).test({'A': 1}.get)

    assert sys.getrecursionlimit() >= 1000
    assert deep(50)
