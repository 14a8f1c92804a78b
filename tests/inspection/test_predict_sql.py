from __future__ import annotations

import json
from pathlib import Path

import pytest

from copperline.errors import DataError, WarehouseError
from copperline.inspection import Detector, predict_function
from copperline.warehouse import LabeledBoard, open_warehouse, run_sql, write_labeled_boards


def board_bytes(folder: Path, board_id: str) -> tuple[bytes, bytes]:
    return (folder / f"{board_id}_test.png").read_bytes(), (folder / f"{board_id}_temp.png").read_bytes()


def test_the_function_gives_detections_as_json(detector: Detector, folder: Path) -> None:
    predict = predict_function(detector)
    found = json.loads(predict(*board_bytes(folder, "B1")))
    assert {(d["class"], d["confidence"]) for d in found} == {("open", 1.0), ("spur", 1.0)}
    assert predict(*board_bytes(folder, "B2")) == "[]"
    assert predict(board_bytes(folder, "B2")[0], None) == "[]"


def test_a_withheld_call_is_not_taken_for_a_good_board(detector: Detector, folder: Path) -> None:
    assert predict_function(detector)(*board_bytes(folder, "B3")) == "null"


def test_bytes_that_are_no_image_are_refused(detector: Detector, folder: Path) -> None:
    with pytest.raises(DataError, match="image"):
        predict_function(detector)(b"text", None)


def test_it_is_predict_in_sql(detector: Detector, folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    boards = []
    for board_id in ("B1", "B2"):
        test, reference = board_bytes(folder, board_id)
        boards.append(LabeledBoard(board_id, test, "", "test", reference, board_id))
    write_labeled_boards(open_warehouse(url), boards)
    query = "SELECT filename, json_array_length(PREDICT(image_bytes, reference_bytes)) FROM pcb_labeled_data ORDER BY 1"
    assert [tuple(row) for row in run_sql(url, query, predict=predict_function(detector)).rows] == [
        ("B1", 2),
        ("B2", 0),
    ]
    with pytest.raises(WarehouseError, match="PREDICT failed"):
        run_sql(url, "SELECT PREDICT(x'00')", predict=predict_function(detector))
