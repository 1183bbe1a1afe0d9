"""The writer of a run directory: its record, metrics and result, in files that a crash cannot tear."""

import json
import os
import platform
import subprocess
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch

from reslab.data.images import DataSet, Split
from reslab.disk import open_no_link
from reslab.distributed import current_rank
from reslab.errors import SpecError
from reslab.machine import package_version, processor
from reslab.nets import AnyNetwork, name_of
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.runs.answers import Answers, write_answers
from reslab.runs.contents import (
    DataDescription,
    Machine,
    Metrics,
    Result,
    Resumption,
    RunRecord,
    Source,
    SplitDescription,
    read_json,
    to_tree,
    write_json,
)
from reslab.runs.execution import Chosen, Execution
from reslab.runs.run import ANSWERS, CHECKPOINTS, LOCK, METRICS, RECORD, RESULT, EvalSplit, Run
from reslab.spec import digest, from_json, plain, replace
from reslab.weights.manifest import newest

_NAME_BYTES = 240  # of a run's name; file systems take 255, and files beside the run have longer names


def run_name(network: NetworkSpec, recipe: Recipe, data: str, seed: int, source: Source | None = None) -> str:
    """<network>-<data>-s<seed>-<8 hex of the specs>: equal for equal runs, and a legal file name."""
    weights = [source.sha256] if source else []
    start, end = f"{name_of(network)}-{data_name(data)}", f"-s{seed}-{digest(network, recipe, data, *weights)}"
    if len(os.fsencode(start)) > _NAME_BYTES - len(end):
        start = os.fsencode(start)[: _NAME_BYTES - len(end)].decode(errors="ignore")
    return start + end


def data_name(data: str) -> str:
    """The name of a data set as runs' names have it."""
    return data.replace(":", "-").replace("/", "_").encode(errors="backslashreplace").decode()


def described(data: DataSet) -> DataDescription:
    """The splits of a data set by their number of images and digest, and its classes."""

    def split(images: Split) -> SplitDescription:
        return SplitDescription(len(images.labels), images.digest())

    validation = split(data.validation) if data.validation else None
    return DataDescription(
        train=split(data.train), validation=validation, test=split(data.test), classes=tuple(data.classes)
    )


def environment(execution: Execution, chosen: Chosen) -> dict[str, Any]:
    """The fields of a RunRecord about this process: its time, settings, versions, machine and commit."""
    packages = ("reslab", "torch", "numpy", "pillow", "scikit-learn")
    return {
        "execution": execution,
        "chosen": chosen,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: package_version(name) for name in packages},
        "machine": _machine(chosen.device),
        "commit": _commit(),
    }


def _machine(device: str) -> Machine:
    return Machine(
        processor=processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        ranks=current_rank().total,
        system=platform.platform(),
        device=device,
        gpu=torch.cuda.get_device_name() if device == "cuda" else None,
    )


def _commit() -> str | None:
    """The commit of reslab's own source if it runs from a checkout; "+" marks uncommitted changes."""
    source = Path(__file__).resolve().parents[3]
    if not (source / ".git").exists():
        return None
    git = ["git", "-C", str(source)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        dirty = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def keep_recorded_choices(execution: Execution, out: Path) -> Execution:
    """On resume, replace "auto" settings by those recorded in run.json."""
    run = Run(out)
    if execution.resume == "never" or not run.exists:
        return execution
    chosen = run.record.chosen
    compiled = "on" if chosen.compile and not execution.recompute else "off"
    return replace(
        execution,
        precision=chosen.precision if execution.precision == "auto" else execution.precision,
        compile=compiled if execution.compile == "auto" else execution.compile,
        threads=chosen.threads if execution.threads is None else execution.threads,
    )


class Record:
    """The one writer of a run directory, from its first line to its result.

    `checkpoint` is the folder to resume from, once this is entered; None if there is none, or without `resume`.
    Raises SpecError if another process writes to the directory, if its run has ended already, if it holds another run
    or anything else, and if it has checkpoints and is not to `resume` from them.
    """

    def __init__(self, out: Path, record: RunRecord, resume: bool = False):
        self.out = out
        self.record = record
        self.resume = resume
        self.checkpoint: Path | None = None

    def __enter__(self) -> "Record":
        run = Run(self.out)
        foreign = self.out.is_dir() and any(self.out.iterdir()) and not run.exists
        if self.out.is_file() or (foreign and not (self.out / LOCK).exists()):
            raise SpecError(f"{self.out}: exists and is no run; choose another --out")
        lock = run.lock()
        if lock is None:
            raise SpecError(f"{self.out}: another process is training this run")
        self._lock = lock
        run = Run(self.out)  # as the last writer left it
        try:
            self._check(run)
            self.checkpoint = newest(self.out) if self.resume else None
            if self.checkpoint is None or not run.exists:
                write_json(self.out / RECORD, self.record.to_json())
            for name in (RESULT, ANSWERS):
                (self.out / name).unlink(missing_ok=True)
            self._metrics: IO[str] = open_no_link(self.out / METRICS, "a" if self.resume else "w")
        except BaseException:
            self._lock.close()
            raise
        return self

    def _check(self, run: Run) -> None:
        if not run.exists:
            return
        held, ours = read_json(self.out / RECORD), json.loads(json.dumps(self.record.to_json()))
        held = held if isinstance(held, dict) else {}
        for key in ("network", "weights", "recipe", "data", "data_set", "seed"):
            one, other = (_comparable(key, tree.get(key)) for tree in (held, ours))
            if one != other:
                way = self._ways(run) if key == "recipe" else ""
                raise SpecError(
                    f"{self.out}: holds another run ({_difference(one, other, key)}); choose another --out{way}"
                )
        if run.is_done:
            raise SpecError(
                f"{self.out}: this run is {run.status}; choose another --out or --seed, or remove it{self._ways(run)}"
            )
        if not self.resume and any((self.out / CHECKPOINTS).glob("step-*")):
            raise SpecError(f"{self.out}: a stopped run; --resume continues it, or choose another --out")

    def _ways(self, run: Run) -> str:
        """The end of a message: how a finished run, whose optimizer's state is not kept, is trained further."""
        if run.status != "finished":
            return ""
        return f"\nit is finished: --weights {self.out} with another --out trains on from its weights"

    def differences(self) -> str:
        """Why resuming here does not give the same bits; "" if it does."""
        before, now = Run(self.out).record, self.record
        on_gpu = now.machine.device == "cuda"
        pairs = [("torch", before.versions.get("torch"), now.versions["torch"])]
        for key in ("device", "gpu" if on_gpu else "processor", "threads", "ranks"):
            pairs.append((key, getattr(before.machine, key), getattr(now.machine, key)))
        for key in ("precision", "compile"):
            pairs.append((key, getattr(before.chosen, key), getattr(now.chosen, key)))
        pairs.append(("on_bad", before.execution.on_bad, now.execution.on_bad))
        reasons = [f"{key} {one}, now {other}" for key, one, other in pairs if one != other]
        if on_gpu and not (before.execution.deterministic and now.execution.deterministic):
            reasons.append("a GPU without --deterministic")
        return ", ".join(reasons)

    def resumed(self, step: int) -> None:
        """Add to run.json that the run is resumed after a step."""
        tree, exact = read_json(self.out / RECORD), not self.differences()
        own = {each.name: getattr(self.record, each.name) for each in fields(Resumption)[2:]}
        resumption = Resumption(step, exact, **own)
        tree.setdefault("resumed", []).append(to_tree(resumption))
        write_json(self.out / RECORD, tree)

    def graph(self, outcome: str) -> None:
        """Add to run.json whether the step is a CUDA graph: "captured", or why not."""
        write_json(self.out / RECORD, {**read_json(self.out / RECORD), "graph": outcome})

    def rewind(self, length: int) -> None:
        """Cut metrics.jsonl to the bytes that it had at a checkpoint."""
        os.ftruncate(self._metrics.fileno(), length)

    def synced(self) -> int:
        """The length of metrics.jsonl in bytes, all of them on the disk."""
        os.fsync(self._metrics.fileno())
        return os.fstat(self._metrics.fileno()).st_size  # the file's position is still the one before a rewind

    def log(self, line: Metrics) -> None:
        """Add a line to metrics.jsonl."""
        self._metrics.write(json.dumps(to_tree(line), allow_nan=False) + "\n")
        self._metrics.flush()

    def finish(self, result: Result, answers: Answers | None = None) -> dict[str, Any]:
        """Write the answers for the test images, if there are any, and then result.json; return its content."""
        os.fsync(self._metrics.fileno())
        if answers is not None:
            write_answers(answers, self.out / ANSWERS)
        tree: dict[str, Any] = to_tree(result)
        write_json(self.out / RESULT, tree)
        return tree

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._metrics.close()
        self._lock.close()


class NullRecord:
    """No-op Record for ranks > 0."""

    checkpoint: Path | None = None

    def __enter__(self) -> "NullRecord":
        return self

    def graph(self, outcome: str) -> None: ...

    def rewind(self, length: int) -> None: ...

    def resumed(self, step: int) -> None: ...

    def differences(self) -> str:
        return ""

    def synced(self) -> int:
        return 0

    def log(self, line: Metrics) -> None: ...

    def finish(self, result: Result, answers: Answers | None = None) -> dict[str, Any]:
        return to_tree(result)  # type: ignore[no-any-return]

    def __exit__(self, *error: object) -> None: ...


def _comparable(key: str, tree: Any) -> Any:
    """An entry of run.json; a spec has fields that it has gained since at their defaults."""
    if key == "weights":
        return tree["sha256"] if isinstance(tree, dict) and "sha256" in tree else tree
    if key not in ("network", "recipe") or not isinstance(tree, dict):
        return tree
    spec = {name: value for name, value in tree.items() if (key, name) != ("network", "name")}
    try:
        return plain(from_json(AnyNetwork if key == "network" else Recipe, json.dumps(spec)))
    except SpecError:  # of a later version, or damaged: compared as it is
        return tree


def _difference(held: Any, ours: Any, key: str) -> str:
    """The first difference of two trees of plain types: "recipe.schedule.rate 0.1, not 0.2"."""
    if isinstance(held, dict) and isinstance(ours, dict):
        for name in {**held, **ours}:
            if held.get(name) != ours.get(name):
                return _difference(held.get(name), ours.get(name), f"{key}.{name}")
    return f"{key} {held}, not {ours}"


# the names that modules outside of this package still import from here
__all__ = ["NullRecord", "Record", "described", "environment", "hold", "is_done", "is_locked", "keep_recorded_choices"]
__all__ += ["read_json", "read_metrics", "run_name", "watched", "write_json"]


def read_metrics(run: Path) -> list[dict[str, Any]]:
    return [to_tree(line) for line in Run(run).metrics]


def watched(lines: Any) -> EvalSplit:
    return "validation" if any("validation_error" in line for line in lines) else "test"


def is_done(run: Path) -> bool:
    return Run(run).is_done


def is_locked(run: Path) -> bool:
    return Run(run).is_locked


def hold(run: Path) -> IO[str] | None:
    return Run(run).lock()
