"""A recipe of conditioning in the words of a reviewer."""

from __future__ import annotations

from copperline.errors import DataError
from copperline.reference import Recipe


def recipe_words(conditioning: str | None) -> str:
    """What was done to both images before the model saw them, in its order.

    Args:
        conditioning: JSON text as an inspection keeps it; one that cannot be read is said to be so.

    >>> recipe_words(None)
    'none: as the camera took them'
    >>> recipe_words('{"channel":"red","flat_field":0.05,"binarise":"otsu","copper":"bright"}')
    'red channel; uneven light taken out over 5 % of the longer side; one threshold by Otsu; inverted, copper is bright'
    """
    try:
        recipe = Recipe.from_json(conditioning)
    except DataError as error:
        return error.problem
    steps = [_channel(recipe), _flat_field(recipe), _median(recipe), _threshold(recipe)]
    if recipe.copper == "bright":
        steps.append("inverted, copper is bright")
    return "; ".join(step for step in steps if step) or "none: as the camera took them"


def _channel(recipe: Recipe) -> str:
    return "" if recipe.channel == "luma" else f"{recipe.channel} channel"


def _flat_field(recipe: Recipe) -> str:
    return f"uneven light taken out over {100 * recipe.flat_field:g} % of the longer side" if recipe.flat_field else ""


def _median(recipe: Recipe) -> str:
    return f"median of {recipe.median} x {recipe.median} px" if recipe.median else ""


def _threshold(recipe: Recipe) -> str:
    if recipe.binarise == "otsu":
        return "one threshold by Otsu"
    if recipe.binarise == "adaptive":
        window = 100 * recipe.window
        return f"a threshold {recipe.offset:g} grey levels below the mean over {window:g} % of the longer side"
    return ""
