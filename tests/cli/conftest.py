"""The command line in this process, in an empty directory."""

import numpy as np
import pytest
from PIL import Image

from reslab.cli import main


@pytest.fixture
def reslab():
    """Run a command line; return its exit code."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        return ended.value.code or 0

    return run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path / "data"))


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes that differ in colour."""
    random = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            array = random.integers(0, 60, (40, 50, 3), dtype=np.uint8)
            array[..., channel] += 150
            Image.fromarray(array).save(tmp_path / "pictures" / name / f"{number}.jpg")
    return tmp_path / "pictures"
