"""Run directories: a list."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import RUNS
from reslab.errors import DataError

if TYPE_CHECKING:
    from reslab.runs.run import Run


class RunRow(NamedTuple):
    """A run directory. Its test error is of the last weights or the last evaluation, in percent; time in seconds.

    status: "not begun", "running", "stopped", "finished", "diverged" or "damaged", then with the reason as `problem`
    """

    path: Path
    status: str
    network: str = ""
    data: str = ""
    seed: int | None = None
    step: int = 0
    steps: int | None = None
    test_error: float | None = None
    seconds: float | None = None
    problem: str = ""


def list_runs(folder: Path | str = RUNS) -> list[RunRow]:
    """The runs in a folder, or the folder itself if it is a run. Raises DataError where there is no such folder."""
    from reslab.runs.run import RECORD

    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `reslab train` makes {RUNS}/")
    if (folder / RECORD).is_file():
        return [_row(folder)]
    return [_row(file.parent) for file in sorted(folder.glob(f"*/{RECORD}"))]


def _row(path: Path) -> RunRow:
    from reslab.runs.run import Run

    run = Run(path)
    try:
        record, steps = run.record, run.metrics[-1].step if run.metrics else 0
        if run.result and run.is_done:
            steps = run.result.step
        return RunRow(
            path,
            run.status,
            record.name,
            record.data,
            record.seed,
            steps,
            record.recipe.steps,
            _test_error(run),
            _seconds(run),
        )
    except DataError as error:
        return RunRow(path, "damaged", problem=str(error))


def _test_error(run: "Run") -> float | None:
    if run.result and run.is_done:
        return run.result.test.top1_error if run.result.test else None
    errors = [error for line in run.metrics if (error := line.error("test")) is not None]
    return errors[-1] if errors else None


def _seconds(run: "Run") -> float:
    """Seconds of training: of the result, or of the logging intervals so far by their speed."""
    if run.result:
        return run.result.seconds
    seconds, before = 0.0, 0
    for line in run.metrics:
        if line.images_per_second:
            seconds += (line.step - before) * run.record.recipe.batch / line.images_per_second
        before = line.step
    return seconds
