"""Downloads, from a server that misbehaves in every way: a file is there whole and checked, or not at all."""

import hashlib
import http.server
import threading

import pytest
from rich.console import Console

from reslab.data.download import Remote, get
from reslab.data.loader import download
from reslab.errors import DataError, SpecError

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends CONTENT, in the way that the path says."""

    ranges: list = []  # noqa: RUF012, what was asked for

    def do_GET(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.ranges.append(start)
        if self.path == "/gone":
            self.send_error(404)
            return
        content = CONTENT
        if self.path == "/changed":
            content = b"x" + CONTENT[1:]
        elif self.path == "/longer":
            content = CONTENT + b"more"
        elif self.path == "/no-ranges":
            start = 0
        self.send_response(206 if start else 200)
        self.end_headers()
        content = content[start:]
        if self.path == "/breaks" and not start:
            content = content[: len(content) // 2]
        self.wfile.write(content)

    def log_message(self, *words): ...


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def fetch(server, tmp_path):
    """Get the file of a path; its place in the data root."""

    def get_path(path):
        digits = hashlib.sha256(CONTENT).hexdigest()
        remote = Remote(server + path, "inner/file.bin", len(CONTENT), f"sha256:{digits}")
        Handler.ranges.clear()
        return get([remote], tmp_path, Console(quiet=True))

    return get_path


def files(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_a_file_is_got_once(fetch, tmp_path):
    (path,) = fetch("/good")
    assert path == tmp_path / "inner" / "file.bin"
    assert path.read_bytes() == CONTENT
    fetch("/gone")  # nothing is asked for
    assert not Handler.ranges
    assert files(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("then", ["/good", "/no-ranges"])
def test_a_download_that_broke_off_goes_on(fetch, tmp_path, then):
    with pytest.raises(DataError, match="interrupted; the same command resumes it"):
        fetch("/breaks")
    assert files(tmp_path) == [".file.bin.part"]
    (path,) = fetch(then)
    assert Handler.ranges == [len(CONTENT) // 2]
    assert path.read_bytes() == CONTENT
    assert files(tmp_path) == ["file.bin"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("/gone", "404 Not Found"), ("/changed", "is sha256:.*expected sha256:"), ("/longer", "longer than the official")],
)
def test_what_is_not_the_official_file_is_not_kept(fetch, tmp_path, path, message):
    with pytest.raises(DataError, match=message):
        fetch(path)
    assert "file.bin" not in files(tmp_path)
    (path,) = fetch("/good")
    assert path.read_bytes() == CONTENT


def test_a_strange_file_at_its_place_is_left_alone(fetch, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file.bin").write_text("precious")
    with pytest.raises(DataError, match="not the official file; remove it"):
        fetch("/good")
    assert (tmp_path / "inner" / "file.bin").read_text() == "precious"


def test_a_place_that_cannot_be_reached_is_named(tmp_path):
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/x: .*put the file at"):
        get([Remote("http://127.0.0.1:9/x", "x", 1, "md5:0")], tmp_path, Console(quiet=True))
    with pytest.raises(SpecError, match="no data set 'cifar11': did you mean cifar10"):
        download("cifar11", Console(quiet=True))
    with pytest.raises(SpecError, match="digits: nothing to download"):
        download("digits", Console(quiet=True))
