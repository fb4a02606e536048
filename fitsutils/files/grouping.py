"""Frames of one signature that belong together in time, and of several masters the one nearest to a frame.

A signature is the values of some keywords. Times are compared as datetimes, whose differences are exact: frames an hour
apart are not less than an hour apart.
"""

import bisect
import datetime
import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from fitsutils.files import header as headers
from fitsutils.files.comparing import comparable

Side = Literal['any', 'before', 'after']
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Frame:
    """What is compared of a frame.

    Attributes
    ----------
    name : str
        What the user called it.
    start : datetime or None
        Start of its exposure; None where that is not known.
    values : tuple
        The values of its keywords, as the header has them.
    night : date, optional
        The night, where frames of several nights are kept apart.
    identity : str, optional
        What is the same for two names of one file.
    """

    name: str
    start: datetime.datetime | None
    values: tuple[Any, ...] = ()
    night: datetime.date | None = None
    identity: str | None = None

    @functools.cached_property
    def signature(self) -> tuple[Any, ...]:
        """The values in the form in which they are compared."""
        return tuple(map(comparable, self.values))

    @property
    def mjd(self) -> float | None:
        """Start of the exposure as MJD."""
        return None if self.start is None else headers.mjd(self.start)


def groups(
    frames: Iterable[Frame], *, span: datetime.timedelta | None = None, gap: datetime.timedelta | None = None
) -> list[list[Frame]]:
    """Frames of one signature and one night that belong together in time.

    A frame belongs to a group when it began less than `span` after the group's first frame, and less than `gap` after
    its last one.

    Parameters
    ----------
    frames : iterable of Frame
        The frames, in any order. A value that is missing is a value of its own.
    span : timedelta, optional
        How long a group lasts; 0 makes each frame a group. None: as long as it goes on.
    gap : timedelta, optional
        How long it may pause. None: as long as it likes.

    Returns
    -------
    list of list of Frame
        Groups in the order of their first frames, each in time order; frames of one moment by their names, those
        without a time last.

    Examples
    --------
    >>> moments = [datetime.datetime(2021, 2, 27, 4, minute) for minute in (0, 40, 59)]
    >>> frames = [Frame(str(place), moment) for place, moment in enumerate(moments)]
    >>> found = groups(frames, gap=datetime.timedelta(minutes=30))
    >>> [[frame.name for frame in group] for group in found]
    [['0'], ['1', '2']]
    """
    found: list[list[Frame]] = []
    open_ones: dict[tuple[Any, ...], list[Frame]] = {}
    for frame in sorted(frames, key=_when):
        key = (frame.night, *frame.signature)
        group = open_ones.get(key)
        if group is None or not _goes_on(group, frame, span, gap):
            group = open_ones[key] = []
            found.append(group)
        group.append(frame)
    return found


def _when(frame: Frame) -> tuple[datetime.datetime, str]:
    return frame.start or datetime.datetime.max, frame.name


def _goes_on(
    group: Sequence[Frame], frame: Frame, span: datetime.timedelta | None, gap: datetime.timedelta | None
) -> bool:
    for before, limit in ((group[0], span), (group[-1], gap)):
        if limit is not None and (
            before.start is None or frame.start is None or frame.start - before.start >= limit
        ):  # fmt: skip
            return False
    return True


def mean_mjd(group: Sequence[Frame]) -> float | None:
    """The mean of the starts of some frames.

    Parameters
    ----------
    group : sequence of Frame
        At least one.

    Returns
    -------
    float or None
        MJD; None where the start of one is not known.
    """
    if any(frame.start is None for frame in group):
        return None
    first = group[0].start
    return headers.mjd(first + sum((frame.start - first for frame in group), datetime.timedelta()) / len(group))


class Match(NamedTuple):
    """The master of a frame.

    Attributes
    ----------
    master : Frame or None
        The nearest of the frame's signature; None where there is none.
    days : float or None
        How much later than the frame it began.
    status : str
        'found'; 'none', where no master has the signature; 'far', where those that have it lie too far off or on the
        other side; 'undated', where the frame has no time.
    nearest : Frame or None
        For 'far' the nearest all the same, for 'none' the master that has most of the signature.
    """

    master: Frame | None
    days: float | None
    status: str
    nearest: Frame | None = None


class Masters:
    """Masters by signature, in time order.

    Parameters
    ----------
    masters : iterable of Frame
        The masters; those without a time are never near.
    """

    def __init__(self, masters: Iterable[Frame]) -> None:
        self._all = sorted((master for master in masters if master.start is not None), key=_when)
        self._alike: dict[tuple[Any, ...], list[Frame]] = {}
        for master in self._all:
            if None not in master.signature:
                self._alike.setdefault(master.signature, []).append(master)

    def doubles(self) -> list[tuple[Frame, Frame]]:
        """Masters of one signature and one moment, of which only the first can ever be the nearest.

        Returns
        -------
        list of (Frame, Frame)
            Each with the one before it.
        """
        rows = self._alike.values()
        return [pair for row in rows for pair in itertools.pairwise(row) if pair[0].start == pair[1].start]

    def nearest(self, frame: Frame, *, side: Side = 'any', most: datetime.timedelta | None = None) -> Match:
        """The master of a frame's signature that is nearest in time.

        Parameters
        ----------
        frame : Frame
            The frame, which is no master of its own. A value that is missing agrees with none, not even with one that
            is missing too.
        side : {'any', 'before', 'after'}
            Where it must lie; what began at the same moment is on both sides.
        most : timedelta, optional
            How far off it may be at most.

        Returns
        -------
        Match
            Of two that are as near the earlier one, of one moment the first by name.

        Examples
        --------
        >>> days = [datetime.datetime(2017, 2, 24, 21), datetime.datetime(2017, 2, 26, 6)]
        >>> masters = Masters([Frame('a', days[0], (1,)), Frame('b', days[1], (1.0,))])
        >>> found = masters.nearest(Frame('x', datetime.datetime(2017, 2, 25, 18), ('1',)))
        >>> found.master.name, found.days
        ('b', 0.5)
        """
        alike = [master for master in self._alike.get(frame.signature, ()) if not _is_same(master, frame)]
        if not alike:
            return Match(None, None, 'none', self._most_alike(frame))
        if frame.start is None:
            return Match(None, None, 'undated')
        near = _beside(alike, frame.start)
        allowed = {'any': near, 'before': near[:1], 'after': near[1:]}[side]
        master = _closest(allowed, frame.start)
        if master is None or (most is not None and abs(master.start - frame.start) > most):
            return Match(None, None, 'far', _closest(near, frame.start))
        return Match(master, days_between(frame.start, master.start), 'found', master)

    def _most_alike(self, frame: Frame) -> Frame | None:
        others = [master for master in self._all if not _is_same(master, frame)]
        return max(others, key=lambda master: len(frame.signature) - len(differing(frame, master)), default=None)


def _is_same(master: Frame, frame: Frame) -> bool:
    return master.identity is not None and master.identity == frame.identity


def _beside(masters: Sequence[Frame], moment: datetime.datetime) -> tuple[Frame | None, Frame | None]:
    """The last master up to a moment, and the first from it on; of several of one moment the first."""
    starts = [master.start for master in masters]
    behind, ahead = bisect.bisect_right(starts, moment), bisect.bisect_left(starts, moment)
    before = masters[bisect.bisect_left(starts, starts[behind - 1])] if behind else None
    return before, masters[ahead] if ahead < len(masters) else None


def _closest(masters: Iterable[Frame | None], moment: datetime.datetime) -> Frame | None:
    there = [master for master in masters if master is not None]
    return min(there, key=lambda master: abs(master.start - moment), default=None)


def days_between(frame: datetime.datetime, master: datetime.datetime) -> float:
    """How far in time a master is from a frame.

    Parameters
    ----------
    frame, master : datetime
        Starts of the exposures.

    Returns
    -------
    float
        Days, positive where the master began later.

    Examples
    --------
    >>> days_between(datetime.datetime(2021, 2, 27, 4), datetime.datetime(2021, 2, 26, 22))
    -0.25
    """
    return (master - frame) / _DAY


def differing(frame: Frame, other: Frame) -> list[int]:
    """Where the signatures of two frames do not agree.

    Parameters
    ----------
    frame, other : Frame
        Frames with the same keywords.

    Returns
    -------
    list of int
        Places in the signature; one where a value is missing is among them.
    """
    pairs = enumerate(zip(frame.signature, other.signature, strict=True))
    return [place for place, (one, another) in pairs if one is None or one != another]


def why_not(frame: Frame, match: Match, names: Sequence[str]) -> str:
    """Why a frame has no master.

    Parameters
    ----------
    frame : Frame
        The frame.
    match : Match
        What `Masters.nearest` found.
    names : sequence of str
        What the signature's values are called.

    Returns
    -------
    str
        Words for the user.
    """
    if match.status == 'undated':
        return 'it has no master: its header has no date'
    if match.nearest is None:
        return 'it has no master: there is no other image with a date to choose from'
    if match.status == 'far':
        days = days_between(frame.start, match.nearest.start)
        near = f'the nearest, {match.nearest.name}, is {days:+.6g} days off'
        return f'no master is near enough, or on the side asked for: {near}'
    missing = [names[place] for place, found in enumerate(frame.signature) if found is None]
    if missing:
        return f'it has no master: {", ".join(missing)} is missing, and a master must agree in it'
    places = differing(frame, match.nearest)
    texts = [
        f'{names[place]} is {_shown(frame.values[place])}, not {_shown(match.nearest.values[place])}'
        for place in places
    ]
    return f'no master has its signature; {match.nearest.name} is closest: {", ".join(texts)}'


def _shown(found: Any) -> str:
    return 'missing' if comparable(found) is None else str(found).strip()
