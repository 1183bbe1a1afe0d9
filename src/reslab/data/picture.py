"""One picture file: opened with care, upright, in red, green and blue."""

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from reslab.data.crops import View
from reslab.errors import DataError

_ORIENTATION = 0x0112
_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_SIDEWAYS = (5, 6, 7, 8)
_SMALL = 32  # pixels; a shorter side is told of

Look = Callable[[int, int], Sequence[View]]
"""The views that are wanted of a picture of a width and height."""


def shown(path: Path | str) -> str:
    """A file's name as a message can print it, whatever its bytes are."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


class PictureError(DataError):
    """A file that cannot be read as a picture, and why."""

    def __init__(self, path: Path, reason: str):
        self.file, self.reason = shown(path), reason
        super().__init__(f"{self.file}: {reason}")


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An open picture whose pixels are not read yet.

    Raises PictureError, also for what goes wrong while it is open: not a regular file, not a picture, truncated, or so
    large that it may be a bomb.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PictureError(path, "not a regular file")
        with Image.open(path) as picture:
            yield picture
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(path, "a link to nothing" if path.is_symlink() else "no such file") from None
    except UnidentifiedImageError:
        raise PictureError(path, "not a picture" if path.stat().st_size else "empty") from None
    except Image.DecompressionBombError as error:
        raise PictureError(path, f"too many pixels, it may be a decompression bomb ({error})") from None
    except Exception as error:  # a damaged file makes its decoder fail in many ways
        raise PictureError(path, f"damaged: {error or type(error).__name__}") from None


def orientation(picture: Image.Image) -> int:
    """How the camera was held, 1 to 8; 1 is upright."""
    try:
        turned = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return turned if turned in _TURNS else 1


def coloured(picture: Image.Image, path: Path) -> Image.Image:
    """A picture of any mode in red, green and blue: 16 bits and floats are scaled, transparency lies on white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        low, high = values.min(), values.max()
        top = 255 if high <= 255 else 65535
        if picture.mode == "F" and high <= 1:  # as many write floats
            top = 1
        if low < 0 or high > top:
            raise PictureError(path, f"pixels from {low:g} to {high:g}, neither 8 nor 16 bits")
        return Image.fromarray(np.round(values * (255 / top)).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    if picture.mode == "RGB":
        picture.load()
        return picture  # `convert` would copy it
    return picture.convert("RGB")


def seen(path: Path, look: Look, size: int) -> list[Image.Image]:
    """The views of a picture, size x size, upright and in RGB. Raises PictureError.

    A JPEG is decoded at the smallest scale at which no view has to be enlarged by it.
    """
    with opened(path) as picture:
        turned = orientation(picture)
        width, height = picture.size[::-1] if turned in _SIDEWAYS else picture.size
        wanted = look(width, height)
        least = min(min(box[2] - box[0], box[3] - box[1]) for box, _ in wanted)
        need = tuple(max(1, int(np.ceil(length * size / least))) for length in picture.size)
        picture.draft("RGB", need)  # type: ignore[arg-type]
        upright = coloured(picture, path)
        for turn in _TURNS.get(turned, ()):
            upright = upright.transpose(turn)
        scale = upright.width / width, upright.height / height
        return [_cut(upright, view, scale, size) for view in wanted]


def _cut(picture: Image.Image, view: View, scale: tuple[float, float], size: int) -> Image.Image:
    left, top, right, bottom = view.box
    box = (
        max(0.0, left * scale[0]),
        max(0.0, top * scale[1]),
        min(float(picture.width), right * scale[0]),
        min(float(picture.height), bottom * scale[1]),
    )
    cut = picture.resize((size, size), Image.Resampling.BILINEAR, box)
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.mirror else cut


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) -> (3, H, W) bytes."""
    return np.asarray(picture).transpose(2, 0, 1)


class Finding(NamedTuple):
    """What there is to say about a file: whether it cannot be read, or is odd, and why."""

    file: str
    bad: bool
    odd: bool
    reason: str


def findings(path: Path) -> Finding:
    """Read all of a picture and say what is wrong or unusual about it."""
    try:
        odd = ", ".join(_oddities(path))
    except PictureError as error:
        return Finding(error.file, True, False, error.reason)
    return Finding(shown(path), False, bool(odd), odd)


def _oddities(path: Path) -> Iterator[str]:
    with opened(path) as picture:
        kind, mode = picture.format or "", picture.mode
        if mode in ("L", "1"):
            yield "grey"
        elif mode not in ("RGB", "P"):
            yield "16 bits" if mode.startswith("I;16") else f"mode {mode}"
        if "transparency" in picture.info:
            yield "transparent"
        if (turned := orientation(picture)) != 1:
            yield f"turned by EXIF ({turned})"
        if getattr(picture, "n_frames", 1) > 1:
            yield "several frames, the first is used"
        if Image.registered_extensions().get(path.suffix.lower()) not in (kind, None):
            yield f"a {kind} file by its content"
        if min(picture.size) < _SMALL:
            yield f"{picture.width}×{picture.height} pixels"
        coloured(picture, path)
