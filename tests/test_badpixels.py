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


def excess_by_definition(dark, limit, side=7):
    half = side // 2
    wide = np.pad(np.asarray(dark, 'f8'), half, mode='symmetric')
    bad = np.zeros(dark.shape, bool)
    for y, x in np.ndindex(dark.shape):
        around = wide[y : y + side, x : x + side]
        value = dark[y, x]
        bad[y, x] = not np.isfinite(value) or value - np.median(around[np.isfinite(around)]) > limit
    return bad


@pytest.mark.parametrize('limit', [0.5, 3.0, 40.0])
@pytest.mark.parametrize('dtype', ['f4', 'f8', 'u2'])
def test_excess_agrees_with_the_definition(limit, dtype):
    rng = np.random.default_rng(5)
    dark = rng.normal(100, 2, (19, 26)) + rng.choice([0, 50, -50], (19, 26), p=[0.9, 0.08, 0.02])
    dark = (dark + np.arange(26) * 3).astype(dtype)
    if dtype != 'u2':
        dark[3, 4], dark[18, 25], dark[0, 0] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(badpixels.above(dark, limit), excess_by_definition(dark, limit))


@pytest.mark.parametrize('shape', [(30, 41), (2, 41), (5, 3), (1, 1)])
@pytest.mark.parametrize('side', [3, 7])
def test_the_level_is_a_quantile_of_medians(shape, side):
    flat = np.random.default_rng(6).normal(200, 5, shape)
    flat[0, -1] = np.nan if flat.size > 1 else 200
    half = side // 2
    wide = np.pad(flat, half, mode='symmetric')
    whole = shape[0] <= half or shape[1] <= half
    rows = range(shape[0]) if whole else range(half, shape[0], side)
    columns = range(shape[1]) if whole else range(half, shape[1], side)
    medians = [np.nanmedian(wide[y : y + side, x : x + side]) for y in rows for x in columns]
    assert badpixels.level(flat, side=side) == pytest.approx(np.quantile(medians, 0.9), rel=1e-12)


def test_the_level_of_nothing():
    assert np.isnan(badpixels.level(np.full((9, 8), np.nan)))
