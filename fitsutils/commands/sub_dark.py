"""Subtract from each image the dark current of its own exposure time.

The dark of --dark is scaled to the exposure time of each image: by the ratio of
the times, or with --offset and --slope (as fit_dark prints them) by the line,
(offset + slope t)/(offset + slope t0). Of several darks an image gets the one
of its own exposure time (within a thousandth) as it is, or else the longest,
scaled. --rate takes offset and rate of every pixel, as fit_dark --per-pixel
writes them. The header says what was subtracted: DARKSUB, DARKFAC (the factor),
and, where it is a dark, DARKFILE and DARKDMJD (days from the image to it).
What an image brings along goes along, with what the dark has of it: an
uncertainty (UNCERT, VAR, IVAR) into UNCERT, a mask (MASK, DQ, BADPIX) into MASK.

A bias does not grow with time, so a dark that still holds it is not scaled:
--bias FILE takes it out of the dark (not out of the images). Whether it is in
there is decided by the first of these that says something: --bias-free; a
header that says it was subtracted (BIASSUB, OSLEV1, ZEROCOR, SUBBIAS, the B of
CALSTAT, HISTORY of img_arith with a bias or zero behind the minus); pixels that
are integers as a camera writes them, further than three times their scatter
above 0: it is in there; a level at which dark counts would scatter more than
the pixels do: it is in there. An image that has lost its bias does not get a
dark that holds one. Nor does a dark go with a line whose counts are not its own.

Examples
--------
  sub_dark 'sci*.fits' --dark mean_dark180.fit --offset 5.9 --slope 0.098 -o dbsub
  sub_dark 'bsub.00*.fit' --dark 'mean_dark*.fit' --offset 5.9 --slope 0.098 -o dbsub
  sub_dark sci*.fits --dark raw_dark300.fits --bias mean_bias.fits --prefix d_
  sub_dark sci*.fits --rate RATE.fits --mask 'RATE.fits[MASK]' -o dark_subtracted/
"""

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files, pixels
from fitsutils.errors import Failure, UsageError, refusing, warn


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('sub_dark', __doc__)
    parser.share('images')
    parser.add_argument('--dark', action='append', metavar='DARK',
        help='the dark, or several of different exposure times; may be repeated')  # fmt: skip
    parser.add_argument('--offset', type=float, metavar='A', help='with --slope: the line of counts against time')
    parser.add_argument('--slope', type=float, metavar='B', help='counts a second')
    parser.add_argument('--rate', metavar='FILE', help='offset and rate of every pixel')
    parser.add_argument('--bias', metavar='FILE', help='subtract this bias from the dark first')
    parser.add_argument('--bias-free', action='store_true', help='the dark holds no bias, whatever it seems')
    parser.add_argument('--mask', metavar='FILE', help='pixels that are not 0 in this image become NaN')
    parser.add_argument('-k', '--key', metavar='KEY', help='keyword of the exposure time (default: EXPTIME)')
    parser.add_argument('--force-again', action='store_true', help='also from images that a dark was subtracted from')
    parser.share('output', 'prefix', 'force', 'skip-existing', 'dry-run', 'dtype', 'compress', 'set', 'hdu',
                 'long-null', 'checksum', 'max-size', 'progress')  # fmt: skip
    return parser


class _Task(NamedTuple):
    """One output: image, what is to be subtracted from it, output path, what the image brings along."""

    image: Any
    share: Any
    output: str
    own: Any

    @property
    def words(self) -> str:
        """What is done."""
        return f'{self.image.name} - {self.share.words}'


def sub_dark(args: argparse.Namespace, job: cli.Job) -> None:
    """Write each image without its dark."""
    _refuse_contradictions(args)
    cards = [files.header.parse_card(text) for text in args.cards]
    mask, read = files.reader.open_mask(args.mask), files.reader.Reader(args.checksum, args.max_size)
    tasks = _plan(args, mask, read)
    if args.dry_run:
        for task in tasks:
            job.say(f'{task.words} -> {task.output}')
            job.wrote(task.output)
        return
    files.output.make_folder(args.output)
    if args.dark and args.slope is None and len({task.share.source.time for task in tasks}) > 1:
        job.say('darks of several times, and no line: what is scaled, is by the ratio of the times (see fit_dark)')

    def begin(task: _Task) -> tuple[int, Callable[[], None]]:
        image = files.reader.read_pixels(task.image, checksum=args.checksum, max_size=args.max_size)
        dark, sigma = task.share.pixels(read), None
        result, _ = pixels.arithmetic.operate(image, '-', dark)
        if task.own.uncertainty is not None:
            sigma = pixels.arithmetic.deviation(image, '-', dark, task.own.deviation(), task.share.deviation())
        if mask is not None:
            result[files.reader.read_mask(mask, task.image)] = math.nan
        lost = pixels.arithmetic.count_missing(result) - pixels.arithmetic.count_missing(image)
        return lost, _begin(task, result, sigma, lost, args.dtype, cards)

    with job.progress(len(tasks), 'images') as progress:
        for task, lost, error in cli.flushed_behind(begin, tasks):
            with job.attempt():
                if error is not None:
                    raise error
                job.detail(f'{task.words} -> {task.output}')
                if lost:
                    job.say(f'{task.output}: {lost} pixels have no dark, or are masked: NaN')
                job.wrote(task.output)
            progress.step()


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Options that do not go together, or that would do nothing."""
    line = (args.offset, args.slope)
    rules = [
        ((args.dark is None) == (args.rate is None), 'one of --dark and --rate is wanted'),
        ((args.offset is None) != (args.slope is None), '--offset and --slope go together'),
        (args.rate is not None and line != (None, None), '--offset and --slope go with --dark'),
        (
            not all(number is None or math.isfinite(number) for number in line),
            '--offset and --slope are finite numbers',
        ),
        (args.bias_free and args.rate is not None, '--bias-free goes with --dark'),
        (args.bias_free and args.bias is not None, '--bias takes a bias out, and --bias-free says that there is none'),
    ]
    for wrong, rule in rules:
        if wrong:
            raise UsageError(rule)


def _plan(args: argparse.Namespace, mask: Any, read: Any) -> list[_Task]:
    """What is to be done, every refusal made."""
    from fitsutils.steps import darks

    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    outputs = files.naming.output_names(
        [reference.path for reference in references], args.output, prefix=args.prefix, compress=args.compress
    )
    bias = darks.open_bias(args.bias, hdu)
    if args.rate is not None:
        source = darks.open_rates(args.rate, bias)
        calibrations = [source.rate]
    else:
        source = darks.open_darks(files.inputs.expand(args.dark, null=args.null), hdu, key=args.key, bias=bias)
        calibrations = [dark.image for dark in source]
    paths = [each.path for each in (*references, *calibrations, *filter(None, (bias, mask)))]
    todo = files.output.check_outputs(
        outputs, paths, force=args.force, skip_existing=args.skip_existing, new_folder=args.output
    )
    wanted = [(reference, output) for reference, output, do in zip(references, outputs, todo, strict=True) if do]
    frames = darks.open_darks([reference for reference, _ in wanted], hdu, key=args.key)
    _check([frame.image for frame in frames], mask, again=args.force_again)
    line = None if args.offset is None else (args.offset, args.slope)
    shares = darks.Shares(source, line, read, bias_free=args.bias_free)
    images = [*calibrations, *(frame.image for frame in frames)]
    files.header.warn_of_differences(
        [image.keywords for image in images], [image.name for image in images], ignore=['EXPTIME', 'FILTER']
    )
    return [
        _Task(frame.image, shares.of(frame), output, files.masks.baggage(frame.image, max_size=args.max_size))
        for frame, (_, output) in zip(frames, wanted, strict=True)
    ]


def _check(images: Sequence[Any], mask: Any, *, again: bool) -> None:
    """Refuse images that can't be worked on."""
    for image in images:
        said = files.calibrated.dark_out(image)
        if said is not None and not again:
            what = f'a dark was subtracted from it already ({said})'
            raise Failure(f'{what}; --force-again does it all the same', image.path)
        if mask is not None:
            mask.fitted_to(image)
    odd = [image for image in images if 'DARK' in str(files.header.lookup(image.keywords, 'IMAGETYP')).upper()]
    if odd:
        others = f', as {len(odd) - 1} others are' if len(odd) > 1 else ''
        warn(f'it is a dark itself by its header{others}', odd[0].path)


def _begin(
    task: _Task, result: Any, sigma: Any, lost: int, dtype: str | None, cards: Sequence[tuple[str, Any]]
) -> Callable[[], None]:
    if dtype is not None:
        with refusing(f'--dtype {dtype}', task.output):
            result = pixels.arithmetic.as_type(result, dtype)
    lines = [task.words, task.share.how] + ([f'{lost} pixels have no dark, or are masked'] if lost else [])
    header = files.header.product(task.image, 'sub_dark', lines, [*task.share.cards, *cards])
    bad = None if task.own.mask is None else task.own.bad() | task.share.bad()
    return files.writer.begin_fits(task.output, files.provenance.with_baggage(result, header, sigma, bad))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, sub_dark, argv)
