"""Images that belong together: opening a stack, and bands of rows through all of it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure
from fitsutils.files.inputs import Hdu, Reference
from fitsutils.files.reader import Image, open_image, read_rows


def open_stack(
    references: Sequence[Reference],
    hdu: Hdu | None = None,
    *,
    planes: bool = False,
    leave_out: Callable[[BaseException], None] | None = None,
) -> list[Image]:
    """Read the headers of images that are to be combined, and hold their sizes against each other.

    Parameters
    ----------
    references : sequence of Reference
        The images.
    hdu : int, str or (str, int), optional
        The HDU where a reference names none.
    planes : bool
        Whether the planes of cubes count as images.
    leave_out : callable, optional
        Is told why a file can't be read, which is then left out; without it that is a failure.

    Returns
    -------
    list of Image
        Images of one shape.

    Raises
    ------
    Failure
        When a file can't be read, the sizes differ, or nothing is left.
    """
    images = []
    for reference in references:
        try:
            images.append(open_image(reference, hdu))
        except (Failure, OSError) as error:
            if leave_out is None:
                raise
            leave_out(error)
    if not images:
        raise Failure('no image is left to combine')
    if planes:
        images = [plane for image in images for plane in image.planes()]
    _refuse_unequal_shapes(images)
    return images


def _refuse_unequal_shapes(images: Sequence[Image]) -> None:
    sizes: dict[tuple[int, ...], list[str]] = {}
    for image in images:
        sizes.setdefault(image.shape, []).append(image.path)
    if len(sizes) > 1:
        words = []
        for shape, paths in sizes.items():
            more = f' and {len(paths) - 1} more' if len(paths) > 1 else ''
            words.append(f'{" x ".join(map(str, reversed(shape)))}: {paths[0]}{more}')
        raise Failure(f'the images are not of one size: {"; ".join(words)}')


def read_band(images: Sequence[Image], start: int, stop: int) -> NDArray:
    """The same rows of many images.

    Parameters
    ----------
    images : sequence of Image
        Images of one shape; packed ones within `reader.unpacked`.
    start, stop : int
        The rows, numbered through all planes.

    Returns
    -------
    ndarray
        Shape ``(n, stop - start, nx)``, of the type that holds the pixels of all images.

    Raises
    ------
    Failure
        When a file can't be read, or has changed since it was opened.
    """
    kind = np.result_type(*{image.dtype for image in images})
    band = np.empty((len(images), stop - start, images[0].shape[-1]), kind)
    for place, image in enumerate(images):
        band[place] = read_rows(image, start, stop)
    return band
