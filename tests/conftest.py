"""Test processes that run side by side share the cores: one thread each, or they would wait for each other.

No example of a property has a deadline, as it would fail where the machine is busy.
"""

import os

from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
