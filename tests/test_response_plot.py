"""plots/response: what is drawn, through the artists and the pixels of the picture."""

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fitsutils.plots import page, response
from fitsutils.plots.response import Curves


def curves(**changes):
    """A lamp of 200 points with a fit, two points left out, and a slit of 50 rows."""
    x = np.linspace(0, 1, 200)
    data, used = np.exp(4 * x) * (1 + 0.01 * np.sin(40 * x)), np.ones(200, bool)
    used[[50, 120]] = False
    data[50] *= 1.4
    profile = np.interp(np.arange(50), [4, 6, 43, 45], [0.01, 1, 1, 0.01])
    settings = {'title': 'flat.fits', 'note': 'poly of degree 7', 'along': 'x', 'across': 'y', 'data': data,
                'fit': np.exp(4 * x), 'used': used, 'profile': profile, 'lit': profile > 0.8, 'least': 0.8}  # fmt: skip
    return Curves(**{**settings, **changes})


def drawn(**changes):
    figure = page.new_figure()
    return figure, response.draw(figure, curves(**changes))


def lines(axes):
    return [line.get_xydata() for line in axes.lines]


def test_the_three_panels_show_their_numbers():
    given = curves()
    _, (spectrum, residual, slit) = drawn()
    np.testing.assert_array_equal(lines(spectrum)[0], np.column_stack([np.arange(1, 201), given.data]))
    np.testing.assert_array_equal(lines(spectrum)[1][:, 1], given.fit)
    np.testing.assert_array_equal(lines(spectrum)[2], [[51, given.data[50]], [121, given.data[120]]])
    percent = 100 * (given.data / given.fit - 1)
    np.testing.assert_array_equal(lines(residual)[1][given.used, 1], percent[given.used])
    assert np.isnan(lines(residual)[1][~given.used, 1]).all()
    np.testing.assert_array_equal(lines(slit)[-1][:, 1], given.profile)
    assert [axes.get_xlabel() for axes in (residual, slit)] == ['x (pixels)', 'y (pixels)']


def test_what_was_left_out_is_marked_where_it_can_be_seen():
    """A point of 40 % would leave nothing to be seen of residuals of 1 %: it is marked at the end of the axis."""
    _, (_, residual, _) = drawn()
    low, high = residual.get_ylim()
    assert -3 < low < -1 < 1 < high < 3
    np.testing.assert_allclose(lines(residual)[2][0], [51, high])


def test_the_lit_rows_are_shaded():
    lit = np.zeros(50, bool)
    lit[[5, 6, 7, 30]] = True
    _, (_, _, slit) = drawn(lit=lit)
    spans = [patch.get_extents().transformed(slit.transData.inverted()) for patch in slit.patches]
    np.testing.assert_allclose([(span.x0, span.x1) for span in spans], [(5.5, 8.5), (30.5, 31.5)])
    assert [text.get_text() for text in slit.texts] == ['lit: 4 of 50']


@pytest.mark.parametrize(('least', 'number'), [(0.8, 2), (None, 1)])
def test_the_least_light_of_a_lit_row(least, number):
    _, (_, _, slit) = drawn(least=least)
    assert len(slit.lines) == number


@pytest.mark.parametrize(('steep', 'scale'), [(4, 'log'), (1, 'linear')])
def test_a_steep_spectrum_has_a_logarithmic_axis(steep, scale):
    lamp = np.exp(steep * np.linspace(0, 1, 200))
    _, (spectrum, _, _) = drawn(data=lamp, fit=lamp)
    assert spectrum.get_yscale() == scale


def test_nan_and_darkness_are_no_hindrance():
    given = curves()
    data, fit, used = given.data.copy(), given.fit.copy(), given.used.copy()
    data[:20], fit[:20], used[:20] = -1, np.nan, False
    data[30], used[30] = np.nan, False
    profile = given.profile.copy()
    profile[3] = np.nan
    assert response.picture(curves(data=data, fit=fit, used=used, profile=profile), 'png').startswith(b'\x89PNG')
    assert response.picture(curves(data=given.fit), 'pdf').startswith(b'%PDF')  # no residual at all


def test_equal_curves_give_equal_bytes():
    assert response.picture(curves(), 'png') == response.picture(curves(), 'png')
    assert response.picture(curves(), 'pdf') == response.picture(curves(), 'pdf')


def test_the_colours_are_there():
    picture = matplotlib.image.imread(io.BytesIO(response.picture(curves(), 'png')))[..., :3]
    assert picture.shape == (920, 1000, 3)
    for colour in (response._DATA, response._FIT, response._CLIPPED, response._LIT):
        assert (np.abs(picture - to_rgb(colour)).max(axis=-1) < 0.02).sum() > 10, colour


def test_a_long_title_stays_on_the_page():
    figure, _ = drawn(title='x' * 400, note='$y_1$ ' * 80)
    width = figure.get_figwidth() * figure.dpi
    assert all(text.get_window_extent().x1 <= width for text in figure.texts)
