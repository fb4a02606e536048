"""The command lines of our commands and of their peers, task by task.

A task is median, sigma, minmax, subtract, stats or log. Every function gives the job for it on the named files, or
nothing where the peer has no such task; all run in the folder of the stacks and write into a folder of their own.
"""

import shutil
import sys
from pathlib import Path

from bench.clock import Job, own_folder, path_of, version

BIN = Path(__file__).resolve().parents[2] / 'bin'
KEYS = 'OBJECT,EXPTIME,FILTER,AIRMASS,DATE-OBS'
COMBINATIONS = 'median', 'sigma', 'minmax'
MINMAX = '-m', 'mean', '-c', 'max', '-d', '1', '-n', 'mean'


def made(task, names):
    """What a task leaves behind: FITS files or lines of text."""
    if task in COMBINATIONS:
        return {'images': 1}
    return {'images' if task == 'subtract' else 'lines': len(names)}


def ours(task, names, name, extra=()):
    folder = own_folder(name)
    command, *words = {
        'median': ['combine_fits', *names, '-m', 'median', '-o', f'{folder}/result.fits'],
        'sigma': ['combine_fits', *names, '-m', 'mean', '-c', 'sigma', '-d', '3', '-o', f'{folder}/result.fits'],
        'minmax': ['combine_fits', *names, *MINMAX, '-o', f'{folder}/result.fits'],
        'subtract': ['img_arith', *names, '-', names[0], '-o', f'{folder}/'],
        'stats': ['img_stats', *names, '-s', 'num,mean,median,rms', '--format', 'tsv'],
        'log': ['img_log', *names, '-k', f'Filename,{KEYS}'],
    }[task]
    return Job(name, (sys.executable, str(BIN / command), *words, *extra), **made(task, names))


def floor(names, name, images, size):
    words = sys.executable, str(path_of('floor.py')), own_folder(name), str(images), str(size), *names
    return Job(name, words, images=images)


CLIPPING = {
    'median': 'combine="median", reject="none"',
    'sigma': 'combine="average", reject="sigclip", mclip=yes, lsigma=3., hsigma=3., nkeep=1',
    'minmax': 'combine="average", reject="minmax", nlow=0, nhigh=1, scale="mean"',
}


def iraf_task(task, first, folder):
    if task in COMBINATIONS:
        return f'imcombine ("@{folder}/in", "{folder}/result.fits", {CLIPPING[task]}, logfile="")'
    return {
        'subtract': f'imarith ("@{folder}/in", "-", "{first}", "@{folder}/to", pixtype="real", calctype="real")',
        'stats': f'imstatistics ("@{folder}/in", fields="npix,mean,midpt,stddev", nclip=0, format=no)',
        'log': f'hselect ("@{folder}/in", "$I,{KEYS}", "yes")',
    }[task]


def iraf(task, names, name):
    folder = own_folder(name)
    texts = {
        'in': '\n'.join(names) + '\n',
        'to': ''.join(f'{folder}/{Path(path).name}\n' for path in names),
        # The CL waits at its prompt for ever unless it is told to leave.
        'script.cl': f'{iraf_task(task, names[0], folder)}\nlogout\n',
    }
    remark = {'stats': 'its median from a histogram', 'minmax': 'its levels from a sample'}.get(task, '')
    words = iraf_program(), '-f', f'{folder}/script.cl'
    return Job(name, words, texts=texts, private=True, remark=remark, **made(task, names))


def iraf_program():
    return shutil.which('irafcl') or shutil.which('ecl')


def siril(task, names, name):
    """Stacking only: no rank clipping, and a sequence of links first."""
    stacking = {'median': 'med -nonorm', 'sigma': 'rej s 3 3 -nonorm'}.get(task)
    if stacking is None:
        return None
    folder = own_folder(name)
    lines = 'requires 1.0.0', 'setext fits', 'set32bits', f'cd {Path(names[0]).parent}'
    lines += f'link p -out=../{folder}/seq', f'cd ../{folder}/seq', f'stack p {stacking} -out=../result', 'close'
    script = {'script.ssf': '\n'.join(lines) + '\n'}
    words = 'siril-cli', '-s', f'{folder}/script.ssf', '-d', '.'
    # It writes 0..1 for the range of 16 bits.
    return Job(name, words, images=1, texts=script, private=True, unit=65535)


def gnuastro_stack(task, names):
    """An expression in reverse Polish notation; without float32 it computes in the type of the file."""
    if task == 'median':
        return [word for path in names for word in (path, 'float32')] + [str(len(names)), 'median']
    if task == 'sigma':
        return [word for path in names for word in (path, 'float32')] + f'{len(names)} 3 0.0001 sigclip-mean'.split()
    scaled = [f'i{number}' for number in range(len(names))]
    words = f'{names[0]} float32 set-i0'.split()
    for label, path in zip(scaled[1:], names[1:], strict=True):
        words += f'{path} float32 set-a a i0 meanvalue a meanvalue / x float32 set-{label}'.split()
    count = str(len(names))
    return [*words, *scaled, count, 'sum', *scaled, count, 'max', '-', str(len(names) - 1), '/']


def gnuastro(task, names, name):
    folder, remark = own_folder(name), ''
    if task in COMBINATIONS:
        words = 'astarithmetic', *gnuastro_stack(task, names), '-g0', '-q', '-o', f'{folder}/result.fits'
        remark = 'until sigma settles to 1e-4' if task == 'sigma' else ''
    elif task == 'subtract':
        loop = 'for f; do astarithmetic "$f" float32 "$B" float32 - -g0 -q -o "$D/${f##*/}" || exit; done'
        words = 'sh', '-c', f'B={names[0]} D={folder}; {loop}', 'sh', *names
    elif task == 'stats':
        loop = 'for f; do aststatistics "$f" -h0 --number --mean --median --std || exit; done'
        words = 'sh', '-c', loop, 'sh', *names
    else:
        words = 'astfits', *names, '-h0', f'--keyvalue={KEYS}'
    return Job(name, words, private=True, remark=remark, **made(task, names))


def ccdproc(task, names, name, python):
    """All but statistics, through the least script a user would write."""
    if task == 'stats':
        return None
    remark = {'sigma': 'one pass is what it has', 'minmax': 'scaled before: its own comes after the clipping'}.get(
        task, ''
    )
    task_word = f'log:file,{KEYS}' if task == 'log' else task
    words = python, str(path_of('ccdproc_driver.py')), task_word, own_folder(name), *names
    return Job(name, words, remark=remark, **made(task, names))


def has_ccdproc(python):
    return shutil.which(python) and version([python, '-c', 'import ccdproc; print(ccdproc.__version__)']) != 'unknown'


def installed(wanted, python):
    """The wanted peers that are here, and a note on those that are not."""
    here = {'IRAF': iraf_program(), 'Siril': shutil.which('siril-cli'), 'Gnuastro': shutil.which('astarithmetic')}
    jobs = {'IRAF': iraf, 'Siril': siril, 'Gnuastro': gnuastro}
    if 'ccdproc' in wanted:
        here['ccdproc'] = has_ccdproc(python)
        jobs['ccdproc'] = lambda task, names, name: ccdproc(task, names, name, python)
    found = {name: jobs[name] for name in wanted if here[name]}
    return found, [f'{name} is not installed: left out' for name in wanted if not here[name]]


def versions(found, python):
    asked = {
        'IRAF': [iraf_program(), '-v'],
        'Siril': ['siril-cli', '--version'],
        'Gnuastro': ['astarithmetic', '--version'],
        'ccdproc': [python, '-c', 'import ccdproc; print(ccdproc.__version__)'],
    }
    return ', '.join(f'{name} {version(asked[name])}' for name in found)
