"""files/output: what must not be written is refused, and texts are written whole."""

import os

import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import output as outputs


class TestCheckOutputs:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ('in.fits', 'old.fits'):
            (tmp_path / name).write_bytes(b'x')
        os.symlink('in.fits', 'link.fits')
        os.link('in.fits', 'hard.fits')
        os.symlink('nowhere', 'broken.fits')
        os.mkdir('there')

    @pytest.mark.parametrize('output', ['in.fits', './in.fits', 'there/../in.fits', 'link.fits', 'hard.fits'])
    def test_an_output_that_is_an_input(self, output):
        with pytest.raises(Failure, match='it is an input'):
            outputs.check_outputs([output], ['in.fits'])
        assert outputs.check_outputs([output], ['in.fits'], force=True) == [True]

    @pytest.mark.parametrize('output', ['old.fits', 'broken.fits'])
    def test_an_output_that_exists(self, output):
        with pytest.raises(Failure, match='it exists; --force'):
            outputs.check_outputs(['new.fits', output], ['in.fits'])
        assert outputs.check_outputs(['new.fits', output], ['in.fits'], force=True) == [True, True]
        assert outputs.check_outputs(['new.fits', output], ['in.fits'], skip_existing=True) == [True, False]

    @pytest.mark.parametrize('options', [{}, {'force': True}, {'skip_existing': True}])
    @pytest.mark.parametrize(
        ('output', 'match'), [('there', 'is a folder'), ('gone/x.fits', 'the folder gone does not exist')]
    )
    def test_what_can_not_be_written(self, output, match, options):
        with pytest.raises(Failure, match=match):
            outputs.check_outputs([output], ['in.fits'], **options)

    def test_a_name_that_is_too_long(self):
        with pytest.raises(Failure, match='File name too long'):
            outputs.check_outputs(['x' * 251 + '.fits'], [])

    def test_a_file_for_a_folder(self):
        with pytest.raises(Failure, match=r'the folder old\.fits does not exist'):
            outputs.check_outputs(['old.fits/x.fits'], [])

    @pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
    def test_a_folder_that_is_not_writable(self):
        os.chmod('there', 0o500)
        with pytest.raises(Failure, match='its folder is not writable'):
            outputs.check_outputs(['there/x.fits'], [])

    def test_policies_exclude_each_other(self):
        with pytest.raises(UsageError, match='exclude each other'):
            outputs.check_outputs(['new.fits'], [], force=True, skip_existing=True)

    def test_devices_exist_and_are_no_obstacle(self):
        assert outputs.check_outputs(['/dev/null'], ['in.fits']) == [True]


class TestText:
    @pytest.mark.parametrize('policy', ['append', 'force'])
    def test_never_over_a_fits_file(self, tmp_path, policy):
        path = tmp_path / 'a.fits'
        path.write_bytes(b'SIMPLE  =                    T')
        with pytest.raises(Failure, match='it is a FITS file'):
            outputs.check_text(str(path), [], **{policy: True})

    def test_to_a_file(self, tmp_path):
        path = str(tmp_path / 't.log')
        assert outputs.write_text(path, 'one\n') == path
        outputs.write_text(path, 'two\xe9\udcff\n', append=True)
        assert (tmp_path / 't.log').read_bytes() == b'one\ntwo\xc3\xa9\xff\n'

    @pytest.mark.parametrize('name', [None, '-', 'screen', 'stdio'])
    def test_to_standard_output(self, tmp_path, monkeypatch, capsys, name):
        monkeypatch.chdir(tmp_path)
        assert outputs.write_text(name, 'one\n') is None
        assert capsys.readouterr().out == 'one\n'
        assert os.listdir() == []
        with pytest.raises(UsageError, match='--append needs'):
            outputs.check_text(name, [], append=True)

    def test_append_to_an_input(self, tmp_path):
        (tmp_path / 'a').write_bytes(b'x')
        with pytest.raises(Failure, match='it is an input'):
            outputs.check_text(str(tmp_path / 'a'), [str(tmp_path / 'a')], append=True)
