"""The review's page: 41 statements, each with its verdict from the records, or the command that makes them."""

import json
from pathlib import Path

import pytest

from reslab.nets import network
from reslab.pages.review import lines, plans, render
from reslab.study.verdict import count

RUNS = Path(__file__).parents[2] / "results" / "runs"


@pytest.fixture(scope="module")
def statements(tmp_path_factory):
    out = tmp_path_factory.mktemp("review")
    return lines({key: plan for key, plan in plans(RUNS).items() if key[0] in ("cost", "shortcuts")}, out, out)


def test_every_statement_that_can_be_counted_is_decided_without_a_run(tmp_path):
    page = render(plans(tmp_path / "runs"), tmp_path, tmp_path / "review")
    made = json.loads((page.parent / "results.json").read_text())["statements"]
    assert [line["number"] for line in made] == list(range(1, 42))
    verdicts = {line["number"]: line["verdict"] for line in made}
    holding, failing = (3, 6, 20, 23, 32, 35, 41), (4, 5, 26)
    counted = dict.fromkeys(holding, "holds") | dict.fromkeys(failing, "does not hold")
    assert {number: verdicts[number] for number in counted} == counted
    assert {line["number"] for line in made if line["verdict"] in ("holds", "does not hold")} == set(counted)
    assert made[31]["counted"] == [6, 6]
    assert verdicts[13] == "not run"
    assert verdicts[25] == "no claim"
    text = page.read_text()
    assert "5 counted, the review says 5." in text
    assert text.count('class="statement"') == 41
    assert "reslab study run degradation --scale short" in text
    assert "<code>reslab show inception-v4</code>" in text
    assert (page.parent / "review.csv").read_text().count("\n") == 42


def test_the_size_of_googlenet_is_what_is_counted(statements):
    verdict = statements[4].measured[0].verdicts[0]
    assert verdict.lower.mean == count(network("googlenet"), "parameters")
    assert 100 * verdict.lower.mean / (verdict.higher.mean / 0.07) == pytest.approx(11.5, abs=0.05)


def test_a_statement_of_ten_claims_says_how_many_are_decided(statements):
    identity = statements[32]
    assert identity.statement.text == "The identity shows the best performance"
    [demo] = identity.measured
    assert demo.scale == "demo"
    assert demo.judgement.claims == len(demo.verdicts) == 10
    holding = sum(verdict.judgement == "holds" for verdict in demo.verdicts)
    assert identity.verdict == f"not decided ({holding} of 10)"
    assert identity.command == "reslab study run shortcuts --scale demo --seeds 4"


def test_the_largest_scale_that_can_test_a_statement_comes_first(statements):
    sooner = statements[33]
    assert [each.scale for each in sooner.measured] == ["brief", "demo"]
    assert all(each.is_tested for each in sooner.measured)


def test_a_statement_on_what_happens_inside_rests_on_the_analysis_that_decides_most(tmp_path):
    claim = "BN keeps the gradient of a plain network from vanishing"

    def analysis(folder, *judgements):
        found = [
            {"judgement": each, "claim": f"{claim}: plain-{n}", "source": "A", "told": f"n{n}", "key": "plain-gradient"}
            for n, each in enumerate(judgements)
        ]
        other = {"judgement": "does not hold", "claim": "The network is alive: plain-0", "told": ""}
        page = f"../{folder}/analysis.html"
        return {"kind": "gradients", "findings": [*found, other], "page": page, "command": f"make {folder}"}

    before = lines({}, tmp_path, tmp_path)[13]
    assert before.verdict == "not run"
    assert before.command.startswith("reslab analyse gradients plain20-cifar")
    some = [analysis("trained", "not decided", "not decided"), analysis("initial", "holds", "not decided")]
    line = lines({}, tmp_path, tmp_path, some)[13]
    assert (line.verdict, line.scale, line.evidence) == ("not decided (1 of 2)", "analysis", "n0; n1")
    assert line.command == "make initial"
    page = render({}, tmp_path, tmp_path / "review", [analysis("initial", "holds", "holds")]).read_text()
    assert page.count('<a href="../initial/analysis.html">analysis</a>') == 1
    assert "alive" not in page
