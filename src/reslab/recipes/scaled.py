"""A recipe for fewer or more steps, and what no longer fits where its steps alone were changed."""

from typing import assert_never

from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Cosine, Drops, Exponential, Schedule
from reslab.spec import replace

_LONG_WARMUP = 0.5  # of the steps
_INTERVALS = ("evaluate_every", "log_every", "checkpoint_every")


def scaled(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of its steps, and of every interval in steps.

    Raises SpecError if too few steps are left for the schedule.
    """
    return replace(with_intervals(recipe, share), steps=_less(recipe.steps, share))


def with_intervals(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of every interval in steps, its number of steps as it is."""
    every = {key: _less(getattr(recipe, key), share) for key in _INTERVALS}
    return replace(recipe, schedule=_schedule(recipe.schedule, share), **every)


def _less(steps: int, share: float) -> int:
    return steps and max(1, round(steps * share))


def _schedule(schedule: Schedule, share: float) -> Schedule:
    match schedule:
        case Drops():
            at = tuple(_less(step, share) for step in schedule.at)
            return replace(schedule, at=at, warmup=_less(schedule.warmup, share))
        case Exponential():
            return replace(schedule, every=_less(schedule.every, share))
        case Cosine():
            return replace(schedule, warmup=_less(schedule.warmup, share))
        case _:
            assert_never(schedule)


def mismatches(recipe: Recipe) -> list[str]:
    """The fields of a schedule that do not fit the recipe's number of steps, each with its reason."""
    schedule, steps = recipe.schedule, recipe.steps
    reasons = []
    match schedule:
        case Drops():
            warmup = schedule.warmup
            if late := [step for step in schedule.at if step >= steps]:
                places = ", ".join(f"{step:,}" for step in late)
                reasons.append(f"schedule.at {places} comes after the last of {steps:,} steps")
        case Exponential():
            warmup = 0
            if schedule.every >= steps:
                reasons.append(f"schedule.every {schedule.every:,} comes after the last of {steps:,} steps")
        case Cosine():
            warmup = schedule.warmup
        case _:
            assert_never(schedule)
    if warmup > _LONG_WARMUP * steps:
        reasons.append(f"schedule.warmup {warmup:,} is more than half of {steps:,} steps")
    return reasons
