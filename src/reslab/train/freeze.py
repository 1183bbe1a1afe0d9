"""What of a network stays as it is while the rest learns."""

from torch import nn

from reslab.nets.modules import Network
from reslab.recipes.recipe import Recipe


def in_head(name: str) -> bool:
    """Whether a part or parameter is of the head or an auxiliary classifier; everything else is the body."""
    return name.startswith(("head", "auxiliary"))


def freeze(network: Network, recipe: Recipe) -> list[nn.Module]:
    """Take the gradients from what a recipe freezes; return the modules that stay in evaluation mode."""
    still: list[nn.Module] = []
    if recipe.freeze == "body":
        still += [part for name, part in network.named_children() if not in_head(name)]
    if recipe.bn == "frozen":
        still += [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in still:
        module.requires_grad_(False)
    return still
