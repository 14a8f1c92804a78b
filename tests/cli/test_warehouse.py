"""`copperline warehouse verify` and `rebuild`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspections
from copperline.warehouse.schema import DERIVED

Run = Callable[..., Any]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two boards, one of them bad."""
    engine = open_warehouse(Settings(workspace=tmp_path).warehouse)
    boxes = {"good": Detections.empty(), "bad": Detections.of([[0, 0, 8, 8]], [0], [0.9])}
    words = ("AOI-1", "pcb-detector", "1", "{}", "b.png", "ab", None, None, None)
    records = [
        InspectionRecord(
            name, name, datetime(2026, 3, 1, tzinfo=UTC), *words, Call.FAIL if len(b) else Call.PASS, 9.0, 64, 64, b
        )
        for name, b in boxes.items()
    ]
    write_inspections(engine, records)
    engine.dispose()
    return tmp_path


def change(workspace: Path, *statements: str) -> None:
    with closing(sqlite3.connect(workspace / "warehouse.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_a_sound_warehouse(workspace: Path, copperline: Run) -> None:
    ran = copperline("warehouse", "verify", "--workspace", workspace)
    assert (ran.status, ran.err) == (0, "")
    assert "every count is that of its rows" in ran.out
    assert copperline("warehouse", "verify", "--workspace", workspace, "--json").json == {
        "database": str(workspace / "warehouse.db"),
        "stale": [],
    }


def test_a_change_by_another_program_is_found_and_mended(workspace: Path, copperline: Run) -> None:
    change(workspace, "UPDATE inspections SET call = 'WITHHELD' WHERE board_id = 'bad'")
    ran = copperline("warehouse", "verify", "--workspace", workspace)
    assert ran.status == 1
    assert "board_states" in ran.out
    assert "copperline warehouse rebuild" in ran.out
    as_json = copperline("warehouse", "verify", "--workspace", workspace, "--json")
    assert (as_json.status, as_json.json["stale"]) == (1, ["board_states"])
    mended = copperline("warehouse", "rebuild", "--workspace", workspace)
    assert mended.status == 0
    assert mended.out.startswith("Counted 2 boards anew")
    assert copperline("warehouse", "verify", "--workspace", workspace).status == 0
    with closing(sqlite3.connect(workspace / "warehouse.db")) as database:
        counts = database.execute("SELECT SUM(passed), SUM(failed), SUM(withheld) FROM hourly_boards").fetchone()
    assert counts == (1, 0, 1)


def test_an_older_layout_is_refused_by_one_and_mended_by_the_other(workspace: Path, copperline: Run) -> None:
    change(
        workspace,
        *(f"DROP TABLE {table.name}" for table in DERIVED),
        *(f"ALTER TABLE inspections DROP COLUMN {column}" for column in ("brightness", "contrast")),
        "UPDATE copperline_schema_version SET version = 1",
    )
    ran = copperline("warehouse", "verify", "--workspace", workspace)
    assert ran.status == 1
    assert "copperline warehouse rebuild" in ran.err
    assert ran.err.count("\n") == 1
    rebuilt = copperline("warehouse", "rebuild", "--workspace", workspace, "--json")
    assert rebuilt.json == {"database": str(workspace / "warehouse.db"), "boards": 2}
    assert copperline("warehouse", "verify", "--workspace", workspace).status == 0


def test_no_warehouse(tmp_path: Path, copperline: Run) -> None:
    ran = copperline("warehouse", "verify", "--workspace", tmp_path / "none")
    assert ran.status == 1
    assert "found no file" in ran.err
    assert not (tmp_path / "none").exists()
