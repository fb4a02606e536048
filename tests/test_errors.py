import os
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning, QualityFailure, UsageError, visible, warn


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
