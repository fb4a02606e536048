"""One image and one operand give one image; the type of the result follows its values."""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

OPERATORS = ('+', '-', '*', 'x', '/', '^', 'min', 'max', '=')

_FUNCTIONS: dict[str, Callable[..., NDArray]] = {
    '+': np.add,
    '-': np.subtract,
    '*': np.multiply,
    'x': np.multiply,
    '/': np.divide,
    '^': np.power,
    # A missing pixel stays missing: fmin would put the operand in its place.
    'min': np.minimum,
    'max': np.maximum,
}


# These make a finite pixel out of one that is missing: 5 min inf, 1 / inf, NaN ^ 0.
_HIDES_MISSING = ('min', 'max', '/', '^')


def working_type(dtype: DTypeLike) -> np.dtype:
    """The float type that holds every value of a pixel type exactly, or best.

    Parameters
    ----------
    dtype : dtype
        Type of pixels as they are read.

    Returns
    -------
    dtype
        It is float32 for integers of up to 16 bits and for float32, float64 for the others.

    Examples
    --------
    >>> working_type('u2'), working_type('i4')
    (dtype('float32'), dtype('float64'))
    """
    return np.promote_types(dtype, 'f4')


def operate(
    image: NDArray,
    operator: str,
    operand: NDArray | float,
    *,
    divide_by_zero: float = np.nan,
    min_denominator: tuple[float, float] | None = None,
) -> tuple[NDArray, int]:
    """The image that ``image operator operand`` gives.

    Parameters
    ----------
    image : ndarray
        Shape (..., ny, nx), any real type.
    operator : str
        One of `OPERATORS`; ``=`` gives an image of that shape filled with the operand.
    operand : ndarray or float
        A number, or an array of the image's shape or of its last axes (one plane for all).
    divide_by_zero : float
        The value of a pixel whose denominator is 0.
    min_denominator : (float, float), optional
        A limit, and what stands in for denominators below it.

    Returns
    -------
    pixels : ndarray
        Shape of `image`; float32, or float64 where an input needs it or the
        values go beyond float32. NaN or infinite pixels of an input are NaN here.
    undefined : int
        Pixels that have no finite value although both inputs have: divisions by 0, roots of negative numbers.

    Examples
    --------
    >>> operate(np.array([[100]], 'u2'), '-', np.array([[200]], 'u2'))
    (array([[-100.]], dtype=float32), 0)
    >>> operate(np.array([1, 2]), '/', 0)
    (array([nan, nan]), 2)
    """
    if operator == '=':
        return _filled(image, operand), 0
    if operator == '/':
        operand = denominators(operand, min_denominator)
    if isinstance(operand, np.ndarray) and operand.ndim == 0:
        operand = float(operand)
    kind = np.promote_types(working_type(image.dtype), working_type(getattr(operand, 'dtype', 'f4')))
    with np.errstate(all='ignore'):
        pixels = _computed(image, operator, operand, kind)
        undefined = 0
        if operator in _HIDES_MISSING:
            pixels[_missing(image) | _missing(operand)] = np.nan
        if not np.isfinite(pixels).all():
            pixels, undefined = _mended(pixels, image, operator, operand, divide_by_zero)
    return pixels, undefined


def deviation(
    image: NDArray, operator: str, operand: NDArray | float, sigma: NDArray, other: NDArray | float = 0.0,
    *, min_denominator: tuple[float, float] | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Standard deviation of what ``image operator operand`` gives, of independent errors to first order.

    Parameters
    ----------
    image : ndarray
        Shape (..., ny, nx).
    operator : str
        One of `OPERATORS` but ``=``.
    operand : ndarray or float
        As for `operate`.
    sigma : ndarray
        Standard deviations of the image, of its shape or of its last axes.
    other : ndarray or float
        Those of the operand, of its shape.
    min_denominator : (float, float), optional
        As for `operate`; what stands in for a denominator has no error.

    Returns
    -------
    ndarray of float64
        Shape of `image`; NaN where it is not known.

    Notes
    -----
    The square root of ``(df/da sigma_a)**2 + (df/db sigma_b)**2``; min and max have that of the one they take.

    Examples
    --------
    >>> deviation(np.array([8.0]), '/', 2.0, np.array([3.0]))
    array([1.5])
    >>> deviation(np.array([8.0]), '-', 2.0, np.array([3.0]), 4.0)
    array([5.])
    """
    first, second = np.asarray(image, 'f8'), np.asarray(operand, 'f8')
    if operator == '/' and min_denominator is not None:
        other = np.where(second < min_denominator[0], 0.0, other)
        second = denominators(second, min_denominator)
    with np.errstate(all='ignore'):
        if operator in ('min', 'max'):
            takes_first = (first <= second) if operator == 'min' else (first >= second)
            found = np.where(takes_first, sigma, other)
        else:
            by_first, by_second = _slopes(first, operator, second)
            found = np.hypot(by_first * sigma, np.where(np.equal(other, 0), 0.0, by_second * other))
    found = np.broadcast_to(found, first.shape).copy()
    found[~np.isfinite(found) | ~np.isfinite(first) | ~np.isfinite(np.broadcast_to(second, first.shape))] = np.nan
    return found


def _slopes(first: NDArray, operator: str, second: NDArray) -> tuple[NDArray | float, NDArray | float]:
    """Derivatives of a result by its two values."""
    if operator in ('+', '-'):
        return 1.0, 1.0
    if operator == '/':
        return 1 / second, first / second**2
    if operator == '^':
        return second * first ** (second - 1), first**second * np.log(first)
    return second, first


def denominators(operand: NDArray | float, limits: tuple[float, float] | None) -> NDArray | float:
    """The denominators with what stands in for those below a limit.

    Parameters
    ----------
    operand : ndarray or float
        The denominators.
    limits : (float, float) or None
        The limit and the stand-in; None for no limit.

    Returns
    -------
    ndarray or float
        `operand` itself without a limit.
    """
    return operand if limits is None else np.where(np.less(operand, limits[0]), limits[1], operand)


def _computed(image: NDArray, operator: str, operand: NDArray | float, kind: np.dtype) -> NDArray:
    # A number that float32 does not hold, such as 0.26, and powers are worked
    # out in float64 and rounded once; two float32 images lose nothing in float32.
    exact = operator != '^' and (isinstance(operand, np.ndarray) or float(np.float32(operand)) == operand)
    work = kind if exact else np.dtype('f8')
    out = np.empty(np.shape(image), kind)
    return _FUNCTIONS[operator](
        image, np.asarray(operand, None if exact else 'f8'), out=out, dtype=work, casting='unsafe'
    )


def _mended(
    pixels: NDArray, image: NDArray, operator: str, operand: NDArray | float, divide_by_zero: float
) -> tuple[NDArray, int]:
    """Pixels that left float32 or have no value, put right."""
    sound = np.isfinite(image) & np.isfinite(operand)
    if pixels.dtype == np.float32 and (np.isinf(pixels) & sound & (np.not_equal(operand, 0) | (operator != '/'))).any():
        pixels = _computed(image, operator, operand, np.dtype('f8'))
    undefined = sound & ~np.isfinite(pixels)
    if operator == '/':
        by_zero = sound & np.equal(operand, 0)
        pixels[by_zero] = divide_by_zero
        undefined |= by_zero
        pixels[undefined & ~by_zero] = np.nan
    else:
        pixels[undefined] = np.nan
    pixels[_missing(image) | _missing(operand)] = np.nan
    return pixels, int(np.count_nonzero(undefined))


def _missing(values: NDArray | float) -> NDArray[np.bool_]:
    """Pixels without a value, infinite ones too; a number that the user gives is what it is."""
    if isinstance(values, np.ndarray) and values.dtype.kind == 'f':
        return ~np.isfinite(values)
    return np.zeros(np.shape(values), bool)


def count_missing(pixels: NDArray) -> int:
    """How many pixels have no value.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.

    Returns
    -------
    int
        The number of NaN and infinite ones.

    Examples
    --------
    >>> count_missing(np.array([1.0, np.nan, np.inf])), count_missing(np.array([1, 2]))
    (2, 0)
    """
    return int(np.count_nonzero(_missing(pixels)))


def _filled(image: NDArray, operand: NDArray | float) -> NDArray:
    if isinstance(operand, np.ndarray):
        return np.broadcast_to(operand, image.shape).astype(working_type(operand.dtype))
    fits_float32 = np.isnan(operand) or np.isinf(operand) or _holds(operand)
    return np.full(image.shape, operand, 'f4' if fits_float32 else 'f8')


def _holds(number: float) -> bool:
    """Whether float32 holds a number: fractions are rounded, whole numbers must come out exact."""
    with np.errstate(over='ignore'):
        rounded = np.float32(number)
    return bool(np.isfinite(rounded)) and (not float(number).is_integer() or float(rounded) == number)


def as_type(pixels: NDArray, dtype: DTypeLike) -> NDArray:
    """Pixels in another type, rounded to the nearest value but never wrapped or cut.

    Parameters
    ----------
    pixels : ndarray
        Any shape and real type.
    dtype : dtype
        The type wanted.

    Returns
    -------
    ndarray
        Of that type.

    Raises
    ------
    ValueError
        When a value is beyond the type's range, or NaN where it has none.

    Examples
    --------
    >>> as_type(np.array([1.6, -0.4]), 'i2')
    array([2, 0], dtype=int16)
    """
    wanted = np.dtype(dtype)
    if wanted == pixels.dtype:
        return pixels
    if wanted.kind == 'f':
        _refuse_overflow(pixels, wanted)
        return pixels.astype(wanted)
    if pixels.dtype.kind == 'f' and not np.isfinite(pixels).all():
        raise ValueError(
            f'{np.count_nonzero(~np.isfinite(pixels))} pixels are NaN or infinite, which {wanted} can not hold'
        )
    rounded = np.rint(pixels) if pixels.dtype.kind == 'f' else pixels
    low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
    # As Python's own numbers: a float32 limit would be rounded up to a value that wraps.
    least, most = (rounded.min().item(), rounded.max().item()) if rounded.size else (0, 0)
    if least < low or most > high:
        raise ValueError(f'pixels from {least} to {most} do not fit into {wanted} ({low} to {high})')
    return rounded.astype(wanted)


def _refuse_overflow(pixels: NDArray, wanted: np.dtype) -> None:
    if pixels.dtype.itemsize <= wanted.itemsize:
        return
    with np.errstate(invalid='ignore', over='ignore'):
        beyond = np.isfinite(pixels) & ~np.isfinite(pixels.astype(wanted))
    if beyond.any():
        raise ValueError(f'{np.count_nonzero(beyond)} pixels are beyond the range of {wanted}')
