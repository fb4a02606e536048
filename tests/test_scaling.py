import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fitsutils.pixels import scaling
from fitsutils.pixels.scaling import level, level_of, zeros
from fitsutils.pixels.stats import describe, distribution

NARROW = ('u1', 'i1', 'u2', 'i2')
TYPES = (*NARROW, 'u4', 'i4', 'u8', 'i8', 'f4', 'f8')
STATISTICS = (*scaling.LEVELS, 'noise')


def in_blocks(image, height):
    """An image as `level_of` takes it, some rows at a time."""
    return lambda: iter([image[start : start + height] for start in range(0, len(image), height)])


def expected(image, statistic):
    """The level by its definition, of all pixels at once."""
    good = image[np.isfinite(image)]
    if not good.size:
        return math.nan
    if statistic in ('mean', 'sum'):
        total = math.fsum(good.tolist()) if good.dtype.kind == 'f' else sum(good.tolist())
        return total / good.size if statistic == 'mean' else float(total)
    if statistic == 'mode':
        return describe(distribution(good), ['mode'])['mode']
    wide = good.astype('f8')
    middle = np.median(wide)
    return middle if statistic == 'median' else 1.4826 * np.median(np.abs(wide - middle))


def image_of(dtype, seed=0, shape=(37, 53)):
    """Values of the whole range of a type; of floats with gaps."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind != 'f':
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    image = rng.normal(1000, 30, shape).astype(dtype)
    image[rng.random(shape) < 0.1] = np.nan
    image[rng.random(shape) < 0.05] = -np.inf
    image[3, 4] = np.inf
    return image


def float_images():
    """Images of float32 and float64 with values of any size within float32, NaN and infinities."""
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 300))
    return st.sampled_from(['f4', 'f8']).flatmap(
        lambda kind: arrays.arrays(kind, shapes, elements=st.floats(width=32, allow_nan=True))
    )


class TestAgainstTheDefinition:
    @pytest.mark.parametrize('dtype', TYPES)
    @pytest.mark.parametrize('statistic', STATISTICS)
    def test_of_a_whole_range(self, dtype, statistic):
        image = image_of(dtype)
        found = level_of(in_blocks(image, 5), statistic)
        assert found == pytest.approx(expected(image, statistic), rel=1e-14)
        assert level(image, statistic) == found

    @pytest.mark.parametrize('dtype', TYPES)
    @pytest.mark.parametrize('statistic', ['mean', 'sum', 'median', 'mode'])
    def test_sums_and_ranks_are_exact(self, dtype, statistic):
        """Small whole numbers: every way to the answer that is right gives the same bits."""
        image = np.random.default_rng(3).integers(0, 40, (41, 12)).astype(dtype)
        assert level_of(in_blocks(image, 7), statistic) == expected(image, statistic)

    @pytest.mark.parametrize('dtype', ['u1', 'u2'])
    @pytest.mark.parametrize('statistic', ['sum', 'mean'])
    def test_sums_of_more_than_32_bits(self, dtype, statistic):
        top = np.iinfo(dtype).max
        image = np.full((70001, 3), top, dtype)
        assert level(image, statistic) == (top if statistic == 'mean' else top * image.size)

    def test_the_least_of_16_bits(self):
        assert level(np.full((70001, 2), -32768, 'i2'), 'sum') == -32768 * 140002

    def test_integers_beyond_float64(self):
        """The mean of 2**62 + 1 and 2**62 + 3 is rounded once, not at every step."""
        image = np.array([[2**62 + 512, 2**62 + 1536]])
        assert level(image, 'mean') == float(2**62 + 1024)

    @pytest.mark.parametrize('dtype', ['f4', 'f8', 'i4', 'i8'])
    @pytest.mark.parametrize('size', [1, 2, 3, 4, 5])
    def test_few_pixels(self, dtype, size):
        image = np.array([[7, -3, 12, -3, 1000000][:size]], dtype)
        assert level(image, 'median') == np.median(image)
        assert level(image, 'noise') == pytest.approx(expected(image, 'noise'), rel=1e-15)

    @pytest.mark.parametrize('dtype', ['f4', 'f8', 'i4', 'u8'])
    def test_selection_without_gathering(self, dtype, monkeypatch):
        """Every pass that a very large image would need, on a small one."""
        monkeypatch.setattr(scaling, '_FEW', 0)
        for seed in range(4):
            image = image_of(dtype, seed, (9, 20 + seed))
            assert level(image, 'median') == pytest.approx(expected(image, 'median'), rel=1e-15)
            assert level(image, 'noise') == pytest.approx(expected(image, 'noise'), rel=1e-13)

    @pytest.mark.parametrize('dtype', ['f4', 'f8'])
    def test_the_two_middle_values_far_apart(self, dtype, monkeypatch):
        image = np.array([[-5e20, -1e-30, 3.5, 7e30]], dtype)
        assert level(image, 'median') == np.median(image.astype('f8'))
        monkeypatch.setattr(scaling, '_FEW', 0)
        assert level(image[:, 1:3], 'median') == np.median(image[:, 1:3].astype('f8'))

    def test_a_type_in_the_other_byte_order(self):
        image = image_of('i4')
        assert level(image.astype('>i4').astype('i4'), 'median') == expected(image, 'median')

    def test_a_part_of_wider_rows(self):
        image = image_of('f4', shape=(11, 40))
        for statistic in STATISTICS:
            assert level(image[:, 3:29], statistic) == level(image[:, 3:29].copy(), statistic)


class TestBlocks:
    @pytest.mark.parametrize('dtype', TYPES)
    @pytest.mark.parametrize('statistic', STATISTICS)
    def test_any_height_gives_the_same_bits(self, dtype, statistic, monkeypatch):
        image = image_of(dtype, 5)
        found = {level_of(in_blocks(image, height), statistic) for height in (1, 2, 5, 36, 37, 100)}
        monkeypatch.setattr(scaling, '_CHUNK', 100)
        found |= {level_of(in_blocks(image, height), statistic) for height in (1, 7, 37)}
        assert len(found) == 1

    @given(float_images(), st.integers(1, 9), st.sampled_from(STATISTICS))
    def test_floats_of_any_kind(self, image, height, statistic):
        found = level_of(in_blocks(image, height), statistic)
        np.testing.assert_array_equal(found, level(image, statistic))
        # All are within float32 here, so that no sum or distance is beyond float64.
        largest = np.abs(image[np.isfinite(image)].astype('f8')).max(initial=0.0)
        np.testing.assert_allclose(found, expected(image, statistic), rtol=1e-14, atol=1e-13 * largest)

    @pytest.mark.parametrize('statistic', STATISTICS)
    @pytest.mark.parametrize('dtype', ['u2', 'f4'])
    def test_the_first_block_is_read_once_a_pass(self, statistic, dtype):
        image, read = image_of(dtype), []

        def blocks():
            read.append(0)
            for start in range(0, len(image), 10):
                read[-1] += 1
                yield image[start : start + 10]

        level_of(blocks, statistic)
        assert set(read) == {4}
        assert len(read) == (
            1 if dtype == 'u2' or statistic in ('mean', 'sum', 'mode') else 2 + 2 * (statistic == 'noise')
        )

    @pytest.mark.parametrize('statistic', ['mean', 'median', 'noise'])
    @pytest.mark.parametrize('dtype', ['u2', 'f4', 'f8'])
    def test_memory_does_not_grow_with_the_image(self, statistic, dtype):
        rng = np.random.default_rng(2)
        block = rng.integers(0, 60000, (64, 2048)).astype(dtype)
        tracemalloc.start()
        try:
            level_of(lambda: (block for _ in range(60)), statistic)
            assert tracemalloc.get_traced_memory()[1] < 24e6  # the image: 16 to 63 MB
        finally:
            tracemalloc.stop()


class TestMissing:
    @pytest.mark.parametrize('statistic', STATISTICS)
    @pytest.mark.parametrize(
        'image',
        [np.full((3, 4), np.nan), np.full((2, 5), np.inf, 'f4'), np.empty((0, 4), 'u2'), np.empty((0, 4), 'f8')],
    )
    def test_nothing_is_left(self, image, statistic):
        assert math.isnan(level(image, statistic))
        assert math.isnan(level_of(in_blocks(image, 2), statistic))

    @pytest.mark.parametrize('statistic', STATISTICS)
    def test_a_constant(self, statistic):
        image = np.array([[0.1, np.nan], [0.1, 0.1]])
        wanted = {'sum': 0.1 + 0.1 + 0.1, 'noise': 0.0}.get(statistic, 0.1)
        assert level(image, statistic) == pytest.approx(wanted, rel=1e-15)

    def test_there_is_no_such_level(self):
        with pytest.raises(ValueError, match="no level 'middle'"):
            level(np.ones((2, 3)), 'middle')


class TestBeyondFloat64:
    def test_sums(self):
        image = np.full((4, 5), 1.7e308)
        assert level(image, 'sum') == np.inf
        assert level(image[:, :1], 'sum') == np.inf
        assert level(-image, 'mean') == -np.inf

    def test_a_median_is_not(self):
        assert level(np.full((4, 5), 1.7e308), 'median') == 1.7e308

    def test_a_distance_counts_as_the_greatest(self):
        image = np.array([[-1.7e308, -1.7e308, 1.7e308, -1.7e308, 1.6e308, 0.0, 1e308]])
        assert level(image, 'median') == 0.0
        assert level(image, 'noise') == np.inf  # 1.4826 times a distance of 1.6e308
        assert level(np.append(image, [[1e300] * 9], axis=1), 'noise') < 1e308


class TestLimits:
    @pytest.mark.parametrize('dtype', ['u1', 'u2', 'i2', 'i4', 'f4', 'f8'])
    @pytest.mark.parametrize('statistic', STATISTICS)
    @pytest.mark.parametrize(('low', 'high'), [(20, None), (None, 90.5), (20, 90), (300, 400), (-math.inf, 1e300)])
    def test_pixels_beyond_are_left_out(self, dtype, statistic, low, high):
        image = np.random.default_rng(1).integers(0, 120, (23, 31)).astype(dtype)
        wide = image.astype('f8')
        kept = image[(wide >= (-math.inf if low is None else low)) & (wide <= (math.inf if high is None else high))]
        wanted = expected(kept, statistic)
        for height in (1, 10, 23):
            np.testing.assert_equal(level_of(in_blocks(image, height), statistic, low, high), wanted)

    def test_a_limit_is_kept_itself_and_nan_is_not(self):
        image = np.array([[1.0, 2.0, np.nan], [3.0, 4.0, np.inf]])
        assert level_of(in_blocks(image, 1), 'sum', 2.0, 3.0) == 5.0


class TestZeros:
    def test_bring_levels_to_the_first(self):
        levels = [100.0, 50.0, -3.25]
        np.testing.assert_array_equal(zeros(levels) + levels, 100.0)
        np.testing.assert_array_equal(zeros(levels, 7) + levels, 7.0)
        assert zeros([5]).dtype == np.float64

    @pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
    def test_refuse_what_is_no_level(self, bad):
        with pytest.raises(ValueError, match='must be finite'):
            zeros([100, bad])
        with pytest.raises(ValueError, match='must be finite'):
            zeros([bad, 100])

    def test_refuse_a_difference_beyond_float64(self):
        with pytest.raises(ValueError, match='must be finite'):
            zeros([1.7e308, -1.7e308])
