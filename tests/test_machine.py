"""What a process does with freed memory."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from reslab.machine import arrange_memory

if sys.argv[1] == "keep":
    arrange_memory()
faults = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(1 << 24) for _ in range(2)]  # 64 MB each, which glibc's own rules always give back
    del tensors
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_the_memory_of_one_step_serves_the_next():
    def faults(word):
        command = [sys.executable, "-c", FAULTS, word]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("keep") < 20 < faults("default")
