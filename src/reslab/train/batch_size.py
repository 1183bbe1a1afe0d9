"""The least batch of a network: batch normalization takes its statistics from more than one value per channel."""

from functools import cache

import torch

from reslab.errors import SpecError
from reslab.nets.build import build_network
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe


def check_batch_size(network: NetworkSpec, recipe: Recipe, images: int) -> None:
    """Raise SpecError for a batch of one image if a map of 1x1 pixels is batch-normalized."""
    if images == 1 and recipe.bn != "frozen" and not _trains_on_one(network):
        raise SpecError(
            f"a batch of 1 image: batch normalization has one value per channel on a map of 1×1 pixels at size "
            f"{network.size}\n--set batch=2 or more (with --on-bad skip a batch may shrink to 1), or a larger size"
        )


def check_shares(recipe: Recipe, ranks: int) -> None:
    """Raise SpecError for a batch that leaves a rank without an image."""
    if recipe.batch < ranks:
        raise SpecError(
            f"a batch of {recipe.batch} on {ranks} ranks: each rank takes a share of every batch, and some would have "
            f"no image\n--set batch={ranks} or more, or fewer ranks"
        )


@cache
def _trains_on_one(network: NetworkSpec) -> bool:
    """Whether a forward pass in training mode takes a single image; computed without memory, on the meta device."""
    with torch.device("meta"):
        module = build_network(network).train()
        try:
            module(torch.empty(1, *network.input))
        except ValueError:  # of torch's batch normalization
            return False
    return True
