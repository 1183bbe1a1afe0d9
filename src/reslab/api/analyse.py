"""Analyses of networks by their names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from reslab.analyse.analysis import Analysis
    from reslab.analyse.preserve import Mode
    from reslab.nets.network import NetworkSpec


def analyse_networks(
    kind: Literal["responses", "gradients", "lesion"],
    networks: "Sequence[NetworkSpec | Path | str] | NetworkSpec | Path | str",
    data: str,
    images: int | None = None,
    mode: "Mode | None" = None,
    seed: int = 0,
) -> "Analysis":
    """What `reslab analyse KIND` finds; `.columns()` is a plain table, whose units docs/analyses.md describes.

    networks: names and specs (fresh weights under the seed), run directories, files of weights that reslab wrote, or
    one of these
    data: a name from `reslab data list`, or folder:PATH
    images: so many of its test images are seen; None is the command's own number
    mode: whether BN takes its running statistics or those of each batch ("eval", "train"); None is the command's own,
    the batch's for gradients. Fresh weights take the batch's in any mode.
    `reslab.pages.analysis.render` writes its page. Raises SpecError and DataError as the command does.
    """
    from reslab.analyse import IMAGES, gradients_told, lesion_told, responses_told
    from reslab.analyse.conditions import Conditions
    from reslab.analyse.subject import subjects
    from reslab.data.loader import load
    from reslab.errors import SpecError
    from reslab.machine import find_device
    from reslab.nets.network import NetworkSpec

    looks = {"responses": responses_told.look, "gradients": gradients_told.look, "lesion": lesion_told.look}
    if kind not in looks:
        raise SpecError(f"no analysis {kind!r} of networks on images: choose from {', '.join(looks)}")
    if isinstance(networks, str | Path | NetworkSpec):
        networks = [networks]
    held, device = load(data), find_device("auto")
    compared = subjects(networks, held, seed, device)
    usual: Mode = "train" if kind == "gradients" else "eval"
    return looks[kind](compared, Conditions(held, images or IMAGES[kind], mode or usual, seed, device))
