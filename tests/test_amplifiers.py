"""Sections of single amplifiers; the ways in which headers give them are under test in test_detector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure
from fitsutils.files import amplifiers, reader
from fitsutils.files import header as headers
from fitsutils.files.amplifiers import Found
from fitsutils.files.section import parse_section

spans = st.tuples(st.integers(0, 30), st.integers(1, 20)).map(lambda pair: slice(pair[0], pair[0] + pair[1]))
windows = st.tuples(spans, spans)


@given(windows, windows, st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_a_cut_keeps_the_pixels_that_lie_in_it(data, window, binning):
    """Pixel by pixel, with its place on the detector."""
    place = {
        (row, column): (100 + binning[0] * (row - data[0].start), 200 + binning[1] * (column - data[1].start))
        for row in range(data[0].start, data[0].stop)
        for column in range(data[1].start, data[1].stop)
    }
    inside = [at for at in place if all(part.start <= each < part.stop for each, part in zip(at, window, strict=True))]
    cut = Found('A', data, data, (100, 200), binning).cut_to(window)
    if not inside:
        assert cut is None
        return
    rows, columns = cut.data
    assert [
        (row, column) for row in range(rows.start, rows.stop) for column in range(columns.start, columns.stop)
    ] == inside
    assert cut.start == place[inside[0]]
    assert (cut.name, cut.bias) == ('A', data)


@given(windows)
def test_words_read_back(window):
    assert parse_section(amplifiers.words_of(window)).slices((99, 99)) == window


def test_every_keyword_of_a_form_follows_a_cut():
    """What is looked up as a section of the image is a section for `header.cut_to` too, and the places are places."""
    for form in amplifiers.FORMS:
        for name in form.names:
            for stem in filter(None, (form.bias, *form.data, form.whole)):
                assert headers.is_section(stem + name)
            assert headers.is_on_detector(form.place + name)


@pytest.mark.parametrize(('cards', 'there'), [({'BIASSEC': 'x'}, True), ({'BIASSEC': ' '}, False), ({}, False)])
def test_blank_is_missing(tmp_path, make_image, cards, there):
    path = make_image(tmp_path / 'x.fits', np.zeros((3, 4), 'u1'), **cards)
    assert amplifiers.is_there(reader.open_image(reader.Reference(path)), 'BIASSEC') is there


def test_sections_must_lie_within_the_image(tmp_path, make_image):
    path = make_image(tmp_path / 'x.fits', np.zeros((3, 4), 'u1'), DATASEC='[1:4]', BIASSEC='[4:4,1:3]')
    image = reader.open_image(reader.Reference(path))
    assert amplifiers.section_in(image, 'BIASSEC') == (slice(0, 3), slice(3, 4))
    with pytest.raises(Failure, match=r"x.fits: DATASEC = '\[1:4\]' is not a section"):
        amplifiers.section_in(image, 'DATASEC')
    with pytest.raises(Failure, match=r'--trim: region .* goes beyond'):
        amplifiers.window_of(parse_section('[5:5,*]'), image, '--trim')
