"""A straight line through points, with what is left of them below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fitsutils.plots import page

_POINT, _LINE = '#35506e', '#c03030'
_SIZE, _DPI = 640, 120.0  # pixels of the plot's width; pixels per inch
_MARGIN = 0.05  # of the range, beyond the points


@dataclass(frozen=True)
class LinePlot:
    """Points, the line through them and the words beside them.

    Attributes
    ----------
    x, y : ndarray of float64
        Shape (n,), finite.
    errors : ndarray of float64 or None
        Shape (n,): standard deviations of `y`; None draws none.
    offset, slope : float
        The line, ``offset + slope x``.
    notes : mapping
        Names and values that are written beside it.
    title, x_label, y_label : str
        Printable text.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    errors: NDArray[np.float64] | None
    offset: float
    slope: float
    notes: Mapping[str, str] = field(default_factory=dict)
    title: str = ''
    x_label: str = ''
    y_label: str = ''

    @property
    def residuals(self) -> NDArray[np.float64]:
        """Shape (n,): the points minus the line."""
        return self.y - (self.offset + self.slope * self.x)

    @property
    def span(self) -> tuple[float, float]:
        """First and last x that is shown: 0, where the offset lies, is always among them."""
        low, high = min(0.0, float(self.x.min())), max(0.0, float(self.x.max()))
        room = _MARGIN * (high - low)
        return low - room, high + room


def line_plot(
    x: Sequence[float], y: Sequence[float], errors: Sequence[float] | None, line: tuple[float, float], **words: Any
) -> LinePlot:
    """A plot of plain numbers.

    Parameters
    ----------
    x, y : sequence of float
        The points.
    errors : sequence of float or None
        Standard deviations of `y`.
    line : (float, float)
        Offset and slope.
    **words : Any
        The texts of `LinePlot`.

    Returns
    -------
    LinePlot
        The plot.
    """
    spread = None if errors is None else np.asarray(errors, 'f8')
    return LinePlot(np.asarray(x, 'f8'), np.asarray(y, 'f8'), spread, *line, **words)


def picture(plot: LinePlot, kind: str) -> bytes:
    """The file of a plot.

    Parameters
    ----------
    plot : LinePlot
        What is shown.
    kind : {'png', 'pdf'}
        Form of the file.

    Returns
    -------
    bytes
        The same for equal plots.
    """
    figure = page.new_figure()
    draw(figure, plot)
    return page.encode(figure, kind)


def draw(figure: Figure, plot: LinePlot) -> None:
    """Draw points with their line, and below them their distances from it.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    plot : LinePlot
        What is shown.

    Raises
    ------
    PictureError
        When the values are too large to be drawn.
    """
    if not np.abs(np.concatenate([plot.y, plot.residuals, [plot.offset]])).max() < 1e300:
        raise page.PictureError('the counts are too large for a plot')

    def points(length: float) -> int:
        return round(length * _DPI / 72)

    left, bottom, side, low, high = points(52), points(36), points(124), points(70), points(170)
    with page.look():
        sheet = page.Page(figure, left + _SIZE + side, bottom + low + points(8) + high + points(30), _DPI)
        upper = sheet.axes(left, bottom + low + points(8), _SIZE, high)
        lower = sheet.axes(left, bottom, _SIZE, low)
        _draw_points(upper, plot, plot.y)
        ends = np.array(plot.span)
        upper.plot(ends, plot.offset + plot.slope * ends, color=_LINE, lw=1, zorder=1)
        _draw_points(lower, plot, plot.residuals)
        lower.axhline(0, color=_LINE, lw=1, zorder=1)
        _label(upper, lower, plot)
        title = sheet.text(left, sheet.height - points(8), plot.title, fontsize=10.5, va='top')
        page.fit(title, sheet.width - left - points(8))
        for number, (name, value) in enumerate(plot.notes.items()):
            top = sheet.height - points(30 + 11 * number)
            sheet.text(left + _SIZE + points(8), top, name, color=page.GREY, fontsize=7.5, va='top')
            sheet.text(sheet.width - points(8), top, value, color=page.GREY, fontsize=7.5, ha='right', va='top')


def _draw_points(axes: Axes, plot: LinePlot, y: NDArray[np.float64]) -> None:
    axes.errorbar(plot.x, y, plot.errors, fmt='o', color=_POINT, ms=4, elinewidth=0.8, capsize=2, zorder=2)


def _label(upper: Axes, lower: Axes, plot: LinePlot) -> None:
    upper.set(xlim=plot.span, xticklabels=[])
    lower.set(xlim=plot.span)
    upper.set_ylabel(plot.y_label, parse_math=False)
    lower.set_ylabel('residual')
    lower.set_xlabel(plot.x_label, parse_math=False)
    lower.margins(y=0.25)
    for axes in (upper, lower):
        axes.spines[['top', 'right']].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(5 if axes is upper else 3, steps=[1, 2, 5, 10]))
