"""FITS as astropy knows it, loaded when something of it is first used.

It takes longer to load than a stack of plain frames takes to combine, and
those need nothing of it: their headers are `plain.PlainHeader`.
"""

import importlib
import types
import warnings
from typing import Any


def load(name: str) -> types.ModuleType:
    """A module of astropy.

    Parameters
    ----------
    name : str
        Such as 'astropy.wcs'.

    Returns
    -------
    module
        Loaded, and warnings still go where they went: astropy takes them for its own log when it loads.
    """
    shown = warnings.showwarning
    try:
        return importlib.import_module(name)
    finally:
        warnings.showwarning = shown


class _Library:
    """Stands for the module: ``fits.Header`` is astropy's."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(load('astropy.io.fits'), name)
        setattr(self, name, found)
        return found


fits = _Library()
