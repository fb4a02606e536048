"""pixels/hotpixels: where wells are full, and which pixels stand out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fitsutils.pixels import darkcurrent, hotpixels
from fitsutils.pixels.darkcurrent import PixelLines

TIMES = [10, 20, 30, 60, 150, 300]
# Pixels as the STL-1001E has them: full at once, after 60 s, at the last; steep but never full; a cosmic ray's; quiet.
PIXELS = {
    'at once': [47318, 63345, 62458, 62069, 61996, 61945],
    'after 60 s': [14777, 27294, 38968, 63743, 63537, 62069],
    'at last': [5158, 9201, 13097, 24990, 60317, 62617],
    'steep': [3311, 5444, 7624, 14136, 34024, 65224],
    'a ray': [1002, 64000, 1004, 1011, 1029, 1059],
    'two levels': [1002, 1500, 1504, 1511, 1529, 1559],
    'quiet': [994, 996, 998, 1003, 1019, 1044],
}


def stack(*names, dtype='f8'):
    return np.array([PIXELS[name] for name in names], dtype).T[:, None, :]


@pytest.mark.parametrize(
    ('name', 'wanted'), [('at once', 61945), ('after 60 s', 62069), ('at last', 62617), ('steep', None),
                         ('a ray', None), ('quiet', None)],
)  # fmt: skip
@pytest.mark.parametrize('dtype', ['u2', 'f4', 'f8'])
def test_pixels_that_stop_rising(name, wanted, dtype):
    found = hotpixels.plateaus(stack(name, dtype=dtype), TIMES)
    assert (found.min() if found.size else None) == wanted


def test_the_order_of_the_darks_does_not_matter_and_equal_times_are_one():
    darks = stack(*PIXELS)
    order = [3, 0, 5, 1, 4, 2]
    shuffled = hotpixels.plateaus(darks[order], [TIMES[place] for place in order])
    np.testing.assert_array_equal(shuffled, hotpixels.plateaus(darks, TIMES))
    twice = hotpixels.plateaus(np.concatenate([darks, darks]), TIMES + TIMES)
    np.testing.assert_array_equal(twice, hotpixels.plateaus(darks, TIMES))


@pytest.mark.parametrize('times', [[5, 5, 5], [5, 9, 9], [5, 9]])
def test_fewer_than_three_times_tell_nothing(times):
    darks = np.array([1000, 60000, 60001][: len(times)], 'f8').reshape(-1, 1, 1)
    assert hotpixels.plateaus(darks, times).size == 0


def test_missing_values_are_no_plateau():
    darks = stack('at once', 'after 60 s')
    darks[1, 0, 0], darks[4, 0, 1] = np.nan, np.inf
    found = hotpixels.plateaus(darks, TIMES)
    assert np.isfinite(found).all()


def test_the_ceiling_is_the_lowest_plateau_near_the_top():
    darks = stack(*PIXELS)
    assert hotpixels.ceiling(hotpixels.plateaus(darks, TIMES), darks.max()) == 61945
    quiet = stack('quiet', 'steep', 'a ray')
    assert hotpixels.ceiling(hotpixels.plateaus(quiet, TIMES), quiet.max()) == np.inf
    assert hotpixels.ceiling(np.array([-5.0]), -5.0) == np.inf


def test_noise_gives_no_ceiling():
    rng = np.random.default_rng(6)
    darks = rng.normal(3, 6, (6, 90, 70)) + 0.17 * np.array(TIMES)[:, None, None]  # without its bias
    darks[:, 3, 4] += 20 * np.array(TIMES)
    assert hotpixels.ceiling(hotpixels.plateaus(darks, TIMES), darks.max()) == np.inf


def lines_of(seed=8, shape=(130, 150), n=6):
    """Lines of noise about a rate that a glow in a corner raises, with five bad pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    rate = 0.17 + 3 * np.exp(-(x + y) / 40)
    times = np.array(TIMES[:n], 'f8')
    darks = 5 + rate * times[:, None, None] + rng.normal(0, 6, (n, *shape))
    darks[:, 20, 30] += 2 * times  # hot
    darks[:, 90, 40] -= 1 * times  # below all others
    darks[3, 60, 70] += 400  # a cosmic ray
    darks[:, 10, 140] = np.nan
    darks[1:, 77, 88] = 65535
    return darkcurrent.fit_pixels(darks, list(times), ceilings=[65535] * n)


def test_bad_pixels_are_found_and_counted():
    found = hotpixels.find_bad(lines_of(), 6, 6, 300)
    assert np.argwhere(found.of('hot')).tolist() == [[20, 30], [90, 40]]
    assert np.argwhere(found.of('unfit')).tolist() == [[60, 70]]
    assert np.argwhere(found.of('missing')).tolist() == [[10, 140], [77, 88]]
    assert np.argwhere(found.of('saturated')).tolist() == [[77, 88]]
    assert found.counts() == {'saturated': 1, 'missing': 2, 'unfit': 1, 'hot': 2}
    assert found.mask.dtype == np.uint8
    assert found.mask.sum() == 5


def test_an_infinite_limit_finds_none():
    found = hotpixels.find_bad(lines_of(), np.inf, np.inf, 300)
    assert found.counts() == {'saturated': 1, 'missing': 2, 'unfit': 0, 'hot': 0}


def test_data_without_noise_have_no_odd_pixels():
    """What is left of them is rounding, and nobody's business."""
    times, y = [10.0, 20, 60, 180], np.arange(40.0)
    darks = (7 + 0.1 * y + np.multiply.outer(times, 0.3 + 0.001 * y)).reshape(4, 5, 8).astype('f4')
    lines = darkcurrent.fit_pixels(darks, times)
    found = hotpixels.find_bad(lines, 5, 5, 180)
    assert found.mask.sum() == 0
    darks[2, 3, 3] += 1
    assert np.argwhere(hotpixels.find_bad(darkcurrent.fit_pixels(darks, times), 5, 5, 180).mask).tolist() == [[3, 3]]


def test_nothing_good_is_nothing_to_compare_with():
    empty = np.full((3, 5), np.nan)
    lines = PixelLines(empty, empty, empty, np.zeros((3, 5), 'i2'), np.zeros((3, 5), bool))
    found = hotpixels.find_bad(lines, 5, 5, 60)
    assert found.of('missing').all()
    assert found.counts()['hot'] == found.counts()['unfit'] == 0


@pytest.mark.parametrize('freedom', [1, 2, 4, 9])
def test_unlikely_residuals_are_as_rare_as_is_said(freedom):
    rng = np.random.default_rng(freedom)
    chi2 = 7.3**2 * rng.chisquare(freedom, (1000, 1000))
    found = hotpixels.unlikely(chi2, np.full(chi2.shape, freedom + 2), 3)
    assert found.mean() == pytest.approx(2 * stats.norm.sf(3), rel=0.1)
    limit = 7.3**2 * stats.chi2.isf(2 * stats.norm.sf(3), freedom)
    assert chi2[found].min() == pytest.approx(limit, rel=0.02)


def test_pixels_with_fewer_values_are_judged_by_their_own_distribution():
    rng = np.random.default_rng(1)
    used = rng.integers(2, 7, (400, 500))
    chi2 = np.where(used > 2, rng.chisquare(np.maximum(used - 2, 1)), 0.0)
    chi2[5, 5] = np.nan
    found = hotpixels.unlikely(chi2, used, 3)
    assert not found[used == 2].any()
    assert not found[5, 5]
    for count in (3, 4, 6):
        assert found[used == count].mean() == pytest.approx(2 * stats.norm.sf(3), rel=0.5)


def test_the_background_follows_what_is_smooth():
    y, x = np.mgrid[:150, :200]
    smooth = 1 + 0.01 * x + 0.02 * y
    rng = np.random.default_rng(4)
    spotted = np.where(rng.random(smooth.shape) < 0.05, 1e4, smooth)
    found = hotpixels.background(spotted, np.isfinite(spotted))
    np.testing.assert_allclose(found, smooth, atol=0.12)


def test_squares_without_good_pixels_have_the_median_of_all():
    values, good = np.full((32, 96), 2.0), np.ones((32, 96), bool)
    values[:, :32], good[:, :32] = 99, False
    assert (hotpixels.background(values, good) == 2).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20))
def test_a_background_of_equal_pixels_is_that(ny, nx, box):
    values = np.full((ny, nx), 3.5)
    np.testing.assert_allclose(hotpixels.background(values, np.ones((ny, nx), bool), box), values)


def test_standing_out_without_spread_takes_the_plain_sigma():
    values = np.zeros((10, 10))
    values[4, 5], values[7, 1] = 40, np.nan
    found = hotpixels.standing_out(values, np.isfinite(values), 5)
    assert np.argwhere(found).tolist() == [[4, 5]]


@pytest.mark.parametrize('dtype', ['f4', 'f8'])
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_a_median_of_pieces_is_numpy_s(dtype, seed, sizes):
    rng = np.random.default_rng(seed)
    pieces = [(rng.normal(0, 1, size) * 10.0 ** rng.integers(-30, 30, size)).astype(dtype) for size in sizes]
    pieces = [np.where(rng.random(len(piece)) < 0.3, 0, piece).astype(dtype) for piece in pieces]
    found, values = hotpixels.median_of(lambda: iter(pieces)), np.concatenate(pieces)
    np.testing.assert_equal(found, np.median(values.astype('f8')) if values.size else np.nan)


def test_single_precision_finds_the_same_pixels():
    lines = lines_of()
    single = PixelLines.empty(lines.rate.shape, 'f4')
    single.take(0, len(lines.rate), lines)
    np.testing.assert_array_equal(
        hotpixels.find_bad(single, 6, 6, 300).reasons, hotpixels.find_bad(lines, 6, 6, 300).reasons
    )
