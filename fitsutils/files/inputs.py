"""Command-line words -> the images they name."""

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fitsutils.errors import Failure, UsageError
from fitsutils.files.section import Region, parse_section

FITS_SUFFIXES = ('.fits', '.fit', '.fts')
PACKED_SUFFIXES = ('.gz', '.fz', '.bz2')

_GROUP = re.compile(r'\[([^\[\]]*)\]\Z')
_COMMA = re.compile(r'\[[^\[\]]*\]|,')  # a group in brackets, or a comma outside of one
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
    items = split_commas(word)
    if word.startswith('@') and len(word) > 1 and (len(items) == 1 or os.path.exists(word[1:])):
        return _from_list(word[1:], null, depth)
    if len(items) != 1 or items[0] != word:
        if not items:
            raise Failure('an empty list names no file')
        return [reference for item in items for reference in _expand(item, null, depth)]
    if not word.strip():
        raise Failure('an empty name names no file')
    for path, hdu, region in _bracketed(word):
        if os.path.isfile(path):
            return _references([path], hdu, region)
    if not glob.has_magic(word):
        return [Reference(word)]
    return _from_pattern(word)


def _from_pattern(word: str) -> list[Reference]:
    if names := sorted(glob.glob(word)):
        return [Reference(name) for name in names]
    for path, hdu, region in _bracketed(word):
        names = sorted(glob.glob(path)) if glob.has_magic(path) else []
        # A name that ends as FITS files do, with brackets behind it, is a file that is missing.
        if names or (path.lower().endswith((*FITS_SUFFIXES, *PACKED_SUFFIXES)) and not glob.has_magic(path)):
            return _references(names or [path], hdu, region)
    raise Failure('no file matches this pattern', word)


def _references(names: Sequence[str], hdu: str | None, region: str | None) -> list[Reference]:
    where = None if hdu is None else parse_hdu(hdu), None if region is None else parse_section(region)
    return [Reference(name, *where) for name in names]


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
    places = [match.start() for match in _COMMA.finditer(word) if match[0] == ',']
    if not places:
        return [word]
    items = [word[start + 1 : stop] for start, stop in zip([-1, *places], [*places, len(word)], strict=True)]
    return [bare for item in items if (bare := item.replace('\\\n', '\n').strip())]


def _bracketed(word: str) -> Iterator[tuple[str, str | None, str | None]]:
    """The ways to read a word as ``name[EXT][x1:x2,y1:y2]``: name, HDU and region, the shorter name last."""
    path, hdu, region = word, None, None
    if (match := _GROUP.search(path)) and (':' in match[1] or '*' in match[1]):
        region, path = match[1], path[: match.start()]
        yield path, None, region
    if match := _GROUP.search(path):
        hdu, path = match[1], path[: match.start()]
        yield path, hdu, region


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
    text = os.fsdecode(list_bytes(name))
    if null:
        return [item for item in text.split('\0') if item]
    if '\0' in text:
        raise Failure('its names are separated by NUL: --null reads it', f'@{name}')
    lines = (line.removesuffix('\r') for line in text.split('\n'))
    return [line for line in lines if line.strip() and not (line.lstrip().startswith('#') and not os.path.exists(line))]


def list_bytes(name: str) -> bytes:
    """What a list holds.

    Parameters
    ----------
    name : str
        The file; ``-`` is standard input.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    Failure
        When standard input is closed.
    """
    if name != '-':
        with open(name, 'rb') as file:
            return file.read()
    if sys.stdin is None:
        raise Failure('standard input is closed', '@-')
    return getattr(sys.stdin, 'buffer', sys.stdin).read()
