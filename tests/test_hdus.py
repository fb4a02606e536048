import gzip
import io
import os

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import hdus
from fitsutils.files.inputs import Reference


@pytest.fixture
def path(tmp_path):
    found = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 7), 'i2'), name='SCI')]
    found += [
        fits.CompImageHDU(np.zeros((11, 8), 'i2'), name='PACKED'),
        fits.ImageHDU(np.zeros((2, 5)), name='SCI', ver=2),
    ]
    found[0].header['OBJECT'] = 'M 1'
    fits.HDUList(found).writeto(tmp_path / 'm.fits')
    return str(tmp_path / 'm.fits')


def walked(path):
    with hdus.open_bytes(path) as file:
        return list(hdus.walk(file, path))


def test_a_walk_finds_what_astropy_finds(path):
    with fits.open(path, disable_image_compression=True) as theirs:
        for ours, other in zip(walked(path), theirs, strict=True):
            info = other.fileinfo()
            assert (ours.start, ours.offset) == (info['hdrLoc'], info['datLoc'])
            assert ours.header.tostring() == other.header.tostring()
    assert [hdu.is_image for hdu in walked(path)] == [False, True, True, True]
    assert [hdu.axes for hdu in walked(path)] == [(), (7, 3), (8, 11), (5, 2)]
    assert [hdu.name for hdu in walked(path)] == [('', 1), ('SCI', 1), ('PACKED', 1), ('SCI', 2)]


def test_a_walk_through_a_packed_file(path):
    with open(path, 'rb') as file:
        content = file.read()
    with open(f'{path}.gz', 'wb') as file:
        file.write(gzip.compress(content))
    assert [hdu.offset for hdu in walked(f'{path}.gz')] == [hdu.offset for hdu in walked(path)]
    assert hdus.packing(f'{path}.gz') == 'gzip'
    assert hdus.packing(path) is None


@pytest.mark.parametrize(('wanted', 'index'), [(None, 1), (0, 0), ('PRIMARY', 0), (('SCI', 2), 3), ('PACKED', 2)])
def test_choice(path, wanted, index):
    with hdus.open_bytes(path) as file:
        found, primary = hdus.choose(file, path, wanted, header_only=True)
    assert (found.index, primary['OBJECT']) == (index, 'M 1')
    with hdus.open_bytes(path) as file:
        assert hdus.find_hdu(file, path, index).offset == found.offset


def test_header_of_an_image_inherits(path):
    assert hdus.read_header(Reference(path), 'PACKED')['OBJECT'] == 'M 1'
    assert hdus.read_header(Reference(path), 'PACKED')['NAXIS1'] == 8
    own = fits.Header({'INHERIT': False})
    assert hdus.merged(own, fits.Header({'OBJECT': 'M 1'}), 1) is own


def test_raw_types():
    for bits, kind in ((8, 'u1'), (16, '>i2'), (32, '>i4'), (64, '>i8'), (-32, '>f4'), (-64, '>f8')):
        assert hdus.raw_type(fits.Header({'BITPIX': bits}), 'x', 0) == np.dtype(kind)
    with pytest.raises(Failure, match='x: BITPIX = 12 in HDU 3'):
        hdus.raw_type(fits.Header({'BITPIX': 12}), 'x', 3)


def test_errors_have_the_file_s_name():
    with pytest.raises(Failure, match='x: too early'), hdus.named_errors('x'):
        raise EOFError('too early')
    with pytest.raises(Failure, match='x: No space left'), hdus.named_errors('x'):
        raise OSError(28, 'No space left on device')
    with pytest.raises(Failure, match=r'x: the tile-compressed image is damaged: .a'), hdus.damaged_tiles('x'):
        raise KeyError('a')
    with pytest.warns(FileWarning, match='x: odd'), hdus.named_errors('x'):
        hdus.warn('odd')


def test_fingerprint(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'1')
    before = hdus.fingerprint(os.stat(path))
    assert hdus.fingerprint(os.stat(path)) == before
    os.utime(path, ns=(0, 1))
    assert hdus.fingerprint(os.stat(path)) != before


def test_no_more_headers_than_there_are(path):
    with open(path, 'rb') as file:
        content = file.read()
    found = list(hdus.walk(io.BytesIO(content + b'rubbish' * 500), path))
    assert len(found) == 4
    with pytest.raises(Failure, match='does not begin with SIMPLE'):
        list(hdus.walk(io.BytesIO(content[1:]), path))
