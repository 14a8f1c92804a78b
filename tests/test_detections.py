import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections, box_iou, overlapping_pairs, pairwise_iou
from copperline.taxonomy import DEEPPCB


def random_boxes(seed: int, count: int) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(-20, 120, (count, 2, 2))
    return np.concatenate((corners.min(1), corners.max(1)), 1).astype(np.float32)


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    return overlap / union if union > 0 else 0.0


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_iou_agrees_with_its_definition(seed: int) -> None:
    first, second = random_boxes(seed, 4), random_boxes(seed + 1, 5)
    expected = [[slow_iou(a.astype(float), b.astype(float)) for b in second] for a in first]
    np.testing.assert_allclose(box_iou(first, second), expected, atol=1e-5)


def test_iou_of_nothing_and_of_boxes_without_area() -> None:
    assert box_iou(np.empty((0, 4), np.float32), random_boxes(0, 3)).shape == (0, 3)
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert box_iou(point, point).tolist() == [[0.0]]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_clipped_boxes_are_inside_and_have_area(seed: int) -> None:
    boxes = random_boxes(seed, 6)
    found = Detections.of(boxes, range(6), np.linspace(0.1, 0.6, 6)).clipped(100, 80)
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2] <= 100).all()
    assert (found.boxes[:, 3] <= 80).all()
    assert (found.areas() > 0).all()
    kept = [i for i, b in enumerate(boxes) if min(b[2], 100) > max(b[0], 0) and min(b[3], 80) > max(b[1], 0)]
    assert found.class_ids.tolist() == kept


def test_thresholds_are_by_class_and_inclusive() -> None:
    found = Detections.of(np.tile([0, 0, 9, 9], (3, 1)), [0, 1, 1], [0.5, 0.5, 0.7])
    assert found.above(0.5).class_ids.tolist() == [0, 1, 1]
    assert found.above([0.6, 0.5]).confidences.tolist() == pytest.approx([0.5, 0.7])


def test_order_selection_and_concatenation() -> None:
    found = Detections.of([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], [2, 1, 0], [0.3, 0.9, 0.3])
    assert found.by_confidence().class_ids.tolist() == [1, 2, 0]
    assert len(found[0]) == 1
    assert Detections.concatenate([found[:1], found[1:]]) == found
    assert Detections.concatenate([]) == Detections.empty()
    assert found.shifted(2, -1).boxes[0].tolist() == [2, -1, 3, 0]
    assert found != found.shifted(1, 0)


def test_json_names_the_class() -> None:
    assert Detections.of([[1, 2, 3.14159, 4]], [5], [0.98768]).to_dicts(DEEPPCB) == [
        {"class": "pin-hole", "confidence": 0.9877, "box": [1.0, 2.0, 3.14, 4.0]}
    ]


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected boxes \(N, 4\)"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(1, np.int64), np.zeros(2, np.float32))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6))
def test_called_is_one_per_place_then_the_thresholds(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    found = Detections.of(random_boxes(seed, 30), rng.integers(0, 3, 30), rng.uniform(0, 1, 30))
    limits = np.array([threshold, threshold / 2, 0.9])
    called = found.called(limits)
    assert called == found.one_per_place().above(limits)
    overlaps = box_iou(called.boxes, called.boxes) - np.eye(len(called))
    assert (overlaps <= 0.5).all()
    for one in range(len(found)):  # nothing vanishes without a reason
        stays = (found.one_per_place().boxes == found.boxes[one]).all(1).any()
        better = found[found.confidences > found.confidences[one]]
        assert stays or (box_iou(better.boxes, found.boxes[one : one + 1]) > 0.5).any()


def spread_boxes(seed: int, count: int, width: int) -> np.ndarray:
    """Of very different sizes, some negative, some without area, some far apart."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-50, width, (count, 2))
    sizes = rng.choice([0, 3, 40, 127, 128, 300], (count, 2)) * rng.uniform(0.5, 1, (count, 2))
    return np.concatenate((corners, corners + sizes), 1).astype(np.float32)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 200), width=st.sampled_from([60, 500, 4000]))
def test_overlapping_pairs_are_those_that_share_area(seed: int, count: int, width: int) -> None:
    boxes = spread_boxes(seed, count, width)
    first, second = overlapping_pairs(boxes)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    expected = np.argwhere(np.triu((high > low).all(axis=2), 1))
    assert np.column_stack((first, second)).tolist() == expected.tolist()
    np.testing.assert_array_equal(pairwise_iou(boxes[first], boxes[second]), box_iou(boxes, boxes)[first, second])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 200), iou=st.sampled_from([0.1234567, 0.5012345]))
def test_one_per_place_is_as_its_definition_says(seed: int, count: int, iou: float) -> None:
    rng = np.random.default_rng(seed)
    found = Detections.of(spread_boxes(seed, count, 500), rng.integers(0, 3, count), rng.uniform(0, 1, count))
    kept: list[int] = []
    ordered = found.by_confidence()
    overlaps = box_iou(ordered.boxes, ordered.boxes)
    for i in range(count):
        if not (overlaps[i, kept] > iou).any():
            kept.append(i)
    assert found.one_per_place(iou) == ordered[np.array(kept, np.int64)]
