"""Where a network looked: Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391)."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.disk import write_whole
from reslab.nets.modules import Network

_SHOWN = 224  # pixels; smaller pictures are shown larger, each pixel as a square
_COLOURS = "turbo"
_OPACITY = 0.5


def heat(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    """How much each place speaks for a class of each image, 0 to 1: (N, C, H, W), (N,) -> (N, H, W).

    relu(sum over k of a_k A_k), eqs. 1 and 2: A_k are the last maps of more than one pixel, which are those before the
    head's average or flattening, and a_k is the mean over the map of the derivative of the class's logit by them. It is
    brought to the images' size and divided by its maximum; all zero where no place speaks for the class.
    The network is in evaluation mode.
    """
    steps = _steps(network)
    x, maps, behind = images, images, 0
    with torch.no_grad():
        for index, step in enumerate(steps, 1):
            x = step(x)
            if x.dim() == 4 and x.shape[2] * x.shape[3] > 1:
                maps, behind = x, index
    maps = maps.detach().requires_grad_()
    logits = maps
    with torch.enable_grad():
        for step in steps[behind:]:
            logits = step(logits)
        chosen = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, maps)
    weights = gradient.mean((2, 3), keepdim=True)
    places = F.relu((weights * maps.detach()).sum(1, keepdim=True))
    places = F.interpolate(places, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    most = places.amax((1, 2), keepdim=True)
    return places / torch.where(most > 0, most, torch.ones_like(most))


def _steps(network: Network) -> list[nn.Module]:
    """The parts one after another, the head in its layers."""
    *body, head = (getattr(network, name) for name in network.part_names)
    return [*body, *head.children()]


def overlay(pixels: NDArray[np.uint8], places: NDArray[np.float32]) -> Image.Image:
    """A picture, (C, H, W) bytes, under the colours of what `heat` found in it, (H, W)."""
    colours = mpl.colormaps[_COLOURS](places)[..., :3] * 255
    picture = np.broadcast_to(pixels.transpose(1, 2, 0), colours.shape)
    mixed = np.round((1 - _OPACITY) * picture + _OPACITY * colours).astype(np.uint8)
    factor = -(-_SHOWN // min(mixed.shape[:2]))
    return Image.fromarray(mixed.repeat(factor, 0).repeat(factor, 1))


def save_overlay(picture: Image.Image, path: Path) -> None:
    """Write a PNG file, which replaces its forerunner whole. Raises OSError naming it."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
