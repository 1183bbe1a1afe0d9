"""Data sets: lists, downloads and checks."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from reslab.api.console import progress_console
from reslab.errors import DataError

if TYPE_CHECKING:
    from reslab.data.images import DataSet
    from reslab.data.picture import Finding

State = Literal["embedded", "here", "missing", "damaged"]


class DataRow(NamedTuple):
    """A named data set on this machine. `error` says what is wrong with one that is missing or damaged."""

    name: str
    state: State
    data: "DataSet | None" = None
    error: str = ""


def list_data() -> list[DataRow]:
    """The named data sets, and whether they are on this machine."""
    from reslab.data.download import REMOTE
    from reslab.data.images import MissingError
    from reslab.data.loader import SETS, load

    rows = []
    for name in SETS:
        try:
            rows.append(DataRow(name, "here" if name in REMOTE else "embedded", load(name)))
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
    from reslab.data.download import get
    from reslab.data.loader import data_root, load

    files = get(name, data_root(), progress_console(progress))
    load(name)
    return files


class DataCheck(NamedTuple):
    """The images of each split, the classes, and the pictures that cannot be read (`bad`) or are odd."""

    images: dict[str, int]
    classes: int
    findings: "list[Finding]"

    @property
    def bad(self) -> int:
        return sum(finding.bad for finding in self.findings)


def check_data(name: str, *, progress: bool = False) -> DataCheck:
    """Read every image of a data set: a set's name, folder:PATH or imagenet:PATH."""
    from concurrent.futures import ThreadPoolExecutor

    from rich.progress import track

    from reslab.data.images import Pictures
    from reslab.data.loader import load
    from reslab.data.picture import findings
    from reslab.machine import cores

    data = load(name)
    every = {"train": data.train, "validation": data.validation, "test": data.test}
    splits = {split: images for split, images in every.items() if images is not None}
    console = progress_console(progress)
    rows: list[Finding] = []
    with ThreadPoolExecutor(cores()) as pool:
        for images in splits.values():
            if isinstance(images, Pictures):
                paths = [images.folder / file for file in images.files]
                checked = pool.map(findings, paths)
                checks = track(checked, "checking", len(paths), console=console, disable=not console.is_terminal)
                rows += [row for row in checks if row.bad or row.odd]
    return DataCheck({split: len(images.labels) for split, images in splits.items()}, len(data.classes), rows)
