"""The table of speeds in docs/speed.md: ours and others', measured in alternation in one run.

RESLAB_PEERS=PYTHON python benchmarks/speed.py [--write] [ROW ...]

PYTHON is that of an environment with torchvision and timm, and OpenVINO for the rows that name it; rows without their
peer are left out, with a message. Every row also checks that both sides compute the same. --write puts the table
into the page; ROW takes only the rows whose name has the word in it.
"""

import reslab  # noqa: F401  before torch, whose OpenMP threads it tunes

# isort: split
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace as replace_run
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reslab import network, replace
from reslab.bench.compare import BenchSettings, inference, training
from reslab.bench.pair import Pair, alternate, rate
from reslab.bench.rivals import peer_process, plain_step
from reslab.data.crops import InceptionCrop, PadCropFlip
from reslab.data.images import DataSet, Images
from reslab.data.in_memory import InMemoryLoader
from reslab.data.loader import load, make_loader
from reslab.errors import ReslabError
from reslab.machine import cores, processor, tune_malloc
from reslab.papers import study
from reslab.recipes.named import recipe as named_recipe
from reslab.study.plan import make_plan
from reslab.study.runner import run_plan
from reslab.train.learner import Learner
from reslab.train.optim import make_optimizer

CPU = torch.device("cpu")
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
HEAD = (
    "| work | reslab, images/s | beside | its images/s | ratio | difference |",
    "|---|---:|---|---:|---:|---:|",
)
SLOW: dict[str, Any] = {"rounds": 3, "seconds": 8.0}


def random_images(count: int) -> Images:
    random = np.random.default_rng(0)
    return Images(random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), random.integers(0, 10, count))


def next_batch(batches: Iterator[tuple[Tensor, Tensor]]) -> int:
    return len(next(batches)[1])


def cifar_batches() -> Pair:
    """Batches of 128 for CIFAR training, padded, cropped and mirrored; images per second, no network."""
    images = random_images(50_000)
    loader = InMemoryLoader(DataSet("made-up", images, images, tuple("0123456789")), CPU)
    batches = loader.batches(0, range(10**9), 128, PadCropFlip())
    with peer_process("reslab", what="batches", images="per-image", batch=128, size=32, channels=3) as peer:
        rates = alternate(
            ("reslab", lambda: rate(partial(next_batch, batches), 4)),
            ("per-image loader", lambda: peer.rate(4)),
            5,
        )
    return Pair("CIFAR batches of 128, pad-crop-flip", *rates, difference=0.0)


class PillowFolder(Dataset[tuple[Tensor, int]]):
    """Random crops of 224 out of JPEGs, as torchvision's ImageFolder and RandomResizedCrop make them, in Pillow."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.files[index]) as opened:
            picture = opened.convert("RGB")
        area = picture.width * picture.height * float(torch.empty(()).uniform_(0.08, 1))
        ratio = float(torch.empty(()).uniform_(-0.2877, 0.2877).exp())
        width = min(picture.width, round((area * ratio) ** 0.5))
        height = min(picture.height, round((area / ratio) ** 0.5))
        left = int(torch.randint(0, picture.width - width + 1, ()))
        top = int(torch.randint(0, picture.height - height + 1, ()))
        crop = picture.resize((224, 224), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
        if torch.rand(()) < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        tensor = torch.from_numpy(np.array(crop)).permute(2, 0, 1).float() / 255
        return (tensor - 0.45) / 0.225, 0


def jpeg_folder() -> Pair:
    """A folder of 256 JPEGs of 500 × 375, as large as ImageNet's are on average, to crops of 224."""
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        for index in range(256):
            coarse = Image.fromarray(random.integers(0, 256, (47, 63, 3), dtype=np.uint8))
            file = Path(folder) / str(index % 2) / f"{index}.jpg"
            file.parent.mkdir(exist_ok=True)
            coarse.resize((500, 375), Image.Resampling.BICUBIC).save(file, quality=90)
        files = sorted(Path(folder).rglob("*.jpg"))
        tune_malloc()  # as training does

        def endless() -> Iterator[tuple[Tensor, Tensor]]:
            loader = DataLoader(PillowFolder(files), 32, shuffle=True, drop_last=True, num_workers=cores())
            while True:
                yield from loader

        with make_loader(load(f"folder:{folder}"), CPU, 224) as ours:
            batches = ours.batches(0, range(10**9), 32, InceptionCrop(colour=None))
            theirs = endless()
            rates = alternate(
                ("reslab", lambda: rate(partial(next_batch, batches), 4)),
                ("Pillow, DataLoader workers", lambda: rate(partial(next_batch, theirs), 4)),
                5,
            )
    return Pair("JPEGs of 500 × 375 to crops of 224", *rates, difference=0.0)


def reference(name: str) -> Pair:
    """Training in float32 and by the plain loop, and the largest difference of the first 50 losses on the same images.

    By paper C's recipe, which begins at a rate of 0.01: at 0.1 rounding errors grow a thousandfold.
    """
    value = network(name)
    pair = training(value, "akamaster-style", BenchSettings(batch=128, precision="float32", seconds=4.0))
    images = random_images(1024)
    recipe = replace(named_recipe("paper-c-cifar"), steps=50)
    torch.manual_seed(0)
    ours, plain = value.build(), value.build()
    plain.load_state_dict(ours.state_dict())
    learner, optimizer = Learner(ours, recipe), make_optimizer(plain, recipe)
    loader = InMemoryLoader(DataSet("made-up", images, images, tuple("0123456789")), CPU)
    batches = loader.batches(0, range(50), 128, recipe.augment)
    worst = 0.0
    for step, (inputs, labels) in enumerate(batches):
        loss, _ = learner.train_step(inputs, labels, step)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        worst = max(worst, float((loss - plain_step(plain, optimizer, inputs, labels)).abs()))
    return pair._replace(work=f"{pair.work}, 50 losses", difference=worst)


def side_by_side() -> Pair:
    """The demo's six networks, 80 steps each: a run on each core beside one after another on all cores."""
    whole = make_plan(study("degradation"), "demo", Path(), seeds=1)

    def burst(workers: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            short = [
                replace_run(run, recipe=replace(run.recipe, steps=80), out=Path(folder) / run.out) for run in whole.runs
            ]
            plan = replace_run(whole, runs=tuple(short))
            start = time.perf_counter()
            run_plan(plan, workers, Console(quiet=True))
            return sum(run.recipe.steps * run.recipe.batch for run in short) / (time.perf_counter() - start)

    rates = alternate(("a run on each core", lambda: burst(cores())), ("one after another", lambda: burst(1)), 3)
    return Pair("six networks on the digits, evaluation and start included", *rates, difference=0.0)


def beside_timm(name: str, batch: int, engine: str, runtime: str, precision: str = "auto") -> Pair:
    compiles = engine == "torch"
    how = BenchSettings(batch=batch, engine=engine, compiles=compiles, precision=precision, rounds=3, seconds=3.0)
    return inference(network(name), "timm", how, runtime)


ROWS: dict[str, Callable[[], Pair]] = {
    "resnet20": lambda: training(network("resnet20-cifar"), "akamaster-style", BenchSettings(batch=128, seconds=4.0)),
    "resnet56": lambda: training(network("resnet56-cifar"), "akamaster-style", BenchSettings(batch=128, **SLOW)),
    "reference": lambda: reference("resnet20-cifar"),
    "resnet50-training": lambda: training(network("resnet50-v1.5"), "torchvision", BenchSettings(batch=16, **SLOW)),
    "cifar-batches": cifar_batches,
    "jpeg-folder": jpeg_folder,
    "side-by-side": side_by_side,
} | {
    f"{name}-{engine}-{runtime}-{batch}": partial(beside_timm, name, batch, engine, runtime)
    for name in ("resnet50-v1.5", "preact50-timm", "inception-resnet-v2-slim")
    for engine, runtime in (("torch", "torch"), ("torch", "openvino"), ("openvino", "openvino"))
    for batch in (1, 32)
}


def line(pair: Pair) -> str:
    """A row of the table."""
    ratios = pair.ratios
    spread = f"{ratios.median:.2f} ({min(ratios.rounds):.2f} to {max(ratios.rounds):.2f})"
    difference = f"{pair.difference:.0e}" if pair.difference else ""
    ours, theirs = (f"{side.median:,{'.4g' if side.median < 10_000 else '.0f'}}" for side in (pair.ours, pair.theirs))
    return f"| {pair.work} | {ours} | {pair.theirs.title} | {theirs} | {spread} | {difference} |"


def main() -> None:
    names = [word for word in sys.argv[1:] if word != "--write"]
    lines = [*HEAD]
    for name, row in ROWS.items():
        if names and not any(part in name for part in names):
            continue
        try:
            lines.append(line(row()))
        except ReslabError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        print(lines[-1], flush=True)
    lines += [
        "",
        f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}. Medians; ratios also with the",
        "extremes of three to five rounds.",
    ]
    if "--write" in sys.argv:
        write_table("speed", lines)


def write_table(place: str, lines: list[str]) -> None:
    """Put the lines of a table into the page of speeds, at the place of that name."""
    marked = re.compile(rf"(?<=<!-- {place} -->\n).*?(?=<!-- /{place} -->)", re.DOTALL)
    text, count = marked.subn(lambda match: "\n".join(lines) + "\n", PAGE.read_text())
    if count != 1:
        sys.exit(f"{PAGE} has no place marked <!-- {place} -->")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
