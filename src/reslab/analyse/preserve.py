"""Looking inside a network without changing it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

Mode = Literal["eval", "train"]
"""Whether BN takes its running statistics, or those of each batch, as in training."""

Told = Callable[[float], None]
"""Hears which share of the work is done."""


@contextmanager
def preserve_state(network: nn.Module, mode: Mode, seed: int = 0) -> Iterator[None]:
    """A network in a mode; when this ends its modes, buffers and gradients, and torch's generators, are as before.

    What is random in between, as in dropout, follows from the seed.
    """
    modes = {module: module.training for module in network.modules()}
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        network.train(mode == "train")
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            for module, training in modes.items():
                module.training = training


@contextmanager
def outputs(modules: Mapping[str, nn.Module], told: Callable[[str, Tensor], None]) -> Iterator[None]:
    """While this is entered, each of the modules tells its output, with its name, whenever it computes it."""

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, given, output: told(name, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(hook(name)).remove)
        yield
