"""display_fits: what it shows, names, refusals, and what happens where something is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from fitsutils.commands import display_fits
from fitsutils.plots import painting

NY, NX = 40, 60


def sky(x, y, *, seed=3):
    """A sky of 100 +- 5 with a star at 1-based x, y."""
    rows, columns = np.mgrid[1 : NY + 1, 1 : NX + 1]
    star = 3000 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    return (np.random.default_rng(seed).normal(100, 5, (NY, NX)) + star).astype('f4')


@pytest.fixture
def night(tmp_path, monkeypatch, make_image):
    """Two images, a cube of five planes, a cube of three, in the current folder."""
    monkeypatch.chdir(tmp_path)
    make_image('n.0001.fit', sky(45, 12), OBJECT='M 1', FILTER='V', EXPTIME=30.0, BUNIT='adu')
    make_image('n.0002.fit', sky(20, 30), OBJECT='M 2')
    make_image('cube.fits', np.stack([sky(10 * k + 5, 20) for k in range(5)]), OBJECT='comet')
    make_image('rgb.fits', np.stack([sky(15, 10), sky(30, 20), sky(45, 30)]))
    return tmp_path


@pytest.fixture
def run(capsys):
    """A function that runs the command; gives what it wrote to standard output, and to standard error."""

    def call(*words, status=0):
        assert display_fits.main([str(word) for word in words]) == status
        captured = capsys.readouterr()
        return captured.out.splitlines(), captured.err.splitlines()

    return call


def picture(path):
    return matplotlib.image.imread(path)[..., :3]


@pytest.fixture
def drawn(monkeypatch):
    """What display_fits hands to plots.image.draw, and what that gives: (frame, style, drawn)."""
    found = []
    draw = display_fits.plots.image.draw

    def noting(figure, frame, style, *rest):
        found.append((frame, style, draw(figure, frame, style, *rest)))
        return found[-1][2]

    monkeypatch.setattr(display_fits.plots.image, 'draw', noting)
    return found


@pytest.fixture
def planned(monkeypatch):
    """What display_fits asks plots.view for: (frames, style), without a picture being made."""
    found = []
    monkeypatch.setattr(
        display_fits.plots.view, 'picture', lambda frames, style, kind: found.append((frames, style)) or b'picture'
    )
    return found


@pytest.fixture
def quick(monkeypatch):
    """Pictures of no interest."""
    for name in ('picture', 'contact_sheet', 'film'):
        monkeypatch.setattr(display_fits.plots.view, name, lambda *_, **__: b'picture')


def inside(path, drawn):
    """The part of a picture that shows the image, the first row below."""
    found = picture(path)
    height, width = found.shape[:2]
    place = drawn.axes.get_position()
    columns = slice(round(width * place.x0), round(width * place.x1))
    return found[round(height * (1 - place.y1)) : round(height * (1 - place.y0)), columns][::-1]


def star(path, drawn):
    """1-based x, y of the dark spot in the picture of an image of 60 x 40."""
    found = inside(path, drawn).mean(axis=2)
    zoom = found.shape[1] // NX
    rows, columns = np.nonzero(found[3:-3, 3:-3] < 0.05)
    return (np.median(columns) + 3.5) / zoom + 0.5, (np.median(rows) + 3.5) / zoom + 0.5


def test_one_picture(night, run, drawn):
    out, err = run('n.0001.fit', '-o', 'a.png', '--size', 240)
    assert (out, err) == (['a.png'], [])
    assert star('a.png', drawn[0][2]) == (pytest.approx(45, abs=0.5), pytest.approx(12, abs=0.5))


def test_grey_and_inverted_grey_are_each_others_negative(night, run, drawn):
    for name in ('inv', 'non', 'viridis'):
        run('n.0001.fit', '-o', f'{name}.png', '--size', 240, '-s', '-', '-c', name)
    inverted, plain, coloured = (inside(f'{each[1].colours}.png', each[2])[3:-3, 3:-3] for each in drawn)
    np.testing.assert_allclose(inverted + plain, 1, atol=0.01)
    assert np.ptp(plain, axis=2).max() < 0.01
    assert np.ptp(coloured, axis=2).max() > 0.3


def test_the_axes_count_from_one_in_the_whole_image(night, run, drawn):
    for words in (('-b', 30, 50, 5, 25), ('--section', '[31:50,6:25]')):
        run('n.0001.fit', '-o', 'part.png', '--size', 100, '-f', *words)
    run('n.0001.fit[31:50,6:25]', '-o', 'part.png', '--size', 100, '-f')
    run('cube.fits', '-B', 30, 50, 5, 25, 2, 3, '-o', 'part.png', '--size', 100, '-f')
    assert [each[2].extent for each in drawn] == [(30.5, 50.5, 5.5, 25.5)] * 4
    place = np.unravel_index(np.nanargmax(drawn[0][2].pixels[0]), (20, 20))
    assert (place[1] + 31, place[0] + 6) == (45, 12)


LIMITS = [
    (['-m', '-5', '1e2'], (-5, 100), 'limits given'),
    (['-m', '-1e3', '-1e-3'], (-1000, -0.001), 'limits given'),
    (['-l', 'minmax'], None, 'minmax'),
    (['-r', '2.5'], 'rms', 'average ± 2.5 rms'),
    (['-l', 'zscale', '-r', '2.5'], 'rms', 'average ± 2.5 rms'),
    (['-l', 'zscale'], 'zscale', 'zscale'),
    ([], 'zscale', 'zscale'),
]


@pytest.mark.parametrize(('words', 'wanted', 'note'), LIMITS)
def test_limits(night, run, planned, words, wanted, note):
    run('n.0001.fit', *words, '-o', 'a.png', '--stretch', 'asinh')
    (frame,), style = planned[0]
    pixels = sky(45, 12)
    if wanted is None:
        wanted = (pixels.min(), pixels.max())
    elif wanted == 'rms':
        mean, rms = pixels.mean(dtype='f8'), pixels.std(dtype='f8')
        wanted = (mean - 2.5 * rms, mean + 2.5 * rms)
    elif wanted == 'zscale':
        from astropy.visualization import ZScaleInterval

        wanted = ZScaleInterval().get_limits(pixels)
    assert frame.limits[0] == pytest.approx(wanted, rel=1e-6)
    assert (style.note, style.stretch) == (note, 'asinh')


@pytest.mark.parametrize(
    ('words', 'wanted'),
    [([], True), (['-s', '+'], True), (['-s', '-'], False), (['-s-'], False), (['--sums=-'], False)],
)
def test_marginal_sums_can_be_turned_off(night, run, planned, words, wanted):
    run('n.0001.fit', '-o', 'a.png', *words)
    assert planned[0][1].marginals == wanted


def test_y_stretch(night, run, drawn):
    for number in (1, 2):
        run('n.0001.fit', '-o', f'{number}.png', '--size', 120, '-y', number)
    assert inside('1.png', drawn[0][2]).shape == (80, 120, 3)
    assert inside('2.png', drawn[1][2]).shape == (160, 120, 3)


def test_red_green_blue(night, run):
    run('rgb.fits', '-R', '+', '-o', 'rgb.png', '--size', 240, '-s', '-')
    image = picture('rgb.png')
    for channel, others in ((0, [1, 2]), (1, [0, 2]), (2, [0, 1])):
        pure = (image[..., channel] > 0.95) & (image[..., others].max(axis=2) < 0.5)
        assert pure.sum() > 50, channel
    run('rgb.fits', '-R', '-', '-o', 'planes.png', '--size', 100)
    assert np.ptp(picture('planes.png'), axis=2).max() < 0.01


def test_a_cube_is_a_sheet_of_planes(night, run, monkeypatch):
    seen = []

    def noting(panels, style, kind, *, columns=None, title=''):
        seen.append(([panel.label for panel in panels], title, columns))
        return b'sheet'

    monkeypatch.setattr(display_fits.plots.view, 'contact_sheet', noting)
    run('cube.fits', '-o', 'a.png', '--size', 60)
    run('cube.fits', '-o', 'b.png', '--size', 60, '-z', '2', '-t', 'object')
    run('cube.fits', '-o', 'c.png', '--size', 60, '-B', 0, 60, 0, 40, 3, 5)
    run('cube.fits', 'n.0001.fit', '-o', 'd.png', '--size', 60, '--sheet', '--columns', 2, '-t', 'object', '-z', 4)
    assert seen == [
        ([f'plane {number}' for number in (1, 2, 3, 4, 5)], 'cube.fits', None),
        (['plane 1', 'plane 3', 'plane 5'], 'comet', None),
        (['plane 4', 'plane 5'], 'cube.fits', None),
        (['comet, plane 1', 'comet, plane 5', 'M 1'], '', 2),
    ]


def test_sheet_of_images(night, run):
    out, _ = run('n.*.fit', '--sheet', '-o', 'sheet.pdf', '--size', 100)
    assert out == ['sheet.pdf']
    assert Path('sheet.pdf').read_bytes().startswith(b'%PDF')
    run('n.*.fit', '--sheet', '-o', 'sheet', '--size', 120, '--columns', 1)
    run('n.*.fit', '--sheet', '-o', 'wide', '--size', 120, '--columns', 2)
    assert picture('sheet.png').shape[0] > 1.8 * picture('wide.png').shape[0] - 40
    assert picture('wide.png').shape[1] > 1.8 * picture('sheet.png').shape[1]


@pytest.mark.parametrize(
    ('words', 'frames', 'duration', 'loop'),
    [
        (['-a', '-120', '-o', 'c.gif'], 5, 120, True),
        (['-a', '120', '-z', '2', '-o', 'c'], 3, 120, False),
        (['-o', 'c.gif', '-s', '+'], 5, 200, True),
        (['-a', '70', '-o', 'filename', '-B', '0', '60', '0', '40', '1', '3'], 2, 70, False),
    ],
)
def test_animations(night, run, words, frames, duration, loop):
    out, _ = run('cube.fits', *words, '--size', 80)
    assert out[0].endswith('.gif')
    with Image.open(out[0]) as found:
        assert (found.n_frames, found.info['duration'], 'loop' in found.info) == (frames, duration, loop)


def test_animation_to_mp4(night, run, monkeypatch):
    monkeypatch.setenv('PATH', str(night))
    _, err = run('cube.fits', '-a', 100, '-o', 'c.mp4', status=1)
    assert len(err) == 1
    assert 'ffmpeg' in err[0]
    assert not Path('c.mp4').exists()
    (night / 'ffmpeg').write_text('#!/bin/sh\n/bin/cat >/dev/null; echo film\n')
    (night / 'ffmpeg').chmod(0o755)
    assert run('cube.fits', '-a', 100, '-o', 'c.mp4', '--size', 60)[0] == ['c.mp4']
    assert Path('c.mp4').read_bytes() == b'film\n'
    (night / 'ffmpeg').write_text('#!/bin/sh\necho no such encoder >&2; exit 1\n')
    _, err = run('cube.fits', '-a', 100, '-o', 'c.mp4', '-f', '--size', 60, status=1)
    assert err == ['display_fits: c.mp4: ffmpeg: no such encoder']
    assert Path('c.mp4').read_bytes() == b'film\n'


def test_histogram(night, run):
    out, err = run('n.0001.fit', 'cube.fits', '--hist', '-o', 'h/', '--size', 200)
    assert (out, err) == (['h/n.0001.png', 'h/cube.png'], [])
    assert picture('h/n.0001.png').shape[1] > 200
    run('n.0001.fit', '--hist', '-o', 'other.png', '--size', 200, '-m', '80', '120')
    assert Path('other.png').read_bytes() != Path('h/n.0001.png').read_bytes()


@pytest.mark.parametrize(
    ('words', 'wanted'),
    [
        (['-o', 'look'], ['look.0001.png', 'look.0002.png']),
        (['-o', 'filename'], ['n.0001.png', 'n.0002.png']),
        (['-o', 'filename.pdf', '--prefix', 'q_'], ['q_n.0001.pdf', 'q_n.0002.pdf']),
        (['-o', 'new/'], ['new/n.0001.png', 'new/n.0002.png']),
        (['-o', 'a.png,b.pdf'], ['a.png', 'b.pdf']),
        (['-o', 'night', '--sheet'], ['night.png']),
    ],
)
def test_names(night, run, quick, words, wanted):
    assert run('n.*.fit', *words, '--dry-run')[0] == wanted
    assert sorted(os.listdir()) == ['cube.fits', 'n.0001.fit', 'n.0002.fit', 'rgb.fits']
    assert run('n.*.fit', *words)[0] == wanted
    assert all(Path(name).read_bytes() == b'picture' for name in wanted)
    assert run('n.*.fit', *words, '-f', '-q')[0] == []


def test_existing_outputs(night, run, quick):
    Path('n.0002.png').write_text('mine')
    out, err = run('n.*.fit', '-o', 'filename', status=1)
    assert out == []
    assert err == ['display_fits: n.0002.png: it exists; --force replaces it']
    assert not Path('n.0001.png').exists()
    assert run('n.*.fit', '-o', 'filename', '--skip-existing')[0] == ['n.0001.png']
    assert Path('n.0002.png').read_text() == 'mine'
    run('n.0002.fit', '-o', 'filename', '--force')
    assert Path('n.0002.png').read_bytes() == b'picture'


def test_paths_end_in_nul_on_request(night, capsys, quick):
    assert display_fits.main(['n.0001.fit', '-o', 'a.png', '--null']) == 0
    assert capsys.readouterr().out == 'a.png\0'


def test_an_input_is_never_an_output(night, run):
    before = Path('n.0001.fit').read_bytes()
    os.link('n.0001.fit', 'link.png')
    _, err = run('n.0001.fit', '-o', 'link.png', status=1)
    assert 'it is an input' in err[0]
    assert Path('n.0001.fit').read_bytes() == before


def test_a_full_disk_leaves_the_old_picture(night, run, quick, monkeypatch):
    Path('a.png').write_text('old')

    def full(_descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    _, err = run('n.0002.fit', '-o', 'a.png', '-f', status=1)
    assert err == ['display_fits: a.png: can not be written: No space left on device']
    assert Path('a.png').read_text() == 'old'
    assert [name for name in os.listdir() if name.startswith('.')] == []


def test_equal_runs_give_equal_bytes_in_any_surroundings(night, run):
    lines = [['n.0001.fit', '-o', 'X.png'], ['n.0002.fit', '-o', 'X.pdf'], ['cube.fits', '-z', '3', '-o', 'X.gif']]
    for words in lines:
        run(*(word.replace('X', 'a') for word in words), '--size', 60)
    Path('matplotlibrc').write_text('font.size: 33\nsavefig.bbox: tight\nno.such.key: 1\n')
    again = [[*(word.replace('X', 'b') for word in words), '--size', '60'] for words in lines]
    code = f'from fitsutils.commands.display_fits import main\nsys.exit(sum(main(words) for words in {again}))'
    elsewhere = {'HOME': '/nonexistent', 'MPLCONFIGDIR': '/nonexistent', 'MPLBACKEND': 'module://no_such_notebook'}
    done = command(code=code, PYTHONHASHSEED='77', TZ='Asia/Tokyo', LC_ALL='C', SOURCE_DATE_EPOCH='1', **elsewhere)
    assert (done.returncode, done.stderr) == (0, '')
    for suffix in ('png', 'pdf', 'gif'):
        assert Path(f'a.{suffix}').read_bytes() == Path(f'b.{suffix}').read_bytes()


@pytest.mark.parametrize(
    ('words', 'what'),
    [
        (['n.0001.fit', '-m', '5', '5'], 'MIN must lie below MAX'),
        (['n.0001.fit', '-m', '0', 'inf'], 'MIN must lie below MAX'),
        (['n.0001.fit', '-m', 'nan', '1'], 'MIN must lie below MAX'),
        (['n.0001.fit', '-m', '0', '1', '-r', '3'], '-m does not go with -r'),
        (['n.0001.fit', '-m', '0', '1', '-l', 'minmax'], '-m does not go with -l'),
        (['n.0001.fit', '-l', 'minmax', '-r', '3'], 'not with -l minmax'),
        (['n.0001.fit', '-r', '0'], 'positive'),
        (['n.0001.fit', '-r', '-3'], 'positive'),
        (['n.0001.fit', '-y', 'x'], 'positive'),
        (['n.0001.fit', '-s', 'x'], 'invalid choice'),
        (['n.0001.fit', '-l', 'x'], 'invalid choice'),
        (['n.0001.fit', '-c', 'virids'], "no colour map 'virids'; there are viridis"),
        (['cube.fits', '-a', '0', '-o', 'a.gif'], '-a 0'),
        (['cube.fits', '-a', '100', '-o', 'a.png'], '-a writes .gif or .mp4'),
        (['cube.fits', '-a', '100', '--sheet', '-o', 'a.gif'], '--sheet does not go with -a'),
        (['cube.fits', '--sheet', '-o', 'a.gif'], 'only the planes of a cube'),
        (['cube.fits', '-z', '0'], "'0' is not a number"),
        (['n.0001.fit', '--columns', '2', '-o', 'a.png'], '--columns'),
        (['n.0001.fit', '--hist', '-c', 'non', '-s', '+', '-o', 'a.png'], '--hist does not go with -c and -s'),
        (['rgb.fits', '-R', '+', '-c', 'non', '-o', 'a.png'], '-R does not go with -c'),
        (['n.0001.fit', '-o', 'a.jpg'], '.png or .pdf'),
        (['n.0001.fit', 'n.0002.fit', '-o', 'a.png'], 'one file for 2 images'),
        (['n.0001.fit', '-t', '{OBJECT', '-o', 'a.png'], '-t {OBJECT'),
        (['n.0001.fit', '-b', '0', '5', '0', '5', '--section', '[1:2,1:2]', '-o', 'a.png'], 'only one of'),
        (['n.0001.fit', '--prefix', 'x'], '--prefix'),
        (['-o', 'a.png'], 'an image is required'),
    ],
)
def test_wrong_command_lines(night, run, words, what):
    before = sorted(os.listdir())
    out, err = run(*words, status=2)
    assert (out, len(err)) == ([], 1)
    assert what in err[0]
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ('words', 'what'),
    [
        (['n.0001.fit', '-R', '+'], 'n.0001.fit: 60 x 40 pixels: a red-green-blue image is a cube of 3 planes'),
        (['cube.fits', '-R', '+'], 'cube.fits: 60 x 40 x 5 pixels: a red-green-blue image is a cube of 3 planes'),
        (['n.0001.fit', '-o', 'a.gif'], 'n.0001.fit: 60 x 40 pixels: there are no planes to animate'),
        (['n.0001.fit', '-a', '100'], 'n.0001.fit: 60 x 40 pixels: there are no planes to animate'),
        (['cube.fits', '-s', '+'], 'cube.fits: -s +: a sheet of planes has no sums'),
        (['n.0001.fit', '-b', '0', '99', '0', '5'], 'n.0001.fit: region [1:99,1:5] goes beyond'),
        (['missing.fit'], 'missing.fit: No such file'),
        (['none*.fit'], 'none*.fit: no file matches'),
        (['n.0001.fit', '-o', 'nowhere/a.png'], 'nowhere/a.png: the folder nowhere does not exist'),
        (['n.0001.fit', '-t', '{OBJECT:d}'], "n.0001.fit: keyword OBJECT = 'M 1' does not fit"),
        (['n.0001.fit', '--size', '30001'], 'too large'),
    ],
)
def test_refusals(night, run, words, what):
    before = sorted(os.listdir())
    words = words if '-o' in words else [*words, '-o', 'filename']
    out, err = run(*words, status=1)
    assert (out, len(err)) == ([], 1)
    assert err[0].startswith('display_fits: ')
    assert what in err[0]
    assert sorted(os.listdir()) == before


def test_a_shape_that_can_not_be_shown_stops_all(night, run):
    out, err = run('cube.fits', 'n.0001.fit', '-o', 'films/', '-a', '100', status=1)
    assert (out, len(err)) == ([], 1)
    assert not Path('films').exists()


def test_too_many_panels(night, run, monkeypatch):
    monkeypatch.setattr(display_fits.plots.sheet, 'MOST', 4)
    _, err = run('cube.fits', '-o', 'a.png', status=1)
    assert err == ['display_fits: a.png: 5 pictures on a sheet, 4 is the most']
    run('cube.fits', '-o', 'a.png', '-z', 2, '--size', 40)


def test_one_bad_file_does_not_stop_the_others(night, run, quick):
    Path('bad.fit').write_bytes(Path('n.0002.fit').read_bytes()[:4000])
    out, err = run('n.0001.fit', 'bad.fit', 'n.0002.fit', '-o', 'p/', '--size', 40, status=1)
    assert out == ['p/n.0001.png', 'p/n.0002.png']
    assert [line.split(': ')[1] for line in err] == ['bad.fit']
    out, err = run('n.0001.fit', 'bad.fit', 'n.0002.fit', '-o', 's.png', '--sheet', '--size', 40, status=1)
    assert out == ['s.png']
    assert len(err) == 1
    out, err = run('bad.fit', '-o', 't.png', '--sheet', status=1)
    assert (out, len(err)) == ([], 1)


def test_wrong_checksums(night, run, make_image):
    from astropy.io import fits

    fits.PrimaryHDU(sky(45, 12)).writeto('sum.fits', checksum=True)
    content = bytearray(Path('sum.fits').read_bytes())
    content[2900] ^= 1
    Path('sum.fits').write_bytes(content)
    out, err = run('sum.fits', '-o', 'a.png', '--size', 40)
    assert out == ['a.png']
    assert 'DATASUM' in err[0]
    out, err = run('sum.fits', '-o', 'b.png', '--checksum', 'error', status=1)
    assert out == []
    assert 'DATASUM' in err[0]


@pytest.mark.parametrize(
    ('fill', 'kind'), [(np.nan, ''), (7.0, ''), (np.nan, '--hist'), (np.inf, '--hist'), (7.0, '--hist')]
)
def test_images_without_anything_to_see(night, run, make_image, kind, fill):
    make_image('odd.fits', np.full((12, 17), fill, 'f4'))
    out, err = run('odd.fits', '-o', 'odd.png', '--size', 60, *kind.split())
    assert (out, err) == (['odd.png'], [])


def test_bad_pixels_have_a_colour_of_their_own(night, run, make_image):
    pixels = sky(45, 12)
    pixels[10:20, 5:25] = np.nan
    make_image('bad.fits', pixels)
    run('bad.fits', '-o', 'bad.png', '--size', 120, '-l', 'minmax', '-s', '-')
    bad = painting.colour_table('inv')[-1] / 255
    assert (np.abs(picture('bad.png') - bad).max(axis=2) < 0.01).sum() == 20 * 40


def test_spectra_and_parts_of_hypercubes(night, run, make_image):
    make_image('one.fits', np.arange(50.0))
    make_image('four.fits', np.arange(2 * 3 * 6 * 7.0).reshape(2, 3, 6, 7))
    run('one.fits', '-o', 'one.png', '--size', 60)
    _, err = run('four.fits', '-o', 'four.png', status=1)
    assert '7 x 6 x 3 x 2 pixels' in err[0]
    run('four.fits[*,*,*,2]', '-o', 'four.png', '--size', 60)


def test_packed_and_named_hdus(night, run, drawn):
    from astropy.io import fits

    hdus = [fits.PrimaryHDU(), fits.ImageHDU(sky(45, 12), name='A'), fits.CompImageHDU(sky(20, 30), name='B')]
    fits.HDUList(hdus).writeto('m.fits.gz')
    run('m.fits.gz[A]', '-o', 'a.png', '--size', 240)
    assert star('a.png', drawn[0][2]) == (pytest.approx(45, abs=0.5), pytest.approx(12, abs=0.5))
    run('m.fits.gz', '--hdu', 'B', '-o', 'b.png', '--size', 240)
    assert star('b.png', drawn[1][2]) == (pytest.approx(20, abs=0.5), pytest.approx(30, abs=0.5))


def test_large_images_are_averaged_and_keep_their_stars(night, run, drawn, make_image):
    pixels = np.full((1300, 1700), 100, 'u2')
    pixels[::2] = 110
    pixels[400:404, 1200:1204] = 60000
    make_image('large.fits', pixels)
    run('large.fits', '-o', 'large.png', '--size', 200, '-m', '100', '110', '-c', 'non')
    found = inside('large.png', drawn[0][2])[3:-3, 3:-3].mean(axis=2)
    rows, columns = np.nonzero(found > 0.99)
    zoom = 1700 / (found.shape[1] + 6)
    assert (np.mean(columns) + 3.5) * zoom == pytest.approx(1202, abs=zoom)
    assert (np.mean(rows) + 3.5) * zoom == pytest.approx(402, abs=zoom)
    assert np.abs(np.delete(found, rows, axis=0) - 0.5).max() < 0.06  # lines of 100 and 110 are 105, without moire


def test_titles_reach_the_picture(night, run, planned):
    for words in ([], ['-t', 'object'], ['-t', '{OBJECT} {FILTER} {EXPTIME:g} s'], ['-t', '-5']):
        run('n.0001.fit', '-o', 'a.png', '-f', *words)
    assert [frames[0].label for frames, _ in planned] == ['n.0001.fit', 'M 1', 'M 1 V 30 s', '-5']
    assert {frames[0].unit for frames, _ in planned} == {'adu'}


# What may be missing


def command(*words, code='', **environment):
    names = ('DISPLAY', 'WAYLAND_DISPLAY', 'MPLBACKEND', *environment)
    kept = {name: value for name, value in os.environ.items() if name not in names}
    script = f'import sys\n{code}\nfrom fitsutils.commands.display_fits import main\nsys.exit(main(sys.argv[1:]))'
    return subprocess.run([sys.executable, '-W', 'error', '-c', script, *words],
                          capture_output=True, text=True, env={**kept, **environment})  # fmt: skip


def test_without_matplotlib(night):
    done = command('n.0001.fit', '-o', 'a.png', code="sys.modules['matplotlib'] = None")
    assert done.returncode == 1
    assert done.stderr == "display_fits: matplotlib is not installed: pip install 'fitsutils[plot]'\n"
    assert done.stdout == ''
    assert not Path('a.png').exists()


NO_WINDOW = r'display_fits: no window can be opened here .*-o NAME\.png writes a file\n?'


@pytest.mark.parametrize('environment', [{}, pytest.param({'DISPLAY': ':99'}, marks=pytest.mark.long)])
def test_without_a_display(night, environment):
    done = command('n.0001.fit', **environment)
    assert (done.returncode, done.stdout) == (1, '')
    assert re.fullmatch(NO_WINDOW, done.stderr)


@pytest.mark.parametrize('words', [[], ['-o', 'screen'], ['--sheet'], ['--hist']])
def test_without_windows(night, run, words):
    out, err = run('n.0001.fit', *words, status=1)
    assert (out, len(err)) == ([], 1)
    assert re.fullmatch(NO_WINDOW, err[0])


@pytest.mark.long
def test_a_matplotlibrc_that_can_not_be_read(night, run):
    Path('broken').write_bytes(b'\xff\xfe')
    done = command('n.0001.fit', '-o', 'a.png', '--size', '40', MATPLOTLIBRC='broken')
    assert (done.returncode, done.stdout, done.stderr) == (0, 'a.png\n', '')
    Path('broken').rename('matplotlibrc')
    done = command('n.0001.fit', '-o', 'b.png', '--size', '40')
    assert (done.returncode, done.stdout) == (1, '')
    assert re.fullmatch(r'display_fits: matplotlib does not load: .*\n', done.stderr)


def test_windows_one_after_the_other(night, run, monkeypatch):
    seen = []
    monkeypatch.setattr(display_fits.plots.screen, 'is_available', lambda: True)
    monkeypatch.setattr(
        pyplot, 'show', lambda: seen.append([pyplot.figure(n).texts[0].get_text() for n in pyplot.get_fignums()])
    )
    assert run('n.0001.fit', 'n.0002.fit') == ([], [])
    assert run('n.0001.fit', 'n.0002.fit', '-o', 'screen', '--sheet') == ([], [])
    assert run('cube.fits', '-a', '50') == ([], [])
    assert run('n.0001.fit', '--hist') == ([], [])
    assert seen == [['n.0001.fit'], ['n.0002.fit'], ['n.0001.fit'], ['cube.fits, plane 1'], ['n.0001.fit']]
    assert pyplot.get_fignums() == []


# Real frames


@pytest.mark.parametrize(
    ('pattern', 'words'),
    [
        ('nickel_pluto/pluto/*.fits', ['--sheet']),
        ('kast_blue/b24.fits.gz', ['--stretch', 'asinh', '-y', '2']),
        ('floyds/**/*e00.fits.fz', ['-c', 'viridis']),
        ('hatp32/*.FITS', ['--sheet', '-t', '{OBJECT}']),
    ],
)
def test_real_frames(data, run, tmp_path, pattern, words):
    paths = sorted(data.glob(pattern))[:4]
    out, err = run(*paths, *words, '-o', f'{tmp_path}/{"sheet.png" if "--sheet" in words else ""}', '--size', '300')
    assert err == []
    assert picture(out[0]).std() > 0.05


def test_a_star_of_a_real_frame_stands_where_it_is(data, run, tmp_path, pixels_of):
    path = sorted((data / 'hatp32').glob('*.FITS'))[0]
    pixels = pixels_of(path)[100:200, 100:250]
    run(
        path,
        '-b',
        100,
        250,
        100,
        200,
        '-o',
        f'{tmp_path}/a.png',
        '-s',
        '-',
        '--size',
        '150',
        '-l',
        'minmax',
        '-c',
        'non',
        '-q',
    )
    image = picture(tmp_path / 'a.png')
    part = find(painting.paint(pixels[None].astype('f8'), [(pixels.min(), pixels.max())], 'linear',
                               painting.colour_table('non'))[::-1] / 255, image)  # fmt: skip
    assert part


def find(part, image):
    """Whether a picture holds a smaller one somewhere, but for its border of two pixels."""
    inner = part[2:-2, 2:-2, 0]
    views = np.lib.stride_tricks.sliding_window_view(image[..., 0], inner.shape)
    return any(np.abs(row - inner).max(axis=(1, 2)).min() < 0.01 for row in views)
