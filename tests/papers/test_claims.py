"""The declarations of studies: what they point to exists, and published values are the paper's."""

import tomllib
from pathlib import Path

import pytest
import torch

from reslab.errors import SpecError
from reslab.nets import Conv, network, seq
from reslab.papers import STUDIES, study
from reslab.papers.claims import Claim, Row, Study
from reslab.papers.he2016b import DEEP_GATE, EQUAL
from reslab.papers.szegedy2017 import thinned

PUBLISHED = tomllib.loads(Path(__file__).with_name("published.toml").read_text())


@pytest.mark.parametrize("name", STUDIES)
def test_published_values_are_the_papers(name):
    published = {row.name: row.published for row in STUDIES[name].rows if row.published}
    declared = {row: dict(value.values) | {"source": value.citation} for row, value in published.items()}
    assert declared == PUBLISHED[name]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_scale_of_minutes_of_hours_and_the_papers_and_a_claim(name):
    declared = STUDIES[name]
    first, *between, last = declared.scales
    assert (first, last) == ("demo", "paper")
    assert {"short", "small"} & set(between)
    assert declared.claims
    for scale in declared.scales.values():
        for setting in scale.settings.values():
            assert all(drop < setting.recipe.steps for drop in getattr(setting.recipe.schedule, "at", ()))


@pytest.mark.parametrize("name", STUDIES)
def test_every_claim_can_be_judged_at_the_papers_scale(name):
    paper = STUDIES[name].scales["paper"]
    assert all(set(claim.rows) <= set(paper.rows) for claim in STUDIES[name].claims)
    assert all("paper" in (claim.scales or ("paper",)) for claim in STUDIES[name].claims)


def test_the_deep_gates_network_has_its_authors_parameters_and_its_control_about_as_many():
    counts = {row.name: row.network.cost().parameters for row in STUDIES["shortcuts"].rows}
    assert round(counts[DEEP_GATE] / 1e6, 2) == 2.65  # github.com/flukeskywalker/highway-resnet-comparison
    assert counts[EQUAL] == pytest.approx(counts[DEEP_GATE], rel=0.02)


def test_thinned_networks_keep_the_form():
    thin = thinned(network("inception-resnet-v1"), 8, 2, seq(Conv(24, 3)))
    assert [stage.name for stage in thin.stages] == ["stem", "stage1", "reduction1", "stage2", "reduction2", "stage3"]
    assert [len(stage.blocks) for stage in thin.stages] == [1, 2, 1, 2, 1, 2]
    assert thin.stages[1].blocks[0].merge == network("inception-resnet-v1").stages[1].blocks[0].merge
    assert thin.build()(torch.zeros(2, 3, 8, 8)).shape == (2, 1000)


def test_a_claim_on_a_row_that_is_not_there_is_refused():
    rows = (Row("plain-20", network("plain20-cifar"), "plain"),)
    with pytest.raises(SpecError, match="no row 'plain-2': did you mean plain-20"):
        Study("s", "S", "A", "?", rows, (Claim("c", "plain-20", "plain-2", "train_error", "A"),), {})


def test_wrong_names_get_the_nearest_right_one():
    with pytest.raises(SpecError, match="did you mean degradation"):
        study("degradaton")
    with pytest.raises(SpecError, match="did you mean paper"):
        study("degradation").scale("papper")
