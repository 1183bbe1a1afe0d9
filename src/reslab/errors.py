"""The errors of reslab, each with its exit code on the command line."""

from collections.abc import Iterable
from difflib import get_close_matches


class ReslabError(Exception):
    """An error that a user can fix: the message names the thing and the fix in one or two lines."""

    exit_code = 1


class SpecError(ReslabError):
    """A word, key or value that no network, recipe, study or run can have. `key`: the wrong field, if it is one."""

    exit_code = 2

    def __init__(self, message: str, key: str = ""):
        super().__init__(message)
        self.key = key


class DataError(ReslabError):
    """A data set or file that is missing, damaged or of another kind than expected."""

    exit_code = 3


class DivergedError(ReslabError):
    """The loss is no longer a finite number. The run's result.json says at which step."""

    exit_code = 4


class RankLostError(ReslabError):
    """Another rank of a distributed training has died. Started again, it resumes from the last checkpoint."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of an error message: the choices closest to a mistyped word, or all of them if none is close.

    Those that begin with the whole word come first: "resnet20" is near to resnet20-cifar.
    """
    choices = list(choices)
    longer = [choice for choice in choices if choice.startswith(f"{word}-")]
    close = [*longer, *(each for each in get_close_matches(word, choices, n=3, cutoff=0.5) if each not in longer)][:3]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    shown = choices if len(choices) <= 12 else [*choices[:12], "..."]
    return "choose from " + ", ".join(shown)
