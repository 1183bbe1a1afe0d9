"""Analyses of networks: one module each, a row each in ANALYSES, from which commands and the API are made.

Importing this does not import torch.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from reslab.errors import SpecError, nearest

if TYPE_CHECKING:
    from reslab.analyse.analysis import Analysis

REPORTS = Path("reports")
"""Where reports go by default."""


class AnalysisOption(NamedTuple):
    """An option of an analysis: a keyword of the API, a flag of the command line.

    type: int, float, str or a Literal of its choices; least: the least number allowed
    repeated: whether a report's command names it even at its default
    """

    name: str
    type: Any
    default: Any
    help: str
    least: float | None = None
    repeated: bool = True

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> None:
        """Raise SpecError for a value that the option cannot have."""
        choices = get_args(self.type) if getattr(self.type, "__origin__", None) is Literal else ()
        if choices and value not in choices:
            raise SpecError(f"{self.flag} {value}: choose from {', '.join(choices)}")
        if self.least is not None and value is not None and value < self.least:
            raise SpecError(f"{self.flag} {value}: at least {self.least:g}")


INPUTS = ("data", "images", "seed", "seeds", "on_bad")
"""Options that choose what an analysis sees; the others are fields of its class."""


@dataclass(frozen=True)
class AnalysisRow:
    """One kind of analysis: "module:class" of its Analysis, one line of help, and its options."""

    path: str
    summary: str
    options: tuple[AnalysisOption, ...]

    def choose(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every option with its given value or, for None, its default. Raises SpecError for an unknown one."""
        names = [option.name for option in self.options]
        for name in given:
            if name not in names:
                raise SpecError(f"no option {name!r} of this analysis: {nearest(name, names)}")
        chosen = {}
        for option in self.options:
            value = given.get(option.name)
            chosen[option.name] = option.default if value is None else value
            option.check(chosen[option.name])
        return chosen

    def build(self, options: Mapping[str, Any]) -> "Analysis[Any]":
        """The analysis with its own options; imports its module."""
        own = {name: value for name, value in options.items() if name not in INPUTS}
        return pkgutil.resolve_name(self.path)(**own)  # type: ignore[no-any-return]


DATA = AnalysisOption("data", str, None, "a name from `reslab data list`, or folder:PATH")
SEED = AnalysisOption("seed", int, 0, "of fresh weights, and of random choices", 0)
SEEDS = AnalysisOption("seeds", int, 3, "initial weights of each named network", 1)
ON_BAD = AnalysisOption("on_bad", Literal["error", "skip"], "error", "pictures that cannot be read", repeated=False)


def images(default: int, least: int = 2, split: str = "test") -> AnalysisOption:
    """The number of images."""
    return AnalysisOption("images", int, default, f"{split} images, evenly spread over the set", least)


def mode(default: str) -> AnalysisOption:
    """The mode of BN."""
    return AnalysisOption(
        "mode", Literal["eval", "train"], default, "eval: BN's running statistics; train: those of each batch"
    )


ANALYSES: dict[str, AnalysisRow] = {
    "responses": AnalysisRow(
        "reslab.analyse.responses:ResponseAnalysis",
        "Measure how strongly the 3x3 layers respond, before and after training. Paper A, Fig. 7.",
        (DATA, images(1000), SEED, mode("eval"), ON_BAD),
    ),
    "gradients": AnalysisRow(
        "reslab.analyse.gradients:GradientAnalysis",
        "Measure signal and gradient after every unit, beside those of the shortcuts alone. Paper C, eqs. 5-8.",
        (DATA, images(500), SEED, SEEDS, mode("train"), ON_BAD),
    ),
    "signals": AnalysisRow(
        "reslab.analyse.signals:SignalAnalysis",
        "Measure the moments of shortcut and residual and the likeness of gradients, unit by unit. Brock et al. 2021.",
        (DATA, images(256), SEED, SEEDS, ON_BAD),
    ),
    "lesion": AnalysisRow(
        "reslab.analyse.lesion:LesionAnalysis",
        "Remove and swap units of trained networks at test time. Veit et al. 2016.",
        (DATA, images(300), SEED, ON_BAD),
    ),
    "cost": AnalysisRow(
        "reslab.analyse.cost:CostAnalysis",
        "Count parameters, multiply-adds and activations of each part, and measure its time on this machine.",
        (
            AnalysisOption("batch", int, None, "images at a time  [default: 64 small ones, 8]", 1),
            SEED._replace(repeated=False),
        ),
    ),
    "landscape": AnalysisRow(
        "reslab.analyse.landscape:LandscapeAnalysis",
        "Map the loss over two random directions around the weights. Stopped, the same command goes on.",
        (
            DATA,
            AnalysisOption("points", int, 21, "of the grid along each direction, an odd number"),
            AnalysisOption("reach", float, 1.0, "of the grid; 1 is as far as the weights", 0.001),
            images(1000, 1, "training"),
            SEED,
            AnalysisOption("workers", int, None, "processes  [default: one for each core]", 1, repeated=False),
            AnalysisOption("precision", Literal["auto", "float32", "bf16"], "auto", "auto: the faster one"),
            ON_BAD,
        ),
    ),
}
