"""CIFAR-10 and CIFAR-100 in their official binary layout. Krizhevsky 2009.

A record is one byte (CIFAR-10) or two (CIFAR-100, coarse and fine) of label and 3,072 bytes of image: 1,024 red, 1,024
green, 1,024 blue, each row by row.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reslab.data.images import DataSet, Images
from reslab.errors import DataError

_PIXELS = 3 * 32 * 32


class Layout(NamedTuple):
    """Where one of the two sets lies and how its records look."""

    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int
    classes: int
    records: tuple[int, int]
    """Records of one training file and of the test file."""


CIFAR10 = Layout(
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    names="batches.meta.txt",
    label_bytes=1,
    classes=10,
    records=(10_000, 10_000),
)
CIFAR100 = Layout(
    folder="cifar-100-binary",
    train=("train.bin",),
    test="test.bin",
    names="fine_label_names.txt",
    label_bytes=2,
    classes=100,
    records=(50_000, 10_000),
)


def load_cifar(name: str, layout: Layout, root: Path) -> DataSet:
    """The whole set from its folder under `root`. The label is the fine one, the last label byte.

    Raises DataError naming the file: missing, of another length than the official one, a label out of range, or
    classes that are not equally many.
    """
    folder = root / layout.folder
    if not folder.is_dir():
        raise DataError(
            f"{name}: no folder {folder}\n"
            f"extract the official binary archive ({layout.folder}) there, or set RESLAB_DATA to where it lies"
        )
    parts = [_read(folder / file, layout, layout.records[0]) for file in layout.train]
    train = Images(np.concatenate([part.pixels for part in parts]), np.concatenate([part.labels for part in parts]))
    test = _read(folder / layout.test, layout, layout.records[1])
    for images, where in ((train, ", ".join(layout.train)), (test, layout.test)):
        _check_balance(images, layout.classes, f"{folder}: {where}")
    return DataSet(name, train, test, _names(folder / layout.names, layout.classes))


def _read(path: Path, layout: Layout, records: int) -> Images:
    length = layout.label_bytes + _PIXELS
    try:
        size = path.stat().st_size
        if size != records * length:
            raise DataError(
                f"{path}: {size:,} bytes, but {records:,} records of {length:,} make {records * length:,}; get it anew"
            )
        raw = np.fromfile(path, dtype=np.uint8).reshape(records, length)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    labels = raw[:, layout.label_bytes - 1].astype(np.int64)
    wrong = np.flatnonzero(labels >= layout.classes)
    if len(wrong):
        raise DataError(
            f"{path}: record {wrong[0]} has label {labels[wrong[0]]}, labels go from 0 to {layout.classes - 1}"
        )
    return Images(np.ascontiguousarray(raw[:, layout.label_bytes :]).reshape(records, 3, 32, 32), labels)


def _check_balance(images: Images, classes: int, where: str) -> None:
    counts = np.bincount(images.labels, minlength=classes)
    if counts.min() != counts.max():
        raise DataError(
            f"{where}: {counts.min():,} to {counts.max():,} images of a class, the official set has equally many of "
            "each; the labels are damaged"
        )


def _names(path: Path, classes: int) -> tuple[str, ...]:
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text of class names") from None
    if len(names) != classes:
        raise DataError(f"{path}: {len(names)} class names, expected {classes}")
    return names
