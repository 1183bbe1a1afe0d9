"""A row and a file make an analysis: its command, its API and its page."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from tests.analyse.made import described

from reslab import analyse_networks
from reslab.analyse import ANALYSES, INPUTS, Option, Row, images
from reslab.errors import SpecError

ROOT = Path(__file__).parents[2]
TOY = Row(
    "tests.analyse.toy:ToyAnalysis",
    "Measure the largest weight.",
    (
        *ANALYSES["lesion"].options[:1],
        images(9),
        *ANALYSES["lesion"].options[2:3],
        Option("factor", float, 1.0, "f", 0.5),
    ),
)


@pytest.mark.parametrize("kind", ANALYSES)
def test_a_row_has_the_options_of_its_class_and_a_section_of_the_docs(kind):
    row = ANALYSES[kind]
    analysis = row.build(row.choose({}))
    own = [option.name for option in row.options if option.name not in INPUTS]
    assert sorted(own) == sorted(field.name for field in dataclasses.fields(analysis))
    assert analysis.kind == kind
    assert described(kind)
    assert f"## {kind}\n\n{row.summary}\n" in (ROOT / "docs" / "analyses.md").read_text()


def test_a_toy_analysis_runs_from_the_command_line_to_a_page(tmp_path):
    code = f"""
from reslab.analyse import ANALYSES
from tests.analyse.test_registry import TOY
ANALYSES["toy"] = TOY
from reslab.cli import main
main({["analyse", "toy", "resnet8-cifar", "--data", "digits", "--factor", "2", "--images", "5"]!r})
"""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path("reports/toy-resnet8-cifar-digits")
    assert re.search(r"^resnet8-cifar +\d\.\d$", done.stdout, re.MULTILINE)
    assert f"report: {folder}/analysis.html" in done.stdout
    assert "toy: 100 %" in done.stderr
    page = (tmp_path / folder / "analysis.html").read_text()
    assert "Weights are small" in page
    assert "reslab analyse toy resnet8-cifar --data digits --images 5 --seed 0 --factor 2.0" in page
    results = json.loads((tmp_path / folder / "results.json").read_text())
    with mock.patch.dict(ANALYSES, toy=TOY):
        report = analyse_networks("toy", "resnet8-cifar", "digits", images=5, factor=2.0)
    assert results["values"] == report.columns()
    assert 'href="toy-resnet8-cifar-digits/analysis.html"' in (tmp_path / "reports" / "index.html").read_text()


def test_numbers_of_a_report_have_their_full_precision():
    with mock.patch.dict(ANALYSES, toy=TOY):
        report = analyse_networks("toy", "resnet8-cifar", "digits", seed=3)
        with pytest.raises(SpecError, match=r"--factor 0\.1: at least 0\.5"):
            analyse_networks("toy", "resnet8-cifar", "digits", factor=0.1)
    [largest] = report.columns()["largest"]
    assert torch.tensor(largest).double() == largest
    assert report.table[1].cells == [f"{largest:.1f}"]
