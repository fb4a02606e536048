"""darkrates: bands, ceilings and the images of RATE.fits; what the command does with them is in test_fit_dark."""

import contextlib
import tracemalloc

import numpy as np
import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import calibrated, reader
from fitsutils.files.inputs import Reference
from fitsutils.steps import darkrates, darks

NY, NX, TIMES = 11, 8, (10, 30, 90, 300)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stack(make_image):
    """Darks of four times, of a well that is full at 40000 in the last but one row; and their pixels."""
    rng = np.random.default_rng(2)
    rate = np.full((NY, NX), 0.5)
    rate[9, 2] = 1000
    frames = [np.minimum(rng.normal(500, 2, (NY, NX)) + rate * time, 40000).astype('u2') for time in TIMES]
    for time, frame in zip(TIMES, frames, strict=True):
        make_image(f'd{time}.fits', frame, EXPTIME=float(time), SATURATE=60000 - time, GAIN=1.0)
    return darks.open_darks([Reference(f'd{time}.fits') for time in TIMES]), np.array(frames, 'f8')


def quiet(total, what):
    """A progress that counts its steps."""
    steps.append((total, what))
    return contextlib.nullcontext(type('Line', (), {'step': lambda self, count: steps.append(count)})())


steps = []


@pytest.mark.parametrize('height', [1, 2, 5, NY, 50])
@pytest.mark.parametrize('jobs', [1, 3])
def test_bands_make_no_difference(stack, height, jobs):
    frames, pixels = stack
    steps.clear()
    rates = darkrates.fit_pixels(frames, None, height, darkrates.PerPixel(jobs=jobs, dtype='float64'), quiet)
    assert rates.ceilings == [40000] * 4
    assert np.argwhere(rates.lines.saturated).tolist() == [[9, 2]]
    slope, offset = np.polyfit(TIMES, pixels.reshape(4, -1), 1)
    other = np.arange(NY * NX) != 9 * NX + 2
    np.testing.assert_allclose(rates.lines.rate.ravel()[other], slope[other], rtol=1e-9)
    np.testing.assert_allclose(rates.lines.offset.ravel()[other], offset[other], rtol=1e-9)
    assert rates.lines.rate[9, 2] == pytest.approx(1000, rel=0.01)
    assert rates.holds_bias
    assert rates.lost == 0
    assert [step for step in steps if isinstance(step, tuple)] == [(NY, 'rows looked through'), (NY, 'rows')]
    assert sum(step for step in steps if not isinstance(step, tuple)) == 2 * NY


@pytest.mark.parametrize(('kind', 'most'), [('float32', 30), ('float64', 42)])
def test_of_whole_images_little_more_than_what_is_written_is_held(make_image, kind, most):
    """Rate, offset and rms, counts and mask take 15 bytes a pixel, 27 in float64; marks and blocks come on top."""
    shape = (700, 900)
    for time in (1, 5, 20):
        frame = np.random.default_rng(time).normal(500 + time, 2, shape).astype('u2')
        make_image(f'm{time}.fits', frame, EXPTIME=float(time))
    frames = darks.open_darks([Reference(f'm{time}.fits') for time in (1, 5, 20)])
    settings = darkrates.PerPixel(dtype=kind, bias_free=True)
    darkrates.rate_parts(frames, darkrates.fit_pixels(frames, None, 7, settings, quiet), settings, [])  # loads modules
    tracemalloc.start()
    try:
        rates = darkrates.fit_pixels(frames, None, 7, settings, quiet)
        darkrates.rate_parts(frames, rates, settings, [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most * shape[0] * shape[1]


def test_each_dark_has_its_own_ceiling(stack, make_image):
    frames, _ = stack
    pixels = np.full((NY, NX), 100, 'u2')
    make_image('quiet.fits', pixels, EXPTIME=600.0, SATURATE=50000)
    make_image('none.fits', pixels.astype('f4'), EXPTIME=900.0)
    more = darks.open_darks([Reference('quiet.fits'), Reference('none.fits')])
    rates = darkrates.fit_pixels([frames[0], *more], None, 4, darkrates.PerPixel(), quiet)
    assert rates.ceilings == [59990, 50000, np.inf]
    header = darkrates.rate_parts([frames[0], *more], rates, darkrates.PerPixel(), [])[0][1]
    assert 'DARKSAT' not in header


def test_saturations_that_are_given(stack):
    images = [dark.image for dark in stack[0]]
    assert darkrates.saturations('1e4', images) == [10000] * 4
    assert darkrates.saturations('inf', images) == [np.inf] * 4
    assert darkrates.saturations('saturate', images) == [60000 - time for time in TIMES]
    for word in ('0', 'nan', '-inf'):
        with pytest.raises(Failure, match=r'd10.fits: --saturation .*: it must be above 0'):
            darkrates.saturations(word, images)
    with pytest.raises(Failure, match='keyword FULL is missing'):
        darkrates.saturations('FULL', images)
    with pytest.raises(UsageError, match='neither @FILE nor a keyword'):
        darkrates.saturations('a/b', images)


def test_memory_and_times(stack):
    frames, _ = stack
    assert darkrates.check_pixels(frames, darkrates.PerPixel(memory=10**9)) > NY
    row = 8 * (4 * 13 + 128)
    assert darkrates.check_pixels(frames, darkrates.PerPixel(memory=3 * row)) == 3
    assert darkrates.check_pixels(frames, darkrates.PerPixel(memory=4 * row, jobs=4)) == 1
    with pytest.raises(Failure, match='--memory does not hold one row of 4 images, which takes 6k'):
        darkrates.check_pixels(frames, darkrates.PerPixel(memory=4 * row - 1, jobs=4))
    with pytest.raises(Failure, match='all are of 10 s'):
        darkrates.check_pixels([frames[0], frames[0]], darkrates.PerPixel())


@pytest.mark.parametrize('kind', ['float32', 'float64'])
def test_parts(stack, kind, make_image):
    frames, _ = stack
    make_image('bias.fits', np.full((NY, NX), 500, 'u2'))
    bias = reader.open_image(Reference('bias.fits'), keywords=calibrated.KEYWORDS)
    own = [darks.Dark(dark.image, dark.time, bias) for dark in frames]
    settings = darkrates.PerPixel(mask='m.fits', dtype=kind)
    rates = darkrates.fit_pixels(own, None, 4, settings, quiet)
    assert not rates.holds_bias
    parts = darkrates.rate_parts(own, rates, settings, [('OBJECT', 'mine')])
    names = [header['EXTNAME'] for _, header in parts]
    assert names == ['RATE', 'OFFSET', 'MASK', 'RMS', 'NPTS']
    assert [image.dtype for image, _ in parts] == [kind, kind, 'u1', kind, 'i2']
    header = parts[0][1]
    assert header['OBJECT'] == 'mine'
    assert header['BIASSUB'] == 'bias.fits'
    assert header['CMBMASK'] == 'm.fits'
    assert header['BUNIT'] == 'adu/s'
    assert parts[1][1]['BUNIT'] == 'adu'
    assert 'EXPTIME' not in header
    assert header['NSATURAT'] == 1
