from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections
from copperline.errors import DataError, SettingsError
from copperline.evaluation.evaluate import evaluate
from copperline.evaluation.operating_point import choose_operating_point
from copperline.taxonomy import DEEPPCB

BOX = np.array([0, 0, 30, 30], np.float32)
FAR = np.array([500, 500, 530, 530], np.float32)
CLASSES = len(DEEPPCB)


def apart(count: int) -> np.ndarray:
    """Boxes far from the labels and from each other."""
    return np.arange(count)[:, None] * np.array([0, 40, 0, 40], np.float32) + FAR


def board(true: list[tuple[int, float]], false: list[tuple[int, float]] = [], missed: list[int] = []) -> tuple:  # noqa: B006
    """(detections, labels): (class, confidence) of found defects and of false detections, classes of missed ones."""
    spots = np.arange(len(true) + len(missed))[:, None] * np.array([40, 0, 40, 0], np.float32) + BOX
    detections = Detections.of(
        np.concatenate([spots[: len(true)], apart(len(false))]),
        [c for c, _ in true + false],
        [s for _, s in true + false],
    )
    return detections, Detections.of(spots, [c for c, _ in true] + missed)


def clean(*found: tuple[int, float]) -> Detections:
    return Detections.of(apart(len(found)), [c for c, _ in found], [s for _, s in found])


def every_class(confidence: float, boards: int) -> list[tuple]:
    return [board([(c, confidence) for c in range(CLASSES)]) for _ in range(boards)]


def test_a_separable_validation_set_is_separated() -> None:
    boards = [*every_class(0.8, 20), board([], [(c, 0.4) for c in range(CLASSES)])]
    point = choose_operating_point(*map(list, zip(*boards, strict=True)), [clean((2, 0.45))], DEEPPCB)
    assert point.reached
    assert all(0.45 < t <= 0.8 for t in point.thresholds.values())
    assert point.criterion.startswith("recall >= 99.5 % on validation with the fewest false calls")
    assert "recall 100 % (120 of 120 labels)" in point.criterion
    assert "false calls on 0 of 1 defect-free boards" in point.criterion


def test_false_call_boards_come_before_false_detections() -> None:
    # 5 of 1,000 labels may be missed: the doubtful opens, which costs ten false shorts, or the doubtful shorts, which
    # costs a false-call board.
    boards = [board([(0, 0.9), (1, 0.9)]) for _ in range(495)] + [board([(0, 0.3), (1, 0.3)]) for _ in range(5)]
    boards.append(board([], [(1, 0.5)] * 10))
    point = choose_operating_point(*map(list, zip(*boards, strict=True)), [clean((0, 0.5))], DEEPPCB)
    assert point.reached
    assert 0.5 < point.thresholds["open"] <= 0.9
    assert point.thresholds["short"] <= 0.3
    assert "recall 99.5 % (995 of 1000 labels)" in point.criterion


def test_each_class_follows_its_own_labels_when_it_has_many() -> None:
    # Opens are found with low confidence and without false detections; shorts with high confidence among noise.
    boards = [board([(0, 0.35), (1, 0.9)], [(1, 0.6)]) for _ in range(300)]
    point = choose_operating_point(*map(list, zip(*boards, strict=True)), [clean((1, 0.6))], DEEPPCB)
    assert point.reached
    assert point.thresholds["open"] <= 0.35
    assert 0.6 < point.thresholds["short"] <= 0.9


def test_a_class_with_few_labels_falls_back_to_the_common_threshold() -> None:
    boards = [board([(c, 0.8) for c in range(5)], [(c, 0.5) for c in range(5)]) for _ in range(100)]
    # Two pin-holes say that 0.95 separates; hundreds of other labels say that defects have 0.8.
    boards += [board([(5, 0.97)], [(5, 0.9)]) for _ in range(2)]
    point = choose_operating_point(*map(list, zip(*boards, strict=True)), [], DEEPPCB)
    assert 0.5 < point.thresholds["pin-hole"] <= 0.8
    assert "false calls not measured" in point.criterion


def test_defects_that_are_not_detected_do_not_drag_the_thresholds_down() -> None:
    # 1.2 % of the defects are missing or only in the noise at 0.01 to 0.06: the target is out of reach.
    rng = np.random.default_rng(3)
    boards = [
        board(
            [(int(c), float(s)) for c, s in zip(rng.integers(0, 6, 6), 1 - rng.beta(1, 9, 6), strict=True)],
            [(int(c), float(s)) for c, s in zip(rng.integers(0, 6, 20), rng.beta(0.4, 9, 20), strict=True)],
            [0] if i % 14 == 0 else [],
        )
        for i in range(150)
    ]
    detections, labels = map(list, zip(*boards, strict=True))
    clean_detections = [clean(*((int(c), float(s)) for c, s in rng.uniform(0, [6, 0.3], (5, 2)))) for _ in range(50)]
    point = choose_operating_point(detections, labels, clean_detections, DEEPPCB)
    assert not point.reached
    assert "recall >= 99.5 % was not reached (the highest recall at thresholds from 0.05 is" in point.criterion
    assert all(0.2 < t < 0.7 for t in point.thresholds.values())
    at_point = evaluate(detections, labels, clean_detections, DEEPPCB, point, resamples=0)
    assert at_point.f_score is not None
    assert at_point.f_score > 0.985
    assert at_point.false_call_boards is not None
    assert at_point.false_call_boards <= 2


def test_a_recall_that_costs_too_many_false_detections_is_not_accepted() -> None:
    boards = [board([(0, 0.9)]) for _ in range(98)] + [board([(0, 0.10)], [(0, 0.2)] * 40) for _ in range(2)]
    point = choose_operating_point(*map(list, zip(*boards, strict=True)), [], DEEPPCB)
    assert not point.reached
    assert "it would cost a precision below 95 %" in point.criterion
    assert point.thresholds["open"] > 0.2


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), target=st.sampled_from([0.5, 0.8, 0.9]))
def test_what_the_criterion_says_is_what_evaluation_measures(make_boards, seed: int, target: float) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(seed, 12, classes=CLASSES, decimals=2)
    if not any(map(len, labels)):
        return
    clean_detections = [d[-3:] for d in detections]
    point = choose_operating_point(detections, labels, clean_detections, DEEPPCB, target, min_precision=0.5)
    measured = evaluate(detections, labels, clean_detections, DEEPPCB, point, resamples=0)
    assert measured.recall is not None
    assert f"recall {100 * measured.recall:.4g} %" in point.criterion
    assert f"false calls on {measured.false_call_boards} of 12" in point.criterion
    assert all(0.05 <= t <= 0.99 for t in point.thresholds.values())
    if point.reached:
        assert measured.recall >= target
        assert (measured.precision or 0) >= 0.5


def test_wrong_arguments_are_refused() -> None:
    detections, labels = map(list, zip(*every_class(0.8, 1), strict=True))
    with pytest.raises(DataError, match="labelled defects"):
        choose_operating_point(detections, [Detections.empty()], [], DEEPPCB)
    for wrong in ({"target_recall": 0.0}, {"target_recall": 1.1}, {"floor": 0.0}, {"min_precision": 2.0}):
        with pytest.raises(SettingsError, match="expected"):
            choose_operating_point(detections, labels, [], DEEPPCB, **wrong)
