"""Data sets from their official places, each file checked before it is used."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from reslab.data import idx as fashion
from reslab.data.cifar import CIFAR10, CIFAR100
from reslab.errors import DataError, SpecError, nearest

_BLOCK = 1 << 18
_PATIENCE = 30  # seconds without a byte


class Remote(NamedTuple):
    """A file at its official place, and where it goes under the data root."""

    url: str
    file: str
    length: int
    checksum: str
    """The algorithm and hex digits, as the place itself tells them or as those who host it have them."""


_KRIZ = "https://www.cs.toronto.edu/~kriz/"
_ZALANDO = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"

REMOTE = {
    "cifar10": [
        Remote(
            _KRIZ + CIFAR10.archive,
            CIFAR10.archive,
            170_052_171,
            "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )
    ],
    "cifar100": [
        Remote(
            _KRIZ + CIFAR100.archive,
            CIFAR100.archive,
            168_513_733,
            "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )
    ],
    "fashion-mnist": [
        Remote(_ZALANDO + file, f"{fashion.FOLDER}/{file}", length, f"md5:{digits}")
        for file, length, digits in (
            ("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            ("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        )
    ],
}


def get(name: str, root: Path, console: Console) -> list[Path]:
    """Download the files of a set that are not there yet, and return all of them.

    A download that was broken off goes on where it stopped. A file stands at its place only when it is whole and has
    its checksum. Raises SpecError for a set that has no official place, DataError where a file cannot be had.
    """
    if name not in REMOTE:
        raise SpecError(f"no official place to get {name!r} from: {nearest(name, REMOTE)}")
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return [_get(remote, root / remote.file, console, progress) for remote in REMOTE[name]]


def _get(remote: Remote, path: Path, console: Console, progress: Progress) -> Path:
    if path.is_file():
        if _checksum(path, remote.checksum) != remote.checksum:
            raise DataError(f"{path}: not the official file; remove it and get it anew")
        console.print(f"{path}: there already, checksum right", highlight=False, soft_wrap=True)
        return path
    console.print(f"{remote.url}, {remote.length / 1e6:,.1f} MB", highlight=False, soft_wrap=True)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        task = progress.add_task(path.name, total=remote.length)
        with part.open("ab") as file:
            for block in _blocks(remote, file.tell()):
                if block is None:
                    file.truncate(0)
                    progress.reset(task)
                    continue
                if file.tell() + len(block) > remote.length:
                    raise DataError(f"{remote.url}: longer than the official {remote.length:,} bytes")
                file.write(block)
                progress.update(task, completed=file.tell())
    except HTTPError as error:
        raise DataError(f"{remote.url}: {error.code} {error.reason}; put the file at {path} yourself") from None
    except URLError as error:
        raise DataError(f"{remote.url}: {error.reason}; put the file at {path} yourself") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; the same command goes on with it") from None
    if part.stat().st_size < remote.length:
        raise DataError(f"{remote.url}: broken off; the same command goes on with it")
    if (found := _checksum(part, remote.checksum)) != remote.checksum:
        part.unlink()
        raise DataError(f"{remote.url}: is {found}, expected {remote.checksum}; it was not kept")
    part.replace(path)
    console.print(f"{path}: whole, checksum right", highlight=False, soft_wrap=True)
    return path


def _blocks(remote: Remote, start: int) -> Iterator[bytes | None]:
    """The file's bytes from `start` on; None first where its place sends all of it again."""
    if start >= remote.length:
        return
    request = Request(remote.url, headers={"User-Agent": "reslab"} | ({"Range": f"bytes={start}-"} if start else {}))
    with urlopen(request, timeout=_PATIENCE) as answer:
        if start and answer.status != 206:
            yield None
        while block := answer.read(_BLOCK):
            yield block


def _checksum(path: Path, like: str) -> str:
    algorithm = like.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
