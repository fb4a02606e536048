"""The Crab night: its frames, the recipe against plain numpy, the script, the Makefile and the comparison."""

import contextlib
import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[1]
CRAB = ROOT / 'examples' / 'crab'
SIZE = (140, 90)
FILTERS = {'oiii': 2, 'sii': 5, 'halpha': 10, 'red': 1, 'green': 1, 'blue': 1, 'lumin': 1, 'open': 1}
FITSVERIFY = shutil.which('fitsverify')


def run(*words, cwd=None, **settings):
    """A program, with the commands of this checkout first on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(ROOT / 'bin'), os.environ['PATH']])
    environment = {**os.environ, 'PATH': path, **settings}
    return subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True)


def script(name):
    """A script of examples/crab as a module."""
    if str(CRAB) not in sys.path:
        sys.path.append(str(CRAB))
    return importlib.import_module(name)


def make_night(folder, *options):
    script('make_night').main([str(folder), *options])


def compare(capsys, *words):
    """Status, standard output and standard error of compare.py."""
    status = script('compare').main(list(map(str, words)))
    return status, *capsys.readouterr()


def frame_name(root, number):
    return f'{root}.{number:04d}.fit'


def recipe_commands():
    """The commands of reduce.sh as lists of words."""
    text = (CRAB / 'reduce.sh').read_text().partition("\nstep 1 '")[2]
    found = re.findall(r"^(?:img|combine)_\w+ (?:'[^']*'|\\\n|[^'\n])*$", text, re.MULTILINE)
    return [[word.lstrip('\n') for word in shlex.split(command)] for command in found]


@pytest.fixture(scope='session')
def night(tmp_path_factory):
    """The frames and their truth; not to be changed."""
    folder = tmp_path_factory.mktemp('crab') / 'night'
    make_night(folder, '--size', '{}x{}'.format(*SIZE))
    return folder


@pytest.fixture(scope='session')
def products(night):
    """What the commands of reduce.sh make of the night, run in this process."""
    folder = night / 'reduced'
    folder.mkdir()
    for path in night.glob('*.fit'):
        shutil.copy(path, folder)
    with contextlib.chdir(folder):
        for name, *words in recipe_commands():
            main = importlib.import_module(f'fitsutils.commands.{name}').main
            # The recipe's region in frames of 140 x 90, as reduce.sh computes it.
            words = ' '.join(shlex.quote(word) for word in words).replace("'$bounds'", '75 137 50 87')
            assert main(shlex.split(words)) == 0, (name, words)
        fit = run('awk', '-f', CRAB / 'fit_line.awk', 'dark_stats.log')
        Path('dark_fit.log').write_text(fit.stdout)
    return folder


@pytest.fixture(scope='session')
def truth(products):
    """The recipe in plain numpy, in float64: image by name."""
    raw = {n: fits.getdata(products / frame_name('20210227', n)).astype(float) for n in range(1, 108)}
    return dict(recipe(raw))


def recipe(raw):
    """Steps 3 to 12, as (name, image)."""
    bias = np.mean([raw[n] for n in [*range(41, 51), *range(98, 108)]], axis=0)
    yield 'mean_bias', bias
    bsub = {n: raw[n] - bias for n in [*range(1, 41), *range(51, 98)]}
    yield from ((f'bsub.{n:04d}', image) for n, image in bsub.items())
    dark = {t: np.mean([bsub[n] for n in numbers], axis=0)
            for t, numbers in {60: range(52, 57), 120: (57, 58), 180: (59, 60, 61)}.items()}  # fmt: skip
    yield from ((f'mean_dark{t}', image) for t, image in dark.items())
    short = {t: dark[180] * factor for t, factor in {1: 0.25, 2: 0.26, 5: 0.27, 10: 0.29}.items()}
    yield from ((f'dark{t}sec', image) for t, image in short.items())
    times = {n: 60 for n in range(62, 74)} | {n: 180 for n in range(75, 90)} | {n: 120 for n in (74, 78, 82)}
    dbsub = {n: bsub[n] - dark[t] for n, t in times.items()}
    for place, t in enumerate(FILTERS.values()):
        dbsub |= {n: bsub[n] - short[t] for n in range(5 * place + 1, 5 * place + 6)}
    yield from ((f'dbsub.{n:04d}', image) for n, image in dbsub.items())
    flats = {}
    for place, name in enumerate(FILTERS):
        stack = np.array([dbsub[n] for n in range(5 * place + 1, 5 * place + 6)])
        levels = stack.mean(axis=(1, 2))
        yield f'{name}_mean_flat', np.average(stack, axis=0, weights=levels)
        yield f'{name}_median_flat', np.median(stack, axis=0)
        clipped = np.median(np.sort(stack * (levels[0] / levels)[:, None, None], axis=0)[:-1], axis=0)
        flats[name] = clipped / clipped.mean()
        yield f'{name}_flat', flats[name]
    used = {
        'lumin': (62, 63, 64, 74, 78, 82),
        'red': (65, 66, 67, 75, 79, 83),
        'green': (68, 69, 70, 76, 80, 84),
        'blue': (71, 72, 73, 77, 81, 85),
        'halpha': (86, 87, 88),
    }
    for name, numbers in used.items():
        fdb = [dbsub[n] / flats[name] for n in numbers]
        yield from ((f'fdb.{n:04d}', image) for n, image in zip(numbers, fdb, strict=True))
        if name != 'halpha':
            yield f'cluster_{name}', np.mean(fdb[:3], axis=0)
            yield f'crab_{name}', np.mean(fdb[3:], axis=0)


def images(folder):
    """Names, without .fit, of a reduction's products."""
    return {path.stem for path in folder.glob('*.fit')} - {f'20210227.{n:04d}' for n in range(1, 108)}


class TestNight:
    def headers(self, night):
        return {path.name: fits.getheader(path) for path in night.glob('*.fit')}

    def test_camera_names_do_not_tell_the_order(self, night):
        headers = self.headers(night)
        assert len(headers) == 107
        assert all(' ' in name for name in headers)
        by_time = sorted(headers, key=lambda name: headers[name]['DATE-OBS'])
        assert len({headers[name]['DATE-OBS'] for name in by_time}) == 107
        assert by_time != sorted(by_time)
        assert by_time == [frame['name'] for frame in json.loads((night / 'truth/truth.json').read_text())['frames']]

    def test_frames_in_time_have_the_numbers_of_the_recipe(self, night):
        headers = sorted(self.headers(night).values(), key=lambda header: header['DATE-OBS'])
        found = [(h['IMAGETYP'], h.get('FILTER', '').lower(), h['EXPTIME'], h['OBJECT']) for h in headers]
        wanted = [('Flat Field', name, t, '') for name, t in FILTERS.items() for _ in range(5)]
        wanted += [('Bias Frame', '', 0, '')] * 10
        wanted += [('Dark Frame', '', t, '') for t in [60] * 6 + [120] * 2 + [180] * 3]
        wanted += [('Light Frame', name, 60, 'M 35') for name in ('lumin', 'red', 'green', 'blue') for _ in range(3)]
        interleaved = [('lumin', 120), ('red', 180), ('green', 180), ('blue', 180)] * 3
        wanted += [('Light Frame', name, t, 'M 1') for name, t in interleaved + [('halpha', 180)] * 4]
        assert found[:89] == wanted
        # 90 to 97 are lights that no step after the fourth uses; then bias again.
        assert {kind for kind, *_ in found[89:97]} == {'Light Frame'}
        assert found[97:] == [('Bias Frame', '', 0, '')] * 10

    def test_headers_are_a_camera_s(self, night):
        keys = (
            'EXPOSURE XBINNING YBINNING READOUTM ISOSPEED EGAIN CCD-TEMP SET-TEMP XPIXSZ INSTRUME TELESCOP SWCREATE JD'
        )
        for name, header in self.headers(night).items():
            assert not [key for key in keys.split() if key not in header], name
            assert (header['NAXIS1'], header['NAXIS2']) == SIZE
            assert (header['BITPIX'], header['BZERO']) == (16, 32768)
            assert ('OBJCTRA' in header) == (header['IMAGETYP'] == 'Light Frame')
        first = fits.getheader(night / 'Flat OIII 2s 001.fit')
        assert first['DATE-OBS'].startswith('2021-02-27T')
        assert first['JD'] == pytest.approx(2459272.5 + (1 + 31 / 60 + 12 / 3600) / 24, abs=1e-6)

    def test_equal_seeds_give_equal_bytes(self, night, tmp_path):
        for folder, seed in (('same', '20210227'), ('other', '7')):
            make_night(tmp_path / folder, '--size', '140x90', '--seed', seed)
        for path in [*night.glob('*.fit'), *night.glob('truth/*')]:
            relative = path.relative_to(night)
            assert (tmp_path / 'same' / relative).read_bytes() == path.read_bytes(), relative
        for path in night.glob('*.fit'):
            assert (tmp_path / 'other' / path.name).read_bytes() != path.read_bytes(), path.name

    def test_dark_counts_follow_the_recipe_s_line(self, night):
        x1, x2, y1, y2 = json.loads((night / 'truth/truth.json').read_text())['dark']['bounds']
        rate, offset = (fits.getdata(night / f'truth/dark_{name}.fit')[y1:y2, x1:x2] for name in ('rate', 'offset'))
        assert rate.mean(dtype=float) == pytest.approx(0.098, rel=1e-5)
        assert offset.mean(dtype=float) == pytest.approx(5.9, rel=1e-5)

    def test_noise_is_what_gain_and_read_noise_make_it(self, night):
        bias = fits.getdata(night / 'Bias 001.fit').astype(float) - fits.getdata(night / 'Bias 002.fit')
        assert bias.std() / np.sqrt(2) == pytest.approx(6.5 / 1.4, rel=0.03)
        flats = [
            fits.getdata(night / f'Flat Open 1s 00{n}.fit') - fits.getdata(night / 'truth/bias.fit') for n in (1, 2)
        ]
        first, second = (flat / np.median(flat) for flat in flats)
        ratio = (first / second).ravel()
        sigma = 0.7413 * np.subtract(*np.percentile(ratio, [75, 25]))
        level = 30000 * 1.4
        shape = fits.getdata(night / 'truth/open_flat.fit')
        assert sigma == pytest.approx(np.sqrt((1 + 1 / 0.91) / level * np.mean(1 / shape)), rel=0.05)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (['--size', '10x90'], 'at least 100x80'),
            (['--size', '140'], 'is not a size'),
            (['--seed', '-1'], 'must not be negative'),
        ],
    )
    def test_refuses_bad_options(self, tmp_path, capsys, options, message):
        with pytest.raises(SystemExit, match='2'):
            make_night(tmp_path / 'night', *options)
        assert message in capsys.readouterr().err
        assert not (tmp_path / 'night').exists()

    def test_leaves_a_folder_of_other_frames_alone(self, tmp_path, capsys):
        (tmp_path / 'mine.fit').write_text('mine')
        with pytest.raises(SystemExit, match='2'):
            make_night(tmp_path, '--size', '100x80')
        assert 'holds other FITS files, such as mine.fit' in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ['mine.fit']

    def test_is_a_command(self, tmp_path):
        done = run(sys.executable, CRAB / 'make_night.py', tmp_path / 'night', '--size', '100x80')
        assert (done.returncode, done.stdout) == (0, '')
        assert len(list((tmp_path / 'night').glob('*.fit'))) == 107


class TestRecipe:
    def test_sequence_numbers_follow_the_time(self, night, products):
        names = [frame['name'] for frame in json.loads((night / 'truth/truth.json').read_text())['frames']]
        for number, name in enumerate(names, 1):
            assert (products / frame_name('20210227', number)).read_bytes() == (night / name).read_bytes()

    def test_every_product_equals_numpy(self, products, truth):
        assert images(products) == set(truth)
        for name, wanted in truth.items():
            found = fits.getdata(products / f'{name}.fit')
            assert found.dtype == '>f4', name
            assert np.max(np.abs(found - wanted)) <= 2e-6 * np.max(np.abs(wanted)), name

    def test_the_recipe_s_egrep_and_awk_print_the_right_columns(self, products):
        command = """egrep "#|Bias" HEADER_LOG | awk '{print $1,$7,$8,$9,$10,$11}'"""
        lines = run('sh', '-c', command, cwd=products).stdout.splitlines()
        assert lines[0] == '#Filename NAXIS1 NAXIS2 XBINNING READOUTM ISOSPEED'
        assert lines[1] == '#1 7 8 9 10 11'
        wanted = [f'{frame_name("20210227", n)} 140 90 3 Normal 800' for n in [*range(41, 51), *range(98, 108)]]
        assert lines[2:] == wanted

    def test_dark_stats_are_numpy_s(self, products, truth):
        rows = [line.split() for line in (products / 'dark_stats.log').read_text().splitlines()]
        assert rows[0][:4] == ['#FileName', 'num', 'sum', 'mean']
        means = {row[0].partition('.')[0]: float(row[3]) for row in rows[1:]}
        assert list(means) == ['mean_bias', 'mean_dark120', 'mean_dark180', 'mean_dark60']
        for name, mean in means.items():
            assert mean == pytest.approx(truth[name][50:87, 75:137].mean(), rel=1e-6)

    @pytest.mark.skipif(FITSVERIFY is None, reason='fitsverify is not installed')
    def test_products_keep_the_standard(self, products):
        done = run(FITSVERIFY, '-e', '-q', *sorted(products.glob('*.fit')))
        assert done.returncode == 0, done.stdout[-2000:]

    def test_results_are_the_truth(self, night, products, capsys):
        status, table, errors = compare(capsys, night)
        assert (status, errors) == (0, ''), table
        assert table.count(' ok') == 27


class TestCompare:
    @pytest.fixture
    def copy(self, products, tmp_path):
        for path in products.iterdir():
            (tmp_path / path.name).symlink_to(path)
        return tmp_path

    @pytest.mark.parametrize(
        ('product', 'factor', 'number'), [('crab_red', 1.2, 2), ('lumin_flat', 1.02, 1), ('mean_bias', 1.001, 1)]
    )
    def test_says_what_is_out_of_tolerance(self, night, copy, capsys, product, factor, number):
        pixels = fits.getdata(copy / f'{product}.fit')
        (copy / f'{product}.fit').unlink()
        pixels[:, ::2] *= factor
        fits.writeto(copy / f'{product}.fit', pixels)
        status, table, errors = compare(capsys, night, copy)
        assert status == 1
        assert table.count('OUT OF TOLERANCE') == number
        assert errors == f'compare.py: {number} of 27 numbers are out of tolerance\n'

    def test_nan_is_out_of_tolerance(self, night, copy, capsys):
        (copy / 'mean_bias.fit').unlink()
        fits.writeto(copy / 'mean_bias.fit', np.full(SIZE[::-1], np.nan, 'f4'))
        assert compare(capsys, night, copy)[0] == 1

    @pytest.mark.parametrize(
        ('line', 'expected', 'equal'),
        [
            ('sky 327.74 ok', 'sky  327.76 ok', True),
            ('sky 327.74 ok', 'sky 327.77 ok', False),
            ('sky 327.7 ok', 'sky 327.74 ok', False),
            ('sky 327.74 ok', 'sky 327.74 OUT', False),
            ('sky nan ok', 'sky 327.74 ok', False),
            ('sky 1 ok', 'sky 1 ok', True),
        ],
    )
    def test_expected_numbers_may_differ_by_the_last_digit(self, line, expected, equal):
        assert script('compare').differences(line, expected) == ([] if equal else [expected])

    def test_expected_is_the_table_of_the_default_night(self):
        lines = (CRAB / 'expected.txt').read_text().splitlines()
        assert ' '.join(lines[0].split()) == '1116 x 720, seed 20210227 truth result tolerance'
        assert len(lines) == 28
        assert all(' ok' in line for line in lines[1:])


def test_line_fit_is_the_recipe_s(tmp_path):
    means = {60: 11.8, 120: 17.8, 180: 23.6}
    log = '#FileName num sum mean\nmean_bias.fit[1:2,1:2] 4 4000 1000\n'
    log += ''.join(f'mean_dark{t}.fit[1:2,1:2] 4 {4 * mean} {mean}\n' for t, mean in means.items())
    (tmp_path / 'dark_stats.log').write_text(log)
    done = run('awk', '-f', CRAB / 'fit_line.awk', tmp_path / 'dark_stats.log')
    assert done.stdout.splitlines() == [
        'Counts = Offset + Slope * ExpTime',
        'Offset = 5.933 +/- 1.528',
        'Slope  = 0.098 +/- 0.012',
        'npts = 3',
    ]
    (tmp_path / 'one.log').write_text('mean_dark60.fit 1 1 1\n')
    assert run('awk', '-f', CRAB / 'fit_line.awk', tmp_path / 'one.log').returncode == 1


class TestScripts:
    def test_reduce_wants_a_night(self, tmp_path):
        done = run('sh', CRAB / 'reduce.sh', tmp_path)
        assert (done.returncode, done.stdout) == (1, '')
        assert 'the frames of make_night.py are not there' in done.stderr

    def test_reduce_leaves_a_foreign_folder_alone(self, tmp_path):
        (tmp_path / 'Bias 001.fit').touch()
        (tmp_path / 'reduced').mkdir()
        (tmp_path / 'reduced/mine').touch()
        done = run('sh', CRAB / 'reduce.sh', tmp_path)
        assert done.returncode == 1
        assert 'not made by reduce.sh' in done.stderr
        assert (tmp_path / 'reduced/mine').exists()

    def test_run_names_the_python_that_it_needs(self, tmp_path):
        old = tmp_path / 'python3.8'
        old.write_text('#!/bin/sh\nexit 1\n')
        old.chmod(0o755)
        shutil.copytree(CRAB, tmp_path / 'examples/crab', ignore=shutil.ignore_patterns('night', '__pycache__'))
        shutil.copy(CRAB.parent / 'environment.sh', tmp_path / 'examples')
        done = run('sh', tmp_path / 'examples/crab/run.sh', PYTHON=str(old))
        assert done.returncode == 1
        assert done.stderr == f'run.sh: {old} is not Python 3.11 or later; set PYTHON to one that is\n'
        assert not (tmp_path / '.venv').exists()

    @pytest.mark.long
    def test_reduce_again_after_a_failure(self, night, products, tmp_path):
        for path in night.glob('*.fit'):
            shutil.copy(path, tmp_path)
        (tmp_path / 'bin').mkdir()
        broken = tmp_path / 'bin/combine_fits'
        broken.write_text('#!/bin/sh\nexit 1\n')
        broken.chmod(0o755)
        path = os.pathsep.join([str(tmp_path / 'bin'), str(Path(sys.executable).parent), os.environ['PATH']])
        failed = subprocess.run(['sh', CRAB / 'reduce.sh', tmp_path], env={**os.environ, 'PATH': path})
        assert failed.returncode != 0
        assert not list(tmp_path.glob('reduced/bsub*'))
        done = run('sh', CRAB / 'reduce.sh', tmp_path)
        assert done.returncode == 0, done.stderr
        assert [int(n) for n in re.findall(r'^\[ *(\d+)/12\]', done.stdout, re.MULTILINE)] == list(range(1, 13))
        assert_same_pixels(tmp_path / 'reduced', products)
        fit = (tmp_path / 'reduced/dark_fit.log').read_text()
        assert fit == (products / 'dark_fit.log').read_text()
        assert fit in done.stdout


def assert_same_pixels(folder, products):
    assert images(folder) == images(products)
    for name in images(products):
        np.testing.assert_array_equal(
            fits.getdata(folder / f'{name}.fit'), fits.getdata(products / f'{name}.fit'), name
        )


@pytest.fixture(scope='module')
def folder(night, tmp_path_factory):
    """Frames for make; the tests of the Makefile go on from each other's products."""
    folder = tmp_path_factory.mktemp('make')
    for path in night.glob('*.fit'):
        shutil.copy(path, folder)
    return folder


@pytest.mark.long
class TestMakefile:
    def make(self, folder, *words):
        return run('make', '-j2', '-C', CRAB, f'NIGHT={folder}', *words)

    def changed(self, folder, moment):
        return {path.name for path in (folder / 'made').glob('*.*') if path.stat().st_mtime > moment}

    def set_back(self, folder):
        """All files an hour older, so that what is made from now on is newer by any clock."""
        for path in [*folder.glob('*.fit'), *(folder / 'made').iterdir()]:
            status = path.stat()
            if not path.is_symlink():
                os.utime(path, ns=(status.st_atime_ns - 3600 * 10**9, status.st_mtime_ns - 3600 * 10**9))
        return time.time() - 1800

    def test_an_interrupted_make_leaves_nothing_half_made(self, folder):
        path = os.pathsep.join([str(Path(sys.executable).parent), str(ROOT / 'bin'), os.environ['PATH']])
        statuses = []
        for seconds in (0.5, 1, 2):
            making = subprocess.Popen(
                ['make', '-j2', '-C', CRAB, f'NIGHT={folder}'],
                env={**os.environ, 'PATH': path},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(seconds)
            os.killpg(making.pid, signal.SIGINT)
            statuses.append(making.wait())
            for product in (folder / 'made').glob('*'):
                assert not product.name.endswith('.fit') or fits.getdata(product).shape == SIZE[::-1]
            assert not list((folder / 'made').glob('.*.fit'))
        assert statuses[0] != 0  # a fast machine may have made all by the third

    def test_makes_what_the_script_makes(self, folder, products):
        done = self.make(folder)
        assert done.returncode == 0, done.stderr
        assert_same_pixels(folder / 'made', products)
        for name in ('HEADER_LOG', 'dark_stats.log', 'dark_fit.log'):
            assert (folder / 'made' / name).read_text() == (products / name).read_text()

    def test_does_nothing_when_all_is_up_to_date(self, folder):
        assert self.make(folder).returncode == 0
        done = self.make(folder)
        assert (done.returncode, done.stderr) == (0, '')
        assert 'Nothing to be done' in done.stdout
        assert self.make(folder, '-q').returncode == 0

    def test_a_new_frame_makes_its_descendants_again(self, folder):
        assert self.make(folder).returncode == 0  # whichever of these tests comes first
        moment = self.set_back(folder)
        os.utime(folder / 'M 1 Blue 180s 002.fit')
        assert self.make(folder).returncode == 0
        made = {'bsub.0081.fit', 'dbsub.0081.fit', 'fdb.0081.fit', 'crab_blue.fit', '20210227.0081.fit'}
        assert {name for name in self.changed(folder, moment) if name.endswith('.fit')} == made
        assert 'Nothing to be done' in self.make(folder).stdout

    def test_a_new_flat_does_not_touch_other_filters(self, folder):
        assert self.make(folder).returncode == 0  # whichever of these tests comes first
        moment = self.set_back(folder)
        os.utime(folder / 'Flat Halpha 10s 003.fit')
        assert self.make(folder).returncode == 0
        made = {'20210227.0013.fit', 'bsub.0013.fit', 'dbsub.0013.fit', 'fdb.0086.fit', 'fdb.0087.fit', 'fdb.0088.fit'}
        made |= {'halpha_flat.fit', 'halpha_mean_flat.fit', 'halpha_median_flat.fit'}
        assert {name for name in self.changed(folder, moment) if name.endswith('.fit')} == made
        assert 'Nothing to be done' in self.make(folder).stdout

    def test_a_lost_product_is_made_again(self, folder, products):
        assert self.make(folder).returncode == 0
        (folder / 'made/fdb.0086.fit').unlink()
        (folder / 'made/cluster_red.fit').unlink()
        assert self.make(folder).returncode == 0
        assert_same_pixels(folder / 'made', products)
        assert 'Nothing to be done' in self.make(folder).stdout

    def test_clean_leaves_the_frames(self, folder):
        assert self.make(folder, 'clean').returncode == 0
        assert not (folder / 'made').exists()
        assert len(list(folder.glob('*.fit'))) == 107
