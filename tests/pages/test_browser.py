"""The report in a browser: nothing goes wrong, nothing goes out, everything is seen. Needs Chromium and Playwright."""

import shutil

import pytest

from reslab.pages.study import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    return render(trained, tmp_path_factory.mktemp("seen"))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_loads_nothing_and_shows_the_values_of_its_points(browser, report, width, scheme):
    assert report.stat().st_size < 2_000_000
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong, asked = [], []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert asked == [report.as_uri()]
    assert page.title() == "A small study of <b>&shortcuts</b> – demo scale"
    figures = page.locator("figure svg:visible")
    assert figures.count() == 2
    for index in range(2):
        box = figures.nth(index).bounding_box()
        assert box["width"] > 250
        assert box["height"] > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#tooltip").is_hidden()
    point = page.locator(".points circle", has_text="ResNet-8, test, step 20").first
    point.scroll_into_view_if_needed()
    point.hover()
    assert page.locator("#tooltip").inner_text().startswith("ResNet-8, test, step 20: ")
    tooltip = page.locator("#tooltip").bounding_box()
    assert tooltip["x"] >= 0
    assert tooltip["x"] + tooltip["width"] <= width
    curve = page.locator('[id^="curves-series-1-"]').first
    page.locator("[data-switch='1']").click()
    assert curve.is_hidden()
    page.locator("[data-log]").check()
    assert page.locator("[data-axis=linear]").is_hidden()
    assert wrong == []
    page.close()
