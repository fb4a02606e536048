"""Lists of names in files of their own, one a group, as ``@list`` reads them."""

import glob
from collections.abc import Sequence

from fitsutils.errors import Failure

_DIGITS = 3


def list_names(root: str, count: int) -> list[str]:
    """Names of lists.

    Parameters
    ----------
    root : str
        What they begin with.
    count : int
        How many there are.

    Returns
    -------
    list of str
        ROOT.001.list and so on; with more digits where a thousand or more are needed.

    Examples
    --------
    >>> list_names('bias', 2)
    ['bias.001.list', 'bias.002.list']
    """
    digits = max(_DIGITS, len(str(count)))
    return [f'{root}.{number:0{digits}d}.list' for number in range(1, count + 1)]


def left_over(root: str, names: Sequence[str]) -> list[str]:
    """Lists of this root that are there and are none of some: an earlier run with more groups left them.

    Parameters
    ----------
    root : str
        What names of lists begin with.
    names : sequence of str
        The lists of now.

    Returns
    -------
    list of str
        Sorted.
    """
    there = glob.glob(f'{glob.escape(root)}.*.list')
    numbered = [name for name in there if name[len(root) + 1 : -len('.list')].isdigit()]
    return sorted(set(numbered) - set(names))


def list_text(names: Sequence[str], *, null: bool = False) -> str:
    r"""What a list holds.

    Parameters
    ----------
    names : sequence of str
        The names.
    null : bool
        They end in NUL instead of newline.

    Returns
    -------
    str
        The text.

    Raises
    ------
    Failure
        When a name can't stand on a line of its own.

    Examples
    --------
    >>> list_text(['a.fits', 'b.fits'])
    'a.fits\nb.fits\n'
    """
    for name in names:
        if not null and (name.endswith('\r') or '\n' in name):
            raise Failure('a name with a line break needs --null in a list', name)
    return ''.join(name + ('\0' if null else '\n') for name in names)
