"""Small networks and images for the tests of analyses."""

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


class Unchanged:
    """Holds a network's values, modes and hooks and torch's generator against what they were."""

    def __init__(self, network):
        self.network = network
        network.train()
        network.head.eval()
        self.state = {key: value.clone() for key, value in network.state_dict().items()}
        self.modes = [module.training for module in network.modules()]
        self.random = torch.get_rng_state()

    def check(self):
        network = self.network
        assert all(torch.equal(value, self.state[key]) for key, value in network.state_dict().items())
        assert [module.training for module in network.modules()] == self.modes
        assert torch.equal(torch.get_rng_state(), self.random)
        assert all(not module._forward_hooks for module in network.modules())
        assert all(parameter.grad is None for parameter in network.parameters())
