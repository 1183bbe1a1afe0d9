"""Figures: names are drawn as they are, the same figure gives the same bytes, in threads too."""

import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from reslab.drawing import Drawing, scale, style

HOSTILE = r"$\frac$ \alpha $x$ [b]<b>&amp; id=\"x\" url(#y)"


def draw(name, as_text=True, grid=True):
    with style(**{"axes.grid": grid}):
        figure = Figure(figsize=(12, 6), layout="constrained")
        ax = figure.subplots()
        ax.plot([0, 1], [1, 1000], label=name)
        scale(ax, np.array([1.0, 1000.0]))
        ax.set(title=name, xlabel=name)
        ax.set_xticks([0, 1], [name, "other"])
        ax.annotate(name, (0.5, 100))
        ax.legend()
        return Drawing(figure, "", [(ax, 0.5, 100, name)], as_text)


@pytest.mark.parametrize("file_format", ["png", "pdf", "svg"])
def test_a_name_is_no_formula_anywhere(file_format):
    assert draw(HOSTILE, as_text=False).save(file_format)


def test_a_name_is_the_same_text_wherever_it_is_drawn():
    drawing = draw(HOSTILE)
    root = ElementTree.fromstring(drawing.inline(drawing.save("svg"), "figure"))
    texts = ["".join(text.itertext()) for text in root.iter("text")]
    assert texts.count(HOSTILE) == 5  # title, axis, tick, annotation and legend
    assert [title.text for title in root.iter("title")] == [HOSTILE]


def test_powers_of_ten_at_a_logarithmic_axis_stay_powers():
    drawing = draw("x")
    text = "".join(ElementTree.fromstring(drawing.inline(drawing.save("svg"), "figure")).itertext())
    assert "mathdefault" not in text
    assert "$" not in text


def test_figures_drawn_at_the_same_time_are_those_drawn_alone():
    def page(grid):
        return re.sub("url.*?[)]", "", draw("x", grid=grid).save("svg").decode())

    before, alone = dict(mpl.rcParams), {grid: page(grid) for grid in (True, False)}
    assert alone[True] != alone[False]
    with ThreadPoolExecutor(8) as pool:
        asked = [bool(index % 2) for index in range(24)]
        assert list(pool.map(page, asked)) == [alone[grid] for grid in asked]
    assert dict(mpl.rcParams) == before
