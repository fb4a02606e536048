import bz2
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fitsutils.commands.img_rename import main

PIXELS = np.arange(35, dtype='u2').reshape(5, 7)


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def frames(make_image):
    """A function that writes frames: name -> cards."""

    def make(**cards_of):
        for name, cards in cards_of.items():
            make_image(name, PIXELS, **cards)

    return make


@pytest.fixture
def three(frames):
    frames(**{
        'Crab-0001 L.fit': {'DATE__OBS': '2021-02-27T04:00:00.5', 'FILTER': 'L', 'EXPTIME': 60.0, 'OBJECT': 'M 1'},
        'Bias 7.fit': {'DATE__OBS': '2021-02-27T03:59:59', 'IMAGETYP': 'Bias Frame', 'EXPTIME': 0.0},
        "it's a dark.fit": {'DATE__OBS': '2021-02-26T23:59:59', 'EXPTIME': 180.0, 'OBJECT': '../../etc/passwd'},
    })  # fmt: skip


def names():
    return sorted(name for name in os.listdir('.') if not name.endswith(('.log', '_undo.sh')))


def sums():
    return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in names()}


def plan(capsys, *words):
    """What --dry-run says, as pairs."""
    before = sorted(os.listdir('.'))
    assert main([*words, '--dry-run']) == 0
    assert sorted(os.listdir('.')) == before
    return [tuple(line.split('\t')) for line in capsys.readouterr().out.splitlines()]


def test_the_recipe(three, capsys):
    before = sums()
    assert main(['*.fit']) == 0
    assert capsys.readouterr() == ('20210226.0001.fit\n20210226.0002.fit\n20210226.0003.fit\n', '')
    assert list(sums().values()) == [before[name] for name in ("it's a dark.fit", 'Bias 7.fit', 'Crab-0001 L.fit')]
    assert Path('FileRename.log').read_text().splitlines() == [
        "it's a dark.fit\t20210226.0001.fit\trenamed",
        'Bias 7.fit\t20210226.0002.fit\trenamed',
        'Crab-0001 L.fit\t20210226.0003.fit\trenamed',
    ]
    assert subprocess.run(['sh', os.path.abspath('FileRename_undo.sh')], cwd='/').returncode == 0
    assert sums() == before


def test_undo_and_its_plan(three, capsys, monkeypatch):
    before = sums()
    assert main(['*.fit', '-q', '-l', 'night']) == 0
    assert capsys.readouterr().out == ''
    after = sums()
    assert main(['--undo', 'night', '--dry-run']) == 0
    assert capsys.readouterr().out.splitlines()[0] == '20210226.0003.fit\tCrab-0001 L.fit'
    assert sums() == after
    folder = os.getcwd()
    monkeypatch.chdir('/')
    assert main(['--undo', f'{folder}/night.log', '--null']) == 0
    assert sorted(capsys.readouterr().out.split('\0')[:-1]) == sorted(f'{folder}/{name}' for name in before)
    monkeypatch.chdir(folder)
    assert sums() == before
    assert main(['--undo', 'night']) == 1
    assert capsys.readouterr().err == 'img_rename: night.log: nothing in it is left to undo\n'


def test_a_second_run_changes_nothing(three, capsys):
    assert main(['*.fit']) == 0
    first = capsys.readouterr().out
    before = sums()
    assert main(['*.fit']) == 0
    assert capsys.readouterr().out == first
    assert sums() == before
    assert not os.path.exists('FileRename.1.log')


def test_a_longer_night_renumbers_itself(three, frames, capsys):
    assert main(['*.fit']) == 0
    frames(early={'DATE__OBS': '2021-02-26T20:00:00'})
    before = sums()
    assert main(['*.fit', 'early']) == 0
    assert names() == [f'20210226.{number:04d}.fit' for number in range(1, 5)]
    assert sums()['20210226.0001.fit'] == before['early']
    assert sums()['20210226.0004.fit'] == before['20210226.0003.fit']
    assert main(['--undo', 'FileRename.1']) == 0
    assert sums() == before


def test_two_frames_that_change_places(frames, capsys):
    frames(**{
        '20210227.0001.fit': {'DATE__OBS': '2021-02-27T02:00:00'},
        '20210227.0002.fit': {'DATE__OBS': '2021-02-27T01:00:00'},
    })  # fmt: skip
    before = sums()
    assert main(['*.fit']) == 0
    assert capsys.readouterr().out == '20210227.0001.fit\n20210227.0002.fit\n'
    assert list(sums().values()) == list(before.values())[::-1]
    assert subprocess.run(['sh', 'FileRename_undo.sh']).returncode == 0
    assert sums() == before


@pytest.mark.parametrize(
    ('keys', 'cards', 'order'),
    [
        ('EXPTIME', [{'EXPTIME': 10}, {'EXPTIME': 9.5}, {'EXPTIME': 100}], 'bac'),
        ('EXPTIME', [{'EXPTIME': '10'}, {'EXPOSURE': 9.5}, {'EXP_TIME': '1e2'}], 'bac'),
        ('serial', [{'SERIAL': 2**53 + 1}, {'SERIAL': 2**53}, {'SERIAL': 5}], 'cba'),
        ('OBJECT', [{'OBJECT': 'm10'}, {'OBJECT': 'M9'}, {'OBJECT': '7'}], 'cba'),
        ('DATE-OBS', [{'DATE__OBS': '28/02/99'}, {'DATE__BEG': '1999-01-01T00:00:00'}, {'MJD__OBS': 51200.5}], 'bca'),
        (
            'DATE-OBS',
            [{'DATE__OBS': '2021-02-27', 'TIME__OBS': t} for t in ('12:00:00', '2:00:00', '03:00:00.5')],
            'bca',
        ),
        (
            'DATE-OBS',
            [{'DATE__OBS': '2021-02-27', 'UT': '12:00:00'}, {'JD': 2459272.5}, {'DATE__OBS': '20210226'}],
            'cba',
        ),
        ('DATE', [{'DATE': '2021-02-27T01:00:00'}, {'DATE': '26 Feb 2021 23:00'}, {'DATE': '25/02/21'}], 'cba'),
        (
            'EXPTIME,DATE-OBS',
            [{'EXPTIME': e, 'DATE__OBS': f'2021-02-{d}'} for e, d in ((2, 11), (1, 12), (2, 10))],
            'bca',
        ),
        ('XBINNING', [{'XBINNING': 1}] * 3, 'abc'),
        ('FLAG', [{'FLAG': True}, {'FLAG': False}, {'FLAG': True}], 'bac'),
    ],
)
def test_sorting(keys, cards, order, frames, capsys):
    frames(**dict(zip('abc', cards, strict=True)))
    assert [old for old, _ in plan(capsys, 'a', 'b', 'c', '-s', keys, '-o', 'x')] == list(order)


def test_ties_keep_the_order_of_the_arguments(frames, capsys):
    frames(**{name: {'DATE__OBS': '2021-02-27T01:00:00'} for name in 'abcde'})
    assert ''.join(old for old, _ in plan(capsys, *'cebda', '-o', 'x')) == 'cebda'


@pytest.mark.parametrize(
    ('undated', 'order'), [('last', 'acdb'), ('first', 'dbac'), ('skip', 'ac')]
)  # a and c have dates; d comes before b on the command line
def test_undated(undated, order, frames, capsys):
    frames(a={'DATE__OBS': '2021-02-27'}, b={}, c={'DATE__OBS': '2021-02-28'}, d={'DATE__OBS': 'unknown'})
    words = ['a', 'd', 'c', 'b', '--undated', undated]
    assert ''.join(old for old, _ in plan(capsys, *words)) == order
    assert main(words) == 0
    streams = capsys.readouterr()
    assert [name for name in 'abcd' if os.path.exists(name)] == (['b', 'd'] if undated == 'skip' else [])
    assert streams.out == ''.join(f'20210227.{number:04d}.fit\n' for number in range(1, len(order) + 1))
    assert streams.err.count('has no usable date: it is left alone') == (2 if undated == 'skip' else 0)


def test_undated_frames_are_named_and_nothing_is_done(frames, capsys):
    frames(a={'DATE__OBS': '2021-02-27'}, b={}, c={'DATE__OBS': 'M31'})
    assert main(['a', 'b', 'c']) == 1
    assert capsys.readouterr() == (
        '',
        'img_rename: b: has no usable date; --undated last, first or skip says what to do with it\n'
        'img_rename: c: has no usable date; --undated last, first or skip says what to do with it\n'
        'img_rename: nothing was done\n',
    )
    assert main(['a', 'b', '-s', 'FILTER,DATE-OBS']) == 1
    assert 'b: has no value of FILTER, DATE-OBS' in capsys.readouterr().err
    assert sorted(os.listdir('.')) == ['a', 'b', 'c']


def test_without_any_date_a_root_is_wanted(frames, capsys):
    frames(a={'EXPTIME': 1})
    assert main(['a', '-s', 'EXPTIME']) == 1
    assert 'no image has a usable date to name the files by; -o gives a root' in capsys.readouterr().err
    assert main(['a', '-s', 'EXPTIME', '-o', 'dark.']) == 0
    assert os.path.exists('dark.0001.fit')


def test_templates(three, capsys):
    root = '{OBJECT|none}_{FILTER|none}_{EXPTIME:g}_{n:02d}'
    assert plan(capsys, '*.fit', '-o', root, '-t', '.fts') == [
        ("it's a dark.fit", 'etc_passwd_none_180_01.fts'),
        ('Bias 7.fit', 'none_none_0_02.fts'),
        ('Crab-0001 L.fit', 'M_1_L_60_03.fts'),
    ]


def test_a_value_that_is_missing_is_named_with_its_file(three, capsys):
    assert main(['*.fit', '-o', '{OBJECT}{FILTER}{n}']) == 1
    assert capsys.readouterr().err.splitlines() == [
        "img_rename: it's a dark.fit: FILTER has no value; {FILTER|WORD} puts WORD there",
        'img_rename: Bias 7.fit: OBJECT has no value; {OBJECT|WORD} puts WORD there',
        'img_rename: nothing was done',
    ]


def test_folders_come_from_the_template_only(three, frames, capsys):
    os.mkdir('raw')
    os.rename('Bias 7.fit', 'raw/Bias 7.fit')
    assert plan(capsys, '*.fit', 'raw/*')[1] == ('raw/Bias 7.fit', 'raw/20210226.0002.fit')
    assert main(['*.fit', 'raw/*', '-o', 'by exposure/{EXPTIME:g}/{OBJECT|none}_{n:d}']) == 0
    assert capsys.readouterr().out.splitlines() == [
        'by exposure/180/etc_passwd_1.fit', 'by exposure/0/none_2.fit', 'by exposure/60/M_1_3.fit',
    ]  # fmt: skip
    assert subprocess.run(['sh', os.path.abspath('FileRename_undo.sh')], cwd='/').returncode == 0
    assert os.listdir('raw') == ['Bias 7.fit']
    assert {"it's a dark.fit", 'Crab-0001 L.fit'} < set(names())


def test_compressed_files_keep_their_suffix(three, capsys):
    for name, pack in (('Bias 7.fit', gzip.compress), ('Crab-0001 L.fit', bz2.compress)):
        data = pack(Path(name).read_bytes())
        os.remove(name)
        Path(name + ('.gz' if pack is gzip.compress else '.bz2')).write_bytes(data)
    assert main(['*.fit*', '-o', 'n']) == 0
    assert capsys.readouterr().out == 'n0001.fit\nn0002.fit.gz\nn0003.fit.bz2\n'


def test_more_than_9999_files_get_five_digits(frames, capsys, monkeypatch):
    frames(a={'DATE__OBS': '2021-02-27T01:00:00'})
    count = 10_000
    for number in range(count):
        os.link('a', f'{number}.fit')
    assert main(['[0-9]*.fit', '-q', '-o', 'n']) == 0
    assert {'n00001.fit', 'n10000.fit'} < set(names())
    assert len(names()) == count + 1


@pytest.mark.parametrize('deed', ['--copy', '--link'])
def test_other_folders(deed, three, capsys):
    before = sums()
    assert main(['*.fit', deed, 'work/raw', '-o', '{EXPTIME:g}/x']) == 0
    assert capsys.readouterr().out == 'work/raw/180/x0001.fit\nwork/raw/0/x0002.fit\nwork/raw/60/x0003.fit\n'
    shutil.move('work', '../work')
    assert sums() == before
    shutil.move('../work', 'work')
    assert os.path.islink('work/raw/0/x0002.fit') == (deed == '--link')
    assert Path('work/raw/0/x0002.fit').read_bytes() == Path('Bias 7.fit').read_bytes()
    assert main(['*.fit', deed, 'work/raw', '-o', '{EXPTIME:g}/x']) == 1
    assert 'work/raw/180/x0001.fit exists and is not overwritten' in capsys.readouterr().err
    assert main(['--undo', 'FileRename', '--dry-run']) == 0
    assert capsys.readouterr().out.splitlines()[0] == 'work/raw/60/x0003.fit\t'
    assert main(['--undo', 'FileRename']) == 0
    assert not list(Path('work').rglob('*.fit'))


def test_nasty_names_through_the_command(make_image, capsysbinary):
    nasty = ['a b.fit', "it's.fit", '-rf.fit', '$(touch made).fit', 'new\nline.fit', os.fsdecode(b'\xff.fit')]
    nasty += ['[1].fit', '@l.fit', 'a,b.fit']
    for number, name in enumerate(nasty):
        make_image(f'./{name}', PIXELS + number, DATE__OBS=f'2021-02-27T00:00:{number:02d}')
    before = sums()
    assert main(['--dry-run', '--', *nasty]) == 0
    assert b'new\\x0aline.fit\t20210227.0005.fit\n\\xff.fit\t20210227.0006.fit\n' in capsysbinary.readouterr().out
    assert main(['--dry-run', '--null', '--', *nasty]) == 0
    assert b'new\nline.fit\t20210227.0005.fit\0' in capsysbinary.readouterr().out
    assert main(['--', *nasty]) == 0
    assert len(names()) == len(nasty)
    assert subprocess.run(['sh', os.path.abspath('FileRename_undo.sh')], cwd='/').returncode == 0
    assert sums() == before


@pytest.mark.parametrize(
    ('words', 'status', 'message'),
    [
        (['*.fit', 'nothing.fit'], 1, 'nothing.fit: No such file or directory'),
        (['*.fit', './Bias 7.fit'], 1, './Bias 7.fit: is given twice, also as Bias 7.fit'),
        (['*.fit', '-o', '{OBJECT|x}_{FILTER|x}/{n}', '-l', 'no/where'], 1, 'the folder for the log'),
        (['Bias 7.fit[1:2,1:2]'], 1, 'a part of an image has no name of its own'),
        (['*.nothing'], 1, 'no file matches'),
        ([], 2, 'an image is required'),
        (['*.fit', '-o', '{'], 2, '{KEY}'),
        (['*.fit', '-o', '/x/{n}', '--copy', 'd'], 2, 'name different folders'),
        (['*.fit', '--copy', 'd', '--link', 'e'], 2, 'not allowed with'),
        (['*.fit', '--undo', 'L'], 2, '--undo takes the log only'),
        (['--undo', 'L', '-o', 'x'], 2, '--undo takes the log only'),
        (['--undo', 'L'], 1, 'L.log: No such file or directory'),
        (['*.fit', '-t', 'a/b'], 2, '-t a/b'),
    ],
)  # fmt: skip
def test_refusals(words, status, message, three, capsys):
    before = sums()
    assert main(words) == status
    streams = capsys.readouterr()
    assert streams.out == ''
    assert message in streams.err
    assert streams.err.startswith('img_rename: ')
    assert 'Traceback' not in streams.err
    assert sums() == before
    assert not [name for name in os.listdir('.') if name.endswith('.log')]


def test_collisions_name_both_files(frames, capsys):
    frames(**{f'f{number:02d}': {'GAIN': {1: 11, 11: 1}.get(number, 5)} for number in range(1, 12)})
    assert main(['f*', '-s', 'NAXIS', '-o', '{GAIN:d}{n:d}']) == 1
    assert capsys.readouterr().err == 'img_rename: f01: this and f11 would both become 111.fit\n'


def test_no_file_is_overwritten(three, capsys):
    Path('x0002.fit').write_bytes(b'mine')
    before = sums()
    assert main(['[!x]*.fit', '-o', 'x']) == 1
    assert capsys.readouterr().err == 'img_rename: Bias 7.fit: x0002.fit exists and is not overwritten\n'
    assert sums() == before


def test_a_failure_half_way(three, capsys, monkeypatch):
    before, rename = sums(), os.rename
    calls = iter(range(9))

    def failing(old, new):
        if next(calls) == 2:
            raise OSError(13, 'Permission denied')
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'rename', failing)
        assert main(['*.fit']) == 1
    streams = capsys.readouterr()
    assert streams.out == '20210226.0001.fit\n20210226.0002.fit\n'
    assert streams.err == (
        'img_rename: Crab-0001 L.fit: can not become 20210226.0003.fit: Permission denied; '
        '2 of 3 were renamed; sh FileRename_undo.sh undoes it\n'
    )
    assert subprocess.run(['sh', 'FileRename_undo.sh']).returncode == 0
    assert sums() == before


def run(*words, **options):
    program = Path(__file__).resolve().parents[1] / 'bin' / 'img_rename'
    return subprocess.run([sys.executable, program, *words], stderr=subprocess.PIPE, **options)


def test_a_closed_pipe_stops_the_printing_only(three):
    reader, writer = os.pipe()
    os.close(reader)
    done = run('*.fit', stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b'')
    assert names() == ['20210226.0001.fit', '20210226.0002.fit', '20210226.0003.fit']


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
def test_a_full_standard_output_is_a_failure(three):
    with open('/dev/full', 'wb') as full:
        done = run('*.fit', stdout=full)
    assert done.returncode == 1
    assert done.stderr.endswith(b'No space left on device\n')
    assert names() == ['20210226.0001.fit', '20210226.0002.fit', '20210226.0003.fit']


def test_plain_files_are_renamed_without_numpy_and_astropy(three):
    code = (
        'import sys; from fitsutils.commands.img_rename import main; main(["*.fit"]);'
        'assert not {"numpy", "astropy", "dateutil"} & set(sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], stdout=subprocess.DEVNULL).returncode == 0


def test_a_real_night(data, tmp_path, capsys):
    for path in sorted((data / 'nickel_pluto').rglob('*.fits')):
        shutil.copy(path, tmp_path / f'{path.parent.name} {path.name}')
    before = sums()
    assert main(['*.fits']) == 0  # no DATE-OBS: the time is in DATE-BEG
    assert capsys.readouterr().out.splitlines()[0] == '20190923.0001.fit'
    assert list(sums().values()) == sorted(
        before.values(), key=lambda value: next(n[-10:] for n in before if before[n] == value)
    )
    assert main(['*.fit', '-o', '{OBJECT}_{FILTER}_{EXPTIME:g}_{n:03d}.fits']) == 0
    assert capsys.readouterr().out.splitlines()[-1] == 'pluto_frame_009_V_15_019.fits'
    assert main(['--undo', 'FileRename.1.log']) == 0
    assert subprocess.run(['sh', 'FileRename_undo.sh']).returncode == 0
    assert sums() == before


def test_odd_headers(data, tmp_path, capsys):
    shutil.copytree(data / 'header_zoo', tmp_path / 'zoo', copy_function=os.symlink)
    for path in sorted((tmp_path / 'zoo').iterdir()):
        status = main([str(path), '-o', '{OBJECT|none}', '--undated', 'last', '--dry-run'])
        streams = capsys.readouterr()
        assert (status, streams.out.count('\n')) in ((0, 1), (1, 0))
        assert 'Traceback' not in streams.err
