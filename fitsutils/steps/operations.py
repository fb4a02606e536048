"""Images and their operands, planned and computed: where `files` and `pixels` meet for `img_arith`."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

from fitsutils.errors import refusing, warn
from fitsutils.files import calibrated, masks, pairs, provenance, reader, writer
from fitsutils.files import header as headers
from fitsutils.files.inputs import Reference
from fitsutils.pixels import arithmetic

_KEYWORDS = (*calibrated.KEYWORDS, *calibrated.MASTER_KEYWORDS)  # of every image and operand


@dataclasses.dataclass(frozen=True)
class Rules:
    """What holds for all images of a run.

    Attributes
    ----------
    divide_by_zero : float
        What a / 0 is.
    min_denominator : (float, float) or None
        Denominators below the first count as the second.
    dtype : str or None
        Type of the results; None: float32 unless the values need float64.
    cards : sequence of (str, value)
        What ``--set`` asks for.
    """

    divide_by_zero: float = math.nan
    min_denominator: tuple[float, float] | None = None
    dtype: str | None = None
    cards: Sequence[tuple[str, Any]] = ()


@dataclasses.dataclass(frozen=True)
class Operation:
    """One output.

    Attributes
    ----------
    image : Image
        The image.
    operator : str
        What is done.
    operand : float or Image
        With what, of the image's size or of a plane of it.
    words : str
        All of that.
    output : str
        The path to write.
    own, others : Baggage
        What image and operand bring along.
    mask : Image or None
        Pixels that are not 0 in it have no value in the result.
    """

    image: Any
    operator: str
    operand: Any
    words: str
    output: str
    own: masks.Baggage
    others: masks.Baggage
    mask: Any = None

    def begin(self, read: 'reader.Reader', rules: Rules) -> tuple[int, Callable[[], None]]:
        """Compute the result and begin to write it.

        Parameters
        ----------
        read : Reader
            Gives the pixels of operands, and keeps some at hand.
        rules : Rules
            What holds for all images.

        Returns
        -------
        int
            How many pixels have lost their value.
        callable
            Flushes the file and gives it its name.

        Raises
        ------
        Failure
            When something can't be read or written, or does not fit into the type.
        """
        image = read.once(self.image)
        operand = self.operand if isinstance(self.operand, float) else read(self.operand)
        limits = {'divide_by_zero': rules.divide_by_zero, 'min_denominator': rules.min_denominator}
        result, undefined = arithmetic.operate(image, self.operator, operand, **limits)
        sigma = self._deviation(image, operand, rules.min_denominator)
        if self.mask is not None:
            result[reader.read_mask(self.mask, self.image)] = math.nan
        if rules.dtype is not None:
            with refusing(f'--dtype {rules.dtype}', self.output):
                result = arithmetic.as_type(result, rules.dtype)
        bad = None if self.own.mask is None else self.own.bad() | self.others.bad()
        parts = provenance.with_baggage(result, self._header(undefined, rules.cards), sigma, bad)
        return undefined, writer.begin_fits(self.output, parts)

    def _deviation(self, image: NDArray, operand: NDArray | float, limit: tuple[float, float] | None) -> NDArray | None:
        """The uncertainty of the result, where its image has one."""
        if self.own.uncertainty is None:
            return None
        sigmas = self.own.deviation(), self.others.deviation()
        return arithmetic.deviation(image, self.operator, operand, *sigmas, min_denominator=limit)

    def _header(self, undefined: int, cards: Iterable[tuple[str, Any]]) -> Any:
        lines = [self.words] + ([f'{undefined} pixels have no value'] if undefined else [])
        lines += [] if self.mask is None else [f'mask {self.mask.name}']
        is_number = isinstance(self.operand, float)
        said = [] if is_number else calibrated.master_cards(self.image, self.operator, self.operand)
        return headers.product(self.image, 'img_arith', lines, [*said, *cards])


def planned(
    operator: str,
    wanted: Iterable[tuple[pairs.Pair, str]],
    hdu: Any = None,
    region: Any = None,
    *,
    mask: str | None = None,
    max_size: int = 2 * 10**10,
) -> list[Operation]:
    """What is to be done, as far as headers tell, with every refusal made.

    Parameters
    ----------
    operator : str
        The operator.
    wanted : iterable of (Pair, str)
        Images with their operands, and the outputs.
    hdu : int, str or (str, int), optional
        The HDU where a name gives none.
    region : Region, optional
        The part of the images where a name gives none.
    mask : str, optional
        What ``--mask`` says, as `masks.for_images` takes it.
    max_size : int
        Bytes that one file may unpack to.

    Returns
    -------
    list of Operation
        One for each pair.

    Raises
    ------
    Failure
        When a file can't be read, a keyword is missing, or sizes do not agree.
    """
    opened: dict[Reference, Any] = {}
    operations = []
    for (reference, operand), output in wanted:
        image = reader.open_image(reference, hdu, region, keywords=_KEYWORDS)
        if isinstance(operand, Reference) and operand not in opened:  # a master serves many images
            opened[operand] = reader.open_image(operand, hdu, keywords=_KEYWORDS)
        found = opened[operand] if isinstance(operand, Reference) else operand
        operations.append(_operation(image, operator, found, output, max_size))
    if mask is not None and operations:
        found = masks.for_images(mask, [each.image for each in operations])
        operations = [
            dataclasses.replace(each, mask=image) for each, image in zip(operations, found, strict=True)
        ]  # fmt: skip
    _warn_of_differences(operations, operator)
    _warn_of_second_bias(operations)
    return operations


def _operation(image: Any, operator: str, operand: Any, output: str, max_size: int) -> Operation:
    if isinstance(operand, str):
        key = operand[4:].strip()
        operand = headers.needed_number(image.keywords, key, image.path)
        name = f'{key.upper()} ({operand:g})'
    elif not isinstance(operand, float):
        operand = operand.fitted_to(image)
        name = operand.name
    else:
        name = f'{operand:.15g}'
    own = others = masks.Baggage()
    if operator != '=':
        own = masks.baggage(image, max_size=max_size)
    if (own.uncertainty or own.mask) and not isinstance(operand, float):
        others = masks.baggage(operand, max_size=max_size)
    return Operation(image, operator, operand, f'{image.name} {operator} {name}', output, own, others)


def _warn_of_differences(operations: Sequence[Operation], operator: str) -> None:
    """A flat of another filter, a bias of another binning: said once for each operand."""
    users: dict[str, list[Operation]] = {}
    for each in operations:
        if not isinstance(each.operand, float):
            users.setdefault(str(each.operand.reference), []).append(each)
    ignore = ['EXPTIME'] if operator == '/' else ['EXPTIME', 'FILTER']
    ignore += [] if operator in ('+', '-', 'min', 'max') else ['BUNIT']
    for group in users.values():
        images = [group[0].operand, *(each.image for each in group)]
        headers.warn_of_differences(
            [image.keywords for image in images], [image.name for image in images], ignore=ignore
        )


def _warn_of_second_bias(operations: Sequence[Operation]) -> None:
    """A bias that is subtracted twice, or after the bias level: said once."""
    for each in operations:
        if each.operator != '-' or isinstance(each.operand, float):
            continue
        what = calibrated.is_bias(each.operand) and calibrated.bias_out(each.image, level=False)
        if what:
            warn(f'a bias was subtracted from it already ({what})', each.image.path)
            return
