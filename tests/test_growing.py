import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels import growing


def by_definition(marks, radius):
    out = np.zeros_like(marks)
    places = np.argwhere(marks)
    for place in np.ndindex(marks.shape):
        out[place] = any(((place - other) ** 2).sum() <= radius**2 for other in places)
    return out


@given(
    arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    st.floats(0, 12, allow_subnormal=False),
)
def test_definition(marks, radius):
    before = marks.copy()
    np.testing.assert_array_equal(growing.grown(marks, radius), by_definition(marks, radius))
    np.testing.assert_array_equal(marks, before)


@pytest.mark.parametrize('fill', [False, True])
def test_all_or_nothing_stays(fill):
    np.testing.assert_array_equal(growing.grown(np.full((5, 7), fill), 3), fill)


def test_a_straight_edge_moves_by_the_radius():
    marks = np.zeros((40, 61), bool)
    marks[:, :30] = True
    assert (growing.grown(marks, 12).sum(axis=1) == 42).all()
