"""A run directory as a value: its record, metrics, result, checkpoints, weights, status and lock."""

import fcntl
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import IO, Literal, NamedTuple

from reslab.disk import open_no_link, read_file
from reslab.errors import DataError
from reslab.runs.answers import Answers, read_answers
from reslab.runs.contents import Metrics, Result, RunRecord, parse, read_json, read_value
from reslab.weights.file import MODEL, Weights, read_weights
from reslab.weights.manifest import STEP, holds, newest

RECORD, METRICS, RESULT, LOCK = "run.json", "metrics.jsonl", "result.json", ".lock"
CHECKPOINTS, BEST, ANSWERS = "checkpoints", "best.safetensors", "answers.safetensors"

EvalSplit = Literal["validation", "test"]
Status = Literal["not begun", "running", "stopped", "finished", "diverged"]


class Checkpoint(NamedTuple):
    """A whole checkpoint: its folder, and the number of steps before it."""

    folder: Path
    step: int

    @property
    def weights_file(self) -> Path:
        return self.folder / MODEL


class Run:
    """A run directory: everything that one training leaves, each file read when asked for, and once.

    A new Run reads anew. Raises DataError naming the file, and the line or key, that is damaged.
    """

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def exists(self) -> bool:
        return (self.path / RECORD).is_file()

    @cached_property
    def record(self) -> RunRecord:
        """run.json. Raises DataError if there is none."""
        return RunRecord.read(self.path / RECORD)

    @cached_property
    def result(self) -> Result | None:
        """result.json; None where the run has not ended."""
        file = self.path / RESULT
        return read_value(Result, read_json(file), str(file)) if file.is_file() else None

    @cached_property
    def answers(self) -> Answers | None:
        """What the last weights answered for every test image; None in older runs, and where images were skipped."""
        file = self.path / ANSWERS
        return read_answers(file) if file.is_file() else None

    @cached_property
    def metrics(self) -> tuple[Metrics, ...]:
        """The lines of metrics.jsonl; a last one that is cut short, or being written, is left out."""
        file = self.path / METRICS
        try:
            *lines, _ = read_file(file).split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise DataError(f"{file}: {error.strerror}") from None
        places = (f"{file}, line {number}" for number in range(1, len(lines) + 1))
        return tuple(read_value(Metrics, parse(line, place), place) for line, place in zip(lines, places, strict=True))

    @cached_property
    def eval_split(self) -> EvalSplit:
        """The split that is evaluated while training: "validation" where there is one, or "test"."""
        return eval_split(self.metrics)

    @cached_property
    def status(self) -> Status:
        if self.result is not None:
            return self.result.status
        if self.is_locked:
            return "running"
        return "stopped" if self.exists else "not begun"

    @property
    def is_done(self) -> bool:
        """Whether the run has come to its end, finished or diverged."""
        return self.result is not None and self.result.status != "stopped"

    @cached_property
    def is_locked(self) -> bool:
        """Whether a process is writing to the run."""
        try:
            with _open_lock(self.path, "r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def lock(self) -> IO[str] | None:
        """Lock the directory, made if missing, until the returned file is closed; None if another process has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = _open_lock(self.path, "a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The whole checkpoints, oldest first. Reads every file of each, to check its SHA-256."""
        folders = sorted((self.path / CHECKPOINTS).glob("step-*"))
        return tuple(_checkpoint(folder) for folder in folders if STEP.fullmatch(folder.name) and holds(folder))

    @cached_property
    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint."""
        folder = newest(self.path)
        return None if folder is None else _checkpoint(folder)

    @property
    def best_file(self) -> Path:
        """The weights of the best step, where the recipe keeps them."""
        return self.path / BEST

    @cached_property
    def weights(self) -> Weights:
        """The weights of the newest whole checkpoint. Raises DataError where there is none."""
        if self.newest is None:
            raise DataError(f"{self.path}: a run without a whole checkpoint")
        return read_weights(self.newest.weights_file)

    @cached_property
    def best_weights(self) -> Weights | None:
        """The weights of the best step; None where there are none."""
        return read_weights(self.best_file) if self.best_file.is_file() else None


def _checkpoint(folder: Path) -> Checkpoint:
    return Checkpoint(folder, int(folder.name.removeprefix("step-")))


def eval_split(metrics: Iterable[Metrics]) -> EvalSplit:
    """The split that metrics are of: "validation" where one has its error, or "test"."""
    return "validation" if any(line.validation_error is not None for line in metrics) else "test"


def _open_lock(run: Path, mode: str) -> IO[str]:
    """Open a run's lock file, without emptying it. Raises DataError if there is a link or folder in its place."""
    try:
        return open_no_link(run / LOCK, mode)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{run / LOCK}: {error.strerror}") from None
