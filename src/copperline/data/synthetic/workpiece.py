"""A golden image under the brush: where its copper is, what may be painted where, and what has been painted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.shapes import GreyImage, Points
from copperline.data.synthetic.strokes import Blob

Window = tuple[slice, slice]
_AROUND = 24  # pixels around a stroke in which its effect is judged
_LARGEST_HOLE = 2500  # square pixels
_AXES = 16  # directions in which a chord may lie


@dataclass(frozen=True, slots=True)
class Change:
    """Pixels that a stroke would change, within a window of the image.

    Attributes:
        window: rows and columns of the image.
        pixels: uint8, 1 where copper would become laminate or the other way round.
        before: copper in the window, uint8, 0 or 1.
    """

    window: Window
    pixels: GreyImage
    before: GreyImage


class Workpiece:
    """A copy of a golden image with defects painted on it one after the other."""

    def __init__(self, golden: GreyImage) -> None:
        self._golden = golden
        self.image = golden.copy()
        self.copper: GreyImage = np.asarray(cv2.threshold(golden, 127, 1, cv2.THRESH_BINARY_INV)[1], np.uint8)
        self._golden_copper = self.copper.copy()

    @cached_property
    def copper_depth(self) -> npt.NDArray[np.float32]:
        """Of the golden image: distance of each copper pixel to the next laminate, 0 on laminate."""
        return np.asarray(cv2.distanceTransform(self._golden_copper, cv2.DIST_L2, 3), np.float32)

    @cached_property
    def laminate_depth(self) -> npt.NDArray[np.float32]:
        """Of the golden image: distance of each laminate pixel to the next copper, 0 on copper."""
        return np.asarray(cv2.distanceTransform(1 - self._golden_copper, cv2.DIST_L2, 3), np.float32)

    @cached_property
    def _edges(self) -> npt.NDArray[np.intp]:
        """Flat indices of copper pixels on an edge."""
        return np.flatnonzero((self.copper_depth > 0) & (self.copper_depth < 1.2))

    @cached_property
    def _trace_middles(self) -> npt.NDArray[np.intp]:
        """Flat indices of the middles of traces and pads."""
        return _ridge(self.copper_depth)

    @cached_property
    def _gap_middles(self) -> npt.NDArray[np.intp]:
        """Flat indices of the middles of gaps between copper; drill holes are no gaps."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - self._golden_copper, connectivity=4)
        middles = _ridge(self.laminate_depth)
        areas = stats[labels.ravel()[middles], cv2.CC_STAT_AREA]
        return np.asarray(middles[areas > _LARGEST_HOLE], np.intp)

    @cached_property
    def _levels(self) -> tuple[int, int]:
        """Median grey level of laminate and of copper in the golden image; 255 and 0 where it has none."""
        counts = np.bincount(self._golden.ravel(), minlength=256)
        copper, laminate = np.cumsum(counts[:128]), np.cumsum(counts[128:])
        return (
            128 + int(np.searchsorted(laminate, laminate[-1] / 2)) if laminate[-1] else 255,
            int(np.searchsorted(copper, copper[-1] / 2)) if copper[-1] else 0,
        )

    def random_edge(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """x, y of a copper pixel on an edge; None if there are none."""
        if not len(self._edges):
            return None
        return self._position(int(self._edges[rng.integers(len(self._edges))]))

    def random_middle(self, rng: np.random.Generator, *, of_copper: bool) -> tuple[int, int] | None:
        """x, y of the middle of a trace or pad, or of a gap between copper, rather a narrow one; None without any."""
        middles = self._trace_middles if of_copper else self._gap_middles
        if not len(middles):
            return None
        some = middles[rng.integers(len(middles), size=4)]
        depths = (self.copper_depth if of_copper else self.laminate_depth).flat[some]
        return self._position(int(some[np.argmin(depths)] if rng.random() < 0.6 else some[0]))

    def random_inside(self, rng: np.random.Generator, least_depth: float, *, of_copper: bool) -> tuple[int, int] | None:
        """x, y of a pixel at least `least_depth` pixels inside copper, or laminate; None if none is found soon."""
        depth = self.copper_depth if of_copper else self.laminate_depth
        rows = rng.integers(0, depth.shape[0], 64)
        columns = rng.integers(0, depth.shape[1], 64)
        deep = np.flatnonzero(depth[rows, columns] > least_depth)
        return (int(columns[deep[0]]), int(rows[deep[0]])) if len(deep) else None

    def _position(self, index: int) -> tuple[int, int]:
        y, x = divmod(index, self.image.shape[1])
        return x, y

    def outward(self, x: int, y: int) -> float | None:
        """Direction from copper to laminate at an edge, radians; None where it is undecided."""
        radius = 6
        rows, columns = np.nonzero(
            self.copper[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        )
        if not len(columns):
            return None  # another defect has taken the edge away
        dx = x - max(0, x - radius) - columns.mean()
        dy = y - max(0, y - radius) - rows.mean()
        return float(np.arctan2(dy, dx)) if abs(dx) + abs(dy) > 0.5 else None

    def chord(self, x: int, y: int, longest: float, rng: np.random.Generator) -> tuple[Points, Points] | None:
        """End points of a straight way through (x, y) across the copper, or across the gap, that it lies in.

        The way is one of the shortest ones, at most `longest` pixels; None if there is none or it leaves the image.
        """
        height, width = self.copper.shape
        directions, steps = _rays(int(longest))
        columns = np.clip(np.rint(x + steps[..., 0]).astype(np.intp), 0, width - 1)
        rows = np.clip(np.rint(y + steps[..., 1]).astype(np.intp), 0, height - 1)
        arrived = self.copper[rows, columns] != self.copper[y, x]
        reach = np.where(arrived.any(axis=1), arrived.argmax(axis=1) + 1.0, np.inf)
        lengths = reach[:_AXES] + reach[_AXES:]
        if lengths.min() > longest:
            return None
        axis = int(rng.choice(np.flatnonzero(lengths <= min(1.6 * lengths.min(), longest))))
        middle = np.array([x, y], np.float64)
        return (
            middle + directions[axis] * reach[axis],
            middle + directions[axis + _AXES] * reach[axis + _AXES],
        )

    def change(self, blob: Blob, *, adds_copper: bool) -> Change:
        """What the blob, which lies within the image, would change."""
        height, width = self.copper.shape
        x1, y1, x2, y2 = blob.bounds
        top, left = max(0, y1 - _AROUND), max(0, x1 - _AROUND)
        window = (slice(top, min(height, y2 + _AROUND)), slice(left, min(width, x2 + _AROUND)))
        before = self.copper[window]
        pixels = np.zeros_like(before)
        pixels[y1 - top : y2 - top, x1 - left : x2 - left] = blob.patch
        pixels &= 1 - before if adds_copper else before
        return Change(window, pixels, before)

    def paint(self, change: Change, *, adds_copper: bool) -> None:
        """Makes the change, in the grey level that copper or laminate has nearby."""
        patch, changed = self.image[change.window], change.pixels > 0
        alike = patch[change.before == (1 if adds_copper else 0)]
        patch[changed] = np.median(alike) if len(alike) else self._levels[adds_copper]
        self.copper[change.window] = change.before ^ change.pixels


def _ridge(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    highest = cv2.dilate(depth, np.ones((3, 3), np.uint8))
    return np.flatnonzero((depth >= highest) & (depth > 2))


@lru_cache(maxsize=4)
def _rays(longest: int) -> tuple[Points, Points]:
    """Unit vectors (2 * _AXES, 2), and their multiples 1..longest, (2 * _AXES, longest, 2)."""
    angles = np.arange(2 * _AXES) * np.pi / _AXES
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return directions, directions[:, None, :] * np.arange(1, longest + 1)[None, :, None]
