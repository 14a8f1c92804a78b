"""A first recipe for a product's camera, from one golden image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.drawn import is_binarised
from copperline.data.images import Image, is_bare, to_grey
from copperline.errors import DataError
from copperline.reference.conditioning import Recipe, condition
from copperline.reference.light import flattened, two_groups, unevenness

_FLAT_FIELD = 0.25
_UNEVEN_ABOVE = 1.25
# Standard deviation of the noise over the distance of copper and laminate, above which the median is 3 and 5 px.
_NOISY_ABOVE = (0.05, 0.12)
# Another channel must part copper and laminate so much better than luma.
_CHANNEL_GAIN = 1.1
# How much redder than the darker material the brighter one is, if it is copper.
_REDDER = 1.1

Channel = Literal["luma", "red", "green", "blue"]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A recipe to look at before it is used.

    Attributes:
        recipe: what the image speaks for.
        notes: what was seen, and what one image cannot tell; for people.
    """

    recipe: Recipe
    notes: tuple[str, ...]


def suggest_recipe(image: Image) -> Suggestion:
    """A recipe that brings an image like this to black copper on white laminate, as the shipped models know it.

    It cannot know which of two grey levels is copper: in colour it takes the redder one; in grey the brighter one, as
    bare copper is under reflected light; an image that is binarised already it leaves as it is. Nor can it know the
    scale, or tell a large dark area from bad light. A model that was trained on this camera's own images needs none.

    Args:
        image: (H, W) uint8 grey or (H, W, 3) BGR of one golden board.

    Raises:
        DataError: the image has no contrast.
    """
    grey = to_grey(image)
    if is_bare(grey):
        raise DataError("expected a golden board, found an image without contrast", fix="give another image")
    if already_binarised(grey):
        return Suggestion(
            Recipe(),
            (
                "the image is binarised already, so it is left as it is",
                'whether its dark parts are copper cannot be told; if they are not, set "copper": "bright"',
            ),
        )
    notes = []
    channel = _best_channel(image)
    if channel != "luma":
        notes.append(f"copper and laminate differ most in the channel {channel}")
    grey = condition(image, Recipe(channel=channel))
    light = unevenness(grey, _FLAT_FIELD)
    flat_field = _FLAT_FIELD if light > _UNEVEN_ABOVE else 0.0
    if flat_field:
        notes.append(f"the light differs by {100 * (light - 1):.0f} % over the image; a white image would be surer")
        grey = flattened(grey, flat_field)
    groups = two_groups(grey)
    noise = _noise(grey) / max(groups.bright - groups.dark, 1.0)
    median: Literal[0, 3, 5] = 5 if noise > _NOISY_ABOVE[1] else 3 if noise > _NOISY_ABOVE[0] else 0
    if median:
        notes.append(f"noise is {100 * noise:.0f} % of the contrast")
    copper, reason = _copper(image, grey > groups.threshold)
    notes.append(reason)
    if groups.separability < 0.8:
        notes.append(f"the grey levels are hardly two groups (separability {groups.separability:.2f} of 1)")
    notes.append("the scale cannot be told from one image")
    recipe = Recipe(channel=channel, flat_field=flat_field, median=median, copper=copper, binarise="otsu")
    return Suggestion(recipe, tuple(notes))


def already_binarised(grey: Image) -> bool:
    """Whether an (H, W) uint8 image has black and white and hardly anything between; a dark photograph has not."""
    return is_binarised(grey) and int(grey.max()) - int(grey.min()) > 192


def _best_channel(image: Image) -> Channel:
    """Where the two materials lie furthest apart; luma unless another is clearly better."""
    if image.ndim == 2:
        return "luma"

    def distance(grey: Image) -> float:
        groups = two_groups(flattened(grey, _FLAT_FIELD))
        return groups.separability * (groups.bright - groups.dark)

    names: tuple[Channel, ...] = ("blue", "green", "red")
    by_name = {name: distance(np.ascontiguousarray(image[:, :, n])) for n, name in enumerate(names)}
    best = max(names, key=by_name.__getitem__)
    return best if by_name[best] > _CHANNEL_GAIN * distance(to_grey(image)) else "luma"


def _copper(image: Image, is_bright: npt.NDArray[np.bool_]) -> tuple[Literal["dark", "bright"], str]:
    """Which material is copper, and why it is taken for it."""
    if image.ndim == 3 and is_bright.any() and not is_bright.all():
        blue, red = (image[:, :, n].astype(np.float32) + 1 for n in (0, 2))
        redness = red / blue
        ratio = float(np.median(redness[is_bright]) / np.median(redness[~is_bright]))
        if ratio > _REDDER:
            return "bright", "the brighter material is redder, so it is taken for copper"
        if ratio < 1 / _REDDER:
            return "dark", "the darker material is redder, so it is taken for copper"
    return "bright", (
        "which material is copper cannot be told for sure; the brighter one is taken for it, as under reflected light"
    )


def _noise(grey: Image) -> float:
    """Standard deviation of white noise (Immerkaer, *Fast Noise Variance Estimation*, CVIU 64(2), 1996), by the median
    instead of the mean, so that edges do not count."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel))
    # The kernel makes 6 standard deviations of 1, and the median of an absolute normal value is 0.6745 of them.
    return float(np.median(response)) / 6 / 0.6745
