"""Imports point one way, and what should be quick does not wait for torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reslab

ROOT = Path(reslab.__file__).parent
FLOORS = (
    ("errors", "disk", "stop", "columns"),
    ("machine", "extra"),
    ("spec", "distributed", "stats", "drawing", "toml"),
    ("table",),
    ("nets", "data"),
    ("recipes", "weights", "evaluate"),
    ("runs",),
    ("train",),
    ("use",),
    ("papers", "bench"),
    ("study", "analyse"),
    ("pages",),
    ("api",),
    ("cli",),
    ("__main__",),
)
"""From the ground up: a package imports those on lower floors alone."""
FLOOR = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}


def part(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_runs_back(path):
    if path == ROOT / "__init__.py":
        return
    here = part(path)
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name and name.startswith("reslab."):
                there = name.split(".")[1]
                assert there == here or FLOOR[there] < FLOOR[here], f"{path}:{node.lineno} imports {name}"


COMMANDS = sorted((ROOT / "cli").glob("*.py"))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_the_command_line_uses_the_api_alone(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"reslab.{alias.name}" for alias in node.names] if node.module == "reslab" else [node.module]
        for name in names:
            package, _, module = name.partition(".")
            if package == "reslab":
                allowed = ("__version__", "api", "cli", "errors")
                assert module.split(".")[0] in allowed, f"{path}:{node.lineno} imports {name}"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_no_function_of_the_command_line_is_long(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 40, f"{path}: {node.name}"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["networks"],
        ["show", "inception-v4"],
        ["draw", "resnet8-cifar"],
        ["study", "--help"],
        ["analyse", "--help"],
    ],
)
def test_these_commands_do_not_import_torch(words, tmp_path):
    code = f"""
import sys
from reslab.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert not end.code
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


@pytest.mark.parametrize(
    ("words", "slow"),
    [
        (["--help"], {"pydantic", "numpy", "rich", "scipy"}),
        (["train", "-h"], {"reslab.spec", "numpy", "rich", "scipy"}),  # typer reads options with pydantic
        (["study", "--help"], {"reslab.spec", "numpy", "rich", "scipy"}),
    ],
)
def test_help_waits_for_no_spec(words, slow):
    code = f"""
import sys
from reslab.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert not end.code
slow = {slow!r} & set(sys.modules)
assert not slow, slow
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_package_itself_does_not_import_torch():
    subprocess.run([sys.executable, "-c", "import sys, reslab; assert 'torch' not in sys.modules"], check=True)


def test_the_public_names_are_these():
    assert sorted(reslab.__all__) == [
        "Add", "DataError", "Dropped", "Execution", "Gated", "ResNet", "ReslabError", "Scaled", "SpecError",
        "analyse_networks", "bench_network", "check_data", "cifar_resnet", "compare_runs", "convert_weights",
        "draw_network", "evaluate_network", "export_network", "from_json", "get_data", "judge_file",
        "list_data", "list_runs", "load", "network", "networks", "own_study", "plan_study", "predict_pictures",
        "recipe", "replace", "report_study", "resnet", "resume_run", "run_study", "to_json", "train_network",
    ]  # fmt: skip
    for name in reslab.__all__:
        assert getattr(reslab, name).__doc__, name
