"""Training speed beside a plain torch loop: the same network, batch and augmentation, data included.

python benchmarks/training.py [NETWORK] [ROUNDS]

The plain loop is written as tutorials write it: a data set that crops and mirrors image by image, a DataLoader without
workers, float32. The two take turns in one process; medians and extremes are of the images per second of the rounds.
Images are random bytes in CIFAR-10's shape: speed does not depend on what they show.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from reslab import network, replace
from reslab.data.images import DataSet, Images
from reslab.train.loop import train
from reslab.train.recipes import recipe

BATCH, STEPS = 128, 8


def random_images(count: int) -> Images:
    random = np.random.default_rng(0)
    return Images(random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), random.integers(0, 10, count))


class PerImage(Dataset[tuple[torch.Tensor, int]]):
    """Images one by one: to float, less the mean, padded, cropped, mirrored."""

    def __init__(self, images: Images, mean: torch.Tensor):
        self.images, self.mean = images, mean

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = F.pad(torch.from_numpy(self.images.pixels[index]).float() / 255 - self.mean, (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2,)).tolist()
        image = image[:, top : top + 32, left : left + 32]
        return (image.flip(2) if torch.rand(()) < 0.5 else image), int(self.images.labels[index])


def plain_loop(name: str, data: DataSet) -> float:
    model = network(name).build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(PerImage(data.train, torch.from_numpy(data.train.mean())), BATCH, shuffle=True, drop_last=True)
    start = time.perf_counter()
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return len(loader) * BATCH / (time.perf_counter() - start)


def our_loop(name: str, data: DataSet) -> float:
    how = replace(recipe("paper-a-cifar"), steps=STEPS)
    with tempfile.TemporaryDirectory() as folder:
        result = train(network(name), how, data, Path(folder) / "run")
    return float(result["images_per_second"])


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "resnet20-cifar"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    data = DataSet("random", random_images(STEPS * BATCH), random_images(BATCH), tuple("0123456789"))
    loops = {"plain torch loop": plain_loop, "reslab": our_loop}
    for loop in loops.values():
        loop(name, data)
    speeds: dict[str, list[float]] = {title: [] for title in loops}
    for _ in range(rounds):
        for title, loop in loops.items():
            speeds[title].append(loop(name, data))
    print(f"{name}, batch {BATCH}, float32, {torch.get_num_threads()} threads, torch {torch.__version__}, n = {rounds}")
    for title, found in speeds.items():
        print(f"{title:18} {statistics.median(found):8,.0f} images/s  ({min(found):,.0f} to {max(found):,.0f})")
    ratios = [ours / plain for plain, ours in zip(*speeds.values(), strict=True)]
    print(f"{'ratio':18} {statistics.median(ratios):8.2f}           ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
