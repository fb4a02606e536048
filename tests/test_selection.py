import numpy as np
import pytest
from astropy.io import fits

from fitsutils.errors import Failure, FileWarning, UsageError
from fitsutils.files import where
from fitsutils.files.inputs import Reference
from fitsutils.steps import selection


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, make_image):
    monkeypatch.chdir(tmp_path)
    make_image('a.fits', np.arange(35, dtype='u2').reshape(5, 7), EXPOSURE=60.0, FILTNAM='V', IMAGETYP='')


class TestSelection:
    def test_without_an_expression_all_are_taken(self, recwarn):
        chosen = selection.Selection(None)
        assert chosen.takes({}.get)
        assert (chosen.keywords, chosen.statistics, chosen.is_empty, chosen.tested) == ([], [], False, 1)
        chosen.warn()
        assert not recwarn

    def test_what_must_be_read(self):
        keys = where.parse_keys('FILT=coalesce(A, B), q50')
        chosen = selection.Selection('median > 5 and CCD-TEMP < 0 and Filename ~ /a/', keys)
        assert {'A', 'B', 'CCD-TEMP', 'CCDTEMP', 'CCD_TEMP'} < set(chosen.keywords)
        assert 'FILENAME' not in chosen.keywords
        assert chosen.statistics == ['median', 'q50']

    def test_keywords_that_no_frame_has(self):
        chosen = selection.Selection('A == 1 and B == Bias and not has(C) and X in (D, 5)', where.parse_keys('E'))
        for header in ({'A': 5}, {'A': ' ', 'E': 5}):
            assert not chosen.takes(header.get)
        assert chosen.absent == {'B', 'BIAS', 'D', 'X'}
        with pytest.warns(FileWarning) as caught:
            chosen.warn('planes')
        assert [str(each.message) for each in caught] == [
            'no image has a value of B',
            'no image has a value of BIAS; a text stands in quotes',
            'no image has a value of D; a text stands in quotes',
            'no image has a value of X',
            '--where takes none of 2 planes',
        ]
        assert chosen.is_empty

    def test_nothing_is_said_where_nothing_was_tested(self, recwarn):
        chosen = selection.Selection('A == 1')
        chosen.warn()
        assert not recwarn
        assert not chosen.is_empty

    def test_a_wrong_expression(self):
        with pytest.raises(UsageError, match='expression: '):
            selection.Selection('A ==')


class TestReading:
    def test_headers_under_all_names(self):
        chosen = selection.Selection('EXPTIME > 5 and FILTER == "V" and Filename == "a.fits"')
        header, lookup = selection.read(Reference('a.fits'), None, {'NAXIS1'}, chosen)
        assert chosen.takes(lookup)
        assert header['NAXIS1'] == 7
        assert lookup('EXPTIME') == 60.0

    def test_statistics_of_the_part_that_is_named(self):
        chosen = selection.Selection('mean > 5 and q50 < 100')
        region = selection.files.section.parse_section('2:3,4:5')
        _, lookup = selection.read(Reference('a.fits', region=region), None, set(), chosen)
        part = np.arange(35).reshape(5, 7)[3:5, 1:3]
        assert (lookup('mean'), lookup('q50')) == (part.mean(), np.median(part))

    def test_pixels_are_read_only_when_they_are_asked_for(self):
        with open('a.fits', 'r+b') as file:
            file.truncate(2880)
        chosen = selection.Selection('mean > 5 and EXPTIME > 100')
        _, lookup = selection.read(Reference('a.fits'), None, set(), chosen)
        assert not chosen.takes(lookup)
        with pytest.raises(Failure, match=r'a\.fits: '):
            lookup('mean')

    def test_history_beside_all_keywords(self):
        fits.setval('a.fits', 'HISTORY', value='combined')
        chosen = selection.Selection('HISTORY ~ /combined/')
        header, lookup = selection.read(Reference('a.fits'), None, None, chosen)
        assert chosen.takes(lookup)
        assert 'HISTORY' not in header


def test_keywords_without_letters_are_no_statistics():
    look = selection.lookup({'123': 5}, 'a.fits', lambda name: f'statistic {name}')
    assert (look('123'), look('q50')) == (5, 'statistic q50')


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ([], []),
        ([('b',), ('a',), (' b ',)], [[1], [0, 2]]),
        ([(10,), ('9',), (10.0,), ('10',)], [[1], [0, 2, 3]]),
        ([(None,), (1,), (float('nan'),), ('',)], [[1], [0, 2, 3]]),
        ([('B', 2), ('B', 1), ('A', 3)], [[2], [1], [0]]),
        ([(True,), (False,), ('T',)], [[1], [0, 2]]),
    ],
)
def test_kinds(values, expected):
    assert selection.kinds(values) == expected
