"""What headers say about the calibration that a frame has been through."""

import os
import re
from typing import Any

from fitsutils.files import header as headers

# What programs write when they have taken the bias out of a frame, and when it was the level of the overscan only:
# img_arith, sub_dark and img_trim, IRAF's ccdproc, astropy's ccdproc, BANZAI.
_BIAS_OUT = ('BIASSUB', 'ZEROCOR', 'SUBBIAS', 'L1STATBI')
_LEVEL_OUT = ('OSLEV1', 'OVERSCAN', 'SUBOSCAN', 'L1STATOV')
_DARK_OUT = ('DARKSUB', 'DARKCOR', 'SUBDARK', 'L1STATDA')
_IN_A_SENTENCE = ('ZEROCOR', 'OVERSCAN', 'DARKCOR')  # so IRAF; cameras have other uses for these words
_FRAMES = ('NCOMBINE', 'STACKCNT')
_SATURATION = ('SATURATE', 'SATLEVEL', 'SATURAT')
LIMITS = (*_SATURATION, 'MAXLIN', 'NONLIN', 'LINLIMIT')  # counts up to which pixels are good, of raw ones
KEYWORDS = (*_BIAS_OUT, *_LEVEL_OUT, *_DARK_OUT, *_FRAMES, *_SATURATION, 'CALSTAT', 'DARKBIAS')
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


def bias_cards(operator: str, operand: Any) -> list[tuple[str, Any]]:
    """What to write down when arithmetic takes a bias out of an image, or puts it back.

    Parameters
    ----------
    operator : str
        The operator: only - and + matter.
    operand : Image
        What is subtracted or added.

    Returns
    -------
    list of (str, value)
        BIASSUB with the bias's name, or None to take that card out; empty where the operand is no bias.
    """
    if operator not in ('-', '+') or not is_bias(operand):
        return []
    return [('BIASSUB', subtracted(operand) if operator == '-' else None)]


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
    return headers.ascii_text(bias.name), 'bias that was subtracted'


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
