"""What is exported computes what the network computes, or is not there."""

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from reslab import api, cifar_resnet, network, replace
from reslab.cli import main
from reslab.data.digits import load_digits
from reslab.data.held import Held
from reslab.data.loader import make_loader
from reslab.data.normalise import MeanStd
from reslab.errors import DataError, ReslabError, SpecError
from reslab.evaluate import evaluate
from reslab.nets import NAMED
from reslab.train.loop import fitted, train
from reslab.train.recipes import recipe
from reslab.use import export as exports
from reslab.use import onnx as onnx_file
from reslab.use.agree import difference
from reslab.use.export import Int8, export
from reslab.use.onnx import Session
from reslab.weights.file import Weights, built, load, read_weights, save_weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def reslab(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "run"
    train(fitted(cifar_resnet(8), digits), replace(recipe("demo"), steps=60, evaluate_every=20), digits, out)
    return out


@torch.no_grad()
def lived_in(value):
    """The weights of a network whose BN has the statistics of its images, as deep ones overflow without."""
    torch.manual_seed(0)
    module = value.build().train()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
        if isinstance(part, nn.Dropout):
            part.eval()
    module(torch.randn(4, *value.input))
    return Weights(value, dict(module.state_dict()), MeanStd((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)))


def smallest(value):
    """The network for small images, where it can read them."""
    for size in (64, 96, 128, 192, 227, 299):
        if size >= value.size:
            break
        try:
            return replace(value, size=size)
        except SpecError:
            continue
    return value


def exported(value, file_format, folder):
    """The module that another program makes of an export."""
    save_weights(lived_in(value), folder / "w.safetensors")
    export(folder / "w.safetensors", file_format, folder / f"w.{file_format}")
    if file_format == "onnx":
        return Session((folder / "w.onnx").read_bytes())
    return torch.export.load(folder / "w.pt2").module()


FEW = ["resnet20-cifar", "plain20-cifar", "preact164-cifar", "resnet18", "lenet5", "bn-inception"]


def agrees(name, file_format, folder):
    value = smallest(network(name))
    other = exported(value, file_format, folder)
    module = load(folder / "w.safetensors")
    for batch in (1, 2, 7):
        images = torch.randn(batch, *value.input)
        found = other(images)
        assert found.shape == (batch, value.classes)
        assert difference(module, other, images) < 1e-4


@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
@pytest.mark.parametrize("name", FEW)
def test_a_named_network_is_exported(name, file_format, tmp_path):
    agrees(name, file_format, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
@pytest.mark.parametrize("name", [name for name in NAMED if name not in FEW])
def test_every_named_network_is_exported(name, file_format, tmp_path):
    agrees(name, file_format, tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()  # pytest keeps folders, and all of these are gigabytes
