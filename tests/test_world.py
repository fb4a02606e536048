import pytest
from astropy.io import fits
from astropy.wcs import WCS

from fitsutils.errors import Failure, FileWarning
from fitsutils.files import edits, world
from fitsutils.files.edits import Edits, WorldOf


def sip():
    """A plane with SIP terms and an alternative system, as astrometry.net writes the first."""
    header = fits.Header({
        'OBJECT': 'M 1', 'WCSAXES': 2, 'CTYPE1': 'RA---TAN-SIP', 'CTYPE2': 'DEC--TAN-SIP', 'EQUINOX': 2000.0,
        'CRVAL1': 83.6, 'CRVAL2': 22.0, 'CRPIX1': 5.0, 'CRPIX2': 4.0, 'CUNIT1': 'deg', 'CUNIT2': 'deg',
        'CD1_1': -2e-4, 'CD1_2': 1e-6, 'CD2_1': 1e-6, 'CD2_2': 2e-4, 'A_ORDER': 2, 'A_0_2': 1e-5, 'A_1_1': 0.0,
        'A_2_0': 0.0, 'B_ORDER': 2, 'B_0_2': 0.0, 'B_1_1': 0.0, 'B_2_0': -1e-5, 'AP_ORDER': 2, 'AP_0_0': 0.0,
        'BP_ORDER': 2, 'BP_0_0': 0.0, 'IMAGEW': 9, 'IMAGEH': 7, 'LTV1': 3.0,
    })  # fmt: skip
    return edits.cards_of(header.tostring(endcard=False, padding=False).encode())


def target(**more):
    cards = {'OBJECT': 'M 1', 'CTYPE1': 'RA---TAN', 'CTYPE2': 'DEC--TAN', 'CRVAL1': 80.0, 'CRVAL2': 20.0,
             'CRPIX1': 1.0, 'CRPIX2': 1.0, 'CDELT1': -1.0, 'CDELT2': 1.0, 'CROTA2': 5.0, 'EXPTIME': 60.0,
             'LTV1': 0.0, **more}  # fmt: skip
    return edits.cards_of(fits.Header(cards).tostring(endcard=False, padding=False).encode())


def header_of(cards):
    return fits.Header.fromstring(''.join(card.text for card in cards))


def test_all_that_belongs_to_it_is_taken():
    found = world.world_cards(sip(), 'a.fits')
    keys = [card.keyword for card in found]
    assert keys[0] == 'WCSAXES'
    assert not {'OBJECT', 'IMAGEW', 'LTV1'} & set(keys)
    assert len(keys) == len(sip()) - 4
    assert [card.text for card in found] == [card.text for card in sip() if card.keyword in keys]


@pytest.mark.parametrize('before', [target(), target(PV2_1=3.0, A_ORDER=2, CRVAL1A=5.0, WCSNAMEA='x'), sip()[:1]])
def test_it_takes_the_place_of_all_that_was_there(before):
    new = WorldOf(world.world_cards(sip(), 'b.fits'), 'b.fits')
    cards, changes = edits.edited(before, Edits(), 'a.fits', coordinates=new)
    found = [card for card in cards if world.is_world(card.keyword)]
    assert [card.text for card in found] == [card.text for card in new.cards]
    rest = [card.text for card in cards if not world.is_world(card.keyword)]
    assert rest == [card.text for card in before if not world.is_world(card.keyword)]
    ours, theirs = WCS(header_of(cards)), WCS(header_of(sip()))
    for place in ((1, 1), (3.5, 6), (9, 7)):
        assert [float(x) for x in ours.all_pix2world(*place, 1)] == [float(x) for x in theirs.all_pix2world(*place, 1)]
    again, none = edits.edited(cards, Edits(), 'a.fits', coordinates=new)
    assert (none, [card.text for card in again]) == ([], [card.text for card in cards])
    assert changes[0].remark == 'world coordinates of b.fits'
    gone = {card.keyword: card for card in before if world.is_world(card.keyword)}
    told = {change.key: change for change in changes[1:]}
    assert set(told) == {key for key, card in gone.items() if card.text not in [each.text for each in new.cards]}
    if 'CROTA2' in gone:
        assert told['CROTA2'].remark == 'CROTA2 was 5.0'


def test_where_there_was_none_it_stands_before_commentary():
    before = edits.cards_of(header_text('OBJECT', 'M 1') + b'HISTORY x'.ljust(80))
    cards, _ = edits.edited(before, Edits(), 'a.fits', coordinates=WorldOf(world.world_cards(sip(), 'b'), 'b'))
    assert [card.keyword for card in (cards[0], cards[1], cards[-1])] == ['OBJECT', 'WCSAXES', 'HISTORY']


def header_text(key, value):
    return str(fits.Card(key, value)).encode()


def test_none():
    with pytest.raises(Failure, match=r'a\.fits: it has no world coordinates \(CTYPE1 is missing\)'):
        world.world_cards(target()[:1], 'a.fits')
    with pytest.raises(Failure, match=r'go on in tables \(CPDIS1\)'):
        world.world_cards(target(CPDIS1='LOOKUP'), 'a.fits')


def test_cards_against_the_standard_are_put_right():
    cards = [card for card in sip() if card.keyword != 'CRVAL1'] + edits.cards_of(header_text('CRVAL1', '83.6'))
    with pytest.warns(FileWarning, match='CRVAL1'):
        found = world.world_cards(cards, 'a.fits')
    assert [edits.content(card) for card in found if card.keyword == 'CRVAL1'] == [83.6]


@pytest.mark.parametrize(
    ('own', 'said', 'axes', 'fits_it'),
    [
        ((9, 7), {}, (9, 7), True), ((9, 7), {}, (9, 7, 3), True), ((9, 7, 3), {}, (9, 7), True),
        ((9, 7), {}, (7, 9), False), ((9, 7), {'IMAGEW': 9, 'IMAGEH': 7}, (), True),
        ((9, 7), {'IMAGEW': 9, 'IMAGEH': 8}, (), False), ((9, 7), {}, (), True), ((9, 7), {'IMAGEW': 1}, (), True),
    ],
)  # fmt: skip
def test_sizes(own, said, axes, fits_it):
    if fits_it:
        world.check_size(own, said, axes, 'a.fits', 'b.fits')
        return
    with pytest.raises(
        Failure, match=r'a\.fits: the world coordinates of b\.fits are those of an image of another size'
    ):
        world.check_size(own, said, axes, 'a.fits', 'b.fits')
