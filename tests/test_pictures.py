"""files/pictures.py: names and titles of pictures."""

import os

import pytest

from fitsutils.errors import Failure, UsageError
from fitsutils.files import pictures, reader

NIGHT = ['raw/20210227.0041.fit', 'raw/20210227.0042.fit']


@pytest.mark.parametrize(
    ('inputs', 'output', 'rest', 'wanted'),
    [
        (['raw/M31.fits'], 'x.png', {}, ['x.png']),
        (['raw/M31.fits'], 'out/x.PDF', {}, ['out/x.PDF']),
        (['a.fits'], 'a,b.png', {}, ['a,b.png']),
        (['raw/b21.fits.gz'], 'filename', {}, ['b21.png']),
        (['raw/b21.fits.gz'], 'filename.pdf', {}, ['b21.pdf']),
        (NIGHT, 'filename.pdf', {}, ['20210227.0041.pdf', '20210227.0042.pdf']),
        (NIGHT, 'out/filename', {'prefix': 'p_'}, ['out/p_20210227.0041.png', 'out/p_20210227.0042.png']),
        (NIGHT, 'look', {}, ['look.0041.png', 'look.0042.png']),
        (NIGHT[:1], 'look', {}, ['look.0041.png']),
        (['M31.fits'], 'look', {}, ['look.M31.png']),
        (NIGHT, 'out/', {}, ['out/20210227.0041.png', 'out/20210227.0042.png']),
        (NIGHT, None, {'prefix': 'p_'}, ['p_20210227.0041.png', 'p_20210227.0042.png']),
        (NIGHT, 'a.png, b.pdf', {}, ['a.png', 'b.pdf']),
        (NIGHT, 'night', {'single': True}, ['night.png']),
        (NIGHT, 'night.pdf', {'single': True}, ['night.pdf']),
        (NIGHT[:1], 'filename', {'single': True}, ['20210227.0041.png']),
        (['a.v2.fits'], 'filename', {}, ['a.v2.png']),
        (['noext'], 'filename', {}, ['noext.png']),
    ],
)
def test_names(inputs, output, rest, wanted):
    assert pictures.output_names(inputs, output, '.png', **rest) == wanted


def test_the_suffix_follows_the_kind():
    assert pictures.output_names(['c.fits'], 'filename', '.gif') == ['c.gif']
    assert pictures.output_names(['c.0001.fits'], 'r', '.gif') == ['r.0001.gif']


def test_an_existing_folder_is_one(tmp_path):
    assert pictures.output_names(['a.fits'], str(tmp_path), '.png') == [os.path.join(tmp_path, 'a.png')]


@pytest.mark.parametrize(
    ('inputs', 'output', 'rest', 'what'),
    [
        (NIGHT, 'x.png', {}, 'one file for 2 images'),
        (['a.fits'], 'x.jpg', {}, '.png or .pdf'),
        (['a.fits'], 'x.fits', {}, '.png or .pdf'),
        (NIGHT, 'out/', {'single': True}, 'needs a name'),
        (NIGHT, None, {}, 'must say how'),
        (NIGHT, 'filename', {'single': True}, 'needs a name'),
        (NIGHT, 'filename.pdf', {'single': True}, 'needs a name'),
    ],
)
def test_names_that_say_nothing(inputs, output, rest, what):
    with pytest.raises(UsageError, match=what):
        pictures.output_names(inputs, output, '.png', **rest)


def test_two_images_of_one_name_are_refused():
    with pytest.raises(Failure, match=r'a\.fits and b/a\.fit would both'):
        pictures.output_names(['a.fits', 'b/a.fit'], 'filename', '.png')


@pytest.fixture
def image(tmp_path, make_image):
    path = make_image(
        tmp_path / 'm1.fits', [[1, 2], [3, 4]], OBJECT='M 1', EXPTIME=30.0, FILTNAM='V', NUMBER=7, FLAG=True,
        TEXTNUM='12.50', DATE__OBS='2021-02-27T04:12:33', BUNIT='adu', MONEY=r'$\frac',
    )  # fmt: skip
    return reader.open_image(reader.Reference(path))


@pytest.mark.parametrize(
    ('template', 'wanted'),
    [
        ('filename', 'm1.fits'),
        ('object', 'M 1'),
        ('plain text', 'plain text'),
        ('', ''),
        ('{OBJECT} {FILTER} {EXPTIME:g} s', 'M 1 V 30 s'),
        ('{object}: {EXPTIME:.2f}', 'M 1: 30.00'),
        ('{TEXTNUM:.1f} {NUMBER:04d} {FLAG}', '12.5 0007 T'),
        ('{AIRMASS} {AIRMASS|none} {AIRMASS:.1f|?} {AIRMASS|?:.1f} {AIRMASS|}', '.... none ? ? '),
        ('{DATE-OBS}', '2021-02-27T04:12:33'),
        ('{{literal}} {MONEY}', '{literal} $\\frac'),
        ('a\nb\x1b[31m', 'a\\nb\\x1b[31m'),
    ],
)
def test_titles(image, template, wanted):
    pictures.check_title(template)
    assert pictures.title(template, image) == wanted


@pytest.mark.parametrize('template', ['{', 'a}', '{}', '{OBJECT', '{EXPTIME:zz}', '{OBJECT!r}{', '{{OBJECT}'])
def test_templates_that_are_wrong(template):
    with pytest.raises(UsageError, match='-t '):
        pictures.check_title(template)


def test_a_value_that_does_not_fit_its_format(image):
    with pytest.raises(Failure, match=r"m1\.fits: keyword OBJECT = 'M 1' does not fit"):
        pictures.title('{OBJECT:.2f}', image)


def test_no_attribute_of_a_value_can_be_reached(image):
    assert pictures.title('{OBJECT.__class__}', image) == '....'
    assert pictures.title('{OBJECT[0]}', image) == '....'


def test_object_falls_back_on_the_name(tmp_path, make_image):
    path = make_image(tmp_path / 'sky.fits', [[1.0]])
    image = reader.open_image(reader.Reference(path))
    assert pictures.title('object', image) == 'sky.fits'
    assert pictures.unit(image) == ''


def test_the_unit_is_that_of_the_header(image):
    assert pictures.unit(image) == 'adu'
