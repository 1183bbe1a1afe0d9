"""Sending a run directory to a node without the shared file system, and back."""

from pathlib import Path

from reslab.disk import write_whole
from reslab.runs.run import ANSWERS, BEST, METRICS, RECORD, RESULT
from reslab.weights.manifest import NAME, newest

Packed = dict[str, bytes]
"""The files of a run directory by their names in it, in the order in which they are to be written."""


def pack(out: Path) -> Packed:
    """The record, newest whole checkpoint and result of a run; empty for one that has not begun.

    The manifest is after the checkpoint's other files and the result is last, so that a torn copy shows.
    """
    files = [out / name for name in (RECORD, METRICS, BEST, ANSWERS)]
    if checkpoint := newest(out):
        files += sorted(checkpoint.iterdir(), key=lambda path: path.name == NAME)
    return {str(path.relative_to(out)): path.read_bytes() for path in [*files, out / RESULT] if path.is_file()}


def unpack(out: Path, files: Packed) -> None:
    """Write the files of `pack`, in their order."""
    for name, content in files.items():
        write_whole(out / name, content)
