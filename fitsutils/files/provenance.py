"""The header of a combination: what went into it, and what it stands for in time."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitsutils.files import cards, placing, plain
from fitsutils.files import header as headers
from fitsutils.files.library import fits

_MOST_NUMBERED = 999  # IMCMBnnn has three digits
_OLD = re.compile(r'(NCOMBINE|NREJ(ALL|ECT)|NSKIPPED|NUNLIKE|CMB[A-Z]+|IM(CMB|DAT|SCL|ZER|WGT|OFX|OFY)\d{3})\Z')

# World coordinates of the two axes, which hold for all images of a file.
_WORLD = re.compile(
    r'(WCSAXES|WCSNAME|C(TYPE|RVAL|RPIX|DELT|UNIT|ROTA)[12]|CD[12]_[12]|PC[12]_[12]|RADESYSA?|EQUINOX|LON?POLE|LATPOLE)\Z'
)

_AXIS = re.compile(r'(?:CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|PC|CD|LTV|LTM)(\d_\d|\d)\Z')


@dataclasses.dataclass(frozen=True)
class Method:
    """How images were combined, in words for the header.

    Attributes
    ----------
    name : str
        The method, such as 'median'.
    clip : str
        What was rejected, such as 'max 1' or 'none'.
    scaling, zeroing, weighting : str
        What the images were scaled, shifted and weighed by, such as 'mean' or 'none'.
    scales, zeros, weights : sequence of float or None
        One number an image; None where there are none.
    level : float or None
        What level the images were brought to; None: the first one's.
    unit : float or None
        What the result was divided by.
    rejected, empty : int
        Values rejected; pixels with nothing left.
    filled : bool
        Whether such pixels have the median of all their values.
    mask : str or None
        What ``--mask`` named.
    place : (int, int) or None
        Row and column of the first image's first pixel, where images lie on a larger canvas.
    offsets : str or None
        What ``--offsets`` says.
    shifts : sequence of (int, int) or None
        By how many columns and rows each image was moved.
    uncertainty : str or None
        What the extension UNCERT comes from, 'scatter' or 'inputs'.
    skipped, unlike : sequence of str
        Inputs that could not be used; those left out because they do not look like the median.
    """

    name: str
    clip: str = 'none'
    scaling: str = 'none'
    zeroing: str = 'none'
    weighting: str = 'none'
    scales: Sequence[float] | None = None
    zeros: Sequence[float] | None = None
    weights: Sequence[float] | None = None
    level: float | None = None
    unit: float | None = None
    rejected: int = 0
    empty: int = 0
    filled: bool = False
    mask: str | None = None
    place: tuple[int, int] | None = None
    offsets: str | None = None
    shifts: Sequence[tuple[int, int]] | None = None
    uncertainty: str | None = None
    skipped: Sequence[str] = ()
    unlike: Sequence[str] = ()


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
    for key in [key for key in dict.fromkeys(header) if _OLD.match(key)]:
        del header[key]
    if not images[0].is_whole:
        headers.cut_to(header, images[0].slices)
    if method.place is not None:
        placing.shift_header(header, method.place)
    _set_times(header, images, method)
    _set_method(header, len(images), method)
    if len(images) <= _MOST_NUMBERED:
        _set_inputs(header, images, method)
    for key, content in cards:
        header[key] = content
    headers.add_history(header, command, _lines(images, method))
    return header


def _set_times(header: fits.Header, images: Sequence[Any], method: Method) -> None:
    exposures = [headers.exposure(image.keywords) for image in images]
    total = np.inf if None in exposures else sum(exposures)
    if np.isfinite(total):
        seconds = total / len(exposures)
        if method.scaling.upper() in headers.ALIASES['EXPTIME']:  # the pixels are at the level of that exposure
            seconds = exposures[0] if method.level is None else method.level
        if method.name == 'sum':
            seconds *= len(exposures)
        headers.set_exposure(header, seconds)
    spans = [_span(image.keywords, seconds) for image, seconds in zip(images, exposures, strict=True)]
    known = [span for span in spans if span is not None]
    if len(known) == len(spans):
        with contextlib.suppress(OverflowError):  # times that no calendar holds are left out
            _set_dates(header, known)


_Span = tuple[datetime.datetime, datetime.datetime, datetime.datetime]


def _span(keywords: Any, seconds: float | None) -> _Span | None:
    """Start, middle and end of an exposure, or of all that went into a combination."""
    start = headers.observation_time(keywords)
    if start is None:
        return None
    if headers.value(keywords, 'NCOMBINE') is not None:
        said = [headers.value(keywords, f'DATE-{key}') for key in ('BEG', 'AVG', 'END')]
        moments = [headers.parse_date(text) if isinstance(text, str) else None for text in said]
        if all(moments):
            return tuple(moments)
    with contextlib.suppress(OverflowError):
        length = datetime.timedelta(seconds=seconds or 0.0)
        return start, start + length / 2, start + length
    return None


def _set_dates(header: fits.Header, spans: Sequence[_Span]) -> None:
    first = spans[0][0]
    middle = first + sum((middle - first for _, middle, _ in spans), datetime.timedelta()) / len(spans)
    starts, ends = [start for start, _, _ in spans], [end for _, _, end in spans]
    header['DATE-BEG'] = (headers.date_text(min(starts)), 'start of the first exposure')
    header['DATE-AVG'] = (headers.date_text(middle), 'mean of the middles of the exposures')
    header['DATE-END'] = (headers.date_text(max(ends)), 'end of the last exposure')
    header['MJD-AVG'] = (round(headers.mjd(middle), 8), 'DATE-AVG as MJD')


def _set_method(header: fits.Header, count: int, method: Method) -> None:
    header['NCOMBINE'] = (count, 'number of images combined')
    header['CMBMETH'] = (method.name, 'how the images were combined')
    header['CMBCLIP'] = (method.clip, 'what was rejected of each pixel')
    header['CMBSCALE'] = (method.scaling, 'what the images were scaled by')
    if method.zeroing != 'none':
        header['CMBZERO'] = (method.zeroing, 'what the images were shifted in level by')
    if method.weighting != 'none':
        header['CMBWGT'] = (method.weighting, 'what the images were weighed by')
    if method.level is not None:
        header['CMBLEVEL'] = (method.level, 'level that the images were brought to')
    if method.mask is not None:
        header['CMBMASK'] = (headers.ascii_text(method.mask), 'mask of bad pixels')
    if method.offsets is not None:
        header['CMBOFFS'] = (headers.ascii_text(method.offsets), 'what the images were laid out by')
    if method.uncertainty is not None:
        header['CMBUNC'] = (method.uncertainty, 'what the extension UNCERT comes from')
    if method.unit is not None:
        header['CMBUNIT'] = (method.unit, 'the result was divided by this')
    if method.clip != 'none':
        header['NREJECT'] = (method.rejected, 'values rejected')
    if method.empty:
        what = 'pixels with nothing left: median of all' if method.filled else 'pixels with nothing left'
        header['NREJALL'] = (method.empty, what)
    if method.skipped:
        header['NSKIPPED'] = (len(method.skipped), 'inputs that could not be used')
    if method.unlike:
        header['NUNLIKE'] = (len(method.unlike), 'inputs unlike the median, left out')


def _set_inputs(header: fits.Header, images: Sequence[Any], method: Method) -> None:
    for number, image in enumerate(images, 1):
        header[f'IMCMB{number:03d}'] = headers.ascii_text(image.name)
    for number, image in enumerate(images, 1):
        if (start := headers.observation_time(image.keywords)) is not None:
            header[f'IMDAT{number:03d}'] = headers.date_text(start)
    for key, numbers in (('IMSCL', method.scales), ('IMZER', method.zeros), ('IMWGT', method.weights)):
        for number, content in enumerate(() if numbers is None else numbers, 1):
            header[f'{key}{number:03d}'] = float(content)
    for number, (columns, rows) in enumerate(method.shifts or (), 1):
        header[f'IMOFX{number:03d}'], header[f'IMOFY{number:03d}'] = columns, rows


def _lines(images: Sequence[Any], method: Method) -> list[str]:
    words = [f'{method.name} of {len(images)} images', f'clip {method.clip}', f'scaled by {method.scaling}']
    words += [f'level shifted by {method.zeroing}'] if method.zeroing != 'none' else []
    words += [f'weighed by {method.weighting}'] if method.weighting != 'none' else []
    words += [f'laid out by {method.offsets}'] if method.offsets is not None else []
    lines = [', '.join(words)]
    lines += [f'left out: {name}' for name in (*method.skipped, *method.unlike)]
    if len(images) <= _MOST_NUMBERED:
        return lines + [f'{number:03d} {image.name}' for number, image in enumerate(images, 1)]
    return [*lines, 'the images are listed in the extension INPUTS']


def inputs_table(images: Sequence[Any], method: Method, *, wanted: bool = False) -> list[fits.BinTableHDU]:
    """The table of inputs that a combination of more than 999 images carries.

    Parameters
    ----------
    images : sequence of Image
        The images that were combined.
    method : Method
        How they were combined.
    wanted : bool
        Whether fewer images get one too.

    Returns
    -------
    list of BinTableHDU
        One table with name, date, scale, zero and weight; nothing for fewer images.
    """
    if len(images) <= _MOST_NUMBERED and not wanted:
        return []
    names = [headers.ascii_text(image.name) for image in images]
    starts = [headers.observation_time(image.keywords) for image in images]
    dates = ['' if start is None else headers.date_text(start) for start in starts]
    columns = [
        fits.Column('NAME', f'{max(map(len, names))}A', array=names),
        fits.Column('DATE', '23A', array=dates),
    ]
    for name, numbers, neutral in (
        ('SCALE', method.scales, 1.0), ('ZERO', method.zeros, 0.0), ('WEIGHT', method.weights, 1.0),
    ):  # fmt: skip
        given = np.full(len(images), neutral) if numbers is None else np.asarray(numbers, 'f8')
        columns.append(fits.Column(name, 'D', array=given))
    for axis, name in enumerate(('DX', 'DY') if method.shifts else ()):
        columns.append(fits.Column(name, 'J', array=[shift[axis] for shift in method.shifts]))
    return [fits.BinTableHDU.from_columns(columns, name='INPUTS')]


def drop_axes(header: fits.Header, axes: int) -> None:
    """Take world coordinates of axes that a combination no longer has out of its header.

    Parameters
    ----------
    header : Header
        Changed in place.
    axes : int
        How many axes are left.
    """
    for key in [
        key
        for key in dict.fromkeys(header)
        if (found := _AXIS.match(key)) and max(map(int, found[1].split('_'))) > axes
    ]:
        del header[key]
    count = headers.as_number(headers.value(header, 'WCSAXES'))
    if count is not None and count > axes:
        header['WCSAXES'] = axes


_MAP_UNITS = {'EXPTIME': 's', 'SIGMA': None, 'UNCERT': None, 'OFFSET': None, 'RMS': None}  # None: that of the pixels
_MAP_TEXTS = {
    'COUNT': 'values used of each pixel',
    'SIGMA': 'standard deviation of the values used, n - 1',
    'LOW': 'values rejected below',
    'HIGH': 'values rejected above',
    'EXPTIME': 'exposure time of the images used',
    'MASK': '1 where nothing was left of a pixel',
    'UNCERT': 'standard deviation of the combined value',
    'OFFSET': 'counts of a dark of 0 s',
    'RMS': 'scatter about the line, n - 2',
    'NPTS': 'darks that the line was fitted to',
}


def with_baggage(
    pixels: NDArray, header: Any, sigma: NDArray | None, bad: NDArray | None = None
) -> list[tuple[NDArray, Any]]:
    """An image with its uncertainty and its mask, as `writer.write_fits` takes them.

    Parameters
    ----------
    pixels : ndarray
        The image.
    header : Header or PlainHeader
        Its header; BUNIT is put in where it is missing and there is an uncertainty.
    sigma : ndarray or None
        Standard deviations of the pixels, of their shape.
    bad : ndarray of bool, optional
        Bad pixels, of their shape or of its last axes; those without a value are bad too.

    Returns
    -------
    list of (ndarray, Header)
        The image, and what there is of its extensions UNCERT, of the image's type where that is a float, and MASK.
    """
    parts = [(pixels, header)]
    if sigma is not None:
        if headers.value(header, 'BUNIT') is None:
            header['BUNIT'] = ('adu', 'unit of the pixels')
        kind = pixels.dtype if pixels.dtype.kind == 'f' else np.dtype('f4')
        head = map_header('UNCERT', header, 'standard deviation of the pixels')
        parts.append((sigma.astype(kind, copy=False), head))
    if bad is not None:
        whole = np.broadcast_to(bad, pixels.shape) | ~np.isfinite(pixels)
        parts.append((whole.astype('u1'), map_header('MASK', header, '1 where a pixel is bad or has no value')))
    return parts


def map_header(name: str, header: fits.Header | plain.PlainHeader, text: str | None = None) -> plain.PlainHeader:
    """The header of an image extension that goes with a combination, or with another image.

    Parameters
    ----------
    name : str
        Its name, such as 'COUNT' or 'UNCERT'.
    header : Header
        That of the image that it goes with.
    text : str, optional
        What it holds, where that is not what it holds of a combination.

    Returns
    -------
    PlainHeader
        With EXTNAME and BUNIT, the world coordinates, and for UNCERT the kind of uncertainty as ``CCDData`` reads it.
    """
    out = plain.PlainHeader([plain.card_text('EXTNAME', name, text or _MAP_TEXTS[name])])
    unit = _MAP_UNITS.get(name, '')
    unit = headers.value(header, 'BUNIT') if unit is None else unit
    if unit:
        out['BUNIT'] = unit
    if name == 'UNCERT':
        out['UTYPE'] = ('StdDevUncertainty', 'kind of uncertainty')
    for card in map(cards.as_it_stands, header.cards):
        if _WORLD.match(card.keyword) and cards.is_well_formed(card.text):
            out.append(card)
    return out
