"""From the network's predictions to detections."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from copperline.detections import Detections, FloatArray, box_iou

EVALUATION_FLOOR = 0.001
INSPECTION_FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class Selection:
    """Which predictions become detections.

    Attributes:
        floor: lowest confidence, above 0. Evaluation needs the long tail (`EVALUATION_FLOOR`), inspection does not.
        iou: of two boxes of one class that overlap more than this, the less confident is dropped. No two defects of
            one class overlap by more than 0.26 in DeepPCB's trainval labels, so 0.4 costs none.
        vote: the box of a detection is the mean of all boxes of its class that overlap it by at least this, weighted
            by confidence: their errors are not all the same. 1 keeps the most confident one's own.
        most: the most confident so many are kept.
        candidates: as many of the most confident predictions are looked at.
    """

    floor: float = INSPECTION_FLOOR
    iou: float = 0.4
    vote: float = 0.6
    most: int = 300
    candidates: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.floor <= 1 or not 0 < self.iou <= 1 or not 0 < self.vote <= 1:
            raise ValueError(f"expected floor, iou and vote in (0, 1], found {self}")
        if not 1 <= self.most <= self.candidates:
            raise ValueError(f"expected 1 <= most <= candidates, found {self}")


def decode_predictions(predictions: FloatArray, selection: Selection, width: int, height: int) -> Detections:
    """The detections in one image's predictions.

    Args:
        predictions: (4 + C, A) float32: box centre x, y, width, height in px, then the probability of each class.
            An anchor counts once for each class that reaches the floor.
        selection: confidence floor and non-maximum suppression.
        width, height: of the image without its padding; boxes are cut to it.

    Returns:
        Detections, the most confident first.
    """
    scores = predictions[4:]
    class_ids, anchors = np.nonzero(scores >= selection.floor)
    confidences = scores[class_ids, anchors]
    if len(confidences) > selection.candidates:
        best = np.argpartition(-confidences, selection.candidates)[: selection.candidates]
        class_ids, anchors, confidences = class_ids[best], anchors[best], confidences[best]

    centres, sizes = predictions[:2, anchors].T, predictions[2:4, anchors].T
    boxes = np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1)
    found = Detections.of(boxes, class_ids, confidences.clip(max=1)).clipped(width, height)
    kept = suppressed(found, selection.iou)[: selection.most]
    return kept if selection.vote == 1 else voted(kept, found, selection.vote)


def voted(kept: Detections, candidates: Detections, iou: float) -> Detections:
    """`kept` with each box replaced by the mean of the candidates of its class around it, weighted by confidence.

    Source: Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN model"
    (2015), section 5.

    Args:
        kept: detections that are among the candidates.
        candidates: all detections before non-maximum suppression, boxes with area.
        iou: a candidate counts from this overlap on, in (0, 1].

    >>> two = Detections.of([[0, 0, 10, 10], [0, 0, 10, 12]], [0, 0], [0.6, 0.2])
    >>> voted(two[:1], two, 0.5).boxes.round(3).tolist()
    [[0.0, 0.0, 10.0, 10.5]]
    """
    if not len(kept):
        return kept
    same_class = kept.class_ids[:, None] == candidates.class_ids
    weights = candidates.confidences * (same_class & (box_iou(kept.boxes, candidates.boxes) >= iou))
    boxes = weights @ candidates.boxes / weights.sum(axis=1, keepdims=True)
    return Detections(boxes.astype(np.float32), kept.class_ids, kept.confidences)


def suppressed(detections: Detections, iou: float) -> Detections:
    """Non-maximum suppression within each class: the best box stays and drops those that overlap it by more than `iou`.

    Args:
        detections: boxes with area.
        iou: in (0, 1].

    Returns:
        Those that stay, the most confident first.
    """
    if len(detections) == 0:
        return detections
    corners, sizes = detections.boxes[:, :2], detections.boxes[:, 2:] - detections.boxes[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        np.concatenate((corners, sizes), axis=1).tolist(),
        detections.confidences.tolist(),
        detections.class_ids.tolist(),
        score_threshold=0.0,
        nms_threshold=iou,
    )
    return detections[np.asarray(kept, np.int64).reshape(-1)].by_confidence()
