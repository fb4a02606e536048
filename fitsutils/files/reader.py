"""Images on disk: what they are, whole ones, and rows of them.

The header of an ordinary camera frame is read as bytes, and parsed by astropy
only when all of it is asked for; that of any other file goes through astropy.
The pixels of a plain image HDU are read directly, at the offset that its
header gives, because bands of many files are what the toolset exists for;
tile-compressed images go through astropy, and files packed with gzip or bzip2
are unpacked once into a temporary folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure, warn
from fitsutils.files import checksum, hdus, plain
from fitsutils.files import header as headers
from fitsutils.files.inputs import Hdu, Reference, expand
from fitsutils.files.keywords import Keywords, UnusualError, header_text, is_plain, plain_header
from fitsutils.files.library import fits
from fitsutils.files.section import Region
from fitsutils.files.stored import Format, Summing, format_of, read_runs

_SLAB = 1 << 24  # bytes of a tile-compressed image that are unpacked at once
_PADDING_GONE = 'the padding at the end of the file is missing'


class Stored(NamedTuple):
    """Where the stored values of an image are to be read.

    Attributes
    ----------
    path : str
        The file, or a plain copy of it.
    offset : int
        Where the data begin, in bytes.
    tiled : bool
        Whether they are tile-compressed.
    is_copy : bool
        Whether it is a copy.
    """

    path: str
    offset: int
    tiled: bool
    is_copy: bool


class _ImageKeywords(Keywords):
    """The keywords that many images are asked for; for any other one the header is parsed, and not kept."""

    __slots__ = ('covered', 'image')

    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            return self[key]
        if key.upper() in self.covered:
            return super().get(key.upper(), default)
        self[key] = headers.value(_parsed_header(self.image), key)
        return self[key]


@dataclass(eq=False, slots=True)
class Image:
    """An image on disk: its header has been read, its pixels have not.

    Attributes
    ----------
    reference : Reference
        What the user named.
    index : int
        Number of the HDU.
    full_shape : tuple of int
        Shape of the whole image in numpy order, without leading axes of length 1.
    slices : tuple of slice
        The part that was asked for, in numpy order.
    dtype : dtype
        Type of the pixels that reading gives: native byte order, scaled as BSCALE and BZERO say.
    keywords : Keywords
        What `header.value` and its like take for the header, without its cost: the values of the
        keywords that commands look up on many images. Any other one costs as much as the whole header.
    """

    reference: Reference
    index: int
    full_shape: tuple[int, ...]
    slices: tuple[slice, ...]
    dtype: np.dtype
    keywords: Keywords
    _form: Format
    _start: int
    _offset: int
    _size: int
    _tiled: bool
    _packed: bool
    _sums: tuple[int | None, bool]
    _fingerprint: tuple[int, ...]
    _header: fits.Header | plain.PlainHeader | None = None
    _copy: Stored | None = None

    @property
    def header(self) -> fits.Header | plain.PlainHeader:
        """The HDU's header; where it is an extension, with the primary header's cards that it does not have itself.

        It is parsed when it is asked for, and kept until `forget_header`. That of an ordinary frame
        is a `PlainHeader`, which does without astropy what products ask of a header.
        """
        if self._header is None:
            self._header = _parsed_header(self)
        return self._header

    def forget_header(self) -> None:
        """Let the parsed header go: of ten thousand images they would fill the memory."""
        self._header = None

    @property
    def stored(self) -> Stored:
        """Where the stored values are to be read: in the file, or within `unpacked` in a plain copy of it."""
        return self._copy or Stored(self.path, self._offset, self._tiled, False)

    @property
    def path(self) -> str:
        """Name of the file."""
        return self.reference.path

    @property
    def name(self) -> str:
        """Name of the file without folders, and HDU and part where they were given."""
        return str(Reference(os.path.basename(self.path), self.reference.hdu, self.reference.region))

    @property
    def identity(self) -> tuple[str, int, tuple[tuple[int, int], ...]]:
        """The file, by whichever name, the number of the HDU and the part: equal for the same pixels."""
        return os.path.realpath(self.path), self.index, tuple((part.start, part.stop) for part in self.slices)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part that was asked for, in numpy order."""
        return tuple(part.stop - part.start for part in self.slices)

    def part(self, plane: int | None = None) -> str:
        """The file and the part of the image in FITS terms, as `img_stats` shows them.

        Parameters
        ----------
        plane : int, optional
            One plane of the part, from 0.

        Returns
        -------
        str
            Such as ``a.fits[1:100,1:50]``.
        """
        axes = [(part.start, part.stop) for part in reversed(self.slices)]
        if plane is not None:
            axes[-1] = (axes[-1][0] + plane, axes[-1][0] + plane + 1)
        return str(Reference(self.path, self.reference.hdu, Region(tuple(axes))))

    def cut(self, region: Region) -> Image:
        """A part of this image.

        Parameters
        ----------
        region : Region
            The part, counted from the start of this image's own part; axes that it does not name are whole.

        Returns
        -------
        Image
            The part.

        Raises
        ------
        Failure
            When the part goes beyond the image.
        """
        try:
            inner = region.slices(self.shape)
        except Failure as error:
            raise Failure(str(error), self.path) from None
        slices = tuple(
            slice(outer.start + part.start, outer.start + part.stop)
            for outer, part in zip(self.slices, inner, strict=True)
        )
        return self._with(slices)

    def of_planes(self, rows: slice, columns: slice) -> Image:
        """The same planes of the image, but other rows and columns of each.

        Parameters
        ----------
        rows, columns : slice
            Within the whole image, with explicit start and stop.

        Returns
        -------
        Image
            They need not lie within the part that this image is.
        """
        return self._with((*self.slices[:-2], rows, columns))

    def planes(self) -> list[Image]:
        """The planes of a cube.

        Returns
        -------
        list of Image
            One for each plane, of the cube's number of axes; the image itself where it has no more than two.
        """
        if len(self.shape) < 3:
            return [self]
        lead = [range(part.start, part.stop) for part in self.slices[:-2]]
        return [
            self._with((*(slice(place, place + 1) for place in places), *self.slices[-2:]))
            for places in itertools.product(*lead)
        ]

    def _with(self, slices: tuple[slice, ...]) -> Image:
        return dataclasses.replace(self, slices=slices)

    def fitted_to(self, image: Image) -> Image:
        """Give this image as an operand for another one, or for a part of it.

        Parameters
        ----------
        image : Image
            The other image.

        Returns
        -------
        Image
            This image, or the same part of it where both are of one size and
            the other is cut to a part. One plane goes with every plane of a cube.

        Raises
        ------
        Failure
            When the sizes do not agree.
        """
        if self.shape in (image.shape, image.shape[-2:]):
            return self
        for axes in (len(image.shape), 2):
            if self.is_whole and self.shape == image.full_shape[-axes:]:
                slices = image.slices[-axes:]
                return self._with(slices)
        sizes = ' and '.join(' x '.join(map(str, reversed(shape))) for shape in (image.shape, self.shape))
        raise Failure(f'{self.name} does not fit: {sizes} pixels', image.path)

    @property
    def rows(self) -> int:
        """Number of rows of the part, all planes of a cube counted."""
        return math.prod(part.stop - part.start for part in self.slices[:-1])

    @property
    def is_whole(self) -> bool:
        """Whether the part is the whole image."""
        return self.shape == self.full_shape

    @property
    def data_size(self) -> int:
        """Bytes of the HDU's data, without padding."""
        return self._size

    @property
    def may_have_company(self) -> bool:
        """Whether its file may hold further HDUs; of a plain frame the size of the file tells."""
        if self._packed or self.index:
            return bool(self.index or headers.value(self.keywords, 'EXTEND') is True)
        return self._fingerprint[2] > self._offset + padded(self._size)

    @property
    def has_sums(self) -> bool:
        """Whether its HDU has a DATASUM or a CHECKSUM."""
        return self._sums != (None, False)

    @property
    def fills_its_data(self) -> bool:
        """Whether the part's rows are all that the HDU's data hold, as they are stored in a plain file."""
        plain = not self._tiled and not self._packed
        return plain and self.is_whole and self._size == math.prod(self.full_shape) * self._form.raw.itemsize

    def check_unchanged(self, descriptor: int) -> None:
        """Refuse a file that is not the one whose header was read.

        Parameters
        ----------
        descriptor : int
            The file, open.

        Raises
        ------
        Failure
            When it has changed.
        """
        if hdus.fingerprint(os.fstat(descriptor)) != self._fingerprint:
            raise Failure(hdus.CHANGED, self.path)

    def runs(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Where some rows of the part lie among the rows of the whole image.

        Parameters
        ----------
        start, stop : int
            Rows of the part, numbered through all its planes.

        Yields
        ------
        tuple of int
            For each run of consecutive rows its place among those asked for, its first row in the whole
            image, and how many rows it has.
        """
        parts, lengths = self.slices[:-1], self.full_shape[:-1]
        if parts == _whole(lengths):
            yield 0, start, stop - start
            return
        sizes = [part.stop - part.start for part in parts]
        place = start
        while place < stop:
            count = min(stop - place, sizes[-1] - place % sizes[-1])
            where = [part.start + int(step) for part, step in zip(parts, np.unravel_index(place, sizes), strict=True)]
            yield place - start, int(np.ravel_multi_index(where, lengths)), count
            place += count

    def extents(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Where some rows of the part lie in the file of `stored`.

        Parameters
        ----------
        start, stop : int
            Rows of the part, numbered through all its planes.

        Yields
        ------
        tuple of int
            For each run of consecutive rows where it begins, and how many bytes it has.
        """
        size = self.full_shape[-1] * self._form.raw.itemsize
        for _, first, count in self.runs(start, stop):
            yield self.stored.offset + first * size, count * size


@functools.lru_cache(maxsize=256)
def _whole(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The part that is all of an image; the same object for all images of a size, of which there may be thousands."""
    return tuple(slice(0, length) for length in shape)


@functools.lru_cache(maxsize=64)
def _covered(more: tuple[str, ...]) -> frozenset[str]:
    """The keywords that `Image.keywords` holds: those that have aliases, dates, and what a caller wants beside."""
    names = [key for name in (*headers.ALIASES, 'DATE-OBS', *more) for key in headers.keywords_behind(name)]
    return frozenset(filter(is_plain, names))


def open_image(
    reference: Reference, hdu: Hdu | None = None, region: Region | None = None, *, keywords: Collection[str] = ()
) -> Image:
    """Find the image that a reference names and read its header.

    Parameters
    ----------
    reference : Reference
        The file, perhaps an HDU and a part.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.
    region : Region, optional
        A part of the image, or of the part that the reference names.
    keywords : collection of str
        What will be looked up in `Image.keywords` beside exposures, dates and what else has aliases.

    Returns
    -------
    Image
        The image.

    Raises
    ------
    Failure
        When the file is missing, is not FITS, has no such image, is shorter than its header
        says, or the part goes beyond the image.
    """
    wanted = reference.hdu if reference.hdu is not None else hdu
    covered = _covered(tuple(keywords))
    image = _open_plain(reference, covered) if wanted in (None, 0, 'PRIMARY') else None
    if image is None:
        image = _open_any(reference, wanted, covered)
    for part in filter(None, (reference.region, region)):
        image = image.cut(part)
    return image


def _open_plain(reference: Reference, covered: frozenset[str]) -> Image | None:
    """An image in the primary HDU of a plain file, by its header's bytes; None where there is anything unusual."""
    found = plain_header(reference.path, covered)
    if found is None:
        return None
    values = found.values
    axes = tuple(values[f'NAXIS{axis}'] for axis in range(1, values['NAXIS'] + 1))
    size = math.prod(axes) * hdus.raw_type(values, reference.path, 0).itemsize
    if found.status.st_size < found.offset + padded(size):
        return None
    hdu = hdus.FoundHdu(0, 0, values, found.offset, size, False, axes)
    few = _ImageKeywords((key, value) for key, value in values.items() if key in covered)
    return _image(reference, hdu, values, few, covered, found.status, packed=False)


def _open_any(reference: Reference, wanted: Hdu | None, covered: frozenset[str]) -> Image:
    """An image in any HDU of any file, by astropy."""
    path = reference.path
    with hdus.named_errors(path), hdus.open_bytes(path) as file:
        status = os.fstat(file.fileno())
        packed = hdus.packing(path) is not None
        found, primary = hdus.choose(file, path, wanted)
        header = hdus.image_header(path, found)
        few = _looked_up(hdus.merged(header, primary, found.index), covered)
        image = _image(reference, found, header, few, covered, status, packed=packed)
        if not packed:
            _check_length(path, found, status.st_size)
    return image


def _looked_up(header: fits.Header, covered: Iterable[str]) -> _ImageKeywords:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # a card that breaks the standard is shown as it is
        return _ImageKeywords((key, headers.value(header, key)) for key in sorted(covered) if key in header)


def _check_length(path: str, hdu: hdus.FoundHdu, size: int) -> None:
    there = size - hdu.offset
    if there < hdu.size:
        raise Failure(f'the data are cut off: {max(there, 0)} bytes of {hdu.size}', path)
    if there < padded(hdu.size):
        warn(_PADDING_GONE, path)


def padded(size: int) -> int:
    """How much room data take with their padding.

    Parameters
    ----------
    size : int
        Bytes.

    Returns
    -------
    int
        Bytes of whole blocks.

    Examples
    --------
    >>> padded(2881)
    5760
    """
    return -(-size // hdus.BLOCK) * hdus.BLOCK


def _image(
    reference: Reference, hdu: hdus.FoundHdu, header: fits.Header, few: _ImageKeywords, covered: frozenset[str],
    status: os.stat_result, *, packed: bool,
) -> Image:  # fmt: skip
    """An image from its HDU, whose own header may be a tile-compressed one's, and from the header of the image."""
    path = reference.path
    shape = tuple(reversed(hdu.axes))
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    form = format_of(header, hdus.raw_type(header, path, hdu.index), path)
    image = Image(
        reference=reference,
        index=hdu.index,
        full_shape=shape,
        slices=_whole(shape),
        dtype=form.dtype,
        keywords=few,
        _form=form,
        _start=hdu.start,
        _offset=hdu.offset,
        _size=hdu.size,
        _tiled=hdu.tiled,
        _packed=packed,
        # A blank CHECKSUM is that of a writer who knew none.
        _sums=(hdus.datasum(hdu.header), headers.value(hdu.header, 'CHECKSUM') is not None),
        _fingerprint=hdus.fingerprint(status),
    )
    few.covered, few.image = covered, image
    return image


def _parsed_header(image: Image) -> fits.Header | plain.PlainHeader:
    return _plain_header(image) or _any_header(image)


def _plain_header(image: Image) -> plain.PlainHeader | None:
    """The header of an ordinary frame; None where only astropy knows what to make of it."""
    if image.index or image._packed or image._tiled:
        return None
    try:
        text, status = header_text(image.path)
    except UnusualError:
        return None
    return plain.parsed(text) if hdus.fingerprint(status) == image._fingerprint else None


def _any_header(image: Image) -> fits.Header:
    path = image.path
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # what there is to say was said when the image was opened
        with hdus.named_errors(path), hdus.open_bytes(path) as file:
            image.check_unchanged(file.fileno())
            found, primary = hdus.choose(file, path, image.index)
            from fitsutils.files.oddheader import OddHeader  # here, because it loads astropy

            return OddHeader(hdus.merged(hdus.image_header(path, found), primary, found.index).cards)


def read_pixels(image: Image, *, checksum: str = 'ignore', max_size: int = 2 * 10**10) -> NDArray:
    """All pixels of an image.

    Parameters
    ----------
    image : Image
        The image.
    checksum : {'warn', 'error', 'ignore'}
        What a wrong DATASUM or CHECKSUM means.
    max_size : int
        Bytes that a compressed file may unpack to.

    Returns
    -------
    ndarray
        Shape `image.shape`, type `image.dtype`. BLANK pixels are NaN.

    Raises
    ------
    Failure
        When the file can't be read, or has changed since it was opened.
    """
    with unpacked([image], max_size=max_size):
        if checksum != 'ignore':
            verify_checksum(image, checksum)
        return read_rows(image, 0, image.rows).reshape(image.shape)


class Reader:
    """Reads pixels; the three images that were read last are at hand still: a bias, a dark and a flat.

    Parameters
    ----------
    checksum : {'warn', 'error', 'ignore'}
        What a wrong sum of an image means.
    max_size : int
        Bytes that one file may unpack to.
    """

    def __init__(self, checksum: str, max_size: int) -> None:
        self.checksum, self.max_size = checksum, max_size
        self._kept: dict[Any, NDArray] = {}

    def __call__(self, image: Image) -> NDArray:
        """The pixels of an image, which must not be changed."""
        key = image.identity
        if key not in self._kept:
            self._kept = dict([*self._kept.items()][-2:])
            self._kept[key] = self.once(image)
        self._kept[key] = self._kept.pop(key)
        return self._kept[key]

    def once(self, image: Image) -> NDArray:
        """The pixels of an image that is not needed again.

        Parameters
        ----------
        image : Image
            The image.

        Returns
        -------
        ndarray
            As of `read_pixels`.
        """
        return read_pixels(image, checksum=self.checksum, max_size=self.max_size)


def open_mask(word: str | None) -> Image | None:
    """The image that ``--mask`` names.

    Parameters
    ----------
    word : str or None
        The word after the option.

    Returns
    -------
    Image or None
        The mask; None where there is no option.

    Raises
    ------
    Failure
        When it is no image, or more than one.
    """
    if word is None:
        return None
    references = expand([word])
    if len(references) > 1:
        raise Failure('one mask is wanted, and this names several files', word)
    return open_image(references[0])


def read_mask(mask: Image | None, image: Image) -> NDArray[np.bool_] | None:
    """A mask for an image, or for its part.

    Parameters
    ----------
    mask : Image or None
        A mask of the size of the whole image, of the part, or of each of its planes.
    image : Image
        The image.

    Returns
    -------
    ndarray of bool or None
        Shape `image.shape`, True where the mask is not 0: a bad pixel.

    Raises
    ------
    Failure
        When the sizes don't agree.
    """
    if mask is None:
        return None
    bad = read_pixels(mask) != 0
    planes = image.full_shape[-bad.ndim :]
    if bad.shape != image.shape[-bad.ndim :] and bad.shape == planes:
        bad = bad[image.slices[-bad.ndim :]]
    if bad.shape != image.shape[-bad.ndim :]:
        sizes = ' and '.join(' x '.join(map(str, reversed(shape))) for shape in (mask.shape, image.shape))
        raise Failure(f'the mask {mask.path} does not fit: {sizes} pixels', image.path)
    return np.broadcast_to(bad, image.shape)


def read_rows(image: Image, start: int, stop: int) -> NDArray:
    """Some rows of an image.

    Parameters
    ----------
    image : Image
        The image; a packed one within `unpacked`.
    start, stop : int
        The rows, numbered through all planes of the part that was asked for.

    Returns
    -------
    ndarray
        Shape ``(stop - start, nx)``, type `image.dtype`. BLANK pixels are NaN.

    Raises
    ------
    Failure
        When the file can't be read, or has changed since it was opened.
    """
    stop = min(stop, image.rows)
    out = np.empty((max(stop - start, 0), image.shape[-1]), image.dtype)
    with hdus.named_errors(image.path), _opened(image) as file:
        if image.stored.tiled:
            _read_tiled(image, file, start, stop, out)
        else:
            read_into(out, image, file.fileno(), start, stop)
    return out


@contextlib.contextmanager
def _opened(image: Image) -> Iterator[BinaryIO]:
    """The file with the stored values, which must be the one whose header was read."""
    with open(image.stored.path, 'rb', buffering=0) as file:
        if not image.stored.is_copy:
            image.check_unchanged(file.fileno())
        yield file


def read_into(
    out: NDArray, image: Image, descriptor: int, start: int, stop: int, columns: slice | None = None,
    summing: Summing | None = None,
) -> None:  # fmt: skip
    """Read rows of an image that is not tile-compressed into an array; any number of threads may do so.

    Parameters
    ----------
    out : ndarray
        Shape ``(stop - start, nx)``, of a type that holds `image.dtype`; BLANK pixels become NaN.
    image : Image
        The image; a packed one within `unpacked`.
    descriptor : int
        The file of `image.stored`, open.
    start, stop : int
        The rows, numbered through all planes of the part that was asked for.
    columns : slice, optional
        Columns of the part, all by default.
    summing : callable, optional
        Is given the number of a row of the whole image and the bytes of rows from there on, as they are stored,
        in an array that it must not change or keep.

    Raises
    ------
    Failure
        When the file is too short.
    OSError
        When it can't be read.
    """
    low, high = image.slices[-1].start, image.slices[-1].stop
    if columns is not None:
        low, high = low + columns.start, low + columns.stop
    runs = image.runs(start, stop)
    offset = image.stored.offset
    if not read_runs(out, image._form, descriptor, offset, image.full_shape[-1], slice(low, high), runs, summing):
        raise Failure('the data are cut off', image.path)


def verify_checksum(image: Image, policy: str) -> None:
    """Hold the stored data against DATASUM and the HDU against CHECKSUM, where it has them.

    Parameters
    ----------
    image : Image
        The image; a packed one within `unpacked`.
    policy : {'warn', 'error', 'ignore'}
        What a difference means.

    Raises
    ------
    Failure
        When a sum is wrong and the policy is 'error'.
    """
    if policy == 'ignore' or not image.has_sums:
        return
    with hdus.named_errors(image.path), _opened(image) as file:
        file.seek(image._offset)
        found = checksum.sum_of_file(file, padded(image._size))
        judge_sum(image, policy, found, file.fileno())


def judge_sum(image: Image, policy: str, found: int, descriptor: int) -> None:
    """Hold the sum of an image's data against DATASUM, and with its header's against CHECKSUM.

    Parameters
    ----------
    image : Image
        The image.
    policy : {'warn', 'error'}
        What a difference means.
    found : int
        The sum of the data and their padding.
    descriptor : int
        The file of `image.stored`, open.

    Raises
    ------
    Failure
        When a sum is wrong and the policy is 'error'.
    """
    datasum, whole = image._sums
    header = os.pread(descriptor, image._offset - image._start, image._start) if whole else None
    hdus.judge(image.path, policy, checksum.wrong(found, datasum, header))


@contextlib.contextmanager
def unpacked(images: Sequence[Image], *, max_size: int = 2 * 10**10, tiles: bool = False) -> Iterator[None]:
    """Files packed with gzip or bzip2 lie unpacked in a temporary folder within this block.

    Parameters
    ----------
    images : sequence of Image
        The images; those of plain files are left as they are.
    max_size : int
        Bytes that one file may unpack to.
    tiles : bool
        Tile-compressed images are unpacked too, as far as their parts need it.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    Failure
        When a file is damaged, or larger than `max_size` once unpacked.
    """
    for image in images:
        _refuse_bomb(image, max_size)
    groups: dict[Any, list[Image]] = {}  # the planes of a cube lie in one file
    for image in images:
        if (image._packed and image._copy is None) or (tiles and image.stored.tiled):
            groups.setdefault((image.path, image.index, image._fingerprint, image._copy), []).append(image)
    if not groups:
        yield
        return
    before = [(image, image._copy) for group in groups.values() for image in group]
    with tempfile.TemporaryDirectory(prefix='fitsutils-') as folder:
        try:
            for number, group in enumerate(groups.values()):
                copy = _plain_copy(group, os.path.join(folder, f'{number}.fits'), max_size, tiles)
                for image in group:
                    image._copy = copy
            yield
        finally:
            for image, copy in before:
                image._copy = copy


def _plain_copy(group: Sequence[Image], target: str, max_size: int, tiles: bool) -> Stored:
    """Unpack one file for some images of one HDU of it."""
    image = group[0]
    source = image.stored
    if image._packed and not source.is_copy:
        source = Stored(_unpack(image, target, max_size), image._offset, image._tiled, True)
    if not (tiles and source.tiled):
        return source
    _untile(group, source, f'{target}.raw')
    if source.path == target:
        os.unlink(target)
    return Stored(f'{target}.raw', 0, False, True)


def _refuse_bomb(image: Image, max_size: int) -> None:
    """A tile-compressed image of a few bytes may declare any size."""
    declared = math.prod(image.full_shape) * image.dtype.itemsize
    if image._tiled and declared > max_size:
        raise Failure(f'it declares {declared} bytes of pixels, more than --max-size {max_size}', image.path)


def _unpack(image: Image, target: str, max_size: int) -> str:
    needed = image._offset + image._size
    if needed > max_size:
        raise Failure(f'it declares {needed} bytes, more than --max-size {max_size}', image.path)
    with hdus.named_errors(image.path), hdus.open_bytes(image.path) as source, open(target, 'wb') as out:
        image.check_unchanged(source.fileno())
        # Nothing behind the image is wanted, so a bomb there never goes off.
        left = image._offset + padded(image._size)
        while left > 0 and (piece := source.read(min(left, 1 << 20))):
            out.write(piece)
            left -= len(piece)
    if os.path.getsize(target) < needed:
        raise Failure(f'the data are cut off: {os.path.getsize(target)} bytes of {needed} once unpacked', image.path)
    return target


def _untile(group: Sequence[Image], source: Stored, target: str) -> None:
    """Write the stored values of a tile-compressed image, of the rows that are wanted, as a plain image has them."""
    image = group[0]
    width = image.full_shape[-1]
    wanted = sorted({(first, count) for each in group for _, first, count in each.runs(0, each.rows)})
    with hdus.named_errors(image.path), open(source.path, 'rb') as file, open(target, 'wb') as out:
        if not source.is_copy:
            image.check_unchanged(file.fileno())
        with _tiles(image, file) as hdu:
            height = _slab_height(hdu, width * image._form.raw.itemsize)
            for first, count in wanted:
                for start in range(first - first % height, first + count, height):
                    low, high = max(start, first), min(start + height, first + count)
                    stored = np.asarray(_tiled_rows(hdu, low, high - low))
                    out.seek(low * width * image._form.raw.itemsize)
                    out.write(np.ascontiguousarray(stored, image._form.raw).data)


def _slab_height(hdu: fits.CompImageHDU, row_size: int) -> int:
    """Rows to unpack at once: whole tiles, of some megabytes."""
    tall = hdu.tile_shape[-2] if len(hdu.tile_shape) > 1 else 1
    return max(_SLAB // (row_size * tall), 1) * tall


@contextlib.contextmanager
def _tiles(image: Image, file: BinaryIO) -> Iterator[fits.CompImageHDU]:
    """A tile-compressed image as astropy has it; the scaling is left to us, the same as for a plain one."""
    with (
        warnings.catch_warnings(),
        hdus.damaged_tiles(image.path),
        fits.open(file, do_not_scale_image_data=True) as found,
    ):
        warnings.simplefilter('ignore')  # what there is to say was said when the header was read
        yield found[image.index]


def _read_tiled(image: Image, file: BinaryIO, start: int, stop: int, out: NDArray) -> None:
    """Rows of a tile-compressed image."""
    width = image.slices[-1]
    with _tiles(image, file) as hdu:
        for place, first, count in image.runs(start, stop):
            stored = _tiled_rows(hdu, first, count)[:, width]
            out[place : place + count] = image._form.pixels(np.array(stored, image._form.native))


def _tiled_rows(hdu: fits.CompImageHDU, first: int, count: int) -> NDArray:
    """Stored values of some rows, numbered through all planes."""
    axes = hdu.shape
    if len(axes) == 1:
        return np.asarray(hdu.section[:])[None, :]
    per_plane = axes[-2]
    pieces = []
    while count:
        *plane, row = np.unravel_index(first, axes[:-1])
        size = min(count, per_plane - int(row))
        pieces.append(hdu.section[(*map(int, plane), slice(int(row), int(row) + size))])
        first, count = first + size, count - size
    return np.concatenate(pieces)
