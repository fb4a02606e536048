import numpy as np
import pytest

from fitsutils.pixels import noise


@pytest.mark.parametrize('dtype', ['f4', 'f8'])
def test_photons_and_readout(dtype):
    electrons = np.random.default_rng(1).normal(50, 60, (5, 7)).astype(dtype)
    electrons[2, 3] = np.nan
    found = noise.photon_and_read(electrons, 3.7)
    assert found.dtype == np.dtype(dtype)
    for value, sigma in zip(electrons.ravel().tolist(), found.ravel().tolist(), strict=True):
        if np.isnan(value):
            assert np.isnan(sigma)
        else:
            assert sigma == pytest.approx((max(value, 0) + 3.7**2) ** 0.5, rel=1e-6)


def test_each_amplifier_has_its_read_noise():
    places = [(slice(0, 4), slice(0, 2)), (slice(0, 4), slice(2, 5))]
    found = noise.of_amplifiers(np.full((3, 4, 5), 16.0), places, [3.0, 0.0])
    assert (found[..., :2] == 5).all()
    assert (found[..., 2:] == 4).all()
