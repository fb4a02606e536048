import argparse
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from fitsutils import __version__, cli
from fitsutils.errors import Failure, QualityFailure, UsageError, excerpt, warn

MANUAL = """What it is.

More of it.

Examples
--------
  do_it a.fits
"""


def parser():
    made = cli.Parser('do_it', MANUAL)
    made.share('images', 'text-output', 'null', 'memory', 'bounds', 'progress')
    made.add_argument('--limits', type=cli.number_list)
    made.add_argument('--words', nargs='*')
    return made


def run(verb, *argv):
    return cli.run(parser, verb, list(argv))


class TestSizes:
    @pytest.mark.parametrize(
        ('text', 'size'),
        [('1', 1), ('500M', 500_000_000), ('2G', 2_000_000_000), ('1.5GiB', 1_610_612_736), ('64Ki', 65536),
         ('10kB', 10_000), ('3 TB', 3 * 10**12), ('1e3', 1000), ('7b', 7)],
    )  # fmt: skip
    def test_sizes(self, text, size):
        assert cli.size(text) == size

    @pytest.mark.parametrize('text', ['', 'M', '0', '-5M', '1X', '5 apples', 'nan', 'inf', '1e400', '1iB', '0.1'])
    def test_no_sizes(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match='is not a size'):
            cli.size(text)


class TestDurations:
    @pytest.mark.parametrize(
        ('text', 'seconds'),
        [('1h', 3600), ('30m', 1800), ('90s', 90), ('1d', 86400), ('1h30m', 5400), ('1.5 h', 5400), ('.5d', 43200),
         ('1d 2h 3m 4.5s', 93784.5), ('0', 0), ('0h', 0)],
    )  # fmt: skip
    def test_durations(self, text, seconds):
        assert cli.duration(text).total_seconds() == seconds

    @pytest.mark.parametrize('text', ['', '1', '-1h', 'h', '1x', '1h30', '1 hour', 'nan', '1h-2m', '1e3s'])
    def test_no_durations(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match='is not a length of time'):
            cli.duration(text)

    @pytest.mark.parametrize('text', ['9999999999d', '1' + 400 * '0' + 's'])
    def test_durations_beyond_any_calendar(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match='longer than any calendar'):
            cli.duration(text)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a,b', ['a', 'b']),
        ('Filename,OBJECT,\\\nXBINNING', ['Filename', 'OBJECT', 'XBINNING']),
        (' a ,\n b,\\\n', ['a', 'b']),
        ('', []),
        (',,', []),
    ],
)
def test_word_lists(text, words):
    assert cli.word_list(text) == words


@pytest.mark.parametrize(('text', 'numbers'), [('1', (1,)), ('-5,1e3', (-5, 1000)), (' 1 , 2.5 ', (1, 2.5))])
def test_number_lists(text, numbers):
    assert cli.number_list(text) == numbers


@pytest.mark.parametrize('text', ['', ',', '1,', 'a', '1;2'])
def test_no_number_lists(text):
    with pytest.raises(argparse.ArgumentTypeError, match='is not a list of numbers'):
        cli.number_list(text)


class TestParser:
    @pytest.mark.parametrize(
        ('argv', 'found'),
        [
            (['a', '-o', 'x', 'b'], {'images': ['a', 'b'], 'output': 'x'}),
            (['-5', '-1e-3', '-.5', '-inf'], {'images': ['-5', '-1e-3', '-.5', '-inf']}),
            (['a', '--', '-o', '--x', '--'], {'images': ['a', '-o', '--x', '--'], 'output': None}),
            (['--limits', '-5,5', 'a'], {'limits': (-5, 5), 'images': ['a']}),
            (['--limits=-5,5'], {'limits': (-5, 5)}),
            (['-b', '-1', '2', '-3', '4', 'a'], {'bounds': [-1, 2, -3, 4], 'images': ['a']}),
            (['a', '-', 'b', 'x'], {'images': ['a', '-', 'b', 'x']}),
            (['-o', '-5', 'a'], {'output': '-5'}),
            (['-0', 'a'], {'null': True, 'images': ['a']}),
            (['a', '--words', '-7', '-8'], {'words': ['-7', '-8'], 'images': ['a']}),
            ([], {'images': []}),
        ],
    )
    def test_words(self, argv, found):
        args = vars(parser().parse(argv))
        assert {name: args[name] for name in found} == found

    def test_what_is_behind_two_dashes_needs_a_place(self, capsys):
        with pytest.raises(SystemExit) as caught:
            cli.Parser('do_it', MANUAL).parse(['--', 'a'])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith('do_it: ')

    @pytest.mark.parametrize('argv', [['--nonsense'], ['--outp', 'x'], ['-o'], ['--memory', 'much'], ['-z\x1b[31m\n']])
    def test_usage_errors_are_one_line(self, capsys, argv):
        assert run(lambda args, job: None, *argv) == 2
        out, err = capsys.readouterr()
        assert out == ''
        assert err.startswith('do_it: ')
        assert err.endswith("(try 'do_it --help')\n")
        assert err.count('\n') == 1
        assert '\x1b' not in err

    def test_help_and_version(self, capsys):
        assert run(None, '--help') == 0
        out = capsys.readouterr().out
        assert 'More of it.' in out
        assert out.endswith('examples:\n  do_it a.fits\n')
        assert run(None, '--version') == 0
        assert capsys.readouterr().out == f'do_it (fitsutils) {__version__}\n'


class TestStatus:
    @pytest.mark.parametrize(
        ('error', 'status', 'said'),
        [
            (Failure('is empty', 'a.fits'), 1, 'do_it: a.fits: is empty\n'),
            (UsageError('that will not do'), 2, "do_it: that will not do (try 'do_it --help')\n"),
            (QualityFailure('rms too large'), 3, 'do_it: rms too large\n'),
            (FileNotFoundError(2, 'No such file', 'b.fits'), 1, 'do_it: b.fits: No such file\n'),
            (FileNotFoundError(2, 'No such file', b'\xff.fits'), 1, 'do_it: \\xff.fits: No such file\n'),
            (OSError(errno.ENOSPC, 'No space left on device'), 1, 'do_it: No space left on device\n'),
            (OSError('strange'), 1, 'do_it: strange\n'),
            (MemoryError(), 1, 'do_it: not enough memory; a smaller --memory or a region may help\n'),
            (ModuleNotFoundError("No module named 'nowhere'", name='nowhere'), 1, None),
        ],
    )  # fmt: skip
    def test_of_what_is_raised(self, capsys, error, status, said):
        def verb(args, job):
            raise error

        assert run(verb) == status
        out, err = capsys.readouterr()
        assert out == ''
        assert err.count('\n') == 1
        assert err == said or (said is None and 'nowhere is not installed' in err)

    def test_a_usage_error_shows_the_place(self, capsys):
        def verb(args, job):
            raise UsageError('that will not do', excerpt=excerpt('a \x1b b', 2))

        assert run(verb) == 2
        expected = "do_it: that will not do (try 'do_it --help')\n  a \\x1b b\n    ^\n"
        assert capsys.readouterr() == ('', expected)

    @pytest.mark.parametrize(
        'error', [ZeroDivisionError(), ModuleNotFoundError('x', name='fitsutils.x'), KeyError('x')]
    )
    def test_our_own_mistakes_are_not_hidden(self, error):
        def verb(args, job):
            raise error

        with pytest.raises(type(error)):
            run(verb)

    def test_one_that_fails_does_not_stop_the_others(self, capsys):
        done = []

        def verb(args, job):
            for name in args.images:
                with job.attempt():
                    if name == 'bad':
                        raise Failure('is bad', name)
                    done.append(name)

        assert run(verb, 'a', 'bad', 'b') == 1
        assert done == ['a', 'b']
        assert capsys.readouterr().err == 'do_it: bad: is bad\n'

    @pytest.mark.parametrize('error', [UsageError('wrong'), KeyboardInterrupt(), BrokenPipeError()])
    def test_what_stops_all(self, error):
        job = cli.Job(parser().parse([]), 'do_it')
        with pytest.raises(type(error)), job.attempt():
            raise error

    def test_warnings_are_said_and_change_nothing(self, capsys):
        def verb(args, job):
            for _ in range(2):
                warn('is odd\x1b[31m', 'a.fits')
            with warnings.catch_warnings():
                warnings.simplefilter('always')
                warnings.warn('of numpy', RuntimeWarning, stacklevel=1)

        assert run(verb) == 0
        line = 'do_it: warning: a.fits: is odd\\x1b[31m\n'
        assert capsys.readouterr().err == line + line + 'do_it: warning: RuntimeWarning: of numpy\n'


class TestTalk:
    def test_verbose_quiet_and_null(self, capsys):
        def verb(args, job):
            job.detail('how it goes')
            job.wrote('a.fits')
            job.wrote(None)

        for argv, out, err in (
            ([], 'a.fits\n', ''),
            (['-v'], 'a.fits\n', 'do_it: how it goes\n'),
            (['-q'], '', ''),
            (['-0'], 'a.fits\0', ''),
        ):
            assert run(verb, *argv) == 0
            assert capsys.readouterr() == (out, err)

    def test_progress(self, capsys):
        def verb(args, job):
            with job.progress(3, 'images') as progress:
                for _ in range(3):
                    progress.step()

        assert run(verb) == 0
        assert capsys.readouterr().err == ''  # it is no terminal
        assert run(verb, '--progress', 'always') == 0
        err = capsys.readouterr().err
        assert '\r3/3 images, ' in err
        assert err.endswith('\n')

    def test_progress_of_nothing(self, capsys):
        with cli.Progress(0, 'images', 'always'):
            pass
        assert capsys.readouterr().err == ''

    def test_no_standard_error(self, monkeypatch):
        monkeypatch.setattr(sys, 'stderr', None)
        cli.complain('do_it', 'nobody listens')
        with cli.Progress(2, 'images', 'always') as progress:
            progress.step(2)

    def test_no_standard_output(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, 'stdout', None)
        assert run(lambda args, job: job.wrote('a.fits')) == 1
        assert capsys.readouterr().err == 'do_it: standard output is closed\n'

    def test_a_full_standard_output_does_not_silence_messages(self, monkeypatch, capsys):
        class Full(io.StringIO):
            def flush(self):
                raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(sys, 'stdout', Full())
        cli.complain('do_it', 'still said')
        assert capsys.readouterr().err == 'do_it: still said\n'

    def test_default_memory(self):
        assert 2**26 < cli.default_memory() < 2**45


PROGRAM = """
import os, signal, sys, time
from fitsutils import cli

def verb(args, job):
    try:
        print('ready', flush=True)
        time.sleep(20)
    finally:
        {cleaning}
        print('cleaned', flush=True)

cli.run(lambda: cli.Parser('do_it', 'x'), verb, [])
"""


class TestSignals:
    @pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    @pytest.mark.parametrize('twice', [False, True])
    def test_cleans_up_then_dies_of_it(self, number, twice):
        cleaning = 'os.kill(os.getpid(), signal.SIGINT)' if twice else 'pass'
        with subprocess.Popen(
            [sys.executable, '-c', PROGRAM.format(cleaning=cleaning)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout.readline() == b'ready\n'
            child.send_signal(number)
            out, err = child.communicate(timeout=15)
        assert (out, err, child.returncode) == (b'cleaned\n', b'', -number)

    def test_one_that_is_ignored_stays_so(self):
        """nohup: a hang-up does not end the work."""
        program = PROGRAM.format(cleaning='pass').replace('sleep(20)', 'sleep(1)')
        program = program.replace('def verb', 'signal.signal(signal.SIGHUP, signal.SIG_IGN)\ndef verb')
        with subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b'ready\n'
            child.send_signal(signal.SIGHUP)
            assert child.communicate(timeout=15)[0] == b'cleaned\n'
        assert child.returncode == 0

    def test_handlers_are_put_back(self):
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        assert run(lambda args, job: None) == 0
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before

    def test_names_come_out_as_bytes(self):
        code = (
            'from fitsutils import cli\ncli.run(lambda: cli.Parser("x", "y"), lambda a, j: j.wrote("\\xe9\\udcff"), [])'
        )
        for settings in ({}, {'LC_ALL': 'C'}, {'PYTHONIOENCODING': 'ascii'}):
            done = subprocess.run([sys.executable, '-c', code], capture_output=True, env={**os.environ, **settings})
            assert (done.stdout, done.stderr) == (b'\xc3\xa9\xff\n', b'')


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which('setpriv') is None, reason='only root can give up root')
def test_a_home_that_may_not_be_read_is_no_obstacle(tmp_path, make_image):
    """astropy looks for its settings there when it is imported."""
    home = tmp_path / 'home'
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    image = make_image(tmp_path / 'a.fits', [[1, 2, 3], [4, 5, 6]])
    powers = '-dac_override,-dac_read_search'
    words = ['setpriv', '--bounding-set', powers, '--inh-caps', powers, sys.executable]
    launcher = Path(__file__).resolve().parents[1] / 'bin' / 'img_stats'
    done = subprocess.run(
        [*words, launcher, image], env={**os.environ, 'HOME': str(home)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, '')


class TestFlushedBehind:
    """Outputs that are begun one after the other, and flushed in threads."""

    def test_what_is_begun_is_finished_in_order(self):
        events = []

        def begin(item):
            events.append(f'begin {item}')
            return 10 * item, lambda: events.append(f'finish {item}')

        assert list(cli.flushed_behind(begin, range(4))) == [(item, 10 * item, None) for item in range(4)]
        assert sorted(events) == sorted(f'{what} {item}' for item in range(4) for what in ('begin', 'finish'))
        assert [event for event in events if event.startswith('begin')] == [f'begin {item}' for item in range(4)]

    def test_no_more_are_begun_than_can_wait(self):
        """Pixels of an image that waits for the disk stay in memory: there are few such."""
        begun, go = [], threading.Event()
        found = cli.flushed_behind(lambda item: (begun.append(item), go.wait), range(9), jobs=2)
        timer = threading.Timer(0.05, go.set)
        timer.start()
        next(found)
        assert len(begun) <= 4
        assert len(list(found)) == 8

    def test_errors_are_given_to_their_item(self):
        def finish():
            raise OSError('full')

        def begin(item):
            if item == 1:
                raise Failure('no')
            return item, finish if item == 2 else lambda: None

        found = list(cli.flushed_behind(begin, range(4)))
        assert [(item, told, error and str(error)) for item, told, error in found] == [
            (0, 0, None), (1, None, 'no'), (2, 2, 'full'), (3, 3, None),
        ]  # fmt: skip

    def test_a_bug_is_no_error_of_an_item(self):
        with pytest.raises(ZeroDivisionError):
            list(cli.flushed_behind(lambda item: (1 / item, None), [0]))
