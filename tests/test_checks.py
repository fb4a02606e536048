"""The conditions of --check against their definition."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import UsageError
from fitsutils.files import checks
from fitsutils.files.checks import Checks

LEVELS = [('a.fits', 900.0), ('b.fits', 5000.0), ('c.fits', 70000.0)]


def broken(*texts, header=None, statistics=None, levels=LEVELS):
    return Checks(texts).broken(header or {}, statistics or {}, levels)


def test_what_holds_is_not_told():
    assert broken('n == 3 and std < 0.2', 'level > 0', statistics={'std': 0.1}) == []


def test_conditions_are_told_one_by_one():
    found = broken('n >= 5 and (std < 0.1 or q97.5 < 2)', 'NREJALL == 0', statistics={'std': 0.25, 'q97.5': 3.0})
    assert found == [
        'N >= 5: N is 3', 'std < 0.1 or q97.5 < 2: q97.5 is 3, std is 0.25', 'NREJALL == 0: NREJALL is missing',
    ]  # fmt: skip


def test_levels_are_those_of_every_image():
    found = broken('1000 < level < 60000')
    assert found == ['1000 < LEVEL < 60000: LEVEL is 900 in a.fits, 70000 in c.fits']
    assert broken('not level > 1e5') == []


def test_few_images_are_named():
    levels = [(f'{number}.fits', 5.0) for number in range(7)]
    (told,) = broken('level > 5.5', levels=levels)
    assert told == 'LEVEL > 5.5: LEVEL is 5 in 0.fits, 5 in 1.fits, 5 in 2.fits and so on, of 7 images'


@given(st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=9), st.floats(-1e6, 1e6))
def test_a_level_condition_holds_when_it_holds_for_each(levels, limit):
    named = [(str(number), level) for number, level in enumerate(levels)]
    assert bool(broken(f'level >= {limit!r}', levels=named)) == (not all(level >= limit for level in levels))


def test_keywords_are_looked_up_in_the_result():
    header = fits.Header({'FILTER': 'V ', 'EXPOSURE': 60.0})
    assert broken("FILTER == 'V' and exptime == 60", header=header) == []
    assert broken("FILTER == 'B'", header=header) == ["FILTER == 'B': FILTER is V"]


def test_a_statistic_that_is_nan_breaks_its_condition():
    assert broken('std < 1', statistics={'std': np.nan}) == ['std < 1: std is missing']


def test_what_must_be_measured():
    asked = Checks(['n > 3 and std < 1', 'q97.5 < 2 or median > 0'])
    assert (asked.statistics, asked.wants_levels) == (['median', 'q97.5', 'std'], False)
    assert Checks(['not level < 5']).wants_levels
    assert bool(asked)
    assert not Checks([])


@pytest.mark.parametrize('text', ['', 'std', 'std <', 'n >= 5, std < 1', 'level = 3', 'sdt() < 1'])
def test_what_can_not_be_read(text):
    with pytest.raises(UsageError, match='expression'):
        Checks([text])


def test_the_header_tells():
    header = fits.Header()
    checks.note(header, [])
    assert header['CMBCHECK'] is True
    checks.note(header, ['std < 1: std is 2'])
    assert header['CMBCHECK'] is False
    assert list(header['HISTORY']) == ['  check failed: std < 1: std is 2']
