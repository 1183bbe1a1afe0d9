"""Progress and messages on stderr."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def progress_console(progress: bool = True) -> "Console":
    """A rich Console on stderr that prints text as it is: brackets in a path are no markup. Quiet without progress."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, quiet=not progress)


def in_notebook() -> bool:
    """Whether this is a notebook, where progress is shown below the cell."""
    return "IPython" in sys.modules and progress_console().is_jupyter


def is_first_rank() -> bool:
    """Whether this process speaks for all: not where torchrun started it as another rank than 0."""
    return os.environ.get("RANK", "0") == "0"
