"""files/lists: names of lists and what they hold."""

import pytest

from fitsutils.errors import Failure
from fitsutils.files import inputs, lists


@pytest.mark.parametrize(('count', 'last'), [(1, 'r.001.list'), (999, 'r.999.list'), (1000, 'r.1000.list')])
def test_names(count, last):
    names = lists.list_names('r', count)
    assert (len(names), names[-1]) == (count, last)
    assert sorted(names) == names


@pytest.mark.parametrize('null', [False, True])
def test_lists_are_read_as_they_were_written(tmp_path, monkeypatch, null):
    monkeypatch.chdir(tmp_path)
    names = ['a.fits', '#b.fits', ' c.fits ', 'd,e.fits', '@f.fits', 'g[1].fits', *(['h\ni.fits'] if null else [])]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / 'x.list').write_text(lists.list_text(names, null=null))
    assert [reference.path for reference in inputs.expand(['@x.list'], null=null)] == names


@pytest.mark.parametrize('name', ['a\nb.fits', 'a.fits\r'])
def test_names_that_lines_do_not_hold(name):
    with pytest.raises(Failure, match='needs --null'):
        lists.list_text(['a.fits', name])


def test_left_over_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('r.001.list', 'r.003.list', 'r.0004.list', 'r.x.list', 'other.005.list', 'r[1].006.list'):
        (tmp_path / name).touch()
    assert lists.left_over('r', ['r.001.list', 'r.002.list']) == ['r.0004.list', 'r.003.list']
    assert lists.left_over('r[1]', []) == ['r[1].006.list']
