"""Stops: by a signal, a repeated one, a time limit, and while a command starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reslab.stop import Deadline, Stop

TWICE = """
import os, signal, time
from reslab.stop import Stop
with Stop() as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep({pause})
    os.kill(os.getpid(), signal.{second})
    time.sleep(0.1)
    print("still here", stop.asked)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_asks_for_a_stop(number):
    before = signal.getsignal(number)
    with Stop() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("second", ["SIGTERM", "SIGINT"])
def test_a_signal_that_comes_twice_within_a_second_is_one(second):
    words = [sys.executable, "-c", TWICE.format(pause=0, second=second)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "still here True\n")


def test_a_second_signal_after_a_second_exits_at_once():
    words = [sys.executable, "-c", TWICE.format(pause=1.2, second="SIGINT")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, "")


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_time_limit_asks_for_a_stop(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("reslab.stop.time.monotonic", lambda: now[0])
    stop, deadline, never = Stop(13 * 60), Deadline(13 * 60), Deadline()
    now[0] += 13 * 60 - 1
    assert not stop.asked
    assert deadline.left == pytest.approx(1)
    now[0] += 1
    assert stop.asked
    assert deadline.is_over
    assert not never.is_over
    assert never.left is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.15, 0.7])
def test_a_command_that_has_just_started_ends_as_stopped(tmp_path, number, after):
    words = ["train", "resnet20-cifar", "--data", "digits", "--recipe", "demo", "--set", "steps=100000"]
    with subprocess.Popen([sys.executable, "-m", "reslab", *words], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        wait_for_handler(process.pid)
        time.sleep(after - 0.15)
        process.send_signal(number)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    assert process.returncode == 75
    assert "Traceback" not in errors


def wait_for_handler(pid):
    """Until a process handles SIGTERM: python itself has started."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        caught = next(line for line in lines if line.startswith("SigCgt"))
        handled = int(caught.split()[1], 16)
        if handled >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)
    raise AssertionError("no handler")
