"""Every engine computes what the network computes, or is refused."""

import json
import sys

import pytest
import torch

from reslab import network
from reslab.cli import main
from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.errors import ReslabError, SpecError
from reslab.evaluate import evaluate
from reslab.machine import find_precision
from reslab.nets import cifar_resnet
from reslab.recipes.named import recipe
from reslab.spec import replace
from reslab.train.loop import fitted, train
from reslab.use import engine as engines
from reslab.use.engine import make_engine

from ..train.recorded import Recorded


def has_bf16():
    try:
        return find_precision("bf16", "cpu")[0] == "bf16"
    except SpecError:
        return False


HAS_BF16 = has_bf16()
EXTRAS = {"openvino": "openvino", "onnxruntime": "onnxruntime"}


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("engine") / "run"
    train(fitted(cifar_resnet(8), digits), replace(recipe("demo"), steps=60, evaluate_every=60), digits, out)
    return out


def evaluated(run, capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(run), "--data", "digits", "--json", *words])
    assert ended.value.code == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "words",
    [
        ["--engine", "torch", "--compile", "on"],
        ["--engine", "openvino"],
        ["--engine", "onnxruntime"],
    ],
    ids=" ".join,
)
def test_engines_have_the_errors_of_torch(run, capsys, words):
    if name := EXTRAS.get(words[1]):
        pytest.importorskip(name)
    expected, actual = evaluated(run, capsys), evaluated(run, capsys, *words)
    assert actual["images"] == expected["images"] == 360
    assert actual["top1_error"] == expected["top1_error"]
    assert actual["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.skipif(not HAS_BF16, reason="no bf16 here")
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bf16_is_close(run, capsys, name):
    if extra := EXTRAS.get(name):
        pytest.importorskip(extra)
    expected, actual = evaluated(run, capsys), evaluated(run, capsys, "--engine", name, "--precision", "bf16")
    assert actual["loss"] != expected["loss"]
    assert actual["loss"] == pytest.approx(expected["loss"], rel=0.05)


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_normalised_responses_have_every_precision(name):
    module = network(name).build()
    images = torch.randn(2, *module.spec.input)
    with torch.inference_mode():
        logits = make_engine(module, "torch", "bf16" if HAS_BF16 else "float32", False, images)(images)
    assert logits.dtype == torch.float32


def test_a_smaller_last_batch_is_not_compiled_anew(digits, monkeypatch):
    module = fitted(cifar_resnet(8), digits).build().eval()
    loader = InMemoryLoader(digits, torch.device("cpu"))
    images, _ = next(iter(loader.views("test")))
    engine = make_engine(module, "torch", "float32", True, images)
    shapes = []
    engine.network.register_forward_pre_hook(lambda part, given: shapes.append(len(given[0])))
    engine.network.compile(backend="eager")
    with torch.inference_mode():
        assert torch.allclose(engine(images[:7]), module(images[:7]), atol=1e-4)
    assert shapes == [len(images)]


def test_an_engine_that_computes_something_else_is_not_used(digits, monkeypatch):
    module = fitted(cifar_resnet(8), digits).build().eval()
    monkeypatch.setattr(engines, "folded", lambda network: fitted(cifar_resnet(14), digits).build().eval())
    with pytest.raises(ReslabError, match="torch in float32 differs from torch in float32 by"):
        make_engine(module, "torch", "float32", False, torch.randn(2, *module.spec.input))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tensorrt", "float32", False), "choose from torch, openvino, onnxruntime"),
        (("onnxruntime", "bf16", False), "computes in float32"),
        (("openvino", "float32", True), "--compile on: is for --engine torch"),
        (("torch", "float16", False), "choose from auto, float32, bf16"),
    ],
)
def test_what_cannot_be_is_refused(words, message):
    module = cifar_resnet(8).build()
    with pytest.raises(SpecError, match=message):
        make_engine(module, *words, torch.randn(2, *module.spec.input))


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    module = cifar_resnet(8).build()
    with pytest.raises(SpecError, match=r"pip install 'reslab\[openvino\]'"):
        make_engine(module, "openvino", "float32", False, torch.randn(2, *module.spec.input))


def test_evaluate_takes_the_network_in_any_mode(digits):
    module = fitted(cifar_resnet(8), digits).build().train()
    loader = InMemoryLoader(digits, torch.device("cpu"))
    images, _ = next(iter(loader.views("test")))
    engine = make_engine(module, "torch", "float32", False, images)
    assert evaluate(engine, loader.views("test")).images == 360


def test_a_network_as_a_graph_computes_what_it_does_for_every_batch(monkeypatch):
    monkeypatch.setattr(engines, "CudaGraph", Recorded)
    module = network("resnet20-cifar").build().eval()
    batches = torch.randn(3, 2, *module.spec.input)
    with torch.inference_mode():
        graph = engines._Graph(module, batches[0])
        graph(batches[0])  # of the recording the first replay is left out
        for images in batches:
            assert torch.equal(graph(images), module(images))
