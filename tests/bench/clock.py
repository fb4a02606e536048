"""Run jobs strictly in turns: the wall time and the peak memory of whole processes."""

import contextlib
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

# Long enough for the slowest peer on a loaded machine; what hangs is ended.
LIMIT = 900
PRIVATE = 'home', 'tmp'


@dataclass(frozen=True)
class Job:
    """A command line that runs in the folder of the stacks and writes into a folder of its own.

    It has done its work when its status is 0 and it has written `images` FITS files and `lines` lines of text.
    """

    name: str
    words: tuple
    images: int = 0
    lines: int = 0
    texts: dict = field(default_factory=dict)  # files it needs in its folder: scripts and lists
    private: bool = False  # a home of its own: what the user has set up shall not count, and nothing be left there
    unit: float = 1.0  # its pixels times this are ours
    remark: str = ''

    @property
    def folder(self):
        return own_folder(self.name)


@dataclass
class Result:
    seconds: list = field(default_factory=list)
    memory: float = 0.0
    failure: str = ''

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def megabytes(self):
        """As text; the system charges a child with what this process has, so less than that can not be seen."""
        seen = self.memory > 1.05 * peak_memory(resource.getrusage(resource.RUSAGE_SELF))
        return f'{"" if seen else "<= "}{self.memory:.0f}'


def peak_memory(usage):
    """MB; macOS counts bytes, the others KiB."""
    return usage.ru_maxrss * (1 if sys.platform == 'darwin' else 1024) / 1e6


def own_folder(name):
    """Where the job of this name writes, from the folder of the stacks; CL scripts want plain letters."""
    return 'out/' + re.sub(r'\W', '_', name)


def environment(job, folder):
    """That of a user who runs a command for the second time: Python's modules are compiled by the untimed round."""
    ours = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    ours['PYTHONPYCACHEPREFIX'] = str(folder / 'compiled')
    if not job.private:
        return ours
    for name in PRIVATE:
        (folder / name).mkdir(exist_ok=True)
    home, temporary = (str(folder / name) for name in PRIVATE)
    return {**ours, 'HOME': home, 'XDG_CONFIG_HOME': home, 'TMPDIR': temporary, 'TERM': 'xterm'}


def prepare(job, folder):
    """Give the job an empty folder and the disk some rest: nobody pays for what another wrote."""
    own = folder / job.folder
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    for name, text in job.texts.items():
        (own / name).write_text(text)
    os.sync()
    return own


def ended(words, **options):
    """Status, peak memory in MB and seconds of a process; the memory is its largest descendant's, if that is larger."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def end():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    guard = threading.Timer(LIMIT, end)
    guard.daemon = True
    guard.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    except BaseException:
        end()
        os.wait4(process.pid, 0)
        raise
    finally:
        guard.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, peak_memory(usage), seconds


def run(job, folder):
    """Seconds, MB, and why it failed if it did."""
    own = prepare(job, folder)
    with open(own / 'stdout', 'wb') as out, open(own / 'stderr', 'wb') as err:
        status, memory, seconds = ended(job.words, cwd=folder, env=environment(job, folder), stdout=out, stderr=err)
    return seconds, memory, failure(job, own, status)


def failure(job, own, status):
    lines = (own / 'stdout').read_text(errors='replace').splitlines()
    complaints = [line for line in (own / 'stderr').read_text(errors='replace').splitlines() if line.strip()]
    if not status and len(list(own.glob('*.fits'))) >= job.images and len(lines) >= job.lines:
        return ''
    complaints += [line for line in lines if 'error' in line.lower()]
    # A usage error ends in what was wrong, a traceback too.
    return ' '.join((complaints or [f'ended with status {status}, without its outputs'])[-1].split())[:160]


def in_turns(jobs, folder, rounds, check=None):
    """Every round runs each job once, so load falls on all alike; a first, untimed one fills the caches.

    After that first one `check` gets the jobs that worked. A job that fails is not run again.
    """
    results = {job.name: Result() for job in jobs}
    for number in range(rounds + 1):
        for job in jobs:
            result = results[job.name]
            if result.failure:
                continue
            seconds, memory, result.failure = run(job, folder)
            if number:
                result.seconds.append(seconds)
                result.memory = max(result.memory, memory)
        if check and not number:
            check([job for job in jobs if not results[job.name].failure])
    return results


def version(words):
    """The last word of the first line a program prints; nothing when it prints none."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace')
    first = (done.stdout.strip() or 'unknown').splitlines()[0]
    return first.split()[-1]


def path_of(name):
    return Path(__file__).with_name(name)
