"""What an analysis is made under, and the facts that its page says of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from reslab.analyse.preserve import Mode, Told
from reslab.analyse.subject import Subject, at_once, images
from reslab.data.batches import Batch
from reslab.data.image_folder import OnBad
from reslab.data.images import DataSet
from reslab.machine import processor


@dataclass(frozen=True)
class Conditions:
    """The data and how many of its test images, BN's mode, the seed of what is drawn, the device.

    on_bad: what a picture that cannot be read does; skipped: those that could not be read so far, and why
    """

    data: DataSet
    images: int
    mode: Mode = "eval"
    seed: int = 0
    device: str = "cpu"
    on_bad: OnBad = "error"
    skipped: dict[str, str] = field(default_factory=dict)

    def seen(self, subject: Subject) -> list[Batch]:
        """The images as a subject sees them. Raises DataError as `images` does."""
        return images(subject, self.data, self.images, self.device, self.on_bad, self.skipped)

    def count(self, kind: str = "test") -> str:
        """How many images were seen, in words."""
        of = len(self.data.test.labels)
        left_out = f", without {len(self.skipped):,} that could not be read" * bool(self.skipped)
        return f"{min(self.images, of) - len(self.skipped):,} of {of:,} {kind} images of {self.data.name}{left_out}"

    def facts(self, subjects: Sequence[Subject], began: float) -> dict[str, str]:
        """What was measured on what, and how long it took since `began` on time.monotonic's clock."""
        gpu = f"{torch.cuda.get_device_name()}, " if self.device == "cuda" else ""
        return {
            "networks": ", ".join(f"{subject.label} ({subject.kind})" for subject in subjects),
            "images": self.count(),
            "machine": f"{gpu}{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
            "time": f"{time.monotonic() - began:.0f} s",
        }

    def statistics(self, subjects: Sequence[Subject]) -> dict[str, str]:
        """The fact whose statistics BN takes."""
        if self.mode == "eval":
            return {"statistics of BN": "its running statistics"}
        sizes = sorted({at_once(subject.spec) for subject in subjects})
        told = " or ".join(map(str, sizes)) + (", as memory allows" if len(sizes) > 1 else "")
        return {"statistics of BN": f"those of each batch of at most {told}"}


def part(told: Told | None, index: int, of: int) -> Told | None:
    """What hears of a share of one of several equal pieces of work, and tells of the whole."""
    return (lambda share: told((index + share) / of)) if told else None
