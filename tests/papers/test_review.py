"""The review's statements rest on claims that there are."""

from reslab.papers import STUDIES
from reslab.papers.review import REVIEW


def test_each_statement_rests_on_claims_of_a_study():
    for statement in REVIEW:
        assert statement.study is STUDIES[statement.study.name]
        assert statement.claims, statement.text


def test_the_claims_of_a_statement_are_those_that_say_the_same_of_other_rows():
    claims = {statement.text: [claim.text for claim in statement.claims] for statement in REVIEW}
    assert claims["Plain networks degrade as they get deeper"] == [
        "A deeper plain network is worse in training error",
        "On ImageNet too a deeper plain network is worse in training error",
    ]
    assert claims["Depth pays, up to 152 layers"] == [
        "ResNet-50 is better than ResNet-34 B",
        "ResNet-101 is better than ResNet-50",
        "ResNet-152 is better than ResNet-101",
    ]


def test_what_the_review_says_of_identity_shortcuts_rests_on_every_other_kind():
    identity = next(statement for statement in REVIEW if statement.source == "sec. 4.2.1")
    rows = {row.name for row in identity.study.rows if row.published}  # the paper's, not the disputed deep gate's
    assert {claim.higher for claim in identity.claims} == rows - {"original"}
