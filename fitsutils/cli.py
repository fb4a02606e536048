"""The frame around every command: statuses, shared options, progress and `run`.

Nothing here imports numpy or astropy, so that ``--help`` and a usage error
answer at once.
"""

import argparse
import atexit
import collections
import contextlib
import datetime
import gc
import io
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn, TextIO

from fitsutils import __version__
from fitsutils.errors import Failure, FileWarning, OutputFailure, QualityFailure, UsageError, show, unfinished, visible

DONE, FAILED, USAGE, QUALITY = 0, 1, 2, 3

_SIZES = {'': 1, 'K': 10**3, 'M': 10**6, 'G': 10**9, 'T': 10**12,
          'KI': 2**10, 'MI': 2**20, 'GI': 2**30, 'TI': 2**40}  # fmt: skip
_PIECES = re.compile(r'(\d+(?:\.\d*)?|\.\d+)([dhms])', re.ASCII)
_UNITS = {unit: datetime.timedelta(seconds=length) for unit, length in zip('dhms', (86400, 3600, 60, 1), strict=True)}


def size(text: str) -> int:
    """Bytes of a size such as ``500M`` (powers of 1000) or ``2GiB`` (of 1024).

    Parameters
    ----------
    text : str
        A number with an optional unit.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is no such size, or it is not positive.

    Examples
    --------
    >>> size('500M'), size('1.5GiB')
    (500000000, 1610612736)
    """
    word = text.strip()
    digits = word.rstrip('KMGTiBkmgtb')
    unit = word[len(digits) :].upper().removesuffix('B')
    try:
        value = int(float(digits) * _SIZES[unit])
    except (ValueError, KeyError, OverflowError):
        value = 0
    if value <= 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not a size such as 500M, 2G or 512MiB')
    return value


def number_list(text: str) -> tuple[float, ...]:
    """Numbers separated by commas.

    Parameters
    ----------
    text : str
        Such as ``1,2.5``.

    Returns
    -------
    tuple of float
        The numbers.

    Raises
    ------
    argparse.ArgumentTypeError
        When a piece is not a number.

    Examples
    --------
    >>> number_list('-5,1e3')
    (-5.0, 1000.0)
    """
    try:
        if '_' in text:  # Python would read 1_0 as a number
            raise ValueError(text)
        return tuple(float(piece) for piece in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a list of numbers such as 1,2.5') from None


def word_list(text: str) -> list[str]:
    r"""Words separated by commas; white space, newlines and backslash-newlines are ignored.

    Parameters
    ----------
    text : str
        Such as the recipe's keyword list, which goes over two lines.

    Returns
    -------
    list of str
        The words, without empty ones.

    Examples
    --------
    >>> word_list('OBJECT, EXPTIME,\\\nFILTER')
    ['OBJECT', 'EXPTIME', 'FILTER']
    """
    return [word for piece in text.split(',') if (word := piece.replace('\\\n', ' ').strip().strip('\\').strip())]


def duration(text: str) -> datetime.timedelta:
    """A length of time such as ``1h``, ``90s`` or ``1h30m``.

    Parameters
    ----------
    text : str
        Numbers, each with its unit: d, h, m or s; 0 needs none.

    Returns
    -------
    timedelta
        The length, not negative.

    Raises
    ------
    argparse.ArgumentTypeError
        When the text is no such length.

    Examples
    --------
    >>> duration('1h30m'), duration('0.5d'), duration('0')
    (datetime.timedelta(seconds=5400), datetime.timedelta(seconds=43200), datetime.timedelta(0))
    """
    word = ''.join(text.split())
    pieces = _PIECES.findall(word)
    if word != '0' and (not pieces or ''.join(number + unit for number, unit in pieces) != word):
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a length of time such as 1h, 30m, 90s or 1h30m')
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in pieces), datetime.timedelta())
    except OverflowError:
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is longer than any calendar') from None


# The registry of shared options: a command names those that it has.
def positive(text: str) -> int:
    """A whole number from 1.

    Parameters
    ----------
    text : str
        The number.

    Returns
    -------
    int
        The number.

    Raises
    ------
    argparse.ArgumentTypeError
        When it is not one.

    Examples
    --------
    >>> positive('2')
    2
    """
    if not (text.strip().isascii() and text.strip().isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'{text.strip()!r} is not a whole number from 1')
    return int(text)


_SHARED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    'images': (('images',), {'nargs': '*', 'metavar': 'IMAGES',
        'help': "files, 'a.fit,b.00[1-9].fit', @list, @- (standard input), file[EXT], file[x1:x2,y1:y2]"}),
    'output': (('-o', '--output'), {'metavar': 'OUT',
        'help': 'a file name for one output; else a root: ROOT.SEQ.EXT, or DIR/ to keep the names'}),
    'text-output': (('-o', '--output'), {'metavar': 'FILE', 'help': 'write the text there instead of standard output'}),
    'append': (('--append',), {'action': 'store_true', 'help': 'add the text to FILE'}),
    'force': (('-f', '--force'), {'action': 'store_true', 'help': 'replace outputs that exist'}),
    'skip-existing': (('--skip-existing',), {'action': 'store_true', 'help': 'pass over outputs that exist'}),
    'prefix': (('--prefix',), {'metavar': 'P', 'help': "put P before each input's name"}),
    'compress': (('--compress',), {'choices': ('gz', 'fz'),
        'help': 'write .gz (gzip) or .fz (tile-compressed, lossless) files'}),
    'set': (('--set',), {'metavar': 'KEY=VALUE', 'action': 'append', 'default': [], 'dest': 'cards',
        'help': 'put a card into the header of the output (repeatable)'}),
    'hdu': (('--hdu',), {'metavar': 'N|NAME[,VER]', 'help': 'the HDU to use; default: the first that holds an image'}),
    'null': (('-0', '--null'), {'action': 'store_true',
        'help': 'names in lists, and paths printed, end in NUL instead of newline'}),
    'long-null': (('--null',), {'action': 'store_true',
        'help': 'names in lists, and paths printed, end in NUL instead of newline'}),
    'dtype': (('--dtype',), {'choices': ('uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64'),
        'help': 'type of the output pixels; default: float32 unless the result needs float64'}),
    'dry-run': (('--dry-run',), {'action': 'store_true',
        'help': 'check everything and print what would be written; write nothing'}),
    'format': (('--format',), {'choices': ('table', 'tsv', 'csv', 'ecsv', 'jsonl'), 'default': 'table',
        'help': 'form of the text (default: table)'}),
    'memory': (('--memory',), {'metavar': 'SIZE', 'type': size,
        'help': 'memory for pixels, such as 500M or 2G (default: a quarter of RAM)'}),
    'jobs': (('-j', '--jobs'), {'metavar': 'N', 'type': positive,
        'help': 'threads (default: half as many as processors, up to 4)'}),
    'progress': (('--progress',), {'choices': ('auto', 'always', 'never'), 'default': 'auto',
        'help': 'progress line on standard error (default: on a terminal, for work longer than a second)'}),
    'bounds': (('-b', '--bounds'), {'nargs': 4, 'type': int, 'metavar': ('XMIN', 'XMAX', 'YMIN', 'YMAX'),
        'help': 'region of the image, or of the part behind its name: zero-based, upper end excluded; equal ends mean '
        'one pixel'}),
    'cube-bounds': (('-B', '--cube-bounds'), {'nargs': 6, 'type': int,
        'metavar': ('XMIN', 'XMAX', 'YMIN', 'YMAX', 'ZMIN', 'ZMAX'),
        'help': 'the same for a cube'}),
    'section': (('--section',), {'metavar': '[X1:X2,Y1:Y2]',
        'help': 'region in FITS terms, of the image or of the part behind its name: one-based, both ends included'}),
    'where': (('--where',), {'metavar': 'EXPR',
        'help': "take only the images for which this holds: \"FILTER in ('B', 'V') and 5 <= EXPTIME < 60\""}),
    'checksum': (('--checksum',), {'choices': ('warn', 'error', 'ignore'), 'default': 'warn',
        'help': 'what a wrong CHECKSUM or DATASUM of an input means (default: warn)'}),
    'max-size': (('--max-size',), {'metavar': 'SIZE', 'type': size, 'default': 2 * 10**10,
        'help': 'largest size a compressed input may unpack to (default: 20G)'}),
}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An argument parser that says a usage error in one line and exits with 2.

    Parameters
    ----------
    prog : str
        Name of the command.
    manual : str
        Docstring of its module: the description, then the section Examples, which
        belongs at the end of the help.
    """

    def __init__(self, prog: str, manual: str) -> None:
        description, _, examples = manual.partition('\nExamples\n--------\n')
        super().__init__(prog=prog, description=description.strip(), epilog=f'examples:\n{examples.rstrip()}',
                         formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)  # fmt: skip
        self.add_argument('--version', action='version', version=f'{prog} (fitsutils) {__version__}')
        self.add_argument('-v', '--verbose', action='store_true', help='say on standard error what is being done')
        self.add_argument('-q', '--quiet', action='store_true', help='do not print the paths of the files written')

    def share(self, *names: str, **changes: Any) -> None:
        """Add options of the shared registry.

        Parameters
        ----------
        *names : str
            Names in the registry.
        **changes : Any
            Arguments of `add_argument` that differ here, such as ``help``.
        """
        for name in names:
            flags, settings = _SHARED[name]
            self.add_argument(*flags, **{**settings, **changes})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line in one line; exit with 2.

        Parameters
        ----------
        message : str
            What argparse found.
        """
        self.exit(USAGE, f"{self.prog}: {visible(message)} (try '{self.prog} --help')\n")

    def _print_message(self, message: str, file: TextIO | None = None) -> None:
        # argparse passes over a full or closed standard output as if nothing had been lost.
        if file is not None and file is sys.stderr:
            with contextlib.suppress(OSError):
                file.write(message)
        elif message and not (sys.stdout is None and sys.stderr is None):
            show(message)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Arguments, with options anywhere and negative numbers as values.

        Parameters
        ----------
        argv : sequence of str
            The words after the command's name.

        Returns
        -------
        argparse.Namespace
            The parsed arguments.
        """
        words, behind = list(argv), []
        if '--' in words:
            cut = words.index('--')
            words, behind = words[:cut], words[cut + 1 :]
        args = self.parse_intermixed_args(list(map(self._guarded, words, ['', *words])))
        for name, value in vars(args).items():
            setattr(args, name, _unguarded(value))
        if hasattr(args, 'images'):
            args.images += behind
        elif behind:
            self.error(f'unexpected words after --: {" ".join(behind)}')
        return args

    def _guarded(self, word: str, before: str) -> str:
        """A word that argparse must not take for an option (-1e-3, -5,5, a value such as -KEY), behind a space."""
        if not word.startswith('-') or word in self._option_string_actions:
            return word
        action = self._option_string_actions.get(before)
        if action is not None and action.nargs is None and word != '-':
            return f' {word}'
        try:
            number_list(word)
        except argparse.ArgumentTypeError:
            return word
        return f' {word}'


def _unguarded(value: Any) -> Any:
    """Words without the space that `Parser._guarded` put before them."""
    if isinstance(value, list):
        return [_unguarded(item) for item in value]
    return value[1:] if isinstance(value, str) and value.startswith(' -') else value


def default_jobs() -> int:
    """How many threads work where ``-j`` is not given.

    Returns
    -------
    int
        Half as many as processors that this process may use, from 1 to 4: two of them are often
        one core, on which a second thread takes more than it gives.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(1, min(usable // 2, 4))


def in_threads(work: Callable[[Any], Any], items: Iterable[Any], jobs: int, *, apart: bool = False) -> Iterator[Any]:
    """Results of a function for each item, in the order of the items.

    Parameters
    ----------
    work : callable
        Takes an item; runs in `jobs` threads, or in this one where `jobs` is 1.
    items : iterable
        The items.
    jobs : int
        How many items are worked on at once.
    apart : bool
        Whether a single thread is one of its own, ahead of this one.

    Yields
    ------
    object
        What `work` gave; an error that it raised comes up at its item's turn.

    Examples
    --------
    >>> list(in_threads(len, ['a', 'bcd'], 2))
    [1, 3]
    """
    if jobs == 1 and not apart:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    waiting: collections.deque[Any] = collections.deque()
    pool = ThreadPoolExecutor(jobs)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > jobs:
                yield _awaited(waiting.popleft())
        while waiting:
            yield _awaited(waiting.popleft())
    except BaseException as error:
        # A signal does not wait for a thread that hangs on a disk.
        pool.shutdown(wait=isinstance(error, (Exception, GeneratorExit)), cancel_futures=True)
        raise
    pool.shutdown()


def flushed_behind(
    begin: Callable[[Any], tuple[Any, Callable[[], None]]], items: Iterable[Any], jobs: int = 2
) -> Iterator[tuple[Any, Any, Exception | None]]:
    """Begin the output of each item here and finish it in threads: while one is flushed the next ones are computed.

    Parameters
    ----------
    begin : callable
        Takes an item; gives what is to be told of it, and what gives the written file its name.
    items : iterable
        The items.
    jobs : int
        Outputs that are flushed to the disk at once.

    Yields
    ------
    tuple
        The item, what is to be told of it, and the error that its output failed with, or None: a
        failure, an error of the operating system or a lack of memory. In the order of the items.

    Examples
    --------
    >>> list(flushed_behind(lambda item: (2 * item, lambda: None), [1, 2]))
    [(1, 2, None), (2, 4, None)]
    """

    def begun() -> Iterator[tuple[Any, Any, Callable[[], None] | Exception]]:
        for item in items:
            try:
                yield item, *begin(item)
            except (Failure, OSError, MemoryError) as error:
                yield item, None, error

    def finished(work: tuple[Any, Any, Callable[[], None] | Exception]) -> tuple[Any, Any, Exception | None]:
        item, told, finish = work
        if isinstance(finish, Exception):
            return item, told, finish
        try:
            finish()
        except (Failure, OSError, MemoryError) as error:
            return item, told, error
        return item, told, None

    yield from in_threads(finished, begun(), jobs)


def _awaited(future: Any) -> Any:
    """The result of a thread's work; a signal that comes just before the wait is not kept waiting with it."""
    while True:
        try:
            return future.result(timeout=0.2)
        except TimeoutError:
            if future.done():
                return future.result()


def default_memory() -> int:
    """A quarter of the machine's memory.

    Returns
    -------
    int
        Bytes.
    """
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 4


class Job:
    """One run of a command: what it says, and the status that it will end with.

    Parameters
    ----------
    args : argparse.Namespace
        The parsed arguments.
    prog : str
        Name of the command, which begins every message.
    """

    def __init__(self, args: argparse.Namespace, prog: str) -> None:
        self.prog = prog
        self.status = DONE
        self._verbose = args.verbose
        self._quiet = args.quiet
        self._progress = getattr(args, 'progress', 'auto')
        self._end = '\0' if getattr(args, 'null', False) else '\n'

    def say(self, text: str) -> None:
        """A line on standard error.

        Parameters
        ----------
        text : str
            What to say; control characters are made visible.
        """
        complain(self.prog, text)

    def detail(self, text: str) -> None:
        """A line on standard error with ``-v``.

        Parameters
        ----------
        text : str
            What is being done.
        """
        if self._verbose:
            complain(self.prog, text)

    def fail(self, error: BaseException) -> None:
        """Report something that failed; the other work goes on, the status will be 1.

        Parameters
        ----------
        error : BaseException
            What happened.
        """
        self.say(reason(error))
        self.status |= FAILED

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """A block whose failure is reported and does not stop the rest.

        Yields
        ------
        None
            Nothing.
        """
        try:
            yield
        except (BrokenPipeError, UsageError, OutputFailure):
            raise
        except (Failure, OSError, MemoryError) as error:
            self.fail(error)

    def wrote(self, path: str | None) -> None:
        """Print the path of a file that was written.

        Parameters
        ----------
        path : str or None
            The file; None, when it went to standard output, prints nothing.
        """
        if path is not None and not self._quiet:
            show(path + self._end)

    def progress(self, total: int, what: str) -> 'Progress':
        """A progress line for `total` steps.

        Parameters
        ----------
        total : int
            Number of steps.
        what : str
            What a step is, in the plural: 'images', 'rows'.

        Returns
        -------
        Progress
            A context manager; call its `step`.
        """
        return Progress(total, what, self._progress)


class Progress:
    """A line on standard error that says how far the work is.

    Parameters
    ----------
    total : int
        Number of steps.
    what : str
        What a step is, in the plural.
    mode : {'auto', 'always', 'never'}
        'auto' shows it on a terminal, from the second second on.
    """

    def __init__(self, total: int, what: str, mode: str = 'auto') -> None:
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = (mode == 'always' and sys.stderr is not None) or (mode == 'auto' and terminal)
        self._total, self._what, self._done = total, what, 0
        self._start = time.monotonic()
        self._next = self._start + (0 if mode == 'always' else 1)
        self._dirty = False

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *_: object) -> None:
        if self._dirty:
            self._write('\r\x1b[K' if sys.stderr.isatty() else '\n')

    def step(self, count: int = 1) -> None:
        """Say that `count` more steps are done.

        Parameters
        ----------
        count : int
            Number of steps.
        """
        self._done += count
        now = time.monotonic()
        if self._shown and (now >= self._next or (self._dirty and self._done == self._total)):
            self._next = now + 0.2
            self._dirty = True
            self._write(f'\r{self._line(now - self._start)}')

    def _line(self, seconds: float) -> str:
        rate = self._done / seconds if seconds > 0 else 0.0
        left = (self._total - self._done) / rate if rate > 0 else 0.0
        return f'{self._done}/{self._total} {self._what}, {rate:.3g}/s, {left:.0f} s left  '

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def complain(prog: str, text: str, *more: str) -> None:
    """One line on standard error; a closed standard error is no reason to stop.

    Parameters
    ----------
    prog : str
        Name of the command.
    text : str
        What to say.
    *more : str
        Lines that show the place that is meant.
    """
    if sys.stderr is None:
        return
    if sys.stdout is not None:
        with contextlib.suppress(OSError):  # said when the work is over
            sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.write(''.join(f'{line}\n' for line in (f'{prog}: {visible(text)}', *map(visible, more))))
        sys.stderr.flush()


def reason(error: BaseException) -> str:
    """What went wrong, in words for the user.

    Parameters
    ----------
    error : BaseException
        A failure of ours or of the operating system.

    Returns
    -------
    str
        One line, beginning with the file where one is known.
    """
    if isinstance(error, OSError) and error.strerror:
        return f'{os.fsdecode(error.filename)}: {error.strerror}' if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return 'not enough memory; a smaller --memory or a region may help'
    return str(error)


class _Killed(BaseException):
    """A signal that asks the process to end: unwinds the stack, so that temporary files go."""


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_caught: list[int] = []  # the signal that ends this run


def _raise_killed(number: int, _frame: object) -> NoReturn:
    for other in _ENDING:
        if signal.getsignal(other) is _raise_killed:  # a second Ctrl-C must not stop the cleaning up
            signal.signal(other, signal.SIG_IGN)
    _caught.append(number)
    raise _Killed(number)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP unwind the stack unless the caller ignores them."""
    mine = {}
    with contextlib.suppress(ValueError):  # not the main thread: signals are not ours
        for number in _ENDING:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                mine[number] = signal.signal(number, _raise_killed)
    try:
        yield
    finally:
        for number, handler in mine.items():
            signal.signal(number, handler)


def _die(number: int) -> NoReturn:
    """End as a process that the signal had killed, so that shells and make see it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)  # reached only where the signal is blocked


@contextlib.contextmanager
def _spoken_warnings(prog: str) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter('always', FileWarning)

        def show(message: Warning | str, *_: object, **__: object) -> None:
            complain(
                prog,
                f'warning: {message}'
                if isinstance(message, FileWarning)
                else f'warning: {type(message).__name__}: {message}',
            )

        warnings.showwarning = show
        yield


def _settle_output() -> None:
    """Flush standard output; what can't be written there is a failure, and said once."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # The interpreter would try again at its end and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputFailure(f'standard output: {error.strerror}') from None


Verb = Callable[[argparse.Namespace, Job], None]


def _remove_unfinished() -> None:
    """Remove what threads that are not waited for have left."""
    for path in list(unfinished):
        with contextlib.suppress(OSError):
            os.unlink(path)


def _collect_seldom() -> None:
    """Keep the collector of cyclic garbage out of a short process's way.

    While numpy and astropy load it looks a thousand times, and once more at
    the end, through what stays anyway: a fifth of a short command's time.
    """
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)


def run(build_parser: Callable[[], Parser], verb: Verb, argv: Sequence[str] | None = None) -> int:
    """Parse the command line, do the verb, and turn all that can happen into a status.

    Parameters
    ----------
    build_parser : callable
        Gives the command's parser.
    verb : callable
        ``verb(args, job)`` does the work.
    argv : sequence of str, optional
        The words after the command's name; default: the process's own.

    Returns
    -------
    int
        0 done, 1 something failed, 2 wrong command line, 3 a quality check failed.
    """
    # Nothing here needs a matrix library's threads, and numpy would start one for each core at import.
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    if not os.access(os.path.expanduser('~'), os.R_OK | os.X_OK):
        # astropy looks for settings there, and stumbles over a folder that it may not read.
        os.environ['HOME'] = '/nonexistent'
    if argv is None:
        _collect_seldom()
    parser = build_parser()
    _caught.clear()
    try:
        with _signals(), _spoken_warnings(parser.prog), _whole_output():
            return _outcome(parser, verb, sys.argv[1:] if argv is None else argv)
    except BaseException as error:
        # Code that a signal interrupts may turn _Killed into an error of its own, as numpy's import does.
        if _caught:
            _remove_unfinished()
            _die(_caught[0])
        if not isinstance(error, BrokenPipeError):
            raise
    if sys.stdout is not None:  # nobody reads any more: end as other Unix filters do
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _die(signal.SIGPIPE)


@contextlib.contextmanager
def _whole_output() -> Iterator[None]:
    """Standard output that loses nothing, and gives names of files as the bytes that they are on disk."""
    before = sys.stdout
    form = {'encoding': sys.getfilesystemencoding(), 'errors': 'surrogateescape'}
    if isinstance(before, io.TextIOWrapper):
        if isinstance(before.buffer, io.RawIOBase):
            # With PYTHONUNBUFFERED a write that stops half-way, on a full disk, passes for a whole one.
            sys.stdout = open(before.fileno(), 'w', buffering=1, closefd=False, **form)  # noqa: SIM115
        else:
            before.reconfigure(**form)
    try:
        yield
    finally:
        if sys.stdout is not before:
            with contextlib.suppress(OSError):
                sys.stdout.close()
            sys.stdout = before


def _outcome(parser: Parser, verb: Verb, argv: Sequence[str]) -> int:
    status = DONE
    try:
        try:
            args = parser.parse(argv)
            job = Job(args, parser.prog)
            verb(args, job)
            status = job.status
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            _settle_output()
    except UsageError as error:
        complain(parser.prog, f"{error.headline} (try '{parser.prog} --help')", *error.excerpt)
        return USAGE
    except QualityFailure as error:
        complain(parser.prog, str(error))
        return QUALITY
    except BrokenPipeError:
        raise
    except (Failure, OSError, MemoryError) as error:
        complain(parser.prog, reason(error))
        return FAILED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith('fitsutils'):
            raise
        if error.name.partition('.')[0] == 'matplotlib':
            complain(parser.prog, "matplotlib is not installed: pip install 'fitsutils[plot]'")
        else:
            complain(parser.prog, f'{error.name} is not installed for {sys.executable}: pip install {error.name}')
        return FAILED
    return status
