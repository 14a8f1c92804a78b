from __future__ import annotations

import numpy as np
import pytest

from copperline.detections import Detections
from copperline.evaluation.clean_boards import clean_board


def test_only_the_labelled_boxes_are_filled() -> None:
    rng = np.random.default_rng(0)
    test, reference = rng.integers(0, 100, (40, 50), np.uint8), rng.integers(100, 255, (40, 50), np.uint8)
    before = test.copy()
    board = clean_board(
        test, reference, Detections.of([[3.4, 5.6, 10.2, 12.1], [45, 30, 60, 60], [-5, 0, 2, 2]], [0, 1, 2])
    )
    expected = test.copy()
    for y, x in ((slice(5, 13), slice(3, 11)), (slice(30, 40), slice(45, 50)), (slice(0, 2), slice(0, 2))):
        expected[y, x] = reference[y, x]
    assert np.array_equal(board, expected)
    assert np.array_equal(test, before)


def test_without_labels_it_is_a_copy_of_the_test_image() -> None:
    test = np.full((8, 8, 3), 7, np.uint8)
    board = clean_board(test, np.zeros_like(test), Detections.empty())
    assert np.array_equal(board, test)
    assert board is not test


def test_a_reference_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        clean_board(np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8), Detections.empty())
