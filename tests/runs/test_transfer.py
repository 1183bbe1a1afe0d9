"""Run directories as bytes: enough to go on with, and never more than what holds."""

from reslab.runs.record import hold, is_done, is_locked, read_metrics
from reslab.runs.transfer import pack, unpack
from reslab.weights.manifest import newest


def test_what_is_unpacked_is_the_run(trained, tmp_path):
    run = trained.runs[0].out
    unpack(tmp_path / "there", pack(run))
    assert is_done(tmp_path / "there")
    assert list(read_metrics(tmp_path / "there")) == list(read_metrics(run))
    assert newest(tmp_path / "there").name == newest(run).name
    assert list(pack(run))[-2:] == [f"checkpoints/{newest(run).name}/MANIFEST.json", "result.json"]


def test_a_checkpoint_that_is_cut_short_does_not_hold(trained, tmp_path):
    files = list(pack(trained.runs[0].out).items())
    unpack(tmp_path / "there", dict(files[:-2]))
    assert newest(tmp_path / "there") is None
    assert not is_done(tmp_path / "there")


def test_a_run_that_is_not_begun_packs_to_nothing(tmp_path):
    assert pack(tmp_path) == {}


def test_one_holds_a_run(tmp_path):
    with hold(tmp_path / "run"):
        assert is_locked(tmp_path / "run")
        assert hold(tmp_path / "run") is None
    assert not is_locked(tmp_path / "run")
