"""The ALFOSC lesson, from the night's log to flat-fielded frames, in pipes of commands, on frames with known truth."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[1]
NX, NY, FOCUS = 98, 52, 40
BIAS, SKY, LIT = 350, 900.0, np.s_[8:47, 22:92]  # FITS [23:92,9:47]
LESSON = """\
img_log 'AL*.fits' -k Filename,OBJECT,EXPTIME,ALFLTID,FBFLTID,NAXIS1,NAXIS2 -o N1.log
img_log 'AL*.fits' --names --where 'NAXIS1 == 98' | img_trim @- --section '[23:92,9:47]' --prefix t_
img_log 't_*' --names --where 'IMAGETYP ~ /bias/i' | combine_fits @- -m median --reject-above 800 -o zero_N1.fits
img_log 't_*' --names --where 'not IMAGETYP ~ /bias/i' | img_arith @- - zero_N1.fits --prefix z
img_log 'zt_*' --names --where 'OBJECT ~ /sky flat/i and FBFLTID == 78 and median > 15000' |
    combine_fits @- -m median -n median -c max -d 1 -u -o flat_N1_78.fits
img_log 'zt_*' --names --where 'not OBJECT ~ /flat/i and FBFLTID == 78' | img_arith @- / flat_N1_78.fits --prefix f
"""


def run(line, folder):
    path = os.pathsep.join([str(ROOT / 'bin'), str(Path(sys.executable).parent), os.environ['PATH']])
    return subprocess.run(
        ['sh', '-e', '-c', line], cwd=folder, env={**os.environ, 'PATH': path}, capture_output=True, text=True
    )


@pytest.fixture
def night(tmp_path, make_image):
    """Three biases, one with a hot spot; sky flats of two filters, two of them faint; science; a focus frame."""
    rng = np.random.default_rng(120)
    response = np.ones((NY, NX))
    response[LIT] = 1 + 0.2 * np.sin(np.arange(39)[:, None] / 5) * np.cos(np.arange(70) / 9)
    response /= np.median(response[LIT])
    count = iter(range(1, 99))

    def frame(light, name, image_type='', broad=0, narrow=0, seconds=1.0, shape=(NY, NX)):
        pixels = BIAS + rng.normal(0, 1.5, shape) + light
        cards = {'IMAGETYP': image_type, 'OBJECT': name, 'EXPTIME': seconds, 'ALFLTID': broad, 'FBFLTID': narrow}
        make_image(tmp_path / f'ALrd12{next(count):04d}.fits', np.rint(pixels).astype('u2'), **cards)

    for number in range(3):
        spot = np.zeros((NY, NX))
        spot[20, 40 + number] = 5000 * (number == 1)
        frame(spot, 'bias', 'BIAS', seconds=0.0)
    frame(100, 'focus', broad=75, shape=(FOCUS, FOCUS))
    for level in (2693, 3000, 17000, 19000, 21000, 22789, 24451):
        frame(level * response, 'Sky flat N1', narrow=78)
    for level in (20000, 21000):
        frame(level * response, 'Sky flat N1', narrow=49)
    for number in range(2):
        frame(SKY * response, f'Feige34 {number}', narrow=78, seconds=900.0)
    frame(SKY * response, 'M 42', broad=75, seconds=30.0)
    return tmp_path, response[LIT]


def test_the_whole_lesson(night, pixels_of):
    folder, response = night
    done = run(LESSON, folder)
    assert (done.stderr, done.returncode) == ('', 0)
    log = (folder / 'N1.log').read_text().splitlines()
    assert log[0].split()[1:] == ['OBJECT', 'EXPTIME', 'ALFLTID', 'FBFLTID', 'NAXIS1', 'NAXIS2']
    assert len(log) == 2 + 16

    trimmed = sorted(path.name for path in folder.glob('t_*'))
    assert len(trimmed) == 15
    assert 't_ALrd120004.fits' not in trimmed
    raw = pixels_of(folder / 'ALrd120005.fits')
    np.testing.assert_array_equal(pixels_of(folder / 't_ALrd120005.fits'), raw[LIT])

    zero = pixels_of(folder / 'zero_N1.fits')
    assert zero.shape == (39, 70)
    assert abs(zero[12, 19] - BIAS) < 6
    assert sorted(path.name for path in folder.glob('zt_*')) == [f'z{name}' for name in trimmed[3:]]

    assert fits.getval(folder / 'flat_N1_78.fits', 'NCOMBINE') == 5
    flat = pixels_of(folder / 'flat_N1_78.fits')
    np.testing.assert_allclose(flat, response / response.mean(), rtol=2e-3)
    flattened = sorted(path.name for path in folder.glob('fzt_*'))
    assert flattened == ['fzt_ALrd120014.fits', 'fzt_ALrd120015.fits']
    for name in flattened:
        pixels = pixels_of(folder / name)
        assert abs(np.median(pixels) / (SKY * response.mean()) - 1) < 2e-3
        assert pixels.std() < 5


def test_what_a_person_asks_of_the_night_first(night):
    folder, _ = night
    done = run("img_log AL*.fits --count 'FILT=nonzero(ALFLTID,FBFLTID),OBJECT' --where 'not has(IMAGETYP)'", folder)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ['#FILT', 'OBJECT', 'n']
    assert rows[2:] == [
        ['49', 'Sky_flat_N1', '2'],
        ['75', 'M_42', '1'],
        ['75', 'focus', '1'],
        ['78', 'Feige34_0', '1'],
        ['78', 'Feige34_1', '1'],
        ['78', 'Sky_flat_N1', '7'],
    ]
