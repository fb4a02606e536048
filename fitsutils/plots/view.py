"""Pictures on their way out: to the bytes of a file, or into a window."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from fitsutils.plots import animation, image, page, screen, sheet
from fitsutils.plots import histogram as histograms
from fitsutils.plots.frame import Frame, Style
from fitsutils.plots.image import Drawn
from fitsutils.plots.sheet import Panel


def picture(frames: Sequence[Frame], style: Style, kind: str | None) -> bytes | None:
    """The picture of one image, or the sheet of a cube's planes.

    Parameters
    ----------
    frames : sequence of Frame
        One, or one a plane.
    style : Style
        How they are shown.
    kind : {'png', 'pdf'} or None
        Form of the file; None for a window.

    Returns
    -------
    bytes or None
        The file; None once the window is closed.

    Raises
    ------
    PictureError
        When the picture would be too large.
    """
    if len(frames) == 1:
        return drawn_by(lambda figure: image.draw(figure, frames[0], style), kind)
    panels = [sheet.panel(frame, style, f'plane {frame.plane}') for frame in frames]
    return contact_sheet(panels, style, kind, title=frames[0].title)


def contact_sheet(
    panels: Sequence[Panel], style: Style, kind: str | None, *, columns: int | None = None, title: str = ''
) -> bytes | None:
    """A contact sheet.

    Parameters
    ----------
    panels : sequence of Panel
        At least one.
    style : Style
        Its `dpi` is that of the texts.
    kind : {'png', 'pdf'} or None
        Form of the file; None for a window.
    columns : int, optional
        Panels side by side.
    title : str
        What stands above all.

    Returns
    -------
    bytes or None
        The file; None once the window is closed.

    Raises
    ------
    PictureError
        When there are too many panels, or the sheet would be too large.
    """
    return drawn_by(lambda figure: sheet.draw(figure, panels, columns=columns, title=title, dpi=style.dpi), kind)


def histogram(frame: Frame, statistics: Mapping[str, float], style: Style, kind: str | None) -> bytes | None:
    """The histogram of an image's pixels.

    Parameters
    ----------
    frame : Frame
        The image; its limits are marked.
    statistics : mapping
        Names and numbers that are written beside it.
    style : Style
        Its `size` is the width of the plot; `note` says how the limits were found.
    kind : {'png', 'pdf'} or None
        Form of the file; None for a window.

    Returns
    -------
    bytes or None
        The file; None once the window is closed.
    """
    return drawn_by(lambda figure: histograms.draw(figure, frame, statistics, style), kind)


def drawn_by(draw: Callable[[Figure], Drawn | None], kind: str | None) -> bytes | None:
    """Whatever a function draws into an empty figure.

    Parameters
    ----------
    draw : callable
        ``draw(figure)``.
    kind : {'png', 'pdf'} or None
        Form of the file; None for a window.

    Returns
    -------
    bytes or None
        The file; None once the window is closed.
    """
    if kind is not None:
        figure = page.new_figure()
        draw(figure)
        return page.encode(figure, kind)
    drawn = draw(screen.new_window())
    if drawn is not None:
        screen.follow_cursor(drawn)
    screen.wait()
    return None


def film(frames: Sequence[Frame], style: Style, kind: str | None, milliseconds: int) -> bytes | None:
    """The planes of a cube, one after the other.

    Parameters
    ----------
    frames : sequence of Frame
        One a plane.
    style : Style
        How they are shown.
    kind : {'gif', 'mp4'} or None
        Form of the file; None for a window.
    milliseconds : int
        How long each stays; negative: begin again at the end (not in an MP4, where the player decides).

    Returns
    -------
    bytes or None
        The file; None once the window is closed.

    Raises
    ------
    PictureError
        When the picture would be too large, or ffmpeg fails.
    """
    if kind is None:
        screen.play(screen.new_window(), frames, style, abs(milliseconds), loop=milliseconds < 0)
        return None
    pictures = animation.frames(page.new_figure(), frames, style)
    if kind == 'mp4':
        return animation.mp4(pictures, abs(milliseconds))
    return animation.gif(pictures, abs(milliseconds), loop=milliseconds < 0)
