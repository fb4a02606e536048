import math

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import header as headers
from fitsutils.files import placing, reader
from fitsutils.files.inputs import expand

SCALE = 2e-4  # degrees a pixel


def sky(x, y, **more):
    """Cards of a tangential projection whose reference point lies on pixel (x, y), from 1."""
    cards = {'CTYPE1': 'RA---TAN', 'CTYPE2': 'DEC--TAN', 'CRVAL1': 83.63, 'CRVAL2': 22.01, 'CRPIX1': x, 'CRPIX2': y}
    return {**cards, 'CD1_1': -SCALE, 'CD1_2': 0.0, 'CD2_1': 0.0, 'CD2_2': SCALE, **more}


@pytest.fixture
def opened(tmp_path, make_image, monkeypatch):
    """A function that writes an image of a shape with cards, and opens it or a part of it."""
    monkeypatch.chdir(tmp_path)

    def make(name, shape=(5, 7), part='', **cards):
        make_image(tmp_path / name, np.zeros(shape, 'i2'), **cards)
        return reader.open_image(expand([f'{name}{part}'])[0])

    return make


@pytest.fixture
def by_file(opened):
    """A function that lays out three images of different sizes by the text of a file."""
    images = [opened(f'{name}.fits', shape) for name, shape in (('a', (5, 7)), ('b', (4, 9)), ('c', (6, 3)))]

    def lay(text):
        with open('o.txt', 'w') as file:
            file.write(text)
        return placing.placed(images, 'o.txt')

    return lay


class TestByFile:
    def test_the_canvas_is_the_union(self, by_file):
        """Worked out by hand: columns -2..6, 3..11 and 0..2 for x; rows 1..5, 0..3 and 10..15 for y."""
        found = by_file('-2 1\n3 0\n0 10\n')
        assert found.shape == (16, 14)
        assert found.places == [(1, 0), (0, 5), (10, 2)]
        assert found.shifts == [(-2, 1), (3, 0), (0, 10)]

    def test_by_name(self, by_file):
        assert by_file('c.fits 0 10\na.fits -2 1\nb.fits 3 0\n') == by_file('-2 1\n3 0\n0 10\n')

    def test_none_is_moved(self, by_file):
        found = by_file('4 4\n4 4\n4 4')
        assert (found.shape, found.places) == ((6, 9), [(0, 0)] * 3)

    @pytest.mark.parametrize(
        ('text', 'whole'),
        [('0.5', 1), ('-0.5', -1), ('1.49', 1), ('2.5', 3), ('-2.51', -3), ('0.49999999999999994', 0), ('-0.2', 0)],
    )
    def test_decimals_are_rounded(self, by_file, text, whole):
        found = by_file(f'0 0\n{text} {text}\n0 0')
        assert found.shifts[1] == (whole, whole)
        assert str(found.shifts[1][0]) == str(whole)

    @pytest.mark.parametrize('text', ['0 0\n1 1', '0 0\n1 1\n2', '0 0\n1 1\nx 2 2', '0 0\n1 1\n2 y'])
    def test_what_does_not_go_with_the_images(self, by_file, text):
        with pytest.raises(Failure) as caught:
            by_file(text)
        assert caught.value.path == 'o.txt'

    @pytest.mark.parametrize(
        ('text', 'name'),
        [
            ('0 0\n5000 0\n1 1', 'b'),
            ('0 0\n3 3\n-1e9 0', 'c'),
            ('1e300 -1e300\n1 1\n0 0', 'a'),
            ('0 0\n0 3\n0 99999', 'c'),
        ],
    )
    def test_a_canvas_that_is_absurd(self, by_file, text, name):
        with pytest.raises(Failure, match=rf'^{name}.fits: .* more than 100 times .* lies farthest') as caught:
            by_file(text)
        assert len(str(caught.value)) < 200

    def test_a_canvas_that_is_just_not(self, by_file):
        """The largest image has 36 pixels; 10 rows of 360 are a hundred times that."""
        assert by_file('0 0\n351 0\n0 4').shape == (10, 360)
        with pytest.raises(Failure, match='100 times'):
            by_file('0 0\n352 0\n0 4')

    def test_of_two_the_first_is_not_to_blame(self, opened):
        images = [opened('a.fits'), opened('b.fits')]
        with open('o.txt', 'w') as file:
            file.write('0 0\n-9999 -9999\n')
        with pytest.raises(Failure, match=r'^b.fits: '):
            placing.placed(images, 'o.txt')

    @pytest.mark.parametrize(('shape', 'axes'), [((4, 5, 6), 3), ((9,), 1)])
    def test_images_of_two_axes_only(self, opened, shape, axes):
        images = [opened('a.fits'), opened('b.fits', shape)]
        for word in ('wcs', 'o.txt'):
            with pytest.raises(Failure, match=rf'^b.fits: .* two axes .* has {axes}'):
                placing.placed(images, word)

    @given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=3))
    def test_every_image_lies_on_the_canvas_and_every_edge_is_needed(self, by_file, shifts):
        shapes = [(5, 7), (4, 9), (6, 3)]
        try:
            found = by_file('\n'.join(f'{dx} {dy}' for dx, dy in shifts))
        except Failure:
            return
        for axis in (0, 1):
            starts = [place[axis] for place in found.places]
            assert min(starts) == 0
            assert max(start + shape[axis] for start, shape in zip(starts, shapes, strict=True)) == found.shape[axis]
        moved = {(dx - place[1], dy - place[0]) for (dx, dy), place in zip(shifts, found.places, strict=True)}
        assert len(moved) == 1


class TestByWcs:
    def test_of_one_scale(self, opened):
        """The reference point lies on pixel (20, 30) of the first: the others are moved by the difference."""
        images = [
            opened('a.fits', (40, 50), **sky(20, 30)),
            opened('b.fits', (42, 48), **sky(15.3, 33.6)),
            opened('c.fits', (42, 48), **sky(20.4, 29.7)),
        ]
        found = placing.placed(images, 'wcs')
        assert found.shifts == [(0, 0), (5, -4), (0, 0)]
        assert found.places == [(4, 0), (0, 5), (4, 0)]
        assert found.shape == (46, 53)

    def test_a_star_comes_to_lie_on_itself(self, opened):
        """Another reference point on the sky, and another projection: still the same places."""
        from astropy.wcs import WCS

        first = opened('a.fits', (60, 70), **sky(20, 30))
        more = {'CRVAL1': 83.6321, 'CRVAL2': 22.0085, 'CTYPE1': 'RA---SIN', 'CTYPE2': 'DEC--SIN'}
        second = opened('b.fits', (60, 70), **sky(31, 12, **more))
        found = placing.placed([first, second], 'wcs')
        star = WCS(first.header).pixel_to_world_values(33, 31)
        here = np.array(WCS(second.header).world_to_pixel_values(*star))
        (row, column), (own_row, own_column) = found.places[1], found.places[0]
        assert np.abs(here + [column, row] - [33 + own_column, 31 + own_row]).max() <= 0.51

    def test_parts_of_images(self, opened):
        """The header speaks of the whole image, the offset is that of the parts."""
        whole = [opened('a.fits', (40, 50), **sky(20, 30)), opened('b.fits', (42, 48), **sky(15, 33))]
        parts = [reader.open_image(expand([name])[0]) for name in ('a.fits[11:30,6:25]', 'b.fits[4:40,9:42]')]
        assert placing.placed(whole, 'wcs').shifts[1] == (5, -3)
        # Part of b begins at x = 4, y = 9 of b, which is 9, 6 of a, which is -2, 0 of the part of a, from 0 0.
        assert placing.placed(parts, 'wcs').shifts[1] == (9 - 11, 6 - 6)

    def test_linear(self, opened):
        cards = {'CRVAL1': 0.0, 'CRVAL2': 0.0, 'CDELT1': 2.0, 'CDELT2': 2.0, 'CRPIX2': 1.0}
        images = [opened('a.fits', CRPIX1=1.0, **cards), opened('b.fits', CRPIX1=-2.0, **cards)]
        assert placing.placed(images, 'wcs').shifts == [(0, 0), (3, 0)]

    def test_other_frames_are_converted(self, opened):
        """FK5 of 2000 and ICRS differ by hundredths of an arc second; B1950 by more than half a degree."""
        first = opened('a.fits', **sky(3, 3, RADESYS='ICRS'))
        near = opened('b.fits', **sky(1, 3, RADESYS='FK5', EQUINOX=2000.0))
        far = opened('c.fits', (900, 900), **sky(1, 3, RADESYS='FK4', EQUINOX=1950.0))
        assert placing.placed([first, near], 'wcs').shifts == [(0, 0), (2, 0)]
        assert max(map(abs, placing.placed([first, far], 'wcs').shifts[1])) > 1000

    @pytest.mark.parametrize(
        'cards',
        [
            {'CD1_1': -1.1 * SCALE},
            {'CD1_1': -SCALE * 0.99, 'CD1_2': SCALE * 0.1, 'CD2_1': SCALE * 0.1, 'CD2_2': SCALE * 0.99},
            {'CD1_1': SCALE},
            {
                'CTYPE1': 'RA---TAN-SIP',
                'CTYPE2': 'DEC--TAN-SIP',
                'A_ORDER': 2,
                'A_2_0': 1e-3,
                'B_ORDER': 2,
                'B_0_2': 0.0,
            },
        ],
        ids=['scale', 'turned', 'mirrored', 'distorted'],
    )
    def test_what_whole_pixels_do_not_mend_is_told(self, opened, cards):
        images = [opened('a.fits', (60, 70), **sky(20, 30)), opened('b.fits', (62, 68), **sky(20, 30, **cards))]
        with pytest.warns(
            FileWarning, match=r'^b.fits: it is turned, of another scale or distorted against a.fits'
        ) as said:
            placing.placed(images, 'wcs')
        assert len(said) == 1

    def test_a_scale_that_makes_no_half_pixel_is_not(self, opened):
        images = [
            opened('a.fits', (60, 70), **sky(20, 30)),
            opened('b.fits', (62, 68), **sky(20, 30, CD1_1=-1.01 * SCALE)),
        ]
        assert placing.placed(images, 'wcs').shifts == [(0, 0), (0, 0)]

    @pytest.mark.parametrize(
        ('left_out', 'message'),
        [
            (('CRPIX1',), 'no CRPIX1'),
            (('CRVAL2',), 'no CRVAL2'),
            (('CD1_1', 'CD1_2'), 'no CDELT1'),
            (('CRPIX2', 'CD2_1', 'CD2_2'), 'no CRPIX2, CDELT2'),
        ],
    )
    def test_without_a_wcs(self, opened, left_out, message):
        cards = {key: value for key, value in sky(2, 3).items() if key not in left_out}
        images = [opened('a.fits', **sky(2, 3)), opened('b.fits', **cards)]
        with pytest.raises(Failure, match=rf'^b.fits: it has no WCS .*{message}\Z'):
            placing.placed(images, 'wcs')
        with pytest.raises(Failure, match=r'^b.fits: it has no WCS'):
            placing.placed(images[::-1], 'wcs')

    @pytest.mark.parametrize(
        'cards',
        [{'CD1_1': 0.0, 'CD2_2': 0.0}, {'CRPIX1': 'left'}, {'CTYPE1': 'RA---XYZ'}, {'CTYPE1': 'GLON-TAN'},
         {'CUNIT1': 'parsnip'}, {'CRVAL2': 500.0}, {'CRVAL1': 263.63, 'CRVAL2': -22.01},
         {'CTYPE1': 'FREQ', 'CTYPE2': 'VELO'}],
    )  # fmt: skip
    def test_a_wcs_that_serves_for_nothing(self, opened, cards):
        images = [opened('a.fits', **sky(2, 3)), opened('b.fits', **sky(2, 3, **cards))]
        with pytest.raises(Failure, match=r'^b.fits: ') as caught:
            placing.placed(images, 'wcs')
        assert '\n' not in str(caught.value)

    def test_galactic_against_equatorial(self, opened):
        """The Crab's middle in both: turned against each other, but the middle fits."""
        galactic = {'CTYPE1': 'GLON-TAN', 'CTYPE2': 'GLAT-TAN', 'CRVAL1': 184.5575, 'CRVAL2': -5.7843}
        images = [
            opened('a.fits', (61, 61), **sky(31, 31, CRVAL1=83.6331, CRVAL2=22.0145)),
            opened('b.fits', (61, 61), **sky(31, 31, **galactic)),
        ]
        with pytest.warns(FileWarning, match=r'^b.fits: it is turned'):
            found = placing.placed(images, 'wcs')
        assert max(map(abs, found.shifts[1])) <= 1

    def test_what_astropy_puts_right_is_not_told(self, opened, capsys):
        odd = {'A_ORDER': 2, 'A_2_0': 0.0, 'B_ORDER': 2, 'B_0_2': 0.0, 'DATE__OBS': '27/02/21', 'EQUINOX': 2000.0}
        images = [opened('a.fits', **sky(2, 3, **odd)), opened('b.fits', **sky(2, 3, **odd))]
        assert placing.placed(images, 'wcs').places == [(0, 0), (0, 0)]
        assert capsys.readouterr() == ('', '')

    def test_a_leading_axis_of_length_1(self, opened):
        more = {'CTYPE3': 'FREQ', 'CRVAL3': 1.4e9, 'CRPIX3': 1.0, 'CDELT3': 1e6, 'CD3_3': 1e6}
        images = [opened('a.fits', (1, 5, 7), **sky(2, 3, **more)), opened('b.fits', **sky(1, 1))]
        assert placing.placed(images, 'wcs').shifts == [(0, 0), (1, 2)]

    def test_an_extension_with_the_wcs_of_its_own(self, opened):
        first = opened('a.fits', **sky(2, 3))
        header = fits.Header(sky(5, 5).items())
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((5, 7), 'i2'), header, 'SCI')]).writeto('b.fits')
        images = [first, reader.open_image(expand(['b.fits[SCI]'])[0])]
        assert placing.placed(images, 'wcs').shifts == [(0, 0), (-3, -2)]


class TestHeader:
    def test_positions_move(self):
        header = fits.Header([('CRPIX1', 10.5), ('CRPIX2', 4.0), ('LTV1', -3.0), ('DATASEC', '[1:20,3:30]')])
        placing.shift_header(header, (7, 100))
        assert (header['CRPIX1'], header['CRPIX2']) == (110.5, 11.0)
        assert (header['LTV1'], header['LTV2']) == (97.0, 7.0)
        assert header['DATASEC'] == '[101:120,10:37]'

    def test_an_image_in_the_corner_keeps_its_cards(self):
        header = fits.Header([('CRPIX1', 10.5), ('CRPIX2', 4.0), ('TRIMSEC', '[1:20,3:30]')])
        placing.shift_header(header, (0, 0))
        assert list(header.items()) == [('CRPIX1', 10.5), ('CRPIX2', 4.0), ('TRIMSEC', '[1:20,3:30]')]

    @given(st.tuples(st.integers(0, 3), st.integers(0, 4)))
    def test_undoes_a_cut(self, place):
        row, column = place
        header = fits.Header(
            [('CRPIX1', 10.5), ('CRPIX2', 4.25), ('LTV1', 1.0), ('LTV2', 0.0), ('BIASSEC', '[7:9,8:12]')]
        )
        cut = header.copy()
        headers.cut_to(cut, [slice(row, 40), slice(column, 50)])
        placing.shift_header(cut, place)
        assert cut == header

    def test_the_canvas_shows_what_the_image_showed(self, opened):
        from astropy.wcs import WCS

        image = opened('a.fits', (9, 8), **sky(3, 4))
        header = image.header.copy()
        placing.shift_header(header, (5, 11))
        seen = WCS(image.header).pixel_to_world_values(2, 6)
        np.testing.assert_allclose(WCS(header).pixel_to_world_values(2 + 11, 6 + 5), seen, rtol=1e-12)


def test_whole_numbers_of_any_size():
    assert placing._whole(1e300) == int(1e300)
    assert math.copysign(1, placing._whole(-0.0)) == 1
