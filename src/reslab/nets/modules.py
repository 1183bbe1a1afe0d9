"""The torch modules of networks."""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.nets.network import NetworkSpec


class Network(nn.Module):
    """A built network: the parts stem, stage1, stage2 ..., head, one after another. (N, C, H, W) -> (N, classes).

    `spec` is the value that it was built from. Auxiliary classifiers are further parts, auxiliary1, auxiliary2 ...,
    which `forward` does not use.
    """

    def __init__(
        self, spec: NetworkSpec, parts: dict[str, nn.Module], auxiliaries: list[tuple[str, nn.Module]]
    ) -> None:
        super().__init__()
        self.spec = spec
        self.part_names = tuple(parts)
        for name, part in parts.items():
            self.add_module(name, part)
        self.auxiliary_after = {path: f"auxiliary{index}" for index, (path, _) in enumerate(auxiliaries, 1)}
        for path, auxiliary in auxiliaries:
            self.add_module(self.auxiliary_after[path], auxiliary)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.part_names:
            x = getattr(self, name)(x)
        return x

    @property
    def stages(self) -> dict[str, nn.Sequential]:
        """The stages that are several modules in order, by name."""
        parts = {name: getattr(self, name) for name in self.spec.stage_names}
        return {name: part for name, part in parts.items() if isinstance(part, nn.Sequential)}

    def endpoints(self, x: Tensor) -> dict[str, Tensor]:
        """The output of each part by its name, the last one being the logits."""
        outputs = {}
        for name in self.part_names:
            x = outputs[name] = getattr(self, name)(x)
        return outputs

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and those of the auxiliary classifiers in the order of their depth. (N, classes) each."""
        aux_logits: list[Tensor] = []
        if not self.auxiliary_after:
            return self(x), aux_logits
        for name in self.part_names:
            part = getattr(self, name)
            blocks = part.named_children() if isinstance(part, nn.Sequential) else [("", part)]
            for block_name, block in blocks:
                x = block(x)
                if auxiliary := self.auxiliary_after.get(f"{name}.{block_name}"):
                    aux_logits.append(getattr(self, auxiliary)(x))
            if auxiliary := self.auxiliary_after.get(name):
                aux_logits.append(getattr(self, auxiliary)(x))
        return x, aux_logits


class SmallMapConv(nn.Conv2d):
    """A convolution of maps that are few pixels wide; on a processor the maps of a large batch lie side by side.

    Kernels for processors work along a map's width: they are up to eight times as slow on maps of 2x2 as on one wide
    map of all images, with zeros between them, whose sums are the same. One of 1x1 is a product of matrices.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting() or torch._C._get_tracing_state() or x.device.type != "cpu" or len(x) < 16:
            return super().forward(x)
        stride, padding = self.stride[1], cast(tuple[int, int], self.padding)[1]
        if self.kernel_size == (1, 1) and stride == 1:
            return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        images, _, _, width = x.shape
        pitch = -(-(width + padding) // stride)  # columns of the output from one map to the next
        side_by_side = F.pad(x.permute(2, 0, 3, 1), (0, 0, 0, pitch * stride - width)).flatten(1, 2)
        y = super().forward(side_by_side.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        if (missing := images * pitch - y.shape[1]) > 0:  # without padding the last map has no zeros after it
            y = F.pad(y, (0, 0, 0, missing))
        width = (width + 2 * padding - self.kernel_size[1]) // stride + 1
        maps = y[:, : images * pitch].reshape(len(y), images, pitch, -1)[:, :, :width]
        return maps.permute(1, 3, 0, 2).contiguous(memory_format=torch.channels_last)


class ResidualUnit(nn.Module):
    """y = h(x) + F(x), x' = f(y). C eqs. 1 and 2."""

    def __init__(
        self, shared: nn.Module, shortcut: nn.Module, residual: nn.Module, merge: nn.Module, after: nn.Module
    ) -> None:
        super().__init__()
        self.shared = shared
        self.shortcut = shortcut
        self.residual = residual
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


class Weighting(nn.Module):
    """h(x) + w * F(x), w being learned."""

    def __init__(self, start: float, shape: tuple[int, ...]):
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, start))

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        return shortcut + self.weight.to(residual.dtype) * residual


class StochasticAddition(nn.Module):
    """h(x) + b * F(x), b being 1 for a share `survival` of the batches, and their mean in evaluation."""

    def __init__(self, survival: float):
        super().__init__()
        self.survival = survival

    def forward(self, x: Tensor, shortcut: Tensor, residual: Tensor) -> Tensor:
        if not self.training:
            return shortcut + self.survival * residual
        return shortcut + (torch.rand(1, device=x.device) < self.survival) * residual

    def extra_repr(self) -> str:
        return f"survival={self.survival:g}"


class Gating(nn.Module, ABC):
    """A merge with a gate g(x) = sigmoid(gate(x)), whose last bias starts at `bias`. C sec. 3.1."""

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
        # torch's dropout divides the survivors by 1 - p in training; the factor undoes it
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
        if self.stride > 1:
            x = F.avg_pool2d(x, 1, self.stride)  # of one pixel each: a faster backward pass than a slice's
        return F.pad(x, (0, 0, 0, 0, 0, self.width - x.shape[1]))

    def extra_repr(self) -> str:
        return f"width={self.width}, stride={self.stride}"


class Concatenation(nn.Module):
    """branch1(x), branch2(x) ... concatenated along the channels."""

    def __init__(self, branches: list[nn.Module]):
        super().__init__()
        for index, branch in enumerate(branches, 1):
            self.add_module(f"branch{index}", branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class ChannelScaling(nn.Module):
    """x * sigmoid(factors(the mean of x over the map)). Hu et al. 2018, eqs. 2 to 4."""

    def __init__(self, factors: nn.Module):
        super().__init__()
        self.factors = factors

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.factors(x.mean((2, 3), keepdim=True)))


class Shift(nn.Module):
    """x + b, b being one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.to(x.dtype)


class Multiplication(nn.Module):
    """w * x, w being one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.to(x.dtype) * x


class Squashing(nn.Module):
    """1.7159 tanh(2 x / 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class ResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation in float32; torch has none in bfloat16.

    Maps are flattened to (N, C, H * W): on GPUs only that has a deterministic gradient.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float().flatten(2)).reshape(x.shape).to(x.dtype)


class GlobalAverage(nn.Module):
    """The mean over the map: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
