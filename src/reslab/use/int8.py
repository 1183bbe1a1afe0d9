"""Static quantisation of ONNX models to 8-bit integers, and the change of the error."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reslab.data.batches import Loader
from reslab.errors import SpecError
from reslab.evaluate import Evaluation, evaluate
from reslab.extra import extra, quiet
from reslab.use.onnx import Session

CALIBRATION = 128  # images
_BATCH = 16


class Change(NamedTuple):
    """The evaluation on the test images in float32 and in int8."""

    float32: Evaluation
    int8: Evaluation

    def __str__(self) -> str:
        before, after = self.float32.top1_error, self.int8.top1_error
        images = f"{self.int8.images:,} test images"
        return f"top-1 error {before:.2f} % in float32, {after:.2f} % in int8: {after - before:+.2f} on {images}"


def quantised(model: bytes, loader: Loader, images: int) -> bytes:
    """An ONNX model in int8: weights per output channel, activations by their range on `images` training images, the
    first of a training of seed 0 (QDQ, onnxruntime.quantization).

    Raises SpecError if there are fewer, or an extra is missing.
    """
    quantization = extra("onnxruntime.quantization", "onnx")
    shapes = extra("onnxruntime.quantization.shape_inference", "onnx")
    available = len(loader.split("train").labels)
    if images > available:
        raise SpecError(f"--images {images}: {loader.data.name} has {available:,} training images")
    calibration, _ = next(loader.batches(0, range(1), images, None))
    with tempfile.TemporaryDirectory() as folder, quiet():
        float32, prepared, int8 = (Path(folder) / f"{name}.onnx" for name in ("float32", "prepared", "int8"))
        float32.write_bytes(model)
        shapes.quant_pre_process(float32, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(prepared, int8, _Reader(calibration), per_channel=True)
        return int8.read_bytes()


class _Reader:
    """Calibration images in batches, in the interface of onnxruntime."""

    def __init__(self, images: Tensor):
        self.batches = iter(torch.split(images, _BATCH))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.numpy()}


def change(float32: Session, int8: Session, loader: Loader) -> Change:
    """Evaluate both on the test images."""
    return Change(evaluate(float32, loader.views("test")), evaluate(int8, loader.views("test")))
