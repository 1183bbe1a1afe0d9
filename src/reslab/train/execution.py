"""How a run is carried out: what changes its time and its memory, not what is learnt."""

from typing import Literal

from pydantic import NonNegativeInt

from reslab.errors import SpecError
from reslab.spec import spec


@spec
class Execution:
    """Where a run is trained, and what it does where things do not go by plan.

    device: "cpu", "cuda", or "auto", which is cuda where there is one
    recompute: units of a stage that keep only the first one's input until the way back; 0 keeps all activations
    on_bad: what a picture that cannot be read does: "error" ends the run, "skip" leaves it out and tells of it
    resume: "never" begins, "any" goes on from the last checkpoint where there is one, "exact" does so only where the
    end will be, bit for bit, that of a run which never stopped
    """

    device: str = "auto"
    recompute: NonNegativeInt = 0
    on_bad: Literal["error", "skip"] = "error"
    resume: Literal["never", "any", "exact"] = "never"


DEFAULT = Execution()


def find_device(word: str) -> str:
    """The device that a word says: "auto" is cuda where there is one. Raises SpecError where it is not to be had."""
    import torch

    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if word not in ("cpu", "cuda"):
        raise SpecError(f"no device {word!r}: choose from auto, cpu, cuda")
    if word == "cuda" and not torch.cuda.is_available():
        raise SpecError("no cuda device here: use --device cpu")
    return word
