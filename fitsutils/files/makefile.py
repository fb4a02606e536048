"""Groups of frames as a fragment of a Makefile, in which each group makes one master."""

import collections
import os
import re
from collections.abc import Sequence

from fitsutils.errors import Failure, UsageError, visible
from fitsutils.files.naming import safe_word, split_suffix

# What make takes for itself within a name, or a shell, and no way of writing it works for both.
_UNFIT = re.compile(r'[^\w./+,@^-]|\A[@+~-]')
_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_-]*', re.ASCII)

_HEAD = """\
# {what}
#
#   make -f THIS                  makes {name}: one master a group, from those groups that have newer frames
#   include THIS                  in a Makefile, behind settings of its own:
#
# {name}_combine is the command that combines, {name}_root what the masters' names begin with (a folder is made),
# {name}_masters are all of them. A master is named after its group's first frame.

{name}_combine ?= combine_fits -m median
{name}_root ?= {name}_
{name}_masters :={masters}

.PHONY: {name}
{name}: $({name}_masters)
"""
_RULE = """
# group {number}: {words}
{target}:{files}
\t@mkdir -p $(@D)
\t$({name}_combine) -f -o $@ $^
"""


def check_name(name: str) -> None:
    """Refuse a name of groups that can't be one of variables of make.

    Parameters
    ----------
    name : str
        The word after ``--name``.

    Raises
    ------
    UsageError
        When it is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f'--name {name}: letters, digits, _ and - are wanted, a letter first')


def fragment(groups: Sequence[Sequence[str]], words: Sequence[str], name: str, what: str) -> str:
    r"""A fragment that GNU make runs as it stands.

    Parameters
    ----------
    groups : sequence of sequence of str
        The files of each group.
    words : sequence of str
        What a group is, for a comment.
    name : str
        What the target, the variables and the masters are named after.
    what : str
        What the groups are, for a comment.

    Returns
    -------
    str
        Lines, each with its newline.

    Raises
    ------
    Failure
        When a file's name can't stand in a Makefile.

    Examples
    --------
    >>> text = fragment([['b1.fits', 'b2.fits']], ['2 files'], 'bias', 'biases')
    >>> print(text[text.index('# group'):].expandtabs(4), end='')
    # group 1: 2 files
    $(bias_root)b1.fits: \
      b1.fits \
      b2.fits
        @mkdir -p $(@D)
        $(bias_combine) -f -o $@ $^
    """
    for path in (path for group in groups for path in group):
        _refuse_unfit(path)
    targets = [f'$({name}_root){master}' for master in _masters([group[0] for group in groups])]
    rules = [
        _RULE.format(number=number, words=_comment(text), target=target, files=_continued(group), name=name)
        for number, (group, text, target) in enumerate(zip(groups, words, targets, strict=True), 1)
    ]
    return _HEAD.format(name=name, what=_comment(what), masters=_continued(targets)) + ''.join(rules)


def _refuse_unfit(path: str) -> None:
    if match := _UNFIT.search(path):
        where = 'begin with' if match.start() == 0 else 'hold'
        raise Failure(f'a name in a Makefile can not {where} {visible(match[0])!r}; --lists has no such limit', path)


def _masters(firsts: Sequence[str]) -> list[str]:
    """Names of masters after the first frames; where two would be one, with the folders, or else with a number."""
    stems = [split_suffix(path)[0] for path in firsts]
    names = _unless_alone([safe_word(os.path.basename(stem)) for stem in stems], [safe_word(stem) for stem in stems])
    names = _unless_alone(names, [f'{name}_{number}' for number, name in enumerate(names, 1)])
    return [f'{name}.fits' for name in names]


def _unless_alone(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Names; for those that are there twice, capitals or not, the longer ones."""
    count = collections.Counter(name.casefold() for name in names)
    return [long if count[name.casefold()] > 1 else name for name, long in zip(names, longer, strict=True)]


def _continued(words: Sequence[str]) -> str:
    return ''.join(f' \\\n  {word}' for word in words)


def _comment(text: str) -> str:
    """A text that ends with its line: a backslash at its end would go on in the next one."""
    return visible(text).rstrip('\\')
