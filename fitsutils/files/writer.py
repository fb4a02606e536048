"""FITS files, written with their sums, and headers of files that are there already."""

from __future__ import annotations

import bz2
import contextlib
import io
import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure, UsageError, warn
from fitsutils.files import cards as legal
from fitsutils.files import checksum, hdus, keywords, plain
from fitsutils.files import header as headers
from fitsutils.files import output as outputs
from fitsutils.files.inputs import Hdu, Reference
from fitsutils.files.library import fits
from fitsutils.files.naming import split_suffix

_BLOCK = 2880
_BITPIX = {'u1': 8, 'i1': 8, 'i2': 16, 'u2': 16, 'i4': 32, 'u4': 32, 'i8': 64, 'u8': 64, 'f4': -32, 'f8': -64}
_CHUNK = 1 << 22  # bytes that are swapped and summed at a time


Part = tuple[NDArray, Any]


def write_fits(path: str, parts: Sequence[Part | fits.BinTableHDU]) -> None:
    """Write images, and tables behind them, to one FITS file with CHECKSUM and DATASUM.

    The suffix of the name tells the form: ``.gz`` is packed with gzip, ``.fz``
    is tile-compressed without loss.

    Parameters
    ----------
    path : str
        Name of the file.
    parts : sequence of (ndarray, Header or PlainHeader) or BinTableHDU
        The first image becomes the primary HDU, what follows become
        extensions. Pixels keep their type, unsigned integers by way of BZERO;
        structural cards of the header are left out, cards that break the
        standard are repaired or left out with a warning.

    Raises
    ------
    Failure
        When the file can't be written.
    """
    begin_fits(path, parts)()


def begin_fits(path: str, parts: Sequence[Part | fits.BinTableHDU]) -> Callable[[], None]:
    """Write all of a FITS file but do not wait until it is on the disk.

    Parameters
    ----------
    path : str
        Name of the file.
    parts : sequence of (ndarray, Header) or BinTableHDU
        As for `write_fits`.

    Returns
    -------
    callable
        Flushes the file and gives it its name, from any thread; where it is
        never called, nothing is left behind.

    Raises
    ------
    Failure
        When the file can't be written; the callable raises it too.
    """
    packed = split_suffix(os.path.basename(path))[2].lower()
    if packed == '.bz2':
        raise UsageError(f'{path}: outputs are compressed with .gz or .fz')
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(outputs.complete_file(path))
        if packed == '' and file.seekable():
            _write_parts(file, path, parts)
        else:
            _write_packed(file, path, parts, packed)
        return opened.pop_all().close


def _write_packed(file: BinaryIO, path: str, parts: Sequence[Part | fits.BinTableHDU], packed: str) -> None:
    buffer = io.BytesIO()
    _write_parts(buffer, path, parts)
    if packed == '.gz':
        with _packing('gzip', file) as zipped:
            zipped.write(buffer.getvalue())
    elif packed == '.fz':
        file.write(_tiled(buffer, path))
    else:
        file.write(buffer.getvalue())


def _write_parts(file: BinaryIO, path: str, parts: Sequence[Part | fits.BinTableHDU]) -> None:
    told: set[str] = set()
    for number, part in enumerate(parts):
        if isinstance(part, tuple):
            _write_image(file, path, *part, told, primary=number == 0, more=len(parts) > 1)
        else:
            file.write(_table_bytes(part))


def _table_bytes(table: fits.BinTableHDU) -> bytes:
    buffer = io.BytesIO()
    table.add_checksum(when=_sum_comment())
    table.writeto(buffer)
    return buffer.getvalue()[_BLOCK:]  # behind the empty primary HDU


def _tiled(buffer: io.BytesIO, path: str) -> bytes:
    """The same file with its images tile-compressed, without loss also for floats."""
    buffer.seek(0)
    out = io.BytesIO()
    with fits.open(buffer) as plain:
        hdus = fits.HDUList([fits.PrimaryHDU()])
        for hdu in plain:
            if not hdu.is_image or hdu.data is None:
                hdus.append(hdu)
                continue
            if hdu.data.dtype.kind != 'f' and hdu.data.dtype.itemsize > 4:
                raise Failure('integers of 64 bits can not be tile-compressed; .gz takes them', path)
            kind = 'GZIP_2' if hdu.data.dtype.kind == 'f' else 'RICE_1'
            header = hdu.header.copy()
            for key in ('CHECKSUM', 'DATASUM'):
                header.remove(key, ignore_missing=True)
            hdus.append(fits.CompImageHDU(hdu.data, header, compression_type=kind, quantize_level=0))
        hdus.writeto(out)
    _without_times(out, path)
    return _with_sums(out, path)


def _without_times(file: io.BytesIO, path: str) -> None:
    """Clear the moments that gzip writes into each tile: equal inputs give equal bytes."""
    raw = file.getvalue()
    for hdu in list(hdus.walk(file, path)):
        if not hdu.tiled or not str(hdu.header['ZCMPTYPE']).startswith('GZIP'):
            continue
        width, rows = hdu.header['NAXIS1'], hdu.header['NAXIS2']
        table = np.frombuffer(raw, 'u1', width * rows, hdu.offset).reshape(rows, width)
        kind = '>i8' if hdu.header['TFORM1'].startswith('1Q') else '>i4'
        # The first column holds, for each tile, the length and the place of its bytes behind the table.
        places = table[:, : 2 * np.dtype(kind).itemsize].copy().view(kind)[:, 1]
        for place in places:
            start = hdu.offset + width * rows + int(place)
            if raw[start : start + 2] == b'\x1f\x8b':
                file.seek(start + 4)
                file.write(bytes(4))


def _with_sums(file: io.BytesIO, path: str) -> bytes:
    """A whole file with CHECKSUM and DATASUM in every HDU; astropy sums up tables, but not tile-compressed images."""
    pieces = []
    for hdu in hdus.walk(file, path):
        file.seek(hdu.start)
        lines = _lines(file.read(hdu.offset - hdu.start))
        data = file.read(-(-hdu.size // _BLOCK) * _BLOCK)
        datasum = checksum.sum_of(data)
        lines = _with_card(lines, 'DATASUM', plain.card_text('DATASUM', str(datasum), _sum_comment()))
        pieces += [_padded(_summed(lines, datasum)), data]
    return b''.join(pieces)


def _sum_comment() -> str:
    return f'sum made {headers.stamp()}'


def _write_image(
    file: BinaryIO, path: str, pixels: NDArray, header: Any, told: set[str], *, primary: bool, more: bool
) -> None:
    cards = structure(pixels, primary=primary, more=more) + legal.legal_cards(header, path, told)
    cards.append(plain.card_text('DATE', headers.stamp(), 'UTC date when this file was written'))
    text = ''.join(cards)
    start, made = file.tell(), _sum_comment()
    file.write(bytes(len(_header_block(text, made))))  # its sums are known once the data have gone by
    datasum = _write_data(file, pixels)
    end = file.tell()
    headsum = checksum.sum_of(_header_block(text, made, datasum))
    file.seek(start)
    file.write(_header_block(text, made, datasum, checksum.add(headsum, datasum)))
    file.seek(end)


def _header_block(text: str, made: str, datasum: int = 0, total: int | None = None) -> bytes:
    """Cards, the two sums and END, padded; CHECKSUM is sixteen zeros where its sum is not known."""
    code = '0' * 16 if total is None else checksum.encode(total)
    sums = plain.card_text('CHECKSUM', code, made) + plain.card_text('DATASUM', str(datasum), made)
    return _padded([(text + sums).encode('ascii')])


def _write_data(file: BinaryIO, pixels: NDArray) -> int:
    """Write pixels as FITS stores them; the sum of their words."""
    flat = np.ascontiguousarray(pixels).reshape(-1)
    total = written = 0
    for start in range(0, flat.size, _CHUNK):
        stored = _stored(flat[start : start + _CHUNK])
        total = checksum.add(total, checksum.sum_of(stored.view('u1')))
        written += file.write(stored.data)
    file.write(bytes(-written % _BLOCK))
    return total


def _stored(pixels: NDArray) -> NDArray:
    """Big-endian values; unsigned integers (and int8) with the sign bit flipped, as BZERO says."""
    size = pixels.dtype.itemsize
    if pixels.dtype.kind == 'u' and size > 1:
        return (pixels ^ pixels.dtype.type(1 << (8 * size - 1))).view(f'i{size}').astype(f'>i{size}')
    if pixels.dtype == np.int8:
        return pixels.view('u1') ^ np.uint8(0x80)
    return pixels.astype(pixels.dtype.newbyteorder('>'))


def structure(pixels: NDArray, *, primary: bool, more: bool = False) -> list[str]:
    """The cards that say how pixels are stored.

    Parameters
    ----------
    pixels : ndarray
        The pixels, ``(..., ny, nx)``.
    primary : bool
        Whether the HDU is the first of its file.
    more : bool
        Whether extensions follow.

    Returns
    -------
    list of str
        Cards from SIMPLE or XTENSION to BZERO.
    """
    kind = pixels.dtype.str[1:]
    first = ('SIMPLE', True, 'conforms to FITS standard') if primary else ('XTENSION', 'IMAGE', 'Image extension')
    cards = [first, ('BITPIX', _BITPIX[kind], 'bits per data value'), ('NAXIS', pixels.ndim, 'number of axes')]
    cards += [(f'NAXIS{axis}', length, '') for axis, length in enumerate(reversed(pixels.shape), 1)]
    if primary and more:
        cards.append(('EXTEND', True, 'extensions follow'))
    if not primary:
        cards += [('PCOUNT', 0, 'no group parameters'), ('GCOUNT', 1, 'one group')]
    if kind in ('u2', 'u4', 'u8', 'i1'):
        half = 2 ** (8 * pixels.dtype.itemsize - 1)
        cards += [
            ('BSCALE', 1, ''),
            ('BZERO', -half if kind == 'i1' else half, 'unsigned integers' if half > 128 else 'signed bytes'),
        ]
    return [plain.card_text(*card) for card in cards]


_COLUMN_FORMS = {'b': 'L', 'i': 'J', 'u': 'J', 'f': 'D'}


def table(name: str, columns: Mapping[str, Any], units: Mapping[str, str] | None = None) -> fits.BinTableHDU:
    """A table to be written behind images.

    Parameters
    ----------
    name : str
        Its EXTNAME.
    columns : mapping
        For each column's name its values, shape (n,): logicals, integers of 32 bits, or numbers, which are
        kept in float64 with NaN for none.
    units : mapping, optional
        Units of some columns, such as 'pix'.

    Returns
    -------
    BinTableHDU
        A part for `write_fits`.

    Examples
    --------
    >>> table('LINE', {'pixel': range(1, 3), 'data': [0.5, np.nan]}, {'pixel': 'pix'}).columns.formats
    ['J', 'D']
    """
    made = []
    for title, values in columns.items():
        array = np.asarray(values)
        form = _COLUMN_FORMS[array.dtype.kind]
        made.append(fits.Column(title, form, unit=(units or {}).get(title), array=array))
    return fits.BinTableHDU.from_columns(made, name=name)


class StoredHeader(NamedTuple):
    """The header of an HDU as it lies in a file.

    Attributes
    ----------
    path : str
        The file.
    index : int
        Number of the HDU.
    raw : bytes
        All of its blocks.
    start : int
        Where they begin, in bytes.
    size : int
        Bytes of data behind them, without padding.
    axes : tuple of int
        Lengths of the image's axes in FITS order; empty where it has none.
    datasum : int or None
        What DATASUM says.
    primary : Any
        The primary header, of an extension that inherits; else None.
    fingerprint : tuple of int
        What the file was known by when it was read.
    """

    path: str
    index: int
    raw: bytes
    start: int
    size: int
    axes: tuple[int, ...]
    datasum: int | None
    primary: Any
    fingerprint: tuple[int, ...]

    @property
    def lines(self) -> bytes:
        """Its cards as they stand, without END and the blank ones before it."""
        return b''.join(_lines(self.raw))

    def inherited(self, key: str) -> Any:
        """What the primary header says where this one says nothing.

        Parameters
        ----------
        key : str
            The keyword.

        Returns
        -------
        bool, int, float, str or None
            None where nothing is inherited.
        """
        return None if self.primary is None else headers.value(self.primary, key)


def stored_header(reference: Reference, hdu: Hdu | None = None) -> StoredHeader:
    """Read a header as it lies in a file.

    Parameters
    ----------
    reference : Reference
        The file, perhaps an HDU.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none; else the first with an image; else the primary one.

    Returns
    -------
    StoredHeader
        The header.

    Raises
    ------
    Failure
        When the file can't be read, has no such HDU, or ends before its data do.
    """
    path, wanted = reference.path, reference.hdu if reference.hdu is not None else hdu
    found = _plain_stored(path) if wanted in (None, 0, 'PRIMARY') else None
    if found is None:
        with hdus.named_errors(path), hdus.open_bytes(path) as file:
            each, primary = hdus.choose(file, path, wanted, header_only=True)
            inherits = each.index and headers.value(each.header, 'INHERIT') is not False
            file.seek(each.start)
            raw = file.read(each.offset - each.start)
            found = StoredHeader(
                path, each.index, raw, each.start, each.size, each.axes, hdus.datasum(each.header),
                primary if inherits else None, hdus.fingerprint(os.fstat(file.fileno())))  # fmt: skip
    there = found.fingerprint[2] - found.start - len(found.raw)
    if there < found.size and hdus.packing(path) is None:
        raise Failure(f'the data are cut off: {max(there, 0)} bytes of {found.size}', path)
    return found


def _plain_stored(path: str) -> StoredHeader | None:
    """The header of an ordinary frame, without astropy; None where there is anything unusual."""
    found = keywords.plain_header(path, frozenset())
    if found is None:
        return None
    with open(path, 'rb') as file:
        raw, fingerprint = file.read(found.offset), hdus.fingerprint(os.fstat(file.fileno()))
    if fingerprint != hdus.fingerprint(found.status):
        raise Failure(hdus.CHANGED, path)
    axes = tuple(found.values[f'NAXIS{axis}'] for axis in range(1, found.values['NAXIS'] + 1))
    size = math.prod(axes) * abs(found.values['BITPIX']) // 8
    return StoredHeader(path, 0, raw, 0, size, axes, hdus.datasum(found.values), None, fingerprint)


def begin_rewriting(
    header: StoredHeader, cards: bytes, output: str, packed: str | None, *,
    checksum_policy: str = 'ignore', max_size: int = 2 * 10**10,
) -> Callable[[], None]:  # fmt: skip
    """Write a file with other cards in one header, but do not wait until it is on the disk.

    All else is copied byte for byte, pixels as they are stored. The header keeps its blocks where the cards fit into
    them, so that the data stay in their place. CHECKSUM follows where there is one; that of a tile-compressed
    image before its compression (ZHECKSUM) goes.

    Parameters
    ----------
    header : StoredHeader
        The header as it is.
    cards : bytes
        All cards that it is to have, each of 80 bytes.
    output : str
        Name of the file: the one that the header is of, or another.
    packed : {'gzip', 'bzip2'} or None
        What the output is packed with.
    checksum_policy : {'warn', 'error', 'ignore'}
        What wrong sums of the HDU as it is mean.
    max_size : int
        Bytes that a packed file may unpack to.

    Returns
    -------
    callable
        Flushes the file and gives it its name, from any thread; where it is never called, nothing is left behind.

    Raises
    ------
    Failure
        When the file can't be read or written, or has changed since its header was read.
    """
    path = header.path
    with contextlib.ExitStack() as opened:
        with hdus.named_errors(path), hdus.open_bytes(path) as file:
            if hdus.fingerprint(os.fstat(file.fileno())) != header.fingerprint:
                raise Failure(hdus.CHANGED, path)
            if os.fstat(file.fileno()).st_nlink > 1 and os.path.realpath(output) == os.path.realpath(path):
                warn('it has another name (a hard link), which keeps the old header', path)
            lines = _rewritten(file, header, cards, checksum_policy)
            target = opened.enter_context(outputs.complete_file(output))
            target = opened.enter_context(_packing(packed, target))
            file.seek(0)
            left = max_size if hdus.packing(path) else 1 << 62
            left -= _copy(file, target, left, header.start, path)
            target.write(_padded(lines, len(header.raw)))
            file.seek(header.start + len(header.raw))
            copied = _copy(file, target, left, None, path)
        if copied < header.size:
            raise Failure(f'the data are cut off: {copied} bytes of {header.size}', path)
        return opened.pop_all().close


def _rewritten(file: BinaryIO, header: StoredHeader, cards: bytes, policy: str) -> list[bytes]:
    """The new cards with a CHECKSUM that is right for them, where there is one."""
    lines = [cards[start : start + 80] for start in range(0, len(cards), 80)]
    lines = [line for line in lines if not line.startswith(b'ZHECKSUM=')]
    has_sum = any(line.startswith(b'CHECKSUM=') for line in _lines(header.raw))
    if has_sum or (policy != 'ignore' and header.datasum is not None):
        file.seek(header.start + len(header.raw))
        found = checksum.sum_of_file(file, -(-header.size // _BLOCK) * _BLOCK)
        if policy != 'ignore':
            whole = header.raw if any(map(_tells_sum, _lines(header.raw))) else None
            hdus.judge(header.path, policy, checksum.wrong(found, header.datasum, whole))
        lines = _summed(lines, found, len(header.raw)) if has_sum else lines
    return lines


def _tells_sum(line: bytes) -> bool:
    """Whether a card is a CHECKSUM; a blank one is that of a writer who knew none."""
    return line.startswith(b'CHECKSUM=') and line[9:].strip(b" '") != b''


def _copy(source: BinaryIO, target: Any, most: int, size: int | None, path: str) -> int:
    """Copy the next bytes, all that are left where no size is given; how many there were."""
    done = 0
    while piece := source.read(_CHUNK if size is None else min(_CHUNK, size - done)):
        done += len(piece)
        if done > most:
            raise Failure('it unpacks to more than --max-size', path)
        target.write(piece)
    return done


def update_header(path: str, index: int, cards: Sequence[tuple[str, object, str]], history: Sequence[str]) -> None:
    """Set cards in the header of one HDU of an existing file, complete or not at all.

    All else in the file stays as it is, byte for byte; CHECKSUM follows where there is one.

    Parameters
    ----------
    path : str
        The file; it may be packed with gzip or bzip2.
    index : int
        Number of the HDU.
    cards : sequence of (str, object, str)
        Keyword, value and comment.
    history : sequence of str
        HISTORY lines to add.

    Raises
    ------
    Failure
        When the file can't be read or written.
    """
    header = stored_header(Reference(path), index)
    lines = _edited(_lines(header.raw), cards, history)
    begin_rewriting(header, b''.join(lines), path, hdus.packing(path))()


def _lines(raw: bytes) -> list[bytes]:
    """The cards of a header as they stand, without END and the blank ones before it."""
    lines = [raw[start : start + 80] for start in range(0, len(raw), 80)]
    while not lines.pop().startswith(b'END'):
        pass
    while not lines[-1].strip(b' \0'):
        lines.pop()
    return lines


def _edited(lines: list[bytes], cards: Sequence[tuple[str, object, str]], history: Sequence[str]) -> list[bytes]:
    new = plain.PlainHeader()
    for line in history:
        new.add_history(headers.ascii_text(line))
    for keyword, value, comment in cards:
        lines = _with_card(lines, keyword, plain.card_text(keyword, value, comment))
    return lines + [str(card).encode('ascii') for card in new.cards]


def _with_card(lines: list[bytes], keyword: str, text: str) -> list[bytes]:
    """The cards with one put in the first place of its keyword, or at the end."""
    name = keyword.encode('ascii')
    place = next((place for place, line in enumerate(lines) if line[:8].rstrip() == name), len(lines))
    behind = place + 1
    while behind < len(lines) and lines[behind].startswith(b'CONTINUE'):
        behind += 1
    return [*lines[:place], text.encode('ascii'), *lines[behind:]]


def _summed(lines: list[bytes], datasum: int, room: int = 0) -> list[bytes]:
    """The cards with a CHECKSUM that is right for them, in so many bytes at least, and for the data."""
    made = _sum_comment()
    zeros = _with_card(lines, 'CHECKSUM', plain.card_text('CHECKSUM', '0' * 16, made))
    total = checksum.add(checksum.sum_of(_padded(zeros, room)), datasum)
    return _with_card(lines, 'CHECKSUM', plain.card_text('CHECKSUM', checksum.encode(total), made))


def _padded(lines: Sequence[bytes], room: int = 0) -> bytes:
    """A header of whole blocks, as long as there is room at least: blank cards before END fill it."""
    block = b''.join((*lines, b'END'.ljust(80)))
    length = max(len(block) + -len(block) % _BLOCK, room + -room % _BLOCK)
    if length - len(block) >= _BLOCK:
        block = b''.join(lines).ljust(length - 80) + b'END'.ljust(80)
    return block.ljust(length)


class _Packer:
    """A file that packs what is written to it.

    Not gzip's own: that one writes once more when it is thrown away after a failure, and complains aloud.
    """

    def __init__(self, compressor: Any, file: BinaryIO) -> None:
        self._compressor, self._file = compressor, file

    def write(self, data: bytes | memoryview) -> None:
        for start in range(0, len(data), _CHUNK):
            self._file.write(self._compressor.compress(data[start : start + _CHUNK]))

    def finish(self) -> None:
        self._file.write(self._compressor.flush())


@contextlib.contextmanager
def _packing(packing: str | None, file: BinaryIO) -> Iterator[BinaryIO | _Packer]:
    """The file itself, or one that packs what is written to it: 'gzip', 'bzip2'."""
    if packing is None:
        yield file
        return
    # 31 makes zlib write gzip's header, without a name and a time: equal inputs give equal bytes.
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31) if packing == 'gzip' else bz2.BZ2Compressor()
    packer = _Packer(compressor, file)
    yield packer
    packer.finish()
