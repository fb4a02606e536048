"""Time whole commands against a floor, in turns, as ratios; not part of the test run.

    python tests/benchmark.py [--images 20] [--size 2048] [--rounds 5] [-o benchmark.md]

Start-up is held against a bare ``python -c 'import argparse'``; work against
a process that imports astropy.io.fits, reads every byte of the same files and
writes one image.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(__file__).resolve().parents[1] / 'bin'
FLOOR = """
import sys
import numpy as np
from astropy.io import fits
for name in sys.argv[2:]:
    with open(name, 'rb') as file:
        file.read()
fits.writeto(sys.argv[1], np.zeros(({size}, {size}), 'f4'), overwrite=True)
"""


def command(name, *words):
    return [sys.executable, str(BIN / name), *map(str, words)]


def timed(words):
    """Seconds of a whole process and its peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f'{" ".join(words[:6])} ... ended with status {status}')
    return seconds, usage.ru_maxrss / (1e6 if sys.platform == 'darwin' else 1e3)


def in_turns(jobs, rounds):
    """Median seconds and largest memory of each job; every round runs each of them once."""
    seen = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, words in jobs.items():
            seen[name].append(timed(words))
    return {name: (statistics.median(s for s, _ in runs), max(m for _, m in runs)) for name, runs in seen.items()}


def table(title, results, base):
    lines = [f'### {title}', '', f'| | seconds | against {base} | MB |', '|---|---|---|---|']
    for name, (seconds, memory) in results.items():
        lines.append(f'| {name} | {seconds:.3f} | {seconds / results[base][0]:.2f} | {memory:.0f} |')
    return '\n'.join([*lines, ''])


def make_stack(folder, images, size):
    """Write the frames; in a process of its own, for a child is charged with the memory its parent had."""
    import numpy as np
    from astropy.io import fits

    rng = np.random.default_rng(7)
    for number in range(images):
        frame = rng.normal(1000 + 10 * number, 30, (size, size))
        frame.ravel()[rng.integers(0, size * size, size * size // 2000)] += 5000
        fits.writeto(
            folder / f'p.{number:04d}.fits',
            np.clip(np.rint(frame), 0, 65535).astype('u2'),
            fits.Header({'EXPTIME': 60.0}),
        )


def startup(rounds):
    jobs = {'bare argparse': [sys.executable, '-c', 'import argparse']}
    for path in sorted(BIN.iterdir()):
        jobs[f'{path.name} --version'] = command(path.name, '--version')
        jobs[f'{path.name} --help'] = command(path.name, '--help')
    results = in_turns(jobs, rounds)
    limit = 1.3 * results['bare argparse'][0] + 0.03
    return table(f'Start-up (to stay below 1.3 x bare + 30 ms = {limit:.3f} s)', results, 'bare argparse')


def work(folder, images, size, rounds):
    subprocess.run([sys.executable, __file__, '--make', folder, f'--images={images}', f'--size={size}'], check=True)
    names = sorted(map(str, folder.glob('p.*.fits')))
    out = folder / 'out.fits'
    jobs = {
        'floor': [sys.executable, '-c', FLOOR.format(size=size), str(folder / 'floor.fits'), *names],
        'median': command('combine_fits', *names, '-m', 'median', '-f', '-o', out),
        'mean': command('combine_fits', *names, '-m', 'mean', '-f', '-o', out),
        'max clipped, scaled by the mean': command('combine_fits', *names, '-c', 'max', '-n', 'mean', '-f', '-o', out),
        'subtract one image from all': command('img_arith', *names, '-', names[0], '-f', '-o', folder / 'b'),
        'statistics': command('img_stats', *names),
        'keywords': command('img_log', *names, '-k', 'Filename,EXPTIME'),
    }
    return table(f'{images} x {size} x {size} uint16', in_turns(jobs, rounds), 'floor')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=20)
    parser.add_argument('--size', type=int, default=2048)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('-o', '--output')
    parser.add_argument('--make', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make_stack(args.make, args.images, args.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        text = '\n'.join([startup(2 * args.rounds + 1), work(Path(folder), args.images, args.size, args.rounds)])
    print(text)
    if args.output:
        Path(args.output).write_text(text)


if __name__ == '__main__':
    main()
