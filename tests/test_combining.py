"""pixels/combining, sorting, scaling, rejection: against loops written from the definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitsutils.pixels import combining, rejection
from fitsutils.pixels.combining import Frames, Recipe
from fitsutils.pixels.rejection import Clip


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
    recipe = Recipe(method, Clip('minmax', *clip) if any(clip) else Clip(), fraction)
    return combining.combine_band(band.copy(), recipe, Frames(scales=scales, weights=weights)).pixels


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


def test_which_values_float32_holds():
    most = float(np.finfo('f4').max)
    assert combining.fits(np.array([most, -most, np.nan, np.inf]), np.dtype('f4'))
    assert not combining.fits(np.array([1.0, -3.5e38]), np.dtype('f4'))
    assert combining.fits(np.array([1e300]), np.dtype('f8'))


@pytest.mark.parametrize('gaps', [False, True])
def test_a_mean_is_finite_where_the_sum_is_not(gaps):
    band = np.full((3, 1, 2), 1e308)
    if gaps:
        band[0] = np.nan
    assert combine(band, 'mean').tolist() == [[1e308, 1e308]]


@pytest.mark.parametrize(('level', 'noise'), [(2e7, 4), (1000, 3e-4)])
@pytest.mark.parametrize('kind', ['sigma', 'mad'])
def test_noise_of_a_few_roundings(level, noise, kind):
    """A frame without values changes nothing: the pixel then goes the other way."""
    band = (level + np.random.default_rng(2).integers(-3, 4, (20, 9, 11)) * (noise / 3)).astype('f4')
    band[3] += np.float32(noise * 6)
    recipe = Recipe('mean', Clip(kind, 3, 3))
    alone = combining.combine_band(band.copy(), recipe)
    more = combining.combine_band(np.concatenate([band, np.full((1, 9, 11), np.nan, 'f4')]), recipe)
    assert alone.rejected == more.rejected > 0


def test_thresholds_are_values_of_the_data():
    band = np.full((3, 1, 2), 0.1, 'f4')
    band[2, 0, 1] = np.nan
    assert combining.combine_band(band, Recipe('mean', above=0.1)).lost == 0
    assert combining.combine_band(band, Recipe('mean', above=1e39)).lost == 0


def test_scaled_values_beyond_float32_are_not_missing():
    band = np.full((2, 1, 3), 3e38, 'f4')
    np.testing.assert_allclose(combine(band, 'mean', scales=np.array([1.0, 10.0])), 1.65e39, rtol=1e-6)


def test_count_infinite():
    assert combining.count_infinite(np.array([1, np.nan, np.inf, -np.inf])) == 2


ALL_MAPS = frozenset({*combining.MAPS, 'uncertainty'})


def gappy(number=9, rows=6, width=7, seed=0):
    """Floats with outliers, gaps, and a pixel without any value."""
    rng = np.random.default_rng(seed)
    band = rng.normal(500, 5, (number, rows, width))
    band[rng.uniform(size=band.shape) < 0.06] += 400
    band[rng.uniform(size=band.shape) < 0.05] = np.nan
    band[:, 2, 3] = np.nan
    return band.astype('f4')


def kept_by_sigma(values, limit, keep=0):
    left = values[np.isfinite(values)].astype('f8')
    while len(left) >= max(3, keep + 1):
        away = left - np.median(left)
        inner = left[away**2 * (len(left) - 1) <= limit**2 * (away**2).sum()]
        if len(inner) < keep:
            inner = left[np.abs(away) <= np.sort(np.abs(away))[keep - 1]]
        if len(inner) == len(left):
            break
        left = inner
    return left


@pytest.mark.parametrize('method', ['mean', 'median', 'sum', 'std', 'max'])
def test_maps_of_what_was_used(method):
    band, exposures = gappy(), np.arange(1.0, 10.0)
    recipe = Recipe(method, Clip('sigma', 2, 2), maps=frozenset(combining.MAPS))
    found = combining.combine_band(band.copy(), recipe, Frames(exposures=exposures))
    rejected = 0
    for place in np.ndindex(*band.shape[1:]):
        values = band[(slice(None), *place)]
        left = kept_by_sigma(values, 2)
        used = np.isin(values, left)
        rejected += np.isfinite(values).sum() - len(left)
        assert found.maps['count'][place] == len(left)
        assert found.maps['exptime'][place] == exposures[used].sum()
        assert found.maps['low'][place] == (values < min(left, default=np.nan)).sum()
        assert found.maps['high'][place] == (values > max(left, default=np.nan)).sum()
        sigma = np.std(left, ddof=1) if len(left) > 1 else np.nan
        np.testing.assert_allclose(found.maps['sigma'][place], sigma, rtol=1e-10)
    assert (found.rejected, found.lost) == (rejected, 1)


@pytest.mark.parametrize('clip', [Clip(), Clip('sigma', 2, 2), Clip('minmax', 1, 2)])
@pytest.mark.parametrize('method', ['average', 'mean', 'median', 'sum'])
def test_uncertainties(method, clip):
    band = gappy(seed=4)
    found = combining.combine_band(band.copy(), Recipe(method, clip, maps=frozenset({'uncertainty', 'sigma', 'count'})))
    factor = {'median': 1.2533}.get(method, 1.0)
    count = np.where(found.maps['count'] > 0, found.maps['count'], np.nan)
    root = np.sqrt(count) if method == 'sum' else 1 / np.sqrt(count)
    np.testing.assert_allclose(found.maps['uncertainty'], found.maps['sigma'] * factor * root, rtol=1e-12)


def test_the_spread_of_complete_pixels_is_that_of_numpy():
    band = stack(8, 'u2')
    found = combining.combine_band(band.copy(), Recipe('mean', maps=frozenset({'sigma', 'uncertainty'})))
    np.testing.assert_allclose(found.maps['sigma'], band.std(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(found.maps['uncertainty'], band.std(axis=0, ddof=1) / 8**0.5, rtol=1e-12)


@pytest.mark.parametrize('clip', [Clip(), Clip('sigma', 2, 2), Clip('minmax', 1, 2)])
@pytest.mark.parametrize('gaps', [False, True])
def test_weights_go_with_their_images(clip, gaps):
    band, weights = gappy(seed=5), np.linspace(1, 3, 9)
    if not gaps:
        band = np.nan_to_num(band, nan=480.0)
    recipe = Recipe('mean', clip, maps=frozenset({'count', 'uncertainty'}))
    found = combining.combine_band(band.copy(), recipe, Frames(weights=weights))
    for place in np.ndindex(*band.shape[1:]):
        values = band[(slice(None), *place)].astype('f8')
        order = [number for number in np.argsort(values, kind='stable') if np.isfinite(values[number])]
        if clip.by_rank:
            order = order[1 : len(order) - 2]
        elif clip.kind == 'sigma':
            order = [number for number in order if values[number] in kept_by_sigma(values, 2)]
        beside, used = weights[order], values[order]
        if not order:
            assert np.isnan(found.pixels[place])
            continue
        mean = (used * beside).sum() / beside.sum()
        np.testing.assert_allclose(found.pixels[place], mean, rtol=1e-12)
        number = beside.sum() ** 2 / (beside**2).sum()
        if len(order) > 1:
            square = (beside * (used - mean) ** 2).sum() / beside.sum() * number / (number - 1)
            np.testing.assert_allclose(found.maps['uncertainty'][place], np.sqrt(square / number), rtol=1e-9)


@pytest.mark.parametrize('scaled', [False, True])
def test_inverse_variances(scaled):
    band = gappy(seed=6)
    variances = np.random.default_rng(1).uniform(1, 9, band.shape)
    variances[0, 0, 0], variances[1, 0, 1], variances[2, 1, 1] = 0, np.nan, -1
    scales = np.linspace(1, 2, 9) if scaled else np.ones(9)
    found = combining.combine_band(band.copy(), Recipe('mean'), Frames(scales=scales), variances=variances)
    good = np.isfinite(band) & (variances > 0)
    weights = np.where(good, 1 / np.where(good, variances, 1) / scales[:, None, None] ** 2, 0)
    values = np.where(good, band, 0) * scales[:, None, None]
    with np.errstate(invalid='ignore'):
        wanted = (weights * values).sum(axis=0) / weights.sum(axis=0)
    np.testing.assert_allclose(found.pixels, wanted, rtol=3e-7)


@pytest.mark.parametrize('dtype', ['u2', 'f4'])
def test_thresholds_come_before_scaling(dtype):
    band = np.array([10, 20, 30, 65000], dtype).reshape(4, 1, 1)
    recipe = Recipe('mean', below=15, above=60000, maps=frozenset({'count', 'low', 'high'}))
    found = combining.combine_band(band, recipe, Frames(scales=np.array([1, 2, 1, 1.0])))
    assert found.pixels[0, 0] == 35
    assert [int(found.maps[name][0, 0]) for name in ('count', 'low', 'high')] == [2, 1, 1]
    assert found.rejected == 2


def test_what_lies_on_a_threshold_stays():
    band = np.array([10, 20], 'u2').reshape(2, 1, 1)
    assert combining.combine_band(band, Recipe('mean', below=10, above=20)).pixels[0, 0] == 15


@pytest.mark.parametrize('fill', [False, True])
@pytest.mark.parametrize('dtype', ['u2', 'f4'])
def test_a_pixel_of_which_all_is_rejected(fill, dtype):
    band = np.array([[60000, 61000, 64000], [7, 8, 9]], dtype).T.reshape(3, 1, 2)
    found = combining.combine_band(band, Recipe('mean', above=50000, fill=fill))
    assert found.lost == 1
    np.testing.assert_array_equal(found.pixels, [[61000 if fill else np.nan, 8]])


def grown_from_definition(band, recipe):
    """Mean of each pixel over what is neither rejected nor near what is rejected of the same image."""
    rows, width = band.shape[1:]
    clipped = np.zeros(band.shape, bool)
    for place in np.ndindex(rows, width):
        values = band[(slice(None), *place)]
        left = kept_by_sigma(values, recipe.clip.low, recipe.clip.keep)
        clipped[(slice(None), *place)] = np.isfinite(values) & ~np.isin(values, left)
    near = clipped.copy()
    for image, row, column in zip(*np.nonzero(clipped), strict=True):
        for y, x in np.ndindex(rows, width):
            near[image, y, x] |= (y - row) ** 2 + (x - column) ** 2 <= recipe.grow**2
    near &= np.isfinite(band)
    out = np.empty((rows, width))
    for place in np.ndindex(rows, width):
        values, gone = band[(slice(None), *place)], near[(slice(None), *place)]
        if (np.isfinite(values) & ~gone).sum() < max(1, recipe.clip.keep):
            gone = clipped[(slice(None), *place)]
        left = values[np.isfinite(values) & ~gone].astype('f8')
        out[place] = left.mean() if len(left) else np.nan
    return out


@pytest.mark.parametrize('radius', [1.0, 1.5, 2.0])
@pytest.mark.parametrize('keep', [0, 4])
def test_growing(radius, keep):
    band = gappy(9, 8, 11, seed=7)
    recipe = Recipe('mean', Clip('sigma', 2, 2, keep), grow=radius)
    found = combining.combine_band(band.copy(), recipe)
    np.testing.assert_allclose(found.pixels, grown_from_definition(band, recipe), rtol=1e-12)
    alone = combining.combine_band(band.copy(), Recipe('mean', Clip('sigma', 2, 2, keep)))
    assert found.rejected > alone.rejected


@pytest.mark.parametrize('height', [1, 2, 3, 5])
@pytest.mark.parametrize('radius', [0, 1.5, 3])
@pytest.mark.parametrize('dtype', ['u2', 'f4'])
def test_bands_with_margins_give_the_whole(height, radius, dtype):
    band = np.nan_to_num(gappy(9, 10, 7, seed=8), nan=495).astype(dtype)
    recipe = Recipe('mean', Clip('sigma', 2, 2), grow=radius, maps=frozenset({'count', 'low', 'high'}))
    whole = combining.combine_band(band.copy(), recipe)
    for start in range(0, 10, height):
        stop = min(start + height, 10)
        above, below = min(recipe.margin, start), min(recipe.margin, 10 - stop)
        part = combining.combine_band(band[:, start - above : stop + below].copy(), recipe, margins=(above, below))
        np.testing.assert_array_equal(part.pixels, whole.pixels[start:stop])
        for name, values in part.maps.items():
            np.testing.assert_array_equal(values, whole.maps[name][start:stop])


@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor', 'percentile', 'minmax', 'none'])
@pytest.mark.parametrize('method', ['mean', 'median', 'std', 'sum'])
def test_chunks_give_the_whole(kind, method, monkeypatch):
    """The same bits, whichever way the pixels beside one go."""
    band = gappy(9, 10, 7, seed=9)
    recipe = Recipe(method, Clip(kind, 1, 1), maps=ALL_MAPS if method != 'std' else frozenset())
    frames = Frames(scales=np.linspace(0.9, 1.1, 9), exposures=np.ones(9))
    whole = combining.combine_band(band.copy(), recipe, frames)
    for chunk in (1, 7, 16):
        monkeypatch.setattr(combining, '_CHUNK', chunk)
        found = combining.combine_band(band.copy(), recipe, frames)
        np.testing.assert_array_equal(found.pixels, whole.pixels)
        for name, values in found.maps.items():
            np.testing.assert_array_equal(values, whole.maps[name])
        assert (found.rejected, found.lost) == (whole.rejected, whole.lost)


@pytest.mark.parametrize('method', combining.METHODS)
@pytest.mark.parametrize('kind', ['none', 'sigma', 'mad', 'minmax'])
def test_integers_and_the_same_numbers_as_floats(method, kind):
    band = stack(9, 'u2')
    recipe = Recipe(method, Clip(kind, 1.5, 1.5) if kind != 'minmax' else Clip(kind, 1, 1))
    found = combining.combine_band(band.copy(), recipe).pixels
    np.testing.assert_array_equal(combining.combine_band(band.astype('f4'), recipe).pixels, found)


def test_zeros_are_added_after_scaling():
    band = np.array([10.0, 20.0], 'f4').reshape(2, 1, 1)
    frames = Frames(scales=np.array([1.0, 2.0]), zeros=np.array([0.0, -28.0]))
    assert combining.combine_band(band, Recipe('mean'), frames).pixels[0, 0] == 11


@pytest.mark.parametrize(
    ('method', 'weights'),
    [
        *((method, None) for method in ('mean', 'sum', 'median')),
        *(('average', weights) for weights in ('images', 'variances')),
    ],
)
@pytest.mark.parametrize('clip', [Clip(), Clip('sigma', 2, 2), Clip('minmax', 1, 2), Clip('mad', 3, 3)])
def test_variances_are_carried_into_the_uncertainty(method, clip, weights):
    number, rows, width = 7, 3, 11
    rng = np.random.default_rng(8)
    band = gappy(number, rows, width, seed=8)
    variances = rng.uniform(1, 4, band.shape)
    frames = Frames(
        scales=rng.uniform(0.5, 2, number), weights=rng.uniform(1, 3, number) if weights == 'images' else None
    )
    recipe = Recipe(method, clip, maps=frozenset({'uncertainty', 'count'}), carry=True, weigh=weights == 'variances')
    found = combining.combine_band(band.copy(), recipe, frames, variances=variances)
    scaled = frames.rescaled(band.reshape(number, -1).astype('f8'), np.dtype('f8')).reshape(band.shape)
    checked = 0
    for place in np.ndindex(rows, width):
        values = scaled[(slice(None), *place)]
        own = variances[(slice(None), *place)] * frames.scales**2
        good = np.isfinite(values)
        order = np.argsort(np.where(good, values, np.inf), kind='stable')[: good.sum()]
        low, high = rejection.windows(values[order][None], np.array([good.sum()]), clip)
        kept = order[low[0] : high[0]]
        if len(kept) == 0:
            assert np.isnan(found.maps['uncertainty'][place])
            continue
        share = {'images': frames.weights, 'variances': 1 / own, None: np.ones(number)}[weights][kept]
        total = np.sqrt((share**2 * own[kept]).sum())
        wanted = {'sum': total, 'median': 1.2533 * total / share.sum()}.get(method, total / share.sum())
        assert found.maps['uncertainty'][place] == pytest.approx(wanted, rel=1e-12)
        assert found.maps['count'][place] == len(kept)
        checked += 1
    assert checked > 20


def test_the_median_of_one_or_two_values_is_their_mean():
    band = np.array([1.0, 3.0, np.nan, np.nan, np.nan, 6.0, 2.0, 7.0, 4.0]).reshape(3, 1, 3)
    for options in ({}, {'carry': True, 'weigh': False}):
        recipe = {method: Recipe(method, maps=frozenset({'uncertainty'}), **options) for method in ('mean', 'median')}
        variances = np.full(band.shape, 4.0)
        found = {
            method: combining.combine_band(band.copy(), each, variances=variances if options else None)
            for method, each in recipe.items()
        }
        ratio = found['median'].maps['uncertainty'] / found['mean'].maps['uncertainty']
        np.testing.assert_allclose(ratio, [[1, 1, 1]])


def test_a_variance_that_is_not_known_leaves_the_uncertainty_open():
    band, variances = np.ones((3, 1, 4)), np.ones((3, 1, 4))
    variances[1, 0, 1], variances[2, 0, 2], band[0, 0, 3] = np.nan, 0, np.nan
    recipe = Recipe('mean', maps=frozenset({'uncertainty'}), carry=True, weigh=False)
    found = combining.combine_band(band, recipe, variances=variances)
    np.testing.assert_array_equal(found.pixels, [[1, 1, 1, 1]])
    np.testing.assert_allclose(found.maps['uncertainty'], np.sqrt([[1 / 3, np.nan, 2 / 9, 1 / 2]]))
