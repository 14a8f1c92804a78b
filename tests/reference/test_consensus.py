"""Several images of one golden board: what most of them show, and where one differs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from copperline.data.drawn import is_binarised
from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board, misregister
from copperline.errors import DataError
from copperline.reference import WITHHELD_BELOW, register
from copperline.reference.consensus import differing_places, find_consensus, sharpness
from copperline.reference.registration import moved_alike


def golden(seed: int = 3) -> Image:
    return draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), 320).image()


def scans(board: Image, count: int, seed: int = 0) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [binarised_scan(misregister(board, ScanSettings(), rng), ScanSettings(), rng) for _ in range(count)]


def test_the_median_is_the_board_without_the_rough_edges_of_each_scan() -> None:
    board = golden()
    images = scans(board, 5)
    consensus = find_consensus(images)
    assert is_binarised(consensus.image)
    against = register(board, consensus.image).reference
    wrong = [(register(board, i).reference != board).mean() for i in images]
    assert (against != board).mean() < np.mean(wrong)
    assert min(consensus.typical_scores()) > 0.9


def test_a_defect_of_one_is_not_in_the_consensus() -> None:
    images = scans(golden(), 3)
    damaged = images[1].copy()
    cv2.circle(damaged, (160, 160), 14, int(255 - damaged[160, 160]), -1)
    consensus = find_consensus([images[0], damaged, images[2]])
    x, y = 160, 160
    found = differing_places(damaged, register(damaged, consensus.image))
    assert any(x1 <= x < x2 and y1 <= y < y2 for x1, y1, x2, y2 in found)
    for image in (images[0], images[2]):
        assert differing_places(image, register(image, consensus.image)) == []


def test_another_board_among_them_scores_low() -> None:
    consensus = find_consensus([*scans(golden(3), 3), *scans(golden(7), 1)])
    scores = consensus.typical_scores()
    assert scores[3] < WITHHELD_BELOW < min(scores[:3])
    assert consensus.anchor != 3


def test_two_boards_twice_are_nobodys_consensus() -> None:
    consensus = find_consensus([*scans(golden(3), 2), *scans(golden(7), 2)])
    assert max(consensus.typical_scores()) < WITHHELD_BELOW


def test_edges_that_scans_move_are_no_difference() -> None:
    for seed in range(6):
        first, second = scans(golden(seed), 2, seed)
        assert differing_places(first, register(first, second)) == []


def test_colour_images_are_moved_as_their_grey_ones_were() -> None:
    board = cv2.GaussianBlur(golden(), (0, 0), 1)
    matrix = cv2.getRotationMatrix2D((159.5, 159.5), 0.6, 1.018)
    matrix[:, 2] += (5, -3)
    test = np.asarray(cv2.warpAffine(board, matrix, (320, 320), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    found = register(test, board)
    assert found.scale != 1
    colour = np.stack([board, 255 - board, board // 2], axis=2)
    moved = moved_alike(colour, found)
    assert np.abs(moved[:, :, 0].astype(int) - found.reference).max() <= 8
    half = moved_alike(np.asarray(cv2.resize(board, (160, 160), interpolation=cv2.INTER_AREA)), found, 0.5)
    there = cv2.resize(found.reference, (160, 160), interpolation=cv2.INTER_AREA)
    assert np.abs(half.astype(int) - there)[8:-8, 8:-8].mean() < 4


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="320 x 320"):
        find_consensus([golden(), golden()[:300]])


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    image = np.asarray(cv2.GaussianBlur(golden(), (0, 0), 0.8), np.uint8)
    dim = np.asarray(image // 2 + 10, np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(image), rel=0.05)
    assert sharpness(np.asarray(cv2.GaussianBlur(image, (0, 0), 2.5), np.uint8)) < 0.6 * sharpness(image)
