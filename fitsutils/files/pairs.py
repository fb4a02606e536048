"""Images and what each is to be calculated with: from the words of a command line, or from a list of pairs."""

import math
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fitsutils.errors import Failure, UsageError, visible
from fitsutils.files import inputs
from fitsutils.files.inputs import Reference
from fitsutils.files.table import MISSING

_HEADERS = (('image', 'master'), ('image', 'operand'))
_FOUND = 'found'
_MOST_NAMED = 20  # images that one message names
_LONGEST = 60  # characters of a line that a message repeats


class Pair(NamedTuple):
    """An image and its operand.

    Attributes
    ----------
    image : Reference
        The image.
    operand : float, str or Reference
        A number, ``key=KEYWORD`` (the image's own value), or an image.
    """

    image: Reference
    operand: float | str | Reference


class Pairs(NamedTuple):
    """What a list of pairs holds.

    Attributes
    ----------
    pairs : list of Pair
        Images with an operand.
    unpaired : list of str
        Names of the images that have none.
    """

    pairs: list[Pair]
    unpaired: list[str]


def from_words(image_words: Sequence[str], operand_words: Sequence[str], *, null: bool = False) -> list[Pair]:
    """Pairs that a command line names.

    Parameters
    ----------
    image_words, operand_words : sequence of str
        The words before and behind the operator.
    null : bool
        Names in lists are separated by NUL.

    Returns
    -------
    list of Pair
        One for each image: with the one operand that there is, or each with its own.

    Raises
    ------
    Failure
        When a pattern or a list yields nothing.
    UsageError
        When the numbers of images and operands do not go together.
    """
    images = inputs.expand(image_words, null=null)
    operands = _operands(operand_words, null)
    if len(operands) not in (1, len(images)):
        raise UsageError(f'{len(images)} images and {len(operands)} operands: one is wanted, or as many')
    operands = operands * len(images) if len(operands) == 1 else operands
    return [Pair(*pair) for pair in zip(images, operands, strict=True)]


def _operands(words: Sequence[str], null: bool = False) -> list[float | str | Reference]:
    """A number or ``key=KEYWORD``, or else the images that the words name."""
    if len(words) == 1:
        if words[0].lower().startswith('key='):
            return [words[0].strip()]
        try:
            if '_' not in words[0]:  # Python would read 1_0 as a number
                return [float(words[0])]
        except ValueError:
            pass
    return [*inputs.expand(words, null=null)]


def from_list(word: str, *, null: bool = False) -> Pairs:
    """Pairs of a list, such as `img_match` prints.

    A line names an image and its operand, and whatever comes behind them. They are separated by tabs; in a line
    without a tab by blanks. Blank lines and those that begin with '#' are passed over. A first line ``image master`` or
    ``image operand`` names the columns; where one of them is ``status``, only images whose status is ``found`` have an
    operand. An empty operand and ``....`` are none.

    Parameters
    ----------
    word : str
        The file, or ``-`` for standard input; with a ``@`` before it or without.
    null : bool
        The file has no lines, but image and operand in turn, each ended by NUL.

    Returns
    -------
    Pairs
        At least one, with an operand or without.

    Raises
    ------
    Failure
        When the file can't be read, holds no pair, or a line is none.
    """
    name = word.removeprefix('@')
    label = f'@{name}'
    text = os.fsdecode(inputs.list_bytes(name))
    found = Pairs([], [])
    for where, fields in _rows_of_null(text, label) if null else _rows_of_lines(text, label):
        image = _one(fields[0], label, where)
        if fields[1] in ('', MISSING):
            found.unpaired.append(str(image))
            continue
        operands = _operands([fields[1]])
        if len(operands) != 1:
            raise _odd(label, where, f'{visible(fields[1])} names {len(operands)} operands')
        found.pairs.append(Pair(image, operands[0]))
    if not found.pairs and not found.unpaired:
        raise Failure('the list is empty', label)
    return found


def _one(name: str, label: str, where: str) -> Reference:
    references = inputs.expand([name])
    if len(references) != 1:
        raise _odd(label, where, f'{visible(name)} names {len(references)} images')
    return references[0]


def _odd(label: str, where: str, what: str) -> Failure:
    return Failure(f'{where}: {what}', label)


def _rows_of_null(text: str, label: str) -> Iterator[tuple[str, list[str]]]:
    words = text.removesuffix('\0').split('\0') if text else []
    if len(words) % 2:
        raise Failure('with --null, images and operands come in turn, and there is an image without one', label)
    for place in range(0, len(words), 2):
        yield f'pair {place // 2 + 1}', words[place : place + 2]


def _rows_of_lines(text: str, label: str) -> Iterator[tuple[str, list[str]]]:
    if '\0' in text:
        raise Failure('its names are separated by NUL: --null reads it', label)
    columns: list[str] | None = None
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip():
            continue
        titles = [field.strip().lower() for field in _fields(line.lstrip('# '))]
        if columns is None and tuple(titles[:2]) in _HEADERS:
            columns = titles
            continue
        fields = _fields(line.removesuffix('\r'))
        if fields[0].startswith('#') and not os.path.exists(fields[0]):
            continue
        columns = columns or []
        if len(fields) < 2 or not fields[0]:
            shown = visible(line if len(line) <= _LONGEST else f'{line[:_LONGEST]}...')
            rule = 'is not an image and its operand, with a tab or blanks between'
            raise _odd(label, f'line {number}', f'{shown!r} {rule}')
        yield f'line {number}', _with_status(fields, columns)


def _fields(line: str) -> list[str]:
    if '\t' not in line:
        return line.split()
    # A name may begin or end with a blank; where there is no such file, the blanks are there for people.
    return [field if os.path.exists(field) else field.strip() for field in line.split('\t')]


def _with_status(fields: list[str], columns: Sequence[str]) -> list[str]:
    """A row, whose operand is none where a column says so."""
    place = columns.index('status') if 'status' in columns else len(fields)
    unfit = place < len(fields) and fields[place] != _FOUND
    return [fields[0], '' if unfit else fields[1]]


def refuse_unpaired(pairs: Sequence[Pair], unpaired: Sequence[str], *, skip: bool = False) -> None:
    """Refuse to go on without images that have no operand.

    Parameters
    ----------
    pairs : sequence of Pair
        Those that have one.
    unpaired : sequence of str
        The images that have none.
    skip : bool
        Whether these may be left out, so long as there are others.

    Raises
    ------
    Failure
        Naming the images.
    """
    if unpaired and not (skip and pairs):
        more = '' if skip else '; --skip-unpaired leaves such images out'
        raise Failure(f'{unpaired_words(unpaired)}{more}')


def unpaired_words(names: Sequence[str]) -> str:
    """What to say of images that have no operand.

    Parameters
    ----------
    names : sequence of str
        At least one.

    Returns
    -------
    str
        Such as ``no operand for 2 images: a.fits, b.fits``.

    Examples
    --------
    >>> unpaired_words(['a.fits'])
    'no operand for 1 image: a.fits'
    """
    more = f' and {len(names) - _MOST_NAMED} more' if len(names) > _MOST_NAMED else ''
    plural = '' if len(names) == 1 else 's'
    return f'no operand for {len(names)} image{plural}: {", ".join(names[:_MOST_NAMED])}{more}'


def refuse_senseless(pairs: Sequence[Pair], operator: str) -> None:
    """Refuse a number that would leave no pixel a value.

    Parameters
    ----------
    pairs : sequence of Pair
        The pairs.
    operator : str
        What is done to each.

    Raises
    ------
    UsageError
        When an operand is infinite or NaN and the operator is neither a choice nor an assignment.
    """
    for _, operand in pairs:
        if isinstance(operand, float) and not math.isfinite(operand) and operator not in ('=', 'min', 'max'):
            raise UsageError(f'{operator} {operand:g} would leave no pixel a value')


def paths(pairs: Sequence[Pair]) -> list[str]:
    """All files that pairs name.

    Parameters
    ----------
    pairs : sequence of Pair
        The pairs.

    Returns
    -------
    list of str
        Images, and operands that are images.
    """
    return [each.path for pair in pairs for each in pair if isinstance(each, Reference)]
