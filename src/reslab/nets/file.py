"""Networks by name or from files."""

import json
from pathlib import Path
from typing import Any

from reslab.errors import DataError, SpecError
from reslab.nets.names import AnyNetwork, network
from reslab.spec import from_json


def find_network(word: str) -> AnyNetwork:
    """The network of a name, or of a JSON file. Raises SpecError naming the nearest name or the file's fault."""
    if word.endswith(".toml"):
        raise SpecError(f"{word}: a network's file is JSON, as `reslab show NETWORK --json` gives it")
    return read_network(Path(word)) if word.endswith(".json") else network(word)


def read_network(path: Path) -> AnyNetwork:
    """The network of a JSON file: what `reslab show --json` or `to_json` gave, or a run's run.json.

    Raises DataError for a file that cannot be read, SpecError naming the key that is wrong.
    """
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not isinstance(tree, dict):
        raise SpecError(f"{path}: not a network")
    for key in ("spec", "network"):
        if isinstance(tree.get(key), dict):
            tree = {name: value for name, value in tree[key].items() if name != "name"}
    value: AnyNetwork = from_json(AnyNetwork, json.dumps(tree), str(path))
    return value
