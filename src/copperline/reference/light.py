"""Flat field: taking uneven light out of a camera image, by an estimate or by a picture of a white surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.images import Image
from copperline.detections import FloatArray
from copperline.errors import DataError

# Grey level that the brighter material is brought to; what is above is room for noise and glare.
_BRIGHT_LEVEL = 224.0
# Of a white image: grey levels below which a place is too dark to divide by, and the share that may be clipped.
_LEAST_WHITE = 16
_MOST_CLIPPED = 0.01
_SAMPLES_A_SIDE = 96
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
    sampled = tuple(np.linspace(0, side - 1, min(side, _SAMPLES_A_SIDE)).round().astype(int) for side in grey.shape)
    logs = np.log(np.maximum(cv2.blur(grey, (3, 3)), 1).astype(np.float32))
    # Pixels on an edge are of neither material.
    change = cv2.morphologyEx(logs, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))[np.ix_(*sampled)]
    logs = logs[np.ix_(*sampled)]
    weights = 1 / (1 + (change / max(float(np.median(change)), 0.02)) ** 2)
    brighter_than_around = logs > cv2.GaussianBlur(logs, (0, 0), _FIRST_WINDOW * max(logs.shape))
    brighter_than_most = logs > (logs.min() + logs.max()) / 2
    axes = [_legendre(2 * at / (side - 1) - 1) for at, side in zip(sampled, grey.shape, strict=True)]
    degree = min(max(round(1 / width), 1), _HIGHEST_DEGREE)
    fits = [
        _fitted_light(logs.astype(np.float64).ravel(), weights.ravel(), bright.ravel(), axes, degree)
        for bright in (brighter_than_around, brighter_than_most)
    ]
    coefficients, level, _ = min(fits, key=lambda fit: fit[2])
    y, x = (_legendre(np.linspace(-1, 1, side)) for side in grey.shape)
    return np.asarray(np.exp(y.T @ coefficients @ x + level), np.float32)


def _fitted_light(
    logs: Floats, weights: Floats, bright: npt.NDArray[np.bool_], axes: Sequence[Floats], degree: int
) -> tuple[Floats, float, float]:
    """Light and materials in turns, by least squares, beginning with pixels that are taken for the brighter material.

    Returns:
        (7, 7) coefficients of the darker material's logarithm, how much brighter the brighter one is, and the mean
        square that is left.
    """
    rows, columns = axes
    for highest in range(1, degree + 1):
        terms = [(n, m) for n in range(highest + 1) for m in range(highest + 1 - n)]
        surface = np.stack([np.outer(rows[n], columns[m]).ravel() for n, m in terms], axis=1)
        for _ in range(_ROUNDS):
            design = np.column_stack([surface, bright])
            weighted = design * weights[:, None]
            # A trace of damping, for an image that shows one material alone.
            normal = weighted.T @ design + 1e-6 * len(design) * np.eye(design.shape[1])
            *light, contrast = np.linalg.solve(normal, weighted.T @ logs)
            rest = logs - surface @ np.array(light)
            left = float(np.average((rest - contrast * bright) ** 2, weights=weights))
            bright = rest > contrast / 2
    coefficients = np.zeros((_HIGHEST_DEGREE + 1, _HIGHEST_DEGREE + 1))
    for (n, m), value in zip(terms, light, strict=True):
        coefficients[n, m] = value
    return coefficients, max(float(contrast), 0.0), left


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
    if grey.shape != white.shape:
        raise DataError(
            f"expected a white image of the board's size {_size_text(grey)}, found {_size_text(white)}",
            where="white image",
            fix="take it with the same camera settings and crop",
        )
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


def _size_text(image: Image) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _as_bytes(values: FloatArray) -> Image:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
