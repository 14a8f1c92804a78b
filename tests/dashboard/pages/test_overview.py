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


def test_stations_with_their_last_hour_and_the_silent_ones_marked(open_page: Open, said: Said, plant: Any) -> None:
    plant.hand_in("B1", "AOI-1", "LINE-1", timedelta(seconds=30), "open")
    plant.hand_in("B2", "AOI-1", "LINE-1", timedelta(minutes=50))
    plant.hand_in("B3", "AOI-2", None, timedelta(minutes=31))
    plant.hand_in("B4", "AOI-3", "LINE-1", timedelta(days=31))  # taken down
    app = open_page("overview", **ALL_TIME)
    shown = table(app, "state").set_index("station")
    assert shown["line"].to_dict() == {"AOI-2": "unknown", "AOI-1": "LINE-1"}
    assert {name: list(state) for name, state in shown["state"].items()} == {
        "AOI-2": ["▲ silent"],
        "AOI-1": ["● reports"],
    }
    assert shown["boards"].to_dict() == {"AOI-2": 1, "AOI-1": 2}
    assert shown["FAIL"].to_dict() == {"AOI-2": 0, "AOI-1": 1}
    assert shown.loc["AOI-2", "last board"] == "31 min ago"
    of_line = table(open_page("overview", **ALL_TIME, line="LINE-1"), "state")
    assert of_line["station"].tolist() == ["AOI-1"]


def test_without_a_line_there_is_no_part_for_stations(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    assert "Stations" not in said(open_page("overview", **ALL_TIME))


def test_open_alerts_are_told_first(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1")
    morning = datetime(2026, 3, 1, 6, tzinfo=UTC)
    plant.alert("LINE-1", "Rule 1: above *3* sigma.", morning)
    plant.alert("AOI-7", "No board for an hour.", morning, closed_at=morning + timedelta(hours=1))
    for number in range(5):
        plant.alert(f"LINE-{number + 2}", "More.", morning + timedelta(days=number + 1))
    app = open_page("overview", period="Today")
    told = [str(error.value) for error in app.error]
    assert len(told) == 5
    assert told[0] == r"**Alert, LINE\-6**: More\. Since 2026-03-06 06:00 UTC."
    assert "1 more alerts are open. Look at the charts: Process Control" in said(app)
    assert "AOI" not in "".join(told)
    with plant.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alerts SET closed_at = opened_at WHERE subject <> 'LINE-1'")
    [told_now] = [str(error.value) for error in open_page("overview").error]
    assert told_now == r"**Alert, LINE\-1**: Rule 1\: above \*3\* sigma\. Since 2026-03-01 06:00 UTC."


def test_no_alert_no_banner(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1")
    app = open_page("overview", **ALL_TIME)
    assert list(app.error) == []
    assert "Look at the charts" not in said(app)


@pytest.mark.parametrize(("days", "words"), [(500, "of each UTC day."), (30, "of each day in the plant's time zone")])
def test_the_footnote_names_the_days_that_are_shown(
    open_page: Open, said: Said, plant: Any, days: int, words: str
) -> None:
    plant.inspect("A", at=datetime.now(UTC) - timedelta(days=days))
    plant.inspect("B")
    assert words in said(open_page("overview", **ALL_TIME))
