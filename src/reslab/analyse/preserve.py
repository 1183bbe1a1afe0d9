"""Reading a network's values without changing it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

Mode = Literal["eval", "train"]
"""Whether BN uses its running statistics, or those of each batch, as in training."""

Progress = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""


def silent(share: float) -> None:
    """Progress that is not shown."""


def subtask(progress: Progress, index: int, count: int) -> Progress:
    """Progress of subtask `index` of `count` equal ones."""
    return lambda share: progress((index + share) / count)


@contextmanager
def preserve_state(network: nn.Module, mode: Mode, seed: int = 0) -> Iterator[None]:
    """Set a network's mode; on exit restore its modes, buffers and torch's random generators.

    seed: of torch's generators in between, which dropout uses
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
def outputs(modules: Mapping[str, nn.Module], receive: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Forward hooks that call `receive` with each module's name and output; removed on exit."""

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, args, output: receive(name, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(hook(name)).remove)
        yield
