"""Commands that train and evaluate."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslab.cli.options import (
    RUNS,
    AsJson,
    Assignments,
    DataName,
    Device,
    EngineName,
    NetworkName,
    OnBad,
    RunOrFile,
    console,
    one_of,
    pairs,
    tell_skipped,
)
from reslab.errors import DivergedError, SpecError
from reslab.stop import STOPPED

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn


def train(
    name: NetworkName,
    data: DataName,
    recipe: Annotated[str, typer.Option("--recipe", help="such as demo, paper-a-cifar, modern-cifar")],
    out: Annotated[Path | None, typer.Option("--out", help="the run directory  [default: in runs/, by name]")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="what everything random follows from")] = 0,
    assignments: Assignments = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a run that was stopped, or begin it")] = False,
    strict: Annotated[
        bool, typer.Option("--strict-resume", help="go on only where the end is bit for bit the same")
    ] = False,
    device: Device = "auto",
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16, or auto")] = "auto",
    compile_: Annotated[str, typer.Option("--compile", help="on, off, or auto: where it pays")] = "auto",
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="the same bits each time on a GPU too")
    ] = False,
    recompute: Annotated[
        int, typer.Option("--recompute", min=0, help="units that keep one activation: less memory, more time")
    ] = 0,
    on_bad: OnBad = "error",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="RUN|FILE", help="weights to begin with, in place of fresh ones")
    ] = None,
) -> None:
    """Train a network; the run directory keeps its record, checkpoints and weights."""
    from reslab.machine import find_device
    from reslab.nets import network
    from reslab.recipes.named import recipe as find_recipe
    from reslab.runs.execution import Execution
    from reslab.spec import override_each

    assigned = pairs(assignments)
    for key in ("classes", "channels"):
        if key in assigned:
            raise SpecError(f"--set {key}: follows from the data, choose another --data")
    if recipe == "finetune" and weights is None:
        raise SpecError("--recipe finetune: begins with weights that others trained; name them by --weights RUN|FILE")
    chosen, how = override_each((network(name), find_recipe(recipe)), assigned)
    execution = Execution(
        device=find_device(device),  # type: ignore[arg-type]
        precision=one_of("--precision", precision, ("auto", "float32", "bf16")),  # type: ignore[arg-type]
        compile=one_of("--compile", compile_, ("auto", "on", "off")),  # type: ignore[arg-type]
        deterministic=deterministic,
        recompute=recompute,
        on_bad=one_of("--on-bad", on_bad, ("error", "skip")),  # type: ignore[arg-type]
        resume="exact" if strict else "any" if resume else "never",
    )

    from reslab.data.loader import load
    from reslab.runs.record import run_name
    from reslab.train.loop import fitted
    from reslab.train.loop import train as train_network
    from reslab.train.start import Start, start_from

    images = load(data)
    if images.size and "size" in assigned:
        raise SpecError("--set size: follows from the data, choose another --data")
    if weights:
        start = start_from(weights, chosen, images, chosen.size if "size" in assigned else None)
    else:
        start = Start(fitted(chosen, images))
    out = out or RUNS / run_name(start.network, how, data, seed, start.source)
    told, first = console(), os.environ.get("RANK", "0") == "0"
    if first:
        told.print(f"{name} on {data}, {execution.device}; run {out}", highlight=False, soft_wrap=True)
        if images.size and chosen.size != start.network.size:
            sides = (
                f"{start.network.size}×{start.network.size}, the size of the images, not {chosen.size}×{chosen.size}"
            )
            told.print(f"{name} reads {sides}", highlight=False, soft_wrap=True)
    result = train_network(start, how, images, out, seed, execution, told)
    if first:
        _tell(result, out, told)
    if first and result["status"] == "finished":
        import torch

        from reslab.pages.run import write_report

        page = write_report(out, images, torch.device(execution.device), execution.on_bad)
        told.print(f"report: {page}", highlight=False, soft_wrap=True, markup=False)
    if result["status"] == "stopped":
        raise typer.Exit(STOPPED)
    if result["status"] == "diverged":
        batch = ", ".join(result["batch"][:3])
        raise DivergedError(
            f"{out}: not finite at step {result['step']}; try a lower rate\n"
            f"its batch: images {batch} and {len(result['batch']) - 3} more, all in result.json"
        )


def _tell(result: dict[str, Any], out: Path, told: "Console") -> None:
    tell_skipped(result.get("skipped", {}))
    if result["status"] == "stopped":
        told.print(f"stopped behind step {result['step']}, saved; --resume goes on with it", soft_wrap=True)
    if result["status"] == "finished":
        parts = [part for part in ("validation", "test", "train") if part in result]
        words = {"train": "training"}
        errors = [f"{words.get(part, part)} error {result[part]['top1_error']:.2f} %" for part in parts]
        typer.echo("  ".join(errors))
        if best := result.get("best"):
            errors = [
                f"validation error {best['validation_error']:.2f} %",
                f"test error {best['test']['top1_error']:.2f} %",
            ]
            typer.echo("  ".join([f"best.safetensors, of step {best['step']:,}:", *errors]))
        typer.echo(str(out))


def evaluate(
    file: RunOrFile,
    data: DataName,
    crops: Annotated[int, typer.Option("--crops", help="views of each picture: 1, 10 or 144")] = 1,
    as_json: AsJson = False,
    device: Device = "auto",
    on_bad: OnBad = "error",
    engine: EngineName = "torch",
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16, or auto, the faster one")] = "float32",
    compile_: Annotated[str, typer.Option("--compile", help="on or off, for --engine torch")] = "off",
    per_class: Annotated[bool, typer.Option("--per-class", help="the error of each class too")] = False,
    confusion: Annotated[bool, typer.Option("--confusion", help="which classes are taken for which too")] = False,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="how far confidence and accuracy are apart too")
    ] = False,
) -> None:
    """Measure top-1 and top-5 error, in percent, and loss on the test images."""
    from reslab.weights.file import built, read_weights

    one_of("--crops", crops, (1, 10, 144))
    one_of("--on-bad", on_bad, ("error", "skip"))
    one_of("--compile", compile_, ("on", "off"))
    if engine != "torch" and device == "auto":
        device = "cpu"
    weights = read_weights(file)

    import torch

    from reslab.data.loader import load
    from reslab.distributed import gather, process_group
    from reslab.evaluate import Details, match_labels, purpose_for
    from reslab.evaluate import evaluate as evaluate_network
    from reslab.machine import find_device, tune_malloc
    from reslab.use.engine import make_engine
    from reslab.weights.preprocessing import loader_for

    tune_malloc()
    images = load(data, purpose=purpose_for(file, data))
    images = match_labels(weights.network, images, str(file), weights.classes)
    place = torch.device(find_device(device))
    with process_group() as ranks, loader_for(weights, images, place, on_bad) as loader:  # type: ignore[arg-type]
        network = built(weights).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        run: nn.Module = network
        if (engine, precision, compile_) != ("torch", "float32", "off"):
            some, _ = next(iter(loader.views("test", crops)))  # type: ignore[arg-type]
            run = make_engine(network, engine, precision, compile_ == "on", some)
        details = Details(weights.network.classes) if per_class or confusion or calibration else None
        found = evaluate_network(run, loader.views("test", crops), details)  # type: ignore[arg-type]
        skipped = gather(loader.skipped)
    if not ranks.first:
        return
    tell_skipped(skipped)
    from reslab.cli.evaluate import details_plain, details_text

    wanted = [
        name
        for name, asked in (("calibration", calibration), ("per_class", per_class), ("confusion", confusion))
        if asked
    ]
    if as_json:
        more = details_plain(details, images.classes, wanted) if details else {}
        typer.echo(json.dumps(found._asdict() | more))
        return
    errors = f"top-1 error {found.top1_error:.2f} %  top-5 error {found.top5_error:.2f} %"
    typer.echo(f"{found.images:,} images  {errors}  loss {found.loss:.4f}")
    if details:
        typer.echo(details_text(details, images.classes, wanted))
