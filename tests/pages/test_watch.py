"""The live page: the same as the report, on this machine alone, newer with every look."""

import http.client
import json
import threading

import pytest

from reslab.pages.watch import server
from reslab.study.plan import make_plan
from reslab.study.runner import progress

from .conftest import STUDY


@pytest.fixture
def port(trained):
    with server(lambda: make_plan(STUDY, "demo", trained.runs[0].out.parent), 0) as serving:
        assert serving.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port
        serving.shutdown()
        thread.join()


def look(port, path="/", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_page_is_served_and_looks_for_newer_ones(port):
    status, text = look(port)
    assert status == 200
    assert 'fetch("/")' in text
    assert "ResNet-8, test, step 20: " in text


def test_nothing_else_is_served_and_to_no_other_name(port):
    assert look(port, "/../pyproject.toml")[0] == 404
    assert look(port, host="evil.example:80")[0] == 404
    assert look(port, host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("part", ["test", "validation"])
def test_progress_takes_the_error_that_is_watched_and_no_rate_for_no_time_left(tmp_path, part):
    run = make_plan(STUDY, "demo", tmp_path).runs[0]
    run.out.mkdir(parents=True)
    line = {"step": 1, "train_error": 50.0, "images_per_second": 0.0, f"{part}_error": 12.0}
    (run.out / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert progress(run)[1:] == ("50.0 %", "12.0 %", "0", "")


def test_it_tells_of_runs_under_way(tmp_path):
    from reslab.pages.study import page
    from reslab.runs.record import Record

    plan = make_plan(STUDY, "demo", tmp_path)
    told = {"network": 1, "recipe": 1, "data": "digits", "data_set": 1, "seed": 0}
    with Record(plan.runs[0].out, told) as record:
        assert "begins" in page(plan)
        record.log(step=5, train_error=50.0, images_per_second=128.0)
        text = page(plan)
        assert "<td>5/20</td><td>50.0 %</td><td></td><td>128</td><td>8 s</td>" in text
    assert "Under way" not in page(plan)
