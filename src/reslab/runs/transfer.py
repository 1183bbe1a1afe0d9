"""A run directory as bytes, to go on with it where nobody sees the directory itself."""

from pathlib import Path

from reslab.disk import write_whole
from reslab.runs.checkpoint import BEST
from reslab.weights.manifest import NAME, newest

Packed = dict[str, bytes]
"""The files of a run directory by their names in it, in the order in which they are to be written."""

_RECORD = ("run.json", "metrics.jsonl", BEST)
_RESULT = "result.json"


def pack(out: Path) -> Packed:
    """What a run has of its record, its last whole checkpoint, and its result; nothing of one that is not begun."""
    files = [out / name for name in _RECORD]
    if checkpoint := newest(out):
        files += sorted(checkpoint.iterdir(), key=lambda path: path.name == NAME)
    return {str(path.relative_to(out)): path.read_bytes() for path in [*files, out / _RESULT] if path.is_file()}


def unpack(out: Path, files: Packed) -> None:
    """Write what was packed; what makes a checkpoint hold, and the result, behind what they stand for."""
    for name, content in files.items():
        write_whole(out / name, content)
