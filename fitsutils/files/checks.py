"""What a combination must fulfil: the conditions of ``--check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fitsutils.files import comparing, where
from fitsutils.files import header as headers
from fitsutils.files.expression import Expression, Joined

COUNT, LEVEL = 'N', 'LEVEL'  # number of images, and the level of each
_NAMED = 3  # images that a message names


class Checks:
    """The conditions that a combination must fulfil, one by one.

    Parameters
    ----------
    texts : sequence of str
        Expressions of `where`; what they join by 'and' are conditions of their own. ``n`` is the number of images,
        ``level`` the level of each of them, statistics are those of the result, keywords those of its header.

    Raises
    ------
    UsageError
        When one can't be read.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        roots = [where.parse(text).root for text in texts]
        nodes = [node for root in roots for node in _parts(root)]
        self._conditions = [Expression(node) for node in nodes]

    def __bool__(self) -> bool:
        return bool(self._conditions)

    @property
    def statistics(self) -> list[str]:
        """The statistics of the result that are asked for."""
        return sorted({name for each in self._conditions for name in each.statistics})

    @property
    def wants_levels(self) -> bool:
        """Whether the level of every image is asked for."""
        return any(LEVEL in each.keywords for each in self._conditions)

    def broken(
        self, header: Mapping[str, Any], statistics: Mapping[str, Any], levels: Sequence[tuple[str, float]]
    ) -> list[str]:
        """The conditions that do not hold, each with what was found instead.

        Parameters
        ----------
        header : Header or mapping
            That of the result.
        statistics : mapping
            Of the result's pixels, by name.
        levels : sequence of (str, float)
            Names and levels of the images.

        Returns
        -------
        list of str
            A condition and the values of what it names; those of LEVEL for the images that break it.

        Examples
        --------
        >>> checks = Checks(['n >= 3 and std < 0.1', '1000 < level < 60000'])
        >>> checks.broken({}, {'std': 0.25}, [('a.fits', 900.0), ('b.fits', 5e3)])
        ['N >= 3: N is 2', 'std < 0.1: std is 0.25', '1000 < LEVEL < 60000: LEVEL is 900 in a.fits']
        """
        found = []
        for condition in self._conditions:
            bad = [(name, level) for name, level in (levels if LEVEL in condition.keywords else [('', None)])
                   if not condition.test(_lookup(header, statistics, len(levels), level))]  # fmt: skip
            if bad:
                look = _lookup(header, statistics, len(levels), None)
                names = sorted(condition.keywords - {LEVEL}) + sorted(condition.statistics)
                words = [f'{name} is {_shown(look(name))}' for name in names]
                words += [f'LEVEL is {_levels(bad)}'] if LEVEL in condition.keywords else []
                found.append(f'{condition}: {", ".join(words)}')
        return found


def _parts(node: Any) -> list[Any]:
    if isinstance(node, Joined) and node.word == 'and':
        return [part for each in node for part in _parts(each)]
    return [node]


def _lookup(
    header: Mapping[str, Any], statistics: Mapping[str, Any], count: int, level: float | None
) -> Callable[[str], Any]:
    own = {COUNT: count, LEVEL: level, **statistics}
    return lambda key: own[key] if key in own else headers.lookup(header, key)


def _shown(content: Any) -> str:
    content = comparing.bare(content)
    if content is None:
        return 'missing'
    return f'{content:.6g}' if isinstance(content, float) else comparing.as_text(content)


def _levels(bad: Sequence[tuple[str, float]]) -> str:
    words = [f'{_shown(level)} in {name}' for name, level in bad[:_NAMED]]
    return ', '.join(words) + (f' and so on, of {len(bad)} images' if len(bad) > _NAMED else '')


def note(header: Any, broken: Sequence[str]) -> None:
    """Write into the header of a result whether it fulfils what it must.

    Parameters
    ----------
    header : Header or PlainHeader
        Changed in place: CMBCHECK, and a HISTORY line for each condition that is broken.
    broken : sequence of str
        As of `Checks.broken`.
    """
    header['CMBCHECK'] = (not broken, 'whether it fulfils what --check asks')
    for words in broken:
        header.add_history(headers.ascii_text(f'  check failed: {words}'))
