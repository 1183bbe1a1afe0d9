"""Networks as torch.export programs.

torch unpickles parts of a .pt2 file when it loads one, so a stranger's file can run anything. Only files that were
written just before are read here; safetensors files run nothing.
"""

import io
import json
from typing import Any

import torch
from torch import nn

from reslab.extra import quiet
from reslab.nets.modules import Network
from reslab.use.folded import folded

_METADATA = "reslab.json"


def as_pt2(network: Network, metadata: dict[str, Any]) -> bytes:
    """The .pt2 file of a network for any batch, on the network's device, with BN folded into the convolutions.

    metadata: plain values, in the file as reslab.json; see extra_files of torch.export.load
    """
    images = torch.zeros(2, *network.spec.input, device=next(network.parameters()).device)
    with quiet(), torch.no_grad():
        program = torch.export.export(folded(network), (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={_METADATA: json.dumps(metadata, allow_nan=False)})
    return file.getvalue()


def read_back(file: bytes) -> nn.Module:
    """The module of a .pt2 file that this process wrote."""
    with quiet():
        module: nn.Module = torch.export.load(io.BytesIO(file)).module()
    return module
