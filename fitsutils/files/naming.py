"""Input name + root -> output name."""

import os
import re
from collections.abc import Sequence

from fitsutils.errors import Failure, UsageError
from fitsutils.files.inputs import FITS_SUFFIXES, PACKED_SUFFIXES, split_commas

_SEQUENCE = re.compile(r'(?:.*-)?(\d+)\Z', re.DOTALL)


def split_suffix(name: str) -> tuple[str, str, str]:
    """Stem, FITS suffix and compression suffix of a file name.

    Parameters
    ----------
    name : str
        File name without folders.

    Returns
    -------
    tuple of str
        The three pieces; joined they are the name.

    Examples
    --------
    >>> split_suffix('b21.fits.gz'), split_suffix('M31.FIT'), split_suffix('notes')
    (('b21', '.fits', '.gz'), ('M31', '.FIT', ''), ('notes', '', ''))
    """
    stem, packed = os.path.splitext(name)
    if packed.lower() not in PACKED_SUFFIXES:
        stem, packed = name, ''
    base, suffix = os.path.splitext(stem)
    return (base, suffix, packed) if suffix.lower() in FITS_SUFFIXES else (stem, '', packed)


def is_fits_name(name: str) -> bool:
    """Whether a name ends in a FITS suffix, so that ``-o`` means a file and not a root.

    Parameters
    ----------
    name : str
        The word after ``-o``.

    Returns
    -------
    bool
        True for ``x.fits``, ``x.FIT``, ``x.fits.gz``, ``x.fit.fz``.
    """
    return split_suffix(os.path.basename(name))[1] != ''


def from_root(root: str, name: str) -> str:
    """The output name ROOT.SEQ.EXT of an input.

    SEQ is the last dot-separated piece of the input's name that is an
    integer, or ends in an integer behind a dash; EXT is what follows it,
    without a compression suffix. Without such a piece the whole stem stands
    for SEQ.

    Parameters
    ----------
    root : str
        The root, perhaps with folders.
    name : str
        The input's name; its folder is dropped.

    Returns
    -------
    str
        The output's name.

    Examples
    --------
    >>> from_root('bsub', '20210227.0041.fit'), from_root('dbsub', 'bsub.0041.fit')
    ('bsub.0041.fit', 'dbsub.0041.fit')
    >>> from_root('b', 'raw/HATP-0042.FITS'), from_root('t', 'b21.fits.gz')
    ('b.0042.FITS', 't.b21.fits')
    """
    stem, suffix, _ = split_suffix(os.path.basename(name))
    pieces = stem.split('.')
    for place in reversed(range(len(pieces))):
        if match := _SEQUENCE.match(pieces[place]):
            return '.'.join([root, match[1], *pieces[place + 1 :]]) + (suffix or '.fits')
    return f'{root}.{stem}{suffix or ".fits"}'


def plain_name(name: str) -> str:
    """The input's own name, without folder and compression suffix.

    Parameters
    ----------
    name : str
        The input's name.

    Returns
    -------
    str
        The name of an output that keeps it.
    """
    stem, suffix, _ = split_suffix(os.path.basename(name))
    return stem + (suffix or '.fits')


def output_names(
    inputs: Sequence[str],
    output: str | None,
    *,
    prefix: str | None = None,
    default_prefix: str | None = None,
    compress: str | None = None,
) -> list[str]:
    """The output of each input, by the rules that all commands share.

    Parameters
    ----------
    inputs : sequence of str
        Names of the inputs.
    output : str, optional
        The word after ``-o``: a file for one input, as many comma-separated
        files as there are inputs, a folder (it exists, or ends in '/'), else a root.
    prefix : str, optional
        The word after ``--prefix``.
    default_prefix : str, optional
        Used when neither is given.
    compress : {'gz', 'fz'}, optional
        Suffix to add to names that are not given in full.

    Returns
    -------
    list of str
        Names of the outputs, all different.

    Raises
    ------
    UsageError
        When nothing says how to name the outputs.
    Failure
        When two inputs would give one output.
    """
    names = _given_names(inputs, output, prefix or '')
    if names is None:
        names = _built_names(inputs, output, prefix, default_prefix)
        names = [name + (f'.{compress}' if compress else '') for name in names]
    elif compress and not all(name.endswith(f'.{compress}') for name in names):
        raise UsageError(f'--compress {compress} and the name {names[0]} do not agree')
    refuse_collisions(inputs, names)
    return names


def one_output(output: str, compress: str | None = None) -> str:
    """The name of the one image that many inputs give.

    Parameters
    ----------
    output : str
        The word after ``-o``.
    compress : {'gz', 'fz'}, optional
        What ``--compress`` asks for.

    Returns
    -------
    str
        The name, with ``.fits`` where it has no FITS suffix.
    """
    if output.endswith('/') or os.path.isdir(output):
        raise UsageError(f'-o {output} is a folder; the one image needs a name')
    name = output if is_fits_name(output) or output.startswith('/dev/') else f'{output}.fits'
    return name if compress is None or name.endswith(f'.{compress}') else f'{name}.{compress}'


def _given_names(inputs: Sequence[str], output: str | None, prefix: str) -> list[str] | None:
    if output is None or output.endswith('/') or os.path.isdir(output):
        return None
    if len(inputs) == 1 and not prefix and is_fits_name(output):
        return [output]
    names = split_commas(output)
    if len(names) > 1:
        if len(names) != len(inputs):
            raise UsageError(f'-o gives {len(names)} names for {len(inputs)} images')
        return names
    if is_fits_name(output) and len(inputs) > 1:
        raise UsageError(
            f'-o {output} is one file for {len(inputs)} images; give a root such as -o {split_suffix(output)[0]}'
        )
    return None


def _built_names(
    inputs: Sequence[str], output: str | None, prefix: str | None, default_prefix: str | None
) -> list[str]:
    if output is None:
        start = prefix if prefix is not None else default_prefix
        if start is None:
            raise UsageError('-o or --prefix must say how to name the outputs')
        return [start + plain_name(name) for name in inputs]
    if output.endswith('/') or os.path.isdir(output):
        return [os.path.join(output, (prefix or '') + plain_name(name)) for name in inputs]
    names = [from_root(output, name) for name in inputs]
    return [os.path.join(os.path.dirname(name), (prefix or '') + os.path.basename(name)) for name in names]


def refuse_collisions(inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Refuse a plan in which two inputs give one output.

    Parameters
    ----------
    inputs, outputs : sequence of str
        Names, pairwise.

    Raises
    ------
    Failure
        Naming both inputs. Names that differ by case only are one file on some systems, so they count as equal.
    """
    seen: dict[str, int] = {}
    for place, name in enumerate(outputs):
        first = seen.setdefault(os.path.normpath(name).casefold(), place)
        if first != place:
            raise Failure(f'{inputs[first]} and {inputs[place]} would both be written to it', name)
