import pytest
import torch

from copperline.errors import ModelError
from copperline.yolo.head import DetectionHead
from copperline.yolo.network import NETWORKS, build_network, count_parameters


def test_parameter_budgets() -> None:
    # The public YOLO12-n has 2,602,288 with its 16 fixed integral weights, which ours computes.
    assert count_parameters(build_network("yolo12n", 80)) == 2_602_272
    assert count_parameters(build_network("yolo12-pico", 6)) <= 310_000
    assert count_parameters(build_network("yolo12-pico-wide", 6)) <= 500_000


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32)])
def test_one_prediction_for_each_cell_of_each_stride(name: str, height: int, width: int) -> None:
    network = build_network(name, 6).eval()
    with torch.no_grad():
        output = network(torch.rand(2, 3, height, width))
    cells = sum((height // s) * (width // s) for s in network.head.strides)
    assert output.class_logits.shape == (2, cells, 6)
    assert output.boxes().shape == (2, cells, 4)
    assert output.points.min() > 0
    assert output.points[:, 0].max() < width
    assert output.points[:, 1].max() < height


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_receives_a_gradient(name: str) -> None:
    network = build_network(name, 6)
    output = network(torch.rand(2, 3, 64, 64))
    (output.boxes().square().mean() + output.class_logits.square().mean()).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_anchor_points_are_cell_centres_finest_stride_first() -> None:
    head = DetectionHead((8, 8), (8, 16), 6)
    points = head([torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 4, 4)]).points
    assert points[0].tolist() == [4.0, 4.0]
    assert points[63].tolist() == [60.0, 60.0]
    assert points[64].tolist() == [8.0, 8.0]


def test_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(
        ModelError, match=r"unknown network 'yolo99'; use one of yolo12-pico, yolo12-pico-wide, yolo12n"
    ):
        build_network("yolo99", 6)
