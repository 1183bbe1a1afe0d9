"""Files that a crash cannot tear."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, sync, rename: a reader sees the whole old file or the whole new one. Makes the folder.

    Raises OSError naming the file where it cannot be written; what was written of it is removed, also by a stop.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all is written, and is removed where that fails or is stopped.

    Raises OSError naming the folder where it cannot be made, or is there already.
    """
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)  # what a crash left
    try:
        beside.mkdir(parents=True)
        yield beside
        beside.rename(folder)
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(folder)) from None
        raise
