"""Picture files in folders, one folder for each class."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from reslab.data.images import DataSet, Pictures, split
from reslab.data.picture import shown
from reslab.errors import DataError

_PARTS = {"train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}
_PASSED_OVER = ("__MACOSX", "__pycache__", "lost+found")  # what systems put beside
_TEST_SHARE = 0.2
_WNID = re.compile(r"n\d{8}")


def load_folder(name: str, folder: Path) -> DataSet:
    """The pictures of a folder with the folders train and val, or train, val and test, each with a folder per class.

    training, valid, validation and testing are known too, all in any case. val is the test part, as ImageNet's is, but
    where there is a folder test too. Without them the folder itself has the classes, and a fifth of each, always the
    same, is the test part. Classes stand in the order of their names, or of their numbers where all are numbers. Hidden
    files and folders, and files whose ending is no picture's, are passed over.
    Raises DataError naming the folder where there are no classes or one alone, one is empty, or one has test pictures
    alone, where one part has two folders or train or val is missing, and where another folder beside train has its
    classes too.
    """
    parts = _parts(name, folder)
    for inner in _folders(folder) if "train" in parts else ():
        known = folder / inner in parts.values()
        if not known and set(_folders(folder / inner)) & set(_folders(parts["train"])):
            words = ", ".join(" or ".join(words) for words in _PARTS.values())
            told = f"{shown(folder)}: has {shown(inner)} beside {parts['train'].name}, with classes of it"
            raise DataError(f"{told}, and the parts are {words}; rename or move it")
    return _read(name, folder, parts)


def load_imagenet(name: str, folder: Path) -> DataSet:
    """ImageNet's 1,000 classes in train and val, each in the folder of its WordNet number (n01440764 ...).

    Other folders may stand beside these two. Raises DataError as `load_folder` does, and where the classes are not
    ImageNet's, so that the classes have the numbers that all public weights give them.
    """
    data = _read(name, folder, _parts(name, folder))
    strange = [word for word in data.classes if not _WNID.fullmatch(word)]
    if strange or len(data.classes) != 1000:
        told = f"class {shown(strange[0])}" if strange else f"{len(data.classes)} classes"
        raise DataError(f"{shown(folder)}: {told}, where ImageNet has n01440764 and 999 others; read it as folder:PATH")
    return data


def _parts(name: str, folder: Path) -> dict[str, Path]:
    """The folders of the parts that are there, train first. Raises DataError where there are two for one part."""
    if not folder.is_dir():
        raise DataError(f"{name}: no folder {shown(folder)}")
    names = _folders(folder)
    parts: dict[str, Path] = {}
    for part, words in _PARTS.items():
        found = [inner for inner in names if inner.lower() in words]
        if len(found) > 1:
            raise DataError(f"{shown(folder)}: has {found[0]} and {found[1]}, two folders for one part; keep one")
        if found:
            parts[part] = folder / found[0]
    alone = [part.name.lower() for part in parts.values()] == ["valid"]
    return {} if alone and len(names) > 1 else parts  # valid and invalid are classes


def _read(name: str, folder: Path, parts: dict[str, Path]) -> DataSet:
    train_at, validation_at, test_at = (parts.get(part) for part in _PARTS)
    if test_at is None:
        validation_at, test_at = None, validation_at
    if (train_at is None) != (test_at is None):
        there, missing = (train_at, "val") if train_at else (test_at, "train")
        raise DataError(f"{shown(folder)}: has {there.name} and no {missing} beside it")  # type: ignore[union-attr]
    if train_at is None or test_at is None:
        pictures, classes = _classes(folder)
        data = DataSet(name, *_parted(pictures, classes), classes)
    else:
        train, classes = _classes(train_at)
        validation = _known(validation_at, classes) if validation_at else None
        data = DataSet(name, train, _known(test_at, classes), classes, validation)
    if len(classes) == 1:
        told = f"one class alone, {shown(classes[0])}; a network tells two or more apart"
        raise DataError(f"{shown(train_at or folder)}: {told}")
    return data


def _folders(folder: Path) -> list[str]:
    inner = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    return [name for name in inner if not name.startswith(".") and name not in _PASSED_OVER]


def _classes(folder: Path) -> tuple[Pictures, tuple[str, ...]]:
    """The pictures of a folder of classes, and the classes."""
    names = _folders(folder)
    if not names:
        raise DataError(f"{shown(folder)}: has no folders, one for each class")
    numbered = all(name.isascii() and name.isdigit() for name in names)
    classes = tuple(sorted(names, key=int) if numbered else names)
    return _pictures(folder, classes), classes


def _known(folder: Path, classes: tuple[str, ...]) -> Pictures:
    """The test pictures of the classes; a class may have none."""
    names = _folders(folder)
    if not names:
        raise DataError(f"{shown(folder)}: has no folders, one for each class; sort its pictures into them")
    if strange := [name for name in names if name not in classes]:
        raise DataError(f"{shown(folder)}: class {shown(strange[0])} has no training pictures")
    return _pictures(folder, classes, may_lack=True)


def _pictures(folder: Path, classes: tuple[str, ...], may_lack: bool = False) -> Pictures:
    endings = tuple(Image.registered_extensions())
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(_files(folder, name, endings))
        if not found and not may_lack:
            raise DataError(f"{shown(folder / name)}: a class without pictures; fill it or remove it")
        files += found
        labels += [label] * len(found)
    if not files:
        raise DataError(f"{shown(folder)}: has no pictures")
    return Pictures(folder, files, np.array(labels, dtype=np.int64))


def _files(folder: Path, name: str, endings: tuple[str, ...]) -> Iterator[str]:
    """The pictures of a class by their names in the folder, those of inner folders too."""
    if not (folder / name).is_dir():
        return
    for entry in os.scandir(folder / name):
        if entry.name.startswith("."):
            continue
        inner = f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder, inner, endings)
        elif entry.name.lower().endswith(endings):
            yield inner


def _parted(pictures: Pictures, classes: tuple[str, ...]) -> tuple[Pictures, Pictures]:
    counts = np.bincount(pictures.labels, minlength=len(classes))
    if counts.min() < 2:
        alone = shown(pictures.folder / classes[int(counts.argmin())])
        raise DataError(f"{alone}: one picture, and a class needs two, for training and test; or make train and val")
    count = max(len(classes), round(_TEST_SHARE * len(pictures.files)))
    train, test = split(pictures.labels, count)
    return pictures.take(train), pictures.take(test)
