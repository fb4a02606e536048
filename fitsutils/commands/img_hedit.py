"""Correct headers: IMAGES KEY=VALUE ..., in copies or in place.

All else stays as it is, byte for byte: pixels as they are stored, other HDUs,
odd cards, packed (.gz, .bz2) and tile-compressed (.fz) files. What a card was
is told in HISTORY. Without an HDU named, the header of the first image counts.

A value takes the type that its card has: EXPTIME=60 is 60.0 where there was
60.5, ID=0012 stays text, and text does not take a number's place. A new
keyword's value is T or F, a number where it reads as one, else text; the
standard's own keywords get the type that it wants. Quotes within the word
('ID="12"') make it text, an empty word leaves a number without a value, and
--delete KEY KEY=VALUE forgets what type it had. Comments
stay; --comment changes them. COMMENT=... and HISTORY=... add a line. Keywords of
several words are HIERARCH ones. Names of the form KEY=VALUE are taken for edits
unless there is such a file.

Done in this order: --delete, --rename, --copy-wcs, KEY=VALUE, --comment. Keywords
that describe the data themselves (NAXIS1, BZERO, ...) are refused, and so is what
an image does not have, before anything is written.

--in-place writes a temporary file beside the image and gives it the image's name
when it is complete, so that the image is whole at any moment; a write-protected
one is refused, and hard links keep the old header.

Examples
--------
  img_hedit 'n1/a*.fits' IMAGETYP=bias OBJECT=bias --prefix h_
  img_hedit *.fits EXPTIME=60 --dry-run -o h/                # old and new values
  img_hedit a.fits GAIN=1.5 --comment 'GAIN=electrons per ADU' --in-place
  img_hedit a.fits --rename FILTNAM=FILTER --delete TEMP,HUMID -o fixed.fits
  img_hedit 'sci*.fits' --copy-wcs 'solved/sci*.fits' --in-place
  img_hedit 'mosaic.fits[SCI,2]' 'HIERARCH ESO DET CHIP NAME=B' --in-place
"""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fitsutils import cli, files
from fitsutils.errors import UsageError

_PACKINGS = {'.gz': 'gzip', '.bz2': 'bzip2'}


def build_parser() -> cli.Parser:
    """Give the command's options."""
    parser = cli.Parser('img_hedit', __doc__)
    parser.share('images', metavar='WORD', help='IMAGES, then KEY=VALUE ...')
    add = parser.add_argument
    add('--delete', type=cli.word_list, action='extend', default=[], metavar='KEY,...', help='take cards out')
    add('--rename', action='append', default=[], metavar='OLD=NEW', help='give a card another keyword (repeatable)')
    add('--copy-wcs', metavar='FROM',
        help='the world coordinates of another image or header: one for all, or one for each image')  # fmt: skip
    add('--comment', action='append', default=[], metavar='KEY=TEXT', help="change a card's comment (repeatable)")
    add('--missing-ok', action='store_true',
        help='images may lack what --delete, --rename and --comment name')  # fmt: skip
    add('--must-exist', action='store_true', help='KEY=VALUE adds no keyword that an image lacks')
    add('--in-place', action='store_true', help='change the images themselves')
    parser.share('output', 'prefix', 'force', 'skip-existing')
    parser.share('dry-run', help='show old and new values and print what would be written; write nothing')
    parser.share('hdu', help='the HDU whose header it is; default: the first that holds an image')
    parser.share('long-null', 'checksum', 'max-size', 'progress')
    return parser


class _Task(NamedTuple):
    """One file: the image, where its world coordinates come from, the output, and what will change."""

    reference: Any
    coordinates: Any
    output: str
    changes: list[Any]


def img_hedit(args: argparse.Namespace, job: cli.Job) -> None:
    """Write images with corrected headers."""
    edits = _edits(args)
    hdu = args.hdu and files.inputs.parse_hdu(args.hdu)
    tasks = _plan(args, edits, hdu)
    if args.dry_run:
        for task in tasks:
            for change in task.changes:
                job.say(f'{task.reference}: {change}')
            if task.changes or not args.in_place:
                job.wrote(task.output)
        return
    files.output.make_folder(args.output)

    def begin(task: _Task) -> tuple[list[Any], Callable[[], None]]:
        header, cards, changes = _edited(task.reference, task.coordinates, edits, hdu)
        if args.in_place and not changes:
            return changes, lambda: None
        packed = files.hdus.packing(header.path) if args.in_place else _packing(task.output)
        return changes, files.writer.begin_rewriting(
            header, cards, task.output, packed, checksum_policy=args.checksum, max_size=args.max_size
        )

    paths = [os.path.realpath(task.reference.path) for task in tasks]
    # Two headers of one file are changed one after the other.
    jobs = 1 if args.in_place and len(set(paths)) < len(paths) else 2
    with job.progress(len(tasks), 'headers') as progress:
        for task, changes, error in cli.flushed_behind(begin, tasks, jobs):
            with job.attempt():
                if error is not None:
                    raise error
                for change in changes:
                    job.detail(f'{task.reference}: {change}')
                if changes or not args.in_place:
                    job.wrote(task.output)
                else:
                    job.detail(f'{task.reference}: nothing to change')
            progress.step()


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Images, and words of the form KEY=VALUE that are no files."""
    changes = [word for word in words if files.edits.is_assignment(word) and not os.path.lexists(word)]
    return [word for word in words if word not in changes], changes


def _edits(args: argparse.Namespace) -> Any:
    """What the command line asks for, every contradiction refused."""
    ways = [args.in_place, args.output is not None or args.prefix is not None]
    if ways.count(True) != 1:
        raise UsageError('one of -o (or --prefix) and --in-place is wanted')
    if args.in_place and (args.force or args.skip_existing):
        raise UsageError('--force and --skip-existing are for copies, and do nothing with --in-place')
    args.images, words = split_words(args.images)
    if not args.images:
        raise UsageError('an image is required: a file name, a pattern, a list')
    edits = files.edits.Edits(
        delete=tuple(map(files.edits.deletion, dict.fromkeys(args.delete))),
        rename=tuple(map(files.edits.renaming, args.rename)),
        settings=tuple(map(files.edits.setting, words)),
        comments=tuple(map(files.edits.comment, args.comment)),
        missing_ok=args.missing_ok,
        must_exist=args.must_exist,
    )
    if not (words or args.delete or args.rename or args.comment or args.copy_wcs):
        raise UsageError('KEY=VALUE, --delete, --rename, --comment or --copy-wcs must say what to change')
    if args.missing_ok and not (args.delete or args.rename or args.comment):
        raise UsageError('--missing-ok goes with --delete, --rename and --comment')
    if args.must_exist and not words:
        raise UsageError('--must-exist goes with KEY=VALUE')
    files.edits.check(edits)
    return edits


def _plan(args: argparse.Namespace, edits: Any, hdu: Any) -> list[_Task]:
    """What is to be done, every refusal made."""
    references = files.inputs.expand(args.images, null=args.null)
    if part := next((reference for reference in references if reference.region is not None), None):
        raise UsageError(f'{part}: a part of an image has no header of its own')
    paths = [reference.path for reference in references]
    sources = _sources(args.copy_wcs, references)
    outputs = _outputs(paths, args)
    todo = [True] * len(outputs)
    if args.in_place:
        _refuse_protected(paths)
    else:
        inputs = paths + [source.path for source in sources if source is not None]
        todo = files.output.check_outputs(
            outputs, inputs, force=args.force, skip_existing=args.skip_existing, new_folder=args.output
        )
    tasks = []
    for reference, source, output, wanted in zip(references, sources, outputs, todo, strict=True):
        if wanted:
            changes = _edited(reference, source, edits, hdu)[2]
            tasks.append(_Task(reference, source, output, changes))
    return tasks


def _sources(word: str | None, references: Sequence[Any]) -> list[Any]:
    """Where the world coordinates of each image come from."""
    if word is None:
        return [None] * len(references)
    sources = files.inputs.expand([word])
    if len(sources) not in (1, len(references)):
        raise UsageError(f'--copy-wcs names {len(sources)} headers for {len(references)} images: '
                         'one is wanted, or as many')  # fmt: skip
    return sources * len(references) if len(sources) == 1 else sources


def _outputs(paths: Sequence[str], args: argparse.Namespace) -> list[str]:
    if args.in_place:
        return list(paths)
    outputs = files.naming.output_names(paths, args.output, prefix=args.prefix, keep_packing=True)
    for path, output in zip(paths, outputs, strict=True):
        if output.lower().endswith('.fz') and not path.lower().endswith('.fz'):
            raise UsageError(f'{output}: pixels are copied as they are stored, and {path} is not tile-compressed')
    return outputs


def _refuse_protected(paths: Sequence[str]) -> None:
    """Refuse what a new file could replace although nobody may write to it."""
    files.output.check_outputs(paths, [], force=True)
    files.output.refuse_protected(paths, '; -o or --prefix makes a copy')


def _edited(reference: Any, source: Any, edits: Any, hdu: Any) -> tuple[Any, bytes, list[Any]]:
    """A header as it is, the cards that it is to have, and what changes."""
    header = files.writer.stored_header(reference, hdu)
    coordinates = None if source is None else _world(source, header)
    cards, changes = files.edits.edited(
        files.edits.cards_of(header.lines), edits, header.path, inherited=header.inherited, coordinates=coordinates
    )
    return header, files.edits.signed(cards, 'img_hedit', changes), changes


def _world(source: Any, header: Any) -> Any:
    """The world coordinates of another header, which must be those of an image of the same size."""
    other = files.writer.stored_header(source)
    own = files.edits.cards_of(other.lines)
    said = files.edits.values_of(own, ('IMAGEW', 'IMAGEH'))
    files.world.check_size(header.axes, said, other.axes, header.path, source.path)
    return files.edits.WorldOf(files.world.world_cards(own, source.path), os.path.basename(source.path))


def _packing(output: str) -> str | None:
    return _PACKINGS.get(files.naming.split_suffix(os.path.basename(output))[2].lower())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the process's arguments are the default."""
    return cli.run(build_parser, img_hedit, argv)
