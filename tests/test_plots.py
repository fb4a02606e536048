"""plots/: limits and colours against numbers, pictures through their pixels."""

import io
import os
import signal
import warnings
from dataclasses import replace

import hypothesis.extra.numpy as arrays
import matplotlib
import matplotlib.image
import numpy as np
import pytest
from astropy.visualization import ZScaleInterval
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from PIL import Image

from fitsutils.plots import (
    animation,
    frame,
    histogram,
    image,
    limits,
    line,
    page,
    painting,
    screen,
    sheet,
    ticks,
    view,
)
from fitsutils.plots.frame import Frame, Geometry, Style

SMALL = Style(size=120, dpi=80.0)
LIMITS = [limits.zscale, limits.minmax, lambda pixels: limits.around_mean(pixels, 3)]
any_image = arrays.arrays(
    st.sampled_from(['u1', 'i2', 'u2', 'i4', 'f4', 'f8']), arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)
)


def sky(ny=40, nx=60, *, star=(45, 12), seed=3):
    """A sky of 100 +- 5 with a star at 1-based (x, y)."""
    y, x = np.mgrid[1 : ny + 1, 1 : nx + 1]
    flux = 3000 * np.exp(-((x - star[0]) ** 2 + (y - star[1]) ** 2) / 8)
    return (np.random.default_rng(seed).normal(100, 5, (ny, nx)) + flux).astype('f4')


def shown(pixels, **rest):
    return Frame(pixels[None], [limits.zscale(pixels)], **rest)


def png(figure):
    return matplotlib.image.imread(io.BytesIO(page.encode(figure, 'png')))[..., :3]


def box(axes, picture):
    """Rows and columns of a picture (first row on top) that axes cover."""
    height, width = picture.shape[:2]
    place = axes.get_position()
    top, bottom = round(height * (1 - place.y1)), round(height * (1 - place.y0))
    return slice(top, bottom), slice(round(width * place.x0), round(width * place.x1))


# Limits


def test_zscale_is_astropys():
    pixels = np.random.default_rng(1).normal(1000, 30, (211, 307)).astype('f4')
    assert limits.zscale(pixels) == pytest.approx(ZScaleInterval().get_limits(pixels), rel=1e-6)


def test_zscale_leaves_bad_pixels_out():
    pixels = np.random.default_rng(1).normal(1000, 30, (50, 70))
    spoilt = pixels.copy()
    spoilt[::7] = np.nan
    spoilt[3, ::5] = -np.inf
    good = spoilt[np.isfinite(spoilt)]
    assert limits.zscale(spoilt) == pytest.approx(ZScaleInterval().get_limits(good))


def test_zscale_does_not_look_at_one_column_only():
    # Every 100th pixel of rows of 1000 lies in ten columns, and these are dead.
    pixels = np.random.default_rng(1).normal(1000, 30, (100, 1000))
    pixels[:, ::100] = 0
    low, high = limits.zscale(pixels)
    assert 700 < low < 950  # astropy's own sample holds nothing but dead pixels here
    assert 1050 < high < 1200


def test_minmax_and_around_mean():
    pixels = np.array([[1, 2, 6], [np.nan, 3, np.inf]])
    assert limits.minmax(pixels) == (1, 6)
    good = np.array([1, 2, 6, 3])
    assert limits.around_mean(pixels, 1.5) == pytest.approx((3 - 1.5 * good.std(), 3 + 1.5 * good.std()))


def test_around_mean_goes_piece_by_piece(monkeypatch):
    pixels = sky()
    whole = limits.around_mean(pixels, 2)
    monkeypatch.setattr(limits, '_CHUNK', 77)
    assert limits.around_mean(pixels, 2) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize('find', LIMITS)
@pytest.mark.parametrize(
    'pixels',
    [
        np.full((3, 4), np.nan), np.full((3, 4), 7, 'i2'), np.full((3, 4), -1e20), np.zeros((1, 1), 'u1'),
        np.array([[np.nan, np.inf]]), np.array([[-1.7e308, 1.7e308, 0]]), np.array([[5.0, np.nan]]),
        np.array([[0, 2**63 - 1]]), np.array([[1e308, -1e308] * 9]),
    ],
)  # fmt: skip
def test_limits_of_odd_images(find, pixels):
    low, high = find(pixels)
    assert np.isfinite([low, high]).all()
    assert low < high


@pytest.mark.parametrize('find', LIMITS)
@given(pixels=any_image)
def test_limits_are_always_finite_and_in_order(find, pixels):
    before = pixels.copy()
    low, high = find(pixels)
    assert np.isfinite([low, high]).all()
    assert low < high
    np.testing.assert_array_equal(pixels, before)


# Pixels to colours


def naive_means(pixels, rows, columns):
    ny, nx = pixels.shape
    out = np.full((-(-ny // rows), -(-nx // columns)), np.nan)
    for y, x in np.ndindex(out.shape):
        block = pixels[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns].astype('f8')
        if np.isfinite(block).any():
            out[y, x] = block[np.isfinite(block)].mean()
    return out


@pytest.mark.parametrize('band', [1, 50, 1 << 22])
@pytest.mark.parametrize(('rows', 'columns'), [(1, 1), (2, 3), (3, 2), (5, 1), (1, 4), (40, 50)])
def test_block_means_and_marginal_sums(monkeypatch, band, rows, columns):
    monkeypatch.setattr(painting, '_BAND', band)
    rng = np.random.default_rng(4)
    pixels = np.where(rng.random((13, 17)) < 0.3, np.nan, rng.normal(50, 9, (13, 17)))
    pixels[6, 4], pixels[:, 8], pixels[11] = np.inf, np.nan, np.nan
    np.testing.assert_allclose(painting.block_mean(pixels, rows, columns), naive_means(pixels, rows, columns))
    sums, across = painting.marginal_sums(pixels)
    good = np.where(np.isfinite(pixels), pixels, np.nan)
    np.testing.assert_allclose(sums, np.where(np.arange(17) == 8, np.nan, np.nansum(good, axis=0)))
    np.testing.assert_allclose(across, np.where(np.arange(13) == 11, np.nan, np.nansum(good, axis=1)))


@pytest.mark.parametrize('dtype', ['u1', 'u2', 'i2', 'i4', 'f4'])
def test_means_and_sums_do_not_wrap(dtype):
    top = 3e38 if dtype == 'f4' else np.iinfo(dtype).max
    pixels = np.full((6, 8), top, dtype)
    np.testing.assert_allclose(painting.block_mean(pixels, 3, 4), float(pixels[0, 0]))
    np.testing.assert_allclose(painting.marginal_sums(pixels)[0], 6 * float(pixels[0, 0]))


@pytest.mark.parametrize('stretch', painting.STRETCHES)
def test_stretches_rise_and_can_be_undone(stretch):
    values = np.linspace(-20, 520, 41)
    fractions = painting.stretched(values, (0, 500), stretch)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    inside = (values > 0) & (values < 500)
    assert (np.diff(fractions[inside]) > 0).all()
    np.testing.assert_allclose(painting.values_at(fractions[inside], (0, 500), stretch), values[inside], atol=1e-6)


def test_stretches_by_their_formulas():
    middle = np.array([0.25])
    assert painting.stretched(middle, (0, 1), 'linear') == 0.25
    assert painting.stretched(middle, (0, 1), 'sqrt') == 0.5
    np.testing.assert_allclose(painting.stretched(middle, (0, 1), 'log'), np.log(251) / np.log(1001))
    np.testing.assert_allclose(painting.stretched(middle, (0, 1), 'asinh'), np.arcsinh(2.5) / np.arcsinh(10))


def test_stretch_over_the_whole_range_of_floats():
    np.testing.assert_allclose(
        painting.stretched(np.array([-1.7e308, 0, 1.7e308]), (-1.7e308, 1.7e308), 'linear'), [0, 0.5, 1]
    )


def test_colour_tables():
    inverted, plain = painting.colour_table('inv'), painting.colour_table('non')
    np.testing.assert_array_equal(inverted[:256], plain[255::-1])
    assert tuple(inverted[0]) == (255, 255, 255)
    np.testing.assert_array_equal(painting.colour_table('gray_r'), inverted)
    with pytest.raises(ValueError, match=r"no colour map 'virids'.*viridis"):
        painting.colour_table('virids')


@pytest.mark.parametrize('name', ['inv', 'viridis', 'Blues', 'jet', 'hsv', 'cubehelix', 'RdBu', 'Reds', 'winter'])
def test_bad_pixels_stand_out_of_every_colour_map(name):
    table = painting.colour_table(name) / 255
    assert np.linalg.norm(table[:256] - table[256], axis=1).min() > 0.2


def test_paint_one_plane_and_three():
    pixels = np.array([[[0.0, 50], [100, np.nan]]])
    colours = painting.paint(pixels, [(0, 100)], 'linear', painting.colour_table('non'))
    assert colours[..., 0].tolist()[0] == [0, 128]
    assert tuple(colours[1, 0]) == (255, 255, 255)
    assert tuple(colours[1, 1]) == tuple(painting.colour_table('non')[-1])
    rgb = np.concatenate([pixels, np.zeros((2, 2, 2))])
    colours = painting.paint(rgb, [(0, 100), (-1, 1), (0, 1)], 'linear', painting.colour_table('inv'))
    assert tuple(colours[1, 0]) == (255, 128, 0)
    assert tuple(colours[1, 1]) == tuple(painting.colour_table('inv')[-1])


# Scale and ticks


@given(ny=st.integers(1, 5000), nx=st.integers(1, 5000), size=st.integers(1, 3000))
def test_blocks_cover_the_image_and_little_more(ny, nx, size):
    shape = frame.geometry(ny, nx, size)
    rows, columns = -(-ny // shape.rows), -(-nx // shape.columns)
    assert 0 <= rows * shape.rows - ny < rows
    assert 0 <= columns * shape.columns - nx < columns
    assert max(shape.width, shape.height) <= max(16, 1.5 * size + 1)
    if min(rows, columns) >= 16:
        assert shape.width % columns == shape.height % rows == 0
        assert shape.width / columns == shape.height / rows


def test_y_stretch_changes_the_height_only():
    assert frame.geometry(100, 200, 400) == Geometry(1, 1, 400, 200)
    assert frame.geometry(100, 200, 400, 1.5) == Geometry(1, 1, 400, 300)
    assert frame.geometry(100, 200, 400, 0.25) == Geometry(2, 1, 400, 50)


@pytest.mark.parametrize('stretch', painting.STRETCHES)
@pytest.mark.parametrize('pair', [(0, 1), (802.4, 921.9), (-3e-18, 4e-18), (1e9, 1e9 + 5), (-1e308, 1e308)])
def test_ticks_of_colour_bars_stand_where_their_labels_say(stretch, pair):
    found = ticks.bar_ticks(pair, stretch, 5)
    places = [place for place, _ in found]
    assert len(found) >= 2
    assert places == sorted(places)
    values = np.array([float(label) for _, label in found])
    slack = 2e-3 * (pair[1] / 2 - pair[0] / 2) * 2
    assert (values >= pair[0] - slack).all()
    assert (values <= pair[1] + slack).all()
    np.testing.assert_allclose(painting.stretched(values, pair, stretch), places, atol=0.06)


@given(low=st.floats(-1e300, 1e300), width=st.floats(1e-300, 1e300), stretch=st.sampled_from(list(painting.STRETCHES)))
def test_colour_bars_of_any_limits(low, width, stretch):
    if low + width > low:
        assert all(
            0 <= place <= 1 and len(label) <= 20 for place, label in ticks.bar_ticks((low, low + width), stretch, 6)
        )


def test_sums_are_divided_by_a_power_of_thousand():
    axis = ticks.sum_axis([np.array([1.2e7, 4.8e7, np.nan])], 3)
    assert axis.power == 6
    assert axis.labels == ['20', '40']
    assert axis.ticks == [2e7, 4e7]
    assert axis.low < 1.2e7
    assert axis.high > 4.8e7


def test_a_hot_column_does_not_flatten_the_sums():
    sums = np.random.default_rng(2).normal(1000, 10, 1000)
    sums[400] = 1e6
    axis = ticks.sum_axis([sums], 3)
    assert axis.high < 1200
    assert axis.low < np.sort(sums)[3]
    sums[400:420] = 1e6  # twenty columns are a star
    assert ticks.sum_axis([sums], 3).high > 1e6


@pytest.mark.parametrize('sums', [[np.nan], [7.0], [0.0, 0.0], [-1.7e308, 1.7e308], [1e-300, 2e-300]])
def test_axes_of_odd_sums(sums):
    axis = ticks.sum_axis([np.array(sums)], 3)
    assert axis.low < axis.high
    assert len(axis.ticks) == len(axis.labels)


# Pictures


@pytest.mark.parametrize(('ny', 'nx', 'size'), [(40, 60, 120), (400, 300, 100), (37, 11, 90)])
def test_the_image_stands_pixel_by_pixel_in_the_picture(ny, nx, size):
    pixels, figure = sky(ny, nx, star=(8, 9)), page.new_figure()
    drawn = image.draw(figure, shown(pixels, origin=(101, 51)), replace(SMALL, size=size))
    picture = png(figure)
    part = (255 * picture[box(drawn.axes, picture)]).round().astype('u1')
    shape = frame.geometry(ny, nx, size)
    colours = painting.paint(drawn.pixels, [limits.zscale(pixels)], 'linear', painting.colour_table('inv'))
    zoom = shape.height // colours.shape[0], shape.width // colours.shape[1]
    wanted = np.repeat(np.repeat(colours, zoom[0], axis=0), zoom[1], axis=1)[::-1]
    assert part.shape == wanted.shape
    np.testing.assert_array_equal(part[2:-2, 2:-2], wanted[2:-2, 2:-2])  # but for the frame
    assert drawn.axes.get_xlim() == (100.5, 100.5 + colours.shape[1] * shape.columns)
    assert drawn.axes.get_ylim() == (50.5, 50.5 + colours.shape[0] * shape.rows)


def test_the_sums_stand_beside_their_columns_and_rows():
    figure = page.new_figure()
    drawn = image.draw(figure, shown(sky()), SMALL)
    picture = png(figure)
    _, above, beside = figure.axes[:3]
    rows, columns = box(drawn.axes, picture)
    above_box, beside_box = box(above, picture), box(beside, picture)
    assert above_box[1] == columns
    assert beside_box[0] == rows
    assert above.get_xlim() == drawn.axes.get_xlim()
    assert beside.get_ylim() == drawn.axes.get_ylim()
    # The line is highest above, and farthest to the right of, the star at (45, 12); a pixel is two of the picture's.
    curve = picture[above_box][1:, 3:-3].mean(axis=2) < 0.7
    highest = np.flatnonzero(curve[np.argmax(curve.any(axis=1))]).mean() + 3
    assert highest / 2 + 0.5 == pytest.approx(45, abs=1.5)
    curve = picture[beside_box][3:-3, 3:].mean(axis=2) < 0.7
    last = np.flatnonzero(curve.any(axis=0))[-1]
    lowest = np.flatnonzero(curve[:, last]).mean() + 3
    assert (curve.shape[0] + 6 - lowest) / 2 + 0.5 == pytest.approx(12, abs=1.5)


def test_sums_can_be_left_out():
    figure = page.new_figure()
    image.draw(figure, shown(sky()), replace(SMALL, marginals=False))
    assert len(figure.axes) == 2  # image and colour bar


def test_three_planes_have_three_lines_and_no_bar():
    figure = page.new_figure()
    planes = np.stack([sky(), 2 * sky(), 3 * sky()])
    image.draw(figure, Frame(planes, [limits.zscale(plane) for plane in planes]), SMALL)
    assert [len(axes.patches) for axes in figure.axes] == [0, 3, 3]


@pytest.mark.parametrize(
    ('shape', 'fill'),
    [
        ((1, 1), 7.0), ((1, 1), np.nan), ((1, 300), None), ((300, 1), 1e305), ((3, 2000), None), ((2000, 3), -1e-30),
        ((50, 50), np.nan), ((50, 50), 7.0), ((50, 40), 1e305), ((3, 2000), 1e305),
    ],
)  # fmt: skip
def test_odd_images_give_pictures(shape, fill):
    pixels = np.random.default_rng(1).normal(0, 1, shape) if fill is None else np.full(shape, fill)
    figure = page.new_figure()
    image.draw(figure, shown(pixels, title='odd', unit='adu'), SMALL)
    assert png(figure).std() > 0


def test_all_stretches_and_bars_differ():
    pictures = set()
    for stretch in painting.STRETCHES:
        figure = page.new_figure()
        image.draw(figure, shown(sky()), replace(SMALL, stretch=stretch))
        pictures.add(page.encode(figure, 'png'))
    assert len(pictures) == 4


@pytest.mark.parametrize(
    'title', ['', 'M 31', r'$\frac{1$ ^_{', '日本 \u0416 \u263a', 'long ' * 400, 'W' * 3000, '....', 'a\\nb %s {x}']
)
def test_titles_are_taken_as_they_are_and_fit(title):
    figure = page.new_figure()
    image.draw(figure, shown(sky(), title=title), SMALL)
    page.encode(figure, 'png')
    page.encode(figure, 'pdf')
    with page.look():
        extents = [text.get_window_extent() for text in figure.texts]
    for extent in extents:
        assert extent.x0 >= 0
        assert extent.x1 <= figure.bbox.width
    if title and len(title) < 30:
        assert figure.texts[0].get_text() == title


@pytest.mark.parametrize('kind', ['png', 'pdf'])
def test_equal_pictures_are_equal_bytes_whatever_matplotlibrc_says(kind):
    def made():
        figure = page.new_figure()
        image.draw(figure, shown(sky(), title='same'), SMALL)
        return page.encode(figure, kind)

    first = made()
    with matplotlib.rc_context(
        {'font.size': 20, 'savefig.bbox': 'tight', 'image.origin': 'upper', 'axes.facecolor': 'red'}
    ):
        assert made() == first
    assert b'Matplotlib' not in first
    assert b'Date' not in first


def test_a_picture_beyond_measure_is_refused():
    with pytest.raises(page.PictureError, match='too large'):
        image.draw(page.new_figure(), shown(sky()), replace(SMALL, size=40000))


# Sheets


def panels_of(figure):
    """Rows and columns of the picture (first row on top) that each panel covers."""
    found = []
    for panel in figure.axes[0].images:
        left, right, bottom, top = panel.get_extent()
        height = int(figure.bbox.height)
        found.append((slice(int(height - top), int(height - bottom)), slice(int(left), int(right))))
    return found


def test_a_sheet_has_its_panels_in_order():
    frames = [Frame(np.full((1, 30, 40), value), [(0, 3)], title=f'{value}') for value in range(4)]
    panels = [sheet.panel(each, replace(SMALL, colours='non')) for each in frames]
    figure = page.new_figure()
    sheet.draw(figure, panels, columns=3, dpi=80)
    boxes = panels_of(figure)
    levels = [png(figure)[part][3:-3, 3:-3].mean() for part in boxes]
    np.testing.assert_allclose(levels, [0, 1 / 3, 2 / 3, 1], atol=0.01)
    assert boxes[0][0] == boxes[1][0] == boxes[2][0]
    assert boxes[3][0].start > boxes[0][0].stop
    assert boxes[3][1] == boxes[0][1]
    assert [text.get_text() for text in figure.texts] == ['0', '1', '2', '3']


def test_panels_of_different_shapes_do_not_overlap():
    panels = [sheet.panel(shown(sky(ny, nx)), SMALL, f'{ny}') for ny, nx in ((40, 60), (60, 20), (5, 90), (1, 1))]
    figure = page.new_figure()
    sheet.draw(figure, panels, title='all', dpi=80)
    covered = np.zeros((int(figure.bbox.height), int(figure.bbox.width)), int)
    for part in panels_of(figure):
        covered[part] += 1
    assert covered.sum() == sum(panel.shape.width * panel.shape.height for panel in panels)
    assert covered.max() == 1
    assert figure.texts[0].get_text() == 'all'


def test_too_many_panels_are_refused():
    panel = sheet.panel(shown(sky(4, 4)), replace(SMALL, size=16))
    with pytest.raises(page.PictureError, match='at most 1000'):
        sheet.draw(page.new_figure(), [panel] * 1001)


def test_frames_of_images_and_cubes():
    cube = np.arange(2 * 3 * 7).reshape(7, 2, 3)
    found = frame.frames(cube, limits.minmax, 'planes', stride=3, plane=11, title='t')
    assert [each.plane for each in found] == [11, 14, 17]
    assert [each.label for each in found] == ['t, plane 11', 't, plane 14', 't, plane 17']
    assert {each.limits[0] for each in found} == {(0, 41)}
    assert len(frame.frames(cube[:1], limits.minmax, 'planes')) == 1
    rgb = frame.frames(cube[:3], limits.minmax, 'rgb')
    assert rgb[0].limits == [(0, 5), (6, 11), (12, 17)]


@pytest.mark.parametrize(
    ('shape', 'rgb', 'moving', 'wanted'),
    [
        ((4, 5), False, False, 1), ((9,), False, False, 1), ((1, 1, 4, 5), False, False, 1),
        ((7, 4, 5), False, False, 4),
        ((7, 4, 5), False, True, 1), ((3, 4, 5), True, False, 1), ((4, 5), False, True, 'no planes'),
        ((4, 5), True, False, '3 planes'), ((4, 4, 5), True, False, '3 planes'), ((2, 2, 4, 5), False, False, 'axes'),
    ],
)  # fmt: skip
def test_how_many_pictures_an_image_makes(shape, rgb, moving, wanted):
    def count():
        return frame.panels(shape, rgb=rgb, moving=moving, stride=2)

    if isinstance(wanted, int):
        assert count() == wanted
    else:
        with pytest.raises(page.PictureError, match=wanted):
            count()


# Histograms


def test_histogram_bins_of_integers_hold_equally_many_values():
    low, high, step = histogram.spacing((0, 1000), whole=True)
    assert step == int(step)
    assert low % 1 == high % 1 == 0.5
    assert (high - low) % step == 0
    assert high >= 1000


@pytest.mark.parametrize(
    'pixels',
    [
        np.random.default_rng(1).poisson(30, (20, 30)).astype('u2'),
        np.random.default_rng(1).normal(0, 1e-18, (20, 30)),
        np.full((3, 4), np.nan),
        np.full((3, 4), 7, 'i2'),
        np.array([[np.nan, np.inf, 3.25]]),
        np.random.default_rng(1).normal(0, 1e300, (20, 30)),
    ],
)
def test_histograms_count_every_pixel(pixels):
    figure = page.new_figure()
    histogram.draw(figure, shown(pixels, title='h', unit='adu'), {'num': 3, 'mean': 2.5}, replace(SMALL, size=300))
    filled = figure.axes[0].patches[0].get_data()
    good = np.isfinite(pixels).sum()
    outside = int(
        next(later for text, later in zip(texts(figure), texts(figure)[1:], strict=False) if text == 'outside')
    )
    assert filled.values[filled.values >= 1].sum() + outside == good
    assert png(figure).std() > 0


def test_a_histogram_of_values_beyond_measure_is_refused():
    with pytest.raises(page.PictureError, match='too large'):
        histogram.draw(page.new_figure(), shown(np.random.default_rng(1).normal(0, 1e307, (20, 30))), {}, SMALL)


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_a_histogram_marks_the_limits():
    figure = page.new_figure()
    pixels = sky()
    histogram.draw(figure, Frame(pixels[None], [(90.0, 110.0)]), {}, replace(SMALL, size=300))
    assert sorted(line.get_xdata()[0] for line in figure.axes[0].lines) == [90.0, 110.0]
    assert figure.axes[0].get_xlim() == pytest.approx((max(80, pixels.min()), 120), rel=1e-6)


# Animations


def cube_frames(number=5):
    return [shown(sky(star=(10 * k + 5, 20)), title='c', plane=k + 1) for k in range(number)]


@pytest.mark.parametrize('loop', [True, False])
def test_gif_has_every_frame_for_its_time(loop):
    found = Image.open(io.BytesIO(view.film(cube_frames(), SMALL, 'gif', -130 if loop else 130)))
    assert found.n_frames == 5
    assert found.info['duration'] == 130
    assert ('loop' in found.info) == loop
    places = []
    for number in range(5):
        found.seek(number)
        picture = np.asarray(found.convert('L')).astype(float)
        places.append(picture[:, : picture.shape[1] // 2].mean())
    assert len(set(places)) == 5


def test_films_are_the_same_every_time():
    assert view.film(cube_frames(2), SMALL, 'gif', 100) == view.film(cube_frames(2), SMALL, 'gif', 100)


def test_each_frame_of_a_film_is_the_picture_of_its_plane():
    frames = cube_frames(3)
    style = replace(SMALL, marginals=False)
    pictures = list(animation.frames(page.new_figure(), frames, style))
    for each, picture in zip(frames, pictures, strict=True):
        figure = page.new_figure()
        image.draw(figure, each, style)
        axes = figure.axes[0]
        part = box(axes, picture)
        np.testing.assert_array_equal(picture[part], page.snapshot(figure)[part])


def test_sums_of_a_film_move_on_one_axis():
    frames, figure = cube_frames(3), page.new_figure()
    drawn = image.draw(figure, frames[0], SMALL, frames[1:])
    ends = figure.axes[1].get_ylim()
    for each in frames:
        drawn.show(each)
        values = figure.axes[1].patches[0].get_data().values
        np.testing.assert_allclose(values, painting.marginal_sums(each.planes[0])[0])
        assert ends[0] < values.min() < values.max() < ends[1]


def fake_ffmpeg(folder, monkeypatch, script):
    path = folder / 'ffmpeg'
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')


def test_mp4_goes_through_ffmpeg(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, 'echo "$@"; exec cat')
    assert animation.has_ffmpeg()
    pictures = [np.full((6, 8, 3), number, 'u1') for number in range(3)]
    words, _, stream = animation.mp4(pictures, 40).partition(b'\n')
    assert b'-s 8x6' in words
    assert b'-r 1000/40' in words
    assert stream == b''.join(picture.tobytes() for picture in pictures)


def test_what_ffmpeg_complains_of_is_passed_on(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, 'echo "Unknown encoder" >&2; exit 3')
    pictures = [np.zeros((200, 300, 3), 'u1')] * 9
    with pytest.raises(page.PictureError, match='ffmpeg: Unknown encoder'):
        animation.mp4(pictures, 40)


def test_ffmpeg_may_be_missing(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert not animation.has_ffmpeg()


# Windows

WINDOWS = """
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase, TimerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

seen, timers = [], []


class Timer(TimerBase):
    def __init__(self, *words, **names):
        super().__init__(*words, **names)
        timers.append(self)


class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        for manager in Gcf.get_all_fig_managers():
            canvas = manager.canvas
            for turn in range(7):
                canvas.draw()
                seen.append((bytes(canvas.buffer_rgba()), canvas.figure))
                for timer in timers:
                    timer._on_timer()


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
    _timer_cls = Timer
"""


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """A toolkit whose windows show seven moments and are closed."""
    (tmp_path / 'seen_windows.py').write_text(WINDOWS)
    monkeypatch.syspath_prepend(tmp_path)
    before = matplotlib.get_backend()
    pyplot.switch_backend('module://seen_windows')
    import seen_windows

    seen_windows.seen.clear()
    seen_windows.timers.clear()
    yield seen_windows
    pyplot.switch_backend(before)


def test_agg_has_no_windows():
    pyplot.switch_backend('agg')
    assert not screen.is_available()


def test_a_picture_in_a_window(windows):
    handler = signal.getsignal(signal.SIGTERM)
    assert screen.is_available()
    assert view.picture([shown(sky(), title='here')], SMALL, None) is None
    assert texts(windows.seen[0][1])[0] == 'here'
    assert pyplot.get_fignums() == []
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.parametrize(('milliseconds', 'wanted'), [(-50, [0, 1, 2, 0, 1, 2, 0]), (50, [0, 1, 2, 2, 2, 2, 2])])
def test_a_film_in_a_window(windows, milliseconds, wanted):
    assert view.film(cube_frames(3), SMALL, None, milliseconds) is None
    moments = [moment for moment, _ in windows.seen]
    kinds = list(dict.fromkeys(moments))
    assert [kinds.index(moment) for moment in moments] == wanted


def test_the_cursor_tells_place_and_value():
    pixels = sky()
    drawn = image.draw(page.new_figure(), shown(pixels, origin=(11, 21)), SMALL)
    screen.follow_cursor(drawn)
    told = drawn.axes.format_coord(11 + 44.2, 21 + 11.3)
    assert told.startswith('x = 55.2  y = 32.3')
    assert float(told.split()[-1]) == pytest.approx(pixels[11, 44], rel=1e-5)
    assert drawn.axes.format_coord(500, 500).split()[-1] == '500.0'
    drawn.axes.set_xlim(20, 30)  # zoomed: the sums follow
    assert drawn.figure.axes[1].get_xlim() == (20, 30)


def test_no_warning_of_matplotlib_escapes():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        figure = page.new_figure()
        image.draw(figure, shown(np.full((3, 3), np.nan), title='\u65e5'), SMALL)
        page.encode(figure, 'png')
        page.encode(figure, 'pdf')
    assert [str(each.message) for each in caught] == []


def test_bad_pixels_have_their_colour_in_the_picture():
    pixels = sky()
    pixels[5:15, 20:30] = np.nan
    figure = page.new_figure()
    drawn = image.draw(figure, shown(pixels), SMALL)
    picture = png(figure)
    part = picture[box(drawn.axes, picture)][::-1]
    bad = painting.colour_table('inv')[-1] / 255
    np.testing.assert_allclose(part[10:30, 40:60], np.broadcast_to(bad, (20, 20, 3)), atol=0.003)
    assert np.abs(part[40:60, 40:60] - bad).max(axis=2).min() > 0.1
    assert '100 bad' in texts(figure)
    assert to_rgb('#2f7fd0') == pytest.approx(tuple(bad), abs=0.003)


# Lines


def line_plot(**changes):
    given = {'notes': {'offset': '5.9'}, 'title': 'Dark', 'x_label': 'time (s)', 'y_label': 'counts'} | changes
    return line.line_plot([60, 120, 180], [11.8, 17.8, 26.0], changes.pop('errors', None), (5.9, 0.098), **given)


def test_points_and_line_lie_where_they_belong():
    figure = page.new_figure()
    line.draw(figure, line_plot())
    upper, lower = figure.axes
    for axes, offset, slope in ((upper, 5.9, 0.098), (lower, 0, 0)):
        x, y = next(each.get_data() for each in axes.lines if each.get_color() == '#c03030')
        if axes is upper:
            np.testing.assert_allclose(y, offset + slope * np.asarray(x))
        else:
            assert set(y) == {0}
    points = next(each for each in upper.lines if each.get_marker() == 'o').get_data()
    np.testing.assert_allclose(points, [[60, 120, 180], [11.8, 17.8, 26.0]])
    left = next(each for each in lower.lines if each.get_marker() == 'o').get_ydata()
    np.testing.assert_allclose(left, [11.8 - 11.78, 17.8 - 17.66, 26 - 23.54], atol=1e-12)
    assert upper.get_xlim() == lower.get_xlim() == (-9, 189)
    assert {'Dark', 'offset', '5.9'} <= {text.get_text() for text in figure.texts}
    assert lower.get_xlabel() == 'time (s)'


def test_error_bars_are_as_long_as_the_errors():
    figure = page.new_figure()
    plot = line.line_plot([60, 120], [10, 20], [1.5, 2], (0, 0.17))
    line.draw(figure, plot)
    (bars,) = figure.axes[0].collections
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars.get_segments()], [3, 4])


def test_line_plots_are_pictures_and_the_same_every_time():
    first, second = (line.picture(line_plot(title='a$b$ ' * 60), 'png') for _ in range(2))
    assert first == second
    with Image.open(io.BytesIO(first)) as found:
        assert found.size[0] > 640
    assert line.picture(line_plot(), 'pdf').startswith(b'%PDF')


def test_counts_beyond_measure_are_refused():
    with pytest.raises(page.PictureError, match='too large for a plot'):
        line.draw(page.new_figure(), line.line_plot([1, 2], [1e304, 2], None, (0, 1)))
