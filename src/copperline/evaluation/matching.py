"""Which detection found which label: greedy matching of a whole data set, for many IoU thresholds in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copperline.detections import Detections
from copperline.detections import pairwise_iou as iou_of_pairs

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
    _require_same_boards(detections, labels)
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
class Stage:
    """One round of `match_in_stages`: from which IoU a detection finds a label, and whether only of its class."""

    iou: float
    same_class: bool = True


@dataclass(frozen=True, eq=False)
class StagedMatches:
    """Which label each detection found, and in which stage.

    Attributes:
        detections: all boards' D detections, highest confidence first.
        detection_images: (D,) int64, index of the detection's board.
        labels: all boards' L labels, in the order of the boards.
        label_images: (L,) int64.
        label_found: (D,) int64, the label that the detection found, or -1.
        stage: (D,) int64, index of the stage in which it did, or -1.
        iou: (D,) float64, their IoU, 0 for none.
    """

    detections: Detections
    detection_images: Integers
    labels: Detections
    label_images: Integers
    label_found: Integers
    stage: Integers
    iou: Floats

    @property
    def found_by(self) -> Integers:
        """(L,) int64, the detection that found the label, or -1."""
        found_by = np.full(len(self.labels), -1, dtype=np.int64)
        finders = np.flatnonzero(self.label_found >= 0)
        found_by[self.label_found[finders]] = finders
        return found_by


def match_in_stages(
    detections: Sequence[Detections], labels: Sequence[Detections], stages: Sequence[Stage]
) -> StagedMatches:
    """As `match`, several times over: each stage matches only what the stages before it left.

    So a label goes to a detection of its own class before one of another class may take it.

    Args:
        detections: one entry per board.
        labels: likewise, in the same order.
        stages: at least one, in the order in which they take place.

    Raises:
        ValueError: the numbers of boards differ.

    >>> called = [Detections.of([[0, 0, 10, 10], [1, 0, 11, 10]], [1, 0], [0.9, 0.4])]
    >>> done = match_in_stages(called, [Detections.of([[0, 0, 10, 10]], [0])], [Stage(0.5), Stage(0.5, False)])
    >>> done.label_found.tolist(), done.stage.tolist()
    ([-1, 0], [-1, 0])
    """
    _require_same_boards(detections, labels)
    ranked, detection_images = _ranking(detections, None)
    all_labels, label_images = Detections.concatenate(list(labels)), _image_of_each(labels)
    near = _candidates(ranked, detection_images, all_labels, label_images, min(s.iou for s in stages), False)
    alike = ranked.class_ids[near.detection] == all_labels.class_ids[near.label]
    free_detection, free_label = np.ones(len(ranked), dtype=bool), np.ones(len(all_labels), dtype=bool)
    label_found = np.full(len(ranked), -1, dtype=np.int64)
    in_stage, iou = label_found.copy(), np.zeros(len(ranked))
    for index, stage in enumerate(stages):
        open_to = free_detection[near.detection] & free_label[near.label] & (alike | (not stage.same_class))
        found_by = _greedy(near.only(open_to), stage.iou, len(ranked), len(all_labels))
        found = np.flatnonzero(found_by >= 0)
        label_found[found_by[found]], in_stage[found_by[found]] = found, index
        free_label[found], free_detection[found_by[found]] = False, False
    hit = np.flatnonzero(label_found >= 0)
    iou[hit] = pairwise_iou(ranked.boxes[hit], all_labels.boxes[label_found[hit]])
    return StagedMatches(ranked, detection_images, all_labels, label_images, label_found, in_stage, iou)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pairs (detection, label) that may match, ordered by detection and then by preference: descending IoU."""

    detection: Integers
    label: Integers
    iou: Floats

    def only(self, chosen: Mask) -> _Candidates:
        return _Candidates(self.detection[chosen], self.label[chosen], self.iou[chosen])


def _require_same_boards(detections: Sequence[Detections], labels: Sequence[Detections]) -> None:
    if len(detections) != len(labels):
        raise ValueError(
            f"expected detections and labels of the same boards, found {len(detections)} and {len(labels)}"
        )


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
    iou = pairwise_iou(ranked.boxes[detection], labels.boxes[label])
    near = iou >= lowest_iou
    detection, label, iou = detection[near], label[near], iou[near]
    # Of equal IoUs the later label is preferred, as in pycocotools.
    order = np.lexsort((-label, -iou, detection))
    return _Candidates(detection[order], label[order], iou[order])


def pairwise_iou(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> Floats:
    """IoU of row i with row i, (N,). In float64, so that an IoU of exactly 0.6 passes the threshold 0.6."""
    return iou_of_pairs(first.astype(np.float64), second.astype(np.float64))


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
