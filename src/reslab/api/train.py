"""Training by names."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import RUNS
from reslab.api.console import in_notebook, is_first_rank, progress_console
from reslab.errors import SpecError

if TYPE_CHECKING:
    from reslab.data.images import DataSet
    from reslab.nets.network import NetworkSpec
    from reslab.recipes.recipe import Recipe
    from reslab.runs.contents import Result
    from reslab.runs.execution import Execution
    from reslab.train.start import Start


def recipe(name: str) -> "Recipe":
    """The recipe of a name ("paper-a-cifar"), a value to change by `replace`. Raises SpecError naming the nearest."""
    from reslab.recipes.named import recipe

    return recipe(name)


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
    execution: "Execution | None" = None,
    progress: bool | None = None,
) -> Trained:
    """Train a network on a data set; the run directory keeps its record, checkpoints, weights and page.

    network: a spec or a name; it takes the data's images and classes
    data: a name from `list_data`, folder:PATH or imagenet:PATH
    recipe: a value or a name; None is the one that is meant for the data, if there is one alone
    out: the run directory; None is runs/ and a name that equal runs share
    weights: a run, or a file that reslab wrote: pretrained weights to begin with in place of fresh ones
    assignments: changed fields of network and recipe ({"steps": "400"}), as by --set
    execution: device, precision, compile, deterministic, recompute, on_bad, resume and log; None has their defaults
    progress: messages and a progress bar on stderr; None shows them in a notebook alone
    Raises what `reslab.train.loop.train` and `reslab.train.start.start_from` raise.
    """
    from reslab.data.loader import load
    from reslab.machine import find_device
    from reslab.nets import name_of
    from reslab.runs.contents import Result, read_value
    from reslab.runs.execution import DEFAULT
    from reslab.runs.record import run_name
    from reslab.spec import replace
    from reslab.train.loop import train

    assigned = dict(assignments or {})
    shows = in_notebook() if progress is None else progress
    console = progress_console() if shows and is_first_rank() else None
    if recipe is None:
        recipe = _obvious_recipe(data, weights)
        if console:
            console.print(f"recipe {recipe}, the one for this data; --recipe names another", soft_wrap=True)
    value, how = _specs(network, recipe, assigned)
    if recipe == "finetune" and weights is None:
        raise SpecError("recipe finetune: begins with weights that others trained; give weights (--weights RUN|FILE)")
    execution = execution or DEFAULT
    execution = replace(execution, device=find_device(execution.device))
    images = load(data)
    start = _start(value, images, assigned, weights)
    run = RUNS / run_name(start.network, how, data, seed, start.source) if out is None else Path(out)
    if console:
        title = network if isinstance(network, str) else name_of(value)
        console.print(f"{title} on {data}, {execution.device}; run {run}", soft_wrap=True)
        if images.size and value.size != start.network.size:
            sides = f"{start.network.size}×{start.network.size}, the size of the images, not {value.size}×{value.size}"
            console.print(f"{title} reads {sides}{_lost_maps(start.network, images.size)}", soft_wrap=True)
    result = read_value(Result, train(start, how, images, run, seed, execution, console), str(run))
    report = None
    if is_first_rank() and result.status == "finished":
        import torch

        from reslab.pages.run import write_report

        report = write_report(run, images, torch.device(execution.device), execution.on_bad)
    return Trained(run, result, report)


_RECIPES = {"digits": "demo", "cifar10": "modern-cifar", "cifar100": "modern-cifar", "fashion-mnist": "modern-fashion"}


def _obvious_recipe(data: str, weights: Path | str | None) -> str:
    """The one recipe that is meant for a data set. Raises SpecError where there are several."""
    from reslab.data.loader import check_name
    from reslab.recipes.named import RECIPES

    check_name(data)
    if weights is not None and data.startswith("folder:"):
        return "finetune"
    if weights is None and data in _RECIPES:
        return _RECIPES[data]
    raise SpecError(f"--recipe is missing: several fit {data}; choose from {', '.join(RECIPES)}")


def _lost_maps(network: "NetworkSpec", size: int) -> str:
    """What small images do to a network for large ones: from which stage on its maps are single pixels."""
    shape = network.input
    for name, part in network.plan().parts:
        shape = part.out(shape)
        if shape[1:] == (1, 1) and name in network.stage_names[:-1]:
            why = f"\nits maps are 1×1 from {name} on, where 3×3 convolutions see one pixel and its padding"
            return f"{why}; networks for images of {size}×{size} end in -cifar, such as resnet20-cifar"
    return ""


def _specs(
    network: "NetworkSpec | str", recipe: "Recipe | str", assigned: dict[str, str]
) -> "tuple[NetworkSpec, Recipe]":
    """The network and the recipe, their fields changed by assignments."""
    from reslab.nets import network as named
    from reslab.recipes.named import recipe as find_recipe
    from reslab.spec import override_each

    _must_not_follow(assigned, "classes", "channels")
    value = named(network) if isinstance(network, str) else network
    how = find_recipe(recipe) if isinstance(recipe, str) else recipe
    changed: tuple[NetworkSpec, Recipe] = override_each((value, how), assigned)
    return changed


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
