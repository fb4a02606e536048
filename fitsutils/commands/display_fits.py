"""A quick look at images: the pixels with the sums of their columns and rows beside them.

Without -o the picture is shown in a window. NaN, infinite and BLANK pixels
have a colour of their own and are left out of limits and sums. Axes count from
1 as FITS does, y goes up. A cube is shown as a sheet of its planes, all with
the same limits, unless -a or -R says otherwise; on a --sheet of many each image
has its own, and one that can't be read is left out. An image larger than the
picture is averaged in blocks. Only .mp4 needs a program besides: ffmpeg.

Examples
--------
  display_fits crab_red.fit -o crab_red.png
  display_fits 'fdb.00*.fit' -o pictures/                 # one picture each
  display_fits bias.fits -b 0 200 0 100 -m 980 1040 -c viridis -o corner.pdf
  display_fits sky.fits -r 3 --stretch asinh -t '{OBJECT} {FILTER|open} {EXPTIME:g} s' -o filename
  display_fits *.fits --sheet --columns 6 -o night.png
  display_fits rgb.fits -R + -o rgb.png
  display_fits cube.fits -a -200 -z 2 -o cube.gif         # every other plane, looping
  display_fits flat.fits --hist -o flat_histogram.png
"""

import argparse
import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fitsutils import cli, files, pixels, plots
from fitsutils.errors import Failure, UsageError

_NO_WINDOW = 'no window can be opened here (no display, or no toolkit that matplotlib knows): -o NAME.png writes a file'
# What says nothing beside what.
_EXCLUDES = (
    ('--hist', ('-a', '-c', '-R', '-s', '-y', '--stretch', '--sheet')),
    ('--sheet', ('-a', '-s')),
    ('-R', ('-a', '-c', '-z')),
    ('-m', ('-l', '-r')),
)
_LOOP = -200  # ms, of a GIF that was asked for by its suffix alone
_STATISTICS = ('num', 'nbad', 'mean', 'median', 'std', 'rstd', 'min', 'max')


def build_parser() -> cli.Parser:
    """The command's options."""
    parser = cli.Parser('display_fits', __doc__)
    parser.share('images', 'bounds', 'cube-bounds', 'section')
    parser.share('output', help="screen (default); NAME.png .pdf .gif .mp4; a root (ROOT.SEQ.png) or DIR/ for many; "
                 "'filename', 'filename.pdf': the image's own name with that suffix")  # fmt: skip
    add = parser.add_argument
    add('-c', '--colours', metavar='MAP', help='inv (inverted grey, the default), non (grey), or a name of matplotlib')
    add(
        '-l', '--limits', choices=('zscale', 'minmax'), help='how the first and last colour are found (default: zscale)'
    )
    add(
        '-m', '--min-max', nargs=2, type=float, metavar=('MIN', 'MAX'), help='pixel values of the first and last colour'
    )
    add('-r', '--rms', type=_positive, metavar='N', help='instead of zscale: average -+ N rms')
    add('--stretch', choices=('linear', 'sqrt', 'log', 'asinh'), help='from pixel values to colours (default: linear)')
    add('-s', '--sums', choices='+-', help='marginal sums on or off (default: on for one image, off in animations)')
    add('-R', '--rgb', choices='+-', help='+: a cube of 3 planes is a red-green-blue image')
    add('-a', '--animate', type=int, metavar='MS',
        help='show the planes of a cube one after the other, each for MS milliseconds; negative: loop')  # fmt: skip
    add('-z', '--z-stride', type=_count, metavar='N', help='of a cube only every N-th plane')
    add('-y', '--y-stretch', type=_positive, metavar='F', help='pixels are F times as high as wide')
    add('-t', '--title', default='filename', metavar='TITLE',
        help="filename (default), object, text with header values: '{OBJECT} {FILTER|open} {EXPTIME}'")  # fmt: skip
    add('--sheet', action='store_true', help='all images, and all planes of cubes, in one picture')
    add('--columns', type=_count, metavar='N', help='pictures side by side on a sheet')
    add('--hist', action='store_true', help='the histogram of the pixels instead of the image')
    add('--size', type=_count, metavar='N', help='about how many pixels the longer side of an image gets '
        '(default: 1000; 500 animated, 300 on a sheet)')  # fmt: skip
    parser.share('prefix', 'force', 'skip-existing', 'dry-run', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a positive number')


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 < int(text) < 10**5:
            return int(text)
    raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a number such as 1, 2, 3')


def display_fits(args: argparse.Namespace, job: cli.Job) -> None:
    """Show images, or write pictures of them."""
    _check(args)
    tasks = _plan(args, job)
    if args.dry_run:
        for output, _ in tasks:
            job.wrote(output)
        return
    files.output.make_folder(args.output)
    with job.progress(sum(len(images) for _, images in tasks), 'images') as progress:
        for output, images in tasks:
            job.detail(f'{", ".join(image.path for image in images)} -> {output or "a window"}')
            with job.attempt(), _named(output or images[0].path):
                picture = _sheet(args, output, images, job) if args.sheet else _picture(args, output, images[0])
                if picture is not None:
                    with files.output.complete_file(output) as file:
                        file.write(picture)
                job.wrote(output)
            progress.step(len(images))


def _check(args: argparse.Namespace) -> None:
    given = {
        '-a': args.animate is not None, '-c': args.colours, '-l': args.limits, '-m': args.min_max, '-r': args.rms,
        '-R': args.rgb == '+', '-s': args.sums == '+', '-y': args.y_stretch, '-z': args.z_stride,
        '--stretch': args.stretch, '--sheet': args.sheet, '--hist': args.hist,
    }  # fmt: skip
    for option, others in _EXCLUDES:
        clash = [other for other in others if given[option] and given[other]]
        if clash:
            raise UsageError(f'{option} does not go with {" and ".join(clash)}')
    if args.limits == 'minmax' and args.rms:
        raise UsageError('-r takes the place of zscale: not with -l minmax')
    if args.columns and not args.sheet:
        raise UsageError('--columns is about a --sheet')
    if args.min_max and not -math.inf < args.min_max[0] < args.min_max[1] < math.inf:
        raise UsageError(f'-m {args.min_max[0]:g} {args.min_max[1]:g}: MIN must lie below MAX')
    if args.animate == 0:
        raise UsageError('-a 0: each plane must stay for some milliseconds')
    files.pictures.check_title(args.title)


def _plan(args: argparse.Namespace, job: cli.Job) -> list[tuple[str | None, list[Any]]]:
    """The pictures to be made and the images that each is made of; all refusals that headers allow."""
    region = files.section.chosen(args.bounds, args.cube_bounds, args.section)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    groups = [references] if args.sheet else [[reference] for reference in references]
    outputs = _outputs(args, [reference.path for reference in references])
    tasks = []
    for output, todo, group in zip(outputs, _todo(args, outputs, references), groups, strict=True):
        images = []
        for reference in group if todo else ():
            with job.attempt():
                images.append(files.reader.open_image(reference, hdu, region))
        if images:
            _check_shapes(args, output, images)
            tasks.append((output, images))
    return tasks


def _outputs(args: argparse.Namespace, paths: list[str]) -> list[str | None]:
    """The file of each picture; None for a window."""
    if args.output in (None, 'screen'):
        if args.prefix is not None:
            raise UsageError('--prefix is about files: -o filename, or another name, says which')
        return [None] * (1 if args.sheet else len(paths))
    suffix = '.gif' if args.animate else '.png'
    names = files.pictures.output_names(paths, args.output, suffix, prefix=args.prefix, single=args.sheet)
    for name in names:
        if _moves(args, name) and (args.sheet or args.hist or args.rgb == '+'):
            raise UsageError(f'-o {name}: only the planes of a cube are animated; .png or .pdf is wanted here')
        if args.animate and not _moves(args, name):
            raise UsageError(f'-o {name}: -a writes .gif or .mp4')
    return names


def _moves(args: argparse.Namespace, output: str | None) -> bool:
    return bool(args.animate) if output is None else output.lower().endswith(files.pictures.MOVING)


def _todo(args: argparse.Namespace, outputs: list[str | None], references: list[Any]) -> list[bool]:
    """Which pictures are to be made; refused when they can't be written, or what draws them is missing."""
    try:
        plots.painting.colour_table(args.colours or 'inv')
    except ValueError as error:
        raise UsageError(f'-c: {error}') from None
    if None in outputs:
        if not plots.screen.is_available():
            raise Failure(_NO_WINDOW)
        return [True] * len(outputs)
    if any(name.lower().endswith('.mp4') for name in outputs) and not plots.animation.has_ffmpeg():
        raise Failure('ffmpeg, which writes .mp4, is not found; a .gif needs no other program')
    return files.output.check_outputs(outputs, [reference.path for reference in references], force=args.force,
                                      skip_existing=args.skip_existing, new_folder=args.output)  # fmt: skip


def _check_shapes(args: argparse.Namespace, output: str | None, images: Sequence[Any]) -> None:
    number = 0
    for image in images if not args.hist else ():
        with _named(image.path):
            number += plots.frame.panels(image.shape, rgb=args.rgb == '+', moving=_moves(args, output),
                                         stride=args.z_stride or 1)  # fmt: skip
    if number > 1 and args.sums == '+':
        raise Failure('-s +: a sheet of planes has no sums; -a, or a single plane, has', images[0].path)
    if number > plots.sheet.MOST:
        raise Failure(f'{number} pictures on a sheet, {plots.sheet.MOST} is the most', output or images[0].path)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """A picture that can't be made as it was asked for becomes a failure that names the file."""
    try:
        yield
    except plots.page.PictureError as error:
        raise Failure(str(error), path) from None


def _picture(args: argparse.Namespace, output: str | None, image: Any) -> bytes | None:
    """The file of an image's picture; None when it was shown in a window."""
    frames, kind = _frames(args, image), output and output[-3:].lower()
    if args.hist:
        statistics = pixels.stats.describe(pixels.stats.distribution(frames[0].planes), _STATISTICS)
        return plots.view.histogram(frames[0], statistics, _style(args, output, 'image'), kind)
    if _moves(args, output):
        return plots.view.film(frames, _style(args, output, 'film'), kind, args.animate or _LOOP)
    return plots.view.picture(frames, _style(args, output, 'image' if len(frames) == 1 else 'panel'), kind)


def _sheet(args: argparse.Namespace, output: str | None, images: Sequence[Any], job: cli.Job) -> bytes | None:
    """The file of a sheet of all images, each made small as soon as it is read; what can't be read is left out."""
    style, panels, title = _style(args, output, 'panel'), [], ''
    for image in images:
        with job.attempt():
            frames = _frames(args, image)
            if len(images) == 1 and len(frames) > 1:
                title = frames[0].title
            panels += [plots.sheet.panel(frame, style, f'plane {frame.plane}' if title else None) for frame in frames]
    if not panels:
        raise Failure('no image is left for the sheet', output)
    kind = output and output[-3:].lower()
    return plots.view.contact_sheet(panels, style, kind, columns=args.columns, title=title)


def _frames(args: argparse.Namespace, image: Any) -> list[Any]:
    """What there is to see of an image: one frame, or one a plane."""
    data = files.reader.read_pixels(image, checksum=args.checksum, max_size=args.max_size)
    first = [part.start + 1 for part in reversed(image.slices)]
    kind = 'all' if args.hist else 'rgb' if args.rgb == '+' else 'planes'
    return plots.frame.frames(
        data, _limits(args)[0], kind, stride=args.z_stride or 1, plane=first[-1], origin=(*first, 1)[:2],
        title=files.pictures.title(args.title, image), unit=files.pictures.unit(image),
    )  # fmt: skip


def _limits(args: argparse.Namespace) -> tuple[Callable[[Any], tuple[float, float]], str]:
    """The function that finds the display limits, and what they are called."""
    if args.min_max:
        return lambda _: tuple(args.min_max), 'limits given'
    if args.rms:
        return lambda data: plots.limits.around_mean(data, args.rms), f'average \N{PLUS-MINUS SIGN} {args.rms:g} rms'
    name = args.limits or 'zscale'
    return getattr(plots.limits, name), name


def _style(args: argparse.Namespace, output: str | None, kind: str) -> Any:
    """How images are shown; `kind` tells how large."""
    sums = args.sums == '+' or (args.sums is None and kind == 'image')
    return plots.frame.Style(
        colours=args.colours or 'inv', stretch=args.stretch or 'linear', y_stretch=args.y_stretch or 1.0,
        marginals=sums, note=_limits(args)[1], **plots.frame.resolution(kind, args.size, screen=output is None),
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, display_fits, argv)
