"""The live page: the same as the report, on this machine alone, newer with every request."""

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from reslab.pages import watch
from reslab.pages.study import live_page
from reslab.runs.run import Run
from reslab.study.plan import make_plan
from reslab.study.runner import progress

from .conftest import STUDY


@pytest.fixture
def port(trained):
    with watch.server(lambda: make_plan(STUDY, "demo", trained.runs[0].out.parent), 0) as serving:
        assert serving.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port
        serving.shutdown()
        thread.join()


def get(port, path="/", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_page_is_served_and_asks_for_newer_ones(port):
    status, text = get(port)
    assert status == 200
    assert 'fetch("/")' in text
    assert "ResNet-8, test, step 20: " in text


def test_nothing_else_is_served_and_to_no_other_name(port):
    assert get(port, "/../pyproject.toml")[0] == 404
    assert get(port, host="evil.example:80")[0] == 404
    assert get(port, host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("split", ["test", "validation"])
def test_progress_shows_the_eval_splits_error_and_without_speed_no_time_left(tmp_path, split):
    run = make_plan(STUDY, "demo", tmp_path).runs[0]
    run.out.mkdir(parents=True)
    line = {"step": 1, "rate": 0.1, "train_loss": 1.0, "train_error": 50.0, "images_per_second": 0.0, "waiting": 0.0}
    line |= {f"{split}_loss": 1.0, f"{split}_error": 12.0}
    (run.out / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert progress(run)[1:] == ("50.0 %", "12.0 %", "0", "")


def test_runs_that_are_being_trained_are_listed(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path)
    run = Run(plan.runs[0].out)
    with run.lock():
        assert "begins" in live_page(plan)
        line = {
            "step": 5,
            "rate": 0.1,
            "train_loss": 1.0,
            "train_error": 50.0,
            "images_per_second": 128.0,
            "waiting": 0.0,
        }
        (run.path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        text = live_page(plan)
    assert "<td>5/20</td><td>50.0 %</td><td></td><td>128</td><td>8 s</td>" in text
    assert "<h2>Running</h2>" in text
    assert "<h2>Running</h2>" not in live_page(plan)


def test_a_client_that_leaves_is_no_error(port, capfd):
    for _ in range(4):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))  # reset, not closed
        client.close()
    assert get(port)[0] == 200
    wait_for(lambda: threads() == 0)
    assert capfd.readouterr() == ("", "")


def test_three_hundred_slow_clients_hold_few_threads_and_keep_nobody_waiting(trained, monkeypatch, capfd):
    monkeypatch.setattr(watch, "_PATIENCE", 3600)  # as if each sent a letter now and then
    plan = make_plan(STUDY, "demo", trained.runs[0].out.parent)
    with watch.server(lambda: plan, 0) as serving, ExitStack() as clients:
        accepting = threading.Thread(target=serving.serve_forever)
        accepting.start()
        most = 0
        for _ in range(300):
            clients.enter_context(socket.create_connection(("127.0.0.1", serving.server_port))).sendall(b"GET")
            most = max(most, threads())
        assert get(serving.server_port)[0] == 200
        assert 0 < most <= watch._CLIENTS
        clients.close()
        serving.shutdown()
        accepting.join()
    assert capfd.readouterr() == ("", "")


def test_a_silent_client_is_left_after_a_while(trained, monkeypatch, capfd):
    monkeypatch.setattr(watch, "_PATIENCE", 0.2)
    plan = make_plan(STUDY, "demo", trained.runs[0].out.parent)
    with watch.server(lambda: plan, 0) as serving:
        accepting = threading.Thread(target=serving.serve_forever)
        accepting.start()
        with socket.create_connection(("127.0.0.1", serving.server_port), timeout=30) as client:
            client.sendall(b"GET")
            assert client.recv(1) == b""
        serving.shutdown()
        accepting.join()
    assert capfd.readouterr() == ("", "")


def threads():
    """The number of clients that are being served."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
