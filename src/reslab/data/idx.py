"""MNIST and its kin in their official IDX files.

An IDX file is two zero bytes, the type of its values (8: unsigned byte), the number of its dimensions, their lengths
as big-endian 32-bit numbers, and the values.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reslab.data.archive import read_gzip
from reslab.data.download import Remote
from reslab.data.images import DataSet, Images, MissingError
from reslab.errors import DataError

_SIDE = 28
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class IdxSet(NamedTuple):
    """A data set of grey 28x28 images in four IDX files, in the folder of its name.

    files: length and MD5 of the .gz files: training images and labels, test images and labels
    counts: training and test images
    """

    classes: tuple[str, ...]
    url: str
    files: tuple[tuple[int, str], ...]
    counts: tuple[int, int] = (60_000, 10_000)

    def remotes(self, name: str) -> tuple[Remote, ...]:
        """The official files, for `reslab data get`."""
        rows = zip(_FILES, self.files, strict=True)
        return tuple(Remote(f"{self.url}{f}.gz", f"{name}/{f}.gz", length, f"md5:{md5}") for f, (length, md5) in rows)


FASHION_MNIST = IdxSet(  # Xiao, Rasul, Vollgraf 2017
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    (
        (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        (29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        (4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        (5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
)
KMNIST = IdxSet(  # Clanuwat et al. 2018, ten hiragana
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    (
        (18_165_135, "bdb82020997e1d708af4cf47b453dcf7"),
        (29_497, "e144d726b3acfaa3e44228e80efcd344"),
        (3_041_136, "5c965bf0a639b31b8f53240b1b52f4d7"),
        (5_120, "7320c461ea6c1c855c0b718fb2a4b134"),
    ),
)
MNIST = IdxSet(  # LeCun et al. 1998
    tuple("0123456789"),
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    (
        (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        (1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
)


def load_idx(name: str, files: IdxSet, root: Path) -> DataSet:
    """The training and test images from the official files, with or without .gz.

    Raises DataError naming the file that is missing or damaged.
    """
    splits = []
    for split, count in zip(("train", "t10k"), files.counts, strict=True):
        pixels = _read(root / name / f"{split}-images-idx3-ubyte", (count, _SIDE, _SIDE))
        path = root / name / f"{split}-labels-idx1-ubyte"
        labels = _read(path, (count,)).astype(np.int64)
        if labels.max() >= len(files.classes):
            raise DataError(
                f"{path}: has label {labels.max()}, labels go from 0 to {len(files.classes) - 1}; get it anew"
            )
        splits.append(Images(pixels[:, None], labels))
    return DataSet(name, splits[0], splits[1], files.classes)


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
        raise MissingError(f"{path.parent.name}: no {zipped}\n`reslab data get {path.parent.name}` gets it")
    if raw[: len(header)] != header:
        raise DataError(f"{path}: not the IDX file of {' × '.join(map(str, shape))} bytes; get it anew")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape).copy()
