"""Headers of trimmed images: what is no longer true goes, what was done is said."""

import math

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.errors import Failure
from fitsutils.files import detector, reader, trimming
from fitsutils.files.detector import Amplifier, Layout
from fitsutils.pixels.overscan import Fit, Measured


def window(y1, y2, x1, x2):
    return slice(y1, y2), slice(x1, x2)


WHOLE = Layout((Amplifier('', window(0, 6, 2, 10), window(0, 6, 10, 12), window(0, 6, 0, 8)),), (6, 8), 'x')
GAP = Layout(
    (
        Amplifier('A', window(0, 6, 0, 4), window(0, 6, 4, 6), window(0, 6, 0, 4)),
        Amplifier('B', window(0, 6, 8, 12), window(0, 6, 6, 8), window(0, 6, 4, 8)),
    ),
    (6, 8),
    'x',
)


@pytest.fixture
def opened(tmp_path, make_image):
    def make(**cards):
        path = make_image(tmp_path / 'x.fits', np.zeros((6, 12), 'u1'), **cards)
        return reader.open_image(reader.Reference(path), keywords=(*detector.KEYWORDS, *trimming.KEYWORDS))

    return make


@pytest.mark.parametrize(
    ('cards', 'match'),
    [
        ({'OSFIT': 'level'}, "OSFIT = 'level'; --force-again"),
        ({'TRIM': 'Apr 22 14:11 Trim image section is [3:510,3:510]'}, 'TRIM = '),
        ({'OVERSCAN': 'Apr 22 14:11 Overscan section is [3:5,3:510] with mean=5'}, 'OVERSCAN = '),
        ({'SUBOSCAN': 'ccd=<CCDData>, median=True'}, 'SUBOSCAN'),
        ({'TRIMIM': 'ccd=<CCDData>'}, 'TRIMIM'),
    ],
)
def test_what_is_trimmed_already(opened, cards, match):
    with pytest.raises(Failure, match=f'it is trimmed already: {match}'):
        trimming.refuse_trimmed(opened(**cards))


@pytest.mark.parametrize('cards', [{}, {'OVERSCAN': 32}, {'OVERSCAN': 'T'}, {'TRIM': False}, {'BUNIT': 'electron'}])
def test_what_is_not(opened, cards):
    trimming.refuse_trimmed(opened(**cards))


@pytest.mark.parametrize('unit', ['electron', 'Electrons', 'e-', 'e', 'photo-electrons', 'electron/pix'])
def test_electrons(opened, unit):
    with pytest.raises(Failure, match='it is in electrons already: BUNIT'):
        trimming.refuse_electrons(opened(BUNIT=unit))


@pytest.mark.parametrize('unit', ['adu', 'ADU', '', 'erg', 'electron/s', 'counts'])
def test_other_units(opened, unit):
    trimming.refuse_electrons(opened(BUNIT=unit))


def test_a_gain_that_was_applied(opened):
    with pytest.raises(Failure, match='there is an OSGAIN1'):
        trimming.refuse_electrons(opened(OSGAIN1=1.2))


class TestNumbers:
    @pytest.mark.parametrize(
        ('words', 'wanted'),
        [
            (['1.5'], [1.5, 1.5]),
            (['1.5', '2'], [1.5, 2.0]),
            (['GAIN'], [3.0, 4.0]),  # GAINA and GAINB come before GAIN
            (['rdnoise'], [7.0, 8.0]),  # RDNOISEB alone stands beside RDNOISE
            (['GAINB', '1'], [4.0, 1.0]),
            (['SPEED', 'GAIN'], [9.0, 4.0]),
        ],
    )
    def test_of_each_amplifier(self, opened, words, wanted):
        image = opened(GAIN=2.0, GAINA=3.0, GAINB=4.0, RDNOISE=7.0, RDNOISEB=8.0, SPEED='9')
        assert trimming.numbers_for(words, ['A', 'B'], image, '--gain') == wanted

    def test_aliases(self, opened):
        assert trimming.numbers_for(['GAIN'], [''], opened(EGAIN=1.25), '--gain') == [1.25]

    @pytest.mark.parametrize(
        ('words', 'match'),
        [
            (['1', '2', '3'], '--gain gives 3 numbers, and there are 2 amplifiers'),
            (['NOSUCH'], 'keyword NOSUCH is missing'),
            (['OBJECT'], "keyword OBJECT = 'M1' is not a number"),
            (['nan'], 'keyword NAN is missing'),
            (['-1'], '--gain -1: it must be 0 or more'),
        ],
    )
    def test_refusals(self, opened, words, match):
        with pytest.raises(Failure, match=match):
            trimming.numbers_for(words, ['A', 'B'], opened(OBJECT='M1'), '--gain')

    def test_zero(self, opened):
        assert trimming.numbers_for(['0'], [''], opened(), '--rdnoise') == [0]
        with pytest.raises(Failure, match='--gain 0: it must be above 0'):
            trimming.numbers_for(['0'], [''], opened(), '--gain', zero=False)


class TestSections:
    def test_only_pixels_are_left(self, opened):
        image = opened(BIASSEC='[11:12,1:6]', TRIMSEC='[3:10,1:6]', DATASEC='[1:10,1:6]', CCDSEC='[101:110,1:6]',
                       CRPIX1=5.0, COVER=2, ROVER=0, OBJECT='M1', OSLEV1=5.0, OSFIT='row')  # fmt: skip
        header = trimming.trimmed_header(image, WHOLE.window, ['what'])
        trimming.settle_sections(header, WHOLE)
        assert header['DATASEC'] == '[1:8,1:6]'
        assert (header['CCDSEC'], header['CRPIX1'], header['LTV1']) == ('[103:110,1:6]', 3.0, -2.0)
        assert (header['COVER'], header['ROVER'], header['OBJECT']) == (0, 0, 'M1')
        assert not {'BIASSEC', 'TRIMSEC', 'OSLEV1', 'OSFIT'} & set(header)
        assert '  what' in str(header['HISTORY'])
        assert image.header['TRIMSEC'] == '[3:10,1:6]'

    def test_amplifiers_are_one_image_now(self, opened):
        cards = {f'{key}{name}': '[1:4,1:6]' for key in ('DATASEC', 'BIASSEC', 'TRIMSEC', 'CCDSEC') for name in 'AB'}
        header = trimming.trimmed_header(opened(**cards), GAP.window, [])
        trimming.settle_sections(header, GAP)
        assert [key for key in header if 'SEC' in key] == ['DATASEC']

    @pytest.mark.parametrize(('said', 'kept'), [('[1:16,1:6]', True), ('[1:8,7:12]', True), ('[1:12,1:6]', False)])
    def test_a_place_on_the_detector_stays_where_it_fits(self, opened, said, kept):
        header = trimming.trimmed_header(opened(), GAP.window, [])
        header['CCDSEC'] = said
        trimming.settle_sections(header, GAP)
        assert header.get('CCDSEC') == (said if kept else None)


class TestCards:
    MEASURED = [
        Measured(np.zeros(2), 943.5, 2.9, math.nan, 10, 3),
        Measured(np.zeros(2), 965.0, math.nan, 0.25, 10, 0),
    ]

    def test_what_was_taken_off(self):
        windows = [window(0, 6, 4, 5), window(0, 6, 6, 7)]
        cards = trimming.overscan_cards(Fit('poly', 3, 'mean', 2.5), (0, 1), GAP, windows, self.MEASURED)
        assert {key: value for key, value, _ in cards} == {
            'OSFIT': 'poly:3', 'OSSTAT': 'mean', 'OSGUARD': '0,1', 'OSCLIP': 2.5,
            'OSDAT1': '[1:4,1:6]', 'OSSEC1': '[5:5,1:6]', 'OSLEV1': 943.5, 'OSSIG1': 2.9, 'OSREJ1': 3,
            'OSDAT2': '[9:12,1:6]', 'OSSEC2': '[7:7,1:6]', 'OSLEV2': 965.0, 'OSRMS2': 0.25, 'OSREJ2': 0,
        }  # fmt: skip
        assert all(comment and len(str(fits.Card(*card))) == 80 for card in cards for comment in card[2:])
        assert 'amplifier B' in dict((key, comment) for key, _, comment in cards)['OSLEV2']

    def test_nothing_was_taken_off(self):
        cards = trimming.overscan_cards(Fit('none'), (0, 0), WHOLE, [None], [])
        assert [card[:2] for card in cards] == [('OSFIT', 'none'), ('OSDAT1', '[3:10,1:6]')]

    def test_electrons(self):
        header = fits.Header({'GAIN': 1.2, 'EGAIN': 1.3, 'GAINA': 1.4, 'GAINC': 5.0, 'BUNIT': 'adu', 'OBJECT': 'M1'})
        trimming.to_electrons(header, [1.4, 1.2], ['GAIN'], ['A', 'B'])
        assert dict(header) == {
            'GAIN': 1.0, 'EGAIN': 1.0, 'GAINA': 1.0, 'GAINC': 5.0, 'BUNIT': 'electron', 'OBJECT': 'M1',
            'OSGAIN1': 1.4, 'OSGAIN2': 1.2,
        }  # fmt: skip
        header = fits.Header({'GAIN': 120, 'DATAMAX': 5, 'DATAMIN': 1})
        trimming.to_electrons(header, [1.5], ['1.5'], [''])
        trimming.move_limits(header, [(0.0, 1.5)], [''], np.dtype('f4'))
        assert dict(header) == {'GAIN': 120, 'BUNIT': 'electron', 'OSGAIN1': 1.5}

    def test_limits_follow_the_pixels(self):
        cards = {'SATURATE': 60000, 'MAXLIN': 50000.0, 'SATURATA': 61000, 'SATURATB': 62000, 'SATLEVEL': 900}
        header = fits.Header({**cards, 'SATURAT': 'none', 'DATAMAX': 3})
        trimming.move_limits(header, [(1000.1, 1.5), (900.0, 2.0)], ['A', 'B'], np.dtype('f4'))
        wanted = {'SATURATE': 58999.9 * 1.5, 'MAXLIN': 48999.9 * 1.5, 'SATURATA': 59999.9 * 1.5, 'SATURATB': 122200.0}
        assert dict(header) == {**{key: float(np.float32(number)) for key, number in wanted.items()}, 'SATURAT': 'none'}
