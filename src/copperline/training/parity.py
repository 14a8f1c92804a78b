"""The parity gate: an exported model that does not detect what the trained network detects is not registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from copperline.detections import Detections, FloatArray, box_iou
from copperline.errors import ModelError
from copperline.model_info import Parity
from copperline.runtime import Selection, decode_predictions

Raw = Callable[[FloatArray], FloatArray]
"""(1, 3, H, W) network input -> (4 + C, A) predictions."""

TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1  # px
FLOOR = 0.1


def check_parity(trained: Raw, exported: Raw, inputs: Sequence[FloatArray], where: str) -> Parity:
    """Compares both on the same inputs, from the network's raw output to the detections.

    Args:
        trained, exported: the two models.
        inputs: each (1, 3, H, W) float32.
        where: the exported file, for the message.

    Raises:
        ModelError: a detection differs in class or number, by more than 0.1 px, or by more than 0.001 in confidence.
    """
    largest, detections = 0.0, 0
    for number, images in enumerate(inputs, 1):
        height, width = images.shape[2:]
        first, second = trained(images), exported(images)
        largest = max(largest, float(np.abs(first[4:] - second[4:]).max()))
        ours, theirs = (decode_predictions(p, Selection(floor=FLOOR), width, height) for p in (first, second))
        detections += len(ours)
        problem = _difference(ours, theirs)
        if problem or largest > TOLERANCE:
            raise ModelError(
                "the exported model does not detect what the trained network detects "
                f"(input {number}: {problem or f'confidences differ by {largest:.2g}'})",
                where=where,
                fix="it is not registered; export it again",
            )
    return Parity(
        passed=True,
        images=len(inputs),
        max_difference=largest,
        tolerance=TOLERANCE,
        note=f"the same {detections} detections from PyTorch and ONNX Runtime, boxes within {BOX_TOLERANCE:g} px",
    )


def _difference(ours: Detections, theirs: Detections) -> str | None:
    """What differs, in words; detections whose confidences are nearly equal may come in another order."""
    if len(ours) != len(theirs):
        return f"{len(ours)} detections against {len(theirs)}"
    if len(ours) == 0:
        return None
    same_class = ours.class_ids[:, None] == theirs.class_ids[None, :]
    partner = np.where(same_class, box_iou(ours.boxes, theirs.boxes), -1.0).argmax(1)
    if len(set(partner.tolist())) < len(ours) or not (theirs.class_ids[partner] == ours.class_ids).all():
        return "detections of other classes or places"
    offset = float(np.abs(theirs.boxes[partner] - ours.boxes).max())
    return f"boxes differ by {offset:.2g} px" if offset > BOX_TOLERANCE else None
