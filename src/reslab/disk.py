"""Files that a crash cannot tear."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def open_no_link(path: Path, mode: str) -> IO[Any]:
    """Open a file, never a link in its place, which may name another's file. Raises OSError naming it."""
    try:
        return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "is a link, which is not followed; remove it", str(path)) from None
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a temporary file, sync, rename: a reader sees the whole old file or the whole new one. Makes the folder.

    The temporary name is unique, so that writers of one file do not disturb each other: the last one's file stays.
    Raises OSError naming the file if it cannot be written; the temporary file is removed, also by a stop.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder to write into, renamed to `folder` at the end, or removed after an error or a stop.

    Raises OSError naming the folder if it cannot be made or exists already.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a crash left
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(folder)) from None
        raise
