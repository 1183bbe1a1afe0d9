"""The evidence: reports, and results/RESULTS.md, made from the records in results/ alone.

python benchmarks/results.py [OUT]

results/runs has what `reslab study run NAME --scale SCALE`, called in results/, keeps of each training; float32/ and
beside/ the runs that ResNet-20's are compared with; analyses/ the results of `reslab analyse` on networks. A study has
a report where most of its runs are done.
Everything is written into OUT, by default results/.
"""

import sys
from pathlib import Path
from statistics import median
from typing import Any

import jinja2

from reslab.disk import write_whole
from reslab.nets import name_of, network
from reslab.pages import review
from reslab.pages import study_tables as tables
from reslab.pages.answer import answer
from reslab.pages.study import analyses, render, write_index
from reslab.papers import STUDIES
from reslab.papers.claims import SCALES
from reslab.papers.he2016a import BRIEF_CIFAR, SHORT_CIFAR, SMALL_PICTURES
from reslab.recipes.named import recipe
from reslab.runs.contents import RunRecord, read_json
from reslab.runs.run import Run
from reslab.stats import Sample, compare
from reslab.study.plan import Plan, PlannedRun
from reslab.study.verdict import sample, verdicts
from reslab.table import FORMATS, Column
from reslab.train.loop import duration

ROOT = Path(__file__).parents[1] / "results"
ASKED = ("resnet20-cifar", "resnet56-cifar", "plain56-cifar", "resnet110-cifar", "preact164-cifar", "resnet1202-cifar")
MEASURED = "resnet56-cifar"  # its speed estimates that of networks that were not trained
PAPER = recipe("paper-a-cifar")
TRAINED = {  # whether an analysis is of networks of the paper's scale
    f"Networks trained by the whole recipe of {PAPER.steps:,} steps": True,
    f"Initial weights, and networks trained for {BRIEF_CIFAR.steps:,} steps": False,
}
PICTURES = "folder:tiny-imagenet"  # of the small scale; its records are enough


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    plans = review.plans(ROOT / "runs", PICTURES)
    shown = [plans[name, scale] for scale in SCALES for name, study in STUDIES.items() if scale in study.scales]
    begun = [plan for plan in shown if _is_begun(plan)]
    answers = {plan.scale_name: answer(plan, verdicts(plan)) for plan in begun if plan.study.name == "degradation"}
    for plan in begun:
        render(plan, out / "reports" / _folder(plan))
    write_index(out / "reports")
    inside = analyses(ROOT / "analyses", address="../analyses/")
    review.render(plans, out / "reports", out / "review", inside)
    text = _template().render(
        brief=BRIEF_CIFAR,
        short=SHORT_CIFAR,
        small=SMALL_PICTURES,
        question=STUDIES["degradation"].question,
        answers=answers,
        paper=PAPER,
        made={scale: _made(some) for scale in SCALES if (some := [plan for plan in begun if plan.scale_name == scale])},
        review=FORMATS["md"](_review(review.lines(plans, out / "reports", out, inside))),
        studies=[
            (plan, _folder(plan), FORMATS["md"](tables.of_begun(plan, tables.rows(plan))), tables.not_run(plan))
            for plan in begun
        ],
        beside=FORMATS["md"](_beside(plans["degradation", "brief"])),
        inside={title: _analyses(paper) for title, paper in TRAINED.items()},
        cost=FORMATS["md"](_cost(_done([plan for plan in begun if plan.scale_name == "brief"]))),
    )
    write_whole(out / "RESULTS.md", text.encode())
    print(out / "RESULTS.md")


def _is_begun(plan: Plan) -> bool:
    """Whether a plan has runs of the papers' scale, or that test one of its claims, for which at the small scale, where
    there is one seed, both sides are enough; what is counted is shown once."""
    if not plan.scale.settings:
        return plan.scale_name == "demo"
    if plan.scale_name == "paper":
        return any(run.done for run in plan.runs)
    measured = [verdict for verdict in verdicts(plan) if verdict.measured]
    if plan.scale_name == "small":
        return any(verdict.judgement != "not run" for verdict in measured)
    return any(verdict.comparison.method for verdict in measured)


def _folder(plan: Plan) -> str:
    return f"{plan.study.name}-{plan.scale_name}"


def _done(plans: list[Plan]) -> list[PlannedRun]:
    """Every run that is done, once, though two studies may share it."""
    return list({run.out: run for plan in plans for run in plan.runs if run.done}.values())


def _made(plans: list[Plan]) -> str:
    """The number of trainings, their time, and their machines."""
    runs = [run.run for run in _done(plans)]
    seconds = sum(run.result.seconds for run in runs if run.result)
    machines = "; ".join(sorted({_machine(run.record) for run in runs}))
    versions = ", ".join(sorted({f"{run.record.versions['torch']}" for run in runs}))
    return f"{len(runs)} trainings, {duration(seconds)} in all, on {machines}, torch {versions}"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("RESULTS.md.jinja")


def _machine(record: RunRecord) -> str:
    return f"{record.hardware}, {record.machine.threads} thread a run, {record.chosen.precision}"


def _analyses(paper: bool) -> list[tuple[Any, str]]:
    """The results of the analyses of networks of the paper's scale, or of the others; each with its page's address."""
    files = sorted((ROOT / "analyses").glob("*/results.json"))
    return [
        (read_json(file), str(file.with_name("analysis.html").relative_to(ROOT)))
        for file in files
        if file.parent.name.endswith("-paper") == paper
    ]


def _review(lines: list[review.Line]) -> list[Column]:
    """Every statement of the review with its verdict at the largest scale, and the slips."""
    return [
        Column("n", [line.number for line in lines]),
        Column("the review says", [line.statement.text for line in lines], numbers=False),
        Column("section", [line.statement.source for line in lines], numbers=False),
        Column("verdict", [line.verdict for line in lines], numbers=False),
        Column("scale", [line.scale for line in lines], numbers=False),
        Column("slip", ["yes" if line.statement.slip else "" for line in lines], numbers=False),
    ]


def _beside(plan: Plan) -> list[Column]:
    """ResNet-20 by reslab in two precisions and by a plain loop; ResNet-56 by reslab and by what shares no code."""
    float32 = [Run(folder).result for folder in sorted((ROOT / "float32").glob("resnet20-*"))]
    ours = {name: sample(plan, name, "test_error") for name in ("ResNet-20", "ResNet-56")}
    in_float32 = Sample(tuple(result.test.top1_error for result in float32 if result and result.test))
    lines = [
        ("ResNet-20", "reslab, bfloat16", ours["ResNet-20"]),
        ("ResNet-20", "reslab, float32", in_float32),
        ("ResNet-20", "the plain loop, float32", _other_loop("resnet20-cifar-s*")),
        ("ResNet-56", "reslab, bfloat16", ours["ResNet-56"]),
        ("ResNet-56", "the independent network, float32", _other_loop(f"resnet56-independent-{BRIEF_CIFAR.steps}-s*")),
    ]
    names, trainings, errors = zip(*lines, strict=True)
    intervals = [None if each is ours[name] else compare(ours[name], each)[1] for name, _, each in lines]
    return [
        Column("network", names, numbers=False),
        Column("training", trainings, numbers=False),
        Column("n", [each.n for each in errors]),
        Column("final test error, %", errors),
        Column("95 % interval of reslab's bfloat16 mean less this one's", list(map(_interval, intervals))),
    ]


def _other_loop(names: str) -> Sample:
    files = sorted((ROOT / "beside").glob(f"{names}.json"))
    return Sample(tuple(read_json(file)["test_error"] for file in files))


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else "{:.2f} to {:.2f}".format(*interval).replace("-", "−")


def _cost(done: list[PlannedRun]) -> list[Column]:
    """The time of one run of the paper's recipe on the machine of the records, for each network."""
    speeds: dict[str, list[float]] = {}
    for planned in done:
        if result := planned.run.result:
            speeds.setdefault(name_of(planned.network), []).append(result.images_per_second)
    lines = []
    for name in ASKED:
        if name in speeds:
            speed, how = median(speeds[name]), f"median of {len(speeds[name])} runs"
        else:
            share = network(MEASURED).cost().multiply_adds / network(name).cost().multiply_adds
            speed, how = median(speeds[MEASURED]) * share, f"from {MEASURED} by multiply-adds"
        lines.append((name, speed, how, PAPER.steps * PAPER.batch / speed / 3600))
    names, images, sources, hours = zip(*lines, strict=True)
    return [
        Column("network", names, numbers=False),
        Column("images a second", images, form=",.0f"),
        Column("how known", sources, numbers=False),
        Column("hours of one run", hours, form=",.1f"),
    ]


if __name__ == "__main__":
    main()
