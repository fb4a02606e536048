"""Input name + root -> output name."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fitsutils.errors import Failure, UsageError
from fitsutils.files.inputs import FITS_SUFFIXES, PACKED_SUFFIXES, split_commas

_SEQUENCE = re.compile(r'(?:.*-)?(\d+)\Z', re.DOTALL)
_FIELD = re.compile(r'\{([A-Za-z0-9_][A-Za-z0-9_ -]*)(?::([^{}|]*))?(?:\|([^{}:/]*))?\}')
_SPEC = re.compile(r'(?:0?\d{0,2})(?:\.(\d{1,2}))?([dfegs]?)\Z')
_NEGATIVE = re.compile(r'\s*-\.?\d[\d.]*(?:[eE][+-]?\d+)?\s*\Z')
_UNSAFE = re.compile(r'[^A-Za-z0-9._+-]+')
_LONGEST_WORD = 100  # bytes
_LONGEST_NAME = 255  # bytes, on all file systems in use


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
    keep_packing: bool = False,
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
    keep_packing : bool
        Such names have their input's compression suffix.

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
        if keep_packing:
            names = [name + split_suffix(os.path.basename(old))[2] for name, old in zip(names, inputs, strict=True)]
    elif compress and not all(name.endswith(f'.{compress}') for name in names):
        raise UsageError(f'--compress {compress} and the name {names[0]} do not agree')
    refuse_collisions(inputs, names)
    return names


def timed_names(output: str, name: str, times: Sequence[float], compress: str | None = None) -> list[str]:
    """Names of one image at several exposure times.

    Parameters
    ----------
    output : str
        The word after ``-o``: a root, to which the time is added; a folder, for names made of the image's own;
        for one time also a name with a FITS suffix.
    name : str
        The image's name.
    times : sequence of float
        Exposure times, s.
    compress : {'gz', 'fz'}, optional
        Suffix to add to names that are not given in full.

    Returns
    -------
    list of str
        One for each time.

    Raises
    ------
    UsageError
        When one file is named for several times.

    Examples
    --------
    >>> timed_names('dark', 'mean_dark180.fit', [1, 0.5])
    ['dark1sec.fit', 'dark0.5sec.fit']
    >>> timed_names('out/', 'mean_dark180.fit', [60.0])
    ['out/mean_dark180_60sec.fit']
    """
    _refuse_standard_output(output)
    if is_fits_name(output) and not os.path.isdir(output):
        if len(times) > 1:
            raise UsageError(f'-o {output} is one file for {len(times)} exposure times; give a root')
        return [one_output(output, compress)]
    suffix = split_suffix(os.path.basename(name))[1] or '.fits'
    folder = output.endswith('/') or os.path.isdir(output)
    root = os.path.join(output, f'{split_suffix(os.path.basename(name))[0]}_') if folder else output
    return [f'{root}{time:.15g}sec{suffix}' + (f'.{compress}' if compress else '') for time in times]


def is_one_name(output: str) -> bool:
    """Whether the word after ``-o`` names one file, where one output can be had from many images.

    Parameters
    ----------
    output : str
        The word.

    Returns
    -------
    bool
        True for a single name with a FITS suffix that is no folder, and for devices.

    Examples
    --------
    >>> is_one_name('m.fits'), is_one_name('a.fits,b.fits'), is_one_name('root'), is_one_name('dir/')
    (True, False, False, False)
    """
    if os.path.exists(output) and not os.path.isfile(output):
        return not os.path.isdir(output)
    return is_fits_name(output) and len(split_commas(output)) == 1


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
    _refuse_standard_output(output)
    if output.endswith('/') or os.path.isdir(output):
        raise UsageError(f'-o {output} is a folder; the one image needs a name')
    name = output if is_fits_name(output) or output.startswith('/dev/') else f'{output}.fits'
    return name if compress is None or name.endswith(f'.{compress}') else f'{name}.{compress}'


def _refuse_standard_output(output: str) -> None:
    if output == '-':
        raise UsageError('-o - : an image does not go to standard output; give a file name')


def _given_names(inputs: Sequence[str], output: str | None, prefix: str) -> list[str] | None:
    if output is None or output.endswith('/') or os.path.isdir(output):
        return None
    _refuse_standard_output(output)
    if os.path.exists(output) and not os.path.isfile(output):  # a device or a pipe is no root
        return [output] * len(inputs)
    if len(inputs) == 1 and is_fits_name(output):
        return [os.path.join(os.path.dirname(output), prefix + os.path.basename(output))]
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


def safe_word(value: Any) -> str:
    """A header value as a part of a file name that can do no harm.

    Parameters
    ----------
    value : Any
        Text, a number, a logical or a datetime.

    Returns
    -------
    str
        Letters, digits and ``._+-`` of ASCII, no dot or dash in front, at most
        100 of them; empty when nothing of the value is left. The minus of a
        negative number becomes an ``m``.

    Examples
    --------
    >>> safe_word('NGC 1976/M 42'), safe_word('../../etc'), safe_word('-rf'), safe_word(-10.5), safe_word('$()')
    ('NGC_1976_M_42', 'etc', 'rf', 'm10.5', '')
    """
    if isinstance(value, bool):
        return 'T' if value else 'F'
    text = value.isoformat() if hasattr(value, 'isoformat') else str(value)
    if _NEGATIVE.match(text):
        text = f'm{text.strip()[1:]}'  # a dash in front is not safe, and without it -10 would be 10
    return _UNSAFE.sub('_', text).lstrip('._-')[:_LONGEST_WORD].rstrip('_')


@dataclass(frozen=True)
class Field:
    """A place in a template that takes a value.

    Attributes
    ----------
    key : str
        The keyword; ``n`` is the sequence number.
    spec : str
        How to write the value: width, precision and one of d, f, e, g, s.
    default : str, optional
        Stands for a missing value.
    """

    key: str
    spec: str = ''
    default: str | None = None


@dataclass(frozen=True)
class Template:
    """New names: text, header values and the sequence number.

    Attributes
    ----------
    parts : tuple of str or Field
        What a name is made of, without the tail.
    tail : str
        The end of every name.
    """

    parts: tuple[str | Field, ...]
    tail: str

    @property
    def keys(self) -> list[str]:
        """The keywords whose values the names need."""
        return [part.key for part in self.parts if isinstance(part, Field) and part.key != 'n']

    @property
    def has_folder(self) -> bool:
        """Whether the names say which folder they are in."""
        return any(isinstance(part, str) and '/' in part for part in self.parts)

    def path(
        self, old: str, number: int, digits: int, value: Callable[[str], Any], *, folder: str | None = None
    ) -> str:
        """The new name of one file, with its folder.

        Parameters
        ----------
        old : str
            Its name; a compression suffix is kept.
        number : int
            Its sequence number.
        digits : int
            How many of them the sequence number has where the template does not say.
        value : callable
            Gives the value of a keyword, None where it is missing.
        folder : str, optional
            Where it goes; default: the folder that the template names, from the current one, or else the file's own.

        Returns
        -------
        str
            The path.

        Raises
        ------
        Failure
            When a value is missing or does not fit, or the name is too long.
        """
        own = '' if self.has_folder else os.path.dirname(old)
        words = [part if isinstance(part, str) else _filled(part, old, number, digits, value) for part in self.parts]
        name = ''.join(words) + _packed_tail(self.tail, old)
        if name.startswith('/') and not words[0].startswith('/'):
            raise Failure(f'a missing value would make {name} of the new name: in the folder of all folders', old)
        if '' in name.split('/')[1:]:
            raise Failure(f'a missing value leaves a folder without a name: {name}', old)
        if any(len(os.fsencode(piece)) > _LONGEST_NAME for piece in name.split('/')):
            raise Failure(f'the new name has more than {_LONGEST_NAME} bytes: {name}', old)
        return os.path.join(own if folder is None else folder, name)


def _packed_tail(tail: str, old: str) -> str:
    """The tail with the compression suffix of the old name."""
    packed, asked = split_suffix(os.path.basename(old))[2], split_suffix(f'x{tail}')[2]
    if asked and asked.lower() != packed.lower():
        raise Failure(
            f'it is not packed as the tail {tail} says; give it without {asked}: packed files keep theirs', old
        )
    return tail if asked else tail + packed


def _filled(field: Field, old: str, number: int, digits: int, value: Callable[[str], Any]) -> str:
    if field.key == 'n':
        width = int(field.spec.rstrip('d') or 0) if field.spec else digits
        return f'{number:0{width}d}'
    found = value(field.key)
    word = '' if found is None else safe_word(_formatted(field, found, old))
    if not word and field.default is None:
        what = 'has no value' if found is None else f'= {found!r} leaves nothing for a name'
        raise Failure(f'{field.key} {what}; {{{field.key}|WORD}} puts WORD there', old)
    return word or str(field.default)


def _formatted(field: Field, found: Any, old: str) -> Any:
    """The value as the template wants it written."""
    if not field.spec:
        return found
    precision, kind = _SPEC.match(field.spec).groups()
    if kind == 's' or (kind == '' and not isinstance(found, (int, float))):
        return str(found)[: None if precision is None else int(precision)]
    try:
        number = int(float(found)) if kind == 'd' else found if kind == '' else float(found)
        if kind == 'd' and number != float(found):
            raise ValueError
        return format(number, field.spec)
    except (ValueError, TypeError, OverflowError):
        what = 'an integer' if kind == 'd' else 'a number'
        raise Failure(f'{field.key} = {found!r} is not {what}, as {{{field.key}:{field.spec}}} wants', old) from None


def parse_template(root: str, tail: str | None = None) -> Template:
    """What the words after ``-o`` and ``-t`` say about new names.

    Parameters
    ----------
    root : str
        Text with ``{KEY}``, ``{KEY:spec}``, ``{KEY|default}`` and ``{n}``;
        ``{{`` and ``}}`` are braces. Without ``{n}`` the sequence number
        follows, behind a ``_`` where a value stands last. A FITS suffix at the end is the tail.
    tail : str, optional
        The end of every name; default ``.fit``.

    Returns
    -------
    Template
        The template.

    Raises
    ------
    UsageError
        When the text is no template.

    Examples
    --------
    >>> parse_template('{OBJECT}_{EXPTIME:g}.fits').path('a.fits.gz', 7, 4, {'OBJECT': 'M 1', 'EXPTIME': 60.0}.get)
    'M_1_60_0007.fits.gz'
    """
    stem, suffix, packed = split_suffix(root)
    if suffix and tail is not None:
        raise UsageError(f'-o {root} names a suffix, and so does -t {tail}')
    if '/' in (tail or ''):
        raise UsageError(f'-t {tail}: the end of a name has no folder')
    parts = list(_parts(stem if suffix else root))
    if not any(isinstance(part, Field) and part.key == 'n' for part in parts):
        parts += ['_', Field('n')] if parts and isinstance(parts[-1], Field) else [Field('n')]
    elif isinstance(parts[-1], str) and parts[-1].endswith('/'):
        raise UsageError(f'-o {root}: nothing of the name stands behind the folder')
    return Template(tuple(parts), suffix + packed if suffix else '.fit' if tail is None else tail)


def _parts(text: str) -> Iterator[str | Field]:
    place, literal = 0, ''
    while place < len(text):
        if text[place : place + 2] in ('{{', '}}'):
            literal += text[place]
            place += 2
        elif text[place] not in '{}':
            literal += text[place]
            place += 1
        else:
            match = _FIELD.match(text, place)
            if match is None:
                raise UsageError(
                    f'{text!r}: {{KEY}}, {{KEY:.1f}}, {{KEY|default}} or {{n:04d}} is wanted, {{{{ for a brace'
                )
            if literal:
                yield literal
            yield _field(*match.groups())
            place, literal = match.end(), ''
    if literal:
        yield literal


def _field(key: str, spec: str | None, default: str | None) -> Field:
    match = _SPEC.match(spec or '')
    if match is None or (key == 'n' and (match[1] or match[2] not in ('', 'd') or default is not None)):
        raise UsageError(
            f'{{{key}:{spec or ""}}}: a format is such as 04d, .1f, g or .8s; n is an integer and always there'
        )
    return Field(key if key == 'n' else key.strip().upper(), spec or '', default)
