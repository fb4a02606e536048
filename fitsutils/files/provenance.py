"""The header of a combination: what went into it, and what it stands for in time."""

import contextlib
import dataclasses
import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from astropy.io import fits

from fitsutils.files import header as headers

_MOST_NUMBERED = 999  # IMCMBnnn has three digits
_OLD = re.compile(r'(NCOMBINE|NREJALL|NSKIPPED|CMB[A-Z]+|IM(CMB|DAT|SCL|WGT)\d{3})\Z')


@dataclasses.dataclass(frozen=True)
class Method:
    """How images were combined, in words for the header.

    Attributes
    ----------
    name : str
        The method, such as 'median'.
    clip : str
        What was rejected, such as 'max 1' or 'none'.
    scaling : str
        What the images were scaled by, such as 'mean' or 'none'.
    scales, weights : sequence of float or None
        One number an image; None where there are none.
    unit : float or None
        What the result was divided by.
    empty : int
        Pixels with nothing left.
    skipped : sequence of str
        Inputs that could not be used.
    """

    name: str
    clip: str = 'none'
    scaling: str = 'none'
    scales: Sequence[float] | None = None
    weights: Sequence[float] | None = None
    unit: float | None = None
    empty: int = 0
    skipped: Sequence[str] = ()

    def without(self, skipped: Sequence[str]) -> 'Method':
        """The same with inputs that could not be used.

        Parameters
        ----------
        skipped : sequence of str
            What was wrong with each.

        Returns
        -------
        Method
            A copy.
        """
        return dataclasses.replace(self, skipped=tuple(skipped))


def combined_header(
    images: Sequence[Any], command: str, method: Method, cards: Iterable[tuple[str, Any]] = ()
) -> fits.Header:
    """The header of a combination: the first image's, and what the others add.

    Parameters
    ----------
    images : sequence of Image
        The images that were combined.
    command : str
        Name of the command.
    method : Method
        How they were combined.
    cards : iterable of (str, value)
        What ``--set`` asks for.

    Returns
    -------
    Header
        With NCOMBINE, IMCMBnnn and IMDATnnn (names and dates, up to 999
        images), the method, EXPTIME as the combination means it, DATE-BEG, DATE-AVG, DATE-END and MJD-AVG.
    """
    header = images[0].header.copy()
    for key in [key for key in header if _OLD.match(key)]:
        del header[key]
    if not images[0].is_whole:
        headers.cut_to(header, images[0].slices)
    _set_times(header, images, method.name)
    _set_method(header, len(images), method)
    if len(images) <= _MOST_NUMBERED:
        _set_inputs(header, images, method)
    for key, content in cards:
        header[key] = content
    headers.add_history(header, command, _lines(images, method))
    return header


def _set_times(header: fits.Header, images: Sequence[Any], name: str) -> None:
    exposures = [headers.exposure(image.header) for image in images]
    total = np.inf if None in exposures else sum(exposures)
    if np.isfinite(total):
        seconds = total if name == 'sum' else total / len(exposures)
        for key in headers.ALIASES['EXPTIME']:
            if headers.as_number(headers.value(header, key)) is not None:
                header[key] = seconds
    starts = [headers.observation_time(image.header) for image in images]
    if None in starts:
        return
    with contextlib.suppress(OverflowError):  # times that no calendar holds are left out
        _set_dates(header, starts, exposures)


def _set_dates(header: fits.Header, starts: Sequence[datetime.datetime], exposures: Sequence[float | None]) -> None:
    spans = [datetime.timedelta(seconds=seconds or 0.0) for seconds in exposures]
    ends = [start + span for start, span in zip(starts, spans, strict=True)]
    first = starts[0]
    middle = first + sum(
        ((start - first) + span / 2 for start, span in zip(starts, spans, strict=True)), datetime.timedelta()
    ) / len(starts)
    header['DATE-BEG'] = (headers.date_text(min(starts)), 'start of the first exposure')
    header['DATE-AVG'] = (headers.date_text(middle), 'mean of the middles of the exposures')
    header['DATE-END'] = (headers.date_text(max(ends)), 'end of the last exposure')
    header['MJD-AVG'] = (round(headers.mjd(middle), 8), 'DATE-AVG as MJD')


def _set_method(header: fits.Header, count: int, method: Method) -> None:
    header['NCOMBINE'] = (count, 'number of images combined')
    header['CMBMETH'] = (method.name, 'how the images were combined')
    header['CMBCLIP'] = (method.clip, 'what was rejected of each pixel')
    header['CMBSCALE'] = (method.scaling, 'images were scaled to the first one by')
    if method.unit is not None:
        header['CMBUNIT'] = (method.unit, 'the result was divided by this')
    if method.empty:
        header['NREJALL'] = (method.empty, 'pixels with nothing left')
    if method.skipped:
        header['NSKIPPED'] = (len(method.skipped), 'inputs that could not be read')


def _set_inputs(header: fits.Header, images: Sequence[Any], method: Method) -> None:
    for number, image in enumerate(images, 1):
        header[f'IMCMB{number:03d}'] = headers.ascii_text(image.name)
    for number, image in enumerate(images, 1):
        if (start := headers.observation_time(image.header)) is not None:
            header[f'IMDAT{number:03d}'] = headers.date_text(start)
    for key, numbers in (('IMSCL', method.scales), ('IMWGT', method.weights)):
        for number, content in enumerate(() if numbers is None else numbers, 1):
            header[f'{key}{number:03d}'] = float(content)


def _lines(images: Sequence[Any], method: Method) -> list[str]:
    lines = [f'{method.name} of {len(images)} images, clip {method.clip}, scaled by {method.scaling}']
    lines += [f'left out: {name}' for name in method.skipped]
    if len(images) <= _MOST_NUMBERED:
        return lines + [f'{number:03d} {image.name}' for number, image in enumerate(images, 1)]
    return [*lines, 'the images are listed in the extension INPUTS']


def inputs_table(images: Sequence[Any], method: Method) -> list[fits.BinTableHDU]:
    """The table of inputs that a combination of more than 999 images carries.

    Parameters
    ----------
    images : sequence of Image
        The images that were combined.
    method : Method
        How they were combined.

    Returns
    -------
    list of BinTableHDU
        One table with name, date, scale and weight; nothing for fewer images.
    """
    if len(images) <= _MOST_NUMBERED:
        return []
    names = [headers.ascii_text(image.name) for image in images]
    starts = [headers.observation_time(image.header) for image in images]
    dates = ['' if start is None else headers.date_text(start) for start in starts]
    ones = np.ones(len(images))
    columns = [
        fits.Column('NAME', f'{max(map(len, names))}A', array=names),
        fits.Column('DATE', '23A', array=dates),
        fits.Column('SCALE', 'D', array=ones if method.scales is None else np.asarray(method.scales)),
        fits.Column('WEIGHT', 'D', array=ones if method.weights is None else np.asarray(method.weights)),
    ]
    return [fits.BinTableHDU.from_columns(columns, name='INPUTS')]
