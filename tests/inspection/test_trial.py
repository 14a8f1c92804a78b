from __future__ import annotations

import numpy as np
import pytest

from copperline.data.images import Image
from copperline.inspection import Detector, inspect_arrays, try_pair
from copperline.model_info import OperatingPoint
from copperline.runtime import Tiling
from copperline.taxonomy import DEEPPCB, Call

from .conftest import defective


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.99])
def test_a_trial_calls_as_an_inspection_at_any_threshold(detector: Detector, golden: Image, threshold: float) -> None:
    test = defective(defective(golden, 0, 255), 1, 100)
    point = OperatingPoint.uniform(DEEPPCB, threshold)
    inspected = inspect_arrays(detector.with_operating_point(point), test, golden)
    tried = try_pair(detector, test, golden).verdict(point)
    assert tried.call is inspected.call
    assert tried.registration_score == inspected.registration_score
    assert tried.detections == inspected.detections


def test_a_wrong_reference_is_withheld_whatever_the_threshold(
    detector: Detector, golden: Image, other_golden: Image
) -> None:
    trial = try_pair(detector, golden, other_golden)
    assert len(trial.said) == 0
    assert trial.verdict(OperatingPoint.uniform(DEEPPCB, 0.1)).call is Call.WITHHELD


def test_without_reference_nothing_is_registered(detector: Detector, golden: Image) -> None:
    trial = try_pair(detector, golden)
    assert trial.reference is None
    assert trial.verdict(detector.operating_point).registration_score is None


def test_a_lower_operating_point_lowers_the_floor(detector: Detector, golden: Image) -> None:
    assert try_pair(detector, golden).floor == pytest.approx(0.05)
    assert try_pair(detector.with_operating_point(0.01), golden).floor == pytest.approx(0.01)


def test_tiles_are_counted(detector: Detector, golden: Image) -> None:
    detector.model.tiling = Tiling(limit=200, side=160, overlap=32)
    board = np.tile(golden, (2, 2))
    steps: list[tuple[int, int]] = []
    try_pair(detector, board, board, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i, 9) for i in range(10)]
