"""The front door: by names, with the results of the commands, in words that the packages below know."""

from typing import get_args, get_type_hints

import pytest

import reslab
from reslab import api
from reslab.api import choices
from reslab.cli import main
from reslab.errors import DataError, SpecError

QUICK = {"steps": "6", "schedule.at": "[4]"}
SETS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "run"
    return api.train_network("resnet8-cifar", "digits", "demo", path, 3, assignments=QUICK)


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty directory; return its lines of output."""
    monkeypatch.chdir(tmp_path)

    def lines(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert not ended.value.code
        return capsys.readouterr().out.splitlines()

    return lines


def test_a_training_is_that_of_the_command(run, command, tmp_path):
    command("train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--seed", 3, *SETS, "--out", "same")
    assert run.result.status == "finished"
    assert run.report == run.run / "report.html"
    file = "checkpoints/step-00000006/model.safetensors"
    assert (run.run / file).read_bytes() == (tmp_path / "same" / file).read_bytes()
    ours, theirs = (sorted(path.name for path in folder.iterdir()) for folder in (run.run, tmp_path / "same"))
    assert ours == theirs


def test_without_a_directory_the_run_has_its_name(command):
    words = ["--data", "digits", "--recipe", "demo", "--set", "steps=6"]
    *_, run = command("train", "resnet8-cifar", *words)
    recipe = reslab.replace(api.recipe("demo"), steps=6)
    with pytest.raises(SpecError, match=f"{run}: this run is finished"):
        api.train_network(reslab.network("resnet8-cifar"), "digits", recipe)


def test_an_evaluation_is_that_of_the_command(run, command):
    plain = api.evaluate_network(run.run, "digits")
    assert plain.details is None
    assert plain[:4] == run.result.test
    detailed = api.evaluate_network(run.run, "digits", details=True)
    assert detailed[:4] == plain[:4]
    assert sum(map(sum, detailed.details.confusion)) == sum(detailed.details.images) == 360
    first, *_, last = command("evaluate", run.run, "--data", "digits", "--calibration")
    assert f"top-1 error {plain.top1_error:.2f} %" in first
    assert last == f"calibration error {detailed.details.calibration_error:.2f} %"


def test_predictions_are_those_of_the_command(run, command, tmp_path):
    from PIL import Image

    for number in range(3):
        Image.new("L", (8, 8), 60 * number).save(tmp_path / f"{number}.png")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    classes = api.predict_pictures(run.run, files, top=1, batch=2)
    assert list(classes) == files
    lines = [f"  {100 * chance:6.2f} %  {name}" for [(name, chance)] in classes.values()]
    assert command("predict", run.run, *files, "--top", 1)[1::2] == lines
    (tmp_path / "1.png").write_bytes(b"damaged")
    predictions = api.predict_batches(run.run, files, cam=tmp_path / "maps")
    assert predictions.files == 3
    assert [(each.file.name, each.error) for some in predictions.batches for each in some] == [
        ("0.png", ""),
        ("2.png", ""),
        ("1.png", "not a picture"),
    ]
    assert len(list((tmp_path / "maps").iterdir())) == 2
    with pytest.raises(DataError, match=r"1\.png: not a picture"):
        api.predict_pictures(run.run, files)


def test_an_export_is_that_of_the_command(run, command, tmp_path):
    exported = api.export_network(run.run, "safetensors", tmp_path / "ours.safetensors")
    assert exported.change is None
    command("export", run.run, "--format", "safetensors", "--out", "theirs.safetensors")
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


def test_wrong_words_are_refused_with_the_nearest(tmp_path):
    refused = [
        (lambda: api.train_network("resnet20-cifr", "digits", "demo", tmp_path / "x"), "resnet20-cifar"),
        (lambda: api.train_network("resnet8-cifar", "digits", "demo", assignments={"classes": "3"}), "from the data"),
        (lambda: api.train_network("resnet8-cifar", "digits", "demo", assignments={"stepz": "3"}), "steps"),
        (lambda: api.list_networks("squeezenet*"), "resnet"),
        (lambda: api.describe_network("resnet8-cifar", {"merg": "gated"}), "merge"),
        (lambda: api.plan_study("degradaton"), "degradation"),
        (lambda: api.bench_network("preact18-timm", vs="torchvision"), "torchvision has no network"),
        (lambda: api.get_data("digits"), "digits"),
    ]
    for call, words in refused:
        with pytest.raises(SpecError, match=words):
            call()
    assert list(tmp_path.iterdir()) == []


def test_data_sets_have_a_state(monkeypatch, tmp_path):
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path))
    (tmp_path / "cifar-10-batches-bin").mkdir()
    states = {row.name: row.state for row in api.list_data()}
    assert (states["digits"], states["cifar10"], states["cifar100"]) == ("embedded", "damaged", "missing")
    assert api.check_data("digits") == api.DataCheck({"train": 1437, "test": 360}, 10, [], ())


def test_a_study_is_planned_counted_and_reported(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plan = api.plan_study("degradation", seeds=1)
    rows = api.plan_rows(plan)
    assert [(row.done, row.runs) for row in rows] == [(0, 1)] * 6
    assert sum(row.operations for row in rows) == pytest.approx(api.plan_cost(plan).operations)
    counted = api.plan_study("cost")
    assert api.run_study(counted) == {}
    report = api.report_study(counted)
    assert report.page.is_file()
    assert report.index_page.is_file()
    assert {verdict.judgement for verdict in report.verdicts} <= {"holds", "does not hold", "not decided"}


def test_the_choices_are_those_of_the_packages_below():
    from reslab.bench.rivals import RIVALS
    from reslab.data.crops import Crops
    from reslab.data.image_folder import OnBad
    from reslab.papers import STUDIES
    from reslab.recipes.recipe import BNStatistics
    from reslab.use.engine import ENGINES
    from reslab.use.export import FORMATS

    fields = get_type_hints(api.Execution)
    for ours, theirs in (
        (choices.BNStatistics, get_args(BNStatistics)),
        (choices.Crops, get_args(Crops)),
        (choices.OnBad, get_args(OnBad)),
        (choices.Engine, ENGINES),
        (choices.Format, tuple(FORMATS)),
        (choices.Rival, RIVALS),
        (choices.ScaleName, tuple(STUDIES["degradation"].scales)),
        (choices.Device, get_args(fields["device"])),
        (choices.Precision, get_args(fields["precision"])),
        (choices.OnOffAuto, get_args(fields["compile"])),
        (choices.OnBad, get_args(fields["on_bad"])),
        (choices.Resume, get_args(fields["resume"])),
    ):
        assert get_args(ours) == theirs


def test_every_public_name_says_what_it_is():
    for name in api.__all__:
        value = getattr(api, name)
        assert name.isupper() or value.__doc__, name
