"""The page of an analysis: its answer first, then its figure, then its claims."""

import json

from matplotlib.figure import Figure

from reslab.analyse.analysis import Report
from reslab.analyse.claims import ClaimResult
from reslab.drawing import Drawing
from reslab.pages.analysis import render
from reslab.table import Column

from .test_study import Tags

CLAIMS = (
    ClaimResult("Deep is not decided", "A sec. 4", "not decided", "1 and 2"),
    ClaimResult("Deep is good", "A sec. 4", "holds", "0.1 and 0.2"),
    ClaimResult("Plain is good", "Veit et al. 2016", "does not hold", "0.3 and 0.2"),
)


def report(*claims):
    return Report(
        kind="lesion",
        title="Networks without units",
        about="Errors, in percent.",
        table=[Column("network", ["resnet20-cifar"], numbers=False)],
        drawings={"lesion": Drawing(Figure(), "What is lost.")},
        claims=claims,
        facts={"images": "300"},
        notes=(),
        warnings=(),
        tables={},
        networks={"resnet20-cifar": "resnet20-cifar"},
    )


def test_the_page_begins_with_its_answer_then_the_figure_then_the_claims(tmp_path):
    page = render(report(*CLAIMS), "reslab analyse lesion", tmp_path).read_text()
    text = " ".join(Tags(page).text.split())
    order = ["Networks without units", "Holds: Deep is good. Does not hold: Plain is good."]
    order += ["Of 3 claims, 1 holds, 1 does not hold and 1 is not decided.", "Errors, in percent.", "What is lost."]
    order += ["Claims", "0.1 and 0.2", "Table", "What it was measured on", "Do it again"]
    places = [text.rindex(part) for part in order]
    assert places == sorted(places)
    described = [attrs["content"] for tag, attrs in Tags(page).tags if attrs.get("property") == "og:description"]
    assert described == [
        "Holds: Deep is good. Does not hold: Plain is good. Of 3 claims, 1 holds, 1 does not hold and 1 is not decided."
    ]


def test_without_a_decided_claim_the_first_one_stands_and_without_claims_what_was_measured(tmp_path):
    page = " ".join(Tags(render(report(CLAIMS[0]), "reslab analyse lesion", tmp_path).read_text()).text.split())
    assert "Not decided: Deep is not decided. The claim is not decided." in page
    page = render(report(), "reslab analyse cost", tmp_path).read_text()
    assert 'content="Errors, in percent."' in page
    assert 'class="answer"' not in page
    assert json.loads((tmp_path / "results.json").read_text())["findings"] == []
