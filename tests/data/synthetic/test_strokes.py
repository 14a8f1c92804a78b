from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.synthetic.strokes import hooked_path, paint, scribbled_path, wandering_path


def test_a_dot_is_as_large_as_the_brush() -> None:
    blob = paint(np.array([[50.0, 40.0]]), 6.0)
    assert blob.patch.sum() == pytest.approx(np.pi * 36, rel=0.15)
    x1, y1, x2, y2 = blob.bounds
    assert (x1 + x2 - 1) / 2 == pytest.approx(50, abs=1)
    assert (y1 + y2 - 1) / 2 == pytest.approx(40, abs=1)


def test_a_line_is_length_and_round_ends() -> None:
    blob = paint(np.array([[10.0, 20.0], [50.0, 20.0]]), 3.0)
    height, width = blob.patch.shape
    assert width == pytest.approx(46, abs=2)
    assert height == pytest.approx(6, abs=1)


def test_prints_come_apart_when_the_brush_is_fast() -> None:
    path = np.array([[10.0, 20.0], [60.0, 20.0]])
    assert cv2.connectedComponents(paint(path, 2.0, spacing=2.0).patch)[0] == 2
    assert cv2.connectedComponents(paint(path, 2.0, spacing=10.0).patch)[0] == 1 + 6


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_bounds_are_those_of_what_is_covered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blob = paint(rng.uniform(20, 80, (4, 2)), float(rng.uniform(0.7, 6)), float(rng.choice([0, 3, 9])))
    for side in (blob.patch[0], blob.patch[-1], blob.patch[:, 0], blob.patch[:, -1]):
        assert side.any()
    x1, y1, x2, y2 = blob.bounds
    assert blob.patch.shape == (y2 - y1, x2 - x1)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_the_part_within_an_image_is_that_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blob = paint(rng.uniform(-10, 60, (3, 2)), 3.0)
    inside = blob.within(50, 40)
    canvas = np.zeros((200, 200), np.uint8)  # the image is at (100, 100)
    canvas[100 + blob.y :, 100 + blob.x :][: blob.patch.shape[0], : blob.patch.shape[1]] = blob.patch
    visible = canvas[100:140, 100:150]
    if inside is None:
        x1, y1, x2, y2 = blob.bounds
        assert not (0 <= (x1 + x2) // 2 < 50 and 0 <= (y1 + y2) // 2 < 40)
        return
    x1, y1, x2, y2 = inside.bounds
    assert visible.sum() == inside.patch.sum()
    assert np.array_equal(visible[y1:y2, x1:x2], inside.patch)


def test_paths_have_the_length_that_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    for path in (wandering_path((5, 5), 0.3, 30.0, 0.5, rng), hooked_path((5, 5), 0.3, 30.0, rng)):
        assert path[0].tolist() == [5, 5]
        assert np.hypot(*np.diff(path, axis=0).T).sum() == pytest.approx(30)


def test_a_scribble_goes_to_and_fro_along_the_way() -> None:
    path = scribbled_path((10, 50), (60, 50), 12.0, np.random.default_rng(0))
    sides = np.sign(path[:, 1] - 50)
    assert (sides[1:] != sides[:-1]).all()
    assert np.abs(path[:, 1] - 50).max() <= 6
    assert path[0, 0] < 20
    assert path[-1, 0] > 50
