"""Where the amplifiers of a raw image lie: options, headers, presets, and how they are joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure
from fitsutils.files import amplifiers, detector, presets, reader
from fitsutils.files.detector import Wanted, find_layout
from fitsutils.files.section import parse_pair, parse_section

NX, NY = 40, 24


@pytest.fixture
def opened(tmp_path, make_image):
    """A function that opens an image with some cards; ``part`` is what stands behind its name."""

    def make(size=(NX, NY), part=None, **cards):
        path = make_image(tmp_path / 'x.fits', np.zeros(size[::-1], 'u1'), **cards)
        region = part and parse_section(part)
        return reader.open_image(reader.Reference(path, None, region), keywords=detector.KEYWORDS)

    return make


def wanted(overscan=None, trim=None, amps=(), name=None, subtract=True):
    sections = [None if text is None else parse_section(text) for text in (overscan, trim)]
    return Wanted(*sections, tuple(map(parse_pair, amps)), name, presets.built_in(), subtract)


def words(layout):
    """Each amplifier's name, pixels, overscan and place."""
    text = amplifiers.words_of
    return [(each.name, text(each.data), each.bias and text(each.bias), text(each.place)) for each in layout.amplifiers]


ONE = [('', '[3:30,1:24]', '[31:40,1:24]', '[1:28,1:24]')]


class TestOptions:
    def test_overscan_and_trim(self, opened):
        layout = find_layout(opened(), wanted('[31:40,*]', '[3:30,*]'))
        assert (words(layout), layout.shape, layout.source) == (ONE, (24, 28), '--overscan, --trim')
        assert layout.is_whole

    @pytest.mark.parametrize('key', ['TRIMSEC', 'DATASEC'])
    def test_overscan_and_the_header_s_pixels(self, opened, key):
        layout = find_layout(opened(BIASSEC='UNKNOWN', **{key: '[3:30,1:24]'}), wanted('[31:40,*]'))
        assert words(layout) == ONE

    def test_trim_and_the_header_s_overscan(self, opened):
        layout = find_layout(opened(BIASSEC='[31:40,1:24]', TRIMSEC='UNKNOWN'), wanted(trim='[3:30,*]'))
        assert (words(layout), layout.source) == (ONE, 'BIASSEC, --trim')

    def test_amplifiers(self, opened):
        layout = find_layout(opened(), wanted(amps=['[1:16,*]:[33:36,*]', '[17:32,*]:[37:40,*]']))
        assert words(layout) == [
            ('', '[1:16,1:24]', '[33:36,1:24]', '[1:16,1:24]'),
            ('', '[17:32,1:24]', '[37:40,1:24]', '[17:32,1:24]'),
        ]
        assert layout.window == (slice(0, 24), slice(0, 32))

    def test_options_come_before_the_header(self, opened):
        header = {'BIASSEC': '[1:2,1:24]', 'TRIMSEC': '[5:9,1:24]'}
        assert words(find_layout(opened(**header), wanted('[31:40,*]', '[3:30,*]'))) == ONE
        assert words(find_layout(opened(**header), wanted(amps=['[3:30,*]:[31:40,*]']))) == ONE

    def test_trim_cuts_several_amplifiers(self, opened):
        amps = ['[1:16,*]:[33:36,*]', '[17:32,*]:[37:40,*]']
        layout = find_layout(opened(), wanted(trim='[9:28,2:23]', amps=amps))
        assert words(layout) == [
            ('', '[9:16,2:23]', '[33:36,1:24]', '[1:8,1:22]'),
            ('', '[17:28,2:23]', '[37:40,1:24]', '[9:20,1:22]'),
        ]
        one = find_layout(opened(), wanted(trim='[20:40,*]', amps=amps))
        assert words(one) == [('', '[20:32,1:24]', '[37:40,1:24]', '[1:13,1:24]')]

    def test_a_part_behind_the_name_cuts_too(self, opened):
        layout = find_layout(opened(part='[5:35,2:3]'), wanted('[31:40,*]', '[3:30,*]'))
        assert words(layout) == [('', '[5:30,2:3]', '[31:40,1:24]', '[1:26,1:2]')]

    @pytest.mark.parametrize(
        ('asked', 'match'),
        [
            (wanted('[31:41,*]', '[3:30,*]'), r'--overscan: region \[31:41,\*\] goes beyond the image'),
            (wanted('[31:40,*]', '[3:30,1:25]'), '--trim: region'),
            (wanted('[31:40,*]'), r"no TRIMSEC or DATASEC that says what to keep; --trim does"),
            (wanted(amps=['[1:16,*]:[33:99,*]']), '--amp: region'),
            (wanted('[31:40,*,1]', '[3:30,*]'), '--overscan: .* has 3 axes'),
            (wanted(amps=['[1:16,*]']), 'an amplifier has no overscan; --fit none'),
            (wanted(amps=['[1:16,*]:[33:36,*]', '[16:32,*]:[37:40,*]']), 'do not make up a rectangle'),
            (wanted(amps=['[1:16,*]:[33:36,*]', '[17:32,1:12]:[37:40,*]']), 'do not make up a rectangle'),
            (wanted(trim='[35:36,*]', amps=['[1:16,*]:[33:36,*]']), r'\[35:36,1:24\] holds no pixel of \[1:16,1:24\]'),
        ],
    )  # fmt: skip
    def test_refusals(self, opened, asked, match):
        image = opened()
        with pytest.raises(Failure, match=match) as caught:
            find_layout(image, asked)
        assert str(caught.value).startswith(image.path)


class TestHeader:
    @pytest.mark.parametrize(
        'cards',
        [
            {'BIASSEC': '[31:40,1:24]', 'TRIMSEC': '[3:30,1:24]', 'DATASEC': '[1:30,1:24]'},
            {'BIASSEC': '[31:40,1:24]', 'DATASEC': '[3:30,1:24]'},
            {'BIASSEC': '[  31 : 40, 1 :  24 ]', 'DATASEC': ' [3:30,1:24]', 'TRIMSEC': ' '},
        ],
    )
    def test_one_amplifier(self, opened, cards):
        layout = find_layout(opened(**cards), wanted())
        assert (words(layout), layout.guard) == (ONE, (0, 0))

    def test_decam_and_desi(self, opened):
        """DECam: letters behind DATASEC; the left half is amplifier B, with its overscan at the outer edge."""
        layout = find_layout(
            opened(
                BIASSEC='[1:2,1:24]', DATASEC='[5:36,1:24]',
                DATASECA='[21:36,1:24]', TRIMSECA='[21:36,1:24]', BIASSECA='[37:40,1:24]', CCDSECA='[17:32,1:24]',
                DATASECB='[5:20,1:24]', TRIMSECB='[5:20,1:24]', BIASSECB='[1:4,1:24]', CCDSECB='[1:16,1:24]',
            ),
            wanted(),
        )  # fmt: skip
        assert words(layout) == [
            ('A', '[21:36,1:24]', '[37:40,1:24]', '[17:32,1:24]'),
            ('B', '[5:20,1:24]', '[1:4,1:24]', '[1:16,1:24]'),
        ]
        assert layout.source == 'BIASSECA, BIASSECB'
        assert layout.window == (slice(0, 24), slice(4, 36))

    def test_quadrants_of_arcon(self, opened):
        """Four amplifiers, overscans in the middle, binned by two, trimmed within their pixels."""
        cards = {}
        for y, x in ((1, 1), (1, 2), (2, 1), (2, 2)):
            rows = '1:12' if y == 1 else '13:24'
            first = 1 if x == 1 else 25
            cards[f'ASEC{y}{x}'] = f'[{"1:20" if x == 1 else "21:40"},{rows}]'
            cards[f'DSEC{y}{x}'] = f'[{first}:{first + 15},{rows}]'
            cards[f'TSEC{y}{x}'] = f'[{first + (x == 1)}:{first + 14 + (x == 1)},{rows}]'
            cards[f'BSEC{y}{x}'] = f'[{17 if x == 1 else 21}:{20 if x == 1 else 24},{rows}]'
            cards[f'CSEC{y}{x}'] = f'[{32 * x - 31 + 100}:{32 * x + 100},{24 * y - 23}:{24 * y}]'
        layout = find_layout(opened(**cards), wanted())
        assert words(layout) == [
            ('11', '[2:16,1:12]', '[17:20,1:12]', '[1:15,1:12]'),
            ('12', '[25:39,1:12]', '[21:24,1:12]', '[16:30,1:12]'),
            ('21', '[2:16,13:24]', '[17:20,13:24]', '[1:15,13:24]'),
            ('22', '[25:39,13:24]', '[21:24,13:24]', '[16:30,13:24]'),
        ]
        assert layout.shape == (24, 30)
        assert not layout.is_whole

    def test_places_come_from_the_detector(self, opened):
        """Amplifier 1 is right of amplifier 2 on the detector, though not in the raw image."""
        cards = {'DSEC1': '[1:16,1:24]', 'BSEC1': '[17:20,1:24]', 'CSEC1': '[17:32,1:24]',
                 'DSEC2': '[25:40,1:24]', 'BSEC2': '[21:24,1:24]', 'CSEC2': '[1:16,1:24]'}  # fmt: skip
        assert [each[3] for each in words(find_layout(opened(**cards), wanted()))] == ['[17:32,1:24]', '[1:16,1:24]']
        layout = find_layout(opened(**cards), wanted(trim='[*,3:24]'))
        assert words(layout) == [
            ('1', '[1:16,3:24]', '[17:20,1:24]', '[17:32,1:22]'),
            ('2', '[25:40,3:24]', '[21:24,1:24]', '[1:16,1:22]'),
        ]
        with pytest.raises(Failure, match='do not make up a rectangle as their places on the detector say'):
            find_layout(opened(**cards), wanted(trim='[5:30,*]'))  # of both halves other columns

    def test_an_amplifier_s_section_holds_its_overscan(self, opened):
        """ASEC without DSEC: the pixels are what the overscan leaves of it, at either side."""
        cards = {'ASEC1': '[1:20,1:24]', 'BSEC1': '[17:20,1:24]', 'ASEC2': '[21:40,1:24]', 'BSEC2': '[21:24,1:24]'}
        assert words(find_layout(opened(**cards), wanted())) == [
            ('1', '[1:16,1:24]', '[17:20,1:24]', '[1:16,1:24]'),
            ('2', '[25:40,1:24]', '[21:24,1:24]', '[17:32,1:24]'),
        ]
        above = {'ASEC1': '[1:40,1:24]', 'BSEC1': '[1:40,20:24]'}
        assert words(find_layout(opened(**above), wanted())) == [
            ('1', '[1:40,1:19]', '[1:40,20:24]', '[1:40,1:19]'),
        ]

    @pytest.mark.parametrize(
        ('cards', 'shape', 'found'),
        [
            ({'COVER': 4, 'ROVER': 0, 'AMPSROW': 2, 'AMPSCOL': 1, 'DATASEC': '[1:32,1:24]'}, (24, 32),
             [('1', '[1:16,1:24]', '[33:36,1:24]'), ('2', '[17:32,1:24]', '[37:40,1:24]')]),
            ({'COVER': 8, 'DATASEC': '[1:32,1:24]'}, (24, 32), [('', '[1:32,1:24]', '[33:40,1:24]')]),
            ({'COVER': 8, 'ROVER': 4, 'DATASEC': '[1:32,1:20]'}, (20, 32), [('', '[1:32,1:20]', '[33:40,1:20]')]),
            ({'COVER': 0, 'ROVER': 4, 'DATASEC': '[1:40,1:20]'}, (20, 40), [('', '[1:40,1:20]', '[1:40,21:24]')]),
            ({'COVER': 4, 'ROVER': 0, 'AMPSROW': 1, 'AMPSCOL': 2, 'DATASEC': '[1:36,1:24]'}, (24, 36),
             [('1', '[1:36,1:12]', '[37:40,1:12]'), ('2', '[1:36,13:24]', '[37:40,13:24]')]),
            ({'COVER': 0, 'ROVER': 2, 'AMPSROW': 1, 'AMPSCOL': 2, 'DATASEC': '[1:40,1:20]'}, (20, 40),
             [('1', '[1:40,1:10]', '[1:40,21:22]'), ('2', '[1:40,11:20]', '[1:40,23:24]')]),
        ],
    )  # fmt: skip
    def test_lick(self, opened, cards, shape, found):
        layout = find_layout(opened(**cards), wanted())
        assert ([each[:3] for each in words(layout)], layout.shape) == (found, shape)
        assert layout.is_whole
        assert layout.guard == ((2, 2) if cards['COVER'] else (0, 0))

    @pytest.mark.parametrize(
        ('cards', 'match'),
        [
            ({'BIASSEC': 'UNKNOWN', 'TRIMSEC': '[3:30,1:24]'}, "BIASSEC = 'UNKNOWN' is not a section"),
            ({'BIASSEC': '[31:40,1:24]', 'TRIMSEC': 'UNKNOWN', 'DATASEC': '[3:30,1:24]'}, "TRIMSEC = 'UNKNOWN'"),
            ({'BIASSEC': '[31:41,1:24]', 'TRIMSEC': '[3:30,1:24]'}, r"BIASSEC = '\[31:41,1:24\]': .* beyond"),
            ({'BIASSEC': '[31:40,1:24]', 'DATASEC': '[0:30,1:24]'}, 'DATASEC'),
            ({'BIASSEC': '[31:40,1:24]', 'DATASEC': 7}, 'DATASEC = 7'),
            ({'BIASSEC': '[40:31,1:24]', 'DATASEC': '[3:30,1:24]'}, 'BIASSEC'),
            ({'BIASSEC': '[31:40,1:24]'}, r'there is only BIASSEC'),
            ({'DATASEC': '[3:30,1:24]'}, r'BIASSEC with TRIMSEC or .*, COVER with DATASEC \(there is only DATASEC\)'),
            ({'INSTRUME': 'ALFOSC'}, "INSTRUME = 'ALFOSC', and the table knows dis, kast, kosmos, nickel"),
            ({}, 'INSTRUME is missing'),
            ({'DSEC1': '[1:9,1:24]', 'BSEC1': '[10:12,1:24]', 'BSEC2': '[13:14,1:24]'}, 'a BSEC2 and no DSEC2'),
            ({'DSEC1': '[1:9,1:24]', 'BSEC1': '[10:12,1:24]', 'TSEC2': '[13:14,1:24]'}, 'a DSEC2 and no BSEC2'),
            ({'DSEC1': '[1:9,1:24]', 'BSEC1': '[10:12,1:24]', 'TSEC1': '[13:14,1:24]'}, 'no pixel in common'),
            ({'DSEC1': '[1:9,1:24]', 'BSEC1': '[10:12,1:24]', 'CSEC1': '[1:10,1:24]'}, 'CSEC1 .* does not go with'),
            ({'DSEC1': '[1:9,1:24]', 'BSEC1': '[10:12,1:24]', 'CSEC1': '[9:1,1:24]'}, 'CSEC1 .* --amp says how'),
            ({'ASEC1': '[1:20,1:24]', 'BSEC1': '[9:12,1:24]'}, 'ASEC1 less its overscan .* no rectangle'),
            ({'COVER': 8}, 'a COVER and no DATASEC'),
            ({'COVER': 8, 'DATASEC': '[1:30,1:24]'}, r'COVER = 8, DATASEC = .* do not go with 40 x 24 pixels'),
            ({'COVER': 3, 'AMPSROW': 3, 'DATASEC': '[1:31,1:24]'}, 'do not go with'),
            ({'COVER': 'many', 'DATASEC': '[1:30,1:24]'}, "COVER = 'many' is not a count"),
            ({'COVER': 0, 'ROVER': 0, 'DATASEC': '[1:40,1:24]'}, 'nothing says where'),
        ],
    )  # fmt: skip
    def test_refusals(self, opened, cards, match):
        with pytest.raises(Failure, match=match):
            find_layout(opened(**cards), wanted())


class TestOrder:
    def test_the_header_comes_before_the_table(self, opened):
        layout = find_layout(
            opened((1056, 1024), INSTRUME='Nickel', BIASSEC='[1000:1056,1:1024]', DATASEC='[1:999,1:1024]'), wanted()
        )
        assert layout.source == 'BIASSEC, DATASEC'

    def test_a_preset_that_is_named_comes_before_the_header(self, opened):
        image = opened((1056, 1024), BIASSEC='UNKNOWN', DATASEC='[1:999,1:1024]')
        layout = find_layout(image, wanted(name='nickel'))
        assert (layout.source, layout.guard) == ('preset nickel 2x2', (2, 2))
        assert words(layout) == [('', '[1:1024,1:1024]', '[1025:1056,1:1024]', '[1:1024,1:1024]')]

    def test_the_table_comes_last(self, opened):
        layout = find_layout(opened((2148, 20), INSTRUME='kosmos', BINX=1, BINY=1), wanted())
        assert (layout.source, layout.guard, layout.shape) == ('preset kosmos 1x*', (7, 10), (20, 2048))


class TestOnlyTrimming:
    @pytest.mark.parametrize(
        ('cards', 'asked', 'found'),
        [
            ({'DATASEC': '[3:30,1:24]'}, {}, ['[3:30,1:24]']),
            ({'DATASEC': '[3:30,1:24]', 'BIASSEC': 'UNKNOWN', 'TRIMSEC': '[4:30,1:24]'}, {}, ['[4:30,1:24]']),
            ({}, {'trim': '[5:6,*]'}, ['[5:6,1:24]']),
            ({}, {'amps': ['[1:10,*]', '[21:30,*]']}, ['[1:10,1:24]', '[21:30,1:24]']),
            ({'DSEC1': '[1:9,1:24]', 'DSEC2': '[20:30,1:24]'}, {}, ['[1:9,1:24]', '[20:30,1:24]']),
            ({'COVER': 8, 'DATASEC': '[1:32,1:24]'}, {}, ['[1:32,1:24]']),
        ],
    )
    def test_no_overscan_is_needed(self, opened, cards, asked, found):
        layout = find_layout(opened(**cards), wanted(**asked, subtract=False))
        assert [(data, bias) for _, data, bias, _ in words(layout)] == [(data, None) for data in found]

    def test_nothing_is_known(self, opened):
        with pytest.raises(Failure, match='nothing says where pixels are: looked for TRIMSEC, DATASEC, DATASECA'):
            find_layout(opened(), wanted(subtract=False))


def test_one_axis_is_no_detector(tmp_path, make_image):
    path = make_image(tmp_path / 'row.fits', np.zeros(9, 'u1'))
    image = reader.open_image(reader.Reference(path), keywords=detector.KEYWORDS)
    for find in (lambda image: find_layout(image, wanted('[1:2]', '[3:4]')), detector.cut_layout):
        with pytest.raises(Failure, match='one axis'):
            find(image)


def test_a_cut_is_one_amplifier(opened):
    layout = detector.cut_layout(opened(part='[3:30,5:8]'))
    assert words(layout) == [('', '[3:30,5:8]', None, '[1:28,1:4]')]
    assert (layout.shape, layout.window, layout.is_whole) == ((4, 28), (slice(4, 8), slice(2, 30)), True)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=3),
    st.randoms(),
)
def test_any_grid_is_joined_without_its_gaps(columns, rows, shuffler):
    """Cells of (length, gap behind it) along both axes, in any order: their pixels close up."""

    def spans(cells):
        start = 0
        for length, gap in cells:
            yield slice(start, start + length)
            start += length + gap

    found = [amplifiers.Found('', (row, column), None) for row in spans(rows) for column in spans(columns)]
    shuffler.shuffle(found)

    class Image:
        path = 'x'

    layout = detector._joined(Image, found, 'x', (0, 0))
    assert layout.shape == (sum(length for length, _ in rows), sum(length for length, _ in columns))
    joined = np.full(layout.shape, -1)
    raw = np.arange(40 * 40).reshape(40, 40)
    for each in layout.amplifiers:
        assert (joined[each.place] == -1).all()
        joined[each.place] = raw[each.data]
    kept = [np.concatenate([np.arange(span.start, span.stop) for span in spans(cells)]) for cells in (rows, columns)]
    np.testing.assert_array_equal(joined, raw[np.ix_(*kept)])
