"""What is exported computes what the network computes, or is not there."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from reslab import api, cifar_resnet, network, replace, to_json
from reslab.cli import main
from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.data.loader import make_loader
from reslab.data.normalise import MeanStd
from reslab.errors import DataError, ReslabError, SpecError
from reslab.evaluate import evaluate
from reslab.nets import NAMED
from reslab.nets.modules import ResidualUnit
from reslab.recipes.named import recipe
from reslab.train.loop import fitted, train
from reslab.use.agree import difference
from reslab.use.export import Int8, export
from reslab.use.onnx import Onnx, Session
from reslab.weights.convert import convert
from reslab.weights.file import Weights, built, load, read_weights, save_weights
from reslab.weights.manifest import newest

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
    """The weights of a network that is as tame as a trained one, whose BN folds into something.

    Residuals are small (A Fig. 7), and BN has the statistics of images, without which deep networks overflow; where
    there are no residuals, BN's are drawn, as its true ones make deep plain networks chaotic, which enlarges rounding.
    """
    torch.manual_seed(0)
    module = value.build()
    units = [part for part in module.modules() if isinstance(part, ResidualUnit)]
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for unit in units:
        last = [layer for layer in unit.residual.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)][-1]
        last.weight.div_(len(units) ** 0.5)
    for norm in norms:
        norm.running_mean.normal_(0, 0.05)
        norm.running_var.uniform_(0.8, 1.25)
    if units:
        for norm in norms:
            norm.momentum = None
        module.eval()
        for norm in norms:
            norm.train()
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


FEW = ["resnet20-cifar", "plain20-cifar", "preact18", "resnet18", "lenet5", "bn-inception"]


def agrees(name, file_format, folder):
    value = smallest(network(name))
    other = exported(value, file_format, folder)
    module = load(folder / "w.safetensors")
    for batch in (1, 2, 7):
        images = torch.randn(batch, *value.input)
        actual = other(images)
        assert actual.shape == (batch, value.classes)
        assert difference(module, other, images) < 1e-4


@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
@pytest.mark.parametrize("name", FEW)
def test_a_named_network_is_exported(name, file_format, tmp_path):
    agrees(name, file_format, tmp_path)


def test_an_onnx_model_has_the_versions_that_were_asked_for(tmp_path, capsys):
    save_weights(lived_in(cifar_resnet(8, size=8)), tmp_path / "w.safetensors")
    words = ["export", tmp_path / "w.safetensors", "--format", "onnx", "--out", tmp_path / "m.onnx"]
    assert reslab(*words, "--opset", 20, "--ir-version", 9) == 0
    assert "opset 20, any batch; differs by at most" in capsys.readouterr().err
    model = onnx.load(tmp_path / "m.onnx")
    assert ([entry.version for entry in model.opset_import], model.ir_version) == ([20], 9)
    assert reslab(*words, "--ir-version", 8) == 0
    model = onnx.load(tmp_path / "m.onnx")
    assert ([entry.version for entry in model.opset_import], model.ir_version) == ([18], 8)
    onnx.checker.check_model(model)


def test_height_and_width_of_an_onnx_model_can_be_free(tmp_path):
    value = cifar_resnet(8)
    save_weights(lived_in(value), tmp_path / "w.safetensors")
    size = value.size
    done = export(tmp_path / "w.safetensors", "onnx", tmp_path / "m.onnx", onnx=Onnx(any_size=True))
    assert f"any height and width (checked at {size}×{size} and {size + size // 2}×{2 * size})" in done.note
    shape = onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [place.dim_param or place.dim_value for place in shape] == ["batch", 3, "height", "width"]
    session, module = Session((tmp_path / "m.onnx").read_bytes()), load(tmp_path / "w.safetensors")
    for height, width in ((size, size), (size + 16, size + 8)):
        images = torch.randn(2, 3, height, width)
        assert difference(module, session, images) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
@pytest.mark.parametrize("name", [name for name in NAMED if name not in FEW])
def test_every_named_network_is_exported(name, file_format, tmp_path):
    agrees(name, file_format, tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()  # pytest keeps folders, and all of these are gigabytes


def test_a_network_of_one_size_is_not_exported_for_any(tmp_path):
    save_weights(lived_in(smallest(network("lenet5"))), tmp_path / "w.safetensors")
    with pytest.raises(SpecError, match="whose head averages over the map"):
        export(tmp_path / "w.safetensors", "onnx", tmp_path / "m.onnx", onnx=Onnx(any_size=True))


def test_a_runtime_that_has_not_the_versions_is_said():
    model = onnx.helper.make_model(onnx.helper.make_graph([], "none", [], []), ir_version=1000)
    with pytest.raises(SpecError, match="does not run this model"):
        Session(model.SerializeToString())


def test_the_description_travels(run, tmp_path):
    weights = read_weights(run)
    export(run, "onnx", tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["network"]) == json.loads(to_json(weights.network))
    assert json.loads(metadata["classes"]) == [str(digit) for digit in range(10)]
    assert json.loads(metadata["preprocessing"]) | {"crop_share": 1.0, "size": 8} == json.loads(
        metadata["preprocessing"]
    )
    normalise = json.loads(metadata["normalise"])
    assert np.allclose(normalise["mean"], weights.normalise.mean[0])
    assert normalise["std"] == 1
    assert "float32 (batch, 1, 8, 8), grey" in metadata["images"]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert model.ir_version == 10
    kept = {"reslab.json": ""}
    export(run, "pt2", tmp_path / "m.pt2")
    program = torch.export.load(tmp_path / "m.pt2", extra_files=kept)
    assert not any("batch_norm" in str(node.target) for node in program.graph.nodes)
    assert json.loads(kept["reslab.json"])["classes"] == json.loads(metadata["classes"])


def test_onnxruntime_agrees_on_every_test_image(run, digits, tmp_path):
    export(run, "onnx", tmp_path / "m.onnx")
    session, weights = Session((tmp_path / "m.onnx").read_bytes()), read_weights(run)
    network, images = built(weights), 0
    loader = InMemoryLoader(digits, torch.device("cpu"), weights.normalise)
    for seen, _ in loader.views("test"):
        with torch.inference_mode():
            expected, actual = network(seen), session(seen)
        assert torch.equal(expected.argmax(1), actual.argmax(1))
        assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()
        images += len(seen)
    assert images == 360
    assert evaluate(session, loader.views("test"))[:3] == api.evaluate_network(run, "digits")[:3]


def test_int8_tells_what_it_costs(run, tmp_path, capsys):
    assert reslab("export", run, "--format", "onnx", "--int8", "--data", "digits", "--out", tmp_path / "m.onnx") == 0
    captured = capsys.readouterr()
    assert "int8 by 128 training images of digits" in captured.err
    before, after, change = (float(word) for word in numbers(captured.out.splitlines()[0]))
    assert change == pytest.approx(after - before, abs=0.02)
    data = load_digits()
    with make_loader(data, torch.device("cpu"), 8, read_weights(run).normalise) as loader:
        session = Session((tmp_path / "m.onnx").read_bytes())
        assert evaluate(session, loader.views("test")).top1_error == pytest.approx(after, abs=0.01)
    model = onnx.load(tmp_path / "m.onnx")
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    scales = [i for i in model.graph.initializer if i.name == "stem.conv1.weight_scale"]
    assert list(scales[0].dims) == [16]
    assert {"classes", "normalise", "network"} <= {entry.key for entry in model.metadata_props}


def numbers(line):
    """Of "top-1 error 3.33 % in float32, 3.61 % in int8: +0.28 on 360 test images"."""
    words = line.replace(":", "").split()
    assert words[-3:] == ["360", "test", "images"]
    return words[2], words[6], words[-5]


@pytest.mark.parametrize("file_format", ["onnx", "pt2"])
def test_what_computes_something_else_is_not_written(run, file_format, tmp_path, monkeypatch):
    """The export is of the network with another head."""
    other = built(read_weights(run))
    nn.init.constant_(other.head.linear.bias, 0.5)
    monkeypatch.setattr(f"reslab.use.{file_format}.folded", lambda network: other)
    with pytest.raises(ReslabError, match=r"differs from the network by .* at batch 1\n.*nothing was written"):
        export(run, file_format, tmp_path / f"m.{file_format}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_format", ["onnx", "huggingface"])
def test_a_stop_leaves_nothing(run, file_format, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stop)
    out = tmp_path / ("m.onnx" if file_format == "onnx" else "m")
    with pytest.raises(KeyboardInterrupt):
        export(run, file_format, out)
    assert list(tmp_path.iterdir()) == []


def test_our_own_file_holds_the_last_weights(run, tmp_path):
    export(run, "safetensors", tmp_path / "m.safetensors")
    ours, last = read_weights(tmp_path / "m.safetensors"), read_weights(run)
    assert ours.network == last.network
    assert all(torch.equal(ours.state[key], value) for key, value in last.state.items())
    assert np.array_equal(ours.normalise.mean, last.normalise.mean)


def test_a_folder_for_the_hub_is_read_back(run, tmp_path):
    out = tmp_path / "hub"
    export(run, "huggingface", out)
    assert sorted(file.name for file in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert "huggingface_hub" not in sys.modules
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(load(out)(images), load(run)(images))
    assert api.evaluate_network(out, "digits") == api.evaluate_network(run, "digits")
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"]["3"] == "3"
    card = (out / "README.md").read_text()
    error = json.loads((run / "result.json").read_text())["test"]["top1_error"]
    assert f"| test | 360 | {error:.2f} |" in card
    assert "license: unknown" in card
    assert "reslab.load(" in card
    with pytest.raises(SpecError, match="is there already"):
        export(run, "huggingface", out)


def test_the_card_of_the_best_weights_is_of_them(run, tmp_path):
    """They lie in the directory of their run."""
    ours = tmp_path / "run"
    shutil.copytree(run, ours)
    save_weights(read_weights(run), ours / "best.safetensors")
    result = json.loads((run / "result.json").read_text())
    best = {"step": 40, "validation_error": 12.344, "validation_loss": 1.0, "test": result["test"] | {"loss": 7.5}}
    (ours / "result.json").write_text(json.dumps(result | {"best": best}))
    export(ours / "best.safetensors", "huggingface", tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "weights of step 40, the best on the validation images: an error of 12.34 %" in card
    assert "| 7.5000 |" in card
    assert "| train |" not in card


def test_the_card_of_a_run_that_did_not_end_says_so(run, tmp_path):
    ours = tmp_path / "run"
    shutil.copytree(run, ours)
    steps = newest(run).name.removeprefix("step-").lstrip("0")
    (ours / "result.json").write_text(json.dumps({"status": "stopped", "step": int(steps)}))
    export(ours, "huggingface", tmp_path / "stopped")
    assert (
        f"It is stopped: these are its weights of step {steps}.\n" in (tmp_path / "stopped" / "README.md").read_text()
    )
    (ours / "result.json").unlink()
    export(ours, "huggingface", tmp_path / "open")
    assert (
        f"It is not finished: these are its weights of step {steps}.\n" in (tmp_path / "open" / "README.md").read_text()
    )


def test_config_and_weights_agree_or_are_refused(run, tmp_path):
    out = tmp_path / "hub"
    export(run, "huggingface", out)
    config = json.loads((out / "config.json").read_text())
    config["reslab"]["classes"][0] = "nought"
    (out / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"config\.json: says something else than model\.safetensors"):
        load(out)
    state = dict(read_weights(run).state) | {"images.mean": torch.from_numpy(read_weights(run).normalise.mean)}
    safetensors.torch.save_file(state, out / "model.safetensors")  # as tools do that drop the metadata
    assert read_weights(out).classes[0] == "nought"
    (out / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config\.json: not JSON"):
        load(out)
    (out / "config.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(DataError, match="another's weights"):
        load(out)


def test_the_metrics_of_a_run_go_to_tensorboard(run, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    export(run, "tensorboard", tmp_path / "events")
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = [(line["step"], line["test_error"]) for line in lines if "test_error" in line]
    assert [(entry.step, pytest.approx(entry.value)) for entry in events.Scalars("test_error")] == logged
    assert len(events.Scalars("train_loss")) == len(lines)
    times = [entry.wall_time for entry in events.Scalars("train_loss")]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--format", "onx", "--out", "m.onnx"], 2, "'onx' is not one of 'onnx', 'pt2'"),
        (["--format", "keras", "--out", "m.h5"], 2, "is not one of 'onnx', 'pt2', 'safetensors'"),
        (["--format", "onnx", "--out", "m.pt2"], 2, "give it the ending .onnx"),
        (["--format", "pt2", "--out", "m.onnx"], 2, "give it the ending .pt2"),
        (["--format", "torchvision", "--out", "m.pth"], 2, "give it the ending .safetensors"),
        (["--format", "torchvision", "--out", "m.safetensors"], 2, "there are layouts for resnet18"),
        (["--format", "onnx", "--out", "m.onnx", "--int8"], 2, "--int8: needs --data"),
        (["--format", "onnx", "--out", "m.onnx", "--opset", "9"], 2, "--opset 9: choose from 18 to"),
        (["--format", "onnx", "--out", "m.onnx", "--opset", "99"], 2, "--opset 99: choose from 18 to"),
        (["--format", "onnx", "--out", "m.onnx", "--ir-version", "7"], 2, "--ir-version 7: choose from 8 to"),
        (["--format", "onnx", "--out", "m.onnx", "--any-size"], 2, "trained with a mean image, which fixes the size"),
        (
            ["--format", "pt2", "--out", "m.pt2", "--any-size"],
            2,
            "--opset, --ir-version, --any-size: is for --format onnx",
        ),
        (["--format", "onnx", "--out", "m.onnx", "--data", "digits"], 2, "--data: is for --int8"),
        (["--format", "pt2", "--out", "m.pt2", "--int8", "--data", "digits"], 2, "is for --format onnx"),
        (["--format", "onnx", "--out", "m.onnx", "--device", "tpu"], 2, "'tpu' is not one of 'cpu', 'cuda'"),
        (["--format", "onnx", "--out", "m.onnx", "--int8", "--data", "digits", "--images", "2000"], 2, "1,437"),
    ],
)
def test_wrong_words_end_in_two_lines_and_leave_nothing(run, words, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert reslab("export", run, *words) == code
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_format", ["onnx", "pt2", "safetensors", "huggingface"])
def test_a_corrupted_file_is_named(file_format, tmp_path, capsys, run):
    bad = tmp_path / "bad.safetensors"
    export(run, "safetensors", bad)
    bad.write_bytes(bad.read_bytes()[:5000])
    out = tmp_path / ("m" if file_format == "huggingface" else f"m.{file_format}")
    assert reslab("export", bad, "--format", file_format, "--out", out) == 3
    err = capsys.readouterr().err
    assert f"{bad}: not a whole safetensors file" in err
    assert len(err.splitlines()) <= 2
    assert not out.exists()


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("onnx", "onnx", ["--format", "onnx", "--out", "m.onnx"]),
        ("onnxscript", "onnx", ["--format", "onnx", "--out", "m.onnx"]),
        ("onnxruntime", "onnx", ["--format", "onnx", "--out", "m.onnx"]),
        ("tensorboard", "tensorboard", ["--format", "tensorboard", "--out", "events"]),
    ],
)
def test_a_missing_extra_is_two_lines(module, extra, words, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert reslab("export", run, *words) == 2
    expected = f"reslab: {module} is not installed, which this needs\npip install 'reslab[{extra}]'\n"
    assert capsys.readouterr().err == expected
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_class_count_is_named(tmp_path, capsys):
    save_weights(lived_in(cifar_resnet(8, classes=7, channels=1, size=8)), tmp_path / "w.safetensors")
    words = ["--format", "onnx", "--int8", "--data", "digits", "--out", tmp_path / "m.onnx"]
    assert reslab("export", tmp_path / "w.safetensors", *words) == 2
    err = capsys.readouterr().err
    assert "w.safetensors: a network of 7 classes and 1 channels, but digits has 10 classes" in err
    assert len(err.splitlines()) <= 2
    assert not (tmp_path / "m.onnx").exists()


CIFAR_WEIGHTS = os.environ.get("RESLAB_CIFAR_WEIGHTS")


@pytest.mark.skipif(
    not (CIFAR_WEIGHTS and os.environ.get("RESLAB_DATA")),
    reason="RESLAB_CIFAR_WEIGHTS names no directory with resnet20-12fca82f.th, or RESLAB_DATA none with CIFAR-10",
)
def test_real_weights_agree_on_every_image_of_cifar10(tmp_path):
    weights, _ = convert(Path(CIFAR_WEIGHTS) / "resnet20-12fca82f.th", "resnet20-cifar")
    save_weights(weights, tmp_path / "w.safetensors")
    done = export(tmp_path / "w.safetensors", "onnx", tmp_path / "m.onnx", Int8("cifar10"))
    float32, int8 = done.change
    assert float32.top1_error == pytest.approx(8.27, abs=0.005)
    assert float32[:3] == api.evaluate_network(tmp_path / "w.safetensors", "cifar10")[:3]
    assert abs(int8.top1_error - float32.top1_error) < 0.5
