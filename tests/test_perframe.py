import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, UsageError
from fitsutils.files import perframe, reader
from fitsutils.files.inputs import Reference


@pytest.fixture
def images(tmp_path, make_image, monkeypatch):
    """Three images in two folders, opened by names without those of the folders above."""
    monkeypatch.chdir(tmp_path)
    os.mkdir('night')
    names = ['a.fits', 'b c.fits', 'night/d.fits']
    for place, name in enumerate(names):
        make_image(tmp_path / name, np.zeros((3, 4), 'i2'), EXPOSURE=10.0 * (place + 1), SKY=place - 1, WORD='x')
    return [reader.open_image(Reference(name)) for name in names]


def listed(text, images, columns=('NUMBER',)):
    with open('n.txt', 'wb') as file:
        file.write(text.encode() if isinstance(text, str) else text)
    return perframe.listed('n.txt', images, columns)


class TestFiles:
    @pytest.mark.parametrize(
        'text',
        [
            '1.5\n-2\n3e2\n',
            '# weights\n\n  1.5\r\n\t-2.0\n#\n3e2',
            'a.fits 1.5\nb c.fits -2\nd.fits 3e2\n',
            'd.fits 3e2\n b c.fits\t-2\na.fits 1.5\n',
            './a.fits 1.5\nnight/d.fits 300\nb c.fits -2\n',
        ],
    )
    def test_one_number_a_line(self, images, text):
        assert listed(text, images) == [(1.5,), (-2.0,), (300.0,)]
        assert perframe.numbers('@n.txt', images, '-w') == [1.5, -2.0, 300.0]

    def test_two_numbers_a_line(self, images):
        assert listed('1 2\n3 4\n5 6', images, ('DX', 'DY')) == [(1, 2), (3, 4), (5, 6)]
        assert listed('d.fits 5 6\na.fits 1 2\nb c.fits 3 4', images, ('DX', 'DY')) == [(1, 2), (3, 4), (5, 6)]

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('1\n2\n', '2 lines of NUMBER for 3 images'),
            ('1\n2\n3\n4\n', '4 lines of NUMBER for 3 images'),
            ('', '0 lines'),
            ('1\n\nx\n3\n', "line 3: 'x' is not a number"),
            ('1\nnan\n3\n', "line 2: 'nan' is not a number"),
            ('1\n2\n-inf\n', "line 3: '-inf' is not a number"),
            ('a.fits 1\nb c.fits\nd.fits 3', "line 2: 'c.fits' is not a number"),
            ('a.fits 1\n2\nd.fits 3', 'line 2: it names no image'),
            ('a.fits 1\nb c.fits 2\ne.fits 3', "line 3: no image is named 'e.fits'"),
            ('a.fits 1\nb c.fits 2\nelse/d.fits 3', "no image is named 'else/d.fits'"),
            ('a.fits 1\nb c.fits 2\n# d\na.fits 3', "line 4: 'a.fits' has a line already"),
            ('a.fits 1\nb c.fits 2\n./a.fits 3', "'./a.fits' has a line already"),
            ('a.fits 1', 'no line names b c.fits and 1 more'),
            ('d.fits 1\na.fits 2', 'no line names b c.fits\\Z'),
            ('1\n\x1b[31m\n3', r"line 2: '\\\\x1b\[31m' is not a number"),
            (f'1\n{"9x" * 500}\n3', r"line 2: '(9x){20}\.\.\.' is not a number"),
            (b'SIMPLE\0\0', 'not a text file'),
            (b'1\n2\xff\n3\n', r"line 2: '2\\\\xff' is not a number"),
        ],
    )
    def test_what_is_wrong_is_said_with_file_and_line(self, images, text, message):
        with pytest.raises(Failure, match=message) as caught:
            listed(text, images)
        assert caught.value.path == 'n.txt'
        assert '\n' not in str(caught.value)

    @pytest.mark.parametrize('text', ['1 2\n3\n5 6', '1\n2\n3'])
    def test_too_few_numbers_on_a_line(self, images, text):
        with pytest.raises(Failure, match=r"line [12]: '[13]' is not DX DY or NAME DX DY"):
            listed(text, images, ('DX', 'DY'))

    def test_there_is_no_file(self, images):
        with pytest.raises(FileNotFoundError):
            perframe.numbers('@gone.txt', images, '-w')

    def test_names_that_differ_by_their_folders_only(self, images, make_image):
        make_image('night/a.fits', np.zeros((3, 4), 'i2'))
        both = [images[0], reader.open_image(Reference('night/a.fits'))]
        assert listed('night/a.fits 2\na.fits 1', both) == [(1,), (2,)]  # as given on the command line: no doubt
        os.mkdir('day')
        make_image('day/a.fits', np.zeros((3, 4), 'i2'))
        both = [reader.open_image(Reference(name)) for name in ('day/a.fits', 'night/a.fits')]
        with pytest.raises(Failure, match=r"line 2: 'a.fits' may be day/a.fits or night/a.fits"):
            listed('day/a.fits 1\na.fits 2', both)

    def test_a_name_stands_for_all_images_of_its_file(self, images, make_image):
        make_image('cube.fits', np.zeros((3, 2, 5), 'i2'))
        planes = reader.open_image(Reference('cube.fits')).planes()
        assert listed('a.fits 7\ncube.fits 1.5', [*planes, images[0]]) == [(1.5,)] * 3 + [(7,)]

    def test_parts_of_a_file_have_names_of_their_own(self, images):
        parts = [reader.open_image(reader.expand([f'night/d.fits{part}'])[0]) for part in ('[1:2,1:2]', '[3:4,2:3]')]
        assert listed('night/d.fits[3:4,2:3] 2\nd.fits[1:2,1:2] 1', parts) == [(1,), (2,)]

    @given(
        st.permutations(range(3)), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
    )
    def test_the_order_of_named_lines_does_not_matter(self, images, order, values):
        text = '\n'.join(f'{images[place].path} {values[place]!r}' for place in order)
        assert listed(text, images) == [(value,) for value in values]

    def test_many_images_take_no_long_time(self, images):
        many = [reader.Image.cut(images[0], reader.Region(())) for _ in range(3000)]
        for place, image in enumerate(many):
            image.reference = Reference(f'{place}.fits')
        text = '\n'.join(f'{place}.fits {place}' for place in reversed(range(3000)))
        assert listed(text, many) == [(place,) for place in range(3000)]


class TestKeywords:
    def test_of_each_header(self, images):
        assert perframe.numbers('SKY', images, '-z') == [-1, 0, 1]
        assert perframe.numbers(' sky ', images, '-z') == [-1, 0, 1]

    def test_aliases(self, images):
        assert perframe.numbers('exptime', images, '-n') == [10, 20, 30]

    def test_missing_or_no_number(self, images, make_image):
        make_image('e.fits', np.zeros((3, 4), 'i2'))
        more = [*images, reader.open_image(Reference('e.fits'))]
        with pytest.raises(Failure, match=r'^e.fits: keyword SKY is missing'):
            perframe.numbers('SKY', more, '-z')
        with pytest.raises(Failure, match=r"^a.fits: keyword WORD = 'x' is not a number"):
            perframe.numbers('WORD', more, '-z')

    @pytest.mark.parametrize('word', ['@', '', 'SK*', 'S?Y', 'SKY...', 'a=b'])
    def test_words_that_are_no_keyword(self, images, word):
        with pytest.raises(UsageError, match=r'-z .*neither @FILE nor a keyword'):
            perframe.numbers(word, images, '-z')
