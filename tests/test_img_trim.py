"""img_trim: sections, fits, joins, headers, refusals; and real frames of two amplifiers."""

import gzip
import math
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from fitsutils.commands import combine_fits, img_arith, img_log, img_stats, img_trim

NY, NX = 30, 44  # of the raw frames: 16 + 16 columns of pixels, 6 + 6 of overscan
LEFT, RIGHT = slice(0, 16), slice(16, 32)
OVER_LEFT, OVER_RIGHT = slice(32, 38), slice(38, 44)
AMPS = ['--amp', '[1:16,*]:[33:38,*]', '--amp', '[17:32,*]:[39:44,*]']


def raw_frame(seed, left=943.0, right=965.0, shape=(NY, NX)):
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 2.8, shape)
    image[..., LEFT] += left + 500
    image[..., RIGHT] += right + 700
    image[..., OVER_LEFT] += left
    image[..., OVER_RIGHT] += right
    return np.rint(image).astype('u2')


@pytest.fixture
def night(tmp_path, monkeypatch, make_image):
    """Two raw frames in the current folder, in the layout of Lick's Kast; their pixels by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1614398400')
    frames = {'b.0001.fits': raw_frame(1), 'b.0002.fits': raw_frame(2, 930, 981)}
    for name, frame in frames.items():
        make_image(name, frame, EXPTIME=10.0, OBJECT='M1', GAIN=1.2, RDNOISE=3.7, CRPIX1=20.0, CRPIX2=11.0)
    return frames


@pytest.fixture
def one(night, make_image):
    """A raw frame of one amplifier whose header says all; its pixels."""
    make_image('one.fits', night['b.0001.fits'], BIASSEC='[33:44,1:30]', TRIMSEC='[3:32,2:29]', DATASEC='[1:32,1:30]',
               CCDSEC='[101:132,201:230]', CRPIX1=20.0, CRPIX2=11.0, CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRVAL1=150.0,
               CRVAL2=2.0, CD1_1=-1e-4, CD1_2=1e-5, CD2_1=1e-5, CD2_2=1e-4)  # fmt: skip
    return night['b.0001.fits'].astype('f8')


def run(*words, status=0):
    assert img_trim.main([str(word) for word in words]) == status


def refused(capsys, *words, status=1):
    """The one line that a refusal says; nothing was written."""
    before = {path: path.read_bytes() for path in Path().rglob('*') if path.is_file()}
    run(*words, status=status)
    out, err = capsys.readouterr()
    assert out == ''
    assert err.count('\n') == 1
    assert {path: path.read_bytes() for path in Path().rglob('*') if path.is_file()} == before
    return err


class TestLevels:
    def test_two_amplifiers(self, night, pixels_of, capsys):
        run('b.000?.fits', *AMPS, '--prefix', 't_')
        assert capsys.readouterr() == ('t_b.0001.fits\nt_b.0002.fits\n', '')
        for name, raw in night.items():
            raw = raw.astype('f8')
            levels = [np.median(raw[:, each]) for each in (OVER_LEFT, OVER_RIGHT)]
            wanted = np.hstack([raw[:, LEFT] - levels[0], raw[:, RIGHT] - levels[1]])
            found = pixels_of(f't_{name}')
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, wanted)
            header = fits.getheader(f't_{name}')
            assert [header[f'OSLEV{number}'] for number in (1, 2)] == levels
            scatter = [math.sqrt(np.square(raw[:, each] - level).sum() / (raw[:, each].size - 1))
                       for each, level in zip((OVER_LEFT, OVER_RIGHT), levels, strict=True)]  # fmt: skip
            assert [header[f'OSSIG{number}'] for number in (1, 2)] == pytest.approx(scatter)
            assert [header[f'OSSEC{number}'] for number in (1, 2)] == ['[33:38,1:30]', '[39:44,1:30]']

    @pytest.mark.parametrize('fit', ['level', 'row', 'poly:2', 'chebyshev:2', 'legendre:2', 'spline:3'])
    @pytest.mark.parametrize('stat', ['median', 'mean'])
    def test_fits(self, night, pixels_of, fit, stat):
        run('b.0001.fits', *AMPS, '--fit', fit, '--stat', stat, '--guard', '1,2', '-o', 'out.fits')
        raw, parts = night['b.0001.fits'].astype('f8'), []
        for pixels, over in ((LEFT, slice(33, 36)), (RIGHT, slice(39, 42))):
            function = {'median': np.median, 'mean': np.mean}[stat]
            lines = function(raw[:, over], axis=1)
            if fit == 'level':
                lines = np.full(NY, function(raw[:, over]))
            elif fit.startswith('spline'):
                from scipy.interpolate import LSQUnivariateSpline

                lines = LSQUnivariateSpline(np.arange(NY), lines, [29 / 3, 58 / 3])(np.arange(NY))
            elif fit != 'row':
                lines = np.polyval(np.polyfit(np.arange(NY), lines, 2), np.arange(NY))
            parts.append(raw[:, pixels] - lines[:, None])
        np.testing.assert_allclose(pixels_of('out.fits'), np.hstack(parts), atol=1e-4)
        header = fits.getheader('out.fits')
        assert (header['OSFIT'], header['OSSTAT'], header['OSGUARD']) == (fit, stat, '1,2')
        assert ('OSRMS1' in header) == (':' in fit)

    def test_clipping_is_iterated(self, night, make_image, pixels_of):
        raw = night['b.0001.fits'].copy()
        raw[4, 33], raw[5, 34], raw[9, 41] = 60000, 1300, 1010
        make_image('cosmic.fits', raw)
        run('cosmic.fits', *AMPS, '--stat', 'mean', '--clip', '4', '-o', 'out.fits')
        header = fits.getheader('out.fits')
        clean = [night['b.0001.fits'][:, each].mean() for each in (OVER_LEFT, OVER_RIGHT)]
        assert [header[f'OSLEV{number}'] for number in (1, 2)] == pytest.approx(clean, abs=0.1)
        assert [header[f'OSREJ{number}'] for number in (1, 2)] == [2, 1]
        assert header['OSCLIP'] == 4

    def test_the_axis_follows_from_the_section_s_shape(self, night, pixels_of):
        run('b.0001.fits', '--overscan', '[*,27:30]', '--trim', '[2:40,1:26]', '--fit', 'row', '-o', 'out.fits')
        raw = night['b.0001.fits'].astype('f8')
        wanted = raw[:26, 1:40] - np.median(raw[26:30, 1:40], axis=0)
        np.testing.assert_allclose(pixels_of('out.fits'), wanted, atol=1e-4)

    def test_a_frame_of_any_level_gives_the_same(self, night, make_image, pixels_of):
        make_image('high.fits', night['b.0001.fits'] + np.uint16(1000))
        run('b.0001.fits', 'high.fits', *AMPS, '--fit', 'poly:1', '--prefix', 't_')
        np.testing.assert_allclose(pixels_of('t_b.0001.fits'), pixels_of('t_high.fits'), atol=2e-4)

    def test_no_fit_only_trims(self, night, pixels_of):
        run('b.0001.fits', '--amp', '[1:16,*]', '--amp', '[17:32,*]', '--fit', 'none', '-o', 'out.fits')
        np.testing.assert_array_equal(pixels_of('out.fits'), night['b.0001.fits'][:, :32])
        header = fits.getheader('out.fits')
        assert (header['OSFIT'], header['OSDAT2'], 'OSLEV1' in header) == ('none', '[17:32,1:30]', False)

    def test_a_drift_is_told(self, night, make_image, capsys):
        raw = night['b.0001.fits'].astype('f8') + np.linspace(0, 20, NY)[:, None]
        make_image('drift.fits', raw.astype('f4'))
        run('drift.fits', *AMPS, '-q', '-o', 'out.fits')
        err = capsys.readouterr().err
        assert err.startswith('img_trim: out.fits: the overscan drifts by 1')
        assert err.endswith(' adu: --fit row or a curve follows it\n')
        run('drift.fits', *AMPS, '-q', '--fit', 'poly:1', '-o', 'out2.fits')
        assert capsys.readouterr().err == ''

    def test_what_was_clipped_is_no_drift(self, night, make_image, capsys):
        raw = night['b.0001.fits'].copy()
        raw[4, 33] = 60000
        make_image('cosmic.fits', raw)
        run('cosmic.fits', *AMPS, '--clip', '3', '-q', '-o', 'out.fits')
        assert capsys.readouterr().err == ''

    @pytest.mark.parametrize(('dtype', 'full'), [('u2', 65535), ('i2', 32767), ('f4', 4095)])
    @pytest.mark.parametrize('fit', ['level', 'row', 'poly:1'])
    def test_a_saturated_overscan_is_told(self, night, make_image, capsys, dtype, full, fit):
        raw = np.full((NY, NX), full, dtype)
        raw[:, OVER_LEFT] -= np.arange(6, dtype=dtype)
        make_image('full.fits', raw)
        run('full.fits', *AMPS, '--fit', fit, '-q', '-o', 'out.fits')
        said = f'img_trim: out.fits: all pixels of an overscan are {full}, and none of the image lies above: it is sat'
        assert capsys.readouterr().err.startswith(said)
        raw[:, OVER_RIGHT], raw[3, 3] = full - 9, full - 8  # of no noise, but not at the top
        make_image('quiet.fits', raw)
        run('quiet.fits', *AMPS, '--fit', fit, '-q', '-o', 'out2.fits')
        assert capsys.readouterr().err == ''

    def test_verbose_tells_the_levels(self, night, capsys):
        run('b.0001.fits', *AMPS, '-v', '-o', 'out.fits')
        err = capsys.readouterr().err
        assert '[1:16,1:30] less [33:38,1:30], level 943' in err
        assert err.count('img_trim: out.fits: ') == err.count('\n') == 3


class TestSections:
    def test_the_header_s(self, one, pixels_of):
        run('one.fits', '-o', 'out.fits')
        wanted = one[1:29, 2:32] - np.median(one[:, 32:])
        np.testing.assert_array_equal(pixels_of('out.fits'), wanted)

    def test_fits_sections_are_numpy_s_slices(self, tmp_path, monkeypatch, make_image, pixels_of):
        """[61:2100,21:2032] is numpy [20:2032, 60:2100]."""
        monkeypatch.chdir(tmp_path)
        raw = np.arange(2052 * 2198, dtype='i4').reshape(2052, 2198)
        make_image('raw.fits', raw)
        run('raw.fits', '--section', '[61:2100,21:2032]', '-o', 'cut.fits')
        np.testing.assert_array_equal(pixels_of('cut.fits'), raw[20:2032, 60:2100])
        run('raw.fits', '--overscan', '[3:52,*]', '--trim', '[61:2100,21:2032]', '-o', 'trim.fits')
        level = np.median(raw[:, 2:52])
        np.testing.assert_array_equal(pixels_of('trim.fits'), raw[20:2032, 60:2100] - level)

    def test_options_replace_the_header_s(self, one, pixels_of):
        run('one.fits', '--overscan', '[40:44,*]', '--trim', '[1:39,5:6]', '-o', 'out.fits')
        np.testing.assert_array_equal(pixels_of('out.fits'), one[4:6, :39] - np.median(one[:, 39:]))

    def test_a_part_behind_the_name(self, one, pixels_of):
        run('one.fits[5:10,*]', '-o', 'out.fits')
        np.testing.assert_array_equal(pixels_of('out.fits'), one[1:29, 4:10] - np.median(one[:, 32:]))

    def test_presets(self, tmp_path, monkeypatch, make_image, pixels_of):
        monkeypatch.chdir(tmp_path)
        raw = np.random.default_rng(3).integers(3200, 3300, (7, 2148)).astype('i4')
        make_image('k.fits', raw, INSTRUME='kosmos', BINX=1, BINY=1)
        make_image('odd.fits', raw, INSTRUME='other')
        guards = np.median(raw[:, 2055:2088]), np.median(raw[:, 2105:2138])  # the columns that PypeIt uses
        wanted = np.hstack([raw[:, :1024] - guards[0], raw[:, 1024:2048] - guards[1]])
        run('k.fits', '-o', 'auto.fits')
        run('k.fits', '--preset', 'auto', '-o', 'auto2.fits')
        run('odd.fits', '--preset', 'KOSMOS', '-o', 'named.fits')
        for name in ('auto.fits', 'auto2.fits', 'named.fits'):
            found = pixels_of(name)
            np.testing.assert_array_equal(found, wanted)
            assert found.dtype == np.float32
        run('k.fits', '--guard', '0', '-o', 'bare.fits')
        assert fits.getheader('bare.fits')['OSLEV1'] == np.median(raw[:, 2048:2098])

    def test_a_file_of_presets(self, night, pixels_of):
        Path('cameras.txt').write_text('cam OBJECT=m? *x* 44x* 1 [1:16,*]:[33:38,*] [17:32,*]:[39:44,*]\n')
        run('b.0001.fits', '--preset', 'cameras.txt', '-o', 'out.fits')
        run('b.0001.fits', *AMPS, '--guard', '1', '-o', 'amps.fits')
        np.testing.assert_array_equal(pixels_of('out.fits'), pixels_of('amps.fits'))
        assert fits.getheader('out.fits')['OSGUARD'] == '1,1'

    def test_amplifiers_with_their_overscans_between_them(self, night, pixels_of, make_image):
        raw = night['b.0001.fits'][:, [*range(16), *range(32, 44), *range(16, 32)]]
        make_image('gap.fits', raw)
        amps = ['--amp', '[1:16,*]:[17:22,*]', '--amp', '[29:44,*]:[23:28,*]']
        run('gap.fits', *amps, '-o', 'gap_t.fits')
        run('b.0001.fits', *AMPS, '-o', 'out.fits')
        np.testing.assert_array_equal(pixels_of('gap_t.fits'), pixels_of('out.fits'))

    def test_quadrants_as_the_header_places_them(self, night, make_image, pixels_of):
        raw = np.random.default_rng(5).integers(900, 1100, (20, 24)).astype('u2')
        cards, wanted = {}, np.empty((20, 16))
        for y in (1, 2):
            for x in (1, 2):
                rows, columns = slice(10 * y - 10, 10 * y), slice(16 * x - 16, 16 * x - 8)
                over = slice(8, 12) if x == 1 else slice(12, 16)
                cards |= {
                    f'DSEC{y}{x}': f'[{columns.start + 1}:{columns.stop},{rows.start + 1}:{rows.stop}]',
                    f'BSEC{y}{x}': f'[{over.start + 1}:{over.stop},{rows.start + 1}:{rows.stop}]',
                    f'CSEC{y}{x}': f'[{8 * x - 7}:{8 * x},{10 * y - 9}:{10 * y}]',
                }
                wanted[rows, 8 * x - 8 : 8 * x] = raw[rows, columns] - np.median(raw[rows, over])
        make_image('quad.fits', raw, **cards)
        run('quad.fits', '-o', 'out.fits')
        np.testing.assert_array_equal(pixels_of('out.fits'), wanted)
        header = fits.getheader('out.fits')
        assert [key for key in header if 'SEC' in key and not key.startswith('OS')] == ['DATASEC']
        assert header.comments['OSLEV4'].endswith('amplifier 22')


class TestHeaders:
    def test_positions_follow(self, one):
        raw, _ = fits.getheader('one.fits'), run('one.fits', '-o', 'out.fits')
        header = fits.getheader('out.fits')
        assert (header['DATASEC'], header['CCDSEC']) == ('[1:30,1:28]', '[103:132,202:229]')
        assert (header['CRPIX1'], header['CRPIX2'], header['LTV1'], header['LTV2']) == (18, 10, -2, -1)
        assert not {'BIASSEC', 'TRIMSEC'} & set(header)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            np.testing.assert_allclose(WCS(header).all_pix2world(5, 7, 0), WCS(raw).all_pix2world(7, 8, 0))

    @pytest.mark.parametrize('flip', ['x', 'y', 'both'])
    @pytest.mark.parametrize('rotate', [None, 90, 180, 270])
    def test_the_sky_turns_with_the_pixels(self, one, make_image, flip, rotate):
        """A star is where the WCS says, before and after."""
        raw = np.full((NY, NX), 900, 'u2')
        raw[11, 9] = 50000
        header = fits.getheader('one.fits')
        fits.PrimaryHDU(raw, header).writeto('star.fits')
        words = ['--flip', flip] + (['--rotate', rotate] if rotate else [])
        run('star.fits', *words, '-o', 'out.fits')
        image, found = fits.getdata('out.fits', header=True)
        assert image.shape == ((28, 30) if rotate in (None, 180) else (30, 28))
        row, column = np.unravel_index(image.argmax(), image.shape)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            wanted = WCS(header).all_pix2world(9, 11, 0)
            np.testing.assert_allclose(WCS(found).all_pix2world(column, row, 0), wanted, rtol=1e-12)
        assert found['DATASEC'] == f'[1:{image.shape[1]},1:{image.shape[0]}]'

    def test_a_crop_keeps_the_sections_that_are_left(self, one):
        run('one.fits', '--section', '[11:40,*]', '--flip', 'x', '-o', 'out.fits')
        header = fits.getheader('out.fits')
        assert (header['BIASSEC'], header['DATASEC'], header['TRIMSEC']) == ('[1:8,1:30]', '[9:30,1:30]', '[9:30,2:29]')
        assert 'OSFIT' not in header
        run('out.fits', '-o', 'again.fits')  # the overscan is still there to be used
        assert fits.getheader('again.fits')['OSSEC1'] == '[1:8,1:30]'

    def test_history_says_what_was_done(self, one):
        run('one.fits', '--rotate', '90', '--gain', '2', '-o', 'out.fits', '--set', 'IMAGETYP=TRIMMED')
        header = fits.getheader('out.fits')
        history = '\n'.join(header['HISTORY'])
        for words in ('img_trim', 'one.fits', 'BIASSEC, TRIMSEC', '[3:32,2:29] less [33:44,1:30], level 9', 'times 2',
                      'rotate 90'):  # fmt: skip
            assert words in history
        assert header['IMAGETYP'] == 'TRIMMED'

    def test_the_log_shows_the_levels(self, night, capsys):
        run('b.*.fits', *AMPS, '--prefix', 't_', '-q')
        assert img_log.main(['t_*.fits', '-k', 'OSLEV1,OSLEV2', '--format', 'tsv']) == 0
        rows = [line.split('\t') for line in capsys.readouterr().out.splitlines()[1:]]
        assert [[float(each) for each in row] for row in rows] == [
            [np.median(raw[:, OVER_LEFT]), np.median(raw[:, OVER_RIGHT])] for raw in night.values()
        ]


class TestElectrons:
    @pytest.mark.parametrize(
        ('word', 'gains'), [('1.5', (1.5, 1.5)), ('1.5,2', (1.5, 2)), ('GAIN', (1.2, 1.2)), ('EGAIN,2', (1.2, 2))]
    )
    def test_gains(self, night, pixels_of, word, gains):
        if word == 'EGAIN,2':
            fits.setval('b.0001.fits', 'EGAIN', value=1.2)
        run('b.0001.fits', *AMPS, '--gain', word, '-o', 'out.fits')
        raw = night['b.0001.fits'].astype('f8')
        halves = zip((LEFT, RIGHT), (OVER_LEFT, OVER_RIGHT), gains, strict=True)
        wanted = [gain * (raw[:, pixels] - np.median(raw[:, over])) for pixels, over, gain in halves]
        np.testing.assert_array_equal(pixels_of('out.fits'), np.hstack(wanted).astype('f4'))
        header = fits.getheader('out.fits')
        assert (header['BUNIT'], header['OSGAIN1'], header['OSGAIN2']) == ('electron', *gains)
        assert header['GAIN'] == (1.0 if word == 'GAIN' else 1.2)

    @pytest.mark.parametrize(
        ('word', 'noises'), [('4', (4, 4)), ('3,5', (3, 5)), ('RDNOISE', (3.7, 3.7)), ('overscan', None)]
    )
    def test_uncertainty(self, night, word, noises):
        run('b.0001.fits', *AMPS, '--gain', '1.5,2', '--rdnoise', word, '--uncertainty', '-o', 'out.fits')
        with fits.open('out.fits') as hdus:
            assert [hdu.name for hdu in hdus] == ['PRIMARY', 'UNCERT', 'MASK']
            pixels, sigma, header = hdus[0].data, hdus[1].data, hdus[0].header
            assert (hdus[1].header['UTYPE'], hdus[1].header['BUNIT']) == ('StdDevUncertainty', 'electron')
            assert hdus[2].data.dtype == np.uint8
            assert not hdus[2].data.any()
        if noises is None:
            noises = header['OSSIG1'] * 1.5, header['OSSIG2'] * 2
        for part, noise in zip((LEFT, RIGHT), noises, strict=True):
            np.testing.assert_allclose(sigma[:, part], np.sqrt(np.maximum(pixels[:, part], 0) + noise**2), rtol=1e-6)

    def test_a_row_that_the_curve_clips_is_no_noise(self, night, make_image):
        raw = night['b.0001.fits'].copy()
        raw[7, OVER_LEFT] = 60000
        make_image('row.fits', raw)
        words = ['--fit', 'poly:1', '--clip', '4', '--gain', '1', '--rdnoise', 'overscan', '--uncertainty']
        run('row.fits', *AMPS, *words, '-o', 'out.fits')
        header = fits.getheader('out.fits')
        assert header['OSSIG1'] == pytest.approx(2.8, abs=0.3)
        assert header['OSREJ1'] == 6
        assert fits.getdata('out.fits', 'UNCERT').min() < 25

    @pytest.mark.parametrize(('overscan', 'fit'), [('[33,*]', 'row'), ('[33,5]', 'level'), ('[33,1:4]', 'poly:3')])
    def test_an_overscan_too_small_to_scatter(self, night, capsys, overscan, fit):
        words = ['b.0001.fits', '--overscan', overscan, '--trim', '[1:16,1:4]', '--fit', fit]
        noise = ['--gain', '2', '--rdnoise', 'overscan', '--uncertainty', '-o', 'out.fits']
        assert 'has too few good pixels to scatter, and --rdnoise overscan is' in refused(capsys, *words, *noise)
        assert 'too few good pixels' in refused(capsys, *words, *noise, '--dry-run')
        run(*words, '-o', 'out.fits')
        header = fits.getheader('out.fits')
        assert 'OSLEV1' in header
        assert 'OSSIG1' not in header
        assert 'scatter' not in str(header['HISTORY'])

    def test_an_overscan_with_too_few_good_pixels_to_scatter_fails_alone(self, night, make_image, capsys):
        raw = night['b.0001.fits'].astype('f4')
        raw[:, 34:38] = np.nan
        make_image('few.fits', raw)
        words = [*AMPS, '--fit', 'row', '--gain', '2', '--rdnoise', 'overscan', '--uncertainty', '--prefix', 't_']
        raw[:, 33] = np.nan
        make_image('fewer.fits', raw)
        run('few.fits', 'fewer.fits', *words, status=1)
        out, err = capsys.readouterr()
        assert out == 't_few.fits\n'
        assert err.startswith('img_trim: fewer.fits: --amp: the overscan [33:38,1:30] has too few good pixels')

    def test_ccddata_takes_it(self, night):
        raw = night['b.0001.fits'].astype('f4')
        raw[3, 4] = np.nan
        fits.PrimaryHDU(raw).writeto('hole.fits')
        run('hole.fits', *AMPS, '--gain', '2', '--rdnoise', '3', '--uncertainty', '--flip', 'y', '-o', 'out.fits')
        ccd = CCDData.read('out.fits')
        assert ccd.unit == 'electron'
        assert ccd.uncertainty.uncertainty_type == 'std'
        assert np.argwhere(ccd.mask).tolist() == [[NY - 1 - 3, 4]]
        assert np.isnan(ccd.uncertainty.array[NY - 4, 4])
        assert np.isfinite(ccd.uncertainty.array).sum() == NY * 32 - 1

    def test_combine_fits_weighs_with_it(self, night):
        run('b.*.fits', *AMPS, '--gain', '1.2', '--rdnoise', '3.7', '--uncertainty', '--prefix', 't_', '-q')
        assert combine_fits.main(['t_b.*.fits', '-m', 'mean', '-w', 'ivar', '-o', 'out.fits']) == 0
        assert fits.getheader('out.fits')['CMBWGT'] == 'ivar'
        assert img_arith.main(['t_b.0001.fits', '/', '2', '-o', 'half.fits']) == 0


class TestSaturation:
    @pytest.mark.parametrize('fit', ['level', 'row', 'spline:3'])
    @pytest.mark.parametrize('gain', [None, '0.6,0.7', '2'])
    def test_full_pixels_are_those_at_the_limit_and_above(self, night, make_image, pixels_of, fit, gain):
        raw = night['b.0001.fits'].copy()
        full = np.random.default_rng(3).random(raw.shape) < 0.1
        full[:, 32:] = False
        raw[full] = 60000
        make_image('full.fits', raw, SATURATE=60000)
        words = [] if gain is None else ['--gain', gain]
        run('full.fits', *AMPS, '--fit', fit, *words, '-o', 'out.fits')
        found, limit = pixels_of('out.fits'), fits.getheader('out.fits')['SATURATE']
        np.testing.assert_array_equal(found >= limit, full[:, :32])
        assert found[full[:, :32]].min() == limit or fit == 'spline:3'

    def test_a_cut_in_electrons(self, night, make_image):
        make_image('full.fits', night['b.0001.fits'], SATURATE=60000)
        run('full.fits', '--section', '[1:5,*]', '--gain', '1.5', '-o', 'out.fits')
        assert fits.getheader('out.fits')['SATURATE'] == 90000
        run('full.fits', '--section', '[1:5,*]', '-o', 'cut.fits')
        assert fits.getheader('cut.fits')['SATURATE'] == 60000


class TestBaggage:
    """Uncertainties and masks that images bring along."""

    @pytest.fixture
    def laden(self, night):
        rng = np.random.default_rng(11)
        raw, sigma = night['b.0001.fits'].astype('f4'), rng.uniform(1, 3, (NY, NX)).astype('f4')
        bad = rng.random((NY, NX)) < 0.2
        hdus = [fits.PrimaryHDU(raw), fits.ImageHDU(sigma, name='UNCERT'), fits.ImageHDU(bad.astype('u1'), name='MASK')]
        fits.HDUList(hdus).writeto('laden.fits')
        return sigma, bad

    @pytest.mark.parametrize('turn', [[], ['--flip', 'x', '--rotate', '90']])
    def test_they_are_joined_scaled_and_turned(self, laden, turn):
        run('laden.fits', *AMPS[:3], '[18:32,*]:[39:44,*]', '--trim', '[2:32,3:20]', '--gain', '2,3', *turn,
            '-o', 'out.fits')  # fmt: skip
        sigma, bad = (np.delete(each[2:20, 1:32], 15, axis=1) for each in laden)
        sigma = sigma.astype('f8') * np.where(np.arange(30) < 15, 2, 3)
        if turn:
            sigma, bad = (np.rot90(each[:, ::-1], -1) for each in (sigma, bad))
        with fits.open('out.fits') as hdus:
            assert [hdu.name for hdu in hdus] == ['PRIMARY', 'UNCERT', 'MASK']
            np.testing.assert_allclose(hdus['UNCERT'].data, sigma, rtol=1e-6)
            np.testing.assert_array_equal(hdus['MASK'].data != 0, bad)
            assert hdus['UNCERT'].header['BUNIT'] == 'electron'

    def test_a_part_takes_its_own(self, laden):
        run('laden.fits[3:40,2:29]', '--section', '[5:20,*]', '-o', 'out.fits')
        with fits.open('out.fits') as hdus:
            np.testing.assert_array_equal(hdus['UNCERT'].data, laden[0][1:29, 6:22])
            np.testing.assert_array_equal(hdus['MASK'].data, laden[1][1:29, 6:22])
            assert hdus['UNCERT'].header['BUNIT'] == 'adu'

    def test_planes_share_one_of_a_plane(self, laden):
        with fits.open('laden.fits') as hdus:
            hdus[0].data = np.stack([hdus[0].data, hdus[0].data + 5])
            hdus.writeto('cube.fits')
        run('cube.fits', *AMPS, '-o', 'out.fits')
        with fits.open('out.fits') as hdus:
            for plane in range(2):
                np.testing.assert_array_equal(hdus['UNCERT'].data[plane], laden[0][:, :32])
                np.testing.assert_array_equal(hdus['MASK'].data[plane], laden[1][:, :32])

    def test_a_new_uncertainty_replaces_it(self, laden, capsys):
        run('laden.fits', *AMPS, '--gain', '2', '--rdnoise', '5', '--uncertainty', '-q', '-o', 'out.fits')
        assert 'laden.fits: --uncertainty replaces the uncertainty that it brings along' in capsys.readouterr().err
        with fits.open('out.fits') as hdus:
            np.testing.assert_allclose(hdus['UNCERT'].data, np.sqrt(np.maximum(hdus[0].data, 0) + 25), rtol=1e-6)
            np.testing.assert_array_equal(hdus['MASK'].data, laden[1][:, :32])


class TestFiles:
    def test_cubes(self, night, make_image, pixels_of):
        cube = np.stack([raw_frame(7), raw_frame(8, 800, 900), raw_frame(9, 1000, 700)])
        make_image('cube.fits', cube)
        run('cube.fits', *AMPS, '--rotate', '90', '-o', 'out.fits')
        found = pixels_of('out.fits')
        levels = np.median(cube[:, :, 32:38], axis=(1, 2)), np.median(cube[:, :, 38:44], axis=(1, 2))
        wanted = np.concatenate(
            [cube[:, :, LEFT] - levels[0][:, None, None], cube[:, :, RIGHT] - levels[1][:, None, None]], 2
        )
        np.testing.assert_array_equal(found, np.rot90(wanted, -1, axes=(1, 2)))
        assert fits.getheader('out.fits')['OSLEV1'] == pytest.approx(levels[0].mean())
        run('cube.fits[*,*,2:3]', *AMPS, '-o', 'two.fits')
        np.testing.assert_array_equal(pixels_of('two.fits'), wanted[1:])

    @pytest.mark.parametrize('form', ['fz', 'gz', 'extension', 'scaled'])
    def test_forms(self, night, pixels_of, form):
        raw = night['b.0001.fits']
        if form == 'fz':
            fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(raw)]).writeto('in.fits.fz')
        elif form == 'gz':
            Path('in.fits.gz').write_bytes(gzip.compress(Path('b.0001.fits').read_bytes()))
        elif form == 'extension':
            other = fits.ImageHDU(raw[:, ::-1], name='RED')
            fits.HDUList([fits.PrimaryHDU(), other, fits.ImageHDU(raw, name='BLUE')]).writeto('in.fits')
        else:
            hdu = fits.PrimaryHDU(raw.astype('i4'))
            hdu.scale('int16', bscale=2, bzero=7)
            hdu.writeto('in.fits')
        word = {'fz': 'in.fits.fz', 'gz': 'in.fits.gz', 'extension': 'in.fits[BLUE]'}.get(form, 'in.fits')
        run(word, *AMPS, '-o', 'out.fits')
        run('b.0001.fits', *AMPS, '-o', 'plain.fits')
        atol = 2 if form == 'scaled' else 0
        np.testing.assert_allclose(pixels_of('out.fits'), pixels_of('plain.fits'), atol=atol)

    def test_a_packed_cube(self, night, pixels_of):
        cube = np.stack([raw_frame(7), raw_frame(8, 800, 900)])
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(cube)]).writeto('in.fits.fz')
        fits.PrimaryHDU(cube).writeto('in.fits')
        run('in.fits.fz', 'in.fits', *AMPS, '-o', 'a.fits,b.fits')
        np.testing.assert_array_equal(pixels_of('a.fits'), pixels_of('b.fits'))

    def test_outputs_are_packed_and_typed(self, night, pixels_of):
        run('b.0001.fits', *AMPS, '--compress', 'fz', '--dtype', 'int32', '-o', 't/')
        found = pixels_of('t/b.0001.fits.fz')
        assert found.dtype == np.int32
        run('b.0001.fits', *AMPS, '--prefix', 't_')
        np.testing.assert_array_equal(found, np.rint(pixels_of('t_b.0001.fits')))

    def test_nothing_depends_on_what_else_is_trimmed(self, night):
        run('b.000?.fits', *AMPS, '--prefix', 'a_')
        run('b.0002.fits', *AMPS, '--prefix', 'b_')
        assert Path('a_b.0002.fits').read_bytes() == Path('b_b.0002.fits').read_bytes()

    def test_dry_run_tells_the_sections(self, one, capsys):
        run('one.fits', '--dry-run', '--guard', '1', '-o', 'out.fits')
        out, err = capsys.readouterr()
        assert out == 'out.fits\n'
        assert 'one.fits: sections: BIASSEC, TRIMSEC; [3:32,2:29] less [34:43,1:30] -> out.fits' in err
        assert not os.path.exists('out.fits')

    def test_missing_pixels(self, night, make_image, pixels_of, capsys):
        raw = night['b.0001.fits'].astype('f4')
        raw[3, 4], raw[5, 6], raw[7, 33:38], raw[7, 32] = np.nan, np.inf, np.nan, -np.inf
        make_image('holes.fits', raw)
        run('holes.fits', *AMPS, '--fit', 'row', '-q', '-o', 'out.fits')
        found = pixels_of('out.fits')
        assert np.isnan(found).sum() == 2 + 16  # two pixels, and the row without an overscan
        assert capsys.readouterr().err == 'img_trim: out.fits: 1 rows or columns have no good overscan pixel: NaN\n'

    def test_blank_pixels(self, night, pixels_of):
        raw = night['b.0001.fits'].astype('i2')
        raw[2, 3] = raw[4, 35] = -5
        hdu = fits.PrimaryHDU(raw)
        hdu.header['BLANK'] = -5
        hdu.writeto('blank.fits')
        run('blank.fits', *AMPS, '-o', 'out.fits')
        assert np.argwhere(np.isnan(pixels_of('out.fits'))).tolist() == [[2, 3]]
        over = night['b.0001.fits'][:, OVER_LEFT].astype('f8')
        over[4, 3] = np.nan
        assert fits.getheader('out.fits')['OSLEV1'] == np.nanmedian(over)


class TestRefusals:
    @pytest.mark.parametrize(
        ('words', 'status', 'match'),
        [
            (['b.0001.fits', '-o', 'o.fits'], 1, 'b.0001.fits: nothing says where overscan and pixels are: looked for'),
            (['b.0001.fits', '--overscan', '[33:99,*]', '--trim', '[*,*]', '-o', 'o.fits'], 1, '--overscan: region'),
            (['b.0001.fits', '--overscan', '33', '-o', 'o.fits'], 1, 'no TRIMSEC or DATASEC'),
            (['b.0001.fits', '--overscan', '[a]', '-o', 'o.fits'], 2, 'is not a section'),
            (['b.0001.fits', '--trim', '[1:5,*]', '-o', 'o.fits'], 1, 'nothing says where'),
            (['b.0001.fits', '--amp', '[1:5,*]', '-o', 'o.fits'], 2, '--amp takes DATA:BIAS'),
            (['b.0001.fits', '--amp', '[1:5,*]:', '-o', 'o.fits'], 2, 'is not DATA:BIAS'),
            (['b.0001.fits', *AMPS, '--preset', 'kast', '-o', 'o.fits'], 2, '--amp and --preset exclude'),
            (['b.0001.fits', *AMPS, '--overscan', '[1:2,*]', '-o', 'o.fits'], 2, '--overscan and --amp exclude'),
            (['b.0001.fits', '--preset', 'nocam', '-o', 'o.fits'], 2, '--preset nocam: there is no such file'),
            (['b.0001.fits', '--preset', 'kast', '-o', 'o.fits'], 1, 'of 44x30 pixels, is none that'),
            (['b.0001.fits', *AMPS, '--section', '[1:2,*]', '-o', 'o.fits'], 2, '--section takes no overscan'),
            (['b.0001.fits', '--section', '[1:45,*]', '-o', 'o.fits'], 1, 'goes beyond the image'),
            (['b.0001.fits', '--section', '[1:2,*]', '--clip', '3', '-o', 'o.fits'], 2, '--section takes no'),
            (['b.0001.fits', *AMPS, '--fit', 'none', '--guard', '1', '-o', 'o.fits'], 2, '--fit none takes no'),
            (['b.0001.fits', '--overscan', '[1:2,*]', '--fit', 'none', '-o', 'o.fits'], 2, '--fit none takes no'),
            (['b.0001.fits', *AMPS, '--fit', 'cubic', '-o', 'o.fits'], 2, "'cubic' is not level, row, poly:N"),
            (['b.0001.fits', *AMPS, '--fit', 'spline:0', '-o', 'o.fits'], 2, "'spline:0' is not"),
            (['b.0001.fits', *AMPS, '--fit', 'poly', '-o', 'o.fits'], 2, "'poly' is not"),
            (['b.0001.fits', *AMPS, '--fit', 'poly:30', '-o', 'o.fits'], 1, 'poly:30 has 31 terms, and the over'),
            (['b.0001.fits', *AMPS, '--clip', '0', '-o', 'o.fits'], 2, '--clip takes a number of sigma above 0'),
            (['b.0001.fits', *AMPS, '--clip', 'nan', '-o', 'o.fits'], 2, '--clip takes a number of sigma above 0'),
            (['b.0001.fits', *AMPS, '--guard', '3,3', '-o', 'o.fits'], 1, 'a guard of 3 and 3 leaves nothing'),
            (['b.0001.fits', *AMPS, '--guard', '-1', '-o', 'o.fits'], 2, 'is not N or N,M'),
            (['b.0001.fits', *AMPS, '--uncertainty', '-o', 'o.fits'], 2, '--uncertainty needs --gain and --rdnoise'),
            (['b.0001.fits', *AMPS, '--rdnoise', '3', '-o', 'o.fits'], 2, '--rdnoise goes with --uncertainty'),
            (['b.0001.fits', *AMPS, '--gain', '1,2,3', '-o', 'o.fits'], 1, '--gain gives 3 numbers'),
            (['b.0001.fits', *AMPS, '--gain', '0', '-o', 'o.fits'], 1, '--gain 0: it must be above 0'),
            (['b.0001.fits', *AMPS, '--gain', '-2', '-o', 'o.fits'], 1, '--gain -2: it must be above 0'),
            (['b.0001.fits', *AMPS, '--gain', 'OBJECT', '-o', 'o.fits'], 1, "OBJECT = 'M1' is not a number"),
            (['b.0001.fits', *AMPS, '--gain', ',', '-o', 'o.fits'], 2, '--gain and --rdnoise take numbers or keywords'),
            (['b.0001.fits', '--section', '[*,*]', '--gain', '2', '--rdnoise', 'overscan', '--uncertainty',
              '-o', 'o.fits'], 2, '--rdnoise overscan needs an overscan'),
            (['b.0001.fits', *AMPS, '--rotate', '45', '-o', 'o.fits'], 2, 'invalid choice'),
            (['b.0001.fits', *AMPS, '--dtype', 'uint8', '-o', 'o.fits'], 1, 'do not fit into uint8'),
            (['b.0001.fits', *AMPS], 2, '-o'),
            (['b.0001.fits', *AMPS, '-o', 'b.0001.fits'], 1, 'is an input'),
            (['b.0001.fits', '--amp', '[1:16,*]:[17:20,5:30]', '--fit', 'row', '-o', 'o.fits'], 1,
             'the overscan holds rows 5 to 30, the pixels rows 1 to 30'),
        ],
    )  # fmt: skip
    def test_one_line_and_no_output(self, night, capsys, words, status, match):
        assert match in refused(capsys, *words, status=status)

    @pytest.mark.parametrize(
        ('cards', 'match'),
        [
            ({'BIASSEC': 'UNKNOWN', 'TRIMSEC': '[1:32,1:30]'}, "bad.fits: BIASSEC = 'UNKNOWN' is not a section"),
            ({'BIASSEC': '[33:45,1:30]', 'TRIMSEC': '[1:32,1:30]'}, "bad.fits: BIASSEC = '[33:45,1:30]': region"),
            (
                {'BIASSEC': '[1:44,1:30]', 'DATASEC': '[1:44,1:30]'},
                'bad.fits: the overscan [1:44,1:30] (BIASSEC) and the pixels [1:44,1:30] (DATASEC) overlap',
            ),
            (
                {'BIASSEC': '[32:44,1:30]', 'TRIMSEC': '[1:32,1:30]'},
                'bad.fits: the overscan [32:44,1:30] (BIASSEC) and the pixels [1:32,1:30] (TRIMSEC) overlap',
            ),
            (
                {'BSEC1': '[33:36,*]', 'DSEC1': '[1:16,*]', 'BSEC2': '[16:38,*]', 'DSEC2': '[17:32,*]'},
                'bad.fits: the overscan [16:38,1:30] (BSEC2) and the pixels [1:16,1:30] (DSEC1) overlap',
            ),
            (
                {'OSFIT': 'level', 'BIASSEC': '[33:44,1:30]', 'TRIMSEC': '[1:32,1:30]'},
                'bad.fits: it is trimmed already',
            ),
        ],
    )
    def test_one_bad_header_stops_all_before_any_work(self, night, make_image, capsys, cards, match):
        make_image('bad.fits', night['b.0001.fits'], **cards)
        make_image('good.fits', night['b.0001.fits'], BIASSEC='[33:44,1:30]', TRIMSEC='[1:32,1:30]')
        assert match in refused(capsys, 'good.fits', 'bad.fits', '--prefix', 't_')

    def test_options_that_overlap(self, one, capsys):
        words = ['one.fits', '-o', 'out.fits']
        overlap = refused(capsys, *words, '--overscan', '[30:44,*]', '--trim', '[1:30,*]')
        assert 'the overscan [30:44,1:30] (--overscan) and the pixels [1:30,1:30] (--trim) overlap' in overlap
        assert '(--amp) overlap' in refused(capsys, *words, '--amp', '[1:32,*]:[32:44,*]')
        assert '(TRIMSEC) overlap' in refused(capsys, *words, '--overscan', '[32:44,*]')
        run('one.fits[1:31,*]', '--overscan', '[32:44,*]', '-o', 'out.fits')  # what is kept is what matters

    def test_twice(self, one, capsys, pixels_of):
        run('one.fits', '-q', '-o', 'out.fits')
        words = ['out.fits', '--overscan', '[20:30,*]', '--trim', '[1:19,*]', '-o', 'again.fits']
        assert 'it is trimmed already: OSFIT' in refused(capsys, *words)
        run(*words, '--force-again')
        header = fits.getheader('again.fits')
        assert (header['OSSEC1'], header['DATASEC']) == ('[20:30,1:28]', '[1:19,1:28]')
        run('out.fits', '--section', '[2:5,3:9]', '-o', 'cut.fits')  # a cut takes nothing off a second time

    def test_electrons_twice(self, one, capsys):
        run('one.fits', '-q', '--gain', '2', '-o', 'out.fits')
        words = ['out.fits', '--section', '[*,*]', '--gain', '2', '-o', 'again.fits']
        assert "it is in electrons already: BUNIT = 'electron'" in refused(capsys, *words)
        run(*words, '--force-again')

    def test_an_overscan_without_a_good_pixel_fails_alone(self, night, make_image, capsys):
        raw = night['b.0001.fits'].astype('f4')
        raw[:, OVER_RIGHT] = np.nan
        make_image('nan.fits', raw)
        run('nan.fits', 'b.0001.fits', *AMPS, '--prefix', 't_', status=1)
        out, err = capsys.readouterr()
        assert out == 't_b.0001.fits\n'
        assert err == 'img_trim: nan.fits: --amp: the overscan has no good pixel\n'

    def test_a_damaged_file_fails_alone(self, night, capsys):
        shutil.copy('b.0002.fits', 'cut.fits')
        raw = gzip.compress(Path('cut.fits').read_bytes())
        Path('cut.fits.gz').write_bytes(raw[: len(raw) // 2])
        run('cut.fits.gz', 'b.0001.fits', *AMPS, '--prefix', 't_', status=1)
        out, err = capsys.readouterr()
        assert out == 't_b.0001.fits\n'
        assert err.startswith('img_trim: cut.fits.gz: ')
        assert not os.path.exists('t_cut.fits')


class TestRealFrames:
    """Two-amplifier frames of Lick's Kast, and a night of its Nickel telescope."""

    @pytest.fixture
    def kast(self, data, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return data / 'kast_blue'

    def test_kast_bias(self, kast):
        raw = fits.getdata(kast / 'b21.fits.gz').astype('f8')
        assert [np.median(raw[:, part]) for part in (slice(0, 1024), slice(1024, 2048))] == [945, 966]
        run(kast / 'b21.fits.gz', '-q', '-o', 't.fits')
        found, header = fits.getdata('t.fits', header=True)
        assert found.shape == (350, 2048)
        assert (header['OSLEV1'], header['OSLEV2']) == (943, 965)
        left, right = found[:, :1024], found[:, 1024:]
        assert (np.median(left), np.median(right)) == (2, 1)
        columns = np.median(found, axis=0)
        assert np.abs(np.diff(columns[1000:1048])).max() <= 1  # no edge between the two
        assert np.abs(columns[1:-1] - np.median(columns)).max() <= 3
        # The very first and last column of the detector lie below: every frame has them, a master bias takes them out.
        assert columns[[0, -1]].tolist() == [-6, -11]

    def test_kast_numbers(self, kast):
        """The reference numbers: master bias, scatter, read noise and drifts."""
        run(*(kast / f'b{number}.fits.gz' for number in (21, 22, 23)), '-q', '--prefix', 't_')
        assert combine_fits.main(['t_b2?.fits', '-m', 'median', '-q', '-o', 'bias.fits']) == 0
        master = fits.getdata('bias.fits').astype('f8')
        halves = master[:, :1024], master[:, 1024:]
        assert [np.median(half) for half in halves] == [2, 1]
        assert [half.std() for half in halves] == pytest.approx([2.00, 1.88], abs=0.005)
        pair = fits.getdata('t_b21.fits').astype('f8') - fits.getdata('t_b22.fits')
        for part in (pair[:, :1024], pair[:, 1024:]):
            assert part.std() / math.sqrt(2) == pytest.approx(2.83, abs=0.15)
        assert [fits.getheader('t_b21.fits')[f'OSSIG{number}'] for number in (1, 2)] == pytest.approx(
            [2.83, 2.83], abs=0.2
        )

    @pytest.mark.parametrize(
        ('name', 'levels'), [('b27', (941, 962)), ('b11', (949, 981)), ('b12', (949, 981)), ('b24', (942, 964))]
    )
    def test_kast_levels_drift(self, kast, name, levels):
        run(kast / f'{name}.fits.gz', '-q', '-o', 't.fits')
        header = fits.getheader('t.fits')
        assert (header['OSLEV1'], header['OSLEV2']) == levels

    def test_kast_flats_are_told_to_drift(self, kast, capsys):
        run(*(kast / f'b{number}.fits.gz' for number in (11, 21)), '-q', '--prefix', 't_')
        told = [line for line in capsys.readouterr().err.splitlines() if 'drifts' in line]
        assert len(told) == 1
        assert 't_b11.fits: the overscan drifts by 3.62 and 8.89 adu' in told[0]
        run(kast / 'b11.fits.gz', '-q', '--fit', 'spline:8', '-o', 's.fits')
        level, spline = (fits.getheader(name) for name in ('t_b11.fits', 's.fits'))
        assert (spline['OSSIG2'], level['OSSIG2']) == (pytest.approx(2.8, abs=0.2), pytest.approx(4.92, abs=0.01))

    def test_kast_by_preset_and_by_hand(self, kast):
        run(kast / 'b21.fits.gz', '-q', '-o', 'header.fits')
        run(kast / 'b21.fits.gz', '-q', '--preset', 'kast', '-o', 'preset.fits')
        amps = ['--amp', '[1:1024,*]:[2049:2080,*]', '--amp', '[1025:2048,*]:[2081:2112,*]', '--guard', '2']
        run(kast / 'b21.fits.gz', '-q', *amps, '-o', 'hand.fits')
        found = [fits.getdata(name) for name in ('header.fits', 'preset.fits', 'hand.fits')]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])

    def test_kast_science_in_electrons(self, kast):
        run(kast / 'b27.fits.gz', '-q', '--gain', '1.23,1.26', '--rdnoise', '3.7', '--uncertainty', '-o', 't.fits')
        raw = fits.getdata(kast / 'b27.fits.gz').astype('f8')
        wanted = np.hstack([1.23 * (raw[:, :1024] - 941), 1.26 * (raw[:, 1024:2048] - 962)])
        ccd = CCDData.read('t.fits')
        np.testing.assert_allclose(ccd.data, wanted, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(ccd.uncertainty.array, np.sqrt(np.maximum(wanted, 0) + 3.7**2), rtol=1e-5)

    def test_nickel(self, data, tmp_path, monkeypatch, capsys):
        """Calibrations at 1037, science near 800: all near 0 but for what the sky and the lamp give."""
        monkeypatch.chdir(tmp_path)
        frames = sorted((data / 'nickel_pluto').glob('*/*.fits'))
        run(*frames, '-q', '--prefix', 't_')
        assert 'drifts' not in capsys.readouterr().err
        levels = {path.parent.name: [] for path in frames}
        for path in frames:
            header = fits.getheader(f't_{path.name}')
            levels[path.parent.name].append(header['OSLEV1'])
            assert header['OSLEV1'] == np.median(fits.getdata(path)[:, 1026:1054])
            assert header['DATASEC'] == '[1:1024,1:1024]'
        assert all(1030 <= level <= 1042 for level in levels['biases'] + levels['darks'])
        assert all(787 <= level <= 807 for level in levels['pluto'])
        medians = {path: float(np.median(fits.getdata(f't_{path.name}'))) for path in frames}
        assert all(0 <= medians[path] <= 5 for path in frames if path.parent.name in ('biases', 'darks'))
        science = [medians[path] for path in frames if path.parent.name == 'pluto']
        assert max(science) - min(science) <= 1  # the level differs by 20 counts from frame to frame
        assert 50 <= min(science) <= 60  # sky

    def test_floyds_does_not_know(self, data, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        path = next((data / 'floyds').rglob('*w00.fits.fz'))
        assert f"{path}: TRIMSEC = 'UNKNOWN' is not a section" in refused(capsys, path, '-o', 'out.fits')
        run(path, '--section', '[21:2060,*]', '--flip', 'x', '-q', '-o', 'out.fits')
        raw, found = fits.getdata(path), fits.getdata('out.fits')
        np.testing.assert_array_equal(found, raw[:, 20:2060][:, ::-1])

    def test_lsst(self, data, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = data / 'header_zoo' / 'lsst_imsim_amp.fits.gz'
        run(path, '--fit', 'row', '--stat', 'mean', '-q', '-o', 'out.fits')
        raw = fits.getdata(path).astype('f8')
        wanted = raw[1:, 4:] - raw[1:, :4].mean(axis=1)[:, None]
        np.testing.assert_allclose(fits.getdata('out.fits'), wanted, rtol=1e-6, atol=1e-2)


def test_statistics_of_a_trimmed_frame_come_near_zero(night, capsys):
    """A chain as on the command line: trim, then look."""
    run('b.*.fits', *AMPS, '-q', '--prefix', 't_')
    assert img_stats.main(['t_b.*.fits', '--section', '[1:16,*]', '-s', 'median', '--format', 'tsv']) == 0
    medians = [float(line.split('\t')[1]) for line in capsys.readouterr().out.splitlines()[1:]]
    assert medians == pytest.approx([500, 500], abs=1)
