"""The loss around a network's weights, over two random directions, normalised filter by filter.

Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv 1712.09913, sec. 4.
"""

import fcntl
import hashlib
import io
import json
import math
import multiprocessing
import os
import signal
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from torch import Tensor
from torch.linalg import vector_norm

from reslab.analyse.analysis import Analysis
from reslab.analyse.claims import ClaimResult, counterparts, test_claim
from reslab.analyse.inputs import Inputs
from reslab.analyse.preserve import Progress, silent, subtask
from reslab.data.batches import Batch
from reslab.disk import open_no_link, read_file, write_whole
from reslab.distributed import end_with_parent
from reslab.drawing import STYLE, Drawing, line
from reslab.errors import DataError, ReslabError, SpecError
from reslab.evaluate import evaluate
from reslab.machine import cores, find_precision, tune_malloc
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.runs.contents import parse, read_value
from reslab.stats import Sample
from reslab.stop import STOPPED, Stop
from reslab.table import Column, columns
from reslab.weights.file import Weights, built

State = Mapping[str, Tensor]
Directions = tuple[State, State]
Place = tuple[int, int]
"""A place in a grid: the steps along the first and the second direction, from 0."""


class Grid(NamedTuple):
    """`points` × `points` places from -reach to reach along each direction, the weights themselves in the middle.

    seed: of the two random directions
    precision: "float32", or "bf16", torch's autocast; the middle, the network's own loss, is always in float32
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
    def middle(self) -> Place:
        """The place of the weights themselves."""
        return self.points // 2, self.points // 2

    @property
    def places(self) -> list[Place]:
        """Every place, from the middle outwards."""
        half = self.points // 2
        every = [(first, second) for first in range(self.points) for second in range(self.points)]
        return sorted(every, key=lambda place: (max(abs(place[0] - half), abs(place[1] - half)), place))


class Point(NamedTuple):
    """Mean cross-entropy, None where it is not finite, and error in percent, at a place of the grid."""

    loss: float | None
    error: float


@dataclass(frozen=True)
class _Line:
    """A measured point in the file, after the grid's line."""

    first: int
    second: int
    loss: float | None
    error: float


def direction(network: Network, seed: int, index: int) -> State:
    """A random direction in the space of weights, the index-th of a seed.

    Each filter of a convolution and each row of a linear layer is Gaussian, scaled to the norm of the weights it is
    added to; BN's scale and shift and all biases are left out. Li et al. sec. 4.
    """
    generator = torch.Generator().manual_seed(2 * seed + index)
    tensors = {}
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            continue
        drawn = torch.randn(weight.shape, generator=generator)
        filters = tuple(range(1, weight.ndim))
        length = vector_norm(weight.detach().cpu(), dim=filters, keepdim=True)
        tensors[name] = (drawn * length / vector_norm(drawn, dim=filters, keepdim=True)).to(weight.device)
    return tensors


def directions(network: Network, grid: Grid) -> Directions:
    """The two directions of a grid."""
    return direction(network, grid.seed, 0), direction(network, grid.seed, 1)


@contextmanager
def moved(network: Network, along: Directions, amounts: tuple[float, float]) -> Iterator[Network]:
    """Move a network's weights by amounts along two directions; on exit they are restored exactly."""
    weights = dict(network.named_parameters())
    before = {name: weights[name].detach().clone() for name in along[0]}
    try:
        with torch.no_grad():
            for name, tensor in before.items():
                weights[name].copy_(tensor + amounts[0] * along[0][name] + amounts[1] * along[1][name])
        yield network
    finally:
        with torch.no_grad():
            for name, tensor in before.items():
                weights[name].copy_(tensor)


def measure(network: Network, images: list[Batch], along: Directions, grid: Grid, place: Place) -> Point:
    """Loss and error at a place of the grid, in evaluation mode with unchanged running statistics."""
    bf16 = grid.precision == "bf16" and place != grid.middle
    with moved(network, along, (grid.steps[place[0]], grid.steps[place[1]])):
        return _point(network, images, bf16)


def rounding(network: Network, images: list[Batch]) -> float:
    """The difference in nats between the losses of the weights themselves in bf16 and in float32."""
    exact, rounded = (_point(network, images, bf16).loss for bf16 in (False, True))
    return math.inf if exact is None or rounded is None else abs(rounded - exact)


def _point(network: Network, images: list[Batch], bf16: bool) -> Point:
    with torch.autocast(images[0][0].device.type, torch.bfloat16, enabled=bf16):
        result = evaluate(network, images)
    return Point(result.loss if math.isfinite(result.loss) else None, result.top1_error)


class Landscape:
    """A grid of points, kept in a file: a line with the grid and digests, then a line for each measured point.

    Points in the file are not measured again. Raises SpecError where it holds another landscape, DataError where it
    holds none.
    """

    def __init__(self, file: Path, network: Network, images: list[Batch], grid: Grid):
        if grid.points < 3 or grid.points % 2 == 0:
            raise SpecError(
                f"--points {grid.points}: choose an odd number from 3 on, so that the weights are in the middle"
            )
        self.file, self.network, self.images, self.grid = file, network, images, grid
        self.points: dict[Place, Point] = {}
        tensors = (("", tensor) for batch in images for tensor in batch)
        digests = {"weights": _digest(network.state_dict().items()), "images": _digest(tensors)}
        self.head = {**grid._asdict(), **digests}
        self._read()

    def _read(self) -> None:
        if not self.file.is_file():
            write_whole(self.file, (json.dumps({"landscape": self.head}, allow_nan=False) + "\n").encode())
            return
        *complete, _ = read_file(self.file).split(b"\n")  # a crash may have cut the last line short
        try:
            head, *lines = [parse(line, str(self.file)) for line in complete]
            points = [read_value(_Line, line, str(self.file)) for line in lines]
            differing = [key for key, value in self.head.items() if head["landscape"].get(key) != value]
            self.points = {(line.first, line.second): Point(line.loss, line.error) for line in points}
            if not differing and not self.points.keys() <= set(self.grid.places):
                raise ValueError("a place that is not in the grid")
        except (DataError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{self.file}: not the points of a landscape; remove it, or choose another --out") from None
        if differing:
            raise SpecError(
                f"{self.file}: holds another landscape (other {', '.join(differing)}); choose another --out"
            )

    @property
    def missing(self) -> list[Place]:
        return [place for place in self.grid.places if place not in self.points]

    def fill(self, workers: int, stop: Stop, progress: Progress = silent) -> bool:
        """Measure the missing points, in this process or in several workers. Returns False if stopped.

        Raises SpecError where another process fills the same file, ReslabError where a worker was lost; the points
        measured until then are kept.
        """
        if not self.missing:
            return True
        with self._locked() as file, closing(self._measure(min(workers, len(self.missing)), stop)) as measured:
            for (first, second), point in measured:
                file.write(json.dumps({"first": first, "second": second, **point._asdict()}, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
                self.points[first, second] = point
                progress(len(self.points) / self.grid.points**2)
        return not self.missing

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        """The file, open to append complete lines, locked against other processes."""
        with open_no_link(self.file, "r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SpecError(
                    f"{self.file}: another process fills it; wait for it, or choose another --out"
                ) from None
            self._read()  # another process may have added points since
            file.truncate(read_file(self.file).rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            yield file

    def _measure(self, workers: int, stop: Stop) -> Generator[tuple[Place, Point], None, None]:
        """The missing points as they are measured, until a stop."""
        if workers == 1:
            along = directions(self.network, self.grid)
            for place in self.missing:
                if stop.asked:
                    return
                yield place, measure(self.network, self.images, along, self.grid, place)
            return
        # bytes: tensors would be sent through shared memory, of which containers have little
        buffer = io.BytesIO()
        torch.save({"state": self.network.state_dict(), "images": self.images}, buffer)
        job = (buffer.getvalue(), self.network.spec, self.grid, max(1, cores() // workers))
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker, job) as pool:
            places = {pool.submit(_worker_point, place): place for place in self.missing}
            try:
                for future in as_completed(places):
                    yield places[future], future.result()
                    if stop.asked:
                        return
            except BrokenProcessPool:
                if not stop.asked:
                    message = "a worker process was lost, perhaps for want of memory; fewer --workers need less"
                    raise ReslabError(f"{message}\nthe points are kept, the same command goes on") from None
            finally:
                pool.shutdown(cancel_futures=True)

    def losses(self) -> NDArray[np.float64]:
        """(points, points): the loss by the steps along both directions; infinite where it is not finite."""
        losses = np.full((self.grid.points, self.grid.points), np.inf)
        for place, point in self.points.items():
            if point.loss is not None:
                losses[place] = point.loss
        return losses

    def basin(self) -> float:
        """The share of the grid, in percent, whose loss is less than 1 nat above that of the weights themselves."""
        losses = self.losses()
        return float(100 * (losses < losses[self.grid.middle] + _BASIN).mean())


def _digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """16 hex digits of named tensors."""
    sha = hashlib.sha256()
    for name, tensor in tensors:
        sha.update(name.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]


_worker: list[tuple[Network, list[Batch], Directions, Grid]] = []  # of this process, if it is a worker


def _start_worker(tensors: bytes, spec: NetworkSpec, grid: Grid, threads: int) -> None:
    """Prepare a worker: signals are for its parent, it ends with its parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(threads)
    tune_malloc()
    end_with_parent()
    loaded = torch.load(io.BytesIO(tensors), weights_only=True)
    network = built(Weights(spec, loaded["state"]))
    _worker[:] = [(network, loaded["images"], directions(network, grid), grid)]


def _worker_point(place: Place) -> Point:
    [(network, images, along, grid)] = _worker
    return measure(network, images, along, grid, place)


class StoppedError(ReslabError):
    """A landscape that was stopped by a signal, its points saved."""

    exit_code = STOPPED


Measured = Mapping[str, Landscape]
"""By a subject's label."""

_BASIN = 1.0  # nats above the loss in the middle
_COLOURED = (0.01, 30.0)  # nats between which colours differ


@dataclass(frozen=True)
class LandscapeAnalysis(Analysis[Measured]):
    """Landscapes of the last weights, on training images; their files grow in the report's directory.

    workers: processes, None for one a core; on a GPU always one
    """

    points: int = 21
    reach: float = 1.0
    workers: int | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"
    kind = "landscape"
    title = "Loss around the weights"
    about = (
        "Mean cross-entropy over two random directions in the space of weights, in evaluation mode. Every filter of a "
        "direction is as long as the filter of the weights that it is added to, so that a step of 1 is as large as the "
        "weights themselves; BN's scale and shift and the biases stay. Li et al. 2018, arXiv 1712.09913, sec. 4."
    )
    reading = (
        "BN's running statistics stay those of the trained weights.",
        "Two directions out of hundreds of thousands show little of a landscape; another seed shows others.",
        "The time does not include points measured by an earlier command that was stopped.",
    )

    def settled(self, inputs: Inputs) -> dict[str, Any]:
        return {"precision": find_precision(self.precision, inputs.device)[0]}

    def measure(self, inputs: Inputs, progress: Progress) -> Measured:
        grid = Grid(self.points, self.reach, inputs.seed, **self.settled(inputs))
        landscapes = {}
        with Stop() as stop:
            for index, subject in enumerate(inputs.subjects):
                file = inputs.folder / f"{subject.label.replace('/', '_')}.jsonl"
                landscape = Landscape(file, subject.network, inputs.batches(subject, "train"), grid)
                landscapes[subject.label] = landscape
                if not landscape.fill(self._at_once(inputs), stop, subtask(progress, index, len(inputs.subjects))):
                    missing = f"{len(landscape.missing)} points of {subject.label} are missing"
                    raise StoppedError(f"stopped: {missing}; the same command goes on")
        return landscapes

    def _at_once(self, inputs: Inputs) -> int:
        return 1 if inputs.device == "cuda" else self.workers or cores()

    def table(self, inputs: Inputs, measured: Measured) -> list[Column]:
        grids, losses = list(measured.values()), [landscape.losses() for landscape in measured.values()]
        basins = [landscape.basin() for landscape in grids]
        return [
            Column("network", list(measured), numbers=False),
            Column(
                "loss of the weights", [one[g.grid.middle] for g, one in zip(grids, losses, strict=True)], form=".4f"
            ),
            Column(
                "their error, %", [landscape.points[landscape.grid.middle].error for landscape in grids], form=".2f"
            ),
            Column("lowest loss", [one.min() for one in losses], form=".4f"),
            Column("median loss", [float(np.median(one)) for one in losses], form=".3g"),
            Column("within 1 nat of the weights', % of the grid", basins, form=".1f"),
        ]

    def tables(self, measured: Measured) -> dict[str, list[Column]]:
        lines = [
            (label, landscape.grid.steps[first], landscape.grid.steps[second], point.loss, point.error)
            for label, landscape in measured.items()
            for (first, second), point in sorted(landscape.points.items())
        ]
        titles = ("network", "along the first", "along the second", "loss", "error, %")
        return {"values": columns(titles, lines)}

    def claims(self, inputs: Inputs, measured: Measured) -> list[ClaimResult]:
        groups, results = inputs.by_architecture, []
        for residual, plain in counterparts(groups):
            of = groups[plain], groups[residual]
            narrow, wide = (Sample(tuple(measured[one.label].basin() for one in group)) for group in of)
            claim = f"The residual network lies in a wider basin: {of[1][0].kind} and {of[0][0].kind}"
            metric = "grid within 1 nat of the weights' loss, %"
            results.append(test_claim(claim, "Li et al. 2018, sec. 5", metric, (narrow, wide), of))
        return results

    def facts(self, inputs: Inputs, measured: Measured) -> dict[str, str]:
        precision = self.settled(inputs)["precision"]
        grid = f"{self.points} × {self.points} points, reach {self.reach:g}, seed {inputs.seed}, {precision}"
        facts = {
            "images": f"{inputs.count_text('train')}, not augmented",
            "grid": f"{grid}, {self._at_once(inputs)} points at a time",
        }
        if precision == "bf16":
            off = [f"{label} {rounding(each.network, each.images):.1g} nats" for label, each in measured.items()]
            facts["bf16 is off by"] = f"{', '.join(off)} at the weights, whose own loss is in float32"
        return facts

    def drawings(self, inputs: Inputs, measured: Measured) -> dict[str, Drawing]:
        return {"landscape": _contours(measured), "slices": _slices(measured)}


def _contours(measured: Measured) -> Drawing:
    levels = np.geomspace(*_COLOURED, 25)
    columns = min(len(measured), 3)
    rows = -(-len(measured) // columns)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(3.4 * columns + 1.0, 3.5 * rows), layout="constrained")
        drawing = Drawing(
            figure,
            "Loss over the first direction (across) and the second (up), colours by its logarithm, the same for all "
            "and ending at 0.01 and 30. The cross marks the weights themselves.",
        )
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (label, landscape) in zip(axes, measured.items(), strict=False):
            steps, losses = landscape.grid.steps, landscape.losses()
            shown = np.clip(losses, _COLOURED[0] / 2, _COLOURED[1] * 2)
            shades = ax.contourf(steps, steps, shown.T, levels, norm=LogNorm(), cmap="viridis", extend="both")
            ax.contour(steps, steps, shown.T, levels[::3], colors="white", linewidths=0.4)
            ax.plot(0, 0, "x", color="#D55E00")
            ax.set_title(label, fontsize=9)
            ax.set(aspect="equal", xlabel="first direction", ylabel="second direction")
            for first, x in enumerate(steps):
                for second, y in enumerate(steps):
                    drawing.points.append((ax, x, y, f"{label} at {x:g}, {y:g}: loss {losses[first, second]:.3g}"))
        for ax in axes[len(measured) :]:
            ax.remove()
        bar = figure.colorbar(shades, ax=list(axes[: len(measured)]), label="loss, nats", shrink=0.8, format="%.3g")
        bar.set_ticks(levels[::6].tolist())
        bar.ax.yaxis.set_minor_locator(NullLocator())
    return drawing


def _slices(measured: Measured) -> Drawing:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        drawing = Drawing(figure, "Loss along each direction alone: the first bold, the second thin.")
        ax = figure.subplots()
        for index, (label, landscape) in enumerate(measured.items()):
            steps, losses, half = landscape.grid.steps, landscape.losses(), landscape.grid.points // 2
            ax.plot(steps, losses[:, half], linewidth=2.0, label=label, **line(index))
            ax.plot(steps, losses[half, :], linewidth=0.9, **line(index))
            for x, loss in zip(steps, losses[:, half], strict=True):
                if np.isfinite(loss):
                    drawing.points.append((ax, x, float(loss), f"{label}, first direction at {x:g}: loss {loss:.3g}"))
        ax.set(xlabel="steps along the direction, 1 as long as the weights", ylabel="loss, nats", yscale="log")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=9)
    return drawing
