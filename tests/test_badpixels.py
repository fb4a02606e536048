"""The rule of bad pixels against a loop written from its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels import badpixels
from fitsutils.pixels.badpixels import deviant


def by_definition(flat, limit, side=7, faint=0.05):
    """Each pixel against the median of the square around it; what lies outside the image is its mirror image."""
    half = side // 2
    wide = np.pad(np.asarray(flat, 'f8'), half, mode='symmetric')
    bad = np.zeros(flat.shape, bool)
    for y, x in np.ndindex(flat.shape):
        around = wide[y : y + side, x : x + side]
        around = around[np.isfinite(around)]
        if not np.isfinite(flat[y, x]):
            bad[y, x] = True
        elif np.median(around) >= faint:
            bad[y, x] = abs(flat[y, x] / np.median(around) - 1) > limit
    return bad


def test_defects_of_every_kind_are_found():
    flat = np.random.default_rng(3).normal(1, 0.03, (31, 44))
    wanted = np.zeros(flat.shape, bool)
    for part, value in [
        (np.s_[5, 6], 0.1), (np.s_[9, 30], 3.0), (np.s_[0, 0], 0.2), (np.s_[:, 20:22], 0.02), (np.s_[25, :], -0.5),
        (np.s_[14:18, 35:39], 1.9), (np.s_[12, 4], np.nan), (np.s_[13, 4], np.inf), (np.s_[:, 43], 0.0),
    ]:  # fmt: skip
        flat[part], wanted[part] = value, True
    np.testing.assert_array_equal(deviant(flat, 0.5), wanted)
    np.testing.assert_array_equal(wanted, by_definition(flat, 0.5))


@pytest.mark.parametrize('limit', [0.05, 0.5, 1.0, 2.5])
@pytest.mark.parametrize('dtype', ['f4', 'f8', 'i2'])
def test_agrees_with_the_definition(limit, dtype):
    rng = np.random.default_rng(8)
    flat = rng.normal(1, 0.4, (19, 26)) * rng.choice([1, 0.01, 5, -1], (19, 26), p=[0.8, 0.1, 0.05, 0.05])
    flat = (flat * (1 if dtype != 'i2' else 10)).astype(dtype)
    np.testing.assert_array_equal(deviant(flat, limit), by_definition(flat, limit))


@given(
    st.integers(0, 2**32), st.tuples(st.integers(1, 12), st.integers(1, 13)), st.sampled_from([0.1, 0.5, 1.0, 1.5]),
    st.sampled_from([3, 7]),
)  # fmt: skip
def test_any_image_agrees_with_the_definition(seed, shape, limit, side):
    rng = np.random.default_rng(seed)
    # Few different values: many lie on the limit itself.
    flat = rng.choice([-1.0, 0.0, 0.04, 0.05, 0.5, 1.0, 1.5, 2.0, 3.0, np.nan, np.inf], shape)
    np.testing.assert_array_equal(deviant(flat, limit, side=side), by_definition(flat, limit, side))


def test_an_edge_of_light_and_the_dark_are_not_bad():
    slit = np.interp(np.arange(40), [10, 14, 30, 36], [0, 1, 1, 0.0])[:, None]
    flat = np.repeat(slit, 25, axis=1)
    flat[2, 3], flat[:2, 9] = 0.04, -0.01  # what is dark is off by as much as it likes
    assert not deviant(flat, 0.5).any()


def test_many_pixels_are_sorted_in_pieces(monkeypatch):
    flat = np.random.default_rng(2).normal(1, 0.5, (23, 31))
    whole = deviant(flat, 0.3)
    monkeypatch.setattr(badpixels, '_CHUNK', 17)
    np.testing.assert_array_equal(deviant(flat, 0.3), whole)


def test_the_input_is_left_alone():
    flat = np.full((9, 9), np.nan)
    flat[4, 4] = 1
    before = flat.copy()
    bad = deviant(flat, 0.5)
    np.testing.assert_array_equal(flat, before)
    assert not bad[4, 4]
    assert bad.sum() == 80
