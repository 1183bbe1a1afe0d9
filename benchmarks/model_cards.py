"""Model cards of the weights in results/weights, made from the records of their runs.

python benchmarks/model_cards.py [OUT]

Writes OUT, by default results/weights/README.md. A file is named NETWORK-DATA[-paper]-sSEED, of the degradation study
at the brief or the paper scale.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from safetensors import safe_open

from reslab.disk import write_whole
from reslab.nets import name_of
from reslab.papers.he2016a import DEGRADATION
from reslab.study.plan import PlannedRun, make_plan

ROOT = Path(__file__).parents[1] / "results"
HEAD = """# Model cards

Made by `make results` from the records in `runs`; no number here is typed by hand. The weights are the last ones of
each run; the test images chose nothing. They are safetensors files that hold their network's spec: `reslab.load(FILE)`.

**For**: analyses of plain and residual networks, teaching, and a check of an installation. **Not for** any use on
people or products: they know CIFAR-10's ten classes in pictures of 32×32 pixels, and name one of them for every other
picture too. CIFAR-10's labels have known errors, and its pictures were collected from the web (Krizhevsky 2009).
Licence of the weights: Apache-2.0.
"""


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "weights" / "README.md"
    cards = [card(file) for file in sorted((ROOT / "weights").glob("*.safetensors"))]
    write_whole(out, "\n".join([HEAD, *cards]).encode())
    print(out)


def card(file: Path) -> str:
    """The card of one file."""
    planned = _run(file)
    record, result = planned.run.record, planned.run.result
    if result is None or result.test is None or result.train is None:
        sys.exit(f"{file}: its run {planned.out.name} has no final evaluation")
    lines = {
        "Network": f"`{record.name}`, {planned.network.cost().parameters:,} parameters",
        "Data": f"{record.data}, {record.data_set.train.images:,} training images",
        "Recipe": f"{record.recipe.steps:,} steps of {record.recipe.batch}, {record.recipe.schedule.message()}",
        "Test error": f"{result.test.top1_error:.2f} % of {result.test.images:,} images (n = 1, seed {record.seed})",
        "Training error": f"{result.train.top1_error:.2f} %",
        "Machine": f"{record.hardware}, {record.chosen.precision}, "
        f"torch {record.versions['torch']}, {result.seconds / 60:.0f} minutes",
        "Source": f"run `{planned.out.name}`, commit {record.commit or 'not recorded'}",
        "Stored": _stored(file),
        "Check": f"`reslab evaluate results/weights/{file.name} --data {record.data}`",
        "SHA-256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    return "\n".join([f"## {file.name}", "", *(f"- {name}: {text}" for name, text in lines.items()), ""])


def _stored(file: Path) -> str:
    """How a file's tensors are stored; read_weights widens them."""
    with safe_open(file, "pt") as tensors:
        types = {tensors.get_slice(key).get_dtype() for key in tensors.keys()}  # noqa: SIM118, it is no dict
    return "convolutions and the classifier's matrix in float16, read as float32" if "F16" in types else "float32"


def _run(file: Path) -> PlannedRun:
    """The run whose last weights a file has."""
    scale = "paper" if "-paper-" in file.name else "brief"
    for planned in make_plan(DEGRADATION, scale, ROOT / "runs").runs:
        if planned.done and file.stem in _names(planned):
            return planned
    sys.exit(f"{file}: no run of the degradation study at the {scale} scale has this network and seed")


def _names(planned: PlannedRun) -> Iterator[str]:
    for scale in ("", "-paper"):
        yield f"{name_of(planned.network)}-{planned.data}{scale}-s{planned.seed}"


if __name__ == "__main__":
    main()
