"""Training loss, error and throughput between two logs."""

import time

import pytest
import torch

from reslab.train.meter import Meter


def count(meter, steps, pause=0.0):
    for step in range(steps):
        with meter.waits():
            time.sleep(pause)
        meter.add(step, torch.tensor(2.0), torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([1, 0]))


def test_time_spent_waiting_for_data_is_a_share():
    meter = Meter(torch.device("cpu"))
    meter.resume()
    count(meter, 3, pause=0.02)
    time.sleep(0.06)
    line = meter.since_last_log()
    assert line["train_loss"] == 2.0
    assert line["train_error"] == 50.0
    assert 20 < line["waiting"] < 80
    meter.resume()
    count(meter, 1)
    time.sleep(0.3)
    assert meter.since_last_log()["waiting"] < 5
    assert meter.totals()["waiting_seconds"] >= 0.06


def test_after_a_resume_it_counts_as_without_a_stop():
    one, other = Meter(torch.device("cpu")), Meter(torch.device("cpu"))
    one.resume()
    count(one, 2, pause=0.01)
    one.since_last_log()
    one.resume()
    count(one, 1, pause=0.01)
    other.load(one.state(), first=True)
    assert other.totals() == one.totals()
    assert other.since_last_log() == one.since_last_log()


def test_a_compiled_steps_time_and_images_count_for_nothing_else():
    meter = Meter(torch.device("cpu"))
    meter.resume()
    count(meter, 2, pause=0.01)
    before = meter.state()
    meter.resume()
    count(meter, 1, pause=0.3)
    meter.compiled(2)
    totals = meter.totals()
    assert totals["compile_seconds"] > 0.3
    assert before.open_seconds < totals["seconds"] < before.open_seconds + 0.3
    assert totals["images_per_second"] * totals["seconds"] == pytest.approx(4)
    assert totals["waiting_seconds"] == before.open_waiting


def test_nothing_but_compilation_has_no_rate():
    meter = Meter(torch.device("cpu"))
    meter.resume()
    count(meter, 1)
    meter.compiled(2)
    assert meter.since_last_log()["images_per_second"] == 0
