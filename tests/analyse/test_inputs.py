"""What an analysis looks into: names, runs, files; images evenly spread."""

import numpy as np
import pytest
import torch
from PIL import Image

from reslab.analyse.inputs import INITIAL, TRAINED, Inputs, Subject, batch_size, read_subjects
from reslab.data.loader import load
from reslab.data.normalise import MeanStd
from reslab.errors import DataError, SpecError
from reslab.nets import Conv, Gated, cifar_resnet, network
from reslab.papers import STUDIES
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.train.loop import fitted, train
from reslab.use.export import export
from reslab.weights.file import Weights, read_weights, save_weights
from reslab.weights.preprocessing import loader_for

STILL = Recipe(steps=1, batch=8, schedule=Drops(rate=1e-30, warmup=0), evaluate_every=1)


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    """A run that has learned nothing: its last weights are its first."""
    out = tmp_path_factory.mktemp("runs") / "still"
    train(fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits), STILL, digits, out, seed=5)
    return out


@pytest.fixture
def pictures(tmp_path):
    """The name of a folder of two classes, a and b, with three training and four test pictures of each."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 3), ("val", 4)):
        for name in ("a", "b"):
            (tmp_path / "pictures" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pictures" / part / name / f"{number}.png")
    return f"folder:{tmp_path / 'pictures'}"


@pytest.fixture
def kept(tmp_path):
    """Saves the weights of a network of two classes that sees pictures, with what they say of images; the file."""

    def save(**said):
        spec = cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), size=16, classes=2)
        save_weights(Weights(spec, spec.build().state_dict(), **said), tmp_path / "kept.safetensors")
        return tmp_path / "kept.safetensors"

    return save


def test_a_runs_initial_weights_are_those_that_its_training_began_with(run, digits):
    before = torch.get_rng_state()
    (found,) = read_subjects([str(run)], digits)
    assert torch.equal(torch.get_rng_state(), before)
    assert (found.label, list(found.states)) == ("still", [INITIAL, TRAINED])
    initial, trained = (dict(module.named_parameters()) for module in found.states.values())
    assert all(torch.allclose(initial[key], trained[key]) for key in initial)


def test_names_files_and_runs_stand_side_by_side(run, digits, tmp_path):
    (first,) = read_subjects([str(run)], digits)
    file = tmp_path / "kept.safetensors"
    save_weights(Weights(first.spec, first.states[TRAINED].state_dict()), file)
    found = read_subjects(["resnet8-cifar", str(file), str(run)], digits, seed=3)
    assert [(one.label, list(one.states)) for one in found] == [
        ("resnet8-cifar", [INITIAL]),
        ("kept", [TRAINED]),
        ("still", [INITIAL, TRAINED]),
    ]
    again = read_subjects(["resnet8-cifar"], digits, seed=3)[0].states[INITIAL]
    other = read_subjects(["resnet8-cifar"], digits, seed=4)[0].states[INITIAL]
    weight = found[0].states[INITIAL].stem.conv1.weight
    assert torch.equal(again.stem.conv1.weight, weight)
    assert not torch.equal(other.stem.conv1.weight, weight)


def test_what_does_not_fit_the_data_or_is_not_there_is_refused(digits, tmp_path):
    file = tmp_path / "colour.safetensors"
    spec = cifar_resnet(8)
    save_weights(Weights(spec, spec.build().state_dict()), file)
    with pytest.raises(SpecError, match="10 classes and 3 channels, but digits has 10 classes and 1 channels"):
        read_subjects([str(file)], digits)
    with pytest.raises(SpecError, match="named twice"):
        read_subjects(["resnet8-cifar"] * 2, digits)
    with pytest.raises(DataError, match="no such file"):
        read_subjects(["runs/none"], digits)
    with pytest.raises(SpecError, match="no network 'resnext50'"):
        read_subjects(["resnext50"], digits)


def test_a_network_is_named_with_its_changed_fields_or_given_as_a_value(digits):
    words, value = "resnet8-cifar merge=gated merge.bias=0.0", cifar_resnet(8, merge=Gated(0.0))
    (named,), (given,) = read_subjects([words], digits), read_subjects([value], digits)
    assert named.spec == given.spec == fitted(value, digits)
    assert named.label == named.kind == given.label == given.kind == words
    with pytest.raises(SpecError, match=r"^merge\.boas: merge is gated and has bias, exclusive"):
        read_subjects(["resnet8-cifar merge=gated merge.boas=0.0"], digits)


def test_networks_without_a_name_are_called_as_their_row(digits):
    study = STUDIES["inception"]
    for row, value in study.scales["demo"].networks.items():
        assert Subject("", fitted(value, digits), {}).kind == row


def test_batches_are_smaller_where_memory_asks():
    assert batch_size(network("resnet56-cifar")) == 128
    assert 4 <= batch_size(network("inception-resnet-v2")) < 64


def test_images_are_spread_over_the_test_set_and_seen_as_the_network_does(digits):
    (subject,) = read_subjects(["resnet8-cifar"], digits)
    seen = Inputs([subject], digits, 180).batches(subject)
    assert [len(labels) for _, labels in seen] == [90, 90]
    where = np.linspace(0, 359, 180).round().astype(int)
    assert torch.equal(torch.cat([labels for _, labels in seen]), torch.from_numpy(digits.test.labels[where]))
    wanted = torch.from_numpy(digits.test.pixels[where[:90]]).float() / 255 - torch.from_numpy(digits.train.mean())
    assert torch.allclose(seen[0][0], wanted)
    assert sum(len(labels) for _, labels in Inputs([subject], digits, 5000).batches(subject)) == 360


@pytest.mark.parametrize(
    "said", [{"whole": True}, {"whole": False}, {}, {"normalise": MeanStd((0.4,) * 3, (0.3,) * 3)}]
)
def test_pictures_are_seen_as_an_evaluation_sees_them(said, kept, pictures):
    file, data = kept(**said), load(pictures)
    (subject,) = read_subjects([file], data)
    [(pixels, labels)] = Inputs([subject], data, 100).batches(subject)
    with loader_for(read_weights(file), data, torch.device("cpu")) as loader:
        [(wanted, right)] = loader.views("test")
    assert torch.equal(pixels, wanted)
    assert torch.equal(labels, right)


def test_a_network_of_other_classes_is_refused(kept, pictures):
    data = load(pictures)
    with pytest.raises(SpecError, match=r"a network of other classes than .*: x in the place of a"):
        read_subjects([kept(classes=("x", "y"))], data)
    assert len(read_subjects([kept(classes=("a", "b"))], data)) == 1


def test_a_folder_as_hugging_face_has_it_is_weights(kept, pictures, tmp_path, monkeypatch):
    file = kept(classes=("a", "b"), whole=True)
    export(file, "huggingface", tmp_path / "model-v1.5")
    monkeypatch.chdir(tmp_path)
    (found,) = read_subjects(["model-v1.5"], load(pictures))
    assert (found.label, list(found.states)) == ("model-v1.5", [TRAINED])
    weight = read_weights(file).state["stem.conv1.weight"]
    assert torch.equal(found.states[TRAINED].stem.conv1.weight, weight)


def test_pictures_that_cannot_be_read_are_errors_or_left_out(kept, pictures, tmp_path):
    (tmp_path / "pictures" / "val" / "b" / "2.png").write_bytes(b"none")
    data = load(pictures)
    found = read_subjects([kept()], data)
    with pytest.raises(DataError, match=r"2\.png: not a picture"):
        Inputs(found, data, 100).batches(found[0])
    inputs = Inputs(found, data, 100, on_bad="skip")
    [(pixels, labels)] = inputs.batches(found[0])
    assert labels.tolist() == [0] * 4 + [1] * 3
    assert len(pixels) == 7
    assert [(file[-5:], reason) for file, reason in inputs.skipped.items()] == [("2.png", "not a picture")]
    assert inputs.count_text() == (f"7 of 8 test images of {pictures}, without 1 that could not be read")
    for file in (tmp_path / "pictures" / "val").rglob("*.png"):
        file.write_bytes(b"none")
    with pytest.raises(DataError, match="none of 8 pictures can be read"):
        inputs.batches(found[0])
