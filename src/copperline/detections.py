"""`Detections`: the one value type that every layer passes. Labels are detections with confidence 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from copperline.taxonomy import Taxonomy

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Floats = TypeVar("Floats", npt.NDArray[np.float32], npt.NDArray[np.float64])

# Labels of different classes overlap by at most 0.41 in DeepPCB's trainval boards.
SAME_PLACE_IOU = 0.5
# Boxes are compared with those in the same square of this side, px: all with all would be too many for a whole board.
_SQUARE = 128
_FEW = 64


@dataclass(frozen=True, eq=False, slots=True)
class Detections:
    """Boxes with their classes and confidences, for one image.

    Attributes:
        boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the test image; x2 and y2 exclusive.
        class_ids: (N,) int64, indices into a taxonomy.
        confidences: (N,) float32 in [0, 1]; 1 for labels.

    >>> d = Detections.of([[0, 0, 10, 20]], [3], [0.5])
    >>> len(d), d.areas().tolist()
    (1, [200.0])
    """

    boxes: FloatArray
    class_ids: IntArray
    confidences: FloatArray

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4) or self.class_ids.shape != (n,) or self.confidences.shape != (n,):
            raise ValueError(
                "expected boxes (N, 4), class_ids (N,) and confidences (N,), found "
                f"{self.boxes.shape}, {self.class_ids.shape} and {self.confidences.shape}"
            )

    @classmethod
    def of(cls, boxes: npt.ArrayLike, class_ids: npt.ArrayLike, confidences: npt.ArrayLike | None = None) -> Detections:
        """From anything array-like; without `confidences` they are 1 (labels)."""
        ids = np.asarray(class_ids, dtype=np.int64).reshape(-1)
        return cls(
            np.asarray(boxes, dtype=np.float32).reshape(-1, 4),
            ids,
            np.ones(len(ids), np.float32) if confidences is None else np.asarray(confidences, np.float32).reshape(-1),
        )

    @classmethod
    def empty(cls) -> Detections:
        return cls.of(np.empty((0, 4)), [])

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.class_ids for p in parts]),
            np.concatenate([p.confidences for p in parts]),
        )

    def __len__(self) -> int:
        return len(self.class_ids)

    def __getitem__(self, index: Any) -> Detections:
        """Selects by mask, slice or array of indices; always gives Detections."""
        index = np.atleast_1d(index) if isinstance(index, int | np.integer) else index
        return Detections(self.boxes[index], self.class_ids[index], self.confidences[index])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Detections)
            and np.array_equal(self.boxes, other.boxes)
            and np.array_equal(self.class_ids, other.class_ids)
            and np.array_equal(self.confidences, other.confidences)
        )

    def by_confidence(self) -> Detections:
        """Highest confidence first; ties keep their order."""
        return self[np.argsort(-self.confidences, kind="stable")]

    def above(self, thresholds: npt.ArrayLike) -> Detections:
        """Those at or above their threshold: a scalar, or one value for each class id, shape (C,)."""
        limits = np.asarray(thresholds, dtype=np.float32)
        return self[self.confidences >= (limits if limits.ndim == 0 else limits[self.class_ids])]

    def one_per_place(self, iou: float = SAME_PLACE_IOU) -> Detections:
        """A defect is of one class: of boxes that overlap by more than `iou`, whatever their class, the most confident.

        The result is by confidence. Average precision is measured without it, calls are made with it.

        >>> doubted = Detections.of([[0, 0, 10, 10], [1, 0, 10, 10], [40, 0, 50, 10]], [0, 2, 0], [0.4, 0.5, 0.3])
        >>> doubted.one_per_place().class_ids.tolist()
        [2, 0]
        """
        ordered = self.by_confidence()
        return ordered[best_of_each_place(ordered.boxes, iou)]

    def called(self, thresholds: npt.ArrayLike) -> Detections:
        """What an inspection reports: one detection per place, those at or above their threshold (see `above`)."""
        # What is below every threshold suppresses nothing above it, and is most of what a network says.
        likely = self[self.confidences >= np.min(np.asarray(thresholds, dtype=np.float32))]
        return likely.one_per_place().above(thresholds)

    def shifted(self, dx: float, dy: float) -> Detections:
        """Moved by (dx, dy) pixels."""
        moved = self.boxes + np.array([dx, dy, dx, dy], np.float32)
        return Detections(moved, self.class_ids, self.confidences)

    def clipped(self, width: int, height: int) -> Detections:
        """Boxes cut to the image; those left without area are dropped."""
        boxes = self.boxes.copy()
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Detections(boxes[kept], self.class_ids[kept], self.confidences[kept])

    def areas(self) -> FloatArray:
        """(N,) float32, square pixels."""
        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(sizes[:, 0] * sizes[:, 1], dtype=np.float32)

    def to_dicts(self, taxonomy: Taxonomy) -> list[dict[str, Any]]:
        """As in the product's JSON: [{class, confidence, box: [x1, y1, x2, y2]}], pixels to two decimals."""
        return [
            {
                "class": taxonomy[int(class_id)].name,
                "confidence": round(float(confidence), 4),
                "box": [round(float(v), 2) for v in box],
            }
            for box, class_id, confidence in zip(self.boxes, self.class_ids, self.confidences, strict=True)
        ]


def box_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """Intersection over union of each pair of boxes.

    Args:
        first: (N, 4) x1, y1, x2, y2.
        second: (M, 4) likewise.

    Returns:
        (N, M) float32 in [0, 1]; 0 where both boxes are without area.

    >>> box_iou(np.array([[0, 0, 2, 2]], np.float32), np.array([[1, 0, 3, 2]], np.float32)).round(3).tolist()
    [[0.3330000042915344]]
    """
    return pairwise_iou(first[:, None], second[None])


def overlapping_pairs(boxes: FloatArray) -> tuple[IntArray, IntArray]:
    """The pairs i < j of boxes that share some area, each once, ordered by i, then j.

    For boxes of bounded size that are spread over an image, the work grows as their number, not as its square.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.

    >>> first, second = overlapping_pairs(np.array([[0, 0, 9, 9], [500, 0, 509, 9], [5, 5, 12, 12]], np.float32))
    >>> first.tolist(), second.tolist()
    ([0], [2])
    """
    members = _squares_of(boxes)
    found = [np.empty((0, 2), np.int64)]
    for inside in members:
        if len(inside) > 1:
            some = boxes[inside]
            low = np.maximum(some[:, None, :2], some[None, :, :2])
            high = np.minimum(some[:, None, 2:], some[None, :, 2:])
            i, j = np.nonzero(np.triu((high > low).all(axis=2), 1))
            found.append(np.column_stack((inside[i], inside[j])))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]


def best_of_each_place(boxes: FloatArray, iou: float) -> npt.NDArray[np.bool_]:
    """(N,) which boxes stay when each one, in order, drops all later ones that overlap it by more than `iou`."""
    first, second = overlapping_pairs(boxes)
    near = pairwise_iou(boxes[first], boxes[second]) > iou
    first, second = first[near], second[near]
    kept = np.ones(len(boxes), dtype=bool)
    ends = np.searchsorted(first, np.arange(len(boxes) + 1))
    for i in np.unique(first).tolist():
        if kept[i]:
            kept[second[ends[i] : ends[i + 1]]] = False
    return kept


def _squares_of(boxes: FloatArray) -> list[IntArray]:
    """Indices of the boxes in each square of a grid that has any, ascending; a large box is in several."""
    if len(boxes) <= _FEW:
        return [np.arange(len(boxes))]
    low = np.floor(boxes[:, :2] / _SQUARE).astype(np.int64)
    spans = np.floor(boxes[:, 2:] / _SQUARE).astype(np.int64) - low + 1
    counts = spans.prod(axis=1)
    index = np.repeat(np.arange(len(boxes)), counts)
    number = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = low[index, 0] + number % spans[index, 0]
    rows = low[index, 1] + number // spans[index, 0]
    order = np.lexsort((index, columns, rows))
    ends = np.flatnonzero(np.diff(rows[order]) | np.diff(columns[order])) + 1
    return np.split(index[order], ends)


def pairwise_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of the boxes at the same places of two arrays; 0 for two without area.

    Args:
        first, second: (..., 4) x1, y1, x2, y2, both float32 or both float64; leading sides are broadcast.

    Returns:
        (...) in [0, 1], of the same type.
    """
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    overlap = (high - low).clip(min=0).prod(axis=-1)
    area_first = (first[..., 2:] - first[..., :2]).prod(axis=-1)
    area_second = (second[..., 2:] - second[..., :2]).prod(axis=-1)
    union = area_first + area_second - overlap
    iou: Floats = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return iou
