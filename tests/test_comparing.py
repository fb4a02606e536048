import datetime
import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.files import comparing

OPERATORS = {
    '==': operator.eq, '!=': operator.ne, '<': operator.lt, '<=': operator.le, '>': operator.gt, '>=': operator.ge,
}  # fmt: skip
DAY = datetime.datetime(2021, 2, 27)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, width=32) | st.sampled_from([0, 0.0, -0.0, 1e300])
every_sign = pytest.mark.parametrize('sign', list(OPERATORS))


@every_sign
@given(first=numbers, second=numbers)
def test_numbers_compare_as_in_python(sign, first, second):
    expected = OPERATORS[sign](first, second)
    assert comparing.compared(first, sign, second) is expected
    if math.isfinite(first):
        assert comparing.compared(f' {first!r} ', sign, second) is expected
    if math.isfinite(second):
        assert comparing.compared(first, sign, str(second)) is expected


@every_sign
@given(first=st.text(min_size=1), second=st.text(min_size=1))
def test_texts_compare_as_in_python(sign, first, second):
    assert comparing.compared(first, sign, second) is OPERATORS[sign](first, second)


@every_sign
@pytest.mark.parametrize('minutes', [-5, 0, 7])
def test_dates_compare_with_dates_and_texts_that_are_dates(sign, minutes):
    other = DAY + datetime.timedelta(minutes=minutes)
    expected = OPERATORS[sign](DAY, other)
    assert comparing.compared(DAY, sign, other) is expected
    assert comparing.compared(DAY, sign, other.isoformat()) is expected
    assert comparing.compared('27/02/2021 00:00', sign, other) is expected


@every_sign
@pytest.mark.parametrize('there', [1, 'x', True, DAY, None, ''])
def test_what_is_missing_compares_false(sign, there):
    assert comparing.compared(None, sign, there) is False
    assert comparing.compared(there, sign, None) is False


@pytest.mark.parametrize(('first', 'second'), [(True, 1), ('T', True), (1, 'x'), (DAY, 5), ('x', DAY), (False, DAY)])
def test_values_of_different_kinds_are_different_and_in_no_order(first, second):
    for one, other in ((first, second), (second, first)):
        found = {sign for sign in OPERATORS if comparing.compared(one, sign, other)}
        assert found == {'!='}


def test_logicals_are_equal_or_not():
    assert [sign for sign in OPERATORS if comparing.compared(True, sign, True)] == ['==']
    assert [sign for sign in OPERATORS if comparing.compared(True, sign, False)] == ['!=']


def test_many_digits_are_not_rounded():
    assert comparing.compared('9007199254740993', '>', 9007199254740992)


@pytest.mark.parametrize('sign', ['+', '-', '*', '/'])
@given(first=numbers, second=numbers)
def test_arithmetic_is_pythons_where_that_has_a_result(sign, first, second):
    functions = {'+': operator.add, '-': operator.sub, '*': operator.mul, '/': operator.truediv}
    try:
        expected = functions[sign](first, second)
    except ArithmeticError:
        expected = None
    found = comparing.computed(first, sign, second)
    assert found == (None if expected != expected else expected)


def test_arithmetic_beyond_numbers():
    assert comparing.computed(1, '/', 0) is None
    assert comparing.computed(math.inf, '-', math.inf) is None
    assert comparing.computed(2**1000, '*', 2**1000) is None
    assert comparing.computed(2**1020, '+', 0.5) is not None
    assert comparing.computed(2**1024 - 1, '/', 0.5) is None
    for found in (None, 'x', True, DAY):
        assert comparing.computed(found, '*', 2) is None


def test_arithmetic_of_dates():
    later = DAY + datetime.timedelta(hours=30)
    assert comparing.computed(later, '-', DAY) == 1.25
    assert comparing.computed(later.isoformat(), '-', '2021-02-27') == 1.25
    assert comparing.computed(DAY, '+', 1.25) == later == comparing.computed(1.25, '+', DAY)
    assert comparing.computed(later, '-', '1.25') == DAY
    for first, sign, second in ((1, '-', DAY), (DAY, '+', later), (DAY, '*', 2), (DAY, '+', 1e12), (DAY, '-', None)):
        assert comparing.computed(first, sign, second) is None


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        (None, None), ('  ', None), (' M 1 ', 'M 1'), (math.nan, None), (np.float64(2.5), 2.5), (np.int64(3), 3),
        (np.float32('nan'), None), (True, True), (1 + 2j, '(1+2j)'), (DAY, DAY), (math.inf, math.inf),
    ],
)  # fmt: skip
def test_bare(found, expected):
    bare = comparing.bare(found)
    assert bare == expected
    assert type(bare) is type(expected)


@given(numbers)
def test_equal_values_are_put_together(value):
    forms = {value, float(value)} if abs(value) < 2**50 else {value}
    forms |= {repr(value)} if math.isfinite(value) else set()
    assert len({comparing.comparable(form) for form in forms}) == 1


def test_texts():
    shown = [comparing.as_text(found) for found in (True, False, 78, 2.5, 'V', DAY)]
    assert shown == ['T', 'F', '78', '2.5', 'V', '2021-02-27T00:00:00']
