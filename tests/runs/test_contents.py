"""The files of a run directory: whatever bytes are in them, they are read as values or refused with their name."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reslab.errors import DataError
from reslab.runs.contents import Progress, read_json, read_value, to_tree, write_json
from reslab.runs.run import Run

RESULTS = Path(__file__).parents[2] / "results"
PROGRESS = {
    "step": 3,
    "meter": {
        "sums": [1.0, 2.0, 3.0],
        "all_images": 9,
        "open_seconds": 0.1,
        "seconds": 1.0,
        "open_waiting": 0.0,
        "waiting": 0.5,
    },
    "metrics_bytes": 100,
    "best": {"step": 2, "validation_error": 1.0, "validation_loss": 0.5},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A copy of a run of the evidence, with a checkpoint's state.json in it."""
    path = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(next(path.parent for path in sorted(RESULTS.rglob("run.json"))), path)
    write_json(path / "state.json", PROGRESS)
    return path


def read(path):
    run = Run(path)
    return run.record, run.result, run.metrics, run.status, run.eval_split, progress(path)


def progress(path):
    return read_value(Progress, read_json(path / "state.json"), str(path / "state.json"))


def test_every_run_of_the_evidence_is_read():
    paths = [path.parent for path in RESULTS.rglob("run.json")]
    assert len(paths) > 100
    for path in paths:
        run = Run(path)
        assert run.record.name in path.name or run.record.name.endswith("-custom")
        assert len(run.metrics) == len((path / "metrics.jsonl").read_text().splitlines())
        if run.result is None:  # ended without saving
            assert run.status == "stopped"
        elif run.result.status == "stopped":
            assert run.metrics[-1].step <= run.result.step
        else:
            assert (run.metrics[-1].step, run.status) == (run.result.step, run.result.status)


def test_a_record_is_written_as_it_was_read(run):
    tree, written = json.loads((run / "run.json").read_text()), json.loads(json.dumps(Run(run).record.to_json()))
    assert list(written) == ["network", "weights", *list(tree)[1 + ("weights" in tree) :]]
    for key, value in tree.items():
        assert written[key] == (written[key] | value if key == "recipe" else value)  # the recipe has gained fields
    assert to_tree(Run(run).result) == json.loads((run / "result.json").read_text())
    assert json.loads(json.dumps(to_tree(progress(run)))) == PROGRESS


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", None, "run.json: No such file"),
        ("run.json", "{", "run.json: not JSON"),
        ("run.json", "[]", "run.json: "),
        ("run.json", b"\xff", "run.json: not JSON"),
        ("run.json", "[" * 100_000, "run.json: not JSON .nested too deep"),
        ("result.json", "{}", "result.json: status: "),
        ("result.json", '{"status": "lost"}', "result.json: status: .*'lost'"),
        ("result.json", '{"status": "finished", "seconds": NaN}', "result.json: not JSON .NaN is no finite number"),
        ("result.json", '{"status": "finished", "seconds": 1e999}', "result.json: not JSON .1e999 is no finite"),
        ("result.json", '{"status": "finished", "test": 1}', "result.json: test: "),
        ("metrics.jsonl", '{"step": 1}\n', "metrics.jsonl, line 1: rate: "),
        ("metrics.jsonl", "null\n", "metrics.jsonl, line 1: "),
        ("state.json", '{"step": -1}', "state.json: step: "),
    ],
)
def test_a_damaged_file_is_named_with_its_key(run, tmp_path, file, content, message):
    path = shutil.copytree(run, tmp_path / "run")
    (path / file).unlink()
    if content is not None:
        (path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_named(run, tmp_path):
    path = shutil.copytree(run, tmp_path / "run")
    lines = (path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (path / "metrics.jsonl").write_text("".join(lines) + lines[0][:20])
    assert len(Run(path).metrics) == len(lines)
    (path / "metrics.jsonl").write_text("".join([lines[0], lines[1][:20], "\n", lines[2]]))
    with pytest.raises(DataError, match=r"metrics\.jsonl, line 2: not JSON"):
        _ = Run(path).metrics
    assert Run(tmp_path / "none").metrics == ()


def test_unknown_keys_are_left_out(run, tmp_path):
    path = shutil.copytree(run, tmp_path / "run")
    for file, keys in (("run.json", ["machine"]), ("result.json", ["test"]), ("state.json", ["meter", "best"])):
        tree = json.loads((path / file).read_text())
        for part in (tree, *(tree[key] for key in keys)):
            part["tomorrow"] = [1]
        (path / file).write_text(json.dumps(tree))
    lines = (path / "metrics.jsonl").read_text().splitlines()
    (path / "metrics.jsonl").write_text("".join(f'{line[:-1]}, "tomorrow": 1}}\n' for line in lines))
    assert read(path) == read(run)


def test_names_of_files_that_are_not_utf8_are_kept(tmp_path):
    result = {"status": "diverged", "batch": ["a\udcff.png"], "skipped": {"b\udcff.png": "truncated"}}
    write_json(tmp_path / "result.json", result)
    assert Run(tmp_path).result.batch == ("a\udcff.png",)
    assert Run(tmp_path).result.skipped == result["skipped"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([10**400, -1, 2**63]) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FILES = ("run.json", "result.json", "state.json", "metrics.jsonl")


def places(tree, path=()):
    """The path of every value in a tree."""
    yield path
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def replaced(tree, path, value):
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = replaced(tree[path[0]], path[1:], value)
    return copy


HERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)


@HERE
@given(data=st.data(), file=st.sampled_from(FILES), value=ANYTHING)
def test_a_record_with_another_value_anywhere_is_read_or_refused(run, data, file, value):
    whole = (run / file).read_text()
    tree = json.loads(whole.splitlines()[0] if file == "metrics.jsonl" else whole)
    changed = replaced(tree, data.draw(st.sampled_from(list(places(tree)))), value)
    check(run, file, (json.dumps(changed) + "\n").encode())


@HERE
@given(file=st.sampled_from(FILES), content=st.binary(max_size=40), cut=st.integers(0, 2000))
def test_a_record_with_other_bytes_anywhere_is_read_or_refused(run, file, content, cut):
    whole = (run / file).read_bytes()
    check(run, file, whole[:cut] + content + whole[cut + len(content) :])


def check(run, file, content):
    before = (run / file).read_bytes()
    try:
        (run / file).write_bytes(content)
        read(run)
    except DataError as error:
        assert str(run / file) in str(error)
    finally:
        (run / file).write_bytes(before)


def test_the_hardware_is_that_of_all_machines_of_a_run():
    record = Run(RESULTS / "runs" / "resnet56-cifar-cifar10-s0-48057687").record
    assert record.hardware == "NVIDIA H100 80GB HBM3, then NVIDIA H200"
    assert replace(record, resumed=record.resumed * 2).hardware == record.hardware
    assert replace(record, resumed=()).hardware == "NVIDIA H100 80GB HBM3"
