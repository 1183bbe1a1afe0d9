"""Fashion-MNIST in its official IDX files. Xiao, Rasul, Vollgraf 2017.

An IDX file is two zero bytes, the type of its values (8: unsigned byte), the number of its dimensions, their lengths
as big-endian 32-bit numbers, and the values.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reslab.data.archive import read_gzip
from reslab.data.images import DataSet, Images, MissingError
from reslab.errors import DataError

FOLDER = "fashion-mnist"
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_SIDE = 28
_COUNTS = {"train": 60_000, "t10k": 10_000}


def load_fashion(root: Path) -> DataSet:
    """60,000 training and 10,000 test images, grey, 28x28, from the official files, as they are or with .gz.

    Raises DataError naming the file that is missing or damaged.
    """
    folder = root / FOLDER
    train, test = _part(folder, "train"), _part(folder, "t10k")
    return DataSet("fashion-mnist", train, test, CLASSES)


def _part(folder: Path, part: str) -> Images:
    count = _COUNTS[part]
    pixels = _read(folder / f"{part}-images-idx3-ubyte", (count, _SIDE, _SIDE))
    path = folder / f"{part}-labels-idx1-ubyte"
    labels = _read(path, (count,)).astype(np.int64)
    if labels.max() >= len(CLASSES):
        raise DataError(f"{path}: has label {labels.max()}, labels go from 0 to {len(CLASSES) - 1}; get it anew")
    return Images(pixels[:, None], labels)


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    header = bytes((0, 0, 8, len(shape))) + b"".join(length.to_bytes(4, "big") for length in shape)
    length = len(header) + int(np.prod(shape))
    zipped = path.with_name(path.name + ".gz")
    if zipped.is_file():
        path, raw = zipped, read_gzip(zipped, length)
    elif path.is_file():
        if path.stat().st_size != length:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes, not {length:,}; get it anew")
        raw = path.read_bytes()
    else:
        raise MissingError(f"fashion-mnist: no {zipped}\n`reslab data get fashion-mnist` gets it")
    if raw[: len(header)] != header:
        raise DataError(f"{path}: not the IDX file of {' × '.join(map(str, shape))} bytes; get it anew")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape).copy()
