"""`copperline export`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    BoardTold,
    InspectionRecord,
    LineResult,
    open_warehouse,
    record_disposition,
    write_line_results,
)

Run = Callable[..., Any]
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board an hour, the odd ones on line L2; the first has a defect, the second is withheld."""
    monkeypatch.chdir(tmp_path)
    engine = open_warehouse(Settings(workspace=tmp_path).warehouse)
    results = []
    for n in range(6):
        boxes = Detections.of([[0, 0, 8, 8]], [0], [0.9]) if n == 0 else Detections.empty()
        call = (Call.FAIL, Call.WITHHELD, *[Call.PASS] * 4)[n]
        record = InspectionRecord(
            f"I{n}", f"B{n}", MIDNIGHT + timedelta(hours=n), "AOI-1", "pcb-detector", "1", "{}", "b.png", "ab", None,
            None, None, call, 9.0, 64, 64, boxes,
        )  # fmt: skip
        results.append(LineResult(record, BoardTold("L2" if n % 2 else "L1", "Hub")))
    write_line_results(engine, results, DEEPPCB)
    record_disposition(engine, "I0", Disposition.CONFIRMED, "ann")
    engine.dispose()
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("table", "number"), [("inspections", 6), ("detections", 1), ("dispositions", 1), ("boards", 6)]
)
def test_each_table(workspace: Path, copperline: Run, table: str, number: int) -> None:
    out = workspace / "out" / f"{table}.csv"
    ran = copperline("export", table, out, "--workspace", workspace)
    assert (ran.status, ran.err) == (0, "")
    assert f"Wrote {number} {table} to {out}" in ran.out
    assert len(rows(out)) == number
    as_json = copperline("export", table, out.with_suffix(".jsonl"), "--workspace", workspace, "--json").json
    assert as_json == {"file": str(out.with_suffix(".jsonl")), "table": table, "rows": number}
    assert len(out.with_suffix(".jsonl").read_text().splitlines()) == number


def test_a_part(workspace: Path, copperline: Run) -> None:
    out = workspace / "part.csv"
    copperline("export", "inspections", out, "--line", "L2", "--since", "2026-03-01T02:00", "--workspace", workspace)
    assert [row["board_id"] for row in rows(out)] == ["B3", "B5"]
    copperline("export", "inspections", out, "--until", "2026-03-01T02:00:00+01:00", "--workspace", workspace)
    assert [row["board_id"] for row in rows(out)] == ["B0"]
    copperline("export", "boards", out, "--product", "none", "--workspace", workspace)
    assert rows(out) == []


def test_times_are_the_plants(workspace: Path, copperline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_TIME_ZONE", "Asia/Kolkata")
    out = workspace / "part.csv"
    copperline("export", "inspections", out, "--since", "2026-03-01T09:00", "--workspace", workspace)
    assert [row["board_id"] for row in rows(out)] == ["B4", "B5"]


def test_parquet(workspace: Path, copperline: Run) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra export is not installed")
    assert copperline("export", "boards", workspace / "b.parquet", "--workspace", workspace).status == 0
    assert pq.read_table(workspace / "b.parquet").column("board_id").to_pylist() == [f"B{n}" for n in range(6)]


def test_cfx(workspace: Path, copperline: Run) -> None:
    out = workspace / "cfx.jsonl"
    for _ in range(2):  # the same messages both times
        ran = copperline("export", "inspections", out, "--format", "cfx", "--workspace", workspace)
        assert ran.status == 0
        messages = [json.loads(line) for line in out.read_text().splitlines()]
        assert [m["UniqueID"] for m in messages] == [f"I{n}" for n in range(6)]
    results = [m["MessageBody"]["InspectedUnits"][0]["OverallResult"] for m in messages]
    assert results == ["Failed", "Error", *["Passed"] * 4]
    defects = messages[0]["MessageBody"]["InspectedUnits"][0]["Inspections"][0]["DefectsFound"]
    assert [(d["DefectCode"], d["Comments"][-7:]) for d in defects] == [("open", "0 0 8 8")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("boards", "b.xlsx"), ".csv, .jsonl or .parquet"),
        (("inspections", "b.csv", "--format", "cfx"), ".jsonl file with --format cfx"),
        (("boards", "b.csv", "--since", "yesterday"), "--since"),
        (("boards", "b.csv", "--until", "2026-13-01"), "--until"),
    ],
)
def test_what_cannot_be_is_one_line(workspace: Path, copperline: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = copperline("export", *arguments, "--workspace", workspace)
    assert ran.status == 1
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not (workspace / arguments[1]).exists()


def test_no_warehouse(tmp_path: Path, copperline: Run) -> None:
    ran = copperline("export", "boards", tmp_path / "b.csv", "--workspace", tmp_path / "none")
    assert ran.status == 1
    assert "found no file" in ran.err
    assert not (tmp_path / "b.csv").exists()
