"""Colour augmentation, as values: what is drawn comes in."""

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
    """Along each principal component of ImageNet's colours, a normal draw of `sigma` times its eigenvalue is added.

    AlexNet sec. 4.1; the eigenvalues and vectors (of colours in 0..1) are those of fb.resnet.torch. Sums are rounded
    and kept within 0..255.
    """

    sigma: PositiveFloat = 0.1
    kind: Literal["lighting"] = kind("lighting")

    def __call__(self, picture: Image.Image, draws: NDArray[np.float64]) -> Image.Image:
        """The changed picture; the last three of the draws from 0 to 1 make the normal ones."""
        from scipy.special import ndtri  # which reading pictures without it need not wait for

        shift = 255 * _VECTORS @ (self.sigma * ndtri(draws[-3:]) * _VALUES)
        levels = np.arange(256)[None] + shift[:, None]
        return picture.point(np.clip(np.round(levels), 0, 255).astype(int).ravel().tolist())


@spec
class Photometric:
    """Brightness, contrast and colour, each by a factor from 1 - `strength` to 1 + `strength`, in a drawn order.

    Howard 2013 sec. 2, which GoogLeNet sec. 6 cites: factors 0.5 to 1.5.
    """

    strength: Annotated[float, Field(gt=0, le=1)] = 0.5
    kind: Literal["photometric"] = kind("photometric")

    def __call__(self, picture: Image.Image, draws: NDArray[np.float64]) -> Image.Image:
        """The changed picture; the last four of the draws from 0 to 1 say how."""
        *factors, order = draws[-4:]
        for index in _ORDERS[int(order * len(_ORDERS))]:
            picture = _ENHANCE[index](picture).enhance(1 + self.strength * (2 * float(factors[index]) - 1))
        return picture


Colour = Annotated[Lighting | Photometric, Field(discriminator="kind")]
