"""Agreement of another module's outputs with the network's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reslab.errors import ReslabError
from reslab.machine import without_tf32
from reslab.nets.modules import Network

TOLERANCE = 1e-4
"""The largest difference that rounding in float32 makes, relative to the largest output."""
BATCHES = (1, 2, 7)


@torch.inference_mode()
def difference(network: Network, other: nn.Module, images: Tensor) -> float:
    """The largest difference of two modules' outputs for the same images, relative to the network's largest output.

    On a GPU without TF32, whose 10-bit mantissa would hide errors.
    """
    with without_tf32():
        expected = network(images)
        return float((other(images) - expected).abs().max() / expected.abs().max())


def must_agree(network: Network, other: nn.Module, name: str, sizes: Sequence[tuple[int, int]] = ()) -> float:
    """The largest difference of an exported module, called `name`, from the network in evaluation mode.

    On batches of 1, 2 and 7 images drawn from a normal distribution, of each (height, width) in `sizes`; none is the
    network's own. Raises ReslabError if it is more than rounding.
    """
    draws = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    channels, *own = network.spec.input
    worst = 0.0
    for size in sizes or (own,):
        for batch in BATCHES:
            images = torch.randn(batch, channels, *size, generator=draws).to(device)
            largest = difference(network, other, images)
            if not largest <= TOLERANCE:
                raise ReslabError(
                    f"{name} differs from the network by {largest:.1e} of the largest output at batch {batch}\n"
                    f"at most {TOLERANCE:g} is rounding; nothing was written"
                )
            worst = max(worst, largest)
    return worst
