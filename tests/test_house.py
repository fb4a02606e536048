"""The house keeps its own rules: what is where, who imports whom, what costs nothing at start-up."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fitsutils

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'fitsutils'
MODULES = sorted(PACKAGE.rglob('*.py'))
COMMANDS = sorted(path.stem for path in (PACKAGE / 'commands').glob('*.py') if path.stem != '__init__')
FLOORS = ('commands', 'files', 'pixels', 'plots', 'steps')
# Which parts of the package a floor may import besides itself.
ALLOWED = {
    'commands': {'cli', 'errors', 'files', 'pixels', 'plots', 'steps'},
    'steps': {'cli', 'errors', 'files', 'pixels'},
    'files': {'errors'},
    'pixels': set(),
    'plots': set(),
    'cli': {'errors'},
    'errors': set(),
    '__init__': set(),
}
FOREIGN = {
    'pixels': {'numpy', 'scipy'},
    'plots': {'numpy', 'matplotlib', 'mpl_toolkits', 'PIL', 'astropy.visualization'},
    'files': {'numpy', 'astropy', 'dateutil'},
    'steps': {'numpy'},
    'commands': set(),
    'cli': set(),
    'errors': set(),
    '__init__': set(),
}


def floor_of(path):
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    return parts[0]


def imported(path):
    """Full names of what a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def console_scripts():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    lines = config['options.entry_points']['console_scripts'].split('\n')
    return dict(line.replace(' ', '').split('=') for line in lines if line.strip())


def test_bin_commands_setup_and_readme_name_the_same():
    assert sorted(path.name for path in (ROOT / 'bin').iterdir()) == COMMANDS
    assert console_scripts() == {name: f'fitsutils.commands.{name}:main' for name in COMMANDS}
    sections = re.findall(r'^## (\w+)$', (ROOT / 'README.md').read_text(), re.MULTILINE)
    assert sorted(sections) == COMMANDS


def test_launchers_differ_by_one_word():
    texts = {path.read_text().replace(f'commands.{path.name} ', 'commands.X ') for path in (ROOT / 'bin').iterdir()}
    assert len(texts) == 1
    assert texts.pop().count('\n') == 7
    assert all(path.stat().st_mode & 0o111 for path in (ROOT / 'bin').iterdir())


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_who_imports_whom(path):
    floor = floor_of(path)
    for name in imported(path):
        top, _, rest = name.partition('.')
        if top == 'fitsutils':
            part = rest.split('.')[0]
            assert part == '__version__' or part == floor or part in ALLOWED[floor], name
        elif top not in sys.stdlib_module_names:
            assert any(name == owner or name.startswith(f'{owner}.') for owner in FOREIGN[floor]), name


def test_there_are_no_circles():
    def module(name):
        parts = name.split('.')
        while parts:
            for path in (ROOT / '/'.join(parts)).with_suffix('.py'), ROOT / '/'.join(parts) / '__init__.py':
                if path in MODULES:
                    return path
            parts.pop()
        return None

    graph = {path: {module(name) for name in imported(path) if name.startswith('fitsutils.')} for path in MODULES}
    # An __init__ that only loads submodules lazily stands in nobody's way.
    state = {}

    def visit(path, trail):
        assert state.get(path) != 'open', ' -> '.join(str(step.relative_to(ROOT)) for step in (*trail, path))
        if path in state or path is None or path.name == '__init__.py':
            return
        state[path] = 'open'
        for other in graph[path] - {path}:
            visit(other, (*trail, path))
        state[path] = 'done'

    for path in MODULES:
        visit(path, ())


def python(code):
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pixels_never_loads_astropy_io():
    names = [f'fitsutils.pixels.{path.stem}' for path in (PACKAGE / 'pixels').glob('[a-z]*.py')]
    assert python(f'import sys, {", ".join(names)}; print("astropy.io" in sys.modules)') == 'False\n'


@pytest.mark.parametrize('name', COMMANDS)
@pytest.mark.parametrize(('word', 'status'), [('--help', 0), ('--version', 0), ('--no-such-option', 2)])
def test_help_version_and_usage_errors_do_not_wait_for_numpy(name, word, status):
    code = (
        f'import contextlib, io, sys\nfrom fitsutils.commands.{name} import main\n'
        'with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n'
        f'    status = main([{word!r}])\n'
        'print(status, [name for name in ("numpy", "astropy", "scipy", "matplotlib") if name in sys.modules])'
    )
    assert python(code) == f'{status} []\n'


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('combine_fits', ['a.fits', 'b.fits', '-m', 'mean', '-c', 'sigma', '-n', 'median', '-o', 'out.fits']),
        ('combine_fits', ['a.fits', 'b.fits', '--check', 'n == 2 and level > 1 and std < 1', '-o', 'out.fits']),
        ('img_arith', ['a.fits', 'b.fits', '-', 'a.fits', '--prefix', 'x_']),
        ('img_arith', ['--pairs', 'list', '/', '--prefix', 'x_']),
        ('img_stats', ['a.fits', 'b.fits', '-s', 'mean,median']),
        ('img_stats', ['a.fits', 'b.fits', '--where', 'q50 == 9 and DATE-OBS > 2021-02-27']),
        ('img_group', ['a.fits', 'b.fits', '--by', 'OBJECT', '--span', '1h', '--night']),
        ('img_log', ['a.fits', 'b.fits']),
        ('img_log', ['a.fits', 'b.fits', '--names', '--where', 'mean > 5 and OBJECT ~ /m 1/i and EXPTIME == 60']),
        ('img_match', ['a.fits', '--to', 'b.fits', '--by', 'OBJECT']),
        ('img_hedit', ['a.fits', 'b.fits', 'OBJECT=M 2', 'EXPTIME=61', 'N=5', '--in-place']),
        (
            'img_mask',
            ['a.fits', '--lit', '0.5', '--hot', '5', '--above', '50', '--region', 'circle(2,2,1)', '-o', 'out.fits'],
        ),
        ('img_rename', ['a.fits', 'b.fits']),
        ('fit_dark', ['a.fits', 'b.fits', '-k', 'DARKTIME', '--like', 'a.fits', '--bias-free', '-o', 'out']),
        ('sub_dark', ['a.fits', '--dark', 'b.fits', '-o', 'out.fits']),
    ],
)
def test_plain_frames_do_not_wait_for_astropy(tmp_path, make_image, name, words):
    for place, stem in enumerate('ab'):
        date = f'2021-02-27T0{place}:00:00'
        cards = {'DATE__OBS': date, 'OBJECT': 'M 1', 'EXPTIME': 60.0, 'DARKTIME': 30.0 + place}
        make_image(tmp_path / f'{stem}.fits', np.full((5, 7), 9, 'u2'), **cards)
    (tmp_path / 'list').write_text('a.fits b.fits\n')
    code = (
        f'import os, sys\nos.chdir({str(tmp_path)!r})\nfrom fitsutils.commands.{name} import main\n'
        f'status = main({words!r})\n'
        'print(status, [name for name in ("astropy", "scipy", "matplotlib") if name in sys.modules])'
    )
    assert python(code).endswith('0 []\n')


def test_fits_files_are_opened_in_files_only():
    users = {floor_of(path) for path in MODULES if 'fits.open' in path.read_text()}
    assert users <= {'files'}


def test_every_lazy_submodule_is_named():
    for floor in FLOORS[1:]:
        package = __import__(f'fitsutils.{floor}', fromlist=['__all__'])
        assert sorted(package.__all__) == sorted(path.stem for path in (PACKAGE / floor).glob('[a-z]*.py'))


def test_the_version_stands_in_one_place():
    # 0.1.0 may be in texts that speak of other things; as our version it is written once.
    lines = [
        line
        for path in [*MODULES, ROOT / 'setup.cfg', ROOT / 'pyproject.toml']
        for line in path.read_text().splitlines()
    ]
    assert [line for line in lines if fitsutils.__version__ in line] == [f"__version__ = '{fitsutils.__version__}'"]


def test_the_changelog_begins_with_what_is_unreleased():
    lines = [line for line in (ROOT / 'CHANGELOG.md').read_text().splitlines() if line]
    assert lines[:2] == ['# Changelog', '## Unreleased']


@pytest.mark.parametrize('name', COMMANDS)
def test_the_readme_shows_every_command(name):
    section = (ROOT / 'README.md').read_text().split(f'\n## {name}\n')[1].split('\n## ')[0]
    assert f'$ {name} ' in section
