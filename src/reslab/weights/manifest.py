"""Folders of files that belong together: a manifest names each with its length and SHA-256, so that damage shows."""

import hashlib
import json
from pathlib import Path

from reslab.disk import write_whole

NAME = "MANIFEST.json"


def write_manifest(folder: Path) -> None:
    """Name every file of a folder in its manifest, written last."""
    told = {path.name: _described(path) for path in sorted(folder.iterdir()) if path.name != NAME}
    write_whole(folder / NAME, json.dumps({"files": told}, indent=2).encode())


def holds(folder: Path) -> bool:
    """Whether a folder has a manifest and every file that it names, unchanged."""
    try:
        told = json.loads((folder / NAME).read_text(encoding="utf-8"))["files"]
        return bool(told) and all(_described(folder / name) == described for name, described in told.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _described(path: Path) -> dict[str, int | str]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def newest(run: Path) -> Path | None:
    """The last checkpoint of a run whose manifest holds; None where there is none."""
    for folder in sorted((run / "checkpoints").glob("step-*"), reverse=True):
        if holds(folder):
            return folder
    return None
