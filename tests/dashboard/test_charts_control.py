from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from copperline.dashboard.charts_control import MAX_NAMED, control_chart, drift_chart
from copperline.monitoring import BRIGHTNESS
from copperline.warehouse import BoardCounts
from copperline.workflows.control import Calendar, Grain, Kind, PlantChart, plant_chart

START = datetime(2026, 3, 1, tzinfo=UTC)
CALENDAR = Calendar(UTC, ())


def plant(failed: list[int], kind: Kind = "p") -> PlantChart:
    by_hour = {
        START + timedelta(days=day): BoardCounts(boards=50, first_failed=number, first_defects=2 * number)
        for day, number in enumerate(failed)
    }
    return plant_chart(by_hour, kind, Grain.DAY, CALENDAR, overdispersion=False)


def traces(chart: PlantChart) -> dict[str, object]:
    return {trace.name: trace for trace in control_chart(chart).data}


def test_values_centre_and_limits_in_per_cent() -> None:
    drawn = traces(plant([2, 4, 3]))
    assert drawn["value"].y == (4.0, 8.0, 6.0)  # type: ignore[attr-defined]
    assert drawn["value"].customdata == ("2 of 50 boards", "4 of 50 boards", "3 of 50 boards")  # type: ignore[attr-defined]
    assert drawn["centre"].y == pytest.approx((6.0,) * 3)  # type: ignore[attr-defined]
    assert drawn["lower limit"].y == (0.0,) * 3  # type: ignore[attr-defined]
    assert drawn["upper limit"].y[0] == pytest.approx(6 + 300 * (0.06 * 0.94 / 50) ** 0.5)  # type: ignore[attr-defined]
    assert drawn["alarm"].x == ()  # type: ignore[attr-defined]
    assert not drawn["alarm"].showlegend  # type: ignore[attr-defined]


def test_a_u_chart_counts_defects_per_board() -> None:
    figure = control_chart(plant([2, 4, 3], "u"))
    assert next(trace.y for trace in figure.data if trace.name == "value") == (0.08, 0.16, 0.12)
    assert figure.layout.yaxis.title.text == "u: defects per board"


def test_alarms_are_marked_and_named() -> None:
    chart = plant([1] * 6 + [40] + [1] * 6)
    figure = control_chart(chart)
    marked = next(trace for trace in figure.data if trace.name == "alarm")
    assert datetime(2026, 3, 7, tzinfo=UTC) in marked.x
    texts = {note.x: note.text for note in figure.layout.annotations}
    assert texts[datetime(2026, 3, 7, tzinfo=UTC)].startswith("Rule 1")
    assert len(texts) == len({alarm.raised_at for alarm in chart.chart.alarms})


def test_only_the_newest_alarms_are_named() -> None:
    chart = plant(([0] * 9 + [50] * 9) * 6)
    assert len({alarm.raised_at for alarm in chart.chart.alarms}) > MAX_NAMED
    assert len(control_chart(chart).layout.annotations) <= MAX_NAMED


def test_drift_compares_shares_and_not_counts() -> None:
    now, before = drift_chart(BRIGHTNESS, [1] * 20, [0] * 19 + [7]).data
    assert now.y[-1] == 100.0
    assert before.y == (5.0,) * 20
    assert drift_chart(BRIGHTNESS, [0] * 20, [0] * 20).data[0].y == (0.0,) * 20
