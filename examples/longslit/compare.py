#!/usr/bin/env python3
"""Truth against result: what the reduction of the synthetic long slit found, and what went into it.

  python compare.py night            # after reduce.sh night
  python compare.py night night/new  # products in another folder

A result must lie within its tolerance of the truth; for the default night the table must also be that of
expected.txt, up to the last digit. Otherwise the exit status is 1.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from agreement import differences

EXPECTED = Path(__file__).parent / 'expected.txt'
BESIDE = 7  # rows on either side of an arc's line


@dataclass(frozen=True)
class Row:
    """One line of the table; `digits` is how many decimals it shows."""

    name: str
    truth: float
    result: float
    tolerance: float
    digits: int

    @property
    def good(self) -> bool:
        """Whether the result lies within its tolerance; NaN does not."""
        return abs(self.result - self.truth) <= self.tolerance

    def __str__(self) -> str:
        numbers = [f'{value:11.{self.digits}f}' for value in (self.truth, self.result, self.tolerance)]
        return f'{self.name:32s}{"".join(numbers)}   {"ok" if self.good else "OUT OF TOLERANCE"}'


@dataclass(frozen=True)
class Night:
    """What the generator wrote, and where the products lie."""

    truth: dict
    lit: np.ndarray
    bad: np.ndarray
    flat: np.ndarray
    pattern: np.ndarray
    reduced: Path

    @classmethod
    def read(cls, night: Path, reduced: Path) -> 'Night':
        """Read the folder `truth` of a night."""
        images = {name: fits.getdata(night / f'truth/{name}.fits') for name in ('lit', 'bad', 'flat', 'pattern')}
        images |= {name: images[name] == 1 for name in ('lit', 'bad')}
        return cls(json.loads((night / 'truth/truth.json').read_text()), **images, reduced=reduced)

    @property
    def wider(self) -> float:
        """How much less certain a mean is than in the default night, which has more pixels."""
        return max(1.0, float(np.sqrt(240 * 600 / np.prod(self.truth['size']))))

    def image(self, name: str, hdu: str | int = 0) -> np.ndarray:
        """A product's pixels."""
        return fits.getdata(self.reduced / name, hdu).astype(float)


def table(night: Night) -> list[Row]:
    """What was measured, against the truth."""
    return overscan_rows(night) + bias_rows(night) + arc_rows(night) + flat_rows(night) + science_rows(night)


def overscan_rows(night: Night) -> list[Row]:
    """Levels of all frames, and the scatter of the overscans."""
    folders = {'bias': 'bias', 'arc': 'arcs', 'flat': 'flats', 'sci': 'science'}
    frames = [
        (f, fits.getheader(night.reduced / folders[f['name'].split('.')[0]] / f['name'])) for f in night.truth['frames']
    ]
    rows = []
    for number, side in enumerate(('left', 'right')):
        off = [header[f'OSLEV{number + 1}'] - frame['levels'][number] for frame, header in frames]
        scatter = np.mean([header[f'OSSIG{number + 1}'] for _, header in frames]) * night.truth['gains'][number]
        rows.append(Row(f'overscan {side}, largest error', 0, float(max(off, key=abs)), 0.4, 2))
        rows.append(Row(f'read noise {side}, electrons', night.truth['read_noises'][number], float(scatter), 0.25, 2))
    return rows


def bias_rows(night: Night) -> list[Row]:
    """The bias of each half: what is left of it once the overscan is off."""
    bias, half = night.image('master_bias.fits'), night.truth['size'][0] // 2
    rows = []
    for number, (side, part) in enumerate((('left', np.s_[:, :half]), ('right', np.s_[:, half:]))):
        true = night.pattern[part].astype(float) * night.truth['gains'][number]
        rows.append(Row(f'bias {side}, mean', float(true.mean()), float(bias[part].mean()), 0.15 * night.wider, 2))
    return rows


def arc_rows(night: Night) -> list[Row]:
    """Exposure time of the sum, and its lines in the middle of the slit, each divided by what it should be."""
    arc, truth = night.image('arc.fits') / night.flat, night.truth
    seconds = sum(frame['exptime'] for frame in truth['frames'] if frame['name'].startswith('arc'))
    columns = np.flatnonzero((night.lit & ~night.bad).all(axis=0) | (night.lit[0] & (night.bad.sum(axis=0) < 4)))
    ratios = []
    for row, flux in truth['lines']:
        near = slice(round(row) - BESIDE, round(row) + BESIDE + 1)
        good = columns[~night.bad[near][:, columns].any(axis=0)]
        found = arc[near][:, good].sum(axis=0) - (2 * BESIDE + 1) * truth['arc_glow'] * seconds * truth['norm']
        ratios.append(found.mean() / (flux * seconds * truth['norm']))
    return [
        Row('arc, seconds', seconds, float(fits.getheader(night.reduced / 'arc.fits')['EXPTIME']), 0, 1),
        Row('arc, lines', 1, float(np.mean(ratios)), 0.003 * night.wider, 4),
        Row('arc, lines, scatter', 0, float(np.std(ratios)), 0.005 * night.wider, 4),
    ]


def flat_rows(night: Night) -> list[Row]:
    """The response divided by what it should be: all of it, its first and its last rows; masks pixel by pixel."""
    lit, bad = night.image('response.fits', 'LIT') == 1, night.image('response.fits', 'BADPIX') == 1
    good = night.lit & lit & ~night.bad
    ratio = np.where(good, night.image('response.fits') / night.flat, np.nan)
    rows = [
        Row('response, pixels lit or not', 0, float((lit != night.lit).sum()), 0, 0),
        Row('response, rms', 0, float(np.nanstd(ratio)), 0.009, 4),
    ]
    for name, row in (('first', 0), ('second', 1), ('middle', ratio.shape[0] // 2), ('last but one', -2), ('last', -1)):
        rows.append(Row(f'response, {name} row', 1, float(np.nanmedian(ratio[row])), 0.005 * night.wider, 4))
    # A curve that is wrong over many rows shows in their means, whatever the noise of a pixel.
    means = np.nanmean(ratio, axis=1)
    rows.append(Row('response, row means, rms', 0, float(means.std()), 0.003 * night.wider, 4))
    return [
        *rows,
        Row('bad pixels, missed', 0, float((night.bad & ~bad).sum()), 0, 0),
        Row('bad pixels, false', 0, float((bad & ~night.bad).sum()), 0, 0),
    ]


def science_rows(night: Night) -> list[Row]:
    """The star's spectrum in electrons, the sky on either side of it, and the seam between the amplifiers."""
    rows = []
    for frame in night.truth['frames']:
        if frame['name'].startswith('sci'):
            rows += exposure_rows(night, frame)
    return rows


def exposure_rows(night: Night, frame: dict) -> list[Row]:
    """What one science frame says."""
    truth, name = night.truth, frame['name'].removesuffix('.fits')
    image = night.image(f'science_f/{frame["name"]}') / truth['norm']
    image[night.bad | ~night.lit] = np.nan
    x, trace = np.arange(image.shape[1]), np.array(truth['trace'])[:, None]
    distance = np.abs(x - trace)
    on_sky = distance > 5 * truth['star_sigma']
    sky = np.nanmean(np.where(on_sky, image, np.nan), axis=1)
    seconds = frame['exptime']
    star = star_spectrum(image - sky[:, None], distance, truth['star_sigma'])
    wanted = np.array(truth['star']) * seconds * frame['light']
    half = image.shape[1] // 2
    left, right = (np.nanmean(np.where(on_sky & side, image, np.nan), axis=1) for side in (x < half, x >= half))
    level = np.mean(truth['sky']) * seconds
    tolerance = 0.004 * night.wider
    noise = (image - sky[:, None]) * truth['norm'] / night.image(f'science_f/{frame["name"]}', 'UNCERT')
    spread = 0.7413 * np.subtract(*np.nanpercentile(noise[:, on_sky.all(axis=0)], (75, 25)))
    return [
        Row(f'{name}, star', 1, float(np.nansum(star) / wanted[np.isfinite(star)].sum()), tolerance, 4),
        Row(f'{name}, sky, electrons', level, float(np.mean(sky)), 1 + tolerance * level / 2, 2),
        Row(f'{name}, right less left', 0, float(np.mean(right - left)), 0.6 * night.wider, 2),
        Row(f'{name}, noise / UNCERT', 1, float(spread), 0.02 * night.wider, 3),
    ]


def star_spectrum(image: np.ndarray, distance: np.ndarray, sigma: float) -> np.ndarray:
    """Electrons of the star in each row, by the Gaussian that it is, so that bad pixels are no loss."""
    profile = np.exp(-0.5 * (distance / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    profile = np.where(np.isfinite(image) & (distance < 4 * sigma), profile, 0)
    return np.nansum(image * profile, axis=1) / (profile**2).sum(axis=1)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('night', metavar='DIR', type=Path, help='what make_night.py wrote')
    parser.add_argument('reduced', metavar='REDUCED', type=Path, nargs='?', help='the products (DIR/reduced)')
    args = parser.parse_args(argv)
    night = Night.read(args.night, args.reduced or args.night / 'reduced')
    rows = table(night)
    title = f'{night.truth["size"][0]} x {night.truth["size"][1]}, seed {night.truth["seed"]}'
    text = f'{title:32s}{"truth":>11s}{"result":>11s}{"tolerance":>11s}\n' + ''.join(f'{row}\n' for row in rows)
    sys.stdout.write(text)
    bad = sum(not row.good for row in rows)
    if bad:
        print(f'compare.py: {bad} of {len(rows)} numbers are out of tolerance', file=sys.stderr)
    expected = EXPECTED.read_text()
    strange = differences(text, expected) if expected.startswith(f'{title} ') else []
    for line in strange:
        print(f'compare.py: expected.txt has: {line}', file=sys.stderr)
    return 1 if bad or strange else 0


if __name__ == '__main__':
    raise SystemExit(main())
