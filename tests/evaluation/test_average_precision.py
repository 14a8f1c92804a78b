from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from copperline.detections import Detections
from copperline.evaluation.average_precision import (
    coco_ap,
    coco_ap_of,
    coco_matches,
    deeppcb_ap,
    deeppcb_ap_of,
    nan_mean,
)
from copperline.evaluation.matching import match

CLASSES = 3


def pycocotools_ap(detections: Sequence[Detections], labels: Sequence[Detections]) -> np.ndarray:
    """(C, 10), NaN for a class without labels."""

    def rows(parts: Sequence[Detections]) -> list[dict[str, object]]:
        boards = [
            (i, box.astype(float), int(c), float(s))
            for i, p in enumerate(parts)
            for box, c, s in zip(p.boxes, p.class_ids, p.confidences, strict=True)
        ]
        return [
            {
                "id": n + 1,
                "image_id": image,
                "category_id": c,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "score": score,
            }
            for n, (image, (x1, y1, x2, y2), c, score) in enumerate(boards)
        ]

    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in range(len(labels))],
        "categories": [{"id": c} for c in range(CLASSES)],
        "annotations": rows(labels),
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes(rows(detections)) if any(map(len, detections)) else COCO()
        if not any(map(len, detections)):
            results.dataset = {**truth.dataset, "annotations": []}
            results.createIndex()
        run = COCOeval(truth, results, "bbox")
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, 2]  # (T, recalls, C) of all areas, 100 detections
    return np.where(precision[:, 0] < 0, np.nan, precision.mean(axis=1)).T


def slow_deeppcb_ap(detections: Sequence[Detections], labels: Sequence[Detections], class_id: int | None) -> float:
    """One loop, plain Python; `class_id` None: all classes in one ranking."""
    ranking = sorted(
        (
            (-float(s), image, n, int(c), box.tolist())
            for image, part in enumerate(detections)
            for n, (box, c, s) in enumerate(zip(part.boxes, part.class_ids, part.confidences, strict=True))
            if class_id in (None, c)
        )
    )
    left = [
        [(box.tolist(), int(c)) for box, c in zip(part.boxes, part.class_ids, strict=True) if class_id in (None, c)]
        for part in labels
    ]
    total, correct, area = sum(map(len, left)), 0, 0.0
    for rank, (_, image, _, c, (x1, y1, x2, y2)) in enumerate(ranking, start=1):
        best, best_iou = None, 0.33
        for candidate in left[image]:
            (a1, b1, a2, b2), label_class = candidate
            w, h = max(0.0, min(x2, a2) - max(x1, a1)), max(0.0, min(y2, b2) - max(y1, b1))
            iou = w * h / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - w * h)
            if label_class == c and iou >= best_iou:
                best, best_iou = candidate, iou
        if best is not None:
            left[image].remove(best)
            correct += 1
            area += correct / rank
    return area / total if total else float("nan")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), boards=st.integers(1, 6), invented=st.integers(0, 6))
def test_equals_pycocotools(make_boards, seed: int, boards: int, invented: int) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(seed, boards, classes=CLASSES, invented=invented)
    np.testing.assert_allclose(coco_ap(detections, labels, CLASSES), pycocotools_ap(detections, labels), atol=1e-6)


def test_equals_pycocotools_beyond_its_limit_of_detections(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(5, 8, classes=CLASSES, invented=500)
    expected = pycocotools_ap(detections, labels)
    assert max(np.bincount(d.class_ids).max() for d in detections) > 100
    np.testing.assert_allclose(coco_ap(detections, labels, CLASSES), expected, atol=1e-6)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), boards=st.integers(1, 6), invented=st.integers(0, 20))
def test_deeppcb_equals_the_slow_way(make_boards, seed: int, boards: int, invented: int) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(seed, boards, classes=CLASSES, invented=invented)
    got = deeppcb_ap(detections, labels, CLASSES)
    expected = [slow_deeppcb_ap(detections, labels, c) for c in range(CLASSES)]
    np.testing.assert_allclose(got.per_class, expected, atol=1e-12)
    np.testing.assert_allclose(got.pooled, slow_deeppcb_ap(detections, labels, None), atol=1e-12)


def test_perfect_detections_have_average_precision_one(make_boards) -> None:  # type: ignore[no-untyped-def]
    _, labels = make_boards(2, 20, classes=CLASSES)
    assert coco_ap(labels, labels, CLASSES).tolist() == [[pytest.approx(1.0)] * 10] * CLASSES
    assert deeppcb_ap(labels, labels, CLASSES).per_class.tolist() == [1.0] * CLASSES


def test_a_class_without_labels_is_not_measured_and_one_without_detections_is_zero() -> None:
    labels = [Detections.of([[0, 0, 9, 9], [20, 0, 29, 9]], [0, 2])]
    detections = [Detections.of([[0, 0, 9, 9], [40, 0, 49, 9]], [0, 1], [0.9, 0.8])]
    assert np.isnan(coco_ap(detections, labels, 3)[1]).all()
    assert coco_ap(detections, labels, 3)[[0, 2], 0].tolist() == [pytest.approx(1.0), 0.0]
    deeppcb = deeppcb_ap(detections, labels, 3)
    assert deeppcb.per_class[[0, 2]].tolist() == [1.0, 0.0]
    assert deeppcb.mean == 0.5
    assert deeppcb.pooled == 0.5


def test_counting_boards_equals_evaluating_the_copies(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(3, 12, classes=CLASSES, decimals=6)
    counts = np.random.default_rng(0).integers(0, 4, (5, 12))
    fast = coco_ap_of(coco_matches(detections, labels), CLASSES, counts)
    pooled = deeppcb_ap_of(match(detections, labels), CLASSES, counts).pooled
    for r, row in enumerate(counts):
        copies = np.repeat(np.arange(12), row)
        copied = [detections[i] for i in copies], [labels[i] for i in copies]
        np.testing.assert_allclose(fast[r], coco_ap(*copied, CLASSES), atol=1e-12)
        # Copies of a detection share the precision after the last of them: slightly above the exact sum.
        assert pooled[r] == pytest.approx(float(deeppcb_ap(*copied, CLASSES).pooled), abs=0.02)


def test_nan_mean() -> None:
    nan = float("nan")
    assert nan_mean(np.array([[1.0, nan, 0.5], [nan, nan, nan]])).tolist() == [0.75, pytest.approx(nan, nan_ok=True)]
