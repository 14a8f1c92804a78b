from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.runtime import Selection, Tiling, predict_tiled

SMALL = Tiling(limit=96, side=96, overlap=40)


def find_blobs(test: Image, reference: Image | None, _selection: Selection) -> Detections:
    """A detector that can be checked by eye: one box for each connected blob; the grey level gives the class."""
    image = test if reference is None else cv2.absdiff(test, reference)
    count, _, stats, _ = cv2.connectedComponentsWithStats((image > 0).astype(np.uint8), connectivity=8)
    boxes, class_ids = [], []
    for x, y, width, height, _area in stats[1:count]:
        boxes.append([x, y, x + width, y + height])
        class_ids.append(int(image[y : y + height, x : x + width].max()) // 100)
    return Detections.of(np.array(boxes).reshape(-1, 4), class_ids, np.full(len(boxes), 0.9))


def in_order(detections: Detections) -> list[tuple[float, ...]]:
    return sorted((*box, c) for box, c in zip(detections.boxes.tolist(), detections.class_ids.tolist(), strict=True))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), height=st.integers(97, 330), width=st.integers(60, 330), single=st.booleans())
def test_tiles_find_what_the_whole_image_has(seed: int, height: int, width: int, single: bool) -> None:
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.uint8)
    free = np.ones((height, width), np.uint8)
    for _ in range(60):
        # Smaller than the overlap by the edge zone on both sides, so that some tile has each one whole.
        w, h = rng.integers(1, SMALL.overlap - 5, 2)
        x, y = rng.integers(0, max(1, width - w)), rng.integers(0, max(1, height - h))
        if free[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2].all():
            image[y : y + h, x : x + w] = rng.choice([50, 150, 250])
            free[y : y + h, x : x + w] = 0
    reference = None if single else np.zeros_like(image)
    whole = find_blobs(image, reference, Selection())
    assert len(whole) > 0
    assert in_order(predict_tiled(find_blobs, image, reference, Selection(), SMALL)) == in_order(whole)


def test_a_defect_larger_than_the_overlap_is_not_lost() -> None:
    image = np.zeros((90, 200), np.uint8)
    image[40:50, 10:190] = 50
    found = predict_tiled(find_blobs, image, None, Selection(), SMALL)
    assert len(found) >= 1
    covered = np.zeros(200, bool)
    for x1, _, x2, _ in found.boxes.astype(int):
        covered[x1:x2] = True
    assert covered[10:190].all()


def test_a_piece_that_looks_like_another_class_yields_to_the_whole() -> None:
    def predict(test: Image, _reference: Image | None, _selection: Selection) -> Detections:
        found = find_blobs(test, None, _selection)
        widths = found.boxes[:, 2] - found.boxes[:, 0]
        return Detections(found.boxes, np.where(widths < 30, 5, 0), np.where(widths < 30, 0.6, 0.8).astype(np.float32))

    image = np.zeros((90, 150), np.uint8)
    # Tiles begin at 0 and 54: the first one ends at 96 and cuts the blob.
    image[40:50, 80:112] = 50
    found = predict_tiled(predict, image, None, Selection(), SMALL)
    assert in_order(found) == [(80, 40, 112, 50, 0)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(length=st.integers(1, 5000), side=st.integers(2, 1000), data=st.data())
def test_tiles_cover_the_side_and_overlap_enough(length: int, side: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, side // 2))
    starts = Tiling(limit=side, side=side, overlap=overlap).starts(length)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - side)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= side - overlap).all()


def test_tiles_that_cannot_cover_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap < side <= limit"):
        Tiling(limit=100, side=100, overlap=100)
