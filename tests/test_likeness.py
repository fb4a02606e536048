import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels.likeness import Likeness, row_moments


def scene(rows=23, columns=41):
    """Something to be seen: two stars on a sloping sky."""
    y, x = np.mgrid[:rows, :columns]
    stars = sum(np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8) for x0, y0 in ((9, 6), (30, 15)))
    return 100 + 0.5 * x + 80 * stars


def stack_of(dtype, n=6, seed=1):
    rng = np.random.default_rng(seed)
    return (scene() + rng.normal(0, 5, (n, *scene().shape))).astype(dtype)


def correlations(band, middle, height=None):
    likeness = Likeness(len(band))
    height = height or len(middle)
    for start in range(0, len(middle), height):
        likeness.add(band[:, start : start + height], middle[start : start + height])
    return likeness.correlations()


def by_definition(image, middle):
    good = np.isfinite(image) & np.isfinite(middle)
    return np.corrcoef(image[good].astype('f8'), middle[good].astype('f8'))[0, 1]


@pytest.mark.parametrize('dtype', ['u1', 'u2', 'i2', 'i4', 'f4', 'f8'])
def test_agrees_with_the_definition(dtype):
    band = stack_of(dtype)
    middle = np.median(band, axis=0)
    np.testing.assert_allclose(correlations(band, middle), [by_definition(image, middle) for image in band], rtol=1e-12)


@pytest.mark.parametrize('dtype', ['f4', 'f8'])
def test_pixels_that_either_misses_are_left_out(dtype):
    band = stack_of(dtype)
    middle = np.median(band, axis=0)
    rng = np.random.default_rng(4)
    band[1:][rng.random(band[1:].shape) < 0.2] = np.nan
    band[2, 5] = np.nan
    band[3, 0, 0], band[3, 1, 1] = np.inf, -np.inf
    middle[rng.random(middle.shape) < 0.1] = np.nan
    middle[7] = np.nan
    wanted = [by_definition(image, middle) for image in band]
    np.testing.assert_allclose(correlations(band, middle), wanted, rtol=1e-12)


def test_level_and_scale_do_not_matter():
    """Also where squares of the values would leave nothing of the differences in float64."""
    middle = scene() - scene().mean()
    noise = np.random.default_rng(2).normal(0, 5, middle.shape)
    wanted = by_definition(middle + noise, middle)
    band = np.array([middle + noise, 1e-6 * (middle + noise) - 3, 1e9 + middle + noise])
    np.testing.assert_allclose(correlations(band, middle), wanted, rtol=1e-8)
    np.testing.assert_allclose(correlations(band, middle + 1e9), wanted, rtol=1e-6)


def test_the_frame_that_is_another_field_stands_out():
    band = stack_of('u2')
    band[2] = band[2, ::-1, ::-1]
    found = correlations(band, np.median(band, axis=0))
    assert found.argmin() == 2
    assert found[2] < 0.7 < np.delete(found, 2).min()


def test_perfect_likeness():
    middle = scene()
    np.testing.assert_allclose(correlations(np.array([middle, -middle, 3 * middle]), middle), [1, -1, 1], rtol=1e-15)


@pytest.mark.parametrize('value', [0, 0.1, 1 / 3, 1e300, -7.7e-300])
def test_a_constant_looks_like_nothing(value):
    middle = scene()
    band = np.stack([np.full_like(middle, value), middle])
    found = correlations(band, middle, 4)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1, rel=1e-15)
    assert np.isnan(correlations(band, np.full_like(middle, value))).all()


@pytest.mark.parametrize('pixels', [0, 1])
def test_too_few_pixels(pixels):
    middle = scene()
    band = np.full((1, *middle.shape), np.nan)
    band[0, 3, :pixels] = 5
    assert np.isnan(correlations(band, middle)).all()
    assert np.isnan(Likeness(3).correlations()).all()


def test_squares_beyond_float64_spoil_their_own_image_only():
    middle = scene()
    band = np.array([middle * 1e300, middle, 1.7e308 * np.sign(middle - 120)])
    found = correlations(band, middle)
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == pytest.approx(1, rel=1e-15)


@given(st.integers(1, 24), st.sampled_from(['u2', 'f4', 'f8']), st.integers(0, 3))
def test_any_height_of_the_bands_gives_the_same_bits(height, dtype, gaps):
    band = stack_of(dtype, 3)
    middle = np.median(band, axis=0)
    if dtype != 'u2':
        band[1, 4 : 4 + gaps, 9] = np.nan
        middle[11, :gaps] = np.inf
    np.testing.assert_array_equal(correlations(band, middle, height), correlations(band, middle))


def test_large_bands_are_worked_on_in_parts(monkeypatch):
    band = stack_of('f4')
    band[1, 3, 3] = np.nan
    middle = np.median(band, axis=0)
    whole = correlations(band, middle)
    monkeypatch.setattr('fitsutils.pixels.likeness._CHUNK', 100)
    np.testing.assert_array_equal(correlations(band, middle), whole)


def test_moments_taken_elsewhere():
    band = stack_of('u2')
    middle = np.median(band, axis=0)
    likeness = Likeness(len(band))
    moments = [row_moments(band[:, part], middle[part]) for part in (slice(0, 10), slice(10, 23))]
    for each in moments:
        likeness.take(each)
    np.testing.assert_array_equal(likeness.correlations(), correlations(band, middle))
    assert row_moments(band, middle).shape == (6, len(band), 23)


def test_neither_is_changed():
    band, middle = stack_of('f8'), scene()
    band[0, 0, 0] = np.nan
    before = band.copy(), middle.copy()
    correlations(band, middle)
    np.testing.assert_array_equal(band, before[0])
    np.testing.assert_array_equal(middle, before[1])
