import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels import shapes

SHAPE = (19, 27)
Y, X = np.mgrid[1:20, 1:28].astype('f8')


def inside(kind, *numbers):
    return shapes.inside(kind, numbers, SHAPE)


def same(found, wanted):
    np.testing.assert_array_equal(found, wanted)
    assert 0 < found.sum() < found.size


def test_points():
    found = inside('point', 5, 3)
    assert np.argwhere(found).tolist() == [[2, 4]]
    assert np.argwhere(inside('point', 5.4, 2.6)).tolist() == [[2, 4]]
    assert not inside('point', 0.4, 3).any()
    assert not inside('point', 28, 3).any()


def test_circles():
    same(inside('circle', 10, 8, 5), (X - 10) ** 2 + (Y - 8) ** 2 <= 25)
    same(inside('circle', 1.5, 18.5, 4.2), (X - 1.5) ** 2 + (Y - 18.5) ** 2 <= 4.2**2)
    same(inside('annulus', 10, 8, 3, 5), ((X - 10) ** 2 + (Y - 8) ** 2 <= 25) & ((X - 10) ** 2 + (Y - 8) ** 2 >= 9))


def test_ellipses():
    same(inside('ellipse', 12, 9, 8, 3), ((X - 12) / 8) ** 2 + ((Y - 9) / 3) ** 2 <= 1)
    np.testing.assert_array_equal(inside('ellipse', 12, 9, 8, 3, 90), inside('ellipse', 12, 9, 3, 8))
    np.testing.assert_array_equal(inside('ellipse', 12, 9, 5, 5, 33), inside('circle', 12, 9, 5))
    turned = inside('ellipse', 12, 9, 7, 1, 30)  # from x to y: its far end lies right and up
    assert turned[8 + 3, 11 + 5]
    assert not turned[8 - 3, 11 + 5]


def test_boxes():
    same(inside('box', 5, 4, 4, 2), (np.abs(X - 5) <= 2) & (np.abs(Y - 4) <= 1))
    same(inside('box', 5.5, 4.5, 4, 2), (np.abs(X - 5.5) <= 2) & (np.abs(Y - 4.5) <= 1))
    np.testing.assert_array_equal(inside('box', 12, 9, 6, 4, 90), inside('box', 12, 9, 4, 6))


@pytest.mark.parametrize('ends', [(2, 3, 25, 17), (25, 17, 2, 3), (5, 2, 5, 18), (1, 9, 27, 9), (3, 15, 20, 2)])
def test_a_line_has_a_pixel_in_every_column_or_row(ends):
    found = inside('line', *ends)
    x1, y1, x2, y2 = ends
    along = found.any(axis=0) if abs(x2 - x1) >= abs(y2 - y1) else found.any(axis=1)
    first, last = sorted((x1, x2)) if abs(x2 - x1) >= abs(y2 - y1) else sorted((y1, y2))
    np.testing.assert_array_equal(np.flatnonzero(along), np.arange(first - 1, last))
    assert found[y1 - 1, x1 - 1]
    assert found[y2 - 1, x2 - 1]
    assert found.sum() <= 2 * along.sum()


def test_a_line_without_a_length_is_a_point():
    np.testing.assert_array_equal(inside('line', 4, 5, 4, 5), inside('point', 4, 5))


def test_polygons():
    same(inside('polygon', 3, 2, 12, 2, 12, 9, 3, 9), (X >= 3) & (X <= 12) & (Y >= 2) & (Y <= 9))
    same(inside('polygon', 3, 2, 12, 2, 3, 11), (X >= 3) & (Y >= 2) & (X + Y <= 14))
    # A notch, and the way round.
    corners = [(2, 2), (20, 2), (20, 16), (11, 6), (2, 16)]
    around, back = (
        [number for corner in corners for number in corner],
        [number for corner in corners[::-1] for number in corner],
    )
    found = inside('polygon', *around)
    np.testing.assert_array_equal(found, inside('polygon', *back))
    assert found[4, 10]
    assert not found[11, 10]


@given(st.lists(st.tuples(st.floats(-5, 30), st.floats(-5, 25)), min_size=3, max_size=3))
def test_a_triangle_is_where_all_three_sides_say_so(corners):
    (x1, y1), (x2, y2), (x3, y3) = corners
    sides = [
        (bx - ax) * (Y - ay) - (by - ay) * (X - ax)
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    clear = np.all([np.abs(side) > 1e-6 for side in sides], axis=0)
    wanted = np.all([side > 0 for side in sides], axis=0) | np.all([side < 0 for side in sides], axis=0)
    found = inside('polygon', x1, y1, x2, y2, x3, y3)
    np.testing.assert_array_equal(found[clear], wanted[clear])


def test_what_lies_outside_marks_nothing():
    assert not inside('circle', 100, 100, 5).any()
    assert not inside('polygon', 100, 100, 120, 100, 110, 120).any()


@pytest.mark.parametrize(
    ('kind', 'numbers', 'what'),
    [
        ('vector', (1, 2), 'vector is none of point, circle'),
        ('circle', (1, 2), 'a circle does not take 2 numbers'),
        ('polygon', (1, 2, 3, 4), 'a polygon does not take 4 numbers'),
        ('polygon', (1, 2, 3, 4, 5, 6, 7), 'a polygon does not take 7 numbers'),
        ('circle', (1, 2, -3), 'a circle has no negative size'),
        ('box', (1, 2, 3, -3, 0), 'a box has no negative size'),
        ('point', (1, np.inf), 'a point takes finite numbers'),
    ],
)
def test_what_is_no_shape(kind, numbers, what):
    with pytest.raises(ValueError, match=what):
        inside(kind, *numbers)
