"""pixels/arithmetic: values against float64, types by value, nothing wraps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitsutils.pixels import arithmetic

PLAIN = {
    '+': np.add, '-': np.subtract, '*': np.multiply, 'x': np.multiply, '/': np.divide, '^': np.power,
    'min': np.minimum, 'max': np.maximum,
}  # fmt: skip
DTYPES = ['u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'f4', 'f8']


def test_the_functions_are_those_of_the_operators():
    assert {*PLAIN, '='} == set(arithmetic.OPERATORS)


@pytest.mark.parametrize('operator', PLAIN)
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('other', ['u2', 'f4', 'f8', 2.0, 0.26, -1e-3])
def test_against_float64(operator, dtype, other):
    rng = np.random.default_rng(3)
    image = rng.integers(1, 100, (5, 7)).astype(dtype)
    operand = rng.integers(1, 5, (5, 7)).astype(other) if isinstance(other, str) else other
    found, undefined = arithmetic.operate(image, operator, operand)
    wanted = PLAIN[operator](image.astype('f8'), np.asarray(operand, 'f8'))
    wide = np.dtype(dtype) in ('i4', 'u4', 'i8', 'f8') or other == 'f8'
    assert found.dtype == ('f8' if wide else 'f4')
    assert undefined == 0
    np.testing.assert_allclose(found, wanted, rtol=1e-15 if wide else 6e-8)


def test_a_number_that_float32_does_not_hold_is_rounded_once():
    image = np.arange(1, 60000, 7, dtype='f4')
    found, _ = arithmetic.operate(image, 'x', 0.26)
    np.testing.assert_array_equal(found, (image.astype('f8') * 0.26).astype('f4'))


def test_unsigned_images_do_not_wrap():
    found, _ = arithmetic.operate(np.array([[100]], 'u2'), '-', np.array([[200]], 'u2'))
    assert found[0, 0] == -100


def test_values_beyond_float32_make_float64():
    found, undefined = arithmetic.operate(np.array([60000.0, 2.0], 'f4'), '^', 9)
    assert (found.dtype, undefined) == (np.float64, 0)
    np.testing.assert_allclose(found, [60000.0**9, 512])


@pytest.mark.parametrize(('value', 'wanted'), [(np.nan, [np.nan, 5, np.nan]), (1.5, [1.5, 5, 1.5])])
def test_division_by_zero(value, wanted):
    image, operand = np.array([1, 10, 0], 'u2'), np.array([0, 2, 0], 'f4')
    found, undefined = arithmetic.operate(image, '/', operand, divide_by_zero=value)
    np.testing.assert_array_equal(found, np.array(wanted, 'f4'))
    assert undefined == 2


def test_missing_pixels_stay_missing_and_are_not_counted():
    image = np.array([np.nan, 1.0, 4.0], 'f4')
    for operator in arithmetic.OPERATORS[:-1]:
        found, undefined = arithmetic.operate(image, operator, np.array([2.0, np.nan, 2.0], 'f4'))
        assert np.isnan(found[:2]).all(), operator
        assert undefined == 0


@pytest.mark.parametrize('operator', arithmetic.OPERATORS[:-1])
def test_infinite_pixels_are_missing(operator):
    image, operand = np.array([np.inf, 3.0, -np.inf], 'f4'), np.array([2.0, np.inf, 0.0], 'f4')
    assert np.isnan(arithmetic.operate(image, operator, operand)[0]).all()


def test_a_number_may_be_infinite():
    np.testing.assert_array_equal(arithmetic.operate(np.array([2.0, 5.0]), 'min', np.inf)[0], [2, 5])


def test_roots_of_negative_numbers_are_counted():
    found, undefined = arithmetic.operate(np.array([-4.0, 4.0]), '^', 0.5)
    assert undefined == 1
    np.testing.assert_array_equal(found, [np.nan, 2.0])


@pytest.mark.parametrize(('limit', 'wanted'), [((0.5, 0.5), [20, 20, 10]), ((1e-9, 1.0), [10, 100, 10])])
def test_small_denominators(limit, wanted):
    found, _ = arithmetic.operate(np.full(3, 10.0), '/', np.array([-1, 0.1, 1.0]), min_denominator=limit)
    np.testing.assert_allclose(found, wanted)


def test_a_plane_goes_with_every_plane_of_a_cube():
    cube, plane = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype('i2'), np.arange(15).reshape(3, 5).astype('i2')
    found, _ = arithmetic.operate(cube, '-', plane)
    np.testing.assert_array_equal(found, cube.astype('f4') - plane)


@pytest.mark.parametrize(
    ('operand', 'dtype'), [(0.1, 'f4'), (7, 'f4'), (16777217, 'f8'), (1e39, 'f8'), (np.nan, 'f4'), (np.inf, 'f4')]
)
def test_filling_takes_the_type_that_the_number_needs(operand, dtype):
    found, _ = arithmetic.operate(np.zeros((2, 3), 'u2'), '=', operand)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.full((2, 3), operand, dtype))


def test_filling_with_an_image():
    found, _ = arithmetic.operate(np.zeros((2, 3), 'u2'), '=', np.array([1, 2, 3], 'i4'))
    np.testing.assert_array_equal(found, [[1, 2, 3], [1, 2, 3]])


def test_inputs_are_not_changed():
    image, operand = np.array([1.0, 2.0], 'f4'), np.array([0.0, 4.0], 'f4')
    arithmetic.operate(image, '/', operand, min_denominator=(1, 1), divide_by_zero=5)
    np.testing.assert_array_equal(image, [1, 2])
    np.testing.assert_array_equal(operand, [0, 4])


@given(
    hnp.arrays('u2', hnp.array_shapes(min_dims=2, max_dims=3, max_side=6)),
    st.integers(-60000, 60000),
)
def test_adding_and_subtracting_again_is_the_identity(image, number):
    more, _ = arithmetic.operate(image, '+', number)
    back, _ = arithmetic.operate(more, '-', number)
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(
    ('values', 'dtype', 'wanted'),
    [([1.6, -0.4], 'i2', [2, 0]), ([0.5, 1.5, 254.6], 'u1', [0, 2, 255]), ([3.0], 'f4', [3.0]), ([7], 'f8', [7.0])],
)
def test_as_type_rounds(values, dtype, wanted):
    found = arithmetic.as_type(np.array(values), dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ('values', 'dtype', 'match'),
    [
        ([-1.0], 'u2', 'do not fit into uint16'),
        ([65536], 'u2', 'do not fit'),
        ([32767.6], 'i2', 'do not fit'),
        ([np.nan, 1], 'i4', '1 pixels are NaN or infinite'),
        ([1e39], 'f4', 'beyond the range of float32'),
        (np.float32([2**31]), 'i4', 'do not fit into int32'),
        (np.float32([2**32]), 'u4', 'do not fit into uint32'),
    ],
)
def test_as_type_refuses_what_would_wrap(values, dtype, match):
    with pytest.raises(ValueError, match=match):
        arithmetic.as_type(np.array(values), dtype)


@pytest.mark.parametrize('operator', ['+', '-', '*', 'x', '/', '^', 'min', 'max'])
def test_deviations_are_the_slopes_times_the_errors(operator):
    rng = np.random.default_rng(3)
    first, second = rng.uniform(1, 9, (2, 3, 5)), rng.uniform(1, 3, (3, 5))
    sigma, other = rng.uniform(0.1, 0.5, (3, 5)), rng.uniform(0.1, 0.5, (3, 5))
    found = arithmetic.deviation(first, operator, second, sigma, other)
    step = 1e-6

    def value(a, b):
        return {'+': a + b, '-': a - b, '*': a * b, 'x': a * b, '/': a / b, '^': a**b,
                'min': np.minimum(a, b), 'max': np.maximum(a, b)}[operator]  # fmt: skip

    by_first = (value(first + step, second) - value(first - step, second)) / (2 * step)
    by_second = (value(first, second + step) - value(first, second - step)) / (2 * step)
    np.testing.assert_allclose(found, np.sqrt((by_first * sigma) ** 2 + (by_second * other) ** 2), rtol=1e-6)


def test_deviations_that_are_not_known():
    image = np.array([np.nan, 1.0, 1.0, 1.0, np.inf])
    sigma = np.array([1.0, np.nan, 1.0, 2.0, 1.0])
    operand = np.array([2.0, 2.0, 0.0, np.nan, 2.0])
    assert np.isnan(arithmetic.deviation(image, '/', operand, sigma, np.full(5, 0.1))).all()
    np.testing.assert_array_equal(arithmetic.deviation(image[1:3], '+', 7.0, sigma[1:3]), [np.nan, 1.0])
    limited = arithmetic.deviation(image[1:3], '/', np.array([8.0, 0.0]), np.ones(2), 0.5, min_denominator=(0.5, 4.0))
    np.testing.assert_allclose(limited, [np.hypot(1 / 8, 0.5 / 64), 0.25])
    assert arithmetic.denominators(operand, None) is operand
