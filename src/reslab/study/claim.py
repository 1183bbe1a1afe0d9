"""A claim in words: "a < b"."""

import re
from collections.abc import Collection

from reslab.errors import SpecError, nearest

_EXAMPLE = "write 'a < b' for two names, or a name and a number"


def parse_claim(text: str, names: Collection[str]) -> tuple[str | float, str | float]:
    """The lower and the higher side of "a < b" or "b > a", each one of the names or a number.

    Raises SpecError naming the nearest names.
    """
    sides = re.split(r"\s+([<>])\s+", text.strip())
    if len(sides) != 3:  # names may have such letters, so that spaces come first
        sides = [side.strip() for side in re.split(r"([<>])", text)]
    if len(sides) != 3:
        raise SpecError(f"claim {text!r}: {_EXAMPLE}")
    lower, higher = (sides[0], sides[2]) if sides[1] == "<" else (sides[2], sides[0])
    both = _side(lower, names, text), _side(higher, names, text)
    if both[0] == both[1] or not any(isinstance(side, str) for side in both):
        raise SpecError(f"claim {text!r}: {_EXAMPLE}")
    return both


def _side(word: str, names: Collection[str], text: str) -> str | float:
    if word in names:
        return word
    try:
        return float(word)
    except ValueError:
        raise SpecError(f"claim {text!r}: no {word!r}: {nearest(word, names)}") from None
