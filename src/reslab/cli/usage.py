"""Commands that name all of their missing words at once, with an example."""

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from reslab.errors import SpecError

HELP = {"help_option_names": ["-h", "--help"]}
"""Settings of every command: -h is --help."""
EXAMPLES = {
    "train": "resnet20-cifar --data digits",
    "evaluate": "runs/RUN --data digits",
    "predict": "runs/RUN picture.jpg",
    "show": "resnet50 --set merge=dropped",
    "networks": "'preact*'",
    "bench": "resnet20-cifar --vs torch",
    "export": "runs/RUN --format onnx",
    "weights": "resnet50.pth --as resnet50-v1.5 --out resnet50.safetensors",
    "data get": "cifar10",
    "data check": "folder:pictures",
    "draw": "resnet50 --out resnet50.svg",
    "report": "runs/RUN",
    "resume": "runs/RUN",
    "compare": "runs --by lr",
    "judge": "results.csv --by method",
    "recipe show": "demo",
    "study new": "mine.toml",
    "study show": "degradation --scale short",
    "study run": "degradation --scale demo",
    "study report": "degradation --scale demo",
    "study watch": "degradation --scale demo",
    "analyse responses": "resnet20-cifar plain20-cifar --data digits",
    "analyse gradients": "resnet20-cifar plain20-cifar --data digits",
    "analyse lesion": "runs/RUN --data digits",
    "analyse landscape": "resnet20-cifar plain20-cifar --data digits",
    "analyse signals": "resnet20-cifar preact110-cifar --data digits",
    "analyse cost": "resnet50 resnet50-v1.5",
}


def missing_error(path: str, words: Sequence[str]) -> SpecError:
    """The error for a command without some of its words, with an example."""
    listed = " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    are = "is" if len(words) == 1 else "are"
    return SpecError(f"{path}: {listed} {are} missing\nfor example: reslab {path} {EXAMPLES[path]}")


class Command(TyperCommand):
    """A command that names every required word that is missing, and shows an example."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        missing = [_word(each) for each in self.get_params(ctx) if each.required and given.get(each.name) in (None, ())]
        if missing and not ctx.resilient_parsing and not given.get("help"):
            raise missing_error(ctx.command_path.removeprefix("reslab "), missing)
        return super().parse_args(ctx, args)


def _word(parameter: Any) -> str:
    """The word of a parameter as a user writes it: --data, or NETWORK."""
    return str(parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name)


def teach(app: typer.Typer, path: str = "") -> None:
    """Make every command of an app, and of the apps in it, a `Command` whose help has its example."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = path + (command.name or command.callback.__name__.replace("_", "-"))
        command.cls = Command
        if name in EXAMPLES:
            command.epilog = f"Example: reslab {name} {EXAMPLES[name]}"
    for group in app.registered_groups:
        assert group.typer_instance is not None
        teach(group.typer_instance, f"{path}{group.name} ")
