"""A ResNet on CIFAR-10 that shares no code with reslab: own network, own initialisation, own reading, own loop.

python benchmarks/independent.py DIR [DEPTH] [SEED] [STEPS]

DIR has cifar-10-batches-bin. He et al. 2016a sec. 4.2, option A, float32; the learning rate drops at a half and three
quarters of the steps, as at the scales brief (1,600 steps) and short (16,000, the default). Writes
results/beside/resnet<DEPTH>-independent-<STEPS>-s<SEED>.json. Its error belongs beside the residual rows of
`reslab study run degradation` at the scale of as many steps.
"""

import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

OUT = Path(__file__).parents[1] / "results" / "beside"
BATCH, RATE, MOMENTUM, DECAY, PAD = 128, 0.1, 0.9, 1e-4, 4


class Block(nn.Module):
    """relu(F(x) + x), F being two 3x3 convolutions with BN; x is subsampled and padded with zeros where F halves it."""

    def __init__(self, before: int, width: int):
        super().__init__()
        self.stride = 1 if before == width else 2
        self.added = width - before
        self.first = nn.Conv2d(before, width, 3, self.stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.second(F.relu(self.bn1(self.first(x)))))
        return F.relu(residual + F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added)))


def resnet(depth: int) -> nn.Sequential:
    """6n + 2 layers of 16, 32 and 64 channels; weights by He et al. 2015, fan-out, the classifier by torch's rule."""
    units = (depth - 2) // 6
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for width in (16, 32, 64):
        for _ in range(units):
            layers.append(Block(before, width))
            before = width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def read(folder: Path, *names: str) -> tuple[Tensor, Tensor]:
    """Images in 0..1, (N, 3, 32, 32), and labels of files in CIFAR-10's binary layout."""
    raw = np.concatenate([np.fromfile(folder / f"{name}.bin", np.uint8) for name in names]).reshape(-1, 3073)
    pixels = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    return pixels, torch.from_numpy(raw[:, 0].astype(np.int64))


def augmented(images: Tensor) -> Tensor:
    """Padded by 4 zeros, cropped at random, mirrored at random, each image on its own."""
    padded = F.pad(images, (PAD,) * 4)
    corners = torch.randint(0, 2 * PAD + 1, (len(images), 2)).tolist()
    crops = [image[:, top : top + 32, left : left + 32] for image, (top, left) in zip(padded, corners, strict=True)]
    mirrored = torch.rand(len(images)) < 0.5
    return torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(crops, mirrored, strict=True)])


@torch.no_grad()
def error(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Top-1 error in percent, in evaluation mode."""
    net.eval()
    parts = zip(images.split(500), labels.split(500), strict=True)
    wrong = sum(int((net(batch).argmax(1) != targets).sum()) for batch, targets in parts)
    return 100 * wrong / len(labels)


def processor() -> str:
    """The processor's name as the system has it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def main(data: Path, depth: int = 56, seed: int = 0, steps: int = 16_000) -> None:
    torch.manual_seed(seed)
    folder = data / "cifar-10-batches-bin"
    images, labels = read(folder, *(f"data_batch_{number}" for number in range(1, 6)))
    mean = images.mean(0)
    images, net = images - mean, resnet(depth).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    began, order, losses = time.monotonic(), torch.empty(0, dtype=torch.int64), []
    for step in range(steps):
        if step in (steps // 2, 3 * steps // 4):
            optimizer.param_groups[0]["lr"] /= 10
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(labels))])
        batch, order = order[:BATCH], order[BATCH:]
        loss = F.cross_entropy(net(augmented(images[batch])), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{steps}  training loss {sum(losses[-100:]) / 100:.3f}", file=sys.stderr)
    test, targets = read(folder, "test_batch")
    result = {
        "network": f"resnet{depth}, independent",
        "seed": seed,
        "steps": steps,
        "seconds": time.monotonic() - began,
        "test_error": error(net, test - mean, targets),
        "train_error": error(net, images, labels),
        "torch": str(torch.__version__),
        "processor": processor(),
        "threads": torch.get_num_threads(),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"resnet{depth}-independent-{steps}-s{seed}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(result)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
