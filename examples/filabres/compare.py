#!/usr/bin/env python3
"""Truth against result: what the reduction of the two synthetic nights found, and what went into them.

  python compare.py nights                # after reduce.sh nights, or make
  python compare.py nights nights/other   # products in another folder

A result must lie within its tolerance of the truth; for the default nights the table must also be that of
expected.txt, up to the last digit. Otherwise the exit status is 1.
"""

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from agreement import differences

EXPECTED = Path(__file__).parent / 'expected.txt'
APERTURE, ANNULUS = 6, (7, 11)  # pixels
QUALITY = {'QUANT025': 2.5, 'QUANT500': 50, 'QUANT975': 97.5}
SECOND = 1 / 86400


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
        return f'{self.name:44s}{"".join(numbers)}   {"ok" if self.good else "OUT OF TOLERANCE"}'


class Nights:
    """What the generator wrote, and where the products lie."""

    def __init__(self, nights: Path, made: Path) -> None:
        self.folder, self.made = nights, made
        self.truth = json.loads((nights / 'truth/truth.json').read_text())
        self.groups = self.truth['groups']

    @property
    def wider(self) -> float:
        """How much less certain a mean is than in the default nights, which have more pixels."""
        return max(1.0, 256 / self.truth['chip'])

    def true(self, name: str) -> np.ndarray:
        """An image of the folder `truth`."""
        return fits.getdata(self.folder / f'truth/{name}.fits').astype(float)

    def path(self, group: dict) -> Path:
        """The master of a group, which is named after its first frame."""
        return self.made / group['kind'] / Path(group['members'][0]).name

    def response(self, window: str, filter_name: str, dust: int) -> np.ndarray:
        """What a flat should be, up to a factor; NaN where no light is."""
        lit = self.true(f'lit_{window}') == 1
        return np.where(lit, self.true(f'response_{window}_{filter_name.replace(" ", "")}_{dust}'), np.nan)


def image(path: Path) -> np.ndarray:
    """A product's pixels."""
    return fits.getdata(path).astype(float)


def table(nights: Nights) -> list[Row]:
    """What was measured, against the truth."""
    return [*group_rows(nights), *bias_rows(nights), *flat_rows(nights), *match_rows(nights), *science_rows(nights),
            *quality_rows(nights)]  # fmt: skip


def inputs(path: Path) -> set[str]:
    """Names of the frames that a master was made of."""
    header = fits.getheader(path)
    return {header[f'IMCMB{number:03d}'] for number in range(1, header['NCOMBINE'] + 1)}


def group_rows(nights: Nights) -> list[Row]:
    """Masters, and which of them are made of the right frames."""
    rows = []
    for kind in ('bias', 'flat'):
        groups = [group for group in nights.groups if group['kind'] == kind]
        right = [inputs(nights.path(group)) == {Path(name).name for name in group['used']} for group in groups]
        rows.append(Row(f'{kind} masters', len(groups), len(list((nights.made / kind).glob('*.fits'))), 0, 0))
        rows.append(Row(f'{kind} masters of the right frames', len(groups), sum(right), 0, 0))
    dark = next(group for group in nights.groups if nights.truth['odd']['dark'] in group['members'])
    return [*rows, Row('flats without light, left out', 1, fits.getheader(nights.path(dark)).get('NSKIPPED', 0), 0, 0)]


def bias_rows(nights: Nights) -> list[Row]:
    """Level of each master bias, and how far its pixels are off."""
    rows = []
    for group in (group for group in nights.groups if group['kind'] == 'bias'):
        off = image(nights.path(group)) - nights.true(f'bias_{group["window"]}')
        name = nights.path(group).stem[4:-4]
        rows.append(Row(f'bias {name}, level', group['level'], float(off.mean()), 0.05 * nights.wider, 2))
        # The median of n frames that were rounded to whole counts.
        noise = np.hypot(nights.truth['read_noise'] / nights.truth['gain'], 12**-0.5)
        rows.append(
            Row(f'bias {name}, noise', float(noise), float(off.std()) * len(group['used']) ** 0.5 / 1.2, 0.25, 2)
        )
    return rows


def flat_rows(nights: Nights) -> list[Row]:
    """Each master flat divided by what it should be, and its mask of what sees no light."""
    rows = []
    for group in (group for group in nights.groups if group['kind'] == 'flat'):
        flat, name = image(nights.path(group)), nights.path(group).stem[4:-4]
        ratio = flat / nights.response(group['window'], group['filter'], group['dust'])
        unlit = image(nights.made / 'masks' / nights.path(group).name) == 1
        lit = nights.true(f'lit_{group["window"]}') == 1
        wrong = int((~lit & ~unlit).sum() + (np.isfinite(flat) & unlit).sum())
        share = float((lit & ~unlit).sum() / lit.sum())
        rows += [
            Row(f'flat {name}, rms', 0, float(np.nanstd(ratio) / np.nanmean(ratio)), 0.006, 4),
            Row(f'flat {name}, median', 1, float(np.nanmedian(flat)), 0.001, 4),
            Row(f'flat {name}, unlit pixels used', 0, wrong, 0, 0),
            Row(f'flat {name}, share of lit ones used', share_used(lit), share, 0.02, 3),
        ]
    return rows


def share_used(lit: np.ndarray, grow: int = 12) -> float:
    """Share of the lit pixels that lie more than so many pixels from unlit ones."""
    y, x = np.nonzero(~lit)
    inside = np.pad(lit, 1, constant_values=True)
    edge = np.array([(b, a) for b, a in zip(y, x, strict=True) if inside[b : b + 3, a : a + 3].any()])
    far = [np.hypot(edge[:, 0] - b, edge[:, 1] - a).min() > grow for b, a in zip(*np.nonzero(lit), strict=True)]
    return float(np.mean(far))


def match_rows(nights: Nights) -> list[Row]:
    """Which frames got the right masters, and what their headers say about the days between them."""
    frames = [frame for frame in nights.truth['science'] if frame['its_bias'] is not None]
    flats = [group for group in nights.groups if group['kind'] == 'flat']
    right, off = {'BIAS': 0, 'FLAT': 0}, []
    for frame in frames:
        header = fits.getheader(nights.made / 'science' / Path(frame['name']).name)
        for kind in right:
            master = nights.groups[frame[f'its_{kind.lower()}']]
            right[kind] += header[f'{kind}FILE'] == nights.path(master).name
            off.append(header[f'{kind}DMJD'] - (master['mjd'] - frame['mjd']))
    headers = [fits.getheader(nights.path(group)) for group in flats]
    biases = [nights.groups[group['its_bias']] for group in flats]
    names = [header['BIASFILE'] == nights.path(bias).name for header, bias in zip(headers, biases, strict=True)]
    done = {path.name for path in (nights.made / 'science').glob('*.fits')}
    return [
        Row('flats with the nearest bias', len(flats), sum(names), 0, 0),
        Row('science frames', len(frames), len(done), 0, 0),
        Row('science frames with the nearest bias', len(frames), right['BIAS'], 0, 0),
        Row('science frames with the nearest flat', len(frames), right['FLAT'], 0, 0),
        Row('days to the master, largest error', 0, float(max(off, key=abs)), SECOND, 5),
        Row('frames without a bias, reduced', 0, Path(nights.truth['odd']['no bias']).name in done, 0, 0),
    ]


def science_rows(nights: Nights) -> list[Row]:
    """The sky of each science frame, and its stars, each divided by what it should be."""
    rows = []
    for frame in nights.truth['science']:
        if frame['its_flat'] is None:
            continue
        flat = nights.groups[frame['its_flat']]
        path = nights.made / 'science' / Path(frame['name']).name
        shown, name = image(path), path.stem[4:-4]
        divided_by = nights.response(flat['window'], flat['filter'], flat['dust'])
        # Dust that has moved since the flat was taken is in the image for good.
        moved = nights.response(frame['window'], frame['filter'], frame['dust']) / divided_by
        counts = shown / (float(np.nanmedian(np.where(np.isfinite(shown), divided_by, np.nan))) * moved)
        fluxes = np.array([aperture_sum(counts, x, y) / flux for x, y, flux in frame['stars']])
        sky, found = frame['sky'], float(np.nanmedian(counts[far_from_stars(counts.shape, frame['stars'])]))
        rows.append(Row(f'{name}, sky', sky, found, 0.0015 * nights.wider * sky, 2))
        rows.append(Row(f'{name}, stars', 1, float(np.nanmedian(fluxes)), 0.02 * nights.wider, 4))
    return rows


def far_from_stars(shape: tuple[int, int], stars: list[list[float]]) -> np.ndarray:
    """The pixels beyond all annuli."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.all([np.hypot(rows - y, columns - x) > ANNULUS[1] for x, y, _ in stars], axis=0)


def aperture_sum(counts: np.ndarray, x: float, y: float) -> float:
    """Counts above the median of the annulus around a star; NaN where its surroundings are not whole."""
    rows, columns = np.mgrid[: counts.shape[0], : counts.shape[1]]
    distance = np.hypot(rows - y, columns - x)
    background = np.median(counts[(distance > ANNULUS[0]) & (distance < ANNULUS[1])])
    return float((counts[distance <= APERTURE] - background).sum())


def quality_rows(nights: Nights) -> list[Row]:
    """What the table of products says, against their pixels."""
    with (nights.made / 'products.tsv').open() as file:
        found = list(csv.DictReader(file, delimiter='\t'))
    off = []
    for product in found:
        pixels = image(nights.made.joinpath(*Path(product['Filename']).parts[-2:]))
        good = pixels[np.isfinite(pixels)]
        off += [float(product[name]) / np.percentile(good, percent) - 1 for name, percent in QUALITY.items()]
        off.append(float(product['ROBUSTSD']) / (0.7413 * np.subtract(*np.percentile(good, (75, 25)))) - 1)
        off.append(int(product['NPOINTS']) - good.size)
    return [
        Row('products in the table', len(nights.groups) + len(nights.truth['science']) - 1, len(found), 0, 0),
        Row('their quality, largest error', 0, float(max(off, key=abs)), 1e-6, 6),
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('nights', metavar='DIR', type=Path, help='what make_nights.py wrote')
    parser.add_argument('made', metavar='MADE', type=Path, nargs='?', help='the products (DIR/made)')
    args = parser.parse_args(argv)
    nights = Nights(args.nights, args.made or args.nights / 'made')
    rows = table(nights)
    title = f'chip {nights.truth["chip"]}, seed {nights.truth["seed"]}'
    text = f'{title:44s}{"truth":>11s}{"result":>11s}{"tolerance":>11s}\n' + ''.join(f'{row}\n' for row in rows)
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
