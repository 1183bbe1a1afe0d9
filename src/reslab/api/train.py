"""Training by names."""

from collections.abc import Mapping
from dataclasses import replace as with_field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reslab.api.choices import RUNS, Device, OnBad
from reslab.api.console import in_notebook, is_first_rank, progress_console
from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from reslab.data.images import DataSet
    from reslab.nets.network import NetworkSpec
    from reslab.recipes.recipe import Recipe
    from reslab.runs.contents import Result, RunRecord
    from reslab.runs.execution import Execution
    from reslab.runs.run import Run
    from reslab.train.start import Start


def recipe(name: str) -> "Recipe":
    """The recipe of a name ("paper-a-cifar") or a file, a value to change by `replace`. Raises SpecError."""
    from reslab.recipes.file import find_recipe

    return find_recipe(name)


class Trained(NamedTuple):
    """A training that has ended: its run directory, its result, and its page where it has finished."""

    run: Path
    result: "Result"
    report: Path | None

    def columns(self) -> dict[str, list[str | int | float | None]]:
        """The lines of metrics.jsonl as plain columns, as pandas.DataFrame takes them; None where a line has none."""
        from dataclasses import asdict

        from reslab.runs.run import Run

        lines = [asdict(line) for line in Run(self.run).metrics]
        return {name: [line[name] for line in lines] for name in (lines[0] if lines else {})}

    def _repr_html_(self) -> str:
        """The errors, the run's directory and its learning curves, for notebooks."""
        from html import escape

        from reslab.pages.run_figures import curves
        from reslab.runs.run import Run
        from reslab.table import columns, to_html

        splits = {"validation": self.result.validation, "test": self.result.test, "training": self.result.train}
        lines = [(name, split.images, split.top1_error, split.loss) for name, split in splits.items() if split]
        table = to_html(columns(("split", "images", "error, %", "loss"), lines, form=",.4g"), self.result.status)
        metrics, best = Run(self.run).metrics, self.result.best
        figure = curves(metrics, best.step if best else None)._repr_svg_() if metrics else ""
        return f"{table}<p>{escape(str(self.report or self.run))}</p>{figure}"


def train_network(
    network: "NetworkSpec | str",
    data: str,
    recipe: "Recipe | str | None" = None,
    out: Path | str | None = None,
    seed: int = 0,
    *,
    weights: Path | str | None = None,
    assignments: Mapping[str, str] | None = None,
    scale_steps: bool = False,
    execution: "Execution | None" = None,
    progress: bool | None = None,
) -> Trained:
    """Train a network on a data set; the run directory keeps its record, checkpoints, weights and page.

    network: a spec, a name, or a JSON file; it takes the data's images and classes
    data: a name from `list_data`, folder:PATH or imagenet:PATH
    recipe: a value, a name, or a TOML or JSON file; None is the one that is meant for the data, if there is one alone
    out: the run directory; None is runs/ and a name that equal runs share
    weights: a run, or a file that reslab wrote: pretrained weights to begin with in place of fresh ones
    assignments: changed fields of network and recipe ({"steps": "400"}), as by --set; {"epochs": "3"} sets the steps
    scale_steps: changed steps or epochs scale the recipe's schedule and intervals too
    execution: device, precision, compile, deterministic, recompute, on_bad, resume, log, threads and stop_after; None
    has their defaults
    progress: messages and a progress bar on stderr; None shows them in a notebook alone
    Raises what `reslab.train.loop.train` and `reslab.train.start.start_from` raise.
    """
    from reslab.data.loader import check_name, load
    from reslab.machine import find_device
    from reslab.nets import name_of
    from reslab.recipes.aliases import resolve_aliases
    from reslab.recipes.named import recipe_for
    from reslab.recipes.scaled import mismatches
    from reslab.runs.execution import DEFAULT
    from reslab.runs.record import run_name
    from reslab.spec import replace

    assigned = resolve_aliases(assignments or {})
    epochs = assigned.pop("epochs", None)
    shows = in_notebook() if progress is None else progress
    console = progress_console() if shows and is_first_rank() else None
    check_name(data)
    chosen = recipe_for(data, pretrained=weights is not None) if recipe is None else recipe
    value, how = _specs(network, chosen, assigned, scale_steps)
    if chosen == "finetune" and weights is None:
        raise SpecError("recipe finetune: begins with weights that others trained; give weights (--weights RUN|FILE)")
    execution = execution or DEFAULT
    execution = replace(execution, device=find_device(execution.device))
    images = load(data)
    if epochs is not None:
        how = _with_epochs(how, epochs, images, "steps" in assigned, scale_steps)
    start = _start(value, images, assigned, weights)
    run = RUNS / run_name(start.network, how, data, seed, start.source) if out is None else Path(out)
    if console:
        title = network if isinstance(network, str) else name_of(value)
        if recipe is None:
            console.print(f"recipe {chosen}, the one for this data; --recipe names another", soft_wrap=True)
        console.print(f"{title} on {data}, {execution.device}; run {run}", soft_wrap=True)
        if images.size and value.size != start.network.size:
            sides = f"{start.network.size}×{start.network.size}, the size of the images, not {value.size}×{value.size}"
            console.print(f"{title} reads {sides}{_small_maps(start.network)}", soft_wrap=True)
        if reasons := mismatches(how):
            console.print(f"{'; '.join(reasons)}\n--scale-steps scales the schedule with the steps", soft_wrap=True)
    return _train(start, how, images, run, seed, execution, shows)


class RunSettings(NamedTuple):
    """What a run was trained with, of its run.json. weights: the file that it began with, None for fresh ones."""

    network: "NetworkSpec | str"
    data: str
    recipe: "Recipe | str | None"
    seed: int
    weights: str | None


def run_settings(path: Path | str) -> RunSettings:
    """The settings of a run, of its directory or of its run.json alone. Raises DataError for another file."""
    from reslab.runs.contents import RunRecord
    from reslab.runs.run import RECORD

    file = Path(path) / RECORD if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise DataError(f"{path}: neither a run's directory nor its {RECORD}; `reslab runs` lists runs")
    record = RunRecord.read(file)
    weights = record.weights.file if record.weights else None
    return RunSettings(record.network, record.data, record.recipe, record.seed, weights)


def resume_run(
    run: Path | str, *, data: str | None = None, changes: Mapping[str, Any] | None = None, progress: bool = False
) -> Trained:
    """Continue a stopped run from its last checkpoint, by what its run.json says.

    data: where its data are now, if they have moved; the same images are needed
    changes: fields of its Execution that differ from now on, such as {"device": "cpu"}
    Raises SpecError for a run that has ended, DataError for a path that is none, and what `train_network` raises.
    """
    from reslab.data.loader import load
    from reslab.machine import find_device
    from reslab.spec import replace

    held = _existing(run)
    record = held.record
    if held.is_done:
        raise SpecError(f"{run}: this run is {held.status}, there is nothing to resume")
    fields = {"resume": "any", "stop_after": None, **(changes or {})}
    fields["device"] = find_device(fields.get("device", record.execution.device))
    execution = replace(record.execution, **fields)
    images = with_field(load(data or record.data), name=record.data)
    start = _recorded_start(record, held.path)
    return _train(start, record.recipe, images, held.path, record.seed, execution, progress)


def _recorded_start(record: "RunRecord", run: Path) -> "Start":
    """A run's network; the tensors are those of its last checkpoint, which a run from others' weights must have."""
    from reslab.runs.run import Run
    from reslab.train.start import Start

    if record.weights is None:
        return Start(record.network)
    if Run(run).newest is None:
        file = record.weights.file
        raise SpecError(
            f"{run}: stopped before its first checkpoint; train it again with --config and --weights {file}"
        )
    return Start(record.network, {}, Run(run).weights.normalise, record.weights)


def _train(
    start: "Start", how: "Recipe", images: "DataSet", run: Path, seed: int, execution: "Execution", progress: bool
) -> Trained:
    """Train, and write the page of a run that has finished."""
    from reslab.runs.contents import Result, read_value
    from reslab.train.loop import train

    console = progress_console() if progress and is_first_rank() else None
    result = read_value(Result, train(start, how, images, run, seed, execution, console), str(run))
    report = None
    if is_first_rank() and result.status == "finished":
        import torch

        from reslab.machine import find_device
        from reslab.pages.run import write_report

        report = write_report(run, images, torch.device(find_device(execution.device)), execution.on_bad)
    return Trained(run, result, report)


def report_run(run: Path | str, *, device: Device = "auto", on_bad: OnBad = "error") -> Path:
    """Make the page of a finished run anew, from its files and the test images of its data; -> the page's path.

    Raises DataError for a path that is no finished run or has damaged files, SpecError where its data has changed.
    """
    import torch

    from reslab.data.loader import load
    from reslab.data.picture import shown
    from reslab.machine import find_device
    from reslab.pages.run import write_report
    from reslab.runs.record import described

    ended = _existing(run)
    if ended.status != "finished":
        raise DataError(f"{run}: this run is {ended.status}; a page shows a finished one")
    data, seen = load(ended.record.data), ended.record.data_set
    now = described(data)
    if (now.test, now.classes) != (seen.test, seen.classes):
        raise SpecError(f"{run}: {shown(data.name)} has other test images now than those of its training")
    return write_report(ended.path, data, torch.device(find_device(device)), on_bad)


def _existing(run: Path | str) -> "Run":
    """The run of a directory. Raises DataError if it holds none."""
    from reslab.runs.run import Run

    held = Run(Path(run))
    if not held.exists:
        raise DataError(f"{run}: no run; `reslab runs` lists them")
    return held


def _small_maps(network: "NetworkSpec") -> str:
    """What small images do to a network for large ones; "" for maps that are larger than one pixel."""
    stage, size = network.single_pixel_stage, network.size
    if stage is None:
        return ""
    why = f"\nits maps are 1×1 from {stage} on, where 3×3 convolutions see one pixel and its padding"
    return f"{why}; networks for images of {size}×{size} end in -cifar, such as resnet20-cifar"


def _specs(
    network: "NetworkSpec | str", recipe: "Recipe | str", assigned: dict[str, str], scale_steps: bool
) -> "tuple[NetworkSpec, Recipe]":
    """The network and the recipe, their fields changed by assignments."""
    from reslab.nets.file import find_network
    from reslab.recipes.changed import change_specs
    from reslab.recipes.file import find_recipe

    _must_not_follow(assigned, "classes", "channels")
    value = find_network(network) if isinstance(network, str) else network
    how = find_recipe(recipe) if isinstance(recipe, str) else recipe
    return change_specs(value, how, assigned, scale_steps)


def _with_epochs(how: "Recipe", epochs: str, images: "DataSet", has_steps: bool, scale_steps: bool) -> "Recipe":
    """The recipe with the steps of a number of passes over the training images."""
    from reslab.recipes.scaled import with_intervals
    from reslab.spec import override

    if has_steps:
        raise SpecError("--set epochs: the recipe counts in steps, which are given too; give one of them")
    try:
        passes = float(epochs)
    except ValueError:
        raise SpecError(f"--set epochs={epochs}: not a number") from None
    count = len(images.train.labels)
    if how.validation and images.validation is None:
        count -= how.validation if isinstance(how.validation, int) else round(how.validation * count)
    steps = round(passes * count / how.batch) if 0 < passes < 1e9 else 0
    if not steps:
        raise SpecError(f"--set epochs={epochs}: no step of {how.batch:,} of the {count:,} training images")
    if scale_steps:
        how = with_intervals(how, steps / how.steps)
    return override(how, {"steps": str(steps)}, f"--set epochs={epochs}: ")


def _start(network: "NetworkSpec", data: "DataSet", assigned: dict[str, str], weights: Path | str | None) -> "Start":
    """Fresh or pretrained weights of a network for a data set's images and classes."""
    from reslab.train.loop import fitted
    from reslab.train.start import Start, start_from

    if data.size:
        _must_not_follow(assigned, "size")
    if weights is None:
        return Start(fitted(network, data))
    return start_from(Path(weights), network, data, network.size if "size" in assigned else None)


def _must_not_follow(assigned: Mapping[str, str], *keys: str) -> None:
    """Raises SpecError for an assignment to a field that the data set fixes."""
    for key in keys:
        if key in assigned:
            raise SpecError(f"--set {key}: follows from the data, choose another --data")
