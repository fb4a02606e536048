"""Image arithmetic: IMAGES OP OPERAND, with OP one of + - x * / ^ min max =.

The operand is a number, key=KEYWORD (each image's own value), one image for
all, or as many images as there are on the left; a 2-D operand goes with every
plane of a cube. = fills the image's shape with the operand. Where the image
brings an uncertainty along (extension UNCERT, VAR or IVAR), the result has one
in UNCERT, with that of the operand in it if it has one; a mask (MASK, DQ or
BADPIX; not 0 is bad) goes along in MASK likewise. Nothing wraps: the
result is float32, or float64 where its values need that. A division by 0 is
NaN and counted. Without -o the outputs are imar_NAME in the current folder.

--pairs LIST OP takes images and operands from a list: a line each, both
separated by a tab or blanks, as img_match prints them. An image that has no
operand there is an error, or left out with --skip-unpaired.

Where a bias or a dark is subtracted, or an image is divided by a flat, the
result says which (BIASFILE, DARKFILE, FLATFILE) and how many days later than
the image's own that exposure began (BIASDMJD, DARKDMJD, FLATDMJD). What an operand
is, its IMAGETYP says, else its name; of a flat OBJECT too.

Examples
--------
  img_arith '20210227.00[0123]?.fit,20210227.0040.fit' - mean_bias.fit -o bsub
  img_arith mean_dark180.fit x 0.26 -o dark2sec.fit
  img_arith dbsub.006?.fit / lumin_flat.fit -o fdb
  img_arith sci*.fits / key=EXPTIME -o rate/            # counts a second, names kept
  img_arith 'on?.fits' - 'off?.fits' --prefix diff_     # pairwise
  img_match 'sci*.fits' --to 'cal/bias*.fits' --by NAXIS1 --format tsv | img_arith --pairs @- - -o b_/
  img_arith 'b_sci*.fits' / flat.fits --mask useful.fits --prefix f_
  img_arith cube.fits - bias.fits --section '[101:200,1:50]' -o part.fits
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from fitsutils import cli, files
from fitsutils.errors import UsageError

_OPERATORS = ('+', '-', '*', 'x', '/', '^', 'min', 'max', '=')


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_arith', __doc__)
    parser.share('images', nargs='*', metavar='WORD', help='IMAGES OP OPERAND')
    parser.add_argument('--pairs', metavar='LIST',
                        help='a list of images and operands (@- standard input); then only OP is given')  # fmt: skip
    parser.add_argument('--skip-unpaired', action='store_true', help='leave images of --pairs without an operand out')
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
    parser.add_argument('--mask', metavar='FILE|KEY', help='pixels that are not 0 in this image become NaN: '
                        'one for all, one an image, an extension, or a keyword that names a file')  # fmt: skip
    parser.share('dtype', 'compress', 'set', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


def img_arith(args: argparse.Namespace, job: cli.Job) -> None:
    """Write ``image OP operand`` for every image."""
    image_words, operator, operand_words = split_words(args.images, paired=args.pairs is not None)
    if args.skip_unpaired and args.pairs is None:
        raise UsageError('--skip-unpaired goes with --pairs')
    limit = _denominator(args.min_denominator, operator)
    cards = [files.header.parse_card(text) for text in args.cards]
    region = files.section.chosen(args.bounds, args.cube_bounds, args.section)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    from fitsutils.steps import operations  # here, because it loads numpy, for which no usage error waits

    if args.pairs is None:
        pairs = files.pairs.from_words(image_words, operand_words, null=args.null)
    else:
        pairs = _listed_pairs(args, job)
    files.pairs.refuse_senseless(pairs, operator)
    tasks = operations.planned(
        operator, _with_outputs(pairs, args), hdu, region, mask=args.mask, max_size=args.max_size
    )
    if args.dry_run:
        for task in tasks:
            job.say(f'{task.words} -> {task.output}')
            job.wrote(task.output)
        return
    files.output.make_folder(args.output)
    rules = operations.Rules(args.divzero, limit, args.dtype, cards)
    read = files.reader.Reader(args.checksum, args.max_size)
    with job.progress(len(tasks), 'images') as progress:
        for task, undefined, error in cli.flushed_behind(lambda task: task.begin(read, rules), tasks):
            with job.attempt():
                if error is not None:
                    raise error
                if undefined:
                    became = 'NaN' if math.isnan(args.divzero) else f'{args.divzero:g}, NaN where no division by zero'
                    job.say(f'{task.output}: {undefined} pixels have no value (division by zero or the like): {became}')
                job.wrote(task.output)
            progress.step()


def split_words(words: Sequence[str], *, paired: bool = False) -> tuple[list[str], str, list[str]]:
    """Images, operator and operand: the operator is the first word that is one with an image before it."""
    if paired:
        if len(words) != 1 or words[0] not in _OPERATORS:
            raise UsageError(f'--pairs names images and operands; beside it one of {" ".join(_OPERATORS)} is wanted')
        return [], words[0], []
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


def _listed_pairs(args: argparse.Namespace, job: cli.Job) -> list[Any]:
    """The pairs of --pairs; images without an operand are refused, or left out where that is asked for."""
    pairs, unpaired = files.pairs.from_list(args.pairs, null=args.null)
    files.pairs.refuse_unpaired(pairs, unpaired, skip=args.skip_unpaired)
    if unpaired:
        job.say(f'left out: {files.pairs.unpaired_words(unpaired)}')
    return pairs


def _with_outputs(pairs: Sequence[Any], args: argparse.Namespace) -> list[tuple[Any, str]]:
    """The pairs that are worked on, each with its output."""
    outputs = files.naming.output_names(
        [image.path for image, _ in pairs],
        args.output,
        prefix=args.prefix,
        default_prefix='imar_',
        compress=args.compress,
    )
    todo = files.output.check_outputs(
        outputs,
        files.pairs.paths(pairs),
        force=args.force,
        skip_existing=args.skip_existing,
        new_folder=args.output,
    )
    return [(pair, output) for pair, output, do in zip(pairs, outputs, todo, strict=True) if do]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_arith, argv)
