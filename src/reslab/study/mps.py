"""NVIDIA's Multi-Process Service (MPS), by which several processes compute on a GPU at the same time."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CONTROL = "nvidia-cuda-mps-control"
_PIPES, _LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
_SECONDS = 20.0  # for the daemon to start, and to end


@contextmanager
def mps(wanted: bool) -> Iterator[bool]:
    """Context manager: a daemon of this user, for the processes that are started meanwhile. Gives whether there is one.

    One that the environment names already is left as it is. Without a daemon, processes take turns on the GPU.
    """
    if not wanted or _PIPES in os.environ or shutil.which(_CONTROL) is None:
        yield _PIPES in os.environ
        return
    with tempfile.TemporaryDirectory(prefix="reslab-mps-", ignore_cleanup_errors=True) as folder:
        os.environ |= {_PIPES: folder, _LOGS: folder}
        try:
            yield _control("-d")
        finally:
            _control(words="quit\n")
            del os.environ[_PIPES], os.environ[_LOGS]


def _control(*options: str, words: str = "") -> bool:
    """Whether the daemon's command has worked."""
    # the daemon sees all GPUs; one that kept a pipe of ours open would be waited for
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [_CONTROL, *options],
            input=words.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
        )
        return done.returncode == 0
    return False
