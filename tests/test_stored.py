import os

import numpy as np
import pytest

from fitsutils.errors import Failure
from fitsutils.files import stored


def form(kind, **cards):
    return stored.format_of(cards, np.dtype(kind), 'x')


@pytest.mark.parametrize(
    ('raw', 'cards', 'kind', 'plain'),
    [
        ('u1', {}, 'u1', True),
        ('u1', {'BZERO': -128}, 'i1', True),
        ('>i2', {}, 'i2', True),
        ('>i2', {'BZERO': 32768.0, 'BSCALE': 1}, 'u2', True),
        ('>i2', {'BZERO': 32768, 'BLANK': 3}, 'f4', False),
        ('>i2', {'BSCALE': 0.5}, 'f4', False),
        ('>i2', {'BZERO': 1e9}, 'f8', False),
        ('>i4', {'BZERO': 2**31}, 'u4', True),
        ('>i4', {'BSCALE': 0.5}, 'f8', False),
        ('>i8', {'BZERO': 2**63}, 'u8', True),
        ('>f4', {'BLANK': 3}, 'f4', True),
        ('>f4', {'BZERO': 1}, 'f4', False),
        ('>f8', {}, 'f8', True),
    ],
)
def test_formats(raw, cards, kind, plain):
    found = form(raw, **cards)
    assert (found.dtype, found.plain, found.native) == (np.dtype(kind), plain, np.dtype(raw).newbyteorder('='))
    assert form(raw, **cards) is found


@pytest.mark.parametrize(('cards', 'match'), [({'BZERO': 'much'}, "x: BZERO = 'much'"), ({'BSCALE': 0}, 'BSCALE = 0')])
def test_formats_that_make_no_sense(cards, match):
    with pytest.raises(Failure, match=match):
        form('u1', **cards)


def test_pixels_of_stored_values():
    values = np.array([-32768, -1, 0, 32767], 'i2')
    plain = form('>i2', BZERO=32768).pixels(values)
    assert (plain.dtype, plain.tolist()) == (np.dtype('u2'), [0, 32767, 32768, 65535])
    assert np.shares_memory(plain, values)
    scaled = form('>i2', BSCALE=0.5, BZERO=1, BLANK=3).pixels(np.array([3, 4], 'i2'))
    np.testing.assert_array_equal(scaled, np.array([np.nan, 3], 'f4'))
    assert form('>f4', BSCALE=1e30).pixels(np.array([1e30], 'f4'))[0] == np.inf


@pytest.fixture
def descriptor(tmp_path):
    """A file with 7 x 11 big-endian integers behind 5 bytes."""
    (tmp_path / 'a').write_bytes(b'12345' + np.arange(77, dtype='>i2').tobytes())
    opened = os.open(tmp_path / 'a', os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.mark.parametrize('chunk', [1, 44, 1000])
@pytest.mark.parametrize('most', [3, 1000])  # bytes that the system gives at once
@pytest.mark.parametrize('vectors', [True, False])
@pytest.mark.parametrize(('kind', 'columns'), [('i2', slice(0, 11)), ('f4', slice(0, 11)), ('i2', slice(2, 9))])
def test_runs(descriptor, monkeypatch, chunk, most, vectors, kind, columns):
    monkeypatch.setattr(stored, '_CHUNK', chunk)
    if vectors:
        preadv = os.preadv
        monkeypatch.setattr(os, 'preadv', lambda file, views, place: preadv(file, [views[0][:most]], place))
    else:
        pread = os.pread
        monkeypatch.delattr(os, 'preadv')
        monkeypatch.setattr(os, 'pread', lambda file, size, place: pread(file, min(size, most), place))
    out, summed = np.zeros((5, columns.stop - columns.start), kind), {}

    def summing(row, block):
        for step, line in enumerate(block):
            summed[row + step] = line.tobytes()

    runs = [(0, 1, 3), (3, 5, 2)]
    assert stored.read_runs(out, form('>i2'), descriptor, 5, 11, columns, runs, summing)
    array = np.arange(77).reshape(7, 11)
    np.testing.assert_array_equal(out, array[[1, 2, 3, 5, 6], columns])
    assert summed == {row: array[row].astype('>i2').tobytes() for row in (1, 2, 3, 5, 6)}


def test_a_file_that_ends_too_early(descriptor):
    out = np.zeros((2, 11), 'i2')
    assert not stored.read_runs(out, form('>i2'), descriptor, 5, 11, slice(0, 11), [(0, 6, 2)])
    assert not stored.read_runs(out, form('>i2'), descriptor, 5, 11, slice(0, 11), [(0, 9, 1)])
