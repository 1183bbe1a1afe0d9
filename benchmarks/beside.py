"""ResNet-20 on CIFAR-10 for the short scale's steps, by a plain torch loop: a reference for our errors.

RESLAB_DATA=DIR python benchmarks/beside.py SEED

Nothing of reslab's training is used: a DataLoader over single images, float32, torch's SGD and MultiStepLR. Writes
results/beside/resnet20-cifar-s<SEED>.json.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from reslab import network
from reslab.bench.rivals import plain_step
from reslab.data.images import Images
from reslab.data.loader import load
from reslab.machine import processor
from reslab.papers.he2016a import BRIEF_CIFAR
from reslab.runs.contents import write_json

OUT = Path(__file__).parents[1] / "results" / "beside"


class PerImage(Dataset[tuple[Tensor, int]]):
    """Images one by one: to float, mean image subtracted, random crop with padding, random horizontal flip."""

    def __init__(self, images: Images, mean: NDArray[np.float32]):
        self.images, self.mean = images, torch.from_numpy(mean)

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = F.pad(torch.from_numpy(self.images.pixels[index]).float() / 255 - self.mean, (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2,)).tolist()
        size = self.images.pixels.shape[-1]
        image = image[:, top : top + size, left : left + size]
        return (image.flip(2) if torch.rand(()) < 0.5 else image), int(self.images.labels[index])


def per_image_batches(images: Images, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless shuffled batches of a DataLoader without workers."""
    loader = DataLoader(PerImage(images, images.mean()), batch, shuffle=True, drop_last=True)
    while True:
        yield from loader


def main(seed: int) -> None:
    torch.manual_seed(seed)
    data = load("cifar10")
    assert isinstance(data.train, Images)
    net = network("resnet20-cifar").build()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(BRIEF_CIFAR.schedule.at))
    batches = per_image_batches(data.train, BRIEF_CIFAR.batch)
    began = time.monotonic()
    for _ in track(range(BRIEF_CIFAR.steps), "training"):
        images, labels = next(batches)
        plain_step(net, optimizer, images, labels)
        schedule.step()
    result = {
        "network": "resnet20-cifar",
        "seed": seed,
        "steps": BRIEF_CIFAR.steps,
        "seconds": time.monotonic() - began,
        "test_error": error(net, data.test, torch.from_numpy(data.train.mean())),
        "torch": str(torch.__version__),
        "processor": processor(),
        "threads": torch.get_num_threads(),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    write_json(OUT / f"resnet20-cifar-s{seed}.json", result)
    print(result)


@torch.inference_mode()
def error(net: nn.Module, images: Images, mean: Tensor) -> float:
    net.eval()
    wrong = 0
    parts = torch.from_numpy(images.pixels).split(500), torch.as_tensor(images.labels).split(500)
    for pixels, labels in zip(*parts, strict=True):
        wrong += int((net(pixels.float() / 255 - mean).argmax(1) != labels).sum())
    return 100 * wrong / len(images.labels)


if __name__ == "__main__":
    main(int(sys.argv[1]))
