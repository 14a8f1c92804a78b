"""Drift of a real shipped model's rows, drawn in this process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from copperline.detections import Detections
from copperline.inspection import Detector
from copperline.settings import Settings
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspections

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def drift() -> None:
    from copperline.dashboard import session
    from copperline.dashboard.drift_view import drift_view
    from copperline.warehouse import BoardFilter, extent

    drift_view(BoardFilter(), extent(session.engine()).models)


def fill(workspace: Path, name: str, version: str, brightness: float, boards: int = 120) -> None:
    engine = open_warehouse(Settings(workspace=workspace).warehouse)
    lot, records = np.random.default_rng(0), []
    for n in range(boards):
        found = Detections.of([[0, 0, 8, 8]], [n % 6], [float(lot.uniform(0.8, 0.95))])
        record = InspectionRecord(
            f"{name} {n}", f"B{n}", NOON + timedelta(minutes=n), "AOI-1", name, version, "{}", "b.png", "ab", None,
            None, 0.99, Call.FAIL, 9.0, 640, 640, found, brightness, 110.0,
        )  # fmt: skip
        records.append(record)
    write_inspections(engine, records, boards_per_transaction=boards)
    engine.dispose()


def shipped() -> tuple[str, str]:
    """Name and version of a shipped model, as its rows have them."""
    detector = Detector.load("builtin:deeppcb")
    return detector.name, detector.version


def shown(app: AppTest) -> str:
    assert [error.value for error in app.exception] == []
    return "\n".join(caption.value for caption in app.caption)


def test_images_that_are_too_bright_have_drifted(workspace: Path) -> None:
    name, version = shipped()
    fill(workspace, name, version, brightness=250.0)
    text = shown(AppTest.from_function(drift, default_timeout=30).run())
    assert "Baseline: " in text
    assert "major drift: PSI" in text


def test_few_values_are_not_measured(workspace: Path) -> None:
    name, version = shipped()
    fill(workspace, name, version, brightness=150.0, boards=5)
    app = AppTest.from_function(drift, default_timeout=30).run()
    assert "not measured: 5 values now" in shown(app)
    [classes] = [frame.value for frame in app.dataframe]
    assert classes["PSI"].isna().all()


def test_a_model_without_a_card(workspace: Path) -> None:
    fill(workspace, "other", "7", brightness=150.0, boards=5)
    app = AppTest.from_function(drift, default_timeout=30).run()
    assert shown(app) == ""
    assert "No baseline to compare with" in [header.value for header in app.subheader]
    assert "other 7 is not in this registry" in app.markdown[0].value
