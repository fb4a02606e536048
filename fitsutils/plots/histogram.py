"""The histogram of an image's pixel values."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fitsutils.plots import page, ticks
from fitsutils.plots.frame import Frame, Style
from fitsutils.plots.limits import Limits

_BINS = 200
_CHUNK = 1 << 22
_LARGEST = 1e304  # that can be added a few hundred times
_NONE = 1e-9  # where a logarithmic axis begins to show a bin without pixels
_FILL, _EDGE, _MARK = '#b8c4d4', '#35506e', '#c03030'


def spacing(limits: Limits, *, whole: bool) -> tuple[float, float, float]:
    """Bins for the values between two limits.

    Parameters
    ----------
    limits : (float, float)
        The lowest and the highest value wanted.
    whole : bool
        The values are integers: a bin then holds the same number of them
        everywhere, or the histogram would show a comb that is not in the data.

    Returns
    -------
    low : float
        First edge.
    high : float
        Last edge.
    step : float
        Width of a bin.

    Examples
    --------
    >>> spacing((10, 19), whole=True)
    (9.5, 19.5, 1.0)
    >>> spacing((0, 50), whole=False)
    (0.0, 50.0, 0.25)
    """
    low, high = map(float, limits)
    if not whole or not high - low < 2**52:
        return low, high, high / _BINS - low / _BINS
    low, high = np.floor(low), np.ceil(high)
    step = np.ceil((high - low + 1) / _BINS)
    return float(low - 0.5), float(low - 0.5 + step * np.ceil((high - low + 1) / step)), float(step)


def around(limits: Limits, good: NDArray) -> Limits:
    """The values that a histogram covers: those between the limits and half as much on either side.

    Parameters
    ----------
    limits : (float, float)
        The display limits.
    good : ndarray
        Shape (n,), the good pixels: where they end the histogram ends.

    Returns
    -------
    low : float
        In the unit of the pixels.
    high : float
        More than `low`.

    Examples
    --------
    >>> around((10.0, 20.0), np.array([8.0, 12.0, 400.0]))
    (8.0, 25.0)
    """
    low, high = limits
    if not good.size:
        return limits
    wide = max(1.5 * low - 0.5 * high, float(good.min())), min(1.5 * high - 0.5 * low, float(good.max()))
    return wide if wide[0] < wide[1] < np.inf else limits


def draw(figure: Figure, frame: Frame, statistics: Mapping[str, float], style: Style) -> None:
    """Draw the histogram of an image, with a logarithmic axis of counts, into a figure.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    frame : Frame
        The image, of any shape; NaN and infinite pixels are left out.
    statistics : mapping
        Names and numbers that are written beside it.
    style : Style
        Its `size` is the width of the plot; `note` says how the limits were found.

    Raises
    ------
    PictureError
        When the values are too large to be drawn.
    """
    good = frame.planes[np.isfinite(frame.planes)] if frame.planes.dtype.kind == 'f' else frame.planes.ravel()
    low, high, step = spacing(around(frame.limits[0], good), whole=_is_whole(good))
    edges = low + step * np.arange(round(high / step - low / step) + 1)
    if not np.abs(edges).max() < _LARGEST:
        raise page.PictureError('the pixel values are too large for a histogram')
    counts = np.histogram(good, edges)[0]
    notes = {name: f'{value:.6g}' if abs(value) < 1e9 else f'{value:.3g}' for name, value in statistics.items()} | {
        'outside': f'{good.size - counts.sum()}'
    }
    with page.look():
        _draw(figure, edges, counts, notes, frame, style)


def _is_whole(good: NDArray) -> bool:
    """Whether the pixels are integers, in whatever type."""
    return good.dtype.kind != 'f' or not any(
        (good[start : start + _CHUNK] % 1).any() for start in range(0, good.size, _CHUNK)
    )


def _draw(
    figure: Figure,
    edges: NDArray[np.float64],
    counts: NDArray[np.integer],
    notes: Mapping[str, str],
    frame: Frame,
    style: Style,
) -> None:
    def points(length: float) -> int:
        return round(length * style.dpi / 72)

    width, height, left, bottom, side = style.size, round(0.6 * style.size), points(44), points(36), points(96)
    sheet = page.Page(figure, left + width + side, bottom + height + points(32), style.dpi)
    axes = sheet.axes(left, bottom, width, height)
    axes.stairs(np.maximum(counts, _NONE), edges, baseline=_NONE, fill=True, color=_FILL)
    axes.stairs(np.maximum(counts, _NONE), edges, baseline=_NONE, color=_EDGE, lw=0.7)
    axes.set(xlim=(edges[0], edges[-1]), yscale='log', ylim=(0.7, max(20, 1.6 * counts.max())))
    for mark in frame.limits[0]:
        if edges[0] < mark < edges[-1]:
            axes.axvline(mark, color=_MARK, lw=0.8, ls='--')
    _label(axes, edges, frame.unit, width / points(60))
    title = sheet.text(left, sheet.height - points(8), frame.label, fontsize=10.5, va='top')
    page.fit(title, sheet.width - left - points(8))
    first, last, top = left + width + points(8), sheet.width - points(8), bottom + height - points(6)
    for number, (name, value) in enumerate(notes.items()):
        sheet.text(first, top - points(10 * number), name, color=page.GREY, fontsize=7)
        sheet.text(last, top - points(10 * number), value, color=page.GREY, fontsize=7, ha='right')
    for number, line in enumerate((style.note, ticks.range_text(frame.limits[0])), len(notes) + 1):
        page.fit(sheet.text(first, top - points(10 * number), line, color=_MARK, fontsize=7), last - first)


def _label(axes: Axes, edges: NDArray[np.float64], unit: str, room: float) -> None:
    values = MaxNLocator(min(8, max(2, int(room))), steps=[1, 2, 5, 10]).tick_values(edges[0], edges[-1])
    values = values[(values >= edges[0]) & (values <= edges[-1])]
    axes.set_xticks(values, ticks.written(values))
    axes.set_xlabel('pixel value' + (f' ({unit})' if unit else ''), parse_math=False)
    axes.set_ylabel(f'pixels in bins of {edges[1] - edges[0]:.4g}')
    axes.spines[['top', 'right']].set_visible(False)
