"""The time that a study takes on this machine, and its cut to a time budget."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from reslab.columns import counted
from reslab.errors import SpecError
from reslab.machine import cores, find_precision
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.recipes.scaled import scaled
from reslab.train.estimate import work

_SHARE = 0.5  # of the best convolution's speed that training reaches; `reslab bench` measures 0.4 to 0.7
GPU = 2e13
"""Operations per second of a GPU: a guess, far below its peak, as maps are small."""
_LAYER = 2e-4  # seconds of a step that a GPU takes for each convolution at least, forward and backward: a guess
_LAYER_HERE = 4e-4  # seconds of a step that each convolution adds on a core, measured by the runs in results/
_LEAST_SEEDS = 2  # with fewer no claim is judged


@lru_cache(maxsize=1)
def speed_here() -> float:
    """Expected operations per second of training on this machine, all cores together."""
    from reslab.bench.compare import roof

    return _SHARE * roof(find_precision("auto", "cpu")[0])


def on_cores(network: AnyNetwork, recipe: Recipe) -> float:
    """Expected seconds of a training on this machine while all cores train.

    Each convolution call costs time of its own, which dominates on small maps.
    """
    calls = recipe.steps * network.cost().convolutions * _LAYER_HERE / cores()
    return 2 * work(network, recipe) / speed_here() + calls


def on_gpu(network: AnyNetwork, recipe: Recipe) -> float:
    """Guessed seconds of a training on a GPU, where small layers take as long as their kernel launches."""
    return max(2 * work(network, recipe) / GPU, recipe.steps * network.cost().convolutions * _LAYER)


@dataclass(frozen=True)
class BudgetCut:
    """How a time budget, in hours, cuts a study: seeds kept of those asked for, and the share of steps kept."""

    budget: float
    asked: int
    seeds: int
    share: float

    def __str__(self) -> str:
        steps = f" and {100 * self.share:.0f} % of the steps" if self.share < 1 else ""
        return f"cut to fit {self.budget:g} hours: {counted(self.seeds, 'seed')}{steps}"

    def shortened(self, recipe: Recipe) -> Recipe:
        """The recipe with that share of its steps, and of every interval in steps.

        Raises SpecError if too few steps are left for the schedule.
        """
        if self.share >= 1:
            return recipe
        try:
            return scaled(recipe, self.share)
        except SpecError:
            left = f"{self.share * recipe.steps:.1f} of a run's {recipe.steps:,} steps"
            raise SpecError(f"--budget {self.budget:g}: too little, it leaves {left}") from None


def cut(rows: list[tuple[AnyNetwork, Recipe]], seeds: int, budget: float) -> BudgetCut | None:
    """The cut of a study, one run of each row for each seed, to a budget in hours; None if all of it fits."""
    gpus = torch.cuda.device_count()
    each, at_once = (on_gpu, min(gpus, max(1, len(rows) * seeds))) if gpus else (on_cores, 1)
    seconds = sum(each(network, recipe) for network, recipe in rows) / at_once
    allowed = budget * 3600
    if seconds * seeds <= allowed:
        return None
    left = max(min(_LEAST_SEEDS, seeds), min(seeds, int(allowed // seconds))) if seconds else seeds
    return BudgetCut(budget, seeds, left, min(1.0, allowed / (seconds * left)))
