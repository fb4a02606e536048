import gzip
import json
import os

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import combine_fits, fit_dark, flat_response, img_arith, img_mask, img_stats, sub_dark
from fitsutils.pixels import badpixels, growing, hotpixels, illumination

NY, NX = 41, 53


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scene():
    """A flat with a dark margin of 9 columns, a dead and a bright pixel."""
    pixels = np.random.default_rng(3).normal(20000, 100, (NY, NX)).astype('f4')
    pixels[:, :9] = 50
    pixels[20, 30], pixels[25, 35] = 300, 65000
    return pixels


@pytest.fixture
def flat(make_image):
    cards = {'OBJECT': 'Dome', 'IMAGETYP': 'FLAT', 'EXPTIME': 15.0, 'SATURATE': 60000, 'BUNIT': 'adu', 'DATAMAX': 65000}
    make_image('flat.fits', scene(), **cards)


@pytest.fixture
def dark(make_image):
    pixels = np.random.default_rng(4).normal(30, 3, (NY, NX)).astype('f4')
    pixels[5, 6], pixels[7, 8], pixels[39, 52] = 900, 60, 5000
    make_image('dark.fits', pixels, EXPTIME=10.0)
    return pixels


def run(*argv, status=0):
    assert img_mask.main(list(argv)) == status


def opened(path='out.fits'):
    with fits.open(path) as hdus:
        assert len(hdus) == 1 + path.endswith('.fz')
        hdu = hdus[-1]
        assert hdu.data.dtype == np.uint8
        assert set(np.unique(hdu.data)) <= {0, 1}
        return hdu.header.copy(), hdu.data.astype(bool)


class TestFlats:
    def test_useful_region(self, flat, capsys):
        run('flat.fits', '--lit', '0.5', '-o', 'out.fits')
        assert capsys.readouterr() == ('out.fits\n', '')
        header, bad = opened()
        wanted = np.zeros((NY, NX), bool)
        wanted[:, : 9 + 12] = True
        np.testing.assert_array_equal(bad, wanted)
        keys = ('EXTNAME', 'IMAGETYP', 'NBADPIX', 'MSKMISS', 'MSKUNLIT', 'OBJECT')
        assert [header[key] for key in keys] == ['MASK', 'MASK', NY * 21, 0, NY * 21, 'Dome']
        assert header.comments['MSKUNLIT'] == 'below 0.5 of the lit level, grown by 12'
        assert header['MSKLEVEL'] == float(illumination.lit_part(scene()).level)
        assert not {'BUNIT', 'DATAMAX', 'SATURATE', 'BZERO', 'MSKABOVE', 'MSKDEV'} & set(header)
        assert f'flat.fits: unlit {NY * 21}' in str(header['HISTORY'])

    @pytest.mark.parametrize(
        ('words', 'columns'), [(['--grow', '0'], 9), (['--grow', '3'], 12), (['--grow', 'lit=5'], 14)]
    )
    def test_growth(self, flat, words, columns):
        run('flat.fits', '--lit', '0.5', '-o', 'out.fits', *words)
        np.testing.assert_array_equal(opened()[1].sum(axis=1), columns)

    def test_median(self, flat):
        run('flat.fits', '--lit', '0.5', '--median', '1', '--grow', '0', '-o', 'out.fits')
        bad = opened()[1]
        assert bad[20, 30]
        assert bad.sum() == NY * 9 + 1

    def test_bad_pixels(self, flat):
        run('flat.fits', '--bad', '0.5', '-o', 'out.fits')
        header, bad = opened()
        pixels = scene().astype('f8')
        np.testing.assert_array_equal(bad, badpixels.deviant(pixels / badpixels.level(pixels), 0.5))
        assert np.argwhere(bad).tolist() == [[20, 30], [25, 35]]
        assert header['MSKDEV'] == header['NBADPIX'] == 2

    @pytest.mark.parametrize('option', ['--lit', '--bad'])
    @pytest.mark.parametrize('level', [0.0, -40.0, np.nan])
    def test_a_level_that_is_none(self, make_image, capsys, option, level):
        make_image('odd.fits', np.full((NY, NX), level))
        run('odd.fits', option, '0.5', '-o', 'out.fits', status=1)
        out, err = capsys.readouterr()
        assert (out, err.count('\n')) == ('', 1)
        assert err.startswith('img_mask: odd.fits: no mask can be made: ')
        assert not os.path.exists('out.fits')


class TestDarks:
    def test_sigma(self, dark):
        run('dark.fits', '--hot', '8', '-o', 'out.fits')
        header, bad = opened()
        wanted = hotpixels.standing_out(dark.astype('f8'), np.ones_like(dark, bool), 8)
        np.testing.assert_array_equal(bad, wanted)
        assert bad[5, 6]
        assert bad[7, 8]
        assert header.comments['MSKHOT'] == '8 sigma off'

    def test_counts_a_second(self, dark):
        run('dark.fits', '--hot-rate', '50', '-o', 'out.fits')
        header, bad = opened()
        np.testing.assert_array_equal(bad, badpixels.above(dark, 500))
        assert np.argwhere(bad).tolist() == [[5, 6], [39, 52]]
        assert header.comments['MSKHOT'] == '50/s above others'

    def test_an_exposure_time_is_needed(self, make_image, capsys):
        make_image('a.fits', np.zeros((5, 7)))
        run('a.fits', '--hot-rate', '5', '-o', 'out.fits', status=1)
        assert 'a.fits: it has no usable exposure time: EXPTIME is missing' in capsys.readouterr().err


class TestLevels:
    @pytest.mark.parametrize('word', ['60000', '6e4', 'SATURATE', 'saturate'])
    def test_above(self, flat, word):
        run('flat.fits', '--above', word, '-o', 'out.fits')
        header, bad = opened()
        assert np.argwhere(bad).tolist() == [[25, 35]]
        assert header['MSKABOVE'] == 1

    def test_each_image_has_its_own_level(self, make_image):
        for name, limit in (('a', 5), ('b', 7)):
            make_image(f'{name}.fits', np.arange(10.0).reshape(2, 5), SATURATE=limit)
        run('a.fits', 'b.fits', '--above', 'SATURATE', '--prefix', 'm_')
        assert [opened(f'm_{name}.fits')[1].sum() for name in 'ab'] == [5, 3]

    def test_below(self, flat):
        run('flat.fits', '--below', '-1e-3', '--above', '65000', '-o', 'out.fits')
        assert [opened()[0][key] for key in ('MSKBELOW', 'MSKABOVE')] == [0, 1]
        run('flat.fits', '--below', '50', '-o', 'low.fits')
        np.testing.assert_array_equal(opened('low.fits')[1], scene() <= 50)

    def test_a_keyword_that_is_missing(self, flat, make_image, capsys):
        make_image('b.fits', np.zeros((NY, NX)))
        run('flat.fits', 'b.fits', '--above', 'SATURATE', '--prefix', 'm_', status=1)
        out, err = capsys.readouterr()
        assert (out, err) == ('', 'img_mask: b.fits: keyword SATURATE is missing, and it is needed\n')
        assert not os.path.exists('m_flat.fits')

    def test_unsigned_integers(self, make_image):
        make_image('a.fits', np.array([[0, 65535, 40000]], 'u2'))
        run('a.fits', '--above', '65535', '--below', '0', '-o', 'out.fits')
        assert opened()[1].tolist() == [[True, True, False]]


class TestMissing:
    def test_they_are_bad_whatever_is_asked_for(self, make_image):
        pixels = scene()
        pixels[3, 40], pixels[4, 41], pixels[5, 42] = np.nan, np.inf, -np.inf
        make_image('a.fits', pixels)
        run('a.fits', '--above', '1e9', '-o', 'out.fits')
        header, bad = opened()
        np.testing.assert_array_equal(bad, ~np.isfinite(pixels))
        assert (header['MSKMISS'], header['MSKABOVE'], header['NBADPIX']) == (3, 0, 3)

    def test_blank(self, make_image):
        make_image('a.fits', np.array([[1, 2, -999]], 'i2'), BLANK=-999)
        run('a.fits', '--above', '2', '-o', 'out.fits')
        header, bad = opened()
        assert bad.tolist() == [[False, True, True]]
        assert 'BLANK' not in header

    def test_they_grow_when_that_is_asked_for(self, make_image):
        pixels = np.zeros((9, 11))
        pixels[4, 5] = np.nan
        make_image('a.fits', pixels)
        run('a.fits', '--above', '5', '--grow', '2', '-o', 'one.fits')
        run('a.fits', '--above', '5', '--grow', 'missing=1', '-o', 'five.fits')
        assert [opened(name)[1].sum() for name in ('one.fits', 'five.fits')] == [1, 5]


class TestByHand:
    def test_sections_and_shapes(self, flat):
        run('flat.fits', '--region', '[3:5,*]', '--region', 'circle(30,20,4)', '-o', 'out.fits')
        header, bad = opened()
        y, x = np.mgrid[1 : NY + 1, 1 : NX + 1]
        wanted = ((x >= 3) & (x <= 5)) | ((x - 30) ** 2 + (y - 20) ** 2 <= 16)
        np.testing.assert_array_equal(bad, wanted)
        assert header['MSKREGN'] == wanted.sum()

    def test_a_file(self, flat, tmp_path):
        (tmp_path / 'bad.txt').write_text('# IRAF\n10 10 1 41\n\n5 6\nimage;box(30,20,3,3,0) # DS9\n')
        run('flat.fits', '--region', '@bad.txt', '-o', 'out.fits')
        bad = opened()[1]
        assert bad[:, 9].all()
        assert bad[5, 4]
        assert bad[18:21, 28:31].all()
        assert bad.sum() == NY + 1 + 9

    def test_outside(self, flat):
        run('flat.fits', '--outside', '[11:50,2:40]', '--outside', '[1:2,1:2]', '-o', 'out.fits')
        good = ~opened()[1]
        wanted = np.zeros((NY, NX), bool)
        wanted[1:40, 10:50] = wanted[:2, :2] = True
        np.testing.assert_array_equal(good, wanted)

    def test_a_trail(self, flat):
        run('flat.fits', '--region', 'line(2,3,50,39)', '--grow', '2', '-o', 'out.fits')
        bad = opened()[1]
        assert (bad.any(axis=0).sum(), bad[2, 1], bad[38, 49]) == (52, True, True)
        assert bad[:, 20].sum() in (5, 6, 7)

    def test_a_part_of_an_image_counts_from_its_own_corner(self, flat):
        run('flat.fits[11:30,5:20]', '--region', '[1:2,1:3]', '-o', 'out.fits')
        bad = opened()[1]
        assert bad.shape == (16, 20)
        assert np.argwhere(bad).max(axis=0).tolist() == [2, 1]

    @pytest.mark.parametrize(
        ('region', 'status', 'what'),
        [
            ('[50:60,*]', 1, 'flat.fits: region [50:60,*] goes beyond the image (53 x 41 pixels)'),
            ('circle(1,2)', 1, 'region circle(1,2): a circle does not take 2 numbers'),
            ('blob(1,2)', 1, 'blob is none of point'),
            ('somewhere', 2, "'somewhere' is neither [x1:x2,y1:y2] nor a shape"),
            ('@gone', 1, 'gone: No such file'),
        ],
    )
    def test_refusals(self, flat, capsys, region, status, what):
        run('flat.fits', '--region', region, '-o', 'out.fits', status=status)
        out, err = capsys.readouterr()
        assert (out, err.count('\n')) == ('', 1)
        assert what in err
        assert not os.path.exists('out.fits')


class TestJoined:
    def test_masks(self, make_image):
        one, two = np.zeros((2, NY, NX), 'u1')
        one[3, 4], two[5, 6], two[3, 4] = 1, 200, 1
        make_image('one.fits', one, NBADPIX=1, MSKHOT=7, MSKLEVEL=5.0)
        make_image('two.fits', two.astype('i4') * -1)
        run('one.fits', 'two.fits', '--nonzero', '-o', 'out.fits')
        header, bad = opened()
        np.testing.assert_array_equal(bad, (one != 0) | (two != 0))
        assert (header['NBADPIX'], header['MSKNOT0']) == (2, 2)
        assert not {'MSKHOT', 'MSKLEVEL'} & set(header)
        assert 'one.fits: nonzero 1' in str(header['HISTORY'])
        assert 'two.fits: nonzero 2' in str(header['HISTORY'])

    def test_images(self, make_image):
        rng = np.random.default_rng(6)
        stack = rng.uniform(0, 10, (3, 7, 9))
        for name, pixels in zip('abc', stack, strict=True):
            make_image(f'{name}.fits', pixels)
        run('[abc].fits', '--above', '9', '--grow', '1', '-o', 'out.fits')
        wanted = np.any([growing.grown(pixels >= 9, 1) for pixels in stack], axis=0)
        np.testing.assert_array_equal(opened()[1], wanted)

    def test_different_shapes(self, make_image, capsys):
        make_image('a.fits', np.zeros((5, 7)))
        make_image('b.fits', np.zeros((7, 5)))
        run('a.fits', 'b.fits', '--nonzero', '-o', 'out.fits', status=1)
        assert '7 x 5: a.fits' in capsys.readouterr().err
        run('a.fits', 'b.fits', '--above', '1', '--prefix', 'm_')
        assert opened('m_b.fits')[1].shape == (7, 5)

    def test_other_masks(self, flat, make_image):
        mask = np.zeros((NY, NX), 'i2')
        mask[25, 35], mask[1, 50] = 4, -1
        make_image('mask.fits', mask)
        run('flat.fits', '--bad', '0.5', '--mask', 'mask.fits', '-o', 'out.fits')
        header, bad = opened()
        assert np.argwhere(bad).tolist() == [[1, 50], [20, 30], [25, 35]]
        assert (header['MSKMASK'], header['MSKDEV']) == (2, 1)
        assert 'mask mask.fits' in str(header['HISTORY'])

    def test_several_masks_and_extensions(self, make_image, tmp_path):
        dq = np.zeros((5, 7), 'u1')
        dq[2, 3] = 8
        hdus = fits.HDUList([fits.PrimaryHDU(np.ones((5, 7), 'f4')), fits.ImageHDU(dq, name='DQ')])
        hdus.writeto('sci.fits')
        make_image('mask.fits', np.eye(5, 7))
        run('sci.fits', '--mask', 'DQ', '--mask', 'mask.fits', '-o', 'out.fits')
        np.testing.assert_array_equal(opened()[1], (dq != 0) | (np.eye(5, 7) != 0))

    def test_a_mask_of_another_size(self, flat, make_image, capsys):
        make_image('mask.fits', np.zeros((5, 7)))
        run('flat.fits', '--mask', 'mask.fits', '-o', 'out.fits', status=1)
        assert 'flat.fits: mask.fits does not fit' in capsys.readouterr().err


def test_invert(make_image):
    pixels = np.array([[0, 1, np.nan, 0]])
    make_image('theirs.fits', pixels)
    run('theirs.fits', '--nonzero', '--invert', '-o', 'out.fits')
    header, bad = opened()
    assert bad.tolist() == [[True, False, True, True]]
    assert (header['MSKINV'], header['NBADPIX'], header['MSKNOT0']) == (True, 3, 1)


class TestShapesOfImages:
    def test_planes_of_a_cube_have_their_own_levels(self, make_image):
        cube = np.stack([scene(), scene()[:, ::-1] / 100])
        make_image('cube.fits', cube)
        run('cube.fits', '--lit', '0.5', '--grow', '0', '-o', 'out.fits')
        bad = opened()[1]
        np.testing.assert_array_equal(bad[0, :, :9], True)
        np.testing.assert_array_equal(bad[1, :, -9:], True)
        assert bad.sum() == 2 * 9 * NY

    def test_one_mask_for_all_planes(self, make_image):
        make_image('cube.fits', np.zeros((3, 5, 7)))
        make_image('mask.fits', np.eye(5, 7))
        run('cube.fits', '--mask', 'mask.fits', '--region', '[7,1]', '-o', 'out.fits')
        wanted = np.eye(5, 7) != 0
        wanted[0, 6] = True
        np.testing.assert_array_equal(opened()[1], np.broadcast_to(wanted, (3, 5, 7)))

    def test_one_axis(self, make_image):
        make_image('line.fits', np.arange(7.0))
        run('line.fits', '--above', '5', '-o', 'out.fits')
        assert opened()[1].tolist() == [False] * 5 + [True] * 2

    def test_a_part_moves_its_world_coordinates(self, make_image):
        make_image('a.fits', scene(), CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRPIX1=20.0, CRPIX2=11.0)
        run('a.fits[11:30,5:20]', '--above', '6e4', '-o', 'out.fits')
        header, bad = opened()
        assert (header['CRPIX1'], header['CRPIX2'], bad.shape) == (10.0, 7.0, (16, 20))


class TestOutputs:
    def test_one_or_many(self, make_image, capsys):
        for number in (1, 2):
            make_image(f'a.000{number}.fits', np.arange(12).reshape(3, 4) * number)
        run('a.*.fits', '--above', '12', '-o', 'all.fits')
        run('a.*.fits', '--above', '12', '-o', 'm')
        run('a.*.fits', '--above', '0', '-o', 'dir/', status=3)
        run('a.*.fits', '--above', '3', '-o', 'x.fits,y.fits.gz', '-q')
        assert capsys.readouterr().out.split() == [
            'all.fits', 'm.0001.fits', 'm.0002.fits', 'dir/a.0001.fits', 'dir/a.0002.fits'
        ]  # fmt: skip
        names = ('all.fits', 'm.0001.fits', 'm.0002.fits', 'dir/a.0002.fits', 'y.fits.gz')
        assert [opened(name)[1].sum() for name in names] == [6, 0, 6, 12, 10]

    def test_all_pixels_bad(self, make_image, capsys):
        make_image('a.fits', np.full((3, 4), 9))
        run('a.fits', '--above', '2', '-o', 'out.fits', status=3)
        assert capsys.readouterr() == ('out.fits\n', 'img_mask: out.fits: every pixel is bad\n')
        assert opened()[1].all()

    def test_a_failure_does_not_stop_the_others(self, flat, make_image, capsys):
        make_image('dull.fits', np.zeros((NY, NX)))
        run('dull.fits', 'flat.fits', '--lit', '0.5', '--prefix', 'm_', status=1)
        out, err = capsys.readouterr()
        assert out == 'm_flat.fits\n'
        assert err.startswith('img_mask: dull.fits: ')
        assert err.count('\n') == 1

    @pytest.mark.parametrize('compress', ['gz', 'fz'])
    def test_packed(self, flat, compress):
        run('flat.fits', '--lit', '0.5', '-o', 'plain.fits')
        run('flat.fits', '--lit', '0.5', '-o', f'out.fits.{compress}')
        np.testing.assert_array_equal(opened(f'out.fits.{compress}')[1], opened('plain.fits')[1])

    def test_cards_of_the_user(self, flat):
        run('flat.fits', '--lit', '0.5', '-o', 'out.fits', '--set', 'IMAGETYP=USEFUL')
        assert opened()[0]['IMAGETYP'] == 'USEFUL'

    def test_what_is_told(self, flat, capsys):
        run('flat.fits', '--lit', '0.5', '--bad', '0.5', '-o', 'out.fits', '-v')
        assert capsys.readouterr().err.splitlines() == [
            f'img_mask: out.fits: {21 * NY + 2} of {NX * NY} pixels are bad',
            f'img_mask: out.fits: flat.fits: unlit {21 * NY}, deviant 2',
        ]


@pytest.mark.parametrize(
    ('words', 'what'),
    [
        ([], 'what is bad must be said'),
        (['--grow', '3'], 'what is bad must be said'),
        (['--invert'], 'what is bad must be said'),
        (['--lit', '1'], "'1' is not below 1"),
        (['--lit', '0'], 'not a number above 0'),
        (['--bad', '-1'], 'not a number above 0'),
        (['--hot', 'nan'], 'not a number above 0'),
        (['--above', 'inf'], 'a finite number or a keyword is wanted'),
        (['--lit', '0.5', '--median', '4'], 'not an odd number'),
        (['--above', '5', '--median', '5'], '--median goes with --lit'),
        (['--above', '5', '--grow', 'lit=3'], '--grow lit=3 goes with --lit'),
        (['--above', '5', '--grow', 'edge=3'], "'edge=3' is not R or OPTION=R"),
        (['--above', '5', '--grow', '-1'], "'-1' is not R or OPTION=R"),
        (['--above', '5', '--grow', '1,2'], "'2' is not R or OPTION=R"),
        (['--above', '5', '--grow', 'above='], 'is not R or OPTION=R'),
    ],
)
def test_usage(flat, capsys, words, what):
    run('flat.fits', *words, '-o', 'out.fits', status=2)
    out, err = capsys.readouterr()
    assert (out, err.count('\n')) == ('', 1)
    assert what in err


def test_an_output_is_required(flat, capsys):
    run('flat.fits', '--lit', '0.5', status=2)
    assert '-o or --prefix' in capsys.readouterr().err


class TestUse:
    """The mask goes into every option that takes one, in whatever form it was written."""

    @pytest.fixture(params=['mask.fits', 'mask.fits.gz', 'mask.fits.fz'])
    def mask(self, request, flat):
        run('flat.fits', '--lit', '0.5', '--grow', '0', '--bad', '0.5', '-o', request.param, '-q')
        return request.param, opened(request.param)[1]

    def test_statistics(self, mask, capsys):
        capsys.readouterr()
        assert img_stats.main(['flat.fits', '--mask', mask[0], '-s', 'num,mean,max', '--format', 'jsonl']) == 0
        row = json.loads(capsys.readouterr().out)
        left = scene()[~mask[1]].astype('f8')
        assert (row['num'], row['max']) == (left.size, left.max())
        assert row['mean'] == pytest.approx(left.mean(), rel=1e-12)

    def test_combination(self, mask, make_image):
        make_image('b.fits', scene() * 2)
        words = ['flat.fits', 'b.fits', '-m', 'mean', '-n', 'median', '-o', 'c.fits', '--mask', mask[0]]
        assert combine_fits.main([*words, '--norm-mask', mask[0]]) == 0
        found = fits.getdata('c.fits')
        np.testing.assert_array_equal(np.isnan(found), mask[1])
        np.testing.assert_allclose(found[~mask[1]], scene()[~mask[1]], rtol=1e-6)

    def test_levels_of_a_combination(self, mask, make_image):
        """Without --norm-mask the unlit margin, which is twice as bright in b, would tell in the mean."""
        other = scene() * 2
        other[:, :9] = 9e4
        make_image('b.fits', other)
        words = ['flat.fits', 'b.fits', '-m', 'max', '-n', 'mean', '-o', 'c.fits', '--norm-mask', mask[0]]
        assert combine_fits.main(words) == 0
        np.testing.assert_allclose(fits.getdata('c.fits')[~mask[1]], scene()[~mask[1]], rtol=1e-6)

    def test_arithmetic(self, mask, make_image):
        make_image('b.fits', scene() / 2)
        words = ['flat.fits', 'b.fits', '/', 'b.fits', '--mask', mask[0], '--prefix', 'd_']
        assert img_arith.main(words) == 0
        for name, value in (('d_flat.fits', 2), ('d_b.fits', 1)):
            found = fits.getdata(name)
            np.testing.assert_array_equal(np.isnan(found), mask[1])
            np.testing.assert_array_equal(found[~mask[1]], value)
            assert f'mask {mask[0]}' in str(fits.getheader(name)['HISTORY'])

    def test_a_mask_goes_through_arithmetic_itself(self, mask):
        assert img_arith.main([mask[0], 'x', '-1', '-o', 'negative.fits']) == 0
        np.testing.assert_array_equal(fits.getdata('negative.fits'), -1.0 * mask[1])

    def test_darks(self, mask, make_image):
        for time in (10, 20):
            make_image(f'd{time}.fits', np.full((NY, NX), 3.0 * time), EXPTIME=time)
        words = ['d10.fits', 'd20.fits', '--per-pixel', '-o', 'rate.fits', '--mask', mask[0]]
        assert fit_dark.main(words) == 0
        with fits.open('rate.fits') as hdus:
            np.testing.assert_array_equal(hdus['MASK'].data, mask[1])
        words = ['d20.fits', '--dark', 'd10.fits', '--bias-free', '-o', 'sub.fits', '--mask', mask[0]]
        assert sub_dark.main(words) == 0
        np.testing.assert_array_equal(np.isnan(fits.getdata('sub.fits')), mask[1])

    def test_responses(self, mask):
        assert flat_response.main(['flat.fits', '-d', 'y', '-k', '1', '-o', 'r.fits', '--mask', mask[0]]) == 0
        with fits.open('r.fits') as hdus:
            assert hdus['BADPIX'].data[mask[1]].all()


def test_bytes_do_not_depend_on_how_the_input_is_packed(flat, monkeypatch, tmp_path):
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1614398400')
    (tmp_path / 'gz').mkdir()
    (tmp_path / 'gz' / 'flat.fits').write_bytes(gzip.compress((tmp_path / 'flat.fits').read_bytes()))
    run('flat.fits', '--lit', '0.5', '-o', 'one.fits')
    run('gz/flat.fits', '--lit', '0.5', '-o', 'two.fits')
    assert (tmp_path / 'one.fits').read_bytes() == (tmp_path / 'two.fits').read_bytes()


class TestRealFrames:
    def test_a_flat_with_two_dark_corners(self, data, tmp_path):
        """The corners of the Nickel's filter wheel, and a bad column."""
        flats = sorted(map(str, (data / 'nickel_pluto' / 'flats').iterdir()))
        from fitsutils.commands import img_trim

        assert img_trim.main([*flats, '-o', f'{tmp_path}/t/', '-q']) == 0
        assert combine_fits.main([*map(str, sorted((tmp_path / 't').iterdir())), '-n', 'median', '-o', 'f.fits']) == 0
        run('f.fits', '--lit', '0.5', '-o', 'useful.fits')
        bad = opened('useful.fits')[1]
        assert 2000 < bad.sum() < 3500
        assert bad[:30, 0].all()
        assert bad[-40:, 0].all()
        assert not bad[60:-80].any()
        assert not bad[:, 60:].any()
        run('f.fits', '--bad', '0.2', '-o', 'bad.fits')
        assert opened('bad.fits')[1][:, 256].all()

    def test_hot_pixels_of_a_long_dark(self, data):
        (dark,) = (data / 'sbu_stl1001e').glob('*300s*')
        run(str(dark), '--hot-rate', '5', '--above', '60000', '-o', 'hot.fits')
        header, bad = opened('hot.fits')
        assert 1000 < header['NBADPIX'] < 2000
        assert header['MSKABOVE'] <= header['MSKHOT']
        assert bad.sum() == header['NBADPIX']
