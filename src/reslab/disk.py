"""Files that a crash cannot tear."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_NO_FILE = (errno.ENXIO, errno.EISDIR)  # to write to: a pipe that nobody reads, a folder


def open_no_link(path: Path, mode: str, encoding: str | None = None) -> IO[Any]:
    """Open a file, never a link in its place, which may name another's file, nor a pipe, which may wait for ever.

    Raises OSError naming it.
    """
    try:
        return _open_regular(path, mode, os.O_NOFOLLOW, encoding)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "is a link, which is not followed; remove it", str(path)) from None
        raise


def read_file(path: Path) -> bytes:
    """The bytes of a regular file: a pipe may wait for ever, a device may have no end. Raises OSError naming it."""
    with _open_regular(path, "rb") as file:
        content: bytes = file.read()
        return content


def _open_regular(path: Path, mode: str, flags: int = 0, encoding: str | None = None) -> IO[Any]:
    def opener(name: str, own: int) -> int:
        try:
            descriptor = os.open(name, own | flags | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise OSError(errno.EINVAL, "not a file", name) from None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", name)

    return open(path, mode, opener=opener, encoding=encoding)


def shortened(name: str, length: int = 200) -> str:
    """A file's name of at most so many bytes; file systems take 255, of which a temporary name adds some."""
    return os.fsdecode(os.fsencode(name)[:length])


def remove(path: Path) -> None:
    """Remove a folder with all in it, or a file; of a link the link alone. Nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a temporary file, sync, rename: a reader sees the whole old file or the whole new one. Makes the folder.

    The temporary name is unique, so that writers of one file do not disturb each other: the last one's file stays.
    Raises OSError naming the file if it cannot be written; the temporary file is removed, also by a stop.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{shortened(path.name)}.{secrets.token_hex(4)}.part")
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
    part = folder.with_name(f".{shortened(folder.name)}.part")
    try:
        remove(part)  # what a crash left
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(folder)) from None
        raise
