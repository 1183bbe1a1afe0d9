"""Reports of analyses: pages, tables, figures, claims and the output of the command."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.analyse.made import described, without_residuals

from reslab import analyse_networks
from reslab.analyse import claims
from reslab.analyse.analysis import folder_name
from reslab.analyse.gradients import GradientAnalysis
from reslab.analyse.inputs import INITIAL, TRAINED, Inputs, Subject, read_subjects
from reslab.analyse.lesion import LesionAnalysis
from reslab.analyse.responses import ResponseAnalysis
from reslab.cli import main
from reslab.data.loader import load
from reslab.errors import SpecError
from reslab.nets import network
from reslab.pages.analysis import render
from reslab.stats import Sample
from reslab.train.loop import fitted
from reslab.weights.file import Weights, save_weights

KINDS = {"responses": ResponseAnalysis(), "gradients": GradientAnalysis(), "lesion": LesionAnalysis()}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def files(digits, tmp_path_factory):
    """Weights of plain and residual networks of two depths, two of each; the residuals are zero."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("plain8", "resnet8", "resnet14"):
        for seed in (0, 1):
            spec = fitted(network(f"{name}-cifar"), digits)
            made = without_residuals(spec.build()) if "res" in name else spec.build()
            save_weights(Weights(spec, made.state_dict()), folder / f"{name}-{seed}.safetensors")
    return sorted(map(str, folder.iterdir()))


@pytest.mark.parametrize("kind", KINDS)
def test_each_analysis_has_its_page(kind, files, digits, tmp_path):
    shares = []
    report = KINDS[kind].run(Inputs(read_subjects(files, digits), digits, 20), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    page = render(report, "reslab analyse", tmp_path / "report")
    text = unescape(page.read_text())
    assert all(claim.claim in text for claim in report.claims)
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    for name in report.tables:
        assert len({len(cells) for cells in results[name].values()}) == 1
        assert (tmp_path / "report" / f"{name}.csv").is_file()
        assert set(results[name]) <= described(kind)
    assert results["networks"] == {Path(file).stem: f"{Path(file).stem[:-2]}-cifar" for file in files}


def test_plain_columns_hold_numbers(files, digits):
    report = analyse_networks("gradients", files[:1], "digits", images=20)
    table = report.columns()
    assert all(isinstance(value, float) for value in table["gradient"])
    assert table["factor"] == [None] * len(table["behind"])
    for kind, options, message in (
        ("responces", {}, "did you mean responses"),
        ("cost", {"data": "digits"}, "no option 'data' of this analysis"),
        ("lesion", {}, "give data"),
        ("lesion", {"data": "digits", "image": 9}, "did you mean images"),
        ("lesion", {"data": "digits", "images": 1}, "--images 1: at least 2"),
        ("responses", {"data": "digits", "mode": "trian"}, "choose from eval, train"),
    ):
        with pytest.raises(SpecError, match=message):
            analyse_networks(kind, files[:1], **options)


def test_zero_residuals_respond_less_than_plain_layers(files, digits):
    judged = ResponseAnalysis().run(Inputs(read_subjects(files, digits), digits, 50)).claims
    assert [finding.claim for finding in judged] == [
        "Residual responses are smaller than plain ones: resnet8-cifar and plain8-cifar",
        "A deeper residual network has smaller responses: resnet14-cifar and resnet8-cifar",
    ]
    alone = ResponseAnalysis().run(Inputs(read_subjects(files[::2], digits), digits, 50)).claims
    assert [finding.judgement for finding in alone] == ["not decided"] * 2
    assert "two runs of each decide" in alone[0].evidence


@pytest.fixture(scope="module")
def zeros(digits):
    """The digits whose test images are zeros alone."""
    return replace(digits, test=digits.test.take(np.flatnonzero(digits.test.labels == 0)))


def sure(subject, digit):
    """The subject, which takes every image for a digit."""
    for module in subject.states.values():
        torch.nn.init.zeros_(module.head.linear.weight)
        module.head.linear.bias.data[digit] = 100.0
    return subject


def test_zero_residuals_are_not_missed(files, zeros):
    right = [sure(one, 0) for one in read_subjects([file for file in files if "resnet8" in file], zeros)]
    report = LesionAnalysis().run(Inputs(right, zeros, 20))
    assert report.warnings == ()
    (finding,) = report.claims
    assert finding.claim == "Without one unit, the median one, a residual network's error hardly changes: resnet8-cifar"
    assert finding.judgement == "holds"


def test_networks_at_chance_are_left_out_of_what_is_judged(files, zeros, tmp_path):
    right = [sure(one, 0) for one in read_subjects([file for file in files if "resnet8" in file], zeros)]
    wrong = sure(Subject("wrong", right[0].spec, {TRAINED: right[0].spec.build().eval()}), 1)
    report = LesionAnalysis().run(Inputs([*right, wrong], zeros, 20))
    (finding,) = report.claims
    assert finding.judgement == "holds"
    assert finding.evidence.endswith("resnet8-cifar 0 ± 0 (n = 2) and the bound 0.1; left out: wrong")
    assert {column.title: column.cells for column in report.table}["share of the way to chance"] == [""]
    page = render(report, "reslab analyse", tmp_path).read_text()
    assert "At chance (90 %) as a whole, or less than 1 point below it: wrong. " in page
    (finding,) = LesionAnalysis().run(Inputs([wrong], zeros, 20)).claims
    assert finding.judgement == "not decided"
    assert "resnet8-cifar (n = 0)" in finding.evidence


def none(word):
    raise AssertionError(f"{word} in JSON")


@pytest.mark.parametrize(("kind", "column"), [("responses", "standard deviation"), ("gradients", "signal")])
def test_values_that_are_not_finite_are_left_out_and_named(kind, column, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wild = "resnet8-cifar merge=scaled merge.shortcut=1e30"
    words = ["analyse", kind, wild, "resnet8-cifar", "--data", "digits", "--images", "8", "--out", "here", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    out, err = capsys.readouterr()
    labels = [f"{wild}, seed {seed}" for seed in range(3)] if kind == "gradients" else [wild]
    warning = f"Values that are not finite in {'; '.join(f'{label} (initial)' for label in labels)}: "
    assert warning in err
    assert warning in Path("here/analysis.html").read_text()
    results = json.loads(out, parse_constant=none)
    assert results["notes"][0].startswith(warning)
    empty = {
        name for name, value in zip(results["values"]["network"], results["values"][column], strict=True) if not value
    }
    assert empty == set(labels)
    assert None in results["values"][column]
    for file in Path("here").glob("*.csv"):
        assert not re.search(r"\b(nan|inf)\b", file.read_text())
    assert "resnet8-cifar merge=scaled merge.shortcut=1e" in Path(f"here/figures/{kind}.svg").read_text()


@pytest.mark.parametrize("kind", ["responses", "gradients"])
def test_a_network_without_any_finite_value_has_its_page(kind, files, digits, tmp_path):
    subjects = read_subjects(files[:1], digits)
    torch.nn.init.constant_(subjects[0].states[TRAINED].stem.conv1.weight, float("nan"))
    report = KINDS[kind].run(Inputs(subjects, digits, 20))
    assert report.warnings[0].startswith("Values that are not finite in plain8-0 (trained): ")
    assert "holds" not in {finding.judgement for finding in report.claims}
    render(report, "reslab analyse", tmp_path)


def test_runs_whose_values_are_not_finite_are_not_judged():
    spec = network("resnet8-cifar")
    of = [Subject(f"run{seed}", spec, {}) for seed in range(3)]
    runs = Sample((1.0, float("nan"), 1.1))
    finding = claims.test_claim("low", "A", "what", (runs, 9.0), (of, of))
    assert (finding.judgement, finding.evidence) == (
        "holds",
        "what: resnet8-cifar 1.050 ± 0.071 (n = 2) and the bound 9; left out: run1",
    )


def test_a_difference_of_responses_that_is_sure_but_small_does_not_hold():
    of = [Subject(f"run{seed}", network("resnet8-cifar"), {}) for seed in range(3)]
    lower, higher = Sample((0.98, 0.992, 1.004)), Sample((1.014, 1.02, 1.026))
    assert claims.test_claim("low", "A", "what", (lower, higher), (of, of)).judgement == "holds"
    assert claims.test_claim("low", "A", "what", (lower, higher), (of, of), least=0.1).judgement == "does not hold"


def test_a_training_is_shown_along_its_checkpoints(digits):
    spec = fitted(network("resnet8-cifar"), digits)
    moments = {INITIAL: spec.build(), "step 5": spec.build(), "trained": spec.build()}
    report = GradientAnalysis().run(Inputs([Subject("run", spec, moments)], digits, 20))
    assert list(report.drawings) == ["gradients", "training"]
    points = {text.split(":")[0] for *_, text in report.drawings["training"].points}
    assert {f"run, {moment}, unit 0" for moment in moments} <= points
    assert [column.cells for column in report.table if column.title == "weights"] == [list(moments)]
    ends = GradientAnalysis().run(Inputs([Subject("run", spec, {INITIAL: spec.build()})], digits, 20))
    assert list(ends.drawings) == ["gradients"]


def test_gradients_are_judged_by_what_a_network_is(digits):
    scaled, gated = "resnet8-cifar merge=scaled merge.shortcut=0.1", "resnet8-cifar merge=gated"
    of = read_subjects(["plain8-cifar", "resnet8-cifar", scaled, gated], digits)
    findings = GradientAnalysis().run(Inputs(of, digits, 20)).claims
    claims = [finding.claim.split(":")[0] for finding in findings]
    product = "Shortcut factors below 1 multiply to next to nothing"
    alive = "The network is alive, its last maps are not all zero"
    assert claims == [
        "BN keeps the gradient of a plain network from vanishing",
        alive,
        "Identity shortcuts carry the gradient back undiminished",
        alive,
        product,
        alive,
        product,
        alive,
    ]
    assert [finding.judgement for finding in findings if product in finding.claim] == ["holds", "not decided"]
    assert "product of 3 factors, initial weights: 0.001, the bound 0.01" in [finding.evidence for finding in findings]


def test_fresh_weights_have_nothing_to_lose(digits):
    with pytest.raises(SpecError, match="resnet8-cifar: fresh weights have nothing to lose"):
        LesionAnalysis().run(Inputs(read_subjects(["resnet8-cifar"], digits), digits, 20))


def test_networks_without_3x3_layers_are_named(digits):
    spec = network("lenet5")
    five = Subject("five", spec, {INITIAL: spec.build()})
    with pytest.raises(SpecError, match="five: no 3×3 layer"):
        ResponseAnalysis().run(Inputs([five], digits, 20))


def test_reports_of_changed_fields_have_places_of_their_own():
    words = [f"resnet20-cifar merge=gated merge.bias=-{bias}.0" for bias in range(9)]
    names = {folder_name("gradients", ["resnet20-cifar", word], "digits") for word in words}
    assert len(names) == 9
    assert all(re.fullmatch(r"gradients-resnet20-cifar-[0-9a-f]{8}-digits", name) for name in names)
    assert folder_name("gradients", ["plain20-cifar"] * 2, "digits") == "gradients-plain20-cifar-digits"


def test_the_command_prints_the_table_the_claims_and_the_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["analyse", "responses", "resnet20-cifar", "--data", "digits", "--images", "20"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("network")
    assert out.splitlines()[-2:] == [
        "report: reports/responses-resnet20-cifar-digits/analysis.html",
        "all reports: reports/index.html",
    ]
    index = Path("reports/index.html").read_text()
    assert 'href="responses-resnet20-cifar-digits/analysis.html"' in index
    assert "responses: 100 %" in err
    with pytest.raises(SystemExit):
        main([*words, "--json", "--out", "here"])
    results = json.loads(capsys.readouterr().out)
    assert results["page"] == "here/analysis.html"
    assert results["command"] == (
        "reslab analyse responses resnet20-cifar --data digits --images 20 --seed 0 --mode eval --out here"
    )


@pytest.mark.parametrize("kind", ["responses", "landscape"])
def test_pictures_that_cannot_be_read_end_a_command_or_are_skipped_and_named(kind, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / "pictures" / part / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (32, 32), (90 * number, 50, 9)).save(f"pictures/{part}/{name}/{number}.png")
    Path("pictures/val/b/0.png").write_bytes(b"none")
    Path("pictures/train/b/1.png").write_bytes(b"none")
    words = ["analyse", kind, "resnet8-cifar", "--data", "folder:pictures", "--images", "9", "--out", "here"]
    words += ["--points", "3", "--workers", "1"] * (kind == "landscape")
    for more, code in (([], 3), (["--on-bad", "ignore"], 2), (["--on-bad", "skip"], 0)):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert (ended.value.code or 0) == code
        assert Path("here").exists() == (code == 0)
    assert re.search(r"^skipped: pictures/(val/b/0|train/b/1).png: not a picture$", capsys.readouterr().err, re.M)
    results = json.loads(Path("here/results.json").read_text())
    assert "--on-bad skip --out here" in results["command"]
    assert results["facts"]["images"].startswith("3 of 4 t")
