"""Activation (gradient) checkpointing over groups of units."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reslab.errors import SpecError
from reslab.nets.modules import Network


class CheckpointedStage(nn.Sequential):
    """A stage that stores only each group's input for the backward pass, which computes the group again.

    Gradients and BN statistics are those of the stage: the second forward pass updates no statistics, and drops the
    same values.
    """

    def __init__(self, units: "OrderedDict[str, nn.Module]", group: int):
        super().__init__(units)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        units = list(self)
        for start in range(0, len(units), self.group):
            group = units[start : start + self.group]
            x = _checkpointed(group, x) if self.training else _apply(group, x)
        return x


def _apply(units: list[nn.Module], x: Tensor) -> Tensor:
    for unit in units:
        x = unit(x)
    return x


def _checkpointed(units: list[nn.Module], x: Tensor) -> Tensor:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(units)

    return checkpoint(_apply, units, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def _frozen_statistics(units: list[nn.Module]) -> Iterator[None]:
    """Context manager: BN in training mode without updates of its running statistics."""
    norms = [module for unit in units for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, saved, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def checkpoint_activations(network: Network, group: int) -> None:
    """Checkpoint the activations of every stage, in groups of `group` units.

    Raises SpecError for a network with auxiliary classifiers, which read in the middle of a group.
    """
    if network.auxiliary_after:
        raise SpecError("--recompute: not for a network with auxiliary classifiers; auxiliary=() leaves them out")
    for name, stage in network.stages.items():
        setattr(network, name, CheckpointedStage(OrderedDict(stage.named_children()), group))
