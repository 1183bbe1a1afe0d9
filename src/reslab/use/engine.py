"""What runs a trained network: torch itself, or a runtime that does nothing else, held against torch's own result."""

from typing import Literal

import torch
from torch import Tensor, nn

from reslab.errors import ReslabError, SpecError
from reslab.machine import find_precision, has_compiler
from reslab.nets.modules import Network
from reslab.use.agree import TOLERATED, difference
from reslab.use.extra import extra, quiet
from reslab.use.folded import folded
from reslab.use.onnx import Session, as_onnx

EngineName = Literal["torch", "openvino", "onnxruntime"]
ENGINES: tuple[EngineName, ...] = ("torch", "openvino", "onnxruntime")

_TOLERATED = {"float32": TOLERATED, "bf16": 0.1}  # of the largest output


def make_engine(network: Network, name: str, precision: str, compiles: bool, images: Tensor) -> nn.Module:
    """A module for inference that computes what a network does: (N, C, H, W) float32 -> (N, classes) float32.

    precision: "float32", "bf16", or "auto", which is the faster one on this machine
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
            engine = Session(as_onnx(network).SerializeToString())
        case _:
            engine = _Torch(network, precision, compiles)
    _hold_against(network, engine, images, f"{name} in {precision}", _TOLERATED[precision])
    return engine.eval()


def _hold_against(network: Network, engine: nn.Module, images: Tensor, told: str, tolerated: float) -> None:
    found = difference(network, engine, images)
    if not found <= tolerated:
        raise ReslabError(
            f"{told} differs from torch in float32 by {found:.1e} of the largest output\n"
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
            with quiet():
                self.network.compile(dynamic=False, options={"freezing": True})

    def forward(self, images: Tensor) -> Tensor:
        count = len(images)
        self.batch = max(self.batch, count)
        if self.compiles and count < self.batch:  # filled up, rather than compiled for another shape
            images = torch.cat([images, images.new_zeros(self.batch - count, *images.shape[1:])])
        images = images.to(dtype=self.dtype, memory_format=torch.channels_last)
        with torch.no_grad(), quiet():
            return self.network(images)[:count].float()  # type: ignore[no-any-return]


class _OpenVINO(nn.Module):
    """Intel's runtime, on processors of any make."""

    def __init__(self, network: Network, precision: str, images: Tensor):
        super().__init__()
        openvino = extra("openvino", "openvino")
        with quiet():
            model = openvino.convert_model(network, example_input=images[:1], input=[(-1, *images.shape[1:])])
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
        self.compiled = openvino.Core().compile_model(model, "CPU", hints)

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.compiled(images.numpy())[0].copy())
