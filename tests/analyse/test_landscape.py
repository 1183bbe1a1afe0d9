"""The loss around weights: its middle, its directions, and the file that it grows in."""

import fcntl
import json
import multiprocessing

import pytest
import torch
from tests.analyse.made import Unchanged, described

from reslab.analyse.inputs import TRAINED, Inputs, Subject, read_subjects
from reslab.analyse.landscape import Grid, Landscape, LandscapeAnalysis, direction, measure, moved, rounding
from reslab.cli import main
from reslab.data.loader import load
from reslab.errors import DataError, ReslabError, SpecError
from reslab.evaluate import evaluate
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.spec import replace
from reslab.stop import Stop
from reslab.train.loop import fitted, train

SMALL = Grid(points=3, reach=0.5)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), size=8, channels=1).build().eval()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(6, 1, 8, 8, generator=generator), torch.arange(6))]


def filled(file, network, images, grid=SMALL, workers=1):
    landscape = Landscape(file, network, images, grid)
    assert landscape.fill(workers, Stop())
    return landscape


def test_the_middle_is_the_networks_own_loss(tmp_path, network, images):
    expected = evaluate(network, images)
    landscape = filled(tmp_path / "points.jsonl", network, images)
    assert landscape.points[1, 1] == (expected.loss, expected.top1_error)
    assert len(set(landscape.losses().ravel().tolist())) == 9


def test_the_middle_is_the_loss_of_the_run(tmp_path):
    digits = load("digits")
    spec = fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits)
    result = train(spec, Recipe(steps=3, batch=32, schedule=Drops(warmup=0)), digits, tmp_path / "run")
    [run] = read_subjects([str(tmp_path / "run")], digits)
    seen = Inputs([run], digits, 10**6).batches(run, "train")
    middle = filled(tmp_path / "points.jsonl", run.states[TRAINED], seen).points[1, 1]
    assert middle.loss == pytest.approx(result["train"]["loss"], rel=1e-6)
    assert middle.error == pytest.approx(result["train"]["top1_error"])


def test_a_direction_is_as_long_as_the_weights_filter_by_filter(network):
    tensors = direction(network, seed=3, index=0)
    weights = dict(network.named_parameters())
    assert set(tensors) == {name for name, weight in weights.items() if weight.ndim > 1}
    for name, tensor in tensors.items():
        lengths = tensor.flatten(1).norm(dim=1), weights[name].flatten(1).norm(dim=1)
        torch.testing.assert_close(*lengths)
    again, other = direction(network, 3, 0), direction(network, 3, 1)
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)
    assert not any(torch.equal(tensors[name], other[name]) for name in tensors)


def test_weights_are_where_they_were(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ways = direction(network, 0, 0), direction(network, 0, 1)
    with pytest.raises(ZeroDivisionError), moved(network, ways, (0.3, 0.0)):
        name = "stem.conv1.weight"
        torch.testing.assert_close(network.state_dict()[name], before[name] + 0.3 * ways[0][name])
        raise ZeroDivisionError
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_network_is_as_before(network, images):
    before = Unchanged(network)
    measure(network, images, (direction(network, 0, 0), direction(network, 0, 1)), SMALL, (0, 1))
    rounding(network, images)
    before.check()


def test_two_workers_measure_what_one_does(tmp_path, network, images):
    one = filled(tmp_path / "one", network, images)
    two = filled(tmp_path / "two", network, images, workers=2)
    assert one.points == two.points


def test_bf16_is_about_the_same_and_exact_in_the_middle(network, images):
    ways = direction(network, 0, 0), direction(network, 0, 1)
    exact, rounded = (
        [measure(network, images, ways, SMALL._replace(precision=kind), place).loss for place in ((1, 1), (0, 1))]
        for kind in ("float32", "bf16")
    )
    assert exact[0] == rounded[0]
    assert exact[1] != rounded[1] == pytest.approx(exact[1], rel=0.02)
    assert 0 < rounding(network, images) < 0.1


def test_a_file_is_filled_by_one_process_alone(tmp_path, network, images):
    landscape = Landscape(tmp_path / "points.jsonl", network, images, SMALL)
    with landscape.file.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SpecError, match="another process fills it"):
            landscape.fill(1, Stop())
    assert landscape.fill(1, Stop())


def test_a_lost_worker_is_named_and_the_points_are_kept(tmp_path, network, images):
    landscape = Landscape(tmp_path / "points.jsonl", network, images, Grid(points=21))

    def progress(share):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(ReslabError, match="a worker process was lost"):
        landscape.fill(2, Stop(), progress)
    again = Landscape(landscape.file, network, images, landscape.grid)
    assert 0 < len(again.points) < 441
    assert again.points == landscape.points


def test_a_stop_ends_the_workers(tmp_path, network, images):
    stop = Stop()
    landscape = Landscape(tmp_path / "points.jsonl", network, images, Grid(points=21))

    def progress(share):
        stop.ask()

    assert not landscape.fill(2, stop, progress)
    assert 0 < len(landscape.points) < 441
    assert multiprocessing.active_children() == []


def test_it_goes_on_where_it_was_stopped(tmp_path, network, images):
    file = tmp_path / "points.jsonl"
    whole = filled(file, network, images).points
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:5]) + lines[5][:9])  # four points, and one cut short
    again = Landscape(file, network, images, SMALL)
    assert len(again.missing) == 5
    assert again.fill(1, Stop())
    assert again.points == whole
    assert sorted(file.read_text().splitlines()) == sorted(line.strip() for line in lines)


def test_a_stop_keeps_what_there_is(tmp_path, network, images):
    stop = Stop()
    landscape = Landscape(tmp_path / "points.jsonl", network, images, SMALL)

    def progress(share):
        if share > 0.3:
            stop.ask()

    assert not landscape.fill(1, stop, progress)
    assert len(Landscape(tmp_path / "points.jsonl", network, images, SMALL).missing) == len(landscape.missing) > 0


def test_another_landscape_is_not_mixed_in(tmp_path, network, images):
    file = tmp_path / "points.jsonl"
    filled(file, network, images)
    with pytest.raises(SpecError, match=r"other seed\); choose another --out"):
        Landscape(file, network, images, SMALL._replace(seed=1))
    with torch.no_grad():
        network.head.linear.bias[0] += 1
    with pytest.raises(SpecError, match="other weights"):
        Landscape(file, network, images, SMALL)
    file.write_text("{}\n")
    with pytest.raises(DataError, match="not the points of a landscape"):
        Landscape(file, network, images, SMALL)


def test_the_weights_stand_in_the_middle_of_an_odd_grid(tmp_path, network, images):
    with pytest.raises(SpecError, match="odd number"):
        Landscape(tmp_path / "points.jsonl", network, images, Grid(points=4))
    assert Grid(points=5, reach=2.0).steps == [-2, -1, 0, 1, 2]


def test_a_loss_that_is_no_number_is_kept_as_none(tmp_path, network, images):
    with torch.no_grad():
        network.head.linear.weight.fill_(float("nan"))
    landscape = filled(tmp_path / "points.jsonl", network, images)
    assert all(point.loss is None for point in landscape.points.values())
    assert "NaN" not in (tmp_path / "points.jsonl").read_text()


def test_a_wider_basin_is_decided_by_two_runs_of_each(tmp_path, network, images):
    specs = {"residual": network.spec, "plain": replace(network.spec, shortcut=None)}
    landscapes, of = {}, []
    for kind, depths in (("residual", (0.1, 0.2)), ("plain", (5.0, 6.0))):
        for index, height in enumerate(depths):
            label = f"{kind}{index}"
            landscape = filled(tmp_path / label, network, images)
            for place in landscape.points:
                landscape.points[place] = landscape.points[place]._replace(loss=0.0 if place == (1, 1) else height)
            landscapes[label] = landscape
            of.append(Subject(label, specs[kind], {}))
    assert landscapes["residual0"].basin() == 100
    assert landscapes["plain0"].basin() == pytest.approx(100 / 9)
    [finding] = LandscapeAnalysis().claims(Inputs(of), landscapes)
    assert finding.judgement == "holds"
    [finding] = LandscapeAnalysis().claims(Inputs(of[1:3]), landscapes)
    assert finding.judgement == "not decided"


def test_the_command_writes_its_page(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["analyse", "landscape", "resnet20-cifar", "--data", "digits", "--points", "3", "--images", "20", "--json"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert not end.value.code
    results = json.loads(capsys.readouterr().out)
    assert len(results["values"]["loss"]) == 9
    assert set(results["values"]) <= described("landscape")
    assert (tmp_path / results["page"]).is_file()
