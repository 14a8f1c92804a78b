"""A detector that can be checked by eye: it reports how much test and reference differ at four places."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from copperline.data.images import Image, write_image
from copperline.inspection import Detector
from copperline.model_info import METADATA_KEY, ModelInfo, OperatingPoint
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB

SIZE = 160
# x1, y1, x2, y2 and the class that a difference there is given.
PLACES = ((20, 20, 40, 40, "open"), (80, 20, 100, 40, "spur"), (20, 80, 40, 100, "pin-hole"), (80, 90, 90, 110, "spur"))


def defective(image: Image, place: int, difference: int = 255) -> Image:
    """A copy of `image` in which that place differs by `difference` grey levels of 255."""
    x1, y1, x2, y2, _ = PLACES[place]
    copy = image.copy()
    patch = copy[y1 + 5 : y2 - 5, x1 + 3 : x2 - 3].astype(int)
    copy[y1 + 5 : y2 - 5, x1 + 3 : x2 - 3] = np.where(patch > 127, patch - difference, patch + difference).clip(0, 255)
    return copy


def golden_board(seed: int) -> Image:
    """Dark traces and pads on a light ground; the places that the detector looks at are light."""
    rng = np.random.default_rng(seed)
    image = np.full((SIZE, SIZE), 255, np.uint8)
    for x, y in rng.integers(0, SIZE, (14, 2)).tolist():
        cv2.rectangle(image, (x, y), (x + int(rng.integers(8, 40)), y + int(rng.integers(6, 12))), 0, -1)
    for x1, y1, x2, y2, _ in PLACES:
        image[y1 - 6 : y2 + 6, x1 - 6 : x2 + 6] = 255
    return image


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file: at each place, the class's probability is the largest value of the difference channel there."""
    nodes, numbers, scores = [], [], []

    def constant(name: str, value: object, kind: type[np.generic]) -> str:
        numbers.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    constant("axes", [1, 2, 3], np.int64)
    for i, (x1, y1, x2, y2, name) in enumerate(PLACES):
        starts, ends = constant(f"starts{i}", [2, y1, x1], np.int64), constant(f"ends{i}", [3, y2, x2], np.int64)
        one_hot = np.eye(len(DEEPPCB))[DEEPPCB.by_name(name).id].reshape(1, -1, 1)
        nodes += [
            helper.make_node("Slice", ["images", starts, ends, "axes"], [f"patch{i}"]),
            helper.make_node("ReduceMax", [f"patch{i}"], [f"largest{i}"], axes=[2, 3], keepdims=0),
            helper.make_node("Unsqueeze", [f"largest{i}", constant(f"axis{i}", [2], np.int64)], [f"column{i}"]),
            helper.make_node("Mul", [f"column{i}", constant(f"class{i}", one_hot, np.float32)], [f"score{i}"]),
        ]
        scores.append(f"score{i}")
    boxes = [[(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1] for x1, y1, x2, y2, _ in PLACES]
    constant("boxes", np.array(boxes).T[None], np.float32)
    nodes += [
        helper.make_node("Concat", scores, ["scores"], axis=2),
        helper.make_node("Concat", ["boxes", "scores"], ["predictions"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "difference",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, "h", "w"))],
        [helper.make_tensor_value_info("predictions", TensorProto.FLOAT, (1, 10, "a"))],
        numbers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    info = ModelInfo(
        network="difference",
        parameters=1,
        stride=32,
        classes=ModelInfo.class_infos(DEEPPCB),
        operating_point=OperatingPoint.uniform(DEEPPCB, 0.5),
    )
    helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
    onnx.checker.check_model(model)
    path = tmp_path_factory.mktemp("model") / "difference.onnx"
    onnx.save(model, str(path))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "workspace", threads=1)


@pytest.fixture
def detector(model_path: Path, settings: Settings) -> Detector:
    return Detector.load(model_path, settings=settings)


@pytest.fixture
def golden() -> Image:
    return golden_board(1)


@pytest.fixture
def other_golden() -> Image:
    """Of another board."""
    return golden_board(2)


@pytest.fixture
def bad(golden: Image) -> Image:
    """With an open and a spur."""
    return defective(defective(golden, 0), 1)


@pytest.fixture
def folder(tmp_path: Path, golden: Image, other_golden: Image, bad: Image) -> Path:
    """B1: two defects. B2: good. B3: against another board's reference. B4: damaged file. B5: one minor defect."""
    folder = tmp_path / "boards"
    tests = {"B1": bad, "B2": golden, "B3": golden, "B4": golden, "B5": defective(golden, 2)}
    for board_id, test in tests.items():
        write_image(folder / f"{board_id}_test.png", test)
        write_image(folder / f"{board_id}_temp.png", other_golden if board_id == "B3" else golden)
    damaged = folder / "B4_test.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    return folder


@pytest.fixture(scope="module")
def records_without_errors() -> Iterator[None]:
    """pytest keeps each record of a log: with its error it would keep the frames that hold workers of Ray Data."""
    usual = logging.getLogRecordFactory()

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = usual(*args, **kwargs)
        if record.name.startswith("ray.data"):
            record.exc_info = None
        return record

    logging.setLogRecordFactory(make)
    yield
    logging.setLogRecordFactory(usual)
