"""Command-line words -> the images they name."""

import glob
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fitsutils.errors import Failure, UsageError
from fitsutils.files.section import Region, parse_section

FITS_SUFFIXES = ('.fits', '.fit', '.fts')
PACKED_SUFFIXES = ('.gz', '.fz', '.bz2')

_GROUP = re.compile(r'\[([^\[\]]*)\]\Z')
_DEEPEST_LIST = 8

Hdu = int | str | tuple[str, int]


@dataclass(frozen=True)
class Reference:
    """What a word of the command line names: a file, perhaps one HDU of it, perhaps a part.

    Attributes
    ----------
    path : str
        Name of the file, as given.
    hdu : int, str or (str, int), optional
        Number, EXTNAME or (EXTNAME, EXTVER) of the HDU; None for the first with an image.
    region : Region, optional
        The part of the image; None for all of it.
    """

    path: str
    hdu: Hdu | None = None
    region: Region | None = None

    def __str__(self) -> str:
        hdu = (
            '' if self.hdu is None else f'[{",".join(map(str, self.hdu)) if isinstance(self.hdu, tuple) else self.hdu}]'
        )
        return f'{self.path}{hdu}{"" if self.region is None else self.region}'


def expand(words: Sequence[str], *, null: bool = False) -> list[Reference]:
    """The images that the words of a command line name, in their order.

    A word is, tried in this order: a file that exists, as it stands;
    ``@list`` or ``@-``; a comma-separated list of words; a file with
    ``[EXT]`` and ``[x1:x2,y1:y2]`` behind it; a shell pattern. A word that is
    none of these names a file that is missing: reading it will say so.

    Parameters
    ----------
    words : sequence of str
        The words.
    null : bool
        Names in lists are separated by NUL instead of newline.

    Returns
    -------
    list of Reference
        At least one.

    Raises
    ------
    Failure
        When a pattern or a list yields nothing.
    UsageError
        When there is no word at all.
    """
    if not words:
        raise UsageError('an image is required: a file name, a pattern, a list')
    return [reference for word in words for reference in _expand(word, null, 0)]


def parse_hdu(text: str) -> Hdu:
    """The HDU that ``--hdu`` or the brackets behind a name ask for.

    Parameters
    ----------
    text : str
        ``2``, ``SCI`` or ``SCI,2``.

    Returns
    -------
    int, str or (str, int)
        Number, EXTNAME, or EXTNAME and EXTVER.

    Raises
    ------
    UsageError
        When the text is none of these.

    Examples
    --------
    >>> parse_hdu('SCI,2'), parse_hdu('1')
    (('SCI', 2), 1)
    """
    name, _, version = (piece.strip() for piece in text.partition(','))
    if name.isascii() and name.isdigit() and not version:
        return int(name)
    if not name or (version and not version.isdigit()):
        raise UsageError(f'{text!r} is not an HDU: a number, a name or NAME,VERSION')
    return (name.upper(), int(version)) if version else name.upper()


def _expand(word: str, null: bool, depth: int) -> list[Reference]:
    if os.path.exists(word):
        return [Reference(word)]
    if word.startswith('@') and len(word) > 1:
        return _from_list(word[1:], null, depth)
    items = split_commas(word)
    if len(items) != 1 or items[0] != word:
        if not items:
            raise Failure('an empty list names no file')
        return [reference for item in items for reference in _expand(item, null, depth)]
    path, hdu, region = _split_brackets(word)
    if path != word and os.path.exists(path):
        return [Reference(path, hdu, region)]
    if not glob.has_magic(word):
        return [Reference(word)]
    return _from_pattern(word, path, hdu, region)


def _from_pattern(word: str, path: str, hdu: Hdu | None, region: Region | None) -> list[Reference]:
    if names := sorted(glob.glob(word)):
        return [Reference(name) for name in names]
    if path != word:
        if glob.has_magic(path):
            return [Reference(name, hdu, region) for name in sorted(glob.glob(path))] or _nothing(word)
        if os.path.splitext(path)[1].lower() in (*FITS_SUFFIXES, *PACKED_SUFFIXES):
            return [Reference(path, hdu, region)]
    return _nothing(word)


def _nothing(word: str) -> list[Reference]:
    raise Failure('no file matches this pattern', word)


def split_commas(word: str) -> list[str]:
    r"""The items of a comma-separated list; commas within brackets do not separate.

    White space, newlines and backslash-newlines around the commas are ignored.

    Parameters
    ----------
    word : str
        The list.

    Returns
    -------
    list of str
        The items that are not empty.

    Examples
    --------
    >>> split_commas('a.fit, b.00[1,2].fit,\\\n c.fits[SCI,2]')
    ['a.fit', 'b.00[1,2].fit', 'c.fits[SCI,2]']
    """
    items, start, depth = [], 0, 0
    for place, char in enumerate(word):
        depth = max(0, depth + (char == '[') - (char == ']'))
        if char == ',' and depth == 0:
            items.append(word[start:place])
            start = place + 1
    if start == 0:
        return [word]
    items.append(word[start:])
    return [bare for item in items if (bare := item.replace('\\\n', '\n').strip())]


def _split_brackets(word: str) -> tuple[str, Hdu | None, Region | None]:
    """The name, HDU and region of ``name[EXT][x1:x2,y1:y2]``; all of the word is name where that can't be."""
    path, hdu, region = word, None, None
    try:
        if (match := _GROUP.search(path)) and (':' in match[1] or '*' in match[1]):
            region, path = parse_section(match[1]), path[: match.start()]
        if match := _GROUP.search(path):
            hdu, path = parse_hdu(match[1]), path[: match.start()]
    except UsageError:
        return word, None, None
    return path, hdu, region


def _from_list(name: str, null: bool, depth: int) -> list[Reference]:
    if depth >= _DEEPEST_LIST:
        raise Failure(f'lists within lists go deeper than {_DEEPEST_LIST}; does a list name itself?', f'@{name}')
    references = [
        reference for line in _lines(name, null) for reference in _expand_line(line, null, depth + 1)
    ]  # fmt: skip
    if not references:
        raise Failure('the list is empty', f'@{name}')
    return references


def _expand_line(line: str, null: bool, depth: int) -> list[Reference]:
    # The line as it stands first: a name may begin or end with a space.
    return _expand(line if null or os.path.exists(line) else line.strip(), null, depth)


def _lines(name: str, null: bool) -> Iterable[str]:
    text = os.fsdecode(_list_bytes(name))
    if null:
        return [item for item in text.split('\0') if item]
    lines = (line.removesuffix('\r') for line in text.split('\n'))
    return [line for line in lines if line.strip() and not (line.lstrip().startswith('#') and not os.path.exists(line))]


def _list_bytes(name: str) -> bytes:
    if name != '-':
        with open(name, 'rb') as file:
            return file.read()
    if sys.stdin is None:
        raise Failure('standard input is closed', '@-')
    return getattr(sys.stdin, 'buffer', sys.stdin).read()
