"""darks: exposure times, the rule about a bias that is left, and which dark an image gets."""

import types

import numpy as np
import pytest

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import calibrated, reader
from fitsutils.files.inputs import Reference
from fitsutils.steps import darks

NY, NX = 7, 11


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dark(make_image):
    """A function that writes a dark of so many counts and gives it as a Dark."""

    def make(name, time, counts, dtype='f4', scatter=3.0, **cards):
        pixels = np.random.default_rng(int(time)).normal(counts, scatter, (NY, NX)).astype(dtype)
        make_image(name, pixels, EXPTIME=float(time), **cards)
        return darks.open_darks([Reference(name)])[0]

    return make


def image_of(path):
    return reader.open_image(Reference(path), keywords=calibrated.KEYWORDS)


READ = reader.Reader('ignore', 10**9)


@pytest.mark.parametrize(
    ('cards', 'key', 'zero', 'wanted'),
    [
        ({'EXPTIME': 60.0}, None, False, 60),
        ({'EXPOSURE': '30'}, None, False, 30),
        ({'EXPTIME': 60.0, 'DARKTIME': 61.5}, 'darktime', False, 61.5),
        ({'EXPTIME': 0.0}, None, True, 0),
    ],
)
def test_exposure_times(make_image, cards, key, zero, wanted):
    make_image('a.fits', np.zeros((2, 3)), **cards)
    assert darks.open_darks([Reference('a.fits')], key=key, zero=zero)[0].time == wanted


@pytest.mark.parametrize(
    ('cards', 'key', 'words'),
    [
        ({}, None, 'EXPTIME is missing'),
        ({'EXPTIME': 0.0}, None, 'EXPTIME = 0.0'),
        ({'EXPTIME': -1.0}, None, 'EXPTIME = -1.0'),
        ({'EXPTIME': 'long'}, None, "EXPTIME = 'long'"),
        ({'EXPTIME': True}, None, 'EXPTIME = True'),
        ({'EXPTIME': 60.0}, 'DARKTIME', 'DARKTIME is missing'),
    ],
)
def test_exposure_times_that_are_none(make_image, cards, key, words):
    make_image('a.fits', np.zeros((2, 3)), **cards)
    with pytest.raises(Failure, match=f'a.fits: it has no usable exposure time: {words}'):
        darks.open_darks([Reference('a.fits')], key=key)


@pytest.mark.parametrize(
    ('counts', 'scatter', 'dtype', 'cards', 'left'),
    [
        (1040, 8, 'u2', {}, True),  # a camera's frame
        (1040, 8, 'u2', {'BIASSUB': 'b.fit'}, False),
        (1040, 8, 'u2', {'CALSTAT': 'B'}, False),
        (40, 20, 'u2', {}, False),  # about 0: the camera took it off itself
        (1040, 4, 'f4', {'NCOMBINE': 5, 'EGAIN': 1.4}, True),  # a mean of raw frames
        (52, 4, 'f4', {'NCOMBINE': 5, 'EGAIN': 1.4}, False),
        (52, 4, 'f4', {}, False),
        (1040, 1, 'f4', {}, True),  # a master of nobody knows how many
        (1040, 4, 'f4', {'NCOMBINE': 5, 'GAIN': 120}, True),  # the gain setting of a CMOS camera
        (-3, 4, 'f4', {}, False),
    ],
)
def test_a_bias_that_is_left(make_image, counts, scatter, dtype, cards, left):
    make_image('a.fits', np.zeros((2, 3), dtype), EXPTIME=60.0, **cards)
    found = darks.bias_left(image_of('a.fits'), counts, scatter)
    assert (found is not None) is left


def test_levels():
    pixels = np.append(np.arange(1.0, 102), [np.nan, np.inf])
    assert darks.level_of(pixels) == (51.0, pytest.approx(0.7413 * 50))
    assert np.isnan(darks.level_of(np.full(3, np.nan))[0])


@pytest.mark.parametrize('weigh', [False, True])
@pytest.mark.parametrize('statistic', ['mean', 'median'])
def test_measured_points_and_their_line(dark, statistic, weigh):
    frames = [dark(f'{time}.fits', time, 5 + time / 10) for time in (60, 120, 300)]
    points = [darks.measure(frame, READ, statistic) for frame in frames]
    for frame, point in zip(frames, points, strict=True):
        values = reader.read_pixels(frame.image).astype('f8')
        quartiles = np.quantile(values, [0.25, 0.75])
        spread = values.std() if statistic == 'mean' else 1.2533 * 0.7413 * (quartiles[1] - quartiles[0])
        assert point.counts == pytest.approx(getattr(np, statistic)(values), rel=1e-6)
        assert point.rms == pytest.approx(values.std(), rel=1e-6)
        assert point.error == pytest.approx(spread / np.sqrt(NY * NX), rel=1e-4)
        assert point.num == NY * NX
    line = darks.fit(points, weigh=weigh)
    errors = [point.error for point in points] if weigh else [1] * 3
    wanted = np.polyfit([60, 120, 300], [point.counts for point in points], 1, w=1 / np.array(errors))
    assert (line.slope, line.offset) == (pytest.approx(wanted[0]), pytest.approx(wanted[1]))


def test_masked_clipped_and_empty_regions(dark, make_image):
    frame = dark('a.fits', 60, 10)
    mask = np.zeros((NY, NX), 'u1')
    mask[2:, :] = 1
    make_image('mask.fits', mask)
    point = darks.measure(frame, READ, 'mean', reader.open_mask('mask.fits'))
    assert point.num == 2 * NX
    assert point.counts == pytest.approx(reader.read_pixels(frame.image)[:2].mean(dtype='f8'))
    assert darks.measure(frame, READ, 'mean', clip=1.5).num < NY * NX
    make_image('mask.fits', np.ones((NY, NX), 'u1'))
    with pytest.raises(Failure, match=r'a.fits.*no pixel is left'):
        darks.measure(frame, READ, 'mean', reader.open_mask('mask.fits'))


def test_a_dark_without_scatter_has_no_weight(dark):
    points = [darks.measure(dark(f'{time}.fits', time, time, scatter=0), READ, 'mean') for time in (1, 2)]
    assert darks.fit(points, weigh=False).slope == pytest.approx(1)
    with pytest.raises(Failure, match=r'1.fits: its pixels do not scatter'):
        darks.fit(points, weigh=True)


def test_mixed_darks_are_warned_of(dark):
    out, left = dark('a.fits', 60, 10, BIASSUB='b.fit'), dark('b.fits', 120, 1010)
    with pytest.warns(FileWarning, match=r'b.fits: the bias was subtracted from a.fits; of b.fits no header says so'):
        darks.check_darks([out, left])
    darks.check_darks([out, out])


def test_the_dark_of_the_same_time_else_the_longest(dark):
    sources = [dark(f'd{time}.fits', time, 5.9 + 0.098 * time, BIASSUB='b') for time in (180, 60, 120)]
    shares = darks.Shares(sources, (5.9, 0.098), READ, bias_free=False)

    def given(time):
        share = shares.of(dark('image.fits', time, 100))
        return share.source.name, share.factor

    assert given(60) == ('d60.fits', 1)
    assert given(60.03) == ('d60.fits', 1)
    assert given(120) == ('d120.fits', 1)
    assert given(61) == ('d180.fits', pytest.approx((5.9 + 0.098 * 61) / (5.9 + 0.098 * 180)))
    assert given(1) == ('d180.fits', pytest.approx((5.9 + 0.098) / (5.9 + 0.098 * 180)))
    assert given(300) == ('d180.fits', pytest.approx((5.9 + 0.098 * 300) / (5.9 + 0.098 * 180)))
    plain = darks.Shares(sources, None, READ, bias_free=False).of(dark('image.fits', 45, 100))
    assert (plain.source.name, plain.factor) == ('d180.fits', 0.25)
    assert plain.words == '0.25 x d180.fits'
    with pytest.raises(Failure, match=r'd180.fits is a dark of 180 s too: combine_fits'):
        darks.Shares([*sources, dark('e180.fits', 180, 9)], None, READ, bias_free=False)


def test_a_dark_is_read_without_its_bias(dark, make_image):
    frame = dark('a.fits', 60, 1010)
    bias = make_image('bias.fits', np.random.default_rng(1).normal(1000, 2, (NY, NX)).astype('f4'))
    own = darks.Dark(frame.image, 60.0, image_of(bias))
    wanted = reader.read_pixels(frame.image) - reader.read_pixels(image_of(bias))
    np.testing.assert_array_equal(own.read(READ), wanted)
    np.testing.assert_array_equal(own.scaled(READ, 0.5), wanted * np.float32(0.5))
    assert own.words(0.5) == '0.5 x (a.fits without bias.fits)'
    part = own.fitted_to(reader.open_image(Reference('a.fits', None, None)).cut(reader.Region(((2, 5), (1, 4)))))
    np.testing.assert_array_equal(part.read(READ), wanted[1:4, 2:5])


def test_what_was_read_is_at_hand_still(dark, monkeypatch):
    frames = [dark(f'{time}.fits', time, 10) for time in (1, 2, 3, 4)]
    opened = []
    original = reader.read_pixels
    monkeypatch.setattr(
        reader, 'read_pixels', lambda image, **rest: opened.append(image.name) or original(image, **rest)
    )
    read = reader.Reader('ignore', 10**9)
    for number in (0, 1, 2, 0, 1, 2, 3, 0):
        read(frames[number].image)
    assert opened == ['1.fits', '2.fits', '3.fits', '4.fits', '1.fits']


def test_one_file_is_wanted(make_image):
    for name in ('a.fits', 'b.fits'):
        make_image(name, np.zeros((2, 3)))
    with pytest.raises(Failure, match='one bias is wanted, and this names 2 files'):
        darks.open_bias('?.fits')
    assert darks.open_bias(None) is None
    assert darks.open_bias('a.fits').name == 'a.fits'


def test_a_level_of_nothing_is_refused(dark):
    frame = dark('a.fits', 60, 10)
    with pytest.raises(Failure, match=r'a.fits: none of its pixels has a value'):
        darks.refuse_to_scale(frame, (np.nan, np.nan), None, None)
    darks.refuse_to_scale(frame, (10.0, 3.0), 11.0, None)
    with pytest.raises(Failure, match=r'its median is 10, and the line has 1010 counts at 60 s'):
        darks.refuse_to_scale(frame, (10.0, 3.0), 1010.0, None)


def test_types_of_rates_and_darks_answer_alike():
    """What is subtracted is one or the other, and sub_dark does not ask which."""
    asked = ('words', 'fitted_to', 'scaled', 'image')
    assert all(hasattr(darks.RateFile, name) for name in asked)
    assert all(hasattr(darks.Dark, name) or name in darks.Dark.__dataclass_fields__ for name in asked)
    assert isinstance(darks.Share.words, property | types.FunctionType)
