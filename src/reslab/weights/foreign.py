"""Weights files of other programs: their state_dict is read and checked, and nothing in them is run."""

import io
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from reslab.data.picture import shown
from reslab.errors import DataError, SpecError
from reslab.weights.file import State, is_safetensors, must_be_file, open_safetensors

# of several state_dicts in a file, the first under one of these keys is taken
_KEYS = ("state_dict", "model", "model_state_dict", "net")
# of values beside the tensors, the classes that training scripts often save; each is read as a placeholder
_IGNORED = (
    "argparse.Namespace",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
)
_DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}
_OPCODES = 2_000_000  # of a pickle; a ResNet-1202 with its optimizer has half a million
_CURE = "save its tensors alone: torch.save(model.state_dict(), FILE)"


class Foreign(NamedTuple):
    """The state_dict of a foreign file, without prefixes, and notes on how it was chosen."""

    state: State
    notes: list[str]


def read_state(path: Path, key: str | None = None) -> Foreign:
    """The state_dict of a .pth, .th, .pt, .ckpt, .bin or .safetensors file, wherever it is nested.

    key: the dotted key of the state_dict, for a file with several
    Raises DataError if the file is missing, damaged or holds other objects than tensors and plain values, if a tensor
    is not a dense one on the processor, or if a choice between state_dicts is open; SpecError for a wrong `key`.
    """
    must_be_file(path)
    try:
        content = _tensors(path) if is_safetensors(path) else _unpickle(path)
        tables = dict(_state_dicts(content))
        if (
            not tables
            and isinstance(content, dict)
            and content
            and all(isinstance(t, Tensor) for t in content.values())
        ):
            tables = {"": content}
        name, notes = _choose(path, list(tables), key)
        return Foreign(_without_prefix(_checked(path, tables[name], notes), notes), notes)
    except (DataError, SpecError):
        raise
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except Exception as error:  # a damaged or hostile file fails in many ways
        raise DataError(
            f"{path}: not a whole file of tensors, nothing of it was used ({type(error).__name__})\n"
            "take it from its source again"
        ) from None


def _tensors(path: Path) -> State:
    with open_safetensors(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict


class _Placeholder:
    """An object in a file that is not a tensor. Its content is not read."""

    def __init__(self, *values: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _unpickle(path: Path) -> Any:
    """The content of a torch.save file, read with weights_only=True."""
    names = _class_names(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([(_Placeholder, name) for name in _IGNORED]):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        plain = ("torch.", "collections.", "_codecs.", *_IGNORED)
        objects = [name for name in names if name.startswith("torch.nn.modules.") or not name.startswith(plain)]
        if not objects:
            raise
        whole = "a whole pickled module" if any(name.startswith("torch.nn.modules.") for name in objects) else "objects"
        raise DataError(
            f"{path}: holds {whole} ({shown(objects[0])[:80]}), whose code would have to run; nothing of it was used\n"
            f"where that code is, {_CURE}"
        ) from None


def _class_names(path: Path) -> list[str]:
    """The classes and functions in a torch.save file. Raises DataError for an archive that is not one, or lies."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            file.seek(0)  # the format before torch 1.6: magic number, version, system, content, keys of storages
            return [name for _ in range(5) for name in _pickled_names(file)]
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.filename.endswith("/constants.pkl") for entry in entries):
                raise DataError(f"{path}: holds a program (TorchScript), which was not run\n{_CURE}")
            if any(entry.compress_type for entry in entries) or sum(e.file_size for e in entries) > path.stat().st_size:
                raise DataError(
                    f"{path}: a compressed archive, which torch does not write\nunpack it, and name the file"
                )
            content = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(content) != 1:
                raise DataError(f"{path}: an archive without weights of torch\nunpack it, and name the file in it")
            return list(_pickled_names(io.BytesIO(archive.read(content[0]))))


def _pickled_names(file: IO[bytes]) -> Iterator[str]:
    """The dotted names that a pickle refers to, from its opcodes alone.

    Raises ValueError for more opcodes, or tuples that are costlier to hash, than those of weights: a tuple of two
    times a tuple of two times ... takes a dict for ever as a key.
    """
    stack: list[Any] = []  # for each object its cost of hashing and its text; None for a mark
    memo: dict[Any, Any] = {}
    for count, (opcode, arg, _) in enumerate(pickletools.genops(file)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if arg is None else arg] = stack[-1]
            continue
        taken, fixed = [], len(opcode.stack_before)
        if pickletools.markobject in opcode.stack_before:
            fixed = opcode.stack_before.index(pickletools.markobject)
            while (item := stack.pop()) is not None:
                taken.append(item)
        taken += [stack.pop() for _ in range(fixed)]
        cost = 1 + sum(item[0] for item in taken) if "TUPLE" in opcode.name else 1
        if count > _OPCODES or cost > _OPCODES:
            raise ValueError("more than a file of weights has")
        if opcode.name in ("GLOBAL", "INST"):
            yield str(arg).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield f"{taken[1][1]}.{taken[0][1]}"
        pushed = memo[arg] if "GET" in opcode.name else (cost, arg if isinstance(arg, str) else None)
        stack += [None if after is pickletools.markobject else pushed for after in opcode.stack_after]


def _state_dicts(value: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Every dict with a tensor whose key ends in "weight", by its dotted key, the outer ones first."""
    queue, seen = [("", value)], set()
    for key, entry in queue:
        if not isinstance(entry, dict):
            continue
        if any(isinstance(n, str) and n.endswith("weight") and isinstance(t, Tensor) for n, t in entry.items()):
            yield key, entry
        elif id(entry) not in seen:
            seen.add(id(entry))
            queue += [(f"{key}.{name}" if key else name, inner) for name, inner in entry.items() if type(name) is str]


def _choose(path: Path, keys: list[str], key: str | None) -> tuple[str, list[str]]:
    """The key of the state_dict to take, and a note if there are others."""
    listed = ", ".join(shown(name) for name in keys[:8])
    if not keys:
        raise DataError(f"{path}: holds no table of tensors by name (a state_dict)\n{_CURE}")
    if key is not None:
        if key not in keys:
            raise SpecError(f"--key {key}: {path} has {listed or 'one state_dict, at its top'}")
        return key, []
    if len(keys) == 1:
        plain = not keys[0] or keys[0].rpartition(".")[2] in _KEYS
        return keys[0], [] if plain else [f"the file's only state_dict, {listed}, is taken"]
    for known in _KEYS:
        for name in keys:
            if name.rpartition(".")[2] == known:
                return name, [f"of the state_dicts {listed}, {shown(name)} is taken; --key KEY takes another"]
    raise DataError(f"{path}: holds several state_dicts: {listed}\nchoose one by --key KEY")


def _checked(path: Path, table: dict[Any, Any], notes: list[str]) -> State:
    """The dense tensors of a state_dict. Values beside them are left out and noted."""
    state, ignored = {}, []
    for key, value in table.items():
        if not isinstance(key, str):
            raise DataError(f"{path}: the key {shown(repr(key))[:80]} is no text\n{_CURE}")
        if not isinstance(value, Tensor) or (value.dim() == 0 and "." not in key):
            ignored.append(shown(key))
            continue
        tensor = Tensor.detach(value)
        if fault := _fault(tensor):
            raise DataError(f"{path}: the tensor {shown(key)[:80]} {fault}; nothing was loaded\n{_CURE}")
        state[key] = tensor
    if ignored:
        notes.append(f"left out, as they are no weights: {', '.join(ignored[:5])}{' ...' if len(ignored) > 5 else ''}")
    return state


def _fault(tensor: Tensor) -> str:
    """Why a tensor cannot be weights; empty if it can."""
    if tensor.layout is not torch.strided or tensor.is_nested:
        return f"is {str(tensor.layout).removeprefix('torch.') if not tensor.is_nested else 'nested'}, not dense"
    if tensor.device.type != "cpu":
        return f"has no values (device {tensor.device})"
    if tensor.dtype not in _DTYPES:
        return f"is of type {str(tensor.dtype).removeprefix('torch.')}"
    claimed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    return f"claims {claimed:,} bytes of the {held:,} that are stored" if claimed > held else ""


def _without_prefix(state: State, notes: list[str]) -> State:
    """The state_dict without the names of modules around the network: module., _orig_mod., model., encoder. ..."""
    removed = ""
    state = {key.replace("features.module.", "features."): tensor for key, tensor in state.items()}
    while True:
        first, dot, _ = next(iter(state), "").partition(".")
        if not dot or first == "features" or not all(key.startswith(f"{first}.") for key in state):
            break
        removed += f"{first}."
        state = {key.removeprefix(f"{first}."): tensor for key, tensor in state.items()}
    if removed not in ("", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."):
        notes.append(f"the prefix {shown(removed)[:80]} is removed from its keys")
    return state
