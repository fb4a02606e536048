"""FITS and text outputs: complete or not at all.

An output is written to a temporary file in its own folder, flushed to disk
and then renamed, so that its name always holds a complete file.
"""

import bz2
import contextlib
import errno
import gzip
import io
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from fitsutils.errors import Failure, UsageError, show
from fitsutils.files import cards as legal
from fitsutils.files import checksum, reader
from fitsutils.files import header as headers
from fitsutils.files.naming import split_suffix

STANDARD_OUTPUT = (None, '-', 'screen', 'stdio')
_BLOCK = 2880
_BITPIX = {'u1': 8, 'i1': 8, 'i2': 16, 'u2': 16, 'i4': 32, 'u4': 32, 'i8': 64, 'u8': 64, 'f4': -32, 'f8': -64}
_CHUNK = 1 << 22  # bytes that are swapped and summed at a time


def check_outputs(
    outputs: Sequence[str],
    inputs: Iterable[str],
    *,
    force: bool = False,
    skip_existing: bool = False,
    new_folder: str | None = None,
) -> list[bool]:
    """Refuse what must not be written, before any work.

    Parameters
    ----------
    outputs : sequence of str
        Names of the files to be written.
    inputs : iterable of str
        Names of all inputs, operands and lists too.
    force : bool
        Existing outputs are replaced.
    skip_existing : bool
        Existing outputs are passed over.
    new_folder : str, optional
        The word after ``-o``: where it ends in '/', that folder may be missing, `make_folder` will make it.

    Returns
    -------
    list of bool
        For each output whether it is to be written.

    Raises
    ------
    Failure
        When an output exists or is an input, or its folder is missing or not writable.
    UsageError
        When both policies were asked for.
    """
    if force and skip_existing:
        raise UsageError('--force and --skip-existing exclude each other')
    identities = {identity: path for path in inputs if (identity := _identity(path)) is not None}
    todo = []
    for path in outputs:
        exists = os.path.lexists(path) and not _is_device(path)
        if os.path.isdir(path):
            raise Failure('is a folder', path)
        if exists and os.path.exists(path) and not os.path.isfile(path):
            raise Failure('is neither a file nor a pipe', path)
        if exists and not skip_existing and not force:
            is_input = _identity(path) in identities
            raise Failure('it is an input; --force replaces it' if is_input else 'it exists; --force replaces it', path)
        todo.append(not (exists and skip_existing))
        _check_folder(path, new_folder)
    return todo


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _is_device(path: str) -> bool:
    """Whether a path is a device or a pipe: written to as it is, never replaced."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _check_folder(path: str, new_folder: str | None) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if new_folder and new_folder.endswith('/') and not os.path.lexists(new_folder.rstrip('/')):
        while not os.path.isdir(folder):  # the nearest one that is there must let new ones be made
            folder = os.path.dirname(folder)
    if os.path.dirname(path) and not os.path.isdir(folder):
        raise Failure(f'the folder {os.path.dirname(path)} does not exist', path)
    if not _is_device(path) and not os.access(folder, os.W_OK | os.X_OK):
        raise Failure('its folder is not writable', path)
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Failure(error.strerror, path) from None


def make_folder(path: str | None) -> None:
    """Make the folder that ``-o DIR/`` names, where it is missing.

    Parameters
    ----------
    path : str, optional
        The word after ``-o``; one that does not end in '/' is left alone.

    Raises
    ------
    Failure
        When it can't be made.
    """
    if path and path.endswith('/') and not os.path.isdir(path):
        try:
            os.makedirs(path)
        except OSError as error:
            raise Failure(f'the folder can not be made: {error.strerror}', path) from error


@contextlib.contextmanager
def complete_file(path: str) -> Iterator[BinaryIO]:
    """A file that stands under its name only once the block has ended well.

    Parameters
    ----------
    path : str
        Name of the output. A symbolic link stays one: its target is replaced.
        A device or a pipe is written to directly.

    Yields
    ------
    file object
        Open for writing bytes.

    Raises
    ------
    Failure
        When anything can't be written; the old file stands and nothing is left behind.
    """
    try:
        if _is_device(path):
            with open(path, 'wb') as file:
                yield file
        else:
            yield from _replacing(os.path.realpath(path))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise Failure(f'can not be written: {error.strerror or error}', path) from error


def _replacing(target: str) -> Iterator[BinaryIO]:
    folder, name = os.path.split(target)
    suffixes = ''.join(split_suffix(name)[1:])
    temporary = os.path.join(folder, f'.{os.urandom(6).hex()}{suffixes}')
    mode = stat.S_IMODE(os.stat(target).st_mode) if os.path.exists(target) else None
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, 'O_CLOEXEC', 0), 0o666)
    try:
        with os.fdopen(descriptor, 'wb') as file:
            yield file
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make the new name as durable as the data; file systems that can't are no reason to fail."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: str | None, text: str, *, append: bool = False) -> str | None:
    """Write a text to standard output or to a file, there complete or not at all.

    Parameters
    ----------
    path : str or None
        Its name; None, '-', 'screen' and 'stdio' mean standard output.
    text : str
        All of its text.
    append : bool
        What the file holds already stays in front.

    Returns
    -------
    str or None
        The file's name; None when the text went to standard output.

    Raises
    ------
    Failure
        When it can't be written.
    """
    if path in STANDARD_OUTPUT:
        show(text)
        return None
    before = b''
    if append and os.path.exists(path) and not _is_device(path):
        with open(path, 'rb') as file:
            before = file.read()
    with complete_file(path) as file:
        file.write(before)
        file.write(text.encode('utf-8', 'surrogateescape'))
    return path


Part = tuple[NDArray, fits.Header]


def write_fits(path: str, parts: Sequence[Part | fits.BinTableHDU]) -> None:
    """Write images, and tables behind them, to one FITS file with CHECKSUM and DATASUM.

    The suffix of the name tells the form: ``.gz`` is packed with gzip, ``.fz``
    is tile-compressed without loss.

    Parameters
    ----------
    path : str
        Name of the file.
    parts : sequence of (ndarray, Header) or BinTableHDU
        The first image becomes the primary HDU, what follows become
        extensions. Pixels keep their type, unsigned integers by way of BZERO;
        structural cards of the header are left out, cards that break the
        standard are repaired or left out with a warning.

    Raises
    ------
    Failure
        When the file can't be written.
    """
    packed = split_suffix(os.path.basename(path))[2].lower()
    if packed == '.bz2':
        raise UsageError(f'{path}: outputs are compressed with .gz or .fz')
    with complete_file(path) as file:
        if packed == '' and file.seekable():
            _write_parts(file, path, parts)
            return
        buffer = io.BytesIO()
        _write_parts(buffer, path, parts)
        if packed == '.gz':
            # No name and no time in the gzip header: equal inputs give equal bytes.
            with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0, compresslevel=6) as zipped:
                zipped.write(buffer.getbuffer())
        elif packed == '.fz':
            file.write(_tiled(buffer, path))
        else:
            file.write(buffer.getbuffer())


def _write_parts(file: BinaryIO, path: str, parts: Sequence[Part | fits.BinTableHDU]) -> None:
    for number, part in enumerate(parts):
        if isinstance(part, fits.BinTableHDU):
            file.write(_table_bytes(part))
        else:
            _write_image(file, path, *part, primary=number == 0, more=len(parts) > 1)


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
    return _with_sums(out, path)


def _with_sums(file: io.BytesIO, path: str) -> bytes:
    """A whole file with CHECKSUM and DATASUM in every HDU; astropy sums up tables, but not tile-compressed images."""
    pieces = []
    for hdu in reader.walk(file, path):
        file.seek(hdu.start)
        lines = _lines(file.read(hdu.offset - hdu.start))
        data = file.read(-(-hdu.size // _BLOCK) * _BLOCK)
        datasum = checksum.sum_of(data)
        lines = _with_card(lines, 'DATASUM', str(fits.Card('DATASUM', str(datasum), _sum_comment())))
        pieces += [_padded(_summed(lines, datasum)), data]
    return b''.join(pieces)


def _sum_comment() -> str:
    return f'sum made {headers.stamp()}'


def _write_image(file: BinaryIO, path: str, pixels: NDArray, header: fits.Header, *, primary: bool, more: bool) -> None:
    cards = structure(pixels, primary=primary, more=more) + legal.legal_cards(header, path)
    cards.append(fits.Card('DATE', headers.stamp(), 'UTC date when this file was written'))
    text = ''.join(map(str, cards))
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
    sums = fits.Card('CHECKSUM', code, made), fits.Card('DATASUM', str(datasum), made)
    return _padded([(text + ''.join(map(str, sums))).encode('ascii')])


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


def structure(pixels: NDArray, *, primary: bool, more: bool = False) -> list[fits.Card]:
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
    list of Card
        From SIMPLE or XTENSION to BZERO.
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
    return [fits.Card(*card) for card in cards]


def check_text(
    path: str | None, inputs: Iterable[str], *, append: bool = False, force: bool = False, skip_existing: bool = False
) -> bool:
    """Refuse a text output that must not be written, before any work.

    Parameters
    ----------
    path : str or None
        The word after ``-o``; None, '-', 'screen' and 'stdio' mean standard output.
    inputs : iterable of str
        Names of all inputs.
    append : bool
        Text is added to a file that exists.
    force, skip_existing : bool
        As in `check_outputs`.

    Returns
    -------
    bool
        Whether there is anything to do.

    Raises
    ------
    Failure
        When the file exists, is an input, or can't be made.
    """
    if path in STANDARD_OUTPUT:
        if append:
            raise UsageError('--append needs -o FILE')
        return True
    if append and (force or skip_existing):
        raise UsageError('--append excludes --force and --skip-existing')
    if append and _identity(path) is not None and _identity(path) in map(_identity, inputs):
        raise Failure('it is an input', path)
    return check_outputs([path], inputs, force=force or append, skip_existing=skip_existing)[0]


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
    with reader.named_errors(path), reader.open_bytes(path) as file:
        found = reader.find_hdu(file, path, index)
        file.seek(found.start)
        lines = _edited(_lines(file.read(found.offset - found.start)), cards, history)
        if any(line.startswith(b'CHECKSUM=') for line in lines):
            lines = _summed(lines, checksum.sum_of_file(file, -(-found.size // _BLOCK) * _BLOCK))
        with complete_file(path) as out, _packed_like(path, out) as target:
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
    new = fits.Header()
    for line in history:
        new.add_history(headers.ascii_text(line))
    for keyword, value, comment in cards:
        lines = _with_card(lines, keyword, str(fits.Card(keyword, value, comment)))
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
    zeros = _with_card(lines, 'CHECKSUM', str(fits.Card('CHECKSUM', '0' * 16, made)))
    total = checksum.add(checksum.sum_of(_padded(zeros)), datasum)
    return _with_card(lines, 'CHECKSUM', str(fits.Card('CHECKSUM', checksum.encode(total), made)))


def _padded(lines: Sequence[bytes]) -> bytes:
    block = b''.join((*lines, b'END'.ljust(80)))
    return block + b' ' * (-len(block) % _BLOCK)


@contextlib.contextmanager
def _packed_like(path: str, file: BinaryIO) -> Iterator[BinaryIO]:
    """The file itself, or one that packs what is written to it as `path` is packed."""
    packing = reader.packing(path)
    if packing is None:
        yield file
    elif packing == 'gzip':
        with gzip.GzipFile(filename='', mode='wb', fileobj=file, mtime=0) as packed:
            yield packed
    else:
        with bz2.open(file, 'wb') as packed:
            yield packed
