from itertools import pairwise

import cv2
import numpy as np
import pytest

from copperline.data.synthetic import BoardStyle, draw_board
from copperline.data.synthetic.shapes import Canvas, Disc, Line, octilinear_path, parallel_path
from copperline.errors import DataError


@pytest.mark.parametrize("product", range(7))
def test_a_board_is_a_mask_of_its_size_and_has_copper_and_laminate(product: int) -> None:
    board = draw_board(BoardStyle.of_product(product), np.random.default_rng(product), 320)
    image = board.image()
    assert image.shape == (320, 320)
    assert image.dtype == np.uint8
    assert set(np.unique(image)) == {0, 255}


def test_the_same_style_and_generator_give_the_same_board() -> None:
    style = BoardStyle.of_product(5)
    first, second, other = (draw_board(style, np.random.default_rng(s), 320).image() for s in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_smallest_boards_have_copper_and_laminate() -> None:
    for seed in range(60):
        board = draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), 64)
        assert set(np.unique(board.copper)) == {0, 255}


def test_too_small_a_board_is_refused() -> None:
    with pytest.raises(DataError, match="at least 64 px, found 32"):
        draw_board(BoardStyle.of_product(0), np.random.default_rng(0), 32)


def test_a_shifted_drill_moves_the_holes_and_nothing_else() -> None:
    for seed in range(50):
        board = draw_board(BoardStyle.of_product(2), np.random.default_rng(seed), 320)
        if board.holes:
            break
    changed = (board.image() != board.image((3.0, 0.0))).astype(np.uint8)
    near_holes = np.zeros_like(changed)
    for hole in board.holes:
        Disc(hole.x, hole.y, hole.radius + 5).draw(near_holes, 1)
    assert changed.any()
    assert not (changed & (1 - near_holes)).any()


def test_nets_keep_the_gap() -> None:
    canvas = Canvas(100, gap=10)
    line = Line(np.array([[0.0, 50.0], [99.0, 50.0]]), 10)
    assert canvas.place([line])
    assert not canvas.place([Disc(50, 70, 8)])
    assert canvas.place([Disc(50, 80, 8)])
    assert cv2.connectedComponents(canvas.copper)[0] - 1 == 2


def test_what_is_outside_the_canvas_is_placed_without_a_trace() -> None:
    canvas = Canvas(100, gap=10)
    assert canvas.place([Disc(-50, -50, 8)])
    assert not canvas.copper.any()


def test_parallel_paths_keep_their_distance_around_corners() -> None:
    path = octilinear_path((0, 0), 0, [100, 50, 100], [1, -1])
    beside = parallel_path(path, 8)
    for (a, b), (c, _) in zip(pairwise(path), pairwise(beside), strict=True):
        along = (b - a) / np.linalg.norm(b - a)
        assert abs(along[0] * (c - a)[1] - along[1] * (c - a)[0]) == pytest.approx(8)
