"""The metrics of a run as TensorBoard event files."""

from datetime import datetime
from pathlib import Path

from reslab.disk import written_whole
from reslab.errors import DataError
from reslab.extra import extra, quiet
from reslab.runs.record import read_json, read_metrics


def write_events(run: Path, out: Path) -> None:
    """Write every number of a run's metrics.jsonl as a scalar by step, and its network and recipe as text.

    The folder is written whole or not at all. Raises DataError for a path that is no run or has no metrics, SpecError
    if the extra is missing.
    """
    if not (run / "run.json").is_file():
        raise DataError(f"{run}: not a run; TensorBoard shows the metrics of one")
    lines = list(read_metrics(run))
    if not lines:
        raise DataError(f"{run}: has no metrics yet")
    record = read_json(run / "run.json")
    with quiet():
        extra("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

    with quiet(), written_whole(out) as folder, SummaryWriter(str(folder)) as writer:
        writer.add_text("run", "\n".join(f"- {key}: {record[key]}" for key in ("network", "recipe", "data", "seed")))
        time = datetime.fromisoformat(record["started"]).timestamp()
        before = 0
        for line in lines:
            step = line["step"]
            if line["images_per_second"]:  # none if compilation took all of the time
                time += (step - before) * record["recipe"]["batch"] / line["images_per_second"]
            before = step
            for name, value in line.items():
                if name != "step":
                    writer.add_scalar(name, value, step, walltime=time)
