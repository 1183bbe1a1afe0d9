"""Commands that run the papers' tables and figures."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from reslab import api
from reslab.api.choices import ScaleName
from reslab.cli.options import StopAfter, message, print_table, print_text, print_verdict
from reslab.errors import ReslabError

StudyName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab study list`, or FILE.toml")]
Scale = Annotated[ScaleName | None, typer.Option("--scale", help="of the runs of a paper's study  [default: demo]")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="seeds of each row  [default: the scale's]")]
Pictures = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="D", help="for studies on ImageNet: imagenet:PATH, or folder:PATH; for your own: other data"
    ),
]
Budget = Annotated[
    float | None, typer.Option("--budget", min=0.01, help="hours on this machine; fewer seeds and steps to fit them")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="runs at a time  [default: as many as fill the cores, or GPUs]")
]
Rows = Annotated[
    list[str] | None, typer.Option("--row", metavar="ROW", help="train this row alone; repeat it for several")
]

OPEN = ("not decided", "not run")

app = typer.Typer(
    help="The papers' tables and figures: plan, run, report.", no_args_is_help=True, rich_markup_mode=None
)


def demo(workers: Workers = None) -> None:
    """See the degradation problem, and its cure, on embedded digits; then read the report. Some minutes."""
    study_run("degradation", "demo", workers=workers)


def review(data: Pictures = None) -> None:
    """The review sentence by sentence: what the papers say, what was measured here, the verdict."""
    result = api.report_review(data)
    for line in result.lines:
        scale = f" ({line.scale})" if line.scale else ""
        typer.echo(f"{line.number:3} {line.verdict + scale:35} {line.statement.text}")
        if line.statement.slip:
            typer.echo(f"{'':39} slip: {line.statement.slip}")
    typer.echo(f"page: {result.page}")


@app.command("list")
def study_list() -> None:
    """List the studies: names, titles, scales, sources."""
    cells = [("name", "title", "scales", "source")]
    cells += [(study.name, study.title, ", ".join(study.scales), study.source) for study in api.list_studies()]
    print_table(cells)


@app.command("new")
def study_new(file: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.toml, which is new")]) -> None:
    """Write a commented example of your own study, which runs; never over a file that exists."""
    path = api.new_study(file)
    typer.echo(f"{path}: an example to change; reslab study run {shlex.quote(str(path))}")


@app.command("show")
def study_show(
    name: StudyName, scale: Scale = None, seeds: Seeds = None, data: Pictures = None, budget: Budget = None
) -> None:
    """Show what a study would run at a scale, what it costs, what is done already, and what it claims."""
    plan = api.plan_study(name, scale, seeds=seeds, data=data, budget=budget)
    question = f"{plan.study.question}\n" if plan.study.question != plan.study.title else ""
    print_text(f"{plan.study.title}: {plan.study.source}\n{question}")
    cut = f" {str(plan.cut).capitalize()}." if plan.cut else ""
    print_text(f"{plan.scale_name} scale: {plan.scale.note}{cut}\n")
    cells = [("row", "network", "data", "steps", "done", "operations to train")]
    for row in api.plan_rows(plan):
        if row.absent:
            cells.append((row.name, row.network, row.absent, "", "", ""))
            continue
        done, operations = f"{row.done}/{row.runs}", f"{row.operations:.1e}"
        cells.append((row.name, row.network, row.data, f"{row.steps:,}", done, operations))
    print_table(cells, right=(3, 4, 5))
    if plan.runs:
        cost = api.plan_cost(plan)
        print_text(f"\n{len(plan.runs)} runs, {cost.operations:.1e} operations; {len(plan.missing)} are missing")
        if plan.missing:
            print_text(f"they take about {cost.here} here, as busy as this machine is now;")
            print_text(f"on a GPU perhaps {cost.gpu}, one after the other (a guess: {cost.gpu_speed:.0e} operations/s)")
    if plan.study.claims:
        typer.echo("\nclaims")
    for claim in plan.study.claims:
        scales = f", {' and '.join(claim.scales)} scale" if claim.scales else ""
        print_text(f"  {claim.text} ({claim.source}{scales})", indent="    ")
        if prospect := api.claim_prospect(plan, claim):
            needs = "more than any study has" if prospect.seeds is None else f"{prospect.seeds} seeds a row"
            published = f"published difference {prospect.difference:.2f}, run to run ± {prospect.spread:g}"
            chance = f"{plan.seeds} have {100 * prospect.chance:.0f} %"
            print_text(f"    80 % chance needs {needs} ({published}); {chance}", indent="      ")
    if plan.study.claims and plan.study.spread is None:
        _print_resolution(plan.seeds, *api.plan_resolution(plan))
    typer.echo(f"\n{plan.command}")


def _print_resolution(seeds: int, effect: float | None, spread: float | None) -> None:
    """Print what a number of seeds can show."""
    if effect is None:
        print_text("  one seed a row decides no claim; --seeds 3 trains more", indent="    ")
        return
    points = f": {effect * spread:.2g} points by the runs so far" if spread else ""
    least = f"a test error lower by {effect:g} standard deviations between seeds{points}"
    print_text(f"  {seeds} seeds a row have an 80 % chance to show {least}", indent="    ")


@app.command("run")
def study_run(
    name: StudyName,
    scale: Scale = None,
    rows: Rows = None,
    seeds: Seeds = None,
    workers: Workers = None,
    data: Pictures = None,
    budget: Budget = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="train on this Ray cluster, or auto: the one here")
    ] = None,
    ranks: Annotated[
        int, typer.Option("--ranks", min=1, help="processes that share each run's batches (DDP), started by torchrun")
    ] = 1,
    stop_after: StopAfter = None,
) -> None:
    """Train what a study is missing and render its report. Stopped at any moment, the same command goes on."""
    plan = api.plan_study(name, scale, seeds=seeds, data=data, budget=budget)
    try:
        where: dict[str, Any] = {"workers": workers, "ray": ray, "ranks": ranks, "stop_after": stop_after}
        failed = api.run_study(plan, rows=rows or (), **where, progress=True)
    except KeyboardInterrupt:
        runs = len(plan.runs)
        message(f"stopped: {runs - len(plan.missing)} of {runs} runs are done; the same command goes on from there")
        raise typer.Exit(api.STOPPED) from None
    _print(api.report_study(plan), bool(plan.runs))
    for run, reason in failed.items():
        message(f"failed: {run.row}, seed {run.seed}: {reason}")
    if failed:
        raise ReslabError(f"{len(failed)} runs have no result; the same command tries them again")


@app.command("report")
def study_report(
    name: StudyName, scale: Scale = None, seeds: Seeds = None, data: Pictures = None, budget: Budget = None
) -> None:
    """Render a study's report from the runs there are."""
    plan = api.plan_study(name, scale, seeds=seeds, data=data, budget=budget)
    _print(api.report_study(plan), bool(plan.runs))


@app.command("watch")
def study_watch(
    name: StudyName,
    scale: Scale = None,
    seeds: Seeds = None,
    data: Pictures = None,
    budget: Budget = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="of the page; 0 takes a free one")] = 8137,
) -> None:
    """Serve a study's page on this machine alone while its runs go on; it updates itself. Ctrl-C ends it."""
    with api.serve_study(name, scale, seeds=seeds, data=data, budget=budget, port=port) as server:
        message("http://{}:{}/".format(*server.server_address))
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _print(report: api.StudyReport, trained: bool) -> None:
    """Print the verdicts, with the number of seeds where runs were trained, and the page."""

    def side(row: str | float, name: str, sample: object, n: int) -> str:
        if not isinstance(row, str):
            return str(sample)
        return f"{name} {sample}" + (f" (n = {n})" if trained else "")

    for verdict in report.verdicts:
        claim, lower, higher, names = verdict.claim, verdict.lower, verdict.higher, verdict.names
        sides = f"{side(claim.lower, names[0], lower, lower.n)}, {side(claim.higher, names[1], higher, higher.n)}"
        print_verdict(verdict.judgement, [verdict.text, f"{sides}; {claim.metric}"])
    together = [verdict for verdict in report.verdicts if verdict.measured]
    if decided := sum(verdict.judgement not in OPEN for verdict in together):
        stand = sum(verdict.jointly not in OPEN for verdict in together)
        typer.echo(
            f"each at 95 %; {stand} of the {decided} decided ones stand at 95 % for all {len(together)} together"
        )
    for run, reason in report.left_out.items():
        message(f"left out: {reason.splitlines()[0]}; remove {run} to train it again")
    typer.echo(f"report: {report.page}")
    typer.echo(f"all reports: {report.index_page}")
