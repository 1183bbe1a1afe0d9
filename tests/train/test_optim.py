"""Optimizers do what their papers' frameworks did."""

import os
import subprocess
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from reslab.nets import cifar_resnet
from reslab.recipes.recipe import SGD, AdamW, Recipe, RMSProp
from reslab.recipes.schedule import Drops
from reslab.train.ema import EMA
from reslab.train.optim import TFRMSProp, load_optimizer_state, make_optimizer, optimizer_state

STEPS = 6


def gradients():
    return np.random.default_rng(0).normal(size=(STEPS, 5)) * [1e-3, 0.1, 1, 10, 1e3]


def walk(parameter, optimizer):
    """A parameter after each of some given gradients."""
    values = []
    for gradient in gradients():
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        values.append(parameter.detach().clone().numpy())
    return np.array(values)


def test_rmsprop_is_the_formula_with_epsilon_in_the_root():
    parameter = nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
    groups = [{"params": [parameter], "weight_decay": 0.01}]
    values = walk(parameter, TFRMSProp(groups, lr=0.045, decay=0.9, momentum=0.8, eps=1.0))
    w, m, v = np.linspace(-1, 1, 5), np.ones(5), np.zeros(5)
    for step, gradient in enumerate(gradients()):
        g = gradient + 0.01 * w
        m = 0.9 * m + 0.1 * g**2
        v = 0.8 * v + 0.045 * g / np.sqrt(m + 1.0)
        w = w - v
        np.testing.assert_allclose(values[step], w, rtol=1e-12)


THEIRS = """
import contextlib, sys, numpy, torch
with contextlib.suppress(ImportError):
    import cpu_shim  # lets torchvision's CUDA build be imported beside a CPU torch
from timm.optim import RMSpropTF
gradients = numpy.load(sys.argv[1])
p = torch.nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
optimizer = RMSpropTF([p], lr=0.045, alpha=0.9, momentum=0.9, eps=1.0, weight_decay=4e-5)
values = []
for gradient in gradients:
    p.grad = torch.tensor(gradient)
    optimizer.step()
    values.append(p.detach().numpy().copy())
numpy.save(sys.argv[2], numpy.array(values))
"""


@pytest.mark.skipif("RESLAB_PEERS" not in os.environ, reason="RESLAB_PEERS names no python with timm")
def test_rmsprop_is_timms(tmp_path):
    np.save(tmp_path / "gradients.npy", gradients())
    files = [str(tmp_path / "gradients.npy"), str(tmp_path / "theirs.npy")]
    subprocess.run([os.environ["RESLAB_PEERS"], "-c", THEIRS, *files], check=True)
    parameter = nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
    groups = [{"params": [parameter], "weight_decay": 4e-5}]
    values = walk(parameter, TFRMSProp(groups, lr=0.045, decay=0.9, momentum=0.9, eps=1.0))
    np.testing.assert_allclose(values, np.load(Path(files[1])), rtol=1e-12)


@pytest.mark.parametrize("rule", [SGD(), SGD(nesterov=True), RMSProp(), AdamW()])
def test_the_state_is_saved_and_loaded(rule):
    how = Recipe(steps=4, optimizer=rule, head_rate=2.0)
    torch.manual_seed(0)
    networks = [cifar_resnet(8).build().to(memory_format=torch.channels_last) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    optimizers = [make_optimizer(network, how) for network in networks]
    images = torch.randn(4, 3, 32, 32)

    def step(network, optimizer):
        optimizer.zero_grad()
        network(images).square().sum().backward()
        optimizer.step()

    step(networks[0], optimizers[0])
    networks[1].load_state_dict(networks[0].state_dict())
    state = {key: value.clone().contiguous() for key, value in optimizer_state(optimizers[0]).items()}
    load_optimizer_state(optimizers[1], state)
    for parameter in networks[1].parameters():  # torch's fused step on a GPU asks for it
        maps = [value for value in optimizers[1].state[parameter].values() if value.shape == parameter.shape]
        assert {value.stride() for value in maps} == {parameter.stride()}
    for network, optimizer in zip(networks, optimizers, strict=True):
        step(network, optimizer)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "make", [torch.optim.Adam, torch.optim.NAdam, partial(torch.optim.AdamW, amsgrad=True), torch.optim.Adagrad]
)
def test_the_state_of_any_optimizer_is_saved_and_loaded_its_scalars_too(make, tmp_path):
    torch.manual_seed(0)
    networks = [cifar_resnet(8).build() for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    optimizers = [make(network.named_parameters(), lr=0.1) for network in networks]

    def step(network, optimizer, seed):
        torch.manual_seed(seed)
        optimizer.zero_grad()
        network(torch.randn(4, 3, 32, 32)).square().mean().backward()
        optimizer.step()

    for seed in range(3):
        step(networks[0], optimizers[0], seed)
    save_file(optimizer_state(optimizers[0]), tmp_path / "optimizer.safetensors")
    networks[1].load_state_dict(networks[0].state_dict())
    load_optimizer_state(optimizers[1], load_file(tmp_path / "optimizer.safetensors"))
    for network, optimizer in zip(networks, optimizers, strict=True):
        step(network, optimizer, 3)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_adamw_is_the_formula_with_weight_decay_apart():
    recipe = Recipe(steps=STEPS, schedule=Drops(rate=0.05), optimizer=AdamW(0.8, 0.9, 1e-6), weight_decay=0.3)
    parameter = nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None])  # two dimensions: it decays
    network = nn.Module()
    network.weight = parameter
    optimizer = make_optimizer(network, recipe)
    w, m, v = np.linspace(-1, 1, 5), np.zeros(5), np.zeros(5)
    for step, g in enumerate(gradients(), start=1):
        parameter.grad = torch.tensor(g)[:, None]
        optimizer.step()
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        w = w - 0.05 * 0.3 * w - 0.05 * (m / (1 - 0.8**step)) / (np.sqrt(v / (1 - 0.9**step)) + 1e-6)
        np.testing.assert_allclose(parameter.detach()[:, 0].numpy(), w, rtol=1e-12)


def test_weight_decay_is_on_weights_or_on_all_parameters():
    network = cifar_resnet(8).build()
    biases = {name for name, parameter in network.named_parameters() if parameter.ndim == 1}
    for decay, expected in (("weights", biases), ("all", set())):
        groups = make_optimizer(network, Recipe(steps=1, decay=decay)).param_groups
        undecayed = [name for group in groups for name in group["param_names"] if not group["weight_decay"]]
        assert set(undecayed) == expected


def test_an_optimizer_that_nobody_built_is_an_error():
    lion = SimpleNamespace(optimizer="lion", rate=float, weight_decay=0.0, decay="weights", head_rate=1.0)
    with pytest.raises(AssertionError, match="Expected code to be unreachable"):
        make_optimizer(cifar_resnet(8).build(), lion)


def test_the_ema_has_its_decay_and_soon_forgets_the_beginning():
    torch.manual_seed(0)
    network = cifar_resnet(8).build()
    ema = EMA(network, 0.6)
    expected = network.head.linear.weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            network.head.linear.weight.copy_(torch.randn_like(expected))
            network.stem.bn1.running_mean.add_(1.0)
            network.stem.bn1.num_batches_tracked += 1
        ema.set_step(step)
        ema.update(network)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.head.linear.weight.detach()
    torch.testing.assert_close(ema.network.head.linear.weight, expected)
    assert ema.network.stem.bn1.num_batches_tracked == 20
    assert 17 < ema.network.stem.bn1.running_mean[0] < 20
