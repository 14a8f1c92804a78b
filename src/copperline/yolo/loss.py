"""Detection loss: class cross-entropy, complete IoU, distribution focal loss."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from copperline.yolo.assigner import assign
from copperline.yolo.head import HeadOutput


class Targets(NamedTuple):
    """Labels of a batch, padded to the same number M.

    Attributes:
        boxes: (N, M, 4) float32 x1, y1, x2, y2 in pixels.
        classes: (N, M) int64.
        mask: (N, M) bool, false on padding.
    """

    boxes: Tensor
    classes: Tensor
    mask: Tensor


class LossSums(NamedTuple):
    """Scalars, sums over a batch: divided by `normaliser`, at least 1, they are the loss.

    They are not divided yet, so that the parts of a large batch can be added up, on several workers too, to exactly
    the loss of the whole.

    Attributes:
        total: what is minimised.
        classes, boxes, distribution: its weighted terms, detached.
        normaliser: sum of the targets' scores, detached.
    """

    total: Tensor
    classes: Tensor
    boxes: Tensor
    distribution: Tensor
    normaliser: Tensor


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """(K, 4) and (K, 4) x1, y1, x2, y2 -> (K,) CIoU in about [-1.5, 1].

    Source: Zheng et al., "Distance-IoU Loss" (2020), equations 7 and 10-12.
    """
    eps = 1e-7
    size_first = (first[:, 2:] - first[:, :2]).clamp(min=eps)
    size_second = (second[:, 2:] - second[:, :2]).clamp(min=eps)
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    overlap = _area((high - low).clamp(min=0))
    iou = overlap / (_area(size_first) + _area(size_second) - overlap + eps)
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    centre_offset = (first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]) / 2
    distance = centre_offset.square().sum(1) / (hull.square().sum(1) + eps)
    angle_first, angle_second = (
        torch.atan(size_first[:, 0] / size_first[:, 1]),
        torch.atan(size_second[:, 0] / size_second[:, 1]),
    )
    aspect = 4 / math.pi**2 * (angle_first - angle_second).square()
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect + eps)
    return iou - distance - weight * aspect


def _area(sizes: Tensor) -> Tensor:
    # Not `prod`: on its way back it waits for the GPU, to look for zeros.
    return sizes[:, 0] * sizes[:, 1]


def distribution_focal_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy towards the two bins beside each true distance, weighted by closeness.

    Source: Li et al., "Generalized Focal Loss" (2020), equation 6.

    Args:
        logits: (K, 4, bins).
        distances: (K, 4) true distances in strides, within [0, bins - 1).

    Returns:
        (K,) mean over the four sides.
    """
    lower = distances.floor().long()
    weight_upper = distances - lower
    log_probabilities = logits.log_softmax(-1)
    at_lower = log_probabilities.gather(-1, lower[..., None]).squeeze(-1)
    at_upper = log_probabilities.gather(-1, lower[..., None] + 1).squeeze(-1)
    return -(at_lower * (1 - weight_upper) + at_upper * weight_upper).mean(-1)


class DetectionLoss:
    """Loss of a batch; weights as in the YOLO family."""

    def __init__(self, *, class_weight: float = 0.5, box_weight: float = 7.5, distribution_weight: float = 1.5) -> None:
        self.class_weight, self.box_weight, self.distribution_weight = class_weight, box_weight, distribution_weight

    def __call__(self, output: HeadOutput, targets: Targets) -> LossSums:
        logits = output.class_logits.float()
        boxes = output.boxes()
        assignment = assign(logits.detach().sigmoid(), boxes.detach(), output.points, output.strides, *targets)

        rows, anchors = assignment.foreground.nonzero(as_tuple=True)
        picked = assignment.label_index[rows, anchors]
        class_targets = torch.zeros_like(logits)
        weights = assignment.scores[rows, anchors]
        if len(rows):
            class_targets[rows, anchors, targets.classes[rows, picked]] = weights
        class_loss = functional.binary_cross_entropy_with_logits(logits, class_targets, reduction="sum")

        true_boxes = targets.boxes[rows, picked] if len(rows) else boxes.new_zeros(0, 4)
        box_loss = ((1 - complete_iou(boxes[rows, anchors], true_boxes)) * weights).sum()

        bins = output.distributions.shape[-1]
        points, strides = output.points[anchors], output.strides[anchors]
        distances = torch.cat((points - true_boxes[:, :2], true_boxes[:, 2:] - points), 1) / strides
        focal = distribution_focal_loss(
            output.distributions[rows, anchors].float(), distances.clamp(0, bins - 1 - 1e-2)
        )
        distribution_loss = (focal * weights).sum()

        parts = (
            self.class_weight * class_loss,
            self.box_weight * box_loss,
            self.distribution_weight * distribution_loss,
        )
        total = sum(parts, torch.zeros((), device=logits.device))
        classes, boxes_term, distribution = (part.detach() for part in parts)
        return LossSums(total, classes, boxes_term, distribution, assignment.scores.sum().detach())
