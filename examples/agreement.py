"""Whether a table of results is the expected one, up to the last digits."""

import re


def differences(text: str, expected: str) -> list[str]:
    """The expected lines that the table differs from by more than two units of a number's last digit."""
    lines, wanted = text.splitlines(), expected.splitlines()
    if len(lines) != len(wanted):
        return [f'{len(wanted)} lines']
    return [right for left, right in zip(lines, wanted, strict=True) if not same(left.split(), right.split())]


def same(words: list[str], wanted: list[str]) -> bool:
    """Whether two lines have the same words, and nearly the same numbers."""
    return len(words) == len(wanted) and all(map(near, words, wanted))


def near(word: str, wanted: str) -> bool:
    """Whether two words are equal, or numbers with as many decimals that differ by at most 2 in the last one."""
    if not re.fullmatch(r'-?\d+\.\d+', wanted):
        return word == wanted
    decimals = len(wanted.partition('.')[2])
    return len(word.partition('.')[2]) == decimals and abs(float(word) - float(wanted)) < 2.5 * 10.0**-decimals
