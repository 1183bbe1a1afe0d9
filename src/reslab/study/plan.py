"""Which runs a study needs at a scale, and where each lies."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reslab.data.images import DataSet
from reslab.data.loader import shape
from reslab.errors import DataError, SpecError
from reslab.nets import AnyNetwork
from reslab.papers.claims import PICTURES, Row, Scale, Study
from reslab.recipes.recipe import Recipe
from reslab.runs.contents import to_tree
from reslab.runs.record import described, is_done, is_locked, read_json, read_metrics, run_name, watched, write_json
from reslab.spec import digest, replace
from reslab.study.budget import BudgetCut, cut
from reslab.train.estimate import work


@dataclass(frozen=True)
class Run:
    """One training of one row with one seed; `out` is its run directory."""

    row: str
    network: AnyNetwork
    recipe: Recipe
    data: str
    seed: int
    out: Path

    @property
    def done(self) -> bool:
        return is_done(self.out)

    @property
    def failure(self) -> Path:
        """Where the reason stands for which a run last failed. It lies beside the run directory."""
        return self.out.with_name(f"{self.out.name}.failed.json")

    @property
    def status(self) -> str:
        """In a word or two: its result's status, "running", "failed: ..." or "not run"."""
        if (self.out / "result.json").is_file():
            return str(read_json(self.out / "result.json")["status"])
        if is_locked(self.out):
            return "running"
        if self.failure.is_file():
            return f"failed: {read_json(self.failure)['reason']}"
        return "stopped" if (self.out / "run.json").is_file() else "not run"

    @property
    def operations(self) -> float:
        """What it takes to train: two operations for each multiply-add."""
        return 2 * work(self.network, self.recipe)


@dataclass(frozen=True)
class Plan:
    """A study at a scale, with its runs, seed by seed, so that a plan that is stopped early has whole seeds.

    absent: the rows that cannot be trained as asked, and why
    pictures: the folder that stands for the study's pictures, as --data names it
    cut: what a budget took away
    cut_file: where that is kept, so that the same command goes on with the same runs
    """

    study: Study
    scale_name: str
    seeds: int
    runs: tuple[Run, ...]
    absent: dict[str, str]
    pictures: str | None = None
    cut: BudgetCut | None = None
    cut_file: Path | None = None

    @property
    def scale(self) -> Scale:
        return self.study.scales[self.scale_name]

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for row in self.study.rows if row.name in self.scale.rows)

    def keep_cut(self) -> None:
        """Keep what the budget took away: the next look at the clock would find the machine a little other."""
        if self.cut_file is not None:
            write_json(self.cut_file, {"cut": asdict(self.cut) if self.cut else None})

    @property
    def missing(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.done)

    @property
    def beside_published(self) -> bool:
        """Whether its numbers may stand beside published ones: counted ones, and those of the whole of a paper's
        recipe."""
        whole = self.cut is None or self.cut.share >= 1
        return not self.scale.settings or (self.scale_name == "paper" and whole)

    @property
    def watched(self) -> str:
        """The part whose error is measured while its runs are trained, all on the same data: see record.watched."""
        return watched(line for run in self.runs if run.done for line in read_metrics(run.out))

    def must_have_seen(self, data: DataSet) -> None:
        """Raises SpecError where runs that are done were trained on other images than a data set of that name has."""
        now: dict[float, Any] = {}
        for run in self.runs:
            if run.data != data.name or not run.done:
                continue
            share = 0.0 if data.validation else run.recipe.validation
            if share not in now:
                now[share] = described(data.hold_out(share) if share else data)
            if read_json(run.out / "run.json")["data_set"] != to_tree(now[share]):
                raise SpecError(
                    f"{run.out}: trained on other images than {data.name} has now, and one table cannot have both\n"
                    "remove it to train it again, or give the new images a folder of their own"
                )

    def runs_of(self, row: str) -> list[Run]:
        """The runs of a row that have their result, by seed."""
        return [run for run in self.runs if run.row == row and run.done]

    def network(self, row: Row) -> AnyNetwork:
        """A row's network at this scale, fitted to its images where it is trained."""
        fitted = (run.network for run in self.runs if run.row == row.name)
        return next(fitted, self.scale.networks.get(row.name, row.network))

    @property
    def command(self) -> str:
        """The command that does the same again."""
        asked = self.cut.asked if self.cut else self.seeds
        seeds = f" --seeds {asked}" if asked else ""
        pictures = f" --data {self.pictures}" if self.pictures else ""
        budget = f" --budget {self.cut.budget:g}" if self.cut else ""
        return f"reslab study run {self.study.name} --scale {self.scale_name}{seeds}{pictures}{budget}"


def make_plan(
    study: Study,
    scale_name: str,
    runs: Path,
    seeds: int | None = None,
    pictures: str | None = None,
    budget: float | None = None,
) -> Plan:
    """The runs under `runs` that a study needs; the scale's number of seeds unless another is given.

    `pictures` is the folder for studies on ImageNet. With a `budget`, in hours on this machine, fewer seeds and then
    fewer steps are trained: as few as when the study was begun, where it was. Two studies that need the same training
    name the same directory and so share it.
    """
    scale = study.scale(scale_name)
    if scale_name == "paper" and pictures and not pictures.startswith("imagenet:"):
        raise SpecError(f"--data {pictures}: paper scale is on imagenet:PATH; --scale short takes any folder")
    seeds = seeds or scale.seeds
    trained: list[tuple[str, AnyNetwork, Recipe, str]] = []
    absent: dict[str, str] = {}
    for row in study.rows if seeds and scale.settings else ():
        if row.name not in scale.rows:
            continue
        setting = scale.settings[row.setting]
        data = pictures if setting.data == PICTURES else setting.data
        if data is None:
            wanted = "imagenet:PATH" if scale_name == "paper" else "folder:PATH"
            absent[row.name] = f"needs --data {wanted}"
            continue
        network = _fitted(scale.networks.get(row.name, row.network), data, scale.size)
        trained.append((row.name, network, setting.recipe, data))
    taken, cut_file = None, None
    if budget:
        cut_file = runs / f"{study.name}-{scale_name}-{digest(seeds, pictures, budget)}.budget.json"
        rows = [(network, recipe) for _, network, recipe, _ in trained]
        taken = _kept(cut_file) if cut_file.is_file() else cut(rows, seeds, budget)
    planned = []
    for seed in range(taken.seeds if taken else seeds):
        for row_name, network, recipe, data in trained:
            how = taken.shortened(recipe) if taken else recipe
            out = runs / run_name(network, how, data, seed)
            planned.append(Run(row_name, network, how, data, seed, out))
    return Plan(study, scale_name, taken.seeds if taken else seeds, tuple(planned), absent, pictures, taken, cut_file)


def _kept(file: Path) -> BudgetCut | None:
    told = read_json(file)
    try:
        return BudgetCut(**told["cut"]) if told["cut"] else None
    except (KeyError, TypeError):
        raise DataError(f"{file}: does not say what a budget took away; remove it") from None


def _fitted(network: AnyNetwork, data: str, size: int | None) -> AnyNetwork:
    channels, held, classes = shape(data)
    fields: dict[str, Any] = {"channels": channels, "size": held or size or network.size, "classes": classes}
    return replace(network, **fields)


def hours(seconds: float) -> str:
    """A time as a person says it."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.1f} {unit}" if seconds < 10 * length else f"{seconds / length:,.0f} {unit}"
    return f"{math.ceil(seconds)} seconds"
