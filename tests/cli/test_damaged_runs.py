"""Runs with damaged files: every command that reads one ends well, or in two lines that name the file."""

import contextlib
import copy
import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from PIL import Image

from reslab import api
from reslab.errors import ReslabError
from reslab.nets import Conv, cifar_resnet
from reslab.papers import STUDIES
from reslab.papers.claims import Claim, Row, Scale, Setting, Study
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.runs.execution import Execution
from reslab.study.plan import make_plan
from reslab.study.worker import Failed, train_run

FILES = ("run.json", "metrics.jsonl", "result.json", "state.json", "MANIFEST.json")
STRANGE = (
    *(None, True, False, "", "x", "[bold]", "\ud800", "\x1b[2J", "x" * 3000, [], {}, [[]], [1, "x"], {"x": 1}),
    *(0, -1, 3, 10**400, -(10**30), 2**63, 0.5, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), -float("inf"), "../../etc/passwd", "/dev/zero"),
)


def small(shortcut):
    return cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), shortcut=shortcut)


QUICK = Recipe(steps=4, batch=64, schedule=Drops(), evaluate_every=2, log_every=1, checkpoint_every=2, validation=0.1)
STUDY = Study(
    name="small",
    title="A small study",
    source="A sec. 4.2",
    question="Does it run?",
    rows=(Row("plain-8", small(None), "plain"), Row("ResNet-8", small("A"), "residual")),
    claims=(Claim("Residual is better", "ResNet-8", "plain-8", "test_error", "A Fig. 6"),),
    scales={"demo": Scale({"cifar": Setting("digits", QUICK)}, 1, ("plain-8", "ResNet-8"), "Small.")},
)
"""A study of two runs."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A directory with the study's two runs: the first is finished, the second has stopped after half of its steps."""
    folder = tmp_path_factory.mktemp("home")
    plan = make_plan(STUDY, "demo", folder / "runs")
    for planned in plan.runs:
        assert not isinstance(train_run(planned), Failed)
    stopped = plan.runs[1].out
    result = json.loads((stopped / "result.json").read_text())
    kept = {key: result[key] for key in ("seconds", "images_per_second", "waiting_seconds", "compile_seconds")}
    (stopped / "result.json").write_text(json.dumps({"status": "stopped", "step": 2, **kept}))
    shutil.rmtree(stopped / "checkpoints" / "step-00000004")
    Image.new("L", (8, 8)).save(folder / "picture.png")
    return folder


def damage(draws, raw):
    """The bytes of a JSON file, or of JSON lines, with something else somewhere in them."""
    if draws.random() < 0.35:
        raw = bytearray(raw)
        for _ in range(draws.randint(1, 4)):
            at, length = draws.randrange(len(raw) + 1), draws.choice((1, 3, 20, 200))
            new = draws.choice((b"", b"\x00", b"\xff", b"[" * 3000, b"}", b'"', b"1e999", b"NaN", b"9" * 5000, b"\n"))
            raw[at : at + draws.choice((0, length))] = new
        return bytes(raw)
    lines = raw.splitlines() if raw.count(b"\n{") else [raw]
    at = draws.randrange(len(lines))
    tree = json.loads(lines[at])
    for _ in range(draws.choice((1, 1, 1, 3))):
        tree = changed(draws, tree)
    lines[at] = json.dumps(tree).encode()
    return b"\n".join([*lines, b""])


def changed(draws, tree):
    """A tree of plain types with one value or key replaced, removed or doubled."""
    if not isinstance(tree, dict | list) or not tree or draws.random() < 0.05:
        return draws.choice(STRANGE)
    tree = copy.copy(tree)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = draws.choice(keys)
    match draws.randrange(8):
        case 0:
            del tree[key]
        case 1 if isinstance(tree, dict):
            tree[draws.choice(("x", "", "step", "kind"))] = tree.pop(key)
        case 2 if isinstance(tree, list):
            tree *= 2
        case 3:
            tree[key] = draws.choice(STRANGE)
        case _:
            tree[key] = changed(draws, tree[key])
    return tree


def damage_run(draws, run):
    """Damage one of a run's files; the manifest goes with a damaged state, which is else passed over."""
    name = draws.choice(FILES)
    file = draws.choice(sorted(run.rglob(name)))
    file.write_bytes(damage(draws, file.read_bytes()))
    if name == "state.json":
        manifest = file.with_name("MANIFEST.json")
        tree = json.loads(manifest.read_text())
        content = file.read_bytes()
        tree["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest.write_text(json.dumps(tree))
    return file


def commands(run, pages=True):
    """The command lines that read a run, and those that read its study; pages: those that draw too."""
    yield ["evaluate", run, "--data", "digits"]
    yield ["predict", run, "picture.png"]
    yield ["export", run, "--format", "tensorboard", "--out", "events"]
    yield ["export", run, "--format", "huggingface", "--out", "folder"]
    yield ["study", "show", "small"]
    if pages:
        yield ["analyse", "responses", run, "--data", "digits", "--images", "20"]
        yield ["report", run]
        yield ["study", "report", "small"]


def damage_and_use(home, reslab, capsys, seeds, pages=True):
    """Damage a run's files by each seed; every command ends done, or with its own error that names the cause."""
    for seed in seeds:
        draws = random.Random(seed)
        place = Path(f"seed{seed}")
        shutil.copytree(home, place)
        run = draws.choice(sorted(place.glob("runs/*")))
        file = damage_run(draws, run)
        with contextlib.chdir(place):
            run = run.relative_to(place)
            for words in commands(run, pages):
                code, (_, err) = reslab(*words), capsys.readouterr()
                assert code in (0, 2, 3), (seed, file, words, err)
                assert code == 0 or len(err.splitlines()) <= 3, (seed, file, words, err)
            try:
                resume(run)
            except ReslabError as error:
                assert len(str(error).splitlines()) <= 2, (seed, file, error)
        shutil.rmtree(place)


def resume(run):
    """What `reslab train ... --resume` does."""
    planned = next(planned for planned in make_plan(STUDY, "demo", Path("runs")).runs if planned.out == run)
    api.train_network(planned.network, "digits", QUICK, run, execution=Execution(resume="any"))


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setitem(STUDIES, "small", STUDY)


def test_damage_of_a_run_ends_in_two_lines(home, reslab, study, capsys):
    damage_and_use(home, reslab, capsys, range(3), pages=False)


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
def test_damage_of_a_run_ends_in_two_lines_for_long(home, reslab, study, capsys):
    start = int(os.environ.get("RESLAB_FUZZ_SEED", "1000"))
    print(f"RESLAB_FUZZ_SEED={start}")
    damage_and_use(home, reslab, capsys, range(start, start + 300))
