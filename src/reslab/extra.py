"""Optional dependencies, and a context that silences their warnings."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from reslab.errors import SpecError


def extra(module: str, name: str) -> Any:
    """The module of an optional dependency. Raises SpecError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise SpecError(f"{module} is not installed, which this needs\npip install 'reslab[{name}]'") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings of tracing, of the compiler and of the ONNX exporter, which say nothing about the network."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
