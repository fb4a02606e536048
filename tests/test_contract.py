"""What every command keeps, whatever it does.

Commands are found in setup.cfg; what each needs to do its work stands in JOBS.
"""

import configparser
import errno
import gzip
import importlib
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from fitsutils import __version__

ROOT = Path(__file__).resolve().parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / 'setup.cfg')
COMMANDS = sorted(re.findall(r'^(\w+) *=', CONFIG['options.entry_points']['console_scripts'], re.MULTILINE))

# What makes a command do its work on a.fits and b.fits, and the file that it then writes.
JOBS = {
    'combine_fits': (['a.fits', 'b.fits', '-m', 'mean', '-o', 'out.fits'], 'out.fits'),
    'display_fits': (['a.fits', '--size', '60', '-o', 'out.png'], 'out.png'),
    'flat_response': (['a.fits', '-d', 'x', '-k', '1', '-o', 'out.fits'], 'out.fits'),
    'fit_dark': (['a.fits', 'b.fits', '-k', 'DARKTIME', '--points', '-o', 'out.log'], 'out.log'),
    'img_arith': (['a.fits', '-', 'b.fits', '-o', 'out.fits'], 'out.fits'),
    'img_group': (['a.fits', 'b.fits', '--by', 'OBJECT', '--span', '1h', '-o', 'out.log'], 'out.log'),
    'img_hedit': (['a.fits', 'OBJECT=M 2', '-o', 'out.fits'], 'out.fits'),
    'img_log': (['a.fits', 'b.fits', '-o', 'out.log'], 'out.log'),
    'img_mask': (['a.fits', '--above', '1050', '-o', 'out.fits'], 'out.fits'),
    'img_match': (['a.fits', '--to', 'b.fits', '--by', 'OBJECT', '--format', 'ecsv', '-o', 'out.log'], 'out.log'),
    'img_rename': (['a.fits', '-o', 'out.', '-t', '.fits', '-l', 'log', '--copy', 'copies'], 'copies/out.0001.fits'),
    'img_stats': (['a.fits', 'b.fits', '-o', 'out.log'], 'out.log'),
    'img_trim': (['a.fits', '--overscan', '[28:31,*]', '--trim', '[2:27,*]', '-o', 'out.fits'], 'out.fits'),
    'sub_dark': (['a.fits', '--dark', 'b.fits', '-o', 'out.fits'], 'out.fits'),
}
DEFAULT_JOB = (['a.fits', 'b.fits', '-o', 'out.fits'], 'out.fits')
PRINTS_ROWS = ('img_log', 'img_stats')
NEEDS_BOTH = ('fit_dark', 'img_arith', 'img_match', 'sub_dark')  # b.fits can't be left out of their jobs

every_command = pytest.mark.parametrize('name', COMMANDS)
buffered_or_not = pytest.mark.parametrize('unbuffered', ['', '1'])


def job(name):
    argv, output = JOBS.get(name, DEFAULT_JOB)
    return list(argv), output


def with_one(name, word):
    """The words of a job with another one for a.fits, and without b.fits unless that is needed."""
    return [word if item == 'a.fits' else item for item in job(name)[0] if item != 'b.fits' or name in NEEDS_BOTH]


def main(name, *argv):
    return importlib.import_module(f'fitsutils.commands.{name}').main(list(argv))


def options(name):
    return importlib.import_module(f'fitsutils.commands.{name}').build_parser()._option_string_actions


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with two images that belong together."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1614398400')
    pixels = np.random.default_rng(4).integers(900, 1100, (2, 23, 31)).astype('u2')
    for image, which, minute in zip(pixels, 'ab', (4, 5), strict=True):
        header = fits.Header({'OBJECT': 'M 1', 'EXPTIME': 60.0, 'DATE-OBS': f'2021-02-27T04:{minute:02d}:00'})
        header['DARKTIME'] = 15.0 * minute
        fits.PrimaryHDU(image, header).writeto(f'{which}.fits')
    return tmp_path


def contents(folder='.'):
    """Every file below a folder and what it holds."""
    return {
        os.path.join(where, file): Path(where, file).read_bytes()
        for where, _, found in os.walk(folder)
        for file in found
    }


def complaint(capsys, name, *, beginning=''):
    """The one line on standard error, nothing being on standard output."""
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith(f'{name}: {beginning}')
    assert err.count('\n') == 1
    return err


def shell(name, line, argv=(), **settings):
    """A shell line in which "$@" is the command with its arguments."""
    return subprocess.run(
        ['sh', '-c', line, 'sh', sys.executable, str(ROOT / 'bin' / name), *argv],
        capture_output=True, text=True, timeout=60, env={**os.environ, 'MPLBACKEND': 'Agg', **settings},
    )  # fmt: skip


def test_every_command_has_a_job():
    assert set(JOBS) == set(COMMANDS)


class TestWords:
    @every_command
    @pytest.mark.parametrize('word', ['-h', '--help'])
    def test_help(self, capsys, name, word):
        assert main(name, word) == 0
        out, err = capsys.readouterr()
        assert err == ''
        assert out.startswith(f'usage: {name} ')
        examples = out.rpartition('\nexamples:\n')[2].splitlines()
        assert len(examples) >= 3
        assert all(line.startswith('  ') and line.strip() for line in examples)
        assert any(line.startswith(f'  {name} ') for line in examples)

    @every_command
    def test_version(self, capsys, name):
        assert main(name, '--version') == 0
        assert capsys.readouterr() == (f'{name} (fitsutils) {__version__}\n', '')

    @every_command
    @pytest.mark.parametrize('argv', [[], ['--no-such-option'], ['a.fits', '--no-such-option'], ['--versio']])
    def test_usage(self, capsys, name, argv):
        assert main(name, *argv) == 2
        assert f"try '{name} --help'" in complaint(capsys, name)

    @every_command
    def test_a_missing_file(self, capsys, name, folder):
        before = contents()
        argv = with_one(name, 'gone.fits')
        assert main(name, *argv) == 1
        out, err = capsys.readouterr()
        assert out == ''
        assert err.startswith(f'{name}: gone.fits: No such file or directory\n')
        assert contents() == before

    @every_command
    @pytest.mark.parametrize('word', ['*.nothing', '@gone', '@empty', ''])
    def test_words_that_name_nothing(self, capsys, name, word, folder):
        (folder / 'empty').write_bytes(b'\n')
        argv = with_one(name, word)
        assert main(name, *argv) == 1
        complaint(capsys, name)

    @every_command
    def test_odd_names(self, capsys, name, folder):
        odd = "-two words,[1]'\n\x1b[31m\udcff.fits"
        for which in 'ab':
            shutil.copyfile(f'{which}.fits', f'{which}{odd}')
        argv, output = job(name)
        argv = [f'{word[0]}{odd}' if word in ('a.fits', 'b.fits') else word for word in argv]
        assert main(name, *argv) == 0
        assert os.path.getsize(output) > 0
        assert '\x1b' not in capsys.readouterr().err

    @every_command
    def test_names_on_standard_input(self, name):
        argv, output = with_one(name, '@-'), job(name)[1]
        done = shell(name, 'printf "a.fits\\n" | "$@"', argv)
        assert (done.stderr, done.returncode) == ('', 0)
        assert os.path.getsize(output) > 0


class TestOutputs:
    @every_command
    def test_the_job_is_done(self, capsys, name):
        before = contents()
        argv, output = job(name)
        assert main(name, *argv) == 0
        assert capsys.readouterr() == (f'{output}\n', '')
        after = contents()
        assert before.items() <= after.items()
        assert f'./{output}' in after

    @every_command
    def test_an_output_that_exists(self, capsys, name):
        argv, output = job(name)
        os.makedirs(os.path.dirname(output) or '.', exist_ok=True)
        Path(output).write_bytes(b'old')
        before = contents()
        assert main(name, *argv) == 1
        out, err = capsys.readouterr()
        assert out == ''
        assert err.startswith(f'{name}: ')
        assert output in err
        assert contents() == before
        if '--skip-existing' in options(name):
            assert main(name, *argv, '--skip-existing') == 0
            assert capsys.readouterr() == ('', '')
            assert contents() == before
        if '--force' in options(name):
            assert main(name, *argv, '--force') == 0
            assert capsys.readouterr() == (f'{output}\n', '')
            assert {path for path, content in contents().items() if before[path] != content} == {f'./{output}'}

    @pytest.mark.parametrize('name', [name for name in COMMANDS if '--dry-run' in options(name)])
    def test_dry_run(self, capsys, name):
        before = contents()
        argv, output = job(name)
        assert main(name, *argv, '--dry-run') == 0
        assert output in capsys.readouterr().out
        assert contents() == before

    @pytest.mark.parametrize('name', [name for name in COMMANDS if '--force' in options(name)])
    @pytest.mark.parametrize('output', ['a.fits', './a.fits', 'link.fits', 'hard.fits', 'sub/../a.fits'])
    def test_an_output_that_is_an_input(self, capsys, name, output):
        os.symlink('a.fits', 'link.fits')
        os.link('a.fits', 'hard.fits')
        os.mkdir('sub')
        before = contents()
        argv = [output if word in ('out.fits', 'out.log', 'out.png') else word for word in job(name)[0]]
        assert main(name, *argv) in (1, 2)
        complaint(capsys, name)
        assert contents() == before

    @every_command
    def test_the_same_bytes_in_every_locale_and_time_zone(self, name):
        argv, output = job(name)
        found = []
        for settings in ({'LC_ALL': 'C', 'TZ': 'UTC'}, {'LC_ALL': 'C.UTF-8', 'TZ': 'Asia/Kathmandu', 'LANG': 'de_DE'}):
            done = shell(name, '"$@"', argv, **settings)
            assert (done.returncode, done.stderr) == (0, '')
            found.append((done.stdout, Path(output).read_bytes()))
            os.unlink(output)
            for log in Path().glob('log*'):
                log.unlink()
        assert found[0] == found[1]

    @pytest.mark.parametrize('name', [name for name in COMMANDS if name not in ('display_fits', 'img_rename')])
    def test_a_device_is_written_to_and_not_replaced(self, name):
        device = '/dev/null'
        if os.geteuid() == 0:  # who may replace the real one tries it on another
            device = os.path.abspath('null')
            try:
                os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
                with open(device, 'wb'):
                    pass
            except OSError:
                pytest.skip('no devices can be made here')
        argv, output = job(name)
        assert main(name, *[device if word == output else word for word in argv]) == 0
        assert stat.S_ISCHR(os.stat(device).st_mode)


class TestOthersAreDone:
    """One file that fails does not stop the others."""

    @pytest.mark.parametrize('name', PRINTS_ROWS)
    def test_rows(self, capsys, name):
        assert main(name, 'gone.fits', 'a.fits', 'b.fits') == 1
        out, err = capsys.readouterr()
        rows = [line for line in out.splitlines() if not line.startswith('#')]
        assert [row.split('[')[0].split()[0] for row in rows] == ['a.fits', 'b.fits']
        assert err == f'{name}: gone.fits: No such file or directory\n'

    def test_files(self, capsys, folder):
        """What turns out only while the pixels are unpacked concerns that file alone."""
        (folder / 'c.fits.gz').write_bytes(gzip.compress((folder / 'a.fits').read_bytes())[:-900])
        assert main('img_arith', 'c.fits.gz', 'a.fits', '+', '1', '--prefix', 'out_') == 1
        out, err = capsys.readouterr()
        assert out == 'out_a.fits\n'
        assert err.startswith('img_arith: c.fits.gz: ')
        assert err.count('\n') == 1
        assert not os.path.exists('out_c.fits')


class TestStreams:
    @every_command
    @buffered_or_not
    def test_a_reader_that_has_gone(self, name, unbuffered):
        """As in `img_log *.fits | head -1`: quiet, and dead of SIGPIPE."""
        argv = ['--help'] if name not in PRINTS_ROWS else ['a.fits', 'b.fits']
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, 'wb') as pipe:
            done = subprocess.run(
                [sys.executable, str(ROOT / 'bin' / name), *argv], stdout=pipe, stderr=subprocess.PIPE, timeout=60,
                env={**os.environ, 'PYTHONUNBUFFERED': unbuffered},
            )  # fmt: skip
        assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b'')

    @pytest.mark.parametrize('name', PRINTS_ROWS)
    @buffered_or_not
    def test_head(self, name, unbuffered):
        for count in range(600):
            os.symlink('a.fits', f'{count:03d}{"x" * 150}.fits')  # long names: rows beyond what a pipe holds
        done = shell(name, '{ "$@"; echo $? >&2; } | head -1', ['???x*.fits'], PYTHONUNBUFFERED=unbuffered)
        assert done.stdout.startswith('#')
        assert done.stdout.count('\n') == 1
        assert done.stderr == f'{128 + signal.SIGPIPE}\n'

    @every_command
    @buffered_or_not
    def test_a_full_standard_output(self, name, unbuffered):
        argv = ['a.fits', 'b.fits'] if name in PRINTS_ROWS else job(name)[0]
        done = shell(name, '"$@" >/dev/full', argv, PYTHONUNBUFFERED=unbuffered)
        assert (done.returncode, done.stderr) == (1, f'{name}: standard output: No space left on device\n')
        done = shell(name, '"$@" >/dev/full', ['--help'], PYTHONUNBUFFERED=unbuffered)
        assert (done.returncode, done.stderr.count('\n')) == (1, 1)

    @every_command
    def test_closed_streams(self, name):
        argv, output = job(name)
        done = shell(name, '"$@" <&-', argv)
        assert (done.stdout, done.stderr, done.returncode) == (f'{output}\n', '', 0)
        # What is there already is refused, and nobody can be told.
        before = contents()
        done = shell(name, '"$@" 2>&-', argv)
        assert (done.stdout, done.returncode) == ('', 1)
        rows = ['a.fits'] if name in PRINTS_ROWS else [word for word in argv if word != 'copies'] + ['copies2']
        if name != 'img_rename':
            done = shell(name, '"$@" >&-', rows if name in PRINTS_ROWS else [*argv, '--force'])
            assert (done.stderr, done.returncode) == (f'{name}: standard output is closed\n', 1)
        assert {path: content for path, content in contents().items() if path in before} == before


# Runs a command whose output stops on its way to the disk, where a signal then meets it.
STOPPED = """
import os, sys, time
from fitsutils.commands import {name}

def stop(*_):
    print('stopped', flush=True)
    time.sleep(30)

os.fsync = stop
sys.exit({name}.main())
"""


class TestInterruptions:
    @pytest.mark.parametrize('name', [name for name in COMMANDS if name != 'img_rename'])
    @pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_signals(self, name, number):
        argv, output = job(name)
        Path(output).write_bytes(b'old')
        before = contents()
        with subprocess.Popen(
            [sys.executable, '-c', STOPPED.format(name=name), *argv, '--force'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, 'PYTHONPATH': str(ROOT)},
        ) as child:  # fmt: skip
            assert child.stdout.readline() == b'stopped\n'
            assert len(contents()) == len(before) + 1
            child.send_signal(number)
            _, err = child.communicate(timeout=30)
        assert (child.returncode, err) == (-number, b'')
        after = contents()
        strays = [path for path in after if path not in before]
        assert {path: after[path] for path in before} == before
        assert len(strays) == (number == signal.SIGKILL)
        assert all(os.path.basename(path).startswith('.') for path in strays)

    @every_command
    @pytest.mark.parametrize('call', ['open', 'fdopen', 'fsync', 'replace', 'rename', 'link', 'symlink'])
    def test_the_nth_call_fails(self, capsys, monkeypatch, name, call):
        """A full disk at the first, second, third ... such call, until all goes well."""
        argv, output = job(name)
        before = contents()
        real, early = getattr(os, call), []
        for allowed in range(60):
            left = allowed

            def failing(*args, **options):
                nonlocal left
                left -= 1
                if left < 0 and not (call == 'open' and args[1] == os.O_RDONLY):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real(*args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, failing)
                status = main(name, *argv)
            err = capsys.readouterr().err
            after = contents()
            assert before.items() <= after.items()
            assert not [path for path in after if os.path.basename(path).startswith('.')]
            if status == 0:
                break
            assert status == 1
            assert 'No space left on device' in err
            early += [after[path] for path in [f'./{output}'] if path in after]  # complete, but not recorded
            for path in after.keys() - before.keys():  # logs of what was begun
                os.unlink(path)
        assert status == 0
        assert all(content == Path(output).read_bytes() for content in early)

    @every_command
    def test_a_limit_on_the_size_of_files(self, name):
        argv, output = job(name)
        before = contents()
        done = subprocess.run(
            [sys.executable, str(ROOT / 'bin' / name), *argv], capture_output=True, text=True, timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        )  # fmt: skip
        assert (done.stdout, done.returncode) == ('', 1)
        assert done.stderr.startswith(f'{name}: ')
        assert 'File too large' in done.stderr
        assert before.items() <= contents().items()
        assert not os.path.exists(output)
        assert not [path for path in contents() if os.path.basename(path).startswith('.')]


# What makes a command with --section do its work on a part of an image, and whether the section is that of its output.
PARTS = {
    'combine_fits': (['a.fits[3:20,2:19]', '-m', 'mean', '-n', 'median', '-o', 'out.fits'], False),
    'display_fits': (['a.fits[3:20,2:19]', '--size', '60', '-o', 'out.png'], False),
    'fit_dark': (['a.fits[3:20,2:19]', 'b.fits[3:20,2:19]', '-k', 'DARKTIME', '--points', '-o', 'out.log'], False),
    'img_arith': (['a.fits[3:20,2:19]', '-', 'b.fits', '-o', 'out.fits'], True),
    'img_stats': (['a.fits[3:20,2:19]', '-o', 'out.log'], False),
    'img_trim': (['a.fits[3:20,2:19]', '-o', 'out.fits'], True),
}


@every_command
def test_a_section_lies_within_the_part_behind_the_name(name, capsys):
    if '--section' not in options(name):
        assert name not in PARTS
        return
    words, cuts = PARTS[name]
    assert main(name, *words, '--section', '[1:31,1:23]') == 1
    assert 'region [1:31,1:23] goes beyond' in capsys.readouterr().err
    assert not Path(words[-1]).exists()
    assert main(name, *words, '--section', '[2:9,3:8]') == 0
    if cuts:
        found = fits.getdata('out.fits')
        plain = [word.replace('[3:20,2:19]', '') for word in words]
        assert main(name, *plain, '--section', '[4:11,4:9]', '-f') == 0
        np.testing.assert_array_equal(found, fits.getdata('out.fits'))
    elif name == 'img_stats':
        assert 'a.fits[4:11,4:9]' in Path('out.log').read_text()
