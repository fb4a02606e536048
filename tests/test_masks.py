import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import masks, reader, stack
from fitsutils.files.inputs import expand

SHAPE = (6, 9)


def bad(seed, shape=SHAPE):
    return (np.random.default_rng(seed).random(shape) < 0.3).astype('u1')


def write(path, *extensions, shape=SHAPE, **cards):
    """An image and its extensions: name, version and pixels of each."""
    primary = fits.PrimaryHDU(np.zeros(shape, 'i2'), fits.Header(cards.items()))
    rest = [fits.ImageHDU(pixels, name=name, ver=version) for name, version, pixels in extensions]
    fits.HDUList([primary, *rest]).writeto(path, overwrite=True)


def opened(*words):
    return [reader.open_image(reference) for reference in expand(words)]


def same(mask, pixels):
    np.testing.assert_array_equal(reader.read_pixels(mask), pixels)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images():
    """Three images without anything beside them."""
    for name in 'abc':
        write(f'{name}.fits')
    return opened('?.fits')


class TestFiles:
    def test_one_for_all(self, images, make_image):
        make_image('mask.fits', bad(1))
        found = masks.for_images('mask.fits', images)
        assert len(found) == 3
        assert found[0] is found[1] is found[2]
        same(found[0], bad(1))

    @pytest.mark.parametrize('word', ['m1.fits,m2.fits,m3.fits', 'm?.fits', '@list', '@commas', 'm[123].fits'])
    def test_one_for_each(self, images, make_image, word):
        for number in (1, 2, 3):
            make_image(f'm{number}.fits', bad(number))
        for name, text in (('list', 'm1.fits\n# two\nm2.fits\n\nm3.fits\n'), ('commas', 'm1.fits,m2.fits\nm3.fits')):
            with open(name, 'w') as file:
                file.write(text)
        for number, mask in enumerate(masks.for_images(word, images), 1):
            same(mask, bad(number))

    def test_the_same_file_twice_is_one_image(self, images, make_image):
        for number in (1, 2):
            make_image(f'm{number}.fits', bad(number))
        found = masks.for_images('m1.fits,m2.fits,m1.fits', images)
        assert found[0] is found[2]
        assert found[0] is not found[1]

    def test_an_extension_of_a_file(self, images):
        write('cal.fits', ('BPM', 1, bad(4)))
        same(masks.for_images('cal.fits[BPM]', images)[2], bad(4))

    def test_a_file_comes_before_an_extension(self, images, make_image):
        make_image('DQ', bad(1))
        write('d.fits', ('DQ', 1, bad(2)))
        same(masks.for_images('DQ', opened('d.fits'))[0], bad(1))

    @pytest.mark.parametrize(('word', 'count'), [('m1.fits,m2.fits', 2), ('m1.fits,m2.fits,m1.fits,m2.fits', 4)])
    def test_neither_one_nor_as_many(self, images, make_image, word, count):
        for number in (1, 2):
            make_image(f'm{number}.fits', bad(number))
        with pytest.raises(Failure, match=rf'{count} masks for 3 images'):
            masks.for_images(word, images)

    def test_one_of_several_is_missing(self, images, make_image):
        make_image('m1.fits', bad(1))
        with pytest.raises(Failure, match=r'^gone.fits: No such file'):
            masks.for_images('m1.fits,gone.fits,m1.fits', images)

    def test_a_list_is_never_anything_else(self, images):
        with pytest.raises(FileNotFoundError):
            masks.for_images('@gone', images)
        with open('empty', 'w'):
            pass
        with pytest.raises(Failure, match=r'^@empty: the list is empty'):
            masks.for_images('@empty', images)

    def test_an_image_is_not_its_own_mask(self, images):
        with pytest.raises(Failure, match=r'^b.fits: .* its own mask'):
            masks.for_images('b.fits', images[1:])
        assert len(masks.for_images('b.fits', images[:1])) == 1


class TestSizes:
    def test_parts(self, images, make_image):
        make_image('whole.fits', bad(1))
        make_image('small.fits', bad(2, (4, 5)))
        parts = opened('a.fits[2:6,1:4]', 'b.fits[2:6,1:4]', 'c.fits[5:9,3:6]')
        found = masks.for_images('whole.fits', parts)
        same(found[0], bad(1)[0:4, 1:6])
        same(found[2], bad(1)[2:6, 4:9])
        assert found[0] is found[1]
        same(masks.for_images('small.fits', parts)[2], bad(2, (4, 5)))

    def test_planes_of_a_cube(self, make_image):
        make_image('cube.fits', np.zeros((3, *SHAPE), 'i2'))
        make_image('plane.fits', bad(1))
        make_image('cubes.fits', bad(2, (3, *SHAPE)))
        planes = opened('cube.fits')[0].planes()
        assert len({id(mask) for mask in masks.for_images('plane.fits', planes)}) == 1
        for number, mask in enumerate(masks.for_images('cubes.fits', planes)):
            same(mask, bad(2, (3, *SHAPE))[number : number + 1])

    @pytest.mark.parametrize('shape', [(9, 6), (6, 8), (2, 6, 9), (9,)])
    def test_what_does_not_fit(self, images, make_image, shape):
        make_image('m.fits', bad(1, shape))
        with pytest.raises(Failure, match=r'^a.fits: m.fits does not fit: 9 x 6 and '):
            masks.for_images('m.fits', images)

    def test_a_stack_takes_them(self, images, make_image):
        make_image('whole.fits', bad(1))
        parts = opened('a.fits[2:6,1:4]', 'b.fits[5:9,3:6]')
        with stack.opened(parts, masks=masks.for_images('whole.fits', parts)) as rows:
            hidden = np.isnan(rows.read(0, 4))
        np.testing.assert_array_equal(hidden, np.stack([bad(1)[0:4, 1:6], bad(1)[2:6, 4:9]]))


class TestExtensions:
    @pytest.mark.parametrize('word', ['MASK', 'mask', '[MASK]', ' MASK ', 'MASK,1', '[mask,1]', '1'])
    def test_of_each_image(self, word):
        for number, name in enumerate('ab'):
            write(f'{name}.fits', ('MASK', 1, bad(number)))
        for number, mask in enumerate(masks.for_images(word, opened('?.fits'))):
            same(mask, bad(number))

    @pytest.mark.parametrize(
        ('words', 'word', 'seeds'),
        [
            (['a.fits[SCI,1]', 'a.fits[SCI,2]'], 'DQ', [1, 2]),
            (['a.fits[3]', 'a.fits[1]'], 'DQ', [2, 1]),
            (['a.fits[SCI,1]', 'a.fits[SCI,2]'], 'DQ,2', [2, 2]),
            (['a.fits[SCI,2]', 'a.fits[0]'], 'BPM', [7, 7]),
        ],
    )
    def test_of_the_images_own_version(self, words, word, seeds):
        image = np.zeros(SHAPE, 'f4')
        write('a.fits', ('SCI', 1, image), ('DQ', 1, bad(1)), ('SCI', 2, image), ('DQ', 2, bad(2)), ('BPM', 5, bad(7)))
        for seed, mask in zip(seeds, masks.for_images(word, opened(*words)), strict=True):
            same(mask, bad(seed))

    def test_planes_share_it(self):
        write('a.fits', ('MASK', 1, bad(1)), shape=(3, *SHAPE))
        assert len({id(mask) for mask in masks.for_images('MASK', opened('a.fits')[0].planes())}) == 1

    def test_an_image_without_one(self):
        write('a.fits', ('MASK', 1, bad(1)))
        write('b.fits', ('DQ', 1, bad(1)))
        with pytest.raises(Failure, match=r'^b.fits: there is no extension \[MASK\]'):
            masks.for_images('MASK', opened('?.fits'))

    def test_a_table_is_no_mask(self):
        table = fits.BinTableHDU.from_columns([fits.Column('x', 'J', array=[1])], name='MASK')
        fits.HDUList([fits.PrimaryHDU(np.zeros(SHAPE)), table]).writeto('a.fits')
        with pytest.raises(Failure, match=r'^a.fits: HDU MASK,1 holds no image'):
            masks.for_images('MASK', opened('a.fits'))

    def test_the_image_itself(self):
        write('a.fits', ('SCI', 1, bad(1)))
        with pytest.raises(Failure, match=r'^a.fits: .* its own mask'):
            masks.for_images('SCI', opened('a.fits[SCI]'))


class TestKeywords:
    @pytest.mark.parametrize(
        'said',
        ['bpm.fits', '/etc/bpm.fits', '../../bpm.fits', 'C:\\masks\\bpm.fits', 'home$masks/bpm.fits', ' bpm.fits'],
    )
    def test_a_file_in_the_images_folder(self, make_image, said):
        """Whatever folder the header says."""
        os.mkdir('night')
        make_image('bpm.fits', bad(9))
        make_image('night/bpm.fits', bad(1))
        write('night/a.fits', BPM=said)
        write('night/b.fits', BPM='bpm.fits')
        found = masks.for_images('bpm', opened('night/[ab].fits'))
        assert found[0] is found[1]
        same(found[0], bad(1))

    def test_an_extension_of_that_file(self):
        write('masks.fits', ('CHIP1', 1, bad(1)), ('CHIP2', 1, bad(2)))
        write('a.fits', BADPIX='masks.fits[CHIP2]')
        same(masks.for_images('BADPIX', opened('a.fits'))[0], bad(2))

    @pytest.mark.parametrize(
        'said', ['gone.fits', '..', '.', '/', 'night', '@list', 'b*.fits', 'bpm.fits,bpm.fits', 'bpm.fits[1:2,3:4]',
                 'bpm.fits[a,b]', 'x', 17, True]
    )  # fmt: skip
    def test_what_names_no_file(self, make_image, said):
        os.mkdir('night')
        make_image('bpm.fits', bad(1))
        with open('list', 'w') as file:
            file.write('bpm.fits\n')
        make_image('a.fits', np.zeros(SHAPE, 'i2'), BPM=said)
        with pytest.raises(Failure, match=r'^a.fits: keyword BPM = .* names '):
            masks.for_images('BPM', opened('a.fits'))

    def test_an_image_without_the_keyword(self, make_image):
        make_image('bpm.fits', bad(1))
        write('a.fits', BPM='bpm.fits')
        write('b.fits')
        with pytest.raises(Failure, match=r'^b.fits: keyword BPM, .* is missing'):
            masks.for_images('BPM', opened('[ab].fits'))

    def test_an_image_that_names_itself(self):
        write('a.fits', BPM='a.fits')
        with pytest.raises(Failure, match='its own mask'):
            masks.for_images('BPM', opened('a.fits'))

    @pytest.mark.parametrize(
        'word', ['gone.fits', 'x*.fits', 'B?M', 'BP*', 'DQ', 'DQ,2', '[DQ]', '', ' ', '[1:2', 'a,b,c', '\x1b']
    )
    def test_nothing_of_the_three(self, word):
        write('a.fits', BPM='bpm.fits')
        with pytest.raises(Failure, match=r'^a.fits: .* no extension and no keyword .* no such mask file') as caught:
            masks.for_images(word, opened('a.fits'))
        assert str(caught.value).isprintable()


class TestCompanions:
    @pytest.mark.parametrize(
        ('uncertainty', 'kind'),
        [(StdDevUncertainty, 'std'), (VarianceUncertainty, 'var'), (InverseVariance, 'ivar')],
    )
    def test_as_ccddata_writes_them(self, uncertainty, kind):
        pixels = np.random.default_rng(1).random(SHAPE)
        CCDData(np.ones(SHAPE), unit='adu', uncertainty=uncertainty(pixels)).write('a.fits')
        ((image, found),) = masks.companions(opened('a.fits'))
        assert found == kind
        same(image, pixels)

    @pytest.mark.parametrize(('name', 'kind'), [('UNCERT', 'std'), ('VAR', 'var'), ('IVAR', 'ivar')])
    def test_by_name(self, name, kind):
        for number, file in enumerate('ab'):
            write(f'{file}.fits', (name, 1, np.full(SHAPE, number + 2.5)))
        found = masks.companions(opened('?.fits'))
        assert [each for _, each in found] == [kind, kind]
        for number, (image, _) in enumerate(found):
            same(image, np.full(SHAPE, number + 2.5))

    def test_the_first_name_counts(self):
        write('a.fits', ('IVAR', 1, np.ones(SHAPE)), ('VAR', 1, np.ones(SHAPE)))
        assert masks.companions(opened('a.fits'))[0][1] == 'var'
        assert masks.companions(opened('a.fits'), ('IVAR',))[0][1] == 'ivar'

    def test_parts_and_versions(self):
        image, values = np.zeros(SHAPE), np.arange(54.0).reshape(SHAPE)
        write('a.fits', ('SCI', 1, image), ('VAR', 1, values), ('SCI', 2, image), ('VAR', 2, -values))
        ((found, _),) = masks.companions(opened('a.fits[SCI,2][2:4,3:5]'))
        same(found, -values[2:5, 1:4])

    def test_none(self, images):
        assert masks.companions(images) is None

    def test_the_odd_one_is_named(self):
        write('a.fits', ('VAR', 1, np.ones(SHAPE)))
        write('b.fits')
        write('c.fits', ('UNCERT', 1, np.ones(SHAPE)))
        with pytest.raises(Failure, match=r'^b.fits: there is no extension \[VAR\]'):
            masks.companions(opened('a.fits', 'b.fits'))
        with pytest.raises(Failure, match=r'^c.fits: there is no extension \[VAR\]'):
            masks.companions(opened('a.fits', 'c.fits'))
        with pytest.raises(Failure, match=r'^a.fits: it has an extension .* and b.fits has none'):
            masks.companions(opened('b.fits', 'b.fits', 'a.fits'))

    def test_a_kind_that_is_not_known(self):
        write('a.fits', ('UNCERT', 1, np.ones(SHAPE)))
        fits.setval('a.fits', 'UTYPE', value='UnknownUncertainty', ext=1)
        with pytest.raises(Failure, match=r"^a.fits: UTYPE = 'UnknownUncertainty'"):
            masks.companions(opened('a.fits'))

    def test_one_of_another_size(self):
        write('a.fits', ('VAR', 1, np.ones((6, 8))))
        with pytest.raises(Failure, match=r'^a.fits: .* does not fit'):
            masks.companions(opened('a.fits'))


class TestDeviation:
    @pytest.mark.parametrize(('name', 'form'), [('UNCERT', 1), ('VAR', 2), ('IVAR', -2)])
    def test_all_kinds_become_standard_deviations(self, name, form):
        sigma = np.random.default_rng(2).uniform(0.5, 3, SHAPE)
        given = sigma**form
        given[0, :3] = -1, np.nan, 0
        write('a.fits', (name, 1, given))
        found = masks.read_deviation(masks.uncertainty(opened('a.fits')[0]))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found.ravel()[3:], sigma.ravel()[3:])
        np.testing.assert_array_equal(found[0, :3], [np.nan, np.nan, np.nan if form == -2 else 0])

    def test_what_is_of_no_use_is_said_and_left(self):
        write('a.fits', ('VAR', 1, np.ones((6, 8))))
        with pytest.warns(FileWarning, match=r'^uncertainties are not carried on: a.fits: '):
            assert masks.uncertainty(opened('a.fits')[0]) is None

    def test_a_file_of_one_hdu_is_not_searched(self, monkeypatch):
        write('a.fits')
        image = opened('a.fits')[0]
        monkeypatch.setattr(masks.hdus, 'walk', None)
        assert not image.may_have_company
        assert masks.uncertainty(image) is None
