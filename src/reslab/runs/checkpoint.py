"""Checkpoints: all that a run needs to go on as if it had never stopped."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from reslab.disk import write_whole
from reslab.train.learner import Learner
from reslab.train.optim import load_optimizer_state, optimizer_state
from reslab.weights.file import MODEL, State, Weights, read_weights, save_state, save_weights
from reslab.weights.manifest import write_manifest

BEST = "best.safetensors"  # in a run, and in its checkpoints what it was then
_TRAINING, _OPTIMIZER, _STATE = "training.safetensors", "optimizer.safetensors", "state.json"


def save_checkpoint(out: Path, step: int, kept: Weights, learner: Learner | None, told: Any, stay: int = 2) -> Path:
    """Write checkpoints/step-<step> of a run; only when it stands whole are older ones dropped: `stay` are left.

    It holds `kept`, the network to keep, `told`, plain values, the run's best weights where it keeps them, and, but
    behind the last step, where learner is None, what going on needs: the optimizer's state and, where the network to
    keep is an average, the one that learns.
    It is written beside, synced, named in a manifest and renamed into place.
    """
    folder = out / "checkpoints" / f"step-{step:08d}"
    beside = folder.with_name(f".{folder.name}.part")
    for old in (beside, folder):
        shutil.rmtree(old, ignore_errors=True)  # what a crash left, or a checkpoint that did not hold
    beside.mkdir(parents=True)
    save_weights(kept, beside / MODEL)
    if learner is not None:
        save_state(_on_cpu(optimizer_state(learner.optimizer, learner.network)), beside / _OPTIMIZER)
        if learner.ema:
            save_state(_on_cpu(learner.network.state_dict()), beside / _TRAINING)
    if (out / BEST).is_file():
        write_whole(beside / BEST, (out / BEST).read_bytes())
    write_whole(beside / _STATE, json.dumps({"step": step, **told}, indent=2).encode())
    write_manifest(beside)
    beside.rename(folder)
    _sync(folder.parent)
    for old in sorted(folder.parent.glob("step-*"))[:-stay]:
        shutil.rmtree(old)
    return folder


def restore(folder: Path, learner: Learner) -> dict[str, Any]:
    """Bring what learns to a checkpoint; return what was told with it."""
    kept = read_weights(folder / MODEL).state
    if learner.ema:
        learner.ema.network.load_state_dict(kept)
    behind = folder / _TRAINING  # not there behind the last step
    learner.network.load_state_dict(load_file(behind) if behind.is_file() else kept)
    if (folder / _OPTIMIZER).is_file():
        load_optimizer_state(learner.optimizer, learner.network, load_file(folder / _OPTIMIZER))
    return json.loads((folder / _STATE).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def restore_best(out: Path, folder: Path | None) -> None:
    """Bring a run's best weights to what they were at a checkpoint; None is before the first."""
    if folder is not None and (folder / BEST).is_file():
        write_whole(out / BEST, (folder / BEST).read_bytes())
    else:
        (out / BEST).unlink(missing_ok=True)


def _on_cpu(state: Mapping[str, Tensor]) -> State:
    return {key: value.cpu() for key, value in state.items()}


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
