"""Levels of overscans: against loops written from the definition."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels import overscan
from fitsutils.pixels.overscan import Fit, Part, measure, strip_beside, take_off, trim

NY, NX, WIDE = 23, 17, 9


def window(y1, y2, x1, x2):
    return slice(y1, y2), slice(x1, x2)


DATA, BIAS = window(0, NY, 0, NX), window(0, NY, NX, NX + WIDE)


def frame(seed=1, dtype='u2', level=1000.0, sigma=4.0):
    """Pixels with overscan columns at the right edge, whose level climbs along the rows."""
    rng = np.random.default_rng(seed)
    base = level + 3 * np.linspace(-1, 1, NY)[:, None] ** 2
    image = base + rng.normal(0, sigma, (NY, NX + WIDE))
    image[:, :NX] += 500
    return np.rint(image).astype(dtype) if np.dtype(dtype).kind in 'iu' else image.astype(dtype)


def clipped(values, limit):
    """What sigma clipping leaves, value by value."""
    kept = [float(value) for value in values if math.isfinite(value)]
    while len(kept) >= 3:
        centre = statistics.median(kept)
        sigma = math.sqrt(sum((value - centre) ** 2 for value in kept) / (len(kept) - 1))
        left = [value for value in kept if abs(value - centre) <= limit * sigma]
        if len(left) == len(kept):
            break
        kept = left
    return kept


STATISTICS = {'median': statistics.median, 'mean': statistics.fmean}


class TestFit:
    @pytest.mark.parametrize(
        ('fit', 'words', 'terms'),
        [
            (Fit(), 'level', 1),
            (Fit('row'), 'row', 1),
            (Fit('poly', 3), 'poly:3', 4),
            (Fit('legendre', 0), 'legendre:0', 1),
            (Fit('spline', 5), 'spline:5', 8),
            (Fit('none'), 'none', 1),
        ],
    )
    def test_words(self, fit, words, terms):
        assert (str(fit), fit.terms) == (words, terms)

    @pytest.mark.parametrize(
        'words',
        [
            ('line',),
            ('level', 0, 'mode'),
            ('poly', -1),
            ('spline', 0),
            ('row', 0, 'mean', 0.0),
            ('row', 0, 'mean', math.inf),
        ],
    )
    def test_what_is_no_fit(self, words):
        with pytest.raises(ValueError, match=r'fit|curve|sigma'):
            Fit(*words)


class TestStrip:
    @pytest.mark.parametrize(
        ('data', 'bias', 'axis', 'first'),
        [
            (DATA, BIAS, 0, 0),
            (window(4, 20, 5, 17), window(1, 22, 0, 5), 0, 3),  # before the pixels, and longer than they are
            (window(0, 8, 0, 17), window(8, 12, 0, 17), 1, 0),  # above
            (window(4, 8, 2, 17), window(0, 4, 0, 20), 1, 2),  # below
            (window(0, 20, 0, 20), window(0, 20, 15, 18), 0, 0),  # within: the longer side tells
            (window(0, 20, 0, 20), window(3, 5, 0, 20), 1, 0),
            (window(0, 8, 0, 8), window(8, 30, 8, 12), 0, -8),  # off the corner: only a level can use it
        ],
    )
    def test_where_the_lines_run(self, data, bias, axis, first):
        strip = strip_beside(data, bias, Fit())
        assert (strip.window, strip.axis, strip.first) == (bias, axis, first)
        assert strip.count == data[axis].stop - data[axis].start

    def test_the_guard_is_across_the_lines(self):
        assert strip_beside(DATA, BIAS, Fit(), (2, 3)).window == window(0, NY, NX + 2, NX + WIDE - 3)
        above = strip_beside(window(0, 8, 0, 17), window(8, 14, 0, 17), Fit(), (1, 2))
        assert above.window == window(9, 12, 0, 17)

    @pytest.mark.parametrize('guard', [(WIDE, 0), (5, 4), (0, 99)])
    def test_a_guard_that_leaves_nothing(self, guard):
        with pytest.raises(ValueError, match='leaves nothing of 9 pixels'):
            strip_beside(DATA, BIAS, Fit(), guard)

    @pytest.mark.parametrize(
        ('fit', 'bias', 'works'),
        [
            (Fit('row'), window(0, NY, 20, 25), True),
            (Fit('row'), window(0, NY - 1, 20, 25), False),
            (Fit('row'), window(1, NY, 20, 25), False),
            (Fit('poly', 2), window(5, NY - 5, 20, 25), True),
            (Fit('poly', 2), window(NY, NY + 9, 20, 25), False),
            (Fit('level'), window(NY, NY + 9, 20, 25), True),
        ],
    )
    def test_fits_along_the_lines_need_an_overscan_beside_them(self, fit, bias, works):
        if works:
            assert strip_beside(DATA, bias, fit).count == NY
        else:
            with pytest.raises(ValueError, match='beside them'):
                strip_beside(DATA, bias, fit)


class TestLevel:
    @pytest.mark.parametrize('stat', ['median', 'mean'])
    @pytest.mark.parametrize('clip', [None, 2.0, 3.0])
    @pytest.mark.parametrize('dtype', ['u2', 'i4', 'f4', 'f8'])
    def test_one_level(self, stat, clip, dtype):
        image = frame(2, dtype)
        image[3, NX + 2] = image[9, NX + 7] = 4000  # two cosmic rays
        strip = strip_beside(DATA, BIAS, Fit(), (1, 2))
        found = measure(image, strip, Fit('level', stat=stat, clip=clip))
        pixels = image[:, NX + 1 : NX + WIDE - 2].astype('f8').ravel().tolist()
        kept = pixels if clip is None else clipped(pixels, clip)
        level = STATISTICS[stat](kept)
        assert found.values == pytest.approx(np.full(NY, level), rel=1e-12)
        assert found.level == pytest.approx(level, rel=1e-12)
        scatter = math.sqrt(sum((pixel - level) ** 2 for pixel in kept) / (len(kept) - 1))
        assert found.scatter == pytest.approx(scatter, rel=1e-9)
        assert (found.used, found.rejected) == (len(kept), len(pixels) - len(kept))
        assert math.isnan(found.rms)
        assert len(kept) < len(pixels) or clip is None

    def test_missing_pixels_are_left_out(self):
        image = frame(3, 'f4')
        image[5, NX + 1], image[6, NX + 1], image[7, NX + 2] = np.nan, np.inf, -np.inf
        kept = [float(value) for value in image[BIAS].ravel() if np.isfinite(value)]
        found = measure(image, strip_beside(DATA, BIAS, Fit()), Fit())
        assert (found.level, found.used) == (pytest.approx(statistics.median(kept)), len(kept))

    @pytest.mark.parametrize('fit', [Fit(), Fit('row'), Fit('poly', 1), Fit('row', clip=3)])
    def test_nothing_is_left(self, fit):
        image = np.full((NY, NX + WIDE), np.nan, 'f4')
        with pytest.raises(ValueError, match='no good pixel'):
            measure(image, strip_beside(DATA, BIAS, fit), fit)

    def test_a_single_pixel_has_no_scatter(self):
        found = measure(np.array([[7, 3]], 'u2'), strip_beside(window(0, 1, 0, 1), window(0, 1, 1, 2), Fit()), Fit())
        assert found.level == 3
        assert math.isnan(found.scatter)

    def test_a_drift_is_told_and_noise_is_none(self):
        assert measure(frame(4, 'f8', sigma=4), strip_beside(DATA, BIAS, Fit()), Fit()).drift == 0
        image = frame(4, 'f8', sigma=0.1)
        found = measure(image, strip_beside(DATA, BIAS, Fit()), Fit())
        means = [float(group.mean()) for group in np.array_split(image[BIAS], 8)]
        assert found.drift == pytest.approx(max(means) - min(means))
        assert measure(image, strip_beside(DATA, BIAS, Fit('row')), Fit('row')).drift == 0


class TestLines:
    @pytest.mark.parametrize('stat', ['median', 'mean'])
    @pytest.mark.parametrize('clip', [None, 2.0])
    @pytest.mark.parametrize('axis', [0, 1])
    def test_a_value_a_line(self, stat, clip, axis):
        image = frame(5, 'f4')
        image[2, NX + 3], image[3, NX + 3], image[4, NX] = 4000, np.nan, -500
        fit = Fit('row', stat=stat, clip=clip)
        data, bias = window(2, 19, 1, NX), window(1, NY, NX, NX + WIDE)
        if axis:
            image, data, bias = image.T.copy(), data[::-1], bias[::-1]
        found = measure(image, strip_beside(data, bias, fit), fit)
        lines = (image[bias].T if axis else image[bias]).astype('f8')
        kept = [clipped(line, clip) if clip else [v for v in line if math.isfinite(v)] for line in lines]
        values = [STATISTICS[stat](line) for line in kept]
        assert found.values == pytest.approx(values[1:18], rel=1e-12)
        assert found.level == pytest.approx(statistics.fmean(values[1:18]), rel=1e-12)
        away = [value - centre for line, centre in zip(kept, values, strict=True) for value in line]
        freedom = len(away) - len(kept)  # each line's value takes one
        assert found.scatter == pytest.approx(math.sqrt(sum(each**2 for each in away) / freedom), rel=1e-9)
        assert found.used == len(away)
        assert found.rejected == np.isfinite(lines).sum() - len(away)

    @pytest.mark.parametrize('width', [2, 3, 10])
    @pytest.mark.parametrize('fit', [Fit('row', stat='mean'), Fit('poly', 3, 'mean'), Fit('spline', 9, 'mean')])
    def test_the_scatter_is_the_noise_however_narrow_the_overscan(self, width, fit):
        image = np.random.default_rng(8).normal(1000, 5, (4000, 7 + width))
        strip = strip_beside(window(0, 4000, 0, 7), window(0, 4000, 7, 7 + width), fit)
        assert measure(image, strip, fit).scatter == pytest.approx(5, rel=0.03)

    def test_one_pixel_a_line_has_no_scatter(self):
        fit = Fit('row')
        found = measure(frame(5), strip_beside(DATA, window(0, NY, NX, NX + 1), fit), fit)
        assert math.isnan(found.scatter)
        assert found.used == NY

    @pytest.mark.parametrize('fit', [Fit('poly', 1, clip=3), Fit('spline', 2, 'mean', clip=3)])
    def test_a_line_that_the_curve_clips_is_left_out_and_rejected(self, fit):
        image = frame(9, 'f8')
        clean = measure(image, strip_beside(DATA, BIAS, fit), fit)
        image[11, NX:] += 30000
        found = measure(image, strip_beside(DATA, BIAS, fit), fit)
        assert found.rejected >= WIDE
        assert found.used + found.rejected == NY * WIDE
        assert found.scatter == pytest.approx(clean.scatter, rel=0.1)

    def test_a_line_without_a_pixel_has_no_value(self):
        image = frame(6, 'f4')
        image[4, NX:] = np.nan
        found = measure(image, strip_beside(DATA, BIAS, Fit('row')), Fit('row'))
        assert np.flatnonzero(np.isnan(found.values)).tolist() == [4]
        assert overscan.lines_without(found) == 1
        assert found.level == pytest.approx(np.nanmean(found.values))

    def test_clipping_goes_on_until_nothing_goes(self):
        line = [0.0] * 12 + [1.0, -1.0] * 6 + [9.0, 60.0, 400.0]
        fit = Fit('row', stat='mean', clip=3.0)
        data, bias = window(0, 1, 0, 1), window(0, 1, 1, 1 + len(line))
        found = measure(np.array([[5.0, *line]]), strip_beside(data, bias, fit), fit)
        assert (found.values[0], found.rejected) == (statistics.fmean(clipped(line, 3.0)), 3)


class TestCurves:
    @pytest.mark.parametrize('kind', ['poly', 'chebyshev', 'legendre'])
    @pytest.mark.parametrize('degree', [0, 1, 2, 5])
    def test_polynomials_are_least_squares(self, kind, degree):
        image = frame(7, 'f8')
        found = measure(image, strip_beside(DATA, BIAS, Fit(kind, degree)), Fit(kind, degree))
        values = np.median(image[BIAS], axis=1)
        wanted = np.polynomial.Polynomial.fit(np.arange(NY), values, degree)(np.arange(NY))
        assert found.values == pytest.approx(wanted, rel=1e-11)
        assert found.rms == pytest.approx(math.sqrt(np.mean((values - wanted) ** 2)), rel=1e-6)

    @pytest.mark.parametrize('pieces', [1, 2, 4])
    def test_splines_are_least_squares(self, pieces):
        from scipy.interpolate import make_lsq_spline

        image = frame(8, 'f8')
        fit = Fit('spline', pieces, 'mean')
        found = measure(image, strip_beside(DATA, BIAS, fit), fit)
        values, places = image[BIAS].mean(axis=1), np.arange(NY, dtype='f8')
        inner = np.linspace(0, NY - 1, pieces + 1)
        knots = np.r_[[0.0] * 3, inner, [NY - 1.0] * 3]
        assert found.values == pytest.approx(make_lsq_spline(places, values, knots, 3)(places), rel=1e-10)

    def test_a_curve_that_can_be_followed_is_found(self):
        rows = np.linspace(-1, 1, NY)
        image = np.broadcast_to((1000 + 5 * rows - 3 * rows**3)[:, None], (NY, NX + WIDE))
        found = measure(image, strip_beside(DATA, BIAS, Fit('legendre', 3)), Fit('legendre', 3))
        assert found.values == pytest.approx(image[:, 0], rel=1e-12)
        assert found.rms == pytest.approx(0, abs=1e-9)

    def test_lines_off_the_curve_are_clipped_again_and_again(self):
        image = frame(9, 'f8', sigma=1.0)
        image[7, NX:] += 300  # a line that a bright star trails into
        image[8, NX:] += 40
        clean = measure(frame(9, 'f8', sigma=1.0), strip_beside(DATA, BIAS, Fit('poly', 2)), Fit('poly', 2))
        rough = measure(image, strip_beside(DATA, BIAS, Fit('poly', 2)), Fit('poly', 2))
        found = measure(image, strip_beside(DATA, BIAS, Fit('poly', 2)), Fit('poly', 2, clip=3.0))
        assert np.abs(rough.values - clean.values).max() > 20
        assert np.abs(found.values - clean.values).max() < 1

        values = np.array([statistics.median(clipped(line, 3.0)) for line in image[BIAS]])
        kept = np.ones(NY, bool)
        while True:  # by hand
            curve = np.polynomial.Polynomial.fit(np.arange(NY)[kept], values[kept], 2)(np.arange(NY))
            sigma = math.sqrt(((values - curve)[kept] ** 2).sum() / (kept.sum() - 3))
            left = kept & (np.abs(values - curve) <= 3 * sigma)
            if (left == kept).all():
                break
            kept = left
        assert not kept[[7, 8]].any()
        assert found.values == pytest.approx(curve, rel=1e-10)

    def test_beyond_the_overscan_a_curve_keeps_its_last_value(self):
        image = frame(10, 'f8')
        bias = window(5, NY - 4, NX, NX + WIDE)
        found = measure(image, strip_beside(DATA, bias, Fit('poly', 3)), Fit('poly', 3))
        inside = measure(image, strip_beside(window(5, NY - 4, 0, NX), bias, Fit('poly', 3)), Fit('poly', 3))
        assert found.values[5:-4] == pytest.approx(inside.values, rel=1e-14)
        assert (found.values[:5] == found.values[5]).all()
        assert (found.values[-4:] == found.values[-5]).all()

    def test_lines_without_a_pixel_are_bridged(self):
        image = frame(11, 'f4')
        image[4, NX:] = np.nan
        found = measure(image, strip_beside(DATA, BIAS, Fit('poly', 2)), Fit('poly', 2))
        assert np.isfinite(found.values).all()

    @pytest.mark.parametrize('fit', [Fit('poly', NY), Fit('spline', NY), Fit('chebyshev', 99)])
    def test_too_few_lines(self, fit):
        with pytest.raises(ValueError, match=r'terms, and the overscan 23 rows'):
            strip_beside(DATA, BIAS, fit)

    def test_too_few_lines_with_a_pixel(self):
        image, fit = frame(12, 'f4'), Fit('poly', 3)
        image[3:, NX:] = np.nan
        with pytest.raises(ValueError, match='4 terms, and 3 lines have an overscan to fit'):
            measure(image, strip_beside(DATA, BIAS, fit), fit)

    def test_lines_that_do_not_determine_a_spline(self):
        image = frame(12, 'f4')
        image[:18, NX:] = np.nan
        with pytest.raises(ValueError, match='more than the lines with an overscan determine'):
            measure(image, strip_beside(DATA, BIAS, Fit('spline', 2)), Fit('spline', 2))


class TestTakeOff:
    @pytest.mark.parametrize('axis', [0, 1])
    @pytest.mark.parametrize('gain', [1.0, 1.7])
    def test_each_line_its_value(self, monkeypatch, axis, gain):
        monkeypatch.setattr(overscan, '_CHUNK', 40)  # several blocks of rows
        image = frame(13)
        values = np.random.default_rng(1).normal(1000, 5, image.shape[axis])
        out = np.empty(image.shape, 'f4')
        take_off(image, values, out=out, axis=axis, gain=gain)
        wanted = gain * (image.astype('f8') - (values[:, None] if axis == 0 else values))
        np.testing.assert_array_equal(out, wanted.astype('f4'))

    def test_nothing_wraps(self):
        out = np.empty((1, 1), 'f4')
        take_off(np.array([[100]], 'u2'), np.array([101.0]), out=out)
        assert out[0, 0] == -1

    def test_what_is_missing_stays_missing(self):
        image = np.array([[1.0, np.nan, np.inf, -np.inf, 3e38]], 'f4')
        out = np.empty((1, 5), 'f4')
        take_off(image, np.array([1.0]), out=out, gain=10.0)
        np.testing.assert_array_equal(out, [[0, np.nan, np.nan, np.nan, np.nan]])

    def test_the_raw_pixels_are_not_changed(self):
        image = frame(14)
        before = image.copy()
        trim([image], 1, (NY, NX), [Part(DATA, DATA, strip_beside(DATA, BIAS, Fit()), 2.0)], Fit())
        np.testing.assert_array_equal(image, before)


class TestTrim:
    def test_amplifiers_are_joined(self):
        """Two amplifiers with their overscans between them, the left one to go to the right."""
        rng = np.random.default_rng(15)
        raw = rng.integers(900, 1100, (6, 20)).astype('u2')
        left, right = window(0, 6, 0, 7), window(0, 6, 13, 20)
        parts = [
            Part(left, window(0, 6, 7, 14), strip_beside(left, window(0, 6, 7, 10), Fit()), 2.0),
            Part(right, window(0, 6, 0, 7), strip_beside(right, window(0, 6, 10, 13), Fit()), 3.0),
        ]
        found, measured = trim([raw], 1, (6, 14), parts, Fit())
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[0, :, 7:], 2 * (raw[:, :7] - np.median(raw[:, 7:10])), rtol=1e-6)
        np.testing.assert_allclose(found[0, :, :7], 3 * (raw[:, 13:] - np.median(raw[:, 10:13])), rtol=1e-6)
        assert [each.level for each in measured] == [np.median(raw[:, 7:10]), np.median(raw[:, 10:13])]

    def test_every_plane_has_its_own_level(self):
        planes = [frame(16), frame(17, level=1200)]
        found, measured = trim(iter(planes), 2, (NY, NX), [Part(DATA, DATA, strip_beside(DATA, BIAS, Fit()))], Fit())
        levels = [np.median(plane[BIAS]) for plane in planes]
        for plane, level, got in zip(planes, levels, found, strict=True):
            np.testing.assert_array_equal(got, (plane[DATA] - level).astype('f4'))
        assert measured[0].level == np.mean(levels)
        assert measured[0].used == 2 * NY * WIDE

    @pytest.mark.parametrize(
        ('dtype', 'value', 'wanted'),
        [
            ('u1', 255, 'f4'), ('u2', 65535, 'f4'), ('i4', 1 << 24, 'f4'), ('i4', -(1 << 24) - 1, 'f8'),
            ('u4', (1 << 24) + 1, 'f8'), ('i8', 5, 'f4'), ('f4', 1e30, 'f4'), ('f8', 1.0, 'f8'),
        ],
    )  # fmt: skip
    def test_the_type_loses_nothing(self, dtype, value, wanted):
        raw = np.array([[value, 1]], dtype)
        found, _ = trim([raw], 1, (1, 1), [Part(window(0, 1, 0, 1), window(0, 1, 0, 1))], Fit('none'))
        assert found.dtype == np.dtype(wanted)
        assert found[0, 0, 0] == raw[0, 0].astype(wanted)

    @given(
        st.integers(-500, 500),
        st.sampled_from([Fit(), Fit('row'), Fit('poly', 2), Fit('spline', 2), Fit('row', clip=2.5)]),
    )
    def test_a_pedestal_goes(self, pedestal, fit):
        """The same frame on another level gives the same pixels."""
        parts = [Part(DATA, DATA, strip_beside(DATA, BIAS, fit))]
        low, _ = trim([frame(18, 'i4')], 1, (NY, NX), parts, fit)
        high, _ = trim([frame(18, 'i4') + np.int32(pedestal)], 1, (NY, NX), parts, fit)
        np.testing.assert_allclose(low, high, atol=1e-3)
