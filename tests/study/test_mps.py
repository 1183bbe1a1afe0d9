"""MPS: its daemon has directories of its own, and is gone afterwards; without it everything goes on."""

import os
from pathlib import Path

import pytest

from reslab.study import mps as module
from reslab.study.mps import mps

NAMES = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")


@pytest.fixture(autouse=True)
def no_mps_here(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """A command in the place of the daemon's, that notes what it is asked; -> its notes."""
    notes, command = tmp_path / "notes", tmp_path / "bin" / "nvidia-cuda-mps-control"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\necho "$1 $(cat) $CUDA_VISIBLE_DEVICES $CUDA_MPS_PIPE_DIRECTORY" >> {notes}\nexit ${{FAILS:-0}}\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    return notes


def test_the_daemon_is_started_for_all_gpus_and_ended(daemon):
    with mps(True) as runs:
        assert runs
        folder = os.environ[NAMES[0]]
        assert Path(folder).is_dir()
        assert os.environ[NAMES[1]] == folder
    assert [line.split() for line in daemon.read_text().splitlines()] == [["-d", folder], ["quit", folder]]
    assert not Path(folder).exists()
    assert not set(NAMES) & set(os.environ)


def test_a_daemon_that_does_not_start_is_no_error(daemon, monkeypatch):
    monkeypatch.setenv("FAILS", "1")
    with mps(True) as runs:
        assert not runs


def test_without_the_command_or_the_wish_there_is_none(daemon, monkeypatch):
    with mps(False) as runs:
        assert not runs
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with mps(True) as runs:
        assert not runs
    assert not daemon.exists()


def test_a_daemon_of_the_users_own_is_used_as_it_is(daemon, monkeypatch):
    monkeypatch.setenv(NAMES[0], "/somewhere")
    with mps(True) as runs:
        assert runs
        assert os.environ[NAMES[0]] == "/somewhere"
    assert os.environ[NAMES[0]] == "/somewhere"
    assert not daemon.exists()
