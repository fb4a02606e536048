"""What headers say of the amplifiers of a raw image: where their pixels and their overscan lie."""

from typing import Any, NamedTuple

from fitsutils.errors import Failure, UsageError
from fitsutils.files import header as headers
from fitsutils.files.section import Region, parse_section

Window = tuple[slice, slice]

_LETTERS = tuple('ABCDEFGHIJKLMNOPQRSTUVWXYZ')
_NUMBERS = tuple(map(str, range(1, 100)))


class _Form(NamedTuple):
    """One way in which headers name the sections of several amplifiers, each with the amplifier's name behind it."""

    bias: str
    data: tuple[str, ...]  # what is kept, the narrowest first; the place on the detector goes with the last
    whole: str | None  # pixels and overscan together
    place: str
    names: tuple[str, ...]


# DATASECA, BIASSECA of DECam and DESI; DSEC11, BSEC11, CSEC11 of CTIO, Palomar and Apache Point; ASEC11 is the whole
# amplifier.
FORMS = (
    _Form('BIASSEC', ('TRIMSEC', 'DATASEC'), None, 'CCDSEC', (*_LETTERS, *_NUMBERS[:9])),
    _Form('BSEC', ('TSEC', 'DSEC'), 'ASEC', 'CSEC', (*_NUMBERS, *_LETTERS)),
)
KEPT = ('TRIMSEC', 'DATASEC')
_LICK = ('COVER', 'ROVER', 'AMPSROW', 'AMPSCOL')
# The first and last overscan columns of these cameras lie 8 to 30 counts off the others (measured on Kast and Nickel).
_LICK_GUARD = (2, 2)

# What `in_header` looks up, for `reader.open_image`.
KEYWORDS: tuple[str, ...] = (
    *KEPT, 'BIASSEC', *_LICK,
    *(stem + name for form in FORMS for stem in (form.bias, *form.data, form.whole, form.place)
      if stem for name in form.names),
)  # fmt: skip

Answer = tuple[str, tuple[int, int], list['Found']]


class Found(NamedTuple):
    """Sections of one amplifier as they are found.

    Attributes
    ----------
    name : str
        What the header calls it; empty where there is no name.
    data : (slice, slice)
        Rows and columns of its pixels.
    bias : (slice, slice) or None
        Those of its overscan.
    start : (int, int) or None
        Row and column of the first pixel on the detector, where the header says it.
    binning : (int, int)
        Pixels of the detector in one of the image, along y and x.
    said : (str, str)
        The keywords or options that pixels and overscan come from.
    """

    name: str
    data: Window
    bias: Window | None
    start: tuple[int, int] | None = None
    binning: tuple[int, int] = (1, 1)
    said: tuple[str, str] = ('', '')

    def cut_to(self, window: Window) -> 'Found | None':
        """What of it is left in a window.

        Parameters
        ----------
        window : (slice, slice)
            Rows and columns.

        Returns
        -------
        Found or None
            With the pixels that lie in the window; None where none does. The overscan stays.
        """
        data = tuple(
            slice(max(own.start, part.start), min(own.stop, part.stop))
            for own, part in zip(self.data, window, strict=True)
        )
        if any(part.start >= part.stop for part in data):
            return None
        steps = (new.start - old.start for new, old in zip(data, self.data, strict=True))
        start = self.start and tuple(
            first + step * factor for first, step, factor in zip(self.start, steps, self.binning, strict=True)
        )
        return self._replace(data=data, start=start)


def words_of(window: Window) -> str:
    """Rows and columns as a FITS section.

    Parameters
    ----------
    window : (slice, slice)
        With explicit start and stop.

    Returns
    -------
    str
        One-based, both ends included, x first.

    Examples
    --------
    >>> words_of((slice(20, 2032), slice(60, 2100)))
    '[61:2100,21:2032]'
    """
    return str(Region(tuple((part.start, part.stop) for part in reversed(window))))


def in_header(image: Any, trim: Region | None, subtract: bool) -> Answer | None:
    """What the header says: amplifier by amplifier, of the one that there is, or in the words of Lick's cameras.

    Parameters
    ----------
    image : Image
        Opened with `KEYWORDS`.
    trim : Region or None
        The pixels that are wanted of a detector with one amplifier; None: those of the header.
    subtract : bool
        Whether an overscan is wanted.

    Returns
    -------
    tuple or None
        Words for where the sections come from, overscan columns best left out at its first and last edge, and
        the amplifiers; None where the header does not say all that is wanted.

    Raises
    ------
    Failure
        When a keyword holds no section, or one beyond the image, or keywords do not go together.
    """
    for form in FORMS:
        if names := _amplifier_names(image, form, subtract):
            keys = ', '.join(form.bias + name for name in names)
            return keys, (0, 0), [_of_form(image, form, name) for name in names]
    if subtract and not is_there(image, 'BIASSEC'):
        return _of_lick(image)
    kept = '--trim' if trim is not None else next((key for key in KEPT if is_there(image, key)), None)
    if kept is None:
        return None
    data = section_in(image, kept) if trim is None else window_of(trim, image, kept)
    if not subtract:
        return kept, (0, 0), [Found('', data, None)]
    return f'BIASSEC, {kept}', (0, 0), [Found('', data, section_in(image, 'BIASSEC'), said=(kept, 'BIASSEC'))]


def _amplifier_names(image: Any, form: _Form, subtract: bool) -> list[str]:
    """Names of the amplifiers whose sections the header has in one form."""
    biases = [name for name in form.names if is_there(image, form.bias + name)]
    datas = [name for name in form.names if any(is_there(image, stem + name) for stem in form.data)]
    if not subtract and datas:
        return datas
    if form.whole is not None:
        datas += [name for name in biases if name not in datas and is_there(image, form.whole + name)]
    if odd := sorted(set(biases) ^ set(datas)) if biases else []:
        there, missing = (form.bias, form.data[-1]) if odd[0] in biases else (form.data[-1], form.bias)
        raise Failure(f'there is a {there}{odd[0]} and no {missing}{odd[0]}', image.path)
    return biases


def _of_form(image: Any, form: _Form, name: str) -> Found:
    keys = [stem + name for stem in form.data if is_there(image, stem + name)]
    bias = section_in(image, form.bias + name) if is_there(image, form.bias + name) else None
    if not keys:
        return Found(name, _less(image, form.whole + name, bias), bias, said=(form.whole + name, form.bias + name))
    whole = Found(name, section_in(image, keys[-1]), bias, said=(keys[0], form.bias + name))
    if is_there(image, form.place + name):
        whole = _placed(image, whole, form.place + name)
    kept = whole.cut_to(section_in(image, keys[0]))
    if kept is None:
        raise Failure(f'{keys[0]} and {keys[-1]} have no pixel in common', image.path)
    return kept


def _less(image: Any, key: str, bias: Window) -> Window:
    """The pixels of an amplifier whose section holds the overscan too."""
    whole = section_in(image, key)
    for axis in (0, 1):
        (low, high), (start, stop) = ((part.start, part.stop) for part in (whole[axis], bias[axis]))
        across = whole[1 - axis]
        if not (bias[1 - axis].start <= across.start and across.stop <= bias[1 - axis].stop):
            continue
        rest = slice(stop, high) if start <= low else slice(low, start) if stop >= high else slice(0, 0)
        if rest.start < rest.stop:
            return (rest, across) if axis == 0 else (across, rest)
    raise Failure(f'{key} less its overscan {words_of(bias)} is no rectangle of pixels', image.path)


def _placed(image: Any, found: Found, key: str) -> Found:
    """An amplifier with its place on the detector, which the header gives in pixels that are not binned."""
    said = headers.value(image.keywords, key)
    try:
        axes = parse_section(str(said)).axes
    except UsageError:
        axes = ()
    if len(axes) != 2 or None in axes:
        raise Failure(f'{key} = {said!r} is not a section such as [1:100,201:300]; --amp says how to join', image.path)
    lengths = [part.stop - part.start for part in found.data]
    places = list(reversed(axes))
    factors = [(stop - start) // length for (start, stop), length in zip(places, lengths, strict=True)]
    if any(stop - start != factor * length or not factor
           for (start, stop), factor, length in zip(places, factors, lengths, strict=True)):  # fmt: skip
        raise Failure(f'{key} = {said!r} does not go with the pixels {words_of(found.data)}', image.path)
    return found._replace(start=tuple(start for start, _ in places), binning=tuple(factors))


def _of_lick(image: Any) -> Answer | None:
    """COVER overscan columns (else ROVER rows) for each amplifier, behind the pixels of all of them."""
    if not is_there(image, 'COVER'):
        return None
    columns, rows, across, down = (
        _count(image, key, default) for key, default in zip(_LICK, (0, 0, 1, 1), strict=True)
    )
    if not columns and not rows:
        return None
    if not is_there(image, 'DATASEC'):
        raise Failure('there is a COVER and no DATASEC', image.path)
    data = section_in(image, 'DATASEC')
    sizes = [part.stop - part.start for part in data]
    wanted = (data[0].stop + down * rows, data[1].stop + across * columns)
    if wanted != image.full_shape[-2:] or not across or not down or sizes[0] % down or sizes[1] % across:
        said = ', '.join(
            f'{key} = {headers.value(image.keywords, key)}' for key in (*_LICK, 'DATASEC') if is_there(image, key)
        )
        raise Failure(f'{said} do not go with {" x ".join(map(str, reversed(image.full_shape)))} pixels', image.path)
    found = []
    for row in range(down):
        for column in range(across):
            own = _part(data[0], down, row), _part(data[1], across, column)
            behind = (
                part.stop + place * length
                for part, place, length in zip(data, (row, column), (rows, columns), strict=True)
            )
            first, second = (
                slice(start, start + length) for start, length in zip(behind, (rows, columns), strict=True)
            )
            bias = (own[0], second) if columns else (first, own[1])
            name = str(len(found) + 1) if across * down > 1 else ''
            found.append(Found(name, own, bias, said=('DATASEC', 'COVER' if columns else 'ROVER')))
    return ('COVER, DATASEC' if columns else 'ROVER, DATASEC'), _LICK_GUARD if columns else (0, 0), found


def _count(image: Any, key: str, default: int) -> int:
    found = headers.value(image.keywords, key)
    number = default if found is None else headers.as_number(found)
    if number is None or number < 0 or number != int(number):
        raise Failure(f'{key} = {found!r} is not a count', image.path)
    return int(number)


def _part(whole: slice, count: int, place: int) -> slice:
    length = (whole.stop - whole.start) // count
    return slice(whole.start + place * length, whole.start + (place + 1) * length)


def is_there(image: Any, key: str) -> bool:
    """Whether an image's header has a value for a keyword.

    Parameters
    ----------
    image : Image
        The image.
    key : str
        The keyword.

    Returns
    -------
    bool
        False for a blank one too.
    """
    return headers.value(image.keywords, key) is not None


def section_in(image: Any, key: str) -> Window:
    """The section that a header's keyword holds.

    Parameters
    ----------
    image : Image
        The image.
    key : str
        The keyword.

    Returns
    -------
    (slice, slice)
        Its rows and columns.

    Raises
    ------
    Failure
        When it holds anything else, such as UNKNOWN, or the section goes beyond the image.
    """
    found = headers.value(image.keywords, key)
    try:
        region = parse_section(str(found))
        if len(region.axes) != 2:
            raise UsageError('rows and columns are wanted')
    except UsageError:
        raise Failure(
            f'{key} = {found!r} is not a section such as [1:100,201:300]; --overscan and --trim, --amp or --preset '
            'say where it is',
            image.path,
        ) from None
    return window_of(region, image, f'{key} = {found!r}')


def window_of(region: Region, image: Any, what: str) -> Window:
    """Rows and columns of a section.

    Parameters
    ----------
    region : Region
        The section.
    image : Image
        The image, of whose whole it is a part.
    what : str
        Where it comes from, for messages.

    Returns
    -------
    (slice, slice)
        With explicit start and stop.

    Raises
    ------
    Failure
        When it does not lie within the image.
    """
    if len(region.axes) > 2:
        raise Failure(f'{what}: {region} has {len(region.axes)} axes, the detector two', image.path)
    try:
        return region.slices(image.full_shape[-2:])
    except Failure as error:
        raise Failure(f'{what}: {error}', image.path) from None
