"""Each shipped model agrees with its card; a made-up one shows that the check can fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from copperline.errors import ModelError
from copperline.model_info import METADATA_KEY, ModelInfo, OperatingPoint
from copperline.registry import ModelCard, builtin, builtin_model, builtin_models, disagreements, file_sha256
from copperline.runtime import OnnxModel
from copperline.taxonomy import DEEPPCB

INFO = ModelInfo(
    network="nothing",
    parameters=1,
    stride=16,
    classes=ModelInfo.class_infos(DEEPPCB),
    operating_point=OperatingPoint.uniform(DEEPPCB, 0.25, "recall >= 99.5 %"),
    data_hash="ab" * 32,
)


def shipped(folder: Path, card: ModelCard, name: str = "deeppcb", info: ModelInfo = INFO) -> Path:
    """A model that finds nothing, with its card, as they lie in the package."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, "h", "w"))
    predictions = helper.make_tensor_value_info("predictions", TensorProto.FLOAT, (1, 10, 1))
    nothing = numpy_helper.from_array(np.zeros((1, 10, 1), np.float32), "nothing")
    node = helper.make_node("Identity", ["nothing"], ["predictions"])
    graph = helper.make_graph([node], "nothing", [images], [predictions], [nothing])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.onnx"
    onnx.save(model, str(path))
    facts = {"network": "nothing", "parameters": 1, "sha256": file_sha256(path), "classes": DEEPPCB.names}
    card = card.model_copy(update={"name": name, **facts})
    path.with_suffix(".card.json").write_text(card.model_dump_json())
    return path


@pytest.mark.parametrize("name", builtin_models() or [pytest.param("", marks=pytest.mark.skip("none is shipped"))])
def test_each_shipped_model_is_what_its_card_says(name: str) -> None:
    model = builtin_model(name)
    assert disagreements(model.card, model.path, OnnxModel(model.path, threads=1).info) == ()
    for part in ("command", "software", "hardware", "data_use", "limitations", "metrics", "data_hash", "parity"):
        assert getattr(model.card, part), part
    assert {"test, with reference", "test, single images"} <= model.card.metrics.keys()
    assert model.card.splits["test"].boards > 0


def test_a_model_and_its_card_agree(tmp_path: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shipped(tmp_path / "shipped", card)
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path / "shipped")
    model = builtin_model("deeppcb")
    assert (model.path, model.sha256, model.card.classes) == (path, file_sha256(path), DEEPPCB.names)
    assert disagreements(model.card, path, OnnxModel(path, threads=1).info) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "00"}, "SHA-256"),
        ({"classes": ("open", "short")}, "classes"),
        ({"parameters": 2}, "parameters"),
        ({"network": "other"}, "network"),
        ({"data_hash": ""}, "data hash"),
        ({"operating_point": OperatingPoint.uniform(DEEPPCB, 0.3)}, "operating point"),
    ],
)
def test_each_difference_is_named(tmp_path: Path, card: ModelCard, change: dict[str, object], says: str) -> None:
    path = shipped(tmp_path, card)
    read = ModelCard.read(path.with_suffix(".card.json"))
    (fault,) = disagreements(read.model_copy(update=change), path, INFO)
    assert fault.startswith(f"{says}: the card says")


def test_models_that_are_too_large_are_named(tmp_path: Path, card: ModelCard) -> None:
    large = INFO.model_copy(update={"parameters": 500_001})
    path = shipped(tmp_path, card, info=large)
    with path.open("ab") as file:
        file.write(bytes(2_500_000))
    read = ModelCard.read(path.with_suffix(".card.json"))
    exact = read.model_copy(update={"sha256": file_sha256(path), "parameters": 500_001})
    size, parameters = disagreements(exact, path, large)
    assert size.startswith("size: at most 2,500,000 bytes")
    assert parameters == "parameters: at most 500,000, found 500,001"


def test_a_damaged_shipped_model_is_refused(tmp_path: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shipped(tmp_path, card)
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelError, match=r"deeppcb\.onnx: the shipped model 'deeppcb' is damaged.*install Copperline"):
        builtin_model("deeppcb")
    path.write_bytes(content)
    card_file = path.with_suffix(".card.json")
    card_file.write_text(json.dumps({"name": "deeppcb"}))
    with pytest.raises(ModelError, match=r"deeppcb\.card\.json: the model card is damaged"):
        builtin_model("deeppcb")
    card_file.unlink()
    with pytest.raises(ModelError, match=r"deeppcb\.card\.json: the model card cannot be read"):
        builtin_model("deeppcb")


def test_cards_from_before_shipped_models_still_read(tmp_path: Path, card: ModelCard) -> None:
    new = ("sha256", "classes", "command", "software", "hardware", "data_use")
    old = {key: value for key, value in card.model_dump(mode="json").items() if key not in new}
    (tmp_path / "card.json").write_text(json.dumps(old))
    assert ModelCard.read(tmp_path) == card


def test_the_card_page_shows_where_a_shipped_model_comes_from(card: ModelCard) -> None:
    page = card.model_copy(
        update={
            "sha256": "cd" * 32,
            "classes": ("open", "short"),
            "command": "copperline train --data PATH",
            "software": {"torch": "2.13.0", "numpy": "2.0"},
            "hardware": "2 cores",
            "data_use": ("The test list was only measured on.",),
        }
    ).to_markdown()
    lines = page.splitlines()
    for line in (
        f"| SHA-256 of the file | `{'cd' * 32}` |",
        "| Classes | open, short |",
        "copperline train --data PATH",
        "Hardware: 2 cores.",
        "Software: torch 2.13.0, numpy 2.0.",
        "- The test list was only measured on.",
    ):
        assert line in lines
