"""Training by names."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import RUNS
from reslab.api.console import is_first_rank, progress_console
from reslab.errors import SpecError
from reslab.runs.execution import DEFAULT, Execution

if TYPE_CHECKING:
    from reslab.data.images import DataSet
    from reslab.nets.network import NetworkSpec
    from reslab.recipes.recipe import Recipe
    from reslab.runs.contents import Result
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


def train_network(
    network: "NetworkSpec | str",
    data: str,
    recipe: "Recipe | str",
    out: Path | str | None = None,
    seed: int = 0,
    *,
    weights: Path | str | None = None,
    assignments: Mapping[str, str] | None = None,
    execution: Execution = DEFAULT,
    progress: bool = False,
) -> Trained:
    """Train a network on a data set; the run directory keeps its record, checkpoints, weights and page.

    network: a spec or a name; it takes the data's images and classes
    data: a name from `list_data`, folder:PATH or imagenet:PATH
    out: the run directory; None is runs/ and a name that equal runs share
    weights: a run, or a file that reslab wrote: pretrained weights to begin with in place of fresh ones
    assignments: changed fields of network and recipe ({"steps": "400"}), as by --set
    execution: device, precision, compile, deterministic, recompute, on_bad, resume and stop_after
    progress: messages and a progress bar on stderr
    Raises what `reslab.train.loop.train` and `reslab.train.start.start_from` raise.
    """
    from reslab.data.loader import load
    from reslab.machine import find_device
    from reslab.nets import name_of
    from reslab.runs.contents import Result, read_value
    from reslab.runs.record import run_name
    from reslab.spec import replace
    from reslab.train.loop import train

    assigned = dict(assignments or {})
    value, how = _specs(network, recipe, assigned)
    if recipe == "finetune" and weights is None:
        raise SpecError("recipe finetune: begins with weights that others trained; give weights (--weights RUN|FILE)")
    execution = replace(execution, device=find_device(execution.device))
    images = load(data)
    start = _start(value, images, assigned, weights)
    run = RUNS / run_name(start.network, how, data, seed, start.source) if out is None else Path(out)
    console = progress_console() if progress and is_first_rank() else None
    if console:
        title = network if isinstance(network, str) else name_of(value)
        console.print(f"{title} on {data}, {execution.device}; run {run}", soft_wrap=True)
    result = read_value(Result, train(start, how, images, run, seed, execution, console), str(run))
    report = None
    if is_first_rank() and result.status == "finished":
        import torch

        from reslab.pages.run import write_report

        report = write_report(run, images, torch.device(execution.device), execution.on_bad)
    return Trained(run, result, report)


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
