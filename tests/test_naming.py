import os

import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import naming


@pytest.mark.parametrize(
    ('name', 'pieces'),
    [
        ('b21.fits', ('b21', '.fits', '')),
        ('b21.fits.gz', ('b21', '.fits', '.gz')),
        ('b21.FIT', ('b21', '.FIT', '')),
        ('b21.fts.fz', ('b21', '.fts', '.fz')),
        ('b21.fz', ('b21', '', '.fz')),
        ('b21.fits.bz2', ('b21', '.fits', '.bz2')),
        ('20210227.0041', ('20210227.0041', '', '')),
        ('notes.txt', ('notes.txt', '', '')),
        ('.fits', ('.fits', '', '')),
        ('', ('', '', '')),
    ],
)
def test_split_suffix(name, pieces):
    assert naming.split_suffix(name) == pieces
    assert ''.join(pieces) == name


@pytest.mark.parametrize(
    ('root', 'name', 'output'),
    [
        ('bsub', '20210227.0041.fit', 'bsub.0041.fit'),
        ('dbsub', 'bsub.0041.fit', 'dbsub.0041.fit'),
        ('out/bsub', 'in/20210227.0041.fit', 'out/bsub.0041.fit'),
        ('b', 'HATP-0042.FITS', 'b.0042.FITS'),
        ('b', 'a.HATP-0042.more.fits', 'b.0042.more.fits'),
        ('b', 'coj2m002-en12-20200321-0021.fits', 'b.0021.fits'),
        ('b', '20210227.0041.fits.gz', 'b.0041.fits'),
        ('b', '0041.fit', 'b.0041.fit'),
        ('b', 'mean_bias.fit', 'b.mean_bias.fit'),
        ('t', 'b21.fits.gz', 't.b21.fits'),
        ('b', 'x.0041.fts.fz', 'b.0041.fts'),
        ('b', 'x.0041', 'b.0041.fits'),
        ('b', 'x-y.fits', 'b.x-y.fits'),
        ('b', 'two words.7.fit', 'b.7.fit'),
    ],
)
def test_root_sequence_number_suffix(root, name, output):
    assert naming.from_root(root, name) == output


class TestOutputNames:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        os.mkdir('there')

    @pytest.mark.parametrize(
        ('inputs', 'output', 'options', 'names'),
        [
            (['a.1.fit'], 'x.fits', {}, ['x.fits']),
            (['a.1.fit'], 'x.FIT.gz', {}, ['x.FIT.gz']),
            (['a.1.fit'], 'x', {}, ['x.1.fit']),
            (['a.1.fit'], 'd/x.fits', {'prefix': 'p_'}, ['d/p_x.fits']),
            (['a.1.fit', 'a.2.fit'], 'x', {}, ['x.1.fit', 'x.2.fit']),
            (['a.1.fit', 'a.2.fit'], 'x.fits,y', {}, ['x.fits', 'y']),
            (['d/a.1.fit', 'e/a.2.fit.gz'], 'there', {}, ['there/a.1.fit', 'there/a.2.fit']),
            (['d/a.1.fit', 'a.fz'], 'new/', {}, ['new/a.1.fit', 'new/a.fits']),
            (['d/a.1.fit'], 'new/', {'prefix': 'p_'}, ['new/p_a.1.fit']),
            (['a.1.fit'], 'd/x', {'prefix': 'p_'}, ['d/p_x.1.fit']),
            (['d/a.1.fit'], None, {'prefix': 'p_'}, ['p_a.1.fit']),
            (['d/a.1.fit'], None, {'default_prefix': 'imar_'}, ['imar_a.1.fit']),
            (['d/a.1.fit'], None, {'default_prefix': 'imar_', 'prefix': 'p'}, ['pa.1.fit']),
            (['a.1.fit'], 'x', {'compress': 'fz'}, ['x.1.fit.fz']),
            (['a.1.fit.gz'], 'there', {'compress': 'gz'}, ['there/a.1.fit.gz']),
            (['a.1.fit'], 'x.fits.gz', {'compress': 'gz'}, ['x.fits.gz']),
        ],
    )
    def test_names(self, inputs, output, options, names):
        assert naming.output_names(inputs, output, **options) == names

    @pytest.mark.parametrize(
        ('inputs', 'output', 'options', 'match'),
        [
            (['a.1.fit', 'a.2.fit'], 'x.fits', {}, 'is one file for 2 images'),
            (['a.1.fit', 'a.2.fit'], 'x,y,z', {}, '-o gives 3 names for 2 images'),
            (['a.1.fit'], None, {}, '-o or --prefix'),
            (['a.1.fit'], 'x.fits', {'compress': 'gz'}, 'do not agree'),
        ],
    )
    def test_usage(self, inputs, output, options, match):
        with pytest.raises(UsageError, match=match):
            naming.output_names(inputs, output, **options)

    @pytest.mark.parametrize(
        ('inputs', 'output'),
        [
            (['a.1.fit', 'b.1.fit'], 'x'),
            (['d/a.1.fit', 'e/a.1.fit'], 'there'),
            (['a.1.fit', 'a.1.fit.gz'], 'new/'),
            (['a.1.fit', 'b.2.fit'], 'x.fits,./x.fits'),
            (['a.1.FIT', 'a.1.fit'], 'x'),
        ],
    )
    def test_two_inputs_for_one_output(self, inputs, output):
        with pytest.raises(Failure, match='would both be written to it') as caught:
            naming.output_names(inputs, output)
        assert inputs[0] in str(caught.value)
        assert inputs[1] in str(caught.value)


@pytest.mark.parametrize(
    ('output', 'compress', 'name'),
    [('x', None, 'x.fits'), ('x.fit', None, 'x.fit'), ('x', 'fz', 'x.fits.fz'), ('x.fits.gz', 'gz', 'x.fits.gz')],
)
def test_one_output(output, compress, name):
    assert naming.one_output(output, compress) == name


def test_one_output_is_no_folder(tmp_path):
    for folder in (str(tmp_path), 'new/'):
        with pytest.raises(UsageError, match='is a folder'):
            naming.one_output(folder)


@pytest.mark.parametrize('template', ['{OBJECT|}/{n}', '{OBJECT|}/etc/{n}', 'a/{OBJECT|}/{n}'])
def test_a_missing_value_chooses_no_folder(template):
    with pytest.raises(Failure, match='a missing value'):
        naming.parse_template(template, '.fit').path('old.fit', 1, 4, lambda key: None)


@pytest.mark.parametrize(
    ('output', 'name', 'times', 'compress', 'wanted'),
    [
        ('dark', 'mean_dark180.fit', [1.0, 2.0], None, ['dark1sec.fit', 'dark2sec.fit']),
        ('out/dark', 'a/b.FIT.gz', [0.5], 'fz', ['out/dark0.5sec.FIT.fz']),
        ('new/', 'a/b.fits.fz', [10.0], None, ['new/b_10sec.fits']),
        ('d', 'noext', [1e-3, 1e6], None, ['d0.001sec.fits', 'd1000000sec.fits']),
        ('one.fits', 'b.fit', [3.0], None, ['one.fits']),
        ('one.fits', 'b.fit', [3.0], 'gz', ['one.fits.gz']),
    ],
)
def test_names_of_exposure_times(output, name, times, compress, wanted):
    assert naming.timed_names(output, name, times, compress) == wanted


def test_one_name_is_not_for_many_times(tmp_path):
    with pytest.raises(UsageError, match='one file for 2 exposure times'):
        naming.timed_names('x.fits', 'b.fit', [1.0, 2.0])
    with pytest.raises(UsageError, match='standard output'):
        naming.timed_names('-', 'b.fit', [1.0])
    assert naming.timed_names(str(tmp_path), 'b.fit', [1.0]) == [str(tmp_path / 'b_1sec.fit')]
