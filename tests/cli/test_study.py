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


def test_ones_own_study_goes_from_its_file_to_a_page(reslab, capsys, tmp_path):
    assert reslab("study", "new", "mine.toml") == 0
    assert reslab("study", "new", "mine.toml") == 2
    assert "exists already" in capsys.readouterr().err
    text = (tmp_path / "mine.toml").read_text().replace("steps = 60", "steps = 4").replace("seeds = 3", "seeds = 2")
    (tmp_path / "mine.toml").write_text(text)
    assert reslab("study", "show", "mine.toml") == 0
    shown = capsys.readouterr().out
    assert "4 runs, " in shown
    assert shown.splitlines()[-1] == "reslab study run mine.toml --seeds 2"
    assert reslab("study", "run", "mine.toml", "--workers", 1) == 0
    out = capsys.readouterr().out
    assert "final test error: residual is lower than plain" in out
    page = (tmp_path / "reports" / "mine-own" / "report.html").read_text()
    assert "Does a residual network learn sooner than a plain one?" in page
    assert "paper" not in page.split("</style>")[1].split("<svg")[0]
    assert reslab("study", "report", "mine.toml") == 0
    assert capsys.readouterr().out == out


def test_a_part_of_a_name_lists_its_networks(reslab, capsys):
    assert reslab("networks", "resnext") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert "resnext50-32x4d" in names
    assert all("resnext" in name for name in names)


def test_an_own_study_shows_what_its_seeds_can_show(reslab, capsys):
    assert reslab("study", "new", "mine.toml") == 0
    assert reslab("study", "show", "mine.toml") == 0
    assert "3 seeds a row have an 80 % chance to show a test error lower by 3.5 standard" in capsys.readouterr().out
    assert reslab("study", "show", "mine.toml", "--seeds", "1") == 0
    assert "one seed a row decides no claim; --seeds 3 trains more" in capsys.readouterr().out


def test_recipes_are_listed_a_line_each(reslab, capsys):
    assert reslab("recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("modern-cifar ") for line in lines)
