"""The long-slit example: its frames, the script against plain numpy, the comparison, the script on real frames."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[1]
SLIT = ROOT / 'examples' / 'longslit'
SIZE, SEED = (60, 160), 6
HALF, STRIP = SIZE[0] // 2, 50


def run(*words, cwd=None, **settings):
    """A program, with the commands of this checkout first on the PATH."""
    path = os.pathsep.join([str(ROOT / 'bin'), str(Path(sys.executable).parent), os.environ['PATH']])
    environment = {**os.environ, 'PATH': path, **settings}
    return subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True)


def script(name):
    """A script of examples/longslit as a module; examples/crab has scripts of the same names."""
    spec = importlib.util.spec_from_file_location(f'longslit_{name}', SLIT / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(SLIT))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SLIT))
    return module


def compare(capsys, *words):
    """Status, standard output and standard error of compare.py."""
    status = script('compare').main(list(map(str, words)))
    return status, *capsys.readouterr()


@pytest.fixture(scope='session')
def slit_night(tmp_path_factory):
    """The frames and their truth; not to be changed."""
    folder = tmp_path_factory.mktemp('longslit') / 'night'
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stderr(nowhere):
        script('make_night').main([str(folder), '--size', '60x160', '--seed', str(SEED)])
    return folder


@pytest.fixture(scope='session')
def reduced(slit_night, tmp_path_factory):
    """The products of reduce.sh; not to be changed."""
    folder = tmp_path_factory.mktemp('longslit') / 'out put'
    done = run('sh', SLIT / 'reduce.sh', slit_night, folder)
    assert (done.returncode, done.stderr) == (0, '')
    assert re.findall(r'^\[(\d)/7\]', done.stdout, re.MULTILINE) == list('1234567')
    return folder


def pixels(path, hdu=0):
    return fits.getdata(path, hdu).astype('f8')


class TestNight:
    def test_frames(self, slit_night):
        names = sorted(path.name for path in slit_night.glob('*.fits'))
        kinds = ['arc'] * 2 + ['bias'] * 5 + ['flat'] * 5 + ['sci'] * 3
        assert [name.split('.')[0] for name in names] == kinds
        assert sorted(int(name.split('.')[1]) for name in names) == list(range(1, 16))
        for name in names:
            header = fits.getheader(slit_night / name)
            assert (header['NAXIS1'], header['NAXIS2'], header['BZERO']) == (SIZE[0] + 2 * STRIP, SIZE[1], 32768)
            assert not {'DATASEC', 'BIASSEC', 'TRIMSEC'} & set(header)

    def test_overscans_have_the_levels_that_the_truth_tells(self, slit_night):
        truth = json.loads((slit_night / 'truth/truth.json').read_text())
        levels = np.array([frame['levels'] for frame in truth['frames']])
        assert (levels.std(axis=0) > 2).all()  # they drift from frame to frame
        for frame in truth['frames']:
            raw = pixels(slit_night / frame['name'])
            strips = raw[:, SIZE[0] + 4 : SIZE[0] + STRIP], raw[:, SIZE[0] + STRIP + 4 :]
            for strip, level, ramp in zip(strips, frame['levels'], (2.5, -1.5), strict=True):
                assert strip.mean() == pytest.approx(level, abs=0.25)
                assert strip[-40:].mean() - strip[:40].mean() == pytest.approx(0.75 * ramp, abs=0.6)

    def test_charge_is_left_behind_in_the_first_columns_of_an_overscan(self, slit_night):
        flat = pixels(slit_night / 'flat.0008.fits')
        left = flat[:, SIZE[0] : SIZE[0] + STRIP]
        assert left[-40:, 0].mean() - left[-40:, 10:].mean() > 20

    def test_noise_is_what_gains_and_read_noises_make_it(self, slit_night):
        one, two = (pixels(slit_night / f'flat.00{number}.fits') for number in ('08', '09'))
        truth = json.loads((slit_night / 'truth/truth.json').read_text())
        light = [frame['light'] for frame in truth['frames'] if frame['name'].startswith('flat')]
        for number, part in enumerate((np.s_[:, 12:18], np.s_[:, 38:50])):
            base = [pixels(slit_night / 'truth/pattern.fits')[part] + truth['frames'][7 + place]['levels'][number]
                    for place in (0, 1)]  # fmt: skip
            first, second = one[part] - base[0], two[part] - base[1]
            scaled = second * light[0] / light[1]
            gain, noise = truth['gains'][number], truth['read_noises'][number]
            variance = (first + scaled * light[0] / light[1]) / gain + 2 * (noise / gain) ** 2
            assert np.mean((first - scaled) ** 2 / variance) == pytest.approx(1, abs=0.12)

    def test_truth_is_one_where_lit(self, slit_night):
        flat, lit = pixels(slit_night / 'truth/flat.fits'), pixels(slit_night / 'truth/lit.fits') == 1
        assert np.median(flat[lit]) == pytest.approx(1, abs=1e-6)
        assert (flat[~lit] == 1).all()
        bad = pixels(slit_night / 'truth/bad.fits') == 1
        assert bad[:, round(0.35 * SIZE[0])].all()
        assert (flat[bad & lit] < 0.5).all()

    def test_equal_seeds_give_equal_bytes(self, slit_night, tmp_path, capsys):
        for folder, seed in (('same', SEED), ('other', 7)):
            script('make_night').main([str(tmp_path / folder), '--size', '60x160', '--seed', str(seed)])
        assert '15 frames of 160 x 160 pixels' in capsys.readouterr().err
        for path in [*slit_night.glob('*.fits'), *slit_night.glob('truth/*')]:
            relative = path.relative_to(slit_night)
            assert (tmp_path / 'same' / relative).read_bytes() == path.read_bytes(), relative
        for path in slit_night.glob('*.fits'):
            assert (tmp_path / 'other' / path.name).read_bytes() != path.read_bytes(), path.name

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (['--size', '50x160'], 'at least 60x160, of even width'),
            (['--size', '61x160'], 'of even width'),
            (['--seed', '-1'], 'must not be negative'),
        ],
    )
    def test_refuses_bad_options(self, tmp_path, capsys, options, message):
        with pytest.raises(SystemExit, match='2'):
            script('make_night').main([str(tmp_path / 'night'), *options])
        assert message in capsys.readouterr().err
        assert not (tmp_path / 'night').exists()

    def test_leaves_a_folder_of_other_frames_alone(self, tmp_path, capsys):
        (tmp_path / 'mine.fits').write_text('mine')
        with pytest.raises(SystemExit, match='2'):
            script('make_night').main([str(tmp_path)])
        assert 'holds other FITS files, such as mine.fits' in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ['mine.fits']


def overscan_line(strip):
    """Medians of rows without the guard columns, and the straight line through them."""
    y = np.arange(len(strip))
    return np.polyval(np.polyfit(y, np.median(strip[:, 4:-2], axis=1), 1), y)[:, None]


def trimmed(raw):
    """Both halves in electrons, by the recipe; no overscan pixel of these frames is clipped away for good."""
    left = raw[:, :HALF] - overscan_line(raw[:, 2 * HALF : 2 * HALF + STRIP])
    right = raw[:, HALF : 2 * HALF] - overscan_line(raw[:, 2 * HALF + STRIP :])
    return np.hstack([1.25 * left, 1.10 * right])


class TestReduction:
    def test_every_step_is_numpy_s(self, slit_night, reduced):
        raw = {path.name: pixels(path) for path in slit_night.glob('*.fits')}
        frames = {name: trimmed(image) for name, image in raw.items()}
        near = {'rtol': 0, 'atol': 0.3}  # clipping moves a line by a tenth of an electron
        for name, image in frames.items():
            folder = {'bias': 'bias', 'arc': 'arcs', 'flat': 'flats', 'sci': 'science'}[name.split('.')[0]]
            np.testing.assert_allclose(pixels(reduced / folder / name), image, **near)
        bias = np.median([image for name, image in frames.items() if name.startswith('bias')], axis=0)
        np.testing.assert_allclose(pixels(reduced / 'master_bias.fits'), bias, **near)
        arcs = [image - bias for name, image in frames.items() if name.startswith('arc')]
        np.testing.assert_allclose(pixels(reduced / 'arc.fits'), np.sum(arcs, axis=0), rtol=0, atol=1)
        flats = [pixels(path) for path in sorted((reduced / 'flats_b').iterdir())]
        flat = np.median([image / np.median(image) for image in flats], axis=0)
        np.testing.assert_allclose(pixels(reduced / 'flat.fits'), flat, rtol=1e-5, atol=1e-6)
        response = pixels(reduced / 'response.fits')
        for path in (reduced / 'science_f').iterdir():
            wanted = pixels(reduced / 'science_b' / path.name) / response
            np.testing.assert_allclose(pixels(path), wanted, rtol=1e-5, atol=1e-4)

    def test_headers(self, reduced):
        arc, response = fits.getheader(reduced / 'arc.fits'), fits.getheader(reduced / 'response.fits')
        assert (arc['EXPTIME'], arc['NCOMBINE'], arc['CMBMETH']) == (50.0, 2, 'sum')
        assert (response['EXTNAME'], response['IMAGETYP'], response['DISPAXIS']) == ('FLAT', 'MASTER FLAT', 2)
        science = fits.getheader(reduced / 'science_f/sci.0014.fits')
        assert (science['OBJECT'], science['BUNIT'].lower()) == ('J0113+2958', 'electron')
        assert 'EXTNAME' not in science

    def test_products_keep_the_standard(self, reduced, verify):
        verify(*map(str, reduced.rglob('*.fits')))

    def test_results_are_the_truth(self, slit_night, reduced, capsys):
        status, table, errors = compare(capsys, slit_night, reduced)
        assert (status, errors) == (0, ''), table
        assert table.count(' ok') == 31

    def test_again_gives_the_same(self, slit_night, reduced, tmp_path):
        shutil.copytree(slit_night, tmp_path / 'night')
        for _ in range(2):  # what the script made before is made anew
            done = run('sh', SLIT / 'reduce.sh', 'night', cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        for path in reduced.rglob('*.fits'):
            found = tmp_path / 'night/reduced' / path.relative_to(reduced)
            np.testing.assert_array_equal(pixels(found), pixels(path))

    def test_a_camera_of_one_s_own(self, slit_night, reduced, tmp_path):
        text = """
            bias='bias.*.fits' arcs='arc.*.fits' flats='flat.*.fits' science='sci.0014.fits'
            amplifiers='--amp [1:30,*]:[61:110,*] --amp [31:60,*]:[111:160,*]'
            overscan='--guard 4,2 --fit chebyshev:1 --clip 4' gain='--gain 1.25,1.10' response='-d y -m poly -k 9'
        """
        (tmp_path / 'mine').write_text(text)
        done = run('sh', SLIT / 'reduce.sh', '-c', 'mine', slit_night, 'out', cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert fits.getheader(tmp_path / 'out/response.fits')['RSPMETH'] == 'poly'
        np.testing.assert_array_equal(pixels(tmp_path / 'out/flat.fits'), pixels(reduced / 'flat.fits'))
        assert len(list((tmp_path / 'out/science_f').iterdir())) == 1


class TestScripts:
    def test_reduce_wants_frames(self, tmp_path):
        done = run('sh', SLIT / 'reduce.sh', tmp_path)
        assert (done.returncode, done.stdout) == (1, '')
        assert done.stderr == f'reduce.sh: {tmp_path}: there are no bias frames bias.*.fits of synthetic\n'

    def test_reduce_leaves_a_foreign_folder_alone(self, slit_night, tmp_path):
        (tmp_path / 'mine').touch()
        done = run('sh', SLIT / 'reduce.sh', slit_night, tmp_path)
        assert (done.returncode, done.stdout) == (1, '')
        assert 'not made by reduce.sh' in done.stderr
        assert (tmp_path / 'mine').exists()

    def test_reduce_does_not_know_every_camera(self, tmp_path):
        done = run('sh', SLIT / 'reduce.sh', '-c', 'deimos', tmp_path)
        assert (done.returncode, done.stdout) == (2, '')
        assert done.stderr == 'reduce.sh: -c deimos: neither synthetic nor kast_blue, and there is no such file\n'

    def test_reduce_wants_the_commands(self, slit_night, tmp_path):
        done = subprocess.run(
            [shutil.which('sh'), SLIT / 'reduce.sh', slit_night, tmp_path / 'out'], capture_output=True, text=True,
            env={'PATH': os.pathsep.join({os.path.dirname(shutil.which(name)) for name in ('sh', 'dirname')})},
        )  # fmt: skip
        if shutil.which('img_trim') and done.returncode == 0:
            pytest.skip('the commands are installed beside sh')
        assert done.stderr == 'reduce.sh: the commands are not on the PATH: img_trim is not found\n'
        assert not (tmp_path / 'out').exists()

    def test_a_step_that_fails_stops_the_script(self, slit_night, tmp_path):
        (tmp_path / 'bin').mkdir()
        broken = tmp_path / 'bin/combine_fits'
        broken.write_text('#!/bin/sh\nexit 1\n')
        broken.chmod(0o755)
        path = os.pathsep.join([str(tmp_path / 'bin'), str(ROOT / 'bin'), os.environ['PATH']])
        done = run('sh', SLIT / 'reduce.sh', slit_night, tmp_path / 'out', PATH=path)
        assert done.returncode == 1
        assert '[2/7]' in done.stdout
        assert '[3/7]' not in done.stdout

    def test_help(self):
        done = run('sh', SLIT / 'reduce.sh', '-h')
        assert done.returncode == 0
        assert 'sh reduce.sh [-c CAMERA] [DIR [OUT]]' in done.stdout
        assert 'options of make_night.py' in run('sh', SLIT / 'run.sh', '--help').stdout


class TestCompare:
    @pytest.fixture
    def copy(self, reduced, tmp_path):
        shutil.copytree(reduced, tmp_path / 'copy')
        return tmp_path / 'copy'

    @pytest.mark.parametrize(
        ('product', 'hdu', 'part', 'change', 'wrong'),
        [
            ('response.fits', 'FLAT', np.s_[0], lambda row: row * 5 / 3, ['response, rms', 'response, first row']),
            ('response.fits', 'LIT', np.s_[3, 20], lambda pixel: 1 - pixel, ['response, pixels lit or not']),
            ('response.fits', 'BADPIX', np.s_[3, 20], lambda pixel: 1, ['bad pixels, false']),
            ('arc.fits', 0, np.s_[:], lambda arc: 1.05 * arc, ['arc, lines']),
            ('master_bias.fits', 0, np.s_[:, :HALF], lambda bias: bias + 1, ['bias left, mean']),
            ('science_f/sci.0014.fits', 0, np.s_[:, HALF:], lambda right: right + 5, ['sci.0014, right less left']),
            ('science_f/sci.0015.fits', 0, np.s_[:], lambda image: 1.03 * image, ['sci.0015, star', 'sci.0015, sky']),
        ],
    )  # fmt: skip
    def test_says_what_is_out_of_tolerance(self, slit_night, copy, capsys, product, hdu, part, change, wrong):
        with fits.open(copy / product, mode='update') as found:
            found[hdu].data[part] = change(found[hdu].data[part])
        status, table, errors = compare(capsys, slit_night, copy)
        assert status == 1
        bad = [line for line in table.splitlines() if 'OUT OF TOLERANCE' in line]
        assert all(any(line.startswith(name) for line in bad) for name in wrong), table
        assert errors == f'compare.py: {len(bad)} of 31 numbers are out of tolerance\n'

    @pytest.mark.parametrize(
        ('line', 'expected', 'equal'),
        [('sky 327.74 ok', 'sky  327.76 ok', True), ('sky 327.74 ok', 'sky 327.77 ok', False), ('a 1', 'a 2', False)],
    )
    def test_expected_numbers_may_differ_by_the_last_digit(self, line, expected, equal):
        assert script('compare').differences(line, expected) == ([] if equal else [expected])

    def test_expected_is_the_table_of_the_default_night(self):
        lines = (SLIT / 'expected.txt').read_text().splitlines()
        assert ' '.join(lines[0].split()) == '240 x 600, seed 20221119 truth result tolerance'
        assert len(lines) == 32
        assert all(' ok' in line for line in lines[1:])

    @pytest.mark.long
    def test_the_default_night_gives_the_expected_table(self, tmp_path):
        assert run(sys.executable, SLIT / 'make_night.py', tmp_path / 'night').returncode == 0
        assert run('sh', SLIT / 'reduce.sh', tmp_path / 'night').returncode == 0
        done = run(sys.executable, SLIT / 'compare.py', tmp_path / 'night')
        assert (done.returncode, done.stderr) == (0, '')


@pytest.fixture(scope='module')
def kast(tmp_path_factory):
    """The products of the same script for real frames of two amplifiers."""
    raw = ROOT.parent / 'shared/data/kast_blue'
    if not raw.is_dir():
        pytest.skip('there are no real observations beside the checkout')
    folder = tmp_path_factory.mktemp('kast') / 'out'
    done = run('sh', SLIT / 'reduce.sh', '-c', 'kast_blue', raw, folder)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if 'OBSTYPE' not in line]
    # The slit's edge is tilted against the rows.
    assert all('at the edges of the lit part have a response below 0.2: in BADPIX' in line for line in said)
    assert len(said) == 1
    return folder


class TestKast:
    def test_the_bias_is_gone(self, kast):
        bias = pixels(kast / 'master_bias.fits')
        for half in (bias[:, :1024], bias[:, 1024:]):
            assert abs(np.median(half)) < 3  # electrons

    def test_nothing_is_left_where_no_light_falls(self, kast):
        """Without the overscan the flats are off by 6 and 16 counts there."""
        for name in ('b24', 'b27'):
            dark = pixels(kast / f'science_b/{name}.fits')[345:, :]
            for half in (dark[:, :1024], dark[:, 1024:]):
                assert abs(np.median(half)) < 6

    def test_the_response(self, kast):
        response, lit = pixels(kast / 'response.fits'), pixels(kast / 'response.fits', 'LIT') == 1
        np.testing.assert_array_equal(np.flatnonzero(lit.all(axis=1)), np.arange(22, 327))
        assert np.median(response[lit]) == pytest.approx(1, abs=1e-6)
        columns = np.median(response[22:327], axis=0)
        np.testing.assert_allclose(columns[[0, 1, 2, -3, -2, -1]], 1, atol=0.03)
        seam = np.median(columns[1024:1034]) / np.median(columns[1014:1024])
        assert seam == pytest.approx(1, abs=0.01)  # 1.024 without the gains

    def test_the_arc_is_the_one_frame(self, kast):
        header = fits.getheader(kast / 'arc.fits')
        assert (header['EXPTIME'], header['NCOMBINE']) == (30.0, 1)
        np.testing.assert_allclose(pixels(kast / 'arc.fits'), pixels(kast / 'arcs_b/b1.fits'))
