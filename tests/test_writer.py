import bz2
import contextlib
import errno
import gzip
import io
import os
import stat
import threading
import time
import warnings

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.errors import Failure, FileWarning, UsageError
from fitsutils.files import hdus, reader, writer
from fitsutils.files import header as headers
from fitsutils.files import output as outputs
from fitsutils.files.inputs import Reference

KINDS = ('u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'f4', 'f8')


def numbers(kind, shape):
    rng = np.random.default_rng(11)
    dtype = np.dtype(kind)
    if dtype.kind == 'f':
        array = rng.normal(0, 1e5, shape).astype(dtype)
        array.flat[:4] = np.nan, np.inf, -np.inf, -0.0
        return array
    limits = np.iinfo(dtype)
    array = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    array.flat[:2] = limits.min, limits.max
    return array


def read_back(path, hdu=None):
    return reader.read_pixels(reader.open_image(Reference(str(path)), hdu), checksum='error')


def identical(found, array):
    assert found.dtype.newbyteorder('=') == array.dtype.newbyteorder('=')
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def leftovers(folder):
    return sorted(name for name in os.listdir(folder) if name.startswith('.'))


class TestPixels:
    @pytest.mark.parametrize('shape', [(13,), (7, 11), (3, 5, 9)])
    @pytest.mark.parametrize(
        ('kind', 'suffix'),
        [(kind, suffix) for kind in KINDS for suffix in ('.fits', '.fit.gz', '.fts.fz')]
        + [('i8', '.fits'), ('u8', '.fits.gz')],
    )
    def test_come_back_as_they_were(self, tmp_path, kind, shape, suffix):
        array = numbers(kind, shape)
        before = array.copy()
        path = tmp_path / f'a{suffix}'
        writer.write_fits(str(path), [(array, fits.Header())])
        identical(array, before)
        identical(read_back(path), array)
        with fits.open(path, checksum=True) as hdus:
            identical(hdus[-1].data, array)

    @pytest.mark.parametrize(
        'make', [np.asfortranarray, lambda a: a[::-1, ::2], lambda a: a.astype(a.dtype.newbyteorder())]
    )
    def test_of_any_layout_in_memory(self, tmp_path, make):
        array = make(numbers('f4', (7, 10)))
        writer.write_fits(str(tmp_path / 'a.fits'), [(array, fits.Header())])
        identical(read_back(tmp_path / 'a.fits'), array)

    def test_more_than_one_chunk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(writer, '_CHUNK', 16)
        array = numbers('u2', (7, 11))
        writer.write_fits(str(tmp_path / 'a.fits'), [(array, fits.Header())])
        identical(read_back(tmp_path / 'a.fits'), array)

    def test_64_bits_in_tiles_are_refused(self, tmp_path):
        with pytest.raises(Failure, match='can not be tile-compressed'):
            writer.write_fits(str(tmp_path / 'a.fits.fz'), [(numbers('i8', (3, 4)), fits.Header())])
        assert os.listdir(tmp_path) == []

    def test_bzip2_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match=r'\.gz or \.fz'):
            writer.write_fits(str(tmp_path / 'a.fits.bz2'), [(numbers('u1', (3, 4)), fits.Header())])
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize('suffix', ['.fits', '.fits.gz', '.fits.fz'])
    def test_several_parts(self, tmp_path, suffix):
        path = tmp_path / f'a{suffix}'
        table = fits.BinTableHDU.from_columns([fits.Column('n', 'J', array=[1, 2, 3])], name='INPUTS')
        sci, err = numbers('f4', (5, 7)), numbers('u2', (4, 6))
        writer.write_fits(
            str(path), [(sci, fits.Header({'OBJECT': 'M 1'})), (err, fits.Header({'EXTNAME': 'ERR'})), table]
        )
        identical(read_back(path), sci)
        identical(read_back(path, 'ERR'), err)
        with fits.open(path, checksum=True) as hdus:
            np.testing.assert_array_equal(hdus['INPUTS'].data['n'], [1, 2, 3])


class TestBytes:
    @pytest.mark.parametrize('suffix', ['.fits', '.fits.gz', '.fits.fz'])
    def test_follow_from_the_input_and_the_epoch(self, tmp_path, monkeypatch, suffix):
        monkeypatch.setenv('SOURCE_DATE_EPOCH', '1614398400')
        content = set()
        for name in ('one', 'another'):
            path = tmp_path / f'{name}{suffix}'
            writer.write_fits(str(path), [(numbers('f4', (7, 11)), fits.Header({'OBJECT': 'M 1'}))])
            content.add(path.read_bytes())
            if suffix == '.fits.fz':
                time.sleep(1.1)  # gzip counts whole seconds, and each tile has a clock of its own
        assert len(content) == 1
        assert hdus.read_header(Reference(str(path)))['DATE'] == '2021-02-27T04:00:00'

    def test_differ_in_moments_only(self, tmp_path, monkeypatch):
        contents = []
        for epoch in ('1614398400', '1700000000'):
            monkeypatch.setenv('SOURCE_DATE_EPOCH', epoch)
            writer.write_fits(str(tmp_path / f'{epoch}.fits'), [(numbers('i2', (7, 11)), fits.Header({'A': 1}))])
            contents.append((tmp_path / f'{epoch}.fits').read_bytes())
        cards = [[content[at : at + 80] for at in range(0, len(content), 80)] for content in contents]
        assert {one[:8] for one, other in zip(*cards, strict=True) if one != other} == {
            b'DATE    ',
            b'CHECKSUM',
            b'DATASUM ',
        }

    @pytest.mark.parametrize('epoch', ['soon', '1e9', '99999999999999999'])
    def test_an_epoch_that_is_none(self, tmp_path, monkeypatch, epoch):
        monkeypatch.setenv('SOURCE_DATE_EPOCH', epoch)
        with pytest.raises(Failure, match='SOURCE_DATE_EPOCH'):
            writer.write_fits(str(tmp_path / 'a.fits'), [(numbers('i2', (7, 11)), fits.Header())])
        assert os.listdir(tmp_path) == []

    def test_checksum_holds_when_the_clock_ticks(self, tmp_path, monkeypatch):
        """The comments of the sums once came from two looks at the clock."""
        moments = iter(f'2021-02-27T04:00:{second:02d}' for second in range(60))
        monkeypatch.setattr(headers, 'stamp', lambda: next(moments))
        for suffix in ('.fits', '.fits.fz'):
            writer.write_fits(str(tmp_path / f'a{suffix}'), [(numbers('i2', (7, 11)), fits.Header())])
            read_back(tmp_path / f'a{suffix}')
        writer.update_header(str(tmp_path / 'a.fits'), 0, [('MEAN', 1.5, '')], ['x'])
        read_back(tmp_path / 'a.fits')


class TestTables:
    def test_a_table_behind_an_image(self, tmp_path):
        columns = {
            'pixel': range(1, 4),
            'data': np.array([0.1, np.nan, 3], 'f4'),
            'used': np.array([True, False, True]),
        }
        path = str(tmp_path / 'a.fits')
        writer.write_fits(path, [(np.ones((2, 3), 'f4'), fits.Header()), writer.table('T', columns, {'data': 'adu'})])
        with fits.open(path, checksum=True) as found:
            table = found['T']
            assert (table.columns.names, table.columns.formats) == (['pixel', 'data', 'used'], ['J', 'D', 'L'])
            assert [table.columns[name].unit for name in table.columns.names] == [None, 'adu', None]
            np.testing.assert_array_equal(table.data['pixel'], [1, 2, 3])
            np.testing.assert_array_equal(table.data['data'], columns['data'].astype('f8'))
            np.testing.assert_array_equal(table.data['used'], columns['used'])


class TestComplete:
    """The name holds the old file or the new one."""

    def test_permissions_of_a_new_file_follow_umask(self, tmp_path):
        before = os.umask(0o027)
        try:
            with outputs.complete_file(str(tmp_path / 'a')) as file:
                file.write(b'x')
        finally:
            os.umask(before)
        assert stat.S_IMODE(os.stat(tmp_path / 'a').st_mode) == 0o640

    def test_permissions_of_an_old_file_stay(self, tmp_path):
        (tmp_path / 'a').write_bytes(b'old')
        os.chmod(tmp_path / 'a', 0o604)
        with outputs.complete_file(str(tmp_path / 'a')) as file:
            file.write(b'new')
        assert stat.S_IMODE(os.stat(tmp_path / 'a').st_mode) == 0o604
        assert (tmp_path / 'a').read_bytes() == b'new'

    @pytest.mark.parametrize('exists', [True, False])
    def test_a_symbolic_link_stays_one(self, tmp_path, exists):
        (tmp_path / 'there').mkdir()
        target = tmp_path / 'there' / 'real.fits'
        if exists:
            target.write_bytes(b'old')
        os.symlink('there/real.fits', tmp_path / 'link.fits')
        writer.write_fits(str(tmp_path / 'link.fits'), [(numbers('u1', (3, 4)), fits.Header())])
        assert os.readlink(tmp_path / 'link.fits') == 'there/real.fits'
        identical(read_back(target), numbers('u1', (3, 4)))

    @pytest.mark.parametrize(
        'name', ['x' * 250 + '.fits', 'n\new.fits', ' .fits', '-f.fits', os.fsdecode(b'\xff.fits')]
    )
    def test_odd_names(self, tmp_path, name):
        path = os.path.join(tmp_path, name)
        writer.write_fits(path, [(numbers('u1', (3, 4)), fits.Header())])
        identical(read_back(path), numbers('u1', (3, 4)))
        assert os.listdir(tmp_path) == [name]

    @pytest.mark.parametrize('error', [errno.ENOSPC, errno.EIO, errno.EDQUOT])
    @pytest.mark.parametrize('call', ['fsync', 'replace', 'fdopen'])
    @pytest.mark.parametrize('old', [b'old', None])
    def test_what_fails_leaves_the_old_file(self, tmp_path, monkeypatch, call, error, old):
        if old is not None:
            (tmp_path / 'a.fits').write_bytes(old)

        def failing(*_, **__):
            raise OSError(error, os.strerror(error))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            with pytest.raises(Failure, match=rf'a\.fits: can not be written: {os.strerror(error)}'):
                writer.write_fits(str(tmp_path / 'a.fits'), [(numbers('u1', (3, 4)), fits.Header())])
        assert os.listdir(tmp_path) == ([] if old is None else ['a.fits'])
        assert old is None or (tmp_path / 'a.fits').read_bytes() == old

    @pytest.mark.parametrize('suffix', ['.fits', '.fits.gz', '.fits.fz'])
    def test_every_write_may_fail(self, tmp_path, monkeypatch, suffix):
        """The n-th write fails, for n = 1, 2, 3 ... until all goes well."""
        path = tmp_path / f'a{suffix}'
        path.write_bytes(b'old')
        real = os.fdopen
        for allowed in range(100):
            with monkeypatch.context() as patch:
                patch.setattr(os, 'fdopen', lambda *args, left=allowed: Failing(real(*args), left))
                try:
                    writer.write_fits(str(path), [(numbers('u2', (7, 11)), fits.Header())])
                    break
                except Failure as failure:
                    text = str(failure)
            assert text.endswith('can not be written: No space left on device')
            assert os.listdir(tmp_path) == [path.name]
            assert path.read_bytes() == b'old'
        assert allowed >= 1
        identical(read_back(path), numbers('u2', (7, 11)))

    def test_an_exception_of_any_kind(self, tmp_path):
        (tmp_path / 'a').write_bytes(b'old')
        with contextlib.suppress(KeyboardInterrupt), outputs.complete_file(str(tmp_path / 'a')) as file:
            file.write(b'new')
            raise KeyboardInterrupt
        assert os.listdir(tmp_path) == ['a']
        assert (tmp_path / 'a').read_bytes() == b'old'

    @pytest.mark.unverified
    def test_a_temporary_file_is_hidden_and_beside_the_output(self, tmp_path):
        with outputs.complete_file(str(tmp_path / 'a.fits.gz')):
            (name,) = os.listdir(tmp_path)
            assert name.startswith('.')
            assert name.endswith('.fits.gz')

    def test_two_at_once(self, tmp_path):
        arrays = [np.full((50, 70), number, 'i2') for number in range(6)]
        work = [
            threading.Thread(target=writer.write_fits, args=(str(tmp_path / 'a.fits'), [(array, fits.Header())]))
            for array in arrays
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        found = read_back(tmp_path / 'a.fits')
        assert any(np.array_equal(found, array) for array in arrays)
        assert os.listdir(tmp_path) == ['a.fits']

    def test_a_device_is_written_to(self, tmp_path):
        before = os.stat('/dev/null')
        writer.write_fits('/dev/null', [(numbers('u1', (3, 4)), fits.Header())])
        assert os.stat('/dev/null').st_ino == before.st_ino
        with pytest.raises(Failure, match='/dev/full: can not be written'):
            writer.write_fits('/dev/full', [(numbers('u1', (3, 4)), fits.Header())])

    def test_a_pipe_is_written_to(self, tmp_path):
        os.mkfifo(tmp_path / 'p.fits')
        found = []
        thread = threading.Thread(target=lambda: found.append((tmp_path / 'p.fits').read_bytes()))
        thread.start()
        writer.write_fits(str(tmp_path / 'p.fits'), [(numbers('u1', (3, 4)), fits.Header())])
        thread.join()
        assert stat.S_ISFIFO(os.stat(tmp_path / 'p.fits').st_mode)
        (tmp_path / 'a.fits').write_bytes(found[0])
        identical(read_back(tmp_path / 'a.fits'), numbers('u1', (3, 4)))


class Failing:
    """A file with room for a number of writes."""

    def __init__(self, file, allowed):
        self._file, self._allowed = file, allowed

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        if not self._allowed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._allowed -= 1
        return self._file.write(data)


@pytest.mark.unverified
class TestUpdateHeader:
    """The cards that are asked for change; nothing else does, byte for byte."""

    CARDS = (('MEAN', 1.25, 'mean of the pixels'), ('EXPTIME', 61.0, 'changed'), ('NONE', None, 'not finite'))

    @pytest.fixture
    def content(self, tmp_path):
        """A file with all kinds of cards, and two extensions, with or without sums."""
        header = fits.Header({'OBJECT': 'M 1', 'EXPTIME': 60.0})
        header['LONG'] = 'much ' * 30
        header['HIERARCH ESO DET ID'] = 'x'
        header.add_history('made by hand')
        hdus = [fits.PrimaryHDU(numbers('u2', (7, 11)), header), fits.ImageHDU(numbers('f4', (5, 9)), name='SCI')]
        hdus.append(fits.ImageHDU(numbers('i2', (4, 6)), header.copy(), name='DQ'))
        fits.HDUList(hdus).writeto(tmp_path / 'made.fits', checksum=True)
        return (tmp_path / 'made.fits').read_bytes()

    @pytest.mark.parametrize('index', [0, 1, 2])
    @pytest.mark.parametrize(
        ('name', 'pack', 'unpack'),
        [('a.fits', bytes, bytes), ('a.fits.gz', gzip.compress, gzip.decompress), ('a', bz2.compress, bz2.decompress)],
    )
    def test_the_rest_stays(self, tmp_path, content, index, name, pack, unpack):
        path = tmp_path / name
        path.write_bytes(pack(content))
        writer.update_header(str(path), index, self.CARDS, ['img_stats a.fits', 'long ' * 30])
        after = unpack(path.read_bytes())
        old, new = self.pieces(content), self.pieces(after)
        for number in range(3):
            assert old[number][1] == new[number][1]
            if number != index:
                assert old[number][0] == new[number][0]
        assert leftovers(tmp_path) == []
        changed = {card[:8].decode().strip() for card in set(new[index][0]) - set(old[index][0])}
        assert changed == {'MEAN', 'EXPTIME', 'NONE', 'HISTORY', 'CHECKSUM'}
        (tmp_path / 'plain.fits').write_bytes(after)
        with fits.open(tmp_path / 'plain.fits', checksum=True) as hdus:
            assert [hdu.verify_checksum() for hdu in hdus] == [1, 1, 1]
            header = hdus[index].header
            assert (header['MEAN'], header['EXPTIME']) == (1.25, 61.0)
            assert 'NONE' in header
            assert header['NONE'] is None
            assert list(header['HISTORY'])[-4] == 'img_stats a.fits'
            assert ''.join(header['HISTORY'][-3:]).replace(' ', '') == 'long' * 30
        reader.read_pixels(reader.open_image(Reference(str(path)), index), checksum='error')

    @staticmethod
    def pieces(content):
        """Cards and data of each HDU."""
        found = []
        with fits.open(io.BytesIO(content)) as hdus:
            for hdu in hdus:
                place = hdu.fileinfo()
                head = content[place['hdrLoc'] : place['datLoc']]
                data = content[place['datLoc'] : place['datLoc'] + place['datSpan']]
                found.append(([head[at : at + 80] for at in range(0, len(head), 80)], data))
        return found

    @pytest.mark.parametrize('free', range(6))
    def test_a_header_that_grows(self, tmp_path, free):
        """Whether the block has room for none, some or all of the new cards."""
        header = fits.Header([(f'KEY{number}', number) for number in range(36 - 5 - 1 - free)])
        fits.PrimaryHDU(numbers('i2', (5, 7)), header).writeto(tmp_path / 'a.fits')
        writer.update_header(str(tmp_path / 'a.fits'), 0, [(f'NEW{number}', number, '') for number in range(3)], ['x'])
        found = fits.getheader(tmp_path / 'a.fits')
        assert [found[f'NEW{number}'] for number in range(3)] == [0, 1, 2]
        assert 'CHECKSUM' not in found
        identical(read_back(tmp_path / 'a.fits'), numbers('i2', (5, 7)))

    def test_room_before_end_is_used(self, tmp_path):
        fits.PrimaryHDU(numbers('i2', (5, 7)), fits.Header([('A', 1)] + [('', '')] * 40)).writeto(tmp_path / 'a.fits')
        size = os.path.getsize(tmp_path / 'a.fits')
        writer.update_header(str(tmp_path / 'a.fits'), 0, [('B', 2, '')], [])
        found = list(fits.getheader(tmp_path / 'a.fits'))
        assert [key for key in found if key][-2:] == ['A', 'B']
        assert os.path.getsize(tmp_path / 'a.fits') == size  # the data stay in their place, and END in the last block
        identical(read_back(tmp_path / 'a.fits'), numbers('i2', (5, 7)))

    def test_a_value_over_several_cards_is_replaced_whole(self, tmp_path):
        header = fits.Header({'MEAN': 'much ' * 30, 'NEXT': 5})
        fits.PrimaryHDU(numbers('i2', (5, 7)), header).writeto(tmp_path / 'a.fits')
        writer.update_header(str(tmp_path / 'a.fits'), 0, [('MEAN', 1, '')], [])
        found = fits.getheader(tmp_path / 'a.fits')
        assert (found['MEAN'], found['NEXT'], 'CONTINUE' in found) == (1, 5, False)

    def test_odd_cards_stay_as_they_are(self, tmp_path):
        odd = ["OBSERVER= 'J\xf8rgen'", 'lower   =3', "OPEN    = 'no end", 'MEAN    = old', 'MEAN    = 7']
        cards = ['SIMPLE  =                    T', 'BITPIX  =                    8', 'NAXIS   =                    1',
                 'NAXIS1  =                    3', *odd, 'END']  # fmt: skip
        head = ''.join(card.ljust(80) for card in cards).encode('latin-1')
        (tmp_path / 'a.fits').write_bytes(head.ljust(2880) + b'abc'.ljust(2880, b'\0') + b'behind')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            writer.update_header(str(tmp_path / 'a.fits'), 0, [('MEAN', 1.5, '')], [])
        expected = head.replace(b'MEAN    = old'.ljust(80), str(fits.Card('MEAN', 1.5)).encode())
        assert (tmp_path / 'a.fits').read_bytes() == expected.ljust(2880) + b'abc'.ljust(2880, b'\0') + b'behind'

    def test_of_a_tile_compressed_image(self, tmp_path):
        array = numbers('i2', (5, 7))
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(array)]).writeto(tmp_path / 'a.fits.fz', checksum=True)
        writer.update_header(str(tmp_path / 'a.fits.fz'), 1, [('MEAN', 1.5, '')], [])
        assert hdus.read_header(Reference(str(tmp_path / 'a.fits.fz')))['MEAN'] == 1.5
        identical(read_back(tmp_path / 'a.fits.fz'), array)

    def test_a_failure_leaves_the_old_file(self, tmp_path, monkeypatch, content):
        (tmp_path / 'a.fits').write_bytes(content)
        before = os.listdir(tmp_path)

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, 'fsync', full)
            with pytest.raises(Failure, match='No space left'):
                writer.update_header(str(tmp_path / 'a.fits'), 0, self.CARDS, [])
        assert (tmp_path / 'a.fits').read_bytes() == content
        assert os.listdir(tmp_path) == before

    def test_a_packed_file_that_is_damaged(self, tmp_path, content):
        packed = gzip.compress(content)
        (tmp_path / 'a.fits.gz').write_bytes(packed[:-9])
        with pytest.raises(Failure, match=r'a\.fits\.gz'):
            writer.update_header(str(tmp_path / 'a.fits.gz'), 0, self.CARDS, [])
        assert (tmp_path / 'a.fits.gz').read_bytes() == packed[:-9]
        assert leftovers(tmp_path) == []

    def test_no_such_hdu(self, tmp_path, content):
        (tmp_path / 'a.fits').write_bytes(content)
        with pytest.raises(Failure, match='there is no HDU 3'):
            writer.update_header(str(tmp_path / 'a.fits'), 3, self.CARDS, [])
