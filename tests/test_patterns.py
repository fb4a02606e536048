import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.files.patterns import Pattern, PatternError

LETTERS = 'abAB1_ -'


def atoms():
    plain = st.sampled_from(['a', 'b', 'A', '1', ' ', '_', '-', '.', r'\.', r'\-', r'\/', '{', '}', ']'])
    sets = st.sampled_from(
        ['[ab]', '[^a]', '[A-B1]', '[a-]', '[]a]', '[^]a]', r'[\d_]', r'[\]b]', '[a^]', r'\d', r'\w', r'\s']
        + [r'\D', r'\W', r'\S']
    )
    return plain | sets | st.sampled_from(['^', '$', r'\b'])


def patterns():
    quantifier = st.sampled_from(
        ['', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{0}', '{1,}', '{,2}', '{1,3}', '{2,2}?']
    )

    def repeated(part):
        return st.tuples(part, quantifier).map(lambda pair: pair[0] if pair[0] in ('^', '$', r'\b') else ''.join(pair))

    def larger(parts):
        group = st.tuples(st.sampled_from(['(', '(?:']), parts, quantifier).map(
            lambda three: f'{three[0]}{three[1]}){three[2]}'
        )
        row = st.lists(parts | group, min_size=0, max_size=4).map(''.join)
        return row | st.lists(row, min_size=2, max_size=3).map('|'.join)

    return st.recursive(repeated(atoms()), larger, max_leaves=8)


@given(patterns(), st.text(LETTERS, max_size=12), st.booleans())
def test_the_same_is_found_as_by_re(source, text, ignore_case):
    try:
        expected = re.compile(source, re.ASCII | re.IGNORECASE * ignore_case)
    except re.error:
        with pytest.raises(PatternError):
            Pattern(source, ignore_case)
        return
    assert Pattern(source, ignore_case).is_found_in(text) is (expected.search(text) is not None)


@pytest.mark.parametrize(
    ('source', 'text', 'found'),
    [
        ('bias', 'master bias frame', True),
        ('^bias', 'master bias', False),
        ('bias|light', 'Light', False),
        ('^(sky )?flat$', 'sky flat', True),
        ('^(sky )?flat$', 'dusk sky flat', False),
        (r'\bV\b', 'Bessel V', True),
        (r'\bV\b', 'VR', False),
        (r'\Bat', 'flat', True),
        ('a{2,3}b', 'ab', False),
        ('a{2,3}b', 'aaaab', True),
        ('^a{2,3}b', 'aaaab', False),
        ('^a{0,2}b', 'aab', True),
        ('^[^ ]+$', 'two words', False),
        ('x{,}', 'x{,}', True),
        ('', '', True),
        ('$^', '', True),
        ('ä', 'spät', True),
    ],
)
def test_examples(source, text, found):
    assert Pattern(source).is_found_in(text) is found


def test_capitals_and_small_letters():
    assert Pattern('bias', ignore_case=True).is_found_in('BIAS')
    assert Pattern('[A-C]X', ignore_case=True).is_found_in('bx')
    assert not Pattern('[^a]', ignore_case=True).is_found_in('A')
    assert not Pattern('bias').is_found_in('BIAS')


@pytest.mark.parametrize(
    ('source', 'place', 'message'),
    [
        ('a(b', 1, 'the group is not closed'),
        ('ab)', 2, 'a group is closed that was not opened'),
        ('ab[c', 2, 'the set of characters is not closed'),
        ('[]', 0, 'the set of characters is not closed'),
        ('[c-a]', 1, 'a range goes from the smaller'),
        (r'[\d-z]', 1, 'a range goes from the smaller'),
        ('a\\', 1, 'the backslash has nothing behind it'),
        ('*a', 0, 'there is nothing to repeat'),
        ('a|+', 2, 'there is nothing to repeat'),
        ('^*', 1, 'there is nothing to repeat'),
        ('a**', 2, 'a repetition is repeated'),
        ('a{3,2}', 1, 'repetitions go from the smaller'),
        ('a{9999999999999999999}', 1, 'repetitions go from the smaller'),
        ('(?=a)', 0, 'of groups only'),
        ('(?P<x>a)', 0, 'of groups only'),
        (r'(a)\1', 3, r'\1 is not known'),
        (r'\Z', 0, r'\Z is not known'),
        ('(' * 21 + ')' * 21, 20, 'groups go deeper than 20'),
        ('(a{1000}){1000}', 0, 'larger than 1000 states'),
    ],
)
def test_what_can_not_be_read(source, place, message):
    with pytest.raises(PatternError, match=re.escape(message)) as caught:
        Pattern(source)
    assert caught.value.place == place


@given(st.text(max_size=30) | st.text('ab()[]{}*+?|\\^$.-,12', max_size=30))
def test_any_text_is_a_pattern_or_refused(source):
    try:
        pattern = Pattern(source)
    except PatternError as error:
        assert 0 <= error.place <= len(source)  # noqa: PT017
        return
    pattern.is_found_in('abba 12')


@pytest.mark.parametrize(
    'source', ['(a|a)*b', '(a*)*b', '(a+)+$b', 'a*a*a*a*a*a*a*a*b', '(a?){25}a{25}b', '((a|aa)+)+b']
)
def test_no_pattern_hangs(source):
    """Python's re takes years for some of these."""
    start = time.process_time()
    assert not Pattern(source).is_found_in('a' * 2000)
    assert time.process_time() - start < 2


def test_long_texts_are_searched_up_to_a_limit():
    assert Pattern('x').is_found_in('a' * 9999 + 'x')
    assert not Pattern('x').is_found_in('a' * 10_000 + 'x')


def test_patterns_are_values():
    assert Pattern('a') == Pattern('a') != Pattern('a', ignore_case=True)
    assert len({Pattern('a'), Pattern('a'), Pattern('b')}) == 2
    assert str(Pattern('a/b', ignore_case=True)) == '/a/b/i'
    assert Pattern('a') != 'a'
