"""Picture files: those that a person names, and those that are made from them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from reslab.data.picture import shown
from reslab.errors import DataError


def picture_files(places: Sequence[Path]) -> list[Path]:
    """The files that are named, and the pictures in folders that are named, and in theirs, in the order of names;
    each once.

    In folders, hidden files and folders, and files whose ending is no picture's, are passed over. What is no folder is
    a file, be it there or not. Raises DataError naming a folder without pictures, OSError where one cannot be read.
    """
    found = (file for place in places for file in (_inside(place) if place.is_dir() else [place]))
    return list(dict.fromkeys(found))


def _inside(folder: Path) -> list[Path]:
    kinds = Image.registered_extensions()
    endings = tuple(ending for ending, kind in kinds.items() if kind in Image.OPEN)
    found = list(_walk(folder, endings))
    if not found:
        raise DataError(f"{shown(folder)}: has no pictures; name files, or a folder with some")
    return found


def _walk(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, endings)
        elif entry.name.lower().endswith(endings):
            yield folder / entry.name


def overlay_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """Where the overlays of pictures go: cat.jpg's is cat-cam.png in the folder.

    Pictures of one name get numbers (cat-2-cam.png), and no overlay has the place of one of the pictures.
    """
    taken = {_folded(file) for file in files}
    places = []
    for file in files:
        place, number = folder / f"{file.stem}-cam.png", 1
        while _folded(place) in taken:
            number += 1
            place = folder / f"{file.stem}-{number}-cam.png"
        taken.add(_folded(place))
        places.append(place)
    return places


def _folded(path: Path) -> str:
    """The same for paths that may be one file, also where capital letters do not matter."""
    return str(path.resolve()).casefold()
