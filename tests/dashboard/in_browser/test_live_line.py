"""A line at work: boards arrive every second, and whoever looks at the overview sees them without a click."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import BoardTold, InspectionRecord, LineResult, open_warehouse, write_line_results
from copperline.warehouse.line_tables import alerts
from copperline.warehouse.tables import inspections

DEFECT = Detections.of([[8, 8, 24, 24]], [0], [0.9])
# A refresh of a live line, and a little.
A_REFRESH_MS = 11_000


class Line:
    """A line whose station AOI-1 hands in a board a second, from another thread."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.engine = open_warehouse(Settings(workspace=workspace).warehouse)
        self._end = threading.Event()
        self._at_work = threading.Thread(target=self._work)

    def hand_in(self, station: str, at: datetime) -> None:
        number = self.boards()
        found = DEFECT if number % 5 == 4 else Detections.empty()
        record = InspectionRecord(
            f"i{number}", f"B{number}", at, station, "builtin:deeppcb", "1", "{}", "gone.png", "aa", None, None, None,
            Call.FAIL if len(found) else Call.PASS, 1.0, 64, 64, found,
        )  # fmt: skip
        write_line_results(self.engine, [LineResult(record, BoardTold(line_id="LINE-1"))], DEEPPCB)

    def boards(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(inspections)).scalar_one())

    def _work(self) -> None:
        while not self._end.wait(1.0):
            self.hand_in("AOI-1", datetime.now(UTC))

    def begin(self) -> None:
        self._at_work.start()

    def end(self) -> None:
        self._end.set()
        if self._at_work.ident is not None:
            self._at_work.join()
        self.engine.dispose()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path / "workspace")
    yield line
    line.end()


def shown_boards(page: Any) -> int:
    texts = str(page.locator(".st-key-figure-boards").inner_text()).splitlines()
    return next(int(text) for text in texts if text.isdigit())


def test_boards_that_arrive_are_seen_without_a_reload(
    serve: Callable[..., Any], visit: Any, line: Line, rows_of: Any, eventually: Any
) -> None:
    line.hand_in("AOI-1", datetime.now(UTC))
    line.hand_in("AOI-9", datetime.now(UTC) - timedelta(minutes=40))
    line.begin()
    with serve(line.workspace) as running:
        page = visit(running.url, clock=True)  # as it opens: nobody chose how often it looks
        page.evaluate("window.neverReloaded = true")
        for _ in range(2):
            before = shown_boards(page)
            page.clock.fast_forward(A_REFRESH_MS)
            eventually(page, lambda before=before: _more(page, before))

        def stations_told() -> None:
            stations = {row[0]: row[1:] for row in rows_of(page, "stations")}
            assert list(stations) == ["AOI-1", "AOI-9"]
            assert "reports" in stations["AOI-1"][1]
            assert "silent" in stations["AOI-9"][1]
            assert stations["AOI-9"][2:4] == ["40 min ago", "1"]
            # Figures and stations are read one after the other: a board may come in between.
            assert 0 <= int(stations["AOI-1"][3]) + 1 - shown_boards(page) <= 1

        eventually(page, stations_told)
        now = datetime.now(UTC)
        with line.engine.begin() as connection:
            row = {"alert_id": "a", "alert_key": "a", "kind": "control_chart", "subject": "LINE-1", "evidence": "{}"}
            told = {"summary": "The defect rate rose.", "opened_at": now, "last_seen_at": now}
            connection.execute(alerts.insert(), [{**row, **told}])
        page.clock.fast_forward(A_REFRESH_MS)
        page.get_by_text("Alert, LINE-1: The defect rate rose.").wait_for()
        assert page.evaluate("window.neverReloaded")
        page.get_by_role("link", name="Look at the charts: Process Control").click()
        page.get_by_role("heading", name="Process Control", exact=True).wait_for()
        assert "Traceback" not in running.log.read_text()


def _more(page: Any, before: int) -> None:
    assert shown_boards(page) > before


def test_a_page_that_was_quiet_wakes_up_with_the_line(serve: Callable[..., Any], visit: Any, line: Line) -> None:
    """Opened over an old board it looks every minute; once boards arrive, every ten seconds."""
    line.hand_in("AOI-1", datetime.now(UTC) - timedelta(hours=3))
    with serve(line.workspace) as running:
        page = visit(running.url, clock=True)
        line.hand_in("AOI-1", datetime.now(UTC))
        page.clock.fast_forward(A_REFRESH_MS)
        page.wait_for_timeout(1000)
        assert shown_boards(page) == 1
        page.clock.fast_forward(50_000)
        page.locator(".st-key-figure-boards").get_by_text("2", exact=True).wait_for()
        line.hand_in("AOI-1", datetime.now(UTC))
        page.wait_for_timeout(500)
        page.clock.fast_forward(A_REFRESH_MS)
        page.locator(".st-key-figure-boards").get_by_text("3", exact=True).wait_for()
