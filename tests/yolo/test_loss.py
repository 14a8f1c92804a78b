import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.yolo.head import HeadOutput, anchor_points
from copperline.yolo.loss import DetectionLoss, Targets, complete_iou, distribution_focal_loss


def slow_ciou(a: list[float], b: list[float]) -> float:
    """The paper's formula for one pair, with plain numbers."""
    wa, ha, wb, hb = a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]
    overlap = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    iou = overlap / (wa * ha + wb * hb - overlap)
    diagonal = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    distance = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    v = 4 / math.pi**2 * (math.atan(wb / hb) - math.atan(wa / ha)) ** 2
    return iou - distance / diagonal - (v / (1 - iou + v) * v if v else 0)


coordinate = st.floats(0, 100)
box = st.tuples(coordinate, coordinate, st.floats(1, 60), st.floats(1, 60)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(box, box)
def test_ciou_agrees_with_the_formula(a: list[float], b: list[float]) -> None:
    assert complete_iou(torch.tensor([a]), torch.tensor([b])).item() == pytest.approx(slow_ciou(a, b), abs=2e-4)


def test_ciou_of_a_box_with_itself_is_one() -> None:
    boxes = torch.tensor([[1.0, 2, 30, 17]])
    assert complete_iou(boxes, boxes).item() == pytest.approx(1, abs=1e-5)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(0, 14.9))
def test_focal_loss_is_least_at_the_right_distribution(distance: float) -> None:
    lower = int(distance)
    right = torch.full((1, 4, 16), 1e-9)
    right[..., lower], right[..., lower + 1] = 1 - (distance - lower) + 1e-9, distance - lower + 1e-9
    true = torch.full((1, 4), distance)
    best = distribution_focal_loss(right.log(), true)
    other = distribution_focal_loss(torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(1)), true)
    assert best.item() < other.item()
    # The least possible value is the entropy of the two weights.
    w = np.clip([1 - (distance - lower), distance - lower], 1e-12, 1)
    assert best.item() == pytest.approx(float(-(w * np.log(w)).sum()), abs=1e-3)


def output_of(boxes: torch.Tensor, class_logits: torch.Tensor) -> HeadOutput:
    points = anchor_points(8, 8, 8, torch.device("cpu"))
    strides = torch.full((64, 1), 8.0)
    distances = torch.cat((points - boxes[:, :2], boxes[:, 2:] - points), 1).clamp(0, 119) / 8
    logits = torch.full((64, 4, 16), -20.0)
    lower = distances.long().clamp(0, 14)
    logits.scatter_(-1, lower[..., None], (1 - (distances - lower)).clamp(1e-6).log()[..., None])
    logits.scatter_(-1, lower[..., None] + 1, (distances - lower).clamp(1e-6).log()[..., None])
    return HeadOutput(logits[None], class_logits[None], points, strides)


def test_loss_falls_as_predictions_approach_the_label() -> None:
    label = torch.tensor([16.0, 16, 48, 40])
    targets = Targets(label[None, None], torch.tensor([[2]]), torch.ones(1, 1, dtype=torch.bool))
    points = anchor_points(8, 8, 8, torch.device("cpu"))
    inside = ((points > label[:2]) & (points < label[2:])).all(1)
    right_class = torch.full((64, 6), -9.0)
    right_class[inside, 2] = 4.0
    good = output_of(label.expand(64, 4), right_class)
    loose = output_of((label + torch.tensor([-8.0, -8, 8, 8])).expand(64, 4), right_class)
    wrong_class = output_of(label.expand(64, 4), right_class.roll(1, dims=1))
    loss = DetectionLoss()
    sums = loss(good, targets)
    assert sums.boxes < 0.05 * sums.normaliser
    values = [float(loss(o, targets).total / loss(o, targets).normaliser) for o in (good, loose, wrong_class)]
    assert values[0] < values[1]
    assert values[0] < values[2]


def test_batch_without_labels_has_a_finite_loss_and_gradient() -> None:
    logits = torch.zeros(64, 6, requires_grad=True)
    output = output_of(torch.tensor([[0.0, 0, 16, 16]]).expand(64, 4), logits)
    nothing = Targets(torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 0, dtype=torch.bool))
    terms = DetectionLoss()(output, nothing)
    terms.total.backward()
    assert torch.isfinite(terms.total)
    assert terms.boxes == terms.normaliser == 0
    assert (logits.grad > 0).all()  # every class is pushed down
