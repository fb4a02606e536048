"""Rows -> aligned text, TSV, CSV, ECSV or JSON lines."""

import csv
import datetime
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from fitsutils.errors import visible

MISSING = '....'

Rows = Sequence[Sequence[Any]]


def render(
    columns: Sequence[str], rows: Rows, form: str = 'table', *, digits: int | None = None, numbered: bool = False
) -> str:
    """A table as text.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.
    rows : sequence of sequences
        Values: text, numbers, logicals, datetimes; None or NaN is missing.
    form : {'table', 'tsv', 'csv', 'ecsv', 'jsonl'}
        'table' is aligned, every value one word, made for people, grep and
        awk; in the others numbers read back as they were.
    digits : int, optional
        Significant digits of floats in a 'table'; None for all.
    numbered : bool
        A 'table' has a second header line with the columns' numbers.

    Returns
    -------
    str
        Lines, each with its newline.

    Examples
    --------
    >>> print(render(['File', 'OBJECT'], [['a.fit', 'M 31'], ['b.fit', None]], numbered=True), end='')
    #File OBJECT
    #1    2
    a.fit M_31
    b.fit ....
    """
    if form == 'table':
        return _aligned(columns, rows, digits, numbered)
    return _FORMS[form](columns, rows)


def _aligned(columns: Sequence[str], rows: Rows, digits: int | None, numbered: bool) -> str:
    lines = [['#' + one_word(columns[0]), *map(one_word, columns[1:])]] if columns else []
    if numbered and columns:
        lines.append(['#1', *(str(number) for number in range(2, len(columns) + 1))])
    lines += [[one_word(value, digits) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ''.join(
        ' '.join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() + '\n' for line in lines
    )


def one_word(value: Any, digits: int | None = None) -> str:
    """A value as one word: spaces become ``_``, a missing or blank one ``....``.

    Parameters
    ----------
    value : Any
        Text, a number, a logical, a datetime or None.
    digits : int, optional
        Significant digits of floats; None for all.

    Returns
    -------
    str
        The word.

    Examples
    --------
    >>> one_word('Bias Frame'), one_word('  '), one_word(0.1), one_word(1/3, 4), one_word(True)
    ('Bias_Frame', '....', '0.1', '0.3333', 'T')
    """
    if isinstance(value, float) and digits is not None and math.isfinite(value):
        return f'{value:.{digits}g}'
    if type(value) in (int, float) and value == value:  # most cells of a long log: nothing to make visible
        return str(value)
    return '_'.join(visible(_text(value)).split()) or MISSING


def name_word(name: str | None) -> str | None:
    r"""A file's name as one word that is no other file's name.

    Parameters
    ----------
    name : str or None
        The name; None for none.

    Returns
    -------
    str or None
        With its blanks visible: as ``_`` they could make another name of it.

    Examples
    --------
    >>> print(name_word('a b.fits'))
    a\x20b.fits
    """
    return name and name.replace(' ', '\\x20')


def rounded(value: float, error: float, least: int = 3) -> tuple[str, str]:
    """A measured value and its error for people: as many decimals as the error's second digit needs.

    Parameters
    ----------
    value, error : float
        Any finite numbers, the error not below 0.
    least : int
        Decimals that there are at least.

    Returns
    -------
    (str, str)
        Both.

    Examples
    --------
    >>> rounded(5.93333, 1.52753), rounded(0.0043217, 0.000123)
    (('5.933', '1.528'), ('0.00432', '0.00012'))
    """
    places = least if not 0 < error < 1 else max(least, 1 - math.floor(math.log10(error)))
    return f'{value:.{places}f}', f'{error:.{places}f}'


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ''
    if isinstance(value, bool):
        return 'T' if value else 'F'
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value)


def _tsv(columns: Sequence[str], rows: Rows) -> str:
    # visible() leaves no tab and no newline in a value, so nothing needs quotes.
    return ''.join('\t'.join(visible(_text(value)) for value in row) + '\n' for row in [columns, *rows])


def _csv(columns: Sequence[str], rows: Rows) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    for row in [columns, *rows]:
        writer.writerow([visible(_text(value)) for value in row])
    return out.getvalue()


def _ecsv(columns: Sequence[str], rows: Rows) -> str:
    lines = ['# %ECSV 1.0', '# ---', '# datatype:']
    kinds = [_ecsv_type([row[place] for row in rows]) for place in range(len(columns))]
    lines += [
        f'# - {{name: {json.dumps(visible(name))}, datatype: {kind}}}'
        for name, kind in zip(columns, kinds, strict=True)
    ]
    lines += ['# schema: astropy-2.0']
    lines.append(' '.join(map(_ecsv_word, columns)))
    for row in rows:
        lines.append(' '.join(_ecsv_word(_ecsv_text(value, kind)) for value, kind in zip(row, kinds, strict=True)))
    return '\n'.join(lines) + '\n'


def _ecsv_type(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if _text(value)}
    if kinds == {int} and any(abs(value) >= 2**63 for value in values if type(value) is int):
        return 'string'
    for names, kind in (({bool}, 'bool'), ({int}, 'int64'), ({int, float}, 'float64')):
        if kinds and kinds <= names:
            return kind
    return 'string'


def _ecsv_text(value: Any, kind: str) -> str:
    return str(value) if isinstance(value, bool) and kind == 'bool' else _text(value)


def _ecsv_word(text: str) -> str:
    """A field between spaces: an empty one, which means a missing value, can only be seen in quotes."""
    text = visible(text)
    return text if text and not any(mark in text for mark in ' "') else '"' + text.replace('"', '""') + '"'


def _jsonl(columns: Sequence[str], rows: Rows) -> str:
    return ''.join(json.dumps(dict(zip(columns, map(_json, row), strict=True)), allow_nan=False) + '\n' for row in rows)


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, str):
        return visible(value)
    return value if value is None or isinstance(value, (bool, int, float)) else _text(value)


_FORMS: dict[str, Callable[[Sequence[str], Rows], str]] = {'tsv': _tsv, 'csv': _csv, 'ecsv': _ecsv, 'jsonl': _jsonl}
