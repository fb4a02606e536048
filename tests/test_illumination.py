import numpy as np
import pytest
from scipy import ndimage

from fitsutils.pixels import growing, illumination


def circle(shape, middle, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(y - middle[0], x - middle[1]) <= radius


def flat(shape=(83, 97), noise=30.0, seed=1):
    """A round field, darker towards its rim, on a dark detector."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot(y - 40, x - 50)
    light = 20000 * np.where(away <= 35, 1 - 0.2 * (away / 35) ** 2, 0.01)
    return light + np.random.default_rng(seed).normal(0, noise, shape)


@pytest.mark.parametrize('side', [1, 3, 11])
@pytest.mark.parametrize('fraction', [0.3, 0.5, 0.9])
def test_it_is_what_a_median_filter_finds(side, fraction):
    """The level is the median of what is lit, and lit is what the filtered image has above a part of that level."""
    pixels = flat()
    found = illumination.lit_part(pixels, fraction, side=side)
    filtered = ndimage.median_filter(pixels, side, mode='reflect')
    np.testing.assert_array_equal(found.pixels, filtered >= fraction * found.level)
    assert found.level == np.median(pixels[found.pixels])


def test_the_round_field():
    """But for what a median takes from the rim of a circle."""
    found = illumination.lit_part(flat()).pixels
    assert not (found & ~circle((83, 97), (40, 50), 35)).any()
    assert found[circle((83, 97), (40, 50), 34)].all()


def test_specks_and_columns_are_lit():
    pixels = flat()
    pixels[30:34, 40:44] = 0
    pixels[:, 55] = 10
    pixels[10, 10], pixels[2, 90] = 6e4, 6e4
    found = illumination.lit_part(pixels).pixels
    assert found[circle((83, 97), (40, 50), 33)].all()
    assert not (found & ~circle((83, 97), (40, 50), 35)).any()
    alone = illumination.lit_part(pixels, side=1).pixels  # without the median each is judged by itself
    assert not alone[30:34, 40:44].any()
    assert alone[10, 10]


@pytest.mark.parametrize('edge', [100, 37])
def test_a_step(edge):
    """filabres' smoothed mask has its first good pixel 12 pixels inside of a straight edge; so has a growth by 12."""
    pixels = np.zeros((57, 211))
    pixels[:, edge:] = 1000
    lit = illumination.lit_part(pixels, 0.5).pixels
    useful = ~growing.grown(~lit, 12)
    assert (np.argmax(useful, axis=1) == edge + 12).all()
    smoothed = ndimage.gaussian_filter(lit.astype('f8'), 5, mode='reflect')
    np.testing.assert_array_equal(useful, smoothed >= 0.99)


def test_no_corner_is_lost_where_all_is_lit():
    assert illumination.lit_part(np.ones((20, 30))).pixels.all()


@pytest.mark.parametrize('kind', ['u2', 'i4', 'f4', 'f8'])
def test_types(kind):
    pixels = np.clip(flat(), 0, None).round().astype(kind)
    found = illumination.lit_part(pixels)
    wanted = illumination.lit_part(pixels.astype('f8'))
    np.testing.assert_array_equal(found.pixels, wanted.pixels)
    assert found.level == pytest.approx(wanted.level, rel=1e-6)


def test_missing_and_masked_pixels_do_not_count():
    pixels = flat()
    clean = illumination.lit_part(pixels)
    odd = np.random.default_rng(2).random(pixels.shape) < 0.1
    spoilt = np.where(odd, np.nan, pixels)
    spoilt[5, 6] = np.inf
    found = illumination.lit_part(spoilt)
    assert np.count_nonzero(found.pixels != clean.pixels) < 25
    assert found.level == np.median(spoilt[found.pixels & np.isfinite(spoilt)])
    masked = illumination.lit_part(np.where(odd, 1e6, pixels), good=~odd & (np.arange(97) != 200))
    np.testing.assert_array_equal(masked.pixels, illumination.lit_part(np.where(odd, np.nan, pixels)).pixels)


def test_a_hole_larger_than_the_square_is_not_lit():
    pixels = flat()
    pixels[30:50, 40:60] = np.nan
    lit = illumination.lit_part(pixels).pixels
    assert not lit[36:44, 46:54].any()
    assert lit[31, 41]


@pytest.mark.parametrize(
    ('pixels', 'what'),
    [
        (np.full((5, 7), np.nan), 'no pixel has a value'),
        (np.full((5, 7), -3.0), 'no part of it is lit: its level is -3'),
        (np.zeros((5, 7)), 'no part of it is lit: its level is 0'),
        (np.full((5, 7), -100, 'i2'), 'no part of it is lit'),
    ],
)
def test_what_is_no_flat(pixels, what):
    with pytest.raises(ValueError, match=what):
        illumination.lit_part(pixels)
