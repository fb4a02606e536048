"""FITS as astropy knows it, loaded when something of it is first used.

It takes longer to load than a stack of plain frames takes to combine, and
those need nothing of it: their headers are `plain.PlainHeader`.
"""

from typing import Any


class _Library:
    """Stands for the module: ``fits.Header`` is astropy's."""

    def __getattr__(self, name: str) -> Any:
        from astropy.io import fits

        found = getattr(fits, name)
        setattr(self, name, found)
        return found


fits = _Library()
