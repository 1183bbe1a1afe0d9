"""Files that a crash cannot tear."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, sync, rename: a reader sees the whole old file or the whole new one. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
