"""How far what runs a network is from the network itself."""

import torch
from torch import Tensor, nn

from reslab.errors import ReslabError
from reslab.machine import without_tf32
from reslab.nets.modules import Network

TOLERATED = 1e-4
"""Of the largest output: what rounding makes in float32."""
BATCHES = (1, 2, 7)


@torch.inference_mode()
def difference(network: Network, other: nn.Module, images: Tensor) -> float:
    """The largest difference of two modules' outputs for the same images, relative to the network's largest output.

    On a GPU without TF32, whose ten bits would hide an error behind their own rounding.
    """
    with without_tf32():
        expected = network(images)
        return float((other(images) - expected).abs().max() / expected.abs().max())


def must_agree(network: Network, other: nn.Module, told: str) -> float:
    """Hold what was exported against the network in evaluation mode, on images drawn from a normal distribution.

    Returns the largest difference of batches of 1, 2 and 7 images. Raises ReslabError where it is more than rounding.
    """
    draws = torch.Generator().manual_seed(0)
    place = next(network.parameters()).device
    worst = 0.0
    for batch in BATCHES:
        images = torch.randn(batch, *network.spec.input, generator=draws).to(place)
        found = difference(network, other, images)
        if not found <= TOLERATED:
            raise ReslabError(
                f"{told} differs from the network by {found:.1e} of the largest output at batch {batch}\n"
                f"at most {TOLERATED:g} is rounding; nothing was written"
            )
        worst = max(worst, found)
    return worst
