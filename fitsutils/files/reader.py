"""Headers, whole images, and bands of rows of images.

Headers are parsed by astropy. The pixels of a plain image HDU are read
directly, at the offset that its headers give, because bands of many files are
what the toolset exists for; tile-compressed images go through astropy, and
files packed with gzip or bzip2 are unpacked once into a temporary folder.
"""

import bz2
import contextlib
import dataclasses
import gzip
import itertools
import math
import os
import re
import stat
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from fitsutils.errors import Failure, FileWarning, warn
from fitsutils.files import checksum
from fitsutils.files import header as headers
from fitsutils.files.inputs import Hdu, Reference, expand
from fitsutils.files.section import Region

_BLOCK = 2880
_CARD = 80
_MOST_CARDS = 10_000
_MOST_COLUMNS = 999  # the standard's own limit
_MOST_HDUS = 10_000
_GOES_ON = re.compile(rb"&' *(/.*)?\Z")
_FARTHEST = 2**62  # bytes; seek takes no more than 63 bits
_RAW_TYPES = {8: 'u1', 16: '>i2', 32: '>i4', 64: '>i8', -32: '>f4', -64: '>f8'}
_PACKERS = {b'\x1f\x8b': ('gzip', gzip.open), b'BZ': ('bzip2', bz2.open)}


@dataclass(frozen=True)
class _Hdu:
    """One HDU as the walk through a file finds it."""

    index: int
    start: int  # of the header, in bytes
    header: fits.Header
    header_sum: int
    offset: int  # of the data, in bytes
    size: int  # of the data, in bytes, without padding
    tiled: bool
    axes: tuple[int, ...]  # in FITS order

    @property
    def name(self) -> tuple[str, int]:
        version = headers.as_number(headers.value(self.header, 'EXTVER'))
        return str(headers.value(self.header, 'EXTNAME') or '').strip().upper(), int(version or 1)

    @property
    def is_image(self) -> bool:
        kind = _kind(self.header) if self.index else 'IMAGE'
        groups = headers.value(self.header, 'GROUPS') is True
        return self.tiled or (kind in ('IMAGE', 'IUEIMAGE') and len(self.axes) > 0 and not groups)


@dataclass(eq=False)
class Image:
    """An image on disk: its header has been read, its pixels have not.

    Attributes
    ----------
    reference : Reference
        What the user named.
    header : Header
        The HDU's header; where it is an extension, with the primary header's
        cards that it does not have itself.
    index : int
        Number of the HDU.
    full_shape : tuple of int
        Shape of the whole image in numpy order, without leading axes of length 1.
    slices : tuple of slice
        The part that was asked for, in numpy order.
    dtype : dtype
        Type of the pixels that reading gives: native byte order, scaled as BSCALE and BZERO say.
    """

    reference: Reference
    header: fits.Header
    index: int
    full_shape: tuple[int, ...]
    slices: tuple[slice, ...]
    dtype: np.dtype
    _raw: np.dtype
    _offset: int
    _size: int
    _tiled: bool
    _scale: tuple[float, float, int | None]
    _sums: tuple[int | None, int | None, int] = (None, None, 0)
    _fingerprint: tuple[int, ...] = ()
    _plain_path: str | None = None
    _rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))

    @property
    def path(self) -> str:
        """Name of the file."""
        return self.reference.path

    @property
    def name(self) -> str:
        """Name of the file without folders, and HDU and part where they were given."""
        return str(Reference(os.path.basename(self.path), self.reference.hdu, self.reference.region))

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

    def cut(self, region: Region) -> 'Image':
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

    def planes(self) -> list['Image']:
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

    def _with(self, slices: tuple[slice, ...]) -> 'Image':
        return dataclasses.replace(self, slices=slices, _rows=_row_numbers(self.full_shape, slices))

    def fitted_to(self, image: 'Image') -> 'Image':
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
        return len(self._rows)

    @property
    def is_whole(self) -> bool:
        """Whether the part is the whole image."""
        return self.shape == self.full_shape


def open_image(reference: Reference, hdu: Hdu | None = None, region: Region | None = None) -> Image:
    """Find the image that a reference names and read its header.

    Parameters
    ----------
    reference : Reference
        The file, perhaps an HDU and a part.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.
    region : Region, optional
        The part where the reference names none.

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
    path = reference.path
    with named_errors(path), open_bytes(path) as file:
        found, primary = _find(file, path, reference.hdu if reference.hdu is not None else hdu, header_only=False)
        image = _image(reference, found, primary)
        image._fingerprint = _fingerprint(path)
        if packing(path) is None:
            _check_length(path, found)
    part = reference.region if reference.region is not None else region
    if part is not None:
        try:
            image.slices = part.slices(image.full_shape)
        except Failure as error:
            raise Failure(str(error), path) from None
    image._rows = _row_numbers(image.full_shape, image.slices)
    return image


def read_header(reference: Reference, hdu: Hdu | None = None) -> fits.Header:
    """The header that describes a file's image; the pixels are not touched.

    Parameters
    ----------
    reference : Reference
        The file, perhaps an HDU.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.

    Returns
    -------
    Header
        Of the HDU asked for; else of the first with an image; else the primary header.

    Raises
    ------
    Failure
        When the file is missing or is not FITS, or has no such HDU.
    """
    path = reference.path
    with named_errors(path), open_bytes(path) as file:
        found, primary = _find(file, path, reference.hdu if reference.hdu is not None else hdu, header_only=True)
        return _merged(_image_header(path, found), primary, found.index)


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
    columns = image.slices[-1]
    wanted = image._rows[start:stop]
    out = np.empty((len(wanted), columns.stop - columns.start), image.dtype)
    with named_errors(image.path), open(image._plain_path or image.path, 'rb') as file:
        if image._plain_path is None and _fingerprint_of(os.fstat(file.fileno())) != image._fingerprint:
            raise Failure('the file has changed since its header was read', image.path)
        if image._tiled:
            _read_tiled(image, file, wanted, out)
        else:
            _read_plain(image, file, wanted, out)
    return out


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
    datasum, whole, header_sum = image._sums
    if policy == 'ignore' or (datasum is None and whole is None):
        return
    with named_errors(image.path), open(image._plain_path or image.path, 'rb') as file:
        file.seek(image._offset)
        found = checksum.sum_of_file(file, -(-image._size // _BLOCK) * _BLOCK)
    wrong = []
    if datasum is not None and not checksum.same(found, datasum):
        wrong.append('DATASUM')
    if whole is not None and not checksum.same(checksum.add(found, header_sum), 0):
        wrong.append('CHECKSUM')
    if wrong and policy == 'error':
        raise Failure(f'{" and ".join(wrong)} is wrong: the file has changed since it was written', image.path)
    if wrong:
        warn(f'{" and ".join(wrong)} is wrong: the file has changed since it was written', image.path)


@contextlib.contextmanager
def unpacked(images: Sequence[Image], *, max_size: int = 2 * 10**10) -> Iterator[None]:
    """Files packed with gzip or bzip2 lie unpacked in a temporary folder within this block.

    Parameters
    ----------
    images : sequence of Image
        The images; those of plain files are left as they are.
    max_size : int
        Bytes that one file may unpack to.

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
    packed = [image for image in images if image._plain_path is None and packing(image.path)]
    if not packed:
        yield
        return
    with tempfile.TemporaryDirectory(prefix='fitsutils-') as folder:
        try:
            for number, image in enumerate(packed):
                image._plain_path = _unpack(image, os.path.join(folder, f'{number}.fits'), max_size)
            yield
        finally:
            for image in packed:
                image._plain_path = None


def _refuse_bomb(image: Image, max_size: int) -> None:
    """A tile-compressed image of a few bytes may declare any size."""
    declared = math.prod(image.full_shape) * image.dtype.itemsize
    if image._tiled and declared > max_size:
        raise Failure(f'it declares {declared} bytes of pixels, more than --max-size {max_size}', image.path)


def _unpack(image: Image, target: str, max_size: int) -> str:
    needed = image._offset + image._size
    if needed > max_size:
        raise Failure(f'it declares {needed} bytes, more than --max-size {max_size}', image.path)
    with named_errors(image.path), open_bytes(image.path) as source, open(target, 'wb') as out:
        if _fingerprint(image.path) != image._fingerprint:
            raise Failure('the file has changed since its header was read', image.path)
        # Nothing behind the image is wanted, so a bomb there never goes off.
        left = image._offset + -(-image._size // _BLOCK) * _BLOCK
        while left > 0 and (piece := source.read(min(left, 1 << 20))):
            out.write(piece)
            left -= len(piece)
    if os.path.getsize(target) < needed:
        raise Failure(f'the data are cut off: {os.path.getsize(target)} bytes of {needed} once unpacked', image.path)
    return target


@contextlib.contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turn what goes wrong with a file into a failure that names it.

    Parameters
    ----------
    path : str
        The file that is read in the block.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    Failure
        For errors of the operating system, of unpacking and of astropy; warnings become ours, with the name too.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            yield
    except (OSError, EOFError, zlib.error, fits.VerifyError) as error:
        raise Failure(getattr(error, 'strerror', None) or str(error) or 'the file ends too early', path) from error
    finally:
        _tell(path, caught)


def _tell(path: str, caught: Sequence[warnings.WarningMessage]) -> None:
    """Pass warnings on with the file's name; what astropy says of several cards is said once."""
    ours = [str(each.message) for each in caught if issubclass(each.category, FileWarning)]
    rest = [each for each in caught if not issubclass(each.category, FileWarning)]
    odd = [str(each.message) for each in rest if _speaks_of_a_card(each)]
    other = [str(each.message) for each in rest if not _speaks_of_a_card(each)]
    if odd:
        card = odd[0].partition('\n')[2].strip() or odd[0]
        more = f' and {len(odd) - 1} more' if len(odd) > 1 else ''
        warn(f'a card breaks the FITS standard: {card}{more}', path)
    for message in dict.fromkeys(ours + other):
        warn(message, None if message.startswith(path) else path)


def _speaks_of_a_card(caught: warnings.WarningMessage) -> bool:
    return issubclass(caught.category, fits.verify.VerifyWarning) or 'header keyword is invalid' in str(caught.message)


def packing(path: str) -> str | None:
    """What a file is packed with, whatever its name says.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    {'gzip', 'bzip2'} or None
        None for a file that is not packed.
    """
    with open(path, 'rb') as file:
        packer = _PACKERS.get(file.read(2))
    return packer and packer[0]


def open_bytes(path: str) -> BinaryIO:
    """Open a file for reading, unpacked as it goes.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    file object
        Open for reading bytes.

    Raises
    ------
    Failure
        When it is a folder, a pipe or a device, or empty.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise Failure('is a folder, not a FITS file', path)
    if not stat.S_ISREG(mode):
        raise Failure('is a pipe or a device; an image is read from a file, in any order', path)
    with open(path, 'rb') as file:
        start = file.read(2)
    if not start:
        raise Failure('the file is empty', path)
    return _PACKERS.get(start, ('', open))[1](path, 'rb')


def _fingerprint(path: str) -> tuple[int, ...]:
    return _fingerprint_of(os.stat(path))


def _fingerprint_of(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _find(file: BinaryIO, path: str, wanted: Hdu | None, *, header_only: bool) -> tuple[_Hdu, fits.Header | None]:
    """The HDU that is wanted and the primary header where that is another one."""
    primary = None
    empty = None
    for hdu in walk(file, path):
        if primary is None:
            primary = hdu
        if wanted is None and hdu.is_image:
            if 0 not in hdu.axes:
                return hdu, primary.header
            empty = hdu
        if wanted is not None and _matches(hdu, wanted):
            if not header_only and (not hdu.is_image or 0 in hdu.axes):
                raise Failure(f'HDU {_hdu_text(wanted)} holds no image', path)
            return hdu, primary.header
    if wanted is not None:
        raise Failure(f'there is no HDU {_hdu_text(wanted)}', path)
    if header_only:
        return primary, primary.header
    raise Failure('the image has an axis of length 0' if empty else 'no HDU holds an image', path)


def find_hdu(file: BinaryIO, path: str, index: int) -> _Hdu:
    """One HDU of an open file by its number.

    Parameters
    ----------
    file : file object
        Open at its start.
    path : str
        Its name, for messages.
    index : int
        Number of the HDU.

    Returns
    -------
    _Hdu
        Its header, and where header and data begin.

    Raises
    ------
    Failure
        When there is none.
    """
    return _find(file, path, index, header_only=True)[0]


def _hdu_text(hdu: Hdu) -> str:
    return ','.join(map(str, hdu)) if isinstance(hdu, tuple) else str(hdu)


def _matches(hdu: _Hdu, wanted: Hdu) -> bool:
    if isinstance(wanted, int):
        return hdu.index == wanted
    if isinstance(wanted, str):
        return hdu.name[0] == wanted or (wanted == 'PRIMARY' and hdu.index == 0)
    return hdu.name == wanted


def walk(file: BinaryIO, path: str) -> Iterator[_Hdu]:
    """All HDUs of an open file, in turn.

    Parameters
    ----------
    file : file object
        Open for reading bytes.
    path : str
        Its name, for messages.

    Yields
    ------
    _Hdu
        Its header, and where header and data begin.

    Raises
    ------
    Failure
        When the file does not begin as FITS does, or a header makes no sense.
    """
    position = 0
    for index in range(_MOST_HDUS):
        if position > _FARTHEST:
            return
        file.seek(position)
        raw = _header_bytes(file, path, index)
        if raw is None:
            return
        header = fits.Header.fromstring(_without_strays(raw))
        axes, size, tiled = _layout(header, path, index)
        offset = position + len(raw)
        yield _Hdu(
            index, position, header, checksum.sum_of(raw) if 'CHECKSUM' in header else 0, offset, size, tiled, axes
        )
        position = offset + -(-size // _BLOCK) * _BLOCK


def _header_bytes(file: BinaryIO, path: str, index: int) -> bytes | None:
    """All blocks of the header that begins here; None at the end of the file or where no HDU follows."""
    blocks: list[bytes] = []
    while len(blocks) * _BLOCK < _MOST_CARDS * _CARD:
        block = file.read(_BLOCK)
        if not blocks and not block.startswith(b'XTENSION' if index else b'SIMPLE  '):
            if index:
                return None
            raise Failure('this is not a FITS file: it does not begin with SIMPLE', path)
        blocks.append(block)
        if _end_in(block):
            return b''.join(blocks) if len(block) == _BLOCK else b''.join(blocks).ljust(len(blocks) * _BLOCK)
        if len(block) < _BLOCK:
            break
    raise Failure(f'the header of HDU {index} has no END card', path)


def _without_strays(raw: bytes) -> bytes:
    """A header in which a CONTINUE card that continues nothing is a comment; astropy adds it to any card before it."""
    if b'CONTINUE' not in raw:
        return raw
    cards = [raw[start : start + _CARD] for start in range(0, len(raw), _CARD)]
    for place, card in enumerate(cards):
        if card.startswith(b'CONTINUE') and not (card[8:10] == b'  ' and _GOES_ON.search(cards[place - 1])):
            cards[place] = b'COMMENT ' + card[8:]
    return b''.join(cards)


def _end_in(block: bytes) -> bool:
    place = block.find(b'END     ')
    while place >= 0 and place % _CARD:
        place = block.find(b'END     ', place + 1)
    return place >= 0 or (block.rstrip(b' \0').endswith(b'END') and (len(block.rstrip(b' \0')) - 3) % _CARD == 0)


def _layout(header: fits.Header, path: str, index: int) -> tuple[tuple[int, ...], int, bool]:
    """Axes in FITS order, bytes of data, and whether the HDU is a tile-compressed image."""
    bytes_each = _raw_type(header, path, index).itemsize
    axes = _axes(header, '', path, index)
    groups = axes[:1] == (0,) and headers.value(header, 'GROUPS') is True
    pixels = math.prod(axes[1:] if groups else axes) if axes else 0
    size = bytes_each * _integer(header, 'GCOUNT', path, 1) * (_integer(header, 'PCOUNT', path, 0) + pixels)
    if size < 0:
        raise Failure(f'PCOUNT or GCOUNT of HDU {index} is negative', path)
    if index and _kind(header) == 'BINTABLE' and headers.value(header, 'ZIMAGE') is True:
        if not 0 < _integer(header, 'TFIELDS', path, 0) <= _MOST_COLUMNS:
            raise Failure(f'TFIELDS of HDU {index} is not a number of columns from 1 to {_MOST_COLUMNS}', path)
        return _axes(header, 'Z', path, index), size, True
    return axes, size, False


def _kind(header: fits.Header) -> str:
    """What an extension is: IMAGE, BINTABLE."""
    return str(headers.value(header, 'XTENSION')).strip()


def _raw_type(header: fits.Header, path: str, index: int) -> np.dtype:
    bits = _integer(header, 'BITPIX', path, 8)
    if bits not in _RAW_TYPES:
        raise Failure(f'BITPIX = {bits} in HDU {index} is none of 8, 16, 32, 64, -32, -64', path)
    return np.dtype(_RAW_TYPES[bits])


def _axes(header: fits.Header, prefix: str, path: str, index: int) -> tuple[int, ...]:
    """Lengths of the axes in FITS order; the prefix is Z for what a tile-compressed image stands for."""
    count = _integer(header, f'{prefix}NAXIS', path, 0)
    if not 0 <= count <= 999:
        raise Failure(f'{prefix}NAXIS = {count} in HDU {index} is not a number of axes', path)
    axes = tuple(_integer(header, f'{prefix}NAXIS{axis}', path, None) for axis in range(1, count + 1))
    if any(length < 0 for length in axes):
        raise Failure(f'an axis of HDU {index} has a negative length: {axes}', path)
    return axes


def _integer(header: fits.Header, key: str, path: str, default: int | None) -> int:
    found = headers.value(header, key)
    if found is None:
        if default is None:
            raise Failure(f'{key} is missing', path)
        return default
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if not isinstance(found, int) or isinstance(found, bool):
        raise Failure(f'{key} = {found!r} is not an integer', path)
    return found


def _check_length(path: str, hdu: _Hdu) -> None:
    there = os.path.getsize(path) - hdu.offset
    if there < hdu.size:
        raise Failure(f'the data are cut off: {max(there, 0)} bytes of {hdu.size}', path)
    if there < -(-hdu.size // _BLOCK) * _BLOCK:
        warn('the padding at the end of the file is missing', path)


def _image(reference: Reference, hdu: _Hdu, primary: fits.Header | None) -> Image:
    path = reference.path
    header = _image_header(path, hdu)
    shape = tuple(reversed(hdu.axes))
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    raw = _raw_type(header, path, hdu.index)
    scale = _scaling(header, path, raw)
    whole = None if headers.value(hdu.header, 'CHECKSUM') is None else 0  # blank: the writer knew none
    sums = _stored_sum(hdu.header, 'DATASUM'), whole, hdu.header_sum
    return Image(
        reference=reference,
        header=_merged(header, primary, hdu.index),
        index=hdu.index,
        full_shape=shape,
        slices=tuple(slice(0, length) for length in shape),
        dtype=_pixel_type(raw, scale),
        _raw=raw,
        _offset=hdu.offset,
        _size=hdu.size,
        _tiled=hdu.tiled,
        _scale=scale,
        _sums=sums,
    )  # fmt: skip


def _image_header(path: str, hdu: _Hdu) -> fits.Header:
    """The header as an image's: that of a tile-compressed one is turned back by astropy."""
    if not hdu.tiled:
        return hdu.header
    # astropy would not close a file of its own where it fails.
    with open_bytes(path) as file, _damaged_tiles(path), fits.open(file) as hdus:
        return hdus[hdu.index].header.copy()


@contextlib.contextmanager
def _damaged_tiles(path: str) -> Iterator[None]:
    """A damaged tile-compressed image makes astropy raise errors of any kind, a KeyError or a TypeError too."""
    try:
        yield
    except (Failure, OSError, MemoryError):
        raise
    except Exception as error:
        raise Failure(f'the tile-compressed image is damaged: {" ".join(str(error).split())}', path) from error


def _merged(header: fits.Header, primary: fits.Header | None, index: int) -> fits.Header:
    """An extension's header with what only the primary header says (the INHERIT convention)."""
    if index == 0 or primary is None or headers.value(header, 'INHERIT') is False:
        return header
    merged = header.copy()
    for card in primary.cards:
        key = card.keyword
        if (
            key in ('', 'COMMENT', 'HISTORY', 'EXTNAME', 'EXTVER', 'NEXTEND')
            or key in merged
            or headers.is_structural(key)
        ):
            continue
        merged.append(card, end=True)
    return merged


def _stored_sum(header: fits.Header, key: str) -> int | None:
    number = headers.as_number(headers.value(header, key))
    return None if number is None or not 0 <= number < 2**32 else int(number)


def _scaling(header: fits.Header, path: str, raw: np.dtype) -> tuple[float, float, int | None]:
    """BSCALE, BZERO and BLANK (None for floats, which have NaN)."""
    numbers = []
    for key, default in (('BSCALE', 1.0), ('BZERO', 0.0)):
        found = headers.value(header, key)
        number = default if found is None else headers.as_number(found)
        if number is None:
            raise Failure(f'{key} = {found!r} is not a number', path)
        numbers.append(number)
    if numbers[0] == 0:
        raise Failure('BSCALE = 0 makes all pixels equal', path)
    blank = headers.as_number(headers.value(header, 'BLANK')) if raw.kind in 'iu' else None
    return numbers[0], numbers[1], None if blank is None else int(blank)


def _offset_type(raw: np.dtype, scale: tuple[float, float, int | None]) -> np.dtype | None:
    """The integer type that BZERO alone stands for: int16 with 32768 is uint16."""
    if raw.kind not in 'iu' or scale[0] != 1:
        return None
    if scale[1] == 0:
        return raw.newbyteorder('=')
    half = 2 ** (8 * raw.itemsize - 1)
    if raw.kind == 'i' and scale[1] == half:
        return np.dtype(f'u{raw.itemsize}')
    return np.dtype('i1') if raw.kind == 'u' and scale[1] == -half else None


def _pixel_type(raw: np.dtype, scale: tuple[float, float, int | None]) -> np.dtype:
    integer = _offset_type(raw, scale)
    if integer is not None and scale[2] is None:
        return integer
    if raw == np.dtype('>f4') or (raw.itemsize < 4 and abs(scale[1] / scale[0]) + 2 ** (8 * raw.itemsize) <= 2**24):
        return np.dtype('f4')
    return np.dtype('f8')  # also where BZERO is so large that float32 would not tell neighbouring values apart


def _row_numbers(shape: tuple[int, ...], slices: tuple[slice, ...]) -> NDArray[np.intp]:
    """For each row of the part its number in the file."""
    leading = shape[:-1] or (1,)
    numbers = np.arange(int(np.prod(leading))).reshape(leading)
    return numbers[slices[:-1]].ravel() if len(shape) > 1 else numbers


def _runs(numbers: NDArray[np.intp]) -> Iterator[tuple[int, int, int]]:
    """Consecutive runs: place in the output, first row and number of rows in the file."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    for piece in np.split(np.arange(len(numbers)), breaks):
        if len(piece):
            yield int(piece[0]), int(numbers[piece[0]]), len(piece)


def _read_plain(image: Image, file: BinaryIO, wanted: NDArray[np.intp], out: NDArray) -> None:
    width = image.full_shape[-1]
    for place, first, count in _runs(wanted):
        stored = np.empty((count, width), image._raw)
        file.seek(image._offset + first * width * image._raw.itemsize)
        if file.readinto(stored.data) != stored.nbytes:
            raise Failure('the data are cut off', image.path)
        _convert(stored[:, image.slices[-1]], image._scale, out[place : place + count])


def _convert(stored: NDArray, scale: tuple[float, float, int | None], out: NDArray) -> None:
    """Stored values to pixels: native byte order, scaled, BLANK as NaN."""
    bscale, bzero, blank = scale
    if out.dtype.kind == 'u' and stored.dtype.kind == 'i':
        # Adding half of the range modulo its size is flipping the sign bit.
        signed = out.view(f'i{out.itemsize}')
        signed[...] = stored
        signed ^= np.iinfo(signed.dtype).min
    elif out.dtype.kind == 'i' and stored.dtype.kind == 'u':
        out.view('u1')[...] = stored ^ 0x80
    elif (bscale, bzero) == (1.0, 0.0):
        out[...] = stored
    else:
        out[...] = stored.astype('f8') * bscale + bzero
    if blank is not None:
        out[stored == blank] = np.nan


def _read_tiled(image: Image, file: BinaryIO, wanted: NDArray[np.intp], out: NDArray) -> None:
    """Rows of a tile-compressed image: astropy unpacks the tiles, the scaling is the same as for a plain one."""
    width = image.slices[-1]
    with warnings.catch_warnings(), _damaged_tiles(image.path), fits.open(file, do_not_scale_image_data=True) as hdus:
        warnings.simplefilter('ignore')  # what there is to say was said when the header was read
        hdu = hdus[image.index]
        axes = hdu.shape
        for place, first, count in _runs(wanted):
            stored = _tiled_rows(hdu, axes, first, count)[:, width]
            _convert(np.asarray(stored), image._scale, out[place : place + count])


def _tiled_rows(hdu: fits.CompImageHDU, axes: tuple[int, ...], first: int, count: int) -> NDArray:
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
