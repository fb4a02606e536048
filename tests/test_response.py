"""The response of a long-slit flat: each step against its definition, the whole against a known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.pixels.response import Fit, fit_lamp, flat_response, lit_rows, mean_spectrum, slit_profile, smoothed

ROWS, N = 37, 401
FITS = [Fit('poly', 7), Fit('spline', 12), Fit('median', 61)]
every_fit = pytest.mark.parametrize('fit', FITS, ids=lambda fit: fit.method)


def lamp(n=N, steep=3.0):
    """A lamp that brightens by exp(steep) along the spectrum, with a broad hump."""
    x = np.linspace(0, 1, n)
    return np.exp(steep * x) * (1 + 0.3 * np.exp(-(((x - 0.6) / 0.2) ** 2)))


def slit(rows=ROWS):
    """Dark at both ends, soft edges, a slope between."""
    y = np.arange(rows)
    return np.interp(y, [3, 6, rows - 8, rows - 4], [0.002, 1, 1, 0.002]) * (1.05 - 0.1 * y / rows)


def scene(seed=5, noise=0.001, sensitivity=0.01):
    """A flat of `ROWS` x `N`, and the response that is in it."""
    rng = np.random.default_rng(seed)
    true = rng.normal(1, sensitivity, (ROWS, N))
    return 9000 * slit()[:, None] * lamp() * true * rng.normal(1, noise, (ROWS, N)), true


class TestProfile:
    def test_without_gaps_it_is_the_sum_of_rows(self):
        flat, _ = scene()
        sums = flat.sum(axis=1)
        wanted = sums / np.median(sums[sums > sums.max() / 2])
        np.testing.assert_allclose(slit_profile(flat), wanted, rtol=1e-12)

    def test_gaps_do_not_make_a_row_darker(self):
        flat = 700 * slit()[:, None] * lamp()
        whole = slit_profile(flat)
        flat[12, N // 3 :] = np.nan  # all but the faint end
        flat[20, : N // 2] = np.inf
        flat[:, 77] = np.nan
        flat[8] = np.nan
        found = slit_profile(flat)
        assert np.isnan(found[8])
        known = np.arange(ROWS) != 8
        np.testing.assert_allclose(found[known], whole[known], rtol=2e-3)

    @pytest.mark.parametrize('lit', [4, 9, 30])
    def test_however_little_of_the_detector_is_lit(self, lit):
        """Where the slit lights less than half, the median of all rows is the dark's."""
        profile = np.full(40, 0.01)
        profile[5 : 5 + lit] = 1
        found = slit_profile(profile[:, None] * lamp())
        np.testing.assert_array_equal(np.flatnonzero(lit_rows(found, 0.8)), np.arange(5, 5 + lit))

    def test_a_hot_row_is_not_the_slit(self):
        flat = slit()[:, None] * lamp()
        flat[1] = 400
        np.testing.assert_array_equal(lit_rows(slit_profile(flat), 0.8)[2:], lit_rows(slit_profile(flat)[2:], 0.8))
        assert slit_profile(flat)[15] == pytest.approx(1, abs=0.05)

    @pytest.mark.parametrize('flat', [np.zeros((5, 9)), np.full((5, 9), np.nan), np.full((5, 9), -3.0)])
    def test_no_light(self, flat):
        with pytest.raises(ValueError, match='no light'):
            slit_profile(flat)

    def test_noise_has_no_light(self):
        for seed in range(9):
            noise = np.random.default_rng(seed).normal(0.1, 3, (80, 400))
            with pytest.raises(ValueError, match='there is no light'):
                slit_profile(noise)

    @pytest.mark.parametrize('lit', [1, 2, 3, 4])
    @pytest.mark.parametrize('first', [0, 30, 76])
    def test_a_slit_of_a_row_or_two(self, first, lit):
        """A median over five rows takes it away: half of the brightest that is left is half of the noise."""
        flat = np.random.default_rng(first + lit).normal(0, 3, (80, 400))
        flat[first : first + lit] += 20000 * lamp(400)
        found = flat_response(flat, Fit())
        np.testing.assert_array_equal(np.flatnonzero(found.lit.any(axis=1)), np.arange(first, first + lit))
        np.testing.assert_allclose(found.flat[found.lit], 1, atol=0.02)
        assert not found.bad[found.lit].any()

    def test_a_row_or_two_beside_faint_light_must_be_given(self):
        flat = np.random.default_rng(1).normal(20, 3, (80, 400))
        flat[40:42] += 20000
        with pytest.raises(ValueError, match=r'row 4[12] is \d+ times as bright .* given by its rows'):
            flat_response(flat, Fit())
        found = flat_response(flat, Fit(), lit=slice(40, 42))
        np.testing.assert_allclose(found.profile[40:42], 1, atol=0.01)
        np.testing.assert_allclose(found.flat[40:42], 1, atol=0.01)

    def test_given_rows(self):
        rows = lit_rows(np.array([0.1, 0.2, 1.0, np.nan, 0.0]), slice(1, 4))
        assert rows.tolist() == [False, True, True, True, False]

    @pytest.mark.parametrize('lit', [3.0, slice(4, 5), slice(9, 12)])
    def test_no_lit_row(self, lit):
        with pytest.raises(ValueError, match='no row is lit'):
            lit_rows(np.array([0.1, 0.2, 1.0, np.nan, 0.0]), lit)


class TestSpectrum:
    def test_it_is_the_mean_of_the_lit_rows_only(self):
        flat, _ = scene()
        profile = slit_profile(flat)
        rows = lit_rows(profile, 0.8)
        flat[~rows] = 1e6  # what is not lit has no say
        spectrum, weight = mean_spectrum(flat, np.isfinite(flat), np.where(rows, profile, 0))
        np.testing.assert_allclose(spectrum, flat[rows].mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(weight, 1)

    def test_gaps_and_hot_pixels_are_left_out(self):
        flat = slit()[:, None] * lamp()
        wanted = flat[lit_rows(slit(), 0.8)].mean(axis=0)
        flat[7, 30], flat[8, 31], flat[9, 32] = np.nan, np.inf, 1e5
        flat[10:20, 40] = np.nan
        flat[:, 50] = np.nan
        flat[11, 60] = 0
        good, profile = np.isfinite(flat), np.where(slit() >= 0.8, slit(), 0)
        good[12, 70] = False
        flat[12, 70] = 9
        spectrum, weight = mean_spectrum(flat, good, profile)
        assert np.isnan(spectrum[50])
        assert weight[50] == 0
        assert weight[40] < 0.7 < weight[32] < 1
        np.testing.assert_allclose(np.delete(spectrum, 50), np.delete(wanted, 50), rtol=1e-12)

    def test_an_even_number_of_rows(self):
        flat = np.array([[1.0, 2, 3], [3, 4, 5], [5, 6, 7], [6, 7, 8]])
        spectrum, _ = mean_spectrum(flat, np.isfinite(flat), np.ones(4))
        middle = np.median(flat, axis=0)
        kept = (flat <= 1.5 * middle) & (flat >= 0.1 * middle)
        np.testing.assert_allclose(spectrum, np.where(kept, flat, 0).sum(axis=0) / kept.sum(axis=0))


class TestSmoothing:
    @pytest.mark.parametrize('box', [1, 3, 5, 11])
    def test_a_slope_keeps_its_first_and_last_points(self, box):
        """With zeros beyond the ends they would be 3/5 and 4/5 of what they are."""
        line = 10 - 0.7 * np.arange(23)
        np.testing.assert_allclose(smoothed(line, box), line, rtol=1e-12)

    def test_inside_it_is_the_mean(self):
        values = np.random.default_rng(2).normal(5, 1, 40)
        values[[7, 20, 21]] = np.nan
        filled = np.interp(np.arange(40), np.delete(np.arange(40), [7, 20, 21]), np.delete(values, [7, 20, 21]))
        wanted = [np.mean(filled[x - 2 : x + 3]) for x in range(2, 38)]
        np.testing.assert_allclose(smoothed(values, 5)[2:-2], wanted, rtol=1e-12)

    def test_nan_at_the_ends_stays(self):
        found = smoothed(np.array([np.nan, 1.0, 2.0, 3.0, np.nan, np.nan]), 3)
        np.testing.assert_allclose(found, [np.nan, 1, 2, 3, np.nan, np.nan])

    def test_what_is_shorter_than_the_box(self):
        np.testing.assert_allclose(smoothed(np.array([2.0]), 7), [2.0])
        np.testing.assert_allclose(smoothed(np.array([2.0, 3.0, 4.0]), 9), [2.0, 3.0, 4.0])
        assert np.isnan(smoothed(np.full(3, np.nan), 5)).all()


class TestFit:
    @pytest.mark.parametrize('degree', [0, 1, 4, 9])
    def test_a_polynomial_in_the_logarithm_is_found(self, degree):
        x = np.linspace(-1, 1, 200)
        spectrum = 10 ** np.polynomial.Legendre(np.random.default_rng(degree).uniform(-0.5, 0.5, degree + 1))(x)
        found = fit_lamp(spectrum, np.ones(200), Fit('poly', degree, box=1))
        np.testing.assert_allclose(found.curve, spectrum, rtol=1e-9)
        assert found.used.all()

    def test_a_polynomial_is_numpy_s(self):
        spectrum = lamp() * np.random.default_rng(1).normal(1, 0.01, N)
        weight = np.random.default_rng(2).uniform(0.2, 1, N)
        x = np.linspace(-1, 1, N)
        wanted = np.polyval(np.polyfit(x, np.log10(spectrum), 6, w=np.sqrt(weight)), x)
        found = fit_lamp(spectrum, weight, Fit('poly', 6, clip=0, box=1))
        np.testing.assert_allclose(found.curve, 10**wanted, rtol=1e-9)

    def test_a_spline_is_scipy_s(self):
        from scipy.interpolate import LSQUnivariateSpline

        spectrum = lamp() * np.random.default_rng(1).normal(1, 0.01, N)
        x = np.arange(N, dtype='f8')
        knots = x[np.arange(1, 9) * N // 9]
        wanted = 10 ** LSQUnivariateSpline(x, np.log10(smoothed(spectrum, 5)), knots, k=3)(x)
        found = fit_lamp(spectrum, np.ones(N), Fit('spline', 9, clip=0))
        np.testing.assert_allclose(found.curve, wanted, rtol=1e-9)

    def test_a_median_is_that_of_the_window(self):
        spectrum = lamp() * np.random.default_rng(1).normal(1, 0.05, N)
        found = fit_lamp(spectrum, np.ones(N), Fit('median', 21, clip=0, box=1))
        wanted = [np.median(spectrum[x - 10 : x + 11]) for x in range(10, N - 10)]
        np.testing.assert_allclose(found.curve[10:-10], wanted, rtol=1e-12)

    @every_fit
    def test_what_has_no_light_is_left_out_and_nothing_dies(self, fit):
        spectrum = lamp()
        gaps = [0, 40, 41, 42, 200, N - 1]
        spectrum[gaps] = [0, -5, np.nan, 0, 1e-3, np.nan]
        found = fit_lamp(spectrum, np.ones(N), fit)
        np.testing.assert_array_equal(np.flatnonzero(~found.used), gaps)
        assert np.isnan(found.curve[[0, -1]]).all()
        assert np.isfinite(found.curve[1:-1]).all()
        np.testing.assert_allclose(found.curve[1:-1], lamp()[1:-1], rtol=0.01)

    @every_fit
    def test_narrow_features_are_clipped(self, fit):
        """An emission line, a hot column and a dip, none of them so strong that it is no lamp at first sight."""
        noise = np.random.default_rng(3).normal(1, 0.001, N)
        spectrum = lamp() * noise
        plain = fit_lamp(spectrum, np.ones(N), fit)
        x = np.arange(N)
        spectrum = spectrum * (1 + 0.3 * np.exp(-(((x - 130) / 2.5) ** 2)))
        spectrum[300] *= 1.4
        spectrum[220:223] *= 0.85
        found = fit_lamp(spectrum, np.ones(N), fit)
        assert not found.used[[128, 130, 132, 300, 220, 221, 222]].any()
        assert found.used.sum() > N - 40
        np.testing.assert_allclose(found.curve, plain.curve, rtol=0.01 if fit.method == 'median' else 0.004)
        rough = fit_lamp(spectrum, np.ones(N), Fit(fit.method, fit.order, clip=0))
        assert rough.used.all()
        if fit.method != 'median':
            assert np.abs(rough.curve / plain.curve - 1).max() > 0.01

    def test_a_misfit_that_is_broad_is_not_clipped(self):
        """Else a polynomial that can not follow the lamp would be free to go astray where it is wrong."""
        spectrum = lamp(2048, 4.5) * (1 - 0.25 / (1 + np.exp(-(np.arange(2048) - 1960) / 12)))
        found = fit_lamp(spectrum, np.ones(2048), Fit('poly', 5))
        plain = fit_lamp(spectrum, np.ones(2048), Fit('poly', 5, clip=0))
        assert found.used.all()
        assert plain.rms > 0.01
        np.testing.assert_array_equal(found.curve, plain.curve)

    @pytest.mark.parametrize(('fit', 'points'), [(Fit('poly', 7), 8), (Fit('spline', 5), 8), (Fit('median', 5), 1)])
    def test_too_few_points(self, fit, points):
        spectrum = np.full(30, np.nan)
        spectrum[10 : 10 + points] = 5
        with pytest.raises(ValueError, match=f'{points} points of the spectrum have light, too few for {fit.method}'):
            fit_lamp(spectrum, np.ones(30), fit)
        spectrum[10 : 12 + points] = 5
        assert fit_lamp(spectrum, np.ones(30), fit).curve[10] == pytest.approx(5)

    @pytest.mark.parametrize('order', [1, 2, 30])
    def test_a_spline_with_a_long_gap(self, order):
        spectrum = np.full(N, 50.0)
        spectrum[100:250] = np.nan
        found = fit_lamp(spectrum, np.ones(N), Fit('spline', order))
        np.testing.assert_allclose(found.curve, 50, rtol=1e-6)

    def test_rms_is_that_of_the_used_points(self):
        spectrum = lamp() * np.random.default_rng(1).normal(1, 0.01, N)
        found = fit_lamp(spectrum, np.ones(N), Fit('spline', 9))
        assert found.rms == pytest.approx(np.sqrt(np.mean((spectrum / found.curve - 1)[found.used] ** 2)))
        assert found.rms == pytest.approx(0.01, rel=0.1)


class TestFlat:
    @every_fit
    def test_the_truth_comes_out(self, fit):
        flat, true = scene()
        found = flat_response(flat, fit)
        rows = found.lit.any(axis=1)
        np.testing.assert_array_equal(rows, slit_profile(flat) >= 0.8)
        wanted = true * slit()[:, None]
        wanted = wanted / np.median(wanted[rows])
        assert np.std(found.flat[rows] / wanted[rows]) < 0.006
        assert np.median(found.flat[found.lit]) == pytest.approx(1, abs=1e-12)
        assert (found.flat[~rows] == 1).all()
        assert not found.bad.any()

    @every_fit
    def test_the_first_and_the_last_pixels(self, fit):
        """Smoothing against zeros leaves the first columns at 5/3 and 5/4."""
        flat = 9000 * slit()[:, None] * lamp()
        found = flat_response(flat, fit)
        middle = np.median(found.flat[found.lit.any(axis=1)], axis=0)
        np.testing.assert_allclose(middle[[0, 1, 2, -3, -2, -1]], 1, atol=0.015)

    @pytest.mark.parametrize('fit', [Fit('poly', 7), Fit('spline', 12)], ids=lambda fit: fit.method)
    def test_structure_of_the_response_is_left(self, fit):
        """A ripple common to all rows is the detector's: a spline must not follow it, however bright the flat."""
        phase = np.sin(2 * np.pi * np.arange(N) / 15)
        for light in (1, 1e5):
            found = flat_response(light * slit()[:, None] * lamp() * (1 + 0.01 * phase), fit)
            rows = found.lit.any(axis=1)
            kept = (found.flat / slit()[:, None])[rows].mean(axis=0)
            without = (flat_response(light * slit()[:, None] * lamp(), fit).flat / slit()[:, None])[rows].mean(axis=0)
            assert 2 * np.mean((kept / without - 1)[:390] * phase[:390]) == pytest.approx(0.01, rel=0.05)

    def test_bad_pixels(self):
        flat, _ = scene()
        wanted = np.zeros(flat.shape, bool)
        for part, factor in [(np.s_[10, 20], 0.02), (np.s_[11, 50], 2.0), (np.s_[:, 100], 0.0), (np.s_[20, :], 0.0)]:
            flat[part] *= factor
            wanted[part] = True
        flat[13, 30] = flat[1, 7] = np.nan
        wanted[13, 30] = wanted[1, 7] = True
        mask = np.zeros(flat.shape, bool)
        mask[15, 60:63] = wanted[15, 60:63] = True
        found = flat_response(flat, Fit('poly', 7), mask=mask)
        lit = slice(9, 25)  # some pixels off the slit's soft edges
        np.testing.assert_array_equal(found.bad[lit], wanted[lit])
        assert found.bad[slit() < 0.05].sum() == 1  # in the dark nothing else is known
        assert np.isnan(found.flat[13, 30])
        assert found.flat[1, 7] == 1
        assert not found.lamp.used[100]
        assert np.isfinite(found.flat[15, 60:63]).all()

    def test_a_mask_takes_pixels_out_of_the_spectrum(self):
        flat, _ = scene()
        mask = np.zeros(flat.shape, bool)
        mask[10:14] = True
        spoilt = flat.copy()
        spoilt[10:14] *= 1.3
        one, two = (flat_response(each, FITS[0], mask=mask) for each in (flat, spoilt))
        np.testing.assert_array_equal(one.lamp.spectrum, two.lamp.spectrum)
        assert one.level == two.level

    def test_where_the_lamp_gives_no_light_the_flat_is_1(self):
        flat, _ = scene()
        flat[:, :30] = np.random.default_rng(1).normal(-5, 1, (ROWS, 30))
        found = flat_response(flat, FITS[1])
        assert not found.lit[:, :30].any()
        assert (found.flat[:, :30] == 1).all()
        assert found.lit_bounds[0] == (30, N)
        assert np.isnan(found.lamp.curve[:30]).all()

    @every_fit
    @pytest.mark.parametrize('ends', [[0], [N - 1], [0, N - 1]])
    def test_end_columns_with_little_light_get_their_response(self, fit, ends):
        flat = 9000 * slit()[:, None] * lamp(steep=1)
        whole = flat_response(flat, fit)
        flat[:, ends] *= 0.1
        found = flat_response(flat, fit)
        rows = found.lit.any(axis=1)
        assert found.lit[rows].all()
        assert not found.lamp.used[ends].any()
        wanted = np.where(np.isin(np.arange(N), ends), 0.1, 1) * whole.flat[rows]
        np.testing.assert_allclose(found.flat[rows], wanted, rtol=0.02)
        assert found.bad[np.ix_(rows, ends)].all()

    def test_an_end_with_a_glimmer_is_not_lit(self):
        flat = 9000 * slit()[:, None] * lamp()
        flat[:, 0] *= 0.01
        found = flat_response(flat, FITS[0])
        assert found.lit_bounds[0] == (1, N)

    def test_behind_a_tilted_edge_pixels_are_bad(self):
        """A row that is lit along nine tenths of it: where it is not, the median around does not tell."""
        flat, _ = scene()
        edge = int(np.flatnonzero(slit() >= 0.8)[0])
        flat[: edge + 1, 370:] = 0.05 * 9000 * lamp()[370:]
        found = flat_response(flat, FITS[0])
        assert found.lit[edge].all()
        assert found.bad[edge, 370:].all()
        assert not found.bad[edge, :370].any()
        assert 20 < found.nfaint <= found.bad[found.lit].sum()

    def test_lit_bounds(self):
        found = flat_response(scene()[0], FITS[0], lit=slice(9, 21))
        assert found.lit_bounds == ((0, N), (9, 21))
        assert found.lit.sum() == 12 * N

    def test_uncertainty_is_scaled_as_the_flat(self):
        flat, _ = scene()
        found = flat_response(flat, FITS[0])
        sigma = found.uncertainty(0.03 * flat)
        np.testing.assert_allclose(sigma[found.lit], 0.03 * found.flat[found.lit], rtol=1e-12)
        assert (sigma[~found.lit] == 0).all()

    @pytest.mark.parametrize('dtype', ['f4', 'f8', 'u2', '>i4'])
    def test_types_and_the_input_is_left_alone(self, dtype):
        flat = scene()[0].astype(dtype)
        before = flat.copy()
        found = flat_response(flat, FITS[0])
        np.testing.assert_array_equal(flat, before)
        np.testing.assert_allclose(found.flat, flat_response(flat.astype('f8'), FITS[0]).flat)

    @pytest.mark.parametrize('flat', [np.zeros((5, 40)), np.full((5, 40), np.nan), np.full((1, 1), 3.0)])
    def test_what_has_no_response(self, flat):
        with pytest.raises(ValueError, match=r'no light|too few'):
            flat_response(flat, FITS[0])

    @given(st.integers(0, 2**32), st.sampled_from(FITS), st.floats(1e-3, 1e6))
    def test_the_unit_of_the_flat_does_not_matter(self, seed, fit, factor):
        flat, _ = scene(seed % 7)
        rng = np.random.default_rng(seed)
        flat[rng.random(flat.shape) < 0.02] = np.nan
        one, two = flat_response(flat, fit), flat_response(factor * flat, fit)
        np.testing.assert_allclose(one.flat, two.flat, rtol=1e-6)
        np.testing.assert_array_equal(one.lit, two.lit)

    @given(st.integers(0, 2**32), st.sampled_from(FITS))
    def test_mirrored_rows_give_the_mirrored_flat(self, seed, fit):
        flat, _ = scene(seed % 5)
        rng = np.random.default_rng(seed)
        flat[rng.random(flat.shape) < 0.02] = np.nan
        one, two = flat_response(flat, fit), flat_response(flat[::-1], fit)
        np.testing.assert_allclose(one.flat, two.flat[::-1], rtol=1e-6)
        np.testing.assert_array_equal(one.bad, two.bad[::-1])

    @given(st.integers(0, 2**32), st.tuples(st.integers(1, 9), st.integers(1, 30)), st.sampled_from(FITS))
    def test_any_numbers_give_a_flat_or_a_reason(self, seed, shape, fit):
        rng = np.random.default_rng(seed)
        kinds = [lambda: rng.normal(1, 3, shape), lambda: rng.choice([np.nan, np.inf, -1, 0, 1, 1e30, 1e300], shape)]
        flat = kinds[seed % 2]()
        try:
            found = flat_response(flat, fit)
        except ValueError:
            return
        assert found.flat.shape == found.lit.shape == found.bad.shape == shape
        assert (found.flat[~found.lit] == 1).all()
        assert np.isfinite(found.lamp.curve).any()
