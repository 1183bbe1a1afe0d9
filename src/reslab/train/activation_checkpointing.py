"""Activations that are computed again on the way back, so that deep networks fit into little memory."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reslab.errors import SpecError
from reslab.nets.modules import Network


class CheckpointedStage(nn.Sequential):
    """Units one after another, of which only every group's input is kept until its gradient is asked for.

    Neither gradients nor BN statistics are other than without it: the second time BN's statistics stand still, and
    what is dropped is the same.
    """

    def __init__(self, units: "OrderedDict[str, nn.Module]", group: int):
        super().__init__(units)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        units = list(self)
        for start in range(0, len(units), self.group):
            group = units[start : start + self.group]
            x = _again(group, x) if self.training else _through(group, x)
        return x


def _through(units: list[nn.Module], x: Tensor) -> Tensor:
    for unit in units:
        x = unit(x)
    return x


def _again(units: list[nn.Module], x: Tensor) -> Tensor:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_stand_still(units)

    return checkpoint(_through, units, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def _statistics_stand_still(units: list[nn.Module]) -> Iterator[None]:
    norms = [module for unit in units for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]
    held = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, held, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def recompute(network: Network, group: int) -> None:
    """Let every stage of a network keep only the input of each `group` of its units.

    Raises SpecError for a network with auxiliary classifiers, which read in the middle of a group.
    """
    if network.auxiliary_after:
        raise SpecError("--recompute: not for a network with auxiliary classifiers; auxiliary=() leaves them out")
    for name, part in list(network.named_children()):
        if isinstance(part, nn.Sequential) and name.startswith("stage"):
            setattr(network, name, CheckpointedStage(OrderedDict(part.named_children()), group))
