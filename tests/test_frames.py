"""frames: what of files is compared when they are grouped or matched."""

import datetime

import numpy as np
import pytest

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import inputs, where
from fitsutils.steps import frames
from fitsutils.steps.selection import Selection


@pytest.fixture
def reference(tmp_path, make_image):
    """A function that gives the reference of an image with some cards."""

    def make(name='a.fits', **cards):
        return inputs.Reference(make_image(tmp_path / name, np.full((2, 3), 7, 'u2'), **cards))

    return make


def read(reference, by='NAXIS1', chosen=None, **rules):
    keys = where.parse_keys(by)
    return frames.read(reference, frames.Rules(keys, **rules), Selection(chosen, keys))


def test_what_is_read(reference):
    found = read(reference(MJD__OBS=58000.25, FILTNAM=' R ', CCDSUM='2'), 'NAXIS1,FILTER,X=CCDSUM*2,median,GONE')
    assert found.start == datetime.datetime(2017, 9, 4, 6)
    assert found.signature == (3, 'R', 4, 7.0, None)
    assert found.night is None


@pytest.mark.parametrize(
    ('cards', 'longitude', 'night'),
    [
        ({}, None, datetime.date(2017, 9, 4)),
        ({'OBSGEO__L': -90.0}, None, datetime.date(2017, 9, 3)),
        ({'OBSGEO__L': -90.0}, 0.0, datetime.date(2017, 9, 4)),
        ({}, -90.0, datetime.date(2017, 9, 3)),
    ],
)
def test_nights(reference, cards, longitude, night):
    made = reference(MJD__OBS=58000.6, **cards)
    assert read(made, by_night=True, longitude=longitude).night == night
    assert read(made, longitude=longitude).night is None


@pytest.mark.parametrize(('chosen', 'taken'), [('NAXIS1 == 3', True), ('EXPTIME > 1', False), ('mean == 7', True)])
def test_which_are_taken(reference, chosen, taken):
    assert (read(reference(), chosen=chosen) is not None) is taken


def test_a_time_that_is_needed(reference):
    assert read(reference()).start is None
    with pytest.raises(Failure, match=r'a\.fits: its header has no date, and --span needs one'):
        read(reference(), timed='--span')


def test_two_names_of_a_file_are_one(reference, tmp_path):
    made = reference()
    (tmp_path / 'link.fits').symlink_to('a.fits')
    other, part = inputs.Reference(str(tmp_path / 'link.fits')), inputs.Reference(made.path, 0)
    assert read(made).identity == read(other).identity != read(part).identity
    assert (read(made).name, read(other).name) == (made.path, other.path)


def test_masters(reference):
    keys = where.parse_keys('NAXIS1,FILTER')
    made = [reference(f'{name}.fits', MJD__OBS=58000.0, FILTER='R') for name in 'abc']
    made.append(reference('d.fits', FILTER='R'))
    with pytest.warns(FileWarning) as said:
        found = frames.read_masters(made, frames.Rules(keys), Selection(None, keys))
    assert len(found.doubles()) == 2
    texts = [str(warning.message).removeprefix(str(made[0].path)[: -len('a.fits')]) for warning in said]
    assert texts[0] == 'd.fits: its header has no date: it is the nearest of no image'
    assert texts[1].startswith('b.fits: it has the signature and the time of ')
    assert texts[1].endswith(', and 1 more are so')


@pytest.mark.parametrize(
    ('by', 'chosen', 'match'),
    [('FILTR', None, 'no master has a value of FILTR'), ('NAXIS1', 'NAXIS1 > 5', '--to-where takes none of 1 masters')],
)
def test_masters_of_no_use(reference, by, chosen, match):
    keys = where.parse_keys(by)
    with pytest.warns(FileWarning, match=match):
        frames.read_masters([reference(MJD__OBS=1.0)], frames.Rules(keys), Selection(chosen, keys))
