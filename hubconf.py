"""Entry points of torch.hub: every named network, "-" and "." written "_", and `load` for weights.

torch.hub.load("PATH OF THIS REPOSITORY", "resnet20_cifar", source="local")
torch.hub.load("PATH OF THIS REPOSITORY", "resnet50_v1_5", source="local", classes=10)
"""

import sys as _sys
from pathlib import Path as _Path

dependencies = ["torch", "numpy", "pydantic", "safetensors"]

_sys.path.insert(0, str(_Path(__file__).parent / "src"))

from reslab import load, networks as _networks, replace as _replace  # noqa: E402, F401, I001


def _entry(named):
    def build(**fields):
        return _replace(named.network, **fields).build()

    build.__doc__ = (
        f"{named.name}, {named.source}. A torch module with fresh weights, (N, C, H, W) -> (N, classes).\n\n"
        f"Keywords are fields of its spec, such as classes=10. {named.deviation}"
    )
    return build


for _named in _networks():
    globals()[_named.name.replace("-", "_").replace(".", "_")] = _entry(_named)
