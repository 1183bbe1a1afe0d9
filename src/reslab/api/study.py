"""Studies by names: plans, runs, reports."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from reslab.api.choices import REPORTS, RUNS, ScaleName
from reslab.api.console import progress_console
from reslab.errors import SpecError

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer
    from pathlib import Path

    from reslab.papers.claims import Claim, Study
    from reslab.study.plan import Plan, PlannedRun
    from reslab.study.verdict import Prospect, Resolution, Verdict
    from reslab.table import Column


def list_studies() -> "list[Study]":
    """The papers' tables and figures: name, title, source, scales, rows and claims of each."""
    from reslab.papers import STUDIES

    return list(STUDIES.values())


def own_study(name: str, **fields: Any) -> "Study":
    """A study of one's own: rows, data, recipe, seeds and claims, by the fields of a study's file.

        own_study("shortcuts", data="digits", recipe="demo", claims=["with < without"],
                  rows={"with": "resnet8-cifar", "without": cifar_resnet(8, shortcut=None)})

    Networks and recipes may be values or names. Raises SpecError naming the wrong field.
    """
    from reslab.study.own import own_study

    return own_study(name, **fields)


def new_study(path: "Path | str") -> "Path":
    """Write a commented example of a study's file, which runs. Raises SpecError for a file that exists."""
    from pathlib import Path

    from reslab.study.own import write_example

    write_example(Path(path))
    return Path(path)


def plan_study(
    study: "str | Path | Study",
    scale: ScaleName | None = None,
    *,
    seeds: int | None = None,
    data: str | None = None,
    budget: float | None = None,
) -> "Plan":
    """The runs under runs/ that a study needs at a scale, done or missing.

    study: a name from `list_studies`, a TOML file of one's own, or a value
    scale: None is "demo", or the one scale of one's own study
    seeds: of each row; None is the scale's number
    data: for studies on ImageNet: imagenet:PATH, or folder:PATH; for one's own study: where its data are
    budget: hours on this machine; fewer seeds and steps to fit them
    Raises SpecError naming the nearest study, or what is wrong in a file, and for data that the scale does not read.
    """
    from reslab.papers.claims import OWN
    from reslab.study.plan import make_plan

    value = _find_study(study)
    chosen = scale or (OWN if OWN in value.scales else "demo")
    if chosen == OWN and data:
        value = _with_data(value, data)
    elif data and not value.scale(chosen).reads_pictures:
        raise SpecError(f"--data {data}: {value.name} reads no pictures of yours at {chosen} scale")
    return make_plan(value, chosen, RUNS, seeds, data, budget)


def _find_study(word: "str | Path | Study") -> "Study":
    from pathlib import Path

    from reslab import papers
    from reslab.papers.claims import Study

    if isinstance(word, Study):
        return word
    if isinstance(word, Path) or word.endswith(".toml"):
        from reslab.study.own import read_study

        return read_study(Path(word))
    if word not in papers.STUDIES and (file := Path(f"{word}.toml")).is_file():
        raise SpecError(f"no study {word!r}: did you mean {file}?")
    return papers.study(word)


def _with_data(study: "Study", data: str) -> "Study":
    """A user's own study on other data."""
    from reslab.papers.claims import OWN

    scale = study.scales[OWN]
    settings = {name: replace(setting, data=data) for name, setting in scale.settings.items()}
    return replace(study, scales={OWN: replace(scale, settings=settings)})


class StudyRow(NamedTuple):
    """A row of a plan. `absent` says why it is not trained; else `done` of `runs` have their result.

    operations: of all its runs, two for each multiply-add of the forward and backward passes
    """

    name: str
    network: str
    data: str
    absent: str
    steps: int
    done: int
    runs: int
    operations: float


class StudyCost(NamedTuple):
    """The operations of all runs, and the time of the missing ones, in seconds and in words.

    here: as busy as this machine is now; gpu: one run after the other at a guess of `gpu_speed` operations a second
    """

    operations: float
    here: str
    gpu: str
    gpu_speed: float


def plan_rows(plan: "Plan") -> list[StudyRow]:
    """The rows of a plan, with their networks, runs and operations."""
    from reslab.nets import to_string

    rows = []
    for row in plan.rows:
        runs = [run for run in plan.runs if run.row == row.name]
        absent = "" if runs else plan.absent.get(row.name, "counted, not trained")
        data, steps = (runs[0].data, runs[0].recipe.steps) if runs else ("", 0)
        operations = sum(run.operations for run in runs)
        network = to_string(plan.network(row))
        rows.append(
            StudyRow(row.name, network, data, absent, steps, len(plan.runs_of(row.name)), len(runs), operations)
        )
    return rows


def plan_cost(plan: "Plan") -> StudyCost:
    """What a plan's runs cost."""
    from reslab.study.budget import GPU, on_cores, on_gpu
    from reslab.study.plan import hours

    here, gpu = (sum(each(run.network, run.recipe) for run in plan.missing) for each in (on_cores, on_gpu))
    return StudyCost(sum(run.operations for run in plan.runs), hours(here), hours(gpu), GPU)


def claim_prospect(plan: "Plan", claim: "Claim") -> "Prospect | None":
    """The seeds that a claim of a plan's study needs, and its chance with the plan's; None without published values."""
    from reslab.study.verdict import prospect

    return prospect(plan, claim)


def plan_resolution(plan: "Plan") -> "Resolution":
    """The least difference in test error that a plan can show by its number of seeds."""
    from reslab.study.verdict import resolution

    return resolution(plan)


class StudyReport(NamedTuple):
    """A study's page, the index of all pages, and its claims with their verdicts.

    left_out: the runs whose files cannot be read, with the reason
    """

    page: "Path"
    index_page: "Path"
    verdicts: "list[Verdict]"
    left_out: "dict[Path, str]"

    def columns(self) -> dict[str, list[str | int | float | None]]:
        """The verdicts as pandas.DataFrame takes them: of each side its mean."""
        from reslab.table import to_dict

        return to_dict(self._table())

    def _repr_html_(self) -> str:
        """The verdicts and the place of the page, for notebooks."""
        from html import escape

        from reslab.table import to_html

        return f"{to_html(self._table())}<p>{escape(str(self.page))}</p>"

    def _table(self) -> "list[Column]":
        from reslab.table import columns

        lines = [(each.judgement, each.claim.text, each.lower, each.higher) for each in self.verdicts]
        return columns(("judgement", "claim", "lower", "higher"), lines, text=2)


def report_study(plan: "Plan") -> StudyReport:
    """Render a study's report under reports/ from the runs that are done."""
    from reslab.pages.study import render, write_index
    from reslab.study.verdict import verdicts

    page = render(plan, REPORTS / f"{plan.study.name}-{plan.scale_name}")
    left_out = {planned.out: reason for planned, reason in plan.damaged.items()}
    return StudyReport(page, write_index(REPORTS), verdicts(plan), left_out)


def run_study(
    plan: "Plan",
    *,
    rows: Collection[str] = (),
    workers: int | None = None,
    ray: str | None = None,
    ranks: int = 1,
    stop_after: float | None = None,
    progress: bool = False,
) -> "dict[PlannedRun, str]":
    """Train the missing runs of a plan; -> those that failed, with the reason.

    rows: train these alone; none are all
    workers: runs at a time; None is one for each core, or GPU, where several on small images share one
    ray: the address of a Ray cluster to train on, or "auto": the one here
    ranks: processes that share each run's batches (DDP), started by torchrun
    stop_after: seconds after which the running runs stop after their step, saved, and KeyboardInterrupt is raised
    Stopped at any moment (KeyboardInterrupt, or a signal that raises it), the runs are saved and resumed next time.
    Raises SpecError or DataError, before anything is trained, where data is missing, damaged or has changed.
    """
    from reslab.data.loader import load
    from reslab.machine import cores
    from reslab.stop import Deadline

    deadline = Deadline(stop_after)
    plan = plan.only(rows) if rows else plan
    for needed in sorted({run.data for run in plan.missing}):
        plan.must_have_seen(load(needed))
    plan.keep_cut()
    console = progress_console(progress)
    runs, missing = len(plan.runs), len(plan.missing)
    console.print(f"{plan.study.name}, {plan.scale_name} scale: {runs} runs, {runs - missing} of them done")
    if plan.study.file:
        console.print(plan.scale.note, soft_wrap=True)
    for row, reason in plan.absent.items() if not rows else ():
        console.print(f"not run: {row}: {reason}", soft_wrap=True)
    if ray:
        from reslab.study.cluster import run_on_ray

        return run_on_ray(plan, ray, console, max(ranks, cores() // (workers or cores())), ranks, deadline)
    from reslab.study.runner import default_workers, run_plan

    return run_plan(plan, workers or default_workers(plan.runs, ranks), console, ranks, deadline)


def serve_study(
    name: "str | Path | Study",
    scale: ScaleName | None = None,
    *,
    seeds: int | None = None,
    data: str | None = None,
    budget: float | None = None,
    port: int = 0,
) -> "ThreadingHTTPServer":
    """A server of a study's page on this machine's own address, rendered anew for each request; 0 takes a free port."""
    from reslab.pages.watch import server

    plan_study(name, scale, seeds=seeds, data=data, budget=budget)
    return server(lambda: plan_study(name, scale, seeds=seeds, data=data, budget=budget), port)
