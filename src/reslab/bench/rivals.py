"""The implementations with which reslab's speed is compared, and their processes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.bench import peer
from reslab.errors import ReslabError, SpecError, nearest
from reslab.machine import torch_defaults
from reslab.nets.modules import Network
from reslab.weights.convert import convert
from reslab.weights.file import built

Rival = Literal["torch", "torchvision", "timm", "akamaster-style"]
RIVALS: tuple[Rival, ...] = ("torch", "torchvision", "timm", "akamaster-style")

COUNTERPARTS = {
    "torchvision": {
        "resnet18": "resnet18",
        "resnet34": "resnet34",
        "resnet50-v1.5": "resnet50",
        "resnet101-v1.5": "resnet101",
        "resnet152-v1.5": "resnet152",
        "resnext50-32x4d": "resnext50_32x4d",
        "resnext101-32x8d": "resnext101_32x8d",
        "wrn-50-2": "wide_resnet50_2",
        "vgg16": "vgg16",
        "vgg19-bn": "vgg19_bn",
        "densenet121": "densenet121",
        "densenet161": "densenet161",
        "alexnet-torchvision": "alexnet",
        "googlenet-torchvision": "googlenet",
        "inception-v3-torchvision": "inception_v3",
    },
    "timm": {
        "resnet50-v1.5": "resnet50",
        "resnext50-32x4d": "resnext50_32x4d",
        "resnet50d": "resnet50d",
        "se-resnet50": "seresnet50",
        "densenet121": "densenet121",
        "preact18-timm": "resnetv2_18",
        "preact50-timm": "resnetv2_50",
        "inception-v4-slim": "inception_v4",
        "inception-resnet-v2-slim": "inception_resnet_v2",
    },
}
"""The libraries' networks by our names of those that compute the same."""


def counterpart(library: str, name: str) -> str:
    """A library's name for one of our networks. Raises SpecError naming those that it has."""
    names = COUNTERPARTS[library]
    if name not in names:
        raise SpecError(f"{library} has no network that computes what {name} does: {nearest(name, names)}")
    return names[name]


class Peer:
    """A peer's network in its process."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path):
        self.process = process
        self.folder = folder

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return dict(json.loads(self.process.stdout.readline()))
        except (ValueError, BrokenPipeError):
            self.process.wait()
            reason = (self.folder / "errors").read_text().strip().splitlines() or ["it ended without a message"]
            raise ReslabError(
                f"the peer's process ended: {reason[-1][:300]}\nRESLAB_PEERS names a python that has its library"
            ) from None

    def rate(self, seconds: float) -> float:
        """Images per second of a round of some seconds."""
        return float(self.ask(seconds=seconds)["images_per_second"])

    def network(self, name: str) -> tuple[Network, float]:
        """Our network of that name with the peer's weights, and the relative difference of their outputs."""
        ours = built(convert(self.folder / "weights.pth", name)[0])
        outputs = torch.load(self.folder / "outputs.pth", weights_only=True)
        with torch.inference_mode():
            logits = ours(outputs["images"])
        expected = outputs["logits"]
        return ours, float((logits - expected).abs().max() / expected.abs().max())


@contextmanager
def peer_process(library: str, name: str = "", **order: Any) -> Iterator[Peer]:
    """A running peer, see `reslab.bench.peer`: for library "reslab" a module of ours in this python, else the library's
    network that computes the same as ours of that name, in the python that RESLAB_PEERS names, or in this one."""
    python = sys.executable if library == "reslab" else os.environ.get("RESLAB_PEERS", sys.executable)
    theirs = name if library == "reslab" else counterpart(library, name)
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "errors").open("w") as errors:
            process = subprocess.Popen(
                [python, "-W", "ignore", peer.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=torch_defaults(),
            )
        with process:
            try:
                running = Peer(process, Path(folder))
                running.ask(library=library, name=theirs, folder=folder, **order)
                yield running
            finally:
                process.kill()


def plain_step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> Tensor:
    """A training step of plain torch. -> the loss, ()"""
    loss = F.cross_entropy(network(images), labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()
