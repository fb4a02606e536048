import itertools
import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, UsageError
from fitsutils.files import renaming
from fitsutils.files.naming import parse_template, safe_word
from fitsutils.files.renaming import Move

NASTY = [
    'a b.fit',
    "it's.fit",
    '"q".fit',
    '-rf.fit',
    '$(touch made).fit',
    '`id`.fit',
    'new\nline.fit',
    'tab\t.fit',
    os.fsdecode(b'\xff\xfe.fit'),
    '[1].fit',
    'é.fit',
    'back\\slash.fit',
    'ends in newline\n',
    ' lead.fit',
    '#hash.fit',
    '~',
    '@list.fit',
    'a,b.fit',
    '\x1b[31mred.fit',
    'back',
    'skip',
    '--',
    '-',
    '!x',
    'a;b&c|d>e<f(g)',
    '*',
    '?.fit',
    '\u202ebidi.fit',
    'x' * 251 + '.fit',
]
SHELLS = [shell for shell in ('sh', 'bash') if shutil.which(shell)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / 'night').mkdir()
    monkeypatch.chdir(tmp_path / 'night')
    return tmp_path / 'night'


def fill(names):
    for number, name in enumerate(names):
        with open(name, 'wb') as file:
            file.write(b'%d\n' % number)


def contents(folder='.'):
    """Bytes of all files but the logs and scripts, by name."""
    found = {}
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not name.endswith(('.log', '_undo.sh')):
            with open(path, 'rb') as file:
                found[name] = file.read()
    return found


def do(moves, deed='rename', log='L'):
    """All that the command does between the plan and the printing."""
    return list(renaming.carry_out(renaming.planned(list(moves), deed, log)))


def undo(log='L.log'):
    return list(renaming.take_back(log, renaming.way_back(renaming.read_log(log))))


def run_script(script='L_undo.sh', shell='sh', cwd='/'):
    return subprocess.run([shell, os.path.abspath(script)], cwd=cwd, capture_output=True)


@given(st.permutations(range(7)), st.integers(0, 4), st.integers(0, 3))
def test_order_finds_every_name_free_and_ends_where_the_plan_says(order, moved, shift):
    moves = [Move(f'f{old}', f'f{new + shift}') for old, new in list(enumerate(order))[moved:]]
    held = {f'f{number}': number for number in range(7)}
    moves = [move for move in moves if move.old != move.new]
    kept = {name for name in held if name not in {move.old for move in moves}}
    if kept & {move.new for move in moves}:
        return  # check refuses it
    expected = {move.new: held[move.old] for move in moves} | {name: held[name] for name in kept}
    for step in renaming.in_order(moves):
        assert step.new not in held
        held[step.new] = held.pop(step.old)
    assert held == expected


def test_only_circles_take_a_detour():
    steps = renaming.in_order([Move('a', 'b'), Move('b', 'a'), Move('c', 'd'), Move('d', 'e')])
    assert [(step.old, step.new) for step in steps] == [
        ('a', '.renaming-0'), ('b', 'a'), ('.renaming-0', 'b'), ('d', 'e'), ('c', 'd'),
    ]  # fmt: skip


def test_a_spare_name_that_exists_is_not_taken():
    fill(['a', 'b', '.renaming-0', '.renaming-1'])
    do([Move('a', 'b'), Move('b', 'a')])
    assert contents() == {'a': b'1\n', 'b': b'0\n', '.renaming-0': b'2\n', '.renaming-1': b'3\n'}


@pytest.mark.parametrize(
    ('moves', 'message'),
    [
        ([('a', 'x'), ('a', 'y')], 'a: is given twice'),
        ([('a', 'x'), ('./a', 'y')], './a: is given twice, also as a'),
        ([('a', 'x'), ('../link/a', 'y')], '../link/a: is given twice, also as a'),
        ([('a', 'x'), ('b', 'x')], 'a: this and b would both become x'),
        ([('a', 'x'), ('b', './x')], 'a: this and b would both become'),
        ([('a', 'M31'), ('b', 'm31')], 'M31 and m31, which some systems do not tell apart'),
        ([('a', 'é'), ('b', unicodedata.normalize('NFD', 'é'))], 'which some systems do not tell apart'),
        ([('a', 'b'), ('c', 'd')], 'a: b exists and is not overwritten'),
        ([('a', 'dangling')], 'a: dangling exists and is not overwritten'),
        ([('a', 'folder')], 'a: folder exists and is not overwritten'),
        ([('a', 'b'), ('b', 'c'), ('c', 'folder')], 'c: folder exists'),
        ([('a', 'A'), ('b', 'a')], 'would both become'),
        ([('a', 'c/x')], 'c/x: c is not a folder'),
        ([('a', 'c/d/x')], 'c is not a folder'),
        ([('a', 'L.log')], 'a: L.log exists'),
    ],
)
def test_the_plan_is_refused(moves, message, tmp_path):
    fill('abc')
    os.mkdir('folder')
    os.symlink('nowhere', 'dangling')
    os.symlink('night', tmp_path / 'link')
    with pytest.raises(Failure) as caught:
        do([Move(*move) for move in moves])
    assert message in str(caught.value)
    assert contents() == {'a': b'0\n', 'b': b'1\n', 'c': b'2\n'}
    assert not os.path.exists('L.log')


def test_names_that_differ_by_case_only_may_follow_one_another():
    fill('ab')
    do([Move('a', 'A')])
    assert contents() == {'A': b'0\n', 'b': b'1\n'}


def test_files_that_have_their_names_already_are_left_alone_and_guard_them():
    fill('ab')
    assert renaming.check([Move('a', './a'), Move('b', 'c')]) == [Move('b', 'c')]
    with pytest.raises(Failure, match='would both become'):
        renaming.check([Move('a', 'a'), Move('b', 'a')])


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_is_not_writable_is_found_before_anything_moves():
    os.makedirs('locked')
    fill(['a', 'locked/b'])
    os.chmod('locked', 0o500)
    try:
        for moves in ([Move('a', 'x'), Move('locked/b', 'locked/y')], [Move('a', 'locked/deep/x')]):
            with pytest.raises(Failure, match='not writable'):
                do(moves)
    finally:
        os.chmod('locked', 0o700)
    assert os.path.exists('a')


@pytest.mark.skipif(not os.path.isdir('/dev/shm'), reason='needs a second file system')
def test_another_file_system_is_found_before_anything_moves():
    fill('ab')
    if os.stat('/dev/shm').st_dev == os.stat('.').st_dev:
        pytest.skip('needs a second file system')
    with pytest.raises(Failure, match='another file system'):
        do([Move('a', 'x'), Move('b', '/dev/shm/fitsutils-test-x')])
    assert contents() == {'a': b'0\n', 'b': b'1\n'}


@pytest.mark.parametrize('shell', SHELLS)
@pytest.mark.parametrize('log', ['L', "logs of it's/L", '{abs}/M'])
def test_the_script_undoes_nasty_names_from_any_folder(shell, log, tmp_path):
    os.mkdir("logs of it's")
    fill(NASTY)
    before = contents()
    log = log.replace('{abs}', str(tmp_path))
    do([Move(name, f'new/{number} {name}'[:200]) for number, name in enumerate(NASTY)], log=log)
    assert contents() == {}
    assert len(contents('new')) == len(NASTY)
    done = run_script(f'{log}_undo.sh', shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')
    assert contents() == before
    assert contents('new') == {}
    assert not os.path.exists('made')


def test_the_script_works_in_a_folder_with_a_nasty_name(tmp_path, monkeypatch):
    folder = tmp_path / '-it\'s {log} "$(x)"\n %s\\ '
    folder.mkdir()
    monkeypatch.chdir(folder)
    fill('ab')
    do([Move('a', 'b'), Move('b', 'a')])
    assert run_script().returncode == 0
    assert contents() == {'a': b'0\n', 'b': b'1\n'}


def test_the_log_undoes_nasty_names_from_any_folder(monkeypatch):
    fill(NASTY)
    before = contents()
    do([Move(name, f'{number}') for number, name in enumerate(NASTY)])
    assert len(Path('L.log').read_bytes().splitlines()) == len(NASTY)
    folder = os.getcwd()
    monkeypatch.chdir('/')
    undo(os.path.join(folder, 'L.log'))
    assert contents(folder) == before
    assert undo(os.path.join(folder, 'L.log')) == []


def test_the_log_says_what_happened(tmp_path):
    fill(['a b', 'c\td'])
    do([Move('a b', 'x'), Move('c\td', 'y')])
    assert Path('L.log').read_text() == 'a b\tx\trenamed\nc\\x09d\ty\trenamed\n'
    do([Move('x', 'z')], log=str(tmp_path / 'M'))
    assert (tmp_path / 'M.log').read_text() == f'{tmp_path}/night/x\t{tmp_path}/night/z\trenamed\n'


def test_the_script_overwrites_nothing_and_does_the_rest():
    fill('abc')
    do([Move('a', 'x'), Move('b', 'y'), Move('c', 'z')])
    fill(['b'])
    os.remove('z')
    done = run_script()
    assert done.returncode == 1
    assert done.stderr == b'./z: is not there\n./b: exists and is not overwritten\n'
    assert contents() == {'a': b'0\n', 'b': b'0\n', 'y': b'1\n'}


def test_the_script_sends_no_escape_sequence_to_the_terminal():
    fill(['\x1b]0;title\x07\n'])
    do([Move('\x1b]0;title\x07\n', 'x')])
    os.rename('x', '\x1b]0;title\x07\n')
    os.symlink('nowhere', 'x')
    assert run_script().stderr == b'./?]0;title??: exists and is not overwritten\n'


def test_the_way_back_is_refused_as_a_whole():
    fill('abc')
    do([Move('a', 'x'), Move('b', 'y'), Move('c', 'z')])
    fill(['a'])
    with pytest.raises(Failure, match='x: can not get its old name back: a exists'):
        undo()
    os.remove('a')
    os.remove('z')
    with pytest.raises(Failure, match='z: is gone, and so is c'):
        undo()
    assert contents() == {'x': b'0\n', 'y': b'1\n'}


def circle_chain_and_plain():
    fill('abcdefg')
    return [
        Move('a', 'b'),
        Move('b', 'c'),
        Move('c', 'a'),
        Move('d', 'e'),
        Move('e', 'deep/f'),
        Move('f', 'g'),
        Move('g', 'h'),
    ]


@pytest.mark.parametrize('way', ['script', 'log'])
@pytest.mark.parametrize(
    'what', [OSError(5, 'Input/output error'), KeyboardInterrupt()], ids=['failure', 'interruption']
)
def test_whatever_the_rename_that_fails_the_rest_can_be_undone(way, what, monkeypatch):
    moves = circle_chain_and_plain()
    before, rename = contents(), os.rename
    for failing in itertools.count():
        calls = itertools.count()

        def failing_rename(old, new, calls=calls, failing=failing):
            if next(calls) == failing:
                raise what
            rename(old, new)

        monkeypatch.setattr(os, 'rename', failing_rename)
        try:
            do(moves, log=f'L{failing}')
            break
        except (Failure, KeyboardInterrupt) as error:
            said = str(error)
        finally:
            monkeypatch.setattr(os, 'rename', rename)
        states = [entry.state for entry in renaming.read_log(f'L{failing}.log')]
        now = 'failed' if isinstance(what, OSError) else 'renamed'
        assert now == 'renamed' or f'Input/output error; {failing} of 8 were renamed' in said
        assert states == ['renamed'] * failing + [now] + ['planned'] * (7 - failing)
        if way == 'log':
            undo(f'L{failing}.log')
        else:
            done = run_script(f'L{failing}_undo.sh')
            assert done.returncode == (0 if isinstance(what, OSError) else 1)  # the interrupted one is not there
        assert contents() == before
    assert failing == 8


@pytest.mark.parametrize('call', ['open', 'write', 'fsync', 'pwrite', 'makedirs', 'close'])
def test_no_file_is_lost_whatever_call_of_the_system_fails(call, monkeypatch):
    moves = circle_chain_and_plain()
    before, real = contents(), getattr(os, call)
    for failing in itertools.count():
        calls = itertools.count()

        def full(*args, calls=calls, failing=failing, **options):
            done = real(*args, **options) if call == 'close' else None
            if next(calls) == failing:
                raise OSError(28, 'No space left on device')
            return done if call == 'close' else real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            said = ''
            try:
                do(moves, log=f'L{failing}')
            except (Failure, OSError) as error:
                said = str(error)
        assert sorted([*contents().values(), *(contents('deep').values() if os.path.isdir('deep') else [])]) == sorted(
            before.values()
        )
        if os.path.exists(f'L{failing}.log'):
            assert run_script(f'L{failing}_undo.sh').returncode == 0
        else:
            assert not os.path.exists(f'L{failing}_undo.sh')
        assert contents() == before
        if not said:
            break
        assert 'No space left on device' in said
    assert failing > 0


def test_a_name_that_turns_up_meanwhile_is_not_overwritten(monkeypatch):
    fill('ab')
    rename = os.rename

    def meddled(old, new):
        rename(old, new)
        with open('y', 'w') as file:
            file.write('new')

    monkeypatch.setattr(os, 'rename', meddled)
    with pytest.raises(
        Failure,
        match=r'b: can not become y: it exists and is not overwritten; 1 of 2 were renamed; sh L_undo\.sh undoes it',
    ):
        do([Move('a', 'x'), Move('b', 'y')])
    assert contents() == {'x': b'0\n', 'b': b'1\n', 'y': b'new'}


def test_existing_logs_are_not_overwritten():
    for name in ('L.log', 'L.1_undo.sh', 'L.2.log'):
        fill([name])
    assert renaming.free_names('L') == renaming.free_names('L.log') == ('L.3.log', 'L.3_undo.sh')
    with pytest.raises(Failure, match='folder for the log'):
        renaming.free_names('nowhere/L')


def test_copies_are_whole_and_leave_the_originals():
    fill('ab')
    os.chmod('a', 0o640)
    os.utime('a', ns=(10**18, 10**18 + 7))
    do([Move('a', 'raw/x'), Move('b', 'raw/y')], 'copy')
    assert contents() == {'a': b'0\n', 'b': b'1\n'}
    assert contents('raw') == {'x': b'0\n', 'y': b'1\n'}
    status = os.stat('raw/x')
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 10**18 + 7)
    assert [entry.state for entry in renaming.read_log('L.log')] == ['copied', 'copied']


def test_an_original_that_grows_while_it_is_copied_is_an_error(monkeypatch):
    fill('a')
    copy = shutil.copyfileobj

    def slow(source, target, length):
        copy(source, target, length)
        with open('a', 'ab') as file:
            file.write(b'more')

    monkeypatch.setattr(shutil, 'copyfileobj', slow)
    with pytest.raises(Failure, match='it has changed while it was copied'):
        do([Move('a', 'x')], 'copy')
    assert not os.path.exists('x')


@pytest.mark.parametrize('shell', SHELLS)
def test_links_are_symbolic_and_absolute(shell):
    fill(NASTY)
    before = contents()
    do([Move(name, f'd/{number}') for number, name in enumerate(NASTY)], 'link')
    assert contents() == before
    assert list(contents('d')) != []
    assert os.readlink('d/0') == os.path.abspath(NASTY[0])
    assert run_script(shell=shell).returncode == 0
    assert contents() == before
    assert os.listdir('d') == []


@pytest.mark.parametrize('way', ['script', 'log'])
def test_only_what_is_there_twice_is_removed(way):
    fill('abcd')
    do([Move(name, f'out/{name}') for name in 'ab'], 'copy')
    do([Move(name, f'out/{name}') for name in 'cd'], 'link', log='M')
    for name in 'ad':
        os.remove(f'out/{name}')
        fill([f'out/{name}'])
        with open(f'out/{name}', 'a') as file:
            file.write('mine')
    if way == 'script':
        assert run_script().returncode == run_script('M_undo.sh').returncode == 1
        assert sorted(os.listdir('out')) == ['a', 'd']
    else:
        for log in ('L.log', 'M.log'):
            with pytest.raises(Failure, match=r'out/a: differs|out/d: is not the link'):
                undo(log)
        assert sorted(os.listdir('out')) == ['a', 'b', 'c', 'd']
    assert sorted(contents()) == ['a', 'b', 'c', 'd']


def test_copies_and_links_are_taken_back():
    fill('ab')
    do([Move('a', 'd/x')], 'copy')
    do([Move('b', 'd/y')], 'link', log='M')
    undo('L.log')
    undo('M.log')
    assert os.listdir('d') == []
    assert contents() == {'a': b'0\n', 'b': b'1\n'}


@given(st.binary(min_size=1).filter(lambda name: b'\0' not in name and b'/' not in name))
def test_a_name_in_the_log_reads_back(name):
    text = renaming.escaped(os.fsdecode(name))
    assert text.isprintable()
    assert '\t' not in text
    assert os.fsencode(renaming.unescaped(text)) == name


@pytest.mark.parametrize('text', ['a\n', 'a\tb\n', 'a\tb\trenamed', 'a\tb\tc\trenamed\n', 'a\tb\tmoved\n'])
def test_what_is_no_log_is_refused(text):
    with open('L.log', 'w') as file:
        file.write('x\ty\trenamed\n' + text)
    with pytest.raises(Failure, match=r'L\.log: line 2 is not a line of an img_rename log'):
        renaming.read_log('L.log')


@given(st.one_of(st.text(max_size=300), st.integers(), st.floats(), st.booleans(), st.datetimes()))
def test_a_safe_word_is_safe(value):
    word = safe_word(value)
    assert len(word) <= 100
    assert set(word) <= set('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-')
    assert not word.startswith(('.', '-'))
    assert safe_word(word) == word


@pytest.mark.parametrize(
    ('value', 'word'),
    [
        ('../../x', 'x'),
        ('/etc/x', 'etc_x'),
        ('-rf', 'rf'),
        ('$(x)', 'x'),
        ('a;b', 'a_b'),
        ('', ''),
        ('.', ''),
        ('..', ''),
        ('x' * 10_000, 'x' * 100),
        ('NGC 1976', 'NGC_1976'),
        (60.0, '60.0'),
        (-10, 'm10'),
        ('-10.5', 'm10.5'),
        (True, 'T'),
        ('a\x1b[31mb', 'a_31mb'),
        ('~/x', 'x'),
        ('\u202ea', 'a'),
        ('V+R', 'V+R'),
        (1e-5, '1e-05'),
        ('-x', 'x'),
    ],
)
def test_header_values_become_words(value, word):
    assert safe_word(value) == word


VALUES = {
    'OBJECT': 'M 1',
    'EXPTIME': 60.0,
    'T': -10.0,
    'BAD': '/',
    'DATE-OBS': '2021-02-27T01:02:03',
    'N': 3,
    'LONG': 'x' * 99,
}


@pytest.mark.parametrize(
    ('root', 'path'),
    [
        ('20210227.', '20210227.0007.fit'),
        ('bias', 'bias0007.fit'),
        ('', '0007.fit'),
        ('out/', 'out/0007.fit'),
        ('{OBJECT}_{FILTER|none}_{EXPTIME:g}_{n:04d}', 'M_1_none_60_0007.fit'),
        ('{object}', 'M_1_0007.fit'),
        ('{OBJECT}.', 'M_1.0007.fit'),
        ('{n}{OBJECT}.fits', '0007M_1.fits'),
        ('m31.fits', 'm310007.fits'),
        ('{{{n:2}}}', '{07}.fit'),
        ('{N:03d}{n}', '0030007.fit'),
        ('{T:.1f}-', 'm10.0-0007.fit'),
        ('{BAD|x}{n}', 'x0007.fit'),
        ('{DATE-OBS:.10}/{n}', '2021-02-27/0007.fit'),
        ('{EXPTIME:05d}-', '00060-0007.fit'),
        ('{OBJECT:.1s}-', 'M-0007.fit'),
        ('{OBJECT:s}-{EXPTIME:6.1f}-', 'M_1-60.0-0007.fit'),
        ('{X|}{n}', '0007.fit'),
        ('../{n}', '../0007.fit'),
    ],
)
def test_templates(root, path):
    assert parse_template(root).path('old.fit', 7, 4, VALUES.get) == path


@pytest.mark.parametrize(
    'root',
    [
        '{',
        '}',
        'x{',
        '{}',
        '{OBJECT.__class__}',
        '{OBJECT!r}',
        '{X[0]}',
        '{X:>10}',
        '{X:,}',
        '{n:.1f}',
        '{n|3}',
        '{X|a:b}',
        '{X|a/b}',
        '{X:100000000d}',
        '{n}/',
        '{X/Y}',
        '{X:{n}}',
    ],
)
def test_what_is_no_template_is_a_usage_error(root):
    with pytest.raises(UsageError):
        parse_template(root)


@pytest.mark.parametrize(
    ('root', 'message'),
    [
        ('{NONE}', 'old.fit: NONE has no value; {NONE|WORD} puts WORD there'),
        ('{BAD}', "old.fit: BAD = '/' leaves nothing for a name"),
        ('{OBJECT:.1f}', "OBJECT = 'M 1' is not a number, as {OBJECT:.1f} wants"),
        ('{EXPTIME:d}', None),
        ('{LONG}{LONG}{LONG}', 'more than 255 bytes'),
        ('é' * 124 + '{n}', 'more than 255 bytes'),
    ],
)
def test_values_that_do_not_fit_are_named(root, message):
    template = parse_template(root)
    if message is None:
        with pytest.raises(Failure, match='is not an integer'):
            template.path('old.fit', 7, 4, {'EXPTIME': 1.5}.get)
        return
    with pytest.raises(Failure) as caught:
        template.path('old.fit', 7, 4, VALUES.get)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ('old', 'tail', 'new'),
    [
        ('a.fits', None, 'r0001.fit'),
        ('a.fits.gz', None, 'r0001.fit.gz'),
        ('d/a.FIT.FZ', None, 'd/r0001.fit.FZ'),
        ('a.fit.bz2', '.fts', 'r0001.fts.bz2'),
        ('a.fits.gz', '.fit.gz', 'r0001.fit.gz'),
        ('a', '_x', 'r0001_x'),
        ('/abs/a.fit', '', '/abs/r0001'),
    ],
)
def test_the_tail_keeps_a_compression_suffix(old, tail, new):
    assert parse_template('r', tail).path(old, 1, 4, {}.get) == new


def test_tails_that_do_not_fit():
    with pytest.raises(Failure, match=r'a.fit: it is not packed as the tail .fit.gz says'):
        parse_template('r', '.fit.gz').path('a.fit', 1, 4, {}.get)
    for root, tail in (('r.fits', '.fit'), ('r', 'x/y.fit')):
        with pytest.raises(UsageError):
            parse_template(root, tail)
