"""A claim in words: "a < b"."""

import re
from collections.abc import Collection
from math import isfinite

from reslab.errors import SpecError, nearest

_EXAMPLE = "write 'a < b' for two names, or a name and a number"


def parse_claim(text: str, names: Collection[str]) -> tuple[str | float, str | float]:
    """The lower and the higher side of "a < b" or "b > a", each one of the names or a number.

    Raises SpecError naming the nearest names.
    """
    sides = re.split(r"\s+([<>])\s+", text.strip())
    if len(sides) != 3:  # names may have such letters, so that spaces come first
        sides = [side.strip() for side in re.split(r"([<>])", text)]
    if len(sides) != 3 or sides[2].startswith("="):
        raise SpecError(f"claim {text!r}: {_EXAMPLE}")
    lower, higher = (sides[0], sides[2]) if sides[1] == "<" else (sides[2], sides[0])
    both = _side(lower, names, text), _side(higher, names, text)
    if both[0] == both[1] or not any(isinstance(side, str) for side in both):
        raise SpecError(f"claim {text!r}: {_EXAMPLE}")
    return both


def _side(word: str, names: Collection[str], text: str) -> str | float:
    """A name, or a number; where all names are numbers, as groups by a field are, the name of an equal one."""
    if word in names:
        return word
    number, numbers = _number(word), {name: _number(name) for name in names}
    if number is not None and None in numbers.values():
        return number
    equal = [name for name, value in numbers.items() if value is not None and value == number]
    if len(equal) != 1:
        raise SpecError(f"claim {text!r}: no {word!r}: {nearest(word, names)}")
    return equal[0]


def _number(word: str) -> float | None:
    """A finite number; None for other words."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if isfinite(value) else None
