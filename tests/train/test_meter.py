"""What is counted between two lines of a record."""

import time

import pytest
import torch

from reslab.train.meter import Meter


def count(meter, steps, pause=0.0):
    for step in range(steps):
        with meter.waits():
            time.sleep(pause)
        meter.add(step, torch.tensor(2.0), torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([1, 0]))


def test_time_spent_waiting_for_data_is_told_as_a_share():
    meter = Meter(torch.device("cpu"))
    meter.resume()
    count(meter, 3, pause=0.02)
    time.sleep(0.06)
    line = meter.read()
    assert line["train_loss"] == 2.0
    assert line["train_error"] == 50.0
    assert 20 < line["waiting"] < 80
    meter.resume()
    count(meter, 1)
    time.sleep(0.01)
    assert meter.read()["waiting"] < 5
    assert meter.totals()["waiting_seconds"] >= 0.06


def test_it_counts_on_behind_a_stop_as_if_there_had_been_none():
    one, other = Meter(torch.device("cpu")), Meter(torch.device("cpu"))
    one.resume()
    count(one, 2, pause=0.01)
    one.read()
    one.resume()
    count(one, 1, pause=0.01)
    other.restore(one.told(), first=True)
    assert other.totals() == one.totals()
    assert other.read() == one.read()


def test_a_compiled_steps_time_and_images_count_for_nothing_else():
    meter = Meter(torch.device("cpu"))
    meter.resume()
    count(meter, 2, pause=0.01)
    before = meter.told()
    meter.resume()
    count(meter, 1, pause=0.3)
    meter.set_aside(2)
    told = meter.totals()
    assert told["compile_seconds"] > 0.3
    assert before["open_seconds"] < told["seconds"] < before["open_seconds"] + 0.3
    assert told["images_per_second"] * told["seconds"] == pytest.approx(4)
    assert told["waiting_seconds"] == before["open_waiting"]


def test_nothing_but_compilation_has_no_rate():
    meter = Meter(torch.device("cpu"))
    meter.resume()
    count(meter, 1)
    meter.set_aside(2)
    assert meter.read()["images_per_second"] == 0
