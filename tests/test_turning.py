"""Headers that follow flips and rotations: the sky stays on the pixels, whatever way the WCS is written."""

import itertools
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import FileWarning
from fitsutils.files import turning
from fitsutils.files.turning import Turn, turn_header, turn_of
from fitsutils.pixels import orientation

NX, NY = 40, 30
FLIPS, ANGLES = (None, 'x', 'y', 'both'), (None, 90, 180, 270)
TURNS = list(itertools.product(FLIPS, ANGLES))
every_turn = pytest.mark.parametrize(('flip', 'rotate'), TURNS)

SKY = {'CTYPE1': 'RA---TAN', 'CTYPE2': 'DEC--TAN', 'CRVAL1': 150.0, 'CRVAL2': 30.0, 'CRPIX1': 11.5, 'CRPIX2': 22.25}
SYSTEMS = {
    'cd': {**SKY, 'CD1_1': -2e-4, 'CD1_2': 3e-5, 'CD2_1': 2.5e-5, 'CD2_2': 1.9e-4},
    'sparse cd': {**SKY, 'CD1_2': 2e-4, 'CD2_1': 1e-4},
    'pc': {**SKY, 'PC1_1': 0.9, 'PC1_2': 0.1, 'PC2_1': -0.2, 'PC2_2': 1.1, 'CDELT1': -2e-4, 'CDELT2': 1e-4},
    'part of pc': {**SKY, 'PC1_2': 0.1, 'CDELT1': -2e-4, 'CDELT2': 1e-4},
    'cdelt': {**SKY, 'CDELT1': -2e-4, 'CDELT2': 1e-4},
    'crota': {**SKY, 'CDELT1': -2e-4, 'CDELT2': 1e-4, 'CROTA2': 25.0},
    'spectrum': {'CTYPE1': 'WAVE', 'CUNIT1': 'Angstrom', 'CRVAL1': 4000.0, 'CRPIX1': 1.0, 'CDELT1': 1.25},
    'pixels only': {'CRPIX1': 5.0, 'CRPIX2': 6.0},
    'sip': {
        **SKY, 'CTYPE1': 'RA---TAN-SIP', 'CTYPE2': 'DEC--TAN-SIP',
        'CD1_1': -2e-4, 'CD1_2': 3e-5, 'CD2_1': 2e-5, 'CD2_2': 2e-4,
        'A_ORDER': 3, 'A_2_0': 1e-3, 'A_1_1': 3e-4, 'A_0_2': -2e-4, 'A_2_1': 2e-5, 'A_0_3': 1e-5,
        'B_ORDER': 2, 'B_2_0': -5e-4, 'B_1_1': 7e-4, 'B_0_2': 4e-4,
        'AP_ORDER': 2, 'AP_1_0': 1e-3, 'AP_0_2': 2e-4, 'BP_ORDER': 2, 'BP_0_1': 2e-3, 'BP_2_0': 3e-4,
    },
}  # fmt: skip


def header_of(cards):
    header = fits.Header([('NAXIS', 2), ('NAXIS1', NX), ('NAXIS2', NY)])
    header.update(cards)
    return header


def wcs_of(header, letter=' '):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return WCS(header, naxis=2, key=letter)


def places(turn_words):
    """Where each pixel of the new image was in the old one, by turning the places themselves as pixels."""
    y, x = np.mgrid[0:NY, 0:NX]
    return [orientation.turned(each, *turn_words) for each in (x, y)]


@every_turn
def test_pixels_go_where_the_header_says(flip, rotate):
    x, y = places((flip, rotate))
    turn = turn_of(flip, rotate)
    for row, column in ((0, 0), (3, 7), (x.shape[0] - 1, x.shape[1] - 1)):
        old = (int(x[row, column]) + 1, int(y[row, column]) + 1)
        assert turn.moved(old, (NX, NY)) == (column + 1, row + 1)


@every_turn
@pytest.mark.parametrize('system', SYSTEMS)
def test_the_sky_stays_on_the_pixels(flip, rotate, system):
    header = header_of(SYSTEMS[system])
    before = wcs_of(header)
    turn_header(header, turn_of(flip, rotate), (NX, NY))
    x, y = places((flip, rotate))
    rows, columns = np.indices(x.shape)
    wanted = before.all_pix2world(x.ravel(), y.ravel(), 0)
    found = wcs_of(header).all_pix2world(columns.ravel(), rows.ravel(), 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)


@every_turn
@pytest.mark.parametrize('names', [('A', 'B'), ('AP', 'BP')])
def test_shifts_of_sip_point_the_same_way(flip, rotate, names):
    """What the polynomials add to a pixel's place is turned as the place is, on the way there and back."""

    def shift(header, u, v):
        keys = [[key for key in header if key.startswith(f'{name}_') and key[-1].isdigit()] for name in names]
        terms = [[(int(key[-3]), int(key[-1]), header[key]) for key in each] for each in keys]
        return [sum(number * u**p * v**q for p, q, number in each) for each in terms]

    header = header_of(SYSTEMS['sip'])
    before = shift(header, 7.0, -4.0)
    turn = turn_of(flip, rotate)
    turn_header(header, turn, (NX, NY))
    about = (-1, -1)  # with a size of -1 places turn about (0, 0), as offsets do
    assert shift(header, *turn.moved((7.0, -4.0), about)) == pytest.approx(turn.moved(before, about), rel=1e-12)
    assert max(abs(each) for each in before) > 0.001


@every_turn
def test_alternate_systems_turn_too(flip, rotate):
    cards = {f'{key}C': value for key, value in SYSTEMS['cd'].items()}
    header = header_of({**SYSTEMS['pc'], **cards})
    before = {letter: wcs_of(header, letter) for letter in ' C'}
    turn_header(header, turn_of(flip, rotate), (NX, NY))
    x, y = places((flip, rotate))
    for letter, old in before.items():
        wanted = old.all_pix2world(x[3, 8], y[3, 8], 0)
        np.testing.assert_allclose(wcs_of(header, letter).all_pix2world(8, 3, 0), wanted, rtol=1e-12)


@every_turn
@pytest.mark.parametrize('cards', [{}, {'LTV1': -60.0, 'LTV2': 2.5, 'LTM1_1': 0.5, 'LTM2_2': 0.25}])
def test_physical_coordinates(flip, rotate, cards):
    """logical = LTM physical + LTV holds for every pixel before and after."""

    def physical(header, place):
        matrix = [[header.get(f'LTM{i}_{j}', float(i == j)) for j in (1, 2)] for i in (1, 2)]
        return np.linalg.solve(matrix, np.subtract(place, [header.get(f'LTV{i}', 0.0) for i in (1, 2)]))

    header = header_of(cards)
    before = header.copy()
    turn_header(header, turn_of(flip, rotate), (NX, NY))
    for place in ((1, 1), (7, 29), (NX, 3)):
        new = turn_of(flip, rotate).moved(place, (NX, NY))
        if (flip, rotate) != (None, None):
            np.testing.assert_allclose(physical(header, new), physical(before, place), rtol=1e-12)


@every_turn
def test_sections_hold_the_same_pixels(flip, rotate):
    header = header_of({'DATASEC': '[1:32,1:30]', 'BIASSEC': '[33:40,3:28]', 'BSEC12': '[5:5,1:2]', 'TRIMSEC': 'odd',
                        'CCDSEC': '[1:64,1:60]'})  # fmt: skip
    inside = np.zeros((NY, NX), bool)
    inside[2:28, 32:40] = True
    turn_header(header, turn_of(flip, rotate), (NX, NY))
    rows, columns = np.nonzero(orientation.turned(inside, flip, rotate))
    assert header['BIASSEC'] == f'[{columns.min() + 1}:{columns.max() + 1},{rows.min() + 1}:{rows.max() + 1}]'
    assert (header['TRIMSEC'], header['CCDSEC']) == ('odd', '[1:64,1:60]')
    assert header['BSEC12'].count(':') == 2


def test_axes_that_are_named_swap():
    header = header_of({'DISPAXIS': 1, 'XBINNING': 2, 'YBINNING': 1, 'CCDSUM': '2 1', 'BINX': 4})
    turn_header(header, turn_of(None, 90), (NX, NY))
    assert [header[key] for key in ('DISPAXIS', 'XBINNING', 'YBINNING', 'CCDSUM', 'BINX')] == [2, 1, 2, '1 2', 4]
    turn_header(header, turn_of('x', 180), (NY, NX))
    assert [header[key] for key in ('DISPAXIS', 'XBINNING', 'CCDSUM')] == [2, 1, '1 2']


def test_no_turn_changes_nothing():
    header = header_of(SYSTEMS['sip'])
    before = header.copy()
    turn_header(header, turn_of(None, None), (NX, NY))
    assert header == before


def test_a_header_without_coordinates_gets_physical_ones_only():
    header = header_of({'OBJECT': 'M1'})
    turn_header(header, turn_of('x', None), (NX, NY))
    assert set(header) == {'NAXIS', 'NAXIS1', 'NAXIS2', 'OBJECT', 'LTV1', 'LTV2', 'LTM1_1', 'LTM2_2'}
    assert (header['LTV1'], header['LTM1_1']) == (NX + 1, -1)


def test_a_plate_solution_does_not_turn_and_goes():
    plate = {'CNPIX1': 12, 'CNPIX2': 7, 'AMDX1': 67.1, 'AMDX20': 0.0, 'AMDY13': 1e-5, 'PPO3': 1.0, 'PLTRAH': 5,
             'PLTDECSN': '+', 'PLTDECD': 2}  # fmt: skip
    header = header_of({**plate, 'PLTLABEL': 'E1453'})
    with pytest.warns(FileWarning, match=r'a.fits: the plate solution in its header \(CNPIX1, AMDX1'):
        turn_header(header, turn_of('x', None), (NX, NY), 'a.fits')
    assert not set(plate) & set(header)
    assert 'PLTLABEL' in header


def test_a_distortion_that_can_not_follow_is_told():
    with pytest.warns(FileWarning, match=r'a.fits: the table of a distortion'):
        turn_header(header_of({**SYSTEMS['cd'], 'CPDIS1': 'LOOKUP'}), turn_of('x', None), (NX, NY), 'a.fits')


@given(st.lists(st.sampled_from(TURNS), max_size=4))
def test_turns_one_after_the_other_are_one(steps):
    whole, size, place = Turn(), (NX, NY), (3.0, 11.5)
    for words in steps:
        turn = turn_of(*words)
        place, size = turn.moved(place, size), size[::-1] if turn.swaps else size
        whole = whole.then(turn)
    assert whole.moved((3.0, 11.5), (NX, NY)) == place


@given(st.sampled_from(TURNS), st.sampled_from(sorted(set(SYSTEMS) - {'crota', 'cdelt', 'spectrum', 'pixels only'})))
def test_four_times_there_is_back_again(words, system):
    header = header_of(SYSTEMS[system])
    before, size = wcs_of(header), (NX, NY)
    for _ in range(4):
        turn = turn_of(*words)
        turn_header(header, turn, size)
        size = size[::-1] if turn.swaps else size
    np.testing.assert_allclose(wcs_of(header).all_pix2world(7, 9, 0), before.all_pix2world(7, 9, 0), rtol=1e-12)


def test_real_sip(data):
    path = data / 'header_zoo' / 'panoptes_solved.fits.fz'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        header = fits.getheader(path, 1)
        size = header['NAXIS1'], header['NAXIS2']
        before = WCS(header)
        turn_header(header, turn_of('y', 90), size)
        after = WCS(header)
    assert before.sip is not None
    old = (100.0, 600.0)
    new = turn_of('y', 90).moved(old, size)
    np.testing.assert_allclose(after.all_pix2world(*new, 1), before.all_pix2world(*old, 1), rtol=1e-12)


def test_tables_say_the_same():
    assert set(turning._FLIPS) - {None} == set(orientation.FLIPS)
    assert set(turning._ROTATIONS) - {None} == set(orientation.ANGLES)
