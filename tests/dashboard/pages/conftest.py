"""A warehouse of made-up rows for the logic of pages: no model runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from copperline.data import write_image
from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call, Taxonomy
from copperline.warehouse import (
    BoardRecord,
    BoardTold,
    InspectionRecord,
    LineResult,
    open_warehouse,
    write_boards,
    write_inspection,
    write_line_results,
)
from copperline.warehouse.line_tables import alerts

SIZE = 64


@dataclass
class Plant:
    """Writes inspections into the workspace's warehouse."""

    folder: Path
    engine: Engine

    @property
    def file(self) -> Path:
        return self.folder / "workspace" / "warehouse.db"

    def inspect(
        self,
        board_id: str,
        *classes: str,
        at: datetime | None = None,
        line: str | None = "LINE-1",
        taxonomy: Taxonomy = DEEPPCB,
        **changes: Any,
    ) -> InspectionRecord:
        """One inspection an hour ago, with a detection of each class, and its image on disk."""
        image = self.folder / "stage" / f"{len(list(self.folder.glob('stage/*')))}.png"
        write_image(image, np.full((SIZE, SIZE), 255, np.uint8))
        ids = [taxonomy.by_name(name).id for name in classes]
        found = Detections.of([[8, 8, 24, 24]] * len(ids), ids, [0.9] * len(ids))
        moment = at or datetime.now(UTC) - timedelta(hours=1)
        record = InspectionRecord(
            f"inspection of {board_id}", board_id, moment, "AOI-1", "pcb-detector", "3",
            '{"criterion": "recall", "thresholds": {"open": 0.5}}', str(image), "ab" * 32, None, None, None,
            Call.FAIL if ids else Call.PASS, 12.5, SIZE, SIZE, found,
        )  # fmt: skip
        record = replace(record, **changes)
        if line is not None:
            write_boards(self.engine, [BoardRecord(board_id, None, line, "Hub", None, moment, None, "real", None)])
        write_inspection(self.engine, record, taxonomy)
        return record

    def hand_in(self, board_id: str, station: str, line: str | None, ago: timedelta, *classes: str) -> None:
        """A board of a station of the line."""
        found = Detections.of(
            [[8, 8, 24, 24]] * len(classes), [DEEPPCB.by_name(name).id for name in classes], [0.9] * len(classes)
        )
        record = InspectionRecord(
            f"inspection of {board_id}", board_id, datetime.now(UTC) - ago, station, "pcb-detector", "3", "{}",
            "gone.png", "ab" * 32, None, None, None, Call.FAIL if classes else Call.PASS, 1.0, SIZE, SIZE, found,
        )  # fmt: skip
        write_line_results(self.engine, [LineResult(record, BoardTold(line_id=line))], DEEPPCB)

    def alert(self, subject: str, summary: str, opened_at: datetime, closed_at: datetime | None = None) -> None:
        """An alert as the watch leaves it."""
        with self.engine.begin() as connection:
            row = {"alert_id": f"{subject} {opened_at}", "alert_key": subject, "kind": "control_chart"}
            told = {"subject": subject, "summary": summary, "evidence": "{}", "opened_at": opened_at}
            connection.execute(alerts.insert(), [{**row, **told, "last_seen_at": opened_at, "closed_at": closed_at}])


@pytest.fixture
def plant(workspace: Path) -> Any:
    """Empty at first."""
    engine = open_warehouse(Settings(workspace=workspace).warehouse)
    yield Plant(workspace.parent, engine)
    engine.dispose()


@pytest.fixture
def said() -> Callable[[Any], str]:
    """All that a page says in words; fails if it shows a traceback."""

    def text(app: Any) -> str:
        assert [error.value for error in app.exception] == []
        kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "success")
        return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))

    return text
