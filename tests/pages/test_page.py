"""A page as a value: what is shown alone is what is written, and pages made at the same time do not differ."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from reslab.pages.study import live_page, render
from reslab.papers import STUDIES
from reslab.study.plan import make_plan

from .conftest import STUDY

HOSTILE = r"=$\frac$ [b]<b>&"


def hostile(second):
    rows = tuple(replace(row, name=HOSTILE, panel=HOSTILE) if row.name == "plain-8" else row for row in STUDY.rows)
    scales = {name: replace(scale, rows=(HOSTILE, "ResNet-8")) for name, scale in STUDY.scales.items()}
    return replace(STUDY, rows=rows, claims=(), scales=scales, second=second, losses=second == "cost")


@pytest.mark.parametrize("second", ["depth", "rows", "cost"])
def test_a_name_is_neither_math_in_figures_nor_a_formula_in_spreadsheets(second, trained, tmp_path):
    runs = trained.runs[0].out.parent
    page = render(make_plan(hostile(second), "paper", runs), tmp_path).read_text()
    assert "<b>&" not in page
    for table in ("table", "runs"):
        first = list(csv.reader((tmp_path / f"{table}.csv").read_text().splitlines()))[1]
        assert first[0] == f"'{HOSTILE}"
    assert json.loads((tmp_path / "results.json").read_text())["rows"][0]["row"] == HOSTILE


def test_pages_made_at_the_same_time_equal_the_page_made_alone(trained):
    alone = live_page(trained)
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(live_page, [trained] * 24))
    assert [page == alone for page in pages] == [True] * 24


def test_pages_of_other_studies_drawn_between_change_nothing(trained, tmp_path):
    other = make_plan(STUDIES["cost"], "paper", tmp_path)
    alone = [live_page(trained), live_page(other)]
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(live_page, [trained, other] * 8))
    assert pages == alone * 8
