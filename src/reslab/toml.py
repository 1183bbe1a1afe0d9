"""TOML files: read, with the line where each key stands, and written."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reslab.columns import wrapped
from reslab.errors import DataError, SpecError

Keys = Sequence[str | int]
"""Where a value stands in a file: the keys of its tables, and the numbers, from 0, of those of a list."""


class TomlFile(NamedTuple):
    """A TOML file: its path, its text and its content."""

    path: Path
    text: str
    tree: dict[str, Any]

    def place(self, keys: Keys) -> str:
        """The file and the line of a value: "study.toml, line 7"."""
        line = line_of(self.text, keys)
        return f"{self.path}" + (f", line {line}" if line else "")


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file. Raises DataError for a file that cannot be read, SpecError naming the line that is no TOML."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return TomlFile(path, text, tomllib.loads(text))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not UTF-8, so no TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: no TOML: {error}") from None
    except RecursionError:
        raise SpecError(f"{path}: no TOML: nested too deep") from None


def line_of(text: str, keys: Keys) -> int | None:
    """The line, from 1, of the last of some keys that stands in the text of a TOML file; None if none does."""
    begin, place = 0, None
    for number, key in enumerate(keys):
        if isinstance(key, int):
            headers = list(re.finditer(rf"(?m)^\s*\[\[\s*{_key(keys[number - 1])}\s*\]\]", text)) if number else []
            match = headers[key] if key < len(headers) else None
        else:
            match = re.search(rf"(?m)(?:^|[\s\[{{.,]){_key(key)}\s*(?=[=\].])", text[begin:])
        if match is None:
            continue
        end = match.end() + (0 if isinstance(key, int) else begin)
        begin = place = end
    return None if place is None else text.count("\n", 0, place) + 1


def _key(key: str | int) -> str:
    """A pattern for a key, bare or in quotes; a dotted one in quotes or as it is."""
    return rf"""["']?{re.escape(str(key))}["']?"""


def to_toml(tree: Mapping[str, Any], comments: Mapping[str, str] = {}, defaults: Mapping[str, Any] = {}) -> str:
    """Plain types as TOML, None as "none".

    comments: by dotted keys; they stand above their keys, the same one of several keys above the first
    defaults: by dotted keys; they stand beside values that differ
    """
    return "\n".join(_lines(tree, comments, defaults, ""))


def _lines(
    tree: Mapping[str, Any], comments: Mapping[str, str], defaults: Mapping[str, Any], prefix: str
) -> Iterator[str]:
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    above = ""
    for key, value in tree.items():
        if key not in tables:
            above, before = comments.get(prefix + key, ""), above
            yield from comment(above if above != before else "")
            default = _value(defaults.get(prefix + key, value))
            yield f"{key} = {_value(value)}" + (f"  # default {default}" if default != _value(value) else "")
    for key, table in tables.items():
        yield ""
        yield from comment(comments.get(prefix + key, ""))
        yield f"[{prefix}{key}]"
        yield from _lines(table, comments, defaults, f"{prefix}{key}.")


def comment(text: str) -> list[str]:
    """A text as lines of a comment."""
    return wrapped(f"# {' '.join(text.split())}", 80, "# ").split("\n") if text else []


def _value(value: Any) -> str:
    return json.dumps("none" if value is None else value)


def dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a table and of the tables in it by dotted keys: {"schedule.rate": 0.1}.

    A table with a kind is one value.
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and "kind" not in value:
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def assignments(tree: Mapping[str, Any]) -> dict[str, str]:
    """A table as assignments of `key=text`, like those of --set: {"schedule.rate": "0.1"}."""
    return {
        key: value if isinstance(value, str) else json.dumps(_with_none(value), default=str)
        for key, value in dotted(tree).items()
    }


def _with_none(value: Any) -> Any:
    """Plain types with None for the word "none", which is how TOML has it."""
    if isinstance(value, dict):
        return {key: _with_none(inner) for key, inner in value.items()}
    return None if value == "none" else value
