"""FITS files, written with their sums, and headers of files that are there already."""

from __future__ import annotations

import bz2
import contextlib
import io
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure, UsageError
from fitsutils.files import cards as legal
from fitsutils.files import checksum, hdus, output, plain
from fitsutils.files import header as headers
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
        file = opened.enter_context(output.complete_file(path))
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
    with hdus.named_errors(path), hdus.open_bytes(path) as file:
        found = hdus.find_hdu(file, path, index)
        file.seek(found.start)
        lines = _edited(_lines(file.read(found.offset - found.start)), cards, history)
        if any(line.startswith(b'CHECKSUM=') for line in lines):
            lines = _summed(lines, checksum.sum_of_file(file, -(-found.size // _BLOCK) * _BLOCK))
        with output.complete_file(path) as out, _packing(hdus.packing(path), out) as target:
            file.seek(0)
            target.write(file.read(found.start))
            target.write(_padded(lines))
            file.seek(found.offset)
            shutil.copyfileobj(file, target, _CHUNK)


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


def _summed(lines: list[bytes], datasum: int) -> list[bytes]:
    """The cards with a CHECKSUM that is right for them and for the data."""
    made = _sum_comment()
    zeros = _with_card(lines, 'CHECKSUM', plain.card_text('CHECKSUM', '0' * 16, made))
    total = checksum.add(checksum.sum_of(_padded(zeros)), datasum)
    return _with_card(lines, 'CHECKSUM', plain.card_text('CHECKSUM', checksum.encode(total), made))


def _padded(lines: Sequence[bytes]) -> bytes:
    block = b''.join((*lines, b'END'.ljust(80)))
    return block + b' ' * (-len(block) % _BLOCK)


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
