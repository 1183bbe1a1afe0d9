"""The errors of each class, what is taken for what, and how far confidence is from accuracy."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import nn

from reslab.cli import main
from reslab.data.digits import load_digits
from reslab.data.loader import make_loader
from reslab.errors import SpecError
from reslab.evaluate import Details, evaluate, must_fit
from reslab.nets import cifar_resnet
from reslab.train.loop import fitted
from reslab.weights.file import Weights, built, save_weights


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    digits = load_digits()
    value = fitted(cifar_resnet(8), digits)
    return Weights(value, value.build().state_dict(), classes=digits.classes)


class SeesTF32(torch.nn.Module):
    def forward(self, images):
        self.allowed = torch.backends.cudnn.allow_tf32
        return torch.zeros(len(images), 10)


def test_evaluation_is_without_tf32_and_leaves_it_as_it_was():
    network, before = SeesTF32(), torch.backends.cudnn.allow_tf32
    evaluate(network, [(torch.zeros(2, 3, 4, 4), torch.tensor([1, 2]))])
    assert not network.allowed
    assert torch.backends.cudnn.allow_tf32 == before


def test_a_network_is_evaluated_on_its_own_classes_alone():
    """By their names, where both have some; numbers are places, as in folders of ImageNetV2."""
    value, digits = cifar_resnet(8, channels=1, size=8), load_digits()
    words = ("nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    must_fit(value, digits, "net", words)
    must_fit(value, replace(digits, classes=words), "net", words)
    must_fit(value, replace(digits, classes=words), "net")
    with pytest.raises(
        SpecError, match=r"net: .* classes than digits: nine in the place of neuf\ntake images of its"
    ) as e:
        must_fit(value, replace(digits, classes=(*words[:9], "neuf")), "net", words)
    assert len(str(e.value).splitlines()) == 2


def evaluated(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, words), "--data", "digits"])
    assert not ended.value.code
    return capsys.readouterr().out


def of(*rows):
    """Details of images, each of its probabilities and its class."""
    details = Details(len(rows[0][0]))
    chances, labels = zip(*rows, strict=True)
    details.add(torch.tensor(chances).log(), torch.tensor(labels))
    return details


def test_every_mode_is_as_before(weights):
    module = built(weights).train()
    module.stem.eval()
    before = [part.training for part in module.modules()]
    evaluate(module, [(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]))])
    assert [part.training for part in module.modules()] == before


def test_the_calibration_error_in_closed_form():
    """0.9 twice, right once, and 0.55, right: (|1 - 1.8| + |1 - 0.55|) / 3."""
    details = of(([0.9, 0.1], 0), ([0.1, 0.9], 0), ([0.45, 0.55], 1))
    assert details.calibration_error == pytest.approx(100 * (0.8 + 0.45) / 3)
    assert details.bins[0].sum() == 3
    assert of(([1.0, 0.0], 0)).calibration_error == 0


def test_details_are_what_the_images_say(weights):
    digits = load_digits()
    module = built(weights)
    with make_loader(digits, torch.device("cpu"), 8) as loader:
        details = Details(10)
        found = evaluate(module, loader.views("test"), details)
        images, labels = next(iter(loader.views("test")))
    assert found == evaluate(module, [(images, labels)])
    with torch.no_grad():
        best = module(images).argmax(1)
    assert np.array_equal(details.confusion.numpy(), confusion_matrix(labels, best, labels=np.arange(10)))
    assert details.images == np.bincount(labels, minlength=10).tolist()
    for label, error in enumerate(details.class_errors):
        assert error == pytest.approx(100 * float((best[labels == label] != label).float().mean()))


def test_crops_are_averaged_before_they_count():
    class First(nn.Module):
        def forward(self, x):
            return x

    crops = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).log()
    details = Details(2)
    evaluate(First(), [(crops, torch.tensor([0]))], details)
    assert details.confusion[0, 0] == 1
    assert details.bins[1].sum() == pytest.approx(0.55)


def test_each_detail_is_there_when_it_is_asked_for(weights, tmp_path, capsys):
    save_weights(weights, tmp_path / "w.safetensors")
    plain = json.loads(evaluated(capsys, tmp_path / "w.safetensors", "--json"))
    words = ["--per-class", "--confusion", "--calibration"]
    found = json.loads(evaluated(capsys, tmp_path / "w.safetensors", "--json", *words))
    assert set(found) - set(plain) == {"per_class", "confusion", "calibration_error"}
    assert {key: found[key] for key in plain} == plain
    assert [entry["name"] for entry in found["per_class"]] == [str(number) for number in range(10)]
    matrix = np.array(found["confusion"]["matrix"])
    assert matrix.sum() == 360
    assert 100 * (1 - np.trace(matrix) / 360) == pytest.approx(plain["top1_error"])
    wrong = sum(entry["images"] * entry["top1_error"] for entry in found["per_class"]) / 360
    assert wrong == pytest.approx(plain["top1_error"])
    assert 0 < found["calibration_error"] < 100
    only = json.loads(evaluated(capsys, tmp_path / "w.safetensors", "--json", "--calibration"))
    assert set(only) - set(plain) == {"calibration_error"}
    text = evaluated(capsys, tmp_path / "w.safetensors", "--per-class", "--confusion")
    assert "top-1 error" in text
    assert "class \\ predicted" in text
    assert "calibration" not in text


def test_ranks_count_as_one(weights, tmp_path, capsys):
    save_weights(weights, tmp_path / "w.safetensors")
    words = ["--json", "--per-class", "--confusion", "--calibration", "--device", "cpu"]
    alone = json.loads(evaluated(capsys, tmp_path / "w.safetensors", *words))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "reslab"]
    told = subprocess.run(
        [*launcher, "evaluate", "w.safetensors", "--data", "digits", *words],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    shared = json.loads(told.stdout)
    assert shared["confusion"] == alone["confusion"]
    assert shared["per_class"] == alone["per_class"]
    assert shared["calibration_error"] == pytest.approx(alone["calibration_error"], rel=1e-5)
