import json

import numpy as np
import pytest

from copperline.errors import ModelError
from copperline.model_info import FORMAT, ModelInfo, OperatingPoint
from copperline.taxonomy import DEEPPCB

INFO = ModelInfo(
    network="yolo12-pico",
    parameters=10,
    stride=32,
    classes=ModelInfo.class_infos(DEEPPCB),
    operating_point=OperatingPoint.uniform(DEEPPCB, 0.4),
)


def test_round_trip_keeps_everything() -> None:
    parsed = ModelInfo.parse(INFO.model_dump_json(), "m.onnx")
    assert parsed == INFO
    assert parsed.taxonomy == DEEPPCB


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (None, "without its metadata"),
        ({"format": FORMAT + 1}, "update Copperline"),
        ({"parameters": -1}, "parameters"),
        ({"surprise": 1}, "surprise"),
        ({"format": FORMAT + 1, "surprise": 1}, f"format {FORMAT} or older, found {FORMAT + 1}"),
        ({"format": 0}, "format"),
        ({"format": "1.5"}, "format"),
        ({"classes": []}, "classes"),
        ({"classes": [json.loads(INFO.model_dump_json())["classes"][0]] * 2}, "distinct class names"),
        ({"operating_point": {"thresholds": {}, "criterion": ""}}, "no threshold for open"),
        ({"operating_point": {"thresholds": {"open": 1.5}, "criterion": ""}}, "operating_point.thresholds.open"),
        ({"operating_point": {"thresholds": {"open": None}, "criterion": ""}}, "operating_point.thresholds.open"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, object] | None, says: str) -> None:
    text = None if change is None else json.dumps(json.loads(INFO.model_dump_json()) | change)
    with pytest.raises(ModelError, match=says) as error:
        ModelInfo.parse(text, "m.onnx")
    assert str(error.value).startswith("m.onnx:")


def test_a_file_from_before_there_were_formats_is_of_format_1() -> None:
    content = json.loads(INFO.model_dump_json())
    del content["format"]
    assert ModelInfo.parse(json.dumps(content), "m.onnx").format == 1


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", '"text"'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"m\.onnx: the model's metadata is damaged"):
        ModelInfo.parse(text, "m.onnx")


def test_thresholds_in_class_order() -> None:
    point = OperatingPoint(thresholds={n: i / 10 for i, n in enumerate(reversed(DEEPPCB.names))}, criterion="test")
    np.testing.assert_allclose(point.as_array(DEEPPCB), [0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    with pytest.raises(ModelError, match="no threshold for open, short"):
        OperatingPoint(thresholds={}, criterion="").as_array(DEEPPCB)
