"""Make a mask of bad pixels: an 8-bit image of 0 (good) and 1 (bad), nothing else.

Every option below but --grow and --invert adds a cause; what any of them marks
is bad, and so is a pixel without a value (NaN, infinite, BLANK). With -o
NAME.fits several images give one mask, which joins theirs; with a root, a folder
or --prefix each gives its own. Planes of a cube are masked one by one.

  --lit F      a flat: where it is darker than F of the median of what is lit.
               The median of 11 x 11 pixels counts (--median), so that specks are
               lit; the unlit part grows by 12 pixels unless --grow says another
               number: no penumbra is left, nor a smooth edge that would change
               the science within it.
  --bad F      a flat: pixels that differ by more than this part from the median
               of the 7 x 7 around them, where that is not below 0.05 of the
               flat's level (the 0.9 quantile of these medians).
  --hot K      a dark: pixels that stand out by K sigma from the medians of the
               squares of 32 x 32 pixels around them.
  --hot-rate V a dark: more than V counts a second above the median of 7 x 7.
  --above V, --below V   at V or beyond: a number or a keyword.
  --nonzero    the images are masks themselves: all but 0 is bad.
  --mask       other masks; what they mark is left out of all that is measured.
  --region     by hand: [x1:x2,y1:y2], circle(x,y,r), annulus(x,y,r1,r2),
               ellipse(x,y,a,b,angle), box(x,y,w,h,angle), line(x1,y1,x2,y2),
               polygon(x1,y1,x2,y2,x3,y3...), point(x,y), or @FILE of such lines,
               of IRAF's x1 x2 y1 y2, or as DS9 saves them in pixels; counted
               from 1. --outside: all but these.

The header counts the pixels of each cause, with those that it grew by: MSKUNLIT
and so on, and NBADPIX for all. All masks of this toolset are read so: not 0 is bad.

Examples
--------
  img_mask flat.fits --lit 0.5 -o useful.fits
  img_mask flat.fits --lit 0.5 --bad 0.5 --mask hot.fits -o bad.fits
  img_mask dark300.fits --hot 5 -o hot.fits
  img_mask 'sci*.fits' --above SATURATE --grow 2 --prefix sat_
  img_mask flat.fits --lit 0.5 --above 60000 --grow lit=12,above=1 -o bad.fits
  img_mask hot.fits bad.fits --nonzero -o both.fits
  img_mask sci.fits --region 'line(12,40,900,310)' --grow 6 -o trail.fits
  combine_fits 'f*.fits' -n median --norm-mask useful.fits --mask hot.fits -o m.fits
"""

import argparse
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files, pixels
from fitsutils.errors import QualityFailure, UsageError, refusing

_EDGE = 12.0  # pixels: as far as filabres' smoothing takes the rim away from a straight edge
# What an option marks, by the option's name; the keyword that counts it.
_CAUSES = {'missing': 'missing', 'lit': 'unlit', 'above': 'above', 'below': 'below', 'hot': 'hot', 'bad': 'deviant',
           'nonzero': 'nonzero', 'mask': 'masked', 'region': 'region'}  # fmt: skip
_KEYS = {'missing': 'MSKMISS', 'unlit': 'MSKUNLIT', 'above': 'MSKABOVE', 'below': 'MSKBELOW', 'hot': 'MSKHOT',
         'deviant': 'MSKDEV', 'nonzero': 'MSKNOT0', 'masked': 'MSKMASK', 'region': 'MSKREGN'}  # fmt: skip
# Cards of an input that say nothing true of a mask.
_FALSE = (*_KEYS.values(), 'MSKLEVEL', 'MSKINV', 'BUNIT', 'DATAMIN', 'DATAMAX', 'SATURATE', 'SATLEVEL')


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_mask', __doc__)
    parser.share('images')
    parser.share('output', help='a file name for one mask, of one image or of all joined; else a root, or DIR/')
    parser.share('prefix', 'force', 'skip-existing', 'dry-run')
    add = parser.add_argument
    add('--lit', type=_part, metavar='F', help="where a flat is darker than this part of its lit part's median")
    add('--median', type=_odd, metavar='N', help='--lit: side of the square whose median counts, odd (default: 11)')
    add('--above', metavar='V|KEY', help='pixels at this value or above')
    add('--below', metavar='V|KEY', help='pixels at this value or below')
    add('--hot', type=_positive, metavar='K', help='pixels of a dark that stand out by K sigma')
    add('--hot-rate', type=_positive, metavar='V', help='pixels of a dark that are V counts a second above the others')
    add('--bad', type=_positive, metavar='F', help='pixels of a flat that differ by this part from those around them')
    add('--nonzero', action='store_true', help='pixels that are not 0: the images are masks')
    add('--mask', action='append', default=[], metavar='FILE|KEY',
        help='also what is not 0 in another mask: one for all, one an image, an extension such as DQ, '
        'or a keyword that names a file (repeatable)')  # fmt: skip
    add('--region', action='append', default=[], metavar='REGION|@FILE', help='also this part (repeatable)')
    add('--outside', action='append', default=[], metavar='REGION|@FILE', help='also all but these parts (repeatable)')
    add('--grow', type=_radii, default={}, metavar='R|OPTION=R,...',
        help='also what lies within R pixels of what is marked, by all options or by some: '
        'lit=12,above=2 (default: lit=12)')  # fmt: skip
    add('--invert', action='store_true', help='swap good and bad at the end; pixels without a value stay bad')
    parser.share('compress', 'set', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a number above 0')


def _part(text: str) -> float:
    if (number := _positive(text)) < 1:
        return number
    raise argparse.ArgumentTypeError(f'{text.strip()!r} is not below 1')


def _odd(text: str) -> int:
    if (number := cli.positive(text)) % 2:
        return number
    raise argparse.ArgumentTypeError(f'{text.strip()!r} is not an odd number')


def _radii(text: str) -> dict[str, float]:
    """Radii by the option's name; that of all others stands under an empty one."""
    found = {}
    for piece in text.split(','):
        name, _, number = piece.strip().rpartition('=')
        try:
            radius = float(number)
        except ValueError:
            radius = -1.0
        name = name.strip().removeprefix('--')
        if not 0 <= radius < 1000 or name not in ('', *_CAUSES) or name in found:
            what = f'{piece.strip()!r} is not R or OPTION=R: a radius in pixels, below 1000'
            raise argparse.ArgumentTypeError(f'{what}, of {", ".join(_CAUSES)}')
        found[name] = radius
    return found


class _Frame(NamedTuple):
    """One image: what it is tested for, the masks that go with it, the parts that are marked in it."""

    image: Any
    rules: Any
    masks: list[Any]
    parts: list[Any]
    kept: list[Any]


class _Task(NamedTuple):
    """One mask."""

    frames: list[_Frame]
    output: str


class _Told(NamedTuple):
    """What is to be told of a mask: lines, and whether all of its pixels are bad."""

    lines: list[str]
    is_blind: bool


def img_mask(args: argparse.Namespace, job: cli.Job) -> None:
    """Write masks of bad pixels."""
    radii = _check(args)
    cards = [files.header.parse_card(text) for text in args.cards]
    tasks = _plan(args)
    if args.dry_run:
        for task in tasks:
            job.wrote(task.output)
        return
    files.output.make_folder(args.output)
    blind: list[str] = []

    def begin(task: _Task) -> tuple[_Told, Callable[[], None]]:
        return _begin(task, radii, args, cards)

    with job.progress(len(tasks), 'masks') as progress:
        for task, told, error in cli.flushed_behind(begin, tasks):
            with job.attempt():
                if error is not None:
                    raise error
                for line in told.lines:
                    job.detail(f'{task.output}: {line}')
                job.wrote(task.output)
                blind += [task.output] if told.is_blind else []
            progress.step()
    if blind and not job.status:
        more = f', as in {len(blind) - 1} more' if len(blind) > 1 else ''
        raise QualityFailure(f'{blind[0]}: every pixel is bad{more}')


def _check(args: argparse.Namespace) -> dict[str, float]:
    """Refuse options that do not go together; the radii that the causes grow by."""
    asked = {name for name in _CAUSES if name != 'missing' and getattr(args, name) not in (None, False, [])}
    asked |= {'hot'} if args.hot_rate is not None else set()
    asked |= {'region'} if args.outside else set()
    if not asked:
        raise UsageError('what is bad must be said: --lit, --bad, --hot, --hot-rate, --above, --below, --region, '
                         '--outside, --mask, or --nonzero to join masks')  # fmt: skip
    if args.median is not None and args.lit is None:
        raise UsageError('--median goes with --lit')
    if idle := [name for name in args.grow if name not in ('', 'missing', *asked)]:
        raise UsageError(f'--grow {idle[0]}={args.grow[idle[0]]:g} goes with --{idle[0]}')
    usual = {'lit': _EDGE} if args.lit is not None else {}
    if '' in args.grow:
        usual = dict.fromkeys(asked, args.grow[''])
    wanted = {**usual, **{name: radius for name, radius in args.grow.items() if name}}
    return {_CAUSES[name]: radius for name, radius in wanted.items()}


def _plan(args: argparse.Namespace) -> list[_Task]:
    """What is to be done, every refusal made."""
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    if args.output is not None and args.prefix is None and files.naming.is_one_name(args.output):
        groups = [(files.naming.one_output(args.output, args.compress), references)]
    else:
        names = files.naming.output_names(paths, args.output, prefix=args.prefix, compress=args.compress)
        groups = [(name, [reference]) for name, reference in zip(names, references, strict=True)]
    todo = files.output.check_outputs(
        [name for name, _ in groups], paths, force=args.force, skip_existing=args.skip_existing, new_folder=args.output
    )
    groups = [group for group, wanted in zip(groups, todo, strict=True) if wanted]
    keys = [word for word in (args.above, args.below) if word]
    opened = [
        [files.reader.open_image(reference, hdu, keywords=keys) for reference in group] for _, group in groups
    ]  # fmt: skip
    for images in opened:
        files.stack.refuse_unequal_shapes(images)
    frames = iter(_frames([image for images in opened for image in images], args))
    return [_Task([next(frames) for _ in group], name) for name, group in groups]


def _frames(images: Sequence[Any], args: argparse.Namespace) -> Iterable[_Frame]:
    if not images:
        return []
    masks = [files.masks.for_images(word, images) for word in args.mask]
    parts, kept = ([part for word in words for part in _read(word)] for words in (args.region, args.outside))
    return [
        _Frame(image, _rules(image, args), list(own), _drawn(parts, image), _drawn(kept, image))
        for image, *own in zip(images, *masks, strict=True)
    ]


def _read(word: str) -> list[Any]:
    parts = files.regions.read(word)
    for part in parts:
        if part.section is None:
            with refusing(f'region {word}'):
                pixels.shapes.check(part.kind, part.numbers)
    return parts


def _drawn(parts: Sequence[Any], image: Any) -> list[Any]:
    """Parts as the numbers' floor takes them, in the image's own pixels."""
    own = [part.within(image) for part in parts]
    shape = image.shape if len(image.shape) > 1 else (1, *image.shape)
    return [
        (part.kind, part.numbers) if part.section is None else part.section.slices(shape)[-2:] for part in own
    ]  # fmt: skip


def _rules(image: Any, args: argparse.Namespace) -> Any:
    """What the options say about one image."""
    excess = None
    if args.hot_rate is not None:
        excess = args.hot_rate * files.header.needed_exposure(image.keywords, image.path)
    return pixels.marking.Rules(
        lit=args.lit, side=args.median or pixels.illumination.SIDE, above=_value(args.above, image, '--above'),
        below=_value(args.below, image, '--below'), hot=args.hot, excess=excess, deviant=args.bad,
        nonzero=args.nonzero)  # fmt: skip


def _value(word: str | None, image: Any, option: str) -> float | None:
    """A number, or the image's own under a keyword."""
    if word is None:
        return None
    try:
        number = float(word)
    except ValueError:
        return files.header.needed_number(image.keywords, word.strip(), image.path)
    if not math.isfinite(number):
        raise UsageError(f'{option} {word}: a finite number or a keyword is wanted')
    return number


def _begin(
    task: _Task, radii: dict[str, float], args: argparse.Namespace, cards: Sequence[tuple[str, Any]]
) -> tuple[_Told, Callable[[], None]]:
    """What is to be told of a mask, and what gives the written file its name."""
    causes: dict[str, Any] = {}
    lines, levels = [], []
    for frame in task.frames:
        marked, level = _marked(frame, radii, args)
        levels += level
        counts = [f'{name} {marks.sum()}' for name, marks in marked.items() if name != 'missing' or marks.any()]
        lines.append(f'{frame.image.name}: {", ".join(counts)}')
        causes = {name: marks | causes[name] if causes else marks for name, marks in marked.items()}
    mask = pixels.marking.joined(causes, invert=args.invert)
    lines += [f'mask {mask.name}' for frame in task.frames for mask in frame.masks]
    own = _cards(causes, mask, levels, radii, args)
    image = task.frames[0].image
    header = files.header.product(image, 'img_mask', dict.fromkeys(lines), [*own, *cards])
    finish = files.writer.begin_fits(task.output, [(mask.reshape(image.shape), header)])
    return _Told([f'{mask.sum()} of {mask.size} pixels are bad', *lines], bool(mask.all())), finish


def _marked(frame: _Frame, radii: dict[str, float], args: argparse.Namespace) -> tuple[dict[str, Any], list[float]]:
    """The pixels of each cause, shape (planes, ny, nx), and the levels of what is lit."""
    image = frame.image
    shape = image.shape if len(image.shape) > 1 else (1, *image.shape)
    planes = _planes(files.reader.read_pixels(image, checksum=args.checksum, max_size=args.max_size), shape)
    masked = None
    for mask in frame.masks:
        bad = _planes(files.reader.read_mask(mask, image), shape)
        masked = bad if masked is None else masked | bad
    found, levels = [], []
    for place, plane in enumerate(planes):
        with refusing('no mask can be made', image.path):
            marked = pixels.marking.mark(plane, frame.rules, None if masked is None else masked[place])
        causes = dict(marked.causes)
        if frame.parts or frame.kept:
            causes['region'] = _by_hand(frame, shape[-2:])
        found.append(pixels.marking.grow(causes, radii))
        levels += [] if marked.level is None else [marked.level]
    return {name: pixels.marking.stacked([causes[name] for causes in found]) for name in found[0]}, levels


def _planes(values: Any, shape: tuple[int, ...]) -> Any:
    return values.reshape(-1, *shape[-2:])


def _by_hand(frame: _Frame, shape: tuple[int, int]) -> Any:
    found = pixels.marking.drawn(frame.parts, shape)
    return found | ~pixels.marking.drawn(frame.kept, shape) if frame.kept else found


def _cards(
    causes: dict[str, Any], mask: Any, levels: list[float], radii: dict[str, float], args: argparse.Namespace
) -> list[tuple[str, Any]]:
    """What the header says about the mask; EXTNAME, so that MASK names the image wherever it lies in a file."""
    cards: list[tuple[str, Any]] = [(key, None) for key in _FALSE]
    cards += [
        ('EXTNAME', ('MASK', '1 where a pixel is bad, else 0')),
        ('EXTVER', (1, 'version of the extension')),
        ('IMAGETYP', ('MASK', 'kind of image')),
        ('NBADPIX', (int(mask.sum()), 'bad pixels')),
    ]
    for name, marks in causes.items():
        grown = f', grown by {radii[name]:g}' if radii.get(name) else ''
        cards.append((_KEYS[name], (int(marks.sum()), f'{_words(name, args)}{grown}')))
    if len(levels) == 1:
        cards.append(('MSKLEVEL', (levels[0], 'median of what is lit')))
    return [*cards, ('MSKINV', (True, 'good and bad are swapped'))] if args.invert else cards


def _words(cause: str, args: argparse.Namespace) -> str:
    """What a cause is."""
    hot = [f'{args.hot:g} sigma off'] if args.hot is not None else []
    hot += [f'{args.hot_rate:g}/s above others'] if args.hot_rate is not None else []
    return {
        'missing': 'without a value', 'unlit': f'below {args.lit} of the lit level', 'hot': ' or '.join(hot),
        'above': f'at {args.above} or above', 'below': f'at {args.below} or below',
        'deviant': f'differ by {args.bad} from others', 'nonzero': 'not 0', 'masked': 'in other masks',
        'region': 'marked by hand',
    }[cause]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_mask, argv)
