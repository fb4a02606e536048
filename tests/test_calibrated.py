"""files/calibrated: what headers say about bias and dark, written by us and by others."""

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.commands import combine_fits, img_arith
from fitsutils.files import calibrated, reader


@pytest.fixture
def frame(tmp_path):
    """A function that gives an image whose header has some cards."""

    def make(name='frame.fits', history=(), **cards):
        header = fits.Header(cards)
        for line in history:
            header.add_history(line)
        fits.PrimaryHDU(np.zeros((3, 4), 'u2'), header).writeto(tmp_path / name, overwrite=True)
        return reader.open_image(reader.Reference(str(tmp_path / name)), keywords=calibrated.KEYWORDS)

    return make


@pytest.mark.parametrize(
    ('cards', 'wanted'),
    [
        ({}, None),
        ({'BIASSUB': 'mean_bias.fit'}, 'BIASSUB = mean_bias.fit'),
        ({'BIASSUB': False}, None),
        ({'OSLEV1': 942.5}, 'OSLEV1 = 942.5'),
        ({'ZEROCOR': 'Oct 14 10:12 Zero level correction image is Zero'}, 'ZEROCOR = Oct'),
        ({'OVERSCAN': 'Oct 14 10:12 Overscan section is [1:32,1:1024]'}, 'OVERSCAN = Oct'),
        ({'OVERSCAN': 32}, None),
        ({'OVERSCAN': 'no'}, None),
        ({'SUBBIAS': 'ccd=<CCDData>, master=<CCDData>'}, 'SUBBIAS = ccd'),
        ({'L1STATBI': 1}, 'L1STATBI = 1'),
        ({'L1STATBI': 0}, None),
        ({'CALSTAT': 'BDF'}, 'CALSTAT = BDF'),
        ({'CALSTAT': 'D'}, None),
        ({'BIAS': 100}, None),
    ],
)
def test_cards_that_say_that_the_bias_is_out(frame, cards, wanted):
    found = calibrated.bias_out(frame(**cards))
    assert found is wanted if wanted is None else found.startswith(wanted)


STEP = 'img_arith 0.1.0 2021-02-27T04:00:00'


@pytest.mark.parametrize(
    ('lines', 'wanted'),
    [
        ([STEP, '  a.fit - mean_bias.fit'], 'HISTORY: - mean_bias.fit'),
        ([STEP, '  a.fit - Zero.fits'], 'HISTORY: - Zero.fits'),
        ([STEP, '  a.fit - sky.fits'], None),
        ([STEP, '  bias1.fit - sky.fits'], None),
        ([STEP, '  a.fit + mean_bias.fit'], None),
        ([STEP, '  a.fit - dark_biassub.fit'], None),
        ([STEP, '  a.fit - debiased_dark.fit'], None),
        (['combine_fits 0.1.0 2021-02-27T04:00:00', '  001 a - bias.fit'], None),
        ([STEP, '  a.fit x 2', 'combine_fits 0.1.0 2021-02-27T04:00:00', '  x', STEP, '  c - bias.fit'],
         'HISTORY: - bias.fit'),
        (['somebody wrote a - bias.fit'], None),
        ([STEP, f'  {"n" * 60} - mean_bias{"x" * 40}.fit'], f'HISTORY: - mean_bias{"x" * 40}.fit'),
    ],
)  # fmt: skip
def test_history_that_says_so(frame, lines, wanted):
    assert calibrated.bias_out(frame(history=lines)) == wanted


@pytest.mark.parametrize(
    ('cards', 'wanted'),
    [({}, None), ({'DARKSUB': 'd.fit'}, 'DARKSUB = d.fit'), ({'CALSTAT': 'BD'}, 'CALSTAT = BD'),
     ({'CALSTAT': 'B'}, None),
     ({'DARKCOR': 'Oct 14 Dark is d'}, 'DARKCOR = Oct 14 Dark is d'), ({'DARKCOR': 'T'}, None)],
)  # fmt: skip
def test_cards_that_say_that_the_dark_is_out(frame, cards, wanted):
    assert calibrated.dark_out(frame(**cards)) == wanted


@pytest.mark.parametrize(
    ('name', 'cards', 'wanted'),
    [
        ('x.fits', {'IMAGETYP': 'Bias Frame'}, True),
        ('x.fits', {'OBSTYPE': 'zero'}, True),
        ('x.fits', {'OBSTYPE': 'DARK', 'EXPTIME': 0.0}, True),  # as the Nickel telescope has it
        ('bias.fits', {'IMAGETYP': 'Dark Frame', 'EXPTIME': 60.0}, False),
        ('MasterBias.fits', {}, True),
        ('zero_12.fits', {}, True),
        ('debiased.fits', {}, False),
        ('sky.fits', {'EXPTIME': 5.0}, False),
        ('sky.fits', {}, False),
    ],
)
def test_what_a_bias_is(frame, name, cards, wanted):
    assert calibrated.is_bias(frame(name, **cards)) is wanted


@pytest.mark.parametrize(
    ('cards', 'frames', 'saturation'),
    [({}, None, None), ({'NCOMBINE': 5}, 5, None), ({'STACKCNT': 7}, 7, None), ({'NCOMBINE': 0}, None, None),
     ({'SATURATE': 60000}, None, 60000), ({'SATLEVEL': 1000.5}, None, 1000.5), ({'SATURATE': 0}, None, None),
     ({'SATURATE': 'much', 'SATLEVEL': 9.0}, None, 9)],
)  # fmt: skip
def test_numbers_of_frames_and_saturation(frame, cards, frames, saturation):
    image = frame(**cards)
    assert (calibrated.frames(image), calibrated.saturation(image)) == (frames, saturation)


def test_img_arith_writes_down_that_it_took_the_bias_out(tmp_path, monkeypatch, make_image):
    monkeypatch.chdir(tmp_path)
    make_image('a.fit', np.full((4, 5), 1100, 'u2'), EXPTIME=60.0)
    make_image('b.fit', np.full((4, 5), 1000, 'u2'), IMAGETYP='Bias Frame')
    make_image('sky.fit', np.full((4, 5), 3, 'u2'), EXPTIME=60.0)

    def said(path):
        return fits.getheader(path).get('BIASSUB')

    assert img_arith.main(['a.fit', '-', 'b.fit', '-o', 'out.fit', '--set', 'BIASSUB=mine']) == 0
    assert said('out.fit') == 'mine'
    assert img_arith.main(['a.fit', '-', 'b.fit', '-o', 'c.fit']) == 0
    assert said('c.fit') == 'b.fit'
    assert img_arith.main(['c.fit', '-', 'sky.fit', '-o', 'd.fit']) == 0
    assert said('d.fit') == 'b.fit'
    assert combine_fits.main(['c.fit', 'd.fit', '-m', 'mean', '-o', 'e.fit']) == 0
    assert said('e.fit') == 'b.fit'
    assert img_arith.main(['e.fit', '+', 'b.fit', '-o', 'f.fit']) == 0
    assert said('f.fit') is None
    assert img_arith.main(['a.fit', '-', 'sky.fit', '-o', 'g.fit']) == 0
    assert said('g.fit') is None
    assert img_arith.main(['a.fit', '-', '1000', '-o', 'h.fit']) == 0
    assert said('h.fit') is None


@pytest.mark.parametrize(
    ('name', 'cards', 'dark', 'flat'),
    [
        ('x.fits', {'IMAGETYP': 'Dark Frame'}, True, False),
        ('x.fits', {'IMAGETYP': 'FLAT'}, False, True),
        ('x.fits', {'IMAGETYP': 'twilight'}, False, True),
        ('x.fits', {'OBSTYPE': 'OBJECT', 'OBJECT': 'flat frame 001'}, False, True),  # as the Nickel telescope has it
        ('x.fits', {'RSPMETH': 'poly:3'}, False, True),
        ('mean_dark180.fit', {}, True, False),
        ('mean_dark180.fit', {'IMAGETYP': 'Light Frame'}, False, False),
        ('flat_R.fit', {'IMAGETYP': 'Light Frame'}, False, True),
        ('x.fits', {'IMAGETYP': 'Light Frame', 'OBJECT': 'M 1'}, False, False),
        ('x.fits', {}, False, False),
    ],
)
def test_what_darks_and_flats_are(frame, name, cards, dark, flat):
    image = frame(name, **cards)
    assert (calibrated.is_dark(image), calibrated.is_flat(image)) == (dark, flat)


@pytest.mark.parametrize(
    ('kind', 'operator', 'wanted'),
    [
        ('Bias', '-', {'BIASFILE': 'm.fits', 'BIASDMJD': -0.25, 'BIASSUB': 'm.fits'}),
        ('Bias', '+', {'BIASFILE': None, 'BIASDMJD': None, 'BIASSUB': None}),
        ('Bias', '/', {}),
        ('Dark', '-', {'DARKFILE': 'm.fits', 'DARKDMJD': -0.25}),
        ('Dark', '+', {'DARKFILE': None, 'DARKDMJD': None}),
        ('Flat', '/', {'FLATFILE': 'm.fits', 'FLATDMJD': -0.25}),
        ('Flat', 'x', {'FLATFILE': None, 'FLATDMJD': None}),
        ('Flat', '-', {}),
        ('Light', '-', {}),
        ('Light', '/', {}),
    ],
)
def test_what_is_written_of_masters(frame, kind, operator, wanted):
    image, master = frame('a.fits', **{'MJD-OBS': 58000.5}), frame('m.fits', IMAGETYP=kind, **{'MJD-OBS': 58000.25})
    found = dict(calibrated.master_cards(image, operator, master))
    assert {key: card and card[0] for key, card in found.items()} == wanted


def test_a_master_without_a_date_has_no_distance(frame):
    cards = dict(calibrated.master_cards(frame('a.fits', **{'MJD-OBS': 1.0}), '-', frame('m.fits', IMAGETYP='bias')))
    assert (cards['BIASFILE'][0], cards['BIASDMJD']) == ('m.fits', None)


def test_products_name_all_their_masters(tmp_path, monkeypatch, make_image):
    """Bias and flat, and the distance of a later master takes the place of an earlier one's."""
    monkeypatch.chdir(tmp_path)
    ones = np.ones((4, 5), 'u2')
    make_image('sci.fits', 9 * ones, MJD__OBS=58000.0, EXPTIME=60.0)
    for place, kind in enumerate(['bias', 'dark', 'flat'], 1):
        for number in (0, 1):
            date = 58000.0 + place + number / 2
            make_image(f'{kind}{number}.fits', ones, MJD__OBS=date, EXPTIME=60.0 * (place > 1), IMAGETYP=kind)
        assert combine_fits.main([f'{kind}?.fits', '-m', 'mean', '-o', f'm{kind}.fits', '-q']) == 0
    for step, (operator, name) in enumerate([('-', 'bias'), ('-', 'dark'), ('/', 'flat')]):
        inputs = ['sci.fits', 'p0.fits', 'p1.fits'][step]
        assert img_arith.main([inputs, operator, f'm{name}.fits', '-o', f'p{step}.fits', '-q']) == 0
    header = fits.getheader('p2.fits')
    for kind, days in (('BIAS', 1.25), ('DARK', 2.25), ('FLAT', 3.25)):
        assert header[f'{kind}FILE'] == f'm{kind.lower()}.fits'
        assert header[f'{kind}DMJD'] == pytest.approx(days, abs=2e-8)
        assert header.comments[f'{kind}DMJD'] == f'[d] from this exposure to that of {kind}FILE'
    assert calibrated.dark_out(reader.open_image(reader.Reference('p2.fits'))) == 'DARKFILE = mdark.fits'
    assert img_arith.main(['p2.fits', '/', 'flat0.fits', '-o', 'p3.fits', '-q']) == 0
    assert (fits.getval('p3.fits', 'FLATFILE'), fits.getval('p3.fits', 'FLATDMJD')) == ('flat0.fits', 3.0)
