"""A network for inference: BN, and on a GPU ReLU and the addition of a unit, computed with the convolutions."""

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reslab.nets.modules import Addition, Network, ResidualUnit


def folded(network: Network) -> Network:
    """A copy in evaluation mode in which every BN directly after a convolution is folded into its weights.

    Its outputs are the same but for rounding; it cannot be trained.
    """
    copied = copy.deepcopy(network).eval()
    for chain in list(copied.modules()):
        if not isinstance(chain, nn.Sequential):
            continue
        for (name, part), (next_name, next_part) in pairwise(list(chain.named_children())):
            if isinstance(part, nn.Conv2d) and isinstance(next_part, nn.BatchNorm2d):
                chain.add_module(name, fuse_conv_bn_eval(part, next_part))
                chain.add_module(next_name, nn.Identity())
    return copied


def fuse_relu(network: nn.Module) -> None:
    """Compute ReLU after a convolution, and after the addition of a unit, in cuDNN's kernel of the convolution."""
    for part in list(network.modules()):
        if isinstance(part, nn.Sequential):
            for (name, conv), (next_name, relu) in pairwise(_working(part)):
                if isinstance(conv, nn.Conv2d) and isinstance(relu, nn.ReLU):
                    part.add_module(name, _ConvReLU(conv))
                    part.add_module(next_name, nn.Identity())
        elif isinstance(part, ResidualUnit) and isinstance(part.merge, Addition) and _is_relu(part.after):
            match isinstance(part.residual, nn.Sequential) and _working(part.residual):
                case [*_, (name, nn.Conv2d() as conv)]:
                    part.merge, part.after = _ConvAddReLU(conv), nn.Identity()
                    part.residual.add_module(name, nn.Identity())


def _working(chain: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules of a chain that are not the identity, by name."""
    return [(name, child) for name, child in chain.named_children() if not isinstance(child, nn.Identity)]


def _is_relu(after: nn.Module) -> bool:
    return [type(child) for child in after.children()] == [nn.ReLU]


class _ConvReLU(nn.Module):
    """ReLU(conv(x))."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv = conv
        self.how: Any = (conv.stride, conv.padding, conv.dilation, conv.groups)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cudnn_convolution_relu(x, self.conv.weight, self.conv.bias, *self.how)


class _ConvAddReLU(_ConvReLU):
    """ReLU(h(x) + conv(r)), r being the residual path up to its last convolution."""

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:  # type: ignore[override]
        return torch.cudnn_convolution_add_relu(residual, self.conv.weight, shortcut, 1.0, self.conv.bias, *self.how)
