"""pixels/combining, sorting, scaling, rejection: against loops written from the definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitsutils.pixels import combining, rejection, scaling, sorting
from fitsutils.pixels.combining import Recipe


def from_definition(values, weights, method, clip, fraction):
    """One pixel, in float64 and in Python."""
    pairs = sorted((float(v), w) for v, w in zip(values, weights, strict=True) if np.isfinite(v))
    pairs = pairs[clip[0] : len(pairs) - clip[1]]
    if not pairs:
        return np.nan
    kept, beside = np.array(pairs).T
    mean = sum(kept) / len(kept)
    variance = sum((kept - mean) ** 2) / len(kept)
    place = fraction * (len(kept) - 1)
    low = int(place)
    high = min(low + 1, len(kept) - 1)
    middle = kept[(len(kept) - 1) // 2] / 2 + kept[len(kept) // 2] / 2
    return {
        'average': sum(kept * beside) / sum(beside),
        'max': kept[-1],
        'mean': mean,
        'median': middle,
        'min': kept[0],
        'quantile': kept[low] + (kept[high] - kept[low]) * (place - low),
        'rms': variance**0.5,
        'std': variance**0.5,
        'sum': sum(kept),
        'var': variance,
    }[method]


def expected(band, method, *, clip=(0, 0), scales=None, weights=None, fraction=0.5):
    number = len(band)
    scaled = band.astype('f8') * np.reshape(np.ones(number) if scales is None else scales, (number, 1, 1))
    beside = np.ones(number) if weights is None else weights
    out = np.empty(band.shape[1:])
    for place in np.ndindex(*out.shape):
        out[place] = from_definition(scaled[(slice(None), *place)], beside, method, clip, fraction)
    return out


def combine(band, method='median', *, clip=(0, 0), scales=None, weights=None, fraction=0.5):
    return combining.combine_band(band, Recipe(method, *clip, fraction), scales=scales, weights=weights)


def stack(number, dtype, *, gaps=False):
    rng = np.random.default_rng(number)
    band = rng.normal(1000, 30, (number, 4, 5)).astype(dtype)
    if gaps:
        band[rng.uniform(size=band.shape) < 0.3] = np.nan
        band[0, 1, 2] = np.inf
        band[:, 3, 4] = np.nan
    return band


@pytest.mark.parametrize('method', combining.METHODS)
@pytest.mark.parametrize('clip', [(0, 0), (0, 1), (1, 0), (1, 2)])
@pytest.mark.parametrize(
    ('number', 'dtype', 'gaps'), [(7, 'u2', False), (6, 'f4', False), (8, 'f8', True), (7, 'f4', True)]
)
def test_against_the_definition(method, clip, number, dtype, gaps):
    band = stack(number, dtype, gaps=gaps)
    weights = np.linspace(1, 2, number) if method == 'average' else None
    found = combine(band, method, clip=clip, weights=weights, fraction=0.3)
    wanted = expected(band, method, clip=clip, weights=weights, fraction=0.3)
    np.testing.assert_allclose(
        found, wanted, rtol=2e-7 if dtype == 'f4' else 1e-12, atol=1e-3 if method == 'var' else 1e-9
    )


@pytest.mark.parametrize('method', combining.METHODS)
def test_scaling_comes_before_rejection(method):
    band = stack(5, 'u2')
    scales = np.array([1.0, 0.5, 2.0, 1.3, 0.9])
    found = combine(band, method, clip=(0, 1), scales=scales)
    np.testing.assert_allclose(found, expected(band, method, clip=(0, 1), scales=scales), rtol=3e-6)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two():
    band = np.array([1, 2, 3, 10], 'u2').reshape(4, 1, 1)
    assert combine(band)[0, 0] == 2.5


def test_weights_of_dropped_values_do_not_count():
    band = np.array([1.0, 1.0, 99.0]).reshape(3, 1, 1)
    assert combine(band, 'average', clip=(0, 1), weights=np.array([1, 1, 2]))[0, 0] == 1
    band[1] = np.nan
    assert combine(band, 'average', weights=np.array([1, 1, 3]))[0, 0] == (1 + 3 * 99) / 4


def test_missing_values_are_left_out_of_the_mean():
    band = np.array([100, 101, np.nan, 103, 104]).reshape(5, 1, 1)
    assert combine(band, 'mean')[0, 0] == 102


def test_a_mean_of_many_bright_frames_is_exact():
    band = np.full((1000, 1, 3), 60001, 'f4')
    np.testing.assert_array_equal(combine(band, 'mean'), [[60001] * 3])


def test_more_dropped_than_there_are_leaves_nothing():
    assert np.isnan(combine(stack(3, 'f4'), 'mean', clip=(2, 1))).all()


def test_the_band_is_not_changed():
    band = stack(6, 'f4', gaps=True)
    before = band.copy()
    combine(band, 'median', clip=(1, 1), scales=np.linspace(1, 2, 6))
    np.testing.assert_array_equal(band, before)


@given(
    hnp.arrays('u2', st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 5))),
    st.sampled_from(combining.METHODS),
    st.randoms(use_true_random=False),
)
def test_order_of_images_does_not_matter(band, method, random):
    order = list(range(len(band)))
    random.shuffle(order)
    first = combine(band, method)
    np.testing.assert_allclose(combine(band[order], method), first, rtol=1e-12, atol=1e-9)


@given(hnp.arrays('f4', (3, 4), elements=st.floats(-1e6, 1e6, width=32)), st.integers(1, 6))
def test_copies_of_an_image_combine_to_it(image, number):
    band = np.stack([image] * number)
    for method in ('mean', 'median', 'min', 'max', 'average', 'quantile'):
        np.testing.assert_allclose(combine(band, method), image, rtol=1e-12)
    np.testing.assert_allclose(combine(band, 'std'), 0, atol=1e-6)


@given(st.integers(1, 5), st.sampled_from(combining.METHODS), st.booleans())
def test_bands_give_the_whole(height, method, gaps):
    band = stack(5, 'f4', gaps=gaps)
    whole = combine(band, method, clip=(0, 1))
    parts = [combine(band[:, row : row + height], method, clip=(0, 1)) for row in range(0, 4, height)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize('bits', [-3, -1, 0, 2, 8])
@pytest.mark.parametrize('dtype', ['u1', 'i2', 'u2', 'i4'])
def test_shifted(bits, dtype):
    data = np.array([0, 1, 7, 100, np.iinfo(dtype).max], dtype)
    wanted = [int(value) << bits if bits > 0 else int(value) >> -bits for value in data]
    assert combining.shifted(data, bits).tolist() == wanted


def test_shifts_that_are_refused():
    with pytest.raises(ValueError, match='only integer data'):
        combining.check_shift(np.dtype('f4'), 1)
    with pytest.raises(ValueError, match='can not be shifted'):
        combining.check_shift(np.dtype('i4'), 32)


@pytest.mark.parametrize(
    ('dtypes', 'bits', 'wanted'),
    [(['u2', 'i2'], 0, 'f4'), (['u2', 'f8'], 0, 'f8'), (['i4'], 0, 'f8'), (['u2'], 8, 'f4'), (['u2'], 9, 'f8')],
)
def test_type_of_the_result(dtypes, bits, wanted):
    assert combining.new_result((2, 3), [np.dtype(name) for name in dtypes], bits).dtype == wanted


def test_bands_stay_within_the_memory():
    for images, width, dtype in itertools.product((2, 50, 1000), (300, 4096), ('u2', 'f4', 'f8')):
        rows = combining.band_rows(images, width, np.dtype(dtype), 10**8)
        assert rows * images * width * np.dtype(dtype).itemsize < 10**8
    assert combining.band_rows(1000, 4096, np.dtype('f4'), 10**6) == 0


def test_values_beyond_float32_make_the_result_float64():
    result = np.ones((4, 3), 'f4')
    assert combining.with_rows(result, 1, np.full((2, 3), 7.0)) is result
    wide = combining.with_rows(result, 3, np.full((1, 3), 6e38))
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, [[1] * 3, [7] * 3, [7] * 3, [6e38] * 3])


def test_scaled_values_beyond_float32_are_not_missing():
    band = np.full((2, 1, 3), 3e38, 'f4')
    np.testing.assert_allclose(combine(band, 'mean', scales=np.array([1.0, 10.0])), 1.65e39, rtol=1e-6)


def test_count_missing():
    assert combining.count_missing(np.array([1, np.nan, np.inf])) == 2


@pytest.mark.parametrize('dtype', ['u2', 'i2', 'f4', 'f8'])
def test_ranked(dtype):
    values = np.random.default_rng(1).integers(0, 50, (7, 11)).astype(dtype)
    weights = values.astype('f8') * 3
    found, beside = sorting.ranked(values, weights)
    np.testing.assert_array_equal(found, np.sort(values, axis=0))
    np.testing.assert_array_equal(beside, found * 3.0)
    np.testing.assert_array_equal(sorting.ranked(values)[0], found)


@pytest.mark.parametrize(('clip', 'wanted'), [('none', (0, 0)), ('min', (2, 0)), ('max', (0, 3)), ('minmax', (2, 3))])
def test_rank_counts(clip, wanted):
    assert rejection.rank_counts(clip, (2, 3)) == wanted


@pytest.mark.parametrize('dtype', ['u2', 'i4', 'f4', 'f8'])
def test_levels(dtype):
    pixels = np.random.default_rng(2).integers(10, 20, (5, 7)).astype(dtype)
    assert scaling.level(pixels, 'mean') == pytest.approx(pixels.mean(dtype='f8'))
    assert scaling.level(pixels, 'median') == np.median(pixels)
    assert scaling.level(pixels, 'sum') == pixels.sum(dtype='f8')


def test_the_mode_of_integers_is_the_most_frequent_value():
    assert scaling.level(np.array([5, 3, 3, 9, 9], 'u2'), 'mode') == 3


def test_levels_leave_missing_pixels_out():
    pixels = np.array([1.0, np.nan, 3.0, np.inf, 8.0], 'f4')
    assert [scaling.level(pixels, name) for name in ('mean', 'median', 'sum')] == [4.0, 3.0, 12.0]
    assert np.isnan(scaling.level(np.array([np.nan]), 'mean'))


@pytest.mark.parametrize('dtype', ['u4', 'i8', 'u8'])
def test_levels_of_large_integers_do_not_wrap(dtype):
    pixels = np.full((40, 50), np.iinfo(dtype).max, dtype)
    assert scaling.level(pixels, 'sum') == pytest.approx(2000 * float(np.iinfo(dtype).max))


def test_factors():
    np.testing.assert_allclose(scaling.factors([100, 50, 400]), [1, 2, 0.25])
    np.testing.assert_allclose(scaling.factors([100, 50], 10), [0.1, 0.2])


@pytest.mark.parametrize('bad', [0.0, -1.0, np.nan, np.inf])
def test_factors_refuse_what_is_no_level(bad):
    with pytest.raises(ValueError, match='levels must be positive'):
        scaling.factors([100, bad])
