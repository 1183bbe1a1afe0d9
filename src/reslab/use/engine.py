"""What runs a trained network: torch itself, or a runtime that does nothing else, held against torch's own result."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reslab.errors import ReslabError, SpecError
from reslab.machine import find_precision, has_compiler
from reslab.nets.modules import Network
from reslab.use.folded import folded

EngineName = Literal["torch", "openvino", "onnxruntime"]
ENGINES: tuple[EngineName, ...] = ("torch", "openvino", "onnxruntime")

_TOLERATED = {"float32": 1e-4, "bf16": 0.1}  # of the largest output


def make_engine(network: Network, name: str, precision: str, compiles: bool, images: Tensor) -> nn.Module:
    """A module for inference that computes what a network does: (N, C, H, W) float32 -> (N, classes) float32.

    precision: "float32", "bf16", or "auto", which is bf16 where the machine has it
    compiles: torch compiles the network for the shape of the first images that it sees
    images: (N, C, H, W), some on which the engine's outputs are held against the network's own
    Raises SpecError for an engine or precision that is not to be had, ReslabError where the outputs differ by more
    than rounding.
    """
    if name not in ENGINES:
        raise SpecError(f"--engine {name}: choose from {', '.join(ENGINES)}")
    if compiles and (name != "torch" or not has_compiler()):
        raise SpecError(f"--compile on: {'is for --engine torch' if name != 'torch' else 'no C++ compiler here'}")
    if name == "onnxruntime":
        if precision == "bf16":
            raise SpecError("--engine onnxruntime computes in float32: use --precision float32, or another engine")
        precision = "float32"
    precision, _ = find_precision(precision, images.device.type)
    network = network.eval()
    engine: nn.Module
    match name:
        case "openvino":
            engine = _OpenVINO(network, precision, images)
        case "onnxruntime":
            engine = _ONNXRuntime(network, images)
        case _:
            engine = _Torch(network, precision, compiles)
    _hold_against(network, engine, images, f"{name} in {precision}", _TOLERATED[precision])
    return engine.eval()


@torch.inference_mode()
def _hold_against(network: Network, engine: nn.Module, images: Tensor, told: str, tolerated: float) -> None:
    expected = network(images)
    difference = float((engine(images) - expected).abs().max() / expected.abs().max())
    if not difference <= tolerated:
        raise ReslabError(
            f"{told} differs from torch in float32 by {difference:.1e} of the largest output\n"
            "nothing was computed with it; use --engine torch --precision float32"
        )


class _Torch(nn.Module):
    """BN folded, channels last, and compiled with the weights as constants."""

    def __init__(self, network: Network, precision: str, compiles: bool):
        super().__init__()
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.network = folded(network).to(dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.compiles = compiles
        self.batch = 0
        if compiles:
            with _quiet():
                self.network.compile(dynamic=False, options={"freezing": True})

    def forward(self, images: Tensor) -> Tensor:
        count = len(images)
        self.batch = max(self.batch, count)
        if self.compiles and count < self.batch:  # filled up, rather than compiled for another shape
            images = torch.cat([images, images.new_zeros(self.batch - count, *images.shape[1:])])
        images = images.to(dtype=self.dtype, memory_format=torch.channels_last)
        with torch.no_grad(), _quiet():
            return self.network(images)[:count].float()  # type: ignore[no-any-return]


class _OpenVINO(nn.Module):
    """Intel's runtime, on processors of any make."""

    def __init__(self, network: Network, precision: str, images: Tensor):
        super().__init__()
        openvino = _extra("openvino", "openvino")
        with _quiet():
            model = openvino.convert_model(network, example_input=images[:1], input=[(-1, *images.shape[1:])])
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
        self.compiled = openvino.Core().compile_model(model, "CPU", hints)

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.compiled(images.numpy())[0].copy())


class _ONNXRuntime(nn.Module):
    """Microsoft's runtime, on the processor."""

    def __init__(self, network: Network, images: Tensor):
        super().__init__()
        runtime = _extra("onnxruntime", "onnx")
        _extra("onnxscript", "onnx")
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = Path(folder) / "network.onnx"
            shapes = ({0: torch.export.Dim.DYNAMIC},)
            torch.onnx.export(
                network, (images[:1].repeat(2, 1, 1, 1),), file, dynamo=True, dynamic_shapes=shapes, verbose=False
            )
            self.session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {self.input: images.numpy()})[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of tracing, of shapes that reslab's networks fix, of the compiler, of its own past, and of
    the ONNX exporter, of torchvision, which nothing here needs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _extra(module: str, extra: str) -> Any:
    """A library of an extra. Raises SpecError that says how to get it."""
    try:
        return import_module(module)
    except ImportError:
        raise SpecError(f"{module} is not installed: pip install 'reslab[{extra}]'") from None
