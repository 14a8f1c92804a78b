from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from copperline.data.images import write_image
from copperline.errors import DataError, WarehouseError
from copperline.inspection import Detector, ImagePair, Skipped, batch, inspect_pairs, pairs_in_folder
from copperline.inspection.inspect import ImageFile
from copperline.reference import GoldenLibrary
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspection
from copperline.warehouse.tables import defect_logs, inspections


def test_a_folder_is_inspected_and_written_board_by_board(detector: Detector, folder: Path, tmp_path: Path) -> None:
    engine = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}")
    write = partial(write_inspection, engine)
    steps: list[tuple[int, int]] = []
    pairs = pairs_in_folder(folder)
    summary = inspect_pairs(
        detector, pairs, write, station_id="AOI-1", progress=lambda done, total: steps.append((done, total))
    )

    assert summary.inspected == summary.new == 4
    assert summary.calls == {Call.PASS: 1, Call.FAIL: 2, Call.WITHHELD: 1}
    assert summary.defects == 3
    assert [s.path.name for s in summary.skipped] == ["B4_test.png"]
    assert "truncated or damaged" in summary.skipped[0].reason
    assert steps == [(i, 5) for i in range(1, 6)]

    with engine.connect() as connection:
        rows = connection.execute(select(inspections.c.board_id, inspections.c.call, inspections.c.defect_count))
        assert sorted(map(tuple, rows)) == [
            ("B1", "FAIL", 2),
            ("B2", "PASS", 0),
            ("B3", "WITHHELD", 0),
            ("B5", "FAIL", 1),
        ]
        measured = connection.execute(select(inspections.c.brightness, inspections.c.contrast))
        assert all(0 < brightness < 255 and 0 < contrast < 128 for brightness, contrast in measured)
        logged = connection.execute(select(defect_logs.c.detected_class)).scalars()
        assert sorted(logged) == ["open", "pin-hole", "spur"]

    again = inspect_pairs(detector, pairs, write, station_id="AOI-1")
    assert (again.inspected, again.new) == (4, 0)


def test_boards_are_written_in_order_as_they_are_done(detector: Detector, folder: Path) -> None:
    pair = pairs_in_folder(folder)[0]
    many = [ImagePair(f"N{i}", pair.test_path, pair.reference_path) for i in range(20)]
    written: list[str] = []

    def write(record: InspectionRecord) -> bool:
        if record.board_id == "N12":
            raise WarehouseError("the disk is full")
        written.append(record.board_id)
        return True

    with pytest.raises(WarehouseError):
        inspect_pairs(detector, many, write, station_id="AOI-1")
    assert written == [f"N{i}" for i in range(12)]


def test_nothing_to_inspect_is_no_fault(detector: Detector) -> None:
    summary = inspect_pairs(detector, [], lambda record: True, station_id="AOI-1")
    assert (summary.inspected, summary.defects, summary.skipped) == (0, 0, ())


def test_pairs_are_found_by_their_names(folder: Path) -> None:
    pairs = pairs_in_folder(folder.parent)
    assert [p.board_id for p in pairs] == ["B1", "B2", "B3", "B4", "B5"]
    assert pairs[0] == ImagePair("B1", folder / "B1_test.png", folder / "B1_temp.png")


def test_a_library_gives_the_references(detector: Detector, tmp_path: Path, golden: np.ndarray) -> None:
    incoming = tmp_path / "incoming"
    for name in ("AX7-1", "AX7-2_test", "C9-1"):
        write_image(incoming / f"{name}.png", golden)
    write_image(tmp_path / "golden" / "AX7.png", golden)
    library = GoldenLibrary(tmp_path / "golden")

    assert [p.reference_path for p in pairs_in_folder(incoming)] == [None, None, None]
    pairs = pairs_in_folder(incoming, library)
    assert [(p.board_id, p.reference_path) for p in pairs[:2]] == [
        ("AX7-1", tmp_path / "golden" / "AX7.png"),
        ("AX7-2", tmp_path / "golden" / "AX7.png"),
    ]
    # A board without a reference is reported, not judged by itself.
    summary = inspect_pairs(detector, pairs, lambda record: True, station_id="AOI-1")
    assert summary.inspected == 2
    (skipped,) = summary.skipped
    assert isinstance(skipped, Skipped)
    assert skipped.path == incoming / "C9-1.png"
    assert "C9-1.png" in skipped.reason
    assert "golden" in skipped.reason


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none", encoding="utf-8")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match="expected a folder with board images"):
            pairs_in_folder(folder)


def test_as_much_is_read_ahead_as_there_is_room_for(
    detector: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    real = batch.read_file

    def reading(path: Path) -> ImageFile:
        begun.append(path)
        return real(path)

    monkeypatch.setattr(batch, "read_file", reading)
    pairs = [ImagePair(f"B{i}", next(iter(pairs_in_folder(folder))).test_path, None) for i in range(8)]

    def begun_at_each() -> list[int]:
        begun.clear()
        seen = []
        for _ in batch.outcomes(detector, pairs, station_id="S"):
            time.sleep(0.2)  # the readers are threads: they get the time to begin more than they should
            seen.append(len(begun))
        return seen

    assert begun_at_each() == [5, 6, 7, 8, 8, 8, 8, 8]
    monkeypatch.setattr(batch, "_AHEAD_BYTES", 1)
    assert begun_at_each() == [1, 2, 3, 4, 5, 6, 7, 8]
