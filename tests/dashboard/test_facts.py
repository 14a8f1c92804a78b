from __future__ import annotations

import platform
import sqlite3
from pathlib import Path

import pytest

from copperline.dashboard.facts import (
    card_groups,
    card_table,
    shipped_cards,
    split_table,
    versions,
    workspace_datasets,
)
from copperline.data import data_hash, load_saved, read_deeppcb, save_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.warehouse import SCHEMA_VERSION


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    boards = tmp_path_factory.mktemp("boards") / "PCBData"
    write_synthetic_dataset(boards, train=6, test=2, size=320, processes=1)
    dataset, report = read_deeppcb(boards)
    save_dataset(dataset, report, folder / "line-1")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "dataset.json").write_text("{")
    (folder / "unfinished").mkdir()
    return folder


def test_versions_are_those_that_run() -> None:
    found = versions()
    assert found["Python"] == platform.python_version()
    assert found["SQLite"] == sqlite3.sqlite_version
    assert found["Warehouse schema"] == str(SCHEMA_VERSION)
    assert all(found.values())


def test_data_sets_are_told_and_a_damaged_one_is_named(datasets: Path) -> None:
    damaged, line = workspace_datasets(datasets)
    assert damaged.facts is None
    assert "dataset.json" in str(damaged.failure)
    assert line.failure is None
    assert line.facts is not None
    assert line.facts.report.accepted == 8
    assert workspace_datasets(datasets / "none") == ()


def test_splits_are_counted_as_the_labels_are(datasets: Path) -> None:
    facts = workspace_datasets(datasets)[1].facts
    assert facts is not None
    dataset, _ = load_saved(datasets / "line-1")
    assert facts.data_hash == data_hash(dataset)
    rows = split_table(facts)
    assert [row["Split"] for row in rows] == [s for s in ("train", "val", "test") if any(p.split == s for p in dataset)]
    for row in rows:
        pairs = dataset.split(row["Split"])
        assert row["Boards"] == len(pairs)
        assert row["Groups"] == len({pair.board_group for pair in pairs})
        assert row["All defects"] == sum(len(pair.labels) for pair in pairs)
        for defect_class in dataset.taxonomy:
            assert row[defect_class.name] == sum(int((p.labels.class_ids == defect_class.id).sum()) for p in pairs)


def test_the_shipped_models_tell_of_deeppcb() -> None:
    card = shipped_cards()["builtin:deeppcb"]
    assert card_table(card) == [
        {"Split": "train", "Boards": 1000, "Groups": 7},
        {"Split": "test", "Boards": 399, "Groups": 11},
    ]
    assert card_groups(card)[0].startswith("Groups in train: group00041, ")
    assert len(card_groups(card)) == 2
