"""Today's code reads the runs and weights of earlier versions."""

import shutil
from pathlib import Path

import pytest

import reslab
from reslab import Execution, evaluate_network, load, train_network
from reslab.runs.run import Run

RELEASES = sorted(path for path in Path(__file__).with_name("releases").iterdir() if path.is_dir())
FIELDS = {
    "widths": "[4,8,16]",
    "stem.width": "4",
    "steps": "24",
    "checkpoint_every": "4",
    "evaluate_every": "8",
    "batch": "32",
}
ONE_IMAGE = 100 / 360  # percent of the digits' test images; rounding differs between processors


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request, tmp_path):
    """A copy of the files of a release, which a run may change."""
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def test_a_file_of_weights_loads_with_its_network_and_has_its_error(release):
    network = load(release / "weights.safetensors")
    assert network.spec.widths == (4, 8, 16)
    recorded = Run(release / "finished").result.test
    measured = evaluate_network(release / "weights.safetensors", "digits")
    assert measured.images == recorded.images == 360
    assert measured.top1_error == pytest.approx(recorded.top1_error, abs=2 * ONE_IMAGE)


def test_a_finished_run_is_read_and_evaluated(release):
    run = Run(release / "finished")
    assert run.is_done
    assert run.record.name == "resnet8-custom"
    assert run.record.seed == 1
    assert run.metrics[-1].step == 24
    measured = evaluate_network(release / "finished", "digits")
    assert measured.top1_error == pytest.approx(run.result.test.top1_error, abs=2 * ONE_IMAGE)


def test_a_stopped_run_is_resumed_and_finishes_like_the_uninterrupted_one(release):
    stopped = Run(release / "stopped")
    assert stopped.status == "stopped"
    execution = Execution(device="cpu", precision="float32", resume="any")
    trained = train_network(
        "resnet8-cifar", "digits", "demo", release / "stopped", 1, assignments=FIELDS, execution=execution
    )
    assert trained.result.status == "finished"
    assert trained.result.step == 24
    [resumption] = Run(release / "stopped").record.resumed
    assert resumption.step == stopped.result.step
    uninterrupted = Run(release / "finished").result.test
    assert trained.result.test.top1_error == pytest.approx(uninterrupted.top1_error, abs=5)
    assert trained.result.test.loss == pytest.approx(uninterrupted.loss, abs=0.05)


def test_the_files_are_small():
    assert sum(path.stat().st_size for release in RELEASES for path in release.rglob("*") if path.is_file()) < 300_000


def test_the_citation_and_the_changelog_name_the_version():
    root = Path(__file__).parents[1]
    assert f"version: {reslab.__version__}\n" in (root / "CITATION.cff").read_text()
    assert f"\n## {reslab.__version__} - " in (root / "CHANGELOG.md").read_text()
