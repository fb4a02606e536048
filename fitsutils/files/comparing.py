"""What ``==``, ``<``, ``+`` and the like mean between header values.

A missing value, NaN and a blank text are None here: whatever is compared with
it is false, whatever is computed from it is missing.
"""

from __future__ import annotations

import datetime
import math
import numbers
import operator
from collections.abc import Callable
from typing import Any

from fitsutils.files import header as headers

Value = bool | int | float | str | datetime.datetime | None

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    '==': operator.eq, '!=': operator.ne, '<': operator.lt, '<=': operator.le, '>': operator.gt, '>=': operator.ge,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    '+': operator.add, '-': operator.sub, '*': operator.mul, '/': operator.truediv,
}  # fmt: skip
_MOST_BITS = 1024  # a whole number beyond those of a float is as good as infinite


def bare(found: Any) -> Value:
    """A value as expressions take it.

    Parameters
    ----------
    found : Any
        What a header or a statistic gave.

    Returns
    -------
    bool, int, float, str, datetime or None
        Text without blanks around it; None for what is missing, blank or NaN.

    Examples
    --------
    >>> bare(' V '), bare('  '), bare(float('nan')), bare(3)
    ('V', None, None, 3)
    """
    if found is None or isinstance(found, (bool, datetime.datetime)):
        return found
    if isinstance(found, str):
        return found.strip() or None
    if isinstance(found, numbers.Integral):
        return int(found)
    if isinstance(found, numbers.Real):
        return None if math.isnan(found) else float(found)
    return str(found).strip() or None


def compared(first: Value, sign: str, second: Value) -> bool:
    """Whether a comparison holds.

    Parameters
    ----------
    first : bool, int, float, str, datetime or None
        A value.
    sign : {'==', '!=', '<', '<=', '>', '>='}
        The comparison.
    second : bool, int, float, str, datetime or None
        The other value.

    Returns
    -------
    bool
        False when a value is missing.

    Notes
    -----
    A number and a text that reads as one are compared as numbers, a date and a text that reads as
    one as dates; two texts as they stand, so that capitals and small letters differ. Values that
    can't be compared are different, and none is less than the other.

    Examples
    --------
    >>> compared('78', '==', 78.0), compared('r', '==', 'R'), compared(None, '!=', 1), compared('M 1', '!=', 1)
    (True, False, False, True)
    """
    if first is None or second is None:
        return False
    pair = _alike(first, second)
    if pair is None:
        return sign == '!='
    if isinstance(pair[0], bool) and sign not in ('==', '!='):
        return False
    return COMPARISONS[sign](*pair)


def _alike(first: Any, second: Any) -> tuple[Any, Any] | None:
    """Both values in one type, or None where there is none."""
    kinds = type(first), type(second)
    if bool in kinds:
        return (first, second) if kinds == (bool, bool) else None
    if kinds == (str, str):
        return first, second
    reading = headers.moment_of if datetime.datetime in kinds else number
    pair = reading(first), reading(second)
    return None if None in pair else pair


def number(found: Value) -> int | float | None:
    """A value as a number.

    Parameters
    ----------
    found : bool, int, float, str, datetime or None
        The value.

    Returns
    -------
    int, float or None
        None when it is none; text that reads as one counts, a logical value does not.
    """
    if isinstance(found, float):
        return found
    return None if isinstance(found, (bool, datetime.datetime)) else headers.exact_number(found)


def computed(first: Value, sign: str, second: Value) -> int | float | datetime.datetime | None:
    """The result of arithmetic.

    Parameters
    ----------
    first : bool, int, float, str, datetime or None
        A value.
    sign : {'+', '-', '*', '/'}
        The operator.
    second : bool, int, float, str, datetime or None
        The other value.

    Returns
    -------
    int, float, datetime or None
        None where a value is missing or no number, beyond the range of numbers or dates, and of
        a division by 0. The difference of two dates is in days, and days may be added to a date or taken from it.

    Examples
    --------
    >>> computed(7, '/', 2), computed(1, '/', 0), computed('60', '*', 2)
    (3.5, None, 120)
    >>> computed('2021-02-27T06:00', '-', '2021-02-26')
    1.25
    """
    pair = number(first), number(second)
    try:
        if None not in pair:
            return _within_range(_ARITHMETIC[sign](*pair))
        if sign in '+-':
            return _date_arithmetic(first, sign, second)
    except (ArithmeticError, ValueError):
        pass
    return None


def _within_range(result: int | float) -> int | float | None:
    if isinstance(result, int):
        return result if result.bit_length() <= _MOST_BITS else None
    return None if math.isnan(result) else result


def _date_arithmetic(first: Value, sign: str, second: Value) -> float | datetime.datetime | None:
    moments = headers.moment_of(first), headers.moment_of(second)
    if sign == '-' and None not in moments:
        return (moments[0] - moments[1]) / datetime.timedelta(days=1)
    days = number(second), number(first)
    for moment, count in zip(moments, days if sign == '+' else days[:1], strict=False):
        if moment is not None and count is not None:
            return _ARITHMETIC[sign](moment, datetime.timedelta(days=count))
    return None


def comparable(found: Any) -> int | float | str | None:
    """A value in the form in which equal ones are put together.

    Parameters
    ----------
    found : Any
        What a header or a statistic gave.

    Returns
    -------
    int, float, str or None
        Numbers, also those that stand there as text, are numbers; texts have no spaces around them; a logical
        is T or F; what is missing, blank or NaN is None.

    Examples
    --------
    >>> [comparable(found) for found in (1.0, ' 1', 'FILT- 3 ', True, '', float('nan'))]
    [1.0, 1, 'FILT- 3', 'T', None, None]
    """
    value = bare(found)
    as_number = number(value)
    return as_number if value is None or as_number is not None else as_text(value)


def as_text(found: Value) -> str:
    """A value as a pattern sees it: T and F for logical values, a date as FITS writes it.

    Parameters
    ----------
    found : bool, int, float, str or datetime
        The value.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> as_text(True), as_text(78), as_text('Sky flat')
    ('T', '78', 'Sky flat')
    """
    if isinstance(found, bool):
        return 'T' if found else 'F'
    return found.isoformat() if isinstance(found, datetime.datetime) else str(found)
