"""ResNet-20 on CIFAR-10 for the short scale's steps, by a loop as everyone writes it: what should our errors be?

RESLAB_DATA=DIR python benchmarks/beside.py SEED

No step of reslab's training is used: a DataLoader over single images, float32, torch's own SGD and MultiStepLR. Writes
results/beside/resnet20-cifar-s<SEED>.json.
"""

import sys
import time
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn

from reslab import network
from reslab.bench.rivals import per_image_batches, plain_step
from reslab.data.images import Images
from reslab.data.loader import load
from reslab.machine import processor
from reslab.papers.he2016a import SHORT_CIFAR
from reslab.train.record import write_json

OUT = Path(__file__).parents[1] / "results" / "beside"


def main(seed: int) -> None:
    torch.manual_seed(seed)
    data = load("cifar10")
    assert isinstance(data.train, Images)
    net = network("resnet20-cifar").build()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(SHORT_CIFAR.schedule.at))
    batches = per_image_batches(data.train, SHORT_CIFAR.batch)
    began = time.monotonic()
    for _ in track(range(SHORT_CIFAR.steps), "training"):
        images, labels = next(batches)
        plain_step(net, optimizer, images, labels)
        schedule.step()
    found = {
        "network": "resnet20-cifar",
        "seed": seed,
        "steps": SHORT_CIFAR.steps,
        "seconds": time.monotonic() - began,
        "test_error": error(net, data.test, torch.from_numpy(data.train.mean())),
        "torch": str(torch.__version__),
        "processor": processor(),
        "threads": torch.get_num_threads(),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    write_json(OUT / f"resnet20-cifar-s{seed}.json", found)
    print(found)


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
