import csv
import gzip
import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import ascii as tables
from astropy.io import fits

from fitsutils.commands.img_stats import main
from fitsutils.files import reader
from fitsutils.files.inputs import Reference
from fitsutils.plots import scatter


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image(make_image):
    """An image of 31 x 23 pixels, and its pixels."""
    pixels = np.random.default_rng(2).integers(900, 1100, (23, 31)).astype('u2')
    make_image('a.fits', pixels, FILTER='R', EXPTIME=60.0, OBJECT='M 1')
    return pixels


def rows(capsys, *argv, status=0):
    """The rows that a command prints, as dictionaries of text."""
    assert main([*argv, '--format', 'tsv']) == status
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out), delimiter='\t'))


def test_the_default(capsys, image):
    assert main(['a.fits']) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ['#FileName', 'num', 'sum', 'mean', 'median', 'rms']
    name, *numbers = row.split()
    assert name == 'a.fits[1:31,1:23]'
    expected = [image.size, image.sum(), image.mean(), np.median(image), image.std()]
    np.testing.assert_allclose([float(number) for number in numbers], expected, rtol=1e-9)


def test_every_statistic(capsys, image):
    names = 'num,nbad,sum,mean,average,median,mode,rms,std,var,min,max,mad,rstd,skew,kurtosis,q2.5,q97.5'
    (row,) = rows(capsys, 'a.fits', '-s', names)
    assert ','.join(list(row)[1:]) == names
    assert float(row['q2.5']) == np.quantile(image, 0.025)
    assert float(row['var']) == pytest.approx(image.var(), rel=1e-14)
    assert row['max'] == str(image.max())


def test_a_statistic_twice(capsys, image):
    assert main(['a.fits', '-s', 'mean,num,mean']) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[1:] == ['mean', 'num', 'mean']
    assert row.split()[1] == row.split()[3]


class TestRegions:
    @pytest.mark.parametrize(
        ('argv', 'shown', 'part'),
        [
            (['-b', '6', '11', '4', '7'], '[7:11,5:7]', np.s_[4:7, 6:11]),
            (['-b', '5', '5', '0', '23'], '[6:6,1:23]', np.s_[0:23, 5:6]),
            (['--section', '[7:11,5:7]'], '[7:11,5:7]', np.s_[4:7, 6:11]),
            (['--section', '*,5'], '[1:31,5:5]', np.s_[4:5, :]),
        ],
    )
    def test_options(self, capsys, image, argv, shown, part):
        (row,) = rows(capsys, 'a.fits', *argv, '-s', 'num,sum')
        assert row == {
            'FileName': f'a.fits{shown}', 'num': str(image[part].size), 'sum': str(image[part].sum()),
        }  # fmt: skip

    def test_lies_within_the_part_of_the_name(self, capsys, image):
        (row,) = rows(capsys, 'a.fits[2:3,4:6]', '-b', '0', '2', '1', '3', '-s', 'sum')
        assert row == {'FileName': 'a.fits[2:3,5:6]', 'sum': str(image[4:6, 1:3].sum())}

    def test_of_a_cube(self, capsys, make_image):
        cube = np.random.default_rng(3).normal(50, 3, (4, 6, 9)).astype('f4')
        make_image('c.fits', cube)
        (row,) = rows(capsys, 'c.fits', '-B', '2', '5', '1', '4', '1', '3', '-s', 'num,max')
        assert row == {'FileName': 'c.fits[3:5,2:4,2:3]', 'num': '18', 'max': str(cube[1:3, 1:4, 2:5].max().item())}

    def test_one_that_does_not_fit_one_image(self, capsys, image, make_image):
        make_image('small.fits', image[:5, :7])
        assert main(['small.fits', 'a.fits', '-b', '6', '11', '4', '7']) == 1
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 2
        assert err.startswith('img_stats: small.fits: region [7:11,5:7] goes beyond the image (7 x 5 pixels)')

    @pytest.mark.parametrize(
        'argv', [['-b', '1', '2', '3'], ['-b', '5', '2', '0', '9'], ['-b', '-1', '2', '0', '9'], ['--section', '[0:5]'],
                 ['-b', '1', '2', '3', '4', '--section', '[1:2]']]
    )  # fmt: skip
    def test_wrong_ones(self, capsys, image, argv):
        assert main(['a.fits', *argv]) == 2
        out, err = capsys.readouterr()
        assert out == ''
        assert err.count('\n') == 1


class TestCubes:
    @pytest.fixture
    def cube(self, make_image):
        pixels = np.arange(4 * 6 * 9, dtype='i2').reshape(4, 6, 9)
        make_image('c.fits', pixels)
        return pixels

    def test_a_row_a_plane(self, capsys, cube):
        found = rows(capsys, 'c.fits', '-t', '-s', 'mean,num')
        assert [row['Zidx'] for row in found] == ['1', '2', '3', '4']
        assert [row['FileName'] for row in found] == [f'c.fits[1:9,1:6,{n}:{n}]' for n in (1, 2, 3, 4)]
        assert [float(row['mean']) for row in found] == [plane.mean() for plane in cube]

    def test_with_a_mask_of_one_plane(self, capsys, cube, make_image):
        bad = np.zeros((6, 9), 'u1')
        bad[2, 3] = 1
        make_image('m.fits', bad)
        found = rows(capsys, 'c.fits', '-t', '-s', 'num,nbad,sum', '--mask', 'm.fits')
        assert [row['sum'] for row in found] == [str(plane[bad == 0].sum()) for plane in cube]
        assert {(row['num'], row['nbad']) for row in found} == {('53', '1')}

    def test_of_an_image(self, capsys, cube, image):
        assert main(['a.fits', 'c.fits', '-t']) == 1
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 5
        assert err == 'img_stats: a.fits: -t wants a cube, and it has 2 axes\n'


class TestBadPixels:
    def test_nan_and_blank(self, capsys, make_image):
        make_image('n.fits', np.array([[100, 101, np.nan], [103, 104, np.inf]], 'f4'))
        make_image('b.fits', np.array([[1, 2, -9], [4, 5, -9]], 'i2'), BLANK=-9)
        found = rows(capsys, 'n.fits', 'b.fits', '-s', 'mean,nbad')
        assert [(row['mean'], row['nbad']) for row in found] == [('102.0', '2'), ('3.0', '2')]

    def test_nothing_left(self, capsys, make_image):
        make_image('n.fits', np.full((3, 4), np.nan, 'f4'))
        assert main(['n.fits']) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[1:] == ['0', '0', '....', '....', '....']
        assert main(['n.fits', '--format', 'jsonl']) == 0
        assert json.loads(capsys.readouterr().out)['mean'] is None

    def test_mask(self, capsys, image, make_image):
        bad = np.zeros((23, 31), 'f4')
        bad[3:5, 6:9] = 2
        bad[0, 0] = np.nan
        make_image('m.fits', bad)
        (row,) = rows(capsys, 'a.fits', '--mask', 'm.fits', '-s', 'num,sum')
        assert row['sum'] == str(image[bad == 0].sum())
        (row,) = rows(capsys, 'a.fits[7:10,4:8]', '--mask', 'm.fits', '-s', 'num,nbad')
        assert (row['num'], row['nbad']) == ('14', '6')

    def test_mask_that_does_not_fit(self, capsys, image, make_image):
        make_image('m.fits', np.zeros((5, 6), 'u1'))
        assert main(['a.fits', '--mask', 'm.fits']) == 1
        assert 'the mask m.fits does not fit: 6 x 5 and 31 x 23 pixels' in capsys.readouterr().err

    def test_mask_that_is_missing(self, capsys, image):
        assert main(['a.fits', '--mask', 'gone.fits']) == 1
        out, err = capsys.readouterr()
        assert (out, err) == ('', 'img_stats: gone.fits: No such file or directory\n')

    def test_clip(self, capsys, image, make_image):
        pixels = image.copy()
        pixels[4, 5] = 60_000
        make_image('hot.fits', pixels)
        (row,) = rows(capsys, 'hot.fits', '--clip', '4', '-s', 'max,nbad')
        assert row == {'FileName': 'hot.fits[1:31,1:23]', 'max': str(np.delete(pixels, 4 * 31 + 5).max()), 'nbad': '1'}

    @pytest.mark.parametrize('limit', ['0', '-3', 'nan', 'x'])
    def test_clip_at_nonsense(self, capsys, image, limit):
        assert main(['a.fits', '--clip', limit]) == 2
        assert capsys.readouterr().err.count('\n') == 1


class TestHistogram:
    def test_bins(self, capsys, image):
        found = rows(capsys, 'a.fits', '--hist', '900,1100,25')
        counts, _ = np.histogram(image, np.arange(900, 1101, 25))
        assert [int(row['Count']) for row in found] == counts.tolist()
        assert [float(row['Low']) for row in found] == list(range(900, 1100, 25))
        assert float(found[-1]['High']) == 1100

    def test_of_negative_values(self, capsys, make_image):
        make_image('n.fits', np.array([[-3.0, -2.5, -1.0]]))
        found = rows(capsys, 'n.fits', '--hist', '-3,-1,1')
        assert [row['Count'] for row in found] == ['2', '1']

    @pytest.mark.parametrize('numbers', ['5', '1,2', '2,1,1', '1,2,0', '1,2,3,4', '0,1e9,1e-9', '0,inf,1', 'nan,1,1'])
    def test_nonsense(self, capsys, image, numbers):
        assert main(['a.fits', '--hist', numbers]) == 2
        out, err = capsys.readouterr()
        assert out == ''
        assert err.startswith('img_stats: --hist takes')


class TestKeywords:
    def test_beside_the_numbers(self, capsys, image):
        assert main(['a.fits', '-k', 'OBJECT,EXPTIME, GONE', '-s', 'num']) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ['#FileName', 'OBJECT', 'EXPTIME', 'GONE', 'num']
        assert row.split() == ['a.fits[1:31,1:23]', 'M_1', '60', '....', '713']

    def test_control_characters_of_a_header_never_come_through(self, capsys, folder):
        cards = ['SIMPLE  =                    T', 'BITPIX  =                    8', 'NAXIS   =                    1',
                 'NAXIS1  =                    3', "OBJECT  = 'a\x1b[31m\nb'", 'END']  # fmt: skip
        (folder / 'x.fits').write_bytes(''.join(c.ljust(80) for c in cards).encode().ljust(2880) + bytes(2880))
        for form in ('table', 'tsv', 'csv', 'ecsv', 'jsonl'):
            assert main(['x.fits', '-k', 'OBJECT', '--format', form]) == 0
            out, err = capsys.readouterr()
            assert '\x1b' not in out + err
            assert '[31m' in out


class TestFormats:
    def test_all_read_back(self, capsys, image, make_image):
        make_image('b.fits', image / 7)
        argv = ['a.fits', 'b.fits', '-s', 'mean,sum,num', '-k', 'OBJECT']
        expected = [[array.mean(), float(array.sum()), array.size] for array in (image, image / 7)]
        for form in ('csv', 'tsv', 'ecsv', 'jsonl'):
            assert main([*argv, '--format', form]) == 0
            out = capsys.readouterr().out
            if form == 'jsonl':
                found = [json.loads(line) for line in out.splitlines()]
            else:
                found = tables.read(out, format={'csv': 'csv', 'tsv': 'tab', 'ecsv': 'ecsv'}[form])
            numbers = [[row['mean'], row['sum'], row['num']] for row in found]
            np.testing.assert_allclose(numbers, expected, rtol=1e-14)

    def test_the_table_lines_up(self, capsys, image, make_image):
        make_image('a_longer_name.fits', image)
        assert main(['a.fits', 'a_longer_name.fits']) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len({line.index(word) for line, word in zip(lines, (' num', ' 713', ' 713'), strict=True)}) == 1


class TestOutputs:
    def test_to_a_file(self, capsys, image):
        assert main(['a.fits', '-o', 's.log']) == 0
        assert capsys.readouterr().out == 's.log\n'
        with open('s.log') as file:
            first = file.read()
        assert first.startswith('#FileName')
        assert main(['a.fits', '-o', 's.log']) == 1
        assert capsys.readouterr() == ('', 'img_stats: s.log: it exists; --force replaces it\n')
        assert main(['a.fits', '-o', 's.log', '--skip-existing', '-s', 'num']) == 0
        assert main(['a.fits', '-o', 's.log', '--append', '-q']) == 0
        assert capsys.readouterr() == ('', '')
        with open('s.log') as file:
            assert file.read() == first * 2
        assert main(['a.fits', '-o', 's.log', '-f', '-q']) == 0
        with open('s.log') as file:
            assert file.read() == first

    @pytest.mark.parametrize('name', ['screen', 'stdio', '-'])
    def test_words_for_standard_output(self, capsys, image, name):
        assert main(['a.fits', '-o', name]) == 0
        assert capsys.readouterr().out.startswith('#FileName')
        assert os.listdir() == ['a.fits']


class TestWhere:
    @pytest.fixture(autouse=True)
    def night(self, make_image):
        for number, (kind, level) in enumerate([('Bias', 300), ('Sky flat', 20000), ('Sky flat', 3000), ('', 900)]):
            pixels = level + np.arange(35, dtype='u2').reshape(5, 7)
            make_image(f'n{number}.fits', pixels, IMAGETYP=kind, EXPTIME=2.0 * number, FILTER='V')

    @pytest.mark.parametrize(
        ('expression', 'taken'),
        [
            ('IMAGETYP ~ /flat/i', '12'),
            ('IMAGETYP ~ /flat/i and median > 15000', '1'),
            ('not has(IMAGETYP)', '3'),
            ('EXPTIME > 1 and FILTER == "V"', '123'),
            ('mean == median', '0123'),
            ('max - min > 5 and q100 < 1000', '03'),
            ('Filename == "n2.fits"', '2'),
        ],
    )
    def test_what_is_taken(self, capsys, expression, taken):
        found = rows(capsys, 'n*.fits', '-s', 'min', '-k', 'EXPTIME', '--where', expression)
        assert [row['FileName'] for row in found] == [f'n{number}.fits[1:7,1:5]' for number in taken]

    def test_statistics_are_of_the_same_pixels(self, capsys, make_image):
        bad = np.zeros((5, 7), 'u1')
        bad[0] = 1
        make_image('mask.fits', bad)
        words = ['n*.fits', '-s', 'mean', '--section', '[1:7,1:2]']
        masked = [*words, '--mask', 'mask.fits']
        assert [row['FileName'] for row in rows(capsys, *words, '--where', 'mean == 306.5')] == ['n0.fits[1:7,1:2]']
        assert [row['mean'] for row in rows(capsys, *masked, '--where', 'mean == 310')] == ['310.0']
        assert rows(capsys, *masked, '--where', 'mean == 306.5') == []

    def test_clipped(self, capsys, make_image):
        pixels = np.full((5, 7), 10.0)
        pixels[2, 3] = 1e5
        make_image('hot.fits', pixels)
        assert rows(capsys, 'hot.fits', '--where', 'max < 100') == []
        assert [row['mean'] for row in rows(capsys, 'hot.fits', '--clip', '3', '--where', 'max < 100')] == ['10.0']

    def test_planes_one_by_one(self, capsys, make_image):
        cube = np.arange(4)[:, None, None] * np.ones((4, 2, 3))
        make_image('c.fits', cube, FILTER='V')
        found = rows(capsys, 'c.fits', '-t', '-s', 'mean', '--where', 'FILTER == "V" and 0 < median < 3')
        assert [(row['Zidx'], row['mean']) for row in found] == [('2', '1.0'), ('3', '2.0')]
        assert main(['c.fits', '-t', '--where', 'median > 5']) == 0
        assert capsys.readouterr().err == 'img_stats: warning: --where takes none of 4 planes\n'

    def test_a_histogram_of_what_is_taken(self, capsys):
        found = rows(capsys, 'n*.fits', '--hist', '0,1000,500', '--where', 'median < 1000 and EXPTIME == 0')
        assert [row['Count'] for row in found] == ['35', '0']

    def test_a_write_protected_image_is_left_as_it_is(self, capsys, make_image):
        path = Path(make_image('protected.fits', np.ones((3, 4))))
        before = path.read_bytes()
        path.chmod(0o444)
        assert main(['protected.fits', '-u', '-s', 'mean']) == 1
        assert capsys.readouterr().err == 'img_stats: protected.fits: it is write-protected\n'
        assert path.read_bytes() == before

    def test_only_what_is_taken_is_updated(self, capsys):
        before = {number: Path(f'n{number}.fits').read_bytes() for number in range(4)}
        assert main(['n*.fits', '-u', '-s', 'median', '--where', 'median > 15000']) == 0
        capsys.readouterr()
        changed = [number for number in range(4) if Path(f'n{number}.fits').read_bytes() != before[number]]
        assert changed == [1]
        assert fits.getval('n1.fits', 'MEDIAN') == 20017

    def test_pixels_are_not_read_where_the_header_settles_it(self, capsys):
        with open('n0.fits', 'r+b') as file:
            file.seek(2880)
            file.write(b'\xff' * 70)
        fits.setval('n0.fits', 'DATASUM', value='1')
        words = ['n*.fits', '--checksum', 'error', '--where']
        assert main([*words, 'median > 5 and EXPTIME > 1']) == 0
        assert main([*words, 'median > 5 or EXPTIME > 1']) == 1
        assert 'img_stats: n0.fits: ' in capsys.readouterr().err

    def test_nothing_is_taken(self, capsys):
        assert main(['n*.fits', '-s', 'mean', '--where', 'IMAGETYP == Flat']) == 0
        out, err = capsys.readouterr()
        assert out == '#FileName mean\n'
        assert err == (
            'img_stats: warning: no image has a value of FLAT; a text stands in quotes\n'
            'img_stats: warning: --where takes none of 4 images\n'
        )
        assert main(['gone.fits', '--where', 'EXPTIME > 5']) == 1
        assert capsys.readouterr() == ('', 'img_stats: gone.fits: No such file or directory\n')

    def test_a_wrong_expression(self, capsys):
        assert main(['n*.fits', '--where', 'median >']) == 2
        out, err = capsys.readouterr()
        assert out == ''
        assert err.splitlines()[1:] == ['  median >', '          ^']


class TestUpdate:
    @pytest.mark.parametrize('pack', [bytes, gzip.compress])
    def test_values_go_into_the_header(self, capsys, folder, image, pack, pixels_of):
        (folder / 'a.fits').write_bytes(pack((folder / 'a.fits').read_bytes()))
        assert main(['a.fits', '-u', '-s', 'mean,num,max,rstd,q2.5,q50,q100,q2.55,skew']) == 0
        capsys.readouterr()
        header = fits.getheader('a.fits')
        assert header['MEAN'] == pytest.approx(image.mean())
        assert header['NPOINTS'] == image.size
        assert header['FMAXIMUM'] == image.max()
        assert header['QUANT025'] == np.quantile(image, 0.025)
        assert header['QUANT500'] == np.median(image)
        assert header['QNT02550'] == np.quantile(image, 0.0255)
        assert header['ROBUSTSD'] == pytest.approx(0.7413 * np.subtract(*np.quantile(image, [0.75, 0.25])))
        assert 'img_stats a.fits[1:31,1:23]' in list(header['HISTORY'])
        np.testing.assert_array_equal(pixels_of('a.fits'), image)

    def test_filabres_set(self, capsys, make_image):
        pixels = np.arange(1, 102, dtype='i4').reshape(1, 101)
        make_image('n.fits', pixels)
        assert main(['n.fits', '-u', '-s', 'filabres', '-q', '-o', 'x.log']) == 0
        names = 'NPOINTS FMINIMUM QUANT025 QUANT159 QUANT250 QUANT500 QUANT750 QUANT841 QUANT975 FMAXIMUM ROBUSTSD'
        header = fits.getheader('n.fits')
        percentiles = np.percentile(pixels, [2.5, 15.9, 25, 50, 75, 84.1, 97.5]).tolist()
        assert (header['QUANT250'], header['QUANT500'], header['QUANT750'], header['ROBUSTSD']) == (26, 51, 76, 37.065)
        assert [header[name] for name in names.split()] == pytest.approx([101, 1, *percentiles, 101, 37.065])
        with open('x.log') as file:
            assert ' '.join(file.readline().split()[1:]) == 'num min q2.5 q15.9 q25 q50 q75 q84.1 q97.5 max rstd'

    def test_says_what_was_left_out(self, image, make_image):
        make_image('m.fits', (image > 1050).astype('u1'))
        assert main(['a.fits', '-u', '-s', 'num', '--mask', 'm.fits', '--clip', '3', '-q', '-o', 'x.log']) == 0
        header = fits.getheader('a.fits')
        words = ''.join(header['HISTORY'])
        assert 'img_stats a.fits[1:31,1:23], without the pixels that m.fits marks, clipped at 3 sigma' in words

    def test_what_only_a_plot_needs_is_not_written(self, image):
        words = ['a.fits', '-u', '-s', 'mean', '--plot', 'EXPTIME,skew', 'p.png', '-q', '-o', 'x.log']
        assert main(words) == 0
        header = fits.getheader('a.fits')
        assert 'MEAN' in header
        assert 'SKEW' not in header

    def test_again_replaces(self, capsys, image):
        for bounds in (['0', '5', '0', '5'], ['5', '9', '5', '9']):
            assert main(['a.fits', '-u', '-s', 'mean', '-b', *bounds]) == 0
        header = fits.getheader('a.fits')
        assert header.count('MEAN') == 1
        assert header['MEAN'] == image[5:9, 5:9].mean()

    def test_every_statistic_has_a_keyword_of_eight_letters(self, image):
        names = 'num,nbad,sum,mean,average,median,mode,rms,std,var,min,mad,rstd,skew,kurtosis,q0,q2.5,q99.9'
        assert main(['a.fits', '-u', '-s', names, '-q', '-o', 'x.log']) == 0
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            header = fits.Header.fromfile('a.fits')
        assert len(set(header)) >= 5 + len(names.split(','))
        assert not any('HIERARCH' in card.image[:8] for card in header.cards)

    def test_of_an_extension(self, capsys, image):
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, name='SCI')]).writeto('m.fits', checksum=True)
        assert main(['m.fits[SCI]', '-u', '-s', 'mean']) == 0
        image = reader.open_image(Reference('m.fits'))
        reader.read_pixels(image, checksum='error')
        assert 'MEAN' in fits.getheader('m.fits', 1)
        assert 'MEAN' not in fits.getheader('m.fits', 0)

    def test_not_finite(self, make_image):
        make_image('n.fits', np.full((3, 4), np.nan, 'f4'))
        assert main(['n.fits', '-u', '-s', 'mean', '-q', '-o', 'x.log']) == 0
        assert fits.getheader('n.fits')['MEAN'] is None

    @pytest.mark.parametrize('argv', [['-t'], ['--hist', '0,1,1']])
    def test_of_parts_is_refused(self, capsys, image, argv):
        assert main(['a.fits', '-u', *argv]) == 2
        assert '-u writes the values of a whole image' in capsys.readouterr().err


@pytest.fixture
def plotted(monkeypatch):
    """The columns, names and title of each plot that is drawn."""
    drawn = []
    picture = scatter.picture

    def noting(columns, kind, names=(), title=''):
        drawn.append((list(columns), list(names), title))
        return picture(columns, kind, names, title)

    monkeypatch.setattr(scatter, 'picture', noting)
    return drawn


class TestPlot:
    @pytest.fixture
    def images(self, make_image):
        """Five images whose levels are 100 x, the third without EXPTIME; their pixels."""
        rng = np.random.default_rng(5)
        cube = rng.normal(100, 3, (5, 6, 9)) * np.arange(1, 6)[:, None, None]
        for number, pixels in enumerate(cube):
            cards = {'EXPTIME': 2.0 * number, 'DATE__OBS': f'2021-02-27T0{number}:30:00', 'FILTER': 'BVR'[number % 3]}
            if number == 2:
                del cards['EXPTIME']
            make_image(f'i{number}.fits', pixels.astype('f4'), **cards)
        return cube.astype('f4')

    def test_columns_of_the_table(self, capsys, images, plotted):
        assert main(['i?.fits', '-k', 'EXPTIME', '-s', 'mean,rstd', '--plot', 'exptime,mean', 'p.png']) == 0
        head, *table = capsys.readouterr().out.splitlines()
        assert (head.split(), len(table)) == (['#FileName', 'EXPTIME', 'mean', 'rstd'], 5)
        (((x, y), names, title),) = plotted
        assert (x.name, y.name, title) == ('EXPTIME', 'mean', '5 images')
        np.testing.assert_array_equal(x.places, [0, 2, np.nan, 6, 8])
        np.testing.assert_allclose(y.places, images.mean(axis=(1, 2)), rtol=1e-6)
        assert names == [f'i{number}.fits' for number in range(5)]
        with open('p.png', 'rb') as file:
            assert file.read(4) == b'\x89PNG'

    def test_columns_that_the_table_does_not_show(self, capsys, images, plotted):
        assert main(['i?.fits', '-s', 'mean', '--plot', 'DATE-OBS,q97.5', 'p.pdf']) == 0
        assert capsys.readouterr().out.splitlines()[0].split() == ['#FileName', 'mean']
        (((x, y), *_),) = plotted
        assert (x.kind, y.kind) == ('date', 'number')
        np.testing.assert_allclose(np.diff(x.places), 1 / 24)
        np.testing.assert_allclose(y.places, np.quantile(images, 0.975, axis=(1, 2)), rtol=1e-6)

    def test_a_matrix_of_the_numbers_of_the_table(self, capsys, images, plotted):
        words = ['i?.fits', '-k', 'FILTER,EXPTIME,DATE-OBS', '-s', 'num,mean,max', '--plot', 'matrix', 'p.png']
        assert main([*words, '-o', 's.log']) == 0
        assert capsys.readouterr().out == 'p.png\ns.log\n'
        ((columns, _, title),) = plotted
        assert [each.name for each in columns] == ['EXPTIME', 'mean', 'max']
        assert title == '5 images; the same in all: num'

    def test_a_matrix_of_what_is_named(self, images, plotted):
        assert main(['i?.fits', '--plot', 'FILTER,mean,FileName', 'p.png', '-q', '-o', 's.log']) == 0
        ((columns, *_),) = plotted
        assert [each.kind for each in columns] == ['word', 'number', 'word']
        assert columns[0].words == ('B', 'V', 'R')

    def test_planes(self, make_image, plotted):
        cube = np.random.default_rng(6).normal(50, 3, (4, 6, 9)).astype('f4')
        make_image('c.fits', cube)
        assert main(['c.fits', '-t', '--plot', 'zidx,mean', 'p.png', '-q', '-o', 's.log']) == 0
        (((x, y), _, title),) = plotted
        assert (x.places.tolist(), title) == ([1, 2, 3, 4], '4 planes')
        np.testing.assert_allclose(y.places, cube.mean(axis=(1, 2)), rtol=1e-6)

    def test_images_without_good_pixels_have_no_place(self, make_image, images, plotted):
        make_image('i9.fits', np.full((6, 9), np.nan, 'f4'), EXPTIME=1.0)
        assert main(['i?.fits', '-s', 'mean,num', '--plot', 'matrix', 'p.png', '-q', '-o', 's.log']) == 0
        ((columns, *_),) = plotted
        assert [each.name for each in columns] == ['mean', 'num']
        np.testing.assert_allclose(columns[0].places, [*images.mean(axis=(1, 2)), np.nan], rtol=1e-6)
        assert main(['i9.fits', '--plot', 'EXPTIME,mean', 'q.png', '-q', '-o', 't.log']) == 1
        assert not os.path.exists('q.png')

    def test_equal_inputs_give_equal_bytes(self, folder, images):
        for name in ('p.png', 'q.png'):
            assert main(['i?.fits', '--plot', 'mean,rstd', name, '-q', '-o', f'{name}.log']) == 0
        assert (folder / 'p.png').read_bytes() == (folder / 'q.png').read_bytes()

    def test_good_files_are_still_drawn(self, capsys, images, plotted):
        assert main(['i?.fits', 'gone.fits', '--plot', 'mean,rstd', 'p.png']) == 1
        assert 'gone.fits: No such file' in capsys.readouterr().err
        assert len(plotted[0][1]) == 5

    @pytest.mark.parametrize(
        ('words', 'said'),
        [
            (['EXPTIME,NOSUCH', 'p.png'], 'p.png: --plot: no image has a value of NOSUCH'),
            (['matrix', 'p.png', '-s', 'num'], 'p.png: --plot matrix: two columns of numbers that differ'),
        ],
    )
    def test_nothing_to_draw(self, capsys, images, words, said):
        assert main(['i?.fits', '--plot', *words]) == 1
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 6  # the table is there all the same
        assert err.startswith(f'img_stats: {said}')
        assert not os.path.exists('p.png')

    @pytest.mark.parametrize(
        'words',
        [
            ['mean,rms', 'p.gif'],
            ['mean', 'p.png'],
            ['p.png', 'mean,rms'],
            ['mean,rms', 'p.png', '-o', 'p.png'],
            ['mean,rms', 'p.png', '--hist', '0,9,1'],
            ['mean,rms'],
        ],
    )
    def test_usage(self, capsys, images, words):
        assert main(['i?.fits', '--plot', *words]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count('\n')) == ('', 1)

    def test_a_plot_that_exists(self, capsys, folder, images):
        (folder / 'p.png').write_bytes(b'old')
        assert main(['i?.fits', '--plot', 'mean,rms', 'p.png']) == 1
        assert capsys.readouterr().out == ''
        assert main(['i?.fits', '--plot', 'mean,rms', 'p.png', '--skip-existing']) == 0
        assert len(capsys.readouterr().out.splitlines()) == 6  # the table has no output that exists
        assert (folder / 'p.png').read_bytes() == b'old'
        assert main(['i?.fits', '--plot', 'mean,rms', 'p.png', '-f']) == 0
        assert (folder / 'p.png').read_bytes() != b'old'

    def test_an_input_is_no_plot(self, capsys, folder, images):
        (folder / 'i0.fits').rename('odd.png')
        before = (folder / 'odd.png').read_bytes()
        assert main(['odd.png', '--plot', 'mean,rms', 'odd.png']) == 1
        assert (folder / 'odd.png').read_bytes() == before


class TestInputs:
    def test_many_in_their_order(self, capsys, image, make_image):
        for name in ('b2.fits', 'b1.fits'):
            make_image(name, image)
        found = rows(capsys, 'b2.fits', 'a.fits,b?.fits', '-s', 'num')
        assert [row['FileName'].split('[')[0] for row in found] == ['b2.fits', 'a.fits', 'b1.fits', 'b2.fits']

    def test_good_files_are_still_done(self, capsys, image):
        assert main(['gone.fits', 'a.fits', '-s', 'num']) == 1
        out, err = capsys.readouterr()
        assert out.splitlines()[1].split() == ['a.fits[1:31,1:23]', '713']
        assert err == 'img_stats: gone.fits: No such file or directory\n'

    def test_nothing_good(self, capsys, folder):
        (folder / 'x.fits').write_bytes(b'no')
        assert main(['x.fits', 'gone.fits', '-o', 's.log']) == 1
        assert capsys.readouterr().out == ''
        assert not os.path.exists('s.log')

    @pytest.mark.parametrize(
        'argv', [['--hdu', 'x,y'], ['--hdu', ','], ['-s', 'sigma'], ['-s', ''], ['--format', 'xml']]
    )
    def test_usage(self, capsys, image, argv):
        assert main(['a.fits', *argv]) == 2
        out, err = capsys.readouterr()
        assert out == ''
        assert err.count('\n') == 1

    def test_hdu(self, capsys, image):
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image), fits.ImageHDU(image[:3], name='DQ')]).writeto('m.fits')
        found = [rows(capsys, 'm.fits', '-s', 'num', *argv) for argv in ([], ['--hdu', '2'], ['--hdu', 'dq,1'])]
        assert [row[0]['num'] for row in found] == ['713', '93', '93']

    def test_max_size(self, capsys, folder, image):
        (folder / 'a.fits.gz').write_bytes(gzip.compress((folder / 'a.fits').read_bytes()))
        assert main(['a.fits.gz', '--max-size', '4k']) == 1
        assert 'more than --max-size 4000' in capsys.readouterr().err
        assert main(['a.fits.gz', '--max-size', '10k']) == 0

    @pytest.mark.unverified
    def test_checksum(self, capsys, folder, image):
        fits.PrimaryHDU(image).writeto('s.fits', checksum=True)
        content = bytearray((folder / 's.fits').read_bytes())
        content[2880 + 100] ^= 1
        (folder / 's.fits').write_bytes(content)
        for policy, status, said in (
            ('ignore', 0, ''),
            ('warn', 0, 'img_stats: warning: s.fits: '),
            ('error', 1, 'img_stats: s.fits: '),
        ):
            assert main(['s.fits', '--checksum', policy]) == status
            err = capsys.readouterr().err
            assert err.startswith(said)
            assert ('DATASUM' in err) == (policy != 'ignore')
