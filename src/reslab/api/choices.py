"""The words that options may have, and the directories where results go unless another is named."""

from pathlib import Path
from typing import Literal

from reslab.analyse import REPORTS as REPORTS

RUNS = Path("runs")

BNStatistics = Literal["running", "anew"]
Crops = Literal[1, 10, 144]
Device = Literal["auto", "cpu", "cuda"]
Engine = Literal["torch", "openvino", "onnxruntime"]
Format = Literal["onnx", "pt2", "safetensors", "torchvision", "huggingface", "tensorboard"]
OnBad = Literal["error", "skip"]
OnOff = Literal["on", "off"]
OnOffAuto = Literal["auto", "on", "off"]
Precision = Literal["auto", "float32", "bf16"]
Resume = Literal["never", "any", "exact"]
Rival = Literal["torch", "torchvision", "timm", "akamaster-style"]
ScaleName = Literal["demo", "brief", "short", "small", "paper"]
TrackerName = Literal["tensorboard", "wandb", "mlflow"]
Work = Literal["training", "inference", "both"]
