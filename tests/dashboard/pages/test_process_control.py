from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Open = Callable[..., Any]
Said = Callable[[Any], str]


def test_a_period_without_boards(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    for part in ("Control charts", "DPMO"):
        assert "No board in this view: choose a longer period" in said(open_page("process_control", part=part))


def test_one_board_has_no_limits_and_no_alarm(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    text = said(open_page("process_control"))
    assert "No alarm" in text
    assert "expected" not in text


def test_a_bad_day_after_many_good_ones_raises_an_alarm(open_page: Open, said: Said, plant: Any) -> None:
    start = datetime.now(UTC) - timedelta(days=20)
    for day in range(16):
        for number in range(4):
            plant.inspect(f"{day}-{number}", *["open"] * (day == 15), at=start + timedelta(days=day))
    app = open_page("process_control", point="day")
    assert "2 alarms in 1 of 1 charts." in said(app)
    [alarms] = [frame.value for frame in app.dataframe if "what" in frame.value.columns]
    assert [text[:7] for text in alarms["what"]] == ["Rule 1:", "Rule 4:"]  # the newest first
    assert alarms["raised"].dt.date[0] == (start + timedelta(days=15)).date()


def test_a_model_that_the_registry_does_not_know_has_no_baseline(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    assert "No baseline to compare with" in said(open_page("process_control", part="Drift"))


def test_more_baseline_points_than_there_are(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    assert "expected" not in said(open_page("process_control", baseline="99"))
    assert "expected" not in said(open_page("process_control", baseline="-3"))
