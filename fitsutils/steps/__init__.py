"""Where files and pixels meet: one step of a reduction a module, so that commands read as recipes."""

import importlib
import types

__all__ = [
    'darkrates',
    'darks',
    'frames',
    'operations',
    'responses',
    'selection',
    'stacking',
    'trims',
]


def __getattr__(name: str) -> types.ModuleType:
    # Submodules load at their first use: a command imports this package for nothing
    # but its name, so that --help does not wait for numpy and astropy.
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return importlib.import_module(f'{__name__}.{name}')
