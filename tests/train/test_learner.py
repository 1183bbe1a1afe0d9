"""One step of learning: every parameter learns, and an image counts the same wherever it is."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reslab.nets import NAMED, Gated, cifar_resnet, network
from reslab.recipes.recipe import Recipe
from reslab.spec import replace
from reslab.train.learner import Learner, Loss

SMALL = {
    "resnet20-cifar", "plain20-cifar", "preact29-cifar", "resnet18", "resnet34-c", "resnet50", "preact50",
    "googlenet", "bn-inception", "inception-v3", "inception-resnet-v1", "vgg11-bn", "alexnet", "lenet5",
} & set(NAMED)  # fmt: skip


def fitted(name):
    value = network(name)
    size = {"inception-v3": 299, "googlenet": 224, "inception-resnet-v1": 107}.get(name, value.size)
    return replace(value, classes=5, size=size)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_no_parameter_is_dead_and_every_statistic_moves(name):
    torch.manual_seed(0)
    value = fitted(name)
    model = value.build()
    buffers = {key: tensor.clone() for key, tensor in model.named_buffers()}
    parameters = {key: tensor.detach().clone() for key, tensor in model.named_parameters()}
    learner = Learner(model, Recipe(steps=3, batch=3, weight_decay=0.0))
    alive = dict.fromkeys(parameters, False)
    for step in range(3):
        learner.train_step(torch.randn(3, *value.input), torch.tensor([0, 3, 4]), step)
        for key, parameter in model.named_parameters():
            alive[key] |= bool(parameter.grad.abs().sum() > 0)
    assert all(alive.values()), [key for key, lives in alive.items() if not lives]
    assert not [key for key, tensor in model.named_parameters() if torch.equal(tensor, parameters[key])]
    assert not [key for key, tensor in model.named_buffers() if torch.equal(tensor, buffers[key])]


def test_gates_learn_too():
    learner = Learner(cifar_resnet(8, merge=Gated(-1.0)).build(), Recipe(steps=3, batch=4))
    learner.train_step(torch.randn(4, 3, 32, 32), torch.arange(4), 0)
    gates = [p for key, p in learner.network.named_parameters() if "gate" in key]
    assert gates
    assert all(p.grad.abs().sum() > 0 for p in gates)


def test_label_smoothing_is_the_papers():
    torch.manual_seed(0)
    model = cifar_resnet(8).build().eval()
    images, labels = torch.randn(6, 3, 32, 32), torch.arange(6)
    loss, logits = Loss(model, 0.1)(images, labels)
    target = 0.9 * F.one_hot(labels, 10) + 0.1 / 10  # Inception-v3 sec. 7
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_auxiliary_losses_are_added_with_their_weight():
    torch.manual_seed(0)
    model = replace(network("googlenet"), classes=5).build().eval()
    images, labels = torch.randn(2, 3, 224, 224), torch.tensor([1, 4])
    loss, logits = Loss(model, 0.0)(images, labels)
    _, aux_logits = model.with_auxiliary(images)
    expected = F.cross_entropy(logits, labels) + 0.3 * sum(F.cross_entropy(other, labels) for other in aux_logits)
    assert len(aux_logits) == 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_gradient_is_clipped_as_a_whole():
    torch.manual_seed(0)
    learner = Learner(cifar_resnet(8).build(), Recipe(steps=3, batch=4, clip=1e-3))
    learner.train_step(torch.randn(4, 3, 32, 32), torch.arange(4), 0)
    norms = [parameter.grad.norm().item() for parameter in learner.network.parameters()]
    assert np.linalg.norm(norms) == pytest.approx(1e-3, rel=1e-3)


def test_a_smaller_batch_weighs_less():
    """A picture that was skipped leaves its share of the gradient out, and gives it to no other."""
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 32, 32), torch.arange(4)
    model = cifar_resnet(8).build().eval()
    gradients = []
    for batch in (4, 8):
        learner = Learner(model, Recipe(steps=1, batch=batch))
        learner.optimizer.step = lambda: None
        learner.train_step(images, labels, 0)
        gradients.append(model.head.linear.weight.grad.clone())
    torch.testing.assert_close(gradients[0], 2 * gradients[1])


@pytest.mark.parametrize("average", [None, 0.9], ids=["plain", "ema"])
@pytest.mark.parametrize("ending", ["head.linear.weight", "running_var"])
def test_weights_and_bn_statistics_are_checked_for_what_is_not_finite(ending, average):
    learner = Learner(cifar_resnet(8).build(), Recipe(steps=1, average=average))
    assert learner.is_finite()
    state = learner.eval_model().state_dict()
    next(tensor for key, tensor in state.items() if key.endswith(ending)).view(-1)[0] = float("inf")
    assert not learner.is_finite()
