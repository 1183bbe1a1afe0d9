"""Strange command lines: every one ends done, or in two lines of its own error."""

import os
import random

import pytest

from reslab import api
from reslab.errors import ReslabError
from reslab.nets import AnyNetwork, network
from reslab.recipes.recipe import Recipe
from reslab.spec import from_json, to_json

WORDS = (
    *(
        "",
        " ",
        "-",
        "--",
        "-1",
        "0",
        "1e999",
        "nan",
        "9" * 5000,
        "[" * 3000,
        "]",
        "{",
        '{"kind":"conv"}',
        "[bold]",
        "[/]",
    ),
    *("x" * 300, "\x1b[2J", "\u202e", "$\\frac$", "=1+1", "../..", "/dev/null", "/dev/zero", "/", ".", "ä", "\udc80"),
    *("none", "true", "digits", "demo", "resnet8-cifar", "folder:", "folder:.", "imagenet:", "cifar10", "degradation"),
)
COMMANDS = (
    ["networks"], ["show"], ["data", "check"], ["data", "get"], ["evaluate"], ["predict"], ["export"], ["weights"],
    ["report"], ["study", "show"], ["study", "report"], ["analyse", "cost"], ["analyse", "landscape"],
    ["recipe", "show"],
)  # fmt: skip
OPTIONS = (
    *("--data", "--out", "--set", "--seed", "--json", "--as", "--format", "--scale", "--seeds", "--budget", "--top"),
    *("--cam", "--batch", "--device", "--classes", "--mean", "--std", "--key", "--opset", "--points", "--help"),
)
KEYS = ("steps", "merge", "merge.p", "widths", "stem", "units", "schedule", "schedule.rate", "size", "optimizer", "x")


def command_line(draws):
    """A command with strange arguments, options and values."""
    words = list(draws.choice(COMMANDS))
    words += [draws.choice(WORDS) for _ in range(draws.choice((0, 1, 1, 2)))]
    for _ in range(draws.randrange(3)):
        option, value = draws.choice(OPTIONS), draws.choice(WORDS)
        words += [option, f"{draws.choice(KEYS)}={value}" if option == "--set" else value]
    return words


def use(reslab, capsys, seeds):
    for seed in seeds:
        words = command_line(random.Random(seed))
        code, (_, err) = reslab(*words), capsys.readouterr()
        assert code in (0, 2, 3), (seed, words, err)
        assert code == 0 or len(err.splitlines()) <= 3, (seed, words, err)
        assert "\x1b[2J" not in err, (seed, words, err)


def specs(seeds):
    """Specs from text with something else somewhere in it, and changes of them by words."""
    texts = [to_json(value) for value in (network("resnet20-cifar"), network("inception-v4"), network("resnet50"))]
    for seed in seeds:
        draws = random.Random(seed)
        text = draws.choice(texts)
        at = draws.randrange(len(text))
        text = text[:at] + draws.choice(WORDS) + text[at + draws.choice((0, 1, 5)) :]
        for attempt in (
            lambda text=text: from_json(AnyNetwork, text),
            lambda text=text: from_json(Recipe, text),
            lambda draws=draws: api.describe_network("resnet20-cifar", {draws.choice(KEYS): draws.choice(WORDS)}),
        ):
            try:
                attempt()
            except ReslabError as error:
                assert len(str(error).splitlines()) <= 2, (seed, text, error)
            except BaseException as error:
                raise AssertionError(f"seed {seed}: {text[:200]}") from error


def test_strange_words_end_in_two_lines(reslab, capsys):
    use(reslab, capsys, range(20))
    assert reslab("export", "run") == 2
    assert len(capsys.readouterr().err.splitlines()) <= 2


def test_strange_specs_end_in_two_lines():
    specs(range(100))


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
def test_strange_words_and_specs_end_in_two_lines_for_long(reslab, capsys):
    start = int(os.environ.get("RESLAB_FUZZ_SEED", "1000"))
    print(f"RESLAB_FUZZ_SEED={start}")
    use(reslab, capsys, range(start, start + 3000))
    specs(range(start, start + 3000))
