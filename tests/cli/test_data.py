"""Data sets, listed and checked."""

import json
import os
import re
from pathlib import Path

from PIL import Image

TINY = ["--set", "steps=6", "--set", "batch=8", "--set", "size=32", "--set", "units=[1,1,1,1]", "--set", "average=null"]


def test_bad_pictures_are_listed_and_end_a_run_or_are_skipped(reslab, capsys, pictures, tmp_path):
    assert reslab("data", "check", f"folder:{pictures}") == 0
    (pictures / "red" / "3.jpg").write_bytes((pictures / "red" / "3.jpg").read_bytes()[:300])
    os.mkfifo(pictures / "blue" / "pipe.jpg")
    assert reslab("data", "check", f"folder:{pictures}", "--json") == 3
    findings = json.loads(capsys.readouterr().out.partition("0 odd\n")[2])["findings"]
    assert {(Path(row["file"]).name, row["bad"]) for row in findings} == {
        ("3.jpg", True),
        ("pipe.jpg", True),
    }
    words = ["train", "resnet18", "--data", f"folder:{pictures}", "--recipe", "paper-a-imagenet", *TINY]
    assert reslab(*words, "--out", "ends") == 3
    assert re.search(r"reslab: .*\.jpg: (damaged|not a regular file)", capsys.readouterr().err)
    assert reslab(*words, "--out", "goes-on", "--on-bad", "skip") == 0
    skipped = json.loads((tmp_path / "goes-on" / "result.json").read_text())["skipped"]
    assert {Path(file).name for file in skipped} == {"3.jpg", "pipe.jpg"}
    assert "skipped: " in capsys.readouterr().err
    assert reslab(*words, "--out", "x", "--on-bad", "ignore") == 2


def test_validation_pictures_are_checked_too(reslab, capsys, tmp_path):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for name in ("red", "blue"):
            (tmp_path / "parts" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 50), name).save(tmp_path / "parts" / part / name / f"{number}.png")
    assert reslab("data", "check", "folder:parts") == 0
    out = capsys.readouterr().out
    assert out == "6 training, 4 validation and 2 test images of 2 classes: 0 cannot be read, 0 odd\n"
    (tmp_path / "parts" / "val" / "red" / "1.png").write_bytes(b"damaged")
    assert reslab("data", "check", "folder:parts", "--json") == 3
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == {"train": 6, "validation": 4, "test": 2}
    assert [finding["file"] for finding in result["findings"]] == ["parts/val/red/1.png"]


def test_the_sets_are_listed_with_their_state(reslab, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path / "nowhere"))
    assert reslab("data", "list") == 0
    out = capsys.readouterr().out
    assert re.search(r"digits +1,437 +360 +10 +1×8×8 +embedded", out)
    assert re.search(r"cifar10 +not here", out)
    assert reslab("data", "check", "digits") == 0
    assert "1,437 training and 360 test images of 10 classes: 0 cannot be read" in capsys.readouterr().out
    assert reslab("data", "get", "digits") == 2


def test_a_damaged_set_is_not_called_missing(reslab, capsys, tmp_path):
    (tmp_path / "data" / "cifar-10-batches-bin").mkdir(parents=True)
    assert reslab("data", "list") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "data_batch_1.bin: No such file" in rows["cifar10"]
    assert "not here" in rows["cifar100"]


def test_without_a_home_the_embedded_set_is_there(reslab, capsys, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("RESLAB_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert reslab("data", "list") == 0
    assert "downloads a set to .cache/reslab (RESLAB_DATA)" in capsys.readouterr().out
    assert reslab("data", "check", "digits") == 0
