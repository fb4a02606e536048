"""How far a peer's results are from ours: a benchmark of different work is worthless.

    python compare.py images|stats|log OURS PEER COUNT UNIT

OURS and PEER are the folders of two jobs, COUNT the number of files worked on; the peer's pixels times UNIT are ours.
Prints one line.
"""

import math
import sys
from pathlib import Path


def pixels(path):
    from astropy.io import fits

    with fits.open(path) as hdus:
        return next(hdu.data for hdu in hdus if hdu.data is not None).astype('f8')


def image_difference(ours, peer, unit):
    """The largest difference of two images, and of how many pixels it is more than rounding to float32 explains."""
    import numpy as np

    first, second = pixels(ours), pixels(peer) * unit
    apart = np.where(np.isnan(first) & np.isnan(second), 0, np.abs(first - second))
    return apart.max(), int((~(apart <= 1e-5 * np.abs(first) + 1e-3)).sum()), first.size


def images(ours, peer, count, unit):
    pairs = zip(sorted(ours.glob('*.fits')), sorted(peer.glob('*.fits')), strict=True)
    found = [image_difference(*pair, unit) for pair in pairs]
    largest, beyond, size = max(row[0] for row in found), sum(row[1] for row in found), sum(row[2] for row in found)
    return f'{largest:.2g}' + (f'; {100 * beyond / size:.2g} % of the pixels beyond rounding' if beyond else '')


def rows(folder, count, width):
    """The last words of the last lines: headings come first, names of files before the values."""
    lines = [line for line in (folder / 'stdout').read_text().splitlines() if line.strip()]
    return [line.split()[-width:] for line in lines[-count:]]


def stats(ours, peer, count, unit):
    """Largest relative difference of mean, median and standard deviation."""
    pairs = list(zip(rows(ours, count, 4), rows(peer, count, 4), strict=True))
    names = dict(mean=1, median=2, std=3)
    worst = {
        name: max(abs(float(first[at]) / float(second[at]) - 1) for first, second in pairs)
        for name, at in names.items()
    }
    return 'relative: ' + ', '.join(f'{name} {value:.1g}' for name, value in worst.items())


def same(first, second):
    """Whether two words are one value; the tools print numbers with more or fewer digits."""
    try:
        return math.isclose(float(first), float(second), rel_tol=1e-6)
    except ValueError:
        return first == second


def log(ours, peer, count, unit):
    pairs = zip(rows(ours, count, 5), rows(peer, count, 5), strict=True)
    differ = sum(not same(*words) for pair in pairs for words in zip(*pair, strict=True))
    return f'{differ} values differ'


def main(kind, ours, peer, count, unit):
    print(globals()[kind](Path(ours), Path(peer), int(count), float(unit)))


if __name__ == '__main__':
    main(*sys.argv[1:])
