"""Colour augmentation as values; random numbers are arguments."""

from itertools import permutations
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from pydantic import Field, PositiveFloat

from reslab.spec import kind, spec

_VALUES = np.array([0.2175, 0.0188, 0.0045])
_VECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_ORDERS = tuple(permutations(range(3)))
_ENHANCE = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@spec
class Lighting:
    """PCA lighting noise: along each principal component of ImageNet's colours, N(0, sigma) times its eigenvalue.

    AlexNet sec. 4.1; eigenvalues and vectors (of colours in 0..1) are those of fb.resnet.torch. Results are
    rounded and clipped to 0..255.
    """

    sigma: PositiveFloat = 0.1
    kind: Literal["lighting"] = kind("lighting")

    def __call__(self, picture: Image.Image, uniforms: NDArray[np.float64]) -> Image.Image:
        """The changed picture; the last three uniform numbers are turned into normal ones."""
        from scipy.special import ndtri  # slow to import, and only needed here

        shift = 255 * _VECTORS @ (self.sigma * ndtri(uniforms[-3:]) * _VALUES)
        levels = np.arange(256)[None] + shift[:, None]
        return picture.point(np.clip(np.round(levels), 0, 255).astype(int).ravel().tolist())


@spec
class Photometric:
    """Brightness, contrast and colour by random factors from 1 - `strength` to 1 + `strength`, in random order.

    Howard 2013 sec. 2, which GoogLeNet sec. 6 cites: factors 0.5 to 1.5.
    """

    strength: Annotated[float, Field(gt=0, le=1)] = 0.5
    kind: Literal["photometric"] = kind("photometric")

    def __call__(self, picture: Image.Image, uniforms: NDArray[np.float64]) -> Image.Image:
        """The changed picture; the last four uniform numbers are three factors and the order."""
        *factors, order = uniforms[-4:]
        for index in _ORDERS[int(order * len(_ORDERS))]:
            picture = _ENHANCE[index](picture).enhance(1 + self.strength * (2 * float(factors[index]) - 1))
        return picture


Colour = Annotated[Lighting | Photometric, Field(discriminator="kind")]
