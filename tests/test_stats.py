import math
import statistics
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels import stats
from fitsutils.pixels.stats import describe, distribution

KINDS = ('u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f4', 'f8', '>i2', '>f4')


def sample(kind, shape=(37, 23)):
    rng = np.random.default_rng(20210227)
    dtype = np.dtype(kind)
    if dtype.kind == 'f':
        return rng.normal(1000, 30, shape).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -5000), min(limits.max, 5000)
    return rng.integers(low, high, shape, dtype=dtype.newbyteorder('='), endpoint=True).astype(dtype)


def one(pixels, name, mask=None):
    return describe(distribution(np.asarray(pixels), mask), [name])[name]


class TestAgainstNumpyAndScipy:
    @pytest.mark.parametrize('kind', KINDS)
    def test_every_type(self, kind):
        pixels = sample(kind)
        before = pixels.copy()
        flat = pixels.astype('f8').ravel()
        found = describe(distribution(pixels), stats.NAMES)
        assert found['num'] == 37 * 23
        assert found['nbad'] == 0
        expected = {
            'sum': flat.sum(), 'mean': flat.mean(), 'average': flat.mean(), 'median': np.median(flat),
            'rms': flat.std(), 'std': flat.std(), 'var': flat.var(), 'min': flat.min(), 'max': flat.max(),
            'mad': scipy.stats.median_abs_deviation(flat), 'rstd': 0.7413 * np.subtract(*np.percentile(flat, [75, 25])),
            'skew': scipy.stats.skew(flat), 'kurtosis': scipy.stats.kurtosis(flat),
        }  # fmt: skip
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-10), name
        if pixels.dtype.kind in 'iu':
            assert found['sum'] == sum(map(int, pixels.ravel()))
            assert found['mode'] == scipy.stats.mode(flat).mode
            assert all(isinstance(found[name], int) for name in ('num', 'nbad', 'sum', 'min', 'max'))
        np.testing.assert_array_equal(pixels, before)

    @pytest.mark.parametrize('kind', KINDS)
    @pytest.mark.parametrize('percent', ['0', '2.5', '15.8655', '50', '97.5', '100'])
    def test_percentiles(self, kind, percent):
        pixels = sample(kind)
        expected = np.quantile(pixels.astype('f8'), float(percent) / 100)
        assert one(pixels, f'q{percent}') == pytest.approx(expected, rel=1e-12)

    @given(hnp.arrays(np.dtype('i2'), st.integers(1, 40)), st.floats(0, 100))
    def test_bins_and_sorting_agree(self, pixels, percent):
        """16-bit integers go through one histogram, others through a sort: the answer is the same."""
        names = [*stats.NAMES, f'q{percent:.3f}']
        binned, ordered = describe(distribution(pixels), names), describe(distribution(pixels.astype('i4')), names)
        for name in names:
            assert binned[name] == pytest.approx(ordered[name], rel=1e-9, abs=1e-9, nan_ok=True), name

    def test_known_numbers(self):
        """1 to 101: quartiles 26 and 76, median 51, robust sigma 0.7413 * 50."""
        found = describe(distribution(np.arange(1, 102)), ['q25', 'median', 'q75', 'rstd', 'mad', 'mean', 'num'])
        assert list(found.values()) == [26, 51, 76, 37.065, 25, 51, 101]

    def test_more_than_one_chunk(self, monkeypatch):
        expected = describe(distribution(sample('i2')), stats.NAMES), describe(distribution(sample('f4')), stats.NAMES)
        monkeypatch.setattr(stats, '_CHUNK', 100)
        for kind, before in zip(('i2', 'f4'), expected, strict=True):
            assert describe(distribution(sample(kind)), stats.NAMES) == pytest.approx(before, rel=1e-12)


class TestExact:
    def test_sums_do_not_wrap(self):
        assert one(np.full((50, 70), 65535, 'u2'), 'sum') == 65535 * 3500
        assert one(np.full((50, 70), -(2**31), 'i4'), 'sum') == -(2**31) * 3500
        assert one(np.full((5, 7), 2**64 - 1, 'u8'), 'sum') == (2**64 - 1) * 35
        assert one(np.full((5, 7), -(2**63), 'i8'), 'sum') == -(2**63) * 35
        assert one(np.array([2**64 - 1, 0], 'u8'), 'max') == 2**64 - 1

    def test_a_float32_mean_is_summed_in_float64(self):
        assert one(np.full(1_000_003, 60_000.1, 'f4'), 'mean') == float(np.float32(60_000.1))

    @pytest.mark.parametrize('kind', ['f4', 'f8'])
    def test_beyond_float64_is_inf_without_a_warning(self, kind):
        largest = np.finfo(kind).max
        found = describe(distribution(np.array([largest, -largest, largest], kind)), stats.NAMES)
        assert found['max'] == largest
        assert found['median'] == largest
        assert not math.isnan(found['rms'])

    @given(hnp.arrays('f8', st.integers(3, 30), elements=st.floats(-1e6, 1e6)), st.floats(-1e3, 1e3), st.floats(0.1, 9))
    def test_shift_and_scale(self, pixels, shift, scale):
        """Places move with the pixels, widths only with their scale."""
        before, after = (describe(distribution(a), stats.NAMES) for a in (pixels, pixels * scale + shift))
        tolerance = {'rel': 1e-6, 'abs': 1e-6 * (np.abs(pixels).max() * scale + abs(shift) + 1)}
        for name in ('mean', 'median', 'min', 'max'):
            assert after[name] == pytest.approx(before[name] * scale + shift, **tolerance)
        for name in ('rms', 'mad', 'rstd'):
            assert after[name] == pytest.approx(before[name] * scale, **tolerance)


class TestBadPixels:
    def test_nan_and_inf_are_left_out_and_counted(self):
        pixels = np.array([100, 101, np.nan, 103, 104, np.inf, -np.inf], 'f4')
        assert describe(distribution(pixels), ['num', 'nbad', 'mean', 'max']) == {
            'num': 4, 'nbad': 3, 'mean': 102.0, 'max': 104.0,
        }  # fmt: skip

    @pytest.mark.parametrize('kind', ['u2', 'i4', 'f8'])
    def test_masks(self, kind):
        pixels = sample(kind)
        mask = np.random.default_rng(1).random(pixels.shape) < 0.3
        found = describe(distribution(pixels, mask), ['num', 'nbad', 'median', 'sum'])
        good = pixels[~mask]
        assert found['num'] == good.size
        assert found['nbad'] == mask.sum()
        assert found['median'] == np.median(good)
        assert found['sum'] == pytest.approx(good.astype('f8').sum())

    def test_a_masked_nan_counts_once(self):
        assert one(np.array([1.0, np.nan, 3.0]), 'nbad', np.array([True, True, False])) == 2

    @pytest.mark.parametrize('pixels', [np.full((3, 4), np.nan), np.empty((0, 4), 'f4'), np.empty(0, 'u2')])
    def test_nothing_left(self, pixels):
        found = describe(distribution(pixels), [*stats.NAMES, 'q50'])
        assert (found.pop('num'), found.pop('nbad'), found.pop('sum')) == (0, pixels.size, 0)
        assert all(math.isnan(value) for value in found.values())
        assert distribution(pixels).clipped(3).num == 0

    @pytest.mark.parametrize('kind', ['u2', 'f4'])
    def test_one_pixel_and_equal_pixels(self, kind):
        found = describe(distribution(np.full((1, 1), 7, kind)), stats.NAMES)
        assert (found['median'], found['rms'], found['mad'], found['mode']) == (7, 0, 0, 7)
        assert math.isnan(found['skew'])
        assert one(np.full((3, 4), 7, kind), 'kurtosis') != 0


class TestMode:
    def test_of_integers_is_the_most_frequent_the_smallest_of_several(self):
        for kind in ('i2', 'i4', 'u8'):
            assert one(np.array([5, 3, 3, 9, 9, 1], kind), 'mode') == 3

    @pytest.mark.parametrize(
        ('values', 'mode'),
        [
            ([4.0], 4.0),
            ([1.0, 2.0], 1.5),
            ([1.0, 2.0, 4.0], 1.5),
            ([1.0, 3.0, 4.0], 3.5),
            ([1.0, 2.0, 3.0], 2.0),
            ([0.0, 5.0, 6.0, 7.0, 9.5, 20.0], 6.0),
        ],
    )
    def test_half_sample_mode(self, values, mode):
        assert stats.half_sample_mode(np.array(values)) == pytest.approx(mode)

    def test_of_a_skewed_sky(self):
        """Stars drag the mean, not the mode."""
        rng = np.random.default_rng(7)
        pixels = np.concatenate([rng.normal(200, 5, 20_000), rng.uniform(200, 5000, 3000)]).astype('f4')
        assert one(pixels, 'mode') == pytest.approx(200, abs=3)
        assert one(pixels, 'mean') > 400


def clipped_by_hand(values, limit):
    """The definition, a value at a time."""
    left = sorted(float(value) for value in values)
    while len(left) >= 3:
        centre = statistics.median(left)
        sigma = math.sqrt(sum((value - centre) ** 2 for value in left) / (len(left) - 1))
        kept = [value for value in left if abs(value - centre) <= limit * sigma]
        if len(kept) == len(left):
            break
        left = kept
    return left


class TestClipping:
    @pytest.mark.parametrize('limit', [1.0, 2.0, 3.0, 4.5])
    @pytest.mark.parametrize('kind', ['u2', 'i4', 'f4', 'f8'])
    def test_against_the_definition(self, kind, limit):
        pixels = sample(kind, (19, 11)).copy()
        pixels.flat[::17] = 4000
        expected = clipped_by_hand(pixels.ravel(), limit)
        found = distribution(pixels).clipped(limit)
        assert (found.num, found.nbad) == (len(expected), pixels.size - len(expected))
        assert found.median == statistics.median(expected)
        assert found.mean == pytest.approx(statistics.fmean(expected))

    @given(hnp.arrays('i2', st.integers(1, 30), elements=st.integers(-50, 50)), st.sampled_from([1.5, 2.5, 3.5]))
    def test_any_integers(self, pixels, limit):
        expected = clipped_by_hand(pixels, limit)
        for kind in ('i2', 'i4', 'f4'):
            found = distribution(pixels.astype(kind)).clipped(limit)
            assert (found.num, found.total) == (len(expected), sum(expected))

    def test_bad_pixels_stay_bad(self):
        pixels = np.array([1.0, 1.1, 0.9, 1.05, np.nan, 500.0, 1.0, 0.95, 1.02, 0.98, 1.01, 1.03])
        found = distribution(pixels).clipped(3)
        assert (found.num, found.nbad) == (10, 2)


class TestNames:
    @pytest.mark.parametrize('name', [*stats.NAMES, 'q0', 'q2.5', 'q100', 'q.5', 'q50.'])
    def test_that_there_are(self, name):
        assert stats.is_statistic(name)
        describe(distribution(np.arange(5)), [name])

    @pytest.mark.parametrize(
        'name', ['', 'q', 'q.', 'q101', 'q-1', 'q1e1', 'q1.2.3', 'q²', 'q٣', 'Mean', 'sigma', 'qq']
    )
    def test_that_there_are_not(self, name):
        assert not stats.is_statistic(name)
        with pytest.raises(ValueError, match='there is no statistic'):
            describe(distribution(np.arange(5)), [name])


class TestHistogram:
    @pytest.mark.parametrize('kind', ['u2', 'i4', 'f4'])
    @pytest.mark.parametrize(('low', 'high', 'step'), [(0, 100, 10), (5, 42, 7.5), (-3.5, 4000, 1000), (0, 1, 5)])
    def test_against_numpy(self, kind, low, high, step):
        pixels = sample(kind)
        edges, counts = stats.histogram(distribution(pixels), low, high, step)
        expected, _ = np.histogram(pixels.astype('f8'), edges)
        np.testing.assert_array_equal(counts, expected)
        assert (edges[0], edges[-1]) == (low, high)
        assert len(edges) == len(counts) + 1 == math.ceil((high - low) / step) + 1
        np.testing.assert_allclose(np.diff(edges)[:-1], step)

    def test_edges(self):
        """A bin holds its lower edge; the last one its upper edge too."""
        _, counts = stats.histogram(distribution(np.array([0, 1, 2, 3, 4, 5], 'u2')), 1, 4, 1)
        assert counts.tolist() == [1, 1, 2]

    def test_tenths(self):
        """0.3 / 0.1 is a little less than 3, and there are three bins."""
        edges, _ = stats.histogram(distribution(np.array([0.05])), 0, 0.3, 0.1)
        assert len(edges) == 4

    @pytest.mark.parametrize(
        'numbers', [(0, 0, 1), (5, 1, 1), (0, 1, 0), (0, 1, -1), (0, 1e9, 1e-9), (0, np.inf, 1), (np.nan, 1, 1)]
    )
    def test_no_histogram(self, numbers):
        with pytest.raises(ValueError, match='is no histogram'):
            stats.histogram(distribution(np.arange(5)), *numbers)


@pytest.mark.long
def test_16_bits_are_as_exact_as_any_for_a_large_image():
    pixels = np.random.default_rng(5).integers(0, 65536, (4111, 3001), dtype='u2')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert one(pixels, 'sum') == int(pixels.sum(dtype='i8'))
        assert one(pixels, 'median') == np.median(pixels)


class TestSets:
    def test_filabres(self):
        names = stats.without_sets(['filabres'])
        found = describe(distribution(np.arange(1, 102)), names)
        expected = [101, 1, 3.5, 16.9, 26, 51, 76, 85.1, 98.5, 101, 37.065]
        assert list(found.values()) == pytest.approx(expected, rel=1e-14)

    def test_within_other_names(self):
        names = stats.without_sets(['mean', 'filabres', 'max'])
        assert (names[0], names[1], names[-2:]) == ('mean', 'num', ['rstd', 'max'])
        assert all(map(stats.is_statistic, names))
        assert not any(map(stats.is_statistic, stats.SETS))
