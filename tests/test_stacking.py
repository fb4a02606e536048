"""Stacks through the whole command: every pixel against a loop written from the definitions."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.stats import sigma_clip
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitsutils.commands import combine_fits

N, NY, NX = 13, 5, 7
MAPS = ('count', 'low', 'high', 'sigma', 'exptime')
EXPOSURES = 10.0 + np.arange(N) ** 2
NEVER = float('inf')


def run(*words, status=0):
    assert combine_fits.main([str(word) for word in words]) == status


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(make_image):
    """A function that writes the images of a cube as f.01.fit ..., with cards that are lists of one value an image."""

    def images(cube, root='f', **cards):
        for number, image in enumerate(cube):
            own = {key: values[number] for key, values in cards.items()}
            make_image(f'{root}.{number + 1:02d}.fit', image, **own)

    return images


def sky(number=N, dtype='u2', seed=0, shape=(NY, NX), level=1000):
    """Images with outliers on both sides and, in floats, gaps, infinities and a pixel without any value."""
    rng = np.random.default_rng(100 * number + seed)
    cube = rng.normal(level, 9, (number, *shape))
    hit = rng.uniform(size=cube.shape) < 0.06
    cube[hit] += rng.uniform(-0.6, 3, hit.sum()) * level
    if np.dtype(dtype).kind in 'iu':
        return np.rint(cube).astype(dtype)
    cube[rng.uniform(size=cube.shape) < 0.04] = np.nan
    cube[0, 0, 1], cube[1, 0, 2], cube[:, 1, 2] = np.inf, -np.inf, np.nan
    return cube.astype(dtype)


# --- the definitions -------------------------------------------------------------------------------------------------


def middle(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def sigma_about(values, centre):
    return (sum((value - centre) ** 2 for value in values) / (len(values) - 1)) ** 0.5


def robust_sigma(values, centre):
    return 1.4826 * middle([abs(value - centre) for value in values]) or sigma_about(values, centre)


def winsorized_sigma(values, centre):
    sigma, held = np.std(values, ddof=1), np.array(values)
    for _ in range(100):
        held = np.clip(held, centre - 1.5 * sigma, centre + 1.5 * sigma)
        before, sigma = sigma, 1.134 * np.std(held, ddof=1)
        if abs(sigma - before) <= 0.0005 * before:
            break
    return sigma


def noise(gain, read=0.0, sensitivity=0.0):
    """The model of IRAF's ccdclip, for values that are not scaled."""

    def sigma(_values, centre):
        level = max(centre, 0)
        return ((read / gain) ** 2 + level / gain + (sensitivity * level) ** 2) ** 0.5

    return sigma


SIGMAS = {'sigma': sigma_about, 'mad': robust_sigma, 'winsor': winsorized_sigma}


def nearest(left, centre, number):
    """At least so many pairs, those nearest to the centre; all of one distance together."""
    limit = max(sorted(abs(value - centre) for value, _ in left)[:number], default=0)
    return [pair for pair in left if abs(pair[0] - centre) <= limit]


def iterated(left, limits, keep, sigma_of):
    """Pairs of value and image that are left when nothing more is rejected, or fewer than three are."""
    while len(left) >= max(3, keep + 1):
        values = [value for value, _ in left]
        centre = middle(values)
        sigma = sigma_of(values, centre)
        inner = [pair for pair in left if -limits[0] * sigma <= pair[0] - centre <= limits[1] * sigma]
        if len(inner) < keep:
            inner = nearest(left, centre, keep)
        if len(inner) == len(left):
            break
        left = inner
    return left


def clipped(left, kind, limits, keep, sigma_of):
    """Pairs of value and image that a rule leaves of those of a pixel."""
    left = sorted(left)
    if kind in ('min', 'max', 'minmax'):
        low, high = 0 if kind == 'max' else int(limits[0]), 0 if kind == 'min' else int(limits[1])
        return left[low : max(low, len(left) - high)]
    if kind == 'percentile':
        centre = middle([value for value, _ in left]) if left else 0
        inner = [
            pair for pair in left if -limits[0] * abs(centre) <= pair[0] - centre <= limits[1] * abs(centre)
        ]  # fmt: skip
        return inner if len(inner) >= keep else nearest(left, centre, keep)
    return left if kind == 'none' else iterated(left, limits, keep, sigma_of)


def reduced(values, weights, method):
    if method == 'mean':
        return sum(values * weights) / sum(weights)
    return getattr(np, method)(values)


def spread(values, weights):
    """Standard deviation with n - 1, about the weighted mean, and the effective number."""
    number = sum(weights) ** 2 / sum(weights**2)
    mean = sum(weights * values) / sum(weights)
    return (sum(weights * (values - mean) ** 2) / sum(weights) * number / (number - 1)) ** 0.5, number


def grown(rejected, radius):
    """Every value whose centre lies within the radius of a rejected one of the same image."""
    out = np.zeros_like(rejected)
    rows, columns = np.indices(rejected.shape[1:])
    for image, row, column in np.argwhere(rejected):
        out[image] |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return out


def defined(
    cube, method='median', *, kind='none', limits=(0, 0), keep=0, sigma_of=None, good=True, scales=1.0, zeros=0.0,
    weights=1.0, below=-NEVER, above=NEVER, grow=0, fill=False, exposures=None,
):  # fmt: skip
    """The combination and its maps, by their names, of a cube of any real type."""
    cube = cube.astype('f8')
    number, sides = len(cube), (-1, *(1 for _ in cube.shape[1:]))
    scales, zeros = (np.reshape(each, sides) if np.ndim(each) == 1 else each for each in (scales, zeros))
    weights = np.broadcast_to(np.reshape(weights, sides) if np.ndim(weights) < 2 else weights, cube.shape)
    present = np.isfinite(cube) & good & np.isfinite(weights) & (weights > 0)
    inside = present & (cube >= below) & (cube <= above)
    values = np.where(present, cube, 0) * scales + zeros
    kept = np.zeros(cube.shape, bool)
    for place in np.ndindex(cube.shape[1:]):
        left = [(values[(image, *place)], image) for image in range(number) if inside[(image, *place)]]
        for _, image in clipped(left, kind, limits, keep, sigma_of or SIGMAS.get(kind)):
            kept[(image, *place)] = True
    out = {name: np.full(cube.shape[1:], np.nan) for name in ('pixels', *MAPS, 'uncert')}
    centre = np.array([np.median(values[(present[(slice(None), *place)], *place)]) if kept[(slice(None), *place)].any()
                       else np.nan for place in np.ndindex(cube.shape[1:])]).reshape(cube.shape[1:])  # fmt: skip
    rejected = present & ~kept
    out['low'], out['high'] = (rejected & (values < centre)).sum(axis=0), (rejected & (values > centre)).sum(axis=0)
    if grow:
        kept &= ~grown(inside & ~kept, grow)
    out['count'], out['rejected'] = kept.sum(axis=0), (present & ~kept).sum()
    for place in np.ndindex(cube.shape[1:]):
        here = (slice(None), *place)
        used, beside = values[here][kept[here]], weights[here][kept[here]]
        out['exptime'][place] = 0 if exposures is None else sum(exposures[kept[here]])
        if len(used):
            out['pixels'][place] = reduced(used, beside, method)
        elif fill and present[here].any():
            out['pixels'][place] = middle(values[here][present[here]])
        if len(used) > 1:
            out['sigma'][place] = np.std(used, ddof=1)
            deviation, effective = spread(used, beside)
            factor = {'median': 1.2533, 'sum': effective}.get(method, 1)
            out['uncert'][place] = factor * deviation / effective**0.5
    return out


def agree(found, wanted, rtol=3e-6):
    """Equal to the rounding of float32, NaN in the same places."""
    scale = np.nanmax(np.abs(wanted), initial=1.0)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * scale)


def check(path, wanted, maps=()):
    with fits.open(path) as hdus:
        agree(hdus[0].data, wanted['pixels'])
        for name in maps:
            agree(hdus[name].data, wanted[name])


# --- rejection -------------------------------------------------------------------------------------------------------

CLIPS = {
    'none': ([], {}),
    'min': (['-d', 2], {'limits': (2, 2)}),
    'min by default': ([], {'limits': (1, 1)}),
    'max': (['-d', 3], {'limits': (3, 3)}),
    'minmax': (['-d', '1,3'], {'limits': (1, 3)}),
    'minmax by default': ([], {'limits': (1, 1)}),
    'sigma': (['-d', '2.5'], {'limits': (2.5, 2.5)}),
    'sigma by default': ([], {'limits': (3, 3)}),
    'mad': (['-d', '4,3'], {'limits': (4, 3)}),
    'mad by default': ([], {'limits': (3, 3)}),
    'mad keeping': (['-d', '0.5', '--keep', 6], {'limits': (0.5, 0.5), 'keep': 6}),
    'sigma keeping': (['-d', '0.4,0.3', '--keep', 8], {'limits': (0.4, 0.3), 'keep': 8}),
    'winsor': (['-d', '2,2.7'], {'limits': (2, 2.7)}),
    'winsor by default': ([], {'limits': (3, 3)}),
    'percentile': (['-d', '0.0123,0.0077'], {'limits': (0.0123, 0.0077)}),
    'percentile by default': ([], {'limits': (0.2, 0.1)}),
    'percentile keeping': (['-d', '0.0003', '--keep', 4], {'limits': (0.0003, 0.0003), 'keep': 4}),
    'ccd': (['--gain', 'EGAIN', '--rdnoise', 8, '--snoise', 0.01, '-d', '2,3'],
            {'limits': (2, 3), 'sigma_of': noise(12.5, 8, 0.01)}),
    'ccd by default': (['--gain', '12.5'], {'limits': (3, 3), 'sigma_of': noise(12.5)}),
}  # fmt: skip


@pytest.mark.parametrize('name', CLIPS)
@pytest.mark.parametrize(('dtype', 'method'), [('u2', 'mean'), ('f4', 'median'), ('i4', 'sum'), ('f8', 'mean')])
def test_every_rejection_with_its_maps(write, name, dtype, method):
    options, rule = CLIPS[name]
    kind = name.split()[0]
    cube = sky(dtype=dtype)
    write(cube, EXPTIME=EXPOSURES, EGAIN=[12.5] * N)
    clip = ['-c', kind, *options]
    run('f.*.fit', '-m', method, *clip, '--maps', ','.join(MAPS), '--uncertainty', '-o', 'out.fit')
    wanted = defined(cube, method, kind=kind, exposures=EXPOSURES, **rule)
    check('out.fit', wanted, (*MAPS, 'uncert'))
    header = fits.getheader('out.fit')
    assert header.get('NREJECT', 0) == wanted['rejected']
    assert header.get('NREJALL', 0) == (wanted['count'] == 0).sum()
    if kind not in ('none', 'percentile'):
        assert wanted['rejected'] > 0


def test_values_that_min_drops_of_a_short_pixel_are_low(write):
    cube = np.full((3, 2, 4), 5, 'f4')
    cube[1:, 0, 0] = np.nan
    write(cube)
    run('f.*.fit', '-c', 'min', '-d', 2, '--maps', 'low,high', '-o', 'out.fit')
    assert (fits.getdata('out.fit', 'LOW')[0, :2].tolist(), fits.getdata('out.fit', 'HIGH').max()) == ([1, 2], 0)


@pytest.mark.parametrize('number', [3, 4, 5, 10, 11, 33, 61])
@pytest.mark.parametrize('kind', ['sigma', 'mad', 'winsor'])
def test_small_and_large_stacks(write, kind, number):
    cube = sky(number, 'u2')
    write(cube)
    run('f.*.fit', '-m', 'mean', '-c', kind, '-d', '1.1,2.2', '--maps', 'count', '-o', 'out.fit')
    check('out.fit', defined(cube, 'mean', kind=kind, limits=(1.1, 2.2)), ['count'])


def test_the_noise_of_scaled_images_is_that_of_each_image(write):
    """A gain and a read noise of its own for each image, at the level that it had before it was scaled."""
    gains, reads, times = np.linspace(1, 3, N), np.linspace(2, 30, N), np.linspace(1, 4, N)
    cube = (sky(seed=3) * times[:, None, None]).astype('u2')
    write(cube, GAIN=gains, RDNOISE=reads, EXPTIME=times)
    run('f.*.fit', '-m', 'mean', '-c', 'ccd', '--gain', 'GAIN', '--rdnoise', 'RDNOISE', '-n', 'EXPTIME',
        '--maps', 'count', '-o', 'out.fit')  # fmt: skip
    values, wanted = cube / times[:, None, None], np.empty((NY, NX))
    for place in np.ndindex(NY, NX):
        column, kept = values[(slice(None), *place)], np.ones(N, bool)
        while True:
            centre = np.median(column[kept])
            sigma = np.sqrt((reads / gains) ** 2 + centre * times / gains) / times
            inner = kept & (np.abs(column - centre) <= 3 * sigma)
            if inner.sum() == kept.sum() or kept.sum() < 3:
                break
            kept = inner
        wanted[place] = kept.sum()
    np.testing.assert_array_equal(fits.getdata('out.fit', 'COUNT'), wanted)
    assert wanted.min() < N


@pytest.mark.parametrize('kind', ['sigma', 'mad'])
def test_astropy_rejects_the_same(write, kind):
    """Astropy's own loop, given the same centre and the same sigma."""
    cube = sky(N, 'f4', seed=5)
    cube[:, 1, 2] = 1000 + np.arange(N)
    write(cube)
    run('f.*.fit', '-m', 'mean', '-c', kind, '-d', '2,2.5', '--maps', 'count', '-o', 'out.fit')

    def sigma(values, axis=None):
        square = (values - np.nanmedian(values, axis=axis, keepdims=True)) ** 2
        if kind == 'mad':
            return 1.4826 * np.nanmedian(np.sqrt(square), axis=axis)
        return np.sqrt(np.nansum(square, axis=axis) / (np.isfinite(values).sum(axis=axis) - 1))

    masked = np.ma.masked_invalid(cube.astype('f8'))
    left = sigma_clip(masked, 2, sigma_lower=2, sigma_upper=2.5, maxiters=None, cenfunc='median', stdfunc=sigma, axis=0)
    agree(fits.getdata('out.fit'), left.mean(axis=0).filled(np.nan))
    np.testing.assert_array_equal(fits.getdata('out.fit', 'COUNT'), left.count(axis=0))


@pytest.mark.parametrize('dtype', ['u2', 'f4'])
@pytest.mark.parametrize(
    ('options', 'limits'),
    [
        (['--reject-below', 990], {'below': 990}),
        (['--reject-above', 1010.5], {'above': 1010.5}),
        (['--reject-below', 990, '--reject-above', 1010], {'below': 990, 'above': 1010}),
    ],
)
def test_thresholds_are_of_the_values_in_the_files(write, dtype, options, limits):
    cube, times = sky(dtype=dtype, seed=8), np.linspace(1, 2, N)
    write(cube, TIME=times)
    run('f.*.fit', *options, '-n', 'TIME', '-c', 'mad', '--maps', 'count,low,high', '-o', 'out.fit')
    wanted = defined(cube, kind='mad', limits=(3, 3), scales=1 / times, **limits)
    check('out.fit', wanted, ['count'])
    with fits.open('out.fit') as hdus:
        beyond = {side: hdus[side].data.astype(int) for side in ('LOW', 'HIGH')}
    present = np.isfinite(cube).sum(axis=0)
    np.testing.assert_array_equal(beyond['LOW'] + beyond['HIGH'], present - wanted['count'])
    assert (beyond['LOW'] >= (np.isfinite(cube) & (cube < limits.get('below', 0))).sum(axis=0)).all()
    assert fits.getheader('out.fit').get('NREJALL', 0) == (wanted['count'] == 0).sum()


def test_thresholds_come_after_a_shift(write):
    cube = sky()
    write(cube)
    run('f.*.fit', '-m', 'mean', '--reject-above', 501, '-s', -1, '-o', 'out.fit')
    half = cube >> 1
    agree(fits.getdata('out.fit'), np.where(half > 501, 0, half).sum(axis=0) / (half <= 501).sum(axis=0))


def test_levels_leave_out_what_the_thresholds_reject(write):
    cube = sky()
    write(cube)
    run('f.*.fit', '-m', 'mean', '-n', 'mean', '--reject-below', 980, '--reject-above', 1020, '-o', 'out.fit')
    levels = np.array([image[(image >= 980) & (image <= 1020)].mean() for image in cube])
    check('out.fit', defined(cube, 'mean', scales=levels[0] / levels, below=980, above=1020))


@pytest.mark.parametrize('way', ['nan', 'median'])
@pytest.mark.parametrize('dtype', ['u2', 'f4'])
def test_pixels_of_which_all_is_rejected(write, capsys, way, dtype):
    cube = sky(6, dtype, seed=1)
    cube[:, 2, 3], cube[:, 4, 0] = 5000 + np.arange(6), 7000
    cube[1:, 3, 3] = 6000
    write(cube)
    run('f.*.fit', '-m', 'mean', '--reject-above', 3000, '-c', 'min', '--all-rejected', way, '-o', 'out.fit')
    wanted = defined(cube, 'mean', kind='min', limits=(1, 1), above=3000, fill=way == 'median')
    check('out.fit', wanted)
    lost = (wanted['count'] == 0).sum()
    assert lost >= 3
    header = fits.getheader('out.fit')
    assert (header['NREJALL'], header['NREJECT']) == (lost, wanted['rejected'])
    assert f'{lost} pixels have nothing left' in capsys.readouterr().err


@pytest.mark.parametrize('radius', ['1', '1.5', '2.3'])
@pytest.mark.parametrize('method', ['median', 'mean'])
def test_growing(write, radius, method):
    cube = np.random.default_rng(4).normal(500, 3, (N, 11, 9)).astype('f4')
    for image, (row, column) in enumerate([(0, 0), (5, 4), (5, 5), (10, 8), (3, 0)]):
        cube[image, row, column] = 2000
    write(cube)
    run('f.*.fit', '-m', method, '-c', 'mad', '-d', 8, '--grow', radius, '--maps', 'count', '-o', 'out.fit')
    wanted = defined(cube, method, kind='mad', limits=(8, 8), grow=float(radius))
    check('out.fit', wanted, ['count'])
    assert fits.getheader('out.fit')['NREJECT'] == wanted['rejected'] > 5


def test_growing_stays_within_its_plane(write):
    cubes = np.random.default_rng(5).normal(500, 3, (7, 3, 4, 6)).astype('f4')
    cubes[2, 1, 0, 2] = cubes[3, 0, 3, 5] = 90000
    write(cubes)
    run('f.*.fit', '-m', 'mean', '-c', 'mad', '-d', 999, '--grow', 1.5, '--maps', 'count', '-o', 'out.fit')
    found = fits.getdata('out.fit', 'COUNT')
    for plane in range(3):
        wanted = defined(cubes[:, plane], 'mean', kind='mad', limits=(999, 999), grow=1.5)
        np.testing.assert_array_equal(found[plane], wanted['count'])
        agree(fits.getdata('out.fit')[plane], wanted['pixels'])
    assert [(plane < 7).sum() for plane in found] == [4, 6, 0]


# --- levels and weights ----------------------------------------------------------------------------------------------


def mode(values):
    numbers, counts = np.unique(values, return_counts=True)
    return numbers[counts.argmax()]


STATISTICS = {'mean': np.mean, 'median': np.median, 'mode': mode, 'sum': lambda values: values.sum(dtype='f8')}


def levels_of(cube, statistic, good=True):
    good = np.broadcast_to(np.isfinite(cube) & good, cube.shape)
    return np.array([STATISTICS[statistic](image[use].astype('f8')) for image, use in zip(cube, good, strict=True)])


def uneven(dtype='u2'):
    """Images of different levels."""
    cube = sky(dtype=dtype, seed=2)
    return np.rint(cube * np.linspace(1, 3, N)[:, None, None]).astype(dtype)


@pytest.mark.parametrize('zero', ['none', 'mean', 'median', 'mode'])
@pytest.mark.parametrize('scale', ['none', 'mean', 'median', 'mode', 'sum'])
def test_levels_that_are_measured(write, scale, zero):
    cube = uneven()
    write(cube)
    run('f.*.fit', '-m', 'mean', '-n', scale, '-z', zero, '-c', 'mad', '-o', 'out.fit')
    scales, zeros = np.ones(N), np.zeros(N)
    if scale != 'none':
        levels = levels_of(cube, scale)
        scales = levels[0] / levels
    if zero != 'none':
        levels = levels_of(cube, zero) * scales
        zeros = levels[0] - levels
    check('out.fit', defined(cube, 'mean', kind='mad', limits=(3, 3), scales=scales, zeros=zeros))
    header = fits.getheader('out.fit')
    assert (header['CMBSCALE'], header.get('CMBZERO', 'none')) == (scale, zero)
    for key, numbers, wanted in (('IMSCL', scales, scale), ('IMZER', zeros, zero)):
        found = [header.get(f'{key}{number + 1:03d}') for number in range(N)]
        assert found == ([None] * N if wanted == 'none' else pytest.approx(list(numbers), rel=1e-6, abs=1e-6))


@pytest.mark.parametrize('dtype', ['f4', 'f8'])
def test_levels_of_floats_leave_out_what_is_missing(write, dtype):
    cube = uneven(dtype)
    write(cube)
    run('f.*.fit', '-m', 'mean', '-n', 'median', '-z', 'mean', '-o', 'out.fit')
    levels = levels_of(cube, 'median')
    scales = levels[0] / levels
    means = levels_of(cube, 'mean') * scales
    check('out.fit', defined(cube, 'mean', scales=scales, zeros=means[0] - means))


@pytest.mark.parametrize('form', ['KEY', 'alias', 'numbers', 'names'])
def test_levels_that_are_given(write, form):
    cube, times, skies = uneven(), np.linspace(1, 3, N), np.linspace(-5, 80, N)
    write(cube, SKY=skies, **{'EXPOSURE' if form == 'alias' else 'EXPTIME': times})
    words = ['-n', 'EXPTIME', '-z', 'SKY']
    if form in ('numbers', 'names'):
        names = [f'f.{number + 1:02d}.fit ' if form == 'names' else '' for number in range(N)]
        order = range(N)[:: -1 if form == 'names' else 1]
        for path, numbers in (('s.txt', times), ('z.txt', skies)):
            lines = [f'{names[each]}{float(numbers[each])!r}\n' for each in order]
            Path(path).write_text('# a comment\n\n' + ''.join(lines))
        words = ['-n', '@s.txt', '-z', '@z.txt']
    run('f.*.fit', '-m', 'median', *words, '-o', 'out.fit')
    scales = times[0] / times
    zeros = skies[0] * scales[0] - skies * scales
    check('out.fit', defined(cube, scales=scales, zeros=zeros))
    header = fits.getheader('out.fit')
    assert header['IMSCL004'] == pytest.approx(scales[3])
    assert header['IMZER013'] == pytest.approx(zeros[12])


def test_a_measured_scale_and_a_given_shift(write):
    cube, skies = uneven(), np.linspace(1, 80, N)
    write(cube, SKY=skies)
    run('f.*.fit', '-m', 'median', '-n', 'median', '-z', 'SKY', '-o', 'out.fit')
    levels = levels_of(cube, 'median')
    scales = levels[0] / levels
    check('out.fit', defined(cube, scales=scales, zeros=skies[0] - skies * scales))


@pytest.mark.parametrize('words', [['-n', 'mean'], ['-z', 'mean'], ['-n', 'mean', '-z', 'median']])
def test_another_level_than_the_first_image_has(write, words):
    cube = uneven()
    write(cube)
    run('f.*.fit', '-m', 'mean', *words, '--norm-to', 250, '-o', 'out.fit')
    levels, scales, zeros = levels_of(cube, 'mean'), np.ones(N), np.zeros(N)
    if '-n' in words:
        scales = 250 / levels
    if '-z' in words:
        here = levels_of(cube, 'median') * scales if '-n' in words else levels
        zeros = (here[0] if '-n' in words else 250) - here
    check('out.fit', defined(cube, 'mean', scales=scales, zeros=zeros))
    assert fits.getheader('out.fit')['CMBLEVEL'] == 250


@pytest.mark.parametrize('shape', ['image', 'section'])
def test_where_levels_are_measured(write, make_image, shape):
    """On the section, without the pixels of the mask, which go into the combination all the same."""
    cube = uneven()
    bad = np.random.default_rng(0).uniform(size=(NY, NX)) < 0.3
    make_image('bad.fit', bad.astype('u1') * 3)
    write(cube)
    where = ['--section', '[2:6,3:5]'] if shape == 'section' else []
    run('f.*.fit', '-m', 'mean', '-n', 'mean', '-z', 'median', '--norm-mask', 'bad.fit', *where, '-o', 'out.fit')
    good = ~bad
    if where:
        good[:2], good[:, :1], good[:, 6:] = False, False, False
    levels = levels_of(cube, 'mean', good)
    scales = levels[0] / levels
    zeros = levels_of(cube, 'median', good) * scales
    check('out.fit', defined(cube, 'mean', scales=scales, zeros=zeros[0] - zeros))


@pytest.mark.parametrize('form', ['KEY', 'file'])
@pytest.mark.parametrize('clip', ['none', 'minmax', 'mad'])
def test_weights_that_are_given(write, form, clip):
    cube, weights = sky(dtype='f4'), np.linspace(1, 4, N)
    write(cube, GOOD=weights)
    Path('w.txt').write_text('\n'.join(map(str, weights)))
    word = 'GOOD' if form == 'KEY' else '@w.txt'
    run('f.*.fit', '-m', 'mean', '-w', word, '-c', clip, '--uncertainty', '--maps', 'count,sigma', '-o', 'out.fit')
    limits = (1, 1) if clip == 'minmax' else (3, 3)
    check('out.fit', defined(cube, 'mean', kind=clip, limits=limits, weights=weights), ['count', 'sigma', 'uncert'])
    header = fits.getheader('out.fit')
    assert header['CMBWGT'] == word
    assert [header[f'IMWGT{number + 1:03d}'] for number in range(N)] == list(weights)


KINDS = {
    'std': ('UNCERT', 'StdDevUncertainty', lambda variance: variance**0.5),
    'by default': ('UNCERT', None, lambda variance: variance**0.5),
    'var': ('UNCERT', 'VarianceUncertainty', lambda variance: variance),
    'ivar': ('UNCERT', 'InverseVariance', lambda variance: 1 / variance),
    'VAR': ('VAR', None, lambda variance: variance),
    'IVAR': ('IVAR', None, lambda variance: 1 / variance),
}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('scaled', [False, True])
def test_weights_by_the_variance_of_each_pixel(kind, scaled):
    name, said, of_variance = KINDS[kind]
    cube = sky(dtype='f4', seed=6)
    times = np.linspace(1, 2, N)
    variances = np.random.default_rng(7).uniform(1, 9, cube.shape)
    for number, (image, variance) in enumerate(zip(cube, variances, strict=True)):
        beside = fits.ImageHDU(of_variance(variance), name=name)
        if said:
            beside.header['UTYPE'] = said
        first = fits.PrimaryHDU(image)
        first.header['EXPTIME'] = times[number]
        fits.HDUList([first, beside]).writeto(f'f.{number + 1:02d}.fit')
    words = ['-n', 'EXPTIME'] if scaled else []
    run('f.*.fit', '-m', 'mean', '-w', 'ivar', '-c', 'mad', *words, '--maps', 'count', '-o', 'out.fit')
    scales = 1 / times if scaled else np.ones(N)
    weights = 1 / (variances * scales[:, None, None] ** 2)
    wanted = defined(cube, 'mean', kind='mad', limits=(3, 3), scales=scales, weights=weights)
    check('out.fit', wanted, ['count'])


def test_variances_that_say_nothing(capsys):
    variances = np.ones((3, 2, 4))
    variances[1, 0, 0], variances[1, 0, 1], variances[1, 0, 2], variances[:, 1, 1] = 0, np.nan, -2, 0
    for number, variance in enumerate(variances):
        image = fits.PrimaryHDU(np.full((2, 4), 10.0 * 2**number))
        fits.HDUList([image, fits.ImageHDU(variance, name='VAR')]).writeto(f'f.{number}.fit')
    run('f.?.fit', '-m', 'mean', '-w', 'ivar', '-o', 'out.fit')
    whole, without = 70 / 3, 25
    agree(fits.getdata('out.fit'), [[without] * 3 + [whole], [whole, np.nan, whole, whole]])
    assert '1 pixels have nothing left' in capsys.readouterr().err


@pytest.mark.parametrize('where', ['image', 'section'])
@pytest.mark.parametrize('scale', ['none', 'median'])
def test_weights_by_the_noise_of_each_image(write, scale, where):
    cube = (sky(shape=(9, 11)).astype('i4') - 1000) * np.arange(1, N + 1)[:, None, None] + 8000
    write(cube.astype('u2'))
    words = ['--section', '[3:11,2:8]'] if where == 'section' else []
    run('f.*.fit', '-m', 'mean', '-w', 'ivar', '-n', scale, *words, '-o', 'out.fit')
    part = cube[:, 1:8, 2:11] if words else cube
    levels, scales = levels_of(part, 'median'), np.ones(N)
    if scale != 'none':
        scales = levels[0] / levels
    noises = [1.4826 * np.median(np.abs(image - level)) for image, level in zip(part, levels, strict=True)]
    weights = (scales * noises) ** -2.0
    check('out.fit', defined(cube, 'mean', scales=scales, weights=weights))
    header = fits.getheader('out.fit')
    assert header['IMWGT002'] / header['IMWGT001'] == pytest.approx(weights[1] / weights[0])


# --- masks -----------------------------------------------------------------------------------------------------------


def holes(seed=1):
    return np.random.default_rng(seed).uniform(size=(N, NY, NX)) < 0.25


class TestMasks:
    def check(self, cube, bad, word, status=0):
        run('f.*.fit', '-m', 'mean', '-n', 'mean', '-c', 'mad', '--mask', word, '--maps', 'count,mask', '-o', 'out.fit')
        levels = levels_of(cube, 'mean', ~bad)
        wanted = defined(cube, 'mean', kind='mad', limits=(3, 3), good=~bad, scales=levels[0] / levels)
        check('out.fit', wanted, ['count'])
        np.testing.assert_array_equal(fits.getdata('out.fit', 'MASK'), wanted['count'] == 0)
        assert fits.getheader('out.fit')['CMBMASK'] == str(word)

    @pytest.mark.parametrize('dtype', ['u2', 'f4', 'i4'])
    def test_one_for_all(self, write, make_image, dtype):
        cube, bad = sky(dtype=dtype), np.broadcast_to(holes()[0], (N, NY, NX))
        write(cube)
        make_image('bad.fit', bad[0].astype('i2') * 17)
        self.check(cube, bad, 'bad.fit')

    @pytest.mark.parametrize('word', ['m.*.fit', '@masks.txt', ','.join(f'm.{k + 1:02d}.fit' for k in range(N))])
    def test_one_for_each(self, write, word):
        cube, bad = sky(), holes()
        write(cube)
        write(bad.astype('u1'), root='m')
        Path('masks.txt').write_text(''.join(f'm.{number + 1:02d}.fit\n' for number in range(N)))
        self.check(cube, bad, word)

    @pytest.mark.parametrize('name', ['DQ', 'MASK'])
    def test_an_extension(self, name):
        cube, bad = sky(), holes()
        for number, (image, mask) in enumerate(zip(cube, bad, strict=True)):
            beside = fits.ImageHDU(mask.astype('u1'), name=name)
            fits.HDUList([fits.PrimaryHDU(image), beside]).writeto(f'f.{number + 1:02d}.fit')
        self.check(cube, bad, name)

    def test_a_keyword(self, write):
        cube, bad = sky(), holes()
        write(cube, BPM=[f'm.{number + 1:02d}.fit' for number in range(N)])
        write(bad.astype('u1'), root='m')
        self.check(cube, bad, 'BPM')

    def test_planes_of_a_cube(self, make_image):
        cube, bad = sky(), holes()
        make_image('cube.fit', cube)
        make_image('all.fit', bad.astype('u1'))
        make_image('one.fit', bad[0].astype('u1'))
        for path, mask in (('all.fit', bad), ('one.fit', bad[:1])):
            run('-r', 'cube.fit', '--mask', path, '-o', 'out.fit', '-f')
            check('out.fit', defined(cube, good=~mask))

    def test_two_masks_for_many_images(self, write, make_image, capsys):
        write(sky())
        make_image('a.fit', holes()[0].astype('u1'))
        run('f.*.fit', '--mask', 'a.fit,a.fit', '-o', 'out.fit', status=1)
        assert '2' in capsys.readouterr().err
        assert not Path('out.fit').exists()


# --- offsets ---------------------------------------------------------------------------------------------------------


def laid_out(images, places, shape):
    """The images on a canvas each, NaN outside."""
    cube = np.full((len(images), *shape), np.nan)
    for canvas, image, (row, column) in zip(cube, images, places, strict=True):
        canvas[row : row + image.shape[0], column : column + image.shape[1]] = image
    return cube


class TestOffsets:
    SHIFTS = ((0, 0), (3, -1), (-2, 2), (1, 1))
    SHAPES = ((5, 7), (4, 9), (6, 6), (5, 7))
    PLACES = ((1, 2), (0, 5), (3, 0), (2, 3))
    CANVAS = (9, 14)

    def images(self, dtype='u2'):
        rng = np.random.default_rng(12)
        return [rng.normal(300, 20, shape).astype(dtype) for shape in self.SHAPES]

    def positions(self, named=False):
        lines = [f'{f"f.{number}.fit " * named}{dx} {dy}' for number, (dx, dy) in enumerate(self.SHIFTS)]
        Path('o.txt').write_text('\n'.join(reversed(lines) if named else lines))
        return 'o.txt'

    @pytest.mark.parametrize('dtype', ['u2', 'f4', 'i4'])
    @pytest.mark.parametrize('words', [['-m', 'median'], ['-m', 'mean', '-c', 'max'], ['-m', 'sum', '-n', 'mean']])
    @pytest.mark.parametrize('named', [False, True])
    def test_by_a_file(self, make_image, capsys, words, dtype, named):
        images = self.images(dtype)
        for number, image in enumerate(images):
            make_image(f'f.{number}.fit', image, CRPIX1=3.5, CRPIX2=-2.0, LTV1=0.0, LTV2=4.0)
        run('f.?.fit', '--offsets', self.positions(named), *words, '--maps', 'count', '-o', 'out.fit')
        levels = np.array([image.mean(dtype='f8') for image in images])
        scales = levels[0] / levels if '-n' in words else np.ones(4)
        clip = {'kind': 'max', 'limits': (1, 1)} if '-c' in words else {}
        cube = laid_out(images, self.PLACES, self.CANVAS)
        wanted = defined(cube, words[1], scales=scales, **clip)
        check('out.fit', wanted, ['count'])
        lost = np.isnan(wanted['pixels']).sum()
        assert f'{lost} pixels have nothing left' in capsys.readouterr().err
        header = fits.getheader('out.fit')
        assert [header[key] for key in ('CRPIX1', 'CRPIX2', 'LTV1', 'LTV2')] == [5.5, -1, 2, 5]

    def test_masks_and_variances_move_with_their_images(self):
        images = self.images('f4')
        rng = np.random.default_rng(3)
        bad = [rng.uniform(size=shape) < 0.2 for shape in self.SHAPES]
        variances = [rng.uniform(1, 5, shape) for shape in self.SHAPES]
        for number, (image, mask, variance) in enumerate(zip(images, bad, variances, strict=True)):
            more = fits.ImageHDU(mask.astype('u1'), name='DQ'), fits.ImageHDU(variance, name='VAR')
            fits.HDUList([fits.PrimaryHDU(image), *more]).writeto(f'f.{number}.fit')
        words = ['--mask', 'DQ', '-w', 'ivar', '--offsets', self.positions()]
        run('f.?.fit', '-m', 'mean', *words, '--maps', 'count', '-o', 'out.fit')
        good = laid_out([~mask for mask in bad], self.PLACES, self.CANVAS) == 1
        weights = 1 / laid_out(variances, self.PLACES, self.CANVAS)
        cube = laid_out(images, self.PLACES, self.CANVAS)
        check('out.fit', defined(cube, 'mean', good=good, weights=weights), ['count'])

    def test_growing_on_the_canvas(self, make_image):
        """Across the columns that only some images have, and not beyond the edge of the image itself."""
        images = self.images('f4')
        images[1][3, 1] = 90000
        for number, image in enumerate(images):
            make_image(f'f.{number}.fit', image)
        words = ['-c', 'mad', '-d', 99, '--grow', 1, '--offsets', self.positions()]
        run('f.?.fit', '-m', 'mean', *words, '--maps', 'count', '-o', 'out.fit')
        cube = laid_out(images, self.PLACES, self.CANVAS)
        lost = np.isfinite(cube).sum(axis=0) - fits.getdata('out.fit', 'COUNT')
        assert sorted(map(tuple, np.argwhere(lost).tolist())) == [(2, 6), (3, 5), (3, 6), (3, 7)]
        wanted = defined(cube, 'mean', kind='mad', limits=(99, 99), grow=1)
        check('out.fit', wanted, ['count'])

    def test_by_the_wcs(self, make_image):
        """Stars on images of different sizes and turns of the grid's origin: each lies where the sky says."""
        stars = np.array([[83.63, 22.01], [83.6335, 22.0145], [83.6265, 22.0165]])
        corners = ((0, 0), (3, -2), (-4, 1), (2, 5), (1, 1))
        sizes = ((31, 37), (30, 41), (33, 35), (31, 37), (29, 36))
        scale = 2 / 3600
        rows, columns = np.indices((33, 41))
        for number, ((dx, dy), (ny, nx)) in enumerate(zip(corners, sizes, strict=True)):
            cards = {'CTYPE1': 'RA---TAN', 'CTYPE2': 'DEC--TAN', 'CRVAL1': 83.63, 'CRVAL2': 22.0145}
            cards |= {'CD1_1': -scale, 'CD1_2': 0.0, 'CD2_1': 0.0, 'CD2_2': scale}
            cards |= {'CRPIX1': 18.0 - dx, 'CRPIX2': 15.0 - dy}
            image = np.full((ny, nx), 10.0)
            wcs = WCS({key: value for key, value in cards.items()})
            for x, y in wcs.all_world2pix(stars, 0):
                image += 500 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2)[:ny, :nx]
            make_image(f'f.{number}.fit', image.astype('f4'), **cards)
        run('f.?.fit', '--offsets', 'wcs', '-m', 'mean', '--maps', 'count', '-o', 'out.fit')
        with fits.open('out.fit') as hdus:
            found, counts = hdus[0].data, hdus['COUNT'].data
            places = WCS(hdus[0].header).all_world2pix(stars, 0)
            np.testing.assert_allclose(WCS(hdus['COUNT'].header).all_world2pix(stars, 0), places)
        right, top = (max(low + size for low, size in zip(each, extent, strict=True))
                      for each, extent in zip(zip(*corners, strict=True), zip(*[s[::-1] for s in sizes], strict=True),
                                              strict=True))  # fmt: skip
        assert found.shape == (top + 2, right + 4)
        assert counts.max() == 5
        assert (np.isnan(found) == (counts == 0)).all()
        for x, y in places:
            near = found[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] - 10
            rows_near, columns_near = np.indices(near.shape)
            assert round(y) - 3 + (rows_near * near).sum() / near.sum() == pytest.approx(y, abs=0.02)
            assert round(x) - 3 + (columns_near * near).sum() / near.sum() == pytest.approx(x, abs=0.02)

    @given(cube=hnp.arrays('i2', (3, 4, 5), elements=st.integers(0, 99)))
    def test_zero_offsets_change_nothing(self, make_image, cube):
        for number, image in enumerate(cube):
            make_image(f'z.{number}.fit', image)
        Path('zero.txt').write_text('0 0\n' * 3)
        for path, words in (('plain.fit', []), ('laid.fit', ['--offsets', 'zero.txt'])):
            run('z.?.fit', '-m', 'mean', '-c', 'minmax', *words, '-o', path, '-f')
        np.testing.assert_array_equal(fits.getdata('laid.fit'), fits.getdata('plain.fit'))


# --- maps and uncertainties ------------------------------------------------------------------------------------------

TYPES = {'count': '>i2', 'low': '>i2', 'high': '>i2', 'sigma': '>f4', 'exptime': '>f8', 'mask': '|u1'}


@pytest.mark.parametrize('name', TYPES)
def test_each_map_alone(write, name):
    cube = sky(dtype='f4')
    write(cube, EXPTIME=EXPOSURES, BUNIT=['adu'] * N)
    run('f.*.fit', '-m', 'mean', '-c', 'mad', '--maps', name, '-o', 'out.fit')
    wanted = defined(cube, 'mean', kind='mad', limits=(3, 3), exposures=EXPOSURES)
    wanted['mask'] = wanted['count'] == 0
    check('out.fit', wanted, [name])
    with fits.open('out.fit') as hdus:
        assert [hdu.name for hdu in hdus] == ['PRIMARY', name.upper()]
        assert (hdus[1].data.dtype, hdus[1].data.shape) == (TYPES[name], (NY, NX))
        assert hdus[1].header.get('BUNIT') == {'sigma': 'adu', 'exptime': 's'}.get(name)


def test_all_maps_together(write):
    cube, times = sky(dtype='f4'), np.linspace(1, 2, N)
    write(cube, EXPTIME=times, DATE__OBS=[f'2021-02-27T04:00:{number:02d}' for number in range(N)])
    run('f.*.fit', '-m', 'mean', '-c', 'mad', '-n', 'EXPTIME', '-z', 'median', '-w', 'EXPTIME', '--uncertainty',
        '--maps', ','.join([*TYPES, 'inputs']), '-o', 'out.fit')  # fmt: skip
    with fits.open('out.fit') as hdus:
        names = [name.upper() for name in TYPES if name != 'mask']
        assert [hdu.name for hdu in hdus] == ['PRIMARY', *names, 'UNCERT', 'MASK', 'INPUTS']
        table, header = hdus['INPUTS'].data, hdus[0].header
        assert list(table['NAME']) == [f'f.{number + 1:02d}.fit' for number in range(N)]
        assert table['DATE'][3] == '2021-02-27T04:00:03.000'
        for column, key in (('SCALE', 'IMSCL'), ('ZERO', 'IMZER'), ('WEIGHT', 'IMWGT')):
            assert list(table[column]) == [header[f'{key}{number + 1:03d}'] for number in range(N)]
        np.testing.assert_array_equal(table['SCALE'], 1 / times)


def test_maps_of_the_planes_of_a_cube(make_image):
    cube = sky(dtype='f4')
    make_image('cube.fit', cube, EXPTIME=7.0)
    words = ['--maps', 'count,sigma,exptime', '--uncertainty', '-n', 'mean', '-c', 'sigma', '-d', 2]
    run('-r', 'cube.fit', '-m', 'mean', *words, '-o', 'out.fit')
    levels = levels_of(cube, 'mean')
    wanted = defined(cube, 'mean', kind='sigma', limits=(2, 2), scales=levels[0] / levels, exposures=np.full(N, 7.0))
    check('out.fit', wanted, ['count', 'sigma', 'exptime', 'uncert'])
    assert fits.getheader('out.fit')['NAXIS'] == fits.getheader('out.fit', 'COUNT')['NAXIS'] == 2


def test_maps_follow_a_division_by_the_mean(write):
    cube = sky()
    write(cube)
    run('f.*.fit', '-m', 'mean', '-u', '--maps', 'sigma,count', '--uncertainty', '-o', 'out.fit')
    unit = cube.mean(dtype='f8')
    with fits.open('out.fit') as hdus:
        agree(hdus[0].data, cube.mean(axis=0) / unit)
        agree(hdus['SIGMA'].data, cube.std(axis=0, ddof=1) / unit)
        agree(hdus['UNCERT'].data, cube.std(axis=0, ddof=1) / unit / N**0.5)
        assert (hdus['COUNT'].data == N).all()


@pytest.mark.parametrize('method', ['mean', 'median', 'sum'])
@pytest.mark.parametrize('unit', ['electron', None])
def test_uncertainties_as_astropy_reads_them(write, method, unit):
    cube = sky(dtype='f4')
    write(cube, **({'BUNIT': [unit] * N} if unit else {}))
    run('f.*.fit', '-m', method, '-c', 'mad', '--uncertainty', '-o', 'out.fit')
    wanted = defined(cube, method, kind='mad', limits=(3, 3))
    found = CCDData.read('out.fit')
    assert found.unit == (unit or 'adu')
    assert isinstance(found.uncertainty, StdDevUncertainty)
    assert found.uncertainty.unit in (None, found.unit)
    agree(found.uncertainty.array, wanted['uncert'])
    agree(found.data, wanted['pixels'])
    assert found.mask.dtype == bool
    np.testing.assert_array_equal(found.mask, wanted['count'] == 0)
    assert found.mask.any()


def test_stacks_are_stacked_by_their_uncertainties(write):
    for part in range(3):
        write(sky(5, 'u2', seed=part), root=f's{part}')
        run(f's{part}.*.fit', '-m', 'mean', '--uncertainty', '-o', f'stack.{part}.fit')
    run('stack.?.fit', '-m', 'mean', '-w', 'ivar', '-o', 'out.fit')
    parts = [CCDData.read(f'stack.{part}.fit') for part in range(3)]
    weights = np.array([part.uncertainty.array.astype('f8') ** -2 for part in parts])
    agree(fits.getdata('out.fit'), (weights * [part.data for part in parts]).sum(axis=0) / weights.sum(axis=0))
    assert fits.getheader('out.fit')['NCOMBINE'] == 3


# --- the same whatever the means -------------------------------------------------------------------------------------


def least_memory(words, capsys):
    """The memory that the command says it needs."""
    capsys.readouterr()
    run(*words, '-o', 'never.fit', '--memory', '1', status=1)
    return capsys.readouterr().err.split()[-1]


WORK = {
    'median of integers': ('u2', []),
    'mean after sigma clipping of floats': ('f4', ['-m', 'mean', '-c', 'sigma', '-d', 2]),
    'scaled and minmax clipped': ('u2', ['-m', 'mean', '-c', 'minmax', '-n', 'mean', '-z', 'median']),
    'weighted': ('f4', ['-m', 'mean', '-c', 'mad', '-w', 'ivar', '-n', 'median']),
    'grown': ('f4', ['-m', 'mean', '-c', 'mad', '--grow', 2.5]),
    'laid out': ('u2', ['--offsets', 'o.txt', '-m', 'mean', '-c', 'mad']),
    'with maps': ('f4', ['-m', 'mean', '-c', 'winsor', '--uncertainty', '--maps', 'count,sigma,low,high,exptime,mask']),
    'unlike left out': ('f4', ['--min-corr', '-0.01', '-u', '-m', 'mean', '-n', 'mean']),
    'unlike integers left out': ('u2', ['--min-corr', '-0.01']),
    'filled': ('u2', ['-m', 'mean', '--reject-above', 1002, '--all-rejected', 'median', '-c', 'minmax', '-d', 4]),
}


@pytest.mark.parametrize('name', WORK)
def test_any_memory_and_any_threads_give_the_same_bytes(write, monkeypatch, capsys, name):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1600000000')
    dtype, words = WORK[name]
    write(sky(9, dtype, seed=4, shape=(61, 23)), EXPTIME=np.linspace(1, 9, 9))
    Path('o.txt').write_text(''.join(f'{number % 4} {number % 3 - 1}\n' for number in range(9)))
    words = ['f.*.fit', *words, '-q']
    least = least_memory(words, capsys)
    run(*words, '-o', 'default.fit', '-j', 1)
    wanted = Path('default.fit').read_bytes()
    for memory in (least, '97k', '1M', None):
        for jobs in range(1, 5):
            run(*words, '-o', 'other.fit', '-f', '-j', jobs, *(['--memory', memory] if memory else []))
            assert Path('other.fit').read_bytes() == wanted, (memory, jobs)


@pytest.mark.parametrize('jobs', [1, 4])
@pytest.mark.parametrize('suffix', ['.gz', '.fz'])
@pytest.mark.parametrize('name', ['median of integers', 'mean after sigma clipping of floats', 'grown', 'weighted'])
def test_packed_twins(write, name, suffix, jobs):
    dtype, words = WORK[name]
    cube = sky(9, dtype, shape=(29, 23))
    write(cube)
    for number, image in enumerate(cube, 1):
        path = f'f.{number:02d}.fit'
        if suffix == '.gz':
            Path(f'{path}.gz').write_bytes(gzip.compress(Path(path).read_bytes()))
        else:
            fits.CompImageHDU(image, compression_type='GZIP_2', quantize_level=0).writeto(f'{path}.fz')
    run('f.??.fit', *words, '-o', 'plain.fit')
    run(f'f.??.fit{suffix}', *words, '--memory', '60k', '-j', jobs, '-o', 'packed.fit')
    np.testing.assert_array_equal(fits.getdata('packed.fit'), fits.getdata('plain.fit'))


def test_many_files_and_few_descriptors(write, verify):
    number = 200
    cube = sky(number, 'u2', shape=(2, 3))
    for part, image in enumerate(cube):
        beside = fits.ImageHDU((image > 3000).astype('u1'), name='DQ')
        fits.HDUList([fits.PrimaryHDU(image), beside]).writeto(f'f.{part:03d}.fit')
    words = ['f.*.fit', '-m', 'mean', '-c', 'mad', '-n', 'median', '--mask', 'DQ', '-j', '3', '--memory', '2M']
    code = (
        'import resource, sys\n'
        'resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n'
        'from fitsutils.commands.combine_fits import main\n'
        f'sys.exit(main({[*words, "-o", "out.fit"]}))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stdout) == (0, 'out.fit\n'), done.stderr
    verify('out.fit')
    good = cube <= 3000
    levels = levels_of(cube, 'median', good)
    check('out.fit', defined(cube, 'mean', kind='mad', limits=(3, 3), good=good, scales=levels[0] / levels))


# --- properties ------------------------------------------------------------------------------------------------------

IMAGES = hnp.arrays('i2', st.tuples(st.integers(1, 6), st.just(3), st.just(4)), elements=st.integers(-50, 50))


@given(cube=IMAGES, data=st.data(), clip=st.sampled_from(['none', 'sigma', 'mad', 'winsor', 'percentile']))
def test_the_order_of_inputs_does_not_matter(make_image, cube, data, clip):
    for number, image in enumerate(cube):
        make_image(f'o.{number}.fit', image)
    names = [f'o.{number}.fit' for number in range(len(cube))]
    run(*names, '-m', 'mean', '-c', clip, '-o', 'a.fit', '-f', '-q')
    run(*data.draw(st.permutations(names)), '-m', 'mean', '-c', clip, '-o', 'b.fit', '-f', '-q')
    np.testing.assert_array_equal(fits.getdata('a.fit'), fits.getdata('b.fit'))


COPIED = (
    [],
    ['-m', 'mean', '-c', 'sigma'],
    ['-m', 'mean', '-n', 'median'],
    ['-c', 'ccd', '--gain', '2'],
    ['-m', 'max', '-z', 'mean'],
    ['-m', 'mean', '-c', 'mad', '--grow', '2'],
)


@settings(max_examples=20)
@given(
    image=hnp.arrays('f4', (3, 5), elements=st.floats(1, 1e6, width=32) | st.just(float('nan'))),
    number=st.integers(1, 9),
    words=st.sampled_from(COPIED),
)  # fmt: skip
def test_copies_of_an_image_combine_to_it(make_image, image, number, words):
    image[0, 0] = 7  # something to measure a level on
    make_image('c.fit', image)
    run(*['c.fit'] * number, *words, '-o', 'out.fit', '-f', '-q')
    np.testing.assert_allclose(fits.getdata('out.fit'), image, rtol=1e-6)


@settings(max_examples=20)
@given(
    image=hnp.arrays('f8', (3, 5), elements=st.floats(1, 1000)),
    factors=st.lists(st.floats(0.1, 10), min_size=2, max_size=6),
    statistic=st.sampled_from(['mean', 'median', 'sum']),
)
def test_scaling_undoes_known_factors(make_image, image, factors, statistic):
    for number, factor in enumerate(factors):
        make_image(f'k.{number}.fit', image * factor)
    names = [f'k.{number}.fit' for number in range(len(factors))]
    run(*names, '-m', 'mean', '-n', statistic, '--maps', 'sigma', '-o', 'out.fit', '-f', '-q')
    with fits.open('out.fit') as hdus:
        np.testing.assert_allclose(hdus[0].data, image * factors[0], rtol=1e-6)
        assert hdus['SIGMA'].data.max() <= 1e-6 * image.max() * factors[0]
        scales = [hdus[0].header[f'IMSCL{number + 1:03d}'] for number in range(len(factors))]
    np.testing.assert_allclose(scales, factors[0] / np.array(factors), rtol=1e-9)


# --- real frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('pattern', 'words'), [
    ('sbu_stl1001e/bias*.FIT', []),
    ('sbu_stl1001e/bias*.FIT', ['-n', 'median']),
    ('kast_blue/b1[123].fits.gz', ['-n', 'mean']),
])  # fmt: skip
def test_real_frames_against_the_loop(data, pattern, words):
    run(data / pattern, '-m', 'mean', '-c', 'mad', *words, '--maps', 'count', '-q', '-o', 'out.fit')
    cube = np.stack([fits.getdata(path).astype('f8') for path in sorted(data.glob(pattern))])
    levels = levels_of(cube, words[-1]) if words else np.ones(len(cube))
    part = np.s_[..., 200:230, 300:341]
    wanted = defined(cube[part], 'mean', kind='mad', limits=(3, 3), scales=levels[0] / levels)
    agree(fits.getdata('out.fit')[part], wanted['pixels'])
    np.testing.assert_array_equal(fits.getdata('out.fit', 'COUNT')[part], wanted['count'])
    assert wanted['count'].min() < len(cube)
