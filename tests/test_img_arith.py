"""img_arith: words, operands, names, headers and refusals."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from fitsutils.commands import combine_fits, img_arith, img_stats
from fitsutils.errors import UsageError

NY, NX = 6, 9


@pytest.fixture
def night(tmp_path, monkeypatch, make_image):
    """Three images, a bias and a flat in the current folder; the images' pixels by name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    frames = {}
    for number in (1, 2, 3):
        name = f'night.000{number}.fit'
        frames[name] = rng.integers(0, 60000, (NY, NX)).astype('u2')
        make_image(name, frames[name], EXPTIME=10.0 * number, CRPIX1=4.0, CRPIX2=2.0, FILTER='R')
    frames['bias.fit'] = rng.integers(900, 1100, (NY, NX)).astype('u2')
    frames['flat.fit'] = rng.uniform(0.5, 1.5, (NY, NX)).astype('f4')
    make_image('bias.fit', frames['bias.fit'])
    make_image('flat.fit', frames['flat.fit'], FILTER='R')
    return frames


def run(*words, status=0):
    assert img_arith.main([str(word) for word in words]) == status


@pytest.mark.parametrize(
    ('words', 'wanted'),
    [
        (['a', '-', 'b'], (['a'], '-', ['b'])),
        (['a', '-', '-5'], (['a'], '-', ['-5'])),
        (['a', 'b', '-', 'c', 'd'], (['a', 'b'], '-', ['c', 'd'])),
        (['x', 'x', '2'], (['x'], 'x', ['2'])),
        (['-', '-', '-'], (['-'], '-', ['-'])),
        (['min', 'min', 'max'], (['min'], 'min', ['max'])),
        (['a', 'max', '1e3'], (['a'], 'max', ['1e3'])),
        (['a', '=', '0'], (['a'], '=', ['0'])),
        (['a', '/', 'key=EXPTIME'], (['a'], '/', ['key=EXPTIME'])),
        (['a', '^', 'x'], (['a'], '^', ['x'])),
    ],
)
def test_split_words(words, wanted):
    assert img_arith.split_words(words) == wanted


@pytest.mark.parametrize('words', [[], ['a'], ['-', 'a'], ['a', '-'], ['a', 'b', 'c'], ['a', '%', '2']])
def test_words_that_are_no_operation(words):
    with pytest.raises(UsageError):
        img_arith.split_words(words)


@pytest.mark.parametrize(
    ('words', 'factor', 'offset'),
    [
        (['-', '-5'], 1, 5),
        (['-', '-1e-3'], 1, 1e-3),
        (['+', '-.5'], 1, -0.5),
        (['x', '-1E2'], -100, 0),
        (['-', '+3'], 1, -3),
        (['*', '0.25'], 0.25, 0),
        (['+', '0'], 1, 0),
    ],
)
@pytest.mark.parametrize('place', ['before', 'after', 'between'])
def test_numbers_anywhere_between_options(night, pixels_of, words, factor, offset, place):
    image, option = ['night.0001.fit'], ['-o', 'out.fit']
    line = {'before': option + image + words, 'after': image + words + option, 'between': image + option + words}[place]
    run(*line)
    np.testing.assert_allclose(pixels_of('out.fit'), night['night.0001.fit'] * float(factor) + offset, rtol=1e-7)


@pytest.mark.parametrize('number', ['-inf', 'inf', 'nan'])
def test_numbers_that_are_not_finite_are_numbers(night, pixels_of, number):
    run('night.0001.fit', '=', number, '-o', 'out.fit')
    np.testing.assert_array_equal(pixels_of('out.fit'), np.full((NY, NX), float(number)))


def test_globs_work_unquoted_on_both_sides(night, pixels_of, tmp_path, make_image):
    for number in (1, 2, 3):
        make_image(f'sky.{number}.fit', np.full((NY, NX), number, 'i2'))
    images, skies = sorted(tmp_path.glob('night*')), sorted(tmp_path.glob('sky*'))
    run(*images, '-', *skies, '-o', 'diff')
    for number, image in enumerate(images, 1):
        np.testing.assert_array_equal(pixels_of(f'diff.000{number}.fit'), night[image.name].astype('f8') - number)


@pytest.mark.parametrize('operator', ['+', '-', 'x', '/', 'min', 'max'])
def test_many_images_and_one_image(night, pixels_of, operator, capsys):
    run('night.000?.fit', operator, 'flat.fit', '-o', 'out')
    assert capsys.readouterr().out.split() == ['out.0001.fit', 'out.0002.fit', 'out.0003.fit']
    function = {'+': np.add, '-': np.subtract, 'x': np.multiply, '/': np.divide, 'min': np.minimum, 'max': np.maximum}[
        operator
    ]
    for number in (1, 2, 3):
        wanted = function(night[f'night.000{number}.fit'].astype('f8'), night['flat.fit'].astype('f8'))
        np.testing.assert_allclose(pixels_of(f'out.000{number}.fit'), wanted, rtol=2e-7)


def test_each_image_by_its_own_keyword(night, pixels_of):
    run('night.000[12].fit', '/', 'key=exptime', '-o', 'rate/')
    for number in (1, 2):
        name = f'night.000{number}.fit'
        np.testing.assert_allclose(pixels_of(f'rate/{name}'), night[name] / (10.0 * number), rtol=1e-7)


@pytest.mark.parametrize(
    ('options', 'names'),
    [
        ([], ['imar_night.0001.fit', 'imar_night.0002.fit']),
        (['-o', 'b'], ['b.0001.fit', 'b.0002.fit']),
        (['-o', 'one.fit, two.fit'], ['one.fit', 'two.fit']),
        (['--prefix', 'p_'], ['p_night.0001.fit', 'p_night.0002.fit']),
        (['-o', 'new/'], ['new/night.0001.fit', 'new/night.0002.fit']),
        (['-o', 'b', '--compress', 'gz'], ['b.0001.fit.gz', 'b.0002.fit.gz']),
    ],
)
def test_names_of_outputs(night, capsys, options, names):
    run('night.000[12].fit', '-', '1', *options)
    assert capsys.readouterr().out.split() == names


def test_regions_move_the_cards_that_speak_of_positions(night, pixels_of):
    run('night.0001.fit', '-', 'bias.fit', '-b', '2', '7', '1', '5', '-o', 'part.fit')
    wanted = (night['night.0001.fit'].astype('f8') - night['bias.fit'])[1:5, 2:7]
    np.testing.assert_array_equal(pixels_of('part.fit'), wanted)
    header = fits.getheader('part.fit')
    assert (header['CRPIX1'], header['CRPIX2'], header['LTV1'], header['LTV2']) == (2.0, 1.0, -2.0, -1.0)


@pytest.mark.parametrize('option', [['--section', '[3:7,2:5]'], ['-b', '2', '7', '1', '5']])
def test_an_operand_may_have_the_size_of_the_region(night, pixels_of, make_image, option):
    make_image('small.fit', np.full((4, 5), 3, 'f4'))
    run('night.0001.fit', '-', 'small.fit', *option, '-o', 'part.fit')
    np.testing.assert_array_equal(pixels_of('part.fit'), night['night.0001.fit'].astype('f8')[1:5, 2:7] - 3)


def test_a_plane_goes_with_every_plane_of_a_cube(night, pixels_of, make_image):
    cube = np.random.default_rng(1).integers(0, 100, (4, NY, NX)).astype('i2')
    make_image('cube.fit', cube)
    run('cube.fit', '-', 'bias.fit', '-o', 'all.fit')
    np.testing.assert_array_equal(pixels_of('all.fit'), cube.astype('f8') - night['bias.fit'])
    run('cube.fit', '-', 'bias.fit', '-B', '2', '5', '1', '3', '1', '1', '-o', 'part.fit')
    np.testing.assert_array_equal(pixels_of('part.fit'), (cube.astype('f8') - night['bias.fit'])[1, 1:3, 2:5])


def test_division_by_zero_is_counted_and_the_value_can_be_chosen(night, pixels_of, make_image, capsys):
    flat = np.ones((NY, NX), 'f4')
    flat[2, 3] = flat[0, 0] = 0
    make_image('holes.fit', flat)
    run('night.0001.fit', '/', 'holes.fit', '-o', 'out.fit')
    assert np.isnan(pixels_of('out.fit')[[2, 0], [3, 0]]).all()
    assert 'out.fit: 2 pixels have no value' in capsys.readouterr().err
    assert '2 pixels have no value' in str(fits.getheader('out.fit')['HISTORY'])
    run('night.0001.fit', '/', 'holes.fit', '--divzero', '-1', '-o', 'out2.fit')
    assert pixels_of('out2.fit')[2, 3] == -1
    run('night.0001.fit', '/', 'holes.fit', '--min-denominator', '0.5', '-o', 'out3.fit')
    assert pixels_of('out3.fit')[2, 3] == night['night.0001.fit'][2, 3] * 2.0
    run('night.0001.fit', '/', 'holes.fit', '--min-denominator', '0.5,1', '-o', 'out4.fit')
    assert pixels_of('out4.fit')[2, 3] == night['night.0001.fit'][2, 3]


def test_the_header_is_the_first_images_and_says_what_was_done(night):
    run('night.0002.fit', '-', 'bias.fit', '-o', 'out.fit', '--set', 'IMAGETYP=REDUCED')
    header = fits.getheader('out.fit')
    assert (header['EXPTIME'], header['FILTER'], header['IMAGETYP'], header['BITPIX']) == (20.0, 'R', 'REDUCED', -32)
    assert 'BZERO' not in header
    history = '\n'.join(header['HISTORY'])
    assert 'img_arith' in history
    assert 'night.0002.fit - bias.fit' in history


@pytest.mark.parametrize('flag', ['-s', '--dry-run'])
def test_a_dry_run_writes_nothing(night, tmp_path, capsys, flag):
    before = sorted(tmp_path.iterdir())
    run('night.000[12].fit', '-', 'bias.fit', '-o', 'out/', flag)
    captured = capsys.readouterr()
    assert captured.out.split() == ['out/night.0001.fit', 'out/night.0002.fit']
    assert 'night.0001.fit - bias.fit -> out/night.0001.fit' in captured.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ('words', 'status', 'match'),
    [
        (['night.0001.fit', '-', 'small.fit', '-o', 'o.fit'], 1, 'small.fit does not fit: 9 x 6 and 3 x 2 pixels'),
        (['night.000?.fit', '-', 'bias.fit', 'flat.fit', '-o', 'o'], 2, '3 images and 2 operands'),
        (['night.0001.fit', '-', 'nothing.fit', '-o', 'o.fit'], 1, 'nothing.fit'),
        (['night.0001.fit', '-', 'key=GAIN', '-o', 'o.fit'], 1, 'night.0001.fit: keyword GAIN is missing'),
        (['night.0001.fit', '-', 'key=FILTER', '-o', 'o.fit'], 1, 'is not a number'),
        (['night.0001.fit', '-', '1', '-b', '0', '99', '0', '2', '-o', 'o.fit'], 1, 'goes beyond the image'),
        (['night.0001.fit', '-', '1', '-b', '0', '9', '0', '2', '--section', '[1:2,1:2]'], 2, 'only one of'),
        (['night.0001.fit', '-', '1', '-o', 'night.0001.fit'], 1, 'is an input'),
        (['night.0001.fit', '+', 'nan', '-o', 'o.fit'], 2, 'would leave no pixel a value'),
        (['night.0001.fit', 'x', '1e400', '-o', 'o.fit'], 2, 'would leave no pixel a value'),
        (['night.000?.fit', '-', '1', '-o', '-'], 2, 'an image does not go to standard output'),
        (['night.000?.fit', '-', '1', '-o', 'o.fit'], 2, 'is one file for 3 images'),
        (['night.0001.fit', '/', '2', '--min-denominator', '1,2,3', '-o', 'o.fit'], 2, 'V or V,R'),
        (['night.0001.fit', 'x', '2', '--min-denominator', '1', '-o', 'o.fit'], 2, 'goes with /'),
        (['night.0001.fit', 'x', '2', '--dtype', 'uint16', '-o', 'o.fit'], 1, 'do not fit into uint16'),
        (['night.0001.fit', 'x', '2', '-o', 'missing/o.fit'], 1, 'folder missing does not exist'),
        (['night.0001.fit', 'x', '2', '--set', 'BITPIX=8', '-o', 'o.fit'], 2, 'describes the data'),
    ],
)
def test_refusals_come_before_any_output(night, make_image, tmp_path, capsys, words, status, match):
    make_image('small.fit', np.ones((2, 3), 'f4'))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    run(*words, status=status)
    captured = capsys.readouterr()
    assert match in captured.err
    assert captured.err.count('\n') == 1
    assert captured.out == ''
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_one_bad_file_does_not_stop_the_others(night, capsys):
    whole = Path('night.0002.fit').read_bytes()
    run('night.000?.fit', '-', '1', '-o', 'a')
    shutil.copy('night.0002.fit', 'keep')
    Path('night.0002.fit').write_bytes(whole[:2880] + whole[2880:2900])
    capsys.readouterr()
    run('night.000?.fit', '-', '1', '-o', 'b', status=1)
    assert 'night.0002.fit: the data are cut off' in capsys.readouterr().err


def test_force_replaces_an_input_by_way_of_a_temporary(night, pixels_of):
    run('night.0001.fit', '-', 'night.0001.fit', '-o', 'night.0001.fit', '--force')
    np.testing.assert_array_equal(pixels_of('night.0001.fit'), np.zeros((NY, NX)))


def test_skip_existing(night, capsys):
    run('night.0001.fit', '-', '1', '-o', 'x')
    capsys.readouterr()
    run('night.000?.fit', '-', '1', '-o', 'x', '--skip-existing')
    assert capsys.readouterr().out.split() == ['x.0002.fit', 'x.0003.fit']


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64'])
def test_dtype_chooses_the_type(night, dtype):
    run('night.0001.fit', '=', '200', '--dtype', dtype, '-o', 'out.fit')
    found = fits.getdata('out.fit')
    assert found.dtype.newbyteorder('=') == dtype
    np.testing.assert_array_equal(found, np.full((NY, NX), 200, dtype))


def test_a_flat_of_another_filter_is_a_warning(night, make_image, capsys):
    make_image('blue.fit', np.ones((NY, NX), 'f4'), FILTER='B')
    run('night.000?.fit', '/', 'blue.fit', '-o', 'f')
    err = capsys.readouterr().err
    assert 'warning: FILTER differs: B in blue.fit, R in night.0001.fit' in err
    assert err.count('\n') == 1


def test_commands_chain_through_a_pipe(night, capsys, monkeypatch):
    import io

    run('night.000?.fit', '-', 'bias.fit', '-o', 'b')
    written = capsys.readouterr().out
    monkeypatch.setattr('sys.stdin', io.TextIOWrapper(io.BytesIO(written.encode())))
    assert img_stats.main(['@-', '-s', 'num']) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == [str(NX * NY)] * 3


def test_a_device_is_no_root(night, capsys):
    run('night.0001.fit', '+', '1', '-o', '/dev/null')
    assert capsys.readouterr().out == '/dev/null\n'


def test_n_copies_combined_and_subtracted_leave_nothing(night, pixels_of):
    assert combine_fits.main(['night.0001.fit,night.0001.fit,night.0001.fit', '-m', 'mean', '-o', 'mean.fit']) == 0
    run('night.0001.fit', '-', 'mean.fit', '-o', 'zero.fit')
    np.testing.assert_array_equal(pixels_of('zero.fit'), np.zeros((NY, NX)))


def test_real_flats(data, tmp_path, pixels_of):
    folder = data / 'nickel_pluto'
    flat, bias = folder / 'flats' / 'd2057.fits', folder / 'biases' / 'd2051.fits'
    run(flat, '-', bias, '-o', tmp_path / 'b.fits')
    wanted = fits.getdata(flat).astype('f8') - fits.getdata(bias)
    np.testing.assert_array_equal(pixels_of(tmp_path / 'b.fits'), wanted)


def with_uncertainty(path, pixels, sigma, name='UNCERT', **cards):
    hdus = fits.HDUList([fits.PrimaryHDU(pixels), fits.ImageHDU(sigma, name=name)])
    hdus[1].header.update(cards)
    hdus.writeto(path, overwrite=True)


@pytest.mark.parametrize(
    ('name', 'cards', 'form'),
    [
        ('UNCERT', {'UTYPE': 'StdDevUncertainty'}, lambda sigma: sigma),
        ('UNCERT', {'UTYPE': 'VarianceUncertainty'}, lambda sigma: sigma**2),
        ('UNCERT', {}, lambda sigma: sigma),
        ('VAR', {}, lambda sigma: sigma**2),
        ('IVAR', {}, lambda sigma: sigma**-2),
    ],
)
def test_uncertainties_go_along(night, name, cards, form):
    rng = np.random.default_rng(6)
    image, flat = rng.uniform(100, 200, (NY, NX)), rng.uniform(0.5, 2, (NY, NX))
    sigma, other = rng.uniform(1, 3, (NY, NX)), rng.uniform(0.01, 0.05, (NY, NX))
    with_uncertainty('s.fits', image, form(sigma), name, **cards)
    with_uncertainty('f.fits', flat, form(other), name, **cards)
    run('s.fits', '/', 'f.fits', '-o', 'r.fits')
    run('s.fits', '-', 'bias.fit', '-o', 'b.fits', '--section', '[2:7,3:5]')
    run('s.fits', '=', '0', '-o', 'zero.fits')
    wanted = np.hypot(sigma / flat, image * other / flat**2)
    found = CCDData.read('r.fits')
    np.testing.assert_allclose(found.uncertainty.array, wanted, rtol=1e-6)
    assert type(found.uncertainty) is StdDevUncertainty
    assert found.unit == 'adu'
    np.testing.assert_allclose(fits.getdata('b.fits', 'UNCERT'), sigma[2:5, 1:7], rtol=1e-6)
    assert len(fits.info('zero.fits', output=False)) == 1


def test_a_bias_that_is_subtracted_twice_is_said(night, capsys):
    run('night.0001.fit', '-', 'bias.fit', '-o', 'a.fit')
    assert 'BIASSUB' in fits.getheader('a.fit')
    assert capsys.readouterr().err == ''
    run('a.fit', '-', 'bias.fit', '-o', 'b.fit')
    said = capsys.readouterr().err
    assert said == 'img_arith: warning: a.fit: a bias was subtracted from it already (BIASSUB = bias.fit)\n'


def test_units_that_differ_are_said(night, make_image, capsys):
    make_image('e.fit', np.ones((NY, NX)), BUNIT='electron')
    make_image('a.fit', np.ones((NY, NX)), BUNIT='adu')
    run('e.fit', '-', 'a.fit', '-o', 'r.fit')
    assert 'BUNIT differs: adu in a.fit, electron in e.fit' in capsys.readouterr().err
    run('e.fit', '/', 'a.fit', '-o', 's.fit')
    assert capsys.readouterr().err == ''


def test_underscores_make_no_numbers(night, capsys):
    run('bias.fit', '+', '1_0', '-o', 'r.fit', status=1)
    assert '1_0: No such file' in capsys.readouterr().err
    run('bias.fit', '+', '1', '-o', 'r.fit', '--set', 'NIGHT=2021_02')
    assert fits.getheader('r.fit')['NIGHT'] == '2021_02'


def test_masks_go_along(night):
    bad, other = np.zeros((NY, NX), 'u1'), np.zeros((NY, NX), 'u1')
    bad[1, 2] = other[3, 4] = 1
    image = np.ones((NY, NX))
    image[5, 5] = np.nan
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(bad, name='MASK')]).writeto('s.fits')
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(other, name='BADPIX')]).writeto('f.fits')
    run('s.fits', '/', 'f.fits', '-o', 'r.fits')
    wanted = (bad | other).astype(bool)
    wanted[5, 5] = True
    np.testing.assert_array_equal(fits.getdata('r.fits', 'MASK'), wanted)
    np.testing.assert_array_equal(CCDData.read('r.fits', unit='adu').mask, wanted)
    run('f.fits', '+', '1', '-o', 'g.fits', '--section', '[1:5,1:4]')
    np.testing.assert_array_equal(fits.getdata('g.fits', 'MASK'), other[:4, :5])
    run('s.fits[MASK]', 'x', '2', '-o', 'm.fits')
    run('bias.fit', '/', 'f.fits', '-o', 'b.fits')
    assert [len(fits.info(name, output=False)) for name in ('m.fits', 'b.fits')] == [1, 1]


def test_uncertainties_of_no_use_are_said(night, capsys):
    with_uncertainty('s.fits', np.ones((NY, NX)), np.ones((NY + 1, NX)))
    run('s.fits', '-', '1', '-o', 'r.fits')
    said = capsys.readouterr().err
    assert said.startswith('img_arith: warning: uncertainties are not carried on: s.fits')
    assert said.count('\n') == 1
    assert len(fits.info('r.fits', output=False)) == 1


def test_the_uncertainty_of_an_operand_alone_says_nothing(night):
    with_uncertainty('f.fits', np.ones((NY, NX)), np.ones((NY, NX)))
    run('bias.fit', '/', 'f.fits', '-o', 'r.fits')
    assert len(fits.info('r.fits', output=False)) == 1


def test_a_position_that_stands_there_twice_moves_once(night, raw_image):
    raw_image('a.fits', 'CRPIX1  =                   5.', 'CRPIX1  =                   7.')
    run('a.fits[3:5,2:4]', '+', '1', '-q', '-o', 'out.fits')
    assert fits.getheader('out.fits')['CRPIX1'] == 3


@pytest.mark.parametrize('word', ['HISTORY=5', 'COMMENT=T', 'HISTORY=1.5'])
def test_commentary_that_reads_as_a_number(night, word):
    run('bias.fit', '+', '1', '-q', '-o', 'out.fits', '--set', word)
    key, _, value = word.partition('=')
    assert {'T': 'True'}.get(value, value) in str(fits.getheader('out.fits')[key])


@pytest.mark.parametrize(
    ('card', 'words', 'key', 'value'),
    [
        ('A       =1', ['--set', 'A=5'], 'A', 5),
        ('LTV1    =0', ['--section', '[2:4,2:4]'], 'LTV1', -1),
        ('B       = 1 2 3', ['--set', 'B=x'], 'B', 'x'),
    ],
)
def test_a_card_that_can_not_be_read_can_be_set(night, capsys, card, words, key, value, raw_image):
    raw_image('a.fits', card)
    run('a.fits', '+', '1', '-q', '-o', 'out.fits', *words)
    assert fits.getheader('out.fits')[key] == value
    assert capsys.readouterr().err.count('\n') <= 1


@pytest.mark.parametrize(
    'card', ['HISTORY\tdone', "CRPIX1  = 'F: 1.0'", "EXTEND  = 'F: 1.0'", "CD1_1   = 'a.b: 2'", "OBJECT  = 'M: 1'"]
)
def test_odd_cards_do_not_spoil_products(night, card, raw_image):
    raw_image('a.fits', card)
    run('a.fits', '+', '1', '-q', '-o', 'out.fits')  # the fixture `verified` looks at what was written


def test_what_astropy_says_of_a_card_is_said_in_our_words(night, raw_image):
    raw_image('a.fits', 'EXPTIME =60')
    words = [sys.executable, '-c', 'from fitsutils.commands.img_stats import main; main(["a.fits"])']
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stderr == 'img_stats: warning: a.fits: a card breaks the FITS standard: EXPTIME =60\n'


class TestPairs:
    @pytest.fixture
    def biases(self, night, make_image):
        for number in (1, 2):
            make_image(f'b{number}.fit', np.full((NY, NX), 100 * number, 'u2'), IMAGETYP='bias')

    @pytest.mark.parametrize('place', ['before', 'after'])
    def test_each_image_with_its_own_operand(self, night, biases, pixels_of, place):
        Path('list').write_text('night.0001.fit b2.fit\nnight.0002.fit b1.fit\nnight.0003.fit 7.5\n')
        words = ['--pairs', 'list', '-'] if place == 'before' else ['-', '--pairs', '@list']
        run(*words, '-o', 'out')
        for number, level in ((1, 200), (2, 100), (3, 7.5)):
            name = f'000{number}.fit'
            np.testing.assert_array_equal(pixels_of(f'out.{name}'), night[f'night.{name}'].astype('f8') - level)

    def test_standard_input(self, night, biases, monkeypatch, capsys):
        import io

        monkeypatch.setattr('sys.stdin', io.TextIOWrapper(io.BytesIO(b'night.0001.fit\tb1.fit\n')))
        run('--pairs', '@-', '-', '-o', 'b_/')
        assert capsys.readouterr().out == 'b_/night.0001.fit\n'

    def test_a_keyword_of_each_image(self, night, pixels_of):
        Path('list').write_text('night.0001.fit key=EXPTIME\nnight.0002.fit key=EXPTIME\n')
        run('--pairs', 'list', '/', '-o', 'r')
        np.testing.assert_allclose(pixels_of('r.0002.fit'), night['night.0002.fit'] / 20.0, rtol=1e-7)

    def test_a_region_and_a_dry_run(self, night, biases, pixels_of, capsys):
        Path('list').write_text('night.0001.fit b1.fit\n')
        run('--pairs', 'list', '-', '--section', '[3:7,2:5]', '-o', 'part.fit', '--dry-run')
        assert capsys.readouterr().err == 'img_arith: night.0001.fit - b1.fit -> part.fit\n'
        run('--pairs', 'list', '-', '--section', '[3:7,2:5]', '-o', 'part.fit')
        np.testing.assert_array_equal(pixels_of('part.fit'), night['night.0001.fit'].astype('f8')[1:5, 2:7] - 100)

    def test_images_without_an_operand(self, night, biases, tmp_path, capsys):
        Path('list').write_text(
            'image\tmaster\tstatus\nnight.0001.fit\tb1.fit\tfound\nnight.0002.fit\t\tnone\n'
            'night.0003.fit\tb1.fit\tfar\n'
        )
        before = sorted(tmp_path.iterdir())
        run('--pairs', 'list', '-', '-o', 'out', status=1)
        assert capsys.readouterr() == (
            '',
            'img_arith: no operand for 2 images: night.0002.fit, night.0003.fit; '
            '--skip-unpaired leaves such images out\n',
        )
        assert sorted(tmp_path.iterdir()) == before
        run('--pairs', 'list', '-', '-o', 'out', '--skip-unpaired')
        found = capsys.readouterr()
        assert found.out == 'out.0001.fit\n'
        assert found.err == 'img_arith: left out: no operand for 2 images: night.0002.fit, night.0003.fit\n'

    def test_a_difference_is_said_once_for_each_master(self, night, make_image, capsys):
        for name, band in (('blue', 'B'), ('red', 'R')):
            make_image(f'{name}.fit', np.ones((NY, NX), 'f4'), FILTER=band)
        Path('list').write_text('night.0001.fit blue.fit\nnight.0002.fit red.fit\nnight.0003.fit blue.fit\n')
        run('--pairs', 'list', '/', '-o', 'f')
        assert capsys.readouterr().err.count('FILTER differs') == 1

    @pytest.mark.parametrize(
        ('words', 'status', 'match'),
        [
            (['--pairs', 'list'], 2, '--pairs names images and operands; beside it one of'),
            (['--pairs', 'list', 'a.fit', '-', 'b.fit'], 2, '--pairs names images and operands'),
            (['--pairs', 'list', '%'], 2, '--pairs names images and operands'),
            (['--pairs', 'nothing', '-'], 1, 'nothing: No such file'),
            (['--pairs', 'list', '-'], 1, 'gone.fit: No such file'),
            (['--pairs', 'twice', '-'], 1, 'would both be written to it'),
            (['night.0001.fit', '-', '1', '--skip-unpaired'], 2, '--skip-unpaired goes with --pairs'),
        ],
    )
    def test_refusals(self, night, biases, tmp_path, capsys, words, status, match):
        Path('list').write_text('night.0001.fit gone.fit\n')
        Path('twice').write_text('night.0001.fit b1.fit\nnight.0001.fit b2.fit\n')
        before = sorted(tmp_path.iterdir())
        run(*words, '-o', 'o/', status=status)
        found = capsys.readouterr()
        assert match in found.err
        assert (found.out, found.err.count('\n')) == ('', 1)
        assert sorted(tmp_path.iterdir()) == before
