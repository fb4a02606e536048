"""World coordinates of a header: which cards they are, and those of another image in their place."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from fitsutils.errors import Failure
from fitsutils.files import cards as legal
from fitsutils.files import header as headers
from fitsutils.files.plain import PlainCard, PlainHeader

# The standard's keywords of an image's coordinate systems (each with the letter of an alternative one), the polynomials
# of SIP, and the texts in which IRAF keeps its own.
_WORLD = re.compile(
    r'((WCSAXES|WCSNAME|LONPOLE|LATPOLE|RADESYS|EQUINOX|SPECSYS|SSYSOBS|SSYSSRC|VELOSYS|ZSOURCE|VELANGL|RESTFRQ|RESTWAV)[A-Z]?'
    r'|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CNAME|CRDER|CSYER)\d\d?[A-Z]?|CROTA\d\d?|(CD|PC|PV|PS)\d\d?_\d\d?\d?[A-Z]?'
    r'|RADECSYS|RESTFREQ|[AB]P?_(ORDER|DMAX|\d_\d)|WCSDIM|WAT\d_\d{3})\Z'
)
_TABLES = re.compile(r'(CPDIS|CQDIS|D2IMDIS)\d\Z')


def is_world(key: str) -> bool:
    """Whether a keyword tells where the pixels of an image are in the world.

    Parameters
    ----------
    key : str
        The keyword, in capitals.

    Returns
    -------
    bool
        True for CRVAL1, CD1_2, PV2_10, A_ORDER and their like; not for LTV, which counts pixels.

    Examples
    --------
    >>> [is_world(key) for key in ('CRPIX1', 'CRPIX1A', 'PV2_10', 'AP_1_0', 'LTV1', 'RA')]
    [True, True, True, True, False, False]
    """
    return _WORLD.match(key) is not None


def world_cards(cards: Iterable[PlainCard], path: str) -> list[PlainCard]:
    """The world coordinates of a header, as the standard wants them.

    Parameters
    ----------
    cards : iterable of PlainCard
        Cards of a header.
    path : str
        The file, for messages.

    Returns
    -------
    list of PlainCard
        WCSAXES first; at least one.

    Raises
    ------
    Failure
        When there are none, or they go on in tables of other HDUs.
    """
    cards = list(cards)
    if table := next((card.keyword for card in cards if _TABLES.match(card.keyword)), None):
        raise Failure(f'its world coordinates go on in tables ({table}), which are not copied', path)
    kept = PlainHeader(card.text for card in cards if is_world(card.keyword))
    if not any(key.startswith('CTYPE') for key in kept):
        raise Failure('it has no world coordinates (CTYPE1 is missing)', path)
    found = PlainHeader(legal.legal_cards(kept, path))
    return [card for card in found.cards if card.keyword != 'COMMENT']


def check_size(own: Sequence[int], header: Any, axes: Sequence[int], path: str, other: str) -> None:
    """Refuse world coordinates that were measured on an image of another size.

    Parameters
    ----------
    own : sequence of int
        Lengths of the axes of the image that gets them, in FITS order.
    header : mapping
        Of the one that they come from: where it has no image, as in what astrometry.net
        writes, IMAGEW and IMAGEH are the size.
    axes : sequence of int
        Lengths of its own axes.
    path, other : str
        Names of the two, for the message.

    Raises
    ------
    Failure
        When the sizes differ.
    """
    size = tuple(axes[:2])
    if not size:
        said = [headers.as_number(headers.value(header, key)) for key in ('IMAGEW', 'IMAGEH')]
        size = () if None in said else tuple(map(int, said))
    if size and tuple(own[:2]) != size:
        sizes = ' and '.join(' x '.join(map(str, each)) for each in (tuple(own[:2]), size))
        raise Failure(f'the world coordinates of {other} are those of an image of another size: {sizes} pixels', path)
