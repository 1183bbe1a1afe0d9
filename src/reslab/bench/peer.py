"""A network of torchvision or timm in a process of its own, at work as one would write it by hand: eager, in float32.

Runs alone, in any python that has the library; nothing of reslab is imported. It reads orders from its input and
answers each with a line, both JSON:

{"library", "name", "batch", "size", "what", "engine", "precision", "folder"} -> {"parameters"}; once. Its random
weights are in weights.pth in the folder, and what it makes of two images in outputs.pth.
{"seconds"} -> {"images_per_second"} of as many batches as fill that time
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

with suppress(ModuleNotFoundError):  # declares torchvision's operators where torch's build lacks them
    importlib.import_module("cpu_shim")


def make(library: str, name: str) -> nn.Module:
    """The library's network, its BN with statistics and scales as training leaves them, of both signs."""
    torch.manual_seed(0)
    if library == "timm":
        model = importlib.import_module("timm").create_model(name)
    else:
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model = getattr(importlib.import_module("torchvision").models, name)(weights=None, **extra)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return model.eval()  # type: ignore[no-any-return]


def keep(model: nn.Module, size: int, folder: Path) -> None:
    """Its weights, two images and its outputs, for others to be held against."""
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        logits = model(images)
    torch.save(model.state_dict(), folder / "weights.pth")
    torch.save({"images": images, "logits": logits}, folder / "outputs.pth")


def at_work(model: nn.Module, order: dict[str, Any]) -> Callable[[], object]:
    """A function that does a batch of what was ordered."""
    images = torch.randn(order["batch"], 3, order["size"], order["size"])
    if order["what"] == "training":
        labels = torch.arange(order["batch"])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        model.train()

        def step() -> None:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return step
    if order["engine"] == "openvino":
        openvino = importlib.import_module("openvino")
        converted = openvino.convert_model(model, example_input=images[:1], input=[(-1, *images.shape[1:])])
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": order["precision"]}
        compiled = openvino.Core().compile_model(converted, "CPU", hints)
        return lambda: compiled(images.numpy())
    return torch.inference_mode()(lambda: model(images))


def main() -> None:
    order = json.loads(sys.stdin.readline())
    model = make(order["library"], order["name"])
    keep(model, order["size"], Path(order["folder"]))
    work = at_work(model, order)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters())}), flush=True)
    for line in sys.stdin:
        seconds, start, batches = json.loads(line)["seconds"], time.perf_counter(), 0
        while time.perf_counter() - start < seconds or not batches:
            work()
            batches += 1
        rate = batches * order["batch"] / (time.perf_counter() - start)
        print(json.dumps({"images_per_second": rate}), flush=True)


if __name__ == "__main__":
    main()
