"""Irregular blobs, drawn as brush strokes of uneven width on a small patch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.shapes import Disc, GreyImage, Points


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob and where it lies in the image.

    Attributes:
        x, y: image position of the patch's first column and row; may be outside the image.
        patch: (H, W) uint8, 1 inside the blob.
    """

    x: int
    y: int
    patch: GreyImage


def paint_stroke(points: Points, radii: npt.NDArray[np.float64], rng: np.random.Generator) -> Blob:
    """A stroke along `points` (N, 2) in image pixels, whose radius goes through `radii` (N,) and wobbles by 15 %."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    samples = np.linspace(0, along[-1], max(2, int(along[-1] / 1.5) + 1))
    x, y, radius = (np.interp(samples, along, values) for values in (points[:, 0], points[:, 1], radii))
    # Neighbouring discs wobble together, as an uneven edge does, not as a saw.
    wobble = np.convolve(rng.uniform(-0.3, 0.3, len(samples) + 2), np.ones(3) / 3, "valid")
    radius = radius * (1 + wobble)
    reach = float(radius.max()) + 2
    x0, y0 = int(x.min() - reach), int(y.min() - reach)
    width, height = int(x.max() + reach) - x0 + 2, int(y.max() + reach) - y0 + 2
    patch = np.zeros((height, width), np.uint8)
    for cx, cy, r in zip((x - x0).tolist(), (y - y0).tolist(), radius.tolist(), strict=True):
        Disc(cx, cy, r).draw(patch, 1)
    return Blob(x0, y0, patch)


def random_stroke(
    start: tuple[float, float], heading: float, area: float, least_width: float, rng: np.random.Generator
) -> Blob:
    """A stroke of about `area` square pixels that begins at `start` and goes towards `heading`, radians.

    Round blobs, straight and tapering strokes, and strokes with one or two bends all occur.
    """
    # A stroke of length L and width w with round ends has the area w L + pi/4 w^2.
    elongation = float(rng.choice([0.2, 1.0, 1.8, 2.8], p=[0.2, 0.25, 0.35, 0.2]) * rng.uniform(0.8, 1.25))
    width = max(least_width, float(np.sqrt(area / (elongation + np.pi / 4))))
    length = max(0.5, area / width - np.pi / 4 * width)
    pieces = 1 if elongation < 1 else int(rng.integers(1, 4))
    headings = heading + np.concatenate([[0.0], np.cumsum(rng.uniform(-1.3, 1.3, pieces - 1))])
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / pieces)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + start
    taper = float(rng.uniform(0.55, 1.0)) if width > 1.5 * least_width else 1.0
    radii = width / 2 * np.linspace(1, taper, pieces + 1)
    return paint_stroke(points, radii if rng.random() < 0.6 else radii[::-1], rng)


def grown(patch: GreyImage, pixels: int) -> GreyImage:
    """The patch dilated by a square of 2 `pixels` + 1, so that diagonal neighbours count; same shape."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.dilate(patch, kernel), dtype=np.uint8)
