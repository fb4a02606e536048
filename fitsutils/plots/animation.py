"""Moving pictures: GIF by pillow, which matplotlib brings along; MP4 by ffmpeg, where there is one."""

import contextlib
import io
import itertools
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from fitsutils.plots import image, page
from fitsutils.plots.frame import Frame, Style

_SHORTEST = 10  # ms: GIF counts in hundredths of a second


def frames(figure: Figure, images: Sequence[Frame], style: Style) -> Iterator[NDArray[np.uint8]]:
    """Draw images into one figure, one after the other.

    Parameters
    ----------
    figure : Figure
        From `page.new_figure`.
    images : sequence of Frame
        All of one size.
    style : Style
        How they are shown.

    Yields
    ------
    ndarray of uint8
        Shape (height, width, 3), the top row first.
    """
    drawn = image.draw(figure, images[0], style, images[1:])
    for frame in images:
        drawn.show(frame)
        yield page.snapshot(figure)


def gif(pictures: Iterable[NDArray[np.uint8]], milliseconds: int, *, loop: bool) -> bytes:
    """An animated GIF.

    Parameters
    ----------
    pictures : iterable of ndarray of uint8
        Shape (height, width, 3) each.
    milliseconds : int
        How long each stays; GIF counts in steps of 10 ms.
    loop : bool
        Begin again at the end.

    Returns
    -------
    bytes
        The file; two pictures in a row that are the same are stored as one that stays longer.
    """
    indexed = (Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE) for picture in pictures)
    first = next(indexed)
    buffer = io.BytesIO()
    again = {'loop': 0} if loop else {}
    first.save(buffer, 'GIF', save_all=True, append_images=indexed, duration=max(_SHORTEST, milliseconds), **again)
    return buffer.getvalue()


def has_ffmpeg() -> bool:
    """Whether there is an ffmpeg to write MP4 with.

    Returns
    -------
    bool
        True when it is on the PATH.
    """
    return shutil.which('ffmpeg') is not None


def mp4(pictures: Iterable[NDArray[np.uint8]], milliseconds: int) -> bytes:
    """A film in H.264, which any player shows.

    Parameters
    ----------
    pictures : iterable of ndarray of uint8
        Shape (height, width, 3) each.
    milliseconds : int
        How long each stays.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    PictureError
        When ffmpeg fails.
    """
    pictures = iter(pictures)
    first = next(pictures)
    height, width = first.shape[:2]
    words = ['ffmpeg', '-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}',
             '-r', f'1000/{milliseconds}', '-i', '-', '-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white',
             '-c:v', 'libx264', '-crf', '18', '-bf', '0', '-pix_fmt', 'yuv420p', '-threads', '1', '-map_metadata', '-1',
             '-fflags', '+bitexact', '-flags:v', '+bitexact',
             '-movflags', 'frag_keyframe+empty_moov', '-f', 'mp4', '-']  # fmt: skip
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        ThreadPoolExecutor(2) as readers,
    ):
        film, complaints = readers.submit(process.stdout.read), readers.submit(process.stderr.read)
        with contextlib.suppress(BrokenPipeError), process.stdin:  # where ffmpeg has gone it says why
            for picture in itertools.chain([first], pictures):
                process.stdin.write(picture.tobytes())
    if process.returncode:
        lines = complaints.result().decode(errors='replace').split('\n')
        raise page.PictureError(f'ffmpeg: {lines[0] or f"status {process.returncode}"}')
    return film.result()
