from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections, box_iou
from copperline.runtime import Selection, decode_predictions, suppressed
from copperline.runtime.postprocess import voted


def slow_suppressed(detections: Detections, iou: float) -> Detections:
    """The definition, one box at a time."""
    kept: list[int] = []
    for i in np.argsort(-detections.confidences, kind="stable").tolist():
        box = detections.boxes[i : i + 1]
        rivals = [k for k in kept if detections.class_ids[k] == detections.class_ids[i]]
        if all(box_iou(box, detections.boxes[k : k + 1])[0, 0] <= iou for k in rivals):
            kept.append(i)
    return detections[np.array(kept, np.int64)]


@st.composite
def some_detections(draw: st.DrawFn) -> Detections:
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    corners = rng.integers(0, 40, (count, 2))
    boxes = np.concatenate((corners, corners + rng.integers(1, 30, (count, 2))), axis=1)
    confidences = rng.permutation(np.linspace(0.01, 1, count, dtype=np.float32))
    return Detections.of(boxes, rng.integers(0, 3, count), confidences)


# The limits are no ratio of small whole numbers, so rounding cannot decide.
@settings(max_examples=150, deadline=None, derandomize=True)
@given(detections=some_detections(), iou=st.sampled_from([0.1234567, 0.4123456, 0.5012345, 0.8765432]))
def test_suppression_does_what_its_definition_says(detections: Detections, iou: float) -> None:
    assert suppressed(detections, iou) == slow_suppressed(detections, iou)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(candidates=some_detections(), iou=st.sampled_from([0.4123456, 0.5012345, 0.8765432]))
def test_a_voted_box_is_the_weighted_mean_of_its_class_around_it(candidates: Detections, iou: float) -> None:
    kept = suppressed(candidates, 0.5)
    result = voted(kept, candidates, iou)
    assert (result.class_ids == kept.class_ids).all()
    assert (result.confidences == kept.confidences).all()
    for box, class_id, mean in zip(kept.boxes, kept.class_ids, result.boxes, strict=True):
        near = [
            (other, confidence)
            for other, other_class, confidence in zip(
                candidates.boxes, candidates.class_ids, candidates.confidences, strict=True
            )
            if other_class == class_id and box_iou(box[None], other[None])[0, 0] >= iou
        ]
        expected = np.average([other for other, _ in near], axis=0, weights=[weight for _, weight in near])
        assert mean.tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_a_selection_without_votes_keeps_the_best_box() -> None:
    predictions = rows(([10, 10, 8, 8], [0.9]), ([11, 10, 8, 8], [0.6]))
    (alone,) = decode_predictions(predictions, Selection(vote=1), 50, 50).boxes
    (mean,) = decode_predictions(predictions, Selection(), 50, 50).boxes
    assert alone.tolist() == [6, 6, 14, 14]
    assert mean.tolist() == pytest.approx([6.4, 6, 14.4, 14], abs=1e-3)


def rows(*anchors: tuple[list[float], list[float]]) -> np.ndarray:
    """(4 + C, A) from [centre x, y, width, height] and the probabilities of each anchor."""
    return np.array([box + scores for box, scores in anchors], np.float32).T


def test_boxes_classes_and_confidences_are_read_from_the_rows() -> None:
    predictions = rows(
        ([20, 30, 10, 20], [0.0, 0.7]),
        ([60, 60, 8, 8], [0.9, 0.2]),
        ([90, 10, 8, 8], [0.04, 0.01]),
    )
    found = decode_predictions(predictions, Selection(floor=0.05), 100, 100)
    assert found.boxes.round(4).tolist() == [[56, 56, 64, 64], [15, 20, 25, 40], [56, 56, 64, 64]]
    assert found.class_ids.tolist() == [0, 1, 1]
    assert found.confidences.tolist() == pytest.approx([0.9, 0.7, 0.2])


def test_boxes_are_cut_to_the_image_and_those_in_the_padding_go() -> None:
    predictions = rows(([0, 0, 10, 10], [0.9]), ([49, 49, 10, 10], [0.8]), ([60, 20, 10, 10], [0.7]))
    found = decode_predictions(predictions, Selection(), width=50, height=52)
    assert found.boxes.round(4).tolist() == [[0, 0, 5, 5], [44, 44, 50, 52]]


def test_the_floor_itself_passes() -> None:
    predictions = rows(([10, 10, 4, 4], [0.5]), ([30, 30, 4, 4], [0.499]))
    assert len(decode_predictions(predictions, Selection(floor=0.5), 50, 50)) == 1


def test_only_the_most_confident_are_kept() -> None:
    confidences = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 400))
    predictions = rows(*(([5 + 10 * i, 5, 8, 8], [float(c)]) for i, c in enumerate(confidences)))
    for selection in (Selection(most=20), Selection(most=20, candidates=20)):
        found = decode_predictions(predictions, selection, 4000, 10)
        assert found.confidences.tolist() == pytest.approx(np.sort(confidences)[::-1][:20].tolist())


def test_values_that_are_not_numbers_and_boxes_without_area_give_no_detection() -> None:
    nan = float("nan")
    predictions = rows(([10, 10, 4, 4], [nan]), ([nan, 10, 4, 4], [0.9]), ([10, 10, -4, 4], [0.9]))
    assert len(decode_predictions(predictions, Selection(), 50, 50)) == 0


@pytest.mark.parametrize("wrong", [{"floor": 0}, {"floor": 1.1}, {"iou": 0}, {"vote": 0}, {"most": 0}, {"most": 2000}])
def test_a_selection_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected (floor, iou and vote|1 <= most)"):
        Selection(**wrong)  # type: ignore[arg-type]
