"""A run directory: everything about one training, in files that a crash cannot tear."""

import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import torch

from reslab.data.images import DataSet
from reslab.disk import write_whole
from reslab.distributed import current_rank
from reslab.errors import DataError, SpecError
from reslab.machine import processor
from reslab.nets import AnyNetwork, name_of
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Chosen, Execution
from reslab.spec import digest, from_json, plain, replace
from reslab.train.start import Source, Start
from reslab.weights.manifest import newest


def run_name(network: NetworkSpec, recipe: Recipe, data: str, seed: int, source: Source | None = None) -> str:
    """<network>-<data>-s<seed>-<8 hex of the specs>: equal for equal runs, and a legal file name."""
    place = data.replace(":", "-").replace("/", "_").encode(errors="backslashreplace").decode()
    begun = [source.sha256] if source else []
    return f"{name_of(network)}-{place}-s{seed}-{digest(network, recipe, data, *begun)}"


def facts(
    start: Start, recipe: Recipe, data: DataSet, seed: int, execution: Execution, chosen: Chosen
) -> dict[str, Any]:
    """What run.json says: the specs, weights and seed, and on what machine and with which versions they ran."""
    return {
        "network": {"name": name_of(start.network), **plain(start.network)},
        "weights": start.source and start.source._asdict(),
        "recipe": plain(recipe),
        "data": data.name,
        "data_set": described(data),
        "seed": seed,
        "execution": plain(execution),
        "chosen": chosen._asdict(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("reslab", "torch", "numpy", "pillow", "scikit-learn")},
        "machine": machine(torch.device(chosen.device)),
        "commit": _commit(),
    }


def described(data: DataSet) -> dict[str, Any]:
    """What of a data set a run must find again: its classes, and the images of its parts by number and digest."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    told: dict[str, Any] = {
        name: {"images": len(part.labels), "digest": part.digest()} for name, part in parts.items() if part is not None
    }
    return told | {"classes": list(data.classes)}


def machine(device: torch.device) -> dict[str, Any]:
    """The hardware that a run uses: processor, cores and threads, ranks, and the GPU where one is used."""
    found = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "ranks": current_rank().total,
        "system": platform.platform(),
        "device": device.type,
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def keep_recorded_choices(execution: Execution, out: Path) -> Execution:
    """The execution with what a run that is resumed chose when it began, where it is left to choose."""
    if execution.resume == "never" or not (out / "run.json").is_file():
        return execution
    begun = read_json(out / "run.json")["chosen"]
    compiled = "on" if begun["compile"] and not execution.recompute else "off"
    return replace(
        execution,
        precision=begun["precision"] if execution.precision == "auto" else execution.precision,
        compile=compiled if execution.compile == "auto" else execution.compile,
    )


def _commit() -> str | None:
    """The commit of reslab's own source, where it runs from a checkout; "+" marks uncommitted changes."""
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


def write_json(path: Path, content: Any) -> None:
    """Write plain values as a file that a reader sees whole."""
    write_whole(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DataError naming a file that is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None


def read_metrics(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics.jsonl. A last line that a crash cut short, or that is being written, is left out."""
    try:
        text = (run / "metrics.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def watched(lines: Iterable[dict[str, Any]]) -> str:
    """The part whose error a run's metrics tell while it is trained: "validation" where there is one, or "test"."""
    return "validation" if any("validation_error" in line for line in lines) else "test"


def is_done(run: Path) -> bool:
    """Whether a run has come to its end, good or diverged; one that was stopped has not."""
    path = run / "result.json"
    return path.is_file() and read_json(path)["status"] != "stopped"


def hold(run: Path) -> TextIO | None:
    """Lock a run directory, made where there is none, until what is returned is closed; None where another has it."""
    run.mkdir(parents=True, exist_ok=True)
    lock = (run / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def is_locked(run: Path) -> bool:
    """Whether a process is writing to a run directory."""
    try:
        with (run / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class Record:
    """The one writer of a run directory, from its first line to its result.

    `checkpoint` is the one to go on from, once it is entered; None where there is none, or nothing is to be resumed.
    Raises SpecError where another process writes to it, where it has come to its end already, where it holds another
    run or anything else, and where it has checkpoints and is not to `resume` from them.
    """

    def __init__(self, out: Path, told: dict[str, Any], resume: bool = False):
        self.out = out
        self.told = told
        self.resume = resume
        self.checkpoint: Path | None = None
        self._metrics: TextIO | None = None

    def __enter__(self) -> "Record":
        strange = self.out.is_dir() and any(self.out.iterdir()) and not (self.out / "run.json").is_file()
        if self.out.is_file() or (strange and not (self.out / ".lock").is_file()):
            raise SpecError(f"{self.out}: exists and is no run; choose another --out")
        lock = hold(self.out)
        if lock is None:
            raise SpecError(f"{self.out}: another process is training this run")
        self._lock = lock
        try:
            self._check()
            self.checkpoint = newest(self.out) if self.resume else None
            if self.checkpoint is None or not (self.out / "run.json").is_file():
                write_json(self.out / "run.json", self.told)
            (self.out / "result.json").unlink(missing_ok=True)
            self._metrics = (self.out / "metrics.jsonl").open("a" if self.resume else "w", encoding="utf-8")
        except BaseException:
            self._lock.close()
            raise
        return self

    def _check(self) -> None:
        if not (self.out / "run.json").is_file():
            return
        held = read_json(self.out / "run.json")
        for key in ("network", "weights", "recipe", "data", "data_set", "seed"):
            theirs, ours = (_said(key, tree.get(key)) for tree in (held, json.loads(json.dumps(self.told))))
            if theirs != ours:
                told = _difference(theirs, ours, key)
                raise SpecError(f"{self.out}: holds another run ({told}); choose another --out")
        if is_done(self.out):
            status = read_json(self.out / "result.json")["status"]
            raise SpecError(f"{self.out}: this run is {status}; choose another --out or --seed, or remove it")
        if not self.resume and any((self.out / "checkpoints").glob("step-*")):
            raise SpecError(f"{self.out}: a run that was stopped; --resume goes on with it, or choose another --out")

    def differences(self) -> str:
        """What makes going on here other than bit for bit; "" for nothing."""
        held = read_json(self.out / "run.json")
        on_gpu = self.told["machine"]["device"] == "cuda"
        where = ("device", "gpu" if on_gpu else "processor", "threads", "ranks")
        pairs = [("torch", held["versions"]["torch"], self.told["versions"]["torch"])]
        pairs += [(key, held["machine"].get(key), self.told["machine"][key]) for key in where]
        pairs += [(key, held["chosen"][key], self.told["chosen"][key]) for key in ("precision", "compile")]
        pairs += [("on_bad", held["execution"]["on_bad"], self.told["execution"]["on_bad"])]
        told = [f"{key} {before}, now {now}" for key, before, now in pairs if before != now]
        if on_gpu and not (held["execution"]["deterministic"] and self.told["execution"]["deterministic"]):
            told.append("a GPU without --deterministic")
        return ", ".join(told)

    def resumed(self, step: int) -> None:
        """Note in run.json that the run goes on behind a step."""
        held = read_json(self.out / "run.json")
        again = {key: self.told[key] for key in ("started", "execution", "chosen", "versions", "machine", "commit")}
        held.setdefault("resumed", []).append({"step": step, "exact": not self.differences(), **again})
        write_json(self.out / "run.json", held)

    def rewind(self, length: int) -> None:
        """BudgetCut metrics.jsonl to the bytes that it had at a checkpoint."""
        assert self._metrics is not None
        os.truncate(self.out / "metrics.jsonl", length)

    def synced(self) -> int:
        """The bytes of metrics.jsonl, all of them on the disk."""
        assert self._metrics is not None
        os.fsync(self._metrics.fileno())
        return os.fstat(self._metrics.fileno()).st_size  # its position is still the one before a rewind

    def log(self, **metrics: Any) -> None:
        """Add a line to metrics.jsonl."""
        assert self._metrics is not None
        self._metrics.write(json.dumps(metrics) + "\n")
        self._metrics.flush()

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write result.json and return the result."""
        assert self._metrics is not None
        os.fsync(self._metrics.fileno())
        write_json(self.out / "result.json", result)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._metrics is not None:
            self._metrics.close()
        self._lock.close()


class NullRecord:
    """What the ranks behind the first have in a Record's place: nothing is written."""

    checkpoint: Path | None = None

    def __enter__(self) -> "NullRecord":
        return self

    def rewind(self, length: int) -> None: ...

    def resumed(self, step: int) -> None: ...

    def differences(self) -> str:
        return ""

    def synced(self) -> int:
        return 0

    def log(self, **metrics: Any) -> None: ...

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        return result

    def __exit__(self, *error: object) -> None: ...


def _said(key: str, tree: Any) -> Any:
    """What a part of run.json says, in today's words: a spec that has gained a field since has it at its default."""
    if key == "weights":
        return tree and tree["sha256"]
    if key not in ("network", "recipe"):
        return tree
    try:
        bare = {name: value for name, value in tree.items() if (key, name) != ("network", "name")}
        return plain(from_json(AnyNetwork if key == "network" else Recipe, json.dumps(bare)))
    except (SpecError, AttributeError):  # of a later version, or damaged: it is shown as it is
        return tree


def _difference(held: Any, ours: Any, key: str) -> str:
    """The first place where two trees of plain values differ: "recipe.schedule.rate 0.1, not 0.2"."""
    if isinstance(held, dict) and isinstance(ours, dict):
        for name in {**held, **ours}:
            if held.get(name) != ours.get(name):
                return _difference(held.get(name), ours.get(name), f"{key}.{name}")
    return f"{key} {held}, not {ours}"
