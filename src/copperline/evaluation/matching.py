"""Which detection found which label: greedy matching of a whole data set, for many IoU thresholds in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copperline.detections import Detections

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MATCHING_IOU = 0.33
"""IoU at which DeepPCB's authors count a defect as found; precision, recall and F-score are stated at it."""


@dataclass(frozen=True, eq=False)
class Matches:
    """All boards' detections in one ranking, and the label that each of them found.

    D detections, highest confidence first (ties in the order of the boards); L labels, in the order of the boards;
    T IoU thresholds.

    Attributes:
        ious: (T,) float64, the thresholds.
        images: number of boards.
        detection_images: (D,) int64, index of the detection's board.
        detection_classes: (D,) int64.
        confidences: (D,) float32, descending.
        label_images: (L,) int64.
        label_classes: (L,) int64.
        labels_found: (T, D) int64, the label that the detection found, or -1.
        found_by: (T, L) int64, the detection that found the label, or -1.
    """

    ious: Floats
    images: int
    detection_images: Integers
    detection_classes: Integers
    confidences: npt.NDArray[np.float32]
    label_images: Integers
    label_classes: Integers
    labels_found: Integers
    found_by: Integers

    @property
    def correct(self) -> Mask:
        """(T, D) whether the detection found a label."""
        return self.labels_found >= 0


def match(
    detections: Sequence[Detections],
    labels: Sequence[Detections],
    ious: npt.ArrayLike = MATCHING_IOU,
    *,
    same_class: bool = True,
    max_per_class: int | None = None,
) -> Matches:
    """Matches the detections of each board with its labels, greedily by descending confidence.

    In the order of confidence each detection takes the label, of those not yet taken, with which it has the highest
    IoU, if that is at or above the threshold. Raising a confidence threshold afterwards only cuts the tail of the
    ranking: the matches of the detections above it stay as they are.

    Args:
        detections: one entry per board.
        labels: likewise, in the same order.
        ious: a threshold or a sequence of T thresholds in (0, 1].
        same_class: a detection can only find a label of its class.
        max_per_class: only so many detections of one class on one board enter the ranking (COCO: 100).

    Raises:
        ValueError: the numbers of boards differ, or a threshold is not in (0, 1].

    >>> found = match([Detections.of([[0, 0, 10, 10], [1, 0, 11, 10]], [0, 0], [0.4, 0.9])],
    ...               [Detections.of([[0, 0, 10, 10]], [0])], 0.5)
    >>> found.confidences.tolist(), found.correct.tolist()
    ([0.8999999761581421, 0.4000000059604645], [[True, False]])
    """
    if len(detections) != len(labels):
        raise ValueError(
            f"expected detections and labels of the same boards, found {len(detections)} and {len(labels)}"
        )
    thresholds = np.atleast_1d(np.asarray(ious, dtype=np.float64))
    if not ((thresholds > 0) & (thresholds <= 1)).all():
        raise ValueError(f"expected IoU thresholds in (0, 1], found {thresholds.tolist()}")

    ranked, detection_images = _ranking(detections, max_per_class)
    all_labels = Detections.concatenate(list(labels))
    label_images = _image_of_each(labels)
    candidates = _candidates(ranked, detection_images, all_labels, label_images, float(thresholds.min()), same_class)
    found_by = np.stack([_greedy(candidates, t, len(ranked), len(all_labels)) for t in thresholds])
    labels_found = np.full((len(thresholds), len(ranked)), -1, dtype=np.int64)
    threshold_index, label_index = np.nonzero(found_by >= 0)
    labels_found[threshold_index, found_by[threshold_index, label_index]] = label_index
    return Matches(
        ious=thresholds,
        images=len(labels),
        detection_images=detection_images,
        detection_classes=ranked.class_ids,
        confidences=ranked.confidences,
        label_images=label_images,
        label_classes=all_labels.class_ids,
        labels_found=labels_found,
        found_by=found_by,
    )


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pairs (detection, label) that may match, ordered by detection and then by preference: descending IoU."""

    detection: Integers
    label: Integers
    iou: Floats


def _image_of_each(parts: Sequence[Detections]) -> Integers:
    return np.repeat(np.arange(len(parts), dtype=np.int64), [len(p) for p in parts])


def _ranking(detections: Sequence[Detections], max_per_class: int | None) -> tuple[Detections, Integers]:
    """All detections by descending confidence, with the index of their board."""
    everything = Detections.concatenate(list(detections))
    order = np.argsort(-everything.confidences, kind="stable")
    ranked, images = everything[order], _image_of_each(detections)[order]
    if max_per_class is None or not len(ranked):
        return ranked, images
    group = images * (ranked.class_ids.max() + 1) + ranked.class_ids
    by_group = np.argsort(group, kind="stable")
    sizes = np.unique(group[by_group], return_counts=True)[1]
    place = np.empty(len(ranked), dtype=np.int64)
    place[by_group] = np.arange(len(ranked)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranked[place < max_per_class], images[place < max_per_class]


def _candidates(
    ranked: Detections,
    detection_images: Integers,
    labels: Detections,
    label_images: Integers,
    lowest_iou: float,
    same_class: bool,
) -> _Candidates:
    # Every pair of a detection and a label of the same board: detection i meets labels first[i] .. first[i] + meets[i].
    first = np.searchsorted(label_images, detection_images, side="left")
    meets = np.searchsorted(label_images, detection_images, side="right") - first
    detection = np.repeat(np.arange(len(ranked), dtype=np.int64), meets)
    label = np.arange(len(detection), dtype=np.int64) - np.repeat(np.cumsum(meets) - meets - first, meets)
    if same_class:
        alike = ranked.class_ids[detection] == labels.class_ids[label]
        detection, label = detection[alike], label[alike]
    iou = _pairwise_iou(ranked.boxes[detection], labels.boxes[label])
    near = iou >= lowest_iou
    detection, label, iou = detection[near], label[near], iou[near]
    # Of equal IoUs the later label is preferred, as in pycocotools.
    order = np.lexsort((-label, -iou, detection))
    return _Candidates(detection[order], label[order], iou[order])


def _pairwise_iou(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> Floats:
    """IoU of row i with row i, (N,). In float64, so that an IoU of exactly 0.6 passes the threshold 0.6."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    overlap = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(min=0).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - overlap
    iou: Floats = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return iou


def _greedy(candidates: _Candidates, threshold: float, detections: int, labels: int) -> Integers:
    """(L,) the detection that takes each label, or -1.

    Letting the detections choose one after another is the same as deferred acceptance (Gale and Shapley, 1962) when
    all labels rank the detections alike, here by confidence. It settles all boards at once, in a few rounds: each
    free detection asks for its next best label, and a label keeps the best detection that ever asked.
    """
    nobody = detections
    eligible = candidates.iou >= threshold
    detection, label = candidates.detection[eligible], candidates.label[eligible]
    choice = np.searchsorted(detection, np.arange(detections))
    last = np.searchsorted(detection, np.arange(detections), side="right")
    holder = np.full(labels, nobody, dtype=np.int64)
    free = np.flatnonzero(choice < last)
    while len(free):
        wanted = label[choice[free]]
        before = holder.copy()
        np.minimum.at(holder, wanted, free)
        displaced = before[(before != holder) & (before != nobody)]
        free = np.concatenate([free[holder[wanted] != free], displaced])
        choice[free] += 1
        free = free[choice[free] < last[free]]
    return np.where(holder == nobody, -1, holder)
