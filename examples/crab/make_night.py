#!/usr/bin/env python3
"""Write a synthetic night of CCD frames whose truth is known: the Crab night of the recipe.

107 frames with a camera's file names and headers, which come in this order in time:
40 twilight flats of 8 filters, 10 bias, 11 darks of 60 s (the first one caught stray light), 120 s and
180 s, lights of the cluster M 35 and of the Crab nebula, 10 bias. OUTDIR/truth holds what went into them:
bias, dark and flat images, and truth.json with levels, stars and sky. Equal seeds give equal bytes.

  python make_night.py night
  python make_night.py small --size 140x90 --seed 5
"""

import argparse
import datetime
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from astropy.io import fits
from camera import DARK_OFFSET, DARK_SLOPE, FILTERS, GAIN, PSF_SIGMA, READ_NOISE, SIZE, TARGETS, Camera, Frame, region

SEED = 20210227
START = datetime.datetime(2021, 2, 27, 1, 31, 12)


def night() -> list[Frame]:
    """The 107 frames in their order in time."""
    frames, seen, clock = [], {}, START
    for kind, target, band, exptime, odd in schedule():
        series = ' '.join(filter(None, [target or kind.split()[0], band, f'{exptime}s' * (exptime > 0)]))
        seen[series] = seen.get(series, 0) + 1
        level = 0.0
        if kind == 'Flat Field':
            level = FILTERS[band].flat_level * 0.91 ** (seen[series] - 1)  # evening: the sky is fading
        elif target:
            level = FILTERS[band].sky * exptime * (1 + 0.03 * np.sin(1.7 * len(frames)))
        name = f'{series} {seen[series]:03d}.fit'
        frames.append(Frame(len(frames) + 1, name, kind, target, band, float(exptime), clock, float(level), odd))
        clock += datetime.timedelta(seconds=exptime + 14)
    return frames


def schedule() -> list[tuple[str, str, str, int, str]]:
    """Kind, target, filter, seconds and mishap of each frame, as the recipe's steps tell them."""
    flats = [('Flat Field', '', band, FILTERS[band].flat_time, '') for band in FILTERS for _ in range(5)]
    bias = [('Bias Frame', '', '', 0, '')] * 10
    darks = [('Dark Frame', '', '', t, '') for t in [60] * 6 + [120] * 2 + [180] * 3]
    darks[0] = (*darks[0][:4], 'stray light')
    cluster = [('Light Frame', 'M 35', band, 60, '') for band in ('Lumin', 'Red', 'Green', 'Blue') for _ in range(3)]
    rounds = [('Lumin', 120), ('Red', 180), ('Green', 180), ('Blue', 180)] * 3
    crab = [('Light Frame', 'M 1', band, exptime, '') for band, exptime in rounds + [('Halpha', 180)] * 4]
    # The recipe subtracts a dark from frame 89 and leaves it there; of 90 to 97 it subtracts the bias
    # only, for want of darks of their exposure time.
    crab[-1] = (*crab[-1][:4], 'guiding lost')
    rest = [('Light Frame', 'M 1', band, 300, '') for band in ('OIII', 'SII') for _ in range(4)]
    return flats + bias + darks + cluster + crab + rest + bias


def header(frame: Frame) -> fits.Header:
    """The cards that MaxIm DL writes."""
    ra, dec = TARGETS.get(frame.target, ('', ''))
    days = (frame.start - datetime.datetime(2000, 1, 1, 12)) / datetime.timedelta(days=1)
    cards = [
        ('DATE-OBS', frame.start.isoformat(), 'YYYY-MM-DDThh:mm:ss observation start, UT'),
        ('EXPTIME', frame.exptime, 'Exposure time in seconds'),
        ('EXPOSURE', frame.exptime, 'Exposure time in seconds'),
        ('SET-TEMP', -20.0, 'CCD temperature setpoint in C'),
        ('CCD-TEMP', round(-20.0 + 0.06 * np.sin(frame.number), 2), 'CCD temperature at start in C'),
        ('XPIXSZ', 9.0, 'Pixel Width in microns (after binning)'),
        ('YPIXSZ', 9.0, 'Pixel Height in microns (after binning)'),
        ('XBINNING', 3, 'Binning factor in width'),
        ('YBINNING', 3, 'Binning factor in height'),
        ('XORGSUBF', 0, 'Subframe X position in binned pixels'),
        ('YORGSUBF', 0, 'Subframe Y position in binned pixels'),
        ('READOUTM', 'Normal', 'Readout mode of image'),
        ('ISOSPEED', 800, 'ISO camera setting'),
        ('FILTER', frame.filter, 'Filter used when taking image'),
        ('IMAGETYP', frame.kind, 'Type of image'),
        ('EGAIN', GAIN, 'Electronic gain in e-/ADU'),
        ('JD', round(2451545 + days, 8), 'Julian Date at start of exposure'),
        ('OBJCTRA', ra, 'Nominal Right Ascension of center of image'),
        ('OBJCTDEC', dec, 'Nominal Declination of center of image'),
        ('OBJECT', frame.target, 'Target object name'),
        ('TELESCOP', 'Synthetic 0.4m', 'Telescope used to acquire this image'),
        ('INSTRUME', 'Synthetic CCD', 'Instrument or camera used'),
        ('OBSERVER', '', ''),
        ('SWCREATE', 'MaxIm DL Version 6.16', 'Name of software'),
        ('PEDESTAL', 0, 'Correction to add for zero-based ADU'),
    ]
    given = {'FILTER': frame.filter, 'OBJCTRA': ra, 'OBJCTDEC': dec}
    return fits.Header([card for card in cards if given.get(card[0], True)])


def write_truth(folder: Path, camera: Camera, frames: list[Frame]) -> None:
    """What went into the frames: images, and levels in truth.json."""
    folder.mkdir(exist_ok=True)
    images = {'bias': camera.bias, 'dark_rate': camera.rate, 'dark_offset': camera.glow, 'nebula': camera.nebula}
    images |= {f'{band.lower()}_flat': flat for band, flat in camera.flats.items()}
    for name, image in images.items():
        fits.PrimaryHDU(image).writeto(folder / f'{name}.fit', overwrite=True)
    y, x = region(camera.shape)
    truth = {
        'size': [camera.shape[1], camera.shape[0]],
        'seed': camera.seed,
        'gain': GAIN,
        'read_noise': READ_NOISE,
        'psf_sigma': PSF_SIGMA,
        'bias_level': round(float(camera.bias.mean(dtype=float)), 3),
        'dark': {'offset': DARK_OFFSET, 'slope': DARK_SLOPE, 'bounds': [x.start, x.stop, y.start, y.stop]},
        'frames': [{'number': f.number, 'name': f.name, 'level': round(f.level, 3), 'odd': f.odd} for f in frames],
        'stars': {
            f'{target} {band}': np.round(camera.fluxes(target, band), 3).tolist() for target, band in camera.scenes
        },
    }
    (folder / 'truth.json').write_text(json.dumps(truth, indent=1) + '\n')


def size(text: str) -> tuple[int, int]:
    """Columns and rows of '1116x720'."""
    nx, _, ny = text.partition('x')
    if not (nx.isdecimal() and ny.isdecimal() and int(nx) >= 100 and int(ny) >= 80):
        raise argparse.ArgumentTypeError(f'{text!r} is not a size such as 1116x720, at least 100x80')
    return int(nx), int(ny)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('outdir', metavar='OUTDIR', type=Path)
    parser.add_argument('--size', metavar='NXxNY', type=size, default=SIZE, help='columns and rows (1116x720)')
    parser.add_argument('--seed', type=int, default=SEED, help=f'seed of all that is random ({SEED})')
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error('--seed must not be negative')
    frames = night()
    strange = {path.name for path in args.outdir.glob('*.fit')} - {frame.name for frame in frames}
    if strange:
        parser.error(f'{args.outdir} holds other FITS files, such as {min(strange)}')
    args.outdir.mkdir(parents=True, exist_ok=True)
    # Written last: a night without it is not complete.
    (args.outdir / 'truth/truth.json').unlink(missing_ok=True)
    camera = Camera(args.size[::-1], args.seed)

    def write(frame: Frame) -> None:
        image = fits.PrimaryHDU(camera.expose(frame), header(frame))
        image.writeto(args.outdir / frame.name, overwrite=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, frames))
    write_truth(args.outdir / 'truth', camera, frames)
    print(f'{len(frames)} frames of {args.size[0]} x {args.size[1]} pixels in {args.outdir}', file=sys.stderr)


if __name__ == '__main__':
    main()
