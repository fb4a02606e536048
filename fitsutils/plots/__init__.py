"""Figures: arrays and rows in, PNG, PDF or a window out."""

import importlib
import os
import sys
import types

__all__ = [
    'animation',
    'frame',
    'histogram',
    'image',
    'limits',
    'line',
    'page',
    'painting',
    'response',
    'scatter',
    'screen',
    'sheet',
    'ticks',
    'view',
]


def __getattr__(name: str) -> types.ModuleType:
    # Submodules load at their first use: a command imports this package for nothing
    # but its name, so that --help does not wait for numpy and astropy.
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    if 'matplotlib' not in sys.modules:
        _load_matplotlib()
    return importlib.import_module(f'{__name__}.{name}')


def _load_matplotlib() -> None:
    import logging  # here, because it takes 10 ms that --help need not wait for

    # Where matplotlib keeps its caches is nothing that our user asked about.
    logging.getLogger('matplotlib').setLevel(logging.ERROR)
    try:
        importlib.import_module('matplotlib')
    except ValueError:
        # A matplotlibrc that can't be read, or the MPLBACKEND of a notebook that is not installed here:
        # a picture needs neither.
        for module in [each for each in sys.modules if each.partition('.')[0] == 'matplotlib']:
            del sys.modules[module]
        os.environ.pop('MPLBACKEND', None)
        os.environ['MATPLOTLIBRC'] = os.devnull
        try:
            importlib.import_module('matplotlib')
        except ValueError as error:  # a matplotlibrc in the current folder comes first whatever is said
            raise OSError(f'matplotlib does not load: {error}') from None
