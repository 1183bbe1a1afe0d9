"""What an analysis looks into: names, runs, files; images evenly spread."""

import numpy as np
import pytest
import torch

from reslab.analyse.subject import INITIAL, TRAINED, Subject, at_once, images, subjects
from reslab.data.loader import load
from reslab.errors import DataError, SpecError
from reslab.nets import Conv, Gated, cifar_resnet, network
from reslab.papers import STUDIES
from reslab.train.loop import fitted, train
from reslab.train.recipe import Recipe
from reslab.train.schedule import Drops
from reslab.weights.file import Weights, save_weights

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


def test_a_runs_initial_weights_are_those_that_its_training_began_with(run, digits):
    before = torch.get_rng_state()
    (found,) = subjects([str(run)], digits)
    assert torch.equal(torch.get_rng_state(), before)
    assert (found.label, list(found.states)) == ("still", [INITIAL, TRAINED])
    initial, trained = (dict(module.named_parameters()) for module in found.states.values())
    assert all(torch.allclose(initial[key], trained[key]) for key in initial)


def test_names_files_and_runs_stand_side_by_side(run, digits, tmp_path):
    (first,) = subjects([str(run)], digits)
    file = tmp_path / "kept.safetensors"
    save_weights(Weights(first.spec, first.states[TRAINED].state_dict()), file)
    found = subjects(["resnet8-cifar", str(file), str(run)], digits, seed=3)
    assert [(one.label, list(one.states)) for one in found] == [
        ("resnet8-cifar", [INITIAL]),
        ("kept", [TRAINED]),
        ("still", [INITIAL, TRAINED]),
    ]
    again = subjects(["resnet8-cifar"], digits, seed=3)[0].states[INITIAL]
    other = subjects(["resnet8-cifar"], digits, seed=4)[0].states[INITIAL]
    weight = found[0].states[INITIAL].stem.conv1.weight
    assert torch.equal(again.stem.conv1.weight, weight)
    assert not torch.equal(other.stem.conv1.weight, weight)


def test_what_does_not_fit_the_data_or_is_not_there_is_refused(digits, tmp_path):
    file = tmp_path / "colour.safetensors"
    spec = cifar_resnet(8)
    save_weights(Weights(spec, spec.build().state_dict()), file)
    with pytest.raises(SpecError, match="10 classes and 3 channels, but digits has 10 classes and 1 channels"):
        subjects([str(file)], digits)
    with pytest.raises(SpecError, match="named twice"):
        subjects(["resnet8-cifar"] * 2, digits)
    with pytest.raises(DataError, match="no such file"):
        subjects(["runs/none"], digits)
    with pytest.raises(SpecError, match="no network 'resnext50'"):
        subjects(["resnext50"], digits)


def test_a_network_is_named_with_its_changed_fields_or_given_as_a_value(digits):
    words, value = "resnet8-cifar merge=gated merge.bias=0.0", cifar_resnet(8, merge=Gated(0.0))
    (named,), (given,) = subjects([words], digits), subjects([value], digits)
    assert named.spec == given.spec == fitted(value, digits)
    assert named.label == named.kind == given.label == given.kind == words
    with pytest.raises(SpecError, match=r"^merge\.boas: merge is gated and has bias, exclusive"):
        subjects(["resnet8-cifar merge=gated merge.boas=0.0"], digits)


def test_networks_without_a_name_are_called_as_their_row(digits):
    study = STUDIES["inception"]
    for row, value in study.scales["demo"].networks.items():
        assert Subject("", fitted(value, digits), {}).kind == row


def test_batches_are_smaller_where_memory_asks():
    assert at_once(network("resnet56-cifar")) == 128
    assert 4 <= at_once(network("inception-resnet-v2")) < 64


def test_images_are_spread_over_the_test_set_and_seen_as_the_network_does(digits):
    (subject,) = subjects(["resnet8-cifar"], digits)
    seen = images(subject, digits, 180)
    assert [len(labels) for _, labels in seen] == [90, 90]
    where = np.linspace(0, 359, 180).round().astype(int)
    assert torch.equal(torch.cat([labels for _, labels in seen]), torch.from_numpy(digits.test.labels[where]))
    wanted = torch.from_numpy(digits.test.pixels[where[:90]]).float() / 255 - torch.from_numpy(digits.train.mean())
    assert torch.allclose(seen[0][0], wanted)
    assert sum(len(labels) for _, labels in images(subject, digits, 5000)) == 360
