"""Run directories as bytes: enough to continue, and a torn copy shows."""

from reslab.runs.run import Run
from reslab.runs.transfer import pack, unpack


def test_what_is_unpacked_is_the_run(trained, tmp_path):
    run, copy = Run(trained), Run(tmp_path / "there")
    unpack(copy.path, pack(run.path))
    assert copy.is_done
    assert copy.metrics == run.metrics
    assert copy.record == run.record
    assert copy.newest.folder.name == run.newest.folder.name
    assert list(pack(run.path))[-2:] == [f"checkpoints/{run.newest.folder.name}/MANIFEST.json", "result.json"]


def test_a_checkpoint_that_is_cut_short_does_not_hold(trained, tmp_path):
    files = list(pack(trained).items())
    unpack(tmp_path / "there", dict(files[:-2]))
    assert Run(tmp_path / "there").newest is None
    assert not Run(tmp_path / "there").is_done


def test_a_run_that_is_not_begun_packs_to_nothing(tmp_path):
    assert pack(tmp_path) == {}
