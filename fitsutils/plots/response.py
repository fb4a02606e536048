"""What was made of a long-slit flat: the lamp's spectrum and its fit, the residual, the light along the slit."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fitsutils.plots import page

KINDS = ('.png', '.pdf')
_WIDTH, _DPI = 1000, 100.0  # pixels; pixels per inch
_STEEP = 20  # a spectrum that varies by more is drawn on a logarithmic axis
_OUTER = 0.002  # share of the residuals at either end that may lie beyond the axis
_DATA, _FIT, _CLIPPED, _LIT = '#35506e', '#e08214', '#c03030', '#e4ecd4'


@dataclass(frozen=True)
class Curves:
    """What there is to see.

    Attributes
    ----------
    title, note : str
        What stands above: the file, and how the fit was made.
    along, across : str
        Names of the axis of the spectrum and of that of the slit, such as 'x' and 'y'.
    data, fit : ndarray
        Shape (n,): the lamp's spectrum and its fit; NaN where there is none.
    used : ndarray of bool
        Shape (n,): the points that the fit goes by.
    profile : ndarray
        Shape (rows,): the light along the slit; NaN where it is not known.
    lit : ndarray of bool
        Shape (rows,): the rows that count as lit.
    least : float or None
        The least light of a lit row; None where the rows were given.
    """

    title: str
    note: str
    along: str
    across: str
    data: NDArray[np.float64]
    fit: NDArray[np.float64]
    used: NDArray[np.bool_]
    profile: NDArray[np.float64]
    lit: NDArray[np.bool_]
    least: float | None


def picture(curves: Curves, kind: str) -> bytes:
    """The file of a picture of three panels.

    Parameters
    ----------
    curves : Curves
        What there is to see.
    kind : {'png', 'pdf'}
        Form of the file.

    Returns
    -------
    bytes
        The same for equal curves.
    """
    figure = page.new_figure()
    draw(figure, curves)
    return page.encode(figure, kind)


def draw(figure: Figure, curves: Curves) -> list[Axes]:
    """Draw spectrum, residual and slit, one below the other.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    curves : Curves
        What there is to see.

    Returns
    -------
    list of Axes
        The three panels, from the top.
    """
    with page.look():
        sheet = page.Page(figure, _WIDTH, 920, _DPI)
        left, width = 80, _WIDTH - 80 - 30
        panels = [sheet.axes(left, bottom, width, height) for bottom, height in ((540, 320), (330, 190), (60, 200))]
        page.fit(sheet.text(left, 895, curves.title, fontsize=10.5), width)
        page.fit(sheet.text(left, 872, curves.note, color=page.GREY), width)
        _draw_spectrum(panels[0], curves)
        _draw_residual(panels[1], curves)
        _draw_slit(panels[2], curves)
        for axes in panels:
            axes.spines[['top', 'right']].set_visible(False)
    return panels


def _pixels(values: NDArray) -> NDArray[np.integer]:
    """Pixels count from 1."""
    return np.arange(1, len(values) + 1)


def _draw_spectrum(axes: Axes, curves: Curves) -> None:
    x, out = _pixels(curves.data), ~curves.used & np.isfinite(curves.data)
    axes.plot(x, curves.data, color=_DATA, lw=0.9, label='lamp, mean of the lit rows')
    axes.plot(x, curves.fit, color=_FIT, lw=1.1, label='fit')
    if out.any():
        axes.plot(x[out], curves.data[out], 'x', color=_CLIPPED, ms=4, label=f'left out: {out.sum()}')
    good = curves.data[curves.used & (curves.data > 0)]
    if good.size and good.max() > _STEEP * good.min():
        axes.set(yscale='log', ylim=(good.min() / 1.5, good.max() * 1.5))
    axes.set(xlim=(0.5, len(x) + 0.5), ylabel='spectrum')
    axes.tick_params(labelbottom=False)
    axes.legend(frameon=False)


def _draw_residual(axes: Axes, curves: Curves) -> None:
    x, percent = _pixels(curves.data), 100 * (curves.data / curves.fit - 1)
    out = ~curves.used
    axes.axhline(0, color=_FIT, lw=0.8)
    axes.plot(x, np.where(out, np.nan, percent), color=_DATA, lw=0.7)
    low, high = np.quantile(percent[curves.used], [_OUTER, 1 - _OUTER])
    margin = 0.25 * (high - low) or 1.0
    low, high = low - margin, high + margin
    # What lies beyond the axis is marked at its end.
    axes.plot(x[out], np.clip(percent[out], low, high), 'x', color=_CLIPPED, ms=4, clip_on=False)
    axes.set(xlim=(0.5, len(x) + 0.5), ylim=(low, high), xlabel=f'{curves.along} (pixels)', ylabel='residual (%)')


def _draw_slit(axes: Axes, curves: Curves) -> None:
    y = _pixels(curves.profile)
    for first, last in _runs(curves.lit):
        axes.axvspan(first + 0.5, last + 0.5, color=_LIT, lw=0)
    if curves.least is not None:
        axes.axhline(curves.least, color=_FIT, lw=0.8, ls='--')
    axes.plot(y, curves.profile, color=_DATA, lw=0.9, drawstyle='steps-mid')
    axes.set(xlim=(0.5, len(y) + 0.5), xlabel=f'{curves.across} (pixels)', ylabel='light along the slit')
    middle = np.flatnonzero(curves.lit).mean() + 1
    axes.text(middle, 0.08, f'lit: {curves.lit.sum()} of {len(y)}', transform=axes.get_xaxis_transform(), ha='center')


def _runs(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last place, this one excluded, of each run of marks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
