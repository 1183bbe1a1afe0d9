"""What parts cost is what the whole costs, for every network."""

import pytest
import torch
from tests.analyse.made import Unchanged, described

from reslab.analyse.cost import CostAnalysis, depth, parts, times
from reslab.analyse.inputs import Inputs, Subject
from reslab.cli import main
from reslab.nets import Conv, Gated, cifar_resnet, network
from reslab.train.estimate import activation_bytes

NAMES = ["resnet20-cifar", "plain34", "preact164-cifar", "inception-resnet-v2", "googlenet", "vgg16-bn", "lenet5"]


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_add_up_to_the_network(name):
    spec = network(name)
    found, whole = parts(spec), spec.cost()
    assert sum(part.parameters for part in found) == whole.parameters
    assert sum(part.multiply_adds for part in found) == whole.multiply_adds
    assert sum(part.bn for part in found) == whole.parameters - whole.weights - _biases(spec)
    assert found[-1].output == (spec.classes,)


def _biases(spec):
    from reslab.weights.file import empty

    modules = empty(spec)
    parts = [module for name in modules.part_names for module in getattr(modules, name).modules()]
    return sum(m.bias.numel() for m in parts if isinstance(m, torch.nn.Conv2d | torch.nn.Linear) and m.bias is not None)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet34", 34),
        ("resnet50-c", 50),
        ("preact1001-cifar", 1001),
        ("vgg16", 16),
        ("googlenet", 22),
        ("alexnet", 8),
    ],
)
def test_the_depth_is_the_one_in_the_name(name, layers):
    assert sum(part.depth for part in parts(network(name))) == layers


def test_a_gate_is_beside_the_longest_way():
    assert sum(part.depth for part in parts(cifar_resnet(20, merge=Gated()))) == 20


def test_activations_are_those_of_the_forecast():
    spec = network("resnet20-cifar")
    loss = 4 * spec.classes + 8  # the log of the probabilities, and the label
    assert sum(part.activations for part in parts(spec)) + loss == activation_bytes(spec, 3) - activation_bytes(spec, 2)


def test_activations_are_the_maps_counted_by_hand():
    """conv, BN, ReLU keep the convolution's input, BN's input and ReLU's output, which is the next one's input."""
    stem, stage, *_, head = parts(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), size=8, shortcut=None))
    assert stem.activations == 4 * 8 * 8 * (3 + 4 + 4)
    assert stage.activations == 4 * 8 * 8 * 4 * 4
    assert head.activations == 4 * 16


def test_a_convolution_is_one_layer_deep():
    assert depth(torch.nn.Conv2d(1, 1, 1)) == depth(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(1, 1))) == 1


def test_times_are_of_every_part_and_leave_the_network_as_it_was():
    networks = [network("plain20-cifar").build(), cifar_resnet(8).build().eval()]
    before = Unchanged(networks[0])
    found = times(networks, batch=2)
    assert [list(laps) for laps in found] == [list(each.part_names) for each in networks]
    assert all(milliseconds > 0 for laps in found for milliseconds in laps.values())
    before.check()
    assert not any(module.training for module in networks[1].modules())


def test_the_table_has_every_part_and_the_whole():
    subject = Subject("mine", cifar_resnet(8), {"initial": cifar_resnet(8).build()})
    analysis = CostAnalysis(batch=2).run(Inputs([subject]))
    columns = {column.title: column.cells for column in analysis.table}
    assert columns["part"] == ["stem", "stage1", "stage2", "stage3", "head", "all"]
    assert columns["parameters"][-1] == f"{cifar_resnet(8).cost().parameters:,}"
    assert set(analysis.columns()) <= described("cost")
    assert sum(analysis.columns()["multiply-adds"]) == cifar_resnet(8).cost().multiply_adds
    assert set(analysis.drawings) == {"cost"}


def test_the_report_keeps_the_whole_name_of_its_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["analyse", "cost", "resnet50-v1.5", "--batch", "1"])
    assert not end.value.code
    assert (tmp_path / "reports" / "cost-resnet50-v1.5" / "analysis.html").is_file()
