"""img_group: rows, formats, lists, Makefiles and refusals."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import combine_fits
from fitsutils.commands.img_group import main

PIXELS = np.arange(35, dtype='u2').reshape(5, 7)
BIN = Path(__file__).resolve().parents[1] / 'bin'


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, make_image):
    """Biases of two binnings over an hour, a flat in each of two wheels, and a frame without a date."""
    monkeypatch.chdir(tmp_path)
    for place, mjd in enumerate([0, 0.03, 0.041, 0.05]):
        make_image(f'b{place}.fits', PIXELS, IMAGETYP='Bias', MJD__OBS=58000 + mjd, CCDBINX=1, EXPTIME=0.0)
    make_image('b4.fits', PIXELS, IMAGETYP='Bias ', MJD__OBS=58000.01, CCDBINX='2', EXPTIME=0.0)
    make_image('b5.fits', PIXELS, IMAGETYP='Bias', MJD__OBS=58000.02, CCDBINX=2.0, EXPTIME=0.0)
    make_image('f0.fits', PIXELS + 100, IMAGETYP='Flat', MJD__OBS=58000.6, ALFLTID=0, FBFLTID=78, EXPTIME=5.0)
    make_image('f1.fits', PIXELS + 200, IMAGETYP='Flat', MJD__OBS=58000.7, FBFLTID=78, EXPTIME=5.0)
    make_image('undated.fits', PIXELS, IMAGETYP='Bias', CCDBINX=1)


def run(capsys, *words, status=0):
    assert main([str(word) for word in words]) == status
    return capsys.readouterr()


def rows(capsys, *words, status=0):
    out = run(capsys, *words, '--format', 'tsv', status=status).out
    return list(csv.DictReader(io.StringIO(out), delimiter='\t'))


def groups(found):
    joined = {}
    for row in found:
        joined[row['group']] = joined.get(row['group'], '') + row['file'].removesuffix('.fits')
    return list(joined.values())


def test_the_hour_of_filabres(capsys):
    found = rows(capsys, 'b[0-3].fits', '--by', 'IMAGETYP,CCDBINX', '--span', '1h')
    assert list(found[0]) == ['group', 'file', 'mjd', 'n', 'mean_mjd', 'IMAGETYP', 'CCDBINX']
    assert [row['group'] + row['file'][:2] + row['n'] for row in found] == ['1b03', '1b13', '1b23', '2b31']
    assert [float(row['mjd']) for row in found] == [58000.0, 58000.03, 58000.041, 58000.05]
    assert [float(row['mean_mjd']) for row in found] == pytest.approx([58000 + 0.071 / 3] * 3 + [58000.05], abs=1e-10)


@pytest.mark.parametrize(
    ('words', 'wanted'),
    [
        (['b?.fits', '--by', 'CCDBINX', '--span', '1h'], ['b0b1b2', 'b4b5', 'b3']),
        (['b3.fits', 'b[0-2].fits', '--by', 'CCDBINX', '--span', '1h'], ['b0b1b2', 'b3']),
        (['b?.fits', '--by', 'CCDBINX', '--gap', '1h'], ['b0b1b2b3', 'b4b5']),
        (['b?.fits', '--by', 'CCDBINX', '--gap', '20m'], ['b0', 'b4b5', 'b1b2b3']),
        (['b?.fits', '--span', '30m', '--gap', '20m'], ['b0b4b5', 'b1b2b3']),
        (['b?.fits', '--by', 'imagetyp'], ['b0b4b5b1b2b3']),
        (['b?.fits', '--span', '0'], ['b0', 'b4', 'b5', 'b1', 'b2', 'b3']),
        (['[bf]?.fits', '--night'], ['b0b4b5b1b2b3', 'f0f1']),
        (['[bf]?.fits', '--night', '--longitude', '-30'], ['b0b4b5b1b2b3', 'f0f1']),
        (['[bf]?.fits', '--night', '--longitude', '-90'], ['b0b4b5b1b2b3f0f1']),
        (['f?.fits', '--by', 'FILT=nonzero(ALFLTID,FBFLTID)'], ['f0f1']),
        (['f?.fits', '--by', 'FILT=coalesce(ALFLTID,FBFLTID)'], ['f0', 'f1']),
        (['*.fits', '--by', 'CCDBINX'], ['b0b1b2b3undated', 'b4b5', 'f0f1']),
        (['*.fits', '--by', 'CCDBINX', '--where', 'IMAGETYP ~ /flat/i'], ['f0f1']),
        (['*.fits', '--by', 'IMAGETYP', '--where', 'median > 100'], ['f0f1']),
        (['b0.fits,b0.fits,./b0.fits', '--by', 'CCDBINX'], ['b0']),
    ],
)  # fmt: skip
def test_groups(capsys, words, wanted):
    found = run(capsys, *words, '--format', 'tsv')
    assert groups(csv.DictReader(io.StringIO(found.out), delimiter='\t')) == wanted


def test_the_name_of_a_computed_key_is_a_column(capsys):
    found = rows(capsys, 'f?.fits', '--by', 'FILT=nonzero(ALFLTID,FBFLTID),EXPTIME')
    assert [(row['FILT'], row['EXPTIME']) for row in found] == [('78', '5.0')] * 2


def test_statistics_may_be_keys(capsys):
    assert groups(rows(capsys, 'b0.fits', 'f?.fits', '--by', 'max')) == ['b0', 'f0', 'f1']


def test_the_table_for_people(capsys):
    out = run(capsys, 'b[45].fits', '--by', 'IMAGETYP,CCDBINX', '--span', '1h').out
    assert out == (
        '#group file    mjd      n mean_mjd  IMAGETYP CCDBINX\n'
        '1      b4.fits 58000.01 2 58000.015 Bias     2\n'
        '1      b5.fits 58000.02 2 58000.015 Bias     2\n'
    )


@pytest.mark.parametrize('form', ['csv', 'ecsv', 'jsonl'])
def test_formats(capsys, form):
    out = run(capsys, 'b[45].fits', '--by', 'CCDBINX', '--format', form).out
    if form == 'jsonl':
        assert [json.loads(line)['mjd'] for line in out.splitlines()] == [58000.01, 58000.02]
    else:
        assert 'b4.fits' in out
        assert '58000.01' in out


def test_a_combination_counts_by_the_mean_start_of_its_frames(capsys):
    assert combine_fits.main(['b[0-2].fits', '-m', 'median', '-o', 'm.fits', '-q']) == 0
    found = rows(capsys, 'm.fits', '--by', 'NAXIS1')
    assert float(found[0]['mjd']) == pytest.approx(58000 + 0.071 / 3, abs=1e-8)


def test_a_night_by_the_longitude_of_the_header(capsys, make_image):
    for name, mjd in (('x.fits', 58000.45), ('y.fits', 58000.55)):
        make_image(name, PIXELS, MJD__OBS=mjd, SITELONG='-155 28 00')
    assert groups(rows(capsys, '[xy].fits', '--night')) == ['xy']
    found = run(capsys, '[xy].fits', '--night', '--longitude', '0')
    assert 'warning: noon falls between x.fits and y.fits, 144 minutes later' in found.err
    assert found.out.count('\n') == 3
    assert found.out.splitlines()[2].startswith('2')


@pytest.mark.parametrize('option', [['--span', '1h'], ['--gap', '1h'], ['--night']])
def test_a_frame_without_a_date_fails_and_the_others_are_done(capsys, option):
    found = run(capsys, 'undated.fits', 'b[01].fits', *option, status=1)
    assert found.err == f'img_group: undated.fits: its header has no date, and {option[0]} needs one\n'
    assert [line.split()[1] for line in found.out.splitlines()[1:]] == ['b0.fits', 'b1.fits']


def test_keywords_that_nobody_has_are_said(capsys):
    found = run(capsys, 'b[01].fits', '--by', 'FILTR')
    assert found.err == 'img_group: warning: no image has a value of FILTR\n'
    assert found.out.count('\n') == 3


def test_nothing_chosen_is_a_table_without_rows(capsys):
    found = run(capsys, 'b?.fits', '--by', 'CCDBINX', '--where', 'CCDBINX > 7')
    assert found.out == '#group file mjd n mean_mjd CCDBINX\n'
    assert 'warning: --where takes none of 6 images' in found.err


def test_verbose(capsys):
    err = run(capsys, 'b?.fits', '--by', 'CCDBINX', '-v').err
    assert err == 'img_group: 6 headers of 6 read, 6 frames in 2 groups\n'


class TestLists:
    def test_lists_are_for_combine_fits(self, capsys):
        found = run(capsys, 'b?.fits', '--by', 'CCDBINX', '--span', '1h', '--lists', 'bias')
        assert found == ('bias.001.list\nbias.002.list\nbias.003.list\n', '')
        assert Path('bias.001.list').read_text() == 'b0.fits\nb1.fits\nb2.fits\n'
        assert combine_fits.main(['@bias.002.list', '-m', 'mean', '-o', 'm.fits']) == 0
        assert fits.getval('m.fits', 'NCOMBINE') == 2

    def test_the_table_goes_to_a_file_beside_them(self, capsys):
        found = run(capsys, 'b?.fits', '--by', 'CCDBINX', '--lists', 'x', '-o', 'table', '--format', 'tsv')
        assert found.out.split() == ['x.001.list', 'x.002.list', 'table']
        assert Path('table').read_text().startswith('group\tfile\t')

    def test_odd_names(self, capsys):
        os.rename('b0.fits', 'b\n0.fits')
        assert 'needs --null' in run(capsys, 'b*.fits', '--by', 'CCDBINX', '--lists', 'x', status=1).err
        assert not list(Path().glob('*.list'))
        assert run(capsys, 'b*.fits', '--by', 'CCDBINX', '--lists', 'x', '-0').out == 'x.001.list\0x.002.list\0'
        assert combine_fits.main(['@x.001.list', '--null', '-m', 'mean', '-o', 'm.fits']) == 0

    def test_existing_lists_and_those_left_over(self, capsys):
        run(capsys, 'b?.fits', '--by', 'CCDBINX', '--span', '1h', '--lists', 'x')
        before = Path('x.001.list').read_bytes()
        found = run(capsys, 'b?.fits', '--by', 'CCDBINX', '--lists', 'x', status=1)
        assert found == ('', 'img_group: x.001.list: it exists; --force replaces it\n')
        assert Path('x.001.list').read_bytes() == before
        found = run(capsys, 'b?.fits', '--by', 'CCDBINX', '--lists', 'x', '-f')
        assert found.out == 'x.001.list\nx.002.list\n'
        assert 'warning: x.003.list: it is left from before' in found.err

    @pytest.mark.parametrize('words', [['--lists', 'x'], ['--make', '-o', 'x.mk'], ['--make']])
    def test_nothing_is_written_where_an_image_fails(self, capsys, words):
        Path('broken.fits').write_bytes(b'SIMPLE  =                    T')
        found = run(capsys, 'broken.fits', 'b0.fits', '--by', 'CCDBINX', *words, status=1)
        assert found.out == ''
        assert 'nothing was written' in found.err
        assert not list(Path().glob('x*'))


@pytest.mark.skipif(shutil.which('make') is None, reason='there is no make')
def test_make_runs_what_is_printed():
    path = os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ['PATH']])

    def shell(line):
        done = subprocess.run(['sh', '-c', line], env={**os.environ, 'PATH': path}, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, '')
        return done.stdout

    shell("img_group 'b?.fits' --by CCDBINX --span 1h --make --name bias -o bias.mk")
    shell('make -j2 -f bias.mk bias_root=cal/')
    assert sorted(path.name for path in Path('cal').iterdir()) == ['b0.fits', 'b3.fits', 'b4.fits']
    assert fits.getval('cal/b0.fits', 'NCOMBINE') == 3
    assert 'Nothing to be done' in shell('make -f bias.mk bias_root=cal/')
    os.utime('cal/b4.fits', (0, 0))
    assert shell('make -s -f bias.mk bias_root=cal/') == 'cal/b4.fits\n'
    assert 'IMAGETYP' not in shell("img_group 'b?.fits' --by CCDBINX --make | make -n -f -")


@pytest.mark.parametrize(
    ('words', 'match'),
    [
        ([], 'must say what makes a group'),
        (['--by', 'A', '--longitude', '5'], '--longitude goes with --night'),
        (['--night', '--longitude', 'nan'], 'is in degrees'),
        (['--by', 'A', '--name', 'x'], '--name goes with --make'),
        (['--by', 'A', '--make', '--name', 'a b'], 'a letter first'),
        (['--by', 'A', '--make', '--lists', 'x'], 'exclude each other'),
        (['--by', 'A', '--make', '--format', 'tsv'], '--format goes with the table'),
        (['--by', 'A', '--lists', 'x', '--format', 'tsv'], '-o FILE keeps it'),
        (['--by', 'A', '--lists', ''], 'wants a root'),
        (['--by', 'A', '--append'], '--append needs -o FILE'),
        (['--by', 'A,'], 'A,'),
        (['--span', '1'], 'is not a length of time'),
        (['--span', '-1h'], 'is not a length of time'),
        (['--by', 'A', '--where', 'A =='], 'A =='),
    ],
)
def test_usage(capsys, words, match):
    found = run(capsys, 'b0.fits', *words, status=2)
    assert match in found.err
    assert found.out == ''


def test_real_nights(data, capsys):
    found = rows(capsys, data / 'nickel_pluto' / '*' / '*.fits', '--by', 'OBSTYPE,EXPTIME,FILTER', '--span', '1h')
    sizes = {row['group']: (int(row['n']), Path(row['file']).parent.name) for row in found}
    assert list(sizes.values()) == [(3, 'biases'), (3, 'darks'), (3, 'flats'), (10, 'pluto')]
    assert {row['FILTER'] for row in found} == {'V'}
