"""Crops as values and pure geometry; random numbers are arguments.

A box is (left, top, right, bottom) in the picture's own pixels, real numbers; it is cropped and resized to the
network's size in one resampling.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from reslab.data.colour import Colour, Lighting, Photometric
from reslab.errors import SpecError
from reslab.spec import kind, spec

_CROP = 224  # pixels; the papers' lengths are for crops of this size
Uniforms = NDArray[np.float64]
UNIFORMS = 48  # random numbers in 0..1 for each image; crops take the first ones, colours the last
_TRIES = 10  # of an Inception crop


class View(NamedTuple):
    """A box of a picture, and whether it is mirrored."""

    box: tuple[float, float, float, float]
    mirror: bool


@spec
class PadCropFlip:
    """Zeros of `pad` pixels on each side, a random crop of the old size and, with `flip`, a mirror image half the
    time. A sec. 4.2. For data sets in memory.
    """

    pad: PositiveInt = 4
    flip: bool = True
    kind: Literal["pad-crop-flip"] = kind("pad-crop-flip")


@spec
class ScaleJitter:
    """The shorter side resized to a random length in `shorter`, a random crop, mirrored half the time. A sec. 3.4.

    shorter: least and greatest length in pixels for crops of 224, in proportion for crops of another size; A takes 256
    to 480
    colour: colour augmentation, in A that of AlexNet; None for none
    """

    shorter: tuple[PositiveInt, PositiveInt] = (256, 480)
    colour: Colour | None = Lighting()
    kind: Literal["scale-jitter"] = kind("scale-jitter")

    def __post_init__(self) -> None:
        if not _CROP <= self.shorter[0] <= self.shorter[1]:
            raise SpecError(f"augment.shorter {list(self.shorter)}: from at least {_CROP} up, for example [256, 480]")

    def view(self, width: int, height: int, uniforms: Uniforms) -> View:
        low, high = self.shorter
        shorter = low + math.floor(uniforms[0] * (high - low + 1))
        side = _CROP / shorter * min(width, height)
        left, top = uniforms[1] * (width - side), uniforms[2] * (height - side)
        return View((left, top, left + side, top + side), uniforms[3] < 0.5)


@spec
class InceptionCrop:
    """Random resized crop: a uniform share of the picture's area and a uniform aspect, mirrored half the time.

    GoogLeNet sec. 6: area 8 to 100 %, aspect 3/4 to 4/3 (width by height), with photometric distortions. If ten tries
    do not fit into the picture, the largest square in its middle is taken.
    """

    area: tuple[PositiveFloat, Annotated[float, Field(gt=0, le=1)]] = (0.08, 1.0)
    aspect: tuple[PositiveFloat, PositiveFloat] = (3 / 4, 4 / 3)
    colour: Colour | None = Photometric()
    kind: Literal["inception-crop"] = kind("inception-crop")

    def __post_init__(self) -> None:
        for name, bounds in (("area", self.area), ("aspect", self.aspect)):
            if bounds[0] > bounds[1]:
                raise SpecError(f"augment.{name} {list(bounds)}: the first is the least")

    def view(self, width: int, height: int, uniforms: Uniforms) -> View:
        mirror = uniforms[0] < 0.5
        for share, shape, x, y in uniforms[1 : 1 + 4 * _TRIES].reshape(-1, 4):
            area = width * height * _between(self.area, share)
            aspect = _between(self.aspect, shape)
            w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
            if w <= width and h <= height:
                left, top = x * (width - w), y * (height - h)
                return View((left, top, left + w, top + h), mirror)
        return View(_within((0.0, 0.0, float(width), float(height)), 1.0, 0.5, 0.5), mirror)


PictureCrop = ScaleJitter | InceptionCrop
Augment = Annotated[PadCropFlip | PictureCrop, Field(discriminator="kind")]


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


Crops = Literal[1, 10, 144]
SCALES = (256, 288, 320, 352)
"""The shorter sides, for crops of 224, that the 144 crops are taken at. GoogLeNet sec. 7."""
MIDDLE = _CROP / SCALES[0]
"""The side of the center crop as a share of the picture's shorter side."""


EvalCrop = Literal["center", "square"]


def views(crops: Crops, width: int, height: int, crop: EvalCrop = "center") -> Sequence[View]:
    """The crops of a test picture; their probabilities are averaged.

    1: the center crop, 224 of a shorter side of 256, or with "square" all of the shorter side, for networks trained on
    whole images. All lengths are in proportion.
    10: the corners and the center at that scale, and their mirror images. A sec. 3.4.
    144: at 4 scales, the left, middle and right square (top, middle, bottom of a tall picture), in each the corner and
    center crops and the whole square, all mirrored too. GoogLeNet sec. 7.
    """
    outer = (0.0, 0.0, float(width), float(height))
    if crops == 1:
        return [View(_within(outer, MIDDLE if crop == "center" else 1.0, 0.5, 0.5), False)]
    boxes: list[Box] = []
    if crops == 10:
        boxes = _corners_and_middle(outer, MIDDLE)
    else:
        for scale in SCALES:
            for place in (0.0, 0.5, 1.0):
                square = _within(outer, 1.0, place, place)
                boxes += [*_corners_and_middle(square, _CROP / scale), square]
    return [View(box, mirror) for box in boxes for mirror in (False, True)]


Box = tuple[float, float, float, float]


def _within(outer: Box, share: float, x: float, y: float) -> Box:
    """A square inside a box: its side a share of the shorter side, its position 0 to 1 along both."""
    width, height = outer[2] - outer[0], outer[3] - outer[1]
    side = share * min(width, height)
    left, top = outer[0] + x * (width - side), outer[1] + y * (height - side)
    return left, top, left + side, top + side


def _corners_and_middle(outer: Box, share: float) -> list[Box]:
    places = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5)]
    return [_within(outer, share, x, y) for x, y in places]
