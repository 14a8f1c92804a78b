"""Task-aligned assignment of anchor points to labels.

Source: Feng et al., "TOOD: Task-aligned One-stage Object Detection" (2021), section 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Assignment(NamedTuple):
    """What each anchor point should predict.

    Attributes:
        foreground: (N, A) bool, whether the point has a label.
        label_index: (N, A) int64, the label's index; 0 where there is none.
        scores: (N, A) float32 in [0, 1], the class target of the assigned class; 0 where there is none.
    """

    foreground: Tensor
    label_index: Tensor
    scores: Tensor


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """(..., M, 4) and (..., A, 4) x1, y1, x2, y2 -> (..., M, A) intersection over union."""
    top_left = torch.maximum(first[..., :, None, :2], second[..., None, :, :2])
    bottom_right = torch.minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(-1)
    area_first = (first[..., 2:] - first[..., :2]).prod(-1)[..., :, None]
    area_second = (second[..., 2:] - second[..., :2]).prod(-1)[..., None, :]
    return overlap / (area_first + area_second - overlap).clamp(min=1e-9)


@torch.no_grad()
def assign(
    probabilities: Tensor,
    boxes: Tensor,
    points: Tensor,
    strides: Tensor,
    label_boxes: Tensor,
    label_classes: Tensor,
    label_mask: Tensor,
    *,
    top: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> Assignment:
    """Gives each label the `top` points inside it that already predict it best; a point keeps one label at most.

    Args:
        probabilities: (N, A, C) predicted class probabilities.
        boxes: (N, A, 4) predicted boxes, pixels.
        points: (A, 2) anchor points, pixels.
        strides: (A, 1) pixels.
        label_boxes: (N, M, 4), padded.
        label_classes: (N, M) int64, padded with any valid class.
        label_mask: (N, M) bool, false on padding.
        top: points for each label.
        alpha, beta: exponents of probability and IoU in the alignment score.
    """
    n, points_count, _ = boxes.shape
    if label_boxes.shape[1] == 0:
        nothing = torch.zeros(n, points_count, dtype=torch.bool, device=boxes.device)
        return Assignment(nothing, nothing.long(), nothing.float())

    # A label smaller than a cell may contain no point; widening it to one stride around its centre gives it one.
    centres = (label_boxes[..., :2] + label_boxes[..., 2:]) / 2
    half = (label_boxes[..., 2:] - label_boxes[..., :2]) / 2
    reach = torch.maximum(half[:, :, None, :], strides[None, None] / 2)  # (N, M, A, 2)
    inside = ((points[None, None] - centres[:, :, None]).abs() <= reach).all(-1) & label_mask[..., None]

    iou = pairwise_iou(label_boxes, boxes) * inside
    index = label_classes[:, None, :].expand(-1, points_count, -1)
    class_probability = probabilities.gather(2, index).transpose(1, 2)  # (N, M, A)
    alignment = class_probability.pow(alpha) * iou.pow(beta) * inside

    chosen_alignment, chosen = alignment.topk(min(top, points_count), dim=-1)
    candidate = torch.zeros_like(inside).scatter_(2, chosen, chosen_alignment > 0)
    # Where two labels claim a point, the one that it overlaps more keeps it.
    best = torch.where(candidate, iou, -1.0).argmax(1)  # (N, A)
    candidate &= torch.zeros_like(candidate).scatter_(1, best[:, None], True)

    # The class target of a label's best point is its best IoU; the others follow in proportion.
    alignment = alignment * candidate
    peak = alignment.amax(-1, keepdim=True).clamp(min=1e-9)
    best_iou = (iou * candidate).amax(-1, keepdim=True)
    scores = (alignment / peak * best_iou).amax(1)
    return Assignment(candidate.any(1), best * candidate.any(1), scores)
