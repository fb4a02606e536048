import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, UsageError
from fitsutils.files.section import Region, chosen, from_bounds, parse_pair, parse_section


@pytest.mark.parametrize(
    ('text', 'axes'),
    [
        ('[61:2100,21:2032]', ((60, 2100), (20, 2032))),
        ('61:2100,21:2032', ((60, 2100), (20, 2032))),
        (' [ 61 : 2100 , 21:2032 ] ', ((60, 2100), (20, 2032))),
        ('[*,5]', (None, (4, 5))),
        ('[7:7]', ((6, 7),)),
        ('[1:2,3:4,5:6]', ((0, 2), (2, 4), (4, 6))),
        ('[*]', (None,)),
    ],
)
def test_fits_sections(text, axes):
    assert parse_section(text).axes == axes


@pytest.mark.parametrize(
    'text', ['', '[]', '[1:2', '[1:2,]', '[0:3]', '[3:2]', '[-1:4]', '[1:2:3]', '[a:b]', '[1.5:2]', '[1:*]', '[[1:2]]']
)
def test_what_is_no_section(text):
    with pytest.raises(UsageError, match='section'):
        parse_section(text)


def test_the_two_notations_name_the_same_pixels():
    """FITS counts from 1 and includes the end; -b counts from 0 and excludes it; numpy has y first."""
    image = np.arange(2100 * 2100, dtype='i4').reshape(2100, 2100)
    section, bounds = parse_section('[61:2100,21:2032]'), from_bounds([60, 2100, 20, 2032])
    assert section == bounds
    assert section.slices(image.shape) == (slice(20, 2032), slice(60, 2100))
    np.testing.assert_array_equal(image[section.slices(image.shape)], image[20:2032, 60:2100])
    assert str(bounds) == '[61:2100,21:2032]'


@pytest.mark.parametrize(
    ('bounds', 'axes'),
    [
        ([600, 1100, 400, 700], ((600, 1100), (400, 700))),
        ([5, 5, 0, 2], ((5, 6), (0, 2))),
        ([0, 1, 2, 3, 4, 4], ((0, 1), (2, 3), (4, 5))),
    ],
)
def test_bounds(bounds, axes):
    assert from_bounds(bounds).axes == axes


@pytest.mark.parametrize('bounds', [[-1, 4, 0, 3], [5, 4, 0, 3], [0, 4, 3, -3]])
def test_wrong_bounds(bounds):
    with pytest.raises(UsageError, match='bounds'):
        from_bounds(bounds)


def test_axes_that_are_not_named_are_whole():
    assert parse_section('[2:3]').slices((7, 5, 4)) == (slice(0, 7), slice(0, 5), slice(1, 3))
    assert parse_section('[2:3,*]').slices((7, 5, 4)) == (slice(0, 7), slice(0, 5), slice(1, 3))
    assert parse_section('[*,*,6]').slices((7, 5, 4)) == (slice(5, 6), slice(0, 5), slice(0, 4))


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('[1:5,1:5]', r'goes beyond the image \(4 x 5 x 7 pixels\)'),
        ('[1:4,6]', 'goes beyond'),
        ('[*,*,8]', 'goes beyond'),
        ('[1,1,1,1]', 'has 4 axes, the image has 3'),
    ],
)
def test_regions_that_do_not_fit(text, match):
    with pytest.raises(Failure, match=match):
        parse_section(text).slices((7, 5, 4))


def test_one_region_only():
    assert chosen(None) is None
    assert chosen([1, 2, 3, 4]) == Region(((1, 2), (3, 4)))
    assert chosen(None, [1, 2, 3, 4, 5, 6]) == Region(((1, 2), (3, 4), (5, 6)))
    assert chosen(None, None, '[2,4]') == Region(((1, 2), (3, 4)))
    with pytest.raises(UsageError, match='only one of'):
        chosen([1, 2, 3, 4], None, '[2,4]')


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(1, 9))), min_size=1, max_size=4))
def test_text_reads_back(axes):
    region = Region(tuple(axis and (axis[0], axis[0] + axis[1]) for axis in axes))
    assert parse_section(str(region)) == region


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        ('[1:1024,*]:[2049:2080,*]', ['[1:1024,*]', '[2049:2080,*]']),
        (' [1:4,2:3] : [5:6,2:3] ', ['[1:4,2:3]', '[5:6,2:3]']),
        ('[1:4,2:3]', ['[1:4,2:3]', None]),
    ],
)
def test_pairs_of_sections(text, wanted):
    assert [section and str(section) for section in parse_pair(text)] == wanted


@pytest.mark.parametrize(
    'text',
    ['', '1:4,*:5:6,*', '[1:4,*]:', '[1:4,*][5:6,*]', '[1:4,*]:[5:6,*]:[7:8,*]', '[4:1,*]:[5:6,*]', '[]:[5:6,*]'],
)
def test_what_is_no_pair(text):
    with pytest.raises(UsageError, match=r'DATA:BIAS|section'):
        parse_pair(text)
