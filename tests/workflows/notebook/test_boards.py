from __future__ import annotations

from pathlib import Path

import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError
from copperline.settings import Settings
from copperline.workflows import notebook as nb


@pytest.fixture
def laptop(tmp_path: Path) -> nb.Place:
    return nb.Place(False, Settings(workspace=tmp_path / "workspace", threads=1))


def test_boards_of_a_folder_are_thinned_and_what_was_left_out_is_told(laptop: nb.Place, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "boards", train=12, test=4, size=96, processes=1)
    broken = next((tmp_path / "boards").rglob("*_test.jpg"))
    broken.write_bytes(b"")
    boards = nb.find_boards(laptop, nb.Parameters.of(data=tmp_path / "boards", boards=8))
    assert boards.source == "path"
    assert {pair.split for pair in boards.dataset} == {"train", "val", "test"}
    first, *others = boards.in_words.splitlines()
    assert first == f"{len(boards.dataset)} boards: the labelled boards that DATA names."
    assert any("of 15 boards, as BOARDS says" in line for line in others)
    assert others[-1].startswith("Left out: 1 boards, the first since")
    assert broken.name in others[-1]
    assert boards.report.accepted == len(boards.dataset)


def test_drawn_boards_are_drawn_once(laptop: nb.Place) -> None:
    parameters = nb.Parameters.of(boards=8)
    boards = nb.find_boards(laptop, parameters)
    assert boards.source == "synthetic"
    assert len(boards.dataset) == 8
    drawn = {pair.test_path: pair.test_path.stat().st_mtime_ns for pair in boards.dataset}
    again = nb.find_boards(laptop, parameters)
    assert {pair.test_path: pair.test_path.stat().st_mtime_ns for pair in again.dataset} == drawn


def test_a_folder_that_is_none_is_told(laptop: nb.Place, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        nb.find_boards(laptop, nb.Parameters.of(data=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////srv/plant/warehouse.db", "SQLite, as the settings say"),
        ("postgresql+pg8000://quality:secret@db/plant", "postgresql+pg8000://quality:***@db/plant"),
        ("snowflake://", "PCB_CV.PUBLIC in Snowflake"),
    ],
)
def test_a_place_is_told_without_paths_and_passwords(url: str, told: str) -> None:
    place = nb.Place(False, Settings(warehouse_url=url, registry_uri="snowflake"))
    assert ("warehouse", told) in place.table().rows
    assert ("registry", "PCB_CV.PUBLIC in Snowflake") in place.table().rows
    assert "secret" not in repr(place.table())
