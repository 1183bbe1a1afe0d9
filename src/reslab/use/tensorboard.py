"""The metrics of a run as TensorBoard event files."""

from datetime import datetime
from pathlib import Path

from reslab.disk import written_whole
from reslab.errors import DataError
from reslab.extra import extra, quiet
from reslab.runs.contents import to_tree
from reslab.runs.run import RECORD, Run


def write_events(run: Path, out: Path) -> None:
    """Write every number of a run's metrics.jsonl as a scalar by step, and its network and recipe as text.

    The folder is written whole or not at all. Raises DataError for a path that is no run or has no metrics, SpecError
    if the extra is missing.
    """
    source = Run(run)
    if not source.exists:
        raise DataError(f"{run}: not a run; TensorBoard shows the metrics of one")
    if not source.metrics:
        raise DataError(f"{run}: has no metrics yet")
    record, tree = source.record, source.record.to_json()
    time = _seconds(record.started, run)
    with quiet():
        extra("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

    with quiet(), written_whole(out) as folder, SummaryWriter(str(folder)) as writer:
        writer.add_text("run", "\n".join(f"- {key}: {tree[key]}" for key in ("network", "recipe", "data", "seed")))
        before = 0
        for line in source.metrics:
            if line.images_per_second:  # none if compilation took all of the time
                time += (line.step - before) * record.recipe.batch / line.images_per_second
            before = line.step
            for name, value in to_tree(line).items():
                if name != "step":
                    writer.add_scalar(name, value, line.step, walltime=time)


def _seconds(started: str, run: Path) -> float:
    """A record's time as seconds since 1970. Raises DataError."""
    try:
        return datetime.fromisoformat(started).timestamp()
    except (ValueError, OverflowError):
        raise DataError(f"{run / RECORD}: started {started[:40]!r} is no time") from None
