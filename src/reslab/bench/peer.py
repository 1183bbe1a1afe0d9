"""A peer in its own process: a plain torch loop with torch's defaults, eager and in float32 if not ordered otherwise.

The peer's network is torchvision's or timm's, in any python that has the library, without reslab, or a module that one
of our specs builds, trained without the rest of reslab. It reads orders from stdin and answers each with a line, both
JSON:

{"library", "name", "spec", "batch", "size", "what", "images", "engine", "precision", "folder", "device", "amp",
"compile", "item"} -> {"parameters"}; once. It then writes its random weights to weights.pth in the folder, and two
images with their logits to outputs.pth. "what" is training, inference or batches (no network); "images" of training are
"ready" as tensors, or "per-image"; "amp" is bf16 and channels last; "item" reads the loss after each step, as training
scripts do.
{"seconds"} -> {"images_per_second"} of batches for that time
"""

import importlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

with suppress(ModuleNotFoundError):  # declares torchvision's operators where torch's build lacks them
    importlib.import_module("cpu_shim")


def make(order: dict[str, Any]) -> nn.Module:
    """The peer's network, with random BN statistics and scales of both signs, as after a training."""
    torch.manual_seed(0)
    library, name = order["library"], order["name"]
    if library == "reslab":
        from reslab.nets import AnyNetwork
        from reslab.spec import from_json

        return from_json(AnyNetwork, order["spec"]).build()  # type: ignore[no-any-return]
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


def save_outputs(model: nn.Module, size: int, folder: Path) -> None:
    """Save its weights, two images and their logits, for comparisons."""
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        logits = model(images)
    torch.save(model.state_dict(), folder / "weights.pth")
    torch.save({"images": images, "logits": logits}, folder / "outputs.pth")


class PerImage(Dataset[tuple[Tensor, int]]):
    """Random images of CIFAR's shape, one by one, augmented by Pillow as torchvision's transforms do.

    Random horizontal flip, padding by 4 pixels, random crop, tensor in 0..1, normalised by a mean and a deviation.
    """

    def __init__(self, count: int, channels: int, size: int):
        shape = (count, size, size, 3) if channels == 3 else (count, size, size)
        self.pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        self.channels, self.size = channels, size

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.pixels[index])
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, top = random.randrange(9), random.randrange(9)
        picture = ImageOps.expand(picture, 4).crop((left, top, left + self.size, top + self.size))
        tensor = torch.from_numpy(np.array(picture)).reshape(self.size, self.size, self.channels).permute(2, 0, 1)
        return tensor.contiguous().float().div(255).sub(0.45).div(0.225), index % 10


def batches_of(order: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless training batches; per-image ones by a DataLoader with four workers, as pytorch_resnet_cifar10 has it."""
    batch, channels, size = order["batch"], order.get("channels", 3), order["size"]
    device = device_of(order)
    if order.get("images") != "per-image":
        ready = torch.randn(batch, channels, size, size, device=device), torch.arange(batch, device=device) % 10
        while True:
            yield ready
    images, pins = PerImage(max(50_000, batch), channels, size), device.type == "cuda"
    while True:
        for pixels, labels in DataLoader(images, batch, shuffle=True, drop_last=True, num_workers=4, pin_memory=pins):
            yield pixels.to(device), labels.to(device)


def device_of(order: dict[str, Any]) -> torch.device:
    return torch.device(order.get("device", "cpu"))


def amp_of(order: dict[str, Any]) -> AbstractContextManager[Any]:
    """The context of the forward pass."""
    return torch.autocast(device_of(order).type, torch.bfloat16) if order.get("amp") else nullcontext()


def on_device(model: nn.Module, order: dict[str, Any]) -> nn.Module:
    """The model where and how it is to run."""
    model = model.to(device_of(order))
    if order.get("amp"):
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if order.get("compile"):
        model.compile()
    return model


def finish(order: dict[str, Any]) -> None:
    """Wait for the device."""
    if device_of(order).type == "cuda":
        torch.cuda.synchronize()


def make_batch_function(model: nn.Module | None, order: dict[str, Any]) -> Callable[[], object]:
    """A function that trains, predicts or loads one batch, as ordered."""
    if order["what"] == "inference":
        assert model is not None
        return make_predict(model, order)
    batches = batches_of(order)
    if model is None:
        return lambda: next(batches)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    model.train()

    def step() -> None:
        images, labels = next(batches)
        if order.get("amp"):
            images = images.contiguous(memory_format=torch.channels_last)
        with amp_of(order):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if order.get("item"):
            loss.item()

    return step


def make_predict(model: nn.Module, order: dict[str, Any]) -> Callable[[], object]:
    """A function that computes the logits of a batch, in eager torch or in OpenVINO."""
    images = torch.randn(order["batch"], 3, order["size"], order["size"], device=device_of(order))
    if order.get("amp"):
        images = images.contiguous(memory_format=torch.channels_last)
    if order["engine"] == "openvino":
        openvino = importlib.import_module("openvino")
        converted = openvino.convert_model(model, example_input=images[:1], input=[(-1, *images.shape[1:])])
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": order["precision"]}
        compiled = openvino.Core().compile_model(converted, "CPU", hints)
        return lambda: compiled(images.numpy())

    @torch.inference_mode()
    def predict() -> object:
        with amp_of(order):
            return model(images)

    return predict


def main() -> None:
    order = json.loads(sys.stdin.readline())
    torch.backends.cudnn.benchmark = device_of(order).type == "cuda"  # as their training scripts have it
    model = None if order["what"] == "batches" else make(order)
    if model is not None and order["library"] != "reslab":
        save_outputs(model, order["size"], Path(order["folder"]))
    model = model and on_device(model, order)
    work = make_batch_function(model, order)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()) if model else 0}), flush=True)
    for line in sys.stdin:
        seconds, start, batches = json.loads(line)["seconds"], time.perf_counter(), 0
        while time.perf_counter() - start < seconds or not batches:
            work()
            batches += 1
        finish(order)
        rate = batches * order["batch"] / (time.perf_counter() - start)
        print(json.dumps({"images_per_second": rate}), flush=True)


if __name__ == "__main__":
    main()
