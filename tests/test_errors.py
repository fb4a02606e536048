import os
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning, QualityFailure, UsageError, excerpt, visible, warn


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('plain text', 'plain text'),
        ('caf\xe9 \u03b1 \u4e2d', 'caf\xe9 \u03b1 \u4e2d'),
        ('two\nlines\r\ttab', r'two\nlines\r\ttab'),
        ('\x1b[31mred\x1b[0m', r'\x1b[31mred\x1b[0m'),
        ('\x9b31m', r'\x9b31m'),
        ('bell\a\0', r'bell\x07\x00'),
        ('left\u202eright\u2066', r'left\u202eright\u2066'),
        ('line\u2028para\u2029', r'line\u2028para\u2029'),
        (os.fsdecode(b'\xff\xfe.fits'), r'\xff\xfe.fits'),
        ('\ud800', r'\ud800'),
        ('', ''),
    ],
)
def test_visible(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_visible_is_one_printable_line(text):
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)


def test_messages_begin_with_the_file():
    assert str(Failure('is empty', 'a.fits')) == 'a.fits: is empty'
    assert str(Failure('is empty')) == 'is empty'
    assert Failure('is empty', 'a.fits').path == 'a.fits'
    assert issubclass(UsageError, Failure)
    assert issubclass(QualityFailure, Failure)


def test_warnings_name_the_file():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        warn('is odd', 'a.fits')
        warn('is odd')
    assert [str(each.message) for each in caught] == ['a.fits: is odd', 'is odd']
    assert {each.category for each in caught} == {FileWarning}


class TestExcerpt:
    @pytest.mark.parametrize('place', [0, 4, 11, 12])
    def test_the_caret_stands_under_the_place(self, place):
        text = 'EXPTIME => 5'
        shown, mark = excerpt(text, place)
        assert shown == f'  {text}'
        assert mark == ' ' * (2 + place) + '^'

    def test_what_is_made_visible_moves_the_caret(self):
        shown, mark = excerpt('a\n\x1bb', 3)
        assert shown == r'  a\n\x1bb'
        assert shown[mark.index('^')] == 'b'

    @pytest.mark.parametrize('place', [0, 30, 77, 250, 499, 500])
    def test_of_a_long_text_the_surroundings_are_shown(self, place):
        text = ''.join(chr(ord('a') + number % 26) for number in range(500))
        shown, mark = excerpt(text, place)
        assert len(shown) <= 108
        assert shown[mark.index('^') : mark.index('^') + 1] == text[place : place + 1]


def test_a_usage_error_may_show_the_place():
    error = UsageError('it is wrong', 'a.fits', excerpt=['  x', '  ^'])
    assert error.headline == 'a.fits: it is wrong'
    assert str(error) == 'a.fits: it is wrong\n  x\n  ^'
    assert str(UsageError('it is wrong')) == 'it is wrong'
