"""The notebooks run as they stand, with fewer steps and smaller networks; values draw themselves in them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reslab
from reslab.api import EvaluationResult
from reslab.api.console import in_notebook
from reslab.table import Column, to_dict, to_html

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))
SMALLER = {
    r"^steps = \d+": "steps = 4",
    r"^depths = .*": "depths = (8, 14)",
    r"^depth = .*": "depth = 8",
    r"resnet56": "resnet14",
    r"count=24": "count=4",
    r"^seeds = .*": "seeds = range(2)",
}
SHOW = """
def show(value):
    assert value._repr_html_().count("<table>")
"""


def code(notebook):
    """The code of a notebook; an expression at the end of a cell is shown."""
    cells = json.loads(notebook.read_text())["cells"]
    assert all(not cell.get("outputs") for cell in cells), "clear the outputs: they are made, not kept"
    text = SHOW
    for cell in cells:
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).split("\n")
            shown = re.fullmatch(r"[a-z_]+[(\[].*[)\]]|[a-z]+", last) and not last.startswith("print")
            text += "\n".join([*lines, f"show({last})" if shown else last]) + "\n"
    for long, short in SMALLER.items():
        text = re.sub(long, short, text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path):
    text = code(notebook)
    if '"onnx"' in text:
        pytest.importorskip("onnxruntime")
    assert "show(" in text.removeprefix(SHOW)
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_three_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["compare-a-variant", "degradation", "fine-tune-and-export"]


def test_a_network_draws_itself():
    html = reslab.network("resnet50")._repr_html_()
    assert "<b>25,557,032 parameters</b>" in html
    assert html.count("<tr>") == len(reslab.network("resnet50").stage_names) * 2 + 4  # two rows a stage


def test_an_evaluation_draws_itself():
    html = EvaluationResult(1000, 12.5, 1.25, 0.4321, {})._repr_html_()
    assert all(f">{text}<" in html for text in ("1,000", "12.5", "1.25", "0.4321"))


def test_tables_are_plain_columns_and_escaped_html():
    table = [Column("<name>", ["a&b", "c"], numbers=False), Column("error", [1.5, None], form=".2f", empty="–")]
    assert to_dict(table) == {"<name>": ["a&b", "c"], "error": [1.5, None]}
    html = to_html(table, "a title")
    assert "&lt;name&gt;" in html
    assert "a&amp;b" in html
    assert ">1.50<" in html
    assert "<b>a title</b>" in html


def test_a_comparison_draws_itself_and_is_a_plain_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{group},{seed},{base + seed}" for group, base in (("a<b", 5), ("c", 9)) for seed in range(3)]
    (tmp_path / "runs.csv").write_text("\n".join(["group,seed,error", *lines]))
    report = reslab.judge_file("runs.csv", claims=["a<b < c"])
    html = report._repr_html_()
    assert html.count("<table>") == 3
    assert "<svg" in html
    assert "a&lt;b has the lowest, 6.0 ± 1.0 (n = 3)" in html
    assert str(report.page) in html
    assert report.columns()["error"] == [5, 6, 7, 9, 10, 11]
    assert report.columns("table") == {
        "group": ["a<b", "c"], "n": [3, 3], "error": [6, 10], "least": [5, 9], "greatest": [7, 11]
    }  # fmt: skip


def test_this_is_no_notebook():
    assert not in_notebook()
