"""Common names of a recipe's fields, as other libraries have them."""

from collections.abc import Mapping

from reslab.errors import SpecError

ALIASES = {
    "lr": "schedule.rate",
    "learning_rate": "schedule.rate",
    "batch_size": "batch",
    "wd": "weight_decay",
    "momentum": "optimizer.momentum",
    "label_smoothing": "smoothing",
    "ema": "average",
    "num_steps": "steps",
    "max_steps": "steps",
}
"""The field that a common name means."""
EPOCHS = ("epochs", "num_epochs", "max_epochs")
"""Names of a number of passes over the training images, which a recipe counts in steps."""


def resolve_aliases(assignments: Mapping[str, str], option: str = "--set ") -> dict[str, str]:
    """Assignments with common names replaced by the fields that they mean: {"lr": "0.1"} sets schedule.rate.

    Names of EPOCHS become "epochs". Raises SpecError for a field that is assigned by two names.
    """
    resolved: dict[str, str] = {}
    by: dict[str, str] = {}
    for name, text in assignments.items():
        plain = name.replace("-", "_")
        field = "epochs" if plain in EPOCHS else ALIASES.get(plain, name)
        if field in resolved:
            raise SpecError(f"{option}{name}: the same field as {by[field]}, {field}; give one of them")
        resolved[field], by[field] = text, name
    return resolved
