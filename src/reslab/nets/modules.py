"""The values of a network as torch modules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from functools import singledispatch
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.nets import merges
from reslab.nets.paths import BN, Cat, Chain, Convolution, GlobalPool, Linear, Node, Pool, ReLU, Seq, ZeroPad
from reslab.nets.unit import Unit

if TYPE_CHECKING:
    from reslab.nets.network import NetworkSpec


class Network(nn.Sequential):
    """A built network: the parts stem, stage1, stage2 ..., head, one after another. (N, C, H, W) -> (N, classes).

    `spec` is the value that it was built from.
    """

    def __init__(self, spec: NetworkSpec, parts: OrderedDict[str, nn.Module]) -> None:
        super().__init__(parts)
        self.spec = spec

    def endpoints(self, x: Tensor) -> dict[str, Tensor]:
        """The output of each part by its name, the last one being the logits."""
        outputs = {}
        for name, part in self.named_children():
            x = outputs[name] = part(x)
        return outputs


class ResidualUnit(nn.Module):
    """y = h(x) + F(x), x' = f(y). C eqs. 1 and 2."""

    def __init__(self, shared: nn.Module, ways: tuple[nn.Module, nn.Module], merge: nn.Module, after: nn.Module):
        super().__init__()
        self.shared = shared
        self.shortcut, self.residual = ways
        self.merge = merge
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(x)
        return self.after(self.merge(x, self.shortcut(x), self.residual(x)))  # type: ignore[no-any-return]


class PlainUnit(nn.Module):
    """x' = f(F(x)): the same layers with the shortcut taken away. A sec. 3.3, plain network."""

    def __init__(self, shared: nn.Module, residual: nn.Module, after: nn.Module):
        super().__init__()
        self.shared = shared
        self.residual = residual
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.residual(self.shared(x)))  # type: ignore[no-any-return]


class Addition(nn.Module):
    """h(x) + F(x)."""

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        return shortcut + residual


class Scaling(nn.Module):
    """a * h(x) + b * F(x)."""

    def __init__(self, shortcut: float, residual: float):
        super().__init__()
        self.factors = shortcut, residual

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        a, b = self.factors
        return a * shortcut + b * residual

    def extra_repr(self) -> str:
        return "shortcut={:g}, residual={:g}".format(*self.factors)


class Gating(nn.Module, ABC):
    """A merge with a gate g(x) = sigmoid(1x1 convolution of x), whose bias starts at `bias`. C sec. 3.1."""

    def __init__(self, gate: nn.Module, bias: float):
        super().__init__()
        self.gate = gate
        self.bias = bias

    @abstractmethod
    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor: ...


class ShortcutGating(Gating):
    """(1 - g(x)) * h(x) + F(x). C Fig. 2 d."""

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        return (1 - torch.sigmoid(self.gate(x))) * shortcut + residual


class ExclusiveGating(Gating):
    """(1 - g(x)) * h(x) + g(x) * F(x). C Fig. 2 c."""

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        g = torch.sigmoid(self.gate(x))
        return (1 - g) * shortcut + g * residual


class ShortcutDropout(nn.Module):
    """drop(h(x)) + F(x), the expected factor of h(x) being `1 - p`, or 1 where inverted. C Fig. 2 f."""

    def __init__(self, p: float, inverted: bool):
        super().__init__()
        self.p = p
        self.factor = 1.0 if inverted else 1 - p

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        # torch's dropout divides the survivors by 1 - p in training, which the factor takes back
        return self.factor * F.dropout(shortcut, self.p, self.training) + residual

    def extra_repr(self) -> str:
        return f"p={self.p:g}, factor={self.factor:g}"


class ZeroPadding(nn.Module):
    """Option A: every stride-th row and column, zeros for the channels that x lacks. A sec. 3.3."""

    def __init__(self, width: int, stride: int):
        super().__init__()
        self.width = width
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.width - x.shape[1]))

    def extra_repr(self) -> str:
        return f"width={self.width}, stride={self.stride}"


class Concatenation(nn.Module):
    """branch1(x), branch2(x) ... side by side along the channels."""

    def __init__(self, branches: list[nn.Module]):
        super().__init__()
        for index, branch in enumerate(branches, 1):
            self.add_module(f"branch{index}", branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class GlobalAverage(nn.Module):
    """The mean over the map: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@singledispatch
def build(node: Node, channels: int) -> nn.Module:
    """The module of a node that reads `channels` channels."""
    raise TypeError(f"no module for {type(node).__name__}")


@build.register(Seq)
@build.register(Chain)
def _(node: Seq | Chain, channels: int) -> nn.Module:
    parts = _parts(node, channels)
    return nn.Sequential(parts) if parts else nn.Identity()


@build.register
def _(node: Cat, channels: int) -> nn.Module:
    return Concatenation([build(branch, channels) for branch in node.branches])


@build.register
def _(node: Unit, channels: int) -> nn.Module:
    shared, residual = build(node.shared, channels), build(node.residual, channels)
    after = build(node.after, _width(node.residual, channels))
    if node.shortcut is None:
        return PlainUnit(shared, residual, after)
    return ResidualUnit(shared, (build(node.shortcut, channels), residual), _merge(node, channels), after)


@build.register
def _(node: Convolution, channels: int) -> nn.Module:
    conv = node.conv
    kernel = (conv.kernel, conv.kernel) if isinstance(conv.kernel, int) else conv.kernel
    padding = tuple((length - 1) // 2 for length in kernel) if conv.padding == "same" else 0
    return nn.Conv2d(channels, conv.width, kernel, conv.stride, padding, bias=conv.bias)  # type: ignore[arg-type]


@build.register
def _(node: Pool, channels: int) -> nn.Module:
    padding = (node.kernel - 1) // 2 if node.padding == "same" else 0
    if node.what == "max":
        return nn.MaxPool2d(node.kernel, node.stride, padding)
    return nn.AvgPool2d(node.kernel, node.stride, padding, count_include_pad=False)


@build.register
def _(node: BN, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels)


@build.register
def _(node: ReLU, channels: int) -> nn.Module:
    return nn.ReLU()


@build.register
def _(node: GlobalPool, channels: int) -> nn.Module:
    return GlobalAverage()


@build.register
def _(node: Linear, channels: int) -> nn.Module:
    return nn.Linear(channels, node.classes)


@build.register
def _(node: ZeroPad, channels: int) -> nn.Module:
    return ZeroPadding(node.width, node.stride)


def _merge(unit: Unit, channels: int) -> nn.Module:
    match unit.merge:
        case merges.Scaled(shortcut=shortcut, residual=residual):
            return Scaling(shortcut, residual)
        case merges.Gated(bias=bias, exclusive=exclusive):
            gate = build(unit.gate(channels), channels)  # type: ignore[arg-type]
            return ExclusiveGating(gate, bias) if exclusive else ShortcutGating(gate, bias)
        case merges.Dropped(p=p, inverted=inverted):
            return ShortcutDropout(p, inverted)
    return Addition()


def _parts(node: Seq | Chain, channels: int) -> OrderedDict[str, nn.Module]:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in node.named():
        parts[name] = build(part, channels)
        channels = _width(part, channels)
    return parts


def _width(node: Node, channels: int) -> int:
    return node.out((channels, 2**10, 2**10))[0]  # a map that is large enough for every path


def build_network(spec: NetworkSpec) -> Network:
    """A network with fresh weights: He's normal initialisation (fan-in), zero biases, BN at 1 and 0. A sec. 3.4.

    The bias of a gate starts at what its merge says, C sec. 3.1.
    """
    network = Network(spec, _parts(spec.plan(), spec.channels))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, Gating):
            nn.init.constant_(module.gate.bias, module.bias)  # type: ignore[arg-type]
    return network
