"""A training step, from its batch to the meter's sums: over a loader's batches, or over fixed buffers."""

import gc
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from reslab.data.batches import Loader, to_device
from reslab.data.in_memory import InMemoryLoader
from reslab.data.seeds import torch_seed
from reslab.recipes.recipe import Recipe
from reslab.train.batch_size import check_batch_size
from reslab.train.learner import Learner
from reslab.train.meter import Meter
from reslab.train.mixup import draw_mixup, mixup

_AT_ONCE = 64  # steps whose draws are sent to the device together
WARM_UP = 3  # steps before the capture, as torch's notes on CUDA graphs have it


class Step(Protocol):
    """The steps of a training, in order: everything drawn is a function of the seed and the step."""

    def take(self, step: int) -> None: ...


class StreamedStep:
    """Steps over the batches of any loader, from step `first` on."""

    def __init__(self, learner: Learner, meter: Meter, loader: Loader, seed: int, first: int):
        self._learner, self._meter, self._seed, self._rank = learner, meter, seed, loader.ranks.rank
        recipe = learner.recipe
        self._classes = len(loader.data.classes)
        self._batches = loader.batches(seed, range(first, recipe.steps), recipe.batch, recipe.augment)

    def take(self, step: int) -> None:
        with self._meter.waits():
            images, labels = next(self._batches)
        recipe = self._learner.recipe
        check_batch_size(self._learner.network.spec, recipe, len(labels) * self._learner.ranks.total)
        torch.manual_seed(torch_seed(self._seed, "dropout", step, self._rank))
        targets = labels
        if recipe.mixup:
            images, targets = mixup(
                images, labels, self._classes, *draw_mixup(self._seed, step, recipe.mixup, len(labels))
            )
        loss, logits = self._learner.train_step(images, targets, step)
        self._meter.add(step, loss, logits, labels)


class Graph(Protocol):
    """Records the device's work of a function once, and replays it."""

    def warm_up(self, function: Callable[[], None]) -> None: ...
    def capture(self, function: Callable[[], None]) -> None: ...
    def replay(self) -> None: ...


class CudaGraph:
    """A CUDA graph. The function is called on a stream of its own before and in the capture, which runs nothing."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, function: Callable[[], None]) -> None:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            function()
        current.wait_stream(self._stream)

    def capture(self, function: Callable[[], None]) -> None:
        gc.collect()  # what is freed in the capture would end it
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            function()

    def replay(self) -> None:
        self._graph.replay()  # on the current stream, in order with copies, evaluation and checkpoints


class FixedStep:
    """Steps as one function over fixed buffers, for images in memory and one rank.

    The function makes the batch, and takes it to the meter's sums, by tensors that are only written in place and
    numbers that are the same at every step; `take` writes what changes. With a `graph` the first steps are its warm-up;
    then it is captured, and replayed from there on. `report` takes the outcome of the capture: "captured", or why not,
    and then the steps go on without it.
    """

    def __init__(
        self,
        learner: Learner,
        meter: Meter,
        loader: InMemoryLoader,
        seed: int,
        graph: Graph | None = None,
        report: Callable[[str], None] = lambda outcome: None,
    ):
        self._learner, self._meter, self._loader, self._seed = learner, meter, loader, seed
        self._graph, self._report = graph, report
        self._taken = 0
        recipe = learner.recipe
        self._batch = loader.batch_function(recipe.augment)
        shape = (_AT_ONCE, *self._draws(0).shape)
        self._table = torch.zeros(shape, dtype=torch.int64, device=loader.device)
        self._row = torch.zeros(1, dtype=torch.int64, device=loader.device)
        self._steps = range(0)  # of the table

    def take(self, step: int) -> None:
        with self._meter.waits():
            self._write(step)
        torch.manual_seed(torch_seed(self._seed, "dropout", step))  # a capture would refuse a new seed
        if self._graph is None:
            self._function()
        elif self._taken < WARM_UP:
            self._graph.warm_up(self._function)
        elif self._taken > WARM_UP or self._captures(self._graph):
            self._graph.replay()
        else:  # the capture has failed, and run nothing
            self._graph = None
            self._function()
        self._taken += 1

    def _function(self) -> None:
        draws = self._table.index_select(0, self._row)[0]
        images, labels = self._batch(draws)
        loss, logits = self._learner.update(images, labels)
        self._meter.add(self._learner.step, loss, logits, labels)

    def _captures(self, graph: Graph) -> bool:
        """Capture the function; whether that has worked."""
        optimizer = self._learner.optimizer
        optimizer.zero_grad()  # so that the gradients are the graph's own memory
        try:
            graph.capture(self._function)
        except RuntimeError as error:  # torch's own are such, out of memory too
            optimizer.zero_grad()
            self._report(f"{type(error).__name__}: {error}".splitlines()[0])
            return False
        self._report("captured")
        return True

    def _draws(self, step: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
        recipe = self._learner.recipe
        return self._loader.draws(self._seed, step, recipe.batch, recipe.augment)

    def _write(self, step: int) -> None:
        """Write what a step needs into the buffers."""
        if step not in self._steps:
            self._steps = range(step, min(step + _AT_ONCE, self._learner.recipe.steps))
            drawn = np.stack([self._draws(each) for each in self._steps])
            self._table[: len(drawn)].copy_(to_device(torch.from_numpy(drawn), self._table.device))
        self._row.fill_(step - self._steps.start)
        self._learner.set_step(step)


def make_step(
    learner: Learner, meter: Meter, loader: Loader, seed: int, first: int, report: Callable[[str], None]
) -> Step:
    """The steps of a training from step `first` on: over fixed buffers if there are any, on a GPU in a CUDA graph.

    `report` takes the outcome on a GPU: "captured", or why not.
    """
    on_gpu = loader.device.type == "cuda"
    if reason := _why_streamed(loader, learner.recipe):
        if on_gpu:
            report(reason)
        return StreamedStep(learner, meter, loader, seed, first)
    assert isinstance(loader, InMemoryLoader)
    return FixedStep(learner, meter, loader, seed, CudaGraph() if on_gpu else None, report)


def has_fixed_buffers(loader: Loader, recipe: Recipe) -> bool:
    """Whether a training's steps are over fixed buffers: for images in memory, in one process, without mixup."""
    return not _why_streamed(loader, recipe)


def _why_streamed(loader: Loader, recipe: Recipe) -> str:
    """Why a training's steps are not over fixed buffers; "" where they are."""
    if not isinstance(loader, InMemoryLoader):
        return "not with pictures in folders"
    if loader.ranks.total > 1:
        return "not with several ranks"
    return "not with mixup" if recipe.mixup else ""
