"""Libraries that come with the extras, and what they say that nobody needs to hear."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from reslab.errors import SpecError


def extra(module: str, name: str) -> Any:
    """A library of an extra. Raises SpecError that says how to get it."""
    try:
        return import_module(module)
    except ImportError:
        raise SpecError(f"{module} is not installed, which this needs\npip install 'reslab[{name}]'") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of tracing, of shapes that reslab's networks fix, of the compiler, of its own past, and of
    the ONNX exporter, of torchvision, which nothing here needs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
