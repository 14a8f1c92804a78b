from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from copperline.detections import Detections
from copperline.errors import DataError, SettingsError
from copperline.evaluation import evaluate, sweep_thresholds
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB, Taxonomy

Boards = tuple[list[Detections], list[Detections]]
THREE = Taxonomy(DEEPPCB.classes[:3])


@pytest.mark.parametrize("decimals", [1, 4])
def test_every_threshold_gives_what_an_evaluation_there_gives(
    make_boards: Callable[..., Boards], decimals: int
) -> None:
    detections, labels = make_boards(3, 12, decimals=decimals)
    clean, _ = make_boards(4, 5, misses=1.0)
    # Boards without two boxes at one place: there a lower floor may let another of them win.
    detections = [found.one_per_place() for found in detections]
    clean = [found.one_per_place() for found in clean]
    sweep = sweep_thresholds(detections, labels, clean)
    assert sweep.thresholds[0] == 0.05
    assert sweep.thresholds[-1] == 0.99
    for at in range(0, len(sweep.thresholds), 13):
        point = OperatingPoint.uniform(THREE, float(sweep.thresholds[at]))
        there = evaluate(detections, labels, clean, THREE, point, resamples=0)
        assert sweep.recall[at] == there.recall
        assert there.precision is None or sweep.precision[at] == there.precision
        assert sweep.f_score[at] == pytest.approx(there.f_score)
        assert sweep.false_call_rate[at] == there.false_call_rate
        assert sweep.missed[at] == sweep.labels - sweep.found[at]


def test_a_detection_at_its_threshold_counts() -> None:
    label = Detections.of([[0, 0, 10, 10]], [0])
    sweep = sweep_thresholds([Detections.of([[0, 0, 10, 10]], [0], [0.56])], [label], [])
    assert dict(zip(sweep.thresholds.tolist(), sweep.found.tolist(), strict=True))[0.56] == 1
    assert dict(zip(sweep.thresholds.tolist(), sweep.found.tolist(), strict=True))[0.57] == 0


def test_the_dearer_a_miss_the_lower_the_threshold() -> None:
    """Two defects at 0.3 and 0.8, false detections at 0.2 and 0.5."""
    labels = [Detections.of([[0, 0, 10, 10], [50, 0, 60, 10]], [0, 0])]
    found = [
        Detections.of(
            [[0, 0, 10, 10], [50, 0, 60, 10], [90, 0, 99, 9], [90, 90, 99, 99]], [0, 0, 0, 0], [0.3, 0.8, 0.2, 0.5]
        )
    ]
    sweep = sweep_thresholds(found, labels, [])
    dear, cheap = (sweep.cheapest(price) for price in (10, 0.5))
    assert (sweep.missed[dear], sweep.false_detections[dear]) == (0, 1)
    assert (sweep.missed[cheap], sweep.false_detections[cheap]) == (1, 0)
    assert sweep.thresholds[dear] == 0.25  # between what to keep, 0.3, and what to drop, 0.2
    assert sweep.thresholds[cheap] == 0.65


def test_without_defect_free_boards_false_calls_are_not_measured() -> None:
    sweep = sweep_thresholds([Detections.empty()], [Detections.of([[0, 0, 9, 9]], [0])], [])
    assert np.isnan(sweep.false_call_rate).all()
    assert np.isnan(sweep.precision).all()
    assert sweep.f_score.tolist() == [0.0] * len(sweep.thresholds)


def test_bad_inputs_are_refused() -> None:
    label = [Detections.of([[0, 0, 9, 9]], [0])]
    with pytest.raises(DataError, match="expected labelled defects"):
        sweep_thresholds([Detections.empty()], [Detections.empty()], [])
    with pytest.raises(SettingsError, match=r"expected a floor in \[0.01, 0.99\]"):
        sweep_thresholds([Detections.empty()], label, [], floor=0.0)
    with pytest.raises(ValueError, match="boards"):
        sweep_thresholds([], label, [])
    for price in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(SettingsError, match="expected a price above 0"):
            sweep_thresholds([Detections.empty()], label, []).cheapest(price)
