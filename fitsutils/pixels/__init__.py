"""Numbers: ndarrays in, ndarrays out; never a path or a header."""

import importlib
import types

__all__ = [
    'arithmetic',
    'badpixels',
    'combining',
    'darkcurrent',
    'gathered',
    'growing',
    'hotpixels',
    'illumination',
    'likeness',
    'marking',
    'noise',
    'orientation',
    'overscan',
    'planes',
    'rejection',
    'response',
    'scaling',
    'shapes',
    'sorting',
    'stats',
]


def __getattr__(name: str) -> types.ModuleType:
    # Submodules load at their first use: a command imports this package for nothing
    # but its name, so that --help does not wait for numpy and astropy.
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return importlib.import_module(f'{__name__}.{name}')
