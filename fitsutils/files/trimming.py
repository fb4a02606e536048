"""The header of an image whose overscan was taken off: what is no longer true goes, what was done is said."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fitsutils.errors import Failure
from fitsutils.files import calibrated
from fitsutils.files import header as headers
from fitsutils.files.amplifiers import Window, words_of
from fitsutils.files.detector import Layout
from fitsutils.files.library import fits

_IRAF = ('OVERSCAN', 'TRIM')  # text with the section, where IRAF's ccdproc did it
_CCDPROC = ('SUBOSCAN', 'TRIMIM')
# What `refuse_trimmed` and `refuse_electrons` look up, for `reader.open_image`.
KEYWORDS = ('OSFIT', *_IRAF, *_CCDPROC, 'BUNIT', 'OSGAIN1')

_OVERSCAN_SIZES = ('COVER', 'ROVER')
_OURS = re.compile(r'OS(FIT|STAT|CLIP|GUARD|(DAT|SEC|LEV|SIG|RMS|REJ|GAIN)\d+)\Z')
_ELECTRONS = re.compile(r'(photo-?)?e(lectrons?)?-?(\s*/?\s*pix(el)?)?\Z', re.IGNORECASE)


def refuse_trimmed(image: Any) -> None:
    """Refuse an image that was trimmed, or whose overscan was taken off, already.

    Parameters
    ----------
    image : Image
        Opened with `KEYWORDS`.

    Raises
    ------
    Failure
        When cards of ours, of IRAF's or of Python's ccdproc say so.
    """
    found = {key: headers.value(image.keywords, key) for key in ('OSFIT', *_IRAF, *_CCDPROC)}
    done = [key for key, said in found.items() if said is not None and (key not in _IRAF or 'section' in str(said))]
    if done:
        raise Failure(
            f'it is trimmed already: {done[0]} = {str(found[done[0]]).strip()!r}; --force-again does it all the same',
            image.path,
        )


def refuse_electrons(image: Any) -> None:
    """Refuse an image that is in electrons already.

    Parameters
    ----------
    image : Image
        Opened with `KEYWORDS`.

    Raises
    ------
    Failure
        When BUNIT or OSGAIN1 say so.
    """
    unit = str(headers.value(image.keywords, 'BUNIT') or '').strip()
    said = f'BUNIT = {unit!r}' if _ELECTRONS.match(unit) else None
    if said is None and headers.value(image.keywords, 'OSGAIN1') is not None:
        said = 'there is an OSGAIN1'
    if said:
        raise Failure(f'it is in electrons already: {said}; --force-again multiplies all the same', image.path)


def numbers_for(words: Sequence[str], names: Sequence[str], image: Any, what: str, *, zero: bool = True) -> list[float]:
    """A number of each amplifier, from an option.

    Parameters
    ----------
    words : sequence of str
        One for all or one for each; each is a number or a keyword. Where a keyword with the amplifier's
        name behind it is there (GAINA), it comes first.
    names : sequence of str
        Names of the amplifiers.
    image : Image
        The image.
    what : str
        The option, for messages.
    zero : bool
        Whether 0 will do.

    Returns
    -------
    list of float
        Finite, not negative.

    Raises
    ------
    Failure
        When there are more or fewer words than amplifiers, a keyword has no number, or a number is too small.
    """
    if len(words) not in (1, len(names)):
        raise Failure(f'{what} gives {len(words)} numbers, and there are {len(names)} amplifiers', image.path)
    found = []
    for name, word in zip(names, list(words) * (len(names) // len(words)), strict=True):
        number = headers.as_number(word)
        if number is None:
            own = word.upper() + name
            there = name and headers.value(image.keywords, own) is not None
            number = headers.needed_number(image.keywords, own if there else word, image.path)
        if number < 0 or (number == 0 and not zero):
            raise Failure(f'{what} {number:g}: it must be {"0 or more" if zero else "above 0"}', image.path)
        found.append(number)
    return found


def trimmed_header(image: Any, window: Window, lines: Sequence[str]) -> fits.Header:
    """The header of a part of an image, with what was done to it.

    Parameters
    ----------
    image : Image
        The raw image, or a part of it along leading axes.
    window : (slice, slice)
        Rows and columns of the part.
    lines : sequence of str
        What was done, for HISTORY.

    Returns
    -------
    Header
        A copy, in which all that speaks of pixel positions has moved along; of trimming cards of an earlier time
        nothing is left.
    """
    header = image.header.copy()
    image.forget_header()
    headers.cut_to(header, (*image.slices[:-2], *window))
    for key in [key for key in dict.fromkeys(header) if _OURS.match(key)]:
        del header[key]
    headers.add_history(header, 'img_trim', lines)
    return header


def settle_sections(header: fits.Header, layout: Layout) -> None:
    """Make the header's sections those of an image of nothing but pixels; it is changed in place.

    DATASEC becomes the whole image; BIASSEC, TRIMSEC and those of the single amplifiers go, COVER and ROVER
    become 0. CCDSEC and DETSEC stay where they go with the joined image.

    Parameters
    ----------
    header : Header
        Of the part that `Layout.window` is.
    layout : Layout
        The amplifiers.
    """
    ny, nx = layout.shape
    for key in [key for key in dict.fromkeys(header) if headers.is_on_detector(key)]:
        ends = headers.section_ends(header, key)
        whole = key in ('CCDSEC', 'DETSEC')
        if not whole or (ends and not layout.is_whole and any(
            (last - first + 1) % size for (first, last), size in zip(ends, (nx, ny), strict=True)
        )):  # fmt: skip
            del header[key]
    for key in [key for key in dict.fromkeys(header) if headers.is_section(key)]:
        del header[key]
    header['DATASEC'] = (f'[1:{nx},1:{ny}]', 'pixels without overscan')
    for key in _OVERSCAN_SIZES:
        if key in header:
            header[key] = 0


def move_limits(
    header: fits.Header, steps: Sequence[tuple[float, float]], names: Sequence[str], dtype: np.dtype
) -> None:
    """Let the cards that name values of pixels follow what was done to these; the header is changed in place.

    From which count on pixels are saturated or not linear (`calibrated.LIMITS`) becomes what such a pixel is now, the
    least over the amplifiers; with an amplifier's name behind the keyword, that of its pixels. Where the value taken
    off was as high, or all of it is missing, the card goes. DATAMIN and DATAMAX go.

    Parameters
    ----------
    header : Header
        Of the product.
    steps : sequence of (float, float)
        For each amplifier the largest value that was taken off, and what the rest was multiplied by.
    names : sequence of str
        Names of the amplifiers.
    dtype : dtype
        Of the pixels, float: the limit is rounded as they are, so that a full pixel does not fall below it.
    """
    for key in ('DATAMIN', 'DATAMAX'):
        header.remove(key, ignore_missing=True)
    for key in calibrated.LIMITS:
        _move_limit(header, key, steps, dtype)
        for name, step in zip(names, steps, strict=True):
            if name:
                _move_limit(header, key + name, [step], dtype)


def _move_limit(header: fits.Header, key: str, steps: Sequence[tuple[float, float]], dtype: np.dtype) -> None:
    limit = headers.as_number(headers.value(header, key))
    if limit is None:
        return
    with np.errstate(over='ignore'):
        least = min(float(dtype.type((limit - value) * gain)) for value, gain in steps)
    if math.isfinite(least) and least > 0:
        header[key] = least
    else:
        del header[key]


def overscan_cards(
    fit: Any, guard: tuple[int, int], layout: Layout, windows: Sequence[Window], measured: Sequence[Any]
) -> list[tuple[str, Any, str]]:
    """The cards that say what was taken off.

    Parameters
    ----------
    fit : overscan.Fit
        How.
    guard : (int, int)
        Overscan columns left out at the first and last edge.
    layout : Layout
        The amplifiers.
    windows : sequence of (slice, slice)
        The overscan of each that was used; empty where nothing was taken off.
    measured : sequence of overscan.Measured
        What each gave.

    Returns
    -------
    list of (str, value, str)
        Keyword, value and comment: OSFIT, OSSTAT, OSCLIP, OSGUARD; OSDATn, OSSECn, OSLEVn, OSSIGn, OSRMSn,
        OSREJn of each amplifier. A number that is not finite has no card.
    """
    cards: list[tuple[str, Any, str]] = [('OSFIT', str(fit), 'how the overscan was taken off')]
    if measured:
        cards += [
            ('OSSTAT', fit.stat, 'of overscan pixels'),
            ('OSGUARD', f'{guard[0]},{guard[1]}', 'overscan columns left out at its edges'),
        ]
    if measured and fit.clip is not None:
        cards.append(('OSCLIP', float(fit.clip), 'sigma, beyond which overscan was left out'))
    for number, amplifier in enumerate(layout.amplifiers, 1):
        name = f' of amplifier {amplifier.name or number}'
        cards.append((f'OSDAT{number}', words_of(amplifier.data), f'raw pixels{name}'))
        if not measured:
            continue
        found = measured[number - 1]
        cards += [
            (f'OSSEC{number}', words_of(windows[number - 1]), f'raw overscan{name}'),
            (f'OSLEV{number}', found.level, f'[adu] overscan level{name}'),
            (f'OSSIG{number}', found.scatter, f'[adu] scatter of the overscan{name}'),
            (f'OSRMS{number}', found.rms, f'[adu] rms about the fit{name}'),
        ]
        if fit.clip is not None:
            cards.append((f'OSREJ{number}', found.rejected, f'overscan pixels left out{name}'))
    return [(key, _rounded(said), comment) for key, said, comment in cards if said == said]  # not NaN


def _rounded(said: Any) -> Any:
    """A number to the eight digits that mean something; the last ones of a fit are the machine's."""
    return float(f'{said:.8g}') if isinstance(said, float) else said


def to_electrons(header: fits.Header, gains: Sequence[float], words: Sequence[str], names: Sequence[str]) -> None:
    """Say that the pixels are in electrons; the header is changed in place.

    The keywords that the gains were taken from become 1, so that a later command that reads them does not
    multiply again.

    Parameters
    ----------
    header : Header
        Of the product.
    gains : sequence of float
        Electrons per data number of each amplifier.
    words : sequence of str
        What ``--gain`` said.
    names : sequence of str
        Names of the amplifiers.
    """
    header['BUNIT'] = ('electron', 'unit of the pixels')
    for number, gain in enumerate(gains, 1):
        header[f'OSGAIN{number}'] = (float(gain), '[electron/adu] gain that was applied')
    for word in words:
        if headers.as_number(word) is not None:
            continue
        for key in headers.keywords_behind(word) + tuple(word.upper() + name for name in names if name):
            if headers.as_number(headers.value(header, key)) is not None:
                header[key] = (1.0, 'the pixels are in electrons')
