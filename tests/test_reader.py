import bz2
import gc
import gzip
import os
import resource
import subprocess
import sys
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import hdus, reader, writer
from fitsutils.files import header as headers
from fitsutils.files.inputs import Reference
from fitsutils.files.section import parse_section

RNG_SEED = 20210227
INTEGERS = ('u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8')
BLOCK = 2880


def numbers(kind, shape):
    """Pixels over the whole range of a type, both ends with them."""
    rng = np.random.default_rng(RNG_SEED)
    dtype = np.dtype(kind)
    if dtype.kind == 'f':
        array = rng.normal(1000, 1e5, shape).astype(dtype)
        array.flat[:3] = np.nan, np.inf, -0.0
        return array
    limits = np.iinfo(dtype)
    array = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    array.flat[:2] = limits.min, limits.max
    return array


def opened(path, hdu=None, section=None):
    return reader.open_image(Reference(str(path)), hdu, section and parse_section(section))


def pixels(path, hdu=None, section=None, **options):
    return reader.read_pixels(opened(path, hdu, section), **options)


def same(ours, theirs):
    """Equal values, NaN in the same places, native byte order."""
    assert ours.dtype.isnative
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


def raw_file(path, cards, data=b'', pad=True):
    """A FITS file from cards as text and bytes as data, right or wrong."""
    header = ''.join(card.ljust(80) for card in (*cards, 'END')).encode('latin-1')
    content = header + b' ' * (-len(header) % BLOCK) + data
    path.write_bytes(content + bytes(-len(content) % BLOCK) if pad else content)
    return path


class TestTypes:
    @pytest.mark.parametrize('shape', [(13,), (7, 11), (3, 5, 9), (2, 3, 4, 5)])
    @pytest.mark.parametrize('kind', [*INTEGERS, 'f4', 'f8'])
    def test_every_type_and_number_of_axes(self, tmp_path, make_image, kind, shape):
        array = numbers(kind, shape)
        path = make_image(tmp_path / 'a.fits', array)
        found = pixels(path)
        same(found, array)
        assert found.dtype == array.dtype
        assert opened(path).dtype == array.dtype

    @pytest.mark.parametrize('bitpix', [8, 16, 32, 64, -32, -64])
    @pytest.mark.parametrize(('bscale', 'bzero'), [(0.5, 0), (2, 10), (-1, 3.25), (1e-3, 7000), (1, 100), (1, 0.5)])
    def test_scaling(self, tmp_path, bitpix, bscale, bzero):
        stored = {8: 'u1', 16: '>i2', 32: '>i4', 64: '>i8', -32: '>f4', -64: '>f8'}[bitpix]
        array = np.arange(-30, 33).reshape(7, 9) if bitpix != 8 else np.arange(63).reshape(7, 9)
        path = raw_file(
            tmp_path / 'a.fits',
            ['SIMPLE  =                    T', f'BITPIX  = {bitpix:20d}', 'NAXIS   =                    2',
             'NAXIS1  =                    9', 'NAXIS2  =                    7',
             f'BSCALE  = {bscale:20G}', f'BZERO   = {bzero:20G}'],
            array.astype(stored).tobytes(),
        )  # fmt: skip
        found = pixels(path)
        np.testing.assert_allclose(found, array * bscale + bzero, rtol=1e-6, atol=1e-5)
        assert found.dtype == ('f4' if bitpix in (8, 16, -32) else 'f8')

    @pytest.mark.parametrize('kind', ['u1', 'i2', 'u2', 'i4', 'u4'])
    @pytest.mark.parametrize('packed', [False, True])
    def test_blank_is_nan_and_never_a_number(self, tmp_path, kind, packed):
        array = np.arange(63, dtype=kind).reshape(7, 9)
        half = 2 ** (8 * np.dtype(kind).itemsize - 1) if kind in ('u2', 'u4') else 0
        header = fits.Header({'BLANK': 5 - half})
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            hdu = fits.PrimaryHDU(array) if not packed else fits.CompImageHDU(array, compression_type='RICE_1')
            hdu.header.update(header)
            fits.HDUList([hdu] if not packed else [fits.PrimaryHDU(), hdu]).writeto(tmp_path / 'a.fits')
        found = pixels(tmp_path / 'a.fits')
        expected = array.astype('f8')
        expected[array == 5] = np.nan
        same(found, expected)
        assert found.dtype == ('f4' if np.dtype(kind).itemsize < 4 else 'f8')

    def test_blank_of_floats_means_nothing(self, tmp_path, make_image):
        array = np.arange(35, dtype='f4').reshape(5, 7)
        same(pixels(make_image(tmp_path / 'a.fits', array, BLANK=3)), array)

    @pytest.mark.parametrize(('card', 'match'), [("BZERO   = 'much'", 'BZERO'), ('BSCALE  =  0', 'BSCALE = 0')])
    def test_scaling_that_makes_no_sense(self, tmp_path, card, match):
        path = raw_file(tmp_path / 'a.fits', ['SIMPLE  =                    T', 'BITPIX  =                    8',
            'NAXIS   =                    1', 'NAXIS1  =                    3', card], b'abc')  # fmt: skip
        with pytest.raises(Failure, match=match):
            opened(path)

    @pytest.mark.parametrize('lead', [(1,), (1, 1)])
    def test_leading_axes_of_length_1_go(self, tmp_path, make_image, lead):
        array = numbers('i2', (*lead, 5, 7))
        path = make_image(tmp_path / 'a.fits', array)
        assert opened(path).full_shape == (5, 7)
        same(pixels(path), array.reshape(5, 7))
        same(pixels(path, section='[2:3,4:5]'), array.reshape(5, 7)[3:5, 1:3])

    def test_other_axes_of_length_1_stay(self, tmp_path, make_image):
        array = numbers('i2', (3, 1, 7))
        same(pixels(make_image(tmp_path / 'a.fits', array)), array)
        column = numbers('i2', (5, 1))
        same(pixels(make_image(tmp_path / 'b.fits', column)), column)


class TestHdus:
    @pytest.fixture
    def path(self, tmp_path):
        hdus = [fits.PrimaryHDU()]
        hdus.append(fits.BinTableHDU.from_columns([fits.Column('x', 'J', array=[1, 2, 3])], name='CAT'))
        for number, (name, version) in enumerate([('SCI', 1), ('DQ', 1), ('SCI', 2)]):
            hdus.append(fits.ImageHDU(np.full((3 + number, 7), number, 'i2'), name=name, ver=version))
        hdus.append(fits.CompImageHDU(np.full((11, 8), 9, 'i2'), name='PACKED'))
        hdus[0].header['OBJECT'] = 'M 1'
        hdus[0].header['EXPTIME'] = 60.0
        hdus[2].header['EXPTIME'] = 61.0
        hdus[3].header['INHERIT'] = False
        fits.HDUList(hdus).writeto(tmp_path / 'm.fits')
        return str(tmp_path / 'm.fits')

    @pytest.mark.parametrize(
        ('hdu', 'index', 'shape'),
        [(None, 2, (3, 7)), (3, 3, (4, 7)), ('SCI', 2, (3, 7)), (('SCI', 2), 4, (5, 7)), ('PACKED', 5, (11, 8))],
    )
    def test_choice(self, path, hdu, index, shape):
        image = opened(path, hdu)
        assert (image.index, image.full_shape) == (index, shape)
        same(reader.read_pixels(image), np.full(shape, {2: 0, 3: 1, 4: 2, 5: 9}[index]))

    @pytest.mark.parametrize(
        ('hdu', 'match'),
        [
            (0, 'HDU 0 holds no image'),
            (1, 'HDU 1 holds no image'),
            ('CAT', 'HDU CAT holds no image'),
            (6, 'there is no HDU 6'),
            ('ERR', 'there is no HDU ERR'),
            (('SCI', 3), 'there is no HDU SCI,3'),
        ],
    )
    def test_no_such_image(self, path, hdu, match):
        with pytest.raises(Failure, match=f'm.fits: {match}'):
            opened(path, hdu)

    def test_inherited_cards(self, path):
        assert opened(path, 2).header['OBJECT'] == 'M 1'
        assert opened(path, 2).header['EXPTIME'] == 61.0
        assert opened(path, 4).header['EXPTIME'] == 60.0
        assert opened(path, 5).header['OBJECT'] == 'M 1'
        assert 'OBJECT' not in opened(path, 3).header

    def test_header_alone(self, path):
        assert hdus.read_header(Reference(path))['EXPTIME'] == 61.0
        assert hdus.read_header(Reference(path), 1)['EXTNAME'] == 'CAT'
        assert hdus.read_header(Reference(path, 0))['OBJECT'] == 'M 1'

    def test_header_of_a_file_without_an_image(self, tmp_path):
        fits.PrimaryHDU(header=fits.Header({'OBJECT': 'M 2'})).writeto(tmp_path / 'n.fits')
        assert hdus.read_header(Reference(str(tmp_path / 'n.fits')))['OBJECT'] == 'M 2'
        with pytest.raises(Failure, match='no HDU holds an image'):
            opened(tmp_path / 'n.fits')

    def test_a_reference_s_hdu_wins_and_a_part_lies_within_its_own(self, path):
        image = reader.open_image(Reference(path, 4, parse_section('[2:3,1:5]')), 2, parse_section('[2,3:4]'))
        assert (image.index, image.shape) == (4, (2, 1))
        assert image.part() == f'{path}[4][3:3,3:4]'
        with pytest.raises(Failure, match=r'region \[3:3,1:1\] goes beyond'):
            reader.open_image(Reference(path, 4, parse_section('[2:3,1:5]')), None, parse_section('[3,1]'))
        assert image.name == 'm.fits[4][2:3,1:5]'

    def test_random_groups_are_no_image(self, tmp_path):
        group = fits.GroupData(np.ones((4, 1, 1, 3), 'f4'), parnames=['u'], pardata=[np.arange(4.0)], bitpix=-32)
        fits.HDUList([fits.GroupsHDU(group), fits.ImageHDU(np.ones((3, 4)))]).writeto(tmp_path / 'g.fits')
        assert opened(tmp_path / 'g.fits').index == 1


class TestCompressed:
    """A packed file gives the pixels of its plain twin."""

    @pytest.mark.parametrize('kind', ['u2', 'i4', 'f4'])
    @pytest.mark.parametrize(('suffix', 'pack'), [('.gz', gzip.compress), ('.bz2', bz2.compress), ('', gzip.compress)])
    def test_packed_files(self, tmp_path, make_image, kind, suffix, pack):
        array = numbers(kind, (3, 5, 7))
        plain = make_image(tmp_path / 'a.fits', array)
        packed = tmp_path / f'p.fits{suffix}'
        with open(plain, 'rb') as file:
            packed.write_bytes(pack(file.read()))
        same(pixels(packed), array)
        same(pixels(packed, section='[2:6,2:3,3]'), array[2:3, 1:3, 1:6])

    @pytest.mark.parametrize('tiles', [None, (1, 13), (3, 4), (8, 13)])
    @pytest.mark.parametrize('method', ['RICE_1', 'GZIP_1', 'GZIP_2', 'HCOMPRESS_1', 'PLIO_1'])
    def test_tiles(self, tmp_path, method, tiles):
        if method == 'HCOMPRESS_1':
            tiles = tiles and (4, 13)  # it wants tiles of four rows or more
        array = np.random.default_rng(3).integers(0, 4000, (8, 13)).astype('i2')
        hdu = fits.CompImageHDU(array, compression_type=method, tile_shape=tiles)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / 'a.fits.fz')
        same(pixels(tmp_path / 'a.fits.fz'), array)
        same(pixels(tmp_path / 'a.fits.fz', section='[3:9,2:6]'), array[1:6, 2:9])

    @pytest.mark.parametrize('kind', ['u1', 'i2', 'u2', 'i4', 'u4'])
    @pytest.mark.parametrize('shape', [(13,), (7, 11), (3, 5, 7)])
    def test_tiles_of_every_integer(self, tmp_path, kind, shape):
        array = numbers(kind, shape)
        hdu = fits.CompImageHDU(array, compression_type='RICE_1')
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / 'a.fits.fz')
        found = pixels(tmp_path / 'a.fits.fz')
        same(found, array)
        assert found.dtype == array.dtype

    @pytest.mark.parametrize('method', ['RICE_1', 'GZIP_1', 'HCOMPRESS_1'])
    @pytest.mark.parametrize('dither', [-1, 1, 2])
    def test_quantised_floats_equal_astropy_s(self, tmp_path, method, dither):
        array = np.random.default_rng(4).normal(100, 5, (64, 40)).astype('f4')
        array[3, 5] = np.nan
        array[4, :6] = 0
        hdu = fits.CompImageHDU(array, compression_type=method, quantize_level=4, quantize_method=dither)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / 'a.fits.fz')
        with fits.open(tmp_path / 'a.fits.fz') as hdus:
            same(pixels(tmp_path / 'a.fits.fz'), hdus[1].data)
        assert np.isnan(pixels(tmp_path / 'a.fits.fz')[3, 5])

    def test_tiles_within_gzip(self, tmp_path):
        array = numbers('i2', (7, 11))
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(array)]).writeto(tmp_path / 'a.fits')
        (tmp_path / 'a.fits.gz').write_bytes(gzip.compress((tmp_path / 'a.fits').read_bytes()))
        same(pixels(tmp_path / 'a.fits.gz'), array)

    def test_scaled_tiles(self, tmp_path):
        hdu = fits.CompImageHDU(np.arange(77, dtype='i2').reshape(7, 11))
        hdu.header['BSCALE'], hdu.header['BZERO'] = 0.5, 3
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / 'a.fits.fz')
        with fits.open(tmp_path / 'a.fits.fz') as hdus:
            same(pixels(tmp_path / 'a.fits.fz'), hdus[1].data)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bands')
    array = numbers('u2', (5, 6, 7))
    fits.PrimaryHDU(array).writeto(folder / 'plain.fits')
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(array, tile_shape=(1, 4, 5))]).writeto(folder / 'a.fits.fz')
    (folder / 'a.fits.gz').write_bytes(gzip.compress((folder / 'plain.fits').read_bytes()))
    return folder, array


class TestParts:
    """A part is the same as numpy's part of the whole."""

    def test_a_fits_section_is_numpy_s_slice(self, tmp_path, make_image):
        array = np.arange(2040 * 2110, dtype='i4').reshape(2040, 2110)
        path = make_image(tmp_path / 'a.fits', array)
        image = opened(path, section='[61:2100,21:2032]')
        same(reader.read_pixels(image), array[20:2032, 60:2100])
        assert image.part() == f'{path}[61:2100,21:2032]'

    @pytest.mark.parametrize(
        ('section', 'part'),
        [
            ('[2:4,3:5]', np.s_[:, 2:5, 1:4]),
            ('[*,*,2]', np.s_[1:2]),
            ('[3,*,2:4]', np.s_[1:4, :, 2:3]),
            ('[1:9,5,4]', np.s_[3:4, 4:5, :]),
        ],
    )
    def test_parts_of_a_cube(self, tmp_path, make_image, section, part):
        array = numbers('u2', (4, 6, 9))
        path = make_image(tmp_path / 'a.fits', array)
        same(pixels(path, section=section), array[part])

    @pytest.mark.parametrize('section', ['[1:10,1:6]', '[*,*,5]', '[1,1,1,1]'])
    def test_beyond_the_image(self, tmp_path, make_image, section):
        path = make_image(tmp_path / 'a.fits', numbers('u2', (4, 6, 9)))
        with pytest.raises(Failure, match=r'a\.fits: region'):
            opened(path, section=section)

    def test_planes_and_cut(self, tmp_path, make_image):
        array = numbers('i2', (3, 6, 9))
        image = opened(make_image(tmp_path / 'a.fits', array), section='[2:8,2:5]')
        for place, plane in enumerate(image.planes()):
            same(reader.read_pixels(plane), array[place : place + 1, 1:5, 1:8])
        same(reader.read_pixels(image.cut(parse_section('[2:3,4]'))), array[:, 4:5, 2:4])

    @pytest.mark.parametrize('name', ['plain.fits', 'a.fits.fz', 'a.fits.gz'])
    @given(data=st.data())
    def test_bands_make_the_whole(self, files, name, data):
        folder, array = files
        lows = [data.draw(st.integers(0, length - 1)) for length in array.shape]
        bounds = [(low, data.draw(st.integers(low + 1, length))) for low, length in zip(lows, array.shape, strict=True)]
        section = ','.join(f'{low + 1}:{high}' for low, high in reversed(bounds))
        image = opened(folder / name, section=section)
        height = data.draw(st.integers(1, image.rows))
        with reader.unpacked([image]):
            bands = [
                reader.read_rows(image, start, min(start + height, image.rows))
                for start in range(0, image.rows, height)
            ]
        same(np.concatenate(bands).reshape(image.shape), array[tuple(slice(*axis) for axis in bounds)])

    def test_inputs_are_only_read(self, tmp_path, make_image):
        path = make_image(tmp_path / 'a.fits', numbers('u2', (5, 7)))
        os.chmod(path, 0o444)
        before = os.stat(path).st_mtime_ns, (tmp_path / 'a.fits').read_bytes()
        pixels(path, section='[1:3,2:4]')
        assert (os.stat(path).st_mtime_ns, (tmp_path / 'a.fits').read_bytes()) == before


class TestMasks:
    def test_of_the_whole_of_the_part_of_each_plane(self, tmp_path, make_image):
        cube = opened(make_image(tmp_path / 'c.fits', numbers('i2', (3, 6, 9))))
        part = opened(tmp_path / 'c.fits', section='[2:4,3:6]')
        bad = np.zeros((3, 6, 9), 'u1')
        bad[1, 2, 3] = 7
        whole = opened(make_image(tmp_path / 'm.fits', bad))
        plane = opened(make_image(tmp_path / 'p.fits', bad[1]))
        small = opened(make_image(tmp_path / 's.fits', bad[1, 2:6, 1:4]))
        same(reader.read_mask(whole, cube), bad != 0)
        same(reader.read_mask(plane, cube), np.broadcast_to(bad[1] != 0, bad.shape))
        same(reader.read_mask(whole, part), bad[:, 2:6, 1:4] != 0)
        same(reader.read_mask(plane, part), np.broadcast_to(bad[1, 2:6, 1:4] != 0, part.shape))
        same(reader.read_mask(small, part), np.broadcast_to(bad[1, 2:6, 1:4] != 0, part.shape))
        assert reader.read_mask(None, cube) is None

    def test_of_another_size(self, tmp_path, make_image):
        image = opened(make_image(tmp_path / 'a.fits', numbers('i2', (6, 9))))
        mask = opened(make_image(tmp_path / 'm.fits', np.zeros((5, 9), 'u1')))
        with pytest.raises(Failure, match='9 x 5 and 9 x 6 pixels'):
            reader.read_mask(mask, image)

    def test_nan_is_bad(self, tmp_path, make_image):
        image = opened(make_image(tmp_path / 'a.fits', numbers('i2', (2, 3))))
        mask = opened(make_image(tmp_path / 'm.fits', np.array([[0, np.nan, 0], [1, 0, 0]])))
        same(reader.read_mask(mask, image), np.array([[False, True, False], [True, False, False]]))

    def test_one_only(self, tmp_path, make_image):
        for name in 'ab':
            make_image(tmp_path / f'{name}.fits', np.zeros((2, 3)))
        with pytest.raises(Failure, match='one mask is wanted'):
            reader.open_mask(str(tmp_path / '?.fits'))


def both(path, keywords=()):
    """An image opened the short way, None where that is not taken, and by astropy with its warnings."""
    covered = reader._covered(tuple(keywords))
    short = reader._open_plain(Reference(str(path)), covered)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        return short, reader._open_any(Reference(str(path)), None, covered), caught


def assert_both_ways_alike(path, keywords=()):
    """Whether the short way is taken; it must give all that the long one gives, which has nothing to warn of."""
    try:
        short, long, caught = both(path, keywords)
    except Failure:
        assert reader._open_plain(Reference(str(path)), reader._covered(())) is None
        return False
    if short is None:
        return False
    assert not caught
    for name in reader.Image.__slots__:
        if name not in ('keywords', 'header'):
            assert getattr(short, name) == getattr(long, name), name
    assert dict(short.keywords) == dict(long.keywords)
    assert {key: type(value) for key, value in short.keywords.items()} == {
        key: type(value) for key, value in long.keywords.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', fits.verify.VerifyWarning)  # of later cards of a keyword, which do not count
        assert short.header.tostring() == long.header.tostring()
    return True


LOOKED_UP = [*headers.ALIASES, 'DATE-OBS', 'LEVEL', 'BUNIT', 'lower', 'HIERARCH X', 'HISTORY']
ODD = ["OBJECT  = 'no end", 'EXPTIME = 1 2 3', 'lower   = 3', 'FILTER  =R', "TELESC  = '\xe9'", 'X       = \x1b[31m',
       'NOEQUALS 12', "HIERARCH ESO DET NAME = 'x'", 'PCOUNT  = 1', 'GCOUNT  = 2', 'GROUPS  = T', "BLANK   = '1'",
       'END     x', "LONG    = 'a&'", "CONTINUE  'b'", 'EXPTIME = (1, 2)', 'BSCALE  = 1 2']  # fmt: skip
USUAL = ["OBJECT  = 'M 1'", 'EXPTIME = 60.', 'EXPOSURE= 61', "DATE-OBS= '2021-02-27'", "TIME-OBS= '01:02:03.5'",
         'GAIN    = 1.5D0 / x', 'EXPTIME = 7', 'FILTER  =', "FILTNAM = 'V'", 'CCD-TEMP= -20', 'LEVEL   = 3',
         'HISTORY a', 'COMMENT = b', '', 'BZERO   = 32768', 'BSCALE  = 0.5', 'BLANK   = 7', "CHECKSUM= ''",
         "DATASUM = '12'", "BUNIT   = 'adu'", 'PCOUNT  = 0', 'GCOUNT  = 1', 'XBINNING= T', 'MJD-OBS = 59000.25',
         "TELESC  = 'a: b'"]  # fmt: skip


class TestShortWay:
    """An ordinary header is read as bytes, to the same end as astropy reads it."""

    def test_ordinary_frames_take_it(self, tmp_path, make_image):
        for kind in INTEGERS + ('f4', 'f8'):
            path = make_image(tmp_path / 'a.fits', numbers(kind, (3, 5, 7)), OBJECT='M 1', EXPTIME=6.5, LEVEL=3)
            assert assert_both_ways_alike(path, ['LEVEL'])

    def test_sums(self, tmp_path):
        writer.write_fits(str(tmp_path / 'a.fits'), [(numbers('u2', (5, 7)), fits.Header())])
        assert assert_both_ways_alike(tmp_path / 'a.fits')
        assert opened(tmp_path / 'a.fits').has_sums

    @pytest.mark.unverified
    @given(st.lists(st.one_of(st.sampled_from(USUAL), st.sampled_from(USUAL), st.sampled_from(ODD)), max_size=9))
    def test_both_ways_give_the_same(self, tmp_path, cards):
        path = raw_file(tmp_path / 'a.fits', [*CARDS, *cards], DATA)
        taken = assert_both_ways_alike(path, ['LEVEL'])
        first = {card[:8]: card for card in reversed(cards)}.values()  # of each keyword the one that counts
        assert not (taken and set(first) & (set(ODD) - {"CONTINUE  'b'", "LONG    = 'a&'", "BLANK   = '1'"}))
        if set(cards) <= set(USUAL) and not taken:
            pytest.fail('the short way does for these')

    def test_wherever_it_leads(self, data):
        paths = [path for path in data.rglob('*') if path.is_file()]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            assert sum(assert_both_ways_alike(path) for path in paths) > 50

    def test_one_open(self, tmp_path, make_image, monkeypatch):
        path = make_image(tmp_path / 'a.fits', numbers('u2', (5, 7)))
        calls = []
        for name in ('open', 'fstat', 'stat'):
            inner = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *args, name=name, inner=inner: calls.append(name) or inner(*args))
        opened(path)
        assert calls == ['open', 'fstat']


class TestKeywords:
    @pytest.fixture(params=['plain', 'odd', 'extension', 'packed'])
    def image(self, request, tmp_path, make_image):
        cards = {
            'EXPOSURE': 2.5,
            'DATE__OBS': '2021-02-27',
            'UT': '01:00:00',
            'GAIN': 'high',
            'LEVEL': 3,
            'BUNIT': 'adu',
        }
        path = make_image(tmp_path / 'a.fits', numbers('u2', (5, 7)), **cards)
        if request.param == 'odd':
            fits.setval(path, 'HIERARCH ESO DET', value='x')
        if request.param == 'extension':
            with fits.open(path) as found:
                extension = fits.ImageHDU(found[0].data)
                fits.HDUList([fits.PrimaryHDU(header=found[0].header), extension]).writeto(path, overwrite=True)
        if request.param == 'packed':
            (tmp_path / 'a.fits.gz').write_bytes(gzip.compress((tmp_path / 'a.fits').read_bytes()))
            path += '.gz'
        return reader.open_image(Reference(path), keywords=['level'])

    def test_they_stand_for_the_header(self, image):
        assert (image._header, 'LEVEL' in image.keywords) == (None, True)
        for key in LOOKED_UP:
            assert headers.lookup(image.keywords, key) == headers.lookup(image.header, key), key
            assert headers.value(image.keywords, key) == headers.value(image.header, key), key
        assert headers.exposure(image.keywords) == 2.5
        assert headers.observation_time(image.keywords) == headers.observation_time(image.header)
        assert headers.needed_number(image.keywords, 'LEVEL', 'x') == 3
        with pytest.raises(Failure, match=r"x: keyword GAIN = 'high' is not a number"):
            headers.needed_number(image.keywords, 'GAIN', 'x')

    def test_differences_are_found_in_them(self, image, tmp_path, make_image):
        other = opened(make_image(tmp_path / 'b.fits', numbers('u2', (5, 7)), EXPTIME=3.0, GAIN=1))
        told = []
        for frames in ([image.keywords, other.keywords], [image.header, other.header]):
            with pytest.warns(FileWarning) as caught:
                headers.warn_of_differences(frames, ['one', 'two'])
            told.append([str(each.message) for each in caught])
        assert told[0] == told[1] == ['GAIN differs: high in one, 1 in two', 'EXPTIME differs: 2.5 in one, 3.0 in two']

    def test_only_others_cost_the_header(self, image, monkeypatch):
        parsed = []
        inner = reader._parsed_header
        monkeypatch.setattr(reader, '_parsed_header', lambda image: parsed.append(image) or inner(image))
        headers.observation_time(image.keywords)
        headers.lookup(image.keywords, 'LEVEL')
        headers.lookup(image.keywords, 'FILTER')
        assert parsed == []
        assert [headers.value(image.keywords, 'BUNIT') for _ in range(2)] == ['adu', 'adu']
        assert headers.value(image.keywords, 'NONE') is None
        assert len(parsed) == 2
        assert image._header is None

    def test_the_header_is_kept_and_of_the_same_file(self, image):
        assert image.header is image.header
        other = reader.open_image(image.reference)
        os.utime(image.path, ns=(0, 0))
        with pytest.raises(Failure, match='the file has changed since its header was read'):
            _ = other.header
        assert image.header['LEVEL'] == 3

    def test_many_images_take_little_memory(self, tmp_path, make_image):
        cards = {f'KEY{number}': number for number in range(100)}
        cards |= {'OBJECT': 'M 1', 'EXPTIME': 6.5, 'FILTER': 'V', 'DATE__OBS': '2021-02-27T04:12:33'}
        path = make_image(tmp_path / 'a.fits', numbers('u2', (5, 7)), **cards)
        opened(path)
        gc.collect()
        tracemalloc.start()
        images = [opened(path) for _ in range(200)]
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert size / len(images) < 5000


class TestRuns:
    @given(data=st.data())
    def test_rows_of_parts_lie_where_numpy_has_them(self, files, data):
        folder, array = files
        lows = [data.draw(st.integers(0, length - 1)) for length in array.shape]
        bounds = [(low, data.draw(st.integers(low + 1, length))) for low, length in zip(lows, array.shape, strict=True)]
        image = opened(folder / 'plain.fits', section=','.join(f'{low + 1}:{high}' for low, high in reversed(bounds)))
        numbered = np.arange(30).reshape(5, 6)[tuple(slice(*axis) for axis in bounds[:2])].ravel()
        start = data.draw(st.integers(0, image.rows))
        stop = data.draw(st.integers(start, image.rows))
        found = [first + step for _, first, count in image.runs(start, stop) for step in range(count)]
        assert found == list(numbered[start:stop])
        assert [size // 14 for _, size in image.extents(start, stop)] == [
            count for *_, count in image.runs(start, stop)
        ]

    def test_a_whole_image_has_one(self, files):
        image = opened(files[0] / 'plain.fits')
        assert list(image.runs(0, 30)) == [(0, 0, 30)]
        assert list(image.runs(7, 9)) == [(0, 7, 2)]
        assert list(image.runs(4, 4)) == [(0, 4, 0)]


CARDS = ['SIMPLE  =                    T', 'BITPIX  =                   16', 'NAXIS   =                    2',
         'NAXIS1  =                    9', 'NAXIS2  =                    7']  # fmt: skip
DATA = np.arange(63, dtype='>i2').tobytes()


def replaced(keyword, value):
    return [card if not card.startswith(keyword.ljust(8)) else f'{keyword:8}= {value:>20}' for card in CARDS]


@pytest.mark.unverified
class TestDamage:
    """What is wrong with a file is one failure that names it."""

    def test_no_file(self, tmp_path):
        with pytest.raises(Failure, match=r'gone\.fits: No such file'):
            opened(tmp_path / 'gone.fits')

    @pytest.mark.parametrize(
        ('content', 'match'),
        [
            (b'', 'the file is empty'),
            (b'S', 'does not begin with SIMPLE'),
            (b'GIF89a' + bytes(5000), 'does not begin with SIMPLE'),
            (b'\x1f\x8b', '.'),
            (b'\x1f\x8bnonsense and more of it', '.'),
            (b'BZh9nonsense and more of it', '.'),
            (gzip.compress(b'', mtime=0), 'does not begin with SIMPLE'),
            (gzip.compress(b'hello', mtime=0), 'does not begin with SIMPLE'),
        ],
    )
    def test_not_fits(self, tmp_path, content, match):
        (tmp_path / 'a.fits').write_bytes(content)
        with pytest.raises(Failure, match=f'a.fits: .*{match}'):
            opened(tmp_path / 'a.fits')

    def test_a_folder_a_pipe_a_device(self, tmp_path):
        os.mkfifo(tmp_path / 'p.fits')
        with pytest.raises(Failure, match='is a folder'):
            opened(tmp_path)
        with pytest.raises(Failure, match='is a pipe or a device'):
            opened(tmp_path / 'p.fits')
        with pytest.raises(Failure, match='is a pipe or a device'):
            opened('/dev/null')

    @pytest.mark.parametrize('size', [1, 79, 80, 400, 2879])
    def test_header_cut(self, tmp_path, size):
        path = raw_file(tmp_path / 'a.fits', CARDS, DATA)
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(Failure, match=r'a\.fits: '):
            opened(path)

    def test_no_end_card(self, tmp_path):
        card = b'COMMENT no end'.ljust(80)
        (tmp_path / 'a.fits').write_bytes(b'SIMPLE  =                    T'.ljust(80) + card * 20_000)
        start = time.perf_counter()
        with pytest.raises(Failure, match='has no END card'):
            opened(tmp_path / 'a.fits')
        assert time.perf_counter() - start < 2

    def test_data_cut(self, tmp_path):
        path = raw_file(tmp_path / 'a.fits', CARDS, DATA)
        path.write_bytes(path.read_bytes()[: BLOCK + 125])
        with pytest.raises(Failure, match=r'a\.fits: the data are cut off: 125 bytes of 126'):
            opened(path)
        assert hdus.read_header(Reference(str(path)))['NAXIS1'] == 9

    def test_padding_cut_is_a_warning(self, tmp_path):
        path = raw_file(tmp_path / 'a.fits', CARDS, DATA, pad=False)
        with pytest.warns(FileWarning, match=r'a\.fits: the padding'):
            image = opened(path)
        same(reader.read_pixels(image), np.arange(63).reshape(7, 9))

    @pytest.mark.parametrize('keep', [0.05, 0.5, 0.9, 0.999])
    @pytest.mark.parametrize('pack', [gzip.compress, bz2.compress])
    def test_packed_data_cut(self, tmp_path, make_image, keep, pack):
        plain = make_image(tmp_path / 'plain.fits', np.random.default_rng(5).integers(0, 9999, (90, 110)).astype('i4'))
        with open(plain, 'rb') as file:
            packed = pack(file.read())
        (tmp_path / 'a.fits.gz').write_bytes(packed[: int(keep * len(packed))])
        with pytest.raises(Failure, match=r'a\.fits\.gz: '):
            pixels(tmp_path / 'a.fits.gz')

    @pytest.mark.parametrize(
        ('keyword', 'value', 'match'),
        [
            ('BITPIX', '17', 'BITPIX = 17'),
            ('BITPIX', "'abc'", 'BITPIX'),
            ('NAXIS', '-1', 'NAXIS = -1'),
            ('NAXIS', '1000', 'NAXIS = 1000'),
            ('NAXIS', '3', 'NAXIS3 is missing'),
            ('NAXIS', '0', 'no HDU holds an image'),
            ('NAXIS1', '-9', 'negative length'),
            ('NAXIS1', '0', 'axis of length 0'),
            ('NAXIS1', '1.5', 'is not an integer'),
            ('NAXIS1', 'T', 'is not an integer'),
            ('NAXIS1', "'9'", 'is not an integer'),
            ('NAXIS1', '', 'NAXIS1 is missing'),
            ('NAXIS2', '1000000000000', 'the data are cut off'),
            ('NAXIS2', '99999999999999999999', 'the data are cut off'),
            ('NAXIS2', '1E400', 'NAXIS2'),
        ],
    )
    def test_absurd_structure(self, tmp_path, keyword, value, match):
        path = raw_file(tmp_path / 'a.fits', replaced(keyword, value), DATA)
        with pytest.raises(Failure, match=f'a.fits: .*{match}'):
            opened(path)

    @pytest.mark.parametrize('card', ['PCOUNT  = -99999999', 'GCOUNT  = -1'])
    def test_negative_sizes(self, tmp_path, card):
        with pytest.raises(Failure, match='is negative'):
            opened(raw_file(tmp_path / 'a.fits', [*CARDS, card], DATA), 1)

    def test_structure_written_as_floats(self, tmp_path):
        path = raw_file(tmp_path / 'a.fits', replaced('NAXIS1', '9.'), DATA)
        same(pixels(path), np.arange(63).reshape(7, 9))

    def test_an_absurd_hdu_hides_what_is_behind_it(self, tmp_path):
        path = raw_file(tmp_path / 'a.fits', replaced('NAXIS2', '9' * 20), DATA)
        with pytest.raises(Failure, match='there is no HDU 1'):
            opened(path, 1)

    def test_rubbish_behind_the_image(self, tmp_path):
        path = raw_file(tmp_path / 'a.fits', CARDS, DATA)
        with open(path, 'ab') as file:
            file.write(b'rubbish' * 1000)
        same(pixels(path), np.arange(63).reshape(7, 9))

    def test_malformed_cards_leave_the_others_alone(self, tmp_path):
        odd = ["OBJECT  = 'no end", 'EXPTIME = 1 2 3', 'lower   = 3', 'FILTER  =R', 'AIRMASS = 1.2.3 / two points']
        odd += ["TEL\xe9SC  = 'a'", "OBSERVER= 'J\xf8rgen'", 'GAIN    = 2.5', 'GAIN    = 7', '= ', 'X       = \x1b[31m']
        odd += ["GROUPS  = 'x", 'XTENSION= 1 2', 'PCOUNT  =', "EXTNAME = 'x", 'BLANK   = 1 2', 'INHERIT = what']
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            image = opened(raw_file(tmp_path / 'a.fits', [*CARDS, "CONTINUE  'nothing'", *odd], DATA))
        assert image.header['GAIN'] == 2.5
        same(reader.read_pixels(image), np.arange(63).reshape(7, 9))

    def test_end_padded_with_zeros(self, tmp_path):
        path = raw_file(tmp_path / 'a.fits', CARDS, DATA)
        content = path.read_bytes()
        end = content.index(b'END  ') + 3
        path.write_bytes(content[:end] + bytes(BLOCK - end) + content[BLOCK:])
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            same(pixels(path), np.arange(63).reshape(7, 9))

    @pytest.mark.parametrize('pack', [bytes, gzip.compress])
    def test_a_file_that_changes(self, tmp_path, pack):
        path = raw_file(tmp_path / 'a.fits', CARDS, DATA)
        path.write_bytes(pack(path.read_bytes()))
        image = opened(path)
        os.utime(path, ns=(0, 0))
        with pytest.raises(Failure, match='the file has changed'):
            reader.read_pixels(image)

    def test_a_file_that_goes(self, tmp_path):
        image = opened(raw_file(tmp_path / 'a.fits', CARDS, DATA))
        os.unlink(tmp_path / 'a.fits')
        with pytest.raises((Failure, OSError), match=r'a\.fits'):
            reader.read_pixels(image)


class TestSizes:
    def test_gzip_bomb(self, tmp_path):
        """A gigabyte of zeros behind the image is never unpacked; one that is declared is refused."""
        path = tmp_path / 'a.fits.gz'
        raw_file(tmp_path / 'a.fits', CARDS, DATA)
        with gzip.open(path, 'wb') as file:
            file.write((tmp_path / 'a.fits').read_bytes())
            for _ in range(64):
                file.write(bytes(1 << 20))
        same(pixels(path, max_size=10_000), np.arange(63).reshape(7, 9))
        with pytest.raises(Failure, match=r'declares 3006 bytes, more than --max-size 3000'):
            pixels(path, max_size=3000)

    def test_declared_tiles(self, tmp_path):
        hdu = fits.CompImageHDU(np.zeros((7, 9), 'i2'))
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / 'a.fits.fz')
        with pytest.raises(Failure, match='declares 126 bytes of pixels, more than --max-size 125'):
            pixels(tmp_path / 'a.fits.fz', max_size=125)
        same(pixels(tmp_path / 'a.fits.fz', max_size=126), np.zeros((7, 9)))

    def test_nothing_stays_behind(self, tmp_path, monkeypatch, make_image):
        monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'tmp'))
        (tmp_path / 'tmp').mkdir()
        path = tmp_path / 'a.fits.gz'
        make_image(tmp_path / 'a.fits', np.ones((3, 4)))
        path.write_bytes(gzip.compress((tmp_path / 'a.fits').read_bytes()))
        image = opened(path)
        with reader.unpacked([image]):
            assert os.listdir(tmp_path / 'tmp')
        assert os.listdir(tmp_path / 'tmp') == []

    def test_many_files_with_few_open(self, tmp_path, make_image):
        for number in range(90):
            make_image(tmp_path / f'{number:02d}.fits', np.full((3, 4), number, 'i2'))
        code = (
            'import sys, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n'
            'from fitsutils.files import inputs, reader\n'
            'images = [reader.open_image(r) for r in inputs.expand(sys.argv[1:])]\n'
            'print(int(sum(reader.read_rows(image, 1, 2).sum() for image in images)))\n'
        )
        done = subprocess.run([sys.executable, '-c', code, str(tmp_path / '*.fits')], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f'{4 * 45 * 89}\n', '')
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 40


@pytest.fixture(scope='module')
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fuzz')
    array = np.random.default_rng(6).integers(0, 4000, (7, 11)).astype('i2')
    made = []
    for number, hdu in enumerate(
        [fits.ImageHDU(array), fits.CompImageHDU(array), fits.CompImageHDU(array.astype('f4'), quantize_level=4)]
    ):
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / f'{number}.fits')
        made.append((folder / f'{number}.fits').read_bytes())
    return folder, made


def failure_of(path):
    """What reading a file fails with; None when it does not."""
    try:
        pixels(path, checksum='warn')
    except Failure as failure:
        return str(failure)
    return None


class TestFuzz:
    """Bytes changed anywhere give pixels or a failure, nothing else."""

    @given(
        st.integers(0, 2),
        st.lists(st.tuples(st.integers(0, 9000), st.sampled_from(b" 0129-+.=/'TFE\x00\xff\x1b")), max_size=6),
        st.integers(0, 9000),
    )
    def test_a_result_or_a_failure(self, contents, number, changes, cut):
        folder, made = contents
        content = bytearray(made[number])
        for place, byte in changes:
            content[place % len(content)] = byte
        (folder / 'x.fits').write_bytes(content[: len(content) - cut % 97])
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            complaint = failure_of(folder / 'x.fits')
        assert complaint is None or 'x.fits' in complaint


def test_a_reader_keeps_the_last_three_images(tmp_path, make_image, monkeypatch):
    images = [opened(make_image(tmp_path / f'{level}.fits', np.full((2, 3), level, 'u2'))) for level in range(4)]
    reads = []
    real = reader.read_pixels
    monkeypatch.setattr(reader, 'read_pixels', lambda image, **options: reads.append(image) or real(image, **options))
    read = reader.Reader('ignore', 10**9)
    for level in (0, 1, 2, 0, 1, 2, 3, 2, 0):
        np.testing.assert_array_equal(read(images[level]), np.full((2, 3), level))
    assert [images.index(image) for image in reads] == [0, 1, 2, 3, 0]
    part = images[3].cut(parse_section('[1:2,1:1]'))
    assert read(part).shape == (1, 2)
    assert read.once(images[3]).shape == (2, 3)
