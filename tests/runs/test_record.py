"""Run directories: one writer, nothing torn, nothing overwritten."""

import json
from dataclasses import replace

import pytest

from reslab.errors import DataError, SpecError
from reslab.nets import Scaled, cifar_resnet, network
from reslab.recipes.named import recipe
from reslab.runs.contents import (
    DataDescription,
    Machine,
    Metrics,
    Result,
    RunRecord,
    Source,
    SplitDescription,
    read_json,
    write_json,
)
from reslab.runs.execution import Chosen, Execution
from reslab.runs.record import Record, run_name
from reslab.runs.run import Run
from reslab.spec import plain

RUN = RunRecord(
    network=cifar_resnet(20),
    name="resnet20-cifar",
    weights=None,
    recipe=recipe("demo"),
    data="digits",
    data_set=DataDescription(train=SplitDescription(9, "a"), test=SplitDescription(1, "b"), classes=("0", "1")),
    seed=0,
    execution=Execution(),
    chosen=Chosen("cpu", "float32", False, "as asked"),
    started="2026-01-01T00:00:00+00:00",
    versions={"python": "3", "torch": "2"},
    machine=Machine("one", 2, 2, 1, "Linux", "cpu"),
    commit=None,
)


def line(step):
    return Metrics(step, rate=0.1, train_loss=1.0, train_error=50.0, images_per_second=1.0, waiting=0.0)


def steps(path):
    return [line.step for line in Run(path).metrics]


def test_names_are_equal_for_equal_runs_and_legal_for_files():
    demo = recipe("demo")
    name = run_name(network("resnet20-cifar"), demo, "folder:/a/b", 3)
    assert name.startswith("resnet20-cifar-folder-_a_b-s3-")
    assert name == run_name(cifar_resnet(20), demo, "folder:/a/b", 3)
    assert name != run_name(cifar_resnet(20, merge=Scaled(1, 1)), demo, "folder:/a/b", 3)


def test_two_writers_on_one_run_are_one_too_many(tmp_path):
    with Record(tmp_path / "run", RUN), pytest.raises(SpecError, match="another process"):
        Record(tmp_path / "run", RUN).__enter__()
    with Record(tmp_path / "run", RUN):
        pass


def test_a_finished_run_is_not_trained_again(tmp_path):
    with Record(tmp_path / "run", RUN) as record:
        record.log(line(1))
        record.finish(Result("finished"))
    assert Run(tmp_path / "run").is_done
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(SpecError, match="this run is finished"):
        Record(tmp_path / "run", RUN).__enter__()
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_an_unfinished_run_is_begun_again(tmp_path):
    with pytest.raises(RuntimeError), Record(tmp_path / "run", RUN) as record:
        record.log(line(1))
        raise RuntimeError
    assert not Run(tmp_path / "run").is_done
    with Record(tmp_path / "run", RUN) as record:
        record.log(line(2))
    assert steps(tmp_path / "run") == [2]


OTHERS = {
    "network": {"network": cifar_resnet(26)},
    "recipe": {"recipe": recipe("paper-a-cifar")},
    "weights": {"weights": Source("body.safetensors", "0123")},
    "data": {"data": "cifar10"},
    "data_set": {"data_set": replace(RUN.data_set, train=SplitDescription(9, "c"))},
    "seed": {"seed": 1},
}


@pytest.mark.parametrize("key", OTHERS)
def test_another_run_is_not_written_over(tmp_path, key):
    with Record(tmp_path / "run", RUN):
        pass
    with pytest.raises(SpecError, match=rf"holds another run \({key}[ .].*\); choose another --out"):
        Record(tmp_path / "run", replace(RUN, **OTHERS[key])).__enter__()
    assert read_json(tmp_path / "run" / "run.json") == json.loads(json.dumps(RUN.to_json()))


@pytest.mark.parametrize("key", ["network", "recipe"])
def test_a_run_of_before_a_spec_gained_a_field_is_the_same_run(tmp_path, key):
    """A missing field is at its default; another value than that is another run."""
    with Record(tmp_path / "run", RUN):
        pass
    tree = read_json(tmp_path / "run" / "run.json")
    del tree["weights"], tree[key][{"network": "merge", "recipe": "freeze"}[key]]
    write_json(tmp_path / "run" / "run.json", tree)
    with Record(tmp_path / "run", RUN, resume=True):
        pass
    assert Run(tmp_path / "run").record == RUN
    changed = {"network": {"merge": plain(Scaled(1, 1))}, "recipe": {"freeze": "body"}}[key]
    write_json(tmp_path / "run" / "run.json", tree | {key: tree[key] | changed})
    with pytest.raises(SpecError, match=rf"holds another run \({key}"):
        Record(tmp_path / "run", RUN, resume=True).__enter__()


def test_a_run_of_a_later_version_is_another_run(tmp_path):
    with Record(tmp_path / "run", RUN):
        pass
    tree = read_json(tmp_path / "run" / "run.json")
    write_json(tmp_path / "run" / "run.json", tree | {"recipe": tree["recipe"] | {"tomorrow": 1}})
    with pytest.raises(SpecError, match=r"holds another run \(recipe.tomorrow 1, not None\)"):
        Record(tmp_path / "run", RUN, resume=True).__enter__()


def test_a_directory_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(SpecError, match="exists and is no run"):
        Record(tmp_path, RUN).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", [".lock", "metrics.jsonl"])
def test_a_link_in_a_run_directory_does_not_empty_its_target(tmp_path, name):
    (tmp_path / "thesis.tex").write_text("precious")
    with Record(tmp_path / "run", RUN):
        pass
    (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / name).symlink_to(tmp_path / "thesis.tex")
    with pytest.raises((DataError, OSError), match="is a link, which is not followed"):
        Record(tmp_path / "run", RUN).__enter__()
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_rewind_cuts_metrics_to_the_length_at_the_checkpoint(tmp_path):
    with pytest.raises(RuntimeError), Record(tmp_path / "run", RUN) as record:
        record.log(line(1))
        length = record.synced()
        record.log(line(2))  # lost: a crash comes before the next checkpoint
        raise RuntimeError
    with pytest.raises(RuntimeError), Record(tmp_path / "run", RUN, resume=True) as record:
        record.rewind(length)
        length = record.synced()  # a stop before the next line
        raise RuntimeError
    with Record(tmp_path / "run", RUN, resume=True) as record:
        record.rewind(length)
        record.log(line(2))
    assert steps(tmp_path / "run") == [1, 2]


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    with Record(tmp_path / "run", RUN) as record:
        with pytest.raises(ValueError, match="not JSON compliant"):
            record.log(replace(line(1), test_loss=float("nan")))
        with pytest.raises(ValueError, match="not JSON compliant"):
            record.finish(Result("finished", seconds=float("inf")))
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == ""
    assert Run(tmp_path / "run").result is None


def on(device="cpu", deterministic=False, **machine):
    machine = {"processor": "one", "gpu": None} | machine
    return replace(
        RUN,
        machine=replace(RUN.machine, device=device, **machine),
        execution=Execution(deterministic=deterministic),
    )


@pytest.mark.parametrize(
    ("before", "now", "reasons"),
    [
        (on(), on(), ""),
        (on(), on(processor="other"), "processor one, now other"),
        (on("cuda", True, gpu="A100"), on("cuda", True, gpu="A100", processor="other"), ""),
        (on("cuda", True, gpu="A100"), on("cuda", True, gpu="H100"), "gpu A100, now H100"),
        (on("cuda", True, gpu="A100"), on("cuda", False, gpu="A100"), "a GPU without --deterministic"),
    ],
)
def test_what_makes_a_resume_statistical(tmp_path, before, now, reasons):
    write_json(tmp_path / "run.json", before.to_json())
    assert Record(tmp_path, now, resume=True).differences() == reasons


def test_a_run_of_which_nothing_is_left_is_this_processs_alone(tmp_path):
    with Record(tmp_path / "run", replace(RUN, commit="old")):
        pass
    with Record(tmp_path / "run", replace(RUN, commit="new"), resume=True):
        pass
    assert Run(tmp_path / "run").record.commit == "new"
