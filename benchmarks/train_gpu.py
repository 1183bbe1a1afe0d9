"""Trainings at the papers' scale for a given time, in the order in which results/ needs them; meant for a GPU.

python benchmarks/train_gpu.py MINUTES

RESLAB_DATA names the directory with CIFAR-10. Runs go to results/runs, whole seeds first; called again, it goes on from
the checkpoints there, which git ignores. What has finished is rendered: `make results`.
"""

import subprocess
import sys
import time
from pathlib import Path

from reslab.papers import STUDIES

RESULTS = Path(__file__).parents[1] / "results"
STOPPED = 75  # exit code of a study whose time is over
SEEDS = 5  # of A Table 6 and C Tables 1 and 2


def rows(study: str, *panels: str) -> list[str]:
    """The rows of a study that its paper prints, in some panels."""
    return [row.name for row in STUDIES[study].rows if row.panel in panels and row.published]


def queue() -> list[tuple[str, list[str], int]]:
    """Studies with their rows and how many seeds of each there shall be, the most wanted first."""
    tables = [
        ("degradation", ["ResNet-110", "plain-110"]),
        ("activations", rows("activations", "110 layers")),
        ("shortcuts", rows("shortcuts", "scaling", "gating", "convolution and dropout")),
        ("preactivation", ["ResNet-164, original", "ResNet-164, pre-activation"]),
    ]
    wanted = [("degradation", ["plain-20", "plain-56", "ResNet-20", "ResNet-56"], seeds) for seeds in (1, 2, 3)]
    return wanted + [(study, some, seeds) for seeds in range(1, SEEDS + 1) for study, some in tables]


def main() -> None:
    end = time.monotonic() + 60 * float(sys.argv[1])
    for study, some, seeds in queue():
        left = end - time.monotonic()
        if left <= 0:
            break
        words = [
            "--seeds",
            str(seeds),
            "--stop-after",
            f"{left:.0f}s",
            *(word for row in some for word in ("--row", row)),
        ]
        command = [sys.executable, "-m", "reslab", "study", "run", study, "--scale", "paper", *words]
        code = subprocess.run(command, cwd=RESULTS).returncode
        if code == STOPPED:
            break
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
