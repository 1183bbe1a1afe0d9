"""Reports: complete, self-contained, the same from the same records, and no hostile name gets through."""

import csv
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image

from reslab.study.plan import make_plan
from reslab.study.render import render, results

from .conftest import STUDY


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert render(trained, out) == out / "report.html"
    return out


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_has_no_address_outside_itself(report):
    page = (report / "report.html").read_text()
    assert "http" not in page
    assert "//" not in re.sub(r"/\*.*?\*/", "", page)
    for tag, attrs in Tags(page).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed")
        for name in ("href", "xlink:href", "src"):
            assert attrs.get(name, "#").startswith("#"), (tag, attrs)


def test_every_name_that_a_figure_uses_is_defined_once(report):
    page = (report / "report.html").read_text()
    ids = [attrs["id"] for _, attrs in Tags(page).tags if "id" in attrs]
    used = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert used
    assert len(ids) == len(set(ids))
    assert set(used) <= set(ids)


def test_the_page_says_scale_claims_numbers_and_how_to_do_it_again(report, trained):
    text = " ".join(Tags((report / "report.html").read_text()).text.split())
    assert "Demo scale, not the paper's" in text
    assert "A small study of <b>&shortcuts</b>" in text  # as text, not as a tag
    assert "reslab study run small --scale demo --seeds 2" in text
    found = results(trained)
    for claim in found["claims"]:
        assert claim["judgement"] in text
        assert claim["claim"] in text
    for row in found["rows"]:
        assert row["test_error"]["text"] in text
    assert "published, %" not in text
    assert "8.75" not in text


def test_only_the_paper_scale_stands_beside_published_numbers(trained, digits, tmp_path):
    plan = make_plan(STUDY, "paper", None, digits, trained.runs[0].out.parent)
    render(plan, tmp_path)
    text = Tags((tmp_path / "report.html").read_text()).text
    assert "published, %" in text
    assert "8.75" in text


def test_figures_are_readable_in_every_format(report):
    for name in ("curves", "depth"):
        with Image.open(report / f"figures/{name}.png") as picture:
            assert picture.width > 500
            assert len(set(picture.convert("L").tobytes())) > 20
        assert ElementTree.parse(report / f"figures/{name}.svg").getroot().tag.endswith("svg")
        assert (report / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def test_tables_agree_with_the_records(report, trained):
    rows = list(csv.DictReader((report / "table.csv").read_text().splitlines()))
    found = json.loads((report / "results.json").read_text())
    assert found == json.loads(json.dumps(results(trained)))
    assert [row["row"] for row in rows] == ["plain-8", "ResNet-8"]
    for row, told in zip(rows, found["rows"], strict=True):
        values = [run["test_error"] for run in found["runs"] if run["row"] == row["row"]]
        assert float(row["test_error_mean"]) == pytest.approx(sum(values) / 2, abs=1e-4)
        assert told["n"] == int(row["n"]) == 2
        assert int(row["parameters"]) == told["parameters"]


def test_the_same_records_give_the_same_files(report, trained, tmp_path):
    render(trained, tmp_path)
    for path in sorted(report.rglob("*.*")):
        assert (tmp_path / path.relative_to(report)).read_bytes() == path.read_bytes(), path


def test_a_study_with_runs_missing_says_so(digits, tmp_path):
    plan = make_plan(STUDY, "demo", None, digits, tmp_path / "runs")
    page = render(plan, tmp_path / "report").read_text()
    assert "not run" in page
    assert "not decided" in page
