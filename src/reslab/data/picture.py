"""A picture file, opened with care, upright and in RGB."""

import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
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
_SMALL = 32  # pixels; a shorter side is reported
_LARGEST = 1 << 30  # pixels in a file
_LARGEST_DECODED = 1 << 28  # pixels in memory, of 4 bytes each; a JPEG is decoded at up to 1/8 of its sides
_LARGE = 1 << 26  # pixels; larger pictures are decoded one at a time
_ONE_LARGE = threading.Lock()
_NOT_READ = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # formats that need other programs, or hold no pixels
_SNIFFED = ("GIF", "JPEG", "PNG", "TIFF", "WEBP")  # formats recognised by their first bytes under any file ending

Image.MAX_IMAGE_PIXELS = None  # Pillow warns at 89 megapixels and refuses 179; `opened` has its own limits
warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged EXIF and the like, in lines that name no picture

CropFunction = Callable[[int, int], Sequence[View]]
"""The crops to take of a picture of a width and height."""


def shown(path: Path | str) -> str:
    """A file's name in a form that can be printed, whatever its bytes are."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


class PictureError(DataError):
    """A file that cannot be read as a picture, and why."""

    def __init__(self, path: Path, reason: str):
        self.file, self.reason = shown(path), reason
        super().__init__(f"{self.file}: {reason}")


@cache
def formats() -> tuple[str, ...]:
    """The formats that are read, in Pillow's names."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _NOT_READ)


@cache
def endings() -> tuple[str, ...]:
    """The file endings of those formats, in lower case."""
    return tuple(ending for ending, name in Image.registered_extensions().items() if name in formats())


def is_picture(path: str) -> bool:
    """Whether a regular file has a picture's ending, or the first bytes of a JPEG, PNG, GIF, TIFF or WebP file."""
    if path.lower().endswith(endings()):
        return True
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
    except OSError:
        return False
    accepts = (Image.OPEN[name][1] for name in _SNIFFED if name in Image.OPEN)
    return any(accept is not None and accept(start) is True for accept in accepts)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An open picture whose pixels are not read yet.

    Raises PictureError, also for what goes wrong while it is open: not a regular file, not a picture, truncated, or so
    large that it may be a decompression bomb.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PictureError(path, "not a regular file")
        with Image.open(path, formats=formats()) as picture:
            _check_pixels(picture, _LARGEST, path)
            yield picture
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(path, "a link to nothing" if path.is_symlink() else "no such file") from None
    except UnidentifiedImageError:
        raise PictureError(path, "not a picture" if path.stat().st_size else "empty") from None
    except MemoryError:
        raise PictureError(path, "does not fit into memory; scale it down") from None
    except Exception as error:  # a damaged file makes its decoder fail in many ways
        raise PictureError(path, f"damaged: {error or type(error).__name__}") from None


def _check_pixels(picture: Image.Image, limit: int, path: Path) -> None:
    if picture.width * picture.height > limit:
        size = f"{picture.width * picture.height // 10**6:,} megapixels, at most {limit // 10**6:,} are read"
        raise PictureError(path, f"{size}; scale it down, or it is a decompression bomb")


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation of the pixels, 1 to 8; 1 is upright."""
    try:
        turned = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return turned if turned in _TURNS else 1


def to_rgb(picture: Image.Image, path: Path) -> Image.Image:
    """A picture of any mode in RGB: 16 bits and floats are scaled, transparency is put on white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        low, high = values.min(), values.max()
        top = 255 if high <= 255 else 65535
        if picture.mode == "F" and high <= 1:  # as many write floats
            top = 1
        if not 0 <= low <= high <= top:  # nor NaN
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


def crop_and_resize(path: Path, crops: CropFunction, size: int) -> list[Image.Image]:
    """Crops of a picture, each size x size, upright and in RGB. Raises PictureError.

    JPEGs use Pillow's draft mode: DCT scaling to the smallest size at which no crop has to be enlarged.
    """
    with opened(path) as picture:
        if picture.format == "TIFF":  # Pillow turns TIFF files while it loads them, and removes the tag
            _check_pixels(picture, _LARGEST_DECODED, path)
            picture.load()
        turned = orientation(picture)
        width, height = picture.size[::-1] if turned in _SIDEWAYS else picture.size
        views = crops(width, height)
        shortest = min(min(box[2] - box[0], box[3] - box[1]) for box, _ in views)
        need = tuple(max(1, int(np.ceil(length * size / shortest))) for length in picture.size)
        picture.draft("RGB", need)  # type: ignore[arg-type]
        _check_pixels(picture, _LARGEST_DECODED, path)
        upright = _upright(picture, turned, path)
        scale = upright.width / width, upright.height / height
        return [_resized(upright, view, scale, size) for view in views]


def _upright(picture: Image.Image, turned: int, path: Path) -> Image.Image:
    if picture.width * picture.height > _LARGE:
        with _ONE_LARGE:
            upright = to_rgb(picture, path)
    else:
        upright = to_rgb(picture, path)
    for turn in _TURNS.get(turned, ()):
        upright = upright.transpose(turn)
    return upright


def _resized(picture: Image.Image, view: View, scale: tuple[float, float], size: int) -> Image.Image:
    left, top, right, bottom = view.box
    box = (
        max(0.0, left * scale[0]),
        max(0.0, top * scale[1]),
        min(float(picture.width), right * scale[0]),
        min(float(picture.height), bottom * scale[1]),
    )
    crop = picture.resize((size, size), Image.Resampling.BILINEAR, box)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.mirror else crop


def pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) -> (3, H, W) bytes."""
    return np.asarray(picture).transpose(2, 0, 1)


class PictureCheck(NamedTuple):
    """The state of a picture file: unreadable, unusual or neither, with the reason."""

    file: str
    bad: bool
    odd: bool
    reason: str


def check_picture(path: Path) -> PictureCheck:
    """Decode a whole picture and report what is wrong or unusual about it."""
    try:
        odd = ", ".join(_oddities(path))
    except PictureError as error:
        return PictureCheck(error.file, True, False, error.reason)
    return PictureCheck(shown(path), False, bool(odd), odd)


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
        if picture.width * picture.height > _LARGEST_DECODED:
            picture.draft("RGB", (1, 1))
        _check_pixels(picture, _LARGEST_DECODED, path)
        to_rgb(picture, path)
