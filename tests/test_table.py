"""Tables in each form: numbers stay numbers, names stay text."""

import csv
import io
import math

from reslab.stats import Sample
from reslab.table import FORMATS, Column

ERRORS = Sample((1.0, 2.0))
TABLE = [
    Column("network", ["=1+1", "+x", "-x", "@SUM(A1)", "\tx", "plain-20", "−x"], numbers=False),
    Column("difference", [-0.123456, 0.5, None, math.inf, ERRORS, "not run", -1e-7], form="+.3g", empty="–"),
]


def test_numbers_are_rounded_in_text_alone():
    assert TABLE[1].cells == ["-0.123", "+0.5", "–", "–", "+1.50 ± 0.71", "not run", "-1e-07"]
    assert TABLE[1].data() == [-0.123456, 0.5, None, None, 1.5, "not run", -1e-7]


def test_a_spreadsheet_takes_no_name_for_a_formula_and_every_number_for_a_number():
    head, *lines = csv.reader(io.StringIO(FORMATS["csv"]([*TABLE, Column("=title", ["x"] * 7, numbers=False)])))
    assert head == ["network", "difference", "'=title"]
    assert [line[0] for line in lines] == ["'=1+1", "'+x", "'-x", "'@SUM(A1)", "'\tx", "plain-20", "−x"]
    assert [line[1] for line in lines] == TABLE[1].cells
    assert float(lines[0][1]) == -0.123


def test_negative_numbers_have_a_minus_sign_where_people_read_them():
    assert "| −0.123 |" in FORMATS["md"](TABLE)
    assert "& $-$0.123 " in FORMATS["tex"](TABLE)
    assert "-x" in FORMATS["md"](TABLE), "a name keeps its hyphen"


def test_a_dollar_in_a_name_begins_no_formula():
    names = [Column("network", ["$x$ & [a](b) `c` <i>"], numbers=False)]
    assert r"| \$x\$ & \[a](b) \`c\` \<i> |" in FORMATS["md"](names)
    assert r"\$x\$ \& [a](b)" in FORMATS["tex"](names)
