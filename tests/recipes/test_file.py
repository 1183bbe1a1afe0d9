"""Recipes in files, with other libraries' names, and with other numbers of steps."""

import dataclasses
import re

import pytest

from reslab.errors import DataError, SpecError
from reslab.nets import network
from reslab.recipes.aliases import ALIASES, resolve_aliases
from reslab.recipes.changed import change_specs
from reslab.recipes.file import described_recipe, find_recipe, meanings, read_recipe
from reslab.recipes.named import RECIPES, recipe
from reslab.recipes.recipe import Recipe
from reslab.recipes.scaled import mismatches, scaled
from reslab.recipes.schedule import Cosine, Drops
from reslab.spec import keys, replace, to_json


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_shown_of_a_recipe_reads_as_the_recipe(name, tmp_path):
    (tmp_path / "shown.toml").write_text(described_recipe(name))
    assert read_recipe(tmp_path / "shown.toml") == recipe(name)


def test_a_recipe_is_shown_with_every_field_and_the_defaults_that_it_changes():
    lines = described_recipe("modern-cifar").splitlines()
    assert {field.name for field in dataclasses.fields(Recipe)} <= {
        line.partition(" =")[0].strip("[]") for line in lines
    }
    assert "weight_decay = 0.0005  # default 0.0001" in lines
    assert "batch = 128" in lines
    assert sum("steps between two evaluations" in line for line in lines) == 1
    assert not [line for line in lines if not re.match(r"#|\w+ = |\[\w+\]$|$", line)]


def test_every_field_says_what_it_means():
    assert meanings().keys() == {field.name for field in dataclasses.fields(Recipe)}
    assert meanings()["batch"] == "images of one, over all ranks"
    assert meanings()["log_every"].startswith("steps between two evaluations")


def test_a_recipe_comes_from_json_and_from_a_run(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(to_json(recipe("finetune")))
    assert find_recipe(str(file)) == recipe("finetune")
    file.write_text(f'{{"recipe": {to_json(recipe("demo"))}, "seed": 3}}')
    assert find_recipe(str(file)) == recipe("demo")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps = 60\nlrr = 3\n", "line 2: lrr: no such key"),
        ("steps = 60\n# as usual\nlr = -3\n", "line 3: schedule.rate=-3"),
        ("steps = 60\n[schedule]\nrate = -3\n", "line 3: schedule.rate=-3"),
        ("lr = 3\n", "a recipe has steps, or the name"),
        ('name = "demos"\n', "line 1: no recipe 'demos': did you mean demo?"),
        ('name = "demo"\nsteps = "x"\n', "should be a valid integer"),
        ('name = "demo"\nschedule = { kind = "cos", rate = 0.1 }\n', "did you mean cosine"),
        ("steps = \n", "line 1"),
    ],
)
def test_a_wrong_file_is_said(text, expected, tmp_path):
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(SpecError, match=expected):
        read_recipe(tmp_path / "wrong.toml")


def test_a_file_that_is_none_is_said(tmp_path):
    (tmp_path / "wrong.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_recipe(tmp_path / "wrong.json")
    with pytest.raises(DataError, match="No such file"):
        read_recipe(tmp_path / "none.json")


def test_common_names_mean_fields_that_there_are():
    assert set(ALIASES.values()) <= set(keys(recipe("demo")))
    assert resolve_aliases({"learning-rate": "0.1", "epochs": "3", "merge": "add"}) == {
        "schedule.rate": "0.1",
        "epochs": "3",
        "merge": "add",
    }
    with pytest.raises(SpecError, match="the same field as lr"):
        resolve_aliases({"lr": "0.1", "schedule.rate": "0.2"})


def test_a_schedule_that_does_not_fit_the_steps_is_said():
    short = replace(recipe("demo"), steps=40)
    assert mismatches(short) == ["schedule.at 134 comes after the last of 40 steps"]
    assert mismatches(replace(recipe("finetune"), steps=60)) == ["schedule.warmup 50 is more than half of 60 steps"]
    for name in RECIPES:
        assert mismatches(recipe(name)) == []
        assert mismatches(scaled(recipe(name), 0.01)) == []


def test_changed_steps_scale_the_schedule_where_asked():
    net = network("resnet8-cifar")
    _, plain = change_specs(net, recipe("finetune"), {"steps": "50"})
    assert plain.schedule == Cosine(0.01, warmup=50)
    _, short = change_specs(net, recipe("finetune"), {"steps": "50"}, scale_steps=True)
    assert (short.steps, short.schedule, short.evaluate_every) == (50, Cosine(0.01, warmup=5), 5)
    _, given = change_specs(net, recipe("demo"), {"steps": "84", "schedule.warmup": "1"}, scale_steps=True)
    assert given.schedule == Drops(at=(67,), warmup=1)


def test_a_kind_and_the_field_that_it_needs_come_together():
    _, changed = change_specs(network("resnet8-cifar"), recipe("demo"), {"schedule": "cosine", "schedule.rate": "0.2"})
    assert changed.schedule == Cosine(0.2)
