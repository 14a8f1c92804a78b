"""What overlapping tiles of one image found, put together: each defect once.

A box that a tile's edge cut is a piece. Where another tile has the whole defect, the piece is dropped. Where none has,
since the defect is larger than what neighbours share, the pieces are joined. What two tiles found both is there once.
The work grows as the number of boxes: only those that share some area are compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from copperline.detections import Detections, FloatArray, IntArray, best_of_each_place, overlapping_pairs, pairwise_iou

BoolArray = npt.NDArray[np.bool_]

# A box whose side is this near to a tile's inner edge was probably cut by it.
_EDGE = 2.0  # px
# Two pieces are of one defect if what both tiles can see of them overlaps by this much.
_SAME_PIECE_IOU = 0.3


def merged(parts: list[Detections], tiles: FloatArray, iou: float) -> Detections:
    """The detections of an image.

    Args:
        parts: what was found in each tile, in that tile's pixels.
        tiles: (T, 4) x1, y1, x2, y2 of the tiles, which together cover the image.
        iou: of two boxes of one class that overlap more than this, the less confident is dropped; whole ones stay
            before pieces.

    Returns:
        In the image's pixels, most confident first.
    """
    found = Detections.concatenate([part.shifted(*tile[:2]) for part, tile in zip(parts, tiles, strict=True)])
    tile_ids = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    cut = _cut_by(found.boxes, tiles[tile_ids], tiles)
    kept = ~_has_whole(found, tile_ids, cut)
    found, tile_ids, cut = found[kept], tile_ids[kept], cut[kept]
    found, cut = _joined(found, tiles[tile_ids], tile_ids, cut)
    return _without_doubles(found, cut, iou)


def _cut_by(boxes: FloatArray, of_tile: FloatArray, tiles: FloatArray) -> BoolArray:
    """(N,) whether a box touches an edge of its tile that is not an edge of the image."""
    if not len(tiles):
        return np.zeros(0, bool)
    image = np.concatenate((tiles[:, :2].min(axis=0), tiles[:, 2:].max(axis=0)))
    beyond = np.concatenate((boxes[:, :2] - of_tile[:, :2], of_tile[:, 2:] - boxes[:, 2:]), axis=1)
    return np.asarray(((beyond < _EDGE) & (of_tile != image)).any(axis=1))


def _has_whole(found: Detections, tile_ids: IntArray, cut: BoolArray) -> BoolArray:
    """(N,) whether a box is a cut piece, at least half of which lies in a whole box that another tile found.

    The whole box must be of the same class or at least as confident: half a defect can look like one of another class.
    """
    first, second = overlapping_pairs(found.boxes)
    pieces, wholes = np.concatenate((first, second)), np.concatenate((second, first))
    fit = cut[pieces] & ~cut[wholes] & (tile_ids[pieces] != tile_ids[wholes])
    pieces, wholes = pieces[fit], wholes[fit]
    boxes, areas = found.boxes, found.areas()
    low = np.maximum(boxes[pieces, :2], boxes[wholes, :2])
    high = np.minimum(boxes[pieces, 2:], boxes[wholes, 2:])
    covered = (high - low).prod(axis=1) >= areas[pieces] / 2
    same_class = found.class_ids[wholes] == found.class_ids[pieces]
    as_confident = found.confidences[wholes] >= found.confidences[pieces]
    has_whole = np.zeros(len(found), bool)
    has_whole[pieces[covered & (same_class | as_confident)]] = True
    return has_whole


def _joined(found: Detections, of_tile: FloatArray, tile_ids: IntArray, cut: BoolArray) -> tuple[Detections, BoolArray]:
    """Pieces of one class that go on from tile to tile as one box around them, with the highest confidence of theirs.

    Also gives which of the result are pieces still: those that were not joined.
    """
    pieces = np.flatnonzero(cut)
    first, second = (pieces[side] for side in overlapping_pairs(found.boxes[pieces]))
    fit = (tile_ids[first] != tile_ids[second]) & (found.class_ids[first] == found.class_ids[second])
    first, second = first[fit], second[fit]
    # Each is compared only where both tiles look.
    shared = np.concatenate(
        (np.maximum(of_tile[first, :2], of_tile[second, :2]), np.minimum(of_tile[first, 2:], of_tile[second, 2:])), 1
    )
    same = pairwise_iou(_within(found.boxes[first], shared), _within(found.boxes[second], shared)) >= _SAME_PIECE_IOU
    groups = _connected(len(found), first[same], second[same])
    numbers, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    boxes = np.concatenate((np.full((len(numbers), 2), np.inf), np.full((len(numbers), 2), -np.inf)), axis=1)
    np.minimum.at(boxes[:, :2], group, found.boxes[:, :2])
    np.maximum.at(boxes[:, 2:], group, found.boxes[:, 2:])
    confidences = np.zeros(len(numbers), np.float32)
    np.maximum.at(confidences, group, found.confidences)
    joined = Detections(boxes.astype(np.float32), found.class_ids[numbers], confidences)
    return joined, cut[numbers] & (sizes == 1)


def _within(boxes: FloatArray, windows: FloatArray) -> FloatArray:
    """The part of each box that lies in its window."""
    low, high = np.maximum(boxes[:, :2], windows[:, :2]), np.minimum(boxes[:, 2:], windows[:, 2:])
    return np.concatenate((low, high), axis=1)


def _connected(count: int, first: IntArray, second: IntArray) -> IntArray:
    """(count,) the lowest number of all that each one is connected with, by pairs of which the first is the lower."""
    lowest = list(range(count))

    def of(number: int) -> int:
        while lowest[number] != number:
            lowest[number] = number = lowest[lowest[number]]
        return number

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((of(a), of(b)))
        lowest[high] = low
    return np.array([of(number) for number in range(count)], np.int64)


def _without_doubles(found: Detections, cut: BoolArray, iou: float) -> Detections:
    """Non-maximum suppression within each class, whole boxes first."""
    ranks = found.confidences + np.where(cut, np.float32(0), np.float32(1))
    found = found[np.argsort(-ranks, kind="stable")]
    kept = np.ones(len(found), bool)
    for class_id in np.unique(found.class_ids):
        of_class = np.flatnonzero(found.class_ids == class_id)
        kept[of_class] = best_of_each_place(found.boxes[of_class], iou)
    return found[kept].by_confidence()
