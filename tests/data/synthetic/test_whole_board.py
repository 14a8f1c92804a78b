from __future__ import annotations

import numpy as np
import pytest

from copperline.data.synthetic import Distortion, ScanSettings, draw_whole_board
from copperline.detections import box_iou
from copperline.errors import DataError

STILL = Distortion((0.0, 0.0), 0.0, 0.0)


def test_the_same_seed_gives_the_same_board() -> None:
    first, again, other = (draw_whole_board(seed, 900, defects=3) for seed in (4, 4, 5))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[2] == again[2]
    assert not np.array_equal(first[0], other[0])


def test_defects_are_where_the_labels_say_and_nowhere_else() -> None:
    smooth = ScanSettings(roughness=(0.0, 0.0), blur=(0.8, 0.8))
    test, reference, labels = draw_whole_board(8, 1500, defects=12, scan=smooth, distortion=STILL)
    assert len(labels) == 12
    outside = test != reference
    for x1, y1, x2, y2 in labels.boxes.astype(int):
        assert outside[y1:y2, x1:x2].any()
        outside[y1:y2, x1:x2] = False
    assert not outside.any()
    assert (box_iou(labels.boxes, labels.boxes) > 0).sum() == len(labels)


def test_defects_lie_around_the_places_that_are_asked_for() -> None:
    places = [(640, 640), (448, 300), (1000, 1000), (1010, 1000), (1499, 0)]
    _, _, labels = draw_whole_board(9, 1500, at=places)
    assert len(labels) >= 3
    for box in labels.boxes:
        # Within the square around the place, which is pushed into the board.
        assert any(np.abs(box.reshape(2, 2).mean(axis=0) - place).max() <= 96 for place in places)


def test_a_board_of_no_size_is_refused() -> None:
    with pytest.raises(DataError, match="at least 512 px, found 511"):
        draw_whole_board(0, 511)
