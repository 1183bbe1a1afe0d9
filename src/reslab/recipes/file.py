"""Recipes from files, and a recipe with what each of its fields means."""

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reslab.errors import DataError, SpecError
from reslab.recipes.aliases import ALIASES, resolve_aliases
from reslab.recipes.named import RECIPES, recipe
from reslab.recipes.recipe import Recipe
from reslab.spec import from_json, override, tree
from reslab.toml import Keys, assignments, comment, read_toml, to_toml

_ENDINGS = (".toml", ".json")


def find_recipe(word: str) -> Recipe:
    """The recipe of a name, or of a TOML or JSON file. Raises SpecError naming the nearest name or the file's fault."""
    return read_recipe(Path(word)) if word.endswith(_ENDINGS) else recipe(word)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML or JSON file, or of a run's run.json.

    A file has either all of a recipe's fields, or `name`, the recipe that it begins with, and those that differ.
    Raises DataError for a file that cannot be read, SpecError naming the line or key that is wrong.
    """
    if path.suffix == ".toml":
        file = read_toml(path)
        return recipe_of(file.tree, file.place)
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not isinstance(tree, dict):
        raise SpecError(f"{path}: not a recipe")
    tree = tree["recipe"] if isinstance(tree.get("recipe"), dict) else tree
    if "name" in tree:
        return recipe_of(tree, lambda keys: str(path))
    value: Recipe = from_json(Recipe, json.dumps(tree), str(path))
    return value


def recipe_of(tree: Mapping[str, Any], place: Callable[[Keys], str]) -> Recipe:
    """The recipe of a table: its fields, after those of the recipe `name` where it has one.

    place: from keys to the file and line that an error names
    Raises SpecError naming the place.
    """
    fields = dict(tree)
    name = fields.pop("name", None)
    if name is None and "steps" not in fields:
        raise SpecError(f"{place([])}: a recipe has steps, or the name of the recipe that it begins with")
    steps = fields.pop("steps", None) if name is None else None
    try:
        begin = recipe(str(name)) if name is not None else override(Recipe(steps=1), {"steps": json.dumps(steps)}, "")
        return override(begin, resolve_aliases(assignments(fields), ""), "")
    except SpecError as error:
        key = next((alias for alias in fields if ALIASES.get(alias) == error.key), error.key or "name")
        raise SpecError(f"{place(key.split('.'))}: {error}", error.key) from None


def meanings() -> dict[str, str]:
    """What each field of a recipe means, from its docstring."""
    names = [field.name for field in dataclasses.fields(Recipe)]
    text = " ".join((Recipe.__doc__ or "").split())
    known = "|".join(names)
    entry = re.compile(rf"(?:^|(?<=[.;:a-z0-9] ))((?:(?:{known}), )*(?:{known})): ")
    places = list(entry.finditer(text))
    ends = [place.start() for place in places[1:]] + [len(text)]
    return {
        name: text[place.end() : end].strip().rstrip(";.")
        for place, end in zip(places, ends, strict=True)
        for name in place[1].split(", ")
    }


def described_recipe(name: str) -> str:
    """A recipe as TOML that `read_recipe` reads: every field with its value and, as comments, meaning and default.

    name: of a recipe, or a file
    """
    value = find_recipe(name)
    about = inspect.getdoc(RECIPES[name]) or "" if name in RECIPES else name
    comments = meanings()
    for key in ("schedule", "optimizer", "augment"):
        part = getattr(value, key)
        if part is not None:
            comments[key] += ". " + " ".join((type(part).__doc__ or "").split())
    lines = [line for paragraph in about.split("\n\n") for line in (*comment(paragraph), "#")]
    return "\n".join(lines[:-1]) + "\n\n" + to_toml(tree(value), comments, _defaults(value))


def _defaults(value: Any, prefix: str = "") -> dict[str, Any]:
    """The defaults of a spec's fields, and of those of the specs in it, by dotted keys."""
    defaults: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner):
            defaults |= _defaults(inner, f"{prefix}{field.name}.")
        elif field.default is not dataclasses.MISSING and not dataclasses.is_dataclass(field.default):
            defaults[prefix + field.name] = field.default
    return defaults
