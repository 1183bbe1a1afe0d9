"""The declarations of studies: what they point to exists, and published values are the paper's."""

import pytest

from reslab.errors import SpecError
from reslab.nets import network
from reslab.papers import STUDIES, study
from reslab.papers.claims import Claim, Row, Study

# A Table 6: CIFAR-10 test error in percent
TABLE_6 = {"ResNet-20": 8.75, "ResNet-32": 7.51, "ResNet-44": 7.17, "ResNet-56": 6.97}


def test_degradation_has_the_published_values_of_table_6_and_none_for_plain():
    rows = {row.name: row.published for row in STUDIES["degradation"].rows}
    assert {name: value.error for name, value in rows.items() if value} == TABLE_6
    assert [name for name, value in rows.items() if not value] == ["plain-20", "plain-32", "plain-44", "plain-56"]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_the_three_scales_and_a_claim(name):
    declared = STUDIES[name]
    assert list(declared.scales) == ["demo", "short", "paper"]
    assert declared.claims
    for scale in declared.scales.values():
        assert all(drop < scale.recipe.steps for drop in scale.recipe.schedule.at)


def test_a_claim_on_a_row_that_is_not_there_is_refused():
    rows = (Row("plain-20", network("plain20-cifar"), "plain"),)
    with pytest.raises(SpecError, match="no row 'plain-2': did you mean plain-20"):
        Study("s", "S", "A", "?", rows, (Claim("c", "plain-20", "plain-2", "train_error", "A"),), {})


def test_wrong_names_are_told_the_right_ones():
    with pytest.raises(SpecError, match="did you mean degradation"):
        study("degradaton")
    with pytest.raises(SpecError, match="did you mean paper"):
        study("degradation").scale("papper")
