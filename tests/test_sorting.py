"""pixels/sorting: networks, tiles and extremes against numpy's own sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitsutils.pixels import sorting


@pytest.mark.parametrize('number', [*range(1, 34), 50, 64, 65, 100])
def test_a_network_brings_every_rank_to_its_place(number):
    """By the 0-1 principle a network that orders noughts and ones orders everything; a sample of them."""
    rng = np.random.default_rng(number)
    stack = (rng.uniform(size=(number, 300)) < rng.uniform(size=300)).astype('u1')
    ranks = sorting.select(stack.copy(), range(number))
    np.testing.assert_array_equal(np.array(ranks), np.sort(stack, axis=0))


@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('dtype', ['u1', 'i2', 'u2', 'i4', 'f4', 'f8'])
@pytest.mark.parametrize('network', [False, True])
def test_select(dtype, overwrite, network, monkeypatch):
    if not network:
        monkeypatch.setattr(sorting, 'NETWORK_LIMITS', {})
    stack = np.random.default_rng(3).integers(0, 90, (21, 47)).astype(dtype)
    before = stack.copy()
    wanted = np.sort(stack, axis=0)
    found = sorting.select(stack, [10, 0, 20, 10], overwrite=overwrite)
    np.testing.assert_array_equal(np.array(found), wanted[[10, 0, 20, 10]])
    if not overwrite:
        np.testing.assert_array_equal(stack, before)


def test_both_ways_are_used():
    assert sorting.uses_network(20, np.dtype('u2'))
    assert not sorting.uses_network(5000, np.dtype('u2'))


@given(
    hnp.arrays('u2', st.tuples(st.integers(1, 12), st.integers(1, 5))), st.integers(0, 5), st.integers(0, 5)
)  # fmt: skip
def test_without_extremes(stack, low, high):
    if low + high >= len(stack):
        return
    wanted = np.sort(stack, axis=0)[low : len(stack) - high]
    found = np.sort(sorting.without_extremes(stack, low, high), axis=0)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize('dtype', ['u2', 'i2', 'f4', 'f8'])
def test_ranked(dtype):
    stack = np.random.default_rng(1).integers(0, 60000, (7, sorting._TILE + 11)).astype(dtype)
    np.testing.assert_array_equal(sorting.ranked(stack), np.sort(stack, axis=0))
    assert sorting.ranked(stack).dtype == stack.dtype
    np.testing.assert_array_equal(sorting.pixel_major(stack), np.sort(stack, axis=0).T)


def test_only_the_ranks_that_are_wanted():
    full, median = sorting.network(20, tuple(range(20))), sorting.network(20, (9, 10))
    assert len(median) < len(full)
    assert sum(low + high for _, _, low, high in median) < 2 * len(median)
