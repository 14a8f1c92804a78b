from __future__ import annotations

import numpy as np
import pytest

from copperline.detections import Detections
from copperline.evaluation import draw_scan
from copperline.evaluation.scan_picture import MOST_CLOSE_UPS
from copperline.taxonomy import DEEPPCB


def coloured(picture: np.ndarray) -> np.ndarray:
    return (np.ptp(picture.astype(int), axis=2) > 40).any()


def findings(count: int, side: int) -> Detections:
    rng = np.random.default_rng(count)
    corners = rng.uniform(0, side - 60, (count, 2))
    return Detections.of(np.hstack((corners, corners + 40)), rng.integers(0, 6, count), rng.random(count))


@pytest.mark.parametrize(("height", "width"), [(6000, 8000), (8000, 3000), (1600, 1700)])
def test_the_board_is_reduced_and_each_finding_can_be_seen(height: int, width: int) -> None:
    scan = np.full((height, width), 255, np.uint8)
    box = [width / 2, height / 2, width / 2 + 30, height / 2 + 30]
    picture = draw_scan(scan, Detections.of([box], [1], [0.9]), DEEPPCB)
    zoom = min(1.0, 2000 / max(height, width))
    overview = picture[: round(height * zoom)]
    assert max(overview.shape[:2]) <= 2000
    x, y = round(box[0] * zoom), round(box[1] * zoom)
    # A frame of 7 px would be lost in 2,000.
    assert coloured(overview[y - 20 : y + 20, x - 20 : x + 20])
    assert coloured(picture[round(height * zoom) :])


def test_a_board_without_findings_is_the_board_alone() -> None:
    picture = draw_scan(np.zeros((4000, 4000), np.uint8), Detections.empty(), DEEPPCB)
    assert picture.shape == (2000, 2000, 3)
    assert not coloured(picture)


def test_close_ups_are_those_of_the_most_confident() -> None:
    scan = np.full((4000, 4000), 255, np.uint8)
    few, most, many = (draw_scan(scan, findings(n, 4000), DEEPPCB) for n in (3, MOST_CLOSE_UPS, 300))
    assert few.shape[0] < most.shape[0] <= many.shape[0] < most.shape[0] + 60


def test_a_finding_at_the_edge_has_a_close_up_too() -> None:
    scan = np.zeros((3000, 3000), np.uint8)
    for box in ([0, 0, 20, 20], [2970, 2980, 3000, 3000], [0, 0, 3000, 3000]):
        assert coloured(draw_scan(scan, Detections.of([box], [0], [0.5]), DEEPPCB)[2000:])
