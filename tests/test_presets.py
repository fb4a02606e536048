"""The table of cameras whose headers do not say where their overscan lies."""

import itertools

import numpy as np
import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import detector, presets, reader


@pytest.fixture
def opened(tmp_path, make_image):
    """A function that opens an image of some size (nx, ny) with some cards."""

    def make(size, **cards):
        path = make_image(tmp_path / 'x.fits', np.zeros(size[::-1], 'u1'), **cards)
        return reader.open_image(reader.Reference(path), keywords=detector.KEYWORDS)

    return make


def sections(preset):
    return [f'{data}:{bias}' for data, bias in preset.amplifiers]


KOSMOS = ['[1:1024,*]:[2049:2098,*]', '[1025:2048,*]:[2099:2148,*]']
KOSMOS_2 = ['[1:512,*]:[1025:1074,*]', '[513:1024,*]:[1075:1124,*]']


@pytest.mark.parametrize(
    ('size', 'cards', 'name', 'wanted'),
    [
        ((2148, 4096), {'INSTRUME': 'kosmos', 'BINX': 1, 'BINY': 1}, 'kosmos 1x*', KOSMOS),
        ((2148, 2048), {'INSTRUME': 'kosmos', 'BINX': 1, 'BINY': 2}, 'kosmos 1x*', KOSMOS),
        ((1124, 2048), {'INSTRUME': 'KOSMOS', 'BINX': 2, 'BINY': 2}, 'kosmos 2x*', KOSMOS_2),
        ((1124, 30), {'INSTRUME': 'kosmos'}, 'kosmos 2x*', KOSMOS_2),  # the size tells where the binning does not
        ((2098, 1078), {'INSTRUME': 'DIS', 'CCDSUM': '1 1'}, 'dis 1x1', ['[1:2048,1:1028]:[2049:2098,1:1028]']),
        ((1074, 564), {'INSTRUME': 'DIS', 'CCDSUM': '2 2'}, 'dis 2x2', ['[1:1024,1:514]:[1025:1074,1:514]']),
        ((1049, 539), {'INSTRUME': 'dis'}, 'dis 2x2', ['[1:1024,1:514]:[1025:1049,1:514]']),
        ((1056, 1024), {'INSTRUME': 'Nickel Direct Camera'}, 'nickel 2x2', ['[1:1024,*]:[1025:1056,*]']),
        ((2112, 350), {'VERSION': 'kastb'}, 'kast 1x*', ['[1:1024,*]:[2049:2080,*]', '[1025:2048,*]:[2081:2112,*]']),
    ],
)
def test_cameras_are_known_by_header_and_size(opened, size, cards, name, wanted):
    preset = presets.choose(presets.built_in(), opened(size, **cards))
    assert str(preset) == f'preset {name}'
    assert sections(preset) == wanted


def test_every_line_fills_its_frame():
    """Pixels and overscans of a line are as wide together as the frame that it is for."""
    for preset in presets.built_in():
        pixels = [data.axes[0] for data, _ in preset.amplifiers]
        overscans = [bias.axes[0] for _, bias in preset.amplifiers]
        spans = sorted(pixels + overscans)
        assert spans[0][0] == 0
        assert spans[-1][1] == preset.size[0]
        assert all(first[1] == second[0] for first, second in itertools.pairwise(spans))
        assert len({stop - start for start, stop in pixels}) == len({stop - start for start, stop in overscans}) == 1


def test_a_camera_that_is_not_known(opened):
    assert presets.choose(presets.built_in(), opened((20, 10), INSTRUME='ALFOSC')) is None
    assert presets.choose(presets.built_in(), opened((20, 10))) is None


@pytest.mark.parametrize(
    ('cards', 'match'),
    [
        ({'INSTRUME': 'kosmos'}, r'of 2048x100 pixels, is none that the preset kosmos knows: 1x\* \(2148x\* pix'),
        ({'INSTRUME': 'kosmos', 'BINX': 2, 'BINY': 1}, 'binned 2x1 of 2048x100'),
    ],
)  # fmt: skip
def test_another_size_is_refused(opened, cards, match):
    with pytest.raises(Failure, match=match):
        presets.choose(presets.built_in(), opened((2048, 100), **cards))


def test_a_binning_that_does_not_go_with_the_size_is_refused(opened):
    with pytest.raises(Failure, match='binned 2x2 of 2148x100'):
        presets.choose(presets.built_in(), opened((2148, 100), INSTRUME='kosmos', BINX=2, BINY=2))


def test_a_name_does_not_ask_the_header(opened):
    assert presets.choose(presets.built_in(), opened((1056, 1024), INSTRUME='other'), 'nickel').name == 'nickel'


class TestTable:
    LINE = 'mycam INSTRUME=my*CAM 1x* 12x* 2,1 [1:10,*]:[11:12,*]  # tested\n'

    def test_a_file_comes_before_what_is_built_in(self, tmp_path, opened):
        (tmp_path / 'a').write_text(f'# cameras\n\n{self.LINE}kast INSTRUME=kosmos 3x2 2148x* 4 [1:2,*]:[3:4,*]\n')
        table, name = presets.table_from([str(tmp_path / 'a'), 'auto'])
        assert name is None
        assert len(table) == len(presets.built_in()) + 2
        found = presets.choose(table, opened((12, 5), INSTRUME='MY NEW cam'))
        assert (found.name, found.guard, sections(found)) == ('mycam', (2, 1), ['[1:10,*]:[11:12,*]'])
        assert presets.choose(table, opened((2148, 5), INSTRUME='kosmos')).guard == (4, 4)

    def test_a_name_from_a_file(self, tmp_path):
        (tmp_path / 'a').write_text(self.LINE)
        assert presets.table_from([str(tmp_path / 'a'), 'MyCam'])[1] == 'mycam'

    @pytest.mark.parametrize(
        ('text', 'match'),
        [
            ('', 'there is no line NAME KEYWORD=PATTERN'),
            ('\n# nothing\n', 'there is no line'),
            ('x INSTRUME=y 1x1 5x5 2\n', 'line 1: it is not NAME KEYWORD'),
            ('\n-x INSTRUME=y 1x1 5x5 2 [1:2,*]:[3:4,*]\n', 'line 2: -x INSTRUME=y 1x1 5x5 2 is not NAME'),
            ('auto INSTRUME=y 1x1 5x5 2 [1:2,*]:[3:4,*]', 'line 1: auto'),
            ('x INSTRUME 1x1 5x5 2 [1:2,*]:[3:4,*]', 'is not NAME'),
            ('x INSTRUME=y 1 5x5 2 [1:2,*]:[3:4,*]', '1 is not two numbers'),
            ('x INSTRUME=y 1x1 5x0 2 [1:2,*]:[3:4,*]', '5x0 is not two numbers'),
            ('x INSTRUME=y 1x1 5x5 -2 [1:2,*]:[3:4,*]', 'is not NAME'),
            ('x INSTRUME=y 1x1 5x5 2 [1:2,*]', 'has no overscan'),
            ('x INSTRUME=y 1x1 5x5 2 1:2,*:3:4,*', 'is not DATA:BIAS'),
            ('x INSTRUME=y 1x1 5x5 2 [0:2,*]:[3:4,*]', 'count from 1'),
        ],
    )
    def test_lines_that_are_none(self, tmp_path, text, match):
        (tmp_path / 'table').write_text(text)
        with pytest.raises(Failure, match=match) as caught:
            presets.table_from([str(tmp_path / 'table')])
        assert str(caught.value).startswith(str(tmp_path / 'table'))

    @pytest.mark.parametrize(
        ('words', 'match'),
        [(['nothing'], 'no such file, and the table knows dis, kast, kosmos, nickel'), (['dis', 'kast'], 'one camera')],
    )
    def test_names_that_are_none(self, words, match):
        with pytest.raises(UsageError, match=match):
            presets.table_from(words)

    def test_the_same_name_twice(self):
        assert presets.table_from(['dis', 'auto', 'DIS'])[1] == 'dis'
