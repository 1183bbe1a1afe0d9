"""From a data set's name to its parts and their loader."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from reslab.data.batches import Loader
from reslab.data.cifar import CIFAR10, CIFAR100, load_cifar
from reslab.data.digits import load_digits
from reslab.data.folder import load_folder, load_imagenet
from reslab.data.idx import load_fashion
from reslab.data.image_folder import ImageFolderLoader, OnBad
from reslab.data.images import DataSet, Images
from reslab.data.in_memory import InMemoryLoader
from reslab.data.normalise import IMAGENET, Normalise
from reslab.errors import SpecError, nearest


class Shape(NamedTuple):
    """What a network must fit: the images' channels, their height and width (None for pictures), and the classes."""

    channels: int
    size: int | None
    classes: int


SHAPES = {
    "digits": Shape(1, 8, 10),
    "cifar10": Shape(3, 32, 10),
    "cifar100": Shape(3, 32, 100),
    "fashion-mnist": Shape(1, 28, 10),
}

SETS: dict[str, Callable[[Path], DataSet]] = {
    "digits": lambda root: load_digits(),
    "cifar10": lambda root: load_cifar("cifar10", CIFAR10, root),
    "cifar100": lambda root: load_cifar("cifar100", CIFAR100, root),
    "fashion-mnist": load_fashion,
}
FOLDERS: dict[str, Callable[[str, Path], DataSet]] = {"folder": load_folder, "imagenet": load_imagenet}


def data_root() -> Path:
    """Where downloaded sets lie: RESLAB_DATA, or reslab's folder in the user's cache."""
    if root := os.environ.get("RESLAB_DATA"):
        return Path(root)
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in passwd, as in containers
        home = Path()
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "reslab"


def load(name: str, root: Path | None = None) -> DataSet:
    """The data set of a name: digits, cifar10, cifar100, fashion-mnist, folder:PATH or imagenet:PATH.

    Raises SpecError for another name, DataError where its files are missing or damaged.
    """
    kind, colon, path = name.partition(":")
    if colon and kind in FOLDERS and path:
        return FOLDERS[kind](name, Path(path).expanduser())
    if name not in SETS:
        raise SpecError(f"no data set {name!r}: {nearest(name, [*SETS, *(f'{kind}:PATH' for kind in FOLDERS)])}")
    return SETS[name](root or data_root())


def shape(name: str) -> Shape:
    """The shape of a data set's images; only folders are looked into. Raises as `load` does."""
    if name in SHAPES:
        return SHAPES[name]
    data = load(name)
    return Shape(data.channels, data.size, len(data.classes))


def make_loader(
    data: DataSet,
    device: torch.device,
    size: int,
    normalise: Normalise | None = None,
    on_bad: OnBad = "error",
    whole: bool = False,
) -> Loader:
    """The loader that a data set wants. size: of the images that the network reads.

    normalise: what the network's weights want; None is what a training on the data takes
    whole: whether it was trained on whole images, and is to see pictures so
    """
    if isinstance(data.train, Images):
        return InMemoryLoader(data, device, normalise)
    return ImageFolderLoader(data, device, size, normalise or IMAGENET, on_bad, whole)
