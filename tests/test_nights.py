"""files/nights: longitudes of headers, and which night an exposure belongs to."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import FileWarning
from fitsutils.files import nights
from fitsutils.files.grouping import Frame
from fitsutils.files.inputs import Reference
from fitsutils.files.keywords import read


@pytest.mark.parametrize(
    ('cards', 'wanted'),
    [
        ({}, None),
        ({'OBSGEO-L': -70.7345}, -70.7345),
        ({'OBSGEO-L': 289.2655}, -70.7345),
        ({'OBSGEO-X': -4681305.099, 'OBSGEO-Y': 2804939.432}, 149.0708),
        ({'OBSGEO-X': 0.0, 'OBSGEO-Y': 0.0}, None),
        ({'OBSGEO-X': 1.0}, None),
        ({'SITELONG': '-97 12 12'}, -97.2033),
        ({'SITELONG': '+149:03:42.00'}, 149.0617),
        ({'SITELONG': '-00:30'}, -0.5),
        ({'SITELONG': 10.5}, 10.5),
        ({'SITELONG': 'Kitt Peak'}, None),
        ({'SITELONG': 1000.0}, None),
        ({'OBSGEO-L': 180.0, 'SITELONG': 5.0}, 180.0),
        ({'LONGITUD': 110.88}, None),  # degrees west at one observatory, degrees east at another, radians at a third
    ],
)
def test_longitudes(cards, wanted):
    found = nights.site_longitude(cards)
    assert found == (None if wanted is None else pytest.approx(wanted, abs=1e-4))


def test_longitudes_of_real_headers(data):
    zoo = data / 'header_zoo'
    for name, wanted in (
        ('lco_floyds_w00.fits.fz', 149.0708),
        ('midas_dss_test1.fits', 149.0617),
        ('msu_uint16_no_pointing.fit', -96.4533),
    ):  # fmt: skip
        header = read(Reference(str(zoo / name)), None, set(nights.KEYWORDS))
        assert nights.site_longitude(header) == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize(
    ('time', 'longitude', 'day'),
    [
        ('2021-02-27T11:59:59', 0, 26),
        ('2021-02-27T12:00:00', 0, 27),
        ('2021-02-28T11:59:59', 0, 27),
        ('2021-02-27T21:00:00', -155.5, 26),  # Hawaii: 10:38 in the morning
        ('2021-02-27T22:22:00', -155.5, 27),
        ('2021-02-27T02:04:00', 149.06, 27),  # Siding Spring: noon
        ('2021-02-27T02:03:00', 149.06, 26),
        ('2021-02-27T00:00:00', 180, 27),
    ],
)
def test_nights(time, longitude, day):
    assert nights.night_of(datetime.datetime.fromisoformat(time), longitude) == datetime.date(2021, 2, day)


@given(st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1)), st.floats(-180, 180))
def test_a_night_lasts_a_day(moment, longitude):
    night = nights.night_of(moment, longitude)
    noon = datetime.datetime.combine(night, datetime.time(12)) - datetime.timedelta(days=longitude / 360)
    tick = datetime.timedelta(microseconds=1)
    assert noon - tick <= moment < noon + datetime.timedelta(days=1) + tick


def frame(name, time, longitude=0.0):
    moment = datetime.datetime.fromisoformat(time)
    return Frame(name, moment, night=nights.night_of(moment, longitude))


def test_a_noon_within_a_night_is_said():
    frames = [frame('a', '2021-02-27T11:50:00'), frame('c', '2021-02-28T09:00:00'), frame('b', '2021-02-27T12:02:00')]
    with pytest.warns(FileWarning, match='noon falls between a and b, 12 minutes later'):
        nights.warn_of_cuts(frames)


def test_a_noon_between_nights_is_not():
    nights.warn_of_cuts([frame('a', '2021-02-27T07:50:00'), frame('b', '2021-02-27T16:02:00'), Frame('c', None)])
    nights.warn_of_cuts([])
