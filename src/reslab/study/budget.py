"""What a study costs on this machine, and what of it fits into a budget."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from reslab.errors import SpecError
from reslab.machine import cores, find_precision
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Cosine, Drops, Exponential
from reslab.spec import replace
from reslab.train.estimate import work

_SHARE = 0.5  # of the best convolution's speed, that training gets; `reslab bench` measures 0.4 to 0.7
GPU = 2e13
"""Operations per second that are taken for a GPU: a guess, far below the most that one does, as maps are small."""
_LAYER = 2e-4  # seconds of a step that a GPU takes for each convolution at least, both ways: a guess
_LAYER_HERE = 4e-4  # seconds of a step that each convolution adds on a core, as the runs in results/ have it
_LEAST_SEEDS = 2  # below two no claim is judged


@lru_cache(maxsize=1)
def speed_here() -> float:
    """Operations per second of training to be expected on this machine, all cores together."""
    from reslab.bench.compare import roof

    return _SHARE * roof(find_precision("auto", "cpu")[0])


def on_cores(network: AnyNetwork, recipe: Recipe) -> float:
    """Seconds that a training is expected to take on this machine while every core has a share of one.

    Small maps take longer than their operations do.
    """
    calls = recipe.steps * network.cost().convolutions * _LAYER_HERE / cores()
    return 2 * work(network, recipe) / speed_here() + calls


def on_gpu(network: AnyNetwork, recipe: Recipe) -> float:
    """Seconds that a training is guessed to take on a GPU, where small layers take as long as their launches do."""
    return max(2 * work(network, recipe) / GPU, recipe.steps * network.cost().convolutions * _LAYER)


@dataclass(frozen=True)
class BudgetCut:
    """What a budget of some hours leaves: of the seeds asked for so many, and a share of the steps."""

    budget: float
    asked: int
    seeds: int
    share: float

    def __str__(self) -> str:
        steps = f" and {100 * self.share:.0f} % of the steps" if self.share < 1 else ""
        return f"cut to fit {self.budget:g} hours: {self.seeds} seeds{steps}"

    def shortened(self, recipe: Recipe) -> Recipe:
        """A recipe with that share of its steps, everything at the same shares of them.

        Raises SpecError where too few are left to be a schedule.
        """
        if self.share >= 1:
            return recipe
        try:
            return self._shortened(recipe)
        except SpecError:
            left = f"{self.share * recipe.steps:.1f} of a run's {recipe.steps:,} steps"
            raise SpecError(f"--budget {self.budget:g}: too little, it leaves {left}") from None

    def _shortened(self, recipe: Recipe) -> Recipe:
        def less(steps: int) -> int:
            return steps and max(1, round(steps * self.share))

        schedule: Any = recipe.schedule
        match schedule:
            case Drops():
                schedule = replace(schedule, at=tuple(map(less, schedule.at)), warmup=less(schedule.warmup))
            case Exponential():
                schedule = replace(schedule, every=less(schedule.every))
            case Cosine():
                schedule = replace(schedule, warmup=less(schedule.warmup))
        every = {key: less(getattr(recipe, key)) for key in ("evaluate_every", "log_every", "checkpoint_every")}
        return replace(recipe, steps=less(recipe.steps), schedule=schedule, **every)


def cut(rows: list[tuple[AnyNetwork, Recipe]], seeds: int, budget: float) -> BudgetCut | None:
    """What is left of one run of each row for so many seeds in a budget of hours; None where all of it fits."""
    gpus = torch.cuda.device_count()
    each, at_once = (on_gpu, min(gpus, max(1, len(rows) * seeds))) if gpus else (on_cores, 1)
    seconds = sum(each(network, recipe) for network, recipe in rows) / at_once
    allowed = budget * 3600
    if seconds * seeds <= allowed:
        return None
    left = max(min(_LEAST_SEEDS, seeds), min(seeds, int(allowed // seconds))) if seconds else seeds
    return BudgetCut(budget, seeds, left, min(1.0, allowed / (seconds * left)))
