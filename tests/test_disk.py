"""Files that a crash cannot tear, whoever else writes."""

import os
import threading

import pytest

from reslab.disk import open_no_link, write_whole


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
