"""An exported model becomes a network again that computes the same, and goes on computing it in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from copperline.errors import ModelError
from copperline.model_info import ModelInfo, OperatingPoint
from copperline.registry import builtin_model, builtin_models
from copperline.runtime import OnnxModel
from copperline.taxonomy import DEEPPCB
from copperline.yolo.blocks import ConvNorm
from copperline.yolo.export import DecodedNetwork, export_onnx
from copperline.yolo.network import NETWORKS, Network, build_network, count_parameters
from copperline.yolo.reimport import measure_norms, network_from_onnx

SHIPPED = builtin_model("deeppcb")
SHAPES = ((1, 3, 96, 160), (1, 3, 192, 128))


def difference(network: Network, path: Path, shape: tuple[int, ...]) -> float:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(shape[2]))
    with torch.no_grad():
        ours = DecodedNetwork(network).eval()(images)[0].numpy()
    theirs = OnnxModel(path, threads=1).raw(images.numpy())
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


def exported(name: str, folder: Path) -> Path:
    """A network whose norms hold something, as after training."""
    torch.manual_seed(3)
    network = build_network(name, len(DEEPPCB))
    for _ in range(3):
        network.train()(torch.rand(4, 3, 96, 96))
    for layer in network.modules():
        if isinstance(layer, ConvNorm):
            torch.nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.norm.bias, -0.3, 0.3)
    info = ModelInfo(
        network=name,
        parameters=count_parameters(network),
        stride=network.stride,
        classes=ModelInfo.class_infos(DEEPPCB),
        operating_point=OperatingPoint.uniform(DEEPPCB, 0.3),
    )
    return export_onnx(network.eval(), info, folder / "m.onnx")


@pytest.mark.parametrize("name", builtin_models())
def test_a_shipped_model_gives_the_same_from_torch_before_the_first_step(name: str) -> None:
    path, card = builtin_model(name).path, builtin_model(name).card
    network = network_from_onnx(path, card.network, len(DEEPPCB))
    # Of coordinates of up to 192 px, as float32 rounds them, on one processor more than on another.
    for shape in SHAPES:
        assert difference(network, path, shape) < 1e-3
    torch.manual_seed(3)
    measure_norms(network, [torch.rand(8, 3, 96, 96) for _ in range(2)])
    for shape in SHAPES:
        assert difference(network, path, shape) < 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_comes_back_from_its_export(name: str, tmp_path: Path) -> None:
    path = exported(name, tmp_path)
    network = network_from_onnx(path, name, len(DEEPPCB))
    measure_norms(network, [torch.rand(4, 3, 96, 96)])
    assert difference(network, path, SHAPES[0]) < 1e-4
    # Exported once more it is the same model again.
    info = OnnxModel(path, threads=1).info
    again = export_onnx(network, info, tmp_path / "again.onnx")
    assert difference(network, again, SHAPES[1]) < 1e-4


def test_in_training_it_computes_what_was_exported_only_with_measured_norms() -> None:
    """A norm in training divides by its batch's own statistics: those of the folded norms have to be theirs."""
    path = SHIPPED.path
    images = torch.rand(16, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    made_up = network_from_onnx(path, SHIPPED.card.network, len(DEEPPCB))
    measured = network_from_onnx(path, SHIPPED.card.network, len(DEEPPCB))
    measure_norms(measured, [images])
    with torch.no_grad():
        expected = measured.eval()(images).class_logits
        apart = {
            name: float((network.train()(images).class_logits - expected).abs().mean())
            for name, network in (("made up", made_up), ("measured", measured))
        }
    assert apart["measured"] < 0.02
    assert apart["made up"] > 1


def test_another_network_or_number_of_classes_is_refused() -> None:
    path = SHIPPED.path
    with pytest.raises(ModelError, match=r"expected the convolutions of yolo12n for 6 classes, found others \(first: "):
        network_from_onnx(path, "yolo12n", 6)
    with pytest.raises(ModelError, match=r"for 4 classes, found others \(first: head.class_branches.0.2\)"):
        network_from_onnx(path, SHIPPED.card.network, 4)


def test_an_export_that_kept_its_norms_is_refused(tmp_path: Path) -> None:
    model = onnx.load(str(SHIPPED.path))
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    del first.input[2]
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"expected a weight and a bias at /network/stem/stem\.0/conv/Conv"):
        network_from_onnx(tmp_path / "m.onnx", SHIPPED.card.network, 6)
    with pytest.raises(ModelError, match="cannot be read"):
        network_from_onnx(tmp_path / "none.onnx", "yolo12-pico", 6)
