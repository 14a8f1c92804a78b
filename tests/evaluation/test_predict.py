from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation.predict import predict_pairs

SIDE = 128


def image_of(index: int) -> np.ndarray:
    """A reference: copper (dark) traces, different for each board."""
    rng = np.random.default_rng(index)
    image = np.full((SIDE, SIDE), 255, np.uint8)
    for position in rng.integers(5, SIDE - 15, 6):
        image[position : position + 8, rng.integers(0, 40) :] = 0
        image[rng.integers(0, 40) :, position : position + 6] = 0
    return image


def make_pair(index: int, *, reference: bool = True) -> BoardPair:
    labels = Detections.of([[20, 20, 40, 40]], [index % 6])
    path = Path(f"{index}.png")
    return BoardPair(str(index), "g", "test", path, path if reference else None, labels, SIDE, SIDE)


def read(pair: BoardPair) -> tuple[np.ndarray, np.ndarray | None]:
    reference = image_of(int(pair.board_id))
    test = reference.copy()
    test[25:35, 25:35] = 255 - test[25:35, 25:35]
    test[100:104, 100:104] = 128
    return test, None if pair.reference_path is None else reference


class Recorder:
    """Gives one detection, numbered by the board, and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray | None]] = []

    def __call__(self, test: np.ndarray, reference: np.ndarray | None) -> Detections:
        self.seen.append((test, reference))
        return Detections.of([[0, 0, float(test.sum()), 1]], [0], [0.5])


PAIRS = [make_pair(i) for i in range(5)]


@pytest.mark.parametrize("threads", [1, 3])
def test_order_and_progress(threads: int) -> None:
    steps: list[tuple[int, int]] = []
    result = predict_pairs(
        Recorder(), PAIRS, threads=threads, images=read, progress=lambda done, total: steps.append((done, total))
    )
    assert [d.boxes[0, 2] for d in result] == [np.float32(read(p)[0].sum()) for p in PAIRS]
    assert steps == [(i + 1, 5) for i in range(5)]


def test_pair_and_single() -> None:
    pair, single = Recorder(), Recorder()
    predict_pairs(pair, PAIRS[:1], images=read)
    predict_pairs(single, PAIRS[:1], images=read, single=True)
    assert np.array_equal(pair.seen[0][1], image_of(0))
    assert np.array_equal(pair.seen[0][0], read(PAIRS[0])[0])
    assert single.seen[0][1] is None


def test_a_clean_board_keeps_its_scan_and_loses_its_defect() -> None:
    recorder = Recorder()
    predict_pairs(recorder, PAIRS[:1], images=read, clean=True)
    board, reference = recorder.seen[0]
    assert np.array_equal(board[20:40, 20:40], image_of(0)[20:40, 20:40])
    assert (board[100:104, 100:104] == 128).all()
    assert np.array_equal(reference, image_of(0))


def test_the_clean_board_of_a_single_image_is_its_reference() -> None:
    recorder = Recorder()
    predict_pairs(recorder, PAIRS[:1], images=read, clean=True, single=True)
    assert np.array_equal(recorder.seen[0][0], image_of(0))
    assert recorder.seen[0][1] is None


def test_a_board_without_a_reference_is_inspected_but_gives_no_clean_board() -> None:
    pairs = [PAIRS[0], make_pair(1, reference=False), replace(PAIRS[2])]
    assert len(predict_pairs(Recorder(), pairs, images=read)) == 3
    assert len(predict_pairs(Recorder(), pairs, images=read, clean=True)) == 2
