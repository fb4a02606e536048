"""operations: images and operands planned and computed."""

import numpy as np
import pytest

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import reader
from fitsutils.files.inputs import Reference
from fitsutils.files.pairs import Pair
from fitsutils.steps import operations

NY, NX = 4, 6


@pytest.fixture
def image(tmp_path, monkeypatch, make_image):
    """A function that writes an image of one level and gives its reference."""
    monkeypatch.chdir(tmp_path)

    def make(name, level, shape=(NY, NX), **cards):
        return Reference(make_image(name, np.full(shape, level, 'f4'), **cards))

    return make


def test_a_master_is_opened_once(image, monkeypatch):
    bias = image('bias.fits', 5)
    wanted = [(Pair(image(f'{number}.fits', number), bias), f'o{number}.fits') for number in range(3)]
    opened = []
    real = reader.open_image

    def noting(reference, *more, **options):
        opened.append(reference)
        return real(reference, *more, **options)

    monkeypatch.setattr(reader, 'open_image', noting)
    tasks = operations.planned('-', wanted)
    assert len(opened) == 4
    assert [task.words for task in tasks] == [f'{number}.fits - bias.fits' for number in range(3)]


@pytest.mark.parametrize(
    ('operand', 'words', 'level'),
    [(2.5, 'a.fits x 2.5', 25), ('key=exptime', 'a.fits x EXPTIME (4)', 40), ('b.fits', 'a.fits x b.fits', 30)],
)
def test_operands(image, pixels_of, operand, words, level):
    image('b.fits', 3)
    operand = Reference(operand) if operand == 'b.fits' else operand
    (task,) = operations.planned('x', [(Pair(image('a.fits', 10, EXPTIME=4.0), operand), 'out.fits')])
    assert task.words == words
    undefined, finish = task.begin(reader.Reader('ignore', 10**9), operations.Rules(cards=[('OBJECT', 'M 1')]))
    finish()
    assert undefined == 0
    np.testing.assert_array_equal(pixels_of('out.fits'), np.full((NY, NX), level))
    assert reader.open_image(Reference('out.fits')).header['OBJECT'] == 'M 1'


def test_what_has_no_value_is_counted(image, pixels_of):
    (task,) = operations.planned('/', [(Pair(image('a.fits', 10), image('b.fits', 0)), 'out.fits')])
    undefined, finish = task.begin(reader.Reader('ignore', 10**9), operations.Rules(divide_by_zero=-1.0))
    finish()
    assert undefined == NY * NX
    np.testing.assert_array_equal(pixels_of('out.fits'), np.full((NY, NX), -1))


def test_types_that_do_not_hold_the_values(image):
    (task,) = operations.planned('x', [(Pair(image('a.fits', 300), 1.0), 'out.fits')])
    with pytest.raises(Failure, match=r'out\.fits: --dtype uint8'):
        task.begin(reader.Reader('ignore', 10**9), operations.Rules(dtype='uint8'))


def test_refusals(image):
    one, small = image('a.fits', 1), image('b.fits', 1, (NY - 1, NX))
    with pytest.raises(Failure, match=r'b\.fits does not fit'):
        operations.planned('-', [(Pair(one, small), 'out.fits')])
    with pytest.raises(Failure, match='keyword GAIN is missing'):
        operations.planned('-', [(Pair(one, 'key=GAIN'), 'out.fits')])


@pytest.mark.parametrize(('operator', 'key', 'said'), [('/', 'FILTER', 1), ('-', 'FILTER', 0), ('-', 'GAIN', 1)])
def test_differences_between_an_image_and_its_master(image, operator, key, said, recwarn):
    pairs = [Pair(image(f'{number}.fits', 1, **{key: 1.0}), image('m.fits', 1, **{key: 2.0})) for number in range(2)]
    operations.planned(operator, [(pair, 'out.fits') for pair in pairs])
    assert len([each for each in recwarn if issubclass(each.category, FileWarning)]) == said
