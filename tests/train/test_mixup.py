"""Mixup: means of two images and their labels, drawn by seed and step; AdamW, mixup and a head of zeros in a run."""

import os
import signal

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.recipe import AdamW, Recipe
from reslab.recipes.schedule import Drops
from reslab.runs.execution import Execution
from reslab.runs.run import Run
from reslab.spec import digest, plain, replace
from reslab.train import loop
from reslab.train.learner import Learner, Loss
from reslab.train.loop import fitted, train
from reslab.train.mixup import draw_mixup, mixup

EXTRAS = Recipe(
    steps=8,
    batch=16,
    schedule=Drops(rate=0.003),
    optimizer=AdamW(),
    weight_decay=0.1,
    decay="all",
    mixup=0.4,
    zero_head=True,
    smoothing=0.1,
    evaluate_every=4,
    checkpoint_every=4,
)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def network(digits):
    return fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits)


def test_images_and_labels_are_the_means_of_the_paper():
    images = torch.tensor([[0.0, 4.0], [8.0, 0.0], [1.0, 1.0]])
    mixed, targets = mixup(images, torch.tensor([0, 2, 1]), 3, 0.75, np.array([1, 2, 2]))
    assert mixed.tolist() == [[2.0, 3.0], [6.25, 0.25], [1.0, 1.0]]
    assert targets.tolist() == [[0.75, 0.0, 0.25], [0.0, 0.25, 0.75], [0.0, 1.0, 0.0]]


def test_the_draws_are_a_function_of_seed_and_step():
    weight, others = draw_mixup(1, 2, 0.4, 10)
    assert (weight, others.tolist()) == (draw_mixup(1, 2, 0.4, 10)[0], draw_mixup(1, 2, 0.4, 10)[1].tolist())
    assert sorted(others) == list(range(10))
    weights = np.array([draw_mixup(seed, step, 1.0, 4)[0] for seed in range(20) for step in range(50)])
    assert len(set(weights)) == 1000
    assert weights.min() >= 0.5
    assert weights.mean() == pytest.approx(0.75, abs=0.02)  # uniform in 0.5 .. 1 where alpha is 1
    assert np.mean([draw_mixup(0, step, 0.1, 4)[0] for step in range(1000)]) > 0.9


def test_the_loss_of_mixed_labels_is_the_mean_of_both_labels_losses():
    torch.manual_seed(0)
    model = cifar_resnet(8).build().eval()
    images, labels, others = torch.randn(4, 3, 32, 32), torch.tensor([3, 1, 4, 1]), np.array([2, 0, 1, 3])
    mixed, targets = mixup(images, labels, 10, 0.7, others)
    loss, logits = Loss(model, 0.0)(mixed, targets)
    expected = 0.7 * F.cross_entropy(logits, labels) + 0.3 * F.cross_entropy(logits, labels[others])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_run_is_a_plain_loop_of_torch(tmp_path, digits, network):
    how = replace(EXTRAS, smoothing=0.0)
    train(network, how, digits, tmp_path / "run", seed=3, execution=Execution(device="cpu", precision="float32"))
    torch.manual_seed(loop.torch_seed(3, "weights", 0))
    model = network.build().to(memory_format=torch.channels_last)
    torch.nn.init.zeros_(model.head.linear.weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.1)
    loader = InMemoryLoader(digits, torch.device("cpu"))
    for step, (images, labels) in enumerate(loader.batches(3, range(8), 16, None)):
        weight, others = draw_mixup(3, step, 0.4, 16)
        logits = model((weight * images + (1 - weight) * images[others]).contiguous(memory_format=torch.channels_last))
        loss = weight * F.cross_entropy(logits, labels) + (1 - weight) * F.cross_entropy(logits, labels[others])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state = Run(tmp_path / "run").weights.state
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, digits, network, monkeypatch):
    train(network, EXTRAS, digits, tmp_path / "whole")
    train_step = Learner.train_step

    def stop_after_six(self, images, labels, step):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(self, images, labels, step)

    monkeypatch.setattr(Learner, "train_step", stop_after_six)
    assert train(network, EXTRAS, digits, tmp_path / "run")["status"] == "stopped"
    monkeypatch.undo()
    result = train(network, EXTRAS, digits, tmp_path / "run", execution=Execution(resume="exact"))
    assert result["status"] == "finished"
    one, other = (Run(tmp_path / name).newest.weights_file.read_bytes() for name in ("whole", "run"))
    assert one == other


def test_fields_at_their_defaults_change_no_file_and_no_digest():
    before = {"decay", "mixup", "zero_head"} & set(plain(Recipe(steps=5)))
    assert not before
    assert digest(Recipe(steps=5)) == digest(Recipe(steps=5, mixup=0.0, decay="weights", zero_head=False))
    assert digest(Recipe(steps=5)) != digest(Recipe(steps=5, mixup=0.1))
