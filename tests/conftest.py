"""Fixtures that all tests share, and the option ``--all``."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from astropy.io import fits

from fitsutils.files import naming, output, reader

DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'
FITSVERIFY = shutil.which('fitsverify')

# The same examples every time: a test that fails does so for everybody. --all looks at more of them.
_COMMON = {
    'deadline': None,
    'derandomize': True,
    'database': None,
    'suppress_health_check': [hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile('quick', max_examples=40, **_COMMON)
hypothesis.settings.register_profile('all', max_examples=400, **_COMMON)


def pytest_addoption(parser):
    parser.addoption('--all', action='store_true', help='run the tests marked long too')


def pytest_configure(config):
    config.addinivalue_line('markers', 'unverified: writes files on purpose that break the FITS standard')
    hypothesis.settings.load_profile('all' if config.getoption('--all') else 'quick')


def pytest_collection_modifyitems(config, items):
    if config.getoption('--all'):
        return
    long = [item for item in items if item.get_closest_marker('long')]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if not item.get_closest_marker('long')]


def pytest_terminal_summary(terminalreporter):
    if FITSVERIFY is None:
        terminalreporter.write_line('fitsverify is not installed: the FITS files that tests wrote were not checked')


def standard_errors(path):
    """What fitsverify finds wrong with a file; nothing where the program is missing."""
    if FITSVERIFY is None:
        return ''
    # cfitsio takes brackets, parentheses and + in a name for its own syntax: it sees a plain one.
    with tempfile.TemporaryDirectory(prefix='verify-') as folder:
        link = os.path.join(folder, 'x.fits')
        os.symlink(os.path.abspath(path), link)
        done = subprocess.run([FITSVERIFY, '-e', link], capture_output=True, text=True, errors='replace')
    return '' if done.returncode == 0 else f'{path}:\n{done.stdout}{done.stderr}'


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """What a user's shell may have set and tests do not expect."""
    for name in ('SOURCE_DATE_EPOCH', 'PYTHONWARNINGS', 'PYTHONUNBUFFERED', 'COLUMNS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('MPLBACKEND', 'Agg')


@pytest.fixture(autouse=True)
def verified(request, monkeypatch):
    """Every FITS file that a test writes in process through files/output passes fitsverify."""
    written = {}
    complete_file = output.complete_file

    @contextlib.contextmanager
    def noting(path):
        with complete_file(path) as file:
            yield file
        if naming.is_fits_name(path):
            written[os.path.realpath(path)] = None

    monkeypatch.setattr(output, 'complete_file', noting)
    yield
    if not request.node.get_closest_marker('unverified'):
        wrong = [errors for path in written if os.path.isfile(path) and (errors := standard_errors(path))]
        assert not wrong, '\n'.join(wrong)


@pytest.fixture
def verify():
    """A function that asserts that files, written by another process for instance, pass fitsverify."""

    def check(*paths):
        wrong = [errors for path in paths if (errors := standard_errors(path))]
        assert not wrong, '\n'.join(wrong)

    return check


@pytest.fixture
def data():
    """The folder with real observations beside the checkout."""
    if not DATA.is_dir():
        pytest.skip('there are no real observations beside the checkout')
    return DATA


@pytest.fixture
def make_image():
    """A function ``make_image(path, array, **cards)`` that writes an image with astropy; gives the path as text.

    Two underscores in a keyword stand for a dash: ``DATE__OBS``.
    """

    def make(path, array, **cards):
        header = fits.Header()
        for keyword, value in cards.items():
            header[keyword.replace('__', '-')] = value
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            fits.PrimaryHDU(np.asarray(array), header).writeto(path, overwrite=True)
        return str(path)

    return make


@pytest.fixture
def raw_image():
    """A function ``raw_image(path, *cards)`` that writes a frame of 6 x 5 pixels with these cards as they stand."""

    def make(path, *cards):
        lines = [f'{key:8}= {value:>20}' for key, value in
                 (('SIMPLE', 'T'), ('BITPIX', '16'), ('NAXIS', '2'), ('NAXIS1', '6'), ('NAXIS2', '5'))]  # fmt: skip
        text = ''.join(line.ljust(80) for line in (*lines, *cards, 'END'))
        data = np.arange(30, dtype='>i2').tobytes()
        Path(path).write_bytes(text.encode('latin-1').ljust(-(-len(text) // 2880) * 2880) + data.ljust(2880, b'\0'))

    return make


@pytest.fixture
def pixels_of():
    """A function that gives all pixels of a file through the reader."""

    def read(path, hdu=None, region=None):
        return reader.read_pixels(reader.open_image(reader.Reference(str(path)), hdu, region))

    return read
