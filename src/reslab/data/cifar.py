"""CIFAR-10 and CIFAR-100 in their official binary files. Krizhevsky 2009.

A record is one byte (CIFAR-10) or two (CIFAR-100, coarse and fine) of label and 3,072 bytes of image: 1,024 red, 1,024
green, 1,024 blue, each row by row.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from reslab.data.archive import read_tar
from reslab.data.download import Remote
from reslab.data.images import DataSet, Images, MissingError
from reslab.errors import DataError

_PIXELS = 3 * 32 * 32
_NAMES = 4096  # bytes of class names, at most
_KRIZ = "https://www.cs.toronto.edu/~kriz/"


class CifarSet(NamedTuple):
    """The official files of one of the two sets, and the format of their records.

    pickled: the folder of the Python version, which is never read
    records: in each training file and in the test file
    """

    remote: Remote
    folder: str
    pickled: str
    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int
    classes: int
    records: tuple[int, int]

    @property
    def archive(self) -> str:
        """File name of the official archive."""
        return self.remote.file

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return self.label_bytes + _PIXELS


CIFAR10 = CifarSet(
    remote=Remote(
        _KRIZ + "cifar-10-binary.tar.gz",
        "cifar-10-binary.tar.gz",
        170_052_171,
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    folder="cifar-10-batches-bin",
    pickled="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    names="batches.meta.txt",
    label_bytes=1,
    classes=10,
    records=(10_000, 10_000),
)
CIFAR100 = CifarSet(
    remote=Remote(
        _KRIZ + "cifar-100-binary.tar.gz",
        "cifar-100-binary.tar.gz",
        168_513_733,
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
    folder="cifar-100-binary",
    pickled="cifar-100-python",
    train=("train.bin",),
    test="test.bin",
    names="fine_label_names.txt",
    label_bytes=2,
    classes=100,
    records=(50_000, 10_000),
)


def load_cifar(name: str, files: CifarSet, root: Path) -> DataSet:
    """The data set from its folder under `root`, or from the official archive there, which is not extracted.

    The label is the fine one, the last label byte. Raises DataError naming a file that is missing or of another length
    than the official one, a label out of range, or classes of different numbers of images.
    """
    folder, archive = root / files.folder, root / files.archive
    lengths = dict.fromkeys(files.train, files.records[0] * files.record)
    lengths |= {files.test: files.records[1] * files.record, files.names: _NAMES}
    if folder.is_dir():
        contents = {file: _content(folder / file, length) for file, length in lengths.items()}
        where = str(folder)
    elif archive.is_file():
        inside = read_tar(archive, {f"{files.folder}/{file}": length for file, length in lengths.items()})
        contents = {name.rpartition("/")[2]: content for name, content in inside.items()}
        where = f"{archive}: {files.folder}"
    else:
        raise _missing(name, files, root)
    batches = [_read(contents[file], f"{where}/{file}", files, files.records[0]) for file in files.train]
    train = Images(
        np.concatenate([batch.pixels for batch in batches]), np.concatenate([batch.labels for batch in batches])
    )
    test = _read(contents[files.test], f"{where}/{files.test}", files, files.records[1])
    for images, names in ((train, ", ".join(files.train)), (test, files.test)):
        _check_balance(images, files.classes, f"{where}: {names}")
    return DataSet(name, train, test, _names(contents[files.names], f"{where}/{files.names}", files.classes))


def _missing(name: str, files: CifarSet, root: Path) -> MissingError:
    message = f"{name}: no {root / files.archive} and no folder {files.folder} beside\n"
    archive = files.archive.replace("binary", "python")
    for pickled in (files.pickled, archive):
        if (root / pickled).exists():
            cure = f"`reslab data get {name}` gets the binary version"
            return MissingError(f"{message}{pickled} is pickled and never read; {cure}")
    return MissingError(f"{message}`reslab data get {name}` gets it, RESLAB_DATA is the directory of data sets")


def _content(path: Path, length: int) -> bytes:
    try:
        if path.stat().st_size > length:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes, expected {length:,}; get it anew")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def _read(content: bytes, where: str, files: CifarSet, records: int) -> Images:
    if len(content) != records * files.record:
        raise DataError(
            f"{where}: {len(content):,} bytes, but {records:,} records of {files.record:,} make "
            f"{records * files.record:,}; get it anew"
        )
    raw = np.frombuffer(content, dtype=np.uint8).reshape(records, files.record)
    labels = raw[:, files.label_bytes - 1].astype(np.int64)
    wrong = np.flatnonzero(labels >= files.classes)
    if len(wrong):
        raise DataError(
            f"{where}: record {wrong[0]} has label {labels[wrong[0]]}, labels go from 0 to {files.classes - 1}"
        )
    return Images(np.ascontiguousarray(raw[:, files.label_bytes :]).reshape(records, 3, 32, 32), labels)


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
