"""A manifest holds for the files that it was written of, and for nothing else."""

import json
import os

import pytest

from reslab.weights.manifest import NAME, holds, newest, write_manifest


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "checkpoints" / "step-00000010"
    made.mkdir(parents=True)
    (made / "a.json").write_text("{}")
    (made / "b.bin").write_bytes(bytes(100))
    write_manifest(made)
    return made


def test_unchanged_files_hold(folder):
    assert holds(folder)
    assert newest(folder.parents[1]) == folder


@pytest.mark.parametrize("damage", ["changed", "longer", "missing", "no manifest", "empty manifest", "nested manifest"])
def test_damage_does_not_hold(folder, damage):
    match damage:
        case "changed":
            (folder / "b.bin").write_bytes(bytes(99) + b"1")
        case "longer":
            (folder / "b.bin").write_bytes(bytes(101))
        case "missing":
            (folder / "a.json").unlink()
        case "no manifest":
            (folder / NAME).unlink()
        case "empty manifest":
            (folder / NAME).write_text('{"files": {}}')
        case "nested manifest":
            (folder / NAME).write_text("[" * 100_000)
    assert not holds(folder)
    assert newest(folder.parents[1]) is None


def renamed(folder, name):
    content = json.loads((folder / NAME).read_text())
    content["files"][name] = content["files"].pop("a.json")
    (folder / NAME).write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["../a.json", "/dev/zero", "sub/../a.json", ".", "", "\x00"])
def test_a_name_out_of_the_folder_does_not_hold(folder, name):
    (folder.parent / "a.json").write_text("{}")
    renamed(folder, name)
    assert not holds(folder)


def test_a_pipe_or_device_is_not_read(folder):
    (folder / "a.json").unlink()
    os.mkfifo(folder / "a.json")
    assert not holds(folder)
    (folder / "a.json").unlink()
    (folder / "a.json").symlink_to("/dev/zero")
    assert not holds(folder)
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)
    assert not holds(folder)
