import io
import os
import sys

import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files.inputs import Reference, expand, parse_hdu, split_commas
from fitsutils.files.section import parse_section


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a function that makes empty files in it."""
    monkeypatch.chdir(tmp_path)

    def touch(*names):
        for name in names:
            with open(name, 'wb'):
                pass

    return touch


def paths(*words, **options):
    return [reference.path for reference in expand(words, **options)]


def texts(*words, **options):
    return [str(reference) for reference in expand(words, **options)]


class TestOrder:
    """Each of the five rules wins over those behind it."""

    def test_a_file_that_exists_is_taken_as_it_stands(self, folder):
        names = ['a,b.fits', '@list', 'x[1].fits', 'star*.fits', 'q?.fits', ' lead.fits', 'trail.fits ', '-5.fits']
        folder(*names, 'a', 'b.fits', 'list', 'x', 'x1.fits', 'starling.fits', 'qq.fits')
        assert paths(*names) == names

    def test_a_list_wins_over_commas(self, folder):
        folder('a', 'b', 'c')
        for name, line in (('l,m', 'a'), ('l', 'b'), ('m', 'c')):
            with open(name, 'w') as file:
                file.write(line)
        assert paths('@l,m') == ['a']
        os.unlink('l,m')
        assert paths('@l,@m') == ['b', 'c']

    def test_commas_win_over_brackets_and_patterns(self, folder):
        folder('a.fits', 'b1.fits', 'b2.fits')
        assert texts('b?.fits,a.fits[2]') == ['b1.fits', 'b2.fits', 'a.fits[2]']

    def test_brackets_win_over_patterns(self, folder):
        folder('n', 'n1')
        assert texts('n[1]') == ['n[1]']
        os.unlink('n')
        assert texts('n[1]') == ['n1']

    def test_a_folder_has_no_hdu(self, folder, tmp_path):
        (tmp_path / 'd').mkdir()
        folder('d1')
        assert texts('d[1]') == ['d1']

    def test_a_missing_file_is_passed_on_by_name(self, folder):
        assert expand(['nothing.fits']) == [Reference('nothing.fits')]


class TestCommas:
    def test_items_keep_their_order_and_each_is_sorted(self, folder):
        folder('b2', 'b1', 'a9', 'a8')
        assert paths('b*,a*') == ['b1', 'b2', 'a8', 'a9']
        assert paths('a8', 'b*,a9') == ['a8', 'b1', 'b2', 'a9']

    @pytest.mark.parametrize(
        'word', ['a , b', 'a,\nb', 'a,\\\nb', ' a,b ', 'a,,b', ',a,b,', 'a\t,\n  b\n', 'a,\\\n  b']
    )
    def test_white_space_around_commas(self, folder, word):
        folder('a', 'b')
        assert paths(word) == ['a', 'b']

    def test_names_with_commas_within_a_list(self, folder):
        folder('a,b', 'c')
        assert paths('a,b', 'c') == ['a,b', 'c']

    @pytest.mark.parametrize(
        ('word', 'items'),
        [
            ('a[1,2],b', ['a[1,2]', 'b']),
            ('a[SCI,2][1:3,4:5],b[6]', ['a[SCI,2][1:3,4:5]', 'b[6]']),
            ('a[b,c', ['a[b', 'c']),
            ('a],b', ['a]', 'b']),
            ('x.00[1-9],y[1,2', ['x.00[1-9]', 'y[1', '2']),
            ('one', ['one']),
            (',', []),
        ],
    )
    def test_brackets_protect_commas_where_they_close(self, word, items):
        assert split_commas(word) == items

    def test_the_recipe_s_list(self, folder):
        folder(*(f'20210227.{n:04d}.fit' for n in [*range(38, 53), *range(97, 110)]))
        word = '20210227.004[1-9].fit,20210227.0050.fit,20210227.009[89].fit,20210227.010[0-7].fit'
        assert paths(word) == [f'20210227.{n:04d}.fit' for n in [*range(41, 51), *range(98, 108)]]

    @pytest.mark.parametrize('word', ['', ' ', ',', ' , ', ',,\n'])
    def test_nothing_at_all(self, folder, word):
        with pytest.raises(Failure, match='names no file'):
            expand([word])


class TestLists:
    def test_lines(self, folder):
        folder('b', 'a', 'c d', '#odd')
        with open('l', 'wb') as file:
            file.write(b'b\n\n  \n# a comment\n  # another\n a\r\nc d\n#odd\n')
        assert paths('@l') == ['b', 'a', 'c d', '#odd']

    def test_each_line_is_a_word_again(self, folder):
        folder('a1', 'a2', 'b', 'c')
        with open('inner', 'w') as file:
            file.write('c\nb')
        with open('outer', 'w') as file:
            file.write('a?\n@inner\nb[SCI][1:2,3:4],c\n')
        assert texts('@outer') == ['a1', 'a2', 'c', 'b', 'b[SCI][1:2,3:4]', 'c']

    def test_names_that_are_not_utf_8(self, folder):
        name = os.fsdecode(b'\xe9toile.fits')
        folder(name)
        with open('l', 'wb') as file:
            file.write(b'\xe9toile.fits\n')
        assert paths('@l') == paths('*toile.fits') == [name]

    def test_nul(self, folder):
        names = ['new\nline', ' spaces ', '#hash', '-dash', os.fsdecode(b'\xff')]
        folder(*names)
        with open('l', 'wb') as file:
            file.write(b'\0'.join(map(os.fsencode, names)) + b'\0')
        assert paths('@l', null=True) == names
        with pytest.raises(Failure, match='--null'):
            expand(['@l'])

    @pytest.mark.parametrize(('content', 'null'), [('', False), ('\n\n', False), ('# only\n', False), ('\0\0', True)])
    def test_an_empty_list_is_named(self, folder, content, null):
        with open('l', 'w') as file:
            file.write(content)
        with pytest.raises(Failure, match='@l: the list is empty'):
            expand(['@l'], null=null)

    def test_a_list_that_names_itself(self, folder):
        with open('l', 'w') as file:
            file.write('@l\n')
        with pytest.raises(Failure, match='does a list name itself'):
            expand(['@l'])

    def test_a_missing_list(self, folder):
        with pytest.raises(FileNotFoundError):
            expand(['@gone'])

    def test_standard_input(self, folder, monkeypatch):
        folder('a', 'b')
        monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(b'b\na\n')))
        assert paths('@-') == ['b', 'a']

    def test_closed_standard_input(self, folder, monkeypatch):
        monkeypatch.setattr(sys, 'stdin', None)
        with pytest.raises(Failure, match='standard input is closed'):
            expand(['@-'])


class TestBrackets:
    @pytest.mark.parametrize(
        ('behind', 'hdu', 'section'),
        [
            ('[2]', 2, None),
            ('[sci]', 'SCI', None),
            ('[SCI,3]', ('SCI', 3), None),
            ('[1:5,2:7]', None, '[1:5,2:7]'),
            ('[*,7]', None, '[*,7]'),
            ('[2][1:5,*]', 2, '[1:5,*]'),
            ('[SCI,3][1:5,2:7,4]', ('SCI', 3), '[1:5,2:7,4]'),
        ],
    )
    def test_forms(self, folder, behind, hdu, section):
        folder('a.fits', 'b.fits')
        region = section and parse_section(section)
        assert expand([f'a.fits{behind}']) == [Reference('a.fits', hdu, region)]
        assert expand([f'?.fits{behind}']) == [Reference('a.fits', hdu, region), Reference('b.fits', hdu, region)]
        assert expand([f'gone.fits{behind}']) == [Reference('gone.fits', hdu, region)]

    def test_a_name_with_brackets_of_its_own(self, folder):
        folder('a[1].fits', 'm31[b]', 'm31')
        assert texts('a[1].fits[2]') == ['a[1].fits[2]']
        assert expand(['m31[b][3:4,5:6]']) == [Reference('m31[b]', None, parse_section('[3:4,5:6]'))]
        assert expand(['m31[b][2]']) == [Reference('m31[b]', 2)]

    @pytest.mark.parametrize('behind', ['[]', '[1:]', '[5:2,1:3]', '[0:2,1:2]', '[SCI,x]', '[1:2:3]'])
    def test_what_is_wrong_with_them_is_said(self, folder, behind):
        folder('a.fits')
        with pytest.raises(UsageError):
            expand([f'a.fits{behind}'])

    @pytest.mark.parametrize('text', ['', ' ', ',', ',2', 'SCI,two', 'SCI,-1'])
    def test_no_hdu(self, text):
        with pytest.raises(UsageError, match='is not an HDU'):
            parse_hdu(text)

    def test_text_reads_back(self, folder):
        folder('a.fits')
        for word in ('a.fits', 'a.fits[3]', 'a.fits[SCI,3]', 'a.fits[SCI][2:3,*,5:5]'):
            assert texts(word) == [word]


class TestPatterns:
    def test_sorted_and_hidden_files_passed_over(self, folder):
        folder('b.fits', 'a10.fits', 'a9.fits', '.tmp.fits')
        assert paths('*.fits') == ['a10.fits', 'a9.fits', 'b.fits']

    @pytest.mark.parametrize('word', ['*.fits', 'x[12].dat', 'a?,b?'])
    def test_one_that_matches_nothing_is_named(self, folder, word):
        with pytest.raises(Failure, match='no file matches this pattern') as caught:
            expand([word])
        assert str(caught.value).startswith(word.split(',')[0])

    def test_odd_names(self, folder):
        names = sorted(['new\nline.fits', 'two words.fits', '-dash.fits', 'quote\'".fits', os.fsdecode(b'\xff.fits')])
        folder(*names)
        assert paths('*.fits') == names

    def test_no_word(self):
        with pytest.raises(UsageError, match='an image is required'):
            expand([])
