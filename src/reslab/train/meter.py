"""What training tells between two lines of its record."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from reslab.distributed import all_reduce_min, all_reduce_sum

_NEVER = 2**62


class Meter:
    """Loss and error of the training batches between two readings, the time that they took, and the first bad loss.

    Sums stay on the device until they are read, so that no step waits for them. Ranks read and tell together; what
    they read is of all of them.
    """

    def __init__(self, device: torch.device):
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, wrong, images
        self.bad = torch.tensor(_NEVER, device=device)
        self.all_images = 0
        self.open_seconds = self.seconds = 0.0
        self.open_waiting = self.waiting = 0.0
        self.compile_seconds, self.aside = 0.0, 0.0
        self._since: float | None = None
        self._waited = 0.0  # for the last batch

    def add(self, step: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a rank's share of a step's batch."""
        wrong = (logits.argmax(1) != labels).sum()
        count = torch.full((), float(len(labels)), dtype=torch.float64, device=self.sums.device)
        self.sums += torch.stack([loss.double() * count, wrong.double(), count])
        self.bad = torch.where(torch.isfinite(loss), self.bad, self.bad.clamp(max=step))

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Count the time within as time of waiting for data."""
        since = time.perf_counter()
        yield
        self._waited = time.perf_counter() - since
        self.open_waiting += self._waited

    def first_bad(self) -> int | None:
        """The first step, from 0, whose loss was no finite number."""
        step = int(all_reduce_min(self.bad.clone()))
        return None if step == _NEVER else step

    def read(self) -> dict[str, float]:
        """Since the last reading: mean loss, error in percent, images per second and the percentage of the time that
        went by waiting for data. The clock stops until `resume`."""
        loss, wrong, images = all_reduce_sum(self.sums.clone()).tolist()
        self._pause()
        line = {
            "train_loss": loss / images,
            "train_error": 100 * wrong / images,
            "images_per_second": (images - self.aside) / self.open_seconds if self.open_seconds else 0.0,
            "waiting": 100 * self.open_waiting / self.open_seconds if self.open_seconds else 0.0,
        }
        self.seconds += self.open_seconds
        self.waiting += self.open_waiting
        self.all_images += int(images - self.aside)
        self.aside = 0.0
        self.sums.zero_()
        self.open_seconds = self.open_waiting = 0.0
        return line

    def set_aside(self, images: int) -> None:
        """Count the step since the clock was started as compilation: its time is no training time, nor are its
        images, those of all ranks."""
        before = self.open_seconds
        self._pause()
        self.compile_seconds += self.open_seconds - before
        self.open_seconds = before
        self.open_waiting -= self._waited
        self.aside += images
        self.resume()

    def _pause(self) -> None:
        if self._since is not None:
            self.open_seconds += time.perf_counter() - self._since
        self._since = None

    def resume(self) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def told(self) -> dict[str, Any]:
        """All that it counted, for `restore`; the clock stops until `resume`."""
        sums = all_reduce_sum(self.sums.clone()).tolist()
        self._pause()
        plain: dict[str, Any] = {"sums": sums, "all_images": self.all_images}
        plain |= {"open_seconds": self.open_seconds, "seconds": self.seconds}
        return plain | {"open_waiting": self.open_waiting, "waiting": self.waiting}

    def restore(self, told: dict[str, Any], first: bool) -> None:
        """Count on from what was told; the first rank has the sums of all."""
        if first:
            self.sums.copy_(torch.tensor(told["sums"], dtype=torch.float64))
        self.all_images = told["all_images"]
        self.open_seconds, self.seconds = told["open_seconds"], told["seconds"]
        self.open_waiting, self.waiting = told["open_waiting"], told["waiting"]

    def totals(self) -> dict[str, float]:
        """Seconds of training, data included, evaluation and compilation left out, images per second in them, and the
        seconds that went by waiting for data."""
        images = self.all_images + float(all_reduce_sum(self.sums.clone())[2]) - self.aside
        self._pause()
        seconds = self.seconds + self.open_seconds
        told = {"seconds": seconds, "images_per_second": images / seconds if seconds else 0.0}
        return told | {"waiting_seconds": self.waiting + self.open_waiting, "compile_seconds": self.compile_seconds}
