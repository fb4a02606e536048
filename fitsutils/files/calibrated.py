"""What headers say about the calibration that a frame has been through."""

import os
import re
from typing import Any

from fitsutils.files import grouping
from fitsutils.files import header as headers

# What programs write when they have taken the bias out of a frame, and when it was the level of the overscan only:
# img_arith, sub_dark and img_trim, IRAF's ccdproc, astropy's ccdproc, BANZAI.
_BIAS_OUT = ('BIASSUB', 'ZEROCOR', 'SUBBIAS', 'L1STATBI')
_LEVEL_OUT = ('OSLEV1', 'OVERSCAN', 'SUBOSCAN', 'L1STATOV')
_DARK_OUT = ('DARKSUB', 'DARKFILE', 'DARKCOR', 'SUBDARK', 'L1STATDA')
_IN_A_SENTENCE = ('ZEROCOR', 'OVERSCAN', 'DARKCOR')  # so IRAF; cameras have other uses for these words
_FRAMES = ('NCOMBINE', 'STACKCNT')
_SATURATION = ('SATURATE', 'SATLEVEL', 'SATURAT')
LIMITS = (*_SATURATION, 'MAXLIN', 'NONLIN', 'LINLIMIT')  # counts up to which pixels are good, of raw ones
KEYWORDS = (*_BIAS_OUT, *_LEVEL_OUT, *_DARK_OUT, *_FRAMES, *_SATURATION, 'CALSTAT', 'DARKBIAS')
# What tells what an operand is, and where it lies in time.
MASTER_KEYWORDS = (*headers.MEAN_START_KEYS, 'RSPMETH')
_MASTERS = {
    'BIAS': 'bias that was subtracted',
    'DARK': 'dark that was subtracted',
    'FLAT': 'flat that it was divided by',
}
_DAY_DIGITS = 8  # a thousandth of a second
_DARK_WORD = re.compile('dark', re.IGNORECASE)
_FLAT_WORD = re.compile('flat|twilight', re.IGNORECASE)
_BIAS_WORD = re.compile(r'(?<!de)(?<!un)bias(?!ed|_?sub|_?free)|zero', re.IGNORECASE)
_COMMAND = re.compile(r'[a-z]+_[a-z]+ \d\S* \d{4}-\d\d-\d\dT')
_DIFFERENCE = re.compile(r' - (\S+)')


def bias_out(image: Any, *, level: bool = True) -> str | None:
    """What in a header says that the bias was taken out of a frame.

    Parameters
    ----------
    image : Image
        The frame; opened with `KEYWORDS` that costs least.
    level : bool
        Whether the level of the overscan, without the pattern of a bias, will do.

    Returns
    -------
    str or None
        Such as ``BIASSUB = mean_bias.fit``: a keyword of this or another program, the letter B in MaxIm
        DL's CALSTAT, or a line of HISTORY in which img_arith subtracted an image whose name has 'bias' or
        'zero' in it. None where nothing says so.
    """
    found = _said(image, _BIAS_OUT + (_LEVEL_OUT if level else ()), 'B')
    if found is not None:
        return found
    for line in _steps(image):
        match = _DIFFERENCE.search(line)
        if match is not None and _BIAS_WORD.search(match[1]):
            return f'HISTORY: - {match[1]}'
    return None


def dark_out(image: Any) -> str | None:
    """What in a header says that a dark was taken out of a frame.

    Parameters
    ----------
    image : Image
        The frame.

    Returns
    -------
    str or None
        Such as ``DARKSUB = mean_dark180.fit``; None where nothing says so.
    """
    return _said(image, _DARK_OUT, 'D')


def _said(image: Any, keys: tuple[str, ...], letter: str) -> str | None:
    for key in keys:
        found = headers.value(image.keywords, key)
        if found in (None, False, 0) or (key in _IN_A_SENTENCE and ' ' not in str(found).strip()):
            continue
        return f'{key} = {found}'
    steps = headers.value(image.keywords, 'CALSTAT')
    return f'CALSTAT = {steps}' if isinstance(steps, str) and letter in steps.upper() else None


def _steps(image: Any) -> list[str]:
    """What img_arith says in HISTORY that it did, one line a step, however many cards it takes."""
    found: list[str] = []
    ours = False
    lines = [str(card.value) for card in image.header.cards if card.keyword == 'HISTORY']
    image.forget_header()
    for line in lines:
        if _COMMAND.match(line):
            ours = line.startswith('img_arith ')
            found.append('')
        elif ours and found:
            found[-1] += line if len(found[-1]) % 72 == 0 else f' {line}'
    return found


def is_bias(image: Any) -> bool:
    """Whether an image is a bias: by its type, its exposure time of 0 or its name.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    bool
        True where IMAGETYP, or the file's name where there is none, has 'bias' or 'zero' in it, or the exposure time
        is 0.
    """
    kind = headers.lookup(image.keywords, 'IMAGETYP')
    name = os.path.basename(image.path) if kind is None else str(kind)
    return _BIAS_WORD.search(name) is not None or headers.exposure(image.keywords) == 0


def is_dark(image: Any) -> bool:
    """Whether an image is a dark: by its type, or its name where it has none.

    Parameters
    ----------
    image : Image
        The image; not a bias.

    Returns
    -------
    bool
        True where IMAGETYP, or the file's name where there is none, has 'dark' in it.
    """
    kind = headers.lookup(image.keywords, 'IMAGETYP')
    return _DARK_WORD.search(os.path.basename(image.path) if kind is None else str(kind)) is not None


def is_flat(image: Any) -> bool:
    """Whether an image that others are divided by is a flat: by its type, its object or its name.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    bool
        True where IMAGETYP, OBJECT or the file's name has 'flat' or 'twilight' in it, or the header says that
        it is a response. Some observatories call flats objects.
    """
    if headers.value(image.keywords, 'RSPMETH') is not None:
        return True
    texts = (headers.lookup(image.keywords, 'IMAGETYP'), headers.lookup(image.keywords, 'OBJECT'))
    return any(_FLAT_WORD.search(str(text)) for text in (*texts, os.path.basename(image.path)))


def _kind(operator: str, operand: Any) -> str | None:
    """What arithmetic takes out of an image, or puts back: BIAS, DARK, FLAT."""
    if operator in ('-', '+'):
        return 'BIAS' if is_bias(operand) else 'DARK' if is_dark(operand) else None
    return 'FLAT' if operator in ('/', 'x', '*') and is_flat(operand) else None


def master_cards(image: Any, operator: str, master: Any) -> list[tuple[str, Any]]:
    """What to write down when arithmetic takes a bias, a dark or a flat out of an image, or puts it back.

    Parameters
    ----------
    image : Image
        The image.
    operator : str
        The operator: - and + for a bias or a dark, / and x for a flat.
    master : Image
        What is subtracted, added, or divided or multiplied by.

    Returns
    -------
    list of (str, value)
        BIASFILE, DARKFILE or FLATFILE with the master's name, BIASDMJD and so on with the days from the start of the
        image's exposure to that of the master's, and BIASSUB; None takes a card out. Empty where the operand is none
        of these.
    """
    kind = _kind(operator, master)
    if kind is None:
        return []
    bias_sub = [('BIASSUB', subtracted(master))] if kind == 'BIAS' else []
    cards = [*named(kind, image, master), *bias_sub]
    return cards if operator in ('-', '/') else [(key, None) for key, _ in cards]


def named(kind: str, image: Any, master: Any) -> list[tuple[str, Any]]:
    """The cards that name a master and say how far in time it is.

    Parameters
    ----------
    kind : {'BIAS', 'DARK', 'FLAT'}
        What it is.
    image : Image
        The image.
    master : Image
        Its master.

    Returns
    -------
    list of (str, value)
        BIASFILE and BIASDMJD, or the like; a distance of None takes the card out.
    """
    name = f'{kind}FILE'
    return [(name, (headers.ascii_text(master.name), _MASTERS[kind])), (f'{kind}DMJD', _distance(image, master, name))]


def _distance(image: Any, master: Any, name: str) -> tuple[float, str] | None:
    starts = [headers.mean_start(each.keywords) for each in (image, master)]
    if None in starts:
        return None
    return round(grouping.days_between(*starts), _DAY_DIGITS), f'[d] from this exposure to that of {name}'


def subtracted(bias: Any) -> tuple[str, str]:
    """Value and comment of BIASSUB.

    Parameters
    ----------
    bias : Image
        What was subtracted.

    Returns
    -------
    (str, str)
        Its name, and what that is.
    """
    return headers.ascii_text(bias.name), _MASTERS['BIAS']


def frames(image: Any) -> float | None:
    """How many frames went into an image.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    float or None
        None where the header does not say.
    """
    numbers = (headers.as_number(headers.value(image.keywords, key)) for key in _FRAMES)
    return next((number for number in numbers if number is not None and number >= 1), None)


def saturation(image: Any) -> float | None:
    """The value from which on pixels are saturated, as a header has it.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    float or None
        SATURATE or SATLEVEL; None where there is none above 0.
    """
    numbers = (headers.as_number(headers.value(image.keywords, key)) for key in _SATURATION)
    return next((number for number in numbers if number is not None and number > 0), None)
