"""The picture of one image: the pixels, the sums of its columns and rows beside them, a colour bar.

Axes count as FITS does: the first pixel is 1, y goes up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fitsutils.plots import page, painting, ticks
from fitsutils.plots.frame import Frame, Geometry, Style, geometry, interpolation, reduced

_CHANNELS = ('#d03030', '#208a40', '#2f60d0')
_LINE = '#303030'
_TIMES = '\N{MULTIPLICATION SIGN}'

# Points (1/72 inch).
_PANEL = 66  # thickness of the panels with the sums
_GAP = 6
_BAR = 8
_DIGIT = 5.2  # width of a digit in the tick labels
_NARROWEST = 260  # a page, so that its title can be read


@dataclass
class Drawn:
    """A picture that can be given another image of the same size.

    Attributes
    ----------
    figure : Figure
        The figure.
    axes : Axes
        Those of the image.
    pixels : ndarray
        Shape (k, rows, columns), what is shown; the value under the cursor is taken from it.
    extent : tuple of float
        Left, right, lower and upper end of the image, in pixel coordinates.
    aspect : float
        Height of a pixel in units of its width.
    """

    figure: Figure
    axes: Axes
    pixels: NDArray[np.float64]
    extent: tuple[float, float, float, float]
    aspect: float
    _shape: Geometry
    _style: Style
    _table: NDArray[np.uint8]
    _image: AxesImage
    _title: Text
    _room: float
    _steps: list[tuple[StepPatch, StepPatch]] = field(default_factory=list)

    def show(self, frame: Frame) -> None:
        """Show another image in the same place; limits of the sums stay.

        Parameters
        ----------
        frame : Frame
            Of the size of the first one.
        """
        self.pixels = reduced(frame.planes, self._shape)
        self._image.set_data(painting.paint(self.pixels, frame.limits, self._style.stretch, self._table))
        self._title.set_text(frame.label)
        page.fit(self._title, self._room)
        for plane, steps in zip(frame.planes, self._steps, strict=False):
            for values, patch in zip(painting.marginal_sums(plane), steps, strict=True):
                patch.set_data(values)


def draw(figure: Figure, frame: Frame, style: Style, range_of: Sequence[Frame] = ()) -> Drawn:
    """Draw an image into a figure.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    frame : Frame
        The image.
    style : Style
        How it is shown.
    range_of : sequence of Frame
        Other images that will be shown in its place: the axes of the sums have room for theirs too.

    Returns
    -------
    Drawn
        The picture.

    Raises
    ------
    PictureError
        When the picture would be too large.
    ValueError
        When there is no such colour map.
    """
    with page.look():
        return _Picture(figure, frame, style, range_of).drawn


class _Picture:
    """The parts of a picture on their way to their places."""

    def __init__(self, figure: Figure, frame: Frame, style: Style, range_of: Sequence[Frame]) -> None:
        self.frame, self.style, self.moves = frame, style, len(range_of) > 0
        self.shape = geometry(*frame.planes.shape[1:], style.size, style.y_stretch)
        self.table = painting.colour_table(style.colours)
        self.pixels = reduced(frame.planes, self.shape)
        self.colours = painting.paint(self.pixels, frame.limits, style.stretch, self.table)
        self.sums = [painting.marginal_sums(plane) for plane in frame.planes] if style.marginals else []
        others = [painting.marginal_sums(plane) for each in range_of for plane in each.planes if style.marginals]
        pairs = [*self.sums, *others]
        self.scales = [ticks.sum_axis([pair[axis] for pair in pairs], 3 - axis) for axis in (0, 1) if pairs]
        self._lay_out(figure)
        image = self._draw_image()
        steps = self._draw_sums() if self.sums else []
        if self.has_bar:
            self._draw_bar()
        title = self._draw_texts()
        across = self.shape.width / (self.extent[1] - self.extent[0])
        aspect = self.shape.height / (self.extent[3] - self.extent[2]) / across
        self.drawn = Drawn(figure, self.axes, self.pixels, self.extent, aspect, self.shape, style, self.table,
                           image, title, self.right - self.left, steps)  # fmt: skip

    def _points(self, length: float) -> int:
        return round(length * self.style.dpi / 72)

    def _lay_out(self, figure: Figure) -> None:
        """Fix the page's size and where the image's lower left corner lies on it."""
        points, shape = self._points, self.shape
        self.has_bar = len(self.frame.planes) == 1
        self.flat_bar = shape.width > 2 * shape.height
        self.bar = self._bar_ticks() if self.has_bar else []
        y_digits = len(str(self.frame.origin[1] + self.frame.planes.shape[1]))
        characters = max(y_digits, page.longest(self.scales[0].labels) if self.sums else 0)
        self.left = points(26 + _DIGIT * characters)
        unit = 13 if self.frame.unit else 0
        self.bar_bottom = points(16 + unit)
        self.bottom = points(34 + (30 + unit if self.has_bar and self.flat_bar else 0))
        panel = points(_PANEL + _GAP) if self.sums else 0
        self.bar_left = self.left + shape.width + panel + points(14 if self.sums else 8)
        right = points(14)
        if self.has_bar and not self.flat_bar:
            right = points(14 + _BAR + 8 + unit + _DIGIT * page.longest([text for _, text in self.bar]))
        width = max(self.left + shape.width + panel + right, points(_NARROWEST))
        self.right = width - points(8)
        self.top = self.bottom + shape.height + panel
        height = self.top + points(16 + (20 if self.frame.label else 0))
        self.page = page.Page(figure, width, height, self.style.dpi)

    def _bar_ticks(self) -> list[tuple[float, str]]:
        length = self.shape.width if self.flat_bar else self.shape.height
        room = length / self._points(50 if self.flat_bar else 30)
        return ticks.bar_ticks(self.frame.limits[0], self.style.stretch, min(7, max(2, int(room))))

    def _draw_image(self) -> AxesImage:
        shape, points = self.shape, self._points
        axes = self.axes = self.page.axes(self.left, self.bottom, shape.width, shape.height)
        x, y = self.frame.origin
        right = x - 0.5 + self.colours.shape[1] * shape.columns
        top = y - 0.5 + self.colours.shape[0] * shape.rows
        self.extent = (x - 0.5, right, y - 0.5, top)
        image = axes.imshow(self.colours, origin='lower', extent=self.extent, aspect='auto',
                            interpolation=interpolation(self.colours, shape))  # fmt: skip
        self._count_pixels(axes.xaxis)
        self._count_pixels(axes.yaxis)
        axes.set_xlabel('x (pixels)')
        axes.set_ylabel('y (pixels)' if shape.height > points(50) else 'y')
        return image

    def _count_pixels(self, axis: Axis) -> None:
        """Ticks at whole numbers; at the first pixel only where there is no room for more."""
        place = 0 if axis.axis_name == 'x' else 1
        number = (self.shape.width, self.shape.height)[place] // self._points((50, 22)[place])
        if number:
            axis.set_major_locator(MaxNLocator(min(8, number), integer=True, steps=ticks.STEPS))
        else:
            axis.set_major_locator(FixedLocator([self.frame.origin[place]]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:.0f}' if value == int(value) else ''))

    def _draw_sums(self) -> list[tuple[StepPatch, StepPatch]]:
        shape, gap, panel = self.shape, self._points(_GAP), self._points(_PANEL)
        above = self.page.axes(self.left, self.bottom + shape.height + gap, shape.width, panel)
        beside = self.page.axes(self.left + shape.width + gap, self.bottom, panel, shape.height)
        steps = []
        for number, (columns, rows) in enumerate(self.sums):
            colour = _CHANNELS[number] if len(self.sums) > 1 else _LINE
            steps.append((
                _add_steps(above, columns, self.frame.origin[0], colour, 'vertical'),
                _add_steps(beside, rows, self.frame.origin[1], colour, 'horizontal'),
            ))  # fmt: skip
        above.set(xlim=self.extent[:2], ylim=(self.scales[0].low, self.scales[0].high))
        beside.set(ylim=self.extent[2:], xlim=(self.scales[1].low, self.scales[1].high))
        self._count_pixels(above.xaxis)
        self._count_pixels(beside.yaxis)
        above.tick_params(axis='x', labelbottom=False)
        beside.tick_params(axis='y', labelleft=False)
        above.set_yticks(self.scales[0].ticks, self.scales[0].labels, fontsize=7)
        beside.set_xticks(self.scales[1].ticks, self.scales[1].labels, fontsize=7)
        beside.xaxis.tick_top()  # below they would run into the image's
        for value, label in zip(self.scales[1].ticks, beside.get_xticklabels(), strict=True):
            if self._is_near_the_left(value):
                label.set_horizontalalignment('left')
        above.spines[['top', 'right']].set_visible(False)
        beside.spines[['bottom', 'right']].set_visible(False)
        self._follow(above, beside)
        return steps

    def _is_near_the_left(self, value: float) -> bool:
        """Whether a label of the row sums, put in the middle of its tick, would run into the column sums."""
        scale = self.scales[1]
        return value - scale.low < 0.12 * (scale.high - scale.low)

    def _follow(self, above: Axes, beside: Axes) -> None:
        """In a window the sums go with the image when it is zoomed."""
        self.axes.callbacks.connect('xlim_changed', lambda axes: above.set_xlim(axes.get_xlim()))
        self.axes.callbacks.connect('ylim_changed', lambda axes: beside.set_ylim(axes.get_ylim()))

    def _draw_bar(self) -> None:
        thickness = self._points(_BAR)
        ramp = self.table[:-1][:, None]
        places, labels = [place for place, _ in self.bar], [text for _, text in self.bar]
        if self.flat_bar:
            axes = self.page.axes(self.left, self.bar_bottom, self.shape.width, thickness)
            axes.imshow(ramp.swapaxes(0, 1), origin='lower', extent=(0, 1, 0, 1), aspect='auto')
            axes.set_xticks(places, labels)
            axes.set_yticks([])
            axes.set_xlabel(self.frame.unit, labelpad=1, parse_math=False)
            return
        axes = self.page.axes(self.bar_left, self.bottom, thickness, self.shape.height)
        axes.imshow(ramp, origin='lower', extent=(0, 1, 0, 1), aspect='auto')
        axes.yaxis.tick_right()
        axes.set_yticks(places, labels)
        axes.set_xticks([])
        axes.yaxis.set_label_position('right')
        axes.set_ylabel(self.frame.unit, parse_math=False)

    def _draw_texts(self) -> Text:
        points = self._points
        title = self.page.text(self.left, self.page.height - points(8), self.frame.label, fontsize=10.5, va='top')
        page.fit(title, self.right - self.left)
        if self.sums:
            self._draw_small_texts()
        else:
            note = self._small(self.left, self.top, ' · '.join(self._notes()))
            page.fit(note, self.right - self.left)
        return title

    def _draw_small_texts(self) -> None:
        beside = self.left + self.shape.width + self._points(_GAP)
        self._small(self.left, self.top, f'column sums{self.scales[0].suffix}', parse_math=True)
        above_rows = self.bottom + self.shape.height + self._points(12)
        self._small(beside, above_rows, f'row sums{self.scales[1].suffix}', parse_math=True)
        beside = max(beside, self.left + self._points(80))
        for number, line in enumerate(self._notes()):
            page.fit(self._small(beside, self.top - self._points(8.8 * number), line), self.right - beside)

    def _small(self, x: float, y: float, text: str, **properties: Any) -> Text:
        return self.page.text(x, y + self._points(4), text, fontsize=7, color=page.GREY, **properties)

    def _notes(self) -> list[str]:
        """What the reader of the picture must know: size, limits, stretch, averaging, bad pixels."""
        ny, nx = self.frame.planes.shape[1:]
        notes = [f'{nx} {_TIMES} {ny} pixels', ', '.join(filter(None, [self.style.note, self.style.stretch]))]
        for name, pair in zip('RGB' if len(self.frame.planes) > 1 else [''], self.frame.limits, strict=True):
            notes.append(f'{name} {ticks.range_text(pair)}'.strip())
        if self.shape.rows * self.shape.columns > 1:
            notes.append(f'means of {self.shape.columns} {_TIMES} {self.shape.rows}')
        bad = int((~np.isfinite(self.frame.planes).all(axis=0)).sum()) if self.frame.planes.dtype.kind == 'f' else 0
        return notes + ([f'{bad} bad'] if bad and not self.moves else [])


def _add_steps(axes: Axes, values: NDArray[np.float64], first: int, colour: str, orientation: str) -> StepPatch:
    edges = first - 0.5 + np.arange(len(values) + 1)
    steps = StepPatch(
        values, edges, orientation=orientation, baseline=None, fill=False, edgecolor=colour, linewidth=0.7
    )
    axes.add_artist(steps)  # axes.stairs would look at each step for the limits, which are known
    return steps
