from __future__ import annotations

from pathlib import Path

from copperline.data import BoardPair
from copperline.data.samples import showing_most_classes
from copperline.detections import Detections


def board(name: str, group: str, *class_ids: int) -> BoardPair:
    labels = Detections.of([[0, 0, 9, 9]] * len(class_ids), list(class_ids)) if class_ids else Detections.empty()
    return BoardPair(name, group, "train", Path(f"{name}.png"), None, labels, 64, 64)


def test_each_board_adds_what_the_others_do_not_show() -> None:
    pairs = [board("good", "a"), board("few", "a", 0, 1), board("many", "a", 0, 1, 2), board("rest", "b", 3)]
    assert [pair.board_id for pair in showing_most_classes(pairs, 2)] == ["many", "rest"]
    assert [pair.board_id for pair in showing_most_classes(pairs, 9)] == ["many", "rest", "few", "good"]


def test_of_equals_the_other_group_then_the_emptier_board_comes_first() -> None:
    pairs = [board("a1", "a", 0, 0), board("a2", "a", 0), board("b1", "b", 0, 0, 0)]
    assert [pair.board_id for pair in showing_most_classes(pairs, 3)] == ["a2", "b1", "a1"]


def test_there_may_be_none() -> None:
    assert showing_most_classes([], 3) == ()
    assert showing_most_classes([board("a", "a", 1)], 0) == ()
