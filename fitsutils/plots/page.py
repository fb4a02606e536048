"""A figure measured in pixels, and the bytes of its file.

All pictures have one look, whatever the user's matplotlibrc says, and equal
figures give equal bytes: no times and no versions are written into the files.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

_LARGEST = 30_000, 150_000_000  # pixels of a side, of a picture: 600 MB while it is drawn
_LONGEST_TEXT = 500
_SMALLEST_FONT = 6.5  # points
_METADATA = {'png': {'Software': None}, 'pdf': {'CreationDate': None, 'Producer': None, 'Creator': None}}
_LOOK = {
    'font.size': 8, 'axes.linewidth': 0.6, 'xtick.major.width': 0.6, 'ytick.major.width': 0.6,
    'xtick.major.size': 3, 'ytick.major.size': 3, 'axes.formatter.use_mathtext': True,
}  # fmt: skip
GREY = '#555555'


class PictureError(ValueError):
    """A picture that can't be made as it was asked for."""


@contextlib.contextmanager
def look() -> Iterator[None]:
    """One look for all figures made and written within this block.

    Yields
    ------
    None
        Nothing.
    """
    with matplotlib.style.context('default'), warnings.catch_warnings(), np.errstate(all='ignore'):
        matplotlib.rcParams.update(_LOOK)
        warnings.filterwarnings('ignore', message='Glyph')  # a title in a script that the font does not have
        yield


def new_figure() -> Figure:
    """A figure that needs no display.

    Returns
    -------
    Figure
        Empty.
    """
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure


class Page:
    """A figure whose parts are placed in pixels from its lower left corner.

    Parameters
    ----------
    figure : Figure
        An empty figure.
    width, height : int
        Its size in pixels.
    dpi : float
        Pixels per inch: the size of text and lines.

    Raises
    ------
    PictureError
        When the size is beyond what can be drawn.
    """

    def __init__(self, figure: Figure, width: int, height: int, dpi: float) -> None:
        if max(width, height) > _LARGEST[0] or width * height > _LARGEST[1]:
            raise PictureError(f'a picture of {width} x {height} pixels is too large; give a smaller --size')
        self.figure, self.width, self.height = figure, width, height
        figure.set_dpi(dpi)
        # A hair more than wanted: the canvas cuts its size down to whole pixels.
        figure.set_size_inches((width + 1e-3) / dpi, (height + 1e-3) / dpi)

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes in a box.

        Parameters
        ----------
        left, bottom, width, height : float
            Pixels.

        Returns
        -------
        Axes
            The axes.
        """
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(self, x: float, y: float, text: str, **properties: Any) -> Text:
        """A text taken as it is: dollar signs are dollar signs.

        Parameters
        ----------
        x, y : float
            Pixels.
        text : str
            Printable characters.
        **properties : Any
            Of matplotlib's `Text`.

        Returns
        -------
        Text
            The text.
        """
        return self.figure.text(x / self.width, y / self.height, text, **{'parse_math': False, **properties})


def fit(artist: Text, width: float) -> None:
    """Make a text fit into a width: a smaller font first, then an ellipsis in its middle.

    Parameters
    ----------
    artist : Text
        The text.
    width : float
        Pixels.
    """
    text = artist.get_text()
    if len(text) > _LONGEST_TEXT:
        text = _shortened(text, _LONGEST_TEXT)
        artist.set_text(text)
    full = artist.get_window_extent().width
    if full > width:
        artist.set_fontsize(max(_SMALLEST_FONT, artist.get_fontsize() * width / full))
    while len(text) > 3 and (full := artist.get_window_extent().width) > width:
        text = _shortened(text, min(len(text) - 1, int(len(text) * width / full)))
        artist.set_text(text)


def _shortened(text: str, length: int) -> str:
    keep = max(2, length - 1)
    return f'{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}'


def encode(figure: Figure, kind: str) -> bytes:
    """The file of a figure.

    Parameters
    ----------
    figure : Figure
        The figure.
    kind : {'png', 'pdf'}
        Form of the file.

    Returns
    -------
    bytes
        The same for equal figures.
    """
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format=kind, dpi=figure.dpi, metadata=_METADATA[kind])
    return buffer.getvalue()


def snapshot(figure: Figure) -> NDArray[np.uint8]:
    """A figure as it looks now.

    Parameters
    ----------
    figure : Figure
        From `new_figure`.

    Returns
    -------
    ndarray of uint8
        Shape (height, width, 3), the top row first.
    """
    with look():
        figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3].copy()


def longest(texts: Sequence[str]) -> int:
    """Number of characters of the longest text.

    Parameters
    ----------
    texts : sequence of str
        Perhaps none.

    Returns
    -------
    int
        0 for none.
    """
    return max(map(len, texts), default=0)
