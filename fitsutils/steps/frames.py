"""Frames to be grouped or matched, from the headers of files: where `selection` and `files` meet."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from fitsutils.errors import Failure, warn
from fitsutils.files import header as headers
from fitsutils.files import nights
from fitsutils.files.grouping import Frame, Masters
from fitsutils.steps import selection
from fitsutils.steps.selection import Selection


@dataclasses.dataclass(frozen=True)
class Rules:
    """What of a frame is compared.

    Attributes
    ----------
    keys : sequence of Key
        What makes its signature.
    hdu : int, str or (str, int), optional
        The HDU where a name gives none.
    timed : str, optional
        The option that needs the time of each frame; None: a frame may have none.
    by_night : bool
        Whether frames of several nights are kept apart.
    longitude : float, optional
        Degrees, eastwards positive, that say when it is noon; None: what a header says, or else 0.
    """

    keys: Sequence[Any] = ()
    hdu: Any = None
    timed: str | None = None
    by_night: bool = False
    longitude: float | None = None

    @property
    def keywords(self) -> set[str]:
        """The keywords that say when a frame was taken."""
        names = {name for key in ('DATE-OBS', 'EXPTIME') for name in headers.keywords_behind(key)}
        return names | {*headers.MEAN_START_KEYS} | ({*nights.KEYWORDS} if self.by_night else set())


def read(reference: Any, rules: Rules, chosen: Selection) -> Frame | None:
    """What is compared of a frame.

    Parameters
    ----------
    reference : Reference
        The file.
    rules : Rules
        What of it is compared.
    chosen : Selection
        Which frames are taken, with the keys of `rules`.

    Returns
    -------
    Frame or None
        None where it is not taken.

    Raises
    ------
    Failure
        When the file can't be read, or has no time and that is needed.
    """
    header, lookup = selection.read(reference, rules.hdu, rules.keywords, chosen)
    if not chosen.takes(lookup):
        return None
    values = tuple(key.expression.value(lookup) for key in rules.keys)
    start = headers.mean_start(header)
    if start is None and rules.timed is not None:
        raise Failure(f'its header has no date, and {rules.timed} needs one', reference.path)
    night = None if start is None or not rules.by_night else nights.night_of(start, _longitude(header, rules))
    return Frame(str(reference), start, values, night, f'{os.path.realpath(reference.path)}[{reference.hdu}]')


def _longitude(header: Any, rules: Rules) -> float:
    if rules.longitude is not None:
        return rules.longitude
    return nights.site_longitude(header) or 0.0


def read_masters(references: Sequence[Any], rules: Rules, chosen: Selection) -> Masters:
    """Masters by signature; all of them must be readable, for any may be the nearest.

    Parameters
    ----------
    references : sequence of Reference
        The files.
    rules : Rules
        What of them is compared.
    chosen : Selection
        Which of them are taken.

    Returns
    -------
    Masters
        A master without a time gives a warning, and so do two between which nothing decides.

    Raises
    ------
    Failure
        When one can't be read.
    """
    found = [frame for reference in references if (frame := read(reference, rules, chosen)) is not None]
    for key in sorted(chosen.absent):
        warn(f'no master has a value of {key}')
    if not found:
        warn(f'--to-where takes none of {len(references)} masters')
    for frame in found:
        if frame.start is None:
            warn('its header has no date: it is the nearest of no image', frame.name)
    masters = Masters(found)
    doubles = masters.doubles()
    if doubles:
        taken, other = (frame.name for frame in doubles[0])
        more = f', and {len(doubles) - 1} more are so' if len(doubles) > 1 else ''
        warn(f'it has the signature and the time of {taken}, which is taken{more}', other)
    return masters
