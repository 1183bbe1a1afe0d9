"""Fashion-MNIST's IDX files: read exactly, refused where they are damaged."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from reslab.data.idx import FASHION_MNIST, KMNIST, MNIST, load_idx
from reslab.data.loader import SETS, load
from reslab.errors import DataError

FOLDER = "fashion-mnist"
SMALL = FASHION_MNIST._replace(counts=(20, 10))


@pytest.fixture
def made(tmp_path):
    """A small set: 20 training and 10 test images."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", 20), ("t10k", 10)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        header = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in pixels.shape)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pixels.tobytes()))
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes((0, 0, 8, 1)) + count.to_bytes(4, "big") + labels.tobytes()
        )
        np.save(folder / f"{part}.npy", pixels)
    return tmp_path


def test_packed_and_unpacked_files_are_read(made):
    data = load_idx(FOLDER, SMALL, made)
    np.testing.assert_array_equal(data.train.pixels[:, 0], np.load(made / FOLDER / "train.npy"))
    assert data.test.labels.tolist() == list(range(10))
    assert (data.channels, data.size, data.classes[9]) == (1, 28, "Ankle boot")


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("train-images-idx3-ubyte.gz", lambda raw: raw[:-9], r"not a whole \.gz"),
        ("train-images-idx3-ubyte.gz", lambda raw: gzip.compress(bytes(1 << 22)), "more bytes, not to 15,696"),
        (
            "train-images-idx3-ubyte.gz",
            lambda raw: gzip.compress(b"\0\0\x09" + gzip.decompress(raw)[3:]),
            "not the IDX file of 20 × 28 × 28 bytes",
        ),
        ("t10k-labels-idx1-ubyte", lambda raw: raw[:-1], "17 bytes, not 18"),
        ("t10k-labels-idx1-ubyte", lambda raw: raw[:-1] + b"\x0b", "has label 11"),
    ],
)
def test_damage_is_named_with_its_file(made, file, damage, message):
    path = made / FOLDER / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load_idx(FOLDER, SMALL, made)
    assert file in str(caught.value)


def test_a_missing_file_names_its_command(made):
    (made / FOLDER / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="reslab data get fashion-mnist"):
        load_idx(FOLDER, SMALL, made)


@pytest.mark.parametrize(("name", "files"), [("mnist", MNIST), ("kmnist", KMNIST), (FOLDER, FASHION_MNIST)])
def test_a_set_of_idx_files_is_a_row(made, name, files):
    (made / FOLDER).rename(made / name)
    data = load_idx(name, files._replace(counts=(20, 10)), made)
    assert (data.name, data.classes, data.size) == (name, files.classes, 28)
    assert [remote.file for remote in SETS[name].files] == [remote.file for remote in files.remotes(name)]
    assert SETS[name].files[3].file == f"{name}/t10k-labels-idx1-ubyte.gz"


@pytest.mark.skipif(
    not (Path(os.environ.get("RESLAB_DATA", "/nowhere")) / FOLDER).is_dir(),
    reason="RESLAB_DATA names no directory with fashion-mnist",
)
def test_the_real_set_is_read():
    data = load("fashion-mnist")
    assert data.train.pixels.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.train.labels[:3].tolist() == [9, 0, 0]
