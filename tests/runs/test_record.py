"""Run directories: one writer, nothing torn, nothing overwritten."""

import json

import pytest

from reslab.errors import DataError, SpecError
from reslab.nets import Scaled, cifar_resnet, network
from reslab.recipes.named import recipe
from reslab.runs.record import Record, is_done, read_json, read_metrics, run_name, write_json
from reslab.spec import plain

TOLD = {"network": {"name": "n"}, "recipe": {"steps": 1}, "data": "digits", "data_set": {"train": 1}, "seed": 0}


def test_names_are_equal_for_equal_runs_and_legal_for_files():
    demo = recipe("demo")
    name = run_name(network("resnet20-cifar"), demo, "folder:/a/b", 3)
    assert name.startswith("resnet20-cifar-folder-_a_b-s3-")
    assert name == run_name(cifar_resnet(20), demo, "folder:/a/b", 3)
    assert name != run_name(cifar_resnet(20, merge=Scaled(1, 1)), demo, "folder:/a/b", 3)


def test_two_writers_on_one_run_are_one_too_many(tmp_path):
    with Record(tmp_path / "run", TOLD), pytest.raises(SpecError, match="another process"):
        Record(tmp_path / "run", TOLD).__enter__()
    with Record(tmp_path / "run", TOLD):
        pass


def test_a_finished_run_is_not_trained_again(tmp_path):
    with Record(tmp_path / "run", TOLD) as record:
        record.log(step=1)
        record.finish({"status": "finished"})
    assert is_done(tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(SpecError, match="this run is finished"):
        Record(tmp_path / "run", TOLD).__enter__()
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_an_unfinished_run_is_begun_again(tmp_path):
    with pytest.raises(RuntimeError), Record(tmp_path / "run", TOLD) as record:
        record.log(step=1)
        raise RuntimeError
    assert not is_done(tmp_path / "run")
    with Record(tmp_path / "run", TOLD) as record:
        record.log(step=2)
    assert list(read_metrics(tmp_path / "run")) == [{"step": 2}]


@pytest.mark.parametrize("key", ["network", "recipe", "data", "data_set", "seed"])
def test_another_run_is_not_written_over(tmp_path, key):
    with Record(tmp_path / "run", TOLD):
        pass
    with pytest.raises(SpecError, match=rf"holds another run \({key} .*\); choose another --out"):
        Record(tmp_path / "run", TOLD | {key: "else"}).__enter__()
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == TOLD


@pytest.mark.parametrize("key", ["network", "recipe"])
def test_a_run_of_before_a_spec_gained_a_field_is_the_same_run(tmp_path, key):
    """What it does not say is at its default; another value than that is another run."""
    value, how = network("resnet20-cifar"), recipe("demo")
    told = TOLD | {"network": {"name": "resnet20-cifar", **plain(value)}, "recipe": plain(how), "weights": None}
    with Record(tmp_path / "run", told):
        pass
    held = json.loads((tmp_path / "run" / "run.json").read_text())
    del held["weights"], held[key][{"network": "merge", "recipe": "freeze"}[key]]
    write_json(tmp_path / "run" / "run.json", held)
    with Record(tmp_path / "run", told, resume=True):
        pass
    changed = {"network": {"merge": plain(Scaled(1, 1))}, "recipe": {"freeze": "body"}}[key]
    with pytest.raises(SpecError, match=rf"holds another run \({key}"):
        Record(tmp_path / "run", told | {key: told[key] | changed}, resume=True).__enter__()


def test_a_run_of_a_later_version_is_another_run(tmp_path):
    told = TOLD | {"recipe": plain(recipe("demo"))}
    with Record(tmp_path / "run", told | {"recipe": told["recipe"] | {"tomorrow": 1}}):
        pass
    with pytest.raises(SpecError, match=r"holds another run \(recipe.tomorrow 1, not None\)"):
        Record(tmp_path / "run", told, resume=True).__enter__()


def test_a_directory_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(SpecError, match="exists and is no run"):
        Record(tmp_path, TOLD).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_torn_last_line_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"st')
    assert list(read_metrics(tmp_path)) == [{"step": 1}]
    assert list(read_metrics(tmp_path / "none")) == []


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_json(tmp_path / "a.json", {"good": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"bad": float("nan")})
    assert read_json(tmp_path / "a.json") == {"good": 1}


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), ("{", "not JSON")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, told):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=rf"result\.json: {told}"):
        read_json(path)


def test_what_a_checkpoint_remembers_behind_a_rewind_is_the_file_as_it_is(tmp_path):
    with pytest.raises(RuntimeError), Record(tmp_path / "run", TOLD) as record:
        record.log(step=1)
        kept = record.synced()
        record.log(step=2)  # lost: a crash comes before the next checkpoint
        raise RuntimeError
    with pytest.raises(RuntimeError), Record(tmp_path / "run", TOLD, resume=True) as record:
        record.rewind(kept)
        kept = record.synced()  # a stop before the next line
        raise RuntimeError
    with Record(tmp_path / "run", TOLD, resume=True) as record:
        record.rewind(kept)
        record.log(step=2)
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == [1, 2]


def facts(device="cpu", deterministic=False, **machine):
    kinds = {"device": device, "processor": "one", "threads": 2, "ranks": 1} | machine
    told = {"versions": {"torch": "2"}, "chosen": {"precision": "float32", "compile": False}, "machine": kinds}
    return TOLD | told | {"execution": {"on_bad": "error", "deterministic": deterministic}}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (facts(), facts(), ""),
        (facts(), facts(processor="other"), "processor one, now other"),
        (facts("cuda", True, gpu="A100"), facts("cuda", True, gpu="A100", processor="other"), ""),
        (facts("cuda", True, gpu="A100"), facts("cuda", True, gpu="H100"), "gpu A100, now H100"),
        (facts("cuda", True, gpu="A100"), facts("cuda", False, gpu="A100"), "a GPU without --deterministic"),
    ],
)
def test_what_makes_a_resume_statistical(tmp_path, before, now, told):
    write_json(tmp_path / "run.json", before)
    assert Record(tmp_path, now, resume=True).differences() == told


def test_a_run_of_which_nothing_is_left_is_this_processs_alone(tmp_path):
    with Record(tmp_path / "run", TOLD | {"commit": "old"}):
        pass
    with Record(tmp_path / "run", TOLD | {"commit": "new"}, resume=True):
        pass
    assert read_json(tmp_path / "run" / "run.json")["commit"] == "new"
