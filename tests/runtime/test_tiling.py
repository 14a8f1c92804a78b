from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.runtime import Selection, Tile, Tiling, look_at_tiles, predict_tiled

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


def image_with_blobs(seed: int, height: int, width: int, largest: int) -> Image:
    """Rectangles of any size up to `largest`, each in one of three classes, none touching another."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.uint8)
    free = np.ones((height, width), np.uint8)
    for _ in range(60):
        w, h = rng.integers(1, largest, 2)
        x, y = rng.integers(0, max(1, width - w)), rng.integers(0, max(1, height - h))
        if free[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2].all():
            image[y : y + h, x : x + w] = rng.choice([50, 150, 250])
            free[y : y + h, x : x + w] = 0
    return image


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), height=st.integers(97, 330), width=st.integers(60, 330), single=st.booleans())
def test_tiles_find_what_the_whole_image_has(seed: int, height: int, width: int, single: bool) -> None:
    # Smaller than the overlap by the edge zone on both sides, so that some tile has each one whole.
    image = image_with_blobs(seed, height, width, SMALL.overlap - 5)
    reference = None if single else np.zeros_like(image)
    whole = find_blobs(image, reference, Selection())
    assert len(whole) > 0
    assert in_order(predict_tiled(find_blobs, image, reference, Selection(), SMALL)) == in_order(whole)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(60, 400),
    width=st.integers(97, 400),
    side=st.integers(60, 96),
    overlap=st.integers(8, 50),
    largest=st.sampled_from([8, 40, 120, 300]),
)
def test_whatever_the_tiling_each_defect_is_found_once(
    seed: int, height: int, width: int, side: int, overlap: int, largest: int
) -> None:
    image = image_with_blobs(seed, height, width, largest)
    whole = find_blobs(image, None, Selection())
    assert len(whole) > 0
    found = predict_tiled(find_blobs, image, None, Selection(), Tiling(side, side, overlap))
    assert in_order(found) == in_order(whole)


@pytest.mark.parametrize(
    ("box", "what"),
    [
        ((94, 40, 98, 50), "over the edge of a tile"),
        ((54, 40, 60, 50), "that begins with a tile"),
        ((50, 50, 58, 58), "over the corner of four tiles"),
        ((92, 92, 100, 100), "over the other corner of four tiles"),
        ((10, 40, 190, 50), "longer than a tile"),
        ((10, 30, 20, 190), "higher than a tile"),
        ((20, 20, 180, 180), "larger than a tile"),
        ((0, 0, 200, 200), "that is all of the image"),
    ],
)
def test_a_defect_on_an_edge_is_found_once(box: tuple[int, int, int, int], what: str) -> None:
    x1, y1, x2, y2 = box
    image = np.zeros((200, 200), np.uint8)
    image[y1:y2, x1:x2] = 50
    assert in_order(predict_tiled(find_blobs, image, None, Selection(), SMALL)) == [(*box, 0)], what


def test_pieces_of_different_classes_are_not_joined() -> None:
    def predict(test: Image, _reference: Image | None, _selection: Selection) -> Detections:
        found = find_blobs(test, None, _selection)
        return Detections(found.boxes, np.where(found.boxes[:, 0] > 0, 1, 2), found.confidences)

    image = np.zeros((90, 150), np.uint8)
    image[40:50, 10:140] = 50
    found = predict_tiled(predict, image, None, Selection(), SMALL)
    assert in_order(found) == [(10, 40, 96, 50, 1), (54, 40, 140, 50, 2)]


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    image = image_with_blobs(4, 330, 400, 60)
    one = predict_tiled(find_blobs, image, None, Selection(), SMALL)
    done: list[tuple[int, int]] = []
    four = predict_tiled(
        find_blobs, image, None, Selection(), SMALL, lambda *progress: done.append(progress), workers=4
    )
    assert four == one
    tiles = len(SMALL.tiles(400, 330))
    assert done == [(number, tiles) for number in range(tiles + 1)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_tile_ends_the_others(workers: int) -> None:
    looked_at: list[Tile] = []

    def look(tile: Tile) -> Detections:
        looked_at.append(tile)
        time.sleep(0.005)  # as if it was looked at, so that not all are done before the error is told
        raise DataError("no such tile")

    tiles = SMALL.tiles(2000, 2000)
    with pytest.raises(DataError, match="no such tile"):
        look_at_tiles(look, tiles, 0.4, workers=workers)
    assert len(looked_at) < len(tiles) / 2


def test_the_boxes_of_a_whole_panel_are_merged_without_comparing_all_with_all() -> None:
    # 200,000 boxes, of which each pair would be 160 GB of comparisons.
    tiling = Tiling()
    tiles = tiling.tiles(16_000, 16_000)
    rng = np.random.default_rng(0)
    boxes = rng.uniform(20, 500, (160, 2))
    part = Detections.of(np.hstack((boxes, boxes + 30)), np.zeros(160), rng.random(160))
    found = look_at_tiles(lambda _: part, tiles, 0.4)
    assert len(found) > 50_000
    assert (np.diff(found.confidences) <= 0).all()


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
