import numpy as np
import pytest

from fitsutils.pixels import badpixels, growing, hotpixels, illumination, marking
from fitsutils.pixels.marking import Rules, mark


def scene(seed=3):
    """A flat with a dark margin, a dead and a bright pixel, and one without a value."""
    pixels = np.random.default_rng(seed).normal(20000, 100, (41, 53))
    pixels[:, :9] = 50
    pixels[20, 30], pixels[25, 35], pixels[30, 40] = 300, 65000, np.nan
    return pixels


def test_thresholds_include_their_value():
    pixels = np.array([[1.0, 2, 3, 4, np.nan, np.inf, -np.inf]])
    found = mark(pixels, Rules(above=3, below=1))
    assert found.causes['above'].tolist() == [[False, False, True, True, False, False, False]]
    assert found.causes['below'].tolist() == [[True, False, False, False, False, False, False]]
    assert found.counts() == {'missing': 3, 'above': 2, 'below': 1}


@pytest.mark.parametrize('kind', ['u1', 'u2', 'i2', 'i4', 'f4'])
def test_nothing_wraps(kind):
    pixels = np.array([[0, 100]]).astype(kind)
    assert mark(pixels, Rules(below=-1, above=70000)).counts() == {'missing': 0, 'above': 0, 'below': 0}


def test_a_flat():
    pixels = scene()
    found = mark(pixels, Rules(lit=0.5, deviant=0.5, above=60000))
    lit = illumination.lit_part(pixels, 0.5)
    np.testing.assert_array_equal(found.causes['unlit'], ~lit.pixels)
    assert found.level == lit.level
    deviant = badpixels.deviant(pixels / badpixels.level(pixels), 0.5)
    np.testing.assert_array_equal(found.causes['deviant'], deviant & np.isfinite(pixels))
    assert np.argwhere(found.causes['deviant']).tolist() == [[20, 30], [25, 35]]
    assert found.counts() == {'missing': 1, 'unlit': 41 * 9, 'above': 1, 'deviant': 2}


def test_the_median_of_a_flat_may_have_another_side():
    pixels = scene()
    assert mark(pixels, Rules(lit=0.5, side=1)).causes['unlit'][20, 30]
    assert not mark(pixels, Rules(lit=0.5)).causes['unlit'][20, 30]


def test_a_dark():
    pixels = np.random.default_rng(4).normal(30, 3, (64, 96))
    pixels[5, 6], pixels[7, 8], pixels[9, 10] = 90, -90, np.inf
    found = mark(pixels, Rules(hot=8)).causes['hot']
    good = np.isfinite(pixels)
    np.testing.assert_array_equal(found, hotpixels.standing_out(np.where(good, pixels, np.nan), good, 8))
    assert np.argwhere(found).tolist() == [[5, 6], [7, 8]]
    found = mark(pixels, Rules(excess=40))
    assert np.argwhere(found.causes['hot']).tolist() == [[5, 6]]
    assert found.counts() == {'missing': 1, 'hot': 1}
    both = mark(pixels, Rules(excess=40, hot=8)).causes['hot']
    assert np.argwhere(both).tolist() == [[5, 6], [7, 8]]


def test_masked_pixels_are_left_out_of_what_is_measured():
    pixels = scene()
    spoilt = pixels.copy()
    masked = np.random.default_rng(5).random(pixels.shape) < 0.2
    spoilt[masked] = 6e6
    rules = Rules(lit=0.5, deviant=0.5)
    found, clean = mark(spoilt, rules, masked), mark(np.where(masked, np.nan, pixels), rules)
    assert found.level == clean.level
    for cause in ('unlit', 'deviant'):
        free = ~masked
        np.testing.assert_array_equal(found.causes[cause][free], clean.causes[cause][free])
    np.testing.assert_array_equal(found.causes['masked'], masked & np.isfinite(spoilt))
    assert not found.causes['deviant'][masked].any()


def test_a_mask():
    pixels = np.array([[0.0, 1, -2, 0.5, np.nan]])
    found = mark(pixels, Rules(nonzero=True))
    assert found.causes['nonzero'].tolist() == [[False, True, True, True, False]]


@pytest.mark.parametrize('rules', [Rules(lit=0.5), Rules(deviant=0.5)])
def test_what_is_no_flat(rules):
    with pytest.raises(ValueError, match='its level is -5'):
        mark(np.full((9, 9), -5), rules)
    with pytest.raises(ValueError, match=r'no pixel has a value|its level is nan'):
        mark(np.full((9, 9), np.nan), rules)


def test_parts():
    found = marking.drawn([(slice(1, 3), slice(0, 2)), ('circle', (6, 2, 1))], (5, 9))
    wanted = np.zeros((5, 9), bool)
    wanted[1:3, :2] = True
    wanted[1, 4:7] = wanted[0:3, 5] = True
    np.testing.assert_array_equal(found, wanted)
    assert not marking.drawn([], (5, 9)).any()


def test_growth_is_by_cause():
    marks = np.zeros((9, 11), bool)
    marks[4, 5] = True
    found = marking.grow({'above': marks, 'hot': marks, 'missing': marks}, {'above': 2, 'hot': 0})
    np.testing.assert_array_equal(found['above'], growing.grown(marks, 2))
    assert found['hot'].sum() == found['missing'].sum() == 1


@pytest.mark.parametrize('invert', [False, True])
def test_masks_are_strict(invert):
    rng = np.random.default_rng(6)
    causes = {name: rng.random((2, 5, 7)) < 0.3 for name in marking.CAUSES}
    mask = marking.joined(causes, invert=invert)
    assert mask.dtype == np.uint8
    others = np.any([marks for name, marks in causes.items() if name != 'missing'], axis=0)
    np.testing.assert_array_equal(mask, (others != invert) | causes['missing'])


def test_missing_pixels_alone():
    assert marking.joined({'missing': np.array([True, False])}).tolist() == [1, 0]
    assert marking.joined({'missing': np.array([True, False])}, invert=True).tolist() == [1, 1]


def test_planes_in_one():
    planes = [np.zeros((2, 3), bool), np.ones((2, 3), bool)]
    np.testing.assert_array_equal(marking.stacked(planes), planes)
