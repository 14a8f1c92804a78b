from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation.error_analysis import ErrorCase, analyse_errors
from copperline.evaluation.error_sheets import VIEW, caption, contact_sheet, error_tile
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

EMPTY = Detections.empty()
SPUR, PIN_HOLE = (tuple(int(DEEPPCB[i].colour[j : j + 2], 16) for j in (5, 3, 1)) for i in (3, 5))


def one_case(detections: Detections, labels: Detections) -> ErrorCase:
    pair = BoardPair("20085007", "g", "val", Path("t.png"), None, labels, 640, 640)
    (case,) = analyse_errors([detections], [pair], DEEPPCB, OperatingPoint.uniform(DEEPPCB, 0.5)).cases
    return case


def checkers(size: int = 640) -> np.ndarray:
    return np.asarray(255 * (np.add.outer(np.arange(size), np.arange(size)) % 2), np.uint8)


def test_a_tile_shows_every_pixel_four_times() -> None:
    case = one_case(Detections.of([[310, 310, 330, 330]], [3], [0.7]), EMPTY)
    test, reference = np.full((640, 640), 200, np.uint8), checkers()
    tile = error_tile(case, test, reference, EMPTY, EMPTY, DEEPPCB)
    right = tile[1 : VIEW - 1, VIEW + 5 : 2 * VIEW + 3]  # without the frame
    expected = np.repeat(np.repeat(reference[272:368, 272:368], 2, axis=0), 2, axis=1)[1:-1, 1:-1]
    assert (right == expected[:, :, None]).all()
    left = tile[:VIEW, :VIEW]
    ys, xs = np.nonzero((left == SPUR).all(axis=2))
    # The box of 20 px, in the middle of 96, at twice its size; lines are two pixels wide.
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == pytest.approx((76, 115, 76, 115), abs=1)


@pytest.mark.parametrize(("length", "side"), [(80, 96), (81, 192), (176, 192), (177, 193), (400, 416)])
def test_a_large_defect_gets_room(length: int, side: int) -> None:
    case = one_case(EMPTY, Detections.of([[100, 200, 100 + length, 230]], [5]))
    test = np.zeros((640, 640), np.uint8)
    tile = error_tile(case, test, None, EMPTY, EMPTY, DEEPPCB)
    assert tile.shape[1] == VIEW
    xs = np.nonzero((tile[:VIEW] == PIN_HOLE).all(axis=2))[1]
    assert xs.max() - xs.min() == pytest.approx(length * VIEW / side + 8, abs=4)
    assert xs.min() > 0
    assert xs.max() < VIEW - 1


def test_beyond_the_edge_of_the_image_is_neither_copper_nor_board() -> None:
    case = one_case(EMPTY, Detections.of([[0, 620, 20, 640]], [5]))
    tile = error_tile(case, np.zeros((640, 640), np.uint8), None, EMPTY, EMPTY, DEEPPCB)
    assert (tile[10, 10:60] == 238).all()
    assert (tile[VIEW - 20, 100:160] == 238).all()
    assert (tile[10, 120:180] == 0).all()


def test_others_nearby_are_grey() -> None:
    case = one_case(EMPTY, Detections.of([[300, 300, 320, 320]], [5]))
    board = np.zeros((640, 640, 3), np.uint8)
    alone = error_tile(case, board, None, EMPTY, EMPTY, DEEPPCB)
    other = error_tile(case, board, None, Detections.of([[325, 300, 345, 320]], [3], [0.9]), EMPTY, DEEPPCB)
    changed = other[(alone != other).any(axis=2)]
    assert len(changed) > 100
    assert np.ptp(changed.astype(int), axis=1).max() < 40


@pytest.mark.parametrize(
    ("detections", "labels", "what", "where"),
    [
        (EMPTY, Detections.of([[0, 0, 20, 45]], [1]), "#1  short missed", "20085007  30 px  blind"),
        (
            Detections.of([[0, 0, 20, 45]], [1], [0.31]),
            Detections.of([[0, 0, 20, 45]], [1]),
            "#1  short missed",
            "20085007  30 px  short was at 31 %",
        ),
        (
            Detections.of([[0, 0, 20, 45]], [0], [0.81]),
            Detections.of([[0, 0, 20, 45]], [1]),
            "#1  short called open 81 %",
            "20085007  30 px  IoU 1.00",
        ),
        (Detections.of([[0, 0, 20, 45]], [0], [0.81]), EMPTY, "#1  open 81 %, nothing labelled", "20085007  30 px"),
        (
            Detections.of([[0, 0, 20, 9]], [1], [0.81]),
            Detections.of([[0, 0, 20, 45]], [1]),
            "#1  short called 81 %",
            "20085007  30 px  IoU 0.20",
        ),
        (
            Detections.of([[0, 0, 20, 45], [0, 0, 20, 18]], [1, 1], [0.9, 0.8]),
            Detections.of([[0, 0, 20, 45]], [1]),
            "#1  short called 80 % a second time",
            "20085007  30 px  IoU 0.40",
        ),
    ],
)
def test_captions(detections: Detections, labels: Detections, what: str, where: str) -> None:
    assert caption(one_case(detections, labels)) == (what, where)


def test_a_sheet_holds_every_tile_in_order() -> None:
    tiles = [np.full((50, 300, 3), 10 * i, np.uint8) for i in range(1, 6)]
    sheet = contact_sheet("five", tiles, DEEPPCB, columns=3)
    seen = {i: np.argwhere((sheet == 10 * i).all(axis=2)).min(axis=0).tolist() for i in range(1, 6)}
    ys, xs = [seen[i][0] for i in seen], [seen[i][1] for i in seen]
    assert ys[0] == ys[1] == ys[2] < ys[3] == ys[4]
    assert xs[0] == xs[3] < xs[1] == xs[4] < xs[2]
    for i in seen:
        assert (sheet == 10 * i).all(axis=2).sum() == 50 * 300
    assert contact_sheet("one", tiles[:1], DEEPPCB).shape[1] < sheet.shape[1]
