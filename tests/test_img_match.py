"""img_match: rows, statuses, sides, pipes into img_arith, and refusals."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import combine_fits, img_arith
from fitsutils.commands.img_match import main

BIN = Path(__file__).resolve().parents[1] / 'bin'
NY, NX = 5, 7


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, make_image):
    """The biases of filabres' numbers and one of another binning; images of both, and two that are difficult."""
    monkeypatch.chdir(tmp_path)
    for place, (mjd, binning, level) in enumerate([(57808.89853, 1, 100), (57810.26880, '1', 200), (57809, 2, 50)], 1):
        pixels = np.full((NY, NX), level, 'u2')
        make_image(f'cal{place}.fits', pixels, MJD__OBS=mjd, CCDBINX=binning, IMAGETYP='MASTER BIAS')
    for place, (mjd, binning) in enumerate([(57809.7911, 1.0), (57809.5, 2), (57809.5, 4), (57809.5, None)], 1):
        make_image(f'sci{place}.fits', np.full((NY, NX), 1000, 'u2'), MJD__OBS=mjd, CCDBINX=binning, EXPTIME=60.0)
    make_image('sci5.fits', np.full((NY, NX), 1000, 'u2'), CCDBINX=1)


def run(capsys, *words, status=0):
    assert main([str(word) for word in words]) == status
    return capsys.readouterr()


def rows(capsys, *words, status=0):
    out = run(capsys, *words, '--format', 'tsv', status=status).out
    return [tuple(row.values()) for row in csv.DictReader(io.StringIO(out), delimiter='\t')]


def test_numbers_of_filabres(capsys):
    out = run(capsys, 'sci1.fits', '--to', 'cal?.fits', '--by', 'CCDBINX').out
    assert out == '#image    master    delta_days status\nsci1.fits cal2.fits 0.4777     found\n'
    found = rows(capsys, 'sci1.fits', '--to', 'cal1.fits', '--by', 'CCDBINX')
    assert found == [('sci1.fits', 'cal1.fits', '-0.89257', 'found')]


def test_a_name_with_a_blank_is_no_other_file_s_name(capsys):
    for name in ('s 1.fits', 's_1.fits'):
        Path(name).write_bytes(Path('sci1.fits').read_bytes())
    out = run(capsys, 's 1.fits', '--to', 'cal?.fits', '--by', 'CCDBINX').out
    assert out.splitlines()[1].split()[:2] == ['s\\x201.fits', 'cal2.fits']
    Path('pairs.txt').write_text(out)
    assert img_arith.main(['--pairs', '@pairs.txt', '-', '-o', 'b/']) == 1
    assert not Path('b/s_1.fits').exists()


def test_every_image_has_a_row_and_a_reason(capsys):
    words = ['sci?.fits', '--to', 'cal1.fits', 'cal2.fits', '--to', 'cal3.fits', '--by', 'CCDBINX', '--format', 'tsv']
    found = run(capsys, *words, status=1)
    assert found.out == (
        'image\tmaster\tdelta_days\tstatus\nsci1.fits\tcal2.fits\t0.4777\tfound\nsci2.fits\tcal3.fits\t-0.5\tfound\n'
        'sci3.fits\t\t\tnone\nsci4.fits\t\t\tnone\nsci5.fits\t\t\tundated\n'
    )
    assert found.err.splitlines() == [
        'img_match: sci3.fits: no master has its signature; cal1.fits is closest: CCDBINX is 4, not 1',
        'img_match: sci4.fits: it has no master: CCDBINX is missing, and a master must agree in it',
        'img_match: sci5.fits: it has no master: its header has no date',
    ]


@pytest.mark.parametrize(
    ('words', 'wanted'),
    [
        ([], ('cal2.fits', '0.4777', 'found')),
        (['--side', 'before'], ('cal1.fits', '-0.89257', 'found')),
        (['--side', 'after'], ('cal2.fits', '0.4777', 'found')),
        (['--max-days', '0.4777'], ('cal2.fits', '0.4777', 'found')),
        (['--max-days', '0.47'], ('', '', 'far')),
        (['--side', 'before', '--max-days', '0.5'], ('', '', 'far')),
        (['--to-where', 'median < 150'], ('cal1.fits', '-0.89257', 'found')),
        (['--to-where', "IMAGETYP == 'x'"], ('', '', 'none')),
    ],
)
def test_sides_limits_and_choices(capsys, words, wanted):
    status = 0 if wanted[2] == 'found' else 1
    found = rows(capsys, 'sci1.fits', '--to', 'cal?.fits', '--by', 'CCDBINX', *words, status=status)
    assert found == [('sci1.fits', *wanted)]


def test_the_reason_of_a_master_that_is_too_far(capsys):
    err = run(capsys, 'sci1.fits', '--to', 'cal?.fits', '--by', 'CCDBINX', '--max-days', '0.1', status=1).err
    assert 'sci1.fits: no master is near enough' in err
    assert 'cal2.fits, is +0.4777 days off' in err


def test_without_a_signature_the_nearest_of_all_counts(capsys):
    assert rows(capsys, 'sci3.fits', '--to', 'cal?.fits') == [('sci3.fits', 'cal3.fits', '-0.5', 'found')]


def test_which_images(capsys):
    found = rows(capsys, '*.fits', '--where', 'EXPTIME > 0 and CCDBINX < 3', '--to', 'cal?.fits', '--by', 'CCDBINX')
    assert [row[0] for row in found] == ['sci1.fits', 'sci2.fits']


def test_an_image_is_not_its_own_master(capsys):
    found = rows(capsys, 'cal[12].fits', '--to', './cal?.fits', '--by', 'CCDBINX')
    assert [row[:2] for row in found] == [('cal1.fits', './cal2.fits'), ('cal2.fits', './cal1.fits')]


@pytest.mark.parametrize(('words', 'end'), [([], '\n'), (['-0'], '\0')])
def test_names_are_the_masters_only(capsys, words, end):
    found = run(capsys, 'sci[123].fits', '--to', 'cal?.fits', '--by', 'CCDBINX', '--names', *words, status=1)
    assert found.out == f'cal2.fits{end}cal3.fits{end}'
    assert found.err.count('\n') == 1


def test_a_master_counts_by_the_mean_start_of_its_frames(capsys, make_image):
    for place, mjd in enumerate([57809.0, 57809.5, 57809.8]):
        make_image(f'b{place}.fits', np.full((NY, NX), 7, 'u2'), MJD__OBS=mjd, EXPTIME=600.0)
    for method in ('median', 'sum'):
        assert combine_fits.main(['b?.fits', '-m', method, '-o', f'{method}.fits', '-q']) == 0
        found = rows(capsys, 'sci1.fits', '--to', f'{method}.fits')
        assert float(found[0][2]) == pytest.approx(57809.4333333333 - 57809.7911, abs=2e-8)


def test_a_broken_image_keeps_its_row_and_a_broken_master_is_refused(capsys):
    Path('broken.fits').write_bytes(b'nothing')
    found = run(capsys, 'broken.fits', 'sci1.fits', '--to', 'cal?.fits', '--format', 'tsv', status=1)
    assert [line.split('\t')[-1] for line in found.out.splitlines()[1:]] == ['unreadable', 'found']
    assert found.err.startswith('img_match: broken.fits: ')
    found = run(capsys, 'sci1.fits', '--to', 'cal?.fits', 'broken.fits', status=1)
    assert found.out == ''
    assert found.err.startswith('img_match: broken.fits: ')


def test_masters_that_say_too_little(capsys, make_image):
    make_image('cal4.fits', np.ones((NY, NX)), CCDBINX=1)
    make_image('mask.fits', np.ones((NY, NX)), CCDBINX=1, MJD__OBS=57810.26880)
    found = run(capsys, 'sci1.fits', '--to', 'cal?.fits', 'mask.fits', '--by', 'CCDBINX')
    assert found.out.splitlines()[1].split()[1] == 'cal2.fits'
    assert found.err.splitlines() == [
        'img_match: warning: cal4.fits: its header has no date: it is the nearest of no image',
        'img_match: warning: mask.fits: it has the signature and the time of cal2.fits, which is taken',
    ]


def test_keywords_that_no_master_has_are_said(capsys):
    err = run(capsys, 'sci1.fits', '--to', 'cal?.fits', '--by', 'EXPTIME', status=1).err
    assert 'warning: no master has a value of EXPTIME' in err
    assert 'cal1.fits is closest: EXPTIME is 60.0, not missing' in err


@pytest.mark.parametrize('form', ['tsv', 'table'])
def test_a_night_in_one_line(form):
    path = os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ['PATH']])
    settings = {'env': {**os.environ, 'PATH': path}, 'capture_output': True, 'text': True}
    line = f"img_match 'sci*.fits' --to 'cal*.fits' --by CCDBINX --format {form} 2>/dev/null"
    for more, status in (('', 1), (' --skip-unpaired', 0)):
        done = subprocess.run(['sh', '-c', f'{line} | img_arith --pairs @- - -o b_/{more}'], **settings)
        assert done.returncode == status
        assert done.stderr.endswith('no operand for 3 images: sci3.fits, sci4.fits, sci5.fits' + (
            '\n' if more else '; --skip-unpaired leaves such images out\n'
        ))  # fmt: skip
        assert os.path.exists('b_') is (status == 0)
    assert done.stdout == 'b_/sci1.fits\nb_/sci2.fits\n'
    np.testing.assert_array_equal(fits.getdata('b_/sci1.fits'), np.full((NY, NX), 800))
    np.testing.assert_array_equal(fits.getdata('b_/sci2.fits'), np.full((NY, NX), 950))
    header = fits.getheader('b_/sci1.fits')
    assert (header['BIASFILE'], header['BIASDMJD']) == ('cal2.fits', 0.4777)


def test_masters_pairwise(capsys):
    found = run(capsys, 'sci[12].fits', '--to', 'cal?.fits', '--by', 'CCDBINX', '--names')
    Path('masters').write_text(found.out)
    assert img_arith.main(['sci[12].fits', '-', '@masters', '--prefix', 'b_']) == 0
    assert [fits.getdata(f'b_sci{number}.fits')[0, 0] for number in (1, 2)] == [800, 950]


@pytest.mark.parametrize(
    ('words', 'match'),
    [
        ([], 'the following arguments are required: --to'),
        (['--to'], 'expected at least one argument'),
        (['--to', 'cal1.fits', '--max-days', '-1'], 'a number of days from 0'),
        (['--to', 'cal1.fits', '--max-days', 'nan'], 'a number of days from 0'),
        (['--to', 'cal1.fits', '--names', '--format', 'csv'], 'not with --format'),
        (['--to', 'cal1.fits', '--side', 'left'], 'invalid choice'),
        (['--to', 'cal1.fits', '--to-where', '('], 'is missing'),
    ],
)
def test_usage(capsys, words, match):
    found = run(capsys, 'sci1.fits', *words, status=2)
    assert match in found.err
    assert found.out == ''


def test_the_flats_of_a_real_night_have_biases(data, capsys):
    folder = data / 'nickel_pluto'
    keys = ['--by', 'NAXIS1,NAXIS2,FILTER']
    found = rows(capsys, folder / 'flats' / '*.fits', '--to', folder / 'biases' / '*.fits', *keys)
    assert {os.path.basename(row[1]) for row in found} == {'d2053.fits'}
    assert all(-0.02 < float(row[2]) < 0 for row in found)
