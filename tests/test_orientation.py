import itertools

import numpy as np
import pytest

from fitsutils.pixels.orientation import turned

IMAGE = np.arange(2 * 3 * 5).reshape(2, 3, 5)


@pytest.mark.parametrize('flip', [None, 'x', 'y', 'both'])
@pytest.mark.parametrize('rotate', [None, 90, 180, 270])
def test_pixel_by_pixel(flip, rotate):
    """x to the right, y upwards; first mirrored, then turned counter-clockwise about the middle."""
    found = turned(IMAGE, flip, rotate)
    quarter = (rotate or 0) // 90
    ny, nx = (3, 5) if quarter % 2 == 0 else (5, 3)
    assert found.shape == (2, ny, nx)
    for plane, y, x in itertools.product(range(2), range(3), range(5)):
        right, up = x - 2.0, y - 1.0  # from the middle
        right *= -1 if flip in ('x', 'both') else 1
        up *= -1 if flip in ('y', 'both') else 1
        for _ in range(quarter):
            right, up = -up, right
        assert found[plane, int(up + (ny - 1) / 2), int(right + (nx - 1) / 2)] == IMAGE[plane, y, x]


def test_four_quarters_are_nothing():
    image = IMAGE
    for _ in range(4):
        image = turned(image, rotate=90)
    np.testing.assert_array_equal(image, IMAGE)
