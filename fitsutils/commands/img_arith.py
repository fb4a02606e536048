"""Image arithmetic: IMAGES OP OPERAND, with OP one of + - x * / ^ min max =.

The operand is a number, key=KEYWORD (each image's own value), one image for
all, or as many images as there are on the left; a 2-D operand goes with every
plane of a cube. = fills the image's shape with the operand. Where the image
brings an uncertainty along (extension UNCERT, VAR or IVAR), the result has one
in UNCERT, with that of the operand in it if it has one; a mask (MASK, DQ or
BADPIX; not 0 is bad) goes along in MASK likewise. Nothing wraps: the
result is float32, or float64 where its values need that. A division by 0 is
NaN and counted. Without -o the outputs are imar_NAME in the current folder.

Examples
--------
  img_arith '20210227.00[0123]?.fit,20210227.0040.fit' - mean_bias.fit -o bsub
  img_arith mean_dark180.fit x 0.26 -o dark2sec.fit
  img_arith dbsub.006?.fit / lumin_flat.fit -o fdb
  img_arith sci*.fits / key=EXPTIME -o rate/            # counts a second, names kept
  img_arith 'on?.fits' - 'off?.fits' --prefix diff_     # pairwise
  img_arith cube.fits - bias.fits --section '[101:200,1:50]' -o part.fits
"""

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files, pixels
from fitsutils.errors import UsageError, refusing, warn

_OPERATORS = ('+', '-', '*', 'x', '/', '^', 'min', 'max', '=')


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_arith', __doc__)
    parser.share('images', nargs='*', metavar='WORD', help='IMAGES OP OPERAND')
    parser.share('output', 'prefix', 'force', 'skip-existing', 'bounds', 'cube-bounds', 'section')
    parser.add_argument('-s', '--dry-run', action='store_true', help='say what would be done and write nothing')
    parser.add_argument(
        '--divzero', type=float, default=float('nan'), metavar='VALUE', help='what a / 0 is (default: NaN)'
    )
    parser.add_argument(
        '--min-denominator',
        type=cli.number_list,
        metavar='V[,R]',
        help='denominators below V count as R (default: as V)',
    )
    parser.share('dtype', 'compress', 'set', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


class _Task(NamedTuple):
    """One output: image, operator, operand (an image, a number), all in words, output path, what both bring along."""

    image: Any
    operator: str
    operand: Any
    words: str
    output: str
    own: Any
    others: Any


def img_arith(args: argparse.Namespace, job: cli.Job) -> None:
    """Write ``image OP operand`` for every image."""
    image_words, operator, operand_words = split_words(args.images)
    limit = _denominator(args.min_denominator, operator)
    cards = [files.header.parse_card(text) for text in args.cards]
    tasks = [task for task in _plan(args, image_words, operator, operand_words) if task is not None]
    if args.dry_run:
        for task in tasks:
            job.say(f'{task.words} -> {task.output}')
            job.wrote(task.output)
        return
    files.output.make_folder(args.output)
    operands = _Operands(args)

    def begin(task: _Task) -> tuple[int, Callable[[], None]]:
        image = files.reader.read_pixels(task.image, checksum=args.checksum, max_size=args.max_size)
        operand = operands.get(task.operand)
        result, undefined = pixels.arithmetic.operate(
            image, operator, operand, divide_by_zero=args.divzero, min_denominator=limit
        )
        sigma = _sigma(task, image, operand, limit)
        return undefined, _begin(task, result, sigma, undefined, args.dtype, cards)

    with job.progress(len(tasks), 'images') as progress:
        for task, undefined, error in cli.flushed_behind(begin, tasks):
            with job.attempt():
                if error is not None:
                    raise error
                if undefined:
                    became = 'NaN' if math.isnan(args.divzero) else f'{args.divzero:g}, NaN where no division by zero'
                    job.say(f'{task.output}: {undefined} pixels have no value (division by zero or the like): {became}')
                job.wrote(task.output)
            progress.step()


def _sigma(task: _Task, image: Any, operand: Any, limit: tuple[float, float] | None) -> Any:
    """The uncertainty of a result, where its image has one."""
    if task.own.uncertainty is None:
        return None
    sigmas = task.own.deviation(), task.others.deviation()
    return pixels.arithmetic.deviation(image, task.operator, operand, *sigmas, min_denominator=limit)


def split_words(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Images, operator and operand: the operator is the first word that is one with an image before it."""
    for place, word in enumerate(words):
        if place and word in _OPERATORS:
            if place + 1 == len(words):
                raise UsageError(f'an operand is missing behind {word}')
            return list(words[:place]), word, list(words[place + 1 :])
    raise UsageError(f'IMAGES OP OPERAND is wanted, with OP one of {" ".join(_OPERATORS)}')


def _denominator(numbers: tuple[float, ...] | None, operator: str) -> tuple[float, float] | None:
    if numbers is None:
        return None
    if operator != '/' or len(numbers) > 2:
        raise UsageError('--min-denominator takes V or V,R and goes with /')
    return numbers[0], numbers[-1]


def _plan(
    args: argparse.Namespace, image_words: list[str], operator: str, operand_words: list[str]
) -> list[_Task | None]:
    """What is to be done, every refusal made; None for an output that is passed over."""
    region = files.section.chosen(args.bounds, args.cube_bounds, args.section)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(image_words, null=args.null)
    outputs = files.naming.output_names(
        [reference.path for reference in references],
        args.output,
        prefix=args.prefix,
        default_prefix='imar_',
        compress=args.compress,
    )
    number, operands = _operands(operand_words, args.null)
    if isinstance(number, float) and not math.isfinite(number) and operator not in ('=', 'min', 'max'):
        raise UsageError(f'{operator} {number:g} would leave no pixel a value')
    if len(operands) not in (0, 1, len(references)):
        raise UsageError(f'{len(references)} images and {len(operands)} operands: one is wanted, or as many')
    paths = [reference.path for reference in (*references, *operands)]
    todo = files.output.check_outputs(
        outputs, paths, force=args.force, skip_existing=args.skip_existing, new_folder=args.output
    )
    shared = files.reader.open_image(operands[0], hdu) if len(operands) == 1 else None
    tasks = []
    for place, (reference, output) in enumerate(zip(references, outputs, strict=True)):
        if not todo[place]:
            tasks.append(None)
            continue
        image = files.reader.open_image(reference, hdu, region)
        operand = shared or (files.reader.open_image(operands[place], hdu) if operands else number)
        tasks.append(_task(image, operator, operand, output, args.max_size))
    _warn_of_differences(tasks, operator)
    _warn_of_second_bias(tasks)
    return tasks


def _operands(words: list[str], null: bool) -> tuple[float | str | None, list[Any]]:
    """A number or ``key=KEYWORD``, or else the images that the words name."""
    if len(words) == 1:
        if words[0].lower().startswith('key='):
            return words[0].strip(), []
        try:
            return float(words[0]), []
        except ValueError:
            pass
    return None, files.inputs.expand(words, null=null)


def _task(image: Any, operator: str, operand: Any, output: str, max_size: int) -> _Task:
    name = operand
    if isinstance(operand, str):
        key = operand[4:].strip()
        operand = files.header.needed_number(image.keywords, key, image.path)
        name = f'{key.upper()} ({operand:g})'
    elif not isinstance(operand, float):
        operand = operand.fitted_to(image)
        name = operand.name
    else:
        name = f'{operand:.15g}'
    own = others = files.masks.Baggage()
    if operator != '=':
        own = files.masks.baggage(image, max_size=max_size)
    if (own.uncertainty or own.mask) and not isinstance(operand, float):
        others = files.masks.baggage(operand, max_size=max_size)
    return _Task(image, operator, operand, f'{image.name} {operator} {name}', output, own, others)


def _warn_of_differences(tasks: list[_Task | None], operator: str) -> None:
    """A flat of another filter, a bias of another binning: said once."""
    pairs = [task for task in tasks if task is not None and not isinstance(task.operand, float)]
    if not pairs:
        return
    shared = all(task.operand.path == pairs[0].operand.path for task in pairs)
    for group in [pairs] if shared else [[pair] for pair in pairs]:
        images = [group[0].operand, *(pair.image for pair in group)]
        ignore = ['EXPTIME'] if operator == '/' else ['EXPTIME', 'FILTER']
        ignore += [] if operator in ('+', '-', 'min', 'max') else ['BUNIT']
        files.header.warn_of_differences(
            [image.keywords for image in images], [image.name for image in images], ignore=ignore
        )


def _warn_of_second_bias(tasks: list[_Task | None]) -> None:
    """A bias that is subtracted twice, or after the bias level: said once."""
    for task in tasks:
        if task is None or task.operator != '-' or isinstance(task.operand, float):
            continue
        what = files.calibrated.is_bias(task.operand) and files.calibrated.bias_out(task.image, level=False)
        if what:
            warn(f'a bias was subtracted from it already ({what})', task.image.path)
            return


class _Operands:
    """Operands as numbers or pixels; an image that serves several times is read once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._image: Any = None
        self._pixels: Any = None

    def get(self, operand: Any) -> Any:
        """The number itself, or the image's pixels."""
        if isinstance(operand, float):
            return operand
        if self._image is None or self._image.part() != operand.part():
            self._pixels = files.reader.read_pixels(operand, checksum=self._args.checksum, max_size=self._args.max_size)
            self._image = operand
        return self._pixels


def _begin(
    task: _Task, result: Any, sigma: Any, undefined: int, dtype: str | None, cards: list[tuple[str, Any]]
) -> Callable[[], None]:
    if dtype is not None:
        with refusing(f'--dtype {dtype}', task.output):
            result = pixels.arithmetic.as_type(result, dtype)
    lines = [task.words] + ([f'{undefined} pixels have no value'] if undefined else [])
    own = [] if isinstance(task.operand, float) else files.calibrated.bias_cards(task.operator, task.operand)
    header = files.header.product(task.image, 'img_arith', lines, [*own, *cards])
    bad = None if task.own.mask is None else task.own.bad() | task.others.bad()
    return files.writer.begin_fits(task.output, files.provenance.with_baggage(result, header, sigma, bad))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_arith, argv)
