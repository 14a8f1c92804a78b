"""Average precision, by COCO's and by DeepPCB's protocol.

Both are functions of a ranking (`Matches`) and of how often each board counts. Counting every board once gives the
metric; counting boards as often as they were drawn gives a bootstrap sample, without matching again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copperline.detections import Detections
from copperline.evaluation.matching import MATCHING_IOU, Floats, Integers, Matches, match

COCO_IOUS: Floats = np.linspace(0.5, 0.95, 10)
COCO_RECALLS: Floats = np.linspace(0.0, 1.0, 101)
COCO_MAX_DETECTIONS = 100

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DeepPcbAp:
    """Non-interpolated average precision; in [0, 1], NaN where there are no labels.

    Attributes:
        per_class: (..., C), one ranking for each class.
        pooled: (...), all classes in one ranking.
    """

    per_class: Floats
    pooled: Floats

    @property
    def mean(self) -> Floats:
        """(...), over the classes that have labels."""
        return nan_mean(self.per_class)


def coco_ap(detections: Sequence[Detections], labels: Sequence[Detections], classes: int) -> Floats:
    """COCO's average precision of each class at each IoU threshold 0.50, 0.55 .. 0.95, all areas.

    AP = the mean, over the 101 recalls 0, 0.01 .. 1, of the highest precision at that or a higher recall
    (Lin et al. 2014, "Microsoft COCO"; the same figures as pycocotools). At most 100 detections of a class enter for
    each board, as in pycocotools, whose limit counts each class by itself.

    Returns:
        (C, 10) float64 in [0, 1]; NaN for a class without labels.

    >>> label = Detections.of([[0, 0, 10, 10]], [0])
    >>> coco_ap([Detections.of([[0, 0, 10, 8]], [0], [0.9])], [label], classes=1).round(3).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]
    """
    ap: Floats = coco_ap_of(coco_matches(detections, labels), classes, _each_board_once(len(labels)))[0]
    return ap


def deeppcb_ap(detections: Sequence[Detections], labels: Sequence[Detections], classes: int) -> DeepPcbAp:
    """Average precision by the protocol of DeepPCB (Tang et al. 2019, arXiv:1902.06197), at IoU 0.33.

    AP = sum, over the correct detections, of the precision at their rank / number of labels, not interpolated. A
    detection is correct if it found a label of its class. The paper's 98.6 is stated this way: its evaluation script
    ranks all classes together (`pooled`), its table gives the classes one by one (`per_class`). That script matches in
    the order of its files; here, as everywhere in this package, the most confident detection chooses first.

    >>> labels = [Detections.of([[0, 0, 10, 10], [50, 0, 60, 10]], [0, 0])]
    >>> found = [Detections.of([[0, 0, 10, 10], [20, 0, 30, 10], [50, 0, 60, 10]], [0, 0, 0], [0.9, 0.8, 0.7])]
    >>> deeppcb_ap(found, labels, classes=1).per_class.round(4).tolist()  # (1/1 + 2/3) / 2
    [0.8333]
    """
    ap = deeppcb_ap_of(match(detections, labels, MATCHING_IOU), classes, _each_board_once(len(labels)))
    return DeepPcbAp(ap.per_class[0], ap.pooled[0])


def coco_matches(detections: Sequence[Detections], labels: Sequence[Detections]) -> Matches:
    """The ranking from which `coco_ap_of` computes."""
    return match(detections, labels, COCO_IOUS, max_per_class=COCO_MAX_DETECTIONS)


def coco_ap_of(matches: Matches, classes: int, counts: Counts) -> Floats:
    """As `coco_ap`, for R ways of counting the boards.

    Args:
        matches: from `coco_matches`.
        classes: C.
        counts: (R, images) int64, how often each board counts.

    Returns:
        (R, C, T) float64 in [0, 1]; NaN where a class has no labels.
    """
    result = np.full((len(counts), classes, len(matches.ious)), np.nan)
    for class_id in range(classes):
        of_class = matches.detection_classes == class_id
        for t, curve in enumerate(_curves(matches, of_class, matches.label_classes == class_id, counts)):
            # Where two copies of a board are in a sample, the envelope gives both the precision after the second.
            envelope = np.maximum.accumulate(curve.precision[:, ::-1], axis=1)[:, ::-1]
            for r in np.flatnonzero(curve.labels):
                first = np.searchsorted(curve.correct[r] / curve.labels[r], COCO_RECALLS, side="left")
                reached = first[first < envelope.shape[1]]
                result[r, class_id, t] = envelope[r, reached].sum() / len(COCO_RECALLS)
    return result


def deeppcb_ap_of(matches: Matches, classes: int, counts: Counts) -> DeepPcbAp:
    """As `deeppcb_ap`, for R ways of counting the boards, (R, images) int64; of the first IoU of `matches`.

    The copies of a detection all have the precision after the last of them, an excess of less than 1 / its rank.
    """

    def sums(of_ranking: npt.NDArray[np.bool_], of_labels: npt.NDArray[np.bool_]) -> Floats:
        curve = next(_curves(matches, of_ranking, of_labels, counts))
        total = (curve.precision * curve.weight).sum(axis=1)
        ap: Floats = np.divide(total, curve.labels, out=np.full(len(counts), np.nan), where=curve.labels > 0)
        return ap

    per_class = [sums(matches.detection_classes == c, matches.label_classes == c) for c in range(classes)]
    everything = np.ones(len(matches.confidences), bool), np.ones(len(matches.label_classes), bool)
    return DeepPcbAp(np.stack(per_class, axis=1), sums(*everything))


def nan_mean(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN if nothing is left (without numpy's warning)."""
    known = ~np.isnan(values)
    number = known.sum(axis=-1)
    mean: Floats = np.divide(
        np.where(known, values, 0.0).sum(axis=-1), number, out=np.full(number.shape, np.nan), where=number > 0
    )
    return mean


def _each_board_once(images: int) -> Counts:
    return np.ones((1, images), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Curve:
    """Precision along a ranking, at its K correct detections; between them it is of no consequence to an AP.

    Attributes:
        labels: (R,) labels that count.
        weight: (R, K) how often the correct detection counts.
        correct: (R, K) correct detections up to and with this one.
        precision: (R, K) in [0, 1].
    """

    labels: Integers
    weight: Integers
    correct: Integers
    precision: Floats


def _curves(
    matches: Matches, of_ranking: npt.NDArray[np.bool_], of_labels: npt.NDArray[np.bool_], counts: Counts
) -> Iterator[_Curve]:
    """The curve at each IoU threshold, of the chosen detections and labels."""
    labels = counts[:, matches.label_images[of_labels]].sum(axis=1)
    boards = matches.detection_images[of_ranking]
    ranks = np.cumsum(counts[:, boards], axis=1)
    for correct in matches.correct[:, of_ranking]:
        weight = counts[:, boards[correct]]
        found = np.cumsum(weight, axis=1)
        rank = ranks[:, correct]
        precision = np.divide(found, rank, out=np.zeros(rank.shape), where=rank > 0)
        yield _Curve(labels, weight, found, precision)
