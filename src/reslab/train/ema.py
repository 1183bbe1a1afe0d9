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
        self._weight = torch.ones((), device=next(network.parameters()).device)  # 1 - d

    def set_step(self, step: int) -> None:
        """Set d to that of a step, in place."""
        self._weight.fill_(1 - min(self.decay, (1 + step) / (10 + step)))

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Take the weights after a step into the average."""
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        averages, values = [average for average, _ in floats], [value for _, value in floats]
        if self._weight.is_cuda:  # where _foreach_lerp_ with a tensor would be a kernel for each
            differences = torch._foreach_sub(values, averages)
            torch._foreach_mul_(differences, self._weight)
            torch._foreach_add_(averages, differences)
        else:
            torch._foreach_lerp_(averages, values, [self._weight] * len(averages))
        for average, value in pairs:
            if not average.is_floating_point():
                average.copy_(value)
