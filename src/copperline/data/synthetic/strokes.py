"""Strokes of a round brush: what a hand draws when it paints a defect, from one dot to a scribble.

Real defects are dots, bars, hooks and ragged patches. A brush that is led along a path, now slowly, now so fast that
its prints come apart, makes all of them, and leaves the flecks that a ragged etch leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.shapes import Disc, GreyImage, Line, Points


@dataclass(frozen=True, slots=True)
class Blob:
    """What a stroke covers, and where it lies in the image.

    Attributes:
        x, y: image position of the patch's first column and row.
        patch: (H, W) uint8, 1 where the brush has been; its first and last rows and columns are covered.
    """

    x: int
    y: int
    patch: GreyImage

    def within(self, width: int, height: int) -> Blob | None:
        """The part of it inside an image of that size; None if that is not at least its middle."""
        x1, y1, x2, y2 = self.bounds
        if not (0 <= (x1 + x2) // 2 < width and 0 <= (y1 + y2) // 2 < height):
            return None
        if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
            return self
        left, top = max(0, -x1), max(0, -y1)
        return _trimmed(x1 + left, y1 + top, self.patch[top : height - y1, left : width - x1])

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 in the image, x2 and y2 exclusive."""
        height, width = self.patch.shape
        return self.x, self.y, self.x + width, self.y + height


def paint(path: Points, radius: float, spacing: float = 0.0) -> Blob:
    """A brush of `radius` pixels led along `path` (N, 2).

    Args:
        spacing: pixels between two prints of the brush; 0 leads it without a gap.
    """
    reach = radius + 2
    x0, y0 = (int(v) for v in np.floor(path.min(axis=0) - reach))
    width, height = (int(v) for v in np.ceil(path.max(axis=0) + reach) - (x0, y0) + 1)
    patch = np.zeros((height, width), np.uint8)
    local = path - (x0, y0)
    if spacing > 0 or len(path) == 1:
        for x, y in _resampled(local, spacing).tolist():
            Disc(x, y, radius).draw(patch, 1)
    else:
        Line(local, 2 * radius).draw(patch, 1)
    return _trimmed(x0, y0, patch)


def towards(heading: float) -> Points:
    """(2,) x, y: the unit vector of a heading in radians.

    >>> towards(0.0).tolist()
    [1.0, 0.0]
    """
    return np.array([np.cos(heading), np.sin(heading)])


def wandering_path(
    start: npt.ArrayLike, heading: float, length: float, bend: float, rng: np.random.Generator
) -> Points:
    """A path of `length` pixels whose heading, radians, changes by about `bend` radians in 10 pixels."""
    steps = max(1, round(length / 2))
    headings = heading + np.cumsum(rng.normal(0, bend / np.sqrt(5), steps))
    way = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / steps)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(way, axis=0)]) + np.asarray(start, np.float64)


def hooked_path(start: npt.ArrayLike, heading: float, length: float, rng: np.random.Generator) -> Points:
    """Two straight legs with a sharp turn between them."""
    first = rng.uniform(0.3, 0.7) * length
    turned = heading + rng.choice([-1, 1]) * rng.uniform(0.8, 2.2)
    start = np.asarray(start, np.float64)
    corner = start + first * towards(heading)
    return np.stack([start, corner, corner + (length - first) * towards(turned)])


def scribbled_path(start: npt.ArrayLike, end: npt.ArrayLike, width: float, rng: np.random.Generator) -> Points:
    """To and fro, `width` pixels across the way from `start` to `end`, unevenly."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    way = end - start
    length = float(np.hypot(*way))
    along = way / max(length, 1e-9)
    across = np.array([-along[1], along[0]])
    turns = max(3, round(length / rng.uniform(1.5, 4.0)))
    side = np.where(np.arange(turns) % 2, 0.5, -0.5) * width * rng.uniform(0.3, 1.0, turns)
    position = (np.arange(turns) + rng.uniform(-0.6, 0.6, turns)) / max(turns - 1, 1) * length
    path: Points = start + position[:, None] * along + side[:, None] * across
    return path


def _trimmed(x: int, y: int, patch: GreyImage) -> Blob:
    left, top, width, height = cv2.boundingRect(patch)
    return Blob(x + left, y + top, patch[top : top + height, left : left + width])


def _resampled(path: Points, spacing: float) -> Points:
    """Points at equal distances along the path, at least its first one."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    at = np.arange(0, along[-1] + 1e-9, spacing) if spacing > 0 else np.zeros(1)
    points: Points = np.stack([np.interp(at, along, path[:, 0]), np.interp(at, along, path[:, 1])], axis=1)
    return points
