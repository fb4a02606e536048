import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import reader, regions
from fitsutils.files.inputs import Reference


def words(found):
    return [str(each.section) if each.section is not None else (each.kind, *each.numbers) for each in found]


@pytest.mark.parametrize(
    ('word', 'wanted'),
    [
        ('[3:5,*]', '[3:5,*]'),
        ('[7,9]', '[7:7,9:9]'),
        ('circle(10,20.5,3)', ('circle', 10, 20.5, 3)),
        (' Circle( 10 , 20 , 3 ) ', ('circle', 10, 20, 3)),
        ('+box(1,2,3,4,-30)', ('box', 1, 2, 3, 4, -30)),
        ('rotbox(1,2,3,4,30)', ('box', 1, 2, 3, 4, 30)),
        ('polygon(1 2 3 4 5 6)', ('polygon', 1, 2, 3, 4, 5, 6)),
        ('circle 10 20 3', ('circle', 10, 20, 3)),
        ('10 12 5 5', '[10:12,5:5]'),
        ('12 10 6 5', '[10:12,5:6]'),
        ('10 5', '[10:10,5:5]'),
    ],
)
def test_words(word, wanted):
    assert words(regions.read(word)) == [wanted]


@pytest.mark.parametrize(
    ('word', 'what'),
    [
        ('[a]', 'is not a section'),
        ('[0:3,1]', 'count from 1'),
        ('circle', 'is neither'),
        ('-circle(1,2,3)', 'taken out of other regions'),
        ('circle(1,2,3")', "'3\"' is not a number of pixels"),
        ('circle(12:30:00,+41:00:00,3)', 'is not a number of pixels'),
        ('10 5 3', 'is not x1 x2 y1 y2'),
        ('10.5 5', 'is not x1 x2 y1 y2'),
        ('0 1 1 1', 'count from 1'),
        ('', 'is neither'),
    ],
)
def test_words_that_are_none(word, what):
    with pytest.raises(UsageError, match=what):
        regions.read(word)


def write(path, text):
    path.write_text(text)
    return f'@{path}'


def test_a_list_of_bad_pixels(tmp_path):
    found = regions.read(write(tmp_path / 'bad.txt', '# columns\n10 10 1 50\n\n 3 4 \n[5:6,*]\ncircle(5,5,2) # dust\n'))
    assert words(found) == ['[10:10,1:50]', '[3:3,4:4]', '[5:6,*]', ('circle', 5, 5, 2)]


def test_as_ds9_writes_them(tmp_path):
    text = (
        '# Region file format: DS9 version 4.1\n'
        'global color=green dashlist=8 3 width=1 font="helvetica 10 normal roman" select=1\n'
        'physical\n'
        'circle(100.5,200,10)\n'
        'box(5,6,3,4,0) # color=red text={a; b}\n'
        'image;polygon(1,2,3,4,5,6)\n'
    )
    found = regions.read(write(tmp_path / 'ds9.reg', text))
    assert words(found) == [('circle', 100.5, 200, 10), ('box', 5, 6, 3, 4, 0), ('polygon', 1, 2, 3, 4, 5, 6)]
    assert [each.physical for each in found] == [True, True, False]


@pytest.mark.parametrize(
    ('text', 'what'),
    [
        ('fk5\ncircle(1,2,3)\n', 'line 1: fk5 is neither image nor physical'),
        ('image\n\ncircle(1,2,x)\n', "line 3: .*'x' is not a number"),
        ('1 2 3\n', 'line 1: '),
        ('# nothing\n\n', 'there is no region in it'),
        ('\0', 'not a text file'),
    ],
)
def test_files_that_are_none(tmp_path, text, what):
    with pytest.raises(Failure, match=what) as failure:
        regions.read(write(tmp_path / 'r.reg', text))
    assert str(failure.value).startswith(str(tmp_path / 'r.reg'))


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        regions.read(f'@{tmp_path}/gone')


class TestWithin:
    @pytest.fixture
    def image(self, tmp_path, make_image):
        def make(**cards):
            path = make_image(tmp_path / 'a.fits', [[0] * 9] * 7, **cards)
            return reader.open_image(Reference(path))

        return make

    def test_image_coordinates_stay(self, image):
        (found,) = regions.read('circle(5,6,1)')
        assert found.within(image(LTV1=-3.0)) == found

    @pytest.mark.parametrize(
        ('text', 'wanted'),
        [
            ('circle(5,6,1)', (2, 5, 1)),
            ('line(5,6,7,8)', (2, 5, 4, 7)),
            ('polygon(5,6,7,8,9,10)', (2, 5, 4, 7, 6, 9)),
            ('box(5,6,7,8,9)', (2, 5, 7, 8, 9)),
        ],
    )
    def test_physical_ones_follow_a_cut(self, tmp_path, image, text, wanted):
        (found,) = regions.read(write(tmp_path / 'r.reg', f'physical\n{text}\n'))
        assert found.within(image(LTV1=-3.0, LTV2=-1.0)).numbers == wanted
        assert found.within(image()).numbers == found.numbers

    def test_physical_ones_of_a_binned_image(self, tmp_path, image):
        (found,) = regions.read(write(tmp_path / 'r.reg', 'physical\ncircle(5,6,1)\n'))
        with pytest.raises(Failure, match='binned or turned'):
            found.within(image(LTM1_1=0.5, LTM2_2=0.5))

    def test_a_section_beyond_the_image(self, image):
        (found,) = regions.read('[8:10,*]')
        with pytest.raises(Failure, match=r'a\.fits: region \[8:10,\*\] goes beyond the image \(9 x 7 pixels\)'):
            found.within(image())
