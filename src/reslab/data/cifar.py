"""CIFAR-10 and CIFAR-100 in their official binary layout. Krizhevsky 2009.

A record is one byte (CIFAR-10) or two (CIFAR-100, coarse and fine) of label and 3,072 bytes of image: 1,024 red, 1,024
green, 1,024 blue, each row by row.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reslab.data.archive import read_tar
from reslab.data.images import DataSet, Images, MissingError
from reslab.errors import DataError

_PIXELS = 3 * 32 * 32
_NAMES = 4096  # bytes that the class names may take


class Layout(NamedTuple):
    """Where one of the two sets lies and how its records look."""

    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int
    classes: int
    records: tuple[int, int]
    """Records of one training file and of the test file."""

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.label_bytes + _PIXELS


CIFAR10 = Layout(
    archive="cifar-10-binary.tar.gz",
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    names="batches.meta.txt",
    label_bytes=1,
    classes=10,
    records=(10_000, 10_000),
)
CIFAR100 = Layout(
    archive="cifar-100-binary.tar.gz",
    folder="cifar-100-binary",
    train=("train.bin",),
    test="test.bin",
    names="fine_label_names.txt",
    label_bytes=2,
    classes=100,
    records=(50_000, 10_000),
)


def load_cifar(name: str, layout: Layout, root: Path) -> DataSet:
    """The whole set from its folder under `root`, or from the official archive there, which is read unextracted.

    The label is the fine one, the last label byte. Raises DataError naming the file: missing, of another length than
    the official one, a label out of range, or classes that are not equally many.
    """
    folder, archive = root / layout.folder, root / layout.archive
    lengths = dict.fromkeys(layout.train, layout.records[0] * layout.record)
    lengths |= {layout.test: layout.records[1] * layout.record, layout.names: _NAMES}
    if folder.is_dir():
        contents = {file: _content(folder / file, length) for file, length in lengths.items()}
        where = str(folder)
    elif archive.is_file():
        inside = read_tar(archive, {f"{layout.folder}/{file}": length for file, length in lengths.items()})
        contents = {name.rpartition("/")[2]: content for name, content in inside.items()}
        where = f"{archive}: {layout.folder}"
    else:
        raise MissingError(_missing(name, layout, root))
    parts = [_read(contents[file], f"{where}/{file}", layout, layout.records[0]) for file in layout.train]
    train = Images(np.concatenate([part.pixels for part in parts]), np.concatenate([part.labels for part in parts]))
    test = _read(contents[layout.test], f"{where}/{layout.test}", layout, layout.records[1])
    for images, files in ((train, ", ".join(layout.train)), (test, layout.test)):
        _check_balance(images, layout.classes, f"{where}: {files}")
    return DataSet(name, train, test, _names(contents[layout.names], f"{where}/{layout.names}", layout.classes))


def _missing(name: str, layout: Layout, root: Path) -> str:
    told = f"{name}: no {root / layout.archive} and no folder {layout.folder} beside\n"
    pickled = layout.archive.replace("binary", "python")
    if (root / pickled).exists() or (root / layout.folder.replace("-bin", "-py")).is_dir():
        return told + f"{pickled} is pickled and never read; `reslab data get {name}` gets the binary one"
    return told + f"`reslab data get {name}` gets it, RESLAB_DATA says where it lies"


def _content(path: Path, length: int) -> bytes:
    try:
        if path.stat().st_size > length:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes, expected {length:,}; get it anew")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def _read(content: bytes, where: str, layout: Layout, records: int) -> Images:
    if len(content) != records * layout.record:
        raise DataError(
            f"{where}: {len(content):,} bytes, but {records:,} records of {layout.record:,} make "
            f"{records * layout.record:,}; get it anew"
        )
    raw = np.frombuffer(content, dtype=np.uint8).reshape(records, layout.record)
    labels = raw[:, layout.label_bytes - 1].astype(np.int64)
    wrong = np.flatnonzero(labels >= layout.classes)
    if len(wrong):
        raise DataError(
            f"{where}: record {wrong[0]} has label {labels[wrong[0]]}, labels go from 0 to {layout.classes - 1}"
        )
    return Images(np.ascontiguousarray(raw[:, layout.label_bytes :]).reshape(records, 3, 32, 32), labels)


def _check_balance(images: Images, classes: int, where: str) -> None:
    counts = np.bincount(images.labels, minlength=classes)
    if counts.min() != counts.max():
        raise DataError(
            f"{where}: {counts.min():,} to {counts.max():,} images of a class, the official set has equally many of "
            "each; the labels are damaged"
        )


def _names(content: bytes, where: str, classes: int) -> tuple[str, ...]:
    try:
        names = tuple(content.decode().split())
    except UnicodeDecodeError:
        raise DataError(f"{where}: not a text of class names") from None
    if len(names) != classes:
        raise DataError(f"{where}: {len(names)} class names, expected {classes}")
    return names
