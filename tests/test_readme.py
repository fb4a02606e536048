"""README's console blocks, run in one shell session as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARK = '===='


def steps(text):
    """Commands of the console blocks, each with the output that it must print."""
    found = []
    for block in re.findall(r'^```console\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith('$ '):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return [(command, ''.join(f'{line}\n' for line in lines)) for command, lines in found]


def matches(expected, printed):
    """Whether output is as expected, where ``...`` stands for anything."""
    pattern = '.*?'.join(re.escape(piece) for piece in expected.split('...'))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


@pytest.mark.parametrize(
    ('expected', 'printed', 'wanted'),
    [
        ('a\n', 'a\n', True),
        ('a\n', 'b\n', False),
        ('a ... c\n', 'a b b c\n', True),
        ('', 'x\n', False),
        ('...\n', 'a\nb\n', True),
    ],
)
def test_the_comparison_can_fail(expected, printed, wanted):
    assert matches(expected, printed) is wanted


def test_the_blocks_print_what_they_say(tmp_path):
    todo = steps((ROOT / 'README.md').read_text())
    assert len(todo) > 10
    (tmp_path / 'examples').symlink_to(ROOT / 'examples')
    script = 'exec 2>&1\n' + ''.join(f'{command}\nprintf "\\n%s %s\\n" {MARK} $?\n' for command, _ in todo)
    path = os.pathsep.join([str(ROOT / 'bin'), str(Path(sys.executable).parent), os.environ['PATH']])
    done = subprocess.run(
        ['sh', '-c', f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\n{script}'],
        cwd=tmp_path, env={**os.environ, 'PATH': path, 'LC_ALL': 'C'}, capture_output=True, text=True,
    )  # fmt: skip
    printed = done.stdout.split(f'\n{MARK} ')
    assert len(printed) == len(todo) + 1, done.stdout
    for number, (command, expected) in enumerate(todo):
        text = printed[number].partition('\n')[2] if number else printed[0]
        assert matches(expected, text), f'$ {command}\n{text}\nbut README says\n{expected}'
