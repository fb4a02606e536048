"""pixels/darkcurrent: lines, factors and lines of pixels, against polyfit and loops from the definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels import darkcurrent
from fitsutils.pixels.darkcurrent import PixelLines

RECIPE = [60, 120, 180], [11.8, 17.8, 23.6]


def test_the_recipe_s_three_points():
    line = darkcurrent.fit_line(*RECIPE)
    assert [round(number, 3) for number in (line.offset, line.offset_error, line.slope, line.slope_error)] == [
        5.933, 1.528, 0.098, 0.012,
    ]  # fmt: skip
    assert line.npts == 3
    assert line.chi2 == pytest.approx(2 / 300)


@pytest.mark.parametrize('weighted', [False, True])
def test_lines_are_polyfit_s(weighted):
    rng = np.random.default_rng(11)
    times, counts = rng.uniform(0, 300, 9), rng.normal(50, 20, 9)
    errors = rng.uniform(0.5, 3, 9) if weighted else None
    line = darkcurrent.fit_line(times, counts, errors)
    weights = np.ones(9) if errors is None else 1 / errors
    (slope, offset), covariance = np.polyfit(times, counts, 1, w=weights, cov='unscaled')
    assert (line.offset, line.slope) == (pytest.approx(offset), pytest.approx(slope))
    assert line.slope_error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert line.offset_error == pytest.approx(np.sqrt(covariance[1, 1]))
    assert line.covariance == pytest.approx(covariance[0, 1])
    assert line.chi2 == pytest.approx((((counts - offset - slope * times) * weights) ** 2).sum())
    np.testing.assert_allclose(line.at(times), offset + slope * times)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(-1e3, 1e3)), min_size=2, max_size=8).filter(
        lambda points: len({time for time, _ in points}) > 1
    ),
    st.floats(-100, 100),
    st.floats(0.1, 10),
)
def test_what_is_added_and_multiplied_comes_out_again(points, shift, scale):
    times, counts = np.array(points, 'f8').T
    line, other = darkcurrent.fit_line(times, counts), darkcurrent.fit_line(times, scale * counts + shift)
    tolerance = 1e-9 * (1 + np.abs(counts).max() * scale)
    assert other.slope == pytest.approx(scale * line.slope, abs=tolerance)
    assert other.offset == pytest.approx(scale * line.offset + shift, abs=1e3 * tolerance)
    assert (other.slope_error, other.offset_error) == (line.slope_error, line.offset_error)


def test_errors_scale_with_those_of_the_points():
    one, three = (darkcurrent.fit_line(*RECIPE, [sigma] * 3) for sigma in (1, 3))
    assert three.offset == pytest.approx(one.offset)
    assert three.slope_error == pytest.approx(3 * one.slope_error)
    assert three.chi2 == pytest.approx(one.chi2 / 9)
    tiny = darkcurrent.fit_line(*RECIPE, [1e-20] * 3)
    assert (tiny.offset, tiny.slope_error) == (pytest.approx(one.offset), pytest.approx(1e-20 * one.slope_error))


@pytest.mark.parametrize(
    ('times', 'counts', 'errors', 'rule'),
    [
        ([], [], None, 'there are none'),
        ([60], [1], None, 'all are of 60 s'),
        ([60, 60], [1, 2], None, 'all are of 60 s'),
        ([60, np.nan], [1, 2], None, 'finite'),
        ([60, 90], [1, np.inf], None, 'finite'),
        ([60, 90], [1, 2], [1, 0], 'errors above 0'),
        ([60, 90], [1, 2], [1, -1], 'errors above 0'),
    ],
)
def test_points_that_make_no_line(times, counts, errors, rule):
    with pytest.raises(ValueError, match=rule):
        darkcurrent.fit_line(times, counts, errors)


def test_the_recipe_s_factors():
    factors = darkcurrent.scale_factors(5.9, 0.098, [1, 2, 5, 10, 60, 120, 180], 180)
    assert [f'{factor:.2f}' for factor in factors] == ['0.25', '0.26', '0.27', '0.29', '0.50', '0.75', '1.00']


@pytest.mark.parametrize(
    ('offset', 'slope', 'times', 'reference', 'rule'),
    [
        (0, 0, [1], 180, '0 counts at 180 s'),
        (-30, 0.1, [1], 180, '-12 counts at 180 s'),
        (-1, 0.1, [20, 1], 180, '-0.9 counts at 1 s'),
        (np.nan, 0.1, [1], 180, 'nan counts'),
    ],
)
def test_lines_that_scale_nothing(offset, slope, times, reference, rule):
    with pytest.raises(ValueError, match=rule):
        darkcurrent.scale_factors(offset, slope, times, reference)


def test_errors_of_factors_are_those_of_many_lines():
    """Counts that scatter by 1 give factors that scatter as much as is said."""
    rng = np.random.default_rng(5)
    times, truth = np.array([60.0, 120, 180, 300]), 50 + 0.3 * np.array([60.0, 120, 180, 300])
    lines = [darkcurrent.fit_line(times, truth + rng.normal(0, 1, 4)) for _ in range(3000)]
    factors = [darkcurrent.scale_factors(line.offset, line.slope, [10, 90, 300], 300) for line in lines]
    said = darkcurrent.factor_errors(darkcurrent.fit_line(times, truth), [10, 90, 300], 300)
    np.testing.assert_allclose(np.std(factors, axis=0), said, rtol=0.05, atol=1e-12)
    assert said[2] == 0


def by_hand(values, times, ceiling, bias, weights):
    """One pixel's line, from the normal equations."""
    good = [
        (time, value - bias, weight)
        for time, value, weight, top in zip(times, values, weights, ceiling, strict=True)
        if np.isfinite(value) and value < top and np.isfinite(bias)
    ]
    saturated = any(np.isfinite(value) and value >= top for value, top in zip(values, ceiling, strict=True))
    if len({time for time, *_ in good}) < 2:
        return np.nan, np.nan, np.nan, len(good), saturated
    x, y, w = np.array(good).T
    design = np.stack([np.ones_like(x), x], axis=1)
    offset, slope = np.linalg.solve(design.T @ (design * w[:, None]), design.T @ (w * y))
    return offset, slope, (w * (y - offset - slope * x) ** 2).sum(), len(good), saturated


@pytest.mark.parametrize('dtype', ['u2', 'i4', 'f4', 'f8'])
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('with_bias', [False, True])
def test_lines_of_pixels_are_those_by_hand(dtype, weighted, with_bias):
    rng = np.random.default_rng(17)
    times = [0.0, 10, 10, 25, 60, 0.1, 300]
    n, ny, nx = len(times), 5, 11
    stack = rng.normal(1000, 10, (n, ny, nx)) + rng.exponential(20, (ny, nx)) * np.array(times)[:, None, None]
    stack = np.minimum(stack, 6000).astype(dtype)
    if stack.dtype.kind == 'f':
        stack[rng.random(stack.shape) < 0.2] = np.nan
        stack[:, 2, 3], stack[1:, 4, 4], stack[0, 0, 0] = np.nan, np.inf, -np.inf
        stack[[0, 3, 4, 5, 6], 1, 1] = np.nan  # 10 s alone is left
    bias = np.where(rng.random((ny, nx)) < 0.1, np.nan, rng.normal(990, 3, (ny, nx))) if with_bias else None
    weights = rng.uniform(0.2, 3, n) if weighted else np.ones(n)
    ceilings = [6000.0] * (n - 1) + [5500.0]
    found = darkcurrent.fit_pixels(stack, times, ceilings=ceilings, bias=bias, weights=weights if weighted else None)
    for y in range(ny):
        for x in range(nx):
            own = 0.0 if bias is None else bias[y, x]
            wanted = by_hand(stack[:, y, x].astype('f8'), times, ceilings, own, weights)
            got = [getattr(found, name)[y, x] for name in ('offset', 'rate', 'chi2', 'used', 'saturated')]
            np.testing.assert_allclose(got[:2], wanted[:2], rtol=1e-8, atol=1e-6)
            np.testing.assert_allclose(got[2], wanted[2], rtol=1e-7, atol=1e-5)
            assert (got[3], got[4]) == wanted[3:]
    assert found.saturated.any()
    assert found.used.dtype == np.int16


@pytest.mark.parametrize('time', [0.1, 0.3, 1 / 3])
def test_darks_of_one_time_make_no_line_whatever_rounding_does(time):
    lines = darkcurrent.fit_pixels(np.array([[[1.0]], [[2.0]], [[4.0]]]), [time] * 3, weights=[0.1, 0.7, 3])
    assert np.isnan(lines.rate).all()
    assert np.isnan(lines.offset).all()
    assert np.isnan(lines.chi2).all()


def test_a_line_of_a_pixel_is_the_same_in_any_band():
    rng = np.random.default_rng(3)
    stack = rng.normal(1000, 5, (4, 9, 7)).astype('f4')
    stack[2, 4, 5] = np.nan
    times = [7.0, 60, 120, 300]
    whole, pieced = darkcurrent.fit_pixels(stack, times), PixelLines.empty((9, 7))
    for start in range(0, 9, 2):
        pieced.take(start, min(start + 2, 9), darkcurrent.fit_pixels(stack[:, start : start + 2], times))
    for name in ('offset', 'rate', 'chi2', 'used', 'saturated'):
        assert getattr(whole, name).tobytes() == getattr(pieced, name).tobytes()


def test_inputs_stay_as_they_are():
    stack, bias = np.full((3, 2, 4), 5, 'u2'), np.ones((2, 4))
    darkcurrent.fit_pixels(stack, [1, 2, 3], ceilings=[9] * 3, bias=bias)
    assert (stack == 5).all()
    assert (bias == 1).all()


def test_scatter_is_about_the_line_with_n_minus_2():
    values = np.array([1.0, 2, 4, 4]).reshape(4, 1, 1)
    slope, offset = np.polyfit([0, 1, 2, 3], values.ravel(), 1)
    residuals = values.ravel() - offset - slope * np.arange(4)
    found = darkcurrent.fit_pixels(values, [0, 1, 2, 3])
    assert found.scatter[0, 0] == pytest.approx(np.sqrt((residuals**2).sum() / 2))
    assert np.isnan(darkcurrent.fit_pixels(values[:2], [0, 1]).scatter).all()


def test_darks_of_rates():
    rng = np.random.default_rng(9)
    offset, rate = rng.normal(5, 1, (4, 6)).astype('f4'), rng.normal(0.1, 0.02, (4, 6)).astype('f4')
    rate[1, 2] = np.nan
    found = darkcurrent.dark_of(offset, rate, 7.5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (offset.astype('f8') + rate.astype('f8') * 7.5).astype('f4'))
    assert darkcurrent.dark_of(offset.astype('f8'), rate, 1).dtype == np.float64


@given(st.integers(2, 60), st.integers(1, 3000), st.sampled_from(['u2', 'f4', 'f8']), st.integers(1, 10**9))
def test_bands_stay_within_memory(images, width, dtype, memory):
    rows = darkcurrent.band_rows(images, width, np.dtype(dtype), memory)
    row = darkcurrent.band_bytes(images, width, np.dtype(dtype))
    assert rows * row <= memory
    assert (rows == 0) == (row > memory)


@pytest.mark.parametrize(
    ('level', 'scatter', 'gain', 'frames', 'wanted'),
    [
        (1044, 8.2, 2.06, 1, True),  # a raw dark of the STL-1001E
        (52.4, 8.2, 2.06, 1, False),  # the same without its bias
        (23.6, 3.6, 1.4, 3, False),
        (1027, 4.5, 1.4, 3, True),
        (5000, 50, 1, 1, False),  # dark current of a warm chip
        (0, 5, 1, 1, False),
        (-3, 5, 1, 1, False),
    ],
)
def test_levels_that_are_no_counts(level, scatter, gain, frames, wanted):
    assert darkcurrent.exceeds_counts(level, scatter, gain, frames) is wanted


def test_counts_alone_are_never_taken_for_a_bias():
    rng = np.random.default_rng(2)
    for gain, frames, counts in ((0.3, 1, 20), (1.4, 5, 200), (10, 20, 3000)):
        dark = rng.poisson(counts * gain * frames, 20000) / (gain * frames)
        spread = 0.7413 * np.diff(np.quantile(dark, [0.25, 0.75]))[0]
        assert not darkcurrent.exceeds_counts(np.median(dark), spread, gain, frames)
        assert darkcurrent.exceeds_counts(np.median(dark) + 4 * counts, spread, gain, frames)


@pytest.mark.parametrize(
    ('level', 'scatter', 'expected', 'wanted'),
    [(22, 3, 23.6, True), (12, 0.1, 23.6, True), (47, 0.1, 23.6, True), (50, 1, 23.6, False), (10, 1, 23.6, False),
     (-2, 3, 0.5, True), (1027, 4.5, 23.6, False), (23.6, 4.5, 1027, False)],
)  # fmt: skip
def test_levels_of_a_line(level, scatter, expected, wanted):
    assert darkcurrent.is_level_of(level, scatter, expected) is wanted
