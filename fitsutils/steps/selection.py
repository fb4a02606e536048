"""Frames chosen by what their headers say, and, where an expression names a statistic, by their pixels.

Here `files` and `pixels` meet for the commands that have ``--where``.
"""

import collections
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fitsutils import files, pixels
from fitsutils.errors import warn

FILENAME = 'FILENAME'  # stands for the name of the file
_COMMENTARY = {'COMMENT', 'HISTORY'}


class Selection:
    """Which frames ``--where`` takes; notes the keywords that no frame has.

    Parameters
    ----------
    where : str or None
        The expression; None takes every frame.
    keys : sequence of Key
        Keys whose values are wanted of the frames too.

    Raises
    ------
    UsageError
        When the expression can't be read.
    """

    def __init__(self, where: str | None, keys: Sequence[Any] = ()) -> None:
        self._condition = None if where is None else files.where.parse(where)
        self._expressions = [key.expression for key in keys] + ([self._condition] if self._condition else [])
        self._unseen = {key for each in self._expressions for key in each.compared_keywords}
        self._tested = self._taken = 0

    @functools.cached_property
    def keywords(self) -> list[str]:
        """The keywords to read, under all their names."""
        looked_up = {key for each in self._expressions for key in each.keywords} - {FILENAME}
        return sorted({name for key in looked_up for name in files.header.keywords_behind(key)})

    @functools.cached_property
    def statistics(self) -> list[str]:
        """The statistics that may be looked up."""
        return sorted({name for each in self._expressions for name in each.statistics})

    def takes(self, lookup: Callable[[str], Any]) -> bool:
        """Whether a frame is one of those that are wanted.

        Parameters
        ----------
        lookup : callable
            As `lookup` makes it.

        Returns
        -------
        bool
            True when it is.
        """
        if self._unseen:
            self._unseen = {key for key in self._unseen if files.comparing.bare(lookup(key)) is None}
        taken = self._condition is None or self._condition.test(lookup)
        self._tested += 1
        self._taken += taken
        return taken

    @property
    def tested(self) -> int:
        """How many frames were tested."""
        return self._tested

    @property
    def absent(self) -> frozenset[str]:
        """The keywords that are compared and that no frame has so far."""
        return frozenset(self._unseen)

    @property
    def is_empty(self) -> bool:
        """Whether frames were tested and none was taken."""
        return self._tested > 0 and not self._taken

    def warn(self, what: str = 'images') -> None:
        """Tell the user which keywords no frame has, and that none was taken where that is so.

        Parameters
        ----------
        what : str
            What the frames are, in the plural.
        """
        texts = self._condition.possible_texts if self._condition else frozenset()
        for key in sorted(self._unseen if self._tested else ()):
            warn(f'no image has a value of {key}' + ('; a text stands in quotes' if key in texts else ''))
        if self.is_empty:
            warn(f'--where takes none of {self._tested} {what}')


def read(reference: Any, hdu: Any, wanted: set[str] | None, selection: Selection) -> tuple[Any, Callable[[str], Any]]:
    """Header values of a frame, and what expressions look them up with.

    Parameters
    ----------
    reference : Reference
        The frame, perhaps an HDU or a part of it.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.
    wanted : set of str, optional
        Keywords that are wanted beside those of the selection; None for all.
    selection : Selection
        What will be looked up.

    Returns
    -------
    Keywords
        The values.
    callable
        As `lookup` makes it; pixels are read when the first statistic is asked for.

    Raises
    ------
    Failure
        When the file can't be read, is not FITS, or has no such HDU.
    """
    header = files.keywords.read(reference, hdu, None if wanted is None else wanted.union(selection.keywords))
    searched = header
    if wanted is None and (more := _COMMENTARY.intersection(selection.keywords)):  # which "all" leaves out
        searched = collections.ChainMap(header, files.keywords.read(reference, hdu, more))
    names = selection.statistics
    return header, lookup(searched, str(reference), statistics_of(reference, hdu, names) if names else None)


def lookup(header: Mapping[str, Any], name: str, statistic: Callable[[str], Any] | None = None) -> Callable[[str], Any]:
    """What an expression looks values of a frame up with.

    Parameters
    ----------
    header : Header or mapping
        The frame's header; a keyword counts under its other names too, and DATE-OBS is the time of
        observation wherever it stands.
    name : str
        What the keyword FILENAME gives.
    statistic : callable, optional
        Gives a statistic by its name.

    Returns
    -------
    callable
        Takes a keyword in capitals or a statistic in small letters.

    Examples
    --------
    >>> look = lookup({'EXPOSURE': 60.0}, 'a.fits')
    >>> look('EXPTIME'), look('FILENAME'), look('FILTER')
    (60.0, 'a.fits', None)
    """

    def found(key: str) -> Any:
        if key == FILENAME:
            return name
        if statistic is not None and key != key.upper():
            return statistic(key)
        return files.header.lookup(header, key)

    return found


def statistics_of(reference: Any, hdu: Any, names: Sequence[str]) -> Callable[[str], Any]:
    """Statistics of a frame's pixels, which are read once, and not before the first is asked for.

    Parameters
    ----------
    reference : Reference
        The frame, perhaps a part of it.
    hdu : int, str or (str, int), optional
        The HDU where the reference names none.
    names : sequence of str
        The statistics that may be asked for.

    Returns
    -------
    callable
        Gives a statistic by its name; it raises Failure where the pixels can't be read.
    """

    @functools.cache
    def described() -> dict[str, Any]:
        image = files.reader.open_image(reference, hdu)
        return pixels.stats.describe(pixels.stats.distribution(files.reader.read_pixels(image)), names)

    return lambda name: described()[name]


def kinds(values: Iterable[Sequence[Any]]) -> list[list[int]]:
    """Rows of equal values, put together.

    Parameters
    ----------
    values : iterable of sequences
        Of each row the values of some keys; numbers are compared as numbers, also those that stand
        there as text, and what is missing is a value of its own.

    Returns
    -------
    list of list of int
        For each kind the numbers of its rows; the kinds are in the order of their values.

    Examples
    --------
    >>> kinds([('V', 60), ('B', 60), ('V', 60.0), ('V', None)])
    [[1], [0, 2], [3]]
    """
    found: dict[tuple[Any, ...], list[int]] = {}
    firsts = []
    for place, row in enumerate(values):
        rows = found.setdefault(tuple(map(files.comparing.comparable, row)), [])
        if not rows:
            firsts.append(row)
        rows.append(place)
    return [list(found.values())[place] for place in files.header.order(list(zip(*firsts, strict=True)))]
