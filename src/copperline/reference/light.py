"""Flat field: taking uneven light out of a camera image, by an estimate or by a picture of a white surface."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.images import Image, require_same_size
from copperline.detections import FloatArray
from copperline.errors import DataError

# Grey level that the brighter material is brought to; what is above is room for noise and glare.
_BRIGHT_LEVEL = 224.0
# Of a white image: grey levels below which a place is too dark to divide by, and the share that may be clipped.
_LEAST_WHITE = 16
_MOST_CLIPPED = 0.01
_SAMPLES_A_SIDE = 128
_FIRST_WINDOW = 0.15  # of the longer side
_HIGHEST_DEGREE = 6
_ROUNDS = 4

Floats = npt.NDArray[np.float64]


def estimated_light(grey: Image, width: float) -> FloatArray:
    """(H, W) float32: how bright the brighter material, copper or laminate, is or would be at each pixel.

    The image is taken for two reflectances under a smooth light: log grey = polynomial(x, y) + which material it is.
    Polynomial and materials are found in turns, from a plane to the whole degree. So a large area of one material does
    no harm, as it does to a blurred copy of the image.

    Args:
        grey: (H, W) uint8.
        width: over which the light may change, as a fraction of the longer side: decides the degree, 1 to 6.
    """
    rows, columns = (np.linspace(0, side - 1, min(side, _SAMPLES_A_SIDE)).round().astype(int) for side in grey.shape)
    logs = np.log(np.maximum(cv2.blur(grey, (3, 3)), 1).astype(np.float64))[np.ix_(rows, columns)]
    # Brighter than around it, to begin with.
    bright = logs > cv2.GaussianBlur(logs, (0, 0), _FIRST_WINDOW * max(logs.shape))
    y, x = (_legendre(2 * at / (side - 1) - 1) for at, side in zip((rows, columns), grey.shape, strict=True))
    for degree in range(1, min(max(round(1 / width), 1), _HIGHEST_DEGREE) + 1):
        terms = [(n, m) for n in range(degree + 1) for m in range(degree + 1 - n)]
        surface = np.stack([np.outer(y[n], x[m]).ravel() for n, m in terms], axis=1)
        for _ in range(_ROUNDS):
            light, contrast = _fitted(surface, bright.ravel(), logs.ravel())
            bright = (logs.ravel() - surface @ light > contrast / 2).reshape(logs.shape)
    whole_y, whole_x = (_legendre(np.linspace(-1, 1, side)) for side in grey.shape)
    coefficients = np.zeros((_HIGHEST_DEGREE + 1, _HIGHEST_DEGREE + 1))
    for (n, m), value in zip(terms, light, strict=True):
        coefficients[n, m] = value
    return np.asarray(np.exp(whole_y.T @ coefficients @ whole_x + max(contrast, 0.0)), np.float32)


def _fitted(surface: Floats, bright: npt.NDArray[np.bool_], logs: Floats) -> tuple[Floats, float]:
    """Coefficients of the light, and how much brighter the brighter material is; least squares."""
    design = np.column_stack([surface, bright])
    # A trace of damping, for an image that shows one material alone.
    normal = design.T @ design + 1e-6 * len(design) * np.eye(design.shape[1])
    solved = np.linalg.solve(normal, design.T @ logs)
    return np.asarray(solved[:-1], np.float64), float(solved[-1])


def _legendre(at: Floats) -> Floats:
    """(7, N): the Legendre polynomials of degree 0 to 6 at N places from -1 to 1."""
    return np.asarray(np.polynomial.legendre.legvander(at, _HIGHEST_DEGREE).T)


def flattened(grey: Image, width: float) -> Image:
    """(H, W) uint8, divided by its own light; the brighter material is at about 224 everywhere."""
    light = np.maximum(estimated_light(grey, width), 1.0)
    return _as_bytes(np.asarray(grey * (_BRIGHT_LEVEL / light), np.float32))


def evened(grey: Image, white: Image) -> Image:
    """(H, W) uint8, divided by `white`, (H, W) uint8: a white surface in the same light; the mean brightness stays.

    Raises:
        DataError: the two differ in size, or the white image is clipped or dark in places.
    """
    require_same_size(grey, white, "white image")
    require_white(white)
    light = cv2.GaussianBlur(white.astype(np.float32), (0, 0), 2.0)  # its own noise must not come into the image
    return _as_bytes(np.asarray(grey * (float(light.mean()) / light), np.float32))


def require_white(white: Image) -> None:
    """Raises DataError unless every place of an (H, W) uint8 image can be divided by."""
    clipped, darkest = float((white >= 255).mean()), int(cv2.blur(white, (5, 5)).min())
    if clipped > _MOST_CLIPPED:
        raise DataError(
            f"expected a white image that is not clipped, found {100 * clipped:.0f} % of its pixels at 255",
            where="white image",
            fix="take it with less light or a shorter exposure",
        )
    if darkest < _LEAST_WHITE:
        raise DataError(
            f"expected a white image with light everywhere, found {darkest} of 255 at its darkest place",
            where="white image",
            fix="take it of an evenly white surface, without the board",
        )


def unevenness(grey: Image, width: float) -> float:
    """The strongest light over the weakest, without the 2 % at either end: 1 for an evenly lit image."""
    low, high = np.quantile(estimated_light(grey, width), (0.02, 0.98))
    return float(high / low)


@dataclass(frozen=True, slots=True)
class TwoGroups:
    """Grey levels as two groups, by Otsu's method (IEEE Trans. SMC 9(1), 1979).

    Attributes:
        threshold: the darker group is at most this.
        separability: between-class variance over the whole variance, in [0, 1]: 1 for two levels, about 0.64 for one
            bell of noise.
        dark, bright: mean grey level of each group.
    """

    threshold: int
    separability: float
    dark: float
    bright: float


def two_groups(grey: Image) -> TwoGroups:
    """
    >>> two_groups(np.array([[10, 10], [10, 200]], np.uint8))
    TwoGroups(threshold=10, separability=1.0, dark=10.0, bright=200.0)
    """
    threshold = int(cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0])
    counts = np.bincount(grey.ravel(), minlength=256) / grey.size
    levels = np.arange(256.0)
    share = float(counts[: threshold + 1].sum())
    mean = float(counts @ levels)
    variance = float(counts @ (levels - mean) ** 2)
    if variance == 0 or share in (0.0, 1.0):
        return TwoGroups(threshold, 0.0, mean, mean)
    dark = float(counts[: threshold + 1] @ levels[: threshold + 1]) / share
    bright = (mean - share * dark) / (1 - share)
    between = share * (1 - share) * (bright - dark) ** 2
    return TwoGroups(threshold, min(1.0, between / variance), dark, bright)


def _as_bytes(values: FloatArray) -> Image:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
