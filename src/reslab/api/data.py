"""Data sets: lists, downloads and checks."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from reslab.api.console import progress_console
from reslab.errors import DataError

if TYPE_CHECKING:
    from reslab.data.images import DataSet
    from reslab.data.picture import PictureCheck

State = Literal["embedded", "here", "missing", "damaged"]


class DataRow(NamedTuple):
    """A named data set on this machine. `error` says what is wrong with one that is missing or damaged."""

    name: str
    state: State
    data: "DataSet | None" = None
    error: str = ""


def list_data() -> list[DataRow]:
    """The named data sets, and whether they are on this machine."""
    from reslab.data.images import MissingError
    from reslab.data.loader import SETS, load

    rows = []
    for name, source in SETS.items():
        try:
            rows.append(DataRow(name, "here" if source.files else "embedded", load(name)))
        except MissingError as error:
            rows.append(DataRow(name, "missing", error=str(error)))
        except DataError as error:
            rows.append(DataRow(name, "damaged", error=str(error)))
    return rows


def data_folders() -> tuple[list[str], Path]:
    """The kinds of data sets that are folders of pictures ("folder"), and where downloaded sets are kept."""
    from reslab.data.loader import FOLDERS, data_root

    return list(FOLDERS), data_root()


def get_data(name: str, *, progress: bool = False) -> list[Path]:
    """Download a data set from its official place and check it; -> its files.

    Raises SpecError for a set that has no such place, DataError where it cannot be downloaded or is damaged.
    """
    from reslab.data.loader import download, load

    files = download(name, progress_console(progress))
    load(name)
    return files


class DataCheck(NamedTuple):
    """The images of each split, the classes, the pictures that cannot be read (`bad`) or are odd, files passed over."""

    images: dict[str, int]
    classes: int
    findings: "list[PictureCheck]"
    passed_over: tuple[str, ...]

    @property
    def bad(self) -> int:
        return sum(finding.bad for finding in self.findings)


def check_data(name: str, *, progress: bool = False) -> DataCheck:
    """Read every image of a data set: a set's name, folder:PATH or imagenet:PATH."""
    from concurrent.futures import ThreadPoolExecutor

    from rich.progress import track

    from reslab.data.images import Pictures
    from reslab.data.loader import load
    from reslab.data.picture import check_picture, shown
    from reslab.machine import cores

    data = load(name)
    every = {"train": data.train, "validation": data.validation, "test": data.test}
    splits = {split: images for split, images in every.items() if images is not None}
    console = progress_console(progress)
    rows: list[PictureCheck] = []
    with ThreadPoolExecutor(cores()) as pool:
        for images in splits.values():
            if isinstance(images, Pictures):
                paths = [images.path(index) for index in range(len(images.labels))]
                checked = pool.map(check_picture, paths)
                checks = track(checked, "checking", len(paths), console=console, disable=not console.is_terminal)
                rows += [row for row in checks if row.bad or row.odd]
    counts = {split: len(images.labels) for split, images in splits.items()}
    return DataCheck(counts, len(data.classes), rows, tuple(map(shown, data.passed_over)))
