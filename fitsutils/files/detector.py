"""Where the pixels and the overscan of each amplifier lie in a raw image: from options, the header, or a preset."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from fitsutils.errors import Failure
from fitsutils.files import amplifiers, presets
from fitsutils.files import header as headers
from fitsutils.files.amplifiers import Answer, Found, Window
from fitsutils.files.section import Region

# What `find_layout` looks up, for `reader.open_image`.
KEYWORDS = (*amplifiers.KEYWORDS, 'CCDSUM', 'VERSION')

_LOOKED_FOR = (
    'BIASSEC with TRIMSEC or DATASEC, BIASSECA with DATASECA and so on, BSEC1 with DSEC1, TSEC1 or ASEC1 and so on, '
    'COVER with DATASEC'
)
_LOOKED_FOR_TO_TRIM = 'TRIMSEC, DATASEC, DATASECA and so on, DSEC1 or TSEC1 and so on'


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the options say about the sections.

    Attributes
    ----------
    overscan, trim : Region or None
        ``--overscan`` and ``--trim``.
    amplifiers : tuple of (Region, Region or None)
        ``--amp``: pixels and overscan of each.
    preset : str or None
        The camera of ``--preset``, which then comes before the header.
    table : sequence of Preset
        What is known of cameras.
    subtract : bool
        Whether the overscan is needed.
    """

    overscan: Region | None = None
    trim: Region | None = None
    amplifiers: tuple[tuple[Region, Region | None], ...] = ()
    preset: str | None = None
    table: Sequence[presets.Preset] = ()
    subtract: bool = True


@dataclasses.dataclass(frozen=True)
class Amplifier:
    """One amplifier's part of a raw image.

    Attributes
    ----------
    name : str
        What the header calls it: 'A', '11'; empty where there is no name.
    data : (slice, slice)
        Rows and columns of its pixels that are kept.
    bias : (slice, slice) or None
        Those of its overscan.
    place : (slice, slice)
        Where the pixels go in the joined image.
    """

    name: str
    data: Window
    bias: Window | None
    place: Window


@dataclasses.dataclass(frozen=True)
class Layout:
    """The amplifiers of a raw image.

    Attributes
    ----------
    amplifiers : tuple of Amplifier
        At least one; their places fill the joined image.
    shape : (int, int)
        Rows and columns of the joined image.
    source : str
        Where the sections come from, in words.
    guard : (int, int)
        Overscan columns best left out at the first and last edge.
    """

    amplifiers: tuple[Amplifier, ...]
    shape: tuple[int, int]
    source: str
    guard: tuple[int, int] = (0, 0)

    @property
    def window(self) -> Window:
        """Rows and columns of the raw image that the joined one is taken to begin at, of its size."""
        corner = next(each for each in self.amplifiers if each.place[0].start == each.place[1].start == 0)
        starts = (part.start for part in corner.data)
        return tuple(slice(start, start + size) for start, size in zip(starts, self.shape, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether the joined pixels lie side by side in the raw image too."""
        row, column = (part.start for part in self.window)
        return all(
            (each.data[0].start, each.data[1].start) == (each.place[0].start + row, each.place[1].start + column)
            for each in self.amplifiers
        )


def cut_layout(image: Any) -> Layout:
    """The part of an image that was asked for, as the pixels of one amplifier without an overscan.

    Parameters
    ----------
    image : Image
        The part.

    Returns
    -------
    Layout
        Of one amplifier.

    Raises
    ------
    Failure
        When the image has no rows and columns.
    """
    if len(image.shape) < 2:
        raise Failure('the image has one axis; rows and columns are wanted', image.path)
    shape = image.shape[-2:]
    place = tuple(slice(0, length) for length in shape)
    return Layout((Amplifier('', image.slices[-2:], None, place),), shape, 'the section')


def find_layout(image: Any, wanted: Wanted) -> Layout:
    """Where the amplifiers of an image lie.

    Parameters
    ----------
    image : Image
        Opened with `KEYWORDS`; the part of it that was asked for is kept, as ``--trim`` does.
    wanted : Wanted
        What the options say. They come first, then a preset that they name, then the header, then the table.

    Returns
    -------
    Layout
        Sections in terms of the whole raw image.

    Raises
    ------
    Failure
        When nothing says where the overscan or the pixels are, a section is none or goes beyond the
        image, an overscan and pixels overlap, or the amplifiers do not make up a rectangle.
    """
    shape = image.full_shape[-2:]
    if len(shape) < 2:
        raise Failure('the image has one axis; rows and columns are wanted', image.path)
    source, guard, found = _sections(image, wanted)
    if not wanted.subtract:
        found = [each._replace(bias=None) for each in found]
    elif any(each.bias is None for each in found):
        raise Failure(f'{source}: an amplifier has no overscan; --fit none only trims', image.path)
    kept = _kept(image, found, wanted)
    _refuse_shared(image, kept)
    return _joined(image, kept, source, guard)


def _refuse_shared(image: Any, found: Sequence[Found]) -> None:
    """Refuse an overscan that has pixels in common with what is kept, of whatever amplifier: it would hold the sky."""
    for own, other in itertools.product(found, found):
        if own.bias is not None and _overlap(own.bias, other.data):
            raise Failure(
                f'the overscan {amplifiers.words_of(own.bias)} ({own.said[1]}) and the pixels '
                f'{amplifiers.words_of(other.data)} ({other.said[0]}) overlap; --overscan with --trim, or --amp, say '
                'where they are',
                image.path,
            )


def _sections(image: Any, wanted: Wanted) -> Answer:
    """Words for where the sections come from, the guard that goes with them, and the sections."""
    if wanted.amplifiers:
        return '--amp', (0, 0), [_given(image, pair, '--amp') for pair in wanted.amplifiers]
    if wanted.overscan is not None:
        return _one_given(image, wanted)
    if wanted.preset is None and (answer := amplifiers.in_header(image, wanted.trim, wanted.subtract)):
        return answer
    preset = presets.choose(wanted.table, image, wanted.preset)
    if preset is None:
        raise _unknown(image, wanted)
    return str(preset), preset.guard, [_given(image, pair, str(preset)) for pair in preset.amplifiers]


def _given(image: Any, pair: tuple[Region, Region | None], what: str) -> Found:
    windows = (region and amplifiers.window_of(region, image, what) for region in pair)
    return Found('', *windows, said=(what, what))


def _one_given(image: Any, wanted: Wanted) -> Answer:
    """The overscan of the options, with the pixels of the options or of the header."""
    bias = amplifiers.window_of(wanted.overscan, image, '--overscan')
    if wanted.trim is not None:
        data = amplifiers.window_of(wanted.trim, image, '--trim')
        return '--overscan, --trim', (0, 0), [Found('', data, bias, said=('--trim', '--overscan'))]
    key = next((key for key in amplifiers.KEPT if amplifiers.is_there(image, key)), None)
    if key is None:
        raise Failure(
            f'there is no {" or ".join(amplifiers.KEPT)} that says what to keep; --trim does',
            image.path,
        )
    data = amplifiers.section_in(image, key)
    return f'--overscan, {key}', (0, 0), [Found('', data, bias, said=(key, '--overscan'))]


def _unknown(image: Any, wanted: Wanted) -> Failure:
    """The error for an image of which nothing is known: what was looked for, and what would help."""
    known = ', '.join(sorted({preset.name for preset in wanted.table}))
    camera = headers.lookup(image.keywords, 'INSTRUME')
    preset = f'INSTRUME {"is missing" if camera is None else f"= {str(camera).strip()!r}"}, and the table knows {known}'
    there = [key for key in ('BIASSEC', *amplifiers.KEPT) if amplifiers.is_there(image, key)]
    only = f' (there is only {", ".join(there)})' if there else ''
    looked = _LOOKED_FOR if wanted.subtract else _LOOKED_FOR_TO_TRIM
    what = 'overscan and pixels are' if wanted.subtract else 'pixels are'
    return Failure(
        f'nothing says where {what}: looked for {looked}{only}; {preset}. Give --overscan and --trim, --amp, --preset, '
        'or cut without an overscan: --section',
        image.path,
    )


def _kept(image: Any, found: Sequence[Found], wanted: Wanted) -> list[Found]:
    """What ``--trim`` and the part of the image that was named leave of each amplifier; those with nothing left go."""
    windows = [] if wanted.trim is None else [amplifiers.window_of(wanted.trim, image, '--trim')]
    windows.append(image.slices[-2:])
    for window in windows:
        left = [cut for each in found if (cut := each.cut_to(window)) is not None]
        if not left:
            pixels = ', '.join(amplifiers.words_of(each.data) for each in found)
            raise Failure(f'{amplifiers.words_of(window)} holds no pixel of {pixels}', image.path)
        found = left
    return list(found)


def _joined(image: Any, found: Sequence[Found], source: str, guard: tuple[int, int]) -> Layout:
    """The amplifiers side by side, as the header places them on the detector, else in the order of the raw image."""
    known = all(each.start is not None for each in found)
    starts = _from_places(found) if known else _from_order(found)
    places = starts and [
        tuple(slice(start, start + part.stop - part.start) for start, part in zip(at, each.data, strict=True))
        for at, each in zip(starts, found, strict=True)
    ]
    if not places or not _fill(places):
        sections = ', '.join(amplifiers.words_of(each.data) for each in found)
        how = 'as their places on the detector say' if known else 'in rows and columns'
        raise Failure(f'{source}: the pixels {sections} do not make up a rectangle {how}', image.path)
    shape = tuple(max(place[axis].stop for place in places) for axis in (0, 1))
    found_places = [Amplifier(each.name, each.data, each.bias, at) for each, at in zip(found, places, strict=True)]
    return Layout(tuple(found_places), shape, source, guard)


def _from_places(found: Sequence[Found]) -> list[tuple[int, ...]] | None:
    if len({each.binning for each in found}) > 1:
        return None
    first = [min(each.start[axis] for each in found) for axis in (0, 1)]
    steps = [[each.start[axis] - first[axis] for axis in (0, 1)] for each in found]
    binning = found[0].binning
    if any(step % factor for each in steps for step, factor in zip(each, binning, strict=True)):
        return None
    return [tuple(step // factor for step, factor in zip(each, binning, strict=True)) for each in steps]


def _from_order(found: Sequence[Found]) -> list[tuple[int, ...]] | None:
    """Places without the gaps that overscans leave: along each axis a few spans, one behind the other."""
    starts: list[dict[tuple[int, int], int]] = []
    for axis in (0, 1):
        spans = sorted({(each.data[axis].start, each.data[axis].stop) for each in found})
        if any(first[1] > second[0] for first, second in itertools.pairwise(spans)):
            return None
        lengths = [stop - start for start, stop in spans]
        starts.append({span: sum(lengths[:number]) for number, span in enumerate(spans)})
    return [tuple(starts[axis][each.data[axis].start, each.data[axis].stop] for axis in (0, 1)) for each in found]


def _fill(places: Sequence[Window]) -> bool:
    """Whether windows make up a rectangle that begins at (0, 0), each of its pixels once."""
    area = sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in places)
    height, width = (max(place[axis].stop for place in places) for axis in (0, 1))
    return area == height * width and not any(_overlap(*pair) for pair in itertools.combinations(places, 2))


def _overlap(first: Window, other: Window) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, other, strict=True))
