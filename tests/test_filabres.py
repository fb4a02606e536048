"""The filabres example: its nights, the script and the Makefile against plain numpy, the comparison."""

import contextlib
import csv
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
HERE = ROOT / 'examples' / 'filabres'
CHIP, SEED = 128, 6
WINDOW = ('CCDNAME', 'NAXIS1', 'NAXIS2', 'DATASEC', 'CCDBINX', 'CCDBINY')
LIGHT = (*WINDOW, 'INSGRID', 'INSFLID', 'INSPOFPI')
needs_make = pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')


def run(*words, cwd=None, **settings):
    """A program, with the commands of this checkout first on the PATH."""
    path = os.pathsep.join([str(ROOT / 'bin'), str(Path(sys.executable).parent), os.environ['PATH']])
    environment = {**os.environ, 'PATH': path, **settings}
    return subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True)


def script(name):
    """A script of examples/filabres as a module; other examples have scripts of the same names."""
    spec = importlib.util.spec_from_file_location(f'filabres_{name}', HERE / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(HERE))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(HERE))
    return module


def compare(capsys, *words):
    """Status, standard output and standard error of compare.py."""
    status = script('compare').main(list(map(str, words)))
    return status, *capsys.readouterr()


@pytest.fixture(scope='session')
def nights(tmp_path_factory):
    """The frames and their truth; not to be changed."""
    folder = tmp_path_factory.mktemp('filabres') / 'two nights'
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stderr(nowhere):
        script('make_nights').main([str(folder), '--chip', str(CHIP), '--seed', str(SEED)])
    return folder


@pytest.fixture(scope='session')
def told(nights, tmp_path_factory):
    """The products of reduce.sh, and what it told; not to be changed."""
    folder = tmp_path_factory.mktemp('filabres') / 'out put'
    done = run('sh', HERE / 'reduce.sh', nights, folder)
    assert done.returncode == 0, done.stderr
    assert re.findall(r'^\[(\d)/7\]', done.stdout, re.MULTILINE) == list('1234567')
    return folder, done.stderr


@pytest.fixture(scope='session')
def reduced(told):
    """The products of reduce.sh; not to be changed."""
    return told[0]


@pytest.fixture(scope='session')
def made(nights, tmp_path_factory):
    """The products of make -j2; not to be changed."""
    folder = tmp_path_factory.mktemp('filabres') / 'nights'
    shutil.copytree(nights, folder)
    done = make(folder)
    assert done.returncode == 0, done.stderr
    return folder / 'made'


def make(folder, *words):
    return run('make', '-j2', '-f', HERE / 'Makefile', f'NIGHTS={folder}', *words, cwd=folder)


def pixels(path):
    return fits.getdata(path).astype('f8')


def truth_of(nights):
    return json.loads((nights / 'truth/truth.json').read_text())


def times(folder):
    """When each product was written."""
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob('*.fits')}


class TestNights:
    def test_frames(self, nights):
        frames = sorted(nights.glob('17*/*.fits'))
        headers = [fits.getheader(path) for path in frames]
        assert len(frames) == 63
        kinds = [header['IMAGETYP'] for header in headers]
        assert [kinds.count(kind) for kind in ('bias', 'flat', 'science')] == [24, 27, 12]
        assert len({header['DATASEC'] for header in headers}) == 2
        assert {header['INSFLID'] for header in headers} == {'FILT- 9', 'FILT-11'}
        for path, header in zip(frames, headers, strict=True):
            assert header['BZERO'] == 32768
            assert path.name[4:19] == header['DATE-OBS'].replace('-', '').replace(':', '').replace('T', '-')

    def test_odd_frames_are_what_the_truth_says(self, nights):
        odd = {what: nights / name for what, name in truth_of(nights)['odd'].items()}
        assert set(odd) == {'dark', 'no bias', 'mistyped', 'broken', 'saturated'}
        assert np.median(pixels(odd['dark'])) == 672  # eight counts below the bias
        assert np.percentile(pixels(odd['saturated']), 97.5) > 60000
        assert (pixels(odd['broken'])[-20:] == 65535).all()
        assert fits.getheader(odd['mistyped'])['IMAGETYP'] == 'science'
        assert fits.getheader(odd['mistyped'])['EXPTIME'] == 0
        assert fits.getheader(odd['no bias'])['CCDBINX'] == 2

    def test_frames_are_what_the_truth_makes_of_them(self, nights):
        truth = truth_of(nights)
        for group in truth['groups']:
            raw = np.mean([pixels(nights / name) for name in group['used']], axis=0)
            light = raw - pixels(nights / f'truth/bias_{group["window"]}.fits') - group['level']
            if group['kind'] == 'bias':
                assert abs(light.mean()) < 0.1
                assert light.std() == pytest.approx(5 / 2.3 / len(group['used']) ** 0.5, rel=0.1)
                continue
            name = f'truth/response_{group["window"]}_{group["filter"].replace(" ", "")}_{group["dust"]}.fits'
            response = pixels(nights / name)
            lit = pixels(nights / f'truth/lit_{group["window"]}.fits') == 1
            ratio = light[lit] / response[lit]
            assert ratio.std() / ratio.mean() < 0.01
            assert abs(light[response == 0]).max() < 10

    def test_equal_seeds_give_equal_bytes(self, nights, tmp_path, capsys):
        for folder, seed in (('same', SEED), ('other', 7)):
            script('make_nights').main([str(tmp_path / folder), '--chip', str(CHIP), '--seed', str(seed)])
        assert '63 frames of two nights' in capsys.readouterr().err
        for path in [*nights.glob('*/*.fits'), nights / 'truth/truth.json']:
            relative = path.relative_to(nights)
            assert (tmp_path / 'same' / relative).read_bytes() == path.read_bytes(), relative
        for path in nights.glob('17*/*.fits'):
            assert (tmp_path / 'other' / path.relative_to(nights)).read_bytes() != path.read_bytes(), path.name

    @pytest.mark.parametrize(
        ('options', 'message'),
        [(['--chip', '100'], 'from 128 to 2048'), (['--chip', '2e2'], 'from 128'), (['--seed', '-1'], 'negative')],
    )
    def test_refuses_bad_options(self, tmp_path, capsys, options, message):
        with pytest.raises(SystemExit, match='2'):
            script('make_nights').main([str(tmp_path / 'nights'), *options])
        assert message in capsys.readouterr().err
        assert not (tmp_path / 'nights').exists()

    def test_leaves_a_folder_of_other_frames_alone(self, tmp_path, capsys):
        (tmp_path / '170318').mkdir()
        (tmp_path / '170318/mine.fits').write_text('mine')
        with pytest.raises(SystemExit, match='2'):
            script('make_nights').main([str(tmp_path), '--chip', str(CHIP)])
        assert 'holds other FITS files, such as 170318/mine.fits' in capsys.readouterr().err
        assert [path.name for path in (tmp_path / '170318').iterdir()] == ['mine.fits']


def usable(nights):
    """Headers of the frames that count, by path; filabres' rules, written out."""
    found = {}
    odd = truth_of(nights)['odd']
    for path in sorted(nights.glob('17*/*.fits')):
        header = fits.getheader(path)
        name = str(path.relative_to(nights))
        if name == odd['mistyped']:
            header['IMAGETYP'] = 'bias'
        high = np.percentile(pixels(path), 97.5)
        if name != odd['broken'] and high < (1000 if header['IMAGETYP'] == 'bias' else 60000):
            found[path] = header
    return found


def blocks(frames, keys):
    """Frames of equal signature, from the first one on those that lie within an hour of it."""
    left = sorted(frames, key=lambda path: frames[path]['MJD-OBS'])
    found = []
    while left:
        first = frames[left[0]]
        block = [path for path in left if all(frames[path][key] == first[key] for key in keys)
                 and frames[path]['MJD-OBS'] - first['MJD-OBS'] < 1 / 24]  # fmt: skip
        found.append(block)
        left = [path for path in left if path not in block]
    return found


def nearest(header, masters, keys):
    """The nearest master of the same signature, from its frames' headers."""
    alike = {name: np.mean([each['MJD-OBS'] for each in headers]) for name, headers in masters.items()
             if all(headers[0][key] == header[key] for key in keys)}  # fmt: skip
    return min(alike, key=lambda name: abs(alike[name] - header['MJD-OBS']), default=None)


class TestReduction:
    def test_every_step_is_numpy_s(self, nights, reduced):
        frames = usable(nights)
        of = {kind: {path: header for path, header in frames.items() if header['IMAGETYP'] == kind}
              for kind in ('bias', 'flat', 'science')}  # fmt: skip
        biases = {block[0].name: block for block in blocks(of['bias'], WINDOW)}
        assert sorted(path.name for path in (reduced / 'bias').iterdir()) == sorted(biases)
        for name, block in biases.items():
            wanted = np.median([pixels(path) for path in block], axis=0)
            np.testing.assert_allclose(pixels(reduced / 'bias' / name), wanted, rtol=1e-6)
        cal = {name: [frames[path] for path in block] for name, block in biases.items()}
        off = {path: pixels(path) - pixels(reduced / 'bias' / nearest(header, cal, WINDOW))
               for path, header in {**of['flat'], **of['science']}.items() if nearest(header, cal, WINDOW)}  # fmt: skip
        assert len(off) == len(of['flat']) + len(of['science']) - 1
        flats = {block[0].name: [path for path in block if off[path].mean() > 0] for block in blocks(of['flat'], LIGHT)}
        assert sorted(path.name for path in (reduced / 'flat').iterdir()) == sorted(flats)
        for name, block in flats.items():
            good = pixels(reduced / 'masks' / name) == 0
            wanted = np.median([off[path] / np.median(off[path][good]) for path in block], axis=0)
            wanted[~good] = np.nan
            np.testing.assert_allclose(pixels(reduced / 'flat' / name), wanted, rtol=1e-5)
        cal = {name: [frames[path] for path in block] for name, block in flats.items()}
        for path in sorted(set(of['science']) & set(off)):
            flat = pixels(reduced / 'flat' / nearest(frames[path], cal, LIGHT))
            np.testing.assert_allclose(pixels(reduced / 'science' / path.name), off[path] / flat, rtol=1e-5, atol=1e-3)

    def test_what_goes_wrong_is_told(self, nights, told):
        odd = truth_of(nights)['odd']
        stderr = told[1]
        assert re.search(rf'^img_match: {odd["no bias"]}: no master has its signature', stderr, re.MULTILINE)
        assert f'img_arith: left out: no operand for 1 image: {odd["no bias"]}\n' in stderr
        dark = odd['dark'].partition('/')[2]
        assert re.search(rf'left out: \S+ \S+/flats_b/{dark}: its median is -\d', stderr)
        lines = [line for line in stderr.splitlines() if 'pixels have nothing left' not in line]
        assert len(lines) == 4  # and nothing else

    def test_a_flat_without_light_is_never_stacked(self, nights, reduced, tmp_path):
        group = next(each for each in truth_of(nights)['groups'] if len(each['members']) > len(each['used']))
        frames = [reduced / 'flats_b' / Path(name).name for name in group['members']]
        for words in (['-n', 'median'], [], ['-m', 'sum'], ['-n', 'EXPTIME']):
            done = run('combine_fits', *frames, *words, '-o', tmp_path / 'flat.fits')
            assert (done.returncode, done.stdout) == (1, '')
            assert re.search(r'its (mean|median) is -\d', done.stderr)
        assert list(tmp_path.iterdir()) == []

    def test_wrong_headers_are_put_right_in_copies(self, nights, reduced):
        name = truth_of(nights)['odd']['mistyped']
        raw, corrected = fits.getheader(nights / name), fits.getheader(reduced / 'corrected' / Path(name).name)
        assert (raw['IMAGETYP'], corrected['IMAGETYP']) == ('science', 'bias')
        assert 'science' in str(corrected['HISTORY'])

    def test_headers(self, nights, reduced):
        truth = truth_of(nights)
        for frame in truth['science']:
            if frame['its_bias'] is None:
                continue
            header = fits.getheader(reduced / 'science' / Path(frame['name']).name)
            for kind in ('bias', 'flat'):
                master = truth['groups'][frame[f'its_{kind}']]
                assert header[f'{kind.upper()}FILE'] == Path(master['members'][0]).name
                assert header[f'{kind.upper()}DMJD'] == pytest.approx(master['mjd'] - frame['mjd'], abs=1e-6)
        for path in (reduced / 'flat').iterdir():
            header = fits.getheader(path)
            assert (header['IMAGETYP'], header['CMBCHECK'], header['NCOMBINE']) == ('MASTER FLAT', True, 5)

    def test_the_table_of_quality(self, reduced):
        with (reduced / 'products.tsv').open() as file:
            rows = list(csv.DictReader(file, delimiter='\t'))
        assert [row['IMAGETYP'] for row in rows] == ['MASTER BIAS'] * 5 + ['MASTER FLAT'] * 5 + ['science'] * 10
        for row in rows:
            good = pixels(reduced / row['Filename'])
            good = good[np.isfinite(good)]
            assert int(row['NPOINTS']) == good.size
            for key, percent in (('QUANT025', 2.5), ('QUANT500', 50), ('QUANT975', 97.5)):
                assert float(row[key]) == pytest.approx(np.percentile(good, percent), rel=1e-6)
            spread = 0.7413 * np.subtract(*np.percentile(good, (75, 25)))
            assert float(row['ROBUSTSD']) == pytest.approx(spread, rel=1e-5)

    def test_products_keep_the_standard(self, reduced, verify):
        verify(*map(str, reduced.rglob('*.fits')))

    def test_results_are_the_truth(self, nights, reduced, capsys):
        status, table, errors = compare(capsys, nights, reduced)
        assert (status, errors) == (0, ''), table
        assert table.count(' ok') == 63

    def test_again_makes_only_what_is_missing(self, nights, reduced, tmp_path):
        shutil.copytree(reduced, tmp_path / 'out')
        gone = [next((tmp_path / 'out' / kind).iterdir()) for kind in ('bias', 'flats_b', 'flat', 'science')]
        for path in gone:
            path.unlink()
        before = times(tmp_path / 'out')
        done = run('sh', HERE / 'reduce.sh', nights, tmp_path / 'out')
        assert done.returncode == 0, done.stderr
        after = times(tmp_path / 'out')
        masks = {path for path in after if path.parts[0] == 'masks'}  # a flat's mask is made with it
        new = {path for path in after if after[path] != before.get(path)} - masks
        assert new == {path.relative_to(tmp_path / 'out') for path in gone}
        for path in gone:
            np.testing.assert_array_equal(pixels(path), pixels(reduced / path.relative_to(tmp_path / 'out')))

    def test_another_instrument(self, nights, tmp_path):
        text = (HERE / 'cafos.mk').read_text().replace('span = 1h', 'span = 20m')
        text = re.sub(r'is_science = .*', "is_science = OBJECT == 'BD+33 2642'", text)
        (tmp_path / 'mine.mk').write_text(text)
        done = run('sh', HERE / 'reduce.sh', nights, tmp_path / 'out', INSTRUMENT=tmp_path / 'mine.mk')
        assert done.returncode == 0, done.stderr
        # The morning's biases at 0, 10, 25, 43, 59, 72, 76 and 80 minutes are four groups.
        assert len(list((tmp_path / 'out/bias').iterdir())) == 3 + 4
        assert len(list((tmp_path / 'out/science').iterdir())) == 1


@needs_make
class TestMake:
    def test_makes_what_the_script_makes(self, reduced, made):
        ours = {path.relative_to(reduced) for path in reduced.rglob('*.fits')}
        assert {path.relative_to(made) for path in made.rglob('*.fits')} == ours
        for path in ours:
            np.testing.assert_array_equal(pixels(made / path), pixels(reduced / path), err_msg=str(path))

    def test_results_are_the_truth(self, nights, made, capsys):
        status, table, errors = compare(capsys, nights, made)
        assert (status, errors) == (0, ''), table

    @pytest.fixture
    def copy(self, made, tmp_path):
        """The nights and their products, as old as they were."""
        shutil.copytree(made.parent, tmp_path / 'nights')
        return tmp_path / 'nights'

    def test_again_makes_nothing(self, copy):
        before = times(copy)
        done = make(copy)
        assert done.returncode == 0
        assert 'img_' not in done.stdout
        assert times(copy) == before

    def test_what_is_older_than_its_frames_is_made_again(self, copy, nights):
        group = next(each for each in truth_of(nights)['groups'] if each['kind'] == 'flat')
        os.utime(copy / group['members'][1])
        before = times(copy)
        assert make(copy).returncode == 0
        new = {str(path) for path, time in times(copy).items() if time != before.get(path)}
        number = truth_of(nights)['groups'].index(group)
        frames = [frame for frame in truth_of(nights)['science'] if frame['its_flat'] == number]
        first = Path(group['members'][0]).name
        wanted = {f'made/flats_b/{Path(group["members"][1]).name}', f'made/flat/{first}', f'made/masks/{first}'}
        assert new == wanted | {f'made/science/{Path(frame["name"]).name}' for frame in frames}

    def test_a_frame_that_is_new_joins_its_group(self, copy, nights):
        frame = next((copy / '170318').glob('*160612*'))
        with fits.open(frame) as hdus:
            hdus[0].header['MJD-OBS'] += 2 / 1440
            hdus[0].header['DATE-OBS'] = '2017-03-18T16:08:12'
            hdus.writeto(frame.with_name('caf-20170318-160812-cal.fits'))
        done = make(copy)
        assert done.returncode == 0, done.stderr
        assert fits.getval(copy / 'made/bias/caf-20170318-160500-cal.fits', 'NCOMBINE') == 6

    def test_to_be_rid_of_a_master(self, copy, tmp_path):
        """The recipe of the README: its bad frame is ignored, it and what was made with it are removed."""
        (tmp_path / 'ignored').write_text((HERE / 'ignored.lst').read_text() + '170319/caf-20170319-161000-cal.fits\n')
        master = 'caf-20170319-161000-cal.fits'
        where = f'"\'{master}\' in (BIASFILE, FLATFILE)"'
        line = f"img_log 'made/*/*.fits' --where {where} --names | xargs rm -f made/bias/{master}"
        assert run('sh', '-c', line, cwd=copy).returncode == 0
        done = make(copy, f'IGNORED={tmp_path / "ignored"}')
        assert done.returncode == 0, done.stderr
        biases = sorted(path.name for path in (copy / 'made/bias').iterdir())
        assert len(biases) == 5
        assert biases[-1] == 'caf-20170319-161112-cal.fits'
        found = {
            fits.getval(path, 'BIASFILE') for kind in ('flat', 'science') for path in (copy / 'made' / kind).iterdir()
        }
        assert found == set(biases)

    def test_clean(self, copy):
        assert make(copy, 'clean').returncode == 0
        assert sorted(path.name for path in copy.iterdir()) == ['170318', '170319', 'truth']


class TestScripts:
    def test_reduce_wants_frames(self, tmp_path):
        done = run('sh', HERE / 'reduce.sh', tmp_path)
        assert (done.returncode, done.stdout) == (1, '')
        assert done.stderr == f'reduce.sh: {tmp_path}: there are no frames [0-9]*/*.fits\n'

    def test_reduce_wants_the_commands(self, nights, tmp_path):
        done = subprocess.run(
            [shutil.which('sh'), HERE / 'reduce.sh', nights, tmp_path / 'out'], capture_output=True, text=True,
            env={'PATH': os.pathsep.join({os.path.dirname(shutil.which(name)) for name in ('sh', 'dirname', 'sed')})},
        )  # fmt: skip
        if shutil.which('img_group') and done.returncode == 0:
            pytest.skip('the commands are installed beside sh')
        assert done.stderr == 'reduce.sh: the commands are not on the PATH: img_group is not found\n'
        assert not (tmp_path / 'out').exists()

    def test_a_step_that_fails_stops_the_script(self, nights, tmp_path):
        (tmp_path / 'bin').mkdir()
        broken = tmp_path / 'bin/combine_fits'
        broken.write_text('#!/bin/sh\nexit 1\n')
        broken.chmod(0o755)
        path = os.pathsep.join([str(tmp_path / 'bin'), str(ROOT / 'bin'), os.environ['PATH']])
        done = run('sh', HERE / 'reduce.sh', nights, tmp_path / 'out', PATH=path)
        assert done.returncode != 0
        assert '[2/7]' in done.stdout
        assert '[3/7]' not in done.stdout

    def test_a_master_that_fails_its_check_is_there_and_marked(self, nights, tmp_path):
        frames = sorted((nights / '170318').glob('*-160*.fits'))
        words = ['-c', 'n >= 9', '-o', tmp_path / 'bias/b.fits', *frames]
        done = run('sh', HERE / 'master.sh', 'bias', *words)
        assert done.returncode == 0
        assert done.stderr == f'combine_fits: {tmp_path}/bias/b.fits: --check: N >= 9: N is 5\n'
        header = fits.getheader(tmp_path / 'bias/b.fits')
        assert (header['CMBCHECK'], header['NPOINTS']) == (False, header['NAXIS1'] * header['NAXIS2'])
        assert run('sh', HERE / 'master.sh', 'bias', *words).returncode == 1  # it exists
        assert run('sh', HERE / 'master.sh', 'dark', *words).returncode == 2

    def test_help(self):
        done = run('sh', HERE / 'reduce.sh', '-h')
        assert done.returncode == 0
        assert 'sh reduce.sh [DIR [OUT]]' in done.stdout
        assert 'options of make_nights.py' in run('sh', HERE / 'run.sh', '--help').stdout

    def test_the_readme_names_commands_that_are_there(self):
        text = (HERE / 'README.md').read_text()
        commands = {path.name for path in (ROOT / 'bin').iterdir()}
        assert set(re.findall(r'\b(?:img|combine|display)_[a-z]+\b', text)) <= commands


class TestCompare:
    @pytest.fixture
    def copy(self, reduced, tmp_path):
        shutil.copytree(reduced, tmp_path / 'copy')
        return tmp_path / 'copy'

    def names(self, capsys, nights, copy):
        status, table, errors = compare(capsys, nights, copy)
        bad = [line for line in table.splitlines() if 'OUT OF TOLERANCE' in line]
        assert (status, errors) == (1, f'compare.py: {len(bad)} of 63 numbers are out of tolerance\n')
        return [line[:44].strip() for line in bad]

    @pytest.mark.parametrize(
        ('product', 'change', 'wrong'),
        [
            ('bias/caf-20170319-161000-cal.fits', lambda bias: bias + 0.5, 'bias 20170319-161000, level'),
            ('flat/caf-20170318-174000-cal.fits', lambda flat: flat * 1.01, 'flat 20170318-174000, median'),
            ('flat/caf-20170318-174000-cal.fits', lambda flat: flat * np.linspace(0.95, 1.05, flat.shape[1]),
             'flat 20170318-174000, rms'),
            ('masks/caf-20170318-175000-cal.fits', lambda mask: 0 * mask, 'flat 20170318-175000, unlit pixels used'),
            ('science/caf-20170318-211000-sci.fits', lambda image: image + 20, '20170318-211000, sky'),
            ('science/caf-20170318-211000-sci.fits', lambda image: image * 1.1, '20170318-211000, stars'),
            ('science/caf-20170318-211000-sci.fits', lambda image: image + 20, 'their quality, largest error'),
        ],
    )  # fmt: skip
    def test_pixels_that_are_off(self, nights, copy, capsys, product, change, wrong):
        with fits.open(copy / product, mode='update') as found:
            found[0].data = change(found[0].data).astype(found[0].data.dtype)
        assert wrong in self.names(capsys, nights, copy)

    @pytest.mark.parametrize(
        ('product', 'key', 'value', 'wrong'),
        [
            ('bias/caf-20170319-043000-cal.fits', 'IMCMB002', 'x.fits', 'bias masters of the right frames'),
            ('flat/caf-20170318-180200-cal.fits', 'NSKIPPED', 0, 'flats without light, left out'),
            ('flat/caf-20170318-180200-cal.fits', 'BIASFILE', 'x.fits', 'flats with the nearest bias'),
            ('science/caf-20170318-211000-sci.fits', 'BIASFILE', 'x.fits', 'science frames with the nearest bias'),
            ('science/caf-20170318-211000-sci.fits', 'FLATDMJD', 0.5, 'days to the master, largest error'),
        ],
    )
    def test_headers_that_are_off(self, nights, copy, capsys, product, key, value, wrong):
        fits.setval(copy / product, key, value=value)
        assert self.names(capsys, nights, copy) == [wrong]

    def test_expected_is_the_table_of_the_default_nights(self):
        lines = (HERE / 'expected.txt').read_text().splitlines()
        assert ' '.join(lines[0].split()) == 'chip 256, seed 20170318 truth result tolerance'
        assert len(lines) == 64
        assert all(' ok' in line for line in lines[1:])

    @pytest.mark.long
    def test_the_default_nights_give_the_expected_table(self, tmp_path):
        assert run(sys.executable, HERE / 'make_nights.py', tmp_path / 'nights').returncode == 0
        assert run('sh', HERE / 'reduce.sh', tmp_path / 'nights').returncode == 0
        done = run(sys.executable, HERE / 'compare.py', tmp_path / 'nights')
        assert (done.returncode, done.stderr) == (0, '')
