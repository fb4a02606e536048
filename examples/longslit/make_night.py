#!/usr/bin/env python3
"""Write a small synthetic long-slit set whose truth is known: two amplifiers, as KOSMOS has them.

Five bias frames, two arcs, five flats, a standard star and two exposures of an object, with overscans at the right
edge whose level drifts. OUTDIR/truth holds what went into them: the response, what is lit and what is bad, and
truth.json with levels, gains, lines and star. Equal seeds give equal bytes.

  python make_night.py night
  python make_night.py small --size 60x160 --seed 5
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from spectrograph import ARC_GLOW, GAINS, LEVELS, OVERSCAN, READ_NOISES, SIZE, STAR_SIGMA, Frame, Spectrograph

SEED = 20221119
START = datetime.datetime(2022, 11, 19, 1, 12, 30)
# Kind, object and seconds of the frames; the star's light relative to the object's.
SCHEDULE = (
    [('Bias', 'Bias', 0, 1.0)] * 5 + [('Arc', 'Neon', 20, 1.0), ('Arc', 'Neon', 30, 1.0)]
    + [('Flat', 'Quartz', 4, 1.0)] * 5 + [('Sci', 'Feige 34', 60, 20.0)] + [('Sci', 'J0113+2958', 600, 1.0)] * 2
)  # fmt: skip


def night(seed: int) -> list[Frame]:
    """The frames in their order in time; the overscan's levels walk, and the lamp's current is not steady."""
    rng = np.random.default_rng([seed, 1])
    frames, clock, levels = [], START, np.array(LEVELS)
    for number, (kind, target, exptime, light) in enumerate(SCHEDULE, 1):
        levels = levels + rng.normal(0, 4, 2)
        light *= rng.uniform(0.95, 1.05) if kind == 'Flat' else 1
        frames.append(Frame(number, kind, target, float(exptime), clock, tuple(np.round(levels, 2).tolist()), light))
        clock += datetime.timedelta(seconds=exptime + 48)
    return frames


def header(frame: Frame) -> fits.Header:
    """The cards that the camera writes: nothing about its sections, as KOSMOS."""
    return fits.Header(
        [
            ('DATE-OBS', frame.start.isoformat(), 'start of the exposure, UTC'),
            ('EXPTIME', frame.exptime, '[s] exposure time'),
            ('IMAGETYP', {'Sci': 'Object'}.get(frame.kind, frame.kind), 'type of image'),
            ('OBJNAME', frame.target, 'object'),
            ('OBJECT', frame.target, 'object'),
            ('INSTRUME', 'Synthetic slit', 'two amplifiers, wavelength along y'),
            ('BINX', 1, 'binning in x'),
            ('BINY', 1, 'binning in y'),
        ]
    )


def write_truth(folder: Path, camera: Spectrograph, frames: list[Frame]) -> None:
    """What went into the frames: images, and numbers in truth.json."""
    folder.mkdir(exist_ok=True)
    lit = np.broadcast_to(camera.lit, camera.response.shape)
    fits.PrimaryHDU(camera.flat.astype('f4')).writeto(folder / 'flat.fits', overwrite=True)
    fits.PrimaryHDU(lit.astype('u1')).writeto(folder / 'lit.fits', overwrite=True)
    fits.PrimaryHDU(camera.bad.astype('u1')).writeto(folder / 'bad.fits', overwrite=True)
    fits.PrimaryHDU(camera.pattern.astype('f4')).writeto(folder / 'pattern.fits', overwrite=True)
    norm = float(np.median((camera.slit * camera.response)[:, camera.lit]))
    truth = {
        'size': [camera.nx, camera.ny],
        'seed': camera.seed,
        'gains': GAINS,
        'read_noises': READ_NOISES,
        'norm': norm,  # of slit times response, by which a response of median 1 is too large
        'star_sigma': STAR_SIGMA,
        'frames': [{'name': f.name, 'levels': f.levels, 'exptime': f.exptime, 'light': f.light} for f in frames],
        'lines': camera.lines,
        'arc_glow': ARC_GLOW,
        'trace': camera.trace().round(4).tolist(),
        'sky': camera.sky.round(6).tolist(),
        'star': (10 * camera.star).round(6).tolist(),
    }
    (folder / 'truth.json').write_text(json.dumps(truth) + '\n')


def size(text: str) -> tuple[int, int]:
    """Columns and rows of '240x600'."""
    nx, _, ny = text.partition('x')
    if not (nx.isdecimal() and ny.isdecimal() and int(nx) >= 60 and int(ny) >= 160 and int(nx) % 2 == 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not a size such as 240x600, at least 60x160, of even width')
    return int(nx), int(ny)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('outdir', metavar='OUTDIR', type=Path)
    parser.add_argument(
        '--size', metavar='NXxNY', type=size, default=SIZE, help='columns without overscan, and rows (240x600)'
    )
    parser.add_argument('--seed', type=int, default=SEED, help=f'seed of all that is random ({SEED})')
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error('--seed must not be negative')
    frames = night(args.seed)
    strange = {path.name for path in args.outdir.glob('*.fits')} - {frame.name for frame in frames}
    if strange:
        parser.error(f'{args.outdir} holds other FITS files, such as {min(strange)}')
    args.outdir.mkdir(parents=True, exist_ok=True)
    # Written last: a night without it is not complete.
    (args.outdir / 'truth/truth.json').unlink(missing_ok=True)
    camera = Spectrograph(args.size, args.seed)
    for frame in frames:
        fits.PrimaryHDU(camera.expose(frame), header(frame)).writeto(args.outdir / frame.name, overwrite=True)
    write_truth(args.outdir / 'truth', camera, frames)
    raw = args.size[0] + 2 * OVERSCAN, args.size[1]
    print(f'{len(frames)} frames of {raw[0]} x {raw[1]} pixels in {args.outdir}', file=sys.stderr)


if __name__ == '__main__':
    main()
