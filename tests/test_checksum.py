import io

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import checksum, reader, writer
from fitsutils.files.inputs import Reference

ONES = 2**32 - 1


def plain_sum(data):
    """The standard's algorithm, a word at a time."""
    total = 0
    for start in range(0, len(data), 4):
        total += int.from_bytes(data[start : start + 4].ljust(4, b'\0'), 'big')
        total = (total & ONES) + (total >> 32)
    return total


@given(st.binary(max_size=300))
def test_sum_of_words(data):
    assert checksum.same(checksum.sum_of(data), plain_sum(data))


@pytest.mark.parametrize('size', [0, 1, 4, 2880, (1 << 20) + 3, 3 * (1 << 20) + 8])
def test_sum_of_much(size):
    data = np.random.default_rng(size).integers(0, 256, size, dtype='u1').tobytes()
    found = checksum.sum_of(data)
    assert checksum.same(found, plain_sum(data))
    assert checksum.sum_of(bytearray(data)) == checksum.sum_of(np.frombuffer(data, 'u1')) == found
    if size % 4 == 0:
        assert checksum.same(checksum.sum_of_file(io.BytesIO(data + b'behind'), size), found)


@given(st.integers(0, ONES), st.integers(0, ONES))
def test_add(first, second):
    assert 0 <= checksum.add(first, second) <= ONES
    assert checksum.same(checksum.add(first, second), first + second)


@given(st.integers(0, ONES))
def test_encoded(total):
    """Sixteen letters and digits which, one byte off, take the sum of sixteen zeros to all ones."""
    code = checksum.encode(total)
    assert len(code) == 16
    assert code.isascii()
    assert code.isalnum()
    turned = (code[1:] + code[:1]).encode()
    assert checksum.same(checksum.add(total, plain_sum(turned) - plain_sum(b'0' * 16)), 0)


def test_encoded_as_in_the_standard():
    """The example of FITS standard 4.0, appendix J.3: 868229149 is hcHjjc9ghcEghc9g."""
    assert checksum.encode(868229149) == 'hcHjjc9ghcEghc9g'


@pytest.fixture
def ours(tmp_path):
    pixels = np.random.default_rng(8).integers(0, 60_000, (37, 53)).astype('u2')
    path = str(tmp_path / 'ours.fits')
    writer.write_fits(path, [(pixels, fits.Header({'OBJECT': 'M 1'})), (pixels.astype('f4'), fits.Header())])
    return path


@pytest.mark.parametrize('suffix', ['.fits', '.fits.gz', '.fits.fz'])
def test_astropy_accepts_ours(tmp_path, suffix):
    pixels = np.random.default_rng(9).integers(0, 60_000, (37, 53)).astype('u2')
    path = tmp_path / f'a{suffix}'
    writer.write_fits(str(path), [(pixels, fits.Header({'OBJECT': 'M 1'})), (pixels.astype('f8'), fits.Header())])
    with fits.open(path, checksum=True, disable_image_compression=True) as hdus:  # warnings are errors
        assert len(hdus) == (3 if suffix == '.fits.fz' else 2)
        for hdu in hdus:
            assert hdu.verify_checksum() == 1
            assert hdu.verify_datasum() == 1


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('kind', ['u1', 'u2', 'i4', 'f8'])
def test_we_accept_astropy_s(tmp_path, kind, packed):
    pixels = np.random.default_rng(9).integers(0, 200, (37, 53)).astype(kind)
    hdus = [fits.PrimaryHDU(), fits.CompImageHDU(pixels, quantize_level=0)] if packed else [fits.PrimaryHDU(pixels)]
    fits.HDUList(hdus).writeto(tmp_path / 'a.fits', checksum=True)
    image = reader.open_image(Reference(str(tmp_path / 'a.fits')))
    np.testing.assert_array_equal(reader.read_pixels(image, checksum='error'), pixels)


@pytest.mark.unverified
class TestChanges:
    @pytest.mark.parametrize('place', [0, 1, 1234, 37 * 53 * 2 - 1])
    def test_of_the_data(self, ours, place):
        flip(ours, reader.open_image(Reference(ours))._offset + place)
        self.check(ours, 'DATASUM and CHECKSUM')

    def test_of_the_header(self, ours):
        with open(ours, 'rb') as file:
            flip(ours, file.read().index(b'M 1'))
        self.check(ours, 'CHECKSUM')

    def test_of_another_hdu(self, ours):
        flip(ours, reader.open_image(Reference(ours))._offset)
        reader.read_pixels(reader.open_image(Reference(ours), 1), checksum='error')

    @staticmethod
    def check(path, what):
        image = reader.open_image(Reference(path))
        with pytest.raises(Failure, match=rf'ours\.fits: {what}'):
            reader.read_pixels(image, checksum='error')
        with pytest.warns(FileWarning, match=rf'ours\.fits: {what}'):
            reader.read_pixels(image, checksum='warn')
        reader.read_pixels(image, checksum='ignore')

    @pytest.mark.parametrize('value', ["''", "'            '"])
    def test_blank_means_unknown(self, tmp_path, ours, value):
        with open(ours, 'rb') as file:
            content = bytearray(file.read())
        for keyword in (b'CHECKSUM=', b'DATASUM ='):
            place = content.index(keyword)
            content[place + 10 : place + 80] = value.encode().ljust(70)
        (tmp_path / 'b.fits').write_bytes(content)
        reader.read_pixels(reader.open_image(Reference(str(tmp_path / 'b.fits'))), checksum='error')


def flip(path, place):
    with open(path, 'r+b') as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
