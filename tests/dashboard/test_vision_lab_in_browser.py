"""Vision Lab in a real browser, with a real server: upload, zoom that stays, the chosen row, before / after."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from copperline.data.images import write_image
from copperline.data.synthetic import synthetic_pair

pytest.importorskip("streamlit")
playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("lab") / "workspace") as running:
        yield running.url


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """An empty tab on a server that has been visited before: it learns its pages' addresses from the first visit."""
    page = browser.new_page(viewport={"width": 1500, "height": 1600})
    page.set_default_timeout(90_000)  # beside other tests
    page.goto(address)
    page.get_by_text("may review and promote").wait_for()
    yield page
    page.close()


def test_a_pair_is_uploaded_looked_at_and_the_zoom_stays(address: str, tab: Any, tmp_path: Path) -> None:
    test, reference, _ = synthetic_pair(7, 320)
    paths = [tmp_path / "<b>x_test.png", tmp_path / "x_temp.png"]
    for path, image in zip(paths, (test, reference), strict=True):
        write_image(path, image)
    tab.goto(f"{address}/vision-lab")
    tab.get_by_text("No image yet").wait_for()
    choosers = tab.locator("input[type=file]")
    playwright.expect(choosers).to_have_count(2)
    for i in (1, 0):
        choosers.nth(i).set_input_files(paths[i])
        tab.get_by_text(paths[i].name).first.wait_for()
    tab.get_by_role("heading", name="FAIL").wait_for()
    tab.get_by_text("<b>x", exact=False).first.wait_for()
    seen = tab.locator(".board svg")
    playwright.expect(seen).to_have_attribute("aria-label", re.compile(r"^Board of 320 by 320 px: \d"))
    playwright.expect(seen).to_have_attribute("viewBox", "0 0 320 320")
    playwright.expect(tab.locator(".board image")).to_have_count(1)

    tab.get_by_label("Zoom in").click()
    zoomed = seen.get_attribute("viewBox")
    assert zoomed != "0 0 320 320"
    boxes = tab.locator(".board rect.found").count()
    assert boxes > 0

    tab.get_by_text("One confidence").click()
    slider = tab.get_by_role("slider", name="Confidence")
    slider.focus()
    for _ in range(50):
        slider.press("ArrowRight")
    playwright.expect(tab.locator(".board rect.found")).to_have_count(0)
    playwright.expect(tab).to_have_url(re.compile("confidence=1"))
    assert seen.get_attribute("viewBox") == zoomed

    tab.get_by_text("Before / after").click()
    playwright.expect(tab.locator(".board image")).to_have_count(2)
    assert seen.get_attribute("viewBox") == zoomed
    tab.get_by_label("Reference against test").fill("25")
    assert tab.locator(".board line.cut").get_attribute("x1") == "80"
    tab.get_by_role("button", name="Whole board").click()
    assert seen.get_attribute("viewBox") == "0 0 320 320"


def test_a_chosen_row_is_zoomed_to(address: str, tab: Any) -> None:
    tab.goto(f"{address}/vision-lab?source=Synthetic+board")
    tab.get_by_role("heading", name="FAIL").wait_for()
    seen = tab.locator(".board svg")
    playwright.expect(seen).to_have_attribute("viewBox", "0 0 640 640")
    table = tab.get_by_test_id("stDataFrame").bounding_box()
    tab.mouse.click(table["x"] + 18, table["y"] + 54)
    playwright.expect(tab.locator(".board rect.selected")).to_have_count(1)
    playwright.expect(seen).to_have_attribute("viewBox", re.compile(r" 20\d 20\d$"))
