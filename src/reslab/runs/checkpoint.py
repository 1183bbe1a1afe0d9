"""Checkpoints: everything that a run needs to continue as if it had never stopped."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from reslab.disk import remove, write_whole, written_whole
from reslab.errors import DataError
from reslab.runs.contents import Progress, read_json, read_value, to_tree
from reslab.runs.run import BEST as BEST
from reslab.runs.run import CHECKPOINTS
from reslab.weights.file import MODEL, State, Weights, read_weights, save_state, save_weights
from reslab.weights.manifest import STEP, write_manifest

_TRAINING, _OPTIMIZER, _STATE = "training.safetensors", "optimizer.safetensors", "state.json"


class TrainingState(NamedTuple):
    """A training after some steps.

    weights: of the model that is evaluated, which is the EMA if there is one
    progress: state.json
    training: the state dict of the model that is trained, if it is not the one of `weights`
    optimizer: the optimizer's tensors by name; None if no step follows
    """

    weights: Weights
    progress: Progress
    training: Mapping[str, Tensor] | None = None
    optimizer: Mapping[str, Tensor] | None = None


def save_checkpoint(out: Path, state: TrainingState, keep: int = 2) -> Path:
    """Write checkpoints/step-<step> of a run atomically, then remove all but the newest `keep`.

    The folder is written under a temporary name, synced, listed in a manifest and renamed. It holds a copy of the run's
    best weights so far, if the run keeps them.
    """
    folder = out / CHECKPOINTS / f"step-{state.progress.step:08d}"
    remove(folder)  # a damaged checkpoint
    with written_whole(folder) as part:
        save_weights(state.weights, part / MODEL)
        for name, tensors in ((_TRAINING, state.training), (_OPTIMIZER, state.optimizer)):
            if tensors is not None:
                save_state({key: value.cpu() for key, value in tensors.items()}, part / name)
        if (out / BEST).is_file():
            write_whole(part / BEST, (out / BEST).read_bytes())
        write_whole(part / _STATE, json.dumps(to_tree(state.progress), indent=2, allow_nan=False).encode())
        write_manifest(part)
    _sync(folder.parent)
    for old in sorted(each for each in folder.parent.iterdir() if STEP.fullmatch(each.name))[:-keep]:
        remove(old)
    return folder


def read_checkpoint(folder: Path) -> TrainingState:
    """Read a whole checkpoint. Raises DataError naming a file that is damaged."""
    progress = read_value(Progress, read_json(folder / _STATE), str(folder / _STATE))
    return TrainingState(
        read_weights(folder / MODEL), progress, _tensors(folder / _TRAINING), _tensors(folder / _OPTIMIZER)
    )


def _tensors(file: Path) -> State | None:
    """The tensors of a file; None if a checkpoint has no such file."""
    if not file.is_file():
        return None
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{file}: not a whole safetensors file ({error})") from None


def restore_best(out: Path, folder: Path | None) -> None:
    """Restore a run's best weights to those of a checkpoint; with None, from before the first one, remove them."""
    if folder is not None and (folder / BEST).is_file():
        write_whole(out / BEST, (folder / BEST).read_bytes())
    else:
        (out / BEST).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
