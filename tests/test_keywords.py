import gzip
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import header as headers
from fitsutils.files import keywords
from fitsutils.files.inputs import Reference

START = [
    'SIMPLE  =                    T',
    'BITPIX  =                    8',
    'NAXIS   =                    1',
    'NAXIS1  =                    3',
]


def file_of(path, *cards, start=START, end='END'):
    """A file with these cards, as they are."""
    text = ''.join(card.ljust(80) for card in [*start, *cards, end]).encode('latin-1')
    Path(path).write_bytes(text.ljust(-(-len(text) // 2880) * 2880) + bytes(2880))
    return Reference(str(path))


def quick(reference, wanted=None):
    """The values the short way; None where it is not taken."""
    try:
        return keywords._quick(reference.path, None if wanted is None else frozenset(wanted))
    except keywords.UnusualError:
        return None


def slow(reference, wanted=None):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return keywords._parsed(reference, None, wanted)


def same(one, other):
    return list(one.items()) == list(other.items()) and list(map(type, one.values())) == list(map(type, other.values()))


NUMBER = r' {0,9}[+-]?[0-9]{1,5}([.][0-9]{0,4})?([EDe][+-]?[0-9]{1,2})? {0,3}(/[ -~]{0,9})?'
PLAIN = [
    "TEXT    = 'M 31    '           / a comment",
    "DATE-OBS= '2021-02-27T04:12:33.25'",
    "EMPTY   = ''",
    "SPACES  = '   '",
    "SLASH   = 'a/b' / c",
    'NONE    =',
    'NOTHING =                      / a comment',
    'WHOLE   =                   60',
    'LEADING =                  007',
    'SIGN    =                   -5 / x',
    'FLOAT   =               -1.50E2',
    'DOUBLE  =               1.5D-02',
    'POINT   =                   5.',
    'DOT     =                   .5',
    'FREE    = 7/x',
    'YES     =                    T',
    'NO_     = F / x',
    'COMMENT text',
    'HISTORY text = 3',
    '        = 3',
    'BIG     = 123456789012345678901234567890',
]


@pytest.mark.parametrize('card', PLAIN)
def test_plain_cards_take_the_short_way_to_the_same_value(card, tmp_path):
    reference = file_of(tmp_path / 'a.fits', card, 'LAST    = 1')
    assert quick(reference) is not None
    assert same(quick(reference), slow(reference))


@pytest.mark.parametrize(
    'card',
    [
        "QUOTE   = 'it''s'",
        "DP1     = 'NAXIS: 2'",
        'COMPLEX = (1.0, 2.0)',
        'SPACE   = 1 E 5',
        'LOWER   = 1.0e5',
        "BROKEN  = 'never closed",
        'DATE    = 2021-02-27',
        'NOEQUALS 12',
        'lower   = 1',
        'A B     = 1',
        '  LEAD  = 1',
        'NOSPACE =1',
        "HIERARCH ESO DET NAME = 'x'",
        "LONG    = 'abc&'",
        'WÄRME   = 1',
        "X       = 'café'",
        "X       = 'a\tb'",
    ],
)
def test_odd_cards_go_through_astropy(card, tmp_path):
    more = ["CONTINUE  'def'"] if card.endswith("&'") else []
    reference = file_of(tmp_path / 'a.fits', 'FIRST   = 1', card, *more, 'LAST    = 2')
    assert quick(reference) is None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        found = keywords.read(reference)
    assert same(found, slow(reference))
    assert (found['FIRST'], found['LAST']) == (1, 2)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r'[A-Z][A-Z0-9_-]{0,7}', fullmatch=True).filter(lambda key: key not in ('END', 'CONTINUE')),
            st.one_of(
                st.from_regex(r" {0,3}'[ -~]{0,20}'[ -~]{0,8}", fullmatch=True),
                st.from_regex(NUMBER, fullmatch=True),
                st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
            ),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_both_ways_give_the_same(tmp_path, cards):
    reference = file_of(tmp_path / 'a.fits', *(f'{key:<8}= {value}' for key, value in cards))
    wanted = ['NAXIS1', *(key for key, _ in cards[::2])]
    for names in (None, dict.fromkeys(wanted)):
        found = quick(reference, names)
        if found is not None:
            other = slow(reference, names)
            assert found == other
            assert {key: type(value) for key, value in found.items()} == {
                key: type(value) for key, value in other.items()
            }
            assert found.repeated == other.repeated


@pytest.mark.parametrize(
    'start',
    [
        [*START[:2], 'NAXIS   =                    0'],
        [*START[:3], 'NAXIS1  =                    0'],
        [*START[:3], "NAXIS1  = '3       '"],
        START[:3],
        [START[0], 'BITPIX  =                   12', *START[2:]],
        [*START, 'GROUPS  =                    T'],
        [*START, 'PCOUNT  =                    x'],
        ['SIMPLE  =                    T', *START[2:]],
    ],
)
def test_odd_layouts_go_the_long_way(start, tmp_path):
    assert quick(file_of(tmp_path / 'a.fits', 'X       = 1', start=start), ['X']) is None


def test_values_of_wanted_keywords_only(tmp_path):
    reference = file_of(tmp_path / 'a.fits', 'A       = 1', "B       = 'x'", 'C       = 2.5', 'A       = 3')
    with pytest.warns(FileWarning, match=r'a\.fits: more than one card A: the first one counts'):
        assert keywords.read(reference, None, ['A', 'NAXIS1', 'D']) == {'A': 1, 'NAXIS1': 3}
    assert keywords.read(reference, None, ['C', 'B']) == {
        'C': 2.5,
        'B': 'x',
    }  # nothing is said of a keyword nobody wants


def test_commentary_is_read_where_it_is_wanted(tmp_path):
    reference = file_of(tmp_path / 'a.fits', 'HISTORY one', 'X       = 1', 'HISTORY two')
    assert keywords.read(reference, None, ['HISTORY', 'X']) == {'HISTORY': 'one two', 'X': 1}
    assert 'HISTORY' not in keywords.read(reference)


def test_long_strings_and_hierarch_keywords(tmp_path):
    header = fits.Header([('LONG', 'x' * 100), ('HIERARCH ESO DET NAME', 'CCD'), ('X', 1)])
    fits.PrimaryHDU(np.zeros(3), header).writeto(tmp_path / 'a.fits')
    reference = Reference(str(tmp_path / 'a.fits'))
    assert keywords.read(reference, None, ['LONG', 'ESO DET NAME', 'X']) == {
        'LONG': 'x' * 100,
        'ESO DET NAME': 'CCD',
        'X': 1,
    }
    assert keywords.read(reference, None, ['X', 'LONG'])['LONG'] == 'x' * 100


def test_the_hdu_is_the_one_that_the_reader_would_choose(tmp_path):
    path = tmp_path / 'a.fits'
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros(3), name='SCI'), fits.ImageHDU(np.zeros(4), name='VAR')]
    hdus[0].header['TELESCOP'] = 'Nickel'
    fits.HDUList(hdus).writeto(path)
    names = ['EXTNAME', 'NAXIS1', 'TELESCOP']
    assert keywords.read(Reference(str(path)), None, names) == {'EXTNAME': 'SCI', 'NAXIS1': 3, 'TELESCOP': 'Nickel'}
    assert keywords.read(Reference(str(path)), 'VAR', names)['NAXIS1'] == 4
    assert keywords.read(Reference(str(path), 2), 'SCI', names)['NAXIS1'] == 4


def test_packed_files(tmp_path):
    file_of(tmp_path / 'a.fits', 'X       = 1')
    (tmp_path / 'a.fits.gz').write_bytes(gzip.compress((tmp_path / 'a.fits').read_bytes()))
    assert keywords.read(Reference(str(tmp_path / 'a.fits.gz')), None, ['X']) == {'X': 1}


@pytest.mark.parametrize(
    'content',
    [b'', b'SIMPLE  =', b'no fits at all', b'SIMPLE  =' + b' ' * 3000, b'SIMPLE  =' + b'COMMENT'.ljust(80) * 40_000],
)
def test_what_is_no_header_fails(content, tmp_path):
    (tmp_path / 'a.fits').write_bytes(content)
    with pytest.raises(Failure, match=r'a\.fits: '):
        keywords.read(Reference(str(tmp_path / 'a.fits')))


def test_a_header_over_many_blocks(tmp_path):
    cards = [f'KEY{number:<5}= {number}' for number in range(300)]
    found = keywords.read(file_of(tmp_path / 'a.fits', *cards), None, ['KEY299', 'KEY0'])
    assert found == {'KEY0': 0, 'KEY299': 299}


def test_functions_for_headers_take_them(tmp_path):
    found = keywords.read(
        file_of(tmp_path / 'a.fits', 'EXPOSURE= 2.5', "DATE-BEG= '2021-02-27'", "UT      = '01:00:00'")
    )
    assert headers.lookup(found, 'EXPTIME') == 2.5
    assert headers.observation_time(found).isoformat() == '2021-02-27T01:00:00'


def test_real_headers(data):
    paths = [path for path in data.rglob('*') if path.is_file()]
    short = 0
    for path in paths:
        for wanted in (None, ['DATE-OBS', 'EXPTIME', 'OBJECT', 'NAXIS1']):
            found = quick(Reference(str(path)), wanted)
            if found is not None:
                short += 1
                assert same(found, slow(Reference(str(path)), wanted)) or wanted
                assert found == slow(Reference(str(path)), wanted)
    assert short > 50


@pytest.mark.parametrize(
    'card', ['NOEQUALS 12', 'NOSPACE =1', 'lower   = 1', "HIERARCH ESO DET = 'x'", 'X       = \x1b', 'END  x']
)
def test_a_header_with_any_odd_card_is_not_plain(card, tmp_path):
    path = file_of(tmp_path / 'a.fits', 'A       = 1', card).path
    assert keywords.plain_header(path, frozenset(['A'])) is None


@pytest.mark.parametrize('count', [3, 29, 30, 31, 137, 138, 300])
def test_a_plain_header(count, tmp_path):
    cards = [f'KEY{number:<5}= {number}' for number in range(count)]
    reference = file_of(tmp_path / 'a.fits', *cards, 'HISTORY = x', 'A       = 1', 'A       = 2')
    found = keywords.plain_header(reference.path, frozenset(['A', 'KEY2', 'NONE']))
    assert found.values == {'BITPIX': 8, 'NAXIS': 1, 'NAXIS1': 3, 'KEY2': 2, 'A': 1}
    assert found.offset == Path(reference.path).stat().st_size - 2880
    assert found.status.st_ino == Path(reference.path).stat().st_ino


@pytest.mark.parametrize('kind', ['gone', 'folder', 'pipe', 'device', 'empty'])
def test_what_is_no_plain_file(kind, tmp_path):
    path = tmp_path / 'a.fits'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'pipe':
        os.mkfifo(path)  # and nobody writes to it
    elif kind == 'empty':
        path.touch()
    assert keywords.plain_header('/dev/null' if kind == 'device' else str(path), frozenset()) is None


def test_which_keywords_are_plain():
    assert all(map(keywords.is_plain, ['A', 'DATE-OBS', 'X_1']))
    assert not any(map(keywords.is_plain, ['', 'COMMENT', 'HISTORY', 'ESO DET', 'LONGERTHAN', 'lower', 'WÄRME']))
