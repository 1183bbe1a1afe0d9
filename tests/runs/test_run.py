"""A run directory as a value: its files are read when asked for, and once."""

import pytest

from reslab.disk import read_file
from reslab.errors import DataError
from reslab.runs import contents
from reslab.runs import run as run_module
from reslab.runs.contents import Metrics, write_json
from reslab.runs.run import Run, eval_split
from reslab.weights.file import read_weights


def test_one_process_has_the_lock(tmp_path):
    path = tmp_path / "run"
    assert not Run(path).is_locked
    with Run(path).lock():
        assert Run(path).is_locked
        assert Run(path).lock() is None
        assert Run(path).status == "running"
    assert not Run(path).is_locked
    assert Run(path).status == "not begun"


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    (tmp_path / ".lock").symlink_to("thesis.tex")
    for ask in (lambda: Run(tmp_path).lock(), lambda: Run(tmp_path).is_locked):
        with pytest.raises(DataError, match=r"\.lock: is a link, which is not followed"):
            ask()
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("status", "is_done"), [("stopped", False), ("finished", True), ("diverged", True), (None, False)]
)
def test_the_status_is_that_of_the_result(tmp_path, status, is_done):
    (tmp_path / "run.json").write_text("{}")
    if status:
        write_json(tmp_path / "result.json", {"status": status})
    assert Run(tmp_path).status == (status or "stopped")
    assert Run(tmp_path).is_done == is_done


def test_each_file_is_opened_once(trained, monkeypatch):
    run, opened = Run(trained), []
    for module in (contents, run_module):
        monkeypatch.setattr(module, "read_file", lambda path: opened.append(path.name) or read_file(path))
    for _ in range(3):
        assert (run.record.seed, run.result.status, run.metrics[-1].step, run.eval_split) == (
            0,
            "finished",
            run.record.recipe.steps,
            "test",
        )
        assert run.status == "finished"
        assert run.is_done
    assert sorted(opened) == ["metrics.jsonl", "result.json", "run.json"]


def test_the_newest_whole_checkpoint_has_the_weights(trained):
    run = Run(trained)
    assert [checkpoint.step for checkpoint in run.checkpoints] == sorted(item.step for item in run.checkpoints)
    assert run.newest == run.checkpoints[-1]
    assert run.newest.step == run.result.step
    assert run.weights.network == run.record.network
    assert read_weights(run.path).state.keys() == run.weights.state.keys()
    assert run.best_weights is None


def test_a_damaged_checkpoint_and_other_folders_are_no_checkpoints(tmp_path):
    for name in ("step-00000001", "step-x", ".step-00000002.part"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert Run(tmp_path).checkpoints == ()
    assert Run(tmp_path).newest is None
    with pytest.raises(DataError, match="a run without a whole checkpoint"):
        _ = Run(tmp_path).weights


def test_validation_images_are_the_eval_split_where_there_are_some():
    line = Metrics(1, rate=0.1, train_loss=1.0, train_error=50.0, images_per_second=1.0, waiting=0.0)
    evaluated = Metrics(**{**vars(line), "validation_error": 3.0, "validation_loss": 0.2})
    assert eval_split([line]) == "test"
    assert eval_split([line, evaluated]) == "validation"
    assert (evaluated.error("validation"), evaluated.loss("validation"), evaluated.error("test")) == (3.0, 0.2, None)
    assert line.error("train") == 50.0


def test_a_file_that_is_no_file_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(DataError, match=r"metrics\.jsonl: not a file"):
        _ = Run(tmp_path).metrics
