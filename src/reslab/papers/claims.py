"""How a published table or figure is declared: its rows, what the paper says of them, and at which scales we run it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from reslab.errors import SpecError, nearest
from reslab.nets import ResNet
from reslab.train.recipe import Recipe

Metric = Literal["train_error", "test_error", "steps_to_10"]

METRICS: dict[Metric, str] = {
    "train_error": "final training error, %",
    "test_error": "final test error, %",
    "steps_to_10": "steps until the training error is below 10 %",
}
"""What is measured of a run.

Final errors are those of the last weights over the whole training or test set, in evaluation mode, and 100 where the
run diverged. `steps_to_10` is the end of the first logging interval whose training batches had an error below 10 %,
and the steps of the recipe where there was none.
"""


class Published(NamedTuple):
    """A value as the paper prints it: an error in percent, and where it stands."""

    error: float
    source: str


@dataclass(frozen=True)
class Row:
    """One network of a table or figure; `panel` says in which of the figure's panels its curves are."""

    name: str
    network: ResNet
    panel: str
    published: Published | None = None


@dataclass(frozen=True)
class Claim:
    """The metric of row `lower` is lower than that of row `higher`, or higher by less than a margin.

    `text` says it in words and `source` where the paper does.
    """

    text: str
    lower: str
    higher: str
    metric: Metric
    source: str
    margin: float = 0.0


@dataclass(frozen=True)
class Scale:
    """One size of a study: on which data, by which recipe, with how many seeds, which rows; `note` says what differs
    from the paper."""

    data: str
    recipe: Recipe
    seeds: int
    rows: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Study:
    """A published experiment: what it asks, its rows, the paper's claims, the scales and what we know to differ."""

    name: str
    title: str
    source: str
    question: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    scales: dict[str, Scale]
    deviations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        told = [name for claim in self.claims for name in (claim.lower, claim.higher)]
        told += [name for scale in self.scales.values() for name in scale.rows]
        for name in told:
            if name not in names:
                raise SpecError(f"study {self.name}: no row {name!r}: {nearest(name, names)}")

    def scale(self, name: str) -> Scale:
        """Raises SpecError naming the scales there are."""
        if name not in self.scales:
            raise SpecError(f"study {self.name} has no scale {name!r}: {nearest(name, self.scales)}")
        return self.scales[name]
