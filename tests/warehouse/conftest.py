from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.detections import Detections
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord, inspection_id_for, open_warehouse

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TWO_DEFECTS = Detections.of([[10, 20, 30, 60], [100, 0, 110, 40]], [0, 3], [0.9, 0.75])


def make_inspection(board_id: str, detections: Detections = TWO_DEFECTS, **changes: Any) -> InspectionRecord:
    """An inspection of a 640 x 320 px image, FAIL if it has detections; its id follows from what identifies it."""
    record = InspectionRecord(
        inspection_id="",
        board_id=board_id,
        inspected_at=NOON,
        station_id="AOI-1",
        model_name="pcb-detector",
        model_version="3",
        operating_point='{"thresholds":{}}',
        image_path=f"stage/{board_id}.png",
        image_sha256="ab" * 32,
        reference_path=None,
        reference_sha256=None,
        registration_score=None,
        call=Call.FAIL if len(detections) else Call.PASS,
        latency_ms=12.5,
        width=640,
        height=320,
        detections=detections,
    )
    record = dataclasses.replace(record, **changes)
    if record.inspection_id:
        return record
    key = inspection_id_for(
        record.board_id,
        record.image_sha256,
        record.reference_sha256,
        record.model_name,
        record.model_version,
        record.operating_point,
    )
    return dataclasses.replace(record, inspection_id=key)


@pytest.fixture
def inspection() -> Callable[..., InspectionRecord]:
    return make_inspection


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'warehouse.db'}"


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests copy it, because making tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("warehouse") / "empty.db"
    open_warehouse(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def engine(url: str, empty_warehouse: Path) -> Iterator[Engine]:
    shutil.copyfile(empty_warehouse, url.removeprefix("sqlite:///"))
    engine = open_warehouse(url, timeout_s=5)
    yield engine
    engine.dispose()
