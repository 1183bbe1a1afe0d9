"""The commands that train."""

from pathlib import Path
from typing import Annotated, Any

import typer

from reslab import api
from reslab.api.choices import Device, OnBad, OnOffAuto, Precision, Resume, TrackerName
from reslab.cli.options import Assignments, DeviceName, OnBadPicture, StopAfter, message, pairs, print_skipped
from reslab.cli.usage import missing_error
from reslab.errors import DivergedError, SpecError

NetworkName = Annotated[
    str | None,
    typer.Argument(metavar="NETWORK", help="a name from `reslab networks`, or FILE.json", show_default=False),
]
DataName = Annotated[
    str | None, typer.Option("--data", metavar="D", help="a name from `reslab data list`, or folder:PATH")
]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", metavar="R", help="a name from `reslab recipes`, or a file  [default: the data's]"),
]
Out = Annotated[Path | None, typer.Option("--out", help="the run directory  [default: in runs/, by name]")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="random seed  [default: 0]")]
ResumeIt = Annotated[bool, typer.Option("--resume", help="resume from the last checkpoint, if there is one")]
Strict = Annotated[bool, typer.Option("--strict-resume", help="resume only where the weights will be the same bits")]
PrecisionName = Annotated[Precision, typer.Option("--precision", help="bf16: mixed precision (AMP)")]
CompileIt = Annotated[OnOffAuto, typer.Option("--compile", help="auto: where it saves time")]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="the same bits each time on a GPU")]
Recompute = Annotated[
    int, typer.Option("--recompute", min=0, help="activation checkpointing: units per segment; 0 turns it off")
]
WeightsFile = Annotated[
    Path | None, typer.Option("--weights", metavar="RUN|FILE", help="pretrained weights to begin with")
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="RUN", help="train as a run was trained, of its run.json")
]
Rate = Annotated[str | None, typer.Option("--lr", help="learning rate: --set schedule.rate")]
Epochs = Annotated[str | None, typer.Option("--epochs", help="passes over the training images: --set steps")]
BatchSize = Annotated[str | None, typer.Option("--batch-size", help="images of a step: --set batch")]
Log = Annotated[TrackerName | None, typer.Option("--log", help="show the metrics there too, as they come")]
ScaleSteps = Annotated[
    bool, typer.Option("--scale-steps", help="with changed steps or epochs, scale the schedule's steps too")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="of torch  [default: the faster]")]


def train(
    name: NetworkName = None,
    data: DataName = None,
    recipe: RecipeName = None,
    out: Out = None,
    seed: Seed = None,
    assignments: Assignments = None,
    resume: ResumeIt = False,
    strict: Strict = False,
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    compile_: CompileIt = "auto",
    deterministic: Deterministic = False,
    recompute: Recompute = 0,
    on_bad: OnBadPicture = "error",
    weights: WeightsFile = None,
    config: Config = None,
    lr: Rate = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    scale_steps: ScaleSteps = False,
    log: Log = None,
    threads: Threads = None,
    stop_after: StopAfter = None,
) -> None:
    """Train a network; the run directory keeps its record, checkpoints and weights."""
    restart: Resume = "exact" if strict else "any" if resume else "never"
    execution = api.Execution(
        device, precision, compile_, deterministic, recompute, on_bad, restart, log, threads, stop_after
    )
    changes = _with_flags(pairs(assignments), {"lr": lr, "epochs": epochs, "batch_size": batch_size})
    what = _settings({"network": name, "data": data, "recipe": recipe, "seed": seed}, config, weights)
    how: dict[str, Any] = {"weights": weights, "assignments": changes, "scale_steps": scale_steps}
    where = (what.network, what.data, what.recipe, out, what.seed)
    _print(api.train_network(*where, **how, execution=execution, progress=True))


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the directory of a stopped run")],
    data: Annotated[str | None, typer.Option("--data", metavar="D", help="where its data are now, if moved")] = None,
    strict: Strict = False,
    device: Annotated[Device | None, typer.Option("--device", help="of the computation  [default: as before]")] = None,
    on_bad: Annotated[
        OnBad | None, typer.Option("--on-bad", help="at unreadable pictures  [default: as before]")
    ] = None,
) -> None:
    """Continue a stopped run by what its run.json says."""
    changes: dict[str, Any] = {"resume": "exact" if strict else "any"}
    changes |= {key: value for key, value in (("device", device), ("on_bad", on_bad)) if value is not None}
    _print(api.resume_run(run, data=data, changes=changes, progress=True))


def _with_flags(changes: dict[str, str], flags: dict[str, str | None]) -> dict[str, str]:
    """The assignments of --set with those that have flags of their own."""
    for key, value in flags.items():
        if value is not None:
            if key in changes:
                raise SpecError(f"--set {key} and --{key.replace('_', '-')}: the same field; give one of them")
            changes[key] = value
    return changes


def _settings(given: dict[str, Any], config: Path | None, weights: Path | None) -> api.RunSettings:
    """The given settings and, where there are none, those of a run."""
    if config is None:
        flags = {"network": "NETWORK", "data": "--data"}
        if missing := [flag for key, flag in flags.items() if given[key] is None]:
            raise missing_error("train", missing)
        return api.RunSettings(given["network"], given["data"], given["recipe"], given["seed"] or 0, None)
    held = api.run_settings(config)
    if held.weights and weights is None:
        raise SpecError(f"--config {config}: this run began with {held.weights}; give it by --weights")
    return held._replace(**{key: value for key, value in given.items() if value is not None})


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the directory of a finished run")],
    device: DeviceName = "auto",
    on_bad: OnBadPicture = "error",
) -> None:
    """Make a finished run's page anew: curves, confusion matrix, worst mistakes."""
    typer.echo(str(api.report_run(run, device=device, on_bad=on_bad)))


def _print(trained: api.Trained) -> None:
    """Print the errors and the run directory; a run that was stopped or diverged has its exit code."""
    run, result = trained.run, trained.result
    if api.is_first_rank():
        print_skipped(result.skipped)
    if result.status == "stopped":
        if api.is_first_rank():
            message(
                f"stopped after step {result.step}, saved; --resume continues it, and so does `reslab resume {run}`"
            )
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
