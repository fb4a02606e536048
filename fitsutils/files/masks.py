"""The images that go with each image of a stack: bad pixels and uncertainties."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fitsutils.errors import Failure, UsageError, warn
from fitsutils.files import hdus, perframe
from fitsutils.files import header as headers
from fitsutils.files.inputs import Hdu, Reference, expand, parse_hdu
from fitsutils.files.reader import Image, open_image, read_pixels

_KEYWORD = re.compile(r'[A-Z0-9_ -]+')
_FOLDERS = re.compile(r'[/\\$]')  # of Unix, of Windows, and IRAF's logical ones
_EXTENSION = re.compile(r'(.+)\[([^\[\]]+)\]\Z', re.DOTALL)
_UNCERTAINTIES = ('UNCERT', 'VAR', 'IVAR')
_MASKS = ('MASK', 'DQ', 'BADPIX')
_KINDS = {'VAR': 'var', 'IVAR': 'ivar'}
_UTYPES = {'STDDEVUNCERTAINTY': 'std', 'VARIANCEUNCERTAINTY': 'var', 'INVERSEVARIANCE': 'ivar'}


def for_images(word: str, images: Sequence[Image], roster: Sequence[Any] | None = None) -> list[Image]:
    """The mask of each image.

    Parameters
    ----------
    word : str
        What ``--mask`` says. Tried in this order: files, in any form that
        `inputs.expand` takes, one for all images or one for each in their order; an extension
        that the first image's file has, then each image's own, of the image's own
        EXTVER where there is one; a keyword of the first image's header, then each image's own,
        which names a file in the image's folder, whatever folder it says.
    images : sequence of Image
        The images.
    roster : sequence of Image or Unread, optional
        All images that a list of masks goes with, where some are left out of `images`.

    Returns
    -------
    list of Image
        Masks of the images' sizes, or of those of their planes; not 0 is bad. A mask that is named
        many times is the same object.

    Raises
    ------
    Failure
        When the word is none of these, an image has no mask, or a mask does not fit.
    """
    shelf = _Shelf()
    files = _files(word, len(images if roster is None else roster))
    references = (
        (files and perframe.picked(files, images, roster))
        or _extensions(word, images, shelf)
        or _keywords(word, images)
    )
    if references is None:
        raise Failure(f'it has no extension and no keyword {word!r}, and there is no such mask file', images[0].path)
    return [shelf.fitted(reference, image) for reference, image in zip(references, images, strict=True)]


def companions(images: Sequence[Image], names: Sequence[str] = _UNCERTAINTIES) -> list[tuple[Image, str]] | None:
    """The uncertainty that lies beside each image, in an extension of its file.

    Parameters
    ----------
    images : sequence of Image
        The images.
    names : sequence of str
        Names of extensions; that counts which the first image has, the first of several.

    Returns
    -------
    list of (Image, {'std', 'var', 'ivar'}) or None
        An image of each image's size, and whether it holds standard deviations,
        variances or their inverse: VAR and IVAR say so, others by their UTYPE. None where no image has
        such an extension.

    Raises
    ------
    Failure
        When some images have the extension and some don't, or it does not fit.
    """
    shelf = _Shelf()
    name = next((name for name in names if shelf.find(images[0], name) is not None), None)
    if name is None:
        for image in images[1:]:
            if any(shelf.find(image, each) is not None for each in names):
                raise Failure(f'it has an extension {" or ".join(names)}, and {images[0].path} has none', image.path)
        return None
    references = [shelf.needed(image, name) for image in images]
    found = [shelf.fitted(reference, image) for reference, image in zip(references, images, strict=True)]
    return [(image, _KINDS.get(name) or _kind(image)) for image in found]


def uncertainty(image: Image) -> tuple[Image, str] | None:
    """The uncertainty that lies beside an image, if there is one of use; a warning says where there is one of none.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    (Image, {'std', 'var', 'ivar'}) or None
        As of `companions`.
    """
    try:
        found = companions([image])
    except Failure as error:
        warn(f'uncertainties are not carried on: {error}')
        return None
    return found and found[0]


class Baggage(NamedTuple):
    """What an image brings along in extensions of its file.

    Attributes
    ----------
    uncertainty : (Image, str) or None
        As of `companions`.
    mask : Image or None
        Pixels that are bad, not 0: MASK, DQ or BADPIX.
    max_size : int
        Bytes that a compressed file may unpack to.
    """

    uncertainty: tuple[Image, str] | None = None
    mask: Image | None = None
    max_size: int = 2 * 10**10

    def deviation(self) -> NDArray[np.float64] | float:
        """Standard deviations of the image's shape or of its planes'; 0 where it brings none along."""
        return 0.0 if self.uncertainty is None else read_deviation(self.uncertainty, max_size=self.max_size)

    def bad(self) -> NDArray[np.bool_] | bool:
        """Where the mask is not 0, NaN too; False where there is none."""
        return False if self.mask is None else read_pixels(self.mask, max_size=self.max_size) != 0


def baggage(image: Image, *, max_size: int = 2 * 10**10) -> Baggage:
    """What an image brings along; what is of no use is warned of and left.

    Parameters
    ----------
    image : Image
        The image.
    max_size : int
        Bytes that a compressed file may unpack to.

    Returns
    -------
    Baggage
        Its uncertainty and its mask.
    """
    if not image.may_have_company:
        return Baggage()
    shelf = _Shelf()
    if shelf.name_of(image) in (*_UNCERTAINTIES, *_MASKS):  # it is such an extension itself
        return Baggage()
    return Baggage(uncertainty(image), _own_mask(image, shelf), max_size)


def _own_mask(image: Image, shelf: _Shelf) -> Image | None:
    found = next((there for name in _MASKS if (there := shelf.find(image, name)) is not None), None)
    if found is None:
        return None
    try:
        return shelf.fitted(found, image)
    except Failure as error:
        warn(f'its mask is not carried on: {error}')
        return None


def read_deviation(companion: tuple[Image, str], *, max_size: int = 2 * 10**10) -> NDArray[np.float64]:
    """Standard deviations from whatever kind of uncertainty.

    Parameters
    ----------
    companion : (Image, {'std', 'var', 'ivar'})
        As of `companions`.
    max_size : int
        Bytes that a compressed file may unpack to.

    Returns
    -------
    ndarray of float64
        Shape of the image; NaN where a variance says nothing.

    Raises
    ------
    Failure
        When the file can't be read.
    """
    image, kind = companion
    values = read_pixels(image, max_size=max_size).astype('f8')
    with np.errstate(divide='ignore', invalid='ignore'):
        found = values if kind == 'std' else np.sqrt(values if kind == 'var' else 1 / values)
    found[~(np.isfinite(found) & (found >= 0))] = np.nan
    return found


def _kind(image: Image) -> str:
    said = str(headers.value(image.keywords, 'UTYPE') or 'StdDevUncertainty').strip()
    if said.upper() not in _UTYPES:
        raise Failure(f'UTYPE = {said!r} of {image.name} is no standard deviation, variance or inverse', image.path)
    return _UTYPES[said.upper()]


def _files(word: str, count: int) -> list[Reference] | None:
    """The files that a word names, if it names any that exist."""
    is_list = word.startswith('@')
    try:
        references = expand([word])
    except Failure:
        if is_list:
            raise
        return None
    if not is_list and not any(os.path.isfile(reference.path) for reference in references):
        return None
    if len(references) not in (1, count):
        raise Failure(f'{len(references)} masks for {count} images: one for all or one for each is wanted', word)
    return references * count if len(references) == 1 else references


def _extensions(word: str, images: Sequence[Image], shelf: _Shelf) -> list[Reference] | None:
    bare = word.strip()
    try:
        hdu = parse_hdu(bare[1:-1] if bare.startswith('[') and bare.endswith(']') else bare)
    except UsageError:
        return None
    if shelf.find(images[0], hdu) is None:
        return None
    return [shelf.needed(image, hdu) for image in images]


def _keywords(word: str, images: Sequence[Image]) -> list[Reference] | None:
    key = word.strip().upper()
    if not _KEYWORD.fullmatch(key) or headers.value(images[0].keywords, key) is None:
        return None
    return [_named_in_header(image, key) for image in images]


def _named_in_header(image: Image, key: str) -> Reference:
    """The file in the image's own folder that its header names: no header chooses a folder."""
    said = headers.value(image.keywords, key)
    if said is None:
        raise Failure(f'keyword {key}, which names the mask of other images, is missing', image.path)
    name = _FOLDERS.split(str(said).strip())[-1]
    folder = os.path.dirname(image.path)
    if os.path.isfile(path := os.path.join(folder, name)):
        return Reference(path)
    if (match := _EXTENSION.match(name)) and os.path.isfile(path := os.path.join(folder, match[1])):
        try:
            return Reference(path, parse_hdu(match[2]))
        except UsageError as error:
            raise Failure(f'keyword {key} = {said!r} names no mask: {error}', image.path) from None
    raise Failure(f'keyword {key} = {said!r} names a mask that is not there: {name!r} in its folder', image.path)


class _Shelf:
    """Files that are looked into once, and images that are opened once."""

    def __init__(self) -> None:
        self._names: dict[str, dict[int, tuple[str, int]]] = {}
        self._images: dict[Reference, Image] = {}
        self._fitted: dict[tuple[Reference, str], Image] = {}

    def find(self, image: Image, hdu: Hdu) -> Reference | None:
        """An HDU of the image's own file."""
        if not image.may_have_company and hdu not in (image.index, 'PRIMARY'):
            return None
        names = self._names_in(image.path)
        if isinstance(hdu, int):
            return Reference(image.path, hdu) if hdu in names else None
        if isinstance(hdu, tuple):
            return Reference(image.path, hdu) if hdu in names.values() else None
        versions = [version for name, version in names.values() if name == hdu]
        if not versions:
            return None
        own = names.get(image.index, ('', 1))[1]
        return Reference(image.path, (hdu, own if own in versions else versions[0]))

    def name_of(self, image: Image) -> str:
        """The EXTNAME of an image's own HDU."""
        return self._names_in(image.path).get(image.index, ('', 1))[0]

    def _names_in(self, path: str) -> dict[int, tuple[str, int]]:
        if path not in self._names:
            with hdus.named_errors(path), hdus.open_bytes(path) as file:
                self._names[path] = {hdu.index: hdu.name for hdu in hdus.walk(file, path)}
        return self._names[path]

    def needed(self, image: Image, hdu: Hdu) -> Reference:
        """An HDU of the image's own file, or a failure."""
        found = self.find(image, hdu)
        if found is None:
            what = str(Reference('', hdu))
            raise Failure(f'there is no extension {what} beside the image, and other images have one', image.path)
        return found

    def fitted(self, reference: Reference, image: Image) -> Image:
        """An image that goes with another one, cut to its part."""
        if reference not in self._images:
            self._images[reference] = open_image(reference, keywords=('UTYPE',))
        found = self._images[reference]
        if (found.path, found.index) == (image.path, image.index):
            raise Failure('the image can not be its own mask or uncertainty', image.path)
        part = found.fitted_to(image)
        return self._fitted.setdefault((reference, str(part.slices)), part)
