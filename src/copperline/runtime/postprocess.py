"""From the network's predictions to detections."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from copperline.detections import Detections, FloatArray

EVALUATION_FLOOR = 0.001
INSPECTION_FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class Selection:
    """Which predictions become detections.

    Attributes:
        floor: lowest confidence, above 0. Evaluation needs the long tail (`EVALUATION_FLOOR`), inspection does not.
        iou: of two boxes of one class that overlap more than this, the less confident is dropped. No two defects of
            one class overlap by more than 0.26 in DeepPCB's trainval labels, so 0.4 costs none.
        most: the most confident so many are kept.
        candidates: as many of the most confident predictions are looked at.
    """

    floor: float = INSPECTION_FLOOR
    iou: float = 0.4
    most: int = 300
    candidates: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.floor <= 1 or not 0 < self.iou <= 1 or self.most < 1 or self.candidates < self.most:
            raise ValueError(f"expected floor and iou in (0, 1] and 1 <= most <= candidates, found {self}")


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
    return suppressed(found, selection.iou)[: selection.most]


def suppressed(detections: Detections, iou: float, ranks: FloatArray | None = None) -> Detections:
    """Non-maximum suppression within each class: the best box stays and drops those that overlap it by more than `iou`.

    Args:
        detections: boxes with area.
        iou: in (0, 1].
        ranks: (N,) float32 above 0, what makes a box the better one; by default its confidence.

    Returns:
        Those that stay, the most confident first.
    """
    if len(detections) == 0:
        return detections
    corners, sizes = detections.boxes[:, :2], detections.boxes[:, 2:] - detections.boxes[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        np.concatenate((corners, sizes), axis=1).tolist(),
        (detections.confidences if ranks is None else ranks).tolist(),
        detections.class_ids.tolist(),
        score_threshold=0.0,
        nms_threshold=iou,
    )
    return detections[np.asarray(kept, np.int64).reshape(-1)].by_confidence()
