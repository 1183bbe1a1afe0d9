"""The step over fixed buffers: nothing is bound anew, no number changes, and a recording of it trains as it does."""

import json
from functools import partial

import pytest
import torch

from reslab.data.crops import PadCropFlip
from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.evaluate import evaluate
from reslab.nets import (
    Add,
    Conv,
    Dropped,
    Gated,
    Scaled,
    StochasticDepth,
    Weighted,
    cifar_resnet,
)
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.recipes.recipe import SGD, AdamW, Recipe, RMSProp
from reslab.recipes.schedule import Drops
from reslab.runs.contents import Result
from reslab.runs.execution import Execution
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.train import loop, optim
from reslab.train.learner import Learner
from reslab.train.loop import fitted, train
from reslab.train.meter import Meter
from reslab.train.step import FixedStep, StreamedStep, make_step
from reslab.weights.manifest import newest

from .recorded import Recorded

CPU = torch.device("cpu")
HOW = Recipe(steps=12, batch=16, schedule=Drops(at=(6, 9)), augment=PadCropFlip(pad=1), evaluate_every=4, log_every=2)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Optimizers as on a GPU: they read the learning rate on the device."""
    monkeypatch.setattr(optim.torch.optim, "SGD", lambda *words, fused, **names: OFFICIAL(*words, fused=True, **names))
    monkeypatch.setattr(optim, "TFRMSProp", lambda *words, capturable: RMSPROP(*words, capturable=True))


OFFICIAL, RMSPROP = torch.optim.SGD, optim.TFRMSProp


def small(digits, **fields):
    return fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), **fields), digits)


def steps(digits, network, recipe, make, recompute=0, device=CPU):
    """A learner, its meter and its steps of a kind, from the same seed."""
    torch.manual_seed(0)
    learner, meter = Learner(network.build().to(device), recipe, recompute), Meter(device)
    return learner, meter, make(learner, meter, InMemoryLoader(digits, device), 3)


def trained(digits, network, recipe, make, recompute=0, device=CPU):
    """Every tensor after the recipe's steps."""
    learner, meter, one_step = steps(digits, network, recipe, make, recompute, device)
    for step in range(recipe.steps):
        one_step.take(step)
    return tensors(learner, meter)


def tensors(learner, meter):
    found = {f"network {key}": value for key, value in learner.network.state_dict().items()}
    found |= {f"optimizer {key}": value for key, value in learner.optimizer_state().items()}
    rates = {f"lr {index}": group["lr"] for index, group in enumerate(learner.optimizer.param_groups)}
    found |= {key: rate for key, rate in rates.items() if isinstance(rate, torch.Tensor)}
    if learner.ema:
        found |= {f"EMA {key}": value for key, value in learner.ema.network.state_dict().items()}
    return found | {"sums": meter.sums, "bad": meter.bad, "step": learner.step}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


RECIPES = {
    "plain": HOW,
    "without augmentation": replace(HOW, augment=None),
    "EMA, clipped": replace(HOW, average=0.9, clip=0.5),
    "RMSProp": replace(HOW, optimizer=RMSProp(), schedule=Drops(rate=0.01, at=(6,)), average=0.99),
    "AdamW": replace(HOW, optimizer=AdamW(), schedule=Drops(rate=0.01, at=(6,)), decay="all"),
    "no momentum": replace(HOW, optimizer=SGD(momentum=0.0)),
    "head": replace(HOW, head_rate=3.0, smoothing=0.1),
    "frozen": replace(HOW, bn="frozen"),
}
RECORDABLE = {name: how for name, how in RECIPES.items() if name != "AdamW"}  # on a processor it reads numbers
NETWORKS = {
    "resnet": {},
    "plain": {"shortcut": None},
    **{name: {"arrangement": name} for name in ARRANGEMENTS},
    **{
        str(merge): {"merge": merge}
        for merge in (
            Add(),
            Scaled(0.5, 0.5),
            Gated(),
            Gated(exclusive=True),
            Dropped(0.5),
            Weighted(),
            StochasticDepth(),
        )
    },
}


@pytest.mark.parametrize("how", RECIPES.values(), ids=RECIPES)
def test_steps_over_fixed_buffers_are_those_over_batches(digits, how):
    network = small(digits, merge=Dropped(0.5))
    streamed = trained(digits, network, how, partial(StreamedStep, first=0))
    assert_same(trained(digits, network, how, FixedStep), streamed)


def assert_recording_trains_as_eager(digits, network, how, recompute=0):
    graph = Recorded()
    expected = trained(digits, network, how, FixedStep, recompute)
    assert_same(trained(digits, network, how, partial(FixedStep, graph=graph), recompute), expected)
    assert (graph.warm_ups, graph.replays) == (3, how.steps - 3)


@pytest.mark.parametrize("how", RECORDABLE.values(), ids=RECORDABLE)
def test_a_recording_of_the_step_trains_as_the_step_does_by_every_recipe(digits, how, as_on_a_gpu):
    assert_recording_trains_as_eager(digits, small(digits, merge=Dropped(0.5)), how)


@pytest.mark.parametrize("fields", NETWORKS.values(), ids=NETWORKS)
def test_a_recording_of_the_step_trains_as_the_step_does_for_every_network(digits, fields, as_on_a_gpu):
    assert_recording_trains_as_eager(digits, small(digits, **fields), replace(HOW, steps=8, batch=8))


def test_a_recording_with_activation_checkpointing_trains_as_the_step_does(digits, as_on_a_gpu):
    assert_recording_trains_as_eager(digits, small(digits), HOW, recompute=1)


def test_a_number_that_changes_is_seen_by_the_recording(digits, as_on_a_gpu, monkeypatch):
    """The stand-in shows what a CUDA graph would: a learning rate as a number stays the one of the capture."""

    def set_rates(optimizer, rate):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]

    monkeypatch.setattr("reslab.train.learner.set_rates", set_rates)
    network, (eager, recorded) = small(digits), (FixedStep, partial(FixedStep, graph=Recorded()))
    weights = [trained(digits, network, HOW, make)["network head.linear.weight"] for make in (eager, recorded)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("how", RECIPES.values(), ids=RECIPES)
def test_every_tensor_keeps_its_place_through_steps_evaluation_and_restoring(digits, how, tmp_path):
    learner, meter, one_step = steps(digits, small(digits), how, FixedStep)
    places = {key: value.data_ptr() for key, value in tensors(learner, meter).items()}
    for step in range(5):
        one_step.take(step)
    evaluate(learner.eval_model(), InMemoryLoader(digits, CPU).views("test"))
    meter.since_last_log()
    meter.load(meter.state(), True)
    optim.load_optimizer_state(learner.optimizer, {k: v.clone() for k, v in learner.optimizer_state().items()})
    one_step.take(5)
    assert {key: value.data_ptr() for key, value in tensors(learner, meter).items()} == places


def test_the_table_of_draws_is_filled_again_where_it_ends_and_where_steps_jump(digits):
    network, how = small(digits), replace(HOW, steps=200, batch=2)
    learner, _, one_step = steps(digits, network, how, FixedStep)
    expected = iter(InMemoryLoader(digits, CPU).batches(3, range(200), 2, how.augment))
    seen = []
    learner.update = lambda images, labels: seen.append((images, labels)) or (torch.zeros(()), torch.zeros(2, 10))
    for step in range(150):
        one_step.take(step)
    for (images, labels), wanted in zip(seen, expected, strict=False):
        assert torch.equal(images, wanted[0])
        assert torch.equal(labels, wanted[1])
    one_step.take(7)
    wanted = list(InMemoryLoader(digits, CPU).batches(3, range(8), 2, how.augment))[7]
    assert torch.equal(seen[-1][0], wanted[0])


def test_a_recipe_with_mixup_keeps_the_ordinary_step_on_a_gpu_and_says_why(digits):
    how = replace(HOW, mixup=0.2)
    loader, outcomes = InMemoryLoader(digits, CPU), []
    loader.device = torch.device("cuda")
    step = make_step(Learner(small(digits).build(), how), Meter(CPU), loader, 3, 0, outcomes.append)
    assert isinstance(step, StreamedStep)
    assert outcomes == ["not with mixup"]


class Refused(Recorded):
    def capture(self, function):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more")


def run_with(monkeypatch, graph):
    """Trainings take their steps in this graph, as on a GPU."""

    def make_step(learner, meter, loader, seed, first, report):
        return FixedStep(learner, meter, loader, seed, graph(), report)

    monkeypatch.setattr(loop, "make_step", make_step)


def weights(run):
    return (newest(run) / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("graph", "outcome"),
    [
        (Recorded, "captured"),
        (Refused, "RuntimeError: CUDA error: operation not permitted when stream is capturing"),
    ],
)
def test_a_run_says_whether_it_is_captured_and_ends_with_the_same_weights(
    tmp_path, digits, monkeypatch, as_on_a_gpu, graph, outcome
):
    network, how = small(digits, merge=Dropped(0.5)), replace(HOW, average=0.9)
    train(network, how, digits, tmp_path / "eager")
    assert Run(tmp_path / "eager").record.graph is None
    run_with(monkeypatch, graph)
    train(network, how, digits, tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "eager")
    assert Run(tmp_path / "run").record.graph == outcome
    assert json.loads((tmp_path / "run" / "run.json").read_text())["graph"] == outcome


@pytest.mark.parametrize("at", [1, 3, 4, 9])
def test_a_captured_run_resumes_to_the_same_bytes(tmp_path, digits, monkeypatch, as_on_a_gpu, at):
    network, how = small(digits, merge=Dropped(0.5)), replace(HOW, average=0.9)
    run_with(monkeypatch, Recorded)
    train(network, how, digits, tmp_path / "whole")
    take = FixedStep.take

    def take_and_die(self, step):
        if step == at:
            raise KeyboardInterrupt
        take(self, step)

    monkeypatch.setattr(FixedStep, "take", take_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(network, replace(how, checkpoint_every=1), digits, tmp_path / "run")
    monkeypatch.setattr(FixedStep, "take", take)
    train(network, replace(how, checkpoint_every=1), digits, tmp_path / "run", execution=Execution(resume="exact"))
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_a_captured_run_that_diverges_names_the_step_of_its_first_bad_loss(tmp_path, digits, monkeypatch, as_on_a_gpu):
    how = replace(HOW, schedule=Drops(rate=1e30), log_every=100, evaluate_every=100, steps=50)
    results = [Result(**train(small(digits), how, digits, tmp_path / "eager"))]
    run_with(monkeypatch, Recorded)
    results.append(Result(**train(small(digits), how, digits, tmp_path / "run")))
    assert results[0].status == results[1].status == "diverged"
    assert results[0].step == results[1].step
    assert results[0].batch == results[1].batch
