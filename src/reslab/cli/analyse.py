"""Commands that look inside networks."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from reslab.analyse import IMAGES
from reslab.cli.options import REPORTS, AsJson, DataName, Device, OnBad, console, one_of, say, tell_skipped
from reslab.spec import digest

if TYPE_CHECKING:
    from reslab.analyse.analysis import Analysis
    from reslab.analyse.conditions import Conditions
    from reslab.analyse.subject import Subject

Look = Callable[["list[Subject]", "Conditions", Callable[[float], None]], "Analysis"]

Subjects = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK|RUN|FILE...",
        help="names, 'NAME key=value ...' with changed fields, run directories, weights that reslab wrote",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="the report's directory  [default: in reports/, by name]")]
Images = Annotated[int, typer.Option("--images", min=2, help="test images, evenly spread over the set")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="of fresh weights, and of what is drawn")]
Mode = Annotated[str, typer.Option("--mode", help="eval: BN's running statistics; train: those of each batch")]

app = typer.Typer(
    help="Look inside networks: what they do, with tables, figures and claims.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Asked(NamedTuple):
    """What every analysis is asked: of what, on what, and where its report goes."""

    words: list[str]
    data: str
    images: int
    seed: int
    device: str
    out: Path | None
    as_json: bool
    on_bad: str
    mode: str | None = None

    def command(self, kind: str) -> str:
        """The words that make it again."""
        on_bad = None if self.on_bad == "error" else self.on_bad
        said = {"data": self.data, "images": self.images, "seed": self.seed, "mode": self.mode, "on-bad": on_bad}
        said |= {"out": self.out}
        options = [word for key, value in said.items() if value is not None for word in (f"--{key}", str(value))]
        return shlex.join(["reslab", "analyse", kind, *self.words, *options])


@app.command("responses")
def analyse_responses(
    subjects: Subjects,
    data: DataName,
    images: Images = IMAGES["responses"],
    mode: Mode = "eval",
    seed: Seed = 0,
    device: Device = "auto",
    on_bad: OnBad = "error",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure how strongly the 3x3 layers respond, before and after training. Paper A, Fig. 7."""
    one_of("--mode", mode, ("eval", "train"))
    from reslab.analyse.responses_told import look

    _analyse("responses", look, Asked(subjects, data, images, seed, device, out, as_json, on_bad, mode))


@app.command("gradients")
def analyse_gradients(
    subjects: Subjects,
    data: DataName,
    images: Images = IMAGES["gradients"],
    mode: Mode = "train",
    seed: Seed = 0,
    device: Device = "auto",
    on_bad: OnBad = "error",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure signals and gradients behind every unit, beside what shortcuts alone carry back. C eqs. 5-8."""
    one_of("--mode", mode, ("eval", "train"))
    from reslab.analyse.gradients_told import look

    _analyse("gradients", look, Asked(subjects, data, images, seed, device, out, as_json, on_bad, mode))


@app.command("lesion")
def analyse_lesion(
    subjects: Subjects,
    data: DataName,
    images: Images = IMAGES["lesion"],
    seed: Seed = 0,
    device: Device = "auto",
    on_bad: OnBad = "error",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Remove and swap units of trained networks at test time. Veit et al. 2016."""
    from reslab.analyse.lesion_told import look

    _analyse("lesion", look, Asked(subjects, data, images, seed, device, out, as_json, on_bad))


def _analyse(kind: str, look: Look, asked: Asked) -> None:
    """Load what is asked for, look, write the report, and tell the table, the claims and the page."""
    from reslab.analyse.conditions import Conditions
    from reslab.analyse.subject import subjects
    from reslab.data.loader import load
    from reslab.machine import find_device

    on_bad: Any = one_of("--on-bad", asked.on_bad, ("error", "skip"))
    device, data = find_device(asked.device), load(asked.data)
    found = subjects(asked.words, data, asked.seed, device)
    mode: Any = asked.mode or "eval"
    conditions = Conditions(data, asked.images, mode, asked.seed, device, on_bad)
    with progress(kind) as told:
        analysis = look(found, conditions, told)
    tell_skipped(conditions.skipped)
    command = asked.command(kind)
    written(
        analysis,
        command,
        asked.out or REPORTS / place(kind, [subject.kind for subject in found], data.name),
        asked.as_json,
    )


def written(analysis: "Analysis", command: str, out: Path, as_json: bool) -> None:
    """Write an analysis's report, and tell its table, claims and page, or all of it as JSON."""
    from reslab.pages.analysis import render, results
    from reslab.pages.study import write_index

    page = render(analysis, command, out)
    index = write_index(REPORTS) if out.parent == REPORTS else None
    for warning in analysis.warnings:
        say(warning)
    if as_json:
        typer.echo(json.dumps(results(analysis, command) | {"page": str(page)}, indent=2))
        return
    _tell(analysis)
    typer.echo(f"report: {page}")
    if index:
        typer.echo(f"all reports: {index}")


def _tell(analysis: "Analysis") -> None:
    from reslab.nets.table import aligned

    cells = [tuple(column.title for column in analysis.table)]
    cells += zip(*(column.cells for column in analysis.table), strict=True)
    numbers = tuple(index for index, column in enumerate(analysis.table) if column.numbers)
    typer.echo(aligned(cells, right=numbers))
    for finding in analysis.findings:
        typer.echo(f"{finding.judgement:15} {finding.claim} ({finding.source})")
        typer.echo(f"{'':15} {finding.told}")


def place(kind: str, names: list[str], data: str = "") -> str:
    """A report's directory: the analysis, its networks and data, short enough for any file system."""
    called = [Path(name).name.removesuffix(".safetensors") for name in dict.fromkeys(names)]
    named = list(dict.fromkeys(re.sub(r"[^\w.+-]", "_", name.partition(" ")[0]) for name in called))
    told = "-".join(named[:4]) + (f"-and-{len(named) - 4}-more" if len(named) > 4 else "")
    told += f"-{digest(*called)}" * any(" " in name for name in called)  # whose fields would make it too long
    return f"{kind}-{told}" + (f"-{data.replace(':', '-').replace('/', '_')}" if data else "")


@contextmanager
def progress(kind: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, a line for each tenth elsewhere."""
    from rich.progress import Progress

    screen = console()
    if not screen.is_terminal:
        tenths = 0

        def told(share: float) -> None:
            nonlocal tenths
            if int(share * 10 + 1e-9) > tenths:
                tenths = int(share * 10 + 1e-9)
                screen.print(f"{kind}: {tenths * 10} %", highlight=False)

        yield told
        return
    with Progress(console=screen, transient=True) as bar:
        task = bar.add_task(kind, total=1.0)
        yield lambda share: bar.update(task, completed=share)
