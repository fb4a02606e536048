"""files/makefile: a fragment that GNU make runs as it stands."""

import shutil
import subprocess

import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import makefile

MAKE = shutil.which('make')
with_make = pytest.mark.skipif(MAKE is None, reason='there is no make')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('b1.fits', 'b2.fits', 'b3.fits'):
        (tmp_path / name).touch()
    (tmp_path / 'GNUmakefile').write_text(
        makefile.fragment([['b1.fits', 'b2.fits'], ['b3.fits']], ['two', 'one \\'], 'bias', 'some')
    )
    return tmp_path


def make(*words):
    done = subprocess.run([MAKE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@with_make
def test_every_group_makes_a_master(folder):
    assert [line for line in make('-n') if line.startswith('combine')] == [
        'combine_fits -m median -f -o bias_b1.fits b1.fits b2.fits',
        'combine_fits -m median -f -o bias_b3.fits b3.fits',
    ]


@with_make
def test_only_what_is_out_of_date_is_made_again(folder):
    words = ['bias_combine=./combine', 'bias_root=made/x_']
    (folder / 'combine').write_text('#!/bin/sh\nshift 2\necho "$@" >"$1"\n')
    (folder / 'combine').chmod(0o755)
    make('-j2', *words)
    assert (folder / 'made' / 'x_b1.fits').read_text() == 'made/x_b1.fits b1.fits b2.fits\n'
    assert 'Nothing to be done' in make(*words)[0]
    (folder / 'made' / 'x_b3.fits').unlink()
    assert [line for line in make(*words) if 'combine' in line] == ['./combine -f -o made/x_b3.fits b3.fits']


@with_make
def test_fragments_of_several_kinds_go_into_one_makefile(folder):
    for name in ('flat', 'dark-1'):
        (folder / f'{name}.mk').write_text(makefile.fragment([['b1.fits']], ['one'], name, 'some'))
    (folder / 'GNUmakefile').write_text(
        'all: flat dark-1\nflat_combine = combine_fits -m mean\ninclude flat.mk\ninclude dark-1.mk\n'
    )
    assert [line for line in make('-n') if line.startswith('combine')] == [
        'combine_fits -m mean -f -o flat_b1.fits b1.fits',
        'combine_fits -m median -f -o dark-1_b1.fits b1.fits',
    ]


@pytest.mark.parametrize(
    ('firsts', 'wanted'),
    [
        (['a.fits', 'b.fit.gz'], ['a', 'b']),
        (['n1/a.fits', 'n2/a.fits', 'b.fits'], ['n1_a', 'n2_a', 'b']),
        (['n1/a.fits', 'n1/a.fit'], ['n1_a_1', 'n1_a_2']),
        (['a.fits', 'A.fits'], ['a_1', 'A_2']),
        (['../raw/a.fits'], ['a']),
    ],
)
def test_masters_are_named_after_first_frames(firsts, wanted):
    text = makefile.fragment([[path] for path in firsts], firsts, 'g', '')
    assert [line.split(')')[1].rstrip(' \\') for line in text.splitlines() if line.startswith('  $(g_root)')] == [
        f'{name}.fits' for name in wanted
    ]


@pytest.mark.parametrize(
    'name', ['a b.fits', 'a$b.fits', 'a:b.fits', 'a#b', "a'b", 'a%b', 'a*', 'a=b', 'a\nb', 'a[1]', '~a', '-a']
)
def test_names_that_make_does_not_take(name):
    with pytest.raises(Failure, match='a name in a Makefile can not'):
        makefile.fragment([['a.fits', name]], [''], 'g', '')


@pytest.mark.parametrize('name', ['', '1x', 'a b', 'a$', 'a.b', 'a\n'])
def test_names_of_groups(name):
    with pytest.raises(UsageError, match='a letter first'):
        makefile.check_name(name)
    makefile.check_name('bias-1_x')
