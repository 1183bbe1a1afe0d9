"""Manifests: the length and SHA-256 of every file of a folder, so that damage shows."""

import hashlib
import json
import re
from pathlib import Path

from reslab.disk import read_file, write_whole

NAME = "MANIFEST.json"
STEP = re.compile(r"step-[0-9]+")  # the name of a checkpoint's folder


def write_manifest(folder: Path) -> None:
    """Write the manifest of a folder, after all of its other files."""
    files = {path.name: _entry(path) for path in sorted(folder.iterdir()) if path.name != NAME}
    write_whole(folder / NAME, json.dumps({"files": files}, indent=2, allow_nan=False).encode())


def holds(folder: Path) -> bool:
    """Whether a folder has a manifest and all files in it, unchanged. A path out of the folder does not hold."""
    manifest = folder / NAME
    try:
        files = json.loads(read_file(manifest))["files"] if manifest.is_file() else {}
        return bool(files) and all(
            name == Path(name).name and _entry(folder / name) == entry for name, entry in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _entry(path: Path) -> dict[str, int | str]:
    if not path.is_file():  # a pipe or a device would be read for ever
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def newest(run: Path) -> Path | None:
    """The last checkpoint of a run whose manifest holds; None if there is none."""
    for folder in sorted((run / "checkpoints").glob("step-*"), reverse=True):
        if STEP.fullmatch(folder.name) and holds(folder):
            return folder
    return None
