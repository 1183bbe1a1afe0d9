"""The command that trains."""

from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.api.choices import OnOffAuto, Precision, Resume
from reslab.cli.options import (
    Assignments,
    DataName,
    DeviceName,
    NetworkName,
    OnBadPicture,
    StopAfter,
    message,
    pairs,
    print_skipped,
)
from reslab.errors import DivergedError


def train(
    name: NetworkName,
    data: DataName,
    recipe: Annotated[str, typer.Option("--recipe", help="such as demo, paper-a-cifar, modern-cifar")],
    out: Annotated[Path | None, typer.Option("--out", help="the run directory  [default: in runs/, by name]")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="random seed")] = 0,
    assignments: Assignments = None,
    resume: Annotated[bool, typer.Option("--resume", help="resume from the last checkpoint, if there is one")] = False,
    strict: Annotated[
        bool, typer.Option("--strict-resume", help="resume only where the weights will be the same bits")
    ] = False,
    device: DeviceName = "auto",
    precision: Annotated[Precision, typer.Option("--precision", help="bf16: mixed precision (AMP)")] = "auto",
    compile_: Annotated[OnOffAuto, typer.Option("--compile", help="auto: where it saves time")] = "auto",
    deterministic: Annotated[bool, typer.Option("--deterministic", help="the same bits each time on a GPU")] = False,
    recompute: Annotated[
        int, typer.Option("--recompute", min=0, help="activation checkpointing: units per segment; 0 turns it off")
    ] = 0,
    on_bad: OnBadPicture = "error",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="RUN|FILE", help="pretrained weights to begin with")
    ] = None,
    stop_after: StopAfter = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="of torch  [default: the faster]")] = None,
) -> None:
    """Train a network; the run directory keeps its record, checkpoints and weights."""
    restart: Resume = "exact" if strict else "any" if resume else "never"
    execution = api.Execution(
        device, precision, compile_, deterministic, recompute, on_bad, restart, threads, stop_after
    )
    changes = pairs(assignments)
    trained = api.train_network(
        name, data, recipe, out, seed, weights=weights, assignments=changes, execution=execution, progress=True
    )
    _print(trained)


def _print(trained: api.Trained) -> None:
    """Print the errors and the run directory; a run that was stopped or diverged has its exit code."""
    run, result = trained.run, trained.result
    if api.is_first_rank():
        print_skipped(result.skipped)
    if result.status == "stopped":
        if api.is_first_rank():
            message(f"stopped after step {result.step}, saved; --resume continues it")
        raise typer.Exit(api.STOPPED)
    if result.status == "diverged":
        batch = ", ".join(result.batch[:3])
        raise DivergedError(
            f"{run}: not finite at step {result.step}; try a lower learning rate\n"
            f"its batch: images {batch} and {len(result.batch) - 3} more, all in result.json"
        )
    if not api.is_first_rank():
        return
    splits = {"validation": result.validation, "test": result.test, "training": result.train}
    typer.echo("  ".join(f"{title} error {split.top1_error:.2f} %" for title, split in splits.items() if split))
    best = result.best
    if best and best.test:
        errors = f"validation error {best.validation_error:.2f} %  test error {best.test.top1_error:.2f} %"
        typer.echo(f"best.safetensors, of step {best.step:,}:  {errors}")
    typer.echo(str(run))
    message(f"report: {trained.report}")
