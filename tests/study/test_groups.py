"""Runs of any framework in groups: CSV files, exports of W&B and MLflow, event files; and how groups compare."""

import math
import os
from dataclasses import replace

import pytest

from reslab.errors import DataError, SpecError
from reslab.stats import comparison
from reslab.study.foreign import read_groups, split_seed
from reslab.study.groups import MANY, Comparison, choose_metric, group_names, read_claims

ROWS = "group,seed,test_acc,loss\n" + "".join(
    f"{group},{seed},{base + seed / 100:.2f},{1 - base:.1f}\n"
    for group, base in (("a", 0.5), ("b", 0.8))
    for seed in range(3)
)


def written(tmp_path, text, name="runs.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def values(groups, metric):
    return {group.name: [run.values.get(metric) for run in group.runs] for group in groups}


def test_a_line_for_each_run_is_grouped_by_its_group(tmp_path):
    groups = read_groups(written(tmp_path, ROWS))
    assert values(groups, "test_acc") == {"a": [0.5, 0.51, 0.52], "b": [0.8, 0.81, 0.82]}
    assert [run.seed for run in groups[0].runs] == [0, 1, 2]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_byte_order_mark_are_read(tmp_path, separator):
    groups = read_groups(written(tmp_path, "\ufeff" + ROWS.replace(",", separator)))
    assert [len(group.runs) for group in groups] == [3, 3]


def test_decimal_commas_are_read_beside_semicolons(tmp_path):
    (group,) = read_groups(written(tmp_path, "group;seed;acc;loss\na;0;0,91;1,5\na;1;0,92;-1,5\n"))
    assert values([group], "acc") == {"a": [0.91, 0.92]}
    assert values([group], "loss") == {"a": [1.5, -1.5]}


def test_with_steps_the_last_value_counts_and_all_are_the_curve(tmp_path):
    text = "group,seed,step,err\na,0,10,50\na,0,20,40\na,1,20,42\na,1,10,55\n"
    (group,) = read_groups(written(tmp_path, text))
    assert values([group], "err") == {"a": [40.0, 42.0]}
    assert group.runs[1].curves["err"] == ((10.0, 55.0), (20.0, 42.0))


def test_a_run_without_a_last_value_is_left_out_and_counted(tmp_path):
    text = "group,seed,step,err\na,0,10,50\na,0,20,nan\na,1,10,55\na,1,20,42\n"
    (group,) = read_groups(written(tmp_path, text))
    assert values([group], "err") == {"a": [None, 42.0]}


def test_an_export_of_wandb_runs_is_read_by_its_names(tmp_path):
    text = (
        '"Name","State","Runtime","seed","_timestamp","val_acc"\n'
        + "".join(f'"wide-s{s}","finished","12","{s}","1700","0.9{s}"\n' for s in range(2))
        + "".join(f'"slim-s{s}","finished","12","{s}","1700","0.8{s}"\n' for s in range(2))
    )
    groups = read_groups(written(tmp_path, text))
    assert values(groups, "val_acc") == {"wide": [0.9, 0.91], "slim": [0.8, 0.81]}
    assert set(groups[0].runs[0].values) == {"val_acc"}


def test_an_export_of_a_wandb_chart_is_read_by_its_columns(tmp_path):
    columns = [f"{name}-seed{seed} - acc" for name in ("wide", "slim") for seed in range(2)]
    header = ["Step", *(f"{column}{end}" for column in columns for end in ("", "__MIN", "__MAX"))]
    lines = [[step, *(0.1 * (step + number) for number in range(12))] for step in (1, 2)]
    text = "\n".join(",".join(f'"{cell}"' for cell in line) for line in [header, *lines])
    groups = read_groups(written(tmp_path, text))
    assert values(groups, "acc") == {"wide": [pytest.approx(0.2), pytest.approx(0.5)], "slim": [
        pytest.approx(0.8), pytest.approx(1.1)
    ]}  # fmt: skip
    assert len(groups[0].runs[0].curves["acc"]) == 2


def test_an_export_of_mlflow_is_grouped_by_the_parameters_that_vary(tmp_path):
    text = "run_id,status,params.seed,params.lr,params.depth,metrics.acc\n" + "".join(
        f"x{lr}{seed},FINISHED,{seed},{lr},20,0.{seed + 5}\n" for lr in (0.1, 0.2) for seed in range(2)
    )
    groups = read_groups(written(tmp_path, text))
    assert [group.name for group in groups] == ["0.1", "0.2"]
    assert groups[0].fields == {"params.lr": "0.1"}
    assert choose_metric("acc", ["metrics.acc"]) == "metrics.acc"


def test_event_files_are_read_by_their_folders(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard", exc_type=ImportError)
    for name in ("wide/seed0", "wide/seed1", "slim/seed0"):
        with tensorboard.SummaryWriter(str(tmp_path / name)) as writer:
            for step in (1, 2):
                writer.add_scalar("acc", 0.25 * step, step)
    groups = read_groups(tmp_path)
    assert sorted(values(groups, "acc").items()) == [("slim", [0.5]), ("wide", [0.5, 0.5])]


@pytest.mark.parametrize(
    ("text", "by", "error", "expected"),
    [
        ("", (), DataError, "no table of runs"),
        ("group,seed,acc\na,0\n", (), DataError, "line 2: 2 cells, but 3 columns"),
        ("seed,acc\n0,1\n", (), SpecError, "no column 'group'; --by COLUMN"),
        ("group,seed,acc\na,0,high\n", (), SpecError, "no column of numbers"),
        ("group,seed,acc\na,0,1\na,0,2\n", (), SpecError, "line 3: seed 0 of a stands on line 2 too"),
        ("group,seed,acc\na,0,1\n", ("grp",), SpecError, "--by grp: no such column, did you mean group?"),
        ("group,seed,seed\na,0,1\n", (), DataError, "the column 'seed' stands twice"),
        ("group,seed,acc\na,0,1\na,1,-1e308\n", (), DataError, "line 3: -1e308 is too large to compare"),
        (
            "group,seed,acc\na,0,1\n\x1b[2Jb,0,1\n",
            (),
            DataError,
            r"line 3: has a control character, '\\x1b', so no CSV",
        ),
        ("group,seed,acc\na,0,1\x00\n", (), DataError, "line 2: has a control character"),
    ],
)
def test_a_file_that_does_not_fit_is_said(tmp_path, text, by, error, expected):
    with pytest.raises(error, match=expected):
        read_groups(written(tmp_path, text), by)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wide-s3", ("wide", "3")),
        ("wide_seed=12_lr0.1", ("wide_lr0.1", "12")),
        ("runs/7", ("runs/7", "")),
        ("resnets3", ("resnets3", "")),
        ("seed4", ("seed4", "4")),
    ],
)
def test_the_seed_in_a_name_is_a_word_of_its_own(name, expected):
    assert split_seed(name) == ((expected[0].replace("_lr", "_lr")), expected[1])


def test_groups_are_named_by_as_few_settings_as_tell_them_apart():
    settings = [{"network": "a", "steps": "10", "at": "8"}, {"network": "b", "steps": "10", "at": "8"}]
    assert group_names(settings) == ["a", "b"]
    settings.append({"network": "a", "steps": "20", "at": "16"})
    assert group_names(settings) == ["a, steps=10", "b, steps=10", "a, steps=20"]
    assert group_names([{}]) == ["all runs"]


def test_pairs_and_claims_are_judged_by_their_intervals(tmp_path):
    groups = read_groups(written(tmp_path, ROWS))
    claims = tuple(read_claims(["b < a", "a<0.9", "b > a"], groups, "test_acc", 0.0))
    compared = Comparison("runs.csv", "", tuple(groups), "test_acc", ("test_acc",), claims)
    assert [contrast.judgement for contrast in compared.contrasts()] == ["does not hold", "holds", "holds"]
    (pair,) = compared.pairs()
    assert (pair.claim.lower, pair.claim.higher, pair.judgement) == ("a", "b", "holds")
    assert pair.difference == pytest.approx(-0.3)
    with pytest.raises(SpecError, match="no 'c'"):
        list(read_claims(["a < c"], groups, "test_acc", 0.0))


def test_a_device_or_a_pipe_is_no_file(tmp_path):
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("link.csv", "pipe.csv"):
        with pytest.raises(DataError, match=f"{name}: not a file"):
            read_groups(tmp_path / name)


def test_lines_may_end_as_on_any_system(tmp_path):
    path = tmp_path / "runs.csv"
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(ROWS.replace("\n", end).encode())
        assert values(read_groups(path), "loss") == {"a": [0.5] * 3, "b": [0.2] * 3}


def test_of_many_groups_the_lowest_is_compared_with_each_other(tmp_path):
    many = [f"g{number},{seed},{number + seed / 100}" for number in range(MANY + 1) for seed in range(3)]
    groups = read_groups(written(tmp_path, "\n".join(["group,seed,loss", *reversed(many)])))
    compared = Comparison("runs.csv", "", tuple(groups), "loss", ("loss",))
    pairs = compared.pairs()
    assert {pair.claim.lower for pair in pairs} == {"g0"}
    assert [pair.claim.higher for pair in pairs] == [f"g{number}" for number in range(1, MANY + 1)]
    assert {pair.judgement for pair in pairs} == {"holds"}
    few = replace(compared, groups=tuple(groups[1:]))
    assert len(few.pairs()) == math.comb(MANY, 2)


def test_what_is_left_out_counts_in_the_correction(tmp_path):
    """A pair is sure among the 24 that are shown, not among the 300 of which they are the best."""
    samples = {f"g{number}": (10.0, 10.05) for number in range(MANY)} | {"low": (9.0, 9.0001, 9.25, 9.2501)}
    rows = [f"{name},{seed},{value}" for name, each in samples.items() for seed, value in enumerate(each)]
    groups = read_groups(written(tmp_path, "\n".join(["group,seed,loss", *rows])))
    pairs = Comparison("runs.csv", "", tuple(groups), "loss", ("loss",)).pairs()
    p = comparison(pairs[0].lower, pairs[0].higher).p
    assert 0.05 / 300 < p < 0.05 / 24
    assert {(pair.judgement, pair.jointly) for pair in pairs} == {("holds", "not decided")}


def test_a_margin_without_end_is_refused(tmp_path):
    groups = read_groups(written(tmp_path, ROWS))
    with pytest.raises(SpecError, match="--margin inf"):
        list(read_claims(["b < a"], groups, "test_acc", math.inf))
