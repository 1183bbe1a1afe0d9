"""A network for inference, with BN folded into the convolutions."""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reslab.nets.modules import Network


def folded(network: Network) -> Network:
    """A copy in evaluation mode in which every BN directly after a convolution is folded into its weights.

    Its outputs are the same but for rounding; it cannot be trained.
    """
    copied = copy.deepcopy(network).eval()
    for chain in list(copied.modules()):
        if not isinstance(chain, nn.Sequential):
            continue
        for (name, part), (next_name, next_part) in pairwise(list(chain.named_children())):
            if isinstance(part, nn.Conv2d) and isinstance(next_part, nn.BatchNorm2d):
                chain.add_module(name, fuse_conv_bn_eval(part, next_part))
                chain.add_module(next_name, nn.Identity())
    return copied
