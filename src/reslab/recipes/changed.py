"""A network and a recipe with changed fields."""

from collections.abc import Mapping
from typing import TypeVar

from reslab.nets.network import NetworkSpec
from reslab.recipes.aliases import ALIASES, EPOCHS
from reslab.recipes.recipe import Recipe
from reslab.recipes.scaled import with_intervals
from reslab.spec import override, override_each

N = TypeVar("N", bound=NetworkSpec)


def change_specs(
    network: N, recipe: Recipe, assignments: Mapping[str, str], scale_steps: bool = False, option: str = "--set "
) -> tuple[N, Recipe]:
    """A network and a recipe after `key=text` changes, each key a field of one of them; see `spec.override`.

    scale_steps: with changed steps, the recipe's schedule and intervals are scaled too, unless they are given.
    """
    assigned = dict(assignments)
    recipe = _with_steps(recipe, assigned, scale_steps, option)
    changed: tuple[N, Recipe] = override_each((network, recipe), assigned, option, (*ALIASES, *EPOCHS))
    return changed


def change_recipe(
    recipe: Recipe, assignments: Mapping[str, str], scale_steps: bool = False, option: str = "--set "
) -> Recipe:
    """A recipe after `key=text` changes; see `change_specs`."""
    assigned = dict(assignments)
    return override(_with_steps(recipe, assigned, scale_steps, option), assigned, option)


def _with_steps(recipe: Recipe, assigned: dict[str, str], scale_steps: bool, option: str) -> Recipe:
    """The recipe with intervals for the steps that are assigned."""
    if not scale_steps or "steps" not in assigned:
        return recipe
    steps = override(recipe, {"steps": assigned["steps"]}, option).steps
    return with_intervals(recipe, steps / recipe.steps)
