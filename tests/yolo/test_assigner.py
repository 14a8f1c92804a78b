import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import box_iou
from copperline.yolo.assigner import assign, pairwise_iou
from copperline.yolo.head import anchor_points

POINTS = torch.cat((anchor_points(8, 8, 8, torch.device("cpu")), anchor_points(4, 4, 16, torch.device("cpu"))))
STRIDES = torch.cat((torch.full((64, 1), 8.0), torch.full((16, 1), 16.0)))


def run(label_boxes: list[list[float]], classes: list[int], seed: int = 0, top: int = 10):
    generator = torch.Generator().manual_seed(seed)
    half = 4 + 8 * torch.rand(1, len(POINTS), 2, generator=generator)
    boxes = torch.cat((POINTS - half, POINTS + half), -1)
    probabilities = torch.rand(1, len(POINTS), 6, generator=generator)
    labels = torch.tensor(label_boxes, dtype=torch.float32).reshape(1, -1, 4)
    label_classes = torch.tensor([classes])
    mask = torch.ones(1, len(classes), dtype=torch.bool)
    return boxes, assign(probabilities, boxes, POINTS, STRIDES, labels, label_classes, mask, top=top)


def test_points_lie_in_their_label_and_no_label_takes_more_than_top() -> None:
    labels = [[4.0, 4, 36, 30], [30.0, 20, 60, 62]]
    _, result = run(labels, [0, 3], top=5)
    for index, (x1, y1, x2, y2) in enumerate(labels):
        points = POINTS[result.foreground[0] & (result.label_index[0] == index)]
        assert 1 <= len(points) <= 5
        assert ((points > torch.tensor([x1, y1]) - 8) & (points < torch.tensor([x2, y2]) + 8)).all()


def test_best_point_gets_its_iou_as_class_target() -> None:
    boxes, result = run([[8.0, 8, 40, 40]], [2])
    iou = pairwise_iou(torch.tensor([[[8.0, 8, 40, 40]]]), boxes)[0, 0]
    assert result.scores[0].max().item() == pytest.approx(iou[result.foreground[0]].max().item(), rel=1e-5)
    assert (result.scores[0][~result.foreground[0]] == 0).all()


def test_label_smaller_than_a_cell_still_gets_a_point() -> None:
    _, result = run([[31.0, 31, 33, 33]], [1])  # its centre is a corner of four cells
    assert result.foreground.any()


def test_padding_and_empty_images_are_background() -> None:
    boxes = torch.rand(2, len(POINTS), 4)
    probabilities = torch.rand(2, len(POINTS), 6)
    padded = torch.tensor([[[0.0, 0, 64, 64]], [[0.0, 0, 64, 64]]])
    mask = torch.zeros(2, 1, dtype=torch.bool)
    result = assign(probabilities, boxes, POINTS, STRIDES, padded, torch.zeros(2, 1, dtype=torch.long), mask)
    assert not result.foreground.any()
    none = assign(
        probabilities, boxes, POINTS, STRIDES, padded[:, :0], torch.zeros(2, 0, dtype=torch.long), mask[:, :0]
    )
    assert not none.foreground.any()
    assert none.scores.shape == (2, len(POINTS))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_pairwise_iou_agrees_with_numpy(seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(0, 50, (9, 2, 2))
    boxes = np.concatenate((corners.min(1), corners.max(1)), 1).astype(np.float32)
    ours = pairwise_iou(torch.from_numpy(boxes[:4]), torch.from_numpy(boxes[4:])).numpy()
    np.testing.assert_allclose(ours, box_iou(boxes[:4], boxes[4:]), atol=1e-6)
