"""The base of every spec: a frozen, strictly validated value that goes to JSON and back unchanged."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache, wraps
from typing import Any, TypeVar, cast, dataclass_transform, get_args, get_type_hints

import pydantic
import pydantic.dataclasses
import pydantic_core
from pydantic import ConfigDict, TypeAdapter, ValidationError

from reslab.errors import SpecError, nearest

T = TypeVar("T")
_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def spec(cls: type[T]) -> type[T]:
    """Make a class a spec: fields by position or name, checked when made, equal by value, changed by `replace`.

    Its constructor raises SpecError naming the field, and the nearest field for a wrong one.
    """
    return _checked(pydantic.dataclasses.dataclass(cls, frozen=True, config=_CONFIG))  # type: ignore[arg-type]


def rebuild(cls: type) -> None:
    """Resolve the names in a spec's fields that stand below it in its module."""
    pydantic.dataclasses.rebuild_dataclass(cls)
    _checked(cls)


def _checked(cls: type[T]) -> type[T]:
    init = cls.__init__

    @wraps(init)
    def checked(self: T, *args: Any, **fields: Any) -> None:
        try:
            init(self, *args, **fields)
        except ValidationError as error:
            raise SpecError(explain(error, cls)) from None

    cls.__init__ = checked  # type: ignore[method-assign, assignment]
    return cls


def kind(word: str) -> Any:
    """The field that names a spec among those of a union in JSON, declared as `kind: Literal[word] = kind(word)`."""
    return dataclasses.field(default=word, kw_only=True, repr=False)


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def added(default: Any) -> Any:
    """A field that a spec gained later: files leave it out at its default, as those of before do."""
    return dataclasses.field(default=default, metadata={"added": True})


def tree(value: Any) -> Any:
    """A spec as plain JSON types, with every field."""
    return _tree(value, lambda field, inner: True)


def plain(value: Any) -> dict[str, Any]:
    """A spec as plain JSON types, as files have it: without `added` fields that are at their defaults."""
    return cast(
        "dict[str, Any]", _tree(value, lambda field, inner: "added" not in field.metadata or inner != field.default)
    )


def _tree(value: Any, keeps: Callable[[dataclasses.Field[Any], Any], bool]) -> Any:
    if dataclasses.is_dataclass(value):
        fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {field.name: _tree(inner, keeps) for field, inner in fields if keeps(field, inner)}
    return [_tree(inner, keeps) for inner in value] if isinstance(value, tuple) else value


def to_json(value: Any) -> str:
    """A spec as JSON text; `from_json` gives the equal spec back."""
    return json.dumps(plain(value), indent=2, allow_nan=False)


def from_json(cls: Any, text: str | bytes, source: str = "") -> Any:
    """The spec of a class or union of classes from JSON.

    Raises SpecError naming `source` and the wrong key.
    """
    try:
        return _validated(cls, text)
    except SpecError as error:
        raise SpecError(f"{source}: {error}" if source else str(error)) from None


def _validated(cls: Any, text: str | bytes) -> Any:
    try:
        return _adapter(cls).validate_json(text.encode() if isinstance(text, str) else text)
    except ValidationError as error:
        raise SpecError(explain(error, cls)) from None
    except UnicodeError:  # a lone surrogate
        raise SpecError("not UTF-8") from None


def replace(value: T, **changes: Any) -> T:
    """A changed copy, checked like a new one.

    Raises SpecError for a field that the spec lacks or a value that it cannot have.
    """
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]


def digest(*values: Any) -> str:
    """Eight hex digits of the SHA-256 of specs and plain values, the same on every machine.

    Fields at their defaults are left out, so that a field that a spec gains later changes no digest.
    """
    changed = [_tree(value, lambda field, inner: field.name == "kind" or inner != field.default) for value in values]
    canonical = json.dumps(changed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def keys(value: Any) -> list[str]:
    """Every key that `override` can set in a spec, dotted: "schedule.rate"."""
    return list(_dotted(tree(value)))


def _dotted(fields: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, inner in fields.items():
        if name == "kind" and not prefix:
            continue
        yield prefix + name
        if isinstance(inner, dict):
            yield from _dotted(inner, f"{prefix}{name}.")


def override(value: T, assignments: dict[str, str], option: str = "--set ") -> T:
    """The spec after `key=text` changes: `{"merge": "dropped", "merge.p": "0.3"}`.

    A text is read as JSON where it is JSON and as a plain word elsewhere. A word given to a field that holds one of
    several kinds of spec chooses the kind, with that kind's defaults. Fields that only fit together may come in any
    order. Raises SpecError naming `option` and the first key whose change stayed invalid.
    """
    draft, wrong = tree(value), None
    for key, text in assignments.items():
        *path, last = key.split(".")
        branch: Any = draft
        for name in path:
            branch = branch.get(name) if isinstance(branch, dict) else None
        begun = wrong is not None and isinstance(branch, dict) and "kind" in branch  # a kind that still lacks a field
        if not isinstance(branch, dict) or (last not in branch and not begun):
            if wrong:
                break
            if path and isinstance(branch, dict) and "kind" in branch:
                raise SpecError(f"{option}{key}: {_fields_of_kind(option, '.'.join(path), branch)}", key)
            raise SpecError(f"{option}{key}: no such key, {nearest(key, keys(value))}", key)
        before, branch[last] = branch.get(last, ""), _read(text)
        if isinstance(branch[last], str) and (isinstance(before, dict) or before is None):
            word, branch[last] = branch[last], {"kind": branch[last]}
            if before is None and not _is_valid(type(value), draft):  # a field for a word
                branch[last] = word
        try:
            value = _validated(type(value), json.dumps(draft))
            draft, wrong = tree(value), None
        except SpecError as error:
            wrong = wrong or SpecError(f"{option}{key}={_short(text)}: {error}", key)
    if wrong:
        raise wrong
    return value


def _is_valid(cls: type, draft: dict[str, Any]) -> bool:
    try:
        _validated(cls, json.dumps(draft))
    except SpecError:
        return False
    return True


def _fields_of_kind(option: str, key: str, branch: dict[str, Any]) -> str:
    fields = ", ".join(name for name in branch if name != "kind")
    return f"{key} is {branch['kind']} and has {fields or 'no fields'}; {option}{key}=KIND chooses another kind"


def override_each(
    values: tuple[Any, ...], assignments: dict[str, str], option: str = "--set ", aliases: Iterable[str] = ()
) -> tuple[Any, ...]:
    """Several specs after `key=text` changes, each key a field of one of them.

    Raises SpecError for a key of none, naming the nearest ones and the nearest aliases.
    """
    for key in assignments:
        if not any(key.split(".")[0] in tree(value) for value in values):
            known = [*(name for value in values for name in keys(value)), *aliases]
            raise SpecError(f"{option}{key}: no such key, {nearest(key, known)}", key)
    return tuple(
        override(value, {key: text for key, text in assignments.items() if key.split(".")[0] in tree(value)}, option)
        for value in values
    )


def _read(text: str) -> Any:
    try:
        return pydantic_core.from_json(text.encode())  # unlike json's, it refuses 5,000 digits and 5,000 brackets
    except ValueError:
        return None if text.lower() == "none" else text


def explain(error: ValidationError, cls: Any) -> str:
    """One line for the first error in validating a spec of `cls`, a class or union: the key, what is wrong, a choice.

    A wrong name comes before what is missing because of it.
    """
    errors = error.errors(include_url=False)
    first = next((each for each in errors if each["type"] == "unexpected_keyword_argument"), errors[0])
    keys, specs = _located(first["loc"], cls)
    names = [f.name for one in specs for f in dataclasses.fields(one)]
    context, given = first.get("ctx", {}), first["input"]
    match first["type"]:
        case "unexpected_keyword_argument":
            name = str(first["loc"][-1])
            text = f"{specs[0].__name__} has no field {_short(repr(name))}: {nearest(name, names)}"
        case "union_tag_invalid":
            tag = context["tag"]
            text = f"no kind {_short(repr(tag))}, {nearest(tag, [_kind(one) for one in specs])}"
        case "model_attributes_type" | "dataclass_type" | "dict_type" if specs:
            text = f"should be {' or '.join(one.__name__ for one in specs)}, not {_short(repr(given))}"
        case "word":
            text = first["msg"]
        case _:
            text = first["msg"][:1].lower() + first["msg"][1:]
            if not isinstance(given, dict | pydantic_core.ArgsKwargs):
                text += f", not {_short(repr(given))}"
    return ": ".join((".".join(keys), text)) if keys else text


def _located(loc: tuple[int | str, ...], cls: Any) -> tuple[list[str], list[Any]]:
    """The key that a pydantic location means, and the spec classes that may stand there.

    A location also has the kind of each spec on the way and labels of unions, which no key has.
    """
    keys, specs = [], _specs(cls)
    for at, part in enumerate(loc):
        if at == 0 and isinstance(part, int) and dataclasses.is_dataclass(cls):  # a constructor's position
            positional = [field.name for field in dataclasses.fields(cls) if not field.kw_only]
            part = positional[part] if part < len(positional) else str(part)
        if isinstance(part, int):
            keys.append(str(part))
        elif len(specs) > 1 and (tagged := [one for one in specs if _kind(one) == part]):
            specs = tagged
        elif owners := [one for one in specs if part in get_type_hints(one)]:
            keys.append(part)
            specs = _specs(get_type_hints(owners[0])[part])
    return keys, specs


def _specs(annotation: Any) -> list[Any]:
    """The spec classes in a type: those of Annotated[Add | Scaled, ...] or tuple[Conv, ...]."""
    if dataclasses.is_dataclass(annotation):
        return [annotation]
    return [one for part in get_args(annotation) for one in _specs(part)]


def _kind(cls: Any) -> str:
    """The word of a spec class in a union, "" for a class in none."""
    return getattr(cls, "kind", "")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text):,} characters)"


def one_of(choices: Callable[[], list[str]]) -> Any:
    """A field that holds one of some words; a wrong word gets the nearest right one in its error."""

    def check(word: str) -> str:
        if word not in choices():
            reason = f"no {_short(repr(word))}, {nearest(word, choices())}"
            raise pydantic_core.PydanticCustomError("word", "{reason}", {"reason": reason})
        return word

    return pydantic.AfterValidator(check)
