"""Take the overscan off raw images, cut it away, and join what several amplifiers read.

What is subtracted of each amplifier is the level of its own overscan: one
number, one of each row (of each column, where the overscan lies above or
below), or a curve through those. All is worked out in float64; NaN, infinite
and BLANK pixels are left out and stay missing. The result is float32, or
float64 where 32-bit values need it.

Sections are FITS sections of the raw image: x first, counted from 1, both ends
included, * for a whole axis: [61:2100,21:2032]. They come from, in this order
  options   --amp once for each amplifier, or --overscan, with --trim
  --preset  the name of a camera in the table below
  header    BIASSEC with TRIMSEC or else DATASEC; for several amplifiers
            BIASSECA, TRIMSECA, DATASECA ... or BSEC11, TSEC11, DSEC11, ASEC11
            ..., placed by CCDSECA ... or CSEC11 ... where those are there;
            COVER and ROVER with DATASEC (Lick)
  table     by INSTRUME, binning and size: kosmos, dis, nickel, kast
--trim keeps no more than this part of the pixels; a part behind the file's
name, file.fits[x1:x2,y1:y2], does the same. When nothing is known, a value is
UNKNOWN, or a section leaves the image, that is an error. --dry-run shows what
would be taken. --preset FILE adds lines to the table, before the others:
  NAME KEYWORD=PATTERN XBINxYBIN NAXIS1xNAXIS2 GUARD DATA:BIAS...
  mycam INSTRUME=my*cam 1x1 2148x* 7,10 [1:1024,*]:[2049:2098,*] ...

--fit KIND, the default first:
  level         one level of each amplifier and image
  row           a value of each row, or of each column
  poly:N        the polynomial of degree N through those; chebyshev:N and
                legendre:N are the same curve, sound for higher degrees
  spline:N      a cubic spline of N pieces
  none          nothing is subtracted: cut and join only
--stat is how the value comes from its pixels. --clip K leaves out pixels
beyond K standard deviations of the median, then lines beyond K of the curve,
again and again. Every plane of a cube has its own values.

In the header: OSFIT, OSSTAT, OSGUARD, OSCLIP; for amplifier n OSDATn and
OSSECn (raw pixels and overscan used), OSLEVn (level), OSSIGn (scatter of the
overscan pixels used about it, with as many degrees of freedom as it leaves:
the read noise; not there where it leaves none), OSRMSn (of the lines about the
curve), OSREJn (pixels clipped, those of clipped lines too). DATASEC, CCDSEC, LTV and all world coordinates
follow cuts, flips and rotations; BIASSEC and TRIMSEC go. SATURATE, SATLEVEL,
SATURAT, MAXLIN, NONLIN and LINLIMIT become what a pixel of so many raw counts
is now, the least over the amplifiers; DATAMIN and DATAMAX go. An image that is
trimmed already is refused, and an overscan that overlaps the pixels.

--gain makes electrons of the pixels (BUNIT), and the keyword that it names 1.
--uncertainty, with --gain and --rdnoise, adds the extensions UNCERT, the
standard deviation sqrt(max(electrons, 0) + rdnoise^2), and MASK, as CCDData
reads them. Those that an image brings along go the same way as its pixels.
--section only cuts, and takes no overscan: '[*,*]' keeps all, for --flip,
--rotate or --gain alone.

Examples
--------
  img_trim 'b*.fits' --prefix t_                        # as the headers say
  img_trim 'b*.fits' --dry-run --prefix t_              # where would the sections be?
  img_trim raw.fits --overscan '[3:52,*]' --trim '[54:2100,*]' --fit chebyshev:3 --clip 3 -o raw_t.fits
  img_trim 'kosmos.*.fits' --preset kosmos --gain 0.6 --rdnoise 5 --uncertainty -o t
  img_trim two.fits --amp '[1:512,*]:[1025:1056,*]' --amp '[513:1024,*]:[1057:1088,*]' --guard 2 -o t.fits
  img_trim 'cam*.fits' --preset mycameras.txt --fit row --stat mean --clip 3 -o trimmed/
  img_trim sky.fits --section '[61:2100,21:2032]' --flip x --rotate 90 -o sky_t.fits
  img_trim 'b*.fits' --prefix t_ -q && img_log 't_b*.fits' -k Filename,OSLEV1,OSSIG1,OSLEV2,OSSIG2
"""

import argparse
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from fitsutils import cli, files, pixels
from fitsutils.errors import UsageError, refusing

_FIT = re.compile(r'(level|row|none)\Z|(poly|chebyshev|legendre|spline):(\d{1,3})\Z')
_GUARD = re.compile(r'(\d{1,6})(?:,(\d{1,6}))?\Z')
_FROM_OVERSCAN = 'overscan'


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_trim', __doc__)
    parser.share('images', 'output', 'prefix', 'force', 'skip-existing')
    parser.add_argument('--overscan', metavar='SEC', help='the overscan of a detector with one amplifier')
    parser.add_argument('--trim', metavar='SEC', help='the pixels to keep')
    parser.add_argument('--amp', action='append', default=[], metavar='DATA:BIAS', dest='amplifiers',
        help='pixels and overscan of an amplifier (repeatable); with --fit none DATA will do')  # fmt: skip
    parser.add_argument('--preset', action='append', default=[], metavar='NAME|FILE|auto',
        help='sections of this camera, whatever the header says; a file with more cameras (repeatable)')  # fmt: skip
    parser.share('section', help='cut to this part and take no overscan')
    parser.add_argument('--fit', type=_fit, metavar='KIND',
        help='level, row, poly:N, chebyshev:N, legendre:N, spline:N or none (default: level)')  # fmt: skip
    parser.add_argument('--stat', choices=('median', 'mean'), help='of the overscan pixels (default: median)')
    parser.add_argument('--clip', type=float, metavar='K', help='leave out what lies beyond K sigma, repeatedly')
    parser.add_argument('--guard', type=_guard, metavar='N[,M]',
        help="leave out N columns at the overscan's first edge and M (default: N) at its last one, or rows "
        "(default: the preset's, 2 with COVER, else 0)")  # fmt: skip
    parser.add_argument('--gain', type=cli.word_list, metavar='G[,G...]',
        help='multiply by electrons per data number: a number or keyword, for all amplifiers or for each')  # fmt: skip
    parser.add_argument('--rdnoise', type=cli.word_list, metavar='R[,R...]',
        help="read noise in electrons, for --uncertainty: numbers or keywords; 'overscan': as it scatters")  # fmt: skip
    parser.add_argument('--uncertainty', action='store_true', help='write the extensions UNCERT and MASK')
    parser.add_argument('--flip', choices=('x', 'y', 'both'), help='then turn these axes round')
    parser.add_argument('--rotate', type=int, choices=(90, 180, 270), help='then rotate, counter-clockwise')
    parser.add_argument('--force-again', action='store_true', help='also what is trimmed, or in electrons, already')
    parser.share('dry-run', 'dtype', 'compress', 'set', 'hdu', 'long-null', 'checksum', 'max-size', 'progress')
    return parser


def _fit(text: str) -> tuple[str, int]:
    match = _FIT.match(text.strip().lower())
    if match is None or (match[2] == 'spline' and match[3].strip('0') == ''):
        raise argparse.ArgumentTypeError(
            f'{text.strip()!r} is not level, row, poly:N, chebyshev:N, legendre:N, spline:N or none'
        )
    return match[1] or match[2], int(match[3] or 0)


def _guard(text: str) -> tuple[int, int]:
    match = _GUARD.match(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not N or N,M')
    return int(match[1]), int(match[2] or match[1])


def img_trim(args: argparse.Namespace, job: cli.Job) -> None:
    """Write each image without its overscan."""
    _refuse_contradictions(args)
    from fitsutils.steps import trims  # here, because it loads numpy, for which no usage error waits

    settings = _settings(args)
    cards = [files.header.parse_card(text) for text in args.cards]
    tasks = _plan(args, settings)
    if args.dry_run:
        for task, output in tasks:
            job.say(f'{task.image.name}: {"; ".join(trims.words(task, settings))} -> {output}')
            job.wrote(output)
        return
    files.output.make_folder(args.output)

    def begin(planned: tuple[Any, str]) -> tuple[Any, Callable[[], None]]:
        task, output = planned
        result = trims.trim(task, settings)
        pictures = trims.pictures(task, result, settings, cards)
        if args.dtype is not None:
            with refusing(f'--dtype {args.dtype}', output):
                pictures[0] = pixels.arithmetic.as_type(pictures[0][0], args.dtype), pictures[0][1]
        return result, files.writer.begin_fits(output, pictures)

    with job.progress(len(tasks), 'images') as progress:
        for (task, output), result, error in cli.flushed_behind(begin, tasks):
            with job.attempt():
                if error is not None:
                    raise error
                for line in trims.words(task, settings, result.measured):
                    job.detail(f'{output}: {line}')
                for line in trims.remarks(result):
                    job.say(f'{output}: {line}')
                job.wrote(output)
            progress.step()


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Options that do not go together, or that would do nothing."""
    kind = args.fit and args.fit[0]
    how = [name for name in ('stat', 'clip', 'guard') if getattr(args, name) is not None]
    where = [f'--{name}' for name, found in (('overscan', args.overscan), ('amp', args.amplifiers),
             ('preset', [word for word in args.preset if word.lower() != 'auto'])) if found]  # fmt: skip
    rules = [
        (args.section is not None and bool(where or how or args.trim or args.fit),
         '--section takes no overscan: not with --overscan, --trim, --amp, --preset, --fit, --stat, --clip or --guard'),
        (len(where) > 1, f'{" and ".join(where)} exclude each other'),
        (kind == 'none' and bool(how), f'--fit none takes no overscan: not with --{how[0] if how else ""}'),
        (kind == 'none' and args.overscan is not None, '--fit none takes no overscan: not with --overscan'),
        (args.clip is not None and not 0 < args.clip < math.inf, '--clip takes a number of sigma above 0'),
        (args.uncertainty and not (args.gain and args.rdnoise), '--uncertainty needs --gain and --rdnoise'),
        (args.rdnoise is not None and not args.uncertainty, '--rdnoise goes with --uncertainty'),
        (args.rdnoise == [_FROM_OVERSCAN] and (kind == 'none' or args.section is not None),
         '--rdnoise overscan needs an overscan'),
        (args.gain == [] or args.rdnoise == [], '--gain and --rdnoise take numbers or keywords'),
    ]  # fmt: skip
    for wrong, rule in rules:
        if wrong:
            raise UsageError(rule)


def _settings(args: argparse.Namespace) -> Any:
    """What the options say about every image."""
    from fitsutils.steps import trims

    fit = pixels.overscan.Fit(*(args.fit or ('level', 0)), args.stat or 'median', args.clip)
    return trims.Settings(
        fit, wanted=_wanted(args, fit), guard=args.guard, gain=args.gain, rdnoise=args.rdnoise,
        uncertainty=args.uncertainty, flip=args.flip, rotate=args.rotate, again=args.force_again,
        max_size=args.max_size, checksum=args.checksum)  # fmt: skip


def _plan(args: argparse.Namespace, settings: Any) -> list[tuple[Any, str]]:
    """What is to be done and where it goes, every refusal made."""
    from fitsutils.steps import trims

    region = files.section.chosen(None, None, args.section)
    references = files.inputs.expand(args.images, null=args.null)
    paths = [reference.path for reference in references]
    default = 'trimmed_' if args.dry_run else None  # who only asks for the sections need not name outputs
    outputs = files.naming.output_names(
        paths, args.output, prefix=args.prefix, default_prefix=default, compress=args.compress
    )
    todo = files.output.check_outputs(
        outputs, paths, force=args.force, skip_existing=args.skip_existing, new_folder=args.output
    )
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    return [
        (trims.prepare(files.reader.open_image(reference, hdu, region, keywords=trims.KEYWORDS), settings), output)
        for reference, output, wanted in zip(references, outputs, todo, strict=True)
        if wanted
    ]


def _wanted(args: argparse.Namespace, fit: Any) -> Any:
    """Where the options say that the sections are; None with --section, where it does not matter."""
    if args.section is not None:
        return None
    table, name = files.presets.table_from(args.preset)
    amplifiers = tuple(files.section.parse_pair(text) for text in args.amplifiers)
    if fit.kind != 'none' and any(bias is None for _, bias in amplifiers):
        raise UsageError('--amp takes DATA:BIAS; DATA alone goes with --fit none')
    overscan, trim = (
        None if text is None else files.section.parse_section(text) for text in (args.overscan, args.trim)
    )
    return files.detector.Wanted(overscan, trim, amplifiers, name, table, fit.kind != 'none')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_trim, argv)
