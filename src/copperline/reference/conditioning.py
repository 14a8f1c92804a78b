"""Conditioning: bringing camera images to the form that the model was trained on.

A recipe belongs to a product's golden reference and is used for it and for every test image that is compared with it;
the same text is kept with the inspection, so that a call can be made again.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from copperline.data.images import Image, to_grey
from copperline.errors import DataError

# Grey level that an evenly lit background is brought to by the flat field.
_FLAT_LEVEL = 192.0


class Recipe(BaseModel):
    """What is done to an image, in this order. The default leaves a grey image as it is.

    Attributes:
        channel: which grey: luma (ITU-R BT.601), or one colour channel, where copper stands out best.
        flat_field: width of the Gaussian, as a fraction of the longer side, that estimates the uneven light which the
            image is divided by; 0: none.
        median: side of the median filter in px, odd; 0: none.
        binarise: none, one threshold for the image by Otsu's method (IEEE Trans. SMC 9(1), 1979), or an adaptive one,
            the Gaussian mean around each pixel.
        window: width of that mean as a fraction of the longer side.
        offset: grey levels that an adaptive threshold lies below the mean.
        copper: dark as in DeepPCB, or bright: then the image is inverted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Literal["luma", "red", "green", "blue"] = "luma"
    flat_field: float = Field(0.0, ge=0.0, le=0.5, allow_inf_nan=False)
    median: Literal[0, 3, 5, 7] = 0
    binarise: Literal["none", "otsu", "adaptive"] = "none"
    window: float = Field(0.1, gt=0.0, le=0.5, allow_inf_nan=False)
    offset: float = Field(8.0, ge=-128.0, le=128.0, allow_inf_nan=False)
    copper: Literal["dark", "bright"] = "dark"

    def to_json(self) -> str | None:
        """Only what differs from the default, always the same text for the same recipe; None if nothing does.

        >>> Recipe(copper="bright", binarise="otsu").to_json(), Recipe().to_json()
        ('{"binarise":"otsu","copper":"bright"}', None)
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


def condition(image: Image, recipe: Recipe) -> Image:
    """(H, W) uint8 grey from (H, W) grey or (H, W, 3) BGR, by the recipe."""
    grey = _channel(image, recipe.channel)
    if recipe.flat_field:
        grey = _flattened(grey, recipe.flat_field * max(grey.shape))
    if recipe.median:
        grey = np.asarray(cv2.medianBlur(grey, recipe.median), np.uint8)
    if recipe.binarise == "otsu":
        grey = np.asarray(cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1], np.uint8)
    elif recipe.binarise == "adaptive":
        grey = _adaptive(grey, recipe.window * max(grey.shape), recipe.offset)
    if recipe.copper == "bright":
        grey = np.asarray(255 - grey, np.uint8)
    return np.ascontiguousarray(grey, np.uint8)


def _channel(image: Image, channel: str) -> Image:
    if image.ndim == 2 or channel == "luma":
        return to_grey(image)
    return np.ascontiguousarray(image[:, :, ("blue", "green", "red").index(channel)])


def _flattened(grey: Image, sigma: float) -> Image:
    """Divided by its own light, estimated on a small copy: light changes slowly."""
    light = _blurred(grey, sigma)
    flat = grey.astype(np.float32) * (_FLAT_LEVEL / np.maximum(light, 1.0))
    return np.asarray(flat.clip(0, 255), np.uint8)


def _adaptive(grey: Image, sigma: float, offset: float) -> Image:
    return np.where(grey > _blurred(grey, sigma) - offset, np.uint8(255), np.uint8(0))


def _blurred(grey: Image, sigma: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(H, W) float32. A wide Gaussian is taken of an image so reduced that it is narrow there."""
    factor = max(1, math.floor(sigma / 4))
    height, width = grey.shape
    small_size = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(grey, small_size, interpolation=cv2.INTER_AREA).astype(np.float32)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, sigma / factor))
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
