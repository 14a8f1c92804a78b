"""Copper shapes, and a canvas on which shapes of different nets keep their distance.

Coordinates are pixels, x to the right and y down; fractions are allowed and are drawn to 1/16 px.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

GreyImage = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

_SHIFT = 4  # fractional bits that OpenCV's drawing functions read
_HEADINGS = np.array([[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]], np.float64)
HEADINGS: Points = _HEADINGS / np.linalg.norm(_HEADINGS, axis=1, keepdims=True)
"""(8, 2) unit vectors, 45 degrees apart: 0 is right, 2 is down, 4 is left, 6 is up."""


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline with round ends: points (N, 2), width in pixels."""

    points: Points
    width: float

    def draw(self, mask: GreyImage, value: int, grow: float = 0.0) -> None:
        thickness = max(1, round(self.width + 2 * grow))
        cv2.polylines(mask, [_fixed(self.points)], False, value, thickness, cv2.LINE_8, _SHIFT)

    def bounds(self) -> tuple[float, float, float, float]:
        (x1, y1), (x2, y2) = self.points.min(axis=0).tolist(), self.points.max(axis=0).tolist()
        half = self.width / 2 + 1
        return x1 - half, y1 - half, x2 + half, y2 + half


@dataclass(frozen=True, slots=True)
class Disc:
    """A filled circle."""

    x: float
    y: float
    radius: float

    def draw(self, mask: GreyImage, value: int, grow: float = 0.0) -> None:
        one = 1 << _SHIFT
        centre = (round(self.x * one), round(self.y * one))
        cv2.circle(mask, centre, round((self.radius + grow) * one), value, cv2.FILLED, cv2.LINE_8, _SHIFT)

    def bounds(self) -> tuple[float, float, float, float]:
        return self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius


@dataclass(frozen=True, slots=True)
class Block:
    """A filled rectangle around (x, y) with its corners cut at 45 degrees by `chamfer` pixels (0: square)."""

    x: float
    y: float
    width: float
    height: float
    chamfer: float = 0.0

    def draw(self, mask: GreyImage, value: int, grow: float = 0.0) -> None:
        w, h, c = self.width / 2 + grow, self.height / 2 + grow, self.chamfer
        corners = [(c - w, -h), (w - c, -h), (w, c - h), (w, h - c), (w - c, h), (c - w, h), (-w, h - c), (-w, c - h)]
        cv2.fillPoly(mask, [_fixed(np.array(corners) + np.array([self.x, self.y]))], value, cv2.LINE_8, _SHIFT)

    def bounds(self) -> tuple[float, float, float, float]:
        w, h = self.width / 2, self.height / 2
        return self.x - w, self.y - h, self.x + w, self.y + h


Shape = Line | Disc | Block


@dataclass(slots=True)
class Canvas:
    """Copper that has been placed, and the area that other nets must keep clear of.

    Attributes:
        size: pixels per side.
        gap: least distance between two nets, pixels.
        copper: (size, size) uint8, 255 where there is copper.
        taken: (size, size) uint8, 255 on copper and within `gap` of it.
        holes: drill holes; they are no part of `copper`.
    """

    size: int
    gap: float
    copper: GreyImage = field(init=False)
    taken: GreyImage = field(init=False)
    holes: list[Disc] = field(init=False, default_factory=list)
    _candidate: GreyImage = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.copper = np.zeros((self.size, self.size), np.uint8)
        self.taken = np.zeros((self.size, self.size), np.uint8)
        self._candidate = np.zeros((self.size, self.size), np.uint8)

    def place(self, net: Sequence[Shape], holes: Sequence[Disc] = ()) -> bool:
        """Draws the shapes of one net if all of them keep clear of the other nets; says whether it did."""
        area = self._area_of(net)
        candidate = self._candidate[area]
        if candidate.size == 0:  # wholly outside: nothing to see, nothing in the way
            return True
        candidate[:] = 0
        for shape in net:
            shape.draw(self._candidate, 255)
        if cv2.countNonZero(cv2.bitwise_and(candidate, self.taken[area])):
            return False
        self.copper[area] |= candidate
        for shape in net:
            shape.draw(self.taken, 255, self.gap)
        self.holes.extend(holes)
        return True

    def _area_of(self, net: Sequence[Shape]) -> tuple[slice, slice]:
        """Rows and columns that hold all the shapes; OpenCV's own clipping makes the rest safe."""
        left, top, right, bottom = zip(*(shape.bounds() for shape in net), strict=True)
        x1, y1 = (min(self.size, max(0, math.floor(min(v)) - 2)) for v in (left, top))
        x2, y2 = (min(self.size, max(0, math.ceil(max(v)) + 3)) for v in (right, bottom))
        return slice(y1, y2), slice(x1, x2)

    def reserve(self, shape: Shape) -> None:
        """Keeps an area free of copper."""
        shape.draw(self.taken, 255)

    def pour(self, region: GreyImage, least_width: int) -> None:
        """Fills a region, (size, size) uint8 non-zero, with copper wherever nothing is near.

        Slivers narrower than `least_width` are left out, as a manufacturer would have it.
        """
        free = cv2.bitwise_and(region, cv2.bitwise_not(self.taken))
        poured = cv2.morphologyEx(free, cv2.MORPH_OPEN, np.ones((least_width, least_width), np.uint8))
        cv2.bitwise_or(self.copper, poured, dst=self.copper)


def octilinear_path(start: tuple[float, float], heading: int, lengths: Sequence[float], turns: Sequence[int]) -> Points:
    """A path of straight pieces that turns by multiples of 45 degrees, as boards are routed.

    Args:
        start: x, y of the first point.
        heading: index into `HEADINGS` of the first piece.
        lengths: pixels, one for each piece.
        turns: before each piece after the first, in steps of 45 degrees (+1 clockwise on the screen).

    Returns:
        (len(lengths) + 1, 2) points.

    >>> octilinear_path((0, 0), 0, [10, 5], [2]).round(1).tolist()
    [[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]]
    """
    headings = (heading + np.concatenate([[0], np.cumsum(np.asarray(turns, np.int64))]).astype(np.int64)) % 8
    steps = HEADINGS[headings] * np.asarray(lengths, np.float64)[:, None]
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + np.asarray(start, np.float64)


def parallel_path(points: Points, distance: float) -> Points:
    """The path `distance` pixels to the right of `points` (N, 2), its corners mitred so that the gap stays even.

    At a corner between unit normals m and n the offset is distance * (m + n) / (1 + m . n).

    >>> parallel_path(octilinear_path((0, 0), 0, [10, 5], [2]), -2).tolist()
    [[0.0, -2.0], [12.0, -2.0], [12.0, 5.0]]
    """
    steps = np.diff(points, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    normals = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    before, after = np.concatenate([normals[:1], normals]), np.concatenate([normals, normals[-1:]])
    mitre = (before + after) / (1 + (before * after).sum(axis=1, keepdims=True))
    return np.asarray(points + distance * mitre, dtype=np.float64)
