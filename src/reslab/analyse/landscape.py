"""The loss around a network's weights: over two random directions, filter by filter as long as the weights.

Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv 1712.09913, sec. 4.
"""

import copy
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.linalg import vector_norm

from reslab.analyse.intact import Told
from reslab.data.batches import Batch
from reslab.errors import DataError, SpecError
from reslab.evaluate import evaluate
from reslab.nets.modules import Network
from reslab.train.stop import Stop
from reslab.use.folded import folded

State = Mapping[str, Tensor]


class Grid(NamedTuple):
    """`points` × `points` places from -reach to reach along each direction, the weights themselves in the middle.

    seed: what the two directions follow from
    precision: "float32", or "bf16", in which BN is folded into the convolutions
    """

    points: int = 21
    reach: float = 1.0
    seed: int = 0
    precision: str = "float32"

    @property
    def steps(self) -> list[float]:
        half = self.points // 2
        return [self.reach * (place - half) / half for place in range(self.points)]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Every place, from the middle outwards."""
        half = self.points // 2
        every = [(first, second) for first in range(self.points) for second in range(self.points)]
        return sorted(every, key=lambda place: (max(abs(place[0] - half), abs(place[1] - half)), place))


class Point(NamedTuple):
    """Mean cross-entropy, None where it is no finite number, and error in percent, at a place of the grid."""

    loss: float | None
    error: float


Points = dict[tuple[int, int], Point]


def direction(network: Network, seed: int, index: int) -> State:
    """A random direction in the space of weights, by the seed alone.

    Each filter of a convolution and each row of a linear layer is Gaussian, scaled to the norm of the weights that it
    goes with; BN's scale and shift and all biases stay as they are. Li et al. sec. 4.
    """
    generator = torch.Generator().manual_seed(2 * seed + index)
    found = {}
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            continue
        drawn = torch.randn(weight.shape, generator=generator)
        filters = tuple(range(1, weight.ndim))
        length = vector_norm(weight.detach().cpu(), dim=filters, keepdim=True)
        found[name] = (drawn * length / vector_norm(drawn, dim=filters, keepdim=True)).to(weight.device)
    return found


@contextmanager
def moved(network: Network, directions: tuple[State, State], amounts: tuple[float, float]) -> Iterator[Network]:
    """A network some way along two directions; its weights are the very same when this ends."""
    weights = dict(network.named_parameters())
    before = {name: weights[name].detach().clone() for name in directions[0]}
    try:
        with torch.no_grad():
            for name, held in before.items():
                weights[name].copy_(held + amounts[0] * directions[0][name] + amounts[1] * directions[1][name])
        yield network
    finally:
        with torch.no_grad():
            for name, held in before.items():
                weights[name].copy_(held)


def measure(
    network: Network, images: list[Batch], directions: tuple[State, State], grid: Grid, place: tuple[int, int]
) -> Point:
    """Loss and error at a place of the grid, in evaluation mode with the running statistics as they are."""
    steps = grid.steps
    with moved(network, directions, (steps[place[0]], steps[place[1]])):
        if grid.precision == "bf16":
            fast = folded(network).to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
            found = evaluate(fast, ((pixels.bfloat16(), labels) for pixels, labels in images))
        else:
            found = evaluate(network, images)
    return Point(found.loss if math.isfinite(found.loss) else None, found.top1_error)


class Landscape:
    """A grid of points that grows in a file: what was measured before is not measured again.

    Raises SpecError where the file holds another landscape, DataError where it holds none.
    """

    def __init__(self, file: Path, network: Network, images: list[Batch], grid: Grid):
        if grid.points < 3 or grid.points % 2 == 0:
            raise SpecError(
                f"--points {grid.points}: choose an odd number from 3 on, so that the weights are in the middle"
            )
        self.file = file
        self.network = network
        self.images = images
        self.grid = grid
        self.points: Points = {}
        head = {"landscape": {**grid._asdict(), "weights": _digest(network), "images": _images_digest(images)}}
        self._open(head)

    def _open(self, head: dict[str, dict[str, object]]) -> None:
        if not self.file.is_file():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(head) + "\n", encoding="utf-8")
            return
        text = self.file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a crash may have cut the last line short
        try:
            first, *lines = [json.loads(line) for line in whole.splitlines()]
            held = first["landscape"]
            self.points = {(told["first"], told["second"]): Point(told["loss"], told["error"]) for told in lines}
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{self.file}: not the points of a landscape; remove it, or choose another --out") from None
        if differing := [key for key, value in head["landscape"].items() if held.get(key) != value]:
            raise SpecError(
                f"{self.file}: holds another landscape (other {', '.join(differing)}); choose another --out"
            )
        if len(whole) < len(text):
            self.file.write_text(whole, encoding="utf-8")

    @property
    def missing(self) -> list[tuple[int, int]]:
        return [place for place in self.grid.places if place not in self.points]

    def fill(self, workers: int, stop: Stop, told: Told | None = None) -> bool:
        """Measure what is missing, each worker with a core and a network of its own; False where it was stopped.

        Workers are threads, as the time goes by in convolutions, which do not hold Python's lock.
        """
        directions = direction(self.network, self.grid.seed, 0), direction(self.network, self.grid.seed, 1)
        copies = [copy.deepcopy(self.network) for _ in range(workers)]
        threads = torch.get_num_threads()
        missing, done = self.missing, len(self.points)

        def work(place: tuple[int, int]) -> Point | None:
            if stop.asked:
                return None
            torch.set_num_threads(max(1, threads // workers))
            network = copies.pop()
            try:
                return measure(network, self.images, directions, self.grid, place)
            finally:
                copies.append(network)

        try:
            with ThreadPoolExecutor(workers) as pool, self.file.open("a", encoding="utf-8") as file:
                asked = {pool.submit(work, place): place for place in missing}
                for future in as_completed(asked):
                    if (point := future.result()) is None:
                        continue
                    first, second = asked[future]
                    self.points[first, second] = point
                    file.write(json.dumps({"first": first, "second": second, **point._asdict()}) + "\n")
                    file.flush()
                    done += 1
                    if told:
                        told(done / self.grid.points**2)
        finally:
            torch.set_num_threads(threads)
        return not self.missing

    def losses(self) -> NDArray[np.float64]:
        """(points, points): the loss by the steps along both directions; infinite where it is no number."""
        found = np.full((self.grid.points, self.grid.points), np.inf)
        for place, point in self.points.items():
            if point.loss is not None:
                found[place] = point.loss
        return found


def _digest(network: Network) -> str:
    """Of a network's weights and statistics, by name."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _images_digest(images: list[Batch]) -> str:
    found = hashlib.sha256()
    for pixels, labels in images:
        found.update(pixels.cpu().contiguous().numpy().tobytes())
        found.update(labels.cpu().numpy().tobytes())
    return found.hexdigest()[:16]
