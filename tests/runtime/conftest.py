"""Small ONNX files that really run: they give known predictions for any image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from copperline.model_info import METADATA_KEY, ModelInfo, OperatingPoint
from copperline.taxonomy import DEEPPCB

INFO = ModelInfo(
    network="constant",
    parameters=1,
    stride=32,
    classes=ModelInfo.class_infos(DEEPPCB),
    operating_point=OperatingPoint.uniform(DEEPPCB, 0.5),
)


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., Path]:
    """Gives a function that writes a model whose predictions are `rows` (4 + C, A), and returns its path."""

    def write(
        rows: np.ndarray,
        *,
        metadata: str | None = INFO.model_dump_json(),
        input_name: str = "images",
        output_name: str = "predictions",
        input_shape: tuple[int | str, ...] = ("n", 3, "h", "w"),
        output_shape: tuple[int | str, ...] | None = None,
        multiple: int = 1,
    ) -> Path:
        """`multiple`: the network runs on images alone whose sides are multiples of it."""
        images = helper.make_tensor_value_info(input_name, TensorProto.FLOAT, input_shape)
        shape = ("n", rows.shape[0], "a") if output_shape is None else output_shape
        predictions = helper.make_tensor_value_info(output_name, TensorProto.FLOAT, shape)
        constant = numpy_helper.from_array(rows[None].astype(np.float32), "rows")
        nodes = [
            helper.make_node("SpaceToDepth", [input_name], ["blocks"], blocksize=multiple),
            helper.make_node("ReduceMax", ["blocks"], ["brightest"], keepdims=0),
            helper.make_node("Sub", ["brightest", "brightest"], ["zero"]),
            helper.make_node("Add", ["rows", "zero"], ["answer"]),
            # A number of rows that is only known when the model runs.
            helper.make_node("Cast", ["zero"], ["first"], to=TensorProto.INT64),
            helper.make_node("Add", ["first", "count"], ["end"]),
            helper.make_node("Range", ["first", "end", "one"], ["all"]),
            helper.make_node("Gather", ["answer", "all"], [output_name], axis=1),
        ]
        numbers = [
            numpy_helper.from_array(np.array(value, np.int64), name)
            for name, value in (("count", rows.shape[0]), ("one", 1))
        ]
        graph = helper.make_graph(nodes, "constant", [images], [predictions], [constant, *numbers])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if metadata is not None:
            helper.set_model_props(model, {METADATA_KEY: metadata})
        onnx.checker.check_model(model)
        path = tmp_path / "model.onnx"
        onnx.save(model, str(path))
        return path

    return write


@pytest.fixture
def info() -> ModelInfo:
    return INFO
