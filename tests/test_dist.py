"""Wheel and sdist work in a fresh environment. Run by `make dist`; it needs the network, and some minutes."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHONS = os.environ.get("RESLAB_PYTHONS", sys.executable).split(":")
"""Interpreters to try, by their paths."""

pytestmark = pytest.mark.dist


def run(*words, cwd):
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RESLAB_DATA")}
    done = subprocess.run([*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def fresh(folder, python=sys.executable):
    """The Python of a new virtual environment."""
    run(python, "-m", "venv", folder, cwd=ROOT)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The folder with the sdist, and the wheel that is built from the sdist alone."""
    folder = tmp_path_factory.mktemp("dist")
    python = fresh(folder / "venv")
    run(python, "-m", "pip", "install", "--quiet", "hatchling", cwd=folder)
    run(python, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, cwd=ROOT)
    [sdist] = folder.glob("reslab-*.tar.gz")
    run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, sdist, cwd=folder)
    return folder


def test_the_wheel_has_everything_that_the_source_has_and_the_licence(packages):
    [wheel] = packages.glob("reslab-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    source = ROOT / "src" / "reslab"
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        assert f"reslab/{path.relative_to(source).as_posix()}" in names
    assert {"reslab/py.typed", "reslab/pages/templates/report.html"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_the_sdist_has_tests_pages_and_citation(packages):
    [sdist] = packages.glob("reslab-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for wanted in ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "tests/test_dist.py", "docs/index.md"):
        assert wanted in names


@pytest.mark.parametrize("interpreter", PYTHONS)
def test_the_wheel_trains_in_a_fresh_environment_and_uninstalls(interpreter, packages, tmp_path):
    python = fresh(tmp_path / "venv", interpreter)
    [wheel] = packages.glob("reslab-*.whl")
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    reslab = python.with_name("reslab")
    version = run(reslab, "--version", cwd=tmp_path).strip()
    assert version == f"reslab {wheel.name.split('-')[1]}"
    assert "resnet20-cifar" in run(reslab, "networks", cwd=tmp_path)
    words = ("train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--set", "steps=10")
    run(reslab, *words, "--out", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "report.html").is_file()
    assert "top-1 error" in run(reslab, "evaluate", "run", "--data", "digits", cwd=tmp_path)
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "reslab", cwd=tmp_path)
    assert not reslab.exists()
    assert not list((tmp_path / "venv").rglob("reslab*"))
