"""The answer to a study's question: one word for its verdicts, and the numbers that it rests on."""

from collections import Counter

import pytest

from reslab.pages.answer import answer, count_text
from reslab.pages.citations import cited, references
from reslab.papers.claims import Claim
from reslab.stats import Comparison, Sample
from reslab.study.plan import make_plan
from reslab.study.verdict import Verdict

from .conftest import STUDY


@pytest.fixture
def plan(tmp_path):
    return make_plan(STUDY, "demo", tmp_path)


def verdict(judgement, low=2.0, high=9.0):
    claim = Claim("Residual is better", "ResNet-8", "plain-8", "test_error", "A Fig. 6")
    sides = Sample((low, low + 1)), Sample((high, high + 1))
    return Verdict(claim, *sides, Comparison(judgement), judgement, claim.text, ("ResNet-8", "plain-8"))


@pytest.mark.parametrize(
    ("judgements", "word"),
    [
        (["holds", "holds"], "Yes"),
        (["does not hold", "does not hold"], "No"),
        (["holds", "not decided"], "Yes, as far as it is decided"),
        (["does not hold", "not decided"], "No, as far as it is decided"),
        (["holds", "does not hold", "not decided"], "Only in part"),
        (["not decided", "not decided"], "Not decided"),
        ([], "Not decided"),
    ],
)
def test_the_word_follows_from_the_judgements(judgements, word, plan):
    assert answer(plan, [verdict(judgement) for judgement in judgements]).word == word


def test_the_largest_difference_is_named_with_its_numbers_and_n(plan):
    told = answer(plan, [verdict("holds"), verdict("holds", high=80.0)])
    assert told.numbers == (
        "ResNet-8 has 2.50 ± 0.71 % final test error where plain-8 has 80.50 ± 0.71 % (n = 2). All 2 claims hold."
    )


def test_where_claims_disagree_one_of_each_is_named(plan):
    told = answer(plan, [verdict("holds"), verdict("does not hold", low=30.0)])
    assert "; but ResNet-8 has 30.50 ± 0.71 %" in told.numbers
    assert told.numbers.endswith("Of 2 claims, 1 holds and 1 does not hold.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A sec. 4.2, Figs. 1 and 6; C Table 3", "He et al. 2016a sec. 4.2, Figs. 1 and 6; He et al. 2016b Table 3"),
        ("no warm-up, as paper A has it", "no warm-up, as He et al. 2016a has it"),
        ("ResNet-34 B is better than A", "ResNet-34 B is better than A"),
        ("C's 10.2 million", "He et al. 2016b's 10.2 million"),
    ],
)
def test_papers_are_cited_by_name_and_options_keep_their_letters(text, expected):
    assert cited(text) == expected


def test_the_references_are_those_of_the_papers_that_are_cited():
    assert [paper.name for paper in references("B sec. 5", "the review's Fig. 4")] == ["Szegedy et al. 2017"]


def test_what_is_not_run_is_counted_apart():
    assert (
        count_text(Counter({"not decided": 6, "not run": 10}), 16)
        == "Of 16 claims, 6 are not decided and 10 are not run"
    )
    assert count_text(Counter({"holds": 2, "not run": 1}), 3) == "Of 3 claims, 2 hold and 1 is not run"
    assert count_text(Counter({"not run": 1}), 1) == "The claim is not run"
    assert count_text(Counter({"not decided": 3}), 3) == "None of 3 claims is decided"
