"""Conditioning: bringing camera images to the form that the model was trained on.

A recipe belongs to a product's golden reference and is used for it and for every test image that is compared with it;
the same text is kept with the inspection, so that a call can be made again.
"""

from __future__ import annotations

import math
import os
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from copperline.data.images import MAX_SIDE, MIN_SIDE, Image, is_bare, to_grey
from copperline.detections import FloatArray
from copperline.errors import DataError
from copperline.reference.light import evened, flattened, two_groups

# Of the grey levels' variance, the least that must lie between two groups for one threshold to part them: a bell of
# noise has 0.64, camera images of copper and laminate 0.8 and more.
_LEAST_SEPARABILITY = 0.7
# Of the pixels, what a binarised image has of each material at least.
_LEAST_SHARE = 0.001


class Recipe(BaseModel):
    """What is done to an image, in this order. The default leaves a grey image as it is.

    Attributes:
        channel: which grey: luma (ITU-R BT.601), or one colour channel, where copper stands out best.
        white_image: SHA-256 of a picture of an evenly white surface in the same light and of the same size, which the
            image is divided by; it is kept on the stage. None: none.
        flat_field: width, as a fraction of the longer side, over which the light may change; the image is divided by an
            estimate of such a light. 0: none. 0.25 takes out what a lamp at one side and a lens do.
        median: side of the median filter in px, odd; 0: none.
        scale: by which the image is enlarged, so that traces have about the width that the model knows (in DeepPCB
            about 48 px per mm). Boxes are told in px of the original image.
        copper: dark as in DeepPCB, or bright: then the image is inverted.
        binarise: none, one threshold for the image by Otsu's method (IEEE Trans. SMC 9(1), 1979), or an adaptive one,
            the Gaussian mean around each pixel.
        window: width of that mean as a fraction of the longer side; copper that is wider turns hollow.
        offset: grey levels that an adaptive threshold lies below the mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Literal["luma", "red", "green", "blue"] = "luma"
    white_image: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    flat_field: float = Field(0.0, ge=0.0, le=0.5, allow_inf_nan=False)
    median: Literal[0, 3, 5, 7] = 0
    scale: float = Field(1.0, ge=0.1, le=8.0, allow_inf_nan=False)
    copper: Literal["dark", "bright"] = "dark"
    binarise: Literal["none", "otsu", "adaptive"] = "none"
    window: float = Field(0.1, gt=0.0, le=0.5, allow_inf_nan=False)
    offset: float = Field(8.0, ge=-128.0, le=128.0, allow_inf_nan=False)

    def to_json(self) -> str | None:
        """Only what differs from the default, always the same text for the same recipe; None if nothing does.

        >>> Recipe(copper="bright", binarise="otsu").to_json(), Recipe().to_json()
        ('{"copper":"bright","binarise":"otsu"}', None)
        """
        return self.model_dump_json(exclude_defaults=True) if self != Recipe() else None

    @classmethod
    def from_json(cls, text: str | None) -> Recipe:
        """Raises DataError that names the field which is wrong."""
        if text is None or not text.strip():
            return cls()
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "recipe"
            raise DataError(
                f"expected a recipe of conditioning in JSON, found a mistake in {name}: {first['msg']}",
                fix=f"its fields are {', '.join(cls.model_fields)}",
            ) from error


def condition(
    image: Image, recipe: Recipe, white: Image | None = None, *, where: str | os.PathLike[str] | None = None
) -> Image:
    """Brings a camera image to the form that the model was trained on.

    Args:
        image: (H, W) uint8 grey or (H, W, 3) uint8 BGR.
        recipe: what is done.
        white: (H, W) or (H, W, 3), the image that `recipe.white_image` names.
        where: names the image in errors.

    Returns:
        (round(scale * H), round(scale * W)) uint8 grey; by the default recipe a grey image itself.

    Raises:
        DataError: the white image is missing or does not fit, the image is empty, saturated or has no two groups of
            grey levels that could be copper and laminate, or it would be too small or too large. The default recipe
            refuses nothing.
    """
    try:
        return _conditioned(image, recipe, white)
    except DataError as error:
        if error.where is not None or where is None:
            raise
        raise DataError(error.problem, where=where, fix=error.fix) from error


def _conditioned(image: Image, recipe: Recipe, white: Image | None) -> Image:
    grey = _channel(image, recipe.channel)
    if recipe == Recipe():
        return grey
    _require_contrast(grey)
    if recipe.white_image is not None:
        if white is None:
            raise DataError("the recipe names a white image, but none was given", fix="add it with the reference")
        grey = evened(grey, _channel(white, recipe.channel))
    if recipe.flat_field:
        grey = flattened(grey, recipe.flat_field)
    if recipe.median:
        grey = np.asarray(cv2.medianBlur(grey, recipe.median), np.uint8)
    if recipe.scale != 1:
        grey = _resized(grey, recipe.scale)
    if recipe.copper == "bright":
        grey = np.asarray(cv2.bitwise_not(grey), np.uint8)
    if recipe.binarise != "none":
        grey = _binarised(grey, recipe)
    return np.ascontiguousarray(grey)


def _channel(image: Image, channel: str) -> Image:
    if image.ndim == 2 or channel == "luma":
        return to_grey(image)
    return np.ascontiguousarray(image[:, :, ("blue", "green", "red").index(channel)])


def _require_contrast(grey: Image) -> None:
    if is_bare(grey):
        raise DataError(
            f"is no board: every pixel is about {int(grey.min())} of 255, without any contrast",
            fix="check the camera, its light and its cover",
        )
    for level, name, fix in ((255, "saturated", "less"), (0, "black", "more")):
        share = float((grey == level).mean())
        if share > 1 - _LEAST_SHARE:
            raise DataError(
                f"is no board: {100 * share:.1f} % of the pixels are {name}",
                fix=f"take it with {fix} light or correct the exposure",
            )


def _resized(grey: Image, scale: float) -> Image:
    height, width = (round(side * scale) for side in grey.shape)
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise DataError(
            f"expected {MIN_SIDE} to {MAX_SIDE:,} pixels a side after scaling, found {width:,} x {height:,}",
            fix="correct the recipe's scale",
        )
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (width, height), interpolation=how), np.uint8)


def _binarised(grey: Image, recipe: Recipe) -> Image:
    """(H, W) uint8, copper 0 and laminate 255."""
    groups = two_groups(grey)
    if groups.separability < _LEAST_SEPARABILITY and recipe.binarise == "otsu":
        raise DataError(
            "expected two groups of grey levels, copper and laminate, found one "
            f"(separability {groups.separability:.2f} of 1)",
            fix="check focus and light, take another channel or the flat field, or binarise adaptively",
        )
    threshold: int | FloatArray = groups.threshold
    if recipe.binarise == "adaptive":
        threshold = _blurred(grey, recipe.window * max(grey.shape)) - recipe.offset
    binary = np.where(grey > threshold, np.uint8(255), np.uint8(0))
    copper = 1 - cv2.countNonZero(binary) / binary.size
    if not _LEAST_SHARE <= copper <= 1 - _LEAST_SHARE:
        raise DataError(
            f"expected copper and laminate, found {100 * copper:.2f} % copper after binarising",
            fix="correct the recipe's threshold, or inspect this part of the board as it is",
        )
    return binary


def _blurred(grey: Image, sigma: float) -> FloatArray:
    """(H, W) float32. A wide Gaussian is taken of an image so reduced that it is narrow there."""
    factor = max(1, math.floor(sigma / 4))
    height, width = grey.shape
    small_size = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(grey, small_size, interpolation=cv2.INTER_AREA).astype(np.float32)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, sigma / factor))
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
