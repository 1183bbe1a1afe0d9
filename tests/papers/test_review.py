"""The review's statements rest on claims that there are."""

from reslab.papers import STUDIES
from reslab.papers.review import REVIEW


def test_there_are_the_41_statements_each_with_what_the_papers_say():
    assert len(REVIEW) == len({statement.text for statement in REVIEW}) == 41
    assert all(statement.papers and statement.source for statement in REVIEW)


def test_each_statement_rests_on_claims_of_a_study_or_says_what_there_is_instead():
    for statement in REVIEW:
        if statement.study is None:
            assert statement.here, statement.text
            continue
        assert statement.study is STUDIES[statement.study.name]
        assert {claim.key for claim in statement.claims} == set(statement.keys), statement.text


def test_the_claims_of_a_statement_are_those_that_say_the_same_of_other_rows():
    claims = {statement.text: [claim.text for claim in statement.claims] for statement in REVIEW}
    assert claims["Overfitting is not the reason of degradation"] == [
        "A deeper plain network is worse in training error",
        "On ImageNet too a deeper plain network is worse in training error",
    ]
    assert claims["Deeper residual networks, up to 152 layers, are better"] == [
        "ResNet-50 is better than ResNet-34 B",
        "ResNet-101 is better than ResNet-50",
        "ResNet-152 is better than ResNet-101",
    ]


def test_what_is_the_best_is_held_against_every_other_kind():
    best = {statement.text: statement for statement in REVIEW}
    identity = best["The identity shows the best performance"]
    assert {claim.higher for claim in identity.claims} == {
        row.name for row in identity.study.rows if row.published and row.name != "original"
    }
    full = best["Full pre-activation is the best"]
    others = {row.name for row in full.study.rows if row.published and not row.name.startswith("full")}
    assert {claim.higher for claim in full.claims} == others


def test_slips_say_what_is_right():
    slips = {number: statement.slip for number, statement in enumerate(REVIEW, 1) if statement.slip}
    assert len(slips) >= 21
    assert "11.5 %" in slips[5]
    assert "50,000 validation images" in slips[12]
