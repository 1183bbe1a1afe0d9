"""Downloads of data sets from their official servers, each file checked before it is used."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from reslab.disk import open_no_link
from reslab.errors import DataError

_BLOCK = 1 << 18
_PATIENCE = 30  # seconds without a byte


class Remote(NamedTuple):
    """A file on its official server, and its path under the data root; `checksum` is algorithm:hex digits."""

    url: str
    file: str
    length: int
    checksum: str


def get(files: Sequence[Remote], root: Path, console: Console) -> list[Path]:
    """Download the files that are not there yet, and return the paths of all of them.

    An interrupted download is resumed. A file is put in its place only when it is complete and has its checksum. Raises
    DataError for a file that cannot be downloaded.
    """
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return [_get(remote, root / remote.file, console, progress) for remote in files]


def _get(remote: Remote, path: Path, console: Console, progress: Progress) -> Path:
    if path.is_file():
        if _checksum(path, remote.checksum) != remote.checksum:
            raise DataError(f"{path}: not the official file; remove it and get it anew")
        console.print(f"{path}: present, checksum right", highlight=False, soft_wrap=True)
        return path
    console.print(f"{remote.url}, {remote.length / 1e6:,.1f} MB", highlight=False, soft_wrap=True)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        task = progress.add_task(path.name, total=remote.length)
        with open_no_link(part, "ab") as file:
            size = file.tell()
            for block in _blocks(remote, size):
                if block is None:
                    size = 0
                    file.truncate(0)
                    progress.reset(task)
                    continue
                size += len(block)
                if size > remote.length:
                    raise DataError(f"{remote.url}: longer than the official {remote.length:,} bytes")
                file.write(block)
                progress.update(task, completed=size)
    except HTTPError as error:
        raise DataError(f"{remote.url}: {error.code} {error.reason}; put the file at {path} yourself") from None
    except URLError as error:
        raise DataError(f"{remote.url}: {error.reason}; put the file at {path} yourself") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; the same command resumes it") from None
    if part.stat().st_size < remote.length:
        raise DataError(f"{remote.url}: interrupted; the same command resumes it")
    if (checksum := _checksum(part, remote.checksum)) != remote.checksum:
        part.unlink()
        raise DataError(f"{remote.url}: is {checksum}, expected {remote.checksum}; it was not kept")
    part.replace(path)
    console.print(f"{path}: complete, checksum right", highlight=False, soft_wrap=True)
    return path


def _blocks(remote: Remote, start: int) -> Iterator[bytes | None]:
    """The file's bytes from `start` on; None first if the server sends all of it again."""
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
