"""Figures in a window."""

import contextlib
import signal
from collections.abc import Iterator, Sequence

import matplotlib
from matplotlib import pyplot
from matplotlib.figure import Figure

from fitsutils.plots import image, page
from fitsutils.plots.frame import Frame, Style
from fitsutils.plots.image import Drawn

_WITHOUT_WINDOWS = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')


def is_available() -> bool:
    """Whether windows can be opened.

    Returns
    -------
    bool
        False where there is no display, or matplotlib has no toolkit to open a window with.
    """
    try:
        pyplot.close(pyplot.figure())
    except Exception:  # each toolkit has errors of its own, when its library or the display is missing
        return False
    return matplotlib.get_backend().lower() not in _WITHOUT_WINDOWS


def new_window() -> Figure:
    """A figure in a window of its own, which `wait` will show.

    Returns
    -------
    Figure
        Empty.
    """
    return pyplot.figure()


def wait() -> None:
    """Show the windows and wait until they are closed."""
    with _deadly_signals():
        pyplot.show()
    pyplot.close('all')


@contextlib.contextmanager
def _deadly_signals() -> Iterator[None]:
    """Signals end the process at once: a toolkit would print a traceback of what our handler raises."""
    before = {}
    with contextlib.suppress(ValueError):  # not the main thread: signals are not ours
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def follow_cursor(drawn: Drawn) -> None:
    """Say the place and the pixel value under the cursor; keep the shape of pixels when the image is zoomed.

    Parameters
    ----------
    drawn : Drawn
        The picture.
    """
    left, right, bottom, top = drawn.extent

    def told(x: float, y: float) -> str:
        rows, columns = drawn.pixels.shape[1:]
        row, column = int((y - bottom) / (top - bottom) * rows), int((x - left) / (right - left) * columns)
        inside = left <= x < right and bottom <= y < top
        values = ' '.join(f'{value:.6g}' for value in drawn.pixels[:, row, column]) if inside else ''
        return f'x = {x:.1f}  y = {y:.1f}  {values}'

    drawn.axes.format_coord = told
    drawn.axes.images[0].mouseover = False
    drawn.axes.set_aspect(drawn.aspect, adjustable='datalim')


def play(figure: Figure, images: Sequence[Frame], style: Style, milliseconds: int, *, loop: bool) -> None:
    """Show images one after the other in a window.

    Parameters
    ----------
    figure : Figure
        From `new_window`.
    images : sequence of Frame
        All of one size.
    style : Style
        How they are shown.
    milliseconds : int
        How long each stays.
    loop : bool
        Begin again at the end.
    """
    drawn = image.draw(figure, images[0], style, images[1:])
    follow_cursor(drawn)
    places = iter(range(1, len(images)))
    timer = figure.canvas.new_timer(interval=milliseconds)

    def step() -> bool:
        nonlocal places
        place = next(places, None)
        if place is None and loop:
            places = iter(range(len(images)))
            place = next(places)
        if place is None:
            return False
        with page.look():
            drawn.show(images[place])
            figure.canvas.draw_idle()
        return True

    timer.add_callback(step)
    timer.start()
    wait()
    timer.stop()
