"""combine_fits: every method against numpy, headers, refusals, bands and bad files."""

import gzip
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from fitsutils.commands import combine_fits
from fitsutils.errors import FileWarning
from fitsutils.pixels import combining, rejection

N, NY, NX = 7, 5, 11


@pytest.fixture
def frames(tmp_path, monkeypatch, make_image):
    """Seven frames f.1.fit ... in the current folder; their pixels."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(11)
    pixels = rng.integers(500, 60000, (N, NY, NX)).astype('u2')
    for number, frame in enumerate(pixels, 1):
        make_image(
            f'f.{number}.fit', frame, EXPTIME=10.0 * number, DATE__OBS=f'2021-02-27T04:{number:02d}:00', FILTER='R'
        )
    return pixels


def run(*words, status=0):
    assert combine_fits.main([str(word) for word in words]) == status


def close(path, wanted):
    found = fits.getdata(path)
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


PLAIN = {
    'average': lambda cube: cube.mean(0),
    'mean': lambda cube: cube.mean(0),
    'median': lambda cube: np.median(cube, 0),
    'min': lambda cube: cube.min(0),
    'max': lambda cube: cube.max(0),
    'sum': lambda cube: cube.sum(0),
    'std': lambda cube: cube.std(0),
    'rms': lambda cube: cube.std(0),
    'var': lambda cube: cube.var(0),
    'quantile': lambda cube: np.quantile(cube, 0.5, 0),
}


def test_all_methods_are_here():
    assert set(PLAIN) == set(combining.METHODS)


@pytest.mark.parametrize('method', PLAIN)
@pytest.mark.parametrize(
    ('options', 'kept'),
    [
        ([], slice(0, N)),
        (['-c', 'none'], slice(0, N)),
        (['-c', 'max'], slice(0, N - 1)),
        (['-c', 'min', '-d', '2'], slice(2, N)),
        (['-c', 'minmax', '-d', '1,3'], slice(1, N - 3)),
        (['-c', 'max', '-d', '0'], slice(0, N)),
    ],
)
def test_methods_and_rank_clips(frames, method, options, kept):
    run('f.?.fit', '-m', method, *options, '-o', 'out.fit')
    close('out.fit', PLAIN[method](np.sort(frames.astype('f8'), axis=0)[kept]))


@pytest.mark.parametrize('statistic', ['mean', 'median', 'sum'])
def test_normalisation_comes_before_clipping(frames, statistic):
    run('f.?.fit', '-m', 'median', '-c', 'max', '-d', '1', '-n', statistic, '-u', '-o', 'out.fit')
    cube = frames.astype('f8')
    levels = getattr(np, statistic)(cube, axis=(1, 2))
    cube *= (levels[0] / levels)[:, None, None]
    wanted = np.median(np.sort(cube, axis=0)[:-1], axis=0)
    close('out.fit', wanted / wanted.mean())
    header = fits.getheader('out.fit')
    assert header['IMSCL003'] == pytest.approx(levels[0] / levels[2])
    assert header['CMBUNIT'] == pytest.approx(wanted.mean(), rel=1e-6)


def test_normalisation_by_the_mode(tmp_path, monkeypatch, make_image):
    monkeypatch.chdir(tmp_path)
    for number, level in enumerate((100, 200), 1):
        frame = np.full((NY, NX), level, 'u2')
        frame[0] = 5000
        make_image(f'm{number}.fit', frame)
    run('m?.fit', '-m', 'mean', '-n', 'mode', '-o', 'out.fit')
    assert fits.getdata('out.fit')[1, 1] == 100
    assert fits.getheader('out.fit')['IMSCL002'] == 0.5


def test_levels_are_measured_on_the_section(frames):
    run('f.?.fit', '-m', 'mean', '-n', 'mean', '-u', '--section', '[2:4,3:5]', '-o', 'out.fit')
    cube = frames.astype('f8')
    levels = cube[:, 2:5, 1:4].mean(axis=(1, 2))
    wanted = (cube * (levels[0] / levels)[:, None, None]).mean(0)
    close('out.fit', wanted / wanted[2:5, 1:4].mean())


@pytest.mark.parametrize('statistic', ['mean', 'median', 'sum'])
@pytest.mark.parametrize('clip', [0, 2])
def test_an_average_weighted_by_levels(frames, statistic, clip):
    run('f.?.fit', '-m', 'average', '-a', statistic, '-c', 'max', '-d', clip, '-o', 'out.fit')
    cube = frames.astype('f8')
    weights = np.broadcast_to(getattr(np, statistic)(cube, axis=(1, 2))[:, None, None], cube.shape)
    order = np.argsort(cube, axis=0)[: N - clip]
    cube, weights = np.take_along_axis(cube, order, 0), np.take_along_axis(weights, order, 0)
    close('out.fit', (cube * weights).sum(0) / weights.sum(0))


@pytest.mark.parametrize('fraction', ['0', '0.3', '1'])
def test_quantiles(frames, fraction):
    run('f.?.fit', '-m', 'quantile', '-a', fraction, '-o', 'out.fit')
    close('out.fit', np.quantile(frames.astype('f8'), float(fraction), axis=0))


@pytest.mark.parametrize('bits', [-4, -1, 1, 10])
def test_shifts(frames, bits):
    run('f.?.fit', '-m', 'mean', '-s', bits, '-o', 'out.fit')
    data = frames.astype('i8')
    close('out.fit', (data << bits if bits > 0 else data >> -bits).mean(0))


@pytest.mark.parametrize('extra', [[], ['whole.fit']])
def test_planes_of_cubes(frames, make_image, extra):
    make_image('cube.fit', frames)
    make_image('whole.fit', frames[:2])
    run('-r', 'cube.fit', *extra, '-m', 'median', '-o', 'plane.fit')
    cube = np.concatenate([frames, frames[:2]]) if extra else frames
    close('plane.fit', np.median(cube, axis=0))
    assert fits.getheader('plane.fit')['NCOMBINE'] == len(cube)


def test_cubes_combine_to_a_cube(frames, make_image):
    cubes = np.stack([frames, frames[::-1], frames + 1]).astype('f4')
    for number, cube in enumerate(cubes):
        make_image(f'cube{number}.fit', cube)
    run('cube?.fit', '-m', 'mean', '-o', 'out.fit')
    close('out.fit', cubes.mean(0, dtype='f8'))


@pytest.mark.parametrize('region', ['[2:6,1:3]', '[*,4:5]'])
def test_sections_of_inputs(frames, region):
    run(*(f'f.{number}.fit{region}' for number in range(1, N + 1)), '-m', 'mean', '-o', 'out.fit')
    wanted = {'[2:6,1:3]': np.s_[:, 0:3, 1:6], '[*,4:5]': np.s_[:, 3:5]}[region]
    close('out.fit', frames[wanted].mean(0))


def test_missing_pixels(tmp_path, monkeypatch, make_image, capsys):
    monkeypatch.chdir(tmp_path)
    values = np.array([100, 101, np.nan, 103, 104])
    for number, value in enumerate(values, 1):
        frame = np.full((2, 3), value, 'f4')
        frame[1, 2] = np.nan
        make_image(f'g{number}.fit', frame)
    run('g?.fit', '-m', 'mean', '-o', 'out.fit')
    np.testing.assert_array_equal(fits.getdata('out.fit'), [[102, 102, 102], [102, 102, np.nan]])
    assert fits.getheader('out.fit')['NREJALL'] == 1
    assert '1 pixels have nothing left' in capsys.readouterr().err


def test_blank_pixels_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, value in enumerate((10, -32768, 20), 1):
        hdu = fits.PrimaryHDU(np.full((2, 3), value, 'i2'))
        hdu.header['BLANK'] = -32768
        hdu.writeto(f'h{number}.fit')
    run('h?.fit', '-m', 'mean', '-o', 'out.fit')
    np.testing.assert_array_equal(fits.getdata('out.fit'), np.full((2, 3), 15))


@pytest.mark.parametrize('suffix', ['.gz', '.fz'])
def test_packed_inputs_give_the_same_pixels(frames, suffix):
    run('f.?.fit', '-c', 'minmax', '-n', 'median', '-o', 'plain.fit')
    for number, frame in enumerate(frames, 1):
        if suffix == '.gz':
            fits.PrimaryHDU(frame).writeto(f'p.{number}.fit.gz')
        else:
            fits.CompImageHDU(frame).writeto(f'p.{number}.fit.fz')
    run(f'p.?.fit{suffix}', '-c', 'minmax', '-n', 'median', '-o', 'packed.fit')
    np.testing.assert_array_equal(fits.getdata('packed.fit'), fits.getdata('plain.fit'))


@pytest.mark.parametrize('memory', ['4k', '8k', '1M', '1GiB'])
def test_any_memory_gives_the_same_bytes(frames, monkeypatch, memory):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1600000000')
    words = ['f.?.fit', '-m', 'mean', '-c', 'minmax', '-n', 'median', '-u']
    run(*words, '-o', 'default.fit')
    run(*words, '--memory', memory, '-o', 'small.fit')
    assert Path('default.fit').read_bytes() == Path('small.fit').read_bytes()


def test_order_of_equal_arguments(frames, monkeypatch):
    run('f.?.fit', '-m', 'median', '-o', 'a.fit')
    run('f.7.fit,f.[2-6].fit', 'f.1.fit', '-m', 'median', '-o', 'b.fit')
    np.testing.assert_array_equal(fits.getdata('a.fit'), fits.getdata('b.fit'))


@pytest.mark.parametrize(('method', 'exposure'), [('sum', 280.0), ('mean', 40.0), ('median', 40.0)])
def test_the_header_says_what_went_in(frames, method, exposure):
    run('f.?.fit', '-m', method, '-c', 'max', '-o', 'out.fit', '--set', 'IMAGETYP=MASTER')
    header = fits.getheader('out.fit')
    assert header['NCOMBINE'] == N
    assert [header[f'IMCMB{number:03d}'] for number in range(1, N + 1)] == [
        f'f.{number}.fit' for number in range(1, N + 1)
    ]
    assert header['IMDAT002'] == '2021-02-27T04:02:00.000'
    assert (header['CMBMETH'], header['CMBCLIP'], header['CMBSCALE']) == (method, 'max 1', 'none')
    assert (header['EXPTIME'], header['IMAGETYP'], header['FILTER']) == (exposure, 'MASTER', 'R')
    assert header['DATE-BEG'] == '2021-02-27T04:01:00.000'
    assert header['DATE-END'] == '2021-02-27T04:08:10.000'
    assert header['DATE-AVG'] == '2021-02-27T04:04:20.000'
    assert header['MJD-AVG'] == pytest.approx(59272.169676, abs=1e-6)
    assert 'combine_fits' in str(header['HISTORY'])


def test_a_combination_of_combinations_does_not_inherit_the_old_inputs(frames):
    run('f.?.fit', '-n', 'mean', '-u', '-o', 'a.fit')
    run('a.fit', 'a.fit', '-o', 'b.fit')
    header = fits.getheader('b.fit')
    assert header['NCOMBINE'] == 2
    assert [key for key in header if key.startswith('IMCMB')] == ['IMCMB001', 'IMCMB002']
    assert not [key for key in header if key.startswith('IMSCL') or key == 'CMBUNIT']


@pytest.mark.long
def test_more_than_999_inputs_are_listed_in_a_table(tmp_path, monkeypatch, make_image):
    monkeypatch.chdir(tmp_path)
    for number in range(1003):
        make_image(f'n.{number:04d}.fit', np.full((2, 3), number, 'i2'), EXPTIME=1.0, DATE__OBS='2021-02-27T04:00:00')
    run('n.*.fit', '-m', 'mean', '-o', 'out.fit')
    table = fits.getdata('out.fit', 'INPUTS')
    assert len(table) == 1003
    assert (table['NAME'][1002], table['DATE'][5]) == ('n.1002.fit', '2021-02-27T04:00:00.000')
    np.testing.assert_array_equal(fits.getdata('out.fit', 0), np.full((2, 3), 501))
    assert 'IMCMB001' not in fits.getheader('out.fit')


@pytest.mark.parametrize(
    ('words', 'status', 'match'),
    [
        (['f.?.fit'], 2, '-o must name'),
        (['f.?.fit', '-o', 'o.fit', '-d', '1'], 2, '-d goes with -c'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'max', '-d', '7'], 2, 'would drop 7 of 7'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'minmax', '-d', '4,3'], 2, 'would drop 7 of 7'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'max', '-d', '1.5'], 2, '-d: max drops whole numbers of values'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'max', '-d', '-1'], 2, 'is not N or LOW,HIGH'),
        (['f.?.fit', '-o', 'o.fit', '-a', 'mean'], 2, '-a goes with'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'average', '-a', 'max'], 2, 'weights of an average'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'quantile', '-a', '1.5'], 2, 'from 0 to 1'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'quantile', '-a', 'x'], 2, 'from 0 to 1'),
        (['f.?.fit', 'small.fit', '-o', 'o.fit'], 1, 'not of one size: 11 x 5: f.1.fit and 6 more; 3 x 2: small.fit'),
        (['f.?.fit', 'none.fit', '-o', 'o.fit'], 1, 'none.fit: No such file'),
        (['f.?.fit', '-o', 'f.1.fit'], 1, 'f.1.fit: it is an input'),
        (['f.?.fit', '-o', 'o.fit', '--memory', '100'], 1, 'does not hold one row'),
        (['f.?.fit', '-o', 'o.fit', '-u', '--section', '[1:99,1:2]'], 1, 'goes beyond the image'),
        (['float.fit', '-o', 'o.fit', '-s', '2'], 1, 'only integer data can be shifted'),
        (['f.?.fit', '-o', 'o.fit', '-s', '60'], 1, 'uint16 data can not be shifted by 60 bits'),
        (['f.?.fit', '-o', 'o.fit', '-s', '-70000'], 1, 'uint16 data can not be shifted by -70000 bits'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'min', '-d', 'inf'], 2, 'is not N or LOW,HIGH'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'min', '-d', 'nan'], 2, 'is not N or LOW,HIGH'),
        (['f.1.fit', 'dark.fit', '-o', 'o.fit', '-n', 'mean'], 1, 'dark.fit: its mean is 0'),
        (['dark.fit', '-o', 'o.fit', '-u'], 1, 'mean of the result is 0'),
        (['f.?.fit', '-o', 'o.fit', '--dtype', 'uint8'], 1, 'do not fit into uint8'),
        (['f.?.fit', '-o', '.'], 2, 'is a folder'),
        (['f.?.fit', '-o', '-'], 2, 'an image does not go to standard output'),
        (['f.?.fit', '-o', 'o.fit', '--keep', '2'], 2, '--keep goes with -c'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'mad', '--keep', '0'], 2, '--keep'),
        (['f.?.fit', '-o', 'o.fit', '--grow', '2'], 2, '--grow goes with -c'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'mad', '--grow', '0'], 2, '--grow takes a radius'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'mad', '--grow', 'nan'], 2, '--grow takes a radius'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'ccd'], 2, '-c ccd needs --gain'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'mad', '--gain', '2'], 2, 'go with -c ccd'),
        (['f.?.fit', '-o', 'o.fit', '--rdnoise', '2'], 2, 'go with -c ccd'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'ccd', '--gain', '-2'], 1, 'f.1.fit: -2 is no gain'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'ccd', '--gain', 'EGAIN'], 1, 'f.1.fit: '),
        (['f.?.fit', '-o', 'o.fit', '-c', 'mad', '-d', '1,2,3'], 2, 'is not N or LOW,HIGH'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'average', '-a', 'mean', '-w', 'EXPTIME'], 2, '-a and -w both weigh'),
        (['f.?.fit', '-o', 'o.fit', '-w', 'EXPTIME'], 2, '-w goes with -m mean'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'mean', '-w', 'CCDTEMP'], 1, 'f.1.fit: '),
        (['f.?.fit', '-o', 'o.fit', '-m', 'mean', '-w', '@none.txt'], 1, 'none.txt: No such file'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'mean', '-w', '@two.txt'], 1, 'two.txt: 2 lines of NUMBER for 7 images'),
        (['f.1.fit', 'f.2.fit', '-o', 'o.fit', '-m', 'mean', '-w', '@two.txt'], 1, 'f.2.fit: 0 is no weight'),
        (['f.1.fit', 'f.2.fit', '-o', 'o.fit', '-n', '@two.txt'], 1, 'f.2.fit: 0 is no level'),
        (['f.?.fit', '-o', 'o.fit', '--norm-to', '9'], 2, '--norm-to goes with -n or -z'),
        (['f.?.fit', '-o', 'o.fit', '-n', 'mean', '--norm-to', '0'], 2, '--norm-to is above 0'),
        (['f.?.fit', '-o', 'o.fit', '-n', 'EXPTIME', '--norm-mask', 'dark.fit'], 2, '--norm-mask goes with'),
        (['f.?.fit', '-o', 'o.fit', '-n', 'mean', '--norm-mask', 'small.fit'], 1, 'small.fit does not fit'),
        (['f.?.fit', '-o', 'o.fit', '-z', 'sum'], 2, '-z sum'),
        (['f.?.fit', '-o', 'o.fit', '-n', '*?'], 2, 'neither @FILE nor a keyword'),
        (['f.?.fit', '-o', 'o.fit', '-m', 'max', '--uncertainty'], 2, '--uncertainty is not known for -m max'),
        (['f.?.fit', '-o', 'o.fit', '--all-rejected', 'median'], 2, '--all-rejected goes with'),
        (['f.?.fit', '-o', 'o.fit', '--maps', 'count,counts'], 2, "'counts' is none of count, sigma, low"),
        (['dark.fit', 'f.1.fit', '-o', 'o.fit', '--maps', 'exptime'], 1, 'dark.fit: it has no exposure time'),
        (['f.?.fit', '-o', 'o.fit', '--mask', 'NOSUCH'], 1, "no keyword 'NOSUCH'"),
        (['f.?.fit', '-o', 'o.fit', '--mask', 'small.fit'], 1, 'small.fit does not fit'),
        (['f.?.fit', '-o', 'o.fit', '--offsets', 'none.txt'], 1, 'none.txt: No such file'),
        (['f.?.fit', '-o', 'o.fit', '--offsets', 'two.txt'], 1, 'two.txt: line 1'),
        (['f.?.fit', '-o', 'o.fit', '--offsets', 'wcs'], 1, 'f.1.fit: '),
        (['f.?.fit', '-o', 'o.fit', '--min-corr', '1', '-n', 'mean'], 1, '--min-corr 1 leaves no image'),
        (['f.?.fit', '-o', 'o.fit', '--min-corr', '1.5'], 2, '--min-corr takes a correlation, from -1 to 1'),
        (['f.?.fit', '-o', 'o.fit', '--section', '[1:3,1:2]'], 2, '--section goes with a level'),
        (['f.?.fit', '-o', 'o.fit', '--reject-below', '5', '--reject-above', '4'], 2, '--reject-below is below'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'max', '-d', '1,2'], 2, 'max drops from one end'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'percentile', '-d', '20'], 2, '20 is no fraction of the median'),
        (['f.?.fit', '-o', 'o.fit', '-c', 'ccd', '--gain', '1', '--rdnoise', '-2'], 1, '-2 is no read noise'),
        (['f.?.fit', '-o', 'o.fit', '-j', '0'], 2, '-j'),
    ],
)
def test_refusals_leave_nothing_behind(frames, make_image, tmp_path, capsys, words, status, match):
    make_image('small.fit', np.ones((2, 3), 'f4'))
    make_image('float.fit', np.ones((NY, NX), 'f4'))
    make_image('dark.fit', np.zeros((NY, NX), 'u2'), FILTER='R')
    Path('two.txt').write_text('3\n0\n')
    before = sorted(tmp_path.iterdir())
    run(*words, status=status)
    captured = capsys.readouterr()
    assert match in captured.err
    aside = ('warning: EXPTIME', 'left out: ')
    assert len([line for line in captured.err.splitlines() if not any(word in line for word in aside)]) == 1
    assert captured.out == ''
    assert sorted(tmp_path.iterdir()) == before


def test_a_bad_file_refuses_the_whole_stack_unless_told_otherwise(frames, capsys):
    whole = Path('f.3.fit').read_bytes()
    Path('f.3.fit').write_bytes(whole[:2900])
    run('f.?.fit', '-m', 'mean', '-o', 'out.fit', status=1)
    assert 'f.3.fit: the data are cut off' in capsys.readouterr().err
    run('f.?.fit', '-m', 'mean', '-o', 'out.fit', '--skip-bad')
    captured = capsys.readouterr()
    assert 'left out: f.3.fit' in captured.err
    close('out.fit', np.delete(frames.astype('f8'), 2, axis=0).mean(0))
    header = fits.getheader('out.fit')
    assert (header['NCOMBINE'], header['NSKIPPED']) == (N - 1, 1)
    assert 'left out: f.3.fit' in str(header['HISTORY'])


def test_a_file_that_turns_out_bad_while_it_is_read(frames, capsys):
    packed = gzip.compress(Path('f.2.fit').read_bytes())
    Path('f.2.fit').write_bytes(packed[:-40])
    run('f.?.fit', '-m', 'mean', '-o', 'out.fit', status=1)
    assert 'f.2.fit' in capsys.readouterr().err
    run('f.?.fit', '-m', 'mean', '-o', 'out.fit', '--skip-bad')
    close('out.fit', np.delete(frames.astype('f8'), 1, axis=0).mean(0))


def test_a_sum_beyond_float32(tmp_path, monkeypatch, make_image):
    monkeypatch.chdir(tmp_path)
    make_image('big.fit', np.full((2, 3), 3e38, 'f4'))
    run('big.fit', 'big.fit', '-m', 'sum', '-o', 'out.fit')
    found = fits.getdata('out.fit')
    assert found.dtype == '>f8'
    np.testing.assert_allclose(found, 6e38, rtol=1e-6)


@pytest.mark.parametrize(
    'cards',
    [
        {'EXPTIME': 1e300},
        {'EXPTIME': 1e308},
        {'EXPTIME': 1e9, 'DATE__OBS': '9999-12-31'},
        {'DATE__OBS': '9999-12-31T23:59:59.9999'},
    ],
)
def test_times_that_no_calendar_holds(tmp_path, monkeypatch, make_image, cards):
    monkeypatch.chdir(tmp_path)
    make_image('t.fit', np.ones((2, 3), 'f4'), **{'DATE__OBS': '2021-02-27', **cards})
    run('t.fit', 't.fit', '-m', 'sum', '-o', 'out.fit')
    np.testing.assert_array_equal(fits.getdata('out.fit'), np.full((2, 3), 2))


def test_frames_that_do_not_belong_together_are_a_warning(frames, make_image, capsys):
    make_image('blue.fit', frames[0], FILTER='B', EXPTIME=10.0)
    run('f.1.fit', 'blue.fit', '-o', 'out.fit')
    assert 'warning: FILTER differs: R in f.1.fit, B in blue.fit' in capsys.readouterr().err


def test_existing_outputs(frames, capsys):
    run('f.?.fit', '-o', 'out.fit')
    before = Path('out.fit').read_bytes()
    run('f.?.fit', '-m', 'max', '-o', 'out.fit', status=1)
    run('f.?.fit', '-m', 'max', '-o', 'out.fit', '--skip-existing')
    assert Path('out.fit').read_bytes() == before
    run('f.?.fit', '-m', 'max', '-o', 'out.fit', '--force')
    close('out.fit', frames.max(0))


def test_a_dry_run_checks_and_writes_nothing(frames, tmp_path, capsys):
    run('f.?.fit', '-o', 'out', '--dry-run')
    assert capsys.readouterr().out == 'out.fits\n'
    assert not (tmp_path / 'out.fits').exists()


@pytest.mark.parametrize(('folder', 'pattern'), [('nickel_pluto/biases', '*.fits'), ('sbu_stl1001e', 'bias*.FIT')])
@pytest.mark.parametrize('method', ['mean', 'median'])
def test_real_bias_frames(data, tmp_path, folder, pattern, method):
    run(data / folder / pattern, '-m', method, '-o', tmp_path / 'bias.fits')
    cube = np.stack([fits.getdata(path) for path in sorted((data / folder).glob(pattern))])
    close(tmp_path / 'bias.fits', getattr(np, method)(cube.astype('f8'), axis=0))


def test_the_help_names_every_option_and_map():
    """What a user may choose from is what the numbers know."""
    options = {action.dest: action for action in combine_fits.build_parser()._actions}
    assert set(options['method'].choices) == set(combining.METHODS)
    assert set(options['clip'].choices) == set(rejection.CLIPS)
    assert options['maps'].help.split(': ')[1].split(', ') == [*combining.MAPS, 'mask', 'inputs', 'or all']


EVERYTHING = [
    *('-m', 'mean', '-c', 'mad', '-d', '90,80', '--keep', '2', '--grow', '1.5'),
    *('--reject-below', '100', '--reject-above', '59000', '-n', 'EXPTIME', '-z', 'median', '--norm-to', '7'),
    *('-w', 'GOOD', '--mask', 'bad.fit', '--offsets', 'o.txt', '-u'),
    *('--uncertainty', '--maps', 'count,exptime,inputs', '--min-corr', '-0.9', '--skip-bad'),
]
NAMED = [f'f.{number}.fit' for number in range(1, N + 1)]


@pytest.fixture
def everything(frames, make_image):
    """A stack by all options at once, of frames of which one can not be read; its header."""
    bad = np.zeros((NY, NX), 'u1')
    bad[2, 4:6] = 1
    make_image('bad.fit', bad)
    Path('o.txt').write_text(''.join(f'{NAMED[number]} {number % 2} 0\n' for number in range(N - 1)))
    for number, frame in enumerate(frames, 1):
        make_image(
            f'f.{number}.fit', frame, EXPTIME=10.0 * number, GOOD=number, DATE__OBS=f'2021-02-27T04:00:0{number}'
        )
    whole = Path('f.7.fit').read_bytes()
    Path('f.7.fit').write_bytes(whole[:-2881])
    run('f.?.fit', *EVERYTHING, '-o', 'all.fit')
    return fits.getheader('all.fit')


def test_the_header_says_all_that_was_done(everything, capsys):
    header = everything
    assert header['CMBCLIP'] == 'mad 90,80 keep 2 grow 1.5 below 100 above 59000'
    keys = ('CMBMETH', 'CMBSCALE', 'CMBZERO', 'CMBWGT', 'CMBMASK', 'CMBLEVEL', 'NCOMBINE', 'NSKIPPED')
    assert [header[key] for key in keys] == ['mean', 'EXPTIME', 'median', 'GOOD', 'bad.fit', 7, 6, 1]
    assert [header[f'IMCMB00{number}'] for number in range(1, 7)] == NAMED[:6]
    assert [header[f'IMSCL00{number}'] for number in range(1, 7)] == pytest.approx([0.7 / n for n in range(1, 7)])
    assert [header[f'IMWGT00{number}'] for number in range(1, 7)] == [1, 2, 3, 4, 5, 6]
    assert (header['IMZER001'], header['EXPTIME'], header['DATE-END']) == (0, 7, '2021-02-27T04:01:06.000')
    assert not [key for key in header if key.startswith('IM') and key.endswith('007')]
    assert header['CMBUNIT'] > 0
    assert header['NREJECT'] >= 0
    text = str(header['HISTORY']).replace('\n', '').replace(' ', '')  # lines go on in the next card
    words = ('mean of 6 images', 'left out: f.7.fit', 'level shifted by median', 'laid out by o.txt', '006 f.6.fit')
    assert [word for word in words if word.replace(' ', '') not in text] == []
    assert [header[f'IMOFX00{number}'] for number in range(1, 7)] == [0, 1, 0, 1, 0, 1]
    assert header['IMOFY003'] == 0


def test_a_plain_stack_of_stacks_keeps_none_of_that(everything):
    run('all.fit', 'all.fit', '-m', 'max', '-o', 'b.fit')
    header = fits.getheader('b.fit')
    ours = ('NCOMBINE', 'NREJ', 'NSKIPPED', 'NUNLIKE', 'CMB', 'IMCMB', 'IMSCL', 'IMZER', 'IMWGT')
    left = {key for key in header if key.startswith(ours)}
    assert np.isnan(fits.getdata('b.fit')).any()
    assert left == {'NCOMBINE', 'CMBMETH', 'CMBCLIP', 'CMBSCALE', 'IMCMB001', 'IMCMB002', 'NREJALL'}
    assert header['CMBCLIP'] == header['CMBSCALE'] == 'none'
    with fits.open('b.fit') as hdus:
        assert len(hdus) == 1


def test_a_stack_of_stacks_spans_its_parts(frames):
    run('f.5.fit', 'f.2.fit', '-o', 'a.fit')
    run('f.6.fit', 'f.3.fit', '-o', 'b.fit')
    run('a.fit', 'b.fit', '-o', 'c.fit')
    parts, header = [fits.getheader(path) for path in ('a.fit', 'b.fit')], fits.getheader('c.fit')
    assert header['DATE-BEG'] == min(part['DATE-BEG'] for part in parts)
    assert header['DATE-END'] == max(part['DATE-END'] for part in parts)


@pytest.mark.parametrize(('words', 'status', 'told'), [
    ([], 0, False),
    (['-c', 'sigma'], 0, True),
    (['-c', 'sigma', '-d', '2.449'], 0, False),
    (['-c', 'sigma', '-d', '2.45'], 0, True),
    (['-c', 'sigma', '-d', '5,2'], 0, False),
    (['-c', 'mad'], 0, False),
    (['-c', 'winsor'], 0, False),
])  # fmt: skip
def test_a_sigma_clip_that_can_do_nothing_says_so(frames, capsys, words, status, told):
    """Of seven values one lies at most sqrt(6) = 2.4495 sigmas away."""
    run('f.?.fit', *words, '-o', 'out.fit', status=status)
    assert ('-c mad' in capsys.readouterr().err) == told


def test_eleven_images_can_be_clipped_at_three_sigma(tmp_path, monkeypatch, make_image, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(11):
        make_image(f's.{number:02d}.fit', np.full((2, 3), 9000 if number == 4 else 50, 'u2'))
    for count, wanted in ((10, (9000 + 9 * 50) / 10), (11, 50)):
        names = [f's.{number:02d}.fit' for number in range(count)]
        run(*names, '-m', 'mean', '-c', 'sigma', '-o', 'out.fit', '-f')
        assert ('can not reject anything' in capsys.readouterr().err) == (count == 10)
        assert (fits.getdata('out.fit') == wanted).all()


# --- images that are left out ----------------------------------------------------------------------------------------


@pytest.fixture
def alike(tmp_path, monkeypatch, make_image):
    """Images s.1.fit ... of one scene at different levels; the third is of another, the fifth has no structure."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    scene = rng.uniform(100, 900, (NY, NX))
    cube = np.stack([scene * (number + 1) + rng.normal(0, 5, scene.shape) for number in range(N)])
    cube[2], cube[4] = rng.uniform(100, 900, scene.shape), 500
    cube = cube.astype('f4')
    for number, image in enumerate(cube, 1):
        make_image(f's.{number}.fit', image, EXPTIME=1.0 * number, DATE__OBS=f'2021-02-27T04:00:0{number}')
    return cube


LEFT = [0, 1, 3, 5, 6]


@pytest.mark.parametrize('words', [[], ['-n', 'mean'], ['-j', '2', '--memory', '5k']])
def test_images_that_do_not_look_like_the_median_are_left_out(alike, capsys, words):
    run('s.?.fit', '-m', 'mean', '--min-corr', '0.8', *words, '-o', 'out.fit')
    found, captured = alike[LEFT].astype('f8'), capsys.readouterr()
    if '-n' in words:
        levels = found.mean(axis=(1, 2))
        found *= (levels[0] / levels)[:, None, None]
    close('out.fit', found.mean(axis=0))
    told = [line for line in captured.err.splitlines() if 'left out' in line]
    assert ['s.3.fit' in told[0], 's.5.fit' in told[1], len(told), captured.out] == [True, True, 2, 'out.fit\n']
    header = fits.getheader('out.fit')
    assert (header['NUNLIKE'], header['NCOMBINE'], header['EXPTIME']) == (2, 5, 4)
    assert header['IMCMB003'] == 's.4.fit'
    assert all(f'left out: {name}: correlation' in str(header['HISTORY']) for name in ('s.3.fit', 's.5.fit'))


def test_a_low_bar_leaves_all_in(alike, capsys):
    run('s.1.fit', 's.2.fit', 's.3.fit', '--min-corr', '-1', '-o', 'out.fit')
    assert 'left out' not in capsys.readouterr().err
    assert 'NUNLIKE' not in fits.getheader('out.fit')
    close('out.fit', np.median(alike[:3], axis=0))


@pytest.mark.parametrize('fault', ['unlike', 'cut off', 'bad data'])
@pytest.mark.parametrize('words', [
    ['-w', '@w.txt'],
    ['-w', '@named.txt'],
    ['-n', '@w.txt'],
    ['--mask', 'm.?.fit'],
    ['-n', 'mean', '--norm-mask', 'm.?.fit'],
    ['--offsets', 'o.txt'],
])  # fmt: skip
def test_what_is_left_keeps_its_own_numbers_and_masks(alike, make_image, words, fault):
    """As if the others had never been named, each with what is its own."""
    rng = np.random.default_rng(5)
    scene = np.broadcast_to(rng.uniform(100, 900, (NY, 1)), (NY, NX))  # of rows: it stays alike when it is moved
    for number in range(1, N + 1):
        make_image(f's.{number}.fit', (alike[2] if number == 3 else scene) + rng.normal(0, 5, scene.shape))
        make_image(f'm.{number}.fit', (rng.uniform(size=(NY, NX)) < 0.1).astype('u1'))
    lines = {'w.txt': '{n}', 'named.txt': 's.{n}.fit {n}', 'o.txt': '{odd} 0'}
    for path, line in lines.items():
        for name, numbers in ((path, range(1, N + 1)), (f'left.{path}', (1, 2, 4, 5, 6, 7))):
            Path(name).write_text(''.join(line.format(n=number, odd=number % 2) + '\n' for number in numbers))
    whole = Path('s.3.fit').read_bytes()
    if fault == 'cut off':
        Path('s.3.fit').write_bytes(whole[:2900])
    elif fault == 'bad data':
        Path('s.3.fit').write_bytes(gzip.compress(whole)[:-40])
    asked = ['--min-corr', '0.3'] if fault == 'unlike' else ['--skip-bad']
    run('s.?.fit', '-m', 'mean', *words, *asked, '-q', '-o', 'out.fit')
    renamed = [
        word.replace('@', '@left.').replace('o.txt', 'left.o.txt').replace('m.?', 'm.[124567]') for word in words
    ]
    run('s.[124567].fit', '-m', 'mean', *renamed, '-q', '-o', 'wanted.fit')
    np.testing.assert_array_equal(fits.getdata('out.fit'), fits.getdata('wanted.fit'))


def spoil_gzip(path):
    Path(path).write_bytes(gzip.compress(Path(path).read_bytes())[:-40])


def spoil_tiles(path):
    """Tiles whose compressed bytes are noise; the headers stay as they are."""
    image = np.random.default_rng(0).integers(0, 60000, (NY, NX)).astype('u2')
    fits.CompImageHDU(image, fits.getheader(path), compression_type='GZIP_1').writeto(path, overwrite=True)
    whole = bytearray(Path(path).read_bytes())
    start = whole.index(b'\x1f\x8b')
    whole[start + 10 : start + 40] = bytes(range(200, 230))
    Path(path).write_bytes(whole)


def spoil_sum(path):
    with fits.open(path) as hdus:
        hdus.writeto(path, overwrite=True, checksum=True)
    whole = bytearray(Path(path).read_bytes())
    whole[-2880] ^= 1
    Path(path).write_bytes(whole)


@pytest.mark.parametrize('spoil', [spoil_gzip, spoil_tiles, spoil_sum])
def test_files_that_are_bad_in_their_data_only(frames, capsys, spoil):
    spoil('f.3.fit')
    words = ['f.?.fit', '-m', 'mean', '-c', 'minmax', '-n', 'median', '--checksum', 'error']
    run(*words, '-o', 'out.fit', status=1)
    captured = capsys.readouterr()
    assert 'f.3.fit: ' in captured.err.splitlines()[-1]
    assert not Path('out.fit').exists()
    run(*words, '-o', 'out.fit', '--skip-bad')
    assert 'left out: f.3.fit: ' in capsys.readouterr().err
    run(*words, '-o', 'out.fit', '--skip-bad', '-j', '3', '--memory', '9k', '-f')
    found = np.delete(frames.astype('f8'), 2, axis=0)
    levels = np.median(found, axis=(1, 2))
    found *= (levels[0] / levels)[:, None, None]
    close('out.fit', np.sort(found, axis=0)[1:-1].mean(axis=0))
    header = fits.getheader('out.fit')
    assert (header['NCOMBINE'], header['NSKIPPED'], header['IMCMB003']) == (N - 1, 1, 'f.4.fit')


def test_a_wrong_sum_is_a_warning(frames, capsys):
    spoil_sum('f.3.fit')
    run('f.?.fit', '-m', 'mean', '-o', 'out.fit')
    assert 'warning' in (told := capsys.readouterr().err)
    assert 'f.3.fit' in told
    assert fits.getheader('out.fit')['NCOMBINE'] == N


def test_nothing_but_bad_files(frames, capsys):
    for number in range(1, N + 1):
        spoil_gzip(f'f.{number}.fit')
    run('f.?.fit', '--skip-bad', '-o', 'out.fit', status=1)
    assert not Path('out.fit').exists()


# --- outputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('pack', ['gz', 'fz'])
def test_packed_outputs_hold_all_extensions(frames, pack):
    words = ['f.?.fit', '-m', 'mean', '-c', 'mad', '--maps', 'count,sigma,exptime,inputs', '--uncertainty']
    run(*words, '-o', 'plain.fits')
    run(*words, '-o', 'packed.fits', '--compress', pack)
    path, extra = f'packed.fits.{pack}', int(pack == 'fz')
    with fits.open('plain.fits') as plain, fits.open(path) as packed:
        assert len(packed) - extra == len(plain) == 7
        for number, hdu in enumerate(plain):
            twin = packed[number + extra] if extra else packed[number]
            np.testing.assert_array_equal(twin.data, hdu.data)
            assert number == 0 or twin.name == hdu.name


def test_a_type_is_that_of_the_image_alone(frames):
    run('f.?.fit', '-m', 'mean', '--dtype', 'uint16', '--maps', 'sigma', '--uncertainty', '-o', 'out.fit')
    with fits.open('out.fit') as hdus:
        assert [hdu.data.dtype.name for hdu in hdus] == ['uint16', 'float32', 'float32', 'uint8']
        np.testing.assert_allclose(hdus[0].data, frames.mean(axis=0), atol=0.5000001)


def test_scaled_by_exposure_there_is_no_warning_of_exposures(frames, capsys):
    run('f.?.fit', '-m', 'mean', '-n', 'EXPTIME', '-o', 'out.fit')
    assert capsys.readouterr().err == ''


def test_progress_is_told_when_asked_for(frames, capsys):
    run('f.?.fit', '-n', 'mean', '-o', 'out.fit', '--progress', 'always')
    told = capsys.readouterr().err
    assert ('levels' in told, 'rows' in told) == (True, True)


def with_uncertainties(names, shape):
    rng = np.random.default_rng(9)
    pixels, sigmas = rng.uniform(90, 110, (len(names), *shape)), rng.uniform(1, 4, (len(names), *shape))
    for name, image, sigma in zip(names, pixels, sigmas, strict=True):
        fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(sigma, name='UNCERT')]).writeto(name)
    return pixels, sigmas


@pytest.mark.parametrize(('method', 'factor'), [('mean', 1 / 5), ('sum', 1), ('median', 1.2533 / 5)])
def test_uncertainties_of_all_inputs_are_carried_on(tmp_path, monkeypatch, method, factor):
    monkeypatch.chdir(tmp_path)
    names = [f'u{number}.fits' for number in range(5)]
    pixels, sigmas = with_uncertainties(names, (7, 11))
    run('u?.fits', '-m', method, '-o', 'c.fits', '--memory', '6k')
    found = CCDData.read('c.fits')
    np.testing.assert_allclose(found.uncertainty.array, np.sqrt((sigmas**2).sum(axis=0)) * factor, rtol=1e-6)
    assert found.header['CMBUNC'] == 'inputs'
    run('u?.fits', '-m', method, '-o', 's.fits', '--uncertainty')
    scatter = pixels.std(axis=0, ddof=1) * np.sqrt(5) * factor
    np.testing.assert_allclose(fits.getdata('s.fits', 'UNCERT'), scatter, rtol=1e-5)
    assert fits.getheader('s.fits')['CMBUNC'] == 'scatter'


def test_an_uncertainty_below_0_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('u0.fits', 'u1.fits'):
        sigma = np.array([[1.0, -1.0, np.nan, 2.0]])
        fits.HDUList([fits.PrimaryHDU(np.ones((1, 4))), fits.ImageHDU(sigma, name='UNCERT')]).writeto(name)
    run('u?.fits', '-m', 'mean', '-q', '-o', 'c.fits')
    np.testing.assert_allclose(fits.getdata('c.fits', 'UNCERT'), [[np.sqrt(0.5), np.nan, np.nan, np.sqrt(2)]])


def test_uncertainties_of_some_inputs_only_are_not(tmp_path, monkeypatch, make_image, capsys):
    monkeypatch.chdir(tmp_path)
    with_uncertainties(['u0.fits', 'u1.fits'], (7, 11))
    make_image('u2.fits', np.ones((7, 11)))
    run('u?.fits', '-o', 'c.fits')
    assert 'warning: uncertainties are not carried on: u2.fits: there is no extension' in capsys.readouterr().err
    assert len(fits.info('c.fits', output=False)) == 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('dates', [[], ['DATE-BEG= 1.5', "DATE-AVG= 'soon'"]])
def test_a_stack_of_another_program_s_stacks_has_no_moments_of_its_own(folder, dates, raw_image):
    raw_image('a.fits', 'NCOMBINE= 5', "DATE-OBS= '2021-02-27T04:12:33'", 'EXPTIME = 10.0', *dates[:1])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FileWarning)
        run('a.fits', 'a.fits', '-q', '-o', 'out.fits')
    assert fits.getheader('out.fits')['DATE-END'] == '2021-02-27T04:12:43.000'


@pytest.mark.parametrize('cards', [['NCOMBINE= 5', 'NCOMBINE= 6'], ["IMCMB001= 'x'", "IMCMB001= 'y'"]])
@pytest.mark.parametrize('packed', [False, True])
def test_cards_of_former_stacks_that_stand_there_twice(folder, cards, packed, raw_image):
    raw_image('a.fits', *cards)
    raw_image('b.fits')
    if packed:
        Path('a.fits').write_bytes(gzip.compress(Path('a.fits').read_bytes()))
    run('a.fits', 'b.fits', '-q', '-o', 'out.fits')
    header = fits.getheader('out.fits')
    assert (header.count('NCOMBINE'), header['NCOMBINE'], header.count('IMCMB001')) == (1, 2, 1)


def test_a_coordinate_that_can_not_stand_in_a_header_is_not_in_the_maps(folder, capsys, raw_image):
    raw_image('a.fits', "CTYPE1  = 'RA\x1b'", "CTYPE2  = 'DEC--TAN'")
    run('a.fits', 'a.fits', '--uncertainty', '-q', '-o', 'out.fits')
    assert 'repaired or left out: CTYPE1' in capsys.readouterr().err
    header = fits.getheader('out.fits', 'UNCERT')
    assert ('CTYPE1' in header, header['CTYPE2']) == (False, 'DEC--TAN')


def test_exposure_maps_are_the_same_in_bands_of_any_height(folder):
    rng = np.random.default_rng(21)
    for number in range(30):
        image = rng.normal(100, 5, (61, 83)).astype('f4')
        image[rng.random(image.shape) < 0.03] = np.nan
        fits.PrimaryHDU(image, fits.Header({'EXPTIME': float(rng.uniform(30, 60))})).writeto(f'f{number:02d}.fits')
    maps = []
    for memory in ('150k', '1M', '50M'):
        run('f*.fits', '--maps', 'exptime', '--memory', memory, '-q', '-f', '-o', 'out.fits')
        maps.append(fits.getdata('out.fits', 'EXPTIME').tobytes())
    assert len(set(maps)) == 1


@pytest.mark.parametrize('card', ["BUNIT   = '        '", "BUNIT   = 'adu'", 'BUNIT   =1', 'BUNIT   = 1.50'])
def test_a_plain_frame_and_its_packed_twin_give_the_same_cards(folder, monkeypatch, card, raw_image):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1700000000')
    raw_image('a.fits', card)
    plain = Path('a.fits').read_bytes()
    found = []
    for content in (plain, gzip.compress(plain)):
        Path('a.fits').write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            run('a.fits', 'a.fits', '-u', '-q', '-f', '-o', 'out.fits')
        found.append(Path('out.fits').read_bytes())
    assert found[0] == found[1]


class TestCheck:
    """A stack of flats at levels 100, 200 ... of which the right half sees no light."""

    @pytest.fixture
    def flats(self, frames, make_image):
        rng = np.random.default_rng(12)
        shape = 1 + rng.normal(0, 0.01, (NY, NX))
        shape[:, 6:] = 0.001
        make_image('unlit.fit', np.broadcast_to(np.arange(NX) >= 6, (NY, NX)).astype('u1'))
        cube = shape * 100.0 * np.arange(1, N + 1)[:, None, None]
        for number, frame in enumerate(cube, 1):
            make_image(f'f.{number}.fit', frame.astype('f4'), IMAGETYP='flat', FILTER='R', EXPTIME=5.0)
        return cube

    def test_a_result_that_holds(self, flats, capsys):
        words = ['-n', 'median', '--norm-to', '1', '--norm-mask', 'unlit.fit']
        run('f.?.fit', *words, '--check', f'n == {N} and 90 < level < 710 and std < 0.015', '-o', 'out.fit')
        assert capsys.readouterr() == ('out.fit\n', '')
        assert fits.getval('out.fit', 'CMBCHECK') is True

    def test_a_result_that_fails_is_written_and_marked(self, flats, capsys):
        words = ['f.?.fit', '-n', 'median', '--norm-to', '1', '--norm-mask', 'unlit.fit']
        run(*words, '-o', 'plain.fit')
        capsys.readouterr()
        run(*words, '--check', 'n >= 8', '--check', '250 < level and std < 0.015', '-o', 'out.fit', status=3)
        out, err = capsys.readouterr()
        assert out == 'out.fit\n'
        levels = np.median(flats[:2, :, :6], axis=(1, 2))
        named = ', '.join(f'{level:.6g} in f.{number}.fit' for number, level in enumerate(levels.astype('f4'), 1))
        assert err == f'combine_fits: out.fit: --check: N >= 8: N is {N}; 250 < LEVEL: LEVEL is {named}\n'
        header = fits.getheader('out.fit')
        assert header['CMBCHECK'] is False
        assert sum('check failed' in line for line in header['HISTORY']) == 2
        np.testing.assert_array_equal(fits.getdata('out.fit'), fits.getdata('plain.fit'))

    @pytest.mark.parametrize(
        ('words', 'part'),
        [
            ([], np.s_[:]),
            (['--section', '[2:5,2:4]'], np.s_[1:4, 1:5]),
            (['--norm-mask', 'unlit.fit'], np.s_[:, :6]),
        ],
    )
    def test_statistics_are_those_of_the_result_where_levels_are_measured(self, flats, capsys, words, part):
        wanted = np.median(flats, axis=0)[part]
        run('f.?.fit', *words, '--check', 'std < 0 and mean < 0 and max < 0', '-o', 'out.fit', status=3)
        found = dict(
            pair.split(' is ') for pair in re.findall(r'(?:std|mean|max) is [\d.e+]+', capsys.readouterr().err)
        )
        for name, value in (('std', wanted.std()), ('mean', wanted.mean()), ('max', wanted.max())):
            assert float(found[name]) == pytest.approx(value, rel=1e-5)

    def test_levels_are_those_before_scaling_by_the_statistic_of_the_scaling(self, flats, capsys):
        for words, statistic in ((['-n', 'median'], np.median), (['-z', 'median'], np.median), ([], np.mean)):
            run('f.?.fit', *words, '--check', 'level < 0', '-o', 'out.fit', '-f', status=3)
            found = [float(text) for text in re.findall(r'(?:is|,) ([\d.]+) in f', capsys.readouterr().err)]
            np.testing.assert_allclose(found, statistic(flats, axis=(1, 2))[:3], rtol=1e-4)

    def test_masks_of_images_that_are_laid_out(self, frames, make_image, capsys):
        for number in (1, 2):
            make_image(f'f.{number}.fit', np.full((NY, NX), 5.0 * number, 'f4'))
            make_image(f'm.{number}.fit', np.eye(NY, NX, k=number).astype('u1'))
        Path('places').write_text('0 0\n2 1\n')
        run('f.1.fit,f.2.fit', '-m', 'sum', '--offsets', 'places', '--norm-mask', 'm.1.fit,m.2.fit',
            '--check', 'num < 0', '-o', 'out.fit', status=3)  # fmt: skip
        left_out = np.zeros((NY + 1, NX + 2), bool)
        for dy, dx, k in ((0, 0, 1), (1, 2, 2)):
            left_out[dy : dy + NY, dx : dx + NX] |= np.eye(NY, NX, k=k, dtype=bool)
        covered = np.isfinite(fits.getdata('out.fit'))
        assert f'num is {(covered & ~left_out).sum()}' in capsys.readouterr().err

    def test_planes(self, frames, make_image, capsys):
        make_image('c.fit', frames)
        run('c.fit', '-r', '--check', f'n == {N} and num == {NY * NX}', '-o', 'out.fit')
        assert fits.getval('out.fit', 'CMBCHECK') is True

    def test_wrong_conditions_come_first(self, frames, capsys):
        run('f.?.fit', '--check', 'std <', '-o', 'out.fit', status=2)
        assert not Path('out.fit').exists()
        first, text, caret = capsys.readouterr().err.splitlines()
        assert first.startswith('combine_fits: expression: ')
        assert (text, caret) == ('  std <', '       ^')

    def test_an_old_mark_goes(self, flats):
        run('f.?.fit', '--check', 'n > 9', '-o', 'a.fit', status=3)
        run('a.fit', '-o', 'b.fit')
        assert 'CMBCHECK' not in fits.getheader('b.fit')


class TestFlatsWithoutLight:
    @pytest.fixture
    def flats(self, frames, make_image):
        cube = np.random.default_rng(13).normal(1000, 9, (N, NY, NX)).astype('f4')
        cube[3] -= 1010
        for number, frame in enumerate(cube, 1):
            make_image(f'f.{number}.fit', frame, IMAGETYP='Dome Flat', FILTER='R', EXPTIME=5.0)
        return cube

    @pytest.mark.parametrize(
        'words',
        [[], ['-m', 'sum'], ['-n', 'EXPTIME'], ['-z', 'median'], ['-n', 'mean'], ['-n', 'median'], ['-n', '@levels'],
         ['-m', 'mean', '-w', 'EXPTIME']],
    )  # fmt: skip
    def test_are_never_stacked(self, flats, capsys, words):
        Path('levels').write_text('1000\n' * N)
        run('f.?.fit', *words, '-o', 'out.fit', status=1)
        out, err = capsys.readouterr()
        assert out == ''
        assert re.search(r'^combine_fits: f\.4\.fit: its (mean|median) is -\d', err, re.MULTILINE)
        assert not Path('out.fit').exists()

    def test_are_left_out_where_that_is_asked_for(self, flats, capsys):
        run('f.?.fit', '--skip-bad', '-o', 'out.fit')
        assert 'left out: f.4.fit: its mean is -' in capsys.readouterr().err
        close('out.fit', np.median(np.delete(flats, 3, axis=0), axis=0))
        header = fits.getheader('out.fit')
        assert (header['NCOMBINE'], header['NSKIPPED']) == (N - 1, 1)
        assert 'left out: f.4.fit: its mean is -' in str(header['HISTORY'])

    def test_the_level_is_that_of_the_section(self, frames, make_image, capsys):
        pixels = np.full((NY, NX), -50.0, 'f4')
        pixels[1:3, 2:5] = 100
        make_image('f.1.fit', pixels, IMAGETYP='flat')
        run('f.1.fit', '-o', 'out.fit', status=1)
        run('f.1.fit', '--section', '[3:5,2:3]', '--check', 'level == 100', '-o', 'out.fit')

    def test_other_frames_may_be_negative(self, flats, make_image):
        for number, frame in enumerate(flats, 1):
            make_image(f'f.{number}.fit', frame, IMAGETYP='flat dark')
        run('f.?.fit', '-o', 'out.fit')
        close('out.fit', np.median(flats, axis=0))
