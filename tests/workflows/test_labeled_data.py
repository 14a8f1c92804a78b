from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from copperline.data import open_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError
from copperline.settings import Settings
from copperline.warehouse import LabeledBoard, open_warehouse, read_labeled_boards, write_labeled_boards
from copperline.workflows.importing import import_dataset
from copperline.workflows.labeled_data import dataset_from_warehouse


@pytest.mark.on_snowflake
def test_an_imported_data_set_comes_back_as_it_was(any_url: str, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "boards", train=3, test=2, size=128, processes=1)
    dataset, report = open_dataset(tmp_path / "boards")
    settings = Settings(workspace=tmp_path / "workspace", warehouse_url=any_url)
    saved, _ = import_dataset(dataset, report, settings, "boards")
    engine = open_warehouse(any_url)
    back = dataset_from_warehouse(engine, tmp_path / "back")
    engine.dispose()
    assert len(back) == 5
    found = {pair.board_id: pair for pair in back}
    for pair in saved:
        other = found[pair.test_path.stem]
        assert other.test_path.read_bytes() == pair.test_path.read_bytes()
        assert pair.reference_path is not None
        assert other.reference_path is not None
        assert other.reference_path.read_bytes() == pair.reference_path.read_bytes()
        assert (other.split, other.board_group, other.width) == (pair.split, pair.board_group, pair.width)
        np.testing.assert_allclose(other.labels.boxes, pair.labels.boxes, atol=1e-4)
        assert other.labels.class_ids.tolist() == pair.labels.class_ids.tolist()


@pytest.fixture
def labeled(tmp_path: Path) -> Engine:
    return open_warehouse(f"sqlite:///{tmp_path / 'labeled.db'}")


def test_more_boards_than_fit_in_a_page_come_in_order(labeled: Engine) -> None:
    boards = [LabeledBoard(f"{n:03}.png", b"x", "", "train" if n % 3 else "val", None, None) for n in range(120)]
    write_labeled_boards(labeled, reversed(boards))
    assert list(read_labeled_boards(labeled)) == boards
    assert list(read_labeled_boards(labeled, ["val"])) == boards[::3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "training"}, "expected a split of train, val, test, found 'training'"),
        ({"filename": "../up.png"}, "expected a board id that can be a file name"),
        ({"image_bytes": b"no image"}, "pcb_labeled_data, a.png"),
        ({"label_text": "9 .5 .5 .1 .1"}, "pcb_labeled_data, a.png:1: expected `class"),
    ],
)
def test_a_wrong_row_is_named(labeled: Engine, tmp_path: Path, change: dict[str, object], message: str) -> None:
    import cv2

    image = cv2.imencode(".png", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))[1].tobytes()
    board = LabeledBoard("a.png", image, "", "train", None, None)
    write_labeled_boards(labeled, [dataclasses.replace(board, **change)])
    with pytest.raises(DataError) as caught:
        dataset_from_warehouse(labeled, tmp_path / "back")
    assert message in str(caught.value)
    assert not (tmp_path / "up.png").exists()


def test_an_empty_table_says_how_to_fill_it(labeled: Engine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none; run `copperline data import`"):
        dataset_from_warehouse(labeled, tmp_path / "back")
