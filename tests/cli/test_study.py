"""Studies from the command line: lists, plans and reports."""


def test_the_studies_are_listed_and_shown(reslab, capsys):
    assert reslab("study", "list") == 0
    assert "degradation" in capsys.readouterr().out
    assert reslab("study", "show", "degradation", "--seeds", 2) == 0
    out = capsys.readouterr().out
    assert "12 runs, " in out
    assert "ResNet-56  resnet56-cifar  digits    168   0/2" in out
    assert "claims\n" in out
    assert "80 % chance needs 2 seeds a row (published difference 3.51, run to run ± 0.16); 2 have 99 %" in out
    assert out.splitlines()[-1] == "reslab study run degradation --scale demo --seeds 2"


def test_a_study_that_counts_is_reported_without_a_run(reslab, capsys, tmp_path):
    assert reslab("study", "run", "cost") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-2:] == ["report: reports/cost-demo/report.html", "all reports: reports/index.html"]
    assert "holds" in out
    assert (tmp_path / "reports" / "cost-demo" / "report.html").is_file()
    assert reslab("study", "report", "cost") == 0
    assert capsys.readouterr().out == out
