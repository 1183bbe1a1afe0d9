"""The running average of a network's weights. B sec. 4."""

from copy import deepcopy

import torch

from reslab.nets.modules import Network


class EMA:
    """A copy of a network whose weights and BN statistics follow it: a = d a + (1 - d) w behind each step.

    d is `decay`, and at step n (from 0) at most (1 + n) / (10 + n), as TensorFlow has it, so that the first weights are
    soon forgotten.
    """

    def __init__(self, network: Network, decay: float):
        self.network = deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        real = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in real], [now for _, now in real], weight)
        for mean, now in pairs:
            if not mean.is_floating_point():
                mean.copy_(now)
