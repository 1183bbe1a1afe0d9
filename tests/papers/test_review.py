"""The review's statements rest on claims that there are."""

from reslab.papers import STUDIES
from reslab.papers.review import REVIEW


def test_each_statement_rests_on_claims_of_a_study():
    for statement in REVIEW:
        assert statement.study is STUDIES[statement.study.name]
        for word in statement.words:
            assert any(word in claim.text for claim in statement.claims), word


def test_what_the_review_says_of_identity_shortcuts_rests_on_every_other_kind():
    identity = next(statement for statement in REVIEW if statement.source == "sec. 4.2.1")
    rows = {row.name for row in identity.study.rows}
    assert {claim.higher for claim in identity.claims} == rows - {"original"}
