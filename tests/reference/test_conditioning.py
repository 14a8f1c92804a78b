"""Recipes: what they must leave as it is, and what they must take out."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, draw_board
from copperline.errors import DataError
from copperline.reference import Recipe, condition
from copperline.reference.light import estimated_light, two_groups, unevenness

RECIPES = st.builds(
    Recipe,
    channel=st.sampled_from(["luma", "red", "green", "blue"]),
    flat_field=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    median=st.sampled_from([0, 3, 5, 7]),
    scale=st.sampled_from([0.5, 1.0, 1.3, 2.0]),
    copper=st.sampled_from(["dark", "bright"]),
    binarise=st.sampled_from(["none", "otsu", "adaptive"]),
    window=st.floats(0.05, 0.5),
    offset=st.floats(0, 20),
)


@lru_cache
def board(seed: int = 3, size: int = 320) -> Image:
    """Copper 0, laminate 255."""
    return draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), size).image()


def camera(golden: Image, light: np.ndarray | float = 1.0, noise: float = 0.0, seed: int = 0) -> Image:
    """Dark copper on laminate of level 200, softened, under a light."""
    levels = 50 + cv2.GaussianBlur(golden, (0, 0), 0.8) / 255.0 * 150
    return (
        np.rint(levels * light + np.random.default_rng(seed).normal(0, noise, golden.shape))
        .clip(0, 255)
        .astype(np.uint8)
    )


def slope(shape: tuple[int, ...], darkest: float) -> np.ndarray:
    y, x = np.linspace(0, 1, shape[0])[:, None], np.linspace(0, 1, shape[1])[None, :]
    return np.asarray(1 - (1 - darkest) * (0.7 * x + 0.3 * y**2))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(recipe=RECIPES, colour=st.booleans(), height=st.integers(64, 200), width=st.integers(64, 200))
def test_the_result_is_grey_bytes_of_the_scaled_size(recipe: Recipe, colour: bool, height: int, width: int) -> None:
    image = camera(board(3), noise=2)[:height, :width]
    image = np.repeat(image[:, :, None], 3, axis=2) if colour else image
    before = image.copy()
    found = condition(image, recipe)
    assert (found.dtype, found.ndim, found.flags.c_contiguous) == (np.uint8, 2, True)
    assert found.shape == (round(height * recipe.scale), round(width * recipe.scale))
    assert np.array_equal(image, before)
    if recipe.binarise != "none":
        assert np.unique(found).tolist() == [0, 255]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_the_default_recipe_changes_nothing(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (40, 50)).astype(np.uint8)
    assert condition(image, Recipe()) is image
    assert np.array_equal(condition(np.full((40, 40), 7, np.uint8), Recipe()), np.full((40, 40), 7))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), gain=st.floats(0.3, 1.2), offset=st.integers(0, 14))
def test_otsu_does_not_care_for_brightness_and_contrast(seed: int, gain: float, offset: int) -> None:
    golden = board(seed % 7)
    image = camera(golden, noise=4, seed=seed)
    other = np.rint(image * gain + offset).clip(0, 255).astype(np.uint8)
    first, second = (condition(i, Recipe(binarise="otsu")) for i in (image, other))
    assert (first != second).mean() < 0.004  # rounding moves pixels that lie at the threshold


@settings(max_examples=30, deadline=None, derandomize=True)
@given(levels=st.tuples(st.integers(0, 255), st.integers(0, 255)).filter(lambda v: v[1] - v[0] >= 8))
def test_an_image_of_two_levels_is_binarised_to_itself(levels: tuple[int, int]) -> None:
    golden = board(2, 96)
    image = np.where(golden > 127, np.uint8(levels[1]), np.uint8(levels[0]))
    assert np.array_equal(condition(image, Recipe(binarise="otsu")), golden)
    assert np.array_equal(condition(image, Recipe(binarise="otsu", copper="bright")), 255 - golden)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_inverting_twice_is_doing_nothing(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (40, 50)).astype(np.uint8)
    bright = Recipe(copper="bright")
    assert np.array_equal(condition(condition(image, bright), bright), image)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 12), darkest=st.floats(0.35, 1.0), copper=st.sampled_from(["dark", "bright"]))
def test_a_light_that_falls_off_is_taken_out(seed: int, darkest: float, copper: str) -> None:
    golden = board(seed)
    shown = golden if copper == "dark" else 255 - golden
    image = camera(shown, slope(shown.shape, darkest), noise=3, seed=seed)
    recipe = Recipe.model_validate({"flat_field": 0.25, "binarise": "otsu", "copper": copper})
    assert (condition(image, recipe) != golden).mean() < 0.02


def test_a_large_area_of_one_material_is_not_taken_for_bad_light() -> None:
    golden = np.full((320, 320), 255, np.uint8)
    golden[:, 120:] = 0
    golden[40:280:20, 20:100] = 0
    image = camera(golden, slope(golden.shape, 0.5), noise=2)
    assert (condition(image, Recipe(flat_field=0.25, binarise="otsu")) != golden).mean() < 0.02
    light = estimated_light(image, 0.25)
    assert np.corrcoef(light.ravel(), slope(golden.shape, 0.5).ravel())[0, 1] > 0.97


def test_even_light_stays_even() -> None:
    assert unevenness(camera(board(), noise=3), 0.25) < 1.05
    assert unevenness(camera(board(), slope((320, 320), 0.5)), 0.25) > 1.6


def test_a_white_image_takes_out_any_light() -> None:
    """Also a shadow with a sharp edge, which no estimate finds."""
    golden = board()
    light = slope(golden.shape, 0.6)
    light[:, 200:] *= 0.5
    white = np.rint(230 * light).astype(np.uint8)
    recipe = Recipe(white_image="0" * 64, binarise="otsu")
    found = condition(camera(golden, light, noise=2), recipe, white)
    assert (found != golden).mean() < 0.02
    assert (condition(camera(golden, light, noise=2), Recipe(binarise="otsu")) != golden).mean() > 0.05


def test_an_adaptive_threshold_finds_thin_traces_of_either_polarity() -> None:
    golden = np.full((320, 320), 255, np.uint8)
    golden[:, 20:300:40] = 0
    golden[:, 21:301:40] = 0
    golden[:, 22:302:40] = 0
    for copper, shown in (("dark", golden), ("bright", 255 - golden)):
        recipe = Recipe.model_validate({"binarise": "adaptive", "copper": copper, "offset": 20})
        found = condition(camera(shown, slope(golden.shape, 0.5), noise=3), recipe)
        assert (found != golden).mean() < 0.03


def test_a_median_removes_specks() -> None:
    golden = board()
    image = camera(golden)
    image[np.random.default_rng(0).random(image.shape) < 0.02] = 255
    wrong = [(condition(image, Recipe(median=m, binarise="otsu")) != golden).mean() for m in (0, 3)]  # type: ignore[arg-type]
    assert wrong[1] < wrong[0] / 3


def test_scaling_brings_traces_to_another_width() -> None:
    golden = board(3, 320)
    small = cv2.resize(golden, (160, 160), interpolation=cv2.INTER_AREA)
    found = condition(small, Recipe(scale=2, binarise="otsu"))
    assert found.shape == golden.shape
    assert (found != golden).mean() < 0.03
    with pytest.raises(DataError, match=r"32 to 16,384 pixels a side after scaling, found 16 x 16"):
        condition(small, Recipe(scale=0.1))


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (np.full((64, 64), 90, np.uint8), "without any contrast"),
        (np.pad(np.zeros((1, 1), np.uint8), 40, constant_values=255), "are saturated"),
        (np.pad(np.full((1, 1), 255, np.uint8), 40), "are black"),
        (np.random.default_rng(0).normal(120, 20, (64, 64)).astype(np.uint8), "two groups of grey levels"),
    ],
    ids=["covered lens", "overexposed", "no light", "noise"],
)
def test_what_shows_no_board_is_refused_and_named(image: Image, problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        condition(image, Recipe(binarise="otsu"), where="cam.png")
    assert caught.value.where == "cam.png"


def test_a_white_image_that_cannot_be_divided_by_is_refused() -> None:
    image, recipe = camera(board(3, 96)), Recipe(white_image="0" * 64)
    with pytest.raises(DataError, match="names a white image, but none was given"):
        condition(image, recipe)
    with pytest.raises(DataError, match="not clipped, found 100 %"):
        condition(image, recipe, np.full((96, 96), 255, np.uint8))
    with pytest.raises(DataError, match="light everywhere, found 3 of 255"):
        condition(image, recipe, np.full((96, 96), 3, np.uint8))
    with pytest.raises(DataError, match="96 x 96, found 90 x 96"):
        condition(image, recipe, np.full((96, 90), 200, np.uint8))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"median": 4}', "median"),
        ('{"white_image": "../x"}', "white_image"),
        ('{"gamma": 1}', "gamma"),
        ("{", "recipe"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_field(text: str, field: str) -> None:
    with pytest.raises(DataError, match=f"mistake in {field}.*its fields are channel"):
        Recipe.from_json(text)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(recipe=RECIPES)
def test_a_recipe_survives_being_written(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_separability_tells_two_materials_from_noise() -> None:
    assert two_groups(camera(board(), noise=5)).separability > 0.9
    noise = np.random.default_rng(1).normal(128, 25, (200, 200)).clip(0, 255).astype(np.uint8)
    assert two_groups(noise).separability == pytest.approx(2 / np.pi, abs=0.02)
    assert two_groups(np.full((9, 9), 7, np.uint8)).separability == 0
