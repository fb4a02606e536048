"""sub_dark: which dark, how much of it, what is refused, and the recipe's steps against img_arith's way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import combine_fits, fit_dark, img_arith, img_rename, sub_dark

ROOT = Path(__file__).resolve().parents[1]
NY, NX = 9, 14


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def night(make_image):
    """Images sci.1.fit (30 s), sci.2.fit (60 s) and sci.3.fit (7 s), dark.fit (60 s), without bias; pixels by name."""
    rng = np.random.default_rng(12)
    frames = {'dark.fit': rng.normal(24, 3, (NY, NX)).astype('f4')}
    make_image('dark.fit', frames['dark.fit'], EXPTIME=60.0, BIASSUB='b.fit', NCOMBINE=5)
    for number, time in ((1, 30.0), (2, 60.0), (3, 7.0)):
        frames[f'sci.{number}.fit'] = rng.normal(500, 20, (NY, NX)).astype('f4')
        make_image(f'sci.{number}.fit', frames[f'sci.{number}.fit'], EXPTIME=time, EXPOSED=2 * time, BIASSUB='b.fit')
    return frames


def run(*words, status=0):
    assert sub_dark.main([str(word) for word in words]) == status


def refused(capsys, *words, status=1):
    before = sorted(os.listdir())
    run(*words, status=status)
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith('sub_dark: ')
    assert sorted(os.listdir()) == before
    return err


@pytest.mark.parametrize(
    ('words', 'factors'),
    [
        ([], (0.5, 1, 7 / 60)),
        (['--offset', 6, '--slope', 0.3], ((6 + 9) / 24, 1, (6 + 2.1) / 24)),
        (['--offset', -1, '--slope', 0.4], ((-1 + 12) / 23, 1, (-1 + 2.8) / 23)),
        (['-k', 'exposed'], None),
    ],
)
def test_factors(night, pixels_of, capsys, words, factors):
    if factors is None:
        fits.setval('dark.fit', 'EXPOSED', value=60.0)
        factors = (1, 2, 14 / 60)
    run('sci.?.fit', '--dark', 'dark.fit', '-o', 'out', *words)
    assert capsys.readouterr() == ('out.1.fit\nout.2.fit\nout.3.fit\n', '')
    for number, factor in enumerate(factors, 1):
        header, result = fits.getheader(f'out.{number}.fit'), pixels_of(f'out.{number}.fit')
        scaled = (night['dark.fit'].astype('f8') * factor).astype('f4')
        np.testing.assert_array_equal(result, night[f'sci.{number}.fit'] - scaled)
        assert result.dtype == np.float32
        assert header['DARKFAC'] == pytest.approx(factor, rel=1e-12)
        assert header['DARKSUB'] == 'dark.fit'
        assert header['BIASSUB'] == 'b.fit'
        said = f'sci.{number}.fit - dark.fit' if factor == 1 else f'sci.{number}.fit - {factor:.10g} x dark.fit'
        assert said in str(header['HISTORY']).replace('\n', '')
    line = words[:1] == ['--offset']
    assert ('DARKOFF' in fits.getheader('out.1.fit')) is line
    assert 'DARKOFF' not in fits.getheader('out.2.fit')


def test_darks_add_up(night, make_image, capsys):
    for time in (7, 30, 90):
        make_image(f'd{time}.fit', np.full((NY, NX), time / 2), EXPTIME=float(time), BIASSUB='b')
    run('sci.?.fit', '--dark', 'd7.fit', '--dark', 'd30.fit,d90.fit', '--dark', 'dar?.fit', '-o', 'out')
    found = [fits.getheader(f'out.{number}.fit')['DARKSUB'] for number in (1, 2, 3)]
    assert found == ['d30.fit', 'dark.fit', 'd7.fit']


def test_the_bias_is_taken_out_of_the_dark(night, make_image, pixels_of):
    bias = np.random.default_rng(4).normal(1000, 5, (NY, NX)).astype('f4')
    make_image('bias.fit', bias)
    raw = make_image('raw.fit', np.rint(night['dark.fit'] + bias).astype('u2'), EXPTIME=60.0)
    run('sci.1.fit', '--dark', raw, '--bias', 'bias.fit', '-o', 'out.fit')
    wanted = night['sci.1.fit'] - (fits.getdata(raw).astype('f4') - bias) * np.float32(0.5)
    np.testing.assert_array_equal(pixels_of('out.fit'), wanted)
    assert '0.5 x (raw.fit without bias.fit)' in str(fits.getheader('out.fit')['HISTORY'])


@pytest.fixture
def rates(make_image):
    """RATE.fits with a missing pixel and a mask; its pixels."""
    rng = np.random.default_rng(3)
    parts = {'RATE': rng.normal(0.2, 0.05, (NY, NX)).astype('f4'), 'OFFSET': rng.normal(5, 1, (NY, NX)).astype('f4'),
             'MASK': (rng.random((NY, NX)) < 0.1).astype('u1')}  # fmt: skip
    parts['RATE'][2, 3] = np.nan
    parts['MASK'][2, 3] = 1
    hdus = [fits.PrimaryHDU(parts['RATE'])] + [fits.ImageHDU(parts[name], name=name) for name in ('OFFSET', 'MASK')]
    hdus[0].header['EXTNAME'] = 'RATE'
    hdus[0].header['BIASSUB'] = 'b.fit'
    fits.HDUList(hdus).writeto('RATE.fits')
    return parts


def test_rates(night, rates, pixels_of, capsys):
    run('sci.?.fit', '--rate', 'RATE.fits', '--prefix', 'r_')
    out, err = capsys.readouterr()
    assert out == 'r_sci.1.fit\nr_sci.2.fit\nr_sci.3.fit\n'
    assert err.splitlines()[0] == 'sub_dark: r_sci.1.fit: 1 pixels have no dark, or are masked: NaN'
    for number, time in enumerate((30, 60, 7), 1):
        dark = (rates['OFFSET'] + time * rates['RATE'].astype('f8')).astype('f4')
        np.testing.assert_array_equal(pixels_of(f'r_sci.{number}.fit'), night[f'sci.{number}.fit'] - dark)
        header = fits.getheader(f'r_sci.{number}.fit')
        assert (header['DARKSUB'], header['DARKFAC']) == ('RATE.fits[RATE]', time)


def test_uncertainties_go_along(night, pixels_of):
    rng = np.random.default_rng(13)
    sigmas = {name: rng.uniform(1, 3, (NY, NX)) for name in ('sci.1.fit', 'dark.fit')}
    for name, sigma in sigmas.items():
        fits.append(name, sigma, fits.Header({'EXTNAME': 'UNCERT'}))
    run('sci.?.fit', '--dark', 'dark.fit', '-o', 'out')
    found = fits.getdata('out.1.fit', 'UNCERT')
    np.testing.assert_allclose(found, np.hypot(sigmas['sci.1.fit'], sigmas['dark.fit'] / 2), rtol=1e-6)
    assert fits.getheader('out.1.fit', 'UNCERT')['BUNIT'] == 'adu'
    assert len(fits.info('out.2.fit', output=False)) == 1


def test_masked_pixels_are_missing(night, rates, pixels_of, capsys):
    for words, name in ((['--rate', 'RATE.fits'], 'a.fit'), (['--dark', 'dark.fit'], 'b.fit')):
        run('sci.1.fit', *words, '--mask', 'RATE.fits[MASK]', '-o', name)
        np.testing.assert_array_equal(np.isnan(pixels_of(name)), rates['MASK'] != 0)
    count = int(rates['MASK'].sum())
    assert f'{count} pixels have no dark, or are masked' in str(fits.getheader('b.fit')['HISTORY'])
    assert f'b.fit: {count} pixels have no dark' in capsys.readouterr().err


def test_parts_and_cubes(night, rates, make_image, pixels_of):
    run('sci.1.fit[4:9,2:7]', '--dark', 'dark.fit', '--mask', 'RATE.fits[MASK]', '-o', 'part.fit')
    run('sci.1.fit', '--dark', 'dark.fit', '--mask', 'RATE.fits[MASK]', '-o', 'all.fit')
    np.testing.assert_array_equal(pixels_of('part.fit'), pixels_of('all.fit')[1:7, 3:9])
    run('sci.1.fit[4:9,2:7]', '--rate', 'RATE.fits', '-o', 'rpart.fit', '-q')
    run('sci.1.fit', '--rate', 'RATE.fits', '-o', 'rall.fit', '-q')
    np.testing.assert_array_equal(pixels_of('rpart.fit'), pixels_of('rall.fit')[1:7, 3:9])
    cube = np.stack([night['sci.1.fit'], night['sci.2.fit'], night['sci.3.fit']])
    make_image('cube.fit', cube, EXPTIME=30.0, BIASSUB='b')
    run('cube.fit', '--dark', 'dark.fit', '--mask', 'RATE.fits[MASK]', '-o', 'cout.fit')
    np.testing.assert_array_equal(pixels_of('cout.fit')[0], pixels_of('all.fit'))
    assert np.isnan(pixels_of('cout.fit')).sum() == 3 * rates['MASK'].sum()


def test_missing_pixels_stay_missing_and_are_not_counted(night, make_image, pixels_of, capsys):
    image = night['sci.1.fit'].copy()
    image[1, 1], image[2, 2] = np.nan, np.inf
    make_image('a.fit', image, EXPTIME=60.0, BIASSUB='b')
    run('a.fit', '--dark', 'dark.fit', '-o', 'out.fit')
    assert np.argwhere(np.isnan(pixels_of('out.fit'))).tolist() == [[1, 1], [2, 2]]
    assert capsys.readouterr() == ('out.fit\n', '')


def test_integers_do_not_wrap(night, make_image, pixels_of):
    make_image('raw.fit', np.full((NY, NX), 10, 'u2'), EXPTIME=60.0)
    run('raw.fit', '--dark', 'dark.fit', '-o', 'out.fit')
    np.testing.assert_array_equal(pixels_of('out.fit'), 10 - night['dark.fit'])
    run('raw.fit', '--dark', 'dark.fit', '-o', 'i.fit', '--dtype', 'int16')
    np.testing.assert_array_equal(pixels_of('i.fit'), np.rint(10 - night['dark.fit']))


def test_dry_run_and_existing_outputs(night, capsys):
    run('sci.?.fit', '--dark', 'dark.fit', '-o', 'out', '-k', 'EXPTIME', '--dry-run')
    out, err = capsys.readouterr()
    assert out == 'out.1.fit\nout.2.fit\nout.3.fit\n'
    assert 'sub_dark: sci.1.fit - 0.5 x dark.fit -> out.1.fit\n' in err
    assert not os.path.exists('out.1.fit')
    shutil.copyfile('sci.1.fit', 'out.1.fit')
    run('sci.?.fit', '--dark', 'dark.fit', '-o', 'out', '--skip-existing')
    assert capsys.readouterr().out == 'out.2.fit\nout.3.fit\n'
    assert 'DARKSUB' not in fits.getheader('out.1.fit')


@pytest.mark.parametrize(
    ('words', 'rule'),
    [
        (['-o', 'x'], 'one of --dark and --rate is wanted'),
        (['--dark', 'dark.fit', '--rate', 'RATE.fits', '-o', 'x'], 'one of --dark and --rate is wanted'),
        (['--dark', 'dark.fit'], '-o or --prefix must say'),
        (['--dark', 'dark.fit', '-o', 'x', '--offset', '5'], '--offset and --slope go together'),
        (['--dark', 'dark.fit', '-o', 'x', '--slope', '5'], '--offset and --slope go together'),
        (['--dark', 'dark.fit', '-o', 'x', '--offset', '5', '--slope', 'nan'], 'are finite numbers'),
        (['--rate', 'RATE.fits', '-o', 'x', '--offset', '5', '--slope', '1'], 'go with --dark'),
        (['--rate', 'RATE.fits', '-o', 'x', '--bias-free'], '--bias-free goes with --dark'),
        (['--dark', 'dark.fit', '-o', 'x', '--bias-free', '--bias', 'b.fit'], '--bias takes a bias out'),
    ],
)  # fmt: skip
def test_contradictions(night, capsys, words, rule):
    assert rule in refused(capsys, 'sci.?.fit', *words, status=2)


@pytest.mark.parametrize('bad', ['sci.2.fit', 'dark.fit'])
@pytest.mark.parametrize('value', [None, 0.0, -5.0, 'long'])
def test_unusable_exposure_times(night, capsys, bad, value):
    if value is None:
        with fits.open(bad, mode='update') as hdus:
            for key in ('EXPTIME', 'EXPOSED'):
                hdus[0].header.remove(key, ignore_missing=True)
    else:
        fits.setval(bad, 'EXPTIME', value=value)
    err = refused(capsys, 'sci.?.fit', '--dark', 'dark.fit', '-o', 'out')
    assert err.startswith(f'sub_dark: {bad}: it has no usable exposure time: EXPTIME ')
    assert err.count('\n') == 1


class TestBias:
    """A dark that holds its bias."""

    @pytest.fixture
    def raw(self, night, make_image):
        """A raw dark of 60 s, a mean of three, and the bias."""
        rng = np.random.default_rng(8)
        make_image('bias.fit', np.full((NY, NX), 1000.0))
        frames = [rng.normal(1024, 6, (NY, NX)).astype('u2') for _ in range(3)]
        for number, frame in enumerate(frames):
            make_image(f'raw{number}.fit', frame, EXPTIME=60.0, EGAIN=1.4, IMAGETYP='Dark Frame')
        assert combine_fits.main(['raw?.fit', '-m', 'mean', '-o', 'master.fit', '-q']) == 0

    @pytest.mark.parametrize('dark', ['raw0.fit', 'master.fit'])
    @pytest.mark.parametrize('line', [[], ['--offset', '6', '--slope', '0.3']])
    def test_is_not_scaled(self, raw, capsys, dark, line):
        err = refused(capsys, 'sci.1.fit', '--dark', dark, '-o', 'out.fit', *line)
        assert err.startswith(f'sub_dark: {dark}: it still holds its bias (no header says that it was subtracted, ')
        assert err.endswith('--bias FILE takes it out, --bias-free says that there is none\n')
        run('sci.1.fit', '--dark', dark, '--bias', 'bias.fit', '-o', 'out.fit', *line)

    def test_but_where_the_user_says_so(self, raw, pixels_of, night):
        run('sci.1.fit', '--dark', 'master.fit', '--bias-free', '-o', 'out.fit')
        np.testing.assert_array_equal(
            pixels_of('out.fit'), night['sci.1.fit'] - pixels_of('master.fit') * np.float32(0.5)
        )

    def test_of_the_same_time_goes_with_a_raw_image(self, raw, make_image, pixels_of):
        make_image('image.fit', np.full((NY, NX), 2000, 'u2'), EXPTIME=60.0, EGAIN=1.4)
        run('image.fit', '--dark', 'master.fit', '-o', 'out.fit')
        np.testing.assert_array_equal(pixels_of('out.fit'), 2000 - pixels_of('master.fit'))
        assert fits.getheader('out.fit')['BIASSUB'] == 'master.fit'

    def test_of_the_same_time_does_not_go_with_an_image_that_has_lost_its_own(self, raw, capsys):
        err = refused(capsys, 'sci.2.fit', '--dark', 'master.fit', '-o', 'out.fit')
        assert 'sci.2.fit: its bias was subtracted (BIASSUB = b.fit), and master.fit still holds one' in err
        run('sci.2.fit', '--dark', 'master.fit', '--bias', 'bias.fit', '-o', 'out.fit')

    def test_nor_do_offsets_that_hold_it(self, raw, make_image, rates, capsys, pixels_of):
        fits.setval('RATE.fits', 'DARKBIAS', value=True)
        fits.delval('RATE.fits', 'BIASSUB')
        err = refused(capsys, 'sci.1.fit', '--rate', 'RATE.fits', '-o', 'out.fit')
        assert 'sci.1.fit: its bias was subtracted (BIASSUB = b.fit), and the offset of RATE.fits[RATE] still' in err
        make_image('image.fit', np.full((NY, NX), 2000, 'u2'), EXPTIME=10.0, EGAIN=1.4)
        run('image.fit', '--rate', 'RATE.fits', '-o', 'out.fit')
        assert fits.getheader('out.fit')['BIASSUB'] == 'RATE.fits[OFFSET]'
        run('sci.1.fit', '--rate', 'RATE.fits', '--bias', 'bias.fit', '-o', 'less.fit')
        dark = (rates['OFFSET'] - np.float32(1000) + 30 * rates['RATE'].astype('f8')).astype('f4')
        np.testing.assert_allclose(pixels_of('less.fit'), pixels_of('sci.1.fit') - dark, rtol=1e-6)

    def test_is_not_taken_out_twice(self, raw, rates, capsys):
        err = refused(capsys, 'sci.1.fit', '--dark', 'dark.fit', '--bias', 'bias.fit', '-o', 'out.fit')
        assert (
            err
            == 'sub_dark: dark.fit: its bias was subtracted already (BIASSUB = b.fit): --bias would take it out twice\n'
        )
        err = refused(capsys, 'sci.1.fit', '--rate', 'RATE.fits', '--bias', 'bias.fit', '-o', 'out.fit')
        assert 'RATE.fits: its bias was subtracted already (BIASSUB = b.fit)' in err
        fits.delval('dark.fit', 'BIASSUB')
        fits.setval('dark.fit', 'OSLEV1', value=1000.0)  # what is left of the bias is its pattern
        run('sci.1.fit', '--dark', 'dark.fit', '--bias', 'bias.fit', '-o', 'out.fit')
        run('sci.1.fit', '--dark', 'dark.fit', '-o', 'more.fit')

    def test_a_line_of_darks_with_their_bias_is_told_by_the_level(self, raw, capsys):
        err = refused(capsys, 'sci.1.fit', '--dark', 'dark.fit', '--offset', '1006', '--slope', '0.3', '-o', 'out.fit')
        assert 'dark.fit: its median is' in err
        assert 'and the line has 1024 counts at 60 s' in err

    def test_of_a_file_with_several_darks_each_is_looked_at(self, raw, capsys):
        hdus = [fits.PrimaryHDU()]
        quiet = fits.getdata('dark.fit') - 24
        for name, time, pixels in (('D1', 30.0, quiet), ('D2', 60.0, fits.getdata('raw0.fit'))):
            hdus.append(fits.ImageHDU(pixels, name=name))
            hdus[-1].header['EXPTIME'] = time
        fits.HDUList(hdus).writeto('both.fits')
        darks = ['--dark', 'both.fits[D1]', '--dark', 'both.fits[D2]']
        run('sci.1.fit', *darks, '-o', 'good.fit')
        capsys.readouterr()
        err = refused(capsys, 'sci.1.fit', 'sci.3.fit', *darks, '--prefix', 'x_')
        assert 'both.fits: it still holds its bias' in err


class TestRefusals:
    @pytest.mark.parametrize('name', ['dark.fit', 'link.fit'])
    def test_an_image_from_itself(self, night, capsys, name):
        os.symlink('dark.fit', 'link.fit')
        err = refused(capsys, 'sci.1.fit', name, '--dark', 'dark.fit', '--prefix', 'o_')
        assert f'sub_dark: {name}: it is the dark itself: nothing would be left of it' in err

    def test_two_darks_of_one_time(self, night, capsys):
        shutil.copyfile('dark.fit', 'dark2.fit')
        err = refused(capsys, 'sci.1.fit', '--dark', 'dark*.fit', '-o', 'out.fit')
        assert 'dark2.fit: dark.fit is a dark of 60 s too: combine_fits makes one of them' in err

    def test_a_dark_that_was_subtracted_already(self, night, capsys):
        run('sci.1.fit', '--dark', 'dark.fit', '-o', 'once.fit')
        capsys.readouterr()
        err = refused(capsys, 'once.fit', '--dark', 'dark.fit', '-o', 'twice.fit')
        assert 'once.fit: a dark was subtracted from it already (DARKSUB = dark.fit); --force-again' in err
        run('once.fit', '--dark', 'dark.fit', '-o', 'twice.fit', '--force-again')

    def test_sizes(self, night, make_image, capsys):
        make_image('small.fit', np.ones((3, 4)), EXPTIME=60.0, BIASSUB='b')
        assert 'small.fit does not fit' in refused(capsys, 'sci.1.fit', '--dark', 'small.fit', '-o', 'out.fit')
        err = refused(capsys, 'sci.1.fit', '--dark', 'dark.fit', '--mask', 'small.fit', '-o', 'out.fit')
        assert 'small.fit does not fit' in err
        fits.delval('dark.fit', 'BIASSUB')
        err = refused(capsys, 'sci.1.fit', '--dark', 'dark.fit', '--bias', 'small.fit', '-o', 'out.fit')
        assert 'small.fit does not fit' in err

    def test_files_that_hold_no_rates(self, night, capsys):
        err = refused(capsys, 'sci.1.fit', '--rate', 'dark.fit', '-o', 'out.fit')
        assert err == 'sub_dark: dark.fit: there is no HDU RATE\n'

    def test_lines_that_go_below_zero(self, night, capsys):
        err = refused(capsys, 'sci.?.fit', '--dark', 'dark.fit', '--offset', '-6', '--slope', '0.5', '-o', 'out')
        assert 'sci.3.fit: --offset and --slope: the line has -2.5 counts at 7 s' in err

    def test_a_dark_without_pixels(self, night, make_image, capsys):
        make_image('nan.fit', np.full((NY, NX), np.nan), EXPTIME=60.0)
        err = refused(capsys, 'sci.1.fit', '--dark', 'nan.fit', '-o', 'out.fit')
        assert 'nan.fit: none of its pixels has a value' in err

    def test_darks_among_the_images_are_warned_of(self, night, capsys):
        fits.setval('sci.2.fit', 'IMAGETYP', value='Dark Frame')
        run('sci.?.fit', '--dark', 'dark.fit', '-o', 'out', '-q')
        assert capsys.readouterr().err == 'sub_dark: warning: sci.2.fit: it is a dark itself by its header\n'

    def test_darks_of_another_temperature_are_warned_of(self, night, capsys):
        fits.setval('dark.fit', 'CCD-TEMP', value=-20.0)
        fits.setval('sci.1.fit', 'CCD-TEMP', value=-10.0)
        run('sci.1.fit', '--dark', 'dark.fit', '-o', 'out.fit', '-q')
        assert 'warning: CCD-TEMP differs: -20.0 in dark.fit, -10.0 in sci.1.fit' in capsys.readouterr().err


@pytest.fixture
def crab(tmp_path):
    """The Crab night, small, up to the recipe's mean darks."""
    made = [sys.executable, str(ROOT / 'examples/crab/make_night.py'), str(tmp_path), '--size', '140x90']
    subprocess.run(made, check=True, capture_output=True)

    def do(command, *words):
        assert command.main([*words, '-q']) == 0

    do(img_rename, '*.fit')
    do(combine_fits, '20210227.004[1-9].fit,20210227.0050.fit,20210227.009[89].fit,20210227.010[0-7].fit',
       '-m', 'mean', '-o', 'mean_bias.fit')  # fmt: skip
    do(img_arith, '20210227.00[01235678]?.fit,20210227.0040.fit', '-', 'mean_bias.fit', '-o', 'bsub')
    do(combine_fits, 'bsub.005[2-6].fit', '-m', 'mean', '-o', 'mean_dark60.fit')
    do(combine_fits, 'bsub.005[78].fit', '-m', 'mean', '-o', 'mean_dark120.fit')
    do(combine_fits, 'bsub.0059.fit,bsub.006[01].fit', '-m', 'mean', '-o', 'mean_dark180.fit')
    return do


FLATS = {2: 'bsub.000[1-5].fit', 5: 'bsub.000[6-9].fit,bsub.0010.fit', 10: 'bsub.001[1-5].fit',
         1: 'bsub.001[6-9].fit,bsub.00[23]?.fit,bsub.0040.fit'}  # fmt: skip
LIGHTS = {60: 'bsub.006[2-9].fit,bsub.007[0-3].fit', 120: 'bsub.007[48].fit,bsub.0082.fit',
          180: 'bsub.007[5679].fit,bsub.008[013-9].fit'}  # fmt: skip


def test_the_recipe_s_steps_7_8_and_10_in_one_line(crab, pixels_of, capsys):
    capsys.readouterr()
    assert fit_dark.main(['mean_dark*.fit', '-b', '75', '137', '50', '87', '--format', 'csv']) == 0
    offset, _, slope = map(float, capsys.readouterr().out.splitlines()[1].split(',')[:3])
    assert (offset, slope) == (pytest.approx(5.9, abs=0.3), pytest.approx(0.098, abs=0.002))

    run(','.join([*FLATS.values(), *LIGHTS.values()]), '--dark', 'mean_dark*.fit', '--offset', 5.9, '--slope', 0.098,
        '-o', 'ours')  # fmt: skip
    assert capsys.readouterr().out.count('\n') == 68

    for time, images in FLATS.items():
        factor = (5.9 + 0.098 * time) / (5.9 + 0.098 * 180)
        assert f'{factor:.2f}' == {1: '0.25', 2: '0.26', 5: '0.27', 10: '0.29'}[time]
        crab(img_arith, 'mean_dark180.fit', 'x', repr(factor), '-o', f'dark{time}sec.fit')
        crab(img_arith, images, '-', f'dark{time}sec.fit', '-o', 'theirs')
    for time, images in LIGHTS.items():
        crab(img_arith, images, '-', f'mean_dark{time}.fit', '-o', 'theirs')
    names = sorted(Path().glob('theirs.*.fit'))
    assert len(names) == 68
    for name in names:
        np.testing.assert_array_equal(pixels_of(name), pixels_of(str(name).replace('theirs', 'ours')))


def test_raw_darks_need_their_bias_taken_out(crab, pixels_of, capsys):
    """The same from the darks as they were taken, with the mean bias named."""
    crab(combine_fits, '20210227.0059.fit,20210227.006[01].fit', '-m', 'mean', '-o', 'raw180.fit')
    capsys.readouterr()
    assert 'raw180.fit: it still holds its bias' in refused(
        capsys, 'bsub.0001.fit', '--dark', 'raw180.fit', '-o', 'a.fit'
    )
    run('bsub.0001.fit', '--dark', 'raw180.fit', '--bias', 'mean_bias.fit', '-o', 'a.fit')
    run('bsub.0001.fit', '--dark', 'mean_dark180.fit', '-o', 'b.fit')
    np.testing.assert_allclose(pixels_of('a.fit'), pixels_of('b.fit'), atol=2e-3)


class TestRealFrames:
    def test_a_scaled_dark_goes_wrong_where_pixels_are_full(self, data, pixels_of, capsys):
        """The 300 s dark of the STL-1001E, scaled, against the one of 60 s: README's numbers."""
        stl = data / 'sbu_stl1001e'
        long, short = (next(stl.glob(f'darks-expos{time}s*')) for time in (300, 60))
        assert combine_fits.main([str(stl / 'bias*.FIT'), '-m', 'mean', '-o', 'bias.fits']) == 0
        assert img_arith.main([str(short), '-', 'bias.fits', '-o', 'b60.fits']) == 0
        words = [str(stl / 'darks*.FIT'), '--bias', 'bias.fits', '--per-pixel', '-o', 'RATE.fits']
        assert fit_dark.main(words) == 0
        scaled = ['--dark', long, '--bias', 'bias.fits']
        masked = ['--mask', 'RATE.fits[MASK]']
        for name, options in {
            'scaled': scaled,
            'masked': scaled + masked,
            'rates': ['--rate', 'RATE.fits', *masked],
        }.items():
            run('b60.fits', *options, '-o', f'{name}.fits', '-q')
        left = {name: pixels_of(f'{name}.fits').astype('f8') for name in ('scaled', 'masked', 'rates')}
        bad = pixels_of('RATE.fits', 'MASK') != 0
        # Full after 60 s as after 300 s, so that a fifth is 50000 counts too little; full at 300 s only: 11000.
        assert np.unravel_index(np.nanargmax(left['scaled']), bad.shape) == (409, 329)
        assert left['scaled'][409, 329] == pytest.approx(49858, abs=1)
        assert left['scaled'][67, 968] > 10000
        assert bad[409, 329]
        assert bad[67, 968]
        assert bad.mean() == pytest.approx(0.022, abs=0.005)
        rms = {name: np.nanstd(pixels) for name, pixels in left.items()}
        assert rms['scaled'] == pytest.approx(76.7, abs=0.5)
        assert rms['masked'] == pytest.approx(7.4, abs=0.1)
        assert rms['rates'] == pytest.approx(6.3, abs=0.1)


def test_the_dark_is_named_and_how_far_in_time_it_is(night):
    for name, mjd in (('dark.fit', 58000.25), ('sci.1.fit', 58001.0)):
        fits.setval(name, 'MJD-OBS', value=mjd)
    run('sci.[12].fit', '--dark', 'dark.fit', '-o', 'out')
    header = fits.getheader('out.1.fit')
    assert (header['DARKFILE'], header['DARKDMJD']) == ('dark.fit', -0.75)
    assert 'DARKDMJD' not in fits.getheader('out.2.fit')
