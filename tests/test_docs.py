"""The pages of the site: their code runs as it stands, each section in a fresh directory, and prints what it says."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from reslab.cli import app, main

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"(?:<!-- not run: (.+?) -->\n)?```(python|sh|console)\n(.*?)```", flags=re.DOTALL)
PRINTS = re.compile(r"^\s*print\(.*\)  # (.+)$", flags=re.MULTILINE)
RESLAB = re.compile(r"^(?:.*-m |.*--wrap ')?reslab ([^'\n]+)", flags=re.MULTILINE)
NEEDS = {"onnx": "onnxruntime", "tensorboard": "tensorboard"}


class Block(NamedTuple):
    """A block of code: why it is not run, if it is not, its language and its text."""

    reason: str
    language: str
    text: str


def sections() -> dict[str, list[Block]]:
    """The blocks of every section that has some, by page and title."""
    pages = {}
    for page in sorted(DOCS.glob("*.md")):
        for section in page.read_text().split("\n## "):
            title, _, text = section.partition("\n")
            blocks = [Block(*block) for block in BLOCK.findall(text)]
            if blocks:
                pages[f"{page.stem}: {title.lstrip('# ')}"] = blocks
    return pages


SECTIONS = sections()
SKIPPED = {name: [block for block in blocks if block.reason] for name, blocks in SECTIONS.items()}


def run(words, path):
    environment = {key: value for key, value in os.environ.items() if key != "RESLAB_DATA"}
    environment |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(path / "cache")}
    return subprocess.run(words, cwd=path, env=environment, capture_output=True, text=True)


def run_well(words, path):
    done = run(words, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return done.stdout.splitlines()


def run_here(words, capsys):
    """Run a command line in this process, which saves the start of another; -> exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code, *capsys.readouterr()


def check(block, path, capsys):
    """Run a block, and compare with what it says it prints."""
    match block.language:
        case "sh":
            for line in block.text.splitlines():
                words = shlex.split(line, comments=True)
                if words[1:2] == ["show"] or words[2:3] in (["list"], ["show"]):
                    code, out, err = run_here(words[1:], capsys)
                    assert code == 0 and out, err
                else:
                    run_well([sys.executable, "-m", *words], path)
        case "console":
            for lines in block.text.split("$ reslab ")[1:]:
                line, _, expected = lines.partition("\n")
                code, _, err = run_here(shlex.split(line), capsys)
                assert code and err == expected
        case _:
            printed = run_well([sys.executable, "-W", "error", "-c", block.text], path)
            for expected in PRINTS.findall(block.text):
                assert expected in printed


@pytest.mark.parametrize("name", [name for name, blocks in SECTIONS.items() if any(not each.reason for each in blocks)])
def test_the_code_of_a_section_runs(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path / "data"))
    blocks = [block for block in SECTIONS[name] if not block.reason]
    for word, module in NEEDS.items():
        if any(word in block.text for block in blocks):
            pytest.importorskip(module)
    for block in blocks:
        check(block, tmp_path, capsys)


@pytest.mark.parametrize("name", [name for name, blocks in SKIPPED.items() if blocks])
def test_code_that_is_not_run_has_right_words(name):
    for block in SKIPPED[name]:
        if block.language == "python":
            compile(block.text, name, "exec")
        for line in RESLAB.findall(block.text):
            must_be_options(shlex.split(line, comments=True))


def must_be_options(words):
    """Every option of a command line is one of its command's."""
    command = typer.main.get_command(app)
    names = [word for word in words if not word.startswith("-")]
    while isinstance(command, typer.core.TyperGroup):
        command = command.commands[names.pop(0)]
    known = [option for parameter in command.params for option in parameter.opts]
    for word in words:
        assert not word.startswith("--") or word in known, f"{word} in {' '.join(words)}"


def test_there_are_pages_and_examples():
    assert len(SECTIONS) >= 40
    assert sum(name.startswith("examples: ") for name in SECTIONS) >= 8


@pytest.fixture(scope="module")
def cards():
    """The module that makes the generated pages."""
    sys.path.insert(0, str(DOCS))
    try:
        specification = importlib.util.spec_from_file_location("cards", DOCS / "cards.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def generated(cards):
    """The generated pages by their files' names."""
    return cards.pages()


def test_every_value_has_its_card(generated):
    from reslab.analyse import ANALYSES
    from reslab.nets import NAMED
    from reslab.nets.arrangements import ARRANGEMENTS
    from reslab.papers import STUDIES
    from reslab.recipes.named import RECIPES

    values = {"arrangements": ARRANGEMENTS, "recipes": RECIPES, "studies": STUDIES, "analyses": ANALYSES}
    for page, names in values.items():
        for name in names:
            assert f"\n## {name}\n" in generated[f"{page}.md"]
    networks = "".join(text for name, text in generated.items() if name.startswith("networks-"))
    for name in NAMED:
        assert networks.count(f"| {name} | ") >= 1, name


def test_a_card_has_the_equation_the_papers_number_and_ours(generated):
    card = generated["merges.md"].split("\n## gated\n")[1].split("\n## ")[0]
    assert "y = (1−g)·h(x) + F(x)" in card
    assert "6.91 (He et al. 2016b Table 1, median of 5)" in card
    assert re.search(r"\d+\.\d\d ± \d+\.\d\d \(n = \d\)", card)
    assert "--set merge=gated" in card
    assert "src/reslab/nets/merges.py, line " in card


def test_the_commands_of_the_cards_have_right_words(generated):
    lines = [line for text in generated.values() for line in re.findall(r"^reslab (.*)$", text, flags=re.MULTILINE)]
    assert len(lines) > 40
    for line in lines:
        must_be_options(shlex.split(line))


def test_the_pages_of_results_that_the_site_links_are_there(generated):
    pages = [*generated.values(), *(page.read_text() for page in DOCS.glob("*.md"))]
    for target in {target for text in pages for target in re.findall(r"\(site:(?:\.\./)?([^)]+)\)", text)}:
        assert (DOCS.parent / "results" / target).is_file(), target


def slugs(text):
    """The anchors of a page's headings, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.fixture(scope="module")
def texts(generated):
    """Every page in Markdown by its path, those that the site generates too."""
    folders = [DOCS.glob("*.md"), DOCS.parent.glob("*.md"), (DOCS.parent / "results").rglob("*.md")]
    written = {page: page.read_text() for pages in folders for page in pages}
    return written | {DOCS / "generated" / name: text for name, text in generated.items()}


def test_every_relative_link_leads_somewhere(texts, cards):
    pictures = {DOCS / "generated" / "pictures" / f"{name}.svg" for name in cards.drawn()}
    checked = 0
    for page, text in texts.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            if re.match(r"\w+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = Path(os.path.normpath(page.parent / name)) if name else page
            assert file in texts or file in pictures or file.exists(), f"{page}: {target}"
            assert not anchor or anchor in slugs(texts[file]), f"{page}: {target}"
            checked += 1
    assert checked > 100


def test_every_link_of_the_pages_of_results_leads_somewhere():
    results = DOCS.parent / "results"
    pages = [(page.parent, page.read_text()) for page in results.rglob("*.html")]
    pages += [(results, page.read_text()) for page in DOCS.glob("*.md")]  # the site has the results at its root
    for folder, text in pages:
        for target in re.findall(r'<(?:a|img)\b[^>]*?(?:href|src)="([^"#:]+)["#]', text):
            assert (folder / target).exists(), f"{folder}: {target}"


def test_the_messages_of_the_page_of_errors_are_those_of_the_program():
    files = (DOCS.parent / "src").rglob("*.py")
    source = "".join(re.sub(r'"\s*\n\s*f?"', "", file.read_text()) for file in files)
    messages = re.findall(r"^\| `([^`]+)`", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    assert len(messages) >= 20
    for message in messages:
        words = max(re.split(r"\.\.\.|[()]", message), key=len).strip(" ;:")
        assert words in source, message


def test_every_command_is_on_the_page_of_the_command_line(generated):
    page = generated["command-line.md"]
    for name in ("train", "draw", "study run", "analyse lesion", "recipe show"):
        assert f"\n## reslab {name}\n" in page
    assert "--stop-after TIME" in page


WORDS = (
    "gradient checkpointing", "activation checkpointing", "EMA", "mixed precision", "AMP", "bf16", "DDP", "data loader",
    "augmentation", "center crop", "random resized crop", "pretrained weights", "transfer learning", "fine-tuning",
    "confusion matrix", "ablation", "batch normalization", "learning-rate schedule", "seeds", "confidence interval",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_the_pages_have_the_words_that_people_search_for(word):
    assert any(word.lower() in page.read_text().lower().replace("\n", " ") for page in DOCS.glob("*.md"))
