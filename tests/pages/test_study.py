"""Reports: complete, self-contained, the same from the same records, with every hostile name as text."""

import csv
import json
import re
import shutil
import sys
from collections import Counter
from dataclasses import replace as change
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from reslab.pages.study import render, results, write_index
from reslab.pages.study_curves import curves
from reslab.pages.study_figures import drawings
from reslab.papers import STUDIES
from reslab.papers.claims import Claim, Published
from reslab.study.plan import make_plan

from .conftest import STUDY


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert render(trained, out) == out / "report.html"
    return out


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_has_no_address_outside_itself(report):
    page = (report / "report.html").read_text()
    assert "http" not in page
    assert "//" not in re.sub(r"/\*.*?\*/", "", page)
    assert "fetch(" not in page
    for tag, attrs in Tags(page).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert tag != "script" or attrs == {}
        for name in ("href", "xlink:href", "src"):
            assert attrs.get(name, "#").startswith(("#", "table.", "claims.", "runs.")), (tag, attrs)


def test_every_name_that_a_figure_uses_is_defined_once(report):
    page = (report / "report.html").read_text()
    ids = [attrs["id"] for _, attrs in Tags(page).tags if "id" in attrs]
    used = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert used
    assert len(ids) == len(set(ids))
    assert set(used) <= set(ids)


def test_the_page_says_scale_claims_numbers_and_how_to_do_it_again(report, trained):
    text = " ".join(Tags((report / "report.html").read_text()).text.split())
    assert "Demo scale, not the paper's" in text
    assert "A small study of <b>&shortcuts</b>" in text  # as text, not as a tag
    assert "reslab study run small --scale demo --seeds 2" in text
    content = results(trained)
    for claim in content["claims"]:
        assert claim["judgement"] in text
        assert claim["claim"] in text
    for row in content["rows"]:
        assert row["measured"]["test_error"]["text"] in text
    assert "published" not in text.replace("beside a published one", "")
    assert "8.75" not in text


def test_only_the_paper_scale_stands_beside_published_numbers(trained, tmp_path):
    plan = make_plan(STUDY, "paper", trained.runs[0].out.parent)
    render(plan, tmp_path)
    text = Tags((tmp_path / "report.html").read_text()).text
    assert "published" in text
    assert "8.75" in text
    line = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))[1]
    measured = float(line["final test error, %"].split(" ± ")[0])
    assert float(line["deviation"]) == pytest.approx(measured - 8.75, abs=0.011)


def test_claims_and_runs_are_tables_too(report, trained):
    content = results(trained)
    claims = list(csv.DictReader((report / "claims.csv").read_text().splitlines()))
    assert [claim["claim"] for claim in claims] == ["Residual is better", "Residual is not worse"]
    assert [claim["judgement"] for claim in claims] == [claim["judgement"] for claim in content["claims"]]
    assert float(claims[0]["difference"]) == pytest.approx(content["claims"][0]["difference"], abs=0.006)
    runs = list(csv.DictReader((report / "runs.csv").read_text().splitlines()))
    assert [(run["run"], int(run["seed"])) for run in runs] == [(run.row, run.seed) for run in trained.runs]
    for name in ("claims", "runs"):
        assert (report / f"{name}.tex").read_text().count(r" \\") == (report / f"{name}.md").read_text().count("\n") - 1


def test_losses_are_drawn_on_a_logarithmic_axis(trained):
    study = change(trained.study, losses=True)
    drawing = curves(change(trained, study=study))
    assert [ax.get_yscale() for ax in drawing.figure.axes] == ["log", "log", "linear", "linear"]
    texts = [text for _, _, _, text in drawing.points]
    assert any(re.fullmatch(r"ResNet-8, training loss, step 20: [\d.]+", text) for text in texts)
    assert any(re.fullmatch(r"ResNet-8, test, step 20: [\d.]+ %", text) for text in texts)


@pytest.mark.parametrize(("lowest", "scale", "bottom"), [(80, "demo", 75), (30, "demo", 0), (80, "paper", 0)])
def test_the_error_axis_begins_where_the_curves_are(trained, tmp_path, lowest, scale, bottom):
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    for run in runs.iterdir():
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        lines = [
            line | {"train_error": lowest} | ({"test_error": 90} if "test_error" in line else {}) for line in lines
        ]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    drawing = curves(make_plan(change(STUDY, losses=False), scale, runs))
    assert drawing.figure.axes[0].get_ylim() == (bottom, 95)


def test_top5_errors_are_drawn_where_the_runs_have_them(trained, tmp_path):
    """B Figs. 22, 24 and 25: without thin curves, published top-5 errors dotted."""
    assert curves(trained, top5=True) is None
    assert "curves-top5" not in drawings(trained)
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    for run in runs.iterdir():
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for line in lines:
            line |= {"test_top5_error": line["test_error"] / 2} if "test_error" in line else {}
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    last = make_plan(STUDY, "demo", runs).runs[0].run.metrics[-1]
    rows = [
        change(row, published=Published("B Table 2", {"test_error": 21.2, "top5_error": 5.6})) for row in STUDY.rows
    ]
    study = change(STUDY, rows=tuple(rows), losses=True)
    drawing = drawings(make_plan(study, "paper", runs))["curves-top5"]
    ax = drawing.figure.axes[0]
    assert ax.get_ylabel() == "top-5 error, %   (test)"
    assert [line.get_ydata()[0] for line in ax.lines if line.get_ls() == ":"] == [5.6]
    assert sum(line.get_ls() != ":" for line in ax.lines) == 1
    texts = [text for _, _, _, text in drawing.points]
    assert all(re.match(r"(plain|ResNet)-8, test, top-5, step \d+: ", text) for text in texts)
    assert last.test_top5_error < ax.get_ylim()[1] < 60
    render(make_plan(study, "paper", runs), tmp_path / "report")
    assert 'id="curves-top5-series-' in (tmp_path / "report" / "report.html").read_text()


def test_pictures_with_a_validation_part_are_drawn_by_it(trained, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    for run in runs.iterdir():
        metrics = run / "metrics.jsonl"
        metrics.write_text(metrics.read_text().replace('"test_', '"validation_'))
        result = json.loads((run / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(result | {"validation": result["test"]}))
    drawing = curves(make_plan(STUDY, "demo", runs))
    assert drawing.figure.axes[0].get_ylabel() == "error, %   (thin: training, bold: validation)"
    assert "bold: error on the whole validation set" in drawing.caption
    assert any(text.startswith("ResNet-8, validation, step 20: ") for _, _, _, text in drawing.points)


def test_figures_are_readable_in_every_format(report):
    for name in ("curves", "curves-log", "units"):
        with Image.open(report / f"figures/{name}.png") as picture:
            assert picture.width > 500
            assert len(set(picture.convert("L").tobytes())) > 20
        assert ElementTree.parse(report / f"figures/{name}.svg").getroot().tag.endswith("svg")
        assert (report / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def test_tables_agree_with_the_records(report, trained):
    rows = list(csv.DictReader((report / "table.csv").read_text().splitlines()))
    content = json.loads((report / "results.json").read_text())
    assert content == json.loads(json.dumps(results(trained)))
    assert [row["network"] for row in rows] == ["plain-8", "ResNet-8"]
    for row, summary in zip(rows, content["rows"], strict=True):
        values = [run["test_error"] for run in content["runs"] if run["row"] == row["network"]]
        assert float(row["final test error, %"].split(" ± ")[0]) == pytest.approx(sum(values) / 2, abs=0.01)
        assert summary["n"] == int(row["n"]) == 2
        assert int(row["parameters"].replace(",", "")) == summary["parameters"]
    markdown = (report / "table.md").read_text().splitlines()
    assert len(markdown) == 4
    assert markdown[2].count("|") == len(rows[0]) + 1
    latex = (report / "table.tex").read_text()
    assert r"final training error, \% &" in latex
    assert "below 10" not in latex, "no run reached it"
    assert "Steps to 10 %" not in (report / "report.html").read_text()
    assert latex.count(r" \\") == 3


def test_what_the_runs_answered_for_each_image_is_used_where_they_kept_it(report, trained, tmp_path):
    """Calibration, disagreement of the seeds, and an interval over the test images too."""
    row = list(csv.DictReader((report / "table.csv").read_text().splitlines()))[1]
    first, second = (run.run.answers for run in trained.runs_of("ResNet-8"))
    disagree = 100 * (first.predicted != second.predicted).mean()
    assert float(row["answers that two seeds disagree on, %"]) == pytest.approx(disagree, abs=0.006)
    calibration = float(row["calibration error, %"].split(" ± ")[0])
    assert calibration == pytest.approx((first.calibration_error + second.calibration_error) / 2, abs=0.006)
    claims = json.loads((report / "results.json").read_text())["claims"]
    (low, high), none = (claim["over_images"] for claim in claims)
    assert none is None, "of test errors alone"
    assert low < claims[0]["difference"] < high
    assert "over the test images as well" in (report / "report.html").read_text()
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    next(runs.rglob("answers.safetensors")).unlink()  # of an older version
    older = make_plan(STUDY, "demo", runs)
    assert results(older)["claims"][0]["over_images"] is None
    assert "as well" not in render(older, tmp_path / "report").read_text()


def test_a_figure_stays_where_it_is_with_every_file_that_is_saved(trained):
    """Laid out anew for each, its legend moved the axes."""
    drawing, alone = curves(trained), curves(trained)
    first = drawing.save("svg")
    drawing.save("png")
    assert drawing.save("svg") == first == alone.save("svg")


def test_the_same_records_give_the_same_files(report, trained, tmp_path):
    render(trained, tmp_path)
    for path in sorted(report.rglob("*.*")):
        assert (tmp_path / path.relative_to(report)).read_bytes() == path.read_bytes(), path


def test_a_report_opens_each_file_of_a_run_once(trained, tmp_path):
    runs = trained.runs[0].out.parent
    opened = []

    def count(event, arguments):
        if event == "open" and arguments[1] and Path(str(arguments[0])).is_relative_to(runs) and opening:  # not os.open
            opened.append(Path(arguments[0]))

    sys.addaudithook(count)
    opening = True
    render(make_plan(STUDY, "demo", runs), tmp_path)
    opening = False
    assert set(Counter(opened).values()) == {1}, Counter(opened)
    assert {file.name for file in opened} == {"run.json", "result.json", "metrics.jsonl", "answers.safetensors"}
    assert len({file.parent for file in opened}) == len(trained.runs)


def test_a_study_with_runs_missing_says_so(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path / "runs")
    text = Tags(render(plan, tmp_path / "report").read_text()).text
    assert "Not run: plain-8; ResNet-8." in text
    assert "Not decided: no run has finished." in " ".join(text.split())
    assert "below 10 %" in (tmp_path / "report" / "table.csv").read_text()
    assert drawings(plan) == {}, "no figure is empty"


@pytest.fixture
def unfinished(trained, tmp_path):
    """The small study with its paper scale, one row finished and the other stopped after 10 of 20 steps."""
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    for run in [runs / planned.out.name for planned in trained.runs if planned.row == "plain-8"]:
        (run / "result.json").unlink()
        lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
        (run / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] <= 10))
    return make_plan(STUDY, "paper", runs)


def test_an_unfinished_run_is_drawn_to_where_it_stands_and_has_no_result(unfinished, tmp_path):
    plan = unfinished
    assert [run.row for run in plan.runs if not run.done] == ["plain-8", "plain-8"]
    legend = [text.get_text() for ax in curves(plan).figure.axes for text in ax.get_legend().get_texts()]
    assert legend == ["plain-8, to step 10", "ResNet-8"]
    text = " ".join(Tags(render(plan, tmp_path / "report").read_text()).text.split())
    assert "without a result: plain-8 (to step 10)" in text
    assert "not finished Residual is better" in text
    assert "plain-8: not finished" in text
    assert "plain-8: not run" not in text
    assert re.search(r"so far, at step 10 of 20, ResNet-8 has [\d.]+ % test and [\d.]+ % training error where", text)
    row = next(csv.DictReader((tmp_path / "report" / "table.csv").read_text().splitlines()))
    assert (row["network"], row["n"], row["final test error, %"]) == ("plain-8", "0", "not run")


def test_a_panel_says_how_many_runs_its_rows_have(trained, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    for planned in trained.runs:
        if (planned.row, planned.seed) == ("ResNet-8", 1):
            shutil.rmtree(runs / planned.out.name)
    some = curves(make_plan(STUDY, "demo", runs))
    assert [ax.get_title() for ax in some.figure.axes] == ["plain (n = 2)", "residual (n = 1)"]
    assert "bands: minimum to maximum" in some.caption
    one = curves(make_plan(STUDY, "demo", runs, seeds=1))
    assert [ax.get_title() for ax in one.figure.axes] == ["plain (n = 1)", "residual (n = 1)"]
    assert "bands" not in one.caption


def test_the_hardware_stands_beside_rows_that_were_trained_on_unlike_ones(trained, report, tmp_path):
    def trained_on(page):
        return [line.get("trained on") for line in csv.DictReader((page.parent / "table.csv").read_text().splitlines())]

    assert trained_on(report / "report.html") == [None, None]
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs[0].out.parent, runs)
    for planned in trained.runs:
        if planned.row == "ResNet-8":
            file = runs / planned.out.name / "run.json"
            facts = json.loads(file.read_text())
            facts["machine"]["processor"] = "Another"
            file.write_text(json.dumps(facts))
    known, other = trained_on(render(make_plan(STUDY, "demo", runs), tmp_path / "report"))
    assert other.startswith("Another, ")
    assert known != other


def test_what_a_scale_cannot_decide_is_counted_and_folded(trained, tmp_path):
    whole = Claim("Whole is better", "ResNet-8", "plain-8", "test_error", "A Fig. 6", scales=("paper",))
    plan = make_plan(change(STUDY, claims=(*STUDY.claims, whole)), "demo", trained.runs[0].out.parent)
    page = render(plan, tmp_path / "report").read_text()
    folded = page.partition("<summary>What this scale cannot decide: 1 claim</summary>")[2].partition("</details>")[0]
    assert "Whole is better" in folded


def test_the_published_error_is_a_dotted_line_at_paper_scale_alone(trained, unfinished):
    def dotted(plan):
        return [line.get_ydata()[0] for ax in curves(plan).figure.axes for line in ax.lines if line.get_ls() == ":"]

    assert dotted(unfinished) == [8.75]
    assert dotted(trained) == []


def test_the_page_begins_with_its_question_and_the_answer(report, trained):
    page = (report / "report.html").read_text()
    text = " ".join(Tags(page).text.split())
    told = results(trained)["answer"]
    order = ["Does it run?", f"{told['word']}: {told['numbers']}", "How sure is this?", "What the paper claims"]
    order += ["For a student", "The rows, each with its network", "How claims are judged", "Do it again", "Papers"]
    places = [text.rindex(part) for part in order]
    assert places == sorted(places)
    described = [attrs["content"] for tag, attrs in Tags(page).tags if attrs.get("property") == "og:description"]
    assert described == [f"{told['word']}: {told['numbers']}"]


def test_papers_have_their_names_on_the_page(report):
    text = " ".join(Tags((report / "report.html").read_text()).text.split())
    assert "He et al. 2016a Fig. 6" in text
    assert "Deep Residual Learning for Image Recognition" in text
    assert not re.search(r"\b[ABC] (sec|Fig|Table)", text)


def test_every_curve_has_a_switch_and_its_points_follow(report):
    page = Tags((report / "report.html").read_text())
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    series = [attrs["data-switch"] for _, attrs in page.tags if "data-switch" in attrs]
    assert series == ["0", "1"]
    for name in series:
        for figure in ("curves", "curves-log"):
            assert sum(each.startswith(f"{figure}-series-{name}-") for each in ids) >= 2
        assert any(attrs.get("data-series") == name for tag, attrs in page.tags if tag == "circle")


def test_hostile_names_are_text_in_every_form(tmp_path):
    name = "<img src=x onerror=alert(1)> | & _^~\\ %"
    rows = tuple(change(row, name=name) if row.name == "plain-8" else row for row in STUDY.rows)
    scale = change(STUDY.scales["demo"], rows=(name, "ResNet-8"))
    study = change(STUDY, rows=rows, claims=(), scales={"demo": scale}, title="</title><script>alert(2)</script>")
    render(make_plan(study, "demo", tmp_path / "runs"), tmp_path / "reports" / "hostile")
    index = write_index(tmp_path / "reports").read_text()
    page = (tmp_path / "reports/hostile/report.html").read_text()
    for text in (page, index):
        assert not any(tag == "img" or "onerror" in attrs for tag, attrs in Tags(text).tags)
        assert "alert(2)" not in "".join(re.findall(r"<script>(.*?)</script>", text, re.DOTALL))
    assert name in Tags(page).text
    for table in ("table", "runs"):
        latex, markdown = ((tmp_path / f"reports/hostile/{table}.{form}").read_text() for form in ("tex", "md"))
        assert (
            r"\textless{}img src=x onerror=alert(1)\textgreater{} \textbar{} \& "
            r"\_\textasciicircum{}\textasciitilde{}\textbackslash{} \%"
        ) in latex
        assert r"| \<img src=x onerror=alert(1)> \| & _^~\\ % |" in markdown
        lines = csv.reader((tmp_path / f"reports/hostile/{table}.csv").read_text().splitlines())
        assert name in [line[0] for line in lines]


def test_points_show_their_values_where_the_figure_has_them(report):
    page = (report / "report.html").read_text()
    titles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="5"[^>]*><title>(.*?)</title>', page)
    assert any(title.startswith("ResNet-8, test, step 20: ") for _, _, title in titles)
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', page).groups())
    assert all(0 < float(x) < width and 0 < float(y) < height for x, y, title in titles if "step" in title)
    by_step = {title.rpartition("step ")[2].split(":")[0]: float(x) for x, _, title in titles if "plain-8, tr" in title}
    assert by_step["10"] < by_step["15"] < by_step["20"]


def test_the_index_lists_reports_and_skips_what_is_none(report, tmp_path):
    shutil.copytree(report, tmp_path / "small-demo")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text("[]")
    shutil.copytree(report, tmp_path / "whole")
    whole = json.loads((tmp_path / "whole" / "results.json").read_text())
    (tmp_path / "whole" / "results.json").write_text(json.dumps(whole | {"scale": "paper", "title": "As printed"}))
    page = Tags(write_index(tmp_path).read_text())
    text = page.text
    assert text.count("A small study of") == 1
    assert "Does it run?" in text
    assert text.index("As printed") < text.index("A small study of"), "the papers' scale first"
    assert [attrs["src"] for tag, attrs in page.tags if tag == "img"] == ["whole/figures/curves.svg"]
    assert write_index(tmp_path / "empty").is_file()


def test_analyses_of_a_studys_runs_stand_on_its_page_and_in_the_index(trained, tmp_path):
    for folder, label in (("inside", trained.runs[0].out.name), ("elsewhere", "resnet20-cifar")):
        analysis = {"kind": "responses", "title": f"Responses {folder}", "networks": {label: "resnet20-cifar"}}
        (tmp_path / folder).mkdir()
        analysis |= {"findings": [{"judgement": "holds"}]}
        (tmp_path / folder / "results.json").write_text(json.dumps(analysis))
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "results.json").write_text(json.dumps(analysis | {"networks": ["resnet20-cifar"]}))
    page = Tags(render(trained, tmp_path / "report").read_text())
    assert "Responses inside" in page.text
    assert "Responses elsewhere" not in page.text
    assert ("a", {"href": "../inside/analysis.html"}) in page.tags
    index = Tags(write_index(tmp_path).read_text())
    assert ("a", {"href": "inside/analysis.html"}) in index.tags
    assert "Responses elsewhere" in index.text
    assert index.text.count("1 holds") == 2


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_every_study_renders_before_its_first_run(name, scale, tmp_path):
    page = render(make_plan(STUDIES[name], scale, tmp_path / "runs"), tmp_path / "report")
    assert page.stat().st_size < 2_000_000
    text = Tags(page.read_text()).text
    assert STUDIES[name].title in text
    published = [value for row in STUDIES[name].rows if row.published for value in row.published.values.values()]
    if name == "cost" or scale == "paper":
        assert f"{published[0]:g}" in text
    else:
        numbers = re.findall(r"\d+\.\d+", text)
        assert not any(f"{value:.2f}" in numbers for value in published if isinstance(value, float))
