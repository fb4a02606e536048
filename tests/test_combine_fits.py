"""combine_fits: every method against numpy, headers, refusals, bands and bad files."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import combine_fits
from fitsutils.pixels import combining

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
        (['f.?.fit', '-o', 'o.fit', '--section', '[1:99,1:2]'], 1, 'goes beyond the image'),
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
    ],
)
def test_refusals_leave_nothing_behind(frames, make_image, tmp_path, capsys, words, status, match):
    make_image('small.fit', np.ones((2, 3), 'f4'))
    make_image('float.fit', np.ones((NY, NX), 'f4'))
    make_image('dark.fit', np.zeros((NY, NX), 'u2'), FILTER='R')
    before = sorted(tmp_path.iterdir())
    run(*words, status=status)
    captured = capsys.readouterr()
    assert match in captured.err
    assert len([line for line in captured.err.splitlines() if 'warning: EXPTIME' not in line]) == 1
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
