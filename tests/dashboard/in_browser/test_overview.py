"""Every number of the overview, read from the page as a visitor sees it, against SQL over the tables alone."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspection

Figures = Callable[..., dict[str, Any]]
Sql = Callable[..., list[tuple[Any, ...]]]

ALL_TIME = "/?period=All+time&refresh=off"
LATEST = """
    SELECT i.*, COALESCE(m.factory_line_id, '') AS line
    FROM inspections i LEFT JOIN pcb_metadata m ON m.board_id = i.board_id
    WHERE NOT EXISTS (
        SELECT 1 FROM inspections l WHERE l.board_id = i.board_id
        AND (l.inspected_at, l.inspection_id) > (i.inspected_at, i.inspection_id)
    )
"""
FIRST_AT = "(SELECT MIN(f.inspected_at) FROM inspections f WHERE f.board_id = i.board_id)"
# A detection counts unless the latest word on it, or on its whole board, is that it is none.
REAL = """(
    SELECT p.disposition FROM dispositions p
    WHERE p.inspection_id = d.inspection_id AND (p.inference_id IS NULL OR p.inference_id = d.inference_id)
    ORDER BY p.decided_at DESC, p.disposition_id DESC LIMIT 1
) IS NOT 'FALSE_CALL'"""
FOUND = f"({LATEST}) i JOIN defect_logs d ON d.inspection_id = i.inspection_id"
DEFECTS = f"SELECT d.detected_class, SUM({REAL}) FROM {FOUND} GROUP BY 1"
INSPECTED = f"SELECT line, COUNT(*) FROM ({LATEST}) GROUP BY 1"
CELLS = f"SELECT i.line, d.detected_class, COUNT(DISTINCT i.board_id) FROM {FOUND} WHERE {REAL} GROUP BY 1, 2"
DAYS = f"""
    SELECT substr({FIRST_AT}, 1, 10), COUNT(*), SUM(EXISTS (
        SELECT 1 FROM inspections f WHERE f.board_id = i.board_id AND f.inspected_at = {FIRST_AT} AND f.call = 'PASS'
    )) FROM ({LATEST}) i GROUP BY 1 ORDER BY 1
"""


@pytest.fixture(scope="module")
def overview(look: Callable[[str], Any], served: str) -> Any:
    """The page of all time, for tests that only look."""
    return look(served + ALL_TIME)


def card(page: Any, key: str) -> list[str]:
    """The texts of a card: its name, its value, and what stands below."""
    return str(page.locator(f".st-key-figure-{key}").inner_text()).splitlines()


def proportion(numerator: int, denominator: int | None) -> tuple[str, str]:
    """How a card should say it."""
    if not denominator:
        return "not measured", f"{numerator} of 0"
    return f"{100 * numerator / denominator:.2f} %", f"{numerator} of {denominator:,}"


def expected_cards(f: dict[str, Any]) -> dict[str, tuple[str, str]]:
    dpmo = 1e6 * f["rated_defects"] / f["opportunities"]
    assert f["audited"]
    return {
        "boards": (f"{f['boards']}", f"{f['inspections']} inspections. Awaiting review: {f['awaiting']}."),
        "machine_yield": proportion(f["first_passed"], f["boards"]),
        "reviewed_yield": proportion(f["first_good"], f["boards"]),
        "defect_rate": proportion(f["failed"], f["boards"]),
        "dpu": (f"{f['defects'] / f['boards']:.3g}", f"{f['defects']} on {f['boards']}"),
        "dpmo": (f"{dpmo:,.0f}", f"{f['rated_defects']} on {f['opportunities']:,}"),
        "false_call_rate": proportion(f["false_call_boards"], f["good"]),
        "escape_rate": proportion(f["escapes"], f["bad"]),
        "withheld_rate": proportion(f["withheld"], f["boards"]),
        "fdr": proportion(f["false_calls"], f["false_calls"] + f["confirmed"]),
    }


def assert_cards(page: Any, counted: dict[str, Any]) -> None:
    for key, (value, below) in expected_cards(counted).items():
        texts = card(page, key)
        assert value in texts, (key, texts)
        assert any(text.startswith(below) for text in texts), (key, below, texts)


def choose(page: Any, ready: Any, label: str, option: str) -> None:
    """In the sidebar."""
    page.get_by_test_id("stSidebar").get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    ready(page)


def plotted(page: Any, key: str) -> list[dict[str, Any]]:
    """x and y of each trace, as Plotly drew them."""
    found = page.evaluate(
        """key => document.querySelector(`.st-key-${key} .js-plotly-plot`)._fullData.map(
            trace => ({x: Array.from(trace.x), y: Array.from(trace.y)}))""",
        key,
    )
    assert isinstance(found, list)
    return found


def cells_of(page: Any) -> dict[tuple[str, str, str], str]:
    """Line, class, "n of m" -> the text that is drawn in the square."""
    texts = page.locator(".st-key-grid .textpoint text").all_text_contents()
    data = page.evaluate("() => document.querySelector('.st-key-grid .js-plotly-plot').data.at(-1).customdata")
    return {tuple(row): text for row, text in zip(data, texts, strict=True)}


def test_every_card_is_what_sql_counts(overview: Any, figures: Figures) -> None:
    counted = figures()
    assert_cards(overview, counted)
    said = f"of {counted['simulated']} of {counted['boards']} boards are made up"
    assert said in overview.get_by_test_id("stAlert").inner_text()


def test_pareto_and_grid_are_what_sql_counts(overview: Any, sql: Sql) -> None:
    defects, inspected = dict(sql(DEFECTS)), dict(sql(INSPECTED))
    names = overview.locator(".st-key-pareto .xtick text").all_text_contents()
    counts = [int(text) for text in overview.locator(".st-key-pareto text.bartext").all_text_contents()]
    assert dict(zip(names, counts, strict=True)) == {name: n for name, n in defects.items() if n}
    assert counts == sorted(counts, reverse=True)

    found = {(line, name): boards for line, name, boards in sql(CELLS)}
    expected = {
        (line or "unknown", name, f"{found.get((line, name), 0)} of {boards}"): f"{100 * share:.1f}"
        for line, boards in inspected.items()
        for name in defects
        for share in [found.get((line, name), 0) / boards]
    }
    assert cells_of(overview) == expected


def test_trend_is_what_sql_counts(overview: Any, sql: Sql) -> None:
    yields, boards = plotted(overview, "trend")
    days = sql(DAYS)
    assert len(days) > 3  # by the day, then
    assert [(x[:10], y) for x, y in zip(boards["x"], boards["y"], strict=True)] == [(d, n) for d, n, _ in days]
    assert yields["y"] == pytest.approx([100 * passed / n for _, n, passed in days])


def test_latest_boards_have_real_times(overview: Any, rows_of: Any, sql: Sql) -> None:
    expected = sql(
        f"SELECT i.board_id, substr(i.inspected_at, 1, 19), i.call FROM ({LATEST}) i WHERE i.defect_count > 0 "
        f"ORDER BY {FIRST_AT} DESC LIMIT 8"
    )
    rows = rows_of(overview, "recent")
    assert [(row[1], row[3], row[4]) for row in rows] == expected[: len(rows)]
    assert len(rows) > 3


def test_downloads_are_what_sql_counts(overview: Any, figures: Figures, sql: Sql) -> None:
    def table(name: str) -> list[dict[str, str]]:
        with overview.expect_download() as download:
            overview.get_by_role("button", name=f"{name}.csv").click()
        assert download.value.suggested_filename == f"copperline-{name}.csv"
        text = Path(download.value.path()).read_bytes().decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    f = figures()
    rows = {row["figure"]: row for row in table("figures")}
    assert float(rows["boards"]["value"]) == f["boards"]
    assert rows["defect_rate"]["numerator"] == f"{f['failed']}"
    assert rows["defect_rate"]["denominator"] == f"{f['boards']}"
    assert float(rows["defect_rate"]["value"]) == pytest.approx(f["failed"] / f["boards"])
    assert float(rows["dpu"]["value"]) == pytest.approx(f["defects"] / f["boards"])
    reviewed = f["false_calls"] + f["confirmed"]
    assert float(rows["false_discovery_rate"]["value"]) == pytest.approx(f["false_calls"] / reviewed)
    pareto = {row["class"]: int(row["defects"]) for row in table("pareto")}
    assert pareto == {name: n for name, n in sql(DEFECTS) if n}
    lines = {row["line"]: int(row["inspected_boards"]) for row in table("lines-by-class")}
    assert lines == {line or "unknown": boards for line, boards in sql(INSPECTED)}
    trend = [(row["day"][:10], int(row["boards"]), int(row["passed"])) for row in table("trend")]
    assert trend == sql(DAYS)


def test_the_query_of_the_info_button_gives_the_number_of_its_card(overview: Any, plant: Path) -> None:
    card_ = overview.locator(".st-key-figure-defect_rate")
    card_.get_by_test_id("stPopover").get_by_role("button").click()
    statement = overview.get_by_test_id("stPopoverBody").get_by_test_id("stCode").locator("code").first.inner_text()
    overview.keyboard.press("Escape")
    connection = sqlite3.connect(f"file:{plant / 'warehouse.db'}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        [row] = connection.execute(statement)
    finally:
        connection.close()
    value, below = proportion(row["failed"], row["boards"])
    texts = card(overview, "defect_rate")
    assert value in texts
    assert any(text.startswith(below) for text in texts)


def test_a_line_chosen_by_hand_is_in_the_url_and_a_colleague_sees_the_same(
    visit: Any, ready: Any, eventually: Any, served: str, figures: Figures
) -> None:
    page = visit(served + "/?refresh=off")
    counted = figures("LINE-2")
    assert 0 < counted["boards"] < figures()["boards"]
    choose(page, ready, "Period", "All time")
    choose(page, ready, "Line", "LINE-2")
    eventually(page, lambda: assert_cards(page, counted))
    query = parse_qs(urlsplit(page.url).query)
    assert query == {"period": ["All time"], "line": ["LINE-2"], "refresh": ["off"]}

    colleague = visit(page.url, fresh=True)
    assert_cards(colleague, counted)
    assert "LINE-2" in colleague.get_by_test_id("stSidebar").inner_text()


def test_a_short_period_is_compared_with_the_one_before_it(visit: Any, served: str, sql: Sql) -> None:
    page = visit(served + "/?period=Last+7+days&refresh=off")
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    limits = [f"{end - timedelta(days=days):%Y-%m-%d %H:%M:%S}" for days in (14, 7, 0)]
    [(now, before)] = sql(
        "SELECT SUM(at >= :since AND at < :until), SUM(at >= :previous AND at < :since) "
        f"FROM (SELECT {FIRST_AT} AS at FROM ({LATEST}) i)",
        **dict(zip(("previous", "since", "until"), limits, strict=True)),
    )
    texts = card(page, "boards")
    assert f"{now}" in texts
    assert f"{now - before:+}" in texts


def test_show_all_time_leaves_a_period_without_boards(visit: Any, served: str, figures: Figures) -> None:
    page = visit(served + "/?period=From+...+to&from=2020-01-01&to=2020-01-02&refresh=off")
    page.get_by_role("button", name="Show all time").click()
    count = page.locator(".st-key-figure-boards").get_by_text(f"{figures()['boards']}", exact=True)
    count.wait_for()
    assert parse_qs(urlsplit(page.url).query)["period"] == ["All time"]


def test_a_click_on_a_square_lists_its_boards(visit: Any, ready: Any, rows_of: Any, served: str, sql: Sql) -> None:
    page = visit(served + ALL_TIME)
    cells = cells_of(page)
    (line, name, counted), _ = max(cells.items(), key=lambda item: float(item[1]))
    square = page.locator(".st-key-grid .textpoint text").nth(list(cells).index((line, name, counted)))
    box = square.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    heading = page.get_by_test_id("stCaptionContainer").filter(has_text=f"{line}, {name}: ")
    heading.wait_for()
    boards = sql(
        f"SELECT i.board_id FROM {FOUND} WHERE i.line = :line AND d.detected_class = :name AND {REAL} "
        f"GROUP BY i.board_id ORDER BY {FIRST_AT} DESC",
        line="" if line == "unknown" else line,
        name=name,
    )
    assert heading.inner_text().strip() == f"{line}, {name}: {len(boards)} boards"
    assert counted.startswith(f"{len(boards)} of ")
    shown = [row[1] for row in rows_of(page, "of-cell")]
    assert shown
    assert shown == [board for (board,) in boards][: len(shown)]

    # Filters may change so that the square is no longer there.
    choose(page, ready, "Line", next(other for other in ("LINE-1", "LINE-2", "LINE-3") if other != line))
    heading.wait_for(state="detached")


def test_a_board_that_is_inspected_while_the_page_is_open_appears(
    visit: Any, served: str, plant: Path, figures: Figures
) -> None:
    page = visit(served + "/?period=All+time&refresh=every+30+seconds", clock=True)
    before = figures()["boards"]
    assert f"{before}" in card(page, "boards")

    # A refresh that fails says so, and the next one is as if nothing had been.
    file, aside = plant / "warehouse.db", plant / "aside.db"
    file.rename(aside)
    page.clock.fast_forward(31_000)
    page.get_by_text("expected a warehouse, found no file").wait_for()
    aside.rename(file)
    record = InspectionRecord(
        "new", "NEW-1", datetime.now(UTC), "AOI-1", "builtin:deeppcb", "1", "{}", "gone.png", "aa", None, None, None,
        Call.PASS, 1.0, 64, 64, Detections.empty(),
    )  # fmt: skip
    engine = open_warehouse(Settings(workspace=plant).warehouse)
    write_inspection(engine, record, DEEPPCB)
    write_inspection(engine, replace(record, inspection_id="new-2", board_id="NEW-2"), DEEPPCB)
    engine.dispose()
    page.clock.fast_forward(31_000)
    page.locator(".st-key-figure-boards").get_by_text(f"{before + 2}", exact=True).wait_for()
    assert figures()["boards"] == before + 2
