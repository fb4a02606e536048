"""Time whole commands against a floor and against other tools, in turns; not part of the test run.

    python tests/benchmark.py [--rounds 5] [--only WORK ...] [--peers iraf,siril,gnuastro,ccdproc|none]
                              [--ccdproc PYTHON] [-o benchmark.md]

The floor is a process that imports astropy.io.fits, reads every byte of the same files and writes one image. Start-up
is held against a bare ``python -c 'import argparse'``. Every peer's pixels are compared with ours first. The works:
startup, median, sigma, minmax, many, float, subtract, stats, small, log; and, only when it is named, curve, whose
stack takes 3.4 GB. Stacks are made in the temporary folder (TMPDIR chooses where) and go with the run.
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path
from typing import NamedTuple

from bench import clock, peers

Stack = namedtuple('Stack', 'count size dtype')


class Work(NamedTuple):
    """A row of the summary."""

    title: str
    task: str
    stack: Stack
    targets: dict = {}  # the largest ratio of our seconds to a job's
    memory: int | None = None  # MB
    each: float | None = None  # ms a file beyond start-up
    without: tuple = ()  # peers that would do something else

    @property
    def command(self):
        return {'subtract': 'img_arith', 'stats': 'img_stats', 'log': 'img_log'}.get(self.task, 'combine_fits')


PLAIN = Stack(20, 2048, 'uint16')
SMALL = Stack(1000, 32, 'uint16')
CURVE = Stack(400, 2048, 'uint16')
CURVE_LENGTHS = 100, 200, 400
# Peers whose memory ours may be but a tenth of.
FRUGAL = {'ccdproc': 0.1}
WORKS = {
    'median': Work(
        'median of 20 x 2048² uint16', 'median', PLAIN,
        {'floor': 1.4, 'Siril': 0.85, 'IRAF': 0.35, 'ccdproc': 0.1}, 200,
    ),
    'sigma': Work(
        'the same, -m mean -c sigma -d 3', 'sigma', PLAIN,
        {'floor': 1.8, 'Siril': 0.6, 'IRAF': 0.25, 'ccdproc': 0.1}, 250,
    ),
    'minmax': Work(
        'the same, -m mean -c max -d 1 -n mean', 'minmax', PLAIN,
        {'floor': 1.8, 'IRAF': 0.6, 'ccdproc': 0.1},
    ),
    'many': Work(
        'median of 100 x 1024² uint16', 'median', Stack(100, 1024, 'uint16'),
        {'floor': 1.6, 'Siril': 0.8, 'IRAF': 0.3, 'ccdproc': 0.1},
    ),
    'float': Work(
        'median of 20 x 2048² float32', 'median', Stack(20, 2048, 'float32'),
        {'floor': 1.6, 'ccdproc': 0.1}, without=('Siril',),  # it cuts floats off at 1
    ),
    'subtract': Work(
        'subtract one image from 20 of 2048²', 'subtract', PLAIN,
        {'floor': 1.8, 'IRAF': 0.7, 'ccdproc': 0.1},
    ),
    'stats': Work('mean, median and std of 20 x 2048² uint16', 'stats', PLAIN),
    'small': Work('mean, median and std of 1000 files of 32²', 'stats', SMALL),
    'log': Work('five keywords of 1000 files', 'log', SMALL, each=0.3),
}  # fmt: skip
ALONE = ', one file'


def table(head, rows):
    """Markdown; a row is a list of cells."""
    return '\n'.join(f'| {" | ".join(map(str, row))} |' for row in [head, ['---'] * len(head), *rows]) + '\n'


def tried(seconds):
    return f'{seconds:.3f}' if seconds < 10 else f'{seconds:.1f}'


def verdict(name, limit, figure):
    """A row on one target; a figure that could not be measured is neither reached nor missed."""
    if figure is None:
        return [name, f'<= {limit}', '', 'not measured']
    return [name, f'<= {limit}', f'{figure:.3g}', 'reached' if figure <= limit else 'missed']


class Stacks:
    """Stacks in the folder of the run, made when they are first asked for, each in a process of its own."""

    def __init__(self, folder):
        self.folder = folder

    def name(self, stack):
        return f'{stack.dtype}_{stack.count}_{stack.size}'

    def names(self, stack, count=None):
        """Paths from the folder of the run."""
        name = self.name(stack)
        if not (self.folder / name).exists():
            print(f'making {stack.count} x {stack.size}² {stack.dtype}', file=sys.stderr)
            words = sys.executable, clock.path_of('stacks.py'), self.folder / name, *map(str, stack[:3])
            subprocess.run(words, check=True)
        return [f'{name}/p.{number:04d}.fits' for number in range(count or stack.count)]

    def lacking(self, stack, outputs):
        """What to say where the disk does not hold the stack and the outputs of the jobs; else nothing."""
        pixels, made = stack.size**2, (self.folder / self.name(stack)).exists()
        inputs = 0 if made else stack.count * (pixels * (4 if stack.dtype == 'float32' else 2) + 9000)
        need = inputs + 4 * pixels * outputs
        free = shutil.disk_usage(self.folder).free
        if free > need + 1e8:
            return ''
        return f'left out: it needs {need / 1e9:.1f} GB, and {self.folder.parent} has {free / 1e9:.1f} free'


def bench(work, stacks, found, rounds):
    """Results by job, and how far the peers' results are from ours."""
    names, command = stacks.names(work.stack), work.command
    jobs = [peers.floor(names, 'floor', 1, work.stack.size)]
    if work.task == 'subtract':
        jobs.append(peers.floor(names, 'floor, writing as many', len(names), work.stack.size))
    jobs += [peers.ours(work.task, names, command), *(make(work.task, names, name) for name, make in found.items())]
    if work.stack is SMALL:
        jobs.append(peers.ours(work.task, names[:1], command + ALONE))
        jobs += [make(work.task, names[:1], name + ALONE) for name, make in found.items()]
    jobs = [job for job in jobs if job]
    differences = {}

    def compare(done):
        if any(job.name == command for job in done):
            differences.update((job.name, difference(work, stacks.folder, job)) for job in done if job.name in found)

    return jobs, clock.in_turns(jobs, stacks.folder, rounds, compare), differences


def difference(work, folder, job):
    """The line of bench/compare.py, or nothing where there are not two results."""
    kind = work.task if work.task in ('stats', 'log') else 'images'
    own = (folder / clock.own_folder(name) for name in (work.command, job.name))
    words = sys.executable, clock.path_of('compare.py'), kind, *own, str(work.stack.count), str(job.unit)
    done = subprocess.run(words, capture_output=True, text=True)
    return 'not comparable' if done.returncode else done.stdout.strip()


def each(results, name, count):
    """Milliseconds a file beyond what one file takes."""
    one = results.get(name + ALONE)
    if one is None or one.failure or results[name].failure:
        return None
    return 1e3 * (results[name].median - one.median) / (count - 1)


def ratio(first, second):
    return '' if first.failure or second.failure else f'{first.median / second.median:.2f}'


def work_rows(work, jobs, results, differences):
    """One row a job; our row's ratio to a peer stands in the peer's row."""
    for job in jobs:
        result, label = results[job.name], job.name + (f' ({job.remark})' if job.remark else '')
        if result.failure:
            yield [label, 'failed', '', '', '', f'`{result.failure.replace("|", "/")}`']
            continue
        alone = ALONE if job.name.endswith(ALONE) else ''
        floors = '' if alone else ratio(result, results['floor'])
        ours = '' if job.name in ('floor', work.command + alone) else ratio(results[work.command + alone], result)
        last = differences.get(job.name, '')
        if work.stack is SMALL and (spent := each(results, job.name, work.stack.count)) is not None:
            last = f'{spent:.3f} ms a file' + (f'; {last}' if last else '')
        yield [label, tried(result.median), floors, ours, result.megabytes, last]


def targets(work, results):
    """One row a target of the work."""
    mine = results[work.command]
    for name, limit in work.targets.items():
        other = results.get(name)
        missing = other is None or other.failure or mine.failure
        yield verdict(f'seconds against {name}', limit, None if missing else mine.median / other.median)
        if name in FRUGAL:
            yield verdict(f'memory against {name}', FRUGAL[name], None if missing else mine.memory / other.memory)
    if work.memory:
        yield verdict('MB', work.memory, None if mine.failure else mine.memory)
    if work.each:
        yield verdict('ms a file', work.each, each(results, 'img_log', work.stack.count))


def section(key, work, jobs, results, differences):
    head = [
        work.title,
        'seconds',
        'against the floor',
        f'{work.command} against it',
        'MB',
        'largest difference from ours',
    ]
    lines = [f'### {key}: {work.title}\n', table(head, work_rows(work, jobs, results, differences))]
    rows = list(targets(work, results))
    return '\n'.join([*lines, table(['target', 'limit', 'figure', ''], rows)] if rows else lines)


def summary_row(work, results, columns):
    cells = [work.title]
    for name in ['floor', work.command, *columns]:
        result = results.get(name)
        if result is None:
            cells.append('')
        else:
            cells.append('failed' if result.failure else f'{tried(result.median)} ({result.megabytes})')
    return cells


def startup(folder, rounds):
    """The table of start-up times."""
    bare = 'bare argparse'
    jobs = [clock.Job(bare, (sys.executable, '-c', 'import argparse'))]
    for path in sorted(peers.BIN.iterdir()):
        for option in '--version', '--help':
            jobs.append(clock.Job(f'{path.name} {option}', (sys.executable, str(path), option), lines=1))
    results = clock.in_turns(jobs, folder, rounds)
    limit = 1.3 * results[bare].median + 0.03
    rows = [
        [name, 'failed', '', '', result.failure] if result.failure else
        [name, f'{result.median:.3f}', f'{result.median / results[bare].median:.2f}', result.megabytes,
         'reached' if result.median <= limit else 'missed']
        for name, result in results.items()
    ]  # fmt: skip
    head = ['start-up', 'seconds', f'against {bare}', 'MB', f'<= 1.3 x bare + 30 ms = {limit:.3f} s']
    return '### startup\n\n' + table(head, rows)


def curve(stacks, rounds):
    """The median of ever more images within 500 MB: the cost of a pixel should not rise."""
    names, jobs = stacks.names(CURVE), []
    for count in CURVE_LENGTHS:
        jobs.append(peers.floor(names[:count], f'floor {count}', 1, CURVE.size))
        jobs.append(peers.ours('median', names[:count], f'median {count}', ('--memory', '500M')))
    results = clock.in_turns(jobs, stacks.folder, rounds)
    rows, cost = [], {}
    for count in CURVE_LENGTHS:
        base, mine = results[f'floor {count}'], results[f'median {count}']
        if mine.failure or base.failure:
            rows.append([count, 'failed', '', '', '', f'`{mine.failure or base.failure}`'])
            continue
        cost[count] = 1e9 * mine.median / (count * CURVE.size**2)
        against = f'{mine.median / base.median:.2f}'
        rows.append([count, tried(mine.median), tried(base.median), against, f'{cost[count]:.2f}', mine.megabytes])
    head = ['images', 'seconds', 'floor', 'against the floor', 'ns an input pixel', 'MB']
    longest, first = cost.get(CURVE_LENGTHS[-1]), cost.get(CURVE_LENGTHS[0])
    figure = longest / first if longest and first else None
    memory = max((results[f'median {count}'].memory for count in cost), default=None)
    # A tenth is the clock's own noise.
    goals = verdict('400 against 100, a pixel', 1.1, figure), verdict('MB', 500, memory)
    return '\n'.join(['### curve: median of N x 2048² uint16, --memory 500M\n', table(head, rows),
                      table(['target', 'limit', 'figure', ''], goals)])  # fmt: skip


def setting(found, args):
    """Where and with what the figures were made."""
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}' for name in ('numpy', 'astropy'))
    machine = f'{platform.system()} {platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}'
    program = f'Python {platform.python_version()}, {versions}'
    others = [peers.versions(found, args.ccdproc)] if found else []
    clocked = f'Wall time of whole processes, median of {args.rounds} in turns; MB: peak memory of the largest process.'
    return f'{"; ".join([machine, program, *others])}\n\n{clocked}\n'


def measured(args, folder, found):
    """The tables one by one as they are ready, the summary last."""
    stacks, summary = Stacks(folder), []
    columns = list(found)
    if 'startup' in args.only:
        yield startup(folder, 2 * args.rounds + 1)
    for key, work in WORKS.items():
        if key not in args.only:
            continue
        lacking = stacks.lacking(work.stack, 5 * (work.stack.count if work.task == 'subtract' else 1))
        if lacking:
            yield f'### {key}: {work.title}\n\n{lacking}\n'
            continue
        others = {name: make for name, make in found.items() if name not in work.without}
        jobs, results, differences = bench(work, stacks, others, args.rounds)
        summary.append(summary_row(work, results, columns))
        yield section(key, work, jobs, results, differences)
    if 'curve' in args.only:
        lacking = stacks.lacking(CURVE, 2 * len(CURVE_LENGTHS))
        yield f'### curve\n\n{lacking}\n' if lacking else curve(stacks, args.rounds)
    if summary:
        head = ['seconds (MB)', 'floor', 'this toolset', *columns]
        yield '### Summary\n\n' + table(head, summary)


def peer_names(text):
    known = {name.lower(): name for name in ('IRAF', 'Siril', 'Gnuastro', 'ccdproc')}
    words = [] if text == 'none' else text.lower().split(',')
    if not set(words) <= set(known):
        raise argparse.ArgumentTypeError(f'{text!r} is not none or some of {",".join(known)}')
    return [known[word] for word in words]


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    works = ['startup', *WORKS, 'curve']
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--only', nargs='+', choices=works, default=works[:-1], metavar='WORK')
    parser.add_argument('--peers', type=peer_names, default='iraf,siril,gnuastro,ccdproc', metavar='LIST|none')
    parser.add_argument(
        '--ccdproc',
        default=sys.executable,
        metavar='PYTHON',
        help='an interpreter that has ccdproc (default: this one)',
    )
    parser.add_argument('-o', '--output', type=Path, metavar='FILE.md')
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error('--rounds takes 1 or more')
    return args


def main():
    args = parsed()
    # The folder of the run goes on a polite request to end, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    found, notes = peers.installed(args.peers, args.ccdproc)
    parts = [setting(found, args), *(f'{note}\n' for note in notes)]
    print('\n'.join(parts))
    with tempfile.TemporaryDirectory(prefix='benchmark') as folder:
        for part in measured(args, Path(folder), found):
            print(part, flush=True)
            parts.append(part)
    if args.output:
        args.output.write_text('\n'.join(parts))


if __name__ == '__main__':
    main()
