"""From the value of a network to its torch module."""

from collections import OrderedDict
from functools import singledispatch
from typing import assert_never

import torch
from torch import nn

from reslab.nets import merges
from reslab.nets.cost import Shape
from reslab.nets.leaves import (
    BN,
    LRN,
    AnyLeaf,
    Bias,
    Dropout,
    Flatten,
    GlobalPool,
    Linear,
    Node,
    ReLU,
    Scale,
    Squash,
    ZeroPad,
)
from reslab.nets.modules import (
    Addition,
    ChannelScaling,
    Concatenation,
    ExclusiveGating,
    Gating,
    GlobalAverage,
    Multiplication,
    Network,
    PlainUnit,
    ResidualUnit,
    ResponseNorm,
    Scaling,
    Shift,
    ShortcutDropout,
    ShortcutGating,
    SmallMapConv,
    Squashing,
    StochasticAddition,
    Weighting,
    ZeroPadding,
)
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Cat, Chain, Convolution, Excitation, Pooling, Seq, padded
from reslab.nets.unit import Unit


@singledispatch
def build(node: Node, shape: Shape) -> nn.Module:
    """The module of a node that reads maps of a shape."""
    raise TypeError(f"no module for {type(node).__name__}")


@build.register(Seq)
@build.register(Chain)
def _(node: Seq | Chain, shape: Shape) -> nn.Module:
    parts = _parts(node, shape)
    return nn.Sequential(parts) if parts else nn.Identity()


@build.register
def _(node: Cat, shape: Shape) -> nn.Module:
    return Concatenation([build(branch, shape) for branch in node.branches])


@build.register
def _(node: Unit, shape: Shape) -> nn.Module:
    shared, residual = build(node.shared, shape), build(node.residual, shape)
    after = build(node.after, node.out(shape))
    if node.zero_last_bn:
        nn.init.zeros_([module for module in residual.modules() if isinstance(module, nn.BatchNorm2d)][-1].weight)
    if node.shortcut is None:
        return PlainUnit(shared, residual, after)
    return ResidualUnit(shared, build(node.shortcut, shape), residual, _merge(node, shape), after)


@build.register
def _(node: Excitation, shape: Shape) -> nn.Module:
    return ChannelScaling(build(node.factors(shape[0]), (shape[0], 1, 1)))


@build.register
def _(node: Convolution, shape: Shape) -> nn.Module:
    conv = node.conv
    kernel = (conv.kernel, conv.kernel) if isinstance(conv.kernel, int) else conv.kernel
    padding = padded(kernel[0], conv.padding), padded(kernel[1], conv.padding)
    # beside one another only where that was faster: of fewer channels or wider maps it is not
    small = conv.groups == 1 and shape[0] >= 64 and node.out(shape)[2] <= 4
    kind = SmallMapConv if small else nn.Conv2d
    return kind(shape[0], conv.width, kernel, conv.stride, padding, groups=conv.groups, bias=conv.bias)


@build.register
def _(node: Pooling, shape: Shape) -> nn.Module:
    pool = node.pool
    padding = padded(pool.kernel, pool.padding)
    match pool.what:
        case "max":
            return nn.MaxPool2d(pool.kernel, pool.stride, padding, ceil_mode=pool.ceil)
        case "average":
            return nn.AvgPool2d(pool.kernel, pool.stride, padding, pool.ceil, pool.counts_padding)
        case _:
            assert_never(pool.what)


@build.register
def _(node: AnyLeaf, shape: Shape) -> nn.Module:
    match node:
        case BN():
            return nn.BatchNorm2d(shape[0])
        case ReLU():
            return nn.ReLU()
        case LRN():
            # torch divides alpha by the number of channels summed over, AlexNet does not
            return ResponseNorm(size=5, alpha=5 * 1e-4, beta=0.75, k=2)
        case Squash():
            return Squashing()
        case Bias():
            return Shift()
        case Scale():
            return Multiplication()
        case Dropout(p=p):
            return nn.Dropout(p)
        case Flatten():
            return nn.Flatten()
        case GlobalPool():
            return GlobalAverage()
        case Linear(width=width):
            return nn.Linear(shape[0], width)
        case ZeroPad(width=width, stride=stride):
            return ZeroPadding(width, stride)
        case _:
            assert_never(node)


def _merge(unit: Unit, shape: Shape) -> nn.Module:
    match unit.merge:
        case merges.Add():
            return Addition()
        case merges.Scaled(shortcut=shortcut, residual=residual):
            return Scaling(shortcut, residual)
        case merges.Gated(bias=bias, exclusive=exclusive):
            gate = build(unit.merge.gate_node(unit.out(shape)[0], unit.stride), shape)
            return ExclusiveGating(gate, bias) if exclusive else ShortcutGating(gate, bias)
        case merges.Dropped(p=p, inverted=inverted):
            return ShortcutDropout(p, inverted)
        case merges.Weighted(start=start, learned=learned):
            width = unit.out(shape)[0]
            return Weighting(start, unit.merge.shape(width)) if learned else Scaling(1.0, start)
        case merges.StochasticDepth(last=survival):
            return StochasticAddition(survival)
        case _:
            assert_never(unit.merge)


def _parts(node: Seq | Chain, shape: Shape) -> OrderedDict[str, nn.Module]:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in node.named():
        parts[name] = build(part, shape)
        shape = part.out(shape)
    return parts


def build_network(spec: NetworkSpec) -> Network:
    """A network with fresh weights: He's normal initialisation (fan-in), zero biases, BN at 1 and 0. A sec. 3.4.

    The bias of a gate starts at its merge's, C sec. 3.1; with Fixup the residuals start as `_fix_up` has them.
    """
    auxiliaries = [(path, build(chain, shape)) for path, shape, chain in spec.auxiliaries()]
    network = Network(spec, _parts(spec.plan(), spec.input), auxiliaries)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:  # there it imports torch._dynamo
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = spec.bn_eps
        if isinstance(module, Gating):
            last = [layer for layer in module.gate.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)][-1]
            nn.init.constant_(last.bias, module.bias)  # type: ignore[arg-type]
    if spec.initialisation == "fixup":
        _fix_up(network)
    return network


@torch.no_grad()
def _fix_up(network: Network) -> None:
    """Fixup: every residual's last convolution and the classifier at 0, its others times L^(-1 / (2m - 2)).

    L is the number of residuals, m that of a residual's convolutions. Zhang et al. 2019, sec. 3.2.
    """
    residuals = [module.residual for module in network.modules() if isinstance(module, ResidualUnit)]
    for residual in residuals:
        *others, last = [layer for layer in residual.children() if isinstance(layer, nn.Conv2d)]
        for conv in others:
            conv.weight *= len(residuals) ** (-1 / (2 * len(others)))
        nn.init.zeros_(last.weight)
    nn.init.zeros_(network.get_submodule("head.linear").weight)  # type: ignore[arg-type]
