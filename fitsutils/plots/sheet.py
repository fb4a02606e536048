"""A contact sheet: many small pictures with their names in one figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from fitsutils.plots import page, painting
from fitsutils.plots.frame import Frame, Geometry, Style, geometry, interpolation, reduced

MOST = 1000  # panels of one sheet
_WANTED = 4 / 3  # width of a sheet in units of its height

# Points (1/72 inch).
_GAP = 6
_LABEL = 11
_MARGIN = 8
_TITLE = 22


@dataclass(frozen=True)
class Panel:
    """One small picture, already in colours: the image itself need not stay in memory.

    Attributes
    ----------
    colours : ndarray of uint8
        Shape (rows, columns, 3), the lowest row first.
    shape : Geometry
        Its size on the sheet.
    label : str
        What stands below it.
    """

    colours: NDArray[np.uint8]
    shape: Geometry
    label: str


def panel(frame: Frame, style: Style, label: str | None = None) -> Panel:
    """Make a small picture of an image.

    Parameters
    ----------
    frame : Frame
        The image.
    style : Style
        How it is shown; `size` is that of the panel.
    label : str, optional
        What stands below it; default: the frame's own.

    Returns
    -------
    Panel
        The picture.

    Raises
    ------
    ValueError
        When there is no such colour map.
    """
    shape = geometry(*frame.planes.shape[1:], style.size, style.y_stretch)
    table = painting.colour_table(style.colours)
    colours = painting.paint(reduced(frame.planes, shape), frame.limits, style.stretch, table)
    return Panel(colours, shape, frame.label if label is None else label)


def best_columns(number: int, width: float, height: float) -> int:
    """The number of columns that brings a sheet close to 4 : 3.

    Parameters
    ----------
    number : int
        How many panels there are.
    width, height : float
        Size of one.

    Returns
    -------
    int
        1 to `number`.

    Examples
    --------
    >>> best_columns(12, 300, 300), best_columns(3, 300, 20)
    (4, 1)
    """

    def off(columns: int) -> float:
        return abs(math.log(columns * width / (math.ceil(number / columns) * height) / _WANTED))

    return min(range(1, number + 1), key=off)


def draw(
    figure: Figure, panels: Sequence[Panel], *, columns: int | None = None, title: str = '', dpi: float = 150.0
) -> None:
    """Draw a contact sheet into a figure, row by row from the top left.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    panels : sequence of Panel
        At least one.
    columns : int, optional
        Panels side by side; default: `best_columns`.
    title : str
        What stands above all.
    dpi : float
        Pixels per inch: the size of the texts.

    Raises
    ------
    PictureError
        When there are too many panels, or the sheet would be too large.
    """
    if len(panels) > MOST:
        raise page.PictureError(f'a sheet holds at most {MOST} pictures, and these are {len(panels)}')

    def points(length: float) -> int:
        return round(length * dpi / 72)

    width = max(each.shape.width for each in panels)
    across, below = width + points(_GAP), points(_LABEL + _GAP)
    tallest = max(each.shape.height for each in panels) + below
    columns = min(columns or best_columns(len(panels), across, tallest), len(panels))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(each.shape.height for each in row) for row in rows]
    margin, head = points(_MARGIN), points(_TITLE) if title else 0
    height = sum(heights) + len(rows) * below + 2 * margin + head
    with page.look():
        sheet = page.Page(figure, columns * across - points(_GAP) + 2 * margin, height, dpi)
        if title:
            heading = sheet.text(margin, sheet.height - margin, title, fontsize=10.5, va='top')
            page.fit(heading, sheet.width - 2 * margin)
        # One system of axes for all: its own for each panel would take most of the time.
        axes = sheet.axes(0, 0, sheet.width, sheet.height)
        axes.set(xlim=(0, sheet.width), ylim=(0, sheet.height))
        axes.set_axis_off()
        bottom = sheet.height - margin - head
        for row, tall in zip(rows, heights, strict=True):
            bottom -= tall
            for column, each in enumerate(row):
                left = margin + column * across
                _draw_panel(axes, each, left + (width - each.shape.width) // 2, bottom)
                label = sheet.text(
                    left + width / 2, bottom - points(2), each.label, fontsize=7.5, ha='center', va='top'
                )
                page.fit(label, width)
            bottom -= below


def _draw_panel(axes: Axes, panel: Panel, left: int, bottom: int) -> None:
    shape = panel.shape
    extent = (left, left + shape.width, bottom, bottom + shape.height)
    picture = AxesImage(axes, extent=extent, origin='lower', interpolation=interpolation(panel.colours, shape))
    picture.set_data(panel.colours)
    axes.add_image(picture)
    axes.add_artist(
        Rectangle((left, bottom), shape.width, shape.height, fill=False, edgecolor='#b0b0b0', linewidth=0.6)
    )
