"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): heat maps of a class, and overlays on the picture."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.disk import shortened, write_whole
from reslab.nets.modules import Network

_SIDE = 224  # pixels; smaller pictures are enlarged, each pixel as a square
_COLOURS = "turbo"
_OPACITY = 0.5


def heat(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM heat maps of a class of each image, 0 to 1: (N, C, H, W), (N,) -> (N, H, W).

    relu(sum over k of a_k A_k), eqs. 1 and 2: A_k are the last maps of more than one pixel, at the input of the head's
    average or flattening, and a_k is the mean over the map of the derivative of the class's logit by A_k. The map is
    resized to the images' size and divided by its maximum; all zero if no place supports the class.
    The network is in evaluation mode.
    """
    layers = _layers(network)
    x, maps, depth = images, images, 0
    with torch.no_grad():
        for index, layer in enumerate(layers, 1):
            x = layer(x)
            if x.dim() == 4 and x.shape[2] * x.shape[3] > 1:
                maps, depth = x, index
    maps = maps.detach().requires_grad_()
    logits = maps
    with torch.enable_grad():
        for layer in layers[depth:]:
            logits = layer(logits)
        chosen = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, maps)
    weights = gradient.mean((2, 3), keepdim=True)
    heat_maps = F.relu((weights * maps.detach()).sum(1, keepdim=True))
    heat_maps = F.interpolate(heat_maps, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    largest = heat_maps.amax((1, 2), keepdim=True)
    return heat_maps / torch.where(largest > 0, largest, torch.ones_like(largest))


def _layers(network: Network) -> list[nn.Module]:
    """The network's parts in order, the head as its layers."""
    *body, head = (getattr(network, name) for name in network.part_names)
    return [*body, *head.children()]


def overlay(pixels: NDArray[np.uint8], heat_map: NDArray[np.float32]) -> Image.Image:
    """A picture, (C, H, W) bytes, blended with the colours of its heat map, (H, W)."""
    colours = mpl.colormaps[_COLOURS](heat_map)[..., :3] * 255
    picture = np.broadcast_to(pixels.transpose(1, 2, 0), colours.shape)
    mixed = np.round((1 - _OPACITY) * picture + _OPACITY * colours).astype(np.uint8)
    factor = -(-_SIDE // min(mixed.shape[:2]))
    return Image.fromarray(mixed.repeat(factor, 0).repeat(factor, 1))


def overlay_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """The paths of the pictures' overlays in a folder: cat-cam.png for cat.jpg.

    Pictures of the same name get numbers (cat-2-cam.png), and no overlay has the path of one of the pictures.
    """
    taken = {_folded(file) for file in files}
    paths = []
    for file in files:
        stem = shortened(file.stem)
        path, number = folder / f"{stem}-cam.png", 1
        while _folded(path) in taken:
            number += 1
            path = folder / f"{stem}-{number}-cam.png"
        taken.add(_folded(path))
        paths.append(path)
    return paths


def _folded(path: Path) -> str:
    """A key equal for paths that may be one file, also on file systems that ignore case."""
    return str(path.resolve()).casefold()


def save_overlay(picture: Image.Image, path: Path) -> None:
    """Write a PNG file atomically. Raises OSError naming it."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
