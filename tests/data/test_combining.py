from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from copperline.data import BoardDataset, BoardPair, combined
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB, Taxonomy


def board(board_id: str, group: str, split: str) -> BoardPair:
    return BoardPair(board_id, group, split, Path("t.png"), None, Detections.empty(), 64, 64)  # type: ignore[arg-type]


def dataset(name: str, *pairs: BoardPair) -> BoardDataset:
    return BoardDataset(name, f"/{name}", pairs)


FIRST = dataset("first", board("1", "a", "train"), board("2", "b", "val"))
SECOND = dataset("second", board("3", "c", "train"), board("4", "d", "train"))


def test_all_boards_and_which_data_set_each_is_of() -> None:
    together, notes = combined([FIRST, SECOND])
    assert (together.name, notes) == ("first + second", ())
    assert [pair.board_id for pair in together] == ["1", "2", "3", "4"]
    assert together.parts == (0, 0, 1, 1)
    assert (together.parts_of("train"), together.parts_of("val")) == ((0, 1, 1), (0,))
    assert combined([FIRST]) == (FIRST, ())
    assert FIRST.parts_of("train") == ()


@pytest.mark.parametrize("again", [board("2", "x", "train"), board("9", "b", "train")])
def test_what_one_validates_on_is_not_trained_on_by_another(again: BoardPair) -> None:
    other = dataset("second", again, board("3", "c", "train"))
    together, notes = combined([FIRST, other])
    assert [pair.board_id for pair in together.split("train")] == ["1", "3"]
    assert together.parts_of("train") == (0, 1)
    assert notes == ("1 boards of second are left out of training: validated on",)


def test_what_cannot_be_put_together() -> None:
    others = replace(SECOND, taxonomy=Taxonomy(tuple(DEEPPCB)[:2]))
    with pytest.raises(DataError, match=r"expected the classes of first, open, short, .*; second has open, short"):
        combined([FIRST, others])
    with pytest.raises(DataError, match="boards to train on in each data set"):
        combined([FIRST, dataset("second", board("5", "e", "val"))])
