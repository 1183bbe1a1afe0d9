"""Activations computed again change neither gradients nor statistics, and take less memory."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from reslab.analyse.cost import parts
from reslab.errors import SpecError
from reslab.nets import Dropped, cifar_resnet, network
from reslab.recipes.recipe import Recipe
from reslab.spec import replace
from reslab.train.estimate import activation_bytes
from reslab.train.learner import Learner

HOW = Recipe(steps=3, batch=8)


def learnt(value, units):
    """A network after two steps, with the gradients of the second."""
    torch.manual_seed(1)
    learner = Learner(value.build(), HOW, units)
    for step in range(2):
        torch.manual_seed(step)
        learner.train_step(torch.randn(8, *value.input), torch.arange(8) % value.classes, step)
    return learner.network


@pytest.mark.parametrize("units", [1, 2, 5])
@pytest.mark.parametrize(
    "value",
    [
        cifar_resnet(20, merge=Dropped(0.5)),
        cifar_resnet(20, arrangement="full-preactivation"),
        cifar_resnet(29, kernels=(1, 3, 1)),
        replace(network("inception-resnet-v1"), size=107, classes=10),
    ],
    ids=["dropped", "preact", "bottleneck", "inception"],
)
def test_gradients_and_statistics_are_bit_for_bit_the_same(value, units):
    plain, again = learnt(value, 0), learnt(value, units)
    assert list(plain.state_dict()) == list(again.state_dict())
    for (name, one), (_, other) in zip(plain.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name
    for name, one in plain.state_dict().items():
        assert torch.equal(one, again.state_dict()[name]), name
    assert torch.equal(plain.eval()(torch.ones(1, *value.input)), again.eval()(torch.ones(1, *value.input)))


def test_the_forecast_of_activations_is_what_is_kept():
    value, kept = cifar_resnet(20), {}
    model = Learner(value.build(), HOW)

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model._loss(torch.randn(8, 3, 32, 32), torch.arange(8))
    assert activation_bytes(value, 8) == pytest.approx(sum(kept.values()), rel=0.02)


def test_deep_networks_are_forecast_a_fraction():
    value = network("resnet110-cifar")
    everything = activation_bytes(value, 128)
    assert activation_bytes(value, 128, 1) < everything / 3
    assert activation_bytes(value, 128, 4) < everything / 4.5


@pytest.mark.parametrize("groups", [0, 2])
def test_a_network_with_auxiliary_classifiers_is_counted(groups):
    value = network("googlenet")
    body = sum(part.activations for part in parts(value))
    assert (activation_bytes(value, 2, groups) > 2 * body) == (groups == 0)


def test_auxiliary_classifiers_are_refused_with_the_way_out():
    with pytest.raises(SpecError, match=r"auxiliary=\(\) leaves them out"):
        Learner(network("googlenet").build(), HOW, 1)
