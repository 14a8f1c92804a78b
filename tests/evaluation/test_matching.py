from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections, box_iou
from copperline.evaluation.matching import Stage, match, match_in_stages

IOUS = [0.1, 0.33, 0.5, 0.75]


@st.composite
def crowds(draw: st.DrawFn) -> Detections:
    """Integer boxes crowded on 12 x 12 px, so that they overlap, compete and tie."""
    n = draw(st.integers(0, 9))
    corners = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=n, max_size=n))
    sizes = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=n, max_size=n))
    ids = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    tenths = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]
    return Detections.of(boxes, ids, [t / 4 for t in tenths])


def one_after_another(detections: Detections, labels: Detections, iou: float, same_class: bool) -> list[int]:
    """The textbook loop: the label found by each detection in the order of confidence, -1 for none."""
    ious = box_iou(detections.boxes.astype(np.float64), labels.boxes.astype(np.float64))  # type: ignore[arg-type]
    taken: set[int] = set()
    result = []
    for d in np.argsort(-detections.confidences, kind="stable"):
        best, best_iou = -1, iou
        for g in range(len(labels)):
            if g in taken or (same_class and labels.class_ids[g] != detections.class_ids[d]):
                continue
            if ious[d, g] >= best_iou:
                best, best_iou = g, ious[d, g]
        taken.add(best)
        result.append(best)
    return result


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(crowds(), crowds()), min_size=1, max_size=3), st.booleans())
def test_equals_the_loop_over_detections(boards: list[tuple[Detections, Detections]], same_class: bool) -> None:
    found = match([d for d, _ in boards], [g for _, g in boards], IOUS, same_class=same_class)
    starts = np.cumsum([0] + [len(g) for _, g in boards])
    for t, iou in enumerate(IOUS):
        for image, (detections, labels) in enumerate(boards):
            expected = one_after_another(detections, labels, iou, same_class)
            got = found.labels_found[t, found.detection_images == image]
            assert np.where(got >= 0, got - starts[image], -1).tolist() == expected


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(crowds(), crowds()), min_size=1, max_size=3), st.sampled_from([0.25, 0.5, 0.75]))
def test_a_confidence_threshold_only_cuts_the_tail(
    boards: list[tuple[Detections, Detections]], threshold: float
) -> None:
    labels = [g for _, g in boards]
    everything = match([d for d, _ in boards], labels, IOUS)
    confident = match([d.above(threshold) for d, _ in boards], labels, IOUS)
    kept = everything.confidences >= threshold
    assert np.array_equal(everything.labels_found[:, kept], confident.labels_found)


def test_both_directions_agree(make_boards) -> None:  # type: ignore[no-untyped-def]
    found = match(*make_boards(1, 30), IOUS)
    assert found.correct.sum() > 100
    for t in range(len(IOUS)):
        detections = np.flatnonzero(found.correct[t])
        assert np.array_equal(found.found_by[t, found.labels_found[t, detections]], detections)
        assert (found.found_by[t] >= 0).sum() == len(detections)
        assert np.array_equal(found.label_images[found.labels_found[t, detections]], found.detection_images[detections])


def test_a_detection_of_another_class_matches_only_class_agnostic() -> None:
    detection, label = [Detections.of([[0, 0, 9, 9]], [1], [0.5])], [Detections.of([[0, 0, 9, 9]], [0])]
    assert match(detection, label).correct.tolist() == [[False]]
    assert match(detection, label, same_class=False).correct.tolist() == [[True]]


def test_the_limit_counts_each_class_of_each_board() -> None:
    crowd = Detections.of(np.tile([0, 0, 9, 9], (5, 1)), [0, 0, 0, 1, 1], [0.1, 0.3, 0.2, 0.5, 0.4])
    found = match([crowd, crowd], [Detections.empty(), Detections.empty()], max_per_class=2)
    assert found.confidences.tolist() == pytest.approx([0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2])


@pytest.mark.parametrize("nothing", [[], [Detections.empty()]])
def test_nothing_to_match(nothing: list[Detections]) -> None:
    found = match(nothing, nothing, [0.3, 0.5], max_per_class=100)
    assert found.labels_found.shape == (2, 0)
    assert found.found_by.shape == (2, 0)
    assert found.images == len(nothing)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1 and 0"):
        match([Detections.empty()], [])
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        match([], [], 0.0)


def without(found: Detections, taken: list[int]) -> Detections:
    return found[np.array([i not in taken for i in range(len(found))], dtype=bool)]


@given(crowds(), crowds())
@settings(deadline=None)
def test_a_stage_is_a_match_of_what_is_left(detections: Detections, labels: Detections) -> None:
    staged = match_in_stages([detections], [labels], [Stage(0.33), Stage(0.1, same_class=False)])
    ranked = detections.by_confidence()
    assert staged.detections == ranked
    first = match([detections], [labels], 0.33)
    assert (staged.stage == 0).tolist() == first.correct[0].tolist()
    left = without(ranked, np.flatnonzero(first.correct[0]).tolist())
    left_labels = without(labels, np.flatnonzero(first.found_by[0] >= 0).tolist())
    second = match([left], [left_labels], 0.1, same_class=False)
    assert (staged.stage[~first.correct[0]] == 1).tolist() == second.correct[0].tolist()
    free = np.flatnonzero(first.found_by[0] < 0)
    expected = [int(free[label]) if label >= 0 else -1 for label in second.labels_found[0]]
    assert staged.label_found[~first.correct[0]].tolist() == expected
    for detection, label in enumerate(staged.label_found):
        if label >= 0:
            assert staged.found_by[label] == detection
            assert staged.iou[detection] == pytest.approx(
                box_iou(ranked.boxes[[detection]], labels.boxes[[label]])[0, 0]
            )
        else:
            assert staged.iou[detection] == 0
    assert (staged.found_by >= 0).sum() == (staged.label_found >= 0).sum()


def test_stages_need_the_same_boards() -> None:
    with pytest.raises(ValueError, match="1 and 0"):
        match_in_stages([Detections.empty()], [], [Stage(0.5)])
