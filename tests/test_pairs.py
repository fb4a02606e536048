"""files/pairs: images and operands, from words and from lists."""

import io
from pathlib import Path

import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import pairs
from fitsutils.files.inputs import Reference
from fitsutils.files.pairs import Pair

MATCHED = (
    'image\tmaster\tdelta_days\tstatus\n'
    'a 1.fits\tcal/b.fits\t-0.25\tfound\n'
    'c.fits\t\t\tnone\n'
    'd.fits\tcal/b.fits\t9.0\tfar\n'
    '#e.fits\tcal/b.fits\t1.0\tfound\n'
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('a 1.fits', '#e.fits', ' f.fits', 'x,y.fits'):
        (tmp_path / name).touch()


def listed(text, **options):
    Path('list').write_bytes(text.encode())
    return pairs.from_list('@list', **options)


def pair(image, operand):
    return Pair(Reference(image), Reference(operand) if isinstance(operand, str) else operand)


def test_a_table_of_matches():
    found = listed(MATCHED)
    assert found.pairs == [pair('a 1.fits', 'cal/b.fits'), pair('#e.fits', 'cal/b.fits')]
    assert found.unpaired == ['c.fits', 'd.fits']


@pytest.mark.parametrize('word', ['list', '@list', '-', '@-'])
def test_where_a_list_may_be(monkeypatch, word):
    Path('list').write_text('a.fits b.fits\n')
    monkeypatch.setattr('sys.stdin', io.TextIOWrapper(io.BytesIO(b'a.fits b.fits\n')))
    assert pairs.from_list(word).pairs == [pair('a.fits', 'b.fits')]


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        ('# by hand\n\n  a.fits   b.fits  and more\r\n\tc.fits d.fits\n'.replace('\t', ' '),
         [('a.fits', 'b.fits'), ('c.fits', 'd.fits')]),
        ('a.fits\t 0.26 \n', [('a.fits', 0.26)]),
        ('a.fits -1e-3\n', [('a.fits', -1e-3)]),
        (' f.fits\tb.fits', [(' f.fits', 'b.fits')]),
        ('x,y.fits b.fits', [('x,y.fits', 'b.fits')]),
        ('image master\na.fits b.fits', [('a.fits', 'b.fits')]),
        ('Image\tOperand\na.fits\tb.fits', [('a.fits', 'b.fits')]),
        ('a.fits\tb.fits\tnone', [('a.fits', 'b.fits')]),  # without a header nobody says that this is a status
        ('a.fits b.fits\nimage master', [('a.fits', 'b.fits'), ('image', 'master')]),
        ('status image\na.fits b.fits', [('status', 'image'), ('a.fits', 'b.fits')]),
    ],
)  # fmt: skip
def test_two_columns_by_hand(text, wanted):
    assert listed(text) == ([pair(*each) for each in wanted], [])


def test_the_table_for_people_is_understood_too():
    text = '#image  master  delta_days status\na.fits  b.fits  0.5        found\nc.fits  ....    ....       none\n'
    assert listed(text) == ([pair('a.fits', 'b.fits')], ['c.fits'])


def test_keywords_extensions_and_parts():
    found = listed('a.fits[SCI,2] key=EXPTIME\na.fits[1:2,3:4] b.fits[1]\n').pairs
    assert [str(each.image) for each in found] == ['a.fits[SCI,2]', 'a.fits[1:2,3:4]']
    assert (found[0].operand, str(found[1].operand)) == ('key=EXPTIME', 'b.fits[1]')


def test_nul_separated_names(tmp_path):
    odd = "a\nb'\t.fits"
    (tmp_path / odd).touch()
    assert listed(f'{odd}\0b.fits\0c.fits\x002\0', null=True).pairs == [pair(odd, 'b.fits'), pair('c.fits', 2.0)]


@pytest.mark.parametrize(
    ('text', 'null', 'match'),
    [
        ('', False, '@list: the list is empty'),
        ('# nothing\nimage\tmaster\n', False, '@list: the list is empty'),
        ('a.fits b.fits\nc.fits\n', False, "@list: line 2: 'c.fits' is not an image and its operand"),
        ('a.fits,b.fits,0.5,found', False, 'line 1: .* is not an image and its operand'),
        ('\tb.fits', False, 'line 1: .* is not an image and its operand'),
        ('a.fits\0b.fits\0', False, '--null reads it'),
        ('a.fits\0b.fits\0c.fits', True, 'an image without one'),
        ('*.fits b.fits', False, r'line 1: \*.fits names 4 images'),
        ('a.fits *.fits', False, r'line 1: \*.fits names 4 operands'),
        ('a.fits z*.fits', False, 'no file matches this pattern'),
    ],
)
def test_lists_that_are_none(text, null, match):
    with pytest.raises(Failure, match=match):
        listed(text, null=null)


@pytest.mark.parametrize(
    ('images', 'operands', 'wanted'),
    [
        (['a', 'b'], ['c'], [('a', 'c'), ('b', 'c')]),
        (['a', 'b'], ['c', 'd'], [('a', 'c'), ('b', 'd')]),
        (['a', 'b'], ['2'], [('a', 2.0), ('b', 2.0)]),
        (['a'], ['2', '3'], None),
        (['a', 'b', 'c'], ['d', 'e'], None),
        (['a', 'b'], ['2', '3'], [('a', '2'), ('b', '3')]),  # several words are names, as ever
    ],
)
def test_words(images, operands, wanted):
    if wanted is None:
        with pytest.raises(UsageError, match='one is wanted, or as many'):
            pairs.from_words(images, operands)
    else:
        assert pairs.from_words(images, operands) == [pair(*each) for each in wanted]


def test_images_without_an_operand_are_named():
    some, names = [pair('a', 1.0)], [f'{number}.fits' for number in range(23)]
    pairs.refuse_unpaired(some, [])
    pairs.refuse_unpaired(some, names, skip=True)
    with pytest.raises(Failure, match=r'no operand for 23 images: 0.fits, .*, 19.fits and 3 more; --skip-unpaired'):
        pairs.refuse_unpaired(some, names)
    with pytest.raises(Failure, match=r'no operand for 1 image: 0.fits\Z'):
        pairs.refuse_unpaired([], names[:1], skip=True)


def test_numbers_that_leave_nothing():
    pairs.refuse_senseless([pair('a', float('inf'))], 'min')
    with pytest.raises(UsageError, match=r'\+ inf would leave no pixel a value'):
        pairs.refuse_senseless([pair('a', 1.0), pair('b', float('inf'))], '+')


def test_all_files_of_pairs():
    assert pairs.paths([pair('a', 'b'), pair('c', 1.0), Pair(Reference('d'), 'key=X')]) == ['a', 'b', 'c', 'd']
