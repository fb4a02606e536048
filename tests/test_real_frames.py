"""Chains of commands on real frames, against plain numpy."""

import numpy as np
from astropy.io import fits

from fitsutils.commands import combine_fits, img_arith, img_log, img_rename, img_stats


def run(command, *words):
    assert command.main([str(word) for word in words]) == 0


def test_counts_of_darks_against_exposure_time(data, tmp_path, monkeypatch, capsys):
    folder = data / 'sbu_stl1001e'
    monkeypatch.chdir(tmp_path)
    run(combine_fits, folder / 'bias*.FIT', '-m', 'mean', '-o', 'mean_bias.fit')
    run(img_arith, folder / 'darks*.FIT', '-', 'mean_bias.fit', '--prefix', 'b_')
    capsys.readouterr()
    run(img_stats, 'b_*.FIT', '-b', 400, 600, 300, 700, '-s', 'mean,median', '-k', 'EXPTIME', '--format', 'tsv')
    rows = [line.split('\t') for line in capsys.readouterr().out.splitlines()[1:]]
    times, means = np.array([[float(row[1]), float(row[2])] for row in rows]).T
    assert sorted(times) == [10, 20, 30, 60, 150, 300]

    bias = np.mean([fits.getdata(path) for path in sorted(folder.glob('bias*.FIT'))], axis=0)
    plain = [(fits.getdata(path) - bias)[300:700, 400:600].mean() for path in sorted(folder.glob('darks*.FIT'))]
    np.testing.assert_allclose(sorted(means), sorted(plain), rtol=1e-6, atol=1e-4)
    slope, offset = np.polyfit(times, means, 1)
    assert 0.05 < slope < 2
    assert np.abs(means - (offset + slope * times)).max() < 0.1 * means.max()


def test_a_night_of_the_nickel_telescope(data, tmp_path, monkeypatch, capsys):
    """Renamed by time and type, listed, combined, subtracted and divided; the overscan stays in."""
    monkeypatch.chdir(tmp_path)
    run(img_rename, data / 'nickel_pluto' / '*' / '*.fits', '--link', tmp_path, '-o', 'n.', '-t', '.fits')
    names = capsys.readouterr().out.split()
    assert len(names) == 19
    run(img_log, 'n.*.fits', '-k', 'Filename,OBJECT,EXPTIME,FILTER', '--alias', '--format', 'tsv')
    rows = [line.split('\t') for line in capsys.readouterr().out.splitlines()[1:]]
    kinds = {'bias': [row[0] for row in rows if float(row[2]) == 0]}
    kinds['flat'] = [row[0] for row in rows if 'flat' in row[1]]
    kinds['pluto'] = [row[0] for row in rows if 'luto' in row[1]]
    assert [len(kinds[kind]) for kind in ('bias', 'flat', 'pluto')] == [3, 3, 10]

    run(combine_fits, *kinds['bias'], '-o', 'bias.fits')
    run(img_arith, *kinds['flat'], '-', 'bias.fits', '-o', 'b')
    run(combine_fits, 'b.*.fits', '-n', 'median', '-u', '--section', '[1:1000,1:1000]', '-o', 'flat.fits')
    run(img_arith, *kinds['pluto'], '-', 'bias.fits', '-o', 'b')
    run(img_arith, 'b.' + kinds['pluto'][0].split('.')[1] + '.fits', '/', 'flat.fits', '-o', 'done.fits')

    cube = {kind: np.array([fits.getdata(name) for name in paths], 'f8') for kind, paths in kinds.items()}
    bias = np.median(cube['bias'], axis=0)
    flats = cube['flat'] - bias
    levels = np.median(flats[:, :1000, :1000], axis=(1, 2))
    flat = np.median(flats * (levels[0] / levels)[:, None, None], axis=0)
    flat /= flat[:1000, :1000].mean()
    with np.errstate(divide='ignore', invalid='ignore'):
        wanted = np.where(flat == 0, np.nan, (cube['pluto'][0] - bias) / flat)
    found = fits.getdata('done.fits')
    lit = flat > 0.01  # elsewhere float32 rounding of a flat near 0 is magnified
    np.testing.assert_allclose(found[lit], wanted[lit], rtol=2e-6, atol=2e-6 * np.nanmax(wanted[lit]))
    assert fits.getheader('done.fits')['OBJECT'] == fits.getheader(kinds['pluto'][0])['OBJECT']
