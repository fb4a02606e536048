"""Which values of a stack are kept."""


def rank_counts(clip: str, counts: tuple[int, int]) -> tuple[int, int]:
    """How many of the lowest and of the highest values of each pixel a rank clip drops.

    Parameters
    ----------
    clip : {'none', 'min', 'max', 'minmax'}
        Which end is dropped from.
    counts : (int, int)
        Numbers for the low and the high end.

    Returns
    -------
    (int, int)
        Values to drop from the low and from the high end.

    Examples
    --------
    >>> rank_counts('max', (1, 1)), rank_counts('minmax', (1, 2)), rank_counts('none', (3, 3))
    ((0, 1), (1, 2), (0, 0))
    """
    low, high = counts
    return low if clip in ('min', 'minmax') else 0, high if clip in ('max', 'minmax') else 0
