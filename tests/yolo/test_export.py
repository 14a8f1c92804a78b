from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from copperline.errors import DataError
from copperline.model_info import METADATA_KEY, ModelInfo, OperatingPoint
from copperline.taxonomy import DEEPPCB
from copperline.yolo.export import DecodedNetwork, export_onnx
from copperline.yolo.network import NETWORKS, Network, build_network, count_parameters


def info_of(name: str, network: Network) -> ModelInfo:
    return ModelInfo(
        network=name,
        parameters=count_parameters(network),
        stride=network.stride,
        classes=ModelInfo.class_infos(DEEPPCB),
        operating_point=OperatingPoint.uniform(DEEPPCB, 0.3),
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_gives_what_torch_gives_at_any_size(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build_network(name, 6).eval()
    path = export_onnx(network, info_of(name, network), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(path)
    for shape in ((1, 3, 64, 96), (2, 3, 160, 128)):
        images = torch.rand(shape)
        with torch.no_grad():
            expected = DecodedNetwork(network)(images).numpy()
        np.testing.assert_allclose(session.run(None, {"images": images.numpy()})[0], expected, atol=1e-3)
    stored = ModelInfo.parse(session.get_modelmeta().custom_metadata_map[METADATA_KEY], str(path))
    assert stored == info_of(name, network)
    assert list(tmp_path.iterdir()) == [path]


def test_export_leaves_nothing_behind_where_it_cannot_write(tmp_path: Path) -> None:
    network = build_network("yolo12-pico", 6).eval()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        export_onnx(network, info_of("yolo12-pico", network), tmp_path / "file" / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
