from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from copperline.dashboard.filters import View, model_label, name_or_unknown, period_text
from copperline.dashboard.period import Period
from copperline.warehouse import BoardFilter, ModelVersionKey


def test_names() -> None:
    assert (name_or_unknown(""), name_or_unknown("LINE-1")) == ("unknown", "LINE-1")
    assert model_label(ModelVersionKey("pcb-detector", "3")) == "pcb-detector 3"


def test_a_view_moves_on_with_time_and_keeps_what_was_chosen(workspace: Path) -> None:
    view = View(BoardFilter(lines=("LINE-1",)), Period.DAY)
    early, late = (view.at(datetime(2026, 3, day, 12, 30, tzinfo=UTC)).chosen for day in (1, 2))
    assert early.until == late.since == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert early.lines == late.lines == ("LINE-1",)
    assert View(BoardFilter(), Period.ALL).at(datetime(2026, 3, 1, tzinfo=UTC)).chosen == BoardFilter()


def test_the_period_is_told_in_the_plants_time(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_TIME_ZONE", "Europe/Berlin")
    day = BoardFilter(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert period_text(day) == "2026-03-29 00:00 to 2026-03-30 00:00 CEST"
    assert period_text(BoardFilter()) == "all boards ever inspected"
