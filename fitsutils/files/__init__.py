"""The outside world: the only folder that opens, names or writes files."""

import importlib
import types

__all__ = [
    'amplifiers',
    'calibrated',
    'cards',
    'checks',
    'checksum',
    'comparing',
    'detector',
    'edits',
    'expression',
    'grouping',
    'hdus',
    'header',
    'inputs',
    'keywords',
    'library',
    'lists',
    'makefile',
    'masks',
    'naming',
    'nights',
    'oddheader',
    'output',
    'pairs',
    'patterns',
    'perframe',
    'pictures',
    'placing',
    'plain',
    'presets',
    'provenance',
    'reader',
    'regions',
    'renaming',
    'section',
    'stack',
    'stored',
    'table',
    'trimming',
    'turning',
    'where',
    'world',
    'writer',
]


def __getattr__(name: str) -> types.ModuleType:
    # Submodules load at their first use: a command imports this package for nothing
    # but its name, so that --help does not wait for numpy and astropy.
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return importlib.import_module(f'{__name__}.{name}')
