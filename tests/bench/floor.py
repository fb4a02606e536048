"""The least that work on images takes: import astropy.io.fits, read every byte, write COUNT images of zeros.

python floor.py FOLDER COUNT SIZE FILE...
"""

import sys


def main(folder, count, size, *names):
    import numpy as np
    from astropy.io import fits

    for name in names:
        with open(name, 'rb') as file:
            file.read()
    for number in range(int(count)):
        fits.writeto(f'{folder}/{number:04d}.fits', np.zeros((int(size), int(size)), 'f4'))


if __name__ == '__main__':
    main(*sys.argv[1:])
