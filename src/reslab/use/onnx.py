"""A network as an ONNX model, and the runtime that runs it."""

from typing import Any

import torch
from torch import Tensor, nn

from reslab.nets.modules import Network
from reslab.use.extra import extra, quiet
from reslab.use.folded import folded

OPSET = 18
"""The version of ONNX's operators that models are written in."""


def as_onnx(network: Network) -> Any:
    """The onnx.ModelProto of a network: "images" (batch, C, H, W) -> "logits" (batch, classes), any batch.

    BN is folded into the convolutions, and the weights lie inside. Raises SpecError where an extra is missing.
    """
    extra("onnx", "onnx")
    extra("onnxscript", "onnx")
    images = torch.zeros(2, *network.spec.input)  # one image would fix the batch
    with quiet():
        program = torch.onnx.export(
            folded(network).cpu(),
            (images,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


class Session(nn.Module):
    """Microsoft's runtime with an ONNX model, on the processor. (N, C, H, W) float32 -> (N, classes) float32."""

    def __init__(self, model: bytes):
        super().__init__()
        runtime = extra("onnxruntime", "onnx")
        self.session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {self.input: images.cpu().numpy()})[0]).to(images.device)
