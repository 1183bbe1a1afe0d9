"""A study of one's own: from a file and in Python the same, with errors that name the line."""

import codecs
import re

import pytest

from reslab.api import plan_study
from reslab.errors import DataError, SpecError
from reslab.nets import Scaled, cifar_resnet, network, to_string
from reslab.papers.claims import OWN, Study
from reslab.recipes.named import recipe
from reslab.spec import replace, to_json
from reslab.study.own import EXAMPLE, own_study, read_study, write_example

FILE = """\
question = "Do scaled residuals learn sooner?"
data = "digits"
recipe = { name = "demo", steps = 40 }
network = "resnet8-cifar"
claims = ["scaled < plain"]
[rows]
plain = "plain8-cifar"
scaled = { set = { merge = "scaled", "merge.residual" = 0.3, lr = 0.05 } }
"""


def written(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def test_a_file_of_ten_lines_is_a_study(tmp_path):
    study = read_study(written(tmp_path, FILE))
    assert [(row.name, to_string(row.network)) for row in study.rows] == [
        ("plain", "plain8-cifar"),
        ("scaled", "resnet8-cifar merge=scaled merge.residual=0.3"),
    ]
    demo = recipe("demo")
    settings = study.scales[OWN].settings
    assert settings["plain"].recipe == replace(demo, steps=40)
    assert settings["scaled"].recipe == replace(demo, steps=40, schedule=replace(demo.schedule, rate=0.05))
    assert [(claim.lower, claim.higher, claim.metric) for claim in study.claims] == [("scaled", "plain", "test_error")]


def test_the_same_in_python_is_the_same_study(tmp_path):
    read = read_study(written(tmp_path, FILE))
    demo = replace(recipe("demo"), steps=40)
    made = own_study(
        "study",
        question=read.question,
        data="digits",
        recipe=demo,
        claims=["scaled < plain"],
        rows={
            "plain": network("plain8-cifar"),
            "scaled": {"network": cifar_resnet(8, merge=Scaled(residual=0.3)), "set": {"lr": 0.05}},
        },
    )
    assert made.rows == read.rows
    assert made.claims == read.claims
    assert made.scales == read.scales


def test_a_grid_trains_every_row_with_every_combination(tmp_path):
    grid = "[grid]\nlr = [0.05, 0.1]\nweight_decay = [0.0, 1e-4]\n"
    study = read_study(written(tmp_path, 'data = "digits"\nrecipe = "demo"\nnetwork = "resnet8-cifar"\n' + grid))
    assert [row.name for row in study.rows] == [
        "lr=0.05, weight_decay=0.0",
        "lr=0.05, weight_decay=0.0001",
        "lr=0.1, weight_decay=0.0",
        "lr=0.1, weight_decay=0.0001",
    ]
    recipes = [study.scales[OWN].settings[row.name].recipe for row in study.rows]
    assert [(each.schedule.rate, each.weight_decay) for each in recipes] == [
        (0.05, 0.0), (0.05, 1e-4), (0.1, 0.0), (0.1, 1e-4)
    ]  # fmt: skip


def test_a_grid_may_be_a_table_of_tables(tmp_path):
    begin = 'data = "digits"\nnetwork = "resnet8-cifar merge=dropped"\n[grid]\n'
    for grid in ("merge.p = [0.1, 0.5]\n", '"merge.p" = [0.1, 0.5]\n', "[grid.merge]\np = [0.1, 0.5]\n"):
        study = read_study(written(tmp_path, begin + grid))
        assert [row.name for row in study.rows] == ["merge.p=0.1", "merge.p=0.5"]
        assert [row.network.merge.p for row in study.rows] == [0.1, 0.5]


def test_without_a_recipe_it_is_the_one_that_is_meant_for_the_data(tmp_path):
    rows = '[rows]\na = "resnet8-cifar"\n'
    study = read_study(written(tmp_path, f'data = "digits"\n{rows}'))
    assert study.scales[OWN].settings["a"].recipe == recipe("demo")
    study = read_study(written(tmp_path, f'data = "digits"\nrecipe = {{ steps = 30 }}\n{rows}'))
    assert study.scales[OWN].settings["a"].recipe == replace(recipe("demo"), steps=30)
    with pytest.raises(SpecError, match="no recipe is given, and several fit folder:x"):
        read_study(written(tmp_path, f'data = "folder:x"\n{rows}'))


def test_a_folder_of_pictures_is_beside_the_study(tmp_path):
    text = 'data = "folder:PATH"\nrecipe = "finetune"\n[rows]\na = "resnet8-cifar"\n'
    for path, expected in (("pictures", tmp_path / "pictures"), ("/pictures", "/pictures"), ("~/p", "~/p")):
        study = read_study(written(tmp_path, text.replace("PATH", path)))
        assert study.scales[OWN].settings["a"].data == f"folder:{expected}"


def test_a_network_that_small_images_reduce_to_single_pixels_is_said(tmp_path):
    study = read_study(written(tmp_path, FILE.replace("plain8-cifar", "resnet18")))
    assert "The images are 8×8: the maps of resnet18 are 1×1 from stage2 on." in study.scales[OWN].note
    assert "1×1" not in read_study(written(tmp_path, FILE)).scales[OWN].note


def test_networks_and_recipes_are_read_from_files_beside_the_study(tmp_path):
    (tmp_path / "wide.json").write_text(to_json(cifar_resnet(8, widths=(32, 64, 128))))
    (tmp_path / "quick.toml").write_text('name = "demo"\nsteps = 30\n')
    text = 'data = "digits"\nrecipe = "quick.toml"\n[rows]\nwide = "wide.json"\n'
    study = read_study(written(tmp_path, text))
    assert study.rows[0].network == cifar_resnet(8, widths=(32, 64, 128))
    assert study.scales[OWN].settings["wide"].recipe.steps == 30


def test_fewer_steps_scale_the_schedule_where_asked_and_are_said_elsewhere(tmp_path):
    plain = read_study(written(tmp_path, FILE)).scales[OWN]
    assert "schedule.at 134 comes after the last of 40 steps" in plain.note
    scaled = read_study(written(tmp_path, "scale_steps = true\n" + FILE)).scales[OWN]
    assert scaled.settings["plain"].recipe.schedule.at == (32,)
    assert "schedule.at" not in scaled.note


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("question", "quesion", "line 1: quesion: no such key, did you mean question?"),
        ('"digits"', '"digit"', "line 2: no data set 'digit': did you mean digits?"),
        ('"demo"', '"dem"', "line 3: no recipe 'dem': did you mean demo?"),
        ("steps = 40", "stepz = 40", "line 3: stepz: no such key, did you mean steps"),
        ("steps = 40", "epochs = 4", "line 3: epochs: a study's recipe counts in steps"),
        ('"plain8-cifar"', '"plain9-cifar"', "line 7: no network 'plain9-cifar': depth 9"),
        ('"plain8-cifar"', "3", "line 7: rows.plain"),
        ("set =", "sett =", "line 8: rows.scaled.sett: no such key, did you mean set?"),
        ('"scaled", "m', '"scald", "m', "line 8: merge=scald: merge: no kind 'scald', did you mean scaled"),
        ("lr =", "lrr =", "line 8: lrr: no such key"),
        ("lr = 0.05", "classes = 3", "line 8: classes: follows from the data"),
        ("scaled < plain", "scaled < plane", "line 5: claim 'scaled < plane': no 'plane': did you mean plain?"),
        ("scaled < plain", "scaled", "line 5: claim 'scaled': write 'a < b'"),
        ("[rows]", "seeds = 0\n[rows]", "line 6: seeds: should be greater than or equal to 1"),
        ("[rows]", "[rows", "(at line 6, column 6)"),
        ("[rows]", "lr = [0.1, 0.2]\n[rows]", "line 6: lr: no key here; `set` changes fields of network and recipe"),
        ("[rows]", 'seeds = "3"\n[rows]', 'line 6: seeds: should be a whole number, not "3"'),
        ("[rows]", "grid = { lr = 0.1 }\n[rows]", "line 6: grid.lr: should be a list in brackets, not 0.1"),
        ("[rows]", "grid = { lr = [] }\n[rows]", "line 6: grid.lr: has no values"),
        (
            "[rows]",
            "grid = { lr = [{ a = 1 }] }\n[rows]",
            'line 6: grid.lr: a value of the grid is one value, not {"a": 1}',
        ),
        (
            "[rows]",
            f"grid = {{ lr = {[n / 1000 for n in range(1, 101)]}, batch = {list(range(1, 101))} }}\n[rows]",
            "line 6: the grid makes 20,000 rows; a study has at most 1,000",
        ),
        ("[rows]", "grid = { lr = [0.1, 0.1] }\n[rows]", "line 6: grid.lr: 0.1 stands twice"),
        ("[rows]", 'rows = ["plain8-cifar"]\n[grid]', "line 6: rows: should be a table"),
        ('"digits"', "3", "line 2: data: should be a text in quotes, not 3"),
        ('"digits"', '"folde:x"', "line 2: no data set 'folde:x'"),
        ('"plain8-cifar"', "[3]", "line 7: rows.plain: should be a text, or a table, not [3]"),
        ('"plain8-cifar"', '"plain8-cifar classes=3"', "line 7: classes: follows from the data"),
        (
            "plain =",
            'again = { set = { merge = "scaled", "merge.residual" = 0.3, lr = 0.05 } }\nplain =',
            "line 9: the rows 'again' and 'scaled' are the same training",
        ),
        ("[rows]", "grid = { lr = [0.1, 0.2] }\n[rows]", "line 9: schedule.rate: the grid has this field's values"),
        ("set =", "lr = 0.1, set =", "line 8: rows.scaled.lr: no key here; `set` changes fields"),
        ('["scaled < plain"]', '"scaled < plain"', 'line 5: claims: should be a list in brackets, not "scaled'),
        ('"scaled < plain"', '"scaled <= plain"', "line 5: claim 'scaled <= plain': write 'a < b'"),
        ('"scaled < plain"', '{ claim = "scaled < plain", margin = -1 }', "line 5: claims.margin: should be greater"),
        ('"scaled < plain"', '{ claim = "scaled < plain", lower = 3 }', "line 5: claims: give claim, or lower and"),
        ('"scaled < plain"', '{ claim = "scaled < plain", metric = "acc" }', "line 5: no metric 'acc'"),
    ],
)
def test_an_error_names_the_line_and_the_nearest_word(tmp_path, old, new, expected):
    path = written(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(SpecError, match=re.escape(expected)) as error:
        read_study(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ('lower = "plain"', "line 8: claims: higher is missing"),
        ('lower = "plain"\nhigher = nan', "line 10: claims.higher: should be"),
        ('lower = "plain"\nhigher = 3\nmargin = inf', "line 11: claims.margin: should be a finite number"),
        ('lower = "plain"\nhigher = "b"', "line 10: no row 'b': choose from plain"),
        ('lower = "plain"\nhigher = 3\nmetric = "acc"', "line 11: no metric 'acc': choose from initial_loss"),
    ],
)
def test_an_error_in_a_claim_names_its_line(tmp_path, claim, expected):
    rows = 'data = "digits"\nrecipe = "demo"\n[rows]\nplain = "plain8-cifar"\n'
    first = '[[claims]]\nlower = "plain"\nhigher = 30\n'
    with pytest.raises(SpecError, match=re.escape(expected)):
        read_study(written(tmp_path, f"{rows}{first}[[claims]]\n{claim}\n"))


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path):
    path = written(tmp_path, FILE)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert [row.name for row in read_study(path).rows] == ["plain", "scaled"]


def test_a_file_that_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_study(tmp_path / "none.toml")


def test_the_example_is_a_study_and_stays_what_it_is(tmp_path):
    path = tmp_path / "new.toml"
    write_example(path)
    assert isinstance(read_study(path), Study)
    with pytest.raises(SpecError, match="exists already"):
        write_example(path)
    uncommented = re.sub(r"(?m)^# (\w+ = |\[)", r"\1", re.sub(r"(?m)^claims.*", "", EXAMPLE))
    path.write_text(uncommented)
    study = read_study(path)
    assert len(study.rows) == 4 * 4
    assert [claim.lower for claim in study.claims[:2]] == [
        "residual, lr=0.05, weight_decay=0.0001",
        "residual, lr=0.05, weight_decay=0.0005",
    ]
    assert [claim.margin for claim in study.claims] == [1.0] * 4


def test_a_plan_of_a_file_has_one_scale_and_a_command_that_does_it_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, FILE)
    plan = plan_study("study.toml", seeds=2)
    assert (plan.scale_name, len(plan.runs)) == (OWN, 4)
    assert plan.command == "reslab study run study.toml --seeds 2"
    assert not plan.beside_published
    with pytest.raises(SpecError, match="no scale 'short'"):
        plan_study("study.toml", "short")
    value = own_study("a", data="digits", rows={"x": "resnet8-cifar"})
    assert plan_study(value, seeds=2).command == "run_study(plan_study(study, seeds=2))"
    assert plan_study("study.toml", data="fashion-mnist").runs[0].data == "fashion-mnist"
