"""Training loss, error and throughput."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

import torch
from torch import Tensor

from reslab.distributed import all_reduce_min, all_reduce_sum
from reslab.runs.contents import MeterState

_NEVER = 2**62


class LogLine(TypedDict):
    """Mean loss, error in percent, images per second, and the percentage of the time waiting for data."""

    train_loss: float
    train_error: float
    images_per_second: float
    waiting: float


class Totals(TypedDict):
    """Seconds of training, data included, without evaluation and compilation, images per second in them, seconds of
    waiting for data, and seconds of compilation."""

    seconds: float
    images_per_second: float
    waiting_seconds: float
    compile_seconds: float


class Meter:
    """Running training loss, error and throughput since the last log; step of the first non-finite loss.

    Sums stay on the device until the log, so that no step waits for them. All ranks call its methods together; the
    numbers are over all of them. `open_` times are since the last log.
    """

    def __init__(self, device: torch.device):
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, wrong, images
        self.bad = torch.tensor(_NEVER, device=device)
        self.all_images = 0
        self.open_seconds = self.seconds = 0.0
        self.open_waiting = self.waiting = 0.0
        self.compile_seconds, self.compile_images = 0.0, 0
        self._since: float | None = None
        self._waited = 0.0  # for the last batch

    def add(self, step: int | Tensor, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a rank's share of a step's batch, in place. The step is a number, or int64 () on the device."""
        wrong = (logits.argmax(1) != labels).sum()
        count = torch.full((), float(len(labels)), dtype=torch.float64, device=self.sums.device)
        self.sums += torch.stack([loss.double() * count, wrong.double(), count])
        self.bad.copy_(torch.where(torch.isfinite(loss), self.bad, self.bad.clamp(max=step)))

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Context manager: count its time as waiting for data."""
        since = time.perf_counter()
        yield
        self._waited = time.perf_counter() - since
        self.open_waiting += self._waited

    def first_bad(self) -> int | None:
        """The first step, from 0, whose loss is not finite."""
        step = int(all_reduce_min(self.bad.clone()))
        return None if step == _NEVER else step

    def since_last_log(self) -> LogLine:
        """The numbers since the last log, which is now. The clock stops until `resume`."""
        loss, wrong, images = all_reduce_sum(self.sums.clone()).tolist()
        self._pause()
        line = LogLine(
            train_loss=loss / images,
            train_error=100 * wrong / images,
            images_per_second=(images - self.compile_images) / self.open_seconds if self.open_seconds else 0.0,
            waiting=100 * self.open_waiting / self.open_seconds if self.open_seconds else 0.0,
        )
        self.seconds += self.open_seconds
        self.waiting += self.open_waiting
        self.all_images += int(images - self.compile_images)
        self.compile_images = 0
        self.sums.zero_()
        self.open_seconds = self.open_waiting = 0.0
        return line

    def compiled(self, images: int) -> None:
        """Count the step since the clock started as compilation: neither its time nor its images, over all ranks,
        are of training."""
        before = self.open_seconds
        self._pause()
        self.compile_seconds += self.open_seconds - before
        self.open_seconds = before
        self.open_waiting -= self._waited
        self.compile_images += images
        self.resume()

    def _pause(self) -> None:
        if self._since is not None:
            self.open_seconds += time.perf_counter() - self._since
        self._since = None

    def resume(self) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def state(self) -> MeterState:
        """The counts for `load`; the clock stops until `resume`."""
        loss, wrong, images = all_reduce_sum(self.sums.clone()).tolist()
        self._pause()
        times = (self.open_seconds, self.seconds, self.open_waiting, self.waiting)
        return MeterState((loss, wrong, images), self.all_images, *times)

    def load(self, state: MeterState, first: bool) -> None:
        """Continue from a state; the first rank takes the sums of all."""
        if first:
            self.sums.copy_(torch.tensor(state.sums, dtype=torch.float64))
        self.all_images = state.all_images
        self.open_seconds, self.seconds = state.open_seconds, state.seconds
        self.open_waiting, self.waiting = state.open_waiting, state.waiting

    def totals(self) -> Totals:
        """The numbers of the whole run. The clock stops until `resume`."""
        images = self.all_images + float(all_reduce_sum(self.sums.clone())[2]) - self.compile_images
        self._pause()
        seconds = self.seconds + self.open_seconds
        return Totals(
            seconds=seconds,
            images_per_second=images / seconds if seconds else 0.0,
            waiting_seconds=self.waiting + self.open_waiting,
            compile_seconds=self.compile_seconds,
        )
