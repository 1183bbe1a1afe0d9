"""Files that a crash cannot tear, whoever else writes."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reslab.disk import open_no_link, read_file, remove, write_whole, written_whole


def test_two_writers_of_one_file_leave_the_whole_file_of_one(tmp_path):
    """Both have written their temporary file before either renames it."""
    path, both = tmp_path / "a.json", threading.Barrier(2, timeout=10)
    real, failed = os.fsync, []

    def fsync(descriptor):
        real(descriptor)
        both.wait()

    def write(content):
        try:
            write_whole(path, content)
        except BaseException as error:
            failed.append(error)

    contents = [b"a" * 100, b"b" * 1000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        threads = [threading.Thread(target=write, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed
    assert path.read_bytes() in contents
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    (tmp_path / "a.json").symlink_to("thesis.tex")
    with pytest.raises(OSError, match="is a link"):
        open_no_link(tmp_path / "a.json", "w")
    write_whole(tmp_path / "a.json", b"{}")
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert not (tmp_path / "a.json").is_symlink()


def test_a_file_has_the_permissions_of_a_new_file(tmp_path):
    write_whole(tmp_path / "a.json", b"{}")
    (tmp_path / "b.json").write_text("{}")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b.json").stat().st_mode


@pytest.mark.parametrize("reader", [False, True], ids=["unread", "read"])
@pytest.mark.parametrize("mode", ["a", "w", "r+", "r"])
def test_a_pipe_is_refused_and_waited_for_by_nobody(tmp_path, mode, reader):
    os.mkfifo(tmp_path / "a.json")
    other = os.open(tmp_path / "a.json", os.O_RDWR) if reader else None
    with pytest.raises(OSError, match="not a file"):
        open_no_link(tmp_path / "a.json", mode)
    with pytest.raises(OSError, match="not a file"):
        read_file(tmp_path / "a.json")
    if other is not None:
        os.close(other)


def test_a_folder_or_a_device_is_no_file(tmp_path):
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file"):
            read_file(path)


def test_of_a_link_the_link_alone_is_removed(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("precious")
    (tmp_path / "step-1").symlink_to("thesis")
    remove(tmp_path / "step-1")
    remove(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]
    remove(tmp_path / "thesis")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_written_whole_though_a_link_has_its_temporary_name(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("precious")
    (tmp_path / ".step-1.part").symlink_to("thesis")
    with written_whole(tmp_path / "step-1") as folder:
        (folder / "a").write_text("a")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *("step-1", "step-1/a", "thesis", "thesis/a.tex"),
    ]


def test_a_name_of_255_bytes_is_written(tmp_path):
    name = "ä" * 127 + "a"
    write_whole(tmp_path / name, b"x")
    with written_whole(tmp_path / ("b" + name[:-1])):
        pass
    assert len(list(tmp_path.iterdir())) == 2


def test_many_writers_of_one_file_never_fail_nor_leave_anything(tmp_path):
    many_writers(tmp_path, 100)


@pytest.mark.fuzz
def test_six_thousand_writes_of_one_file_never_fail_nor_leave_anything(tmp_path):
    many_writers(tmp_path, 3000)


def many_writers(folder, each):
    """Two threads that write one file so many times each; whoever reads sees one of them whole."""
    path = folder / "a.json"
    with ThreadPoolExecutor(2) as pool:
        writes = [pool.submit(write_whole, path, letter * (at + 1)) for at in range(each) for letter in (b"a", b"b")]
        while not all(write.done() for write in writes):
            if path.exists():
                assert len(set(path.read_bytes())) == 1
    assert [write.exception() for write in writes] == [None] * len(writes)
    assert [file.name for file in folder.iterdir()] == ["a.json"]
