from __future__ import annotations

import json
import os
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


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected an ONNX model, found a folder"):
        OnnxModel(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "found an empty file"),
        (b"<!DOCTYPE html>\n<title>404</title>", "found a text file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "found a Git LFS pointer.*git lfs pull",
        ),
        (b"PK\x03\x04" + bytes(100), "found a ZIP archive, such as a PyTorch checkpoint"),
        (bytes(range(256)) * 10, "damaged or foreign"),
        (np.random.default_rng(0).bytes(5000), "damaged or foreign"),
        (bytes(5000), "damaged or foreign"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"broken\.onnx: .*{says}") as error:
        OnnxModel(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_model_is_named(write_model: WriteModel, share: float) -> None:
    path = write_model(predictions())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="damaged"):
        OnnxModel(path)


def test_a_damaged_model_is_refused_or_works(write_model: WriteModel, capfd: pytest.CaptureFixture[str]) -> None:
    """Bytes that changed end in a ModelError, if they matter at all: never in another error, nor on the console."""
    path = write_model(predictions())
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            OnnxModel(path, threads=1).predict(IMAGE)
        except ModelError:
            refused += 1
    assert refused > 100
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_named(write_model: WriteModel, closed: str) -> None:
    path = write_model(predictions())
    user = os.geteuid()
    (path if closed == "file" else path.parent).chmod(0)
    try:
        if user == 0:  # who may read everything
            os.seteuid(65534)
        with pytest.raises(ModelError, match=r"model\.onnx: the model file cannot be read \(Permission denied\)"):
            OnnxModel(path)
    finally:
        os.seteuid(user)
        path.parent.chmod(0o700)


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


def test_another_number_of_classes_behind_a_free_dimension_is_refused_when_loaded(write_model: WriteModel) -> None:
    with pytest.raises(ModelError, match=r"\(1, 10, anchors\), found \(1, 7, 2\)"):
        OnnxModel(write_model(predictions()[:7], output_shape=("n", "rows", "a")))


def test_a_network_of_a_larger_stride_than_its_file_says_is_refused(write_model: WriteModel, info: ModelInfo) -> None:
    OnnxModel(write_model(predictions(), multiple=info.stride))
    with pytest.raises(ModelError, match=r"the network failed on an image of 96 x 160 px .* in multiples of 32"):
        OnnxModel(write_model(predictions(), multiple=2 * info.stride))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_and_no_board_passes_on_them(
    write_model: WriteModel, value: float
) -> None:
    broken = predictions()
    broken[4, 1] = value
    with pytest.raises(ModelError, match="expected finite predictions"):
        OnnxModel(write_model(broken))


def test_logits_are_not_taken_for_confidences(write_model: WriteModel) -> None:
    logits = predictions()
    logits[4:] = [[-6.5, 3.25]] * 6
    with pytest.raises(ModelError, match=r"expected confidences in \[0, 1\], found -6.5 to 3.25"):
        OnnxModel(write_model(logits))


@pytest.mark.parametrize("metadata", ["", "{", "[]", "{}", '{"format": 1}', "\x00"])
def test_damaged_metadata_are_refused(write_model: WriteModel, metadata: str) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx: the model's metadata is damaged or of another version \("):
        OnnxModel(write_model(predictions(), metadata=metadata))


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
