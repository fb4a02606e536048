"""pixels/rejection: against loops written from the definitions, in exact fractions where a root is not needed."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitsutils.pixels import combining, rejection
from fitsutils.pixels.combining import Frames, Recipe
from fitsutils.pixels.rejection import Clip, clip_for


def middle(values):
    values = sorted(values)
    number = len(values)
    return (values[(number - 1) // 2] + values[number // 2]) / 2


def beyond_sigma(left, centre):
    """The number n - 1 and the sum of squares decide, without a root."""
    total = sum((value - centre) ** 2 for value in left)
    return lambda value, limit: (value - centre) ** 2 * (len(left) - 1) > Fraction(limit) ** 2 * total


def beyond_mad(left, centre):
    sigma = Fraction(1.4826) * middle([abs(value - centre) for value in left])
    if sigma == 0:
        return beyond_sigma(left, centre)
    return lambda value, limit: abs(value - centre) > Fraction(limit) * sigma


def beyond_winsor(left, centre):
    held = [float(value - centre) for value in left]
    sigma = np.std(held, ddof=1)
    for _ in range(100):
        if sigma == 0:
            break
        held = [min(max(value, -1.5 * sigma), 1.5 * sigma) for value in held]
        before, sigma = sigma, 1.134 * np.std(held, ddof=1)
        if abs(sigma - before) <= 0.0005 * before:
            break
    return lambda value, limit: abs(float(value - centre)) > limit * sigma


def beyond_percentile(_left, centre):
    return lambda value, limit: float(abs(value - centre)) > limit * abs(float(centre))


def beyond_ccd(_left, centre):
    level = max(float(centre), 0.0)
    sigma = math.sqrt((8.0 / 1.5) ** 2 + level / 1.5 + (0.01 * level) ** 2)
    return lambda value, limit: float(abs(value - centre)) > limit * sigma


RULES = {
    'sigma': beyond_sigma, 'mad': beyond_mad, 'winsor': beyond_winsor, 'percentile': beyond_percentile,
    'ccd': beyond_ccd,
}  # fmt: skip


def kept_of(values, clip):
    """The values of one pixel that a rule leaves, one round after the other."""
    left = [Fraction(float(value)) for value in values if np.isfinite(value)]
    fewest = 1 if clip.kind == 'percentile' else 3
    while len(left) >= max(fewest, clip.keep + 1):
        centre = middle(left)
        beyond = RULES[clip.kind](left, centre)
        inner = [v for v in left if not beyond(v, clip.low if v < centre else clip.high)]
        if len(inner) < clip.keep:
            limit = sorted(abs(value - centre) for value in left)[clip.keep - 1]
            inner = [value for value in left if abs(value - centre) <= limit]
        done = len(inner) == len(left) or clip.kind == 'percentile'
        left = inner
        if done:
            break
    return [float(value) for value in left]


FRAMES = {'gain': 1.5, 'read_noise': 8.0}


def combined(band, clip, method='mean', maps=('count', 'low', 'high'), **more):
    number = len(band)
    frames = Frames(**{name: np.full(number, value) for name, value in FRAMES.items()})
    return combining.combine_band(band.copy(), Recipe(method, clip, maps=frozenset(maps), **more), frames)


def check(band, clip):
    found = combined(band, clip)
    for place in np.ndindex(*band.shape[1:]):
        values = band[(slice(None), *place)]
        kept = kept_of(values, clip)
        assert found.maps['count'][place] == len(kept), (place, values, kept)
        present = np.isfinite(values).sum()
        assert found.maps['low'][place] + found.maps['high'][place] == present - len(kept)
        wanted = np.mean(kept) if kept else np.nan
        np.testing.assert_allclose(found.pixels[place], wanted, rtol=1e-12)


CLIPS = [
    pytest.param(Clip(kind, *((0.03, 0.02) if kind == 'percentile' else (2.0, 2.5)), snoise=0.01), id=kind)
    for kind in RULES
]


def sky(number, dtype, seed=0):
    """A stack with outliers on both sides, ties and, in floats, gaps and infinities."""
    rng = np.random.default_rng(1000 * number + seed)
    band = rng.normal(1000, 6, (number, 5, 7))
    hit = rng.uniform(size=band.shape) < 0.05
    band[hit] += rng.uniform(-600, 3000, hit.sum())
    band[:, 1, 2] = 1000
    band[0, 2, 3] = 1400
    band[1:, 2, 3] = 1000
    if np.dtype(dtype).kind in 'iu':
        return np.rint(band).astype(dtype)
    band[rng.uniform(size=band.shape) < 0.02] = np.nan
    band[0, 4, 4] = np.inf
    band[-1, 4, 5] = -np.inf
    band[:, 0, 0] = np.nan
    return band.astype(dtype)


@pytest.mark.parametrize('number', range(3, 61))
@pytest.mark.parametrize('dtype', ['u2', 'f4'])
def test_sigma_clipping_is_exact(number, dtype):
    limit = (3.0, 3.0) if number > 10 else (1.5, 1.0)
    check(sky(number, dtype), Clip('sigma', *limit))


@pytest.mark.parametrize('clip', CLIPS)
@pytest.mark.parametrize('number', [1, 2, 3, 4, 5, 8, 11, 20, 37])
@pytest.mark.parametrize('dtype', ['u2', 'i4', 'f4', 'f8'])
def test_against_the_definition(clip, number, dtype):
    check(sky(number, dtype), clip)


@pytest.mark.parametrize('clip', CLIPS)
@pytest.mark.parametrize('keep', [1, 4, 7, 30])
def test_some_values_are_always_kept(clip, keep):
    tight = Clip(clip.kind, clip.low / 4, clip.high / 4, keep, clip.snoise)
    band = sky(9, 'f4')
    check(band, tight)
    count = combined(band, tight).maps['count']
    assert (count >= np.minimum(keep, np.isfinite(band).sum(axis=0))).all()


@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=12),
    st.sampled_from(sorted(RULES)),
    st.sampled_from([(1.0, 1.0), (1.5, 2.0), (2.0, 0.5)]),
)
@settings(deadline=None)
def test_ties_and_quantized_values(values, kind, limits):
    scale = 0.1 if kind == 'percentile' else 1.0
    check(np.array(values, 'u2').reshape(-1, 1, 1), Clip(kind, limits[0] * scale, limits[1] * scale))


@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor'])
@pytest.mark.parametrize('unit', [1e-30, 1e-5, 1.0, 1e15, 1e30])
def test_the_unit_does_not_matter(kind, unit):
    band = np.random.default_rng(4).normal(0, 1, (20, 3, 4)).astype('f4')
    band[3, 1, 1] = 300
    wanted = combined(band, Clip(kind, 3, 3))
    found = combined((band * np.float32(unit)).astype('f4'), Clip(kind, 3, 3))
    np.testing.assert_array_equal(found.maps['count'], wanted.maps['count'])
    assert found.maps['count'][1, 1] < 20


@pytest.mark.parametrize('kind', sorted(RULES))
def test_equal_values_are_all_kept(kind):
    found = combined(np.full((7, 2, 3), 500, 'u2'), Clip(kind, 0.0, 0.0))
    assert (found.maps['count'] == 7).all()
    assert (found.pixels == 500).all()


def test_images_of_different_noise_are_held_to_their_own():
    scales = np.array([1.0, 1.0, 1.0, 1.0, 50.0])
    band = np.array([100.0, 101, 99, 100, 2.9]).reshape(5, 1, 1)
    frames = Frames(scales=scales, gain=np.ones(5), read_noise=np.ones(5))
    recipe = Recipe('mean', Clip('ccd', 3, 3), maps=frozenset({'count'}))
    # 145 of an image scaled by 50, sigma 50 * sqrt(1 + 2) = 87, stays; of an image as it is, sigma 10, it would go.
    assert combining.combine_band(band, recipe, frames).maps['count'][0, 0] == 5
    alone = np.array([100.0, 101, 99, 100, 145]).reshape(5, 1, 1)
    plain = Frames(gain=np.ones(5), read_noise=np.ones(5))
    assert combining.combine_band(alone, recipe, plain).maps['count'][0, 0] == 4


@pytest.mark.parametrize('number', [9, 10, 11])
def test_when_a_sigma_clip_can_reject_nothing(number):
    band = np.zeros((number, 1, 1), 'u2')
    band[0] = 60000
    rejects = combined(band, clip_for('sigma')).rejected > 0
    assert rejects is not rejection.cannot_reject(clip_for('sigma'), number)
    band[1:, 0, 0] = np.arange(number - 1)  # with a MAD of 0 the sigma would stand in
    assert combined(band, clip_for('mad')).rejected == 1


@pytest.mark.parametrize(
    ('kind', 'limits', 'wanted'),
    [
        ('none', None, (0, 0)), ('min', (2, 2), (2, 0)), ('max', (3, 3), (0, 3)), ('minmax', (2, 3), (2, 3)),
        ('minmax', None, (1, 1)), ('sigma', None, (3, 3)), ('percentile', None, (0.2, 0.1)),
        ('ccd', (2.5, 4), (2.5, 4)),
    ],
)  # fmt: skip
def test_clip_for(kind, limits, wanted):
    clip = clip_for(kind, limits)
    assert (clip.low, clip.high) == wanted


@pytest.mark.parametrize(('kind', 'limits'), [('sigma', (-1, 3)), ('max', (1.5, 1.5)), ('mad', (3, float('nan'))),
    ('min', (1, 2)), ('percentile', (20, 20))])  # fmt: skip
def test_clips_that_make_no_sense(kind, limits):
    with pytest.raises(ValueError, match=r'the limits of|whole numbers|one number|no fraction'):
        clip_for(kind, limits)


@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor', 'percentile', 'ccd'])
@pytest.mark.parametrize('dtype', ['u2', 'i2', 'i4', 'f4', 'f8'])
@pytest.mark.parametrize('number', [3, 4, 7, 12, 31])
def test_the_screening_misses_no_pixel_that_loses_a_value(kind, dtype, number):
    rng = np.random.default_rng(number)
    spread = np.repeat([0.4, 3.0, 200.0], 700)  # ties, ordinary noise, and a wide one
    stack = rng.normal(1000, spread, (number, len(spread))).round(2)
    stack[0, ::5] += rng.normal(0, 8, len(spread[::5])) * spread[::5]
    stack = np.clip(stack, 0, 30000).astype(dtype)
    noise = rejection.Noise(*(np.full(number, value) for value in (1.3, 9.0, 1.0, 0.0)))
    clip = rejection.clip_for(kind, (0.02, 0.03) if kind == 'percentile' else (2.0, 1.7))
    named = rejection.may_reject(stack.copy(), clip, noise)
    values = np.sort(stack.T.astype('f8'), axis=1)
    low, high = rejection.windows(values, np.full(len(values), number), clip, noise)
    loses = high - low < number
    assert loses.any() or rejection.cannot_reject(clip, number)
    assert not (loses & ~named).any()


@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor', 'percentile', 'ccd'])
def test_the_screening_names_few_of_quiet_pixels(kind):
    stack = np.random.default_rng(5).normal(1000, 5, (20, 5000)).astype('u2')
    noise = rejection.Noise(*(np.full(20, value) for value in (1.3, 9.0, 1.0, 0.0)))
    clip = rejection.clip_for(kind, (0.2, 0.2) if kind == 'percentile' else (5.0, 5.0))
    assert rejection.may_reject(stack, clip, noise).mean() < 0.1


@pytest.mark.parametrize('factor', [1e160, 1e-170, 1e-310, 5e-321])
@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor'])
def test_values_at_the_ends_of_float64(kind, factor):
    values = np.array([9.8, 9.85, 9.9, 9.95, 10, 10.05, 10.1, 10.15, 10.2, 90])
    stack = (values * factor)[:, None]
    assert rejection.may_reject(stack, Clip(kind, 2, 2)).all()
    low, high = rejection.windows(stack.T, np.array([10]), Clip(kind, 2, 2))
    assert (low[0], high[0]) == (0, 9)


@pytest.mark.parametrize('dtype', ['f4', 'f8'])
def test_a_limit_of_0_rejects_all_off_the_centre_however_small(dtype):
    stack = np.array([[1e-31], [2e-31], [3e-31]], dtype)
    noise = rejection.Noise(*(np.ones(3) for _ in range(4)))
    assert rejection.may_reject(stack, Clip('ccd', 0, 0), noise).all()


@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor'])
def test_the_screening_of_a_pixel_does_not_depend_on_its_company(kind):
    stack = np.random.default_rng(4).normal(1000, 1, (12, 65))
    clip = Clip(kind, 2.2, 2.2)
    together = rejection._scale(stack, *middles(stack), clip, None)
    for count in (1, 2, 3, 17):
        part = stack[:, :count]
        np.testing.assert_array_equal(rejection._scale(part, *middles(part), clip, None), together[:count])


def middles(stack):
    ordered = np.sort(stack, axis=0)
    return ordered[5].copy(), (ordered[6] - ordered[5]) / 2
