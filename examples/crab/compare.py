#!/usr/bin/env python3
"""Truth against result: a table of what the reduction of a synthetic night found and what went into it.

  python compare.py night            # after reduce.sh night
  python compare.py night night/made # products in another folder

A result must lie within its tolerance of the truth; for the default night the table must also be that of
expected.txt, up to the last digit. Otherwise the exit status is 1.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from agreement import differences

EXPECTED = Path(__file__).parent / 'expected.txt'
# What step 12 makes: the target, and by filter the exposure time and the numbers of the frames that go into it.
PRODUCTS = {
    'cluster': (
        'M 35',
        {'Lumin': (60, 62, 63, 64), 'Red': (60, 65, 66, 67), 'Green': (60, 68, 69, 70), 'Blue': (60, 71, 72, 73)},
    ),
    'crab': (
        'M 1',
        {'Lumin': (120, 74, 78, 82), 'Red': (180, 75, 79, 83), 'Green': (180, 76, 80, 84), 'Blue': (180, 77, 81, 85)},
    ),
}
APERTURE, ANNULUS = 7, (9, 13)  # pixels
SCATTER = 0.03  # of star fluxes


@dataclass(frozen=True)
class Row:
    """One line of the table; `digits` is how many decimals it shows."""

    name: str
    truth: float
    result: float
    tolerance: float
    digits: int
    scatter: float | None = None

    @property
    def good(self) -> bool:
        """Whether the result lies within its tolerance, and its scatter too; NaN does not."""
        return abs(self.result - self.truth) <= self.tolerance and (self.scatter is None or self.scatter <= SCATTER)

    def __str__(self) -> str:
        numbers = [f'{value:11.{self.digits}f}' for value in (self.truth, self.result, self.tolerance)]
        scatter = '' if self.scatter is None else f'   scatter {self.scatter:.4f}'
        return f'{self.name:24s}{"".join(numbers)}   {"ok" if self.good else "OUT OF TOLERANCE"}{scatter}'


def table(night: Path, reduced: Path) -> list[Row]:
    """What was measured, against the truth."""
    truth = json.loads((night / 'truth/truth.json').read_text())
    # The tolerances are the default night's: with fewer pixels and stars a mean is less certain.
    wider = max(1.0, float(np.sqrt(1116 * 720 / np.prod(truth['size']))))
    stars, sky = star_rows(night, reduced, truth, wider)
    return level_rows(reduced, truth, wider) + flat_rows(night, reduced) + stars + sky


def level_rows(reduced: Path, truth: dict, wider: float) -> list[Row]:
    """The bias level, and the line that dark counts follow with time."""
    fit = dict(re.findall(r'(Offset|Slope) *= *(\S+)', (reduced / 'dark_fit.log').read_text()))
    bias = fits.getdata(reduced / 'mean_bias.fit').mean(dtype=float)
    return [
        Row('bias level', truth['bias_level'], bias, 0.02 * wider, 3),
        Row('dark offset', truth['dark']['offset'], float(fit['Offset']), 0.2 * wider, 3),
        Row('dark slope', truth['dark']['slope'], float(fit['Slope']), 0.002 * wider, 3),
    ]


def flat_rows(night: Path, reduced: Path) -> list[Row]:
    """Rms of each flat divided by what it should be."""
    ratios = {
        path: fits.getdata(reduced / path.name) / fits.getdata(path) for path in (night / 'truth').glob('*_flat.fit')
    }
    return [Row(f'{path.stem}, rms', 0, ratios[path].std(dtype=float), 0.006, 4) for path in sorted(ratios)]


def star_rows(night: Path, reduced: Path, truth: dict, wider: float) -> tuple[list[Row], list[Row]]:
    """Star fluxes, each divided by its true one, and the sky's level, away from the nebula."""
    stars, sky = [], []
    dark = fits.getdata(night / 'truth/nebula.fit') < 0.001
    for product, (target, bands) in PRODUCTS.items():
        for band, (exptime, *numbers) in bands.items():
            name = f'{product}_{band.lower()}'
            image = fits.getdata(reduced / f'{name}.fit').astype(float)
            where = dark if product == 'crab' else np.ones_like(dark)
            ratios = flux_ratios(image, truth['stars'][f'{target} {band}'], exptime, where)
            middle = float(np.median(ratios))
            scatter = 1.4826 * float(np.median(abs(ratios - middle)))
            stars.append(Row(f'{name}, stars', 1, middle, 0.01 * wider, 4, scatter))
            level = float(np.mean([truth['frames'][number - 1]['level'] for number in numbers]))
            sky.append(Row(f'{name}, sky', level, float(np.median(image[where])), 0.002 * wider * level, 2))
    return stars, sky


def flux_ratios(image: np.ndarray, stars: list[list[float]], exptime: float, where: np.ndarray) -> np.ndarray:
    """Aperture photometry of the brightest stars, divided by their true counts."""
    chosen = [star for star in stars if where[round(star[1]), round(star[0])]]
    chosen = sorted(chosen, key=lambda star: -star[2])[:12]
    return np.array([aperture_sum(image, x, y) / (flux * exptime) for x, y, flux in chosen])


def aperture_sum(image: np.ndarray, x: float, y: float) -> float:
    """Counts above the median of the annulus around a star."""
    half = ANNULUS[1] + 1
    top, left = max(int(y) - half, 0), max(int(x) - half, 0)
    part = image[top : int(y) + half + 2, left : int(x) + half + 2]
    distance = np.hypot(*np.ogrid[top - y : top - y + part.shape[0] - 0.5, left - x : left - x + part.shape[1] - 0.5])
    background = np.median(part[(distance > ANNULUS[0]) & (distance < ANNULUS[1])])
    return float((part[distance <= APERTURE] - background).sum())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('night', metavar='DIR', type=Path, help='what make_night.py wrote')
    parser.add_argument('reduced', metavar='REDUCED', type=Path, nargs='?', help='the products (DIR/reduced)')
    args = parser.parse_args(argv)
    rows = table(args.night, args.reduced or args.night / 'reduced')
    truth = json.loads((args.night / 'truth/truth.json').read_text())
    title = f'{truth["size"][0]} x {truth["size"][1]}, seed {truth["seed"]}'
    text = f'{title:24s}{"truth":>11s}{"result":>11s}{"tolerance":>11s}\n' + ''.join(f'{row}\n' for row in rows)
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
