"""The base of every spec: a frozen, strictly validated value that goes to JSON and back unchanged."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar, cast, dataclass_transform

import pydantic
import pydantic.dataclasses
from pydantic import ConfigDict, TypeAdapter, ValidationError

from reslab.errors import SpecError, nearest

T = TypeVar("T")
_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def spec(cls: type[T]) -> type[T]:
    """Make a class a spec: fields by position or name, checked when made, equal by value, changed by `replace`."""
    return pydantic.dataclasses.dataclass(cls, frozen=True, config=_CONFIG)  # type: ignore[return-value]


def kind(word: str) -> Any:
    """The field that tells one spec of a union from another in JSON, declared as `kind: Literal[word] = kind(word)`."""
    return dataclasses.field(default=word, kw_only=True, repr=False)


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def plain(value: Any) -> dict[str, Any]:
    """A spec as plain JSON types."""
    adapter = _adapter(type(value))  # type: ignore[arg-type]
    return cast("dict[str, Any]", adapter.dump_python(value, mode="json"))


def to_json(value: Any) -> str:
    """A spec as JSON text; `from_json` gives the equal spec back."""
    return json.dumps(plain(value), indent=2)


def from_json(cls: Any, text: str | bytes, source: str = "") -> Any:
    """The spec of a class (or union of classes) that a JSON text says.

    Raises SpecError naming `source` and the key that is wrong.
    """
    try:
        return _adapter(cls).validate_json(text)
    except ValidationError as error:
        raise SpecError((f"{source}: " if source else "") + explain(error)) from None


def replace(value: T, **changes: Any) -> T:
    """A changed copy, checked like a new one.

    Raises SpecError for a field that the spec lacks or a value that it cannot have.
    """
    names = [f.name for f in dataclasses.fields(value)]  # type: ignore[arg-type]
    for name in changes:
        if name not in names:
            raise SpecError(f"{type(value).__name__} has no field {name!r}: {nearest(name, names)}")
    try:
        return dataclasses.replace(value, **changes)  # type: ignore[type-var]
    except ValidationError as error:
        raise SpecError(explain(error)) from None


def digest(*values: Any) -> str:
    """Eight hex digits that name what the given specs and plain values say, the same on every machine.

    Fields at their defaults are left out, so that a field that a spec gains later renames nothing.
    """
    canonical = json.dumps([_said(value) for value in values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def _said(value: Any) -> Any:
    """A value in plain JSON types, each spec in it without the fields that are at their defaults, but with its kind."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: (field.default, getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {name: _said(held) for name, (default, held) in fields.items() if name == "kind" or held != default}
    return [_said(inner) for inner in value] if isinstance(value, tuple) else value


def keys(value: Any) -> list[str]:
    """Every key that `override` can set in a spec, dotted: "schedule.rate"."""
    return list(_dotted(plain(value)))


def _dotted(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, inner in tree.items():
        if name == "kind" and not prefix:
            continue
        yield prefix + name
        if isinstance(inner, dict):
            yield from _dotted(inner, f"{prefix}{name}.")


def override(value: T, assignments: dict[str, str]) -> T:
    """The spec after `key=text` changes: `{"merge": "dropped", "merge.p": "0.3"}`.

    A text is read as JSON where it is JSON and as a plain word elsewhere. A word given to a field that holds one of
    several kinds of spec chooses the kind, with that kind's defaults. Fields that only fit together may come in any
    order. Raises SpecError naming the key after which the spec was wrong and stayed so.
    """
    adapter = _adapter(type(value))  # type: ignore[arg-type]
    tree, wrong = plain(value), None
    for key, text in assignments.items():
        *path, last = key.split(".")
        branch = tree
        for name in path:
            branch = branch.get(name) if isinstance(branch, dict) else None  # type: ignore[assignment]
        if not isinstance(branch, dict) or last not in branch:
            if wrong:
                break
            if path and isinstance(branch, dict) and "kind" in branch:
                raise SpecError(f"--set {key}: {_fields_told('.'.join(path), branch)}")
            raise SpecError(f"--set {key}: no such key, {nearest(key, keys(value))}")
        chosen = _read(text)
        before, branch[last] = branch[last], chosen
        if isinstance(chosen, str) and (isinstance(before, dict) or before is None):
            branch[last] = {"kind": chosen}
            if before is None and not _is_valid(adapter, tree):  # a field for a word
                branch[last] = chosen
        try:
            value = adapter.validate_json(json.dumps(tree))
            tree, wrong = plain(value), None
        except (ValidationError, SpecError) as error:
            reason = explain(error) if isinstance(error, ValidationError) else str(error)
            wrong = wrong or SpecError(f"--set {key}={text}: {reason}")
    if wrong:
        raise wrong
    return value


def _is_valid(adapter: TypeAdapter[Any], tree: dict[str, Any]) -> bool:
    try:
        adapter.validate_json(json.dumps(tree))
    except (ValidationError, SpecError):
        return False
    return True


def _fields_told(key: str, branch: dict[str, Any]) -> str:
    fields = ", ".join(name for name in branch if name != "kind")
    return f"{key} is {branch['kind']} and has {fields or 'no fields'}; --set {key}=KIND chooses another kind"


def override_each(values: tuple[Any, ...], assignments: dict[str, str]) -> tuple[Any, ...]:
    """Several specs after `key=text` changes, each key a field of one of them. Raises SpecError for one of none."""
    for key in assignments:
        if not any(key.split(".")[0] in plain(value) for value in values):
            known = [name for value in values for name in keys(value)]
            raise SpecError(f"--set {key}: no such key, {nearest(key, known)}")
    return tuple(
        override(value, {key: text for key, text in assignments.items() if key.split(".")[0] in plain(value)})
        for value in values
    )


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None if text.lower() == "none" else text


def explain(error: ValidationError) -> str:
    """The first thing that a validation found wrong, in one line: the key, what is expected, what was given."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"] if not _is_tag(part))
    if first["type"] == "union_tag_invalid":
        known = re.findall(r"'([^']+)'", first["ctx"]["expected_tags"])
        return f"{where}: no kind {first['ctx']['tag']!r}, {nearest(first['ctx']['tag'], known)}"
    given = first["input"]
    shown = "" if isinstance(given, dict) or "ArgsKwargs" in type(given).__name__ else f", not {given!r}"
    return f"{where}: {_lower_first(first['msg'])}{shown}" if where else f"{_lower_first(first['msg'])}{shown}"


def _is_tag(part: Any) -> bool:
    return isinstance(part, str) and "[" in part


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def one_of(choices: Callable[[], list[str]]) -> Any:
    """A field that holds one of some words; a wrong word gets the nearest right one in its error."""

    def check(word: str) -> str:
        if word not in choices():
            raise SpecError(f"no {word!r}: {nearest(word, choices())}")
        return word

    return pydantic.AfterValidator(check)
