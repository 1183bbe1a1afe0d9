"""How strong the signal is behind each unit and how strong the gradient, beside what the shortcuts alone carry back.

C sec. 2 and 3, eqs. 5 to 8; A sec. 4.1 on healthy gradients; B sec. 3.3 on networks that die.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.analyse.blocks import HEAD, Block, trunk
from reslab.analyse.preserve import Mode, Told, outputs, preserve_state
from reslab.data.batches import Batch
from reslab.nets.leaves import Flatten, GlobalPool
from reslab.nets.merges import Dropped, Gated, Scaled
from reslab.nets.modules import Network
from reslab.nets.paths import Chain
from reslab.nets.unit import Unit

Floats = NDArray[np.float64]


class Gradients(NamedTuple):
    """A network's blocks from the stem to the last unit, in order; every array is (blocks,).

    signal: root mean square of the block's output, over images, channels and positions
    gradient: norm of the derivative of an image's cross-entropy by its output of the block; root mean square over the
        images
    factor: what the block's shortcut multiplies h(x) by; nan where there is none or it has weights
    dead: the share of channels that no ReLU inside the block ever let through for any image; nan where it has no ReLU
    died: whether what the average pooling, or the flattening, reads is zero for every image. B sec. 3.3
    """

    blocks: tuple[str, ...]
    signal: Floats
    gradient: Floats
    factor: Floats
    dead: Floats
    died: bool

    def predicted(self) -> Floats:
        """The gradient that the shortcuts alone carry back from the last unit, (blocks,). C eqs. 5 to 8.

        It begins anew at the measured one in front of a block without a factor; nan where no shortcut follows.
        """
        found = np.full(len(self.blocks), np.nan)
        for place in range(len(self.blocks) - 1, 0, -1):
            if not np.isnan(self.factor[place]):
                if np.isnan(found[place]):
                    found[place] = self.gradient[place]
                with np.errstate(over="ignore"):
                    found[place - 1] = found[place] * self.factor[place]
        return found

    def product(self) -> float:
        """The product of the factors of all shortcuts; nan where one has weights or there is none. C eqs. 5 to 8."""
        with np.errstate(over="ignore"):
            return float(np.prod(self.factor[1:]))

    def ratio(self) -> float:
        """The gradient behind the stem over that behind the last unit."""
        return float(self.gradient[0]) / float(self.gradient[-1]) if self.gradient[-1] else float("nan")

    def finite(self) -> bool:
        """Whether every value that there is is finite."""
        strengths = np.isfinite([self.signal, self.gradient]).all()
        return bool(strengths) and not np.isinf([*self.predicted(), self.product(), self.ratio()]).any()


def gradients(network: Network, images: Sequence[Batch], mode: Mode = "train", told: Told | None = None) -> Gradients:
    """Signal and gradient of a network on images, with the statistics of each batch as in training, or in evaluation.

    The network, its buffers and gradients, and torch's generators are as before.
    """
    blocks = trunk(network)[:-1]
    tally = _Tally(network, blocks)
    with preserve_state(network, mode), tally.listening():
        for done, (pixels, labels) in enumerate(images, 1):
            logits = network(pixels.clone().requires_grad_())
            loss = F.cross_entropy(logits.float(), labels, reduction="sum")
            behind = [tally.behind[block.name] for block in blocks]
            tally.add(torch.autograd.grad(loss, behind), len(labels))
            if told:
                told(done / len(images))
    return tally.result()


class _Tally:
    """Sums over batches of what the modules of a network give."""

    def __init__(self, network: Network, blocks: Sequence[Block]):
        self.blocks = blocks
        self.ends = {block.name: block.module for block in blocks}
        self.relus = {
            f"{block.name}.{name}": module
            for block in blocks
            for name, module in block.module.named_modules()
            if isinstance(module, nn.ReLU)
        }
        self.gates: dict[str, nn.Module] = {
            block.name: block.module.get_submodule("merge.gate") for block in blocks if _is_gated(block)
        }
        self.read = before_pooling(network)
        self.behind: dict[str, Tensor] = {}
        self.highest: dict[str, Tensor] = {}
        self.open: dict[str, list[float]] = {name: [] for name in self.gates}
        self.alive = False
        self.images = 0
        self.squares = np.zeros((2, len(blocks)))

    def listening(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(outputs(self.ends, self.behind.__setitem__))
        stack.enter_context(outputs(self.relus, self._relu))
        stack.enter_context(outputs(self.gates, self._gate))
        stack.enter_context(outputs({self.read[0]: self.read[1]}, self._pooled))
        return stack

    def _relu(self, name: str, output: Tensor) -> None:
        highest = output.detach().amax([axis for axis in range(output.dim()) if axis != 1])
        self.highest[name] = torch.maximum(highest, self.highest[name]) if name in self.highest else highest

    def _gate(self, name: str, output: Tensor) -> None:
        self.open[name].append(float(torch.sigmoid(-output.detach()).mean()))

    def _pooled(self, name: str, output: Tensor) -> None:
        self.alive = self.alive or bool(output.detach().any())

    def add(self, slopes: Sequence[Tensor], count: int) -> None:
        for place, (block, slope) in enumerate(zip(self.blocks, slopes, strict=True)):
            self.squares[0, place] += float(self.behind[block.name].detach().double().square().flatten(1).mean(1).sum())
            self.squares[1, place] += float(slope.double().square().sum())
        self.images += count
        self.behind.clear()

    def result(self) -> Gradients:
        signal, gradient = (self.squares / self.images) ** 0.5
        factor = np.array([self._factor(block) for block in self.blocks])
        dead = np.array([self._dead(block.name) for block in self.blocks])
        return Gradients(tuple(self.ends), signal, gradient, factor, dead, not self.alive)

    def _factor(self, block: Block) -> float:
        unit = block.node
        if not isinstance(unit, Unit) or unit.shortcut is None:
            return float("nan")
        if any(layer.parameters for layer in unit.shortcut.layers(block.before, "")):
            return float("nan")
        match unit.merge:
            case Scaled(shortcut=shortcut):
                return shortcut
            case Dropped(p=p, inverted=inverted):
                return 1.0 if inverted else 1 - p
            case Gated():
                return float(np.mean(self.open[block.name]))
        return 1.0

    def _dead(self, name: str) -> float:
        inside = [highest <= 0 for relu, highest in self.highest.items() if relu.startswith(f"{name}.")]
        return float(torch.cat(inside).float().mean()) if inside else float("nan")


def before_pooling(network: Network) -> tuple[str, nn.Module]:
    """The module, with its path, whose output the head averages or flattens."""
    head = network.spec.plan().parts[-1][1]
    assert isinstance(head, Chain)
    path = trunk(network)[-2].name
    for name, node in head.parts:
        if isinstance(node, GlobalPool | Flatten):
            break
        path = f"{HEAD}.{name}"
    return path, network.get_submodule(path)


def _is_gated(block: Block) -> bool:
    return isinstance(block.node, Unit) and isinstance(block.node.merge, Gated)
