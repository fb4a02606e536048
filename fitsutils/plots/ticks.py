"""Round numbers along axes and colour bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fitsutils.plots import painting
from fitsutils.plots.limits import Limits

STEPS = [1, 2, 5, 10]
_HOT = 0.003  # share of the sums that may run out of their panel: narrower than any star
_DOMINATED = 8  # when they would stretch it more than so many times


def bar_ticks(limits: Limits, stretch: str, number: int) -> list[tuple[float, str]]:
    """Round values along a colour bar.

    Parameters
    ----------
    limits : (float, float)
        As in `stretched`.
    stretch : {'linear', 'sqrt', 'log', 'asinh'}
        As in `stretched`.
    number : int
        How many values there is room for, at least 2.

    Returns
    -------
    list of (float, str)
        Place along the bar from 0 to 1, and the value written out.

    Examples
    --------
    >>> bar_ticks((0, 100), 'linear', 5)
    [(0.0, '0'), (0.2, '20'), (0.4, '40'), (0.6, '60'), (0.8, '80'), (1.0, '100')]
    """
    low, high = limits
    if stretch == 'linear' and high - low < math.inf:
        values = MaxNLocator(number, steps=STEPS).tick_values(low, high)
        values = values[(values >= low) & (values <= high)]
    else:
        values = painting.values_at(np.linspace(0, 1, number), limits, stretch)
    ticks: dict[str, float] = {}
    for value, digits in zip(values, _digits(values, high - low), strict=True):
        rounded = _round_inside(float(value), digits, low, high)
        if rounded is None:
            continue
        ticks.setdefault(plain_number(rounded, digits), float(painting.stretched(np.array(rounded), limits, stretch)))
    return [(place, text) for text, place in ticks.items()]


def written(values: NDArray[np.float64]) -> list[str]:
    """Ascending values written out, each with the decimals that tell it from its neighbours.

    Parameters
    ----------
    values : ndarray
        Shape (k,).

    Returns
    -------
    list of str
        Of length k.

    Examples
    --------
    >>> written(np.array([0.0, 0.5, 1.0]))
    ['0.0', '0.5', '1.0']
    """
    return [plain_number(float(value), digits) for value, digits in zip(values, _digits(values, 1.0), strict=True)]


def range_text(limits: Limits) -> str:
    """Two limits written out, to a thousandth of what lies between them.

    Parameters
    ----------
    limits : (float, float)
        Low and high.

    Returns
    -------
    str
        Such as ``355.9 … 380.2``.

    Examples
    --------
    >>> range_text((802.4129, 921.9551))
    '802.4 … 922.0'
    """
    width = limits[1] - limits[0]
    digits = 3 - math.floor(math.log10(width) + 0.5) if 0 < width < math.inf else 0
    return ' … '.join(plain_number(value, digits) for value in limits)


def _digits(values: NDArray[np.float64], alone: float) -> list[int]:
    with np.errstate(over='ignore'):
        steps = np.gradient(values) if len(values) > 1 else [alone] * len(values)
    return [-math.floor(math.log10(step) + 1e-9) if 0 < step < math.inf else 0 for step in steps]


def _round_inside(value: float, digits: int, low: float, high: float) -> float | None:
    """The round number next to a value that lies between two limits; None where there is none."""
    unit = 10.0**-digits
    for candidate in (value, value + unit / 2, value - unit / 2):
        rounded = round(candidate, digits) + 0.0  # no -0
        if low <= rounded <= high:
            return rounded
    return None


def plain_number(value: float, digits: int) -> str:
    """A number written out, in as few characters as its digits need.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Decimals that count; negative ones count from the point to the left.

    Returns
    -------
    str
        With an exponent only where the number would be long.

    Examples
    --------
    >>> plain_number(1017.5, 1), plain_number(250.0, -1), plain_number(2.5e-9, 10)
    ('1017.5', '250', '2.5e-09')
    """
    if not value and digits > 6:
        return '0'
    if value and not (1e-3 <= abs(value) < 1e7 or (1e7 <= abs(value) < 1e12 and digits > -3)):
        return f'{value:.4g}'
    return f'{value:.{max(0, min(digits, 6))}f}'


@dataclass(frozen=True)
class SumAxis:
    """The axis of sums.

    Attributes
    ----------
    low, high : float
        Its ends.
    ticks : list of float
        Values that are marked.
    labels : list of str
        What stands at them: the values divided by a power of ten.
    power : int
        That power; 0 where there is no need of one.
    """

    low: float
    high: float
    ticks: list[float]
    labels: list[str]
    power: int

    @property
    def suffix(self) -> str:
        """The power of ten as matplotlib writes mathematics, to stand behind the axis's name."""
        return rf' ($10^{{{self.power}}}$)' if self.power else ''


def sum_axis(sums: Sequence[NDArray[np.float64]], number: int) -> SumAxis:
    """The axis for sums of columns or of rows.

    Parameters
    ----------
    sums : sequence of ndarray
        All sums that it must have room for. A handful of hot columns that would leave nothing to be seen of the
        others may run out of it.
    number : int
        About how many ticks there is room for.

    Returns
    -------
    SumAxis
        The axis.
    """
    with np.errstate(all='ignore'):  # sums near the largest float
        low, high = _range(np.concatenate([values[np.isfinite(values)] for values in sums]))
    margin = 0.05 * (high - low) or max(0.5, 1e-3 * abs(low))
    low, high = low - margin, high + margin
    if not math.isfinite(high - low):
        return SumAxis(-1.0, 1.0, [], [], 0)
    largest = math.floor(math.log10(max(abs(low), abs(high))))
    power = 3 * (largest // 3) if not -2 <= largest <= 3 else 0
    ticks = MaxNLocator(number, steps=STEPS).tick_values(low, high)
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    step = (ticks[1] - ticks[0] if len(ticks) > 1 else high - low) / 10.0**power
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = [f'{tick / 10.0**power:.{digits}f}' for tick in ticks]
    return SumAxis(low, high, ticks.tolist(), labels, power)


def _range(good: NDArray[np.float64]) -> tuple[float, float]:
    if not good.size:
        return 0.0, 1.0
    low, inner_low, inner_high, high = np.quantile(good, [0, _HOT, 1 - _HOT, 1]).tolist()
    if 0 < inner_high - inner_low < (high - low) / _DOMINATED:
        return max(low, 1.1 * inner_low - 0.1 * inner_high), min(high, 1.1 * inner_high - 0.1 * inner_low)
    return low, high
