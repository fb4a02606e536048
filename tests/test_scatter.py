"""Scatter plots of columns: what is drawn where, through the axes and the pixels of the pictures."""

import datetime
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import dates
from PIL import Image

from fitsutils.plots import page, scatter
from fitsutils.plots.scatter import column

LEVELS = column('median', [100.0, 101.5, np.nan, 99.0, 180.0, 102.0, np.inf])
TIMES = column('EXPTIME', [1, 2, 3, None, 5, 6, 7])
NAMES = [f'f{number}.fits' for number in range(7)]


def pair(x, y, *words):
    figure = page.new_figure()
    scatter.draw_pair(figure, x, y, *words)
    return figure


def matrix(*columns, title=''):
    figure = page.new_figure()
    scatter.draw_matrix(figure, columns, title)
    return figure


def offsets(axes):
    """Points of the first scatter of axes, without those that have no place."""
    points = np.ma.filled(np.ma.asarray(axes.collections[0].get_offsets(), 'f8'), np.nan)
    return points[np.isfinite(points).all(axis=1)]


class TestColumns:
    def test_numbers(self):
        found = column('x', [1, None, 2.5, np.inf, np.nan])
        np.testing.assert_array_equal(found.places, [1, np.nan, 2.5, np.nan, np.nan])
        assert (found.kind, found.words) == ('number', ())

    def test_dates(self):
        days = [datetime.datetime(2017, 3, 18, 16, 5), None, datetime.datetime(2017, 3, 19, 16, 5)]
        found = column('DATE-OBS', days)
        assert found.kind == 'date'
        assert found.places[2] - found.places[0] == 1
        assert dates.num2date(found.places[0]).replace(tzinfo=None) == days[0]

    @given(st.lists(st.sampled_from(['B', 'V', 'R', 'Halpha', None]), min_size=1))
    def test_words(self, cells):
        found = column('FILTER', cells)
        there = [cell for cell in cells if cell is not None]
        assert [found.words[int(place)] for place in found.places if np.isfinite(place)] == there
        assert len(set(found.words)) == len(found.words) == len(set(there))

    @pytest.mark.parametrize(
        ('cells', 'varies'), [([1, 2], True), ([2, 2, None], False), ([None, 1], False), ([], False), ([None], False)]
    )
    def test_whether_values_differ(self, cells, varies):
        assert column('x', cells).varies is varies


class TestStandingOut:
    def test_is_what_lies_beyond_five_robust_sigma(self):
        rng = np.random.default_rng(3)
        level, other = rng.normal(100, 2, 60), rng.normal(0, 1, 60)
        level[[7, 31]] += [40, -60]
        other[20] = 55
        spread = 1.4826 * np.median(np.abs(level - np.median(level)))
        assert (np.abs(level - np.median(level)) > 5 * spread).sum() == 2
        assert scatter.standing_out(column('x', other), column('y', level)) == [7, 20, 31]

    @pytest.mark.parametrize(
        ('x', 'y'),
        [
            ([1] * 20, [5] * 19 + [9]),  # no spread to measure by
            ([None] * 20, [5] * 20),
            (range(29), [0, 1] * 10 + [100, 200, 300, 400, 500, 600, 700, 800, 900]),  # too many
            ([str(n) for n in range(20)], [1, 2] * 10),
        ],
    )
    def test_nothing_does(self, x, y):
        assert scatter.standing_out(column('x', list(x)), column('y', list(y))) == []


class TestPair:
    def test_points_lie_where_they_belong(self):
        (axes,) = pair(TIMES, LEVELS).axes
        np.testing.assert_array_equal(offsets(axes), [[1, 100], [2, 101.5], [5, 180], [6, 102]])
        assert (axes.get_xlabel(), axes.get_ylabel()) == ('EXPTIME', 'median')
        assert axes.get_xlim()[0] < 1 < 7 < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < 99 < 180 < axes.get_ylim()[1]

    def test_what_stands_out_is_named(self):
        (axes,) = pair(TIMES, LEVELS, NAMES).axes
        assert [(each.get_text(), each.xy) for each in axes.texts] == [('f4.fits', (5, 180))]
        assert list(pair(TIMES, LEVELS).axes[0].texts) == []

    def test_rows_that_are_not_shown_are_counted(self):
        texts = [each.get_text() for each in pair(TIMES, LEVELS, NAMES, '7 images').texts]
        assert texts == ['7 images, 3 without both values']

    def test_dates_and_words_along_the_axes(self):
        times = column('DATE-OBS', [datetime.datetime(2017, 3, 18, hour) for hour in (16, 18, 22)])
        figure = pair(times, column('FILTER', ['B', 'a$b$', 'B']))
        (axes,) = figure.axes
        page.snapshot(figure)
        assert axes.get_xlabel() == 'DATE-OBS (UTC)'
        assert '18:00' in [each.get_text() for each in axes.get_xticklabels()]
        assert [each.get_text() for each in axes.get_yticklabels()] == ['B', r'a\$b\$']

    def test_numbers_are_written_out_in_full(self):
        figure = pair(column('MJD-OBS', [58025.0123, 58025.0164]), column('sum', [3.2e10, 3.3e10]))
        page.snapshot(figure)
        (axes,) = figure.axes
        ticks = [float(each.get_text()) for each in axes.get_xticklabels()]
        assert any(58025.0123 < tick < 58025.0164 for tick in ticks)
        assert len(set(ticks)) == len(ticks)
        assert axes.xaxis.get_offset_text().get_text() == axes.yaxis.get_offset_text().get_text() == ''

    def test_long_words_get_room(self):
        words = column('OBJECT', [f'a very long name of {number}' for number in range(12)])
        figure = pair(words, column('y', list(range(12))))
        page.snapshot(figure)
        for label in figure.axes[0].get_xticklabels():
            assert label.get_window_extent().y0 > 0

    def test_one_point(self):
        (axes,) = pair(column('x', [5]), column('y', [0])).axes
        np.testing.assert_array_equal(offsets(axes), [[5, 0]])

    @pytest.mark.parametrize(
        ('x', 'y', 'said'),
        [
            ([None, None], [1, 2], 'no image has a value of x'),
            ([1, None], [None, 1], 'no image has both x and y'),
            ([1, 2], [1, 1e302], 'the values of y are too large'),
        ],
    )
    def test_nothing_to_draw(self, x, y, said):
        with pytest.raises(page.PictureError, match=said):
            pair(column('x', x), column('y', y))


class TestMatrix:
    def test_every_column_against_every_other(self):
        rng = np.random.default_rng(4)
        columns = [column(name, rng.normal(place, 1, 9).tolist()) for place, name in enumerate('abcd')]
        figure = matrix(*columns, title='9 images')
        panels = [axes for axes in figure.axes if axes.get_xlabel()]
        assert len(panels) == 16
        for number, axes in enumerate(panels):
            y, x = columns[number // 4], columns[number % 4]
            assert (axes.get_xlabel(), axes.get_ylabel()) == (x.name, y.name)
            if x is not y:
                np.testing.assert_array_equal(offsets(axes), np.transpose([x.places, y.places]))
        # From left to right and from top to bottom.
        places = [axes.get_position() for axes in panels]
        assert all(first.x1 < second.x0 for first, second in itertools.pairwise(places[:4]))
        assert all(first.y0 > second.y1 for first, second in itertools.pairwise(places[::4]))
        assert '9 images' in [each.get_text() for each in figure.texts]

    def test_histograms_on_the_diagonal(self):
        x = column('x', [1, 2, 2, None, 9, 9, 9])
        figure = matrix(x, column('y', [1, 2, 3, 4, 5, 6, 7]), column('w', list('ababacd')))
        heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes if axes.patches]
        assert [sum(each) for each in heights] == [6, 7, 7]
        assert heights[2] == [3, 2, 1, 1]
        assert heights[0][-1] == 3

    def test_numbers_stand_at_the_edges_only(self):
        figure = matrix(*(column(name, [1.0, 2.0, place]) for place, name in enumerate('abc', 3)))
        page.snapshot(figure)
        panels = [axes for axes in figure.axes if axes.get_xlabel()]
        shown = [(axes.xaxis.label.get_visible(), axes.yaxis.label.get_visible()) for axes in panels]
        assert shown == [(row == 2, place == 0) for row in range(3) for place in range(3)]

    def test_too_many(self):
        with pytest.raises(page.PictureError, match='a matrix of 21 columns is too large: at most 20'):
            matrix(*(column(f'c{number}', [1, 2]) for number in range(21)))


class TestPictures:
    @pytest.mark.parametrize('columns', [(TIMES, LEVELS), (TIMES, LEVELS, column('z', list(range(7))))])
    def test_are_the_same_every_time(self, columns):
        first, second = (scatter.picture(columns, 'png', NAMES, 'title') for _ in range(2))
        assert first == second
        with Image.open(io.BytesIO(first)) as found:
            assert min(found.size) > 400
            assert len(found.convert('RGB').getcolors(1 << 20)) > 5  # something is drawn
        assert scatter.picture(columns, 'pdf').startswith(b'%PDF')
