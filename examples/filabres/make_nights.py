#!/usr/bin/env python3
"""Write two small synthetic nights of an instrument like CAFOS, whose truth is known.

Windows A and B of the detector, filters 9 and 11; biases, flats and science frames with the headers that CAFOS
writes. Some are not as they should be: a bias that says it is a science frame, a frame whose readout broke, a saturated
flat, a flat of negative level, a science frame without a bias of its signature. OUTDIR/truth holds what
went into them: truth.json and the images that masters must be. Equal seeds give equal bytes.

  python make_nights.py nights
  python make_nights.py small --chip 128 --seed 5
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from cafos import CHIP, FILTERS, GAIN, READ_NOISE, WINDOWS, Camera, Frame

SEED = 20170318
MINUTE = datetime.timedelta(minutes=1)
# Night, kind, window, filter, first start, minutes after it, exposure time, level of the bias.
CALIBRATIONS = (
    ('170318', 'bias', 'A', 'FILT- 9', '18T16:05:00', (0, 1.2, 2.4, 3.5, 4.7), 0, 680),
    ('170318', 'bias', 'B', 'FILT- 9', '18T16:20:00', (0, 1.3, 2.5, 3.8, 5.1), 0, 681),
    ('170318', 'flat', 'A', 'FILT- 9', '18T17:40:00', (0, 1.1, 2.2, 3.2, 4.3), 12, 680),
    ('170318', 'flat', 'B', 'FILT- 9', '18T17:50:00', (0, 1.1, 2.2, 3.4, 4.5), 12, 681),
    ('170318', 'flat', 'A', 'FILT-11', '18T18:02:00', (0, 1.1, 2.2, 3.2, 4.3, 5.4), 15, 680),
    # Five lie within an hour of the first one; the others are a group of their own, though no gap is that long.
    ('170318', 'bias', 'A', 'FILT- 9', '19T04:30:00', (0, 10, 25, 43, 59, 72, 76, 80), 0, 686),
    ('170319', 'bias', 'A', 'FILT- 9', '19T16:10:00', (0, 1.2, 2.4, 3.5, 4.7, 5.9, 7.1), 0, 692),
    ('170319', 'flat', 'A', 'FILT- 9', '19T17:30:00', (0, 1.1, 2.2, 3.2, 4.3, 5.4), 12, 692),
    ('170319', 'flat', 'B', 'FILT-11', '19T17:45:00', (0, 1.1, 2.2, 3.2, 4.3), 15, 681),
)
# Night, window, filter, start, exposure time, level of the bias, sky in counts, object.
SCIENCE = (
    ('170318', 'A', 'FILT- 9', '18T21:10:00', 120, 680, 900, 'M 67'),
    ('170318', 'B', 'FILT- 9', '18T22:30:00', 200, 681, 1500, 'NGC 3184'),
    ('170318', 'A', 'FILT- 9', '18T23:40:00', 300, 686, 2200, 'M 67'),
    ('170318', 'B', 'FILT-11', '19T02:10:00', 300, 681, 1300, 'NGC 3184'),
    ('170318', 'A', 'FILT-11', '19T03:00:00', 240, 686, 1100, 'M 67'),
    ('170318', 'A binned', 'FILT-11', '19T03:20:00', 60, 682, 500, 'M 67'),
    ('170318', 'A', 'FILT- 9', '19T05:55:00', 60, 686, 700, 'BD+33 2642'),
    ('170319', 'A', 'FILT- 9', '19T20:30:00', 120, 692, 950, 'M 67'),
    ('170319', 'A', 'FILT-11', '19T20:50:00', 240, 692, 1000, 'M 67'),
    ('170319', 'B', 'FILT- 9', '19T22:00:00', 200, 681, 1600, 'NGC 3184'),
    ('170319', 'B', 'FILT-11', '19T23:00:00', 300, 681, 1250, 'NGC 3184'),
)
ODD = {
    '18T18:04:12': 'dark', '19T03:20:00': 'no bias', '19T16:15:54': 'mistyped', '19T16:17:06': 'broken',
    '19T17:33:12': 'saturated',
}  # fmt: skip
DARK_LEVEL = -8.0  # counts of the flat of negative level
FLAT_LEVEL, FULL_LEVEL = 25000.0, 90000.0  # counts of the lamp in the middle of the field


def moment(text: str) -> datetime.datetime:
    """A start such as 18T16:05:00."""
    return datetime.datetime.fromisoformat(f'2017-03-{text}')


def nights(camera: Camera) -> list[Frame]:
    """The frames in their order in time; the lamp's current is not steady."""
    rng = np.random.default_rng([camera.seed, 3])
    odd = {moment(text): what for text, what in ODD.items()}
    frames = []
    for night, kind, window, name, first, minutes, exptime, bias in CALIBRATIONS:
        for start in (moment(first) + minute * MINUTE for minute in minutes):
            what = odd.get(start, '')
            light = {'dark': DARK_LEVEL, 'saturated': FULL_LEVEL}.get(what, FLAT_LEVEL * rng.uniform(0.7, 1.1))
            light = light if kind == 'flat' else 0.0
            frames.append(Frame(night, kind, window, name, start, float(exptime), float(bias), light, odd=what))
    for night, window, name, first, exptime, bias, sky, target in SCIENCE:
        start, stars = moment(first), field_of_stars(camera, window, rng)
        frames.append(Frame(night, 'science', window, name, start, float(exptime), float(bias), float(sky), target,
                            odd.get(start, ''), stars))  # fmt: skip
    return sorted(frames, key=lambda frame: frame.start)


def field_of_stars(camera: Camera, window: str, rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Places in the window, from 0, and counts of some stars apart from each other and from the edge of the light."""
    lit = np.pad(camera.lit(window.removesuffix(' binned')), 1)
    found: list[tuple[float, float, float]] = []
    for x, y in rng.uniform(0, 1, (400, 2)) * (lit.shape[1] - 2, lit.shape[0] - 2):
        near = lit[max(round(y) - 11, 0) : round(y) + 14, max(round(x) - 11, 0) : round(x) + 14]
        if near.shape == (25, 25) and near.all() and all(np.hypot(x - a, y - b) > 24 for a, b, _ in found):
            found.append((round(float(x), 2), round(float(y), 2), round(float(rng.uniform(2e4, 6e4)), 1)))
    return tuple(found[:6])


def header(frame: Frame, camera: Camera) -> fits.Header:
    """The cards that CAFOS writes, as far as anybody reads them here."""
    binning = 2 if frame.window.endswith('binned') else 1
    kind = 'science' if frame.odd == 'mistyped' else frame.kind
    return fits.Header(
        [
            ('INSTRUME', 'CAFOS 2.2', 'synthetic'),
            ('OBJECT', frame.target or frame.kind, 'what it shows'),
            ('IMAGETYP', kind, 'type of image'),
            ('DATE-OBS', frame.start.isoformat(), 'start of the exposure, UTC'),
            ('MJD-OBS', round(frame.mjd, 8), 'the same as MJD'),
            ('EXPTIME', frame.exptime, '[s] exposure time'),
            ('CCDNAME', 'SITE#1d_15', 'detector'),
            ('DATASEC', camera.section(frame.window), 'window of the detector'),
            ('CCDBINX', binning, 'binning in x'),
            ('CCDBINY', binning, 'binning in y'),
            ('INSGRID', 'GRISM-11', 'position of the grism wheel: none'),
            ('INSFLID', frame.filter, 'position of the filter wheel'),
            ('INSPOFPI', 'OPEN', 'no Wollaston prism'),
        ]
    )


def groups(frames: list[Frame]) -> list[dict]:
    """Calibrations that belong together: an entry of CALIBRATIONS each, cut an hour after its first frame."""
    found = []
    for night, kind, window, name, first, minutes, *_ in CALIBRATIONS:
        for part in ([m for m in minutes if m < 60], [m for m in minutes if m >= 60]):
            starts = [moment(first) + minute * MINUTE for minute in part]
            members = [f for f in frames if f.start in starts and f.odd not in ('broken', 'saturated')]
            used = [f for f in members if f.odd != 'dark']
            if members:
                mjd = float(np.mean([f.mjd for f in used]))
                found.append({'night': night, 'kind': kind, 'window': window, 'filter': name, 'dust': members[0].dust,
                              'mjd': mjd, 'first': members[0].mjd, 'level': members[0].bias,
                              'members': [f.name for f in members], 'used': [f.name for f in used]})  # fmt: skip
    return found


def nearest(frame: dict | Frame, found: list[dict], **signature: str) -> int | None:
    """Number of the group of a signature that is nearest in time to a frame or a group."""
    mjd = frame['mjd'] if isinstance(frame, dict) else frame.mjd
    fits_it = [n for n, each in enumerate(found) if all(each[key] == value for key, value in signature.items())]
    return min(fits_it, key=lambda number: abs(found[number]['mjd'] - mjd), default=None)


def truth_of(camera: Camera, frames: list[Frame]) -> dict:
    """What truth.json says."""
    found, science = groups(frames), [frame for frame in frames if frame.kind == 'science']
    for group in found:
        group['its_bias'] = nearest(group, found, kind='bias', window=group['window'])
    return {
        'chip': camera.chip,
        'seed': camera.seed,
        'gain': GAIN,
        'read_noise': READ_NOISE,
        'odd': {frame.odd: frame.name for frame in frames if frame.odd},
        'groups': found,
        'science': [
            {
                'name': f.name, 'window': f.window, 'filter': f.filter, 'mjd': f.mjd, 'dust': f.dust, 'sky': f.light,
                'its_bias': nearest(f, found, kind='bias', window=f.window),
                'its_flat': nearest(f, found, kind='flat', window=f.window, filter=f.filter),
                'stars': f.stars,
            }
            for f in science
        ],
    }  # fmt: skip


def write_truth(folder: Path, camera: Camera, frames: list[Frame]) -> None:
    """What went into the frames: images, and truth.json at the end, without which a set is not complete."""
    folder.mkdir(exist_ok=True)

    def write(name: str, image: np.ndarray) -> None:
        fits.PrimaryHDU(image).writeto(folder / f'{name}.fits', overwrite=True)

    for window in (name for name in WINDOWS if not name.endswith('binned')):
        write(f'lit_{window}', camera.lit(window).astype('u1'))
        write(f'bias_{window}', camera.bias(window, 0).astype('f4'))
        for name in FILTERS:
            for dust in (0, 1):
                response = camera.part(camera.response(name, dust), window).astype('f4')
                write(f'response_{window}_{name.replace(" ", "")}_{dust}', response)
    (folder / 'truth.json').write_text(json.dumps(truth_of(camera, frames), indent=1) + '\n')


def chip(text: str) -> int:
    """Columns of the detector."""
    if not (text.isdecimal() and 128 <= int(text) <= 2048):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of columns from 128 to 2048')
    return int(text)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('outdir', metavar='OUTDIR', type=Path)
    parser.add_argument(
        '--chip', metavar='N', type=chip, default=CHIP, help=f'columns and rows of the detector ({CHIP})'
    )
    parser.add_argument('--seed', type=int, default=SEED, help=f'seed of all that is random ({SEED})')
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error('--seed must not be negative')
    camera = Camera(args.chip, args.seed)
    frames = nights(camera)
    found = {str(path.relative_to(args.outdir)) for path in args.outdir.glob('*/*.fits') if path.parent.name != 'truth'}
    if strange := found - {frame.name for frame in frames}:
        parser.error(f'{args.outdir} holds other FITS files, such as {min(strange)}')
    for night in {frame.night for frame in frames}:
        (args.outdir / night).mkdir(parents=True, exist_ok=True)
    (args.outdir / 'truth/truth.json').unlink(missing_ok=True)
    for number, frame in enumerate(frames):
        fits.PrimaryHDU(camera.expose(frame, number), header(frame, camera)).writeto(
            args.outdir / frame.name, overwrite=True
        )
    write_truth(args.outdir / 'truth', camera, frames)
    print(f'{len(frames)} frames of two nights in {args.outdir}', file=sys.stderr)


if __name__ == '__main__':
    main()
