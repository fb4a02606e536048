"""flat_response: the command on a small slit, its HDUs and header, refusals, and real two-amplifier flats."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from fitsutils.commands import combine_fits, flat_response, img_arith, img_stats
from fitsutils.pixels import response

ROWS, N = 29, 90


def scene(seed=4):
    """A flat with the slit's rows 5..24 (from 0) lit, and its response."""
    rng = np.random.default_rng(seed)
    slit = np.zeros(ROWS)
    slit[5:25] = np.linspace(1.04, 0.96, 20)
    true = rng.normal(1, 0.01, (ROWS, N))
    lamp = np.exp(np.linspace(0, 2, N))
    return (1000 * slit[:, None] * lamp * true).astype('f4'), slit[:, None] * true


@pytest.fixture
def flat(tmp_path, monkeypatch, make_image):
    """flat.fits (spectrum along x) and turned.fits (along y) in the current folder; the response that is in them."""
    monkeypatch.chdir(tmp_path)
    pixels, true = scene()
    make_image('flat.fits', pixels, EXPTIME=15.0, CRPIX1=3.0, CTYPE1='LINEAR', BUNIT='adu', OBJECT='Dome Flat')
    make_image('turned.fits', pixels.T, DISPAXIS=2)
    return true


def run(*words, status=0):
    assert flat_response.main([str(word) for word in words]) == status


def hdus(path):
    with fits.open(path) as found:
        return {hdu.name: (hdu.header.copy(), hdu.data.copy()) for hdu in found}


class TestOutput:
    def test_extensions(self, flat, capsys):
        run('flat.fits', '-d', 'x', '-k', '3', '-o', 'out.fits')
        assert capsys.readouterr() == ('out.fits\n', '')
        found = hdus('out.fits')
        assert list(found) == ['FLAT', 'LIT', 'BADPIX', 'RESPONSE']
        assert [found[name][1].dtype.str for name in ('FLAT', 'LIT', 'BADPIX')] == ['>f4', '|u1', '|u1']
        lit = np.zeros((ROWS, N), bool)
        lit[5:25] = True
        np.testing.assert_array_equal(found['LIT'][1], lit)
        assert not found['BADPIX'][1].any()
        pixels = found['FLAT'][1]
        assert (pixels[~lit] == 1).all()
        assert np.median(pixels[lit]) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(pixels[lit], flat[lit] / np.median(flat[lit]), atol=0.01)
        assert found['LIT'][0]['CRPIX1'] == 3.0

    def test_table(self, flat):
        run('flat.fits', '-d', 'x', '-k', '3', '-o', 'out.fits')
        _, table = hdus('out.fits')['RESPONSE']
        assert table.names == ['pixel', 'data', 'fit', 'used']
        assert table.columns.formats == ['J', 'D', 'D', 'L']
        np.testing.assert_array_equal(table['pixel'], np.arange(1, N + 1))
        np.testing.assert_allclose(table['data'], scene()[0][5:25].mean(axis=0, dtype='f8'), rtol=1e-9)
        assert table['used'].all()
        assert np.abs(table['data'] / table['fit'] - 1).max() < 0.02

    def test_header(self, flat):
        run('flat.fits', '-d', 'x', '-k', '3', '--clip', '4', '-o', 'out.fits', '--set', 'IMAGETYP=MASTER FLAT')
        header, _ = hdus('out.fits')['FLAT']
        table = hdus('out.fits')['RESPONSE'][1]
        rms = np.sqrt(np.mean((table['data'] / table['fit'] - 1)[table['used']] ** 2))
        assert header['RSPRMS'] == pytest.approx(rms, rel=1e-12)
        keys = ('EXTNAME', 'BUNIT', 'DISPAXIS', 'RSPMETH', 'RSPORDER', 'RSPBOX', 'RSPCLIP', 'RSPNUSED', 'LITSEC',
                'LITROWS', 'LITLEAST', 'NBADPIX', 'BADLIMIT', 'IMAGETYP', 'OBJECT', 'EXPTIME')  # fmt: skip
        assert [header[key] for key in keys] == ['FLAT', '', 1, 'poly', 3, 5, 4.0, N, f'[1:{N},6:25]',
                                                 20, 0.8, 0, 0.5, 'MASTER FLAT', 'Dome Flat', 15.0]  # fmt: skip
        assert 'flat.fits: poly of degree 3 along x' in str(header['HISTORY'])
        level = np.median(scene()[0][5:25].astype('f8') / table['fit'])
        assert header['RSPLEVEL'] == pytest.approx(level, rel=1e-6)

    @pytest.mark.parametrize('method', ['poly', 'spline', 'median'])
    def test_the_other_axis_gives_the_turned_flat(self, flat, method):
        options = ['-m', method, '-k', '5']
        run('flat.fits', '-d', 'x', *options, '-o', 'x.fits')
        run('turned.fits', '-d', 'y', *options, '-o', 'y.fits')
        run('turned.fits', *options, '-o', 'said.fits')  # DISPAXIS says so
        one, two, three = hdus('x.fits'), hdus('y.fits'), hdus('said.fits')
        for name in ('FLAT', 'LIT', 'BADPIX'):
            np.testing.assert_array_equal(one[name][1], two[name][1].T)
            np.testing.assert_array_equal(two[name][1], three[name][1])
        np.testing.assert_array_equal(one['RESPONSE'][1], two['RESPONSE'][1])
        assert two['FLAT'][0]['DISPAXIS'] == 2
        assert two['FLAT'][0]['LITSEC'] == f'[6:25,1:{N}]'

    @pytest.mark.parametrize(('method', 'order'), [('poly', 7), ('spline', 25), ('median', 101)])
    def test_methods_and_their_orders(self, flat, method, order):
        run('flat.fits', '-d', 'x', '-m', method, '-o', 'out.fits')
        header, pixels = hdus('out.fits')['FLAT']
        assert (header['RSPMETH'], header['RSPORDER']) == (method, order)
        wanted = response.flat_response(scene()[0], response.Fit(method, order))
        np.testing.assert_array_equal(pixels, wanted.flat.astype('f4'))

    def test_options_reach_the_numbers(self, flat):
        options = ['--lit', '0.99', '--bad', '0.02', '--box', '1', '--clip', '0']
        run('flat.fits', '-d', 'x', '-m', 'spline', '-k', '4', *options, '-o', 'out.fits', '--dtype', 'float64')
        wanted = response.flat_response(scene()[0], response.Fit('spline', 4, 0, 1), lit=0.99, bad=0.02)
        found = hdus('out.fits')
        np.testing.assert_array_equal(found['FLAT'][1], wanted.flat)
        np.testing.assert_array_equal(found['LIT'][1], wanted.lit)
        np.testing.assert_array_equal(found['BADPIX'][1], wanted.bad)
        assert 0 < found['BADPIX'][1].sum() == found['FLAT'][0]['NBADPIX']
        assert found['FLAT'][1].dtype == '>f8'
        assert 0 < found['FLAT'][0]['LITROWS'] < 20

    def test_given_rows(self, flat):
        run('flat.fits', '-d', 'x', '--lit', '8:12', '-o', 'out.fits')
        header, _ = hdus('out.fits')['FLAT']
        assert header['LITSEC'] == f'[1:{N},8:12]'
        assert 'LITLEAST' not in header

    def test_a_mask(self, flat, make_image, capsys):
        mask = np.zeros((ROWS, N), 'u1')
        mask[10, 20:24] = 7
        make_image('mask.fits', mask)
        run('flat.fits', '-d', 'x', '--mask', 'mask.fits', '-o', 'out.fits')
        found = hdus('out.fits')
        np.testing.assert_array_equal(found['BADPIX'][1], mask != 0)
        assert 'mask mask.fits' in str(found['FLAT'][0]['HISTORY'])
        make_image('small.fits', mask[1:])
        capsys.readouterr()
        run('flat.fits', '-d', 'x', '--mask', 'small.fits', '-o', 'other.fits', status=1)
        assert 'small.fits does not fit: 90 x 29 and 90 x 28 pixels' in capsys.readouterr().err

    def test_missing_pixels(self, flat, make_image, capsys):
        pixels = scene()[0]
        pixels[:, :6] = 0
        pixels[7, 3], pixels[8, 4], pixels[1, 50] = np.nan, np.inf, np.nan
        make_image('gaps.fits', pixels)
        run('gaps.fits', '-d', 'x', '-o', 'out.fits')
        pixels[9, 30] = np.nan
        make_image('gaps.fits', pixels)
        run('gaps.fits', '-d', 'x', '-o', 'out2.fits', '-q')
        out, err = capsys.readouterr()
        assert out == 'out.fits\n'
        dark = f'6 of {N} points at the ends of the spectrum have no light: FLAT is 1 there'
        said = [f'out.fits: {dark}', f'out2.fits: {dark}', 'out2.fits: 1 pixels of the lit part have no value: NaN']
        assert err.splitlines() == [f'flat_response: {line}' for line in said]
        found = hdus('out2.fits')
        assert np.argwhere(np.isnan(found['FLAT'][1])).tolist() == [[9, 30]]
        assert found['BADPIX'][1][[9, 1, 7], [30, 50, 3]].all()
        assert not found['LIT'][1][:, :6].any()
        assert np.isnan(found['RESPONSE'][1]['fit'][:6]).all()

    def test_a_part_of_an_image(self, flat):
        run(f'flat.fits[11:{N},*]', '-d', 'x', '-o', 'out.fits')
        header, pixels = hdus('out.fits')['FLAT']
        assert pixels.shape == (ROWS, N - 10)
        assert header['CRPIX1'] == -7.0

    @pytest.mark.parametrize(('kind', 'power'), [('UNCERT', 1), ('VAR', 2), ('IVAR', -2)])
    def test_uncertainty_goes_with_the_flat(self, flat, kind, power):
        sigma = (0.02 * np.abs(scene()[0]) + 1e-3).astype('f8')
        with fits.open('flat.fits') as found:
            found.append(fits.ImageHDU(sigma**power, name=kind))
            found.writeto('with.fits')
        run('with.fits', '-d', 'x', '-o', 'out.fits')
        found = hdus('out.fits')
        assert list(found) == ['FLAT', 'LIT', 'BADPIX', 'RESPONSE', 'UNCERT']
        lit = found['LIT'][1] == 1
        np.testing.assert_allclose((found['UNCERT'][1] / found['FLAT'][1])[lit], 0.02, rtol=1e-3)
        assert (found['UNCERT'][1][~lit] == 0).all()
        assert found['UNCERT'][0]['UTYPE'] == 'StdDevUncertainty'

    @pytest.mark.parametrize('name', ['out.fits.gz', 'out.fits.fz'])
    def test_packed(self, flat, name, pixels_of):
        run('flat.fits', '-d', 'x', '-o', 'plain.fits')
        run('flat.fits', '-d', 'x', '-o', name)
        for hdu in (None, 'FLAT', 'LIT', 'BADPIX'):
            np.testing.assert_array_equal(pixels_of(name, hdu), pixels_of('plain.fits', hdu))

    def test_many_flats(self, flat, capsys):
        run('flat.fits', 'turned.fits[*,*]', '-d', 'x', '--lit', '6:24', '--prefix', 'r_', '--plot', 'p')
        assert capsys.readouterr().out.split() == ['r_flat.fits', 'p.flat.png', 'r_turned.fits', 'p.turned.png']

    def test_a_tilted_edge_is_said(self, flat, capsys, make_image):
        pixels, _ = scene()
        pixels[:6, 80:] *= 0.05
        make_image('tilted.fits', pixels)
        run('tilted.fits', '-d', 'x', '-k', '3', '-o', 'out.fits')
        found = hdus('out.fits')
        count = int(found['BADPIX'][1][5, 80:].sum())
        assert count == 10
        assert found['FLAT'][0]['NFAINT'] == found['FLAT'][0]['NBADPIX'] == count
        said = f'out.fits: {count} pixels at the edges of the lit part have a response below 0.2: in BADPIX\n'
        assert capsys.readouterr().err == f'flat_response: {said}'


class TestUse:
    def test_science_is_divided_by_the_file_itself(self, flat, make_image):
        run('flat.fits', '-d', 'x', '-k', '3', '-o', 'out.fits')
        make_image('sci.fits', 500 * flat + 20 * (flat == 0), BUNIT='electron', OBJECT='Feige 34')
        assert img_arith.main(['sci.fits', '/', 'out.fits', '-o', 'done.fits']) == 0
        header, pixels = hdus('done.fits')['PRIMARY']
        assert np.std(pixels[5:25] / np.median(pixels[5:25])) < 0.004  # of 0.01, what the mean of 20 rows keeps
        assert (pixels[:5] == 20).all()
        assert (header['OBJECT'], header['BUNIT']) == ('Feige 34', 'electron')

    def test_every_image_has_its_name(self, flat, pixels_of, capsys):
        run('flat.fits', '-d', 'x', '-o', 'out.fits')
        np.testing.assert_array_equal(pixels_of('out.fits'), pixels_of('out.fits', 'FLAT'))
        assert img_stats.main(['out.fits', '--mask', 'out.fits[BADPIX]', '-s', 'num']) == 0
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            ccd = CCDData.read('out.fits', unit='adu')
        assert ccd.shape == (ROWS, N)

    def test_products_do_not_call_themselves_flat(self, flat):
        """A flat may be multiplied and combined like any image."""
        run('flat.fits', '-d', 'x', '-o', 'out.fits')
        assert combine_fits.main(['out.fits', 'out.fits[FLAT]', '-o', 'two.fits']) == 0
        np.testing.assert_array_equal(fits.getdata('two.fits'), fits.getdata('out.fits'))


class TestRefusals:
    @pytest.mark.parametrize(
        ('words', 'said'),
        [
            ([], '-o or --prefix must name the output'),
            (['-o', 'o.fits', '-m', 'median', '-k', '10'], '-k 10: the window of a median is odd'),
            (['-o', 'o.fits', '-k', '0'], "argument -k/--order: '0' is not a whole number from 1"),
            (['-o', 'o.fits', '--box', '4'], "argument --box: '4' is not an odd number"),
            (['-o', 'o.fits', '--clip', '-1'], "argument --clip: '-1' is not a number from 0"),
            (['-o', 'o.fits', '--lit', '0'], 'argument --lit: it must be above 0'),
            (['-o', 'o.fits', '--lit', '9:3'], "argument --lit: '9:3': rows count from 1"),
            (['-o', 'o.fits', '--lit', '0:3'], "argument --lit: '0:3': rows count from 1"),
            (['-o', 'o.fits', '--bad', 'nan'], "argument --bad: 'nan' is not a number from 0"),
            (['-o', 'o.fits', '--plot', 'p.gif'], '--plot p.gif: .png or .pdf is wanted'),
            (['-o', 'o.fits', '--plot', 'p.fits'], '-o p.fits: pictures are written to .png or .pdf'),
            (['-o', 'o.fits', '-m', 'cubic'], "argument -m/--method: invalid choice: 'cubic'"),
        ],
    )
    def test_usage(self, flat, capsys, words, said, tmp_path):
        before = sorted(tmp_path.iterdir())
        run('flat.fits', '-d', 'x', *words, status=2)
        out, err = capsys.readouterr()
        assert (out, err.count('\n')) == ('', 1)
        assert said in err
        assert sorted(tmp_path.iterdir()) == before

    @pytest.mark.parametrize(
        ('words', 'said'),
        [
            (['flat.fits'], 'flat.fits: it has no keyword DISPAXIS: -d x or -d y must say'),
            (['odd.fits'], 'odd.fits: DISPAXIS = 3 is neither 1 nor 2'),
            (['cube.fits', '-d', 'x'], 'cube.fits: a flat has 2 axes, and it has 3'),
            (['flat.fits', '-d', 'x', '-k', str(N)], f'flat.fits: -k {N}: its spectrum has {N} points'),
            (['flat.fits', '-d', 'x', '--lit', f'5:{ROWS + 1}'], f'there are {ROWS} rows along the slit'),
            (['flat.fits', '-d', 'x', '--mask', 'gone.fits'], 'gone.fits: No such file'),
            (['flat.fits', '-d', 'x', '--plot', 'there.png'], 'there.png: it exists'),
            (['dark.fits', '-d', 'x'], 'dark.fits: no response can be found: there is no light'),
            (['nan.fits', '-d', 'x'], 'nan.fits: no response can be found: there is no light'),
            (['flat.fits', '-d', 'x', '--lit', '1:4'], 'flat.fits: no response can be found: no row is lit'),
            (['flat.fits', '-d', 'x', '-m', 'spline', '-k', '88'],
             f'no response can be found: {N} points of the spectrum have light, too few for spline 88'),
        ],
    )  # fmt: skip
    def test_failures(self, flat, capsys, make_image, words, said, tmp_path):
        make_image('odd.fits', scene()[0], DISPAXIS=3)
        make_image('cube.fits', np.ones((3, 5, 40)))
        make_image('dark.fits', np.zeros((9, 40)))
        make_image('nan.fits', np.full((9, 40), np.nan))
        (tmp_path / 'there.png').write_bytes(b'old')
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        run(*words, '-o', 'o.fits', status=1)
        out, err = capsys.readouterr()
        assert (out, err.count('\n')) == ('', 1)
        assert said in err
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_one_bad_flat_does_not_stop_the_others(self, flat, make_image, capsys):
        make_image('dark.fits', np.zeros((9, 40)))
        run('dark.fits', 'flat.fits', '-d', 'x', '--prefix', 'r_', status=1)
        out, err = capsys.readouterr()
        assert out == 'r_flat.fits\n'
        assert err == 'flat_response: dark.fits: no response can be found: there is no light\n'


class TestPlot:
    def test_a_picture_beside_the_flat(self, flat, capsys, tmp_path):
        run('flat.fits', '-d', 'x', '-o', 'out.fits', '--plot', 'out.png')
        assert capsys.readouterr().out == 'out.fits\nout.png\n'
        assert (tmp_path / 'out.png').read_bytes().startswith(b'\x89PNG')
        run('flat.fits', '-d', 'x', '-o', 'out.fits', '--plot', 'out.pdf', '--force')
        assert (tmp_path / 'out.pdf').read_bytes().startswith(b'%PDF')

    def test_what_is_there_is_passed_over(self, flat, capsys, tmp_path):
        run('flat.fits', '-d', 'x', '-o', 'out.fits')
        before = (tmp_path / 'out.fits').read_bytes()
        capsys.readouterr()
        run('flat.fits', '-d', 'x', '-k', '2', '-o', 'out.fits', '--plot', 'out.png', '--skip-existing')
        assert capsys.readouterr().out == 'out.png\n'
        assert (tmp_path / 'out.fits').read_bytes() == before

    def test_dry_run(self, flat, capsys, tmp_path):
        before = sorted(tmp_path.iterdir())
        run('flat.fits', '-d', 'x', '-o', 'new/', '--plot', 'out.png', '--dry-run')
        assert capsys.readouterr().out == 'new/flat.fits\nout.png\n'
        assert sorted(tmp_path.iterdir()) == before


@pytest.fixture(scope='module')
def kast_folder(tmp_path_factory):
    return tmp_path_factory.mktemp('kast')


class TestKast:
    """The dome flats of Shane Kast blue, bias taken out without the overscan, against numbers found elsewhere."""

    @pytest.fixture
    def combined(self, data, kast_folder, monkeypatch, capsys):
        monkeypatch.chdir(kast_folder)
        if not (kast_folder / 'flat.fits').exists():
            raw = data / 'kast_blue'
            bias = [f'{raw}/b2{number}.fits.gz[1:2048,*]' for number in (1, 2, 3)]
            flats = [f'{raw}/b1{number}.fits.gz[1:2048,*]' for number in (1, 2, 3)]
            assert combine_fits.main([*bias, '-m', 'median', '-o', 'bias.fits']) == 0
            assert img_arith.main([*flats, '-', 'bias.fits', '--prefix', 'b_']) == 0
            # Each is divided by the median of its lit rows, 23 to 327.
            level = ['-n', 'median', '--norm-to', '1', '--section', '[*,23:327]']
            assert combine_fits.main(['b_b1?.fits', '-m', 'median', *level, '-o', 'flat.fits']) == 0
        capsys.readouterr()
        return 'flat.fits'

    @pytest.mark.parametrize(
        ('fit', 'rms', 'percentiles'),
        [
            (['poly', '5'], 0.0225, None),
            (['poly', '7'], 0.0215, [0.9037, 0.9755, 1.0022, 1.0306, 1.0684]),
            (['poly', '9'], 0.0132, None),
        ],
    )
    def test_oracles(self, combined, fit, rms, percentiles):
        run(combined, '-d', 'x', '-m', fit[0], '-k', fit[1], '-o', 'out.fits', '--force')
        found = hdus('out.fits')
        header, pixels = found['FLAT']
        rows = np.flatnonzero(found['LIT'][1].any(axis=1))
        np.testing.assert_array_equal(rows, np.arange(22, 327))
        table = found['RESPONSE'][1]
        inner = slice(20, -20)
        assert np.std((table['data'] / table['fit'])[inner]) == pytest.approx(rms, abs=1e-4)
        if percentiles:
            level = header['RSPLEVEL']  # theirs is not brought to 1
            measured = np.percentile(pixels[rows, inner], [1, 16, 50, 84, 99]) * level
            np.testing.assert_allclose(measured, percentiles, atol=2e-4)
        assert np.median(pixels[rows]) == pytest.approx(1, abs=1e-6)

    @pytest.mark.parametrize(('fit', 'near'), [(['spline'], 0.03), (['spline', '-k', '45'], 0.01), (['median'], 0.01)])
    def test_first_and_last_columns(self, combined, fit, near):
        """A boxcar against zeros and a spline leave 1.66 and 1.24 in the first two."""
        run(combined, '-d', 'x', '-m', *fit, '-o', 'out.fits', '--force')
        found = hdus('out.fits')
        columns = np.median(found['FLAT'][1][22:327], axis=0)
        np.testing.assert_allclose(columns[[0, 1, 2, -3, -2, -1]], 1, atol=near)

    def test_bad_pixels(self, combined):
        run(combined, '-d', 'x', '-o', 'out.fits', '--force')
        found = hdus('out.fits')
        bad, faint = found['BADPIX'][1].astype(bool), found['FLAT'][1] < 0.2
        assert 0 < (bad & ~faint)[22:327].sum() < 50
        # Two rows at the tilted end of the slit are lit along a part of them.
        assert bad[faint].all()
        assert found['FLAT'][0]['NFAINT'] > 900
        assert np.flatnonzero(faint.sum(axis=1) > 1).tolist() == [22, 23]
