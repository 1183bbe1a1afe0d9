"""The modules that a recipe freezes."""

from torch import nn

from reslab.nets.modules import Network
from reslab.recipes.recipe import Recipe


def in_head(name: str) -> bool:
    """Whether a module or parameter is of the head or an auxiliary classifier; all others are the body."""
    return name.startswith(("head", "auxiliary"))


def freeze(network: Network, recipe: Recipe) -> list[nn.Module]:
    """Set requires_grad=False on frozen modules and return them, to be kept in eval mode."""
    frozen: list[nn.Module] = []
    if recipe.freeze == "body":
        frozen += [module for name, module in network.named_children() if not in_head(name)]
    if recipe.bn == "frozen":
        frozen += [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in frozen:
        module.requires_grad_(False)
    return frozen
