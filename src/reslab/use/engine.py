"""Engines: torch, or a runtime for inference alone, whose outputs are checked against torch's."""

from typing import Literal, assert_never, get_args

import torch
from torch import Tensor, nn

from reslab.errors import ReslabError, SpecError
from reslab.extra import extra, quiet
from reslab.machine import benchmark_mode, find_precision, has_compiler
from reslab.nets.modules import Network
from reslab.train.step import WARM_UP, CudaGraph
from reslab.use.agree import TOLERANCE, difference
from reslab.use.folded import folded, fuse_relu
from reslab.use.onnx import Session, as_onnx

EngineName = Literal["torch", "openvino", "onnxruntime"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

_TOLERANCES = {"float32": TOLERANCE, "bf16": 0.1}  # relative to the largest output


def make_engine(network: Network, name: str, precision: str, compiles: bool, images: Tensor) -> nn.Module:
    """A module for inference with the outputs of a network: (N, C, H, W) float32 -> (N, classes) float32.

    precision: "float32", "bf16", or "auto", the faster one on this machine
    compiles: torch compiles the network for the shape of the first batch
    images: (N, C, H, W), a batch on which the outputs are checked against the network's
    Raises SpecError for an engine or precision that is not available, ReslabError if outputs differ by more than
    rounding.
    """
    engine_name = _engine_name(name)
    if compiles and (name != "torch" or not has_compiler()):
        raise SpecError(f"--compile on: {'is for --engine torch' if name != 'torch' else 'no C++ compiler here'}")
    if name == "onnxruntime":
        if precision == "bf16":
            raise SpecError("--engine onnxruntime computes in float32: use --precision float32, or another engine")
        precision = "float32"
    precision, _ = find_precision(precision, images.device.type)
    network = network.eval()
    engine: nn.Module
    match engine_name:
        case "torch":
            engine = _Torch(network, precision, compiles)
        case "openvino":
            engine = _OpenVINO(network, precision, images)
        case "onnxruntime":
            engine = Session(as_onnx(network).SerializeToString())
        case _:
            assert_never(engine_name)
    largest = difference(network, engine, images)
    if not largest <= _TOLERANCES[precision]:
        raise ReslabError(
            f"{name} in {precision} differs from torch in float32 by {largest:.1e} of the largest output\n"
            "nothing was computed with it; use --engine torch --precision float32"
        )
    return engine.eval()


def _engine_name(name: str) -> EngineName:
    for engine in ENGINES:
        if name == engine:
            return engine
    raise SpecError(f"--engine {name}: choose from {', '.join(ENGINES)}")


class _Torch(nn.Module):
    """BN folded, channels last, and compiled with the weights as constants; on a GPU as a CUDA graph."""

    def __init__(self, network: Network, precision: str, compiles: bool):
        super().__init__()
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.network = folded(network).to(dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        on_gpu = next(network.parameters()).is_cuda
        self.one_shape = compiles or on_gpu
        self.batch = 0
        self.graph: _Graph | None = None
        if compiles:
            with quiet():
                self.network.compile(dynamic=False, options={"freezing": not on_gpu})
        elif on_gpu:
            fuse_relu(self.network)

    def forward(self, images: Tensor) -> Tensor:
        count = len(images)
        self.batch = max(self.batch, count)
        if self.one_shape and count < self.batch:  # padded: another shape would be compiled, or captured, anew
            images = torch.cat([images, images.new_zeros(self.batch - count, *images.shape[1:])])
        with torch.no_grad(), quiet():
            if not images.is_cuda:
                images = images.to(dtype=self.dtype, memory_format=torch.channels_last)
                return self.network(images)[:count].float()  # type: ignore[no-any-return]
            if self.graph is None or self.graph.images.shape != images.shape:
                self.graph = _Graph(self.network, images.to(dtype=self.dtype, memory_format=torch.channels_last))
            return self.graph(images)[:count]


class _Graph:
    """A network as a CUDA graph, for batches of one shape: small ones take no longer than their kernels."""

    @torch.inference_mode(False)  # its buffers are written in any mode
    @torch.no_grad()
    def __init__(self, network: nn.Module, images: Tensor):
        self.network, self.images = network, images.clone()
        self.graph = CudaGraph()
        with benchmark_mode():
            for _ in range(WARM_UP):
                self.graph.warm_up(self._compute)
        self.graph.capture(self._compute)

    def __call__(self, images: Tensor) -> Tensor:
        self.images.copy_(images)
        self.graph.replay()
        return self.logits.clone()

    def _compute(self) -> None:
        self.logits: Tensor = self.network(self.images).float()


class _OpenVINO(nn.Module):
    """Intel's runtime, on any processor."""

    def __init__(self, network: Network, precision: str, images: Tensor):
        super().__init__()
        openvino = extra("openvino", "openvino")
        with quiet():
            model = openvino.convert_model(network, example_input=images[:1], input=[(-1, *images.shape[1:])])
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
        self.compiled = openvino.Core().compile_model(model, "CPU", hints)

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.compiled(images.numpy())[0].copy())
