"""Images larger than the network is meant for: overlapping tiles, whose detections are put together again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.runtime.merging import merged
from copperline.runtime.postprocess import Selection

Predict = Callable[[Image, Image | None, Selection], Detections]
TileProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image, in its pixels; x2 and y2 exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int

    def of(self, image: Image) -> Image:
        """The tile's pixels; no copy."""
        return image[self.y1 : self.y2, self.x1 : self.x2]


Look = Callable[[Tile], Detections]
"""Gives a tile's detections, in the tile's pixels."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """When and how a large image is cut, in px.

    Attributes:
        limit: an image with a longer side than this is cut.
        side: of a square tile. Boards of this size are what the shipped models were measured on, and the smaller a
            tile, the better its reference fits; below, overlaps cost more than they bring (docs/whole-boards.md).
        overlap: of neighbouring tiles, at least. A defect smaller than `overlap` - 4 is whole in one of them; the
            largest label in DeepPCB's trainval boards is 173 px. Of a larger one the pieces are joined.
    """

    limit: int = 1536
    side: int = 640
    overlap: int = 192

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.side <= self.limit:
            raise ValueError(f"expected 0 <= overlap < side <= limit, found {self}")

    def starts(self, length: int) -> list[int]:
        """Where tiles begin along a side of `length` px. The last one ends with the image.

        >>> Tiling(limit=100, side=100, overlap=20).starts(250)
        [0, 80, 150]
        """
        last = max(0, length - self.side)
        return [*range(0, last, self.side - self.overlap), last]

    def tiles(self, width: int, height: int) -> list[Tile]:
        """The tiles of an image, in rows."""
        return [
            Tile(x, y, min(x + self.side, width), min(y + self.side, height))
            for y in self.starts(height)
            for x in self.starts(width)
        ]


def predict_tiled(
    predict: Predict,
    test: Image,
    reference: Image | None,
    selection: Selection,
    tiling: Tiling,
    progress: TileProgress | None = None,
    workers: int = 1,
) -> Detections:
    """The detections of an image of any size, by `predict` on each tile.

    Args:
        predict: gives a tile's detections in the tile's pixels.
        test: (H, W) uint8 grey.
        reference: (H, W) uint8 grey, registered to `test`; or None.
        selection: as for one tile; `most` is per tile, since a large image has more defects.
        progress, workers: as for `look_at_tiles`.

    Returns:
        As `look_at_tiles`.
    """
    height, width = test.shape

    def look(tile: Tile) -> Detections:
        return predict(tile.of(test), None if reference is None else tile.of(reference), selection)

    return look_at_tiles(look, tiling.tiles(width, height), selection.iou, progress, workers)


def look_at_tiles(
    look: Look, tiles: list[Tile], iou: float, progress: TileProgress | None = None, workers: int = 1
) -> Detections:
    """The detections of all tiles of an image, put together.

    Args:
        look: gives a tile's detections in the tile's pixels; must be safe to call from `workers` threads.
        tiles: of one image, as `Tiling.tiles` gives them.
        iou: of two boxes of one class that overlap more than this, the less confident is dropped.
        progress: called with (tiles done, tiles in all), first with 0 done.
        workers: tiles in work at once. The result does not depend on it.

    Returns:
        Detections in the image's pixels, most confident first. Where a tile's edge cuts a defect, the box is taken
        from the tile that has it whole; where none has, the pieces are joined.
    """
    parts: list[Detections] = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="tile") if workers > 1 else None
    try:
        for found in map(look, tiles) if pool is None else pool.map(look, tiles):
            if progress is not None:
                progress(len(parts), len(tiles))
            parts.append(found)
    finally:
        # After an error, or Ctrl-C, the tiles that nobody began are left out.
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    if progress is not None:
        progress(len(tiles), len(tiles))
    return merged(parts, np.array([(t.x1, t.y1, t.x2, t.y2) for t in tiles], np.float32).reshape(-1, 4), iou)
