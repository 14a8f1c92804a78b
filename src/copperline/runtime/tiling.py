"""Images larger than the network is meant for: overlapping tiles, whose detections are put together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copperline.data.images import Image
from copperline.detections import Detections, FloatArray
from copperline.runtime.postprocess import Selection, suppressed

Predict = Callable[[Image, Image | None, Selection], Detections]
TileProgress = Callable[[int, int], None]

# A box whose side is this near to a tile's inner edge was probably cut by it.
_EDGE = 2.0  # px


@dataclass(frozen=True, slots=True)
class Tiling:
    """When and how a large image is cut, in px.

    Attributes:
        limit: an image with a longer side than this is cut.
        side: of a square tile.
        overlap: of neighbouring tiles, at least. A defect smaller than `overlap` - 4 is whole in one of them; the
            largest label in DeepPCB's trainval boards is 173 px.
    """

    limit: int = 1536
    side: int = 1024
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


def predict_tiled(
    predict: Predict,
    test: Image,
    reference: Image | None,
    selection: Selection,
    tiling: Tiling,
    progress: TileProgress | None = None,
) -> Detections:
    """The detections of an image of any size, by `predict` on each tile.

    Args:
        predict: gives a tile's detections in the tile's pixels.
        test: (H, W) uint8 grey.
        reference: (H, W) uint8 grey, registered to `test`; or None.
        selection: as for one tile; `most` is per tile, since a large image has more defects.
        progress: called with (tiles done, tiles in all), first with 0 done.

    Returns:
        Detections in the image's pixels, most confident first. Where a tile's edge cuts a defect, the box is taken
        from the tile that has it whole.
    """
    height, width = test.shape
    origins = [(x, y) for y in tiling.starts(height) for x in tiling.starts(width)]
    parts: list[Detections] = []
    tile_ids: list[npt.NDArray[np.int64]] = []
    cut: list[npt.NDArray[np.bool_]] = []
    for done, (x, y) in enumerate(origins):
        if progress is not None:
            progress(done, len(origins))
        tile = (slice(y, y + tiling.side), slice(x, x + tiling.side))
        found = predict(test[tile], None if reference is None else reference[tile], selection)
        tile_height, tile_width = test[tile].shape
        cut.append(_is_cut(found.boxes, (x, y, x + tile_width, y + tile_height), (width, height)))
        tile_ids.append(np.full(len(found), len(tile_ids), np.int64))
        parts.append(found.shifted(x, y))
    if progress is not None:
        progress(len(origins), len(origins))
    return _merged(Detections.concatenate(parts), np.concatenate(tile_ids), np.concatenate(cut), selection.iou)


def _is_cut(boxes: FloatArray, tile: tuple[int, int, int, int], image: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """(N,) whether a box, in the tile's pixels, touches an edge of the tile that is not an edge of the image."""
    x1, y1, x2, y2 = tile
    touches = np.zeros(len(boxes), bool)
    if x1 > 0:
        touches |= boxes[:, 0] < _EDGE
    if y1 > 0:
        touches |= boxes[:, 1] < _EDGE
    if x2 < image[0]:
        touches |= boxes[:, 2] > x2 - x1 - _EDGE
    if y2 < image[1]:
        touches |= boxes[:, 3] > y2 - y1 - _EDGE
    return touches


def _merged(found: Detections, tile_ids: npt.NDArray[np.int64], cut: npt.NDArray[np.bool_], iou: float) -> Detections:
    """Drops pieces of which another tile has the whole, then suppresses duplicates, whole boxes first."""
    kept = ~_has_whole(found, tile_ids, cut)
    found, cut = found[kept], cut[kept]
    return suppressed(found, iou, ranks=found.confidences + np.where(cut, np.float32(0), np.float32(1)))


def _has_whole(found: Detections, tile_ids: npt.NDArray[np.int64], cut: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(N,) whether a box is a cut piece, at least half of which lies in a whole box that another tile found.

    The whole box must be of the same class or at least as confident: half a defect can look like one of another class.
    """
    has_whole = np.zeros(len(found), bool)
    whole = np.flatnonzero(~cut)
    boxes, areas = found.boxes, found.areas()
    for piece in np.flatnonzero(cut):
        low = np.maximum(boxes[piece, :2], boxes[whole, :2])
        high = np.minimum(boxes[piece, 2:], boxes[whole, 2:])
        covered = (high - low).clip(min=0).prod(axis=1) >= areas[piece] / 2
        same_class = found.class_ids[whole] == found.class_ids[piece]
        as_confident = found.confidences[whole] >= found.confidences[piece]
        elsewhere = tile_ids[whole] != tile_ids[piece]
        has_whole[piece] = bool(np.any(covered & elsewhere & (same_class | as_confident)))
    return has_whole
