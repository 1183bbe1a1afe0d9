"""The official binary format of CIFAR: read exactly, and refused where it is damaged."""

import os
from pathlib import Path

import numpy as np
import pytest

from reslab.data.cifar import CIFAR10, load_cifar
from reslab.data.loader import load
from reslab.errors import DataError

from .made import SMALL10, SMALL100, write


@pytest.mark.parametrize("files", [SMALL10, SMALL100], ids=["cifar10", "cifar100"])
def test_a_made_archive_is_read_as_it_was_written(tmp_path, files):
    made = write(tmp_path, files)
    data = load_cifar("made", files, tmp_path)
    np.testing.assert_array_equal(data.test.labels, made[files.test][0])
    np.testing.assert_array_equal(data.test.pixels, made[files.test][1])
    np.testing.assert_array_equal(data.train.pixels, np.concatenate([made[file][1] for file in files.train]))
    assert data.classes[-1] == f"class{files.classes - 1}"
    assert (data.channels, data.size) == (3, 32)


def truncated(folder):
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])


def cut_by_a_record(folder):
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-3073])


def label_too_large(folder):
    path = folder / "data_batch_3.bin"
    raw = bytearray(path.read_bytes())
    raw[3073] = 10
    path.write_bytes(raw)


def label_changed(folder):
    path = folder / "test_batch.bin"
    raw = bytearray(path.read_bytes())
    raw[0] = (raw[0] + 1) % 10
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "data_batch_3.bin: 61,459 bytes, but 20 records"),
        (cut_by_a_record, "data_batch_3.bin: 58,387 bytes, but 20 records"),
        (label_too_large, "data_batch_3.bin: record 1 has label 10, labels go from 0 to 9"),
        (label_changed, "test_batch.bin: 0 to 2 images of a class"),
        (lambda folder: (folder / "data_batch_3.bin").unlink(), "data_batch_3.bin: No such file"),
        (lambda folder: (folder / "batches.meta.txt").write_text("cat dog"), "batches.meta.txt: 2 class names"),
        (lambda folder: (folder / "batches.meta.txt").write_bytes(b"\xff\xfe"), "batches.meta.txt: not a text"),
    ],
)
def test_damage_is_named_with_its_file(tmp_path, damage, message):
    write(tmp_path, SMALL10)
    damage(tmp_path / CIFAR10.folder)
    with pytest.raises(DataError) as caught:
        load_cifar("made", SMALL10, tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_set_is_named_with_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path))
    with pytest.raises(
        DataError,
        match=f"no {tmp_path}/cifar-100-binary.tar.gz and no folder .*\n.*reslab data get cifar100.*RESLAB_DATA",
    ):
        load("cifar100")


@pytest.mark.skipif(
    not (Path(os.environ.get("RESLAB_DATA", "/nowhere")) / CIFAR10.folder).is_dir(),
    reason="RESLAB_DATA names no directory with cifar-10-batches-bin",
)
def test_the_real_cifar10_is_read():
    data = load("cifar10")
    assert data.train.pixels.shape == (50_000, 3, 32, 32)
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.train.labels[:5].tolist() == [6, 9, 9, 4, 1]
    # the means that everybody normalises CIFAR-10 with
    np.testing.assert_allclose(data.train.mean().mean((1, 2)), [0.4914, 0.4822, 0.4465], atol=1e-4)
