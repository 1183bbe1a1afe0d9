"""The evidence: reports, and results/RESULTS.md, made from the records in results/ alone.

python benchmarks/results.py [OUT]

results/runs has what `reslab study run NAME --scale SCALE`, called in results/, keeps of each training; float32/ and
beside/ the runs that ResNet-20's are compared with; analyses/ what `reslab analyse` found in the trained networks.
Everything goes into OUT, by default results/.
"""

import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import jinja2

from reslab.disk import write_whole
from reslab.nets import name_of, network
from reslab.pages import study_tables as tables
from reslab.pages.study import render, results, write_index
from reslab.papers import STUDIES
from reslab.papers.claims import Claim
from reslab.papers.he2016a import SHORT_CIFAR
from reslab.papers.review import REVIEW
from reslab.recipes.named import recipe
from reslab.runs.record import is_done, read_json
from reslab.stats import Sample, compare
from reslab.study.plan import Plan, PlannedRun, make_plan
from reslab.study.verdict import Verdict, sample, verdicts
from reslab.table import FORMATS, Column
from reslab.train.loop import duration

ROOT = Path(__file__).parents[1] / "results"
SCALES = {"short": "short scale", "demo": "demo scale"}
ASKED = ("resnet20-cifar", "resnet56-cifar", "plain56-cifar", "resnet110-cifar", "preact164-cifar", "resnet1202-cifar")
MEASURED = "resnet56-cifar"  # whose speed tells that of the networks that were not trained
PAPER = recipe("paper-a-cifar")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    plans = {(name, scale): _plan(name, scale) for scale in SCALES for name in STUDIES}
    begun = [plan for plan in plans.values() if any(run.done for run in plan.runs)]
    for plan in begun:
        render(plan, out / "reports" / _folder(plan))
    write_index(out / "reports")
    text = _template().render(
        short=SHORT_CIFAR,
        paper=PAPER,
        made={scale: _made([plan for plan in begun if plan.scale_name == scale]) for scale in SCALES},
        review=FORMATS["md"](_review(plans)),
        studies=[(plan, _folder(plan), FORMATS["md"](tables.columns(plan, results(plan)["rows"]))) for plan in begun],
        beside=FORMATS["md"](_beside(plans["degradation", "short"])),
        analyses=[(read_json(file), _page(file)) for file in sorted((ROOT / "analyses").glob("*/results.json"))],
        cost=FORMATS["md"](_cost(_done([plan for plan in begun if plan.scale_name == "short"]))),
    )
    write_whole(out / "RESULTS.md", text.encode())
    print(out / "RESULTS.md")


def _plan(name: str, scale: str) -> Plan:
    return make_plan(STUDIES[name], scale, ROOT / "runs")


def _folder(plan: Plan) -> str:
    return f"{plan.study.name}-{plan.scale_name}"


def _done(plans: list[Plan]) -> list[PlannedRun]:
    """Every run that has its result, once, though two studies may share it."""
    return list({run.out: run for plan in plans for run in plan.runs if run.done}.values())


def _made(plans: list[Plan]) -> str:
    """How many trainings, how long, on what."""
    done = _done(plans)
    facts = [read_json(run.out / "run.json") for run in done]
    seconds = sum(read_json(run.out / "result.json")["seconds"] for run in done)
    versions = sorted({fact["versions"]["torch"] for fact in facts})
    return (
        f"{len(done)} trainings, {duration(seconds)} in all, on {'; '.join(sorted(set(map(_machine, facts))))}, "
        f"torch {', '.join(versions)}"
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("RESULTS.md.jinja")


def _machine(fact: dict[str, Any]) -> str:
    machine = fact["machine"]
    return f"{machine['processor']}, {machine['threads']} thread a run, {fact['chosen']['precision']}"


def _page(file: Path) -> str:
    return str(file.with_name("analysis.html").relative_to(ROOT))


def _review(plans: dict[tuple[str, str], Plan]) -> list[Column]:
    """Every statement of the review with the verdicts on it, and what they rest on."""
    columns = [
        Column("claim", [item.text for item in REVIEW], numbers=False),
        Column("review", [item.source for item in REVIEW], numbers=False),
    ]
    for scale, title in SCALES.items():
        judged = {name: verdicts(plan) for (name, at), plan in plans.items() if at == scale}
        found = [_on(judged[item.study.name], item.claims) for item in REVIEW]
        columns.append(Column(title, [_words(told) for told in found], numbers=False))
        if scale == "short":
            sides = ["; ".join(map(_sides, filter(_run, told))) for told in found]
            columns.append(Column("measured at the short scale, error in %", sides, numbers=False))
    return columns


def _on(judged: list[Verdict], claims: tuple[Claim, ...]) -> list[Verdict]:
    """Those of a study's verdicts that are on some of its claims, whether their rows have been run or not."""
    return [verdict for verdict in judged if verdict.claim in claims]


def _run(verdict: Verdict) -> bool:
    return bool(verdict.lower.n and verdict.higher.n)


def _words(told: list[Verdict]) -> str:
    words = [_judged(verdict) if _run(verdict) else "not run" for verdict in told]
    if len(set(words)) < 2:
        return words[0] if words else "not run"
    return ", ".join(f"{word} {count}×" for word, count in Counter(words).items())


def _judged(verdict: Verdict) -> str:
    return verdict.judgement if verdict.jointly == verdict.judgement else f"{verdict.judgement} alone"


def _sides(verdict: Verdict) -> str:
    sides = ((verdict.claim.lower, verdict.lower), (verdict.claim.higher, verdict.higher))
    return " against ".join(f"{row} {found} (n = {found.n})" for row, found in sides)


def _beside(plan: Plan) -> list[Column]:
    """ResNet-20 by reslab in two precisions, and by the loop that everyone writes."""
    float32 = [folder for folder in sorted((ROOT / "float32").glob("resnet20-*")) if is_done(folder)]
    plain = sorted((ROOT / "beside").glob("*.json"))
    found = {
        "reslab, bfloat16": sample(plan, "ResNet-20", "test_error"),
        "reslab, float32": Sample(tuple(read_json(run / "result.json")["test"]["top1_error"] for run in float32)),
        "the plain loop, float32": Sample(tuple(read_json(file)["test_error"] for file in plain)),
    }
    first = found["reslab, bfloat16"]
    intervals = [compare(first, other)[1] for other in list(found.values())[1:]]
    return [
        Column("training", list(found), numbers=False),
        Column("n", [str(each.n) for each in found.values()]),
        Column("final test error, %", [str(each) for each in found.values()]),
        Column("95 % interval of the first's mean less this one's", ["", *map(_interval, intervals)]),
    ]


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else "{:.2f} to {:.2f}".format(*interval).replace("-", "−")


def _cost(done: list[PlannedRun]) -> list[Column]:
    """What one run of the paper's recipe would take on the machine of the records, for each network."""
    rates: dict[str, list[float]] = {}
    for run in done:
        rates.setdefault(name_of(run.network), []).append(read_json(run.out / "result.json")["images_per_second"])
    lines = []
    for name in ASKED:
        if name in rates:
            speed, how = median(rates[name]), f"median of {len(rates[name])} runs"
        else:
            share = network(MEASURED).cost().multiply_adds / network(name).cost().multiply_adds
            speed, how = median(rates[MEASURED]) * share, f"from {MEASURED} by multiply-adds"
        lines.append((name, f"{speed:,.0f}", how, f"{PAPER.steps * PAPER.batch / speed / 3600:,.1f}"))
    names, speeds, hows, hours = (list(cells) for cells in zip(*lines, strict=True))
    return [
        Column("network", names, numbers=False),
        Column("images a second", speeds),
        Column("how known", hows, numbers=False),
        Column("hours of one run", hours),
    ]


if __name__ == "__main__":
    main()
