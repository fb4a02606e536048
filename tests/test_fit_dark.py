"""fit_dark: lines, factors, scaled darks, plots, and a line for every pixel."""

import csv
import io
import json
import math
import os

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from fitsutils.commands import combine_fits, fit_dark, img_stats

NY, NX = 13, 17
RECIPE = {60: 11.8, 120: 17.8, 180: 23.6}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def darks(make_image):
    """Master darks without their bias, d60.fit and so on, whose means are the recipe's."""
    rng = np.random.default_rng(3)
    frames = {}
    for time, counts in RECIPE.items():
        noise = rng.normal(0, 2, (NY, NX))
        frames[time] = (counts + noise - noise.mean()).astype('f4')
        make_image(f'd{time}.fit', frames[time], EXPTIME=float(time), EXPOSURE=float(time), NCOMBINE=3, BIASSUB='b.fit')
    return frames


def run(*words, status=0):
    assert fit_dark.main([str(word) for word in words]) == status


def printed(capsys):
    out, err = capsys.readouterr()
    assert err == ''
    return out


def rows_of(text, form='csv'):
    return list(csv.DictReader(io.StringIO(text), delimiter={'csv': ',', 'tsv': '\t'}[form]))


def test_a_dark_that_does_not_belong_to_the_others_is_said(make_image, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    for number, (time, more) in enumerate(((60, 0), (60, 45), (60, 0), (120, 0), (180, 0), (180, 0))):
        make_image(f'd{number}.fit', rng.normal(6 + 0.1 * time + more, 1, (30, 40)), EXPTIME=float(time), BIASSUB='b')
    assert fit_dark.main(['d?.fit']) == 0
    said = capsys.readouterr().err
    assert said.startswith('fit_dark: d1.fit: it lies +4')
    assert said.endswith(' counts off the line of the other darks\n')
    assert fit_dark.main(['d0.fit', 'd[2-5].fit']) == 0
    assert capsys.readouterr().err == ''


class TestLine:
    def test_the_recipe_s_fit(self, darks, capsys):
        run('d*.fit')
        assert printed(capsys) == (
            '#offset offset_err slope slope_err npts chi2\n5.933   1.528      0.098 0.012     3    0.00667\n'
        )

    def test_other_formats_keep_all_digits(self, darks, capsys):
        run('d*.fit', '--format', 'jsonl')
        row = json.loads(printed(capsys))
        means = [frame.mean(dtype='f8') for frame in darks.values()]
        slope, offset = np.polyfit(list(darks), means, 1)
        assert row['slope'] == pytest.approx(slope, rel=1e-12)
        assert row['offset'] == pytest.approx(offset, rel=1e-12)
        assert row['slope_err'] == pytest.approx(math.sqrt(1 / 7200), rel=1e-14)
        assert row['npts'] == 3

    @pytest.mark.parametrize('region', [('-b', 2, 9, 3, 5), ('--section', '[3:9,4:5]')])
    @pytest.mark.parametrize('stat', ['mean', 'median'])
    def test_regions_and_medians(self, darks, capsys, region, stat):
        run('d*.fit', *region, '--stat', stat, '--format', 'csv')
        (row,) = rows_of(printed(capsys))
        found = [getattr(np, stat)(frame[3:5, 2:9].astype('f8')) for frame in darks.values()]
        slope, offset = np.polyfit(list(darks), found, 1)
        assert (float(row['slope']), float(row['offset'])) == (pytest.approx(slope), pytest.approx(offset))

    def test_measured_weights(self, darks, capsys):
        run('d*.fit', '--weights', 'rms', '--format', 'tsv')
        (row,) = rows_of(printed(capsys), 'tsv')
        errors = [frame.std(dtype='f8') / math.sqrt(NY * NX) for frame in darks.values()]
        means = [frame.mean(dtype='f8') for frame in darks.values()]
        fit, covariance = np.polyfit(list(darks), means, 1, w=1 / np.array(errors), cov='unscaled')
        assert float(row['offset']) == pytest.approx(fit[1])
        assert float(row['offset_err']) == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-5)
        assert float(row['slope_err']) == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-5)

    def test_points(self, darks, capsys):
        run('d60.fit', 'd180.fit', 'd120.fit', '--points', '--format', 'csv')
        rows = rows_of(printed(capsys))
        assert [row['FileName'] for row in rows] == [f'd{time}.fit[1:17,1:13]' for time in (60, 180, 120)]
        assert [float(row['EXPTIME']) for row in rows] == [60, 180, 120]
        for row, time in zip(rows, (60, 180, 120), strict=True):
            assert float(row['mean']) == pytest.approx(darks[time].mean(dtype='f8'))
            assert float(row['error']) == pytest.approx(darks[time].std(dtype='f8') / math.sqrt(NY * NX))
        assert sum(float(row['residual']) for row in rows) == pytest.approx(0, abs=1e-5)
        run('d*.fit', '--points', '-k', 'EXPOSURE', '--stat', 'median')
        assert printed(capsys).split('\n')[0].split() == [
            '#FileName', 'EXPOSURE', 'num', 'median', 'rms', 'error', 'residual',
        ]  # fmt: skip

    def test_outliers_masks_and_missing_pixels(self, darks, capsys, make_image):
        mask = np.zeros((NY, NX), 'u1')
        for time, frame in darks.items():
            dirty = frame.copy()
            dirty[2, 3], dirty[4, 4], mask[5, 5], dirty[5, 5] = 60000, np.nan, 1, 7e4 + time
            make_image(f'd{time}.fit', dirty, EXPTIME=float(time), BIASSUB='b.fit')
        make_image('mask.fits', mask)
        run('d*.fit', '--mask', 'mask.fits', '--clip', 5, '--format', 'csv', '--points')
        rows = rows_of(printed(capsys))
        assert [int(row['num']) for row in rows] == [NY * NX - 3] * 3
        keep = np.ones((NY, NX), bool)
        keep[[2, 4, 5], [3, 4, 5]] = False
        wanted = [darks[time][keep].mean(dtype='f8') for time in (120, 180, 60)]
        np.testing.assert_allclose([float(row['mean']) for row in rows], wanted, rtol=1e-6)

    def test_the_slope_is_the_same_with_the_bias_and_without(self, darks, capsys, make_image):
        bias = np.random.default_rng(1).normal(1000, 5, (NY, NX)).astype('f4')
        make_image('bias.fits', bias)
        for time, frame in darks.items():
            make_image(f'raw{time}.fit', np.rint(frame + bias).astype('u2'), EXPTIME=float(time))
        found = {}
        for name, words in {'in': ['raw*.fit'], 'out': ['raw*.fit', '--bias', 'bias.fits']}.items():
            run(*words, '--format', 'csv')
            (found[name],) = rows_of(printed(capsys))
        assert float(found['in']['slope']) == pytest.approx(float(found['out']['slope']))
        difference = float(found['in']['offset']) - float(found['out']['offset'])
        assert difference == pytest.approx(bias.mean(dtype='f8'), rel=1e-6)
        assert float(found['out']['offset']) == pytest.approx(5.933, abs=0.2)

    def test_a_bias_that_is_out_already(self, darks, capsys, make_image):
        make_image('bias.fits', np.zeros((NY, NX)))
        for words in ([], ['--per-pixel', '-o', 'x.fits'], ['--scale-to', '1']):
            run('d*.fit', '--bias', 'bias.fits', *words, status=1)
            assert 'd120.fit: its bias was subtracted already (BIASSUB = b.fit)' in capsys.readouterr().err

    def test_a_bias_is_a_dark_of_no_time(self, make_image, capsys):
        for time in (0, 10, 30):
            make_image(f'{time}.fits', np.full((3, 4), 100 + 2 * time, 'u2'), EXPTIME=float(time))
        run('*.fits', '--format', 'csv')
        (row,) = rows_of(printed(capsys))
        assert (float(row['offset']), float(row['slope'])) == (pytest.approx(100), pytest.approx(2))

    def test_text_outputs(self, darks, capsys):
        run('d*.fit', '-o', 'fit.log')
        run('d*.fit', '-o', 'fit.log', '--append', '--points')
        assert printed(capsys) == 'fit.log\nfit.log\n'
        with open('fit.log') as file:
            assert [line.split()[0] for line in file] == [
                '#offset',
                '5.933',
                '#FileName',
                *(f'd{t}.fit[1:17,1:13]' for t in (120, 180, 60)),
            ]

    def test_verbose(self, darks, capsys):
        run('d*.fit', '-v')
        assert (
            'fit_dark: counts = 5.933 +/- 1.528 + 0.098 +/- 0.012 x exposure time, 3 darks\n' in capsys.readouterr().err
        )


class TestPlot:
    @pytest.mark.parametrize('weights', ['unit', 'rms'])
    def test_png(self, darks, capsys, weights):
        run('d*.fit', '--plot', 'dark.png', '--weights', weights)
        assert printed(capsys).startswith('#offset')  # nothing but the table
        with Image.open('dark.png') as picture:
            assert min(picture.size) > 400
            colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 20)}
        assert {(0x35, 0x50, 0x6E), (0xC0, 0x30, 0x30)} <= colours

    def test_pdf_and_the_same_bytes(self, darks, capsys):
        for name in ('a.pdf', 'b.pdf'):
            run('d*.fit', '-o', f'{name}.log', '--plot', name)
        assert printed(capsys) == 'a.pdf.log\na.pdf\nb.pdf.log\nb.pdf\n'
        with open('a.pdf', 'rb') as one, open('b.pdf', 'rb') as other:
            first, second = one.read(), other.read()
        assert first == second
        assert first.startswith(b'%PDF')

    def test_an_existing_plot(self, darks, capsys):
        with open('p.png', 'w') as file:
            file.write('old')
        run('d*.fit', '--plot', 'p.png', status=1)
        assert capsys.readouterr() == ('', 'fit_dark: p.png: it exists; --force replaces it\n')
        run('d*.fit', '--plot', 'p.png', '--skip-existing')
        assert printed(capsys).startswith('#offset')
        with open('p.png') as file:
            assert file.read() == 'old'
        run('d*.fit', '--plot', 'p.png', '-o', 'x.log', '--dry-run', '--force')
        assert printed(capsys) == 'x.log\np.png\n'
        assert not os.path.exists('x.log')


@pytest.fixture
def exact(make_image):
    """Darks that lie on the recipe's rounded line, 5.9 + 0.098 t."""
    for time in (60, 120, 180):
        make_image(f'd{time}.fit', np.full((NY, NX), 5.9 + 0.098 * time), EXPTIME=float(time), BIASSUB='b.fit')


class TestFactors:
    def test_the_recipe_s_factors(self, exact, capsys):
        run('d*.fit', '--scale-to', '1,2,5,10', '--from', 'd180.fit')
        rows = [line.split() for line in printed(capsys).splitlines()]
        assert rows[0] == ['#EXPTIME', 'factor', 'factor_err']
        assert [row[1] for row in rows[1:]] == ['0.25', '0.26', '0.27', '0.29']

    def test_all_digits(self, exact, capsys):
        run('d*.fit', '--scale-to', '60,1', '--format', 'csv')  # from the longest
        rows = rows_of(printed(capsys))
        assert [float(row['EXPTIME']) for row in rows] == [60, 1]
        wanted = [(5.9 + 0.098 * time) / (5.9 + 0.098 * 180) for time in (60, 1)]
        assert [float(row['factor']) for row in rows] == pytest.approx(wanted)

    def test_the_times_of_images_once_each(self, exact, capsys, make_image):
        for name, time in {'a1': 10.0, 'a2': 2.0, 'a3': 10.0, 'a4': 0.5}.items():
            make_image(f'{name}.fit', np.zeros((2, 2)), EXPTIME=time)
        run('d*.fit', '--like', 'a?.fit', '--format', 'csv')
        assert [float(row['EXPTIME']) for row in rows_of(printed(capsys))] == [0.5, 2, 10]
        run('d*.fit', '--like', 'a?.fit', '--scale-to', '10,7', '--format', 'csv')
        assert [float(row['EXPTIME']) for row in rows_of(printed(capsys))] == [10, 7, 0.5, 2]

    def test_scaled_darks(self, exact, capsys, pixels_of):
        run('d*.fit', '--scale-to', '1,0.5', '--from', 'd120.fit', '-o', 'dark', '--set', 'OBJECT=dark')
        assert printed(capsys) == 'dark1sec.fit\ndark0.5sec.fit\n'
        for name, time in (('dark1sec.fit', 1), ('dark0.5sec.fit', 0.5)):
            header = fits.getheader(name)
            factor = (5.9 + 0.098 * time) / (5.9 + 0.098 * 120)
            assert header['EXPTIME'] == time
            assert header['DARKFAC'] == pytest.approx(factor)
            assert (header['DARKOFF'], header['DARKSLP']) == (pytest.approx(5.9), pytest.approx(0.098))
            assert header['OBJECT'] == 'dark'
            assert f'x d120.fit, {time:g} s of 120 s' in str(header['HISTORY'])
            np.testing.assert_allclose(pixels_of(name), (5.9 + 0.098 * 120) * header['DARKFAC'], rtol=1e-6)

    def test_names_and_types(self, exact, capsys, make_image):
        os.mkdir('out')
        run('d*.fit', '--scale-to', 5, '-o', 'out/', '--compress', 'gz')
        run('d*.fit', '--scale-to', 5, '-o', 'five.fits', '--dtype', 'float64')
        assert printed(capsys) == 'out/d180_5sec.fit.gz\nfive.fits\n'
        assert fits.getheader('five.fits')['BITPIX'] == -64
        run('d*.fit', '--scale-to', '5,6', '-o', 'five.fits', status=2)
        assert '-o five.fits is one file for 2 exposure times' in capsys.readouterr().err
        make_image('wide.fit', np.full((NY, NX), 1e6), EXPTIME=180.0, BIASSUB='b')
        run('wide.fit', 'd60.fit', '--scale-to', 100, '-o', 'x', '--dtype', 'int16', status=1)
        assert 'x100sec.fit: --dtype int16: pixels from' in capsys.readouterr().err

    def test_existing_outputs(self, exact, capsys):
        run('d*0.fit', '--scale-to', '1,2', '-o', 'dark', '-q')
        run('d*0.fit', '--scale-to', '2,3', '-o', 'dark', status=1)
        assert capsys.readouterr() == ('', 'fit_dark: dark2sec.fit: it exists; --force replaces it\n')
        run('d*0.fit', '--scale-to', '2,3', '-o', 'dark', '--skip-existing')
        assert printed(capsys) == 'dark3sec.fit\n'
        run('d*0.fit', '--scale-to', '2,3', '-o', 'dark', '--force', '--dry-run')
        assert printed(capsys) == 'dark2sec.fit\ndark3sec.fit\n'
        run('d*0.fit', '--scale-to', '2,3', '-o', 'dark', '--skip-existing')
        assert printed(capsys) == ''

    def test_a_dark_that_holds_its_bias_is_not_scaled(self, make_image, capsys):
        rng = np.random.default_rng(2)
        make_image('bias.fits', np.full((NY, NX), 1000.0))
        for time in (60, 180):
            raw = rng.normal(1005.9 + 0.098 * time, 6, (NY, NX))
            make_image(f'raw{time}.fit', raw.astype('u2'), EXPTIME=float(time))
        run('raw*.fit', '--scale-to', 1, status=1)
        out, err = capsys.readouterr()
        assert out == ''
        assert err.startswith('fit_dark: raw180.fit: it still holds its bias (no header says that it was subtracted')
        assert '--bias FILE takes it out' in err
        run('raw*.fit', '--scale-to', 1, '--bias', 'bias.fits', '-o', 'dark')
        assert printed(capsys) == 'dark1sec.fit\n'
        header = fits.getheader('dark1sec.fit')
        assert header['BIASSUB'] == 'bias.fits'
        assert 'raw180.fit without bias.fits' in str(header['HISTORY'])
        assert abs(fits.getdata('dark1sec.fit').mean() - 6) < 1.5
        run('raw*.fit', '--scale-to', 170, '--bias-free')
        assert printed(capsys).endswith('\n')

    def test_a_line_of_other_darks(self, exact, make_image, capsys):
        make_image('m.fit', np.full((NY, NX), 1023.6), EXPTIME=180.0, BIASSUB='b')
        run('d*.fit', '--scale-to', 1, '--from', 'm.fit', status=1)
        assert 'm.fit: its median is 1023.6, and the line has 23.54 counts at 180 s' in capsys.readouterr().err

    def test_a_line_below_zero(self, make_image, capsys):
        for time, counts in ((10, 1.0), (20, 4.0)):
            make_image(f'n{time}.fit', np.full((NY, NX), counts), EXPTIME=float(time), BIASSUB='b')
        run('n*.fit', '--scale-to', '15,1', status=1)
        assert 'n20.fit: --scale-to: the line has -1.7 counts at 1 s: no dark is below 0' in capsys.readouterr().err


def pixel_stack(make_image, *, dtype='u2', bias=1000, seed=7, shape=(41, 37)):
    """Raw darks of six times, with hot, full and odd pixels, and a bias; the truth."""
    rng = np.random.default_rng(seed)
    rate = np.full(shape, 0.2)
    rate[3, 4], rate[10, 20], rate[30, 5] = 400, 1500, 6
    offset = rng.normal(5, 0.5, shape)
    pattern = bias + rng.normal(0, 2, shape)
    make_image('bias.fits', pattern.astype('f4'))
    times = [10, 20, 30, 60, 150, 300]
    for time in times:
        counts = pattern + offset + rate * time
        full = 61900 + rng.normal(0, 200, shape)
        frame = np.where(counts > full, full, counts + rng.normal(0, 6, shape))
        frame[20, 20] += 500 * (time == 60)
        make_image(f'p{time:03d}.fits', np.clip(np.rint(frame), 0, 65535).astype(dtype), EXPTIME=float(time))
    return times, rate, offset


class TestPerPixel:
    def test_rates_offsets_and_bad_pixels(self, make_image, capsys):
        _, rate, offset = pixel_stack(make_image)
        run('p*.fits', '--bias', 'bias.fits', '--per-pixel', '-o', 'RATE.fits')
        assert printed(capsys) == 'RATE.fits\n'
        with fits.open('RATE.fits') as hdus:
            assert [hdu.header['EXTNAME'] for hdu in hdus] == ['RATE', 'OFFSET', 'MASK', 'RMS', 'NPTS']
            assert [hdu.header.get('BUNIT') for hdu in hdus] == ['adu/s', 'adu', None, 'adu', None]
            assert [hdu.data.dtype.str[1:] for hdu in hdus] == ['f4', 'f4', 'u1', 'f4', 'i2']
            header, data = hdus[0].header, {hdu.name: np.array(hdu.data) for hdu in hdus}
        assert np.argwhere(data['MASK']).tolist() == [[3, 4], [10, 20], [20, 20], [30, 5]]
        assert [header[key] for key in ('NSATURAT', 'NMISSING', 'NUNFIT', 'NHOT')] == [2, 0, 1, 1]
        assert 61000 < header['DARKSAT'] < 62500
        assert header['BIASSUB'] == 'bias.fits'
        assert 'EXPTIME' not in header
        assert header['NCOMBINE'] == 6
        good = data['MASK'] == 0
        assert np.abs(data['RATE'] - rate)[good].max() < 0.15
        assert np.abs(data['OFFSET'] - offset)[good].max() < 25
        # Of full pixels what lies below is fitted.
        np.testing.assert_allclose(data['RATE'][[3, 10], [4, 20]], [400, 1500], rtol=0.01)
        assert data['NPTS'][3, 4] == 5
        assert data['NPTS'][10, 20] == 3

    @pytest.mark.parametrize('dtype', ['u2', 'f4'])
    def test_against_the_definition(self, make_image, pixels_of, dtype):
        times, *_ = pixel_stack(make_image, dtype=dtype)
        run(
            'p*.fits',
            '--bias',
            'bias.fits',
            '--per-pixel',
            '-o',
            'RATE.fits',
            '--dtype',
            'float64',
            '--saturation',
            61000,
        )
        stack = np.array([pixels_of(f'p{time:03d}.fits') for time in times], 'f8')
        bias = pixels_of('bias.fits').astype('f8')
        found = {name: pixels_of('RATE.fits', name) for name in ('RATE', 'OFFSET', 'MASK', 'RMS', 'NPTS')}
        for (y, x), rate in np.ndenumerate(found['RATE']):
            good = stack[:, y, x] < 61000
            slope, offset = np.polyfit(np.array(times)[good], stack[good, y, x] - bias[y, x], 1)
            assert rate == pytest.approx(slope, rel=1e-6, abs=1e-9)
            assert found['OFFSET'][y, x] == pytest.approx(offset, rel=1e-6, abs=1e-5)
            assert found['NPTS'][y, x] == good.sum()
            assert found['MASK'][y, x] >= (not good.all())
            left = stack[good, y, x] - bias[y, x] - offset - slope * np.array(times)[good]
            assert found['RMS'][y, x] == pytest.approx(
                math.sqrt((left**2).sum() / (good.sum() - 2)), rel=1e-4, abs=1e-6
            )

    def test_the_same_bytes_for_any_memory_and_jobs(self, make_image, monkeypatch, capsys):
        monkeypatch.setenv('SOURCE_DATE_EPOCH', '1614398400')
        pixel_stack(make_image)
        found = []
        for words in (
            ['--memory', '1G'],
            ['--memory', '20k', '-j', 1],
            ['--memory', '40k', '-j', 3],
            ['--memory', '90k'],
        ):
            run('p*.fits', '--bias', 'bias.fits', '--per-pixel', '-o', 'out.fits', '--force', *words)
            with open('out.fits', 'rb') as file:
                found.append(file.read())
        assert len(set(found)) == 1
        run('p*.fits', '--per-pixel', '-o', 'x.fits', '--memory', '1k', status=1)
        assert '--memory does not hold one row of 6 images' in capsys.readouterr().err

    def test_packed_darks_give_the_same(self, make_image, pixels_of):
        times, *_ = pixel_stack(make_image)
        for time in times:
            with fits.open(f'p{time:03d}.fits') as hdus:
                packed = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type='RICE_1', tile_shape=(1, 37))
                fits.HDUList([fits.PrimaryHDU(), packed]).writeto(f'z{time:03d}.fits.fz')
        run('p*.fits', '--per-pixel', '-o', 'plain.fits')
        run('z*.fits.fz', '--per-pixel', '-o', 'packed.fits')
        for name in ('RATE', 'OFFSET', 'MASK', 'RMS', 'NPTS'):
            np.testing.assert_array_equal(pixels_of('plain.fits', name), pixels_of('packed.fits', name))

    @pytest.mark.parametrize(
        ('cards', 'dtype', 'words', 'wanted'),
        [
            ({}, 'u2', [], 65535),  # the type's largest value
            ({'SATURATE': 4000}, 'u2', [], 4000),
            ({'SATURATE': 0}, 'u2', [], 65535),
            ({}, 'f4', [], None),
            ({'FULL': 5000.0}, 'f4', ['--saturation', 'full'], 5000),
            ({'SATURATE': 4000}, 'u2', ['--saturation', '3000'], 3000),
            ({'SATURATE': 4000}, 'u2', ['--saturation', 'inf'], None),
        ],
    )
    def test_where_pixels_are_saturated(self, make_image, capsys, cards, dtype, words, wanted):
        for time in (1, 2, 4):
            make_image(f's{time}.fits', np.full((5, 6), 100 * time, dtype), EXPTIME=float(time), BIASSUB='b', **cards)
        run('s*.fits', '--per-pixel', '-o', 'out.fits', *words)
        assert fits.getheader('out.fits').get('DARKSAT') == wanted
        assert printed(capsys) == 'out.fits\n'

    @pytest.mark.parametrize('word', ['0', '-5', 'nan', 'FULL'])
    def test_saturations_that_are_none(self, make_image, capsys, word):
        for time in (1, 2):
            make_image(f's{time}.fits', np.full((5, 6), time), EXPTIME=float(time))
        run('s*.fits', '--per-pixel', '-o', 'out.fits', '--saturation', word, status=1)
        err = capsys.readouterr().err
        assert err.startswith('fit_dark: s1.fits: ')
        assert not os.path.exists('out.fits')

    def test_missing_and_masked_pixels(self, make_image, capsys):
        mask = np.zeros((6, 8), 'u1')
        mask[4, 4] = 1
        make_image('mask.fits', mask)
        for time in (1, 2, 4):
            frame = np.random.default_rng(time).normal(3 * time, 0.1, (6, 8)).astype('f4')
            frame[0, 0], frame[1, 1] = np.nan, np.nan if time > 1 else 3
            make_image(f'm{time}.fits', frame, EXPTIME=float(time), BIASSUB='b')
        run('m?.fits', '--per-pixel', '--mask', 'mask.fits', '-o', 'out.fits')
        assert capsys.readouterr() == ('out.fits\n', 'fit_dark: out.fits: 3 pixels have no line: NaN\n')
        assert np.argwhere(np.isnan(fits.getdata('out.fits', 'RATE'))).tolist() == [[0, 0], [1, 1], [4, 4]]
        assert fits.getdata('out.fits', 'MASK').sum() == 3
        header = fits.getheader('out.fits')
        assert (header['NMISSING'], header['NMASKED']) == (3, 3)
        assert fits.getheader('out.fits')['CMBMASK'] == 'mask.fits'

    def test_nothing_left_of_any_pixel(self, make_image, capsys):
        for time in (1, 2):
            make_image(f'm{time}.fits', np.full((3, 4), np.nan, 'f4'), EXPTIME=float(time))
        run('m*.fits', '--per-pixel', '-o', 'out.fits', status=3)
        assert 'out.fits: no pixel has a line' in capsys.readouterr().err
        assert os.path.exists('out.fits')

    def test_weights(self, make_image, pixels_of):
        rng = np.random.default_rng(5)
        times, sigmas = np.array([10, 50, 200, 400]), np.array([1, 5, 2, 20])
        for time, sigma in zip(times, sigmas, strict=True):
            frame = rng.normal(5 + 0.1 * time, sigma, (30, 40)).astype('f4')
            make_image(f'w{time:03d}.fits', frame, EXPTIME=float(time), BIASSUB='b')
        run('w*.fits', '--per-pixel', '--weights', 'rms', '-o', 'out.fits', '--dtype', 'float64')
        stack = np.array([pixels_of(f'w{time:03d}.fits') for time in times], 'f8')
        spreads = [0.7413 * np.diff(np.quantile(frame, [0.25, 0.75]))[0] for frame in stack]
        slope, offset = np.polyfit(times, stack.reshape(4, -1), 1, w=1 / np.array(spreads))
        np.testing.assert_allclose(pixels_of('out.fits', 'RATE').ravel(), slope, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(pixels_of('out.fits', 'OFFSET').ravel(), offset, rtol=1e-5, atol=1e-6)

    def test_the_mask_and_the_rates_serve_other_commands(self, make_image, capsys, pixels_of):
        pixel_stack(make_image)
        run('p*.fits', '--bias', 'bias.fits', '--per-pixel', '-o', 'RATE.fits')
        capsys.readouterr()
        assert img_stats.main(['RATE.fits[RATE]', '-s', 'num,median', '--mask', 'RATE.fits[MASK]']) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[1] == str(41 * 37 - 4)
        assert combine_fits.main(['p010.fits', 'p020.fits', '--mask', 'RATE.fits[MASK]', '-o', 'c.fits', '-m', 'mean',
                                  '-n', 'EXPTIME']) == 0  # fmt: skip
        assert np.argwhere(np.isnan(pixels_of('c.fits'))).tolist() == [[3, 4], [10, 20], [20, 20], [30, 5]]

    def test_offsets_with_the_bias_say_so(self, make_image):
        pixel_stack(make_image)
        run('p*.fits', '--per-pixel', '-o', 'in.fits')
        header = fits.getheader('in.fits')
        assert header['DARKBIAS'] is True
        assert 'BIASSUB' not in header
        assert np.median(fits.getdata('in.fits', 'OFFSET')) == pytest.approx(1005, abs=2)
        run('p*.fits', '--per-pixel', '-o', 'free.fits', '--bias-free')
        assert 'DARKBIAS' not in fits.getheader('free.fits')

    def test_limits(self, make_image):
        pixel_stack(make_image)
        counts = []
        for word in ('5', '5,1e9', '1e9,5', '1e9'):
            run('p*.fits', '--bias', 'bias.fits', '--per-pixel', '-o', 'out.fits', '--hot', word, '--force')
            header = fits.getheader('out.fits')
            counts.append((header['NUNFIT'], header['NHOT']))
        assert counts == [(1, 1), (0, 2), (1, 0), (0, 0)]

    def test_regions_of_different_sizes(self, darks, make_image, capsys):
        run('d60.fit[1:5,1:4]', 'd120.fit', 'd180.fit', '-o', 'x.txt', status=1)
        assert 'the images are not of one size: 5 x 4: d60.fit; 17 x 13: d120.fit and 1 more' in capsys.readouterr().err
        make_image('small.fit', np.ones((3, 4)), EXPTIME=5.0, BIASSUB='b')
        run('d60.fit', 'small.fit', '-o', 'x.txt', status=1)
        assert '4 x 3: small.fit' in capsys.readouterr().err
        assert not os.path.exists('x.txt')
        run('d60.fit', 'small.fit', '-b', 0, 2, 0, 1)  # the same region of each

    def test_sizes_and_axes(self, make_image, capsys):
        make_image('a.fits', np.zeros((3, 4)), EXPTIME=1.0)
        make_image('b.fits', np.zeros((4, 4)), EXPTIME=2.0)
        make_image('bias.fits', np.zeros((5, 4)))
        run('a.fits', 'b.fits', '--per-pixel', '-o', 'out.fits', status=1)
        assert 'the images are not of one size: 4 x 3: a.fits; 4 x 4: b.fits' in capsys.readouterr().err
        run('a.fits', 'a.fits', '--bias', 'bias.fits', '--per-pixel', '-o', 'out.fits', status=1)
        assert 'a.fits: bias.fits does not fit: 4 x 3 and 4 x 5 pixels' in capsys.readouterr().err
        for time in (1, 2):
            make_image(f'c{time}.fits', np.zeros((2, 3, 4)), EXPTIME=float(time))
        run('c?.fits', '--per-pixel', '-o', 'out.fits', status=1)
        assert 'c1.fits: it has 3 axes: --per-pixel takes images of two' in capsys.readouterr().err

    def test_parts_of_darks(self, make_image, pixels_of):
        times, *_ = pixel_stack(make_image)
        run('p*.fits', '--bias', 'bias.fits', '--per-pixel', '-o', 'all.fits', '--saturation', 'inf')
        names = [f'p{time:03d}.fits[5:20,11:40]' for time in times]
        run(*names, '--bias', 'bias.fits', '--per-pixel', '-o', 'part.fits', '--saturation', 'inf')
        np.testing.assert_array_equal(pixels_of('part.fits', 'RATE'), pixels_of('all.fits', 'RATE')[10:40, 4:20])


class TestRefusals:
    @pytest.mark.parametrize(
        ('words', 'rule'),
        [
            (['--per-pixel'], '--per-pixel writes a file'),
            (['--per-pixel', '-o', 'x.fits', '-b', '0', '2', '0', '2'], 'not with --per-pixel'),
            (['--per-pixel', '-o', 'x.fits', '--stat', 'mean'], 'not with --per-pixel'),
            (['--per-pixel', '-o', 'x.fits', '--plot', 'x.png'], 'not with --per-pixel'),
            (['--per-pixel', '-o', 'x.fits', '--scale-to', '1'], 'not with --per-pixel'),
            (['--per-pixel', '-o', 'x.fits', '--format', 'csv'], '--format is about text'),
            (['--scale-to', '1', '--append'], '--append is about the text'),
            (['-o', 'x.png', '--plot', 'x.png'], '-o and --plot name one file'),
            (['--per-pixel', '-o', 'x.fits', '--hot', '0'], '--hot takes K or K,R'),
            (['--per-pixel', '-o', 'x.fits', '--hot', '1,2,3'], '--hot takes K or K,R'),
            (['--saturation', '5'], 'go with --per-pixel'),
            (['--memory', '1G'], 'go with --per-pixel'),
            (['--from', 'd180.fit'], '--from goes with'),
            (['--bias-free'], '--bias-free goes with'),
            (['--scale-to', '1', '--bias-free', '--bias', 'd60.fit'], '--bias takes a bias out'),
            (['--scale-to', '1', '--points'], '--points prints'),
            (['--scale-to', '-1'], 'not a list of exposure times'),
            (['--scale-to', 'x'], 'not a list of numbers'),
            (['--clip', '0'], 'the limit must be positive'),
            (['--dtype', 'int16'], 'are about images'),
            (['--set', 'A=1'], 'are about images'),
            (['--scale-to', '1', '-o', 'x', '--append'], '--append is about the text'),
            (['--dry-run'], '--dry-run goes with'),
            (['--plot', 'x.jpg'], 'ends in .png or .pdf'),
            (['-b', '0', '2', '0', '2', '--section', '[1:2,1:2]'], 'only one of -b'),
            (['--weights', 'some'], 'invalid choice'),
        ],
    )  # fmt: skip
    def test_contradictions(self, darks, capsys, words, rule):
        run('d*.fit', *words, status=2)
        out, err = capsys.readouterr()
        assert out == ''
        assert rule in err
        assert err.count('\n') == 1

    @pytest.mark.parametrize(
        ('cards', 'rule'),
        [
            ({}, 'it has no usable exposure time: EXPTIME is missing'),
            ({'EXPTIME': -2.0}, 'it has no usable exposure time: EXPTIME = -2.0'),
            ({'EXPTIME': 'x'}, "it has no usable exposure time: EXPTIME = 'x'"),
        ],
    )
    @pytest.mark.parametrize('words', [[], ['--per-pixel', '-o', 'x.fits']])
    def test_unusable_times(self, darks, make_image, capsys, cards, rule, words):
        make_image('bad.fit', np.zeros((NY, NX)), **cards)
        run('d*.fit', 'bad.fit', *words, status=1)
        assert capsys.readouterr() == ('', f'fit_dark: bad.fit: {rule}\n')

    @pytest.mark.parametrize('words', [[], ['--per-pixel', '-o', 'x.fits']])
    def test_darks_of_one_time(self, darks, capsys, words):
        run('d60.fit', 'd60.fit', *words, status=1)
        assert 'a line needs darks of two exposure times, and all are of 60 s' in capsys.readouterr().err
        assert not os.path.exists('x.fits')

    def test_nothing_left_to_measure(self, darks, make_image, capsys):
        make_image('d60.fit', np.full((NY, NX), np.nan), EXPTIME=60.0)
        run('d*.fit', status=1)
        assert 'd60.fit[1:17,1:13]: no pixel is left to measure' in capsys.readouterr().err
        run('d*.fit', '-b', 0, 99, 0, 3, status=1)
        assert 'goes beyond the image' in capsys.readouterr().err

    def test_darks_that_do_not_belong_together_are_warned_of(self, darks, make_image, capsys):
        make_image('d60.fit', darks[60], EXPTIME=60.0, BIASSUB='b')
        fits.setval('d60.fit', 'CCD-TEMP', value=-10.0)
        fits.setval('d120.fit', 'CCD-TEMP', value=-20.0)
        run('d*.fit')
        out, err = capsys.readouterr()
        assert out.startswith('#offset')
        assert err == 'fit_dark: warning: CCD-TEMP differs: -20.0 in d120.fit, -10.0 in d60.fit\n'


class TestRealFrames:
    """The STL-1001E: wells of different depths, and no flat top at the converter's end."""

    @pytest.fixture
    def stl(self, data, capsys):
        folder = data / 'sbu_stl1001e'
        assert combine_fits.main([str(folder / 'bias*.FIT'), '-m', 'mean', '-o', 'mean_bias.fits', '-q']) == 0
        return folder

    def test_full_wells_are_found_without_being_told(self, stl, capsys):
        run(stl / 'darks*.FIT', '--bias', 'mean_bias.fits', '--per-pixel', '-o', 'RATE.fits', '-q')
        with fits.open('RATE.fits') as hdus:
            header, mask, rate = hdus[0].header, np.array(hdus['MASK'].data, bool), np.array(hdus['RATE'].data)
            points = np.array(hdus['NPTS'].data)
        darks = {
            int(header['EXPTIME']): pixels
            for pixels, header in (fits.getdata(path, header=True) for path in stl.glob('darks*.FIT'))
        }
        stack = np.array([darks[time] for time in sorted(darks)], 'i4')
        assert stack.max() < 65535
        assert 61500 < header['DARKSAT'] < 62500
        full = (stack >= header['DARKSAT']).any(axis=0)
        assert 5 < full.sum() == header['NSATURAT'] < 30
        assert mask[full].all()
        # Their rates follow from what lies below: 390 counts a second, though 300 s show 205 of them.
        assert points[67, 968] == 5
        assert rate[67, 968] == pytest.approx(392, rel=0.02)
        assert (stack[-1, 67, 968] - 1235) / 300 < 210
        assert 0.15 < np.median(rate[~mask]) < 0.2
        assert 0.005 < mask.mean() < 0.05
