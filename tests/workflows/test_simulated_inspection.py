"""Boards that are inspected as if a plant had made them; their days and times are looked at in the demo's tests."""

from __future__ import annotations

from pathlib import Path

from copperline.data import open_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.inspection import Detector
from copperline.settings import Settings
from copperline.workflows.querying import query_warehouse
from copperline.workflows.simulated_inspection import inspect_as_made


def test_a_repeat_adds_nothing_and_every_line_is_counted(tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "boards", train=1, test=3, size=160, processes=1)
    dataset, _ = open_dataset(tmp_path / "boards")
    settings = Settings(workspace=tmp_path / "workspace", threads=1)
    detector = Detector.load("builtin:golden-only", settings=settings)
    done = [
        inspect_as_made(settings, detector, dataset.split("test"), station_id="s", version=version)
        for version in (1, 2)
    ]
    assert [(each.batch.inspected, each.batch.new) for each in done] == [(3, 3), (3, 0)]
    assert sum(counts.boards for counts in done[1].lines.values()) == 3
    rows = query_warehouse(
        settings, "SELECT DISTINCT station_id, source FROM inspections JOIN pcb_metadata USING (board_id)", {}
    )
    assert rows.rows == (("s", "simulated"),)
