"""Small networks and images for the tests of analyses."""

from pathlib import Path

import torch
from torch import nn

from reslab.nets import Conv
from reslab.nets.resnet import ResNet


def small(**fields):
    """Residual, of two stages of three units, on 8x8 images of three channels."""
    return ResNet(**{"units": (3, 3), "widths": (4, 8), "stem": Conv(4, 3), "size": 8, **fields})


def built(spec, seed=0):
    torch.manual_seed(seed)
    return spec.build().eval()


def batches(count=2, images=16, size=8, channels=3):
    draws = torch.Generator().manual_seed(1)
    return [
        (torch.randn(images, channels, size, size, generator=draws), torch.randint(10, (images,), generator=draws))
        for _ in range(count)
    ]


def without_residuals(network):
    """The network with every residual zero: the last weights of each are."""
    for name, module in network.named_modules():
        if name.endswith(".residual"):
            last = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)][-1]
            nn.init.zeros_(last.weight)
            if last.bias is not None:
                nn.init.zeros_(last.bias)
    return network


def described(kind):
    """The columns that docs/analyses.md describes for an analysis."""
    page = (Path(__file__).parents[2] / "docs" / "analyses.md").read_text()
    [section] = [part for part in page.split("\n## ") if part.startswith(f"{kind}\n")]
    cells = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    return {title for cell in cells for title in (cell, *cell.split(", "))}


class Unchanged:
    """Holds a network's values, modes, gradients and hooks and torch's generator against what they were."""

    def __init__(self, network):
        self.network = network
        network.train()
        network.head.eval()
        self.parameters = list(network.parameters())
        self.parameters[0].requires_grad_(False)
        self.slope = self.parameters[-1].grad = torch.ones_like(self.parameters[-1])
        network.stem.register_forward_hook(lambda *_: None)
        self.state = {key: value.clone() for key, value in network.state_dict().items()}
        self.modes = [module.training for module in network.modules()]
        self.hooks = self._hooks()
        self.random = torch.get_rng_state()

    def _hooks(self):
        return [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in self.network.modules()]

    def check(self):
        network = self.network
        assert list(map(id, network.parameters())) == list(map(id, self.parameters))
        assert all(torch.equal(value, self.state[key]) for key, value in network.state_dict().items())
        assert [module.training for module in network.modules()] == self.modes
        assert torch.equal(torch.get_rng_state(), self.random)
        assert self._hooks() == self.hooks
        assert [one.requires_grad for one in self.parameters] == [False, *[True] * (len(self.parameters) - 1)]
        assert all(parameter.grad is None for parameter in self.parameters[:-1])
        assert self.parameters[-1].grad is self.slope
        assert (self.slope == 1).all()
