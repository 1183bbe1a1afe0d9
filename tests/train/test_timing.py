"""Precision and threads by timing: the fastest for long runs, kept on resume; a message when others slow a run down."""

import json

import pytest
import torch

from reslab.data.digits import load_digits
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Chosen, Execution
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.train import timing
from reslab.train.loop import fitted, train
from reslab.train.timing import Candidate, Slowdown, fastest_threads

NETWORK = cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3))
LONG = Recipe(steps=2001, batch=4)
CHOSEN = Chosen("cpu", "bf16", False, "so")
SPEEDS = {
    Candidate("bf16", 2): 39,
    Candidate("float32", 2): 280,
    Candidate("bf16", 1): 719,
    Candidate("float32", 1): 200,
}


@pytest.fixture
def two_threads(monkeypatch):
    """Torch has two threads, and bf16 is there."""
    threads = [2]
    monkeypatch.setattr(timing.torch, "get_num_threads", lambda: threads[0])
    monkeypatch.setattr(timing.torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    monkeypatch.setattr(timing, "_has_bf16", lambda: True)
    return threads


def choose(monkeypatch, speeds, execution=None):
    monkeypatch.setattr(timing, "_rate", lambda network, recipe, execution, candidate: speeds[candidate])
    with fastest_threads(NETWORK, LONG, execution or Execution(), CHOSEN, True) as chosen:
        inside = torch.get_num_threads()
    return chosen, inside


def test_the_fastest_is_taken_while_the_run_lasts(two_threads, monkeypatch):
    chosen, inside = choose(monkeypatch, SPEEDS)
    assert (chosen.precision, chosen.threads, inside) == ("bf16", 1, 1)
    assert two_threads == [2]
    assert "bf16 on 1 thread by timing, in images/s: bf16 on 1 thread 719" in chosen.why
    assert chosen.why.endswith("; so")


def test_the_usual_choice_stays_where_nothing_is_clearly_faster(two_threads, monkeypatch):
    chosen, _ = choose(monkeypatch, {**SPEEDS, Candidate("bf16", 2): 700})
    assert (chosen.precision, chosen.threads) == ("bf16", 2)


@pytest.mark.parametrize(
    ("execution", "precision", "threads"),
    [
        (Execution(precision="bf16"), "bf16", 1),
        (Execution(threads=2), "bf16", 2),
        (Execution(threads=1), "bf16", 1),
    ],
)
def test_what_is_asked_for_is_not_timed(two_threads, monkeypatch, execution, precision, threads):
    fastest_is_float32 = {**SPEEDS, Candidate("float32", 2): 9_999, Candidate("float32", 1): 9_998}
    chosen, inside = choose(monkeypatch, fastest_is_float32, execution)
    assert (chosen.precision, chosen.threads, inside) == (precision, threads, threads)


@pytest.mark.parametrize(
    ("recipe", "is_new", "device"),
    [(replace(LONG, steps=2000), True, "cpu"), (LONG, False, "cpu"), (LONG, True, "cuda")],
)
def test_short_and_resumed_runs_and_those_on_a_gpu_keep_the_usual_choice(two_threads, recipe, is_new, device):
    usual = Chosen(device, "bf16", False, "so")
    with fastest_threads(NETWORK, recipe, Execution(), usual, is_new) as chosen:
        assert chosen == usual


def test_each_candidate_is_timed_with_its_threads():
    before = torch.get_num_threads()
    chosen = Chosen("cpu", "float32", False, "so")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_SECONDS", 0.0)
        assert timing._rate(NETWORK, LONG, Execution(), Candidate("float32", 1)) > 0
        with fastest_threads(NETWORK, LONG, Execution(), chosen, True) as timed:
            assert timed.threads in (None, 1, before)
    assert torch.get_num_threads() == before


def test_a_resumed_run_keeps_its_threads_and_its_bits(tmp_path):
    digits = load_digits()
    network, recipe = fitted(NETWORK, digits), Recipe(steps=6, batch=8, checkpoint_every=3)
    before = torch.get_num_threads()
    train(network, recipe, digits, tmp_path / "run", execution=Execution(threads=1, stop_after=1e-3))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["chosen"]["threads"], record["machine"]["threads"]) == (1, 1)
    train(network, recipe, digits, tmp_path / "run", execution=Execution(resume="exact"))
    assert Run(tmp_path / "run").record.resumed[0].chosen.threads == 1
    assert torch.get_num_threads() == before


def test_a_run_that_others_slow_down_says_so_once(monkeypatch):
    load = [1.0]
    monkeypatch.setattr(timing.os, "getloadavg", lambda: (load[0], 0, 0))
    monkeypatch.setattr(timing, "cores", lambda: 2)
    slowdown = Slowdown()
    assert slowdown.message(1000) is None
    assert slowdown.message(400) is None  # nobody else is there
    load[0] = 4.0
    assert slowdown.message(600) is None
    assert slowdown.message(250) == (
        "4.0 times slower than before: 4 threads want 2 cores; end other programs, or stop and resume with --threads 1"
    )
    assert slowdown.message(250) is None
    assert slowdown.message(900) is None
    assert slowdown.message(250) is not None
