"""Write a stack of frames; in a process of its own, for a child is charged with the memory its parent had.

    python stacks.py FOLDER COUNT SIZE uint16|float32

A sky whose level rises by 1 % a frame (twenty steps, then again), its noise, and one pixel in 2000 hit by a cosmic ray.
"""

import sys
from pathlib import Path


def header(number):
    """A plain camera's header: what a log asks for among cards that it does not."""
    from astropy.io import fits

    cards = {
        'OBJECT': f'NGC{7000 + number}',
        'IMAGETYP': 'LIGHT',
        'EXPTIME': 60.0,
        'FILTER': 'V',
        'AIRMASS': 1 + number / 1000,
        'DATE-OBS': f'2024-03-09T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}',
    }
    return fits.Header({**cards, **{f'CAMERA{index}': index / 8 for index in range(24)}})


def frame(rng, number, size, dtype):
    import numpy as np

    level = 1000 * (1 + 0.01 * (number % 20))
    pixels = rng.standard_normal((size, size), dtype='f4') * (level + 25) ** 0.5 + level
    hits = rng.integers(0, size * size, size * size // 2000)
    pixels.ravel()[hits] += rng.uniform(200, 20000, hits.size)
    return pixels.astype('f4') if dtype == 'float32' else np.clip(np.rint(pixels), 0, 65535).astype(dtype)


def main(folder, count, size, dtype):
    import numpy as np
    from astropy.io import fits

    rng = np.random.default_rng(7)
    Path(folder).mkdir()
    for number in range(int(count)):
        fits.writeto(f'{folder}/p.{number:04d}.fits', frame(rng, number, int(size), dtype), header(number))


if __name__ == '__main__':
    main(*sys.argv[1:])
