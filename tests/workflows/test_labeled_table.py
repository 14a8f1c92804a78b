"""Boards that go into the table and come back as they were."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from copperline.data import BoardDataset, data_hash, open_dataset, sha256_of
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError, SettingsError, WarehouseError
from copperline.settings import Settings
from copperline.warehouse import LabeledBoard, open_warehouse, place, write_labeled_boards
from copperline.workflows.importing import import_dataset
from copperline.workflows.labeled_table import read_labeled_table


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, BoardDataset]:
    folder = tmp_path_factory.mktemp("table")
    write_synthetic_dataset(folder / "boards", train=8, test=4, size=96, processes=1)
    settings = Settings(workspace=folder / "workspace")
    dataset, report = open_dataset(folder / "boards")
    return settings, import_dataset(dataset, report, settings, "boards")[0]


@pytest.mark.on_snowflake
def test_boards_come_back_with_images_labels_splits_and_groups(any_url: str, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "boards", train=3, test=2, size=96, processes=1)
    settings = Settings(workspace=tmp_path / "workspace", warehouse_url=any_url)
    dataset, _ = import_dataset(*open_dataset(tmp_path / "boards"), settings, "boards")
    found = read_labeled_table(settings, tmp_path / "table")
    assert found is not None
    read, report = found
    before = {pair.board_id: pair for pair in dataset}
    assert {pair.board_id for pair in read} == set(before)
    for pair in read:
        same = before[pair.board_id]
        assert (pair.split, pair.board_group, pair.width) == (same.split, same.board_group, same.width)
        assert sha256_of(pair.test_path) == sha256_of(same.test_path)
        assert pair.reference_path is not None
        assert same.reference_path is not None
        assert sha256_of(pair.reference_path) == sha256_of(same.reference_path)
        np.testing.assert_allclose(pair.labels.boxes, same.labels.boxes, atol=1e-4)
        assert pair.labels.class_ids.tolist() == same.labels.class_ids.tolist()
    assert data_hash(read) == data_hash(dataset)
    assert (report.accepted, report.notes) == (5, ())
    assert (read.name, read.source, report.source) == ("pcb_labeled_data", place(any_url), place(any_url))


def test_fewer_boards_are_the_first_of_each_group(filled: tuple[Settings, BoardDataset], tmp_path: Path) -> None:
    settings, dataset = filled
    for _ in range(2):  # the second call finds what the first has left
        found = read_labeled_table(settings, tmp_path / "table", 6)
        assert found is not None
        read, report = found
        assert {pair.split for pair in read} == {pair.split for pair in dataset}
        assert len(read) == 6
        assert report.notes[-1] == "6 of 12 rows of pcb_labeled_data"


def test_an_empty_table_gives_none(tmp_path: Path) -> None:
    assert read_labeled_table(Settings(workspace=tmp_path), tmp_path / "table") is None
    assert not (tmp_path / "table").exists()


def test_a_warehouse_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "warehouse.db").write_text("no database")
    with pytest.raises(WarehouseError):
        read_labeled_table(Settings(workspace=tmp_path), tmp_path / "table")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "workspace")


def write(settings: Settings, *boards: LabeledBoard) -> None:
    engine = open_warehouse(settings.warehouse)
    write_labeled_boards(engine, boards)
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "training"}, "pcb_labeled_data, a.png: expected a split out of train, val, test, found 'training'"),
        ({"filename": "../up.png"}, "pcb_labeled_data: expected the file name of an image, found '../up.png'"),
        ({"image_bytes": b"no image"}, "none of 1 (first: "),
        ({"label_text": "9 .5 .5 .1 .1"}, "a.txt:1: expected a class from 0 to 5, found 9"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_written_beside_the_folder(
    settings: Settings, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    import cv2

    image = cv2.imencode(".png", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))[1].tobytes()
    board = LabeledBoard("a.png", image, "", "train", None, None)
    write(settings, dataclasses.replace(board, **change))
    with pytest.raises(DataError) as caught:
        read_labeled_table(settings, tmp_path / "table")
    assert message in str(caught.value)
    assert not list(tmp_path.rglob("up.png"))


def test_a_board_whose_image_is_damaged_is_left_out_and_named(
    filled: tuple[Settings, BoardDataset], tmp_path: Path
) -> None:
    settings, dataset = filled
    copied = tmp_path / "workspace"
    shutil.copytree(settings.workspace, copied)
    settings = settings.model_copy(update={"workspace": copied})
    name = dataset.pairs[0].test_path.name
    write(settings, LabeledBoard(name, b"no image", "", "train"))
    found = read_labeled_table(settings, tmp_path / "table")
    assert found is not None
    assert found[1].accepted == len(found[0]) == len(dataset) - 1
    assert [board.board for board in found[1].skipped] == [dataset.pairs[0].board_id]


def test_a_folder_of_something_else_is_left_alone(filled: tuple[Settings, BoardDataset], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="found something else"):
        read_labeled_table(filled[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_no_board_at_all_cannot_be_asked_for(filled: tuple[Settings, BoardDataset], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least 1, found 0"):
        read_labeled_table(filled[0], tmp_path / "table", 0)
