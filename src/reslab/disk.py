"""Files that a crash cannot tear."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, sync, rename: a reader sees the whole old file or the whole new one. Makes the folder.

    Raises OSError naming the file where it cannot be written; what was written of it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
