from __future__ import annotations

from pathlib import Path

import pytest

from copperline.data import BoardDataset, BoardPair, Split
from copperline.data.split_check import shared_between_splits
from copperline.detections import Detections
from copperline.errors import DataError


def board(folder: Path, name: str, group: str, split: Split, content: str) -> BoardPair:
    path = folder / f"{split}-{name}.png"
    path.write_text(content)
    return BoardPair(name, group, split, path, None, Detections.empty(), 64, 64)


def test_splits_by_group_share_nothing(tmp_path: Path) -> None:
    pairs = board(tmp_path, "1", "a", "train", "one"), board(tmp_path, "2", "b", "val", "two")
    (shared,) = shared_between_splits(BoardDataset("d", "here", pairs))
    assert (shared.first, shared.second, shared.boards, shared.images, shared.groups) == ("train", "val", (), (), ())
    assert not shared.leaks


def test_a_group_in_train_and_val_is_a_leak_and_in_train_and_test_is_not(tmp_path: Path) -> None:
    pairs = (
        board(tmp_path, "1", "a", "train", "one"),
        board(tmp_path, "2", "a", "val", "two"),
        board(tmp_path, "3", "a", "test", "three"),
    )
    found = shared_between_splits(BoardDataset("d", "here", pairs))
    assert [(s.first, s.second, s.groups, s.leaks) for s in found] == [
        ("train", "val", ("a",), True),
        ("train", "test", ("a",), False),
        ("val", "test", ("a",), False),
    ]


def test_the_same_image_under_another_name_is_found(tmp_path: Path) -> None:
    pairs = (
        board(tmp_path, "1", "a", "train", "same"),
        board(tmp_path, "2", "b", "test", "same"),
        board(tmp_path, "1", "b", "test", "another"),
    )
    (shared,) = shared_between_splits(BoardDataset("d", "here", pairs))
    assert (shared.boards, shared.images, shared.leaks) == (("1",), ("2",), True)


def test_an_image_that_is_gone_is_told(tmp_path: Path) -> None:
    pair = board(tmp_path, "1", "a", "train", "one")
    pair.test_path.unlink()
    with pytest.raises(DataError):
        shared_between_splits(BoardDataset("d", "here", (pair,)))
