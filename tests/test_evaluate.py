"""Errors, confusion matrix and calibration; labels are matched by the classes' names."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import nn

from reslab import evaluate_network, train_network
from reslab.cli import main
from reslab.data.digits import load_digits
from reslab.data.images import DataSet, Pictures
from reslab.data.loader import load, make_loader
from reslab.data.names import imagenet
from reslab.data.normalise import IMAGENET
from reslab.errors import DataError, SpecError
from reslab.evaluate import Details, evaluate, match_labels, must_fit, predictions, purpose_for, renew_bn_statistics
from reslab.nets import cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.spec import digest
from reslab.spec import replace as change
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


def pictures(*classes):
    """A data set of one test picture of each class, for an evaluation."""
    empty, labels = np.empty(0, np.int64), np.arange(len(classes))
    return DataSet("f", Pictures(Path(), [], empty), Pictures(Path(), [*classes], labels), classes)


def labels_of(value, data, names=()):
    """The labels of the test pictures by their files, matched to a network."""
    matched = match_labels(value, data, "net", names)
    assert len(matched.classes) == value.classes
    return dict(zip(matched.test.files, matched.test.labels.tolist(), strict=True))


def test_labels_are_matched_by_name_whatever_the_order_and_number_of_the_classes():
    four = cifar_resnet(8, classes=4)
    names = ("0", "90", "180", "270")
    assert labels_of(four, pictures("0", "180", "270", "90"), names) == {"0": 0, "180": 2, "270": 3, "90": 1}
    assert labels_of(four, pictures("270", "90"), names) == {"270": 3, "90": 1}
    words = ("ant", "bee", "cat", "dog")
    assert labels_of(four, pictures("1", "3"), words) == {"1": 1, "3": 3}
    assert labels_of(four, pictures("w", "x", "y", "z")) == {"w": 0, "x": 1, "y": 2, "z": 3}
    with pytest.raises(SpecError, match="net: no class cow, which f has; choose from ant, bee, cat, dog\ntake"):
        match_labels(four, pictures("cow", "dog"), "net", words)
    with pytest.raises(SpecError, match="a network of 4 classes and 3 channels, but f has 2 classes"):
        match_labels(four, pictures("cow", "dog"), "net")


def test_a_subset_of_imagenet_has_imagenets_labels():
    thousand = cifar_resnet(8, classes=1000)
    first, *_, last = imagenet()
    assert labels_of(thousand, pictures(last, first)) == {last: 999, first: 0}


def test_a_runs_own_data_set_keeps_its_split(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"data": "folder:here"}))
    for path in ("run", "run/best.safetensors", "run/checkpoints/step-1/model.safetensors"):
        assert purpose_for(tmp_path / path, "folder:here") == "train"
        assert purpose_for(tmp_path / path, "folder:there") == "evaluate"
    assert purpose_for(tmp_path / "w.safetensors", "folder:here") == "evaluate"


def test_a_split_without_readable_pictures_is_an_error(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"bad")
    data = load(f"folder:{tmp_path}", purpose="evaluate")
    module = cifar_resnet(8, classes=2, size=16).build()
    with make_loader(data, torch.device("cpu"), 16, on_bad="skip") as loader:
        for measure in (lambda: evaluate(module, loader.views("test")), lambda: predictions(module, loader, "test")):
            with pytest.raises(DataError, match="none of the images to evaluate on can be read; `reslab data check`"):
                measure()
    assert len(loader.skipped) == 2


def test_images_in_memory_of_another_size_are_refused():
    with pytest.raises(SpecError, match="digits: images of 8×8, but the network reads 32×32; they are not resized"):
        make_loader(load_digits(), torch.device("cpu"), 32)


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
        result = evaluate(module, loader.views("test"), details)
        images, labels = next(iter(loader.views("test")))
    assert result == evaluate(module, [(images, labels)])
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


def test_an_ensemble_averages_the_probabilities_of_its_networks(weights, tmp_path, capsys):
    """A Table 5: not their votes, and not their logits."""
    torch.manual_seed(1)
    other = weights._replace(state=weights.network.build().state_dict())
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for file, member in zip(files, (weights, other), strict=True):
        save_weights(member, file)
    with make_loader(load_digits(), torch.device("cpu"), 8) as loader, torch.no_grad():
        images, labels = next(iter(loader.views("test")))
        chances = sum(built(member)(images).softmax(1) for member in (weights, other)) / 2
    result = evaluate_network(files, "digits")
    assert result.top1_error == pytest.approx(100 * float((chances.argmax(1) != labels).float().mean()))
    assert result.loss == pytest.approx(float(-chances.log().gather(1, labels[:, None]).mean()), rel=1e-4)
    assert result.loss not in (evaluate_network(file, "digits").loss for file in files)
    assert evaluated(capsys, *files).startswith("ensemble of 2: 360 images")
    assert evaluate_network([files[0], files[0]], "digits").loss == pytest.approx(
        evaluate_network(files[0], "digits").loss
    )


def test_an_ensemble_of_networks_that_read_other_images_is_refused(weights, tmp_path):
    save_weights(weights, tmp_path / "a.safetensors")
    for name, member in (
        ("another size than", weights._replace(network=change(weights.network, size=16))),
        ("another classes than", weights._replace(classes=weights.classes[::-1])),
        ("another normalization than", weights._replace(normalise=IMAGENET)),
    ):
        save_weights(member, tmp_path / "b.safetensors")
        with pytest.raises(SpecError, match=rf"b\.safetensors: {name} .*a\.safetensors; an ensemble reads one image"):
            evaluate_network([tmp_path / "a.safetensors", tmp_path / "b.safetensors"], "digits")
    with pytest.raises(SpecError, match="an ensemble is evaluated by torch in float32 alone"):
        evaluate_network([tmp_path / "a.safetensors"] * 2, "digits", precision="bf16")


def test_each_detail_is_there_when_it_is_asked_for(weights, tmp_path, capsys):
    save_weights(weights, tmp_path / "w.safetensors")
    plain = json.loads(evaluated(capsys, tmp_path / "w.safetensors", "--json"))
    words = ["--per-class", "--confusion", "--calibration"]
    result = json.loads(evaluated(capsys, tmp_path / "w.safetensors", "--json", *words))
    assert set(result) - set(plain) == {"per_class", "confusion", "calibration_error"}
    assert {key: result[key] for key in plain} == plain
    assert [entry["name"] for entry in result["per_class"]] == [str(number) for number in range(10)]
    matrix = np.array(result["confusion"]["matrix"])
    assert matrix.sum() == 360
    assert 100 * (1 - np.trace(matrix) / 360) == pytest.approx(plain["top1_error"])
    wrong = sum(entry["images"] * entry["top1_error"] for entry in result["per_class"]) / 360
    assert wrong == pytest.approx(plain["top1_error"])
    assert 0 < result["calibration_error"] < 100
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
    done = subprocess.run(
        [*launcher, "evaluate", "w.safetensors", "--data", "digits", *words],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    shared = json.loads(done.stdout)
    assert shared["confusion"] == alone["confusion"]
    assert shared["per_class"] == alone["per_class"]
    assert shared["calibration_error"] == pytest.approx(alone["calibration_error"], rel=1e-5)


def test_weights_whose_outputs_overflow_end_in_an_error_that_names_them(tmp_path, weights, capsys):
    """Every weight is a finite number."""
    state = {key: tensor.clone() for key, tensor in weights.state.items()}
    state["head.linear.weight"].fill_(3e38)
    save_weights(weights._replace(state=state), tmp_path / "w.safetensors")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(tmp_path / "w.safetensors"), "--data", "digits"])
    assert ended.value.code == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"reslab: {tmp_path}/w.safetensors: the outputs are not finite numbers; its weights are unusable\n"
    with make_loader(load_digits(), torch.device("cpu"), 8) as loader, pytest.raises(DataError, match="not finite"):
        predictions(built(weights._replace(state=state)), loader, "test")


def test_bn_statistics_anew_are_plain_averages_over_the_batches(weights):
    network = built(weights)
    with make_loader(load_digits(), torch.device("cpu"), 8) as loader:
        running = evaluate(network, loader.views("test", 1))
        renew_bn_statistics(network, loader.views("train", 1))
        anew = evaluate(network, loader.views("test", 1))
        batches = [images for images, _ in loader.views("train", 1)]
    assert anew.loss != running.loss
    first = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    with torch.no_grad():
        maps = [network.stem.conv1(images) for images in batches if len(images) == len(batches[0])]
    means = torch.stack([each.mean((0, 2, 3)) for each in maps]).mean(0)
    torch.testing.assert_close(first.running_mean, means)
    assert first.momentum == 0.1
    assert not any(module.training for module in network.modules())


def test_a_training_can_end_with_bn_statistics_anew(tmp_path):
    quick = {"steps": "6", "schedule.at": "[4]"}
    runs = {}
    for name, extra in (("running", {}), ("anew", {"bn_statistics": "anew"})):
        runs[name] = train_network("resnet8-cifar", "digits", "demo", tmp_path / name, assignments={**quick, **extra})
    assert runs["anew"].result.test.loss < runs["running"].result.test.loss, "after six steps the averages lag far"
    again = evaluate_network(runs["running"].run, "digits", bn_statistics="anew")
    assert again.loss == pytest.approx(runs["anew"].result.test.loss, rel=0.02)
    assert evaluate_network(runs["anew"].run, "digits").loss == pytest.approx(runs["anew"].result.test.loss, rel=0.02)
    with pytest.raises(SpecError, match="bn_statistics anew: goes with bn rank, not all"):
        Recipe(steps=1, bn="all", bn_statistics="anew")


def test_a_field_that_recipes_gained_changes_no_name_of_a_run():
    value = cifar_resnet(20)
    assert digest(value, Recipe(steps=9)) == digest(value, Recipe(steps=9, bn_statistics="running"))
    assert digest(value, Recipe(steps=9)) != digest(value, Recipe(steps=9, bn_statistics="anew"))
