"""The generated pages of the site: cards of shortcuts, arrangements, merges, recipes and analyses, from their values.

`write(folder)` writes every page and picture; conf.py calls it before Sphinx reads the sources. No number is
typed here.
"""

import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import command_pages
import evidence
import network_pages
import study_pages
from evidence import RESULTS, ROOT
from pictures import image, of_shortcut, pictures

from reslab import __all__ as PUBLIC
from reslab import api, network, replace
from reslab.analyse import ANALYSES, AnalysisRow
from reslab.drawing import Drawing
from reslab.nets import AnyNetwork, ResNet, find_name, to_string
from reslab.nets.arrangements import ARRANGEMENTS, Arrangement
from reslab.nets.merges import Merge, MergeSpec
from reslab.papers import STUDIES
from reslab.recipes.named import RECIPES
from reslab.recipes.recipe import Recipe
from reslab.spec import tree

MERGES: tuple[type[MergeSpec], ...] = get_args(get_args(Merge)[0])
LONGEST_CODE = 50  # lines that are shown
PAPERS = {"A": "He et al. 2016a", "B": "Szegedy et al. 2017", "C": "He et al. 2016b"}
_PAPER = r"\b[Pp]aper ([ABC])\b|\b([ABC])(?= (?:sec\.|Figs?\.|Tables?\b|eqs?\.|appendix|footnote))"
SHORTCUTS = {
    "A": (
        "Zero padding: channels that are missing are zeros, and a stride takes every second pixel. No parameters.",
        "h(x) = x, or (x, 0) where the shape changes",
    ),
    "B": (
        "A projection, 1×1 convolution and BN, where the shape changes; the identity elsewhere.",
        "h(x) = x, or BN(W x) where the shape changes",
    ),
    "C": ("A projection, 1×1 convolution and BN, in every unit.", "h(x) = BN(W x)"),
    "none": ("No shortcut: a plain network.", "y = F(x)"),
}


def write(folder: Path) -> None:
    """Write the pages and pictures that have changed, and remove those that are no longer made."""
    made = {name: text.encode() for name, text in pages().items()}
    made |= {f"pictures/{name}.svg": draw().save("svg") for name, draw in drawn().items()}
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for stale in {*folder.glob("*.md"), *folder.glob("*/*.svg")} - {folder / name for name in made}:
        stale.unlink()
    for name, content in made.items():
        file = folder / name
        if not file.is_file() or file.read_bytes() != content:
            file.write_bytes(content)


def pages() -> dict[str, str]:
    """Every generated page by its file's name, with the papers' names in full."""
    made = {
        **network_pages.pages(),
        "shortcuts.md": shortcuts(),
        "arrangements.md": arrangements(),
        "merges.md": merges(),
        "recipes.md": recipes(),
        "studies.md": study_pages.page(),
        "analyses.md": analyses(),
        "command-line.md": command_pages.page(),
        "api.md": api_reference(),
    }
    return {name: in_full(text) for name, text in made.items()}


def drawn() -> dict[str, Callable[[], Drawing]]:
    """What draws each picture of the pages, by its name."""
    merges = {kind().kind: _shown_merges(kind)[0] for kind in MERGES}
    return pictures(merges, {family.slug: family.shown for family in network_pages.FAMILIES})


def in_full(text: str) -> str:
    """Text with "A sec. 4.2" as "He et al. 2016a sec. 4.2"; blocks of code stay as they are."""
    parts = text.split("```")
    parts[::2] = [re.sub(_PAPER, lambda match: PAPERS[match[1] or match[2]], part) for part in parts[::2]]
    return "```".join(parts)


def shortcuts() -> str:
    """A card for each of the options of A sec. 3.3."""
    text = "# Shortcuts\n\nHow x reaches the unit's output: h in y = h(x) + F(x). Deep Residual Learning, sec. 3.3.\n"
    for option, (summary, equation) in SHORTCUTS.items():
        wanted = None if option == "none" else option
        text += str(
            Card(
                f"Shortcut {option}" if wanted else "No shortcut",
                summary,
                ResNet,
                f"cifar_resnet(20, shortcut={wanted!r})",
                f"reslab show resnet20-cifar --set shortcut={option}",
                image(f"shortcut-{option}", f"A unit with shortcut {option}"),
                {"Equation": equation, "Weights": _weights(of_shortcut(wanted))},
                evidence.residual_rows(("shortcut-options", "degradation"), partial(_has_shortcut, wanted)),
            )
        )
    return text


def _has_shortcut(option: str | None, value: ResNet) -> bool:
    return value.shortcut == option


def arrangements() -> str:
    """A card for each row of C Fig. 4."""
    text = (
        "# Arrangements\n\nThe places of BN and ReLU in a residual unit. Identity Mappings, Fig. 4. "
        "Any arrangement combines with any shortcut and merge.\n\n"
        f"{image('arrangements', 'The five units of Identity Mappings, Fig. 4')}\n"
    )
    for name, row in ARRANGEMENTS.items():
        text += str(
            Card(
                name,
                "\n".join(f"- {place}: {activations or 'nothing'}" for place, activations in row._asdict().items()),
                Arrangement,
                f'cifar_resnet(20, arrangement="{name}")',
                f"reslab show resnet20-cifar --set arrangement={name}",
                image(f"arrangement-{name}", f"A unit with arrangement {name}"),
                {"Equation": _equation(row), "Weights": _weights(replace(network("resnet20-cifar"), arrangement=name))},
                evidence.residual_rows(("activations", "preactivation"), partial(_has_arrangement, name)),
            )
        )
    return text


def _equation(row: Arrangement) -> str:
    """A basic unit with an arrangement, as functions of x."""
    inner = "W₁ " + _applied(row.before, "x")
    residual = _applied(row.last, "W₂ " + _applied(row.between, inner))
    return f"x' = {_applied(row.after, f'h(x) + {residual}')}"


def _applied(activations: str, inner: str) -> str:
    for word in activations.split():
        inner = f"{'BN' if word == 'bn' else 'ReLU'}({inner})"
    return inner


def _has_arrangement(name: str, value: ResNet) -> bool:
    return value.arrangement == name


def merges() -> str:
    """A card for each merge."""
    text = (
        "# Merges\n\nHow shortcut and residual become one: y = merge(x, h(x), F(x)). "
        "Identity Mappings, Table 1; Inception-v4, sec. 3.3; and later papers.\n"
    )
    for kind in MERGES:
        rows = list(_merge_rows(kind))
        merges = _shown_merges(kind)
        value: Any = merges[0]
        shown = replace(network("resnet20-cifar"), merge=value)
        formulas = dict.fromkeys(f"y = {each.formula}" for each in merges)
        text += str(
            Card(
                value.kind,
                paragraphs(kind),
                kind,
                f"cifar_resnet(20, merge={value!r})",
                "reslab show " + " --set ".join(to_string(shown).split()),
                image(f"merge-{value.kind}", f"A unit with merge {value.kind}"),
                {
                    "Equation": "; ".join(formulas),
                    "Fields, with their defaults": _fields(kind()),
                    "Weights": _weights(shown),
                },
                rows,
            )
        )
    return text


def _merge_rows(kind: type[MergeSpec]) -> Iterable[evidence.Evidence]:
    return evidence.residual_rows(("shortcuts",), partial(_has_merge, kind))


def _shown_merges(kind: type[MergeSpec]) -> list[Any]:
    """The merges of a kind that the papers have, and the default one."""
    return list(dict.fromkeys([*(row.row.network.merge for row in _merge_rows(kind)), kind()]))  # type: ignore[union-attr]


def _has_merge(kind: type[MergeSpec], value: ResNet) -> bool:
    return isinstance(value.merge, kind) and value.shortcut == "A"


def recipes() -> str:
    """A card for each named recipe."""
    text = "# Recipes\n\nHow a network learns. `--set` changes every field; steps are iterations, one batch each.\n"
    for name, make in RECIPES.items():
        made = make()
        uses = ", ".join(f"`{study.name}`" for study in STUDIES.values() if made in _recipes(study.name))
        facts = {"Fields": _fields(made, Recipe(steps=1)), "Studies at paper scale": uses}
        text += str(Card(name, paragraphs(make), make, f'recipe("{name}")', facts=facts))
    return text


def _recipes(study: str) -> list[Recipe]:
    """The recipes of a study at paper scale, with the logging interval of the recipes themselves."""
    settings = STUDIES[study].scales["paper"].settings.values()
    return [replace(setting.recipe, log_every=Recipe(steps=1).log_every) for setting in settings]


def analyses() -> str:
    """A card for each analysis."""
    text = "# Analyses\n\nWhat happens inside a network. [What every table holds](../analyses.md), in which units.\n"
    for kind, row in ANALYSES.items():
        cls = pkgutil.resolve_name(row.path)
        subject = "resnet20-cifar" if kind == "cost" else "runs/mine"
        flag, words = ("", "") if kind == "cost" else (" --data digits", ', "digits"')
        text += str(
            Card(
                kind,
                f"{row.summary}\n\n{_options(row)}",
                cls,
                f'analyse_networks("{kind}", ["{subject}"]{words})',
                f"reslab analyse {kind} {subject}{flag}",
                facts={"Columns": f"[{kind}](../analyses.md#{kind})", "Measured": _claims(kind)},
            )
        )
    return text


def _options(row: AnalysisRow) -> str:
    defaults = [f"; default {option.default}" if option.default is not None else "" for option in row.options]
    return "\n".join(
        f"- `{each.flag}`: {each.help}{default}" for each, default in zip(row.options, defaults, strict=True)
    )


def _claims(kind: str) -> str:
    """The claims of the analysis in results/, with their judgements."""
    file = RESULTS / "analyses" / kind / "results.json"
    if not file.is_file():
        return ""
    results = json.loads(file.read_text())["findings"]
    lines = [f"{each['claim']}: **{each['judgement']}** ({each['source']})" for each in results]
    return "\n".join([f"[the page](site:../analyses/{kind}/analysis.html)", *(f"  - {line}" for line in lines)])


def api_reference() -> str:
    """Every public name of reslab, and those of reslab.api beyond them."""
    both = ", ".join(name for name in api.__all__ if name in PUBLIC)
    return (
        "# API reference\n\nEverything by names, from `import reslab`; torch is imported when a function needs it.\n\n"
        "## reslab\n\n```{eval-rst}\n.. automodule:: reslab\n   :members:\n```\n\n"
        "## reslab.api\n\nWhat the command line calls beyond these.\n\n"
        f"```{{eval-rst}}\n.. automodule:: reslab.api\n   :members:\n   :exclude-members: {both}\n```\n"
    )


class Card(NamedTuple):
    """A section: summary, drawing, facts, the paper's number and ours, how to use it, and its source.

    command: of the command line; python: an expression; code: whose definition is shown
    """

    title: str
    summary: str
    code: Callable[..., Any]
    python: str
    command: str = ""
    picture: str = ""
    facts: Mapping[str, str] = MappingProxyType({})
    rows: Iterable[evidence.Evidence] = ()

    def __str__(self) -> str:
        items = list(self.rows)
        parts = [f"## {self.title}", self.summary, self.picture]
        parts += [f"- **{name}**: {fact}" for name, fact in self.facts.items() if fact]
        parts += [evidence.table(items).rstrip()] if items else []
        parts += [f"```sh\n{self.command}\n```"] if self.command else []
        parts += [f"In Python `{self.python}`.", source(self.code)]
        return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _weights(value: AnyNetwork) -> str:
    """The files of weights in results/weights of a network."""
    return ", ".join(f"`results/weights/{file}`" for file in evidence.weights(find_name(value) or ""))


def paragraphs(thing: Any) -> str:
    """A docstring as Markdown; a command that stands in it alone is a block of code."""
    text = inspect.getdoc(thing) or ""
    parts = [escape(part) for part in text.split("\n\n")]
    return "\n\n".join(f"```sh\n{part}\n```" if re.match(r"(reslab|torchrun) ", part) else part for part in parts)


def escape(text: str) -> str:
    """Text with the signs escaped that Markdown would read."""
    return re.sub(r"([*_<])(?![^`]*`[^`]*$)", r"\\\1", text)


def _fields(value: Any, default: Any = None) -> str:
    """The fields of a spec with their values, those of nested specs dotted; without those of a default."""
    usual = dict(_dotted(tree(default))) if default else {}
    pairs = [(key, inner) for key, inner in _dotted(tree(value)) if key not in usual or usual[key] != inner]
    return ", ".join(f"`{key}={_field(inner)}`" for key, inner in pairs)


def _dotted(fields: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, inner in fields.items():
        if isinstance(inner, dict):
            yield prefix + name, inner["kind"]
            yield from _dotted(inner, f"{prefix}{name}.")
        elif name != "kind":
            yield prefix + name, inner


def _field(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def source(thing: Callable[..., Any]) -> str:
    """The file and line of a value's definition, with its code folded where it is short."""
    lines, first = inspect.getsourcelines(thing)
    file = Path(inspect.getsourcefile(thing) or "").relative_to(ROOT)
    if len(lines) > LONGEST_CODE:
        return f"Code: `{file}`, line {first}."
    code = "".join(lines).rstrip()
    return f"<details><summary>{file}, line {first}</summary>\n\n```python\n{code}\n```\n\n</details>"
