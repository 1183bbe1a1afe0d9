"""The evidence that we ship: what is shown is what the records say."""

import json
import os
import runpy
import sys
from pathlib import Path

import pytest

from reslab import evaluate_network
from reslab.drawing import Drawing

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
NO_CHECKOUT = "NVIDIA H100 80GB HBM3"  # the one machine that trained from a copy without its history
MADE = ("*.json", "*.html", "*.md", "*.csv", "*.tex", "*.svg")  # PNG and PDF hold compressed bytes of a library


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """Everything that is made from the records and compared, made again."""
    out, save = tmp_path_factory.mktemp("results"), Drawing.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawing, "save", lambda drawing, form: save(drawing, form) if form == "svg" else b"")
        patch.setattr(sys, "argv", ["results.py", str(out)])
        patch.chdir(out)
        patch.syspath_prepend(ROOT / "benchmarks")
        runpy.run_path(str(ROOT / "benchmarks" / "results.py"), run_name="__main__")
    return out


def test_the_reports_are_what_the_records_say(again):
    made = sorted(path.relative_to(again) for pattern in MADE for path in again.rglob(pattern))
    kept = [*(RESULTS / "reports").rglob("*"), *(RESULTS / "review").rglob("*"), RESULTS / "RESULTS.md"]
    assert made == sorted(path.relative_to(RESULTS) for path in kept if any(path.match(pattern) for pattern in MADE))
    for path in made:
        assert (RESULTS / path).read_text() == (again / path).read_text(), f"{path}: `make results` writes it"


def test_every_record_says_where_its_numbers_come_from():
    records = [*RESULTS.glob("runs/*"), *RESULTS.glob("float32/*")]
    assert records
    for record in records:
        facts = json.loads((record / "run.json").read_text())
        assert facts["machine"]["processor"]
        assert facts["versions"]["torch"]
        if facts["machine"].get("gpu") == NO_CHECKOUT:
            assert facts["commit"] is None, "its report says that it is from no checkout"
        else:
            assert facts["commit"]
            assert not facts["commit"].endswith("+"), "trained by a source that nobody has"
        assert (record / "metrics.jsonl").read_text().endswith("\n")
        if not (record / "result.json").exists():
            continue  # not finished: drawn to where it stands, and in no number
        result = json.loads((record / "result.json").read_text())
        assert result["status"] in ("finished", "diverged", "stopped")
        assert result["images_per_second"] > 0


def test_no_large_file_is_kept():
    for path in RESULTS.rglob("*"):
        assert not path.is_file() or path.stat().st_size < 2e6, path


@pytest.mark.skipif("RESLAB_DATA" not in os.environ, reason="RESLAB_DATA names no directory with CIFAR-10")
@pytest.mark.parametrize("path", sorted(RESULTS.glob("weights/*.safetensors")), ids=lambda path: path.stem)
def test_the_weights_that_we_ship_have_the_error_of_their_run(path):
    [record] = RESULTS.glob(f"runs/{path.stem}-*")
    recorded = json.loads((record / "result.json").read_text())["test"]
    measured = evaluate_network(path, "cifar10")
    assert measured.images == recorded["images"] == 10_000
    assert measured.top1_error == pytest.approx(recorded["top1_error"], abs=0.1)  # recorded in bfloat16
