"""Trackers that show a run's metrics as they are written: TensorBoard, Weights & Biases, MLflow.

They copy lines of metrics.jsonl; a tracker that fails is left, with one warning, and the training goes on.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, assert_never

from rich.console import Console

from reslab.extra import extra, quiet
from reslab.runs.contents import Metrics, to_tree
from reslab.runs.execution import TrackerName
from reslab.runs.run import Run

_PROJECT = "reslab"
"""The project of W&B and the experiment of MLflow, unless their own variables name another."""


class _Sink(Protocol):
    """What a tracker's library is asked to do."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def end(self, status: str) -> None: ...


def must_be_installed(name: TrackerName | None) -> None:
    """Raise SpecError, with the command that installs it, for a tracker that is missing."""
    if name is not None:
        with quiet():
            extra(name, name)


class Tracker:
    """A run's tracker, or none; a context manager. None of its errors ends a training."""

    def __init__(self, name: TrackerName | None, run: Path, console: Console | None):
        self._name = name
        self._run = run
        self._console = console
        self._sink: _Sink | None = None
        self._status = "failed"

    def __enter__(self) -> "Tracker":
        if self._name is not None:
            with self._guarded():
                self._sink = _open(self._name, Run(self._run))
        return self

    def log(self, line: Metrics) -> None:
        """Show a line of metrics.jsonl."""
        if self._sink is not None:
            with self._guarded():
                values = to_tree(line)
                self._sink.log(values.pop("step"), values)

    def ended(self, result: dict[str, Any]) -> dict[str, Any]:
        """Take the status of a result, which is returned."""
        self._status = str(result["status"])
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is not None:
            with self._guarded():
                self._sink.end(self._status)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with quiet():
                yield
        except Exception as error:
            self._sink = None
            if self._console is not None:
                text = f"{type(error).__name__}: {error}"[:300]
                self._console.print(f"{self._name} failed; the run goes on without it: {text}", soft_wrap=True)


def _open(name: TrackerName, run: Run) -> _Sink:
    match name:
        case "tensorboard":
            return _TensorBoard(run)
        case "wandb":
            return _WandB(run)
        case "mlflow":
            return _Mlflow(run)
        case _:
            assert_never(name)


class _TensorBoard:
    """Events in the folder `tensorboard` of the run, so that `tensorboard --logdir runs` shows all runs."""

    def __init__(self, run: Run):
        from torch.utils.tensorboard import SummaryWriter

        newest = run.newest
        self._writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=newest.step + 1 if newest else None)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, status: str) -> None:
        self._writer.close()


class _WandB:
    """A run of Weights & Biases, resumed as one; WANDB_PROJECT, WANDB_MODE and the others are its own."""

    def __init__(self, run: Run):
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=run.path.name,
            id=_identity(run),
            resume="allow",
            dir=str(run.path),
            config=_config(run),
            settings=wandb.Settings(console="off"),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def end(self, status: str) -> None:
        self._run.finish(exit_code=int(status in ("diverged", "failed")))


class _Mlflow:
    """A run of MLflow, resumed as one; MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME are its own."""

    def __init__(self, run: Run):
        from mlflow import MlflowClient

        self._client = MlflowClient()
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(title)
        number = experiment.experiment_id if experiment else self._client.create_experiment(title)
        tag = {"reslab.run": _identity(run)}
        held = self._client.search_runs([number], f"tags.`reslab.run` = '{tag['reslab.run']}'")
        if held:
            self._id = held[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        self._id = self._client.create_run(number, tags=tag, run_name=run.path.name).info.run_id
        for name, value in _flat(_config(run)):
            self._client.log_param(self._id, name, value)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        self._client.log_batch(self._id, [Metric(name, value, now, step) for name, value in values.items()])

    def end(self, status: str) -> None:
        ends = {"finished": "FINISHED", "stopped": "KILLED"}
        self._client.set_terminated(self._id, ends.get(status, "FAILED"))


def _identity(run: Run) -> str:
    """Hex digits that a run keeps when it is resumed."""
    return hashlib.sha256(f"{run.path.name} {run.record.started}".encode(errors="replace")).hexdigest()[:16]


def _config(run: Run) -> dict[str, Any]:
    tree = run.record.to_json()
    return {key: tree[key] for key in ("network", "recipe", "data", "seed", "chosen", "versions")}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A tree's leaves with dotted names, which may be at most 500 characters long."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)[:500]
