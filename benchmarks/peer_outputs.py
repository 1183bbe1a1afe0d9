"""One network of torchvision or timm with random weights, an input and its output, for agreement.py.

Runs in an environment that has torchvision and timm: python peer_outputs.py LIBRARY NETWORK DIRECTORY
"""

import importlib
import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

with suppress(ModuleNotFoundError):  # declares torchvision's operators where torch's build lacks them
    importlib.import_module("cpu_shim")


def make(library: str, name: str) -> nn.Module:
    if library == "timm":
        return importlib.import_module("timm").create_model(name)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(importlib.import_module("torchvision").models, name)(weights=None, **extra)


def main() -> None:
    library, name, directory = sys.argv[1:]
    torch.manual_seed(0)
    model = make(library, name).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics and scales as training leaves them, of both signs
            nn.init.normal_(module.weight, 1, 0.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    size = 299 if "inception" in name else 224
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        logits = model(images)
    torch.save(model.state_dict(), Path(directory) / "weights.pth")
    torch.save({"images": images, "logits": logits}, Path(directory) / "outputs.pth")


if __name__ == "__main__":
    main()
