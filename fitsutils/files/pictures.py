"""Names and titles of pictures."""

import os
import re
from collections.abc import Sequence
from typing import Any

from fitsutils.errors import Failure, UsageError, visible
from fitsutils.files import header as headers
from fitsutils.files import naming
from fitsutils.files.inputs import split_commas
from fitsutils.files.reader import Image
from fitsutils.files.table import MISSING

STILL = ('.png', '.pdf')
MOVING = ('.gif', '.mp4')
_OTHERS = ('.jpg', '.jpeg', '.svg', '.ps', '.eps', '.tif', '.tiff', '.webp', '.bmp', '.avi', '.mov', '.webm', '.mkv')
_FIELD = re.compile(r'\{\{|\}\}|\{([^{}|:]+)((?:[|:][^{}|:]*)*)\}|[{}]')
_BEHIND_KEY = re.compile(r'([|:])([^|:]*)')


def output_names(
    inputs: Sequence[str], output: str | None, suffix: str, *, prefix: str | None = None, single: bool = False
) -> list[str]:
    """The picture of each input, by the rules that all commands share.

    Parameters
    ----------
    inputs : sequence of str
        Names of the images.
    output : str, optional
        The word after ``-o``: a file for one picture, as many comma-separated files as there are images,
        ``filename`` with or without a suffix (each image's own name with that suffix), a folder, else a root.
    suffix : str
        Where `output` has none: '.png' or '.gif'.
    prefix : str, optional
        The word after ``--prefix``.
    single : bool
        All images go into one picture.

    Returns
    -------
    list of str
        As many as there are pictures, all different.

    Raises
    ------
    UsageError
        When the name is none of a picture, or one name is given for many.
    Failure
        When two inputs would give one output.
    """
    folder, base = os.path.split(output or '')
    stem, given = _split(base)
    pieces = split_commas(output or '')
    if len(pieces) == len(inputs) > 1 and not single and all(_split(piece)[1] for piece in pieces):
        names = pieces
    elif stem == 'filename' and not (single and len(inputs) > 1):
        names = [os.path.join(folder, (prefix or '') + _stem(name) + (given or suffix)) for name in inputs]
    elif given or single:
        names = [_one_name(inputs, output, given or suffix, prefix or '', single)]
    else:
        roots = naming.output_names(inputs, output, prefix=prefix)
        names = [os.path.join(os.path.dirname(name), _stem(name) + suffix) for name in roots]
    naming.refuse_collisions(inputs, names)
    return names


def _split(base: str) -> tuple[str, str]:
    """Stem and suffix of a picture's name; no suffix where it has none of a picture."""
    stem, suffix = os.path.splitext(base)
    if suffix.lower() in (*STILL, *MOVING):
        return stem, suffix
    if suffix.lower() in _OTHERS or naming.is_fits_name(base):
        raise UsageError(f'-o {base}: pictures are written to .png or .pdf, animations to .gif or .mp4')
    return base, ''


def _stem(name: str) -> str:
    return naming.split_suffix(os.path.basename(name))[0]


def _one_name(inputs: Sequence[str], output: str | None, suffix: str, prefix: str, single: bool) -> str:
    folder, base = os.path.split(output or '')
    stem = _split(base)[0]
    if not base or os.path.isdir(output) or (single and stem == 'filename'):
        raise UsageError(f'one picture of all images needs a name of its own: -o NAME{suffix}')
    if len(inputs) > 1 and not single:
        raise UsageError(f'-o {output} is one file for {len(inputs)} images: --sheet puts them into it, '
                         f'-o filename{suffix} and -o {stem} write one picture each')  # fmt: skip
    return os.path.join(folder, prefix + stem + suffix)


def check_title(template: str) -> None:
    """Refuse a title that can't be filled in, before any work.

    Parameters
    ----------
    template : str
        The word after ``-t``.

    Raises
    ------
    UsageError
        When a brace or a format is wrong.
    """
    for match in _FIELD.finditer(template):
        if match[0] in '{}':
            raise UsageError(f'-t {template}: a keyword stands in braces as in {{OBJECT}}, a brace itself is doubled')
        form = _behind(match)[0]
        if form and not any(_fits(value, form) for value in (1.5, 1, 'text')):
            raise UsageError(f'-t {template}: {form!r} is no format such as g, .1f or 04d')


def _behind(match: re.Match[str]) -> tuple[str, str | None]:
    """Format and default of a field."""
    pieces = dict(_BEHIND_KEY.findall(match[2] or ''))
    return pieces.get(':', ''), pieces.get('|')


def _fits(value: Any, form: str) -> bool:
    try:
        format(value, form)
    except ValueError:
        return False
    return True


def title(template: str, image: Image) -> str:
    """The title of an image's picture.

    Parameters
    ----------
    template : str
        ``filename``, ``object`` (the file's name where there is none), or a text with header values in it:
        ``{OBJECT}``, ``{EXPTIME:.1f}``, ``{FILTER|open}`` with what to say where the keyword is missing.
    image : Image
        The image.

    Returns
    -------
    str
        One line of printable characters.

    Raises
    ------
    Failure
        When a value does not fit the format.
    """
    if template == 'filename':
        return visible(image.name)
    if template == 'object':
        return visible(str(headers.lookup(image.header, 'OBJECT') or image.name).strip())
    return visible(_FIELD.sub(lambda match: _filled(match, image), template))


def _filled(match: re.Match[str], image: Image) -> str:
    if match[0] in ('{{', '}}'):
        return match[0][0]
    key = match[1].strip()
    form, default = _behind(match)
    found = headers.lookup(image.header, key)
    if found is None:
        return MISSING if default is None else default
    if isinstance(found, bool):
        found = 'T' if found else 'F'
    for value in (found, headers.as_number(found)):
        if value is not None and _fits(value, form):
            return format(value, form).strip()
    raise Failure(f'keyword {key} = {found!r} does not fit the format {form!r} of the title', image.path)


def unit(image: Image) -> str:
    """The unit of an image's pixels.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    str
        BUNIT, of printable characters; empty where there is none.
    """
    return visible(str(headers.value(image.header, 'BUNIT') or '').strip())
