"""The table of data sets, and the loader of each."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console

from reslab.data.batches import Loader
from reslab.data.cifar import CIFAR10, CIFAR100, load_cifar
from reslab.data.crops import EvalCrop
from reslab.data.digits import load_digits
from reslab.data.download import Remote, get
from reslab.data.folder import Purpose, load_folder, load_imagenet
from reslab.data.idx import FASHION_MNIST, KMNIST, MNIST, load_idx
from reslab.data.image_folder import ImageFolderLoader, OnBad
from reslab.data.images import DataSet, Images
from reslab.data.in_memory import InMemoryLoader
from reslab.data.normalise import IMAGENET, Normalise
from reslab.errors import SpecError, nearest


class Shape(NamedTuple):
    """The shape of a data set: channels, height and width of its images (None for pictures), and number of classes."""

    channels: int
    size: int | None
    classes: int


class Source(NamedTuple):
    """A row of the table of data sets: its shape, its reader, which takes the data root, and its official files."""

    shape: Shape
    read: Callable[[Path], DataSet]
    files: tuple[Remote, ...] = ()


SETS = {
    "digits": Source(Shape(1, 8, 10), lambda root: load_digits()),
    "cifar10": Source(Shape(3, 32, 10), partial(load_cifar, "cifar10", CIFAR10), (CIFAR10.remote,)),
    "cifar100": Source(Shape(3, 32, 100), partial(load_cifar, "cifar100", CIFAR100), (CIFAR100.remote,)),
} | {
    name: Source(Shape(1, 28, len(files.classes)), partial(load_idx, name, files), files.remotes(name))
    for name, files in (("fashion-mnist", FASHION_MNIST), ("kmnist", KMNIST), ("mnist", MNIST))
}
FOLDERS: dict[str, Callable[[str, Path, Purpose], DataSet]] = {"folder": load_folder, "imagenet": load_imagenet}


def data_root() -> Path:
    """The directory of downloaded data sets: RESLAB_DATA, or reslab's folder in the user's cache."""
    if root := os.environ.get("RESLAB_DATA"):
        return Path(root)
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in passwd, as in containers
        home = Path()
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "reslab"


def load(name: str, root: Path | None = None, purpose: Purpose = "train") -> DataSet:
    """The data set of a name: a row of the table, folder:PATH or imagenet:PATH.

    purpose: "evaluate" reads the test pictures of a folder alone, which are all its pictures if it has no splits
    Raises SpecError for another name, DataError if files are missing or damaged.
    """
    if is_folder(name):
        kind, _, path = name.partition(":")
        return FOLDERS[kind](name, Path(path).expanduser(), purpose)
    return _source(name).read(root or data_root())


def is_folder(name: str) -> bool:
    """Whether a name is that of a folder of pictures: folder:PATH or imagenet:PATH."""
    kind, _, path = name.partition(":")
    return kind in FOLDERS and bool(path)


def check_name(name: str) -> None:
    """Raise SpecError for a name that no data set has; nothing is read."""
    if not is_folder(name):
        _source(name)


def _source(name: str) -> Source:
    if name not in SETS and Path(name).expanduser().is_dir():
        raise SpecError(f"no data set {name!r}, but there is a folder: its pictures are the data set folder:{name}")
    if name not in SETS:
        raise SpecError(f"no data set {name!r}: {nearest(name, [*SETS, *(f'{kind}:PATH' for kind in FOLDERS)])}")
    return SETS[name]


def download(name: str, console: Console) -> list[Path]:
    """Download the official files of a data set into the data root. Raises as `get` does, SpecError if it has none."""
    if not _source(name).files:
        names = [name for name, source in SETS.items() if source.files]
        raise SpecError(f"{name}: nothing to download; {nearest(name, names)}")
    return get(_source(name).files, data_root(), console)


def shape(name: str) -> Shape:
    """The shape of a data set; only folders are read. Raises as `load` does."""
    if name in SETS:
        return SETS[name].shape
    data = load(name)
    return Shape(data.channels, data.size, len(data.classes))


def make_loader(
    data: DataSet,
    device: torch.device,
    size: int,
    normalise: Normalise | None = None,
    on_bad: OnBad = "error",
    crop: EvalCrop = "center",
) -> Loader:
    """The data loader of a data set for a network that reads images of `size`.

    normalise: the normalization of the network's weights; None is that of a training on the data
    crop: the single view of test pictures
    Raises SpecError for images in memory of another size.
    """
    if isinstance(data.train, Images):
        if data.size != size:
            sizes = f"images of {data.size}×{data.size}, but the network reads {size}×{size}"
            raise SpecError(f"{data.name}: {sizes}; they are not resized: train on them, or take a folder of pictures")
        return InMemoryLoader(data, device, normalise)
    return ImageFolderLoader(data, device, size, normalise or IMAGENET, on_bad, crop)
