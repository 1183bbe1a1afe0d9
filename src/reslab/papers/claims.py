"""How a published table or figure is declared: its rows, what the paper says of them, and at which scales we run it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reslab.errors import SpecError, nearest
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.stats import Relation

Metric = Literal[
    "initial_loss",
    "train_error",
    "train_loss",
    "test_error",
    "top5_error",
    "curve",
    "train_curve",
    "steps_to_10",
    "steps_to_other",
    "parameters",
    "multiply_adds",
    "layers",
]


class MetricText(NamedTuple):
    """A metric in words: its title and its unit, if it has one."""

    title: str
    unit: str

    def __str__(self) -> str:
        return f"{self.title}, {self.unit}" if self.unit else self.title


METRICS: dict[Metric, MetricText] = {
    "initial_loss": MetricText("training loss of the first logging interval", "nats"),
    "train_error": MetricText("final training error", "%"),
    "test_error": MetricText("final test error", "%"),
    "top5_error": MetricText("final top-5 test error", "%"),
    "train_loss": MetricText("final training loss", ""),
    "curve": MetricText("test error, mean of all evaluations of the training", "%"),
    "train_curve": MetricText("training error, mean of the whole training", "%"),
    "steps_to_10": MetricText("steps until the training error is below 10 %", ""),
    "steps_to_other": MetricText("steps to the other network's training error before the first drop of the rate", ""),
    "parameters": MetricText("parameters", "millions"),
    "multiply_adds": MetricText("multiply-adds for one image", "billions"),
    "layers": MetricText("convolutions and linear layers", ""),
}
"""What is measured of a run, or counted of a network. A run that diverged has no value and is counted apart.

Final errors are those of the last weights over the whole training or test set, in evaluation mode. `initial_loss` is
the mean over the first steps that are logged together. `curve` is low where
a network's test error falls soon; early in a training it also shows how BN's running averages lag, `train_curve` does
not. `steps_to_10` is the end of the first logging interval whose training batches had an error below 10 %.
`steps_to_other` is of two rows: the step at which the error of the training batches, mean over `evaluate_every` steps,
comes down to that of the claim's `higher` row before the learning rate first drops, of its slowest run.
"""
COUNTED: tuple[Metric, ...] = ("parameters", "multiply_adds", "layers")
FINAL: tuple[Metric, ...] = ("train_error", "train_loss", "test_error", "top5_error")
"""Where a network ends; a scale too short for that judges none of these."""
LEAST: dict[Metric, float] = {
    "train_error": 0.1,
    "train_loss": 0.001,
    "test_error": 0.1,
    "top5_error": 0.1,
    "curve": 0.5,
    "train_curve": 0.5,
}
"""The least difference that is worth a claim, by metric, in its unit. Runs of one network differ by 0.1 to 0.2."""

FAILED: Literal["fail"] = "fail"
"""What C Table 1 prints for a test error above 20 %."""
FAILS_ABOVE = 20.0


Value = float | Literal["fail"]


class Published(NamedTuple):
    """Values as a paper prints them, by metric, and where they stand. Errors in percent.

    n: runs of each value; of: which statistic of them it is
    spread: mean and standard deviation of the n runs' test errors, where the paper prints them
    """

    source: str
    values: Mapping[Metric, Value]
    n: int = 1
    of: Literal["run", "mean", "median", "best"] = "run"
    spread: tuple[float, float] | None = None

    @property
    def citation(self) -> str:
        """The source with n and spread: "C Table 3, median of 5 (4.89 ± 0.14)"."""
        runs = f", {self.of} of {self.n}" if self.n > 1 else ""
        return self.source + runs + (f" ({self.spread[0]:.2f} ± {self.spread[1]:.2f})" if self.spread else "")


@dataclass(frozen=True)
class Row:
    """One network of a table or figure.

    panel: the figure's panel that shows its curves
    setting: the key of its data and recipe in a scale's settings
    """

    name: str
    network: AnyNetwork
    panel: str
    setting: str = "cifar"
    published: Published | None = None


class Other(NamedTuple):
    """A published value of a network or a way of testing that is not run here, for a study's table of them."""

    name: str
    published: Published


@dataclass(frozen=True)
class Claim:
    """The metric of `lower` is lower than that of `higher`, or higher by less than a margin.

    text: the claim in words; source: its place in the paper
    lower, higher: a row's name, or a number
    margin: in the metric's unit
    scales: where it can be judged; None is every scale that has its rows
    key: a short word by which the review selects it, shared by claims of one kind
    relation: "lower", or "about": the two differ by less than the margin, whichever is lower
    least: the least difference that is worth the claim, in the metric's unit; None is LEAST's, without a margin
    """

    text: str
    lower: str | float
    higher: str | float
    metric: Metric
    source: str
    margin: float = 0.0
    scales: tuple[str, ...] | None = None
    key: str = ""
    relation: Relation = "lower"
    least: float | None = None

    @property
    def least_effect(self) -> float:
        if self.least is not None:
            return self.least
        return 0.0 if self.margin else LEAST.get(self.metric, 0.0)

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(side for side in (self.lower, self.higher) if isinstance(side, str))


@dataclass(frozen=True)
class Setting:
    """The data and the recipe of a training; `data` is a name as `reslab train --data` takes it, or PICTURES."""

    data: str
    recipe: Recipe


SCALES = ("paper", "short", "small", "brief", "demo")
"""From the largest to the smallest."""

PICTURES = "pictures"
"""Stands for the folder that a user names: imagenet:PATH at paper scale, any folder of pictures below it."""


OWN = "own"
"""The one scale of a user's own study, which has no published values."""


@dataclass(frozen=True)
class Scale:
    """One size of a study: its settings, number of seeds and rows; `note` says what differs from the paper.

    networks: smaller networks that replace those of some rows
    size: of the pictures, in pixels; None is each network's own
    top: the upper end of the curves' error axis, in percent
    ends: whether its recipes are long enough for claims on where a network ends
    """

    settings: Mapping[str, Setting]
    seeds: int
    rows: tuple[str, ...]
    note: str
    networks: Mapping[str, AnyNetwork] = field(default_factory=dict)
    size: int | None = None
    top: float = 100.0
    ends: bool = True

    @property
    def reads_pictures(self) -> bool:
        """Whether some of its rows are trained on the folder that a user names."""
        return any(setting.data == PICTURES for setting in self.settings.values())


@dataclass(frozen=True)
class Study:
    """A published experiment: its question, rows, the paper's claims, scales, and known deviations from the paper.

    metrics: the columns of its table
    second: the figure beside the curves: a metric over the depth, by row, or test error over multiply-adds
    medians: the paper prints medians of its runs, so they stand beside mean and deviation
    losses: the curves show the training loss on a logarithmic axis, as paper C's do, not the training error
    baseline: the row whose curves are drawn in every panel
    file: the file that it was read from, if it is a user's own
    spread: the published standard deviation of single runs' test errors, in points, and its source
    others: what the paper prints beside its rows and is not run here
    """

    name: str
    title: str
    source: str
    question: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    scales: dict[str, Scale]
    deviations: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ("train_error", "test_error", "steps_to_10")
    second: Literal["depth", "rows", "cost"] = "rows"
    medians: bool = False
    losses: bool = False
    baseline: str | None = None
    file: str | None = None
    spread: tuple[float, str] | None = None
    others: tuple[Other, ...] = ()

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        used = [name for claim in self.claims for name in claim.rows]
        used += [name for scale in self.scales.values() for name in (*scale.rows, *scale.networks)]
        for name in used:
            if name not in names:
                raise SpecError(f"study {self.name}: no row {name!r}: {nearest(name, names)}")
        for scale in self.scales.values():
            for row in self.rows:
                if scale.seeds and row.name in scale.rows and row.setting not in scale.settings:
                    raise SpecError(f"study {self.name}: no setting {row.setting!r} for {row.name}")

    def published_difference(self, claim: Claim) -> float | None:
        """The published lower - higher of a claim; what failed counts with the 20 % that it is above. None without."""
        values = [self._published(side, claim.metric) for side in (claim.lower, claim.higher)]
        return None if values[0] is None or values[1] is None else values[0] - values[1]

    def _published(self, side: str | float, metric: Metric) -> float | None:
        if not isinstance(side, str):
            return side
        row = next(row for row in self.rows if row.name == side)
        value = row.published.values.get(metric) if row.published else None
        return FAILS_ABOVE if value == FAILED else value

    def scale(self, name: str) -> Scale:
        """Raises SpecError naming the scales there are."""
        if name not in self.scales:
            raise SpecError(f"study {self.name} has no scale {name!r}: {nearest(name, self.scales)}")
        return self.scales[name]


def row_names(rows: tuple[Row, ...]) -> tuple[str, ...]:
    """The names of all rows."""
    return tuple(row.name for row in rows)
