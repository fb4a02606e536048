"""Columns of a table against each other: a scatter plot of two, or a matrix of all pairs."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, Formatter, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fitsutils.plots import page, ticks

MOST = 20  # columns of a matrix
_POINT, _FILL, _ODD = '#35506e', '#b8c4d4', '#c03030'
_WIDTH, _HEIGHT, _DPI = 640, 440, 120.0  # pixels of the axes of a pair; pixels per inch
_SHEET = 1500  # pixels: about the width of a matrix
_PANELS = 100, 260  # pixels: the smallest and the largest
_LARGEST = 1e300
_MARGIN = 0.05  # of the range, beyond the points
_ODD_BEYOND = 5.0  # robust sigma
_MOST_NAMED = 8  # points that stand out: of more than that none does
_LONGEST_WORD = 24  # characters at an axis
_MOST_WORDS = 12  # along an axis
_BINS = 24
_LETTER = 4.8  # points: about the width of one


class _Plain(Formatter):
    """Numbers written out in full: none is to be added to others that stand elsewhere."""

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return ticks.written(np.asarray(values, 'f8'))

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f'{x:g}'


@dataclass(frozen=True)
class Column:
    """A column that has a place along an axis.

    Attributes
    ----------
    name : str
        Its name.
    places : ndarray of float64
        Shape (n,): numbers, or days since 1970, or numbers of words; NaN where there is no value.
    kind : {'number', 'date', 'word'}
        What they stand for.
    words : tuple of str
        The words that are numbered, from 0.
    """

    name: str
    places: NDArray[np.float64]
    kind: str = 'number'
    words: tuple[str, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether there are two values that differ."""
        good = self.places[np.isfinite(self.places)]
        return good.size > 1 and bool(good.min() < good.max())


def column(name: str, cells: Sequence[float | str | datetime.datetime | None]) -> Column:
    """A column of cells of one type.

    Parameters
    ----------
    name : str
        Its name.
    cells : sequence of number, datetime or str
        All of one type; None, NaN and infinite numbers are missing. Words are numbered in their order.

    Returns
    -------
    Column
        The column.

    Examples
    --------
    >>> column('FILTER', ['B', 'V', None, 'B']).places
    array([ 0.,  1., nan,  0.])
    """
    there = [cell for cell in cells if cell is not None]
    if any(isinstance(cell, str) for cell in there):
        words = tuple(dict.fromkeys(map(str, there)))
        return Column(
            name, _numbers([cell if cell is None else words.index(str(cell)) for cell in cells]), 'word', words
        )
    if any(isinstance(cell, datetime.datetime) for cell in there):
        return Column(name, _numbers([cell if cell is None else dates.date2num(cell) for cell in cells]), 'date')
    return Column(name, _numbers(cells))


def _numbers(cells: Sequence[float | None]) -> NDArray[np.float64]:
    places = np.array([np.nan if cell is None else float(cell) for cell in cells])
    return np.where(np.isfinite(places), places, np.nan)


def picture(columns: Sequence[Column], kind: str, names: Sequence[str] = (), title: str = '') -> bytes:
    """The file of a scatter plot: of two columns, or of a matrix of more.

    Parameters
    ----------
    columns : sequence of Column
        Two or more, equally long.
    kind : {'png', 'pdf'}
        Form of the file.
    names : sequence of str
        Names of the rows, for those points of a pair that stand out; none are named where it is empty.
    title : str
        Printable text.

    Returns
    -------
    bytes
        The same for equal columns.

    Raises
    ------
    PictureError
        When there is no row with both values, when there are too many columns, or when values are too large.
    """
    figure = page.new_figure()
    if len(columns) == 2:
        draw_pair(figure, columns[0], columns[1], names, title)
    else:
        draw_matrix(figure, columns, title)
    return page.encode(figure, kind)


def draw_pair(figure: Figure, x: Column, y: Column, names: Sequence[str] = (), title: str = '') -> None:
    """Draw one column against another.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    x, y : Column
        Equally long.
    names : sequence of str
        As in `picture`.
    title : str
        Printable text.

    Raises
    ------
    PictureError
        As in `picture`.
    """
    _check([x, y])
    upright = x.kind == 'word' and _LETTER * min(_MOST_WORDS, len(x.words)) * _longest(x) > 72 * _WIDTH / _DPI
    left = _points(24 + _LETTER * _longest(y)) if y.kind == 'word' else _points(52)
    bottom = _points(24 + _LETTER * _longest(x)) if upright else _points(36)
    with page.look():
        sheet = page.Page(figure, left + _WIDTH + _points(14), bottom + _HEIGHT + _points(30), _DPI)
        axes = sheet.axes(left, bottom, _WIDTH, _HEIGHT)
        _scatter(axes, x, y, size=16)
        _scale(axes.xaxis, x, 7)
        _scale(axes.yaxis, y, 7)
        if upright:
            axes.tick_params(axis='x', labelrotation=90)
        for row in standing_out(x, y) if names else ():
            axes.scatter(x.places[row], y.places[row], s=18, color=_ODD, lw=0, zorder=3)
            _name(axes, x, y, row, names[row])
        _put_title(sheet, _with_missing(title, [x, y]), left)


def _with_missing(title: str, columns: Sequence[Column]) -> str:
    """The title, and how many rows are not shown."""
    gone = int((~np.isfinite([each.places for each in columns])).any(axis=0).sum())
    return f'{title}, {gone} without both values' if gone else title


def _name(axes: Axes, x: Column, y: Column, row: int, name: str) -> None:
    """Write the name of a point beside it, on the side where there is room."""
    low, high = axes.get_xlim()
    right = x.places[row] > 0.6 * high + 0.4 * low
    axes.annotate(
        name, (x.places[row], y.places[row]), xytext=(-5 if right else 5, 3), textcoords='offset points',
        ha='right' if right else 'left', fontsize=6.5, color=_ODD, parse_math=False,
    )  # fmt: skip


def standing_out(x: Column, y: Column) -> list[int]:
    """The rows that lie far from the others, where these are few.

    Parameters
    ----------
    x, y : Column
        Equally long.

    Returns
    -------
    list of int
        Rows more than 5 times 1.4826 MAD from the median of either column of numbers; none where there are more than 8.

    Examples
    --------
    >>> level = column('median', [100, 101, 99, 100, 180, 102])
    >>> standing_out(column('EXPTIME', [1] * 6), level)
    [4]
    """
    both = np.isfinite(x.places) & np.isfinite(y.places)
    far = np.zeros(both.shape, bool)
    for each in (x, y):
        if each.kind == 'number' and both.any():
            away = np.abs(each.places - np.median(each.places[both]))
            spread = 1.4826 * np.median(away[both])
            far |= both & (away > _ODD_BEYOND * spread) & (spread > 0)
    rows = np.flatnonzero(far).tolist()
    return rows if len(rows) <= _MOST_NAMED else []


def draw_matrix(figure: Figure, columns: Sequence[Column], title: str = '') -> None:
    """Draw every column against every other one, and their histograms on the diagonal.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    columns : sequence of Column
        Equally long.
    title : str
        Printable text.

    Raises
    ------
    PictureError
        As in `picture`.
    """
    if len(columns) > MOST:
        raise page.PictureError(f'a matrix of {len(columns)} columns is too large: at most {MOST}')
    _check(columns)
    number = len(columns)
    side = min(max(_SHEET // number, _PANELS[0]), _PANELS[1])
    gap, room = _points(5), max(40, _LETTER * max(map(_longest, columns)))
    left, bottom = _points(room + 26), _points(room + 20)
    whole = number * side + (number - 1) * gap
    with page.look():
        sheet = page.Page(figure, left + whole + _points(14), bottom + whole + _points(30), _DPI)
        for row, y in enumerate(columns):
            for place, x in enumerate(columns):
                low = bottom + (number - 1 - row) * (side + gap)
                axes = sheet.axes(left + place * (side + gap), low, side, side)
                _draw_panel(axes, x, y, max(2, side // 70))
                axes.tick_params(labelbottom=row == number - 1, labelleft=place == 0)
                axes.yaxis.get_offset_text().set_visible(False)
                axes.xaxis.label.set_visible(row == number - 1)
                axes.yaxis.label.set_visible(place == 0)
                # Names stand in one line, whatever numbers stand between them and the axes.
                axes.xaxis.set_label_coords(0.5, -_points(room + 2) / side)
                axes.yaxis.set_label_coords(-_points(room + 6) / side, 0.5)
        _put_title(sheet, title, left)


def _draw_panel(axes: Axes, x: Column, y: Column, number: int) -> None:
    if x is y:
        _draw_counts(axes, x)
    else:
        _scatter(axes, x, y, size=9)
    _scale(axes.xaxis, x, number)
    _scale(axes.yaxis, y, number)
    axes.tick_params(labelsize=6.5)
    axes.tick_params(axis='x', labelrotation=90)


def _draw_counts(axes: Axes, shown: Column) -> None:
    """A histogram, whose counts have an axis of their own that is not shown."""
    good = shown.places[np.isfinite(shown.places)]
    bins, ends = min(_BINS, max(5, round(2 * np.sqrt(good.size)))), (good.min(), good.max())
    if shown.kind == 'word':
        bins, ends = len(shown.words), (-0.5, len(shown.words) - 0.5)
    counts = axes.twinx()
    counts.hist(good, bins, range=ends if ends[0] < ends[1] else None, color=_FILL, ec=_POINT, lw=0.5)
    counts.yaxis.set_visible(False)


def _check(columns: Sequence[Column]) -> None:
    """Refuse what can't be drawn."""
    for each in columns:
        good = each.places[np.isfinite(each.places)]
        if not good.size:
            raise page.PictureError(f'no image has a value of {each.name}')
        if not np.abs(good).max() < _LARGEST:
            raise page.PictureError(f'the values of {each.name} are too large for a plot')
    if not np.isfinite([each.places for each in columns]).all(axis=0).any() and len(columns) == 2:
        raise page.PictureError(f'no image has both {columns[0].name} and {columns[1].name}')


def _points(length: float) -> int:
    return round(length * _DPI / 72)


def _longest(shown: Column) -> int:
    return min(_LONGEST_WORD, page.longest(shown.words))


def _put_title(sheet: page.Page, title: str, left: int) -> None:
    text = sheet.text(left, sheet.height - _points(8), title, fontsize=10.5, va='top')
    page.fit(text, sheet.width - left - _points(8))


def _scatter(axes: Axes, x: Column, y: Column, size: float) -> None:
    axes.scatter(x.places, y.places, s=size, color=_POINT, alpha=0.75, lw=0, zorder=2)
    axes.spines[['top', 'right']].set_visible(False)


def _scale(axis: Axis, shown: Column, number: int) -> None:
    """The ends of an axis, its numbers and its name."""
    low, high = _span(shown)
    (axis.axes.set_xlim if axis.axis_name == 'x' else axis.axes.set_ylim)(low, high)
    if shown.kind == 'date':
        locator = dates.AutoDateLocator(minticks=2, maxticks=max(number, 4))
        axis.set_major_locator(locator)
        axis.set_major_formatter(dates.ConciseDateFormatter(locator))
    elif shown.kind == 'word':
        axis.set_major_locator(FixedLocator(range(0, len(shown.words), -(-len(shown.words) // _MOST_WORDS))))
        axis.set_major_formatter(FuncFormatter(lambda place, _: _word(shown, place)))
    else:
        axis.set_major_locator(MaxNLocator(number, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(_Plain())
    axis.set_label_text(_label(shown), parse_math=False)


def _span(shown: Column) -> tuple[float, float]:
    if shown.kind == 'word':
        return -0.5, len(shown.words) - 0.5
    good = shown.places[np.isfinite(shown.places)]
    low, high = float(good.min()), float(good.max())
    room = _MARGIN * (high - low) or max(1e-3 * abs(low), 0.5 if shown.kind == 'number' else 1e-3)
    return low - room, high + room


def _word(shown: Column, place: float) -> str:
    number = round(place)
    if abs(place - number) > 1e-6 or not 0 <= number < len(shown.words):
        return ''
    word = shown.words[number].replace('$', r'\$')
    return word if len(word) <= _LONGEST_WORD else f'{word[: _LONGEST_WORD - 1]}…'


def _label(shown: Column) -> str:
    return f'{shown.name} (UTC)' if shown.kind == 'date' else shown.name
