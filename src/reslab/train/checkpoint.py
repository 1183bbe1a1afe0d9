"""Checkpoints: all that a run needs to go on as if it had never stopped."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from reslab.disk import write_whole
from reslab.nets.modules import Network
from reslab.weights.file import MODEL, Weights, save_state, save_weights
from reslab.weights.manifest import newest, write_manifest

KEPT = 2  # checkpoints of a run, the last and the one before
_OPTIMIZER, _STATE = "optimizer.safetensors", "state.json"


def save_checkpoint(out: Path, step: int, model: Network, optimizer: torch.optim.SGD | None, told: Any) -> Path:
    """Write checkpoints/step-<step> of a run; only when it stands whole are older ones dropped.

    It holds the network with its spec, the optimizer's velocities (not behind the last step, where optimizer is None)
    and `told`, plain values. It is written beside, synced, named in a manifest and renamed into place.
    """
    folder = out / "checkpoints" / f"step-{step:08d}"
    beside = folder.with_name(f".{folder.name}.part")
    for old in (beside, folder):
        shutil.rmtree(old, ignore_errors=True)  # what a crash left, or a checkpoint that did not hold
    beside.mkdir(parents=True)
    save_weights(Weights(model.spec, {key: value.cpu() for key, value in model.state_dict().items()}), beside / MODEL)
    if optimizer is not None:
        save_state(_velocities(model, optimizer), beside / _OPTIMIZER)
    write_whole(beside / _STATE, json.dumps({"step": step, **told}, indent=2).encode())
    write_manifest(beside)
    beside.rename(folder)
    _sync(folder.parent)
    for old in sorted(folder.parent.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)
    return folder


def restore(out: Path, model: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Any] | None:
    """Bring a model and its optimizer to a run's newest whole checkpoint; return what was told with it.

    None where there is no checkpoint; a damaged one is passed over for the one before.
    """
    folder = newest(out)
    if folder is None:
        return None
    model.load_state_dict(load_file(folder / MODEL))
    velocities = load_file(folder / _OPTIMIZER) if (folder / _OPTIMIZER).is_file() else {}
    for name, parameter in model.named_parameters():
        if name in velocities:
            optimizer.state[parameter]["momentum_buffer"] = velocities[name].to(parameter.device)
    return json.loads((folder / _STATE).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _velocities(model: nn.Module, optimizer: torch.optim.SGD) -> dict[str, torch.Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        velocity = optimizer.state[parameter].get("momentum_buffer") if parameter in optimizer.state else None
        if velocity is not None:
            found[name] = velocity.cpu()
    return found


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
