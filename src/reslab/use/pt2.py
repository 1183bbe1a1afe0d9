"""A network as torch.export has it.

torch unpickles parts of a .pt2 file when it loads one, so that a stranger's can run anything. Nothing here reads one
but what was written just before; safetensors files run nothing.
"""

import io
import json
from typing import Any

import torch
from torch import nn

from reslab.nets.modules import Network
from reslab.use.extra import quiet
from reslab.use.folded import folded

_TOLD = "reslab.json"


def as_pt2(network: Network, told: dict[str, Any]) -> bytes:
    """The .pt2 file of a network for any batch, on the device that it is on, with BN folded into the convolutions.

    told: plain values that go into the file as reslab.json, see torch.export.load's extra_files
    """
    images = torch.zeros(2, *network.spec.input, device=next(network.parameters()).device)
    with quiet(), torch.no_grad():
        program = torch.export.export(folded(network), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={_TOLD: json.dumps(told)})
    return file.getvalue()


def read_back(file: bytes) -> nn.Module:
    """The module of a .pt2 file that this process wrote."""
    with quiet():
        module: nn.Module = torch.export.load(io.BytesIO(file)).module()
    return module
