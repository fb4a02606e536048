import datetime
import os
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.commands import combine_fits
from fitsutils.errors import Failure, FileWarning, UsageError
from fitsutils.files import header as headers
from fitsutils.files import plain, reader


def header_of(**cards):
    header = fits.Header()
    for key, value in cards.items():
        header[key.replace('__', '-')] = value
    return header


def raw_header(*cards):
    return fits.Header.fromstring(''.join(card.ljust(80) for card in cards))


def moment(*numbers):
    return datetime.datetime(*numbers)


class TestValues:
    @pytest.mark.parametrize(
        ('card', 'value'),
        [
            ("X       = 'M 31    '", 'M 31'),
            ("X       = '  lead'", '  lead'),
            ("X       = '        '", None),
            ('X       =', None),
            ('X       =                   60', 60),
            ('X       =              -1.5D2', -150.0),
            ('X       =                    T', True),
            ('X       =               (1, 2)', 1 + 2j),
            ("X       = 'it''s' / a comment", "it's"),
        ],
    )
    def test_kinds(self, card, value):
        assert headers.value(raw_header(card), 'X') == value

    def test_a_card_that_can_not_be_parsed_gives_its_text(self):
        header = raw_header(
            'GOOD    = 1', "BAD     = 'never closed", 'WORSE   = 2021-02-27T01:02:03 / date', 'LAST    = 2'
        )
        assert headers.value(header, 'BAD') == 'never closed'
        assert headers.value(header, 'WORSE') == '2021-02-27T01:02:03 / date'
        assert (headers.value(header, 'GOOD'), headers.value(header, 'LAST')) == (1, 2)

    def test_the_first_of_duplicates_counts(self):
        assert headers.value(raw_header('X       = 1', 'X       = 2'), 'X') == 1

    def test_commentary(self):
        header = header_of(A=1)
        assert headers.value(header, 'HISTORY') is None
        header['HISTORY'] = 'one'
        header['HISTORY'] = 'two'
        assert headers.value(header, 'HISTORY') == 'one two'

    @pytest.mark.parametrize(
        ('cards', 'key', 'value'),
        [
            ({'EXPOSURE': 5.0}, 'EXPTIME', 5.0),
            ({'EXPTIME': 4.0, 'EXPOSURE': 5.0}, 'exptime', 4.0),
            ({'EXPTIME': ' ', 'EXPOSURE': 5.0}, 'EXPTIME', 5.0),
            ({'FILTNAM': 'V'}, 'FILTER', 'V'),
            ({'EXPOSURE': 5.0}, 'EXPOSURE', 5.0),
            ({'FILTER': 'V'}, 'FILTNAM', None),
            ({'DATE__OBS': '2021-02-27T01:02:03.40'}, 'DATE-OBS', '2021-02-27T01:02:03.40'),
            ({'DATE__BEG': '2021-02-27T01:02:03.40'}, 'DATE-OBS', '2021-02-27T01:02:03.40'),
            ({'DATE__OBS': '2021-02-27', 'UT': '01:02:03'}, 'DATE-OBS', moment(2021, 2, 27, 1, 2, 3)),
            ({'DATE__OBS': '2021-02-27'}, 'DATE-OBS', '2021-02-27'),
            ({'DATE__OBS': 'long ago'}, 'DATE-OBS', 'long ago'),
            ({'DATE__OBS': 'unknown', 'MJD__OBS': 51544.5}, 'DATE-OBS', moment(2000, 1, 1, 12)),
        ],
    )
    def test_other_names(self, cards, key, value):
        assert headers.lookup(header_of(**cards), key) == value

    @pytest.mark.parametrize('key', [*headers.ALIASES, 'DATE-OBS', 'ROTATOR'])
    def test_all_that_is_looked_up_is_told_beforehand(self, key):
        class Spy(dict):
            def get(self, name, default=None):
                self[name] = None
                return default

        spy = Spy()
        headers.lookup(spy, key)
        headers.sort_value(spy, key)
        assert set(spy) <= set(headers.keywords_behind(key))
        assert key in headers.keywords_behind(key.lower())

    @pytest.mark.parametrize(
        ('found', 'number'),
        [
            (1, 1.0),
            ('1e2', 100.0),
            (' -5 ', -5.0),
            ('nan', None),
            ('inf', None),
            (True, None),
            (None, None),
            ('V', None),
            (1j, None),
        ],
    )
    def test_numbers(self, found, number):
        assert headers.as_number(found) == number

    def test_needed_numbers(self):
        assert headers.needed_number(header_of(EXPOSURE='30'), 'EXPTIME', 'a.fits') == 30
        for cards, message in (({}, 'is missing'), ({'EXPTIME': 'long'}, "= 'long' is not a number")):
            with pytest.raises(Failure, match=f'a.fits: keyword EXPTIME {message}, and it is needed'):
                headers.needed_number(header_of(**cards), 'exptime', 'a.fits')

    @pytest.mark.parametrize(('value', 'seconds'), [(30, 30.0), (0, 0.0), (-1, None), ('x', None)])
    def test_exposure(self, value, seconds):
        assert headers.exposure(header_of(EXPTIME=value)) == seconds


class TestDates:
    @pytest.mark.parametrize(
        ('text', 'expected'),
        [
            ('2021-02-27', moment(2021, 2, 27)),
            (' 2021-02-27T04:12:33.25 ', moment(2021, 2, 27, 4, 12, 33, 250000)),
            ('2021-02-27 04:12', moment(2021, 2, 27, 4, 12)),
            ('2021-02-27T04:12:33Z', moment(2021, 2, 27, 4, 12, 33)),
            ('2019-04-29T20:25:29.8219583', moment(2019, 4, 29, 20, 25, 29, 821958)),
            ('2016-12-31T23:59:60.5', moment(2017, 1, 1, 0, 0, 0, 500000)),
            ('27/02/98', moment(1998, 2, 27)),
            ('19930417', moment(1993, 4, 17)),
            ('2021/02/27 04:12:33', moment(2021, 2, 27, 4, 12, 33)),
            ('Sat Feb 27 04:12:33 2021', moment(2021, 2, 27, 4, 12, 33)),
            ('27 Feb 2021 04:12 UTC', moment(2021, 2, 27, 4, 12)),
            ('2017-12-19T18:33:43.317-0700', moment(2017, 12, 20, 1, 33, 43, 317000)),
        ],
    )
    def test_dates(self, text, expected):
        assert headers.parse_date(text) == expected

    @pytest.mark.parametrize(
        'text',
        [
            '',
            'M31',
            'NGC 1976',
            '12',
            '2021',
            '04:12:33',
            'Feb 27',
            '27.02.',
            '2021-02-30',
            '2021-13-01',
            '0000-00-00',
            '31/02/98',
            '2021-02-27T25:00:00',
            '2021-02-27T04:12:61',
            '20211332',
            '27 Feb 2021 04:12 EST',
            '-',
            'x' * 10_000,
            '2021-02-27T04:12:33.25 and more',
        ],
    )
    def test_what_is_no_date(self, text):
        assert headers.parse_date(text) is None

    @pytest.mark.parametrize('zone', ['UTC', 'America/New_York', 'Asia/Kolkata'])
    def test_the_machine_s_time_zone_has_no_say(self, zone, monkeypatch):
        monkeypatch.setenv('TZ', zone)
        time.tzset()
        try:
            assert headers.parse_date('Sat Feb 27 04:12:33 2021') == moment(2021, 2, 27, 4, 12, 33)
            assert headers.parse_date('27 Feb 2021 04:12 EST') is None
            assert headers.parse_date('27 Feb 2021 04:12 +0530') == moment(2021, 2, 26, 22, 42)
        finally:
            monkeypatch.undo()
            time.tzset()

    @given(st.datetimes(min_value=moment(1850, 1, 1), max_value=moment(2200, 1, 1)))
    def test_dates_that_we_write_read_back(self, when):
        assert abs(headers.parse_date(headers.date_text(when)) - when) <= datetime.timedelta(microseconds=500)
        assert headers.parse_date(when.isoformat()) == when

    @pytest.mark.parametrize(
        ('cards', 'expected'),
        [
            (
                {'DATE__OBS': '2021-02-27T04:12:33', 'TIME__OBS': '01:00:00', 'MJD__OBS': 51544.0},
                moment(2021, 2, 27, 4, 12, 33),
            ),
            ({'DATE__BEG': '2019-09-23T03:29:21.87'}, moment(2019, 9, 23, 3, 29, 21, 870000)),
            ({'DATE__OBS': '2021-02-27', 'TIME__OBS': '04:12:33.5'}, moment(2021, 2, 27, 4, 12, 33, 500000)),
            ({'DATE__OBS': '27/02/98', 'UT': ' 4:12:33 '}, moment(1998, 2, 27, 4, 12, 33)),
            ({'DATE__OBS': '2021-02-27', 'UTC': '2021-02-27T04:12:33'}, moment(2021, 2, 27, 4, 12, 33)),
            ({'DATE__OBS': '2021-02-27', 'UT': '25:00:00'}, moment(2021, 2, 27)),
            ({'DATE__OBS': '2021-02-27', 'UT': 4.2}, moment(2021, 2, 27)),
            ({'DATE__OBS': '2021-02-27', 'DATE__BEG': '2021-02-27T04:12:33'}, moment(2021, 2, 27, 4, 12, 33)),
            ({'DATE__OBS': '2000-01-01', 'MJD__OBS': 51544.25}, moment(2000, 1, 1, 6)),
            ({'DATE__OBS': '2021-02-27', 'MJD__OBS': 51544.25}, moment(2021, 2, 27)),
            ({'MJD__OBS': 51544.5}, moment(2000, 1, 1, 12)),
            ({'JD': 2451545.0}, moment(2000, 1, 1, 12)),
            ({'JD': '2451545.0'}, moment(2000, 1, 1, 12)),
            ({'MJD__OBS': 0.0, 'JD': 2451545.0}, moment(2000, 1, 1, 12)),
            ({'DATE__OBS': 'unknown', 'JD': 2451545.0}, moment(2000, 1, 1, 12)),
            ({'DATE__OBS': 20210227}, None),
            ({'DATE': '2021-02-27T04:12:33', 'JD': -1, 'MJD': 'x'}, None),
            ({}, None),
        ],
    )
    def test_time_of_observation(self, cards, expected):
        assert headers.observation_time(header_of(**cards)) == expected

    def test_stamp(self, monkeypatch):
        monkeypatch.setenv('SOURCE_DATE_EPOCH', '951782400')
        assert headers.stamp() == '2000-02-29T00:00:00'
        monkeypatch.setenv('SOURCE_DATE_EPOCH', 'yesterday')
        with pytest.raises(Failure, match='SOURCE_DATE_EPOCH'):
            headers.stamp()


class TestOrder:
    @pytest.mark.parametrize(
        ('column', 'order'),
        [
            ([10, 9.5, '100'], [1, 0, 2]),
            (['10', '9', 'x'], [0, 1, 2]),
            ([2**53 + 1, 2**53, 2.0**53], [1, 2, 0]),
            (['2021-02-27', '26/02/21', moment(2020, 1, 1), '1 Jan 2021'], [1, 2, 3, 0]),
            ([True, False], [1, 0]),
            ([None, 'b', None, 'a'], [3, 1, 0, 2]),
            ([1j, 'z', 3], [0, 2, 1]),
            ([], []),
        ],
    )
    def test_one_keyword(self, column, order):
        assert headers.order([column]) == order

    def test_falling_keeps_ties_and_the_missing_last(self):
        assert headers.order([[1, None, 2, 1, 2]], [True]) == [2, 4, 0, 3, 1]
        assert headers.order([[1, None, 2, 1, None]], missing_first=True) == [1, 4, 0, 3, 2]
        assert headers.order([['b', 'a', 'b', 'a'], [1, 2, 3, 4]], [False, True]) == [3, 1, 2, 0]

    def test_the_date_means_the_time_of_observation(self):
        header = header_of(DATE__OBS='2021-02-27', UT='04:00:00', EXPOSURE=3)
        assert headers.sort_value(header, 'date-obs') == moment(2021, 2, 27, 4)
        assert headers.sort_value(header, 'EXPTIME') == 3

    @given(
        st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes(), st.booleans()))
    )
    def test_any_values_can_be_sorted(self, column):
        order = headers.order([column])
        assert sorted(order) == list(range(len(column)))
        there = [row for row in order if column[row] is not None]
        assert order[: len(there)] == there


class TestCards:
    @pytest.mark.parametrize('text', ['X', '=1', 'TOOLONGKEY=1', 'a b=1', 'NAXIS=2', 'X=é', 'X=\x1b', 'BZERO=1'])
    def test_what_is_no_card(self, text):
        with pytest.raises(UsageError):
            headers.parse_card(text)

    @pytest.mark.parametrize(
        ('text', 'card'),
        [
            ("A=''", ('A', '')),
            ('a=T', ('A', True)),
            ('A=1e3', ('A', 1000.0)),
            ('A=inf', ('A', 'inf')),
            ('A=x=y', ('A', 'x=y')),
        ],
    )
    def test_cards(self, text, card):
        assert headers.parse_card(text) == card

    def test_a_part_moves_what_speaks_of_positions(self):
        header = header_of(
            CRPIX1=50.5,
            CRPIX2=20,
            CRPIX1A=3.0,
            LTV2=-4.0,
            DATASEC='[1:90,1:60]',
            BIASSEC='[91:100,1:60]',
            TRIMSEC='odd',
        )
        headers.cut_to(header, (slice(10, 30), slice(5, 95)))
        assert (header['CRPIX1'], header['CRPIX2'], header['CRPIX1A']) == (45.5, 10, -2)
        assert (header['LTV1'], header['LTV2']) == (-5, -14)
        assert (header['DATASEC'], header['BIASSEC'], header['TRIMSEC']) == ('[1:85,1:20]', '[86:90,1:20]', 'odd')
        headers.cut_to(header, (slice(0, 20), slice(0, 85)))
        assert 'BIASSEC' not in header

    @pytest.mark.parametrize(
        ('cards', 'slices', 'wanted'),
        [
            # binned by two in x: the detector's columns go twice as fast
            ({'CCDSEC': '[101:280,1:60]', 'DATASEC': '[6:95,1:60]'}, (slice(10, 30), slice(10, 85)), '[111:260,11:30]'),
            ({'CCDSEC': '[101:280,1:60]', 'DATASEC': '[6:95,1:60]'}, (slice(0, 60), slice(0, 100)), '[101:280,1:60]'),
            ({'CCDSEC': '[101:280,1:60]', 'DATASEC': '[6:95,1:60]'}, (slice(0, 60), slice(95, 100)), None),
            ({'DETSEC': '[1:100,1:60]', 'NAXIS1': 100, 'NAXIS2': 60}, (slice(5, 60), slice(0, 90)), '[1:90,6:60]'),
            ({'DETSEC': '[1:100,1:60]'}, (slice(5, 60), slice(0, 90)), '[1:100,1:60]'),  # of pixels that nobody names
            ({'CCDSEC': '[1:99,1:60]', 'DATASEC': '[1:90,1:60]'}, (slice(0, 60), slice(0, 50)), None),
            ({'CCDSEC': 'UNKNOWN', 'DATASEC': '[1:90,1:60]'}, (slice(0, 60), slice(0, 50)), 'UNKNOWN'),
            ({'CSEC11': '[1:45,1:60]', 'DSEC11': '[46:90,1:60]'}, (slice(0, 60), slice(50, 90)), '[6:45,1:60]'),
            ({'CCDSECA': '[1:45,1:60]', 'DATASECA': '[46:90,1:60]'}, (slice(0, 60), slice(50, 90)), '[6:45,1:60]'),
        ],
    )
    def test_a_part_s_place_on_the_detector(self, cards, slices, wanted):
        header = header_of(**cards)
        headers.cut_to(header, slices)
        assert header.get(next(iter(cards))) == wanted

    def test_sections_of_several_amplifiers_move_too(self):
        header = header_of(DATASECA='[11:50,1:60]', BIASSECB='[91:100,1:60]', TSEC21='[1:5,1:60]', TSEC=1432093445)
        headers.cut_to(header, (slice(0, 60), slice(10, 95)))
        assert dict(header) == {'LTV1': -10, 'DATASECA': '[1:40,1:60]', 'BIASSECB': '[81:85,1:60]', 'TSEC': 1432093445}

    @pytest.mark.parametrize(
        ('text', 'ends'),
        [('[1:90,2:60]', ((1, 90), (2, 60))), ('[ 5 : 5, 7:8 ] ', ((5, 5), (7, 8))), ('[9:1,1:2]', None),
         ('[0:1,1:2]', None), ('[1:2]', None), ('UNKNOWN', None), (7, None)],
    )  # fmt: skip
    def test_plain_sections(self, text, ends):
        assert headers.section_ends(header_of(DATASEC=text), 'DATASEC') == ends
        assert headers.section_ends(header_of(), 'DATASEC') is None

    def test_history_is_plain_text(self, monkeypatch):
        monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')
        header = fits.Header()
        headers.add_history(header, 'img_x', ['a\nb', 'é' + os.fsdecode(b'\xff')])
        assert list(header['HISTORY'])[1:] == ['  a\\nb', '  \\xe9\\xff']
        assert header['HISTORY'][0].endswith(' 1970-01-01T00:00:00')

    def test_differences_are_told(self):
        like = [
            header_of(FILTER='V', EXPTIME=10.0, CCD__TEMP=-10.0),
            header_of(FILTNAM='v ', EXPTIME=10, CCD__TEMP=-10.9),
        ]
        headers.warn_of_differences(like, ['a', 'b'])
        unlike = [*like, header_of(FILTER='R', EXPTIME=20.0)]
        with pytest.warns(FileWarning) as caught:
            headers.warn_of_differences(unlike, ['a', 'b', 'c'], ignore=['EXPTIME'])
        assert [str(each.message) for each in caught] == ['FILTER differs: V in a, R in c']

    def test_statistics(self):
        cards = headers.statistic_cards({'num': 12, 'q97.5': 3.0, 'rms': float('nan'), 'mean': 1.5})
        assert [card[:2] for card in cards] == [('NPOINTS', 12), ('QUANT975', 3.0), ('RMS', None), ('MEAN', 1.5)]

    def test_filabres_longest_name_finds_the_keyword_that_it_was_cut_to(self):
        ((key, value, _),) = headers.statistic_cards({'rstd': 37.065})
        assert key == 'ROBUSTSD'
        assert headers.lookup(header_of(**{key: value}), 'ROBUSTSTD') == 37.065

    @pytest.mark.parametrize(
        ('cards', 'flat'),
        [
            ({'IMAGETYP': 'flat'}, True),
            ({'IMAGETYP': 'Dome Flat'}, True),
            ({'OBSTYPE': 'SKYFLAT'}, True),
            ({'IMAGETYP': 'MASTER FLAT'}, True),
            ({'IMAGETYP': 'twilight'}, True),
            ({'IMAGETYP': 'flatdark'}, False),
            ({'IMAGETYP': 'Flat Bias'}, False),
            ({'IMAGETYP': 'object', 'OBJECT': 'flat_frame_001'}, True),
            ({'IMAGETYP': 'object', 'OBJECT': 'M 31'}, False),
            ({'IMAGETYP': 7}, False),
            ({}, False),
        ],
    )
    def test_flats(self, cards, flat):
        assert headers.is_flat(header_of(**cards)) is flat

    @pytest.mark.parametrize(
        ('column', 'wanted'),
        [
            ([' 60', 2.5, None, 'x'], [' 60', '2.5', None, 'x']),
            (['60', 7, None], [60, 7, None]),
            (['2021-02-27', None], [datetime.datetime(2021, 2, 27), None]),
            (['2021-02-27', 'M 31'], ['2021-02-27', 'M 31']),
        ],
    )
    def test_one_type_for_a_column(self, column, wanted):
        assert headers.of_one_type(column) == wanted


@pytest.mark.parametrize(
    'text',
    ['9999-12-31T23:59:60.9999', '0001-01-01T00:00:00+05:00', '9999-12-31 23:59:59 -0900', '9999-12-31T24:00:00'],
)
def test_dates_beyond_the_calendar_are_no_dates(text):
    assert headers.parse_date(text) is None


def test_the_last_moment_of_the_calendar_is_written_all_the_same():
    assert headers.date_text(datetime.datetime.max).startswith('9999-12-31T23:59:59')
    assert headers.observation_time({'DATE-OBS': '9999-12-31', 'TIME-OBS': '23:59:60.9'}) is None


def test_needed_exposures():
    cards = fits.Header({'EXPOSURE': 30.0, 'DARKTIME': ' 31 ', 'ITIME': 0.0})
    assert headers.needed_exposure(cards, 'a.fits') == 30
    assert headers.needed_exposure(cards, 'a.fits', 'darktime') == 31
    assert headers.needed_exposure(cards, 'a.fits', 'ITIME', zero=True) == 0
    for key, words in (('ITIME', 'ITIME = 0.0'), ('NONE', 'NONE is missing')):
        with pytest.raises(Failure, match=f'a.fits: it has no usable exposure time: {words}'):
            headers.needed_exposure(cards, 'a.fits', key)


@pytest.mark.parametrize('kind', [fits.Header, lambda cards: plain.PlainHeader(fits.Header(cards).cards)])
def test_exposures_change_under_all_their_names(kind):
    cards = kind({'EXPTIME': 30.0, 'EXPOSURE': 30, 'TELAPSE': 'long', 'OBJECT': 'M 1'})
    headers.set_exposure(cards, 2.5)
    assert [cards[key] for key in ('EXPTIME', 'EXPOSURE', 'TELAPSE')] == [2.5, 2.5, 'long']
    headers.set_exposure(cards, None)
    assert [key for key in ('EXPTIME', 'EXPOSURE', 'TELAPSE', 'OBJECT') if key in cards] == ['TELAPSE', 'OBJECT']


def test_a_product_loses_the_cards_that_are_none(tmp_path, make_image):
    make_image(tmp_path / 'a.fits', np.zeros((2, 3)), BIASSUB='b', OBJECT='M 1')
    image = reader.open_image(reader.Reference(str(tmp_path / 'a.fits')))
    made = headers.product(image, 'img_arith', [], [('BIASSUB', None), ('NOTHERE', None), ('OBJECT', ('M 2', 'what'))])
    assert 'BIASSUB' not in made
    assert 'NOTHERE' not in made
    assert made['OBJECT'] == 'M 2'


class TestCuts:
    """Cards that a cut moves."""

    @pytest.mark.parametrize('cards', [
        {'CTYPE1': 'RA---TAN', 'CTYPE2': 'DEC--TAN', 'CRVAL1': 150.0, 'CRVAL2': 2.0, 'CDELT1': -1e-3, 'CDELT2': 1e-3},
        {'CTYPE1': 'RA---TAN', 'CTYPE2': 'DEC--TAN', 'CRVAL1': 150.0, 'CRVAL2': 2.0, 'CRPIX2': 3.0, 'CD1_1': -1e-3,
         'CD1_2': 1e-4, 'CD2_1': 1e-4, 'CD2_2': 1e-3},
        {'CTYPE1': 'WAVE', 'CUNIT1': 'nm', 'CRVAL1': 400.0, 'CDELT1': 0.5},
    ])  # fmt: skip
    def test_a_missing_reference_pixel_is_0(self, cards):
        raw = fits.Header([('NAXIS', 2), ('NAXIS1', 40), ('NAXIS2', 30), *cards.items()])
        cut = raw.copy()
        headers.cut_to(cut, (slice(7, 20), slice(11, 30)))
        assert cut['CRPIX1'] == -11
        axes = 2 if 'CTYPE2' in cards else 1
        places = [WCS(header).all_pix2world(x, y, 0)[:axes] for header, x, y in ((cut, 2, 5), (raw, 13, 12))]
        np.testing.assert_allclose(*places, rtol=1e-12)

    def test_nothing_is_written_where_nothing_moves(self):
        header = fits.Header({'CRVAL1': 5.0, 'CRVAL2A': 6.0, 'EXPTIME': 3.0})
        headers.cut_to(header, (slice(7, 20), slice(0, 30)))
        assert dict(header) == {'CRVAL1': 5.0, 'CRVAL2A': 6.0, 'EXPTIME': 3.0, 'CRPIX2A': -7.0, 'LTV2': -7.0}

    def test_the_corner_on_a_plate_moves(self):
        header = fits.Header({'CNPIX1': 1200, 'CNPIX2': 3400.5, 'AMDX1': 67.1, 'PPO3': 1.0})
        headers.cut_to(header, (slice(7, 20), slice(11, 30)))
        assert (header['CNPIX1'], header['CNPIX2'], header['AMDX1'], header['PPO3']) == (1211, 3407.5, 67.1, 1.0)
        assert isinstance(header['CNPIX1'], int)


class TestMeanStarts:
    @pytest.mark.parametrize(
        ('cards', 'wanted'),
        [
            ({}, None),
            ({'MJD-OBS': 58000.25}, (6, 0)),
            ({'MJD-OBS': 58000.25, 'MJD-AVG': 58000.75}, (6, 0)),  # the middle of a single exposure
            ({'NCOMBINE': 3, 'MJD-OBS': 58000.25}, (6, 0)),
            ({'NCOMBINE': 3, 'MJD-OBS': 58000.25, 'MJD-AVG': 58000.75, 'EXPTIME': 120.0}, (17, 59)),
            ({'NCOMBINE': 3, 'MJD-AVG': 58000.75}, (18, 0)),
            ({'NCOMBINE': 3, 'MJD-AVG': 58000.75, 'EXPTIME': 360.0, 'CMBMETH': 'sum'}, (17, 59)),
            ({'NCOMBINE': 3, 'MJD-AVG': 58000.5, 'DATE-AVG': '2017-09-04T18:00:00'}, (18, 0)),
            ({'NCOMBINE': 0, 'MJD-OBS': 58000.25, 'MJD-AVG': 58000.75}, (6, 0)),
            ({'NCOMBINE': 3, 'MJD-OBS': 58000.25, 'MJD-AVG': 'noon'}, (6, 0)),
            ({'NCOMBINE': 3, 'MJD-AVG': 1e300, 'MJD-OBS': 58000.25}, (6, 0)),
            ({'NCOMBINE': 3, 'MJD-AVG': 58000.75, 'EXPTIME': 1e20}, None),
        ],
    )
    def test_of_headers(self, cards, wanted):
        found = headers.mean_start(fits.Header(cards))
        assert found == (None if wanted is None else moment(2017, 9, 4, *wanted))

    @pytest.mark.parametrize('method', ['mean', 'sum'])
    def test_of_combinations(self, tmp_path, make_image, method):
        times = [(0.1, 60.0), (0.15, 30.0), (0.4, 10.0)]
        names = [
            make_image(tmp_path / f'{place}.fits', np.ones((2, 3)), MJD__OBS=58000 + day, EXPTIME=seconds)
            for place, (day, seconds) in enumerate(times)
        ]
        out = str(tmp_path / 'out.fits')
        assert combine_fits.main([*names, '-m', method, '-o', out]) == 0
        found = headers.mjd(headers.mean_start(fits.getheader(out)))
        assert found == pytest.approx(58000 + 0.65 / 3, abs=2e-8)
