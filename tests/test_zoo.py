"""Headers of real instruments and programs, right and wrong: a result or a one-line error, never a traceback."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import (
    combine_fits,
    display_fits,
    fit_dark,
    flat_response,
    img_arith,
    img_group,
    img_hedit,
    img_log,
    img_mask,
    img_match,
    img_rename,
    img_stats,
    img_trim,
    sub_dark,
)
from fitsutils.errors import Failure, FileWarning
from fitsutils.files import edits, hdus, reader, writer
from fitsutils.files.inputs import Reference

ZOO = Path(__file__).resolve().parents[2] / 'shared' / 'data' / 'header_zoo'
ANIMALS = sorted(ZOO.iterdir()) if ZOO.is_dir() else []

pytestmark = pytest.mark.skipif(not ANIMALS, reason='there are no real headers beside the checkout')
every_file = pytest.mark.parametrize('path', ANIMALS, ids=lambda path: path.name)
NO_IMAGE = {'astropy_history_header.fits', 'astropy_zerowidth.fits', 'midas_longstrn.fits', 'nomtam_issue49test.fits',
            'sunpy_not_actually_fits.fits'}  # fmt: skip
ONE_AXIS = {'astropy_compressed_float_bzero.fits', 'midas_tst0008.mt'}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def outcome(capsys, command, path, *argv, works=None):
    """Standard output of a command that did its work, or failed with one line that names the file."""
    status = command.main([str(path), *argv])
    out, err = capsys.readouterr()
    prog = command.__name__.split('.')[-1]
    lines = err.splitlines()
    assert all(line.startswith(f'{prog}: ') and line.isprintable() for line in lines)
    remarks = (f'{prog}: warning: ', f'{prog}: nothing was done', f'{prog}: out.fits: ')
    failures = [line for line in lines if not line.startswith(remarks)]
    if works is None:
        works = path.name not in NO_IMAGE
    if status == 3:  # every pixel is BLANK
        assert path.name == 'astropy_blank.fits'
        assert 'nothing is left of any pixel' in err
        return out
    assert status == (0 if works else 1), err
    assert len(failures) == (0 if works else 1)
    assert all(path.name in line for line in failures)
    return out


@every_file
def test_log(capsys, path):
    works = path.name != 'sunpy_not_actually_fits.fits'
    out = outcome(capsys, img_log, path, '--format', 'jsonl', works=works)
    assert out.count('\n') == works
    if works:
        assert json.loads(out)['Filename']
    table = outcome(capsys, img_log, path, works=works)
    assert table.replace('\n', '').isprintable()
    assert table.count('\n') == 3 * works


@every_file
def test_groups(capsys, path):
    """Any header with or without a date, alone or with itself, is a group."""
    works = path.name != 'sunpy_not_actually_fits.fits'
    out = outcome(capsys, img_group, path, '--by', 'NAXIS1,FILTER,[DATE]', '--format', 'jsonl', works=works)
    assert [json.loads(line)['n'] for line in out.splitlines()] == [1] * works
    status = img_group.main([str(path), '--span', '1h', '--night'])
    out, err = capsys.readouterr()
    dated = works and 'has no date' not in err
    assert (status, out.count('\n')) == (int(not dated), 2 * dated)


@every_file
def test_matches(capsys, path):
    """Where two copies of a file have a date, each is the other's master."""
    copy = Path(f'copy_{path.name}')
    shutil.copyfile(path, copy)
    status = img_match.main([str(path), '--to', str(copy), '--format', 'jsonl'])
    out, err = capsys.readouterr()
    assert all(line.startswith('img_match: ') and line.isprintable() for line in err.splitlines())
    if status == 0:
        assert json.loads(out)['delta_days'] == 0.0
    else:
        assert path.name in err
        assert not out or json.loads(out)['status'] == 'none'


@every_file
def test_choosing_by_header_and_pixels(capsys, path):
    works = path.name != 'sunpy_not_actually_fits.fits'
    header = (
        "NAXIS1 > 0 or has(OBJECT) or EXPTIME ~ /^[0-9.]*$/ or coalesce(GAIN, 'x') in (1, T) or DATE-OBS > 1990-01-01"
    )
    for words in (['--count', 'BITPIX,LONG=EXPTIME > 5'], ['--unique', 'INSTRUME', '-k', 'All'], ['--names']):
        outcome(capsys, img_log, path, *words, '--where', header, works=works)
        outcome(capsys, img_log, path, *words, '--where', f'not ({header})', works=works)
    both = [outcome(capsys, img_log, path, '--names', '--where', text) for text in ('num >= 0', 'not num >= 0')]
    assert sorted(both) == ([f'{path}\n', ''] if path.name not in NO_IMAGE else ['', ''])[::-1]
    outcome(capsys, img_stats, path, '--where', f'mean > 0 and ({header})')


@every_file
def test_statistics(capsys, path):
    names = 'num,nbad,sum,mean,median,mode,rms,min,max,mad,rstd,skew,kurtosis,q2.5'
    out = outcome(capsys, img_stats, path, '-s', names, '--clip', '5', '--format', 'jsonl')
    for line in out.splitlines():
        row = json.loads(line)
        assert row['num'] + row['nbad'] > 0
        assert row['num'] == 0 or row['min'] <= row['median'] <= row['max']


@every_file
def test_arithmetic(capsys, path, pixels_of):
    """The product has the same pixels, infinite ones missing, and passes fitsverify (the fixture `verified`)."""
    outcome(capsys, img_arith, path, 'x', '1', '-o', 'out.fits')
    if path.name not in NO_IMAGE:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            before, after = pixels_of(path), pixels_of('out.fits')
        wanted = np.where(np.isfinite(before), before, np.nan) if before.dtype.kind == 'f' else before
        np.testing.assert_array_equal(after, wanted.astype(after.dtype))


@every_file
def test_packed_products(capsys, path):
    outcome(capsys, img_arith, path, '+', '0', '-o', 'out.fits.fz')


@every_file
def test_trimming(capsys, path):
    """As the headers say: only that of an LSST amplifier says where its overscan is."""
    outcome(capsys, img_trim, path, '-o', 'out.fits', works=path.name == 'lsst_imsim_amp.fits.gz')


@every_file
def test_turning(capsys, path):
    """Cut, mirrored and rotated, every image is a good file, and its header follows (the fixture `verified`)."""
    words = ['--section', '[*,*]', '--flip', 'x', '--rotate', '90']
    outcome(capsys, img_trim, path, *words, '-o', 'out.fits', works=path.name not in NO_IMAGE | ONE_AXIS)
    if path.name not in NO_IMAGE | ONE_AXIS:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            before, after = reader.read_pixels(reader.open_image(Reference(str(path)))), fits.getdata('out.fits')
        wanted = np.rot90(np.where(np.isfinite(before), before, np.nan)[..., ::-1], -1, axes=(-2, -1))
        np.testing.assert_array_equal(after, wanted.astype(after.dtype))


@every_file
def test_combination(capsys, path):
    outcome(capsys, combine_fits, path, str(path), '-m', 'mean', '-o', 'out.fits')


def timed(path, time):
    """A copy of the image, through img_arith, whose exposure time is known."""
    copy = f'{path.stem}_{time}.fits'
    assert img_arith.main([str(path), 'x', '1', '-o', copy, '--set', f'EXPTIME={time}', '-q']) == 0
    return Path(copy)


with_image = pytest.mark.parametrize(
    'path', [path for path in ANIMALS if path.name not in NO_IMAGE], ids=lambda path: path.name
)


@with_image
def test_dark_lines(capsys, path, pixels_of):
    """The line of two darks that are alike is flat, of a region and of every pixel."""
    first, second = timed(path, 1), timed(path, 60)
    pixels = pixels_of(first)
    capsys.readouterr()
    out = outcome(capsys, fit_dark, first, str(second), '--format', 'jsonl', works=np.isfinite(pixels).any())
    if out:
        line = json.loads(out)
        assert abs(line['slope']) <= 1e-9 * abs(line['offset'])
    if pixels.ndim == 2 and np.isfinite(pixels).any():
        outcome(capsys, fit_dark, first, str(second), '--per-pixel', '-o', 'out.fits', works=True)
        offset = pixels_of('out.fits', 'OFFSET')
        good = np.isfinite(offset)
        np.testing.assert_allclose(offset[good], pixels[good], rtol=1e-5)


@with_image
def test_dark_subtraction(capsys, path, pixels_of):
    """A file less a copy of itself is 0 where it has a value."""
    copy = timed(path, 60)
    dark = shutil.copy(copy, copy.with_name(f'dark_{copy.name}'))
    capsys.readouterr()
    outcome(capsys, sub_dark, copy, '--dark', str(dark), '-o', 'out.fits', '--force-again', works=True)
    assert not np.nan_to_num(pixels_of('out.fits')).any()


@every_file
def test_darks_as_they_are(capsys, path):
    """Without a usable exposure time, or with one only, there is one line that says so."""
    for command, words, least in ((sub_dark, ['--dark', str(path), '-o', 'out.fits', '--force-again'], 0),
                                  (fit_dark, [str(path)], 1)):  # fmt: skip
        status = command.main([str(path), *words])
        out, err = capsys.readouterr()
        failures = [line for line in err.splitlines() if ': warning: ' not in line and ': out.fits: ' not in line]
        assert least <= status <= 1
        assert len(failures) == status
        assert all(line.isprintable() for line in err.splitlines())
        assert status == 0 or out == ''


@every_file
def test_responses(capsys, path):
    """Most of them are no flats: a response, or a line that says why there is none."""
    status = flat_response.main([str(path), '-d', 'x', '-k', '2', '-o', 'out.fits'])
    out, err = capsys.readouterr()
    assert status in (0, 1)
    assert out == ('out.fits\n' if status == 0 else '')
    failures = [
        line for line in err.splitlines() if not line.startswith(('flat_response: warning: ', 'flat_response: out.'))
    ]
    assert len(failures) == status
    assert all(path.name in line and line.isprintable() for line in failures)


@every_file
def test_names(capsys, path):
    outcome(capsys, img_rename, path, '--dry-run', '--undated', 'last', '-o', '{OBJECT|x}_{FILTER|y}_{n}',
            works=path.name != 'sunpy_not_actually_fits.fits')  # fmt: skip


@pytest.mark.unverified
@every_file
def test_updated_headers(capsys, path, tmp_path):
    """-u changes a copy and leaves its pixels alone."""
    copy = tmp_path / path.name
    shutil.copyfile(path, copy)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FileWarning)
        if path.name in NO_IMAGE:
            outcome(capsys, img_stats, copy, '-u')
            assert copy.read_bytes() == path.read_bytes()
            return
        outcome(capsys, img_stats, copy, '-u', '-s', 'num')
        before, after = (reader.open_image(Reference(str(name))) for name in (path, copy))
        np.testing.assert_array_equal(reader.read_pixels(before), reader.read_pixels(after))
        assert after.header['NPOINTS'] <= np.prod(after.shape)


@every_file
def test_masks(capsys, path, pixels_of):
    """0 and 1 only, in a file that passes fitsverify (the fixture `verified`)."""
    words = ['--above', '300', '--hot', '5', '--region', 'circle(1,1,1)', '-o', 'out.fits']
    works = path.name not in NO_IMAGE
    if works:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FileWarning)
            pixels = pixels_of(path)
        works = np.isfinite(pixels).any()
    status = img_mask.main([str(path), *words])
    err = capsys.readouterr().err
    failures = [line for line in err.splitlines() if ': warning: ' not in line]
    if status == 3:
        assert failures == ['img_mask: out.fits: every pixel is bad']
    else:
        assert (status, len(failures)) == (0 if works else 1, 0 if works else 1)
        assert all(path.name in line for line in failures)
    if status != 1:
        bad = fits.getdata('out.fits')
        np.testing.assert_array_equal(bad.reshape(pixels.shape)[~np.isfinite(pixels)], 1)
        assert set(np.unique(bad)) <= {0, 1}
        assert bad[pixels.reshape(bad.shape) >= 300].all()


@pytest.mark.unverified
@every_file
def test_edited_headers(capsys, path):
    """A copy of any file with another OBJECT: all other cards and all data are those of the file, byte for byte."""
    works = path.name != 'sunpy_not_actually_fits.fits'
    output = f'out{path.name}' if path.name.endswith(('.gz', '.fz')) else 'out.fits'
    outcome(capsys, img_hedit, path, 'OBJECT=something else', 'NEWKEY=5', '-o', output, works=works)
    if not works:
        return
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FileWarning)
        old, new = (writer.stored_header(Reference(str(name))) for name in (path, output))
    before, after = (edits.cards_of(header.lines) for header in (old, new))
    texts = [card.text for card in after]
    gone = [card for card in before if card.text not in texts]
    assert {card.keyword for card in gone} <= {'OBJECT', 'CHECKSUM', 'ZHECKSUM'}
    assert edits.values_of(after, ('OBJECT', 'NEWKEY')) == {'OBJECT': 'something else', 'NEWKEY': 5}
    with hdus.open_bytes(str(path)) as one, hdus.open_bytes(output) as two:
        one.seek(old.start + len(old.raw))
        two.seek(new.start + len(new.raw))
        assert one.read() == two.read()


@pytest.mark.long
@every_file
def test_pictures(capsys, path):
    outcome(capsys, display_fits, path, '-o', 'out.png')


@every_file
def test_pixels_equal_astropy_s(path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            image = reader.open_image(Reference(str(path)))
            ours = reader.read_pixels(image)
        except Failure:
            assert path.name in NO_IMAGE
            return
        with fits.open(path) as hdus:
            header, theirs = hdus[image.index].header, hdus[image.index].data
    assert theirs is not None
    theirs = theirs.reshape(ours.shape)
    if theirs.dtype.kind in 'iu' and 'BLANK' in header:
        # astropy leaves BLANK pixels of unscaled integers as they are.
        theirs = np.where(theirs == header['BLANK'], np.nan, theirs)
    np.testing.assert_allclose(ours, theirs, rtol=2e-7)


def test_the_zoo_is_not_empty():
    assert len(ANIMALS) > 40
    assert {path.name for path in ANIMALS} >= NO_IMAGE
