"""Recipes by names: lists and descriptions."""

from typing import Any, NamedTuple


class RecipeRow(NamedTuple):
    """A named recipe: its steps, images of a step, and what it is, in a sentence."""

    name: str
    steps: int
    batch: int
    summary: str


def list_recipes() -> list[RecipeRow]:
    """The named recipes."""
    from reslab.recipes.named import RECIPES

    rows = []
    for name, make in RECIPES.items():
        value = make()
        summary = (make.__doc__ or "").partition("\n")[0].rstrip(".")
        rows.append(RecipeRow(name, value.steps, value.batch, summary))
    return rows


def recipe_text(name: str) -> str:
    """A recipe, of a name or a file, as TOML: every field, its value, its default, and what it means as a comment."""
    from reslab.recipes.file import described_recipe

    return described_recipe(name)


def recipe_fields(name: str) -> dict[str, Any]:
    """A recipe, of a name or a file, as plain JSON types."""
    from reslab.recipes.file import find_recipe
    from reslab.spec import tree

    fields: dict[str, Any] = tree(find_recipe(name))
    return fields
