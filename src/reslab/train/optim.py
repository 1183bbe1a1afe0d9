"""The optimizer of a recipe."""

import torch
from torch import nn

from reslab.train.recipe import Recipe


def sgd(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with momentum. Weights of convolutions and linear layers decay; biases and BN's scale and shift do not.

    The paper is read as fb.resnet.torch's authors read it, who say that the paper decays convolutions alone.
    """
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=recipe.schedule(0), momentum=recipe.momentum)
