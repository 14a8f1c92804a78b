"""The suggested recipe brings camera images of a golden board to what the shipped models know."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, draw_board
from copperline.errors import DataError
from copperline.reference import Recipe, condition, suggest_recipe


def board(seed: int) -> Image:
    return draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), 320).image()


def picture(golden: Image, copper: tuple[int, ...], laminate: tuple[int, ...], darkest: float, noise: float) -> Image:
    share = 1 - cv2.GaussianBlur(golden, (0, 0), 0.8)[..., None] / 255.0
    light = np.linspace(1, darkest, golden.shape[1])[None, :, None]
    colours = (share * np.array(copper) + (1 - share) * np.array(laminate)) * light
    noisy = colours + np.random.default_rng(0).normal(0, noise, colours.shape)
    return np.rint(noisy).clip(0, 255).astype(np.uint8).squeeze()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("copper", "laminate", "darkest", "noise"),
    [
        ((70, 120, 215), (60, 85, 50), 0.9, 2),
        ((70, 120, 215), (60, 85, 50), 0.4, 6),
        ((30, 50, 90), (190, 200, 170), 0.6, 4),
        ((210,), (70,), 0.5, 5),
        ((25, 35, 58), (20, 28, 14), 0.8, 1),
    ],
    ids=["bright copper", "bad light", "dark copper", "bright copper in grey", "underexposed"],
)
def test_pictures_of_a_board_become_the_board(
    seed: int, copper: tuple[int, ...], laminate: tuple[int, ...], darkest: float, noise: float
) -> None:
    golden = board(seed)
    image = picture(golden, copper, laminate, darkest, noise)
    suggestion = suggest_recipe(image)
    assert (condition(image, suggestion.recipe) != golden).mean() < 0.02
    assert suggestion.recipe.binarise == "otsu"
    assert darkest == 0.8 or (suggestion.recipe.flat_field > 0) == (darkest < 0.8)
    assert any("scale cannot be told" in note for note in suggestion.notes)


def test_a_binarised_image_is_left_as_it_is_and_the_doubt_is_told() -> None:
    suggestion = suggest_recipe(board(1))
    assert suggestion.recipe == Recipe()
    assert any("cannot be told" in note for note in suggestion.notes)


def test_in_grey_the_material_is_a_guess_and_said_to_be_one() -> None:
    suggestion = suggest_recipe(picture(board(1), (210,), (70,), 1, 2))
    assert suggestion.recipe.copper == "bright"
    assert any("cannot be told for sure" in note for note in suggestion.notes)


def test_an_empty_image_has_no_recipe() -> None:
    with pytest.raises(DataError, match="without contrast"):
        suggest_recipe(np.full((64, 64), 100, np.uint8))
