"""Commands that run the papers' tables and figures."""

from contextlib import suppress
from typing import Annotated

import typer

from reslab import api
from reslab.api.choices import ScaleName
from reslab.cli.options import StopAfter, message
from reslab.errors import ReslabError

StudyName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab study list`")]
Scale = Annotated[ScaleName, typer.Option("--scale", help="of the runs")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="seeds of each row  [default: the scale's]")]
Pictures = Annotated[
    str | None, typer.Option("--data", metavar="D", help="for studies on ImageNet: imagenet:PATH, or folder:PATH")
]
Budget = Annotated[
    float | None, typer.Option("--budget", min=0.01, help="hours on this machine; fewer seeds and steps to fit them")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="runs at a time  [default: one for each GPU, or core]")
]

app = typer.Typer(
    help="The papers' tables and figures: plan, run, report.", no_args_is_help=True, rich_markup_mode=None
)


def demo(workers: Workers = None) -> None:
    """See the degradation problem, and its cure, on embedded digits; then read the report. Some minutes."""
    study_run("degradation", "demo", None, workers)


@app.command("list")
def study_list() -> None:
    """List the studies: names, titles, scales, sources."""
    cells = [("name", "title", "scales", "source")]
    cells += [(study.name, study.title, ", ".join(study.scales), study.source) for study in api.list_studies()]
    typer.echo(api.aligned(cells))


@app.command("show")
def study_show(
    name: StudyName, scale: Scale = "demo", seeds: Seeds = None, data: Pictures = None, budget: Budget = None
) -> None:
    """Show what a study would run at a scale, what it costs, what is done already, and what it claims."""
    plan = api.plan_study(name, scale, seeds=seeds, data=data, budget=budget)
    typer.echo(f"{plan.study.title}: {plan.study.source}\n{plan.study.question}\n")
    typer.echo(f"{scale} scale: {plan.scale.note}" + (f" {str(plan.cut).capitalize()}." if plan.cut else "") + "\n")
    cells = [("row", "network", "data", "steps", "done", "operations to train")]
    for row in api.plan_rows(plan):
        if row.absent:
            cells.append((row.name, row.network, row.absent, "", "", ""))
            continue
        done, operations = f"{row.done}/{row.runs}", f"{row.operations:.1e}"
        cells.append((row.name, row.network, row.data, f"{row.steps:,}", done, operations))
    typer.echo(api.aligned(cells, right=(3, 4, 5)))
    if plan.runs:
        cost = api.plan_cost(plan)
        typer.echo(f"\n{len(plan.runs)} runs, {cost.operations:.1e} operations; {len(plan.missing)} are missing")
        if plan.missing:
            typer.echo(f"they take about {cost.here} here, as busy as this machine is now;")
            typer.echo(f"on a GPU perhaps {cost.gpu}, one after the other (a guess: {cost.gpu_speed:.0e} operations/s)")
    typer.echo("\nclaims")
    for claim in plan.study.claims:
        scales = f", {' and '.join(claim.scales)} scale" if claim.scales else ""
        typer.echo(f"  {claim.text} ({claim.source}{scales})")
    typer.echo(f"\n{plan.command}")


@app.command("run")
def study_run(
    name: StudyName,
    scale: Scale = "demo",
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
        failed = api.run_study(plan, workers=workers, ray=ray, ranks=ranks, stop_after=stop_after, progress=True)
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
    name: StudyName, scale: Scale = "demo", seeds: Seeds = None, data: Pictures = None, budget: Budget = None
) -> None:
    """Render a study's report from the runs there are."""
    plan = api.plan_study(name, scale, seeds=seeds, data=data, budget=budget)
    _print(api.report_study(plan), bool(plan.runs))


@app.command("watch")
def study_watch(
    name: StudyName,
    scale: Scale = "demo",
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

    def side(row: str | float, sample: object, n: int) -> str:
        if not isinstance(row, str):
            return str(sample)
        return f"{row} {sample}" + (f" (n = {n})" if trained else "")

    for verdict in report.verdicts:
        claim, lower, higher = verdict.claim, verdict.lower, verdict.higher
        typer.echo(f"{verdict.judgement:15} {claim.text}")
        sides = f"{side(claim.lower, lower, lower.n)}, {side(claim.higher, higher, higher.n)}"
        typer.echo(f"{'':15} {sides}; {claim.metric}")
    together = [verdict for verdict in report.verdicts if verdict.measured]
    if decided := sum(verdict.judgement != "not decided" for verdict in together):
        stand = sum(verdict.jointly != "not decided" for verdict in together)
        typer.echo(
            f"each at 95 %; {stand} of the {decided} decided ones stand at 95 % for all {len(together)} together"
        )
    typer.echo(f"report: {report.page}")
    typer.echo(f"all reports: {report.index_page}")
