import bz2
import gzip
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import hdus, reader, stack, writer
from fitsutils.files.inputs import Reference
from fitsutils.files.section import parse_section

BLOCK = 2880
KINDS = ('u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f4', 'f8')


def numbers(kind, shape, seed=1):
    """Pixels over the whole range of a type, both ends with them."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(kind)
    if dtype.kind == 'f':
        array = rng.normal(1000, 1e5, shape).astype(dtype)
        array.flat[:2] = np.nan, np.inf
        return array
    limits = np.iinfo(dtype)
    array = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    array.flat[:2] = limits.min, limits.max
    return array


def opened(path, section=None, hdu=None):
    return reader.open_image(Reference(str(path)), hdu, section and parse_section(section))


def whole(image, kind):
    """All rows of an image through `read_pixels`."""
    return reader.read_pixels(image).reshape(-1, image.shape[-1]).astype(kind)


def in_bands(rows, height):
    return np.concatenate([rows.read(at, min(at + height, rows.rows)) for at in range(0, rows.rows, height)], axis=1)


def write(path, array, **cards):
    """An image as astropy writes it, packed as the name says."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        hdu = (
            fits.PrimaryHDU(array)
            if path.suffix != '.fz'
            else fits.CompImageHDU(array, tile_shape=cards.pop('tile', None))
        )
        for key, value in cards.items():
            hdu.header[key] = value
        plain = path.with_suffix('') if path.suffix in ('.gz', '.bz2') else path
        fits.HDUList([hdu] if path.suffix != '.fz' else [fits.PrimaryHDU(), hdu]).writeto(plain)
    if path.suffix == '.gz':
        path.write_bytes(gzip.compress(plain.read_bytes()))
    if path.suffix == '.bz2':
        path.write_bytes(bz2.compress(plain.read_bytes()))
    return path


class TestStack:
    def test_sizes_differ(self, tmp_path):
        for name, shape in (('a', (3, 4)), ('b', (5, 4)), ('c', (3, 4))):
            write(tmp_path / f'{name}.fits', np.zeros(shape))
        references = [Reference(str(tmp_path / f'{name}.fits')) for name in 'acb']
        with pytest.raises(Failure, match=r'4 x 3: .*a\.fits and 1 more; 4 x 5: .*b\.fits'):
            stack.open_stack(references)
        assert [image.shape for image in stack.open_stack(references[:2])] == [(3, 4), (3, 4)]

    def test_left_out(self, tmp_path):
        write(tmp_path / 'a.fits', np.zeros((3, 4)))
        said = []
        references = [Reference(str(tmp_path / name)) for name in ('gone.fits', 'a.fits')]
        assert len(stack.open_stack(references, leave_out=said.append)) == 1
        assert 'gone.fits' in str(said[0])
        with pytest.raises(Failure, match='no image is left'):
            stack.open_stack(references[:1], leave_out=said.append)

    def test_keywords_that_are_wanted(self, tmp_path):
        write(tmp_path / 'a.fits', np.zeros((3, 4)), LEVEL=2.5)
        image = stack.open_stack([Reference(str(tmp_path / 'a.fits'))], keywords=['level'])[0]
        assert dict(image.keywords)['LEVEL'] == 2.5


class TestBands:
    @pytest.mark.parametrize('kind', KINDS)
    @pytest.mark.parametrize('shape', [(13,), (7, 11), (3, 5, 9), (2, 3, 4, 5)])
    def test_every_type_and_number_of_axes(self, tmp_path, kind, shape):
        images = [opened(write(tmp_path / f'{number}.fits', numbers(kind, shape, number))) for number in range(3)]
        with stack.opened(images) as rows:
            assert (rows.shape, rows.dtype) == (shape, np.dtype(kind))
            assert rows.rows == np.prod(shape[:-1], dtype=int)
            for height in (1, 2, rows.rows):
                found = in_bands(rows, height)
                assert found.dtype.isnative
                np.testing.assert_array_equal(found, [whole(image, kind) for image in images])
            np.testing.assert_array_equal(rows.read_one(2, 0, rows.rows), whole(images[2], kind))

    @pytest.mark.parametrize(
        'cards', [{'BSCALE': 0.5, 'BZERO': 3}, {'BLANK': 5}, {'BSCALE': -2.0, 'BLANK': 7}, {'BZERO': 1e9}]
    )
    @pytest.mark.parametrize('kind', ['u1', 'i2', 'i4'])
    @pytest.mark.parametrize('suffix', ['.fits', '.fits.gz', '.fits.fz'])
    def test_scaled_and_blank(self, tmp_path, cards, kind, suffix):
        path = write(tmp_path / f'a{suffix}', np.arange(63, dtype=kind).reshape(7, 9), **cards)
        image, other = opened(path), opened(write(tmp_path / 'b.fits', numbers('u2', (7, 9))))
        with stack.opened([image, other]) as rows:
            assert rows.dtype == np.result_type(image.dtype, 'u2')
            np.testing.assert_array_equal(in_bands(rows, 2), [whole(image, rows.dtype), whole(other, rows.dtype)])
        if 'BLANK' in cards:
            assert np.isnan(reader.read_pixels(image)).sum() == 1

    def test_rows_wider_than_a_piece(self, tmp_path):
        array = numbers('u2', (3, 200_001))
        with stack.opened([opened(write(tmp_path / 'a.fits', array))] * 2) as rows:
            np.testing.assert_array_equal(in_bands(rows, 2), [array, array])

    def test_out_is_filled(self, tmp_path):
        array = numbers('i2', (7, 11))
        with stack.opened([opened(write(tmp_path / 'a.fits', array))]) as rows:
            room = np.zeros((4, 9, 23), 'i2')
            out = room[1:2, 2:6, 3:14]
            assert rows.read(3, 7, out) is out
            np.testing.assert_array_equal(out[0], array[3:])
            assert np.count_nonzero(room) == np.count_nonzero(array[3:])
            for wrong in (np.zeros((1, 4, 11), 'i4'), np.zeros((1, 3, 11), 'i2'), np.zeros((2, 4, 11), 'i2')):
                with pytest.raises(ValueError, match='do not go into'):
                    rows.read(3, 7, wrong)
            with pytest.raises(ValueError, match='rows 3 to 8 of 7'):
                rows.read(3, 8)

    def test_images_of_different_shapes_want_places(self, tmp_path):
        images = [opened(write(tmp_path / f'{rows}.fits', np.zeros((rows, 4)))) for rows in (3, 5)]
        with pytest.raises(ValueError, match='need places'), stack.opened(images):
            pass

    @pytest.mark.parametrize('names', [('.fits', '.fits.gz'), ('.fits.fz', '.fits.bz2'), ('.fits.fz', '.fits.fz')])
    @pytest.mark.parametrize('kind', ['u2', 'i4', 'f4'])
    def test_packed_and_tiled(self, tmp_path, monkeypatch, names, kind):
        monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'tmp'))
        (tmp_path / 'tmp').mkdir()
        rng = np.random.default_rng(1)
        arrays = [rng.normal(900, 200, (5, 6, 7)).astype(kind) for _ in names]
        images = [opened(write(tmp_path / f'{n}{end}', arrays[n])) for n, end in enumerate(names)]
        expected = [whole(image, kind) for image in images]
        with stack.opened(images) as rows:
            assert os.listdir(tmp_path / 'tmp')
            np.testing.assert_array_equal(in_bands(rows, 4), expected)
        assert os.listdir(tmp_path / 'tmp') == []
        assert not any(image.stored.is_copy for image in images)

    def test_tiles_within_gzip_and_of_several_rows(self, tmp_path):
        array = numbers('i2', (23, 11))
        plain = write(tmp_path / 'a.fits.fz', array, tile=(4, 11))
        (tmp_path / 'b.fits.gz').write_bytes(gzip.compress(plain.read_bytes()))
        images = [opened(plain, '[2:5,3:9]'), opened(tmp_path / 'b.fits.gz', '[2:5,3:9]')]
        with stack.opened(images, checksum='error') as rows:
            np.testing.assert_array_equal(in_bands(rows, 3), [array[2:9, 1:5]] * 2)

    @pytest.mark.parametrize('slab', [1, 200, 10**6])
    def test_tiles_are_unpacked_a_slab_at_a_time(self, tmp_path, monkeypatch, slab):
        monkeypatch.setattr(reader, '_SLAB', slab)
        array = numbers('i2', (3, 23, 11))
        image = opened(write(tmp_path / 'a.fits.fz', array, tile=(1, 4, 11)))
        with stack.opened([image, *image.planes()[1:2]], places=[(0, 0), (23, 0)], shape=(69, 11)) as rows:
            found = rows.read(0, 69)
        np.testing.assert_array_equal(found[0], array.reshape(69, 11))
        np.testing.assert_array_equal(found[1, 23:46], array[1])

    def test_planes_of_a_packed_cube_are_unpacked_once(self, tmp_path, monkeypatch):
        array = numbers('u2', (5, 6, 7))
        image = opened(write(tmp_path / 'a.fits.gz', array))
        unpacked = []
        unpack = reader._unpack
        monkeypatch.setattr(reader, '_unpack', lambda *args: unpacked.append(1) or unpack(*args))
        with stack.opened(image.planes()) as rows:
            np.testing.assert_array_equal(in_bands(rows, 4), array)
        assert unpacked == [1]

    def test_a_bomb(self, tmp_path):
        image = opened(write(tmp_path / 'a.fits.fz', np.zeros((7, 9), 'i2')))
        with pytest.raises(Failure, match='declares 126 bytes of pixels'), stack.opened([image], max_size=125):
            pass

    def test_what_comes_next_may_be_told(self, tmp_path):
        array = numbers('i2', (7, 11))
        image = opened(write(tmp_path / 'a.fits', array))
        with stack.opened([image, image.cut(parse_section('[*,*]'))]) as rows:
            rows.expect(3, 7)
            rows.expect(7, 9)
            os.unlink(image.path)
            np.testing.assert_array_equal(rows.read(3, 7)[0], array[3:])


class TestMasksAndPlaces:
    @pytest.mark.parametrize('kind', ['u1', 'u2', 'i4', 'f4', 'f8'])
    def test_masked_pixels_are_nan(self, tmp_path, kind):
        images = [opened(write(tmp_path / f'{number}.fits', numbers(kind, (7, 11), number))) for number in range(3)]
        bad = np.zeros((7, 11), 'u2')
        bad[2, 3] = bad[6, 10] = 40_000
        mask = opened(write(tmp_path / 'm.fits', bad))
        with stack.opened(images, [mask, None, mask]) as rows:
            assert rows.dtype == ('f4' if kind in ('u1', 'u2', 'f4') else 'f8')
            expected = np.array([whole(image, rows.dtype) for image in images])
            expected[0][bad != 0] = expected[2][bad != 0] = np.nan
            np.testing.assert_array_equal(in_bands(rows, 3), expected)
            np.testing.assert_array_equal(rows.read_one(0, 1, 7), expected[0, 1:])
            assert rows.read_one(1, 0, 2).dtype == kind

    def test_a_common_mask_is_read_once_a_band(self, tmp_path, monkeypatch):
        images = [opened(write(tmp_path / f'{number}.fits', np.ones((7, 11)))) for number in range(5)]
        mask = opened(write(tmp_path / 'm.fits', np.eye(7, 11)))
        read, paths = reader.read_runs, []
        with stack.opened(images, [mask] * 5) as rows:
            inner = stack.Bands._read
            monkeypatch.setattr(
                stack.Bands,
                '_read',
                lambda self, out, image, *rest: paths.append(image.path) or inner(self, out, image, *rest),
            )
            assert np.isnan(in_bands(rows, 4)).sum() == 35
        assert paths.count(mask.path) == 2
        assert len(paths) == 12
        assert reader.read_runs is read

    def test_masks_of_parts_and_planes(self, tmp_path):
        array, bad = numbers('i2', (3, 6, 9)), np.zeros((6, 9), 'u1')
        bad[2, 3] = 1
        path, mask = write(tmp_path / 'a.fits', array), opened(write(tmp_path / 'm.fits.gz', bad))
        with stack.opened([opened(path)], [mask]) as rows:
            assert [tuple(place) for place in np.argwhere(np.isnan(in_bands(rows, 4)[0]))] == [(2, 3), (8, 3), (14, 3)]
        with stack.opened([opened(path, '[3:5,2:4]')], [mask]) as rows:
            assert [tuple(place) for place in np.argwhere(np.isnan(in_bands(rows, 4)[0]))] == [(1, 1), (4, 1), (7, 1)]

    def test_a_mask_of_another_size(self, tmp_path):
        image, mask = (opened(write(tmp_path / f'{n}.fits', np.zeros((n, 4)))) for n in (3, 5))
        with pytest.raises(Failure, match='does not fit'), stack.opened([image], [mask]):
            pass

    def test_canvas(self, tmp_path):
        first, other = numbers('u2', (4, 5), 1), numbers('u2', (3, 7), 2)
        images = [opened(write(tmp_path / 'a.fits', first)), opened(write(tmp_path / 'b.fits', other))]
        with stack.opened(images, places=[(2, 0), (0, 3)]) as rows:
            assert (rows.shape, rows.dtype) == ((6, 10), np.float32)
            expected = np.full((2, 6, 10), np.nan, 'f4')
            expected[0, 2:, :5], expected[1, :3, 3:] = first, other
            for height in (1, 2, 4, 6):
                np.testing.assert_array_equal(in_bands(rows, height), expected)
            np.testing.assert_array_equal(rows.read_one(1, 1, 3), other[1:])
            assert rows.read_one(1, 1, 3).dtype == np.uint16
            rows.expect(0, 6)

    @given(data=st.data())
    def test_everything_at_once(self, several, data):
        """Any images, parts, masks, places and heights give what numpy puts together from whole images."""
        images, masks, places = [], [], []
        for _ in range(data.draw(st.integers(1, 4))):
            image = data.draw(st.sampled_from(several[0]))
            axes = [
                (low, data.draw(st.integers(low + 1, n)))
                for n in image.shape
                for low in [data.draw(st.integers(0, n - 1))]
            ]
            section = ','.join(f'{low + 1}:{high}' for low, high in reversed(axes))
            images.append(image.cut(parse_section(f'[{section}]')))
            masks.append(data.draw(st.sampled_from([None, several[1]])))
            places.append((data.draw(st.integers(-2, 5)), data.draw(st.integers(-2, 5))))
        shape = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 14)))
        with stack.opened(images, masks, places, shape) as rows:
            found = in_bands(rows, data.draw(st.integers(1, shape[0])))
            for number, image in enumerate(images):
                expected = whole(image, rows.dtype)
                if masks[number] is not None:
                    bad = reader.read_mask(masks[number], image).reshape(expected.shape)
                    expected[bad] = np.nan
                np.testing.assert_array_equal(rows.read_one(number, 0, image.rows), expected)
                canvas = np.full((60, 60), np.nan, rows.dtype)
                row, column = places[number]
                canvas[10 + row : 10 + row + len(expected), 10 + column : 10 + column + expected.shape[1]] = expected
                np.testing.assert_array_equal(found[number], canvas[10 : 10 + shape[0], 10 : 10 + shape[1]])


@pytest.fixture(scope='module')
def several(tmp_path_factory):
    """Images of many types and a mask, all of (3, 5, 7) or (5, 7) pixels."""
    folder = tmp_path_factory.mktemp('several')
    images = []
    for kind in ('u1', 'i2', 'u2', 'i4', 'f4', 'f8'):
        for shape in ((3, 5, 7), (5, 7)):
            images.append(opened(write(folder / f'{kind}{len(shape)}.fits', numbers(kind, shape))))
    images.append(opened(write(folder / 'blank.fits', np.arange(105, dtype='i2').reshape(3, 5, 7), BLANK=50)))
    images.append(opened(write(folder / 'tiles.fits.fz', numbers('u2', (3, 5, 7)))))
    images.append(opened(write(folder / 'packed.fits.gz', numbers('i4', (5, 7)))))
    return images, opened(write(folder / 'mask.fits', (np.random.default_rng(3).random((5, 7)) < 0.3).astype('u1')))


class TestFiles:
    @pytest.mark.parametrize('limit', [1, 2, 500])
    def test_threads_with_few_descriptors(self, tmp_path, monkeypatch, limit):
        monkeypatch.setattr(stack, 'most_descriptors', lambda: limit)
        arrays = [numbers('u2', (40, 31), number) for number in range(7)]
        images = [opened(write(tmp_path / f'{number}.fits', array)) for number, array in enumerate(arrays)]
        mask = opened(write(tmp_path / 'm.fits', np.zeros((40, 31), 'u1')))
        with stack.opened(images, [mask] * 7) as rows, ThreadPoolExecutor(6) as pool:
            jobs = [(start % 40, pool.submit(rows.read, start % 40, start % 40 + 1)) for start in range(400)]
            for start, job in jobs:
                np.testing.assert_array_equal(job.result()[:, 0], [array[start] for array in arrays])
            assert len(rows._files._open) <= limit
        assert not rows._files._open

    def test_a_descriptor_in_use_is_not_closed(self, tmp_path):
        images = [opened(write(tmp_path / f'{number}.fits', np.zeros((3, 4)))) for number in range(2)]
        files = stack.Descriptors(1)
        opened_second = threading.Event()

        def second():
            with files.use(images[1]):
                opened_second.set()

        with files.use(images[0]) as descriptor:
            thread = threading.Thread(target=second)
            thread.start()
            assert not opened_second.wait(0.05)
            assert os.fstat(descriptor).st_ino == os.stat(images[0].path).st_ino
        thread.join(5)
        assert opened_second.is_set()
        assert len(files._open) == 1
        files.close()
        with pytest.raises(OSError, match='Bad file'):
            os.fstat(descriptor)

    def test_many_files_with_few_open(self, tmp_path):
        for number in range(300):
            write(tmp_path / f'{number:03d}.fits', np.full((3, 4), number, 'i2'))
        code = (
            'import sys, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n'
            'from fitsutils.files import inputs, stack\n'
            'images = stack.open_stack(inputs.expand(sys.argv[1:]))\n'
            'with stack.opened(images, [images[0]] * len(images)) as rows:\n'
            '    rows.expect(0, 3)\n'
            '    print(len(rows._files._open), *(int(rows.read(at, at + 1).sum()) for at in range(3)))\n'
        )
        done = subprocess.run([sys.executable, '-c', code, str(tmp_path / '*.fits')], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f'21 {" ".join([str(4 * 150 * 299)] * 3)}\n', '')

    def test_the_bound_comes_from_the_system(self, monkeypatch):
        for limit, expected in ((64, 21), (20_000, 500), (1, 1), (stack.resource.RLIM_INFINITY, 500)):
            monkeypatch.setattr(stack.resource, 'getrlimit', lambda _, limit=limit: (limit, limit))
            assert stack.most_descriptors() == expected

    @pytest.mark.parametrize('how', ['touched', 'replaced', 'cut', 'gone', 'rewritten'])
    def test_a_file_that_changes(self, tmp_path, how):
        images = [opened(write(tmp_path / f'{number}.fits', np.zeros((70, 40)))) for number in range(2)]
        path = tmp_path / '1.fits'
        with stack.opened(images) as rows, ThreadPoolExecutor(2) as pool:
            if how in ('touched', 'cut', 'rewritten'):
                rows.read(0, 3)
            content = path.read_bytes()
            if how == 'touched':
                os.utime(path, ns=(0, 0))
            elif how == 'cut':
                os.truncate(path, 100)
            elif how == 'rewritten':
                path.write_bytes(content)
                os.utime(path, ns=(5, 5))
            else:
                path.unlink()
            if how == 'replaced':
                path.write_bytes(content)
                os.utime(path, ns=(5, 5))
            job = pool.submit(rows.read, 3, 6)
            with pytest.raises(Failure, match=r'1\.fits: (the file has changed|No such file)'):
                job.result()

    def test_a_file_that_is_too_short(self, tmp_path):
        image = opened(write(tmp_path / 'a.fits', np.zeros((70, 40))))
        os.truncate(image.path, 5000)
        image._fingerprint = hdus.fingerprint(os.stat(image.path))
        with stack.opened([image]) as rows:
            rows.read(0, 2)
            with pytest.raises(Failure, match=r'a\.fits: the data are cut off'):
                rows.read(0, 70)

    def test_a_packed_file_that_changes(self, tmp_path):
        image = opened(write(tmp_path / 'a.fits.fz', np.zeros((7, 4), 'i2')))
        os.utime(image.path, ns=(0, 0))
        with pytest.raises(Failure, match='the file has changed'), stack.opened([image]):
            pass


class TestSums:
    @pytest.fixture(params=['u1', 'u2', 'i4', 'f4', 'f8'])
    def path(self, request, tmp_path):
        """A file with both sums, of rows that do not end at whole words."""
        writer.write_fits(str(tmp_path / 's.fits'), [(numbers(request.param, (37, 13)), fits.Header())])
        return tmp_path / 's.fits'

    def passes(self, path, monkeypatch, use, checksum='error'):
        """How often the file was read in a pass of its own."""
        calls = []
        verify = stack.verify_checksum
        monkeypatch.setattr(stack, 'verify_checksum', lambda *args: calls.append(args) or verify(*args))
        with stack.opened([opened(path)], checksum=checksum) as rows:
            use(rows)
        return len(calls)

    @pytest.mark.parametrize('heights', [(37,), (5, 5, 5, 5, 5, 5, 7), (1,) * 37])
    def test_made_of_what_is_read(self, path, monkeypatch, heights):
        def use(rows):
            ends = np.cumsum(heights)
            bands = [(int(end) - height, int(end)) for end, height in zip(ends, heights, strict=True)]
            for start, stop in [*bands[1::2], *bands[::2], *bands]:  # in any order, and again
                rows.read(start, stop)

        assert self.passes(path, monkeypatch, use) == 0

    @pytest.mark.parametrize('use', [lambda rows: None, lambda rows: rows.read(0, 30), lambda rows: rows.read(1, 37)])
    def test_rows_that_nobody_reads(self, path, monkeypatch, use):
        assert self.passes(path, monkeypatch, use) == 1

    def test_by_threads(self, path, monkeypatch):
        def use(rows):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda start: rows.read(start, start + 1), reversed(range(37))))

        assert self.passes(path, monkeypatch, use) == 0

    @pytest.mark.unverified
    @pytest.mark.parametrize('used', [True, False])
    @pytest.mark.parametrize('place', [5, -2000, -1])  # of the header, the data, the padding
    def test_a_wrong_sum(self, path, monkeypatch, used, place):
        content = bytearray(path.read_bytes())
        if place == 5:
            place = content.index(b'/ sum made') + 5
        elif place == -2000:
            place = BLOCK * (content.index(b'END     ') // BLOCK + 1) + 77
        content[place] ^= 1
        path.write_bytes(content)

        def use(rows):
            rows.read(0, rows.rows if used else 3)

        with pytest.raises(Failure, match=r's\.fits: .*CHECKSUM is wrong'):
            self.passes(path, monkeypatch, use)
        with pytest.warns(FileWarning, match=r's\.fits: .*CHECKSUM is wrong'):
            self.passes(path, monkeypatch, use, 'warn')
        self.passes(path, monkeypatch, use, 'ignore')

    @pytest.mark.unverified
    def test_parts_packed_and_tiled_ones_before(self, tmp_path):
        array = numbers('i2', (37, 13))
        for name in ('a.fits', 'b.fits.gz', 'c.fits.fz'):
            writer.write_fits(str(tmp_path / name), [(array, fits.Header())])
        for name in ('a.fits', 'c.fits.fz'):
            content = bytearray((tmp_path / name).read_bytes())
            content[content.rindex(b'sum made') + 1] ^= 1
            (tmp_path / name).write_bytes(content)
        for image in (opened(tmp_path / 'a.fits', '[*,2:5]'), opened(tmp_path / 'c.fits.fz')):
            with pytest.raises(Failure, match='CHECKSUM is wrong'), stack.opened([image], checksum='error'):
                raise AssertionError
        with stack.opened([opened(tmp_path / 'b.fits.gz')], checksum='error') as rows:
            np.testing.assert_array_equal(rows.read(0, 37)[0], array)
