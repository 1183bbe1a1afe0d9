"""What a process does with freed memory, and with threads that wait."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest
import torch

from reslab.errors import SpecError
from reslab.machine import find_device, package_version

FAULTS = """
import resource, sys
import torch
from reslab.machine import tune_malloc

if sys.argv[1] == "keep":
    tune_malloc()
faults = []
for _ in range(40):  # where its addresses lie is chance, and so is after how many steps nothing new is asked for
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(1 << 24) for _ in range(2)]  # 64 MB each, which glibc's own rules always give back
    del tensors
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults[20:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_the_memory_of_one_step_serves_the_next():
    def faults(word):
        command = [sys.executable, "-c", FAULTS, word]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("keep") < 20 < faults("default")


def openmp_settings(**environment):
    """The settings that libgomp prints when reslab and then torch are imported."""
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    environment = clean | {"OMP_DISPLAY_ENV": "verbose"} | environment
    command = [sys.executable, "-c", "import reslab, torch"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stderr


def test_waiting_threads_soon_make_room_unless_the_user_says_how():
    settings = openmp_settings()
    if "GOMP_SPINCOUNT" not in settings:
        pytest.skip("torch does not use GNU's OpenMP here")
    assert "GOMP_SPINCOUNT = '5000'" in settings
    assert "GOMP_SPINCOUNT = '70'" in openmp_settings(GOMP_SPINCOUNT="70")
    assert "GOMP_SPINCOUNT = '5000'" not in openmp_settings(OMP_WAIT_POLICY="active")


def test_each_rank_here_has_a_gpu_or_all_compute_on_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert [find_device(word) for word in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert find_device("cpu") == "cpu"
    for word in ("auto", "cuda"):
        with pytest.raises(SpecError, match="3 ranks here and 2 GPUs"):
            find_device(word)


def test_the_version_is_known_in_a_source_tree_that_is_not_installed(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    installed = package_version("torch")
    monkeypatch.setattr("importlib.metadata.version", missing)
    assert re.fullmatch(r"\d+\.\d+\.\d+", package_version("reslab"))
    assert package_version("no-such-package") is None
    assert installed.split("+")[0] == torch.__version__.split("+")[0]
