from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from copperline.data import decode_image, open_dataset, read_pair, to_grey
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError
from copperline.line.simulated_boards import MOST_DEFECTS, DrawnBoards, LabelledBoards


def test_drawn_boards_are_of_products_that_the_library_is_given() -> None:
    source = DrawnBoards(3, run="R", defective=0.5, size=160)
    goldens = source.goldens()
    assert len(goldens) == 3
    boards = [source.board(station, number) for station in range(4) for number in range(10)]
    assert {board.product_type for board in boards} == set(goldens)
    assert len({board.board_id for board in boards}) == len(boards)
    assert all(board.reference is None for board in boards)
    defective = [board for board in boards if len(board.labels)]
    assert 10 < len(defective) < 30
    assert max(len(board.labels) for board in boards) == MOST_DEFECTS
    for board in boards[:3]:
        assert decode_image(board.image, "board").shape[:2] == decode_image(goldens[board.product_type], "g").shape[:2]


def test_without_defects_no_board_has_one() -> None:
    source = DrawnBoards(1, run="R", defective=0.0, size=160)
    assert [len(source.board(0, number).labels) for number in range(20)] == [0] * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards") / "drawn"
    write_synthetic_dataset(folder, train=6, test=3, size=320, processes=1)
    return folder


def test_labelled_boards_are_made_good_but_for_a_few_defects(folder: Path) -> None:
    pairs = open_dataset(folder)[0].pairs
    good = LabelledBoards(pairs, run="R", defective=0.0)
    bad = LabelledBoards(pairs, run="R", defective=1.0)
    assert good.goldens() == {}
    for number in range(len(pairs)):
        mended, faulty = good.board(0, number), bad.board(0, number)
        pair = next(p for p in pairs if p.board_id == faulty.board_id.rpartition("-")[2])
        test, reference = read_pair(pair)
        assert reference is not None
        assert faulty.reference is not None
        assert np.array_equal(to_grey(decode_image(faulty.reference, "reference")), reference)
        assert len(mended.labels) == 0
        assert len(faulty.labels) == min(len(pair.labels), len(faulty.labels)) <= MOST_DEFECTS
        image = to_grey(decode_image(faulty.image, "board"))
        for x1, y1, x2, y2 in faulty.labels.boxes.astype(int):
            assert np.array_equal(image[y1:y2, x1:x2], test[y1:y2, x1:x2])


def test_every_board_comes_before_one_comes_again(folder: Path) -> None:
    pairs = open_dataset(folder)[0].pairs
    source = LabelledBoards(pairs, run="R", defective=0.5)
    names = [source.board(1, number).board_id.rpartition("-")[2] for number in range(2 * len(pairs))]
    assert sorted(names[: len(pairs)]) == sorted(names[len(pairs) :]) == sorted(p.board_id for p in pairs)
    assert len({source.board(s, n).board_id for s in range(2) for n in range(20)}) == 40


def test_boards_without_references_cannot_be_a_line(folder: Path) -> None:
    with pytest.raises(DataError, match="found none"):
        LabelledBoards([], run="R", defective=0.1)
