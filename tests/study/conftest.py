"""A study small enough for a test, and its runs, trained once."""

from pathlib import Path

import pytest
from rich.console import Console

from reslab.nets import Conv, cifar_resnet
from reslab.papers.claims import Claim, Published, Row, Scale, Setting, Study
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.study.plan import make_plan
from reslab.study.runner import run_plan


def small(shortcut):
    return cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), shortcut=shortcut)


QUICK = Recipe(steps=20, batch=64, schedule=Drops(), evaluate_every=10, log_every=5)

STUDY = Study(
    name="small",
    title="A small study of <b>&shortcuts</b>",
    source="A sec. 4.2",
    question="Does it run?",
    rows=(
        Row("plain-8", small(None), "plain"),
        Row("ResNet-8", small("A"), "residual", published=Published("A Table 6", {"test_error": 8.75})),
    ),
    claims=(
        Claim("Residual is better", "ResNet-8", "plain-8", "test_error", "A Fig. 6"),
        Claim("Residual is not worse", "ResNet-8", "plain-8", "train_error", "A Fig. 6", margin=1.0),
    ),
    scales={
        "demo": Scale({"cifar": Setting("digits", QUICK)}, 2, ("plain-8", "ResNet-8"), "Small."),
        "paper": Scale({"cifar": Setting("digits", QUICK)}, 2, ("plain-8", "ResNet-8"), "As printed."),
    },
    deviations=("It is <small>.",),
    second="depth",
)


def lock_holder(run):
    """The process that trains in a run directory; None if none does."""
    lock = run / ".lock"
    inode = str(lock.stat().st_ino) if lock.exists() else ""
    for line in Path("/proc/locks").read_text().splitlines():
        _, kind, _, access, pid, file, *_ = line.split()
        if (kind, access, file.rpartition(":")[2]) == ("FLOCK", "WRITE", inode):
            return int(pid)
    return None


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The small study's demo scale with all of its runs."""
    plan = make_plan(STUDY, "demo", tmp_path_factory.mktemp("runs"))
    failed = run_plan(plan, 2, Console(quiet=True))
    assert failed == {}
    return plan
