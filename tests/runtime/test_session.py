from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from copperline.errors import DataError, ModelError
from copperline.model_info import FORMAT, ModelInfo
from copperline.runtime import OnnxModel, Selection, Tiling

WriteModel = Callable[..., Path]

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 100)).astype(np.uint8)


def predictions() -> np.ndarray:
    """One spur (class 3) at 20 < x < 40, 30 < y < 50 with confidence 0.8; one faint pin-hole (class 5)."""
    rows = np.zeros((10, 2), np.float32)
    rows[:4] = [[30, 60], [40, 10], [20, 10], [20, 10]]
    rows[4 + 3, 0], rows[4 + 5, 1] = 0.8, 0.01
    return rows


def test_a_model_file_gives_its_detections(write_model: WriteModel, info: ModelInfo) -> None:
    model = OnnxModel(write_model(predictions()), threads=1)
    assert model.info == info
    assert model.taxonomy.names[3] == "spur"
    found = model.predict(IMAGE, 255 - IMAGE)
    assert found.to_dicts(model.taxonomy) == [{"class": "spur", "confidence": 0.8, "box": [20.0, 30.0, 40.0, 50.0]}]
    assert len(model.predict(IMAGE, selection=Selection(floor=0.001))) == 2


def test_a_large_image_goes_through_tiles(write_model: WriteModel) -> None:
    model = OnnxModel(write_model(predictions()), threads=1, tiling=Tiling(limit=64, side=64, overlap=8))
    found = model.predict(IMAGE)
    # Tiles begin at x = 0 and 36, y = 0 and 6; each says the same of itself.
    assert {tuple(box) for box in found.boxes.tolist()} == {(20, 30, 40, 50), (56, 30, 76, 50)}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: expected an ONNX model, found no file"):
        OnnxModel(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 10])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx: .*damaged or foreign"):
        OnnxModel(path)


def test_a_truncated_model_is_named(write_model: WriteModel) -> None:
    path = write_model(predictions())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match="damaged or foreign"):
        OnnxModel(path)


def test_a_model_without_metadata_is_refused(write_model: WriteModel) -> None:
    with pytest.raises(ModelError, match="without its metadata"):
        OnnxModel(write_model(predictions(), metadata=None))


def test_a_newer_format_is_refused(write_model: WriteModel, info: ModelInfo) -> None:
    newer = json.dumps(json.loads(info.model_dump_json()) | {"format": FORMAT + 1})
    with pytest.raises(ModelError, match=rf"format {FORMAT} or older, found {FORMAT + 1}"):
        OnnxModel(write_model(predictions(), metadata=newer))


def test_another_number_of_classes_is_refused_when_loaded(write_model: WriteModel) -> None:
    with pytest.raises(ModelError, match=r"\(1, 10, anchors\) for 6 classes, found \["):
        OnnxModel(write_model(predictions()[:7]))


def test_another_number_of_classes_is_refused_when_run(write_model: WriteModel) -> None:
    model = OnnxModel(write_model(predictions()[:7], output_shape=("n", "rows", "a")))
    with pytest.raises(ModelError, match=r"\(1, 10, anchors\), found \(1, 7, 2\)"):
        model.predict(IMAGE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_name": "data"}, "expected one input `images`, found data"),
        ({"output_name": "boxes"}, "expected an output `predictions`, found boxes"),
        ({"input_shape": ("n", 1, "h", "w")}, r"expected `images` of shape \(1, 3, height, width\)"),
        ({"input_shape": ("n", 3, 640, 640)}, "free height and width"),
    ],
)
def test_foreign_inputs_and_outputs_are_refused(
    write_model: WriteModel, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        OnnxModel(write_model(predictions(), **change))


@pytest.mark.parametrize(
    "image", [np.zeros((70, 100, 3), np.uint8), np.zeros((70, 100), np.float32), np.zeros(70, np.uint8)]
)
def test_images_that_are_not_grey_bytes_are_refused(write_model: WriteModel, image: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"expected \(H, W\) uint8, found"):
        OnnxModel(write_model(predictions())).predict(image)


def test_a_reference_of_another_size_is_refused(write_model: WriteModel) -> None:
    with pytest.raises(DataError, match="size"):
        OnnxModel(write_model(predictions())).predict(IMAGE, IMAGE[:60])
