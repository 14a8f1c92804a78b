from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copperline.taxonomy import DEEPPCB, DefectClass, Disposition, Severity
from copperline.warehouse import record_disposition

Open = Callable[..., Any]
Said = Callable[[Any], str]

ALL_TIME = {"period": "All time"}


def value(app: Any, label: str) -> str:
    [metric] = [metric for metric in app.metric if metric.label == label]
    return str(metric.value)


def table(app: Any, key: str) -> Any:
    """A data frame, by a column that it alone has."""
    [found] = [frame.value for frame in app.dataframe if key in frame.value.columns]
    return found


def test_figures_that_nobody_could_measure_are_not_measured(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1")
    app = open_page("overview", **ALL_TIME)
    assert value(app, "First-pass yield, machine") == "100.00 %"
    assert said(app).count("#### not measured") == 5  # reviewed yield, DPMO, false calls, escapes, false discovery
    assert "No defect in this view" in said(app)


def test_a_period_without_boards_offers_all_time(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    app = open_page("overview", period="Today")
    assert "The newest board was inspected at 2026-03-01 12:00 UTC" in said(app)
    [show] = [button for button in app.button if button.label == "Show all time"]
    show.click().run()
    assert value(app, "Boards inspected") == "1"
    assert app.selectbox(key="period").value == "all"


def test_a_class_that_no_board_has(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    app = open_page("overview", **ALL_TIME, **{"class": "short"})
    assert "No defect in this view" in said(app)
    assert "No detection in this view" in said(app)
    assert value(app, "Boards inspected") == "1"


def test_unknown_values_in_the_address_are_ignored(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    app = open_page("overview", period="<script>", line="LINE-99", model="x 1", refresh="never", **{"class": "dust"})
    assert value(app, "Boards inspected") == "1"
    assert app.multiselect(key="line").value == []
    assert "<script>" not in said(app)


def test_filters_come_from_the_address(open_page: Open, said: Said, plant: Any) -> None:
    for number in range(5):
        plant.inspect(f"B{number}", *["open"] * (number % 2), line="LINE-1" if number < 2 else "")
    assert value(open_page("overview", line="LINE-1"), "Boards inspected") == "2"
    assert value(open_page("overview", line="unknown"), "Boards inspected") == "3"
    assert value(open_page("overview", model="pcb-detector 3"), "Boards inspected") == "5"


def test_a_station_whose_clock_is_ahead_is_named(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", at=datetime.now(UTC) + timedelta(days=2), station_id="*AOI*")
    text = said(open_page("overview", **ALL_TIME))
    assert r"1 inspections of station \*AOI\* are dated in the future" in text


def test_a_class_that_the_taxonomy_has_no_more(open_page: Open, said: Said, plant: Any) -> None:
    scratch = DefectClass(6, "scratch", Severity.MAJOR, "#123456")
    older = replace(DEEPPCB, classes=(*DEEPPCB.classes, scratch))
    plant.inspect("B1", "scratch", "open", taxonomy=older)
    app = open_page("overview", **ALL_TIME)
    assert "No defect" not in said(app)
    assert table(app, "defects")["defects"].tolist() == ["open, scratch"]
    assert "scratch" not in app.multiselect(key="class").options
    for module in ("review", "board", "process_control"):
        assert "expected" not in said(open_page(module, **({"board": "B1"} if module == "board" else ALL_TIME)))


def test_days_are_those_of_the_plant(open_page: Open, said: Said, plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 October 2026 has 25 hours in Berlin: 23:30 UTC the day before is its first hour, 22:30 its last."""
    monkeypatch.setenv("COPPERLINE_TIME_ZONE", "Europe/Berlin")
    for board, at in (("A", "2026-10-24T22:30"), ("B", "2026-10-25T00:30"), ("C", "2026-10-25T01:30"),
                      ("D", "2026-10-25T22:30"), ("E", "2026-10-25T23:30")):  # fmt: skip
        plant.inspect(board, "open", at=datetime.fromisoformat(at).replace(tzinfo=UTC))
    app = open_page("overview", period="From ... to", **{"from": "2026-10-25", "to": "2026-10-25"})
    assert "2026-10-25 00:00 to 2026-10-26 00:00 CET" in said(app)
    assert value(app, "Boards inspected") == "4"
    shown = table(app, "defects").set_index("board")["inspected"]
    assert {board: f"{at:%d. %H:%M}" for board, at in shown.items()} == {
        "A": "25. 00:30", "B": "25. 02:30", "C": "25. 02:30", "D": "25. 23:30"
    }  # fmt: skip


def test_a_first_day_after_the_last(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("A", at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    plant.inspect("B", at=datetime(2026, 3, 5, 12, tzinfo=UTC))
    app = open_page("overview", period="From ... to", **{"from": "2026-03-09", "to": "2026-03-05"})
    assert "The first day is after the last" in said(app)
    assert value(app, "Boards inspected") == "1"


def test_pictures_that_are_gone_leave_the_table(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open", image_path="/nowhere/b.png")
    plant.inspect("B2", "open")
    shown = table(open_page("overview", **ALL_TIME), "picture").set_index("board")["picture"]
    assert shown.isna().to_dict() == {"B1": True, "B2": False}
    assert shown["B2"].startswith("data:image/png;base64,")


def test_an_operating_point_of_another_program(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open", operating_point="0.5 everywhere")
    said(open_page("overview", **ALL_TIME))
    said(open_page("board", board="B1"))


def test_false_calls_are_left_out_of_the_pareto(open_page: Open, said: Said, plant: Any) -> None:
    record = plant.inspect("B1", "open")
    record_disposition(plant.engine, record.inspection_id, Disposition.FALSE_CALL, "ana")
    app = open_page("overview", **ALL_TIME)
    assert "1 false calls are left out" in said(app)
    assert value(app, "False discovery rate") == "100.00 %"
    assert value(app, "First-pass yield, reviewed") == "100.00 %"
    assert value(app, "First-pass yield, machine") == "0.00 %"
