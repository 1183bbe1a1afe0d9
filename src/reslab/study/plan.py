"""The runs that a study needs at a scale, and their directories."""

import dataclasses
import math
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cache, partial
from glob import escape
from pathlib import Path
from typing import Any

from reslab.data.images import DataSet
from reslab.data.loader import Shape, shape
from reslab.errors import DataError, SpecError, nearest
from reslab.nets import AnyNetwork, ResNet
from reslab.papers.claims import OWN, PICTURES, Row, Scale, Study
from reslab.recipes.recipe import Recipe
from reslab.runs.contents import DataDescription, RunRecord, read_json, write_json
from reslab.runs.record import data_name, described, run_name
from reslab.runs.run import EvalSplit, Run
from reslab.spec import digest, replace
from reslab.study.budget import BudgetCut, cut
from reslab.train.estimate import work


@dataclass(frozen=True)
class PlannedRun:
    """One training of one row with one seed; `out` is its run directory."""

    row: str
    network: AnyNetwork
    recipe: Recipe
    data: str
    seed: int
    out: Path

    @property
    def run(self) -> Run:
        """The run directory: read once after the run has ended, anew at each call before."""
        run: Run | None = self.__dict__.get("_done")
        if run is None:
            run = Run(self.out)
            if _has_ended(run) and not _damage(run):
                self.__dict__["_done"] = run
        return run

    @property
    def damage(self) -> str:
        """Why the run's files cannot be read; "" if they can."""
        return "" if "_done" in self.__dict__ else _damage(self.run)

    @property
    def done(self) -> bool:
        """Whether the run has come to its end, and its files can be read."""
        _ = self.run
        return "_done" in self.__dict__

    @property
    def failure(self) -> Path:
        """The file with the reason of the last failure, beside the run directory."""
        return self.out.with_name(f"{self.out.name}.failed.json")

    @property
    def status(self) -> str:
        """The run's status, "damaged", "failed: ..." or "not run"."""
        run = self.run
        if self.damage:
            return "damaged"
        if run.status in ("stopped", "not begun") and self.failure.is_file():
            return f"failed: {read_failure(self.failure)}"
        return "not run" if run.status == "not begun" else run.status

    @property
    def operations(self) -> float:
        """Operations of the training, two for each multiply-add."""
        return 2 * work(self.network, self.recipe)


def read_failure(file: Path) -> str:
    """The reason of a failure, as a runner wrote it."""
    try:
        return str(read_json(file)["reason"])
    except (DataError, KeyError, TypeError):
        return f"{file} is damaged"


def _has_ended(run: Run) -> bool:
    """Whether a run has a result that is final; its other files are not read."""
    try:
        return run.is_done
    except DataError:
        return False


def _damage(run: Run) -> str:
    """Why a run's files cannot be read; "" if they can. A finished one has its last evaluations too."""
    try:
        result, metrics = run.result, run.metrics
        if result is not None and result.status != "stopped":
            _ = run.record, run.answers
        if result is not None and result.status == "finished":
            evaluated = any(line.error(run.eval_split) is not None for line in metrics)
            if result.train is None or result.test is None or not evaluated:
                return f"{run.path}: has no final evaluation"
    except DataError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class Plan:
    """A study at a scale, with its runs seed by seed, so that a plan that is stopped early has whole seeds.

    absent: the rows that cannot be trained, with the reason
    pictures: the folder of the study's pictures, as --data names it
    cut: how a time budget shortened the study
    cut_file: where that is kept, so that the same command continues the same runs
    """

    study: Study
    scale_name: str
    seeds: int
    runs: tuple[PlannedRun, ...]
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
        """Write the budget's cut to `cut_file`: another measurement of the machine's speed would give another one."""
        if self.cut_file is not None:
            write_json(self.cut_file, {"cut": asdict(self.cut) if self.cut else None})

    @property
    def missing(self) -> tuple[PlannedRun, ...]:
        return tuple(planned for planned in self.runs if not planned.done)

    def only(self, rows: Collection[str]) -> "Plan":
        """The plan with the runs of these rows alone. Raises SpecError for a row that it does not train."""
        trained = list(dict.fromkeys(planned.row for planned in self.runs))
        for row in rows:
            if row not in trained:
                why = self.absent.get(row) or nearest(row, trained)
                raise SpecError(f"{row}: {self.study.name} trains no such row at {self.scale_name} scale; {why}")
        return dataclasses.replace(self, runs=tuple(planned for planned in self.runs if planned.row in rows))

    @property
    def damaged(self) -> dict[PlannedRun, str]:
        """The runs whose files cannot be read, with the reason."""
        return {planned: reason for planned in self.runs if (reason := planned.damage)}

    @property
    def beside_published(self) -> bool:
        """Whether its numbers are comparable to published ones: counted, or trained by a paper's whole recipe."""
        whole = self.cut is None or self.cut.share >= 1
        return not self.scale.settings or (self.scale_name == "paper" and whole)

    @property
    def eval_split(self) -> EvalSplit:
        """The split that is evaluated while its runs, all on the same data, are trained."""
        splits = {planned.run.eval_split for planned in self.runs if planned.done}
        return "validation" if "validation" in splits else "test"

    def must_have_seen(self, data: DataSet) -> None:
        """Raises SpecError if a run that is done was trained on other images than a data set of that name has."""
        now: dict[float, DataDescription] = {}
        for planned in self.runs:
            if planned.data != data.name or not planned.done:
                continue
            share = 0.0 if data.validation else planned.recipe.validation
            if share not in now:
                now[share] = described(data.hold_out(share) if share else data)
            if planned.run.record.data_set != now[share]:
                raise SpecError(
                    f"{planned.out}: trained on other images than {data.name} has now, and one table cannot have both\n"
                    "remove it to train it again, or give the new images a folder of their own"
                )

    def runs_of(self, row: str) -> list[PlannedRun]:
        """The runs of a row that have their result, by seed."""
        return [planned for planned in self.runs if planned.row == row and planned.done]

    def begun_of(self, row: str) -> list[PlannedRun]:
        """The runs of a row that have metrics and no result yet, by seed."""
        return [planned for planned in self.runs if planned.row == row and not planned.done and planned.run.metrics]

    def network(self, row: Row) -> AnyNetwork:
        """A row's network at this scale, fitted to its images where it is trained."""
        planned = (planned.network for planned in self.runs if planned.row == row.name)
        return next(planned, self.scale.networks.get(row.name, row.network))

    def stand_in(self, name: str) -> str | None:
        """What is trained in the place of a row's network at this scale: "56 layers for 110"; None if itself.

        Networks that differ in more than their depth are named by their parameters.
        """
        row = next(row for row in self.study.rows if row.name == name)
        small, large = self.scale.networks.get(name, row.network), row.network
        if small == large:
            return None
        if isinstance(small, ResNet) and isinstance(large, ResNet) and _is_shallower(small, large):
            return f"{small.depth} layers for {large.depth}"
        millions = [network.cost().parameters / 1e6 for network in (self.network(row), large)]
        return "{:.2g} for {:.3g} million parameters".format(*millions)

    def label(self, name: str) -> str:
        """A row's name with the network that is trained for it: "original, 56 layers for 110"."""
        stand_in = self.stand_in(name)
        if stand_in is None:
            return name
        published = stand_in.rpartition(" for ")[2]
        return f"{name.removesuffix(f', {published}')}, {stand_in}"

    @property
    def command(self) -> str:
        """The command that does the same again; of a study that is a value, the call."""
        asked = self.cut.asked if self.cut else self.seeds
        if self.scale_name == OWN and self.study.file is None:
            given = {"seeds": asked, "data": self.pictures, "budget": self.cut and self.cut.budget}
            options = "".join(f", {key}={value!r}" for key, value in given.items() if value)
            return f"run_study(plan_study(study{options}))"
        name = shlex.quote(self.study.file or self.study.name)
        scale = "" if self.scale_name == OWN else f" --scale {self.scale_name}"
        seeds = f" --seeds {asked}" if asked else ""
        pictures = f" --data {self.pictures}" if self.pictures else ""
        budget = f" --budget {self.cut.budget:g}" if self.cut else ""
        return f"reslab study run {name}{scale}{seeds}{pictures}{budget}"


def make_plan(
    study: Study,
    scale_name: str,
    runs: Path,
    seeds: int | None = None,
    pictures: str | None = None,
    budget: float | None = None,
) -> Plan:
    """The runs of a study in the folder `runs`; the scale's number of seeds unless another is given.

    pictures: the folder for studies on ImageNet, as --data names it
    budget: hours on this machine, to which seeds and then steps are cut; a study that was begun keeps its first cut
    Two studies that need the same training name the same directory and share it.
    """
    scale = study.scale(scale_name)
    if scale_name == "paper" and pictures and not pictures.startswith("imagenet:"):
        raise SpecError(f"--data {pictures}: paper scale is on imagenet:PATH; --scale small takes any folder")
    seeds = seeds or scale.seeds
    rows = [row for row in study.rows if seeds and scale.settings and row.name in scale.rows]
    settings = {row.name: scale.settings[row.setting] for row in rows}
    shape_of = cache(partial(_shape, runs=runs))
    sets = {name: pictures if setting.data == PICTURES else setting.data for name, setting in settings.items()}
    wanted = "imagenet:PATH" if scale_name == "paper" else "folder:PATH"
    absent = {name: f"needs --data {wanted}" for name, data in sets.items() if data is None}
    trained = [
        (
            row.name,
            _fitted(scale.networks.get(row.name, row.network), shape_of(data), scale.size),
            settings[row.name].recipe,
            data,
        )
        for row in rows
        if (data := sets[row.name]) is not None
    ]
    shortened, cut_file = None, None
    if budget:
        cut_file = runs / f"{study.name}-{scale_name}-{digest(seeds, pictures, budget)}.budget.json"
        costs = [(network, recipe) for _, network, recipe, _ in trained]
        shortened = _read_cut(cut_file) if cut_file.is_file() else cut(costs, seeds, budget)
    if shortened:
        seeds = shortened.seeds
        trained = [(row, network, shortened.shortened(recipe), data) for row, network, recipe, data in trained]
    planned = tuple(
        PlannedRun(row, network, recipe, data, seed, runs / run_name(network, recipe, data, seed))
        for seed in range(seeds)
        for row, network, recipe, data in trained
    )
    return Plan(study, scale_name, seeds, planned, absent, pictures, shortened, cut_file)


def _read_cut(file: Path) -> BudgetCut | None:
    content = read_json(file)
    try:
        return BudgetCut(**content["cut"]) if content["cut"] else None
    except (KeyError, TypeError):
        raise DataError(f"{file}: does not say what a budget took away; remove it") from None


def _shape(data: str, runs: Path) -> Shape:
    """The shape of a data set; of a folder that is not here, that of runs which were trained on it."""
    try:
        return shape(data)
    except DataError:
        for file in runs.glob(f"*-{escape(data_name(data))}-s*/run.json"):
            network = RunRecord.read(file).network
            return Shape(network.channels, None, network.classes)
        raise


def _fitted(network: AnyNetwork, shape: Shape, size: int | None) -> AnyNetwork:
    """The network for images and classes of a shape; pictures of any size are cropped to `size`, or its own."""
    channels, fixed_size, classes = shape
    fields: dict[str, Any] = {"channels": channels, "size": fixed_size or size or network.size, "classes": classes}
    return replace(network, **fields)


def hours(seconds: float) -> str:
    """Seconds in words, in the largest unit that fits: "3.2 hours"."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.1f} {unit}" if seconds < 10 * length else f"{seconds / length:,.0f} {unit}"
    return f"{math.ceil(seconds)} seconds"


def _is_shallower(small: ResNet, large: ResNet) -> bool:
    """Whether a network differs from another in its units alone, or is thinner as well, its stem as its stages are."""
    free = {key: getattr(large, key) for key in ("units", "widths", "stem", "classes", "channels", "size")}
    alike = vars(small) | free == vars(large)
    return alike and small.unit_outputs[0] * large.widths[0] == large.unit_outputs[0] * small.widths[0]
