"""ONNX models, and the runtime that runs them."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reslab.errors import SpecError
from reslab.extra import extra, quiet
from reslab.nets.modules import GlobalAverage, Network
from reslab.use.folded import folded


class Onnx(NamedTuple):
    """The form of an ONNX model.

    opset: version of the operators
    ir_version: version of the file format, which older runtimes refuse; None is 10, or the oldest for the opset
    any_size: height and width are free, for networks whose head averages over the map
    """

    opset: int = 18
    ir_version: int | None = None
    any_size: bool = False


def as_onnx(network: Network, form: Onnx = Onnx()) -> Any:  # noqa: B008, it is frozen
    """The onnx.ModelProto of a network: "images" (batch, C, H, W) -> "logits" (batch, classes), for any batch.

    BN is folded into the convolutions, and the weights are inside. Raises SpecError if an extra is missing or the
    network or the libraries have no such form.
    """
    onnx = extra("onnx", "onnx")
    extra("onnxscript", "onnx")
    free = {0: torch.export.Dim("batch")}
    if form.any_size:
        if not any(isinstance(part, GlobalAverage) for part in network.modules()):
            raise SpecError("--any-size: is for networks whose head averages over the map; this one's reads one size")
        free |= {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    images = torch.zeros(2, *network.spec.input)  # one image would fix the batch
    newest = onnx.defs.onnx_opset_version()
    if not Onnx().opset <= form.opset <= newest:
        raise SpecError(f"--opset {form.opset}: choose from {Onnx().opset} to {newest}")
    with quiet():
        program = torch.onnx.export(
            folded(network).cpu(),
            (images,),
            dynamo=True,
            opset_version=form.opset,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=(free,),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    oldest = onnx.helper.find_min_ir_version_for(model.opset_import)
    version = max(10, oldest) if form.ir_version is None else form.ir_version
    if not oldest <= version <= onnx.IR_VERSION:
        raise SpecError(f"--ir-version {version}: choose from {oldest} to {onnx.IR_VERSION} for opset {form.opset}")
    model.ir_version = version
    return model


class Session(nn.Module):
    """An ONNX model in onnxruntime, on the processor. (N, C, H, W) float32 -> (N, classes) float32.

    Raises SpecError if the runtime has not the model's versions.
    """

    def __init__(self, model: bytes):
        super().__init__()
        runtime = extra("onnxruntime", "onnx")
        errors = extra("onnxruntime.capi.onnxruntime_pybind11_state", "onnx")
        try:
            self.session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
        except (errors.Fail, errors.InvalidGraph, errors.NotImplemented) as error:
            reason = str(error).splitlines()[0][:200]
            raise SpecError(f"onnxruntime {runtime.__version__} does not run this model: {reason}") from None
        self.input = self.session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {self.input: images.cpu().numpy()})[0]).to(images.device)
