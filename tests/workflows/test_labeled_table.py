"""Boards that go into the table and come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from copperline.data import BoardDataset, data_hash, open_dataset, sha256_of
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import WarehouseError
from copperline.settings import Settings
from copperline.workflows.importing import import_dataset
from copperline.workflows.labeled_table import read_labeled_table


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, BoardDataset]:
    folder = tmp_path_factory.mktemp("table")
    write_synthetic_dataset(folder / "boards", train=8, test=4, size=96, processes=1)
    settings = Settings(workspace=folder / "workspace")
    dataset, report = open_dataset(folder / "boards")
    return settings, import_dataset(dataset, report, settings, "boards")[0]


def test_boards_come_back_with_images_labels_splits_and_groups(
    filled: tuple[Settings, BoardDataset], tmp_path: Path
) -> None:
    settings, dataset = filled
    found = read_labeled_table(settings, 100, tmp_path / "table")
    assert found is not None
    read, report = found
    before = {pair.board_id: pair for pair in dataset}
    assert {pair.board_id for pair in read} == set(before)
    for pair in read:
        same = before[pair.board_id]
        assert (pair.split, pair.board_group) == (same.split, same.board_group)
        assert sha256_of(pair.test_path) == sha256_of(same.test_path)
        assert pair.reference_path is not None
        assert same.reference_path is not None
        assert sha256_of(pair.reference_path) == sha256_of(same.reference_path)
        assert np.allclose(pair.labels.boxes, same.labels.boxes, atol=1e-3)
        assert pair.labels.class_ids.tolist() == same.labels.class_ids.tolist()
    assert data_hash(read) == data_hash(dataset)
    assert report.accepted == 12


def test_fewer_boards_are_the_first_of_each_group(filled: tuple[Settings, BoardDataset], tmp_path: Path) -> None:
    settings, dataset = filled
    for _ in range(2):  # the second call finds what the first has left
        found = read_labeled_table(settings, 6, tmp_path / "table")
        assert found is not None
        read, report = found
        assert {pair.split for pair in read} == {pair.split for pair in dataset}
        assert len(read) == 6
        assert report.notes[-1] == "6 of 12 rows of PCB_LABELED_DATA"


def test_an_empty_table_gives_none(tmp_path: Path) -> None:
    assert read_labeled_table(Settings(workspace=tmp_path), 6, tmp_path / "table") is None
    assert not (tmp_path / "table").exists()


def test_a_warehouse_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "warehouse.db").write_text("no database")
    with pytest.raises(WarehouseError):
        read_labeled_table(Settings(workspace=tmp_path), 6, tmp_path / "table")
