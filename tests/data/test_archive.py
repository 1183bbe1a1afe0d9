"""Archives are read without extracting: hostile ones run nothing, write nothing and take little memory."""

import gzip
import io
import resource
import tarfile

import numpy as np
import pytest

from reslab.data.archive import read_gzip, read_tar
from reslab.data.cifar import CIFAR10, CIFAR100, load_cifar
from reslab.errors import DataError

from .made import SMALL10, write


def make(path, members):
    """A .tar.gz of (name or TarInfo, content) pairs."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_packed_cifar_is_the_unpacked_one(tmp_path):
    write(tmp_path / "unpacked", SMALL10)
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / CIFAR10.archive, "w:gz") as tar:
        tar.add(tmp_path / "unpacked" / CIFAR10.folder, CIFAR10.folder)
    one, other = (load_cifar("made", SMALL10, tmp_path / place) for place in ("unpacked", "packed"))
    np.testing.assert_array_equal(one.train.pixels, other.train.pixels)
    np.testing.assert_array_equal(one.test.labels, other.test.labels)
    assert one.classes == other.classes
    assert [path.name for path in (tmp_path / "packed").iterdir()] == [CIFAR10.archive]


def test_nothing_is_written_and_no_link_is_followed(tmp_path):
    (tmp_path / "secret").write_text("precious")
    inner = tmp_path / "inner"
    inner.mkdir()
    make(
        inner / "a.tar.gz",
        [
            ("../escaped", b"x"),
            (str(tmp_path / "absolute"), b"x"),
            (link("a/link", "../../secret", tarfile.SYMTYPE), b""),
            ("a/good", b"1234"),
        ],
    )
    assert read_tar(inner / "a.tar.gz", {"a/good": 4}) == {"a/good": b"1234"}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar.gz", "inner", "secret"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([(link("a", "/etc/passwd", tarfile.SYMTYPE), b"")], "a is not the one official file"),
        ([(link("a", "b", tarfile.LNKTYPE), b"")], "a is not the one official file"),
        ([("a", b"12345")], "a is not the one official file"),
        ([("a", b"1"), ("a", b"2")], "a is not the one official file"),
        ([("b", b"1")], "has no a"),
    ],
    ids=["symlink", "hardlink", "too-long", "twice", "missing"],
)
def test_a_wanted_file_must_be_the_one_official_one(tmp_path, members, message):
    make(tmp_path / "a.tar.gz", members)
    with pytest.raises(DataError, match=message):
        read_tar(tmp_path / "a.tar.gz", {"a": 4})


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"no tar" * 1000), gzip.compress(b"x" * 5000)[:-9]],
    ids=["empty", "text", "no tar", "cut"],
)
def test_what_is_no_archive_is_named(tmp_path, content):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar\.gz"):
        read_tar(path, {"a": 4})


@pytest.mark.parametrize("kind", ["file", "name"])
def test_a_bomb_ends_early_in_little_memory(tmp_path, kind):
    size = 1 << 30
    info = tarfile.TarInfo("bomb")
    info.size = size
    if kind == "name":
        info.type = tarfile.GNUTYPE_LONGNAME
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(size >> 24):
            file.write(bytes(1 << 24))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="decompresses to more than the official archive"):
        read_tar(path, {"a": 4})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(bytes(1 << 24)), "decompresses to more bytes"),
        (gzip.compress(b"abc"), "decompresses to 3 bytes, not to 10"),
        (gzip.compress(b"0123456789")[:-3], r"not a whole \.gz"),
        (b"0123456789", r"not a whole \.gz"),
    ],
    ids=["a bomb", "short", "cut", "plain"],  # gzip writes the time: bytes would name each process's tests otherwise
)
def test_a_gzip_of_another_length_is_refused(tmp_path, content, message):
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_gzip(path, 10)
    path.write_bytes(gzip.compress(b"0123456789"))
    assert read_gzip(path, 10) == b"0123456789"


@pytest.mark.parametrize(
    ("name", "files", "folder"),
    [("cifar10", CIFAR10, "cifar-10-batches-py"), ("cifar100", CIFAR100, "cifar-100-python")],
)
def test_a_pickled_cifar_is_never_read(tmp_path, name, files, folder):
    ran = tmp_path / "ran"
    (tmp_path / folder).mkdir()
    hostile = b"cos\nsystem\n(S'touch " + str(ran).encode() + b"'\ntR."
    (tmp_path / folder / "data_batch_1").write_bytes(hostile)
    with pytest.raises(
        DataError, match=f"{folder} is pickled and never read; `reslab data get {name}` gets the binary"
    ):
        load_cifar(name, files, tmp_path)
    assert not ran.exists()
