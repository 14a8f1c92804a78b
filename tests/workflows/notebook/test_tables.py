from __future__ import annotations

from pathlib import Path

import numpy as np

from copperline.data import BoardDataset, BoardPair, ImportReport
from copperline.data.split_check import SharedBetween
from copperline.detections import Detections
from copperline.evaluation import evaluate, sweep_thresholds
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB
from copperline.warehouse import Result
from copperline.workflows import notebook as nb

LABELS = Detections.of([[10, 20, 30, 60], [50, 50, 90, 60]], [3, 0])
PAIRS = (
    BoardPair("b1", "g1", "train", Path("b1.png"), None, LABELS, 100, 200),
    BoardPair("b2", "g2", "test", Path("b2.png"), None, Detections.empty(), 100, 200),
)
BOARDS = BoardDataset("d", "here", PAIRS)


def test_splits_are_counted_with_their_good_boards() -> None:
    table = nb.splits_table(BOARDS, ImportReport.of(BOARDS))
    assert table.rows == [("train", "1", "1", "2", "0", "g1"), ("test", "1", "1", "0", "1", "g2")]


def test_sizes_are_of_images_and_of_the_longer_sides() -> None:
    assert [row[1] for row in nb.sizes_table(BOARDS).rows] == ["100 x 200", "40", "40", "40"]
    assert nb.sizes_table(BoardDataset("d", "here", PAIRS[1:])).rows == [("images, px", "100 x 200")]


def test_a_label_is_told_in_both_layouts() -> None:
    assert nb.conversion_table(PAIRS[0]).rows == [
        ("10 20 30 60 4", "3 0.2000 0.2000 0.2000 0.2000"),
        ("50 50 90 60 1", "0 0.7000 0.2750 0.4000 0.0500"),
    ]


def test_a_leak_is_shouted() -> None:
    shared = [SharedBetween("train", "val", (), (), ("g",)), SharedBetween("train", "test", (), (), ("g",))]
    assert [row[-1] for row in nb.shared_table(shared).rows] == ["LEAK", "none"]


def test_figures_come_with_intervals_and_denominators() -> None:
    point = OperatingPoint.uniform(DEEPPCB, 0.5)
    measured = evaluate([LABELS] * 4, [LABELS] * 4, [Detections.empty(), LABELS], DEEPPCB, point)
    rows = dict(nb.figures_table(measured).rows)
    assert rows["recall"] == "100.0 % (100.0 - 100.0)"
    assert rows["clean boards with a false call"].startswith("1 of 2: 50.0 % (")
    by_class = {row[0]: row for row in nb.classes_table(measured).rows}
    assert by_class["spur"][1:3] == ("4", "100.0 %")
    assert by_class["copper"][1:4] == ("0", "not measured", "not measured")
    bare = evaluate([LABELS], [LABELS], [], DEEPPCB, point, resamples=0)
    assert dict(nb.figures_table(bare).rows)["clean boards with a false call"] == "not measured"
    assert [row[2] for row in nb.thresholds_table(bare, DEEPPCB).rows] == ["0.50"] * 6


def test_prices_lead_to_thresholds() -> None:
    found = Detections(LABELS.boxes, LABELS.class_ids, np.array([0.3, 0.8], np.float32))
    sweep = sweep_thresholds([found], [LABELS], [Detections.of([[0, 0, 9, 9]], [0], [0.5])])
    assert nb.prices_table(sweep, (0.5, 10)).rows == [("0.5", "0.65", "1", "0", "0"), ("10", "0.17", "0", "0", "1")]
    without = sweep_thresholds([found], [LABELS], [])
    assert nb.prices_table(without, (10,)).rows[0][-1] == "not measured"


def test_a_result_is_formatted_as_the_command_line_does() -> None:
    table = nb.result_table(Result(("a", "b"), ((None, 0.123456789), (b"xy", 3))))
    assert table.rows == [("NULL", "0.123457"), ("<2 bytes>", "3")]
