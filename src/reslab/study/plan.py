"""Which runs a study needs at a scale, and where each lies."""

from dataclasses import dataclass
from pathlib import Path

from reslab.data.images import DataSet
from reslab.nets import ResNet
from reslab.papers.claims import Row, Scale, Study
from reslab.train.loop import fitted
from reslab.train.recipe import Recipe
from reslab.train.record import is_done, run_name


@dataclass(frozen=True)
class Run:
    """One training of one row with one seed; `out` is its run directory."""

    row: str
    network: ResNet
    recipe: Recipe
    data: str
    seed: int
    out: Path

    @property
    def done(self) -> bool:
        return is_done(self.out)


@dataclass(frozen=True)
class Plan:
    """A study at a scale, with its runs, seed by seed, so that a plan that is stopped early has whole seeds."""

    study: Study
    scale_name: str
    seeds: int
    runs: tuple[Run, ...]

    @property
    def scale(self) -> Scale:
        return self.study.scales[self.scale_name]

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for row in self.study.rows if row.name in self.scale.rows)

    @property
    def missing(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.done)

    def runs_of(self, row: str) -> list[Run]:
        """The runs of a row that have their result, by seed."""
        return [run for run in self.runs if run.row == row and run.done]

    @property
    def command(self) -> str:
        """The command that does the same again."""
        return f"reslab study run {self.study.name} --scale {self.scale_name} --seeds {self.seeds}"


def make_plan(study: Study, scale_name: str, seeds: int | None, data: DataSet, runs: Path) -> Plan:
    """The runs under `runs` that a study needs; the scale's number of seeds unless another is given.

    `data` is the scale's data set, whose images the networks are fitted to. Two studies that need the same training
    name the same directory and so share it.
    """
    scale = study.scale(scale_name)
    seeds = seeds or scale.seeds
    planned = []
    for seed in range(seeds):
        for row in study.rows:
            if row.name in scale.rows:
                network = fitted(row.network, data)
                out = runs / run_name(network, scale.recipe, scale.data, seed)
                planned.append(Run(row.name, network, scale.recipe, scale.data, seed, out))
    return Plan(study, scale_name, seeds, tuple(planned))
