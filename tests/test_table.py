import csv
import datetime
import io
import json
import math

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.files.table import MISSING, one_word, render, rounded

ROWS = [
    ['a b.fit', 'M 31', 60.0, 3, True, datetime.datetime(2021, 2, 27, 4, 12, 33)],
    ['c.fit', None, float('nan'), None, None, None],
    ['', 'x\x1b[31m\ny,"z"\t', 1 / 3, -7, False, datetime.datetime(2021, 2, 27)],
]
COLUMNS = ['Filename', 'OBJECT', 'EXPTIME', 'N', 'ESO FLAG', 'DATE-OBS']
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.datetimes(), st.complex_numbers()
)


def test_the_table():
    assert render(COLUMNS, ROWS, numbered=True) == (
        '#Filename OBJECT             EXPTIME            N    ESO_FLAG DATE-OBS\n'
        '#1        2                  3                  4    5        6\n'
        'a_b.fit   M_31               60.0               3    T        2021-02-27T04:12:33\n'
        'c.fit     ....               ....               .... ....     ....\n'
        '....      x\\x1b[31m\\ny,"z"\\t 0.3333333333333333 -7   F        2021-02-27T00:00:00\n'
    )


def test_digits_and_no_numbers():
    assert render(['X', 'Y'], [[1 / 3, 123456.0]], digits=4) == '#X     Y\n0.3333 1.235e+05\n'


def test_a_table_without_rows_is_its_header():
    assert render(['A', 'B'], [], numbered=True) == '#A B\n#1 2\n'
    assert render([], []) == ''


@pytest.mark.parametrize(
    ('value', 'word'),
    [
        ('Bias Frame', 'Bias_Frame'),
        ('  x  y ', 'x_y'),
        ('', MISSING),
        ('   ', MISSING),
        (None, MISSING),
        (math.nan, MISSING),
        (math.inf, 'inf'),
        (60, '60'),
        (0.27, '0.27'),
        (1e-5, '1e-05'),
        (True, 'T'),
        ('\u202e', '\\u202e'),
        ('\x9b', '\\x9b'),
        ('a\u00a0b', 'a\\xa0b'),
        (1 + 2j, '(1+2j)'),
    ],
)
def test_one_word(value, word):
    assert one_word(value) == word


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=5), st.booleans())
def test_every_line_has_as_many_words_as_columns(rows, numbered):
    text = render(['Filename', 'A B', 'C'], rows, numbered=numbered)
    lines = text.split('\n')[:-1]
    assert len(lines) == len(rows) + 1 + numbered
    assert {len(line.split()) for line in lines} == {3}
    assert text.replace('\n', '').isprintable()


@given(st.lists(st.tuples(VALUES, VALUES), max_size=5), st.sampled_from(['tsv', 'csv', 'ecsv', 'jsonl']))
def test_a_row_is_a_line_of_printable_text(rows, form):
    text = render(['A', 'B'], rows, form)
    assert text.replace('\n', '').replace('\t', '').isprintable()
    lines = [line for line in text.splitlines() if not line.startswith('# ')]
    assert len(lines) == len(rows) + (form != 'jsonl')


def test_tsv():
    assert render(['A', 'B'], [['a\tb', None], [1.5, 'x y']], 'tsv') == 'A\tB\na\\tb\t\n1.5\tx y\n'


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False), st.integers()), min_size=1, max_size=5))
def test_csv_and_jsonl_keep_numbers(rows):
    for row, found in zip(rows, list(csv.reader(io.StringIO(render(['A', 'B', 'C'], rows, 'csv'))))[1:], strict=True):
        assert (float(found[1]), int(found[2])) == row[1:]
    for row, line in zip(rows, render(['A', 'B', 'C'], rows, 'jsonl').splitlines(), strict=True):
        found = json.loads(line)
        assert (float(found['B']), found['C']) == row[1:]


def test_json_has_no_bare_nan():
    text = render(['A', 'B', 'C', 'D', 'E'], [[math.nan, math.inf, True, 1j, 'a\n']], 'jsonl')
    assert json.loads(text, parse_constant=pytest.fail) == {'A': None, 'B': 'inf', 'C': True, 'D': '1j', 'E': 'a\\n'}


def test_ecsv_reads_back_with_types():
    rows = [
        ['a b', 60.0, 3, True, 'say "x"', 1, 2**70],
        [None, None, None, None, '', 2.5, 1],
        ['c', -math.inf, -7, False, 'é', None, 0],
    ]
    table = Table.read(render(['Name', 'F', 'I', 'B', 'ESO T', 'MIX', 'BIG'], rows, 'ecsv'), format='ascii.ecsv')
    assert table.colnames == ['Name', 'F', 'I', 'B', 'ESO T', 'MIX', 'BIG']
    assert [table[name].dtype.kind for name in table.colnames] == list('UfibUfU')
    for name, place in (('Name', 0), ('F', 1), ('I', 2), ('B', 3)):
        assert np.ma.getmaskarray(table[name]).tolist() == [False, True, False]
        assert [table[name][row] for row in (0, 2)] == [rows[row][place] for row in (0, 2)]
    assert list(table['ESO T'].filled('?')) == ['say "x"', '?', 'é']
    assert table['BIG'][0] == str(2**70)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4))
def test_ecsv_always_reads_back(rows):
    table = Table.read(render(['A', 'B'], rows, 'ecsv'), format='ascii.ecsv')
    assert (len(table), table.colnames) == (len(rows), ['A', 'B'])


@pytest.mark.parametrize(
    ('value', 'error', 'wanted'),
    [
        (5.93333, 1.52753, ('5.933', '1.528')),
        (0.0983333, 0.0117851, ('0.098', '0.012')),
        (1.23456e-5, 3.21e-6, ('0.0000123', '0.0000032')),
        (0.5, 0.001, ('0.5000', '0.0010')),
        (-7.0, 0.0, ('-7.000', '0.000')),
        (12345.678, 1234.5, ('12345.678', '1234.500')),
        (2.0, 1.0, ('2.000', '1.000')),
    ],
)
def test_rounded_values_and_errors(value, error, wanted):
    assert rounded(value, error) == wanted
