"""Picture files in folders: one folder walker, and data sets with a folder for each class."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from reslab.data.images import DataSet, Pictures, split
from reslab.data.picture import endings, is_picture, shown
from reslab.errors import DataError

Purpose = Literal["train", "evaluate"]

_SPLITS = {"train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}
_SYSTEM = ("__MACOSX", "__pycache__", "lost+found")  # folders of operating systems and programs
_ANNOTATIONS = "val_annotations.txt"  # in tiny-imagenet: file, class and box of each picture, tab-separated
_TEST_SHARE = 0.2
_WNID = re.compile(r"n\d{8}")
_log = logging.getLogger(__name__)


def walk(folder: Path) -> tuple[list[str], list[str]]:
    """Picture files under a folder, and the other files: sorted relative paths.

    Hidden files and folders are ignored, links to folders are not followed. Raises DataError naming a folder that
    cannot be read.
    """
    pictures: list[str] = []
    others: list[str] = []
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        for entry in _scan(folder / inner):
            path = inner + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path + "/")
            elif entry.name.lower().endswith(endings()) or (entry.is_file() and is_picture(entry.path)):
                pictures.append(path)
            else:
                others.append(path)
    return sorted(pictures), sorted(others)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{shown(folder)[:200]}: {error.strerror}") from None


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """Files and the pictures in folders, each once, in the order given.

    A path that is no folder counts as a file even if it is missing. Raises DataError naming a folder without pictures.
    """
    files: list[Path] = []
    passed_over: list[str] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        pictures, others = walk(path)
        if not pictures:
            raise DataError(f"{shown(path)}: has no pictures; name files, or a folder with some")
        files += [path / name for name in pictures]
        passed_over += [str(path / name) for name in others]
    report_passed_over(passed_over)
    return list(dict.fromkeys(files))


def report_passed_over(files: Sequence[str], hint: str = "") -> None:
    """Log how many files are no readable pictures, by their endings."""
    if not files or os.environ.get("RANK", "0") != "0":
        return
    counts = Counter("folder" if file.endswith("/") else Path(file).suffix.lower() or "no ending" for file in files)
    kinds = ", ".join(f"{count:,} {shown(ending)}" for ending, count in counts.most_common(5))
    cure = "; convert .heic to JPEG" if counts[".heic"] + counts[".heif"] else ""
    _log.warning("passed over, not readable as pictures: %s%s%s", kinds, cure, hint)


def load_folder(name: str, folder: Path, purpose: Purpose = "train") -> DataSet:
    """Pictures in a folder for each class, in the folders train and val, or train, val and test, or without these.

    The names training, valid, validation and testing are known too, in any case. The test split is test, or val if
    there is no test, as in ImageNet. Classes are sorted by name, or by number if all are numbers. In tiny-imagenet's
    layout val has a val_annotations.txt, and a test folder without classes is ignored. Without train and val, a fifth
    of each class is the test split, always the same.

    purpose: "evaluate" needs no train folder, reads no training pictures, and takes all pictures of a folder without
    splits; a class may lack pictures there.
    Raises DataError naming a folder that is missing, empty, ambiguous, or of unknown classes.
    """
    splits = _splits(name, folder)
    for inner in _folders(folder) if "train" in splits else ():
        known = folder / inner in splits.values()
        if not known and set(_folders(folder / inner)) & set(_folders(splits["train"])):
            words = ", ".join(" or ".join(words) for words in _SPLITS.values())
            clash = f"has {shown(inner)} beside {splits['train'].name}, with the same classes"
            raise DataError(f"{shown(folder)}: {clash}, and the splits are {words}; rename or move it")
    return _read(name, folder, splits, purpose)


def load_imagenet(name: str, folder: Path, purpose: Purpose = "train") -> DataSet:
    """ImageNet's 1,000 classes in train and val, each in the folder of its WordNet number (n01440764 ...).

    Other folders may be beside these two. Raises DataError as `load_folder` does, and if the classes are not
    ImageNet's, so that labels are those of all public weights; an evaluation may take some of the classes.
    """
    data = _read(name, folder, _splits(name, folder), purpose)
    strange = [word for word in data.classes if not _WNID.fullmatch(word)]
    if strange or len(data.classes) > 1000 or (purpose == "train" and len(data.classes) < 1000):
        words = f"class {shown(strange[0])}" if strange else f"{len(data.classes)} classes"
        use = "train on it" if purpose == "train" else "evaluate it"
        raise DataError(
            f"{shown(folder)}: {words}, where ImageNet has n01440764 and 999 others\n{use} as folder:{shown(folder)}"
        )
    return data


def _splits(name: str, folder: Path) -> dict[str, Path]:
    """The folders of the splits, train first. Raises DataError if a split has two."""
    if folder.is_file():
        raise DataError(f"{name}: a file, not a folder; if it is an archive, extract it and name the folder")
    if not folder.is_dir():
        raise DataError(f"{name}: no folder {shown(folder)}")
    names = _folders(folder)
    splits: dict[str, Path] = {}
    for key, words in _SPLITS.items():
        matches = [inner for inner in names if inner.lower() in words]
        if len(matches) > 1:
            raise DataError(f"{shown(folder)}: has {matches[0]} and {matches[1]}, two folders for one split; keep one")
        if matches:
            splits[key] = folder / matches[0]
    alone = [path.name.lower() for path in splits.values()] == ["valid"]
    return {} if alone and len(names) > 1 else splits  # valid and invalid are classes


def _read(name: str, folder: Path, splits: dict[str, Path], purpose: Purpose) -> DataSet:
    splits, ignored = _without_unlabelled(splits)
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    train, test = splits.get("train"), splits.get("test")
    if train and not test:
        cure = f"; evaluate folder:{shown(train)} for its pictures" if purpose == "evaluate" else ""
        raise DataError(f"{shown(folder)}: has {train.name} and no val beside it{cure}")
    if purpose == "evaluate":
        data = _evaluation(name, train, test or folder)
    elif test is None:
        data = _held_out(name, folder)
    elif train is None:
        raise DataError(f"{shown(folder)}: has {test.name} and no train beside it; it can be evaluated, not trained on")
    else:
        data = _trained(name, train, test, splits.get("validation"))
    if ignored:
        data = _with(data, [f"{ignored}/"])
    report_passed_over(data.passed_over, f"; `reslab data check {shown(name)}` lists them")
    return data


def _without_unlabelled(splits: dict[str, Path]) -> tuple[dict[str, Path], Path | None]:
    """The splits without a test folder that has no classes, as in tiny-imagenet, if there is a val; and that folder."""
    test = splits.get("test")
    if test is None or "validation" not in splits or _folders(test) not in ([], ["images"]):
        return splits, None
    return {name: path for name, path in splits.items() if path != test}, test


def _trained(name: str, train_at: Path, test_at: Path, validation_at: Path | None) -> DataSet:
    classes = _classes(train_at)
    train, passed_over = _labelled(train_at, classes)
    test, more = _known(test_at, classes)
    validation, most = _known(validation_at, classes) if validation_at else (None, [])
    _check_several(train_at, classes)
    return _with(DataSet(name, train, test, classes, validation), [*passed_over, *more, *most])


def _held_out(name: str, folder: Path) -> DataSet:
    """A folder of classes without splits, with a fifth of each class as the test split."""
    classes = _classes(folder)
    pictures, passed_over = _labelled(folder, classes)
    _check_several(folder, classes)
    counts = np.bincount(pictures.labels, minlength=len(classes))
    if counts.min() < 2:
        alone = shown(folder / classes[int(counts.argmin())])
        raise DataError(f"{alone}: one picture, and a class needs two, for training and test; or make train and val")
    train, test = split(pictures.labels, max(len(classes), round(_TEST_SHARE * len(pictures.files))))
    return _with(DataSet(name, pictures.take(train), pictures.take(test), classes), passed_over)


def _check_several(folder: Path, classes: tuple[str, ...]) -> None:
    if len(classes) == 1:
        raise DataError(f"{shown(folder)}: one class alone, {shown(classes[0])}; classification takes two or more")


def _evaluation(name: str, train: Path | None, test: Path) -> DataSet:
    """A data set of test pictures alone; the classes are those of the training folder, if there is one."""
    classes = _classes(train) if train else _own_classes(test)
    pictures, passed_over = _known(test, classes)
    return _with(DataSet(name, Pictures(test, [], np.empty(0, np.int64)), pictures, classes), passed_over)


def _with(data: DataSet, passed_over: Iterable[str]) -> DataSet:
    return DataSet(data.name, data.train, data.test, data.classes, data.validation, (*data.passed_over, *passed_over))


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _scan(folder) if entry.is_dir() and entry.name not in _SYSTEM)


def _classes(folder: Path) -> tuple[str, ...]:
    """The classes of a folder, a folder each, in the order of the labels."""
    names = _folders(folder)
    if not names:
        raise DataError(
            f"{shown(folder)}: has no folders, one for each class; sort its pictures into them\n"
            f"(ImageNet's by its ground truth), or add a {_ANNOTATIONS} with lines of file, tab, class"
        )
    if all(name.isascii() and name.isdigit() for name in names):
        names.sort(key=int)
    return tuple(names)


def _own_classes(folder: Path) -> tuple[str, ...]:
    annotations = _annotations(folder)
    return tuple(sorted(set(annotations.values()))) if annotations else _classes(folder)


def _known(folder: Path, classes: tuple[str, ...]) -> tuple[Pictures, list[str]]:
    """The pictures of a test or validation split, and the other files; a class may have none."""
    if strange := [name for name in _own_classes(folder) if name not in classes]:
        raise DataError(f"{shown(folder)}: class {shown(strange[0])} has no training pictures")
    annotations = _annotations(folder)
    if not annotations:
        return _labelled(folder, classes, may_lack=True)
    pictures, others = walk(folder)
    listed = [file for file in pictures if Path(file).name in annotations]
    if not listed:
        raise DataError(f"{shown(folder)}: has none of the pictures that its {_ANNOTATIONS} lists")
    expected = {*annotations, _ANNOTATIONS}
    others = [file for file in (*pictures, *others) if Path(file).name not in expected]
    places = {word: place for place, word in enumerate(classes)}
    labels = [places[annotations[Path(file).name]] for file in listed]
    return Pictures(folder, listed, np.array(labels, np.int64)), [str(folder / file) for file in others]


def _annotations(folder: Path) -> dict[str, str]:
    """The classes of pictures by their file names, in tiny-imagenet's val_annotations.txt; empty without this file."""
    path = folder / _ANNOTATIONS
    if not path.is_file():
        return {}
    try:
        rows = [line.split("\t")[:2] for line in path.read_text().splitlines() if line.strip()]
        return dict(rows)
    except (OSError, ValueError):
        raise DataError(f"{shown(path)}: not a text of lines of file and class, separated by tabs") from None


def _labelled(folder: Path, classes: tuple[str, ...], may_lack: bool = False) -> tuple[Pictures, list[str]]:
    """The pictures in the folders of the classes, and the other files."""
    files: list[str] = []
    labels: list[int] = []
    strays = [entry.path for entry in _scan(folder) if entry.name.lower().endswith(endings()) and not entry.is_dir()]
    passed_over = sorted(strays)  # pictures beside the class folders
    for label, name in enumerate(classes):
        pictures, others = walk(folder / name) if (folder / name).is_dir() else ([], [])
        if not pictures and not may_lack:
            raise DataError(f"{shown(folder / name)}: a class without pictures; fill it or remove it")
        files += [f"{name}/{file}" for file in pictures]
        labels += [label] * len(pictures)
        passed_over += [str(folder / name / file) for file in others]
    if not files:
        raise DataError(f"{shown(folder)}: has no pictures")
    return Pictures(folder, files, np.array(labels, dtype=np.int64)), passed_over
