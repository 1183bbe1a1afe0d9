"""Exponential moving average of the weights. B sec. 4."""

from copy import deepcopy

import torch

from reslab.nets.modules import Network


class EMA:
    """A copy of a network, its weights and BN statistics averaged: a = d a + (1 - d) w after each step.

    d is `decay`, and at step n (from 0) at most (1 + n) / (10 + n), as in TensorFlow, so that the first weights are
    soon forgotten. (torch's AveragedModel begins with the weights after the first step instead.)
    """

    def __init__(self, network: Network, decay: float):
        self.network = deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([average for average, _ in floats], [value for _, value in floats], weight)
        for average, value in pairs:
            if not average.is_floating_point():
                average.copy_(value)
