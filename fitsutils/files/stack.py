"""Images that belong together: opening a stack, and bands of rows through all of it."""

import contextlib
import math
import os
import resource
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure
from fitsutils.files import checksum as sums
from fitsutils.files.inputs import Hdu, Reference
from fitsutils.files.reader import (
    Image,
    judge_sum,
    open_image,
    padded,
    read_into,
    unpacked,
    verify_checksum,
)

_MOST_OPEN = 500
_MOST_WAITING = 64  # pieces of one image that may be read ahead of their turn


def open_stack(
    references: Sequence[Reference],
    hdu: Hdu | None = None,
    *,
    planes: bool = False,
    leave_out: Callable[[BaseException], None] | None = None,
    keywords: Collection[str] = (),
    any_size: bool = False,
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
    keywords : collection of str
        What will be looked up in `Image.keywords` beside exposures, dates and what else has aliases.
    any_size : bool
        Whether images of different sizes go together.

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
            images.append(open_image(reference, hdu, keywords=keywords))
        except (Failure, OSError) as error:
            if leave_out is None:
                raise
            leave_out(error)
    if not images:
        raise Failure('no image is left to combine')
    if planes:
        images = [plane for image in images for plane in image.planes()]
    if not any_size:
        refuse_unequal_shapes(images)
    return images


def refuse_unequal_shapes(images: Sequence[Image]) -> None:
    """Refuse images that are not of one size.

    Parameters
    ----------
    images : sequence of Image
        The images.

    Raises
    ------
    Failure
        Naming the sizes, and an image of each.
    """
    sizes: dict[tuple[int, ...], list[str]] = {}
    for image in images:
        sizes.setdefault(image.shape, []).append(image.path)
    if len(sizes) > 1:
        words = []
        for shape, paths in sizes.items():
            more = f' and {len(paths) - 1} more' if len(paths) > 1 else ''
            words.append(f'{" x ".join(map(str, reversed(shape)))}: {paths[0]}{more}')
        raise Failure(f'the images are not of one size: {"; ".join(words)}')


@contextlib.contextmanager
def opened(
    images: Sequence[Image],
    masks: Sequence[Image | None] | None = None,
    places: Sequence[tuple[int, int]] | None = None,
    shape: tuple[int, int] | None = None,
    *,
    max_size: int = 2 * 10**10,
    checksum: str = 'ignore',
) -> Iterator['Bands']:
    """Make images ready to be read in bands of rows, as often as need be and by any number of threads.

    Packed and tile-compressed images are unpacked into a temporary folder
    first, so that a band of them costs what one of plain files costs. Where the
    sums of plain files can't be made of what is read anyway, they are made at the end.

    Parameters
    ----------
    images : sequence of Image
        Images of one shape, or of any sizes where there are places.
    masks : sequence of Image or None, optional
        For each image its mask or None; where a mask is not 0 the image's pixels are NaN. One mask may serve many.
    places : sequence of (int, int), optional
        Row and column of each image's first pixel on a canvas; where an image has no pixels there is NaN.
    shape : (int, int), optional
        Rows and columns of the canvas; by default what holds all images.
    max_size : int
        Bytes that one file may unpack to.
    checksum : {'warn', 'error', 'ignore'}
        What a wrong DATASUM or CHECKSUM means. What is wrong with a plain file may be known only in the end.

    Yields
    ------
    Bands
        Reads rows of all images, or of one.

    Raises
    ------
    Failure
        When a mask does not fit, a file is damaged or too large, or a sum is wrong.
    ValueError
        When images without places are of different shapes.
    """
    bands = Bands(images, masks, places, shape, checksum)
    extra = bands.distinct_masks
    with contextlib.ExitStack() as stack:
        stack.enter_context(unpacked([*images, *extra], max_size=max_size))
        if checksum != 'ignore':
            for image in _one_a_file(images):
                if image.has_sums and not image.fills_its_data:
                    verify_checksum(image, checksum)
            for mask in extra:
                verify_checksum(mask, checksum)
        stack.enter_context(unpacked([*images, *extra], max_size=max_size, tiles=True))
        stack.callback(bands.close)
        yield bands
        bands.finish()


def _one_a_file(images: Sequence[Image]) -> list[Image]:
    """One image for each HDU: the planes of a cube have their sums in common."""
    return list({(image.path, image.index): image for image in images}.values())


class Bands:
    """Rows of many images; `opened` makes it.

    Parameters
    ----------
    images : sequence of Image
        The images.
    masks : sequence of Image or None, optional
        Their masks.
    places : sequence of (int, int), optional
        Where they lie on a canvas.
    shape : (int, int), optional
        Rows and columns of the canvas.
    checksum : {'warn', 'error', 'ignore'}
        What a wrong sum means.

    Attributes
    ----------
    shape : tuple of int
        Shape of an image in numpy order, or of the canvas.
    rows : int
        Number of rows of the canvas, all planes of a cube counted.
    dtype : dtype
        The type that holds the pixels of all images: a float where some may be missing.
    """

    def __init__(
        self,
        images: Sequence[Image],
        masks: Sequence[Image | None] | None = None,
        places: Sequence[tuple[int, int]] | None = None,
        shape: tuple[int, int] | None = None,
        checksum: str = 'ignore',
    ) -> None:
        self._images = list(images)
        self._masks = _fitted(masks, images)
        self._shared = {mask for mask, uses in Counter(self._masks).items() if mask is not None and uses > 1}
        if places is None:
            if len({image.shape for image in images}) > 1:
                raise ValueError('images of different shapes need places')
            self.shape = images[0].shape
            self._places = [(0, 0)] * len(self._images)
        else:
            self._places = [(int(row), int(column)) for row, column in places]
            self.shape = shape or _canvas(images, self._places)
        self.rows = math.prod(self.shape[:-1])
        kinds = {image.dtype for image in images}
        if places is not None or any(mask is not None for mask in self._masks):
            kinds.add(np.dtype('f4'))
        self.dtype = np.result_type(*kinds)
        self._policy = checksum
        self._files = Descriptors(most_descriptors())
        self._sums = _gathered(images) if checksum != 'ignore' else {}

    @property
    def distinct_masks(self) -> list[Image]:
        """The masks, each one once."""
        return list(dict.fromkeys(mask for mask in self._masks if mask is not None))

    def read(self, start: int, stop: int, out: NDArray | None = None) -> NDArray:
        """The same rows of all images.

        Parameters
        ----------
        start, stop : int
            Rows of the canvas, numbered through all planes of a cube.
        out : ndarray, optional
            Where to put them: shape ``(n, stop - start, nx)`` and type `dtype`.

        Returns
        -------
        ndarray
            Shape ``(n, stop - start, nx)``; NaN where a pixel is masked, BLANK or outside of its image.

        Raises
        ------
        Failure
            When a file can't be read, or has changed since it was opened.
        ValueError
            When there are no such rows, or `out` is of another shape or type.
        """
        if not 0 <= start <= stop <= self.rows:
            raise ValueError(f'rows {start} to {stop} of {self.rows}')
        shape = (len(self._images), stop - start, self.shape[-1])
        if out is None:
            out = np.empty(shape, self.dtype)
        elif out.shape != shape or out.dtype != self.dtype:
            raise ValueError(f'{shape} pixels of {self.dtype} do not go into {out.shape} of {out.dtype}')
        hidden: dict[tuple[Image, int, int], NDArray] = {}
        for number in range(len(self._images)):
            self._read_placed(out[number], number, start, stop, hidden)
        return out

    def read_one(self, number: int, start: int, stop: int) -> NDArray:
        """Rows of one image.

        Parameters
        ----------
        number : int
            Which image, from 0.
        start, stop : int
            Rows of the image itself, wherever it lies on the canvas.

        Returns
        -------
        ndarray
            Shape ``(stop - start, nx)`` of the image; its own type, a float where it has a mask. Masked
            and BLANK pixels are NaN.

        Raises
        ------
        Failure
            When the file can't be read, or has changed since it was opened.
        """
        image, mask = self._images[number], self._masks[number]
        kind = image.dtype if mask is None else np.result_type(image.dtype, 'f4')
        out = np.empty((stop - start, image.shape[-1]), kind)
        if out.size:
            self._read_part(out, number, start, stop, slice(0, out.shape[1]), {})
        return out

    def expect(self, start: int, stop: int) -> None:
        """Tell the operating system that these rows will be read next, so that it may fetch them meanwhile.

        Parameters
        ----------
        start, stop : int
            Rows of the canvas.
        """
        if not hasattr(os, 'posix_fadvise'):
            return
        for image, (place, _) in zip(self._images, self._places, strict=True):
            low, high = max(start - place, 0), min(stop - place, image.rows)
            with contextlib.suppress(Failure), self._files.use(image) as descriptor:  # reading will say so
                for offset, size in image.extents(low, max(high, low)):
                    os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)

    def finish(self) -> None:
        """Judge the sums of all images that have some.

        Raises
        ------
        Failure
            When one is wrong and the policy is 'error'.
        """
        for image, gathered in self._sums.items():
            if gathered.next < image.rows:  # rows that nobody wanted, or that came out of order
                verify_checksum(image, self._policy)
                continue
            with self._files.use(image) as descriptor:
                end = image.stored.offset + gathered.size
                rest = os.pread(descriptor, padded(gathered.size) - gathered.size, end)
                total = sums.add(gathered.total, sums.sum_of(bytes(gathered.size % 4) + rest))
                judge_sum(image, self._policy, total, descriptor)

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    def _read_placed(
        self, out: NDArray, number: int, start: int, stop: int, hidden: dict[tuple[Image, int, int], NDArray]
    ) -> None:
        """Rows of the canvas as one image has them."""
        image, (row, column) = self._images[number], self._places[number]
        first, last = max(start, row), min(stop, row + image.rows)
        left, right = max(column, 0), min(column + image.shape[-1], out.shape[1])
        if first >= last or left >= right:
            out[...] = np.nan
            return
        inner = out[first - start : last - start, left:right]
        if inner.shape != out.shape:
            out[: first - start], out[last - start :] = np.nan, np.nan
            out[:, :left], out[:, right:] = np.nan, np.nan
        self._read_part(inner, number, first - row, last - row, slice(left - column, right - column), hidden)

    def _read_part(
        self,
        out: NDArray,
        number: int,
        start: int,
        stop: int,
        columns: slice,
        hidden: dict[tuple[Image, int, int], NDArray],
    ) -> None:
        """Rows and columns of one image, NaN where its mask is not 0."""
        image, mask = self._images[number], self._masks[number]
        self._read(out, image, start, stop, columns, self._sums.get(image))
        if mask is None:
            return
        key = mask, start, stop
        bad = hidden.get(key)
        if bad is None:
            bad = self._mask_rows(mask, start, stop)
        if mask in self._shared:
            hidden[key] = bad
        np.copyto(out, np.nan, where=bad[:, columns])

    def _mask_rows(self, mask: Image, start: int, stop: int) -> NDArray[np.bool_]:
        """Where a mask is not 0; one plane serves every plane of a cube."""
        values = np.empty((stop - start, mask.shape[-1]), mask.dtype)
        place = start
        while place < stop:
            row = place % mask.rows
            count = min(stop - place, mask.rows - row)
            part = values[place - start : place - start + count]
            self._read(part, mask, row, row + count, slice(0, part.shape[1]), None)
            place += count
        return values != 0

    def _read(self, out: NDArray, image: Image, start: int, stop: int, columns: slice, summing: '_Sum | None') -> None:
        with self._files.use(image) as descriptor:
            read_into(out, image, descriptor, start, stop, columns, summing)


def _fitted(masks: Sequence[Image | None] | None, images: Sequence[Image]) -> list[Image | None]:
    """For each image the part of its mask that lies on it; one object for each mask and part."""
    fitted: dict[tuple[Image, str], Image] = {}
    found: list[Image | None] = []
    for mask, image in zip([None] * len(images) if masks is None else masks, images, strict=True):
        if mask is None:
            found.append(None)
            continue
        part = mask.fitted_to(image)
        found.append(fitted.setdefault((mask, str(part.slices)), part))
    return found


def _canvas(images: Sequence[Image], places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Rows and columns of the smallest canvas that holds all images."""
    rows = max(row + image.rows for image, (row, _) in zip(images, places, strict=True))
    columns = max(column + image.shape[-1] for image, (_, column) in zip(images, places, strict=True))
    return rows, columns


class _Sum:
    """The sum of an image's data, gathered while its rows are read, by whichever threads, each row counted once.

    Parameters
    ----------
    image : Image
        The image; its rows are all its data.
    """

    def __init__(self, image: Image) -> None:
        self.size = image.data_size
        self.next = 0
        self.total = 0
        self._row_size = self.size // image.rows
        self._waiting: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def __call__(self, row: int, stored: NDArray) -> None:
        """Count some rows.

        Parameters
        ----------
        row : int
            The first one.
        stored : ndarray
            Their bytes.
        """
        with self._lock:
            if row < self.next or row in self._waiting or len(self._waiting) >= _MOST_WAITING:
                return
        lead = row * self._row_size % 4  # the sum is one of words of four bytes, counted from the start of the data
        found = sums.sum_of(bytes(lead) + stored.tobytes() if lead else stored)
        with self._lock:
            self._waiting[row] = row + len(stored), found
            while self.next in self._waiting:
                self.next, found = self._waiting.pop(self.next)
                self.total = sums.add(self.total, found)


def _gathered(images: Sequence[Image]) -> dict[Image, _Sum]:
    """Sums to gather while reading: those of whole images in plain files, each file's once."""
    return {
        image: _Sum(image)
        for image in _one_a_file([image for image in images if image.has_sums and image.fills_its_data])
    }


def most_descriptors() -> int:
    """How many files a stack keeps open.

    Returns
    -------
    int
        A third of what the process may open, for variances make a second stack, and no more than 500.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_OPEN if limit == resource.RLIM_INFINITY else max(min(limit // 3, _MOST_OPEN), 1)


class Descriptors:
    """Files that stay open, up to a number of them; beyond it the one that was used least recently is closed.

    Parameters
    ----------
    limit : int
        The number.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[str, list[int]] = OrderedDict()  # descriptor and number of users
        self._free = threading.Condition()

    @contextlib.contextmanager
    def use(self, image: Image) -> Iterator[int]:
        """The descriptor of an image's stored values; it stays open within the block.

        Parameters
        ----------
        image : Image
            The image, unpacked where it is packed.

        Yields
        ------
        int
            The descriptor.

        Raises
        ------
        Failure
            When the file is not the one whose header was read, or anything goes wrong with it in the block.
        """
        try:
            stored = image.stored
            entry = self._taken(stored.path)
            try:
                if not stored.is_copy:
                    image.check_unchanged(entry[0])
                yield entry[0]
            finally:
                with self._free:
                    entry[1] -= 1
                    self._free.notify()
        except OSError as error:  # not hdus.named_errors, which catches warnings, and that in one thread at a time
            raise Failure(error.strerror or str(error), image.path) from error

    def _taken(self, path: str) -> list[int]:
        with self._free:
            while path not in self._open and len(self._open) >= self._limit and not self._close_one():
                self._free.wait()
            if path not in self._open:
                self._open[path] = [os.open(path, os.O_RDONLY), 0]
            self._open.move_to_end(path)
            self._open[path][1] += 1
            return self._open[path]

    def _close_one(self) -> bool:
        """Close the file that was used least recently, if there is one that nobody uses."""
        for path, (descriptor, users) in self._open.items():
            if not users:
                del self._open[path]
                os.close(descriptor)
                return True
        return False

    def close(self) -> None:
        """Close all files that nobody uses."""
        with self._free:
            while self._close_one():
                pass
