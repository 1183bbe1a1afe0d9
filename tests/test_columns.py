"""Columns of text that fit a terminal: words and numbers never break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.columns import aligned, fits, wrapped

CELLS = [
    ("name", "what it is", "parameters"),
    ("resnet50", "a network of the paper with three layers in each unit", "25,557,032"),
    ("resnet20-cifar", "small", "269,722"),
]


def test_without_a_width_each_row_is_a_line():
    assert aligned(CELLS, right=(2,)).splitlines() == [
        "name            what it is                                             parameters",
        "resnet50        a network of the paper with three layers in each unit  25,557,032",
        "resnet20-cifar  small                                                     269,722",
    ]


def test_the_widest_cells_are_wrapped_between_words():
    assert aligned(CELLS, right=(2,), width=48).splitlines() == [
        "name            what it is            parameters",
        "resnet50        a network of the      25,557,032",
        "                paper with three",
        "                layers in each unit",
        "resnet20-cifar  small                    269,722",
    ]


def test_columns_that_do_not_fit_follow_below_after_the_names_again():
    assert aligned(CELLS, right=(2,), width=26).splitlines() == [
        "name            what it is",
        "resnet50        a network",
        "                of the",
        "                paper with",
        "                three",
        "                layers in",
        "                each unit",
        "resnet20-cifar  small",
        "",
        "name            parameters",
        "resnet50        25,557,032",
        "resnet20-cifar     269,722",
    ]
    assert not fits(CELLS, 26)
    assert fits(CELLS, 48)
    assert fits(CELLS, None)


def test_a_no_break_space_joins_what_belongs_together():
    assert aligned([("3×3,\xa064; 1×1,\xa064",)], width=8).splitlines() == ["3×3, 64;", "1×1, 64"]


def test_a_mean_and_its_spread_and_a_number_of_runs_stay_together():
    text = "the mean is 7.02 ± 0.27 (n = 5) at 95 %"
    assert wrapped(text, 16).splitlines() == ["the mean is", "7.02 ± 0.27", "(n = 5) at 95 %"]
    assert wrapped(text, 14).splitlines() == ["the mean is", "7.02 ± 0.27", "(n = 5) at", "95 %"]
    assert aligned([("7.02 ± 0.27", "in words that wrap")], width=20).splitlines()[0] == "7.02 ± 0.27  in"


def test_lines_after_the_first_are_indented():
    assert wrapped("one two three", 8, "  ") == "one two\n  three"
    assert wrapped("one two three", None) == "one two three"


WORDS = st.text(st.sampled_from("abc×,.;"), min_size=1, max_size=9)
CELL = st.lists(WORDS, max_size=6).map(" ".join)


@given(
    st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[CELL] * n), min_size=1, max_size=4)), st.integers(9, 60)
)
def test_every_word_is_whole_and_every_line_fits_that_can(cells, width):
    text = aligned(cells, width=width)
    words = {word for row in cells for cell in row for word in cell.split()}
    assert {word for line in text.splitlines() for word in line.split()} == words
    if width >= 22:  # of two columns of the longest words
        assert max(map(len, text.splitlines()), default=0) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_a_network_keeps_its_layers_whole(width):
    from reslab.nets import network
    from reslab.nets.table import rows, table_text

    value = network("inception-resnet-v2")
    text = table_text(value, width)
    assert max(map(len, text.splitlines())) <= width
    for row in rows(value):
        assert f"{row.cost.multiply_adds:,}" in text
    assert not [line for line in text.splitlines() if line.rstrip().endswith(",")]
