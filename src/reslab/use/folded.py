"""A network for inference alone: BN is a part of the convolution before it."""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reslab.nets.modules import Network


def folded(network: Network) -> Network:
    """A copy in evaluation mode, in which every BN directly behind a convolution has gone into its weights.

    It computes the same but for rounding, and cannot be trained.
    """
    copied = copy.deepcopy(network).eval()
    for chain in list(copied.modules()):
        if not isinstance(chain, nn.Sequential):
            continue
        parts = list(chain.named_children())
        for (name, part), (next_name, next_part) in pairwise(parts):
            if isinstance(part, nn.Conv2d) and isinstance(next_part, nn.BatchNorm2d):
                chain.add_module(name, fuse_conv_bn_eval(part, next_part))
                chain.add_module(next_name, nn.Identity())
    return copied
